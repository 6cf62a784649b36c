/*
 * plain_pool -- the `upstream` statements together: the pools, and the listeners in front of them.
 *
 * Invariant: the servers of a pool stand side by side in settings.server, in the order of the file, and so
 * do the pools, in the order in which they are first named.
 */
#include "proxy/base/arena.h"
#include "proxy/plain.h"

struct pool_said { /* one pool while it is put together */
	struct strv           name;
	struct upstream_said *first, *last;
	unsigned              n;
};

struct pools {
	struct pool_said *v;
	unsigned          n, max;
};

static struct pool_said *
find(struct pools *p, struct strv name)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strv_eq(p->v[i].name, name))
			return &p->v[i];
	return NULL;
}

static void
error(struct load *l, struct pos at, const char *hint, struct strv text)
{
	diag_add(l->d, DIAG_ERROR, at, strv_z(hint), "%.*s", (int)text.n, text.p);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static bool
same_address(const struct server *a, const struct server *b)
{
	if (a->kind == HOP_MAILDIR || a->at.addr.family != b->at.addr.family)
		return false;
	if (a->at.addr.family == ADDR_UNIX)
		return strcmp(a->at.path, b->at.path) == 0;
	return a->at.port == b->at.port && addr_eq(&a->at.addr, &b->at.addr);
}

/* What is wrong with u as one more server of p; absent: nothing. */
static struct strv
misfit(struct load *l, const struct pool_said *p, const struct upstream_said *u, const char **hint)
{
	static const char *const kinds[] = { "an SMTP server", "an LMTP server", "a Maildir" };
	const struct server     *a = &p->first->sv, *b = &u->sv;
	int                      n = (int)p->name.n;
	const char              *where = values_line(l->a, p->first->pos, u->pos);

	*hint = "pool NAME puts it into another one";
	if (a->kind == HOP_MAILDIR || b->kind == HOP_MAILDIR)
		return arena_printf(l->a,
		    "a Maildir stands alone in its pool, and `%.*s' has %s in %s already", n,
		    p->name.p, kinds[a->kind], where);
	if (a->kind != b->kind)
		return arena_printf(l->a, "`%.*s' has %s in %s, so %s cannot be in it", n,
		    p->name.p, kinds[a->kind], where, kinds[b->kind]);
	for (const struct upstream_said *o = p->first; o != NULL; o = o->next)
		if (o->good && u->good && same_address(&o->sv, b)) {
			*hint = "weight N gives a server a larger share";
			return arena_printf(l->a, "`%.*s' has this server in %s already", n,
			    p->name.p, values_line(l->a, o->pos, u->pos));
		}
	return strv(NULL, 0);
}

/* The pool grows by u. One that does not fit stays, too: its listener is not to blame. */
static void
join(struct load *l, struct pool_said *p, struct upstream_said *u)
{
	const char *hint;
	struct strv why;

	p->n++;
	if (p->first == NULL) {
		p->first = p->last = u;
		return;
	}
	why = misfit(l, p, u, &hint);
	if (why.p != NULL)
		error(l, u->pos, hint, why);
	else if (p->n == POOL_SERVERS + 1)
		error(l, u->pos, NULL,
		    arena_printf(l->a, "a pool has at most %d servers", POOL_SERVERS));
	p->last->next = u;
	p->last = u;
}

static struct pools
gather(struct load *l)
{
	struct pools p = { NULL, 0, 0 };

	for (unsigned i = 0; i < l->n_upstream; i++) {
		struct upstream_said *u = &l->upstream[i];
		struct pool_said     *one = find(&p, u->sv.pool);

		if (one == NULL) {
			p.v = arena_grow(l->a, p.v, &p.max, p.n + 1, sizeof(*p.v));
			one = &p.v[p.n++];
			*one = (struct pool_said){ .name = u->sv.pool };
		}
		join(l, one, u);
	}
	return p;
}

static void
only_backups(struct load *l, const struct pool_said *p)
{
	for (const struct upstream_said *u = p->first; u != NULL; u = u->next)
		if (u->backup == NULL)
			return;
	error(l, p->first->backup->pos, "leave `backup' out at one of them",
	    arena_printf(l->a, "there is nothing in pool `%.*s' that it could be a backup of",
		(int)p->name.n, p->name.p));
}

/* settings.server and smtp.pool, as smtp.h has them. */
static void
build(struct load *l, const struct pools *p)
{
	struct settings  *s = l->s;
	struct pool_conf *pool = arena_array(l->a, p->n, sizeof(*pool));

	l->pool_pos = arena_array(l->a, p->n, sizeof(*l->pool_pos));
	l->pool_used = arena_array(l->a, p->n, sizeof(*l->pool_used));
	s->server = arena_array(l->a, l->n_upstream, sizeof(*s->server));
	for (unsigned i = 0; i < p->n; i++) {
		const struct pool_said *one = &p->v[i];

		pool[i] = (struct pool_conf){ one->name, one->first->sv.kind,
			&s->server[s->n_server], one->n };
		l->pool_pos[i] = one->first->pos;
		for (const struct upstream_said *u = one->first; u != NULL; u = u->next)
			s->server[s->n_server++] = u->sv;
	}
	s->smtp.pool = pool;
	s->smtp.n_pool = p->n;
}

/* ---- listeners ------------------------------------------------------------------------------- */

/* "a, b, c": the first few. */
static struct strv
names_of(struct load *l, const struct pools *p)
{
	struct strv all = p->v[0].name;

	for (unsigned i = 1; i < p->n && i < 8; i++)
		all = arena_printf(
		    l->a, "%.*s, %.*s", (int)all.n, all.p, (int)p->v[i].name.n, p->v[i].name.p);
	return p->n > 8 ? arena_concat(l->a, all, SV(", ...")) : all;
}

static void
no_such_pool(struct load *l, const struct pools *p, const struct conf_value *v)
{
	struct strv *names = arena_array(l->a, p->n, sizeof(*names)), near, all = names_of(l, p);

	for (unsigned i = 0; i < p->n; i++)
		names[i] = p->v[i].name;
	near = diag_nearest_v(v->text, names, p->n);
	if (near.p != NULL)
		near = diag_did_you_mean(l->a, near);
	else
		near = arena_printf(l->a, "there is: %.*s", (int)all.n, all.p);
	diag_add(l->d, DIAG_ERROR, v->pos, near, "no upstream is in a pool `%.*s'", (int)v->text.n,
	    v->text.p);
}

static void
listener_pool(struct load *l, struct pools *p, unsigned i, bool whole)
{
	const struct conf_value *v = l->listen[i].pool;
	struct pool_said        *one = find(p, v == NULL ? SV("default") : v->text);
	struct strv              all;

	if (one != NULL) {
		l->pool_used[one - p->v] = true;
		l->listen[i].pooled = true;
		l->s->listener[i].pool = (unsigned)(one - p->v);
		return;
	}
	if (!whole)
		return;
	if (v != NULL) {
		no_such_pool(l, p, v);
		return;
	}
	all = names_of(l, p);
	error(l, l->listen[i].pos,
	    arena_z(l->a, arena_printf(l->a, "pool %.*s", (int)p->v[0].name.n, p->v[0].name.p)),
	    arena_printf(l->a,
		"the pool of this listener is `default', and no upstream is in it; there is: %.*s",
		(int)all.n, all.p));
}

void
plain_pools(struct load *l, bool whole)
{
	struct pools p = gather(l);

	if (p.n == 0)
		return;
	for (unsigned i = 0; i < p.n; i++)
		only_backups(l, &p.v[i]);
	build(l, &p);
	for (unsigned i = 0; i < l->s->n_listener; i++)
		listener_pool(l, &p, i, whole);
}

void
plain_unused_pools(struct load *l)
{
	const struct smtp_conf *c = &l->s->smtp;

	for (unsigned i = 0; i < c->n_pool; i++)
		if (!l->pool_used[i])
			diag_add(l->d, DIAG_WARNING, l->pool_pos[i],
			    SV("a listener uses it by `pool NAME', recipients by `route MAP'"),
			    "no listener and no route uses pool `%.*s'", (int)c->pool[i].name.n,
			    c->pool[i].name.p);
}

/* ---- AUTH ------------------------------------------------------------------------------------ */

/* Why the servers of a pool cannot be asked for a user; absent: they can. */
static struct strv
no_auth(struct load *l, const struct pool_conf *p, const char **hint)
{
	*hint = "a pool of servers that offer AUTH: upstream ADDR:PORT pool NAME";
	if (p->kind == HOP_MAILDIR)
		return SV("a Maildir knows no users");
	*hint = "`tls require' or `tls verify' at this upstream";
	for (unsigned i = 0; i < p->n_server; i++)
		if (!server_keeps_secrets(&p->server[i]))
			return arena_printf(l->a,
			    "passwords do not go in plain text to %.*s, which is another machine",
			    (int)p->server[i].name.n, p->server[i].name.p);
	return strv(NULL, 0);
}

/* Where TLS is demanded and there is none, that was said already. */
static bool
has_no_tls(const struct load *l, const struct listener *one)
{
	return !one->tls && !one->require_tls && (l->n_certificate == 0 || one->no_starttls);
}

static void
listener_auth(struct load *l, const struct listener *one, const struct pending *said)
{
	bool        must = one->require_auth && !one->xclient_login;
	const char *hint;
	struct strv why = no_auth(l, &l->s->smtp.pool[one->pool], &hint);

	if (why.p != NULL && (must || one->auth_plain))
		diag_add(l->d, must ? DIAG_ERROR : DIAG_WARNING,
		    must ? said->require_auth->pos : said->auth_plain->pos, strv_z(hint),
		    "AUTH would never be offered here: %.*s", (int)why.n, why.p);
	else if (must && !one->auth_plain && has_no_tls(l, one))
		error(l, said->require_auth->pos,
		    "tls certificate \"FILE\" key \"FILE\", or auth-without-tls",
		    SV("AUTH would never be offered here: there is no TLS at this listener"));
	if (one->auth_plain && !addr_is_loopback(&one->at.addr))
		diag_add(l->d, DIAG_WARNING, said->auth_plain->pos,
		    SV("with `tls certificate' they go through STARTTLS, without this word"),
		    "auth-without-tls: passwords cross the network in plain text");
}

void
plain_auth(struct load *l)
{
	for (unsigned i = 0; i < l->s->n_listener; i++)
		if (l->listen[i].pooled)
			listener_auth(l, &l->s->listener[i], &l->listen[i]);
}
