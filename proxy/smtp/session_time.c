/*
 * session_time -- the client's time: how long it may be silent, what a text earns by coming, and what is said when
 * the time is over.
 *
 * Not for the server's time, which is upstream_ms's: while a turn runs the client's stands still.  A deadline that
 * is put off leaves the timer alone: it fires at the old one, looks, and is started again.
 */
#include "proxy/smtp/auth.h"
#include "proxy/smtp/session_own.h"
#include "proxy/smtp/sessionlog.h"

#define DRAIN_IDLE_MS 30000

void
session_deadline(struct session *s, uint64_t at)
{
	s->deadline = at;
	if (s->timer.pos == 0 || s->timer.at > at)
		timer_start(s->smtp->loop, &s->timer, at);
}

/*
 * Postfix's smtpd_min_data_rate: each octet buys 1/rate seconds, the purse never holds more than
 * command-timeout.  A trickle so runs dry, a slow honest line does not.
 */
void
session_rate(struct session *s, size_t n)
{
	const struct limits *l = &s->smtp->conf->limits;
	uint64_t             now = loop_now(s->smtp->loop), at = s->deadline;

	at += l->min_data_rate > 0 ? (uint64_t)n * 1000 / l->min_data_rate : l->command_timeout;
	if (at > now + l->command_timeout)
		at = now + l->command_timeout;
	if (s->text.until > 0 && at > s->text.until)
		at = s->text.until;
	session_deadline(s, at);
}

/* When a client that says nothing is given up: sooner while we are leaving, or between the chunks of a text. */
static uint64_t
command_deadline(const struct session *s)
{
	uint64_t now = loop_now(s->smtp->loop);
	uint64_t at = now + s->smtp->conf->limits.command_timeout;

	if (s->smtp->draining && at > now + DRAIN_IDLE_MS)
		at = now + DRAIN_IDLE_MS;
	if (s->state == SMTP_BDAT && s->text.until > 0 && at > s->text.until)
		at = s->text.until;
	return at;
}

/* A command, or a response of an exchange. */
static bool
waits_for_line(const struct session *s)
{
	return s->phase == PHASE_COMMAND || (s->phase == PHASE_AUTH && auth_held(s) == 0);
}

static void
await_line(struct session *s)
{
	uint64_t until = command_deadline(s);

	session_deadline(s, s->phase == PHASE_AUTH ? auth_thinks(s, until) : until);
}

void
session_drain(struct session *s)
{
	if (!waits_for_line(s) || s->in_turn)
		return;
	if (s->phase == PHASE_AUTH || s->deadline > command_deadline(s))
		await_line(s);
}

/*
 * It is the client's move again.  Its time stood still while we, or the server, had ours: a text goes on
 * with what it had left, and so does one that dripped a line which is not whole yet.  (RFC 5321 4.5.3.2: the
 * timeouts are for the other side's silence.)
 */
void
session_client_again(struct session *s, uint64_t began, bool took)
{
	uint64_t now = loop_now(s->smtp->loop);

	if (s->text.until > 0)
		s->text.until += now - began;
	if (s->phase == PHASE_AUTH && auth_held(s) > 0)
		session_deadline(s, auth_held(s));
	else if (waits_for_line(s) && took)
		await_line(s);
	else
		session_deadline(s, s->deadline + (now - began));
}

static void
timed_out(struct session *s, uint64_t late)
{
	switch (s->phase) {
	case PHASE_AUTH:
		/* The answer is due: a turn gives it, unless none can be had. */
		if (auth_held(s) > 0 && late < s->smtp->conf->limits.command_timeout)
			break;
		/* fallthrough */
	case PHASE_COMMAND:
	case PHASE_TEXT:
	case PHASE_CHUNK:
	case PHASE_SKIP:
		say(s, 421, "4.4.2", SV("timeout, closing connection"));
		session_end(s, "timeout");
		break;
	case PHASE_GREET:
		s->greeted = true;
		counters_add(s->smtp->counters, s->smtp->place, COUNTER_REFUSED_SERVERS, 1);
		say(s, 421, "4.3.2", SV("no mail server is available now"));
		session_end(s, "no upstream");
		break;
	case PHASE_PROXY:
		session_log_event(s, "proxy-header-refused", "none came in time");
		/* fallthrough */
	default:
		session_cut(s, "timeout");
	}
}

void
session_timer(void *arg)
{
	struct session *s = arg;
	uint64_t        now = loop_now(s->smtp->loop);
	bool            starved = s->starved;

	if (s->in_turn)
		return;
	s->starved = false;
	if (now < s->deadline || auth_may_think(s)) {
		/* Where there is no fiber again start_turn moves it. */
		session_deadline(s, s->deadline);
		if (starved)
			session_advance(s);
		return;
	}
	if (s->phase == PHASE_CLOSING)
		s->gone = true;
	else if (s->smtp->draining && waits_for_line(s))
		session_say_shutdown(s);
	else
		timed_out(s, now - s->deadline);
	session_advance(s);
}
