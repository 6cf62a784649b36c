/*
 * milter_tell -- what a stage tells a milter, and before it what the milter has missed.
 *
 * A milter whose `when' is not known at first, and one that is connected again, hears of everything in the order in
 * which it happened; so a stage is always told in full: session, sender, recipients, DATA, text.  The invariants: a
 * recipient is told once in a transaction to one process, in the order of the envelope, and the first answer to it
 * stands; what an earlier process has said of the whole message stands, too; of its edits nothing does.
 */
#include <assert.h>

#include "filters/milter.h"
#include "proxy/base/arena.h"

#define ROUNDS_MAX 8 /* more than milter_fail.c allows */

static struct milter_ask
ask_of(const struct milter_talk *t)
{
	return (struct milter_ask){ .conf = t->shared->conf, .mail = t->m };
}

/* Where what is made for one stage goes: behind the text it is given back at once. */
static struct arena *
work_of(const struct milter_talk *t)
{
	return t->work != NULL ? t->work : t->found->facts->a;
}

/* ---- the session ---- */

static char
family_of(const struct addr *addr)
{
	switch (addr->family) {
	case ADDR_IP4:
		return '4';
	case ADDR_IP6:
		return '6';
	case ADDR_UNIX:
		return 'L';
	default:
		return 'U';
	}
}

MAY_YIELD static enum milter_told
tell_connect(struct milter_talk *t)
{
	const struct endpoint *from = &t->m->client->addr;
	struct milter_ask      ask = ask_of(t);
	char                   text[ADDR_TEXT];
	struct milter_event    e = {
		   .cmd = MILTER_CMD_CONNECT, .family = family_of(&from->addr), .port = from->port
	};

	if (e.family == '4' || e.family == '6')
		e.value = addr_print(&from->addr, text);
	else
		e.value = from->path != NULL ? strv_z(from->path) : SV("");
	/* The name may be a question to the DNS. */
	if (t->p->wants & MILTER_NO_CONNECT)
		e.text = SV("");
	else if (e.family == 'L' || e.family == 'U')
		e.text = SV("localhost");
	else if (milter_client_name(t->found->facts->a, t->m, &e.text) != WAIT_OK) {
		milter_talk_close(t->p, false);
		return TOLD_CANCELLED;
	}
	return milter_talk_say(t, &e, &ask);
}

MAY_YIELD static enum milter_told
tell_helo(struct milter_talk *t)
{
	struct milter_ask   ask = ask_of(t);
	struct milter_event e = { .cmd = MILTER_CMD_HELO, .text = t->m->client->helo };

	t->p->helo = e.text;
	return milter_talk_say(t, &e, &ask);
}

/* A second HELO, behind STARTTLS as a rule, is told again: with it the macros of TLS. */
MAY_YIELD static enum milter_told
tell_session(struct milter_talk *t)
{
	struct milter_peer *p = t->p;
	enum milter_told    rc = TOLD_ON;

	if (p->last == MILTER_CMD_OPTNEG)
		rc = tell_connect(t);
	if (rc != TOLD_ON || t->m->client->helo.p == NULL)
		return rc;
	if (!milter_in_message(p) && (t->at == STAGE_HELO || !strv_eq(p->helo, t->m->client->helo)))
		rc = tell_helo(t);
	return rc;
}

/* ---- the envelope ---- */

static struct strv
in_brackets(struct arena *a, const struct path *path)
{
	struct strv text = path_text(path);
	char       *p = arena_bytes(a, text.n + 2);

	p[0] = '<';
	if (text.n > 0)
		memcpy(p + 1, text.p, text.n);
	p[text.n + 1] = '>';
	return strv(p, text.n + 2);
}

/* "SIZE=100", as it was written. */
static struct strv *
arguments(struct arena *a, const struct param *v, unsigned n)
{
	struct strv *out = arena_array(a, n, sizeof(*out));

	for (unsigned i = 0; i < n; i++) {
		const struct param *p = &v[i];

		out[i] = p->value.p == NULL ?
		    p->name :
		    arena_concat(a, arena_concat(a, p->name, SV("=")), p->value);
	}
	return out;
}

MAY_YIELD static enum milter_told
tell_mail(struct milter_talk *t)
{
	const struct envelope *env = t->m->env;
	struct arena          *a = work_of(t);
	struct milter_ask      ask = ask_of(t);
	struct milter_event    e = { .cmd = MILTER_CMD_MAIL };

	if (!(t->p->wants & MILTER_NO_MAIL)) {
		e.text = in_brackets(a, &env->from);
		e.arg = arguments(a, env->params.v, env->params.n);
		e.n_arg = env->params.n;
	}
	return milter_talk_say(t, &e, &ask);
}

enum standing { RCPT_TAKEN, RCPT_REFUSED, RCPT_NOBODY /* it gets nothing, and was not refused */ };

/*
 * Later than at its own RCPT it is known what the server behind said; a host that has no server says of none that it
 * was taken.
 */
static enum standing
standing_of(const struct milter_talk *t, unsigned i)
{
	const struct envelope *env = t->m->env;
	const struct rcpt     *r = &env->rcpt[i];

	if (r->dropped || r->said.kind == VERDICT_DISCARD)
		return RCPT_NOBODY;
	if (r->said.kind == VERDICT_REJECT || r->said.kind == VERDICT_TEMPFAIL ||
	    r->said.kind == VERDICT_DISCONNECT)
		return RCPT_REFUSED;
	if (t->at != STAGE_RCPT && !r->upstream_took && envelope_taken(env) > 0)
		return RCPT_REFUSED;
	return RCPT_TAKEN;
}

MAY_YIELD static enum milter_told
tell_rcpt(struct milter_talk *t, unsigned i, bool refused)
{
	const struct rcpt  *r = &t->m->env->rcpt[i];
	struct arena       *a = work_of(t);
	struct milter_ask   ask = ask_of(t);
	struct milter_event e = { .cmd = MILTER_CMD_RCPT };

	ask.rcpt = i;
	ask.refused = refused;
	t->p->named = i + 1;
	t->p->named_refused = refused;
	if (!(t->p->wants & MILTER_NO_RCPT)) {
		e.text = in_brackets(a, &r->to);
		e.arg = arguments(a, r->params, r->n_params);
		e.n_arg = r->n_params;
	}
	return milter_talk_say(t, &e, &ask);
}

MAY_YIELD static enum milter_told
tell_rcpts(struct milter_talk *t)
{
	const struct envelope *env = t->m->env;
	unsigned               n = t->at == STAGE_RCPT ? t->m->rcpt + 1 : env->n_rcpt;
	enum milter_told       rc = TOLD_ON;

	for (; t->p->rcpts < n && rc == TOLD_ON;) {
		unsigned      i = t->p->rcpts++;
		enum standing is = standing_of(t, i);

		if (is == RCPT_TAKEN || (is == RCPT_REFUSED && (t->p->wants & MILTER_RCPT_REJ)))
			rc = tell_rcpt(t, i, is == RCPT_REFUSED);
	}
	return rc;
}

MAY_YIELD static enum milter_told
tell_data(struct milter_talk *t)
{
	static const struct milter_event e = { .cmd = MILTER_CMD_DATA };
	struct milter_ask                ask = ask_of(t);

	return milter_talk_say(t, &e, &ask);
}

/*
 * DATA was refused, by another one or a check, and the client goes on with RCPT.  For a milter nothing leads back from
 * DATA but the message's end (libmilter, engine.c), so it hears of the message anew.
 */
static bool
begin_anew(struct milter_peer *p)
{
	milter_talk_abort(p);
	p->rcpts = p->named = p->answered = 0;
	return p->end != NULL;
}

MAY_YIELD static enum milter_told
tell_transaction(struct milter_talk *t)
{
	enum milter_told rc = TOLD_ON;

	if (t->at == STAGE_RCPT && t->p->last == MILTER_CMD_DATA && !begin_anew(t->p))
		return TOLD_GONE;
	if (!milter_in_message(t->p))
		rc = tell_mail(t);
	if (rc == TOLD_ON && t->at >= STAGE_RCPT)
		rc = tell_rcpts(t);
	if (rc == TOLD_ON && t->at >= STAGE_DATA && t->p->last < MILTER_CMD_DATA)
		rc = tell_data(t);
	if (rc == TOLD_ON && t->at == STAGE_MESSAGE)
		rc = milter_tell_text(t);
	return rc;
}

/* Those that are connected alone: no connection is made for a mistyped command. */
MAY_YIELD static enum milter_told
tell_unknown(struct milter_talk *t)
{
	struct milter_ask   ask = ask_of(t);
	struct milter_event e = { .cmd = MILTER_CMD_UNKNOWN, .text = t->m->line };

	return milter_talk_say(t, &e, &ask);
}

MAY_YIELD static enum milter_told
tell_stage(struct milter_talk *t)
{
	enum milter_told rc = milter_talk_open(t);

	if (rc != TOLD_ON)
		return rc;
	if (t->at == STAGE_UNKNOWN)
		return t->p->last != MILTER_CMD_OPTNEG ? tell_unknown(t) : TOLD_ON;
	rc = tell_session(t);
	if (rc == TOLD_ON && t->m->env != NULL)
		rc = tell_transaction(t);
	return rc;
}

/* Each round has lost another connection: one that was quiet, those of processes that died, one to an ABORT. */
MAY_YIELD enum milter_told
milter_tell(struct milter_talk *t)
{
	enum milter_told rc = TOLD_GONE;

	for (unsigned i = 0; i < ROUNDS_MAX && rc == TOLD_GONE; i++)
		rc = tell_stage(t);
	assert(rc != TOLD_GONE);
	return rc;
}
