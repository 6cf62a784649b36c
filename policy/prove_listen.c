/*
 * prove_listen -- the listeners there are, and which of them a stranger can talk to.
 *
 * As they are written, for a proof binds no socket.  In doubt a listener is open: one too many makes a proof say more
 * than it need, one too few would hide an open relay.
 */
#include "policy/prove.h"

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

static bool
has_option(const struct conf_plain *x, struct strv word)
{
	return option(x, word) > 0;
}

static bool
is_listen(const struct conf_plain *x)
{
	return strv_eq(x->keyword, SV("listen"));
}

/* What it is called, else its address; absent: it has neither. */
static struct strv
name_of(const struct conf_plain *x)
{
	unsigned i = option(x, SV("name"));

	if (i > 0 && i + 1 < x->n)
		return x->v[i + 1].text;
	return x->n > 0 ? x->v[0].text : strv(NULL, 0);
}

bool
listener_next(const struct conf *c, unsigned *at, struct strv *name)
{
	while (*at < c->n_plain) {
		const struct conf_plain *x = &c->plain[(*at)++];

		if (!is_listen(x))
			continue;
		*name = name_of(x);
		return true;
	}
	return false;
}

/* Behind AUTH there is no stranger; on loopback there is none unless a proxy brings him. */
static bool
is_open(struct arena *a, const struct conf_plain *x)
{
	struct endpoint at;
	const char     *why;

	if (has_option(x, SV("require-auth")))
		return false;
	return has_option(x, SV("proxy-protocol")) || has_option(x, SV("xclient")) ||
	    !endpoint_parse(a, x->v[0].text, &at, &why) ||
	    (at.addr.family != ADDR_UNIX && !addr_is_loopback(&at.addr));
}

bool
outside_reaches(const struct policy *p, struct strv listener)
{
	bool any = false;

	/* Several may share a name. */
	for (unsigned i = 0; i < p->conf->n_plain; i++) {
		const struct conf_plain *x = &p->conf->plain[i];

		if (!is_listen(x) || x->n == 0 || !strv_eq(name_of(x), listener))
			continue;
		if (is_open(p->a, x))
			return true;
		any = true;
	}
	return !any;
}

bool
outside_enters(const struct policy *p)
{
	bool any = false;

	for (unsigned i = 0; i < p->conf->n_plain; i++) {
		const struct conf_plain *x = &p->conf->plain[i];

		if (!is_listen(x))
			continue;
		any = true;
		if (!has_option(x, SV("require-auth")))
			return true;
	}
	return !any;
}
