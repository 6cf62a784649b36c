/*
 * release_own -- what release.c asks of release_files.c; nobody else includes it.
 */
#ifndef PROXY_RELEASE_OWN_H
#define PROXY_RELEASE_OWN_H

#include "proxy/release.h"

/* "path: what errno says", in a. */
struct strv release_fault(struct arena *a, const char *path);
/* At most `most' octets from a file's beginning, in a; n of the view is what is there.  False: errno. */
bool release_read(struct arena *a, int fd, size_t most, struct strv *out);
/*
 * The paths in new/ and cur/ whose name fits that id, oldest first, in a; their number.  id: a pattern's piece, "*" for
 * all; a host's name within a file's fits, too, so what is in the file has the last word.
 */
unsigned release_find(const struct settings *s, struct world *w, struct arena *a, struct strv id, struct strv **out);

#endif
