/* Headers taken apart in any cut, and octet for octet nothing lost.  RFC 5322 2.1, 2.2. */
#include "proxy/mail/message.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

#define MBOX4  "From a\r\n>From b\r\n>>From c\r\nFrom d\r\n"
#define MBOX16 MBOX4 MBOX4 MBOX4 MBOX4

/* clang-format off */
static const struct {
	const char *in;
	const char *names;              /* of the fields, each with ',' behind it; a hidden one in (). "-": an mbox line */
	const char *body;
	bool no_gap;
	unsigned received;
} rows[] = {
	{ "Subject: x\r\nFrom: a@b\r\n\r\nbody\r\n", "Subject,From,", "body\r\n", false, 0 },
	{ "Subject: x\r\n\r\n", "Subject,", "", false, 0 },
	{ "\r\nbody\r\n", "", "body\r\n", false, 0 },
	{ "\r\n", "", "", false, 0 },
	{ "\r\n\r\nbody\r\n", "", "\r\nbody\r\n", false, 0 },
	{ "A: 1\r\n\r\n\r\n\r\nx\r\n\r\ny\r\n", "A,", "\r\n\r\nx\r\n\r\ny\r\n", false, 0 },
	/* folding */
	{ "A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\nx\r\n", "A,B,", "x\r\n", false, 0 },
	{ "A:\r\n \r\n \r\n\r\nx\r\n", "A,", "x\r\n", false, 0 },
	{ "A:\r\nB:\r\n\r\n", "A,B,", "", false, 0 },
	{ "A : 1\r\nB\t:2\r\n\r\n", "A,B,", "", false, 0 },
	/* a line that is none ends the header and is body */
	{ "A: 1\r\nhello\r\nB: 2\r\n\r\nx\r\n", "A,", "hello\r\nB: 2\r\n\r\nx\r\n", true, 0 },
	{ "hello world\r\n", "", "hello world\r\n", true, 0 },
	{ " A: 1\r\nB: 2\r\n\r\n", "", " A: 1\r\nB: 2\r\n\r\n", true, 0 },
	{ ": x\r\n\r\n", "", ": x\r\n\r\n", true, 0 },
	{ "A b: x\r\n\r\n", "", "A b: x\r\n\r\n", true, 0 },
	{ "A: 1\r\n\x01: x\r\n\r\n", "A,", "\x01: x\r\n\r\n", true, 0 },
	{ "A: 1\r\n\xc3\xbc: x\r\n\r\n", "A,", "\xc3\xbc: x\r\n\r\n", true, 0 },
	/* headers alone */
	{ "A: 1\r\nB: 2\r\n", "A,B,", "", true, 0 },
	{ "", "", "", true, 0 },
	/* mbox */
	{ "From a@b Mon Jan  1 00:00:00 2024\r\nA: 1\r\n\r\nx\r\n", "-,A,", "x\r\n", false, 0 },
	{ "A: 1\r\nFrom a@b Mon\r\n\r\nx\r\n", "A,", "From a@b Mon\r\n\r\nx\r\n", true, 0 },
	{ "A: 1\r\n>From a@b Mon\r\nB: 2\r\n\r\nx\r\n", "A,", ">From a@b Mon\r\nB: 2\r\n\r\nx\r\n", true, 0 },
	{ ">From a@b\r\nA: 1\r\n\r\nx\r\n", "-,A,", "x\r\n", false, 0 },
	{ "From a\r\n>>>From b\r\nFrom c\r\nA: 1\r\n\r\nx\r\n", "-,-,-,A,", "x\r\n", false, 0 },
	{ "From a\r\n", "-,", "", true, 0 },
	{ "From a\r\n\r\nx\r\n", "-,", "x\r\n", false, 0 },
	{ "From a\r\n b\r\nA: 1\r\n\r\n", "-,", " b\r\nA: 1\r\n\r\n", true, 0 },
	{ "From a\r\njunk\r\nA: 1\r\n\r\n", "-,", "junk\r\nA: 1\r\n\r\n", true, 0 },
	{ "from a\r\n", "", "from a\r\n", true, 0 },
	{ "> From a\r\n", "", "> From a\r\n", true, 0 },
	{ "From\ta\r\n", "", "From\ta\r\n", true, 0 },
	{ MBOX16 "A: 1\r\n\r\n", "-,-,-,-,-,-,-,-,-,-,-,-,-,-,-,-,A,", "", false, 0 },
	{ MBOX16 "From q\r\nA: 1\r\n", "-,-,-,-,-,-,-,-,-,-,-,-,-,-,-,-,", "From q\r\nA: 1\r\n", true, 0 },
	{ "From : a@b\r\nA: 1\r\n\r\n", "-,A,", "", false, 0 },
	{ ">From : a@b\r\n\r\n", "-,", "", false, 0 },
	{ "From\t: a@b\r\n\r\n", "From,", "", false, 0 },
	{ "A: 1\r\nFrom : a@b\r\n\r\n", "A,From,", "", false, 0 },
	/* hops */
	{ "Received: a\r\nreceived: b\r\nDELIVERED-TO: c\r\nReceived-SPF: d\r\n\r\n",
	    "Received,received,DELIVERED-TO,Received-SPF,", "", false, 3 },
	/* what we trust does not come from strangers */
	{ "X-Postern-Id: 1\r\n 2\r\nA: 1\r\nx-postern-Y:\r\nX-Posternal: n\r\n\r\nx\r\n",
	    "(X-Postern-Id),A,(x-postern-Y),X-Posternal,", "x\r\n", false, 0 },
	/* results in our name */
	{ "A: 1\r\nAuthentication-Results:\r\n (x)\r\n\tMX.ours\r\n .example 2; x\r\nB: 2\r\n\r\nx\r\n",
	    "A,(Authentication-Results),B,", "x\r\n", false, 0 },
	{ "authentication-RESULTS \t: mx.ours.example\r\n\r\n", "(authentication-RESULTS),", "", false, 0 },
	{ "Authentication-Results: mx.ours.example; 1\r\nAuthentication-Results: mx.ours.example; 2\r\n",
	    "(Authentication-Results),(Authentication-Results),", "", true, 0 },
	{ "Authentication-Results: mx.other.example;\r\n mx.ours.example\r\n\r\n", "Authentication-Results,", "", false, 0 },
	{ "Authentication-Results:\r\n\r\n", "(Authentication-Results),", "", false, 0 },
	{ "X-Authentication-Results: mx.ours.example\r\nARC-Authentication-Results: i=1; mx.ours.example\r\n\r\n",
	    "X-Authentication-Results,ARC-Authentication-Results,", "", false, 0 },
};
/* clang-format on */

struct fed {
	struct arena  *a;
	struct message m;
	struct strv    body; /* all of it, in the arena */
};

static void
feed(struct fed *f, struct strv piece)
{
	char       *copy = calloc(1, piece.n == 0 ? 1 : piece.n);
	struct strv body;

	if (piece.n > 0)
		memcpy(copy, piece.p, piece.n);
	T_EQ_NUM(message_feed(&f->m, strv(copy, piece.n), &body), MESSAGE_OK);
	f->body = arena_concat(f->a, f->body, body);
	memset(copy, 'Z', piece.n); /* fields must not be views into what was fed */
	free(copy);
}

static void
feed_all(struct fed *f, struct strv in, size_t step, size_t cut, bool keep_ours)
{
	struct strv rest;
	size_t      at = 0;

	f->a = arena_new(1024, 0);
	f->body = SV("");
	message_begin(&f->m, f->a, NULL, 10000);
	f->m.keep_ours = keep_ours;
	f->m.authserv = SV("mx.ours.example");
	while (at < in.n) {
		size_t n = step < in.n - at ? step : in.n - at;

		if (at < cut && at + n > cut)
			n = cut - at;
		feed(f, strv(in.p + at, n));
		at += n;
	}
	T_EQ_NUM(message_end(&f->m, &rest), MESSAGE_OK);
	f->body = arena_concat(f->a, f->body, rest);
}

/* The names as the rows write them; what the fields hold together goes to *raw. */
static struct strv
names(struct fed *f, struct strv *raw)
{
	struct strv all = SV("");

	*raw = f->m.mbox;
	for (size_t at = 0; at < raw->n; at += strv_chr(strv_from(*raw, at), '\n') + 1)
		all = arena_concat(f->a, all, SV("-,"));
	for (unsigned i = 0; i < f->m.n_h; i++) {
		const struct header *h = &f->m.h[i];
		struct strv          name = header_name(h);

		all = arena_printf(f->a, h->hidden ? "%.*s(%.*s)," : "%.*s%.*s,", (int)all.n, all.p,
		    (int)name.n, name.p);
		*raw = arena_concat(f->a, *raw, h->raw);
	}
	return all;
}

static void
check_row(size_t i, size_t step, size_t cut)
{
	struct strv in = strv_z(rows[i].in), raw;
	struct fed  f;

	feed_all(&f, in, step, cut, false);
	T_EQ_TEXT(names(&f, &raw), rows[i].names);
	T_EQ_TEXT(f.body, rows[i].body);
	T_EQ_NUM(f.m.no_gap, rows[i].no_gap);
	T_EQ_NUM(f.m.broken, rows[i].no_gap && f.body.n > 0);
	T_EQ_NUM(f.m.received, rows[i].received);
	T_EQ_NUM(f.m.octets, in.n);
	T_EQ_NUM(f.m.header_octets, raw.n);
	T_CHECK(f.m.headers_done && f.m.complete);
	if (!f.m.no_gap)
		raw = arena_concat(f.a, raw, SV("\r\n"));
	T_EQ_STRV(arena_concat(f.a, raw, f.body), in);
	arena_free(f.a);
}

static void
takes_headers_in_any_cut(void)
{
	char row[80];

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = t_show(strv_z(rows[i].in), row, sizeof(row));
		check_row(i, SIZE_MAX, 0);
		for (size_t step = 1; step < 5; step++)
			check_row(i, step, 0);
		for (size_t cut = 1; cut < strlen(rows[i].in); cut++)
			check_row(i, SIZE_MAX, cut);
	}
}

static void
keeps_ours_of_trusted_peers(void)
{
	struct strv raw;
	struct fed  f;

	feed_all(&f, SV("X-Postern-Id: 1\r\n\r\n"), SIZE_MAX, 0, true);
	T_EQ_TEXT(names(&f, &raw), "X-Postern-Id,");
	T_CHECK(message_find(&f.m, SV("x-postern-id"), 0) != NULL);
	arena_free(f.a);
	feed_all(
	    &f, SV("Authentication-Results: mx.ours.example; none\r\n\r\n"), SIZE_MAX, 0, true);
	T_EQ_TEXT(names(&f, &raw), "Authentication-Results,");
	arena_free(f.a);
}

/* Nobody said who we are: a trusted peer, or no session at all. */
static void
hides_no_results_without_an_id(void)
{
	struct strv    in = SV("Authentication-Results: mx.ours.example; none\r\n\r\n"), body;
	struct arena  *a = arena_new(1024, 0);
	struct message m;

	message_begin(&m, a, NULL, 1000);
	T_EQ_NUM(message_feed(&m, in, &body), MESSAGE_OK);
	T_CHECK(message_find(&m, SV("authentication-results"), 0) != NULL);
	arena_free(a);
}

/* The text of a message is canonical and ends with a line end; one that does not is ended. */
static void
ends_an_unfinished_line(void)
{
	struct strv raw;
	struct fed  f;

	feed_all(&f, SV("A: 1\r\nB: 2"), 1, 0, false);
	T_EQ_TEXT(names(&f, &raw), "A,B,");
	T_EQ_TEXT(raw, "A: 1\r\nB: 2\r\n");
	T_EQ_TEXT(f.body, "");
	arena_free(f.a);
	feed_all(&f, SV("A: 1\r\nB 2"), 1, 0, false);
	T_EQ_TEXT(names(&f, &raw), "A,");
	T_EQ_TEXT(f.body, "B 2\r\n");
	T_CHECK(f.m.no_gap);
	arena_free(f.a);
	feed_all(&f, SV("A: 1\r\n\r\nx"), 1, 0, false);
	T_EQ_TEXT(f.body, "x");
	arena_free(f.a);
}

static void
finds_fields(void)
{
	struct strv          in = SV("A: 1\r\na:2\r\nX-Postern-A: n\r\nA : 3\r\n 4\r\n\r\n"), raw;
	const struct header *h;
	struct fed           f;

	feed_all(&f, in, 7, 0, false);
	T_EQ_TEXT(names(&f, &raw), "A,a,(X-Postern-A),A,");
	h = message_find(&f.m, SV("a"), 0);
	T_CHECK(h == &f.m.h[0]);
	T_EQ_TEXT(header_value(h), " 1");
	h = message_find(&f.m, SV("A"), 1);
	T_EQ_TEXT(header_value(h), "2");
	h = message_find(&f.m, SV("A"), 2);
	T_EQ_TEXT(header_value(h), " 3\r\n 4");
	T_CHECK(message_find(&f.m, SV("A"), 3) == NULL);
	T_CHECK(message_find(&f.m, SV("X-Postern-A"), 0) == NULL);
	T_CHECK(message_find(&f.m, SV(""), 0) == NULL);
	arena_free(f.a);
}

static enum message_rc
feed_times(struct message *m, struct strv v, unsigned times)
{
	enum message_rc rc = MESSAGE_OK;
	struct strv     body;

	for (unsigned i = 0; i < times && rc == MESSAGE_OK; i++)
		rc = message_feed(m, v, &body);
	return rc;
}

/* Endless lines, endless fields, exact ceilings. */
static void
is_bounded(void)
{
	struct arena  *a = arena_new(1024, 0);
	struct strv    body = SV(""), line = SV("0123456789");
	struct message m;

	message_begin(&m, a, NULL, 1000);
	T_EQ_NUM(feed_times(&m, line, 100), MESSAGE_OK);
	T_EQ_NUM(feed_times(&m, line, 1), MESSAGE_HEADER_TOO_BIG);
	T_EQ_NUM(message_feed(&m, SV("\r\n\r\n"), &body), MESSAGE_HEADER_TOO_BIG);
	T_EQ_NUM(body.n, 0);
	T_EQ_NUM(m.octets, 1014);
	T_EQ_NUM(message_end(&m, &body), MESSAGE_HEADER_TOO_BIG);

	for (size_t over = 0; over < 3; over++)
		for (size_t cut = 0; cut < 12; cut++) {
			struct strv in = SV("A: 12345\r\n\r\nx");

			message_begin(&m, a, NULL, 10 - (uint32_t)over);
			if (message_feed(&m, strv_first(in, cut), &body) == MESSAGE_OK)
				T_EQ_NUM(message_feed(&m, strv_from(in, cut), &body),
				    over > 0 ? MESSAGE_HEADER_TOO_BIG : MESSAGE_OK);
			else
				T_CHECK(over > 0);
			T_EQ_NUM(body.n, over == 0);
		}

	message_begin(&m, a, NULL, 1 << 20);
	T_EQ_NUM(feed_times(&m, SV("A:\r\n"), MESSAGE_FIELDS_MAX), MESSAGE_OK);
	T_EQ_NUM(feed_times(&m, SV("A:\r\n"), 1), MESSAGE_HEADER_TOO_BIG);
	arena_free(a);
}

/* A header in one piece, as nearly all come, is copied once and takes no more room than it needs. */
static void
wastes_nothing(void)
{
	static char    text[64 * 1024];
	struct arena  *a = arena_new(1024, 0);
	struct strv    body;
	struct message m;
	size_t         n = 0;

	for (int i = 0; i < 20; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "Field-%d: %060d\r\n", i, i);
	memcpy(text + n, "\r\n", 2);
	memset(text + n + 2, 'x', sizeof(text) - n - 2);
	message_begin(&m, a, NULL, 1 << 20);
	T_EQ_NUM(message_feed(&m, strv(text, sizeof(text)), &body), MESSAGE_OK);
	T_EQ_NUM(m.n_h, 20);
	T_CHECK(body.p == text + n + 2 && body.n == sizeof(text) - n - 2);
	T_CHECK(arena_used(a) < 8192);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(takes_headers_in_any_cut);
	T_RUN(keeps_ours_of_trusted_peers);
	T_RUN(hides_no_results_without_an_id);
	T_RUN(ends_an_unfinished_line);
	T_RUN(finds_fields);
	T_RUN(is_bounded);
	T_RUN(wastes_nothing);
	return t_end();
}
