/*
 * t_seals -- the conditions of `sign' and `seal', and which facts a policy may ask for at all.
 */
#include "policy/eval.h"
#include "tests/policy/stranger.h"

#define RELAY "relay { allow to { ours.example } }\n"

/* ---- what may be asked ---- */

static const struct asking {
	const char *text;
	const char *
	    asks; /* but for what the gate asks by itself: rcpt, client.ip, authenticated, tls.version, listener */
} askings[] = {
	{ RELAY, "" },
	{ RELAY "check c { when spf is fail reject }\n", "spf" },
	{ RELAY
	    "check c { when not (helo is x or spf is fail) and client in { 192.0.2.1 } reject }\n",
	    "client helo spf" },
	{ RELAY
	    "check c { at message when any rcpt (rcpt.local is x) log \"%{size} %{from.domain}\" }\n",
	    "rcpt.local size from.domain" },
	{ RELAY "check c { when helo is x reject 550 \"%{spf}\" }\n", "helo spf" },
	{ RELAY "check c { when mx(helo) on unknown tempfail 451 4.4.3 \"%{sender}\" reject }\n",
	    "helo sender mx" },
	{ RELAY "check c { when sender.domain resolves add-header \"X-Size\" \"%{size}\" }\n",
	    "sender.domain size resolves" },
	{ RELAY "check c warn { when header(\"X\") is y reject }\n", "header" },
	{ RELAY
	    "check c { when score > 1 reject }\n"
	    "check d { when dnsbl(\"a.example\", 2) and rhsbl(\"b.example\", sender.domain, 1) log \"x\" }\n",
	    "sender.domain dnsbl rhsbl" },
	{ "map m { a b }\n" RELAY "check c { when m(size) is b or helo in m(auth.user) reject }\n",
	    "helo auth.user size" },
	{ "relay { allow when spf is pass  allow to { a.example } when size > 5 }\n", "size spf" },
	{ "map n { a ::1 }; map m { a b }\nrelay { allow from n(helo)  allow to m(auth.user) }\n",
	    "helo auth.user" },
	{ "transaction-class rcpt.domain\n" RELAY, "rcpt.domain" },
	{ "map m { a b }\ntransaction-class m(rcpt.local)\n" RELAY, "rcpt.local" },
	{ "transaction-class rcpt.local is x and helo is y\n" RELAY, "helo rcpt.local" },
	{ "sign { a.example } selector s key \"k\" when spf is pass\n" RELAY, "spf" },
	{ "seal a.example selector s key \"k\" when all rcpt (rcpt.domain is x) or size > 5\n" RELAY,
	    "size rcpt.domain" },
	{ "sign { a.example } selector s key \"k\"\n" RELAY, "" },
	{ RELAY "check c { when helo is x tag t }\ncheck d { when tag.t reject }\n", "helo" },
};

static bool
has_word(const char *words, const char *word)
{
	struct strv all = strv_z(words);

	while (all.p != NULL) {
		if (strv_eq(strv_cut(&all, ' '), strv_z(word)))
			return true;
	}
	return false;
}

static void
asks_what_is_written(void)
{
	static const char gate[] = "rcpt client.ip authenticated tls.version listener";

	T_TABLE(struct asking, r, askings)
	{
		struct policy *p = load(r->text);

		t_row = r->text;
		for (unsigned i = 0; p != NULL && i < CANNED_N; i++) {
			const char *name = canned_facts[i].name;

			T_CHECKF(
			    policy_asks(p, i) == (has_word(r->asks, name) || has_word(gate, name)),
			    "%s", name);
		}
		T_CHECK(p == NULL || !policy_asks(p, CANNED_N));
		policy_free(p);
		arena_reset(arena);
	}
	t_row = NULL;
}

/* ---- who may come in ---- */

static void
warns_of_strangers(void)
{
	static const struct {
		const char *line;
		bool        warns;
	} rows[] = {
		{ "allow from mynets", false },
		{ "allow authenticated", false },
		{ "allow when client in mynets", false },
		{ "allow when client.ip is 192.0.2.1", false },
		{ "allow when authenticated", false },
		{ "allow when auth.user is bob and helo is x", false },
		{ "allow when client in mynets or authenticated", false },
		{ "allow when helo is x and (client in mynets or auth.user in { a, b })", false },
		{ "allow when client in mynets  allow from mynets", false },
		{ "allow to { ours.example }", true },
		{ "allow when client in mynets  allow to { ours.example }", true },
		{ "allow when not client in mynets", true },
		{ "allow when client not in mynets", true },
		{ "allow when not (client in mynets)", true },
		{ "allow when client in mynets or helo is x", true },
		{ "allow when not authenticated", true },
		{ "allow when auth.user is absent", true },
		{ "allow when auth.user is absent, bob", true },
		{ "allow when auth.user is not bob", true },
		{ "allow when sender in { a@b.example }", true },
	};

	for (unsigned i = 0; i < T_COUNT(rows); i++) {
		struct canned_file file = { "p.conf",
			arena_z(arena,
			    arena_printf(arena,
				"networks mynets { 192.0.2.0/24 }\nrelay { %s }\n"
				"check x warn { when client in mynets reject }\n"
				"sign { a.example } selector s key \"k\"\n",
				rows[i].line)),
			{ NULL, 0 } };
		struct diags       d = { .a = arena };
		struct policy     *p = load_files(&file, 1, &d);

		t_row = rows[i].line;
		T_CHECK(p != NULL && d.errors == 0);
		T_EQ_NUM(d.n, rows[i].warns);
		policy_free(p);
		arena_reset(arena);
	}
	t_row = NULL;
}

/* ---- conditions ---- */

#define BIT(fact) (1ull << CANNED_##fact)

static const struct cond {
	const char *when;  /* "": none */
	const char *asked; /* canned facts, in order */
	uint64_t    unknown;
	bool        holds, unsure;
} conds[] = {
	{ "", "", 0, true, false },
	{ "when client in { 198.51.100.0/24 }", "client", 0, true, false },
	{ "when client in { 192.0.2.0/24 }", "client", 0, false, false },
	{ "when not client in { 192.0.2.0/24 }", "client", 0, true, false },
	{ "when spf is pass", "spf", 0, true, false },
	{ "when spf is pass", "spf", BIT(SPF), false, true },
	{ "when not spf is pass", "spf", BIT(SPF), false, true },
	{ "when spf is pass or helo is mx.out.example", "spf helo", BIT(SPF), true, false },
	{ "when spf is pass and helo is other", "spf helo", BIT(SPF), false, false },
	/* what costs nothing comes first */
	{ "when sender.domain resolves and helo is other", "helo", 0, false, false },
	{ "when any rcpt (rcpt.domain is b.example)", "rcpt.domain rcpt.domain", 0, true, false },
	{ "when all rcpt (rcpt.domain is b.example)", "rcpt.domain", 0, false, false },
	{ "when any rcpt (rcpt.domain is gone.example)", "rcpt.domain rcpt.domain", 0, false,
	    false },
	{ "when tag.odd", "", 0, true, false },
	{ "when tag.even", "", 0, false, false },
};

static struct envelope env;
static struct strv     asked;

static enum wait_rc
keep(void *ctx, struct fact *f)
{
	enum wait_rc rc = canned_ask(ctx, f);

	asked = arena_printf(
	    arena, "%.*s%s%s", (int)asked.n, asked.p, asked.n > 0 ? " " : "", f->def->name);
	if (f->def->per_rcpt)
		f->v.text = env.rcpt[f->rcpt].to.domain;
	return rc;
}

static void
add_rcpt(const char *to, bool took)
{
	struct rcpt *r = envelope_add(arena, &env);
	const char  *why = "";

	T_CHECK(path_parse_plain(arena, strv_z(to), &r->to, &why) == PATH_OK);
	r->upstream_took = took;
}

static struct policy_case
message(struct canned *c, struct facts *f)
{
	static struct edits edits;

	*c = stranger("u@ours.example");
	env = (struct envelope){ 0 };
	edits = (struct edits){ 0 };
	add_rcpt("a@a.example", true);
	add_rcpt("b@b.example", true);
	add_rcpt("c@gone.example", false);
	*f = (struct facts){ .a = arena, .ask = keep, .ctx = c };
	asked = SV("");
	return (struct policy_case){ .a = arena, .facts = f, .env = &env, .edits = &edits };
}

static struct policy *
with(const char *when)
{
	return load(arena_printf(arena,
	    RELAY "check o { when helo is mx.out.example tag odd }\n"
		  "check e { when helo is other tag even }\n"
		  "check used { when tag.odd and tag.even log \"both\" }\n"
		  "hostname x\nsign { a.example } selector s key \"k\" %s\n",
	    when)
			.p);
}

static void
holds_or_not(void)
{
	T_TABLE(struct cond, r, conds)
	{
		struct policy     *p = with(r->when);
		struct canned      c;
		struct facts       f;
		struct policy_case k = message(&c, &f);
		struct verdict     v;
		const struct note *note;
		bool               holds = !r->holds, unsure = !r->unsure;

		t_row = r->when;
		T_EQ_NUM(policy_eval(p, STAGE_MAIL, 0, &k, &v), WAIT_OK);
		/* what the checks know already is asked for anew, to be seen */
		f = (struct facts){ .a = arena, .ask = keep, .ctx = &c };
		asked = SV("");
		c.unknown = r->unknown;
		T_EQ_NUM(policy_seals(p), 1);
		T_EQ_NUM(policy_seal(p, 0, &k, &holds, &unsure), WAIT_OK);
		T_EQ_NUM(holds, r->holds);
		T_EQ_NUM(unsure, r->unsure);
		for (note = k.notes.first; note != NULL && note->kind != NOTE_UNKNOWN;)
			note = note->next;
		T_EQ_TEXT(note == NULL ? SV("-") : note->check, r->unsure ? "sign:6" : "-");
		T_EQ_TEXT(asked, r->asked);
		policy_free(p);
		arena_reset(arena);
	}
	t_row = NULL;
}

static void
numbered_in_file_order(void)
{
	struct policy *p = load(
	    "sign { a.example } selector s key \"k\" when helo is x\n"
	    "hostname x\n" RELAY "seal b.example selector s key \"k\"\n"
	    "sign { c.example } selector s key \"k\" when helo is mx.out.example\n");
	struct canned      c;
	struct facts       f;
	struct policy_case k = message(&c, &f);
	bool               holds, unsure;

	T_EQ_NUM(policy_seals(p), 3);
	T_EQ_NUM(policy_seal(p, 0, &k, &holds, &unsure), WAIT_OK);
	T_EQ_NUM(holds, false);
	T_EQ_NUM(policy_seal(p, 1, &k, &holds, &unsure), WAIT_OK);
	T_EQ_NUM(holds, true);
	T_EQ_NUM(policy_seal(p, 2, &k, &holds, &unsure), WAIT_OK);
	T_EQ_NUM(holds, true);
	policy_free(p);
	arena_reset(arena);
}

static void
ends_with_its_session(void)
{
	struct policy     *p = with("when not spf is fail");
	struct canned      c;
	struct facts       f;
	struct policy_case k = message(&c, &f);
	bool               holds = true, unsure;

	c.cancel = true;
	T_EQ_NUM(policy_seal(p, 0, &k, &holds, &unsure), WAIT_CANCELLED);
	T_EQ_NUM(holds, false);
	policy_free(p);
	arena_reset(arena);
}

int
main(void)
{
	arena = arena_new(65536, 0);
	T_RUN(asks_what_is_written);
	T_RUN(warns_of_strangers);
	T_RUN(holds_or_not);
	T_RUN(numbered_in_file_order);
	T_RUN(ends_with_its_session);
	arena_free(arena);
	return t_end();
}
