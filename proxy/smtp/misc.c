/*
 * misc -- the commands that are answered here: RSET NOOP VRFY EXPN ETRN HELP QUIT, and how a session
 * says things.
 */
#include "proxy/smtp/command.h"
#include "proxy/smtp/sessionlog.h"

static void
set_enh(struct reply *r, const char *enh)
{
	size_t n = strlen(enh);

	memcpy(r->enh, enh, n < sizeof r->enh ? n + 1 : 0);
}

void
say(struct session *s, uint16_t code, const char *enh, struct strv text)
{
	struct reply r = { code, "", text };

	set_enh(&r, enh);
	slots_say(&s->replies, &r);
}

void
say_error(struct session *s, uint16_t code, const char *enh, struct strv text)
{
	s->errors++;
	say(s, code, enh, text);
}

/* The id lets a sender's postmaster and ours talk of the same line in the log. */
struct reply
verdict_reply(struct session *s, const struct verdict *v)
{
	struct reply  r = reply_of_verdict(v);
	struct arena *a = session_tx(s) != NULL ? session_tx(s)->a : s->a;
	struct strv   id = session_id(s);

	r.text = arena_printf(a, "%.*s (%.*s)", (int)r.text.n, r.text.p, (int)id.n, id.p);
	s->errors += r.code >= 500;
	if (v->kind == VERDICT_DISCONNECT)
		session_end(s, "disconnected by policy");
	return r;
}

void
say_verdict(struct session *s, const struct verdict *v, enum stage at, const struct path *rcpt)
{
	struct reply r = reply_of_verdict(v);

	session_log_refusal(s, at, &r, v->by, rcpt);
	r = verdict_reply(s, v);
	slots_say(&s->replies, &r);
}

void
rset_run(struct session *s, struct strv rest)
{
	(void)rest;
	tx_end(s);
	if (!s->ending)
		say(s, 250, "2.0.0", SV("Ok"));
}

void
noop_run(struct session *s, struct strv rest)
{
	(void)rest;
	say(s, 250, "2.0.0", SV("Ok"));
}

/* RFC 5321 7.3: neither yes nor no. */
void
vrfy_run(struct session *s, struct strv rest)
{
	(void)rest;
	say(s, 252, "2.0.0", SV("send some mail, I'll try my best"));
}

void
expn_run(struct session *s, struct strv rest)
{
	(void)rest;
	say(s, 502, "5.5.1", SV("EXPN is not available here"));
}

void
etrn_run(struct session *s, struct strv rest)
{
	(void)rest;
	say(s, 502, "5.5.1", SV("ETRN is not available here"));
}

void
help_run(struct session *s, struct strv rest)
{
	const struct command *c = command_find(rest);
	struct strv           text = c != NULL ? strv_z(c->syntax) : SV("commands:");

	for (c = commands; c->verb != NULL && rest.n == 0; c++)
		text = arena_concat(s->a, arena_concat(s->a, text, SV(" ")), strv_z(c->verb));
	if (rest.n > 0 && command_find(rest) == NULL)
		text = SV("no such command");
	say(s, 214, "2.0.0", text);
}

void
quit_run(struct session *s, struct strv rest)
{
	(void)rest;
	tx_end(s);
	if (!s->ending)
		say(s, 221, "2.0.0", SV("Bye"));
	session_end(s, "quit");
}
