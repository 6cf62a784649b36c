/*
 * A path from the wire: the first octet holds the flags.  What is taken is written in one form, which
 * parses to the same path, fits the limits and holds nothing that could leave its angle brackets.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/path.h"
#include "tests/fuzz/fuzz.h"

static void
check_text(const struct path *p)
{
	struct strv v = path_text(p);
	bool        quoted = false;

	FUZZ_CHECK(v.n <= 254 && p->local.n <= 64 && p->domain.n <= 255);
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		FUZZ_CHECK(c >= 0x20 && c != 0x7f && (c < 0x80 || p->utf8));
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else
			FUZZ_CHECK(quoted || (c != '>' && c != '<' && c != ' '));
	}
	FUZZ_CHECK(!quoted && utf8_valid(v));
	FUZZ_CHECK((p->domain.p != NULL) == (p->kind == PATH_MAILBOX));
}

static void
check_same(const struct path *a, const struct path *b)
{
	FUZZ_CHECK(a->kind == b->kind && a->utf8 == b->utf8);
	FUZZ_CHECK(strv_eq(path_text(a), path_text(b)) && strv_eq(a->local, b->local) &&
	    strv_eq(a->domain, b->domain));
	FUZZ_CHECK(addr_eq(&a->literal, &b->literal) && path_routes(a) == path_routes(b));
}

static void
check_again(struct arena *a, const struct path *p, unsigned flags)
{
	struct strv wire = arena_concat(a, arena_concat(a, SV("<"), path_text(p)), SV(">"));
	const char *why = NULL;
	struct path again;

	FUZZ_CHECK(
	    path_parse(a, &wire, flags, &again, &why) == PATH_OK && wire.n == 0 && !again.routed);
	check_same(p, &again);
	if (p->kind == PATH_NULL)
		return;
	FUZZ_CHECK(path_parse_plain(a, path_text(p), &again, &why) == PATH_OK);
	check_same(p, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(1024, 0);
	unsigned      flags = n > 0 ? data[0] & 7u : 0;
	struct strv   v = strv((const char *)data + (n > 0), n - (n > 0)), all = v;
	const char   *why = NULL;
	struct path   p;

	if (path_parse(a, &v, flags, &p, &why) == PATH_OK) {
		FUZZ_CHECK(v.n < all.n && v.p[-1] == '>' && why == NULL);
		check_text(&p);
		check_again(a, &p, flags);
	} else
		FUZZ_CHECK(v.p == all.p && why != NULL);
	why = NULL;
	if (path_parse_plain(a, all, &p, &why) == PATH_OK) {
		check_text(&p);
		check_again(a, &p, 7);
	} else
		FUZZ_CHECK(why != NULL);
	arena_free(a);
	return 0;
}
