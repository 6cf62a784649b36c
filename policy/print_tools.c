/*
 * print_tools -- what every statement is printed with: the line at hand, strings, words, sets, braces.
 *
 * A string is quoted so that the lexer undoes exactly what is done here.
 */
#include "policy/print_own.h"

#define WIDTH 96

void
print_end(struct printer *p)
{
	struct strv all = buf_view(&p->b);

	while (all.p != NULL)
		p->emit(strv_cut(&all, '\n'), p->arg);
	buf_clear(&p->b);
}

void
print_indent(struct printer *p)
{
	for (unsigned i = 0; i < p->indent; i++)
		buf_addc(&p->b, '\t');
}

void
print_put(struct printer *p, struct strv v)
{
	buf_add(&p->b, v);
}

static void
put_string(struct printer *p, struct strv v)
{
	if (strv_chr(v, '\n') < v.n) {
		print_put(p, SV("\"\"\"\n"));
		print_put(p, v);
		print_put(p, SV("\"\"\""));
		return;
	}
	buf_addc(&p->b, '"');
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			buf_addc(&p->b, '\\');
		buf_addc(&p->b, v.p[i]);
	}
	buf_addc(&p->b, '"');
}

void
print_lit(struct printer *p, const struct lit *x)
{
	if (x->quoted)
		put_string(p, x->text);
	else
		print_put(p, x->text);
}

void
print_after(struct printer *p, const struct lit *x)
{
	if (x->text.p == NULL)
		return;
	buf_addc(&p->b, ' ');
	print_lit(p, x);
}

void
print_open(struct printer *p)
{
	print_put(p, SV(" {"));
	print_end(p);
	p->indent++;
}

void
print_close(struct printer *p)
{
	p->indent--;
	print_indent(p);
	buf_addc(&p->b, '}');
	print_end(p);
}

/* Inside { } a newline is white space: a long set is broken behind commas. */
static void
break_long(struct printer *p, size_t *line_at)
{
	if (p->b.n - *line_at < WIDTH) {
		buf_addc(&p->b, ' ');
		return;
	}
	buf_addc(&p->b, '\n');
	*line_at = p->b.n;
	p->indent++;
	print_indent(p);
	p->indent--;
}

void
print_item(struct printer *p, unsigned i, const struct lit *x, size_t *line_at)
{
	if (i > 0) {
		buf_addc(&p->b, ',');
		break_long(p, line_at);
	}
	print_lit(p, x);
}

void
print_set(struct printer *p, const struct lits *set)
{
	size_t line_at = 0;

	print_put(p, SV("{ "));
	for (unsigned i = 0; i < set->n; i++)
		print_item(p, i, &set->v[i], &line_at);
	print_put(p, set->n > 0 ? SV(" }") : SV("}"));
}
