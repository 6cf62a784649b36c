/*
 * show -- what was understood of the plain statements, for `postern check`.
 *
 * For people: what is as by default is left out, but for what a postmaster would ask at once.
 */
#include "proxy/show.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/crypt.h"
#include "proxy/judge.h"
#include "proxy/values.h"

#define LINE_MAX_N 8192

struct show {
	const struct settings *s;
	struct arena          *a;
	struct buf             line;
	void (*emit)(struct strv line, void *arg);
	void *arg;
};

static void
end_line(struct show *o)
{
	o->emit(buf_view(&o->line), o->arg);
	buf_clear(&o->line);
}

static void
add_if(struct show *o, bool when, const char *text)
{
	if (when)
		buf_add(&o->line, strv_z(text));
}

/* ---- listeners and certificates -------------------------------------------------------------- */

static void
show_auth(struct show *o, const struct listener *l)
{
	add_if(o, l->require_auth, ", AUTH required");
	add_if(o, l->auth_plain, ", AUTH without TLS");
	add_if(o, l->xclient_from != NULL && !l->xclient_login, ", XCLIENT of some peers");
	add_if(
	    o, l->xclient_from != NULL && l->xclient_login, ", XCLIENT with LOGIN of some peers");
}

static void
show_listener(struct show *o, const struct listener *l)
{
	char        text[ENDPOINT_TEXT];
	struct strv at = endpoint_print(&l->at, text), pool = o->s->smtp.pool[l->pool].name;

	buf_printf(&o->line, "listen       %.*s", (int)at.n, at.p);
	if (!strv_eq(l->name, at))
		buf_printf(&o->line, " name %.*s", (int)l->name.n, l->name.p);
	if (l->tls)
		add_if(o, true, ", TLS from the first octet");
	else if (l->context != NULL)
		add_if(o, true, l->require_tls ? ", STARTTLS required" : ", STARTTLS");
	add_if(o, l->proxy_from != NULL, ", PROXY header of some peers");
	show_auth(o, l);
	if (o->s->smtp.n_pool > 1)
		buf_printf(&o->line, ", to pool %.*s", (int)pool.n, pool.p);
	end_line(o);
}

static void
show_certificate(struct show *o, const struct certificate *c)
{
	struct strv day = day_print(o->a, c->ends);

	buf_printf(&o->line, "certificate  %s", c->path);
	if (c->names.p != NULL)
		buf_printf(&o->line, " for %.*s", (int)c->names.n, c->names.p);
	buf_printf(&o->line, ", ends on %.*s", (int)day.n, day.p);
	end_line(o);
}

/* ---- servers --------------------------------------------------------------------------------- */

static void
show_tls(struct show *o, const struct server *s)
{
	static const char *const words[] = { "", "where offered", "required",
		"required and verified" };
	const char              *ca = NULL;

	/* Plain text on loopback or a socket is nothing to speak of. */
	if (s->tls == TLS_USE_OFF) {
		add_if(o, s->at.addr.family != ADDR_UNIX && !addr_is_loopback(&s->at.addr),
		    ", without TLS");
		return;
	}
	buf_printf(&o->line, ", TLS %s", words[s->tls]);
	if (s->tls != TLS_USE_VERIFY)
		return;
	buf_printf(&o->line, " for %.*s", (int)s->tls_name.n, s->tls_name.p);
	for (unsigned i = 0; i < o->s->n_client; i++)
		if (o->s->client[i].context == s->context)
			ca = o->s->client[i].ca;
	buf_printf(&o->line, " by %s", ca == NULL ? "the CAs of the system" : ca);
}

static void
show_connections(struct show *o, const struct server *s)
{
	buf_printf(&o->line, ", at most %u connections", s->connections);
	if (s->auth_connections != s->connections)
		buf_printf(&o->line, " and %u with AUTH", s->auth_connections);
}

static void
show_server(struct show *o, const struct server *s, bool alone)
{
	static const char *const identity[] = { "", ", told by XCLIENT who the client is",
		", told by XFORWARD who the client is", ", with a PROXY header (v1)",
		", with a PROXY header (v2)" };

	buf_printf(
	    &o->line, "    %s%.*s", s->kind == HOP_LMTP ? "LMTP " : "", (int)s->name.n, s->name.p);
	if (!alone || s->weight != 1)
		buf_printf(&o->line, " weight %u", s->weight);
	add_if(o, s->backup, ", backup");
	add_if(o, true, identity[s->identity]);
	show_tls(o, s);
	show_connections(o, s);
	add_if(o, s->eager, ", eager");
	add_if(o, s->no_chunking, ", no chunking");
	add_if(o, s->no_streaming, ", no streaming");
	end_line(o);
}

static void
show_pool(struct show *o, const struct pool_conf *p)
{
	buf_printf(&o->line, "pool         %.*s", (int)p->name.n, p->name.p);
	end_line(o);
	if (p->kind == HOP_MAILDIR) {
		buf_printf(&o->line, "    Maildir %s", p->server->dir);
		end_line(o);
		return;
	}
	for (unsigned i = 0; i < p->n_server; i++)
		show_server(o, &p->server[i], p->n_server == 1);
}

/* ---- who a sender is, and who we are -------------------------------------------------------------- */

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
	add_if(
	    o, o->s->smtp.authserv_trust != NULL, "; fields of that name are kept from some peers");
	end_line(o);
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
		end_line(o);
	}
	if (c->signatures == SIGNATURES_DEFAULT && c->minimum_key == MINIMUM_KEY_DEFAULT)
		return;
	buf_printf(&o->line,
	    "dkim         at most %u signatures of a message, RSA keys of %u bits or more",
	    c->signatures, c->minimum_key);
	end_line(o);
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
	end_line(o);
}

static void
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

/* ---- milters --------------------------------------------------------------------------------- */

static void
show_home(struct show *o, const struct milter_conf *m)
{
	char        text[ENDPOINT_TEXT];
	struct strv at = endpoint_print(&m->at, text);

	if (m->home == HOME_DAEMON)
		buf_printf(&o->line, " at %.*s", (int)at.n, at.p);
	else
		buf_printf(&o->line, " %s, %s", m->file,
		    m->home == HOME_ISOLATED ? "in a process of its own" :
					       "in the processes of Postern");
	if (m->n_args > 0)
		buf_printf(
		    &o->line, ", %u %s", m->n_args, m->n_args == 1 ? "argument" : "arguments");
}

/* What becomes of a message then. */
static const char *const failures[] = { [FAILURE_TEMPFAIL] = "451",
	[FAILURE_ACCEPT] = "as if it were not there",
	[FAILURE_REJECT] = "550",
	[FAILURE_QUARANTINE] = "quarantine",
	[FAILURE_DISCONNECT] = "421 and the end" };

static void
show_milter(struct show *o, const struct milter_conf *m, const struct policy_milter *p)
{
	struct strv ask = unit_print(o->a, UNIT_TIME, m->timeout_short),
		    end = unit_print(o->a, UNIT_TIME, m->timeout);

	buf_printf(
	    &o->line, "%-12s %.*s", p->plugin ? "plugin" : "milter", (int)m->name.n, m->name.p);
	show_home(o, m);
	buf_printf(
	    &o->line, ", %.*s an answer, %.*s the last one", (int)ask.n, ask.p, (int)end.n, end.p);
	add_if(o, p->conditional, ", not of every message");
	add_if(o, p->warn, ", only logged");
	buf_printf(&o->line, "; if it fails: %s", failures[p->on_failure]);
	end_line(o);
}

static void
show_milters(struct show *o)
{
	const struct settings *s = o->s;
	struct strv            within = unit_print(
		       o->a, UNIT_TIME, s->decide_within > 0 ? s->decide_within : DECIDE_WITHIN);

	for (unsigned i = 0; i < s->milters.n; i++)
		show_milter(o, &s->milters.v[i], policy_milter(s->policy, i));
	if (s->milters.n > 0 || s->decide_within > 0) {
		buf_printf(&o->line, "decided      %.*s behind the end of a message at the latest",
		    (int)within.n, within.p);
		end_line(o);
	}
	if (s->milters.n > 0 && s->smtp.quarantine == NULL) {
		buf_printf(&o->line,
		    "             what a milter wants in quarantine gets 451: there is no folder for it");
		end_line(o);
	}
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void
show_limits(struct show *o, const struct limits *m)
{
	struct strv text;

#define X(field, word, value, unit, about) \
	text = unit_print(o->a, \
	    #unit[0] == 's'     ? UNIT_TIME : \
		#unit[0] == 'b' ? UNIT_SIZE : \
				  UNIT_COUNT, \
	    m->field); \
	if (m->field != (value)) { \
		buf_printf(&o->line, "limit        %s %.*s", word, (int)text.n, text.p); \
		end_line(o); \
	}
	LIMITS(X)
#undef X
}

static void
show_quarantine(struct show *o)
{
	const struct smtp_conf *c = &o->s->smtp;
	struct strv             most = unit_print(o->a, UNIT_SIZE, c->quarantine_max);

	if (c->quarantine == NULL)
		return;
	buf_printf(&o->line, "quarantine   Maildir %s", c->quarantine);
	if (c->quarantine_max > 0)
		buf_printf(&o->line, ", at most %.*s", (int)most.n, most.p);
	end_line(o);
}

/* Those of the system are nothing to speak of. */
static void
show_resolver(struct show *o)
{
	const struct resolver_conf *c = &o->s->resolver;
	char                        text[ENDPOINT_TEXT];
	struct strv                 at;

	if (c->n == 0)
		return;
	buf_printf(&o->line, "resolver    ");
	for (unsigned i = 0; i < c->n; i++) {
		at = endpoint_print(&c->forward[i], text);
		buf_printf(&o->line, " %.*s", (int)at.n, at.p);
	}
	end_line(o);
}

static void
show_process(struct show *o)
{
	static const char *const logs[] = { "standard error", "syslog", "file " };
	const struct settings   *s = o->s;
	struct strv              drain = unit_print(o->a, UNIT_TIME, s->drain);

	if (s->workers > 0)
		buf_printf(&o->line, "workers      %u", s->workers);
	else
		buf_printf(&o->line, "workers      one a core");
	if (s->user != NULL)
		buf_printf(&o->line, " as %s", s->user);
	buf_printf(&o->line, ", drain %.*s", (int)drain.n, drain.p);
	end_line(o);
	buf_printf(
	    &o->line, "log          %s%s", logs[s->log], s->log == LOG_FILE ? s->log_file : "");
	end_line(o);
}

void
show_settings(
    const struct settings *s, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct show o = { .s = s, .a = a, .emit = emit, .arg = arg };

	buf_init(&o.line, LINE_MAX_N);
	buf_printf(&o.line, "hostname     %.*s", (int)s->smtp.hostname.n, s->smtp.hostname.p);
	end_line(&o);
	for (unsigned i = 0; i < s->n_listener; i++)
		show_listener(&o, &s->listener[i]);
	for (unsigned i = 0; i < s->n_certificate; i++)
		show_certificate(&o, &s->certificate[i]);
	if (s->client_ca) {
		buf_printf(&o.line, "             clients are asked for a certificate");
		end_line(&o);
	}
	for (unsigned i = 0; i < s->smtp.n_pool; i++)
		show_pool(&o, &s->smtp.pool[i]);
	show_sender(&o);
	show_milters(&o);
	show_quarantine(&o);
	show_resolver(&o);
	show_process(&o);
	show_limits(&o, &s->smtp.limits);
	buf_fini(&o.line);
}
