/*
 * plain_listen -- the statement `listen`: one listener, its options; and `metrics', which listens as well.
 *
 * Which pool it means, and who a LIST is, waits in struct pending.
 */
#include "proxy/base/arena.h"
#include "proxy/plain.h"

static struct listener *
listener(struct load *l)
{
	return &l->s->listener[l->s->n_listener];
}

static struct pending *
pending(struct load *l)
{
	return &l->listen[l->s->n_listener];
}

static void
listen_tls(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	listener(obj)->tls = true;
}

static void
listen_no_starttls(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	listener(obj)->no_starttls = true;
}

static void
listen_require_tls(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r, (void)at;
	listener(obj)->require_tls = true;
}

static void
listen_require_auth(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r;
	listener(obj)->require_auth = true;
	pending(obj)->require_auth = at;
}

static void
listen_auth_plain(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r;
	listener(obj)->auth_plain = true;
	pending(obj)->auth_plain = at;
}

/* `from LIST`, without which nobody is believed. */
static const struct conf_value *
take_from(struct values *r, const struct conf_value *at, const char *hint, const char *text)
{
	if (values_is(r, "from"))
		return plain_take_list(r);
	values_error(r, at, hint, "%s", text);
	return NULL;
}

static void
listen_proxy(struct values *r, const struct conf_value *at, void *obj)
{
	pending(obj)->proxy_from = take_from(r, at, "proxy-protocol from { 192.0.2.10 }",
	    "whose PROXY header is believed must be said");
}

static void
listen_xclient(struct values *r, const struct conf_value *at, void *obj)
{
	pending(obj)->xclient = at;
	pending(obj)->xclient_from = take_from(
	    r, at, "xclient from { 192.0.2.10 }", "whose XCLIENT is believed must be said");
}

static void
listen_xclient_login(struct values *r, const struct conf_value *at, void *obj)
{
	(void)r;
	listener(obj)->xclient_login = true;
	pending(obj)->xclient_login = at;
}

static void
listen_pool(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	pending(obj)->pool = plain_take_name(r, "the name of a pool");
}

static void
listen_name(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = values_take_word(r, "a name");

	(void)at;
	if (v != NULL)
		listener(obj)->name = v->text;
}

static const struct option options[] = {
	{ "tls", listen_tls, 0 },
	{ "no-starttls", listen_no_starttls, 0 },
	{ "require-tls", listen_require_tls, 0 },
	{ "require-auth", listen_require_auth, 0 },
	{ "auth-without-tls", listen_auth_plain, 0 },
	{ "proxy-protocol", listen_proxy, 0 },
	{ "xclient", listen_xclient, 0 },
	{ "xclient-login", listen_xclient_login, 0 },
	{ "pool", listen_pool, 0 },
	{ "name", listen_name, 0 },
	{ NULL, NULL, 0 },
};

/* What its options say to each other. */
static void
agree(struct values *r, const struct listener *new, const struct pending *p,
    const struct conf_value *at)
{
	if (new->require_tls &&new->no_starttls && !new->tls)
		values_error(r, at, "leave one of the two out",
		    "with require-tls and no-starttls nobody could send anything");
	if (p->xclient_login != NULL && p->xclient == NULL)
		values_error(r, p->xclient_login, "xclient from { 192.0.2.10 } xclient-login",
		    "xclient-login belongs to `xclient from', which is missing");
	if (p->auth_plain != NULL && (new->tls || new->require_tls))
		values_error(r, p->auth_plain, "leave one of the two out",
		    "where TLS is demanded, auth-without-tls means nothing");
}

static bool
is_same(const struct endpoint *x, const struct endpoint *y)
{
	return x->port == y->port && addr_eq(&x->addr, &y->addr);
}

static void
look_free(struct values *r, const struct settings *s, const struct endpoint *new,
    const struct conf_value *at)
{
	for (unsigned i = 0; i < s->n_listener; i++)
		if (is_same(&s->listener[i].at, new))
			values_error(r, at, NULL, "there is a `listen' for this address already");
	if (s->metrics != NULL && is_same(s->metrics, new))
		values_error(r, at, NULL, "there are `metrics' at this address already");
}

void
plain_listen(struct values *r, struct load *l)
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
	good = plain_take_endpoint(r, false, &new->at, &at);
	if (at != NULL) {
		new->name = at->text;
		l->listen[s->n_listener].pos = at->pos;
	}
	values_options(r, options, l);
	if (good)
		look_free(r, s, &new->at, at);
	agree(r, new, pending(l), at);
	/* One that has no address stays, too: without it more would be said than is wrong. */
	s->n_listener++;
}

/* Who can connect can read: nobody else can where the address is one of this machine alone. */
void
plain_metrics(struct values *r, struct load *l)
{
	struct endpoint *new = arena_alloc(l->a, sizeof(*new));
	const struct conf_value *at;

	if (!plain_take_endpoint(r, false, new, &at))
		return;
	if (!values_is(r, "public") && !addr_is_loopback(&new->addr))
		values_error(r, at, "such as metrics 127.0.0.1:9125, or `public' behind it",
		    "without a password they are for this machine alone");
	look_free(r, l->s, new, at);
	l->s->metrics = new;
}
