/* What milters change: fields as they were shown them, all or none, and what the next one sees of it. */
#include "config.h"

#include <strings.h>

#include "tests/unit/milter_play.h"

#define ADD MILTER_ANS_ADD_HEADER
#define INS MILTER_ANS_INSERT_HEADER
#define CHG MILTER_ANS_CHANGE_HEADER
#define OLD "A: 1\r\nB: 2\r\nA: 3\r\nX-Postern-Q: 9\r\nA: 4\r\n"

static void
open_message(void)
{
	at(STAGE_CONNECT);
	helo("mx.example");
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	at(STAGE_DATA);
	for (unsigned i = 0; i < MADE_UP; i++)
		(void)told(i);
}

/* clang-format off */
static const struct {
	const char *name;
	struct { enum milter_answer_kind kind; uint32_t at; const char *name, *value; } e[5];
	const char *want;
} rows[] = {
	{ "nothing", { { 0 } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "add", { { ADD, 0, "C", "5" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nC: 5\r\n" },
	{ "add folded", { { ADD, 0, "C", "5\n\t6" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nC: 5\r\n\t6\r\n" },
	{ "add an empty one", { { ADD, 0, "C", "" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nC: \r\n" },
	{ "a blank of its own", { { ADD, 0, "C", " 5" }, { INS, 1, "D", "\t6" }, { CHG, 1, "B", "  7" } },
	    "D: \t6\r\nA: 1\r\nB:   7\r\nA: 3\r\nA: 4\r\nC:  5\r\n" },
	{ "add folded at once", { { ADD, 0, "C", "\n 5" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nC: \r\n 5\r\n" },
	{ "change the first", { { CHG, 1, "A", "x" } }, "A: x\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "0 is 1", { { CHG, 0, "a", "x" } }, "a: x\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "change the last", { { CHG, 3, "A", "x" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: x\r\n" },
	{ "change what is not there", { { CHG, 4, "A", "x" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nA: x\r\n" },
	{ "change what is not there at all", { { CHG, 4294967295u, "Z", "x" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nZ: x\r\n" },
	{ "delete what is not there", { { CHG, 4, "A", "" }, { CHG, 1, "Z", "" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "what is hidden is not there", { { CHG, 1, "X-Postern-Q", "" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "delete from the front", { { CHG, 1, "A", "" }, { CHG, 2, "A", "" }, { CHG, 3, "A", "" } }, "B: 2\r\n" },
	{ "delete from the back", { { CHG, 3, "A", "" }, { CHG, 2, "A", "" }, { CHG, 1, "A", "" } }, "B: 2\r\n" },
	{ "delete the same twice", { { CHG, 1, "A", "" }, { CHG, 1, "A", "" } }, "B: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "change behind a deletion", { { CHG, 1, "A", "" }, { CHG, 3, "A", "x" } }, "B: 2\r\nA: 3\r\nA: x\r\n" },
	{ "change what was deleted", { { CHG, 1, "A", "" }, { CHG, 1, "A", "x" } }, "B: 2\r\nA: 3\r\nA: 4\r\nA: x\r\n" },
	{ "what it adds does not count", { { INS, 0, "A", "0" }, { CHG, 1, "A", "x" }, { CHG, 3, "A", "" } },
	    "A: 0\r\nA: x\r\nB: 2\r\nA: 3\r\n" },
	{ "nor behind", { { ADD, 0, "A", "5" }, { CHG, 4, "A", "" } }, "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nA: 5\r\n" },
	{ "change twice", { { CHG, 2, "A", "x" }, { CHG, 2, "A", "y" } }, "A: 1\r\nB: 2\r\nA: y\r\nA: 4\r\n" },
	/* Our own Received, which nobody is shown, is field 1 of places. */
	{ "insert in front", { { INS, 0, "C", "5" } }, "C: 5\r\nA: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "insert behind ours", { { INS, 1, "C", "5" } }, "C: 5\r\nA: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "insert between", { { INS, 2, "C", "5" } }, "A: 1\r\nC: 5\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "insert in front, then behind", { { INS, 0, "C", "5" }, { INS, 1, "D", "6" }, { INS, 3, "E", "7" } },
	    "C: 5\r\nD: 6\r\nE: 7\r\nA: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "insert twice in front", { { INS, 0, "C", "5" }, { INS, 0, "D", "6" } },
	    "D: 6\r\nC: 5\r\nA: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\n" },
	{ "insert far behind", { { ADD, 0, "C", "5" }, { INS, 4294967295u, "D", "6" } },
	    "A: 1\r\nB: 2\r\nA: 3\r\nA: 4\r\nC: 5\r\nD: 6\r\n" },
	{ "insert behind a deletion", { { CHG, 1, "A", "" }, { INS, 2, "C", "5" } }, "B: 2\r\nC: 5\r\nA: 3\r\nA: 4\r\n" },
	/* A field that would be two, and names that are none. */
	{ "a stray LF", { { ADD, 0, "C", "5\nD: 6" } }, NULL },
	{ "a stray CR", { { ADD, 0, "C", "5\rD" } }, NULL },
	{ "a name with a colon", { { ADD, 0, "C:D", "5" } }, NULL },
	{ "a name with a line", { { CHG, 1, "C\n", "5" } }, NULL },
	{ "no name", { { INS, 1, "", "5" } }, NULL },
	{ "good ones before a bad one", { { ADD, 0, "C", "5" }, { CHG, 1, "A", "" }, { ADD, 0, "D E", "5" } }, NULL },
};
/* clang-format on */

static void
fields_are_counted_as_they_were_shown(void)
{
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		setup(1);
		for (size_t j = 0; j < T_COUNT(rows[i].e) && rows[i].e[j].name != NULL; j++)
			answers(0, MILTER_CMD_EOM,
			    field(rows[i].e[j].kind, rows[i].e[j].at, rows[i].e[j].name,
				rows[i].e[j].value));
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_STR(header_now(), rows[i].want != NULL ? rows[i].want : rows[0].want);
		T_EQ_NUM(advice_of(0)->failed, rows[i].want == NULL);
		T_EQ_STR(fact_of(0), rows[i].want == NULL ? "?" : "continue");
		if (rows[i].want == NULL) {
			T_EQ_NUM(s.edits.n, 0);
			T_EQ_NUM(made[0].open, 0);
			T_CHECK(strstr(s.log, "command=EOM") != NULL);
		} else if (s.edits.n > 0)
			T_EQ_TEXT(s.edits.v[0].by, "milter m0");
		teardown();
	}
	t_row = NULL;
}

static void
an_mbox_line_is_no_field(void)
{
	setup(1);
	answers(0, MILTER_CMD_EOM, field(INS, 0, "C", "5"));
	answers(0, MILTER_CMD_EOM, field(INS, 3, "D", "6"));
	open_message();
	text("From x@y Mon\r\nA: 1\r\n\r\n");
	T_TOLD(0, "HEADER A:1|EOH|EOM|");
	T_EQ_STR(header_now(), "C: 5\r\nA: 1\r\nD: 6\r\n");
	teardown();
}

static void
leading_space_keeps_values_as_they_are(void)
{
	setup(1);
	made[0].theirs.protocol = MILTER_LEADING_SPACE;
	answers(0, MILTER_CMD_EOM, field(ADD, 0, "C", "5"));
	answers(0, MILTER_CMD_EOM, field(ADD, 0, "D", "  6"));
	open_message();
	text("A:1\r\nB:  2\r\n\r\n");
	T_TOLD(0, "HEADER A:1|HEADER B:  2|EOH|EOM|");
	T_EQ_STR(header_now(), "A:1\r\nB:  2\r\nC:5\r\nD:  6\r\n");
	teardown();
}

/* ---- who may do what ---- */

static struct milter_answer
address(enum milter_answer_kind kind, const char *who, const char *params)
{
	return (
	    struct milter_answer){ .kind = kind, .address = strv_z(who), .params = strv_z(params) };
}

static struct milter_answer
body(const char *octets, size_t n)
{
	return (struct milter_answer){ .kind = MILTER_ANS_REPLACE_BODY, .body = strv(octets, n) };
}

static struct milter_answer
any_edit(enum milter_answer_kind kind)
{
	struct milter_answer a = field(kind, 1, "C", "5");

	a.address = SV("<n@d.example>");
	a.body = SV("new\r\n");
	a.text = SV("why");
	return a;
}

static void
nobody_does_what_was_not_agreed(void)
{
	static const uint32_t of[] = {
		[MILTER_ANS_ADD_RCPT] = MILTER_ADD_RCPTS,
		[MILTER_ANS_ADD_RCPT_PAR] = MILTER_ADD_RCPTS_PAR,
		[MILTER_ANS_DELETE_RCPT] = MILTER_DELETE_RCPTS,
		[MILTER_ANS_CHANGE_FROM] = MILTER_MAY_CHANGE_FROM,
		[MILTER_ANS_ADD_HEADER] = MILTER_ADD_HEADERS,
		[MILTER_ANS_INSERT_HEADER] = MILTER_ADD_HEADERS,
		[MILTER_ANS_CHANGE_HEADER] = MILTER_CHANGE_HEADERS,
		[MILTER_ANS_REPLACE_BODY] = MILTER_CHANGE_BODY,
		[MILTER_ANS_QUARANTINE] = MILTER_MAY_QUARANTINE,
	};

	for (enum milter_answer_kind k = MILTER_ANS_ADD_RCPT; k <= MILTER_ANS_QUARANTINE; k++)
		for (unsigned agreed = 0; agreed < 2; agreed++) {
			t_row = milter_answer_name(k);
			setup(1);
			made[0].theirs.actions = agreed ? of[k] : 0x1ff & ~of[k];
			answers(0, MILTER_CMD_EOM, any_edit(k));
			open_message();
			text(OLD "\r\nbody\r\n");
			T_EQ_NUM(advice_of(0)->failed, !agreed);
			T_EQ_NUM(s.edits.n, agreed && k != MILTER_ANS_QUARANTINE);
			T_EQ_NUM(advice_of(0)->say.kind,
			    agreed && k == MILTER_ANS_QUARANTINE ? VERDICT_QUARANTINE :
								   VERDICT_NONE);
			teardown();
		}
	t_row = NULL;
}

/* ---- the envelope ---- */

static void
addresses_must_be_some(void)
{
	static char long_one[100 * 1024];
	static const struct {
		const char             *name;
		enum milter_answer_kind kind;
		const char             *who, *params;
		int                     op; /* -1: it fails */
		const char             *value;
		const char             *kept; /* NULL: params, as they came */
	} e[] = {
		{ "add", MILTER_ANS_ADD_RCPT, "<n@d.example>", NULL, EDIT_ADD_RCPT, "n@d.example",
		    NULL },
		{ "without brackets", MILTER_ANS_ADD_RCPT, "n@d.example", NULL, EDIT_ADD_RCPT,
		    "n@d.example", NULL },
		{ "with parameters", MILTER_ANS_ADD_RCPT_PAR, "<n@d.example>", "NOTIFY=NEVER",
		    EDIT_ADD_RCPT, "n@d.example", NULL },
		{ "delete", MILTER_ANS_DELETE_RCPT, "<c@d.example>", NULL, EDIT_DELETE_RCPT,
		    "c@d.example", NULL },
		{ "sender", MILTER_ANS_CHANGE_FROM, "<n@b.example>", "RET=HDRS", EDIT_CHANGE_FROM,
		    "n@b.example", NULL },
		{ "no sender", MILTER_ANS_CHANGE_FROM, "<>", NULL, EDIT_CHANGE_FROM, "<>", NULL },
		{ "an empty sender", MILTER_ANS_CHANGE_FROM, "", NULL, EDIT_CHANGE_FROM, "<>",
		    NULL },
		{ "no recipient", MILTER_ANS_ADD_RCPT, "<>", NULL, -1, NULL, NULL },
		{ "no address", MILTER_ANS_ADD_RCPT, "a b", NULL, -1, NULL, NULL },
		{ "a second command", MILTER_ANS_ADD_RCPT, "<n@d.example>\r\nDATA", NULL, -1, NULL,
		    NULL },
		{ "a CR in it", MILTER_ANS_DELETE_RCPT, "<n@d.example\r>", NULL, -1, NULL, NULL },
		{ "100 KB", MILTER_ANS_ADD_RCPT, long_one, NULL, -1, NULL, NULL },
		{ "SIZE", MILTER_ANS_CHANGE_FROM, "<n@b.example>", "SIZE=1", EDIT_CHANGE_FROM,
		    "n@b.example", "" },
		{ "BODY", MILTER_ANS_CHANGE_FROM, "<n@b.example>", "RET=HDRS body=8BITMIME",
		    EDIT_CHANGE_FROM, "n@b.example", "RET=HDRS" },
		{ "those of a message", MILTER_ANS_CHANGE_FROM, "<n@b.example>",
		    "FOO=1  ret=full ENVID=a+2Bb SMTPUTF8 NOTIFY=NEVER gr\303\274n",
		    EDIT_CHANGE_FROM, "n@b.example", "ret=full ENVID=a+2Bb SMTPUTF8" },
		{ "those of a recipient", MILTER_ANS_ADD_RCPT_PAR, "<n@d.example>",
		    "NOTIFY=SUCCESS,Delay RET=HDRS ORCPT=rfc822;a RET", EDIT_ADD_RCPT,
		    "n@d.example", "NOTIFY=SUCCESS,Delay ORCPT=rfc822;a" },
		{ "no name", MILTER_ANS_ADD_RCPT_PAR, "<n@d.example>", "=1", EDIT_ADD_RCPT,
		    "n@d.example", "" },
		{ "a line in parameters", MILTER_ANS_ADD_RCPT_PAR, "<n@d.example>",
		    "NOTIFY=NEVER\r\nRSET", -1, NULL, NULL },
	};

	memset(long_one, 'a', sizeof(long_one) - 1);
	memcpy(long_one + sizeof(long_one) - 12, "@d.example", 11);
	for (size_t i = 0; i < T_COUNT(e); i++) {
		t_row = e[i].name;
		setup(1);
		answers(0, MILTER_CMD_EOM, field(ADD, 0, "C", "5"));
		answers(0, MILTER_CMD_EOM, address(e[i].kind, e[i].who, e[i].params));
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_NUM(advice_of(0)->failed, e[i].op < 0);
		T_EQ_NUM(s.edits.n, e[i].op < 0 ? 0 : 2);
		if (e[i].op >= 0 && s.edits.n == 2) {
			T_EQ_NUM(s.edits.v[1].op, e[i].op);
			T_EQ_TEXT(s.edits.v[1].value, e[i].value);
			T_EQ_STRV(s.edits.v[1].params,
			    strv_z(e[i].kept != NULL ? e[i].kept : e[i].params));
			T_EQ_NUM(strstr(s.log, "milter-misuse") != NULL, e[i].kept != NULL);
		}
		teardown();
	}
	t_row = NULL;
}

/* ---- bodies ---- */

static void
bodies_are_text(void)
{
	static const struct {
		const char *name;
		const char *piece[3];
		const char *want; /* NULL: it fails */
	} e[] = {
		{ "one", { "new\r\n" }, "new\r\n" },
		{ "pieces", { "n", "ew\r", "\nx\r\n" }, "new\r\nx\r\n" },
		{ "lines that end with LF", { "a\nb\n", "\nc", "\n" }, "a\r\nb\r\n\r\nc\r\n" },
		{ "the last line is ended", { "a" }, "a\r\n" },
		{ "nothing", { "" }, "" },
		{ "dots are not ours", { ".\r\n" }, ".\r\n" },
		{ "a stray CR", { "a\rb\r\n" }, "a b\r\n" },
		{ "a CR between pieces", { "a\r", "b\r\n" }, "a b\r\n" },
		{ "a CR, nothing, an LF", { "a\r", "", "\nb" }, "a\r\nb\r\n" },
		{ "pieces of a CR", { "\r", "\r", "\n" }, " \r\n" },
		{ "CR CR LF", { "a\r\r\n" }, "a \r\n" },
		{ "CR LF CR LF LF", { "\r\n\r\n\nb\rc" }, "\r\n\r\n\r\nb c\r\n" },
		{ "a CR at the end", { "a\r\n\r" }, "a\r\n \r\n" },
	};

	for (size_t i = 0; i < T_COUNT(e); i++) {
		t_row = e[i].name;
		setup(1);
		for (unsigned j = 0; j < 3 && e[i].piece[j] != NULL; j++)
			answers(0, MILTER_CMD_EOM, body(e[i].piece[j], strlen(e[i].piece[j])));
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_NUM(advice_of(0)->failed, e[i].want == NULL);
		T_EQ_STR(body_now(), e[i].want != NULL ? e[i].want : "body\r\n");
		teardown();
	}
	t_row = "a NUL";
	setup(1);
	answers(0, MILTER_CMD_EOM, body("a\0b\r\n", 5));
	open_message();
	text(OLD "\r\nbody\r\n");
	T_CHECK(advice_of(0)->failed);
	T_EQ_STR(body_now(), "body\r\n");
	teardown();
	t_row = NULL;
}

/* Runs of a line are gathered before they are put away: across the ends of pieces nothing is lost or turned. */
static void
a_new_body_of_short_lines(void)
{
	static char lines[5000], want[7501];
	size_t      n = 0;

	for (size_t i = 0; i < sizeof(lines); i++) {
		lines[i] = i % 2 == 0 ? (char)('a' + i / 2 % 26) : '\n';
		if (lines[i] == '\n')
			want[n++] = '\r';
		want[n++] = lines[i];
	}
	setup(1);
	answers(0, MILTER_CMD_EOM, body(lines, 3001));
	answers(0, MILTER_CMD_EOM, body(lines + 3001, sizeof(lines) - 3001));
	open_message();
	text(OLD "\r\nbody\r\n");
	T_CHECK(!advice_of(0)->failed);
	T_EQ_STR(body_now(), want);
	teardown();
}

/* It may be 64 MiB longer than the old one. */
static void
a_new_body_has_a_ceiling(void)
{
	static char lines[1 << 20];

	memset(lines, 'x', sizeof(lines));
	for (unsigned more = 0; more < 2; more++) {
		setup(1);
		for (unsigned i = 0; i < 16; i++)
			answers(0, MILTER_CMD_EOM, body(lines, sizeof(lines)));
		if (more)
			endless_field = body(lines, sizeof(lines));
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_NUM(advice_of(0)->failed, more);
		T_EQ_NUM(strstr(s.log, "a body that is too long") != NULL, more);
		endless_field = (struct milter_answer){ 0 };
		teardown();
	}
}

static void
fields_have_a_ceiling_together(void)
{
	static char value[63 * 1024 + 1];

	memset(value, 'v', sizeof(value) - 1);
	for (unsigned n = 16; n <= 17; n++) {
		setup(1);
		for (unsigned i = 0; i < n; i++)
			answers(0, MILTER_CMD_EOM, field(CHG, 1, "A", value));
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_NUM(advice_of(0)->failed, n > 16);
		teardown();
	}
}

/* ---- all or none ---- */

static void
half_a_change_is_none(void)
{
	static const struct {
		const char             *name;
		enum milter_rc          rc;
		enum milter_answer_kind last;
		bool                    keeps;
	} e[] = {
		{ "continue", MILTER_OK, MILTER_ANS_CONTINUE, true },
		{ "accept", MILTER_OK, MILTER_ANS_ACCEPT, true },
		{ "reject", MILTER_OK, MILTER_ANS_REJECT, false },
		{ "tempfail", MILTER_OK, MILTER_ANS_TEMPFAIL, false },
		{ "discard", MILTER_OK, MILTER_ANS_DISCARD, false },
		{ "shutdown", MILTER_OK, MILTER_ANS_SHUTDOWN, false },
		{ "gone", MILTER_GONE, 0, false },
		{ "late", MILTER_LATE, 0, false },
		{ "garbage", MILTER_GARBAGE, 0, false },
		{ "skip", MILTER_OK, MILTER_ANS_SKIP, false },
		{ "cancelled", MILTER_CANCELLED, 0, false },
	};

	for (size_t i = 0; i < T_COUNT(e); i++) {
		t_row = e[i].name;
		setup(2);
		answers(0, MILTER_CMD_EOM, field(ADD, 0, "Z", "0"));
		for (enum milter_answer_kind k = MILTER_ANS_ADD_RCPT; k < MILTER_ANS_QUARANTINE;
		     k++)
			answers(1, MILTER_CMD_EOM, any_edit(k));
		answers(1, MILTER_CMD_EOM, body("half", 4));
		if (e[i].rc != MILTER_OK)
			breaks(1, MILTER_CMD_EOM, e[i].rc);
		else
			says(1, MILTER_CMD_EOM, e[i].last);
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_STR(body_now(), e[i].keeps ? "new\r\nhalf\r\n" : "body\r\n");
		/* What another one has changed stays. */
		T_EQ_NUM(s.edits.n, e[i].keeps ? 9 : 1);
		T_EQ_TEXT(s.edits.v[0].by, "milter m0");
		T_CHECK(!advice_of(0)->failed);
		teardown();
	}
	t_row = NULL;
}

static void
too_many_changes_are_none(void)
{
	setup(1);
	endless_field = field(ADD, 0, "C", "5");
	open_message();
	text(OLD "\r\nbody\r\n");
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(s.edits.n, 0);
	T_CHECK(strstr(s.log, "too many edits") != NULL);
	teardown();
	/* Also such as change nothing. */
	setup(1);
	endless_field = field(CHG, 1, "Z", "");
	open_message();
	text(OLD "\r\nbody\r\n");
	T_CHECK(advice_of(0)->failed);
	T_CHECK(strstr(s.log, "too many edits") != NULL);
	teardown();
	setup(1);
	endless_field = (struct milter_answer){ .kind = MILTER_ANS_QUARANTINE, .text = SV("x") };
	open_message();
	text(OLD "\r\nbody\r\n");
	T_CHECK(advice_of(0)->failed);
	T_CHECK(!verdict_final(&advice_of(0)->say));
	endless_field = (struct milter_answer){ 0 };
	teardown();
}

/* 2000 are the most that there may be; what is put in behind the milters has room among them. */
static void
some_changes_are_kept_for_ours(void)
{
	for (unsigned n = 1900; n <= 1901; n++) {
		setup(1);
		endless_field = field(ADD, 0, "C", "5");
		endless_left = n;
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_NUM(advice_of(0)->failed, n > 1900);
		T_EQ_NUM(s.edits.n, n > 1900 ? 0 : n);
		endless_field = (struct milter_answer){ 0 };
		endless_left = (unsigned)-1;
		teardown();
	}
}

static void
quarantine_holds_unless_it_is_refused(void)
{
	static const struct {
		enum milter_answer_kind last;
		enum verdict_kind       say;
		const char             *fact;
	} e[] = {
		{ MILTER_ANS_CONTINUE, VERDICT_QUARANTINE, "quarantine" },
		{ MILTER_ANS_ACCEPT, VERDICT_QUARANTINE, "quarantine" },
		{ MILTER_ANS_REJECT, VERDICT_REJECT, "reject" },
		{ MILTER_ANS_DISCARD, VERDICT_DISCARD, "discard" },
		{ MILTER_ANS_SKIP, VERDICT_NONE, "?" },
	};

	for (size_t i = 0; i < T_COUNT(e); i++) {
		t_row = milter_answer_name(e[i].last);
		setup(1);
		answers(0, MILTER_CMD_EOM,
		    (struct milter_answer){
			.kind = MILTER_ANS_QUARANTINE, .text = SV("it smells") });
		says(0, MILTER_CMD_EOM, e[i].last);
		open_message();
		text(OLD "\r\nbody\r\n");
		T_EQ_NUM(advice_of(0)->say.kind, e[i].say);
		T_EQ_STR(fact_of(0), e[i].fact);
		if (e[i].say == VERDICT_QUARANTINE)
			T_EQ_TEXT(advice_of(0)->say.text, "it smells");
		teardown();
	}
	t_row = NULL;
}

/* Twice 200 s, of 300 for an answer. */
static void
progress_begins_the_time_anew(void)
{
	uint64_t before;

	setup(1);
	says(0, MILTER_CMD_EOM, MILTER_ANS_PROGRESS);
	answers(0, MILTER_CMD_EOM, field(ADD, 0, "C", "5"));
	says(0, MILTER_CMD_EOM, MILTER_ANS_PROGRESS);
	open_message();
	before = made_now;
	text(OLD "\r\nbody\r\n");
	T_CHECK(!advice_of(0)->failed);
	T_EQ_NUM(made_now - before, 400000);
	T_EQ_NUM(s.edits.n, 1);
	teardown();
}

/* Elsewhere, too: twice 200 s, of 30 for an answer (made_answer holds each to that), and none is one. */
static void
progress_is_heard_at_any_command(void)
{
	uint64_t before;

	setup(1);
	for (enum milter_command c = MILTER_CMD_CONNECT; c <= MILTER_CMD_BODY; c++) {
		says(0, c, MILTER_ANS_PROGRESS);
		says(0, c, MILTER_ANS_PROGRESS);
	}
	says(0, MILTER_CMD_BODY, MILTER_ANS_REJECT);
	before = made_now;
	open_message();
	T_EQ_NUM(made_now - before, 5 * 400000);
	T_EQ_STR(fact_of(0), "continue");
	text("A: 1\r\n\r\nbody\r\n");
	T_EQ_NUM(made_now - before, 8 * 400000);
	T_CHECK(!advice_of(0)->failed);
	T_EQ_STR(fact_of(0), "reject");
	teardown();
}

/* As many as at the end of a message. */
static void
progress_comes_to_an_end(void)
{
	for (unsigned more = 0; more < 2; more++) {
		setup(1);
		endless_field = (struct milter_answer){ .kind = MILTER_ANS_PROGRESS };
		endless_at = MILTER_CMD_MAIL;
		endless_left = 100000 + EDITS_MAX - 1 + more;
		open_message();
		T_EQ_NUM(advice_of(0)->failed, more);
		T_EQ_NUM(strstr(s.log, "command=MAIL") != NULL, more);
		T_EQ_NUM(strstr(s.log, "it comes to no end") != NULL, more);
		endless_field = (struct milter_answer){ 0 };
		endless_at = MILTER_CMD_EOM;
		endless_left = (unsigned)-1;
		teardown();
	}
}

static void
one_misuse_a_session_is_logged(void)
{
	const char *line;

	setup(1);
	for (unsigned i = 0; i < 2; i++)
		answers(0, MILTER_CMD_EOM,
		    address(MILTER_ANS_CHANGE_FROM, "<n@b.example>", "BODY=7BIT SIZE=1"));
	open_message();
	text(OLD "\r\nbody\r\n");
	end();
	answers(0, MILTER_CMD_EOM, address(MILTER_ANS_CHANGE_FROM, "<n@b.example>", "BODY=7BIT"));
	whole_message(OLD "\r\nbody\r\n");
	line = strstr(s.log, "milter-misuse");
	T_CHECK(line != NULL && strstr(line + 1, "milter-misuse") == NULL);
	T_CHECK(
	    strstr(s.log,
		"milter-misuse name=m0 command=EOM what=CHANGE_FROM why=\"no parameter for a milter to "
		"say\" parameter=BODY=7BIT\n") != NULL);
	teardown();
}

static void
a_later_one_sees_what_those_before_it_did(void)
{
	setup(3);
	answers(0, MILTER_CMD_EOM, field(CHG, 1, "A", ""));
	answers(0, MILTER_CMD_EOM, field(INS, 0, "T", "0"));
	answers(0, MILTER_CMD_EOM, body("new\r\n", 5));
	/* Its first A is the second of the message; 1 is behind our Received, below T. */
	answers(1, MILTER_CMD_EOM, field(CHG, 1, "A", "x"));
	answers(1, MILTER_CMD_EOM, field(INS, 2, "U", "1"));
	open_message();
	text("A: 1\r\nB: 2\r\nA: 3\r\n\r\nold\r\n");
	T_TOLD(0, "HEADER A:1|HEADER B:2|HEADER A:3|EOH|BODY old\r\n|EOM|");
	T_TOLD(1, "HEADER T:0|HEADER B:2|HEADER A:3|EOH|BODY new\r\n|EOM|");
	T_TOLD(2, "HEADER T:0|HEADER U:1|HEADER B:2|HEADER A:x|EOH|BODY new\r\n|EOM|");
	T_EQ_STR(header_now(), "T: 0\r\nU: 1\r\nB: 2\r\nA: x\r\n");
	end();
	/* The next message has a Received of its own. */
	answers(1, MILTER_CMD_EOM, field(INS, 1, "U", "1"));
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	text("A: 1\r\n\r\n");
	T_EQ_STR(header_now(), "U: 1\r\nA: 1\r\n");
	teardown();
}

/* ---- the same in the simple way ---- */

#define MODEL_FIELDS 64
#define MODEL_EDITS  40

struct model_field {
	const char *
	    name; /* as it is spelled now; NULL: our own Received, which places count and nobody is shown */
	unsigned value;
	bool     shown, gone;
};

struct model {
	struct model_field f[MODEL_FIELDS + MODEL_EDITS];
	unsigned           n;
};

static uint32_t
draw(uint32_t below)
{
	static uint64_t state = 1;

	return (uint32_t)(t_random(&state) % below);
}

/* Names of which some are the same. */
static const char *
draw_name(void)
{
	static const char *const names[] = { "A", "a", "Bb", "bB", "Ab", "Long-Name", "LONG-NAME",
		"X", "Z" };

	return names[draw(T_COUNT(names))];
}

static void
model_insert(struct model *m, unsigned place, struct model_field f)
{
	memmove(&m->f[place + 1], &m->f[place], (m->n - place) * sizeof(m->f[0]));
	m->f[place] = f;
	m->n++;
}

/* In front of the at-th of those that are there, ours among them. */
static unsigned
model_place(const struct model *m, unsigned at)
{
	unsigned i = 0;

	for (; i < m->n; i++)
		if (!m->f[i].gone && at-- == 0)
			break;
	return i;
}

static void
model_edit(struct model *m, const struct milter_answer *a, unsigned value)
{
	struct model_field f = { .name = a->name.p, .value = value };
	unsigned           nth = a->at == 0 ? 1 : a->at;

	if (a->kind == INS) {
		model_insert(m, model_place(m, a->at), f);
		return;
	}
	for (unsigned i = 0; a->kind == CHG && i < m->n; i++) {
		struct model_field *x = &m->f[i];

		if (!x->shown || strcasecmp(x->name, a->name.p) != 0 || --nth > 0)
			continue;
		if (x->gone)
			break;
		x->gone = a->value.n == 0;
		x->name = a->name.p;
		x->value = value;
		return;
	}
	if (a->kind == ADD || a->value.n > 0)
		model_insert(m, m->n, f);
}

static void
model_print(const struct model *m, struct buf *out)
{
	for (unsigned i = 0; i < m->n; i++) {
		const struct model_field *f = &m->f[i];

		if (f->name != NULL && !f->gone)
			buf_printf(out, "%s: %u\r\n", f->name, f->value);
	}
}

static void
model_begin(struct model *m)
{
	unsigned n = draw(MODEL_FIELDS - 2);

	m->n = 0;
	m->f[m->n++] = (struct model_field){ .name = NULL };
	for (unsigned i = 0; i < n; i++)
		m->f[m->n++] =
		    (struct model_field){ .name = draw_name(), .value = i, .shown = true };
}

static struct milter_answer
draw_edit(char text[16], unsigned value)
{
	static const enum milter_answer_kind kinds[] = { ADD, INS, INS, CHG, CHG, CHG, CHG };
	struct milter_answer                 a = { .kind = kinds[draw(T_COUNT(kinds))],
				.at = draw(draw(2) ? 8 : 80) };

	a.name = strv_z(draw_name());
	snprintf(text, 16, "%u", value);
	a.value = strv_z(a.kind == CHG && draw(2) == 0 ? "" : text);
	return a;
}

static void
one_by_chance(struct arena *a, struct buf *have, struct buf *want)
{
	struct model         m;
	struct message       msg;
	struct edits         edits = { 0 };
	struct view          v = { &msg, &edits, 0 };
	struct milter_edits *x;
	struct view_field   *f;
	struct strv          body;
	unsigned             n;
	const char          *why = "";

	model_begin(&m);
	model_print(&m, have);
	buf_add(have, SV("\r\n"));
	message_begin(&msg, a, NULL, 65536);
	T_EQ_NUM(message_feed(&msg, arena_dup(a, buf_view(have)), &body), MESSAGE_OK);
	T_EQ_NUM(message_end(&msg, &body), MESSAGE_OK);
	x = milter_edits_begin(a, &v, false);
	for (unsigned i = 0; i < MODEL_EDITS; i++) {
		char                 text[16];
		struct milter_answer e = draw_edit(text, 1000 + i);

		model_edit(&m, &e, 1000 + i);
		if (!milter_edits_add(x, &edits, &e, SV("milter m"), &why))
			T_CHECKF(false, "%s", why);
	}
	v.upto = edits.n;
	f = view_fields(a, &v, &n);
	buf_clear(have);
	for (unsigned i = 0; i < n; i++)
		buf_add(have, f[i].raw);
	model_print(&m, want);
}

static void
edits_by_chance_come_to_what_they_should(void)
{
	struct buf have, want;

	buf_init(&have, 65536);
	buf_init(&want, 65536);
	for (unsigned i = 0; i < 2000; i++) {
		struct arena *a = arena_new(4096, 0);

		buf_clear(&have);
		buf_clear(&want);
		one_by_chance(a, &have, &want);
		T_EQ_TEXT(buf_view(&have), arena_dup(a, buf_view(&want)).p);
		arena_free(a);
	}
	buf_fini(&have);
	buf_fini(&want);
}

int
main(void)
{
	T_RUN(fields_are_counted_as_they_were_shown);
	T_RUN(an_mbox_line_is_no_field);
	T_RUN(leading_space_keeps_values_as_they_are);
	T_RUN(nobody_does_what_was_not_agreed);
	T_RUN(addresses_must_be_some);
	T_RUN(bodies_are_text);
	T_RUN(a_new_body_of_short_lines);
	T_RUN(a_new_body_has_a_ceiling);
	T_RUN(fields_have_a_ceiling_together);
	T_RUN(half_a_change_is_none);
	T_RUN(too_many_changes_are_none);
	T_RUN(some_changes_are_kept_for_ours);
	T_RUN(quarantine_holds_unless_it_is_refused);
	T_RUN(progress_begins_the_time_anew);
	T_RUN(progress_is_heard_at_any_command);
	T_RUN(progress_comes_to_an_end);
	T_RUN(one_misuse_a_session_is_logged);
	T_RUN(a_later_one_sees_what_those_before_it_did);
	T_RUN(edits_by_chance_come_to_what_they_should);
	return t_end();
}
