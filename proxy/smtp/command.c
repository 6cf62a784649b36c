/*
 * command -- is a command known, timely, well formed in its arguments' presence: then it runs.
 */
#include "proxy/smtp/command.h"

#include "proxy/smtp/auth.h"
#include "proxy/smtp/xclient_in.h"

#define IN(state) (1u << SMTP_##state)
#define IN_ANY    (IN(NEW) | IN(READY) | IN(MAIL) | IN(BDAT))
#define IN_NO_TX  (IN(NEW) | IN(READY))
#define IN_TX     (IN(MAIL) | IN(BDAT))
#define IN_ALL    (IN_ANY | IN(REFUSED))

/* clang-format off */
const struct command commands[] = {
	/* verb        flags                                                allowed      run           syntax                       source */
	{ "EHLO",     CMD_PLAIN | CMD_NO_AUTH | CMD_BARRIER | CMD_NEEDS_ARG, IN_ANY,    ehlo_run,     "EHLO name",                 "RFC 5321 4.1.1.1" },
	{ "HELO",     CMD_NO_AUTH | CMD_BARRIER | CMD_NEEDS_ARG,             IN_ANY,    helo_run,     "HELO name",                 "RFC 5321 4.1.1.1" },
	{ "MAIL",     CMD_LONG,                                              IN(READY), mail_run,     "MAIL FROM:<path> [param]",  "RFC 5321 4.1.1.2" },
	{ "RCPT",     CMD_LONG,                                              IN(MAIL),  rcpt_run,     "RCPT TO:<path> [param]",    "RFC 5321 4.1.1.3" },
	{ "DATA",     CMD_BARRIER | CMD_NO_ARG,                              IN(MAIL),  data_run,     "DATA",                      "RFC 5321 4.1.1.4" },
	/* A BDAT out of order has octets behind it that must be dropped: it judges its order itself. */
	{ "BDAT",     CMD_PLAIN | CMD_NO_AUTH | CMD_BARRIER,                 IN_ALL,    bdat_run,     "BDAT size [LAST]",          "RFC 3030 2" },
	{ "RSET",     CMD_NO_AUTH | CMD_BARRIER | CMD_NO_ARG | CMD_JUNK,     IN_ANY,    rset_run,     "RSET",                      "RFC 5321 4.1.1.5" },
	{ "NOOP",     CMD_PLAIN | CMD_NO_AUTH | CMD_JUNK,                    IN_ANY,    noop_run,     "NOOP [text]",               "RFC 5321 4.1.1.9" },
	{ "VRFY",     CMD_NEEDS_ARG | CMD_JUNK,                              IN_ANY,    vrfy_run,     "VRFY text",                 "RFC 5321 3.5.3" },
	{ "EXPN",     CMD_NEEDS_ARG | CMD_JUNK,                              IN_ANY,    expn_run,     "EXPN text",                 "RFC 5321 3.5.2" },
	{ "HELP",     CMD_NO_AUTH | CMD_JUNK,                                IN_ANY,    help_run,     "HELP [command]",            "RFC 5321 4.1.1.8" },
	{ "ETRN",     CMD_NEEDS_ARG | CMD_JUNK,                              IN_ANY,    etrn_run,     "ETRN domain",               "RFC 1985" },
	{ "STARTTLS", CMD_PLAIN | CMD_NO_AUTH | CMD_BARRIER | CMD_NO_ARG,    IN_NO_TX,  starttls_run, "STARTTLS",                  "RFC 3207 4" },
	{ "AUTH",     CMD_NO_AUTH | CMD_BARRIER | CMD_NEEDS_ARG | CMD_LONG,  IN(READY), auth_run,     "AUTH mechanism [response]", "RFC 4954 4" },
	{ "XCLIENT",  CMD_NO_AUTH | CMD_BARRIER | CMD_NEEDS_ARG,             IN_NO_TX,  xclient_run,  "XCLIENT name=value ...",    "Postfix XCLIENT_README" },
	{ "QUIT",     CMD_PLAIN | CMD_NO_AUTH | CMD_BARRIER | CMD_NO_ARG,    IN_ALL,    quit_run,     "QUIT",                      "RFC 5321 4.1.1.10" },
	{ NULL, 0, 0, NULL, NULL, NULL }
};
/* clang-format on */

/* The first letter decides nearly always. */
static bool
is(struct strv verb, const char *word)
{
	return verb.n > 0 && ascii_lower(verb.p[0]) == ascii_lower(word[0]) &&
	    strv_ieq(verb, strv_z(word));
}

const struct command *
command_find(struct strv verb)
{
	const struct command *c = commands;

	while (c->verb != NULL && !is(verb, c->verb))
		c++;
	return c->verb != NULL ? c : NULL;
}

/* RFC 5321 4.2.4, 4.1.4: out of order, and what would be in order. */
static struct strv
order_text(const struct session *s, const struct command *c)
{
	if (s->state == SMTP_REFUSED)
		return SV("no service for you here, say QUIT");
	if (c->allowed == IN(MAIL))
		return s->state == SMTP_BDAT ? SV("a BDAT transaction is open") :
					       SV("need MAIL command first");
	if (s->state == SMTP_NEW)
		return SV("send HELO or EHLO first");
	return SV("a transaction is open already");
}

/* Answers what stands in the way.  True: something did. */
static bool
refused(struct session *s, const struct command *c, struct strv rest)
{
	bool no_service = s->state == SMTP_REFUSED && !(c->allowed & IN(REFUSED));
	bool needs_tls = s->listener->require_tls && !s->client.tls.on;
	bool needs_auth = s->listener->require_auth && s->client.auth_user.p == NULL;

	/* RFC 5321 4.5.3.1.4: only MAIL and RCPT (RFC 3461 4) and AUTH (RFC 4954 4) may be long. */
	if (rest.n > COMMAND_LINE - 8 && !(c->flags & CMD_LONG))
		say_error(s, 500, "5.5.2", SV("line too long"));
	else if (no_service)
		say_error(s, 503, "5.5.1", order_text(s, c));
	else if (needs_tls && !(c->flags & CMD_PLAIN))
		say_error(s, 530, "5.7.0", SV("must issue a STARTTLS command first"));
	else if (needs_auth && !(c->flags & CMD_NO_AUTH)) /* RFC 4954 6 */
		say_error(s, 530, "5.7.0", SV("authentication required"));
	else if (!(c->allowed & 1u << s->state))
		say_error(s, 503, "5.5.1", order_text(s, c));
	else if ((c->flags & CMD_NO_ARG) && rest.n > 0)
		say_error(s, 501, "5.5.4", SV("this command takes no argument"));
	else if ((c->flags & CMD_NEEDS_ARG) && rest.n == 0)
		say_error(s, 501, "5.5.4", SV("this command needs an argument"));
	else
		return false;
	return true;
}

/* RFC 5321 7.8: what moves no mail may be said a number of times between two messages, then it is an error. */
void
session_count_junk(struct session *s)
{
	if (++s->junk > s->smtp->conf->limits.junk)
		s->errors++;
}

/* A client that had its transaction is asked to come again once we are leaving. */
static bool
must_leave(struct session *s, const struct command *c)
{
	if (!s->smtp->draining || s->n_tx == 0 || s->state > SMTP_READY || c == NULL ||
	    c->run == quit_run)
		return false;
	say(s, 421, "4.3.2", SV("service is restarting, try again"));
	session_end(s, "shutdown");
	return true;
}

void
session_check_errors(struct session *s)
{
	if (s->ending || s->errors - s->forgiven < s->smtp->conf->limits.errors)
		return;
	say(s, 421, "4.7.0", SV("too many errors"));
	session_end(s, "too many errors");
}

#define UNKNOWN_LINE 512 /* octets of it that are told */

/* libmilter, xxfi_unknown: a milter may refuse it in words of its own, and that is all it may. */
MAY_YIELD static void
not_known(struct session *s, struct strv line)
{
	struct verdict v = { 0 };

	if (s->state != SMTP_REFUSED && judge_hears_unknown(s->smtp->conf->judge)) {
		if (judge_unknown(s->hearing,
			strv_first(line, line.n < UNKNOWN_LINE ? line.n : UNKNOWN_LINE),
			&v) != WAIT_OK)
			return;
	}
	if (!verdict_final(&v)) {
		say_error(s, 500, "5.5.2", SV("command not recognized"));
		return;
	}
	s->errors += verdict_code(&v) < 500;
	say_verdict(s, &v, STAGE_UNKNOWN, NULL);
}

void
smtp_dispatch(struct session *s, struct strv line)
{
	struct strv           rest, verb = parse_verb(line, &rest);
	const struct command *c = command_find(verb);

	s->commands++;
	if (must_leave(s, c))
		return;
	if (c != NULL && (c->flags & CMD_BARRIER))
		relay_settle(s);
	if (s->relay.told)
		tx_end(s);
	/* The server of an authenticated session was lost just now: its 421 is the last word. */
	if (s->ending)
		return;
	if (c != NULL && (c->flags & CMD_JUNK))
		session_count_junk(s);
	if (c == NULL)
		not_known(s, line);
	else if (!refused(s, c, rest))
		c->run(s, rest);
}
