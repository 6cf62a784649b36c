/* DKIM verification: the RFCs' examples, bodies and headers of every kind, signatures and keys that are no good. */
#include "config.h"

#include <time.h>

#include "filters/dkim_own.h"
#include "tests/unit/dkim_keys.h"
#include "tests/unit/dkim_stand.h"

#if HAVE_OPENDKIM

static struct arena *a; /* of a test */

/* ---- one message ---- */

struct check {
	struct strv text;
	size_t      piece;
	struct strv dkim, domains, partial, signatures, result;
};

static void
check_fiber(void *arg)
{
	struct check       *c = arg;
	struct hearing     *h = judge_open(stand.judge, stand.session, &stand.client);
	struct transaction *tx = stand_message(h, c->text, c->piece);

	c->dkim = arena_dup(a, stand_fact(tx, "dkim"));
	c->domains = arena_dup(a, stand_fact(tx, "dkim.domains"));
	c->partial = arena_dup(a, stand_fact(tx, "dkim.partial"));
	c->signatures = arena_dup(a, stand_fact(tx, "dkim.signatures"));
	c->result = arena_dup(a, stand_fact(tx, "dkim.result"));
	stand_message_end(h);
	judge_close(h);
}

static struct check
check(struct strv text, size_t piece)
{
	struct check c = { .text = text, .piece = piece };

	stand_call(check_fiber, &c);
	return c;
}

static void
open_all(void)
{
	a = arena_new(65536, 0);
	stand_open();
	stand.wall = (uint64_t)time(NULL);
	stand_begin();
}

static void
close_all(void)
{
	stand_close();
	arena_free(a);
}

static void
give_keys(void)
{
	T_CHECK(stand_record(
	    "rsa._domainkey.example.org", "TXT", keys_record(a, CRYPT_RSA, "v=DKIM1; ")));
	T_CHECK(stand_record("ed._domainkey.example.org", "TXT",
	    keys_record(a, CRYPT_ED25519, "v=DKIM1; k=ed25519; ")));
}

static struct strv
join(struct strv x, struct strv y, struct strv z)
{
	return arena_concat(a, arena_concat(a, x, y), z);
}

/* With its empty line. */
static struct strv
signed_by(enum crypt_kind kind, const char *tags, struct strv header, struct strv body)
{
	return join(keys_sign(a, kind, tags, header, body), header, join(SV("\r\n"), body, SV("")));
}

#define HEAD "From: Joe <joe@example.org>\r\nTo: a@b.example\r\nSubject: x\r\n"
#define RSA  "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from:to:subject"
#define ED   "v=1; a=ed25519-sha256; d=example.org; s=ed; h=from:to:subject"

/* ---- the RFCs' ---- */

#define RFC6376_KEY \
	"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYt" \
	"IxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhi" \
	"tdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
#define RFC8463_RSA \
	"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6" \
	"wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvH" \
	"O9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
#define RFC8463_ED "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static void
rfc_6376_a_2(void)
{
	struct check c;
	struct strv  text;

	open_all();
	T_CHECK(stand_record("brisbane._domainkey.example.com", "TXT", RFC6376_KEY));
	text = keys_file(a, "rfc6376-a2.eml");
	c = check(text, text.n);
	T_EQ_TEXT(c.dkim, "pass");
	T_EQ_TEXT(c.domains, "example.com");
	T_EQ_TEXT(c.partial, "no");
	T_EQ_TEXT(c.signatures, "pass example.com brisbane rsa-sha256");
	T_EQ_TEXT(c.result,
	    "dkim=pass header.d=example.com header.s=brisbane header.a=rsa-sha256 "
	    "header.i=joe@football.example.com header.b=AuUoFEfD");
	T_EQ_NUM(stand.n_asked, 1);
	close_all();
}

static void
rfc_8463_a_3(void)
{
	struct check c;
	struct strv  text;

	open_all();
	T_CHECK(stand_record("brisbane._domainkey.football.example.com", "TXT", RFC8463_ED));
	T_CHECK(stand_record("test._domainkey.football.example.com", "TXT", RFC8463_RSA));
	text = keys_file(a, "rfc8463-a3.eml");
	c = check(text, text.n);
	T_EQ_TEXT(c.dkim, "pass");
	T_EQ_TEXT(c.domains, "football.example.com");
	T_EQ_TEXT(c.signatures,
	    "pass football.example.com brisbane ed25519-sha256, pass football.example.com test rsa-sha256");
	T_EQ_NUM(stand.n_asked, 2);
	close_all();
}

/* Each octet of the examples changed: no signature of the changed message passes. */
static void
notices_each_octet(void)
{
	struct strv  text, changed;
	struct check c;
	char        *p;

	open_all();
	T_CHECK(stand_record("brisbane._domainkey.example.com", "TXT", RFC6376_KEY));
	text = keys_file(a, "rfc6376-a2.eml");
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\r' || text.p[i] == '\n')
			continue;
		changed = arena_dup(a, text);
		p = (char *)(uintptr_t)changed.p;
		/* As a digit more or less, a letter's case: it stays a message. */
		p[i] = p[i] == ' ' ? '.' : (char)(p[i] ^ 1);
		c = check(changed, text.n);
		T_CHECKF(!strv_eq(c.dkim, SV("pass")), "octet %zu: %.*s", i, (int)c.signatures.n,
		    c.signatures.p);
	}
	close_all();
}

/* ---- bodies ---- */

static const struct {
	const char *name, *text;
} bodies[] = {
	{ "empty", "" },
	{ "one line", "Hello\r\n" },
	{ "no final CRLF", "Hello" },
	{ "no final CRLF, a blank", "Hello " },
	{ "CRLF alone", "\r\n" },
	{ "trailing blank lines", "Hello\r\n\r\n\r\n\r\n" },
	{ "blank lines alone", "\r\n\r\n\r\n" },
	{ "lines of blanks", "Hello\r\n \r\n\t \r\n  \r\n" },
	{ "blanks alone, no CRLF", " \t " },
	{ "blanks at the ends", "  Hello  world\t \r\n\t x \r\n" },
	{ "leading blank lines", "\r\n\r\nHello\r\n" },
	{ "blank lines between", "a\r\n\r\n\r\nb\r\n\r\n" },
	{ "8-bit", "h\xc3\xa9llo \xff\xfe\x80\r\n\xa0 x\r\n" },
	{ "controls", "a\x01\x0b\x0c\x7f z\r\n" },
	{ "dots", ".\r\n..\r\n. x\r\n" },
};

static struct strv
long_line(size_t n)
{
	char *p = arena_bytes(a, n + 2);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)('a' + i % 23);
	memcpy(p + n, "\r\n", 2);
	return strv(p, n + 2);
}

static void
passes_body(const char *name, struct strv body)
{
	static const char *const forms[] = { "simple/simple", "simple/relaxed", "relaxed/simple",
		"relaxed/relaxed", "relaxed", "simple" };

	t_row = name;
	for (unsigned kind = 0; kind < 2; kind++)
		for (size_t f = 0; f < T_COUNT(forms); f++) {
			const char *tags = arena_z(
			    a, arena_printf(a, "%s; c=%s", kind == 0 ? RSA : ED, forms[f]));
			struct strv text = signed_by(
			    kind == 0 ? CRYPT_RSA : CRYPT_ED25519, tags, SV(HEAD), body);

			for (size_t piece = 1; piece <= 64; piece = piece * 3 + 1)
				T_EQ_TEXT(
				    check(text, body.n > 500 ? 4096 * piece : piece).dkim, "pass");
			T_EQ_TEXT(check(text, text.n).dkim, "pass");
		}
	t_row = NULL;
}

static void
passes_awkward_bodies(void)
{
	open_all();
	give_keys();
	for (size_t i = 0; i < T_COUNT(bodies); i++)
		passes_body(bodies[i].name, strv_z(bodies[i].text));
	passes_body("a line of 998", long_line(998));
	passes_body("a line of 100000", long_line(100000));
	close_all();
}

/* Each way to cut a text in two, the cut between CR and LF among them. */
static void
passes_in_any_cut(void)
{
	struct strv body = SV("a \t b\r\n\r\n \r\nc\r\n\r\n\r\n");

	open_all();
	give_keys();
	for (unsigned kind = 0; kind < 2; kind++) {
		struct strv text = signed_by(kind == 0 ? CRYPT_RSA : CRYPT_ED25519,
		    kind == 0 ? RSA "; c=simple/simple" : ED "; c=relaxed/relaxed", SV(HEAD), body);

		for (size_t piece = 1; piece <= text.n; piece++)
			T_EQ_TEXT(check(text, piece).dkim, "pass");
	}
	close_all();
}

/* ---- signatures that are no good, and some that are ---- */

#define TO "d=example.org; s=rsa; h=from:to:subject"

static const struct {
	const char *tags, *want; /* behind "DOMAIN SELECTOR ALGORITHM" where it does not pass */
} sigs[] = {
	{ RSA, "pass example.org rsa rsa-sha256" },
	{ RSA "; q=dns/txt; i=joe@example.org", "pass example.org rsa rsa-sha256" },
	{ RSA "; i=@sub.Example.org", "pass example.org rsa rsa-sha256" },
	{ RSA "; unknown=a b c; z=From:x|y", "pass example.org rsa rsa-sha256" },
	{ "v=1;\r\n\ta=rsa-sha256;\r\n d=Example.ORG; s=RSA;\r\n h = from : To\r\n :subject",
	    "pass example.org rsa rsa-sha256" },
	{ "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from:to:to:to:cc:bcc:x:subject:from:from",
	    "pass example.org rsa rsa-sha256" },
	/* not one of them is a signature */
	{ "v=1", "neutral - - - no a=" },
	{ "a=rsa-sha256; " TO, "neutral - - - no v=" },
	{ "v=2; a=rsa-sha256; " TO, "neutral - - - an unknown version" },
	{ "v=1; a=rsa-sha256; s=rsa; h=from", "neutral - - - no d=" },
	{ "v=1; a=rsa-sha256; d=example.org; h=from", "neutral - - - no s=" },
	{ "v=1; a=rsa-sha256; d=example.org; s=rsa", "neutral - - - no h=" },
	{ "v=1; " TO, "neutral - - - no a=" },
	{ "v=1; a=rsa-sha256; a=rsa-sha256; " TO, "neutral - - - a tag stands twice" },
	{ "v=1; a=rsa-sha256; nonsense; " TO, "neutral - - - no list of tags" },
	{ "v=1; a=rsa-sha256; =x; " TO, "neutral - - - no list of tags" },
	{ "v=1; a=rsa-sha256; x=\x01; " TO, "neutral - - - no list of tags" },
	{ "v=1; a=rsa-sha256; n=\xc3\xa9; " TO, "neutral - - - no list of tags" },
	{ "v=1; a=rsa-sha256; d=ex ample.org; s=rsa; h=from", "neutral - - - d= is no domain" },
	{ "v=1; a=rsa-sha256; d=.example.org; s=rsa; h=from", "neutral - - - d= is no domain" },
	{ "v=1; a=rsa-sha256; d=example.org.; s=rsa; h=from", "neutral - - - d= is no domain" },
	{ "v=1; a=rsa-sha256; d=a..org; s=rsa; h=from", "neutral - - - d= is no domain" },
	{ "v=1; a=rsa-sha256; d=example.org; s=../x; h=from",
	    "neutral example.org - - s= is no selector" },
	{ "v=1; a=md5; " TO, "neutral example.org rsa - an unknown algorithm" },
	{ "v=1; a=rsa-sha1; " TO, "permerror example.org rsa rsa-sha1 rsa-sha1 is not accepted" },
	{ "v=1; a=rsa-sha256; d=example.org; s=rsa; h=to:subject",
	    "permerror example.org rsa rsa-sha256 From is not signed" },
	{ RSA "; i=joe", "neutral example.org rsa rsa-sha256 i= is no identity" },
	{ RSA "; i=joe@example.com", "permerror example.org rsa rsa-sha256 i= is not within d=" },
	{ RSA "; i=joe@notexample.org",
	    "permerror example.org rsa rsa-sha256 i= is not within d=" },
	{ RSA "; c=odd/simple", "neutral example.org rsa rsa-sha256 c= is unknown" },
	{ RSA "; c=simple/simple/simple", "neutral example.org rsa rsa-sha256 c= is unknown" },
	{ RSA "; q=ldap", "neutral example.org rsa rsa-sha256 q= is unknown" },
	{ RSA "; q=ldap:dns/txt", "pass example.org rsa rsa-sha256" },
	/* times: @ is now; libopendkim looks at the system's clock, so it is the test's, too */
	{ RSA "; t=@-1; x=@+100", "pass example.org rsa rsa-sha256" },
	{ RSA "; t=@+200", "pass example.org rsa rsa-sha256" },
	{ RSA "; t=@+400", "permerror example.org rsa rsa-sha256 it was made in the future" },
	{ RSA "; x=@-1", "permerror example.org rsa rsa-sha256 it has expired" },
	{ RSA "; t=@-1; x=@-1", "permerror example.org rsa rsa-sha256 x= is not behind t=" },
	{ RSA "; t=-1", "neutral example.org rsa rsa-sha256 t= or x= is no time" },
	{ RSA "; x=", "neutral example.org rsa rsa-sha256 t= or x= is no time" },
	{ RSA "; t=99999999999999999999999",
	    "neutral example.org rsa rsa-sha256 t= or x= is no time" },
	{ RSA "; t=18446744073709551615",
	    "permerror example.org rsa rsa-sha256 it was made in the future" },
	/* lengths: the body has 7 octets */
	{ RSA "; l=7", "pass example.org rsa rsa-sha256" },
	{ RSA "; l=3", "pass example.org rsa rsa-sha256 l= leaves out a part of the body" },
	{ RSA "; l=0", "pass example.org rsa rsa-sha256 l= leaves out a part of the body" },
	{ RSA "; l=8", "permerror example.org rsa rsa-sha256 l= is more than the body" },
	{ RSA "; l=-3", "neutral example.org rsa rsa-sha256 l= is no length" },
	{ RSA "; l=18446744073709551615", "neutral example.org rsa rsa-sha256 l= is no length" },
	{ RSA "; l=9223372036854775807",
	    "permerror example.org rsa rsa-sha256 l= is more than the body" },
	{ RSA "; l=2147483648", "permerror example.org rsa rsa-sha256 l= is more than the body" },
	{ RSA "; l=4294967294", "permerror example.org rsa rsa-sha256 l= is more than the body" },
	{ RSA "; l=4294967296", "permerror example.org rsa rsa-sha256 l= is more than the body" },
	/* the key is another's */
	{ "v=1; a=rsa-sha256; d=example.org; s=ed; h=from",
	    "permerror example.org ed rsa-sha256 the key is of another type" },
	{ "v=1; a=ed25519-sha256; d=example.org; s=rsa; h=from",
	    "permerror example.org rsa ed25519-sha256 the key is of another type" },
	{ "v=1; a=rsa-sha256; d=example.org; s=none; h=from",
	    "permerror example.org none rsa-sha256 no key" },
};

/* "@+20" becomes 20 s from now, "@-20" 20 s ago. */
static const char *
timed(const char *tags)
{
	struct strv out = SV("");

	while (*tags != '\0') {
		char *end = NULL;
		long  by;

		if (tags[0] != '@' || (tags[1] != '+' && tags[1] != '-')) {
			out = arena_concat(a, out, strv(tags++, 1));
			continue;
		}
		by = strtol(tags + 1, &end, 10);
		out = arena_concat(a, out,
		    arena_printf(
			a, "%llu", (unsigned long long)stand.wall + (unsigned long long)by));
		tags = end;
	}
	return arena_z(a, out);
}

static void
judges_signatures(void)
{
	open_all();
	give_keys();
	for (size_t i = 0; i < T_COUNT(sigs); i++) {
		struct strv text = signed_by(
		    CRYPT_RSA, timed(sigs[i].tags), SV(HEAD), SV("Hello\r\n"));

		t_row = sigs[i].tags;
		T_EQ_TEXT(check(text, text.n).signatures, sigs[i].want);
	}
	t_row = NULL;
	close_all();
}

/* Our clock is the world's. */
static void
knows_the_time(void)
{
	const char *tags;
	struct strv text;

	open_all();
	give_keys();
	tags = timed(RSA "; t=@-100; x=@+100");
	text = signed_by(CRYPT_RSA, tags, SV(HEAD), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).dkim, "pass");
	stand.wall += 101;
	T_EQ_TEXT(
	    check(text, text.n).signatures, "permerror example.org rsa rsa-sha256 it has expired");
	stand.wall -= 101 + 100 + DKIM_CLOCK_DRIFT + 1;
	T_EQ_TEXT(check(text, text.n).signatures,
	    "permerror example.org rsa rsa-sha256 it was made in the future");
	close_all();
}

/* What a stranger's signature says stays inside its value. */
static void
tells_results_safely(void)
{
	struct strv  text;
	struct check c;

	open_all();
	give_keys();
	text = signed_by(CRYPT_RSA, RSA "; i=\"a b\"(x);@example.org", SV(HEAD), SV("Hello\r\n"));
	c = check(text, text.n);
	T_CHECKF(memmem(c.result.p, c.result.n, "dkim=pass", 9) == NULL, "%.*s", (int)c.result.n,
	    c.result.p);
	text = signed_by(
	    CRYPT_RSA, RSA "; i=a spf:pass (b)@example.org", SV(HEAD), SV("Hello\r\n"));
	c = check(text, text.n);
	T_EQ_TEXT(c.signatures, "pass example.org rsa rsa-sha256");
	T_CHECKF(
	    memmem(c.result.p, c.result.n, " header.i=\"a spf:pass (b)@example.org\" ", 39) != NULL,
	    "%.*s", (int)c.result.n, c.result.p);
	close_all();
}

/* ---- keys ---- */

static const struct {
	const char *record, *want; /* "$": the RSA key, "#": it, bare, "@": Ed25519; NULL: none */
	enum crypt_kind kind;
} keys[] = {
	{ "v=DKIM1; p=$", "pass", CRYPT_RSA },
	{ "p=$", "pass", CRYPT_RSA },
	{ "k=rsa; p=$;", "pass", CRYPT_RSA },
	{ "v=DKIM1; h=sha1:sha256; s=email:x; k=rsa; n=a note; t=n; p=$", "pass", CRYPT_RSA },
	{ "v=DKIM1; h=*; s=*; p=$", "pass", CRYPT_RSA },
	{ "v=DKIM1; k=ed25519; p=@", "pass", CRYPT_ED25519 },
	{ "v=DKIM1; k=rsa; p=", "permerror the key is revoked", CRYPT_RSA },
	{ NULL, "permerror no key", CRYPT_RSA },
	{ "", "permerror the key's record is no good", CRYPT_RSA },
	{ "v=spf1 -all", "permerror the key's record is no good", CRYPT_RSA },
	{ "v=DKIM1; k=rsa", "permerror the key's record is no good", CRYPT_RSA },
	{ "v=DKIM2; p=$", "permerror the key's record is no good", CRYPT_RSA },
	{ "k=rsa; v=DKIM1; p=$", "permerror the key's record is no good", CRYPT_RSA },
	{ "v=DKIM1; p=$; p=$", "permerror the key's record is no good", CRYPT_RSA },
	{ "v=DKIM1; h=sha1; p=$", "permerror the key is not for SHA-256", CRYPT_RSA },
	{ "v=DKIM1; s=tlsrpt; p=$", "permerror the key is not for mail", CRYPT_RSA },
	{ "v=DKIM1; k=dsa; p=$", "permerror the key is of another type", CRYPT_RSA },
	{ "v=DKIM1; p=!!!!", "permerror the key is no good", CRYPT_RSA },
	{ "v=DKIM1; p=AAAA", "permerror the key is no good", CRYPT_RSA },
	{ "v=DKIM1; p=@", "permerror the key is no good", CRYPT_RSA },
	{ "v=DKIM1; k=ed25519; p=$", "permerror the key is no good", CRYPT_ED25519 },
	{ "v=DKIM1; k=ed25519; p=AAAA", "permerror the key is no good", CRYPT_ED25519 },
	/* another key of the right shape */
	{ "v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    "fail the signature does not match", CRYPT_ED25519 },
	{ RFC8463_RSA, "fail the signature does not match", CRYPT_RSA },
	/* RFC 6376 3.6.1 names it first: an RSAPublicKey as it is; libopendkim takes it only wrapped up, as most have it */
	{ "v=DKIM1; p=#", "pass", CRYPT_RSA },
	/* under test */
	{ "v=DKIM1; t=y; p=$", "neutral a test key; it matches", CRYPT_RSA },
	{ "v=DKIM1; t=s:y; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	    "neutral a test key; the signature does not match", CRYPT_ED25519 },
};

static const char *
fill_key(const char *record)
{
	struct strv spki = crypt_key_public(a, keys_read(a, CRYPT_RSA));
	const char *bits = memmem(spki.p + 19, spki.n - 19, "\0\x30", 2);
	struct strv rsa = tags_to_base64(a, spki);
	struct strv bare = tags_to_base64(a, strv_from(spki, (size_t)(bits + 1 - spki.p)));
	struct strv ed = tags_to_base64(a, crypt_key_public(a, keys_read(a, CRYPT_ED25519)));
	struct strv out = SV("");

	for (; *record != '\0'; record++)
		out = arena_concat(a, out,
		    *record == '$'     ? rsa :
			*record == '@' ? ed :
			*record == '#' ? bare :
					 strv(record, 1));
	return arena_z(a, out);
}

static void
judges_keys(void)
{
	for (size_t i = 0; i < T_COUNT(keys); i++) {
		bool         ed = keys[i].kind == CRYPT_ED25519;
		const char  *tags = ed ? "v=1; a=ed25519-sha256; d=example.org; s=k; h=from" :
					 "v=1; a=rsa-sha256; d=example.org; s=k; h=from";
		struct strv  text, want;
		struct check c;

		open_all();
		t_row = keys[i].record;
		if (keys[i].record != NULL)
			T_CHECK(stand_record(
			    "k._domainkey.example.org", "TXT", fill_key(keys[i].record)));
		text = signed_by(keys[i].kind, tags, SV(HEAD), SV("Hello\r\n"));
		c = check(text, text.n);
		want = strv_z(keys[i].want);
		want = join(strv_word(&want),
		    arena_printf(a, " example.org k %s", ed ? "ed25519-sha256" : "rsa-sha256"),
		    want);
		T_EQ_TEXT(c.signatures, arena_z(a, want));
		/* RFC 6376 3.6.1: under test is as unsigned. */
		want = strv_z(keys[i].want);
		T_EQ_TEXT(c.dkim,
		    strv_starts(want, SV("neutral a test")) ? "none" :
							      arena_z(a, strv_word(&want)));
		close_all();
	}
	t_row = NULL;
}

static void
is_strict_where_the_key_says(void)
{
	struct strv text;

	open_all();
	T_CHECK(stand_record("k._domainkey.example.org", "TXT", fill_key("v=DKIM1; t=s; p=$")));
	text = signed_by(CRYPT_RSA,
	    "v=1; a=rsa-sha256; d=example.org; s=k; h=from; i=a@example.org", SV(HEAD),
	    SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).dkim, "pass");
	text = signed_by(CRYPT_RSA,
	    "v=1; a=rsa-sha256; d=example.org; s=k; h=from; i=a@b.example.org", SV(HEAD),
	    SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).signatures,
	    "permerror example.org k rsa-sha256 the key is not for domains below");
	close_all();
}

/* RFC 6376 6.1.2: of several records one may be chosen. */
static void
chooses_among_records(void)
{
	struct strv text, both;

	open_all();
	T_CHECK(stand_record("k._domainkey.example.org", "TXT", "some other text"));
	T_CHECK(
	    stand_record("k._domainkey.example.org", "TXT", fill_key("v=DKIM1; k=ed25519; p=@")));
	T_CHECK(stand_record("k._domainkey.example.org", "TXT", fill_key("v=DKIM1; p=$")));
	text = signed_by(
	    CRYPT_RSA, "v=1; a=rsa-sha256; d=example.org; s=k; h=from", SV(HEAD), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).signatures, "pass example.org k rsa-sha256");
	/* Each its own, though libopendkim has one key for a name. */
	both = join(keys_sign(a, CRYPT_ED25519, "v=1; a=ed25519-sha256; d=example.org; s=k; h=from",
			SV(HEAD), SV("x\r\n")),
	    text, SV(""));
	T_EQ_TEXT(check(both, both.n).signatures,
	    "pass example.org k ed25519-sha256, pass example.org k rsa-sha256");
	T_EQ_NUM(stand.n_asked, 2);
	close_all();
}

/* An RSA key of that many bits and an exponent of so many octets: nothing of it is ever computed with. */
static const char *
odd_key(unsigned bits, size_t e, unsigned char last)
{
	size_t         n = bits / 8, at = 0, inside;
	unsigned char *p = arena_alloc(a, n + e + 64);

	inside = 4 + 1 + n + 4 + e + 1;
	p[at++] = 0x30, p[at++] = 0x82, p[at++] = (unsigned char)(inside >> 8),
	p[at++] = (unsigned char)inside;
	p[at++] = 0x02, p[at++] = 0x82, p[at++] = (unsigned char)((n + 1) >> 8),
	p[at++] = (unsigned char)(n + 1);
	at++;
	memset(p + at, 0xb5, n);
	at += n;
	p[at++] = 0x02, p[at++] = 0x82, p[at++] = (unsigned char)((e + 1) >> 8),
	p[at++] = (unsigned char)(e + 1);
	at++;
	memset(p + at, 0x55, e);
	at += e;
	p[at - 1] = last;
	return arena_z(a,
	    arena_printf(
		a, "v=DKIM1; p=%s", arena_z(a, tags_to_base64(a, strv((const char *)p, at)))));
}

static void
bounds_keys(void)
{
	static const struct {
		unsigned    bits;
		size_t      e;
		unsigned    minimum;
		const char *want;
	} rows[] = {
		{ 512, 3, 1024, "permerror an RSA key of 512 bits" },
		{ 1016, 3, 1024, "permerror an RSA key of 1016 bits" },
		{ 1016, 3, 2048, "permerror an RSA key of 1016 bits" },
		{ 1024, 3, 2048, "policy an RSA key of 1024 bits" },
		{ 8192, 3, 1024, "policy an RSA key of 8192 bits" },
		{ 16384, 3, 1024, "policy an RSA key of 16384 bits" },
		{ 4096, 512, 1024, "permerror the key is no good" },
		{ 2048, 5, 1024, "permerror the key is no good" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv text, want = strv_z(rows[i].want);

		open_all();
		stand.auth.minimum_key = rows[i].minimum;
		t_row = rows[i].want;
		T_CHECK(stand_record(
		    "k._domainkey.example.org", "TXT", odd_key(rows[i].bits, rows[i].e, 0x55)));
		text = signed_by(CRYPT_RSA, "v=1; a=rsa-sha256; d=example.org; s=k; h=from",
		    SV(HEAD), SV("x\r\n"));
		want = join(strv_word(&want), SV(" example.org k rsa-sha256"), want);
		T_EQ_TEXT(check(text, text.n).signatures, arena_z(a, want));
		close_all();
	}
	t_row = NULL;
}

/* ---- the DNS ---- */

static void
takes_faults_for_passing(void)
{
	struct strv text, good, bad;

	open_all();
	give_keys();
	T_CHECK(stand_record("gone._domainkey.example.org", "SERVFAIL", ""));
	T_CHECK(stand_record("slow._domainkey.example.org", "TIMEOUT", ""));
	text = signed_by(
	    CRYPT_RSA, "v=1; a=rsa-sha256; d=example.org; s=gone; h=from", SV(HEAD), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).signatures,
	    "temperror example.org gone rsa-sha256 the key cannot be had now");
	T_EQ_TEXT(check(text, text.n).dkim, "temperror");
	/* It is temperror even where another fails, and pass where another passes. */
	good = keys_sign(a, CRYPT_RSA, RSA, SV(HEAD), SV("x\r\n"));
	bad = keys_sign(a, CRYPT_RSA, RSA, SV(HEAD), SV("other\r\n"));
	T_EQ_TEXT(check(join(bad, text, SV("")), 10000).dkim, "temperror");
	T_EQ_TEXT(check(join(bad, join(text, SV(""), SV("")), SV("")), 10000).signatures,
	    "fail example.org rsa rsa-sha256 the body has changed, "
	    "temperror example.org gone rsa-sha256 the key cannot be had now");
	T_EQ_TEXT(check(join(good, text, SV("")), 10000).dkim, "pass");
	T_EQ_TEXT(check(join(bad, good, text), 10000).dkim, "pass");
	text = signed_by(
	    CRYPT_RSA, "v=1; a=rsa-sha256; d=example.org; s=slow; h=from", SV(HEAD), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).dkim, "temperror");
	close_all();
}

/* Side by side: all answers late is one of them late. */
static void
asks_side_by_side(void)
{
	struct strv text = SV(HEAD "\r\nx\r\n");
	uint64_t    began;

	open_all();
	stand.delay = 500;
	for (unsigned i = 0; i < 5; i++) {
		const char *name = arena_z(a, arena_printf(a, "k%u._domainkey.example.org", i));
		const char *tags = arena_z(
		    a, arena_printf(a, "v=1; a=rsa-sha256; d=example.org; s=k%u; h=from", i));

		T_CHECK(stand_record(name, "TXT", fill_key("v=DKIM1; p=$")));
		text = join(keys_sign(a, CRYPT_RSA, tags, SV(HEAD), SV("x\r\n")), text, SV(""));
	}
	began = stand.now;
	T_EQ_TEXT(check(text, text.n).dkim, "pass");
	T_EQ_NUM(stand.n_asked, 5);
	T_EQ_NUM(stand.now - began, 500);
	close_all();
}

struct cancelled {
	struct hearing     *h;
	struct transaction *tx;
	struct fiber       *fiber;
	struct strv         first;
};

static void
ask_fiber(void *arg)
{
	struct cancelled *c = arg;

	c->fiber = fiber_self();
	c->first = stand_fact(c->tx, "dkim");
}

static void
cancel_fiber(void *arg)
{
	struct cancelled *c = arg;
	struct strv       text = signed_by(CRYPT_RSA, RSA, SV(HEAD), SV("x\r\n"));

	c->h = judge_open(stand.judge, stand.session, &stand.client);
	c->tx = stand_message(c->h, text, text.n);
	fiber_spawn("asks", ask_fiber, c);
	fiber_sleep(10);
	fiber_cancel(c->fiber);
	fiber_sleep(10);
	T_EQ_TEXT(c->first, "x");
	T_EQ_TEXT(stand_fact(c->tx, "dkim"), "pass");
	stand_message_end(c->h);
	/* Once more, and given up while the key is on its way: nothing is left behind. */
	c->tx = stand_message(c->h, text, text.n);
	fiber_sleep(10);
	stand_message_end(c->h);
	T_CHECK(stand.taken_back > 0);
	c->tx = stand_message(c->h, text, text.n);
	T_EQ_TEXT(stand_fact(c->tx, "dkim"), "pass");
	T_EQ_TEXT(stand_fact(c->tx, "dkim.domains"), "example.org");
	stand_message_end(c->h);
	/* Never finished: the header alone. */
	c->tx = judge_begin(c->h, stand.tx);
	judge_end(c->h);
	arena_reset(stand.tx);
	judge_close(c->h);
}

static void
survives_a_cancel(void)
{
	struct cancelled c = { 0 };

	open_all();
	give_keys();
	stand.delay = 100;
	stand_call(cancel_fiber, &c);
	close_all();
}

/* ---- headers ---- */

static const struct {
	const char *name, *head, *tags, *want;
} heads[] = {
	{ "no From", "To: a@b.example\r\n", "h=from:to", "pass" },
	{ "a From that is no address", "From: \"x\r\nTo: y\r\n", "h=from:to", "pass" },
	{ "an empty From", "From:\r\n", "h=from", "pass" },
	{ "two From, one signed", "From: evil@example.org\r\nFrom: joe@example.org\r\n", "h=from",
	    "pass" },
	{ "a blank before the colon", "From : joe@example.org\r\nSubject  : x\r\n",
	    "h=from:subject", "pass" },
	/* libopendkim takes no tab there; it is no failure of the signature */
	{ "a tab before the colon", "From: joe@example.org\r\nSubject\t: x\r\n", "h=from:subject",
	    "neutral" },
	{ "a tab before a colon that is not signed", "From: joe@example.org\r\nSubject\t: x\r\n",
	    "h=from", "pass" },
	{ "odd names", "From: joe@example.org\r\nx;y: 1\r\n!#$%&: 2\r\n", "h=from:!#$%&", "pass" },
	{ "a hidden field", "From: joe@example.org\r\nX-Postern-Forged: 1\r\n",
	    "h=from:x-postern-forged", "pass" },
	{ "forged results",
	    "From: joe@example.org\r\nAuthentication-Results: mx.ours.example; dkim=pass\r\n",
	    "h=from:authentication-results", "pass" },
	{ "8-bit in a value", "From: J\xc3\xb6 <joe@example.org>\r\n", "h=from", "pass" },
	{ "folded", "From:\r\n joe@example.org\r\nSubject: a\r\n\tb\r\n  c\r\n", "h=from:subject",
	    "pass" },
	/* all that there is, the signature itself, and more: libopendkim must not write behind its array (valgrind sees it) */
	{ "all is named", "From: joe@example.org\r\n",
	    "h=from:dkim-signature:from:dkim-signature:x", "fail" },
	{ "all is named, odd", "From: joe@example.org\r\nTo: x\r\n",
	    "h=from:to:dkim-signature:from:to:x", "fail" },
};

static void
takes_any_header(void)
{
	static const char *const forms[] = { "simple", "relaxed/relaxed" };

	open_all();
	stand.auth.id = SV("mx.ours.example");
	give_keys();
	for (size_t i = 0; i < T_COUNT(heads); i++)
		for (size_t f = 0; f < T_COUNT(forms); f++) {
			const char *tags = arena_z(a,
			    arena_printf(a, "v=1; a=rsa-sha256; d=example.org; s=rsa; c=%s; %s",
				forms[f], heads[i].tags));
			struct strv text = signed_by(
			    CRYPT_RSA, tags, strv_z(heads[i].head), SV("x\r\n"));

			t_row = heads[i].name;
			T_EQ_TEXT(check(text, text.n).dkim, heads[i].want);
		}
	t_row = NULL;
	close_all();
}

/* RFC 6376 6.1: one that cannot be read, as libopendkim takes no tab there, is none of the others' concern. */
static void
one_that_it_cannot_read_spoils_no_other(void)
{
	static const char odd[] =
	    "DKIM-Signature\t: v=1; a=rsa-sha256; d=x.example; s=s0; h=from;\r\n"
	    " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n";
	struct strv  text, whole;
	struct check c;

	open_all();
	give_keys();
	text = signed_by(CRYPT_RSA, RSA, SV(HEAD), SV("x\r\n"));
	whole = join(strv_z(odd), text, SV(""));
	c = check(whole, whole.n);
	T_EQ_TEXT(c.dkim, "pass");
	T_EQ_TEXT(c.domains, "example.org");
	T_CHECKF(strv_starts(c.signatures,
		     SV("neutral x.example s0 rsa-sha256 the field cannot be read, pass")),
	    "%.*s", (int)c.signatures.n, c.signatures.p);
	close_all();
}

static void
takes_messages_without_signature(void)
{
	static const char *const texts[] = { "", "\r\n", "\r\nbody\r\n", "no header\r\n",
		"From: a@b\r\n", ": x\r\n", "DKIM-Signatur: v=1\r\n\r\n", "\xc3\xa9: x\r\n\r\n" };
	struct check             c;

	open_all();
	for (size_t i = 0; i < T_COUNT(texts); i++) {
		t_row = texts[i];
		c = check(strv_z(texts[i]), 100);
		T_EQ_TEXT(c.dkim, "none");
		T_EQ_TEXT(c.domains, "-");
		T_EQ_TEXT(c.signatures, "-");
		T_EQ_TEXT(c.partial, "no");
		T_EQ_TEXT(c.result, "dkim=none");
	}
	t_row = NULL;
	T_EQ_NUM(stand.n_asked, 0);
	close_all();
}

/* What is signed cannot be added to where it was named once more. */
static void
notices_what_is_added(void)
{
	const char *tags =
	    "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from:from:subject:subject:cc";
	struct strv text;

	open_all();
	give_keys();
	text = signed_by(CRYPT_RSA, tags, SV(HEAD), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).dkim, "pass");
	T_EQ_TEXT(check(join(SV("To: y\r\n"), text, SV("")), 10000).dkim, "pass");
	T_EQ_TEXT(check(join(SV("From: y\r\n"), text, SV("")), 10000).dkim, "fail");
	T_EQ_TEXT(check(join(SV("Subject: y\r\n"), text, SV("")), 10000).dkim, "fail");
	T_EQ_TEXT(check(join(SV("Cc: y\r\n"), text, SV("")), 10000).dkim, "fail");
	close_all();
}

/* ---- bounds: by count, not by clock ---- */

static struct strv
many(const char *piece, unsigned n)
{
	size_t len = strlen(piece);
	char  *p = arena_bytes(a, len * n);

	for (unsigned i = 0; i < n; i++)
		memcpy(p + len * i, piece, len);
	return strv(p, len * n);
}

static void
looks_at_no_more_than_it_may(void)
{
	struct strv  text, one;
	struct check c;
	unsigned     commas = 0;

	open_all();
	give_keys();
	text = many("DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s0; h=from;\r\n"
		    " bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n",
	    3000);
	text = join(text, signed_by(CRYPT_RSA, RSA, SV(HEAD), SV("x\r\n")), SV(""));
	c = check(text, text.n);
	T_EQ_TEXT(c.dkim, "permerror");
	for (size_t i = 0; i < c.signatures.n; i++)
		commas += c.signatures.p[i] == ',';
	T_EQ_NUM(commas, SIGNATURES_DEFAULT - 1);
	T_CHECKF(
	    strstr(stand.log, "dkim-signatures all=3001 checked=5\n") != NULL, "%s", stand.log);
	T_EQ_NUM(stand.n_asked, 1);
	/* The first ones count: those on top. */
	text = join(keys_sign(a, CRYPT_RSA, RSA, SV(HEAD), SV("x\r\n")), text, SV(""));
	T_EQ_TEXT(check(text, text.n).dkim, "pass");
	/* One that signs signatures would have all of them hashed. */
	one = keys_sign(a, CRYPT_RSA,
	    "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from:dkim-signature", SV(HEAD),
	    SV("x\r\n"));
	T_CHECK(strv_starts(check(join(one, text, SV("")), 1u << 20).signatures,
	    SV("policy example.org rsa rsa-sha256 it signs too many signatures")));
	close_all();
}

static void
bounds_names_and_fields(void)
{
	struct strv names, head, text;
	const char *tags;

	open_all();
	give_keys();
	names = many(":x", 150);
	head = join(SV(HEAD), many("x: 1\r\n", 400), SV(""));
	/* Fields that nobody signs do not matter, in any number. */
	text = signed_by(
	    CRYPT_RSA, RSA, join(many("y: 1\r\n", 6000), SV(HEAD), SV("")), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).dkim, "pass");
	tags = arena_z(a,
	    arena_printf(
		a, "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from%.*s", (int)names.n, names.p));
	text = signed_by(CRYPT_RSA, tags, head, SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).signatures,
	    "fail example.org rsa rsa-sha256 the signature does not match");
	text = join(
	    signed_by(CRYPT_RSA, tags, join(head, many("x: 1\r\n", 200), SV("")), SV("x\r\n")),
	    SV(""), SV(""));
	T_EQ_TEXT(check(text, text.n).signatures,
	    "policy example.org rsa rsa-sha256 it is too large to be checked");
	names = many(":x", 300);
	tags = arena_z(a,
	    arena_printf(
		a, "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from%.*s", (int)names.n, names.p));
	text = signed_by(CRYPT_RSA, tags, head, SV("x\r\n"));
	T_EQ_TEXT(
	    check(text, text.n).signatures, "policy example.org rsa rsa-sha256 h= is too long");
	names = many("a long name, and another one: ", 700);
	tags = arena_z(a, arena_printf(a, RSA "; z=%.*s", (int)names.n, names.p));
	text = signed_by(CRYPT_RSA, tags, SV(HEAD), SV("x\r\n"));
	T_EQ_TEXT(check(text, text.n).signatures, "policy - - - the field is too long");
	/* A field of a megabyte, signed. */
	head = join(
	    SV("From: joe@example.org\r\nSubject: "), many("0123456789abcdef ", 62000), SV("\r\n"));
	text = signed_by(CRYPT_RSA,
	    "v=1; a=rsa-sha256; d=example.org; s=rsa; h=from:subject; c=relaxed", head,
	    SV("x\r\n"));
	T_EQ_TEXT(check(text, 4096).dkim, "pass");
	close_all();
}

/* ---- who takes part ---- */

static void
costs_nothing_unasked(void)
{
	struct arena     *conf = arena_new(4096, 0);
	struct auth_conf  auth = AUTH_CONF_DEFAULT;
	struct filter_use use = { .auth = &auth };
	unsigned          n;
	bool             *asked;

	registry_facts(&n);
	asked = arena_array(conf, n, sizeof(*asked));
	use.asked = asked;
	T_CHECK(dkim_filter.make(conf, &use) == NULL);
	auth.methods = AUTH_SPF | AUTH_ARC;
	T_CHECK(dkim_filter.make(conf, &use) == NULL);
	asked[registry_number("dkim.partial")] = true;
	T_CHECK(dkim_filter.make(conf, &use) != NULL);
	asked[registry_number("dkim.partial")] = false;
	asked[registry_number("dmarc.policy")] = true;
	T_CHECK(dkim_filter.make(conf, &use) != NULL);
	asked[registry_number("dmarc.policy")] = false;
	auth.methods = AUTH_DMARC;
	T_CHECK(dkim_filter.make(conf, &use) != NULL);
	arena_free(conf);
}

int
main(void)
{
	T_RUN(rfc_6376_a_2);
	T_RUN(rfc_8463_a_3);
	T_RUN(notices_each_octet);
	T_RUN(passes_awkward_bodies);
	T_RUN(passes_in_any_cut);
	T_RUN(judges_signatures);
	T_RUN(knows_the_time);
	T_RUN(tells_results_safely);
	T_RUN(judges_keys);
	T_RUN(is_strict_where_the_key_says);
	T_RUN(chooses_among_records);
	T_RUN(bounds_keys);
	T_RUN(takes_faults_for_passing);
	T_RUN(asks_side_by_side);
	T_RUN(survives_a_cancel);
	T_RUN(takes_any_header);
	T_RUN(one_that_it_cannot_read_spoils_no_other);
	T_RUN(takes_messages_without_signature);
	T_RUN(notices_what_is_added);
	T_RUN(looks_at_no_more_than_it_may);
	T_RUN(bounds_names_and_fields);
	T_RUN(costs_nothing_unasked);
	return t_end();
}

#else

int
main(void)
{
	T_SKIP("built without libopendkim");
	return t_end();
}

#endif
