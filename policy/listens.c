/*
 * listens -- `listen' statements as they are written: their names and options, without a socket.
 *
 * For a policy is compiled, and proofs are made, before anything listens.
 */
#include "policy/listens.h"

/* Where it has that option; 0: nowhere.  What stands behind some of them is a name, whatever it says. */
static unsigned
option(const struct conf_plain *x, struct strv word)
{
	for (unsigned i = 1; i < x->n; i++) {
		if (x->v[i].kind != CONF_WORD)
			continue;
		if (strv_eq(x->v[i].text, word))
			return i;
		i += strv_eq(x->v[i].text, SV("name")) || strv_eq(x->v[i].text, SV("pool")) ||
		    strv_eq(x->v[i].text, SV("from"));
	}
	return 0;
}

bool
listens_has(const struct conf_plain *x, struct strv word)
{
	return option(x, word) > 0;
}

const struct conf_plain *
listens_next(const struct conf *c, unsigned *at)
{
	while (*at < c->n_plain) {
		const struct conf_plain *x = &c->plain[(*at)++];

		if (strv_eq(x->keyword, SV("listen")))
			return x;
	}
	return NULL;
}

struct strv
listens_name(const struct conf_plain *x)
{
	unsigned i = option(x, SV("name"));

	if (i > 0 && i + 1 < x->n)
		return x->v[i + 1].text;
	return x->n > 0 ? x->v[0].text : strv(NULL, 0);
}

/* ---- TLS ---- */

static bool
has_certificate(const struct conf *c)
{
	for (unsigned i = 0; i < c->n_plain; i++) {
		const struct conf_plain *x = &c->plain[i];

		if (strv_eq(x->keyword, SV("tls")) && x->n > 0 &&
		    strv_eq(x->v[0].text, SV("certificate")))
			return true;
	}
	return false;
}

bool
listens_offers_tls(const struct conf *c, struct strv name)
{
	const struct conf_plain *x;
	unsigned                 at = 0;

	while ((x = listens_next(c, &at)) != NULL) {
		if (name.p == NULL || strv_eq(listens_name(x), name))
			return listens_has(x, SV("tls")) ||
			    (has_certificate(c) && !listens_has(x, SV("no-starttls")));
	}
	return has_certificate(c);
}

/* The name of a listener, and of none that is called so: what else a value may be is a question of its own. */
static bool
is_another(const struct conf *c, const struct lit *v, struct strv listener)
{
	const struct conf_plain *x;
	unsigned                 at = 0;

	if (strv_ieq(v->text, listener) || strv_eq(v->text, SV("absent")) ||
	    strv_eq(v->text, SV("fqdn")) || strv_eq(v->text, SV("literal")))
		return false;
	while ((x = listens_next(c, &at)) != NULL) {
		if (strv_ieq(listens_name(x), v->text))
			return true;
	}
	return false;
}

/* Does it say that the listener is another? */
static bool
leaves_out(const struct conf *c, const struct expr *e, struct strv listener)
{
	const struct pred *x = e->pred;

	for (unsigned i = 0; e->kind == EXPR_AND && i < e->n_kid; i++) {
		if (leaves_out(c, e->kid[i], listener))
			return true;
	}
	if (e->kind != EXPR_PRED || x->op != PRED_IS || x->negated || x->fact.call ||
	    !strv_eq(x->fact.name.text, SV("listener")))
		return false;
	for (unsigned i = 0; i < x->value.n; i++) {
		if (!is_another(c, &x->value.v[i], listener))
			return false;
	}
	return x->value.n > 0;
}

bool
listens_tls_first(const struct conf *c, const struct expr *when, const struct conf_plain **none)
{
	unsigned at = 0, n = 0;

	while ((*none = listens_next(c, &at)) != NULL) {
		n++;
		if (!listens_has(*none, SV("tls")) && !leaves_out(c, when, listens_name(*none)))
			return false;
	}
	return n > 0;
}
