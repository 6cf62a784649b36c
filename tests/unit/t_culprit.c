/*
 * t_culprit -- how a process ends in a callback, and whom that is noted of; it dies as it would have.
 */
#include "config.h"
#include "tests/unit/t.h"

#if HAVE_MILTER
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "proxy/base/asan.h"

#include <libmilter/mfapi.h>

static char *made_getsymval(SMFICTX *ctx, char *name);
#define smfi_getsymval made_getsymval
#include "proxy/hosts/culprit.c" /* of postern-plugind alone, which has no library */

static SMFICTX *const here = (SMFICTX *)(void *)"here";

/* libmilter's knows what it was told; this one knows a single session. */
static char *
made_getsymval(SMFICTX *ctx, char *name)
{
	T_EQ_STR(name, "{postern_id}");
	return ctx == here ? (char *)"T1.2" : NULL;
}

static unsigned
overflow(unsigned n)
{
	static volatile unsigned enough = 1u << 30;
	volatile char            frame[4096];

	for (size_t i = 0; i < sizeof(frame); i += 512)
		frame[i] = (char)n;
	return n == enough ? 0 : overflow(n + 1) + (unsigned)frame[n % sizeof(frame)];
}

enum end { FAULT, OVERFLOW, ABORT, RAISE, EXIT, CPU, KILL, SENT, FORKED, FORKED_EXIT };

static void
forks(bool exits)
{
	pid_t pid = fork();

	if (pid == 0 && exits)
		exit(1);
	if (pid == 0)
		abort();
	(void)waitpid(pid, NULL, 0);
	_exit(9);
}

static void *
ends(void *arg)
{
	static char *volatile nowhere = (char *)16;
	sigset_t set;

	switch (*(const enum end *)arg) {
	case FAULT:
		*nowhere = 1;
		break;
	case OVERFLOW:
		(void)overflow(0);
		break;
	case ABORT:
		abort();
	case RAISE:
		(void)raise(SIGTRAP);
		break;
	case EXIT:
		exit(7);
	case CPU:
		(void)kill(getpid(), SIGXCPU);
		break;
	case KILL:
		(void)kill(getpid(), SIGKILL);
		break;
	case SENT:
		/* The parent's. */
		sigemptyset(&set);
		(void)sigsuspend(&set);
		break;
	case FORKED:
	case FORKED_EXIT:
		forks(*(const enum end *)arg == FORKED_EXIT);
	}
	(void)pause();
	return NULL;
}

static void *
calls(void *arg)
{
	(void)culprit_enter(here);
	return ends(arg);
}

/* Behind one that has returned. */
static void *
has_called(void *arg)
{
	(void)culprit_enter(here);
	culprit_leave();
	return ends(arg);
}

static void
of_cpu_noted(void)
{
	culprit_note(blame_id("cpu", 3));
}

/* In a process of its own, in a thread of its own, whose stack is small. */
static void
child(int fd, enum end how, bool in_callback)
{
	pthread_t      thread;
	pthread_attr_t a;
	sigset_t       all;
	int            null = open("/dev/null", O_WRONLY);

	(void)dup2(null, STDERR_FILENO);
	culprit_page(fd);
	culprit_start(of_cpu_noted);
	(void)pthread_attr_init(&a);
	(void)pthread_attr_setstacksize(&a, 1 << 18);
	(void)pthread_create(&thread, &a, in_callback ? calls : has_called, &how);
	/* What comes from elsewhere is for that thread. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, NULL);
	(void)pthread_join(thread, NULL);
	_exit(9);
}

static int
run(int fd, enum end how, bool in_callback)
{
	pid_t pid = fork();
	int   status = 0;

	if (pid == 0)
		child(fd, how, in_callback);
	if (how == SENT) {
		(void)usleep(100000);
		(void)kill(pid, SIGSEGV);
	}
	T_CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void
whose_callback_it_was(void)
{
	static const struct {
		const char *name;
		enum end    how;
		int         signal, exit;
		const char *noted;
	} row[] = {
		{ "a fault", FAULT, SIGSEGV, 0, "T1.2" },
		{ "the stack is used up", OVERFLOW, SIGSEGV, 0, "T1.2" },
		{ "abort", ABORT, SIGABRT, 0, "T1.2" },
		{ "raise", RAISE, SIGTRAP, 0, "T1.2" },
		{ "exit", EXIT, 0, 7, "T1.2" },
		{ "CPU", CPU, SIGXCPU, 0, "cpu" },
		{ "SIGKILL", KILL, SIGKILL, 0, NULL },
		{ "a signal of somebody else's", SENT, SIGSEGV, 0, NULL },
		{ "what it has forked", FORKED, 0, 9, NULL },
		{ "that exits", FORKED_EXIT, 0, 9, NULL },
	};

	for (size_t i = 0; i < T_COUNT(row); i++)
		for (int in = 1; in >= 0; in--) {
			int           fd, status;
			struct blame *b = blame_new(&fd);
			const char   *noted = in || row[i].how == CPU ? row[i].noted : NULL;

			t_row = row[i].name;
			if (!T_CHECK(b != NULL))
				return;
			status = run(fd, row[i].how, in != 0);
			/* A sanitizer makes an exit of a fault. */
			if (!UNDER_ASAN || row[i].signal != SIGSEGV) {
				T_EQ_NUM(WIFSIGNALED(status) ? WTERMSIG(status) : 0, row[i].signal);
				T_EQ_NUM(
				    WIFSIGNALED(status) ? 0 : WEXITSTATUS(status), row[i].exit);
			}
			T_EQ_NUM(blame_processes(b), 1);
			T_EQ_NUM(blame_count(b), noted != NULL);
			if (noted != NULL)
				T_CHECK(blame_holds(b, 0, blame_id(noted, strlen(noted))));
			blame_free(b);
			close(fd);
		}
	t_row = NULL;
}

/* By hand there is none. */
static void
without_a_page(void)
{
	culprit_page(-1);
	culprit_start(of_cpu_noted);
	T_CHECK(blame_nobody(culprit_enter(here)));
	culprit_leave();
	culprit_note(blame_id("T", 1));
}

int
main(void)
{
	T_RUN(without_a_page);
	T_RUN(whose_callback_it_was);
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
