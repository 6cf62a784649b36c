/*
 * milter_macros -- the macros of a milter: names of Sendmail's that filters ask for.
 *
 * Which are sent where is Sendmail's and Postfix's default tables together; what of them we know nothing of is left
 * out.  A set is a word of bits, so that nothing is parsed or searched while a message is told.  The invariant: a
 * value holds no NUL, which would end it early in a packet.
 */
#include "config.h"

#include "filters/auth.h"
#include "filters/milter.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"

/* name, function: what it is called, without braces. */
#define MACROS(X) \
	X(OWN_MESSAGE, "postern_id") \
	X(OWN_SESSION, "postern_id") \
	X(j, "j") \
	X(CLIENT, "_") \
	X(DAEMON_NAME, "daemon_name") \
	X(DAEMON_ADDR, "daemon_addr") \
	X(DAEMON_PORT, "daemon_port") \
	X(IF_NAME, "if_name") \
	X(IF_ADDR, "if_addr") \
	X(v, "v") \
	X(CLIENT_ADDR, "client_addr") \
	X(CLIENT_NAME, "client_name") \
	X(CLIENT_PORT, "client_port") \
	X(CLIENT_PTR, "client_ptr") \
	X(CLIENT_RESOLVE, "client_resolve") \
	X(TLS_VERSION, "tls_version") \
	X(CIPHER, "cipher") \
	X(CIPHER_BITS, "cipher_bits") \
	X(CERT_SUBJECT, "cert_subject") \
	X(CERT_ISSUER, "cert_issuer") \
	X(TLS_SNI, "tls_sni") \
	X(s, "s") \
	X(i, "i") \
	X(AUTH_TYPE, "auth_type") \
	X(AUTH_AUTHEN, "auth_authen") \
	X(AUTH_AUTHOR, "auth_author") \
	X(MAIL_MAILER, "mail_mailer") \
	X(MAIL_HOST, "mail_host") \
	X(MAIL_ADDR, "mail_addr") \
	X(RCPT_MAILER, "rcpt_mailer") \
	X(RCPT_HOST, "rcpt_host") \
	X(RCPT_ADDR, "rcpt_addr") \
	X(MSG_ID, "msg_id") \
	X(AUTHRES_SPF, "authres_spf") \
	X(AUTHRES_DKIM, "authres_dkim") \
	X(AUTHRES_DMARC, "authres_dmarc") \
	X(AUTHRES_ARC, "authres_arc")

enum macro {
#define X(name, word) M_##name,
	MACROS(X)
#undef X
	    M_MAX
};

static const struct strv names[M_MAX] = {
/* As they are sent: with braces where they are longer than a letter. */
#define X(name, word) \
	[M_##name] = { sizeof(word) == 2 ? word : "{" word "}", \
		sizeof(word) == 2 ? 1 : sizeof(word) + 1 },
	MACROS(X)
#undef X
};

#define BIT(name) ((uint64_t)1 << M_##name)
#define RESULTS   (BIT(AUTHRES_SPF) | BIT(AUTHRES_DKIM) | BIT(AUTHRES_DMARC) | BIT(AUTHRES_ARC))

/* Sendmail's confMILTER_MACROS_* and Postfix's milter_*_macros. */
static const uint64_t defaults[MILTER_PLACES] = {
	[MILTER_AT_CONNECT] = BIT(j) | BIT(CLIENT) | BIT(DAEMON_NAME) | BIT(DAEMON_ADDR) |
	    BIT(IF_NAME) | BIT(IF_ADDR) | BIT(v),
	[MILTER_AT_HELO] = BIT(TLS_VERSION) | BIT(CIPHER) | BIT(CIPHER_BITS) | BIT(CERT_SUBJECT) |
	    BIT(CERT_ISSUER),
	[MILTER_AT_MAIL] = BIT(i) | BIT(AUTH_TYPE) | BIT(AUTH_AUTHEN) | BIT(AUTH_AUTHOR) |
	    BIT(MAIL_MAILER) | BIT(MAIL_HOST) | BIT(MAIL_ADDR),
	[MILTER_AT_RCPT] = BIT(i) | BIT(RCPT_MAILER) | BIT(RCPT_HOST) | BIT(RCPT_ADDR),
	[MILTER_AT_DATA] = BIT(i),
	[MILTER_AT_EOH] = BIT(i) | RESULTS,
	[MILTER_AT_EOM] = BIT(i) | BIT(MSG_ID) | RESULTS,
};

enum asked { F_SPF, F_DKIM, F_DMARC, F_ARC, F_NAME, F_RDNS, F_MAX };

static const char *const facts[F_MAX] = { "spf.result", "dkim.result", "dmarc.result", "arc.result",
	"client.name", "client.rdns" };

static const struct result {
	enum macro  macro;
	unsigned    method;
	enum asked  fact;
	const char *name;
} results[] = {
	{ M_AUTHRES_SPF, AUTH_SPF, F_SPF, "spf" },
	{ M_AUTHRES_DKIM, AUTH_DKIM, F_DKIM, "dkim" },
	{ M_AUTHRES_DMARC, AUTH_DMARC, F_DMARC, "dmarc" },
	{ M_AUTHRES_ARC, AUTH_ARC, F_ARC, "arc" },
};

enum { N_RESULTS = sizeof(results) / sizeof(results[0]), RESULTS_MAX = 64 };

/* Where both are told at once the first counts (libmilter, smfi_getsymval): the message's. */
uint64_t
milter_macros_own(enum milter_place at)
{
	return at == MILTER_AT_CONNECT ? BIT(OWN_SESSION) :
	    at == MILTER_AT_MAIL       ? BIT(OWN_MESSAGE) :
					 0;
}

/* Nobody asks for what is ours. */
static uint64_t
find_name(struct strv word)
{
	if (word.n > 2 && word.p[0] == '{' && word.p[word.n - 1] == '}')
		word = strv(word.p + 1, word.n - 2);
	for (unsigned i = M_OWN_SESSION + 1; i < M_MAX; i++) {
		struct strv name = names[i];

		if (name.n > 1)
			name = strv(name.p + 1, name.n - 2);
		if (strv_eq(name, word))
			return (uint64_t)1 << i;
	}
	return 0;
}

uint64_t
milter_macros_set(enum milter_place at, struct strv wanted, unsigned methods)
{
	uint64_t set = wanted.p == NULL ? defaults[at] : 0;

	while (wanted.n > 0) {
		struct strv word = strv_word(&wanted);

		set |= find_name(word);
	}
	for (unsigned i = 0; i < N_RESULTS; i++)
		if (!(methods & results[i].method))
			set &= ~((uint64_t)1 << results[i].macro);
	return set;
}

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

MAY_YIELD static enum wait_rc
value_of(struct arena *a, const struct milter_ask *ask, enum macro which, struct strv *out)
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
	case M_OWN_SESSION:
		*out = strv_z(m->session);
		return WAIT_OK;
	case M_OWN_MESSAGE:
	case M_i:
		*out = strv_z(m->id);
		return WAIT_OK;
	case M_MAIL_MAILER:
	case M_MAIL_HOST:
	case M_MAIL_ADDR:
		*out = of_sender(m, which);
		return WAIT_OK;
	case M_RCPT_MAILER:
	case M_RCPT_HOST:
	case M_RCPT_ADDR:
		*out = of_recipient(ask, which);
		return WAIT_OK;
	case M_MSG_ID:
		*out = message_id(m);
		return WAIT_OK;
	case M_AUTHRES_SPF:
	case M_AUTHRES_DKIM:
	case M_AUTHRES_DMARC:
	case M_AUTHRES_ARC:
		return get_result(a, m, &results[which - M_AUTHRES_SPF], out);
	default:
		*out = of_connection(a, ask, which);
		if (out->p == NULL)
			*out = of_identity(a, ask, which);
		return WAIT_OK;
	}
}

MAY_YIELD enum wait_rc
milter_macros(
    struct arena *a, const struct milter_ask *ask, uint64_t set, struct milter_macros *out)
{
	struct milter_macro *v;
	unsigned             n = 0;

	*out = (struct milter_macros){ 0 };
	if (set == 0)
		return WAIT_OK;
	v = arena_alloc(a, (unsigned)__builtin_popcountll(set) * sizeof(*v));
	for (; set != 0; set &= set - 1) {
		unsigned     which = (unsigned)__builtin_ctzll(set);
		struct strv  value = { NULL, 0 };
		enum wait_rc rc = value_of(a, ask, which, &value);

		if (rc != WAIT_OK)
			return rc;
		if (value.p == NULL)
			continue;
		v[n++] =
		    (struct milter_macro){ names[which], strv_first(value, strv_chr(value, '\0')) };
	}
	*out = (struct milter_macros){ v, n };
	return WAIT_OK;
}
