/*
 * bdat -- BDAT: a length instead of a mark.  RFC 3030 2.
 *
 * Whatever is wrong, exactly the announced octets are taken before the reply, or the rest of the session
 * would be read askew; how many are dropped so has a bound.
 */
#include "proxy/smtp/sessionlog.h"
#include "proxy/smtp/text.h"

static void
skip(struct session *s, uint16_t code, const char *enh, const char *text)
{
	s->skip = (struct reply){ code, "", strv_z(text) };
	memcpy(s->skip.enh, enh, strlen(enh) + 1);
	s->phase = PHASE_SKIP;
}

/* A chunk that comes at the wrong time. True: it is refused. */
static bool
out_of_order(struct session *s)
{
	const struct envelope *e = session_tx(s) != NULL ? &session_tx(s)->env : NULL;

	if (s->listener->require_tls && !s->client.tls.on)
		skip(s, 530, "5.7.0", "must issue a STARTTLS command first");
	else if (s->listener->require_auth && s->client.auth_user.p == NULL) /* RFC 4954 6 */
		skip(s, 530, "5.7.0", "authentication required");
	else if (!(s->offered.caps & EHLO_CHUNKING))
		skip(s, 503, "5.5.1", "BDAT was not offered");
	else if (e == NULL)
		skip(s, 503, "5.5.1", "need MAIL command first");
	else if (s->text.failed)
		skip(s, 503, "5.5.1", "a chunk was refused, RSET is next");
	else if (envelope_taken(e) + envelope_dropped(e) == 0)
		skip(s, 554, "5.5.1", "no valid recipients");
	else
		return false;
	return true;
}

/* Told when the announced octets have come. */
static void
refuse_text(struct session *s, const struct verdict *v)
{
	struct reply r = reply_of_verdict(v);

	session_tx(s)->verdict = *v;
	session_log_refusal(s, STAGE_DATA, &r, v->by, NULL);
	s->text.fault = verdict_reply(s, v);
	s->errors -= r.code >= 500;
}

/* The first chunk is what DATA is: the same stage, the same refusals. */
MAY_YIELD static bool
first_chunk(struct session *s)
{
	struct verdict v = { 0 };
	uint64_t       left = s->text.left;
	bool           last = s->text.last;

	text_discard_if_nobody(s);
	if (text_is_discarded(s))
		relay_give_up(s);
	if (!text_is_discarded(s) && s->relay.broken) {
		skip(s, 451, "4.3.2", "the mail server was lost, try again");
		return false;
	}
	if (!text_is_discarded(s) && judge_stage(s->hearing, STAGE_DATA, &v) != WAIT_OK)
		return false;
	session_log_checks(s);
	if (v.kind == VERDICT_DISCARD)
		text_discard(s, &v);
	if (v.kind == VERDICT_DISCONNECT) {
		say_verdict(s, &v, STAGE_DATA, NULL);
		return false;
	}
	text_begin(s, true);
	s->text.left = left;
	s->text.last = last;
	s->state = SMTP_BDAT;
	if (v.kind == VERDICT_REJECT || v.kind == VERDICT_TEMPFAIL)
		refuse_text(s, &v);
	return true;
}

void
bdat_run(struct session *s, struct strv rest)
{
	struct fault f = { 0 };
	uint64_t     size;
	bool         last;

	if (!parse_bdat(rest, &size, &last, &f)) {
		/* How much follows is not known; the transaction takes no more (RFC 3030 2). */
		s->text.failed = true;
		if (session_tx(s) != NULL)
			s->state = SMTP_BDAT;
		say_error(s, f.code, f.enh, strv_z(f.text));
		return;
	}
	s->text.left = size;
	s->text.last = last;
	if (out_of_order(s))
		return;
	if (s->state == SMTP_MAIL && !first_chunk(s))
		return;
	s->phase = PHASE_CHUNK;
}

static void
skip_turn(struct session *s, struct strv v)
{
	intake_take(&s->in, v.n);
	session_rate(s, v.n);
	s->text.dropped += v.n;
	if (text_too_much(s) || s->text.left > 0)
		return;
	s->phase = PHASE_COMMAND;
	s->errors += s->skip.code >= 500;
	slots_say(&s->replies, &s->skip);
	if (session_tx(s) != NULL) {
		s->text.failed = true;
		s->state = SMTP_BDAT;
	}
}

/* That was the message: no chunk of it is taken any more, so it is told here. */
static void
chunk_refused(struct session *s)
{
	const struct reply *r = &s->text.fault;

	s->text.failed = true;
	s->errors += r->code >= 500;
	slots_say(&s->replies, r);
	session_log_message(s, r, !s->gone);
}

MAY_YIELD static void
chunk_end(struct session *s)
{
	struct strv rest;

	s->phase = PHASE_COMMAND;
	if (s->text.fault.code != 0 && !s->text.last) {
		chunk_refused(s);
	} else if (!s->text.last) {
		say(s, 250, "2.0.0", SV("Ok"));
	} else {
		rest = dots_finish(&s->text.dots);
		if (rest.n > 0)
			text_take(s, rest);
		text_done(s);
	}
}

MAY_YIELD static void
chunk_turn(struct session *s, struct strv v)
{
	size_t n = v.n;

	session_rate(s, n);
	(void)text_decode(s, &v);
	intake_take(&s->in, n);
	if (!text_too_much(s) && s->text.left == 0 && !s->turn->cancelled)
		chunk_end(s);
}

void
bdat_turn(struct session *s)
{
	struct strv v = intake_unread(&s->in);

	if (v.n > s->text.left)
		v.n = (size_t)s->text.left;
	s->text.left -= v.n;
	if (s->phase == PHASE_SKIP)
		skip_turn(s, v);
	else
		chunk_turn(s, v);
}
