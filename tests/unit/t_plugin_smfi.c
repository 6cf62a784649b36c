/*
 * t_plugin_smfi -- what a plugin calls: every smfi_* function says yes and no where libmilter does.
 */
#include "config.h"

#if HAVE_MILTER
#include "tests/unit/plugin_stand.h"

/* mfapi.h takes its texts as char *. */
static char *
text(const char *z)
{
	return (char *)(uintptr_t)z;
}

/* ---- edits ---- */

static int (*at_eom)(SMFICTX *ctx);
static unsigned long actions_wanted = 0x1ff;
static const char   *elsewhere; /* a callback in which at_eom runs as well; NULL: none */
static int           elsewhere_rc;

static int
run_at_eom(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)a;
	(void)n;
	if (strcmp(which, "negotiate") == 0)
		((unsigned long *)(uintptr_t)b)[0] = actions_wanted;
	if (elsewhere != NULL && strcmp(which, elsewhere) == 0)
		elsewhere_rc = at_eom(ctx);
	if (strcmp(which, "eom") == 0)
		elsewhere_rc = at_eom(ctx);
	return SMFIS_CONTINUE;
}

/* What an edit comes to, as milter.c gets it: "ADD_HEADER name=X value=y". */
static struct strv
print_answer(const struct milter_answer *x)
{
	struct strv v = arena_printf(arena, "%s", milter_answer_name(x->kind));
	const struct {
		const char *key;
		struct strv text;
	} texts[] = { { "text", x->text }, { "name", x->name }, { "value", x->value },
		{ "address", x->address }, { "params", x->params }, { "body", x->body } };

	if (x->kind == MILTER_ANS_INSERT_HEADER || x->kind == MILTER_ANS_CHANGE_HEADER)
		v = arena_printf(arena, "%s at=%u", v.p, x->at);
	for (unsigned i = 0; i < T_COUNT(texts); i++)
		if (texts[i].text.p != NULL)
			v = arena_printf(arena, "%s %s=%.*s", v.p, texts[i].key,
			    (int)texts[i].text.n, texts[i].text.p);
	return v;
}

static int
add(SMFICTX *x)
{
	return smfi_addheader(x, text("X-A"), text("v\n\tw"));
}

static int
add_empty_name(SMFICTX *x)
{
	return smfi_addheader(x, text(""), text("v"));
}

static int
add_no_value(SMFICTX *x)
{
	return smfi_addheader(x, text("X-A"), NULL);
}

static int
insert(SMFICTX *x)
{
	return smfi_insheader(x, 258, text("X-A"), text("v"));
}

static int
insert_below_0(SMFICTX *x)
{
	return smfi_insheader(x, -1, text("X-A"), text("v"));
}

static int
change(SMFICTX *x)
{
	return smfi_chgheader(x, text("Subject"), 2, text("v"));
}

static int delete (SMFICTX *x)
{
	return smfi_chgheader(x, text("Subject"), 1, NULL);
}

static int
change_below_0(SMFICTX *x)
{
	return smfi_chgheader(x, text("Subject"), -1, text("v"));
}

static int
from(SMFICTX *x)
{
	return smfi_chgfrom(x, text("<n@n.example>"), text("RET=HDRS"));
}

static int
from_null(SMFICTX *x)
{
	return smfi_chgfrom(x, text("<>"), NULL);
}

static int
from_empty(SMFICTX *x)
{
	return smfi_chgfrom(x, text(""), NULL);
}

static int
rcpt(SMFICTX *x)
{
	return smfi_addrcpt(x, text("<n@n.example>"));
}

static int
rcpt_none(SMFICTX *x)
{
	return smfi_addrcpt(x, NULL);
}

static int
rcpt_par(SMFICTX *x)
{
	return smfi_addrcpt_par(x, text("<n@n.example>"), text("NOTIFY=NEVER"));
}

static int
del(SMFICTX *x)
{
	return smfi_delrcpt(x, text("<u@c.example>"));
}

static int
body(SMFICTX *x)
{
	unsigned char new[] = "a\r\nb\r\n";

	return smfi_replacebody(x, new, 6);
}

static int
body_empty(SMFICTX *x)
{
	return smfi_replacebody(x, NULL, 0);
}

static int
body_nonsense(SMFICTX *x)
{
	return smfi_replacebody(x, NULL, 5);
}

static int
body_below_0(SMFICTX *x)
{
	return smfi_replacebody(x, (unsigned char *)text("x"), -1);
}

static int
quarantine(SMFICTX *x)
{
	return smfi_quarantine(x, text("looks odd"));
}

static int
quarantine_why(SMFICTX *x)
{
	return smfi_quarantine(x, text(""));
}

static int
progress(SMFICTX *x)
{
	return smfi_progress(x);
}

static const struct edit_case {
	const char *name;
	int (*fn)(SMFICTX *);
	unsigned long action; /* that it takes; 0: none, then it may be called anywhere */
	const char   *answer; /* NULL: MI_FAILURE, and nothing is staged */
	const char   *why;    /* then, as the log has it */
} edits[] = {
	{ "addheader", add, SMFIF_ADDHDRS, "ADD_HEADER name=X-A value=v\n\tw", NULL },
	{ "addheader, no name", add_empty_name, SMFIF_ADDHDRS, NULL, "no name of a field" },
	{ "addheader, no value", add_no_value, SMFIF_ADDHDRS, NULL, "no value of a field" },
	{ "insheader", insert, SMFIF_ADDHDRS, "INSERT_HEADER at=258 name=X-A value=v", NULL },
	{ "insheader, -1", insert_below_0, SMFIF_ADDHDRS, NULL, "a place below 0" },
	{ "chgheader", change, SMFIF_CHGHDRS, "CHANGE_HEADER at=2 name=Subject value=v", NULL },
	{ "chgheader, NULL deletes", delete, SMFIF_CHGHDRS,
	    "CHANGE_HEADER at=1 name=Subject value=", NULL },
	{ "chgheader, -1", change_below_0, SMFIF_CHGHDRS, NULL, "a place below 0" },
	{ "chgfrom", from, SMFIF_CHGFROM, "CHANGE_FROM address=<n@n.example> params=RET=HDRS",
	    NULL },
	{ "chgfrom, <>", from_null, SMFIF_CHGFROM, "CHANGE_FROM address=<>", NULL },
	{ "chgfrom, empty", from_empty, SMFIF_CHGFROM, NULL, "no address" },
	{ "addrcpt", rcpt, SMFIF_ADDRCPT, "ADD_RCPT address=<n@n.example>", NULL },
	{ "addrcpt, NULL", rcpt_none, SMFIF_ADDRCPT, NULL, "no address" },
	{ "addrcpt_par", rcpt_par, SMFIF_ADDRCPT_PAR,
	    "ADD_RCPT_PAR address=<n@n.example> params=NOTIFY=NEVER", NULL },
	{ "delrcpt", del, SMFIF_DELRCPT, "DELETE_RCPT address=<u@c.example>", NULL },
	{ "replacebody", body, SMFIF_CHGBODY, "REPLACE_BODY body=a\r\nb\r\n", NULL },
	{ "replacebody by nothing", body_empty, SMFIF_CHGBODY, "REPLACE_BODY body=", NULL },
	{ "replacebody, NULL", body_nonsense, SMFIF_CHGBODY, NULL, "no octets" },
	{ "replacebody, -1", body_below_0, SMFIF_CHGBODY, NULL, "no octets" },
	{ "quarantine", quarantine, SMFIF_QUARANTINE, "QUARANTINE text=looks odd", NULL },
	{ "quarantine, why?", quarantine_why, SMFIF_QUARANTINE, NULL, "no reason" },
	{ "progress", progress, 0, "PROGRESS", NULL },
};

/* The first answer to EOM. */
static struct strv
first_of_eom(void)
{
	struct milter_event  e = event(MILTER_CMD_EOM, "", NULL);
	struct milter_answer out = { .kind = MILTER_ANS_CONTINUE };

	T_EQ_NUM(end->kind->tell(end, &e, NULL, true, 0), MILTER_OK);
	T_EQ_NUM(end->kind->answer(end, &out, 0), MILTER_OK);
	return print_answer(&out);
}

static const char *
log_so_far(void)
{
	buf_addc(&logged, '\0');
	logged.n--;
	return logged.p;
}

/* "addheader, no name": smfi_addheader. */
static const char *
misuse_of(const struct edit_case *c, const char *because)
{
	return arena_printf(arena, "worker plugin-misuse name=p function=smfi_%.*s why=\"%s\"\n",
	    (int)strcspn(c->name, ", "), c->name, because)
	    .p;
}

static void
edits_are_staged(void)
{
	play = run_at_eom;
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct edit_case, c, edits)
	{
		t_row = c->name;
		at_eom = c->fn;
		buf_clear(&logged);
		T_CHECK(open_end());
		tell_letter('M');
		T_EQ_TEXT(first_of_eom(), c->answer == NULL ? "CONTINUE" : c->answer);
		T_EQ_NUM(elsewhere_rc, c->answer == NULL ? MI_FAILURE : MI_SUCCESS);
		T_EQ_STR(log_so_far(), c->answer == NULL ? misuse_of(c, c->why) : "");
		close_end();
	}
}

/* In libmilter's words it is no edit: it succeeds in any callback, comes before the answer, and means nothing else. */
static void
progress_may_come_at_any_time(void)
{
	struct milter_event  e = event(MILTER_CMD_BODY, "b", NULL);
	struct milter_answer out = { .kind = MILTER_ANS_CONTINUE };

	configure("tests/unit/plugin/hook", NULL);
	at_eom = progress;
	play = run_at_eom;
	elsewhere = "body";
	buf_clear(&logged);
	T_CHECK(open_end());
	tell_letter('M');
	T_EQ_NUM(end->kind->tell(end, &e, NULL, true, 0), MILTER_OK);
	T_EQ_NUM(elsewhere_rc, MI_SUCCESS);
	T_EQ_NUM(end->kind->answer(end, &out, 0), MILTER_OK);
	T_EQ_NUM(out.kind, MILTER_ANS_PROGRESS);
	T_CHECK(milter_answer_legal(out.kind, MILTER_CMD_BODY));
	T_EQ_NUM(end->kind->answer(end, &out, 0), MILTER_OK);
	T_EQ_NUM(out.kind, MILTER_ANS_CONTINUE);
	T_EQ_STR(log_so_far(), "");
	close_end();
	elsewhere = NULL;
}

/* Not before the end of the message, and not what was not asked for. */
static void
edits_are_refused(void)
{
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct edit_case, c, edits)
	{
		t_row = c->name;
		if (c->action == 0 || c->answer == NULL)
			continue;
		at_eom = c->fn;
		play = run_at_eom;
		actions_wanted = 0x1ff;
		elsewhere = "body";
		buf_clear(&logged);
		T_CHECK(open_end());
		tell_letter('M');
		T_EQ_STR(tell_letter('B'), "CONTINUE");
		T_EQ_NUM(elsewhere_rc, MI_FAILURE);
		T_EQ_STR(log_so_far(), misuse_of(c, "not at the end of a message"));
		close_end();
		elsewhere = NULL;
		actions_wanted = 0x1ff & ~c->action;
		buf_clear(&logged);
		T_CHECK(open_end());
		T_EQ_TEXT(first_of_eom(), "CONTINUE");
		T_EQ_NUM(elsewhere_rc, MI_FAILURE);
		T_EQ_STR(log_so_far(),
		    misuse_of(c, "not asked for, in xxfi_flags or by xxfi_negotiate"));
		close_end();
	}
	actions_wanted = 0x1ff;
}

static int
add_and_delete_amiss(SMFICTX *x)
{
	(void)rcpt_none(x);
	(void)add_empty_name(x);
	return add_no_value(x);
}

/* One line for each session and function, however often that is called; and another session says it again. */
static void
misuse_is_logged_once(void)
{
	play = run_at_eom;
	at_eom = add_and_delete_amiss;
	configure("tests/unit/plugin/hook", NULL);
	for (unsigned i = 0; i < 2; i++) {
		buf_clear(&logged);
		T_CHECK(open_end());
		for (unsigned k = 0; k < 3; k++) {
			tell_letter('M');
			T_EQ_TEXT(first_of_eom(), "CONTINUE");
		}
		T_EQ_STR(log_so_far(),
		    "worker plugin-misuse name=p function=smfi_addrcpt why=\"no address\"\n"
		    "worker plugin-misuse name=p function=smfi_addheader why=\"no name of a field\"\n");
		close_end();
	}
}

static int
many(SMFICTX *x)
{
	static unsigned char chunk[200000];
	unsigned             n = 0;

	memset(chunk, 'x', sizeof(chunk));
	while (n < 1000 && smfi_replacebody(x, chunk, (int)sizeof(chunk)) == MI_SUCCESS)
		n++;
	T_CHECKF(n > 300 && n < 400, "%u chunks of 200,000 went in", n);
	return MI_SUCCESS;
}

/* Large pieces are cut as libmilter cuts them; and there is an end to what is staged. */
static void
a_body_comes_in_pieces_and_has_a_ceiling(void)
{
	struct milter_event  e = event(MILTER_CMD_EOM, "", NULL);
	struct milter_answer out;
	size_t               sizes[4];

	play = run_at_eom;
	at_eom = many;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	T_EQ_NUM(end->kind->tell(end, &e, NULL, true, 0), MILTER_OK);
	for (unsigned i = 0; i < 4; i++) {
		T_EQ_NUM(end->kind->answer(end, &out, 0), MILTER_OK);
		sizes[i] = out.body.n;
	}
	T_EQ_NUM(sizes[0], 65535);
	T_EQ_NUM(sizes[2], 65535);
	T_EQ_NUM(sizes[3], 200000 - 3 * 65535);
	close_end();
}

/* ---- replies ---- */

static SMFICTX *ctx_of;

static int
keep_ctx(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)a;
	(void)b;
	(void)n;
	ctx_of = ctx;
	return strcmp(which, "envfrom") == 0 ? scene_returns : SMFIS_CONTINUE;
}

#define LONG100 \
	"1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678" \
	"901234567890"
#define LONG980 \
	LONG100 LONG100 LONG100 LONG100 LONG100 LONG100 LONG100 LONG100 LONG100 \
	    "12345678901234567890123456789012345678901234567890123456789012345678901234567890"

static const struct reply_case {
	const char *code, *enhanced, *line;
	bool        good;
} replies[] = {
	{ "550", "5.7.1", "no", true },
	{ "451", "4.3.0", "later", true },
	{ "550", NULL, "no", true },
	{ "550", "5.7.1", NULL, true },
	{ "550", NULL, NULL, true },
	{ "550", "5.7.123", LONG980, true },
	{ "550", "5.7.1", LONG980 "1", false },
	{ "550", "4.7.1", "libmilter compares no classes", true },
	{ NULL, NULL, "x", false },
	{ "250", NULL, "x", false },
	{ "650", NULL, "x", false },
	{ "5500", NULL, "x", false },
	{ "55", NULL, "x", false },
	{ "5x0", NULL, "x", false },
	{ "55x", NULL, "x", false },
	{ "550", "5.7", "x", false },
	{ "550", "5.7.", "x", false },
	{ "550", "5..1", "x", false },
	{ "550", "3.7.1", "x", false },
	{ "550", "5.1234.1", "x", false },
	{ "550", "5.7.1234", "x", false },
	{ "550", "5.7.1 ", "x", false },
	{ "550", "", "x", false },
	{ "550", "5.7.1", "a\nb", false },
	{ "550", "5.7.1", "a\rb", false },
};

static void
replies_are_checked(void)
{
	play = keep_ctx;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	tell_letter('H');
	T_TABLE(struct reply_case, c, replies)
	{
		int want = c->good ? MI_SUCCESS : MI_FAILURE;

		t_row = c->enhanced;
		T_EQ_NUM(
		    smfi_setreply(ctx_of, text(c->code), text(c->enhanced), text(c->line)), want);
		if (c->line != NULL)
			T_EQ_NUM(
			    smfi_setmlreply(ctx_of, c->code, c->enhanced, "first", c->line, NULL),
			    want);
	}
	t_row = NULL;
	T_EQ_NUM(smfi_setreply(NULL, text("550"), NULL, text("x")), MI_FAILURE);
	T_EQ_NUM(smfi_setmlreply(NULL, "550", NULL, "x", NULL), MI_FAILURE);
#define EIGHT "1", "2", "3", "4", "5", "6", "7", "8"
	T_EQ_NUM(
	    smfi_setmlreply(ctx_of, "550", NULL, EIGHT, EIGHT, EIGHT, EIGHT, NULL), MI_SUCCESS);
	T_EQ_NUM(smfi_setmlreply(ctx_of, "550", NULL, EIGHT, EIGHT, EIGHT, EIGHT, "9", NULL),
	    MI_FAILURE);
	close_end();
}

static const struct ml_case {
	const char *code, *enhanced, *one, *two;
	int         returns;
	const char *want;
} several[] = {
	{ "550", "5.7.1", "first", "100%% no", SMFIS_REJECT, "550 5.7.1 first\n100% no" },
	{ "550", NULL, "first", NULL, SMFIS_REJECT, "550 5.0.0 first" },
	{ "451", NULL, "first", "second", SMFIS_TEMPFAIL, "451 4.0.0 first\nsecond" },
};

static void
several_lines_arrive(void)
{
	struct milter_event  e = event(MILTER_CMD_MAIL, "<a@b.example>", NULL);
	struct milter_answer out;

	play = keep_ctx;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	tell_letter('H');
	T_TABLE(struct ml_case, c, several)
	{
		scene_returns = c->returns;
		T_EQ_NUM(smfi_setmlreply(ctx_of, c->code, c->enhanced, c->one, c->two, NULL),
		    MI_SUCCESS);
		T_EQ_NUM(end->kind->tell(end, &e, NULL, true, 0), MILTER_OK);
		if (!T_CHECKF(end->kind->answer(end, &out, 0) == MILTER_OK, "%s", end->why))
			continue;
		T_EQ_NUM(out.kind, MILTER_ANS_REPLYCODE);
		T_EQ_TEXT(arena_printf(
			      arena, "%u %s %.*s", out.code, out.enh, (int)out.text.n, out.text.p),
		    c->want);
	}
	close_end();
}

/* ---- macros ---- */

static void
macros_are_found(void)
{
	static const struct milter_macro connect[] = { { { "j", 1 }, { "mx.example", 10 } },
		{ { "{daemon_name}", 13 }, { "smtp", 4 } }, { { "{x}", 3 }, { "letter", 6 } },
		{ { "{nul}", 5 }, { "cut\0here", 8 } } };
	static const struct milter_macro mail[] = { { { "i", 1 }, { "ONE", 3 } } };
	static const struct milter_macro eom[] = { { { "i", 1 }, { "TWO", 3 } },
		{ { "e", 1 }, { "", 0 } } };
	struct milter_macros             m = { connect, 4 };
	struct milter_event              e = event(MILTER_CMD_CONNECT, "c.example", NULL);

	play = keep_ctx;
	scene_returns = SMFIS_CONTINUE;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	e.family = 'U';
	T_EQ_STR(tell_macros(&e, &m), "CONTINUE");
	T_EQ_STR(smfi_getsymval(ctx_of, text("j")), "mx.example");
	T_EQ_STR(smfi_getsymval(ctx_of, text("{j}")), "mx.example");
	T_EQ_STR(smfi_getsymval(ctx_of, text("{daemon_name}")), "smtp");
	T_CHECK(smfi_getsymval(ctx_of, text("daemon_name")) == NULL);
	T_EQ_STR(smfi_getsymval(ctx_of, text("x")), "letter");
	T_EQ_STR(smfi_getsymval(ctx_of, text("{nul}")), "cut");
	T_CHECK(smfi_getsymval(ctx_of, text("")) == NULL);
	T_CHECK(smfi_getsymval(ctx_of, NULL) == NULL);
	T_CHECK(smfi_getsymval(NULL, text("j")) == NULL);
	T_CHECK(smfi_getsymval(ctx_of, text("i")) == NULL);

	e = event(MILTER_CMD_MAIL, "<a@b.example>", NULL);
	m = (struct milter_macros){ mail, 1 };
	tell_macros(&e, &m);
	T_EQ_STR(smfi_getsymval(ctx_of, text("i")), "ONE");
	e = event(MILTER_CMD_EOM, "", NULL);
	m = (struct milter_macros){ eom, 2 };
	tell_macros(&e, &m);
	T_EQ_STR(smfi_getsymval(ctx_of, text("{i}")), "TWO"); /* the latest place */
	T_EQ_STR(smfi_getsymval(ctx_of, text("e")), "");
	T_EQ_STR(smfi_getsymval(ctx_of, text("j")), "mx.example");
	tell_letter(
	    'M'); /* a new message: what came behind MAIL is stale, what came with it stays */
	T_EQ_STR(smfi_getsymval(ctx_of, text("i")), "ONE");
	T_CHECK(smfi_getsymval(ctx_of, text("e")) == NULL);
	tell_letter('H');
	T_CHECK(smfi_getsymval(ctx_of, text("i")) == NULL);
	T_EQ_STR(smfi_getsymval(ctx_of, text("j")), "mx.example");
	close_end();
}

/* ---- what has no meaning here ---- */

int smfi_set_max_exec_time(unsigned int seconds);

static void
the_rest_does_nothing(void)
{
	unsigned int    v[3] = { 9, 9, 9 };
	struct smfiDesc d = { .xxfi_version = SMFI_VERSION };
	size_t          before;

	T_EQ_NUM(smfi_register(d), MI_FAILURE); /* nobody is being loaded */
	T_EQ_NUM(smfi_main(), MI_FAILURE);
	T_EQ_NUM(smfi_opensocket(true), MI_SUCCESS);
	T_EQ_NUM(smfi_setconn(text("inet:1")), MI_SUCCESS);
	T_EQ_NUM(smfi_setconn(text("")), MI_FAILURE);
	T_EQ_NUM(smfi_setconn(NULL), MI_FAILURE);
	T_EQ_NUM(smfi_setbacklog(5), MI_SUCCESS);
	T_EQ_NUM(smfi_setbacklog(0), MI_FAILURE);
	T_EQ_NUM(smfi_settimeout(5), MI_SUCCESS);
	T_EQ_NUM(smfi_setdbg(5), MI_SUCCESS);
	T_EQ_NUM(smfi_stop(), MI_SUCCESS);
	T_EQ_NUM(smfi_set_max_exec_time(5), MI_SUCCESS);
	before = smfi_setmaxdatasize(1000000);
	T_EQ_NUM(before, 65535);
	T_EQ_NUM(smfi_setmaxdatasize(before), 1000000);
	T_EQ_NUM(smfi_version(&v[0], &v[1], &v[2]), MI_SUCCESS);
	T_EQ_NUM(v[0] << 24 | v[1] << 8 | v[2], SMFI_VERSION);
	T_EQ_NUM(smfi_version(NULL, NULL, NULL), MI_SUCCESS);
	T_EQ_NUM(smfi_progress(NULL), MI_FAILURE);
	T_EQ_NUM(smfi_addheader(NULL, text("A"), text("b")), MI_FAILURE);
	T_EQ_NUM(smfi_setsymlist(NULL, 0, text("i")), MI_FAILURE);
}

int
main(int argc, char **argv)
{
	static void (*const tests[])(void) = { edits_are_staged, edits_are_refused,
		progress_may_come_at_any_time, misuse_is_logged_once,
		a_body_comes_in_pieces_and_has_a_ceiling, replies_are_checked, several_lines_arrive,
		macros_are_found, the_rest_does_nothing };

	t_begin(argc, argv);
	for (unsigned i = 0; i < T_COUNT(tests); i++)
		in_a_fiber(tests[i]);
	return t_end();
}

#else

#include "tests/unit/t.h"

int
main(void)
{
	T_SKIP("built --without-libmilter");
	return t_end();
}

#endif
