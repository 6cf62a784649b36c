/*
 * milter_talk -- one milter's connection: what may be told when, and what is waited for.
 *
 * The end (milter_end.h) carries; the order is here, the same for every home.  Invariants: nothing is told out of the
 * order of the table; an answer that was agreed never to come is never read.  What an answer means is milter_heard.c's,
 * what becomes of whoever fails milter_fail.c's.
 */
#include "config.h"

#include <assert.h>

#include "filters/milter.h"
#include "proxy/base/arena.h"
#include "proxy/base/blame.h"
#include "proxy/base/loop.h"

#define OFFER_ACTIONS \
	(MILTER_ADD_HEADERS | MILTER_CHANGE_BODY | MILTER_ADD_RCPTS | MILTER_DELETE_RCPTS | \
	    MILTER_CHANGE_HEADERS | MILTER_MAY_QUARANTINE | MILTER_MAY_CHANGE_FROM | \
	    MILTER_ADD_RCPTS_PAR | MILTER_SET_SYMLIST)
#define OFFER_PROTOCOL \
	(MILTER_NO_CONNECT | MILTER_NO_HELO | MILTER_NO_MAIL | MILTER_NO_RCPT | MILTER_NO_BODY | \
	    MILTER_NO_HEADERS | MILTER_NO_EOH | MILTER_NR_HEADER | MILTER_NO_UNKNOWN | \
	    MILTER_NO_DATA | MILTER_SKIP | MILTER_RCPT_REJ | MILTER_NR_CONNECT | MILTER_NR_HELO | \
	    MILTER_NR_MAIL | MILTER_NR_RCPT | MILTER_NR_DATA | MILTER_NR_UNKNOWN | MILTER_NR_EOH | \
	    MILTER_NR_BODY | MILTER_LEADING_SPACE | MILTER_MDS_256K | MILTER_MDS_1M)

#define PROGRESS_MAX 100000 /* words of one that never comes to an end */
#define ANSWERS_MAX  (PROGRESS_MAX + EDITS_MAX)
#define NO_PLACE     MILTER_PLACES

#define ON(name) (1u << MILTER_CMD_##name)

/* What ends a transaction, or is there before the first. */
#define BETWEEN (ON(CONNECT) | ON(HELO) | ON(EOM) | ON(ABORT))

/* The order of a session as libmilter's engine has it, after: behind which a command may come. */
static const struct command {
	uint32_t          no, nr; /* it does not want to hear of it; it does not answer it */
	enum milter_place place;  /* of its macros */
	uint32_t          after;
} commands[MILTER_CMD_MAX] = {
	[MILTER_CMD_CONNECT] = { MILTER_NO_CONNECT, MILTER_NR_CONNECT, MILTER_AT_CONNECT,
	    ON(OPTNEG) },
	[MILTER_CMD_HELO] = { MILTER_NO_HELO, MILTER_NR_HELO, MILTER_AT_HELO, BETWEEN },
	[MILTER_CMD_MAIL] = { MILTER_NO_MAIL, MILTER_NR_MAIL, MILTER_AT_MAIL, BETWEEN },
	[MILTER_CMD_RCPT] = { MILTER_NO_RCPT, MILTER_NR_RCPT, MILTER_AT_RCPT, ON(MAIL) | ON(RCPT) },
	[MILTER_CMD_DATA] = { MILTER_NO_DATA, MILTER_NR_DATA, MILTER_AT_DATA, ON(MAIL) | ON(RCPT) },
	[MILTER_CMD_HEADER] = { MILTER_NO_HEADERS, MILTER_NR_HEADER, NO_PLACE,
	    ON(DATA) | ON(HEADER) },
	[MILTER_CMD_EOH] = { MILTER_NO_EOH, MILTER_NR_EOH, MILTER_AT_EOH, ON(DATA) | ON(HEADER) },
	[MILTER_CMD_BODY] = { MILTER_NO_BODY, MILTER_NR_BODY, NO_PLACE, ON(EOH) | ON(BODY) },
	[MILTER_CMD_EOM] = { 0, 0, MILTER_AT_EOM, ON(EOH) | ON(BODY) },
	[MILTER_CMD_UNKNOWN] = { MILTER_NO_UNKNOWN, MILTER_NR_UNKNOWN, NO_PLACE, BETWEEN },
};

/* ---- the connection ---- */

static uint64_t
until(const struct milter_conf *c, bool end)
{
	uint64_t ms = end ? c->timeout : c->timeout_short;

	return fiber_self() != NULL ? loop_now(fiber_loop()) + ms : 0;
}

void
milter_talk_close(struct milter_peer *p, bool polite)
{
	struct arena *a = p->a;

	if (p->end != NULL)
		p->end->kind->close(p->end, polite);
	p->end = NULL;
	p->a = NULL;
	p->helo = strv(NULL, 0);
	p->quiet = false;
	p->rcpts = p->named = p->skips = 0;
	arena_free(a);
}

/* ---- opening ---- */

/* Older ones do not know these. */
static uint32_t
unknown_to(uint32_t version)
{
	return (version < 3 ? MILTER_NO_UNKNOWN : 0) | (version < 4 ? MILTER_NO_DATA : 0);
}

/*
 * Macros of a command that is not told go in front of the next one that is (Postfix sends them by themselves): a
 * filter that does not want to hear of HELO may still want to know of TLS.  Fields and pieces of the body have none;
 * but whose they are is told even to one that has not heard of the envelope.
 */
static void
settle_macros(struct milter_peer *p, const struct milter_offer *theirs, unsigned methods)
{
	static const enum milter_command order[] = { MILTER_CMD_CONNECT, MILTER_CMD_HELO,
		MILTER_CMD_MAIL, MILTER_CMD_RCPT, MILTER_CMD_DATA, MILTER_CMD_EOH, MILTER_CMD_EOM };
	uint64_t                         left = 0;

	for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		const struct command *c = &commands[order[i]];

		left |= milter_macros_set(c->place, theirs->macros[c->place], methods);
		if (p->conf->home == HOME_ISOLATED)
			left |= milter_macros_own(c->place);
		p->macros[c->place] = p->wants & c->no ? 0 : left;
		if (!(p->wants & c->no))
			left = 0;
		if (order[i] == MILTER_CMD_DATA)
			p->text_macros = left & milter_macros_own(MILTER_AT_MAIL);
	}
}

MAY_YIELD static enum milter_told
connect_to(struct milter_talk *t)
{
	struct milter_peer       *p = t->p;
	struct milter_offer       theirs = { 0 };
	const struct milter_offer ours = {
		.version = MILTER_VERSION_MAX, .actions = OFFER_ACTIONS, .protocol = OFFER_PROTOCOL
	};
	const struct milter_end_kind *kind = p->conf->kind;
	struct strv                   why = { NULL, 0 };
	enum milter_rc                rc;

	if (kind == NULL)
		kind = p->conf->home == HOME_INSIDE ? &milter_plugin_end : &milter_socket_end;
	if (p->conf->blame != NULL) {
		p->blamed = blame_count(p->conf->blame);
		p->process = blame_processes(p->conf->blame);
	}
	p->a = arena_new(1024, 0);
	rc = kind->open(p->a, p->conf, &ours, &theirs, until(p->conf, false), &p->end, &why);
	if (rc != MILTER_OK) {
		p->end = NULL;
		return milter_fail(t, MILTER_CMD_OPTNEG, rc, why);
	}
	p->wants = theirs.protocol | unknown_to(theirs.version);
	p->actions = theirs.actions;
	p->last = MILTER_CMD_OPTNEG;
	settle_macros(p, &theirs, t->shared->methods);
	return milter_fail_same(t);
}

MAY_YIELD enum milter_told
milter_talk_open(struct milter_talk *t)
{
	if (t->p->failed)
		return TOLD_FAILED;
	return t->p->end == NULL ? connect_to(t) : TOLD_ON;
}

void
milter_talk_abort(struct milter_peer *p)
{
	static const struct milter_event  e = { .cmd = MILTER_CMD_ABORT };
	static const struct milter_macros none;

	p->last = MILTER_CMD_ABORT;
	if (p->end->kind->tell(p->end, &e, &none, false, 0) != MILTER_OK)
		milter_talk_close(p, false);
}

/* ---- telling ---- */

/* Does it answer that? */
static bool
is_answered(const struct milter_peer *p, enum milter_command cmd)
{
	return !(p->wants & commands[cmd].nr);
}

/* Whether it wants to hear of it or not, this is where we are now. */
static bool
moves_to(struct milter_peer *p, enum milter_command cmd)
{
	assert(commands[cmd].after & 1u << p->last);
	if (cmd != MILTER_CMD_UNKNOWN)
		p->last = cmd;
	return !(p->wants & commands[cmd].no) && !(p->skips & 1u << cmd);
}

/*
 * libmilter reads no packet whose data is longer than a chunk of the size that was agreed, and closes the connection.
 * Each macro keeps its share then; what is short leaves nothing to the others.
 */
static void
fit_macros(
    struct milter_talk *t, struct arena *a, enum milter_command told, struct milter_macros *m)
{
	size_t               most = milter_chunk(t->p->wants), all = 1, share;
	struct milter_macro *v;

	for (unsigned i = 0; i < m->n; i++)
		all += m->v[i].name.n + m->v[i].value.n + 2;
	if (all <= most)
		return;
	v = arena_array(a, m->n, sizeof(*v));
	share = (most - 1) / m->n - 2;
	for (unsigned i = 0; i < m->n; i++) {
		v[i] = m->v[i];
		if (v[i].name.n + v[i].value.n <= share)
			continue;
		milter_fail_cut(t, told, v[i].name, v[i].value.n, share - v[i].name.n);
		v[i].value = strv_first(v[i].value, share - v[i].name.n);
	}
	m->v = v;
}

MAY_YIELD static enum milter_told
tell(struct milter_talk *t, const struct milter_event *e, const struct milter_ask *ask)
{
	struct milter_peer  *p = t->p;
	struct milter_macros macros = { 0 };
	enum milter_place    place = commands[e->cmd].place;
	uint64_t             set = place == NO_PLACE ? p->text_macros : p->macros[place];
	struct milter_ask    own = { .conf = t->shared->conf, .mail = t->m };
	struct arena        *a = t->work != NULL ? t->work : t->found->facts->a;
	bool                 answered = is_answered(p, e->cmd);
	enum milter_rc       rc;

	/* libmilter keeps what it was told of a recipient: {rcpt_addr} is the last one's behind RCPT, too. */
	own.rcpt = p->named - 1;
	own.refused = p->named > 0 && p->named_refused;
	if (e->cmd == MILTER_CMD_RCPT)
		own = *ask;
	if (set != 0 && milter_macros(a, &own, set, &macros) != WAIT_OK)
		return milter_fail(t, e->cmd, MILTER_CANCELLED, strv(NULL, 0));
	fit_macros(t, a, e->cmd, &macros);
	rc = p->end->kind->tell(
	    p->end, e, &macros, answered, until(p->conf, e->cmd == MILTER_CMD_EOM));
	return rc == MILTER_OK ? TOLD_ON : milter_fail(t, e->cmd, rc, strv(NULL, 0));
}

MAY_YIELD static enum milter_told
hear(struct milter_talk *t, const struct milter_event *e, struct milter_answer *answer)
{
	struct milter_peer *p = t->p;
	enum milter_rc      rc;

	rc = p->end->kind->answer(p->end, answer, until(p->conf, e->cmd == MILTER_CMD_EOM));
	if (rc != MILTER_OK)
		return milter_fail(t, e->cmd, rc, strv(NULL, 0));
	p->quiet = false;
	if (!milter_answer_legal(answer->kind, e->cmd))
		return milter_fail_answer(t, e->cmd, answer, "not an answer to that command");
	return TOLD_ON;
}

static enum milter_told
no_end(struct milter_talk *t, const struct milter_event *e)
{
	return milter_fail(t, e->cmd, MILTER_GARBAGE, SV("it comes to no end"));
}

/* Who says that it is still at work is waited for anew, as at the end of a message. */
MAY_YIELD static enum milter_told
hear_final(struct milter_talk *t, const struct milter_event *e, struct milter_answer *answer)
{
	for (unsigned n = 0; n < ANSWERS_MAX; n++) {
		enum milter_told rc = hear(t, e, answer);

		if (rc != TOLD_ON || milter_answer_final(answer->kind))
			return rc;
	}
	return no_end(t, e);
}

MAY_YIELD enum milter_told
milter_talk_say(struct milter_talk *t, const struct milter_event *e, const struct milter_ask *ask)
{
	struct milter_answer answer;
	enum milter_told     rc;

	if (!moves_to(t->p, e->cmd))
		return TOLD_ON;
	rc = tell(t, e, ask);
	if (rc != TOLD_ON || !is_answered(t->p, e->cmd))
		return rc;
	rc = hear_final(t, e, &answer);
	return rc == TOLD_ON ? milter_heard(t, e, &answer, ask) : rc;
}

/* ---- the end of a message ---- */

MAY_YIELD static enum milter_told
hear_end(struct milter_talk *t, const struct milter_event *e, const struct view *v, bool *keeps)
{
	struct milter_edits *edits = NULL;
	struct milter_answer answer;
	enum milter_told     rc;
	const char          *why = "";

	for (unsigned n = 0; n < ANSWERS_MAX; n++) {
		rc = hear(t, e, &answer);
		if (rc != TOLD_ON)
			return rc;
		if (milter_answer_final(answer.kind))
			return milter_heard_end(t, edits, e, &answer, keeps);
		if (milter_answer_edits(answer.kind) &&
		    !milter_heard_edit(t, v, &edits, &answer, &why))
			return milter_fail_answer(t, e->cmd, &answer, why);
	}
	return no_end(t, e);
}

MAY_YIELD enum milter_told
milter_talk_end(struct milter_talk *t, const struct milter_event *e, const struct milter_ask *ask,
    const struct view *v)
{
	struct milter_peer *p = t->p;
	unsigned            mark = t->found->edits->n;
	bool                keeps = false;
	enum milter_told    rc;

	(void)moves_to(p, e->cmd);
	/* Until it has had its last word it is in the middle of a message. */
	p->last = MILTER_CMD_BODY;
	rc = tell(t, e, ask);
	if (rc == TOLD_ON)
		rc = hear_end(t, e, v, &keeps);
	if (keeps)
		return rc;
	edits_rewind(t->found->edits, mark);
	if (rc == TOLD_FAILED || rc == TOLD_GONE)
		p->message = (struct verdict){ 0 };
	return rc;
}
