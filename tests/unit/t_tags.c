/*
 * t_tags -- lists of tags and values: what is one, what stands in them, base64 that is folded.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/tags.h"
#include "tests/unit/t.h"

/* "name=value|name=value"; "TWICE", "BAD". */
static struct strv
shown(struct arena *a, struct strv text)
{
	struct tags *t = arena_alloc(a, sizeof(*t));
	enum tags_rc rc = tags_parse(text, t);
	struct strv  out = SV("");

	if (rc != TAGS_OK)
		return rc == TAGS_TWICE ? SV("TWICE") : SV("BAD");
	for (unsigned i = 0; i < t->n; i++)
		out = arena_printf(a, "%.*s%s%.*s=%.*s", (int)out.n, out.p, i > 0 ? "|" : "",
		    (int)t->v[i].name.n, t->v[i].name.p, (int)t->v[i].value.n, t->v[i].value.p);
	return out;
}

/* clang-format off */
static const struct {
	const char *text, *want;
} lists[] = {
	{ "v=1", "v=1" },
	{ "v=1;", "v=1" },
	{ "v=1; a=rsa-sha256;d=example.org", "v=1|a=rsa-sha256|d=example.org" },
	{ " v = 1 ; a = b c ; ", "v=1|a=b c" },
	{ "\r\n\tv=1;\r\n b=ab\r\n cd;\r\n", "v=1|b=ab\r\n cd" },
	{ "p=", "p=" },
	{ "p= ; n=", "p=|n=" },
	{ "k=a=b==", "k=a=b==" },
	{ "a_1=x", "a_1=x" },
	{ "v=1; V=2", "v=1|V=2" },                      /* case counts */
	{ "n=gr\xc3\xbc\xc3\x9f", "n=gr\xc3\xbc\xc3\x9f" },
	{ "v=1; a=2; v=1", "TWICE" },
	{ "v=1;v=", "TWICE" },
	{ "", "BAD" }, { " ", "BAD" }, { ";", "BAD" }, { "=", "BAD" }, { "v", "BAD" }, { "=1", "BAD" },
	{ "v=1;;a=2", "BAD" }, { "v=1;;", "BAD" }, { "v=1; a", "BAD" }, { ";v=1", "BAD" },
	{ "1v=1", "BAD" }, { "_v=1", "BAD" }, { "v-1=1", "BAD" }, { "v v=1", "BAD" }, { "v\xc3\xbc=1", "BAD" },
	{ "v=\x01", "BAD" }, { "v=a\x7f", "BAD" },
};
/* clang-format on */

static void
reads_lists(void)
{
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < T_COUNT(lists); i++) {
		t_row = lists[i].text;
		T_EQ_TEXT(shown(a, strv_z(lists[i].text)), lists[i].want);
	}
	t_row = NULL;
	T_EQ_TEXT(shown(a, (struct strv){ 0 }), "BAD");
	T_EQ_TEXT(shown(a, SV("v=a\0b")), "BAD");
	T_EQ_TEXT(shown(a, SV("v\0=a")), "BAD");
	arena_free(a);
}

/* Each list, cut at every position: whatever is left of it, nothing is read behind its end. */
static void
reads_no_further_than_told(void)
{
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < T_COUNT(lists); i++) {
		for (size_t n = 0; n <= strlen(lists[i].text); n++) {
			char       *copy = malloc(n + 1);
			struct strv have;

			memcpy(copy, lists[i].text, n);
			copy = realloc(copy, n > 0 ? n : 1);
			have = shown(a, strv(copy, n));
			T_CHECK(have.n <= n + 5);
			free(copy);
		}
	}
	arena_free(a);
}

static void
finds_by_name(void)
{
	struct tags t;

	T_EQ_NUM(tags_parse(SV("a=1; b=; C=3"), &t), TAGS_OK);
	T_EQ_TEXT(tags_get(&t, "a"), "1");
	T_CHECK(tags_get(&t, "b").p != NULL && tags_get(&t, "b").n == 0);
	T_CHECK(tags_get(&t, "c").p == NULL);
	T_CHECK(tags_get(&t, "aa").p == NULL);
	T_EQ_TEXT(tags_get(&t, "C"), "3");
}

static void
takes_no_more_than_there_is_room_for(void)
{
	struct arena *a = arena_new(4096, 0);
	struct tags  *t = arena_alloc(a, sizeof(*t));
	struct strv   text = SV("t0=x");

	for (unsigned i = 1; i < TAGS_OF_LIST; i++)
		text = arena_printf(a, "%.*s;t%u=x", (int)text.n, text.p, i);
	T_EQ_NUM(tags_parse(text, t), TAGS_OK);
	T_EQ_NUM(t->n, TAGS_OF_LIST);
	T_EQ_NUM(tags_parse(arena_concat(a, text, SV(";")), t), TAGS_OK);
	T_EQ_NUM(tags_parse(arena_concat(a, text, SV(";x=y")), t), TAGS_BAD);
	arena_free(a);
}

static void
walks_past_bad_ones(void)
{
	struct strv      rest = SV(" v=1; what; =x; a = b;\x01=2;;c=d");
	struct tag_value t;
	char             got[100] = "";

	while (rest.p != NULL) {
		bool good = tags_next(&rest, &t);

		snprintf(got + strlen(got), sizeof(got) - strlen(got), "[%.*s:%.*s]", (int)t.name.n,
		    t.name.p == NULL ? "" : t.name.p, (int)t.value.n,
		    t.value.p == NULL ? "" : t.value.p);
		T_EQ_NUM(good, t.name.p != NULL);
	}
	T_EQ_STR(got, "[v:1][:][:][a:b][:][:][c:d]");
}

static void
undoes_folded_base64(void)
{
	/* clang-format off */
	static const struct {
		const char *text, *want; /* NULL: none */
	} rows[] = {
		{ "Zm9v", "foo" }, { " Zm\r\n\t9v ", "foo" }, { "Z m 9 v\nYg = =", "foob" }, { "", "" }, { " ", "" },
		{ "Zm9vYg", "foob" }, { "Zm9vYmE", "fooba" },          /* without padding */
		{ "Z", NULL }, { "Zm9vY", NULL }, { "Zg=", NULL }, { "=", NULL }, { "Zm9v=", NULL }, { "Zg==Zg==", NULL },
		{ "Zm9*", NULL }, { "Zm9-", NULL }, { "Zm\xc3\xa4", NULL }, { "Zh==", NULL },
	};
	/* clang-format on */
	struct arena *a = arena_new(4096, 0);

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv have = tags_base64(a, strv_z(rows[i].text));

		t_row = rows[i].text;
		T_EQ_NUM(have.p != NULL, rows[i].want != NULL);
		if (rows[i].want != NULL)
			T_EQ_TEXT(have, rows[i].want);
	}
	arena_free(a);
}

static void
writes_base64(void)
{
	struct arena *a = arena_new(4096, 0);

	T_EQ_TEXT(tags_to_base64(a, SV("")), "");
	T_EQ_TEXT(tags_to_base64(a, SV("f")), "Zg==");
	T_EQ_TEXT(tags_to_base64(a, SV("fo")), "Zm8=");
	T_EQ_TEXT(tags_to_base64(a, SV("foo")), "Zm9v");
	T_EQ_TEXT(tags_to_base64(a, SV("\xff\x00\xfe\xfb")), "/wD++w==");
	arena_free(a);
}

static void
reads_numbers(void)
{
	static const struct {
		const char *text;
		bool        good;
		uint64_t    n;
	} rows[] = {
		{ "0", true, 0 },
		{ "00012", true, 12 },
		{ "1700000000", true, 1700000000 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "00000000000000000001", true, 1 },
		{ "000000000000000000001", false, 0 },
		{ "", false, 0 },
		{ "-1", false, 0 },
		{ "+1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x1", false, 0 },
		{ "1.0", false, 0 },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		uint64_t n = 0;

		t_row = rows[i].text;
		T_EQ_NUM(tags_number(strv_z(rows[i].text), &n), rows[i].good);
		T_CHECK(n == rows[i].n);
	}
}

static void
reads_words(void)
{
	static const struct {
		const char *list, *words;
		bool        email;
	} rows[] = {
		{ "email", "<email>", true },
		{ " a : Email\r\n\t: b ", "<a><Email><b>", true },
		{ "e mail:x", "<e mail><x>", false },
		{ "", "<>", false },
		{ "a::", "<a><><>", false },
		{ "emails:mail", "<emails><mail>", false },
		{ NULL, "", false },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv list = strv_z(rows[i].list), rest = list, one;
		char        all[64] = "";

		t_row = rows[i].words;
		while (tags_word(&rest, &one))
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "<%.*s>", (int)one.n,
			    one.p);
		T_EQ_TEXT(strv_z(all), rows[i].words);
		T_CHECK(tags_lists(list, SV("email")) == rows[i].email);
	}
	t_row = NULL;
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(reads_lists);
	T_RUN(reads_no_further_than_told);
	T_RUN(finds_by_name);
	T_RUN(takes_no_more_than_there_is_room_for);
	T_RUN(walks_past_bad_ones);
	T_RUN(undoes_folded_base64);
	T_RUN(writes_base64);
	T_RUN(reads_numbers);
	T_RUN(reads_words);
	return t_end();
}
