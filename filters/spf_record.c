/*
 * spf_record -- see spf_record.h
 *
 * Terms stand apart by blanks alone (RFC 7208 4.6.1); everything else that is not printable ASCII is a mistake
 * wherever it stands, and so is a term that is nearly one of ours.
 */
#include "filters/spf_record.h"

#include "filters/spf_macro.h"

const char *
spf_says_name(enum spf_says says)
{
	static const char *const names[] = { "none", "neutral", "pass", "fail", "softfail",
		"temperror", "permerror" };

	return names[says];
}

/*
 *   record  = version terms *SP
 *   version = "v=spf1"
 */
bool
spf_is_record(struct strv text)
{
	struct strv version = SV("v=spf1");

	return strv_istarts(text, version) && (text.n == version.n || text.p[version.n] == ' ');
}

/* ---- one term ---- */

/* What may stand behind the name of a mechanism. */
enum argument { ARG_NONE, ARG_DOMAIN, ARG_MAYBE_DOMAIN, ARG_CIDRS, ARG_IP4, ARG_IP6 };

static const struct mechanism {
	struct strv   name;
	enum spf_kind kind;
	enum argument argument;
} mechanisms[] = {
	{ { "all", 3 }, SPF_TERM_ALL, ARG_NONE },
	{ { "include", 7 }, SPF_TERM_INCLUDE, ARG_DOMAIN },
	{ { "a", 1 }, SPF_TERM_A, ARG_CIDRS },
	{ { "mx", 2 }, SPF_TERM_MX, ARG_CIDRS },
	{ { "ptr", 3 }, SPF_TERM_PTR, ARG_MAYBE_DOMAIN },
	{ { "ip4", 3 }, SPF_TERM_IP4, ARG_IP4 },
	{ { "ip6", 3 }, SPF_TERM_IP6, ARG_IP6 },
	{ { "exists", 6 }, SPF_TERM_EXISTS, ARG_DOMAIN },
};

/* A prefix length: no sign, no zero in front. */
static bool
read_bits(struct strv v, uint64_t max, uint8_t *out)
{
	uint64_t n;

	if (!strv_number(v, max, &n) || (v.n > 1 && v.p[0] == '0'))
		return false;
	*out = (uint8_t)n;
	return true;
}

/* Cuts SLASH and the digits behind it off the end of *v; absent: they are not there. */
static struct strv
cut_digits(struct strv *v, struct strv slash)
{
	size_t      n = v->n;
	struct strv digits;

	while (n > 0 && ascii_is_digit(v->p[n - 1]))
		n--;
	digits = strv_from(*v, n);
	if (digits.n == 0 || !strv_ends(strv_first(*v, n), slash))
		return strv(NULL, 0);
	v->n = n - slash.n;
	return digits;
}

/*
 *   dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
 *
 * From the end, since a domain-spec may hold slashes, too.
 */
static bool
cut_cidrs(struct strv *v, struct spf_term *t)
{
	struct strv six = cut_digits(v, SV("//")), four = cut_digits(v, SV("/"));

	return (six.p == NULL || read_bits(six, 128, &t->bits6)) &&
	    (four.p == NULL || read_bits(four, 32, &t->bits4));
}

/* [ ":" domain-spec ] */
static bool
read_domain(struct strv v, bool must, struct spf_term *t)
{
	if (v.n == 0)
		return !must;
	t->domain = strv_from(v, 1);
	return v.p[0] == ':' && spf_domain_valid(t->domain);
}

/* An address that is written as one of IPv6 stays one, also ::ffff:192.0.2.1, which no client ever has. */
static bool
read_ip6(struct strv v, struct addr *out)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct addr          four;

	if (strv_chr(v, ':') == v.n || !addr_parse(v, out))
		return false;
	if (out->family == ADDR_IP6)
		return true;
	four = *out;
	out->family = ADDR_IP6;
	memcpy(out->b, mapped, sizeof(mapped));
	memcpy(out->b + sizeof(mapped), four.b, 4);
	return true;
}

/*
 *   ":" ip4-network [ ip4-cidr-length ]
 *   ":" ip6-network [ ip6-cidr-length ]
 */
static bool
read_network(struct strv v, bool six, struct spf_term *t)
{
	size_t      slash = strv_chr(v, '/');
	struct strv address = strv_first(v, slash);

	if (v.n == 0 || v.p[0] != ':')
		return false;
	address = strv_from(address, 1);
	if (slash < v.n &&
	    !(six ? read_bits(strv_from(v, slash + 1), 128, &t->bits6) :
		    read_bits(strv_from(v, slash + 1), 32, &t->bits4)))
		return false;
	if (six)
		return read_ip6(address, &t->net);
	return strv_chr(address, ':') == address.n && addr_parse(address, &t->net);
}

static bool
read_argument(struct strv v, enum argument argument, struct spf_term *t)
{
	switch (argument) {
	case ARG_NONE:
		return v.n == 0;
	case ARG_DOMAIN:
		return read_domain(v, true, t);
	case ARG_MAYBE_DOMAIN:
		return read_domain(v, false, t);
	case ARG_CIDRS:
		return cut_cidrs(&v, t) && read_domain(v, false, t);
	case ARG_IP4:
		return read_network(v, false, t);
	case ARG_IP6:
		return read_network(v, true, t);
	}
	return false;
}

/* directive = [ "+" / "-" / "?" / "~" ] mechanism */
static bool
read_mechanism(struct strv v, struct spf_term *t, const char **why)
{
	static const char          marks[] = "+-?~";
	static const enum spf_says says[] = { SPF_SAYS_PASS, SPF_SAYS_FAIL, SPF_SAYS_NEUTRAL,
		SPF_SAYS_SOFTFAIL };
	const char                *mark = v.p[0] == '\0' ? NULL : strchr(marks, v.p[0]);
	size_t                     n = 0;

	t->says = mark == NULL ? SPF_SAYS_PASS : says[mark - marks];
	t->bits4 = 32;
	t->bits6 = 128;
	v = strv_from(v, mark == NULL ? 0 : 1);
	while (n < v.n && (ascii_is_alpha(v.p[n]) || ascii_is_digit(v.p[n])))
		n++;
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
		const struct mechanism *m = &mechanisms[i];

		if (!strv_ieq(strv_first(v, n), m->name))
			continue;
		t->kind = m->kind;
		*why = "bad argument";
		return read_argument(strv_from(v, n), m->argument, t);
	}
	*why = "unknown mechanism";
	return false;
}

/*
 * Where the name of a modifier ends, if this is one; else 0.
 *
 *   name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
 */
static size_t
modifier_name(struct strv v)
{
	size_t n = 0;

	while (n < v.n &&
	    (ascii_is_alpha(v.p[n]) || ascii_is_digit(v.p[n]) ||
		(v.p[n] != '\0' && strchr("-_.", v.p[n]) != NULL)))
		n++;
	return n > 0 && n < v.n && v.p[n] == '=' && ascii_is_alpha(v.p[0]) ? n : 0;
}

static bool
read_modifier(struct strv v, size_t n, struct spf_term *t, const char **why)
{
	struct strv name = strv_first(v, n);

	*why = "bad argument";
	t->domain = strv_from(v, n + 1);
	t->kind = strv_ieq(name, SV("redirect")) ? SPF_TERM_REDIRECT :
	    strv_ieq(name, SV("exp"))            ? SPF_TERM_EXP :
						   SPF_TERM_OTHER;
	return t->kind == SPF_TERM_OTHER ? spf_macro_valid(t->domain, true) :
					   spf_domain_valid(t->domain);
}

/* A term as it stands between blanks. */
static bool
read_term(struct strv v, struct spf_term *t, const char **why)
{
	size_t name = modifier_name(v);

	*t = (struct spf_term){ .text = v, .kind = SPF_TERM_OTHER };
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f) {
			*why = "octets that are not printable ASCII";
			return false;
		}
	}
	return name > 0 ? read_modifier(v, name, t, why) : read_mechanism(v, t, why);
}

static bool
next_word(struct strv *terms, struct strv *out)
{
	while (terms->n > 0 && terms->p[0] == ' ')
		*terms = strv_from(*terms, 1);
	*out = strv_first(*terms, strv_chr(*terms, ' '));
	*terms = strv_from(*terms, out->n);
	return out->n > 0;
}

/* ---- the whole ---- */

/* RFC 7208 6: each of the two at most once. */
static bool
keep_modifier(struct spf_record *r, const struct spf_term *t)
{
	struct strv *where = t->kind == SPF_TERM_REDIRECT ? &r->redirect :
	    t->kind == SPF_TERM_EXP                       ? &r->exp :
							    NULL;

	if (where == NULL)
		return true;
	if (where->p != NULL)
		return false;
	*where = t->domain;
	return true;
}

bool
spf_record_parse(struct strv text, struct spf_record *out, const char **why, struct strv *at)
{
	struct strv     rest = strv_from(text, sizeof("v=spf1") - 1);
	struct spf_term t;

	*out = (struct spf_record){ .terms = rest };
	while (next_word(&rest, at)) {
		if (!read_term(*at, &t, why))
			return false;
		if (!keep_modifier(out, &t)) {
			*why = "given twice";
			return false;
		}
	}
	return true;
}

bool
spf_term_next(struct strv *terms, struct spf_term *out)
{
	const char *why;
	struct strv word;

	return next_word(terms, &word) && read_term(word, out, &why);
}
