/*
 * show -- what was understood of the plain statements, for `postern check`.
 *
 * For people: what is as by default is left out, but for what a postmaster would ask at once.
 */
#include "proxy/show_own.h"

#include "proxy/base/arena.h"
#include "proxy/judge.h"
#include "proxy/values.h"

#define LINE_MAX_N 8192

void
show_end_line(struct show *o)
{
	o->emit(buf_view(&o->line), o->arg);
	buf_clear(&o->line);
}

void
show_add_if(struct show *o, bool when, const char *text)
{
	if (when)
		buf_add(&o->line, strv_z(text));
}

/* ---- listeners and certificates -------------------------------------------------------------- */

static void
show_auth(struct show *o, const struct listener *l)
{
	show_add_if(o, l->require_auth, ", AUTH required");
	show_add_if(o, l->auth_plain, ", AUTH without TLS");
	show_add_if(o, l->xclient_from != NULL && !l->xclient_login, ", XCLIENT of some peers");
	show_add_if(
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
		show_add_if(o, true, ", TLS from the first octet");
	else if (l->context != NULL)
		show_add_if(o, true, l->require_tls ? ", STARTTLS required" : ", STARTTLS");
	show_add_if(o, l->proxy_from != NULL, ", PROXY header of some peers");
	show_auth(o, l);
	if (o->s->smtp.n_pool > 1)
		buf_printf(&o->line, ", to pool %.*s", (int)pool.n, pool.p);
	show_end_line(o);
}

static void
show_metrics(struct show *o)
{
	const struct endpoint *at = o->s->metrics;
	char                   text[ENDPOINT_TEXT];
	struct strv            print;

	if (at == NULL)
		return;
	print = endpoint_print(at, text);
	buf_printf(&o->line, "metrics      %.*s", (int)print.n, print.p);
	show_add_if(o, !addr_is_loopback(&at->addr), ", for whoever can connect");
	show_end_line(o);
}

static void
show_certificate(struct show *o, const struct certificate *c)
{
	struct strv day = day_print(o->a, c->ends);

	buf_printf(&o->line, "certificate  %s", c->path);
	if (c->names.p != NULL)
		buf_printf(&o->line, " for %.*s", (int)c->names.n, c->names.p);
	buf_printf(&o->line, ", ends on %.*s", (int)day.n, day.p);
	show_end_line(o);
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
		show_add_if(o, s->at.addr.family != ADDR_UNIX && !addr_is_loopback(&s->at.addr),
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
	show_add_if(o, s->backup, ", backup");
	show_add_if(o, true, identity[s->identity]);
	show_tls(o, s);
	show_connections(o, s);
	show_add_if(o, s->eager, ", eager");
	show_add_if(o, s->no_chunking, ", no chunking");
	show_add_if(o, s->no_streaming, ", no streaming");
	show_end_line(o);
}

static void
show_pool(struct show *o, const struct pool_conf *p)
{
	buf_printf(&o->line, "pool         %.*s", (int)p->name.n, p->name.p);
	show_end_line(o);
	if (p->kind == HOP_MAILDIR) {
		buf_printf(&o->line, "    Maildir %s", p->server->dir);
		show_end_line(o);
		return;
	}
	for (unsigned i = 0; i < p->n_server; i++)
		show_server(o, &p->server[i], p->n_server == 1);
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
	show_add_if(o, p->conditional, ", not of every message");
	show_add_if(o, p->warn, ", only logged");
	buf_printf(&o->line, "; if it fails: %s", failures[p->on_failure]);
	show_end_line(o);
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
		show_end_line(o);
	}
	if (s->milters.n > 0 && s->smtp.quarantine == NULL) {
		buf_printf(&o->line,
		    "             what a milter wants in quarantine gets 451: there is no folder for it");
		show_end_line(o);
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
		show_end_line(o); \
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
	show_end_line(o);
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
	show_end_line(o);
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
	show_end_line(o);
	buf_printf(
	    &o->line, "log          %s%s", logs[s->log], s->log == LOG_FILE ? s->log_file : "");
	show_end_line(o);
}

void
show_settings(
    const struct settings *s, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct show o = { .s = s, .a = a, .emit = emit, .arg = arg };

	buf_init(&o.line, LINE_MAX_N);
	buf_printf(&o.line, "hostname     %.*s", (int)s->smtp.hostname.n, s->smtp.hostname.p);
	show_end_line(&o);
	for (unsigned i = 0; i < s->n_listener; i++)
		show_listener(&o, &s->listener[i]);
	show_metrics(&o);
	for (unsigned i = 0; i < s->n_certificate; i++)
		show_certificate(&o, &s->certificate[i]);
	if (s->client_ca) {
		buf_printf(&o.line, "             clients are asked for a certificate");
		show_end_line(&o);
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
