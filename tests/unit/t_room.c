/*
 * t_room -- the address space of a plugin's process: what is little, who is told, and who comes when there is none left;
 * and how many threads it has at once.
 */
#include "config.h"
#include "tests/unit/t.h"

#if HAVE_MILTER
#include <sys/mman.h>
#include <sys/wait.h>

/* The names of the C library are those of this program then, too: its own calls go through them. */
#include "proxy/hosts/plugind_room.c"
#include "proxy/hosts/plugind_turns.c"

#if HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define MIB ((uint64_t)1 << 20)

static void
what_is_little(void)
{
	static const struct {
		uint64_t  size, at_first, most;
		enum room want;
	} row[] = {
		{ 10, 10, 1024, ROOM_ENOUGH }, { 897, 10, 1024, ROOM_ENOUGH },
		{ 898, 10, 1024, ROOM_LITTLE }, { 992, 10, 1024, ROOM_LITTLE },
		{ 993, 10, 1024, ROOM_NONE }, { 1024, 10, 1024, ROOM_NONE },
		{ 2000, 10, 1024, ROOM_NONE },
		{ 960, 960, 1024, ROOM_ENOUGH }, /* it mapped that when it was loaded */
		{ 1016, 960, 1024, ROOM_ENOUGH }, { 1017, 960, 1024, ROOM_LITTLE },
		{ 1024, 1024, 1024, ROOM_ENOUGH }, /* as it was: nobody would be better */
		{ 0, 0, 1024, ROOM_ENOUGH },       /* nobody can tell */
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		T_CHECKF(room_of(row[i].size * MIB, row[i].at_first * MIB, row[i].most * MIB) ==
			row[i].want,
		    "%u", (unsigned)i);
}

/* Of a size of 1 GiB and what is 24 MiB at first 500 MiB are half, and 125 are an eighth. */
static void
who_is_a_crowd(void)
{
	static const struct {
		uint64_t left;
		unsigned sessions;
		bool     want;
	} row[] = {
		{ 1000, 0, false }, { 125, 900, false }, { 124, 900, true }, { 124, 500, true },
		{ 124, 499, false }, { 0, 499, false }, { 0, 500, true },
		{ 0, 0, false }, /* it leaks */
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		T_CHECKF(room_is_crowded((1024 - row[i].left) * MIB, 24 * MIB, 1024 * MIB,
			     row[i].sessions) == row[i].want,
		    "%u", (unsigned)i);
}

static unsigned littles, nones;

static void
is_little(void)
{
	littles++;
}

static void
is_none(void)
{
	nones++;
}

/* In a process of its own: its limit is for good.  Bits of what went wrong; 0: nothing. */
static int
leaks(void)
{
	struct rlimit r = { 0 };
	uint64_t      more;
	int           bad = 0;

	room_begin(-1, is_little, is_none);
	r.rlim_cur = r.rlim_max = base + 512 * MIB;
	if (setrlimit(RLIMIT_AS, &r) != 0)
		return 1;
	room_begin(-1, is_little, is_none);
	room_look();
	bad |= (littles != 0 || nones != 0) << 1;
	more = 400 * MIB;
	bad |= (mmap(NULL, more, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) << 2;
	room_look();
	bad |= (littles != 0) << 3;
	bad |= (mmap(NULL, 60 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
	    << 2;
	room_look();
	bad |= (littles != 1 || nones != 0) << 4;
	room_hold(); /* who has a successor needs none */
	room_look();
	bad |= (littles != 1 || nones != 0) << 5;
	bad |= (mmap(NULL, 40 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
	    << 2;
	room_look();
	bad |= (nones != 1) << 6;
	return bad;
}

static void
who_is_told(void)
{
	int   status = -1;
	pid_t pid = UNDER_ASAN ? -1 : fork();

	if (UNDER_ASAN)
		return;
	if (pid == 0)
		_exit(leaks());
	T_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	T_EQ_NUM(status, 0);
}

/* ---- sessions -------------------------------------------------------------------------------- */

static int
made(const char *path, bool listens)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	if (listens) {
		(void)unlink(path);
		T_CHECK(bind(fd, (struct sockaddr *)&un, sizeof(un)) == 0 && listen(fd, 9) == 0);
	} else
		T_CHECK(connect(fd, (struct sockaddr *)&un, sizeof(un)) == 0);
	return fd;
}

static void
who_comes(void)
{
	char path[64];
	int  at, client[3], server[2];

	if (UNDER_ASAN)
		return;
	snprintf(path, sizeof(path), "/tmp/t_room.%d", (int)getpid());
	at = made(path, true);
	T_EQ_NUM(room_sessions(path), 0);
	for (int i = 0; i < 3; i++)
		client[i] = made(path, false);
	for (int i = 0; i < 2; i++) {
		server[i] = accept(at, NULL, NULL);
		T_CHECK(server[i] >= 0);
		T_EQ_NUM(room_sessions(path), i + 1);
	}
	T_EQ_NUM(room_sessions("/tmp/other"), 0);
	/* The third is another process's. */
	room_hold();
	T_CHECK(accept(at, NULL, NULL) == -1 && errno == EAGAIN);
	held = false;
	close(server[0]);
	T_EQ_NUM(room_sessions(path), 1);
	server[0] = accept(at, NULL, NULL);
	T_CHECK(server[0] >= 0);
	/* Nobody else is there: it does not wait. */
	T_CHECK(accept(at, NULL, NULL) == -1 && errno == EAGAIN);
	for (int i = 0; i < 3; i++)
		close(client[i]);
	close(server[0]);
	close(server[1]);
	close(at);
	(void)unlink(path);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void
how_many_threads(void)
{
	static const struct {
		uint64_t at_first, most, stack; /* MiB */
		unsigned want;
	} row[] = {
		{ 24, 1024, 1, 500 },
		{ 24, 1024, 8, 62 },
		{ 0, 64, 1, 32 },
		{ 24, 1024, 64, LEAST }, /* the plugin has asked for that */
		{ 24, 24, 1, LEAST },
		{ 24, 0, 1, LEAST },
		{ 24, 1024, 0, TURNS }, /* nobody can tell */
		{ 0, 1 << 20, 1, TURNS },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		T_EQ_NUM(turns_most(row[i].at_first * MIB, row[i].most * MIB, row[i].stack * MIB),
		    row[i].want);
}

#if !UNDER_ASAN

#define JOBS 40

static atomic_uint begun, at_once, peak, out_of_turn;
static atomic_bool gate;

/* Each third one ends its thread itself; libmilter's detach themselves, too. */
static void *
job(void *arg)
{
	unsigned now = ++at_once, n = begun++;

	(void)pthread_detach(pthread_self());
	if (now > peak)
		peak = now;
	/* Those that are begun at the same time are in no order. */
	out_of_turn += (uintptr_t)arg > n + LEAST || n > (uintptr_t)arg + LEAST;
	while (!gate)
		(void)poll(NULL, 0, 1);
	(void)poll(NULL, 0, 2);
	at_once--;
	if ((uintptr_t)arg % 3 == 0)
		pthread_exit(NULL);
	return NULL;
}

static bool
until(unsigned n)
{
	for (int i = 0; i < 5000 && begun < n; i++)
		(void)poll(NULL, 0, 1);
	return begun == n;
}

static unsigned refused;

static void
is_refused(void)
{
	refused++;
}

/* Their turns are over, and a moment behind that they are. */
static void
all_end(void)
{
	for (int i = 0; i < 1000 && (working != 0 || waiting != 0); i++)
		(void)poll(NULL, 0, 1);
	(void)poll(NULL, 0, 50);
}

/* In a process of its own, where all of this program's threads are libmilter's, and there is room for LEAST of them. */
static int
crowds(void)
{
	struct rlimit r = { 0 };
	pthread_t     t;
	int           bad = 0;

	r.rlim_cur = r.rlim_max = size_now() + 2 * LEAST * stack_size() + MIB;
	if (setrlimit(RLIMIT_AS, &r) != 0)
		return 1;
	turns_begin(size_now(), is_refused);
	libmilter_from = 0;
	libmilter_to = UINTPTR_MAX;
	for (uintptr_t i = 0; i < JOBS; i++)
		bad |= (pthread_create(&t, NULL, job, (void *)i) != 0) << 1;
	bad |= !until(LEAST) << 2;
	(void)poll(NULL, 0, 20);
	bad |= (begun != LEAST || waiting != JOBS - LEAST) << 3;
	gate = true;
	bad |= !until(JOBS) << 4;
	bad |= (peak != LEAST) << 5;
	bad |= (out_of_turn != 0) << 6;
	all_end();
	bad |= (working != 0 || waiting != 0 || starting != 0 || refused != 0) << 7;
	return bad;
}

/* No thread can be made: whoever waits goes on waiting, and has one as soon as one can be. */
static int
waits_for_room(void)
{
	struct rlimit r = { 0 };
	pthread_t     t;
	int           bad = 0;

	gate = true;
	turns_begin(size_now(), is_refused);
	libmilter_from = 0;
	libmilter_to = UINTPTR_MAX;
	if (getrlimit(RLIMIT_AS, &r) != 0)
		return 1;
	r.rlim_cur = size_now();
	bad |= (setrlimit(RLIMIT_AS, &r) != 0) << 1;
	bad |= (pthread_create(&t, NULL, job, (void *)1) != 0 || refused != 1) << 2;
	bad |= (begun != 0 || waiting != 1 || working != 0 || starting != 0) << 3;
	r.rlim_cur = r.rlim_max;
	bad |= (setrlimit(RLIMIT_AS, &r) != 0) << 4;
	turns_give();
	bad |= !until(1) << 5;
	all_end();
	bad |= (working != 0) << 6;
	return bad;
}

static int
in_a_child(int (*what)(void))
{
	int   status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(what());
	T_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status;
}

static void
who_has_a_thread(void)
{
	if (RUNNING_ON_VALGRIND) {
		T_SKIP("the limit of the child is valgrind's as well");
		return;
	}
	T_EQ_NUM(in_a_child(crowds), 0);
	T_EQ_NUM(in_a_child(waits_for_room), 0);
}

#endif

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(what_is_little);
	T_RUN(who_is_a_crowd);
	T_RUN(who_is_told);
	T_RUN(who_comes);
	T_RUN(how_many_threads);
#if !UNDER_ASAN
	T_RUN(who_has_a_thread);
#endif
	return t_end();
}

#else

int
main(void)
{
	T_SKIP("--without-libmilter");
	return t_end();
}

#endif
