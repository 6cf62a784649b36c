/*
 * plain -- what the plain statements of a configuration mean, one function for each, one table.
 *
 * A function fills in what its statement says and leaves alone what it does not; what depends on other
 * statements waits in struct load.  The long ones have files of their own: plain_listen, plain_upstream
 * with plain_pool, plain_tls, plain_limits; what they all consist of is plain_take's.  Lists and rules are
 * policy/'s.
 */
#include "proxy/plain.h"

#include <pwd.h>

#include "proxy/base/arena.h"

#define WORKERS_MAX 128
#define RESOLVERS   8
#define DNS_PORT    53

/* ---- the short ones -------------------------------------------------------------------------- */

static void
hostname_statement(struct values *r, struct load *l)
{
	const struct conf_value *v = plain_take_host(r, HOST_NAME);

	if (v != NULL)
		l->s->smtp.hostname = v->text;
}

static void
line_endings_statement(struct values *r, struct load *l)
{
	static const char *const words[] = { "normalize", "reject", NULL };
	int                      i = values_take_one_of(r, words, "a treatment of line ends");

	l->s->smtp.lines = i == 1 ? LINES_REJECT : LINES_NORMALIZE;
	if (values_is(r, "for"))
		l->lines_for = plain_take_list(r);
	if (i == 0 && l->lines_for != NULL)
		diag_add(r->d, DIAG_WARNING, l->lines_for->pos,
		    SV("such as: line-endings reject for { 192.0.2.0/24 }"),
		    "all others are normalized as well, so `for' changes nothing here");
}

static void
user_statement(struct values *r, struct load *l)
{
	const struct conf_value *v = values_take_text(r, "a user");

	if (v == NULL)
		return;
	l->s->user = arena_z(l->a, v->text);
	if (getpwnam(l->s->user) == NULL)
		values_error(r, v, "such as adduser --system makes", "this system has no user `%s'",
		    l->s->user);
}

static void
workers_statement(struct values *r, struct load *l)
{
	uint64_t n;

	if (values_take_number(r, UNIT_COUNT, 1, WORKERS_MAX, &n))
		l->s->workers = (unsigned)n;
}

/* A folder that is called as the word behind it has quotes. */
static const char *
take_folder(struct values *r, const char *word, const char *form)
{
	const struct conf_value *v = values_peek(r);

	if (v == NULL || v->kind != CONF_WORD || !strv_eq(v->text, strv_z(word)))
		return plain_take_path(r, "a folder");
	values_error(r, v, form, "the folder is missing in front of `%s'", word);
	return NULL;
}

static void
spool_statement(struct values *r, struct load *l)
{
	const char *dir = take_folder(r, "memory", "such as: spool \"/var/tmp\" memory 1M");

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

/* RFC 5321 4.5.3.2.6: a client waits ten minutes for the answer to its text, and sends it again then. */
static void
decide_within_statement(struct values *r, struct load *l)
{
	values_take_number(r, UNIT_TIME, 1000, 600000, &l->s->decide_within);
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
		l->s->log_file = plain_take_path(r, "a file");
	json = values_peek(r);
	if (values_is(r, "json"))
		values_error(r, json, NULL, "`json' is not in this build");
}

static void
quarantine_statement(struct values *r, struct load *l)
{
	const struct conf_value *at = values_peek(r);
	const char              *dir;

	dir = take_folder(r, "max", "such as: quarantine \"/var/spool/postern/quarantine\" max 1G");
	if (dir != NULL) {
		l->s->smtp.quarantine = dir;
		l->quarantine_pos = at->pos;
	}
	if (values_is(r, "max"))
		values_take_number(
		    r, UNIT_SIZE, 1024 * 1024, UINT64_C(1) << 50, &l->s->smtp.quarantine_max);
}

static void
received_statement(struct values *r, struct load *l)
{
	static const char *const words[] = { "off", "on", NULL };

	l->s->smtp.received = values_take_one_of(r, words, "on or off") == 1;
}

/* An address alone means port 53. */
static bool
take_resolver(struct values *r, struct endpoint *out)
{
	const struct conf_value *v = values_take_text(r, "an address");
	const char              *why = NULL;

	if (v == NULL)
		return false;
	*out = (struct endpoint){ .port = DNS_PORT };
	if (addr_parse(v->text, &out->addr))
		return true;
	if (endpoint_parse(r->a, v->text, out, &why) && out->addr.family != ADDR_UNIX &&
	    out->port != 0)
		return !plain_is_milters(r, v, out);
	values_error(r, v, "such as 192.0.2.53, \"2001:db8::53\" or 127.0.0.1:5353, or `system'",
	    "%s is not the address of a resolver", diag_quote(r->a, v->text));
	return false;
}

static void
resolver_statement(struct values *r, struct load *l)
{
	struct resolver_conf *conf = &l->s->resolver;
	struct endpoint      *forward;

	if (values_is(r, "system"))
		return;
	forward = arena_array(l->a, RESOLVERS, sizeof(*forward));
	conf->forward = forward;
	do {
		if (conf->n == RESOLVERS) {
			values_error(r, values_peek(r), NULL, "more than %d resolvers", RESOLVERS);
			while (values_peek(r) != NULL)
				values_take(r, "an address");
			return;
		}
		if (!take_resolver(r, &forward[conf->n]))
			return;
		conf->n++;
	} while (values_peek(r) != NULL);
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
	{ "listen",       0,            plain_listen },
	{ "metrics",      ONCE,         plain_metrics },
	{ "upstream",     0,            plain_upstream },
	{ "tls",          0,            plain_tls },
	{ "limits",       ONCE | BLOCK, limits_statement },
	{ "line-endings", ONCE,         line_endings_statement },
	{ "reject-at",    ONCE,         reject_at_statement },
	{ "user",         ONCE,         user_statement },
	{ "workers",      ONCE,         workers_statement },
	{ "spool",        ONCE,         spool_statement },
	{ "drain",        ONCE,         drain_statement },
	{ "decide-within", ONCE,        decide_within_statement },
	{ "log",          ONCE,         log_statement },
	{ "received",     ONCE,         received_statement },
	{ "resolver",     ONCE,         resolver_statement },
	{ "quarantine",   ONCE,         quarantine_statement },
	{ "authenticate", ONCE,         plain_authenticate },
	{ "spf",          ONCE | BLOCK, plain_spf },
	{ "dkim",         ONCE | BLOCK, plain_dkim },
	{ "sign",         0,            plain_sign },
	{ "seal",         0,            plain_seal },
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
		    arena_printf(r->a, "the first stands in %s",
			values_line(r->a, (*first)->pos, r->st->pos)),
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
