/*
 * plain_milters -- `milter' and `plugin' blocks as filters take them: sockets, files, timeouts.
 *
 * Nothing is connected or loaded here.  Names of hosts are not looked up: a milter is told of every message, and
 * a name that is not found now and then would be a milter that fails now and then.
 */
#include "config.h"
#include "proxy/base/arena.h"
#include "proxy/judge.h"
#include "proxy/plain.h"

_Static_assert(POLICY_MILTERS == MILTERS_MAX, "the policy numbers as many as there can be");

/* ---- sockets ---------------------------------------------------------------------------------- */

static const char forms[] = "such as \"unix:/run/clamav/milter.sock\", \"inet:127.0.0.1:8891\", "
			    "\"inet:8891@localhost\" or \"inet:[::1]:8891\"";

/* What was meant: a path, or an address, without the word in front. */
static struct strv
hint_socket(struct load *l, struct strv v)
{
	struct endpoint e;
	const char     *why;

	if (strv_starts(v, SV("/")))
		return arena_printf(l->a, "did you mean \"unix:%.*s\"?", (int)v.n, v.p);
	if (strv_chr(v, '"') == v.n && endpoint_parse(l->a, v, &e, &why))
		return arena_printf(l->a, "did you mean \"inet:%.*s\"?", (int)v.n, v.p);
	return strv_z(forms);
}

static void
take_socket(struct load *l, const struct policy_milter *p, struct milter_conf *m)
{
	const char *why;

	if (milter_socket_parse(l->a, p->socket, &m->at, &why))
		return;
	if (why == NULL)
		diag_add(l->d, DIAG_ERROR, p->socket_pos, hint_socket(l, p->socket),
		    "%s is no socket: it begins with `unix:' or `inet:'",
		    diag_quote(l->a, p->socket));
	else
		diag_add(l->d, DIAG_ERROR, p->socket_pos, strv_z(forms), "%s is no socket: %s",
		    diag_quote(l->a, p->socket),
		    strv_starts(strv_z(why), SV("the host")) ?
			"the host must be an IP address or localhost" :
			why);
}

/* ---- plugins ---------------------------------------------------------------------------------- */

static void
take_args(struct load *l, const struct policy_milter *p, struct milter_conf *m)
{
	const char **v = arena_array(l->a, p->n_args + 1, sizeof(*v));

	for (; m->n_args < p->n_args; m->n_args++)
		v[m->n_args] = arena_z(l->a, p->args[m->n_args]);
	m->args = v;
}

/* It is loaded later, perhaps by another user: that it is there and can be read is what can be said now. */
static void
take_file(struct load *l, const struct policy_milter *p, struct milter_conf *m)
{
	struct conf_value v = { .kind = CONF_STRING, .text = p->load, .pos = p->load_pos };
	struct strv       text;
	enum file_rc      rc;

	if (p->load.n == 0 || p->load.n > 4000 || strv_chr(p->load, '\0') < p->load.n) {
		diag_add(l->d, DIAG_ERROR, p->load_pos,
		    SV("such as \"/usr/lib/postern/size-limit.so\""), "this cannot be a file");
		return;
	}
	m->file = plain_path(l->a, &v);
	rc = l->w->read_file(l->w, l->a, m->file, 4, &text);
	if (rc != FILE_OK && rc != FILE_TOO_BIG)
		diag_add(l->d, DIAG_ERROR, p->load_pos, plain_hint_file(rc, p->load),
		    "cannot read the plugin %s: %s", diag_quote(l->a, strv_z(m->file)),
		    file_rc_name(rc));
}

/* In one process the same object would be one set of variables under two names: it is not loaded there. */
static void
look_alone(struct load *l, const struct policy_milter *p, const struct milter_conf *m)
{
	const struct milters_conf *c = &l->s->milters;

	for (unsigned i = 0; i < c->n && m->home == HOME_INSIDE && m->file != NULL; i++)
		if (c->v[i].home == HOME_INSIDE && c->v[i].file != NULL &&
		    strcmp(c->v[i].file, m->file) == 0)
			diag_add(l->d, DIAG_ERROR, p->load_pos,
			    SV("give it a copy of its own, or make one of them `isolated'"),
			    "plugin %.*s has this object already", (int)c->v[i].name.n,
			    c->v[i].name.p);
}

/* ---- all -------------------------------------------------------------------------------------- */

static uint64_t
decide_within(const struct load *l)
{
	return l->s->decide_within > 0 ? l->s->decide_within : DECIDE_WITHIN;
}

static void
take_timeouts(struct load *l, const struct policy_milter *p, struct milter_conf *m)
{
	m->timeout = p->timeout > 0 ? p->timeout : MILTER_TIMEOUT;
	m->timeout_short = m->timeout < MILTER_TIMEOUT_SHORT ? m->timeout : MILTER_TIMEOUT_SHORT;
	if (p->timeout > decide_within(l))
		diag_add(l->d, DIAG_WARNING, p->timeout_pos,
		    arena_printf(l->a, "all milters together have decide-within, which is %s",
			arena_z(l->a, unit_print(l->a, UNIT_TIME, decide_within(l)))),
		    "no milter is waited for so long");
}

static void
look_failure(struct load *l, const struct policy_milter *p)
{
	if (p->on_failure == FAILURE_QUARANTINE && l->s->smtp.quarantine == NULL)
		diag_add(l->d, DIAG_ERROR, p->failure_pos,
		    SV("outside of blocks: quarantine \"/var/spool/postern/quarantine\" max 1G"),
		    "`on failure quarantine' keeps messages, and nothing says where");
}

static struct milter_conf
one(struct load *l, const struct policy_milter *p, unsigned number)
{
	struct milter_conf m = { .name = p->name, .number = number };

	m.home = !p->plugin ? HOME_DAEMON : p->isolated ? HOME_ISOLATED : HOME_INSIDE;
	take_timeouts(l, p, &m);
	if (!p->plugin && p->socket.p != NULL)
		take_socket(l, p, &m);
	if (HAVE_MILTER && p->plugin && p->load.p != NULL) {
		take_args(l, p, &m);
		take_file(l, p, &m);
		look_alone(l, p, &m);
	}
	look_failure(l, p);
	return m;
}

void
plain_milters(struct load *l)
{
	struct milters_conf *c = &l->s->milters;
	unsigned             n = policy_milters(l->s->policy);

	c->hostname = l->s->smtp.hostname;
	c->v = arena_array(l->a, n, sizeof(*c->v));
	for (; c->n < n; c->n++)
		c->v[c->n] = one(l, policy_milter(l->s->policy, c->n), c->n);
}
