/*
 * dkim_facts -- the facts of the DKIM filter, and what they say of signatures that are judged.
 *
 * A signature by a key under test counts for nothing here: dkim.c has made it neutral, and the best result passes
 * over it.  The facts that other filters know by name stand in every build, and are unknown in one without libopendkim.
 */
#include "config.h"
#include "filters/dkim_own.h"

#include "proxy/base/arena.h"

enum { DKIM_FACT, DKIM_DOMAINS, DKIM_PARTIAL, DKIM_SIGNATURES, DKIM_RESULT };

#if HAVE_OPENDKIM
#define ABSENT false
#else
#define ABSENT true
#endif

/* clang-format off */
#if HAVE_OPENDKIM
static const char *const results[] = { "none", "pass", "fail", "policy", "neutral", "temperror", "permerror", NULL };
#endif
const struct fact_def dkim_facts[] = {
#if HAVE_OPENDKIM
	{ .own = DKIM_FACT, .name = "dkim", .type = FACT_WORD, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .words = results,
	    .about = "the best result of its signatures; none: there is none" },
	{ .own = DKIM_PARTIAL, .name = "dkim.partial", .type = FACT_BOOL, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "a signature that passes covers but a part of the body (l=)" },
#endif
	{ .own = DKIM_SIGNATURES, .name = "dkim.signatures", .type = FACT_TEXTS, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .inner = ABSENT,
	    .about = "each as RESULT DOMAIN SELECTOR ALGORITHM, and the reason where it does not pass" },
	{ .own = DKIM_DOMAINS, .name = "dkim.domains", .type = FACT_TEXTS, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .inner = ABSENT,
	    .about = "domains (d=) whose signatures pass, in order, each once" },
	{ .own = DKIM_RESULT, .name = "dkim.result", .inner = true, .type = FACT_TEXTS, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "each as resinfo of Authentication-Results" },
	{ 0 }
};
/* clang-format on */

#if HAVE_OPENDKIM

/* Pass, if one does; temperror, if that may be mended; else what the first is. */
static unsigned
best(const struct dkim_sig *v, unsigned n)
{
	const struct dkim_sig *first = NULL;
	bool                   temp = false;

	for (unsigned i = 0; i < n; i++) {
		const struct dkim_sig *s = &v[i];

		if (s->testing)
			continue;
		if (s->result == DKIM_PASS)
			return DKIM_PASS;
		temp = temp || s->result == DKIM_TEMPERROR;
		first = first != NULL ? first : s;
	}
	return temp ? DKIM_TEMPERROR : first != NULL ? first->result : DKIM_NONE;
}

static bool
is_partial(const struct dkim_sig *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i].partial)
			return true;
	return false;
}

static bool
has_text(const struct strv *v, unsigned n, struct strv text)
{
	for (unsigned i = 0; i < n; i++)
		if (strv_eq(v[i], text))
			return true;
	return false;
}

static void
fill_texts(struct fact *f, const struct dkim_sig *sig, unsigned n_sig)
{
	struct strv *v = arena_array(f->a, n_sig + 1, sizeof(*v));
	unsigned     n = 0;

	for (unsigned i = 0; i < n_sig; i++) {
		const struct dkim_sig *s = &sig[i];

		if (f->def->own == DKIM_SIGNATURES)
			v[n++] = dkim_sig_text(f->a, s);
		else if (f->def->own == DKIM_RESULT)
			v[n++] = dkim_sig_resinfo(f->a, s);
		else if (s->result == DKIM_PASS && !has_text(v, n, s->domain))
			v[n++] = s->domain;
	}
	if (f->def->own == DKIM_RESULT && n == 0)
		v[n++] = SV("dkim=none");
	f->v.texts.v = v;
	f->v.texts.n = n;
}

void
dkim_facts_fill(struct fact *f, const struct dkim_sig *v, unsigned n)
{
	if (f->def->own == DKIM_FACT)
		f->v.word = best(v, n);
	else if (f->def->own == DKIM_PARTIAL)
		f->v.yes = is_partial(v, n);
	else
		fill_texts(f, v, n);
	f->state = FACT_KNOWN;
}

#endif
