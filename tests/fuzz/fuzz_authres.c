/*
 * Authentication-Results.  The input is our id up to the first LF, then the value of a field.  A field of ours in any
 * dress is known as ours, and what we write of the same text is one legal field that names us.
 */
#include "proxy/base/arena.h"
#include "proxy/mail/authres.h"
#include "proxy/mail/edit.h"
#include "proxy/mail/path.h"
#include "tests/fuzz/fuzz.h"

static struct strv
join(struct arena *a, const char *front, struct strv v, const char *behind)
{
	return arena_concat(a, arena_concat(a, strv_z(front), v), strv_z(behind));
}

static bool
is_plain(struct strv id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_alpha(id.p[i]) && !ascii_is_digit(id.p[i]))
			return false;
	return id.n > 0 && id.n < 200;
}

static void
check_forged(struct arena *a, struct strv id, struct strv value)
{
	static const char *const front[] = { "A: ", "A:(c (d) \\) e)\r\n\t", "A:\r\n \"" };
	static const char *const behind[] = { "; spf=pass\r\n", " 2;\r\n", ". spf=pass\r\n",
		"\"\r\n", "(x)\r\n", "\r\n" };

	(void)authres_forges(join(a, "A:", value, "\r\n"), id);
	(void)authres_forges(value, id);
	if (!is_plain(id))
		return;
	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 6; k++)
			FUZZ_CHECK(authres_forges(join(a, front[i], id, behind[k]), id));
	FUZZ_CHECK(authres_forges(join(a, "A: ", id, arena_z(a, join(a, ";", value, "\r\n"))), id));
	FUZZ_CHECK(!authres_forges(join(a, "A: other.example.", id, "; none\r\n"), id));
}

/* A quoted string has its end where it ends, and a token none of what parts results. */
static void
check_value(struct strv v)
{
	size_t i;

	FUZZ_CHECK(v.n > 0 && v.n <= 802 && utf8_valid(v));
	for (i = 0; i < v.n; i++)
		FUZZ_CHECK((unsigned char)v.p[i] >= ' ' && v.p[i] != 0x7f);
	if (v.p[0] != '"') {
		for (i = 0; i < v.n; i++)
			FUZZ_CHECK(strchr(" ()<>,;:\\\"/[]?=", v.p[i]) == NULL);
		return;
	}
	for (i = 1; i < v.n && v.p[i] != '"'; i++)
		i += v.p[i] == '\\';
	FUZZ_CHECK(i == v.n - 1);
}

static void
check_words(struct strv v)
{
	FUZZ_CHECK(v.n <= 100 && utf8_valid(v));
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK((unsigned char)v.p[i] >= ' ' && strchr("()\\\"\x7f", v.p[i]) == NULL);
}

static void
check_field(struct arena *a, struct strv id, struct strv text)
{
	struct strv results[4] = { text, authres_value(a, text),
		join(a, "a=b c=", authres_value(a, text), ""),
		join(a, "a=b (", authres_words(a, text), ")") };
	struct strv all = authres_field(a, authres_id(a, id), results, text.n % 5), line;
	struct edit e = { .op = EDIT_INSERT_HEADER, .name = SV("A"), .value = all };
	const char *why;

	FUZZ_CHECK(all.n <= AUTHRES_FIELD_MAX && edit_check(&e, &why));
	FUZZ_CHECK(!is_plain(id) || authres_forges(join(a, "A: ", all, "\r\n"), id));
	while (all.p != NULL) {
		line = strv_cut(&all, '\n');
		FUZZ_CHECK(line.n <= 998);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   value = strv((const char *)data, n), id = strv_cut(&value, '\n');

	if (value.p == NULL)
		value = strv("", 0);
	check_forged(a, id, value);
	check_value(authres_value(a, value));
	check_words(authres_words(a, value));
	check_field(a, id, value);
	arena_free(a);
	return 0;
}
