/*
 * settings -- the plain statements of a configuration as values, and what is made of them before fork.
 *
 * Nobody below proxy/ includes this: who needs a setting declares its struct (smtp/smtp.h, smtp/limits.h).
 */
#ifndef PROXY_SETTINGS_H
#define PROXY_SETTINGS_H

#include "filters/auth.h"
#include "filters/milter_conf.h"
#include "policy/policy.h"
#include "proxy/smtp/smtp.h"

enum log_to { LOG_STDERR, LOG_SYSLOG, LOG_FILE };

struct certificate {                    /* one `tls certificate`, as `check` shows it */
	const char *path;
	struct strv names;              /* for which it is shown, the first few; absent: none */
	uint64_t    ends;               /* seconds since 1970; 0: it could not be read */
};

struct tls_use_of {                     /* a context of servers that are spoken to in the same way */
	bool                verify;
	const char         *ca;         /* NULL: those of the system */
	struct tls_context *context;
};

struct settings {                       /* everything lives in the arena given to settings_load */
	struct conf      *conf;
	struct policy    *policy;
	struct listener  *listener;
	unsigned          n_listener;
	struct server    *server;       /* pool after pool: smtp.pool points into it */
	unsigned          n_server;
	struct certificate *certificate;
	unsigned          n_certificate;
	bool              client_ca;    /* clients are asked for certificates */
	struct tls_use_of *client;
	unsigned          n_client;
	struct smtp_conf  smtp;         /* limits and connections still for the whole daemon: settings_split */
	unsigned          workers;      /* 0: one a core */
	const char       *user;         /* NULL: stay who we are */
	enum log_to       log;
	const char       *log_file;
	uint64_t          drain;        /* ms, default 10 min */
	const struct endpoint *metrics; /* where they are shown; NULL: nowhere */
	struct resolver_conf resolver;
	struct auth_conf  auth;
	struct milters_conf milters;
	uint64_t          decide_within;        /* ms; 0: DECIDE_WITHIN of judge.h */
	struct strv       passed_over;          /* settings_load_milter: names of what is no rule there; absent: nothing */
};

/*
 * settings_load -- read, parse and compile a configuration, keys and lists included
 *
 *   a     owns all;  d gets every mistake (never only the first);  w reads files
 *
 * The result is only to be used where d->errors == 0; settings_free in any case.
 */
struct settings *settings_load(struct arena *a, struct world *w, const char *path, struct diags *d);
/*
 * The same for who offers the policy as a milter to another mail server.  `listen' and `upstream' may be missing; they,
 * the relay gate, routes, milters, plugins and what else only a proxy has a use for are read and then passed over: one
 * note names them.  The judge asks no gate and tells no milter.  Nothing is proved of the policy.
 */
struct settings *settings_load_milter(struct arena *a, struct world *w, const char *path, struct diags *d);
/* TLS contexts and lists: what is not in the arena. */
void settings_free(struct settings *s);
/*
 * The smtp_conf of one of n workers, in arena a: connections and auth-connections (at least 1) of every
 * server, and spool-total, divided.
 */
struct smtp_conf *settings_split(const struct settings *s, struct arena *a, unsigned n);

#endif
