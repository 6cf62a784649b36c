/*
 * crew_stuck -- workers that hang: in a plugin's callback, which nothing interrupts, in our own code, or before they are
 * ready.
 *
 * The worker takes no time for this: it counts its callbacks and the rounds of its loop (base/doing.h), and the master
 * looks now and then whether a count has moved.  Nothing is done about one that hangs; that is for who reads the log.
 * What is read there may change meanwhile.
 */
#include "proxy/crew_own.h"

#include "proxy/base/counters.h"
#include "proxy/base/log.h"

#define LOOK_MS  1000
#define RARE_MS  5000 /* where no plugin lives in a worker: so the master sleeps */
#define STUCK_MS 5000
#define AGAIN_MS 60000 /* how often it is told while it lasts */

/* A round with many callbacks may be long, and each of them is another place. */
static bool
is_same(const struct doing_said *a, const struct doing_said *b)
{
	return a->busy == b->busy && a->turn == b->turn && a->round == b->round;
}

enum stuck_news
stuck_look(struct stuck *s, const struct doing *d, bool ready, uint64_t now)
{
	struct doing_said at;
	bool              busy = doing_read(d, &at), told = s->told;

	if (ready && !busy && at.round == 0) {
		*s = (struct stuck){ 0 };
		return told ? STUCK_BACK : STUCK_NO_NEWS;
	}
	if (s->since == 0 || !is_same(&at, &s->at) || s->loads != (!busy && !ready)) {
		*s = (struct stuck){
			.since = now, .tell_at = now + STUCK_MS, .at = at, .loads = !busy && !ready
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
	if (s->at.busy) {
		log_z(&l, "plugin", s->at.who);
		log_z(&l, "callback", s->at.what);
	} else if (!s->loads)
		log_z(&l, "why", "in our own code");
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

/* ms between two looks; 0: nobody is there. */
static uint64_t
look_every(const struct crew *c)
{
	uint64_t every = 0;

	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && every != LOOK_MS)
			every = c->child[i].plugins ? LOOK_MS : RARE_MS;
	return every;
}

uint64_t
crew_stuck_next(const struct crew *c)
{
	return look_every(c) == 0 ? UINT64_MAX : c->look_at;
}

void
crew_stuck_due(struct crew *c)
{
	uint64_t now = c->w->now(c->w);

	if (crew_stuck_next(c) > now)
		return;
	c->look_at = now + look_every(c);
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0)
			look(c, i);
}
