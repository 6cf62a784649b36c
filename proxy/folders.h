/*
 * folders -- can a worker write where messages shall lie?
 */
#ifndef PROXY_FOLDERS_H
#define PROXY_FOLDERS_H

struct loop;
struct settings;
struct world;

/*
 * folders_try -- tries each Maildir upstream, the quarantine and the spool of s, and logs a warning for each that
 * cannot be written to
 *
 * To be called with the rights of a worker.  A thread does it that ends with it; the lines come later, through the
 * loop l.  s and w must live until then, or the process end.
 */
void folders_try(const struct settings *s, struct world *w, struct loop *l);

#endif
