/*
 * show_sender -- what was understood of `authenticate', `spf', `dkim', `sign' and `seal' (plain_sender.c), for show.c.
 *
 * Domains with keys are counted, not listed: a folder may have thousands of them.
 */
#include "proxy/show_own.h"

#include "proxy/base/crypt.h"

static const char *
engine_name(enum spf_engine e)
{
	return e == SPF_LIBSPF2 ? "libspf2" : "Postern's own";
}

static void
show_authenticate(struct show *o)
{
	static const char *const words[] = { "SPF", "DKIM", "DMARC", "ARC" };
	const struct auth_conf  *c = &o->s->auth;
	const char              *between = " ";

	if (c->methods == 0)
		return;
	buf_printf(&o->line, "authenticate");
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if ((c->methods & 1u << i) == 0)
			continue;
		buf_printf(&o->line, "%s%s", between, words[i]);
		between = ", ";
	}
	buf_printf(&o->line, " of every message, told as %.*s", (int)c->id.n, c->id.p);
	show_add_if(
	    o, o->s->smtp.authserv_trust != NULL, "; fields of that name are kept from some peers");
	show_end_line(o);
}

/* What is as by default is nothing to speak of. */
static void
show_engines(struct show *o)
{
	const struct auth_conf *c = &o->s->auth;

	if (c->engine != SPF_OWN || c->cross != SPF_NONE) {
		buf_printf(&o->line, "spf          %s engine", engine_name(c->engine));
		if (c->cross != SPF_NONE)
			buf_printf(&o->line, ", checked by %s", engine_name(c->cross));
		show_end_line(o);
	}
	if (c->signatures == SIGNATURES_DEFAULT && c->minimum_key == MINIMUM_KEY_DEFAULT)
		return;
	buf_printf(&o->line,
	    "dkim         at most %u signatures of a message, RSA keys of %u bits or more",
	    c->signatures, c->minimum_key);
	show_end_line(o);
}

static void
show_kind(struct show *o, const struct sign_key *k)
{
	if (crypt_key_kind(k->key) == CRYPT_ED25519)
		buf_printf(&o->line, "Ed25519");
	else
		buf_printf(&o->line, "RSA of %u bits", crypt_key_bits(k->key));
}

static bool
same_kind(const struct sign_rule *r)
{
	for (unsigned i = 1; i < r->n_key; i++) {
		if (crypt_key_kind(r->key[i].key) != crypt_key_kind(r->key[0].key) ||
		    crypt_key_bits(r->key[i].key) != crypt_key_bits(r->key[0].key))
			return false;
	}
	return true;
}

static void
show_domain(struct show *o, const struct sign_key *k)
{
	buf_printf(&o->line, "%.*s%s", (int)k->domain.n, k->domain.p,
	    !k->below    ? "" :
		k->exact ? " and below" :
			   " (below it)");
}

static void
show_rule(struct show *o, const struct sign_rule *r, const char *word)
{
	buf_printf(&o->line, "%-12s selector %.*s for ", word, (int)r->selector.n, r->selector.p);
	if (r->n_key == 1)
		show_domain(o, &r->key[0]);
	else
		buf_printf(&o->line, "%u domains", r->n_key);
	if (r->n_key > 0) {
		buf_printf(&o->line, ", ");
		if (same_kind(r))
			show_kind(o, &r->key[0]);
		else
			buf_printf(&o->line, "keys of several kinds");
	}
	show_end_line(o);
}

void
show_sender(struct show *o)
{
	const struct auth_conf *c = &o->s->auth;

	show_authenticate(o);
	show_engines(o);
	for (unsigned i = 0; i < c->n_sign; i++)
		show_rule(o, &c->sign[i], "sign");
	for (unsigned i = 0; i < c->n_seal; i++)
		show_rule(o, &c->seal[i], "seal");
}
