/*
 * Command lines, one a line of the input; the first octet says what was offered.  What is written anew
 * for an upstream is one line without controls, and parses to the same again.
 */
#include "proxy/base/arena.h"
#include "proxy/smtp/parse.h"
#include "tests/fuzz/fuzz.h"

static void
check_fault(const struct fault *f, bool good)
{
	FUZZ_CHECK((f->code == 0) == good);
	if (!good)
		FUZZ_CHECK(f->code / 100 == 5 && f->enh[0] == '5' && f->text != NULL &&
		    f->text[0] != '\0');
}

/* One line, its CRLF the only control in it; gives it without verb and CRLF. */
static struct strv
check_line(const struct buf *b, size_t verb)
{
	struct strv v = buf_view(b);

	FUZZ_CHECK(!b->full && strv_ends(v, SV("\r\n")));
	v.n -= 2;
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK((unsigned char)v.p[i] >= ' ' && v.p[i] != 0x7f);
	return strv_from(v, verb);
}

static void
mail_line(struct arena *a, struct strv rest, uint32_t offered)
{
	struct mail_params p, q;
	struct path        from, again;
	struct fault       f;
	struct buf         b, c;
	bool               good = parse_mail(a, rest, offered, &from, &p, &f);

	check_fault(&f, good);
	if (!good)
		return;
	buf_init(&b, 65536);
	buf_init(&c, 65536);
	print_mail(&b, &from, &p, offered);
	FUZZ_CHECK(parse_mail(a, check_line(&b, 5), offered, &again, &q, &f));
	print_mail(&c, &again, &q, offered);
	FUZZ_CHECK(strv_eq(buf_view(&b), buf_view(&c)));
	FUZZ_CHECK(p.size == q.size && p.body == q.body && p.smtputf8 == q.smtputf8 && p.n == q.n);
	FUZZ_CHECK(!from.utf8 || p.smtputf8);
	/* an upstream that has nothing hears nothing */
	buf_clear(&b);
	print_mail(&b, &from, &p, 0);
	check_line(&b, 5);
	FUZZ_CHECK(b.n == 14 + path_text(&from).n);
	buf_fini(&b);
	buf_fini(&c);
}

static void
rcpt_line(struct arena *a, struct strv rest, uint32_t offered, bool utf8)
{
	struct param *p, *q;
	struct path   to, again;
	unsigned      n, m;
	struct fault  f;
	struct buf    b, c;
	bool          good = parse_rcpt(a, rest, offered, utf8, &to, &p, &n, &f);

	check_fault(&f, good);
	if (!good)
		return;
	buf_init(&b, 65536);
	buf_init(&c, 65536);
	print_rcpt(&b, &to, p, n, offered);
	FUZZ_CHECK(parse_rcpt(a, check_line(&b, 5), offered, utf8, &again, &q, &m, &f) && n == m);
	print_rcpt(&c, &again, q, m, offered);
	FUZZ_CHECK(strv_eq(buf_view(&b), buf_view(&c)));
	buf_fini(&b);
	buf_fini(&c);
}

static void
helo_line(struct strv rest)
{
	struct strv  name = { NULL, 0 };
	struct fault f = { 0 };
	bool         good = parse_helo(rest, &name, &f);

	check_fault(&f, good);
	FUZZ_CHECK(!good || (name.n > 0 && name.n <= 255));
	for (size_t i = 0; good && i < name.n; i++)
		FUZZ_CHECK(name.p[i] > ' ' && name.p[i] < 0x7f);
}

static void
bdat_line(struct strv rest)
{
	uint64_t     size = 0;
	struct fault f;
	bool         last, good = parse_bdat(rest, &size, &last, &f);

	check_fault(&f, good);
	FUZZ_CHECK(size <= INT64_MAX);
}

static void
any_line(struct arena *a, struct strv line, uint8_t flags)
{
	/* what the table of extensions has, but each fourth input all of it */
	uint32_t    offered = flags & 3 ? (uint32_t)(flags >> 2) << 1 : UINT32_MAX;
	struct strv rest, verb = parse_verb(line, &rest);

	FUZZ_CHECK(verb.n <= 16);
	if (strv_ieq(verb, SV("MAIL")))
		mail_line(a, rest, offered);
	else if (strv_ieq(verb, SV("RCPT")))
		rcpt_line(a, rest, offered, flags & 1);
	else if (strv_ieq(verb, SV("BDAT")))
		bdat_line(rest);
	else if (strv_ieq(verb, SV("HELO")) || strv_ieq(verb, SV("EHLO")))
		helo_line(rest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv   all = strv((const char *)data + (n > 0), n - (n > 0));
	uint8_t       flags = n > 0 ? data[0] : 0;
	struct arena *a = arena_new(4096, 0);

	/* the intake lets no CR, LF or NUL through */
	for (unsigned lines = 0; all.p != NULL && lines < 100; lines++) {
		struct strv line = strv_cut(&all, '\n');

		if (strv_chr(line, '\r') == line.n && strv_chr(line, '\0') == line.n)
			any_line(a, line, flags);
	}
	arena_free(a);
	return 0;
}
