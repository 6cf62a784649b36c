/* Authentication-Results: forged ones in every dress, and ours as it is written.  RFC 8601 2.2, 5. */
#include "config.h"

#include "proxy/mail/authres.h"

#include "proxy/base/arena.h"
#include "proxy/mail/edit.h"
#include "proxy/mail/path.h"
#include "tests/unit/t.h"

#define UMLAUT \
	"b\xc3\xbc" \
	"cher.example"
#define AS_ACE "xn--bcher-kva.example"
#define ZWSP   "\xe2\x80\x8b"

#define WITH_IDN 2 /* ours only if nobody knows better: without libidn2 it is */

/* clang-format off */
static const struct {
	const char *id, *value;
	size_t n;       /* octets of value, 0: to its NUL */
	int ours;
} rows[] = {
	{ "mx.ours.example", " mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", "mx.ours.example; none", 0, 1 },
	{ "mx.ours.example", " MX.Ours.EXAMPLE; none", 0, 1 },
	{ "MX.OURS.example", " mx.ours.example; none", 0, 1 },
	{ "mx.ours.example", " mx.ours.example.; none", 0, 1 },
	{ "mx.ours.example.", " mx.ours.example; none", 0, 1 },
	{ "mx.ours.example", " mx.ours.example...; none", 0, 1 },
	/* versions */
	{ "mx.ours.example", " mx.ours.example 1; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example 2; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example/1; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example (v) 999999999999999999999; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example v2.0; spf=pass", 0, 1 },
	/* folding */
	{ "mx.ours.example", "\r\n mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", "\r\n\t\r\n mx.ours.example\r\n ;\r\n\tspf=pass", 0, 1 },
	{ "mx.ours.example", " mx\r\n\t.ours.\r\n example; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx . ours . example ; spf=pass", 0, 1 },
	/* comments */
	{ "mx.ours.example", " (x) mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", "(x)mx.ours.example(y);spf=pass", 0, 1 },
	{ "mx.ours.example", " (a (b (c)) d) mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " (\\)) mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " (foreign.example; spf=pass) mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx(a).(b)ours(c).example(d); spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ou(x)rs.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " ()()(\r\n )mx.ours.example", 0, 1 },
	/* readers who take them otherwise */
	{ "mx.ours.example", " (a(b) mx.ours.example; c) foreign.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " (\\) mx.ours.example; \\)) foreign.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " (mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " (((((mx.ours.example; spf=pass", 0, 1 },
	/* quoted strings */
	{ "mx.ours.example", " \"mx.ours.example\"; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"m\\x.ou\\rs.example\"; spf=pass", 0, 1 },
	{ "mx.ours.example", " \" mx.ours.example \"; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"mx.ours\".\"example\"; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"(x)mx.ours.example\"; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"\r\n mx.ours.example\"; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx\\.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"\"mx.ours.example; spf=pass", 0, 1 },
	/* no semicolon, something else behind it */
	{ "mx.ours.example", " mx.ours.example spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example", 0, 1 },
	{ "mx.ours.example", " mx.ours.example,spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example:spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example=spf", 0, 1 },
	{ "mx.ours.example", " mx.ours.example\r\n spf=pass; dkim=pass", 0, 1 },
	/* garbage */
	{ "mx.ours.example", " mx.ours.example\0.foreign.example; spf=pass", 39, 1 },
	{ "mx.ours.example", " m\0x.ours.example; spf=pass", 27, 1 },
	{ "mx.ours.example", "\0 mx.ours.example; spf=pass", 27, 1 },
	{ "mx.ours.example", " mx.ours.example\xff; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ou\xffrs.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example.\xff; spf=pass", 0, 1 },
	{ "mx.ours.example", " \xa0mx.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " " ZWSP "mx.ours.example" ZWSP "; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ou\xc2\xadrs.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " \xef\xbd\x8d\xef\xbd\x98.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx\xe3\x80\x82ours\xef\xbc\x8e" "example\xef\xbd\xa1; spf=pass", 0, 1 },
	{ "mx.ours.example", " xn--mx-.ours.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " <mx.ours.example>; spf=pass", 0, 1 },
	{ "mx.ours.example", " =?utf-8?Q?mx.ours.example?=; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.=?utf-8?Q?ours?=.example; spf=pass", 0, 1 },
	{ "mx.ours.example", " mx.ours.example\x7f; spf=pass", 0, 1 },
	{ "mx.ours.example", " m\xc3\xbc.ours.exampl\xc3\xa4()\xc3\xa4()\xc3\xa4()\xc3\xa4()\xc3\xa4()\xc3\xa4()"
	    "\xc3\xa4()\xc3\xa4()\xc3\xa4()\xc3\xa4; spf=pass", 0, 1 },
	/* no id at all: nobody's result */
	{ "mx.ours.example", "", 0, 1 },
	{ "mx.ours.example", " ", 0, 1 },
	{ "mx.ours.example", " ; spf=pass", 0, 1 },
	{ "mx.ours.example", " \"\"; spf=pass", 0, 1 },
	{ "mx.ours.example", " (x)", 0, 1 },
	/* A-labels and U-labels */
	{ AS_ACE, " " AS_ACE "; spf=pass", 0, 1 },
	{ AS_ACE, " XN--BCHER-KVA.example; spf=pass", 0, 1 },
	{ AS_ACE, " " UMLAUT "; spf=pass", 0, 1 },
	{ AS_ACE, " \"" UMLAUT ".\" 1; spf=pass", 0, 1 },
	{ AS_ACE, " (x) B\xc3\xbc" "CHER.Example; spf=pass", 0, 1 },
	{ AS_ACE, " B\xc3\x9c" "CHER.Example; spf=pass", 0, 1 },
	{ AS_ACE, " bu\xcc\x88" "cher.example; spf=pass", 0, 1 },
	{ AS_ACE, " b\xfc" "cher.example; spf=pass", 0, 1 },
	{ UMLAUT, " " UMLAUT "; spf=pass", 0, 1 },
	{ UMLAUT, " " AS_ACE "; spf=pass", 0, 1 },
	{ UMLAUT, " Xn--Bcher-Kva.example.; spf=pass", 0, 1 },
	/* ids that are no domains */
	{ "gateway", " gateway; spf=pass", 0, 1 },
	{ "our gateway/1", " \"our gateway/1\"; spf=pass", 0, 1 },
	{ "our gateway/1", " \"our  Gateway\\/1\"; spf=pass", 0, 1 },
	{ "gw@ours.example", " gw@ours.example; spf=pass", 0, 1 },

	/* others' */
	{ "mx.ours.example", " mx.foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " ours.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " x.mx.ours.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " mx.ours.example.foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " mx.ours.example2; spf=pass", 0, 0 },
	{ "mx.ours.example", " mxxours.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " (mx.ours.example) foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " foreign.example (mx.ours.example); spf=pass", 0, 0 },
	{ "mx.ours.example", " (a (b)) foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " (\\)) foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " foreign.example 1; mx.ours.example=pass", 0, 0 },
	{ "mx.ours.example", " foreign.example; spf=pass smtp.helo=mx.ours.example", 0, 0 },
	{ "mx.ours.example", " foreign.example spf=pass smtp.helo=mx.ours.example", 0, 0 },
	{ "mx.ours.example", " foreign.example;\r\n mx.ours.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " foreign.example\r\n mx.ours.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " \"foreign.example; mx.ours.example\"; spf=pass", 0, 0 },
	{ "mx.ours.example", " foreign.example (open; spf=pass", 0, 0 },
	{ "mx.ours.example", " spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=none", 0, 0 },
	{ "mail1", " mail 1; spf=pass", 0, 0 },
	{ "mail", " mail1; spf=pass", 0, 0 },
	{ "gateway", " our gateway; spf=pass", 0, 0 },
	{ "mx.ours.example", " b\xc3\xbc" "cher.ours.example; spf=pass", 0, WITH_IDN },
	{ "bcher.example", " " UMLAUT "; spf=pass", 0, WITH_IDN },
	{ AS_ACE, " b\xc3\xa4" "cher.example; spf=pass", 0, WITH_IDN },
	{ AS_ACE, " bucher.example; spf=pass", 0, 0 },
	{ UMLAUT, " xn--tst-qla.example; spf=pass", 0, WITH_IDN },
	{ AS_ACE, " m\xfcx.foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " m\xfcx.foreign.example; spf=pass", 0, 0 },
	{ "mx.ours.example", " xn--mx-.foreign.example; spf=pass", 0, 0 },
	{ "", " mx.ours.example; spf=pass", 0, 0 },
};
/* clang-format on */

static struct strv
field(struct arena *a, size_t i, const char *name, const char *end)
{
	struct strv value = strv_z(rows[i].value);

	if (rows[i].n > 0)
		value.n = rows[i].n;
	return arena_concat(a, arena_concat(a, strv_z(name), value), strv_z(end));
}

static bool
want(size_t i)
{
	return rows[i].ours == WITH_IDN ? !HAVE_IDN2 : rows[i].ours == 1;
}

/* U-labels without libidn2: what it might be, it is. */
static void
knows_forgeries(void)
{
	struct arena *a = arena_new(4096, 0);
	char          row[120];

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv id = strv_z(rows[i].id);

		t_row = t_show(field(a, i, "", ""), row, sizeof(row));
		T_EQ_NUM(
		    authres_forges(field(a, i, "Authentication-Results:", "\r\n"), id), want(i));
		T_EQ_NUM(
		    authres_forges(field(a, i, "AUTHENTICATION-results\t :", "\r\n"), id), want(i));
	}
	t_row = NULL;
	arena_free(a);
}

/* Cut anywhere nothing is read behind the end; what is lost with the end is not the id of a whole field. */
static void
is_safe_at_every_cut(void)
{
	struct arena *a = arena_new(4096, 0);
	unsigned      ours = 0;

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv whole = field(a, i, "Authentication-Results:", "\r\n");

		for (size_t n = 0; n <= whole.n; n++) {
			char *copy = malloc(n == 0 ? 1 : n);

			if (n > 0)
				memcpy(copy, whole.p, n);
			ours += authres_forges(strv(copy, n), strv_z(rows[i].id));
			free(copy);
		}
	}
	T_CHECK(ours > 0);
	arena_free(a);
}

/* A megabyte of whatever, in a time that nobody notices. */
static void
is_bounded(void)
{
	static char        text[1 << 20];
	static const char *fill[] = { "(", "\\", "\"", "a", ".", "\xc3\xbc", "(x)a", "(x).", " ",
		"\xc3\xbc(x)", "=", "()" };
	struct strv        head = SV("Authentication-Results: foreign.(");

	for (size_t k = 0; k < T_COUNT(fill); k++) {
		size_t n = strlen(fill[k]);

		memcpy(text, head.p, head.n);
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = i < 24 ? head.p[i] : fill[k][(i - 24) % n];
		t_row = fill[k];
		for (size_t most = 64; most <= sizeof(text); most *= 4)
			(void)authres_forges(strv(text, most), SV("mx.ours.example"));
		T_CHECK(authres_forges(strv(text, 24), SV("mx.ours.example")));
	}
	t_row = NULL;
}

/* ---- ours ---- */

/* clang-format off */
static const struct {
	const char *in, *value, *words;
} texts[] = {
	{ "example.org", "example.org", "example.org" },
	{ "a@example.org", "a@example.org", "a@example.org" },
	{ "@example.org", "\"@example.org\"", "@example.org" },
	{ "a=b@example.org", "\"a=b@example.org\"", "a=b@example.org" },
	{ "a b@example.org", "\"a b@example.org\"", "a b@example.org" },
	{ "\"a;b\"@example.org", "\"\\\"a;b\\\"@example.org\"", "'a;b'@example.org" },
	{ "x; dkim=pass", "\"x; dkim=pass\"", "x; dkim=pass" },
	{ "a\\", "\"a\\\\\"", "a/" },
	{ "", "\"\"", "" },
	{ "2001:db8::1", "\"2001:db8::1\"", "2001:db8::1" },
	{ "AbC+/12=", "\"AbC+/12=\"", "AbC+/12=" },
	{ "(c) \"q\"", "\"(c) \\\"q\\\"\"", "[c] 'q'" },
	{ "a\r\nB: c\x7f", "\"a??B: c?\"", "a  B: c " },
	{ "\xc3\xbc@" UMLAUT, "\xc3\xbc@" UMLAUT, "\xc3\xbc@" UMLAUT },
	{ "\xfc\xc3", "\"\?\?\"", "??" },
	{ "\xed\xa0\x80", "\"\?\?\?\"", "???" },
};
/* clang-format on */

static void
writes_values(void)
{
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < T_COUNT(texts); i++) {
		t_row = texts[i].in;
		T_EQ_TEXT(authres_value(a, strv_z(texts[i].in)), texts[i].value);
		T_EQ_TEXT(authres_words(a, strv_z(texts[i].in)), texts[i].words);
	}
	t_row = NULL;
	T_EQ_TEXT(authres_value(a, SV("a\0b")), "\"a?b\"");
	T_EQ_TEXT(authres_words(a, SV("a\0b")), "a b");
	T_EQ_TEXT(authres_id(a, SV("mx.ours.example")), "mx.ours.example");
	T_EQ_TEXT(authres_id(a, SV("our gateway")), "\"our gateway\"");
	arena_free(a);
}

/* Cut between two characters. */
static void
cuts_what_is_long(void)
{
	struct arena *a = arena_new(4096, 0);
	char          long_one[3000];

	for (size_t i = 0; i + 1 < sizeof(long_one); i += 2)
		memcpy(long_one + i, "\xc3\xbc", 2);
	T_EQ_NUM(authres_words(a, strv(long_one, sizeof(long_one))).n, 100);
	T_CHECK(utf8_valid(authres_words(a, strv(long_one, sizeof(long_one)))));
	T_EQ_NUM(authres_value(a, strv(long_one, sizeof(long_one))).n, 400);
	T_EQ_NUM(authres_words(a, strv(long_one + 1, 2500)).n, 99);
	memset(long_one, '"', sizeof(long_one));
	T_EQ_NUM(authres_value(a, strv(long_one, sizeof(long_one))).n, 802);
	arena_free(a);
}

static void
folds_fields(void)
{
	struct arena     *a = arena_new(4096, 0);
	const struct strv two[] = { SV("spf=pass smtp.mailfrom=a@example.org"),
		SV("dkim=pass header.d=example.org header.s=sel header.a=rsa-sha256 "
		   "header.b=AbCdEf12") };
	const struct strv odd[] = {
		SV("dkim=fail reason=\"a long reason with blanks in it, which "
		   "is not folded inside (quoted \\\" pair) at all\" header.d=x"),
		SV("a  b\r\nc")
	};

	T_EQ_TEXT(authres_field(a, SV("mx.ours.example"), NULL, 0), "mx.ours.example; none");
	T_EQ_TEXT(authres_field(a, SV("mx.ours.example"), two, 2),
	    "mx.ours.example;\r\n\tspf=pass smtp.mailfrom=a@example.org;\r\n\t"
	    "dkim=pass header.d=example.org header.s=sel header.a=rsa-sha256\r\n\t"
	    "header.b=AbCdEf12");
	T_EQ_TEXT(authres_field(a, SV("mx"), odd, 2),
	    "mx;\r\n\tdkim=fail\r\n\t"
	    "reason=\"a long reason with blanks in it, which is not folded inside (quoted \\\" "
	    "pair) at all\"\r\n\theader.d=x;\r\n\ta b??c");
	arena_free(a);
}

static void
check_lines(struct strv all, size_t most)
{
	while (all.p != NULL)
		T_CHECK(strv_cut(&all, '\n').n <= most);
}

/* Whatever comes in, an edit takes it, and RFC 5322 2.1.1 holds. */
static void
writes_legal_fields(void)
{
	static char   big[4000];
	struct arena *a = arena_new(4096, 0);
	struct strv   many[200], all;
	const char   *why = "";
	struct edit   e = { .op = EDIT_INSERT_HEADER, .name = SV("Authentication-Results") };

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 256);
	for (size_t i = 0; i < T_COUNT(many); i++)
		many[i] = strv(big + i * 17, i * 3);
	for (unsigned n = 0; n <= T_COUNT(many); n++) {
		all = authres_field(a, SV("mx.ours.example"), many, n);
		e.value = all;
		T_CHECK(all.n <= AUTHRES_FIELD_MAX && edit_check(&e, &why));
		check_lines(all, 998);
	}
	memset(big, 'x', sizeof(big));
	many[0] = SV("a=b");
	many[1] = strv(big, sizeof(big));
	many[2] = arena_concat(a, SV("c=d "), strv(big, 900));
	all = authres_field(a, SV("mx"), many, 3);
	check_lines(all, 998);
	T_CHECK(strv_starts(all, SV("mx;\r\n\ta=b;\r\n\tc=d\r\n\txxx")));
	T_EQ_NUM(all.n, strlen("mx;\r\n\ta=b;\r\n\tc=d\r\n\t") + 900);
	T_EQ_TEXT(authres_field(a, SV("mx"), &many[1], 1), "mx; none");
	arena_free(a);
}

/* What does not fit goes whole. */
static void
keeps_the_ceiling(void)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   many[400], all;
	unsigned      n = 0;

	for (size_t i = 0; i < T_COUNT(many); i++)
		many[i] = SV("dkim=fail header.d=example.org header.s=sel header.a=rsa-sha256 "
			     "header.b=AbCdEf12");
	all = authres_field(a, SV("mx"), many, T_COUNT(many));
	T_CHECK(all.n <= AUTHRES_FIELD_MAX && all.n > AUTHRES_FIELD_MAX - 200);
	T_CHECK(strv_ends(all, SV("header.b=AbCdEf12")));
	while (all.p != NULL)
		n += strv_cut(&all, ';').n > 0;
	T_CHECK(n > 100 && n < T_COUNT(many));
	arena_free(a);
}

/*
 * Nearly 900 octets each of 20 signatures, which have i= and s= as long as they may be: a stranger cannot push out what
 * comes behind them.
 */
static void
has_room_for_all(void)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   v[22], identity, all;
	char          i[254], selector[237];
	unsigned      n = 0;

	memset(selector, 's', sizeof(selector));
	memset(i, '"', sizeof(i));
	memcpy(i + sizeof(i) - 6, "@a.io", 6);
	identity = authres_value(a, strv_z(i));
	for (size_t k = 0; k < 20; k++) {
		v[k] = arena_printf(a,
		    "dkim=neutral reason=\"a signed field cannot be read\" header.d=a.io "
		    "header.s=%.*s header.a=ed25519-sha256 header.i=%.*s header.b=AbCdEf12",
		    (int)sizeof(selector), selector, (int)identity.n, identity.p);
		T_CHECK(v[k].n > 16384 / 19 && v[k].n < 900);
	}
	v[20] = SV("dmarc=fail header.from=a.io");
	v[21] = SV("arc=none");
	all = authres_field(a, SV("mx"), v, T_COUNT(v));
	T_CHECK(strv_ends(all, SV("arc=none")));
	while (all.p != NULL)
		n += strv_cut(&all, ';').n > 0;
	T_EQ_NUM(n, 1 + T_COUNT(v));
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(knows_forgeries);
	T_RUN(is_safe_at_every_cut);
	T_RUN(is_bounded);
	T_RUN(writes_values);
	T_RUN(cuts_what_is_long);
	T_RUN(folds_fields);
	T_RUN(writes_legal_fields);
	T_RUN(keeps_the_ceiling);
	T_RUN(has_room_for_all);
	return t_end();
}
