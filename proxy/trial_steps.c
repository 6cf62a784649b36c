/*
 * trial_steps -- one `test` block: what is stated, and when it is played.
 *
 * Steps only state; a command is played when a later one or `expect` needs it, with all that was stated until
 * then.  So `mail` may stand before `client`, and what is not stated has its default.
 */
#include "proxy/trial_steps_own.h"

#include "policy/policy.h"
#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/loop.h"
#include "proxy/trial_time.h"

struct strv
trial_quote(struct trial *t, struct strv v)
{
	return strv_z(diag_quote(t->a, v));
}

static void
wrong(struct trial *t, struct pos at, const char *hint, struct strv value, const char *why)
{
	diag_add(t->d, DIAG_ERROR, at, strv_z(hint), "%s: %s", diag_quote(t->a, value), why);
}

/* ---- commands, played when they are needed ---- */

static void
heard(struct trial *t, enum trial_command c)
{
	t->heard = t->command == c;
	t->timed = true;
	trial_count(t->session, &t->answer);
}

MAY_YIELD static void
need_session(struct trial *t)
{
	if (t->session != NULL)
		return;
	t->session_a = arena_new(2048, 0);
	t->session = trial_open(&t->house, t->session_a, t->listener, &t->client);
	trial_greet(t->session, &t->answer);
	heard(t, COMMAND_CONNECT);
}

MAY_YIELD static void
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

MAY_YIELD static void
need_tls(struct trial *t)
{
	need_helo(t);
	if (!t->tls || t->said_tls)
		return;
	t->said_tls = true;
	trial_tls(t->session, &t->answer);
	heard(t, COMMAND_TLS);
}

MAY_YIELD static void
need_auth(struct trial *t)
{
	need_tls(t);
	if (t->user.p == NULL || t->said_user)
		return;
	t->said_user = true;
	trial_auth(t->session, t->user, &t->answer);
	heard(t, COMMAND_AUTH);
}

MAY_YIELD static void
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

MAY_YIELD static void
play_rcpt(struct trial *t, struct strv to)
{
	need_mail(t);
	trial_rcpt(t->session, to, &t->answer);
	heard(t, COMMAND_RCPT);
}

MAY_YIELD static void
play_message(struct trial *t, struct strv text)
{
	need_mail(t);
	trial_message(t->session, text, &t->answer);
	heard(t, COMMAND_MESSAGE);
}

MAY_YIELD static void
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
MAY_YIELD static void
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
	v = trial_quote(t, v);
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

void
trial_hear(struct trial *t)
{
	static void (*const need[])(
	    struct trial *) = { NULL, need_session, need_helo, need_tls, need_auth, need_mail };

	if (!t->heard && t->command < COMMAND_RCPT)
		need[t->command](t);
}

/* ---- the steps; false: the test cannot go on ---- */

MAY_YIELD static bool
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

MAY_YIELD static bool
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
	    policy_listener_meant(t->d->a, x->arg[0].text, names, t->s->n_listener),
	    "no listener is called %s", diag_quote(t->a, x->arg[0].text));
	return false;
}

MAY_YIELD static bool
step_helo(struct trial *t, const struct test_block_step *x)
{
	finish_transaction(t);
	t->helo = x->arg[0].text;
	t->said_helo = t->said_mail = false;
	command(t, COMMAND_HELO, "EHLO ", x->arg[0].text, "");
	return true;
}

MAY_YIELD static bool
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

MAY_YIELD static bool
step_auth(struct trial *t, const struct test_block_step *x)
{
	finish_transaction(t);
	t->user = x->arg[0].text;
	t->said_user = t->said_mail = false;
	command(t, COMMAND_AUTH, "AUTH of ", x->arg[0].text, "");
	return true;
}

MAY_YIELD static bool
step_mail(struct trial *t, const struct test_block_step *x)
{
	finish_transaction(t);
	t->mail = x->arg[0].text;
	t->said_mail = false;
	path_command(t, COMMAND_MAIL, "MAIL FROM", x->arg[0].text);
	return true;
}

MAY_YIELD static bool
step_rcpt(struct trial *t, const struct test_block_step *x)
{
	path_command(t, COMMAND_RCPT, "RCPT TO", x->arg[0].text);
	play_rcpt(t, x->arg[0].text);
	return true;
}

MAY_YIELD static bool
step_message(struct trial *t, const struct test_block_step *x)
{
	command(t, COMMAND_MESSAGE, "the message", strv("", 0), "");
	play_message(t, x->arg[0].text);
	return true;
}

MAY_YIELD static bool
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

/* Which of name, type and value dns_table_add does not take. */
static unsigned
culprit(const struct test_block_step *x)
{
	char     name[DNS_NAME_MAX];
	uint16_t type;

	if (x->n > 2 && (!dns_type_find(x->arg[1].text, &type) || type == DNS_SOA))
		return 1;
	return dns_name(x->arg[0].text, name) ? x->n - 1 : 0;
}

static bool
step_dns(struct trial *t, const struct test_block_step *x)
{
	const char *why = "";
	struct strv value = x->n > 2 ? x->arg[2].text : strv(NULL, 0);
	unsigned    bad;

	if (dns_table_add(t->world.dns, x->arg[0].text, x->arg[1].text, value, &why))
		return true;
	bad = culprit(x);
	wrong(t, x->arg[bad].pos, NULL, x->arg[bad].text, why);
	return false;
}

MAY_YIELD static bool
step_expect(struct trial *t, const struct test_block_step *x)
{
	trial_expect(t, x);
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
