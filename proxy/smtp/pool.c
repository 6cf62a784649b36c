/*
 * pool -- which connection a session gets.  Knows no command.
 *
 * The choice is pool_choice's, the connections at hand are pool_connections', those who wait are
 * pool_queue's, the servers' health is pool_probe's; here is what uses them: taking, with the next
 * server where one fails.  The invariant is pool_own.h's.
 */
#include <assert.h>

#include "proxy/base/tls.h"
#include "proxy/smtp/pool_own.h"
#include "proxy/smtp/sessionlog.h"

const struct hop *
pool_hop(const struct pool *p)
{
	static const struct hop *const hop[] = {
		[HOP_SMTP] = &hop_smtp,
		[HOP_LMTP] = &hop_lmtp,
		[HOP_MAILDIR] = &hop_maildir,
	};

	return hop[p->conf->kind];
}

const struct pool_conf *
pool_conf(const struct pool *p)
{
	return p->conf;
}

const char *
up_rc_text(enum up_rc rc)
{
	static const char *const text[] = { "ok", "timed out", "closed the connection",
		"talked nonsense", "refused", "is busy", "cancelled" };

	return text[rc];
}

bool
pool_settled(const struct pool *p)
{
	return p->settled;
}

bool
pool_up(const struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (pool_alive(&p->sv[i]))
			return p->settled;
	return false;
}

/* --- making ----------------------------------------------------------------------------------- */

/*
 * Codes that a server has for a client.  Others are about what we said (500 to 504, x.5.x), what it wants of us
 * (530, 538) or its own state (x.3.x): by them all mail would bounce.
 */
bool
pool_turns_away(const struct reply *r)
{
	static const uint16_t codes[] = { 521, 550, 553, 554, 556, 571 };

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (r->code == codes[i])
			return !strv_starts(r->text, SV("5.3.")) &&
			    !strv_starts(r->text, SV("5.5."));
	return false;
}

/* Of a server that refused somebody, and has greeted nobody since, a second refusal may be meant for all. */
static void
keep_refusal(struct arena *a, struct pool_refusal *to, const struct reply *from,
    const struct upstream *up, bool of_client)
{
	to->said = *from;
	to->said.text = arena_dup(a, from->text);
	to->of_client = of_client && !up->sv->suspect && pool_turns_away(from);
}

static const char *
failure(const struct upstream *up, enum up_rc rc)
{
	if (up->io.failed != NULL)
		return up->io.failed;
	return rc == UP_CLOSED && !up->greeted ? "closed the connection before its greeting" :
						 up_rc_text(rc);
}

/*
 * Behind a PROXY header that names a client a refusal, or a close, may be meant for that client alone.  What
 * becomes of STARTTLS is between the server and us.
 */
static bool
is_of_client(const struct upstream *up, const struct session *s, enum up_rc rc)
{
	bool tls = up->sv->conf->tls != TLS_USE_OFF &&
	    (up->tls_fault || (up->ehlo.caps & EHLO_STARTTLS));

	return s != NULL && up->named && !tls && (rc == UP_REFUSED || rc == UP_CLOSED);
}

static void
log_of_client(struct session *s, const struct upstream *up, enum up_rc rc, const struct reply *r)
{
	struct strv name = up->sv->conf->name;
	struct buf  b;

	buf_init(&b, 4096);
	if (rc == UP_REFUSED)
		buf_printf(
		    &b, "%.*s: %u %.*s", (int)name.n, name.p, r->code, (int)r->text.n, r->text.p);
	else
		buf_printf(&b, "%.*s: %s", (int)name.n, name.p, up_rc_text(rc));
	buf_addc(&b, '\0');
	session_log_event(s, "upstream-refuses-client", b.n > 0 ? b.p : "");
	buf_fini(&b);
}

/* Not made, for this reason. */
static void
fault(struct upstream *up, struct session *s, enum up_rc rc, const struct reply *r)
{
	if (rc == UP_CANCELLED)
		return;
	if (is_of_client(up, s, rc)) {
		log_of_client(s, up, rc, r);
		pool_doubt(up->sv);
	} else {
		pool_failed(up->sv, up, rc == UP_REFUSED ? r->text : strv_z(failure(up, rc)));
	}
}

enum up_rc
pool_make(struct pool_server *sv, struct session *s, bool bound, struct arena *a,
    struct upstream **out, struct pool_refusal *refusal)
{
	struct smtp     *m = sv->pool->smtp;
	struct reply     r = { 0 };
	bool             left = pool_client_left(s);
	const char      *why = "cannot connect";
	struct upstream *up = upstream_new(m, sv, &why);
	enum up_rc       rc;

	if (up == NULL && refusal != NULL)
		refusal->why = why;
	if (up == NULL) {
		pool_failed(sv, NULL, strv_z(why));
		pool_place_free(sv, bound);
		return UP_CLOSED;
	}
	up->bound = bound;
	up->wanted = s != NULL;
	pool_add(up);
	rc = upstream_greet(up, m->conf->hostname, s != NULL ? &s->client : NULL, &r);
	if (!left && pool_client_left(s))
		session_log_waited(s, "upstream");
	if (rc == UP_OK) {
		*out = up;
		pool_is_up(sv, up, up->named && s != NULL);
		return UP_OK;
	}
	if (refusal != NULL)
		refusal->why = failure(up, rc);
	if (rc == UP_REFUSED && a != NULL)
		keep_refusal(a, refusal, &r, up, is_of_client(up, s, rc));
	fault(up, s, rc, &r);
	up->tainted = true;
	pool_drop(up);
	return rc;
}

/* --- taking ----------------------------------------------------------------------------------- */

/* The place of one that is named and unused, on a server that would be the choice. */
static struct pool_server *
take_unused(const struct pool_errand *e)
{
	struct pool *p = e->pool;

	for (unsigned i = 0; i < p->n && !e->wish->bound; i++)
		if (pool_suits(e, &p->sv[i], false) && pool_take_unused(&p->sv[i]))
			return &p->sv[i];
	return NULL;
}

/* A connection (e->up) or a place of ours at e->sv. */
static enum up_rc
get_place(struct pool_errand *e)
{
	enum up_rc rc = UP_OK;

	e->up = NULL;
	e->sv = pool_choose(e);
	if (e->sv != NULL)
		e->up = pool_claim(e);
	else
		e->sv = take_unused(e);
	if (e->sv == NULL)
		rc = pool_wait(e);
	else
		pool_catch_up(e->pool);
	if (rc == UP_OK && e->up != NULL && (e->wish->fresh || upstream_quiet(e->up) != UP_QUIET)) {
		/* Stale, or perhaps as stale as the last one: its place is as good. */
		pool_discard(e->up);
		e->up = NULL;
	}
	return rc;
}

/* The server's EHLO may have lost since what it was chosen for. */
static enum up_rc
connect_to(struct pool_errand *e, struct arena *a, struct pool_refusal *refusal)
{
	enum up_rc rc = pool_make(e->sv, e->session, e->wish->bound, a, &e->up, refusal);

	if (rc != UP_OK || (e->up->ehlo.auth & e->wish->auth) == e->wish->auth)
		return rc;
	pool_give(e->up);
	return UP_REFUSED;
}

static void
adopt(const struct pool_errand *e, bool reused)
{
	struct upstream *up = e->up;

	up->owner = e->session;
	up->ticket = e->ticket;
	up->reused = reused;
	up->heard = false;
	up->idle_since = 0;
	pool_sweep_start(up->sv->pool);
	pool_warm(up->sv);
}

/*
 * What a server that is tried next offers may be less than what the client heard: the hop looks,
 * and says so.
 */
static enum up_rc
take(struct pool_errand *e, struct arena *a, struct pool_refusal *refusal)
{
	struct smtp *m = e->pool->smtp;
	enum up_rc   rc = UP_REFUSED;

	while (pool_any_left(e) && (e->tried == 0 || loop_now(m->loop) < e->until)) {
		bool reused;

		if (e->tried != 0)
			counters_add(m->counters, m->place, COUNTER_FAILOVERS, 1);
		rc = get_place(e);
		if (rc != UP_OK)
			return rc;
		*refusal = (struct pool_refusal){ .sv = e->sv };
		reused = e->up != NULL;
		if (!reused)
			rc = connect_to(e, a, refusal);
		if (rc == UP_OK)
			adopt(e, reused);
		if (rc == UP_OK || rc == UP_CANCELLED || refusal->of_client)
			return rc;
		e->tried |= UINT64_C(1) << e->sv->index;
	}
	return rc;
}

enum up_rc
pool_take(struct pool *p, struct session *s, const struct pool_wish *wish, struct arena *a,
    struct upstream **out, struct pool_refusal *refusal)
{
	struct pool_errand e = { .pool = p, .session = s, .wish = wish, .ticket = wish->ticket };
	enum up_rc         rc;

	assert(p->conf->kind != HOP_MAILDIR);
	if (e.ticket == 0)
		e.ticket = ++p->tickets;
	e.until = loop_now(p->smtp->loop) + POOL_WAIT_MS;
	*refusal = (struct pool_refusal){ 0 };
	rc = take(&e, a, refusal);
	if (rc == UP_OK)
		*out = e.up;
	pool_catch_up(p);
	return rc;
}

/* --- beginning and end ------------------------------------------------------------------------ */

/* What a Maildir offers is ours to say; it is always there. */
static void
maildir_init(struct pool *p)
{
	p->settled = true;
	p->sv->known = true;
	p->sv->ehlo = (struct ehlo){ .caps = EHLO_PIPELINING | EHLO_ENHANCED | EHLO_8BITMIME |
		    EHLO_SMTPUTF8 | EHLO_CHUNKING };
}

struct pool *
pool_new(struct smtp *m, const struct pool_conf *conf)
{
	struct pool *p = mem_alloc(sizeof *p);

	p->smtp = m;
	p->conf = conf;
	p->n = conf->n_server;
	p->sv = mem_array(p->n, sizeof *p->sv);
	for (unsigned i = 0; i < p->n; i++) {
		p->sv[i].conf = &conf->server[i];
		p->sv[i].pool = p;
		p->sv[i].index = i;
	}
	pool_weigh(p);
	/* Workers begin at different servers. */
	if (p->n > 1) {
		m->world->random(m->world, &p->start, sizeof p->start);
		p->start %= p->n;
	}
	if (conf->kind == HOP_MAILDIR)
		maildir_init(p);
	else
		pool_probe_init(p);
	return p;
}

void
pool_stop(struct pool *p)
{
	p->stopped = true;
	pool_probe_stop(p);
	for (unsigned i = 0; i < p->n; i++) {
		struct pool_server *sv = &p->sv[i];

		while (sv->idle != NULL)
			pool_close(sv->idle);
		/* What is being made ahead ends by itself: its fiber sees the connection closed. */
		for (struct upstream *up = sv->all; up != NULL; up = up->all_next)
			if (up->owner == NULL)
				conn_close(&up->io);
	}
}

void
pool_free(struct pool *p)
{
	pool_stop(p);
	for (unsigned i = 0; i < p->n; i++)
		if (p->sv[i].resume != NULL)
			tls_session_free(p->sv[i].resume);
	mem_free(p->sv);
	mem_free(p);
}
