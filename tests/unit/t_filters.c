/* The registry and the facts of client and envelope: values, absence, stages. */
#include "config.h"

#include "filters/registry.h"

#include "proxy/base/arena.h"
#include "proxy/smtp/parse.h"
#include "tests/unit/t.h"

static void
numbers_all_facts(void)
{
	unsigned               n, again, filters = 0;
	const struct fact_def *d = registry_facts(&n);

	T_CHECK(n > 10 && d[n].name == NULL);
	T_CHECK(registry_facts(&again) == d && again == n);
	while (registry_filters[filters] != NULL)
		filters++;
	for (unsigned i = 0; i < n; i++) {
		t_row = d[i].name;
		T_EQ_NUM(fact_find(d, n, strv_z(d[i].name)), i); /* so no name comes twice */
		T_CHECK(registry_owner(i) < filters);
		T_CHECK(d[i].about != NULL && strlen(d[i].about) > 5);
		T_CHECK(stage_in_policy(d[i].first));
		T_CHECK((d[i].type == FACT_WORD) == (d[i].words != NULL));
		T_CHECK(!d[i].per_rcpt || d[i].first >= STAGE_RCPT);
		T_CHECK(!d[i].per_session || d[i].first == STAGE_CONNECT);
		T_CHECK(d[i].args == NULL || strspn(d[i].args, "sfn") == strlen(d[i].args));
		T_CHECK((d[i].cost == COST_TEXT) ==
		    (d[i].first == STAGE_MESSAGE || d[i].settled == STAGE_MESSAGE));
	}
}

/* The names are what configurations are written against, the stages what may not change any more there. */
/* clang-format off */
static const struct {
	const char *name;
	enum fact_type type;
	enum stage first;
	bool per_session, per_rcpt;
} manual[] = {
	{ "client", FACT_ADDR, STAGE_CONNECT, true, false },
	{ "client.ip", FACT_ADDR, STAGE_CONNECT, true, false },
	{ "client.port", FACT_NUMBER, STAGE_CONNECT, true, false },
	{ "listener", FACT_TEXT, STAGE_CONNECT, true, false },
	{ "tls.version", FACT_TEXT, STAGE_MAIL, false, false },
	{ "tls.cipher", FACT_TEXT, STAGE_MAIL, false, false },
	{ "tls.sni", FACT_TEXT, STAGE_MAIL, false, false },
	{ "tls.client-cert", FACT_TEXT, STAGE_MAIL, false, false },
	{ "helo", FACT_TEXT, STAGE_MAIL, false, false },
	{ "auth.user", FACT_TEXT, STAGE_MAIL, false, false },
	{ "auth.author", FACT_TEXT, STAGE_MAIL, false, false },
	{ "auth.mechanism", FACT_TEXT, STAGE_MAIL, false, false },
	{ "authenticated", FACT_BOOL, STAGE_MAIL, false, false },
	{ "sender", FACT_PATH, STAGE_MAIL, false, false },
	{ "sender.local", FACT_TEXT, STAGE_MAIL, false, false },
	{ "sender.domain", FACT_TEXT, STAGE_MAIL, false, false },
	{ "size", FACT_NUMBER, STAGE_MAIL, false, false },
	{ "rcpt", FACT_PATH, STAGE_RCPT, false, true },
	{ "rcpt.local", FACT_TEXT, STAGE_RCPT, false, true },
	{ "rcpt.domain", FACT_TEXT, STAGE_RCPT, false, true },
	{ "rcpt.count", FACT_NUMBER, STAGE_DATA, false, false },
	{ "client.name", FACT_TEXT, STAGE_CONNECT, true, false },
	{ "client.rdns", FACT_TEXT, STAGE_CONNECT, true, false },
	{ "early-talker", FACT_BOOL, STAGE_CONNECT, true, false },
	{ "resolves", FACT_BOOL, STAGE_CONNECT, false, false },
	{ "resolves.host", FACT_BOOL, STAGE_CONNECT, false, false },
	{ "mx", FACT_BOOL, STAGE_CONNECT, false, false },
	{ "dnsbl", FACT_ADDRS, STAGE_CONNECT, true, false },
	{ "dnswl", FACT_ADDRS, STAGE_CONNECT, true, false },
	{ "rhsbl", FACT_ADDRS, STAGE_CONNECT, false, false },
	{ "dnsbl.text", FACT_TEXT, STAGE_CONNECT, true, false },
	{ "dnsbl.text.of", FACT_TEXT, STAGE_CONNECT, true, false },
	{ "rhsbl.text.of", FACT_TEXT, STAGE_CONNECT, false, false },
	{ "message.size", FACT_NUMBER, STAGE_MESSAGE, false, false },
	{ "header", FACT_TEXTS, STAGE_MESSAGE, false, false },
	{ "from.address", FACT_TEXT, STAGE_MESSAGE, false, false },
	{ "from.domain", FACT_TEXT, STAGE_MESSAGE, false, false },
	{ "received", FACT_NUMBER, STAGE_MESSAGE, false, false },
	{ "txt", FACT_TEXTS, STAGE_MAIL, false, false },
	{ "spf", FACT_WORD, STAGE_MAIL, false, false },
	{ "spf.helo", FACT_WORD, STAGE_MAIL, false, false },
	{ "spf.domain", FACT_TEXT, STAGE_MAIL, false, false },
	{ "spf.explanation", FACT_TEXT, STAGE_MAIL, false, false },
	{ "spf.result", FACT_TEXTS, STAGE_MAIL, false, false },
#if HAVE_OPENDKIM
	{ "dkim", FACT_WORD, STAGE_MESSAGE, false, false },
	{ "dkim.partial", FACT_BOOL, STAGE_MESSAGE, false, false },
#endif
	{ "dkim.signatures", FACT_TEXTS, STAGE_MESSAGE, false, false },
	{ "dkim.domains", FACT_TEXTS, STAGE_MESSAGE, false, false },
	{ "dkim.result", FACT_TEXTS, STAGE_MESSAGE, false, false },
	{ "arc", FACT_WORD, STAGE_MESSAGE, false, false },
	{ "arc.sealer", FACT_TEXT, STAGE_MESSAGE, false, false },
	{ "arc.oldest-pass", FACT_NUMBER, STAGE_MESSAGE, false, false },
	{ "arc.result", FACT_TEXTS, STAGE_MESSAGE, false, false },
	{ "dmarc", FACT_WORD, STAGE_MESSAGE, false, false },
	{ "dmarc.policy", FACT_WORD, STAGE_MESSAGE, false, false },
	{ "dmarc.domain", FACT_TEXT, STAGE_MESSAGE, false, false },
	{ "dmarc.alignment", FACT_WORD, STAGE_MESSAGE, false, false },
	{ "dmarc.result", FACT_TEXTS, STAGE_MESSAGE, false, false },
	{ "milter", FACT_WORD, STAGE_CONNECT, false, false },
};
/* clang-format on */

static void
has_the_facts_of_the_manual(void)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);

	T_EQ_NUM(n, T_COUNT(manual));
	for (size_t i = 0; i < T_COUNT(manual); i++) {
		int at = fact_find(d, n, strv_z(manual[i].name));

		t_row = manual[i].name;
		if (!T_CHECK(at >= 0))
			continue;
		T_EQ_NUM(d[at].type, manual[i].type);
		T_EQ_NUM(d[at].first, manual[i].first);
		T_EQ_NUM(d[at].per_session, manual[i].per_session);
		T_EQ_NUM(d[at].per_rcpt, manual[i].per_rcpt);
	}
}

struct stand {
	struct arena   *a;
	struct client   client;
	struct envelope env;
	struct mail     mail;
};

static void
begin(struct stand *s)
{
	*s = (struct stand){ .a = arena_new(4096, 0) };
	s->client.addr = (struct endpoint){ .addr = { ADDR_IP4, { 192, 0, 2, 1 } }, .port = 4711 };
	s->client.listener = SV("submission");
	s->client.helo = SV("mx.example");
	s->mail = (struct mail){ .client = &s->client, .env = &s->env };
}

static void
say(struct stand *s, const char *mail, const char *const *rcpts, unsigned n)
{
	struct fault f;

	T_CHECK(parse_mail(s->a, strv_z(mail), UINT32_MAX, &s->env.from, &s->env.params, &f));
	for (unsigned i = 0; i < n; i++) {
		struct rcpt *r = envelope_add(s->a, &s->env);

		T_CHECK(parse_rcpt(s->a, strv_z(rcpts[i]), UINT32_MAX, true, &r->to, &r->params,
		    &r->n_params, &f));
	}
}

/* The value as text, "-" where it is absent, "!" where the filter would not say. */
static struct strv
value(struct stand *s, const char *name, unsigned rcpt)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	int                    at = fact_find(d, n, strv_z(name));
	const struct filter   *owner = registry_filters[registry_owner((unsigned)at)];
	struct fact            f = {
			   .def = &d[at], .number = (unsigned)at, .rcpt = rcpt, .state = FACT_RUNNING
	};
	void *self = owner->open(s->a, NULL, &s->client);

	T_CHECK(self != NULL);
	if (owner->ask(self, &f, &s->mail) != FILTER_OK)
		return SV("!");
	T_EQ_NUM(f.state, FACT_KNOWN);
	T_CHECK(f.source.n > 0);
	return fact_absent(&f) ? SV("-") : arena_dup(s->a, fact_print(s->a, &f));
}

static void
tells_of_the_client(void)
{
	struct stand s;

	begin(&s);
	s.mail.env = NULL; /* asked before any transaction */
	T_EQ_TEXT(value(&s, "client", 0), "192.0.2.1");
	T_EQ_TEXT(value(&s, "client.ip", 0), "192.0.2.1");
	T_EQ_TEXT(value(&s, "client.port", 0), "4711");
	T_EQ_TEXT(value(&s, "listener", 0), "submission");
	T_EQ_TEXT(value(&s, "helo", 0), "mx.example");
	T_EQ_TEXT(value(&s, "authenticated", 0), "no");
	T_EQ_TEXT(value(&s, "auth.user", 0), "-");
	T_EQ_TEXT(value(&s, "auth.author", 0), "-");
	T_EQ_TEXT(value(&s, "auth.mechanism", 0), "-");
	T_EQ_TEXT(value(&s, "tls.version", 0), "-");
	T_EQ_TEXT(value(&s, "tls.sni", 0), "-");
	s.client.tls = (struct tls_facts){ .on = true,
		.version = SV("TLSv1.3"),
		.cipher = SV("X"),
		.sni = SV("mx"),
		.client_cert = SV("CN=a") };
	s.client.auth_user = SV("joe");
	s.client.auth_mechanism = SV("PLAIN");
	T_EQ_TEXT(value(&s, "tls.version", 0), "TLSv1.3");
	T_EQ_TEXT(value(&s, "tls.cipher", 0), "X");
	T_EQ_TEXT(value(&s, "tls.sni", 0), "mx");
	T_EQ_TEXT(value(&s, "tls.client-cert", 0), "CN=a");
	T_EQ_TEXT(value(&s, "authenticated", 0), "yes");
	T_EQ_TEXT(value(&s, "auth.user", 0), "joe");
	T_EQ_TEXT(value(&s, "auth.author", 0), "-");
	T_EQ_TEXT(value(&s, "auth.mechanism", 0), "PLAIN");
	s.client.auth_author = SV("boss");
	T_EQ_TEXT(value(&s, "auth.author", 0), "boss");
	/* a token without a name: nobody by name, and yet authenticated */
	s.client.auth_user = SV("");
	T_EQ_TEXT(value(&s, "authenticated", 0), "yes");
	/* what there is no transaction for */
	T_EQ_TEXT(value(&s, "sender", 0), "!");
	T_EQ_TEXT(value(&s, "rcpt", 0), "!");
	T_EQ_TEXT(value(&s, "rcpt.count", 0), "!");
	arena_free(s.a);
}

static void
tells_of_the_sender(void)
{
	/* clang-format off */
	static const struct {
		const char *mail, *sender, *local, *domain, *size;
	} rows[] = {
		{ "FROM:<a@b.example>", "a@b.example", "a", "b.example", "-" },
		{ "FROM:<\"a b\"@b.example> SIZE=1000", "\"a b\"@b.example", "a b", "b.example", "1000" },
		{ "FROM:<>", "<>", "-", "-", "-" },
		{ "FROM:<root>", "root", "root", "-", "-" },
		{ "FROM:<a@[192.0.2.9]>", "a@[192.0.2.9]", "a", "[192.0.2.9]", "-" },
		{ "FROM:<> SIZE=99999999999999999999", "<>", "-", "-", "9223372036854775807" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct stand s;

		t_row = rows[i].mail;
		begin(&s);
		say(&s, rows[i].mail, NULL, 0);
		T_EQ_TEXT(value(&s, "sender", 0), rows[i].sender);
		T_EQ_TEXT(value(&s, "sender.local", 0), rows[i].local);
		T_EQ_TEXT(value(&s, "sender.domain", 0), rows[i].domain);
		T_EQ_TEXT(value(&s, "size", 0), rows[i].size);
		arena_free(s.a);
	}
}

static void
tells_of_each_recipient(void)
{
	static const char *const rcpts[] = { "TO:<a@b>", "TO:<postmaster>", "TO:<\"x@y\"@c>" };
	struct stand             s;

	begin(&s);
	say(&s, "FROM:<>", rcpts, 3);
	T_EQ_TEXT(value(&s, "rcpt", 0), "a@b");
	T_EQ_TEXT(value(&s, "rcpt", 1), "postmaster");
	T_EQ_TEXT(value(&s, "rcpt", 2), "\"x@y\"@c");
	T_EQ_TEXT(value(&s, "rcpt.local", 2), "x@y");
	T_EQ_TEXT(value(&s, "rcpt.domain", 2), "c");
	T_EQ_TEXT(value(&s, "rcpt.domain", 1), "-");
	T_EQ_TEXT(value(&s, "rcpt", 3), "!");
	T_EQ_TEXT(value(&s, "rcpt.count", 0), "0");
	s.env.rcpt[0].upstream_took = true;
	s.env.rcpt[2].dropped = true;
	T_EQ_TEXT(value(&s, "rcpt.count", 0), "2");
	T_EQ_NUM(envelope_taken(&s.env), 1);
	T_EQ_NUM(envelope_dropped(&s.env), 1);
	arena_free(s.a);
}

/* A path that a fact points to stays although the list of recipients grows and moves. */
static void
paths_outlive_a_growing_list(void)
{
	static const char *const one[] = { "TO:<first@b>" };
	unsigned                 n;
	const struct fact_def   *d = registry_facts(&n);
	int                      at = fact_find(d, n, SV("rcpt"));
	struct fact              f = { .def = &d[at], .number = (unsigned)at };
	struct stand             s;

	begin(&s);
	say(&s, "FROM:<>", one, 1);
	T_EQ_NUM(registry_filters[registry_owner((unsigned)at)]->ask(NULL, &f, &s.mail), FILTER_OK);
	for (int i = 0; i < 1000; i++)
		envelope_add(s.a, &s.env)->to = (struct path){ .text = SV("other@b") };
	T_EQ_TEXT(f.v.path->text, "first@b");
	T_EQ_NUM(s.env.n_rcpt, 1001);
	arena_free(s.a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(numbers_all_facts);
	T_RUN(has_the_facts_of_the_manual);
	T_RUN(tells_of_the_client);
	T_RUN(tells_of_the_sender);
	T_RUN(tells_of_each_recipient);
	T_RUN(paths_outlive_a_growing_list);
	return t_end();
}
