/*
 * plain_sender -- `authenticate', `spf', `dkim', `sign', `seal': who a sender is, and who we are.
 *
 * What these say by themselves.  Lists and keys are plain_keys.c's, when the policy is there.
 */
#include "config.h"
#include "filters/auth.h"
#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/base/idn.h"
#include "proxy/base/netset.h"
#include "proxy/plain.h"

#define ID_OCTETS 255

/* ---- authenticate ---------------------------------------------------------------------------- */

static const char *const methods[] = { "spf", "dkim", "dmarc", "arc", NULL };

static void
take_method(struct values *r, struct load *l, unsigned *seen)
{
	const struct conf_value *v = values_peek(r);
	int                      i = values_take_one_of(r, methods, "a method");

	if (i < 0)
		return;
	if (*seen & 1u << i)
		values_error(r, v, "once is enough", "`%s' stands here twice", methods[i]);
	/* DMARC is half DKIM's. */
	if (!HAVE_OPENDKIM && (1u << i & (AUTH_DKIM | AUTH_DMARC)))
		values_error(r, v, NULL, "`%s' is not in this build (libopendkim)", methods[i]);
	*seen |= 1u << i;
	l->s->auth.methods |= 1u << i;
}

/* Is there one more method?  A comma stands before it, or should. */
static bool
more_methods(struct values *r)
{
	const struct conf_value *v = values_peek(r);

	if (v == NULL)
		return false;
	if (v->kind == CONF_COMMA) {
		r->i++;
		return true;
	}
	for (unsigned i = 0; v->kind == CONF_WORD && methods[i] != NULL; i++) {
		if (!strv_eq(v->text, strv_z(methods[i])))
			continue;
		values_error(r, v, "such as: authenticate spf, dkim, dmarc, arc",
		    "a comma is missing in front of `%s'", methods[i]);
		return true;
	}
	return false;
}

/* It stands first in a field's value as a token, without quotes: RFC 8601 2.2, RFC 2045 5.1. */
static bool
is_token(struct strv v)
{
	bool good = v.n > 0 && v.n <= ID_OCTETS && diag_utf8(v) == v.n;

	for (size_t i = 0; good && i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		good = c > ' ' && c != 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL;
	}
	return good;
}

static void
auth_as(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = values_take_text(r, "an authserv-id");

	(void)at;
	((struct load *)obj)->auth_id = v;
	if (v != NULL && !is_token(v->text))
		values_error(r, v, "a name that is yours alone, such as mx.example.com",
		    "%s cannot be an authserv-id", diag_quote(r->a, v->text));
}

static void
auth_trust(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	((struct load *)obj)->auth_trust = plain_take_list(r);
}

void
plain_authenticate(struct values *r, struct load *l)
{
	static const struct option options[] = {
		{ "as", auth_as, 0 },
		{ "trust", auth_trust, 0 },
		{ NULL, NULL, 0 },
	};

	unsigned seen = 0; /* here; a second statement is one mistake */

	do
		take_method(r, l, &seen);
	while (more_methods(r));
	values_options(r, options, l);
}

/* The whole Internet among them: then whoever connects writes results that are taken for ours. */
static void
warn_of_trust(struct load *l, const struct netset *trust)
{
	static const char *const somewhere[] = { "192.0.2.1", "198.51.100.1", "203.0.113.1" };
	struct addr              addr;
	unsigned                 n = 0;

	for (unsigned i = 0; i < 3 && trust != NULL; i++)
		n += addr_parse(strv_z(somewhere[i]), &addr) && netset_has(trust, &addr);
	if (n == 3)
		diag_add(l->d, DIAG_WARNING, l->auth_trust->pos,
		    SV("list the peers that are yours"),
		    "the whole Internet is trusted here: anybody's results would be taken for ours");
}

void
plain_sender(struct load *l)
{
	struct settings     *s = l->s;
	const struct netset *trust = NULL;

	s->auth.id = l->auth_id != NULL ? l->auth_id->text : s->smtp.hostname;
	if (l->auth_trust != NULL)
		trust = policy_networks(s->policy, l->auth_trust, l->d);
	s->smtp.authserv = s->auth.id;
	s->smtp.authserv_trust = trust;
	warn_of_trust(l, trust);
}

/* ---- spf { }, dkim { } ----------------------------------------------------------------------- */

/* Words and their values; the value of a word that is none is passed over. */
static void
take_pairs(struct values *r, const struct option *table, void *obj, const char *what)
{
	const char *words[4] = { NULL };
	unsigned    seen = 0;

	for (unsigned n = 0; table[n].word != NULL; n++)
		words[n] = table[n].word;
	while (values_peek(r) != NULL) {
		const struct conf_value *at = values_peek(r);
		int                      i = values_take_one_of(r, words, what);

		if (i < 0) {
			r->i++;
			continue;
		}
		if (seen >> i & 1)
			values_error(r, at, "once is enough", "`%s' stands here twice", words[i]);
		seen |= 1u << i;
		table[i].take(r, at, obj);
	}
}

static enum spf_engine
take_engine(struct values *r)
{
	static const char *const words[] = { "own", "libspf2", NULL };
	const struct conf_value *v = values_peek(r);
	int                      i = values_take_one_of(r, words, "an engine");

	if (i == 1 && !HAVE_SPF2)
		values_error(r, v, NULL, "`libspf2' is not in this build");
	return i < 0 ? SPF_NONE : i == 0 ? SPF_OWN : SPF_LIBSPF2;
}

static void
spf_engine(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	((struct auth_conf *)obj)->engine = take_engine(r);
}

static void
spf_cross(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	((struct auth_conf *)obj)->cross = take_engine(r);
}

void
plain_spf(struct values *r, struct load *l)
{
	static const struct option table[] = {
		{ "engine", spf_engine, 0 },
		{ "cross-check", spf_cross, 0 },
		{ NULL, NULL, 0 },
	};
	struct auth_conf *a = &l->s->auth;

	take_pairs(r, table, a, "a word of `spf'");
	if (a->cross != SPF_NONE && a->cross == a->engine)
		values_error(r, NULL,
		    a->engine == SPF_OWN ? "spf { engine own  cross-check libspf2 }" :
					   "spf { engine libspf2  cross-check own }",
		    "an engine cannot be checked by itself");
}

static void
dkim_signatures(struct values *r, const struct conf_value *at, void *obj)
{
	uint64_t n;

	(void)at;
	if (values_take_number(r, UNIT_COUNT, 1, SIGNATURES_MAX, &n))
		((struct auth_conf *)obj)->signatures = (unsigned)n;
}

static void
dkim_minimum(struct values *r, const struct conf_value *at, void *obj)
{
	uint64_t n;

	(void)at;
	if (values_take_number(r, UNIT_COUNT, MINIMUM_KEY_DEFAULT, CRYPT_RSA_MAX, &n))
		((struct auth_conf *)obj)->minimum_key = (unsigned)n;
}

/* RFC 6376 3.5 c= */
static void
dkim_canonicalization(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = values_take_word(r, "the forms of header and body");
	struct auth_conf        *a = obj;

	(void)at;
	/* In a signature `relaxed' alone leaves the body simple: nobody who writes it means that. */
	if (v != NULL &&
	    (strv_chr(v->text, '/') == v->text.n ||
		!canon_parse(v->text, &a->sign_header, &a->sign_body)))
		values_error(r, v,
		    "relaxed/relaxed, relaxed/simple, simple/relaxed or simple/simple",
		    "%s is no canonicalization", diag_quote(r->a, v->text));
}

void
plain_dkim(struct values *r, struct load *l)
{
	static const struct option table[] = {
		{ "signatures", dkim_signatures, 0 },
		{ "minimum-key", dkim_minimum, 0 },
		{ "canonicalization", dkim_canonicalization, 0 },
		{ NULL, NULL, 0 },
	};

	take_pairs(r, table, &l->s->auth, "a word of `dkim'");
}

/* ---- sign, seal ------------------------------------------------------------------------------ */

/* sub-domain *( "." sub-domain ): RFC 6376 3.1.  Signers of the field use _ as well. */
static bool
is_selector(struct strv v)
{
	size_t label = 0;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];
		bool edge = i + 1 == v.n || v.p[i + 1] == '.' || label == 0;

		if (c == '.' && label > 0) {
			label = 0;
			continue;
		}
		if ((!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '_' && (c != '-' || edge)) ||
		    ++label > 63)
			return false;
	}
	return label > 0 && v.n <= 200;
}

static void
seal_selector(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = values_take_text(r, "a selector");
	char                     buf[IDN_OCTETS];

	(void)at;
	((struct seal_said *)obj)->selector = v;
	if (v == NULL)
		return;
	if (strv_iends(v->text, SV("._domainkey")) || strv_ieq(v->text, SV("_domainkey")))
		values_error(r, v, "the part in front of that: s1 of s1._domainkey.example.com",
		    "`_domainkey' is added to the selector, it is no part of it");
	else if (!is_selector(idn_domain(v->text, buf)))
		values_error(r, v,
		    "such as s1 or 2026.mx: its record stands at s1._domainkey of the domain",
		    "%s cannot be a selector", diag_quote(r->a, v->text));
}

static void
seal_key(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = values_peek(r);

	(void)at;
	if (plain_take_path(r, "a file") != NULL)
		((struct seal_said *)obj)->key = v;
}

static struct seal_said *
add_seal(struct values *r, struct load *l)
{
	l->seal = arena_grow(l->a, l->seal, &l->max_seal, l->n_seal + 1, sizeof(*l->seal));
	if (l->n_seal == SIGN_RULES_MAX)
		values_error(
		    r, NULL, NULL, "more than %d `sign' and `seal' together", SIGN_RULES_MAX);
	l->seal[l->n_seal] = (struct seal_said){ .st = r->st };
	return &l->seal[l->n_seal++];
}

static void
take_key(struct values *r, struct seal_said *x, const char *form)
{
	static const struct option options[] = {
		{ "selector", seal_selector, 0 },
		{ "key", seal_key, 0 },
		{ NULL, NULL, 0 },
	};
	unsigned errors = r->d->errors;

	values_options(r, options, x);
	if (r->d->errors > errors)
		return;
	if (x->selector == NULL)
		values_error(r, NULL, form, "the selector is missing");
	if (x->key == NULL)
		values_error(r, NULL, form, "the key is missing");
}

void
plain_sign(struct values *r, struct load *l)
{
	static const char        form[] = "sign LIST selector NAME key \"FILE\"";
	struct seal_said        *x = add_seal(r, l);
	const struct conf_value *v = values_take(r, "a list of domains");

	if (v != NULL && v->kind != CONF_SET && v->kind != CONF_WORD)
		values_error(r, v, "such as { example.com }, or the name of a domains list",
		    "a list of domains is expected here");
	else
		x->who = v;
	if (v != NULL)
		take_key(r, x, form);
}

/* Letters, digits, hyphens and a dot; U-labels where they have A-labels. */
static bool
is_domain(struct strv v)
{
	return is_selector(v) && strv_chr(v, '.') < v.n;
}

void
plain_seal(struct values *r, struct load *l)
{
	static const char        form[] = "seal DOMAIN selector NAME key \"FILE\"";
	struct seal_said        *x = add_seal(r, l);
	const struct conf_value *v = values_take_text(r, "a domain");
	char                     buf[IDN_OCTETS];

	x->seal = true;
	x->who = v;
	if (v == NULL) {
		r->i = r->st->n;
		return;
	}
	if (!is_domain(idn_domain(v->text, buf)))
		values_error(r, v, "the domain that answers for the seal, such as example.com",
		    "%s is no domain", diag_quote(r->a, v->text));
	take_key(r, x, form);
}
