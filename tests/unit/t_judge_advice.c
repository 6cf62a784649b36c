/*
 * t_judge_advice -- filters that advise: when they are told, and what becomes of what they say.
 */
#include "proxy/judge.h"

#include "filters/auth.h"
#include "filters/milter_conf.h"
#include "filters/registry.h"
#include "proxy/base/loop.h"
#include "tests/policy/canned.h"
#include "tests/unit/t.h"

enum { ONE, TWO, N_MILTERS };

/* ---- the filters ---- */

static struct test {
	struct arena      *conf, *session, *tx;
	struct loop       *loop;
	struct fiber_pool *pool;
	struct policy     *policy;
	struct judge      *judge;
	struct hearing    *h;
	struct client      client;
	struct canned      canned;
	char               log[4096]; /* what was heard */
	size_t             log_n;
	const char        *rcpt;    /* at RCPT only of this one is anything said */
	enum stage         says_at; /* STAGE_MAX: nothing is said */
	unsigned           who;
	struct advice      says;
	enum stage         hangs_at;
	bool               over;
} t;

__attribute__((format(printf, 1, 2))) static void
say(const char *fmt, ...)
{
	va_list ap;
	int     n;

	va_start(ap, fmt);
	n = vsnprintf(t.log + t.log_n, sizeof(t.log) - t.log_n, fmt, ap);
	va_end(ap);
	t.log_n += (size_t)n < sizeof(t.log) - t.log_n ? (size_t)n : 0;
}

static const char *
heard(void)
{
	t.log[t.log_n] = '\0';
	t.log_n = 0;
	return t.log;
}

static enum filter_rc
canned_filter_ask(void *self, struct fact *f, const struct mail *m)
{
	(void)self, (void)m;
	(void)canned_ask(&t.canned, f);
	return f->state == FACT_KNOWN ? FILTER_OK : FILTER_TEMP;
}

static const struct filter canned_filter = { .name = "canned", .ask = canned_filter_ask };

static enum filter_rc
plain_at(void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *f)
{
	(void)self, (void)m, (void)v;
	say("plain@%s%s ", stage_word(at), f->advice != NULL ? " with advice" : "");
	return FILTER_OK;
}

static const struct filter plain_filter = {
	.name = "plain", .stages = AT(CONNECT) | AT(MAIL) | AT(MESSAGE), .at = plain_at
};

static void *
adviser_make(struct arena *conf, const struct filter_use *use)
{
	return use->milters->n > 0 ? arena_alloc(conf, 1) : NULL;
}

/* As a filter of milters does: whom it is to tell it asks, and at RCPT what was said of the last one is over. */
MAY_YIELD static enum filter_rc
adviser_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *f)
{
	const struct rcpt *r = at == STAGE_RCPT ? &m->env->rcpt[m->rcpt] : NULL;

	(void)self, (void)v;
	say("%s", stage_word(at));
	if (at == STAGE_UNKNOWN)
		say("(%.*s)", (int)m->line.n, m->line.p);
	if (r != NULL)
		say("(%.*s%s)", (int)r->to.text.n, r->to.text.p,
		    verdict_final(&r->said) ? " refused" : "");
	say(" ");
	if (at == t.hangs_at && fiber_park("a thing that never comes", 0) == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	for (unsigned i = 0; i < N_MILTERS; i++) {
		enum hears hears = f->hears(f, i);

		if (hears != HEARS_YES)
			say("%s ", hears == HEARS_NOT_YET ? "not-yet" : "no");
		f->advice[i].asked = hears == HEARS_YES;
		if (at == STAGE_RCPT && f->advice[i].say.kind != VERDICT_DISCARD)
			f->advice[i].say = (struct verdict){ 0 };
	}
	if (at == t.says_at && (r == NULL || t.rcpt == NULL || strv_eq(r->to.text, strv_z(t.rcpt))))
		f->advice[t.who] = t.says;
	return FILTER_OK;
}

static const struct filter adviser_filter = {
	.name = "adviser",
	.does = DOES_ADVISE,
	.stages = AT(CONNECT) | AT(HELO) | AT(MAIL) | AT(RCPT) | AT(DATA) | AT(MESSAGE) |
	    AT(UNKNOWN),
	.make = adviser_make,
	.at = adviser_at,
};

const struct filter *const registry_filters[] = { &canned_filter, &adviser_filter, &plain_filter,
	NULL };

const struct fact_def *
registry_facts(unsigned *n)
{
	*n = CANNED_N;
	return canned_facts;
}

unsigned
registry_owner(unsigned number)
{
	(void)number;
	return 0;
}

unsigned
registry_number(const char *name)
{
	(void)name;
	return 0;
}

/* ---- the stand ---- */

static uint64_t clock_ms;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static struct world fake = { .now = fake_now };

#define RULES \
	"domains ours { ours.example }\n" \
	"relay { allow to ours }\n" \
	"check held { when spf is fail  reject 550 5.7.1 \"no\" }\n" \
	"check dropped { at rcpt  when spf is neutral  discard }\n" \
	"milter one { socket \"unix:/one\" }\n"

static const char rules[] = RULES "milter two { socket \"unix:/two\" }\n";
static const char warning[] = RULES "milter two warn { socket \"unix:/two\" }\n";
static const char at_once[] = RULES "milter two { socket \"unix:/two\" }\nreject-at stage\n";
static const char conditional[] = RULES
    "milter two { socket \"unix:/two\"  when rcpt.count > 5 }\n";

static void
setup(const char *text, uint64_t within, bool no_gate)
{
	static struct auth_conf    auth = AUTH_CONF_DEFAULT;
	static struct milters_conf milters = { .n = N_MILTERS };
	struct canned_file         file = { "t.conf", text, { NULL, 0 } };
	struct canned_files        files = { .v = &file, .n = 1 };
	struct world               w = canned_world(&files);
	struct diags               d;

	memset(&t, 0, sizeof(t));
	clock_ms = 1000;
	t.conf = arena_new(4096, 0);
	t.session = arena_new(4096, 0);
	t.tx = arena_new(4096, 0);
	t.loop = loop_new(&fake);
	t.pool = fiber_pool_new(t.loop, 65536, 16, 4);
	t.says_at = t.hangs_at = STAGE_MAX;
	d = (struct diags){ .a = t.conf };
	t.policy = policy_load(t.conf, &w, conf_parse(t.conf, &w, "t.conf", &d), canned_facts,
	    CANNED_N, &canned_names, &canned_key, &d);
	for (unsigned i = 0; i < d.n; i++)
		printf("%.*s\n", (int)d.v[i].text.n, d.v[i].text.p);
	T_CHECK(t.policy != NULL);
	t.judge = judge_new(
	    t.conf, &(struct judge_conf){ t.policy, &auth, &milters, within, no_gate });
	t.h = judge_open(t.judge, t.session, &t.client);
}

static void
teardown(void)
{
	judge_close(t.h);
	T_EQ_NUM(fiber_pool_live(t.pool), 0);
	fiber_pool_free(t.pool);
	loop_free(t.loop);
	policy_free(t.policy);
	arena_free(t.tx);
	arena_free(t.session);
	arena_free(t.conf);
}

static void
says(enum stage at, unsigned who, enum verdict_kind kind)
{
	t.says_at = at;
	t.who = who;
	t.says = (struct advice){ .asked = true,
		.say = { .kind = kind, .text = SV("the milter's words") } };
}

static struct verdict
stage(enum stage at)
{
	struct verdict v;

	T_EQ_NUM(judge_stage(t.h, at, &v), WAIT_OK);
	return v;
}

static struct verdict
begin(void)
{
	judge_begin(t.h, t.tx);
	return stage(STAGE_MAIL);
}

static struct verdict
rcpt(const char *to)
{
	struct transaction *tx = t.h->tx;
	struct verdict      v;
	struct rcpt         r = { 0 };
	const char         *why;

	T_EQ_NUM(path_parse_plain(t.tx, strv_z(to), &r.to, &why), PATH_OK);
	*envelope_add(t.tx, &tx->env) = r;
	t.canned.v[CANNED_RCPT].path = &tx->env.rcpt[tx->env.n_rcpt - 1].to;
	T_EQ_NUM(judge_rcpt(t.h, tx->env.n_rcpt - 1, &v), WAIT_OK);
	tx->env.rcpt[tx->env.n_rcpt - 1].said = v;
	return v;
}

static struct verdict
message(void)
{
	struct message *m = &t.h->tx->msg;
	struct strv     body;
	struct verdict  v;

	message_begin(m, t.tx, NULL, 10000);
	T_EQ_NUM(message_feed(m, SV("A: b\r\n\r\n"), &body), MESSAGE_OK);
	message_end(m, &body);
	m->complete = true;
	T_EQ_NUM(judge_message(t.h, &v), WAIT_OK);
	return v;
}

static void
end(void)
{
	judge_end(t.h);
}

/* ---- who is told, and when ---- */

static void
advice_comes_behind_the_checks(void)
{
	setup(rules, 0, false);
	T_CHECK(judge_edits(t.judge));
	stage(STAGE_CONNECT);
	stage(STAGE_HELO);
	begin();
	T_EQ_NUM(rcpt("a@ours.example").kind, VERDICT_NONE);
	stage(STAGE_DATA);
	T_EQ_NUM(message().kind, VERDICT_NONE);
	T_EQ_STR(heard(),
	    "plain@connect connect helo plain@mail mail rcpt(a@ours.example) data plain@message "
	    "message ");
	end();
	teardown();
}

/* `check held' refuses the sender, and that is spoken at RCPT: milters hear of neither. */
static void
what_is_settled_is_not_told(void)
{
	setup(rules, 0, false);
	t.canned.v[CANNED_SPF].word = 3;
	begin();
	T_EQ_TEXT(rcpt("a@ours.example").by, "held");
	T_EQ_STR(heard(), "plain@mail ");
	end();
	teardown();
}

/* A milter that wants to know is told of who was refused by the gate; what it says then is not heard. */
static void
refused_recipients_are_told(void)
{
	setup(rules, 0, false);
	says(STAGE_RCPT, ONE, VERDICT_TEMPFAIL);
	begin();
	T_EQ_TEXT(rcpt("a@elsewhere.example").by, "relay");
	T_EQ_STR(heard(), "plain@mail mail rcpt(a@elsewhere.example refused) ");
	end();
	teardown();
}

/* A recipient that a check drops, alone: nobody need hear of it. */
static void
dropped_recipients_are_not_told(void)
{
	setup(rules, 0, false);
	t.canned.v[CANNED_SPF].word = 1;
	begin();
	T_EQ_TEXT(rcpt("a@ours.example").by, "dropped");
	T_CHECK(!verdict_final(&t.h->tx->verdict));
	T_EQ_STR(heard(), "plain@mail mail ");
	end();
	teardown();
}

static void
conditions_are_the_policys(void)
{
	setup(conditional, 0, false);
	stage(STAGE_CONNECT);
	begin();
	T_EQ_NUM(rcpt("a@ours.example").kind, VERDICT_NONE);
	t.canned.v[CANNED_COUNT].number = 6;
	stage(STAGE_DATA);
	T_EQ_STR(heard(),
	    "plain@connect connect not-yet plain@mail mail not-yet rcpt(a@ours.example) not-yet data ");
	end();
	teardown();
	setup(conditional, 0, false);
	begin();
	stage(STAGE_DATA);
	T_EQ_STR(heard(), "plain@mail mail not-yet data no ");
	end();
	teardown();
}

/* ---- what is made of it ---- */

static const enum stage early[] = { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL };

static void
early_refusals_wait_for_rcpt(void)
{
	for (size_t i = 0; i < T_COUNT(early); i++) {
		struct verdict v;

		setup(rules, 0, false);
		t_row = stage_word(early[i]);
		says(early[i], TWO, VERDICT_REJECT);
		T_EQ_NUM(stage(STAGE_CONNECT).kind, VERDICT_NONE);
		T_EQ_NUM(stage(STAGE_HELO).kind, VERDICT_NONE);
		T_EQ_NUM(begin().kind, VERDICT_NONE);
		(void)heard();
		v = rcpt("a@ours.example");
		T_EQ_NUM(v.kind, VERDICT_REJECT);
		T_EQ_TEXT(v.by, "two");
		T_EQ_TEXT(verdict_text(&v), "the milter's words");
		T_EQ_STR(heard(), "");
		end();
		teardown();
	}
	t_row = NULL;
}

static void
or_are_told_at_once(void)
{
	for (size_t i = 0; i < T_COUNT(early); i++) {
		setup(at_once, 0, false);
		t_row = stage_word(early[i]);
		says(early[i], TWO, VERDICT_TEMPFAIL);
		if (early[i] == STAGE_MAIL)
			judge_begin(t.h, t.tx);
		T_EQ_NUM(stage(early[i]).kind, VERDICT_TEMPFAIL);
		T_CHECK(!verdict_final(&t.h->held));
		end();
		teardown();
	}
	t_row = NULL;
}

static void
disconnect_is_told_at_once(void)
{
	setup(rules, 0, false);
	says(STAGE_CONNECT, ONE, VERDICT_DISCONNECT);
	T_EQ_NUM(stage(STAGE_CONNECT).kind, VERDICT_DISCONNECT);
	teardown();
}

static void
a_refusal_at_rcpt_is_of_that_recipient(void)
{
	setup(rules, 0, false);
	says(STAGE_RCPT, ONE, VERDICT_REJECT);
	t.rcpt = "b@ours.example";
	begin();
	T_EQ_NUM(rcpt("a@ours.example").kind, VERDICT_NONE);
	T_EQ_NUM(rcpt("b@ours.example").kind, VERDICT_REJECT);
	T_EQ_NUM(rcpt("c@ours.example").kind, VERDICT_NONE);
	T_CHECK(!verdict_final(&t.h->tx->verdict));
	end();
	teardown();
}

static const enum stage discards[] = { STAGE_MAIL, STAGE_RCPT };

/* Of whatever recipient it is said, it is the message that goes, and nobody hears more of it. */
static void
a_discard_is_of_the_message(void)
{
	for (size_t i = 0; i < T_COUNT(discards); i++) {
		setup(rules, 0, false);
		t_row = stage_word(discards[i]);
		says(discards[i], TWO, VERDICT_DISCARD);
		t.rcpt = "b@ours.example";
		T_EQ_NUM(begin().kind, VERDICT_NONE);
		T_EQ_NUM(rcpt("a@ours.example").kind,
		    discards[i] == STAGE_MAIL ? VERDICT_DISCARD : VERDICT_NONE);
		T_EQ_NUM(rcpt("b@ours.example").kind, VERDICT_DISCARD);
		T_EQ_NUM(t.h->tx->verdict.kind, VERDICT_DISCARD);
		T_EQ_TEXT(t.h->tx->verdict.by, "two");
		(void)heard();
		T_EQ_NUM(rcpt("c@ours.example").kind, VERDICT_DISCARD);
		T_EQ_STR(heard(), "");
		end();
		teardown();
	}
	t_row = NULL;
}

static const enum stage        late[] = { STAGE_DATA, STAGE_MESSAGE };
static const enum verdict_kind kinds[] = { VERDICT_DISCARD, VERDICT_TEMPFAIL, VERDICT_REJECT,
	VERDICT_DISCONNECT };

static void
late_words_are_told_at_once(void)
{
	for (size_t i = 0; i < T_COUNT(late) * T_COUNT(kinds); i++) {
		enum stage at = late[i / T_COUNT(kinds)];

		setup(rules, 0, false);
		t_row = stage_word(at);
		says(at, ONE, kinds[i % T_COUNT(kinds)]);
		begin();
		T_EQ_NUM(rcpt("a@ours.example").kind, VERDICT_NONE);
		T_EQ_NUM(
		    (at == STAGE_DATA ? stage(at) : message()).kind, kinds[i % T_COUNT(kinds)]);
		end();
		teardown();
	}
	t_row = NULL;
}

static void
quarantine_waits_for_the_message(void)
{
	setup(rules, 0, false);
	says(STAGE_DATA, ONE, VERDICT_QUARANTINE);
	begin();
	T_EQ_NUM(stage(STAGE_DATA).kind, VERDICT_NONE);
	T_EQ_NUM(message().kind, VERDICT_QUARANTINE);
	end();
	teardown();
}

/* What was said of the session is said of each of its transactions, and a transaction's is its own. */
static void
a_transaction_begins_as_the_session(void)
{
	setup(rules, 0, false);
	t.says_at = STAGE_HELO;
	t.who = ONE;
	t.says = (struct advice){ .asked = true, .accepts = true };
	stage(STAGE_HELO);
	for (unsigned i = 0; i < 2; i++) {
		judge_begin(t.h, t.tx);
		T_CHECK(t.h->tx->advice[ONE].accepts);
		T_CHECK(!t.h->tx->advice[TWO].accepts);
		t.h->tx->advice[TWO].accepts = true;
		end();
	}
	T_CHECK(!t.h->advice[TWO].accepts);
	teardown();
}

/* ---- commands that are not known ---- */

static struct verdict
unknown(const char *line)
{
	struct verdict v;

	T_EQ_NUM(judge_unknown(t.h, strv_z(line), &v), WAIT_OK);
	return v;
}

static void
an_unknown_command_may_be_refused(void)
{
	setup(rules, 0, false);
	T_CHECK(judge_hears_unknown(t.judge));
	T_EQ_NUM(unknown("FROB x").kind, VERDICT_NONE);
	says(STAGE_UNKNOWN, TWO, VERDICT_REJECT);
	T_EQ_NUM(unknown("FROB y").kind, VERDICT_REJECT);
	T_EQ_TEXT(unknown("FROB z").by, "two");
	T_EQ_STR(heard(), "unknown(FROB x) unknown(FROB y) unknown(FROB z) ");
	/* It was of the command alone. */
	T_CHECK(!verdict_final(&t.h->advice[TWO].say));
	says(STAGE_UNKNOWN, TWO, VERDICT_DISCARD);
	T_EQ_NUM(unknown("FROB").kind, VERDICT_NONE);
	begin();
	T_EQ_NUM(rcpt("a@ours.example").kind, VERDICT_NONE);
	says(STAGE_UNKNOWN, ONE, VERDICT_TEMPFAIL);
	T_EQ_NUM(unknown("FROB").kind, VERDICT_TEMPFAIL);
	T_CHECK(!verdict_final(&t.h->tx->advice[ONE].say));
	T_EQ_NUM(message().kind, VERDICT_NONE);
	T_CHECK(t.h->tx->mail.line.p == NULL);
	end();
	teardown();
}

static void
who_only_warns_refuses_no_command(void)
{
	setup(warning, 0, false);
	says(STAGE_UNKNOWN, TWO, VERDICT_REJECT);
	T_EQ_NUM(unknown("FROB").kind, VERDICT_NONE);
	says(STAGE_UNKNOWN, ONE, VERDICT_REJECT);
	T_EQ_NUM(unknown("FROB").kind, VERDICT_REJECT);
	teardown();
}

/* ---- time, the gate ---- */

struct in_fiber {
	void (*fn)(void);
};

static void
call(void *arg)
{
	((struct in_fiber *)arg)->fn();
	t.over = true;
}

static void
run(void (*fn)(void))
{
	struct in_fiber f = { fn };

	t.over = false;
	T_CHECK(fiber_start(t.pool, "test", call, &f) != NULL);
	for (unsigned i = 0; i < 100 && !t.over; i++) {
		uint64_t next = loop_next_timer(t.loop);

		loop_round(t.loop, false);
		if (!t.over && next != UINT64_MAX && next > clock_ms)
			clock_ms = next;
	}
	T_CHECK(t.over);
}

static void
hangs(void)
{
	uint64_t began = clock_ms, was = fiber_self()->deadline;

	judge_begin(t.h, t.tx);
	if (t.hangs_at == STAGE_MAIL)
		stage(STAGE_MAIL);
	else
		message();
	T_CHECK(clock_ms - began >= 1000);
	say("%llu", (unsigned long long)(clock_ms - began));
	T_EQ_NUM(fiber_self()->deadline, was);
	end();
}

static const struct {
	uint64_t    within;
	enum stage  at;
	const char *ms;
} bounds[] = {
	{ 0, STAGE_MAIL, "plain@mail mail 90000" },
	{ 0, STAGE_MESSAGE, "plain@message message 120000" },
	{ 7000, STAGE_MAIL, "plain@mail mail 7000" },
	{ 200000, STAGE_MESSAGE, "plain@message message 200000" },
	{ 200000, STAGE_MAIL, "plain@mail mail 90000" },
};

static void
a_stage_has_its_time(void)
{
	for (size_t i = 0; i < T_COUNT(bounds); i++) {
		setup(rules, bounds[i].within, false);
		t.hangs_at = bounds[i].at;
		run(hangs);
		T_EQ_STR(heard(), bounds[i].ms);
		teardown();
	}
}

static void
the_gate_may_be_another_ones(void)
{
	setup(rules, 0, true);
	begin();
	T_EQ_NUM(rcpt("a@elsewhere.example").kind, VERDICT_NONE);
	T_EQ_STR(heard(), "plain@mail mail rcpt(a@elsewhere.example) ");
	end();
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(advice_comes_behind_the_checks);
	T_RUN(what_is_settled_is_not_told);
	T_RUN(refused_recipients_are_told);
	T_RUN(dropped_recipients_are_not_told);
	T_RUN(conditions_are_the_policys);
	T_RUN(early_refusals_wait_for_rcpt);
	T_RUN(or_are_told_at_once);
	T_RUN(disconnect_is_told_at_once);
	T_RUN(a_refusal_at_rcpt_is_of_that_recipient);
	T_RUN(a_discard_is_of_the_message);
	T_RUN(late_words_are_told_at_once);
	T_RUN(quarantine_waits_for_the_message);
	T_RUN(a_transaction_begins_as_the_session);
	T_RUN(an_unknown_command_may_be_refused);
	T_RUN(who_only_warns_refuses_no_command);
	T_RUN(a_stage_has_its_time);
	T_RUN(the_gate_may_be_another_ones);
	return t_end();
}
