/*
 * folders -- can a worker write where messages shall lie?
 */
#ifndef PROXY_FOLDERS_H
#define PROXY_FOLDERS_H

struct settings;
struct world;

/*
 * folders_try -- tries each Maildir upstream, the quarantine and the spool of s, and logs a warning for each that
 * cannot be written to
 *
 * To be called with the rights of a worker.  What blocks is done by world->work, the lines come later, through the
 * loop; s and w must live until then.
 */
void folders_try(const struct settings *s, struct world *w);

#endif
