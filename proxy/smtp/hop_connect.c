/*
 * hop_connect -- a connection for a transaction, or for AUTH: taken from the pool, told who the client is, and
 * good enough for what will be said on it; else the next server's.
 *
 * Invariant: a server that fails a transaction gets its bit in relay.avoid, and who fails with that set ends the
 * search; so no loop here is longer than twice the number of servers.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/sessionlog.h"

/* What is looked for. */
struct search {
	struct pool_wish    wish;
	uint32_t            caps;    /* extensions that it must have */
	struct pool_refusal refusal; /* the last one's own words */
	bool                lacking; /* the last one was fine but for them */
};

/* --- what it must know ------------------------------------------------------------------------ */

/* What the client was promised, the server that we got must know: its EHLO may have changed since. */
static uint32_t
needed(const struct session *s)
{
	const struct envelope    *e = &session_tx(s)->env;
	const struct mail_params *p = &e->params;
	uint32_t                  caps = 0;

	caps |= p->smtputf8 ? EHLO_SMTPUTF8 : 0;
	caps |= p->body == BODY_8BITMIME ? EHLO_8BITMIME : 0;
	caps |= p->ret.p != NULL || p->envid.p != NULL ? EHLO_DSN : 0;
	for (unsigned i = 0; i < e->n_rcpt; i++)
		caps |= e->rcpt[i].n_params > 0 ? EHLO_DSN : 0;
	return caps;
}

bool
hop_keeps_promises(const struct session *s, const struct upstream *up)
{
	uint32_t caps = needed(s);

	return (up->ehlo.caps & caps) == caps;
}

static bool
lacks(const struct search *q, const struct upstream *up)
{
	return (up->ehlo.caps & q->caps) != q->caps ||
	    (up->ehlo.auth & q->wish.auth) != q->wish.auth;
}

/* --- one server after the other --------------------------------------------------------------- */

bool
hop_next_server(struct session *s, const struct upstream *up, const char *why)
{
	struct strv name = up->sv->conf->name;
	uint64_t    all = UINT64_MAX >> (POOL_SERVERS - pool_conf(up->sv->pool)->n_server);
	uint64_t    bit = UINT64_C(1) << up->sv->index;
	/* The pool has none but one that failed already: that was its second chance. */
	bool over = (s->relay.avoid & bit) != 0;

	s->relay.avoid |= bit;
	if (over || (all & ~s->relay.avoid) == 0)
		return false;
	counters_add(s->smtp->counters, s->smtp->place, COUNTER_FAILOVERS, 1);
	session_log_event(s, "failover",
	    arena_z(
		hop_arena(s), arena_printf(hop_arena(s), "%.*s: %s", (int)name.n, name.p, why)));
	return true;
}

/*
 * A refusal of XCLIENT itself may be that of our right to say it, one of the EHLO behind it is the
 * client's.
 */
MAY_YIELD static enum up_rc
introduce(struct session *s, struct upstream *up, struct pool_refusal *refusal)
{
	struct strv  name = up->sv->conf->name, said;
	struct reply r = { 0 };
	enum up_rc   rc;

	if (up->sv->conf->identity != IDENTITY_XCLIENT)
		return UP_OK;
	rc = xclient_say(s, up, &r);
	if (r.code == 0)
		return rc;
	said = arena_dup(hop_arena(s), r.text);
	*refusal =
	    (struct pool_refusal){ .sv = up->sv, .said = r, .of_client = pool_turns_away(&r) };
	refusal->said.text = said;
	session_log_event(s, "upstream-refuses-client",
	    arena_z(hop_arena(s),
		arena_printf(hop_arena(s), "%.*s: %u %.*s", (int)name.n, name.p, r.code,
		    (int)said.n, said.p)));
	return rc;
}

/* It is of no use to this session.  True: another one may be. */
static bool
pass_over(struct session *s, struct search *q, struct upstream *up, enum up_rc rc)
{
	/* A ready one that had gone stale while it idled says nothing about its server. */
	bool stale = rc == UP_CLOSED && up->reused && !q->wish.fresh;
	bool more = stale;

	if (!stale && rc != UP_CANCELLED && !q->refusal.of_client)
		more = hop_next_server(
		    s, up, rc == UP_OK ? "lacks what is needed" : up_rc_text(rc));
	q->wish.fresh = q->wish.fresh || stale;
	if (rc == UP_OK)
		pool_give(up);
	else
		pool_drop(up);
	return more;
}

MAY_YIELD static enum up_rc
search(struct session *s, struct search *q, struct upstream **out)
{
	struct upstream *up = NULL;
	enum up_rc       rc;

	do {
		q->wish.avoid = s->relay.avoid;
		rc = pool_take(s->relay.pool, s, &q->wish, hop_arena(s), &up, &q->refusal);
		if (rc != UP_OK)
			return rc;
		rc = introduce(s, up, &q->refusal);
		q->lacking = rc == UP_OK && lacks(q, up);
		if (rc == UP_OK && !q->lacking) {
			*out = up;
			return UP_OK;
		}
	} while (pass_over(s, q, up, rc));
	return rc == UP_OK ? UP_REFUSED : rc;
}

/* --- for a transaction ------------------------------------------------------------------------ */

/*
 * Why no connection could be had, as the client hears it.  A server's word on this client is the
 * answer to what he says, but not behind a 250 of the same transaction: it came from a connection
 * that was lost.
 */
static void
no_connection(struct session *s, enum up_rc rc, const struct search *q)
{
	const struct reply *said = &q->refusal.said;

	if (rc == UP_REFUSED && q->refusal.of_client && !s->relay.answered)
		relay_break(s, said->code, said->enh, said->text);
	else if (rc == UP_BUSY)
		relay_break(s, 451, "4.3.2", SV("the mail server is busy, try again"));
	else if (rc == UP_CANCELLED)
		relay_break(s, 451, "4.3.0", SV("cancelled"));
	else if (q->lacking)
		relay_break(
		    s, 451, "4.3.0", SV("the mail server has changed what it offers, try again"));
	else
		relay_break(s, 451, "4.4.1", SV("no mail server is available now, try again"));
}

static void
log_failure(struct session *s, enum up_rc rc, const struct search *q)
{
	/* Who waited in vain, or left, was told nothing by a server that failed it before. */
	bool        by_server = rc != UP_BUSY && rc != UP_CANCELLED && q->refusal.sv != NULL;
	struct strv server = { NULL, 0 };
	const char *why = up_rc_text(rc);

	if (by_server)
		server = q->refusal.sv->conf->name;
	if (q->lacking)
		why = "it has changed what it offers";
	else if (by_server && q->refusal.said.text.n > 0)
		why = arena_z(hop_arena(s), q->refusal.said.text);
	else if (by_server && q->refusal.why != NULL)
		why = q->refusal.why;
	/* The log has that already. */
	if (rc != UP_REFUSED || !q->refusal.of_client)
		session_log_event_of(s, "upstream-unavailable", server, why);
}

bool
hop_connect(struct session *s, bool fresh)
{
	struct search q = { .wish = { .fresh = fresh, .ticket = s->relay.ticket },
		.caps = needed(s) };
	enum up_rc    rc = search(s, &q, &s->relay.up);

	if (rc == UP_OK)
		return true;
	log_failure(s, rc, &q);
	no_connection(s, rc, &q);
	return false;
}

/* --- for AUTH --------------------------------------------------------------------------------- */

enum up_rc
hop_take_bound(struct session *s, uint32_t mechanisms)
{
	struct search q = { .wish = { .bound = true, .auth = mechanisms } };
	enum up_rc    rc;

	hop_close(s);
	s->relay.avoid = 0;
	rc = search(s, &q, &s->relay.up);
	if (rc != UP_OK)
		log_failure(s, rc, &q);
	return rc;
}
