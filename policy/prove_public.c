/*
 * prove_public -- what is of the public Internet: addresses, lists of them that are wide, suffixes that nobody owns.
 *
 * The rule: a list that holds more of it than a /8 of IPv4 (or a /16 of IPv6) is no list of hosts that somebody knows.
 * Pure: no policy is looked at.
 */
#include "policy/prove.h"

#define WIDE4 ((uint64_t)1 << 24) /* addresses of a /8 */
#define WIDE6 ((uint64_t)1 << 48) /* networks /64 of a /16 */

/* Not of the public Internet: RFC 6890, 1918, 6598, multicast and above. Documentation nets are. */
static const struct {
	uint32_t lo, hi;
} reserved[] = { { 0x00000000, 0x00ffffff }, { 0x0a000000, 0x0affffff }, { 0x64400000, 0x647fffff },
	{ 0x7f000000, 0x7fffffff }, { 0xa9fe0000, 0xa9feffff }, { 0xac100000, 0xac1fffff },
	{ 0xc0000000, 0xc00000ff }, { 0xc0a80000, 0xc0a8ffff }, { 0xc6120000, 0xc613ffff },
	{ 0xe0000000, 0xffffffff } };

#define N_RESERVED (sizeof(reserved) / sizeof(reserved[0]))
#define PUBLIC6_LO 0x2000000000000000u /* 2000::/3, the upper half of the address */
#define PUBLIC6_HI 0x3fffffffffffffffu

static uint64_t
octets(const struct addr *a, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v = v << 8 | a->b[i];
	return v;
}

/* How many of lo..hi are public; *first is the first. */
static uint64_t
public4(uint64_t lo, uint64_t hi, uint64_t *first)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < N_RESERVED && lo <= hi; i++) {
		if (lo < reserved[i].lo) {
			uint64_t end = hi < reserved[i].lo ? hi : reserved[i].lo - 1;

			*first = sum == 0 ? lo : *first;
			sum += end - lo + 1;
		}
		lo = lo > reserved[i].hi ? lo : (uint64_t)reserved[i].hi + 1;
	}
	return sum;
}

static uint64_t
public6(uint64_t lo, uint64_t hi, uint64_t *first)
{
	lo = lo < PUBLIC6_LO ? PUBLIC6_LO : lo;
	hi = hi > PUBLIC6_HI ? PUBLIC6_HI : hi;
	*first = lo;
	return lo > hi ? 0 : hi - lo + 1;
}

static uint64_t
range_size(const struct addr_range *r, uint64_t *first)
{
	return r->lo.family == ADDR_IP4 ? public4(octets(&r->lo, 4), octets(&r->hi, 4), first) :
					  public6(octets(&r->lo, 8), octets(&r->hi, 8), first);
}

bool
range_public(const struct addr_range *r, struct addr *out)
{
	unsigned n = r->lo.family == ADDR_IP4 ? 4 : 8;
	uint64_t first = 0;

	if (range_size(r, &first) == 0)
		return false;
	*out = r->lo;
	if (octets(&r->lo, n) == first)
		return true;
	memset(out->b, 0, sizeof(out->b));
	for (unsigned i = n; i-- > 0; first >>= 8)
		out->b[i] = (uint8_t)first;
	return true;
}

void
breadth_add(struct breadth *b, const struct addr_range *r)
{
	uint64_t first;

	*(r->lo.family == ADDR_IP4 ? &b->four : &b->six) += range_size(r, &first);
}

bool
breadth_wide(const struct breadth *b)
{
	return b->four > WIDE4 || b->six > WIDE6;
}

bool
nets_wide(const struct netset *s)
{
	struct breadth b = { 0 };

	for (size_t i = 0; i < netset_count(s); i++) {
		struct addr_range r = netset_at(s, i);

		breadth_add(&b, &r);
	}
	return breadth_wide(&b);
}

bool
suffix_wide(struct strv v)
{
	/* RFC 6762 appendix G, RFC 9476 and ICANN's ".internal": names that stay inside. */
	static const char *const inside[] = { "local", "localdomain", "localhost", "internal",
		"intranet", "private", "corp", "home", "lan", "invalid" };

	v = strv_starts(v, SV(".")) ? strv_from(v, 1) : v;
	if (strv_chr(v, '.') < v.n || strv_starts(v, SV("[")))
		return false;
	for (unsigned i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
		if (strv_ieq(v, strv_z(inside[i])))
			return false;
	}
	return true;
}
