/*
 * t_judge -- filters of the test's own in place of the registry's: who is called when, what is started early, and
 * that nothing of a transaction outlives it.
 */
#include "proxy/judge.h"

#include "filters/auth.h"
#include "filters/registry.h"
#include "proxy/base/loop.h"
#include "tests/policy/canned.h"
#include "tests/unit/t.h"

/* ---- the filters ---- */

enum { SLOW = CANNED_N, OF_TEXT, OF_RCPT, OF_SESSION, HANGS, N_FACTS };

/* clang-format off */
static const struct fact_def probe_facts[] = {
	{ .name = "slow", .type = FACT_TEXT, .first = STAGE_MAIL, .cost = COST_DNS, .args = "s" },
	{ .name = "of.text", .type = FACT_TEXT, .first = STAGE_HEADERS, .cost = COST_TEXT },
	{ .name = "of.rcpt", .type = FACT_TEXT, .first = STAGE_RCPT, .cost = COST_DNS, .per_rcpt = true },
	{ .name = "of.session", .type = FACT_TEXT, .first = STAGE_CONNECT, .cost = COST_DNS, .per_session = true },
	{ .name = "hangs", .type = FACT_TEXT, .first = STAGE_MAIL, .cost = COST_DNS },
	{ 0 }
};
/* clang-format on */

static struct test {
	struct arena      *conf, *session, *tx;
	struct loop       *loop;
	struct fiber_pool *pool;
	struct policy     *policy;
	struct judge      *judge;
	struct hearing    *h;
	struct client      client;
	struct canned      canned;
	char               log[4096]; /* what the filters heard */
	size_t             log_n;
	unsigned           asks, cancelled, inside, most;
	enum filter_rc     body_rc, seal_rc;
	enum stage         starts_at;
	unsigned           starts;
	struct strv        arg[100];
	unsigned           n_start;
	enum wait_rc       rc;
	struct verdict     v;
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

/* One that the configuration has no use for. */
static void *
none(struct arena *a, const struct filter_use *use)
{
	(void)a, (void)use;
	return NULL;
}

static void *
never_open(struct arena *a, void *shared, const struct client *c)
{
	(void)a, (void)shared, (void)c;
	say("absent opened ");
	return &t;
}

static enum filter_rc
never_at(void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *f)
{
	(void)self, (void)m, (void)v, (void)f;
	say("absent@%s ", stage_word(at));
	return FILTER_OK;
}

static enum filter_rc
never_body(void *self, struct strv text)
{
	(void)self, (void)text;
	say("absent body ");
	return FILTER_OK;
}

static enum filter_rc
never_ask(void *self, struct fact *f, const struct mail *m)
{
	(void)self, (void)m;
	say("absent asked ");
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

static const struct filter absent_filter = {
	.name = "absent",
	.does = DOES_BODY | DOES_BODY_EDIT | DOES_SEAL,
	.stages = ~0u,
	.make = none,
	.open = never_open,
	.at = never_at,
	.ask = never_ask,
	.body = never_body,
};

static enum filter_rc
probe_at(void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *f)
{
	(void)self, (void)m, (void)v;
	say("%s ", stage_word(at));
	for (unsigned i = 0; at == t.starts_at && i < t.n_start; i++)
		f->start(f, t.starts, t.arg[i]);
	return FILTER_OK;
}

static enum filter_rc
probe_body(void *self, struct strv text)
{
	(void)self;
	say("body %.*s ", (int)text.n, text.p);
	return t.body_rc;
}

MAY_YIELD static enum filter_rc
probe_ask(void *self, struct fact *f, const struct mail *m)
{
	enum wait_rc rc;

	(void)self, (void)m;
	t.asks++;
	t.most = ++t.inside > t.most ? t.inside : t.most;
	if (f->number == HANGS)
		rc = fiber_park("a thing that never comes", 0);
	else
		rc = fiber_sleep(100);
	t.inside--;
	t.cancelled += rc == WAIT_CANCELLED;
	if (rc != WAIT_OK)
		return rc == WAIT_CANCELLED ? FILTER_CANCELLED : FILTER_TEMP;
	f->v.text = f->arg.p != NULL ? f->arg : SV("known");
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

static const struct filter probe_filter = {
	.name = "probe",
	.facts = probe_facts,
	.does = DOES_BODY,
	.stages = AT(MAIL) | AT(RCPT) | AT(HEADERS) | AT(MESSAGE),
	.at = probe_at,
	.ask = probe_ask,
	.body = probe_body,
};

static enum filter_rc
second_body(void *self, struct strv text)
{
	(void)self;
	say("second %.*s ", (int)text.n, text.p);
	return FILTER_OK;
}

static const struct filter second_filter = {
	.name = "second",
	.does = DOES_BODY,
	.body = second_body,
};

static void *
sealer_make(struct arena *conf, const struct filter_use *use)
{
	return use->auth->methods != 0 ? arena_alloc(conf, 1) : NULL;
}

static void *
sealer_open(struct arena *a, void *shared, const struct client *c)
{
	(void)a, (void)c;
	return shared;
}

MAY_YIELD static enum filter_rc
sealer_at(void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *f)
{
	struct edit  e = { .op = EDIT_INSERT_HEADER, .name = SV("X-Sealed"), .value = SV("yes") };
	const char  *why;
	struct fact *fact;

	(void)self, (void)m, (void)v;
	say("%s%s ", stage_word(at), f->holds != NULL ? " holds" : "");
	if (!edits_add(t.tx, f->edits, &e, &why))
		return FILTER_BUG;
	if (t.starts == HANGS &&
	    fact_get(f->facts, registry_facts(&(unsigned){ 0 }), HANGS, 0, strv(NULL, 0), &fact) ==
		WAIT_CANCELLED)
		return FILTER_CANCELLED;
	return t.seal_rc;
}

static const struct filter sealer_filter = {
	.name = "sealer",
	.does = DOES_SEAL,
	.stages = AT(SEAL),
	.make = sealer_make,
	.open = sealer_open,
	.at = sealer_at,
};

const struct filter *const registry_filters[] = { &canned_filter, &absent_filter, &probe_filter,
	&second_filter, &sealer_filter, NULL };

const struct fact_def *
registry_facts(unsigned *n)
{
	static struct fact_def all[N_FACTS + 1];

	memcpy(all, canned_facts, sizeof(canned_facts[0]) * CANNED_N);
	memcpy(all + CANNED_N, probe_facts, sizeof(probe_facts));
	*n = N_FACTS;
	return all;
}

unsigned
registry_owner(unsigned number)
{
	return number < CANNED_N ? 0 : 2;
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

static const char RULES[] =
    "domains ours { ours.example }\n"
    "relay { allow to ours }\n"
    "check held { when spf is fail  reject 550 5.7.1 \"no\" }\n"
    "check no { when header(\"V\") is reject  reject 550 5.7.1 \"no\" }\n"
    "check later { when header(\"V\") is tempfail  tempfail 451 4.7.1 \"later\" }\n"
    "check gone { when header(\"V\") is discard  discard }\n"
    "check kept { when header(\"V\") is quarantine  quarantine to k@ours.example }\n";

static struct policy *
load(const char *text)
{
	struct canned_file     file = { "t.conf", text, { NULL, 0 } };
	struct canned_files    files = { .v = &file, .n = 1 };
	struct world           w = canned_world(&files);
	struct diags           d = { .a = t.conf };
	unsigned               n;
	const struct fact_def *facts = registry_facts(&n);
	struct policy *p = policy_load(t.conf, &w, conf_parse(t.conf, &w, "t.conf", &d), facts, n,
	    &canned_names, &canned_key, &d);

	for (unsigned i = 0; i < d.n; i++)
		printf("%.*s\n", (int)d.v[i].text.n, d.v[i].text.p);
	T_CHECK(p != NULL);
	return p;
}

static void
setup_rules(const char *rules, unsigned methods, unsigned fibers)
{
	static struct auth_conf auth = AUTH_CONF_DEFAULT;

	memset(&t, 0, sizeof(t));
	clock_ms = 1000;
	auth.methods = methods;
	t.conf = arena_new(4096, 0);
	t.session = arena_new(4096, 0);
	t.loop = loop_new(&fake);
	t.pool = fiber_pool_new(t.loop, 65536, fibers, 4);
	t.starts_at = STAGE_MAX;
	t.policy = load(rules);
	t.judge = judge_new(t.conf, &(struct judge_conf){ t.policy, &auth, NULL, 0, false });
}

static void
setup(unsigned methods, unsigned fibers)
{
	setup_rules(RULES, methods, fibers);
}

static void
teardown(void)
{
	T_EQ_NUM(fiber_pool_live(t.pool), 0);
	T_EQ_NUM(t.inside, 0);
	fiber_pool_free(t.pool);
	loop_free(t.loop);
	policy_free(t.policy);
	arena_free(t.session);
	arena_free(t.conf);
}

struct in_fiber {
	void (*fn)(void);
};

static void
call(void *arg)
{
	((struct in_fiber *)arg)->fn();
	t.over = true;
}

/* As long as anything happens; the clock jumps. */
static void
run(void (*fn)(void))
{
	struct in_fiber f = { fn };

	t.over = false;
	T_CHECK(fiber_start(t.pool, "test", call, &f) != NULL);
	for (unsigned i = 0; i < 2000 && !t.over; i++) {
		uint64_t next = loop_next_timer(t.loop);

		loop_round(t.loop, false);
		if (!t.over && next != UINT64_MAX && next > clock_ms)
			clock_ms = next;
	}
	T_CHECK(t.over);
}

static void
begin(void)
{
	if (t.h == NULL)
		t.h = judge_open(t.judge, t.session, &t.client);
	t.tx = arena_new(4096, 0);
	judge_begin(t.h, t.tx);
	t.rc = judge_stage(t.h, STAGE_MAIL, &t.v);
}

static void
text(const char *header)
{
	struct message *m = &t.h->tx->msg;
	struct strv     body;

	message_begin(m, t.tx, NULL, 10000);
	T_EQ_NUM(message_feed(m, strv_z(header), &body), MESSAGE_OK);
	T_EQ_NUM(message_feed(m, SV("\r\n"), &body), MESSAGE_OK);
	judge_headers(t.h);
}

static void
message(void)
{
	struct strv body;

	message_end(&t.h->tx->msg, &body);
	t.h->tx->msg.complete = true;
	t.rc = judge_message(t.h, &t.v);
}

static void
end(void)
{
	judge_end(t.h);
	arena_free(t.tx);
	t.tx = NULL;
}

static void
close_it(void)
{
	judge_close(t.h);
	t.h = NULL;
}

/* ---- who takes part ---- */

static void
whole(void)
{
	begin();
	text("A: b\r\n");
	T_EQ_NUM(judge_body(t.h, SV("x")), WAIT_OK);
	message();
	T_EQ_NUM(t.rc, WAIT_OK);
	end();
	close_it();
}

static void
who_has_no_part_costs_nothing(void)
{
	static const char gate[] = "domains ours { ours.example }\nrelay { allow to ours }\n";

	setup_rules(gate, 0, 16);
	T_CHECK(judge_wants_body(t.judge)); /* probe */
	T_CHECK(!judge_edits(t.judge));
	run(whole);
	T_EQ_STR(heard(), "mail headers body x second x message ");
	teardown();
	setup_rules(gate, AUTH_SPF, 16);
	T_CHECK(judge_edits(t.judge)); /* sealer */
	run(whole);
	T_EQ_STR(heard(), "mail headers body x second x message seal holds ");
	teardown();
}

/* ---- at the end ---- */

static const struct {
	const char       *word;
	enum verdict_kind kind;
	const char       *heard;
} ends[] = {
	{ "other", VERDICT_NONE, "mail headers message seal holds " },
	{ "quarantine", VERDICT_QUARANTINE, "mail headers message seal holds " },
	{ "reject", VERDICT_REJECT, "mail headers message " },
	{ "tempfail", VERDICT_TEMPFAIL, "mail headers message " },
	{ "discard", VERDICT_DISCARD, "mail headers message " },
};

static struct strv word;

static void
one_message(void)
{
	begin();
	text("A: b\r\n");
	message();
	T_EQ_NUM(t.h->tx->edits.n, t.v.kind == VERDICT_NONE || t.v.kind == VERDICT_QUARANTINE);
	T_CHECK(t.h->holds == NULL);
	end();
	close_it();
}

static void
seals_what_goes_on(void)
{
	for (size_t i = 0; i < T_COUNT(ends); i++) {
		setup(AUTH_SPF, 16);
		word = strv_z(ends[i].word);
		t.canned.v[CANNED_HEADER].texts.v = &word;
		t.canned.v[CANNED_HEADER].texts.n = 1;
		t_row = ends[i].word;
		run(one_message);
		T_EQ_NUM(t.v.kind, ends[i].kind);
		T_EQ_STR(heard(), ends[i].heard);
		teardown();
	}
	t_row = NULL;
}

static void
half_made(void)
{
	begin();
	text("A: b\r\n");
	message();
	T_EQ_NUM(t.rc, WAIT_OK);
	T_EQ_NUM(t.h->tx->edits.n, 0);
	end();
	close_it();
}

static void
takes_back_half_made_edits(void)
{
	setup(AUTH_SPF, 16);
	t.seal_rc = FILTER_TEMP;
	run(half_made);
	teardown();
}

/* What never answers is unknown after two minutes; then the turn has its own time again. */
static void
hangs_at_seal(void)
{
	uint64_t began = clock_ms;

	begin();
	text("A: b\r\n");
	message();
	T_EQ_NUM(t.rc, WAIT_OK);
	T_EQ_NUM(t.h->tx->edits.n, 1);
	T_EQ_NUM(clock_ms - began, 120000);
	T_EQ_NUM(fiber_self()->deadline, 0);
	end();
	close_it();
}

static void
decides_in_time(void)
{
	setup(AUTH_SPF, 16);
	t.starts = HANGS;
	run(hangs_at_seal);
	teardown();
}

/* ---- body ---- */

static void
two_messages(void)
{
	for (unsigned i = 0; i < 2; i++) {
		begin();
		text("A: b\r\n");
		T_EQ_NUM(judge_body(t.h, SV("1")), WAIT_OK);
		T_EQ_NUM(judge_body(t.h, SV("2")), WAIT_OK);
		end();
	}
	close_it();
}

static void
failed_body(void)
{
	begin();
	text("A: b\r\n");
	t.rc = judge_body(t.h, SV("1"));
	end();
	close_it();
}

static void
body_that_fails_hurts_nobody(void)
{
	static const char fails[] = "mail headers body 1 second 1 second 2 ";
	char              twice[100];

	for (enum filter_rc rc = FILTER_TEMP; rc <= FILTER_BUG; rc++) {
		setup(0, 16);
		t.body_rc = rc;
		run(two_messages);
		snprintf(twice, sizeof(twice), "%s%s", fails, fails);
		T_EQ_STR(heard(), twice);
		teardown();
	}
	setup(0, 16);
	t.body_rc = FILTER_CANCELLED;
	run(failed_body);
	T_EQ_NUM(t.rc, WAIT_CANCELLED);
	teardown();
}

/* ---- early look-ups ---- */

static void
start_many(enum stage at, unsigned fact, unsigned n)
{
	static char text[100][12];

	t.starts_at = at;
	t.starts = fact;
	t.n_start = n;
	for (unsigned i = 0; i < n; i++) {
		snprintf(text[i], sizeof(text[i]), "%u", i);
		t.arg[i] = strv_z(text[i]);
	}
}

static void
waits_for_it(void)
{
	struct fact *f = NULL;
	uint64_t     began = clock_ms;
	unsigned     n;

	begin();
	T_EQ_NUM(clock_ms, began);
	T_EQ_NUM(fiber_pool_live(t.pool), 1 + 3);
	(void)fiber_sleep(60);
	t.rc = judge_stage(t.h, STAGE_MAIL, &t.v);
	T_EQ_NUM(fiber_pool_live(t.pool), 1 + 3);
	T_EQ_NUM(t.asks, 3);
	for (unsigned i = 0; i < 3; i++)
		T_EQ_NUM(
		    fact_get(&t.h->tx->facts, registry_facts(&n), SLOW, 0, t.arg[i], &f), WAIT_OK);
	T_EQ_TEXT(f->v.text, "2");
	T_EQ_NUM(clock_ms - began, 100);
	(void)fiber_sleep(10);
	t.rc = judge_stage(t.h, STAGE_MAIL, &t.v);
	T_EQ_NUM(fiber_pool_live(t.pool), 1);
	T_EQ_NUM(t.asks, 3);
	end();
	close_it();
}

/* Side by side, each once, though it is started twice. */
static void
starts_early(void)
{
	setup(0, 16);
	start_many(STAGE_MAIL, SLOW, 6);
	for (unsigned i = 3; i < 6; i++)
		t.arg[i] = t.arg[i - 3];
	run(waits_for_it);
	T_EQ_NUM(t.most, 3);
	teardown();
}

static void
cut_off(void)
{
	begin();
	(void)fiber_sleep(10);
	T_EQ_NUM(t.inside, 3);
	end();
	T_EQ_NUM(t.inside, 0);
	begin();
	end(); /* before they have run at all */
	close_it();
}

static void
nothing_outlives_its_transaction(void)
{
	setup(0, 16);
	start_many(STAGE_MAIL, SLOW, 3);
	run(cut_off);
	T_EQ_NUM(t.cancelled, t.asks);
	teardown();
}

static void
headers_then_message(void)
{
	begin();
	text("A: b\r\n");
	(void)fiber_sleep(10);
	T_EQ_NUM(t.asks, 0);
	t.starts_at = STAGE_MESSAGE;
	message();
	(void)fiber_sleep(10);
	T_EQ_NUM(t.asks, 1);
	end();
	close_it();
}

static void
only_begin(void)
{
	begin();
	(void)fiber_sleep(10);
	end();
	close_it();
}

static void
starts_nothing_too_early(void)
{
	setup(0, 16);
	start_many(STAGE_HEADERS, OF_TEXT, 1);
	t.arg[0] = strv(NULL, 0);
	run(headers_then_message);
	teardown();
	setup(0, 16);
	start_many(STAGE_MAIL, OF_RCPT, 1);
	run(only_begin);
	T_EQ_NUM(t.asks, 0);
	teardown();
}

static void
held(void)
{
	begin(); /* spf is fail: held until RCPT */
	T_CHECK(verdict_final(&t.h->tx->verdict));
	text("A: b\r\n");
	(void)fiber_sleep(10);
	end();
	close_it();
}

static void
starts_nothing_behind_a_verdict(void)
{
	setup(0, 16);
	t.canned.v[CANNED_SPF].word = 3;
	start_many(STAGE_HEADERS, SLOW, 1);
	run(held);
	T_EQ_NUM(t.asks, 0);
	teardown();
}

/* In the loop nobody could wait. */
static void
starts_nothing_in_the_loop(void)
{
	setup(0, 16);
	start_many(STAGE_MAIL, SLOW, 1);
	begin();
	T_EQ_NUM(fiber_pool_live(t.pool), 0);
	end();
	close_it();
	teardown();
}

static void
has_a_ceiling(void)
{
	setup(0, 200);
	start_many(STAGE_MAIL, SLOW, 100);
	run(only_begin);
	T_EQ_NUM(t.most, 24);
	teardown();
}

static void
for_ever(void)
{
	size_t         before;
	struct verdict v;

	begin();
	(void)fiber_sleep(10);
	before = arena_used(t.tx);
	for (unsigned i = 0; i < 1000; i++)
		T_EQ_NUM(judge_stage(t.h, STAGE_MAIL, &v), WAIT_OK);
	/* What checks ask at each stage takes its share; a look-up would take far more. */
	T_CHECK(arena_used(t.tx) - before < 1000);
	end();
	close_it();
}

/* No fiber is to be had: nothing is started, and nothing allocated for it. */
static void
an_empty_pool_costs_no_memory(void)
{
	setup(0, 4);
	start_many(STAGE_MAIL, SLOW, 50);
	run(for_ever);
	T_CHECK(t.most <= 3);
	teardown();
}

/* A fact of the session that was cut off with the transaction is asked again by the next. */
static void
cut_then_asked(void)
{
	struct fact *f = NULL;
	unsigned     n;

	begin();
	(void)fiber_sleep(10);
	T_EQ_NUM(t.inside, 1);
	end();
	t.n_start = 0;
	begin();
	T_EQ_NUM(fact_get(&t.h->tx->facts, registry_facts(&n), OF_SESSION, 0, strv(NULL, 0), &f),
	    WAIT_OK);
	T_EQ_NUM(f->state, FACT_KNOWN);
	end();
	close_it();
}

static void
a_fact_of_the_session_survives(void)
{
	setup(0, 16);
	start_many(STAGE_MAIL, OF_SESSION, 1);
	t.arg[0] = strv(NULL, 0);
	run(cut_then_asked);
	T_EQ_NUM(t.asks, 2);
	teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(who_has_no_part_costs_nothing);
	T_RUN(seals_what_goes_on);
	T_RUN(takes_back_half_made_edits);
	T_RUN(decides_in_time);
	T_RUN(body_that_fails_hurts_nobody);
	T_RUN(starts_early);
	T_RUN(nothing_outlives_its_transaction);
	T_RUN(starts_nothing_too_early);
	T_RUN(starts_nothing_behind_a_verdict);
	T_RUN(starts_nothing_in_the_loop);
	T_RUN(has_a_ceiling);
	T_RUN(an_empty_pool_costs_no_memory);
	T_RUN(a_fact_of_the_session_survives);
	return t_end();
}
