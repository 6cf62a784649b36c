/* A message seen through edits: each sees what those before it left. */
#include "proxy/mail/view.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

#define ADD EDIT_ADD_HEADER
#define INS EDIT_INSERT_HEADER
#define CHG EDIT_CHANGE_HEADER
#define DEL EDIT_DELETE_HEADER

#define PLAIN "A: 1\r\nB: 2\r\nA: 3\r\nX-Postern-Q: 9\r\nC: 4\r\n\r\n"
#define MBOX  "From x@y Mon\r\nA: 1\r\n\r\n"

/* clang-format off */
static const struct {
	const char *name, *header;
	struct { enum edit_op op; unsigned at; const char *name, *value; } e[4];
	const char *want;
} rows[] = {
	{ "nothing", PLAIN, { { 0 } }, "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "add", PLAIN, { { ADD, 0, "D", "5" } }, "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\nD: 5\r\n" },
	{ "add to none", "\r\n", { { ADD, 0, "D", "5" } }, "D: 5\r\n" },
	{ "insert at the top", PLAIN, { { INS, 0, "D", "5" } }, "D: 5\r\nA: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "insert between", PLAIN, { { INS, 2, "D", "5" } }, "A: 1\r\nB: 2\r\nD: 5\r\nA: 3\r\nC: 4\r\n" },
	{ "hidden ones do not count", PLAIN, { { INS, 3, "D", "5" } }, "A: 1\r\nB: 2\r\nA: 3\r\nD: 5\r\nC: 4\r\n" },
	{ "insert far behind", PLAIN, { { INS, 4294967295u, "D", "5" } }, "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\nD: 5\r\n" },
	{ "insert twice", PLAIN, { { INS, 0, "D", "5" }, { INS, 0, "E", "6" } },
	    "E: 6\r\nD: 5\r\nA: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "an mbox line is none of them", MBOX, { { INS, 1, "D", "5" } }, "A: 1\r\nD: 5\r\n" },
	{ "change", PLAIN, { { CHG, 2, "a", "x" } }, "A: 1\r\nB: 2\r\na: x\r\nC: 4\r\n" },
	{ "change what is not there", PLAIN, { { CHG, 3, "A", "x" } }, "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\nA: x\r\n" },
	{ "a hidden field cannot be changed", PLAIN, { { CHG, 1, "X-Postern-Q", "x" } },
	    "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\nX-Postern-Q: x\r\n" },
	{ "delete", PLAIN, { { DEL, 1, "A", "" } }, "B: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "delete shifts", PLAIN, { { DEL, 1, "A", "" }, { DEL, 1, "A", "" } }, "B: 2\r\nC: 4\r\n" },
	{ "delete in reverse", PLAIN, { { DEL, 2, "A", "" }, { DEL, 1, "A", "" } }, "B: 2\r\nC: 4\r\n" },
	{ "delete all of a name", PLAIN, { { EDIT_DELETE_ALL, 0, "a", "" } }, "B: 2\r\nC: 4\r\n" },
	{ "delete all, then add", PLAIN, { { EDIT_DELETE_ALL, 0, "A", "" }, { INS, 0, "A", "5" } },
	    "A: 5\r\nB: 2\r\nC: 4\r\n" },
	{ "delete what is not there", PLAIN, { { DEL, 3, "A", "" }, { DEL, 1, "Z", "" } },
	    "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "delete what was added", PLAIN, { { ADD, 0, "D", "5" }, { DEL, 1, "D", "" } },
	    "A: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "change what was added", PLAIN, { { INS, 0, "A", "0" }, { CHG, 2, "A", "x" } },
	    "A: 0\r\nA: x\r\nB: 2\r\nA: 3\r\nC: 4\r\n" },
	{ "a blank of its own", PLAIN, { { CHG, 1, "B", "\tx" } }, "A: 1\r\nB:\tx\r\nA: 3\r\nC: 4\r\n" },
	{ "folded", PLAIN, { { CHG, 1, "B", "\r\n x" } }, "A: 1\r\nB:\r\n x\r\nA: 3\r\nC: 4\r\n" },
	{ "empty", PLAIN, { { CHG, 1, "B", "" } }, "A: 1\r\nB:\r\nA: 3\r\nC: 4\r\n" },
};
/* clang-format on */

static void
prepare(struct arena *a, const char *header, struct message *m)
{
	struct strv body;

	message_begin(m, a, NULL, 10000);
	message_feed(m, strv_z(header), &body);
	message_end(m, &body);
}

static struct strv
seen(struct arena *a, const struct view *v)
{
	struct strv        all = SV("");
	unsigned           n;
	struct view_field *f = view_fields(a, v, &n);

	for (unsigned i = 0; i < n; i++) {
		T_CHECK(strv_starts(f[i].raw, f[i].name));
		all = arena_concat(a, all, f[i].raw);
	}
	return all;
}

static void
applies_edits(void)
{
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct arena  *a = arena_new(1024, 0);
		struct edits   e = { 0 };
		struct message m;
		const char    *why;

		t_row = rows[i].name;
		prepare(a, rows[i].header, &m);
		for (size_t k = 0; k < 4 && rows[i].e[k].name != NULL; k++) {
			struct edit add = { .op = rows[i].e[k].op, .at = rows[i].e[k].at };

			add.name = strv_z(rows[i].e[k].name);
			add.value = strv_z(rows[i].e[k].value);
			T_CHECK(edits_add(a, &e, &add, &why));
		}
		T_EQ_TEXT(seen(a, &(struct view){ &m, &e, e.n }), rows[i].want);
		/* and before any edit it is as it came */
		T_EQ_STRV(
		    seen(a, &(struct view){ &m, &e, 0 }), seen(a, &(struct view){ &m, NULL, 0 }));
		arena_free(a);
	}
}

/* Each filter's view reaches one edit further. */
static void
reaches_as_far_as_told(void)
{
	struct arena  *a = arena_new(1024, 0);
	struct edit    add = { .op = ADD, .name = SV("D"), .value = SV("5") };
	struct edits   e = { 0 };
	struct message m;
	const char    *why;

	prepare(a, "A: 1\r\n\r\n", &m);
	edits_add(a, &e, &add, &why);
	edits_add(a, &e, &add, &why);
	T_EQ_TEXT(seen(a, &(struct view){ &m, &e, 1 }), "A: 1\r\nD: 5\r\n");
	T_EQ_TEXT(seen(a, &(struct view){ &m, &e, 2 }), "A: 1\r\nD: 5\r\nD: 5\r\n");
	arena_free(a);
}

static void
copies_no_text_without_edits(void)
{
	struct arena      *a = arena_new(1024, 0);
	struct message     m;
	unsigned           n;
	struct view_field *f;

	prepare(a, PLAIN, &m);
	f = view_fields(a, &(struct view){ &m, NULL, 0 }, &n);
	T_EQ_NUM(n, 4);
	T_CHECK(f[0].raw.p == m.h[0].raw.p && f[3].raw.p == m.h[4].raw.p);
	arena_free(a);
}

/* The last replacement within reach is the body. */
static void
has_one_body(void)
{
	struct spool *one = (struct spool *)(uintptr_t)16, *two = (struct spool *)(uintptr_t)32,
		     *own = (struct spool *)(uintptr_t)48;
	struct arena  *a = arena_new(1024, 0);
	struct edit    add = { .op = EDIT_REPLACE_BODY, .body = one };
	struct message m = { .body = own };
	struct edits   e = { 0 };
	const char    *why;

	T_CHECK(edits_add(a, &e, &add, &why));
	T_CHECK(edits_add(a, &e, &(struct edit){ .op = ADD, .name = SV("A") }, &why));
	add.body = two;
	T_CHECK(edits_add(a, &e, &add, &why));
	T_CHECK(view_body(&(struct view){ &m, NULL, 0 }) == own);
	T_CHECK(view_body(&(struct view){ &m, &e, 0 }) == own);
	T_CHECK(view_body(&(struct view){ &m, &e, 1 }) == one);
	T_CHECK(view_body(&(struct view){ &m, &e, 2 }) == one);
	T_CHECK(view_body(&(struct view){ &m, &e, 3 }) == two);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(applies_edits);
	T_RUN(reaches_as_far_as_told);
	T_RUN(copies_no_text_without_edits);
	T_RUN(has_one_body);
	return t_end();
}
