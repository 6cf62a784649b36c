/*
 * facts -- the names of all facts of the language, whether this build has them or not.
 *
 * What a fact is worth stands in the table that policy_load is given; this one only tells a fact
 * of another build from a word that is no fact at all.
 */
#include "policy/load.h"
#include "policy/words.h"
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
		diag_add(l->d, DIAG_ERROR, f->name.pos, strv(NULL, 0), "%s is written without ( )",
		    diag_quote(l->a, f->name.text));
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

static void
no_such_fact(struct loader *l, const struct fact_ref *f)
{
	const char *near = diag_nearest(f->name.text, names);

	did_you_mean(
	    l, f->name.pos, strv_z(near), "there is no fact %s", diag_quote(l->a, f->name.text));
}

enum fact_known
facts_find(struct loader *l, const struct fact_ref *f, unsigned *number)
{
	struct strv name = f->name.text;
	int         n = fact_find(l->p->facts, l->p->n_facts, name);
	bool        takes = is_in(name, with_args);

	if (n < 0 && strv_eq(name, SV("client")))
		n = facts_number(l->p, "client.ip");
	if (n >= 0) {
		*number = (unsigned)n;
		return check_args(l, f, takes) ? FACT_HERE : FACT_NONE;
	}
	if (f->call && names_map(l, name) != NULL) {
		not_in_build(l, f->name.pos, SV("map"));
		return check_args(l, f, true) ? FACT_OTHER_BUILD : FACT_NONE;
	}
	if (!is_in(name, names) && !strv_starts(name, SV("tag."))) {
		no_such_fact(l, f);
		return FACT_NONE;
	}
	not_in_build(l, f->name.pos, name);
	return check_args(l, f, takes) ? FACT_OTHER_BUILD : FACT_NONE;
}

void
facts_map(struct loader *l, const struct fact_ref *call)
{
	const struct conf_tree *t = l->c->tree;
	struct strv            *maps = arena_array(l->a, t->n, sizeof(*maps));
	unsigned                n = 0;

	if (names_map(l, call->name.text) != NULL) {
		not_in_build(l, call->name.pos, SV("map"));
		check_args(l, call, true);
		return;
	}
	for (unsigned i = 0; i < t->n; i++) {
		if (t->block[i].kind == BLOCK_LIST && t->block[i].u.list->kind == LIST_MAP)
			maps[n++] = t->block[i].u.list->name.text;
	}
	did_you_mean(l, call->name.pos, diag_nearest_v(call->name.text, maps, n),
	    "no map is called %s", diag_quote(l->a, call->name.text));
}
