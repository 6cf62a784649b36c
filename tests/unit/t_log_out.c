/*
 * t_log_out -- the log's pace, by a clock that is moved; what goes where when a write breaks off; what a dead
 * process had still to say.
 */
#include "tests/unit/t.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/log_out.h"
#include "proxy/base/world.h"

/* ---- a world of which only the clock is needed ------------------------------------------------ */

static uint64_t now_ms = 1000;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return now_ms;
}

static uint64_t
fake_wall(struct world *w)
{
	(void)w;
	return UINT64_C(1700000000000000) + now_ms * 1000;
}

static struct world fake = { .now = fake_now, .wall = fake_wall };

#define AT_1000 "2023-11-14T22:13:21.000Z "

/* A log into a socket that keeps each write apart. */
struct stand {
	struct log_out  o;
	struct log_room room;
	struct loop    *loop;
	int             fd[2];
	char            b[8192];
};

static struct stand *
stand_new(void)
{
	struct stand *s = calloc(1, sizeof(*s));

	now_ms = 1000;
	T_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, s->fd) == 0);
	s->loop = loop_new(&fake);
	log_out_init(&s->o, &fake, &s->room);
	log_out_fd(&s->o, s->fd[1]);
	log_out_start(&s->o, s->loop);
	return s;
}

static void
stand_free(struct stand *s)
{
	log_out_stop(&s->o);
	loop_free(s->loop);
	close(s->fd[0]);
	close(s->fd[1]);
	free(s);
}

/* The next write, or an absent view. */
static struct strv
written(struct stand *s)
{
	ssize_t n = recv(s->fd[0], s->b, sizeof(s->b), 0);

	return n <= 0 ? (struct strv){ NULL, 0 } : strv(s->b, (size_t)n);
}

static void
say(struct stand *s, const char *text)
{
	log_out_line(&s->o, strv_z(text));
}

static void
go_round(struct stand *s, uint64_t ms)
{
	now_ms += ms;
	(void)loop_round(s->loop, false);
}

/* ---- pace ------------------------------------------------------------------------------------ */

static void
quiet_log_is_prompt(void)
{
	struct stand *s = stand_new();

	for (unsigned i = 0; i < 5; i++) {
		say(s, "- one");
		T_CHECK(written(s).p == NULL); /* not inside a round */
		go_round(s, 0);
		T_CHECK(strv_ends(written(s), SV("Z - one\n")));
		T_CHECK(loop_next_timer(s->loop) == UINT64_MAX);
		go_round(s, LOG_PACE_MS);
	}
	stand_free(s);
}

static void
second_line_waits_for_its_time(void)
{
	struct stand *s = stand_new();

	say(s, "- one");
	go_round(s, 0);
	T_EQ_TEXT(written(s), AT_1000 "- one\n");
	go_round(s, 3);
	say(s, "- two");
	go_round(s, 0);
	T_CHECK(written(s).p == NULL);
	T_EQ_NUM(loop_next_timer(s->loop), 1000 + LOG_PACE_MS);
	say(s, "- three");
	go_round(s, LOG_PACE_MS - 4);
	T_CHECK(written(s).p == NULL);
	go_round(s, 1);
	T_EQ_TEXT(written(s), "2023-11-14T22:13:21.003Z - two\n2023-11-14T22:13:21.003Z - three\n");
	T_CHECK(written(s).p == NULL);
	T_CHECK(loop_next_timer(s->loop) == UINT64_MAX);
	stand_free(s);
}

/* A line a round, a round a millisecond: each line is there, in order, none later than the pace. */
static void
busy_log_is_written_at_its_pace(void)
{
	struct stand *s = stand_new();
	struct strv   text;
	char          line[32];
	unsigned      writes = 0, next = 0;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(line, sizeof(line), "- %u", i);
		say(s, line);
		go_round(s, 1);
		for (text = written(s); text.n > 0; next++) {
			struct strv one = strv_cut(&text, '\n');

			writes += text.n == 0;
			snprintf(line, sizeof(line), "- %u", next);
			T_EQ_TEXT(strv_from(one, LOG_STAMP), line);
			T_CHECK(i - next <= LOG_PACE_MS);
		}
	}
	T_CHECKF(writes >= 99 && writes <= 101, "%u writes in a second", writes);
	T_CHECKF(next > 1000 - LOG_PACE_MS, "%u lines", next);
	stand_free(s);
}

/* Half a room does not wait; what goes then goes in pieces of whole lines. */
static void
half_a_room_does_not_wait(void)
{
	struct stand *s = stand_new();
	struct strv   v;
	char          line[1001];
	unsigned      said = 0, lines = 0, pieces = 0;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 1] = '\0';
	say(s, "- first");
	go_round(s, 0);
	T_CHECK(written(s).n > 0);
	for (; said < 100 && (v = written(s)).p == NULL; said++) {
		say(s, line);
		go_round(s, 0);
	}
	T_EQ_NUM(said, (LOG_ROOM_TEXT / 2 + 1025) / 1026);
	for (; v.n > 0; v = written(s), pieces++) {
		T_CHECK(v.n <= 4096 && v.p[v.n - 1] == '\n');
		for (size_t i = 0; i < v.n; i++)
			lines += v.p[i] == '\n';
	}
	T_EQ_NUM(lines, said);
	T_EQ_NUM(pieces, (said + 2) / 3);
	stand_free(s);
}

/* Nobody reads: an attempt now and then, not a hundred a second, and none that blocks. */
static void
stuck_log_is_tried_less_often(void)
{
	struct stand *s = stand_new();
	unsigned      n = 0;

	while (send(s->fd[1], "x", 1, MSG_DONTWAIT) == 1 && n < 100000)
		n++;
	say(s, "- one");
	go_round(s, 0);
	T_CHECK(s->o.stuck);
	T_EQ_NUM(loop_next_timer(s->loop), now_ms + LOG_STUCK_MS);
	while (written(s).n > 0)
		continue;
	go_round(s, LOG_STUCK_MS - 1);
	T_CHECK(written(s).p == NULL);
	go_round(s, 1);
	T_CHECK(strv_ends(written(s), SV("- one\n")));
	T_EQ_NUM(s->o.dropped, 0);
	stand_free(s);
}

/* The old file has what was said before the new one came; and the end of the loop is no end of the log. */
static void
what_is_held_goes_to_the_old_file(void)
{
	struct stand *s = stand_new();
	int           fd[2];
	char          b[100];
	ssize_t       n;

	T_CHECK(pipe(fd) == 0);
	say(s, "- one");
	go_round(s, 0);
	(void)written(s);
	say(s, "- two");
	go_round(s, 1);
	T_CHECK(written(s).p == NULL);
	log_out_fd(&s->o, fd[1]);
	T_CHECK(strv_ends(written(s), SV("- two\n")));
	say(s, "- three");
	log_out_stop(&s->o);
	n = read(fd[0], b, sizeof(b));
	T_CHECK(n > 0 && strv_ends(strv(b, (size_t)n), SV("- three\n")));
	say(s, "- four");
	n = read(fd[0], b, sizeof(b));
	T_CHECK(n > 0 && strv_ends(strv(b, (size_t)n), SV("- four\n")));
	stand_free(s);
	close(fd[0]);
	close(fd[1]);
}

/* ---- writes that break off ------------------------------------------------------------------- */

static struct strv
file_text(int fd, char *b, size_t n)
{
	ssize_t got = pread(fd, b, n, 0);

	return strv(b, got > 0 ? (size_t)got : 0);
}

static void
limit_files(rlim_t n)
{
	struct rlimit r;

	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = n < r.rlim_max ? n : r.rlim_max;
	setrlimit(RLIMIT_FSIZE, &r);
}

/* A disk that is full takes half a line: that one is closed by a mark, as soon as there is room again. */
static void
half_a_line_is_marked(void)
{
	static struct log_room room;
	struct log_out         o;
	char                   name[] = "/tmp/t_log_out.XXXXXX", b[1000];
	int                    fd = mkstemp(name);

	(void)unlink(name);
	(void)signal(SIGXFSZ, SIG_IGN);
	now_ms = 1000;
	log_out_init(&o, &fake, &room);
	log_out_fd(&o, fd);
	limit_files(LOG_STAMP + 6 + LOG_STAMP + 4);
	log_out_line(&o, SV("- one"));
	log_out_line(&o, SV("- two"));
	T_EQ_TEXT(file_text(fd, b, sizeof(b)), AT_1000 "- one\n" AT_1000 "- tw");
	log_out_line(&o, SV("- three"));
	log_out_line(&o, SV("- four"));
	T_EQ_NUM(o.dropped, 3);
	limit_files(RLIM_INFINITY);
	log_out_line(&o, SV("- five"));
	T_EQ_TEXT(file_text(fd, b, sizeof(b)),
	    AT_1000 "- one\n" AT_1000 "- tw...\n" AT_1000 "- log dropped=3\n" AT_1000 "- five\n");
	close(fd);
}

/* Who was there first when there is room again was not the one who was cut: his line begins anew all the same. */
static void
half_a_line_of_another_is_marked(void)
{
	static struct log_room room[2];
	struct log_out         one, two;
	char                   name[] = "/tmp/t_log_out.XXXXXX", b[1000];
	int                    fd = mkstemp(name);

	(void)unlink(name);
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)fcntl(fd, F_SETFL, O_APPEND);
	now_ms = 1000;
	log_out_init(&one, &fake, &room[0]);
	log_out_init(&two, &fake, &room[1]);
	log_out_fd(&one, fd);
	log_out_fd(&two, fd);
	limit_files(LOG_STAMP + 4);
	log_out_line(&one, SV("- one"));
	log_out_line(&one, SV("- gone"));
	log_out_line(&two, SV("- two"));
	T_EQ_TEXT(file_text(fd, b, sizeof(b)), AT_1000 "- on");
	limit_files(RLIM_INFINITY);
	log_out_line(&two, SV("- three"));
	log_out_line(&one, SV("- four"));
	T_EQ_TEXT(file_text(fd, b, sizeof(b)),
	    AT_1000 "- on...\n" AT_1000 "- log dropped=1\n" AT_1000 "- three\n"
		    "...\n" AT_1000 "- log dropped=2\n" AT_1000 "- four\n");
	close(fd);
}

/* The same where a file follows that has had none of it: there the line stands as a whole. */
static void
half_a_line_is_whole_in_the_next_file(void)
{
	static struct log_room room;
	struct log_out         o;
	struct strv            half = SV(AT_1000 "- tw");
	int                    fd[2];
	char                   b[100];

	T_CHECK(pipe(fd) == 0);
	log_out_init(&o, &fake, &room);
	log_room_add(&room, SV("- "), SV("one"));
	log_room_add(&room, SV(AT_1000), SV("- two"));
	log_room_writing(&room);
	log_room_written(&room, 6 + half.n);
	T_EQ_TEXT(log_room_held(&room), "o\n");
	log_room_move(&room);
	T_EQ_TEXT(log_room_held(&room), AT_1000 "- two\n");
	log_out_fd(&o, -1); /* nowhere: nothing is kept for the next */
	log_out_fd(&o, fd[1]);
	log_out_line(&o, SV("- three"));
	T_EQ_NUM(read(fd[0], b, sizeof(b)), LOG_STAMP + 8);
	close(fd[0]);
	close(fd[1]);
}

/* ---- last words ------------------------------------------------------------------------------ */

static bool
poll_none(int fd)
{
	struct pollfd pfd = { fd, POLLIN, 0 };

	return poll(&pfd, 1, 0) == 0;
}

static struct log_room *
shared_room(void)
{
	void *p = mmap(NULL, LOG_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	T_CHECK(p != MAP_FAILED);
	return p;
}

/* In its own process: the first line goes out, the others wait for their time, which does not come. */
static void
live_and_be_killed(struct log_room *room, int fd)
{
	static struct log_room own;
	struct log_out         o;
	struct loop           *l = loop_new(&fake);

	log_out_init(&o, &fake, &own);
	log_out_fd(&o, fd);
	log_out_start(&o, l);
	log_out_room(&o, room);
	log_out_line(&o, SV("w one"));
	(void)loop_round(l, false);
	for (unsigned i = 0; i < 3; i++) {
		log_out_line(&o, SV("w more"));
		(void)loop_round(l, false);
	}
	(void)raise(SIGKILL);
}

static void
killed_process_is_heard(void)
{
	static struct log_room own;
	struct log_room       *room = shared_room();
	struct log_out         o;
	int                    fd[2], status;
	char                   b[1000];
	ssize_t                n;
	pid_t                  pid;

	now_ms = 1000;
	T_CHECK(pipe(fd) == 0);
	log_out_init(&o, &fake, &own);
	log_out_fd(&o, fd[1]);
	for (unsigned lives = 0; lives < 2; lives++) {
		if ((pid = fork()) == 0)
			live_and_be_killed(room, fd[1]);
		T_CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
		n = read(fd[0], b, sizeof(b));
		T_EQ_STRV(strv(b, (size_t)n), SV(AT_1000 "w one\n"));
		log_out_rest(&o, room);
		log_out_line(&o, SV("master death"));
		n = read(fd[0], b, sizeof(b));
		T_EQ_STRV(strv(b, (size_t)n),
		    SV(AT_1000 "w more\n" AT_1000 "w more\n" AT_1000 "w more\n" AT_1000
			       "master death\n"));
		log_out_rest(&o, room); /* once only */
		T_CHECK(poll_none(fd[0]));
	}
	munmap(room, LOG_ROOM);
	close(fd[0]);
	close(fd[1]);
}

/* A room of noise: what comes of it is text and no longer than the room; afterwards it is empty. */
static void
noise_is_never_logged(void)
{
	static struct log_room own;
	struct log_room       *r = malloc(sizeof(*r));
	struct log_out         o;
	char                   name[] = "/tmp/t_log_out.XXXXXX", *b = malloc(LOG_ROOM * 2);
	int                    fd = mkstemp(name);
	uint64_t               seed = 11;
	unsigned               bad = 0, told = 0;

	(void)unlink(name);
	log_out_init(&o, &fake, &own);
	log_out_fd(&o, fd);
	for (unsigned i = 0; i < 200; i++) {
		struct strv v;

		for (size_t k = 0; k < sizeof(*r); k += 8)
			memcpy((char *)r + k, &(uint64_t){ t_random(&seed) }, 8);
		if (i % 2 == 0)
			r->held = t_random(&seed) % LOG_ROOM_TEXT << 32 | LOG_ROOM_TEXT;
		T_CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
		log_out_rest(&o, r);
		v = file_text(fd, b, LOG_ROOM * 2);
		for (size_t k = 0; k < v.n; k++)
			bad += v.p[k] != '\n' && (v.p[k] < 0x20 || v.p[k] > 0x7e);
		T_CHECK(v.n > 0 && v.n < LOG_ROOM + 100 && v.p[v.n - 1] == '\n');
		told += memmem(v.p, v.n, "Z - log damaged=", 16) != NULL;
		T_EQ_NUM(log_room_held(r).n, 0);
	}
	T_EQ_NUM(bad, 0);
	T_EQ_NUM(told, 200);
	T_EQ_NUM(o.dropped, 0);
	close(fd);
	free(r);
	free(b);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(quiet_log_is_prompt);
	T_RUN(second_line_waits_for_its_time);
	T_RUN(busy_log_is_written_at_its_pace);
	T_RUN(half_a_room_does_not_wait);
	T_RUN(stuck_log_is_tried_less_often);
	T_RUN(what_is_held_goes_to_the_old_file);
	T_RUN(half_a_line_is_marked);
	T_RUN(half_a_line_of_another_is_marked);
	T_RUN(half_a_line_is_whole_in_the_next_file);
	T_RUN(killed_process_is_heard);
	T_RUN(noise_is_never_logged);
	return t_end();
}
