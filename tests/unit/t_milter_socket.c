/*
 * t_milter_socket -- a milter behind a socket: what is said and when, what it may say, and what is left behind.
 * The milter is the bare other end of a socketpair; each call of the end has a fiber of its own.
 */
#include <malloc.h>
#include <signal.h>

#include "filters/milter_end.h"
#include "proxy/base/log.h"
#include "tests/unit/io_pair.h"

static const struct milter_end_kind *const kind = &milter_socket_end;
static const struct milter_conf            conf = { .name = SV("m") };
static const struct milter_offer           ours = { 6, 0x1ff, 0x301fffff, { { 0 } } };

/* One call, and what came of it. */
static struct {
	struct arena        *a;
	struct milter_end   *end;
	struct milter_offer  theirs;
	struct milter_event  event;
	struct milter_macros macros;
	struct milter_answer answer;
	struct strv          why;
	uint64_t             until;
	enum milter_rc       rc;
	struct fiber        *self;
	bool                 over;
} call;

static void
run_open(void *arg)
{
	(void)arg;
	call.self = fiber_self();
	call.rc = kind->open(call.a, &conf, &ours, &call.theirs, call.until, &call.end, &call.why);
	call.over = true;
}

static void
run_tell(void *arg)
{
	call.self = fiber_self();
	call.rc = kind->tell(call.end, &call.event, &call.macros, arg != NULL, call.until);
	call.over = true;
}

static void
run_answer(void *arg)
{
	(void)arg;
	call.self = fiber_self();
	call.rc = kind->answer(call.end, &call.answer, call.until);
	call.over = true;
}

static void
start(void (*fn)(void *), void *arg)
{
	call.over = false;
	call.until = clock_ms + 1000;
	T_CHECK(fiber_start(pool, "call", fn, arg) != NULL);
}

static void
says(struct strv v)
{
	T_EQ_NUM(write(peer, v.p, v.n), v.n);
	rounds(2);
}

static void
hears(struct strv want)
{
	char    b[1000];
	ssize_t n = read(peer, b, sizeof b);

	T_EQ_STRV(strv(b, n > 0 ? (size_t)n : 0), want);
}

#define OFFER  SV("\0\0\0\x0dO\0\0\0\6\0\0\1\xff\x30\x1f\xff\xff")
#define AGREED SV("\0\0\0\x0dO\0\0\0\6\0\0\1\x11\0\x10\7\2")
#define GO     SV("\0\0\0\1c")

static void
stand(void)
{
	int fd[2];

	memset(&call, 0, sizeof call);
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
	call.a = arena_new(1024, 0);
	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) == 0);
	dial_fd = fd[0];
	peer = fd[1];
}

static void
leave(bool polite)
{
	if (call.end != NULL)
		kind->close(call.end, polite);
	if (peer >= 0)
		close(peer);
	rounds(2);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	fiber_pool_free(pool);
	loop_free(loop);
	arena_free(call.a);
}

static bool
agreed(void)
{
	stand();
	start(run_open, NULL);
	rounds(2);
	hears(OFFER);
	says(AGREED);
	return T_CHECK(call.over && call.rc == MILTER_OK && call.end != NULL);
}

static void
tell(enum milter_command cmd, const char *text, bool answered)
{
	call.event = (struct milter_event){ .cmd = cmd, .text = strv_z(text) };
	start(run_tell, answered ? &call : NULL);
	rounds(2);
	T_CHECK(call.over);
}

static void
ask(void)
{
	start(run_answer, NULL);
	rounds(2);
}

static void
over(enum milter_rc rc, const char *why)
{
	T_CHECK(call.over);
	T_EQ_STR(milter_rc_name(call.rc), milter_rc_name(rc));
	if (rc != MILTER_OK)
		T_EQ_STR(call.end->why, why);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void
negotiates(void)
{
	if (agreed()) {
		T_EQ_NUM(call.theirs.version, 6);
		T_EQ_NUM(call.theirs.actions, 0x111);
		T_EQ_NUM(call.theirs.protocol, 0x100702);
		T_EQ_NUM(arena_used(call.a), 0);
	}
	leave(false);
}

static void
negotiates_octet_by_octet(void)
{
	struct strv reply = SV("\0\0\0\x13O\0\0\0\6\0\0\1\0\0\0\0\0\0\0\0\2i\0");

	stand();
	start(run_open, NULL);
	for (size_t i = 0; i < reply.n; i++) {
		T_CHECK(!call.over);
		says(strv(reply.p + i, 1));
	}
	if (T_CHECK(call.over && call.rc == MILTER_OK)) {
		/* The lists stay, whatever comes after. */
		says(SV(""));
		hears(OFFER);
		tell(MILTER_CMD_HELO, "x", true);
		ask();
		says(GO);
		T_EQ_STRV(call.theirs.macros[MILTER_AT_MAIL], SV("i"));
		T_CHECK(call.theirs.macros[MILTER_AT_RCPT].p == NULL);
	}
	leave(false);
}

/* clang-format off */
static const struct opening {
	struct strv    says;
	bool           closes;
	uint64_t       later;
	enum milter_rc rc;
	const char    *why;
} openings[] = {
	{ SV("HTTP/1.1 400 Bad"), false, 0, MILTER_GARBAGE, "a packet that is too long: HTTP/1.1 400 Bad" },
	{ SV("\0\0\0\1c"), false, 0, MILTER_GARBAGE, "no answer to the negotiation: c" },
	{ SV("\0\0\0\3O\1\\"), false, 0, MILTER_GARBAGE, "a negotiation that is cut off: O\\x01\\" },
	{ SV("\0\0\0\x0dO\0\0\0\6\0\0\2\0\0\0\0\0"), false, 0, MILTER_REFUSED,
	    "it wants actions that were not offered: O\\x00\\x00\\x00\\x06\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x00" },
	{ SV(""), true, 0, MILTER_GONE, "the connection was closed" },
	{ SV("\0\0\0\x0dO"), true, 0, MILTER_GONE, "the connection was closed in the middle of an answer" },
	{ SV("\0\0\0\x0dO"), false, 1001, MILTER_LATE, "no answer in time" },
	{ SV(""), false, 1001, MILTER_LATE, "no answer in time" },
};
/* clang-format on */

static void
failed_openings(void)
{
	T_TABLE(struct opening, row, openings)
	{
		char shown[200];

		t_row = row->why;
		stand();
		start(run_open, NULL);
		rounds(2);
		says(row->says);
		if (row->closes)
			T_CHECK(shutdown(peer, SHUT_WR) == 0);
		clock_ms += row->later;
		rounds(3);
		T_CHECK(call.over && call.end == NULL);
		T_EQ_STR(milter_rc_name(call.rc), milter_rc_name(row->rc));
		T_EQ_TEXT(log_escape(call.why, shown, sizeof(shown)), row->why);
		T_CHECK(arena_used(call.a) <= 300);
		leave(false);
	}
}

static void
nobody_there(void)
{
	stand();
	close(dial_fd);
	dial_fd = -1;
	start(run_open, NULL);
	T_CHECK(call.over && call.rc == MILTER_AWAY && call.end == NULL);
	T_EQ_TEXT(call.why, "nobody is there");
	leave(false);
}

/* --- what is said, and when ------------------------------------------------------------------- */

static void
one_write_a_wait(void)
{
	static const struct milter_macro m[] = { { SV("i"), SV("7") } };

	if (agreed()) {
		tell(MILTER_CMD_HELO, "x", false);
		call.macros = (struct milter_macros){ m, 1 };
		tell(MILTER_CMD_MAIL, "<>", true);
		hears(SV("")); /* not yet */
		call.macros.n = 0;
		ask();
		hears(SV("\0\0\0\3Hx\0\0\0\0\6DMi\0"
			 "7\0\0\0\0\4M<>\0"));
		T_CHECK(!call.over);
		says(GO);
		over(MILTER_OK, NULL);
		T_EQ_NUM(call.answer.kind, MILTER_ANS_CONTINUE);
	}
	leave(false);
}

static void
abort_does_not_wait(void)
{
	if (agreed()) {
		tell(MILTER_CMD_HELO, "x", false);
		tell(MILTER_CMD_ABORT, NULL, false);
		hears(SV("\0\0\0\3Hx\0\0\0\0\1A"));
	}
	leave(false);
}

static void
quits_politely(void)
{
	if (agreed()) {
		kind->close(call.end, true);
		call.end = NULL;
		hears(SV("\0\0\0\1Q"));
		hears(SV("")); /* and the end */
		leave(false);
		agreed();
		kind->close(call.end, false);
		call.end = NULL;
		hears(SV(""));
	}
	leave(false);
}

/* A chunk of the largest size, for a milter that reads slowly, behind what was kept back. */
static void
large_chunks(void)
{
	size_t n = milter_chunk(MILTER_MDS_1M), have = 0;
	char  *text = pattern(n), *b = mem_alloc(n + 5100);

	if (agreed()) {
		tell(MILTER_CMD_EOH, NULL, false);
		call.event = (struct milter_event){ .cmd = MILTER_CMD_BODY, .text = strv(text, n) };
		start(run_tell, &call);
		T_CHECK(!call.over);
		for (unsigned i = 0; i < 10000 && have < 5 + 5 + n; i++) {
			ssize_t got = read(peer, b + have, 5000);

			have += got > 0 ? (size_t)got : 0;
			rounds(1);
		}
		over(MILTER_OK, NULL);
		T_EQ_NUM(have, 5 + 5 + n);
		T_EQ_STRV(strv(b, 10),
		    SV("\0\0\0\1N\0\x10\0\0"
		       "B"));
		T_CHECK(memcmp(b + 10, text, n) == 0);
	}
	leave(false);
	mem_free(text);
	mem_free(b);
}

static void
what_is_too_long_is_not_said(void)
{
	char *text = mem_alloc(MILTER_PACKET_MAX);

	if (agreed()) {
		call.event = (struct milter_event){ .cmd = MILTER_CMD_BODY,
			.text = strv(text, MILTER_PACKET_MAX) };
		start(run_tell, &call);
		over(MILTER_GARBAGE, "what it is to be told is too long for a packet");
		hears(SV(""));
	}
	leave(false);
	mem_free(text);
}

/* --- what it answers -------------------------------------------------------------------------- */

static void
many_answers_in_any_cut(void)
{
	struct strv all = SV("\0\0\0\1p\0\0\0\5hX\0y\0\0\0\0\4bzzz\0\0\0\x0cy550 5.7.1 n");

	for (size_t cut = 1; cut < all.n; cut++)
		if (agreed()) {
			unsigned n = 0;

			tell(MILTER_CMD_EOM, NULL, true);
			ask();
			says(strv_first(all, cut));
			for (unsigned i = 0; i < 5 && call.over && n < 4; i++) {
				n += call.rc == MILTER_OK;
				if (n < 4)
					ask();
			}
			says(strv_from(all, cut));
			while (n < 4 && T_CHECK(call.over && call.rc == MILTER_OK))
				if (++n < 4)
					ask();
			T_EQ_NUM(call.answer.kind, MILTER_ANS_REPLYCODE);
			T_EQ_STRV(call.answer.text, SV("n"));
			T_EQ_STRV(call.end->bytes, SV("y550 5.7.1 n"));
			leave(false);
		} else
			leave(false);
}

static void
answers_twice(void)
{
	if (agreed()) { /* at once: the first is not believed either */
		tell(MILTER_CMD_EOM, NULL, true);
		ask();
		says(SV("\0\0\0\1c\0\0\0\1a"));
		over(MILTER_GARBAGE, "an answer too many");
		T_EQ_STRV(call.end->bytes, SV("\0\0\0\1a"));
	}
	leave(false);
	if (agreed()) { /* later */
		tell(MILTER_CMD_MAIL, "<>", true);
		ask();
		says(GO);
		over(MILTER_OK, NULL);
		says(SV("\0\0\0\1a"));
		tell(MILTER_CMD_RCPT, "<x>", true);
		over(MILTER_GARBAGE, "an answer that nobody asked for");
	}
	leave(false);
	if (agreed()) { /* and nobody took the second one */
		tell(MILTER_CMD_EOM, NULL, true);
		ask();
		says(SV("\0\0\0\1p\0\0\0\1c"));
		over(MILTER_OK, NULL);
		tell(MILTER_CMD_ABORT, NULL, false);
		over(MILTER_GARBAGE, "an answer too many");
	}
	leave(false);
}

static void
answers_before_it_is_asked(void)
{
	if (agreed()) {
		says(GO);
		tell(MILTER_CMD_MAIL, "<>", true);
		over(MILTER_GARBAGE, "an answer that nobody asked for");
		T_EQ_STRV(call.end->bytes, GO);
	}
	leave(false);
	/* PROGRESS is no answer to anything: who said that it would not answer may still be at work. */
	if (agreed()) {
		says(SV("\0\0\0\1p\0\0\0\1p\0\0"));
		tell(MILTER_CMD_MAIL, "<>", true);
		over(MILTER_OK, NULL);
		ask();
		says(SV("\0\1p\0\0\0\1c"));
		over(MILTER_OK, NULL);
		T_EQ_NUM(call.answer.kind, MILTER_ANS_PROGRESS);
		ask();
		over(MILTER_OK, NULL);
		T_EQ_NUM(call.answer.kind, MILTER_ANS_CONTINUE);
	}
	leave(false);
	if (agreed()) {
		says(SV("\0\0\0\1p\0\0\0\1c"));
		tell(MILTER_CMD_MAIL, "<>", true);
		over(MILTER_GARBAGE, "an answer that nobody asked for");
		T_EQ_STRV(call.end->bytes, GO);
	}
	leave(false);
	/* The end of a message is looked at more closely: the loop has not told of these octets yet. */
	if (agreed()) {
		T_EQ_NUM(write(peer, "\0\0\0\1a", 5), 5);
		call.event = (struct milter_event){ .cmd = MILTER_CMD_EOM };
		start(run_tell, &call);
		over(MILTER_GARBAGE, "an answer that nobody asked for");
		hears(SV(""));
	}
	leave(false);
}

/* clang-format off */
static const struct nonsense {
	struct strv says;
	const char *why;
	struct strv bytes;
} nonsense[] = {
	{ SV("\0\0\0\0c"), "a packet without a command", SV("\0\0\0\0c") },
	{ SV("\xff\xff\xff\xff"), "a packet that is too long", SV("\xff\xff\xff\xff") },
	{ SV("\0\x10\4\1y"), "a packet that is too long", SV("\0\x10\4\1y") },
	{ SV("\0\0\0\1?"), "no answer that is known", SV("?") },
	{ SV("\0\0\0\x0ay550 a\r\nb\0"), "a malformed reply of several lines", SV("y550 a\r\nb\0") },
	{ SV("\0\0\0\x4fy550 %%%%xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx%\0"),
	    "half a % at the end of a reply",
	    SV("y550 %%%%xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx") },
};
/* clang-format on */

static void
talks_nonsense(void)
{
	T_TABLE(struct nonsense, row, nonsense)
	{
		if (agreed()) {
			t_row = row->why;
			tell(MILTER_CMD_RCPT, "<>", true);
			ask();
			says(row->says);
			over(MILTER_GARBAGE, row->why);
			T_EQ_STRV(call.end->bytes, row->bytes);
		}
		leave(true);
	}
}

static void
goes_away(void)
{
	if (agreed()) { /* while nothing happened */
		close(peer);
		peer = -1;
		rounds(2);
		tell(MILTER_CMD_MAIL, "<>", true);
		over(MILTER_GONE, "the connection was closed");
	}
	leave(true);
	if (agreed()) { /* before its answer */
		tell(MILTER_CMD_MAIL, "<>", true);
		ask();
		close(peer);
		peer = -1;
		rounds(3);
		over(MILTER_GONE, "the connection was closed");
	}
	leave(true);
	if (agreed()) { /* in the middle of a body */
		tell(MILTER_CMD_EOM, NULL, true);
		ask();
		says(SV("\0\0\0\x64"
			"bhalf"));
		T_CHECK(shutdown(peer, SHUT_WR) == 0);
		rounds(3);
		over(MILTER_GONE, "the connection was closed in the middle of an answer");
	}
	leave(true);
}

static void
comes_late(void)
{
	if (agreed()) {
		tell(MILTER_CMD_MAIL, "<>", true);
		ask();
		says(SV("\0\0\0"));
		clock_ms += 999;
		rounds(2);
		T_CHECK(!call.over);
		clock_ms += 2;
		rounds(2);
		over(MILTER_LATE, "no answer in time");
	}
	leave(false);
	if (agreed()) { /* it does not read */
		char *text = pattern(1000000);

		call.event =
		    (struct milter_event){ .cmd = MILTER_CMD_BODY, .text = strv(text, 1000000) };
		start(run_tell, &call);
		rounds(2);
		T_CHECK(!call.over);
		clock_ms += 1001;
		rounds(2);
		over(MILTER_LATE, "it takes no more octets");
		mem_free(text);
	}
	leave(true);
}

static void
cancelled(void)
{
	if (agreed()) {
		tell(MILTER_CMD_MAIL, "<>", true);
		ask();
		fiber_cancel(call.self);
		rounds(2);
		over(MILTER_CANCELLED, "cancelled");
	}
	leave(true);
}

/* --- what is left behind ---------------------------------------------------------------------- */

static void
one_message(const char *body)
{
	char sink[300000];

	tell(MILTER_CMD_MAIL, "<a@b.example>", true);
	ask();
	says(GO);
	for (unsigned i = 0; i < 50; i++)
		tell(MILTER_CMD_HEADER, body + 59900, false);
	tell(MILTER_CMD_BODY, body, false);
	tell(MILTER_CMD_EOM, NULL, true);
	ask();
	while (read(peer, sink, sizeof sink) > 0)
		;
	says(SV("\0\0\x13\x89"
		"b"));
	memset(sink, 'x', 5000);
	says(strv(sink, 5000));
	ask();
	T_CHECK(!call.over);
	says(GO);
	over(MILTER_OK, NULL);
}

/* Ten thousand messages in a session take no more memory than one does. */
static void
memory_stays(void)
{
	static char body[60001];

	memset(body, 'x', sizeof body - 1);
	if (agreed()) {
		size_t before, used, idle;

		idle = mallinfo2().uordblks;
		one_message(body);
		before = mallinfo2().uordblks;
		used = arena_used(call.a);
		for (unsigned i = 0; i < 10000; i++)
			one_message(body);
		T_EQ_NUM(arena_used(call.a), used);
		T_CHECKF(
		    mallinfo2().uordblks <= before + 256, "%zu", mallinfo2().uordblks - before);
		/* Between two messages what was large has gone. */
		T_CHECKF(before <= idle + 2048, "%zu", before - idle);
	}
	leave(false);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	T_RUN(negotiates);
	T_RUN(negotiates_octet_by_octet);
	T_RUN(failed_openings);
	T_RUN(nobody_there);
	T_RUN(one_write_a_wait);
	T_RUN(abort_does_not_wait);
	T_RUN(quits_politely);
	T_RUN(large_chunks);
	T_RUN(what_is_too_long_is_not_said);
	T_RUN(many_answers_in_any_cut);
	T_RUN(answers_twice);
	T_RUN(answers_before_it_is_asked);
	T_RUN(talks_nonsense);
	T_RUN(goes_away);
	T_RUN(comes_late);
	T_RUN(cancelled);
	T_RUN(memory_stays);
	return t_end();
}
