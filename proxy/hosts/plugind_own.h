/*
 * plugind_own -- what the plugind*.c share; nobody else includes it.
 */
#ifndef PROXY_HOSTS_PLUGIND_OWN_H
#define PROXY_HOSTS_PLUGIND_OWN_H

#include <stdbool.h>

#include <libmilter/mfapi.h>

enum { EXIT_GOOD = 0, EXIT_FAULT = 1, EXIT_USAGE = 2, EXIT_HANGS = 3 };

/* What the command line gives; of a process that serves it stays until the end. */
struct given {
	const char *name, *socket;
	int         channel, listening; /* -1: none */
	bool        check;
	const char *file;
	char      **args;               /* plugin_args(): the name, what the configuration says, NULL */
};

/* A thread that ends this process with its channel, or when callbacks hang: plugind_watch.c.  False: no thread. */
bool plugind_watch(struct given *g);

/* The plugin, loaded and registered: plugind_load.c.  NULL: it was said why. */
const struct smfiDesc *plugind_load(const struct given *g);

/* To standard output: plugind_check.c.  The exit status. */
int plugind_describe(const struct smfiDesc *d);

#endif
