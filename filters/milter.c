/*
 * milter -- one seat for all milters and plugins of a configuration.
 *
 * At each stage every one of them that is to hear of it (findings.hears) is told, in file order, and what it has
 * answered becomes advice and the fact milter(NAME).  Nothing is decided here.  The invariants: after every end of a
 * transaction, whoever brought it about, each milter hears of the next one anew; a milter that was never told anything
 * costs a session one pointer.
 */
#include "filters/milter.h"

#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"

enum word { CONTINUE, ACCEPT, REJECT, TEMPFAIL, DISCARD, QUARANTINE, DISCONNECT };

static const char *const words[] = { "continue", "accept", "reject", "tempfail", "discard",
	"quarantine", "disconnect", NULL };

static const struct fact_def facts[] = {
	{ .name = "milter",
	    .type = FACT_WORD,
	    .first = STAGE_CONNECT,
	    .settled = STAGE_MESSAGE,
	    .words = words,
	    .args = "s",
	    .about = "what that milter or plugin says so far; absent: it takes no part",
	    .cost = COST_TEXT },
	{ .name = NULL },
};

struct seat {
	const struct milter_shared *shared;
	struct arena               *session;
	struct milter_peer        **peer; /* by number; NULL: not one was told anything yet */
};

/* ---- what is shared ---- */

static void *
milter_make(struct arena *conf, const struct filter_use *use)
{
	const struct milters_conf *c = use->milters;
	struct milter_shared      *shared;

	if (c->n == 0 && !c->dry)
		return NULL;
	shared = arena_alloc(conf, sizeof(*shared));
	shared->conf = c;
	shared->methods = use->auth->methods;
	shared->by = arena_array(conf, c->n, sizeof(*shared->by));
	for (unsigned i = 0; i < c->n; i++)
		shared->by[i] = arena_concat(conf, SV("milter "), c->v[i].name);
	return shared;
}

static void *
milter_open(struct arena *session, void *shared, const struct client *client)
{
	struct seat *s = arena_alloc(session, sizeof(*s));

	(void)client;
	s->shared = shared;
	s->session = session;
	return s;
}

/* ---- re-arming ---- */

static void
milter_begin(void *self, struct arena *transaction)
{
	struct seat *s = self;

	(void)transaction;
	for (unsigned i = 0; s->peer != NULL && i < s->shared->conf->n; i++) {
		struct milter_peer *p = s->peer[i];

		if (p == NULL)
			continue;
		p->failed = p->over = p->accepts = false;
		p->message = p->late = p->now = (struct verdict){ 0 };
		p->rcpts = p->named = p->skips = p->answered = p->again = 0;
		p->cut = false;
	}
}

/*
 * libmilter, xxfi_abort: who has heard of a message, and not of its end, hears that there is none.  Also who has
 * answered for good before the end: its library knows what of that the filter need not be told.
 */
static void
milter_end(void *self)
{
	struct seat *s = self;

	milter_begin(s, NULL);
	for (unsigned i = 0; s->peer != NULL && i < s->shared->conf->n; i++) {
		struct milter_peer *p = s->peer[i];

		if (p == NULL || p->end == NULL)
			continue;
		if (milter_in_message(p))
			milter_talk_abort(p);
		p->quiet = true;
	}
}

static void
milter_close(void *self)
{
	struct seat *s = self;

	for (unsigned i = 0; s->peer != NULL && i < s->shared->conf->n; i++)
		if (s->peer[i] != NULL)
			milter_talk_close(s->peer[i], true);
}

/* ---- advice ---- */

static enum word
word_of(const struct advice *a)
{
	switch (a->say.kind) {
	case VERDICT_REJECT:
		return REJECT;
	case VERDICT_TEMPFAIL:
		return TEMPFAIL;
	case VERDICT_DISCARD:
		return DISCARD;
	case VERDICT_QUARANTINE:
		return QUARANTINE;
	case VERDICT_DISCONNECT:
		return DISCONNECT;
	default:
		return a->accepts ? ACCEPT : CONTINUE;
	}
}

/* The widest of its answers holds. */
static struct verdict
say_of(const struct milter_peer *p, enum stage at)
{
	if (p->session_over)
		return p->session;
	if (verdict_final(&p->message))
		return p->message;
	if (at >= STAGE_DATA && verdict_final(&p->late))
		return p->late;
	return p->now;
}

static void
put_word(const struct findings *found, struct strv name, enum fact_state state, unsigned word)
{
	static unsigned  number; /* from 1 */
	unsigned         n;
	union fact_value v = { .word = word };

	if (number == 0)
		number = registry_number("milter") + 1;
	fact_put(found->facts, registry_facts(&n), number - 1, name, state, v);
}

/* It takes no part any more: what it has said before is no more to be asked for. */
static void
leave_out(const struct milter_conf *c, struct findings *found)
{
	struct advice *a = &found->advice[c->number];

	if (a->asked)
		put_word(found, c->name, FACT_KNOWN, FACT_WORD_ABSENT);
	*a = (struct advice){ 0 };
}

static void
advise(const struct milter_peer *p, enum stage at, struct findings *found)
{
	struct advice *a = &found->advice[p->conf->number];

	/* An answer to a command that is not known is of that command. */
	if (at == STAGE_UNKNOWN) {
		if (verdict_final(&p->now))
			a->say = p->now;
		return;
	}
	*a = (struct advice){ .asked = true, .failed = p->failed };
	if (!p->failed) {
		a->say = say_of(p, at);
		a->accepts = p->session_over ? p->session_accepts : p->accepts;
	}
	put_word(found, p->conf->name, a->failed ? FACT_UNKNOWN : FACT_KNOWN, (unsigned)word_of(a));
}

/* ---- telling ---- */

static struct milter_peer *
peer_of(struct seat *s, unsigned i)
{
	const struct milters_conf *c = s->shared->conf;

	if (s->peer == NULL)
		s->peer = arena_array(s->session, c->n, sizeof(struct milter_peer *));
	if (s->peer[i] == NULL) {
		s->peer[i] = arena_alloc(s->session, sizeof(*s->peer[i]));
		s->peer[i]->conf = &c->v[i];
	}
	return s->peer[i];
}

/* A recipient that the checks have refused: only those hear of it that have begun and want to. */
static bool
is_refused(const struct mail *m, enum stage at)
{
	return at == STAGE_RCPT && verdict_final(&m->env->rcpt[m->rcpt].said);
}

MAY_YIELD static enum filter_rc
tell(struct seat *s, unsigned i, enum stage at, const struct mail *m, struct findings *found,
    struct arena *work)
{
	struct milter_peer *p = peer_of(s, i);
	struct milter_talk  t = { .shared = s->shared,
		 .p = p,
		 .session = s->session,
		 .at = at,
		 .m = m,
		 .found = found,
		 .work = work };
	enum milter_told    rc = p->failed ? TOLD_FAILED : TOLD_OVER;

	p->now = (struct verdict){ 0 };
	if (!p->failed && !p->session_over && !p->over)
		rc = milter_tell(&t);
	if (rc == TOLD_CANCELLED)
		return FILTER_CANCELLED;
	/* It has heard enough of this client, and may have its connection back. */
	if (p->session_over && p->end != NULL)
		milter_talk_close(p, true);
	advise(p, at, found);
	return FILTER_OK;
}

/*
 * libmilter's engine forgets over UNKNOWN that it was in a message, and then ignores HEADER, EOH and EOM without a
 * word (NX_UNKN in engine.c); behind DATA it calls xxfi_abort.  So this is for those who are between messages.
 */
static bool
hears_unknown(const struct milter_peer *p)
{
	return p != NULL && p->end != NULL && !milter_in_message(p);
}

MAY_YIELD static enum hears
hears(const struct seat *s, unsigned i, enum stage at, const struct mail *m,
    const struct findings *found)
{
	const struct milter_peer *p = s->peer != NULL ? s->peer[i] : NULL;

	if (at == STAGE_UNKNOWN && !hears_unknown(p))
		return HEARS_NO;
	if (is_refused(m, at) && (p == NULL || p->end == NULL || !(p->wants & MILTER_RCPT_REJ)))
		return HEARS_NO;
	return found->hears != NULL ? found->hears(found, i) : HEARS_YES;
}

/* It is not told, and what it said of another recipient is not of this one. */
static void
pass_over(struct seat *s, unsigned i, enum stage at, struct findings *found)
{
	struct milter_peer *p = s->peer != NULL ? s->peer[i] : NULL;

	if (p == NULL || !found->advice[i].asked)
		return;
	p->now = (struct verdict){ 0 };
	advise(p, at, found);
}

/*
 * Behind one whose word is obeyed for certain nobody is told: not of the end of a message, which is what costs, nor
 * of anything else that no longer matters.  Of a recipient that it refuses those hear who want to hear of such.
 */
MAY_YIELD static enum filter_rc
tell_all(
    struct seat *s, enum stage at, const struct mail *m, struct findings *found, struct arena *work)
{
	bool           advised = at != STAGE_UNKNOWN && !is_refused(m, at);
	bool           settled = false, over = false;
	enum filter_rc rc = FILTER_OK;

	for (unsigned i = 0; i < s->shared->conf->n && rc == FILTER_OK; i++) {
		enum hears is = over ? HEARS_NO : hears(s, i, at, m, found);

		if (is == HEARS_CANCELLED)
			return FILTER_CANCELLED;
		if (is == HEARS_YES)
			rc = tell(s, i, at, m, found, work);
		else if (settled)
			pass_over(s, i, at, found);
		else if (advised)
			leave_out(&s->shared->conf->v[i], found);
		if (rc == FILTER_OK && is == HEARS_YES && advised && !settled &&
		    found->settles != NULL && found->settles(found, i)) {
			settled = true;
			over = !is_refused(m, at);
		}
	}
	return rc;
}

MAY_YIELD static enum filter_rc
milter_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *found)
{
	struct seat   *s = self;
	struct arena  *work;
	enum filter_rc rc;

	(void)v;
	if (s->shared->conf->dry || found->advice == NULL)
		return FILTER_OK;
	work = at == STAGE_MESSAGE ? arena_new(4096, 0) : NULL;
	rc = tell_all(s, at, m, found, work);
	arena_free(work);
	return rc;
}

/* Asked before it was told of anything, or where it takes no part. */
static enum filter_rc
milter_ask(void *self, struct fact *f, const struct mail *m)
{
	(void)self, (void)m;
	f->v.word = FACT_WORD_ABSENT;
	f->source = SV("it has not been told of anything");
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

const struct filter milter_filter = {
	.name = "milter",
	.facts = facts,
	.does = DOES_ADVISE | DOES_HEADER_EDIT | DOES_BODY_EDIT | DOES_ENVELOPE_EDIT,
	.stages = AT(CONNECT) | AT(HELO) | AT(MAIL) | AT(RCPT) | AT(DATA) | AT(MESSAGE) |
	    AT(UNKNOWN),
	.make = milter_make,
	.open = milter_open,
	.begin = milter_begin,
	.end = milter_end,
	.at = milter_at,
	.ask = milter_ask,
	.close = milter_close,
};
