/*
 * explain -- what was understood of a policy, for people: lists with their counts, the gate's
 * lines.
 */
#include "policy/explain.h"

#include "policy/lists.h"
#include "proxy/base/arena.h"

void
explain_line(struct teller *t)
{
	t->emit(buf_view(&t->b), t->arg);
	buf_clear(&t->b);
}

static void
tell_list(struct teller *t, const struct list *x)
{
	static const char *const kinds[] = { "networks", "domains", "addresses", "patterns",
		"map" };
	const struct conf_list  *c = x->conf;

	buf_printf(&t->b, "%s ", kinds[c->kind]);
	buf_add(&t->b, c->name.text);
	if (x->map != NULL)
		buf_printf(&t->b, ": %zu %s", x->items, x->items == 1 ? "key" : "keys");
	else
		buf_printf(&t->b, ": %zu %s", x->items, x->items == 1 ? "item" : "items");
	if (x->nets != NULL && netset_count(x->nets) != x->items)
		buf_printf(&t->b, ", joined into %zu", netset_count(x->nets));
	else if (x->names != NULL && nameset_count(x->names) != x->items)
		buf_printf(&t->b, ", %zu different", nameset_count(x->names));
	if (c->store == STORE_FILE)
		buf_printf(&t->b, ", from %s",
		    diag_quote(t->a, strv_z(lists_path(t->a, &c->where.pos, c->where.text))));
	explain_line(t);
}

/* The lines of the gate as they are written, numbered. */
struct gate_lines {
	struct teller *t;
	unsigned       n;
	bool           in;
};

static void
tell_gate_line(struct strv line, void *arg)
{
	struct gate_lines *g = arg;

	line = strv_trim(line);
	if (strv_starts(line, SV("allow")))
		buf_printf(&g->t->b, "%4u. ", ++g->n);
	else if (strv_starts(line, SV("routing-characters")) || strv_eq(line, SV("}")) ||
	    strv_starts(line, SV("relay")))
		return;
	else
		buf_add(&g->t->b, SV("          "));
	buf_add(&g->t->b, strv_first(line, line.n < LINE_OCTETS / 2 ? line.n : LINE_OCTETS / 2));
	explain_line(g->t);
}

static void
tell_gate(struct teller *t)
{
	struct gate_lines g = { .t = t };
	struct conf_tree  tree = { 0 };
	struct conf       only = { .tree = &tree };

	if (!t->p->has_relay) {
		buf_add(&t->b, SV("relay: no block: every recipient is refused"));
		explain_line(t);
		return;
	}
	buf_add(&t->b,
	    t->p->n_line > 0 ?
		SV("relay: a recipient is taken where one of these holds") :
		SV("relay: nothing is allowed: every recipient but <postmaster> is refused"));
	explain_line(t);
	for (unsigned i = 0; i < t->p->conf->tree->n; i++) {
		if (t->p->conf->tree->block[i].kind != BLOCK_RELAY)
			continue;
		tree.block = &t->p->conf->tree->block[i];
		tree.n = 1;
		conf_print(&only, t->a, tell_gate_line, &g);
	}
	buf_add(&t->b,
	    t->p->routing ?
		SV("    local parts with @ % ! | or a leading . or / match: nothing behind may route by them") :
		SV("    local parts with @ % ! | or a leading . or / match no `to'"));
	explain_line(t);
}

static void
keep_line(struct strv line, void *arg)
{
	struct buf *b = arg;

	buf_add(b, strv_first(line, line.n < LINE_OCTETS / 2 ? line.n : LINE_OCTETS / 2));
}

/* What `transaction-class' asks, as it is written. */
static void
tell_class(struct teller *t)
{
	struct conf_plain plain = { .keyword = SV("transaction-class"),
		.when = (struct expr *)t->p->class.conf };
	struct block      block = { .kind = BLOCK_PLAIN };
	struct conf_tree  tree = { .block = &block, .n = 1 };
	struct conf       only = { .plain = &plain, .n_plain = 1, .tree = &tree };

	conf_print(&only, t->a, keep_line, &t->b);
	buf_add(&t->b, SV(": a recipient of another class than the first comes again"));
	explain_line(t);
}

static void
tell_routes(struct teller *t)
{
	if (t->p->route != NULL) {
		buf_add(&t->b, SV("route "));
		buf_add(&t->b, t->p->route->conf->name.text);
		buf_add(&t->b,
		    SV(": the pool of a recipient; who is not there goes to the listener's"));
		explain_line(t);
	}
	if (t->p->class.kind != CLASS_NONE)
		tell_class(t);
}

void
policy_explain(
    const struct policy *p, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct teller t = { .p = p, .a = a, .emit = emit, .arg = arg };

	buf_init(&t.b, LINE_OCTETS);
	for (unsigned i = 0; i < p->n_list; i++)
		tell_list(&t, &p->list[i]);
	tell_gate(&t);
	tell_routes(&t);
	buf_add(&t.b,
	    p->reject_at_stage ?
		SV("refusals of connect, helo and mail are said at once") :
		SV("refusals of connect, helo and mail are said to each recipient"));
	explain_line(&t);
	explain_checks(&t);
	buf_fini(&t.b);
}
