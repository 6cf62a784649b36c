/*
 * policy -- what two hundred checks cost a message: all its stages through the judge, no DNS, no socket.
 *
 *     make bench-policy        or  obj/tests/bench/policy [MESSAGES]
 *
 * Every check is looked at and none fires, which is what most mail meets.  The same with the relay gate
 * alone is printed beside it.  CPU time of this process.
 */
#include <time.h>

#include "filters/auth.h"
#include "filters/registry.h"
#include "proxy/judge.h"
#include "tests/policy/canned.h"
#include "tests/unit/t.h"

#define CHECKS   200
#define ROUNDS   7
#define TEXT_MAX 65536

static char     text[TEXT_MAX];
static unsigned text_n, messages = 20000;

__attribute__((format(printf, 1, 2))) static void
put(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_n += (unsigned)vsnprintf(text + text_n, TEXT_MAX - text_n, fmt, ap);
	va_end(ap);
	if (text_n >= TEXT_MAX)
		abort();
}

/* What people write, of every kind that needs no look-up. */
static const char *const kinds[] = {
	"client in net%u",
	"helo is not fqdn and not client in net%u",
	"sender.domain in dom%u",
	"sender in addr%u",
	"sender.domain in dom%u and not authenticated and size > 1M",
	"helo matches \"^(dsl|dyn|pool)[-.]%u\"",
	"tls.version is absent and sender.domain is bank%u.example",
	"helo is host%u.example or helo in dom0",
	"rcpt in addr%u and not authenticated",
	"rcpt.domain in dom%u and sender is null",
	"rcpt.local is info, sales, office%u and size > 10M",
	"rcpt.domain is closed%u.ours.example",
	"header(\"Subject\") matches \"cheap (pills|loans) %u\"",
	"from.domain in dom%u",
	"any rcpt (rcpt.domain is list%u.ours.example) and message.size > 1M",
	"header(\"List-Id\") is absent and rcpt.count > 1%u00",
};

static void
write_lists(void)
{
	for (unsigned i = 0; i < 10; i++) {
		put("networks net%u { 203.0.%u.0/24, 2001:db8:%u::/48, 192.0.2.%u }\n", i, i, i, i);
		put("domains dom%u {", i);
		for (unsigned k = 0; k < 20; k++)
			put(" spam%u-%u.example", i, k);
		put(" }\naddresses addr%u { a%u@b.example, @c%u.example }\n", i, i, i);
	}
}

static struct policy *
load(struct arena *a, unsigned checks)
{
	struct canned_file     file = { "bench.conf", text, { NULL, 0 } };
	struct canned_files    files = { .v = &file, .n = 1 };
	struct world           w = canned_world(&files);
	struct diags           d = { .a = a };
	struct policy         *p;
	unsigned               n_facts;
	const struct fact_def *facts = registry_facts(&n_facts);

	text_n = 0;
	put("domains ours { ours.example, .ours.example }\nrelay { allow to ours }\n");
	write_lists();
	for (unsigned i = 0; i < checks; i++) {
		put("check c%u { when ", i);
		text_n += (unsigned)snprintf(text + text_n, TEXT_MAX - text_n,
		    kinds[i % T_COUNT(kinds)], i / T_COUNT(kinds) % 10);
		put("  reject 550 5.7.1 \"no %%{client}\" }\n");
	}
	p = policy_load(a, &w, conf_parse(a, &w, "bench.conf", &d), facts, n_facts, &canned_names,
	    &canned_key, &d);
	for (unsigned i = 0; p == NULL && i < d.n; i++)
		printf("%.*s\n", (int)d.v[i].text.n, d.v[i].text.p);
	if (p == NULL)
		exit(1);
	return p;
}

static void
path_of(struct arena *a, const char *z, struct path *out)
{
	const char *why;

	if (path_parse_plain(a, strv_z(z), out, &why) != PATH_OK)
		abort();
}

static void
must(enum wait_rc rc, const struct verdict *v)
{
	if (rc == WAIT_OK && !verdict_final(v))
		return;
	printf("a check fired: %.*s\n", (int)v->by.n, v->by.p);
	exit(1);
}

static void
transaction(struct hearing *h, struct arena *a)
{
	static const char   head[] = "Subject: lunch\r\nFrom: Jane <jane@out.example>\r\n"
				     "To: joe@ours.example\r\nMessage-Id: <1@out.example>\r\n\r\n";
	struct transaction *tx = judge_begin(h, a);
	struct verdict      v;
	struct strv         body;

	path_of(a, "jane@out.example", &tx->env.from);
	tx->env.params.size = 4096;
	must(judge_stage(h, STAGE_MAIL, &v), &v);
	path_of(a, "joe@ours.example", &envelope_add(a, &tx->env)->to);
	must(judge_rcpt(h, 0, &v), &v);
	tx->env.rcpt[0].upstream_took = true;
	must(judge_stage(h, STAGE_DATA, &v), &v);
	message_begin(&tx->msg, a, NULL, 65536);
	message_feed(&tx->msg, strv(head, sizeof(head) - 1), &body);
	message_end(&tx->msg, &body);
	tx->msg.complete = true;
	judge_headers(h);
	must(judge_message(h, &v), &v);
	judge_end(h);
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static const struct auth_conf nothing = AUTH_CONF_DEFAULT;

/* us a message: one session with one message each, the best of some rounds. */
static double
measure(struct arena *conf, unsigned checks)
{
	struct judge *j = judge_new(
	    conf, &(struct judge_conf){ load(conf, checks), &nothing, NULL, 0, false });
	struct arena  *session = arena_new(4096, 0), *tx = arena_new(8192, 0);
	struct client  c = { .listener = SV("mx"), .helo = SV("mx.out.example"), .esmtp = true };
	struct verdict v;
	double         best = 0, took;

	addr_parse(SV("198.51.100.9"), &c.addr.addr);
	for (unsigned round = 0; round < ROUNDS; round++) {
		double began = now();

		for (unsigned i = 0; i < messages; i++) {
			struct hearing *h = judge_open(j, session, &c);

			must(judge_stage(h, STAGE_CONNECT, &v), &v);
			must(judge_stage(h, STAGE_HELO, &v), &v);
			transaction(h, tx);
			judge_close(h);
			arena_reset(session);
			arena_reset(tx);
		}
		took = (now() - began) / messages;
		best = round == 0 || took < best ? took : best;
	}
	arena_free(session);
	arena_free(tx);
	return best;
}

int
main(int argc, char **argv)
{
	struct arena *conf = arena_new(65536, 0);
	double        bare, checks;

	if (argc > 1)
		messages = (unsigned)strtoul(argv[1], NULL, 10);
	messages = messages > 0 ? messages : 1;
	bare = measure(conf, 0);
	checks = measure(conf, CHECKS);
	printf(
	    "%u checks: %.1f us a message; the relay gate alone: %.1f us\n", CHECKS, checks, bare);
	arena_free(conf);
	return 0;
}
