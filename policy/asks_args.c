/*
 * asks_args -- what stands in the ( ) of a fact, and in front of `resolves': the zone of a list, the name of a field,
 * a fact that is the name of a host or domain, a weight.
 *
 * Apart from asks.c because that asks which question it is, and this reads its parts.  Strings are held in one form
 * (zones in lower case), so that the same question is the same fact.
 */
#include "policy/asks_own.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define ZONE_OCTETS   180 /* with 32 nibbles of an IPv6 address in front (64) it is a name still */
#define HEADER_OCTETS 76  /* of a field's name */
#define WEIGHT_MOST   1000000

/* ---- names of domains and of hosts ---- */

static const char *const hosts[] = { "helo", "client.name", "client.rdns", "tls.sni", NULL };

static bool
is_host(const struct fact_def *def)
{
	for (unsigned i = 0; hosts[i] != NULL; i++) {
		if (strcmp(def->name, hosts[i]) == 0)
			return true;
	}
	return false;
}

static bool
is_domain(const struct fact_def *def)
{
	struct strv name = strv_z(def->name), end = SV(".domain");

	if (def->type == FACT_PATH)
		return true;
	return def->type == FACT_TEXT && name.n > end.n &&
	    strv_eq(strv_from(name, name.n - end.n), end);
}

static struct strv
hint_domain(struct loader *l, const struct fact_def *def)
{
	struct strv name = strv_z(def->name), end = SV(".local");

	if (strv_eq(name, SV("from.address")))
		return SV("did you mean `from.domain'?");
	if (name.n > end.n && strv_eq(strv_from(name, name.n - end.n), end))
		return arena_printf(
		    l->a, "did you mean `%.*s.domain'?", (int)(name.n - end.n), name.p);
	return SV("such as sender.domain, rcpt.domain, from.domain, helo or client.name");
}

/* X resolves, mx(X), rhsbl("zone", X): X is the name of a host or domain. */
static bool
names_domain(struct loader *l, const struct fact_ref *f, const struct fact_def *def)
{
	if (is_host(def) || is_domain(def))
		return true;
	diag_add(l->d, DIAG_ERROR, f->name.pos, hint_domain(l, def), "%s is no name of a domain",
	    diag_quote(l->a, f->name.text));
	return false;
}

/* Where sender.domain is absent, the sender is <>. */
static bool
is_sender(const struct fact_def *def)
{
	return strcmp(def->name, "sender") == 0 || strcmp(def->name, "sender.domain") == 0;
}

/* ---- arguments ---- */

static const struct {
	const char *name, *form;
} forms[] = {
	{ "mx", "such as: mx(sender.domain)" },
	{ "dnsbl",
	    "such as: dnsbl(\"zen.example.org\"), or with a weight dnsbl(\"zen.example.org\", 3)" },
	{ "dnswl",
	    "such as: dnswl(\"list.example.org\"), or with a weight dnswl(\"list.example.org\", -3)" },
	{ "rhsbl", "such as: rhsbl(\"dbl.example.org\", sender.domain)" },
	{ "header", "such as: header(\"Subject\")" },
};

static struct strv
form_of(const struct fact_def *def)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (strcmp(forms[i].name, def->name) == 0)
			return strv_z(forms[i].form);
	}
	return strv(NULL, 0);
}

/* The zone of a list: its names are looked up below it. */
static bool
take_zone(struct loader *l, const struct lit *x, struct strv *out)
{
	struct strv v = x->text;
	bool        dot = v.n > 1 && v.p[v.n - 1] == '.';

	if (v.n <= ZONE_OCTETS && domain_valid(v, false, false)) {
		*out = arena_lower(l->a, v);
		return true;
	}
	diag_add(l->d, DIAG_ERROR, x->pos,
	    dot ? diag_did_you_mean(l->a, strv_first(v, v.n - 1)) :
		  SV("a zone is the name of a domain, such as \"zen.example.org\""),
	    v.n > ZONE_OCTETS ? "the zone %s has more than 180 octets" : "%s is no zone",
	    diag_quote(l->a, v));
	return false;
}

const char asks_header_form[] =
    "such as \"Subject\": up to 76 octets of ASCII, no blank and no `:'";

bool
asks_header_name(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < 33 || v.p[i] > 126 || v.p[i] == ':')
			return false;
	}
	return v.n > 0 && v.n <= HEADER_OCTETS;
}

/* RFC 5322 3.6.8: the names of fields. */
static bool
take_header(struct loader *l, const struct lit *x, struct strv *out)
{
	struct strv v = x->text;
	bool        colon = v.n > 1 && v.p[v.n - 1] == ':';

	if (asks_header_name(v)) {
		*out = v;
		return true;
	}
	diag_add(l->d, DIAG_ERROR, x->pos,
	    colon ? diag_did_you_mean(l->a, strv_first(v, v.n - 1)) : strv_z(asks_header_form),
	    "%s is no name of a header field", diag_quote(l->a, v));
	return false;
}

static bool
take_fact(struct loader *l, const struct fact_ref *f, enum stage at, struct asked *out)
{
	unsigned number;

	if (f->call && names_map(l, f->name.text) != NULL) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    SV("such as sender.domain, rcpt.domain, from.domain, helo or client.name"),
		    "%s cannot stand here: a fact without ( ) is due",
		    diag_quote(l->a, f->name.text));
		return false;
	}
	if (facts_find(l, f, &number) != FACT_HERE || !facts_at(l, f, number, at) ||
	    !names_domain(l, f, &l->p->facts[number]))
		return false;
	out->of = (int)number;
	return true;
}

static bool
take_weight(struct loader *l, const struct lit *x, struct asks_weight *w)
{
	w->given = word_number(x->text, &w->n);
	if (w->given && w->n != 0 && w->n <= WEIGHT_MOST && w->n >= -WEIGHT_MOST)
		return true;
	diag_add(l->d, DIAG_ERROR, x->pos, SV("such as 3, 0.5 or -2"), "%s is no weight",
	    diag_quote(l->a, x->text));
	return false;
}

static bool
take_arg(struct loader *l, const struct arg *x, char what, const struct fact_def *def,
    enum stage at, struct asked *out, struct asks_weight *w)
{
	switch (what) {
	case 's':
		return def->type == FACT_ADDRS ? take_zone(l, &x->lit, &out->text) :
						 take_header(l, &x->lit, &out->text);
	case 'f':
		return take_fact(l, &x->fact, at, out);
	default:
		return take_weight(l, &x->lit, w);
	}
}

static struct pos
pos_of(const struct arg *x)
{
	return x->kind == ARG_FACT ? x->fact.name.pos : x->lit.pos;
}

static bool
wrong_args(struct loader *l, struct pos at, const struct fact_def *def, const char *what)
{
	diag_add(
	    l->d, DIAG_ERROR, at, form_of(def), "%s %s", diag_quote(l->a, strv_z(def->name)), what);
	return false;
}

bool
asks_args(struct loader *l, const struct fact_ref *f, const struct fact_def *def, enum stage at,
    struct asked *out, struct asks_weight *w)
{
	static const char *const due[] = { "takes a string here", "takes a fact here",
		"takes a number here" };
	unsigned                 i = 0;
	bool                     ok = true;

	if (!f->call)
		return wrong_args(l, f->name.pos, def, "is written with ( )");
	for (; i < f->n_arg && def->args[i] != '\0'; i++) {
		enum arg_kind kind = def->args[i] == 's' ? ARG_STRING :
		    def->args[i] == 'f'                  ? ARG_FACT :
							   ARG_NUMBER;

		if (f->arg[i].kind != kind)
			return wrong_args(l, pos_of(&f->arg[i]), def,
			    due[kind == ARG_STRING   ? 0 :
				    kind == ARG_FACT ? 1 :
						       2]);
		ok = take_arg(l, &f->arg[i], def->args[i], def, at, out, w) && ok;
	}
	if (i < f->n_arg)
		return wrong_args(l, pos_of(&f->arg[i]), def, "takes no more than that");
	if (def->args[i] != '\0' && def->args[i] != 'n')
		return wrong_args(l, f->name.pos, def, "needs more in its ( )");
	return ok;
}

/* ---- <>, and `resolves' ---- */

bool
asks_null_is_yes(const struct loader *l, const struct asked *ask)
{
	const struct fact_def *def = &l->p->facts[ask->fact];

	return ask->subject == SUBJECT_FACT && ask->of >= 0 && def->type == FACT_BOOL &&
	    is_sender(&l->p->facts[ask->of]);
}

bool
asks_resolves(
    struct loader *l, const struct fact_ref *f, enum stage at, struct pos op, struct asked *out)
{
	const struct fact_def *def;
	struct asked           x = { .of = -1 };
	int                    number;

	if (!take_fact(l, f, at, &x))
		return false;
	def = &l->p->facts[x.of];
	number = facts_number(l->p, is_host(def) ? "resolves.host" : "resolves");
	if (number < 0) {
		not_in_build(l, op, SV("resolves"));
		return false;
	}
	*out = (struct asked){ .fact = (unsigned)number, .of = x.of };
	return true;
}
