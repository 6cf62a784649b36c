/*
 * client -- facts of the connection: addresses, listener, TLS.
 *
 * Nothing here looks anything up; names and reverse names are for a filter that can wait.  What a
 * client may still change before its first MAIL (TLS) is a fact of each transaction, not of the session.
 */
#include "filters/filters.h"

enum {
	CLIENT,
	CLIENT_IP,
	CLIENT_PORT,
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
	static char seat; /* it keeps nothing: all it tells is in struct mail */

	(void)a, (void)shared, (void)c;
	return &seat;
}

static enum filter_rc
client_ask(void *self, struct fact *f, const struct mail *m)
{
	const struct client *c = m->client;

	(void)self;
	f->source = SV("connection");
	switch (f->def->own) {
	case CLIENT:
	case CLIENT_IP:
		f->v.addr = c->addr.addr;
		f->source = c->proxied ? SV("PROXY header or XCLIENT") : f->source;
		break;
	case CLIENT_PORT:
		f->v.number = c->addr.port;
		f->source = c->proxied ? SV("PROXY header or XCLIENT") : f->source;
		break;
	case LISTENER:
		f->v.text = c->listener;
		break;
	case TLS_VERSION:
		f->v.text = c->tls.version;
		break;
	case TLS_CIPHER:
		f->v.text = c->tls.cipher;
		break;
	case TLS_SNI:
		f->v.text = c->tls.sni;
		break;
	case TLS_CLIENT_CERT:
		f->v.text = c->tls.client_cert;
		break;
	default:
		return FILTER_BUG;
	}
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

const struct filter client_filter = {
	.name = "client",
	.facts = facts,
	.open = client_open,
	.ask = client_ask,
};
