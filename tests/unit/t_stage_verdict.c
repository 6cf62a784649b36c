/* The tables of stages and verdicts: words both ways, legality, codes of one class. */
#include "proxy/mail/verdict.h"
#include "tests/unit/t.h"

static void
stages_have_words(void)
{
	enum stage back = STAGE_MAX;

	for (int i = 0; i < STAGE_MAX; i++) {
		t_row = stage_word((enum stage)i);
		T_CHECK(stage_find(strv_z(t_row), &back));
		T_EQ_NUM(back, i);
		T_CHECK(strlen(stage_when((enum stage)i)) > 5);
	}
	T_CHECK(!stage_find(SV("rcp"), &back));
	T_CHECK(!stage_find(SV("RCPT"), &back));
	T_CHECK(!stage_find(SV(""), &back));
}

/* Those that the policy language names, and no other. */
static void
stages_of_policies(void)
{
	static const char *const may[] = { "connect", "helo", "auth", "mail", "rcpt", "data",
		"message" };
	unsigned                 n = 0;
	enum stage               s;

	for (size_t i = 0; i < T_COUNT(may); i++)
		T_CHECK(stage_find(strv_z(may[i]), &s) && stage_in_policy(s));
	for (int i = 0; i < STAGE_MAX; i++)
		n += stage_in_policy((enum stage)i);
	T_EQ_NUM(n, T_COUNT(may));
}

static void
verdicts_have_words(void)
{
	enum verdict_kind back = VERDICT_MAX;

	for (int i = VERDICT_NONE + 1; i < VERDICT_MAX; i++) {
		t_row = verdict_word((enum verdict_kind)i);
		T_CHECK(verdict_find(strv_z(t_row), &back));
		T_EQ_NUM(back, i);
	}
	T_CHECK(!verdict_find(SV("continue"), &back));
	T_CHECK(!verdict_find(SV("rejec"), &back));
	T_CHECK(!verdict_find(SV(""), &back));
}

static void
verdicts_are_legal_where_they_make_sense(void)
{
	/* clang-format off */
	static const struct {
		enum verdict_kind kind;
		enum stage at;
		bool legal;
	} rows[] = {
		{ VERDICT_REJECT, STAGE_CONNECT, true },   { VERDICT_REJECT, STAGE_MESSAGE, true },
		{ VERDICT_REJECT, STAGE_BODY, false },     { VERDICT_DISCARD, STAGE_CONNECT, false },
		{ VERDICT_DISCARD, STAGE_HELO, false },    { VERDICT_DISCARD, STAGE_RCPT, true },
		{ VERDICT_QUARANTINE, STAGE_RCPT, false }, { VERDICT_QUARANTINE, STAGE_MESSAGE, true },
		{ VERDICT_TEMPFAIL, STAGE_AUTH, true },    { VERDICT_DISCONNECT, STAGE_DATA, true },
		{ VERDICT_DISCONNECT, STAGE_SEAL, false },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = verdict_word(rows[i].kind);
		T_EQ_NUM(verdict_legal(rows[i].kind, rows[i].at), rows[i].legal);
	}
}

static void
codes_and_classes_agree(void)
{
	/* clang-format off */
	static const struct {
		struct verdict v;
		unsigned code;
		const char *enh;
	} rows[] = {
		{ { .kind = VERDICT_REJECT }, 550, "5.7.1" },
		{ { .kind = VERDICT_TEMPFAIL }, 451, "4.7.1" },
		{ { .kind = VERDICT_DISCONNECT }, 421, "4.7.0" },
		{ { .kind = VERDICT_DISCARD }, 250, "2.0.0" },
		{ { .kind = VERDICT_REJECT, .code = 554 }, 554, "5.7.1" },
		{ { .kind = VERDICT_TEMPFAIL, .code = 450 }, 450, "4.7.1" },
		{ { .kind = VERDICT_DISCONNECT, .code = 421 }, 421, "4.7.0" },
		{ { .kind = VERDICT_DISCONNECT, .code = 554 }, 554, "5.7.1" },
		{ { .kind = VERDICT_REJECT, .code = 550, .enh = "5.7.23" }, 550, "5.7.23" },
		{ { .kind = VERDICT_REJECT, .enh = "5.1.8" }, 550, "5.1.8" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		T_EQ_NUM(verdict_code(&rows[i].v), rows[i].code);
		T_EQ_STR(verdict_enh(&rows[i].v), rows[i].enh);
	}
	T_CHECK(!verdict_final(&(struct verdict){ 0 }));
	T_CHECK(verdict_final(&rows[0].v));
}

static void
says_something_always(void)
{
	struct verdict v = { .kind = VERDICT_REJECT, .text = SV("go away") };

	T_EQ_TEXT(verdict_text(&v), "go away");
	for (int i = VERDICT_NONE + 1; i < VERDICT_MAX; i++) {
		v = (struct verdict){ .kind = (enum verdict_kind)i };
		T_CHECK(verdict_text(&v).n > 0);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(stages_have_words);
	T_RUN(stages_of_policies);
	T_RUN(verdicts_have_words);
	T_RUN(verdicts_are_legal_where_they_make_sense);
	T_RUN(codes_and_classes_agree);
	T_RUN(says_something_always);
	return t_end();
}
