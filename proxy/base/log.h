/*
 * log -- one line an event: `id what key=value ...`, escaped, built without allocation.
 *
 *     struct log_line l;
 *     log_begin(&l, world, id, "message");
 *     log_strv(&l, "from", from);  log_number(&l, "size", n);
 *     log_end(&l);
 *
 * Values with blanks, quotes or controls are written "..." with \xNN for every octet outside printable
 * ASCII and \" \\; empty ones as "".  A value is cut at LOG_VALUE octets (so that no stranger's word
 * crowds out the rest) and then written "..."..., a line at LOG_LINE octets; it says so with "...".
 */
#ifndef PROXY_BASE_LOG_H
#define PROXY_BASE_LOG_H

#include "proxy/base/strv.h"

#define LOG_LINE  2000
#define LOG_VALUE 480           /* of the text as written, without the quotes */

struct world;

struct log_line {
	struct world *world;
	unsigned      n;
	bool          cut;
	char          p[LOG_LINE];
};

void log_begin(struct log_line *l, struct world *w, struct strv id, const char *what);
void log_key_strv(struct log_line *l, struct strv key, struct strv v);  /* absent views are left out */
void log_key_number(struct log_line *l, struct strv key, uint64_t v);
void log_end(struct log_line *l);                                       /* hands it to world->log */
/* The same with keys as they are written: the compiler counts the letters of a literal. */
static inline void
log_strv(struct log_line *l, const char *key, struct strv v)
{
	log_key_strv(l, strv_z(key), v);
}

static inline void
log_z(struct log_line *l, const char *key, const char *v)       /* NULL is left out */
{
	log_key_strv(l, strv_z(key), strv_z(v));
}

static inline void
log_number(struct log_line *l, const char *key, uint64_t v)
{
	log_key_number(l, strv_z(key), v);
}

/* A line in one go: `what text`, fmt's text escaped as a whole of controls only. id may be absent. */
void log_event(struct world *w, struct strv id, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* A new id: n - 1 letters and digits by chance, NUL behind; none that is easily taken for another. */
void log_new_id(struct world *w, char *id, size_t n);

/*
 * v with every octet outside printable ASCII as \xNN, in buf (at most n octets, always whole escapes);
 * the view of it.  Quotes and backslashes stay.  For text shown to people.
 */
struct strv log_escape(struct strv v, char *buf, size_t n);

#endif
