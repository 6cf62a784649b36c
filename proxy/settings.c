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
#include "proxy/base/hash.h"
#include "proxy/base/tls.h"
#include "proxy/judge.h"
#include "proxy/plain.h"

#define SPOOL_SLACK 65536      /* a spool's memory is counted in whole pieces */
#define PEM_MAX     (1u << 20) /* octets of a certificate chain or a key */
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

/* Whoever reads the key can be us.  The file may not be there in a world of tests: nothing is said then. */
static void
warn_of_readers(struct load *l, const struct conf_value *v)
{
	const char *path = plain_path(l->a, v);
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0)
		diag_add(l->d, DIAG_WARNING, v->pos, arena_printf(l->a, "chmod o= %s", path),
		    "everybody on this machine can read the key %s", path);
}

static struct strv
read_pem(struct load *l, const struct conf_value *v, const char *what)
{
	struct strv  out = { NULL, 0 };
	const char  *path = plain_path(l->a, v);
	enum file_rc rc = l->w->read_file(l->w, l->a, path, PEM_MAX, &out);

	if (rc == FILE_OK)
		return out;
	diag_add(l->d, DIAG_ERROR, v->pos, strv(NULL, 0), "cannot read the %s %s: %s", what, path,
	    file_rc_name(rc));
	return strv(NULL, 0);
}

/* Tickets of one listener are worth nothing at another: each has an id of its own, at most 32 octets. */
static struct strv
context_id(struct arena *a, const struct listener *l)
{
	char                         text[ENDPOINT_TEXT];
	static const struct hash_key none;
	uint64_t                     h = hash_sip(&none, endpoint_print(&l->at, text));

	return arena_printf(a, "postern %016llx", (unsigned long long)h);
}

static void
make_contexts(struct load *l, struct strv certificate, struct strv key)
{
	struct tls_certificate only = { certificate, key, { NULL, 0 } };
	unsigned               which;

	for (unsigned i = 0; i < l->s->n_listener; i++) {
		struct listener *one = &l->s->listener[i];
		struct strv      why = { NULL, 0 };

		if (one->no_starttls && !one->tls)
			continue;
		one->context = tls_context_server(l->a,
		    &(struct tls_server){ .certificate = &only,
			.n_certificate = 1,
			.minimum = l->tls_minimum == 0 ? 0x0303 : l->tls_minimum,
			.id = context_id(l->a, one) },
		    &which, &why);
		if (one->context == NULL) {
			diag_add(l->d, DIAG_ERROR, l->certificate->pos, strv(NULL, 0), "%.*s",
			    (int)why.n, why.p == NULL ? "" : why.p);
			return;
		}
	}
}

static void
finish_tls(struct load *l)
{
	struct strv certificate, key;

	for (unsigned i = 0; l->certificate == NULL && i < l->s->n_listener; i++)
		if (l->s->listener[i].tls || l->s->listener[i].require_tls)
			diag_add(l->d, DIAG_ERROR, l->listen[i].pos,
			    SV("tls certificate \"FILE\" key \"FILE\""),
			    "TLS here needs a certificate, and none is named");
	if (l->certificate == NULL || l->key == NULL)
		return;
	certificate = read_pem(l, l->certificate, "certificate");
	key = read_pem(l, l->key, "key");
	warn_of_readers(l, l->key);
	if (certificate.p != NULL && key.p != NULL && l->s->n_listener > 0)
		make_contexts(l, certificate, key);
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
		diag_add(l->d, DIAG_ERROR, l->limits_pos,
		    SV("spool-total is for all messages in hand"),
		    "spool-total is smaller than message-size: such a message could never pass");
}

static void
load_policy(struct load *l)
{
	struct settings       *s = l->s;
	struct strv           *names = arena_array(l->a, s->n_listener + 1, sizeof(*names));
	unsigned               n_facts;
	const struct fact_def *facts = registry_facts(&n_facts);
	struct hash_key        key;

	for (unsigned i = 0; i < s->n_listener; i++)
		names[i] = s->listener[i].name;
	l->w->random(l->w, &key, sizeof(key));
	s->smtp.key = key;
	s->policy = policy_load(l->a, l->w, s->conf, facts, n_facts,
	    &(struct policy_names){ names, s->n_listener, NULL, 0 }, &key, l->d);
	if (s->policy == NULL)
		return;
	for (unsigned i = 0; i < s->n_listener; i++)
		if (l->listen[i].proxy_from != NULL)
			s->listener[i].proxy_from = policy_networks(
			    s->policy, l->listen[i].proxy_from, l->d);
	if (l->lines_for != NULL)
		s->smtp.lines_for = policy_networks(s->policy, l->lines_for, l->d);
	s->smtp.judge = judge_new(l->a, s->policy);
}

struct settings *
settings_load(struct arena *a, struct world *w, const char *path, struct diags *d)
{
	struct settings *s = arena_alloc(a, sizeof(*s));
	struct load      l = { .s = s, .a = a, .w = w, .d = d };
	bool             whole;

	set_defaults(s, a);
	s->conf = conf_parse(a, w, path, d);
	plain_read(&l);
	/* After a fault of syntax what is missing may only be what could not be read. */
	whole = d->errors == 0;
	if (s->n_listener == 0 && whole)
		missing(&l, "such as: listen 127.0.0.1:2525",
		    "there is no `listen': nobody could connect");
	if (s->n_server == 0 && whole)
		missing(&l, "such as: upstream 127.0.0.1:10025",
		    "there is no `upstream': nothing could be passed on");
	finish_limits(&l);
	finish_tls(&l);
	load_policy(&l);
	return s;
}

void
settings_free(struct settings *s)
{
	for (unsigned i = 0; i < s->n_listener; i++)
		if (s->listener[i].context != NULL)
			tls_context_free(s->listener[i].context);
	if (s->policy != NULL)
		policy_free(s->policy);
	s->policy = NULL;
	s->n_listener = 0;
}

struct smtp_conf *
settings_split(const struct settings *s, struct arena *a, unsigned n)
{
	struct smtp_conf *c = arena_alloc(a, sizeof(*c));
	struct server    *server = arena_array(a, s->n_server, sizeof(*server));
	struct pool_conf *pool = arena_alloc(a, sizeof(*pool));

	*c = s->smtp;
	for (unsigned i = 0; i < s->n_server; i++) {
		server[i] = s->server[i];
		server[i].connections = server[i].connections / n > 0 ? server[i].connections / n :
									1;
	}
	*pool = (struct pool_conf){ SV("default"), server->kind, server, s->n_server };
	c->pool = pool;
	c->n_pool = 1;
	/* However many workers share it, each has room for one message of the largest size. */
	c->limits.spool_total /= n;
	if (c->limits.spool_total < c->limits.message_size + SPOOL_SLACK)
		c->limits.spool_total = c->limits.message_size + SPOOL_SLACK;
	return c;
}
