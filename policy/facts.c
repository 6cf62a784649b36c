/*
 * facts -- the names of all facts of the language, whether this build has them or not.
 *
 * What a fact is worth stands in the table that policy_load is given; this one only tells a fact
 * of another build from a word that is no fact at all.
 */
#include "policy/hints.h"
#include "policy/listens.h"
#include "policy/load.h"
#include "proxy/base/arena.h"

static const char *const names[] = { "client", "client.ip", "client.port", "client.name",
	"client.rdns", "listener", "early-talker", "tls.version", "tls.cipher", "tls.sni",
	"tls.client-cert", "mx", "dnsbl", "dnswl", "rhsbl", "dnsbl.text", "score", "country", "asn",
	"helo", "auth.user", "auth.author", "auth.mechanism", "authenticated", "sender",
	"sender.local", "sender.domain", "size", "rcpt", "rcpt.local", "rcpt.domain", "rcpt.count",
	"message.size", "header", "from.address", "from.domain", "received", "spf", "spf.helo",
	"spf.domain", "spf.explanation", "dkim", "dkim.domains", "dkim.partial", "dmarc",
	"dmarc.policy", "dmarc.domain", "arc", "arc.sealer", "greylist", "clamd", "rspamd.score",
	"rspamd.action", "policyd", "milter", NULL };

/* Those that are written with ( ). */
static const char *const with_args[] = { "mx", "dnsbl", "dnswl", "rhsbl", "header", "policyd",
	"milter", NULL };

static bool
is_in(struct strv v, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strv_eq(v, strv_z(*words)))
			return true;
	}
	return false;
}

int
facts_number(const struct policy *p, const char *name)
{
	return fact_find(p->facts, p->n_facts, strv_z(name));
}

/* Facts that are arguments of facts are names, too. */
static bool
check_args(struct loader *l, const struct fact_ref *f, bool takes)
{
	unsigned number;
	bool     ok = true;

	if (f->call && !takes) {
		diag_add(l->d, DIAG_ERROR, f->name.pos, diag_did_you_mean(l->a, f->name.text),
		    "%s is written without ( )", diag_quote(l->a, f->name.text));
		return false;
	}
	for (unsigned i = 0; i < f->n_arg; i++) {
		/* A milter's or a server's name looks like a fact: milter(clamav). */
		if (f->arg[i].kind == ARG_FACT && !strv_eq(f->name.text, SV("milter")) &&
		    !strv_eq(f->name.text, SV("policyd")))
			ok = facts_find(l, &f->arg[i].fact, &number) != FACT_NONE && ok;
	}
	return ok;
}

/* Those that this build has, and with ( ) maps: who is told of another fact is not helped by it. */
static struct strv
nearest(struct loader *l, const struct fact_ref *f)
{
	const struct conf_tree *t = l->c->tree;
	const struct policy    *p = l->p;
	struct strv            *all, near;
	unsigned                n = 0;

	if (l->d->n >= DIAG_MAX)
		return strv(NULL, 0);
	all = arena_array(l->a, p->n_facts + t->n + 1, sizeof(*all));
	for (unsigned i = 0; i < p->n_facts; i++) {
		if (!p->facts[i].inner)
			all[n++] = strv_z(p->facts[i].name);
	}
	if (facts_number(p, "dnsbl") >= 0)
		all[n++] = SV("score");
	near = diag_nearest_v(f->name.text, all, n);
	for (unsigned i = n = 0; near.p == NULL && f->call && i < t->n; i++) {
		if (t->block[i].kind == BLOCK_LIST && t->block[i].u.list->kind == LIST_MAP &&
		    t->block[i].u.list->name.text.p != NULL)
			all[n++] = t->block[i].u.list->name.text;
	}
	return near.p != NULL ? near : diag_nearest_v(f->name.text, all, n);
}

static void
no_such_fact(struct loader *l, const struct fact_ref *f)
{
	struct strv near;

	if (names_map(l, f->name.text) != NULL) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    arena_printf(l->a, "what a map has is written %.*s(FACT)", (int)f->name.text.n,
			f->name.text.p),
		    "%s is a map", diag_quote(l->a, f->name.text));
		return;
	}
	if (milters_number(l->p, f->name.text) >= 0) {
		diag_add(l->d, DIAG_ERROR, f->name.pos,
		    arena_printf(l->a, "what it says is written milter(%.*s)", (int)f->name.text.n,
			f->name.text.p),
		    "%s is a milter or plugin", diag_quote(l->a, f->name.text));
		return;
	}
	near = nearest(l, f);
	diag_add(l->d, DIAG_ERROR, f->name.pos,
	    near.p == NULL ? hint_due("a fact") : diag_did_you_mean(l->a, near),
	    "there is no fact %s", diag_quote(l->a, f->name.text));
}

enum fact_known
facts_name(struct loader *l, const struct fact_ref *f, unsigned *number)
{
	struct strv     name = f->name.text;
	int             n = fact_find(l->p->facts, l->p->n_facts, name);
	bool            takes = is_in(name, with_args);
	struct map_call call;

	if (n < 0 && strv_eq(name, SV("client")))
		n = facts_number(l->p, "client.ip");
	if (n >= 0 && !l->p->facts[n].inner) {
		*number = (unsigned)n;
		takes = l->p->facts[n].args != NULL;
		return takes || check_args(l, f, false) ? FACT_HERE : FACT_NONE;
	}
	/* A key of a rate: none of them is in this build. */
	if (f->call && names_map(l, name) != NULL) {
		not_in_build(l, f->name.pos, SV("map"));
		return maps_call(l, f, 0, STAGE_MAX, &call) ? FACT_OTHER_BUILD : FACT_NONE;
	}
	if (!is_in(name, names) && !strv_starts(name, SV("tag."))) {
		no_such_fact(l, f);
		return FACT_NONE;
	}
	not_in_build(l, f->name.pos, name);
	return check_args(l, f, takes) ? FACT_OTHER_BUILD : FACT_NONE;
}

enum fact_known
facts_find(struct loader *l, const struct fact_ref *f, unsigned *number)
{
	enum fact_known known = facts_name(l, f, number);

	if (known != FACT_HERE || l->p->facts[*number].args == NULL)
		return known;
	diag_add(l->d, DIAG_ERROR, f->name.pos,
	    SV("such as client.ip, helo, sender.domain or rcpt"),
	    "%s cannot stand here: a fact without ( ) is due", diag_quote(l->a, f->name.text));
	return FACT_NONE;
}

/*
 * Of TLS that began with the connection all is known at connect; *hint: why it is not, where that is the listeners'
 * doing.
 */
static bool
knows_tls(struct loader *l, unsigned number, struct strv *hint)
{
	const struct conf_plain *x;

	if (l->when == NULL || !strv_starts(strv_z(l->p->facts[number].name), SV("tls.")))
		return false;
	if (listens_tls_first(l->c, l->when, &x))
		return true;
	if (x == NULL)
		*hint = SV("write `at mail', or listen with `tls', then TLS begins first");
	else
		*hint = arena_printf(l->a,
		    "write `at mail': the listener %s has no `tls', so there it may still begin",
		    diag_quote(l->a, listens_name(x)));
	return false;
}

bool
facts_at(struct loader *l, const struct fact_ref *f, unsigned number, enum stage at)
{
	enum stage  first = l->p->facts[number].first;
	struct strv hint = { NULL, 0 };

	if (at == STAGE_MAX || first <= at || knows_tls(l, number, &hint))
		return true;
	/* What decides at one stage for ever, such as the relay gate, takes no `at`. */
	if (!l->tags)
		hint = SV(
		    "what is settled at a stage asks what is known by then; a check can wait");
	else if (hint.p == NULL)
		hint = arena_printf(l->a, "write `at %s'", stage_word(first));
	diag_add(l->d, DIAG_ERROR, f->name.pos, hint, "%s is known at %s, which comes behind %s",
	    diag_quote(l->a, f->name.text), stage_word(first), stage_word(at));
	return false;
}

bool
facts_has(const struct loader *l, struct strv name)
{
	return is_in(name, names) || fact_find(l->p->facts, l->p->n_facts, name) >= 0;
}
