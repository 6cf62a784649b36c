/*
 * culprit -- see the header.
 *
 * The id is copied at the begin of each callback: a handler that asked libmilter for it would walk a heap that may be
 * what is broken.  The invariant: a handler touches this thread's copy and the page, nothing else.  What a callback
 * has forked has that copy, too, and is not this process: its end is nobody's.
 */
#include "proxy/hosts/culprit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLER_STACK (16 * 1024) /* a thread whose own is used up has to run ours on another */

static const int fatal[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGXCPU };

enum { FATAL = sizeof(fatal) / sizeof(fatal[0]) };

static struct blame    *page;
static pid_t            us;
static struct sigaction before[FATAL];
static void (*of_cpu)(void);

static _Thread_local struct blame_id whose; /* nobody's: no callback runs here */
static _Thread_local bool            has_stack;
static _Thread_local char            handler_stack[HANDLER_STACK];

void
culprit_note(struct blame_id id)
{
	if (page != NULL && getpid() == us)
		blame_note(page, id);
}

static void
at_exit(void)
{
	culprit_note(whose);
}

/* ---- signals --------------------------------------------------------------------------------- */

/* Somebody else's kill(1), which says nothing of who runs here. */
static bool
is_sent(const siginfo_t *si)
{
	return si->si_code == SI_USER && si->si_pid != us;
}

/* A fault comes again when its handler returns, with all that a handler of the plugin or of a sanitizer asks of it. */
static bool
comes_again(int sig, const siginfo_t *si)
{
	return si->si_code > 0 &&
	    (sig == SIGSEGV || sig == SIGBUS || sig == SIGILL || sig == SIGFPE);
}

static void
on_fatal(int sig, siginfo_t *si, void *context)
{
	(void)context;
	if (sig == SIGXCPU)
		of_cpu();
	else if (!is_sent(si))
		culprit_note(whose);
	for (unsigned i = 0; i < FATAL; i++)
		if (fatal[i] == sig)
			(void)sigaction(sig, &before[i], NULL);
	if (!comes_again(sig, si))
		(void)raise(sig);
}

static void
catch_fatal(void)
{
	struct sigaction ours = { .sa_sigaction = on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigemptyset(&ours.sa_mask);
	for (unsigned i = 0; i < FATAL; i++)
		if (sigaction(fatal[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
			(void)sigaction(fatal[i], &ours, NULL);
}

/* One that a sanitizer has put there stays, since the sanitizer frees what it finds at the thread's end. */
static void
need_stack(void)
{
	stack_t mine = { .ss_sp = handler_stack, .ss_size = HANDLER_STACK }, old;

	if (has_stack)
		return;
	has_stack = true;
	if (sigaltstack(NULL, &old) == 0 && (old.ss_flags & SS_DISABLE) != 0)
		(void)sigaltstack(&mine, NULL);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

struct blame_id
culprit_enter(SMFICTX *ctx)
{
	const char *id = page == NULL ? NULL : smfi_getsymval(ctx, (char *)"{postern_id}");

	if (page != NULL)
		need_stack();
	whose = blame_id(id, id == NULL ? 0 : strlen(id));
	return whose;
}

void
culprit_leave(void)
{
	whose = (struct blame_id){ { 0 } };
}

/* ---- the beginning --------------------------------------------------------------------------- */

void
culprit_page(int fd)
{
	page = blame_map(fd);
	close(fd);
}

/*
 * Handlers that the plugin has brought along are behind ours; and exit() runs what was registered last first, so that
 * the id is noted before a destructor of the plugin crashes other threads.
 */
void
culprit_start(void (*cpu)(void))
{
	if (page == NULL)
		return;
	us = getpid();
	of_cpu = cpu;
	blame_begin(page);
	catch_fatal();
	(void)atexit(at_exit);
}
