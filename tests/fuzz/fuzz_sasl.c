/*
 * Responses of an AUTH exchange: the first octet says which mechanism and step, what follows is the response,
 * and once more as if it were base64.  A name that comes out is UTF-8 without controls and of bounded
 * length; base64 that is taken is what we would print.
 */
#include "proxy/mail/path.h"
#include "proxy/smtp/sasl.h"
#include "tests/fuzz/fuzz.h"

static void
check_name(struct strv v)
{
	FUZZ_CHECK(v.n <= SASL_NAME && utf8_valid(v));
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK((unsigned char)v.p[i] >= ' ' && v.p[i] != 0x7f);
}

static void
check_response(uint8_t flags, struct strv v)
{
	enum sasl_mechanism m = (enum sasl_mechanism)(flags % SASL_MAX);
	struct sasl_names   n;

	if (!sasl_names_of(m, flags / SASL_MAX % 4, v, &n))
		return;
	check_name(n.user);
	check_name(n.author);
	FUZZ_CHECK(n.author.p == NULL || (n.author.n > 0 && !strv_eq(n.author, n.user)));
	/* only there may the token alone say who it is */
	FUZZ_CHECK(n.user.p == NULL || n.user.n > 0 || m == SASL_OAUTHBEARER);
}

static void
check_base64(uint8_t flags, struct strv v)
{
	size_t     room = base64_room(v.n);
	char      *p = malloc(room);
	long       n = base64_decode(v, p, room);
	struct buf b;

	FUZZ_CHECK(p != NULL && n <= (long)room);
	buf_init(&b, 2 * v.n + 16);
	if (n >= 0) {
		base64_print(&b, strv(p, (size_t)n));
		FUZZ_CHECK(strv_eq(buf_view(&b), v));
		check_response(flags, strv(p, (size_t)n));
	}
	buf_fini(&b);
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv v = strv((const char *)data + (n > 0), n - (n > 0));
	uint8_t     flags = n > 0 ? data[0] : 0;

	check_response(flags, v);
	check_base64(flags, v);
	(void)sasl_parse_words(v);
	return 0;
}
