/*
 * dkim_stand -- messages through the judge with DKIM, for the DKIM tests and the bench.
 *
 * All of a message happens inside one fiber, as it would in a session's turn.
 */
#ifndef TESTS_UNIT_DKIM_STAND_H
#define TESTS_UNIT_DKIM_STAND_H

#include "tests/unit/dkim_world.h"

/* Until fn(arg) is over, in a fiber; time passes where nothing else happens. */
struct stand_call {
	void (*fn)(void *);
	void *arg;
	bool  over;
};

static void
stand_fiber(void *arg)
{
	struct stand_call *c = arg;

	c->fn(c->arg);
	c->over = true;
}

static inline void
stand_call(void (*fn)(void *), void *arg)
{
	struct stand_call c = { fn, arg, false };

	if (fiber_start(stand.pool, "test", stand_fiber, &c) == NULL)
		abort();
	for (unsigned rounds = 0; rounds < 100000 && !c.over; rounds++) {
		if (loop_round(stand.loop, false))
			continue;
		if (loop_next_timer(stand.loop) == UINT64_MAX)
			break;
		stand.now = loop_next_timer(stand.loop);
	}
	if (!c.over)
		abort();
}

/* The header is heard and the body goes through, in pieces of at most `piece' octets. In a fiber. */
static inline struct transaction *
stand_message(struct hearing *h, struct strv text, size_t piece)
{
	struct transaction *tx = judge_begin(h, stand.tx);
	struct spool       *spool = spool_new(stand.spools);
	struct strv         body;
	bool                heard = false;

	message_begin(&tx->msg, stand.tx, spool, 1u << 24);
	while (text.n > 0) {
		struct strv part = strv_first(text, text.n < piece ? text.n : piece);

		text = strv_from(text, part.n);
		message_feed(&tx->msg, part, &body);
		if (tx->msg.headers_done && !heard)
			judge_headers(h);
		heard = tx->msg.headers_done;
		if (body.n > 0) {
			judge_body(h, body);
			spool_add(spool, body);
		}
	}
	message_end(&tx->msg, &body);
	if (!heard)
		judge_headers(h);
	if (body.n > 0) {
		judge_body(h, body);
		spool_add(spool, body);
	}
	tx->msg.complete = true;
	return tx;
}

static inline void
stand_message_end(struct hearing *h)
{
	spool_free(h->tx->msg.body);
	judge_end(h);
	arena_reset(stand.tx);
}

/* "?" unknown, "-" absent, else the value. In the transaction's arena. */
static inline struct strv
stand_fact(struct transaction *tx, const char *name)
{
	unsigned               n;
	const struct fact_def *defs = registry_facts(&n);
	struct fact           *f;

	if (fact_get(&tx->facts, defs, registry_number(name), 0, strv(NULL, 0), &f) != WAIT_OK)
		return SV("x");
	if (f->state != FACT_KNOWN)
		return SV("?");
	return fact_absent(f) ? SV("-") : fact_print(stand.tx, f);
}

#endif
