/*
 * settings -- the plain statements of a configuration as values, and what is made of them before fork.
 *
 * Nobody below proxy/ includes this: who needs a setting declares its struct (smtp/smtp.h, smtp/limits.h).
 */
#ifndef PROXY_SETTINGS_H
#define PROXY_SETTINGS_H

#include "policy/policy.h"
#include "proxy/smtp/smtp.h"

enum log_to { LOG_STDERR, LOG_SYSLOG, LOG_FILE };

struct settings {                       /* everything lives in the arena given to settings_load */
	struct conf      *conf;
	struct policy    *policy;
	struct listener  *listener;
	unsigned          n_listener;
	struct server    *server;
	unsigned          n_server;
	struct smtp_conf  smtp;         /* limits and connections still for the whole daemon: settings_split */
	unsigned          workers;      /* 0: one a core */
	const char       *user;         /* NULL: stay who we are */
	enum log_to       log;
	const char       *log_file;
	uint64_t          drain;        /* ms, default 10 min */
};

/*
 * settings_load -- read, parse and compile a configuration, keys and lists included
 *
 *   a     owns all;  d gets every mistake (never only the first);  w reads files
 *
 * The result is only to be used where d->errors == 0; settings_free in any case.
 */
struct settings *settings_load(struct arena *a, struct world *w, const char *path, struct diags *d);
/* TLS contexts and lists: what is not in the arena. */
void settings_free(struct settings *s);
/* The smtp_conf of one of n workers: connections and spool-total divided (at least 1), in arena a. */
struct smtp_conf *settings_split(const struct settings *s, struct arena *a, unsigned n);

#endif
