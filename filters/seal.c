/*
 * seal -- adds our ARC set, when all else is done.  RFC 8617 5.1.
 *
 * The message that is sealed is the view: all edits are in it, our other fields among them.  The chain that it
 * continues is the one that was verified; where somebody changed that since, or it could not be verified now,
 * there is no seal: a message without one is better off than one whose chain we broke for ever.
 */
#include "filters/filters.h"
#include "filters/registry.h"
#include "filters/seal_own.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/tags.h"

enum { PIECE = 16384 }; /* of a body that is in a file */

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

/* Of a field of ours: what stands between its name and its CRLF. */
static struct strv
value_of(struct arena *a, struct strv field)
{
	size_t colon = strv_chr(field, ':');

	return arena_dup(a, strv(field.p + colon + 2, field.n - colon - 4));
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
		rc = seal_make_results(s, found->facts);
	if (rc == FILTER_CANCELLED || fiber_heavy() == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	s->why = "signing failed";
	if (rc != FILTER_OK || !seal_make_message(s) || !seal_make_seal(s) ||
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
