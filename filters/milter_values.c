/*
 * milter_values -- what the macros of a milter are worth: from the session, the envelope, the message and the facts.
 *
 * Which are sent where, and how they are called, is milter_macros.c's.  Only names of clients and results of
 * `authenticate' are asked for, as facts; all else is at hand.  The invariant: what nobody knows is absent, or has a
 * word that says so (TEMP, temperror).
 */
#include "config.h"

#include "filters/milter_macros_own.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"

#define RESULTS_MAX 64 /* of one method */

enum asked { F_SPF, F_DKIM, F_DMARC, F_ARC, F_NAME, F_RDNS, F_MAX };

static const char *const facts[F_MAX] = { "spf.result", "dkim.result", "dmarc.result", "arc.result",
	"client.name", "client.rdns" };

/* In the order of the macros, from M_AUTHRES_SPF on. */
static const struct result {
	enum asked  fact;
	const char *name;
} results[] = {
	{ F_SPF, "spf" },
	{ F_DKIM, "dkim" },
	{ F_DMARC, "dmarc" },
	{ F_ARC, "arc" },
};

/* ---- facts ---- */

/* Numbers are looked up once: a registry has the same ones for as long as it lives. */
MAY_YIELD static enum wait_rc
get(const struct mail *m, enum asked which, struct fact **f)
{
	static unsigned numbers[F_MAX]; /* from 1 */
	unsigned        n;

	if (numbers[which] == 0)
		numbers[which] = registry_number(facts[which]) + 1;
	return fact_get(m->facts, registry_facts(&n), numbers[which] - 1, 0, strv(NULL, 0), f);
}

/* Absent: there is none, or nobody could tell. */
MAY_YIELD static enum wait_rc
get_text(const struct mail *m, enum asked which, struct strv *out, bool *unknown)
{
	struct fact *f;
	enum wait_rc rc = get(m, which, &f);

	*out = strv(NULL, 0);
	*unknown = rc == WAIT_OK && f->state != FACT_KNOWN;
	if (rc == WAIT_OK && f->state == FACT_KNOWN)
		*out = f->v.text;
	return rc;
}

static struct strv
text_of(struct arena *a, const struct addr *addr)
{
	char text[ADDR_TEXT];

	if (addr->family != ADDR_IP4 && addr->family != ADDR_IP6)
		return strv(NULL, 0);
	return arena_dup(a, addr_print(addr, text));
}

MAY_YIELD enum wait_rc
milter_client_name(struct arena *a, const struct mail *m, struct strv *out)
{
	char         text[ADDR_TEXT];
	struct strv  ip;
	bool         unknown;
	enum wait_rc rc = get_text(m, F_NAME, out, &unknown);

	if (rc != WAIT_OK || out->n > 0)
		return rc;
	ip = addr_print(&m->client->addr.addr, text);
	*out = arena_printf(a, "[%.*s]", (int)ip.n, ip.p);
	return WAIT_OK;
}

/* Several of a method are told as they stand in Authentication-Results, with "; " between them. */
MAY_YIELD static enum wait_rc
get_result(struct arena *a, const struct mail *m, const struct result *r, struct strv *out)
{
	struct fact *f;
	enum wait_rc rc = get(m, r->fact, &f);
	unsigned     n;

	if (rc != WAIT_OK)
		return rc;
	if (f->state != FACT_KNOWN || f->v.texts.n == 0) {
		const char *word = f->state == FACT_KNOWN ? "none" : "temperror";

		*out = arena_printf(a, "%s=%s", r->name, word);
		return WAIT_OK;
	}
	*out = f->v.texts.v[0];
	n = f->v.texts.n < RESULTS_MAX ? f->v.texts.n : RESULTS_MAX;
	for (unsigned i = 1; i < n; i++)
		*out = arena_concat(a, arena_concat(a, *out, SV("; ")), f->v.texts.v[i]);
	return WAIT_OK;
}

/* ---- values ---- */

static struct strv
number(struct arena *a, uint64_t v)
{
	char buf[STRV_NUMBER];

	return arena_dup(a, strv_print_number(v, buf));
}

/* libmilter's documents, "AUTH= parameter of MAIL": who the client acts for. */
static struct strv
author(const struct mail *m)
{
	if (m->client->auth_author.p != NULL || m->env == NULL)
		return m->client->auth_author;
	for (unsigned i = 0; i < m->env->params.n; i++)
		if (strv_ieq(m->env->params.v[i].name, SV("AUTH")))
			return m->env->params.v[i].value;
	return strv(NULL, 0);
}

static struct strv
message_id(const struct mail *m)
{
	const struct header *h = m->msg != NULL ? message_find(m->msg, SV("Message-ID"), 0) : NULL;
	struct strv          v = h != NULL ? strv_trim_folds(header_value(h)) : strv(NULL, 0);

	return v.n > 0 && memchr(v.p, '\r', v.n) == NULL ? v : strv(NULL, 0);
}

/* Sendmail, confMILTER_MACROS_ENVRCPT: of one that is refused, the mailer is "error", and the rest says why. */
static struct strv
of_recipient(const struct milter_ask *ask, enum macro which)
{
	const struct envelope *env = ask->mail->env;
	const struct rcpt     *r;

	if (env == NULL || ask->rcpt >= env->n_rcpt)
		return strv(NULL, 0);
	r = &env->rcpt[ask->rcpt];
	if (which == M_RCPT_MAILER)
		return ask->refused ? SV("error") : SV("smtp");
	if (!ask->refused)
		return which == M_RCPT_HOST ? r->to.domain : path_text(&r->to);
	if (!verdict_final(&r->said))
		return which == M_RCPT_HOST ? SV("5.1.1") : SV("refused by the mail server behind");
	return which == M_RCPT_HOST ? strv_z(verdict_enh(&r->said)) : verdict_text(&r->said);
}

static struct strv
of_sender(const struct mail *m, enum macro which)
{
	if (m->env == NULL)
		return strv(NULL, 0);
	if (which == M_MAIL_MAILER)
		return SV("smtp");
	return which == M_MAIL_HOST ? m->env->from.domain : path_text(&m->env->from);
}

/* Sendmail's four words. */
MAY_YIELD static enum wait_rc
resolve(const struct mail *m, struct strv *out)
{
	struct strv  name, ptr;
	bool         unknown, also;
	enum wait_rc rc = get_text(m, F_NAME, &name, &unknown);

	if (rc == WAIT_OK)
		rc = get_text(m, F_RDNS, &ptr, &also);
	if (rc != WAIT_OK)
		return rc;
	*out = name.n > 0 ? SV("OK") : unknown ? SV("TEMP") : ptr.n > 0 ? SV("FORGED") : SV("FAIL");
	return WAIT_OK;
}

/* "name [192.0.2.1]", or the address alone. */
MAY_YIELD static enum wait_rc
name_and_address(struct arena *a, const struct mail *m, struct strv *out)
{
	char         text[ADDR_TEXT];
	struct strv  ip;
	enum wait_rc rc = milter_client_name(a, m, out);

	if (rc != WAIT_OK || out->p[0] == '[')
		return rc;
	ip = addr_print(&m->client->addr.addr, text);
	*out = arena_printf(a, "%.*s [%.*s]", (int)out->n, out->p, (int)ip.n, ip.p);
	return WAIT_OK;
}

static struct strv
of_connection(struct arena *a, const struct milter_ask *ask, enum macro which)
{
	const struct client *c = ask->mail->client;

	switch (which) {
	case M_j:
	case M_IF_NAME:
		return ask->conf->hostname;
	case M_DAEMON_NAME:
		return c->listener;
	case M_DAEMON_ADDR:
	case M_IF_ADDR:
		return text_of(a, &c->local.addr);
	case M_DAEMON_PORT:
		return c->local.port > 0 ? number(a, c->local.port) : strv(NULL, 0);
	case M_v:
		return SV("Postern " VERSION);
	case M_CLIENT_ADDR:
		return text_of(a, &c->addr.addr);
	case M_CLIENT_PORT:
		return c->addr.port > 0 ? number(a, c->addr.port) : strv(NULL, 0);
	case M_s:
		return c->helo;
	default:
		return strv(NULL, 0);
	}
}

static struct strv
of_identity(struct arena *a, const struct milter_ask *ask, enum macro which)
{
	const struct client *c = ask->mail->client;

	switch (which) {
	case M_TLS_VERSION:
		return c->tls.version;
	case M_CIPHER:
		return c->tls.cipher;
	case M_CIPHER_BITS:
		return c->tls.on ? number(a, c->tls.bits) : strv(NULL, 0);
	case M_CERT_SUBJECT:
		return c->tls.client_cert;
	case M_CERT_ISSUER:
		return c->tls.client_issuer;
	case M_TLS_SNI:
		return c->tls.sni;
	case M_AUTH_TYPE:
		return c->auth_mechanism;
	case M_AUTH_AUTHEN:
		return c->auth_user;
	case M_AUTH_AUTHOR:
		return author(ask->mail);
	default:
		return strv(NULL, 0);
	}
}

/* Those that nobody need be asked for. */
static struct strv
at_hand(struct arena *a, const struct milter_ask *ask, enum macro which)
{
	const struct mail *m = ask->mail;
	struct strv        v;

	switch (which) {
	case M_OWN_SESSION:
		return strv_z(m->session);
	case M_OWN_MESSAGE:
	case M_i:
		return strv_z(m->id);
	case M_MAIL_MAILER:
	case M_MAIL_HOST:
	case M_MAIL_ADDR:
		return of_sender(m, which);
	case M_RCPT_MAILER:
	case M_RCPT_HOST:
	case M_RCPT_ADDR:
		return of_recipient(ask, which);
	case M_MSG_ID:
		return message_id(m);
	default:
		v = of_connection(a, ask, which);
		return v.p != NULL ? v : of_identity(a, ask, which);
	}
}

MAY_YIELD enum wait_rc
milter_macro_value(
    struct arena *a, const struct milter_ask *ask, enum macro which, struct strv *out)
{
	const struct mail *m = ask->mail;
	bool               unknown;

	switch (which) {
	case M_CLIENT:
		return name_and_address(a, m, out);
	case M_CLIENT_NAME:
		return milter_client_name(a, m, out);
	case M_CLIENT_PTR:
		return get_text(m, F_RDNS, out, &unknown);
	case M_CLIENT_RESOLVE:
		return resolve(m, out);
	case M_AUTHRES_SPF:
	case M_AUTHRES_DKIM:
	case M_AUTHRES_DMARC:
	case M_AUTHRES_ARC:
		return get_result(a, m, &results[which - M_AUTHRES_SPF], out);
	default:
		*out = at_hand(a, ask, which);
		return WAIT_OK;
	}
}
