/*
 * sound -- a verdict of the policy, as the session may say it: at that stage, by somebody, in one clean line.
 */
#ifndef TESTS_FUZZ_SOUND_H
#define TESTS_FUZZ_SOUND_H

#include "proxy/mail/verdict.h"
#include "tests/fuzz/fuzz.h"

static inline void
sound(const struct verdict *v, enum stage at)
{
	struct strv text = verdict_text(v);

	if (v->kind == VERDICT_NONE)
		return;
	FUZZ_CHECK(v->by.n > 0);
	FUZZ_CHECK(verdict_legal(v->kind, at));
	FUZZ_CHECK(text.n > 0 || v->text.p != NULL);
	for (size_t i = 0; i < text.n; i++)
		FUZZ_CHECK((unsigned char)text.p[i] >= 32 && (unsigned char)text.p[i] < 127);
	FUZZ_CHECK(text.n <= 510);
}

#endif
