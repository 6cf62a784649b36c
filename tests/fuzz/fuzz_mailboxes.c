/*
 * The value of a From field.  The first address, if there is one, is well formed: written anew it parses to the
 * same, alone and in <> behind a name, and its parts fit the limits.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/mailboxes.h"
#include "proxy/mail/path.h"
#include "tests/fuzz/fuzz.h"

static void
check_same(struct arena *a, struct strv text, const struct mailbox *want)
{
	struct mailboxes m;

	mailboxes_parse(a, text, &m);
	FUZZ_CHECK(m.n == 1 && m.broken == 0);
	FUZZ_CHECK(strv_eq(m.first.text, want->text) && strv_eq(m.first.local, want->local) &&
	    strv_eq(m.first.domain, want->domain));
}

static void
check_parts(const struct mailbox *b)
{
	FUZZ_CHECK(b->local.n <= 255 && b->domain.n > 0 && b->domain.n <= 255);
	FUZZ_CHECK(b->text.n > b->domain.n && strv_ends(b->text, b->domain));
	FUZZ_CHECK(utf8_valid(b->text));
	for (size_t i = 0; i < b->text.n; i++)
		FUZZ_CHECK((unsigned char)b->text.p[i] >= ' ' && b->text.p[i] != 0x7f);
	for (size_t i = 0; i < b->domain.n; i++)
		FUZZ_CHECK(b->domain.p[i] == ascii_lower(b->domain.p[i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena    *a = arena_new(1024, 0);
	struct mailboxes m;

	mailboxes_parse(a, strv((const char *)data, n), &m);
	FUZZ_CHECK((m.n > 0) == (m.first.text.p != NULL));
	FUZZ_CHECK(m.n + m.broken <= n);
	if (m.n > 0) {
		check_parts(&m.first);
		check_same(a, m.first.text, &m.first);
		check_same(a,
		    arena_concat(a, arena_concat(a, SV("\"x, y@z\" (w) <"), m.first.text), SV(">")),
		    &m.first);
	}
	arena_free(a);
	return 0;
}
