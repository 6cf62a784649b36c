/*
 * The text of DATA: in any cut it is what the model says, ends where the model says, is canonical, and
 * goes on as exactly one message.  And any octets at all, encoded, are one message without a bare CR,
 * bare LF or NUL.
 */
#include "tests/fuzz/dots_model.h"

static void
check_cuts(struct strv in, size_t most, struct strv want, size_t end, bool ends)
{
	struct fuzz_text out = { 0 };
	bool             ended;

	FUZZ_CHECK(fuzz_decode_all(in, true, most, &out, &ended) == end);
	FUZZ_CHECK(ended == ends);
	if (ended)
		FUZZ_CHECK(strv_eq(fuzz_view(&out), want));
	else /* what cannot be judged yet is held: at most ". CR" and its kin */
		FUZZ_CHECK(
		    out.n <= want.n && out.n + 3 >= want.n && strv_starts(want, fuzz_view(&out)));
	free(out.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv      in = strv((const char *)data, n);
	struct fuzz_text want = { 0 }, wire = { 0 };
	bool             ends;
	size_t           end = model_end(in, true, &ends);

	model_decode(strv_first(in, ends ? end - 3 : end), true, &want);
	check_cuts(in, n + 1, fuzz_view(&want), end, ends);
	check_cuts(in, 1, fuzz_view(&want), end, ends);
	check_cuts(in, 5, fuzz_view(&want), end, ends);
	check_cuts(in, 40, fuzz_view(&want), end, ends);
	FUZZ_CHECK(model_canonical(fuzz_view(&want)));
	fuzz_check_goes_on(fuzz_view(&want), 1 + n % 50);

	fuzz_encode_all(in, 1 + n % 50, &wire);
	FUZZ_CHECK(model_canonical(fuzz_view(&wire)));
	FUZZ_CHECK(model_end(fuzz_view(&wire), true, &ends) == wire.n && ends);
	free(want.p);
	free(wire.p);
	return 0;
}
