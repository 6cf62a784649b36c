/*
 * trial_look -- facts as `check` and `explain` print them.  What strangers put into them is escaped and cut.
 */
#include "proxy/trial_look.h"

#include "proxy/base/arena.h"

#define SOURCE_MAX 120 /* octets of a source that are shown */

const char *
look_came(enum look_came c)
{
	static const char *const words[] = { "did not fire", "fired", "is unknown", "was skipped",
		"was not asked" };

	return words[c];
}

/* How it is written in a policy. */
static struct strv
name_of(struct arena *a, const struct fact *f)
{
	struct strv arg = f->arg;

	if (f->def->inner)
		return arena_printf(a, "%.*s resolves", (int)arg.n, arg.p);
	if (arg.p == NULL)
		return strv_z(f->def->name);
	/* rhsbl: the zone, a blank, the name that was looked for. */
	if (f->def->args != NULL && f->def->args[0] == 's')
		return arena_printf(a, "%s(\"%.*s\")", f->def->name, (int)arg.n, arg.p);
	return arena_printf(a, "%s(%.*s)", f->def->name, (int)arg.n, arg.p);
}

static const char *
value_of(struct arena *a, const struct fact *f)
{
	if (f->state != FACT_KNOWN)
		return f->state == FACT_UNKNOWN ? "unknown" : "not asked";
	if (fact_absent(f))
		return "absent";
	if (f->def->type == FACT_TEXT || f->def->type == FACT_TEXTS)
		return diag_quote(a, fact_print(a, f));
	return arena_z(a, fact_print(a, f));
}

struct strv
look_fact(struct arena *a, const struct fact *f, bool source)
{
	struct strv name = name_of(a, f), from = f->source;
	struct strv said = arena_printf(
	    a, "%.*s%s %s", (int)name.n, name.p, f->def->inner ? ":" : " is", value_of(a, f));

	if (!source || from.n == 0)
		return said;
	if (from.n > SOURCE_MAX)
		from = strv_first(from, SOURCE_MAX);
	return arena_printf(a, "%.*s (%.*s)", (int)said.n, said.p, (int)from.n, from.p);
}

struct strv
look_facts(struct arena *a, const struct look *l, bool source)
{
	struct strv all = strv("", 0);

	for (unsigned i = 0; i < l->n_fact && i < LOOK_FACTS; i++) {
		struct strv one = look_fact(a, l->fact[i], source);

		all = all.n == 0 ?
		    one :
		    arena_printf(a, "%.*s, %.*s", (int)all.n, all.p, (int)one.n, one.p);
	}
	return l->n_fact > LOOK_FACTS ? arena_concat(a, all, SV(", ...")) : all;
}
