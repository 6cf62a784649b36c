/*
 * t_world -- the real world: log, randomness, connecting, files, the work thread; and the input buffers.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/bufpool.h"
#include "proxy/base/loop.h"
#include "proxy/base/work.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

static char          dir[] = "/tmp/t_world.XXXXXX";
static struct arena *arena;

static const char *
in_dir(const char *name)
{
	return arena_z(arena, arena_printf(arena, "%s/%s", dir, name));
}

static void
put_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	T_CHECK(fd >= 0);
	T_EQ_NUM(write(fd, text, n), n);
	close(fd);
}

static struct strv
get_file(const char *path)
{
	static char b[300000];
	int         fd = open(path, O_RDONLY);
	ssize_t     n = fd < 0 ? -1 : read(fd, b, sizeof(b));

	if (fd >= 0)
		close(fd);
	return n < 0 ? (struct strv){ NULL, 0 } : strv(b, (size_t)n);
}

/* ---- clock and randomness -------------------------------------------------------------------- */

static void
clocks_go_forward(void)
{
	struct world *w = world_real(-1);
	uint64_t      a = w->now(w), wall = w->wall(w), b;

	(void)poll(NULL, 0, 20);
	b = w->now(w);
	T_CHECK(a != 0 && b >= a + 19 && b < a + 5000);
	T_CHECK(w->wall(w) >= wall + 15000);
	T_CHECK(wall / 1000000 - (uint64_t)time(NULL) + 1 <= 2);
}

static void
random_never_repeats(void)
{
	enum { N = 5000 };
	struct world        *w = world_real(-1);
	static uint64_t      v[N];
	static unsigned char big[5000];
	unsigned             equal = 0, zero = 0;

	for (unsigned i = 0; i < N; i++)
		w->random(w, &v[i], sizeof(v[i]));
	for (unsigned i = 0; i < N; i++)
		for (unsigned j = i + 1; j < N; j++)
			equal += v[i] == v[j];
	T_EQ_NUM(equal, 0);
	w->random(w, big, sizeof(big));
	for (unsigned i = 0; i < sizeof(big); i++)
		zero += big[i] == 0;
	T_CHECKF(zero < 100, "%u zeros in 5000 octets", zero);
	w->random(w, big, 0);
}

/* A worker's ids and keys must not be its master's or its sister's. */
static void
random_differs_after_fork(void)
{
	struct world *w = world_real(-1);
	uint64_t      mine, child[2] = { 0, 0 };
	int           fd[2];

	w->random(w, &mine, sizeof(mine)); /* the batch is filled */
	T_CHECK(pipe(fd) == 0);
	for (unsigned i = 0; i < 2; i++) {
		if (fork() == 0) {
			w->random(w, &mine, sizeof(mine));
			_exit(write(fd[1], &mine, sizeof(mine)) != sizeof(mine));
		}
		T_EQ_NUM(read(fd[0], &child[i], sizeof(child[i])), sizeof(child[i]));
		(void)wait(NULL);
	}
	w->random(w, &mine, sizeof(mine));
	T_CHECK(mine != child[0] && mine != child[1] && child[0] != child[1]);
	close(fd[0]);
	close(fd[1]);
}

/* ---- the log --------------------------------------------------------------------------------- */

/* "2024-01-31T23:59:59.999Z " and then text. */
static bool
is_stamped(struct strv line, const char *text)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";

	if (line.n < sizeof(shape) - 1)
		return false;
	for (unsigned i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == 'd' ? !ascii_is_digit(line.p[i]) : shape[i] != line.p[i])
			return false;
	return strv_eq(strv_from(line, sizeof(shape) - 1), strv_z(text));
}

static void
log_before_start_goes_out_at_once(void)
{
	int           fd = open(in_dir("log1"), O_RDWR | O_CREAT | O_APPEND, 0600);
	struct world *w = world_real(fd);
	struct strv   text;

	w->log(w, SV("- first a=1"));
	w->log(w, SV("- second"));
	text = get_file(in_dir("log1"));
	T_CHECK(is_stamped(strv_cut(&text, '\n'), "- first a=1"));
	T_CHECK(is_stamped(strv_cut(&text, '\n'), "- second"));
	T_CHECK(text.n == 0);
	world_real_log_fd(w, -1);
	w->log(w, SV("nowhere"));
	T_EQ_NUM(world_real_log_dropped(w), 0);
	close(fd);
}

static void
log_is_written_once_a_round(void)
{
	int           fd = open(in_dir("log2"), O_RDWR | O_CREAT | O_APPEND, 0600);
	struct world *w = world_real(fd);
	struct loop  *l = loop_new(w);
	struct strv   text;
	time_t        now = time(NULL);
	struct tm     tm;
	char          today[16];

	world_real_start(w, l);
	w->log(w, SV("- one"));
	w->log(w, SV("- two"));
	T_EQ_NUM(get_file(in_dir("log2")).n, 0);
	loop_round(l, false);
	text = get_file(in_dir("log2"));
	gmtime_r(&now, &tm);
	strftime(today, sizeof(today), "%Y-%m-%dT%H:", &tm);
	T_CHECK(strv_starts(text, strv_z(today)));
	T_CHECK(is_stamped(strv_cut(&text, '\n'), "- one"));
	T_CHECK(is_stamped(strv_cut(&text, '\n'), "- two"));
	w->log(w, SV("- last"));
	world_real_stop(w);
	text = get_file(in_dir("log2"));
	T_CHECK(strv_ends(text, SV("- last\n")));
	loop_free(l);
	world_real_log_fd(w, -1);
	close(fd);
}

/* Nobody reads the pipe: nothing blocks, what does not fit is counted, and later the log says so. */
static void
log_that_is_stuck_drops_and_says_so(void)
{
	static char   line[1000], b[300000];
	struct world *w;
	struct loop  *l;
	uint64_t      dropped;
	size_t        n = 0;
	ssize_t       r;
	int           fd[2];

	T_CHECK(pipe(fd) == 0);
	w = world_real(fd[1]);
	l = loop_new(w);
	world_real_start(w, l);
	memset(line, 'x', sizeof(line));
	for (unsigned i = 0; i < 300; i++) {
		w->log(w, strv(line, sizeof(line)));
		loop_round(l, false);
	}
	dropped = world_real_log_dropped(w);
	T_CHECKF(dropped > 100 && dropped < 250, "%ju dropped", (uintmax_t)dropped);
	T_CHECK(!(fcntl(fd[1], F_GETFL) & O_NONBLOCK)); /* others may share it */
	T_CHECK(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0);
	for (unsigned i = 0; i < 20; i++) {
		while ((r = read(fd[0], b + n, sizeof(b) - n)) > 0)
			n += (size_t)r;
		if (i == 10)
			w->log(w, SV("- again"));
		loop_round(l, loop_next_timer(l) != UINT64_MAX); /* waits for the time of a write */
	}
	T_EQ_NUM(n, (300 - dropped) * 1026 + (25 + 8) + (25 + 15 + (dropped > 99 ? 3 : 2)));
	T_CHECK(strv_ends(strv(b, n), SV("Z - again\n")));
	T_CHECK(memmem(b, n, "Z - log dropped=", 16) != NULL);
	T_EQ_NUM(world_real_log_dropped(w), dropped);
	world_real_stop(w);
	world_real_log_fd(w, -1);
	loop_free(l);
	close(fd[0]);
	close(fd[1]);
}

static void
log_to_a_socket_does_not_block(void)
{
	static char   line[1000];
	struct world *w;
	uint64_t      before;
	int           fd[2];

	T_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	w = world_real(fd[1]);
	before = world_real_log_dropped(w);
	memset(line, 'x', sizeof(line));
	for (unsigned i = 0; i < 1000; i++)
		w->log(w, strv(line, sizeof(line)));
	T_CHECK(world_real_log_dropped(w) > before);
	close(fd[0]);
	w->log(w, SV("- nobody is there")); /* no SIGPIPE */
	world_real_log_fd(w, -1);
	close(fd[1]);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static bool
is_connected(int fd)
{
	struct pollfd pfd = { fd, POLLOUT, 0 };
	int           error = -1;
	socklen_t     n = sizeof(error);

	return poll(&pfd, 1, 5000) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 &&
	    error == 0;
}

static void
connects_over_tcp(void)
{
	struct world      *w = world_real(-1);
	struct sockaddr_in sa = { .sin_family = AF_INET };
	socklen_t          n = sizeof(sa), n_one = sizeof(int);
	struct endpoint    to = { .addr = { ADDR_IP4, { 127, 0, 0, 1 } } };
	int                l = socket(AF_INET, SOCK_STREAM, 0), fd, one = 0;
	const char        *why = NULL;

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	T_CHECK(bind(l, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(l, 5) == 0);
	T_CHECK(getsockname(l, (struct sockaddr *)&sa, &n) == 0);
	to.port = ntohs(sa.sin_port);
	fd = w->connect(w, &to, &why);
	T_CHECK(fd >= 0 && is_connected(fd));
	T_CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC);
	T_CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, &n_one) == 0 && one != 0);
	close(fd);
	close(l);
	fd = w->connect(w, &to, &why); /* nobody listens: known at once, or by the event */
	T_CHECK(fd < 0 || !is_connected(fd));
	if (fd >= 0)
		close(fd);
}

static void
connects_over_unix(void)
{
	struct world      *w = world_real(-1);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct endpoint    to = { .addr = { .family = ADDR_UNIX }, .path = in_dir("socket") };
	int                l = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	const char        *why = NULL;

	T_EQ_NUM(w->connect(w, &to, &why), -1);
	T_EQ_STR(why, "No such file or directory");
	memcpy(sa.sun_path, to.path, strlen(to.path) + 1);
	T_CHECK(bind(l, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(l, 5) == 0);
	fd = w->connect(w, &to, &why);
	T_CHECK(fd >= 0 && is_connected(fd));
	close(fd);
	close(l);
	T_EQ_NUM(w->connect(w, &(struct endpoint){ 0 }, &why), -1);
	T_EQ_STR(why, "not an address to connect to");
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
spool_has_no_name(void)
{
	struct world     *w = world_real(-1);
	const char *const dirs[] = { "", NULL, dir, in_dir("missing") };
	struct stat       st;

	for (unsigned i = 0; i < 4; i++) {
		int fd = w->spool(w, dirs[i]);

		if (i == 3) {
			T_EQ_NUM(fd, -1);
			break;
		}
		T_CHECK(fd >= 0 && fstat(fd, &st) == 0);
		T_CHECK(st.st_nlink == 0 && st.st_size == 0 && (st.st_mode & 0777) == 0600);
		T_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		T_EQ_NUM(write(fd, "abc", 3), 3);
		close(fd);
	}
}

static const struct read_case {
	const char  *name;
	size_t       size, max;
	enum file_rc rc;
} reads[] = {
	{ "empty", 0, 100, FILE_OK },
	{ "small", 10, 100, FILE_OK },
	{ "just the ceiling", 100, 100, FILE_OK },
	{ "one too many", 101, 100, FILE_TOO_BIG },
	{ "large", 200000, 300000, FILE_OK },
	{ "large, small ceiling", 200000, 10, FILE_TOO_BIG },
};

static void
read_whole_files(void)
{
	static char   text[200000];
	struct world *w = world_real(-1);

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
	T_TABLE(struct read_case, c, reads)
	{
		struct strv v = { NULL, 0 };

		t_row = c->name;
		put_file(in_dir("f"), text, c->size);
		T_EQ_NUM(w->read_file(w, arena, in_dir("f"), c->max, &v), c->rc);
		if (c->rc == FILE_OK)
			T_CHECK(strv_eq(v, strv(text, c->size)));
	}
}

static void
read_what_is_no_plain_file(void)
{
	struct world *w = world_real(-1);
	struct strv   v;
	struct rlimit files, none;
	char          path[64];
	int           fd[2];

	T_EQ_NUM(w->read_file(w, arena, in_dir("missing"), 100, &v), FILE_ABSENT);
	T_EQ_NUM(w->read_file(w, arena, dir, 100, &v), FILE_FOLDER);
	T_EQ_STR(file_rc_name(FILE_ABSENT), "no such file or directory");
	T_CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
	none = files;
	none.rlim_cur = 0;
	T_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	T_EQ_STR(
	    file_rc_name(w->read_file(w, arena, in_dir("f"), 100, &v)), "no descriptor is free");
	T_CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);
	T_CHECK(pipe(fd) == 0);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]);
	T_EQ_NUM(write(fd[1], "from a pipe", 11), 11);
	close(fd[1]);
	T_EQ_NUM(w->read_file(w, arena, path, 100, &v), FILE_OK);
	T_EQ_STRV(v, SV("from a pipe"));
	close(fd[0]);
	T_EQ_NUM(w->read_file(w, arena, in_dir("socket-there"), 100, &v), FILE_ABSENT);
	T_CHECK(mknod(in_dir("socket-there"), S_IFSOCK | 0600, 0) == 0);
	T_EQ_NUM(w->read_file(w, arena, in_dir("socket-there"), 100, &v), FILE_SOCKET);
	/* no end in sight */
	T_EQ_NUM(w->read_file(w, arena, "/dev/zero", 10000, &v), FILE_TOO_BIG);
}

/* As ls shows them, whatever else a mode holds; of what a link leads to. */
static void
modes_of_files(void)
{
	static const unsigned modes[] = { 0600, 0400, 0644, 0666, 0777, 04755, 02660 };
	struct world         *w = world_real(-1);
	unsigned              mode;

	put_file(in_dir("key"), "x", 1);
	T_CHECK(symlink("key", in_dir("link")) == 0);
	for (size_t i = 0; i < T_COUNT(modes); i++) {
		T_CHECK(chmod(in_dir("key"), modes[i]) == 0);
		T_EQ_NUM(w->file_mode(w, in_dir("key"), &mode), FILE_OK);
		T_EQ_NUM(mode, modes[i] & 0777);
		T_EQ_NUM(w->file_mode(w, in_dir("link"), &mode), FILE_OK);
		T_EQ_NUM(mode, modes[i] & 0777);
	}
	T_EQ_NUM(w->file_mode(w, in_dir("missing"), &mode), FILE_ABSENT);
	T_CHECK(unlink(in_dir("link")) == 0);
}

static void
glob_is_sorted(void)
{
	struct world *w = world_real(-1);
	struct strv  *v;
	unsigned      n;

	put_file(in_dir("b.conf"), "", 0);
	put_file(in_dir("a.conf"), "", 0);
	T_EQ_NUM(w->glob(w, arena, in_dir("*.conf"), &v, &n), FILE_OK);
	T_EQ_NUM(n, 2);
	T_EQ_TEXT(v[0], in_dir("a.conf"));
	T_EQ_TEXT(v[1], in_dir("b.conf"));
	T_EQ_NUM(w->glob(w, arena, in_dir("*.none"), &v, &n), FILE_ABSENT);
	T_EQ_NUM(n, 0);
}

static void
create_does_not_overwrite(void)
{
	struct world *w = world_real(-1);
	enum file_rc  rc;
	struct stat   st;
	int           fd = w->create(w, in_dir("new"), &rc);

	T_CHECK(fd >= 0 && rc == FILE_OK && fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600);
	T_CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	T_EQ_NUM(w->create(w, in_dir("new"), &rc), -1);
	T_EQ_NUM(rc, FILE_FAULT);
	T_EQ_NUM(w->create(w, in_dir("missing/new"), &rc), -1);
	T_EQ_NUM(rc, FILE_ABSENT);
	T_CHECK(symlink("/tmp/nowhere-at-all", in_dir("link")) == 0);
	T_EQ_NUM(w->create(w, in_dir("link"), &rc), -1);
	w->unlink(w, in_dir("new"));
	T_CHECK(access(in_dir("new"), F_OK) != 0);
}

static void
make_dir_may_be_there(void)
{
	struct world *w = world_real(-1);
	struct stat   st;

	T_EQ_NUM(w->make_dir(w, in_dir("d")), FILE_OK);
	T_EQ_NUM(w->make_dir(w, in_dir("d")), FILE_OK);
	T_CHECK(stat(in_dir("d"), &st) == 0 && (st.st_mode & 0777) == 0700);
	T_EQ_NUM(w->make_dir(w, in_dir("missing/d")), FILE_ABSENT);
	put_file(in_dir("file"), "", 0);
	T_EQ_NUM(w->make_dir(w, in_dir("file")), FILE_NO_FOLDER);
}

static void
commit_gives_the_final_name_once(void)
{
	struct world *w = world_real(-1);
	enum file_rc  rc;
	int           fd;

	(void)w->make_dir(w, in_dir("tmp"));
	(void)w->make_dir(w, in_dir("cur"));
	fd = w->create(w, in_dir("tmp/1"), &rc);
	T_EQ_NUM(write(fd, "mail", 4), 4);
	T_EQ_NUM(w->commit(w, fd, in_dir("tmp/1"), in_dir("cur/1")), FILE_OK);
	close(fd);
	T_EQ_STRV(get_file(in_dir("cur/1")), SV("mail"));
	T_CHECK(access(in_dir("tmp/1"), F_OK) != 0);
	fd = w->create(w, in_dir("tmp/2"), &rc);
	T_EQ_NUM(w->commit(w, fd, in_dir("tmp/2"), in_dir("cur/1")), FILE_FAULT);
	T_EQ_STRV(get_file(in_dir("cur/1")), SV("mail")); /* what is there stays */
	T_EQ_NUM(w->commit(w, fd, in_dir("tmp/2"), in_dir("missing/2")), FILE_ABSENT);
	T_EQ_NUM(w->commit(w, -1, in_dir("tmp/2"), in_dir("cur/2")), FILE_FAULT);
	T_CHECK(access(in_dir("cur/2"), F_OK) != 0);
	close(fd);
}

/* ---- the work thread ------------------------------------------------------------------------- */

static pthread_t main_thread;
static char      jobs_done[128];

struct task {
	char          letter;
	bool          other_thread, over;
	struct fiber *self;
	struct loop  *loop;
};

static void
task_fn(void *arg)
{
	struct task *t = arg;

	t->other_thread = !pthread_equal(pthread_self(), main_thread);
	(void)poll(NULL, 0, 2);
}

static void
task_done(void *arg)
{
	struct task *t = arg;

	T_CHECK(pthread_equal(pthread_self(), main_thread));
	T_CHECK(fiber_self() == NULL);
	strncat(jobs_done, &t->letter, 1);
}

static void
work_is_done_in_order_on_its_thread(void)
{
	struct world *w = world_real(-1);
	struct loop  *l = loop_new(w);
	struct task   t[10];

	jobs_done[0] = '\0';
	world_real_start(w, l);
	for (unsigned i = 0; i < 10; i++) {
		t[i] = (struct task){ .letter = (char)('a' + i) };
		w->work(w, task_fn, task_done, &t[i]);
	}
	T_EQ_STR(jobs_done, "");
	while (strlen(jobs_done) < 5)
		loop_round(l, true);
	world_real_stop(w); /* waits for the rest */
	T_EQ_STR(jobs_done, "abcdefghij");
	T_CHECK(t[0].other_thread && t[9].other_thread);
	loop_free(l);
}

/* Of this process. */
static unsigned
threads(void)
{
	FILE    *f = fopen("/proc/self/status", "r");
	char     line[128];
	unsigned n = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Threads:", 8) == 0)
			n = (unsigned)strtoul(line + 8, NULL, 10);
	if (f != NULL)
		fclose(f);
	return n;
}

static void
thread_begins_with_the_first_job(void)
{
	struct world *w = world_real(-1);
	struct loop  *l = loop_new(w);
	struct task   t = { .letter = 'a' };
	unsigned      before = threads();

	jobs_done[0] = '\0';
	world_real_start(w, l);
	T_EQ_NUM(threads(), before);
	w->work(w, task_fn, task_done, &t);
	T_EQ_NUM(threads(), before + 1);
	world_real_stop(w);
	T_EQ_STR(jobs_done, "a");
	loop_free(l);
}

static void
run_task(void *arg)
{
	struct task *t = arg;

	t->self = fiber_self();
	work_run(t->loop, task_fn, t);
	T_CHECK(pthread_equal(pthread_self(), main_thread) && fiber_self() == t->self);
	t->over = true;
}

static void
fiber_waits_for_work_even_if_cancelled(void)
{
	struct world      *w = world_real(-1);
	struct loop       *l = loop_new(w);
	struct fiber_pool *pool = fiber_pool_new(l, 65536, 10, 2);
	struct task        a = { .loop = l }, b = { .loop = l };

	world_real_start(w, l);
	fiber_start(pool, "a", run_task, &a);
	fiber_start(pool, "b", run_task, &b);
	T_CHECK(!a.over && !b.over);
	fiber_cancel(b.self);
	while (!a.over || !b.over)
		loop_round(l, true);
	T_CHECK(a.other_thread && b.other_thread);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	world_real_stop(w);
	fiber_pool_free(pool);
	loop_free(l);
}

static void
work_without_a_thread_is_done_at_once(void)
{
	struct world      *w = world_real(-1);
	struct loop       *l = loop_new(w);
	struct fiber_pool *pool = fiber_pool_new(l, 65536, 10, 2);
	struct task        t = { .loop = l };

	fiber_start(pool, "t", run_task, &t);
	T_CHECK(t.over && !t.other_thread);
	fiber_pool_free(pool);
	loop_free(l);
}

/* ---- input buffers --------------------------------------------------------------------------- */

static void
last_buffer_given_is_taken_first(void)
{
	struct bufpool *p = bufpool_new(2);
	char           *b[4];

	for (unsigned i = 0; i < 4; i++) {
		b[i] = bufpool_take(p);
		memset(b[i], 'x', BUFPOOL_SIZE);
	}
	bufpool_give(p, b[0]);
	bufpool_give(p, b[1]);
	T_CHECK(bufpool_take(p) == b[1]);
	T_CHECK(bufpool_take(p) == b[0]);
	memset(b[0], 'y', BUFPOOL_SIZE);
	for (unsigned i = 0; i < 4; i++)
		bufpool_give(p, b[i]); /* two are kept, two go back */
	T_CHECK(bufpool_take(p) == b[1]);
	bufpool_give(p, b[1]);
	bufpool_free(p);
}

static void
remove_dir(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
		_exit(1);
	}
	(void)waitpid(pid, NULL, 0);
}

static void
file_tests(void)
{
	T_RUN(spool_has_no_name);
	T_RUN(read_whole_files);
	T_RUN(read_what_is_no_plain_file);
	T_RUN(modes_of_files);
	T_RUN(glob_is_sorted);
	T_RUN(create_does_not_overwrite);
	T_RUN(make_dir_may_be_there);
	T_RUN(commit_gives_the_final_name_once);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	main_thread = pthread_self();
	(void)signal(SIGPIPE, SIG_IGN);
	T_CHECK(mkdtemp(dir) != NULL);
	arena = arena_new(4096, 0);
	T_RUN(clocks_go_forward);
	T_RUN(random_never_repeats);
	T_RUN(random_differs_after_fork);
	T_RUN(log_before_start_goes_out_at_once);
	T_RUN(log_is_written_once_a_round);
	T_RUN(log_that_is_stuck_drops_and_says_so);
	T_RUN(log_to_a_socket_does_not_block);
	T_RUN(connects_over_tcp);
	T_RUN(connects_over_unix);
	file_tests();
	T_RUN(work_is_done_in_order_on_its_thread);
	T_RUN(thread_begins_with_the_first_job);
	T_RUN(fiber_waits_for_work_even_if_cancelled);
	T_RUN(work_without_a_thread_is_done_at_once);
	T_RUN(last_buffer_given_is_taken_first);
	arena_free(arena);
	remove_dir();
	return t_end();
}
