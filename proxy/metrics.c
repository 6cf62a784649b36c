/*
 * metrics -- the connections of those who ask for metrics, and the timer by which a worker tells of its servers.
 *
 * The invariants: each connection has its deadline, and is in the list until it is closed; what is asked is answered
 * once.
 */
#include "proxy/metrics.h"

#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/io.h"
#include "proxy/smtp/smtp.h"
#include "proxy/worker.h"

#define READS 16 /* of one event; who sends more than that is not answered */
#define PAGE_MAX \
	(CONN_OUT_MAX - 1024) /* octets: so that the page and what stands before it can be queued */

struct asker {
	struct metrics *metrics;
	struct conn     io;
	struct timer    deadline;
	char            in[METRICS_REQUEST];
	size_t          n;
	bool            answered;
	struct asker   *prev, *next;
};

struct metrics {
	const struct worker_start *start;
	const struct smtp_conf    *conf;
	struct smtp               *smtp;
	struct loop               *loop;
	struct timer               tell;
	struct asker              *askers;
	unsigned                   n;
};

/* ---- connections ----------------------------------------------------------------------------- */

static void
asker_close(struct asker *k)
{
	struct metrics *m = k->metrics;

	timer_stop(m->loop, &k->deadline);
	conn_close(&k->io);
	if (k->prev != NULL)
		k->prev->next = k->next;
	else
		m->askers = k->next;
	if (k->next != NULL)
		k->next->prev = k->prev;
	m->n--;
	mem_free(k);
}

static void
too_late(void *arg)
{
	asker_close(arg);
}

static void
answer(struct asker *k, enum metrics_ask ask, bool head)
{
	const struct worker_start *start = k->metrics->start;
	struct buf                 page, out;

	buf_init(&page, PAGE_MAX);
	buf_init(&out, CONN_OUT_MAX);
	if (ask == METRICS_PAGE)
		metrics_page(&page, start->counters, start->generation, k->metrics->conf);
	if (page.full)
		ask = METRICS_LARGE;
	metrics_answer(&out, ask, head, buf_view(&page));
	(void)conn_queue_last(&k->io, buf_view(&out));
	conn_flush(&k->io);
	k->answered = true;
	buf_fini(&page);
	buf_fini(&out);
}

/* What comes behind the request is nobody's: it is read so that no reset overtakes the answer. */
static void
take(struct asker *k, size_t got)
{
	enum metrics_ask ask;
	bool             head;

	k->n = k->answered ? 0 : k->n + got;
	ask = k->answered ? METRICS_MORE : metrics_ask(strv(k->in, k->n), &head);
	if (ask == METRICS_MORE)
		return;
	answer(k, ask, head);
	k->n = 0;
}

/* With its end it has all, or wants no more; where it has ended its side early the answer goes out first. */
static void
asker_event(void *arg)
{
	struct asker *k = arg;
	size_t        got;

	for (unsigned i = 0; i < READS; i++)
		switch (conn_recv(&k->io, k->in + k->n, sizeof(k->in) - k->n, &got)) {
		case IO_OK:
			take(k, got);
			break;
		case IO_AGAIN:
			return;
		case IO_EOF:
			if (!k->answered || conn_unsent(&k->io) == 0)
				asker_close(k);
			return;
		case IO_FAULT:
			asker_close(k);
			return;
		}
	asker_close(k);
}

void
metrics_open(struct metrics *m, int fd)
{
	struct asker *k;

	if (m->n >= METRICS_CONNECTIONS) {
		close(fd);
		return;
	}
	k = mem_alloc(sizeof(*k));
	k->metrics = m;
	if (!conn_init(&k->io, m->loop, fd, asker_event, k)) {
		mem_free(k);
		return;
	}
	k->deadline = (struct timer){ .fn = too_late, .arg = k };
	timer_start(m->loop, &k->deadline, loop_now(m->loop) + METRICS_MS);
	k->next = m->askers;
	if (k->next != NULL)
		k->next->prev = k;
	m->askers = k;
	m->n++;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void
tell(void *arg)
{
	struct metrics            *m = arg;
	const struct worker_start *start = m->start;

	if (smtp_look_settled(m->smtp))
		metrics_tell(start->counters, start->column, start->generation, m->conf, m->smtp);
	timer_start(m->loop, &m->tell, loop_now(m->loop) + METRICS_TELL_MS);
}

/* ---- what the worker asks -------------------------------------------------------------------- */

struct metrics *
metrics_new(struct arena *arena, const struct worker_start *start, const struct smtp_conf *conf,
    struct smtp *smtp, struct loop *loop)
{
	struct metrics *m = arena_alloc(arena, sizeof(*m));

	m->start = start;
	m->conf = conf;
	m->smtp = smtp;
	m->loop = loop;
	m->tell = (struct timer){ .fn = tell, .arg = m };
	tell(m);
	return m;
}

void
metrics_stop(struct metrics *m)
{
	timer_stop(m->loop, &m->tell);
	counters_gauges_clear(m->start->counters, m->start->column);
}

void
metrics_end(struct metrics *m)
{
	timer_stop(m->loop, &m->tell);
	while (m->askers != NULL)
		asker_close(m->askers);
}
