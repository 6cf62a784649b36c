/* What is sent of a message: nobody behind reads as header what was judged as body, nor the other way round. */
#include "proxy/smtp/render.h"

#include "proxy/base/arena.h"
#include "proxy/base/spool.h"
#include "tests/unit/t.h"

#define RECEIVED "Received: by us\r\n"
#define H        "From: <ceo@bank.example>\r\nSubject: s\r\n\r\nb\r\n"
#define MBOX4    "From a\r\n>From b\r\n>>From c\r\nFrom d\r\n"
#define FIELD4 \
	"X-Mailbox-Line: From a\r\nX-Mailbox-Line: >From b\r\nX-Mailbox-Line: >>From c\r\nX-Mailbox-Line: From d\r\n"

enum how { AS_IT_CAME, FIELD_IN_FRONT, FIELD_BEHIND, BODY_NEW, HOWS };

/* clang-format off */
static const struct {
	const char *in;
	const char *mbox, *fields, *gap, *body; /* what is sent */
} rows[] = {
	{ "A: 1\r\n\r\nx\r\n", "", "A: 1\r\n", "\r\n", "x\r\n" },
	{ "A: 1\r\n\r\n", "", "A: 1\r\n", "\r\n", "" },
	{ "\r\nx\r\n", "", "", "\r\n", "x\r\n" },
	/* the text ended with the header */
	{ "A: 1\r\n", "", "A: 1\r\n", "", "" },
	{ "", "", "", "", "" },
	/* a line that is no field */
	{ "A: 1\r\njunk\r\n" H, "", "A: 1\r\n", "\r\n", "junk\r\n" H },
	{ "junk\r\n" H, "", "", "\r\n", "junk\r\n" H },
	{ " folded\r\n" H, "", "", "\r\n", " folded\r\n" H },
	{ ": v\r\n" H, "", "", "\r\n", ": v\r\n" H },
	{ "A: 1\r\n\xc3\xbc: v\r\n" H, "", "A: 1\r\n", "\r\n", "\xc3\xbc: v\r\n" H },
	{ "A: 1\r\nFrom x@y Mon\r\n" H, "", "A: 1\r\n", "\r\n", "From x@y Mon\r\n" H },
	{ "X-Postern-A: 1\r\njunk\r\n", "", "", "\r\n", "junk\r\n" },
	{ "A: 1\r\njunk", "", "A: 1\r\n", "\r\n", "junk\r\n" },
	/* mbox lines */
	{ "From x@y Mon\r\n" H, "X-Mailbox-Line: From x@y Mon\r\n", "From: <ceo@bank.example>\r\nSubject: s\r\n", "\r\n", "b\r\n" },
	{ MBOX4 "A: 1\r\n\r\nx\r\n", FIELD4, "A: 1\r\n", "\r\n", "x\r\n" },
	{ MBOX4 MBOX4 MBOX4 MBOX4 "From e\r\nA: 1\r\n", FIELD4 FIELD4 FIELD4 FIELD4, "", "\r\n", "From e\r\nA: 1\r\n" },
	{ MBOX4 " b\r\nA: 1\r\n", FIELD4, "", "\r\n", " b\r\nA: 1\r\n" },
	{ MBOX4 "junk\r\nA: 1\r\n", FIELD4, "", "\r\n", "junk\r\nA: 1\r\n" },
	{ MBOX4, FIELD4, "", "", "" },
	{ MBOX4 "\r\nx\r\n", FIELD4, "", "\r\n", "x\r\n" },
	{ "From a\r\nX-Postern-A: 1\r\nA: 1\r\n", "X-Mailbox-Line: From a\r\n", "A: 1\r\n", "", "" },
};
/* clang-format on */

struct stand {
	struct arena      *a;
	struct spool_pool *pool;
	struct spool      *body, *other;
	struct message     m;
	struct edits       e;
};

static void
setup(struct stand *s)
{
	*s = (struct stand){ .a = arena_new(1024, 0) };
	s->pool = spool_pool_new(NULL, "/none", 1 << 20, 0);
	s->body = spool_new(s->pool);
	s->other = spool_new(s->pool);
	T_EQ_NUM(spool_add(s->other, SV("new\r\n")), SPOOL_OK);
}

static void
teardown(struct stand *s)
{
	spool_free(s->body);
	spool_free(s->other);
	spool_pool_free(s->pool);
	arena_free(s->a);
}

static void
take(struct stand *s, struct strv in, size_t step)
{
	struct strv body;

	message_begin(&s->m, s->a, s->body, 1 << 20);
	while (in.n > 0) {
		size_t n = step < in.n ? step : in.n;

		T_EQ_NUM(message_feed(&s->m, strv_first(in, n), &body), MESSAGE_OK);
		T_EQ_NUM(spool_add(s->body, body), SPOOL_OK);
		in = strv_from(in, n);
	}
	T_EQ_NUM(message_end(&s->m, &body), MESSAGE_OK);
	T_EQ_NUM(spool_add(s->body, body), SPOOL_OK);
}

static void
edit(struct stand *s, enum how how)
{
	static const enum edit_op op[] = { [FIELD_IN_FRONT] = EDIT_INSERT_HEADER,
		[FIELD_BEHIND] = EDIT_ADD_HEADER,
		[BODY_NEW] = EDIT_REPLACE_BODY };
	struct edit               add = { .name = SV("D"), .value = SV("5") };
	const char               *why;

	if (how == AS_IT_CAME)
		return;
	if (how == BODY_NEW)
		add = (struct edit){ .body = s->other };
	add.op = op[how];
	T_CHECK(edits_add(s->a, &s->e, &add, &why));
}

static struct strv
sent(struct stand *s, const char *extra)
{
	struct view   v = { &s->m, &s->e, s->e.n };
	struct render r;
	struct strv   all, piece;
	char          room[256];

	render_begin(&r, s->a, &v, strv_z(extra));
	all = r.head;
	for (uint64_t at = 0;; at += piece.n) {
		piece = spool_read(r.body, at, room, sizeof(room));
		if (piece.n == 0)
			break;
		all = arena_concat(s->a, all, piece);
	}
	T_EQ_NUM(r.size, all.n);
	return all;
}

/* A field that is added stands behind the message's own; where there is none, it is one that was put in front. */
static struct strv
wanted(struct stand *s, size_t i, enum how how, const char *extra)
{
	bool front = how == FIELD_IN_FRONT || (how == FIELD_BEHIND && rows[i].fields[0] == '\0');
	bool behind = how == FIELD_BEHIND && !front;

	return arena_printf(s->a, "%s%s%s%s%s%s%s", extra, front ? "D: 5\r\n" : "", rows[i].mbox,
	    rows[i].fields, behind ? "D: 5\r\n" : "", how == BODY_NEW ? "\r\n" : rows[i].gap,
	    how == BODY_NEW ? "new\r\n" : rows[i].body);
}

static void
check_row(size_t i, size_t step, enum how how, const char *extra)
{
	struct stand s;

	setup(&s);
	take(&s, strv_z(rows[i].in), step);
	edit(&s, how);
	T_EQ_STRV(sent(&s, extra), wanted(&s, i, how, extra));
	teardown(&s);
}

/* What a milter puts above our own Received stands there, and what is in front of that, too. */
static void
some_stand_above_ours(void)
{
	static const struct edit e[] = {
		{ .op = EDIT_INSERT_HEADER, .name = SV("A"), .value = SV("1"), .above = true },
		{ .op = EDIT_INSERT_HEADER, .at = 1, .name = SV("B"), .value = SV("2") },
		{ .op = EDIT_CHANGE_HEADER, .at = 1, .name = SV("A"), .value = SV("3") },
		{ .op = EDIT_INSERT_HEADER, .name = SV("C"), .value = SV("4") },
	};
	static const char *const want[] = {
		"Received: x\r\nF: 0\r\n\r\n",
		"A: 1\r\nReceived: x\r\nF: 0\r\n\r\n",
		"A: 1\r\nReceived: x\r\nB: 2\r\nF: 0\r\n\r\n",
		"A: 3\r\nReceived: x\r\nB: 2\r\nF: 0\r\n\r\n",
		"C: 4\r\nA: 3\r\nReceived: x\r\nB: 2\r\nF: 0\r\n\r\n",
	};
	struct stand s;
	const char  *why;

	setup(&s);
	take(&s, SV("F: 0\r\n\r\n"), 100);
	for (size_t i = 0;; i++) {
		T_EQ_TEXT(sent(&s, "Received: x\r\n"), want[i]);
		if (i == T_COUNT(e))
			break;
		T_CHECK(edits_add(s.a, &s.e, &e[i], &why));
	}
	teardown(&s);
}

/* However it was cut, whatever was put in. */
static void
leaves_no_choice(void)
{
	static const size_t steps[] = { 1, 2, 3, 7, 1000 };
	char                row[80];

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = t_show(strv_z(rows[i].in), row, sizeof(row));
		for (size_t k = 0; k < T_COUNT(steps); k++)
			for (enum how how = AS_IT_CAME; how < HOWS; how++) {
				check_row(i, steps[k], how, "");
				check_row(i, steps[k], how, RECEIVED);
			}
	}
}

/* What was sent is, taken again, the same message and sent the same: a release puts no second gap. */
static void
is_its_own_form(void)
{
	char row[80];

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct stand s, again;
		struct strv  once;

		t_row = t_show(strv_z(rows[i].in), row, sizeof(row));
		setup(&s);
		setup(&again);
		take(&s, strv_z(rows[i].in), 1000);
		once = sent(&s, "");
		take(&again, once, 1000);
		T_CHECK(!again.m.broken && again.m.mbox.n == 0);
		T_EQ_STRV(sent(&again, ""), once);
		teardown(&s);
		teardown(&again);
	}
}

/* A trusted peer, and nobody who said who we are: the gap is not a matter of trust. */
static void
trusts_nobody(void)
{
	for (int keep = 0; keep < 2; keep++) {
		struct stand s;

		setup(&s);
		take(&s, SV("A: 1\r\njunk\r\nB: 2\r\n"), 1000);
		s.m.keep_ours = keep;
		s.m.authserv = keep ? SV("") : SV("mx.ours.example");
		T_EQ_TEXT(sent(&s, ""), "A: 1\r\n\r\njunk\r\nB: 2\r\n");
		teardown(&s);
	}
}

/* A streamed one is rendered when its header has ended: before the rest is there. */
static void
decides_when_the_header_ends(void)
{
	struct strv  in = SV("From a\r\nA: 1\r\njunk\r\n"), body;
	struct stand s;

	setup(&s);
	message_begin(&s.m, s.a, s.body, 1 << 20);
	for (size_t at = 0; at < in.n; at++) {
		T_CHECK(!s.m.headers_done);
		T_EQ_NUM(message_feed(&s.m, strv(in.p + at, 1), &body), MESSAGE_OK);
	}
	T_CHECK(s.m.headers_done);
	T_EQ_TEXT(body, "junk\r\n");
	T_EQ_TEXT(sent(&s, ""), "X-Mailbox-Line: From a\r\nA: 1\r\n\r\n");
	teardown(&s);
}

/* n octets of a mark in front of "From ", more behind it. */
static struct strv
long_line(struct stand *s, size_t marks, size_t n)
{
	char *p = arena_bytes(s->a, n + 2);

	memset(p, 'y', n);
	memset(p, '>', marks);
	memcpy(p + marks, "From ", 5);
	memcpy(p + n, "\r\n", 2);
	return strv(p, n + 2);
}

/* RFC 5322 2.1.1: a line that would become too long is folded, and no line is longer than the one that came. */
static void
check_folded(size_t marks, size_t n)
{
	struct strv  all, line, text;
	struct stand s;

	setup(&s);
	take(&s, arena_concat(s.a, long_line(&s, marks, n), SV("A: 1\r\n\r\nx\r\n")), 1000);
	text = all = sent(&s, "");
	T_CHECK(
	    strv_starts(all, n + 16 > 998 ? SV("X-Mailbox-Line:\r\n ") : SV("X-Mailbox-Line: ")));
	T_CHECK(strv_ends(all, SV("A: 1\r\n\r\nx\r\n")));
	while (text.n > 0) {
		line = strv_first(text, strv_chr(text, '\n') + 1);
		T_CHECKF(line.n <= 1000 || line.n <= n + 2, "%zu octets", line.n);
		text = strv_from(text, line.n);
	}
	take(&s, all, 1000);
	T_EQ_NUM(s.m.n_h, 2);
	teardown(&s);
}

static void
folds_long_mbox_lines(void)
{
	static const size_t marks[] = { 0, 1, 900, 973 };

	for (size_t i = 0; i < T_COUNT(marks); i++) {
		check_folded(marks[i], 981);
		check_folded(marks[i], 982);
		check_folded(marks[i], 983);
		check_folded(marks[i], 998);
		check_folded(marks[i], 5000);
	}
	check_folded(993, 998);
	check_folded(4995, 5000);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(some_stand_above_ours);
	T_RUN(leaves_no_choice);
	T_RUN(is_its_own_form);
	T_RUN(trusts_nobody);
	T_RUN(decides_when_the_header_ends);
	T_RUN(folds_long_mbox_lines);
	return t_end();
}
