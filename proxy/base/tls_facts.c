/*
 * tls_facts.c -- what is known of a connection and its peer: version, cipher, the name, the certificate.
 *
 * For rules and logs: it only reads what the handshake has left.  A certificate is the client's text,
 * so what has control characters is escaped or left out, and it is a fact only as long as it holds.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "proxy/base/arena.h"
#include "proxy/base/tls_own.h"

#define SNI_MAX 255 /* octets of a name in the DNS */

/*
 * The client's certificate, verified, or NULL.  In a resumed session it is the ticket that says so, and
 * the certificate may have expired since.
 */
static X509 *
verified_client(const struct tls *t)
{
	X509  *cert = SSL_get0_peer_certificate(t->ssl);
	time_t now = (time_t)tls_wall(t);

	if (cert == NULL || t->client || SSL_get_verify_result(t->ssl) != X509_V_OK ||
	    X509_cmp_time(X509_get0_notAfter(cert), &now) <= 0)
		return NULL;
	return cert;
}

static struct strv
distinguished_name(const X509_NAME *name, struct arena *a)
{
	BIO        *b = BIO_new(BIO_s_mem());
	struct strv v = { NULL, 0 };
	char       *p;
	long        n;

	if (b != NULL && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253) >= 0 &&
	    (n = BIO_get_mem_data(b, &p)) > 0)
		v = arena_dup(a, strv(p, (size_t)n));
	BIO_free(b);
	return v;
}

static bool
is_plain(const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < ' ' || p[i] == 0x7f)
			return false;
	return true;
}

/* The last of several, which is the first in RFC 2253's order. */
static struct strv
common_name(X509 *cert, struct arena *a)
{
	X509_NAME     *name = X509_get_subject_name(cert);
	struct strv    v = { NULL, 0 };
	unsigned char *text;
	int            at = -1, next, n;

	while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
		at = next;
	if (at < 0)
		return v;
	n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n < 0)
		return v;
	if (n > 0 && is_plain(text, (size_t)n))
		v = arena_dup(a, strv((char *)text, (size_t)n));
	OPENSSL_free(text);
	return v;
}

/*
 * It may hold any octets, and goes to rules, replies, logs and the server: a name of a host or none (RFC 6066 3).
 */
static bool
is_host_name(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!ascii_is_alpha(v.p[i]) && !ascii_is_digit(v.p[i]) && v.p[i] != '-' &&
		    v.p[i] != '_' && v.p[i] != '.')
			return false;
	return v.n > 0 && v.n <= SNI_MAX;
}

void
tls_facts_get(const struct conn *c, struct arena *a, struct tls_facts *out)
{
	const struct tls *t = c->tls;
	X509             *cert;

	*out = (struct tls_facts){ 0 };
	if (t == NULL || !t->up)
		return;
	ERR_clear_error();
	out->on = true;
	out->version = arena_dup(a, strv_z(SSL_get_version(t->ssl)));
	out->cipher = arena_dup(a, strv_z(SSL_get_cipher_name(t->ssl)));
	out->bits = (unsigned)SSL_get_cipher_bits(t->ssl, NULL);
	out->resumed = SSL_session_reused(t->ssl) == 1;
	if (t->name != NULL && !t->address && is_host_name(strv(t->name, t->name_n)))
		out->sni = arena_dup(a, strv(t->name, t->name_n));
	cert = verified_client(t);
	if (cert != NULL) {
		out->client_cert = distinguished_name(X509_get_subject_name(cert), a);
		out->client_issuer = distinguished_name(X509_get_issuer_name(cert), a);
		out->client_cn = common_name(cert, a);
	}
	ERR_clear_error();
}
