/* xclient_in: what a trusted peer says of its client; hostile values are refused whole, never cut. */
#include "proxy/smtp/xclient_in.h"
#include "tests/unit/t.h"

#define A50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A255 A50 A50 A50 A50 A50 "aaaaa"

/* clang-format off */
static const struct {
	const char *rest;
	uint32_t said, unavailable;
	const char *addr, *login, *helo;        /* NULL: absent */
	int port;
	bool esmtp;
} good[] = {
	{ "ADDR=203.0.113.9", XCLIENT_ADDR, 0, "203.0.113.9", NULL, NULL, 0, false },
	{ "addr=IPv6:2001:db8::9", XCLIENT_ADDR, 0, "2001:db8::9", NULL, NULL, 0, false },
	{ "ADDR=2001:db8::9", XCLIENT_ADDR, 0, "2001:db8::9", NULL, NULL, 0, false },
	{ "ADDR=::ffff:203.0.113.9", XCLIENT_ADDR, 0, "203.0.113.9", NULL, NULL, 0, false },
	{ "ADDR=203.0.113.9 PORT=4711 PROTO=ESMTP HELO=spike.example LOGIN=joe+40x",
	    XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO | XCLIENT_HELO | XCLIENT_LOGIN, 0, "203.0.113.9", "joe@x",
	    "spike.example", 4711, true },
	{ "ADDR=[UNAVAILABLE] LOGIN=[tempunavail]", XCLIENT_ADDR | XCLIENT_LOGIN, XCLIENT_ADDR | XCLIENT_LOGIN, NULL, NULL,
	    NULL, 0, false },
	{ "LOGIN=joe+20smith+C3+BC", XCLIENT_LOGIN, 0, NULL, "joe smith\xc3\xbc", NULL, 0, false },
	{ "LOGIN=" A255, XCLIENT_LOGIN, 0, NULL, A255, NULL, 0, false },
	{ "NAME=x.example REVERSE_NAME=y.example DESTADDR=127.0.0.1 DESTPORT=25 PROTO=smtp",
	    XCLIENT_NAME | XCLIENT_REVERSE_NAME | XCLIENT_DESTADDR | XCLIENT_DESTPORT | XCLIENT_PROTO, 0, NULL, NULL, NULL, 0,
	    false },
	{ "\t PORT=0  PROTO=SMTP ", XCLIENT_PORT | XCLIENT_PROTO, 0, NULL, NULL, NULL, 0, false },
};

static const char *const bad[] = {
	"", " ", "ADDR", "ADDR=", "=x", "ADDR =203.0.113.9", "ADDR=203.0.113", "ADDR=203.0.113.9.1", "ADDR=[203.0.113.9]",
	"ADDR=IPV6:", "ADDR=IPV6:203.0.113", "ADDR=a.example", "ADDR=203.0.113.9 ADDR=203.0.113.9",
	"ADDR=203.0.113.9 addr=127.0.0.1", "PORT=65536", "PORT=-1", "PORT=+2", "PORT=4711x", "PROTO=LMTP", "PROTO=",
	"HELO=a+20b", "HELO=a+00", "HELO=a+0D+0AQUIT", "HELO=+C3+BC", "HELO=a+4", "HELO=a=b", "LOGIN=a+0Ab", "LOGIN=+00",
	"LOGIN=+FF", "LOGIN=+7F", "LOGIN=" A255 "a", "NAME=+1B[2J", "NAME=a+20b", "SESSION=x", "TTL=9", "NAME=a BOGUS=b",
	"ADDR=203.0.113.9 BOGUS", "DESTADDR=x", "DESTPORT=x",
};
/* clang-format on */

static bool
parse(struct arena *a, struct strv v, struct xclient_in *out)
{
	char       *copy = malloc(v.n + 1);
	const char *why = NULL;
	bool        ok;

	memcpy(copy, v.p, v.n);
	ok = xclient_in_parse(a, strv(copy, v.n), out, &why);
	memset(copy, 'x', v.n); /* what is kept is the arena's */
	free(copy);
	T_CHECK(ok || (why != NULL && why[0] != '\0'));
	return ok;
}

static void
eq(struct strv have, const char *want)
{
	T_CHECK((have.p == NULL) == (want == NULL));
	if (have.p != NULL && want != NULL)
		T_EQ_TEXT(have, want);
}

static void
parses(void)
{
	for (size_t i = 0; i < T_COUNT(good); i++) {
		struct arena     *a = arena_new(1024, 0);
		struct xclient_in x;
		char              text[ADDR_TEXT];

		t_row = good[i].rest;
		T_CHECK(parse(a, strv_z(good[i].rest), &x));
		T_EQ_NUM(x.said, good[i].said);
		T_EQ_NUM(x.unavailable, good[i].unavailable);
		T_EQ_TEXT(addr_print(&x.addr, text), good[i].addr != NULL ? good[i].addr : "-");
		T_EQ_NUM(x.port, good[i].port);
		T_CHECK(x.esmtp == good[i].esmtp);
		eq(x.login, good[i].login);
		eq(x.helo, good[i].helo);
		arena_free(a);
	}
}

static void
refuses(void)
{
	for (size_t i = 0; i < T_COUNT(bad); i++) {
		struct arena     *a = arena_new(1024, 0);
		struct xclient_in x;

		t_row = bad[i];
		T_CHECK(!parse(a, strv_z(bad[i]), &x));
		arena_free(a);
	}
}

/* Cut anywhere it is refused, or has fewer attributes, or a shorter value: never octets from behind the cut. */
static void
refuses_or_shortens_cuts(void)
{
	for (size_t i = 0; i < T_COUNT(good); i++)
		for (size_t n = 0; n < strlen(good[i].rest); n++) {
			struct arena     *a = arena_new(1024, 0);
			struct xclient_in x;

			if (parse(a, strv(good[i].rest, n), &x)) {
				T_EQ_NUM(x.said & ~good[i].said, 0);
				T_CHECK(x.login.n <= n && x.helo.n <= n);
			}
			arena_free(a);
		}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(parses);
	T_RUN(refuses);
	T_RUN(refuses_or_shortens_cuts);
	return t_end();
}
