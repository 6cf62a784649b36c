/* The filter "milter": who is told what, in which order, and what becomes of the answers. */
#include "config.h"

#include "tests/unit/milter_play.h"

#define LETTER    "From: <a@b.example>\r\nSubject: a\r\n b\r\nX-Postern-Q: 1\r\nTo:c\r\n\r\nbody\r\n"
#define CONNECTED "CONNECT [192.0.2.1] 4 4711 192.0.2.1|"
#define TOLD_TEXT \
	"HEADER From:<a@b.example>|HEADER Subject:a\n b|HEADER To:c|EOH|BODY body\r\n|EOM|"

static void
open_session(void)
{
	at(STAGE_CONNECT);
	helo("mx.example");
}

static void
message_from(const char *from)
{
	mail(from);
	rcpt("<c@d.example>");
	at(STAGE_DATA);
	text(LETTER);
}

static void
tells_a_whole_message_in_order(void)
{
	setup(1);
	at(STAGE_CONNECT);
	T_TOLD(0, CONNECTED);
	helo("mx.example");
	T_TOLD(0, "HELO mx.example|");
	mail("<a@b.example> SIZE=9 BODY=7BIT");
	T_TOLD(0, "MAIL <a@b.example> SIZE=9 BODY=7BIT|");
	rcpt("<c@d.example>");
	T_TOLD(0, "RCPT <c@d.example>|");
	rcpt("<e@d.example> NOTIFY=NEVER");
	T_TOLD(0, "RCPT <e@d.example> NOTIFY=NEVER|");
	at(STAGE_DATA);
	T_TOLD(0, "DATA|");
	text(LETTER);
	T_TOLD(0, TOLD_TEXT);
	T_EQ_STR(fact_of(0), "continue");
	T_CHECK(advice_of(0)->asked && !advice_of(0)->failed && !advice_of(0)->accepts);
	end();
	T_TOLD(0, "");
	teardown();
	T_TOLD(0, "QUIT|");
}

static void
tells_the_client_as_it_is_known(void)
{
	static const struct {
		const char *name, *rdns;
		struct addr addr;
		const char *want;
	} rows[] = {
		{ "four", NULL, { ADDR_IP4, { 192, 0, 2, 1 } },
		    "CONNECT [192.0.2.1] 4 4711 192.0.2.1|" },
		{ "six", NULL, { ADDR_IP6, { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } },
		    "CONNECT [2001:db8::1] 6 4711 2001:db8::1|" },
		{ "named", "client.example", { ADDR_IP4, { 192, 0, 2, 1 } },
		    "CONNECT client.example 4 4711 192.0.2.1|" },
		{ "unix", NULL, { ADDR_UNIX, { 0 } }, "CONNECT localhost L 4711 |" },
		{ "nothing", NULL, { ADDR_NONE, { 0 } }, "CONNECT localhost U 4711 |" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		setup(1);
		s.name = strv_z(rows[i].rdns);
		s.client.addr.addr = rows[i].addr;
		at(STAGE_CONNECT);
		T_TOLD(0, rows[i].want);
		teardown();
	}
	t_row = NULL;
}

/* ---- every answer at every command ---- */

enum reach { SESSION, MESSAGE, RECIPIENT, NOTHING, ILLEGAL };

static void
walk(enum milter_command to)
{
	at(STAGE_CONNECT);
	if (to == MILTER_CMD_CONNECT)
		return;
	helo("mx.example");
	if (to == MILTER_CMD_HELO)
		return;
	mail("<a@b.example>");
	if (to == MILTER_CMD_MAIL)
		return;
	rcpt("<c@d.example>");
	if (to == MILTER_CMD_RCPT)
		return;
	at(STAGE_DATA);
	if (to == MILTER_CMD_DATA)
		return;
	text(LETTER);
}

static const struct {
	const char             *name;
	enum milter_answer_kind kind;
	uint16_t                code;
	enum verdict_kind       say;
	const char             *fact;
	/* Reaches of an answer to: the session's, MAIL, RCPT, the text. */
	enum reach session, mail, rcpt, text;
} reaches[] = {
	{ "continue", MILTER_ANS_CONTINUE, 0, VERDICT_NONE, "continue", NOTHING, NOTHING, NOTHING,
	    NOTHING },
	{ "accept", MILTER_ANS_ACCEPT, 0, VERDICT_NONE, "accept", SESSION, MESSAGE, MESSAGE,
	    MESSAGE },
	{ "reject", MILTER_ANS_REJECT, 0, VERDICT_REJECT, "reject", SESSION, MESSAGE, RECIPIENT,
	    MESSAGE },
	{ "tempfail", MILTER_ANS_TEMPFAIL, 0, VERDICT_TEMPFAIL, "tempfail", SESSION, MESSAGE,
	    RECIPIENT, MESSAGE },
	{ "discard", MILTER_ANS_DISCARD, 0, VERDICT_DISCARD, "discard", ILLEGAL, MESSAGE, MESSAGE,
	    MESSAGE },
	{ "550", MILTER_ANS_REPLYCODE, 550, VERDICT_REJECT, "reject", SESSION, MESSAGE, RECIPIENT,
	    MESSAGE },
	{ "450", MILTER_ANS_REPLYCODE, 450, VERDICT_TEMPFAIL, "tempfail", SESSION, MESSAGE,
	    RECIPIENT, MESSAGE },
	{ "421", MILTER_ANS_REPLYCODE, 421, VERDICT_DISCONNECT, "disconnect", SESSION, SESSION,
	    SESSION, SESSION },
	{ "shutdown", MILTER_ANS_SHUTDOWN, 0, VERDICT_DISCONNECT, "disconnect", SESSION, SESSION,
	    SESSION, SESSION },
	{ "connection failure", MILTER_ANS_CONN_FAIL, 0, VERDICT_DISCONNECT, "disconnect", SESSION,
	    SESSION, SESSION, SESSION },
	{ "an edit too early", MILTER_ANS_ADD_HEADER, 0, VERDICT_NONE, "?", ILLEGAL, ILLEGAL,
	    ILLEGAL, ILLEGAL },
};

static enum reach
reach_of(size_t row, enum milter_command to)
{
	switch (to) {
	case MILTER_CMD_CONNECT:
	case MILTER_CMD_HELO:
		return reaches[row].session;
	case MILTER_CMD_MAIL:
		return reaches[row].mail;
	case MILTER_CMD_RCPT:
		return reaches[row].rcpt;
	default:
		return reaches[row].text;
	}
}

static void
check_reach(size_t row, enum milter_command to, enum reach reach)
{
	const struct advice *a = advice_of(0);

	T_CHECK(a->asked);
	if (reach == ILLEGAL) {
		T_CHECK(a->failed && !verdict_final(&a->say));
		T_EQ_STR(fact_of(0), "?");
		T_CHECK(strstr(s.log, "milter-failed name=m0 stage=") != NULL);
		T_CHECK(strstr(s.log, milter_command_name(to)) != NULL);
		T_EQ_NUM(made[0].open, 0);
		return;
	}
	T_CHECK(!a->failed);
	T_EQ_NUM(a->say.kind, reaches[row].say);
	T_EQ_NUM(a->say.code, reaches[row].code);
	T_EQ_NUM(a->accepts, reaches[row].kind == MILTER_ANS_ACCEPT);
	T_EQ_STR(fact_of(0), reaches[row].fact);
	if (verdict_final(&a->say))
		T_EQ_TEXT(a->say.by, "m0");
	if (reaches[row].code != 0)
		T_EQ_TEXT(a->say.text, "because\nof that");
}

/* What comes behind it, of the same session: is the milter asked again, and does its word still stand? */
static void
check_behind(size_t row, enum milter_command to, enum reach reach)
{
	bool final = verdict_final(&(struct verdict){ .kind = reaches[row].say });

	(void)told(0);
	if (to == MILTER_CMD_RCPT) {
		rcpt("<e@d.example>");
		T_TOLD(0, reach == NOTHING || reach == RECIPIENT ? "RCPT <e@d.example>|" : "");
		T_EQ_NUM(verdict_final(&advice_of(0)->say), final && reach != RECIPIENT);
		T_EQ_STR(fact_of(0), reach == RECIPIENT ? "continue" : reaches[row].fact);
	}
	if (s.in_tx)
		end();
	message_from("<n@b.example>");
	T_EQ_NUM(verdict_final(&advice_of(0)->say), final && reach == SESSION);
	T_EQ_NUM(advice_of(0)->accepts, reach == SESSION && reaches[row].kind == MILTER_ANS_ACCEPT);
	T_EQ_NUM(strstr(told(0), "MAIL <n@b.example>|RCPT <c@d.example>|DATA|HEADER") != NULL,
	    reach != SESSION);
}

static void
answers_reach_as_far_as_they_do(void)
{
	static const enum milter_command commands[] = { MILTER_CMD_CONNECT, MILTER_CMD_HELO,
		MILTER_CMD_MAIL, MILTER_CMD_RCPT, MILTER_CMD_DATA, MILTER_CMD_HEADER,
		MILTER_CMD_EOH, MILTER_CMD_BODY, MILTER_CMD_EOM };
	char                             row[64];

	for (size_t i = 0; i < T_COUNT(reaches); i++)
		for (size_t c = 0; c < T_COUNT(commands); c++) {
			struct milter_answer a = { .kind = reaches[i].kind,
				.code = reaches[i].code };
			enum reach           reach = reach_of(i, commands[c]);

			(void)snprintf(row, sizeof(row), "%s at %s", reaches[i].name,
			    milter_command_name(commands[c]));
			t_row = row;
			if (commands[c] == MILTER_CMD_EOM &&
			    reaches[i].kind == MILTER_ANS_ADD_HEADER)
				continue;
			a.text = a.code != 0 ? SV("because\nof that") : strv(NULL, 0);
			setup(1);
			answers(0, commands[c], a);
			walk(commands[c]);
			check_reach(i, commands[c], reach);
			check_behind(i, commands[c], reach);
			teardown();
		}
	t_row = NULL;
}

/* ---- every fault at every command ---- */

static void
faults_are_failures_of_that_message_alone(void)
{
	static const enum milter_rc faults[] = { MILTER_LATE, MILTER_GONE, MILTER_GARBAGE };
	char                        row[64];

	for (size_t i = 0; i < T_COUNT(faults); i++)
		for (enum milter_command c = MILTER_CMD_CONNECT; c <= MILTER_CMD_EOM; c++) {
			(void)snprintf(row, sizeof(row), "%s at %s", milter_rc_name(faults[i]),
			    milter_command_name(c));
			t_row = row;
			setup(1);
			breaks(0, c, faults[i]);
			walk(c);
			T_EQ_NUM(s.rc, FILTER_OK);
			T_CHECK(advice_of(0)->failed && advice_of(0)->asked);
			T_EQ_STR(fact_of(0), "?");
			T_EQ_NUM(made[0].open, 0);
			T_EQ_NUM(made[0].polite, 0);
			T_CHECK(
			    strstr(s.log, "why=\"as the test wants it\" bytes=\"\\x01x\"") != NULL);
			/* No second attempt in the same transaction. */
			if (c >= MILTER_CMD_MAIL) {
				rcpt("<e@d.example>");
				T_EQ_NUM(made[0].opens, 1);
				T_CHECK(advice_of(0)->failed);
				end();
			}
			(void)told(0);
			message_from("<n@b.example>");
			T_EQ_NUM(made[0].opens, 2);
			T_CHECK(!advice_of(0)->failed);
			T_CHECK(strstr(told(0),
				    c == MILTER_CMD_CONNECT ? CONNECTED "MAIL <n@b" :
							      CONNECTED
					"HELO mx.example|MAIL <n@b") != NULL);
			teardown();
		}
	t_row = NULL;
}

static void
a_milter_that_is_not_there_is_no_storm(void)
{
	setup(1);
	made[0].open_rc = MILTER_GONE;
	open_session();
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 1);
	message_from("<a@b.example>");
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	T_CHECK(strstr(s.log, "T1 milter-failed name=m0 stage=mail command=OPTNEG") != NULL);
	T_CHECK(strstr(s.log, "why=\"nobody is there\"") != NULL);
	end();
	made[0].open_rc = MILTER_OK;
	message_from("<a@b.example>");
	T_CHECK(!advice_of(0)->failed);
	T_TOLD(
	    0, CONNECTED "HELO mx.example|MAIL <a@b.example>|RCPT <c@d.example>|DATA|" TOLD_TEXT);
	teardown();
}

/* It was restarted while the client said nothing: that is no failure. */
static void
one_that_went_in_between_is_opened_anew(void)
{
	setup(1);
	open_session();
	message_from("<a@b.example>");
	end();
	(void)told(0);
	breaks(0, MILTER_CMD_MAIL, MILTER_GONE);
	mail("<n@b.example>");
	T_CHECK(!advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	T_EQ_NUM(s.n_log, 0);
	T_TOLD(0, "MAIL <n@b.example>|CLOSED|" CONNECTED "HELO mx.example|MAIL <n@b.example>|");
	breaks(0, MILTER_CMD_RCPT, MILTER_GONE);
	rcpt("<c@d.example>");
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	end();
	/* Both connections die: once is enough. */
	message_from("<a@b.example>");
	end();
	breaks(0, MILTER_CMD_MAIL, MILTER_GONE);
	breaks(0, MILTER_CMD_MAIL, MILTER_GONE);
	mail("<n@b.example>");
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 4);
	teardown();
}

/* An ABORT into a connection that is gone is nobody's failure. */
static void
an_abort_that_does_not_arrive_is_no_failure(void)
{
	setup(1);
	open_session();
	mail("<a@b.example>");
	made[0].tell_at = MILTER_CMD_ABORT;
	made[0].tell_rc = MILTER_GONE;
	end();
	T_EQ_NUM(made[0].open, 0);
	message_from("<n@b.example>");
	T_CHECK(!advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	T_EQ_NUM(s.n_log, 0);
	teardown();
}

static void
a_cancelled_turn_drops_the_connection(void)
{
	setup(1);
	open_session();
	breaks(0, MILTER_CMD_MAIL, MILTER_CANCELLED);
	mail("<a@b.example>");
	T_EQ_NUM(s.rc, FILTER_CANCELLED);
	T_EQ_NUM(made[0].open, 0);
	T_EQ_NUM(s.n_log, 0);
	teardown();
}

int
main(void)
{
	T_RUN(tells_a_whole_message_in_order);
	T_RUN(tells_the_client_as_it_is_known);
	T_RUN(answers_reach_as_far_as_they_do);
	T_RUN(faults_are_failures_of_that_message_alone);
	T_RUN(a_milter_that_is_not_there_is_no_storm);
	T_RUN(one_that_went_in_between_is_opened_anew);
	T_RUN(an_abort_that_does_not_arrive_is_no_failure);
	T_RUN(a_cancelled_turn_drops_the_connection);
	return t_end();
}
