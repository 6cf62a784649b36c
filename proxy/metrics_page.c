/*
 * metrics_page -- counters and gauges as Prometheus reads them, and how a worker tells of its servers.
 *
 * Both walk through the same configuration in the same order, which is what a gauge's number means: of each pool but
 * Maildirs how many wait, then of each of its servers four.  What is beyond COUNTERS_GAUGES is left out, and all of them
 * where no worker tells: 0 would say that all servers are down.
 */
#include "config.h"
#include "proxy/base/counters.h"
#include "proxy/metrics.h"
#include "proxy/smtp/smtp.h"

/* ---- counters -------------------------------------------------------------------------------- */

struct row {
	const char *family, *labels, *help;
};

static const struct row rows[] = {
#define X(name, family, labels, help) [COUNTER_##name] = { family, labels, help },
	COUNTERS(X)
#undef X
};

static void
page_head(struct buf *out, struct strv family, const char *type, const char *help)
{
	buf_printf(out, "# HELP postern_%.*s %s\n# TYPE postern_%.*s %s\n", (int)family.n, family.p,
	    help, (int)family.n, family.p, type);
}

static void
page_number(struct buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
	page_head(out, strv_z(name), type, help);
	buf_printf(out, "postern_%s %llu\n", name, (unsigned long long)value);
}

static void
page_sample(struct buf *out, const struct row *r, uint64_t value)
{
	buf_printf(out, "postern_%s%s%s%s %llu\n", r->family, r->labels[0] == '\0' ? "" : "{",
	    r->labels, r->labels[0] == '\0' ? "" : "}", (unsigned long long)value);
}

/* A bucket has all that is not above its end: those below count in it, too. */
static void
page_histogram(struct buf *out, const struct counters *c)
{
	const struct row *first = &rows[COUNTER_MS_100];
	uint64_t          n = 0, ms = counters_sum(c, COUNTER_MS_SUM);

	page_head(out, SV("message_seconds"), "histogram", first->help);
	for (enum counter k = COUNTER_MS_100; k <= COUNTER_MS_MORE; k++) {
		n += counters_sum(c, k);
		page_sample(out, &rows[k], n);
	}
	buf_printf(out,
	    "postern_message_seconds_sum %llu.%03u\npostern_message_seconds_count %llu\n",
	    (unsigned long long)(ms / 1000), (unsigned)(ms % 1000), (unsigned long long)n);
}

/* A gauge that is a difference of what two processes count can be below zero for a moment. */
static uint64_t
not_below_zero(uint64_t n)
{
	return n > UINT64_MAX / 2 ? 0 : n;
}

static void
page_counters(struct buf *out, const struct counters *c)
{
	for (enum counter k = 0; k < COUNTER_MAX; k++) {
		struct strv family = strv_z(rows[k].family);

		if (k == COUNTER_MS_100)
			page_histogram(out, c);
		if (k >= COUNTER_MS_100 && k <= COUNTER_MS_SUM)
			continue;
		if (rows[k].help[0] != '\0')
			page_head(out, family,
			    strv_ends(family, SV("_total")) ? "counter" : "gauge", rows[k].help);
		page_sample(out, &rows[k], not_below_zero(counters_sum(c, k)));
	}
}

static void
page_master(struct buf *out, const struct counters *c)
{
	page_head(out, SV("info"), "gauge", "the program");
	buf_printf(out, "postern_info{version=\"%s\"} 1\n", VERSION);
	page_number(out, "start_time_seconds", "gauge", "when the master began, since 1970",
	    counters_master(c, MASTER_STARTED));
	page_number(out, "load_time_seconds", "gauge",
	    "when a configuration was taken over last, since 1970",
	    counters_master(c, MASTER_LOADED));
	page_number(out, "load_good", "gauge", "0 where the last reload failed",
	    counters_master(c, MASTER_LOAD_GOOD));
	page_number(out, "workers", "gauge", "workers that there should be",
	    counters_master(c, MASTER_WORKERS));
	page_number(out, "worker_deaths_total", "counter", "workers that died",
	    counters_master(c, MASTER_DEATHS));
}

/* ---- servers --------------------------------------------------------------------------------- */

enum { GAUGE_UP, GAUGE_LATE, GAUGE_OPEN, GAUGE_IN_USE, GAUGES };

static const struct {
	const char *family, *help;
	bool        part; /* of the workers */
} gauges[GAUGES] = {
	[GAUGE_UP] = { "server_up", "part of the workers that find it up", true },
	[GAUGE_LATE] = { "server_late", "part of the workers that put it behind others", true },
	[GAUGE_OPEN] = { "server_connections", "connections that are open", false },
	[GAUGE_IN_USE] = { "server_connections_in_use", "connections that sessions have", false },
};

/* Its gauge, the first of its servers is behind it; false: there is no room for all of them. */
static bool
next_pool(const struct pool_conf *p, unsigned *at, unsigned *first)
{
	*first = *at;
	if (p->kind == HOP_MAILDIR || *at + 1 + p->n_server * GAUGES > COUNTERS_GAUGES)
		return false;
	*at += 1 + p->n_server * GAUGES;
	return true;
}

/* A label's value: octets that would end it, and those of control, which are in no address, are escaped or left out. */
static void
page_label(struct buf *out, const char *name, struct strv value)
{
	buf_printf(out, "%s=\"", name);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_addc(out, '\\');
		if ((unsigned char)value.p[i] >= ' ')
			buf_addc(out, value.p[i]);
	}
	buf_addc(out, '"');
}

/* 1, 0 or what is between, in thousandths. */
static void
page_part(struct buf *out, uint64_t n, unsigned of)
{
	unsigned parts = of == 0 || n > of ? 0 : (unsigned)(n * 1000 / of);

	if (parts % 1000 == 0)
		buf_printf(out, "%u\n", parts / 1000);
	else
		buf_printf(out, "0.%03u\n", parts);
}

static void
page_server(struct buf *out, const struct counters *c, unsigned generation, const struct server *sv,
    unsigned first, unsigned k)
{
	unsigned places;
	uint64_t sum = counters_gauge_sum(c, generation, first + k, &places);

	if (places == 0)
		return;
	buf_printf(out, "postern_%s{", gauges[k].family);
	page_label(out, "pool", sv->pool);
	buf_addc(out, ',');
	page_label(out, "server", sv->name);
	buf_add(out, SV("} "));
	if (gauges[k].part)
		page_part(out, sum, places);
	else
		buf_printf(out, "%llu\n", (unsigned long long)sum);
}

static void
page_servers(
    struct buf *out, const struct counters *c, unsigned generation, const struct smtp_conf *conf)
{
	unsigned at, first;

	for (unsigned k = 0; k < GAUGES; k++) {
		page_head(out, strv_z(gauges[k].family), "gauge", gauges[k].help);
		at = 0;
		for (unsigned i = 0; i < conf->n_pool; i++) {
			const struct pool_conf *p = &conf->pool[i];

			if (!next_pool(p, &at, &first))
				continue;
			for (unsigned s = 0; s < p->n_server; s++)
				page_server(
				    out, c, generation, &p->server[s], first + 1 + s * GAUGES, k);
		}
	}
}

static void
page_pools(
    struct buf *out, const struct counters *c, unsigned generation, const struct smtp_conf *conf)
{
	unsigned at = 0, first, places;
	uint64_t sum;

	page_head(out, SV("pool_waiting"), "gauge", "sessions that wait for a place at a server");
	for (unsigned i = 0; i < conf->n_pool; i++) {
		if (!next_pool(&conf->pool[i], &at, &first))
			continue;
		sum = counters_gauge_sum(c, generation, first, &places);
		if (places == 0)
			continue;
		buf_add(out, SV("postern_pool_waiting{"));
		page_label(out, "pool", conf->pool[i].name);
		buf_printf(out, "} %llu\n", (unsigned long long)sum);
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

void
metrics_page(
    struct buf *out, const struct counters *c, unsigned generation, const struct smtp_conf *conf)
{
	unsigned places;

	page_master(out, c);
	(void)counters_gauge_sum(c, generation, 0, &places);
	page_number(out, "workers_serving", "gauge", "workers of this configuration", places);
	page_counters(out, c);
	page_pools(out, c, generation, conf);
	page_servers(out, c, generation, conf);
}

void
metrics_tell(struct counters *c, unsigned place, unsigned generation, const struct smtp_conf *conf,
    const struct smtp *smtp)
{
	unsigned at = 0, first;

	/* Where there are Maildirs alone the worker is there all the same. */
	counters_gauge(c, place, generation, COUNTERS_GAUGES - 1, 0);
	for (unsigned i = 0; i < conf->n_pool; i++) {
		if (!next_pool(&conf->pool[i], &at, &first))
			continue;
		counters_gauge(c, place, generation, first, smtp_look_waiting(smtp, i));
		for (unsigned s = 0; s < conf->pool[i].n_server; s++) {
			struct server_look look = smtp_look_server(smtp, i, s);
			unsigned           g = first + 1 + s * GAUGES;

			counters_gauge(c, place, generation, g + GAUGE_UP, look.up);
			counters_gauge(c, place, generation, g + GAUGE_LATE, look.late);
			counters_gauge(c, place, generation, g + GAUGE_OPEN, look.open);
			counters_gauge(c, place, generation, g + GAUGE_IN_USE, look.in_use);
		}
	}
}
