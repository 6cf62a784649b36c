/*
 * show -- what was understood of the plain statements, for `postern check`.
 *
 * For people: what is as by default is left out, but for what a postmaster would ask at once.
 */
#include "proxy/show.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
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
	show_quarantine(&o);
	show_resolver(&o);
	show_process(&o);
	show_limits(&o, &s->smtp.limits);
	buf_fini(&o.line);
}
