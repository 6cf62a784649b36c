/*
 * seal -- adds our ARC set, when all else is done.  RFC 8617 5.1.
 *
 * The message that is sealed is the view: all edits are in it, our other fields among them.  The chain that it
 * continues is the one that was verified; where somebody changed that since, or it could not be verified now,
 * there is no seal: a message without one is better off than one whose chain we broke for ever.
 */
#include "filters/arc_own.h"
#include "filters/auth.h"
#include "filters/authres.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/authres.h"
#include "proxy/mail/tags.h"

enum {
	SAME_MAX = 20,     /* fields of one name that are signed */
	NAMES_ROOM = 4096, /* of h= */
	PIECE = 16384      /* of a body that is in a file */
};

/* What a reader sees or a program acts on. RFC 6376 5.4.1; RFC 8617 4.1.2 wants DKIM-Signature. */
static const char *const signed_names[] = { "from", "reply-to", "to", "cc", "subject", "date",
	"message-id", "in-reply-to", "references", "mime-version", "content-type",
	"content-transfer-encoding", "dkim-signature" };

struct shared {
	const struct auth_conf *auth;
	const struct fact_def  *defs;
	unsigned                arc;
};

struct body {
	struct canon_body    canon;
	struct crypt_digest *digest;
};

struct seat {
	const struct shared *shared;
	struct arena        *a;
	struct body         *body; /* as it comes; NULL: not yet */
};

/* ---- the body -------------------------------------------------------------------------------- */

static void
hash_piece(void *arg, struct strv piece)
{
	crypt_digest_add(((struct body *)arg)->digest, piece);
}

static struct body *
begin_body(struct arena *a)
{
	struct body *b = arena_alloc(a, sizeof(*b));

	b->canon = (struct canon_body){ .form = CANON_RELAXED, .out = hash_piece, .arg = b };
	b->digest = crypt_digest_begin(a);
	return b;
}

static enum filter_rc
seal_body(void *self, struct strv text)
{
	struct seat *s = self;

	if (s->body != NULL)
		canon_body_add(&s->body->canon, text);
	return FILTER_OK;
}

/* The body that somebody put in place of the one that came. */
MAY_YIELD static enum filter_rc
hash_spool(struct body *b, struct arena *a, const struct spool *from)
{
	char       *room = arena_bytes(a, PIECE);
	struct strv piece;

	for (uint64_t at = 0; at < spool_size(from); at += piece.n) {
		piece = spool_read(from, at, room, PIECE);
		if (piece.n == 0)
			return FILTER_BUG;
		canon_body_add(&b->canon, piece);
		if (fiber_yield() == WAIT_CANCELLED)
			return FILTER_CANCELLED;
	}
	return FILTER_OK;
}

/* ---- the three fields ------------------------------------------------------------------------ */

struct sealing {
	struct arena           *a;
	const struct auth_conf *auth;
	const struct sign_rule *rule;
	struct view_field      *field;
	unsigned                n_field;
	struct arc_chain       *chain; /* of the view */
	const char             *cv;
	bool                    alone; /* the seal signs our set and no other */
	unsigned                i;
	uint64_t                now; /* seconds */
	struct strv             body_hash;
	struct arc_set          set; /* ours, as fields */
	const char             *why; /* there is no seal */
};

static struct strv
field_of(struct arena *a, const char *name, struct strv value)
{
	return arena_printf(a, "%s: %.*s\r\n", name, (int)value.n, value.p);
}

static struct strv
value_of(struct arena *a, struct strv field)
{
	size_t colon = strv_chr(field, ':');

	return arena_dup(a, strv(field.p + colon + 2, field.n - colon - 4));
}

static struct strv
algorithm(const struct sealing *s)
{
	return crypt_key_kind(s->rule->key->key) == CRYPT_RSA ? SV("rsa-sha256") :
								SV("ed25519-sha256");
}

/* Base64 in lines of 64. */
static struct strv
fold64(struct arena *a, struct strv text)
{
	char  *p = arena_bytes(a, text.n + text.n / 64 * 4 + 4);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (i > 0 && i % 64 == 0) {
			memcpy(p + n, "\r\n\t ", 4);
			n += 4;
		}
		p[n++] = text.p[i];
	}
	return strv(p, n);
}

struct names {
	char   p[NAMES_ROOM];
	size_t n, line;
};

static void
add_name(struct names *h, const char *name)
{
	size_t n = strlen(name);

	if (h->n + n + 5 > NAMES_ROOM)
		return;
	if (h->n > 0) {
		h->p[h->n++] = ':';
		h->line++;
	}
	if (h->line + n > 64) {
		memcpy(h->p + h->n, "\r\n\t ", 4);
		h->n += 4;
		h->line = 0;
	}
	memcpy(h->p + h->n, name, n);
	h->n += n;
	h->line += n;
}

/* Each name as often as there are such fields; From once more, so that none can be added. RFC 6376 8.15 */
static struct strv
names_of(const struct sealing *s)
{
	struct names *h = arena_alloc(s->a, sizeof(*h));

	for (unsigned k = 0; k < sizeof(signed_names) / sizeof(signed_names[0]); k++) {
		unsigned n = k == 0 ? 1 : 0;

		for (unsigned i = 0; i < s->n_field; i++)
			n += strv_ieq(s->field[i].name, strv_z(signed_names[k]));
		for (n = n < SAME_MAX ? n : SAME_MAX; n > 0; n--)
			add_name(h, signed_names[k]);
	}
	return strv(h->p, h->n);
}

/* The field with its b= empty becomes the one with the signature. False: signing failed. */
static bool
sign(const struct sealing *s, struct strv *field, const unsigned char digest[CRYPT_SHA256])
{
	struct strv b = crypt_sign(s->a, s->rule->key->key, digest);

	if (b.n == 0)
		return false;
	b = fold64(s->a, tags_to_base64(s->a, b));
	*field = arena_concat(s->a, strv_first(*field, field->n - 2), b);
	*field = arena_concat(s->a, *field, SV("\r\n"));
	return true;
}

/* RFC 8617 4.1.1 */
MAY_YIELD static enum filter_rc
make_results(struct sealing *s, struct facts *facts)
{
	const struct strv *resinfo;
	unsigned           n;
	struct strv        all, id = authres_id(s->a, s->auth->id);

	if (authres_collect(facts, s->auth->methods | AUTH_ARC, &resinfo, &n) != FILTER_OK)
		return FILTER_CANCELLED;
	all = authres_field(
	    s->a, arena_printf(s->a, "i=%u; %.*s", s->i, (int)id.n, id.p), resinfo, n);
	s->set.results = field_of(s->a, ARC_RESULTS, all);
	return FILTER_OK;
}

/* RFC 8617 4.1.2 */
static bool
make_message(struct sealing *s)
{
	struct arc_signature sig = { .header = CANON_RELAXED, .names = names_of(s) };
	struct strv          a = algorithm(s), d = s->rule->key->domain, sel = s->rule->selector;
	unsigned char        digest[CRYPT_SHA256];

	s->set.message = field_of(s->a, ARC_MESSAGE,
	    arena_printf(s->a,
		"i=%u; a=%.*s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s; t=%llu;\r\n\th=%.*s;\r\n"
		"\tbh=%.*s;\r\n\tb=",
		s->i, (int)a.n, a.p, (int)d.n, d.p, (int)sel.n, sel.p, (unsigned long long)s->now,
		(int)sig.names.n, sig.names.p, (int)s->body_hash.n, s->body_hash.p));
	sig.raw = s->set.message;
	arc_message_digest(s->field, s->n_field, &sig, digest);
	return sign(s, &s->set.message, digest);
}

/* RFC 8617 4.1.3, 5.1.1, 5.1.2 */
static bool
make_seal(struct sealing *s)
{
	struct strv   a = algorithm(s), d = s->rule->key->domain, sel = s->rule->selector;
	unsigned char digest[CRYPT_SHA256];

	s->set.seal = field_of(s->a, ARC_SEAL,
	    arena_printf(s->a, "i=%u; a=%.*s; t=%llu; cv=%s;\r\n\td=%.*s; s=%.*s;\r\n\tb=", s->i,
		(int)a.n, a.p, (unsigned long long)s->now, s->cv, (int)d.n, d.p, (int)sel.n,
		sel.p));
	arc_seal_digest(s->alone ? NULL : s->chain, &s->set, digest);
	return sign(s, &s->set.seal, digest);
}

/* ---- what to seal ---------------------------------------------------------------------------- */

/* The first that is meant: a message gets one set of us. */
static const struct sign_rule *
rule_of(const struct auth_conf *auth, const bool *holds)
{
	for (unsigned i = 0; i < auth->n_seal; i++)
		if (holds != NULL && holds[auth->seal[i].number])
			return &auth->seal[i];
	return NULL;
}

/* Are the ARC fields of the view those that came? */
static bool
is_untouched(const struct sealing *s, const struct message *m)
{
	unsigned i = 0, k = 0;

	for (;;) {
		while (i < s->n_field && !arc_is_field(s->field[i].name))
			i++;
		while (k < m->n_h && (m->h[k].hidden || !arc_is_field(header_name(&m->h[k]))))
			k++;
		if (i == s->n_field || k == m->n_h)
			return i == s->n_field && k == m->n_h;
		if (s->field[i++].raw.p != m->h[k++].raw.p)
			return false;
	}
}

/* The instance and cv= of our set, or why there is none.  word: of the fact `arc'. RFC 8617 5.1, 2 and 3 */
static const char *
place_of(struct sealing *s, const struct fact *arc, const struct message *m)
{
	const char *word = arc->state == FACT_KNOWN ? arc->def->words[arc->v.word] : "temperror";

	s->chain = arc_chain_read(s->a, s->field, s->n_field);
	s->i = s->chain->highest + 1;
	s->cv = word;
	if (!is_untouched(s, m))
		return "its ARC fields were changed here";
	if (strcmp(word, "temperror") == 0)
		return "its ARC chain cannot be verified now";
	if (s->chain->ended)
		return "its ARC chain has ended";
	if (s->i > ARC_SETS_MAX)
		return "it has as many ARC sets as may be";
	s->alone = strcmp(word, "fail") == 0;
	return NULL;
}

MAY_YIELD static enum filter_rc
end_body(struct seat *seat, struct sealing *s, const struct view *v)
{
	unsigned char  hash[CRYPT_SHA256];
	struct body   *b = seat->body;
	enum filter_rc rc = FILTER_OK;

	if (b == NULL || view_body(v) != v->msg->body) {
		b = begin_body(s->a);
		if (view_body(v) != NULL)
			rc = hash_spool(b, s->a, view_body(v));
	}
	seat->body = NULL;
	if (rc != FILTER_OK)
		return rc;
	canon_body_end(&b->canon);
	crypt_digest_end(b->digest, hash);
	s->body_hash = tags_to_base64(s->a, strv((const char *)hash, sizeof(hash)));
	return FILTER_OK;
}

static bool
add_edit(struct sealing *s, struct edits *edits, const char *name, struct strv field)
{
	struct edit e = { .op = EDIT_INSERT_HEADER,
		.name = strv_z(name),
		.value = value_of(s->a, field),
		.by = SV("seal") };

	return edits_add(s->a, edits, &e, &s->why);
}

/* RFC 8617 5.1, 4: each above the one before, so that the seal is on top. */
MAY_YIELD static enum filter_rc
add_set(struct seat *seat, struct sealing *s, const struct view *v, struct findings *found)
{
	enum filter_rc rc = end_body(seat, s, v);

	if (rc == FILTER_OK)
		rc = make_results(s, found->facts);
	if (rc == FILTER_CANCELLED || fiber_heavy() == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	s->why = "signing failed";
	if (rc != FILTER_OK || !make_message(s) || !make_seal(s) ||
	    !add_edit(s, found->edits, ARC_RESULTS, s->set.results) ||
	    !add_edit(s, found->edits, ARC_MESSAGE, s->set.message) ||
	    !add_edit(s, found->edits, ARC_SEAL, s->set.seal))
		return FILTER_BUG;
	s->why = NULL;
	return FILTER_OK;
}

/* A message that cannot be sealed goes on without: that is told, but no reason to keep it. */
static enum filter_rc
told(const struct sealing *s, const struct mail *m, enum filter_rc rc)
{
	struct log_line *l;

	if (s->why == NULL)
		return rc;
	l = arena_alloc(s->a, sizeof(*l));
	log_begin(l, loop_world(fiber_loop()), strv_z(m->id), "unsealed");
	log_strv(l, "domain", s->rule->key[0].domain);
	log_strv(l, "selector", s->rule->selector);
	log_strv(l, "at", s->rule->where);
	log_z(l, "reason", s->why);
	log_end(l);
	return rc;
}

MAY_YIELD static enum filter_rc
seal_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *found)
{
	struct seat   *seat = self;
	struct sealing s = { .a = seat->a, .auth = seat->shared->auth };
	struct fact   *arc;

	if (at == STAGE_HEADERS) {
		seat->body = begin_body(seat->a);
		return FILTER_OK;
	}
	s.rule = rule_of(s.auth, found->holds);
	if (s.rule == NULL)
		return FILTER_OK;
	if (fact_get(m->facts, seat->shared->defs, seat->shared->arc, 0, strv(NULL, 0), &arc) ==
	    WAIT_CANCELLED)
		return FILTER_CANCELLED;
	s.now = loop_world(fiber_loop())->wall(loop_world(fiber_loop())) / 1000000;
	s.field = view_fields(s.a, v, &s.n_field);
	s.why = place_of(&s, arc, m->msg);
	return told(&s, m, s.why != NULL ? FILTER_OK : add_set(seat, &s, v, found));
}

/* ---- the filter ------------------------------------------------------------------------------ */

static void *
seal_make(struct arena *conf, const struct filter_use *use)
{
	struct shared *g;
	unsigned       n;

	if (use->auth->n_seal == 0)
		return NULL;
	g = arena_alloc(conf, sizeof(*g));
	g->auth = use->auth;
	g->defs = registry_facts(&n);
	g->arc = registry_number("arc");
	return g;
}

static void *
seal_open(struct arena *a, void *shared, const struct client *c)
{
	struct seat *s = arena_alloc(a, sizeof(*s));

	(void)c;
	s->shared = shared;
	return s;
}

static void
seal_begin(void *self, struct arena *transaction)
{
	struct seat *s = self;

	s->a = transaction;
	s->body = NULL;
}

static void
seal_end(void *self)
{
	((struct seat *)self)->body = NULL;
}

const struct filter seal_filter = {
	.name = "seal",
	.does = DOES_SEAL | DOES_BODY | DOES_ORIGINAL,
	.stages = AT(HEADERS) | AT(SEAL),
	.make = seal_make,
	.open = seal_open,
	.begin = seal_begin,
	.end = seal_end,
	.at = seal_at,
	.body = seal_body,
};
