/*
 * io_peers -- the peers of the lines of io_lines; fibers that send to them, or wait; the beginning of such a table.
 */
#ifndef TESTS_UNIT_IO_PEERS_H
#define TESTS_UNIT_IO_PEERS_H

#include "tests/unit/io_lines.h"

/* What is there now, at most n octets. */
T_UNUSED static size_t
peer_read(struct line *l, size_t n)
{
	ssize_t r;

	if (l->got == NULL)
		l->got = mem_alloc(TEXT);
	r = n == 0 ? 0 : recv(l->peer, l->got + l->n, n, MSG_DONTWAIT);
	l->ended |= r == 0 && n > 0;
	l->reset |= r < 0 && errno != EAGAIN;
	l->n += r > 0 ? (size_t)r : 0;
	return r > 0 ? (size_t)r : 0;
}

/* Without a round of the loop; over TCP an octet may take a moment. */
T_UNUSED static size_t
peer_has(struct line *l, size_t want)
{
	for (unsigned idle = 0; l->n < want && !l->ended && !l->reset && idle < 500; idle++)
		if (peer_read(l, want - l->n) == 0)
			(void)poll(&(struct pollfd){ l->peer, POLLIN, 0 }, 1, 10);
	return l->n;
}

/* The end, or whatever else comes instead. */
T_UNUSED static bool
peer_ends(struct line *l)
{
	(void)peer_has(l, l->n + 1);
	return l->ended;
}

T_UNUSED static void
peer_goes(struct line *l, bool by_reset)
{
	struct linger now = { 1, 0 };

	if (by_reset)
		T_CHECK(setsockopt(l->peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	close(l->peer);
	l->peer = -1;
}

/* As peer_has, with rounds between, and all that was given is there. */
T_UNUSED static void
peer_has_all(struct line *l)
{
	for (unsigned idle = 0; l->n < l->given && !l->ended && !l->reset && idle < 500; idle++) {
		idle = peer_read(l, l->given - l->n) > 0 ? 0 : idle;
		pass(1);
		if (idle > 5)
			(void)poll(&(struct pollfd){ l->peer, POLLIN, 0 }, 1, 10);
	}
	T_EQ_NUM(l->n, l->given);
	T_CHECK(l->got == NULL || memcmp(l->got, text, l->n) == 0);
}

/* Nothing but what it has. */
T_UNUSED static bool
peer_hears_nothing(struct line *l)
{
	return peer_read(l, 1) == 0 && !l->ended && !l->reset;
}

/* ---- fibers ---------------------------------------------------------------------------------- */

/* A fiber that sends, or waits until all is out. */
struct job {
	struct line  *l;
	struct iovec  v[3];
	unsigned      n;
	size_t        at, octets; /* of the file */
	int           rc;
	bool          over;
};

T_UNUSED static int        text_file; /* what the text is */
T_UNUSED static struct job jobs[64];

T_UNUSED static void
job_send(void *arg)
{
	struct job *j = arg;

	j->rc = (int)conn_send(&j->l->c, j->v, j->n, 0);
	j->over = true;
}

T_UNUSED static void
job_send_file(void *arg)
{
	struct job *j = arg;

	j->rc = (int)conn_send_file(&j->l->c, text_file, j->at, j->octets, 0);
	j->over = true;
}

T_UNUSED static void
job_drain(void *arg)
{
	struct job *j = arg;

	j->rc = (int)conn_drain(&j->l->c, 0);
	j->over = true;
}

T_UNUSED static void
job_wait(void *arg)
{
	struct job *j = arg;

	j->rc = (int)conn_wait(&j->l->c, 0);
	j->over = true;
}

T_UNUSED static struct job *
job(struct line *l, void (*fn)(void *))
{
	struct job *j = &jobs[n_jobs++ % T_COUNT(jobs)];

	*j = (struct job){ .l = l };
	fiber_start(pool, "j", fn, j);
	return j;
}

/* In pieces, of which one is empty. */
T_UNUSED static struct job *
send_by_fiber(struct line *l, size_t n)
{
	struct job *j = &jobs[n_jobs++ % T_COUNT(jobs)];
	char       *p = (char *)(uintptr_t)next(l, n).p;

	*j = (struct job){
		.l = l, .v = { { p, n / 3 }, { p, 0 }, { p + n / 3, n - n / 3 } }, .n = 3
	};
	fiber_start(pool, "s", job_send, j);
	return j;
}

T_UNUSED static struct job *
send_file_by_fiber(struct line *l, size_t n)
{
	struct job *j = &jobs[n_jobs++ % T_COUNT(jobs)];

	*j = (struct job){ .l = l, .at = l->given, .octets = n };
	(void)next(l, n);
	fiber_start(pool, "f", job_send_file, j);
	return j;
}

T_UNUSED static void
begin_table(void)
{
	const char *why = "";
	char        name[] = "/tmp/t_io.XXXXXX";

	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon */
	fake.wall = fake_now;
	text = pattern(TEXT);
	text_file = mkstemp(name);
	T_CHECK(text_file >= 0 && unlink(name) == 0);
	T_EQ_NUM(write(text_file, text, TEXT), TEXT);
	loop = loop_new(&fake);
	ring = io_batch_start(loop, &why);
	io_batch_stop(loop);
	loop_free(loop);
}

T_UNUSED static int
end_table(void)
{
	mem_free(text);
	close(text_file);
	return t_end();
}

#endif
