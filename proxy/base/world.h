/*
 * world -- all that is not computation: clock, randomness, network, disk, log.
 *
 * Nothing below proxy/master.c touches any of these but through a struct world, so a test replaces
 * them all (tests/sim) and what failed once runs again with its seed.  world_real.c is the machine.
 */
#ifndef PROXY_BASE_WORLD_H
#define PROXY_BASE_WORLD_H

#include "proxy/base/addr.h"
#include "proxy/base/strv.h"

struct arena;
struct dns_query;
struct log_room;

enum file_rc {
	FILE_OK,
	FILE_ABSENT,
	FILE_DENIED,
	FILE_READ_ONLY,         /* the file system is */
	FILE_FULL,
	FILE_TOO_BIG,
	FILE_FOLDER,            /* a directory stands where a file is due */
	FILE_NO_FOLDER,         /* and the other way round */
	FILE_SOCKET,            /* or a device that is not there: nothing that can be opened */
	FILE_SILENT,            /* a pipe, and nobody writes */
	FILE_NO_DESCRIPTOR,     /* this process, or all of them, may open no more */
	FILE_INTERRUPTED,
	FILE_FAULT
};

const char *file_rc_name(enum file_rc rc);      /* "no such file", "permission denied", "no space", ... static */

#define WORLD_AGAIN (-2)        /* of connect: the same may work a moment later */

struct world {
	uint64_t (*now)(struct world *);                /* monotonic ms, never 0 */
	/* Wall clock, microseconds since 1970: for log lines, Date and Received fields, certificates. */
	uint64_t (*wall)(struct world *);
	void (*random)(struct world *, void *p, size_t n);
	/*
	 * Starts a non-blocking TCP or unix connection. A descriptor (connected, or connecting: writable
	 * when done, then SO_ERROR tells), or -1 with *why set to static text.  WORLD_AGAIN, with *why: somebody
	 * listens, but has as many waiting as he lets wait (a unix socket; with TCP the kernel itself tries again).
	 */
	int (*connect)(struct world *, const struct endpoint *to, const char **why);
	/* An unlinked empty file for message text, read-write, or -1.  `dir` "": the system's own place. */
	int (*spool)(struct world *, const char *dir);
	/* One log line without a newline, already escaped; never blocks. */
	void (*log)(struct world *, struct strv line);
	/*
	 * A whole file of at most max octets into *out (arena). For configuration, lists, keys: at load only.  It may
	 * be a pipe; FILE_SILENT: nothing has come for 10 s.
	 */
	enum file_rc (*read_file)(struct world *, struct arena *, const char *path, size_t max,
	    struct strv *out);
	/* Paths that match the pattern, sorted; *n of them in *out (arena).  FILE_ABSENT: none, *n is 0. */
	enum file_rc (*glob)(struct world *, struct arena *, const char *pattern, struct strv **out,
	    unsigned *n);
	/*
	 * A new file that must not exist, mode 0600, write-only: descriptor or -1 with *rc.  Directories
	 * above it are not made.
	 */
	int (*create)(struct world *, const char *path, enum file_rc *rc);
	enum file_rc (*make_dir)(struct world *, const char *path);             /* FILE_OK also where it exists */
	/*
	 * Makes the written file durable under its final name: fsync(fd), rename(from, to), fsync of the
	 * directory.  May block: called from a work thread only (work.h).  A file that is called `to`
	 * already stays (FILE_FAULT); after another fault `to` does not exist.  fd stays open.
	 */
	enum file_rc (*commit)(struct world *, int fd, const char *from, const char *to);
	void (*unlink)(struct world *, const char *path);
	/*
	 * Runs fn(arg) where it may block, then done(arg) in the loop.  real: a thread, which begins with the first
	 * job, or at once before world_real_start; sim: at once, done deferred.
	 */
	void (*work)(struct world *, void (*fn)(void *arg), void (*done)(void *arg), void *arg);
	/*
	 * Asks a resolver; see dns.h.  `dns_cancel': done is not called any more. NULL: there is no resolver,
	 * every question is DNS_TEMP.
	 */
	void (*dns)(struct world *, struct dns_query *);
	void (*dns_cancel)(struct world *, struct dns_query *);
	/* The permissions of a file, the lower nine bits, for keys. NULL: there are none in this world. */
	enum file_rc (*file_mode)(struct world *, const char *path, unsigned *mode);
	void *ctx;                                      /* the maker's own */
	/* now, some ms late at most and several times cheaper, for who asks often. NULL: there is no such clock. */
	uint64_t (*about_now)(struct world *);
	/* Lines that a process which has ended still held, in front of all that is logged later. NULL: nobody's do. */
	void (*log_rest)(struct world *, struct log_room *);
};

/*
 * The machine.  One per process: after fork a worker calls world_real_start(w, loop), from which on there may be a
 * work thread, and which writes the log at the pace of log_out.h.  `log_fd`: where lines go, -1: nowhere; it stays
 * the caller's.  Each line gets the time in front (RFC 3339, UTC, ms).  SIGPIPE must be ignored.
 */
struct loop;
struct resolver_conf {                          /* `resolver' */
	const struct endpoint *forward;         /* n of them are asked; none: those of the system */
	unsigned               n;
};
struct world *world_real(int log_fd);
void world_real_start(struct world *w, struct loop *loop);
/* Right behind world_real_start: where lines wait from now on (counters_log), so that the master may tell them. */
void world_real_log_room(struct world *w, struct log_room *room);
/*
 * Behind world_real_start: questions to the DNS are answered from here on (libunbound on the loop, one cache a
 * process). False with *why: it cannot be (no library in this build); then every answer is DNS_TEMP.  What the
 * library takes is taken at the first question; conf lives until world_real_stop.
 */
bool world_real_dns(struct world *w, const struct resolver_conf *conf, const char **why);
void world_real_stop(struct world *w);          /* joins the work thread, writes what the log still holds */
/* Lines that could not be written without blocking, so far. */
uint64_t world_real_log_dropped(struct world *w);
void world_real_log_fd(struct world *w, int fd);/* after a reopen */

#endif
