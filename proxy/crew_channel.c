/*
 * crew_channel -- the master's ends of the channels to its workers: orders go out, reports come in.
 *
 * It reads reports of one fixed size and nothing else of what workers know.  Nothing here waits for a worker: one
 * that does not take its orders, or reports nonsense, is killed, and waitpid tells the rest.
 */
#include "proxy/crew_own.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "proxy/base/log.h"

#define ABORT_MS 2000 /* between an order to end now and SIGKILL */
#define LOST_MS  100  /* who is alive so long after the end of its channel has not died */

/* ---- orders ---------------------------------------------------------------------------------- */

void
crew_order(struct crew *c, int child, enum control_kind kind, unsigned place, int pass)
{
	struct child *k = &c->child[child];

	if (k->control < 0)
		return;
	/* A full queue is that of a worker that hangs.  One that is dying, or drains by itself, is no news: see its end. */
	if (!control_send(k->control, &(struct control_msg){ kind, place }, pass) &&
	    errno != EPIPE && errno != ECONNRESET)
		kill(k->pid, SIGKILL);
}

void
crew_log(struct crew *c, int fd)
{
	c->log_fd = fd;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0)
			crew_order(c, (int)i, CONTROL_LOG, 0, fd);
}

void
crew_abort(struct crew *c)
{
	c->stopping = true;
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0) {
			c->child[i].kill_at = c->w->now(c->w) + ABORT_MS;
			crew_order(c, (int)i, CONTROL_ABORT, 0, -1);
		}
}

/* ---- reports --------------------------------------------------------------------------------- */

static void
take_kind(struct crew *c, int child, enum control_kind kind)
{
	struct child *k = &c->child[child];

	if (kind == CONTROL_READY && !k->ready) {
		k->ready = true;
		crew_own_places(c);
	}
	if (kind == CONTROL_LOGLESS)
		crew_order(c, child, CONTROL_LOG, 0, c->log_fd);
}

/* Who dies closes it as well, and then waitpid tells in a moment: the crew looks again behind that. */
static void
end_channel(struct crew *c, struct child *k)
{
	close(k->control);
	k->control = -1;
	if (!k->draining)
		k->lost_at = c->w->now(c->w) + LOST_MS;
}

static void
take_report(struct crew *c, int child)
{
	struct child      *k = &c->child[child];
	struct control_msg msg;
	int                fd;

	switch (control_recv(k->control, &msg, &fd)) {
	case CONTROL_OK:
		if (fd >= 0)
			close(fd);
		take_kind(c, child, msg.kind);
		return;
	case CONTROL_AGAIN:
		return;
	case CONTROL_SHORT:
		k->deaf_until = c->w->now(c->w) + CONTROL_PAUSE_MS;
		return;
	case CONTROL_BAD:
		log_event(c->w, SV("master"), "warning", "worker %u reported nonsense", k->place);
		kill(k->pid, SIGKILL);
		break;
	case CONTROL_EOF:
	case CONTROL_FAULT:
		break;
	}
	end_channel(c, k);
}

/* poll(2) takes no more entries than the process may have descriptors, be they -1. */
unsigned
crew_poll(const struct crew *c, struct pollfd *p)
{
	uint64_t now = c->w->now(c->w);
	unsigned n = 0;

	for (unsigned i = 0; i < c->n_child; i++) {
		const struct child *k = &c->child[i];
		bool                heard = k->pid != 0 && k->deaf_until <= now;

		p[i] = (struct pollfd){ heard ? k->control : NOBODY, POLLIN, 0 };
		if (p[i].fd >= 0)
			n = i + 1;
	}
	return n;
}

void
crew_reports(struct crew *c, const struct pollfd *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (p[i].revents != 0)
			take_report(c, (int)i);
}

void
crew_close(const struct crew *c)
{
	for (unsigned i = 0; i < c->n_child; i++)
		if (c->child[i].pid != 0 && c->child[i].control >= 0)
			close(c->child[i].control);
}
