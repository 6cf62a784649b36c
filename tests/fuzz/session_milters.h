/*
 * session_milters -- one or two played milters for fuzz_session: what a byte of the input says of them, and what they do.
 *
 * They take their deeds from the same list as the mail server.  Each notes what no MTA may say (milter_sim.h).  Honest
 * ones never throw anything away: who then hears that a message was queued was told the truth.
 */
#ifndef TESTS_FUZZ_SESSION_MILTERS_H
#define TESTS_FUZZ_SESSION_MILTERS_H

#include "tests/sim/milter_sim.h"

/* The byte: how many; what they negotiate; and how the configuration speaks of them. */
enum { MILTERS_TWO = 1, MILTERS_NO_REPLY = 2, MILTERS_NOT_SENT = 4, MILTERS_MORE = 8, MILTERS_LATE = 16,
	MILTERS_ACCEPT = 32, MILTERS_EDIT = 64, MILTERS_CUT = 128 };

#define NR_ALL 0xff080u  /* no answer to anything but the end */
#define NO_SOME 0x266u   /* no HELO, MAIL, headers, EOH, DATA */
#define MORE 0x10100c00u /* SKIP, RCPT_REJ, leading space, 256K */

struct fuzz_milters {
	struct sim_milter *m[2];
	unsigned           n, kind;
	bool               rogue;
	uint8_t          (*next)(void *arg);    /* the next deed */
	void              *arg;
	struct buf         said;                /* octets of the plan at hand */
};

static inline void
milters_say(struct fuzz_milters *f, struct milter_plan *p, char letter, const char *data, size_t n)
{
	size_t from = f->said.n;

	if (letter != 0)
		sim_milter_pack(&f->said, letter, strv(data, n));
	else
		buf_add(&f->said, strv(data, n));
	p->deed[p->n++] = (struct milter_deed){
		.op = DEED_SAY, .letter = letter, .octets = strv_from(buf_view(&f->said), from) };
}

/* All of it, envelope and text; a recipient goes, too, where nobody is honest: it may be the only one. */
static inline void
milters_edit(struct fuzz_milters *f, struct milter_plan *p)
{
	milters_say(f, p, 'h', "X-F\0y", 6);
	milters_say(f, p, 'i', "\0\0\0\1X-G\0y\n z", 13);
	milters_say(f, p, 'm', "\0\0\0\1Subject\0new", 16);
	milters_say(f, p, 'b', "new\r\n.\r\nbody\r\n", 14);
	milters_say(f, p, 'e', "<new@client.example>", 21);
	milters_say(f, p, '+', "<added@ours.example>", 21);
	if (f->rogue)
		milters_say(f, p, '-', "<u@ours.example>", 17);
}

static inline void
milters_refuse(struct fuzz_milters *f, struct milter_plan *p, unsigned n)
{
	static const struct { char letter; const char *data; size_t n; } answers[] = {
		{ 'r', "", 0 }, { 't', "", 0 }, { 'y', "550 5.7.1 no", 13 }, { 'y', "450-4.7.1 a\r\n450 4.7.1 b", 25 },
		{ 'a', "", 0 }, { 's', "", 0 }, { '4', "", 0 }, { 'd', "", 0 } };
	unsigned k = n % (f->rogue ? 8 : 7);

	milters_say(f, p, answers[k].letter, answers[k].data, answers[k].n);
}

static inline void
milters_garbage(struct fuzz_milters *f, struct milter_plan *p, unsigned n)
{
	static const struct { const char *p; size_t n; } octets[] = { { "\0\0\0\0", 4 }, { "\377\377\377\377c", 5 },
		{ "\0\0\0\1?", 5 }, { "\0\0\0\1c\0\0\0\1c", 10 }, { "\0\0\0\3y55", 7 },
		{ "\0\0\0\24y550 a\r\n250 forged\0", 24 }, { "\0\0\0\5h", 5 }, { "\0\0\0\1O", 5 } };

	milters_say(f, p, 0, octets[n % 8].p, octets[n % 8].n);
}

/* Is an answer wanted to it? */
static inline bool
milters_asked(const struct fuzz_milters *f, struct strv verb)
{
	if (strv_eq(verb, SV("MACROS")) || strv_eq(verb, SV("ABORT")) || strv_starts(verb, SV("QUIT")))
		return false;
	return !(f->kind & MILTERS_NO_REPLY) || strv_eq(verb, SV("EOM"));
}

static inline bool
milters_decide(void *arg, const struct milter_moment *m, struct milter_plan *p)
{
	struct fuzz_milters *f = arg;
	bool                 end = strv_eq(m->verb, SV("EOM"));
	static const enum milter_deed_op dial[] = { DEED_REFUSE, DEED_CLOSE, DEED_HANG, DEED_BLACK_HOLE };
	static const enum milter_deed_op ends[] = { DEED_CLOSE, DEED_RESET, DEED_HANG, DEED_DEAF };
	uint8_t              d;

	buf_clear(&f->said);
	if (strv_eq(m->verb, SV("OFFER")) || (!milters_asked(f, m->verb) && !f->rogue))
		return false;
	d = f->next(f->arg);
	if (strv_eq(m->verb, SV("DIAL"))) {
		p->deed[p->n++] = (struct milter_deed){ .op = dial[d & 3] };
		return d >> 4 == 5;
	}
	if (end && (f->kind & MILTERS_EDIT))
		milters_edit(f, p);
	switch (d >> 4) {
	case 1:
		milters_refuse(f, p, d & 15);
		return true;
	case 2:
		p->deed[p->n++] = (struct milter_deed){ .op = DEED_WAIT, .n = (d & 15u) * (d & 15u) * 400 };
		break;
	case 3:
	case 4:
		p->deed[p->n++] = (struct milter_deed){ .op = ends[d & 3] };
		return true;
	case 6:
		milters_say(f, p, 'p', "", 0);
		break;
	case 7:
		milters_garbage(f, p, d & 7);
		return true;
	default:
		break;
	}
	if (!milters_asked(f, m->verb))
		return p->n > 0;
	milters_say(f, p, 'c', "", 0);
	return true;
}

static inline void
milters_open(struct fuzz_milters *f, struct sim *s, struct buf *conf)
{
	struct endpoint at = { .port = 8890 };

	addr_parse(SV("127.0.0.1"), &at.addr);
	buf_init(&f->said, 65536);
	buf_reserve(&f->said, 65535);
	for (f->n = 0; f->n < 1 + (f->kind & MILTERS_TWO); f->n++, at.port++) {
		struct sim_milter *m = sim_milter_new(s, f->n == 0 ? "m0" : "m1", &at);

		f->m[f->n] = m;
		m->decide = milters_decide;
		m->arg = f;
		m->protocol = (f->kind & MILTERS_NO_REPLY ? NR_ALL : 0) |
		    (f->kind & MILTERS_NOT_SENT ? NO_SOME : 0) | (f->kind & MILTERS_MORE ? MORE : 0);
		m->cut = f->kind & MILTERS_CUT ? 3 : 0;
		buf_printf(conf, "milter m%u { socket \"inet:127.0.0.1:%u\" timeout 30s on failure %s%s }\n", f->n,
		    at.port, f->kind & MILTERS_ACCEPT ? "accept" : "tempfail",
		    f->kind & MILTERS_LATE ? " when message.size > 0" : "");
	}
}

/* After its world: what one of them saw that it must not see, or NULL. */
static inline const char *
milters_fault(const struct fuzz_milters *f)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->m[i]->faults.n > 0)
			return "a milter saw what it must not see";
	return NULL;
}

static inline void
milters_free(struct fuzz_milters *f)
{
	for (unsigned i = 0; i < f->n; i++)
		sim_milter_free(f->m[i]);
	buf_fini(&f->said);
}

#endif
