/*
 * drop -- what a process of ours gives up before it serves: the signals that are its master's, and root.
 *
 * The invariant: who has become somebody else has no way back, neither by setuid() nor by an exec.
 */
#include "proxy/drop.h"

#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <unistd.h>

static void
ignore(const int *signals, size_t n)
{
	struct sigaction none = { .sa_handler = SIG_IGN };

	for (size_t i = 0; i < n; i++)
		sigaction(signals[i], &none, NULL);
}

void
ignore_signals(void)
{
	static const int strays[] = { SIGPIPE, SIGXFSZ, SIGUSR2, SIGALRM };

	ignore(strays, sizeof(strays) / sizeof(strays[0]));
}

void
drop_signals(void)
{
	/* A terminal sends SIGINT to all of us, `killall` SIGTERM: the master hears it, too, and orders. */
	static const int masters[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1 };
	sigset_t         none;

	ignore(masters, sizeof(masters) / sizeof(masters[0]));
	ignore_signals();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

bool
drop_privileges(const char *user, const char **why)
{
	struct passwd *pw;

	/* What is under this process' keys is nobody else's; and no set-uid program makes more of us. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		*why = "no_new_privs cannot be set";
		return false;
	}
	if (user == NULL || geteuid() != 0)
		return true;
	pw = getpwnam(user);
	if (pw == NULL || initgroups(user, pw->pw_gid) < 0 || setgid(pw->pw_gid) < 0 ||
	    setuid(pw->pw_uid) < 0) {
		*why = "cannot become the user of `user'";
		return false;
	}
	/* setuid() that leaves a way back would be a trap. */
	if (pw->pw_uid != 0 && setuid(0) == 0) {
		*why = "root would not go away";
		return false;
	}
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	return true;
}
