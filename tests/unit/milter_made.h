/*
 * milter_made -- milters that are made up: an end for milter_conf.kind.  Header-only.
 *
 * What each milter is told is written down ("MAIL <a@b.example> SIZE=9|"), what it answers is set beforehand; a milter
 * that nothing was set for continues.  An answer that is not due, and a due one that nobody fetches, fail the test.
 */
#ifndef TESTS_UNIT_MILTER_MADE_H
#define TESTS_UNIT_MILTER_MADE_H

#include "tests/unit/milter_notes.h"

static void (*made_dies)(void);         /* what else happens when one is GONE; NULL: nothing */

struct made_end {
	struct milter_end end;
	struct made_up   *m;
};

MAY_YIELD static enum milter_rc
made_open(struct arena *a, const struct milter_conf *c, const struct milter_offer *ours,
    struct milter_offer *theirs, uint64_t until, struct milter_end **out, struct strv *why)
{
	struct made_up  *m = &made[c->number];
	struct made_end *e;

	T_EQ_NUM(ours->version, 6);
	T_EQ_NUM(ours->actions, 0x1ff);
	T_EQ_NUM(ours->protocol, 0x301fffff);
	T_EQ_NUM(until, made_now + c->timeout_short);
	m->opens++;
	if (m->open_rc != MILTER_OK) {
		*why = SV("nobody is there");
		return m->open_rc;
	}
	e = arena_alloc(a, sizeof(*e));
	e->m = m;
	e->end = (struct milter_end){ .kind = c->kind, .conf = c };
	*theirs = m->theirs;
	m->open++;
	m->due = false;
	*out = &e->end;
	return MILTER_OK;
}

MAY_YIELD static enum milter_rc
made_tell(struct milter_end *end, const struct milter_event *ev, const struct milter_macros *macros, bool answered,
    uint64_t until)
{
	struct made_up *m = ((struct made_end *)end)->m;

	T_CHECKF(!m->due, "%s is told while an answer is due", milter_command_name(ev->cmd));
	T_CHECK(until > 0 || ev->cmd == MILTER_CMD_ABORT);
	if (m->tell_rc != MILTER_OK && m->tell_at == ev->cmd) {
		enum milter_rc rc = m->tell_rc;

		m->tell_rc = MILTER_OK;
		return rc;
	}
	if (m->shows_macros && macros->n > 0) {
		note(m, SV("{"));
		for (unsigned i = 0; i < macros->n; i++) {
			note(m, i > 0 ? SV(" ") : SV(""));
			note(m, macros->v[i].name);
			note(m, SV("="));
			note(m, macros->v[i].value);
		}
		note(m, SV("}"));
	}
	note_event(m, ev);
	note(m, answered ? SV("|") : SV("!"));
	m->due = answered;
	m->at = ev->cmd;
	return MILTER_OK;
}

MAY_YIELD static enum milter_rc
made_answer(struct milter_end *end, struct milter_answer *out, uint64_t until)
{
	struct made_up *m = ((struct made_end *)end)->m;

	T_CHECKF(m->due, "an answer to %s that never comes", milter_command_name(m->at));
	T_EQ_NUM(until, made_now + (m->at == MILTER_CMD_EOM ? end->conf->timeout : end->conf->timeout_short));
	for (unsigned i = 0; i < m->n_line; i++) {
		struct line *l = &m->line[i];

		if (l->cmd != m->at || l->given)
			continue;
		l->given = true;
		if (l->rc != MILTER_OK) {
			end->why = "as the test wants it";
			end->bytes = SV("\1x");
			m->due = false;
			if (l->rc == MILTER_GONE && made_dies != NULL)
				made_dies();
			return l->rc;
		}
		*out = l->answer;
		if (out->kind == MILTER_ANS_PROGRESS && fiber_sleep(200000) != WAIT_OK)
			return MILTER_LATE;
		m->due = !milter_answer_final(out->kind);
		return MILTER_OK;
	}
	*out = (struct milter_answer){ .kind = MILTER_ANS_CONTINUE };
	if (m->at == endless_at && endless_field.kind != MILTER_ANS_CONTINUE && endless_left > 0) {
		endless_left--;
		*out = endless_field;
		return MILTER_OK;
	}
	m->due = false;
	return MILTER_OK;
}

static void
made_close(struct milter_end *end, bool polite)
{
	struct made_up *m = ((struct made_end *)end)->m;

	T_CHECK(m->open > 0);
	m->open--;
	m->closes++;
	m->polite += polite;
	note(m, polite ? SV("QUIT|") : SV("CLOSED|"));
}

static const struct milter_end_kind made_end_kind = { made_open, made_tell, made_answer, made_close };

#endif
