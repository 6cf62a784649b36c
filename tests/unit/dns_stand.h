/*
 * dns_stand -- a loop whose clock jumps and a made-up DNS whose answers take their time, for code that asks it from a
 * fiber.  One at a time; header-only.
 */
#ifndef TESTS_UNIT_DNS_STAND_H
#define TESTS_UNIT_DNS_STAND_H

#include "proxy/base/arena.h"
#include "proxy/base/dns_table.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

struct stand_later {
	struct timer timer;
	struct dns_query *q;
};

static struct stand {
	struct arena *a, *conf;
	struct loop *loop;
	struct fiber_pool *pool;
	struct dns_table *dns;
	struct stand_later later[32];
	uint64_t now, delay;            /* of each answer, ms; 0: inside the question */
	unsigned asked;
	char last[DNS_NAME_MAX];        /* that was asked for */
	char log[4000];
	struct strv (*hostile)(struct arena *, const char *name, uint16_t type);        /* a packet, or absent */
	struct fiber *fiber;
	bool over;
	void (*fn)(void *);
	void *arg;
} stand;

static uint64_t
stand_now(struct world *w)
{
	(void)w;
	return stand.now;
}

static uint64_t
stand_wall(struct world *w)
{
	(void)w;
	return 1700000000u * 1000000ull;
}

static void
stand_log(struct world *w, struct strv line)
{
	size_t n = strlen(stand.log);

	(void)w;
	if (n + line.n + 2 < sizeof(stand.log))
		snprintf(stand.log + n, sizeof(stand.log) - n, "%.*s\n", (int)line.n, line.p);
}

static void
stand_answer(void *arg)
{
	struct stand_later *l = arg;
	struct dns_query *q = l->q;
	struct arena *a = arena_new(1024, 0);
	bool timeout = false;
	struct strv packet = stand.hostile != NULL ? stand.hostile(a, q->name, q->type) : strv(NULL, 0);

	if (packet.p == NULL)
		packet = dns_table_answer(stand.dns, a, q->name, q->type, &timeout);
	if (!timeout) {
		l->q = NULL;
		q->done(q, DNS_OK, packet);
	}
	arena_free(a);
}

static void
stand_dns(struct world *w, struct dns_query *q)
{
	(void)w;
	stand.asked++;
	snprintf(stand.last, sizeof(stand.last), "%s", q->name);
	for (size_t i = 0; i < T_COUNT(stand.later); i++) {
		struct stand_later *l = &stand.later[i];

		if (l->q != NULL)
			continue;
		l->q = q;
		l->timer = (struct timer){ .fn = stand_answer, .arg = l };
		if (stand.delay == 0)
			stand_answer(l);
		else
			timer_start(stand.loop, &l->timer, stand.now + stand.delay);
		return;
	}
	T_CHECK(!"too many questions at once");
}

static void
stand_cancel(struct world *w, struct dns_query *q)
{
	(void)w;
	for (size_t i = 0; i < T_COUNT(stand.later); i++) {
		if (stand.later[i].q != q)
			continue;
		stand.later[i].q = NULL;
		timer_stop(stand.loop, &stand.later[i].timer);
		return;
	}
	T_CHECK(!"taken back, but not asked");
}

static struct world stand_world = {
	.now = stand_now, .wall = stand_wall, .log = stand_log, .dns = stand_dns, .dns_cancel = stand_cancel
};

static void
stand_begin(void)
{
	memset(&stand, 0, sizeof(stand));
	stand.now = 1000;
	stand.a = arena_new(4096, 0);
	stand.conf = arena_new(4096, 0);
	stand.loop = loop_new(&stand_world);
	stand.pool = fiber_pool_new(stand.loop, 65536, 10, 4);
	stand.dns = dns_table_new(stand.conf);
}

static void
stand_end(void)
{
	arena_free(stand.conf);
	for (size_t i = 0; i < T_COUNT(stand.later); i++)
		T_CHECKF(stand.later[i].q == NULL, "question %zu is left", i);
	fiber_pool_free(stand.pool);
	loop_free(stand.loop);
	arena_free(stand.a);
}

/* Each line of text: NAME TYPE VALUE. */
T_UNUSED static void
stand_zone(const char *text)
{
	struct strv v = strv_z(text);

	while (v.p != NULL && v.n > 0) {
		struct strv one = strv_trim(strv_cut(&v, '\n')), name = strv_word(&one), type = strv_word(&one);
		const char *why = "";

		if (name.n > 0 && !dns_table_add(stand.dns, name, type, strv_trim(one), &why))
			T_CHECKF(false, "%.*s: %s", (int)name.n, name.p, why);
	}
}

static void
stand_fiber(void *arg)
{
	(void)arg;
	stand.fiber = fiber_self();
	stand.fn(stand.arg);
	stand.over = true;
}

/* One round of the loop, or a jump of the clock to what is due next, not past `until'.  False: nothing more happens. */
static bool
stand_step(uint64_t until)
{
	if (loop_round(stand.loop, false))
		return true;
	if (loop_next_timer(stand.loop) > until)
		return false;
	stand.now = loop_next_timer(stand.loop);
	return true;
}

/* fn(arg) on a fiber, to its end.  What it took, in ms of the stand's clock. */
T_UNUSED static uint64_t
stand_run(void (*fn)(void *), void *arg)
{
	uint64_t began = stand.now;

	stand.fn = fn;
	stand.arg = arg;
	stand.over = false;
	T_CHECK(fiber_start(stand.pool, "test", stand_fiber, NULL) != NULL);
	for (unsigned rounds = 0; rounds < 100000 && !stand.over; rounds++)
		if (!stand_step(UINT64_MAX - 1))
			break;
	T_CHECKF(stand.over, "it never ends");
	return stand.now - began;
}

#endif
