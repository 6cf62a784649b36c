/*
 * dns_silence.c -- `worker resolver-down' and `worker resolver-up'.
 *
 * One domain whose name servers are dead is no silence of the resolver, which waits for them as we wait for it, and
 * may say nothing for longer than anybody waits.  So the questions that were not answered must be of two domains, or
 * go on for long.
 *
 * Where there is no way to the resolver they fail at once, as those do that the cache has failures of: for seconds, so
 * they count by themselves, and for longer.
 */
#include "proxy/base/dns_silence.h"

#include <stdio.h>

#include "proxy/base/dns.h"
#include "proxy/base/log.h"
#include "proxy/base/world.h"

enum {
	WAITED_MS =
	    1000, /* less is at once: a failure from the cache, no way out, an asker who went */
	SILENT_MS = 9500,   /* DNS_TIME, and some slack of two clocks */
	LONG_MS = 60000,    /* with QUESTIONS of one domain alone */
	AGAIN_MS = 60000,   /* at the earliest it is told again */
	QUESTIONS = 8,      /* in a row */
	FEW = 4,            /* are enough where nothing was heard for SILENT_MS */
	TOLD_SERVERS = 256, /* octets */
};

struct run {                           /* questions without an answer, in a row */
	char     domain[DNS_NAME_MAX]; /* of the first */
	bool     many;                 /* another one was of another domain */
	unsigned n;
	uint64_t since; /* when the first of them was asked */
};

static struct silence {
	struct world               *w;
	const struct resolver_conf *conf;
	struct run                  waited, at_once;
	uint64_t                    heard; /* when the resolver last said anything; 0: never */
	uint64_t                    since; /* of the run by which it is down */
	uint64_t                    told;  /* when that was said last; 0: never */
	bool                        down;
	bool                        is_worker;
	unsigned                    worker; /* its place */
} silence;

/* The last two labels; of reverse names two more, which are about a network. */
static const char *
domain_of(const char *name)
{
	size_t      n = strlen(name);
	unsigned    labels = n > 5 && strcmp(name + n - 5, ".arpa") == 0 ? 4 : 2;
	const char *p = name + n;

	while (p > name && !(p[-1] == '.' && --labels == 0))
		p--;
	return p;
}

static struct strv
servers(const struct resolver_conf *conf, char *text, size_t room)
{
	char   at[ENDPOINT_TEXT];
	size_t n = 0;

	if (conf->n == 0)
		return SV("/etc/resolv.conf");
	for (unsigned i = 0; i < conf->n; i++) {
		struct strv one = endpoint_print(&conf->forward[i], at);

		if (n + one.n + 1 > room)
			break;
		if (i > 0)
			text[n++] = ',';
		memcpy(text + n, one.p, one.n);
		n += one.n;
	}
	return strv(text, n);
}

static void
say(const char *what, const char *why, uint64_t ms)
{
	char            text[TOLD_SERVERS];
	struct log_line l;

	log_begin(&l, silence.w, SV("worker"), what);
	log_strv(&l, "server", servers(silence.conf, text, sizeof(text)));
	log_z(&l, "why", why);
	if (why == NULL)
		log_number(&l, "ms", ms);
	if (silence.is_worker)
		log_number(&l, "worker", silence.worker);
	log_end(&l);
}

static bool
is_silence(const struct run *r, uint64_t ms)
{
	if (r == &silence.at_once)
		return r->n >= QUESTIONS && r->many && ms >= SILENT_MS;
	return r->n >= FEW && (r->n >= QUESTIONS || (r->many && ms >= SILENT_MS)) &&
	    (r->many || ms >= LONG_MS);
}

static void
look(const struct run *r, uint64_t now)
{
	uint64_t ms = now - r->since;
	char     why[100];

	if (silence.down || !is_silence(r, ms) ||
	    (silence.told != 0 && now - silence.told < AGAIN_MS))
		return;
	silence.told = now;
	silence.down = true;
	silence.since = r->since;
	snprintf(why, sizeof(why), "no answer to the last %u questions, for %u seconds", r->n,
	    (unsigned)((ms + 500) / 1000));
	say("resolver-down", why, 0);
}

static void
count(struct run *r, const char *domain, uint64_t asked)
{
	if (r->n == 0)
		snprintf(r->domain, sizeof(r->domain), "%s", domain);
	if (r->n == 0 || asked < r->since)
		r->since = asked;
	r->many = r->many || strcmp(r->domain, domain) != 0;
	r->n++;
}

void
dns_silence_over(const char *name, uint64_t asked, bool failed)
{
	struct silence *s = &silence;
	uint64_t        now = s->w->now(s->w);
	bool            at_once = now - asked < WAITED_MS;
	struct run     *r = at_once ? &s->at_once : &s->waited;

	if ((at_once && !failed) || s->heard > asked)
		return;
	count(r, domain_of(name), asked);
	look(r, now);
}

void
dns_silence_heard(void)
{
	struct silence *s = &silence;
	uint64_t        now = s->w->now(s->w);

	if (s->down)
		say("resolver-up", NULL, now - s->since);
	s->heard = now;
	s->waited.n = s->at_once.n = 0;
	s->waited.many = s->at_once.many = s->down = false;
}

void
dns_silence_begin(struct world *w, const struct resolver_conf *conf)
{
	silence = (struct silence){ .w = w, .conf = conf };
}

void
dns_silence_worker(unsigned worker)
{
	silence.is_worker = true;
	silence.worker = worker;
}
