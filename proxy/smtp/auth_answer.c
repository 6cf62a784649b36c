/*
 * auth_answer -- what a server says in an exchange of AUTH: a challenge, yes, no, or nothing that means anything.
 *
 * Here failures are counted, by where they come from, and held back.  Not for what the client says: auth.c.  The
 * invariants: only a 235 of the server makes the client somebody; each guess that a server has turned down, in a
 * 5xx or a 334, or whose answer the client did not stay for, is counted, once.
 */
#include "proxy/smtp/auth_own.h"

#include "proxy/base/log.h"
#include "proxy/smtp/hop_smtp.h"
#include "proxy/smtp/session_own.h"
#include "proxy/smtp/sessionlog.h"

#define DELAY_DOUBLINGS 4 /* limits.h: up to 16 times */

/* --- who guesses ---------------------------------------------------------------------------------- */

static uint64_t
seconds(const struct session *s)
{
	return loop_now(s->smtp->loop) / 1000;
}

bool
auth_failed_too_often(const struct session *s)
{
	return counters_auth_failures(s->smtp->counters, session_client_key(s), seconds(s)) >
	    s->smtp->conf->limits.auth_failures;
}

void
auth_refuse_for_good(struct session *s)
{
	say(s, 421, "4.7.0", SV("too many failures of authentication"));
	session_end(s, "too many failures of AUTH");
}

/* --- what the server says ------------------------------------------------------------------------ */

/* It says goodbye to a server that is in a known state. */
void
auth_leave_server(struct session *s)
{
	if (s->relay.up != NULL)
		s->relay.up->tainted = false;
	relay_close(s);
}

/* RFC 4954 6: 454, a fault that is not the client's. */
void
auth_no_answer(struct session *s)
{
	auth_drop(s);
	session_count_junk(s);
	say(s, 454, "4.7.0", SV("authentication is not possible now, try again"));
}

void
auth_broken(struct session *s, const char *why)
{
	session_log_event(s, "auth-broken", why);
	hop_drop(s);
	auth_no_answer(s);
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
	return counters_auth_failed(
	    s->smtp->counters, s->smtp->place, session_client_key(s), seconds(s));
}

/* Has the client sent what proves that it is somebody?  Not before that has it guessed. */
static bool
secret_is_out(const struct auth *au)
{
	bool name_first = au->mechanism == SASL_LOGIN || au->mechanism == SASL_SCRAM_SHA_1 ||
	    au->mechanism == SASL_SCRAM_SHA_256;

	return au->step > (name_first ? 1u : 0u);
}

/* One failure more, in the log and in all counts: r is what the server said, NULL: nothing yet. */
static unsigned
note_guess(struct session *s, const struct reply *r)
{
	unsigned n = count_guess(s);

	s->auth->counted = true;
	counters_add(s->smtp->counters, s->smtp->place, COUNTER_AUTH_FAILED, 1);
	log_outcome(s, "auth-failed", r, n);
	return n;
}

/*
 * Servers are quick to say yes and slow to say no: who resets before the answer knows enough, and would
 * guess on without being counted.
 */
void
auth_abandoned(struct session *s)
{
	if (secret_is_out(s->auth) && !s->auth->counted)
		note_guess(s, NULL);
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

/* text: decoded. */
static void
tell_challenge(struct session *s, struct strv text)
{
	struct buf *out = slots_print(&s->replies);

	buf_add(out, SV("334 "));
	base64_print(out, text);
	buf_add(out, SV("\r\n"));
	s->phase = PHASE_AUTH;
	s->in.wide = true;
}

void
auth_release(struct session *s)
{
	struct auth *au = s->auth;

	if (au->ends) {
		auth_refuse_for_good(s);
	} else if (au->reply.code == 334) {
		au->held = 0;
		tell_challenge(s, au->reply.text);
	} else {
		s->errors++;
		slots_say(&s->replies, &au->reply);
	}
	if (au->ends || au->reply.code != 334)
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

static void
keep_reply(struct auth *au, const struct reply *r, struct strv text)
{
	mem_free(au->text);
	au->reply = *r;
	au->text = mem_alloc(text.n + 1);
	memcpy(au->text, text.p, text.n);
	au->reply.text = strv(au->text, text.n);
}

/* What is kept is told when its time has come.  n: failures so far, 0: it was no guess that is told late. */
static void
release_after(struct session *s, unsigned n)
{
	if (n == 0 || delay(s, n) == 0) {
		auth_release(s);
		return;
	}
	s->auth->held = loop_now(s->smtp->loop) + delay(s, n);
	s->phase = PHASE_AUTH;
}

/*
 * The server's words reach the client as they are.  Only 5xx was a guess that went wrong: that one is
 * counted and held back; a server with troubles of its own must not lock out its users.  What ends an
 * exchange that was counted at its 334 is neither: it is told at once.
 */
static void
fail(struct session *s, const struct reply *r)
{
	struct auth *au = s->auth;
	unsigned     n = 0;

	if (r->code / 100 == 5 && !au->counted) {
		n = note_guess(s, r);
		au->ends = n > s->smtp->conf->limits.auth_failures;
	} else if (!au->counted) {
		counters_add(s->smtp->counters, s->smtp->place, COUNTER_AUTH_FAILED, 1);
		log_outcome(s, "auth-failed", r, 0);
	}
	keep_reply(au, r, r->text);
	auth_leave_server(s);
	release_after(s, n);
}

/*
 * Does this 334 tell that the guess was wrong?  RFC 7628 3.2.2: of a token it gives the reasons, and the client
 * owes but an empty answer, so whoever counts the 5xx behind it counts nobody who leaves here.  RFC 5802 7:
 * "e=" instead of "v=" in the last message.  Other mechanisms have no 334 there.
 */
static bool
says_no(const struct auth *au, struct strv text)
{
	bool scram = au->mechanism == SASL_SCRAM_SHA_1 || au->mechanism == SASL_SCRAM_SHA_256;

	return secret_is_out(au) && !(scram && strv_starts(text, SV("v=")));
}

/*
 * A guess that went wrong.  The client owes an answer, but the server need not wait for it, and its place is for
 * those that may get in.
 */
static void
fail_in_challenge(struct session *s, const struct reply *r, struct strv text)
{
	unsigned n = note_guess(s, r);

	keep_reply(s->auth, r, text);
	s->auth->ends = n > s->smtp->conf->limits.auth_failures;
	hop_drop(s);
	release_after(s, n);
}

/* A 334: nothing but base64, or somebody else's words are told as the server's.  False: it is not. */
static bool
challenge(struct session *s, const struct reply *r)
{
	struct strv text = strv_trim(r->text);
	size_t      room = base64_room(text.n);
	char       *p;
	long        n = -1;

	if (text.n > SASL_LINE)
		return false;
	p = mem_alloc(room);
	n = base64_decode(text, p, room);
	if (n >= 0 && !s->auth->counted && says_no(s->auth, strv(p, (size_t)n)))
		fail_in_challenge(s, r, strv(p, (size_t)n));
	else if (n >= 0)
		tell_challenge(s, strv(p, (size_t)n));
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

void
auth_answered(struct session *s, struct reply *r)
{
	if (r->code == 334) {
		if (!challenge(s, r))
			auth_broken(s, "a challenge that is not base64");
		return;
	}
	if (s->offered.caps & EHLO_ENHANCED)
		reply_fill_enh(r);
	if (r->code == 235 && s->auth->user.p == NULL)
		auth_broken(s, "235 before anybody was named");
	else if (r->code == 235)
		succeed(s, r);
	else if (r->code == 421)
		auth_broken(s, "421 in an exchange of AUTH");
	else if (forgot(r->code))
		auth_broken(s, "the server offers AUTH and does not know it");
	else if (r->code / 100 == 4 || r->code / 100 == 5)
		fail(s, r);
	else
		auth_broken(s, "an answer to AUTH that means nothing");
}
