/*
 * print -- the canonical text of a configuration: one statement a line, one item of a block a
 * line.
 *
 * print(parse(p)) parses to the same tree: parentheses stand where the tree needs them, strings
 * are quoted so that the lexer undoes exactly what is done here.
 */
#include "policy/print_own.h"

#define OCTETS_MAX ((size_t)256 << 20)

/* ---- plain statements ---- */

static struct lit
lit_of(const struct conf_value *v)
{
	return (struct lit){ v->text, v->pos, v->kind == CONF_STRING };
}

static void
put_value_set(struct printer *p, const struct conf_value *v)
{
	size_t line_at = 0;

	print_put(p, SV("{ "));
	for (unsigned i = 0; i < v->n_item; i++) {
		struct lit x = lit_of(&v->item[i]);

		print_item(p, i, &x, &line_at);
	}
	print_put(p, v->n_item > 0 ? SV(" }") : SV("}"));
}

static void
put_value(struct printer *p, const struct conf_value *v)
{
	struct lit x = lit_of(v);

	if (v->kind == CONF_COMMA) {
		buf_addc(&p->b, ',');
		return;
	}
	buf_addc(&p->b, ' ');
	if (v->kind == CONF_SET)
		put_value_set(p, v);
	else
		print_lit(p, &x);
}

static void
print_named(struct printer *p, const struct conf_plain *x)
{
	struct lit name = lit_of(&x->name);

	print_after(p, &name);
	print_open(p);
	for (unsigned i = 0; i + 1 < x->n; i += 2) {
		struct lit word = lit_of(&x->v[i]);

		print_indent(p);
		print_lit(p, &word);
		put_value(p, &x->v[i + 1]);
		print_end(p);
	}
	print_close(p);
}

static void
print_plain(struct printer *p, const struct conf_plain *x)
{
	print_put(p, x->keyword);
	if (x->block) {
		print_named(p, x);
		return;
	}
	for (unsigned i = 0; i < x->n; i++)
		put_value(p, &x->v[i]);
	if (x->when != NULL) {
		print_put(p, strv_eq(x->keyword, SV("transaction-class")) ? SV(" ") : SV(" when "));
		print_expr(p, x->when);
	}
	print_end(p);
}

/* ---- all of it ---- */

void
conf_print(
    const struct conf *c, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct printer p = { .emit = emit, .arg = arg };

	(void)a;
	buf_init(&p.b, OCTETS_MAX);
	for (unsigned i = 0; i < c->tree->n; i++) {
		const struct block *b = &c->tree->block[i];

		switch (b->kind) {
		case BLOCK_PLAIN:
			print_plain(&p, &c->plain[b->u.plain]);
			break;
		case BLOCK_LIST:
			print_list(&p, b->u.list);
			break;
		case BLOCK_RELAY:
			print_relay(&p, b->u.relay);
			break;
		case BLOCK_CHECK:
			print_check(&p, b->u.check);
			break;
		case BLOCK_RATE:
			print_rate(&p, b->u.rate);
			break;
		case BLOCK_MILTER:
			print_milter(&p, b->u.milter);
			break;
		case BLOCK_TEST:
			print_test(&p, b->u.test);
			break;
		}
	}
	buf_fini(&p.b);
}
