/*
 * io_batch.c -- what one round of the loop sends, in one system call: io_uring, and of it SEND alone.
 *
 * Over loopback, and on a busy machine, a send wakes who reads, and as the call returns he takes our processor, for the
 * one reply that there is: two switches and cold caches for each.  Behind one call for many he finds many.  Held and
 * then sent one by one they cost more than sent as they come: so without io_uring nothing is held.
 *
 * Not for TLS, which writes for itself, nor for large units, which have their turn at once.
 * The invariants: octets that are held are all of c->out, and nothing of that connection is under way; a connection has
 * one place at most, and conn_close takes it from it; no place is left when the loop sleeps, but of those that are to
 * be told of a fault.  A request is answered within the call that hands it over, since no socket of ours blocks
 * (IORING_OP_SEND with MSG_DONTWAIT is never queued by the kernel): so the kernel holds on to no memory of a caller.
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "config.h"
#include "proxy/base/io_own.h"

#if HAVE_URING

#include <liburing.h>

#include "proxy/base/arena.h"

#define PLACES      128         /* a round tells of as many descriptors */
#define HELD_OCTETS (16 * 1024) /* more than that has its turn at once */
#define TRIES       8           /* to hand over what the kernel had no memory for */

struct place {
	struct conn *c;    /* NULL: taken back, or settled */
	bool         tell; /* settled, with a fault to be told of */
};

struct batch {
	struct loop    *loop;
	struct io_uring ring;
	unsigned        n, live; /* places given out, and of these to be sent */
	struct timer    telling; /* due at once, and is stopped with the batch */
	bool            dead;    /* the kernel has failed us: nothing is held any more */
	struct place    place[PLACES];
};

/* ---- places ---------------------------------------------------------------------------------- */

static void
take(struct batch *b, struct conn *c)
{
	struct place *p = &b->place[b->n++];

	*p = (struct place){ .c = c };
	b->live++;
	c->held = b->n;
}

/* Of a peer that has ended its side it is told at once whether it still reads: who sends 250 logs that. */
static bool
may_hold(const struct batch *b, const struct conn *c)
{
	return b != NULL && !b->dead && c->tls == NULL && !c->more && !c->now && !c->eof &&
	    !io_must_wait(c) && b->n < PLACES;
}

bool
io_hold(struct conn *c, size_t n)
{
	struct batch *b = loop_sender(c->loop);

	if (c->held != 0 && (c->eof || c->out.n + n > HELD_OCTETS))
		conn_flush(c);
	if (c->held != 0)
		return true;
	if (!may_hold(b, c) || n == 0 || n > HELD_OCTETS || c->out.n > 0)
		return false;
	take(b, c);
	return true;
}

void
io_unhold(struct conn *c)
{
	struct batch *b;

	if (c->held == 0)
		return;
	b = loop_sender(c->loop);
	b->live -= !b->place[c->held - 1].tell;
	b->place[c->held - 1].c = NULL;
	c->held = 0;
}

void
conn_flush(struct conn *c)
{
	if (c->held == 0 || c->fault)
		return;
	io_unhold(c);
	io_flush(c);
}

static bool
waits(const struct place *p)
{
	return p->c != NULL && !p->tell;
}

/* ---- what has become of it ------------------------------------------------------------------- */

/* In the loop, where on_event may close any of them, and hold more. */
static void
tell(void *arg)
{
	struct batch *b = arg;
	unsigned      n = b->n;
	struct conn  *c;

	for (unsigned i = 0; i < n; i++) {
		c = b->place[i].tell ? b->place[i].c : NULL;
		if (c == NULL)
			continue;
		io_unhold(c);
		c->on_event(c->arg);
	}
}

/* A fault that nobody waits for is told of later: who sends is not called from within. */
static void
tell_later(struct batch *b, struct place *p)
{
	struct conn *c = p->c;

	if (!c->fault || c->reader != NULL || c->on_event == NULL) {
		p->c = NULL;
		c->held = 0;
		return;
	}
	p->tell = true;
	if (b->telling.pos == 0)
		timer_start(b->loop, &b->telling, loop_now(b->loop));
}

/* What did not go is tried once more by itself: that says what is wrong, and sees to the rest. */
static void
settle(struct batch *b, struct place *p, ssize_t r)
{
	struct conn *c = p->c;

	b->live--;
	if (r > 0)
		buf_drop(&c->out, (size_t)r);
	io_flush(c);
	tell_later(b, p);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* user_data: its place */
static void
ask(struct batch *b, unsigned i)
{
	const struct conn   *c = b->place[i].c;
	struct io_uring_sqe *e = io_uring_get_sqe(&b->ring);
	unsigned             flags = MSG_NOSIGNAL | MSG_DONTWAIT | (c->shut ? MSG_MORE : 0u);

	assert(e != NULL);
	io_uring_prep_send(e, c->fd, c->out.p, c->out.n, (int)flags);
	io_uring_sqe_set_data64(e, i);
}

/* Takes the answers that are there. */
static unsigned
answers(struct batch *b)
{
	struct io_uring_cqe *q;
	unsigned             n = 0;

	while (n < PLACES && io_uring_peek_cqe(&b->ring, &q) == 0) {
		settle(b, &b->place[q->user_data], q->res);
		io_uring_cqe_seen(&b->ring, q);
		n++;
	}
	return n;
}

/* False: the kernel has not taken all. */
static bool
by_ring(struct batch *b)
{
	unsigned asked = 0;

	for (unsigned i = 0; i < b->n; i++) {
		if (!waits(&b->place[i]))
			continue;
		ask(b, i);
		asked++;
	}
	for (unsigned i = 0; asked > 0 && i < TRIES; i++) {
		(void)io_uring_submit_and_wait(&b->ring, asked);
		asked -= answers(b);
	}
	return asked == 0;
}

/* As if the kernel had refused each: settle tries it by itself. */
static void
one_by_one(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (waits(&b->place[i]))
			settle(b, &b->place[i], -EAGAIN);
}

/* What it still has of ours must never be sent: so the ring goes, and with it what it was handed. */
static void
fail(struct batch *b)
{
	io_uring_queue_exit(&b->ring);
	b->dead = true;
	one_by_one(b);
}

/* Places from the end that are free again; those in the middle come free with them. */
static void
shrink(struct batch *b)
{
	while (b->n > 0 && b->place[b->n - 1].c == NULL)
		b->n--;
}

/* Behind a fault nothing more goes out, and whoever saw it has told of it. */
static void
drop_faulty(struct batch *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (waits(&b->place[i]) && b->place[i].c->fault)
			io_unhold(b->place[i].c);
}

static void
send_all(void *arg)
{
	struct batch *b = arg;

	drop_faulty(b);
	if (b->live == 1)
		one_by_one(b);
	else if (b->live > 1 && !by_ring(b))
		fail(b);
	shrink(b);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

/* One thread hands over and takes the answers: the kernel need not look for others, nor interrupt us. */
bool
io_batch_start(struct loop *l, const char **why)
{
	struct batch          *b = mem_alloc(sizeof(*b));
	struct io_uring_params p = { .flags = IORING_SETUP_SINGLE_ISSUER |
		    IORING_SETUP_DEFER_TASKRUN };
	int                    rc = io_uring_queue_init_params(PLACES, &b->ring, &p);

	if (rc != 0) {
		*why = strerror(-rc);
		mem_free(b);
		return false;
	}
	/* a plugin's child has no business with it */
	(void)io_uring_ring_dontfork(&b->ring);
	b->loop = l;
	b->telling = (struct timer){ .fn = tell, .arg = b };
	loop_set_sender(l, send_all, b);
	return true;
}

void
io_batch_stop(struct loop *l)
{
	struct batch *b = loop_sender(l);

	if (b == NULL)
		return;
	send_all(b);
	for (unsigned i = 0; i < b->n; i++)
		if (b->place[i].c != NULL)
			b->place[i].c->held = 0;
	timer_stop(l, &b->telling);
	loop_set_sender(l, NULL, NULL);
	if (!b->dead)
		io_uring_queue_exit(&b->ring);
	mem_free(b);
}

#else

bool
io_hold(struct conn *c, size_t n)
{
	(void)c;
	(void)n;
	return false;
}

void
io_unhold(struct conn *c)
{
	(void)c;
}

void
conn_flush(struct conn *c)
{
	(void)c;
}

bool
io_batch_start(struct loop *l, const char **why)
{
	(void)l;
	*why = NULL;
	return false;
}

void
io_batch_stop(struct loop *l)
{
	(void)l;
}

#endif
