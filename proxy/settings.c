/*
 * settings -- a configuration as a whole: its statements, its policy, what one needs of the other.
 *
 * It reads the files that are named (certificate and key), opens no socket and starts nothing, so
 * `check`, `run` and the checker of a reload all use it.  Every mistake becomes a diagnostic and the
 * reading goes on: the result counts only where there are no errors.
 */
#include "proxy/settings.h"

#include <sys/stat.h>
#include <unistd.h>

#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/netset.h"
#include "proxy/base/tls.h"
#include "proxy/judge.h"
#include "proxy/plain.h"

#define SPOOL_SLACK 65536 /* a spool's memory is counted in whole pieces */
#define SPOOL_KEEP  (256u << 10)

static void
set_defaults(struct settings *s, struct arena *a)
{
	char name[256] = "";

	if (gethostname(name, sizeof(name) - 1) < 0 || name[0] == '\0')
		s->smtp.hostname = SV("localhost");
	else
		s->smtp.hostname = arena_dup(a, strv_z(name));
#define X(field, word, value, unit, about) s->smtp.limits.field = value;
	LIMITS(X)
#undef X
	s->smtp.spool_dir = "";
	s->smtp.spool_memory = SPOOL_KEEP;
	s->drain = 600000;
	s->auth = (struct auth_conf)AUTH_CONF_DEFAULT;
	s->auth.id = s->smtp.hostname;
}

/* With no place in the file: something that should stand there does not. */
static void
missing(struct load *l, const char *hint, const char *text)
{
	struct pos whole = { l->s->conf->source, 1, 1, 0 };

	if (l->s->conf->source == NULL)
		return; /* there is no file: that is said already */
	diag_add(l->d, DIAG_ERROR, whole, strv_z(hint), "%s", text);
}

static void
spool_too_small(struct load *l, const struct limits *m)
{
	static const struct limits none = {
#define X(field, word, value, unit, about) .field = value,
		LIMITS(X)
#undef X
	};
	struct strv total = unit_print(l->a, UNIT_SIZE, m->spool_total);
	struct strv size = unit_print(l->a, UNIT_SIZE, m->message_size);

	diag_add(l->d, DIAG_ERROR, l->limits_pos, SV("spool-total is for all messages in hand"),
	    "spool-total (%.*s%s) is smaller than message-size (%.*s): such a message could never pass",
	    (int)total.n, total.p, m->spool_total == none.spool_total ? " by default" : "",
	    (int)size.n, size.p);
}

static void
finish_limits(struct load *l)
{
	struct limits *m = &l->s->smtp.limits;

	/* A message is never smaller than its header. */
	if (m->header_size > m->message_size && m->message_size > 0)
		m->header_size = m->message_size;
	if (l->limits_pos.src == NULL)
		return;
	if (m->spool_total < m->message_size)
		spool_too_small(l, m);
}

/* By a link, or another way to it; what is not there yet by its name, with or without slashes at its end. */
static bool
same_folder(const char *a, const char *b)
{
	size_t      na = strlen(a), nb = strlen(b);
	struct stat one, st;

	if (stat(a, &one) == 0 && stat(b, &st) == 0)
		return one.st_dev == st.st_dev && one.st_ino == st.st_ino;
	while (na > 1 && a[na - 1] == '/')
		na--;
	while (nb > 1 && b[nb - 1] == '/')
		nb--;
	return strv_eq(strv(a, na), strv(b, nb));
}

/* What is kept is in nobody's mailbox, and there is room for one message of any size. */
static void
finish_quarantine(struct load *l)
{
	const struct settings *s = l->s;
	uint64_t               max = s->smtp.quarantine_max;

	if (s->smtp.quarantine == NULL)
		return;
	for (unsigned i = 0; i < s->n_server; i++)
		if (s->server[i].kind == HOP_MAILDIR && s->server[i].dir != NULL &&
		    same_folder(s->server[i].dir, s->smtp.quarantine))
			diag_add(l->d, DIAG_ERROR, l->quarantine_pos,
			    SV("give it a folder of its own"),
			    "mail is delivered to this folder: what is kept would be, too");
	if (max > 0 && max < s->smtp.limits.message_size)
		diag_add(l->d, DIAG_WARNING, l->quarantine_pos,
		    SV("such as: quarantine \"/var/spool/postern/quarantine\" max 1G"),
		    "max is smaller than message-size: some messages could never be kept");
}

/* Who may say who the client is. NULL: nobody, or said what is wrong. */
static const struct netset *
believed(struct load *l, const struct conf_value *list)
{
	static const char *const somewhere[] = { "192.0.2.1", "198.51.100.1", "203.0.113.1" };
	const struct netset     *set;
	struct addr              addr;
	unsigned                 n = 0;

	if (list == NULL)
		return NULL;
	set = policy_networks(l->s->policy, list, l->d);
	for (unsigned i = 0; i < 3 && set != NULL; i++)
		n += addr_parse(strv_z(somewhere[i]), &addr) && netset_has(set, &addr);
	if (n == 3)
		diag_add(l->d, DIAG_WARNING, list->pos, SV("list the peers that are yours"),
		    "the whole Internet is believed here: whoever connects may claim to be anybody");
	return set;
}

static void
read_policy(struct load *l)
{
	struct settings       *s = l->s;
	struct strv           *names = arena_array(l->a, s->n_listener + 1, sizeof(*names));
	struct strv           *pools = arena_array(l->a, s->smtp.n_pool + 1, sizeof(*pools));
	unsigned               n_facts;
	const struct fact_def *facts = registry_facts(&n_facts);
	struct hash_key        key;

	for (unsigned i = 0; i < s->n_listener; i++)
		names[i] = s->listener[i].name;
	for (unsigned i = 0; i < s->smtp.n_pool; i++)
		pools[i] = s->smtp.pool[i].name;
	l->w->random(l->w, &key, sizeof(key));
	s->smtp.key = key;
	s->policy = policy_read(l->a, l->w, s->conf, facts, n_facts,
	    &(struct policy_names){ names, s->n_listener, pools, s->smtp.n_pool, l->pool_used },
	    &key, l->d);
}

/* The policy, and what of the statements needs it. */
static void
load_policy(struct load *l)
{
	struct settings *s = l->s;
	struct pos       keeps;
	bool             whole;

	read_policy(l);
	/* What is wrong in a check hides nothing that is wrong elsewhere. */
	whole = l->d->errors == 0;
	if (whole)
		plain_unused_pools(l);
	for (unsigned i = 0; i < s->n_listener; i++) {
		s->listener[i].proxy_from = believed(l, l->listen[i].proxy_from);
		s->listener[i].xclient_from = believed(l, l->listen[i].xclient_from);
	}
	if (l->lines_for != NULL)
		s->smtp.lines_for = policy_networks(s->policy, l->lines_for, l->d);
	if (whole && !l->milter && policy_keeps(s->policy, &keeps) && s->smtp.quarantine == NULL)
		diag_add(l->d, DIAG_ERROR, keeps,
		    SV("outside of checks: quarantine \"/var/spool/postern/quarantine\" max 1G"),
		    "this check says `quarantine' without an address, and nothing says where to keep it");
	plain_sender(l);
	plain_keys(l);
	if (!l->milter)
		plain_milters(l);
	/* Filters rely on keys that are there. */
	if (l->d->errors == 0)
		s->smtp.judge = judge_new(l->a,
		    &(struct judge_conf){
			s->policy, &s->auth, &s->milters, s->decide_within, l->milter });
}

/* ---- as a milter ----------------------------------------------------------------------------- */

/* Of what stands in the file: what only a proxy has a use for. */
static bool
is_proxys(struct strv keyword)
{
	static const char *const words[] = { "listen", "upstream", "tls", "line-endings", "workers",
		"received", "quarantine", "metrics", NULL };

	for (unsigned i = 0; words[i] != NULL; i++)
		if (strv_eq(keyword, strv_z(words[i])))
			return true;
	return false;
}

struct passed_over { /* names, with commas, each once */
	struct arena *a;
	struct strv   names;
	struct pos    at; /* of the first */
};

static void
pass_over(struct passed_over *o, struct strv name, struct pos at)
{
	for (struct strv rest = o->names, one; rest.n > 0;) {
		one = strv_trim(strv_cut(&rest, ','));
		if (strv_eq(one, name))
			return;
	}
	if (o->names.n == 0) {
		o->at = at;
		o->names = name;
		return;
	}
	o->names = arena_concat(o->a, arena_concat(o->a, o->names, SV(", ")), name);
}

/* One note, so that nobody takes for a rule what is none here. */
static void
note_passed_over(struct load *l)
{
	struct settings   *s = l->s;
	struct passed_over o = { .a = l->a, .at = { s->conf->source, 1, 1, 0 } };

	for (unsigned i = 0; i < s->conf->n_plain; i++)
		if (is_proxys(s->conf->plain[i].keyword))
			pass_over(&o, s->conf->plain[i].keyword, s->conf->plain[i].pos);
	for (unsigned i = 0; i < policy_milters(s->policy); i++)
		pass_over(&o, policy_milter(s->policy, i)->plugin ? SV("plugin") : SV("milter"),
		    policy_milter(s->policy, i)->pos);
	if (policy_routes(s->policy))
		pass_over(&o, SV("route, transaction-class"), o.at);
	if (!policy_relays_nothing(s->policy))
		pass_over(&o, SV("relay"), o.at);
	s->passed_over = o.names;
	if (o.names.n > 0)
		diag_add(l->d, DIAG_NOTE, o.at, strv(NULL, 0),
		    "not for a milter, and passed over: %.*s", (int)o.names.n, o.names.p);
}

static struct settings *
load(struct arena *a, struct world *w, const char *path, struct diags *d, bool milter)
{
	struct settings *s = arena_alloc(a, sizeof(*s));
	struct load      l = { .s = s, .a = a, .w = w, .d = d, .milter = milter };
	bool             whole;

	set_defaults(s, a);
	s->conf = conf_parse(a, w, path, d);
	plain_read(&l);
	/* After a fault of syntax what is missing may only be what could not be read. */
	whole = d->errors == 0 && !milter;
	if (s->n_listener == 0 && whole)
		missing(&l, "such as: listen 127.0.0.1:2525",
		    "there is no `listen': nobody could connect");
	if (l.n_upstream == 0 && whole)
		missing(&l, "such as: upstream 127.0.0.1:10025",
		    "there is no `upstream': nothing could be passed on");
	finish_limits(&l);
	/* The certificates of a proxy need not be there, nor be ours to read. */
	if (!milter)
		plain_contexts(&l);
	plain_pools(&l, whole);
	if (!milter) {
		finish_quarantine(&l);
		plain_auth(&l);
	}
	load_policy(&l);
	if (d->errors == 0 && milter)
		note_passed_over(&l);
	else if (d->errors == 0)
		policy_prove(s->policy, a, d);
	return s;
}

struct settings *
settings_load(struct arena *a, struct world *w, const char *path, struct diags *d)
{
	return load(a, w, path, d, false);
}

struct settings *
settings_load_milter(struct arena *a, struct world *w, const char *path, struct diags *d)
{
	return load(a, w, path, d, true);
}

void
settings_free(struct settings *s)
{
	for (unsigned i = 0; i < s->n_listener; i++)
		if (s->listener[i].context != NULL)
			tls_context_free(s->listener[i].context);
	for (unsigned i = 0; i < s->n_client; i++)
		if (s->client[i].context != NULL)
			tls_context_free(s->client[i].context);
	s->n_client = 0;
	if (s->policy != NULL)
		policy_free(s->policy);
	s->policy = NULL;
	s->n_listener = 0;
}

static unsigned
share(unsigned all, unsigned n)
{
	return all / n > 0 ? all / n : 1;
}

struct smtp_conf *
settings_split(const struct settings *s, struct arena *a, unsigned n)
{
	struct smtp_conf *c = arena_alloc(a, sizeof(*c));
	struct server    *server = arena_array(a, s->n_server, sizeof(*server));
	struct pool_conf *pool = arena_array(a, s->smtp.n_pool, sizeof(*pool));

	*c = s->smtp;
	for (unsigned i = 0; i < s->n_server; i++) {
		server[i] = s->server[i];
		server[i].connections = share(server[i].connections, n);
		server[i].auth_connections = share(server[i].auth_connections, n);
	}
	for (unsigned i = 0; i < c->n_pool; i++) {
		pool[i] = s->smtp.pool[i];
		pool[i].server = server + (s->smtp.pool[i].server - s->server);
	}
	c->pool = pool;
	/* However many workers share it, each has room for one message of the largest size. */
	c->limits.spool_total /= n;
	if (c->limits.spool_total < c->limits.message_size + SPOOL_SLACK)
		c->limits.spool_total = c->limits.message_size + SPOOL_SLACK;
	return c;
}
