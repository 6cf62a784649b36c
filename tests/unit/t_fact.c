/* Facts: asked once, shared by fibers, unknown when asking failed, absent when there is nothing. */
#include "proxy/mail/fact.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/path.h"
#include "tests/unit/t.h"

static const char *const words[] = { "none", "pass", NULL };

enum { SESSION, PLAIN, PER_RCPT, FAILS, FORGETS, ITSELF, OTHER, LATER, N_DEFS };

/* clang-format off */
static const struct fact_def defs[] = {
	[SESSION] = { .name = "session", .type = FACT_NUMBER, .per_session = true },
	[PLAIN] = { .name = "plain", .type = FACT_NUMBER },
	[PER_RCPT] = { .name = "per.rcpt", .type = FACT_NUMBER, .per_rcpt = true },
	[FAILS] = { .name = "fails", .type = FACT_NUMBER },
	[FORGETS] = { .name = "forgets", .type = FACT_NUMBER },
	[ITSELF] = { .name = "itself", .type = FACT_NUMBER },
	[OTHER] = { .name = "other", .type = FACT_NUMBER },
	[LATER] = { .name = "later", .type = FACT_NUMBER, .per_session = true, .first = STAGE_MAIL },
	{ 0 },
};
/* clang-format on */

struct stand { /* what the judge would be */
	struct arena   *a;
	struct facts    session, tx;
	unsigned        asked;
	enum fact_state inner; /* of the fact that a fact asked for */
	bool            parks;
};

/* Gives each fact the count of questions as its value. */
static enum wait_rc
ask(void *ctx, struct fact *f)
{
	struct stand *s = ctx;
	struct fact  *other;
	enum wait_rc  rc = WAIT_OK;

	s->asked++;
	T_EQ_NUM(f->state, FACT_RUNNING);
	if (s->parks)
		rc = fiber_sleep(100);
	if (rc != WAIT_OK)
		return rc;
	if (f->number == FAILS)
		return WAIT_TIMEOUT;
	if (f->number == ITSELF || f->number == OTHER) {
		rc = fact_get(
		    &s->tx, defs, f->number == ITSELF ? OTHER : ITSELF, 0, strv(NULL, 0), &other);
		if (rc != WAIT_OK)
			return rc;
		s->inner = other->state;
	}
	f->v.number = s->asked;
	if (f->number != FORGETS)
		f->state = FACT_KNOWN;
	return WAIT_OK;
}

static void
begin(struct stand *s)
{
	*s = (struct stand){ .a = arena_new(1024, 0) };
	s->session = (struct facts){ .a = s->a, .ask = ask, .ctx = s };
	s->tx = s->session;
	s->tx.outer = &s->session;
}

static struct fact *
get(struct facts *fs, unsigned number, unsigned rcpt, const char *arg)
{
	struct fact *f = NULL;

	T_EQ_NUM(fact_get(fs, defs, number, rcpt, strv_z(arg), &f), WAIT_OK);
	return f;
}

static void
asks_once(void)
{
	char         zone[] = "third";
	struct fact *f, *g;
	struct stand s;

	begin(&s);
	f = get(&s.tx, PLAIN, 0, NULL);
	T_EQ_NUM(f->state, FACT_KNOWN);
	T_EQ_NUM(f->v.number, 1);
	T_CHECK(get(&s.tx, PLAIN, 7, NULL) == f); /* which recipient is all the same to it */
	T_EQ_NUM(s.asked, 1);
	/* by argument, an empty one is one */
	f = get(&s.tx, PLAIN, 0, "zone");
	g = get(&s.tx, PLAIN, 0, "other");
	T_CHECK(f != g && get(&s.tx, PLAIN, 0, "zone") == f);
	T_EQ_TEXT(f->arg, "zone");
	T_CHECK(get(&s.tx, PLAIN, 0, zone)->arg.p != zone); /* an argument is kept as a copy */
	T_EQ_NUM(s.asked, 4);
	/* by recipient */
	f = get(&s.tx, PER_RCPT, 0, NULL);
	g = get(&s.tx, PER_RCPT, 1, NULL);
	T_CHECK(f != g && get(&s.tx, PER_RCPT, 1, NULL) == g && g->rcpt == 1);
	T_EQ_NUM(s.asked, 6);
	arena_free(s.a);
}

/* A thousand recipients with a fact each, and as many arguments: every one is found again. */
static void
many_are_found(void)
{
	static const unsigned n = 1000;
	struct stand          s;
	char                  arg[32];
	struct fact          *first;

	begin(&s);
	first = get(&s.tx, PLAIN, 0, NULL);
	for (unsigned i = 0; i < n; i++) {
		snprintf(arg, sizeof(arg), "d%u.example", i);
		T_EQ_NUM(get(&s.tx, PER_RCPT, i, NULL)->v.number, 2 + 2 * i);
		T_EQ_NUM(get(&s.tx, PLAIN, 0, arg)->v.number, 3 + 2 * i);
	}
	/* without argument, behind more than an octet can count */
	get(&s.tx, FORGETS, 0, NULL);
	for (unsigned i = 0; i < n; i++) {
		snprintf(arg, sizeof(arg), "d%u.example", i);
		T_EQ_NUM(get(&s.tx, PER_RCPT, i, NULL)->v.number, 2 + 2 * i);
		T_EQ_NUM(get(&s.tx, PLAIN, 0, arg)->v.number, 3 + 2 * i);
	}
	T_CHECK(get(&s.tx, PLAIN, 0, NULL) == first);
	get(&s.tx, FORGETS, 0, NULL);
	T_EQ_NUM(s.asked, 2 * n + 2);
	arena_free(s.a);
}

static void
peeks(void)
{
	struct stand       s;
	const struct fact *f;

	begin(&s);
	T_CHECK(fact_peek(&s.tx, defs, PLAIN, 0, strv(NULL, 0)) == NULL);
	T_EQ_NUM(s.asked, 0);
	f = get(&s.tx, PLAIN, 0, NULL);
	T_CHECK(fact_peek(&s.tx, defs, PLAIN, 3, strv(NULL, 0)) == f);
	T_CHECK(fact_peek(&s.tx, defs, PLAIN, 0, SV("x")) == NULL);
	f = get(&s.tx, FAILS, 0, NULL);
	T_CHECK(fact_peek(&s.tx, defs, FAILS, 0, strv(NULL, 0)) == f);
	f = get(&s.tx, SESSION, 0, NULL);
	T_CHECK(fact_peek(&s.tx, defs, SESSION, 0, strv(NULL, 0)) == f);
	T_EQ_NUM(s.asked, 3);
	arena_free(s.a);
}

/* What is known for good at connect stays; what may change is asked again. */
static void
forgets(void)
{
	struct stand s;
	struct fact *f;

	begin(&s);
	f = get(&s.tx, SESSION, 0, NULL);
	get(&s.tx, LATER, 0, NULL);
	facts_forget(&s.session, STAGE_CONNECT);
	T_CHECK(get(&s.tx, SESSION, 0, NULL) == f);
	T_EQ_NUM(get(&s.tx, LATER, 0, NULL)->v.number, 3);
	arena_free(s.a);
}

static void
lives_where_it_belongs(void)
{
	struct facts second;
	struct fact *f, *g;
	struct stand s;

	begin(&s);
	f = get(&s.tx, SESSION, 0, NULL);
	g = get(&s.tx, PLAIN, 0, NULL);
	T_EQ_NUM(s.session.n, 1);
	T_EQ_NUM(s.tx.n, 1);
	second = (struct facts){ .outer = &s.session, .a = s.a, .ask = ask, .ctx = &s };
	T_CHECK(get(&second, SESSION, 0, NULL) == f);
	T_CHECK(get(&second, PLAIN, 0, NULL) != g);
	T_EQ_NUM(s.asked, 3);
	arena_free(s.a);
}

static void
is_unknown_when_asking_failed(void)
{
	struct fact *f;
	struct stand s;

	begin(&s);
	f = get(&s.tx, FAILS, 0, NULL);
	T_EQ_NUM(f->state, FACT_UNKNOWN);
	T_EQ_TEXT(fact_print(s.a, f), "");
	T_EQ_NUM(get(&s.tx, FAILS, 0, NULL)->state, FACT_UNKNOWN);
	T_EQ_NUM(s.asked, 1);
	f = get(&s.tx, FORGETS, 0, NULL);
	T_EQ_NUM(f->state, FACT_UNKNOWN);
	T_CHECK(get(&s.tx, FORGETS, 0, NULL) == f); /* the fact itself, no copy */
	arena_free(s.a);
}

/* ITSELF asks for OTHER, which asks for ITSELF: that one is unknown, and nothing hangs. */
static void
does_not_wait_for_itself(void)
{
	struct stand s;

	begin(&s);
	T_EQ_NUM(get(&s.tx, ITSELF, 0, NULL)->state, FACT_KNOWN);
	T_EQ_NUM(get(&s.tx, OTHER, 0, NULL)->state, FACT_KNOWN);
	T_EQ_NUM(s.asked, 2);
	arena_free(s.a);
}

/* --- several fibers, a clock that is moved by hand ------------------------------------------------ */

static uint64_t clock_ms = 1000;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

static struct world fake = { .now = fake_now };

struct asker {
	struct stand   *s;
	unsigned        number;
	struct fiber   *self;
	uint64_t        deadline; /* ms from its start, 0: none */
	enum wait_rc    rc;
	enum fact_state state;
	int64_t         value;
	bool            over;
};

static void
asker_run(void *arg)
{
	struct asker *k = arg;
	struct fact  *f = NULL;

	k->self = fiber_self();
	if (k->deadline > 0)
		k->self->deadline = clock_ms + k->deadline;
	k->rc = fact_get(&k->s->tx, defs, k->number, 0, strv(NULL, 0), &f);
	if (k->rc == WAIT_OK) {
		k->state = f->state;
		k->value = f->v.number;
	}
	k->over = true;
}

/* Starts askers of one fact, in turn; the one named is cancelled after 50 ms. */
static void
run(struct stand *s, struct asker *k, unsigned n, int cancelled)
{
	struct loop       *loop = loop_new(&fake);
	struct fiber_pool *pool = fiber_pool_new(loop, 65536, 16, 4);

	s->parks = true;
	for (unsigned i = 0; i < n; i++) {
		k[i].s = s;
		fiber_start(pool, "asker", asker_run, &k[i]);
	}
	for (int round = 0; round < 40; round++) {
		if (round == 5 && cancelled >= 0)
			fiber_cancel(k[cancelled].self);
		clock_ms += 10;
		loop_round(loop, false);
	}
	T_EQ_NUM(fiber_pool_live(pool), 0);
	fiber_pool_free(pool);
	loop_free(loop);
}

static void
is_shared_by_fibers(void)
{
	struct asker k[4] = { { .number = PLAIN }, { .number = PLAIN }, { .number = PLAIN },
		{ .number = PLAIN } };
	struct stand s;

	begin(&s);
	run(&s, k, 4, -1);
	T_EQ_NUM(s.asked, 1);
	for (int i = 0; i < 4; i++) {
		T_CHECK(k[i].over);
		T_EQ_NUM(k[i].rc, WAIT_OK);
		T_EQ_NUM(k[i].state, FACT_KNOWN);
		T_EQ_NUM(k[i].value, 1);
	}
	arena_free(s.a);
}

/* Whoever is cancelled while it asks, the next one asks again; a waiter that is cancelled just leaves. */
static void
survives_cancelled_fibers(void)
{
	for (int cancelled = 0; cancelled < 3; cancelled++) {
		struct asker k[3] = { { .number = PLAIN }, { .number = PLAIN },
			{ .number = PLAIN } };
		struct stand s;

		begin(&s);
		run(&s, k, 3, cancelled);
		T_EQ_NUM(s.asked, cancelled == 0 ? 2 : 1);
		for (int i = 0; i < 3; i++) {
			T_CHECK(k[i].over);
			T_EQ_NUM(k[i].rc, i == cancelled ? WAIT_CANCELLED : WAIT_OK);
			if (i != cancelled)
				T_EQ_NUM(k[i].state, FACT_KNOWN);
		}
		arena_free(s.a);
	}
}

/* A waiter whose time is up knows nothing; the fact itself comes to be known. */
static void
waits_no_longer_than_a_deadline(void)
{
	struct asker k[3] = { { .number = PLAIN }, { .number = PLAIN, .deadline = 50 },
		{ .number = PLAIN } };
	struct stand s;

	begin(&s);
	run(&s, k, 3, -1);
	T_EQ_NUM(s.asked, 1);
	T_EQ_NUM(k[0].state, FACT_KNOWN);
	T_EQ_NUM(k[1].rc, WAIT_OK);
	T_EQ_NUM(k[1].state, FACT_UNKNOWN);
	T_EQ_NUM(k[2].state, FACT_KNOWN);
	T_EQ_NUM(get(&s.tx, PLAIN, 0, NULL)->state, FACT_KNOWN);
	arena_free(s.a);
	/* the asker's own deadline: then it is unknown for all */
	begin(&s);
	k[0] = (struct asker){ .number = OTHER, .deadline = 50 };
	k[1] = (struct asker){ .number = OTHER };
	run(&s, k, 2, -1);
	T_EQ_NUM(k[0].rc, WAIT_OK);
	T_EQ_NUM(k[0].state, FACT_UNKNOWN);
	T_EQ_NUM(k[1].state, FACT_UNKNOWN);
	arena_free(s.a);
}

/* --- values ---------------------------------------------------------------------------------------- */

static void
finds_by_name(void)
{
	T_EQ_NUM(fact_find(defs, N_DEFS, SV("per.rcpt")), PER_RCPT);
	T_EQ_NUM(fact_find(defs, N_DEFS, SV("session")), SESSION);
	T_EQ_NUM(fact_find(defs, N_DEFS, SV("per")), -1);
	T_EQ_NUM(fact_find(defs, N_DEFS, SV("")), -1);
	T_EQ_NUM(fact_find(defs, 0, SV("session")), -1);
}

static void
prints_values(void)
{
	static const struct addr ip[] = { { ADDR_IP4, { 192, 0, 2, 1 } },
		{ ADDR_IP4, { 192, 0, 2, 2 } } };
	static const struct strv texts[] = { SV("a"), SV("b"), SV("c") };
	static const struct path nobody = { .kind = PATH_NULL },
				 someone = { .kind = PATH_MAILBOX, .text = SV("a@b") };
	/* clang-format off */
	static const struct {
		enum fact_type type;
		union fact_value v;
		bool absent;
		const char *text;
	} rows[] = {
		{ FACT_BOOL, { .yes = true }, false, "yes" },
		{ FACT_BOOL, { .yes = false }, false, "no" },
		{ FACT_NUMBER, { .number = -5 }, false, "-5" },
		{ FACT_NUMBER, { .number = FACT_NUMBER_ABSENT }, true, "" },
		{ FACT_TEXT, { .text = SV("x y") }, false, "x y" },
		{ FACT_TEXT, { .text = SV("") }, false, "" },
		{ FACT_TEXT, { .text = { NULL, 0 } }, true, "" },
		{ FACT_ADDR, { .addr = { ADDR_IP4, { 192, 0, 2, 1 } } }, false, "192.0.2.1" },
		{ FACT_ADDR, { .addr = { 0 } }, true, "" },
		{ FACT_PATH, { .path = &nobody }, false, "<>" },
		{ FACT_PATH, { .path = &someone }, false, "a@b" },
		{ FACT_PATH, { .path = NULL }, true, "" },
		{ FACT_WORD, { .word = 1 }, false, "pass" },
		{ FACT_WORD, { .word = FACT_WORD_ABSENT }, true, "" },
		{ FACT_ADDRS, { .addrs = { ip, 2 } }, false, "192.0.2.1, 192.0.2.2" },
		{ FACT_ADDRS, { .addrs = { NULL, 0 } }, true, "" },
		{ FACT_TEXTS, { .texts = { texts, 3 } }, false, "a, b, c" },
		{ FACT_TEXTS, { .texts = { texts, 1 } }, false, "a" },
		{ FACT_TEXTS, { .texts = { NULL, 0 } }, true, "" },
	};
	/* clang-format on */
	struct arena *a = arena_new(1024, 0);

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct fact_def def = { .name = "x", .type = rows[i].type, .words = words };
		struct fact     f = { .def = &def, .state = FACT_KNOWN, .v = rows[i].v };

		t_row = rows[i].text;
		T_EQ_NUM(fact_absent(&f), rows[i].absent);
		T_EQ_TEXT(fact_print(a, &f), rows[i].text);
	}
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(asks_once);
	T_RUN(many_are_found);
	T_RUN(peeks);
	T_RUN(forgets);
	T_RUN(lives_where_it_belongs);
	T_RUN(is_unknown_when_asking_failed);
	T_RUN(does_not_wait_for_itself);
	T_RUN(is_shared_by_fibers);
	T_RUN(survives_cancelled_fibers);
	T_RUN(waits_no_longer_than_a_deadline);
	T_RUN(finds_by_name);
	T_RUN(prints_values);
	return t_end();
}
