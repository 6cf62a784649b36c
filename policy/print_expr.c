/*
 * print_expr -- facts, references to lists, expressions.
 *
 * Parentheses stand where the same tree would not be read again without them.
 */
#include "policy/print_own.h"

static void
put_args(struct printer *p, const struct fact_ref *f)
{
	buf_addc(&p->b, '(');
	for (unsigned i = 0; i < f->n_arg; i++) {
		print_put(p, i > 0 ? SV(", ") : SV(""));
		if (f->arg[i].kind == ARG_FACT)
			print_fact(p, &f->arg[i].fact);
		else
			print_lit(p, &f->arg[i].lit);
	}
	buf_addc(&p->b, ')');
}

void
print_fact(struct printer *p, const struct fact_ref *f)
{
	print_put(p, f->name.text);
	if (f->call)
		put_args(p, f);
}

void
print_ref(struct printer *p, const struct list_ref *ref)
{
	if (ref->kind == REF_SET)
		print_set(p, &ref->set);
	else if (ref->kind == REF_CALL)
		print_fact(p, ref->call);
	else
		print_lit(p, &ref->name);
}

static void
put_pred(struct printer *p, const struct pred *x)
{
	static const char *const yes[] = { "", " is ", " in ", " matches ", " = ", " < ",
		" <= ", " > ", " >= ", " resolves" };
	static const char *const no[] = { "", " is not ", " not in ", " not matches ", " != ", "",
		"", "", "", "" };

	print_fact(p, &x->fact);
	print_put(p, strv_z(x->negated ? no[x->op] : yes[x->op]));
	for (unsigned i = 0; i < x->value.n; i++) {
		print_put(p, i > 0 ? SV(", ") : SV(""));
		print_lit(p, &x->value.v[i]);
	}
	if (x->list.kind != REF_NONE)
		print_ref(p, &x->list);
}

void
print_expr(struct printer *p, const struct expr *e)
{
	if (e->kind == EXPR_PRED) {
		put_pred(p, e->pred);
		return;
	}
	if (e->kind == EXPR_NOT)
		print_put(p, SV("not "));
	else if (e->kind == EXPR_ANY_RCPT || e->kind == EXPR_ALL_RCPT)
		print_put(p, e->kind == EXPR_ANY_RCPT ? SV("any rcpt (") : SV("all rcpt ("));
	for (unsigned i = 0; i < e->n_kid; i++) {
		/* What binds less than its parent, or the same, stood in parentheses. */
		bool parens = e->kid[i]->kind <= EXPR_AND && e->kind <= EXPR_NOT &&
		    !(e->kind == EXPR_OR && e->kid[i]->kind == EXPR_AND);

		print_put(p, i == 0 ? SV("") : e->kind == EXPR_OR ? SV(" or ") : SV(" and "));
		print_put(p, parens ? SV("(") : SV(""));
		print_expr(p, e->kid[i]);
		print_put(p, parens ? SV(")") : SV(""));
	}
	print_put(p, e->kind == EXPR_ANY_RCPT || e->kind == EXPR_ALL_RCPT ? SV(")") : SV(""));
}

void
print_when(struct printer *p, const struct expr *e)
{
	if (e == NULL)
		return;
	print_put(p, SV("when "));
	print_expr(p, e);
}
