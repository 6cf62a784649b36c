/*
 * prove_value -- the value that a fact has in a made-up session: that of its variable, or what a sender who does
 * everything right has.
 *
 * An open variable is an unknown fact and never guessed: that is what makes a "no" hold for all of its values.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"

/* ---- values ---- */

union fact_value
act_absent(enum fact_type type)
{
	union fact_value v = { .number = 0 };

	memset(&v, 0, sizeof(v));
	if (type == FACT_NUMBER)
		v.number = FACT_NUMBER_ABSENT;
	else if (type == FACT_WORD)
		v.word = FACT_WORD_ABSENT;
	return v;
}

union fact_value
act_part(const union fact_value *v, enum var_part part)
{
	union fact_value x = *v;

	if (part == PART_WHOLE)
		return x;
	memset(&x, 0, sizeof(x));
	if (v->path == NULL || v->path->kind == PATH_NULL)
		return x;
	x.text = part == PART_LOCAL ? v->path->local : v->path->domain;
	return x;
}

const struct path *
act_mailbox(struct arena *a, struct strv local, struct strv domain)
{
	struct path *p = arena_alloc(a, sizeof(*p));

	p->kind = domain.p != NULL            ? PATH_MAILBOX :
	    strv_ieq(local, SV("postmaster")) ? PATH_POSTMASTER :
						PATH_LOCAL;
	p->local = local;
	p->domain = domain;
	p->text = domain.p == NULL ? local :
				     arena_concat(a, arena_concat(a, local, SV("@")), domain);
	if (domain.n > 2 && domain.p[0] == '[')
		(void)addr_parse_literal(strv(domain.p + 1, domain.n - 2), &p->literal);
	return p;
}

/* ---- a sender who does everything right ---- */

/* The fields that every message should have (RFC 5322 3.6) are there once. */
static void
clean_header(struct strv name, union fact_value *out)
{
	static const char *const names[] = { "From", "To", "Date", "Message-ID", "Subject" };
	static const struct strv value = { "test", 4 };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strv_ieq(name, strv_z(names[i])))
			continue;
		out->texts.v = &value;
		out->texts.n = 1;
	}
}

/* What a sender who does everything right looks like. */
static union fact_value
clean_value(const struct fact_def *def, struct strv arg)
{
	static const struct {
		const char *fact;
		int64_t     number;
	} numbers[] = { { "client.port", 40000 }, { "rcpt.count", 1 }, { "message.size", 2000 },
		{ "received", 1 }, { "size", 2000 }, { "score", 0 } };
	static const char *const good[] = { "resolves", "resolves.host", "mx" };
	union fact_value         v = act_absent(def->type);

	for (unsigned i = 0; def->type == FACT_BOOL && i < sizeof(good) / sizeof(good[0]); i++)
		v.yes = v.yes || strcmp(def->name, good[i]) == 0;
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (strcmp(def->name, numbers[i].fact) == 0)
			v.number = numbers[i].number;
	}
	if (strcmp(def->name, "from.domain") == 0)
		v.text = SV("client.example");
	else if (strcmp(def->name, "from.address") == 0)
		v.text = SV("mailer-daemon@client.example");
	else if (strcmp(def->name, "header") == 0)
		clean_header(arg, &v);
	if (def->type == FACT_WORD && def->words != NULL)
		v.word = 0; /* "none", or the first that there is */
	return v;
}

/* ---- of facts ---- */

/* The argument that struct fact has for what was asked; absent: it depends on what is open. */
static struct strv
argument(const struct act *t, const struct asked *ask, unsigned rcpt, bool *open)
{
	union fact_value       v;
	const struct fact_def *of;
	struct strv            value;

	*open = false;
	if (ask->of < 0)
		return ask->text;
	of = &t->p->facts[ask->of];
	if (!act_value(t, of, rcpt, strv(NULL, 0), &v)) {
		*open = true;
		return strv(NULL, 0);
	}
	value = of->type != FACT_PATH ? v.text : v.path != NULL ? v.path->domain : strv(NULL, 0);
	if (ask->text.p == NULL)
		return value;
	return arena_concat(t->scratch, arena_concat(t->scratch, ask->text, SV(" ")), value);
}

/* Which variable a fact with that argument is. */
static const struct var *
var_of(const struct act *t, enum var_kind kind, const struct fact_def *def, unsigned rcpt,
    struct strv arg)
{
	bool open;

	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind != kind || v->rcpt != rcpt)
			continue;
		if (kind != VAR_OTHER ||
		    (v->def == def && strv_eq(argument(t, &v->ask, rcpt, &open), arg) && !open))
			return v;
	}
	return NULL;
}

/* In the clear there is neither cipher nor server name. */
static bool
in_the_clear(const struct act *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind == VAR_TLS && v->now >= 0)
			return v->pick[v->now].v.text.p == NULL;
	}
	return false;
}

bool
act_value(const struct act *t, const struct fact_def *def, unsigned rcpt, struct strv arg,
    union fact_value *out)
{
	enum var_part     part;
	enum var_kind     kind = act_role(t, def, &part);
	const struct var *v;

	*out = act_absent(def->type);
	if (kind == VAR_FIXED)
		return true;
	if ((kind == VAR_CIPHER || kind == VAR_SNI) && in_the_clear(t))
		return true;
	v = var_of(t, kind, def, def->per_rcpt ? rcpt : 0, arg);
	if (v != NULL && v->now >= 0) {
		*out = act_part(&v->pick[v->now].v, part);
		return true;
	}
	/* Whatever is asked, the gate wants a recipient. */
	if (v == NULL && kind == VAR_RCPT && !t->clean) {
		out->path = act_mailbox(t->scratch, SV("victim"), SV("stranger.example"));
		*out = act_part(out, part);
		return true;
	}
	if (!t->clean || (t->no_dns && def->cost == COST_DNS))
		return false;
	*out = clean_value(def, arg);
	return true;
}
