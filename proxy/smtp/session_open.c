/*
 * session_open -- from accept to the greeting: PROXY header, limits, TLS, and waiting for an upstream.
 *
 * Invariant: nothing is said and no filter is asked before the client's address is known for good.
 */
#include "proxy/base/log.h"
#include "proxy/base/netset.h"
#include "proxy/base/tls.h"
#include "proxy/smtp/proxyhdr.h"
#include "proxy/smtp/route.h"
#include "proxy/smtp/session_own.h"
#include "proxy/smtp/sessionlog.h"

/* One that waits behind EHLO fits, its name with it: a second chunk would be half as much. */
#define SESSION_ARENA 1792
#define SESSION_QUOTA (1024 * 1024)
#define TLS_MS        60000

static void
upstream_known(void *arg)
{
	session_later(arg);
}

/* The upstream's EHLO is known (or the hop has none): a turn greets. */
bool
session_may_greet(struct session *s)
{
	struct smtp *m = s->smtp;
	uint64_t     until = loop_now(m->loop) + m->conf->limits.greeting_wait;

	if (route_up(s))
		return true;
	if (!s->watch.on) {
		s->watch.fn = upstream_known;
		s->watch.arg = s;
		pool_watch(m, &s->watch);
		/* A server of no use to it may come up meanwhile: the wait is as long as it was at first. */
		if (s->deadline > until)
			session_deadline(s, until);
	}
	return false;
}

static void
to_greeting(struct session *s)
{
	s->phase = PHASE_GREET;
	session_deadline(s, loop_now(s->smtp->loop) + s->smtp->conf->limits.command_timeout);
}

void
session_start_tls(struct session *s)
{
	s->phase = PHASE_TLS;
	session_deadline(s, loop_now(s->smtp->loop) + TLS_MS);
	if (!tls_accept(&s->io, s->listener->context)) {
		session_cut(s, "no memory for TLS");
		return;
	}
	/* What came with a PROXY header is the beginning of the handshake and nothing else. */
	tls_ahead(&s->io, intake_unread(&s->in));
	intake_take(&s->in, intake_unread(&s->in).n);
}

/* RFC 3207 4.2: after the handshake everything learnt before is forgotten. */
void
session_handshake(struct session *s)
{
	const char *why = "";
	enum io_rc  rc = tls_handshake(&s->io, &why);

	if (rc == IO_AGAIN)
		return;
	if (rc != IO_OK) {
		session_log_event(
		    s, "tls-failed", rc == IO_EOF ? "client closed the connection" : why);
		session_cut(s, "TLS handshake failed");
		return;
	}
	tls_facts_get(&s->io, s->a, &s->client.tls);
	/* It is the line to the peer that said XCLIENT; of the client's nothing is known. */
	if (s->introduced)
		s->client.tls = (struct tls_facts){ .on = s->client.tls.on };
	s->io.readable = true;
	if (s->greeted) {
		s->phase = PHASE_COMMAND;
		session_deadline(
		    s, loop_now(s->smtp->loop) + s->smtp->conf->limits.command_timeout);
	} else {
		to_greeting(s);
	}
}

static void enter(struct session *s);

static void
apply_proxy_header(struct session *s, const struct proxyhdr *h)
{
	if (!h->local) {
		s->client.addr = h->src;
		s->client.local = h->dst;
		s->client.proxied = true;
	}
	enter(s);
}

/* haproxy's proxy-protocol.txt: no greeting before the whole header; a malformed one drops the connection. */
void
session_proxy_header(struct session *s)
{
	struct proxyhdr h;
	const char     *why = "";
	size_t          used = 0;
	struct strv     v = intake_unread(&s->in);
	int             rc = proxyhdr_parse(v, &h, &used, &why);

	if (rc == 0 && v.n > PROXYHDR_MAX) {
		rc = -1;
		why = "too long";
	}
	if (rc < 0) {
		session_log_event(s, "proxy-header-refused", why);
		session_cut(s, "bad PROXY header");
	} else if (rc > 0) {
		intake_take(&s->in, used);
		apply_proxy_header(s, &h);
	}
}

uint64_t
session_client_key(const struct session *s)
{
	/* RFC 6052 2.1: behind a translator an IPv4 host has one address of that prefix, and no more. */
	static const uint8_t nat64[12] = { 0, 0x64, 0xff, 0x9b };
	const struct addr   *a = &s->client.addr.addr;
	bool                 net = a->family == ADDR_IP6 && memcmp(a->b, nat64, sizeof(nat64)) != 0;

	return hash_sip(&s->smtp->key, strv((const char *)a->b, net ? 8 : 16));
}

/* Who comes by XCLIENT ends for the same reason: the first that is given is the one in the log. */
bool
session_count_client(struct session *s)
{
	struct smtp *m = s->smtp;

	if (s->counted)
		counters_client_leave(m->counters, m->place, s->client_hash);
	s->client_hash = session_client_key(s);
	s->counted = counters_client_enter(
	    m->counters, m->place, s->client_hash, (unsigned)m->conf->limits.sessions_per_client);
	if (!s->counted)
		session_end(s, "too many sessions of this client");
	return s->counted;
}

static void
refuse(struct session *s, enum counter why, struct strv text)
{
	counters_add(s->smtp->counters, s->smtp->place, why, 1);
	s->greeted = true;
	s->client_hash = session_client_key(s);
	say(s, 421, "4.7.0", text);
	session_end(s, "too many sessions");
	(void)session_log_refused(s, strv_z(s->end_why));
}

/* The client's address is known: limits, then TLS or the greeting. */
static void
enter(struct session *s)
{
	struct smtp *m = s->smtp;

	s->hearing = judge_open(m->conf->judge, s->a, &s->client);
	s->hearing->mail.session = s->id;
	if (counters_sum(m->counters, COUNTER_SESSIONS_OPEN) > m->conf->limits.sessions)
		refuse(s, COUNTER_REFUSED_ROOM, SV("too many sessions, try again later"));
	else if (!session_count_client(s))
		refuse(s, COUNTER_REFUSED_CLIENT, SV("too many sessions from your address"));
	else if (s->listener->tls)
		session_start_tls(s);
	else
		to_greeting(s);
}

void
session_list(struct smtp *m, struct session *s)
{
	s->next = m->sessions;
	if (m->sessions != NULL)
		m->sessions->prev = s;
	m->sessions = s;
	m->n_sessions++;
	counters_add(m->counters, m->place, COUNTER_SESSIONS_OPEN, 1);
	counters_add(m->counters, m->place, COUNTER_SESSIONS, 1);
}

struct session *
session_new(struct smtp *m, const struct listener *l, const struct endpoint *peer,
    const struct endpoint *local)
{
	struct arena   *a = arena_new(SESSION_ARENA, SESSION_QUOTA);
	struct session *s = arena_alloc(a, sizeof *s);

	s->a = a;
	s->smtp = m;
	s->listener = l;
	s->client.addr = s->client.peer = *peer;
	s->client.local = *local;
	s->client.listener = l->name;
	s->opened = loop_now(m->loop);
	s->timer.fn = session_timer;
	s->timer.arg = s;
	log_new_id(m->world, s->id, 9);
	slots_init(&s->replies, &m->spare_slots);
	intake_init(&s->in, m->bufs);
	route_session(s);
	return s;
}

void
session_open(struct smtp *m, const struct listener *l, int fd, const struct endpoint *peer,
    const struct endpoint *local)
{
	struct session *s = session_new(m, l, peer, local);

	session_list(m, s);
	if (!conn_init(&s->io, m->loop, fd, session_event, s))
		session_cut(s, "no memory");
	else if (l->proxy_from != NULL && netset_has(l->proxy_from, &peer->addr)) {
		s->phase = PHASE_PROXY;
		session_deadline(s, loop_now(m->loop) + m->conf->limits.proxy_header_wait);
	} else {
		enter(s);
	}
	session_advance(s);
}
