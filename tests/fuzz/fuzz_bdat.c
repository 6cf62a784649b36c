/*
 * The text of BDAT chunks: no dot means anything, no octets end it, in any cut it is what the model
 * says, and it goes on by DATA as exactly one message.
 */
#include "tests/fuzz/dots_model.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t cuts[] = { SIZE_MAX / 2, 1, 5, 40 };
	struct strv         in = strv((const char *)data, n);
	struct fuzz_text    want = { 0 };

	model_decode(in, false, &want);
	if (want.n > 0 && !strv_ends(fuzz_view(&want), SV("\n")))
		fuzz_put(&want, SV("\r\n"));
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct fuzz_text out = { 0 };
		bool             ended;

		FUZZ_CHECK(fuzz_decode_all(in, false, cuts[i], &out, &ended) == n && !ended);
		FUZZ_CHECK(strv_eq(fuzz_view(&out), fuzz_view(&want)));
		free(out.p);
	}
	FUZZ_CHECK(model_canonical(fuzz_view(&want)));
	fuzz_check_goes_on(fuzz_view(&want), 1 + n % 50);
	free(want.p);
	return 0;
}
