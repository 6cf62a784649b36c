/*
 * t_rules -- check blocks as they are compiled: stages, what is decided for each recipient, tags,
 * look-ups that are sure to come, texts in pieces.
 *
 * What is told of mistakes stands in tests/policy/bad.
 */
#include "policy/load.h"
#include "proxy/base/buf.h"
#include "tests/policy/stranger.h"

/* ---- where checks are decided ---- */

struct stage_row {
	const char *name, *text; /* its check c is looked at */
	enum stage  at;
	bool        per_rcpt;
};

#define C(text) "check c { " text " }"

static const struct stage_row stage_rows[] = {
	{ "a fact of the connection", C("when client in { 192.0.2.1 } reject"), STAGE_CONNECT,
	    false },
	{ "what a client may still change", C("when helo is a reject"), STAGE_MAIL, false },
	{ "the latest of several", C("when client in { 192.0.2.1 } or rcpt.local is a reject"),
	    STAGE_RCPT, true },
	{ "a negation changes nothing", C("when not (not helo is a) reject"), STAGE_MAIL, false },
	{ "behind the recipients", C("when rcpt.count > 5 reject"), STAGE_DATA, false },
	{ "any rcpt comes with DATA", C("when any rcpt (rcpt is a@b.example) reject"), STAGE_DATA,
	    false },
	{ "all rcpt of what comes later",
	    C("when all rcpt (header(\"X\") is a and rcpt is a@b.example) reject"), STAGE_MESSAGE,
	    false },
	{ "discard needs a transaction", C("when client in { 192.0.2.1 } discard"), STAGE_MAIL,
	    false },
	{ "discard as the answer to unknown",
	    C("when client in { 192.0.2.1 } on unknown discard reject"), STAGE_MAIL, false },
	{ "quarantine needs a message", C("when client in { 192.0.2.1 } quarantine"), STAGE_MESSAGE,
	    false },
	{ "at helo", C("at helo when client in { 192.0.2.1 } reject"), STAGE_HELO, false },
	{ "at auth", C("at auth when client in { 192.0.2.1 } reject"), STAGE_AUTH, false },
	{ "at rcpt, but of no recipient", C("at rcpt when helo is a reject"), STAGE_RCPT, false },
	{ "an argument", C("when rhsbl(\"z.example\", helo) reject"), STAGE_MAIL, false },
	{ "an argument of a recipient", C("when rhsbl(\"z.example\", rcpt) reject"), STAGE_RCPT,
	    true },
	{ "what resolves", C("when not from.domain resolves reject"), STAGE_MESSAGE, false },
	{ "a recipient's domain that resolves", C("when rcpt.domain resolves reject"), STAGE_RCPT,
	    true },
	{ "the key of a map", "map m { a b } " C("when m(sender.domain) is b reject"), STAGE_MAIL,
	    false },
	{ "the key of a map behind in", "map m { a b } " C("when helo in m(rcpt.domain) reject"),
	    STAGE_RCPT, true },
	{ "the score is that of its lists",
	    "check s { when rhsbl(\"z.example\", from.domain, 1) log \"x\" } " C(
		"when score > 1 reject"),
	    STAGE_MESSAGE, false },
	{ "a weight below counts as well",
	    C("when score > 1 reject") " check s { when dnsbl(\"z.example\", 1) log \"x\" }",
	    STAGE_CONNECT, false },
	{ "a tag of above", "check t { when helo is a tag x } " C("when tag.x reject"), STAGE_MAIL,
	    false },
	{ "a tag of several: the latest",
	    "check t { when helo is a tag x } check u { when rcpt.count > 1 tag x } " C(
		"when tag.x reject"),
	    STAGE_DATA, false },
	{ "a tag of a recipient", "check t { when rcpt.local is a tag x } " C("when tag.x reject"),
	    STAGE_RCPT, true },
	{ "a tag set at rcpt for all",
	    "check t { at rcpt when helo is a tag x } " C("when tag.x reject"), STAGE_RCPT, false },
	{ "a chain, from below",
	    C("when tag.a and message.size > 1 reject") " check b { when tag.y and rcpt.count > 1 tag a }"
							" check d { when client in { 192.0.2.1 } tag y }",
	    STAGE_MESSAGE, false },
	{ "a warn check as any other", "check c warn { when helo is a quarantine }", STAGE_MESSAGE,
	    false },
};

static const struct check *
check_of(const struct policy *p, const char *name)
{
	int n = p == NULL ? -1 : rules_number(p, strv_z(name));

	return n < 0 ? NULL : &p->check[n];
}

static void
stages(void)
{
	for (unsigned i = 0; i < T_COUNT(stage_rows); i++) {
		const struct stage_row *row = &stage_rows[i];
		const char             *text = arena_z(
				arena, arena_printf(arena, "relay { }\n%s\n", row->text));
		char               *z = arena_z(arena, strv_z(text));
		struct policy      *p;
		const struct check *c;

		/* A statement begins on a line of its own. */
		for (char *at = z; (at = strstr(at, "} check ")) != NULL;)
			at[1] = '\n';
		t_row = row->name;
		p = load(z);
		c = check_of(p, "c");
		if (!T_CHECK(c != NULL))
			continue;
		T_EQ_NUM(c->at, row->at);
		T_EQ_NUM(c->per_rcpt, row->per_rcpt);
		T_CHECK(policy_has(p, row->at));
		policy_free(p);
	}
	t_row = NULL;
}

/* ---- what is sure to be asked ---- */

struct want_row {
	const char *name, *text, *want; /* STAGE:FACT ... in their order */
};

static const struct want_row want_rows[] = {
	{ "nothing", "check a { when helo is a reject }", "" },
	{ "one", "check a { when dnsbl(\"z.example\") reject }", "connect:dnsbl" },
	{ "the left of and", "check a { when dnsbl(\"z.example\") and mx(helo) reject }",
	    "connect:dnsbl" },
	{ "not the right of and", "check a { when mx(helo) and dnsbl(\"z.example\") reject }",
	    "mail:mx" },
	{ "not the right of or", "check a { when mx(helo) or dnsbl(\"z.example\") reject }",
	    "mail:mx" },
	{ "the left of or", "check a { when dnsbl(\"z.example\") or mx(helo) reject }",
	    "connect:dnsbl" },
	{ "behind what costs nothing, on the right of it",
	    "check a { when helo is a and dnsbl(\"z.example\") reject }", "mail:dnsbl" },
	{ "and on the left", "check a { when dnsbl(\"z.example\") or helo is a reject }",
	    "mail:dnsbl" },
	{ "what costs nothing may be known at once",
	    "check a { when dnsbl(\"z.example\") and not client in { 192.0.2.0/24 } reject }",
	    "connect:dnsbl" },
	{ "not behind a tag, which is set on the way",
	    "check a { when helo is a tag x }\ncheck b { when dnsbl(\"z.example\") and tag.x reject }",
	    "" },
	{ "below not", "check a { when not (not sender.domain resolves) reject }",
	    "mail:resolves" },
	{ "the leftmost of all",
	    "check a { when not (dnsbl(\"a.example\") and mx(sender) or helo is b) and mx(helo) reject }",
	    "mail:dnsbl" },
	{ "each once, from where it can begin",
	    "check a { when rcpt.domain resolves reject }\ncheck b { when dnsbl(\"z.example\") = 127.0.0.2 reject }\n"
	    "check c { at rcpt when dnsbl(\"z.example\") = 127.0.0.3 reject }\ncheck d { when helo resolves reject }",
	    "connect:dnsbl mail:resolves.host rcpt:resolves" },
	{ "what a later check asks may begin earlier",
	    "check a { when not helo resolves reject }\ncheck b { at rcpt when dnsbl(\"z.example\") reject }",
	    "connect:dnsbl mail:resolves.host" },
	{ "different strings are different look-ups",
	    "check a { when dnsbl(\"y.example\") reject }\ncheck b { when dnsbl(\"z.example\") reject }\n"
	    "check c { when dnsbl(\"Z.EXAMPLE\") reject }",
	    "connect:dnsbl connect:dnsbl" },
	{ "the score is all of its lists",
	    "check a { when score > 5 reject }\n"
	    "check b { when helo is a and (dnsbl(\"y.example\", 1) or rhsbl(\"z.example\", sender, 2)) log \"x\" }",
	    "connect:dnsbl mail:rhsbl" },
	{ "any rcpt asks the first for sure, whoever that is",
	    "check a { when any rcpt (rcpt.domain resolves) and size > 1 reject }", "" },
	{ "what is not of a recipient is asked there, too",
	    "check a { when any rcpt (dnsbl(\"z.example\") and mx(rcpt)) reject }",
	    "connect:dnsbl" },
	{ "the text of a message is no look-up", "check a { when header(\"X\") is a reject }", "" },
};

static void
wants(void)
{
	for (unsigned i = 0; i < T_COUNT(want_rows); i++) {
		const struct want_row *row = &want_rows[i];
		struct policy         *p;
		struct buf             b;

		t_row = row->name;
		p = load(arena_z(arena, arena_printf(arena, "relay { }\n%s\n", row->text)));
		buf_init(&b, 4096);
		for (unsigned k = 0; p != NULL && k < p->n_want; k++)
			buf_printf(&b, "%s%s:%s", k > 0 ? " " : "", stage_word(p->want[k].from),
			    p->facts[p->want[k].ask.fact].name);
		T_EQ_STRV(b.n == 0 ? SV("") : buf_view(&b), strv_z(row->want));
		buf_fini(&b);
		policy_free(p);
	}
	t_row = NULL;
}

/* The gate is asked before the checks of its stage. */
static void
wants_of_the_gate(void)
{
	struct policy *p = load("relay { allow when not dnsbl(\"z.example\") }\n");

	if (!T_CHECK(p != NULL))
		return;
	T_EQ_NUM(p->n_want, 1);
	policy_free(p);
}

/* ---- texts and effects ---- */

static void
texts(void)
{
	struct policy *p = load(
	    "relay { }\ncheck c { when helo is a reject 550 5.7.1 \"a%%b%{helo}%{client.ip} %{score}\" }\n"
	    "check s { when dnsbl(\"z.example\", 1) log \"x\" }\n");
	const struct text *t;

	if (!T_CHECK(p != NULL))
		return;
	t = &p->check[0].final.text;
	T_EQ_NUM(p->check[0].final.code, 550);
	T_CHECK(strcmp(p->check[0].final.enh, "5.7.1") == 0);
	if (!T_EQ_NUM(t->n, 7))
		return;
	T_EQ_TEXT(t->piece[0].plain, "a");
	T_EQ_TEXT(t->piece[1].plain, "%");
	T_EQ_TEXT(t->piece[2].plain, "b");
	T_CHECK(t->piece[3].plain.p == NULL && t->piece[3].ask.fact == CANNED_HELO);
	T_CHECK(t->piece[4].plain.p == NULL && t->piece[4].ask.fact == CANNED_CLIENT_IP);
	T_EQ_TEXT(t->piece[5].plain, " ");
	T_CHECK(t->piece[6].plain.p == NULL && t->piece[6].ask.subject == SUBJECT_SCORE);
	policy_free(p);
}

static void
effects(void)
{
	struct policy       *p;
	const struct effect *e;

	p = load(
	    "relay { }\n"
	    "check a { when helo is a tag t skip b, c tag u delay 30s add-header \"X\" \"%{helo}\" }\n"
	    "check b { when tag.u reject }\ncheck c { when tag.t reject }\n");
	if (!T_CHECK(p != NULL))
		return;
	e = p->check[0].effect;
	if (!T_EQ_NUM(p->check[0].n_effect, 6))
		return;
	T_CHECK(e[0].kind == EFFECT_TAG && strv_eq(p->tag[e[0].number].name, SV("t")));
	T_CHECK(e[1].kind == EFFECT_SKIP && e[1].number == 1);
	T_CHECK(e[2].kind == EFFECT_SKIP && e[2].number == 2);
	T_CHECK(e[3].kind == EFFECT_TAG && strv_eq(e[3].name, SV("u")));
	T_CHECK(e[4].kind == EFFECT_DELAY && e[4].ms == 30000);
	T_CHECK(e[5].kind == EFFECT_ADD_HEADER && e[5].text.n == 1);
	T_CHECK(!p->edits);
	policy_free(p);
	p = load("relay { }\ncheck a { when message.size > 1 delete-header \"X\" }\n");
	T_CHECK(p != NULL && p->edits);
	policy_free(p);
	p = load("relay { }\ncheck a warn { when message.size > 1 delete-header \"X\" reject }\n");
	T_CHECK(p != NULL && !p->edits);
	policy_free(p);
}

/* ---- ceilings ---- */

static bool
loads(struct strv text, struct diags *d)
{
	struct canned_file file = { "p.conf", NULL, text };
	struct policy     *p = load_files(&file, 1, d);

	policy_free(p);
	return p != NULL;
}

static void
too_many_checks(void)
{
	struct diags d = { .a = arena }, more = { .a = arena };
	struct buf   b;

	buf_init(&b, 1 << 20);
	buf_add(&b, SV("relay { }\n"));
	for (unsigned i = 0; i < CHECKS_MAX; i++)
		buf_printf(&b, "check c%u { when helo is a reject }\n", i);
	T_CHECK(loads(buf_view(&b), &d));
	buf_add(&b, SV("check more { when helo is a reject }\n"));
	T_CHECK(!loads(buf_view(&b), &more));
	T_EQ_NUM(more.n, 1);
	T_EQ_TEXT(more.v[0].text, "more than 4096 checks");
	buf_fini(&b);
}

/* The worst order: each check waits for the tag of the one below. */
static void
a_long_chain_of_tags(void)
{
	struct diags d = { .a = arena };
	struct buf   b;

	buf_init(&b, 1 << 20);
	buf_add(&b, SV("relay { }\n"));
	for (unsigned i = 0; i < TAGS_MAX - 1; i++)
		buf_printf(&b, "check c%u { when tag.t%u tag t%u }\n", i, i + 1, i);
	buf_printf(&b, "check last { when rcpt.count > 1 tag t%u }\n", TAGS_MAX - 1);
	T_CHECK(!loads(buf_view(&b), &d));
	T_EQ_NUM(d.errors, TAGS_MAX - 1);
	buf_fini(&b);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	T_RUN(stages);
	T_RUN(wants);
	T_RUN(wants_of_the_gate);
	T_RUN(texts);
	T_RUN(effects);
	T_RUN(too_many_checks);
	T_RUN(a_long_chain_of_tags);
	arena_free(arena);
	return t_end();
}
