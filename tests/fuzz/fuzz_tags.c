/*
 * A list of tags.  What is taken has names and values without blanks around them that stand in the text, no name
 * twice; written anew it is the same list; base64 that is taken is written back to the same octets.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/tags.h"
#include "tests/fuzz/fuzz.h"

static void
check_value(struct arena *a, struct strv text, const struct tag_value *t)
{
	struct strv octets, again;

	FUZZ_CHECK(t->name.n > 0 && t->name.p >= text.p && t->value.p != NULL);
	FUZZ_CHECK(t->value.p + t->value.n <= text.p + text.n);
	FUZZ_CHECK(strv_eq(strv_trim(t->value), t->value));
	octets = tags_base64(a, t->value);
	if (octets.p == NULL)
		return;
	again = tags_base64(a, tags_to_base64(a, octets));
	FUZZ_CHECK(strv_eq(octets, again));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1024, 0);
	struct strv   text = strv((const char *)data, n), anew = SV("");
	struct tags  *t = arena_alloc(a, sizeof(*t)), *u = arena_alloc(a, sizeof(*u));

	if (tags_parse(text, t) == TAGS_OK) {
		FUZZ_CHECK(t->n > 0 && t->n <= TAGS_OF_LIST);
		for (unsigned i = 0; i < t->n; i++) {
			check_value(a, text, &t->v[i]);
			anew = arena_concat(a, arena_concat(a, anew, t->v[i].name), SV(" = "));
			anew = arena_concat(a, arena_concat(a, anew, t->v[i].value), SV("\r\n ;"));
		}
		FUZZ_CHECK(tags_parse(anew, u) == TAGS_OK && u->n == t->n);
		for (unsigned i = 0; i < t->n; i++) {
			FUZZ_CHECK(strv_eq(t->v[i].name, u->v[i].name));
			FUZZ_CHECK(strv_eq(t->v[i].value, u->v[i].value));
		}
	}
	arena_free(a);
	return 0;
}
