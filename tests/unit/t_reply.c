/* Replies: printed so that no text can forge a line, parsed in any cut, nonsense refused. */
#include "proxy/mail/reply.h"

#include "proxy/mail/verdict.h"
#include "tests/unit/t.h"

#define A100 \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A500 A100 A100 A100 A100 A100

/* clang-format off */
static const struct {
	struct reply r;
	bool utf8;
	const char *out;
} printed[] = {
	{ { 250, "2.1.0", SV("ok") }, false, "250 2.1.0 ok\r\n" },
	{ { 354, "", SV("go ahead") }, false, "354 go ahead\r\n" },
	{ { 220, "", SV("mx.example ESMTP") }, false, "220 mx.example ESMTP\r\n" },
	{ { 250, "2.0.0", SV("") }, false, "250 2.0.0\r\n" },
	{ { 250, "2.0.0", { NULL, 0 } }, false, "250 2.0.0\r\n" },
	{ { 250, "", SV("") }, false, "250 \r\n" },
	{ { 550, "5.7.1", SV("a\nb\nc") }, false, "550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c\r\n" },
	{ { 250, "", SV("a\n\nc\n") }, false, "250-a\r\n250-\r\n250-c\r\n250 \r\n" },
	{ { 550, "5.7.1", SV("\n") }, false, "550-5.7.1\r\n550 5.7.1\r\n" },
	{ { 550, "4.7.1", SV("other class") }, false, "550 other class\r\n" },
	/* a server's line keeps what it has, one without gets ours */
	{ { 550, "5.0.0", SV("5.1.1 who\nno idea") }, false, "550-5.1.1 who\r\n550 5.0.0 no idea\r\n" },
	/* nothing in a text makes a line but \n */
	{ { 550, "5.7.1", SV("a\r\n250 ok") }, false, "550-5.7.1 a?\r\n550 5.7.1 250 ok\r\n" },
	{ { 550, "5.7.1", SV("a\r250 ok\0b\x1b[31m") }, false, "550 5.7.1 a?250 ok?b?[31m\r\n" },
	{ { 550, "5.7.1", SV("tab\there \x7f") }, false, "550 5.7.1 tab\there ?\r\n" },
	{ { 550, "5.7.1", SV("gr\xc3\xbc\xc3\x9f") }, false, "550 5.7.1 gr????\r\n" },
	{ { 550, "5.7.1", SV("gr\xc3\xbc\xc3\x9f") }, true, "550 5.7.1 gr\xc3\xbc\xc3\x9f\r\n" },
	{ { 550, "", SV("\xe2\x80\x94") }, true, "550 \xe2\x80\x94\r\n" },
	/* RFC 5321 4.5.3.1.5: 512 octets with CRLF */
	{ { 550, "5.7.1", SV(A500) }, false, "550 5.7.1 " A500 "\r\n" },
	{ { 550, "5.7.1", SV(A500 "b") }, false, "550 5.7.1 " A500 "\r\n" },
	{ { 550, "5.7.1", SV(A500 " b") }, false, "550 5.7.1 " A500 "\r\n" },
	{ { 550, "", SV(A500 " bbb cccccccc") }, false, "550 " A500 " bbb\r\n" },
	{ { 550, "", SV(A500 A500 "\nx") }, false, "550-" A500 "aaaaaa\r\n550 x\r\n" },
	{ { 550, "", SV(A500 "aaaaa\xc3\xbc") }, true, "550 " A500 "aaaaa\r\n" },
};
/* clang-format on */

/* Whatever octet stands wherever in a text, it is printed as it is, or as '?'. */
static void
prints_each_octet(void)
{
	struct buf b;

	for (unsigned c = 1; c < 256; c++)
		for (unsigned at = 0; at < 19; at++) {
			char text[] = "abcdefghijklmnopqrs", want[] = "250 abcdefghijklmnopqrs\r\n";

			text[at] = (char)c;
			want[4 + at] = c == '\t' || (c >= 0x20 && c < 0x7f) ? (char)c : '?';
			buf_init(&b, 100);
			reply_print(&b, &(struct reply){ 250, "", strv(text, 19) }, false);
			if (c != '\n')
				T_EQ_TEXT(buf_view(&b), want);
			buf_fini(&b);
		}
}

static void
prints(void)
{
	for (size_t i = 0; i < T_COUNT(printed); i++) {
		struct buf b;

		buf_init(&b, 4096);
		t_row = printed[i].out;
		reply_print(&b, &printed[i].r, printed[i].utf8);
		T_EQ_TEXT(buf_view(&b), printed[i].out);
		buf_fini(&b);
	}
}

/* Half a reply must never be sent: its second half would be taken for the next one. */
static void
prints_whole_or_not_at_all(void)
{
	struct reply r = { 550, "5.7.1", SV(A100 "\n" A100 "\nshort") };

	for (size_t max = 6; max < 260; max++) {
		struct buf b;

		buf_init(&b, max);
		buf_add(&b, SV("before"));
		reply_print(&b, &r, false);
		if (b.full)
			T_EQ_TEXT(buf_view(&b), "before");
		else
			T_CHECK(strv_ends(buf_view(&b), SV("550 5.7.1 short\r\n")));
		T_EQ_NUM(b.full, max < 6 + 2 * 112 + 17);
		buf_fini(&b);
	}
}

static void
finds_enhanced_codes(void)
{
	/* clang-format off */
	static const struct {
		unsigned code;
		const char *text, *want;
	} rows[] = {
		{ 550, "5.7.1 no", "5.7.1" },   { 250, "2.0.0", "2.0.0" },      { 451, "4.7.23\n4.7.1", "4.7.23" },
		{ 550, "5.7.100 x", "5.7.100" }, { 550, "5.7.1000 x", NULL },   { 550, "4.7.1 no", NULL },
		{ 550, "5.7.1no", NULL },       { 550, "5.7", NULL },           { 550, "5.7.", NULL },
		{ 550, "5..1 x", NULL },        { 550, "", NULL },              { 354, "3.0.0 x", NULL },
		{ 550, "no 5.7.1", NULL },      { 550, " 5.7.1 x", NULL },      { 550, "5.1000.1 x", NULL },
		{ 550, "5.77x1 no", NULL },     { 550, "5.777", NULL },
		{ 550, "5.7.1-x", NULL },       { 550, "5.7.1\tx", "5.7.1" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].text;
		T_EQ_TEXT(
		    reply_find_enh((uint16_t)rows[i].code, strv_z(rows[i].text)), rows[i].want);
	}
}

static void
fills_enhanced_codes(void)
{
	/* clang-format off */
	static const struct {
		struct reply r;
		const char *want;
	} rows[] = {
		{ { 250, "", SV("ok") }, "2.0.0" },        { { 250, "", SV("2.1.0 ok") }, "" },
		{ { 250, "2.1.5", SV("ok") }, "2.1.5" },   { { 354, "", SV("go") }, "" },
		{ { 451, "", SV("later") }, "4.0.0" },     { { 550, "", SV("5.1.1 a\nb") }, "5.0.0" },
		{ { 550, "", SV("5.1.1 a\n5.1.1 b") }, "" }, { { 550, "", { NULL, 0 } }, "5.0.0" },
		{ { 550, "", SV("4.1.1 other class") }, "5.0.0" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct reply r = rows[i].r;

		reply_fill_enh(&r);
		T_EQ_STR(r.enh, rows[i].want);
	}
}

static void
comes_from_a_verdict(void)
{
	struct verdict v = {
		.kind = VERDICT_REJECT, .code = 554, .enh = "5.7.23", .text = SV("no")
	};
	struct reply r = reply_of_verdict(&v);

	T_EQ_NUM(r.code, 554);
	T_EQ_STR(r.enh, "5.7.23");
	T_EQ_TEXT(r.text, "no");
	v = (struct verdict){ .kind = VERDICT_TEMPFAIL };
	r = reply_of_verdict(&v);
	T_EQ_NUM(r.code, 451);
	T_EQ_STR(r.enh, "4.7.1");
	T_CHECK(r.text.n > 0);
}

/* clang-format off */
static const struct {
	struct strv in;
	unsigned code;                  /* 0: malformed */
	const char *text;
} parsed[] = {
	{ SV("250 ok\r\n"), 250, "ok" },
	{ SV("250\r\n"), 250, "" },
	{ SV("250 \r\n"), 250, "" },
	{ SV("354 End data\r\n"), 354, "End data" },
	{ SV("550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c\r\n"), 550, "5.7.1 a\n5.7.1 b\n5.7.1 c" },
	{ SV("250-a\r\n250-\r\n250\r\n"), 250, "a\n\n" },
	{ SV("250 ok\n"), 250, "ok" },
	{ SV("250-a\n250 b\n"), 250, "a\nb" },
	{ SV("250\n"), 250, "" },
	{ SV("559 \xff\x01 odd\r\n"), 559, "\xff\x01 odd" },
	{ SV("550-no\r\n250 ok\r\n"), 0, NULL },        /* unequal codes: the client must not hear 250 */
	{ SV("250-ok\r\n251 ok\r\n"), 0, NULL },
	{ SV("150 wait\r\n"), 0, NULL },
	{ SV("050 x\r\n"), 0, NULL },
	{ SV("650 x\r\n"), 0, NULL },
	{ SV("999 x\r\n"), 0, NULL },
	{ SV("260 x\r\n"), 0, NULL },
	{ SV("25 x\r\n"), 0, NULL },
	{ SV("2500 x\r\n"), 0, NULL },
	{ SV("25a x\r\n"), 0, NULL },
	{ SV("250:x\r\n"), 0, NULL },
	{ SV("250\tx\r\n"), 0, NULL },
	{ SV("\r\n"), 0, NULL },
	{ SV(" 250 x\r\n"), 0, NULL },
	{ SV("hello\r\n"), 0, NULL },
	{ SV("250 a\0b\r\n"), 0, NULL },
	{ SV("250\0\r\n"), 0, NULL },
	{ SV("250 a\rb\r\n"), 0, NULL },
	{ SV("250 a\r\r\n"), 0, NULL },
	{ SV("250\r250 x\r\n"), 0, NULL },
	{ SV("-50 x\r\n"), 0, NULL },
};
/* clang-format on */

/* Feeds all of in, in pieces of `step` octets, or in two where cut is not 0. */
static int
feed(struct reply_parser *p, struct strv in, size_t step, size_t cut, struct reply *out,
    size_t *left)
{
	int rc = 0;

	for (size_t at = 0; at < in.n && rc == 0;) {
		size_t      n = cut > 0   ? (at == 0 ? cut : in.n - cut) :
			 step < in.n - at ? step :
					    in.n - at;
		char       *copy = calloc(1, n);
		struct strv v = strv(copy, n);

		memcpy(copy, in.p + at, n);
		rc = reply_parse(p, &v, out);
		at += n - v.n;
		*left = in.n - at;
		T_CHECK(rc != 0 || v.n == 0);
		free(copy);
	}
	return rc;
}

static void
check_parsed(size_t row, size_t step, size_t cut)
{
	struct reply_parser p;
	struct reply        r;
	size_t              left = 1;
	int                 rc;

	reply_parser_init(&p);
	rc = feed(&p, parsed[row].in, step, cut, &r, &left);
	if (parsed[row].code == 0) {
		T_EQ_NUM(rc, -1);
		T_CHECK(p.why != NULL);
		/* and it stays so */
		T_EQ_NUM(reply_parse(&p, &(struct strv){ "250 ok\r\n", 8 }, &r), -1);
	} else if (T_EQ_NUM(rc, 1)) {
		T_EQ_NUM(r.code, parsed[row].code);
		T_EQ_TEXT(r.text, parsed[row].text);
		T_EQ_STR(r.enh, "");
		T_EQ_NUM(left, 0);
		T_CHECK(!p.open);
	}
	reply_parser_fini(&p);
}

static void
parses_in_any_cut(void)
{
	for (size_t i = 0; i < T_COUNT(parsed); i++) {
		t_row = parsed[i].in.p;
		check_parsed(i, SIZE_MAX, 0);
		check_parsed(i, 1, 0);
		for (size_t cut = 1; cut < parsed[i].in.n; cut++)
			check_parsed(i, 0, cut);
	}
}

/* No reply is complete before its last octet. */
static void
waits_for_the_end(void)
{
	struct strv in = SV("250-a\r\n250 b\r\n");

	for (size_t n = 0; n < in.n; n++) {
		struct reply_parser p;
		struct strv         v = strv_first(in, n);
		struct reply        r;

		reply_parser_init(&p);
		T_EQ_NUM(reply_parse(&p, &v, &r), 0);
		T_EQ_NUM(v.n, 0);
		T_EQ_NUM(p.open, n > 0);
		reply_parser_fini(&p);
	}
}

static void
takes_one_reply_at_a_time(void)
{
	struct strv         in = SV("250 a\r\n354-b\r\n354 c\r\n550 5.1.1 d\r\n22");
	struct reply_parser p;
	struct reply        r;

	reply_parser_init(&p);
	T_EQ_NUM(reply_parse(&p, &in, &r), 1);
	T_EQ_TEXT(r.text, "a");
	T_EQ_NUM(reply_parse(&p, &in, &r), 1);
	T_EQ_NUM(r.code, 354);
	T_EQ_TEXT(r.text, "b\nc");
	T_EQ_NUM(reply_parse(&p, &in, &r), 1);
	T_EQ_TEXT(r.text, "5.1.1 d");
	T_EQ_NUM(reply_parse(&p, &in, &r), 0);
	T_CHECK(p.open);
	reply_parser_fini(&p);
}

/* Endless lines, endlessly many of them: bounded. */
static void
is_bounded(void)
{
	struct strv         line = SV("250-x\r\n"), text = SV(A500);
	struct reply_parser p;
	struct reply        r;
	unsigned            n;
	int                 rc = 0;

	reply_parser_init(&p);
	for (n = 0; n < 10 * REPLY_LINES && rc == 0; n++) {
		struct strv v = line;

		rc = reply_parse(&p, &v, &r);
	}
	T_EQ_NUM(rc, -1);
	T_EQ_NUM(n, REPLY_LINES);
	reply_parser_fini(&p);

	reply_parser_init(&p);
	rc = reply_parse(&p, &(struct strv){ "250 ", 4 }, &r);
	for (n = 0; n < 10000 && rc == 0; n++) {
		struct strv v = text;

		rc = reply_parse(&p, &v, &r);
	}
	T_EQ_NUM(rc, -1);
	T_EQ_NUM(n, REPLY_MAX / 500 + 1);
	reply_parser_fini(&p);
}

/* What is printed is parsed to the same. */
static void
goes_round(void)
{
	static const char *const texts[] = { "", "a", "a\nb", "\n", "a\n\n",
		"5.1.1 no\n5.1.1 such" };

	for (size_t i = 0; i < T_COUNT(texts); i++) {
		struct reply        r = { .code = 550, .text = strv_z(texts[i]) }, back;
		struct reply_parser p;
		struct strv         v;
		struct buf          b;

		buf_init(&b, 4096);
		reply_print(&b, &r, false);
		v = buf_view(&b);
		reply_parser_init(&p);
		T_EQ_NUM(reply_parse(&p, &v, &back), 1);
		T_EQ_NUM(back.code, 550);
		T_EQ_TEXT(back.text, texts[i]);
		reply_parser_fini(&p);
		buf_fini(&b);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(prints);
	T_RUN(prints_each_octet);
	T_RUN(prints_whole_or_not_at_all);
	T_RUN(finds_enhanced_codes);
	T_RUN(fills_enhanced_codes);
	T_RUN(comes_from_a_verdict);
	T_RUN(parses_in_any_cut);
	T_RUN(waits_for_the_end);
	T_RUN(takes_one_reply_at_a_time);
	T_RUN(is_bounded);
	T_RUN(goes_round);
	return t_end();
}
