/*
 * trial_steps -- one `test` block: what is stated, when it is played, and whether what is expected comes.
 *
 * Steps only state; a command is played when a later one or `expect` needs it, with all that was stated until
 * then.  So `mail` may stand before `client`, and what is not stated has its default.
 */
#include "proxy/trial_steps.h"

#include "policy/policy.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/trial_look.h"
#include "proxy/trial_time.h"

#define SEEN_FACTS 600 /* octets of the facts of a check that are shown */

static struct strv
quote(struct trial *t, struct strv v)
{
	return strv_z(diag_quote(t->a, v));
}

static void
wrong(struct trial *t, struct pos at, const char *hint, struct strv value, const char *why)
{
	diag_add(t->d, DIAG_ERROR, at, strv_z(hint), "%s: %s", diag_quote(t->a, value), why);
}

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

/* ---- commands, played when they are needed ---- */

static void
heard(struct trial *t, enum trial_command c)
{
	t->heard = t->command == c;
	t->timed = true;
	trial_count(t->session, &t->answer);
}

static void
need_session(struct trial *t)
{
	if (t->session != NULL)
		return;
	t->session_a = arena_new(2048, 0);
	t->session = trial_open(&t->house, t->session_a, t->listener, &t->client);
	trial_greet(t->session, &t->answer);
	heard(t, COMMAND_CONNECT);
}

static void
need_helo(struct trial *t)
{
	need_session(t);
	if (t->said_helo)
		return;
	if (t->helo.p == NULL)
		t->helo = SV("client.example");
	t->said_helo = true;
	trial_helo(t->session, t->helo, &t->answer);
	heard(t, COMMAND_HELO);
}

static void
need_tls(struct trial *t)
{
	need_helo(t);
	if (!t->tls || t->said_tls)
		return;
	t->said_tls = true;
	trial_tls(t->session, &t->answer);
	heard(t, COMMAND_TLS);
}

static void
need_auth(struct trial *t)
{
	need_tls(t);
	if (t->user.p == NULL || t->said_user)
		return;
	t->said_user = true;
	trial_auth(t->session, t->user, &t->answer);
	heard(t, COMMAND_AUTH);
}

static void
need_mail(struct trial *t)
{
	need_auth(t);
	if (t->said_mail && trial_in_transaction(t->session))
		return;
	if (t->mail.p == NULL)
		t->mail = SV("a@client.example");
	t->said_mail = true;
	trial_mail(t->session, t->mail, &t->answer);
	heard(t, COMMAND_MAIL);
}

static void
play_rcpt(struct trial *t, struct strv to)
{
	need_mail(t);
	trial_rcpt(t->session, to, &t->answer);
	heard(t, COMMAND_RCPT);
}

static void
play_message(struct trial *t, struct strv text)
{
	need_mail(t);
	trial_message(t->session, text, &t->answer);
	heard(t, COMMAND_MESSAGE);
}

static void
end_session(struct trial *t)
{
	struct trial_answer copy = t->answer;

	if (t->session == NULL)
		return;
	/* An expect behind it may still ask for the last answer. */
	copy.text = copy.text.p != NULL ? arena_dup(t->a, copy.text) : copy.text;
	copy.by = copy.by.p != NULL ? arena_dup(t->a, copy.by) : copy.by;
	t->answer = copy;
	trial_close(t->session);
	arena_free(t->session_a);
	t->session = NULL;
	t->said_helo = t->said_tls = t->said_user = t->said_mail = t->tls = false;
	t->helo = t->user = t->mail = (struct strv){ NULL, 0 };
}

/* The message that a transaction is about which nobody said more; what becomes of it nobody asked. */
static void
finish_transaction(struct trial *t)
{
	if (t->session == NULL || !trial_has_recipient(t->session))
		return;
	trial_message(t->session, trial_minimal(t->session, t->a), &t->answer);
	trial_count(t->session, &t->answer);
}

static void
command(struct trial *t, enum trial_command c, const char *before, struct strv v, const char *after)
{
	v = quote(t, v);
	/* Without the quotes. */
	if (v.n >= 2)
		v = strv(v.p + 1, v.n - 2);
	t->command = c;
	t->heard = false;
	t->command_text = arena_printf(t->a, "%s%.*s%s", before, (int)v.n, v.p, after);
}

static void
path_command(struct trial *t, enum trial_command c, const char *word, struct strv v)
{
	bool bare = v.n == 0 || v.p[0] != '<';

	command(t, c, arena_z(t->a, arena_printf(t->a, "%s:%s", word, bare ? "<" : "")), v,
	    bare ? ">" : "");
}

/* ---- expect ---- */

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
	return arena_concat(t->a, SV("the client hears: "), quote(t, x->text));
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

static void
hear(struct trial *t)
{
	static void (*const need[])(
	    struct trial *) = { NULL, need_session, need_helo, need_tls, need_auth, need_mail };

	if (!t->heard && t->command < COMMAND_RCPT)
		need[t->command](t);
}

static void
expect(struct trial *t, const struct test_block_step *x)
{
	struct strv enh = x->n > 1 ? x->arg[1].text : strv("", 0);
	uint64_t    code = 0;

	t->expects++;
	if (t->command == COMMAND_NONE) {
		diag_add(t->d, DIAG_ERROR, x->pos, SV("such as: rcpt a@b.example expect 550"),
		    "`expect' speaks of the command before it, and there is none");
		return;
	}
	hear(t);
	if (t->answer.code == 0 || !strv_number(x->arg[0].text, 999, &code))
		return;
	if (code == t->answer.code && (enh.n == 0 || strv_eq(enh, strv_z(t->answer.enh))) &&
	    (x->by.text.p == NULL || strv_eq(x->by.text, t->answer.by)))
		return;
	not_met(t, x, print_code(t, (uint16_t)code, enh, x->by.text));
}

/* ---- the other steps; false: the test cannot go on ---- */

static bool
step_client(struct trial *t, const struct test_block_step *x)
{
	end_session(t);
	command(t, COMMAND_CONNECT, "the connection from ", x->arg[0].text, "");
	if (addr_parse(x->arg[0].text, &t->client))
		return true;
	diag_add(t->d, DIAG_ERROR, x->arg[0].pos, SV("such as 198.51.100.9"),
	    "%s is not an IP address", diag_quote(t->d->a, x->arg[0].text));
	return false;
}

static bool
step_listener(struct trial *t, const struct test_block_step *x)
{
	struct strv *names = arena_array(t->a, t->s->n_listener, sizeof(*names));

	end_session(t);
	command(t, COMMAND_CONNECT, "the connection to ", x->arg[0].text, "");
	for (unsigned i = 0; i < t->s->n_listener; i++) {
		names[i] = t->s->listener[i].name;
		if (strv_eq(names[i], x->arg[0].text)) {
			t->listener = &t->s->listener[i];
			return true;
		}
	}
	diag_add(t->d, DIAG_ERROR, x->arg[0].pos,
	    diag_did_you_mean(t->d->a, diag_nearest_v(x->arg[0].text, names, t->s->n_listener)),
	    "no listener is called %s", diag_quote(t->a, x->arg[0].text));
	return false;
}

static bool
step_helo(struct trial *t, const struct test_block_step *x)
{
	finish_transaction(t);
	t->helo = x->arg[0].text;
	t->said_helo = t->said_mail = false;
	command(t, COMMAND_HELO, "EHLO ", x->arg[0].text, "");
	return true;
}

static bool
step_tls(struct trial *t, const struct test_block_step *x)
{
	(void)x;
	if (t->listener->context == NULL && !t->listener->tls)
		diag_add(t->d, DIAG_WARNING, x->pos, SV("such as: tls certificate FILE key FILE"),
		    "no TLS is offered here");
	finish_transaction(t);
	t->tls = true;
	t->said_mail = false;
	command(t, COMMAND_TLS, "STARTTLS", strv("", 0), "");
	return true;
}

static bool
step_auth(struct trial *t, const struct test_block_step *x)
{
	finish_transaction(t);
	t->user = x->arg[0].text;
	t->said_user = t->said_mail = false;
	command(t, COMMAND_AUTH, "AUTH of ", x->arg[0].text, "");
	return true;
}

static bool
step_mail(struct trial *t, const struct test_block_step *x)
{
	finish_transaction(t);
	t->mail = x->arg[0].text;
	t->said_mail = false;
	path_command(t, COMMAND_MAIL, "MAIL FROM", x->arg[0].text);
	return true;
}

static bool
step_rcpt(struct trial *t, const struct test_block_step *x)
{
	path_command(t, COMMAND_RCPT, "RCPT TO", x->arg[0].text);
	play_rcpt(t, x->arg[0].text);
	return true;
}

static bool
step_message(struct trial *t, const struct test_block_step *x)
{
	command(t, COMMAND_MESSAGE, "the message", strv("", 0), "");
	play_message(t, x->arg[0].text);
	return true;
}

static bool
step_time(struct trial *t, const struct test_block_step *x)
{
	struct strv v = x->arg[0].text;
	uint64_t    moment, ms = 0, wall = t->world.w.wall(&t->world.w);
	const char *why = "is no moment";

	if (v.n > 0 && v.p[0] == '+') {
		if (!trial_time_span(strv_from(v, 1), &ms, &why)) {
			wrong(t, x->arg[0].pos, "such as +5m", v, why);
			return false;
		}
	} else if (!trial_time_moment(v, &moment)) {
		wrong(t, x->arg[0].pos, "such as 2026-11-22T12:00:00Z, or +5m", v, why);
		return false;
	} else if (!t->timed) {
		t->world.wall += moment - wall;
	} else if (moment < wall) {
		wrong(t, x->arg[0].pos, NULL, v, "lies before what was played already");
		return false;
	} else {
		ms = (moment - wall) / 1000;
	}
	fiber_self()->deadline = 0;
	return ms == 0 || fiber_sleep(ms) != WAIT_CANCELLED;
}

static bool
step_dns(struct trial *t, const struct test_block_step *x)
{
	const char *why = "";
	struct strv value = x->n > 2 ? x->arg[2].text : strv(NULL, 0);

	if (dns_table_add(t->world.dns, x->arg[0].text, x->arg[1].text, value, &why))
		return true;
	wrong(t, x->arg[x->n - 1].pos, NULL, x->arg[x->n - 1].text, why);
	return false;
}

static bool
step_expect(struct trial *t, const struct test_block_step *x)
{
	expect(t, x);
	return !fiber_self()->cancelled;
}

static const struct {
	const char *word;
	bool (*play)(struct trial *, const struct test_block_step *);
} steps[] = {
	{ "client", step_client },
	{ "listener", step_listener },
	{ "helo", step_helo },
	{ "tls", step_tls },
	{ "auth", step_auth },
	{ "mail", step_mail },
	{ "rcpt", step_rcpt },
	{ "message", step_message },
	{ "time", step_time },
	{ "dns", step_dns },
	{ "expect", step_expect },
};

static bool
play_step(struct trial *t, const struct test_block_step *x)
{
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (strv_eq(x->word, strv_z(steps[i].word)))
			return steps[i].play(t, x);
	}
	return false;
}

void
trial_play(void *arg)
{
	struct trial *t = arg;

	t->listener = t->s->listener;
	(void)addr_parse(SV("203.0.113.1"), &t->client);
	for (unsigned i = 0; i < t->b->n && !fiber_self()->cancelled; i++) {
		if (!play_step(t, &t->b->step[i]))
			break;
	}
	end_session(t);
	t->ended = true;
}
