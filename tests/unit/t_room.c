/*
 * t_room -- the address space of a plugin's process: what is little, who is told, and who comes when there is none left.
 */
#include "config.h"
#include "tests/unit/t.h"

#if HAVE_MILTER
#include <sys/mman.h>
#include <sys/wait.h>

/* The names of the C library are those of this program then, too: its own calls go through them. */
#include "proxy/hosts/plugind_room.c"

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

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(what_is_little);
	T_RUN(who_is_a_crowd);
	T_RUN(who_is_told);
	T_RUN(who_comes);
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
