/*
 * arc_check -- see arc_check.h.
 *
 * A broken chain costs no look-up: what is wrong with it is mostly found in the header.  The keys of the newest
 * signatures are asked for then, and the body is hashed as it comes.  A chain is a stranger's: sets, names and older
 * signatures that are looked at are bounded, and so is the time that its keys may take.
 */
#include "filters/arc_check.h"

#include "filters/arc_own.h"
#include "filters/auth.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/tags.h"

enum {
	KEYS_AHEAD = 8,   /* names of keys that are asked for before they are needed */
	KEYS_TIME = 30000 /* ms for all keys of a message */
};

struct digesting { /* of a body, in one form */
	struct canon_body    canon;
	struct crypt_digest *digest; /* NULL: nobody wants that form */
	uint64_t             octets;
	unsigned char        hash[CRYPT_SHA256];
};

struct message_signature {
	struct arc_signature s;
	const char          *why; /* not NULL: it cannot be verified */
};

struct arc_check {
	struct arena             *a;
	const struct arc_use     *use;
	struct tags              *tags; /* scratch */
	struct view_field        *field;
	unsigned                  n_field;
	struct arc_chain         *chain;
	struct message_signature *message; /* the newest first; n_message of them are looked at */
	unsigned                  n_message;
	struct arc_signature     *seal; /* by instance; all of the chain */
	struct digesting          body[2];
	bool                      body_ended;
	uint64_t                  until; /* loop_now: keys that are late are not waited for */
	struct arc_verdict        verdict;
};

/* ---- the header ------------------------------------------------------------------------------ */

static void
fail(struct arc_check *c, struct strv why)
{
	c->verdict.result = ARC_FAIL;
	c->verdict.why = why;
}

static void
fail_of(struct arc_check *c, const char *what, unsigned instance, const char *why)
{
	fail(c, arena_printf(c->a, "%s i=%u: %s", what, instance, why));
}

static void
hash_piece(void *arg, struct strv piece)
{
	struct digesting *d = arg;

	d->octets += piece.n;
	crypt_digest_add(d->digest, piece);
}

static void
want_body(struct arc_check *c, enum canon_form form)
{
	struct digesting *d = &c->body[form];

	if (d->digest != NULL)
		return;
	d->digest = crypt_digest_begin(c->a);
	d->canon = (struct canon_body){ .form = form, .out = hash_piece, .arg = d };
}

/* The newest one must be good, older ones only tell how far back the message is unchanged. RFC 8617 5.2, 4 and 5 */
static bool
read_messages(struct arc_check *c, unsigned older)
{
	c->n_message = older + 1 < c->chain->n ? older + 1 : c->chain->n;
	c->message = arena_array(c->a, c->n_message, sizeof(*c->message));
	for (unsigned i = 0; i < c->n_message; i++) {
		struct message_signature *m = &c->message[i];
		struct strv               raw = c->chain->set[c->chain->n - 1 - i].message;

		if (arc_message_read(c->a, c->tags, raw, &m->s, &m->why)) {
			m->why = NULL;
			want_body(c, m->s.body);
		} else if (i == 0) {
			fail_of(c, ARC_MESSAGE, c->chain->n, m->why);
			return false;
		}
	}
	return true;
}

static bool
read_seals(struct arc_check *c)
{
	const char *why = NULL;

	c->seal = arena_array(c->a, c->chain->n, sizeof(*c->seal));
	for (unsigned i = c->chain->n; i > 0; i--)
		if (!arc_seal_read(
			c->a, c->tags, c->chain->set[i - 1].seal, &c->seal[i - 1], &why)) {
			fail_of(c, ARC_SEAL, i, why);
			return false;
		}
	return true;
}

static void
read_chain(struct arc_check *c)
{
	c->chain = arc_chain_read(c->a, c->field, c->n_field);
	if (c->chain->n == 0) {
		fail(c, c->chain->why);
		return;
	}
	c->tags = arena_alloc(c->a, sizeof(*c->tags));
	if (!read_messages(c, c->use->auth->signatures) || !read_seals(c))
		return;
	c->verdict.sets = c->chain->n;
	c->verdict.sealer = c->seal[c->chain->n - 1].domain;
}

static bool
has_chain(const struct message *m)
{
	bool any = false;

	for (unsigned i = 0; i < m->n_h && !any; i++)
		any = arc_is_field(header_name(&m->h[i]));
	return any;
}

/* As received: hidden fields may be under a signature. */
struct arc_check *
arc_check_begin(struct arena *a, const struct arc_use *use, const struct message *m)
{
	struct arc_check *c;

	if (!has_chain(m))
		return NULL;
	c = arena_alloc(a, sizeof(*c));
	c->a = a;
	c->use = use;
	c->field = arena_array(a, m->n_h, sizeof(*c->field));
	c->n_field = m->n_h;
	for (unsigned i = 0; i < m->n_h; i++)
		c->field[i] =
		    (struct view_field){ .name = header_name(&m->h[i]), .raw = m->h[i].raw };
	read_chain(c);
	return c;
}

void
arc_check_start(const struct arc_check *c, const struct findings *found)
{
	unsigned n = c->chain->n, txt = c->use->txt;

	if (c->verdict.result == ARC_FAIL)
		return;
	found->start(found, txt, c->message[0].s.key);
	for (unsigned i = 0; i < n && i < KEYS_AHEAD; i++)
		found->start(found, txt, c->seal[n - 1 - i].key);
	for (unsigned i = 1; i < c->n_message && i < KEYS_AHEAD; i++)
		if (c->message[i].why == NULL)
			found->start(found, txt, c->message[i].s.key);
}

/* ---- the body -------------------------------------------------------------------------------- */

void
arc_check_body(struct arc_check *c, struct strv text)
{
	if (c->verdict.result == ARC_FAIL)
		return;
	for (unsigned form = 0; form < 2; form++)
		if (c->body[form].digest != NULL)
			canon_body_add(&c->body[form].canon, text);
}

static void
end_body(struct arc_check *c)
{
	for (unsigned form = 0; form < 2 && !c->body_ended; form++)
		if (c->body[form].digest != NULL) {
			canon_body_end(&c->body[form].canon);
			crypt_digest_end(c->body[form].digest, c->body[form].hash);
		}
	c->body_ended = true;
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum key_rc { KEY_OK, KEY_NONE /* why */, KEY_UNKNOWN, KEY_CANCELLED };

/* The first record that is one: RFC 6376 3.6.2.2 leaves open which. */
MAY_YIELD static enum key_rc
find_key(struct arc_check *c, const struct mail *m, const struct arc_signature *sig,
    struct strv *key, const char **why)
{
	const struct arc_use *use = c->use;
	struct fact          *f;

	if (loop_now(fiber_loop()) >= c->until)
		return KEY_UNKNOWN;
	if (fact_get(m->facts, use->defs, use->txt, 0, sig->key, &f) == WAIT_CANCELLED)
		return KEY_CANCELLED;
	if (f->state != FACT_KNOWN)
		return KEY_UNKNOWN;
	*why = "there is no key";
	for (unsigned i = 0; i < f->v.texts.n; i++) {
		*key = arc_key_read(c->a, c->tags, f->v.texts.v[i], sig->kind, why);
		if (key->p != NULL)
			return KEY_OK;
	}
	return KEY_NONE;
}

/* KEY_OK: the signature is of that digest. */
MAY_YIELD static enum key_rc
verify(struct arc_check *c, const struct mail *m, const struct arc_signature *sig,
    const unsigned char *digest, const char **why)
{
	struct strv key;
	enum key_rc rc = find_key(c, m, sig, &key, why);

	if (rc != KEY_OK)
		return rc;
	if (fiber_heavy() == WAIT_CANCELLED)
		return KEY_CANCELLED;
	switch (
	    crypt_verify(c->use->kept, sig->kind, key, c->use->auth->minimum_key, digest, sig->b)) {
	case CRYPT_OK:
		return KEY_OK;
	case CRYPT_WRONG:
		*why = "the signature does not verify";
		break;
	case CRYPT_BAD:
		*why = sig->kind == CRYPT_RSA && crypt_public_bits(key) > 0 &&
			crypt_public_bits(key) < c->use->auth->minimum_key ?
		    "the key is too short" :
		    "the key cannot be used";
	}
	return KEY_NONE;
}

/* ---- the chain ------------------------------------------------------------------------------- */

static const char *
body_differs(const struct arc_check *c, const struct arc_signature *s)
{
	const struct digesting *d = &c->body[s->body];

	if (memcmp(s->hash.p, d->hash, CRYPT_SHA256) != 0)
		return "the body has changed";
	/* RFC 6376 8.2: behind l= anything may have been added. */
	if (s->length != UINT64_MAX && s->length != d->octets)
		return "it covers but a part of the body";
	return NULL;
}

MAY_YIELD static enum key_rc
verify_message(
    struct arc_check *c, const struct mail *m, const struct message_signature *x, const char **why)
{
	uint64_t      now = loop_world(fiber_loop())->wall(loop_world(fiber_loop())) / 1000000;
	unsigned char digest[CRYPT_SHA256];

	*why = x->why != NULL ? x->why : body_differs(c, &x->s);
	if (*why == NULL && x->s.expires != 0 && x->s.expires < now)
		*why = "it has expired";
	if (*why != NULL)
		return KEY_NONE;
	arc_message_digest(c->field, c->n_field, &x->s, digest);
	return verify(c, m, &x->s, digest, why);
}

/* RFC 8617 5.2, 6. */
MAY_YIELD static enum key_rc
verify_seals(struct arc_check *c, const struct mail *m)
{
	unsigned char(*digest)[CRYPT_SHA256] = arena_array(c->a, c->chain->n, sizeof(*digest));
	const char *why = NULL;

	arc_seal_digests(c->chain, digest);
	for (unsigned i = c->chain->n; i > 0; i--) {
		enum key_rc rc = verify(c, m, &c->seal[i - 1], digest[i - 1], &why);

		if (rc == KEY_NONE)
			fail_of(c, ARC_SEAL, i, why);
		if (rc != KEY_OK)
			return rc;
	}
	return KEY_OK;
}

/* RFC 8617 5.2, 5.  What is not looked at is not said to hold; a key that cannot be had ends it, too. */
MAY_YIELD static enum key_rc
find_oldest(struct arc_check *c, const struct mail *m)
{
	unsigned    i = 1;
	const char *why;

	for (; i < c->n_message; i++) {
		enum key_rc rc = verify_message(c, m, &c->message[i], &why);

		if (rc == KEY_CANCELLED)
			return rc;
		if (rc != KEY_OK)
			break;
	}
	c->verdict.oldest = i == c->chain->n ? 0 : c->chain->n - i + 1;
	return KEY_OK;
}

MAY_YIELD static enum key_rc
verify_chain(struct arc_check *c, const struct mail *m)
{
	const char *why = NULL;
	enum key_rc rc = verify_message(c, m, &c->message[0], &why);

	if (rc == KEY_NONE)
		fail_of(c, ARC_MESSAGE, c->chain->n, why);
	if (rc == KEY_OK)
		rc = verify_seals(c, m);
	if (rc == KEY_OK)
		rc = find_oldest(c, m);
	return rc;
}

MAY_YIELD enum wait_rc
arc_check_end(struct arc_check *c, const struct mail *m)
{
	if (c->verdict.result != ARC_NONE)
		return WAIT_OK;
	end_body(c);
	c->until = loop_now(fiber_loop()) + KEYS_TIME;
	switch (verify_chain(c, m)) {
	case KEY_OK:
		c->verdict.result = ARC_PASS;
		break;
	case KEY_UNKNOWN: /* RFC 8617 5.2.1 would call it a failure; but it may pass when it comes again. */
		c->verdict.result = ARC_TEMPERROR;
		c->verdict.why = SV("a key cannot be had now");
		break;
	case KEY_NONE:
		break;
	case KEY_CANCELLED:
		return WAIT_CANCELLED;
	}
	return WAIT_OK;
}

const struct arc_verdict *
arc_check_verdict(const struct arc_check *c)
{
	return &c->verdict;
}
