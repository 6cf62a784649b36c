/*
 * tls_ticket.c -- the keys that seal session tickets (RFC 5077, RFC 8446 4.6.1).
 *
 * Not for what a ticket may be used for: that is its session id context (tls_sni.c).
 *
 * Who has the key of a ticket can read, from a recording, every session that was resumed by it and, with
 * TLS 1.2, the one that it came from.  So a key must be short-lived, and it must be gone when it has
 * served.  On the other hand a client returns to any worker, after a reload too, and all of them must
 * open what one of them has sealed, though they share no memory that they write and ask nobody.
 *
 * So there is one chain of secrets a process, and time drives it.  The first is made by chance, when
 * the first context is, in the master; it belongs to period 0 (PERIOD seconds from EPOCH), in which
 * nobody uses it.  The next period's is a digest of it, and so on: what the secret of a period is
 * depends on the first one and on the number of the period, on nothing else.  A worker inherits the
 * chain as the master has it, however far that is, and goes on by itself: a worker of period 10 and one
 * that was forked in period 13 come to the same secret in period 14.  Contexts hold no secret, only
 * their id; a reload makes new contexts and keeps the chain, so tickets outlive it.  From the secret
 * and the id come the three keys of a listener, anew at each ticket: it costs a thousandth of a
 * handshake, and no copy stays in a context that nobody uses for a week.
 *
 * A digest goes one way: from the secret of this period nobody finds the one before it, so what is
 * wiped is gone.  Two secrets are kept, of this period and the one before, since a ticket lives for
 * TLS_TICKET_LIFE and that is less than a period.  A process that sees no handshake must be told that
 * time goes on, or it keeps the key to all that came since: tls_tickets_turn is for the timers of
 * master and workers.
 *
 * A clock that is set back does not turn the chain back; it cannot.  One period back, as at a small
 * correction near the border, the secret before is still there.  Further back than that there are no
 * tickets, in and out, and each handshake is a full one until the clock has caught up: not to change
 * keys would be worse.  A clock far ahead turns the chain as far as PERIOD_MAX and no further, so the
 * steps are bounded.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include "proxy/base/loop.h"
#include "proxy/base/tls_own.h"
#include "proxy/base/world.h"

#define EPOCH      1577836800u /* s: 2020-01-01; a machine's clock is not before it, or it is wrong */
#define PERIOD     (4 * 3600) /* s */
#define PERIOD_MAX (1u << 18) /* 119 years */

enum { SECRET = 32 };

static struct {
	bool          on;
	uint64_t      period; /* the latest seen */
	unsigned char now[SECRET], before[SECRET];
} chain;

struct ticket_key {
	unsigned char name[16], aes[32], hmac[32];
};

/* ---- the chain ------------------------------------------------------------------------------- */

void
tls_tickets_forget(void)
{
	OPENSSL_cleanse(&chain, sizeof(chain));
}

bool
tls_ticket_begin(void)
{
	if (!chain.on)
		chain.on = RAND_bytes(chain.now, SECRET) == 1 &&
		    RAND_bytes(chain.before, SECRET) == 1;
	return chain.on;
}

static bool
step(void)
{
	static const char label[] = "postern: the next period";
	unsigned char     text[SECRET + sizeof(label)];
	bool              good;

	memcpy(chain.before, chain.now, SECRET);
	memcpy(text, chain.now, SECRET);
	memcpy(text + SECRET, label, sizeof(label));
	good = EVP_Digest(text, sizeof(text), chain.now, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_cleanse(text, sizeof(text));
	chain.period++;
	return good;
}

/* Goes on to the period of the wall clock.  False: that lies behind us, or there are no secrets. */
static bool
turn(struct world *w)
{
	uint64_t s = w->wall(w) / 1000000, period = s < EPOCH ? 0 : (s - EPOCH) / PERIOD;

	if (period > PERIOD_MAX)
		period = PERIOD_MAX;
	while (chain.on && chain.period < period)
		if (!step())
			tls_tickets_forget();
	return chain.on && period + 1 >= chain.period;
}

void
tls_tickets_turn(struct world *w)
{
	(void)turn(w);
}

/* ---- the keys of a listener ------------------------------------------------------------------ */

static bool
derive(const unsigned char *secret, char part, const struct tls_context *x, unsigned char *out,
    size_t n)
{
	unsigned char text[1 + TLS_ID_MAX], mac[EVP_MAX_MD_SIZE];
	bool          good;

	text[0] = (unsigned char)part;
	memcpy(text + 1, x->id, x->id_n);
	good = HMAC(EVP_sha512(), secret, SECRET, text, 1 + x->id_n, mac, NULL) != NULL;
	memcpy(out, mac, n);
	OPENSSL_cleanse(mac, sizeof(mac));
	return good;
}

static bool
derive_rest(const unsigned char *secret, const struct tls_context *x, struct ticket_key *k)
{
	return derive(secret, 'a', x, k->aes, sizeof(k->aes)) &&
	    derive(secret, 'h', x, k->hmac, sizeof(k->hmac));
}

static bool
derive_name(const unsigned char *secret, const struct tls_context *x, struct ticket_key *k)
{
	return derive(secret, 'n', x, k->name, sizeof(k->name));
}

static bool
mac_init(EVP_MAC_CTX *mac, const struct ticket_key *k)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(
		    OSSL_MAC_PARAM_KEY, (void *)k->hmac, sizeof(k->hmac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"sha256", 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* ---- sealing and opening --------------------------------------------------------------------- */

static int
seal(const struct tls_context *x, struct ticket_key *k, unsigned char *name, unsigned char *iv,
    EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac)
{
	if (!derive_name(chain.now, x, k) || !derive_rest(chain.now, x, k) ||
	    RAND_bytes(iv, 16) != 1)
		return -1;
	memcpy(name, k->name, sizeof(k->name));
	if (EVP_EncryptInit_ex(aes, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1)
		return -1;
	return mac_init(mac, k) ? 1 : -1;
}

/* 0: not ours or too old, a full handshake follows; 1: good; 2: good, but give the client a new one. */
static int
unseal(const struct tls_context *x, struct ticket_key *k, const unsigned char *name,
    const unsigned char *iv, EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac)
{
	const unsigned char *const secret[] = { chain.now, chain.before };

	for (int age = 0; age < 2; age++) {
		if (!derive_name(secret[age], x, k))
			return -1;
		if (memcmp(name, k->name, sizeof(k->name)) != 0)
			continue;
		if (!derive_rest(secret[age], x, k) ||
		    EVP_DecryptInit_ex(aes, EVP_aes_256_cbc(), NULL, k->aes, iv) != 1 ||
		    !mac_init(mac, k))
			return -1;
		return age + 1;
	}
	return 0;
}

/*
 * Inside a handshake: the chain was turned before it, and if it has no tickets this is not called to seal.
 * RFC 8446 C.4: a client of TLS 1.3 uses a ticket once, so it always gets another.
 */
static int
ticket_cb(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *aes, EVP_MAC_CTX *mac,
    int sealing)
{
	const struct tls *t = SSL_get_app_data(ssl);
	struct ticket_key k;
	int               rc;

	if (!chain.on)
		return sealing ? -1 : 0;
	rc = sealing ? seal(t->x, &k, name, iv, aes, mac) : unseal(t->x, &k, name, iv, aes, mac);
	OPENSSL_cleanse(&k, sizeof(k));
	return !sealing && rc == 1 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : rc;
}

void
tls_ticket_install(struct tls_context *x)
{
	SSL_CTX_set_num_tickets(x->ssl, 1);
	SSL_CTX_set_timeout(x->ssl, TLS_TICKET_LIFE);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(x->ssl, ticket_cb);
}

void
tls_ticket_prepare(struct tls *t)
{
	if (turn(loop_world(t->c->loop)))
		return;
	SSL_set_options(t->ssl, SSL_OP_NO_TICKET);
	(void)SSL_set_num_tickets(t->ssl, 0);
}
