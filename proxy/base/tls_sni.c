/*
 * tls_sni.c -- which certificate a client is shown, by the name that it asks for (RFC 6066 3).
 *
 * The names are those of the configuration and, of certificates for which it gives none, those in the
 * certificate; they are taken out once, so a look is a search in a sorted table however many there are.
 * The invariant: what a ticket is bound to (the session id context) is settled before OpenSSL looks at
 * the ticket, in the client hello's callback; the servername callback comes too late for that.
 */
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proxy/base/arena.h"
#include "proxy/base/tls_own.h"

enum { NAME_MAX_OCTETS = 255 }; /* RFC 1035 2.3.4 */

/* ---- the table ------------------------------------------------------------------------------- */

static void
lower(char *out, struct strv name)
{
	for (size_t i = 0; i < name.n; i++)
		out[i] = ascii_lower(name.p[i]);
}

void
tls_names_add(struct tls_context *x, enum tls_name_kind kind, struct strv name, unsigned shown)
{
	struct tls_name *one;

	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.n > NAME_MAX_OCTETS)
		return; /* nobody can ask for it */
	if (x->n_name == x->max_name) {
		x->max_name = x->max_name == 0 ? 4 : x->max_name * 2;
		x->name = mem_resize(x->name, x->max_name * sizeof(*x->name));
	}
	one = &x->name[x->n_name++];
	*one = (struct tls_name){ mem_alloc(name.n), name.n, kind, shown };
	lower(one->p, name);
}

/* The common name counts where the certificate has no name of a host otherwise (RFC 6125 6.4.4). */
static void
common_name(struct tls_context *x, X509_NAME *subject, unsigned shown)
{
	int            at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), n;
	unsigned char *text;

	if (at < 0)
		return;
	n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (n < 0)
		return;
	tls_names_add(x, TLS_NAME_FOUND, strv((char *)text, (size_t)n), shown);
	OPENSSL_free(text);
}

void
tls_names_of(struct tls_context *x, unsigned shown)
{
	X509          *cert = x->shown[shown].cert;
	GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	unsigned       before = x->n_name;

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type == GEN_DNS)
			tls_names_add(x, TLS_NAME_FOUND,
			    strv((const char *)ASN1_STRING_get0_data(g->d.dNSName),
				(size_t)ASN1_STRING_length(g->d.dNSName)),
			    shown);
	}
	GENERAL_NAMES_free(all);
	if (x->n_name == before)
		common_name(x, X509_get_subject_name(cert), shown);
}

static int
by_text(const struct tls_name *a, const struct tls_name *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strv_cmp(strv(a->p, a->n), strv(b->p, b->n));
}

/* Of certificates with the same name the first of the file comes first. */
static int
by_place(const void *a, const void *b)
{
	const struct tls_name *na = a, *nb = b;
	int                    rc = by_text(na, nb);

	return rc != 0 ? rc : na->shown < nb->shown ? -1 : na->shown > nb->shown;
}

/* Sorted, and of certificates with the same name the first stays. */
void
tls_names_sort(struct tls_context *x)
{
	unsigned n = 0;

	if (x->n_name == 0)
		return;
	qsort(x->name, x->n_name, sizeof(*x->name), by_place);
	for (unsigned i = 0; i < x->n_name; i++)
		if (n > 0 && by_text(&x->name[n - 1], &x->name[i]) == 0)
			mem_free(x->name[i].p);
		else
			x->name[n++] = x->name[i];
	x->n_name = n;
}

void
tls_names_free(struct tls_context *x)
{
	for (unsigned i = 0; i < x->n_name; i++)
		mem_free(x->name[i].p);
	mem_free(x->name);
}

static int
find(const struct tls_context *x, enum tls_name_kind kind, char *name, size_t n)
{
	struct tls_name want = { name, n, kind, 0 };
	unsigned        lo = 0, hi = x->n_name, mid;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (by_text(&x->name[mid], &want) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == x->n_name || by_text(&x->name[lo], &want) != 0)
		return -1;
	return (int)x->name[lo].shown;
}

int
tls_names_find(const struct tls_context *x, struct strv name)
{
	char   text[NAME_MAX_OCTETS];
	size_t dot;
	int    at = -1;

	if (name.n == 0 || name.n > sizeof(text))
		return -1;
	lower(text, name);
	dot = strv_chr(name, '.');
	for (int kind = TLS_NAME_GIVEN; at < 0 && kind <= TLS_NAME_FOUND; kind++) {
		at = find(x, (enum tls_name_kind)kind, text, name.n);
		if (at >= 0 || dot == 0 || dot == name.n)
			continue;
		/* "*" in the place of the one label, in front of the dot */
		text[dot - 1] = '*';
		at = find(x, (enum tls_name_kind)kind, text + dot - 1, name.n - dot + 1);
		text[dot - 1] = ascii_lower(name.p[dot - 1]);
	}
	return at;
}

/* ---- the client hello ------------------------------------------------------------------------ */

/*
 * RFC 6066 3: ServerName list<1..2^16-1>, each a type and, for host_name (0), opaque<1..2^16-1>.  More
 * than one is not allowed there.  What is malformed has no name here, and OpenSSL refuses it later.
 */
static struct strv
asked_name(SSL *ssl)
{
	const unsigned char *p;
	size_t               n;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 6 ||
	    (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name ||
	    (size_t)(p[3] << 8 | p[4]) != n - 5 || n - 5 > NAME_MAX_OCTETS)
		return strv(NULL, 0);
	return strv((const char *)p + 5, n - 5);
}

static bool
show(SSL *ssl, const struct tls_context *x, unsigned first)
{
	const struct tls_shown *s = x->shown;
	unsigned                i = first;

	SSL_certs_clear(ssl);
	do {
		if (SSL_use_cert_and_key(ssl, s[i].cert, s[i].key, s[i].chain, 1) != 1)
			return false;
		i = s[i].also;
	} while (i != 0);
	return true;
}

/*
 * A session is resumed only at the same listener (id), under the same name (RFC 6066 3: a different one
 * must not; none is another one), and as long as the same authorities vouch for client certificates,
 * since what was verified at first is not verified again.
 */
static bool
bind_session(SSL *ssl, const struct tls_context *x, struct strv name)
{
	unsigned char text[1 + TLS_ID_MAX + sizeof(x->ca) + NAME_MAX_OCTETS], digest[32];
	size_t        n = 0;

	text[n++] = (unsigned char)x->id_n;
	memcpy(text + n, x->id, x->id_n);
	n += x->id_n;
	memcpy(text + n, x->ca, sizeof(x->ca));
	n += sizeof(x->ca);
	lower((char *)text + n, name);
	n += name.n;
	return EVP_Digest(text, n, digest, NULL, EVP_sha256(), NULL) == 1 &&
	    SSL_set_session_id_context(ssl, digest, sizeof(digest)) == 1;
}

/* Called again for the hello that answers a HelloRetryRequest. */
static int
client_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);
	struct strv name = asked_name(ssl);
	int         at = tls_names_find(t->x, name);
	const bool  first = at <= 0;

	(void)arg;
	tls_keep_name(t, name);
	t->known = at >= 0;
	if (!bind_session(ssl, t->x, name) || (!first && !show(ssl, t->x, (unsigned)at))) {
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 6066 3: the answer says whether the name was used.  A name of others is no reason to refuse. */
static int
server_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls *t = SSL_get_app_data(ssl);

	(void)alert, (void)arg;
	return t->known ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

void
tls_sni_install(struct tls_context *x)
{
	SSL_CTX_set_client_hello_cb(x->ssl, client_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(x->ssl, server_name);
}
