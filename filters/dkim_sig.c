/*
 * dkim_sig -- one DKIM-Signature field: what its tags say, and how its result is told.  RFC 6376 3.5, 6.1.1.
 *
 * Everything here was written by a stranger.  RFC 8601 2.7.1 has the words: what is no good signature field is
 * `neutral', what RFC 6376 and 8301 call a permanent failure is `permerror', a bound of our own is `policy'.
 */
#include <limits.h>

#include "filters/dkim_own.h"

#include "proxy/base/arena.h"
#include "proxy/mail/authres.h"
#include "proxy/mail/tags.h"

#define NAME   "DKIM-Signature"
#define DOMAIN 253

static const char *const result_names[] = { "none", "pass", "fail", "policy", "neutral",
	"temperror", "permerror" };

static const char *
result_name(enum dkim_result result)
{
	return result_names[result];
}

bool
dkim_is_signature(const struct header *h)
{
	return h->name_n == sizeof(NAME) - 1 && strv_ieq(header_name(h), SV(NAME));
}

void
dkim_settle(struct dkim_sig *s, enum dkim_result result, struct strv reason)
{
	s->settled = true;
	s->result = result;
	s->reason = reason;
}

/* ---- the tags -------------------------------------------------------------------------------- */

struct reading {
	struct arena    *a;
	struct tags     *tags;
	struct dkim_sig *s;
	uint64_t         now;
};

/* False, so that a check may return it. */
static bool
neutral(struct reading *r, struct strv reason)
{
	dkim_settle(r->s, DKIM_NEUTRAL, reason);
	return false;
}

static bool
permerror(struct reading *r, struct strv reason)
{
	dkim_settle(r->s, DKIM_PERMERROR, reason);
	return false;
}

/* Labels of letters, digits, "-" and "_" between dots.  RFC 6376 3.5 d=, s=; libopendkim reads no UTF-8 there. */
static bool
is_domain(struct strv v)
{
	size_t label = 0;

	if (v.n == 0 || v.n > DOMAIN)
		return false;
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if (c == '.' ? label == 0 :
			       !ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

static bool
read_names(struct reading *r)
{
	struct strv domain = tags_get(r->tags, "d"), selector = tags_get(r->tags, "s");

	if (!is_domain(domain))
		return neutral(r, SV("d= is no domain"));
	r->s->domain = arena_lower(r->a, domain);
	if (!is_domain(selector))
		return neutral(r, SV("s= is no selector"));
	r->s->selector = arena_lower(r->a, selector);
	r->s->key_name = arena_printf(r->a, "%.*s._domainkey.%.*s", (int)selector.n,
	    r->s->selector.p, (int)domain.n, r->s->domain.p);
	return r->s->key_name.n <= DOMAIN || neutral(r, SV("the key's name is too long"));
}

/* Every signature has these: RFC 6376 3.5. */
static bool
has_required(struct reading *r)
{
	static const char *const required[] = { "v", "a", "b", "bh", "d", "h", "s" };

	for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
		if (tags_get(r->tags, required[i]).n == 0)
			return neutral(r, arena_printf(r->a, "no %s=", required[i]));
	if (!strv_eq(tags_get(r->tags, "v"), SV("1")))
		return neutral(r, SV("an unknown version"));
	return true;
}

/* RFC 8301 3.1: what was signed with a historic algorithm has permanently failed. */
static bool
read_algorithm(struct reading *r)
{
	struct strv a = tags_get(r->tags, "a");

	if (strv_ieq(a, SV("rsa-sha256"))) {
		r->s->kind = CRYPT_RSA;
		r->s->algorithm = SV("rsa-sha256");
	} else if (strv_ieq(a, SV("ed25519-sha256"))) {
		r->s->kind = CRYPT_ED25519;
		r->s->algorithm = SV("ed25519-sha256");
	} else if (strv_ieq(a, SV("rsa-sha1"))) {
		r->s->algorithm = SV("rsa-sha1");
		return permerror(r, SV("rsa-sha1 is not accepted"));
	} else
		return neutral(r, SV("an unknown algorithm"));
	return true;
}

static void
keep_start_of_b(struct dkim_sig *s, struct strv b)
{
	size_t n = 0;

	for (size_t i = 0; i < b.n && n < sizeof(s->b) - 1; i++)
		if (b.p[i] > ' ' && b.p[i] < 0x7f)
			s->b[n++] = b.p[i];
	s->b[n] = '\0';
}

static bool
read_hashes(struct reading *r)
{
	r->s->signature = tags_base64(r->a, tags_get(r->tags, "b"));
	if (r->s->signature.n == 0)
		return neutral(r, SV("b= is no base64"));
	r->s->body_hash = tags_base64(r->a, tags_get(r->tags, "bh"));
	return r->s->body_hash.n == CRYPT_SHA256 || neutral(r, SV("bh= is no hash"));
}

/* RFC 6376 5.4: From must be among them. */
static bool
read_signed_names(struct reading *r)
{
	struct strv rest = tags_get(r->tags, "h"), name;
	bool        from = false;
	unsigned    n = 0;

	r->s->names = rest;
	if (rest.n > DKIM_NAMES_OCTETS) {
		dkim_settle(r->s, DKIM_POLICY, SV("h= is too long"));
		return false;
	}
	while (tags_word(&rest, &name) && ++n <= DKIM_NAMES_MAX)
		from = from || strv_ieq(name, SV("From"));
	if (n > DKIM_NAMES_MAX) {
		dkim_settle(r->s, DKIM_POLICY, SV("h= is too long"));
		return false;
	}
	return from || permerror(r, SV("From is not signed"));
}

/* Is it that domain or one below it? */
static bool
is_within(struct strv domain, struct strv d)
{
	return strv_ieq(domain, d) ||
	    (domain.n > d.n && strv_iends(domain, d) && domain.p[domain.n - d.n - 1] == '.');
}

/* RFC 6376 3.5 i=: its domain is d= or below.  The local part may be anything. */
static bool
read_identity(struct reading *r)
{
	struct strv i = tags_get(r->tags, "i");
	size_t      at = strv_rchr(i, '@');

	if (i.p == NULL)
		return true;
	if (i.n > DOMAIN || at == i.n || !is_domain(strv_from(i, at + 1)))
		return neutral(r, SV("i= is no identity"));
	if (!is_within(strv_from(i, at + 1), r->s->domain))
		return permerror(r, SV("i= is not within d="));
	r->s->identity = i;
	return true;
}

static bool
read_length(struct reading *r)
{
	struct strv l = tags_get(r->tags, "l");

	if (l.p == NULL)
		return true;
	if (!tags_number(l, &r->s->length) || r->s->length > INT64_MAX)
		return neutral(r, SV("l= is no length"));
	/* Where ssize_t has 32 bits, the library would take it for no l= at all, or for no number. */
	if (r->s->length > SSIZE_MAX)
		return permerror(r, SV("l= is more than the body"));
	r->s->has_length = true;
	return true;
}

/* RFC 6376 3.5 q=: dns/txt is the default, and no other is known. */
static bool
is_by_dns(struct strv q)
{
	return q.p == NULL || tags_lists(q, SV("dns/txt"));
}

/* RFC 6376 3.5 t=, x=; 6.1.1: a signature past its time has permanently failed. */
static bool
read_times(struct reading *r)
{
	struct strv t = tags_get(r->tags, "t"), x = tags_get(r->tags, "x");
	uint64_t    made = 0, ends = UINT64_MAX;

	if ((t.p != NULL && !tags_number(t, &made)) || (x.p != NULL && !tags_number(x, &ends)))
		return neutral(r, SV("t= or x= is no time"));
	if (t.p != NULL && x.p != NULL && ends <= made)
		return permerror(r, SV("x= is not behind t="));
	if (r->now == 0)
		return true;
	if (r->now > ends)
		return permerror(r, SV("it has expired"));
	if (made > r->now + DKIM_CLOCK_DRIFT)
		return permerror(r, SV("it was made in the future"));
	return true;
}

static bool
read_forms(struct reading *r)
{
	enum canon_form header;

	if (!canon_parse(tags_get(r->tags, "c"), &header, &r->s->body_form))
		return neutral(r, SV("c= is unknown"));
	return is_by_dns(tags_get(r->tags, "q")) || neutral(r, SV("q= is unknown"));
}

static bool
read_list(struct reading *r)
{
	struct strv  text = header_value(r->s->field);
	enum tags_rc rc;

	if (r->s->field->raw.n > DKIM_SIG_OCTETS) {
		dkim_settle(r->s, DKIM_POLICY, SV("the field is too long"));
		return false;
	}
	rc = tags_parse(text, r->tags);
	if (rc == TAGS_TWICE)
		return neutral(r, SV("a tag stands twice"));
	if (rc != TAGS_OK || !strv_is_ascii(text))
		return neutral(r, SV("no list of tags"));
	keep_start_of_b(r->s, tags_get(r->tags, "b"));
	return true;
}

void
dkim_sig_read(struct arena *a, const struct header *h, uint64_t now, struct dkim_sig *s)
{
	static bool (*const checks[])(struct reading *) = { read_list, has_required, read_names,
		read_algorithm, read_hashes, read_signed_names, read_identity, read_length,
		read_forms, read_times };
	struct reading r = {
		.a = a, .tags = arena_alloc(a, sizeof(struct tags)), .s = s, .now = now
	};

	*s = (struct dkim_sig){ .field = h };
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if (!checks[i](&r))
			return;
}

/* ---- telling --------------------------------------------------------------------------------- */

static struct strv
or_dash(struct strv v)
{
	return v.n > 0 ? v : SV("-");
}

struct strv
dkim_sig_text(struct arena *a, const struct dkim_sig *s)
{
	struct strv d = or_dash(s->domain), sel = or_dash(s->selector), alg = or_dash(s->algorithm);

	return arena_printf(a, "%s %.*s %.*s %.*s%s%.*s", result_name(s->result), (int)d.n, d.p,
	    (int)sel.n, sel.p, (int)alg.n, alg.p, s->reason.n > 0 ? " " : "", (int)s->reason.n,
	    s->reason.p != NULL ? s->reason.p : "");
}

static struct strv
add_property(struct arena *a, struct strv all, const char *name, struct strv value)
{
	struct strv v;

	if (value.n == 0)
		return all;
	v = authres_value(a, value);
	return arena_printf(a, "%.*s header.%s=%.*s", (int)all.n, all.p, name, (int)v.n, v.p);
}

struct strv
dkim_sig_resinfo(struct arena *a, const struct dkim_sig *s)
{
	struct strv all = arena_printf(a, "dkim=%s", result_name(s->result)), v;

	if (s->reason.n > 0) {
		v = authres_value(a, s->reason);
		all = arena_printf(a, "%.*s reason=%.*s", (int)all.n, all.p, (int)v.n, v.p);
	}
	all = add_property(a, all, "d", s->domain);
	all = add_property(a, all, "s", s->selector);
	all = add_property(a, all, "a", s->algorithm);
	all = add_property(a, all, "i", s->identity);
	return add_property(a, all, "b", strv_z(s->b));
}
