/*
 * t_io_batch_same -- what peers get is the same with a batch and without: by scripts, and by chance against a model.
 */
#include "tests/unit/io_peers.h"

/* ---- the same octets, with a batch and without ----------------------------------------------- */

/*
 * Each letter is said to every line: q queue a little, m 16 KiB, Q more than that; s v S the same from a fiber; f a
 * file; d wait until all is out; x a secret; b queue_bye, l queue_last; e shutdown, c close, a abort.  r is a round, L loop_send.
 */
static const char *const scripts[] = { "q", "qqq", "qqrq", "s", "ss", "qs", "sq", "qsqsqs", "m",
	"Q", "S", "f", "qm", "mq", "mm", "qQ", "Qq", "qQq", "qS", "Sq", "qSq", "sSs", "QSQ", "sQs",
	"qmqmq", "qqsqqsSqqQqq", "qL", "qLq", "qLLrq", "fq", "qfq", "qfrq", "sfrs", "sfs", "qfe",
	"qfQ", "qfl", "qfbc", "x", "qx", "qxq", "mxs", "qxrq", "sxfx", "qxe", "qxc", "qxa", "qdq",
	"qdd", "dqd", "frf", "qdrq", "qrd", "sdr", "e", "qe", "se", "qqe", "Qe", "mqe", "qre",
	"qLe", "qSe", "qde", "l", "ql", "qsl", "ml", "mql", "Ql", "qrl", "qLl", "bc", "qbc", "sbc",
	"qqbc", "mqbc", "Qbc", "qrbc", "c", "qc", "sc", "qsc", "mc", "qmc", "qSc", "qec", "qlc",
	"qrc", "qLc", "a", "qa", "sa", "qSa", "qea", "qra" };

static void
say(struct line *l, char op)
{
	static const size_t n[] = { ['q'] = 7,
		['m'] = 16384,
		['Q'] = 20000,
		['s'] = 11,
		['v'] = 16384,
		['S'] = 40000,
		['f'] = 5000,
		['b'] = 9,
		['l'] = 9,
		['x'] = 13,
		[127] = 0 };

	if (strchr("qmQ", op) != NULL)
		T_CHECK(queue(l, n[(unsigned)op]));
	else if (strchr("svS", op) != NULL)
		(void)send_by_fiber(l, n[(unsigned)op]);
	else if (op == 'f')
		(void)send_file_by_fiber(l, n['f']);
	else if (op == 'd')
		(void)job(l, job_drain);
	else if (op == 'b')
		T_CHECK(conn_queue_bye(&l->c, next(l, n['b'])));
	else if (op == 'x')
		T_CHECK(conn_queue_secret(&l->c, next(l, n['x'])));
	else if (op == 'l')
		T_CHECK(conn_queue_last(&l->c, next(l, n['l'])));
	else
		(op == 'e' ? conn_shutdown : op == 'c' ? conn_close : conn_abort)(&l->c);
}

static void
play(const char *ops, unsigned n)
{
	for (; *ops != '\0'; ops++) {
		if (*ops == 'r')
			pass(1);
		else if (*ops == 'L')
			loop_send(loop);
		else
			for (unsigned i = 0; i < n; i++)
				say(&lines[i], *ops);
	}
}

/* What the peer sees behind the octets. */
static void
check_end(struct line *l, const char *ops, bool tcp)
{
	bool ends = strpbrk(ops, tcp ? "elc" : "elca") != NULL;

	if (tcp && strchr(ops, 'a') != NULL && !ends) {
		T_CHECK(!peer_ends(l) && l->reset);
	} else if (ends) {
		T_CHECK(peer_ends(l) && !l->reset);
	} else {
		T_CHECK(peer_hears_nothing(l));
	}
}

static void
script(const char *ops, unsigned n, bool tcp)
{
	char row[64];

	(void)snprintf(row, sizeof(row), "%s, %u x %s, %s", ops, n, tcp ? "tcp" : "unix",
	    batched ? "batch" : "none");
	t_row = row;
	open_lines(n, tcp);
	play(ops, n);
	for (unsigned i = 0; i < n; i++) {
		if (strchr("ca", ops[strlen(ops) - 1]) == NULL)
			peer_has_all(&lines[i]);
		T_EQ_NUM(peer_has(&lines[i], lines[i].given), lines[i].given);
		T_CHECK(lines[i].n == 0 || memcmp(lines[i].got, text, lines[i].n) == 0);
		check_end(&lines[i], ops, tcp);
		T_CHECK(!lines[i].c.fault && conn_unsent(&lines[i].c) == 0 && lines[i].told == 0);
	}
	for (unsigned i = 0; i < n_jobs; i++)
		T_CHECK(jobs[i].over && jobs[i].rc == WAIT_OK);
	close_lines(n);
	t_row = NULL;
}

static void
peers_get_the_same_octets_and_ends(void)
{
	for (unsigned how = 0; how < 12; how++) {
		batched = how % 2 == 1;
		if (batched && !ring)
			continue;
		for (unsigned i = 0; i < T_COUNT(scripts); i++)
			script(scripts[i],
			    how / 4 == 0     ? 1 :
				how / 4 == 1 ? 2 :
					       5,
			    how / 2 % 2 == 1);
	}
}

/* ---- by chance ------------------------------------------------------------------------------- */

enum { CROWD = 12, PIECE_MAX = 40000, IN_FLIGHT_MAX = 150000 };

/* A line, and what its peer must still get. */
struct walk {
	struct line l;
	struct buf  want;
	struct job  job;
	struct strv
	    unit; /* of the job; joins `want' when it is under way, for till then others come in front */
	bool waits, shut;
};

static struct walk crowd[CROWD];
static uint64_t    seed;

static size_t
chance(size_t n)
{
	return (size_t)(t_random(&seed) % n);
}

static struct strv
any_piece(void)
{
	size_t n = chance(4) == 0 ? chance(PIECE_MAX + 1) : chance(2000);

	return strv(text + chance(TEXT - PIECE_MAX), n);
}

static void
wants(struct walk *w, struct strv v)
{
	T_CHECK(buf_add(&w->want, v));
}

static void
look_at_job(struct walk *w)
{
	if (w->waits && (w->job.over || w->l.c.sending)) {
		wants(w, w->unit);
		w->waits = false;
	}
}

static void
crowd_pass(void)
{
	pass(1);
	for (unsigned i = 0; i < CROWD; i++)
		look_at_job(&crowd[i]);
}

static void
walk_begin(struct walk *w)
{
	unsigned i = (unsigned)(w - crowd);

	line_open(&w->l, i % 2 == 1);
	if (i % 3 == 0)
		small_buffers(&w->l, i % 2 == 1);
	buf_init(&w->want, 1024 * 1024);
	w->job = (struct job){ .over = true };
	w->waits = w->shut = false;
}

static void
walk_end(struct walk *w)
{
	line_close(&w->l);
	if (!w->job.over)
		crowd_pass();
	T_CHECK(w->job.over);
	buf_fini(&w->want);
}

/* What the peer reads is the front of what it must get. False: nothing came. */
static bool
walk_read(struct walk *w, size_t most)
{
	static char b[65536];
	ssize_t     r = recv(w->l.peer, b, most < sizeof(b) ? most : sizeof(b), MSG_DONTWAIT);
	bool        good = true;

	w->l.ended |= r == 0;
	w->l.reset |= r < 0 && errno != EAGAIN;
	if (r <= 0)
		return false;
	good = (size_t)r <= w->want.n && memcmp(b, w->want.p, (size_t)r) == 0;
	T_CHECKF(good, "line %u: %zd octets, which are not those that were sent",
	    (unsigned)(w - crowd), r);
	buf_drop(&w->want, (size_t)r < w->want.n ? (size_t)r : w->want.n);
	return true;
}

/* All that there will be; with `passes' the loop goes on meanwhile. */
static void
walk_read_all(struct walk *w, bool passes, bool to_end)
{
	for (unsigned idle = 0; idle < 300 && !w->l.ended && !w->l.reset; idle++) {
		if (walk_read(w, 65536))
			idle = 0;
		else if (!to_end && w->want.n == 0 && w->job.over)
			return;
		else if (idle > 3)
			(void)poll(&(struct pollfd){ w->l.peer, POLLIN, 0 }, 1, 10);
		if (passes)
			crowd_pass();
	}
}

static void
walk_finish(struct walk *w)
{
	walk_read_all(w, true, w->shut);
	T_EQ_NUM(w->want.n, 0);
	T_CHECK(w->job.over && w->job.rc == WAIT_OK && !w->l.c.fault && !w->l.reset);
	T_CHECK(w->l.ended == w->shut);
	walk_end(w);
}

static void
walk_send(struct walk *w, void (*how)(void *))
{
	size_t at = chance(TEXT - PIECE_MAX);

	w->unit = any_piece();
	w->job = (struct job){ .l = &w->l,
		.v = { { (char *)(uintptr_t)w->unit.p, w->unit.n / 2 }, { text, 0 },
		    { (char *)(uintptr_t)w->unit.p + w->unit.n / 2, w->unit.n - w->unit.n / 2 } },
		.n = 3,
		.at = at,
		.octets = w->unit.n };
	if (how == job_send_file)
		w->unit.p = text + at;
	if (how == job_drain)
		w->unit.n = 0;
	w->waits = true;
	fiber_start(pool, "w", how, &w->job);
	look_at_job(w);
}

/* What is not stuck goes out in front of the end. */
static void
walk_close(struct walk *w, bool bye)
{
	struct conn *c = &w->l.c;
	bool         whole;

	if (bye && !w->shut && w->job.over) {
		wants(w, SV("QUIT\r\n"));
		T_CHECK(conn_queue_bye(c, SV("QUIT\r\n")));
	}
	whole = !c->want_write && !c->sending && w->job.over && w->want.n < 20000 &&
	    (w - crowd) % 3 != 0;
	conn_close(c);
	crowd_pass();
	walk_read_all(w, false, true);
	T_CHECK(w->l.ended && !w->l.reset && (!whole || w->want.n == 0));
	walk_end(w);
	walk_begin(w);
}

static bool
gone(const struct walk *w)
{
	return (w->l.c.fault || w->l.c.hung || w->shut) && w->job.over && w->l.told > 0;
}

/* It may be heard of by who sends, or later: but heard of it is. */
static void
walk_peer_goes(struct walk *w)
{
	struct conn *c = &w->l.c;

	peer_goes(&w->l, chance(2) == 0);
	for (unsigned i = 0; i < 3 && !c->fault && !w->shut; i++) {
		(void)conn_queue_v(c, strv(text, 1 + chance(20000)));
		if (chance(2) == 0)
			crowd_pass();
	}
	for (unsigned i = 0; i < 500 && (i < 3 || !gone(w)); i++) {
		crowd_pass();
		(void)poll(NULL, 0, i < 5 ? 0 : 10);
	}
	T_CHECK(gone(w));
	walk_end(w);
	walk_begin(w);
}

static void
walk_shut(struct walk *w, bool last)
{
	if (!w->job.over)
		return;
	w->shut = true;
	if (!last)
		conn_shutdown(&w->l.c);
	else if (T_CHECK(conn_queue_last(&w->l.c, SV("421 bye\r\n"))))
		wants(w, SV("421 bye\r\n"));
	T_CHECK(!conn_queue_v(&w->l.c, SV("x")) && !w->l.c.fault);
}

static void
walk_queue(struct walk *w)
{
	struct strv v = any_piece();

	T_CHECK(conn_queue_v(&w->l.c, v));
	wants(w, v);
}

/* Most steps are small ones of one line; ends and closes are rare. */
static void
step(struct walk *w)
{
	size_t what = chance(200);
	bool   free = !w->shut && w->want.n < IN_FLIGHT_MAX;

	if (what < 70) {
		if (free)
			walk_queue(w);
	} else if (what < 110) {
		if (free && w->job.over)
			walk_send(w,
			    what < 100     ? job_send :
				what < 106 ? job_send_file :
					     job_drain);
	} else if (what < 160) {
		(void)walk_read(w, 1 + chance(60000));
	} else if (what < 190) {
		crowd_pass();
	} else if (what < 194) {
		loop_send(loop);
	} else if (what < 196) {
		walk_close(w, what == 194);
	} else if (what == 196) {
		walk_peer_goes(w);
	} else if (what < 199 && !w->shut) {
		walk_shut(w, what == 197);
	} else if (what == 199) {
		walk_finish(w);
		walk_begin(w);
	}
}

static void
walk_together(uint64_t from, unsigned steps)
{
	char row[64];

	(void)snprintf(
	    row, sizeof(row), "seed %ju, %s", (uintmax_t)from, batched ? "batch" : "none");
	t_row = row;
	seed = from;
	begin();
	for (unsigned i = 0; i < CROWD; i++)
		walk_begin(&crowd[i]);
	for (unsigned before = t_failed; steps > 0 && t_failed == before; steps--)
		step(&crowd[chance(CROWD)]);
	for (unsigned i = 0; i < CROWD; i++)
		walk_finish(&crowd[i]);
	end();
	t_row = NULL;
}

static void
peers_get_what_was_given_by_chance(void)
{
	for (unsigned i = 0; i < 12; i++) {
		batched = i % 2 == 1;
		if (ring || !batched)
			walk_together(1 + i / 2, 5000);
	}
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	begin_table();
	T_RUN(peers_get_the_same_octets_and_ends);
	T_RUN(peers_get_what_was_given_by_chance);
	if (!ring)
		T_SKIP("io_uring is not to be had here");
	return end_table();
}
