/*
 * A packet of the DNS: the first octet chooses the type that was asked for.  What is taken is bounded, lies in
 * the arena, and packed again it unpacks to the same.
 */
#include "proxy/base/arena.h"
#include "proxy/base/dns_wire.h"
#include "tests/fuzz/fuzz.h"

static bool
is_text(uint16_t type)
{
	return type == DNS_TXT || type == 99;
}

/* A printed name: no octet of it could leave a line, a blank or a quote. */
static void
check_name(struct strv v)
{
	FUZZ_CHECK(v.p != NULL && v.n <= 4 * 255);
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK(v.p[i] > ' ' && v.p[i] < 0x7f && v.p[i] == ascii_lower(v.p[i]));
}

static void
check_record(uint16_t type, const struct dns_record *r)
{
	if (type == DNS_A)
		FUZZ_CHECK(r->addr.family == ADDR_IP4);
	else if (type == DNS_AAAA)
		FUZZ_CHECK(r->addr.family == ADDR_IP4 || r->addr.family == ADDR_IP6);
	else if (!is_text(type))
		check_name(r->text);
	else
		FUZZ_CHECK(r->text.n <= DNS_PACKET_MAX);
}

static bool
same(const struct dns_record *x, const struct dns_record *y)
{
	return addr_eq(&x->addr, &y->addr) && x->preference == y->preference &&
	    strv_eq(x->text, y->text);
}

/* An AAAA that holds an IPv4 address has no packet of its own; nor what does not fit into one. */
static void
check_again(struct arena *a, uint16_t type, const struct dns_answer *answer)
{
	struct dns_answer again = { 0 };
	enum dns_rc       rc;
	unsigned          k = 0;

	if (type == 99)
		return;
	rc = dns_unpack(
	    a, dns_pack(a, "q.example", type, DNS_OK, answer), "q.example", type, &again);
	FUZZ_CHECK(rc == DNS_OK || (rc == DNS_NODATA && again.n == 0));
	for (unsigned i = 0; i < answer->n && k < again.n; i++)
		k += same(&answer->v[i], &again.v[k]);
	FUZZ_CHECK(k == again.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const uint16_t types[] = { DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_PTR, DNS_NS,
		DNS_CNAME, 99 };
	struct dns_answer     answer = { 0 };
	struct arena         *a;
	uint16_t              type;

	if (n == 0 || n > DNS_PACKET_MAX)
		return 0;
	a = arena_new(1024, 0);
	type = types[data[0] % 8];
	if (dns_unpack(a, strv((const char *)data + 1, n - 1), NULL, type, &answer) == DNS_OK) {
		FUZZ_CHECK(answer.n > 0 && answer.n <= DNS_RECORDS_MAX);
		for (unsigned i = 0; i < answer.n; i++)
			check_record(type, &answer.v[i]);
		for (unsigned i = 1; type == DNS_MX && i < answer.n; i++)
			FUZZ_CHECK(answer.v[i - 1].preference <= answer.v[i].preference);
		check_again(a, type, &answer);
	} else
		FUZZ_CHECK(answer.n == 0);
	arena_free(a);
	return 0;
}
