/*
 * sessionlog -- what the log says of a session.  Everything from outside is escaped by base/log.
 */
#include "proxy/smtp/sessionlog.h"

#include "proxy/base/log.h"

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

static const char *
outcome_word(const struct session *s, const struct reply *r, bool heard)
{
	switch (s->relay.outcome) {
	case OUTCOME_TAKEN:
		return heard ? "accepted" : "accepted-unacknowledged";
	case OUTCOME_UNKNOWN:
		return "unknown";
	case OUTCOME_DISCARDED:
		return "discarded";
	default:
		return r->code / 100 == 4 ? "deferred" : "refused";
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

/* The recipients that were taken: the first by name, all by number. */
static void
log_recipients(struct log_line *l, const struct envelope *e)
{
	for (unsigned i = 0; i < e->n_rcpt; i++)
		if (e->rcpt[i].upstream_took || e->rcpt[i].dropped) {
			log_path(l, "to", &e->rcpt[i].to);
			break;
		}
	log_number(l, "rcpts", envelope_taken(e));
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

void
session_log_message(struct session *s, const struct reply *r, bool heard)
{
	const struct transaction *tx = session_tx(s);
	struct log_line           l;

	log_begin(&l, s->smtp->world, session_id(s), "message");
	log_z(&l, "outcome", outcome_word(s, r, heard));
	log_client(&l, s);
	log_path(&l, "from", &tx->env.from);
	log_recipients(&l, &tx->env);
	log_number(&l, "size", tx->msg.octets);
	log_z(&l, "way", way_word(s));
	log_server(&l, s);
	if (verdict_final(&tx->verdict))
		log_strv(&l, "by", tx->verdict.by);
	log_reply(&l, r);
	log_number(&l, "ms", loop_now(s->smtp->loop) - s->text.began);
	log_end(&l);
}

void
session_log_end(struct session *s)
{
	struct log_line l;

	log_begin(&l, s->smtp->world, strv_z(s->id), "session");
	log_client(&l, s);
	log_strv(&l, "listener", s->client.listener);
	log_number(&l, "commands", s->commands);
	log_number(&l, "transactions", s->n_tx);
	log_number(&l, "messages", s->n_taken);
	log_number(&l, "errors", s->errors);
	log_number(&l, "ms", loop_now(s->smtp->loop) - s->opened);
	log_z(&l, "end", s->end_why);
	log_end(&l);
}

void
session_log_event(struct session *s, const char *what, const char *text)
{
	struct log_line l;

	log_begin(&l, s->smtp->world, session_id(s), what);
	log_client(&l, s);
	log_z(&l, "why", text);
	log_end(&l);
}
