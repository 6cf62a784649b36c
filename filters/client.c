/*
 * client -- facts of the connection: addresses, names, listener, TLS.
 *
 * A reverse name is what the owner of the address says, so client.name is believed only where the name
 * has the address, too (RFC 1912 2.1, RFC 8601 2.7.3); one name that has it is enough, whatever became of
 * the others.  What a client may still change before its first MAIL (TLS) is a fact of each transaction,
 * not of the session.
 */
#include "filters/filters.h"
#include "filters/lookup.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/mail/path.h"

enum {
	NAMES_MAX = 10,    /* reverse names that are looked at */
	EARLY_MS = 2000,   /* for which early-talker waits */
	EARLY_STEP_MS = 50 /* and looks */
};

struct seat {
	bool waited; /* for early octets: once a session */
};

enum {
	CLIENT,
	CLIENT_IP,
	CLIENT_PORT,
	CLIENT_NAME,
	CLIENT_RDNS,
	EARLY_TALKER,
	LISTENER,
	TLS_VERSION,
	TLS_CIPHER,
	TLS_SNI,
	TLS_CLIENT_CERT
};

/* clang-format off */
static const struct fact_def facts[] = {
	{ .own = CLIENT, .name = "client", .type = FACT_ADDR, .first = STAGE_CONNECT, .per_session = true,
	    .about = "address of the client, behind a PROXY header or XCLIENT the one it names" },
	{ .own = CLIENT_IP, .name = "client.ip", .type = FACT_ADDR, .first = STAGE_CONNECT, .per_session = true,
	    .about = "the same" },
	{ .own = CLIENT_PORT, .name = "client.port", .type = FACT_NUMBER, .first = STAGE_CONNECT, .per_session = true,
	    .about = "port of the client" },
	{ .own = CLIENT_NAME, .name = "client.name", .type = FACT_TEXT, .first = STAGE_CONNECT, .per_session = true,
	    .cost = COST_DNS,
	    .about = "name of the client: of its reverse names the first that has its address; absent: none has" },
	{ .own = CLIENT_RDNS, .name = "client.rdns", .type = FACT_TEXT, .first = STAGE_CONNECT, .per_session = true,
	    .cost = COST_DNS,
	    .about = "first reverse name of the client, which need not be true; absent: there is none" },
	{ .own = EARLY_TALKER, .name = "early-talker", .type = FACT_BOOL, .first = STAGE_CONNECT, .per_session = true,
	    .cost = COST_TIME,
	    .about = "whether the client spoke before the greeting, for which it is made to wait up to 2 s" },
	{ .own = LISTENER, .name = "listener", .type = FACT_TEXT, .first = STAGE_CONNECT, .per_session = true,
	    .about = "name of the listener that took the connection, or its address" },
	{ .own = TLS_VERSION, .name = "tls.version", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "such as TLSv1.3; absent without TLS" },
	{ .own = TLS_CIPHER, .name = "tls.cipher", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "name of the cipher; absent without TLS" },
	{ .own = TLS_SNI, .name = "tls.sni", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "server name that the client asked for" },
	{ .own = TLS_CLIENT_CERT, .name = "tls.client-cert", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "subject of a client certificate that was verified" },
	{ 0 }
};
/* clang-format on */

static void *
client_open(struct arena *a, void *shared, const struct client *c)
{
	(void)shared, (void)c;
	return arena_alloc(a, sizeof(struct seat));
}

/* ---- names ---- */

/* What a host can be called: not the root, and no address, which some write there. */
static bool
is_host(struct strv name)
{
	struct addr literal;

	return domain_valid(name, false, false) && !addr_parse(name, &literal);
}

static bool
has_addr(const struct dns_answer *answer, const struct addr *addr)
{
	for (unsigned i = 0; i < answer->n; i++)
		if (addr_eq(&answer->v[i].addr, addr))
			return true;
	return false;
}

/*
 * The first of the names that has the address.  OK with an absent text: none has.  The names share the time, so one
 * whose servers are silent leaves something for the next.
 */
MAY_YIELD static enum dns_rc
confirm(struct arena *a, struct fact *f, const struct addr *addr, const struct dns_answer *names)
{
	uint16_t    type = addr->family == ADDR_IP6 ? DNS_AAAA : DNS_A;
	unsigned    n = names->n < NAMES_MAX ? names->n : NAMES_MAX;
	uint64_t    until = loop_now(fiber_loop()) + DNS_TIME;
	enum dns_rc all = DNS_OK;

	for (unsigned i = 0; i < n; i++) {
		struct strv       name = names->v[i].text;
		struct dns_answer answer = { 0 };
		uint64_t          now = loop_now(fiber_loop());
		enum dns_rc       rc;

		if (!is_host(name))
			continue;
		rc = now >= until ?
		    DNS_TEMP :
		    dns_ask(a, name, type, (unsigned)((until - now) / (n - i)) + 1, &answer);
		if (rc == DNS_CANCELLED)
			return rc;
		lookup_told(f, type, name, rc, &answer);
		if (rc == DNS_OK && has_addr(&answer, addr)) {
			f->v.text = arena_dup(f->a, name);
			return DNS_OK;
		}
		if (lookup_rc(rc) != FILTER_OK)
			all = rc;
	}
	return all;
}

static void
first_name(struct fact *f, const struct dns_answer *names)
{
	for (unsigned i = 0; i < names->n && f->v.text.p == NULL; i++)
		if (names->v[i].text.n > 0)
			f->v.text = arena_dup(f->a, names->v[i].text);
}

MAY_YIELD static enum filter_rc
ask_names(struct fact *f, const struct addr *addr)
{
	struct arena     *a;
	struct dns_answer names = { 0 };
	struct strv       reverse;
	enum dns_rc       rc;

	f->v.text = strv(NULL, 0);
	if (addr->family != ADDR_IP4 && addr->family != ADDR_IP6)
		return FILTER_OK;
	f->source = strv(NULL, 0);
	a = arena_new(1024, 0);
	reverse = dns_reverse(a, addr, strv(NULL, 0));
	rc = dns_ask(a, reverse, DNS_PTR, 0, &names);
	lookup_told(f, DNS_PTR, reverse, rc, &names);
	if (rc == DNS_OK && f->def->own == CLIENT_RDNS)
		first_name(f, &names);
	else if (rc == DNS_OK)
		rc = confirm(a, f, addr, &names);
	arena_free(a);
	return lookup_rc(rc);
}

/* ---- who cannot wait for the greeting ---- */

/*
 * RFC 5321 4.3.1: a client waits for the greeting.  Once it has said HELO nothing comes early any more, and
 * what was seen stays seen.
 */
MAY_YIELD static enum filter_rc
ask_early(struct seat *s, struct fact *f, const struct client *c)
{
	f->source = SV("what came before the greeting");
	for (unsigned ms = 0; !s->waited && ms < EARLY_MS; ms += EARLY_STEP_MS) {
		enum wait_rc rc;

		if (c->early || c->helo.p != NULL)
			break;
		rc = fiber_sleep(EARLY_STEP_MS);
		if (rc != WAIT_OK)
			return rc == WAIT_CANCELLED ? FILTER_CANCELLED : FILTER_TEMP;
	}
	s->waited = true;
	f->v.yes = c->early;
	return FILTER_OK;
}

static bool
ask_connection(struct fact *f, const struct client *c)
{
	switch (f->def->own) {
	case CLIENT:
	case CLIENT_IP:
		f->v.addr = c->addr.addr;
		f->source = c->proxied ? SV("PROXY header or XCLIENT") : f->source;
		return true;
	case CLIENT_PORT:
		f->v.number = c->addr.port;
		f->source = c->proxied ? SV("PROXY header or XCLIENT") : f->source;
		return true;
	case LISTENER:
		f->v.text = c->listener;
		return true;
	case TLS_VERSION:
		f->v.text = c->tls.version;
		return true;
	case TLS_CIPHER:
		f->v.text = c->tls.cipher;
		return true;
	case TLS_SNI:
		f->v.text = c->tls.sni;
		return true;
	case TLS_CLIENT_CERT:
		f->v.text = c->tls.client_cert;
		return true;
	default:
		return false;
	}
}

MAY_YIELD static enum filter_rc
client_ask(void *self, struct fact *f, const struct mail *m)
{
	enum filter_rc rc = FILTER_OK;

	f->source = SV("connection");
	if (f->def->own == CLIENT_NAME || f->def->own == CLIENT_RDNS)
		rc = ask_names(f, &m->client->addr.addr);
	else if (f->def->own == EARLY_TALKER)
		rc = ask_early(self, f, m->client);
	else if (!ask_connection(f, m->client))
		rc = FILTER_BUG;
	if (rc == FILTER_OK)
		f->state = FACT_KNOWN;
	return rc;
}

const struct filter client_filter = {
	.name = "client",
	.facts = facts,
	.open = client_open,
	.ask = client_ask,
};
