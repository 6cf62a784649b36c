/*
 * xclient_in -- XCLIENT from a trusted peer.  What Postfix makes of it is what such peers expect.
 *
 * Names of hosts (NAME, REVERSE_NAME) are taken and not believed: every fact is computed anew.  Unlike
 * Postfix, which then judges the new address, we let the peer say XCLIENT again: it is the same peer, and
 * what it may say is decided before the first one.  The invariant: nothing that was learnt of the client
 * before, or from it, outlives a XCLIENT, but for TLS, which is the peer's.
 */
#include "proxy/smtp/xclient_in.h"

#include "proxy/base/log.h"
#include "proxy/base/netset.h"
#include "proxy/smtp/sasl.h"
#include "proxy/smtp/session_own.h"
#include "proxy/smtp/sessionlog.h"

#define VALUE_MAX 255 /* XCLIENT_README */

static bool
set_addr(struct strv v, struct addr *out)
{
	return addr_parse(strv_istarts(v, SV("IPV6:")) ? strv_from(v, 5) : v, out);
}

static bool
set_port(struct strv v, uint16_t *out)
{
	uint64_t n;

	if (!strv_number(v, UINT16_MAX, &n))
		return false;
	*out = (uint16_t)n;
	return true;
}

static bool
set_name(struct strv v, struct strv *out)
{
	*out = v;
	return true;
}

static bool
take_name(struct xclient_in *x, struct strv v)
{
	return set_name(v, &x->name);
}

static bool
take_reverse_name(struct xclient_in *x, struct strv v)
{
	return set_name(v, &x->reverse_name);
}

static bool
take_addr(struct xclient_in *x, struct strv v)
{
	return set_addr(v, &x->addr);
}

static bool
take_port(struct xclient_in *x, struct strv v)
{
	return set_port(v, &x->port);
}

static bool
take_proto(struct xclient_in *x, struct strv v)
{
	x->esmtp = strv_ieq(v, SV("ESMTP"));
	return x->esmtp || strv_ieq(v, SV("SMTP"));
}

static bool
take_helo(struct xclient_in *x, struct strv v)
{
	struct fault f;

	return parse_helo(v, &x->helo, &f);
}

static bool
take_login(struct xclient_in *x, struct strv v)
{
	return v.n <= SASL_NAME && set_name(v, &x->login);
}

static bool
take_destaddr(struct xclient_in *x, struct strv v)
{
	return set_addr(v, &x->destaddr);
}

static bool
take_destport(struct xclient_in *x, struct strv v)
{
	return set_port(v, &x->destport);
}

/* clang-format off */
static const struct row {
	const char *name;
	uint32_t    bit;
	bool      (*take)(struct xclient_in *, struct strv value);
	const char *why;
} rows[] = {
	{ "NAME",         XCLIENT_NAME,         take_name,         "malformed NAME" },
	{ "REVERSE_NAME", XCLIENT_REVERSE_NAME, take_reverse_name, "malformed REVERSE_NAME" },
	{ "ADDR",         XCLIENT_ADDR,         take_addr,         "malformed ADDR" },
	{ "PORT",         XCLIENT_PORT,         take_port,         "malformed PORT" },
	{ "PROTO",        XCLIENT_PROTO,        take_proto,        "PROTO is SMTP or ESMTP" },
	{ "HELO",         XCLIENT_HELO,         take_helo,         "malformed HELO" },
	{ "LOGIN",        XCLIENT_LOGIN,        take_login,        "malformed LOGIN" },
	{ "DESTADDR",     XCLIENT_DESTADDR,     take_destaddr,     "malformed DESTADDR" },
	{ "DESTPORT",     XCLIENT_DESTPORT,     take_destport,     "malformed DESTPORT" },
};
/* clang-format on */

#define ALL_BUT_LOGIN \
	(XCLIENT_NAME | XCLIENT_REVERSE_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO | \
	    XCLIENT_HELO | XCLIENT_DESTADDR | XCLIENT_DESTPORT)

static const struct row *
row_find(struct strv name)
{
	for (const struct row *r = rows; r < rows + sizeof(rows) / sizeof(rows[0]); r++)
		if (strv_ieq(name, strv_z(r->name)))
			return r;
	return NULL;
}

/* Decoded, a value is a word of UTF-8: no blanks but in a user's name, no controls anywhere. */
static bool
good_value(struct strv v, bool blanks)
{
	if (v.n == 0 || v.n > VALUE_MAX || !utf8_valid(v))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f || (v.p[i] == ' ' && !blanks))
			return false;
	return true;
}

static bool
take(struct arena *a, struct strv word, struct xclient_in *out, const char **why)
{
	struct strv       value = word, name = strv_cut(&value, '=');
	const struct row *r = row_find(name);

	*why = r == NULL ? "unknown attribute" : r->why;
	if (r == NULL || value.n == 0 || value.n > 3 * VALUE_MAX || !xtext_valid(value))
		return false;
	if (out->said & r->bit) {
		*why = "an attribute is given twice";
		return false;
	}
	out->said |= r->bit;
	if (strv_ieq(value, SV("[UNAVAILABLE]")) || strv_ieq(value, SV("[TEMPUNAVAIL]"))) {
		out->unavailable |= r->bit;
		return true;
	}
	value = xtext_parse(a, value);
	return good_value(value, r->bit == XCLIENT_LOGIN) && r->take(out, value);
}

bool
xclient_in_parse(struct arena *a, struct strv rest, struct xclient_in *out, const char **why)
{
	struct strv word;

	*out = (struct xclient_in){ 0 };
	*why = "XCLIENT without an attribute";
	while ((word = strv_word(&rest)).n > 0)
		if (!take(a, word, out, why))
			return false;
	return out->said != 0;
}

/*
 * Who is trusted is the one that speaks SMTP to us: behind a PROXY header that is whom the header names,
 * never the proxy, or everybody behind it could say XCLIENT.
 */
uint32_t
xclient_in_allowed(const struct session *s)
{
	const struct netset *from = s->listener->xclient_from;

	if (from == NULL || !(s->introduced || netset_has(from, &s->client.addr.addr)))
		return 0;
	return ALL_BUT_LOGIN | (s->listener->xclient_login ? XCLIENT_LOGIN : 0);
}

/* An address that is unavailable is unknown, as in Postfix: no list of networks has it. */
static void
set_endpoint(struct endpoint *e, const struct xclient_in *x, uint32_t addr_bit,
    const struct addr *addr, uint32_t port_bit, uint16_t port)
{
	if (x->said & addr_bit) {
		*e = (struct endpoint){ .port = e->port };
		if (!(x->unavailable & addr_bit))
			e->addr = *addr;
	}
	if (x->said & port_bit)
		e->port = x->unavailable & port_bit ? 0 : port;
}

/* Postfix: HELO, PROTO and LOGIN that are not said this time are not so any more. */
static void
introduce(struct session *s, const struct xclient_in *x)
{
	struct client *c = &s->client;

	set_endpoint(&c->addr, x, XCLIENT_ADDR, &x->addr, XCLIENT_PORT, x->port);
	set_endpoint(&c->local, x, XCLIENT_DESTADDR, &x->destaddr, XCLIENT_DESTPORT, x->destport);
	c->proxied = true;
	/* It was the peer that did not wait. */
	c->early = false;
	/* The line from here to the peer may be TLS (no second STARTTLS); of the client's nothing is known. */
	c->tls = (struct tls_facts){ .on = c->tls.on };
	c->helo = x->helo;
	c->esmtp = x->esmtp;
	c->auth_user = x->login;
	c->auth_author = (struct strv){ NULL, 0 };
	c->auth_mechanism = x->login.p != NULL ? SV("XCLIENT") : (struct strv){ NULL, 0 };
	s->introduced = true;
}

/* A connection that was named for the former client, or that knows a user, is none for this one. */
MAY_YIELD static void
forget(struct session *s)
{
	relay_close(s);
	s->bound = false;
	s->offered = (struct ehlo){ 0 };
	s->in.auth = false;
	s->state = SMTP_NEW;
	judge_close(s->hearing);
	s->hearing = NULL;
	session_log_forget(s, false);
}

static void
log_introduction(struct session *s)
{
	struct log_line l;
	char            text[ADDR_TEXT], peer[ADDR_TEXT];

	log_begin(&l, s->smtp->world, session_id(s), "xclient");
	log_strv(&l, "client", addr_print(&s->client.addr.addr, text));
	log_strv(&l, "peer", addr_print(&s->client.peer.addr, peer));
	log_strv(&l, "user", s->client.auth_user);
	log_end(&l);
}

static bool
parse_it(struct session *s, struct strv rest, struct xclient_in *x)
{
	const char *why = "";
	uint32_t    allowed = xclient_in_allowed(s);

	if (s->listener->xclient_from == NULL) {
		say_error(s, 500, "5.5.2", SV("command not recognized"));
		return false;
	}
	if (allowed == 0) {
		say_error(s, 550, "5.7.0", SV("insufficient authorization"));
		return false;
	}
	if (!xclient_in_parse(s->a, rest, x, &why)) {
		say_error(s, 501, "5.5.4", strv_z(why));
		return false;
	}
	if (x->said & ~allowed) {
		say_error(s, 501, "5.5.4", SV("an attribute that is not offered"));
		return false;
	}
	return true;
}

void
xclient_run(struct session *s, struct strv rest)
{
	struct xclient_in x;

	if (!parse_it(s, rest, &x))
		return;
	forget(s);
	introduce(s, &x);
	s->hearing = judge_open(s->smtp->conf->judge, s->a, &s->client);
	s->hearing->mail.session = s->id;
	log_introduction(s);
	if (!session_count_client(s)) {
		counters_add(s->smtp->counters, s->smtp->place, COUNTER_REFUSED_CLIENT, 1);
		say(s, 421, "4.7.0", SV("too many sessions from your address"));
		return;
	}
	/* The turn goes on with the greeting: connect is judged again, 220. */
	s->phase = PHASE_GREET;
}
