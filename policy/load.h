/*
 * load -- what the files of policy_load share while a configuration becomes rules.
 *
 * Functions that give NULL or false have reported, or know that somebody else did.
 */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include "policy/rules.h"

struct named;

struct loader {
	struct arena      *a;
	struct world      *w;
	struct diags      *d;
	const struct conf *c;
	struct policy     *p;
	const struct policy_names *names;
	/*
	 * Inside a block that is itself not in this build: names are held against what there is, but
	 * "not in this build" is not said again of its parts.
	 */
	bool               quiet;
	struct named      *rules;       /* names.c's: checks, rates, milters and plugins */
	unsigned           n_rules;
};

/* ---- names.c ---- */

/* Duplicate names of lists, maps and memories, and of checks, rates, milters and plugins. */
void names_check(struct loader *l);
bool names_has_memory(const struct loader *l, struct strv name);
const struct conf_list *names_map(const struct loader *l, struct strv name);
/* What `by` or `skip` means: a check, rate, milter or plugin; NULL: reported. `by` may be relay, limits, upstream. */
const struct block *names_rule(struct loader *l, const struct lit *name, bool by);
/* "`what' is not in this build", unless something was said of this place already. */
void not_in_build(struct loader *l, struct pos at, struct strv what);
void did_you_mean(struct loader *l, struct pos at, struct strv near, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- facts.c ---- */

enum fact_known { FACT_HERE, FACT_OTHER_BUILD, FACT_NONE };

/* What is known of the fact's name; reports all but HERE (OTHER_BUILD not where quiet). *number on HERE. */
enum fact_known facts_find(struct loader *l, const struct fact_ref *f, unsigned *number);
/* Is the fact known at that stage (STAGE_MAX: at any)? Reports where it is not. */
bool facts_at(struct loader *l, const struct fact_ref *f, unsigned number, enum stage at);
/* Is that the name of a fact, of this build or another? */
bool facts_has(const struct loader *l, struct strv name);
/* The number of a fact of this build by a name that policy knows, or -1. */
int facts_number(const struct policy *p, const char *name);

/* ---- lists.c ---- */

#define WANT(kind) (1u << LIST_##kind)

/* Reads all lists of the configuration. */
void lists_load(struct loader *l);
/* The list of that name if it is one of `want` (a set of WANT); `taker` says who wants it: "`from'". */
struct list *lists_find(struct loader *l, const struct lit *name, unsigned want, const char *taker);
/* Sets of the items of { }; each lives in the policy's sets. Mistakes are reported item by item. */
struct netset *lists_networks(struct loader *l, const struct lits *items);
/* Items with "@" and "<>" go to *addresses, others to *domains; NULL: there are none of that kind. */
void lists_names(struct loader *l, const struct lits *items, const struct nameset **domains,
    const struct nameset **addresses);
struct netset  *sets_net(struct sets *s);
struct nameset *sets_name(struct sets *s, const struct hash_key *key);
struct maptable *sets_map(struct sets *s, const struct hash_key *key);
void sets_free(struct sets *s);

/* ---- maps.c ---- */

/* The map of that name; its values must be what `want` (of enum map_want) says. NULL: reported. */
struct list *maps_find(struct loader *l, const struct lit *name, unsigned want);
/* M(fact), asked at that stage (STAGE_MAX: any). False: reported. */
bool maps_call(struct loader *l, const struct fact_ref *call, unsigned want, enum stage at, struct map_call *out);
/* Reads all maps: after everybody has said what their values must be. */
void maps_load(struct loader *l);

/* ---- finals.c ---- */

void finals_check(struct loader *l, const struct conf_final *f);
/* A text with placeholders: %{fact}, %%. `codes`: octets of a reply that stand in front of it. */
void finals_text(struct loader *l, const struct lit *text, size_t codes);

/* ---- compile.c ---- */

struct rule *compile_expr(struct loader *l, const struct expr *e, enum stage at);       /* NULL: reported */

/* ---- gate.c ---- */

void gate_load(struct loader *l);

/* ---- routes.c ---- */

/* One statement of each. */
void routes_map(struct loader *l, const struct conf_plain *x);
void routes_class(struct loader *l, const struct conf_plain *x);

#endif
