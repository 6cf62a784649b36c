/*
 * tls_client.c -- the side that begins: the name that a server must bear, and sessions to go on with.
 *
 * The invariant: a kept session is offered only in the context and under the name in which it was made,
 * since a resumed handshake shows no certificate and verifies none (RFC 8446 2.2).
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proxy/base/addr.h"
#include "proxy/base/arena.h"
#include "proxy/base/tls_own.h"

struct tls_session {
	SSL_SESSION *latest;
	uint64_t     context; /* its serial */
	uint64_t     until;   /* s, wall clock: then the certificate is to be seen again */
	struct strv  name;    /* mem_alloc */
};

/* ---- kept sessions --------------------------------------------------------------------------- */

void
tls_session_free(struct tls_session *s)
{
	if (s == NULL)
		return;
	SSL_SESSION_free(s->latest);
	mem_free((char *)s->name.p);
	mem_free(s);
}

static void
forget(struct tls_session **resume)
{
	if (resume != NULL) {
		tls_session_free(*resume);
		*resume = NULL;
	}
}

/* Takes over `latest`. */
static void
keep(struct tls *t, SSL_SESSION *latest)
{
	struct tls_session *s = mem_alloc(sizeof(*s));
	char               *name = mem_alloc(t->name_n + 1);

	if (t->name_n > 0)
		memcpy(name, t->name, t->name_n);
	if (!SSL_session_reused(t->ssl))
		t->until = tls_wall(t) + TLS_TICKET_LIFE;
	*s = (struct tls_session){ latest, t->x->serial, t->until, strv(name, t->name_n) };
	forget(t->resume);
	*t->resume = s;
}

/* TLS 1.3: a ticket has come, behind the handshake or much later.  1: it is ours now. */
static int
ticket_came(SSL *ssl, SSL_SESSION *s)
{
	struct tls *t = SSL_get_app_data(ssl);

	if (t->resume == NULL || SSL_version(ssl) != TLS1_3_VERSION || !SSL_SESSION_is_resumable(s))
		return 0;
	keep(t, s);
	return 1;
}

/*
 * RFC 8446 C.4: a ticket is used once, so that nobody who watches can tell that two connections are of
 * the same client; the server gives another.  TLS 1.2 has no such rule and need not send one.
 */
static void
offer(struct tls *t)
{
	struct tls_session *s = t->resume != NULL ? *t->resume : NULL;

	if (s == NULL)
		return;
	if (s->context != t->x->serial || !strv_eq(s->name, strv(t->name, t->name_n)) ||
	    tls_wall(t) >= s->until || !SSL_SESSION_is_resumable(s->latest)) {
		forget(t->resume);
		return;
	}
	(void)SSL_set_session(t->ssl, s->latest);
	t->until = s->until;
	if (SSL_SESSION_get_protocol_version(s->latest) == TLS1_3_VERSION)
		forget(t->resume);
}

/* TLS 1.2: the ticket has come inside the handshake, and OpenSSL does not tell of one that replaces another. */
void
tls_client_up(struct tls *t)
{
	SSL_SESSION *s;

	if (t->resume == NULL || SSL_version(t->ssl) == TLS1_3_VERSION)
		return;
	s = SSL_get1_session(t->ssl);
	if (s != NULL && SSL_SESSION_is_resumable(s))
		keep(t, s);
	else
		SSL_SESSION_free(s);
}

/* What it began with may be the reason: the next attempt is a full handshake. */
void
tls_client_failed(struct tls *t)
{
	forget(t->resume);
}

/* ---- connections ----------------------------------------------------------------------------- */

/*
 * RFC 6066 3: no address is sent as a name.  Without a name OpenSSL would take any certificate, so where
 * one is to be verified that is no connection.
 */
static bool
expect(struct tls *t)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
	struct addr        at;

	X509_VERIFY_PARAM_set_time(param, (time_t)tls_wall(t));
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	t->address = addr_parse(strv(t->name, t->name_n), &at);
	if (t->address)
		return X509_VERIFY_PARAM_set1_ip(param, at.b, at.family == ADDR_IP4 ? 4 : 16) == 1;
	if (t->name_n == 0)
		return !t->x->verify;
	return memchr(t->name, '\0', t->name_n) == NULL &&
	    SSL_set_tlsext_host_name(t->ssl, t->name) == 1 &&
	    X509_VERIFY_PARAM_set1_host(param, t->name, t->name_n) == 1;
}

bool
tls_connect(struct conn *c, struct tls_context *x, struct strv name, struct tls_session **resume)
{
	struct tls *t = tls_begin(c, x);

	if (t == NULL)
		return false;
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	tls_keep_name(t, name);
	t->client = true;
	t->resume = resume;
	SSL_set_connect_state(t->ssl);
	if (!expect(t)) {
		c->tls = NULL;
		tls_free(t);
		return false;
	}
	offer(t);
	ERR_clear_error();
	return true;
}

void
tls_client_install(struct tls_context *x)
{
	SSL_CTX_set_session_cache_mode(x->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(x->ssl, ticket_came);
}
