/*
 * tls_flood.c -- records that bring no data: how many of them a peer may send.
 *
 * OpenSSL ends a connection at 33 empty records, or five warnings, that come one behind another.
 * It sets no bound to renewed keys, tickets and wishes to begin anew, and any of these lets it count
 * the others from zero again.  It takes them all inside one SSL_read or SSL_do_handshake, as long as
 * octets are there.  So what it tells of each record is counted, and data pay for what came beside.
 */
#include <openssl/ssl.h>

#include "proxy/base/tls_own.h"

enum {
	/*
	 * Beside the 1 of its record, what a message of the handshake or an alert costs: keys are
	 * derived, a session is kept, or we answer.
	 */
	MESSAGE = 6,
	/* A record with data is worth its own 1, and 1 more: keys may be renewed every seven. */
	DATA = 2,
	/* 36 renewals without data; UINT8_MAX. */
	MOST = 255,
	/*
	 * In a handshake none has data, and a chain of certificates may need hundreds: only those
	 * are counted that are shorter than any limit makes them (RFC 8449 4: 64).
	 */
	SHORT = 64
};

static unsigned
cost(const struct tls *t, int writes, int type, const unsigned char *p, size_t n)
{
	if (type == SSL3_RT_HEADER && !writes && n >= SSL3_RT_HEADER_LENGTH)
		return t->up || (p[3] == 0 && p[4] < SHORT);
	/* an alert of ours is an answer to what is refused: of that nothing else is told */
	return type == SSL3_RT_ALERT || (type == SSL3_RT_HANDSHAKE && !writes) ? MESSAGE : 0;
}

/* OpenSSL cannot be told here to stop, but it looks for the peer's end before it takes a record. */
static void
count(int writes, int version, int type, const void *p, size_t n, SSL *ssl, void *arg)
{
	struct tls *t = SSL_get_app_data(ssl);
	unsigned    sum = t->idle + cost(t, writes, type, p, n);

	(void)version, (void)arg;
	t->idle = sum < MOST ? (uint8_t)sum : MOST;
	if (t->idle == MOST)
		SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

void
tls_flood_install(struct ssl_ctx_st *ssl)
{
	SSL_CTX_set_msg_callback(ssl, count);
}

void
tls_flood_data(struct tls *t)
{
	if (t->idle < MOST)
		t->idle = t->idle > DATA ? (uint8_t)(t->idle - DATA) : 0;
}

const char *
tls_flood(const struct tls *t)
{
	return t->idle == MOST ? "the peer sends too many records without data" : NULL;
}
