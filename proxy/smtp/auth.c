/*
 * auth -- AUTH between a client and its server: each line is decoded, looked at, written anew, passed on.
 *
 * Not for judging a secret, and not for keeping one: what was decoded is wiped as soon as it is encoded
 * again.  The invariants: relay.up is tainted while an exchange is open in it, so that it never gets back
 * among the others; while the client thinks, or waits for the answer to a failure, no fiber is held.
 * What becomes of the server's answers is auth_answer.c's.
 */
#include "proxy/smtp/auth_own.h"

#include "proxy/smtp/hop_smtp.h"
#include "proxy/smtp/route.h"
#include "proxy/smtp/sessionlog.h"

#define THINK_MS     10000
#define AUTH_COMMAND 64 /* octets of "AUTH", a mechanism and blanks */

/* --- may it -------------------------------------------------------------------------------------- */

bool
auth_offered(const struct session *s)
{
	const struct pool_conf *c = pool_conf(s->smtp->pool[s->listener->pool]);

	if (s->client.auth_user.p != NULL || !(s->client.tls.on || s->listener->auth_plain))
		return false;
	for (unsigned i = 0; i < c->n_server; i++)
		if (!server_keeps_secrets(&c->server[i]))
			return false;
	return true;
}

/* RFC 4954 4 and 6.  What was offered holds, whatever became of the server since.  True: answered. */
static bool
refused(struct session *s, int m, struct strv initial)
{
	bool could_tls = !s->client.tls.on && s->listener->context != NULL &&
	    !s->listener->no_starttls;

	if (s->client.auth_user.p != NULL)
		say_error(s, 503, "5.5.1", SV("already authenticated"));
	else if (!(s->offered.caps & EHLO_AUTH) && could_tls && m >= 0)
		say_error(s, 538, "5.7.11", SV("encryption required for this mechanism"));
	else if (!(s->offered.caps & EHLO_AUTH))
		say_error(s, 502, "5.5.1", SV("AUTH is not available here"));
	else if (m < 0 || !(s->offered.auth & SASL_BIT((unsigned)m)))
		say_error(s, 504, "5.5.4", SV("this mechanism is not offered"));
	else if (initial.n > 0 && sasl_server_first((enum sasl_mechanism)m))
		say_error(s, 501, "5.7.0", SV("the server speaks first in this mechanism"));
	else if (auth_failed_too_often(s))
		auth_refuse_for_good(s);
	else
		return false;
	return true;
}

MAY_YIELD static bool
judged(struct session *s)
{
	struct verdict v = { 0 };

	if (judge_stage(s->hearing, STAGE_AUTH, &v) != WAIT_OK)
		return false;
	session_log_checks(s);
	if (verdict_final(&v))
		say_verdict(s, &v, STAGE_AUTH, NULL);
	return !verdict_final(&v);
}

/* --- memory --------------------------------------------------------------------------------------- */

/* Also when the session's arena goes. */
static void
forget(void *arg)
{
	struct session *s = arg;

	if (s->auth != NULL)
		mem_free(s->auth->text);
	mem_free(s->auth);
	s->auth = NULL;
}

void
auth_drop(struct session *s)
{
	if (s->auth == NULL)
		return;
	arena_undefer(s->a, forget, s);
	forget(s);
	s->in.wide = false;
	if (s->phase == PHASE_AUTH)
		s->phase = PHASE_COMMAND;
}

static void
begin(struct session *s, enum sasl_mechanism m)
{
	s->auth = mem_alloc(sizeof *s->auth);
	s->auth->mechanism = m;
	arena_defer(s->a, forget, s);
}

/* Made at once as large as it will be: a buffer that grows leaves copies. */
static void
line_init(struct buf *line, size_t n)
{
	buf_init(line, AUTH_COMMAND + n + 8);
	buf_reserve(line, line->max);
}

static void
line_fini(struct buf *line)
{
	explicit_bzero(line->p, line->room);
	buf_fini(line);
}

/* --- what the client says ------------------------------------------------------------------------ */

static struct strv
keep_name(char to[SASL_NAME], struct strv v)
{
	if (v.p == NULL)
		return v;
	memcpy(to, v.p, v.n);
	return strv(to, v.n);
}

/* One response, base64, is looked at and added to line as we write it.  False: not one of this mechanism. */
static bool
add_response(struct auth *au, struct strv text, struct buf *line)
{
	size_t            room = base64_room(text.n);
	char             *p = mem_alloc(room);
	long              n = base64_decode(text, p, room);
	struct sasl_names names;
	bool ok = n >= 0 && sasl_names_of(au->mechanism, au->step, strv(p, (size_t)n), &names);

	if (ok && names.user.p != NULL) {
		au->user = keep_name(au->name[0], names.user);
		au->author = keep_name(au->name[1], names.author);
	}
	if (ok)
		base64_print(line, strv(p, (size_t)n));
	au->step++;
	explicit_bzero(p, room);
	mem_free(p);
	return ok;
}

/* RFC 4954 4: "=" is an initial response of no octets. */
static bool
print_command(struct auth *au, struct strv initial, struct buf *line)
{
	bool ok = true;

	buf_add(line, SV("AUTH "));
	buf_add(line, strv_z(sasl_word(au->mechanism)));
	if (initial.n > 0)
		buf_addc(line, ' ');
	if (strv_eq(initial, SV("="))) {
		ok = add_response(au, SV(""), line);
		buf_addc(line, '=');
	} else if (initial.n > 0) {
		ok = add_response(au, initial, line);
	}
	buf_add(line, SV("\r\n"));
	return ok;
}

/* --- the exchange -------------------------------------------------------------------------------- */

/* Sends line, which is wiped, and waits for the one reply.  An answer before its question is none. */
MAY_YIELD static enum up_rc
ask(struct session *s, struct buf *line, struct reply *r)
{
	struct upstream *up = s->relay.up;
	enum up_rc       rc = UP_CLOSED;
	bool             sent;

	if (upstream_quiet(up) == UP_SPOKE) {
		line_fini(line);
		return UP_BAD;
	}
	up->tainted = true;
	buf_reserve(&up->cmds, line->n);
	buf_add(&up->cmds, buf_view(line));
	line_fini(line);
	sent = !up->cmds.full && conn_queue_secret(&up->io, buf_view(&up->cmds));
	buf_clear(&up->cmds);
	if (up->cmds.p != NULL)
		explicit_bzero(up->cmds.p, up->cmds.room);
	if (sent)
		rc = upstream_reply(up, upstream_ms(up, OWED_DATA), r);
	return rc == UP_OK && up->in != NULL ? UP_BAD : rc;
}

MAY_YIELD static void
converse(struct session *s, struct buf *line)
{
	struct reply r = { 0 };
	enum up_rc   rc = ask(s, line, &r);

	if (rc == UP_OK) {
		auth_answered(s, &r);
		return;
	}
	/* Gone, but not by an end of ours. */
	if (rc == UP_CANCELLED && s->gone && !s->ending)
		auth_abandoned(s);
	auth_broken(s, up_rc_text(rc));
}

/* The client ends it, or made a mistake that does: the server is told.  RFC 4954 4 */
MAY_YIELD static void
cancel(struct session *s, uint16_t code, const char *enh, struct strv text)
{
	struct reply r = { 0 };
	struct buf   line;

	line_init(&line, 0);
	buf_add(&line, SV("*\r\n"));
	if (ask(s, &line, &r) == UP_OK && r.code / 100 == 5)
		auth_leave_server(s);
	else
		hop_drop(s);
	auth_drop(s);
	say_error(s, code, enh, text);
}

MAY_YIELD static void
respond(struct session *s, struct strv text)
{
	struct buf line;

	line_init(&line, text.n);
	if (!add_response(s->auth, text, &line)) {
		line_fini(&line);
		cancel(s, 501, "5.5.2", SV("this is no response of that mechanism"));
		return;
	}
	buf_add(&line, SV("\r\n"));
	converse(s, &line);
}

/* The server turned it down in its last 334, and is not asked again: whatever this is, it is the end. */
static void
take_last(struct session *s, enum intake_rc rc, struct strv line)
{
	bool star = rc == INTAKE_LINE_OK && strv_eq(line, SV("*"));

	auth_drop(s);
	if (star)
		say_error(s, 501, "5.7.0", SV("authentication cancelled"));
	else
		say_error(s, 535, "5.7.8", SV("authentication failed"));
}

/* One that the client may want to end, or that is none. */
MAY_YIELD static void
take_line(struct session *s, enum intake_rc rc, struct strv line)
{
	if (s->auth->counted)
		take_last(s, rc, line);
	else if (rc == INTAKE_TOO_LONG)
		cancel(s, 500, "5.5.6", SV("authentication exchange line is too long"));
	else if (rc != INTAKE_LINE_OK)
		cancel(s, 501, "5.5.2", SV("a bare CR, bare LF or NUL in a response"));
	else if (strv_eq(line, SV("*")))
		cancel(s, 501, "5.7.0", SV("authentication cancelled"));
	else
		respond(s, line);
}

uint64_t
auth_held(const struct session *s)
{
	return s->auth != NULL ? s->auth->held : 0;
}

uint64_t
auth_thinks(struct session *s, uint64_t until)
{
	uint64_t look = loop_now(s->smtp->loop) + THINK_MS;

	s->auth->until = until;
	return look < until ? look : until;
}

bool
auth_may_think(struct session *s)
{
	if (s->phase != PHASE_AUTH || auth_held(s) > 0 ||
	    loop_now(s->smtp->loop) >= s->auth->until || pool_auth_crowded(s->relay.pool))
		return false;
	session_deadline(s, auth_thinks(s, s->auth->until));
	return true;
}

bool
auth_has_work(const struct session *s)
{
	uint64_t held = auth_held(s);

	return held > 0 ? loop_now(s->smtp->loop) >= held : intake_has_line(&s->in);
}

bool
auth_turn(struct session *s)
{
	struct strv    line = { NULL, 0 };
	enum intake_rc rc;

	if (!auth_has_work(s))
		return false;
	if (auth_held(s) > 0) {
		auth_release(s);
		return true;
	}
	rc = intake_line(&s->in, &line);
	if (rc == INTAKE_MORE)
		return false;
	intake_secret(&s->in);
	if (rc == INTAKE_ENDLESS) {
		say(s, 421, "4.7.0", SV("line too long, closing connection"));
		session_end(s, "endless line");
	} else {
		take_line(s, rc, line);
	}
	return true;
}

/* The connection is taken only for what may become an exchange. */
MAY_YIELD static void
open_exchange(struct session *s, struct strv initial)
{
	struct buf line;

	line_init(&line, initial.n);
	if (!print_command(s->auth, initial, &line)) {
		line_fini(&line);
		auth_drop(s);
		say_error(s, 501, "5.5.2", SV("this is no response of that mechanism"));
		return;
	}
	relay_close(s);
	route_session(s);
	if (hop_take_bound(s, SASL_BIT(s->auth->mechanism)) != UP_OK) {
		line_fini(&line);
		auth_no_answer(s);
		return;
	}
	converse(s, &line);
}

void
auth_run(struct session *s, struct strv rest)
{
	struct strv word = strv_word(&rest), initial = strv_trim(rest);
	int         m = sasl_find(word);

	intake_secret(&s->in);
	if (refused(s, m, initial) || !judged(s))
		return;
	/* A reset of the client ends it, though the message before was committed. */
	s->relay.committed = false;
	begin(s, (enum sasl_mechanism)m);
	open_exchange(s, initial);
}

void
auth_lost(struct session *s)
{
	if (s->ending)
		return;
	session_log_event(s, "auth-lost", "the server that knows this user is gone");
	say(s, 421, "4.3.2", SV("the mail server closed the connection, try again"));
	session_end(s, "the server of its user is gone");
}
