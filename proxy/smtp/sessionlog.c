/*
 * sessionlog -- what the log says of a session.  Everything from outside is escaped by base/log.
 */
#include "proxy/smtp/sessionlog.h"

#include "proxy/base/log.h"
#include "proxy/smtp/flood.h"
#include "proxy/smtp/session_count.h"

struct strv
session_id(const struct session *s)
{
	return strv_z(session_tx(s) != NULL ? session_tx(s)->id : s->id);
}

static void
log_client(struct log_line *l, const struct session *s)
{
	char text[ADDR_TEXT];

	log_strv(l, "client", addr_print(&s->client.addr.addr, text));
	log_strv(l, "helo", s->client.helo);
	log_strv(l, "tls", s->client.tls.version);
}

static void
log_path(struct log_line *l, const char *key, const struct path *p)
{
	log_strv(l, key, p->kind == PATH_NULL ? SV("<>") : path_text(p));
}

static void
log_reply(struct log_line *l, const struct reply *r)
{
	log_number(l, "code", r->code);
	if (r->enh[0] != '\0')
		log_z(l, "enh", r->enh);
	log_strv(l, "reply", r->text);
}

void
session_log_refusal(struct session *s, enum stage at, const struct reply *r, struct strv by,
    const struct path *rcpt)
{
	struct log_line l;

	session_count_refusal(s, r, strv_eq(by, SV("upstream")));
	if (at == STAGE_CONNECT && s->commands == 0 && !session_log_refused(s, by))
		return;
	log_begin(&l, s->smtp->world, session_id(s), "refused");
	log_z(&l, "stage", stage_word(at));
	log_strv(&l, "by", by);
	log_client(&l, s);
	if (session_tx(s) != NULL)
		log_path(&l, "from", &session_tx(s)->env.from);
	if (rcpt != NULL)
		log_path(&l, "to", rcpt);
	log_reply(&l, r);
	log_end(&l);
}

/* --- checks ----------------------------------------------------------------------------------- */

#define NAMES_MAX 256 /* octets of one list in a message's line */

struct noted { /* names, with commas, each once */
	struct strv tag, warn, also;
	/* Of the session: */
	const char        *waited; /* for what, as its client left; static; NULL: for nothing */
	const struct note *held;   /* told unless it is refused at once, and then only counted */
	bool               untold;
};

static bool
has_name(struct strv list, struct strv name)
{
	while (list.n > 0)
		if (strv_eq(strv_cut(&list, ','), name))
			return true;
	return false;
}

static void
keep_name(struct arena *a, struct strv *list, struct strv name)
{
	if (has_name(*list, name) || list->n + name.n >= NAMES_MAX)
		return;
	*list = list->n == 0 ? arena_dup(a, name) :
			       arena_concat(a, arena_concat(a, *list, SV(",")), name);
}

static struct noted *
noted_of(struct session *s, bool transaction)
{
	struct noted **to = &s->noted[transaction];

	if (*to == NULL)
		*to = arena_alloc(transaction ? session_tx(s)->a : s->a, sizeof **to);
	return *to;
}

static void
keep_note(struct session *s, const struct note *n)
{
	bool          tx = session_tx(s) != NULL;
	struct arena *a = tx ? session_tx(s)->a : s->a;
	struct noted *to;

	if (n->kind != NOTE_TAG && n->kind != NOTE_WARN && n->kind != NOTE_ALSO)
		return;
	to = noted_of(s, tx);
	if (n->kind == NOTE_TAG)
		keep_name(a, &to->tag, n->text);
	else
		keep_name(a, n->kind == NOTE_WARN ? &to->warn : &to->also, n->check);
}

static void
log_note(struct session *s, const struct note *n)
{
	struct transaction *tx = session_tx(s);
	struct log_line     l;

	log_begin(&l, s->smtp->world, session_id(s), "check");
	note_tell(&l, n);
	log_client(&l, s);
	if (tx != NULL)
		log_path(&l, "from", &tx->env.from);
	if (tx != NULL && n->rcpt < tx->env.n_rcpt)
		log_path(&l, "to", &tx->env.rcpt[n->rcpt].to);
	note_tell_more(&l, n);
	log_end(&l);
}

static void
log_notes(struct session *s, const struct note *n)
{
	for (; n != NULL; n = n->next)
		if (n->kind != NOTE_TAG)
			log_note(s, n);
}

static void
log_held(struct session *s)
{
	const struct note *held = s->noted[false] != NULL ? s->noted[false]->held : NULL;

	if (held == NULL)
		return;
	s->noted[false]->held = NULL;
	log_notes(s, held);
}

void
session_log_checks(struct session *s)
{
	const struct note *all = judge_notes(s->hearing);

	log_held(s);
	for (const struct note *n = all; n != NULL; n = n->next)
		keep_note(s, n);
	if (s->commands == 0 && flood_is(s->smtp->conf->flood, s->client_hash))
		noted_of(s, false)->held = all;
	else
		log_notes(s, all);
}

bool
session_log_refused(struct session *s, struct strv by)
{
	if (flood_tells(s->smtp->conf->flood, s->client_hash, &s->client.addr.addr, by))
		return true;
	noted_of(s, false)->untold = true;
	return false;
}

void
session_log_forget(struct session *s, bool transaction)
{
	if (!transaction)
		log_held(s);
	s->noted[transaction] = NULL;
}

static void
log_names(struct log_line *l, const struct session *s)
{
	for (unsigned i = 0; i < 2; i++)
		if (s->noted[i] != NULL) {
			log_strv(l, "tags", s->noted[i]->tag);
			log_strv(l, "warn", s->noted[i]->warn);
			log_strv(l, "also", s->noted[i]->also);
		}
}

/* --- the message ------------------------------------------------------------------------------ */

static const char *
outcome_word(enum counter k, bool heard)
{
	switch (k) {
	case COUNTER_ACCEPTED:
		return heard ? "accepted" : "accepted-unacknowledged";
	case COUNTER_QUARANTINED:
		return heard ? "quarantined" : "quarantined-unacknowledged";
	case COUNTER_UNKNOWN:
		return "unknown";
	case COUNTER_DISCARDED:
		return "discarded";
	case COUNTER_DEFERRED:
		return "deferred";
	default:
		return "refused";
	}
}

static const char *
way_word(const struct session *s)
{
	static const char *const words[] = { "held", "data", "bdat" };

	if (session_tx(s)->msg.body != NULL && !s->relay.streaming &&
	    !spool_in_memory(session_tx(s)->msg.body))
		return "spooled";
	return words[s->relay.way];
}

/* NULL: none. */
static const struct rcpt *
first_taken(const struct envelope *e)
{
	const struct rcpt *dropped = NULL;

	for (unsigned i = 0; i < e->n_rcpt; i++) {
		if (e->rcpt[i].upstream_took || e->rcpt[i].replaced)
			return &e->rcpt[i];
		if (e->rcpt[i].dropped && dropped == NULL)
			dropped = &e->rcpt[i];
	}
	return dropped;
}

/* The recipients that were taken: the first by name, all by number. */
static void
log_recipients(struct log_line *l, const struct envelope *e)
{
	const struct rcpt *first = first_taken(e);
	unsigned           replaced = 0;

	for (unsigned i = 0; i < e->n_rcpt; i++)
		replaced += e->rcpt[i].replaced;
	if (first != NULL)
		log_path(l, "to", &first->to);
	log_number(l, "rcpts", replaced > 0 ? replaced : envelope_taken(e));
	if (envelope_dropped(e) > 0)
		log_number(l, "discarded", envelope_dropped(e));
}

/* Which server, where there are several, and how safe the way to it is. */
static void
log_server(struct log_line *l, const struct session *s)
{
	const struct upstream *up = s->relay.up;
	struct tls_facts       tls;

	if (up == NULL || up->sv->pool != s->relay.pool)
		return;
	if (pool_conf(up->sv->pool)->n_server > 1)
		log_strv(l, "server", up->sv->conf->name);
	tls_facts_get(&up->io, session_tx(s)->a, &tls);
	log_strv(l, "upstream-tls", tls.version);
}

/* Whose word the reply is: a check's, the gate's, a limit's, the server's; of recipients that were dropped: the first's. */
static struct strv
decided_by(const struct session *s, const struct reply *r)
{
	const struct transaction *tx = session_tx(s);

	if (s->relay.outcome == OUTCOME_REFUSED)
		return SV("upstream");
	if (verdict_final(&tx->verdict))
		return tx->verdict.by;
	if (s->relay.outcome == OUTCOME_NONE && s->text.fault.code != 0 && r->code >= 500)
		return SV("limits");
	for (unsigned i = 0; i < tx->env.n_rcpt && s->relay.outcome == OUTCOME_DISCARDED; i++)
		if (tx->env.rcpt[i].dropped)
			return tx->env.rcpt[i].said.by;
	return (struct strv){ NULL, 0 };
}

void
session_log_message(struct session *s, const struct reply *r, bool heard)
{
	const struct transaction *tx = session_tx(s);
	uint64_t                  ms = loop_now(s->smtp->loop) - s->text.began;
	enum counter              outcome = session_count_message(s, r, ms);
	struct log_line           l;

	log_begin(&l, s->smtp->world, session_id(s), "message");
	log_z(&l, "outcome", outcome_word(outcome, heard));
	log_client(&l, s);
	log_path(&l, "from", tx->env.was != NULL ? tx->env.was : &tx->env.from);
	if (tx->env.was != NULL)
		log_path(&l, "sent-from", &tx->env.from);
	log_recipients(&l, &tx->env);
	log_number(&l, "size", tx->msg.octets);
	if (message_hidden(&tx->msg) > 0)
		log_number(&l, "hidden", message_hidden(&tx->msg));
	log_z(&l, "way", way_word(s));
	log_server(&l, s);
	log_strv(&l, "by", decided_by(s, r));
	if (tx->verdict.kind == VERDICT_QUARANTINE) {
		log_strv(&l, "quarantine", tx->verdict.to);
		log_strv(&l, "reason", tx->verdict.text);
	}
	log_names(&l, s);
	if (s->relay.outcome != OUTCOME_NONE)
		session_log_edits(&l, tx->a, &tx->edits);
	log_reply(&l, r);
	log_number(&l, "ms", ms);
	log_end(&l);
}

void
session_log_waited(struct session *s, const char *what)
{
	noted_of(s, false)->waited = what;
}

void
session_log_end(struct session *s)
{
	struct log_line l;

	if (s->noted[false] != NULL && s->noted[false]->untold)
		return;
	log_held(s);
	log_begin(&l, s->smtp->world, strv_z(s->id), "session");
	log_client(&l, s);
	log_strv(&l, "listener", s->client.listener);
	log_number(&l, "commands", s->commands);
	log_number(&l, "transactions", s->n_tx);
	log_number(&l, "messages", s->n_taken);
	log_number(&l, "errors", s->errors);
	log_number(&l, "ms", loop_now(s->smtp->loop) - s->opened);
	log_z(&l, "end", s->end_why);
	if (s->noted[false] != NULL && s->noted[false]->waited != NULL &&
	    strv_starts(strv_z(s->end_why), SV("client ")))
		log_z(&l, "waiting", s->noted[false]->waited);
	log_end(&l);
}

void
session_log_event(struct session *s, const char *what, const char *text)
{
	session_log_event_of(s, what, (struct strv){ NULL, 0 }, text);
}

void
session_log_event_of(struct session *s, const char *what, struct strv server, const char *text)
{
	struct log_line l;

	log_begin(&l, s->smtp->world, session_id(s), what);
	log_strv(&l, "server", server);
	log_client(&l, s);
	log_z(&l, "why", text);
	log_end(&l);
}
