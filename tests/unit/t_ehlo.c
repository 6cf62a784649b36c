/* EHLO: what a server said, what all servers have, what a client is offered. */
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/sasl.h"
#include "tests/unit/t.h"

/* clang-format off */
static const struct {
	const char *text;
	uint32_t caps;
	uint64_t size;
	uint32_t xclient, xforward;
} parsed[] = {
	{ "mx.example", 0, 0, 0, 0 },
	{ "", 0, 0, 0, 0 },
	/* the first line is a greeting, whatever it holds */
	{ "PIPELINING\nSIZE 5", EHLO_SIZE, 5, 0, 0 },
	{ "mx\nPIPELINING\nSIZE 10240000\nVRFY\nETRN\nSTARTTLS\nENHANCEDSTATUSCODES\n8BITMIME\nDSN\nSMTPUTF8\nCHUNKING",
	    EHLO_PIPELINING | EHLO_SIZE | EHLO_STARTTLS | EHLO_ENHANCED | EHLO_8BITMIME | EHLO_DSN | EHLO_SMTPUTF8 |
	        EHLO_CHUNKING,
	    10240000, 0, 0 },
	{ "mx\npipelining\n8bitMIME\nsize 7", EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SIZE, 7, 0, 0 },
	{ "mx\nSIZE", EHLO_SIZE, 0, 0, 0 },
	{ "mx\nSIZE 0", EHLO_SIZE, 0, 0, 0 },
	{ "mx\nSIZE many", EHLO_SIZE, 0, 0, 0 },
	{ "mx\nSIZE 99999999999999999999999", EHLO_SIZE, 0, 0, 0 },
	{ "mx\nAUTH PLAIN LOGIN", EHLO_AUTH, 0, 0, 0 },
	{ "mx\nAUTH=LOGIN", EHLO_AUTH, 0, 0, 0 },
	{ "mx\nXCLIENT NAME ADDR port Bogus LOGIN\nXFORWARD NAME IDENT SOURCE", EHLO_XCLIENT | EHLO_XFORWARD, 0,
	    XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_LOGIN,
	    XCLIENT_NAME | XFORWARD_IDENT | XFORWARD_SOURCE },
	/* nearly a keyword is none */
	{ "mx\nPIPELININGX\nSIZEX 5\n 8BITMIMEX\nX-DSN\nPIPE_CONNECT\n\n", 0, 0, 0, 0 },
	{ "mx\n  DSN  ", EHLO_DSN, 0, 0, 0 },
};
/* clang-format on */

static void
parses(void)
{
	for (size_t i = 0; i < T_COUNT(parsed); i++) {
		struct ehlo e;

		t_row = parsed[i].text;
		ehlo_parse(strv_z(parsed[i].text), &e);
		T_EQ_NUM(e.caps, parsed[i].caps);
		T_EQ_NUM(e.size, parsed[i].size);
		T_EQ_NUM(e.xclient, parsed[i].xclient);
		T_EQ_NUM(e.xforward, parsed[i].xforward);
	}
}

#define BOTH (SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN))

/* What we do not pass on is not there, in either form. */
static void
parses_mechanisms(void)
{
	static const struct {
		const char *text;
		uint32_t    auth;
	} rows[] = {
		{ "mx\nAUTH PLAIN LOGIN", BOTH },
		{ "mx\nauth plain login", BOTH },
		{ "mx\nAUTH=LOGIN PLAIN", BOTH },
		{ "mx\nAUTH PLAIN\nAUTH=LOGIN", BOTH },
		{ "mx\nAUTH GSSAPI DIGEST-MD5 EXTERNAL NTLM SCRAM-SHA-1-PLUS", 0 },
		{ "mx\nAUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 CRAM-MD5",
		    SASL_BIT(SASL_SCRAM_SHA_256) | SASL_BIT(SASL_CRAM_MD5) },
		{ "mx\nAUTH", 0 },
		{ "mx\nAUTHX PLAIN\nX-AUTH PLAIN", 0 },
		{ "AUTH PLAIN", 0 },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct ehlo e;

		t_row = rows[i].text;
		ehlo_parse(strv_z(rows[i].text), &e);
		T_EQ_NUM(e.auth, rows[i].auth);
	}
}

/* Cut anywhere a reply never has more than the whole (but for the row of what is nearly a keyword). */
static void
parses_cut_text(void)
{
	for (size_t i = 0; i < T_COUNT(parsed); i++)
		for (size_t n = 0; parsed[i].caps != 0 && n <= strlen(parsed[i].text); n++) {
			char       *copy = calloc(1, n == 0 ? 1 : n);
			struct ehlo e;

			memcpy(copy, parsed[i].text, n);
			ehlo_parse(strv(copy, n), &e);
			T_EQ_NUM(e.caps & ~parsed[i].caps, 0);
			free(copy);
		}
}

static void
intersects(void)
{
	struct ehlo a = { .caps = EHLO_DSN | EHLO_8BITMIME,
		.size = 10,
		.xclient = XCLIENT_ADDR | XCLIENT_NAME,
		.auth = BOTH };
	struct ehlo b = { .caps = EHLO_DSN | EHLO_CHUNKING,
		.size = 20,
		.xclient = XCLIENT_ADDR,
		.auth = SASL_BIT(SASL_LOGIN) };
	struct ehlo e = ehlo_intersect(&a, &b);

	T_EQ_NUM(e.caps, EHLO_DSN);
	T_EQ_NUM(e.size, 10);
	T_EQ_NUM(e.xclient, XCLIENT_ADDR);
	T_EQ_NUM(e.auth, SASL_BIT(SASL_LOGIN));
	b.size = 0;
	T_EQ_NUM(ehlo_intersect(&a, &b).size, 10);
	T_EQ_NUM(ehlo_intersect(&b, &a).size, 10);
	a.size = 0;
	T_EQ_NUM(ehlo_intersect(&a, &b).size, 0);
}

#define EMULATED (EHLO_PIPELINING | EHLO_SIZE | EHLO_ENHANCED | EHLO_CHUNKING)

static void
offers(void)
{
	/* clang-format off */
	static const struct {
		uint32_t upstream;
		uint64_t size, own;
		bool tls;
		uint32_t caps;
		uint64_t want;
	} rows[] = {
		{ 0, 0, 0, false, EMULATED, 0 },
		{ 0, 0, 100, true, EMULATED | EHLO_STARTTLS, 100 },
		{ EHLO_SIZE, 50, 100, false, EMULATED, 50 },
		{ EHLO_SIZE, 500, 100, false, EMULATED, 100 },
		{ EHLO_SIZE, 500, 0, false, EMULATED, 500 },
		{ EHLO_DSN | EHLO_8BITMIME, 0, 0, false, EMULATED | EHLO_DSN | EHLO_8BITMIME, 0 },
		{ EHLO_SMTPUTF8 | EHLO_8BITMIME, 0, 0, false, EMULATED | EHLO_SMTPUTF8 | EHLO_8BITMIME, 0 },
		{ EHLO_SMTPUTF8, 0, 0, false, EMULATED, 0 },
		/* theirs is never ours */
		{ EHLO_STARTTLS | EHLO_AUTH | EHLO_XCLIENT | EHLO_XFORWARD, 0, 0, false, EMULATED, 0 },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct ehlo up = {
			.caps = rows[i].upstream, .size = rows[i].size, .xclient = XCLIENT_ADDR
		};
		struct ehlo e = ehlo_offer(
		    &up, &(struct ehlo_own){ .size = rows[i].own, .starttls = rows[i].tls });

		T_EQ_NUM(e.caps, rows[i].caps);
		T_EQ_NUM(e.size, rows[i].want);
		T_EQ_NUM(e.xclient, 0);
	}
}

/* AUTH is offered where both have it, with the server's mechanisms; XCLIENT with ours alone. */
static void
offers_auth_and_xclient(void)
{
	static const struct {
		uint32_t auth;
		bool     own;
		uint32_t xclient, caps, want;
	} rows[] = {
		{ BOTH, true, 0, EHLO_AUTH, BOTH },
		{ BOTH, false, 0, 0, 0 },
		{ 0, true, 0, 0, 0 },
		{ 0, false, XCLIENT_ADDR, EHLO_XCLIENT, 0 },
		{ BOTH, true, XCLIENT_ADDR, EHLO_AUTH | EHLO_XCLIENT, BOTH },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct ehlo up = { .caps = EHLO_AUTH | EHLO_XCLIENT,
			.auth = rows[i].auth,
			.xclient = XCLIENT_NAME };
		struct ehlo e = ehlo_offer(
		    &up, &(struct ehlo_own){ .auth = rows[i].own, .xclient = rows[i].xclient });

		T_EQ_NUM(e.caps & (EHLO_AUTH | EHLO_XCLIENT), rows[i].caps);
		T_EQ_NUM(e.auth, rows[i].want);
		T_EQ_NUM(e.xclient, rows[i].xclient);
	}
}

static void
prints(void)
{
	struct ehlo e = { .caps = EHLO_PIPELINING | EHLO_SIZE | EHLO_DSN, .size = 26214400 };
	struct buf  b;

	buf_init(&b, 4096);
	ehlo_print(&b, SV("mx.example"), &e);
	T_EQ_TEXT(
	    buf_view(&b), "250-mx.example\r\n250-PIPELINING\r\n250-SIZE 26214400\r\n250 DSN\r\n");
	buf_clear(&b);
	e.size = 0;
	ehlo_print(&b, SV("mx\r\nSTARTTLS"), &e);
	T_EQ_TEXT(buf_view(&b), "250-mx?\r\n250-PIPELINING\r\n250-SIZE\r\n250 DSN\r\n");
	buf_clear(&b);
	e.caps = EHLO_AUTH | EHLO_XCLIENT;
	e.auth = BOTH | SASL_BIT(SASL_OAUTHBEARER);
	e.xclient = XCLIENT_NAME | XCLIENT_REVERSE_NAME | XCLIENT_LOGIN | XCLIENT_DESTPORT;
	ehlo_print(&b, SV("mx"), &e);
	T_EQ_TEXT(buf_view(&b),
	    "250-mx\r\n250-AUTH PLAIN LOGIN OAUTHBEARER\r\n"
	    "250 XCLIENT NAME REVERSE_NAME LOGIN DESTPORT\r\n");
	buf_clear(&b);
	e.caps = 0;
	ehlo_print(&b, SV("mx.example"), &e);
	T_EQ_TEXT(buf_view(&b), "250 mx.example\r\n");
	buf_fini(&b);
}

/* Where a reply stands already, the next one comes behind it whole or not at all. */
static void
prints_all_or_nothing(void)
{
	struct ehlo e = { .caps = EHLO_PIPELINING | EHLO_SIZE | EHLO_DSN };
	struct buf  b;

	for (size_t max = 8; max < 64; max++) {
		buf_init(&b, max);
		buf_add(&b, SV("250 ok\r\n"));
		ehlo_print(&b, SV("mx.example"), &e);
		if (max < 8 + 51)
			T_EQ_TEXT(buf_view(&b), "250 ok\r\n");
		else
			T_EQ_TEXT(buf_view(&b),
			    "250 ok\r\n250-mx.example\r\n250-PIPELINING\r\n250-SIZE\r\n250 DSN\r\n");
		T_EQ_NUM(b.full, max < 8 + 51);
		buf_fini(&b);
	}
}

/* What we print we would understand. */
static void
goes_round(void)
{
	struct ehlo e = { .caps = (1u << EHLO_BIT_MAX) - 1,
		.size = 12345,
		.auth = (1u << SASL_MAX) - 1,
		.xclient = XCLIENT_ADDR | XCLIENT_LOGIN },
		    back;
	char       text[1024];
	size_t     n = 0;
	struct buf b;

	buf_init(&b, 4096);
	ehlo_print(&b, SV("mx"), &e);
	for (struct strv v = buf_view(&b); v.n > 0;) {
		struct strv line = strv_cut(&v, '\n');

		line = strv_from(strv_first(line, line.n - 1), 4);
		memcpy(text + n, line.p, line.n);
		n += line.n;
		text[n++] = '\n';
	}
	ehlo_parse(strv(text, n - 1), &back);
	T_EQ_NUM(back.caps, e.caps);
	T_EQ_NUM(back.size, e.size);
	T_EQ_NUM(back.auth, e.auth);
	T_EQ_NUM(back.xclient, e.xclient);
	buf_fini(&b);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(parses);
	T_RUN(parses_mechanisms);
	T_RUN(parses_cut_text);
	T_RUN(intersects);
	T_RUN(offers);
	T_RUN(offers_auth_and_xclient);
	T_RUN(prints);
	T_RUN(prints_all_or_nothing);
	T_RUN(goes_round);
	return t_end();
}
