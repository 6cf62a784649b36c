/* The arguments of commands: what is taken, and the code of what is not. */
#include "proxy/smtp/parse.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

#define ALL (EHLO_SIZE | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_DSN)
#define X100 \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define X500 X100 X100 X100 X100 X100

static char *
exact(struct strv v)
{
	char *copy = calloc(1, v.n == 0 ? 1 : v.n);

	if (v.n > 0)
		memcpy(copy, v.p, v.n);
	return copy;
}

static void
splits_verbs(void)
{
	/* clang-format off */
	static const struct {
		const char *line, *verb, *rest;
	} rows[] = {
		{ "QUIT", "QUIT", "" },
		{ "MAIL FROM:<a@b>", "MAIL", "FROM:<a@b>" },
		{ "MAIL \t FROM:<a@b>  ", "MAIL", "FROM:<a@b>" },
		{ "noop\tx y", "noop", "x y" },
		{ "", "", "" },
		{ " QUIT", "", "QUIT" },
		{ "STARTTLSSTARTTLSSTARTTLS now", "STARTTLSSTARTTLS", "now" },
		{ "DATA.", "DATA.", "" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv rest, verb = parse_verb(strv_z(rows[i].line), &rest);

		t_row = rows[i].line;
		T_EQ_TEXT(verb, rows[i].verb);
		T_EQ_TEXT(rest, rows[i].rest);
	}
}

static void
takes_names_of_hosts(void)
{
	/* clang-format off */
	static const struct {
		const char *in;
		unsigned code;
	} rows[] = {
		{ "mx.example", 0 }, { "[192.0.2.1]", 0 }, { "[IPv6:2001:db8::1]", 0 }, { "a_b", 0 }, { "-", 0 },
		{ "(weird)!", 0 }, { "", 501 }, { "a b", 501 }, { "a\tb", 501 }, { "a\x01", 501 }, { "a\x7f", 501 },
		{ "\xc3\xbc", 501 }, { X100 X100 "1234567890123456789012345678901234567890123456789012345", 0 },
		{ X100 X100 "12345678901234567890123456789012345678901234567890123456", 501 },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv  name = { NULL, 0 };
		struct fault f = { 0 };

		t_row = rows[i].in;
		T_EQ_NUM(parse_helo(strv_z(rows[i].in), &name, &f), rows[i].code == 0);
		T_EQ_NUM(f.code, rows[i].code);
		T_EQ_TEXT(name, rows[i].code == 0 ? rows[i].in : NULL);
	}
}

/* The dot of the root changes no name: "mx.example." must not pass where "mx.example" is refused. */
static void
takes_names_without_the_dot_of_the_root(void)
{
	static const struct {
		const char *in, *name;
	} rows[] = {
		{ "mx.example.", "mx.example" },
		{ "mx.", "mx" },
		{ "[192.0.2.1].", "[192.0.2.1]" },
		{ "mx.example..", "mx.example." },
		{ ".mx.example", ".mx.example" },
		{ ".", "." },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv  name = { NULL, 0 };
		struct fault f = { 0 };

		t_row = rows[i].in;
		T_EQ_NUM(parse_helo(strv_z(rows[i].in), &name, &f), true);
		T_EQ_TEXT(name, rows[i].name);
	}
}

/* clang-format off */
static const struct {
	const char *in;
	uint32_t offered;
	const char *out;                /* written anew for an upstream that has it all */
} good_mail[] = {
	{ "FROM:<a@b>", 0, "MAIL FROM:<a@b>\r\n" },
	{ "from:<a@b>", 0, "MAIL FROM:<a@b>\r\n" },
	{ "FROM: <a@b>", 0, "MAIL FROM:<a@b>\r\n" },
	{ "FROM:<>", 0, "MAIL FROM:<>\r\n" },
	{ "FROM:<root>", 0, "MAIL FROM:<root>\r\n" },
	{ "FROM:<@r:a@b.>", 0, "MAIL FROM:<a@b>\r\n" },
	{ "FROM:<\"a b\"@c>", 0, "MAIL FROM:<\"a b\"@c>\r\n" },
	{ "FROM:<a@b> SIZE=1000", ALL, "MAIL FROM:<a@b> SIZE=1000\r\n" },
	{ "FROM:<a@b> size=007", ALL, "MAIL FROM:<a@b> SIZE=007\r\n" },
	{ "FROM:<a@b>   BODY=8BITMIME \t RET=HDRS", ALL, "MAIL FROM:<a@b> BODY=8BITMIME RET=HDRS\r\n" },
	{ "FROM:<a@b> BODY=7bit", ALL, "MAIL FROM:<a@b> BODY=7bit\r\n" },
	{ "FROM:<a@b> SMTPUTF8", ALL, "MAIL FROM:<a@b> SMTPUTF8\r\n" },
	{ "FROM:<\xc3\xbc@b> SMTPUTF8", ALL, "MAIL FROM:<\xc3\xbc@b> SMTPUTF8\r\n" },
	{ "FROM:<a@b> RET=full ENVID=QQ+2B1", ALL, "MAIL FROM:<a@b> RET=full ENVID=QQ+2B1\r\n" },
	{ "FROM:<a@b> ENVID=" X100, ALL, "MAIL FROM:<a@b> ENVID=" X100 "\r\n" },
	{ "FROM:<a@b> SIZE=99999999999999999999", ALL, "MAIL FROM:<a@b> SIZE=99999999999999999999\r\n" },
	{ "FROM:<a@b> AUTH=<>", EHLO_AUTH, "MAIL FROM:<a@b> AUTH=<>\r\n" },
	{ "FROM:<a@b> AUTH=e+3Dmc2@example.com", EHLO_AUTH, "MAIL FROM:<a@b> AUTH=e+3Dmc2@example.com\r\n" },
};
/* clang-format on */

/* clang-format off */
static const struct {
	const char *in;
	uint32_t offered;
	unsigned code;
	const char *enh;
} bad_mail[] = {
	{ "", ALL, 501, "5.5.4" },
	{ "FROM", ALL, 501, "5.5.4" },
	{ "TO:<a@b>", ALL, 501, "5.5.4" },
	{ "FROM <a@b>", ALL, 501, "5.5.4" },
	{ "FROM:", ALL, 501, "5.1.7" },
	{ "FROM:a@b", ALL, 501, "5.1.7" },
	{ "FROM:<a@b", ALL, 501, "5.1.7" },
	{ "FROM:<a b@c>", ALL, 501, "5.1.7" },
	{ "FROM:<a@b>SIZE=1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b>>", ALL, 501, "5.5.4" },
	{ "FROM:<\xc3\xbc@b>", ALL, 553, "5.6.7" },
	{ "FROM:<\xc3\xbc@b> SIZE=5", ALL, 553, "5.6.7" },
	{ "FROM:<\xc3\xbc@b> SMTPUTF8", 0, 553, "5.6.7" },
	{ "FROM:<\"a SMTPUTF8 \xc3\xbc\"@b>", ALL, 553, "5.6.7" },      /* the word in an address asks for nothing */
	{ "FROM:<a@b> SIZE=1", 0, 555, "5.5.4" },
	{ "FROM:<a@b> BODY=8BITMIME", ALL & ~EHLO_8BITMIME, 555, "5.5.4" },
	{ "FROM:<a@b> BODY=BINARYMIME", ALL, 555, "5.5.4" },
	{ "FROM:<a@b> RET=FULL", ALL & ~EHLO_DSN, 555, "5.5.4" },
	{ "FROM:<a@b> AUTH=<>", ALL, 555, "5.5.4" },
	{ "FROM:<a@b> REQUIRETLS", ALL, 555, "5.5.4" },
	{ "FROM:<a@b> NOTIFY=NEVER", ALL, 555, "5.5.4" },
	{ "FROM:<a@b> XYZZY=1", ALL, 555, "5.5.4" },
	{ "FROM:<a@b> SIZE", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE=", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE=-1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE=1k", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE=000000000000000000001", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE=1 SIZE=1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE=1 size=2", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SIZE==1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> =1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> -SIZE=1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> BODY=9BIT", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> SMTPUTF8=1", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> RET=SOME", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> ENVID=a+b", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> ENVID=a+2", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> ENVID=\xc3\xbc", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> ENVID=" X100 "x", ALL, 501, "5.5.4" },
	{ "FROM:<a@b> AUTH=a=b", EHLO_AUTH, 501, "5.5.4" },
	{ "FROM:<a@b> AUTH=" X500 "x", EHLO_AUTH, 501, "5.5.4" },
	{ "FROM:<a@b> SI\x01ZE=1", ALL, 501, "5.5.4" },
};
/* clang-format on */

static bool
mail(struct arena *a, struct strv in, uint32_t offered, struct path *from, struct mail_params *p,
    struct fault *f)
{
	char *copy = exact(in);
	bool  good = parse_mail(a, strv(copy, in.n), offered, from, p, f);

	T_EQ_NUM(f->code == 0, good);
	free(copy);
	return good;
}

static void
takes_mail(void)
{
	for (size_t i = 0; i < T_COUNT(good_mail); i++) {
		struct arena      *a = arena_new(1024, 0);
		struct mail_params p;
		struct path        from;
		struct fault       f;
		struct buf         b;

		t_row = good_mail[i].in;
		buf_init(&b, 4096);
		T_CHECK(mail(a, strv_z(good_mail[i].in), good_mail[i].offered, &from, &p, &f));
		print_mail(&b, &from, &p, UINT32_MAX);
		T_EQ_TEXT(buf_view(&b), good_mail[i].out);
		buf_fini(&b);
		arena_free(a);
	}
}

/* Any beginning of a line is taken or refused; what is written anew is one line, whatever it was. */
static void
takes_cut_lines(void)
{
	for (size_t i = 0; i < T_COUNT(good_mail) + T_COUNT(bad_mail); i++) {
		size_t      bad = i - T_COUNT(good_mail);
		const char *in = i < T_COUNT(good_mail) ? good_mail[i].in : bad_mail[bad].in;

		t_row = in;
		for (size_t n = 0; n < strlen(in); n++) {
			struct arena      *a = arena_new(1024, 0);
			struct mail_params p;
			struct path        from;
			struct fault       f;
			struct buf         b;

			buf_init(&b, 4096);
			if (mail(a, strv(in, n), UINT32_MAX, &from, &p, &f)) {
				print_mail(&b, &from, &p, UINT32_MAX);
				T_EQ_NUM(strv_chr(buf_view(&b), '\r'), b.n - 2);
			} else
				T_CHECK(f.code / 100 == 5 && f.enh[0] == '5' && f.text != NULL);
			buf_fini(&b);
			arena_free(a);
		}
	}
}

static void
refuses_mail(void)
{
	struct arena *a = arena_new(1024, 0);

	for (size_t i = 0; i < T_COUNT(bad_mail); i++) {
		struct mail_params p;
		struct path        from;
		struct fault       f;

		t_row = bad_mail[i].in;
		T_CHECK(!mail(a, strv_z(bad_mail[i].in), bad_mail[i].offered, &from, &p, &f));
		T_EQ_NUM(f.code, bad_mail[i].code);
		T_EQ_STR(f.enh, bad_mail[i].enh);
	}
	arena_free(a);
}

static void
keeps_values(void)
{
	struct arena      *a = arena_new(1024, 0);
	struct mail_params p;
	struct path        from;
	struct fault       f;
	struct buf         b;

	T_CHECK(mail(a, SV("FROM:<a@b> SIZE=123 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=x"), ALL,
	    &from, &p, &f));
	T_EQ_NUM(p.size, 123);
	T_EQ_NUM(p.body, BODY_8BITMIME);
	T_CHECK(p.smtputf8);
	T_EQ_TEXT(p.ret, "FULL");
	T_EQ_TEXT(p.envid, "x");
	T_EQ_NUM(p.n, 5);
	/* an upstream hears only what it has */
	buf_init(&b, 1024);
	print_mail(&b, &from, &p, EHLO_SIZE | EHLO_PIPELINING);
	T_EQ_TEXT(buf_view(&b), "MAIL FROM:<a@b> SIZE=123\r\n");
	buf_clear(&b);
	print_mail(&b, &from, &p, 0);
	T_EQ_TEXT(buf_view(&b), "MAIL FROM:<a@b>\r\n");
	buf_fini(&b);

	T_CHECK(mail(a, SV("FROM:<>"), 0, &from, &p, &f));
	T_EQ_NUM(p.size, 0);
	T_EQ_NUM(p.body, BODY_NONE);
	T_CHECK(!p.smtputf8 && p.ret.p == NULL && p.envid.p == NULL && p.n == 0);
	T_CHECK(mail(a, SV("FROM:<> SIZE=18446744073709551616"), ALL, &from, &p, &f));
	T_CHECK(p.size == UINT64_MAX);
	arena_free(a);
}

/* clang-format off */
static const struct {
	const char *in;
	uint32_t offered;
	bool utf8;
	unsigned code;                  /* 0: good */
	const char *out;                /* or the enhanced code */
} rcpts[] = {
	{ "TO:<a@b>", 0, false, 0, "RCPT TO:<a@b>\r\n" },
	{ "to: <A@b.>", 0, false, 0, "RCPT TO:<A@b>\r\n" },
	{ "TO:<postmaster>", 0, false, 0, "RCPT TO:<postmaster>\r\n" },
	{ "TO:<@r,@s:a@b>", 0, false, 0, "RCPT TO:<a@b>\r\n" },
	{ "TO:<a@b> NOTIFY=NEVER", ALL, false, 0, "RCPT TO:<a@b> NOTIFY=NEVER\r\n" },
	{ "TO:<a@b> notify=success,delay,FAILURE", ALL, false, 0, "RCPT TO:<a@b> NOTIFY=success,delay,FAILURE\r\n" },
	{ "TO:<a@b> ORCPT=rfc822;a+2Bb@c", ALL, false, 0, "RCPT TO:<a@b> ORCPT=rfc822;a+2Bb@c\r\n" },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xbc@c", ALL, true, 0, "RCPT TO:<a@b> ORCPT=utf-8;\xc3\xbc@c\r\n" },
	{ "TO:<\xc3\xbc@c>", ALL, true, 0, "RCPT TO:<\xc3\xbc@c>\r\n" },
	{ "TO:<\xc3\xbc@c>", ALL, false, 553, "5.6.7" },
	{ "TO:<>", ALL, true, 501, "5.1.3" },
	{ "TO:a@b", ALL, true, 501, "5.1.3" },
	{ "FROM:<a@b>", ALL, true, 501, "5.5.4" },
	{ "TO:<a@b> NOTIFY=NEVER,DELAY", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> NOTIFY=", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> NOTIFY=,", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> NOTIFY", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> NOTIFY=DELAY,DELAY,DELAY,DELAY", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=a@b", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=;a@b", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=rfc822;", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=rf c822;x", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=utf-8;\xc3\xbc@c", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=utf-8;\xc3@c", ALL, true, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=utf-8;\x01@c", ALL, true, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=utf-8;\x7f@c", ALL, true, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=utf-8;a=b@c", ALL, true, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=rfc(822;x", ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> ORCPT=rfc822;" X500, ALL, false, 501, "5.5.4" },
	{ "TO:<a@b> NOTIFY=NEVER", ALL & ~EHLO_DSN, false, 555, "5.5.4" },
	{ "TO:<a@b> SIZE=1", ALL, false, 555, "5.5.4" },
	{ "TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", ALL, false, 501, "5.5.4" },
};
/* clang-format on */

static void
takes_recipients(void)
{
	for (size_t i = 0; i < T_COUNT(rcpts); i++) {
		struct strv   in = strv_z(rcpts[i].in);
		struct arena *a = arena_new(1024, 0);
		char         *copy = exact(in);
		struct param *p;
		struct path   to;
		struct fault  f;
		struct buf    b;
		unsigned      n;
		bool          good;

		t_row = rcpts[i].in;
		buf_init(&b, 4096);
		good = parse_rcpt(
		    a, strv(copy, in.n), rcpts[i].offered, rcpts[i].utf8, &to, &p, &n, &f);
		free(copy);
		T_EQ_NUM(f.code, rcpts[i].code);
		if (good) {
			print_rcpt(&b, &to, p, n, UINT32_MAX);
			T_EQ_TEXT(buf_view(&b), rcpts[i].out);
		} else
			T_EQ_STR(f.enh, rcpts[i].out);
		buf_fini(&b);
		arena_free(a);
	}
}

static void
takes_sizes_of_chunks(void)
{
	/* clang-format off */
	static const struct {
		const char *in;
		bool good;
		uint64_t size;
		bool last;
	} rows[] = {
		{ "0", true, 0, false }, { "0 LAST", true, 0, true }, { "1000 last", true, 1000, true },
		{ "86\tLAST", true, 86, true }, { "9223372036854775807", true, INT64_MAX, false },
		{ "9223372036854775808", false, 0, false }, { "99999999999999999999999", false, 0, false },
		{ "", false, 0, false }, { "LAST", false, 0, false }, { "-1", false, 0, false },
		{ "1x", false, 0, false },
		{ "1 LASTX", false, 0, false }, { "1 LAST x", false, 0, false }, { "1 1", false, 0, false },
		{ "0x10", false, 0, false }, { "+1", false, 0, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		uint64_t     size = 0;
		struct fault f;
		bool         last;

		t_row = rows[i].in;
		T_EQ_NUM(parse_bdat(strv_z(rows[i].in), &size, &last, &f), rows[i].good);
		T_EQ_NUM(f.code, rows[i].good ? 0 : 501);
		if (rows[i].good) {
			T_CHECK(size == rows[i].size);
			T_EQ_NUM(last, rows[i].last);
		}
	}
}

static void
knows_xtext(void)
{
	char       all[256];
	struct buf b;

	T_CHECK(xtext_valid(SV("abc+2B+3d!")));
	T_CHECK(!xtext_valid(SV("+")) && !xtext_valid(SV("+2")) && !xtext_valid(SV("+2G")) &&
	    !xtext_valid(SV("+G2")));
	T_CHECK(!xtext_valid(SV("a b")) && !xtext_valid(SV("a=b")) && !xtext_valid(SV("\x7f")));
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	buf_init(&b, 4096);
	T_CHECK(xtext_print(&b, strv(all, 256)));
	T_CHECK(xtext_valid(buf_view(&b)));
	T_CHECK(
	    strv_starts(buf_view(&b), SV("+00+01+02")) && strv_ends(buf_view(&b), SV("+FE+FF")));
	buf_fini(&b);
	buf_init(&b, 4);
	T_CHECK(!xtext_print(&b, SV("abc=")));
	buf_fini(&b);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(splits_verbs);
	T_RUN(takes_names_of_hosts);
	T_RUN(takes_names_without_the_dot_of_the_root);
	T_RUN(takes_mail);
	T_RUN(takes_cut_lines);
	T_RUN(refuses_mail);
	T_RUN(keeps_values);
	T_RUN(takes_recipients);
	T_RUN(takes_sizes_of_chunks);
	T_RUN(knows_xtext);
	return t_end();
}
