/*
 * prove_listen -- which of the listeners a stranger can talk to.
 *
 * In doubt a listener is open: one too many makes a proof say more
 * than it need, one too few would hide an open relay.
 */
#include "policy/listens.h"
#include "policy/prove.h"

/* Behind AUTH there is no stranger; on loopback there is none unless a proxy brings him. */
static bool
is_open(struct arena *a, const struct conf_plain *x)
{
	struct endpoint at;
	const char     *why;

	if (listens_has(x, SV("require-auth")))
		return false;
	return listens_has(x, SV("proxy-protocol")) || listens_has(x, SV("xclient")) ||
	    !endpoint_parse(a, x->v[0].text, &at, &why) ||
	    (at.addr.family != ADDR_UNIX && !addr_is_loopback(&at.addr));
}

bool
outside_reaches(const struct policy *p, struct strv listener)
{
	const struct conf_plain *x;
	unsigned                 at = 0;
	bool                     any = false;

	/* Several may share a name; what none of them has is nobody's, whatever a pattern or a key of a map is. */
	while ((x = listens_next(p->conf, &at)) != NULL) {
		any = true;
		if (x->n > 0 && strv_eq(listens_name(x), listener) && is_open(p->a, x))
			return true;
	}
	return !any;
}

bool
outside_enters(const struct policy *p)
{
	const struct conf_plain *x;
	unsigned                 at = 0;
	bool                     any = false;

	while ((x = listens_next(p->conf, &at)) != NULL) {
		any = true;
		if (!listens_has(x, SV("require-auth")))
			return true;
	}
	return !any;
}
