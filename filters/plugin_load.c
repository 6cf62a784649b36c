/*
 * plugin_load -- a plugin's shared object: loaded once a process, asked for its description.
 *
 * An object that calls smfi_* must reach ours (plugin_smfi.c), for another libmilter would take our
 * context for its own.  The program exports them and so stands in front of a libmilter.so that the
 * object names as needed; one that has a libmilter inside may be bound to that and is refused.
 * A plugin that could not be loaded is not tried again in this process: what it does while it fails
 * (open a database, start a thread) is not to be done once a session.
 */
#include "config.h"
#include "filters/milter_end.h"
#include "proxy/base/arena.h"
#include "proxy/base/doing.h"

#if HAVE_MILTER
#include <dlfcn.h>
#include <link.h>

#include "filters/plugin_own.h"

static struct plugin      *all;
static struct fiber_stack *stack;

struct plugin *plugin_loading;

struct loading {
	struct plugin *p;
	struct arena  *a;
	struct strv   *why;
	bool           done;
};

static bool
no(struct loading *l, struct strv why)
{
	*l->why = why;
	return false;
}

static bool
bound_to_us(struct loading *l)
{
	void            *theirs = dlsym(l->p->handle, "smfi_addheader");
	void            *ours = dlsym(RTLD_DEFAULT, "smfi_addheader");
	struct link_map *map;
	Dl_info          in;

	if (ours != (void *)(uintptr_t)smfi_addheader)
		return no(l,
		    SV("this program does not export its smfi_* functions: it was linked "
		       "without filters/plugin.exports"));
	if (theirs == NULL || theirs == ours)
		return true;
	if (dlinfo(l->p->handle, RTLD_DI_LINKMAP, &map) != 0 || dladdr(theirs, &in) == 0 ||
	    (uintptr_t)in.dli_fbase == map->l_addr)
		return no(
		    l, SV("it has a libmilter of its own inside: link it without libmilter.a"));
	return true; /* in a library that it needs: ours stands in front of that */
}

/* The same object twice would be one set of variables under two names. */
static bool
is_alone(struct loading *l)
{
	for (const struct plugin *o = all; o != NULL; o = o->next)
		if (o != l->p && o->handle == l->p->handle)
			return no(l,
			    arena_printf(l->a,
				"plugin %.*s has this object already: give each a copy "
				"of its own",
				(int)o->conf->name.n, o->conf->name.p));
	return true;
}

/* argv as main() knows it; what stands in it may be kept and changed. */
static char **
argv_new(const struct milter_conf *m)
{
	size_t size = m->name.n + 1;
	char **argv, *to;

	for (unsigned i = 0; i < m->n_args; i++)
		size += strlen(m->args[i]) + 1;
	argv = mem_alloc((m->n_args + 2) * sizeof(*argv) + size);
	to = (char *)(argv + m->n_args + 2);
	argv[0] = memcpy(to, m->name.p, m->name.n);
	to += m->name.n + 1;
	for (unsigned i = 0; i < m->n_args; i++) {
		size = strlen(m->args[i]) + 1;
		argv[i + 1] = memcpy(to, m->args[i], size);
		to += size;
	}
	return argv;
}

static bool
hand_over_args(struct loading *l)
{
	const struct milter_conf *m = l->p->conf;
	int (*args)(int, char **);
	int rc;

	*(void **)&args = dlsym(l->p->handle, "plugin_args");
	if (args == NULL)
		return m->n_args == 0 || no(l, SV("it takes no args: it has no plugin_args()"));
	l->p->argv = argv_new(m);
	rc = args((int)m->n_args + 1, l->p->argv);
	return rc == 0 ||
	    no(l, arena_printf(l->a, "plugin_args() returned %d: it refuses its args", rc));
}

static bool
describe(struct loading *l)
{
	struct plugin         *p = l->p;
	const struct smfiDesc *desc = dlsym(p->handle, "smfilter");
	int (*init)(void);
	int rc;

	*(void **)&init = dlsym(p->handle, "plugin_init");
	if (desc == NULL && init == NULL)
		return no(l,
		    SV("it is no plugin: it exports neither `struct smfiDesc smfilter' nor "
		       "`int plugin_init(void)'"));
	if (desc != NULL && init != NULL)
		return no(l, SV("it exports both `smfilter' and `plugin_init': which one holds?"));
	if (desc != NULL) {
		if (!plugin_version_known(desc))
			return no(l,
			    arena_printf(l->a, "it was made for another libmilter, version 0x%x",
				(unsigned)desc->xxfi_version));
		p->desc = *desc;
		return true;
	}
	plugin_loading = p;
	rc = init();
	plugin_loading = NULL;
	if (rc != 0)
		return no(l, arena_printf(l->a, "plugin_init() returned %d", rc));
	return p->desc.xxfi_version != 0 ||
	    no(l, SV("plugin_init() did not register a filter (smfi_register)"));
}

/* On the large stack: constructors, plugin_args and plugin_init are the plugin's own code, too. */
static void
load(void *arg)
{
	struct loading *l = arg;
	const char     *file = l->p->conf->file, *error;

	/* A name without a slash would be looked for among the libraries of the system. */
	if (strchr(file, '/') == NULL)
		file = arena_printf(l->a, "./%s", file).p;
	l->p->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	if (l->p->handle == NULL) {
		error = dlerror();
		*l->why = arena_dup(l->a, strv_z(error == NULL ? "cannot be loaded" : error));
		return;
	}
	l->done = is_alone(l) && bound_to_us(l) && hand_over_args(l) && describe(l);
}

static void
unload(struct plugin *p)
{
	if (p->handle != NULL)
		(void)dlclose(p->handle);
	p->handle = NULL;
	mem_free(p->argv);
	p->argv = NULL;
}

struct plugin *
plugin_load(struct arena *a, const struct milter_conf *m, struct strv *why)
{
	struct loading l = { .a = a, .why = why };

	for (struct plugin *p = all; p != NULL; p = p->next)
		if (p->conf == m) {
			*why = p->why;
			return p->handle == NULL ? NULL : p;
		}
	if (stack == NULL && (stack = fiber_stack_new(PLUGIN_STACK)) == NULL) {
		*why = SV("no memory for its stack");
		return NULL;
	}
	l.p = mem_alloc(sizeof(*l.p));
	l.p->conf = m;
	l.p->stack = stack;
	l.p->next = all;
	all = l.p;
	doing_begin(m->name, "load");
	fiber_stack_call(stack, load, &l);
	doing_end();
	l.p->callbacks = plugin_callbacks_of(&l.p->desc);
	if (l.done)
		return l.p;
	unload(l.p);
	l.p->why = strv(memcpy(mem_alloc(why->n + 1), why->p, why->n), why->n);
	*why = l.p->why;
	return NULL;
}

void
plugin_unload_all(void)
{
	struct plugin *p;

	while ((p = all) != NULL) {
		all = p->next;
		unload(p);
		mem_free((void *)(uintptr_t)p->why.p);
		mem_free(p);
	}
	fiber_stack_free(stack);
	stack = NULL;
}

#else

struct plugin *
plugin_load(struct arena *a, const struct milter_conf *m, struct strv *why)
{
	(void)a;
	(void)m;
	*why = SV("not in this build (--without-libmilter)");
	return NULL;
}

void
plugin_unload_all(void)
{
}

#endif
