/*
 * visit -- see the header: calls of one session in their order, each in the session's fiber.
 *
 * The invariant: a call that came is answered, whatever happens, and CLOSE is the last of its session.  A session
 * whose thread has left in the middle goes on to its CLOSE; one whose thread left before it knew of it ends by itself.
 */
#include "proxy/hosts/visit_own.h"

#define STACK         (64 * 1024)
#define FIBERS_MAX    20000 /* three quarters at most are look-ups (fiber_spawn) */
#define VISITS_MAX    (FIBERS_MAX / 4)
#define FIBERS_KEEP   64
#define AGAIN_MS      100
#define SESSION_ARENA 2048
#define SESSION_QUOTA (1024 * 1024)
#define TEXT_MAX      (4 * 1024 * 1024) /* octets of one answer */

/* ---- calls ----------------------------------------------------------------------------------- */

static void run(struct bridge_call *call);

static void
drop(struct bridge_call *call)
{
	visit_call_free((struct visit_call *)call);
}

struct visit_call *
visit_call_new(struct visits *all, struct visit *v, enum visit_ask ask, size_t room)
{
	struct visit_call *c = mem_alloc(sizeof(*c) + room);

	c->call = (struct bridge_call){ .run = run, .drop = drop };
	c->all = all;
	c->visit = v;
	c->ask = ask;
	buf_init(&c->answer.text, TEXT_MAX);
	return c;
}

struct strv
visit_call_keep(struct visit_call *c, const char *p, size_t n)
{
	char *to = (char *)(c + 1) + c->call.octets;

	if (p == NULL)
		return (struct strv){ NULL, 0 };
	memcpy(to, p, n);
	to[n] = '\0';
	c->call.octets += n + 1;
	return (struct strv){ to, n };
}

void
visit_call_free(struct visit_call *c)
{
	buf_fini(&c->answer.text);
	mem_free(c->answer.edit);
	mem_free(c);
}

/* ---- the session ----------------------------------------------------------------------------- */

static struct visit *
visit_new(struct visits *all)
{
	struct arena *a = arena_new(SESSION_ARENA, SESSION_QUOTA);
	struct visit *v = arena_alloc(a, sizeof(*v));

	v->all = all;
	v->a = a;
	v->last = &v->first;
	v->opened = loop_now(all->loop);
	log_new_id(all->w, v->id, sizeof(v->id));
	v->hearing = judge_open(all->s->smtp.judge, a, &v->client);
	v->next = all->first;
	v->back = &all->first;
	if (v->next != NULL)
		v->next->back = &v->next;
	all->first = v;
	all->open++;
	return v;
}

/* Of v nothing is left behind this. */
MAY_YIELD static void
end_visit(struct visit *v)
{
	struct arena *a = v->a;

	visit_end_transaction(v);
	judge_close(v->hearing);
	visit_log_end(v);
	*v->back = v->next;
	if (v->next != NULL)
		v->next->back = v->back;
	v->all->open--;
	arena_free(a);
}

/* ---- one after the other --------------------------------------------------------------------- */

static struct visit_call *
take(struct visit *v)
{
	struct bridge_call *c = v->first;

	if (c == NULL)
		return NULL;
	v->first = c->next;
	if (v->first == NULL)
		v->last = &v->first;
	return (struct visit_call *)c;
}

MAY_YIELD static void
serve(void *arg)
{
	struct visit      *v = arg;
	struct visit_call *c;

	v->fiber = fiber_self();
	while ((c = take(v)) != NULL) {
		struct visits *all = v->all;
		bool           first = c->ask == VISIT_CONNECT, last = c->ask == VISIT_CLOSE;

		if (!last)
			visit_step(v, c);
		/* Nobody knows of a session whose first answer nobody waited for. */
		if (last || (!bridge_done(all->bridge, &c->call) && first)) {
			end_visit(v);
			if (last)
				(void)bridge_done(all->bridge, &c->call);
			return;
		}
	}
	v->fiber = NULL;
}

static void
start(struct visit *v)
{
	struct visits *all = v->all;

	if (fiber_start(all->fibers, "visit", serve, v) == NULL && all->again.pos == 0)
		timer_start(all->loop, &all->again, loop_now(all->loop) + AGAIN_MS);
}

/* For calls that found no fiber. */
static void
start_again(void *arg)
{
	struct visits *all = arg;
	struct visit  *v, *next;

	for (v = all->first; v != NULL && all->again.pos == 0; v = next) {
		next = v->next;
		if (v->first != NULL && v->fiber == NULL)
			start(v);
	}
}

static void
post(struct visit *v, struct visit_call *c)
{
	c->call.next = NULL;
	*v->last = &c->call;
	v->last = &c->call.next;
	/* Who waited for an answer has left. */
	if (c->ask == VISIT_CLOSE && v->fiber != NULL)
		fiber_cancel(v->fiber);
	if (v->fiber == NULL)
		start(v);
}

/* In the loop. */
static void
run(struct bridge_call *call)
{
	struct visit_call *c = (struct visit_call *)call;
	struct visits     *all = c->all;

	if (c->ask == VISIT_CONNECT && all->open >= all->max) {
		log_event(all->w, SV("milter"), "full", "sessions=%u", all->open);
		c->answer.say = VISIT_TEMPFAIL;
		(void)bridge_done(all->bridge, call);
		return;
	}
	if (c->ask == VISIT_CONNECT)
		c->visit = visit_new(all);
	post(c->visit, c);
}

struct visits *
visits_new(struct bridge *b, struct world *w, struct loop *l, const struct settings *s)
{
	struct visits          *all = mem_alloc(sizeof(*all));
	const struct smtp_conf *c = &s->smtp;

	all->bridge = b;
	all->w = w;
	all->loop = l;
	all->s = s;
	all->max = c->limits.sessions < VISITS_MAX ? (unsigned)c->limits.sessions : VISITS_MAX;
	all->fibers = fiber_pool_new(l, STACK, FIBERS_MAX, FIBERS_KEEP);
	all->spools = spool_pool_new(w, c->spool_dir, c->spool_memory, c->limits.spool_total);
	all->again = (struct timer){ .fn = start_again, .arg = all };
	return all;
}

unsigned
visits_open(const struct visits *all)
{
	return all->open;
}
