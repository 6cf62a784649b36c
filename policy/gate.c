/*
 * gate -- the relay block into lines that eval.c can walk.
 *
 * Not for checks: the gate is apart and absolute.  A line that has a mistake is no line at all,
 * so a policy with one is never loaded rather than loaded without a condition.
 */
#include "policy/load.h"
#include "proxy/base/arena.h"

/* The gate stands on this fact: where the build lacks it the condition is not in this build. */
static bool
have(struct loader *l, int fact, struct pos at, const char *what)
{
	if (fact >= 0)
		return true;
	not_in_build(l, at, strv_z(what));
	return false;
}

static bool
load_from(struct loader *l, const struct relay_cond *c, struct gate_cond *out)
{
	struct list *list;
	unsigned     errors = l->d->errors;

	if (c->list.kind == REF_CALL)
		return maps_call(l, c->list.call, MAP_NETS, STAGE_RCPT, &out->call) &&
		    have(l, l->p->gate.client, c->pos, "from");
	if (c->list.kind == REF_SET) {
		out->nets = lists_networks(l, &c->list.set);
	} else {
		list = lists_find(l, &c->list.name, WANT(NETWORKS), "`from'");
		out->nets = list == NULL ? NULL : list->nets;
	}
	return have(l, l->p->gate.client, c->pos, "from") && out->nets != NULL &&
	    l->d->errors == errors;
}

static bool
load_to(struct loader *l, const struct relay_cond *c, struct gate_cond *out)
{
	struct list *list;
	unsigned     errors = l->d->errors;

	if (c->list.kind == REF_CALL)
		return maps_call(l, c->list.call, MAP_NAMES, STAGE_RCPT, &out->call);
	if (c->list.kind == REF_SET) {
		lists_names(l, &c->list.set, &out->domains, &out->addresses);
	} else {
		list = lists_find(l, &c->list.name, WANT(DOMAINS) | WANT(ADDRESSES), "`to'");
		if (list == NULL)
			return false;
		if (list->conf->kind == LIST_DOMAINS)
			out->domains = list->names;
		else
			out->addresses = list->names;
	}
	return l->d->errors == errors;
}

static bool
load_on(struct loader *l, const struct relay_cond *c, struct gate_cond *out)
{
	out->listener = c->name.text;
	for (unsigned i = 0; i < l->names->n_listener; i++) {
		if (strv_eq(l->names->listener[i], c->name.text))
			return have(l, l->p->gate.listener, c->pos, "on");
	}
	diag_add(l->d, DIAG_ERROR, c->name.pos,
	    policy_listener_meant(l->a, c->name.text, l->names->listener, l->names->n_listener),
	    "no listener is called %s", diag_quote(l->a, c->name.text));
	return false;
}

static bool
load_cond(struct loader *l, const struct relay_cond *c, struct gate_cond *out)
{
	out->kind = c->kind;
	switch (c->kind) {
	case COND_FROM:
		return load_from(l, c, out);
	case COND_TO:
		return load_to(l, c, out);
	case COND_ON:
		return load_on(l, c, out);
	case COND_AUTHENTICATED:
		out->over_tls = c->over_tls;
		return have(l, l->p->gate.authenticated, c->pos, "authenticated") &&
		    (!c->over_tls || have(l, l->p->gate.tls, c->pos, "over tls"));
	case COND_WHEN:
		out->when = compile_expr(l, c->when, STAGE_RCPT);
		return out->when != NULL;
	}
	return false;
}

static void
load_line(struct loader *l, const struct relay_line *c, struct gate_line *out)
{
	out->conf = c;
	out->cond = arena_array(l->a, c->n, sizeof(*out->cond));
	for (unsigned i = 0; i < c->n; i++) {
		if (load_cond(l, &c->cond[i], &out->cond[out->n]))
			out->n++;
	}
}

static void
load_block(struct loader *l, const struct conf_relay *r)
{
	struct policy *p = l->p;

	p->has_relay = true;
	p->line = arena_array(l->a, r->n, sizeof(*p->line));
	for (unsigned i = 0; i < r->n; i++) {
		if (r->line[i].routing)
			p->routing = true;
		else
			load_line(l, &r->line[i], &p->line[p->n_line++]);
	}
}

void
gate_load(struct loader *l)
{
	struct policy      *p = l->p;
	const struct block *first = NULL;

	p->gate = (struct gate_facts){ facts_number(p, "rcpt"), facts_number(p, "client.ip"),
		facts_number(p, "authenticated"), facts_number(p, "tls.version"),
		facts_number(p, "listener") };
	for (unsigned i = 0; i < l->c->tree->n; i++) {
		const struct block *b = &l->c->tree->block[i];

		if (b->kind != BLOCK_RELAY)
			continue;
		if (first == NULL) {
			first = b;
			if (have(l, p->gate.rcpt, b->pos, "relay"))
				load_block(l, b->u.relay);
		} else {
			diag_add(l->d, DIAG_ERROR, b->pos, SV("put all lines into one block"),
			    "there is a `relay' already, at %.*s:%u", (int)first->pos.src->name.n,
			    first->pos.src->name.p, first->pos.line);
		}
	}
}
