/*
 * plugind_load -- a shared object becomes the filter of this process: loaded, given its args, registered with libmilter.
 *
 * We have two of libmilter's names ourselves, in front of it: so we know what was registered, and hear of progress.  The
 * invariant: what goes wrong is said to standard error in words for the plugin's author, and it does not serve.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "proxy/hosts/hangs.h"
#include "proxy/hosts/plugind_own.h"

static struct smfiDesc registered; /* what the plugin has told libmilter of itself */
static bool            is_registered;

static bool
fault(const struct given *g, const char *what, const char *more)
{
	fprintf(stderr, "%s: %s%s\n", g->file, what, more == NULL ? "" : more);
	return false;
}

/* The same name in front of libmilter's: what it passes on is what --check tells of. */
int
smfi_register(struct smfiDesc desc)
{
	int (*theirs)(struct smfiDesc);

	*(void **)&theirs = dlsym(RTLD_NEXT, "smfi_register");
	registered = desc;
	hangs_count(&desc);
	is_registered = theirs != NULL && theirs(desc) == MI_SUCCESS;
	return is_registered ? MI_SUCCESS : MI_FAILURE;
}

int
smfi_progress(SMFICTX *ctx)
{
	int (*theirs)(SMFICTX *);

	*(void **)&theirs = dlsym(RTLD_NEXT, "smfi_progress");
	hangs_progress(ctx);
	return theirs == NULL ? MI_FAILURE : theirs(ctx);
}

/* One that brings a libmilter along would serve with that, which knows nothing of our socket. */
static bool
is_ours(void *object)
{
	void *theirs = dlsym(object, "smfi_addheader");

	return theirs == NULL || theirs == dlsym(RTLD_DEFAULT, "smfi_addheader");
}

static bool
take_args(const struct given *g, void *object)
{
	int (*plugin_args)(int, char **);
	int argc = 0;

	*(void **)&plugin_args = dlsym(object, "plugin_args");
	while (g->args[argc] != NULL)
		argc++;
	if (plugin_args == NULL)
		return argc == 1 || fault(g, "it takes no args: it has no plugin_args()", NULL);
	return plugin_args(argc, g->args) == 0 || fault(g, "plugin_args() refuses its args", NULL);
}

static bool
take_filter(const struct given *g, void *object)
{
	struct smfiDesc *desc = dlsym(object, "smfilter");
	int (*plugin_init)(void);

	*(void **)&plugin_init = dlsym(object, "plugin_init");
	if (desc == NULL && plugin_init == NULL)
		return fault(g,
		    "it is no plugin: it exports neither `struct smfiDesc smfilter' nor `int "
		    "plugin_init(void)'",
		    NULL);
	if (desc != NULL && plugin_init != NULL)
		return fault(
		    g, "it exports both `smfilter' and `plugin_init': which one holds?", NULL);
	if (desc != NULL)
		return smfi_register(*desc) == MI_SUCCESS ||
		    fault(g, "it was made for another libmilter", NULL);
	if (plugin_init() != 0)
		return fault(g, "plugin_init() says that it failed", NULL);
	return is_registered ||
	    fault(g, "plugin_init() did not register a filter (smfi_register)", NULL);
}

static bool
load(const struct given *g)
{
	static char here[PATH_MAX];
	void       *object;

	/* A name without a slash is looked for among the libraries of the system. */
	snprintf(here, sizeof(here), "%s%s", strchr(g->file, '/') == NULL ? "./" : "", g->file);
	object = dlopen(here, RTLD_NOW | RTLD_LOCAL);
	if (object == NULL)
		return fault(g, "it cannot be loaded: ", dlerror());
	if (!is_ours(object))
		return fault(
		    g, "it has a libmilter of its own inside: link it without libmilter.a", NULL);
	return take_args(g, object) && take_filter(g, object);
}

const struct smfiDesc *
plugind_load(const struct given *g)
{
	return load(g) ? &registered : NULL;
}
