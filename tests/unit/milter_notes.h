/*
 * milter_notes -- what made-up milters (milter_made) are told, written down.  Header-only.
 */
#ifndef TESTS_UNIT_MILTER_NOTES_H
#define TESTS_UNIT_MILTER_NOTES_H

#include "filters/milter.h"
#include "proxy/base/arena.h"
#include "tests/unit/t.h"

enum { MADE_UP = 3, LINES = 40 };

struct line {                           /* one answer, to the first command of that kind for which none was given yet */
	enum milter_command  cmd;
	enum milter_rc       rc;
	struct milter_answer answer;
	bool                 given;
};

static struct made_up {                 /* a milter */
	struct milter_offer theirs;
	enum milter_rc      open_rc;
	enum milter_rc      tell_rc;    /* to tell_at */
	enum milter_command tell_at;
	struct line         line[LINES];
	unsigned            n_line;
	unsigned            opens, open, closes, polite;
	bool                shows_macros;
	char                told[16384];
	size_t              n;
	unsigned            chunks;     /* of bodies, and their octets */
	size_t              octets, first_chunk;
	uint64_t            sum;        /* of them */
	/* of the event at hand */
	enum milter_command at;
	bool                due;
} made[MADE_UP];

static struct milter_answer endless_field;      /* of a kind: given at EOM (endless_at) for ever, or so often: */
T_UNUSED static enum milter_command endless_at = MILTER_CMD_EOM;
T_UNUSED static unsigned endless_left = (unsigned)-1;
T_UNUSED static bool counts_bodies;     /* and does not write them down */
static uint64_t made_now;               /* ms: the test's clock */

static void
note(struct made_up *m, struct strv v)
{
	if (!T_CHECK(m->n + v.n < sizeof(m->told)))
		return;
	if (v.n > 0)
		memcpy(m->told + m->n, v.p, v.n);
	m->n += v.n;
	m->told[m->n] = '\0';
}

static uint64_t
sum_of(uint64_t sum, struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		sum = (sum ^ (unsigned char)v.p[i]) * 0x100000001b3u;
	return sum;
}

static void
count_body(struct made_up *m, struct strv v)
{
	m->first_chunk = m->chunks++ == 0 ? v.n : m->first_chunk;
	m->octets += v.n;
	m->sum = sum_of(m->sum, v);
}

static void
note_event(struct made_up *m, const struct milter_event *ev)
{
	char number[32];

	note(m, strv_z(milter_command_name(ev->cmd)));
	if (ev->cmd == MILTER_CMD_BODY && counts_bodies) {
		count_body(m, ev->text);
		return;
	}
	if (ev->text.n > 0) {
		note(m, SV(" "));
		note(m, ev->text);
	}
	if (ev->cmd == MILTER_CMD_CONNECT) {
		(void)snprintf(number, sizeof(number), " %c %u ", ev->family, ev->port);
		note(m, strv_z(number));
	}
	if (ev->cmd == MILTER_CMD_HEADER)
		note(m, SV(":"));
	note(m, ev->value);
	for (unsigned i = 0; i < ev->n_arg; i++) {
		note(m, SV(" "));
		note(m, ev->arg[i]);
	}
}

#endif
