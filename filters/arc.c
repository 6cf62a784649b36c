/*
 * arc -- who passed it on, and what they saw: the chain of ARC sets.  RFC 8617 5.2.
 *
 * What the header alone can tell is settled when it is complete, so a broken chain costs no look-up; the keys of
 * the newest signatures are asked for then, and the body is hashed as it comes.  A chain is a stranger's: sets,
 * names and older signatures that are looked at are bounded, and so is the time that its keys may take.
 */
#include "filters/arc_own.h"
#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/authres.h"
#include "proxy/mail/tags.h"

enum { ARC, ARC_SEALER, ARC_OLDEST, ARC_RESULT };
enum result { NONE, PASS, FAIL, TEMPERROR };
enum {
	KEYS_AHEAD = 8,   /* names of keys that are asked for before they are needed */
	KEYS_TIME = 30000 /* ms for all keys of a message */
};

/* clang-format off */
static const char *const results[] = { "none", "pass", "fail", "temperror", NULL };
static const struct fact_def facts[] = {
	{ .own = ARC, .name = "arc", .type = FACT_WORD, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .words = results,
	    .about = "does the chain of seals hold?" },
	{ .own = ARC_SEALER, .name = "arc.sealer", .type = FACT_TEXT, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "domain (d=) of the last seal of a chain that holds; absent: arc is not pass" },
	{ .own = ARC_OLDEST, .name = "arc.oldest-pass", .type = FACT_NUMBER, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "the oldest set whose message signature still holds, 0: all do (RFC 8617 5.2); absent: arc is not pass" },
	{ .own = ARC_RESULT, .name = "arc.result", .inner = true, .type = FACT_TEXTS, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "the same as resinfo of Authentication-Results" },
	{ 0 }
};
/* clang-format on */

struct shared {
	const struct auth_conf *auth;
	const struct fact_def  *defs;
	struct crypt_kept      *kept;
	unsigned                arc, txt; /* numbers of facts */
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

struct work { /* of a message that has a chain */
	struct arena             *a;
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
	enum result               result;
	unsigned                  oldest;
	struct strv               why;
};

struct seat {
	const struct shared *shared;
	struct arena        *a;    /* the transaction's */
	struct work         *work; /* NULL: there is no chain, or no header yet */
};

/* ---- the header ------------------------------------------------------------------------------ */

static void
fail(struct work *w, struct strv why)
{
	w->result = FAIL;
	w->why = why;
}

static void
fail_of(struct work *w, const char *what, unsigned instance, const char *why)
{
	fail(w, arena_printf(w->a, "%s i=%u: %s", what, instance, why));
}

static void
hash_piece(void *arg, struct strv piece)
{
	struct digesting *d = arg;

	d->octets += piece.n;
	crypt_digest_add(d->digest, piece);
}

static void
want_body(struct work *w, enum canon_form form)
{
	struct digesting *d = &w->body[form];

	if (d->digest != NULL)
		return;
	d->digest = crypt_digest_begin(w->a);
	d->canon = (struct canon_body){ .form = form, .out = hash_piece, .arg = d };
}

/* The newest one must be good, older ones only tell how far back the message is unchanged. RFC 8617 5.2, 4 and 5 */
static bool
read_messages(struct work *w, unsigned older)
{
	w->n_message = older + 1 < w->chain->n ? older + 1 : w->chain->n;
	w->message = arena_array(w->a, w->n_message, sizeof(*w->message));
	for (unsigned i = 0; i < w->n_message; i++) {
		struct message_signature *m = &w->message[i];
		struct strv               raw = w->chain->set[w->chain->n - 1 - i].message;

		if (arc_message_read(w->a, w->tags, raw, &m->s, &m->why)) {
			m->why = NULL;
			want_body(w, m->s.body);
		} else if (i == 0) {
			fail_of(w, ARC_MESSAGE, w->chain->n, m->why);
			return false;
		}
	}
	return true;
}

static bool
read_seals(struct work *w)
{
	const char *why = NULL;

	w->seal = arena_array(w->a, w->chain->n, sizeof(*w->seal));
	for (unsigned i = w->chain->n; i > 0; i--)
		if (!arc_seal_read(
			w->a, w->tags, w->chain->set[i - 1].seal, &w->seal[i - 1], &why)) {
			fail_of(w, ARC_SEAL, i, why);
			return false;
		}
	return true;
}

static void
read_chain(struct work *w, const struct auth_conf *auth)
{
	w->chain = arc_chain_read(w->a, w->field, w->n_field);
	if (w->chain->n == 0) {
		fail(w, w->chain->why);
		return;
	}
	w->tags = arena_alloc(w->a, sizeof(*w->tags));
	if (read_messages(w, auth->signatures))
		(void)read_seals(w);
}

/* As received: hidden fields may be under a signature. */
static struct work *
begin_work(struct arena *a, const struct message *m)
{
	struct work *w;
	bool         any = false;

	for (unsigned i = 0; i < m->n_h && !any; i++)
		any = arc_is_field(header_name(&m->h[i]));
	if (!any)
		return NULL;
	w = arena_alloc(a, sizeof(*w));
	w->a = a;
	w->field = arena_array(a, m->n_h, sizeof(*w->field));
	w->n_field = m->n_h;
	for (unsigned i = 0; i < m->n_h; i++)
		w->field[i] = (struct view_field){ header_name(&m->h[i]), m->h[i].raw };
	return w;
}

/* Keys that are sure to be asked for: of the newest seals, whose chain is not known to be broken. */
static void
start_keys(const struct seat *s, const struct work *w, const struct findings *found)
{
	unsigned n = w->chain->n, txt = s->shared->txt;

	found->start(found, txt, w->message[0].s.key);
	for (unsigned i = 0; i < n && i < KEYS_AHEAD; i++)
		found->start(found, txt, w->seal[n - 1 - i].key);
	for (unsigned i = 1; i < w->n_message && i < KEYS_AHEAD; i++)
		if (w->message[i].why == NULL)
			found->start(found, txt, w->message[i].s.key);
}

static enum filter_rc
arc_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *found)
{
	struct seat *s = self;
	struct work *w = begin_work(s->a, m->msg);

	(void)at, (void)v;
	if (w == NULL)
		return FILTER_OK;
	read_chain(w, s->shared->auth);
	if (w->result != FAIL)
		start_keys(s, w, found);
	s->work = w;
	return FILTER_OK;
}

static enum filter_rc
arc_body(void *self, struct strv text)
{
	struct work *w = ((struct seat *)self)->work;

	if (w == NULL || w->result == FAIL)
		return FILTER_OK;
	for (unsigned form = 0; form < 2; form++)
		if (w->body[form].digest != NULL)
			canon_body_add(&w->body[form].canon, text);
	return FILTER_OK;
}

static void
end_body(struct work *w)
{
	for (unsigned form = 0; form < 2 && !w->body_ended; form++)
		if (w->body[form].digest != NULL) {
			canon_body_end(&w->body[form].canon);
			crypt_digest_end(w->body[form].digest, w->body[form].hash);
		}
	w->body_ended = true;
}

/* ---- keys ------------------------------------------------------------------------------------ */

enum key_rc { KEY_OK, KEY_NONE /* why */, KEY_UNKNOWN, KEY_CANCELLED };

/* The first record that is one: RFC 6376 3.6.2.2 leaves open which. */
MAY_YIELD static enum key_rc
find_key(const struct seat *s, const struct mail *m, const struct arc_signature *sig,
    struct strv *key, const char **why)
{
	const struct shared *g = s->shared;
	struct work         *w = s->work;
	struct fact         *f;

	if (loop_now(fiber_loop()) >= w->until)
		return KEY_UNKNOWN;
	if (fact_get(m->facts, g->defs, g->txt, 0, sig->key, &f) == WAIT_CANCELLED)
		return KEY_CANCELLED;
	if (f->state != FACT_KNOWN)
		return KEY_UNKNOWN;
	*why = "there is no key";
	for (unsigned i = 0; i < f->v.texts.n; i++) {
		*key = arc_key_read(w->a, w->tags, f->v.texts.v[i], sig->kind, why);
		if (key->p != NULL)
			return KEY_OK;
	}
	return KEY_NONE;
}

/* KEY_OK: the signature is of that digest. */
MAY_YIELD static enum key_rc
verify(const struct seat *s, const struct mail *m, const struct arc_signature *sig,
    const unsigned char *digest, const char **why)
{
	struct strv key;
	enum key_rc rc = find_key(s, m, sig, &key, why);

	if (rc != KEY_OK)
		return rc;
	if (fiber_heavy() == WAIT_CANCELLED)
		return KEY_CANCELLED;
	switch (crypt_verify(
	    s->shared->kept, sig->kind, key, s->shared->auth->minimum_key, digest, sig->b)) {
	case CRYPT_OK:
		return KEY_OK;
	case CRYPT_WRONG:
		*why = "the signature does not verify";
		break;
	case CRYPT_BAD:
		*why = sig->kind == CRYPT_RSA && crypt_public_bits(key) > 0 &&
			crypt_public_bits(key) < s->shared->auth->minimum_key ?
		    "the key is too short" :
		    "the key cannot be used";
	}
	return KEY_NONE;
}

/* ---- the chain ------------------------------------------------------------------------------- */

static const char *
body_differs(const struct work *w, const struct arc_signature *s)
{
	const struct digesting *d = &w->body[s->body];

	if (memcmp(s->hash.p, d->hash, CRYPT_SHA256) != 0)
		return "the body has changed";
	/* RFC 6376 8.2: behind l= anything may have been added. */
	if (s->length != UINT64_MAX && s->length != d->octets)
		return "it covers but a part of the body";
	return NULL;
}

MAY_YIELD static enum key_rc
verify_message(
    const struct seat *s, const struct mail *m, const struct message_signature *x, const char **why)
{
	struct work  *w = s->work;
	uint64_t      now = loop_world(fiber_loop())->wall(loop_world(fiber_loop())) / 1000000;
	unsigned char digest[CRYPT_SHA256];

	*why = x->why != NULL ? x->why : body_differs(w, &x->s);
	if (*why == NULL && x->s.expires != 0 && x->s.expires < now)
		*why = "it has expired";
	if (*why != NULL)
		return KEY_NONE;
	arc_message_digest(w->field, w->n_field, &x->s, digest);
	return verify(s, m, &x->s, digest, why);
}

/* RFC 8617 5.2, 6. */
MAY_YIELD static enum key_rc
verify_seals(const struct seat *s, const struct mail *m)
{
	struct work *w = s->work;
	unsigned char(*digest)[CRYPT_SHA256] = arena_array(w->a, w->chain->n, sizeof(*digest));
	const char *why = NULL;

	arc_seal_digests(w->chain, digest);
	for (unsigned i = w->chain->n; i > 0; i--) {
		enum key_rc rc = verify(s, m, &w->seal[i - 1], digest[i - 1], &why);

		if (rc == KEY_NONE)
			fail_of(w, ARC_SEAL, i, why);
		if (rc != KEY_OK)
			return rc;
	}
	return KEY_OK;
}

/* RFC 8617 5.2, 5.  What is not looked at is not said to hold; a key that cannot be had ends it, too. */
MAY_YIELD static enum key_rc
find_oldest(const struct seat *s, const struct mail *m)
{
	struct work *w = s->work;
	unsigned     i = 1;
	const char  *why;

	for (; i < w->n_message; i++) {
		enum key_rc rc = verify_message(s, m, &w->message[i], &why);

		if (rc == KEY_CANCELLED)
			return rc;
		if (rc != KEY_OK)
			break;
	}
	w->oldest = i == w->chain->n ? 0 : w->chain->n - i + 1;
	return KEY_OK;
}

MAY_YIELD static enum key_rc
verify_chain(const struct seat *s, const struct mail *m)
{
	struct work *w = s->work;
	const char  *why = NULL;
	enum key_rc  rc;

	end_body(w);
	w->until = loop_now(fiber_loop()) + KEYS_TIME;
	rc = verify_message(s, m, &w->message[0], &why);
	if (rc == KEY_NONE)
		fail_of(w, ARC_MESSAGE, w->chain->n, why);
	if (rc == KEY_OK)
		rc = verify_seals(s, m);
	if (rc == KEY_OK)
		rc = find_oldest(s, m);
	if (rc == KEY_OK)
		w->result = PASS;
	else if (rc == KEY_UNKNOWN) {
		/* RFC 8617 5.2.1 would call it a failure; but it may pass when it comes again. */
		w->result = TEMPERROR;
		w->why = SV("a key cannot be had now");
	}
	return rc;
}

/* ---- facts ----------------------------------------------------------------------------------- */

static struct strv
remote_ip(struct arena *a, const struct client *c)
{
	char        room[ADDR_TEXT];
	struct strv ip;

	if (c->addr.addr.family != ADDR_IP4 && c->addr.addr.family != ADDR_IP6)
		return SV("");
	ip = authres_value(a, addr_print(&c->addr.addr, room));
	return arena_printf(a, " smtp.remote-ip=%.*s", (int)ip.n, ip.p);
}

/* RFC 8617 6; RFC 8601 2.2. */
static void
tell(struct arena *a, const struct work *w, const struct client *c, struct fact *f)
{
	struct strv *text = arena_alloc(a, sizeof(*text)), ip = remote_ip(a, c), why;
	enum result  result = w != NULL ? w->result : NONE;

	if (result == PASS) {
		*text = arena_printf(
		    a, "arc=pass header.oldest-pass=%u%.*s", w->oldest, (int)ip.n, ip.p);
	} else if (result == NONE) {
		*text = arena_concat(a, SV("arc=none"), ip);
	} else {
		why = authres_words(a, w->why);
		*text = arena_printf(a, "arc=%s reason=\"%.*s\"%.*s", results[result], (int)why.n,
		    why.p, (int)ip.n, ip.p);
	}
	f->v.texts.v = text;
	f->v.texts.n = 1;
}

static void
source_of(struct fact *f, const struct work *w)
{
	if (w == NULL)
		f->source = SV("no ARC fields");
	else if (w->why.p != NULL)
		f->source = authres_words(f->a, w->why);
	else
		f->source = arena_printf(f->a, "%u ARC sets", w->chain->n);
}

/* The others build on `arc': who asks while it is on its way waits for it. */
MAY_YIELD static enum filter_rc
ask_of_chain(struct seat *s, struct fact *f, const struct mail *m)
{
	struct work *w;
	struct fact *arc;

	if (fact_get(m->facts, s->shared->defs, s->shared->arc, 0, strv(NULL, 0), &arc) ==
	    WAIT_CANCELLED)
		return FILTER_CANCELLED;
	if (arc->state != FACT_KNOWN)
		return FILTER_TEMP;
	w = s->work;
	source_of(f, w);
	if (f->def->own == ARC_RESULT) {
		tell(f->a, w, m->client, f);
		return FILTER_OK;
	}
	f->v = (union fact_value){ 0 };
	if (f->def->own == ARC_OLDEST)
		f->v.number = FACT_NUMBER_ABSENT;
	if (w != NULL && w->result == TEMPERROR)
		return FILTER_TEMP;
	if (w == NULL || w->result != PASS)
		return FILTER_OK;
	if (f->def->own == ARC_OLDEST)
		f->v.number = w->oldest;
	else
		f->v.text = w->seal[w->chain->n - 1].domain;
	return FILTER_OK;
}

/* A chain that is broken or cannot be judged: the policy sees a word, the operator the reason. */
static void
tell_of_failure(const struct work *w, const struct mail *m)
{
	struct log_line *l;

	if (w->why.p == NULL)
		return;
	l = arena_alloc(w->a, sizeof(*l));
	log_begin(l, loop_world(fiber_loop()), strv_z(m->id), "arc-error");
	log_z(l, "arc", results[w->result]);
	log_strv(l, "reason", authres_words(w->a, w->why));
	log_end(l);
}

MAY_YIELD static enum filter_rc
arc_ask(void *self, struct fact *f, const struct mail *m)
{
	struct seat   *s = self;
	enum filter_rc rc = FILTER_OK;

	if (m->msg == NULL || !m->msg->headers_done)
		return FILTER_BUG;
	if (f->def->own != ARC)
		rc = ask_of_chain(s, f, m);
	else {
		if (s->work != NULL && s->work->result == NONE &&
		    verify_chain(s, m) == KEY_CANCELLED)
			return FILTER_CANCELLED;
		if (s->work != NULL)
			tell_of_failure(s->work, m);
		source_of(f, s->work);
		f->v.word = s->work != NULL ? s->work->result : NONE;
	}
	if (rc == FILTER_OK)
		f->state = FACT_KNOWN;
	return rc;
}

/* ---- the filter ------------------------------------------------------------------------------ */

static void *
arc_make(struct arena *conf, const struct filter_use *use)
{
	static const char *const ours[] = { "arc", "arc.sealer", "arc.oldest-pass" };
	struct shared           *g = arena_alloc(conf, sizeof(*g));
	bool     wanted = (use->auth->methods & AUTH_ARC) != 0 || use->auth->n_seal > 0;
	unsigned n;

	for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		wanted = wanted || use->asked[registry_number(ours[i])];
	g->auth = use->auth;
	g->defs = registry_facts(&n);
	g->arc = registry_number("arc");
	g->txt = registry_number("txt");
	if (!wanted)
		return NULL;
	g->kept = crypt_kept_new(conf);
	return g;
}

static void *
arc_open(struct arena *a, void *shared, const struct client *c)
{
	struct seat *s = arena_alloc(a, sizeof(*s));

	(void)c;
	s->shared = shared;
	return s;
}

static void
arc_begin(void *self, struct arena *transaction)
{
	struct seat *s = self;

	s->a = transaction;
	s->work = NULL;
}

static void
arc_end(void *self)
{
	((struct seat *)self)->work = NULL;
}

const struct filter arc_filter = {
	.name = "arc",
	.facts = facts,
	.does = DOES_BODY | DOES_ORIGINAL,
	.stages = AT(HEADERS),
	.make = arc_make,
	.open = arc_open,
	.begin = arc_begin,
	.end = arc_end,
	.at = arc_at,
	.ask = arc_ask,
	.body = arc_body,
};
