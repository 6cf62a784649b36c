/*
 * session_close -- the end of a session: last replies, the client's end of the line, what is given back.
 *
 * Invariant: a session is freed in the loop, never in its own turn, and not while session_resume is queued.
 */
#include "proxy/smtp/auth.h"
#include "proxy/smtp/session_own.h"
#include "proxy/smtp/sessionlog.h"

#define LINGER_MS     5000
#define LINGER_OCTETS (1024 * 1024) /* dropped in patience after our last word */
#define CLOSE_MS      30000         /* for a slow client to take its last replies */

static void
unlist(struct session *s)
{
	struct smtp *m = s->smtp;

	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		m->sessions = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	m->n_sessions--;
	counters_add(m->counters, m->place, COUNTER_SESSIONS_OPEN, -1);
	if (s->counted)
		counters_client_leave(m->counters, m->place, s->client_hash);
	if (m->draining && m->n_sessions == 0)
		smtp_is_drained(m);
}

static void
session_free(struct session *s)
{
	if (s->greeted || s->commands > 0)
		session_log_end(s);
	tx_end(s);
	relay_close(s);
	judge_close(s->hearing);
	if (s->watch.on)
		pool_unwatch(s->smtp, &s->watch);
	timer_stop(s->smtp->loop, &s->timer);
	slots_fini(&s->replies);
	intake_fini(&s->in);
	conn_close(&s->io);
	unlist(s);
	arena_free(s->a);
}

/*
 * A close while the client's octets are unread would become a RST, which can take our last reply with it:
 * so our side is shut first, and what still comes is dropped for a while.
 */
static void
linger(struct session *s)
{
	s->lingering = true;
	conn_shutdown(&s->io);
	session_deadline(s, loop_now(s->smtp->loop) + LINGER_MS);
}

/* Octets of the client that nobody has read? */
static bool
must_linger(const struct session *s)
{
	return s->io.readable || intake_unread(&s->in).n > 0;
}

/* Drops input.  True: the client has closed, or more came than we care for. */
static bool
drop_input(struct session *s)
{
	while (s->io.readable) {
		enum io_rc rc;

		intake_take(&s->in, intake_unread(&s->in).n);
		rc = intake_recv(&s->in, &s->io);
		s->drained += s->in.n;
		if (rc == IO_EOF || rc == IO_FAULT || s->drained > LINGER_OCTETS)
			return true;
	}
	intake_take(&s->in, intake_unread(&s->in).n);
	intake_rest(&s->in);
	return false;
}

/* PHASE_CLOSING: replies first, then our end of the line, then theirs.  May free s. */
void
session_closing(struct session *s)
{
	if (s->deferred)
		return;
	conn_flush(&s->io);
	if (s->gone || s->io.fault) {
		session_free(s);
		return;
	}
	if (conn_unsent(&s->io) > 0)
		return;
	if (!s->lingering && !must_linger(s)) {
		session_free(s);
		return;
	}
	if (!s->lingering)
		linger(s);
	if (drop_input(s))
		session_free(s);
}

static void
quiet(void *arg)
{
	session_advance(arg);
}

/* Look-ups that were started early work in the arenas that go: they end first. */
void
session_begin_closing(struct session *s)
{
	if (!judge_quiet(s->hearing, quiet, s)) {
		session_deadline(s, loop_now(s->smtp->loop) + CLOSE_MS);
		return;
	}
	tx_end(s);
	if (!s->gone && !slots_flush_last(&s->replies, &s->io, must_linger(s)))
		s->gone = true;
	s->phase = PHASE_CLOSING;
	session_deadline(s, loop_now(s->smtp->loop) + CLOSE_MS);
	session_closing(s);
}

/* ---- a reload or a stop ---------------------------------------------------------------------- */

/* RFC 5321 3.8: a server that shuts down says 421. */
void
session_say_shutdown(struct session *s)
{
	say(s, 421, "4.3.2", SV("service is restarting, try again"));
	session_end(s, "shutdown");
}

/* It waits for the client: no reply is owed that ours would have to stand behind. */
static bool
may_be_told(const struct session *s)
{
	static const bool waits[] = {
		[PHASE_GREET] = true,
		[PHASE_COMMAND] = true,
		[PHASE_AUTH] = true,
		[PHASE_TEXT] = true,
		[PHASE_CHUNK] = true,
		[PHASE_SKIP] = true,
		[PHASE_CLOSING] = false,
	};

	return waits[s->phase] && !s->in_turn && !s->ending && auth_held(s) == 0;
}

void
session_abort(struct session *s)
{
	if (may_be_told(s)) {
		s->greeted = true;
		session_say_shutdown(s);
	} else {
		session_cut(s, "shutdown");
	}
	if (s->in_turn && s->turn != NULL)
		fiber_cancel(s->turn);
	else
		session_later(s);
}
