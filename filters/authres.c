/*
 * authres -- adds our Authentication-Results: one field, above all others.  RFC 8601 4.
 *
 * It looks at nothing itself: each method's filter has its results ready as texts.  The invariant: a
 * message bears results for every method that `authenticate' names, whatever fails.
 */
#include "filters/authres.h"

#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/mail/authres.h"

enum { METHODS = 4, RESULTS_MAX = 64 };

/* In the order of the field. */
static const struct method {
	unsigned    bit;
	const char *name, *fact;
} methods[METHODS] = {
	{ AUTH_SPF, "spf", "spf.result" },
	{ AUTH_DKIM, "dkim", "dkim.result" },
	{ AUTH_DMARC, "dmarc", "dmarc.result" },
	{ AUTH_ARC, "arc", "arc.result" },
};

/* Looked up once: a registry has the same numbers for as long as it lives. */
static unsigned
number_of(unsigned i)
{
	static unsigned numbers[METHODS]; /* from 1 */

	if (numbers[i] == 0)
		numbers[i] = registry_number(methods[i].fact) + 1;
	return numbers[i] - 1;
}

struct results {
	struct strv v[RESULTS_MAX];
	unsigned    n;
};

static void
take(struct results *r, struct arena *a, const struct method *m, const struct fact *f)
{
	bool known = f->state == FACT_KNOWN;

	for (unsigned i = 0; known && i < f->v.texts.n && r->n < RESULTS_MAX; i++)
		r->v[r->n++] = f->v.texts.v[i];
	if ((!known || f->v.texts.n == 0) && r->n < RESULTS_MAX)
		r->v[r->n++] = arena_printf(a, known ? "%s=none" : "%s=temperror", m->name);
}

enum filter_rc
authres_collect(struct facts *facts, unsigned which, const struct strv **resinfo, unsigned *n)
{
	struct results        *r = arena_alloc(facts->a, sizeof *r);
	unsigned               n_defs;
	const struct fact_def *defs = registry_facts(&n_defs);
	struct fact           *f;

	for (unsigned i = 0; i < METHODS; i++) {
		if (!(which & methods[i].bit))
			continue;
		if (fact_get(facts, defs, number_of(i), 0, (struct strv){ NULL, 0 }, &f) ==
		    WAIT_CANCELLED)
			return FILTER_CANCELLED;
		take(r, facts->a, &methods[i], f);
	}
	*resinfo = r->v;
	*n = r->n;
	return FILTER_OK;
}

/* ---- the filter ---- */

static void *
authres_make(struct arena *conf, const struct filter_use *use)
{
	const struct auth_conf **shared;

	if (use->auth->methods == 0)
		return NULL;
	shared = arena_alloc(conf, sizeof *shared);
	*shared = use->auth;
	return shared;
}

static void *
authres_open(struct arena *session, void *shared, const struct client *client)
{
	(void)session, (void)client;
	return shared;
}

/* The message goes on without the field. */
static void
tell_of_refusal(struct arena *a, const struct mail *m, const char *why)
{
	struct log_line *l;

	if (fiber_self() == NULL)
		return;
	l = arena_alloc(a, sizeof(*l));
	log_begin(l, loop_world(fiber_loop()), strv_z(m->id), "authres-error");
	log_z(l, "reason", why);
	log_end(l);
}

MAY_YIELD static enum filter_rc
authres_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *found)
{
	const struct auth_conf *auth = *(const struct auth_conf **)self;
	struct arena           *a = found->facts->a;
	struct edit             e = {
			    .op = EDIT_INSERT_HEADER, .name = SV("Authentication-Results"), .by = SV("authres")
	};
	const struct strv *resinfo;
	unsigned           n;
	const char        *why;

	(void)at, (void)v;
	if (authres_collect(found->facts, auth->methods, &resinfo, &n) != FILTER_OK)
		return FILTER_CANCELLED;
	e.value = authres_field(a, authres_id(a, auth->id), resinfo, n);
	if (edits_add(a, found->edits, &e, &why))
		return FILTER_OK;
	tell_of_refusal(a, m, why);
	return FILTER_BUG;
}

const struct filter authres_filter = {
	.name = "authres",
	.does = DOES_SEAL,
	.stages = AT(SEAL),
	.make = authres_make,
	.open = authres_open,
	.at = authres_at,
};
