/*
 * session -- a client's connection in the loop: what an event means in each phase, when a turn begins and
 * what it does.  Opening, closing and the client's time are beside this file, what commands do in their own files.
 *
 * Invariant: while in_turn is true only the turn touches the session; it is freed in the loop alone.
 */
#include "proxy/smtp/auth.h"
#include "proxy/smtp/session_own.h"
#include "proxy/smtp/sessionlog.h"

#define ADVANCE_ROUNDS 4
#define STARVED_MS     20
#define STARVED_LOG_MS 60000

void
session_end(struct session *s, const char *why)
{
	if (!s->ending)
		s->end_why = why;
	s->ending = true;
}

void
session_cut(struct session *s, const char *why)
{
	session_end(s, why);
	s->gone = true;
}

static void
session_resume(void *arg)
{
	struct session *s = arg;

	s->deferred = false;
	session_advance(s);
}

void
session_later(struct session *s)
{
	if (s->deferred)
		return;
	s->deferred = true;
	loop_defer(s->smtp->loop, session_resume, s);
}

/* --- the turn --------------------------------------------------------------------------------- */

/*
 * RFC 5321 3.1, 4.3.2: a greeting is 220, 554 or 421.  Behind 554 we wait for QUIT; to come again later a client
 * must have heard 421.
 */
static void
greet_not(struct session *s, struct verdict *v)
{
	bool later = verdict_code(v) < 500;

	v->code = later ? 421 : 554;
	say_verdict(s, v, STAGE_CONNECT, NULL);
	if (later)
		session_end(s, "refused");
	s->state = SMTP_REFUSED;
	s->phase = PHASE_COMMAND;
}

/* Who speaks before the greeting.  Under TLS, or behind the XCLIENT of a peer, octets say nothing of the client. */
static void
hear_early(struct session *s)
{
	if (s->phase == PHASE_GREET && !s->client.tls.on && !s->introduced && !s->client.early)
		s->client.early = conn_waits(&s->io);
}

/* Greets, or says why not. */
MAY_YIELD static void
greet(struct session *s)
{
	struct verdict v = { 0 };

	/* What came in one piece with a PROXY header. */
	s->client.early = s->client.early ||
	    (intake_unread(&s->in).n > 0 && !s->client.tls.on && !s->introduced);
	if (judge_stage(s->hearing, STAGE_CONNECT, &v) != WAIT_OK) {
		session_cut(s, "cancelled");
		return;
	}
	session_log_checks(s);
	s->greeted = true;
	if (verdict_final(&v)) {
		greet_not(s, &v);
		return;
	}
	say(s, 220, "", arena_concat(s->a, s->smtp->conf->hostname, SV(" ESMTP")));
	s->phase = PHASE_COMMAND;
	/* A command that came with a PROXY header has waited aside. */
	intake_wake(&s->in);
}

/* RFC 5321 4.5.3.1.4, 4.2.4: the tail of a line that was too long is never a command. */
static void
bad_line(struct session *s, enum intake_rc rc)
{
	s->commands++;
	if (rc == INTAKE_TOO_LONG && s->in.was_wide) /* RFC 4954 4 */
		say_error(s, 500, "5.5.6", SV("authentication exchange line is too long"));
	else if (rc == INTAKE_TOO_LONG)
		say_error(s, 500, "5.5.2", SV("line too long"));
	else
		say_error(s, 500, "5.5.2", SV("a bare CR, bare LF or NUL in a command line"));
}

/* One command, if a whole line is there. */
MAY_YIELD static bool
command_step(struct session *s)
{
	struct strv    line;
	enum intake_rc rc = intake_line(&s->in, &line);

	if (rc == INTAKE_MORE)
		return false;
	if (rc == INTAKE_LINE_OK) {
		smtp_dispatch(s, line);
	} else if (rc == INTAKE_ENDLESS) {
		say(s, 421, "4.7.0", SV("line too long, closing connection"));
		session_end(s, "endless line");
	} else {
		bad_line(s, rc);
	}
	return true;
}

MAY_YIELD static bool
turn_step(struct session *s)
{
	switch (s->phase) {
	case PHASE_GREET:
		greet(s);
		return true;
	case PHASE_COMMAND:
		return command_step(s);
	case PHASE_AUTH:
		return auth_turn(s);
	case PHASE_TEXT:
		if (intake_unread(&s->in).n == 0)
			return false;
		data_turn(s);
		return true;
	case PHASE_CHUNK:
	case PHASE_SKIP:
		if (intake_unread(&s->in).n == 0 && s->text.left > 0)
			return false;
		bdat_turn(s);
		return true;
	default:
		return false;
	}
}

/* RFC 5321 3.8, 4.5.3.2: a spent arena is answered at the next boundary. */
static void
check_quota(struct session *s)
{
	if (!s->ending && arena_spent(s->a)) {
		say(s, 421, "4.3.1", SV("session used up its memory"));
		session_end(s, "memory");
	}
}

static void
session_turn(void *arg)
{
	struct session *s = arg;

	uint64_t began = loop_now(s->smtp->loop);
	bool     took = false;

	s->turn = fiber_self();
	while (!s->ending && !s->turn->cancelled && turn_step(s)) {
		took = true;
		session_check_errors(s);
		check_quota(s);
	}
	if (!s->gone && !s->turn->cancelled) {
		relay_settle(s);
		session_check_errors(s);
	}
	if (s->turn->cancelled)
		session_cut(s, s->end_why != NULL ? s->end_why : "client reset the connection");
	/* The last words travel with the end: session_begin_closing. */
	if (!s->gone && !s->ending && !slots_flush(&s->replies, &s->io))
		session_cut(s, "client is gone");
	session_client_again(s, began, took);
	s->turn = NULL;
	s->in_turn = false;
	if (!s->advancing)
		session_later(s);
}

/* For want of memory, or of places: all sessions together say so once a minute. */
static void
log_starved(struct session *s)
{
	struct smtp *m = s->smtp;
	uint64_t     now = loop_now(m->loop);

	if (m->starved_at > 0 && now - m->starved_at < STARVED_LOG_MS)
		return;
	m->starved_at = now;
	session_log_event(s, "session-waits", "no memory, or too much goes on at once");
}

/* False: no fiber is free now; the timer tries again. */
static bool
start_turn(struct session *s)
{
	uint64_t at;

	s->in_turn = true;
	s->starved = false;
	if (fiber_start(s->smtp->fibers, "session", session_turn, s) != NULL)
		return true;
	s->in_turn = false;
	s->starved = true;
	log_starved(s);
	/* Not pushed away by a client that goes on talking: the timer knows how long all this may take. */
	at = loop_now(s->smtp->loop) + STARVED_MS;
	if (s->timer.pos == 0 || s->timer.at > at)
		timer_start(s->smtp->loop, &s->timer, at);
	return false;
}

/* --- events ----------------------------------------------------------------------------------- */

/* A turn is parked and its client has done something: only a reset matters now. */
static void
look_for_reset(struct session *s)
{
	if (s->turn == NULL || s->gone)
		return;
	if (!s->io.fault && conn_peek(&s->io) >= 0) {
		hear_early(s);
		return;
	}
	s->gone = true;
	s->end_why = "client reset the connection";
	if (!s->relay.committed)
		fiber_cancel(s->turn);
}

/* RFC 5321 4.1.1.10: a client that closes without QUIT; what it has sent whole was answered. */
static void
hang_up(struct session *s, enum io_rc rc)
{
	const char *fault = tls_fault(&s->io);

	if (fault != NULL)
		session_log_event(s, "tls-failed", fault);
	if (rc == IO_EOF && s->phase == PHASE_AUTH)
		session_end(s, "client closed inside AUTH");
	else if (rc == IO_EOF)
		session_end(s,
		    s->phase == PHASE_COMMAND ? "client closed the connection" :
						"client closed inside a message");
	else
		session_cut(s, fault != NULL ? fault : "client reset the connection");
}

static bool
has_work(struct session *s)
{
	size_t n = intake_unread(&s->in).n;

	switch (s->phase) {
	case PHASE_GREET:
		return session_may_greet(s);
	case PHASE_COMMAND:
		return intake_has_line(&s->in);
	case PHASE_AUTH:
		return auth_has_work(s);
	case PHASE_TEXT:
		return n > 0;
	case PHASE_CHUNK:
	case PHASE_SKIP:
		return n > 0 || s->text.left == 0;
	default:
		return false;
	}
}

/* Reads once. False: nothing to read now. */
static bool
read_once(struct session *s)
{
	enum io_rc rc;

	/* Backpressure: who does not take our replies is not read. */
	if (!s->io.readable || s->phase == PHASE_GREET || conn_unsent(&s->io) > CONN_OUT_HIGH)
		return false;
	/* Nor is who waits for the answer to a failure; that it has gone is found all the same. */
	if (s->phase == PHASE_AUTH && auth_held(s) > 0) {
		if (s->io.fault || conn_peek(&s->io) < 0)
			hang_up(s, IO_FAULT);
		return false;
	}
	rc = intake_recv(&s->in, &s->io);
	if (rc == IO_EOF || rc == IO_FAULT)
		hang_up(s, rc);
	return rc != IO_AGAIN;
}

/* One step outside a turn. False: wait for the next event. */
static bool
advance_step(struct session *s)
{
	if (s->phase == PHASE_TLS) {
		session_handshake(s);
		return s->phase != PHASE_TLS || s->ending;
	}
	if (s->phase == PHASE_PROXY && intake_unread(&s->in).n > 0) {
		session_proxy_header(s);
		if (s->phase != PHASE_PROXY || s->ending)
			return true;
	} else if (has_work(s)) {
		/* A line that is not whole yet leaves has_work true and the turn without work: read on then. */
		struct strv before = intake_unread(&s->in);
		enum phase  phase = s->phase;

		if (!start_turn(s))
			return false;
		if (s->in_turn || s->ending || s->phase != phase ||
		    intake_unread(&s->in).n != before.n)
			return true;
	}
	return read_once(s);
}

void
session_advance(struct session *s)
{
	bool more = true;

	if (s->in_turn || s->advancing)
		return;
	s->advancing = true;
	for (unsigned i = 0;
	     i < ADVANCE_ROUNDS && more && !s->in_turn && !s->ending && s->phase != PHASE_CLOSING;
	     i++)
		more = advance_step(s);
	s->advancing = false;
	if (s->in_turn) {
		/* The reset came with what the turn works on, in one event: there is no second one. */
		if (s->io.hung)
			look_for_reset(s);
		return;
	}
	if (s->phase == PHASE_CLOSING)
		session_closing(s);
	else if (s->ending)
		session_begin_closing(s);
	else if (more)
		session_later(s);
	/* What is kept aside is no work: it stays where the timer finds it. */
	else if (!s->starved)
		intake_rest(&s->in);
}

void
session_event(void *arg)
{
	struct session *s = arg;

	if (s->in_turn) {
		look_for_reset(s);
		return;
	}
	hear_early(s);
	session_advance(s);
}
