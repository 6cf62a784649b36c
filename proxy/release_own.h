/*
 * release_own -- what release.c asks of release_files.c; nobody else includes it.
 */
#ifndef PROXY_RELEASE_OWN_H
#define PROXY_RELEASE_OWN_H

#include "proxy/release.h"
#include "proxy/smtp/quarantine.h"

/* "path: what errno says", in a. */
struct strv release_fault(struct arena *a, const char *path);
/* At most `most' octets from a file's beginning, in a; n of the view is what is there.  False: errno. */
bool release_read(struct arena *a, int fd, size_t most, struct strv *out);
/*
 * The paths in new/ and cur/ whose name fits that id, oldest first, in a; their number.  id: a pattern's piece, "*" for
 * all; a host's name within a file's fits, too, so what is in the file has the last word.
 */
unsigned release_find(const struct settings *s, struct world *w, struct arena *a, struct strv id, struct strv **out);

/* ---- release_log.c: what became of each, for the log ---- */

struct release_log;

/*
 * Where the daemon's log goes, or our own standard error where that goes to its own.  To be called before root is
 * given up.  NULL: it cannot be written, *why (in a) says so.
 */
struct release_log *release_log_open(struct arena *a, struct world *w, const struct settings *s, struct strv *why);
/*
 * One line: q was sent on, or was not taken.  said: lines for people; failed: why the file is still there, or NULL.
 * log NULL: there is none.  a: scratch.
 */
void release_log_line(struct release_log *log, struct arena *a, const struct quarantined *q, bool taken,
    struct strv said, const char *failed);
void release_log_close(struct release_log *log);

#endif
