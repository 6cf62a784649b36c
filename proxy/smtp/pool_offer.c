/*
 * pool_offer -- what clients may be offered, from what the servers said to EHLO.
 *
 * An EHLO on a connection that names nobody is the server's own word and counts until its next one.  One that
 * names a client is about that client: what it lacks is kept from the offer for a while, and no more.  Who asks
 * again where a server's own EHLO lost something is pool_probe's; whether it did is seen here.
 */
#include "proxy/smtp/pool_own.h"

#define WITHHELD_MS     60000
#define WITHHELD_MAX_MS 3600000
/* What a client is offered only where the server has it, AUTH aside. */
#define PASSED_ON (EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_DSN)

/* --- of a client ------------------------------------------------------------------------------ */

/*
 * One odd client takes it from the others for a minute.  Where it is lacking each time that it is offered again,
 * and no client's EHLO had it in between, nobody has it: the time doubles, so that a client who hears 451 finds
 * it withheld when he tries again.
 */
static void
withhold(struct pool_withheld *w, uint64_t now)
{
	if (w->ms == 0)
		w->ms = WITHHELD_MS;
	else if (now >= w->until)
		w->ms = w->ms * 2 < WITHHELD_MAX_MS ? w->ms * 2 : WITHHELD_MAX_MS;
	w->until = now + w->ms;
}

/*
 * Never AUTH: a user who was not offered it hears 502, for good, and behind `require-auth' nobody would make the
 * connection that shows it is there.  Whom it is kept from hears 454.
 */
static void
learn(struct pool_server *sv, const struct ehlo *e)
{
	uint64_t now = loop_now(sv->pool->smtp->loop);

	for (unsigned i = 0; i < EHLO_BIT_MAX; i++) {
		uint32_t bit = UINT32_C(1) << i;

		if (e->caps & bit & PASSED_ON)
			sv->withheld[i].ms = 0;
		else if (sv->ehlo.caps & bit & PASSED_ON)
			withhold(&sv->withheld[i], now);
	}
}

void
pool_learn(struct upstream *up)
{
	learn(up->sv, &up->ehlo);
}

static struct ehlo
offer_of(const struct pool_server *sv)
{
	struct ehlo e = sv->ehlo;
	uint64_t    now = loop_now(sv->pool->smtp->loop);

	for (unsigned i = 0; i < EHLO_BIT_MAX; i++)
		if (now < sv->withheld[i].until)
			e.caps &= ~(UINT32_C(1) << i);
	return e;
}

/* --- of the server ---------------------------------------------------------------------------- */

/* It has lost something, or lacks what nobody can do without. */
static bool
lacks(const struct pool_server *sv)
{
	return (sv->had.caps & ~sv->ehlo.caps) != 0 || (sv->had.auth & ~sv->ehlo.auth) != 0 ||
	    (sv->known && sv->ehlo.auth == 0 && sv->pool->auth_required);
}

static bool
differs(const struct ehlo *a, const struct ehlo *b)
{
	return ((a->caps ^ b->caps) & PASSED_ON) != 0 || a->auth != b->auth;
}

static void
own_word(struct pool_server *sv, const struct ehlo *e)
{
	uint64_t now = loop_now(sv->pool->smtp->loop);

	if (!sv->known || differs(&sv->ehlo, e))
		sv->changed_at = now;
	/* Who waits for a place to log in at may have had no server to wait for. */
	if ((e->auth & ~sv->ehlo.auth) != 0)
		sv->pool->changed = true;
	sv->ehlo = *e;
	sv->had.caps |= e->caps & PASSED_ON;
	sv->had.auth |= e->auth;
	sv->asked_at = now;
	sv->own = true;
	sv->doubted = sv->suspect = false;
}

/*
 * Behind a PROXY header a session's connection never has the server's own word: what we know may be old, where
 * a client's EHLO says something else, and who came first may have been somebody special.
 */
void
pool_heard(struct pool_server *sv, const struct upstream *up, bool of_client)
{
	uint64_t now = loop_now(sv->pool->smtp->loop);

	if (!of_client) {
		own_word(sv, &up->ehlo);
		return;
	}
	/* It greeted somebody: what was doubted of it besides is still to be asked. */
	sv->doubted = (sv->doubted && !sv->suspect) || !sv->own ||
	    (differs(&sv->ehlo, &up->ehlo) && now - sv->asked_at >= ASK_SELDOM_MS);
	sv->suspect = false;
	if (!sv->known)
		sv->ehlo = up->ehlo;
	learn(sv, &up->ehlo);
}

/* --- asked again, while it is up -------------------------------------------------------------- */

bool
pool_needs_asking(const struct pool_server *sv)
{
	uint64_t now = loop_now(sv->pool->smtp->loop);

	return sv->doubted || (lacks(sv) && now - sv->changed_at < ASK_LONG_MS);
}

void
pool_plan_asking(struct pool_server *sv)
{
	struct pool *p = sv->pool;
	uint64_t     now = loop_now(p->smtp->loop), at = sv->asked_at + ASK_MS;

	if (!p->stopped && !sv->probing && sv->probe.pos == 0 && pool_needs_asking(sv))
		timer_start(p->smtp->loop, &sv->probe, at > now ? at : now);
}

void
pool_doubt(struct pool_server *sv)
{
	sv->doubted = sv->suspect = true;
	pool_plan_asking(sv);
}

static void
ask_for_client(struct pool_server *sv)
{
	uint64_t now = loop_now(sv->pool->smtp->loop);

	if (!pool_alive(sv) || !lacks(sv))
		return;
	sv->doubted = sv->doubted || now - sv->asked_at >= ASK_SELDOM_MS;
	pool_plan_asking(sv);
}

/* --- of all ----------------------------------------------------------------------------------- */

static bool
in_memory(const struct pool_server *sv)
{
	uint64_t now = loop_now(sv->pool->smtp->loop);

	return sv->known && (!sv->down || now - sv->up_at < POOL_MEMORY_MS);
}

/*
 * A server that keeps a keyword to itself takes it from all, a backup, too: nobody knows when the
 * offer is made which server the session gets.
 */
bool
pool_ehlo(struct pool *p, struct ehlo *out)
{
	bool any = false, found = false;

	for (unsigned i = 0; i < p->n; i++) {
		any = any || in_memory(&p->sv[i]);
		ask_for_client(&p->sv[i]);
	}
	for (unsigned i = 0; i < p->n; i++) {
		const struct pool_server *sv = &p->sv[i];
		struct ehlo               e = offer_of(sv);

		if (!sv->known || (any && !in_memory(sv)))
			continue;
		*out = found ? ehlo_intersect(out, &e) : e;
		found = true;
	}
	return found;
}

void
pool_require_auth(struct pool *p)
{
	p->auth_required = true;
}
