/*
 * plain -- what is between settings.c and the files that read single statements.
 */
#ifndef PROXY_PLAIN_H
#define PROXY_PLAIN_H

#include "proxy/settings.h"
#include "proxy/values.h"

#define TIME_MAX (30 * 86400000ull)     /* 30 d: no time of a configuration is longer */

/* What must wait until all statements, or the lists, are known. */
struct pending {
	struct pos               pos;
	const struct conf_value *proxy_from;
};

/* A configuration while it is read. */
struct load {
	struct settings         *s;
	struct arena            *a;
	struct world            *w;
	struct diags            *d;
	struct pending          *listen;        /* one for each s->listener */
	unsigned                 max_listener, max_pending;
	const struct conf_value *lines_for;
	const struct conf_value *certificate, *key;
	int                      tls_minimum;   /* 0: not said */
	struct pos               limits_pos;    /* src NULL: there is no such block */
};

/* All plain statements of l->s->conf; mistakes go to l->d. */
void plain_read(struct load *l);
/* The values of `limits { }`. */
void plain_limits(struct values *r, struct limits *out);
/* The path that v means: a relative one is one of the folder of the file in which it stands. */
const char *plain_path(struct arena *a, const struct conf_value *v);

#endif
