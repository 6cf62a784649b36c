/*
 * plain_upstream -- the statement `upstream`: one server (SMTP, LMTP) or Maildir, its options.
 *
 * What it has to do with the other servers of its pool is plain_pool.c's, TLS contexts are plain_tls.c's.
 */
#include "proxy/base/arena.h"
#include "proxy/plain.h"

#define CONNECTIONS     50
#define CONNECTIONS_MAX 100000

static void
upstream_pool(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = plain_take_name(r, "the name of a pool");

	(void)at;
	if (v != NULL)
		((struct upstream_said *)obj)->sv.pool = v->text;
}

static void
identity(struct values *r, const struct conf_value *at, struct upstream_said *u, enum identity how)
{
	if (u->sv.identity != IDENTITY_NONE)
		values_error(r, at, "keep one of them",
		    "xclient, xforward and proxy-protocol exclude each other");
	u->sv.identity = how;
}

static void
upstream_xclient(struct values *r, const struct conf_value *at, void *obj)
{
	identity(r, at, obj, IDENTITY_XCLIENT);
}

static void
upstream_xforward(struct values *r, const struct conf_value *at, void *obj)
{
	identity(r, at, obj, IDENTITY_XFORWARD);
}

static void
upstream_proxy(struct values *r, const struct conf_value *at, void *obj)
{
	enum identity how = IDENTITY_PROXY2;

	if (values_is(r, "v1"))
		how = IDENTITY_PROXY1;
	else
		(void)values_is(r, "v2");
	identity(r, at, obj, how);
}

static void
upstream_tls(struct values *r, const struct conf_value *at, void *obj)
{
	static const char *const words[] = { "off", "may", "require", "verify", NULL };
	struct upstream_said    *u = obj;
	int                      i = values_take_one_of(r, words, "a kind of `tls'");

	/* What was not understood gives no further mistakes. */
	u->sv.tls = i < 0 ? TLS_USE_REQUIRE : (enum tls_use)i;
	u->tls = at;
}

static void
upstream_server_name(struct values *r, const struct conf_value *at, void *obj)
{
	struct upstream_said    *u = obj;
	const struct conf_value *v = plain_take_host(r, HOST_OR_ADDRESS);

	u->server_name = at;
	if (v != NULL)
		u->sv.tls_name = v->text;
}

static void
upstream_ca(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	((struct upstream_said *)obj)->ca = values_take_text(r, "a file");
}

static void
upstream_timeout(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	values_take_number(
	    r, UNIT_TIME, 1000, TIME_MAX, &((struct upstream_said *)obj)->sv.timeout);
}

static void
take_count(struct values *r, uint64_t max, unsigned *out)
{
	uint64_t n;

	if (values_take_number(r, UNIT_COUNT, 1, max, &n))
		*out = (unsigned)n;
}

static void
upstream_connections(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	take_count(r, CONNECTIONS_MAX, &((struct upstream_said *)obj)->sv.connections);
}

static void
upstream_auth_connections(struct values *r, const struct conf_value *at, void *obj)
{
	struct upstream_said *u = obj;

	(void)at;
	u->auth_said = true;
	take_count(r, CONNECTIONS_MAX, &u->sv.auth_connections);
}

static void
upstream_weight(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	take_count(r, WEIGHT_MAX, &((struct upstream_said *)obj)->sv.weight);
}

static void
upstream_backup(struct values *r, const struct conf_value *at, void *obj)
{
	struct upstream_said *u = obj;

	(void)r;
	u->sv.backup = true;
	u->backup = at;
}

static void
upstream_eager(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct upstream_said *)obj)->sv.eager = true;
}

static void
upstream_no_chunking(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct upstream_said *)obj)->sv.no_chunking = true;
}

static void
upstream_no_streaming(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct upstream_said *)obj)->sv.no_streaming = true;
}

static const struct option options[] = {
	{ "pool", upstream_pool, 0 },
	{ "xclient", upstream_xclient, 0 },
	{ "xforward", upstream_xforward, 0 },
	{ "proxy-protocol", upstream_proxy, 0 },
	{ "tls", upstream_tls, 0 },
	{ "server-name", upstream_server_name, 0 },
	{ "ca", upstream_ca, 0 },
	{ "timeout", upstream_timeout, 0 },
	{ "connections", upstream_connections, 0 },
	{ "auth-connections", upstream_auth_connections, 0 },
	{ "weight", upstream_weight, 0 },
	{ "backup", upstream_backup, 0 },
	{ "eager", upstream_eager, 0 },
	{ "no-chunking", upstream_no_chunking, 0 },
	{ "no-streaming", upstream_no_streaming, 0 },
	{ NULL, NULL, 0 },
};

/* Of a server's options a Maildir has this one. */
static const struct option maildir_options[] = {
	{ "pool", upstream_pool, 0 },
	{ NULL, NULL, 0 },
};

/* Without a name a certificate must bear the server's address; the path of a socket it cannot bear. */
static void
tls_name(struct values *r, struct upstream_said *u)
{
	char text[ADDR_TEXT];

	if (u->sv.tls == TLS_USE_OFF || u->server_name != NULL || !u->good)
		return;
	if (u->sv.at.addr.family != ADDR_UNIX)
		u->sv.tls_name = arena_dup(r->a, addr_print(&u->sv.at.addr, text));
	else if (u->sv.tls == TLS_USE_VERIFY)
		values_error(r, u->tls, "server-name mx.example.com",
		    "a socket has no name that a certificate could bear: server-name is missing");
}

static void
agree(struct values *r, struct upstream_said *u)
{
	const struct server *sv = &u->sv;

	if (sv->tls == TLS_USE_OFF && u->server_name != NULL)
		values_error(r, u->server_name, "tls verify",
		    "server-name is said to TLS, which is not used here");
	if (sv->tls == TLS_USE_OFF && u->ca != NULL)
		values_error(r, u->ca, "tls verify", "ca is for TLS, which is not used here");
	if ((sv->tls == TLS_USE_MAY || sv->tls == TLS_USE_REQUIRE) && u->ca != NULL)
		diag_add(r->d, DIAG_WARNING, u->ca->pos, SV("tls verify"),
		    "no certificate is verified here, so ca changes nothing");
	if (sv->tls != TLS_USE_OFF && u->good && sv->at.addr.family == ADDR_UNIX)
		diag_add(r->d, DIAG_WARNING, u->tls->pos, SV("tls off"),
		    "nobody can listen in on a unix socket: TLS costs time here and protects nothing");
	tls_name(r, u);
}

static void
take_maildir(struct values *r, struct upstream_said *u)
{
	const struct conf_value *at = values_peek(r);

	u->sv.kind = HOP_MAILDIR;
	u->sv.dir = plain_take_path(r, "a folder");
	u->sv.name = strv_z(u->sv.dir);
	u->good = u->sv.dir != NULL;
	if (at != NULL)
		u->pos = at->pos;
	values_options(r, maildir_options, u);
}

static void
take_server(struct values *r, struct upstream_said *u)
{
	const struct conf_value *at;

	u->sv.kind = values_is(r, "lmtp") ? HOP_LMTP : HOP_SMTP;
	u->good = plain_take_endpoint(r, true, &u->sv.at, &at);
	if (at != NULL) {
		u->sv.name = at->text;
		u->pos = at->pos;
	}
	values_options(r, options, u);
	if (!u->auth_said)
		u->sv.auth_connections = u->sv.connections;
	agree(r, u);
}

void
plain_upstream(struct values *r, struct load *l)
{
	struct upstream_said *u;

	l->upstream = arena_grow(
	    l->a, l->upstream, &l->max_upstream, l->n_upstream + 1, sizeof(*l->upstream));
	u = &l->upstream[l->n_upstream++];
	*u = (struct upstream_said){ .pos = r->st->pos };
	u->sv.pool = SV("default");
	u->sv.connections = u->sv.auth_connections = CONNECTIONS;
	u->sv.weight = 1;
	if (values_is(r, "maildir"))
		take_maildir(r, u);
	else
		take_server(r, u);
}
