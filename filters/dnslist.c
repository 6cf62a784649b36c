/*
 * dnslist -- which lists are alive, by their test points.
 *
 * A list that has been given up answers nothing, or everything, or sends all the world to a parking page;
 * who goes on asking it refuses all mail.  The questions for the test points belong to no session: they
 * are asked without a fiber, and whoever wants to know first waits for them no longer than for the list.
 * The invariant: a question in flight is taken back before the arena that it lives in goes.
 */
#include "filters/dnslist.h"

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

enum {
	LISTS_MAX = 64,            /* of one worker; more are asked but not tested */
	AGAIN_MS = 60 * 60 * 1000, /* a list was tested */
	RETRY_MS = 5 * 60 * 1000,  /* its servers did not answer */
	POINTS = 2
};

enum { LISTED_POINT, FREE_POINT };

struct point {
	struct dns_query  q;
	struct dnslist   *of;
	bool              running;
	enum dnslist_says says;
	char              name[DNS_NAME_MAX];
};

/* On the stack of the fiber that waits; it leaves the list itself. */
struct waiter {
	struct fiber  *fiber;
	struct waiter *next;
};

struct dnslist {
	enum dnslist_kind kind;
	struct world     *w;
	const char       *dead;       /* static text */
	bool              refusing;   /* and the log knows */
	uint64_t          since, due; /* ms: when it was asked, when to ask again */
	struct waiter    *waiting;
	struct point      point[POINTS];
	char              zone[DNS_NAME_MAX];
};

struct dnslists {
	struct arena   *a;
	struct dnslist *v[LISTS_MAX];
	unsigned        n;
};

struct dnslists *
dnslists_make(struct arena *conf)
{
	struct dnslists *all = arena_alloc(conf, sizeof(*all));

	all->a = conf;
	return all;
}

enum dnslist_says
dnslist_means(enum dns_rc rc, const struct dns_answer *answer)
{
	enum dnslist_says says = DNSLIST_LISTED;

	if (rc != DNS_OK)
		return rc == DNS_NXDOMAIN || rc == DNS_NODATA ? DNSLIST_NOT : DNSLIST_UNKNOWN;
	for (unsigned i = 0; i < answer->n; i++) {
		const struct addr *v = &answer->v[i].addr;

		if (v->family != ADDR_IP4 || v->b[0] != 127)
			return DNSLIST_BROKEN;
		if (v->b[1] == 255 && v->b[2] == 255)
			says = DNSLIST_REFUSES;
	}
	return answer->n > 0 ? says : DNSLIST_NOT;
}

const char *
dnslist_dead(const struct dnslist *l)
{
	return l->dead;
}

/* ---- what becomes of it ---- */

static void
log_list(const struct dnslist *l, const char *what, const char *why)
{
	static const char *const kinds[] = { "ip4", "ip6", "names" };
	struct log_line          line;

	log_begin(&line, l->w, SV("worker"), what);
	log_z(&line, "list", l->zone);
	log_z(&line, "of", kinds[l->kind]);
	log_z(&line, "why", why);
	log_end(&line);
}

static void
set_aside(struct dnslist *l, const char *why)
{
	if (l->dead == NULL)
		log_list(l, "list-set-aside", why);
	l->dead = why;
}

static void
take_back(struct dnslist *l)
{
	if (l->dead != NULL)
		log_list(l, "list-back", NULL);
	l->dead = NULL;
	l->refusing = false;
}

void
dnslist_heard(struct dnslist *l, enum dnslist_says says)
{
	if (says == DNSLIST_BROKEN) {
		set_aside(l, "it answers outside of 127.0.0.0/8");
		l->due = l->w->now(l->w) + AGAIN_MS;
	} else if (says == DNSLIST_REFUSES && !l->refusing) {
		l->refusing = true;
		log_list(l, "list-refuses", "it answers 127.255.255.*");
	}
}

/* Both test points are answered. One that failed is enough; one without an answer leaves all as it was. */
static void
conclude(struct dnslist *l)
{
	enum dnslist_says listed = l->point[LISTED_POINT].says, free_ = l->point[FREE_POINT].says;
	bool              known = true;

	if (listed == DNSLIST_BROKEN || free_ == DNSLIST_BROKEN)
		set_aside(l, "it answers outside of 127.0.0.0/8");
	else if (free_ == DNSLIST_LISTED)
		set_aside(l, "its test point that may not be listed is");
	else if (listed == DNSLIST_REFUSES || free_ == DNSLIST_REFUSES) {
		dnslist_heard(l, DNSLIST_REFUSES);
		known = false;
	} else if (listed == DNSLIST_NOT)
		set_aside(l, "its test point that must be listed is not");
	else if (listed == DNSLIST_LISTED && free_ == DNSLIST_NOT)
		take_back(l);
	else
		known = false;
	l->due = l->w->now(l->w) + (known ? AGAIN_MS : RETRY_MS);
	for (struct waiter *x = l->waiting; x != NULL; x = x->next)
		fiber_wake(x->fiber);
}

/* ---- the test points ---- */

static bool
is_running(const struct dnslist *l)
{
	return l->point[0].running || l->point[1].running;
}

static void
point_done(struct dns_query *q, enum dns_rc rc, struct strv packet)
{
	struct point     *p = q->arg;
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer answer = { 0 };

	if (rc == DNS_OK)
		rc = dns_unpack(a, packet, q->name, DNS_A, &answer);
	p->says = dnslist_means(rc, &answer);
	p->running = false;
	arena_free(a);
	if (!is_running(p->of))
		conclude(p->of);
}

/* As arena_defer wants it; also for questions that nobody answers. A resolver that is gone has forgotten them. */
static void
cancel(void *arg)
{
	struct dnslist *l = arg;

	for (unsigned i = 0; i < POINTS; i++) {
		if (l->point[i].running && l->w->dns_cancel != NULL)
			l->w->dns_cancel(l->w, &l->point[i].q);
		l->point[i].running = false;
	}
}

static void
start(struct dnslist *l, uint64_t now)
{
	l->since = now;
	for (unsigned i = 0; i < POINTS; i++)
		l->point[i].running = true;
	for (unsigned i = 0; i < POINTS; i++) {
		struct point *p = &l->point[i];

		p->q = (struct dns_query){
			.name = p->name, .type = DNS_A, .done = point_done, .arg = p
		};
		l->w->dns(l->w, &p->q);
	}
}

static void
test_if_due(struct dnslist *l)
{
	uint64_t now = l->w->now(l->w);

	if (is_running(l)) {
		if (now < l->since + DNS_TIME)
			return;
		cancel(l);
		l->due = now + RETRY_MS;
	}
	if (now >= l->due && l->w->dns != NULL)
		start(l, now);
}

/* RFC 5782 5: 127.0.0.2 and 127.0.0.1; ::FFFF:7F00:2 and :1; TEST and INVALID. */
static bool
name_point(const struct dnslist *l, struct arena *a, unsigned i, char out[DNS_NAME_MAX])
{
	struct strv zone = strv_z(l->zone);
	struct addr addr = { ADDR_IP4, { 127, 0, 0, i == LISTED_POINT ? 2 : 1 } };

	if (l->kind == DNSLIST_NAMES)
		return dns_name(
		    arena_concat(a, i == LISTED_POINT ? SV("test.") : SV("invalid."), zone), out);
	if (l->kind == DNSLIST_IP6) {
		memcpy(addr.b + 12, addr.b, 4);
		memset(addr.b, 0, 10);
		addr.b[10] = addr.b[11] = 0xff;
		addr.family = ADDR_IP6;
	}
	return dns_name(dns_reverse(a, &addr, zone), out);
}

/* NULL: there is no room for one more, or such names cannot be. */
static struct dnslist *
add(struct dnslists *all, enum dnslist_kind kind, const char *zone)
{
	struct arena   *a;
	struct dnslist *l;
	bool            good = true;

	if (all->n == LISTS_MAX)
		return NULL;
	l = arena_alloc(all->a, sizeof(*l));
	a = arena_new(1024, 0);
	l->kind = kind;
	l->w = loop_world(fiber_loop());
	memcpy(l->zone, zone, strlen(zone) + 1);
	for (unsigned i = 0; i < POINTS; i++) {
		l->point[i].of = l;
		good = good && name_point(l, a, i, l->point[i].name);
	}
	arena_free(a);
	if (!good)
		return NULL;
	arena_defer(all->a, cancel, l);
	all->v[all->n++] = l;
	return l;
}

struct dnslist *
dnslist_find(struct dnslists *all, enum dnslist_kind kind, struct strv zone)
{
	struct dnslist *l = NULL;
	char            name[DNS_NAME_MAX];

	if (zone.n == 0 || !dns_name(zone, name) || name[0] == '\0')
		return NULL;
	for (unsigned i = 0; i < all->n && l == NULL; i++)
		if (all->v[i]->kind == kind && strcmp(all->v[i]->zone, name) == 0)
			l = all->v[i];
	if (l == NULL)
		l = add(all, kind, name);
	if (l != NULL)
		test_if_due(l);
	return l;
}

MAY_YIELD enum wait_rc
dnslist_await(struct dnslist *l, uint64_t until)
{
	struct waiter me = { .fiber = fiber_self() }, **at = &l->waiting;
	enum wait_rc  rc = WAIT_OK;

	/* Behind that test_if_due gives them up, and wakes nobody. */
	if (until > l->since + DNS_TIME)
		until = l->since + DNS_TIME;
	while (*at != NULL)
		at = &(*at)->next;
	*at = &me;
	while (rc == WAIT_OK && is_running(l))
		rc = fiber_park("the test points of a list", until);
	for (at = &l->waiting; *at != &me; at = &(*at)->next)
		;
	*at = me.next;
	return rc;
}
