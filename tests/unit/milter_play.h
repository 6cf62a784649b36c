/*
 * milter_play -- what milter_stand's milters answer, what the client says, and what came of it.  Header-only.
 */
#ifndef TESTS_UNIT_MILTER_PLAY_H
#define TESTS_UNIT_MILTER_PLAY_H

#include "tests/unit/milter_stand.h"

/* ---- what they answer ---- */

static void
answers(unsigned i, enum milter_command to, struct milter_answer answer)
{
	if (T_CHECK(made[i].n_line < LINES))
		made[i].line[made[i].n_line++] = (struct line){ .cmd = to, .answer = answer };
}

T_UNUSED static void
says(unsigned i, enum milter_command to, enum milter_answer_kind kind)
{
	answers(i, to, (struct milter_answer){ .kind = kind });
}

T_UNUSED static void
breaks(unsigned i, enum milter_command at, enum milter_rc rc)
{
	if (T_CHECK(made[i].n_line < LINES))
		made[i].line[made[i].n_line++] = (struct line){ .cmd = at, .rc = rc };
}

T_UNUSED static struct milter_answer
code(uint16_t number, const char *enh, const char *text)
{
	struct milter_answer a = { .kind = MILTER_ANS_REPLYCODE, .code = number, .text = strv_z(text) };

	(void)snprintf(a.enh, sizeof(a.enh), "%s", enh);
	return a;
}

T_UNUSED static struct milter_answer
field(enum milter_answer_kind kind, uint32_t at, const char *name, const char *value)
{
	return (struct milter_answer){ .kind = kind, .at = at, .name = strv_z(name), .value = strv_z(value) };
}

/* What milter i was told since it was last asked. */
static const char *
told(unsigned i)
{
	static char out[sizeof(made[0].told)];

	memcpy(out, made[i].told, made[i].n + 1);
	made[i].n = 0;
	made[i].told[0] = '\0';
	return out;
}

#define T_TOLD(i, want) T_EQ_STRV(strv_z(told(i)), strv_z(want))

/* ---- what the client says ---- */

T_UNUSED static void
helo(const char *name)
{
	s.client.helo = strv_z(name);
	at(STAGE_HELO);
}

static void
mail(const char *line)
{
	struct fault f;

	s.t = arena_new(4096, 0);
	s.env = (struct envelope){ 0 };
	s.edits = (struct edits){ 0 };
	s.facts = (struct facts){ .outer = &s.session_facts, .a = s.t, .ask = stand_ask };
	s.mail = (struct mail){ .client = &s.client, .env = &s.env, .msg = &s.msg, .facts = &s.facts, .id = "T1",
		.session = s.session_mail.session };
	s.body = spool_new(s.spools);
	message_begin(&s.msg, s.t, s.body, 65536);
	memcpy(s.advice, s.session_advice, sizeof(s.advice));
	s.in_tx = true;
	milter_filter.begin(s.seat, s.t);
	T_CHECK(parse_mail(s.t, arena_printf(s.t, "FROM:%s", line), UINT32_MAX, &s.env.from, &s.env.params, &f));
	at(STAGE_MAIL);
}

static struct rcpt *
add_rcpt(const char *line)
{
	struct rcpt *r = envelope_add(s.t, &s.env);
	struct fault f;

	T_CHECK(parse_rcpt(s.t, arena_printf(s.t, "TO:%s", line), UINT32_MAX, false, &r->to, &r->params, &r->n_params, &f));
	s.mail.rcpt = s.env.n_rcpt - 1;
	return r;
}

T_UNUSED static void
rcpt(const char *line)
{
	(void)add_rcpt(line);
	at(STAGE_RCPT);
}

T_UNUSED static void
text(const char *all)
{
	struct strv body;

	T_CHECK(message_feed(&s.msg, strv_z(all), &body) == MESSAGE_OK);
	T_CHECK(spool_add(s.body, body) == SPOOL_OK);
	T_CHECK(message_end(&s.msg, &body) == MESSAGE_OK);
	T_CHECK(spool_add(s.body, body) == SPOOL_OK);
	at(STAGE_MESSAGE);
}

T_UNUSED static void
whole_message(const char *all)
{
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	at(STAGE_DATA);
	text(all);
}

/* ---- what came of it ---- */

/* The fact milter(mI), as words: "?" unknown, "-" absent. */
T_UNUSED static const char *
fact_of(unsigned i)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	const struct fact     *f;
	unsigned               number = registry_number("milter");

	f = fact_peek(s.in_tx ? &s.facts : &s.session_facts, d, number, 0, s.v[i].name);
	if (f == NULL)
		return "-";
	return f->state == FACT_UNKNOWN ? "?" : d[number].words[f->v.word];
}

T_UNUSED static const struct advice *
advice_of(unsigned i)
{
	return s.in_tx ? &s.advice[i] : &s.session_advice[i];
}

/* The header as the edits have left it. */
T_UNUSED static const char *
header_now(void)
{
	static char        out[8192];
	struct view        v = { &s.msg, &s.edits, s.edits.n };
	unsigned           n;
	struct view_field *f = view_fields(s.t, &v, &n);
	size_t             used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < n; i++)
		used += (size_t)snprintf(out + used, sizeof(out) - used, "%.*s", (int)f[i].raw.n, f[i].raw.p);
	return out;
}

T_UNUSED static const char *
body_now(void)
{
	static char out[8192];
	struct view v = { &s.msg, &s.edits, s.edits.n };
	size_t      used = 0;

	for (struct strv p; used + 1 < sizeof(out);) {
		char scratch[512];

		p = spool_read(view_body(&v), used, scratch, sizeof(scratch));
		if (p.n == 0 || used + p.n >= sizeof(out))
			break;
		memcpy(out + used, p.p, p.n);
		used += p.n;
	}
	out[used] = '\0';
	return out;
}

#endif
