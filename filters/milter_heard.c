/*
 * milter_heard -- what an answer of a milter means: how far it reaches, and which edits it may make.
 *
 * milter_talk.c hears, in the order of the protocol; here it is written down, and nobody is asked or waited for.  The
 * invariants: a text that is kept is a copy, since the answer's views are gone with the next one; nothing is edited
 * but what the milter has asked for when it was connected.
 */
#include "filters/milter.h"
#include "proxy/base/arena.h"

/* What it says against something; NONE: nothing. */
static struct verdict
verdict_of(const struct milter_peer *p, const struct milter_answer *answer)
{
	struct verdict v = { .by = p->conf->name };

	switch (answer->kind) {
	case MILTER_ANS_REJECT:
		v.kind = VERDICT_REJECT;
		break;
	case MILTER_ANS_TEMPFAIL:
		v.kind = VERDICT_TEMPFAIL;
		break;
	case MILTER_ANS_DISCARD:
		v.kind = VERDICT_DISCARD;
		break;
	case MILTER_ANS_SHUTDOWN:
	case MILTER_ANS_CONN_FAIL:
		v.kind = VERDICT_DISCONNECT;
		break;
	case MILTER_ANS_REPLYCODE:
		/* libmilter, smfi_setreply: 421 ends the session. */
		v.kind = answer->code == 421 ? VERDICT_DISCONNECT :
		    answer->code < 500       ? VERDICT_TEMPFAIL :
					       VERDICT_REJECT;
		v.code = answer->code;
		memcpy(v.enh, answer->enh, sizeof(v.enh));
		v.text = answer->text;
		break;
	default:
		break;
	}
	return v;
}

static struct verdict
keep(struct arena *a, struct verdict v)
{
	if (v.text.p != NULL)
		v.text = arena_dup(a, v.text);
	return v;
}

static enum milter_told
of_session(struct milter_talk *t, struct verdict v, bool accepts)
{
	t->p->session = keep(t->session, v);
	t->p->session_over = true;
	t->p->session_accepts = accepts;
	return TOLD_OVER;
}

static enum milter_told
of_message(struct milter_talk *t, struct verdict v, bool accepts)
{
	t->p->message = keep(t->found->facts->a, v);
	t->p->over = true;
	t->p->accepts = accepts;
	return TOLD_OVER;
}

/*
 * How far an answer reaches (libmilter, "return values"): to CONNECT and HELO the session, to RCPT that recipient
 * where it is refused, else the message.  A recipient who had heard 250 before the milter was asked cannot be refused
 * any more: then the message is, so that nobody gets what the milter is against, and nothing is lost in silence.
 * Of a process that takes the place of another one only what it says of the message counts: a recipient has had its
 * answer, which the client has heard.
 */
enum milter_told
milter_heard(struct milter_talk *t, const struct milter_event *e,
    const struct milter_answer *answer, const struct milter_ask *ask)
{
	struct milter_peer *p = t->p;
	bool                accepts = answer->kind == MILTER_ANS_ACCEPT, answered = false;
	struct verdict      v;

	if (e->cmd == MILTER_CMD_RCPT) {
		answered = ask->rcpt < p->answered;
		p->answered = answered ? p->answered : ask->rcpt + 1;
	}

	if (answer->kind == MILTER_ANS_SKIP)
		p->skips |= 1u << e->cmd;
	if (answer->kind == MILTER_ANS_CONTINUE || answer->kind == MILTER_ANS_SKIP)
		return TOLD_ON;
	v = verdict_of(p, answer);
	if (e->cmd == MILTER_CMD_UNKNOWN) {
		p->now = keep(t->found->facts->a, v);
		return TOLD_ON;
	}
	if (e->cmd == MILTER_CMD_CONNECT || e->cmd == MILTER_CMD_HELO ||
	    v.kind == VERDICT_DISCONNECT)
		return of_session(t, v, accepts);
	if (e->cmd != MILTER_CMD_RCPT || accepts || v.kind == VERDICT_DISCARD)
		return of_message(t, v, accepts);
	if (ask->refused || answered)
		return TOLD_ON;
	if (t->at == STAGE_RCPT && ask->rcpt == t->m->rcpt)
		p->now = keep(t->found->facts->a, v);
	else if (!verdict_final(&p->late))
		p->late = keep(t->found->facts->a, v);
	return TOLD_ON;
}

/* ---- the end of a message ---- */

/* What it must have asked for when it was opened. mfapi.h, SMFIF_* */
static const uint32_t needs[MILTER_ANS_MAX] = {
	[MILTER_ANS_ADD_RCPT] = MILTER_ADD_RCPTS,
	[MILTER_ANS_ADD_RCPT_PAR] = MILTER_ADD_RCPTS_PAR,
	[MILTER_ANS_DELETE_RCPT] = MILTER_DELETE_RCPTS,
	[MILTER_ANS_CHANGE_FROM] = MILTER_MAY_CHANGE_FROM,
	[MILTER_ANS_ADD_HEADER] = MILTER_ADD_HEADERS,
	[MILTER_ANS_INSERT_HEADER] = MILTER_ADD_HEADERS,
	[MILTER_ANS_CHANGE_HEADER] = MILTER_CHANGE_HEADERS,
	[MILTER_ANS_REPLACE_BODY] = MILTER_CHANGE_BODY,
	[MILTER_ANS_QUARANTINE] = MILTER_MAY_QUARANTINE,
};

bool
milter_heard_edit(struct milter_talk *t, const struct view *v, struct milter_edits **edits,
    const struct milter_answer *answer, const char **why)
{
	struct milter_peer *p = t->p;
	struct strv         by = t->shared->by[p->conf->number];

	if ((p->actions & needs[answer->kind]) != needs[answer->kind]) {
		*why = "it has not asked to be allowed that";
		return false;
	}
	if (answer->kind == MILTER_ANS_QUARANTINE) {
		if (verdict_final(&p->message))
			return true;
		p->message = (struct verdict){ .kind = VERDICT_QUARANTINE,
			.text = arena_dup(t->found->facts->a, answer->text),
			.by = p->conf->name };
		return true;
	}
	if (*edits == NULL)
		*edits = milter_edits_begin(
		    t->found->facts->a, v, (p->wants & MILTER_LEADING_SPACE) != 0);
	if (!milter_edits_add(*edits, t->found->edits, answer, by, why))
		return false;
	if (milter_edits_ignored(*edits).n > 0)
		milter_fail_param(t, answer->kind, milter_edits_ignored(*edits));
	return true;
}

/* The last word: edits stay only with one that lets the message go on. */
enum milter_told
milter_heard_end(struct milter_talk *t, struct milter_edits *edits, const struct milter_event *e,
    const struct milter_answer *answer, bool *keeps)
{
	struct milter_peer *p = t->p;
	struct verdict      v = verdict_of(p, answer);
	const char         *why = "";

	p->last = MILTER_CMD_EOM;
	if (v.kind == VERDICT_DISCONNECT)
		return of_session(t, v, false);
	if (verdict_final(&v))
		return of_message(t, v, false);
	if (edits != NULL &&
	    !milter_edits_end(edits, t->found->edits, t->shared->by[p->conf->number], &why))
		return milter_fail_answer(t, e->cmd, answer, why);
	*keeps = true;
	p->accepts = answer->kind == MILTER_ANS_ACCEPT;
	p->over = true;
	return TOLD_OVER;
}
