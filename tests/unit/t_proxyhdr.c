/* PROXY headers of both versions, cut at every octet: incomplete is never taken for malformed or complete. */
#include "proxy/smtp/proxyhdr.h"

#include "proxy/base/buf.h"
#include "proxy/base/hash.h"
#include "tests/unit/t.h"

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define IP4 \
	"\xc0\x00\x02\x01" \
	"\xc6\x33\x64\x02" \
	"\x12\x67" \
	"\x00\x19" /* 192.0.2.1:4711 198.51.100.2:25 */
#define IP6_1 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
#define IP6_2 "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define MAP_1 "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x01"
#define MAP_2 "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc6\x33\x64\x02"
#define FF8   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define Z27   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define UNIX  Z27 Z27 Z27 Z27 Z27 Z27 Z27 Z27 /* 216 octets */

/* clang-format off */
static const struct {
	const char *name;
	struct strv in;
	bool local;
	const char *src, *dst;          /* endpoint_print; NULL: local */
} good[] = {
	{ "tcp4", SV("PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n"), false, "192.0.2.1:4711", "198.51.100.2:25" },
	{ "tcp6", SV("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"), false, "[2001:db8::1]:1",
	    "[2001:db8::2]:65535" },
	{ "port 0", SV("PROXY TCP4 192.0.2.1 198.51.100.2 0 25\r\n"), false, "192.0.2.1:0", "198.51.100.2:25" },
	{ "mapped", SV("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 4711 25\r\n"), false, "192.0.2.1:4711",
	    "198.51.100.2:25" },
	{ "longest", SV("PROXY TCP6 " FF8 " " FF8 " 65535 65535\r\n"), false, "[" FF8 "]:65535", "[" FF8 "]:65535" },
	{ "unknown", SV("PROXY UNKNOWN\r\n"), true, NULL, NULL },
	{ "unknown and more", SV("PROXY UNKNOWN ffff::1 what ever 1 2 3\r\n"), true, NULL, NULL },
	{ "v2 tcp4", SV(SIG "\x21\x11\x00\x0c" IP4), false, "192.0.2.1:4711", "198.51.100.2:25" },
	{ "v2 tcp6", SV(SIG "\x21\x21\x00\x24" IP6_1 IP6_2 "\x12\x67\x00\x19"), false, "[2001:db8::1]:4711",
	    "[2001:db8::2]:25" },
	{ "v2 mapped", SV(SIG "\x21\x21\x00\x24" MAP_1 MAP_2 "\x12\x67\x00\x19"), false, "192.0.2.1:4711",
	    "198.51.100.2:25" },
	{ "v2 local", SV(SIG "\x20\x00\x00\x00"), true, NULL, NULL },
	{ "v2 local with a block", SV(SIG "\x20\x11\x00\x0c" IP4), true, NULL, NULL },
	{ "v2 local, short block", SV(SIG "\x20\x11\x00\x03" "abc"), true, NULL, NULL },
	{ "v2 unspec", SV(SIG "\x21\x00\x00\x02" "xy"), true, NULL, NULL },
	{ "v2 unix", SV(SIG "\x21\x31\x00\xd8" UNIX), true, NULL, NULL },
	{ "v2 noop", SV(SIG "\x21\x11\x00\x12" IP4 "\x04\x00\x03" "abc"), false, "192.0.2.1:4711", "198.51.100.2:25" },
	{ "v2 new tlv", SV(SIG "\x21\x11\x00\x10" IP4 "\xea\x00\x01" "x"), false, "192.0.2.1:4711", "198.51.100.2:25" },
};
/* clang-format on */

/* clang-format off */
static const struct {
	const char *name;
	struct strv in;
} bad[] = {
	{ "a client", SV("EHLO mx.example\r\n") },
	{ "TLS", SV("\x16\x03\x01") },
	{ "NUL", SV("\0") },
	{ "case", SV("proxy TCP4 192.0.2.1 198.51.100.2 1 2\r\n") },
	{ "no family", SV("PROXY \r\n") },
	{ "family", SV("PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n") },
	{ "udp", SV("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n") },
	{ "blanks", SV("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n") },
	{ "blank at the end", SV("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n") },
	{ "tab", SV("PROXY TCP4\t192.0.2.1 198.51.100.2 1 2\r\n") },
	{ "one address", SV("PROXY TCP4 192.0.2.1\r\n") },
	{ "one port", SV("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n") },
	{ "three ports", SV("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n") },
	{ "leading zero", SV("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n") },
	{ "leading zero of an address", SV("PROXY TCP4 192.0.02.1 198.51.100.2 1 2\r\n") },
	{ "large port", SV("PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n") },
	{ "negative port", SV("PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n") },
	{ "mixed families", SV("PROXY TCP4 192.0.2.1 2001:db8::2 1 2\r\n") },
	{ "wrong family", SV("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n") },
	{ "a name", SV("PROXY TCP4 localhost 198.51.100.2 1 2\r\n") },
	{ "bare LF", SV("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n") },
	{ "bare CR", SV("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\rx") },
	{ "two CR", SV("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\r\n") },
	{ "v2 signature", SV("\r\n\r\n\0\r\nQUIT\r") },
	{ "v2 version", SV(SIG "\x11") },
	{ "v2 command", SV(SIG "\x22") },
	{ "v2 udp", SV(SIG "\x21\x12\x00\x0c" IP4) },
	{ "v2 family", SV(SIG "\x21\x41\x00\x0c" IP4) },
	{ "v2 short tcp4", SV(SIG "\x21\x11\x00\x0b" IP4) },
	{ "v2 short tcp6", SV(SIG "\x21\x21\x00\x0c" IP4) },
	{ "v2 short unix", SV(SIG "\x21\x31\x00\x0c" IP4) },
	{ "v2 too long", SV(SIG "\x21\x11\xff\xff") },
	{ "v2 tlv head", SV(SIG "\x21\x11\x00\x0e" IP4 "\x04\x00") },
	{ "v2 tlv value", SV(SIG "\x21\x11\x00\x10" IP4 "\x04\x00\x02" "x") },
	{ "v2 crc", SV(SIG "\x21\x11\x00\x13" IP4 "\x03\x00\x04" "\0\0\0\0") },
	{ "v2 crc's length", SV(SIG "\x21\x11\x00\x10" IP4 "\x03\x00\x01" "\0") },
	{ "v2 short tls", SV(SIG "\x21\x11\x00\x13" IP4 "\x20\x00\x04" "\x01\0\0\0") },
	{ "v2 tls sub-tlv", SV(SIG "\x21\x11\x00\x16" IP4 "\x20\x00\x07" "\x01\0\0\0\0\x21\x00") },
};
/* clang-format on */

/* Parses a copy of exactly its size. */
static int
parse(struct strv in, struct proxyhdr *out, size_t *used, const char **why)
{
	char *copy = calloc(1, in.n == 0 ? 1 : in.n);
	int   rc;

	if (in.n > 0)
		memcpy(copy, in.p, in.n);
	rc = proxyhdr_parse(strv(copy, in.n), out, used, why);
	free(copy);
	return rc;
}

static void
check_good(size_t i, struct strv in)
{
	char            text[ENDPOINT_TEXT];
	const char     *why = NULL;
	struct proxyhdr h;
	size_t          used;

	T_EQ_NUM(parse(in, &h, &used, &why), 1);
	T_EQ_NUM(used, good[i].in.n);
	T_EQ_NUM(h.local, good[i].local);
	T_CHECK(why == NULL);
	if (good[i].local)
		return;
	T_EQ_TEXT(endpoint_print(&h.src, text), good[i].src);
	T_EQ_TEXT(endpoint_print(&h.dst, text), good[i].dst);
}

static void
takes_what_is_good(void)
{
	char more[1024];

	for (size_t i = 0; i < T_COUNT(good); i++) {
		struct strv     in = good[i].in;
		const char     *why;
		struct proxyhdr h;
		size_t          used;

		t_row = good[i].name;
		check_good(i, in);
		memcpy(more, in.p, in.n);
		memcpy(more + in.n, "EHLO x\r\n", 8);
		for (size_t n = 1; n <= 8; n++)
			check_good(i, strv(more, in.n + n));
		for (size_t n = 0; n < in.n; n++) {
			T_EQ_NUM(parse(strv_first(in, n), &h, &used, &why), 0);
			T_EQ_NUM(used, 0);
		}
	}
}

static void
drops_what_is_bad(void)
{
	for (size_t i = 0; i < T_COUNT(bad); i++) {
		const char     *why = NULL;
		struct proxyhdr h;
		size_t          used, n;
		int             rc = 0;

		t_row = bad[i].name;
		T_EQ_NUM(parse(bad[i].in, &h, &used, &why), -1);
		T_CHECK(why != NULL);
		/* fed octet by octet it is incomplete until it is malformed, and then for good */
		for (n = 0; n <= bad[i].in.n && rc == 0; n++)
			rc = parse(strv_first(bad[i].in, n), &h, &used, &why);
		for (; n <= bad[i].in.n && rc == -1; n++)
			rc = parse(strv_first(bad[i].in, n), &h, &used, &why);
		T_EQ_NUM(rc, -1);
	}
}

/* A line may have 107 octets with CRLF. */
static void
bounds_a_line(void)
{
	char            text[200];
	const char     *why;
	struct proxyhdr h;
	size_t          used;

	memset(text, 'x', sizeof(text));
	memcpy(text, "PROXY UNKNOWN ", 14);
	memcpy(text + 105, "\r\n", 2);
	T_EQ_NUM(parse(strv(text, sizeof(text)), &h, &used, &why), 1);
	T_EQ_NUM(used, 107);
	memcpy(text + 105, "x\r\n", 3);
	T_EQ_NUM(parse(strv(text, 106), &h, &used, &why), 0);
	T_EQ_NUM(parse(strv(text, 107), &h, &used, &why), -1);
	T_EQ_NUM(parse(strv(text, sizeof(text)), &h, &used, &why), -1);
}

/* A header with these TLVs; where sum is not 0 the four octets there become the CRC32C. */
static size_t
build(char *out, struct strv tlvs, size_t sum)
{
	struct strv head = SV(SIG "\x21\x11\x00\x00" IP4);
	size_t      n = head.n + tlvs.n;

	memcpy(out, head.p, head.n);
	memcpy(out + head.n, tlvs.p, tlvs.n);
	out[14] = (char)((n - 16) >> 8);
	out[15] = (char)(n - 16);
	if (sum > 0) {
		uint32_t crc = crc32c(0, strv(out, n));

		for (int i = 0; i < 4; i++)
			out[head.n + sum + (size_t)i] = (char)(crc >> (24 - 8 * i));
	}
	return n;
}

static void
reads_tlvs(void)
{
	struct strv     tlvs = SV("\x01\x00\x02h2"
				      "\x02\x00\x0amx.example"
				      "\x05\x00\x03"
				      "a\0b"
				      "\x30\x00\x02ns"
				      "\x04\x00\x00"
				      "\x20\x00\x1d"
				      "\x03\0\0\0\0"
				      "\x21\x00\x07TLSv1.3"
				      "\x22\x00\x02"
				      "cn"
				      "\x23\x00\x06"
				      "CIPHER");
	char            text[256];
	const char     *why;
	struct proxyhdr h;
	size_t          used, n = build(text, tlvs, 0);

	T_EQ_NUM(proxyhdr_parse(strv(text, n), &h, &used, &why), 1);
	T_EQ_TEXT(h.alpn, "h2");
	T_EQ_TEXT(h.authority, "mx.example");
	T_EQ_STRV(h.unique_id, SV("a\0b"));
	T_EQ_TEXT(h.netns, "ns");
	T_CHECK(h.ssl && h.ssl_verified);
	T_EQ_TEXT(h.ssl_version, "TLSv1.3");
	T_EQ_TEXT(h.ssl_cn, "cn");
	T_EQ_TEXT(h.ssl_cipher, "CIPHER");
	for (size_t cut = 0; cut < n; cut++)
		T_EQ_NUM(parse(strv(text, cut), &h, &used, &why), 0);
}

/* A certificate is verified only if there was one. */
static void
trusts_no_missing_certificate(void)
{
	/* clang-format off */
	static const struct {
		struct strv ssl;
		bool tls, verified;
	} rows[] = {
		{ SV("\x20\x00\x05" "\x01\0\0\0\0"), true, false },
		{ SV("\x20\x00\x05" "\x03\0\0\0\0"), true, true },
		{ SV("\x20\x00\x05" "\x05\0\0\0\0"), true, true },
		{ SV("\x20\x00\x05" "\x03\0\0\0\x01"), true, false },
		{ SV("\x20\x00\x05" "\x03\x01\0\0\0"), true, false },
		{ SV("\x20\x00\x05" "\0\0\0\0\0"), false, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		char            text[256];
		const char     *why;
		struct proxyhdr h;
		size_t          used, n = build(text, rows[i].ssl, 0);

		T_EQ_NUM(parse(strv(text, n), &h, &used, &why), 1);
		T_EQ_NUM(h.ssl, rows[i].tls);
		T_EQ_NUM(h.ssl_verified, rows[i].verified);
	}
}

/* The sum must be right where there is one: each single bit that changes is seen. */
static void
checks_the_sum(void)
{
	struct strv     tlvs = SV("\x02\x00\x02mx"
				      "\x03\x00\x04\0\0\0\0"
				      "\x04\x00\x01x");
	char            text[256];
	const char     *why;
	struct proxyhdr h;
	size_t          used, n = build(text, tlvs, 8);

	T_EQ_NUM(parse(strv(text, n), &h, &used, &why), 1);
	for (size_t bit = 0; bit < 8 * n; bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		/* LOCAL and UNSPEC drop the block; and the sum's own TLV may become another one. */
		if (bit / 8 >= 16 && !(bit / 8 >= 33 && bit / 8 < 36))
			T_CHECKF(
			    parse(strv(text, n), &h, &used, &why) != 1 || h.local, "bit %zu", bit);
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	T_EQ_NUM(parse(strv(text, n), &h, &used, &why), 1);
}

static void
bounds_the_unique_id(void)
{
	static char     tlvs[3 + 129] = "\x05\x00\x80";
	char            text[256];
	const char     *why;
	struct proxyhdr h;
	size_t          used, n;

	n = build(text, strv(tlvs, 3 + 128), 0);
	T_EQ_NUM(parse(strv(text, n), &h, &used, &why), 1);
	tlvs[2]++;
	n = build(text, strv(tlvs, 3 + 129), 0);
	T_EQ_NUM(parse(strv(text, n), &h, &used, &why), -1);
}

static struct endpoint
at(const char *ip, uint16_t port)
{
	struct endpoint e = { .port = port };

	if (ip != NULL)
		T_CHECK(addr_parse(strv_z(ip), &e.addr));
	else
		e.addr.family = ADDR_UNIX;
	return e;
}

static void
prints_version_1(void)
{
	static const struct {
		const char *src, *dst; /* NULL: a unix socket */
		bool        local;
		const char *want;
	} rows[] = {
		{ "192.0.2.1", "198.51.100.2", false,
		    "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n" },
		{ "2001:db8::1", "2001:db8::2", false,
		    "PROXY TCP6 2001:db8::1 2001:db8::2 4711 25\r\n" },
		{ "192.0.2.1", "198.51.100.2", true, "PROXY UNKNOWN\r\n" },
		{ NULL, NULL, true, "PROXY UNKNOWN\r\n" },
		{ "192.0.2.1", "2001:db8::2", false,
		    "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 4711 25\r\n" },
		{ "2001:db8::1", "198.51.100.2", false,
		    "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 4711 25\r\n" },
		{ "192.0.2.1", NULL, false, "PROXY TCP4 192.0.2.1 0.0.0.0 4711 25\r\n" },
		{ "2001:db8::1", NULL, false, "PROXY TCP6 2001:db8::1 :: 4711 25\r\n" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct proxyhdr h = { .local = rows[i].local,
			.src = at(rows[i].src, 4711),
			.dst = at(rows[i].dst, 25),
			.ssl = true,
			.authority = SV("not in version 1") };
		struct buf      out;

		t_row = rows[i].want;
		buf_init(&out, 200);
		T_CHECK(proxyhdr_print(&out, 1, &h));
		T_EQ_TEXT(buf_view(&out), rows[i].want);
		buf_fini(&out);
	}
}

static void
prints_version_2(void)
{
	static const struct {
		const char *name, *src, *dst;
		bool        local;
		struct strv want; /* without the sum's octets */
	} rows[] = {
		{ "tcp4", "192.0.2.1", "198.51.100.2", false,
		    SV(SIG "\x21\x11\x00\x13" IP4 "\x03\x00\x04") },
		{ "tcp6", "2001:db8::1", "2001:db8::2", false,
		    SV(SIG "\x21\x21\x00\x2b" IP6_1 IP6_2 "\x12\x67\x00\x19\x03\x00\x04") },
		{ "local", "192.0.2.1", "198.51.100.2", true, SV(SIG "\x20\x00\x00\x00") },
		{ "local, unix", NULL, NULL, true, SV(SIG "\x20\x00\x00\x00") },
		{ "from 4 to 6", "192.0.2.1", "2001:db8::2", false,
		    SV(SIG "\x21\x21\x00\x2b" MAP_1 IP6_2 "\x12\x67\x00\x19\x03\x00\x04") },
		{ "from 6 to 4", "2001:db8::1", "198.51.100.2", false,
		    SV(SIG "\x21\x21\x00\x2b" IP6_1 MAP_2 "\x12\x67\x00\x19\x03\x00\x04") },
		{ "to nobody knows where", "192.0.2.1", NULL, false,
		    SV(SIG "\x21\x11\x00\x13"
			   "\xc0\x00\x02\x01\0\0\0\0\x12\x67\x00\x19\x03\x00\x04") },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct proxyhdr h = { .local = rows[i].local,
			.src = at(rows[i].src, 4711),
			.dst = at(rows[i].dst, 25) };
		struct buf      out;
		size_t          sum = rows[i].want.p[12] == 0x21 ? 4 : 0;

		t_row = rows[i].name;
		buf_init(&out, 8192);
		T_CHECK(proxyhdr_print(&out, 2, &h));
		T_EQ_NUM(out.n, rows[i].want.n + sum);
		T_EQ_STRV(strv_first(buf_view(&out), out.n - sum), rows[i].want);
		buf_fini(&out);
	}
}

/* Neither LOCAL nor UNKNOWN may stand for a client: the server would take it for us. */
static void
prints_nothing_of_a_client_without_an_address(void)
{
	for (int version = 1; version <= 2; version++)
		for (unsigned i = 0; i < 2; i++) {
			struct proxyhdr h = { .dst = at("198.51.100.2", 25) };
			struct buf      out;

			h.src.addr.family = i == 0 ? ADDR_NONE : ADDR_UNIX;
			buf_init(&out, 8192);
			T_CHECK(!proxyhdr_print(&out, version, &h));
			T_EQ_NUM(out.n, 0);
			buf_fini(&out);
		}
}

/* A header of everything that is written, in version 2 over the family of src. */
static struct proxyhdr
full(const char *src, const char *dst)
{
	return (struct proxyhdr){ .src = at(src, 65535),
		.dst = at(dst, 1),
		.authority = SV("mx.example"),
		.ssl = true,
		.ssl_verified = true,
		.ssl_version = SV("TLSv1.3"),
		.ssl_cn = SV("m\xc3\xbcller"),
		.ssl_cipher = SV("TLS_AES_256_GCM_SHA384") };
}

/* Printed behind something else, as a buffer may hold it, and cut at every octet. */
static struct proxyhdr
there_and_back(int version, const struct proxyhdr *h, struct buf *out)
{
	struct proxyhdr back = { 0 };
	const char     *why = NULL;
	struct strv     text;
	size_t          used = 0;

	buf_init(out, 16384);
	buf_add(out, SV("xyz"));
	T_CHECK(proxyhdr_print(out, version, h));
	text = strv_from(buf_view(out), 3);
	T_CHECK(text.n <= (version == 1 ? 107 : PROXYHDR_MAX));
	T_EQ_NUM(proxyhdr_parse(text, &back, &used, &why), 1);
	T_EQ_NUM(used, text.n);
	for (size_t n = 0; n < text.n; n++) {
		struct proxyhdr part;

		T_EQ_NUM(parse(strv_first(text, n), &part, &used, &why), 0);
	}
	return back;
}

static void
same_endpoints(const struct proxyhdr *a, const struct proxyhdr *b)
{
	T_EQ_NUM(a->local, b->local);
	T_CHECK(addr_eq(&a->src.addr, &b->src.addr) && a->src.port == b->src.port);
	T_CHECK(addr_eq(&a->dst.addr, &b->dst.addr) && a->dst.port == b->dst.port);
}

static void
reads_what_it_prints(void)
{
	static const char *const pairs[][2] = { { "192.0.2.1", "198.51.100.2" },
		{ "2001:db8::1", "2001:db8::2" }, { "2001:db8::1", "198.51.100.2" },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe" } };

	for (size_t i = 0; i < T_COUNT(pairs); i++) {
		struct proxyhdr h = full(pairs[i][0], pairs[i][1]), back;
		struct buf      out;

		t_row = pairs[i][0];
		back = there_and_back(1, &h, &out);
		same_endpoints(&back, &h);
		T_CHECK(!back.ssl && back.authority.p == NULL);
		buf_fini(&out);
		back = there_and_back(2, &h, &out);
		same_endpoints(&back, &h);
		T_CHECK(back.ssl && back.ssl_verified);
		T_EQ_STRV(back.authority, h.authority);
		T_EQ_STRV(back.ssl_version, h.ssl_version);
		T_EQ_STRV(back.ssl_cn, h.ssl_cn);
		T_EQ_STRV(back.ssl_cipher, h.ssl_cipher);
		/* The sum is right, and there: one bit of the source's port is seen. */
		out.p[3 + (i == 0 ? 24 : 48)] ^= 1;
		T_EQ_NUM(proxyhdr_parse(strv_from(buf_view(&out), 3), &back, &(size_t){ 0 },
			     &(const char *){ NULL }),
		    -1);
		buf_fini(&out);
	}
}

/* The name in a certificate that did not verify is nobody's. */
static void
prints_no_name_unverified(void)
{
	struct proxyhdr h = full("192.0.2.1", "198.51.100.2"), back;
	struct buf      out;

	h.ssl_verified = false;
	back = there_and_back(2, &h, &out);
	T_CHECK(back.ssl && !back.ssl_verified && back.ssl_cn.p == NULL);
	T_EQ_STRV(back.ssl_version, h.ssl_version);
	buf_fini(&out);
	h.ssl = false;
	back = there_and_back(2, &h, &out);
	T_CHECK(!back.ssl && back.ssl_version.p == NULL);
	T_EQ_STRV(back.authority, h.authority);
	buf_fini(&out);
}

static void
leaves_out_long_texts(void)
{
	static char     text[1001];
	struct proxyhdr h = full("2001:db8::1", "2001:db8::2"), back;
	struct buf      out;

	memset(text, 'a', sizeof text);
	h.authority = h.ssl_version = h.ssl_cn = h.ssl_cipher = strv(text, 1000);
	back = there_and_back(2, &h, &out);
	T_CHECK(back.authority.n == 1000 && back.ssl_cipher.n == 1000 && back.ssl_cn.n == 1000);
	buf_fini(&out);
	h.authority = h.ssl_cn = strv(text, 1001);
	back = there_and_back(2, &h, &out);
	T_CHECK(back.authority.p == NULL && back.ssl_cn.p == NULL && back.ssl_cipher.n == 1000);
	buf_fini(&out);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(takes_what_is_good);
	T_RUN(drops_what_is_bad);
	T_RUN(bounds_a_line);
	T_RUN(reads_tlvs);
	T_RUN(trusts_no_missing_certificate);
	T_RUN(checks_the_sum);
	T_RUN(bounds_the_unique_id);
	T_RUN(prints_version_1);
	T_RUN(prints_version_2);
	T_RUN(prints_nothing_of_a_client_without_an_address);
	T_RUN(reads_what_it_prints);
	T_RUN(prints_no_name_unverified);
	T_RUN(leaves_out_long_texts);
	return t_end();
}
