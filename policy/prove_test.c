/*
 * prove_test -- a made-up session as a `test' block that can be put into the configuration as it is.
 *
 * Only what the session depends on is stated, and what a reader wants to see: who connects, who sends,
 * to whom.
 */
#include "policy/listens.h"
#include "policy/prove.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

#define TEST_OCTETS 8000

struct writer {
	const struct act *t;
	struct arena     *a;
	struct buf        b;
	struct addr       client;
	struct strv       helo, name;
	bool              tls;
};

static const struct pick *
picked(const struct act *t, enum var_kind kind)
{
	for (unsigned i = 0; i < t->n; i++) {
		const struct var *v = &t->var[i];

		if (v->kind == kind && v->rcpt == 0 && v->now >= 0)
			return &v->pick[v->now];
	}
	return NULL;
}

/* A value as a STRING where it would not do as a WORD. */
static void
put_value(struct buf *b, struct strv v)
{
	bool word = v.n > 0 && v.p[0] != '#';

	for (size_t i = 0; i < v.n && word; i++)
		word = (unsigned char)v.p[i] > ' ' && memchr("{}(),;\"\\", v.p[i], 8) == NULL;
	if (word) {
		buf_add(b, v);
		return;
	}
	buf_addc(b, '"');
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_addc(b, '\\');
		buf_addc(b, v.p[i]);
	}
	buf_addc(b, '"');
}

static void
put_step(struct writer *w, const char *word, struct strv value)
{
	buf_printf(&w->b, "    %s ", word);
	put_value(&w->b, value);
	buf_addc(&w->b, '\n');
}

/* ---- the DNS ---- */

static void
put_dns(struct writer *w, struct strv name, const char *type, struct strv value)
{
	buf_add(&w->b, SV("    dns "));
	put_value(&w->b, name);
	buf_printf(&w->b, " %s ", type);
	put_value(&w->b, value);
	buf_addc(&w->b, '\n');
}

/* "9.100.51.198", or the nibbles of IPv6: how lists and the reverse tree have an address. */
static struct strv
reversed(struct writer *w)
{
	static const char  hex[] = "0123456789abcdef";
	const struct addr *c = &w->client;
	char              *p;

	if (c->family == ADDR_IP4)
		return arena_printf(w->a, "%u.%u.%u.%u", c->b[3], c->b[2], c->b[1], c->b[0]);
	p = arena_bytes(w->a, 64);
	for (unsigned i = 0; i < 16; i++) {
		p[i * 4] = hex[c->b[15 - i] & 15];
		p[i * 4 + 2] = hex[c->b[15 - i] >> 4];
		p[i * 4 + 1] = p[i * 4 + 3] = '.';
	}
	return strv(p, 63);
}

static void
put_reverse(struct writer *w, const struct pick *name, const struct pick *rdns)
{
	char        text[ADDR_TEXT];
	struct strv zone = w->client.family == ADDR_IP4 ? SV(".in-addr.arpa") : SV(".ip6.arpa");
	struct strv ptr = name != NULL && name->v.text.p != NULL ? name->v.text :
	    rdns != NULL                                         ? rdns->v.text :
								   strv(NULL, 0);

	if (ptr.p == NULL)
		return;
	put_dns(w, arena_concat(w->a, reversed(w), zone), "PTR", ptr);
	if (name != NULL && name->v.text.p != NULL)
		put_dns(w, ptr, w->client.family == ADDR_IP4 ? "A" : "AAAA",
		    addr_print(&w->client, text));
}

/* The name of a list with what is looked up in front of it. */
static struct strv
listed(struct writer *w, const struct var *v, struct strv value)
{
	struct strv key = v->ask.of >= 0 ? value : reversed(w);

	return arena_concat(w->a, arena_concat(w->a, key, SV(".")), v->ask.text);
}

/* The value of the fact that a look-up is made with. */
static struct strv
argument(struct writer *w, const struct var *v)
{
	union fact_value       x;
	const struct fact_def *of;

	if (v->ask.of < 0)
		return strv(NULL, 0);
	of = &w->t->p->facts[v->ask.of];
	if (!act_value(w->t, of, 0, strv(NULL, 0), &x))
		return SV("stranger.example");
	return of->type == FACT_PATH ? (x.path == NULL ? strv(NULL, 0) : x.path->domain) : x.text;
}

/* ---- SPF ---- */

static struct strv
helo_of(const struct writer *w)
{
	const struct pick *x = picked(w->t, VAR_HELO);

	return x != NULL && x->v.text.p != NULL ? x->v.text : SV("mx.stranger.example");
}

/* Of the sender; absent: it is <>.  One that is free is of the domain that SPF is said to be about. */
static struct strv
domain_of(const struct writer *w)
{
	const struct pick *x = picked(w->t, VAR_SENDER);

	if (x != NULL && x->v.path != NULL)
		return x->v.path->domain;
	for (unsigned i = 0; i < w->t->n; i++) {
		const struct var *v = &w->t->var[i];

		if (v->kind == VAR_OTHER && v->now >= 0 &&
		    strcmp(v->def->name, "spf.domain") == 0 && v->pick[v->now].v.text.p != NULL)
			return v->pick[v->now].v.text;
	}
	return SV("stranger.example");
}

/* The record of which that comes; of what no record says there is none. */
static void
put_spf(struct writer *w, const struct var *v)
{
	static const char *const records[][2] = { { "pass", "v=spf1 +all" },
		{ "fail", "v=spf1 -all" }, { "softfail", "v=spf1 ~all" },
		{ "neutral", "v=spf1 ?all" }, { "permerror", "v=spf1 all=" } };
	unsigned                 word = v->pick[v->now].v.word;
	struct strv              name = domain_of(w);

	if (name.n == 0 || strcmp(v->def->name, "spf.helo") == 0)
		name = helo_of(w);
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++) {
		if (word != FACT_WORD_ABSENT && strcmp(v->def->words[word], records[i][0]) == 0)
			put_dns(w, name, "TXT", strv_z(records[i][1]));
	}
}

/* ---- all of them ---- */

static void
put_lookup(struct writer *w, const struct var *v)
{
	const union fact_value *x = &v->pick[v->now].v;
	struct strv             name = argument(w, v);
	const char             *fact = v->def->name;
	char                    text[ADDR_TEXT];

	if (v->def->type == FACT_ADDRS && v->ask.text.p != NULL) {
		for (unsigned i = 0; i < x->addrs.n; i++)
			put_dns(w, listed(w, v, name), "A", addr_print(&x->addrs.v[i], text));
		return;
	}
	if (strcmp(fact, "spf") == 0 || strcmp(fact, "spf.helo") == 0)
		put_spf(w, v);
	if (v->def->type != FACT_BOOL || !x->yes || name.n == 0)
		return;
	if (strcmp(fact, "mx") == 0)
		put_dns(w, name, "MX", arena_concat(w->a, SV("10 "), name));
	if (strcmp(fact, "mx") == 0 || strncmp(fact, "resolves", 8) == 0)
		put_dns(w, name, "A", SV("203.0.113.25"));
}

static void
put_lookups(struct writer *w)
{
	put_reverse(w, picked(w->t, VAR_NAME), picked(w->t, VAR_RDNS));
	for (unsigned i = 0; i < w->t->n; i++) {
		const struct var *v = &w->t->var[i];

		if (v->kind == VAR_OTHER && v->now >= 0)
			put_lookup(w, v);
	}
}

/* A look-up of the fact that nobody answers. */
static void
put_silence(struct writer *w, struct strv name)
{
	if (name.n == 0)
		return;
	buf_add(&w->b, SV("    dns "));
	put_value(&w->b, name);
	buf_add(&w->b, SV(" SERVFAIL\n"));
}

static void
put_silences(struct writer *w, const struct rule *r)
{
	struct var v = { .ask = r->ask };

	for (unsigned i = 0; i < r->n_kid; i++)
		put_silences(w, r->kid[i]);
	if (r->kind != EXPR_PRED || r->ask.subject != SUBJECT_FACT)
		return;
	v.def = &w->t->p->facts[r->ask.fact];
	if (v.def->cost != COST_DNS)
		return;
	if (r->ask.text.p != NULL)
		put_silence(w, listed(w, &v, argument(w, &v)));
	else if (r->ask.of >= 0)
		put_silence(w, argument(w, &v));
	else
		put_silence(w,
		    arena_concat(w->a, reversed(w),
			w->client.family == ADDR_IP4 ? SV(".in-addr.arpa") : SV(".ip6.arpa")));
}

/* ---- the session ---- */

static void
put_path(struct writer *w, const char *word, const struct pick *x, struct strv otherwise)
{
	if (x == NULL || x->v.path == NULL)
		put_step(w, word, otherwise);
	else
		put_step(w, word, x->v.path->kind == PATH_NULL ? SV("<>") : x->v.path->text);
}

static bool
has_text(const struct pick *x)
{
	return x != NULL && x->v.text.p != NULL;
}

/* With a single listener there is nothing to say of it. */
static bool
is_one_of_many(const struct conf *c)
{
	unsigned at = 0, n = 0;

	while (listens_next(c, &at) != NULL)
		n++;
	return n > 1;
}

static void
put_session(struct writer *w)
{
	const struct pick *on = picked(w->t, VAR_LISTENER);
	struct strv        sender = arena_concat(w->a, SV("a@"), domain_of(w));
	char               text[ADDR_TEXT];

	put_step(w, "client", addr_print(&w->client, text));
	if (has_text(on) && is_one_of_many(w->t->p->conf))
		put_step(w, "listener", on->v.text);
	if (has_text(picked(w->t, VAR_TLS)) || has_text(picked(w->t, VAR_SNI)) ||
	    has_text(picked(w->t, VAR_CIPHER)))
		buf_add(&w->b, SV("    tls\n"));
	put_step(w, "helo", helo_of(w));
	put_path(w, "mail", picked(w->t, VAR_SENDER), sender);
	put_path(w, "rcpt", picked(w->t, VAR_RCPT), SV("victim@foreign.example"));
}

struct strv
act_test(const struct act *t, struct arena *a, const char *name, const char *expect, enum stage at,
    const struct rule *asked)
{
	struct writer      w = { .t = t, .a = a };
	const struct pick *client = picked(t, VAR_CLIENT);
	struct strv        all;

	buf_init(&w.b, TEST_OCTETS);
	(void)addr_parse(SV("198.51.100.9"), &w.client);
	if (client != NULL)
		w.client = client->v.addr;
	buf_add(&w.b, SV("test "));
	buf_printf(&w.b, "\"%s\" {\n", name);
	put_lookups(&w);
	if (t->no_dns && asked != NULL)
		put_silences(&w, asked);
	put_session(&w);
	if (at == STAGE_MESSAGE)
		buf_add(&w.b, SV("    expect 250\n    message \"Subject: test\"\n"));
	buf_printf(&w.b, "    expect %s\n}", expect);
	all = arena_dup(a, buf_view(&w.b));
	buf_fini(&w.b);
	return all;
}
