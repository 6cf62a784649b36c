/*
 * relay -- what every kind of hop has in common: MAIL held, text spooled or streamed, one refusal for
 * the rest of a broken transaction.
 */
#include "proxy/smtp/sessionlog.h"

#include <stdio.h>

#include "proxy/base/civil.h"

void
relay_begin(struct session *s)
{
	struct relay *r = &s->relay;
	struct relay  next = { .hop = r->hop, .pool = r->pool, .up = r->up, .mail = MAIL_HELD };

	*r = next;
}

void
relay_break(struct session *s, uint16_t code, const char *enh, struct strv text)
{
	struct relay *r = &s->relay;

	if (r->broken)
		return;
	r->broken = true;
	r->refusal = (struct reply){ code, "", arena_dup(session_tx(s)->a, text) };
	snprintf(r->refusal.enh, sizeof r->refusal.enh, "%s", enh);
}

/*
 * A held MAIL costs the upstream nothing while every recipient is refused here.  What depends on the
 * server's word about MAIL itself is sent at once: `eager`, SMTPUTF8, BODY, and what a user who has
 * authenticated may do, of which the server alone knows.
 */
static bool
at_once(const struct session *s)
{
	const struct mail_params *p = &session_tx(s)->env.params;
	const struct pool_conf   *conf = pool_conf(s->relay.pool);

	if (s->relay.hop->mail == NULL)
		return false;
	if (s->bound)
		return true;
	if (judge_routes(s->smtp->conf->judge))
		return false;
	return conf->server->eager || p->smtputf8 || p->body != BODY_NONE;
}

void
relay_mail(struct session *s)
{
	if (at_once(s))
		s->relay.hop->mail(s, slots_open(&s->replies));
	else
		say(s, 250, "2.1.0", SV("Ok"));
}

void
relay_refuse_rcpt(struct session *s, unsigned i, struct slot *slot)
{
	session_log_refusal(
	    s, STAGE_RCPT, &s->relay.refusal, SV("upstream"), &session_tx(s)->env.rcpt[i].to);
	s->errors += s->relay.refusal.code >= 500;
	slots_fill(&s->replies, slot, &s->relay.refusal);
}

void
relay_rcpt(struct session *s, unsigned i)
{
	if (s->relay.broken)
		relay_refuse_rcpt(s, i, slots_open(&s->replies));
	else
		s->relay.hop->rcpt(s, i, slots_open(&s->replies));
}

void
relay_settle(struct session *s)
{
	if (slots_owed(&s->replies) && s->relay.hop->settle != NULL)
		s->relay.hop->settle(s);
}

static bool
may_stream(const struct session *s)
{
	return s->relay.hop->stream != NULL && s->relay.up != NULL &&
	    !s->relay.up->sv->conf->no_streaming && !judge_edits(s->smtp->conf->judge) &&
	    !s->relay.broken && envelope_taken(&session_tx(s)->env) > 0;
}

bool
relay_spool(struct session *s, struct strv text)
{
	enum spool_rc rc = spool_add(session_tx(s)->msg.body, text);
	const char   *dir = s->smtp->conf->spool_dir;

	if (rc == SPOOL_OK)
		return true;
	session_log_event(s, rc == SPOOL_FULL ? "spool-full" : "spool-failed",
	    dir[0] != '\0' ? dir : "the default folder for temporary files");
	if (rc == SPOOL_FULL)
		relay_break(s, 452, "4.3.1", SV("no space for the message now"));
	else
		relay_break(s, 451, "4.3.0", SV("could not keep the message"));
	s->text.fault = s->relay.refusal;
	return false;
}

void
relay_text(struct session *s, struct strv text)
{
	struct relay *r = &s->relay;

	if (!r->streaming && spool_would_spill(session_tx(s)->msg.body, text.n) && may_stream(s))
		r->streaming = true;
	if (!r->streaming)
		(void)relay_spool(s, text);
	else if (!r->hop->stream(s, text))
		s->text.fault = r->refusal;
}

void
relay_finish(struct session *s, struct reply *out)
{
	if (s->relay.broken)
		*out = s->relay.refusal;
	else
		s->relay.hop->finish(s, out);
}

/* RFC 3461 4: what was asked of the fate of recipients was asked for those that are gone. */
static void
drop_dsn(struct mail_params *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->n; i++)
		if (!strv_ieq(p->v[i].name, SV("RET")) && !strv_ieq(p->v[i].name, SV("ENVID")))
			p->v[n++] = p->v[i];
	p->n = n;
	p->ret = p->envid = (struct strv){ NULL, 0 };
}

/* The hop must not hear of the recipients that it took before; what it thinks of the new one is not the client's affair. */
bool
relay_redirect(struct session *s, struct strv to, struct reply *out)
{
	struct envelope *e = &session_tx(s)->env;
	struct path      path;
	const char      *why = "";
	unsigned         added = e->n_rcpt;

	*out = (struct reply){ 451, "4.3.0", SV("could not keep the message now, try again") };
	if (s->relay.broken || s->relay.streaming ||
	    path_parse_plain(session_tx(s)->a, to, &path, &why) != PATH_OK) {
		session_log_event(
		    s, "quarantine-failed", "the envelope cannot be changed any more");
		return false;
	}
	for (unsigned i = 0; i < added; i++) {
		e->rcpt[i].replaced = e->rcpt[i].upstream_took;
		e->rcpt[i].upstream_took = false;
	}
	*envelope_add(session_tx(s)->a, e) = (struct rcpt){ .to = path };
	drop_dsn(&e->params);
	if (s->relay.hop->redirect == NULL)
		e->rcpt[added].upstream_took = true;
	else if (!s->relay.hop->redirect(s, added))
		session_log_event(s, "quarantine-failed", "the server does not take its address");
	return e->rcpt[added].upstream_took && !s->relay.broken;
}

void
relay_give_up(struct session *s)
{
	if (s->relay.hop->end != NULL)
		s->relay.hop->end(s);
}

/*
 * A client that has gone would send its message again.  What the loop told is as old as its round, which is
 * milliseconds; a reset behind octets that were read looks like octets: then the socket is asked.
 */
bool
relay_client_left(struct session *s)
{
	if (!s->turn->cancelled && !s->gone && (!s->io.hung || conn_peek(&s->io) >= 0))
		return false;
	session_log_event(s, "client-left", "before the message was passed on");
	session_cut(s, "client reset the connection");
	return true;
}

void
relay_end(struct session *s)
{
	if (s->relay.hop->end != NULL)
		s->relay.hop->end(s);
	s->relay.mail = MAIL_NONE;
	s->relay.committed = s->relay.told = false;
}

void
relay_close(struct session *s)
{
	if (s->relay.hop->close != NULL)
		s->relay.hop->close(s);
}

/* RFC 5321 3.3: date and time with the zone, here always UTC. */
static struct strv
date(struct arena *a, uint64_t wall)
{
	static const char days[] = "SunMonTueWedThuFriSat",
			  months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	uint64_t     secs = wall / 1000000, day = secs / 86400, rest = secs % 86400;
	struct civil c = civil_of(day);

	return arena_printf(a, "%.3s, %u %.3s %llu %02u:%02u:%02u +0000",
	    days + 3 * ((day + 4) % 7), c.day, months + 3 * (c.month - 1),
	    (unsigned long long)c.year, (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60),
	    (unsigned)(rest % 60));
}

/* RFC 3848 and, for SMTPUTF8, RFC 6531 4.3: the protocol word. */
static const char *
protocol(const struct session *s)
{
	static const char *const words[2][2][2] = {
		{ { "ESMTP", "ESMTPA" }, { "ESMTPS", "ESMTPSA" } },
		{ { "UTF8SMTP", "UTF8SMTPA" }, { "UTF8SMTPS", "UTF8SMTPSA" } },
	};
	bool utf8 = session_tx(s)->env.params.smtputf8;

	if (!s->client.esmtp && !utf8)
		return "SMTP";
	return words[utf8][s->client.tls.on][s->client.auth_user.p != NULL];
}

struct strv
relay_fields(struct session *s)
{
	struct arena *a = session_tx(s)->a;
	struct world *w = s->smtp->world;
	char          text[ADDR_TEXT];
	struct strv   ip = addr_print(&s->client.addr.addr, text), host = s->smtp->conf->hostname,
		    when;
	const char *tag = s->client.addr.addr.family == ADDR_IP6 ? "IPv6:" : "";

	if (!s->smtp->conf->received)
		return strv("", 0);
	when = date(a, w->wall(w));
	return arena_printf(a,
	    "Received: from %.*s ([%s%.*s])\r\n\tby %.*s (Postern) with %s id %s;\r\n\t%.*s\r\n",
	    (int)s->client.helo.n, s->client.helo.p, tag, (int)ip.n, ip.p, (int)host.n, host.p,
	    protocol(s), session_tx(s)->id, (int)when.n, when.p);
}
