/*
 * main -- makes a daemon of a plugin: the same source, linked with this file and libmilter.
 *
 *	subject-tag -s unix:/run/subject-tag.sock '[outside]'
 *	subject-tag -s inet:2600@127.0.0.1
 *
 * Where the socket is comes from -s; all other arguments are the plugin's, as `args' in the
 * configuration are.  libmilter does the rest: it ends on SIGTERM.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

/* Of these three the plugin has one or two; those that it lacks are NULL. */
extern struct smfiDesc smfilter __attribute__((weak));
int                    plugin_init(void) __attribute__((weak));
int                    plugin_args(int argc, char **argv) __attribute__((weak));

static int
usage(const char *name)
{
	fprintf(stderr, "usage: %s -s SOCKET [ARG ...]\n", name);
	return 2;
}

static const char *
base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

int
main(int argc, char **argv)
{
	char *name = argv[0], *at = NULL;
	int   c;

	while ((c = getopt(argc, argv, "+s:")) != -1) {
		if (c != 's')
			return usage(name);
		at = optarg;
	}
	if (at == NULL)
		return usage(name);

	/* argv[0] is the filter's name, as in its other homes. */
	argv[--optind] = (char *)base(name);
	if (plugin_args == NULL && optind + 1 < argc) {
		fprintf(stderr, "%s: takes no arguments\n", name);
		return 2;
	}
	if (plugin_args != NULL && plugin_args(argc - optind, argv + optind) != 0)
		return 1;

	if ((plugin_init != NULL ? plugin_init() : smfi_register(smfilter)) != MI_SUCCESS) {
		fprintf(stderr, "%s: cannot register the filter\n", name);
		return 1;
	}
	/* true: a socket that an earlier run left behind is removed */
	if (smfi_setconn(at) != MI_SUCCESS || smfi_opensocket(true) != MI_SUCCESS) {
		fprintf(stderr, "%s: cannot listen at %s\n", name, at);
		return 1;
	}
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
