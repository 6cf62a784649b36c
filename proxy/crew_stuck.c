/*
 * crew_stuck -- workers that hang: in a plugin's callback, which nothing interrupts, or before they are ready.
 *
 * The worker takes no time for this: it counts its callbacks (base/doing.h), and the master looks once a second
 * whether the count has moved.  Nothing is done about one that hangs; that is for who reads the log.
 * What is read there may change meanwhile.
 */
#include "proxy/crew_own.h"

#include "proxy/base/counters.h"
#include "proxy/base/log.h"

#define LOOK_MS  1000
#define STUCK_MS 5000
#define AGAIN_MS 60000 /* how often it is told while it lasts */

enum stuck_news
stuck_look(struct stuck *s, const struct doing *d, bool ready, uint64_t now)
{
	struct doing_said at;
	bool              busy = doing_read(d, &at), told = s->told;

	if (ready && !busy) {
		*s = (struct stuck){ 0 };
		return told ? STUCK_BACK : STUCK_NO_NEWS;
	}
	if (s->since == 0 || at.turn != s->at.turn) {
		*s = (struct stuck){
			.since = now, .tell_at = now + STUCK_MS, .at = at, .loads = !busy
		};
		return told ? STUCK_BACK : STUCK_NO_NEWS;
	}
	if (now < s->tell_at)
		return STUCK_NO_NEWS;
	s->tell_at = now + AGAIN_MS;
	s->told = true;
	return STUCK_TELL;
}

static void
say(struct crew *c, const struct child *k, const struct stuck *s, const char *event)
{
	struct log_line l;

	log_begin(&l, c->w, SV("master"), event);
	log_number(&l, "worker", k->place);
	log_number(&l, "pid", (uint64_t)k->pid);
	if (!s->loads) {
		log_z(&l, "plugin", s->at.who);
		log_z(&l, "callback", s->at.what);
	}
	log_number(&l, "seconds", (c->w->now(c->w) - s->since) / 1000);
	log_end(&l);
}

static void
look(struct crew *c, unsigned child)
{
	struct child *k = &c->child[child];
	struct doing *d = counters_doing(c->counters, child);
	struct stuck  was = k->stuck;

	switch (stuck_look(&k->stuck, d, k->ready, c->w->now(c->w))) {
	case STUCK_TELL:
		say(c, k, &k->stuck, "worker-stuck");
		break;
	case STUCK_BACK:
		say(c, k, &was, "worker-back");
		break;
	case STUCK_NO_NEWS:
		break;
	}
}

bool
crew_plugins(const struct settings *s)
{
	for (unsigned i = 0; i < s->milters.n; i++)
		if (s->milters.v[i].home == HOME_INSIDE)
			return true;
	return false;
}

uint64_t
crew_stuck_next(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].plugins)
			return c->look_at;
	return UINT64_MAX;
}

void
crew_stuck_due(struct crew *c)
{
	uint64_t now = c->w->now(c->w);

	if (crew_stuck_next(c) > now)
		return;
	c->look_at = now + LOOK_MS;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].plugins)
			look(c, i);
}
