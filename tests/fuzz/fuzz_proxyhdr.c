/*
 * A PROXY header: more octets turn "incomplete" into something and never change it afterwards; nothing
 * that it names lies outside of it.
 */
#include "proxy/smtp/proxyhdr.h"
#include "tests/fuzz/fuzz.h"

static void
check_inside(struct strv v, struct strv header)
{
	if (v.p != NULL)
		FUZZ_CHECK(v.p >= header.p && v.p + v.n <= header.p + header.n);
}

static void
check_complete(const struct proxyhdr *h, struct strv header)
{
	FUZZ_CHECK(header.n >= 13 && header.n <= PROXYHDR_MAX);
	FUZZ_CHECK(
	    h->local || (h->src.addr.family != ADDR_NONE && h->dst.addr.family != ADDR_NONE));
	check_inside(h->alpn, header);
	check_inside(h->authority, header);
	check_inside(h->unique_id, header);
	check_inside(h->netns, header);
	check_inside(h->ssl_version, header);
	check_inside(h->ssl_cn, header);
	check_inside(h->ssl_cipher, header);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv     in = strv((const char *)data, n);
	const char     *why = NULL;
	struct proxyhdr h, cut;
	size_t          used, used_cut;
	int             rc = proxyhdr_parse(in, &h, &used, &why);

	if (rc == 1)
		check_complete(&h, strv_first(in, used));
	else
		FUZZ_CHECK(rc == 0 || why != NULL);
	for (size_t i = 0; i < n && i < 600; i++) {
		int before = proxyhdr_parse(strv_first(in, i), &cut, &used_cut, &why);

		FUZZ_CHECK(before == 0 || before == rc);
		if (rc == 1)
			FUZZ_CHECK((before == 1) == (i >= used));
		FUZZ_CHECK(before != 1 || used_cut == used);
	}
	return 0;
}
