/*
 * t_io_batch_gone -- peers that have gone before the end of the round: who hears of it, when, and what he may do then.
 */
#include "tests/unit/io_peers.h"

/* Who sends hears nothing.  The loop tells of the hang-up, and of the fault once, whichever is found first. */
static void
fault_is_told_by_the_loop(void)
{
	for (unsigned how = 0; how < 16; how++) {
		bool     tcp = how & 1, at_once = how & 2;
		unsigned n = 1 + how / 4;

		open_lines(n + 1, tcp);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(queue(&lines[i], 5) && send_by_fiber(&lines[i], 5)->rc == WAIT_OK);
			peer_goes(&lines[i], tcp);
		}
		if (at_once)
			loop_send(loop);
		for (unsigned i = 0; i < n; i++)
			T_CHECK(lines[i].told == 0 && lines[i].c.fault == at_once);
		pass(4);
		for (unsigned i = 0; i < n; i++) {
			char   octet;
			size_t got;

			T_CHECK(lines[i].c.fault && !queue(&lines[i], 5));
			T_EQ_NUM(lines[i].told, 2);
			T_EQ_NUM(conn_recv(&lines[i].c, &octet, 1, &got), IO_FAULT);
			T_EQ_NUM(send_by_fiber(&lines[i], 5)->rc, WAIT_CLOSED);
		}
		T_CHECK(queue(&lines[n], 5)); /* another, later: of that one alone */
		peer_goes(&lines[n], tcp);
		pass(4);
		for (unsigned i = 0; i <= n; i++)
			T_EQ_NUM(lines[i].told, 2);
		close_lines(n + 1);
	}
}

/* A fiber that reads hears of it in place of the owner. */
static void
fault_wakes_who_reads(void)
{
	for (unsigned how = 0; how < 8; how++) {
		bool        tcp = how & 1, at_once = how & 2;
		unsigned    n = 1 + how / 4;
		struct job *j[2];

		open_lines(n, tcp);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(queue(&lines[i], 5));
			j[i] = job(&lines[i], job_wait);
			peer_goes(&lines[i], tcp);
		}
		if (at_once)
			loop_send(loop);
		for (unsigned i = 0; i < n; i++)
			T_CHECK(!j[i]->over);
		pass(1);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(j[i]->over && j[i]->rc == WAIT_OK && lines[i].c.fault);
			T_EQ_NUM(lines[i].told, 0);
		}
		pass(3);
		close_lines(n);
	}
}

static void
fault_wakes_who_drains(void)
{
	for (unsigned how = 0; how < 4; how++) {
		bool        tcp = how & 1;
		struct job *j;
		char        octet;
		size_t      got;

		open_lines(2, tcp);
		T_CHECK(queue(&lines[0], 5) && queue(&lines[1], 5));
		peer_goes(&lines[0], tcp);
		if (how & 2) {
			lines[0].c.readable = true; /* somebody reads, and finds it first */
			T_EQ_NUM(conn_recv(&lines[0].c, &octet, 1, &got), tcp ? IO_FAULT : IO_EOF);
		}
		j = job(&lines[0], job_drain);
		pass(3);
		T_CHECK(j->over && j->rc == WAIT_CLOSED && lines[0].c.fault);
		peer_has_all(&lines[1]);
		close_lines(2);
	}
}

/* The hang-up was told of; what is held meets the fault while more is queued, so that no event would tell of it. */
static void
fault_in_the_middle_is_told_to_who_sends(void)
{
	open_lines(2, true);
	peer_goes(&lines[0], true);
	pass(2);
	T_CHECK(lines[0].told == 1 && !lines[0].c.eof && !lines[0].c.fault);
	T_CHECK(queue(&lines[0], 10000));
	T_CHECK(!queue(&lines[0], 10000) && lines[0].c.fault);
	close_lines(2);
}

/* Nothing is held for who has ended its side: whether it still reads is heard at once. */
static void
nothing_is_held_for_who_has_ended_its_side(void)
{
	for (unsigned how = 0; how < 4; how++) {
		bool         tcp = how & 1, all = how & 2;
		struct line *l = &lines[0];

		open_lines(2, tcp && !all);
		T_CHECK(queue(l, 5) && queue(&lines[1], 5));
		if (all)
			peer_goes(l, false);
		else
			T_CHECK(shutdown(l->peer, SHUT_WR) == 0);
		T_CHECK(poll(&(struct pollfd){ l->c.fd, POLLRDHUP, 0 }, 1, 5000) == 1);
		if (!tcp && !all)
			T_EQ_NUM(conn_peek(&l->c), 0);
		else
			pass(1);
		T_CHECK(l->c.eof);
		T_CHECK(queue(l, 6) == !all);
		if (!all)
			T_EQ_NUM(peer_has(l, 11), 11);
		T_EQ_NUM(send_by_fiber(l, 7)->rc, all ? WAIT_CLOSED : WAIT_OK);
		if (!all)
			T_EQ_NUM(peer_has(l, 18), 18);
		peer_has_all(&lines[1]);
		close_lines(2);
	}
}

/* One that was to be told of is not spoken of any more. */
static void
stop_forgets_whom_to_tell(void)
{
	for (unsigned n = 1; n <= 2; n++) {
		open_lines(n, false);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(queue(&lines[i], 5));
			peer_goes(&lines[i], false);
		}
		io_batch_stop(loop);
		for (unsigned i = 0; i < n; i++)
			T_CHECK(lines[i].c.fault);
		pass(3);
		for (unsigned i = 0; i < n; i++)
			T_EQ_NUM(lines[i].told, 1); /* of the hang-up */
		close_lines(n);
	}
}

static void
close_self(struct line *l)
{
	conn_close(&l->c);
	memset(&l->c, 0xa5, sizeof(l->c));
	l->c.fd = -1;
}

static void
close_other(struct line *l)
{
	conn_close(&l->other->c);
	memset(&l->other->c, 0xa5, sizeof(l->other->c));
	l->other->c.fd = -1;
	l->other->then = NULL;
}

static void
queue_on_other(struct line *l)
{
	T_CHECK(!queue(l, 5));
	T_CHECK(queue(l->other, 7));
	loop_send(loop);
	T_CHECK(queue(l->other, 8));
	l->then = NULL;
}

static void
shut_other(struct line *l)
{
	T_CHECK(queue(l->other, 7));
	conn_shutdown(&l->other->c);
	l->then = NULL;
}

/* Lines 0 and 1 are told of faults, 2 is well: whoever is told first closes and frees, or sends. */
static void
owner_may_do_anything_when_told(void)
{
	static const struct {
		void (*then)(struct line *);
		unsigned other, left, octets;
	} ways[] = {
		{ close_self, 0, 0, 5 },
		{ close_other, 1, 1, 5 }, /* 0 closes 1, which is not told any more */
		{ close_other, 2, 2, 5 },
		{ queue_on_other, 2, 2, 35 },
	};

	for (unsigned how = 0; how < T_COUNT(ways); how++) {
		unsigned left = 0;

		open_lines(3, false);
		for (unsigned i = 0; i < 3; i++)
			T_CHECK(queue(&lines[i], 5));
		peer_goes(&lines[0], false);
		peer_goes(&lines[1], false);
		pass(1); /* the hang-ups are told of, and then the faults are found */
		lines[0].then = lines[1].then = ways[how].then;
		lines[0].other = &lines[ways[how].other];
		lines[1].other = &lines[ways[how].other == 1 ? 0 : ways[how].other];
		pass(4);
		for (unsigned i = 0; i < 2; i++)
			left += lines[i].c.fd >= 0;
		T_EQ_NUM(left, ways[how].left);
		T_EQ_NUM(peer_has(&lines[2], ways[how].octets), ways[how].octets);
		T_CHECK(memcmp(lines[2].got, text, lines[2].n) == 0);
		close_lines(3);
	}
}

/* The one who is told closes a line that has something held by then, and shuts another. */
static void
owner_may_close_what_is_held(void)
{
	open_lines(4, true);
	peer_goes(&lines[0], true);
	peer_goes(&lines[1], true);
	pass(1);
	for (unsigned i = 0; i < 2; i++)
		T_CHECK(queue(&lines[i], 5));
	lines[0].then = close_other;
	lines[0].other = &lines[2];
	lines[1].then = shut_other;
	lines[1].other = &lines[3];
	pass(1);
	T_CHECK(lines[0].told == 1 && lines[0].c.fault);
	T_CHECK(queue(&lines[2], 5) && queue(&lines[3], 5));
	pass(2);
	T_CHECK(lines[2].c.fd < 0);
	T_EQ_NUM(peer_has(&lines[2], 5), 5);
	T_EQ_NUM(peer_has(&lines[3], 12), 12);
	T_CHECK(peer_ends(&lines[2]) && peer_ends(&lines[3]));
	close_lines(4);
}

/* What was seen to be over is not sent to, and who waits for it hears so. */
static void
fault_seen_by_others_drops_what_is_held(void)
{
	char   b;
	size_t got;

	for (unsigned n = 1; n <= 2; n++) {
		open_lines(n, true);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(queue(&lines[i], 5));
			peer_goes(&lines[i], true);
		}
		T_EQ_NUM(conn_peek(&lines[0].c), -1);
		lines[n - 1].c.readable = true;
		T_EQ_NUM(conn_recv(&lines[n - 1].c, &b, 1, &got), IO_FAULT);
		pass(3);
		for (unsigned i = 0; i < n; i++)
			T_CHECK(lines[i].c.fault && lines[i].told == 1 && !queue(&lines[i], 5));
		close_lines(n);
	}
}

static void
with_a_ring(void)
{
	T_RUN(fault_is_told_by_the_loop);
	T_RUN(fault_wakes_who_reads);
	T_RUN(fault_wakes_who_drains);
	T_RUN(fault_in_the_middle_is_told_to_who_sends);
	T_RUN(nothing_is_held_for_who_has_ended_its_side);
	T_RUN(stop_forgets_whom_to_tell);
	T_RUN(owner_may_do_anything_when_told);
	T_RUN(owner_may_close_what_is_held);
	T_RUN(fault_seen_by_others_drops_what_is_held);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	begin_table();
	batched = ring;
	if (ring)
		with_a_ring();
	else
		T_SKIP("io_uring is not to be had here");
	return end_table();
}
