/*
 * auth -- AUTH between a client and its server: each line is decoded, looked at, written anew, passed on.
 *
 * Not for judging a secret, and not for keeping one: what was decoded is wiped as soon as it is encoded
 * again.  The invariants: relay.up is tainted while an exchange is open in it, so that it never gets back
 * among the others; while the client thinks, or waits for the answer to a failure, no fiber is held.
 */
#include "proxy/smtp/auth.h"

#include "proxy/base/log.h"
#include "proxy/smtp/hop_smtp.h"
#include "proxy/smtp/route.h"
#include "proxy/smtp/sessionlog.h"

#define DELAY_DOUBLINGS 4 /* limits.h: up to 16 times */
#define THINK_MS        10000
#define AUTH_COMMAND    64 /* octets of "AUTH", a mechanism and blanks */

struct auth { /* on the heap while an exchange is open or its answer is held back */
	enum sasl_mechanism mechanism;
	unsigned            step; /* responses of the client so far */
	char                name[2][SASL_NAME];
	struct strv         user, author; /* into name; absent: not said yet */
	uint64_t            held;         /* ms, when `reply` is due; 0: the exchange is open */
	uint64_t            until;        /* ms, when a client that says nothing is given up */
	struct reply        reply;        /* its text in `text` */
	char               *text;
	bool                ends; /* and the session with it */
};

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

static uint64_t
seconds(const struct session *s)
{
	return loop_now(s->smtp->loop) / 1000;
}

/* Whoever has one IPv6 address has the /64 around it (RFC 4291 2.5.4): to each its own count were no limit. */
static uint64_t
guesser(const struct session *s)
{
	const struct addr *a = &s->client.addr.addr;

	return hash_sip(&s->smtp->key, strv((const char *)a->b, a->family == ADDR_IP6 ? 8 : 16));
}

static bool
failed_too_often(const struct session *s)
{
	return counters_auth_failures(s->smtp->counters, guesser(s), seconds(s)) >
	    s->smtp->conf->limits.auth_failures;
}

static void
refuse_for_good(struct session *s)
{
	say(s, 421, "4.7.0", SV("too many failures of authentication"));
	session_end(s, "too many failures of AUTH");
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
	else if (failed_too_often(s))
		refuse_for_good(s);
	else
		return false;
	return true;
}

static bool
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

/* --- what the server says ------------------------------------------------------------------------ */

/* It says goodbye to a server that is in a known state. */
static void
leave_server(struct session *s)
{
	if (s->relay.up != NULL)
		s->relay.up->tainted = false;
	relay_close(s);
}

/* RFC 4954 6: 454, a fault that is not the client's. */
static void
no_answer(struct session *s)
{
	auth_drop(s);
	session_count_junk(s);
	say(s, 454, "4.7.0", SV("authentication is not possible now, try again"));
}

static void
broken(struct session *s, const char *why)
{
	session_log_event(s, "auth-broken", why);
	hop_drop(s);
	no_answer(s);
}

static void
log_outcome(struct session *s, const char *what, const struct reply *failure, unsigned failures)
{
	const struct auth *au = s->auth;
	struct log_line    l;
	char               text[ADDR_TEXT];

	log_begin(&l, s->smtp->world, session_id(s), what);
	log_strv(&l, "client", addr_print(&s->client.addr.addr, text));
	log_strv(&l, "user", au->user);
	log_strv(&l, "author", au->author);
	log_z(&l, "mechanism", sasl_word(au->mechanism));
	log_strv(&l, "tls", s->client.tls.version);
	/* Not the server's text: some repeat what the client said. */
	if (failure != NULL)
		log_number(&l, "code", failure->code);
	if (failure != NULL || failures > 0)
		log_number(&l, "failures", failures);
	log_end(&l);
}

static unsigned
count_guess(struct session *s)
{
	return counters_auth_failed(s->smtp->counters, s->smtp->place, guesser(s), seconds(s));
}

/*
 * Servers are quick to say yes and slow to say no: who resets before the answer knows enough, and would
 * guess on without being counted.
 */
static void
abandoned(struct session *s)
{
	counters_add(s->smtp->counters, s->smtp->place, COUNTER_AUTH_FAILED, 1);
	log_outcome(s, "auth-failed", NULL, count_guess(s));
}

/* The server's 235, and nothing else.  What was held against a stranger is forgotten. */
static void
succeed(struct session *s, struct reply *r)
{
	struct auth *au = s->auth;

	s->client.auth_user = arena_dup(s->a, au->user);
	s->client.auth_author = au->author.p != NULL ? arena_dup(s->a, au->author) : au->author;
	s->client.auth_mechanism = strv_z(sasl_word(au->mechanism));
	s->bound = true;
	s->relay.up->tainted = false;
	judge_forget(s->hearing);
	counters_add(s->smtp->counters, s->smtp->place, COUNTER_AUTH_OK, 1);
	log_outcome(s, "auth", NULL, 0);
	auth_drop(s);
	slots_say(&s->replies, r);
}

static void
release(struct session *s)
{
	if (s->auth->ends) {
		refuse_for_good(s);
	} else {
		s->errors++;
		slots_say(&s->replies, &s->auth->reply);
	}
	auth_drop(s);
	/* What came behind it was put aside while nobody read. */
	intake_wake(&s->in);
}

static uint64_t
delay(const struct session *s, unsigned failures)
{
	unsigned doublings = failures > 0 ? failures - 1 : 0;

	return s->smtp->conf->limits.auth_delay
	    << (doublings < DELAY_DOUBLINGS ? doublings : DELAY_DOUBLINGS);
}

/*
 * The server's words reach the client as they are.  Only 5xx was a guess that went wrong: that one is
 * counted and held back; a server with troubles of its own must not lock out its users.
 */
static void
fail(struct session *s, const struct reply *r)
{
	struct auth *au = s->auth;
	bool         guess = r->code / 100 == 5;
	unsigned     n = 0;

	if (guess)
		n = count_guess(s);
	counters_add(s->smtp->counters, s->smtp->place, COUNTER_AUTH_FAILED, 1);
	log_outcome(s, "auth-failed", r, n);
	au->reply = *r;
	au->text = mem_alloc(r->text.n + 1);
	memcpy(au->text, r->text.p, r->text.n);
	au->reply.text = strv(au->text, r->text.n);
	au->ends = guess && n > s->smtp->conf->limits.auth_failures;
	leave_server(s);
	if (!guess || delay(s, n) == 0) {
		release(s);
		return;
	}
	au->held = loop_now(s->smtp->loop) + delay(s, n);
	s->phase = PHASE_AUTH;
}

/* A 334: nothing but base64, or somebody else's words are told as the server's.  False: it is not. */
static bool
challenge(struct session *s, struct strv text)
{
	size_t      room = base64_room(text.n);
	char       *p;
	long        n = -1;
	struct buf *out;

	if (text.n > SASL_LINE)
		return false;
	p = mem_alloc(room);
	n = base64_decode(text, p, room);
	if (n >= 0) {
		out = slots_print(&s->replies);
		buf_add(out, SV("334 "));
		base64_print(out, strv(p, (size_t)n));
		buf_add(out, SV("\r\n"));
		s->phase = PHASE_AUTH;
		s->in.wide = true;
	}
	mem_free(p);
	return n >= 0;
}

/* What a server answers that does not know what it has offered. */
static bool
forgot(unsigned code)
{
	return code == 500 || code == 502 || code == 503 || code == 504 || code == 530 ||
	    code == 538;
}

static void
answered(struct session *s, struct reply *r)
{
	if (r->code == 334) {
		if (!challenge(s, strv_trim(r->text)))
			broken(s, "a challenge that is not base64");
		return;
	}
	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(r);
	if (r->code == 235 && s->auth->user.p == NULL)
		broken(s, "235 before anybody was named");
	else if (r->code == 235)
		succeed(s, r);
	else if (r->code == 421)
		broken(s, "421 in an exchange of AUTH");
	else if (forgot(r->code))
		broken(s, "the server offers AUTH and does not know it");
	else if (r->code / 100 == 4 || r->code / 100 == 5)
		fail(s, r);
	else
		broken(s, "an answer to AUTH that means nothing");
}

/* --- the exchange -------------------------------------------------------------------------------- */

/* Sends line, which is wiped, and waits for the one reply.  An answer before its question is none. */
static enum up_rc
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
	sent = upstream_flush(up);
	if (up->cmds.p != NULL)
		explicit_bzero(up->cmds.p, up->cmds.room);
	if (sent)
		rc = upstream_reply(up, upstream_ms(up, OWED_DATA), r);
	return rc == UP_OK && up->in != NULL ? UP_BAD : rc;
}

static void
converse(struct session *s, struct buf *line)
{
	struct reply r = { 0 };
	enum up_rc   rc = ask(s, line, &r);

	if (rc == UP_OK) {
		answered(s, &r);
		return;
	}
	/* Gone, but not by an end of ours. */
	if (rc == UP_CANCELLED && s->gone && !s->ending)
		abandoned(s);
	broken(s, up_rc_text(rc));
}

/* The client ends it, or made a mistake that does: the server is told.  RFC 4954 4 */
static void
cancel(struct session *s, uint16_t code, const char *enh, struct strv text)
{
	struct reply r = { 0 };
	struct buf   line;

	line_init(&line, 0);
	buf_add(&line, SV("*\r\n"));
	if (ask(s, &line, &r) == UP_OK && r.code / 100 == 5)
		leave_server(s);
	else
		hop_drop(s);
	auth_drop(s);
	say_error(s, code, enh, text);
}

static void
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

/* One that the client may want to end, or that is none. */
static void
take_line(struct session *s, enum intake_rc rc, struct strv line)
{
	if (rc == INTAKE_TOO_LONG)
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
		release(s);
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
static void
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
		no_answer(s);
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
