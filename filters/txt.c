/*
 * txt -- TXT records of a name, once a transaction, for filters that read them: keys, policies.
 *
 * What stands in a record is a stranger's: any octets, NULs among them.  Who reads it parses it.
 */
#include "filters/filters.h"
#include "filters/lookup.h"
#include "proxy/base/arena.h"

enum { TXT };

#define TXT_RECORDS_MAX 32    /* more of one name are not looked at */
#define TXT_OCTETS_MAX  65536 /* of one record; what is longer cannot come from the DNS */

/* clang-format off */
static const struct fact_def facts[] = {
	{ .own = TXT, .name = "txt", .inner = true, .type = FACT_TEXTS, .first = STAGE_MAIL, .cost = COST_DNS, .args = "s",
	    .about = "TXT records of a name, each with its strings joined; absent: there is none" },
	{ 0 }
};
/* clang-format on */

static void
keep(struct fact *f, const struct dns_answer *answer)
{
	struct strv *v = arena_array(f->a, TXT_RECORDS_MAX, sizeof(*v));
	unsigned     n = 0;

	for (unsigned i = 0; i < answer->n && n < TXT_RECORDS_MAX; i++)
		if (answer->v[i].text.n <= TXT_OCTETS_MAX)
			v[n++] = arena_dup(f->a, answer->v[i].text);
	f->v.texts.v = v;
	f->v.texts.n = n;
}

MAY_YIELD static enum filter_rc
txt_ask(void *self, struct fact *f, const struct mail *m)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer answer = { 0 };
	enum dns_rc       rc = dns_ask(a, f->arg, DNS_TXT, 0, &answer);

	(void)self, (void)m;
	lookup_told(f, DNS_TXT, f->arg, rc, &answer);
	f->v.texts.v = NULL;
	f->v.texts.n = 0;
	if (rc == DNS_OK)
		keep(f, &answer);
	if (lookup_rc(rc) == FILTER_OK)
		f->state = FACT_KNOWN;
	arena_free(a);
	return lookup_rc(rc);
}

const struct filter txt_filter = {
	.name = "txt",
	.facts = facts,
	.ask = txt_ask,
};
