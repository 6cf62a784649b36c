/*
 * plain -- what is between settings.c and the files that read single statements.
 */
#ifndef PROXY_PLAIN_H
#define PROXY_PLAIN_H

#include "proxy/settings.h"
#include "proxy/values.h"

#define TIME_MAX (30 * 86400000ull)     /* 30 d: no time of a configuration is longer */

/* Of a `listen`: what must wait until all statements, or the lists, are known; each where it stands, NULL: not said. */
struct pending {
	struct pos               pos;           /* of its address */
	const struct conf_value *proxy_from, *xclient_from;
	const struct conf_value *xclient, *xclient_login, *require_auth, *auth_plain;     /* the option itself */
	const struct conf_value *pool;          /* the name */
	bool                     pooled;        /* plain_pools: it has one */
};

/* An `upstream`, before it stands in its pool. */
struct upstream_said {
	struct server            sv;
	bool                     good;          /* it has an address, or a folder */
	struct pos               pos;           /* of that */
	const struct conf_value *tls, *server_name, *backup;    /* the option itself */
	const struct conf_value *ca;            /* the file */
	bool                     auth_said;     /* auth-connections */
	struct upstream_said    *next;          /* of its pool, in file order */
};

/* A `tls certificate`: the values. */
struct certificate_said {
	const struct conf_value *chain, *key, *server_name;
};

/* A `sign' or `seal': the values, NULL where one was not to be had. */
struct seal_said {
	const struct conf_plain *st;
	bool                     seal;
	const struct conf_value *who;           /* sign: the list of domains; seal: the domain */
	const struct conf_value *selector, *key;
};

/* A configuration while it is read. */
struct load {
	struct settings         *s;
	struct arena            *a;
	struct world            *w;
	struct diags            *d;
	struct pending          *listen;        /* one for each s->listener */
	unsigned                 max_listener, max_pending;
	struct upstream_said    *upstream;      /* in file order */
	unsigned                 n_upstream, max_upstream;
	struct certificate_said *certificate;
	unsigned                 n_certificate, max_certificate;
	const struct conf_value *client_ca;
	const struct conf_value *lines_for;
	struct pos               quarantine_pos;        /* of its folder */
	const struct conf_value *auth_id, *auth_trust;  /* of `authenticate' */
	struct seal_said        *seal;          /* in file order: sign_rule.number is the index */
	unsigned                 n_seal, max_seal;
	int                      tls_minimum;   /* 0: not said */
	struct pos               limits_pos;    /* src NULL: there is no such block */
	struct pos              *pool_pos;      /* of the first server of each s->smtp.pool */
	bool                    *pool_used;     /* of each: a listener or a route has it */
	bool                     milter;        /* settings_load_milter */
};

/* All plain statements of l->s->conf; mistakes go to l->d. */
void plain_read(struct load *l);

/* --- one statement each --- */

void plain_listen(struct values *r, struct load *l);
void plain_metrics(struct values *r, struct load *l);
void plain_upstream(struct values *r, struct load *l);
void plain_tls(struct values *r, struct load *l);
void plain_authenticate(struct values *r, struct load *l);
void plain_spf(struct values *r, struct load *l);
void plain_dkim(struct values *r, struct load *l);
void plain_sign(struct values *r, struct load *l);
void plain_seal(struct values *r, struct load *l);
/* The values of `limits { }`. */
void plain_limits(struct values *r, struct limits *out);

/* --- what they share --- */

/* The path that v means: a relative one is one of the folder of the file in which it stands. */
const char *plain_path(struct arena *a, const struct conf_value *v);
/* What would be right where the file said, as it is written, could not be read; absent: the fault says it all. */
struct strv plain_hint_file(enum file_rc rc, struct strv said);
/* The next value as a path that the system takes; NULL: said why not.  `what` is "a file", "a folder". */
const char *plain_take_path(struct values *r, const char *what);
/* The next value as ADDR:PORT, port not 0, or (`or_unix`) "unix:/path".  *at: that value, NULL: none. */
bool plain_take_endpoint(struct values *r, bool or_unix, struct endpoint *out, const struct conf_value **at);
/* Is v, which means e, written as only libmilter writes it?  It says so, and how it is written here. */
bool plain_is_milters(struct values *r, const struct conf_value *v, const struct endpoint *e);
/* The next value as the name of a host, an IP address, a name whose first label may be *; NULL: said why not. */
enum host_form { HOST_NAME, HOST_OR_ADDRESS, HOST_OR_WILDCARD };
const struct conf_value *plain_take_host(struct values *r, enum host_form form);
/* The next value as a NAME: a letter, then letters, digits, - and _. */
const struct conf_value *plain_take_name(struct values *r, const char *what);
/* A list by its name or in braces; which networks it means is asked when the policy is there. */
const struct conf_value *plain_take_list(struct values *r);

/* --- when all statements are known --- */

/*
 * Puts the upstreams into pools, and the listeners before them: s->server, s->smtp.pool, listener.pool.
 * `whole`: nothing was wrong before, so what is missing is missing.
 */
void plain_pools(struct load *l, bool whole);
/* Warns of pools that nobody uses: when the routes are known, too. */
void plain_unused_pools(struct load *l);
/* Reads certificates, keys and CAs: the contexts of listeners and servers. */
void plain_contexts(struct load *l);
/* The authserv-id and whom to trust with it; the rules of `sign' and `seal', their keys read: behind the policy. */
void plain_sender(struct load *l);
void plain_keys(struct load *l);
/* Milters and plugins of the policy as s->milters: behind the policy, in front of the judge. plain_milters.c */
void plain_milters(struct load *l);
/* What may be asked of users who authenticate: behind plain_pools. */
void plain_auth(struct load *l);

#endif
