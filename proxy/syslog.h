/*
 * syslog -- `log syslog`: a process of its own passes on what comes through a pipe.
 *
 * syslog(3) may block; so it stands in nobody's way but its own.
 */
#ifndef PROXY_SYSLOG_H
#define PROXY_SYSLOG_H

/* Reads lines from fd until its end and hands each to syslog, without its time: syslog has one. */
void syslog_pump(int fd);

#endif
