/*
 * sign -- adds our DKIM signatures.  RFC 6376 5.
 *
 * Behind all changes but the ARC set, over the message as it will be sent.  A `sign' signs for the one domain of From;
 * a message with another number of From fields, or with addresses of several domains in it, is nobody's, and goes
 * unsigned.  What fails is logged, and the message goes on without that signature: it was not refused for it.
 */
#include "filters/filters.h"
#include "filters/sign_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/mailboxes.h"

struct signing { /* of one message */
	struct arena           *a;
	const struct sign_rule *rule;
	struct strv             domain; /* of From, in A-labels */
	struct sign_text        text;
	bool                    read; /* text is there */
	const struct mail      *mail;
	struct sign_source      from;
	struct findings        *found;
};

struct seat {
	const struct auth_conf *auth;
	struct arena           *a; /* the transaction's */
};

static void *
sign_make(struct arena *conf, const struct filter_use *use)
{
	(void)conf;
	/* It is only read. */
	return use->auth->n_sign > 0 ? (void *)(uintptr_t)use->auth : NULL;
}

static void *
sign_open(struct arena *session, void *shared, const struct client *client)
{
	struct seat *s = arena_alloc(session, sizeof(*s));

	(void)client;
	s->auth = shared;
	return s;
}

static void
sign_begin(void *self, struct arena *transaction)
{
	((struct seat *)self)->a = transaction;
}

static void
sign_end(void *self)
{
	((struct seat *)self)->a = NULL;
}

/* ---- whose key ------------------------------------------------------------------------------- */

static const struct sign_key *
find_key(const struct sign_rule *r, struct strv domain)
{
	unsigned low = 0, high = r->n_key;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;
		int      order = strv_cmp(r->key[middle].domain, domain);

		if (order == 0)
			return &r->key[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The domain's own, or that of the nearest above it which is for what is below. NULL: the list has neither. */
static const struct sign_key *
key_for(const struct sign_rule *r, struct strv domain)
{
	const struct sign_key *k = find_key(r, domain);

	if (k != NULL && k->exact)
		return k;
	for (strv_cut(&domain, '.'); domain.n > 0; strv_cut(&domain, '.')) {
		k = find_key(r, domain);
		if (k != NULL && k->below)
			return k;
	}
	return NULL;
}

/* Of From, if it is one. Absent: it is none, or several. */
static struct strv
domain_of(struct arena *a, const struct sign_source *s)
{
	unsigned                 n = 0;
	const struct view_field *it = NULL;
	struct mailboxes         all = { 0 };
	char                     name[DNS_NAME_MAX];

	for (unsigned i = 0; i < s->n_field; i++)
		if (strv_ieq(s->field[i].name, SV("From"))) {
			it = &s->field[i];
			n++;
		}
	if (n != 1)
		return strv(NULL, 0);
	mailboxes_parse(a, strv_from(it->raw, strv_chr(it->raw, ':') + 1), &all);
	if (all.n == 0 || all.mixed || !dns_name(all.first.domain, name))
		return strv(NULL, 0);
	return arena_dup(a, strv_z(name));
}

/* ---- signing --------------------------------------------------------------------------------- */

static void
tell(struct signing *g, const struct sign_key *k, const char *why)
{
	struct log_line *l = arena_alloc(g->a, sizeof(*l));

	if (fiber_self() == NULL)
		return;
	log_begin(l, loop_world(fiber_loop()), strv_z(g->mail->id), "unsigned");
	log_strv(l, "domain", k->domain);
	log_strv(l, "selector", g->rule->selector);
	log_strv(l, "at", g->rule->where);
	log_z(l, "reason", why);
	log_end(l);
}

static uint64_t
seconds_now(void)
{
	struct world *w = fiber_self() != NULL ? loop_world(fiber_loop()) : NULL;

	return w != NULL ? w->wall(w) / 1000000 : 0;
}

/* Once for all signatures. */
MAY_YIELD static enum filter_rc
read_once(struct signing *g, const char **why)
{
	enum filter_rc rc = FILTER_OK;

	if (!g->read)
		rc = sign_read(g->a, &g->from, seconds_now(), &g->text, why);
	g->read = rc == FILTER_OK;
	return rc;
}

/* FILTER_CANCELLED, or FILTER_OK: whether it is signed is another thing. */
MAY_YIELD static enum filter_rc
sign_with(struct signing *g, const struct sign_key *k)
{
	const char *why = NULL;
	struct edit e = {
		.op = EDIT_INSERT_HEADER, .name = SV("DKIM-Signature"), .by = SV("sign")
	};
	enum filter_rc rc = read_once(g, &why);

	if (rc == FILTER_CANCELLED || fiber_heavy() == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	if (rc == FILTER_OK) {
		why = "the key does not sign";
		e.value = sign_make_field(g->a, &g->text, k->domain, g->rule->selector, k->key);
	}
	if (e.value.p == NULL || !edits_add(g->a, g->found->edits, &e, &why))
		tell(g, k, why);
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
sign_at(void *self, enum stage at, const struct mail *m, const struct view *view,
    struct findings *found)
{
	struct seat   *s = self;
	struct signing g = { .a = s->a,
		.mail = m,
		.from = { .view = view },
		.found = found,
		.text = { .header = s->auth->sign_header, .text = s->auth->sign_body } };
	unsigned       meant = 0;

	(void)at;
	for (unsigned i = 0; i < s->auth->n_sign; i++)
		meant += found->holds[s->auth->sign[i].number];
	if (meant == 0 || s->a == NULL || m->msg == NULL)
		return FILTER_OK;
	g.from.field = view_fields(s->a, view, &g.from.n_field);
	g.domain = domain_of(s->a, &g.from);
	/* In file order, the first on top. */
	for (unsigned i = s->auth->n_sign; g.domain.n > 0 && i-- > 0;) {
		const struct sign_key *k;

		g.rule = &s->auth->sign[i];
		k = found->holds[g.rule->number] ? key_for(g.rule, g.domain) : NULL;
		if (k != NULL && sign_with(&g, k) == FILTER_CANCELLED)
			return FILTER_CANCELLED;
	}
	return FILTER_OK;
}

const struct filter sign_filter = {
	.name = "sign",
	.does = DOES_SEAL | DOES_HEADER_EDIT,
	.stages = AT(SEAL),
	.make = sign_make,
	.open = sign_open,
	.begin = sign_begin,
	.end = sign_end,
	.at = sign_at,
};
