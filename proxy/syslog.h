/*
 * syslog -- `log syslog`: a process of its own passes on what comes through a pipe.
 *
 * syslog(3) may block; so it stands in nobody's way but its own.
 */
#ifndef PROXY_SYSLOG_H
#define PROXY_SYSLOG_H

#include <sys/types.h>

#include "proxy/base/strv.h"

/*
 * All that a child made for it does, the logger: becomes user (NULL: stays who it is), reads lines from fd until its end
 * and hands each to syslog, without its time, for syslog has one.  No signal meant for who made it ends it before.
 */
void syslog_serve(int fd, const char *user);
/*
 * The last thing of all that who made it does, and behind the close of the pipe's last other end: waits, at most 5 s,
 * until the logger has told what is left and is gone.
 */
void syslog_wait(pid_t logger);

/* For who keeps nobody waiting: as the logger says it, from this process.  begin: before root is given up. */
void syslog_begin(void);
void syslog_line(struct strv line);

#endif
