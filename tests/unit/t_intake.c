/* intake: command lines out of octets in any cut; only CRLF ends one, and a bad one is reported once. */
#include "proxy/smtp/intake.h"
#include "proxy/base/arena.h"
#include "tests/unit/t.h"

#define LONG 5000

/* What intake_line says of a text: one letter a result, o a line, l too long, b bad, e endless. */
struct row {
	const char *text, *results;
	const char *lines; /* the good ones, each with a newline */
};

static const struct row rows[] = {
	{ "NOOP\r\n", "o", "NOOP\n" },
	{ "\r\n", "o", "\n" },
	{ "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", "oo", "MAIL FROM:<a@b>\nRCPT TO:<c@d>\n" },
	{ "NOOP", "", "" },
	{ "NOOP\n", "", "" },
	{ "NOOP\nQUIT\r\n", "b", "" },
	{ "NOOP\rQUIT\r\n", "b", "" },
	{ "NOOP\r\r\n", "b", "" },
	{ "NO\nOP\r\nQUIT\r\n", "bo", "QUIT\n" },
	{ "\n\r\nQUIT\r\n", "bo", "QUIT\n" },
};

static void
put(struct intake *in, struct strv v)
{
	size_t left = in->n - in->at;

	if (in->b == NULL)
		in->b = bufpool_take(in->pool);
	if (in->keep != NULL) {
		memcpy(in->b, in->keep, in->keep_n);
		in->n = in->keep_n;
		mem_free(in->keep);
		in->keep = NULL;
		in->keep_n = 0;
	} else {
		memmove(in->b, in->b + in->at, left);
		in->n = (uint32_t)left;
	}
	in->at = 0;
	memcpy(in->b + in->n, v.p, v.n);
	in->n += (uint32_t)v.n;
}

static void
drain(struct intake *in, struct buf *results, struct buf *lines)
{
	enum intake_rc rc;
	struct strv    line;

	while ((rc = intake_line(in, &line)) != INTAKE_MORE) {
		buf_addc(results, "o?lbe"[rc]);
		if (rc == INTAKE_LINE_OK) {
			buf_add(lines, line);
			buf_addc(lines, '\n');
		}
		if (rc == INTAKE_ENDLESS)
			return;
	}
}

/* The text in pieces: up to `cut`, then the rest (step 0), or `step` octets at a time. */
static void
try(struct strv text, size_t cut, size_t step, struct buf *results, struct buf *lines)
{
	struct bufpool *pool = bufpool_new(2);
	struct intake   in;

	intake_init(&in, pool);
	buf_clear(results);
	buf_clear(lines);
	for (size_t at = 0, n; at < text.n; at += n) {
		n = step > 0 ? step : at == 0 && cut > 0 ? cut : text.n - at;
		if (n > text.n - at)
			n = text.n - at;
		put(&in, strv(text.p + at, n));
		drain(&in, results, lines);
		intake_rest(&in);
	}
	intake_fini(&in);
	bufpool_free(pool);
}

static void
splits_lines(void)
{
	struct buf results, lines;

	buf_init(&results, 1000);
	buf_init(&lines, 10000);
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv text = strv_z(rows[i].text);

		t_row = rows[i].text;
		for (size_t cut = 0; cut <= text.n; cut++) {
			try(text, cut, 0, &results, &lines);
			T_EQ_TEXT(buf_view(&results), rows[i].results);
			T_EQ_TEXT(buf_view(&lines), rows[i].lines);
		}
		try(text, 0, 1, &results, &lines);
		T_EQ_TEXT(buf_view(&results), rows[i].results);
		T_EQ_TEXT(buf_view(&lines), rows[i].lines);
	}
	buf_fini(&results);
	buf_fini(&lines);
}

/* RFC 5321 4.5.3.1.4: 500 once, and the tail is no command. */
static void
drops_a_long_line_once(void)
{
	static char text[LONG + 100];
	struct buf  results, lines;
	size_t      n = LONG;

	buf_init(&results, 1000);
	buf_init(&lines, 10000);
	memset(text, 'x', LONG);
	n += (size_t)snprintf(text + n, sizeof text - n, "RSET\r\nQUIT\r\n");
	for (size_t step = 1; step < 3000; step = step * 3 + 1) {
		try(strv(text, n), 0, step, &results, &lines);
		T_EQ_TEXT(buf_view(&results), "lo");
		T_EQ_TEXT(buf_view(&lines), "QUIT\n");
	}
	for (size_t cut = LONG - 2; cut < n; cut++) {
		try(strv(text, n), cut, 0, &results, &lines);
		T_EQ_TEXT(buf_view(&results), "lo");
	}
	buf_fini(&results);
	buf_fini(&lines);
}

/* A line of exactly the limit passes, one octet more does not. */
static void
knows_the_limit(void)
{
	static char text[INTAKE_LINE + 10];
	struct buf  results, lines;

	buf_init(&results, 1000);
	buf_init(&lines, 10000);
	for (size_t n = INTAKE_LINE - 1; n <= INTAKE_LINE + 1; n++) {
		memset(text, 'x', n - 2);
		memcpy(text + n - 2, "\r\n", 2);
		try(strv(text, n), 0, 0, &results, &lines);
		T_EQ_TEXT(buf_view(&results), n <= INTAKE_LINE ? "o" : "l");
		try(strv(text, n), 0, 100, &results, &lines);
		T_EQ_TEXT(buf_view(&results), n <= INTAKE_LINE ? "o" : "l");
	}
	buf_fini(&results);
	buf_fini(&lines);
}

/* What intake_line says of a line that begins with `front` and has n octets with its CRLF, in pieces of `step`. */
static char
verdict(const char *front, size_t n, size_t step, bool auth, bool wide)
{
	static char     text[INTAKE_WIDE + 100];
	struct bufpool *pool = bufpool_new(2);
	struct intake   in;
	struct strv     line;
	enum intake_rc  rc = INTAKE_MORE;

	intake_init(&in, pool);
	in.auth = auth;
	in.wide = wide;
	memset(text, 'x', n - 2);
	memcpy(text, front, strlen(front));
	memcpy(text + n - 2, "\r\n", 2);
	for (size_t at = 0, k; at < n && rc == INTAKE_MORE; at += k) {
		k = step < n - at ? step : n - at;
		put(&in, strv(text + at, k));
		T_CHECK(!(at + k == n) || intake_has_line(&in));
		rc = intake_line(&in, &line);
		T_CHECK(rc != INTAKE_LINE_OK || (at + k == n && line.n == n - 2));
		intake_rest(&in);
		/* half a line is kept aside, not in a buffer */
		T_CHECK(rc != INTAKE_MORE || in.b == NULL);
	}
	T_CHECK(rc != INTAKE_TOO_LONG || in.was_wide == (wide || (auth && *front == 'A')));
	intake_fini(&in);
	bufpool_free(pool);
	return "o?lbe"[rc];
}

/* RFC 4954 4: lines of an exchange may have 12288 octets, where there can be an exchange. */
static void
has_room_for_auth(void)
{
	static const size_t steps[] = { INTAKE_WIDE + 100, 4096, 1000 };

	for (size_t i = 0; i < T_COUNT(steps); i++) {
		T_EQ_NUM(verdict("AUTH PLAIN ", INTAKE_WIDE, steps[i], true, false), 'o');
		T_EQ_NUM(verdict("AUTH PLAIN ", INTAKE_WIDE + 1, steps[i], true, false), 'l');
		T_EQ_NUM(verdict("auth plain ", INTAKE_LINE + 1, steps[i], true, false), 'o');
		T_EQ_NUM(verdict("AUTH PLAIN ", INTAKE_LINE + 1, steps[i], false, false), 'l');
		T_EQ_NUM(verdict("MAIL FROM:<", INTAKE_LINE + 1, steps[i], true, false), 'l');
		T_EQ_NUM(verdict("MAIL FROM:<", INTAKE_LINE, steps[i], true, false), 'o');
		T_EQ_NUM(verdict("", INTAKE_WIDE, steps[i], false, true), 'o');
		T_EQ_NUM(verdict("", INTAKE_WIDE + 1, steps[i], false, true), 'l');
	}
}

/* A buffer that held a secret goes back empty of it, however it was cut. */
static void
wipes_secrets(void)
{
	static const char text[] = "AUTH PLAIN c2VjcmV0c2VjcmV0\r\nc2VjcmV0c2VjcmV0\r\nNOOP\r\n";

	for (size_t cut = 0; cut < sizeof text - 1; cut++) {
		struct bufpool *pool = bufpool_new(1);
		struct intake   in;
		struct strv     line;
		char           *b;

		intake_init(&in, pool);
		put(&in, strv(text, cut));
		for (enum intake_rc rc; (rc = intake_line(&in, &line)) != INTAKE_MORE;) {
			intake_secret(&in);
			in.wide = line.p[0] == 'A';
		}
		intake_rest(&in);
		put(&in, strv(text + cut, sizeof text - 1 - cut));
		for (enum intake_rc rc; (rc = intake_line(&in, &line)) != INTAKE_MORE;) {
			intake_secret(&in);
			in.wide = line.p[0] == 'A';
		}
		intake_rest(&in);
		b = bufpool_take(pool);
		T_CHECKF(memmem(b, 256, "c2Vj", 4) == NULL, "cut at %zu", cut);
		bufpool_give(pool, b);
		intake_fini(&in);
		bufpool_free(pool);
	}
}

static void
gives_up_an_endless_line(void)
{
	struct bufpool *pool = bufpool_new(2);
	struct buf      results, lines;
	static char     text[60000];
	struct intake   in;
	size_t          fed = 0;

	memset(text, 'x', sizeof text);
	buf_init(&results, 1000);
	buf_init(&lines, 1000);
	intake_init(&in, pool);
	while (results.n == 0 && fed < 3 * (size_t)INTAKE_SKIP) {
		put(&in, strv(text, sizeof text));
		fed += sizeof text;
		drain(&in, &results, &lines);
	}
	T_EQ_TEXT(buf_view(&results), "e");
	T_CHECK(fed > INTAKE_SKIP && fed < INTAKE_SKIP + 2 * sizeof text);
	intake_fini(&in);
	bufpool_free(pool);
	buf_fini(&results);
	buf_fini(&lines);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(splits_lines);
	T_RUN(drops_a_long_line_once);
	T_RUN(knows_the_limit);
	T_RUN(has_room_for_auth);
	T_RUN(wipes_secrets);
	T_RUN(gives_up_an_endless_line);
	return t_end();
}
