/*
 * spf_guard -- see spf_guard.h
 *
 * Of the library nothing is called here.
 */
#include "filters/spf_guard.h"

#include "filters/spf_macro.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

enum {
	RECORD_MAX = 2000, /* octets of a record; longer ones the library is not shown */
	QUESTIONS_MAX = 1 + SPF_TERMS * (1 + SPF_NAMES) + 1 + SPF_NAMES,
	TYPE_SPF = 99
};

void
spf_guard_begin(struct spf_guard *g)
{
	uint64_t deadline = fiber_self()->deadline;

	*g = (struct spf_guard){ .a = arena_new(4096, 0), .names = arena_new(1024, 0) };
	g->until = loop_now(fiber_loop()) + SPF_TIME;
	if (deadline != 0 && deadline < g->until)
		g->until = deadline;
}

void
spf_guard_end(struct spf_guard *g)
{
	arena_free(g->names);
	arena_free(g->a);
}

/* From here on no question of this check is asked. */
static void
settle(struct spf_guard *g, enum spf_says says, const char *why)
{
	if (g->settled)
		return;
	g->settled = true;
	g->says = says;
	g->why = why;
}

static bool
is_over(const struct spf_guard *g)
{
	return g->settled || g->cancelled || g->declined;
}

/* ---- may it ask? ---- */

/* Is it the address of an MX, or of a name of the client?  Such a question belongs to a term that was counted. */
static bool
is_part(const struct spf_guard *g, struct strv name, uint16_t type)
{
	for (unsigned i = 0; (type == DNS_A || type == DNS_AAAA) && i < g->n_names; i++)
		if (strv_ieq(g->name[i], name))
			return true;
	return false;
}

/* The first TXT is the domain's own. */
static bool
is_term(const struct spf_guard *g, struct strv name, uint16_t type)
{
	return type == DNS_TXT ? g->records > 0 : !is_part(g, name, type);
}

static bool
may_ask(struct spf_guard *g, bool term)
{
	if (is_over(g))
		return false;
	if (loop_now(fiber_loop()) >= g->until)
		settle(g, SPF_SAYS_TEMPERROR, "time is over");
	else if (term && g->terms++ == SPF_TERMS)
		settle(g, SPF_SAYS_PERMERROR, "more than 10 terms that look up");
	else if (g->questions++ == QUESTIONS_MAX)
		settle(g, SPF_SAYS_PERMERROR, "more questions than 10 terms can have");
	return !g->settled;
}

static void
count_void(struct spf_guard *g, enum dns_rc rc)
{
	if ((rc == DNS_NXDOMAIN || rc == DNS_NODATA) && g->voids++ == SPF_VOIDS)
		settle(g, SPF_SAYS_PERMERROR, "more than 2 look-ups that find nothing");
}

MAY_YIELD static enum dns_rc
ask(struct spf_guard *g, struct arena *a, struct strv name, uint16_t type, struct dns_answer *out)
{
	uint64_t left = g->until - loop_now(fiber_loop());

	return dns_ask(
	    a, spf_name_escape(a, name), type, left < DNS_TIME ? (unsigned)left : 0, out);
}

/* ---- what of an answer is shown ---- */

/* A record that our parser takes, its mechanisms and redirect printed anew. Absent: it ends the check. */
static struct strv
print_record(struct spf_guard *g, struct strv text)
{
	struct spf_record record;
	struct spf_term   t;
	struct strv       at, out = SV("v=spf1");
	const char       *why;

	if (!spf_record_parse(text, &record, &why, &at)) {
		settle(g, SPF_SAYS_PERMERROR, why);
		return strv(NULL, 0);
	}
	if (text.n > RECORD_MAX) {
		g->declined = true;
		return strv(NULL, 0);
	}
	while (spf_term_next(&record.terms, &t)) {
		if (t.kind == SPF_TERM_EXP || t.kind == SPF_TERM_OTHER)
			continue;
		out = arena_concat(g->a, arena_concat(g->a, out, SV(" ")), t.text);
	}
	return out;
}

static void
keep_spf_records(struct spf_guard *g, struct dns_answer *txt)
{
	unsigned n = 0;

	for (unsigned i = 0; i < txt->n && !is_over(g); i++) {
		struct strv text;

		if (!spf_is_record(txt->v[i].text))
			continue;
		text = print_record(g, txt->v[i].text);
		if (text.p == NULL)
			break;
		txt->v[n++].text = text;
		g->shown++;
	}
	txt->n = n;
}

static void
keep_names(struct spf_guard *g, const struct dns_answer *found)
{
	arena_reset(g->names);
	g->n_names = 0;
	for (unsigned i = 0; i < found->n && i < SPF_NAMES; i++)
		g->name[g->n_names++] = arena_dup(g->names, found->v[i].text);
}

static void
narrow(struct spf_guard *g, uint16_t type, struct dns_answer *found)
{
	if (type == DNS_MX || type == DNS_PTR)
		keep_names(g, found);
	if (type == DNS_MX && found->n > SPF_NAMES)
		settle(g, SPF_SAYS_PERMERROR, "more than 10 names of an mx");
	if ((type == DNS_MX || type == DNS_PTR) && found->n > SPF_NAMES)
		found->n = SPF_NAMES;
	if (type == DNS_TXT)
		keep_spf_records(g, found);
}

enum dns_rc
spf_guard_ask(
    struct spf_guard *g, struct arena *a, struct strv name, uint16_t type, struct dns_answer *out)
{
	enum dns_rc rc;
	bool        term;

	out->n = 0;
	/* RFC 7208 3.1: there is no such type any more. */
	if (type == TYPE_SPF)
		return is_over(g) ? DNS_NXDOMAIN : DNS_NODATA;
	term = is_term(g, name, type);
	if (!may_ask(g, term))
		return DNS_NXDOMAIN;
	g->records += type == DNS_TXT;
	rc = ask(g, a, name, type, out);
	if (rc == DNS_CANCELLED)
		g->cancelled = true;
	if (term && type != DNS_TXT)
		count_void(g, rc);
	if (rc == DNS_OK)
		narrow(g, type, out);
	return rc;
}
