/*
 * player -- plays a scenario: one text file holds the actors and what is expected of them.
 *
 *     # what it shows (the first comment)
 *     config
 *         limits { errors 3 }          # statements of postern.conf; what is lacking gets a default
 *     upstream
 *         offers PIPELINING CHUNKING SIZE=1000 XCLIENT=NAME,ADDR,PROTO
 *         on RCPT "*<bob@*" say 550 5.1.1 no bob
 *         once DOT commit ; drop       # once: the first time alone
 *     client alice 198.51.100.9
 *         < 220 mx.test *              # one reply line; * is any run of octets
 *         > EHLO a.example             # lines without a < between them leave in one segment
 *         < 250...                     # a whole reply of that code
 *         >> "NOOP\r\n" * 100          # octets
 *         wait 10s                     # of the simulated clock
 *         closed
 *     expect
 *         upstream MAIL FROM:<a@*      # it heard this, after the line before
 *         messages 1
 *         message 1
 *         | Subject: the whole text, line by line
 *         log verdict=reject           # some line holds it
 *
 * Sections stand at the first column, their lines are indented.  tests/scenario/README has all.
 * A scenario fails as well when a client hears more than it was told to expect, when the upstream
 * sees what no server should (mailer.h), and when anything is left over at the end (house.h).
 */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/dns_sim.h"
#include "tests/sim/player.h"
#include "tests/sim/wire.h"

#define PLAY_LONGEST (48 * 3600000u) /* of the clock */

void
play_fail(struct play *p, unsigned line, const char *fmt, ...)
{
	char    text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sim_note(
	    p->sim, "FAIL", "%.*s:%u: %s", (int)p->script->path.n, p->script->path.p, line, text);
	p->failed = true;
}

void
play_signal(struct play *p, struct strv name)
{
	struct script *s = p->script;

	p->signals = arena_grow(s->a, p->signals, &p->max_signals, p->n_signals + 1, sizeof(name));
	p->signals[p->n_signals++] = name;
	sim_note(p->sim, "signal", "%.*s", (int)name.n, name.p);
	for (struct actor *a = p->sim->actors; a != NULL; a = a->next)
		a->again = true;
}

bool
play_signalled(const struct play *p, struct strv name)
{
	for (unsigned i = 0; i < p->n_signals; i++)
		if (strv_eq(p->signals[i], name))
			return true;
	return false;
}

/* ---- the upstream's rules ---- */

static bool
fits(const struct rule *r, const struct up_moment *m)
{
	struct strv pattern = r->pattern;

	/* `on AUTH' is for the command and the lines of its exchange. */
	if (m->stage == UP_AUTH && r->stage == UP_COMMAND && strv_ieq(r->verb, SV("AUTH")))
		return pattern.p == NULL || sim_match(pattern, m->line);
	if (r->stage != m->stage || (m->stage == UP_TEXT && m->octets < r->at))
		return false;
	if (m->stage == UP_COMMAND && r->verb.p != NULL && !strv_ieq(r->verb, m->verb))
		return false;
	return pattern.p == NULL || sim_match(pattern, m->line);
}

/* The first rule that fits and whose turn it is; each counts every moment that fits it. */
static bool
decide(void *arg, const struct up_moment *m, struct up_answer *out)
{
	struct up_script *u = arg;
	bool              found = false;

	for (unsigned i = 0; i < u->n_rule; i++) {
		struct rule *r = &u->rule[i];

		if (!fits(r, m))
			continue;
		r->seen++;
		if (!found && r->seen >= r->first && r->seen <= r->last) {
			*out = r->answer;
			found = true;
		}
	}
	return found;
}

/* ---- a milter's ---- */

static bool
milter_decide(void *arg, const struct milter_moment *m, struct milter_plan *out)
{
	struct milter_script *s = arg;
	bool                  found = false;

	for (unsigned i = 0; i < s->n_rule; i++) {
		struct milter_on *r = &s->rule[i];

		if (!strv_eq(r->verb, m->verb) || (r->conn > 0 && r->conn != m->conn) ||
		    (r->pattern.p != NULL && !sim_match(r->pattern, m->line)))
			continue;
		r->seen++;
		if (!found && r->seen >= r->first && r->seen <= r->last) {
			*out = *r->plan;
			found = true;
		}
	}
	return found;
}

static struct sim_milter *
open_milter(struct play *p, struct milter_script *s)
{
	struct sim_milter *m = sim_milter_new(p->sim, arena_z(p->script->a, s->name), &s->at);

	m->version = s->version;
	m->actions = s->actions;
	m->protocol = s->protocol;
	m->cut = s->cut;
	m->lax = s->lax;
	buf_add(&m->symlist, s->symlist);
	m->decide = milter_decide;
	m->arg = s;
	return m;
}

struct sim_milter *
play_milter(const struct play *p, struct strv name)
{
	for (unsigned i = 0; i < p->script->n_milter; i++)
		if (strv_eq(p->script->milter[i].name, name))
			return p->milter[i];
	return NULL;
}

/* ---- one scenario from its beginning to its end ---- */

static struct mailer *
open_upstream(struct play *p, struct up_script *u)
{
	struct mailer *m = mailer_new(p->sim, arena_z(p->script->a, u->name), &u->at);

	m->decide = decide;
	m->arg = u;
	m->helo_only = u->helo_only;
	m->lax = u->lax;
	m->lmtp = u->lmtp;
	m->proxy = u->proxy;
	m->auth_required = u->auth_required;
	m->certificate = u->certificate;
	m->tls12 = u->tls12;
	m->cut = u->cut;
	if (u->offers.p != NULL)
		mailer_offer(m, u->offers);
	if (u->offers_in_tls.p != NULL)
		mailer_offer_in_tls(m, u->offers_in_tls);
	return m;
}

struct mailer *
play_server(const struct play *p, struct strv name)
{
	for (unsigned i = 0; i < p->script->n_up; i++)
		if (strv_eq(p->script->up[i].name, name))
			return p->up[i];
	return NULL;
}

static bool
clients_done(void *arg)
{
	const struct play *p = arg;

	return p->playing == 0 || p->failed;
}

static void
state_dns(struct play *p, const struct script_dns *d)
{
	const char *why = "";

	if (d->op == SCRIPT_DNS_DELAY)
		sim_dns_delay(p->sim->dns, d->name, d->ms);
	else if (d->op == SCRIPT_DNS_KEEP)
		sim_dns_keep(p->sim->dns, d->ms);
	else if (!sim_dns_add(p->sim->dns, d->name, d->type, d->value, &why))
		play_fail(p, d->line, "dns: %s", why);
}

static void
run(struct play *p)
{
	struct script *s = p->script;
	const char    *left;
	enum sim_rc    rc;

	for (unsigned i = 0; i < s->n_file; i++)
		sim_write_file(p->sim, arena_z(s->a, s->file[i].path), s->file[i].text);
	for (unsigned i = 0; i < s->n_dns; i++)
		state_dns(p, &s->dns[i]);
	p->up = arena_alloc(s->a, s->n_up * sizeof(*p->up));
	for (unsigned i = 0; i < s->n_up; i++)
		p->up[i] = open_upstream(p, &s->up[i]);
	p->milter = arena_alloc(s->a, s->n_milter * sizeof(*p->milter));
	for (unsigned i = 0; i < s->n_milter; i++)
		p->milter[i] = open_milter(p, &s->milter[i]);
	if (!house_open(&p->house, p->sim, s->config)) {
		play_fail(p, 0, "the configuration has mistakes");
		return;
	}
	for (unsigned i = 0; i < s->n_client; i++)
		client_start(p, &s->client[i]);
	rc = sim_run(p->sim, clients_done, p, p->sim->clock + PLAY_LONGEST);
	if (rc != SIM_FINISHED)
		play_fail(p, 0, "clients are not done: %s", sim_rc_name(rc));
	if (p->failed)
		return; /* what is half done cannot be ended in order: the process leaks it */
	left = house_close(&p->house);
	if (left != NULL)
		play_fail(p, 0, "at the end: %s", left);
	play_check(p);
}

bool
play(struct strv path, struct strv text, enum house_mode mode, bool verbose)
{
	struct arena *a = arena_new(4096, 0);
	struct play   p = { .script = script_parse(a, path, text) };
	unsigned      fds = sim_count_fds();

	if (p.script->bad != NULL) {
		printf("%.*s:%u: %s\n", (int)path.n, path.p, p.script->bad_line, p.script->bad);
		arena_free(a);
		return false;
	}
	p.sim = sim_new(1);
	house_mode(p.sim, mode);
	p.sim->sndbuf = (int)p.script->sndbuf;
	run(&p);
	if (verbose || p.failed)
		printf("---- %.*s (%s): %.*s\n%.*s", (int)path.n, path.p, house_mode_name[mode],
		    (int)p.script->title.n, p.script->title.p, (int)p.sim->story.n, p.sim->story.p);
	if (p.failed)
		return false;
	sim_free(p.sim);
	wire_session_free(p.session);
	for (unsigned i = 0; i < p.script->n_up; i++)
		mailer_free(p.up[i]);
	for (unsigned i = 0; i < p.script->n_milter; i++)
		sim_milter_free(p.milter[i]);
	arena_free(a);
	if (sim_count_fds() > fds) {
		printf("FAIL %.*s: descriptors are left open\n", (int)path.n, path.p);
		return false;
	}
	return true;
}
