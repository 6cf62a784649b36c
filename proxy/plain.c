/*
 * plain -- what the plain statements of a configuration mean, one function for each, one table.
 *
 * A function fills in what its statement says and leaves alone what it does not; what depends on other
 * statements waits in struct load for settings.c.  Lists and rules are policy/'s.
 */
#include "proxy/plain.h"

#include <pwd.h>

#include "proxy/base/arena.h"

#define WORKERS_MAX 128
#define HOSTNAME_N  255 /* RFC 5321 4.5.3.1.2 */

/* ---- addresses and paths ------------------------------------------------------------------------ */

/* Relative names are those of the folder of the file in which they stand. */
const char *
plain_path(struct arena *a, const struct conf_value *v)
{
	struct strv file = v->pos.src == NULL ? SV("") : v->pos.src->name;
	size_t      slash = strv_rchr(file, '/');

	if (slash == file.n || (v->text.n > 0 && v->text.p[0] == '/'))
		return arena_z(a, v->text);
	return arena_z(a, arena_concat(a, strv_first(file, slash + 1), v->text));
}

/* A path as it may be written: not empty, no NUL, of a length that the system takes. */
static const char *
take_path(struct values *r, const char *what)
{
	const struct conf_value *v = values_take_text(r, what);

	if (v == NULL)
		return NULL;
	if (v->text.n == 0 || v->text.n > 4000 || memchr(v->text.p, '\0', v->text.n) != NULL) {
		values_error(r, v, NULL, "this cannot be %s", what);
		return NULL;
	}
	return plain_path(r->a, v);
}

/* ADDR:PORT of TCP, the port not 0. */
static bool
take_endpoint(struct values *r, struct endpoint *out, const struct conf_value **at)
{
	const struct conf_value *v = values_take_word(r, "ADDR:PORT");
	const char              *why = NULL;

	*at = v;
	if (v == NULL)
		return false;
	if (!endpoint_parse(r->a, v->text, out, &why) || out->addr.family == ADDR_UNIX) {
		values_error(r, v,
		    "such as 192.0.2.1:25, 0.0.0.0:25 for any address, [::1]:25 for IPv6",
		    "%s is not ADDR:PORT%s%s", diag_quote(r->a, v->text), why == NULL ? "" : ": ",
		    why == NULL ? "" : why);
		return false;
	}
	if (out->port == 0) {
		values_error(r, v, NULL, "port 0 is not a port");
		return false;
	}
	return true;
}

/* ---- listen ---------------------------------------------------------------------------------- */

static void
listen_tls(struct values *r, const struct conf_value *at, void *obj)
{
	struct load *l = obj;

	(void)r, (void)at;
	l->s->listener[l->s->n_listener].tls = true;
}

static void
listen_no_starttls(struct values *r, const struct conf_value *at, void *obj)
{
	struct load *l = obj;

	(void)r, (void)at;
	l->s->listener[l->s->n_listener].no_starttls = true;
}

static void
listen_require_tls(struct values *r, const struct conf_value *at, void *obj)
{
	struct load *l = obj;

	(void)r, (void)at;
	l->s->listener[l->s->n_listener].require_tls = true;
}

/* A list by its name or in braces; which networks it means is asked when the policy is there. */
static const struct conf_value *
take_list(struct values *r)
{
	const struct conf_value *v = values_take(r, "a list of networks");

	if (v != NULL && v->kind != CONF_SET && v->kind != CONF_WORD) {
		values_error(r, v, "such as { 192.0.2.0/24 }, or the name of a networks list",
		    "a list of networks is expected here");
		return NULL;
	}
	return v;
}

static void
listen_proxy(struct values *r, const struct conf_value *at, void *obj)
{
	struct load *l = obj;

	if (!values_is(r, "from")) {
		values_error(r, at, "proxy-protocol from { 192.0.2.10 }",
		    "whose PROXY header is believed must be said");
		return;
	}
	l->listen[l->s->n_listener].proxy_from = take_list(r);
}

static void
listen_name(struct values *r, const struct conf_value *at, void *obj)
{
	struct load             *l = obj;
	const struct conf_value *v = values_take_word(r, "a name");

	(void)at;
	if (v != NULL)
		l->s->listener[l->s->n_listener].name = v->text;
}

static const struct option listen_options[] = {
	{ "tls", listen_tls, 0 },
	{ "no-starttls", listen_no_starttls, 0 },
	{ "require-tls", listen_require_tls, 0 },
	{ "proxy-protocol", listen_proxy, 0 },
	{ "name", listen_name, 0 },
	{ "require-auth", NULL, 0 },
	{ "xclient", NULL, 2 },
	{ "xclient-login", NULL, 0 },
	{ "pool", NULL, 1 },
	{ NULL, NULL, 0 },
};

static void
listen_statement(struct values *r, struct load *l)
{
	struct settings *s = l->s;
	struct listener *new;
	const struct conf_value *at;
	bool                     good;

	s->listener = arena_grow(
	    l->a, s->listener, &l->max_listener, s->n_listener + 1, sizeof(*s->listener));
	l->listen = arena_grow(
	    l->a, l->listen, &l->max_pending, s->n_listener + 1, sizeof(*l->listen));
	new = &s->listener[s->n_listener];
	*new = (struct listener){ 0 };
	l->listen[s->n_listener] = (struct pending){ .pos = r->st->pos };
	good = take_endpoint(r, &new->at, &at);
	if (at != NULL) {
		new->name = at->text;
		l->listen[s->n_listener].pos = at->pos;
	}
	values_options(r, listen_options, l);
	for (unsigned i = 0; good && i < s->n_listener; i++)
		if (s->listener[i].at.port == new->at.port &&
		    addr_eq(&s->listener[i].at.addr, &new->at.addr))
			values_error(r, at, NULL, "there is a `listen' for this address already");
	if (new->require_tls &&new->no_starttls && !new->tls)
		values_error(r, at, "leave one of the two out",
		    "with require-tls and no-starttls nobody could send anything");
	/* One that has no address stays, too: without it more would be said than is wrong. */
	s->n_listener++;
}

/* ---- upstream -------------------------------------------------------------------------------- */

static void
upstream_xclient(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct server *)obj)->identity = IDENTITY_XCLIENT;
}

static void
upstream_tls(struct values *r, const struct conf_value *at, void *obj)
{
	static const char *const words[] = { "off", "may", "require", "verify", NULL };
	const struct conf_value *v = values_peek(r);

	(void)at, (void)obj;
	if (values_take_one_of(r, words, "a kind of `tls'") > 0)
		values_error(r, v, "tls off", "`tls %.*s' towards an upstream is not in this build",
		    (int)v->text.n, v->text.p);
}

static void
upstream_timeout(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	values_take_number(r, UNIT_TIME, 1000, TIME_MAX, &((struct server *)obj)->timeout);
}

static void
upstream_connections(struct values *r, const struct conf_value *at, void *obj)
{
	uint64_t n;

	(void)at;
	if (values_take_number(r, UNIT_COUNT, 1, 100000, &n))
		((struct server *)obj)->connections = (unsigned)n;
}

static void
upstream_eager(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct server *)obj)->eager = true;
}

static void
upstream_no_chunking(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct server *)obj)->no_chunking = true;
}

static void
upstream_no_streaming(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	((struct server *)obj)->no_streaming = true;
}

static const struct option upstream_options[] = {
	{ "xclient", upstream_xclient, 0 },
	{ "tls", upstream_tls, 0 },
	{ "timeout", upstream_timeout, 0 },
	{ "connections", upstream_connections, 0 },
	{ "eager", upstream_eager, 0 },
	{ "no-chunking", upstream_no_chunking, 0 },
	{ "no-streaming", upstream_no_streaming, 0 },
	{ "xforward", NULL, 0 },
	{ "proxy-protocol", NULL, 0 },
	{ "pool", NULL, 1 },
	{ "weight", NULL, 1 },
	{ "backup", NULL, 0 },
	{ NULL, NULL, 0 },
};

static void
upstream_statement(struct values *r, struct load *l)
{
	struct settings *s = l->s;
	struct server *new = arena_alloc(l->a, sizeof(*new));
	const struct conf_value *at = values_peek(r);
	bool                     maildir = values_is(r, "maildir");

	new->connections = 50;
	if (maildir) {
		new->kind = HOP_MAILDIR;
		new->dir = take_path(r, "a folder");
		new->name = strv_z(new->dir);
	} else if (values_is(r, "lmtp")) {
		values_error(r, at, NULL, "`upstream lmtp' is not in this build");
		r->i = r->st->n;
	} else {
		take_endpoint(r, &new->at, &at);
		new->name = at == NULL ? SV("") : at->text;
		values_options(r, upstream_options, new);
	}
	if (s->n_server > 0)
		values_error(r, NULL, "keep one of them", "a second upstream is not in this build");
	else
		s->server = new;
	s->n_server = 1;
}

/* ---- tls ------------------------------------------------------------------------------------- */

static void
tls_minimum(struct values *r, struct load *l)
{
	static const char *const words[] = { "1.2", "1.3", NULL };
	int                      i = values_take_one_of(r, words, "a version of TLS");

	if (l->tls_minimum != 0)
		values_error(r, NULL, NULL, "`tls minimum' stands here twice");
	l->tls_minimum = i == 1 ? 0x0304 : 0x0303;
}

static void
tls_key(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	((struct load *)obj)->key = values_take_text(r, "a file");
}

static void
tls_statement(struct values *r, struct load *l)
{
	static const struct option options[] = {
		{ "key", tls_key, 0 },
		{ "server-name", NULL, 1 },
		{ NULL, NULL, 0 },
	};

	if (values_is(r, "minimum")) {
		tls_minimum(r, l);
		return;
	}
	if (!values_is(r, "certificate")) {
		values_error(r, values_peek(r),
		    "tls certificate \"FILE\" key \"FILE\", or tls minimum 1.2",
		    "`certificate' or `minimum' is expected here");
		r->i = r->st->n;
		return;
	}
	if (l->certificate != NULL) {
		values_error(r, NULL, NULL, "a second certificate is not in this build");
		r->i = r->st->n;
		return;
	}
	l->certificate = values_take_text(r, "a file");
	values_options(r, options, l);
	if (l->certificate != NULL && l->key == NULL)
		values_error(
		    r, NULL, "tls certificate \"FILE\" key \"FILE\"", "the key is missing");
}

/* ---- the others ------------------------------------------------------------------------------ */

static void
hostname_statement(struct values *r, struct load *l)
{
	const struct conf_value *v = values_take_word(r, "a name");
	bool                     good = v != NULL && v->text.n > 0 && v->text.n <= HOSTNAME_N;

	/* It goes into greetings and headers as it is: letters, digits, dots, hyphens (RFC 5321 4.1.2). */
	for (size_t i = 0; good && i < v->text.n; i++) {
		char c = v->text.p[i];

		good = ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' || c == '-';
	}
	if (good)
		l->s->smtp.hostname = v->text;
	else if (v != NULL)
		values_error(r, v, "such as mx.example.com", "%s is not the name of a host",
		    diag_quote(r->a, v->text));
}

static void
line_endings_statement(struct values *r, struct load *l)
{
	static const char *const words[] = { "normalize", "reject", NULL };
	int                      i = values_take_one_of(r, words, "a treatment of line ends");

	l->s->smtp.lines = i == 1 ? LINES_REJECT : LINES_NORMALIZE;
	if (values_is(r, "for"))
		l->lines_for = take_list(r);
}

static void
user_statement(struct values *r, struct load *l)
{
	const struct conf_value *v = values_take_text(r, "a user");

	if (v == NULL)
		return;
	l->s->user = arena_z(l->a, v->text);
	if (getpwnam(l->s->user) == NULL)
		values_error(r, v, NULL, "this system has no user `%s'", l->s->user);
}

static void
workers_statement(struct values *r, struct load *l)
{
	uint64_t n;

	if (values_take_number(r, UNIT_COUNT, 1, WORKERS_MAX, &n))
		l->s->workers = (unsigned)n;
}

static void
spool_statement(struct values *r, struct load *l)
{
	const char *dir = take_path(r, "a folder");

	if (dir != NULL)
		l->s->smtp.spool_dir = dir;
	if (values_is(r, "memory"))
		values_take_number(r, UNIT_SIZE, 4096, 1u << 30, &l->s->smtp.spool_memory);
}

static void
drain_statement(struct values *r, struct load *l)
{
	values_take_number(r, UNIT_TIME, 1000, TIME_MAX, &l->s->drain);
}

static void
log_statement(struct values *r, struct load *l)
{
	static const char *const words[] = { "stderr", "syslog", "file", NULL };
	int                      i = values_take_one_of(r, words, "a place for the log");
	const struct conf_value *json;

	if (i >= 0)
		l->s->log = (enum log_to)i;
	if (i == LOG_FILE)
		l->s->log_file = take_path(r, "a file");
	json = values_peek(r);
	if (values_is(r, "json"))
		values_error(r, json, NULL, "`json' is not in this build");
}

static void
received_statement(struct values *r, struct load *l)
{
	static const char *const words[] = { "off", "on", NULL };

	l->s->smtp.received = values_take_one_of(r, words, "on or off") == 1;
}

/* The policy reads the word itself; here it is only held against what there is. */
static void
reject_at_statement(struct values *r, struct load *l)
{
	static const char *const words[] = { "rcpt", "stage", NULL };

	(void)l;
	values_take_one_of(r, words, "a moment for refusals");
}

static void
limits_statement(struct values *r, struct load *l)
{
	l->limits_pos = r->st->pos;
	plain_limits(r, &l->s->smtp.limits);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define ONCE  1 /* a second one is a mistake */
#define BLOCK 2 /* written with { } */
/* clang-format off */
static const struct statement {
	const char *word;
	unsigned    flags;
	void      (*read)(struct values *, struct load *);
} statements[] = {
	{ "hostname",     ONCE,         hostname_statement },
	{ "listen",       0,            listen_statement },
	{ "upstream",     0,            upstream_statement },
	{ "tls",          0,            tls_statement },
	{ "limits",       ONCE | BLOCK, limits_statement },
	{ "line-endings", ONCE,         line_endings_statement },
	{ "reject-at",    ONCE,         reject_at_statement },
	{ "user",         ONCE,         user_statement },
	{ "workers",      ONCE,         workers_statement },
	{ "spool",        ONCE,         spool_statement },
	{ "drain",        ONCE,         drain_statement },
	{ "log",          ONCE,         log_statement },
	{ "received",     ONCE,         received_statement },
};
/* clang-format on */

#define N_STATEMENT (sizeof(statements) / sizeof(statements[0]))

/* NULL: policy/ has it, or has said that there is no such statement in this build. */
static const struct statement *
find(struct strv keyword)
{
	for (size_t i = 0; i < N_STATEMENT; i++)
		if (strv_eq(keyword, strv_z(statements[i].word)))
			return &statements[i];
	return NULL;
}

/* Remembers the first of each kind; a second one is a mistake where one is all that there may be. */
static void
look_back(struct values *r, const struct statement *one, const struct conf_plain **first)
{
	if (*first == NULL)
		*first = r->st;
	else if (one->flags & ONCE)
		diag_add(r->d, DIAG_ERROR, r->st->pos,
		    arena_printf(r->a, "the first stands in line %u", (*first)->pos.line),
		    "a second `%s'", one->word);
}

static void
read_statement(struct load *l, const struct conf_plain *st, const struct conf_plain **first)
{
	struct values           r = { l->a, l->d, st, 0 };
	const struct statement *one = find(st->keyword);

	if (one == NULL)
		return;
	look_back(&r, one, &first[one - statements]);
	if (st->block != ((one->flags & BLOCK) != 0)) {
		values_error(&r, NULL, one->flags & BLOCK ? "limits { recipients 1000 }" : NULL,
		    st->block ? "`%s' is no block" : "`%s' is a block: { } is expected", one->word);
		return;
	}
	one->read(&r, l);
	if (!(one->flags & BLOCK))
		values_end(&r);
}

void
plain_read(struct load *l)
{
	const struct conf_plain *first[N_STATEMENT] = { NULL };

	for (unsigned i = 0; i < l->s->conf->n_plain; i++)
		read_statement(l, &l->s->conf->plain[i], first);
}
