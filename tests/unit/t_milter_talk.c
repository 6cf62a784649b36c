/* What a milter has negotiated is kept to: what it is told, what is waited for; and what it missed is told later. */
#include "config.h"

#include "tests/unit/milter_play.h"

#define LETTER    "From: <a@b.example>\r\nTo:  c\r\n\r\nbody\r\n"
#define CONNECTED "CONNECT [192.0.2.1] 4 4711 192.0.2.1|"
#define SESSION   CONNECTED "HELO mx.example|"
#define ENVELOPE  "MAIL <a@b.example>|RCPT <c@d.example>|"
#define TOLD_TEXT "HEADER From:<a@b.example>|HEADER To: c|EOH|BODY body\r\n|EOM|"

static void
open_session(void)
{
	at(STAGE_CONNECT);
	helo("mx.example");
}

/* clang-format off */
static const struct {
	const char *name;
	uint32_t version, protocol;
	const char *want;
} flags[] = {
	{ "none", 6, 0, SESSION ENVELOPE "DATA|" TOLD_TEXT },
	{ "version 2", 2, 0, SESSION ENVELOPE TOLD_TEXT },
	{ "version 3", 3, 0, SESSION ENVELOPE TOLD_TEXT },
	{ "version 4", 4, 0, SESSION ENVELOPE "DATA|" TOLD_TEXT },
	{ "NO_CONNECT", 6, MILTER_NO_CONNECT, "HELO mx.example|" ENVELOPE "DATA|" TOLD_TEXT },
	{ "NO_HELO", 6, MILTER_NO_HELO, CONNECTED ENVELOPE "DATA|" TOLD_TEXT },
	{ "NO_MAIL", 6, MILTER_NO_MAIL, SESSION "RCPT <c@d.example>|DATA|" TOLD_TEXT },
	{ "NO_RCPT", 6, MILTER_NO_RCPT, SESSION "MAIL <a@b.example>|DATA|" TOLD_TEXT },
	{ "NO_DATA", 6, MILTER_NO_DATA, SESSION ENVELOPE TOLD_TEXT },
	{ "NO_HEADERS", 6, MILTER_NO_HEADERS, SESSION ENVELOPE "DATA|EOH|BODY body\r\n|EOM|" },
	{ "NO_EOH", 6, MILTER_NO_EOH,
	    SESSION ENVELOPE "DATA|HEADER From:<a@b.example>|HEADER To: c|BODY body\r\n|EOM|" },
	{ "NO_BODY", 6, MILTER_NO_BODY,
	    SESSION ENVELOPE "DATA|HEADER From:<a@b.example>|HEADER To: c|EOH|EOM|" },
	{ "NR_CONNECT", 6, MILTER_NR_CONNECT,
	    "CONNECT [192.0.2.1] 4 4711 192.0.2.1!HELO mx.example|" ENVELOPE "DATA|" TOLD_TEXT },
	{ "NR_HELO", 6, MILTER_NR_HELO, CONNECTED "HELO mx.example!" ENVELOPE "DATA|" TOLD_TEXT },
	{ "NR_MAIL", 6, MILTER_NR_MAIL, SESSION "MAIL <a@b.example>!RCPT <c@d.example>|DATA|" TOLD_TEXT },
	{ "NR_RCPT", 6, MILTER_NR_RCPT, SESSION "MAIL <a@b.example>|RCPT <c@d.example>!DATA|" TOLD_TEXT },
	{ "NR_DATA", 6, MILTER_NR_DATA, SESSION ENVELOPE "DATA!" TOLD_TEXT },
	{ "NR_HEADER", 6, MILTER_NR_HEADER, SESSION ENVELOPE
	    "DATA|HEADER From:<a@b.example>!HEADER To: c!EOH|BODY body\r\n|EOM|" },
	{ "NR_EOH", 6, MILTER_NR_EOH, SESSION ENVELOPE
	    "DATA|HEADER From:<a@b.example>|HEADER To: c|EOH!BODY body\r\n|EOM|" },
	{ "NR_BODY", 6, MILTER_NR_BODY, SESSION ENVELOPE
	    "DATA|HEADER From:<a@b.example>|HEADER To: c|EOH|BODY body\r\n!EOM|" },
	{ "LEADING_SPACE", 6, MILTER_LEADING_SPACE, SESSION ENVELOPE
	    "DATA|HEADER From: <a@b.example>|HEADER To:  c|EOH|BODY body\r\n|EOM|" },
	{ "nothing but the end", 6, 0x7f | MILTER_NO_DATA | MILTER_NO_UNKNOWN, "EOM|" },
};
/* clang-format on */

static void
keeps_to_what_was_negotiated(void)
{
	for (size_t i = 0; i < T_COUNT(flags); i++) {
		t_row = flags[i].name;
		setup(1);
		made[0].theirs.version = flags[i].version;
		made[0].theirs.protocol = flags[i].protocol;
		/* An answer that never comes would be one that is taken for another's. */
		open_session();
		whole_message(LETTER);
		T_TOLD(0, flags[i].want);
		T_CHECK(!advice_of(0)->failed);
		end();
		whole_message(LETTER);
		T_CHECK(!advice_of(0)->failed);
		T_TOLD(0,
		    strstr(flags[i].want, "MAIL ") != NULL     ? strstr(flags[i].want, "MAIL ") :
			strstr(flags[i].want, "RCPT ") != NULL ? strstr(flags[i].want, "RCPT ") :
								 "EOM|");
		teardown();
	}
	t_row = NULL;
}

static void
answers_of_those_without_replies_come_at_the_end(void)
{
	setup(1);
	made[0].theirs.protocol = 0xff080;
	answers(0, MILTER_CMD_EOM, code(554, "5.7.1", "no"));
	open_session();
	whole_message(LETTER);
	T_TOLD(0,
	    "CONNECT [192.0.2.1] 4 4711 192.0.2.1!HELO mx.example!MAIL <a@b.example>!RCPT "
	    "<c@d.example>!DATA!HEADER From:<a@b.example>!HEADER To: c!EOH!BODY body\r\n!EOM|");
	T_EQ_NUM(advice_of(0)->say.code, 554);
	T_EQ_STR(advice_of(0)->say.enh, "5.7.1");
	teardown();
}

/* ---- bodies ---- */

static const char *
letter_of(size_t n)
{
	static char all[3 << 20];
	size_t      used = (size_t)snprintf(all, sizeof(all), "A: b\r\n\r\n");

	for (size_t i = 0; i < n; i++)
		all[used + i] = (char)(i % 64 == 62 ? '\r' :
			i % 64 == 63                ? '\n' :
						      'a' + i / 64 % 26);
	all[used + n] = '\0';
	return all;
}

static void
bodies_come_in_chunks_as_large_as_agreed(void)
{
	static const struct {
		const char *name;
		uint32_t    protocol;
		size_t      octets, first, chunks;
	} rows[] = {
		{ "none", 0, 0, 0, 0 },
		{ "one", 0, 65535, 65535, 1 },
		{ "two", 0, 65536, 65535, 2 },
		{ "many", 0, 1 << 20, 65535, 17 },
		{ "256 K", MILTER_MDS_256K, 1 << 20, 262143, 5 },
		{ "1 M", MILTER_MDS_1M, 1 << 20, 1048575, 2 },
		{ "spilt", 0, 2 << 20, 65535, 33 },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		setup(1);
		counts_bodies = true;
		made[0].theirs.protocol = rows[i].protocol;
		open_session();
		mail("<a@b.example>");
		rcpt("<c@d.example>");
		text(letter_of(rows[i].octets));
		T_CHECK(!advice_of(0)->failed);
		T_EQ_NUM(made[0].chunks, rows[i].chunks);
		T_EQ_NUM(made[0].first_chunk, rows[i].first);
		T_EQ_NUM(made[0].octets, rows[i].octets);
		T_EQ_NUM(
		    made[0].sum, sum_of(0, strv(letter_of(rows[i].octets) + 8, rows[i].octets)));
		counts_bodies = false;
		teardown();
	}
	t_row = NULL;
}

static void
skip_ends_the_body_and_nothing_else(void)
{
	setup(1);
	counts_bodies = true;
	made[0].theirs.protocol = MILTER_SKIP;
	says(0, MILTER_CMD_BODY, MILTER_ANS_SKIP);
	open_session();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	text(letter_of(200000));
	T_EQ_NUM(made[0].chunks, 1);
	T_CHECK(strstr(told(0), "EOH|BODY|EOM|") != NULL);
	end();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	text(letter_of(200000));
	T_EQ_NUM(made[0].chunks, 5);
	counts_bodies = false;
	teardown();
}

/* ---- recipients that are refused ---- */

static void
refused_recipients_are_for_those_who_asked(void)
{
	static const struct verdict no = {
		.kind = VERDICT_REJECT, .enh = "5.1.1", .text = { "who?", 4 }
	};

	setup(2);
	made[0].theirs.protocol = MILTER_RCPT_REJ;
	made[0].shows_macros = true;
	made[0].theirs.macros[MILTER_AT_RCPT] = SV("{rcpt_mailer} rcpt_host {rcpt_addr}");
	for (unsigned p = 0; p < MILTER_PLACES; p++)
		if (p != MILTER_AT_RCPT)
			made[0].theirs.macros[p] = SV("");
	open_session();
	mail("<a@b.example>");
	(void)told(0);
	(void)told(1);
	says(0, MILTER_CMD_RCPT, MILTER_ANS_REJECT);
	add_rcpt("<x@d.example>")->said = no;
	at(STAGE_RCPT);
	T_TOLD(0, "{{rcpt_mailer}=error {rcpt_host}=5.1.1 {rcpt_addr}=who?}RCPT <x@d.example>|");
	T_TOLD(1, "");
	T_CHECK(!verdict_final(&advice_of(0)->say));
	rcpt("<c@d.example>");
	T_TOLD(0,
	    "{{rcpt_mailer}=smtp {rcpt_host}=d.example {rcpt_addr}=c@d.example}RCPT <c@d.example>|");
	T_TOLD(1, "RCPT <c@d.example>|");
	T_CHECK(!verdict_final(&advice_of(0)->say));
	teardown();
}

/* No connection is made on account of one. */
static void
a_refused_recipient_opens_nothing(void)
{
	setup(1);
	s.hears[0] = HEARS_NOT_YET;
	open_session();
	mail("<a@b.example>");
	s.hears[0] = HEARS_YES;
	add_rcpt("<x@d.example>")->said = (struct verdict){ .kind = VERDICT_REJECT };
	at(STAGE_RCPT);
	T_EQ_NUM(made[0].opens, 0);
	teardown();
}

/* ---- what was missed ---- */

static void
one_that_is_heard_late_hears_of_all(void)
{
	static const struct {
		const char *name;
		enum stage  from;
		const char *want;
	} rows[] = {
		{ "helo", STAGE_HELO, SESSION },
		{ "mail", STAGE_MAIL, SESSION "MAIL <a@b.example>|" },
		{ "rcpt", STAGE_RCPT,
		    SESSION "MAIL <a@b.example>|RCPT <c@d.example>|RCPT <e@d.example>|" },
		{ "data", STAGE_DATA,
		    SESSION "MAIL <a@b.example>|RCPT <c@d.example>|RCPT <e@d.example>|DATA|" },
		{ "message", STAGE_MESSAGE,
		    SESSION
		    "MAIL <a@b.example>|RCPT <c@d.example>|RCPT <e@d.example>|DATA|" TOLD_TEXT },
	};
	static const enum stage stages[] = { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT,
		STAGE_DATA, STAGE_MESSAGE };

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		setup(1);
		for (size_t j = 0; j < T_COUNT(stages); j++) {
			enum stage now = stages[j];

			s.hears[0] = now >= rows[i].from ? HEARS_YES : HEARS_NOT_YET;
			if (now == STAGE_HELO)
				helo("mx.example");
			else if (now == STAGE_MAIL)
				mail("<a@b.example>");
			else if (now == STAGE_RCPT) {
				/* Another's word, and one of whom nothing is known yet. */
				add_rcpt("<x@d.example>")->said =
				    (struct verdict){ .kind = VERDICT_REJECT };
				add_rcpt("<y@d.example>")->dropped = true;
				add_rcpt("<c@d.example>")->upstream_took = true;
				rcpt("<e@d.example>");
				s.env.rcpt[3].upstream_took = true;
				if (rows[i].from > STAGE_RCPT)
					(void)add_rcpt("<refused-behind@d.example>");
			} else if (now == STAGE_MESSAGE)
				text(LETTER);
			else
				at(now);
			T_EQ_STR(fact_of(0), now >= rows[i].from ? "continue" : "-");
			T_EQ_NUM(advice_of(0)->asked, now >= rows[i].from);
			if (now == rows[i].from)
				T_TOLD(0, rows[i].want);
		}
		teardown();
	}
	t_row = NULL;
}

static void
a_late_refusal_of_a_recipient_is_the_messages(void)
{
	setup(1);
	s.hears[0] = HEARS_NOT_YET;
	open_session();
	mail("<a@b.example>");
	rcpt("<c@d.example>");
	s.hears[0] = HEARS_YES;
	answers(0, MILTER_CMD_RCPT, code(550, "5.1.1", "not c"));
	rcpt("<e@d.example>");
	T_CHECK(!verdict_final(&advice_of(0)->say));
	at(STAGE_DATA);
	T_EQ_TEXT(advice_of(0)->say.text, "not c");
	text(LETTER);
	T_EQ_NUM(advice_of(0)->say.kind, VERDICT_REJECT);
	T_EQ_STR(fact_of(0), "reject");
	teardown();
}

static void
one_that_takes_no_part_is_told_nothing(void)
{
	setup(2);
	s.hears[0] = HEARS_NO;
	open_session();
	whole_message(LETTER);
	T_EQ_NUM(made[0].opens, 0);
	T_EQ_STR(fact_of(0), "-");
	T_CHECK(!advice_of(0)->asked);
	T_EQ_STR(fact_of(1), "continue");
	/* Left out in the middle: it hears that this message is over, later. */
	end();
	s.hears[0] = HEARS_YES;
	mail("<a@b.example>");
	s.hears[0] = HEARS_NO;
	rcpt("<c@d.example>");
	T_CHECK(!advice_of(0)->asked);
	end();
	s.hears[0] = HEARS_YES;
	mail("<n@b.example>");
	T_CHECK(strstr(told(0), "ABORT!MAIL <n@b.example>|") != NULL);
	teardown();
}

/* ---- again and again ---- */

static void
every_end_of_a_transaction_arms_anew(void)
{
	static const struct {
		const char             *name;
		enum stage              upto;
		enum milter_command     to;
		enum milter_answer_kind kind;
		const char             *first; /* of what is told next */
	} rows[] = {
		{ "behind MAIL", STAGE_MAIL, 0, MILTER_ANS_CONTINUE, "ABORT!MAIL" },
		{ "behind RCPT", STAGE_RCPT, 0, MILTER_ANS_CONTINUE, "ABORT!MAIL" },
		{ "behind DATA", STAGE_DATA, 0, MILTER_ANS_CONTINUE, "ABORT!MAIL" },
		{ "the end", STAGE_MESSAGE, 0, MILTER_ANS_CONTINUE, "MAIL" },
		{ "accepted at the end", STAGE_MESSAGE, MILTER_CMD_EOM, MILTER_ANS_ACCEPT, "MAIL" },
		{ "rejected at the end", STAGE_MESSAGE, MILTER_CMD_EOM, MILTER_ANS_REJECT, "MAIL" },
		{ "discarded at the end", STAGE_MESSAGE, MILTER_CMD_EOM, MILTER_ANS_DISCARD,
		    "MAIL" },
		{ "accepted at MAIL", STAGE_MESSAGE, MILTER_CMD_MAIL, MILTER_ANS_ACCEPT,
		    "ABORT!MAIL" },
		{ "rejected at DATA", STAGE_DATA, MILTER_CMD_DATA, MILTER_ANS_REJECT,
		    "ABORT!MAIL" },
		{ "rejected in the header", STAGE_MESSAGE, MILTER_CMD_HEADER, MILTER_ANS_REJECT,
		    "ABORT!MAIL" },
		{ "discarded in the body", STAGE_MESSAGE, MILTER_CMD_BODY, MILTER_ANS_DISCARD,
		    "ABORT!MAIL" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		char want[200];

		t_row = rows[i].name;
		setup(1);
		if (rows[i].to != 0)
			says(0, rows[i].to, rows[i].kind);
		open_session();
		mail("<z@b.example>");
		if (rows[i].upto >= STAGE_RCPT)
			rcpt("<c@d.example>");
		if (rows[i].upto >= STAGE_DATA)
			at(STAGE_DATA);
		if (rows[i].upto == STAGE_MESSAGE)
			text(LETTER);
		(void)told(0);
		end();
		whole_message(LETTER);
		(void)snprintf(want, sizeof(want), "%s <a@b.example>|RCPT <c@d.example>|DATA|%s",
		    rows[i].first, TOLD_TEXT);
		T_TOLD(0, want);
		T_EQ_STR(fact_of(0), "continue");
		teardown();
	}
	t_row = NULL;
}

static void
a_second_helo_is_told_again(void)
{
	setup(1);
	open_session();
	mail("<a@b.example>");
	(void)told(0);
	end();
	T_TOLD(0, "ABORT!");
	helo("other.example");
	T_TOLD(0, "HELO other.example|");
	/* One that was not told of is caught up on. */
	s.client.helo = SV("third.example");
	mail("<a@b.example>");
	T_TOLD(0, "HELO third.example|MAIL <a@b.example>|");
	teardown();
}

static void
a_thousand_transactions_take_no_more_memory_than_one(void)
{
	size_t used = 0;

	setup(2);
	open_session();
	for (unsigned i = 0; i < 1000; i++) {
		made[1].open_rc = i % 3 == 1 ? MILTER_GONE : MILTER_OK;
		if (i % 3 == 2)
			breaks(1, MILTER_CMD_BODY, MILTER_GARBAGE);
		whole_message(LETTER);
		T_EQ_NUM(advice_of(1)->failed, i % 3 == 2);
		end();
		made[0].n = made[1].n = 0;
		made[1].n_line = 0;
		s.n_log = 0;
		if (i == 2)
			used = arena_used(s.a);
	}
	T_EQ_NUM(arena_used(s.a), used);
	T_EQ_NUM(made[0].opens, 1);
	teardown();
}

static void
a_session_without_milters_costs_a_few_pointers(void)
{
	struct arena *a = arena_new(4096, 0);
	size_t        before = arena_used(a);

	setup(3);
	T_CHECK(milter_filter.open(a, s.shared, &s.client) != NULL);
	T_CHECKF(arena_used(a) - before <= 64, "%zu octets", arena_used(a) - before);
	arena_free(a);
	teardown();
}

/* ---- commands that are not known ---- */

static void
unknown_commands_are_told_to_who_listens(void)
{
	setup(3);
	s.hears[1] = HEARS_NOT_YET;
	made[2].theirs.protocol = MILTER_NO_UNKNOWN;
	open_session();
	for (unsigned i = 0; i < 3; i++)
		(void)told(i);
	s.hears[1] = HEARS_YES;
	s.session_mail.line = SV("XYZZY now");
	answers(0, MILTER_CMD_UNKNOWN, code(503, "5.5.1", "none such"));
	at(STAGE_UNKNOWN);
	T_TOLD(0, "UNKNOWN XYZZY now|");
	T_TOLD(1, "");
	T_TOLD(2, "");
	T_EQ_NUM(made[1].opens, 0);
	T_EQ_NUM(s.session_advice[0].say.code, 503);
	T_EQ_STR(fact_of(0), "continue");
	helo("mx.example");
	T_CHECK(!verdict_final(&s.session_advice[0].say));
	mail("<a@b.example>");
	s.mail.line = SV("XYZZY");
	(void)told(0);
	answers(0, MILTER_CMD_UNKNOWN, code(503, "5.5.1", "none such"));
	at(STAGE_UNKNOWN); /* in a message nobody is */
	T_TOLD(0, "");
	T_CHECK(!verdict_final(&s.session_advice[0].say));
	rcpt("<c@d.example>");
	T_TOLD(0, "RCPT <c@d.example>|");
	teardown();
}

static void
in_a_dry_run_nobody_is_called(void)
{
	setup(1);
	s.milters.dry = true;
	open_session();
	whole_message(LETTER);
	T_EQ_NUM(made[0].opens, 0);
	T_EQ_STR(fact_of(0), "-");
	T_CHECK(!advice_of(0)->asked);
	teardown();
}

int
main(void)
{
	T_RUN(keeps_to_what_was_negotiated);
	T_RUN(answers_of_those_without_replies_come_at_the_end);
	T_RUN(bodies_come_in_chunks_as_large_as_agreed);
	T_RUN(skip_ends_the_body_and_nothing_else);
	T_RUN(refused_recipients_are_for_those_who_asked);
	T_RUN(a_refused_recipient_opens_nothing);
	T_RUN(one_that_is_heard_late_hears_of_all);
	T_RUN(a_late_refusal_of_a_recipient_is_the_messages);
	T_RUN(one_that_takes_no_part_is_told_nothing);
	T_RUN(every_end_of_a_transaction_arms_anew);
	T_RUN(a_second_helo_is_told_again);
	T_RUN(a_thousand_transactions_take_no_more_memory_than_one);
	T_RUN(a_session_without_milters_costs_a_few_pointers);
	T_RUN(unknown_commands_are_told_to_who_listens);
	T_RUN(in_a_dry_run_nobody_is_called);
	return t_end();
}
