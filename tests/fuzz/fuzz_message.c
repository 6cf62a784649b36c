/*
 * The header of a message, from canonical text in any cut: the same fields, the same body, and put
 * together again octet for octet what came.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/view.h"
#include "tests/fuzz/dots_model.h"

#define HEADER_MAX 2000

struct taken {
	struct arena    *a;
	struct message   m;
	enum message_rc  rc;
	struct fuzz_text body;
};

static void
take(struct taken *t, struct strv text, size_t most)
{
	struct fuzz_cuts cuts = fuzz_cuts(text);
	struct strv      body = SV("");

	*t = (struct taken){ .a = arena_new(1024, 0) };
	message_begin(&t->m, t->a, NULL, HEADER_MAX);
	while (text.n > 0) {
		struct strv     piece;
		char           *copy = fuzz_cut(&cuts, &text, most, &piece);
		enum message_rc rc = message_feed(&t->m, piece, &body);

		FUZZ_CHECK(t->rc == MESSAGE_OK || rc == t->rc);
		t->rc = rc;
		fuzz_put(&t->body, body);
		free(copy);
	}
	FUZZ_CHECK(message_end(&t->m, &body) == t->rc);
	fuzz_put(&t->body, body);
}

static void
done(struct taken *t)
{
	arena_free(t->a);
	free(t->body.p);
}

static void
check_field(const struct header *h)
{
	struct strv name = header_name(h), value = header_value(h);

	FUZZ_CHECK(strv_ends(h->raw, SV("\r\n")) && model_canonical(h->raw));
	FUZZ_CHECK(value.p >= h->raw.p && value.p + value.n + 2 == h->raw.p + h->raw.n);
	for (size_t i = 0; i < name.n; i++)
		FUZZ_CHECK(name.p[i] > ' ' && name.p[i] < 0x7f && name.p[i] != ':');
	FUZZ_CHECK(name.n > 0);
	FUZZ_CHECK(h->hidden == strv_istarts(name, SV("X-Postern-")));
	for (size_t i = 0; i + 2 < h->raw.n;
	     i++) /* a field is one: each line of it but the first is folded */
		FUZZ_CHECK(
		    h->raw.p[i] != '\n' || h->raw.p[i + 1] == ' ' || h->raw.p[i + 1] == '\t');
}

static void
check_whole(const struct taken *t, struct strv text)
{
	struct fuzz_text all = { 0 };

	FUZZ_CHECK(t->m.broken == (t->m.no_gap && t->body.n > 0));
	fuzz_put(&all, t->m.mbox);
	for (unsigned i = 0; i < t->m.n_h; i++) {
		check_field(&t->m.h[i]);
		fuzz_put(&all, t->m.h[i].raw);
	}
	FUZZ_CHECK(all.n == t->m.header_octets && all.n <= HEADER_MAX && t->m.octets == text.n);
	if (!t->m.no_gap)
		fuzz_put(&all, SV("\r\n"));
	fuzz_put(&all, fuzz_view(&t->body));
	FUZZ_CHECK(strv_eq(fuzz_view(&all), text));
	free(all.p);
}

static void
check_equal(const struct taken *a, const struct taken *b)
{
	FUZZ_CHECK(a->rc == b->rc && a->m.octets == b->m.octets);
	if (a->rc != MESSAGE_OK)
		return;
	FUZZ_CHECK(
	    a->m.n_h == b->m.n_h && a->m.no_gap == b->m.no_gap && a->m.received == b->m.received);
	FUZZ_CHECK(a->m.broken == b->m.broken && strv_eq(a->m.mbox, b->m.mbox));
	for (unsigned i = 0; i < a->m.n_h; i++)
		FUZZ_CHECK(
		    strv_eq(a->m.h[i].raw, b->m.h[i].raw) && a->m.h[i].name_n == b->m.h[i].name_n);
	FUZZ_CHECK(strv_eq(fuzz_view(&a->body), fuzz_view(&b->body)));
}

/* No edit makes more than one field of itself. */
static void
check_view(struct taken *t)
{
	struct edit add = {
		.op = EDIT_INSERT_HEADER, .at = t->m.n_h / 2, .name = SV("X-New"), .value = SV("1")
	};
	struct edits e = { 0 };
	const char  *why;
	unsigned     before, after;

	view_fields(t->a, &(struct view){ &t->m, &e, 0 }, &before);
	FUZZ_CHECK(before <= t->m.n_h);
	if (t->body.n < 200) {
		add.value = fuzz_view(&t->body);
		if (edits_add(t->a, &e, &add, &why))
			FUZZ_CHECK(model_canonical(e.v[0].value));
	}
	view_fields(t->a, &(struct view){ &t->m, &e, e.n }, &after);
	FUZZ_CHECK(after == before + e.n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const size_t cuts[] = { 1, 6, 70 };
	struct fuzz_text    text = { 0 };
	struct taken        whole, cut;
	bool                ended;

	fuzz_decode_all(strv((const char *)data, n), false, SIZE_MAX / 2, &text, &ended);
	take(&whole, fuzz_view(&text), SIZE_MAX / 2);
	if (whole.rc == MESSAGE_OK) {
		check_whole(&whole, fuzz_view(&text));
		check_view(&whole);
	}
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		take(&cut, fuzz_view(&text), cuts[i]);
		check_equal(&whole, &cut);
		done(&cut);
	}
	done(&whole);
	free(text.p);
	return 0;
}
