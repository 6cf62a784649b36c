/*
 * arc_sign -- message signatures and seals: what they say, what they sign, and the keys that they name.
 *
 * RFC 8617 4.1.2 and 4.1.3 take over what RFC 6376 says of DKIM-Signature, but for what is told here.  That
 * only such signatures are read for which all that is needed is there makes verification a matter of digests.
 */
#include "filters/arc_own.h"
#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/hash.h"
#include "proxy/mail/tags.h"

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* RFC 8301 3.1: rsa-sha1 is no longer one; RFC 8463 3. */
static bool
read_algorithm(struct strv a, enum crypt_kind *out, const char **why)
{
	*out = strv_eq(a, SV("ed25519-sha256")) ? CRYPT_ED25519 : CRYPT_RSA;
	if (*out == CRYPT_ED25519 || strv_eq(a, SV("rsa-sha256")))
		return true;
	return no(why, a.p == NULL ? "no a=" : "an algorithm that is not taken");
}

/* A domain as it is compared: A-labels, lower case.  False: it is none, or a single label. */
static bool
settle_domain(struct arena *a, struct strv *domain)
{
	char        room[DNS_NAME_MAX];
	struct strv name = *domain;

	if (strv_chr(name, '.') == name.n || !dns_name(name, room))
		return false;
	*domain = arena_dup(a, strv_z(room));
	return true;
}

/* RFC 6376 3.6.2.1: SELECTOR._domainkey.DOMAIN, A-labels in the question (RFC 8616 4). */
static bool
read_key_name(struct arena *a, struct arc_signature *s, const char **why)
{
	if (s->domain.n == 0 || s->selector.n == 0)
		return no(why, s->domain.n == 0 ? "no d=" : "no s=");
	if (s->selector.n >= DNS_NAME_MAX || !settle_domain(a, &s->domain))
		return no(why, "d= and s= name no key");
	s->key = arena_printf(a, "%.*s._domainkey.%.*s", (int)s->selector.n, s->selector.p,
	    (int)s->domain.n, s->domain.p);
	return settle_domain(a, &s->key) || no(why, "d= and s= name no key");
}

/* t= and x= are seconds; RFC 6376 3.5: x= is later than t=. */
static bool
read_times(const struct tags *tags, struct arc_signature *s, const char **why)
{
	struct strv t = tags_get(tags, "t"), x = tags_get(tags, "x");
	uint64_t    begins = 0;

	s->expires = 0;
	if (t.p != NULL && !tags_number(t, &begins))
		return no(why, "t= is no number");
	if (x.p != NULL && (!tags_number(x, &s->expires) || s->expires <= begins))
		return no(why, "x= is no time behind t=");
	return true;
}

static bool
read_common(
    struct arena *a, struct tags *tags, struct strv raw, struct arc_signature *s, const char **why)
{
	struct strv value = raw;

	*s = (struct arc_signature){ .raw = raw, .length = UINT64_MAX };
	(void)strv_cut(&value, ':');
	switch (tags_parse(value, tags)) {
	case TAGS_OK:
		break;
	case TAGS_TWICE:
		return no(why, "a tag stands twice");
	case TAGS_BAD:
		return no(why, "it is no list of tags");
	}
	s->domain = tags_get(tags, "d");
	s->selector = tags_get(tags, "s");
	if (!read_algorithm(tags_get(tags, "a"), &s->kind, why) || !read_key_name(a, s, why) ||
	    !read_times(tags, s, why))
		return false;
	s->b = tags_base64(a, tags_get(tags, "b"));
	return s->b.n > 0 || no(why, "no signature in b=");
}

/* RFC 6376 5.4: From is signed; RFC 8617 4.1.2: no ARC-Seal, which comes later. */
static bool
read_names(struct strv h, struct arc_signature *s, const char **why)
{
	struct strv rest = h, name;
	unsigned    n = 0;

	s->names = h;
	for (; tags_word(&rest, &name); n++)
		if (name.n == 0)
			return no(why, "an empty name in h=");
	if (n > ARC_NAMES_MAX)
		return no(why, "too many names in h=");
	if (tags_lists(h, SV(ARC_SEAL)))
		return no(why, "h= names ARC-Seal");
	return tags_lists(h, SV("From")) || no(why, "h= does not name From");
}

bool
arc_message_read(struct arena *a, struct tags *tags, struct strv raw, struct arc_signature *out,
    const char **why)
{
	struct strv l, q;

	if (!read_common(a, tags, raw, out, why))
		return false;
	l = tags_get(tags, "l");
	q = tags_get(tags, "q");
	if (!canon_parse(tags_get(tags, "c"), &out->header, &out->body))
		return no(why, "a canonical form that is not known");
	if (l.p != NULL && !tags_number(l, &out->length))
		return no(why, "l= is no number");
	if (q.p != NULL && !tags_lists(q, SV("dns/txt")))
		return no(why, "no q= that is known");
	out->hash = tags_base64(a, tags_get(tags, "bh"));
	if (out->hash.n != CRYPT_SHA256)
		return no(why, "no digest in bh=");
	return read_names(tags_get(tags, "h"), out, why);
}

/* RFC 8617 4.1.3: h= MUST NOT be there. */
bool
arc_seal_read(struct arena *a, struct tags *tags, struct strv raw, struct arc_signature *out,
    const char **why)
{
	if (!read_common(a, tags, raw, out, why))
		return false;
	return tags_get(tags, "h").p == NULL || no(why, "it has h=");
}

static bool
fits(const struct tags *tags, enum crypt_kind kind, const char **why)
{
	struct strv v = tags_get(tags, "v"), k = tags_get(tags, "k"), h = tags_get(tags, "h"),
		    s = tags_get(tags, "s");

	/* "It MUST be the first tag": RFC 6376 3.6.1. */
	if (v.p != NULL && (!strv_eq(v, SV("DKIM1")) || !strv_eq(tags->v[0].name, SV("v"))))
		return no(why, "the key's record is of another version");
	if (!strv_ieq(k.p != NULL ? k : SV("rsa"), kind == CRYPT_RSA ? SV("rsa") : SV("ed25519")))
		return no(why, "the key is of another kind");
	if (h.p != NULL && !tags_lists(h, SV("sha256")))
		return no(why, "the key is not for sha256");
	if (s.p != NULL && !tags_lists(s, SV("email")) && !tags_lists(s, SV("*")))
		return no(why, "the key is not for mail");
	return true;
}

struct strv
arc_key_read(
    struct arena *a, struct tags *tags, struct strv record, enum crypt_kind kind, const char **why)
{
	struct strv p, none = { 0 };

	if (tags_parse(record, tags) != TAGS_OK) {
		*why = "the key's record is no list of tags";
		return none;
	}
	if (!fits(tags, kind, why))
		return none;
	p = tags_get(tags, "p");
	if (p.p == NULL || p.n == 0) {
		*why = p.p == NULL ? "the key's record has no p=" : "the key is revoked";
		return none;
	}
	p = tags_base64(a, p);
	if (p.n == 0)
		*why = "the key's p= is no base64";
	return p.n == 0 ? none : p;
}

/* ---- what is signed -------------------------------------------------------------------------- */

/* The last one of that name which is not taken, from 1; 0: there is none. */
static unsigned
last_of(const struct view_field *f, const uint64_t *hash, const bool *taken, unsigned n,
    struct strv name)
{
	uint64_t want = hash_name(name);

	while (n > 0 && (hash[n - 1] != want || taken[n - 1] || !strv_ieq(f[n - 1].name, name)))
		n--;
	return n;
}

/*
 * RFC 6376 5.4.2: of fields of one name the last comes first, and a name that stands more often than there are
 * fields stands for nothing.
 */
void
arc_message_digest(const struct view_field *f, unsigned n, const struct arc_signature *s,
    unsigned char out[CRYPT_SHA256])
{
	struct arena        *a = arena_new(4096, 0);
	struct crypt_digest *d = crypt_digest_begin(a);
	bool                *taken = arena_array(a, n, sizeof(*taken));
	uint64_t            *hash = arena_array(a, n, sizeof(*hash));
	struct strv          rest = s->names, name;

	/* The signature that is verified is not meant by its own h=: RFC 6376 3.5. */
	for (unsigned i = 0; i < n; i++) {
		taken[i] = f[i].raw.p == s->raw.p;
		hash[i] = hash_name(f[i].name);
	}
	while (tags_word(&rest, &name)) {
		unsigned i = last_of(f, hash, taken, n, name);

		if (i == 0)
			continue;
		taken[i - 1] = true;
		crypt_digest_add(d, canon_field(a, s->header, f[i - 1].raw));
	}
	crypt_digest_add(d, canon_signature(a, s->header, s->raw));
	crypt_digest_end(d, out);
	arena_free(a);
}

static void
add_field(struct crypt_digest *d, struct arena *a, struct strv raw)
{
	crypt_digest_add(d, canon_field(a, CANON_RELAXED, raw));
}

/* d: of all sets before; it takes this one, and gives what its seal signs. */
static void
add_set(struct crypt_digest *d, struct arena *a, const struct arc_set *set,
    unsigned char out[CRYPT_SHA256])
{
	struct crypt_digest *own;

	add_field(d, a, set->results);
	add_field(d, a, set->message);
	own = crypt_digest_copy(a, d);
	crypt_digest_add(own, canon_signature(a, CANON_RELAXED, set->seal));
	crypt_digest_end(own, out);
	add_field(d, a, set->seal);
}

void
arc_seal_digests(const struct arc_chain *c, unsigned char (*out)[CRYPT_SHA256])
{
	struct arena        *a = arena_new(4096, 0);
	struct crypt_digest *d = crypt_digest_begin(a);

	for (unsigned i = 0; i < c->n; i++)
		add_set(d, a, &c->set[i], out[i]);
	arena_free(a);
}

void
arc_seal_digest(
    const struct arc_chain *before, const struct arc_set *added, unsigned char out[CRYPT_SHA256])
{
	struct arena        *a = arena_new(4096, 0);
	struct crypt_digest *d = crypt_digest_begin(a);

	for (unsigned i = 0; before != NULL && i < before->n; i++)
		add_set(d, a, &before->set[i], out);
	add_set(d, a, added, out);
	arena_free(a);
}
