/*
 * pool_silence -- servers that do not answer: one that lets a command run into its timeout is put behind the others
 * of its pool for a while, and what sessions wait for is said in the log.
 *
 * Not for those that cannot be reached (pool_probe).  Invariant: while a server is late its timer runs.
 *
 * Silence may be a client's doing: a recipient, a sender, a text that the server takes long for.  So nothing behind
 * the text counts, and a reply to a like command of anybody, since this one was sent, says that the server works.
 * Like are those of the same kind or of a later one: who hangs at RCPT goes on answering MAIL.
 */
#include "proxy/base/log.h"
#include "proxy/smtp/pool_own.h"
#include "proxy/smtp/sessionlog.h"

#define LOOK_MS 10000 /* between looks whether somebody tries it still */

static const char *const words[] = {
	[OWED_AUTH] = "AUTH",
	[OWED_GREETING] = "greeting",
	[OWED_XCLIENT] = "XCLIENT",
	[OWED_RSET] = "RSET",
	[OWED_XFORWARD] = "XFORWARD",
	[OWED_MAIL] = "MAIL",
	[OWED_RCPT] = "RCPT",
	[OWED_DATA] = "DATA",
	[OWED_CHUNK] = "BDAT",
	[OWED_TEXT] = "end-of-text",
};

static void
log_late(const struct upstream *up, uint64_t now)
{
	struct log_line l;

	log_begin(&l, up->smtp->world, SV("worker"), "upstream-late");
	log_strv(&l, "server", up->sv->conf->name);
	log_z(&l, "waiting-for", words[up->awaits]);
	log_number(&l, "ms", now - up->awaits_since);
	log_number(&l, "worker", up->smtp->conf->worker);
	log_end(&l);
}

/* --- late ------------------------------------------------------------------------------------- */

static bool
counts(const struct upstream *up)
{
	return !up->connecting && up->awaits >= OWED_XCLIENT && up->awaits <= OWED_DATA;
}

/* Since the command was sent something like it was answered, on this or another connection. */
static bool
works(const struct upstream *up)
{
	for (unsigned k = up->awaits; k < OWED_KINDS; k++)
		if (up->sv->silence.heard_at[k] > up->awaits_since)
			return true;
	return false;
}

/* Somebody has asked it since it was found to be late, and waits; or a session has yet to hear its greeting. */
static bool
is_tried(const struct pool_server *sv)
{
	for (const struct upstream *up = sv->all; up != NULL; up = up->all_next)
		if (up->connecting ? up->wanted :
				     up->awaits_since != 0 &&
			    up->awaits_since >= sv->silence.since && counts(up))
			return true;
	return false;
}

void
pool_silence_trial(struct pool_server *sv)
{
	if (!sv->silence.late)
		return;
	sv->silence.trial = true;
	sv->pool->changed = true;
}

/* One session at a time, until something is answered.  One that leaves before it has said anything tells nothing. */
static void
look(void *arg)
{
	struct pool_server *sv = arg;
	struct loop        *l = sv->pool->smtp->loop;

	timer_start(l, &sv->silence.timer, loop_now(l) + LOOK_MS);
	if (sv->silence.trial || is_tried(sv))
		return;
	pool_silence_trial(sv);
	pool_catch_up(sv->pool);
}

static void
catch_up(void *arg)
{
	pool_catch_up(arg);
}

/* Who waits is served behind the session that ran into it: that one came first, and asks for another server now. */
static void
ran_into_timeout(struct upstream *up)
{
	struct pool_server  *sv = up->sv;
	struct pool_silence *q = &sv->silence;
	uint64_t             now = loop_now(up->smtp->loop);

	if (sv->pool->stopped || !counts(up) || works(up))
		return;
	/* One that waited already as it was found late says nothing new. */
	if (q->late && up->awaits_since < q->since)
		return;
	if (!q->late)
		log_late(up, now);
	q->ms = !q->late ? LATE_MS : q->ms * 2 < LATE_MAX_MS ? q->ms * 2 : LATE_MAX_MS;
	q->late = true;
	q->trial = false;
	q->at = up->awaits;
	q->since = now;
	timer_start(up->smtp->loop, &q->timer, now + q->ms);
	sv->pool->changed = true;
	loop_defer(up->smtp->loop, catch_up, sv->pool);
}

static void
answered(struct upstream *up)
{
	struct pool_server  *sv = up->sv;
	struct pool_silence *q = &sv->silence;

	q->heard_at[up->awaits] = loop_now(up->smtp->loop);
	if (!q->late || up->connecting || up->awaits < q->at)
		return;
	q->late = q->trial = false;
	timer_stop(up->smtp->loop, &q->timer);
	pool_log_server(sv, "upstream-in-time", SV(""));
	sv->pool->changed = true;
	pool_catch_up(sv->pool);
}

/* --- waiting ---------------------------------------------------------------------------------- */

void
pool_silence_begins(struct upstream *up)
{
	up->awaits_since = loop_now(up->smtp->loop);
	up->left = pool_client_left(up->owner);
}

void
pool_silence_ends(struct upstream *up, enum up_rc rc)
{
	if (!up->left && pool_client_left(up->owner))
		session_log_waited(up->owner, "upstream");
	if (rc == UP_OK)
		answered(up);
	else if (rc == UP_TIMEOUT)
		ran_into_timeout(up);
	up->awaits = OWED_AUTH;
	up->awaits_since = 0;
}

static void
log_slow(const struct upstream *up, unsigned sessions, uint64_t now)
{
	struct log_line l;

	log_begin(&l, up->smtp->world, SV("worker"), "upstream-slow");
	log_strv(&l, "server", up->sv->conf->name);
	log_z(&l, "waiting-for", words[up->awaits]);
	log_number(&l, "sessions", sessions);
	log_number(&l, "ms", now - up->awaits_since);
	log_number(&l, "worker", up->smtp->conf->worker);
	log_end(&l);
}

void
pool_silence_sweep(struct pool_server *sv, uint64_t now)
{
	struct pool_silence   *q = &sv->silence;
	const struct upstream *oldest = NULL;
	unsigned               n = 0;

	for (const struct upstream *up = sv->all; up != NULL; up = up->all_next) {
		if (up->awaits_since == 0 || (up->connecting && !up->wanted))
			continue;
		n++;
		if (oldest == NULL || up->awaits_since < oldest->awaits_since)
			oldest = up;
	}
	if (oldest == NULL || now - oldest->awaits_since < SLOW_MS)
		return;
	/* One that takes now and then a little more than that would be told each time. */
	if (q->slow_at != 0 && now - q->slow_at < SLOW_AGAIN_MS)
		return;
	log_slow(oldest, n, now);
	q->slow_at = now;
}

/* --- beginning and end ------------------------------------------------------------------------ */

void
pool_silence_init(struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		p->sv[i].silence.timer.fn = look;
		p->sv[i].silence.timer.arg = &p->sv[i];
	}
}

void
pool_silence_stop(struct pool *p)
{
	for (unsigned i = 0; i < p->n; i++)
		timer_stop(p->smtp->loop, &p->sv[i].silence.timer);
}
