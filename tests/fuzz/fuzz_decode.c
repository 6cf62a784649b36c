/*
 * The value of a header field.  What comes out is well-formed UTF-8 without controls, bounded, the same
 * every time; and where nothing in it is an encoded word or odd, it is what went in.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/decode.h"
#include "proxy/mail/path.h"
#include "tests/fuzz/fuzz.h"

/* Printable ASCII alone, without blanks at the ends and without "=?". */
static bool
is_plain(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < ' ' || v.p[i] > '~' ||
		    (v.p[i] == '=' && i + 1 < v.n && v.p[i + 1] == '?'))
			return false;
	return strv_trim(v).n == v.n;
}

static void
check_clean(struct strv v)
{
	FUZZ_CHECK(v.p != NULL && utf8_valid(v));
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK((unsigned char)v.p[i] >= ' ' && v.p[i] != 0x7f);
	FUZZ_CHECK(strv_trim(v).n == v.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1024, 0);
	struct strv   in = strv((const char *)data, n);
	struct strv   all = decode_text(a, in, SIZE_MAX), again = decode_text(a, in, SIZE_MAX);
	struct strv   some = decode_text(a, in, n / 2);

	check_clean(all);
	check_clean(some);
	FUZZ_CHECK(all.n <= 3 * n && some.n <= n / 2);
	FUZZ_CHECK(strv_eq(all, again));
	FUZZ_CHECK(some.n <= all.n);
	if (is_plain(in) && n <= DECODE_OCTETS)
		FUZZ_CHECK(strv_eq(all, in));
	arena_free(a);
	return 0;
}
