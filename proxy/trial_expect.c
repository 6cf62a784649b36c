/*
 * trial_expect -- whether what a test expects has come, and what to say where it has not.
 *
 * A failing test is read by who wrote the checks: so it tells what came, whose word that was, and what the checks in
 * question saw.  For that it keeps what each saw when it was looked at.
 */
#include "proxy/trial_steps_own.h"

#include "policy/policy.h"
#include "proxy/base/arena.h"
#include "proxy/trial_look.h"

#define SEEN_FACTS 600 /* octets of the facts of a check that are shown */

void
trial_saw(void *arg, const struct look *l)
{
	struct trial      *t = arg;
	struct trial_seen *s = arena_alloc(t->a, sizeof(*s));

	*s = (struct trial_seen){ l->check, look_facts(t->a, l, true), l->at, l->came, l->warn,
		t->seen };
	if (s->facts.n > SEEN_FACTS)
		s->facts.n = SEEN_FACTS;
	t->seen = s;
}

static struct strv
print_code(struct trial *t, uint16_t code, struct strv enh, struct strv by)
{
	return arena_printf(t->a, "%u%s%.*s%s%.*s", code, enh.n > 0 ? " " : "", (int)enh.n,
	    enh.n > 0 ? enh.p : "", by.n > 0 ? " by " : "", (int)by.n, by.n > 0 ? by.p : "");
}

static const struct trial_seen *
seen_of(const struct trial *t, struct strv check)
{
	const struct trial_seen *s = t->seen;

	while (s != NULL && !strv_eq(s->check, check))
		s = s->before;
	return s;
}

/* One line on what a check saw; absent: it was not looked at. */
static struct strv
tell_check(struct trial *t, struct strv check)
{
	const struct trial_seen *s = seen_of(t, check);

	if (s == NULL)
		return strv(NULL, 0);
	return arena_printf(t->a, "check %.*s %s at %s%s%s%.*s", (int)check.n, check.p,
	    look_came(s->came), stage_word(s->at), s->warn ? " (warn)" : "",
	    s->facts.n > 0 ? ": " : "", (int)s->facts.n, s->facts.p);
}

static bool
is_word(struct strv by)
{
	return strv_eq(by, SV("relay")) || strv_eq(by, SV("limits")) || strv_eq(by, SV("upstream"));
}

/* Whose word it was, and why: what stands below the row of marks. */
static struct strv
why_so(struct trial *t)
{
	const struct trial_answer *x = &t->answer;
	struct strv                who = strv(NULL, 0);

	if (x->by.n > 0 && !is_word(x->by))
		who = tell_check(t, x->by);
	if (who.n > 0)
		return who;
	if (strv_eq(x->by, SV("upstream")))
		return SV("no check refused it, and the server takes everything in a test");
	if (x->text.n == 0)
		return strv(NULL, 0);
	return arena_concat(t->a, SV("the client hears: "), trial_quote(t, x->text));
}

static void
tell_expected(struct trial *t, const struct conf_value *by)
{
	struct strv what;

	if (by->text.n == 0 || is_word(by->text) || strv_eq(by->text, t->answer.by))
		return;
	what = tell_check(t, by->text);
	if (what.n == 0)
		what = arena_printf(
		    t->a, "check %.*s was not looked at before that", (int)by->text.n, by->text.p);
	diag_add(t->d, DIAG_NOTE, by->pos, strv(NULL, 0), "%.*s", (int)what.n, what.p);
}

static void
not_met(struct trial *t, const struct test_block_step *x, struct strv want)
{
	const struct trial_answer *got = &t->answer;
	struct strv                came = print_code(t, got->code, strv_z(got->enh), got->by);
	struct pos                 at = x->pos;

	/* From the word to the end of the last value on its line. */
	for (unsigned i = 0; i < x->n; i++) {
		if (x->arg[i].pos.line == at.line)
			at.len = x->arg[i].pos.col + x->arg[i].pos.len - at.col;
	}
	if (x->by.text.p != NULL && x->by.pos.line == at.line)
		at.len = x->by.pos.col + x->by.pos.len - at.col;
	diag_add(t->d, DIAG_ERROR, at, why_so(t),
	    "the test %s fails: expected %.*s, but %.*s %s %.*s", diag_quote(t->a, t->b->name),
	    (int)want.n, want.p, (int)t->command_text.n, t->command_text.p,
	    got->earlier ? "stands behind an earlier" : "hears", (int)came.n, came.p);
	tell_expected(t, &x->by);
}

void
trial_expect(struct trial *t, const struct test_block_step *x)
{
	struct strv enh = x->n > 1 ? x->arg[1].text : strv("", 0);
	uint64_t    code = 0;

	t->expects++;
	if (t->command == COMMAND_NONE) {
		diag_add(t->d, DIAG_ERROR, x->pos, SV("such as: rcpt a@b.example expect 550"),
		    "`expect' speaks of the command before it, and there is none");
		return;
	}
	trial_hear(t);
	if (t->answer.code == 0 || !strv_number(x->arg[0].text, 999, &code))
		return;
	if (code == t->answer.code && (enh.n == 0 || strv_eq(enh, strv_z(t->answer.enh))) &&
	    (x->by.text.p == NULL || strv_eq(x->by.text, t->answer.by)))
		return;
	not_met(t, x, print_code(t, (uint16_t)code, enh, x->by.text));
}
