/*
 * mail -- MAIL, and the life of a transaction.  RFC 5321 4.1.1.2, 3.3.
 */
#include "proxy/smtp/sessionlog.h"

#define TX_ARENA 8192 /* a small message's envelope and header fit */
#define TX_QUOTA (16 * 1024 * 1024)

static struct arena *
arena_take(struct smtp *m)
{
	return m->n_spare > 0 ? m->spare[--m->n_spare] : arena_new(TX_ARENA, TX_QUOTA);
}

static void
arena_give(struct smtp *m, struct arena *a)
{
	if (m->n_spare == SMTP_SPARE_ARENAS) {
		arena_free(a);
		return;
	}
	arena_reset(a);
	m->spare[m->n_spare++] = a;
}

/* The session's id, a dot, and the number of the transaction. */
static void
make_id(struct session *s, char *id)
{
	char        digits[STRV_NUMBER];
	struct strv number = strv_print_number(++s->n_tx % 10000, digits);
	size_t      n = strnlen(s->id, 8); /* its place in tx->id */

	memcpy(id, s->id, n);
	id[n++] = '.';
	memcpy(id + n, number.p, number.n);
	id[n + number.n] = '\0';
}

void
tx_begin(struct session *s)
{
	struct transaction *tx = judge_begin(s->hearing, arena_take(s->smtp));

	make_id(s, tx->id);
	memset(&s->text, 0, sizeof s->text);
	session_log_forget(s, true);
	relay_begin(s);
}

void
tx_end(struct session *s)
{
	struct arena *a;

	if (session_tx(s) == NULL)
		return;
	a = session_tx(s)->a;
	relay_end(s);
	spool_free(session_tx(s)->msg.body);
	judge_end(s->hearing);
	arena_give(s->smtp, a);
	/* A chunk out of order behind it is none of its: neither its octets nor its time are this one's. */
	memset(&s->text, 0, sizeof s->text);
	s->replies.utf8 = false;
	if (s->state > SMTP_READY)
		s->state = SMTP_READY;
}

/* RFC 1870 6.1: what is announced as too big need not come. */
static bool
too_big(struct session *s)
{
	uint64_t max = s->offered.size, size = session_tx(s)->env.params.size;

	if (max == 0 || size <= max)
		return false;
	say_error(s, 552, "5.3.4", SV("message size exceeds fixed limit"));
	return true;
}

static bool
parse_it(struct session *s, struct strv rest)
{
	struct transaction *tx = session_tx(s);
	struct fault        f = { 0 };
	/*
	 * RFC 5321 3.2: to a HELO client no extension was offered.  To one that has authenticated AUTH is
	 * not offered a second time, but its parameter holds good; of others it is not passed on (4954 5).
	 */
	uint32_t offered = s->offered.caps | (s->bound && s->client.esmtp ? EHLO_AUTH : 0u);
	bool     ok = parse_mail(tx->a, rest, offered, &tx->env.from, &tx->env.params, &f);

	if (!ok)
		say_error(s, f.code, f.enh, strv_z(f.text));
	return ok;
}

MAY_YIELD static bool
judged(struct session *s)
{
	struct verdict v = { 0 };

	if (judge_stage(s->hearing, STAGE_MAIL, &v) != WAIT_OK)
		return false;
	session_log_checks(s);
	if (verdict_final(&v))
		say_verdict(s, &v, STAGE_MAIL, NULL);
	return !verdict_final(&v);
}

void
mail_run(struct session *s, struct strv rest)
{
	if (s->n_tx >= s->smtp->conf->limits.transactions) {
		say(s, 421, "4.7.0", SV("too many messages in one session"));
		session_end(s, "too many transactions");
		return;
	}
	tx_begin(s);
	if (!parse_it(s, rest) || too_big(s) || !judged(s)) {
		tx_end(s);
		return;
	}
	s->state = SMTP_MAIL;
	s->replies.utf8 = session_tx(s)->env.params.smtputf8;
	/* A verdict that waits for RCPT costs the server nothing, not even where MAIL is sent at once. */
	if (verdict_final(&session_tx(s)->verdict))
		say(s, 250, "2.1.0", SV("Ok"));
	else
		relay_mail(s);
}
