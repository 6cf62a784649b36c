/*
 * visit_envelope -- MAIL and RCPT as a mail server tells them: it has accepted their syntax already.
 *
 * So parameters that we do not know are kept and say nothing; an address that is none for us cannot be judged.
 */
#include "proxy/hosts/visit_own.h"

#define PARAMS_MAX 32

static struct param *
take_params(struct arena *a, struct strv text, unsigned *n)
{
	struct strv   rest = arena_dup(a, text), word;
	struct param *v = arena_array(a, PARAMS_MAX, sizeof(*v));

	*n = 0;
	while (*n < PARAMS_MAX && (word = strv_word(&rest)).n > 0) {
		struct strv value = word, name = strv_cut(&value, '=');

		v[(*n)++] = (struct param){ name, value };
	}
	return v;
}

static void
understand(struct mail_params *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct strv name = m->v[i].name, value = m->v[i].value;

		if (strv_ieq(name, SV("SIZE")))
			(void)strv_number(value, UINT64_MAX, &m->size);
		else if (strv_ieq(name, SV("BODY")))
			m->body = strv_ieq(value, SV("8BITMIME")) ? BODY_8BITMIME : BODY_7BIT;
		else if (strv_ieq(name, SV("SMTPUTF8")))
			m->smtputf8 = true;
		else if (strv_ieq(name, SV("RET")))
			m->ret = value;
		else if (strv_ieq(name, SV("ENVID")))
			m->envid = value;
	}
}

/* With angle brackets as SMTP has it (Sendmail, Postfix), or without. */
static bool
take_path(struct arena *a, struct strv text, unsigned flags, struct path *out, const char **why)
{
	struct strv v = arena_dup(a, text);

	if (strv_starts(v, SV("<")))
		return path_parse(a, &v, flags | PATH_MAY_BE_BARE | PATH_MAY_BE_UTF8, out, why) ==
		    PATH_OK;
	return path_parse_plain(a, v, out, why) == PATH_OK;
}

bool
visit_take_from(struct visit *v, const struct visit_call *c, const char **why)
{
	struct transaction *tx = visit_tx(v);
	struct mail_params *m = &tx->env.params;

	if (!take_path(tx->a, c->text, PATH_MAY_BE_NULL, &tx->env.from, why))
		return false;
	m->v = take_params(tx->a, c->params, &m->n);
	understand(m);
	return true;
}

bool
visit_take_rcpt(struct visit *v, const struct visit_call *c, const char **why)
{
	struct transaction *tx = visit_tx(v);
	struct rcpt         got = { .n_params = 0 };

	if (!take_path(tx->a, c->text, 0, &got.to, why))
		return false;
	got.params = take_params(tx->a, c->params, &got.n_params);
	v->rcpt = arena_grow(tx->a, v->rcpt, &v->max_rcpt, tx->env.n_rcpt + 1, sizeof(*v->rcpt));
	v->rcpt[tx->env.n_rcpt] = arena_dup(tx->a, c->text);
	*envelope_add(tx->a, &tx->env) = got;
	return true;
}
