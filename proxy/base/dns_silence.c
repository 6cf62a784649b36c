/*
 * dns_silence.c -- `worker resolver-down' and `worker resolver-up'.
 *
 * One domain whose name servers are dead is no silence of the resolver, which waits for them as we wait for it, and
 * may say nothing for longer than anybody waits.  So the questions that were not answered must be of two domains, or
 * go on for long.
 */
#include "proxy/base/dns_silence.h"

#include <stdio.h>

#include "proxy/base/dns.h"
#include "proxy/base/log.h"
#include "proxy/base/world.h"

enum {
	WAITED_MS = 1000,   /* less says nothing: a failure from the cache, an asker who went */
	SILENT_MS = 9500,   /* DNS_TIME, and some slack of two clocks */
	LONG_MS = 60000,    /* with QUESTIONS of one domain alone */
	QUESTIONS = 8,      /* in a row */
	FEW = 4,            /* are enough where nothing was heard for SILENT_MS */
	TOLD_SERVERS = 256, /* octets */
};

static struct silence {
	struct world               *w;
	const struct resolver_conf *conf;
	char                        domain[DNS_NAME_MAX]; /* of the first question */
	bool                        many;                 /* another one was of another domain */
	unsigned                    n;     /* questions without an answer, in a row */
	uint64_t                    since; /* when the first of them was asked */
	uint64_t                    heard; /* when the resolver last said anything; 0: never */
	bool                        down;
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
	log_end(&l);
}

static void
look(uint64_t now)
{
	struct silence *s = &silence;
	uint64_t        ms = now - s->since;
	char            why[100];

	if (s->down || s->n < FEW || (s->n < QUESTIONS && (!s->many || ms < SILENT_MS)) ||
	    (!s->many && ms < LONG_MS))
		return;
	s->down = true;
	snprintf(why, sizeof(why), "no answer to the last %u questions, for %u seconds", s->n,
	    (unsigned)((ms + 500) / 1000));
	say("resolver-down", why, 0);
}

void
dns_silence_over(const char *name, uint64_t asked)
{
	struct silence *s = &silence;
	uint64_t        now = s->w->now(s->w);
	const char     *domain = domain_of(name);

	if (now - asked < WAITED_MS || s->heard > asked)
		return;
	if (s->n == 0) {
		s->since = asked;
		snprintf(s->domain, sizeof(s->domain), "%s", domain);
	}
	if (asked < s->since)
		s->since = asked;
	s->many = s->many || strcmp(s->domain, domain) != 0;
	s->n++;
	look(now);
}

void
dns_silence_heard(void)
{
	struct silence *s = &silence;
	uint64_t        now = s->w->now(s->w);

	if (s->down)
		say("resolver-up", NULL, now - s->since);
	s->heard = now;
	s->n = 0;
	s->many = s->down = false;
}

void
dns_silence_begin(struct world *w, const struct resolver_conf *conf)
{
	silence = (struct silence){ .w = w, .conf = conf };
}
