/*
 * diag -- diagnostics about configuration: collected, then shown all, each with its place.
 *
 *     postern.conf:12:9: error: no list is called `mynet'
 *         allow from mynet
 *                    ^~~~~
 *     did you mean `mynets'?
 */
#ifndef PROXY_BASE_DIAG_H
#define PROXY_BASE_DIAG_H

#include "proxy/base/strv.h"

struct arena;

struct source {                         /* one file of the configuration, kept as long as the diags */
	struct strv name;               /* as given or as the include found it */
	struct strv text;
	const struct source *includer;  /* NULL: the main file */
};

struct pos {                            /* where a token stands */
	const struct source *src;
	unsigned line, col;             /* from 1; col counts octets */
	unsigned len;                   /* of the token, for the row of marks; 0: a caret alone */
};

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

struct diag {
	enum diag_level level;
	struct pos      pos;            /* src NULL: no place (a file that cannot be read) */
	struct strv     text;           /* one line, no full stop */
	struct strv     hint;           /* what would be right, in one line or a few; may be absent */
};

struct diags {                          /* all zero but `a` is an empty collection */
	struct arena *a;                /* owns texts */
	struct diag  *v;
	unsigned      n, max, errors;
	unsigned      dropped;          /* beyond DIAG_MAX: counted in errors, not kept */
};

#define DIAG_MAX 1000                   /* more are counted, not kept */

void diag_add(struct diags *d, enum diag_level level, struct pos at, struct strv hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/*
 * Sorted by file and place, a note behind what it belongs to; each printed by emit(line, arg) line by
 * line, no newline.  `colour`: ANSI marks.
 */
void diag_print(const struct diags *d, bool colour, void (*emit)(struct strv line, void *arg), void *arg);

/* The word of `words` (NULL-terminated) nearest to v, if near enough to suggest (Damerau distance), or NULL. */
const char *diag_nearest(struct strv v, const char *const *words);
struct strv diag_nearest_v(struct strv v, const struct strv *words, unsigned n);        /* absent: none */
/* Offset of the first octet that is not well-formed UTF-8 (RFC 3629), or v.n. */
size_t diag_utf8(struct strv v);
/* "`v'" for messages: controls and what is not UTF-8 as \xNN, cut when long; in the arena. */
const char *diag_quote(struct arena *a, struct strv v);
/* The same of all of it, and without the quotes. */
struct strv diag_escape(struct arena *a, struct strv v);
/* "did you mean `x'?" in the arena, or absent when x is. */
struct strv diag_did_you_mean(struct arena *a, struct strv x);

#endif
