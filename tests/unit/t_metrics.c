/*
 * t_metrics -- what is asked for over HTTP, what is answered, and the page itself: counters, and servers as two workers
 * tell of them.
 */
#include "config.h"
#include "proxy/base/counters.h"
#include "proxy/metrics.h"
#include "proxy/smtp/smtp.h"
#include "tests/unit/t.h"

/* ---- HTTP ------------------------------------------------------------------------------------ */

static const struct ask {
	const char      *in;
	enum metrics_ask ask;
	bool             head;
} asks[] = {
	{ "", METRICS_MORE, false },
	{ "GET /metrics HTTP/1.1\r\n", METRICS_MORE, false },
	{ "GET /metrics HTTP/1.1\r\nHost: a\r\n", METRICS_MORE, false },
	{ "GET /metrics HTTP/1.1\r\nHost: a\r\n\r", METRICS_MORE, false },
	{ "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", METRICS_PAGE, false },
	{ "GET /metrics HTTP/1.1\r\n\r\n", METRICS_PAGE, false },
	{ "GET /metrics HTTP/1.0\n\n", METRICS_PAGE, false },
	{ "GET /metrics HTTP/1.1\r\n\r\nGET /secret HTTP/1.1\r\n\r\n", METRICS_PAGE, false },
	{ "GET /metrics?x=1 HTTP/1.1\r\n\r\n", METRICS_PAGE, false },
	{ "HEAD /metrics HTTP/1.1\r\n\r\n", METRICS_PAGE, true },
	{ "HEAD / HTTP/1.1\r\n\r\n", METRICS_ELSEWHERE, true },
	{ "GET / HTTP/1.1\r\n\r\n", METRICS_ELSEWHERE, false },
	{ "GET /metrics/ HTTP/1.1\r\n\r\n", METRICS_ELSEWHERE, false },
	{ "GET /Metrics HTTP/1.1\r\n\r\n", METRICS_ELSEWHERE, false },
	{ "POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", METRICS_METHOD, false },
	{ "get /metrics HTTP/1.1\r\n\r\n", METRICS_METHOD, false },
	{ "GET /metrics HTTP/2.0\r\n\r\n", METRICS_BAD, false },
	{ "GET /metrics HTTP/1.1 \r\n\r\n", METRICS_BAD, false },
	{ "GET /metrics HTTP/1.\r\n\r\n", METRICS_BAD, false },
	{ "GET /metrics\r\n\r\n", METRICS_BAD, false },
	{ "GET  /metrics HTTP/1.1\r\n\r\n", METRICS_BAD, false },
	{ "\r\n\r\n", METRICS_BAD, false },
	{ "EHLO x\r\n\r\n", METRICS_BAD, false },
};

static void
understands_a_request(void)
{
	T_TABLE(struct ask, k, asks)
	{
		bool head = true;

		t_row = k->in;
		T_EQ_NUM(metrics_ask(strv_z(k->in), &head), k->ask);
		T_EQ_NUM(head, k->head);
	}
}

static void
does_not_wait_for_ever(void)
{
	static char long_one[METRICS_REQUEST];
	bool        head;

	memset(long_one, 'a', sizeof(long_one));
	T_EQ_NUM(metrics_ask(strv(long_one, sizeof(long_one) - 1), &head), METRICS_MORE);
	T_EQ_NUM(metrics_ask(strv(long_one, sizeof(long_one)), &head), METRICS_LONG);
}

static void
says(enum metrics_ask ask, bool head, const char *begin, const char *end)
{
	struct buf out;

	buf_init(&out, 4096);
	metrics_answer(&out, ask, head, SV("the page\n"));
	t_row = begin;
	T_CHECK(strv_starts(buf_view(&out), strv_z(begin)));
	T_CHECK(strv_ends(buf_view(&out), strv_z(end)));
	buf_fini(&out);
}

#define ENDS "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"

static void
answers(void)
{
	says(METRICS_PAGE, false, "HTTP/1.1 200 OK\r\n", "Length: 9" ENDS "the page\n");
	says(METRICS_PAGE, true, "HTTP/1.1 200 OK\r\n", "Length: 9" ENDS);
	says(METRICS_ELSEWHERE, false, "HTTP/1.1 404 ",
	    "Length: 26" ENDS "what there is is /metrics\n");
	says(METRICS_METHOD, false, "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n",
	    "this is for GET\n");
	says(METRICS_LONG, false, "HTTP/1.1 431 ", "this is too long\n");
	says(METRICS_LARGE, false, "HTTP/1.1 500 ", "the page is too large\n");
	says(METRICS_BAD, false, "HTTP/1.1 400 ", "this is not HTTP/1.1\n");
}

/* ---- the page -------------------------------------------------------------------------------- */

#define Z(text) \
	{ \
		text, sizeof(text) - 1 \
	}

static const struct server servers[] = {
	{ .pool = Z("default"), .name = Z("127.0.0.1:26") },
	{ .pool = Z("default"), .name = Z("unix:/a\"b\\c\nd") },
	{ .pool = Z("box"), .name = Z("maildir"), .kind = HOP_MAILDIR },
	{ .pool = Z("last"), .name = Z("192.0.2.1:25") },
};
static const struct pool_conf pools[] = {
	{ .name = Z("default"), .server = servers, .n_server = 2 },
	{ .name = Z("box"), .kind = HOP_MAILDIR, .server = servers + 2, .n_server = 1 },
	{ .name = Z("last"), .server = servers + 3, .n_server = 1 },
};
static const struct smtp_conf conf = { .pool = pools, .n_pool = 3 };

/* Ours in place of smtp's: what the worker of that column sees. */
static unsigned seer;
static bool     asked_maildir;

struct server_look
smtp_look_server(const struct smtp *s, unsigned pool, unsigned server)
{
	(void)s;
	if (pool == 1)
		asked_maildir = true;
	return (struct server_look){ .up = seer == 0 || pool == 2,
		.late = seer == 1 && server == 1,
		.open = 10 * (pool + server + 1),
		.in_use = seer + server };
}

unsigned
smtp_look_waiting(const struct smtp *s, unsigned pool)
{
	(void)s;
	return pool + 3;
}

static struct buf page = { .max = 1 };

static void
make_page(struct counters *c, unsigned generation)
{
	buf_fini(&page);
	buf_init(&page, 1024 * 1024);
	metrics_page(&page, c, generation, &conf);
	T_CHECK(!page.full);
}

/* Does this stand in it, as whole lines? */
static void
has(const char *lines)
{
	t_row = lines;
	T_CHECK(memmem(page.p, page.n, lines, strlen(lines)) != NULL);
}

static void
shows_what_was_counted(void)
{
	struct counters *c = counters_new(3);

	counters_add(c, 0, COUNTER_SESSIONS, 5);
	counters_add(c, 2, COUNTER_SESSIONS, 6);
	counters_add(c, 0, COUNTER_SESSIONS_OPEN, -1);
	counters_add(c, 1, COUNTER_DEFERRED, 3);
	counters_add(c, 1, COUNTER_UPSTREAM_5XX, 4);
	counters_add(c, 0, COUNTER_MS_100, 2);
	counters_add(c, 1, COUNTER_MS_10000, 1);
	counters_add(c, 1, COUNTER_MS_MORE, 1);
	counters_add(c, 1, COUNTER_MS_SUM, 61007);
	counters_master_set(c, MASTER_STARTED, 1763900000);
	counters_master_set(c, MASTER_LOAD_GOOD, 1);
	make_page(c, 1);
	has("# HELP postern_info the program\n# TYPE postern_info gauge\npostern_info{version=\"" VERSION
	    "\"} 1\n");
	has("\npostern_start_time_seconds 1763900000\n");
	has("\npostern_load_good 1\n");
	has("\n# TYPE postern_sessions_total counter\npostern_sessions_total 11\n");
	has("\n# TYPE postern_sessions_open gauge\npostern_sessions_open 0\n");
	has("\n# TYPE postern_messages_total counter\npostern_messages_total{outcome=\"accepted\"} 0\n"
	    "postern_messages_total{outcome=\"quarantined\"} 0\n"
	    "postern_messages_total{outcome=\"discarded\"} 0\n"
	    "postern_messages_total{outcome=\"deferred\"} 3\n");
	has("\npostern_refusals_total{by=\"upstream\",class=\"5xx\"} 4\n");
	has("\n# TYPE postern_message_seconds histogram\n"
	    "postern_message_seconds_bucket{le=\"0.1\"} 2\n"
	    "postern_message_seconds_bucket{le=\"1\"} 2\n"
	    "postern_message_seconds_bucket{le=\"10\"} 3\n"
	    "postern_message_seconds_bucket{le=\"60\"} 3\n"
	    "postern_message_seconds_bucket{le=\"+Inf\"} 4\n"
	    "postern_message_seconds_sum 61.007\npostern_message_seconds_count 4\n# HELP ");
	has("\npostern_workers_serving 0\n");
	/* Nobody has told of servers: that is not to say that they are down. */
	T_CHECK(memmem(page.p, page.n, "\npostern_server_", 16) == NULL);
	T_CHECK(memmem(page.p, page.n, "\npostern_pool_", 14) == NULL);
	counters_free(c);
}

static void
shows_servers(void)
{
	struct counters *c = counters_new(3);

	for (seer = 0; seer < 2; seer++)
		metrics_tell(c, seer, 7, &conf, NULL);
	metrics_tell(c, 2, 6, &conf, NULL);
	T_CHECK(!asked_maildir);
	make_page(c, 7);
	has("\npostern_workers_serving 2\n");
	has("# TYPE postern_pool_waiting gauge\npostern_pool_waiting{pool=\"default\"} 6\n"
	    "postern_pool_waiting{pool=\"last\"} 10\n#");
	has("# TYPE postern_server_up gauge\n"
	    "postern_server_up{pool=\"default\",server=\"127.0.0.1:26\"} 0.500\n"
	    "postern_server_up{pool=\"default\",server=\"unix:/a\\\"b\\\\cd\"} 0.500\n"
	    "postern_server_up{pool=\"last\",server=\"192.0.2.1:25\"} 1\n#");
	has("postern_server_late{pool=\"default\",server=\"127.0.0.1:26\"} 0\n"
	    "postern_server_late{pool=\"default\",server=\"unix:/a\\\"b\\\\cd\"} 0.500\n");
	has("postern_server_connections{pool=\"default\",server=\"127.0.0.1:26\"} 20\n"
	    "postern_server_connections{pool=\"default\",server=\"unix:/a\\\"b\\\\cd\"} 40\n"
	    "postern_server_connections{pool=\"last\",server=\"192.0.2.1:25\"} 60\n");
	has("postern_server_connections_in_use{pool=\"last\",server=\"192.0.2.1:25\"} 1\n");
	counters_free(c);
}

/* More servers than there are gauges: the first are shown, and nothing is written elsewhere. */
static void
leaves_out_what_is_too_much(void)
{
	enum { MANY = 300 };
	static struct server    server[MANY];
	static struct pool_conf pool[MANY];
	struct smtp_conf        many = { .pool = pool, .n_pool = MANY };
	struct counters        *c = counters_new(1);

	for (unsigned i = 0; i < MANY; i++) {
		server[i] = (struct server){ .pool = SV("p"), .name = SV("s") };
		pool[i] =
		    (struct pool_conf){ .name = SV("p"), .server = &server[i], .n_server = 1 };
	}
	seer = 0;
	metrics_tell(c, 0, 1, &many, NULL);
	buf_fini(&page);
	buf_init(&page, 1024 * 1024);
	metrics_page(&page, c, 1, &many);
	T_CHECK(!page.full);
	seer = 0;
	for (struct strv rest = buf_view(&page); rest.n > 0;)
		seer += strv_starts(strv_cut(&rest, '\n'), SV("postern_server_up{"));
	T_EQ_NUM(seer, COUNTERS_GAUGES / 5);
	counters_free(c);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(understands_a_request);
	T_RUN(does_not_wait_for_ever);
	T_RUN(answers);
	T_RUN(shows_what_was_counted);
	T_RUN(shows_servers);
	T_RUN(leaves_out_what_is_too_much);
	buf_fini(&page);
	return t_end();
}
