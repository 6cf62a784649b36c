/*
 * t_addr -- addresses, endpoints and ranges: read, printed, refused with the right reason.
 */
#include "tests/unit/t.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "proxy/base/addr.h"
#include "proxy/base/arena.h"

/* Read, and printed as RFC 5952 wants it. want NULL: refused. */
static void
reads_and_prints(void)
{
	/* clang-format off */
	static const struct { const char *text, *want; } rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255" },
		{ "::", "::" },
		{ "::1", "::1" },
		{ "1::", "1::" },
		{ "2001:DB8::1", "2001:db8::1" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },        /* RFC 5952 4.2.3: the first of equals */
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1" },              /* the longest */
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },     /* 4.2.2: not for one group */
		{ "2001:0db8:00ab::0a00", "2001:db8:ab::a00" },         /* 4.1 */
		{ "0:0:0:0:0:0:0:0", "::" },
		{ "0:1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7" },
		{ "0:0:1:2:3:4:5:6", "::1:2:3:4:5:6" },
		{ "1:2:3:4:5:6:0:0", "1:2:3:4:5:6::" },
		{ "1:0:0:2::", "1:0:0:2::" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
		{ "::ffff:192.0.2.1", "192.0.2.1" },                    /* mapped: IPv4 */
		{ "::ffff:c000:201", "192.0.2.1" },
		{ "::192.0.2.1", "::c000:201" },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201" },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.2.01", NULL },                                 /* octal for some */
		{ "192.0.2.1.", NULL },
		{ "192.0.2.1 ", NULL },
		{ " 192.0.2.1", NULL },
		{ "0xc0.0.2.1", NULL },
		{ "3221225985", NULL },
		{ "1:2:3:4:5:6:7", NULL },
		{ "1:2:3:4:5:6:7:8:9", NULL },
		{ "1::2::3", NULL },
		{ "12345::", NULL },
		{ ":::", NULL },
		{ "[::1]", NULL },
		{ "fe80::1%eth0", NULL },
		{ "localhost", NULL },
		{ "-", NULL },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.2555", NULL },
		{ "00000000000000000000000000000000000000000000000000", NULL },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct addr a, again;
		char        buf[ADDR_TEXT];
		bool        good;

		t_row = r->text;
		memset(&a, 0xee, sizeof(a));
		good = addr_parse(strv_z(r->text), &a);
		if (!T_EQ_NUM(good, r->want != NULL) || !good)
			continue;
		T_EQ_TEXT(addr_print(&a, buf), r->want);
		T_EQ_STR(buf, r->want);
		T_CHECK(addr_parse(strv_z(buf), &again) && addr_eq(&a, &again));
		if (a.family == ADDR_IP4)
			for (unsigned i = 4; i < 16; i++)
				T_EQ_NUM(a.b[i], 0);
	}
	T_CHECK(!addr_parse(strv("192.0.2.1\0", 10), &(struct addr){ 0 }));
	T_CHECK(!addr_parse(strv_z(NULL), &(struct addr){ 0 }));
}

/* Random addresses, many zeros among them: what is printed reads as the same, and fits. */
static void
prints_what_it_reads(void)
{
	uint64_t seed = 4;

	for (unsigned i = 0; i < 20000; i++) {
		struct addr a = { .family = i % 4 == 0 ? ADDR_IP4 : ADDR_IP6 }, b;
		uint64_t    zeros = t_random(&seed);
		char        buf[ADDR_TEXT];
		struct strv v;

		for (unsigned k = 0; k < (a.family == ADDR_IP4 ? 4 : 16); k++)
			a.b[k] = zeros >> k / 2 & 1 ? 0 : (uint8_t)t_random(&seed);
		if (a.family == ADDR_IP6 && memcmp(a.b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
			continue;
		v = addr_print(&a, buf);
		T_CHECK(v.n < ADDR_TEXT && strlen(buf) == v.n);
		T_CHECK(addr_parse(v, &b) && addr_eq(&a, &b));
	}
}

static void
none_is_a_dash(void)
{
	struct addr a = { .family = ADDR_NONE };
	char        buf[ADDR_TEXT];

	T_EQ_TEXT(addr_print(&a, buf), "-");
}

static struct addr
read_addr(const char *text)
{
	struct addr a = { .family = ADDR_NONE };

	T_CHECKF(addr_parse(strv_z(text), &a), "%s is no address", text);
	return a;
}

static void
knows_loopback(void)
{
	/* clang-format off */
	static const struct { const char *text; bool want; } rows[] = {
		{ "127.0.0.1", true }, { "127.255.255.255", true }, { "128.0.0.1", false },
		{ "126.255.255.255", false }, { "::1", true }, { "::2", false }, { "::", false },
		{ "::ffff:127.0.0.1", true }, { "1::1", false },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct addr a = read_addr(r->text);

		t_row = r->text;
		T_EQ_NUM(addr_is_loopback(&a), r->want);
	}
}

static void
masks(void)
{
	/* clang-format off */
	static const struct { const char *text; unsigned bits; const char *want; } rows[] = {
		{ "192.0.2.255", 32, "192.0.2.255" }, { "192.0.2.255", 31, "192.0.2.254" },
		{ "192.0.2.255", 25, "192.0.2.128" }, { "192.0.2.255", 24, "192.0.2.0" },
		{ "192.0.2.255", 23, "192.0.2.0" }, { "255.255.255.255", 9, "255.128.0.0" },
		{ "255.255.255.255", 1, "128.0.0.0" }, { "255.255.255.255", 0, "0.0.0.0" },
		{ "192.0.2.1", 99, "192.0.2.1" },
		{ "2001:db8:ffff::1", 128, "2001:db8:ffff::1" }, { "2001:db8:ffff::1", 127, "2001:db8:ffff::" },
		{ "2001:db8:ffff::1", 33, "2001:db8:8000::" }, { "2001:db8:ffff::1", 64, "2001:db8:ffff::" },
		{ "ffff::", 0, "::" }, { "ffff::1", 4, "f000::" },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct addr a = read_addr(r->text), b = addr_mask(&a, r->bits);
		char        buf[ADDR_TEXT];

		t_row = r->text;
		T_EQ_TEXT(addr_print(&b, buf), r->want);
	}
}

static void
reads_literals(void)
{
	/* clang-format off */
	static const struct { const char *text, *want; } rows[] = {
		{ "192.0.2.1", "192.0.2.1" },
		{ "IPv6:2001:db8::1", "2001:db8::1" },
		{ "ipV6:::1", "::1" },
		{ "IPv6:::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8::1", NULL },
		{ "IPv6:192.0.2.1", NULL },
		{ "IPv6:", NULL },
		{ "IPv6", NULL },
		{ "IPv4:192.0.2.1", NULL },
		{ "x-tag:y", NULL },
		{ "[192.0.2.1]", NULL },
		{ "", NULL },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct addr a;
		char        buf[ADDR_TEXT];
		bool        good = addr_parse_literal(strv_z(r->text), &a);

		t_row = r->text;
		if (T_EQ_NUM(good, r->want != NULL) && good)
			T_EQ_TEXT(addr_print(&a, buf), r->want);
	}
}

#define HOST "the host must be an IP address, IPv6 in brackets"
#define PORT "the port must be a number from 1 to 65535"

static void
reads_endpoints(void)
{
	/* clang-format off */
	static const struct { const char *text, *want, *why; } rows[] = {
		{ "192.0.2.1:25", "192.0.2.1:25", NULL },
		{ "0.0.0.0:65535", "0.0.0.0:65535", NULL },
		{ "[2001:DB8::1]:25", "[2001:db8::1]:25", NULL },
		{ "[::]:25", "[::]:25", NULL },
		{ "[::ffff:192.0.2.1]:25", "192.0.2.1:25", NULL },
		{ "unix:/run/x.sock", "unix:/run/x.sock", NULL },
		{ "local:/run/x.sock", "unix:/run/x.sock", NULL },
		{ "inet:192.0.2.1:8891", "192.0.2.1:8891", NULL },
		{ "inet:8891@192.0.2.1", "192.0.2.1:8891", NULL },
		{ "inet6:8891@::1", "[::1]:8891", NULL },
		{ "inet6:8891@[::1]", "[::1]:8891", NULL },
		{ "inet:[::1]:8891", "[::1]:8891", NULL },
		{ "192.0.2.1", NULL, "a port must follow the address: `ADDR:PORT'" },
		{ "[2001:db8::1]", NULL, "a port must follow the address: `ADDR:PORT'" },
		{ "", NULL, "a port must follow the address: `ADDR:PORT'" },
		{ "inet:8891", NULL, "a port must follow the address: `ADDR:PORT'" },
		{ "2001:db8::1:25", NULL, "an IPv6 address must stand in brackets: `[ADDR]:PORT'" },
		{ "192.0.2.1:0", NULL, PORT },
		{ "192.0.2.1:65536", NULL, PORT },
		{ "192.0.2.1:", NULL, PORT },
		{ "192.0.2.1:smtp", NULL, PORT },
		{ "192.0.2.1:+25", NULL, PORT },
		{ "inet:x@192.0.2.1", NULL, PORT },
		{ "localhost:25", NULL, HOST },
		{ ":25", NULL, HOST },
		{ "*:25", NULL, HOST },
		{ "[192.0.2.1]:25", NULL, HOST },
		{ "[::1:25", NULL, HOST },
		{ "[]:25", NULL, HOST },
		{ "[:25", NULL, HOST },
		{ "inet:8891@localhost", NULL, HOST },
		{ "8891@192.0.2.1:25", NULL, HOST },
		{ "unix:run/x.sock", NULL, "the path of a unix socket must begin with `/'" },
		{ "unix:", NULL, "the path of a unix socket must begin with `/'" },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct arena   *a = arena_new(1024, 0);
		struct endpoint e = { .port = 4711 };
		const char     *why = NULL;
		char            buf[ENDPOINT_TEXT];
		bool            good = endpoint_parse(a, strv_z(r->text), &e, &why);

		t_row = r->text;
		T_EQ_NUM(good, r->want != NULL);
		T_EQ_STR(why, r->why);
		if (good)
			T_EQ_TEXT(endpoint_print(&e, buf), r->want);
		else
			T_EQ_NUM(e.port, 4711);
		arena_free(a);
	}
}

/* Every beginning of a good endpoint is read or refused with a reason, never anything else. */
static void
endpoints_cut_anywhere(void)
{
	/* clang-format off */
	static const char *const texts[] = { "[2001:db8::1]:25", "inet6:8891@[::1]", "unix:/run/x.sock",
		"192.0.2.1:2525" };
	/* clang-format on */

	T_TABLE(char *const, t, texts)
	for (size_t n = 0; n < strlen(*t); n++) {
		struct arena   *a = arena_new(1024, 0);
		struct endpoint e;
		const char     *why = NULL;
		char           *cut = malloc(n + 1); /* to the octet: the sanitizers see */
		bool            good;

		memcpy(cut, *t, n);
		good = endpoint_parse(a, strv(cut, n), &e, &why);
		T_CHECK(good == (why == NULL));
		free(cut);
		arena_free(a);
	}
}

static void
unix_paths_have_a_limit(void)
{
	char            text[200] = "unix:/", buf[ENDPOINT_TEXT];
	struct arena   *a = arena_new(1024, 0);
	struct endpoint e;
	const char     *why = NULL;

	memset(text + 6, 'x', sizeof(text) - 6);
	T_CHECK(endpoint_parse(a, strv(text, 5 + 107), &e, &why));
	T_EQ_NUM(strlen(e.path), 107);
	T_EQ_STRV(endpoint_print(&e, buf), strv(text, 5 + 107));
	T_CHECK(!endpoint_parse(a, strv(text, 5 + 108), &e, &why));
	T_EQ_STR(why, "the path of a unix socket may have at most 107 octets");
	T_CHECK(!endpoint_parse(a, strv("unix:/a\0b", 9), &e, &why));
	T_EQ_STR(why, "the path of a unix socket must not hold a NUL");
	arena_free(a);
}

static void
goes_to_the_kernel_and_back(void)
{
	static const char *const texts[] = { "192.0.2.1:25", "[2001:db8::1]:65535", "0.0.0.0:1" };
	struct arena            *a = arena_new(1024, 0);
	struct sockaddr_storage  ss;
	struct endpoint          e, back;
	const char              *why;

	T_TABLE(char *const, t, texts)
	{
		char     buf[ENDPOINT_TEXT];
		unsigned n;

		t_row = *t;
		T_CHECK(endpoint_parse(a, strv_z(*t), &e, &why));
		n = endpoint_to_sockaddr(&e, &ss);
		T_CHECK(n > 0);
		T_CHECK(endpoint_from_sockaddr((struct sockaddr *)&ss, n, &back));
		T_EQ_TEXT(endpoint_print(&back, buf), *t);
		T_CHECK(!endpoint_from_sockaddr((struct sockaddr *)&ss, n - 1, &back));
		T_EQ_NUM(back.addr.family, ADDR_NONE);
		T_CHECK(!endpoint_from_sockaddr((struct sockaddr *)&ss, 0, &back));
	}
	T_CHECK(endpoint_parse(a, SV("unix:/run/x"), &e, &why));
	T_EQ_NUM(endpoint_to_sockaddr(&e, &ss), offsetof(struct sockaddr_un, sun_path) + 7);
	T_EQ_STR(((struct sockaddr_un *)&ss)->sun_path, "/run/x");
	T_CHECK(endpoint_from_sockaddr((struct sockaddr *)&ss, sizeof(sa_family_t), &back));
	T_EQ_NUM(back.addr.family, ADDR_UNIX);
	T_EQ_STR(back.path, "");
	T_EQ_NUM(endpoint_to_sockaddr(&back, &ss), 0);
	e = (struct endpoint){ .port = 25 };
	T_EQ_NUM(endpoint_to_sockaddr(&e, &ss), 0);
	arena_free(a);
}

#define IP "not an IP address"

static void
reads_ranges(void)
{
	/* clang-format off */
	static const struct { const char *text, *lo, *hi, *why; } rows[] = {
		{ "192.0.2.0/24", "192.0.2.0", "192.0.2.255", NULL },
		{ "192.0.2.1/32", "192.0.2.1", "192.0.2.1", NULL },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.255", NULL },
		{ "0.0.0.0/0", "0.0.0.0", "255.255.255.255", NULL },
		{ "2001:db8::/32", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
		{ "::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL },
		{ "::ffff:192.0.2.0/120", "192.0.2.0", "192.0.2.255", NULL },
		{ "192.0.2.1-192.0.2.9", "192.0.2.1", "192.0.2.9", NULL },
		{ "192.0.2.9-192.0.2.9", "192.0.2.9", "192.0.2.9", NULL },
		{ "::1-::ffff", "::1", "::ffff", NULL },
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1", NULL },
		{ "::1", "::1", "::1", NULL },
		{ "192.0.2.1/24", NULL, NULL, "bits are set behind the network's prefix" },
		{ "2001:db8::1/64", NULL, NULL, "bits are set behind the network's prefix" },
		{ "192.0.2.0/33", NULL, NULL, "the prefix of an IPv4 network must be 0 to 32 bits" },
		{ "192.0.2.0/", NULL, NULL, "the prefix of an IPv4 network must be 0 to 32 bits" },
		{ "192.0.2.0/-1", NULL, NULL, "the prefix of an IPv4 network must be 0 to 32 bits" },
		{ "192.0.2.0/255.255.255.0", NULL, NULL, "the prefix of an IPv4 network must be 0 to 32 bits" },
		{ "::/129", NULL, NULL, "the prefix of an IPv6 network must be 0 to 128 bits" },
		{ "::ffff:192.0.2.0/24", NULL, NULL,
		    "the prefix of an IPv4-mapped address must be 96 to 128 bits" },
		{ "192.0.2.9-192.0.2.1", NULL, NULL,
		    "the first address of a range must not be above the last" },
		{ "192.0.2.9-::1", NULL, NULL, "both ends of a range must be of one family" },
		{ "192.0.2.9-", NULL, NULL, IP },
		{ "-192.0.2.9", NULL, NULL, IP },
		{ "/24", NULL, NULL, IP },
		{ "192.0.2/24", NULL, NULL, IP },
		{ "a.example", NULL, NULL, IP },
		{ "", NULL, NULL, IP },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		struct addr_range range;
		const char       *why = NULL;
		char              buf[ADDR_TEXT];
		bool              good = addr_range_parse(strv_z(r->text), &range, &why);

		t_row = r->text;
		T_EQ_NUM(good, r->lo != NULL);
		T_EQ_STR(why, r->why);
		if (good) {
			T_EQ_TEXT(addr_print(&range.lo, buf), r->lo);
			T_EQ_TEXT(addr_print(&range.hi, buf), r->hi);
		}
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(reads_and_prints);
	T_RUN(prints_what_it_reads);
	T_RUN(none_is_a_dash);
	T_RUN(knows_loopback);
	T_RUN(masks);
	T_RUN(reads_literals);
	T_RUN(reads_endpoints);
	T_RUN(endpoints_cut_anywhere);
	T_RUN(unix_paths_have_a_limit);
	T_RUN(goes_to_the_kernel_and_back);
	T_RUN(reads_ranges);
	return t_end();
}
