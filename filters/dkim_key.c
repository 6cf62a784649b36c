/*
 * dkim_key -- the record of a DKIM key: may it be used for this signature, and by which bounds?  RFC 6376 3.6.1, 6.1.2.
 *
 * The record comes from whoever owns the domain.  What is left of it are octets that are a key of the signature's
 * type, within the bounds of RFC 8301 3.2 and our own.
 */
#include "filters/dkim_own.h"

#include "proxy/base/arena.h"
#include "proxy/mail/tags.h"

enum {
	RECORDS_MAX = 8,     /* of one name that are looked at */
	RECORD_OCTETS = 8192 /* of one */
};

/* Absent: the default, which is all. */
static bool
allows(struct strv list, struct strv word)
{
	return list.p == NULL || tags_lists(list, word) || tags_lists(list, SV("*"));
}

static struct strv
kind_name(enum crypt_kind kind)
{
	return kind == CRYPT_RSA ? SV("rsa") : SV("ed25519");
}

static bool
is_of_kind(const struct tags *t, enum crypt_kind kind)
{
	struct strv k = tags_get(t, "k");

	return strv_ieq(k.p != NULL ? k : SV("rsa"), kind_name(kind));
}

/* A record of a key at all: RFC 6376 3.6.1 has v= first if it is there, and p= always. */
static bool
is_key(struct strv record, struct tags *t)
{
	struct strv v;

	if (record.n > RECORD_OCTETS || tags_parse(record, t) != TAGS_OK)
		return false;
	v = tags_get(t, "v");
	return (v.p == NULL || (strv_eq(v, SV("DKIM1")) && strv_eq(t->v[0].name, SV("v")))) &&
	    tags_get(t, "p").p != NULL;
}

/*
 * RFC 6376 6.1.2 lets a verifier choose among several: the first whose type is the signature's, so that an RSA and an
 * Ed25519 key may stand at one name.  NULL: settled.
 */
static const struct tags *
choose(struct arena *a, struct dkim_sig *s, const struct strv *records, unsigned n)
{
	struct tags *t = arena_alloc(a, sizeof(*t));
	unsigned     keys = 0;

	for (unsigned i = 0; i < n && i < RECORDS_MAX; i++) {
		if (!is_key(records[i], t))
			continue;
		if (is_of_kind(t, s->kind))
			return t;
		keys++;
	}
	dkim_settle(s, DKIM_PERMERROR,
	    n == 0        ? SV("no key") :
		keys == 0 ? SV("the key's record is no good") :
			    SV("the key is of another type"));
	return NULL;
}

/* RFC 6376 3.6.1 t=s: the domain of i= is d= itself. */
static bool
is_strict(const struct dkim_sig *s)
{
	size_t at = strv_rchr(s->identity, '@');

	return s->identity.p == NULL || strv_ieq(strv_from(s->identity, at + 1), s->domain);
}

/* NULL: the signature may be made with it. */
static const char *
unfit(const struct dkim_sig *s, const struct tags *t)
{
	struct strv flags = tags_get(t, "t");

	if (tags_get(t, "p").n == 0)
		return "the key is revoked";
	if (!allows(tags_get(t, "h"), SV("sha256")))
		return "the key is not for SHA-256";
	if (!allows(tags_get(t, "s"), SV("email")))
		return "the key is not for mail";
	if (flags.p != NULL && tags_lists(flags, SV("s")) && !is_strict(s))
		return "the key is not for domains below";
	return NULL;
}

/* RFC 8301 3.2: below 1024 bits a signature is not valid; what is above that, and still too small, is our policy. */
static void
read_octets(struct arena *a, struct dkim_sig *s, struct strv p, unsigned minimum)
{
	struct strv octets = tags_base64(a, p);
	unsigned    bits = s->kind == CRYPT_RSA && octets.n > 0 ? crypt_public_bits(octets) : 0;

	if (bits > 0 && (bits < minimum || bits > CRYPT_RSA_MAX)) {
		dkim_settle(s, bits < MINIMUM_KEY_DEFAULT ? DKIM_PERMERROR : DKIM_POLICY,
		    arena_printf(a, "an RSA key of %u bits", bits));
		return;
	}
	if (octets.n == 0 || !crypt_public_fits(s->kind, octets, minimum)) {
		dkim_settle(s, DKIM_PERMERROR, SV("the key is no good"));
		return;
	}
	s->key = octets;
}

void
dkim_key_read(
    struct arena *a, struct dkim_sig *s, const struct strv *records, unsigned n, unsigned minimum)
{
	const struct tags *t = choose(a, s, records, n);
	const char        *why;

	if (t == NULL)
		return;
	s->testing = tags_get(t, "t").p != NULL && tags_lists(tags_get(t, "t"), SV("y"));
	why = unfit(s, t);
	if (why != NULL)
		dkim_settle(s, DKIM_PERMERROR, strv_z(why));
	else
		read_octets(a, s, tags_get(t, "p"), minimum);
}
