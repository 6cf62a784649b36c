/*
 * A body in canonical form: the same in any cut; doing it again changes nothing; relaxed is never longer, holds no HT,
 * no two blanks in a row and none before a line's end.  A field in relaxed form likewise.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/canon.h"
#include "tests/fuzz/fuzz.h"

static void
take(void *arg, struct strv piece)
{
	fuzz_put(arg, piece);
}

static void
in_cuts(enum canon_form form, struct strv v, size_t most, struct fuzz_text *out)
{
	struct canon_body c = { .form = form, .out = take, .arg = out };
	struct fuzz_cuts  cuts = fuzz_cuts(v);
	struct strv       piece;

	while (v.n > 0) {
		char *copy = fuzz_cut(&cuts, &v, most, &piece);

		canon_body_add(&c, piece);
		free(copy);
	}
	canon_body_end(&c);
}

static void
check_relaxed(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		FUZZ_CHECK(v.p[i] != '\t');
		FUZZ_CHECK(
		    v.p[i] != ' ' || (i + 1 < v.n && v.p[i + 1] != ' ' && v.p[i + 1] != '\r'));
	}
}

static void
check_body(enum canon_form form, struct strv v)
{
	struct fuzz_text whole = { 0 }, pieces = { 0 }, again = { 0 };

	in_cuts(form, v, SIZE_MAX / 2, &whole);
	in_cuts(form, v, 7, &pieces);
	in_cuts(form, fuzz_view(&whole), 100, &again);
	FUZZ_CHECK(strv_eq(fuzz_view(&whole), fuzz_view(&pieces)));
	FUZZ_CHECK(strv_eq(fuzz_view(&whole), fuzz_view(&again)));
	FUZZ_CHECK(whole.n <= v.n + 2);
	if (form == CANON_RELAXED)
		check_relaxed(fuzz_view(&whole));
	free(whole.p);
	free(pieces.p);
	free(again.p);
}

static void
check_field(struct strv v)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   relaxed = canon_field(a, CANON_RELAXED, v), bare;

	FUZZ_CHECK(strv_eq(canon_field(a, CANON_RELAXED, relaxed), relaxed));
	FUZZ_CHECK(relaxed.n <= v.n + 2 && strv_ends(relaxed, SV("\r\n")));
	bare = canon_signature(a, CANON_RELAXED, v);
	FUZZ_CHECK(bare.n + 2 <= relaxed.n);
	FUZZ_CHECK(canon_signature(a, CANON_SIMPLE, v).n <= v.n);
	arena_free(a);
}

/* Canonical text, as all that comes here: CRLF ends a line, and neither octet of it stands alone. */
static struct strv
canonical(const uint8_t *data, size_t n, char *room)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		if (data[i] == '\n')
			room[at++] = '\r';
		if (data[i] != '\r')
			room[at++] = (char)data[i];
	}
	return strv(room, at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char       *room = malloc(2 * n + 1);
	struct strv v;

	if (room == NULL)
		abort();
	v = canonical(data, n, room);
	check_body(CANON_SIMPLE, v);
	check_body(CANON_RELAXED, v);
	check_field(v);
	free(room);
	return 0;
}
