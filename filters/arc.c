/*
 * arc -- who passed it on, and what they saw: the facts of a chain of ARC sets, and how they are told.  RFC 8617 6.
 *
 * arc_check.c looks at the chain, once a message, for the fact `arc'; the other facts wait for that one.  The policy
 * sees a word, the operator and Authentication-Results the reason, too.
 */
#include "filters/arc_check.h"
#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/mail/authres.h"

enum { ARC, ARC_SEALER, ARC_OLDEST, ARC_RESULT };

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
	struct arc_use use;
	unsigned       arc; /* the number of that fact */
};

struct seat {
	const struct shared *shared;
	struct arena        *a;     /* the transaction's */
	struct arc_check    *check; /* NULL: there is no chain, or no header yet */
};

static const struct arc_verdict *
verdict_of(const struct seat *s)
{
	static const struct arc_verdict none;

	return s->check != NULL ? arc_check_verdict(s->check) : &none;
}

/* ---- the message ----------------------------------------------------------------------------- */

static enum filter_rc
arc_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *found)
{
	struct seat *s = self;

	(void)at, (void)v;
	s->check = arc_check_begin(s->a, &s->shared->use, m->msg);
	if (s->check != NULL)
		arc_check_start(s->check, found);
	return FILTER_OK;
}

static enum filter_rc
arc_body(void *self, struct strv text)
{
	struct seat *s = self;

	if (s->check != NULL)
		arc_check_body(s->check, text);
	return FILTER_OK;
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
tell(struct arena *a, const struct arc_verdict *v, const struct client *c, struct fact *f)
{
	struct strv *text = arena_alloc(a, sizeof(*text)), ip = remote_ip(a, c), why;

	if (v->result == ARC_PASS) {
		*text = arena_printf(
		    a, "arc=pass header.oldest-pass=%u%.*s", v->oldest, (int)ip.n, ip.p);
	} else if (v->result == ARC_NONE) {
		*text = arena_concat(a, SV("arc=none"), ip);
	} else {
		why = authres_words(a, v->why);
		*text = arena_printf(a, "arc=%s reason=\"%.*s\"%.*s", results[v->result],
		    (int)why.n, why.p, (int)ip.n, ip.p);
	}
	f->v.texts.v = text;
	f->v.texts.n = 1;
}

static void
source_of(struct fact *f, const struct seat *s)
{
	const struct arc_verdict *v = verdict_of(s);

	if (s->check == NULL)
		f->source = SV("no ARC fields");
	else if (v->why.p != NULL)
		f->source = authres_words(f->a, v->why);
	else
		f->source = arena_printf(f->a, "%u ARC sets", v->sets);
}

/* The others build on `arc': who asks while it is on its way waits for it. */
MAY_YIELD static enum filter_rc
ask_of_chain(struct seat *s, struct fact *f, const struct mail *m)
{
	const struct arc_verdict *v;
	struct fact              *arc;

	if (fact_get(m->facts, s->shared->use.defs, s->shared->arc, 0, strv(NULL, 0), &arc) ==
	    WAIT_CANCELLED)
		return FILTER_CANCELLED;
	if (arc->state != FACT_KNOWN)
		return FILTER_TEMP;
	v = verdict_of(s);
	source_of(f, s);
	if (f->def->own == ARC_RESULT) {
		tell(f->a, v, m->client, f);
		return FILTER_OK;
	}
	f->v = (union fact_value){ 0 };
	if (f->def->own == ARC_OLDEST)
		f->v.number = FACT_NUMBER_ABSENT;
	if (v->result == ARC_TEMPERROR)
		return FILTER_TEMP;
	if (v->result != ARC_PASS)
		return FILTER_OK;
	if (f->def->own == ARC_OLDEST)
		f->v.number = v->oldest;
	else
		f->v.text = v->sealer;
	return FILTER_OK;
}

/* A chain that is broken or cannot be judged: the policy sees a word, the operator the reason. */
static void
tell_of_failure(const struct seat *s, const struct mail *m)
{
	const struct arc_verdict *v = verdict_of(s);
	struct log_line          *l;

	if (v->why.p == NULL)
		return;
	l = arena_alloc(s->a, sizeof(*l));
	log_begin(l, loop_world(fiber_loop()), strv_z(m->id), "arc-error");
	log_z(l, "arc", results[v->result]);
	log_strv(l, "reason", authres_words(s->a, v->why));
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
		if (s->check != NULL && arc_check_end(s->check, m) == WAIT_CANCELLED)
			return FILTER_CANCELLED;
		tell_of_failure(s, m);
		source_of(f, s);
		f->v.word = verdict_of(s)->result;
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
	g->use.auth = use->auth;
	g->use.defs = registry_facts(&n);
	g->arc = registry_number("arc");
	g->use.txt = registry_number("txt");
	if (!wanted)
		return NULL;
	g->use.kept = crypt_kept_new(conf);
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
	s->check = NULL;
}

static void
arc_end(void *self)
{
	((struct seat *)self)->check = NULL;
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
