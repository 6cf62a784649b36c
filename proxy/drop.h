/*
 * drop -- what a process of ours gives up before it serves: signals, and privileges.
 */
#ifndef PROXY_DROP_H
#define PROXY_DROP_H

#include <stdbool.h>

/*
 * Becomes `user` for good where we are root (NULL: stays who we are), and gives up whatever new
 * privileges an exec could give.  False: *why is static text, and this process must end.
 */
bool drop_privileges(const char *user, const char **why);
/* Signals as a child of the master has them: its terminal's and its master's are not for it, nor those below. */
void drop_signals(void);
/*
 * Those that would end a process though nobody meant that: a write into a pipe or file that takes no more says so by
 * itself (EPIPE, EFBIG), and SIGUSR2 or SIGALRM is for other daemons.
 */
void ignore_signals(void);

#endif
