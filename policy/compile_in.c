/*
 * compile_in -- what stands behind `in': a list by its name, a set in braces, the values of a map.
 *
 * The fact's type says which of them can hold it. Sets are the policy's: a list is read once, whoever names it.
 */
#include "policy/compile_own.h"

/* In a local part or a name a stranger can write any address: no list of addresses has it. */
static unsigned
lists_for(const struct fact_def *def)
{
	switch (def->type) {
	case FACT_ADDR:
	case FACT_ADDRS:
		return WANT(NETWORKS);
	case FACT_TEXT:
		return WANT(DOMAINS) | (def->address ? WANT(ADDRESSES) : 0);
	case FACT_PATH:
	case FACT_TEXTS:
		return WANT(DOMAINS) | WANT(ADDRESSES);
	default:
		return 0;
	}
}

static bool
in_list(struct compiling *s, const struct lit *name)
{
	struct loader *l = s->l;
	unsigned       want = lists_for(s->def);
	struct match  *m;
	struct list   *list;

	if (names_has_memory(l, name->text)) {
		not_in_build(l, name->pos, SV("memory"));
		return false;
	}
	if (want == 0)
		return compile_wrong_type(
		    s, name->pos, "no list holds such; name the values in { }");
	list = lists_find(l, name, want, diag_quote(l->a, s->x->fact.name.text));
	if (list == NULL)
		return false;
	m = compile_match(s, list->nets != NULL ? MATCH_NETS : MATCH_NAMES);
	m->nets = list->nets;
	if (list->conf->kind == LIST_DOMAINS)
		m->domains = list->names;
	else if (list->conf->kind == LIST_ADDRESSES)
		m->addresses = list->names;
	return true;
}

/*
 * ".example" is every sub-domain.  Where addresses are held against it, "@a.example" and
 * "a.example" are all of that domain; a word without a dot may be somebody's login.
 */
static bool
is_name(const struct compiling *s, struct strv item)
{
	return strv_starts(item, SV(".")) ||
	    (s->def->address && (strv_starts(item, SV("@")) || domain_valid(item, true, true)));
}

/* Items of a set for texts: what is no name is that text. */
static void
in_texts(struct compiling *s, const struct lits *set)
{
	for (unsigned i = 0; i < set->n; i++) {
		struct lits   one = { &set->v[i], 1, 1 };
		struct match *m;

		if (!is_name(s, one.v->text)) {
			compile_text(s, one.v);
			continue;
		}
		m = compile_match(s, MATCH_NAMES);
		lists_names(s->l, &one, &m->domains, &m->addresses);
	}
}

bool
compile_set(struct compiling *s, const struct lits *set)
{
	unsigned      errors = s->l->d->errors;
	struct match *m;

	switch (s->def->type) {
	case FACT_ADDR:
	case FACT_ADDRS:
		m = compile_match(s, MATCH_NETS);
		m->nets = lists_networks(s->l, set);
		break;
	case FACT_PATH:
		m = compile_match(s, MATCH_NAMES);
		lists_names(s->l, set, &m->domains, &m->addresses);
		break;
	case FACT_TEXT:
	case FACT_TEXTS:
		in_texts(s, set);
		break;
	default:
		return compile_values(s, set);
	}
	return s->l->d->errors == errors;
}

/* X in M(fact): the map's values must be what X may be held against. A text is held against texts. */
static bool
in_map(struct compiling *s, const struct fact_ref *call)
{
	unsigned        kinds = lists_for(s->def), want = 0;
	struct map_call out;

	if (kinds == 0)
		return compile_wrong_type(
		    s, call->name.pos, "no map holds such; name the values in { }");
	if (kinds == WANT(NETWORKS))
		want = MAP_NETS;
	else if (s->def->type == FACT_PATH)
		want = MAP_NAMES;
	if (!maps_call(s->l, call, want, s->at, &out))
		return false;
	compile_match(s, MATCH_MAP)->call = out;
	return true;
}

bool
compile_in(struct compiling *s, const struct list_ref *ref)
{
	if (ref->kind == REF_SET)
		return compile_set(s, &ref->set);
	if (ref->kind == REF_NAME)
		return in_list(s, &ref->name);
	return in_map(s, ref->call);
}
