/*
 * visit_log -- what the log says of a mail server's sessions; the words are those of a session of our own (postern(8)).
 */
#include "proxy/hosts/visit_own.h"

static struct strv
id_of(const struct visit *v)
{
	return strv_z(visit_tx(v) != NULL ? visit_tx(v)->id : v->id);
}

static void
log_path(struct log_line *l, const char *key, const struct path *p)
{
	log_strv(l, key, p->kind == PATH_NULL ? SV("<>") : path_text(p));
}

static void
log_client(struct log_line *l, const struct visit *v)
{
	char text[ADDR_TEXT];

	if (v->queue[0] != '\0')
		log_z(l, "queue", v->queue);
	log_strv(l, "client", addr_print(&v->client.addr.addr, text));
	log_strv(l, "helo", v->client.helo);
	log_strv(l, "tls", v->client.tls.version);
}

/* Two KiB that no fiber's stack shall hold: nothing parks between begin and log_end. */
static struct log_line *
begin(struct visit *v, const char *what)
{
	struct log_line *l = &v->all->line;

	log_begin(l, v->all->w, id_of(v), what);
	return l;
}

static void
log_reply(struct log_line *l, const struct reply *r)
{
	if (r->code == 0)
		return;
	log_number(l, "code", r->code);
	if (r->enh[0] != '\0')
		log_z(l, "enh", r->enh);
	log_strv(l, "reply", r->text);
}

static void
log_note(struct visit *v, const struct note *n)
{
	const struct transaction *tx = visit_tx(v);
	struct log_line          *l = begin(v, "check");

	note_tell(l, n);
	log_client(l, v);
	if (tx != NULL)
		log_path(l, "from", &tx->env.from);
	if (tx != NULL && n->rcpt < tx->env.n_rcpt)
		log_path(l, "to", &tx->env.rcpt[n->rcpt].to);
	note_tell_more(l, n);
	log_end(l);
}

void
visit_log_checks(struct visit *v)
{
	for (const struct note *n = judge_notes(v->hearing); n != NULL; n = n->next)
		if (n->kind != NOTE_TAG)
			log_note(v, n);
}

void
visit_log_refused(struct visit *v, enum stage at, const struct verdict *said, const struct reply *r)
{
	struct transaction *tx = visit_tx(v);
	struct log_line    *l = begin(v, "refused");

	log_z(l, "stage", stage_word(at));
	log_strv(l, "by", said->by);
	log_client(l, v);
	if (tx != NULL)
		log_path(l, "from", &tx->env.from);
	if (tx != NULL && at == STAGE_RCPT && tx->env.n_rcpt > 0)
		log_path(l, "to", &tx->env.rcpt[tx->env.n_rcpt - 1].to);
	log_reply(l, r);
	log_end(l);
}

/* The recipients that were taken: the first by name, all by number. */
static void
log_recipients(struct log_line *l, const struct envelope *e)
{
	unsigned i = 0;

	while (i < e->n_rcpt && !e->rcpt[i].upstream_took && !e->rcpt[i].dropped)
		i++;
	if (i < e->n_rcpt)
		log_path(l, "to", &e->rcpt[i].to);
	log_number(l, "rcpts", envelope_taken(e));
	if (envelope_dropped(e) > 0)
		log_number(l, "discarded", envelope_dropped(e));
}

void
visit_log_message(
    struct visit *v, const char *outcome, const struct verdict *said, const struct reply *r)
{
	struct transaction *tx = visit_tx(v);
	struct log_line    *l = begin(v, "message");

	log_z(l, "outcome", outcome);
	log_client(l, v);
	log_path(l, "from", &tx->env.from);
	log_recipients(l, &tx->env);
	log_number(l, "size", tx->msg.octets);
	if (message_hidden(&tx->msg) > 0)
		log_number(l, "hidden", message_hidden(&tx->msg));
	log_strv(l, "by", said->by);
	if (said->kind == VERDICT_QUARANTINE)
		log_strv(l, "quarantine", said->to);
	log_reply(l, r);
	log_number(l, "ms", loop_now(v->all->loop) - v->began);
	log_end(l);
}

void
visit_log_end(struct visit *v)
{
	struct log_line *l = begin(v, "session");

	log_client(l, v);
	log_strv(l, "listener", v->client.listener);
	log_number(l, "transactions", v->n_tx);
	log_number(l, "messages", v->n_messages);
	log_number(l, "ms", loop_now(v->all->loop) - v->opened);
	log_end(l);
}

void
visit_log_event(struct visit *v, const char *what, const char *why)
{
	struct log_line *l = begin(v, what);

	log_client(l, v);
	log_z(l, "why", why);
	log_end(l);
}
