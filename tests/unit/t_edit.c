/* Edits: what may be staged, that it is kept whole, that it can be taken back.  RFC 5321 2.3.8. */
#include "proxy/mail/edit.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

#define H(op_, at_, name_, value_) \
	{ \
		.op = (op_), .at = (at_), .name = SV(name_), .value = SV(value_) \
	}
#define E(op_, value_, params_) \
	{ \
		.op = (op_), .value = SV(value_), .params = SV(params_) \
	}

/* clang-format off */
static const struct {
	struct edit e;
	bool good;
} rows[] = {
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b"), true },
	{ H(EDIT_ADD_HEADER, 0, "X-A", ""), true },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\r\n c\r\n\td"), true },
	{ H(EDIT_INSERT_HEADER, 0, "X-A", "b"), true },
	{ H(EDIT_CHANGE_HEADER, 1, "X-A", "gr\xc3\xbc\xc3\x9f"), true },
	{ H(EDIT_DELETE_HEADER, 1, "X-A", ""), true },
	{ H(EDIT_CHANGE_HEADER, 0, "X-A", "b"), false },
	{ H(EDIT_DELETE_HEADER, 0, "X-A", ""), false },
	{ H(EDIT_ADD_HEADER, 0, "", "b"), false },
	{ H(EDIT_ADD_HEADER, 0, "X A", "b"), false },
	{ H(EDIT_ADD_HEADER, 0, "X:A", "b"), false },
	{ H(EDIT_ADD_HEADER, 0, "X\nA", "b"), false },
	{ H(EDIT_ADD_HEADER, 0, "X\0A", "b"), false },
	{ H(EDIT_ADD_HEADER, 0, "X\xc3\xbc", "b"), false },
	/* a value makes no line of its own */
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\r\nc: d"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\r\n\r\nbody"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\r\n"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\r"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\rc"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\n c"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\r\r\n c"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "b\0c"), false },
	{ H(EDIT_ADD_HEADER, 0, "X-A", "\n.\r\n"), false },
	{ E(EDIT_ADD_RCPT, "a@b", ""), true },
	{ E(EDIT_ADD_RCPT, "<a@b>", "NOTIFY=NEVER"), true },
	{ E(EDIT_DELETE_RCPT, "a@b", ""), true },
	{ E(EDIT_CHANGE_FROM, "<>", ""), true },
	{ E(EDIT_ADD_RCPT, "<>", ""), false },
	{ E(EDIT_ADD_RCPT, "a b@c", ""), false },
	{ E(EDIT_ADD_RCPT, "a@b>\r\nDATA", ""), false },
	{ E(EDIT_ADD_RCPT, "a@b", "NOTIFY=NEVER\r\nDATA"), false },
	{ E(EDIT_CHANGE_FROM, "a@b\0", ""), false },
	{ { .op = EDIT_REPLACE_BODY }, false },
	{ { .op = (enum edit_op)99 }, false },
};
/* clang-format on */

static void
stages_what_is_good(void)
{
	struct arena *a = arena_new(1024, 0);
	struct edits  e = { 0 };
	unsigned      n = 0;
	char          row[80];

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		const char *why = NULL;

		t_row = t_show(rows[i].e.value, row, sizeof(row));
		T_EQ_NUM(edits_add(a, &e, &rows[i].e, &why), rows[i].good);
		T_EQ_NUM(why == NULL, rows[i].good);
		n += rows[i].good;
		T_EQ_NUM(e.n, n);
	}
	arena_free(a);
}

static void
refuses_what_is_too_long(void)
{
	static char   text[70000];
	struct arena *a = arena_new(1024, 0);
	struct edit e = { .op = EDIT_ADD_HEADER, .name = SV("A"), .value = strv(text, 64 * 1024) };
	const char *why;

	memset(text, 'x', sizeof(text));
	T_CHECK(edit_check(&e, &why));
	e.value.n++;
	T_CHECK(!edit_check(&e, &why));
	e.value.n = 1;
	e.name = strv(text, 998);
	T_CHECK(edit_check(&e, &why));
	e.name.n++;
	T_CHECK(!edit_check(&e, &why));
	arena_free(a);
}

static void
keeps_copies(void)
{
	struct arena *a = arena_new(1024, 0);
	char          name[] = "X-A", value[] = "<\"b\"@c.>";
	struct edit   add = { .op = EDIT_ADD_RCPT, .value = strv_z(value), .by = strv_z(name) };
	struct edits  e = { 0 };
	const char   *why;

	T_CHECK(edits_add(a, &e, &add, &why));
	memset(name, 0, sizeof(name));
	memset(value, 0, sizeof(value));
	T_EQ_TEXT(e.v[0].value, "b@c"); /* and in one form */
	T_EQ_TEXT(e.v[0].by, "X-A");
	T_EQ_TEXT(e.v[0].params, NULL);
	arena_free(a);
}

static void
has_a_ceiling_and_rewinds(void)
{
	struct edit   add = H(EDIT_ADD_HEADER, 0, "X-A", "b");
	struct arena *a = arena_new(1024, 0);
	struct edits  e = { 0 };
	const char   *why;

	for (unsigned i = 0; i < EDITS_MAX; i++)
		T_CHECK(edits_add(a, &e, &add, &why));
	T_CHECK(!edits_add(a, &e, &add, &why));
	T_EQ_NUM(e.n, EDITS_MAX);
	edits_rewind(&e, 3);
	T_EQ_NUM(e.n, 3);
	T_CHECK(edits_add(a, &e, &add, &why));
	edits_rewind(&e, 0);
	T_EQ_NUM(e.n, 0);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(stages_what_is_good);
	T_RUN(refuses_what_is_too_long);
	T_RUN(keeps_copies);
	T_RUN(has_a_ceiling_and_rewinds);
	return t_end();
}
