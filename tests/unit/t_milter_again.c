/*
 * t_milter_again -- the process of an isolated plugin dies under a message: who is to blame fails, the others are told
 * once more, and nothing of what the first process did is left but what the client has heard.
 */
#include "config.h"

#include <unistd.h>

#include "proxy/base/blame.h"
#include "tests/unit/milter_play.h"

#define LETTER    "From: <a@b.example>\r\nTo: c\r\n\r\nbody\r\n"
#define SESSION   "CONNECT [192.0.2.1] 4 4711 192.0.2.1|HELO mx.example|"
#define TOLD_TEXT "HEADER From:<a@b.example>|HEADER To:c|EOH|BODY body\r\n|EOM|"

static struct blame *page;
static int           page_fd;
static const char   *culprit;  /* noted when the next process dies */
static bool          lives;    /* it has closed the connection, and did not die */
static void (*and_then)(void); /* happens once behind that */

static void
dies(void)
{
	if (culprit != NULL)
		blame_note(page, blame_id(culprit, strlen(culprit)));
	if (!lives)
		blame_begin(page);
	if (and_then != NULL)
		and_then();
}

static void
stand_isolated(void)
{
	setup(1);
	page = blame_new(&page_fd);
	culprit = NULL;
	lives = false;
	and_then = NULL;
	made_dies = dies;
	s.v[0].home = HOME_ISOLATED;
	s.v[0].blame = page;
	blame_begin(page);
}

static void
leave_isolated(void)
{
	teardown();
	made_dies = NULL;
	blame_free(page);
	close(page_fd);
}

static void
open_session(void)
{
	s.session_mail.session = "S1";
	at(STAGE_CONNECT);
	helo("mx.example");
}

static unsigned
lines_of(const char *what)
{
	unsigned n = 0;

	for (const char *p = s.log; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

/* ---- who is told again ---- */

static const enum milter_command everywhere[] = { MILTER_CMD_CONNECT, MILTER_CMD_HELO,
	MILTER_CMD_MAIL, MILTER_CMD_RCPT, MILTER_CMD_DATA, MILTER_CMD_HEADER, MILTER_CMD_EOH,
	MILTER_CMD_BODY, MILTER_CMD_EOM };

static void
an_innocent_one_is_told_all_of_it_again(void)
{
	for (size_t i = 0; i < T_COUNT(everywhere); i++) {
		const char *now;

		t_row = milter_command_name(everywhere[i]);
		stand_isolated();
		culprit = "T9";
		breaks(0, everywhere[i], MILTER_GONE);
		open_session();
		whole_message(LETTER);
		T_CHECK(!advice_of(0)->failed);
		T_EQ_STR(fact_of(0), "continue");
		T_EQ_NUM(made[0].opens, 2);
		now = strstr(told(0), "CLOSED|");
		if (T_CHECK(now != NULL))
			T_EQ_STR(now + 7,
			    SESSION "MAIL <a@b.example>|RCPT <c@d.example>|DATA|" TOLD_TEXT);
		T_EQ_NUM(lines_of(" milter-again name=m0 stage="), 1);
		T_EQ_NUM(lines_of("milter-failed"), 0);
		T_CHECK(strstr(s.log, milter_command_name(everywhere[i])) != NULL);
		leave_isolated();
	}
	t_row = NULL;
}

static void
the_culprit_fails(void)
{
	for (size_t i = 0; i < T_COUNT(everywhere); i++) {
		t_row = milter_command_name(everywhere[i]);
		stand_isolated();
		culprit = everywhere[i] < MILTER_CMD_MAIL ? "S1" : "T1";
		breaks(0, everywhere[i], MILTER_GONE);
		open_session();
		if (everywhere[i] >= MILTER_CMD_MAIL)
			whole_message(LETTER);
		else if (everywhere[i] == MILTER_CMD_CONNECT)
			T_CHECK(strstr(s.log, "stage=connect command=CONNECT what=gone") != NULL);
		T_CHECK(advice_of(0)->failed);
		T_EQ_NUM(made[0].opens, 1);
		T_EQ_NUM(lines_of("milter-again"), 0);
		T_EQ_NUM(lines_of("milter-failed"), 1);
		leave_isolated();
	}
	t_row = NULL;
}

/* Without an answer since the last message it might as well have gone in between: the page knows better. */
static void
the_culprit_fails_at_its_first_word(void)
{
	stand_isolated();
	open_session();
	whole_message(LETTER);
	end();
	culprit = "T1";
	breaks(0, MILTER_CMD_MAIL, MILTER_GONE);
	mail("<n@b.example>");
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 1);
	leave_isolated();
}

static void
what_was_noted_before_is_of_another_connection(void)
{
	stand_isolated();
	blame_note(page, blame_id("T1", 2));
	breaks(0, MILTER_CMD_EOM, MILTER_GONE);
	open_session();
	whole_message(LETTER);
	T_CHECK(!advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	leave_isolated();
}

static void
three_deaths_are_too_many(void)
{
	stand_isolated();
	for (unsigned i = 0; i < 3; i++)
		breaks(0, i == 0 ? MILTER_CMD_DATA : MILTER_CMD_EOM, MILTER_GONE);
	open_session();
	whole_message(LETTER);
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 3);
	T_EQ_NUM(lines_of("milter-again"), 2);
	T_CHECK(strstr(s.log, "milter-failed name=m0 stage=message command=EOM what=gone") != NULL);
	end();
	/* The next message has its own count. */
	breaks(0, MILTER_CMD_RCPT, MILTER_GONE);
	breaks(0, MILTER_CMD_EOM, MILTER_GONE);
	whole_message(LETTER);
	T_CHECK(!advice_of(0)->failed);
	leave_isolated();
}

static void
no_new_process_no_new_attempt(void)
{
	stand_isolated();
	lives = true;
	breaks(0, MILTER_CMD_EOM, MILTER_GONE);
	open_session();
	whole_message(LETTER);
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	T_CHECK(strstr(s.log,
		    "what=gone why=\"the connection was closed by a process that lives\"") != NULL);
	leave_isolated();
}

static void
nobody_listens(void)
{
	made[0].open_rc = MILTER_AWAY;
}

/* Its back-off is long: at once, as for everybody who comes then. */
static void
where_nobody_listens_it_fails(void)
{
	stand_isolated();
	and_then = nobody_listens;
	breaks(0, MILTER_CMD_EOM, MILTER_GONE);
	open_session();
	whole_message(LETTER);
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 2);
	leave_isolated();
}

static void
without_a_page_it_fails(void)
{
	stand_isolated();
	s.v[0].blame = NULL;
	breaks(0, MILTER_CMD_EOM, MILTER_GONE);
	open_session();
	whole_message(LETTER);
	T_CHECK(advice_of(0)->failed);
	T_EQ_NUM(made[0].opens, 1);
	leave_isolated();
}

static void
other_faults_are_its_own(void)
{
	static const enum milter_rc faults[] = { MILTER_LATE, MILTER_GARBAGE };

	for (size_t i = 0; i < T_COUNT(faults); i++) {
		stand_isolated();
		breaks(0, MILTER_CMD_EOM, faults[i]);
		open_session();
		whole_message(LETTER);
		T_CHECK(advice_of(0)->failed);
		T_EQ_NUM(made[0].opens, 1);
		leave_isolated();
	}
}

/* ---- what is left of the first process ---- */

static void
edits_are_made_once(void)
{
	stand_isolated();
	for (unsigned i = 0; i < 2; i++) {
		answers(0, MILTER_CMD_EOM, field(MILTER_ANS_ADD_HEADER, 0, "X-New", "1"));
		answers(0, MILTER_CMD_EOM, field(MILTER_ANS_INSERT_HEADER, 0, "X-Top", "1"));
		if (i == 0)
			says(0, MILTER_CMD_EOM, MILTER_ANS_QUARANTINE);
		if (i == 0)
			breaks(0, MILTER_CMD_EOM, MILTER_GONE);
	}
	open_session();
	whole_message(LETTER);
	T_CHECK(!advice_of(0)->failed);
	T_EQ_STR(fact_of(0), "continue"); /* it is not kept: only the first said so */
	T_EQ_STR(header_now(), "X-Top: 1\r\nFrom: <a@b.example>\r\nTo: c\r\nX-New: 1\r\n");
	leave_isolated();
}

/* The first answer to a recipient stands, whichever process gave it. */
static void
a_recipient_has_one_answer(void)
{
	stand_isolated();
	open_session();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	answers(0, MILTER_CMD_RCPT, code(550, "5.1.1", "not e"));
	rcpt("<e@d.example>");
	T_EQ_NUM(advice_of(0)->say.code, 550);
	/* A check says otherwise: it is taken. */
	(void)told(0);
	breaks(0, MILTER_CMD_RCPT, MILTER_GONE);
	answers(0, MILTER_CMD_RCPT, code(550, "5.1.1", "not c"));
	answers(0, MILTER_CMD_RCPT, code(550, "5.1.1", "not e"));
	answers(0, MILTER_CMD_RCPT, code(450, "4.1.1", "not g now"));
	rcpt("<g@d.example>");
	T_TOLD(0,
	    "RCPT <g@d.example>|CLOSED|" SESSION
	    "MAIL <a@b.example>|RCPT <c@d.example>|RCPT <e@d.example>|RCPT <g@d.example>|");
	T_EQ_NUM(advice_of(0)->say.code, 450);
	at(STAGE_DATA);
	T_CHECK(!verdict_final(&advice_of(0)->say));
	text(LETTER);
	T_EQ_STR(fact_of(0), "continue");
	leave_isolated();
}

/* One who was refused is not told, and is not taken. */
static void
who_was_refused_stays_refused(void)
{
	stand_isolated();
	open_session();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	s.env.rcpt[0].upstream_took = true;
	answers(0, MILTER_CMD_RCPT, code(550, "5.1.1", "not e"));
	rcpt("<e@d.example>");
	s.env.rcpt[1].said = advice_of(0)->say;
	(void)told(0);
	breaks(0, MILTER_CMD_DATA, MILTER_GONE);
	at(STAGE_DATA);
	T_TOLD(0, "DATA|CLOSED|" SESSION "MAIL <a@b.example>|RCPT <c@d.example>|DATA|");
	T_CHECK(!verdict_final(&advice_of(0)->say));
	leave_isolated();
}

/* What it said late of a recipient is the message's, and no later process takes it back. */
static void
a_late_refusal_stays(void)
{
	stand_isolated();
	s.hears[0] = HEARS_NOT_YET;
	open_session();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	s.hears[0] = HEARS_YES;
	answers(0, MILTER_CMD_RCPT, code(550, "5.1.1", "not c"));
	rcpt("<e@d.example>");
	breaks(0, MILTER_CMD_DATA, MILTER_GONE);
	at(STAGE_DATA);
	T_CHECK(!advice_of(0)->failed);
	T_EQ_NUM(advice_of(0)->say.code, 550);
	leave_isolated();
}

/* A later process may still say of the whole message what it wants. */
static void
a_later_process_may_refuse_the_message(void)
{
	stand_isolated();
	open_session();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	breaks(0, MILTER_CMD_DATA, MILTER_GONE);
	answers(0, MILTER_CMD_MAIL, code(554, "5.7.1", "not from a"));
	at(STAGE_DATA);
	T_CHECK(!advice_of(0)->failed);
	T_EQ_NUM(advice_of(0)->say.code, 554);
	leave_isolated();
}

int
main(void)
{
	T_RUN(an_innocent_one_is_told_all_of_it_again);
	T_RUN(the_culprit_fails);
	T_RUN(the_culprit_fails_at_its_first_word);
	T_RUN(what_was_noted_before_is_of_another_connection);
	T_RUN(three_deaths_are_too_many);
	T_RUN(no_new_process_no_new_attempt);
	T_RUN(where_nobody_listens_it_fails);
	T_RUN(without_a_page_it_fails);
	T_RUN(other_faults_are_its_own);
	T_RUN(edits_are_made_once);
	T_RUN(a_recipient_has_one_answer);
	T_RUN(who_was_refused_stays_refused);
	T_RUN(a_late_refusal_stays);
	T_RUN(a_later_process_may_refuse_the_message);
	return t_end();
}
