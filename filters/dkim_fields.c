/*
 * dkim_fields -- which fields of a header are handed to libopendkim: those that a signature names, and no more.
 *
 * The library takes each DKIM-Signature that it sees for one to be checked, and compares each name of h= with each
 * field that it has.  So the names of all signatures together are bounded, and a signature is handed over only if it
 * is to be checked or another one signs it; who wants more than that is settled here.  Of the library nothing is
 * called.
 */
#include "filters/dkim_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/hash.h"
#include "proxy/mail/tags.h"

enum { NAMES_MAX = 400 }; /* of all signatures together */

struct name {
	struct strv v;
	uint64_t    hash;
};

struct dkim_fields {
	struct dkim_sig *v;
	unsigned         n;
	struct name     *name; /* of all h= that count, each once */
	unsigned         n_name, max;
	bool             signatures; /* DKIM-Signature is among them */
};

static bool
is_named(const struct dkim_fields *f, struct strv name)
{
	uint64_t hash = hash_name(name);

	for (unsigned i = 0; i < f->n_name; i++)
		if (f->name[i].hash == hash && strv_ieq(f->name[i].v, name))
			return true;
	return false;
}

/* False: there is no room for them. */
static bool
add_names(struct arena *a, struct dkim_fields *f, struct strv list)
{
	struct strv name;

	while (tags_word(&list, &name)) {
		if (name.n == 0 || is_named(f, name))
			continue;
		if (f->n_name == NAMES_MAX)
			return false;
		f->name = arena_grow(a, f->name, &f->max, f->n_name + 1, sizeof(*f->name));
		f->name[f->n_name++] = (struct name){ name, hash_name(name) };
	}
	return true;
}

static unsigned
count_signatures(const struct message *m)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_h; i++)
		n += dkim_is_signature(&m->h[i]);
	return n;
}

struct dkim_fields *
dkim_fields_of(struct arena *a, const struct message *m, struct dkim_sig *v, unsigned n)
{
	struct dkim_fields *f = arena_alloc(a, sizeof(*f));
	bool                many = count_signatures(m) > SIGNATURES_MAX;

	f->v = v;
	f->n = n;
	for (unsigned i = 0; i < n; i++) {
		struct dkim_sig *s = &v[i];

		if (s->settled)
			continue;
		if (many && tags_lists(s->names, SV("DKIM-Signature")))
			dkim_settle(s, DKIM_POLICY, SV("it signs too many signatures"));
		else if (!add_names(a, f, s->names))
			dkim_settle(s, DKIM_POLICY, SV("too many fields are signed"));
	}
	f->signatures = is_named(f, SV("DKIM-Signature"));
	return f;
}

struct dkim_sig *
dkim_fields_signature(const struct dkim_fields *f, const struct header *h)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i].field == h && !f->v[i].settled)
			return &f->v[i];
	return NULL;
}

bool
dkim_fields_want(const struct dkim_fields *f, const struct header *h)
{
	if (dkim_is_signature(h))
		return f->signatures || dkim_fields_signature(f, h) != NULL;
	return is_named(f, header_name(h));
}
