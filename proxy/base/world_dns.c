/*
 * world_dns.c -- questions to the DNS by libunbound: its cache, its retries, its joining of equal questions.
 *
 * The library runs on our loop (world_dns_events.c); every call into it is made from the loop, so neither its stack nor
 * OpenSSL's, where it validates, is ever a fiber's: a question waits on the queue of the loop until the fiber that asks
 * has parked.
 * A flight belongs to the library until its callback; who stops waiting only takes his name off it.
 */
#include "proxy/base/world_dns.h"

#include "config.h"

#if HAVE_UNBOUND

#include <stdio.h>

#include <unbound-event.h>
#include <unbound.h>

#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/dns_silence.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world_dns_own.h"

enum {
	FLIGHTS = 8192, /* at once, those nobody waits for any more included */
	CLASS_IN = 1,
	BOGUS = 1, /* of the callback's sec */
	FWD_TEXT = ADDR_TEXT + 8
};

#define ROOT_KEY "/usr/share/dns/root.key"

struct flight {
	struct dns_query *q; /* NULL: nobody waits for it */
	bool              asked;
	uint64_t          since; /* when it was asked */
	struct flight    *next, **link;
};

static struct resolver {
	struct world               *w;
	struct loop                *loop;
	const struct resolver_conf *conf;
	struct ub_ctx              *ctx;
	bool                        failed, queued;
	struct flight              *waiting, *flying; /* to be asked; asked */
	unsigned                    n;
} resolver;

/* ---- the context ----------------------------------------------------------------------------- */

static void
set_options(struct ub_ctx *c, const char *const (*v)[2], size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)ub_ctx_set_option(c, v[i][0], v[i][1]);
}

static const char *
forward_to(struct ub_ctx *c, const struct resolver_conf *conf)
{
	char addr[ADDR_TEXT], text[FWD_TEXT];
	int  rc = 0;

	for (unsigned i = 0; i < conf->n && rc == 0; i++) {
		struct strv v = addr_print(&conf->forward[i].addr, addr);

		snprintf(text, sizeof(text), "%.*s@%u", (int)v.n, v.p, conf->forward[i].port);
		rc = ub_ctx_set_fwd(c, text);
	}
	return rc == 0 ? NULL : ub_strerror(rc);
}

/*
 * A resolver that is asked answers from its cache in no time and for a slow domain after seconds: the library,
 * made to measure name servers, would ask again too soon, miss the answer to its first packet, and take the
 * resolver for dead since some domains are.  With these an entry of its measurements is forgotten before the
 * pauses between packets (2 s, doubled) grow to what it takes for death.
 */
static void
be_patient(struct ub_ctx *c)
{
	static const char *const options[][2] = {
		{ "infra-cache-min-rtt:", "2000" },
		{ "infra-host-ttl:", "12" },
	};

	set_options(c, options, sizeof(options) / sizeof(options[0]));
}

/*
 * Servers that are asked to resolve validate, too, or do not: a zone that only they know, below a name that is
 * signed in the Internet, would be bogus to us.  Who walks from the root by himself must see to it himself.
 */
static const char *
choose_servers(struct ub_ctx *c, const struct resolver_conf *conf)
{
	if (conf->n == 0 && ub_ctx_resolvconf(c, NULL) != 0) {
		(void)ub_ctx_add_ta_file(c, ROOT_KEY);
		return NULL;
	}
	be_patient(c);
	return forward_to(c, conf);
}

static struct ub_ctx *
context_new(struct resolver *r, const char **why)
{
	static const char *const options[][2] = {
		{ "do-not-query-localhost:", "no" }, /* a resolver on this machine is the best */
		{ "outgoing-range:", "1024" },       /* questions on their way at once */
		{ "outgoing-num-tcp:", "10" },
		{ "unblock-lan-zones:", "yes" }, /* names of 10/8 and so on are asked for, too */
		{ "insecure-lan-zones:", "yes" },
		{ "infra-keep-probing:", "yes" },
	};
	struct ub_ctx *c = ub_ctx_create_ub_event(world_dns_events(r->loop));

	if (c == NULL) {
		*why = "no memory";
		return NULL;
	}
	ub_ctx_debugout(c, NULL);
	set_options(c, options, sizeof(options) / sizeof(options[0]));
	*why = choose_servers(c, r->conf);
	if (*why == NULL)
		return c;
	ub_ctx_delete(c);
	return NULL;
}

static bool
is_ready(struct resolver *r)
{
	const char *why;

	if (r->ctx != NULL || r->failed)
		return r->ctx != NULL;
	r->ctx = context_new(r, &why);
	r->failed = r->ctx == NULL;
	if (r->failed)
		log_event(r->w, SV("worker"), "dns", "there is no resolver: %s", why);
	return !r->failed;
}

/* ---- questions ------------------------------------------------------------------------------- */

static void
list_put(struct flight **list, struct flight *f)
{
	f->next = *list;
	if (f->next != NULL)
		f->next->link = &f->next;
	f->link = list;
	*list = f;
}

static void
list_take(struct flight *f)
{
	*f->link = f->next;
	if (f->next != NULL)
		f->next->link = f->link;
}

static void
list_free(struct flight **list)
{
	struct flight *f;

	while ((f = *list) != NULL) {
		list_take(f);
		mem_free(f);
	}
}

static void
land(struct flight *f, enum dns_rc rc, struct strv packet)
{
	struct dns_query *q = f->q;

	list_take(f);
	mem_free(f);
	resolver.n--;
	if (q != NULL)
		q->done(q, rc, packet);
}

/* Whoever asks is still there, or it was told of when he went. */
static void
no_answer(const struct flight *f, bool failed)
{
	if (f->q != NULL && f->asked)
		dns_silence_over(f->q->name, f->since, failed);
}

/* rcode is the library's own trouble; the DNS's stands in the packet. A forged answer is none. */
static void
answered(void *arg, int rcode, void *packet, int n, int sec, char *why_bogus, int ratelimited)
{
	(void)why_bogus, (void)ratelimited;
	if (rcode == 0 && packet != NULL && n > 0 && sec != BOGUS) {
		land(arg, DNS_OK, strv(packet, (size_t)n));
		return;
	}
	if (sec != BOGUS) /* forged, perhaps a minute ago: something had come */
		no_answer(arg, true);
	land(arg, DNS_TEMP, strv(NULL, 0));
}

/* The name is copied in there; the callback may come before the call is over. */
static void
ask(struct resolver *r, struct flight *f)
{
	list_take(f);
	f->asked = true;
	f->since = r->w->now(r->w);
	list_put(&r->flying, f);
	if (!is_ready(r) ||
	    ub_resolve_event(r->ctx, f->q->name[0] == '\0' ? "." : f->q->name, f->q->type, CLASS_IN,
		f, answered, NULL) != 0)
		land(f, DNS_TEMP, strv(NULL, 0));
}

static void
ask_all(void *arg)
{
	struct resolver *r = arg;

	r->queued = false;
	while (r->waiting != NULL)
		ask(r, r->waiting);
}

static void
real_dns(struct world *w, struct dns_query *q)
{
	struct resolver *r = &resolver;
	struct flight   *f;

	(void)w;
	if (r->n >= FLIGHTS) {
		q->done(q, DNS_TEMP, strv(NULL, 0));
		return;
	}
	f = mem_alloc(sizeof(*f));
	f->q = q;
	q->own = f;
	r->n++;
	list_put(&r->waiting, f);
	if (!r->queued)
		loop_defer(r->loop, ask_all, r);
	r->queued = true;
}

static void
real_dns_cancel(struct world *w, struct dns_query *q)
{
	struct flight *f = q->own;

	(void)w;
	no_answer(f, false);
	f->q = NULL;
	if (!f->asked)
		land(f, DNS_TEMP, strv(NULL, 0));
}

/* ---- the whole ------------------------------------------------------------------------------- */

bool
world_dns_open(struct world *w, struct loop *l, const struct resolver_conf *conf, const char **why)
{
	(void)why;
	resolver = (struct resolver){ .w = w, .loop = l, .conf = conf };
	dns_silence_begin(w, conf);
	w->dns = real_dns;
	w->dns_cancel = real_dns_cancel;
	return true;
}

void
world_dns_close(struct world *w)
{
	struct resolver *r = &resolver;

	if (w->dns != real_dns)
		return;
	w->dns = NULL;
	w->dns_cancel = NULL;
	if (r->ctx != NULL)
		ub_ctx_delete(r->ctx);
	r->ctx = NULL;
	list_free(&r->waiting);
	list_free(&r->flying);
}

#else

bool
world_dns_open(struct world *w, struct loop *l, const struct resolver_conf *conf, const char **why)
{
	(void)w, (void)l, (void)conf;
	*why = "this build has no libunbound";
	return false;
}

void
world_dns_close(struct world *w)
{
	(void)w;
}

#endif
