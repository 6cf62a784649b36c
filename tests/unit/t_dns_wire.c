/*
 * t_dns_wire -- packets of the DNS: each whole, cut at every octet, and with every octet changed.
 */
#include "config.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns_wire.h"
#include "tests/unit/t.h"

/* What a packet is made of, as text: two hex digits an octet, or 'letters'; blanks between them. */
static struct strv
octets(struct arena *a, const char *z)
{
	char  *p = arena_bytes(a, strlen(z) + 1);
	size_t n = 0;

	for (; *z != '\0'; z++) {
		if (*z == '\'') {
			for (z++; *z != '\''; z++)
				p[n++] = *z;
			continue;
		}
		if (*z == ' ')
			continue;
		p[n++] = (char)(strtol((char[3]){ z[0], z[1], '\0' }, NULL, 16));
		z++;
	}
	return strv(p, n);
}

/* The answer in one line: what it is, then each record. */
static const char *
show(struct arena *a, enum dns_rc rc, uint16_t type, const struct dns_answer *answer)
{
	struct strv line = strv_z(dns_rc_name(rc));
	char        text[ADDR_TEXT], quoted[512];

	if (rc != DNS_OK)
		return arena_z(a, line);
	line = arena_printf(a, "%u:", answer->ttl);
	for (unsigned i = 0; i < answer->n; i++) {
		const struct dns_record *r = &answer->v[i];

		if (type == DNS_A || type == DNS_AAAA) {
			addr_print(&r->addr, text);
			line = arena_printf(a, "%.*s %s", (int)line.n, line.p, text);
		} else if (type == DNS_MX)
			line = arena_printf(a, "%.*s %u[%.*s]", (int)line.n, line.p, r->preference,
			    (int)r->text.n, r->text.p);
		else
			line = arena_printf(a, "%.*s [%s]", (int)line.n, line.p,
			    t_show(r->text, quoted, sizeof(quoted)));
	}
	return arena_z(a, line);
}

/* Header, and the question for a.b at octet 12; a record follows at octet 21. */
#define HEAD(flags, rcode, records) "0000 " flags rcode " 0001 00" records " 0000 0000 "
#define ASKED(type)                 "01'a'01'b'00 00" type " 0001 "
#define A_B                         "c00c"
#define IN(type, ttl, n)            "00" type " 0001 000000" ttl " 00" n " "

struct packet {
	const char *name;
	uint16_t    type;
	const char *octets, *want;
};

static const struct packet packets[] = {
	{ "one address", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") A_B IN("01", "3c", "04") "c0000201",
	    "60: 192.0.2.1" },
	{ "two, the smaller TTL", DNS_A,
	    HEAD("81", "80", "02") ASKED("01")
		A_B IN("01", "3c", "04") "c0000201" A_B IN("01", "0a", "04") "c0000202",
	    "10: 192.0.2.1 192.0.2.2" },
	{ "no answer at all", DNS_A, HEAD("81", "80", "00") ASKED("01"), "no such record" },
	{ "no such name", DNS_A, HEAD("81", "83", "00") ASKED("01"), "no such name" },
	{ "SERVFAIL", DNS_A, HEAD("81", "82", "00") ASKED("01"), "no answer" },
	{ "REFUSED", DNS_A, HEAD("81", "85", "00") ASKED("01"), "no answer" },
	{ "records, but no such name", DNS_A,
	    HEAD("81", "83", "01") ASKED("01") A_B IN("01", "3c", "04") "c0000201",
	    "malformed answer" },
	{ "truncated", DNS_A,
	    HEAD("83", "80", "01") ASKED("01") A_B IN("01", "3c", "04") "c0000201", "no answer" },
	{ "a question, no answer", DNS_A, HEAD("01", "00", "00") ASKED("01"), "malformed answer" },
	{ "another operation", DNS_A, HEAD("a1", "80", "00") ASKED("01"), "malformed answer" },
	{ "another type was asked", DNS_AAAA, HEAD("81", "80", "00") ASKED("01"),
	    "malformed answer" },
	{ "two questions", DNS_A, "0000 8180 0002 0000 0000 0000 " ASKED("01") ASKED("01"),
	    "malformed answer" },
	{ "another name", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") "01'c'00" IN("01", "3c", "04") "c0000201",
	    "no such record" },
	{ "another class", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") A_B "0001 0003 0000003c 0004 c0000201",
	    "no such record" },
	{ "upper case", DNS_A,
	    HEAD("81", "80", "01") "01'A'01'b'00 0001 0001 01'a'01'B'00" IN(
		"01", "3c", "04") "c0000201",
	    "60: 192.0.2.1" },
	{ "a TTL with its top bit", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") A_B "0001 0001 80000001 0004 c0000201",
	    "0: 192.0.2.1" },
	{ "an address of five octets", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") A_B IN("01", "3c", "05") "c000020100",
	    "malformed answer" },
	{ "IPv6", DNS_AAAA,
	    HEAD("81", "80", "01") ASKED("1c")
		A_B IN("1c", "3c", "10") "20010db8000000000000000000000001",
	    "60: 2001:db8::1" },
	{ "IPv4 in IPv6", DNS_AAAA,
	    HEAD("81", "80", "01") ASKED("1c")
		A_B IN("1c", "3c", "10") "00000000000000000000ffffc0000201",
	    "60: 192.0.2.1" },
	{ "an alias", DNS_A,
	    HEAD("81", "80", "02") ASKED("01")
		A_B IN("05", "05", "04") "01'x'c00e 01'x'01'b'00" IN("01", "3c", "04") "c0000201",
	    "5: 192.0.2.1" },
	{ "an alias behind what it stands for", DNS_A,
	    HEAD("81", "80", "02") ASKED("01") "01'x'01'b'00" IN(
		"01", "3c", "04") "c0000201" A_B IN("05", "05", "04") "01'x'c00e",
	    "5: 192.0.2.1" },
	{ "an alias of nothing", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") A_B IN("05", "05", "04") "01'x'c00e",
	    "no such record" },
	{ "an alias of no such name", DNS_A,
	    HEAD("81", "83", "01") ASKED("01") A_B IN("05", "05", "04") "01'x'c00e",
	    "no such name" },
	{ "an alias of itself", DNS_A,
	    HEAD("81", "80", "01") ASKED("01") A_B IN("05", "05", "02") "c00c",
	    "malformed answer" },
	{ "an alias is asked for", DNS_CNAME,
	    HEAD("81", "80", "01") ASKED("05") A_B IN("05", "05", "04") "01'x'c00e", "5: [x.b]" },
	{ "MX in order", DNS_MX,
	    HEAD("81", "80", "02") ASKED("0f")
		A_B IN("0f", "3c", "06") "0014 01'y'c00e" A_B IN("0f", "3c", "06") "000a 01'X'c00e",
	    "60: 10[x.b] 20[y.b]" },
	{ "null MX", DNS_MX, HEAD("81", "80", "01") ASKED("0f") A_B IN("0f", "3c", "03") "0000 00",
	    "60: 0[]" },
	{ "MX without a name", DNS_MX,
	    HEAD("81", "80", "01") ASKED("0f") A_B IN("0f", "3c", "02") "0000",
	    "malformed answer" },
	{ "MX of one octet", DNS_MX,
	    HEAD("81", "80", "01") ASKED("0f") A_B IN("0f", "3c", "01") "00", "malformed answer" },
	{ "an octet behind the name", DNS_MX,
	    HEAD("81", "80", "01") ASKED("0f") A_B IN("0f", "3c", "04") "0000 00 00",
	    "malformed answer" },
	{ "TXT joined", DNS_TXT,
	    HEAD("81", "80", "01") ASKED("10") A_B IN("10", "3c", "08") "02'ab' 00 03'c\r\n'",
	    "60: [abc\\x0d\\x0a]" },
	{ "a string longer than its record", DNS_TXT,
	    HEAD("81", "80", "01") ASKED("10") A_B IN("10", "3c", "03") "03'ab'",
	    "malformed answer" },
	{ "odd octets in a name", DNS_PTR,
	    HEAD("81", "80", "01") ASKED("0c") A_B IN("0c", "3c", "08") "04'a.'00 ff 01'b'00",
	    "60: [a\\.\\000\\255.b]" },
	{ "a name to itself", DNS_PTR,
	    HEAD("81", "80", "01") ASKED("0c") A_B IN("0c", "3c", "02") "c021",
	    "malformed answer" },
	{ "a name forwards", DNS_PTR,
	    HEAD("81", "80", "02") ASKED("0c")
		A_B IN("0c", "3c", "02") "c023"
					 "01'x'00" IN("63", "00", "00"),
	    "malformed answer" },
	{ "an owner forwards", DNS_A,
	    HEAD("81", "80", "02")
		ASKED("01") "c025" IN("01", "3c", "04") "c0000201"
							"01'a'01'b'00" IN("63", "00", "00"),
	    "malformed answer" },
	{ "a name in the header", DNS_PTR,
	    HEAD("81", "80", "01") ASKED("0c") A_B IN("0c", "3c", "02") "c000",
	    "malformed answer" },
	{ "a name across its record's end", DNS_PTR,
	    HEAD("81", "80", "01") ASKED("0c") A_B IN("0c", "3c", "02") "01'a'00",
	    "malformed answer" },
	{ "a label of an unknown kind", DNS_PTR,
	    HEAD("81", "80", "01") ASKED("0c") A_B IN("0c", "3c", "02") "4000",
	    "malformed answer" },
	{ "more records than octets", DNS_A,
	    HEAD("81", "80", "ff") ASKED("01") A_B IN("01", "3c", "04") "c0000201",
	    "malformed answer" },
	{ "a type that nobody knows", 99,
	    HEAD("81", "80", "01") ASKED("63") A_B IN("63", "3c", "02") "0102",
	    "60: [\\x01\\x02]" },
};

/* In memory of exactly its size, so that a sanitizer sees what is read behind it. */
static enum dns_rc
unpack(struct arena *a, struct strv packet, uint16_t type, struct dns_answer *out)
{
	char       *p = malloc(packet.n == 0 ? 1 : packet.n);
	enum dns_rc rc;

	memcpy(p, packet.p, packet.n);
	rc = dns_unpack(a, strv(p, packet.n), NULL, type, out);
	free(p);
	return rc;
}

static void
whole(void)
{
	T_TABLE(struct packet, row, packets)
	{
		struct arena     *a = arena_new(4096, 0);
		struct dns_answer answer;
		enum dns_rc       rc = unpack(a, octets(a, row->octets), row->type, &answer);

		t_row = row->name;
		T_EQ_STR(show(a, rc, row->type, &answer), row->want);
		arena_free(a);
	}
}

/* No part of an answer is one; but what failed fails by its header alone. */
static void
cut_everywhere(void)
{
	T_TABLE(struct packet, row, packets)
	{
		struct arena     *a = arena_new(4096, 0);
		struct strv       all = octets(a, row->octets);
		struct dns_answer answer;

		t_row = row->name;
		for (size_t n = 0; n < all.n; n++) {
			enum dns_rc rc = unpack(a, strv_first(all, n), row->type, &answer);

			T_CHECKF(
			    rc == DNS_BAD || rc == DNS_TEMP, "%zu octets: %s", n, dns_rc_name(rc));
		}
		arena_free(a);
	}
}

/* Whatever comes out is well formed: a sanitizer, or the checks here, would tell. */
static void
any_octet_changed(void)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x3f, 0x40, 0xc0, 0xff };

	T_TABLE(struct packet, row, packets)
	{
		struct arena *a = arena_new(4096, 0);
		struct strv   all = octets(a, row->octets);
		char         *p = (char *)(uintptr_t)all.p;

		t_row = row->name;
		for (size_t i = 0; i < all.n; i++) {
			char kept = p[i];

			for (size_t k = 0; k < T_COUNT(values); k++) {
				struct dns_answer answer = { 0 };

				p[i] = (char)values[k];
				if (unpack(a, all, row->type, &answer) == DNS_OK)
					T_CHECK(answer.n > 0 && answer.n <= 2);
			}
			p[i] = kept;
		}
		arena_free(a);
	}
}

/* ---- large ones ---- */

static void
chain_of(unsigned links, enum dns_rc want)
{
	struct arena     *a = arena_new(4096, 0);
	struct dns_packer b;
	struct dns_answer answer;
	struct dns_record r = { 0 };
	char              name[16], next[16];

	dns_pack_begin(&b, a, "n0", DNS_A);
	for (unsigned i = 0; i < links; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		snprintf(next, sizeof(next), "n%u", i + 1);
		r.text = strv_z(next);
		T_CHECK(dns_pack_add(&b, name, DNS_CNAME, 60, &r));
	}
	addr_parse(SV("192.0.2.7"), &r.addr);
	T_CHECK(dns_pack_add(&b, next, DNS_A, 60, &r));
	T_EQ_NUM(unpack(a, dns_pack_end(&b, DNS_OK), DNS_A, &answer), want);
	arena_free(a);
}

static void
chains_have_an_end(void)
{
	chain_of(1, DNS_OK);
	chain_of(DNS_CHAIN, DNS_OK);
	chain_of(DNS_CHAIN + 1, DNS_BAD);
	chain_of(100, DNS_BAD);
}

static void
txt_of_64_kb(void)
{
	struct arena     *a = arena_new(4096, 0);
	char             *p = arena_bytes(a, 70000);
	struct dns_record r = { .text = { p, 65000 } };
	struct dns_answer answer = { .v = &r, .n = 1, .ttl = 5 }, got;

	for (unsigned i = 0; i < 70000; i++)
		p[i] = (char)(i * 7);
	T_EQ_NUM(
	    unpack(a, dns_pack(a, "t.example", DNS_TXT, DNS_OK, &answer), DNS_TXT, &got), DNS_OK);
	T_CHECK(got.n == 1 && strv_eq(got.v[0].text, r.text));
	r.text.n = 70000; /* does not fit: it is left out */
	T_EQ_NUM(unpack(a, dns_pack(a, "t.example", DNS_TXT, DNS_OK, &answer), DNS_TXT, &got),
	    DNS_NODATA);
	arena_free(a);
}

static void
many_records_are_cut_off(void)
{
	struct arena     *a = arena_new(4096, 0);
	struct dns_packer b;
	struct dns_record r = { .addr = { .family = ADDR_IP4 } };
	struct dns_answer answer;

	dns_pack_begin(&b, a, "m", DNS_A);
	for (unsigned i = 0; i < 3000; i++) {
		r.addr.b[2] = (uint8_t)(i >> 8);
		r.addr.b[3] = (uint8_t)i;
		T_CHECK(dns_pack_add(&b, "m", DNS_A, 1, &r));
	}
	T_EQ_NUM(unpack(a, dns_pack_end(&b, DNS_OK), DNS_A, &answer), DNS_OK);
	T_EQ_NUM(answer.n, DNS_RECORDS_MAX);
	T_CHECK(answer.v[255].addr.b[3] == 255);
	arena_free(a);
}

/* A name that consists of pointers to pointers: no endless walk, and none that is long. */
static void
pointers_to_pointers(void)
{
	struct arena *a = arena_new(4096, 0);
	struct strv head = octets(a, HEAD("81", "80", "02") ASKED("0c") "00" IN("63", "00", "00"));
	uint8_t    *p = arena_bytes(a, 16000);
	size_t      n = head.n, first = n;
	struct dns_answer answer;

	memcpy(p, head.p, n);
	for (unsigned i = 0; i < 1000; i++) { /* what an unknown record holds */
		size_t to = i == 0 ? 12 : first + 2 * (i - 1);

		p[n++] = (uint8_t)(0xc0 | to >> 8);
		p[n++] = (uint8_t)to;
	}
	p[first - 2] = 2000 >> 8;
	p[first - 1] = 2000 & 255;
	for (unsigned hops = 120; hops < 1000; hops += 20) {
		size_t to = first + 2 * (hops - 1), at = n;
		bool   good = hops + 1 <= 128;

		memcpy(p + at, (uint8_t[]){ 0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 2 }, 12);
		p[at + 12] = (uint8_t)(0xc0 | to >> 8);
		p[at + 13] = (uint8_t)to;
		T_EQ_NUM(
		    unpack(a, strv((char *)p, at + 14), DNS_PTR, &answer), good ? DNS_OK : DNS_BAD);
	}
	arena_free(a);
}

static void
longest_names(void)
{
	struct arena     *a = arena_new(4096, 0);
	char              name[300];
	struct dns_record r = { .text = { name, 0 } };
	struct dns_answer answer = { .v = &r, .n = 1 }, got;

	memset(name, 'a', sizeof(name));
	for (unsigned i = 63; i < 253; i += 64)
		name[i] = '.';
	r.text.n = 253;
	T_EQ_NUM(unpack(a, dns_pack(a, "x", DNS_PTR, DNS_OK, &answer), DNS_PTR, &got), DNS_OK);
	T_EQ_STRV(got.v[0].text, r.text);
	r.text.n = 254;
	T_EQ_NUM(unpack(a, dns_pack(a, "x", DNS_PTR, DNS_OK, &answer), DNS_PTR, &got), DNS_NODATA);
	name[63] = 'a'; /* a label of 64 and more */
	r.text.n = 100;
	T_EQ_NUM(unpack(a, dns_pack(a, "x", DNS_PTR, DNS_OK, &answer), DNS_PTR, &got), DNS_NODATA);
	arena_free(a);
}

/* ---- names ---- */

struct name_case {
	struct strv text;
	const char *want; /* NULL: cannot be a name */
};

static const struct name_case name_cases[] = {
	{ { "example.org", 11 }, "example.org" },
	{ { "Example.ORG.", 12 }, "example.org" },
	{ { ".", 1 }, "" },
	{ { "", 0 }, NULL },
	{ { NULL, 0 }, NULL },
	{ { "..", 2 }, NULL },
	{ { ".a", 2 }, NULL },
	{ { "a..b", 4 }, NULL },
	{ { "a b", 3 }, NULL },
	{ { "a\\.b", 4 }, NULL },
	{ { "A\\032b", 6 }, "a\\032b" },
	{ { "\\000\\255.b", 10 }, "\\000\\255.b" },
	/* one name has one form */
	{ { "a\\065b", 6 }, NULL },
	{ { "a\\256", 5 }, NULL },
	{ { "a\\03", 4 }, NULL },
	{ { "a\\", 2 }, NULL },
	{ { "a\0b", 3 }, NULL },
	{ { "a\x7f", 2 }, NULL },
	{ { "\xff.example", 9 }, NULL },
	{ { "_dmarc.example", 14 }, "_dmarc.example" },
	{ { "*.example", 9 }, "*.example" },
	{ { "localhost", 9 }, "localhost" },
#if HAVE_IDN2
	{ { "b\xc3\xbc"
	    "cher.example",
	      15 },
	    "xn--bcher-kva.example" },
#endif
};

static void
names(void)
{
	char out[DNS_NAME_MAX], shown[100];

	T_TABLE(struct name_case, row, name_cases)
	{
		t_row = t_show(row->text, shown, sizeof(shown));
		T_EQ_NUM(dns_name(row->text, out), row->want != NULL);
		if (row->want != NULL)
			T_EQ_STR(out, row->want);
	}
}

static void
names_too_long(void)
{
	char name[300], out[DNS_NAME_MAX];

	memset(name, 'a', sizeof(name));
	T_CHECK(dns_name(strv(name, 63), out) && !dns_name(strv(name, 64), out));
	for (unsigned i = 63; i < sizeof(name); i += 64)
		name[i] = '.';
	T_CHECK(dns_name(strv(name, 253), out) && !dns_name(strv(name, 254), out));
	T_EQ_NUM(strlen((dns_name(strv(name, 253), out), out)), 253);
}

static void
turned_round(void)
{
	static const struct {
		const char *addr, *zone, *want;
	} cases[] = {
		{ "192.0.2.1", NULL, "1.2.0.192.in-addr.arpa" },
		{ "192.0.2.1", "zen.example", "1.2.0.192.zen.example" },
		{ "::ffff:127.0.0.2", "zen.example", "2.0.0.127.zen.example" },
		{ "2001:db8::a5", NULL,
		    "5.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa" },
		{ "2001:db8::a5", "zen.example",
		    "5.a.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.example" },
	};
	struct arena *a = arena_new(4096, 0);
	struct addr   addr;

	for (size_t i = 0; i < T_COUNT(cases); i++) {
		T_CHECK(addr_parse(strv_z(cases[i].addr), &addr));
		T_EQ_TEXT(dns_reverse(a, &addr, strv_z(cases[i].zone)), cases[i].want);
	}
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(whole);
	T_RUN(cut_everywhere);
	T_RUN(any_octet_changed);
	T_RUN(chains_have_an_end);
	T_RUN(txt_of_64_kb);
	T_RUN(many_records_are_cut_off);
	T_RUN(pointers_to_pointers);
	T_RUN(longest_names);
	T_RUN(names);
	T_RUN(names_too_long);
	T_RUN(turned_round);
	return t_end();
}
