/* sasl: mechanisms, base64, and who a response says to be; hostile responses name nobody. */
#include "proxy/smtp/sasl.h"
#include "tests/unit/t.h"

static void
finds_mechanisms(void)
{
	T_EQ_NUM(sasl_find(SV("PLAIN")), SASL_PLAIN);
	T_EQ_NUM(sasl_find(SV("scram-sha-256")), SASL_SCRAM_SHA_256);
	T_EQ_NUM(sasl_find(SV("SCRAM-SHA-256-PLUS")), -1);
	T_EQ_NUM(sasl_find(SV("")), -1);
	T_EQ_NUM(sasl_find(SV("PLAI")), -1);
	for (unsigned m = 0; m < SASL_MAX; m++)
		T_EQ_NUM(sasl_find(strv_z(sasl_word(m))), m);
	T_EQ_NUM(
	    sasl_parse_words(SV("PLAIN  login\tGSSAPI EXTERNAL NTLM DIGEST-MD5 SCRAM-SHA-1-PLUS")),
	    SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_LOGIN));
	T_EQ_NUM(sasl_parse_words(SV("")), 0);
	T_EQ_NUM(sasl_parse_words(strv(NULL, 0)), 0);
	T_CHECK(sasl_server_first(SASL_CRAM_MD5) && !sasl_server_first(SASL_LOGIN));
}

/* clang-format off */
static const struct {
	const char *text;
	long n;                 /* -1: not base64 */
	const char *octets;
} base64[] = {
	{ "", 0, "" },
	{ "Zg==", 1, "f" }, { "Zm8=", 2, "fo" }, { "Zm9v", 3, "foo" }, { "Zm9vYg==", 4, "foob" },
	{ "Zm9vYmE=", 5, "fooba" }, { "Zm9vYmFy", 6, "foobar" },        /* RFC 4648 10 */
	{ "AAAA", 3, "\0\0\0" }, { "/+//", 3, "\xff\xef\xff" }, { "//79", 3, "\xff\xfe\xfd" },
	{ "Z", -1, NULL }, { "Zg", -1, NULL }, { "Zg=", -1, NULL }, { "Zg===", -1, NULL }, { "====", -1, NULL },
	{ "=g==", -1, NULL }, { "Z===", -1, NULL }, { "Zg==Zg==", -1, NULL }, { "Zm=v", -1, NULL },
	{ "Zh==", -1, NULL }, { "Zm9=", -1, NULL },                     /* bits left over: RFC 4648 3.5 */
	{ "Zm 9", -1, NULL }, { "Zm9v\r\n", -1, NULL }, { "Zm-_", -1, NULL }, { "Zm9\x80", -1, NULL }, { "=", -1, NULL },
};
/* clang-format on */

static void
decodes(void)
{
	for (size_t i = 0; i < T_COUNT(base64); i++) {
		struct strv in = strv_z(base64[i].text);
		size_t      room = base64_room(in.n);
		char       *out = malloc(room), *copy = malloc(in.n + 1);
		struct buf  b;

		t_row = base64[i].text;
		memcpy(copy, in.p, in.n);
		T_EQ_NUM(base64_decode(strv(copy, in.n), out, room), base64[i].n);
		buf_init(&b, 100);
		if (base64[i].n >= 0) {
			T_EQ_STRV(strv(out, (size_t)base64[i].n),
			    strv(base64[i].octets, (size_t)base64[i].n));
			base64_print(&b, strv(base64[i].octets, (size_t)base64[i].n));
			T_EQ_TEXT(buf_view(&b), base64[i].text);
			if (base64[i].n > 0)
				T_EQ_NUM(base64_decode(in, out, (size_t)base64[i].n - 1), -1);
		}
		buf_fini(&b);
		free(copy);
		free(out);
	}
}

/* Every octet in every place goes there and back. */
static void
goes_round(void)
{
	char       octets[259], back[400];
	struct buf b;

	for (size_t i = 0; i < sizeof octets; i++)
		octets[i] = (char)i;
	buf_init(&b, 1000);
	for (size_t n = 0; n <= sizeof octets; n++) {
		buf_clear(&b);
		base64_print(&b, strv(octets, n));
		T_EQ_NUM(b.n, (n + 2) / 3 * 4);
		T_EQ_NUM(base64_decode(buf_view(&b), back, sizeof back), n);
		T_CHECK(memcmp(back, octets, n) == 0);
	}
	buf_fini(&b);
}

#define R(text) \
	{ \
		text, sizeof(text) - 1 \
	}
#define A16  "aaaaaaaaaaaaaaaa"
#define A255 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 A16 "aaaaaaaaaaaaaaa"

/* clang-format off */
static const struct {
	enum sasl_mechanism m;
	unsigned step;
	struct strv response;
	const char *user, *author;      /* "-": absent; user NULL: refused */
} named[] = {
	{ SASL_PLAIN, 0, R("\0joe\0secret"), "joe", "-" },
	{ SASL_PLAIN, 0, R("joe\0joe\0secret"), "joe", "-" },
	{ SASL_PLAIN, 0, R("boss\0joe\0secret"), "joe", "boss" },
	{ SASL_PLAIN, 0, R("\0j\xc3\xbc@x.example\0p \xff\1"), "j\xc3\xbc@x.example", "-" },
	{ SASL_PLAIN, 0, R("\0" A255 "\0p"), A255, "-" },
	{ SASL_PLAIN, 0, R("\0" A255 "a\0p"), NULL, NULL },
	{ SASL_PLAIN, 0, R(A255 "a\0joe\0p"), NULL, NULL },
	{ SASL_PLAIN, 0, R("\0joe\0sec\0ret"), NULL, NULL },
	{ SASL_PLAIN, 0, R("\0joe\0secret\0"), NULL, NULL },
	{ SASL_PLAIN, 0, R("\0joe\0"), NULL, NULL },    /* 1*SAFE */
	{ SASL_PLAIN, 0, R("\0\0secret"), NULL, NULL },
	{ SASL_PLAIN, 0, R("joe\0secret"), NULL, NULL },
	{ SASL_PLAIN, 0, R("joe"), NULL, NULL },
	{ SASL_PLAIN, 0, R(""), NULL, NULL },
	{ SASL_PLAIN, 0, R("\0joe\r\nMAIL\0secret"), NULL, NULL },
	{ SASL_PLAIN, 0, R("\0joe\xff\0secret"), NULL, NULL },
	{ SASL_PLAIN, 0, R("a\nb\0joe\0secret"), NULL, NULL },
	{ SASL_PLAIN, 0, R("\0joe\x7f\0secret"), NULL, NULL },
	{ SASL_PLAIN, 1, R("\0joe\0secret"), NULL, NULL },
	{ SASL_LOGIN, 0, R("joe"), "joe", "-" },
	{ SASL_LOGIN, 0, R("joe smith"), "joe smith", "-" },
	{ SASL_LOGIN, 0, R(""), NULL, NULL },
	{ SASL_LOGIN, 0, R("jo\0e"), NULL, NULL },
	{ SASL_LOGIN, 0, R("joe\r\n"), NULL, NULL },
	{ SASL_LOGIN, 1, R("secret\xff"), "-", "-" },
	{ SASL_LOGIN, 1, R(""), NULL, NULL },
	{ SASL_LOGIN, 1, R("sec\0ret"), NULL, NULL },
	{ SASL_LOGIN, 2, R("more"), NULL, NULL },
	{ SASL_CRAM_MD5, 0, R("tim b913a602c7eda7a495b4e6e7334d3890"), "tim", "-" },    /* RFC 2195 2 */
	{ SASL_CRAM_MD5, 0, R("tim t b913a602c7eda7a495b4e6e7334d3890"), "tim t", "-" },
	{ SASL_CRAM_MD5, 0, R("tim b913a602c7eda7a495b4e6e7334d389"), NULL, NULL },
	{ SASL_CRAM_MD5, 0, R("tim b913a602c7eda7a495b4e6e7334d389g"), NULL, NULL },
	{ SASL_CRAM_MD5, 0, R(" b913a602c7eda7a495b4e6e7334d3890"), NULL, NULL },
	{ SASL_CRAM_MD5, 0, R("b913a602c7eda7a495b4e6e7334d3890"), NULL, NULL },
	{ SASL_CRAM_MD5, 0, R("t\0m b913a602c7eda7a495b4e6e7334d3890"), NULL, NULL },
	{ SASL_CRAM_MD5, 0, R(""), NULL, NULL },
	{ SASL_CRAM_MD5, 1, R("tim b913a602c7eda7a495b4e6e7334d3890"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), "user", "-" },        /* RFC 5802 5 */
	{ SASL_SCRAM_SHA_256, 0, R("y,,n=user,r=x,ext=1"), "user", "-" },
	{ SASL_SCRAM_SHA_1, 0, R("n,a=boss,n=user,r=x"), "user", "boss" },
	{ SASL_SCRAM_SHA_1, 0, R("n,a=user,n=user,r=x"), "user", "-" },
	{ SASL_SCRAM_SHA_1, 0, R("n,a=b=2Cc,n=a=2Cb=3Dc,r=x"), "a,b=c", "b,c" },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=a=2cb,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=a=b,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=a=,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=a=2,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,a=,n=u,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,b=c,n=u,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("p=tls-unique,,n=user,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,m=x,n=user,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=user"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=user,r="), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=us\0er,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,,n=" A255 "=2C,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n,n=user,r=x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R("n"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 0, R(""), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 1, R("c=biws,r=x,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="), "-", "-" },
	{ SASL_SCRAM_SHA_1, 1, R("x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 2, R(""), "-", "-" },
	{ SASL_SCRAM_SHA_1, 2, R("x"), NULL, NULL },
	{ SASL_SCRAM_SHA_1, 3, R(""), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=joe@x.example\1auth=Bearer vF9dft4qmT\1\1"), "joe@x.example", "-" },
	{ SASL_XOAUTH2, 0, R("user=\1auth=Bearer vF9dft4qmT\1\1"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=joe"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=joe\1token=x\1\1"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("name=joe\1auth=Bearer x\1\1"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=jo\0e\1auth=Bearer x\1\1"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=joe\1auth=Bearer x\1user=ann\1\1"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=joe\1auth=Bearer x\1\1user=ann\1\1"), NULL, NULL },
	{ SASL_XOAUTH2, 0, R("user=joe\1auth=Bearer x\1"), NULL, NULL },
	{ SASL_XOAUTH2, 1, R(""), "-", "-" },
	{ SASL_XOAUTH2, 2, R(""), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("n,a=user@example.com,\1host=s\1port=1\1auth=Bearer vF9\1\1"), "user@example.com", "-" },
	{ SASL_OAUTHBEARER, 0, R("n,a=u=2Cx,\1auth=Bearer vF9\1\1"), "u,x", "-" },
	{ SASL_OAUTHBEARER, 0, R("n,,\1auth=Bearer vF9\1\1"), "", "-" },
	{ SASL_OAUTHBEARER, 0, R("n,a=,\1auth=Bearer vF9\1\1"), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("p=x,a=u,\1auth=Bearer vF9\1\1"), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("n,a=u,auth=Bearer vF9\1\1"), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("n,a=u,"), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("n,a=u,\1auth=Bearer"), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("n,a=u,\1auth=Bearer vF9\1user=v\1\1"), NULL, NULL },
	{ SASL_OAUTHBEARER, 0, R("n,,\1User=v\1auth=Bearer vF9\1\1"), NULL, NULL },
	{ SASL_OAUTHBEARER, 1, R("\1"), "-", "-" },
	{ SASL_OAUTHBEARER, 2, R("\1"), NULL, NULL },
};
/* clang-format on */

static void
eq(struct strv have, const char *want)
{
	if (strcmp(want, "-") == 0)
		T_CHECK(have.p == NULL);
	else
		T_CHECK(have.p != NULL);
	if (have.p != NULL)
		T_EQ_TEXT(have, want);
}

static void
names(void)
{
	for (size_t i = 0; i < T_COUNT(named); i++) {
		struct strv       v = named[i].response;
		char             *copy = malloc(v.n + 1);
		struct sasl_names n;
		char              row[32];
		bool              good;

		snprintf(row, sizeof row, "row %zu, %s", i, sasl_word(named[i].m));
		t_row = row;
		memcpy(copy, v.p, v.n);
		good = sasl_names_of(named[i].m, named[i].step, strv(copy, v.n), &n);
		T_CHECK(good == (named[i].user != NULL));
		if (good && named[i].user != NULL) {
			eq(n.user, named[i].user);
			eq(n.author, named[i].author);
		}
		free(copy);
	}
	t_row = NULL;
}

/* A response cut anywhere names nobody else: a prefix of the name at most, and never more octets than there are. */
static void
names_cut(void)
{
	for (size_t i = 0; i < T_COUNT(named); i++)
		for (size_t k = 0; k < named[i].response.n; k++) {
			char             *copy = malloc(k == 0 ? 1 : k);
			struct sasl_names n;

			memcpy(copy, named[i].response.p, k);
			if (sasl_names_of(named[i].m, named[i].step, strv(copy, k), &n) &&
			    n.user.n > 0 && named[i].user != NULL)
				T_CHECK(strv_starts(strv_z(named[i].user), n.user));
			free(copy);
		}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(finds_mechanisms);
	T_RUN(decodes);
	T_RUN(goes_round);
	T_RUN(names);
	T_RUN(names_cut);
	return t_end();
}
