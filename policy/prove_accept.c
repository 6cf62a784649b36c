/*
 * prove_accept -- is mail to postmaster and abuse taken?
 *
 * RFC 5321 4.5.1 wants postmaster wherever mail is taken, and without a domain too, RFC 2142 abuse, and
 * a bounce has the sender <>.  So a sender who does everything right comes with <>, once with all that
 * the DNS can say of him, once while nothing of it can be found out: neither must hear a 5xx, and
 * neither be dropped.
 */
#include "policy/listens.h"
#include "policy/prove.h"
#include "proxy/base/arena.h"
#include "proxy/mail/edit.h"
#include "proxy/mail/envelope.h"

#define DOMAINS   100 /* of ours that are tried */
#define LISTENERS 8
#define HOST      "mx.stranger.example"

struct accept {
	struct prover        *x;
	const struct outside *o;
	struct act            t;
	struct strv           listener[LISTENERS + 1]; /* the last: absent */
	unsigned              n_listener;
	bool                  unnamed; /* a stranger reaches one that has no name */
	uint64_t *told; /* a bit for each check: said already, and as if it were not there */
	bool     *told_line;
};

/* ---- the session ---- */

static void
set_value(struct act *t, enum var_kind kind, union fact_value v)
{
	struct var *x = act_var(t, kind, 0);

	if (x == NULL)
		return;
	x->pick = arena_alloc(t->a, sizeof(*x->pick));
	x->pick->v = v;
	x->n = x->max = 1;
	x->now = 0;
}

static void
set_text(struct act *t, enum var_kind kind, const char *z)
{
	set_value(t, kind, (union fact_value){ .text = strv_z(z) });
}

static void
set_session(struct accept *s, unsigned listener, bool no_dns)
{
	struct act *t = &s->t;
	struct strv none = { NULL, 0 };
	struct addr addr;
	bool        tls;

	act_init(t, s->x->p, s->x->a, s->x->scratch, NULL);
	t->clean = true;
	t->no_dns = no_dns;
	(void)addr_parse(SV("198.51.100.9"), &addr);
	set_value(t, VAR_CLIENT, (union fact_value){ .addr = addr });
	if (!no_dns) {
		set_text(t, VAR_NAME, HOST);
		set_text(t, VAR_RDNS, HOST);
	}
	set_text(t, VAR_HELO, HOST);
	tls = listens_offers_tls(t->p->conf, s->listener[listener]);
	set_value(t, VAR_TLS, (union fact_value){ .text = tls ? SV("TLSv1.3") : none });
	set_value(
	    t, VAR_CIPHER, (union fact_value){ .text = tls ? SV("TLS_AES_256_GCM_SHA384") : none });
	set_value(t, VAR_LISTENER, (union fact_value){ .text = s->listener[listener] });
	set_value(
	    t, VAR_SENDER, (union fact_value){ .path = arena_alloc(t->a, sizeof(struct path)) });
}

static void
set_rcpt(struct accept *s, struct strv local, struct strv domain)
{
	set_value(
	    &s->t, VAR_RCPT, (union fact_value){ .path = act_mailbox(s->t.a, local, domain) });
}

/* ---- what is said ---- */

/* The number of the line that does, or -1. */
static int
gate_takes(struct accept *s)
{
	for (unsigned i = 0; i < s->x->p->n_line; i++) {
		if (act_ask_line(&s->t, &s->x->p->line[i]) == ANSWER_YES)
			return (int)i;
	}
	return -1;
}

static bool
is_bad(const struct verdict *v)
{
	return v->kind == VERDICT_REJECT || v->kind == VERDICT_DISCARD;
}

/* Through all stages; the first that is bad for the sender, and where. */
static struct verdict
walk(struct accept *s, enum stage *at)
{
	static const enum stage stages[] = { STAGE_CONNECT, STAGE_HELO, STAGE_MAIL, STAGE_RCPT,
		STAGE_DATA, STAGE_MESSAGE };
	const struct policy    *p = s->x->p;
	struct arena           *a = s->x->scratch;
	struct edits            edits[2] = { { .n = 0 }, { .n = 0 } };
	struct envelope         env = { .n_rcpt = 1, .max_rcpt = 1 };
	struct policy_case      c[2] = { { .a = a, .mode = POLICY_TEST, .edits = &edits[0] },
		     { .a = a, .mode = POLICY_TEST, .edits = &edits[1], .env = &env } };
	struct verdict          v = { 0 };

	c[0].marks.skip = arena_array(a, rules_bits(p) / 64 + 1, sizeof(uint64_t));
	memcpy(c[0].marks.skip, s->told, (rules_bits(p) / 64 + 1) * sizeof(uint64_t));
	env.rcpt = arena_alloc(a, sizeof(*env.rcpt));
	env.rcpt->upstream_took = true;
	for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]) && v.kind == VERDICT_NONE;
	     i++) {
		*at = stages[i];
		if (*at == STAGE_MAIL)
			policy_begin(p, &c[0], &c[1]);
		v = act_ask_policy(&s->t, *at, &c[*at >= STAGE_MAIL]);
	}
	return v;
}

static const struct check *
check_by(const struct policy *p, struct strv name)
{
	for (unsigned i = 0; i < p->n_check; i++) {
		if (strv_eq(p->check[i].name, name))
			return &p->check[i];
	}
	return NULL;
}

/* ---- one address ---- */

/* False: nothing more can be said of that. */
static bool
tell(struct accept *s, struct strv to, const struct verdict *v, enum stage at)
{
	struct prover      *x = s->x;
	const struct check *c = check_by(x->p, v->by);
	const char         *when = s->t.no_dns ? " while the DNS does not answer" : "";
	struct strv         name, test;

	if (c == NULL || (s->told[c->number / 64] >> c->number % 64 & 1) != 0)
		return false;
	s->told[c->number / 64] |= (uint64_t)1 << c->number % 64;
	name = arena_printf(x->a, "bounces to %.*s are taken%s", (int)to.n, to.p, when);
	test = act_test(&s->t, x->d->a, arena_z(x->a, name), "250", at, c->when);
	diag_add(x->d, DIAG_WARNING, c->pos,
	    arena_concat(x->d->a, SV("this test fails until they get through:\n"), test),
	    "%s %s bounces to %.*s from a sender who does everything right%s",
	    diag_quote(x->a, c->name), v->kind == VERDICT_DISCARD ? "drops" : "refuses", (int)to.n,
	    to.p, when);
	return true;
}

static void
tell_gate(struct accept *s, unsigned line, struct strv local, struct strv domain)
{
	struct prover *x = s->x;
	struct strv    test, hint;

	if (s->told_line[line])
		return;
	s->told_line[line] = true;
	test = act_test(&s->t, x->d->a, "postmaster and abuse are there", "250", STAGE_RCPT, NULL);
	hint = arena_printf(x->d->a,
	    "such as: allow to { %.*s@%.*s }; this test fails until it is there:\n", (int)local.n,
	    local.p, (int)domain.n, domain.p);
	diag_add(x->d, DIAG_WARNING, x->p->line[line].conf->pos, arena_concat(x->d->a, hint, test),
	    "the relay block takes mail for %.*s, but not for %.*s@%.*s", (int)domain.n, domain.p,
	    (int)local.n, local.p, (int)domain.n, domain.p);
}

/* Behind the first that refuses others may stand, which would not be seen. */
static void
prove_walk(struct accept *s, struct strv to)
{
	struct verdict v;
	enum stage     at;
	bool           more;

	do {
		v = walk(s, &at);
		more = is_bad(&v) && tell(s, to, &v, at);
		arena_reset(s->x->scratch);
	} while (more);
}

/* line: of the relay block, that takes others of the domain. */
static void
prove_address(
    struct accept *s, unsigned listener, unsigned line, struct strv local, struct strv domain)
{
	for (unsigned no_dns = 0; no_dns < 2; no_dns++) {
		set_session(s, listener, no_dns != 0);
		set_rcpt(s, local, domain);
		if (gate_takes(s) >= 0)
			prove_walk(s,
			    arena_concat(s->x->a, arena_concat(s->x->a, local, SV("@")), domain));
		else if (no_dns == 0)
			tell_gate(s, line, local, domain);
		arena_reset(s->x->a);
	}
}

/* The domain of a name that the gate knows, if a stranger may write there at all. */
static void
prove_name(struct accept *s, struct strv name)
{
	size_t      at = strv_rchr(name, '@');
	struct strv domain = at < name.n ? strv_from(name, at + 1) : name;
	struct strv local = at < name.n && at > 0 ? strv_first(name, at) : SV("somebody");
	int         line;

	if (strv_starts(domain, SV(".")) || suffix_wide(domain))
		return;
	for (unsigned i = 0; i <= s->n_listener; i++) {
		set_session(s, i, false);
		set_rcpt(s, local, domain);
		line = gate_takes(s);
		if (line < 0)
			continue;
		prove_address(s, i, (unsigned)line, SV("postmaster"), domain);
		prove_address(s, i, (unsigned)line, SV("abuse"), domain);
		return;
	}
}

/* No line of the gate is asked of that one: it passes wherever there is a gate. */
static void
prove_bare(struct accept *s, unsigned listener)
{
	for (unsigned no_dns = 0; no_dns < 2; no_dns++) {
		set_session(s, listener, no_dns != 0);
		set_rcpt(s, SV("postmaster"), strv(NULL, 0));
		prove_walk(s, SV("<postmaster>"));
		arena_reset(s->x->a);
	}
}

static void
find_listeners(struct accept *s)
{
	const struct conf_plain *x;
	unsigned                 at = 0;

	while ((x = listens_next(s->x->p->conf, &at)) != NULL) {
		struct strv name = listens_name(x);

		if (!outside_reaches(s->x->p, name))
			continue;
		if (name.p == NULL)
			s->unnamed = true;
		else if (s->n_listener < LISTENERS)
			s->listener[s->n_listener++] = name;
	}
}

void
prove_accept(struct prover *x)
{
	struct accept s = { .x = x };
	struct strv   name;

	if (!x->p->has_relay || !outside_enters(x->p))
		return;
	s.o = outside_new(x->p, x->keep);
	s.told = arena_array(x->keep, rules_bits(x->p) / 64 + 1, sizeof(*s.told));
	s.told_line = arena_array(x->keep, x->p->n_line, sizeof(*s.told_line));
	find_listeners(&s);
	for (unsigned i = 0; i < DOMAINS; i++) {
		name = outside_name(s.o, i);
		if (name.p == NULL)
			break;
		prove_name(&s, name);
		arena_reset(x->a);
	}
	for (unsigned i = 0; i < s.n_listener; i++)
		prove_bare(&s, i);
	if (s.unnamed || s.n_listener == 0)
		prove_bare(&s, s.n_listener);
}
