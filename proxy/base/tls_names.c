/*
 * tls_names -- the names for which a server's context has a certificate, for people to read.
 *
 * The table, and its order, is tls_sni.c's.
 */
#include "proxy/base/tls_names.h"

#include "proxy/base/arena.h"
#include "proxy/base/tls_own.h"

/* What is in a certificate may be anything. */
static struct strv
printable(struct arena *a, struct strv name)
{
	char *p = arena_z(a, name);

	for (size_t i = 0; i < name.n; i++)
		if (p[i] <= ' ' || p[i] > '~')
			p[i] = '?';
	return strv(p, name.n);
}

struct strv
tls_names_print(struct arena *a, const struct tls_context *x, unsigned most)
{
	struct strv all = { NULL, 0 };

	for (unsigned i = 0; i < x->n_name; i++) {
		struct strv name = strv(x->name[i].p, x->name[i].n);

		if (i == most)
			return arena_concat(a, all, SV(", ..."));
		name = printable(a, name);
		all = all.p == NULL ?
		    name :
		    arena_printf(a, "%.*s, %.*s", (int)all.n, all.p, (int)name.n, name.p);
	}
	return all;
}

/* The one whose names the group of k goes by. */
static unsigned
first_of_group(const struct tls_context *x, unsigned k)
{
	unsigned i, at;

	for (i = 0; i < k; i++) {
		for (at = i; at != k && x->shown[at].also != 0;)
			at = x->shown[at].also;
		if (at == k && !x->shown[i].follows)
			return i;
	}
	return k;
}

bool
tls_names_show(const struct tls_context *x, unsigned k)
{
	unsigned first = first_of_group(x, k);
	bool     shown = first == 0;

	/* Looked for as a client would: what `server-name' gives comes before what is in certificates. */
	for (unsigned i = 0; !shown && i < x->n_name; i++)
		shown = tls_names_find(x, strv(x->name[i].p, x->name[i].n)) == (int)first;
	return shown;
}
