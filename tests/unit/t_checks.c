/*
 * t_checks -- checks as they are written: order, held verdicts, dry runs, effects, recipients, arguments,
 * scores, texts, and what is told of all that.
 */
#include "config.h"

#include "policy/eval.h"
#include "tests/policy/stranger.h"

/* ---- policies ---- */

static struct policy *kept[32];
static unsigned       n_kept;

static struct policy *
rules(const char *text)
{
	struct policy *p = load(text);

	if (p == NULL || n_kept == T_COUNT(kept))
		exit(1);
	return kept[n_kept++] = p;
}

static void
clean(void)
{
	while (n_kept > 0)
		policy_free(kept[--n_kept]);
	arena_reset(arena);
}

/* ---- one session, as far as checks see it ---- */

struct life {
	struct canned      canned;
	struct facts       of_session, of_tx;
	struct edits       early, edits;
	struct envelope    env;
	struct policy_case session, tx;
	const char        *yes; /* DNS facts with these arguments answer; others are absent or no */
	const char        *failing; /* these are unknown */
	struct strv        asked;   /* "dnsbl(a.example) rcpt" */
	struct strv        looked;
};

/* Is it one of those words? */
static bool
one_of(const char *words, struct strv v)
{
	struct strv all = strv_z(words);

	while (all.p != NULL) {
		if (strv_eq(strv_cut(&all, '|'), v))
			return true;
	}
	return false;
}

static enum wait_rc
life_ask(void *ctx, struct fact *f)
{
	static const struct addr two = { .family = ADDR_IP4, .b = { [0] = 127, [3] = 2 } };
	struct life             *l = ctx;
	enum wait_rc             rc = canned_ask(&l->canned, f);
	bool                     yes = one_of(l->yes, f->arg);
	int                      n = (int)f->arg.n;

	l->asked = arena_printf(arena, "%.*s%s%s%s%.*s%s", (int)l->asked.n, l->asked.p,
	    l->asked.n > 0 ? " " : "", f->def->name, f->arg.p != NULL ? "(" : "", n,
	    f->arg.p != NULL ? f->arg.p : "", f->arg.p != NULL ? ")" : "");
	if (f->def->per_rcpt && f->state == FACT_KNOWN && f->rcpt < l->env.n_rcpt) {
		if (f->def->type == FACT_PATH)
			f->v.path = &l->env.rcpt[f->rcpt].to;
		else if (f->number == CANNED_RCPT_LOCAL)
			f->v.text = l->env.rcpt[f->rcpt].to.local;
		else
			f->v.text = l->env.rcpt[f->rcpt].to.domain;
	}
	if (f->def->args == NULL || f->number == CANNED_HEADER)
		return rc;
	if (f->def->type == FACT_BOOL)
		f->v.yes = yes;
	else if (yes)
		f->v.addrs.v = &two, f->v.addrs.n = 1;
	if (one_of(l->failing, f->arg))
		return WAIT_TIMEOUT;
	return rc;
}

static void
look(void *arg, const struct look *k)
{
	static const char *const came[] = { "no", "yes", "unknown", "skipped", "unasked" };
	struct life             *l = arg;

	l->looked = arena_printf(arena, "%.*s%.*s=%s%s[", (int)l->looked.n, l->looked.p,
	    (int)k->check.n, k->check.p, came[k->came], k->holds ? "!" : "");
	for (unsigned i = 0; i < k->n_fact; i++)
		l->looked = arena_printf(arena, "%.*s%s%s", (int)l->looked.n, l->looked.p,
		    i > 0 ? " " : "", k->fact[i]->def->name);
	l->looked = arena_concat(arena, l->looked, SV("] "));
}

static struct life *
begin(void)
{
	struct life *l = arena_alloc(arena, sizeof(*l));

	l->canned = stranger("u@ours.example");
	l->of_session = (struct facts){ .a = arena, .ask = life_ask, .ctx = l };
	l->of_tx = l->of_session;
	l->of_tx.outer = &l->of_session;
	l->session =
	    (struct policy_case){ .a = arena, .facts = &l->of_session, .edits = &l->early };
	l->tx = (struct policy_case){
		.a = arena, .facts = &l->of_tx, .edits = &l->edits, .env = &l->env
	};
	l->asked = l->looked = SV("");
	return l;
}

static void
add_rcpt(struct life *l, const char *to)
{
	struct rcpt *r = envelope_add(arena, &l->env);
	const char  *why = "";

	T_CHECK(path_parse_plain(arena, strv_z(to), &r->to, &why) == PATH_OK);
	r->upstream_took = true;
}

/* "reject 550 5.7.1 by a: text", "taken" */
static const char *
at(struct life *l, const struct policy *p, enum stage stage, unsigned rcpt)
{
	struct policy_case *c = stage < STAGE_MAIL ? &l->session : &l->tx;
	struct verdict      v;

	T_EQ_NUM(policy_eval(p, stage, rcpt, c, &v), WAIT_OK);
	if (!verdict_final(&v))
		return "taken";
	return arena_printf(arena, "%s %u %s by %.*s: %.*s%s%.*s", verdict_word(v.kind),
	    verdict_code(&v), verdict_enh(&v), (int)v.by.n, v.by.p, (int)verdict_text(&v).n,
	    verdict_text(&v).p, v.to.p != NULL ? " to " : "", (int)v.to.n,
	    v.to.p != NULL ? v.to.p : "")
	    .p;
}

/* "fired a, also b, log c: text"; they are taken. */
static const char *
notes(struct policy_case *c)
{
	static const char *const kinds[] = { "fired", "warn", "also", "unknown", "log", "tag" };
	struct strv              all = SV("");

	for (const struct note *n = c->notes.first; n != NULL; n = n->next) {
		all = arena_printf(arena, "%.*s%s%s %.*s%s%.*s", (int)all.n, all.p,
		    all.n > 0 ? ", " : "", kinds[n->kind], (int)n->check.n, n->check.p,
		    n->text.p != NULL ? ": " : "", (int)n->text.n,
		    n->text.p != NULL ? n->text.p : "");
		if (n->rcpt != NOTE_NO_RCPT)
			all = arena_printf(arena, "%.*s @%u", (int)all.n, all.p, n->rcpt);
	}
	c->notes.first = c->notes.last = NULL;
	return all.n > 0 ? all.p : "";
}

/* "+X: a|-Y", of those from `from' on. */
static const char *
edits(const struct edits *e)
{
	struct strv all = SV("");

	for (unsigned i = 0; i < e->n; i++)
		all = arena_printf(arena, "%.*s%s%c%.*s%s%.*s", (int)all.n, all.p, i > 0 ? "|" : "",
		    e->v[i].op == EDIT_DELETE_ALL ? '-' : '+', (int)e->v[i].name.n, e->v[i].name.p,
		    e->v[i].value.p != NULL ? ": " : "", (int)e->v[i].value.n,
		    e->v[i].value.p != NULL ? e->v[i].value.p : "");
	return all.n > 0 ? all.p : "";
}

#define RELAY \
	"networks out { 198.51.100.0/24 }\n" \
	"domains ours { ours.example, .ours.example }\n" \
	"relay { allow to ours }\n"

/* ---- order ---- */

static void
the_first_verdict_holds(void)
{
	struct policy *p = rules(
	    RELAY "check a { when helo is nobody  reject 550 5.7.1 \"a\" }\n"
		  "check b { when client in out and size is absent  reject 550 5.7.2 \"b\" }\n"
		  "check c { when not sender.domain is x.example  tempfail 451 4.7.3 \"c\" }\n"
		  "check d { when client in out and helo is mx.out.example  reject \"d\" }\n"
		  "check e { when sender.local is a  reject }\n");
	struct life *l = begin();

	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "reject 550 5.7.2 by b: b");
	/* what was asked before is known: d would have fired; c and e nobody knows */
	T_EQ_STR(notes(&l->tx), "fired b, also d");
	T_EQ_TEXT(l->asked, "helo client size");
	clean();
}

static void
a_verdict_from_before(void)
{
	struct policy *p = rules(
	    RELAY "check a { at mail  when client in out  reject }\n"
		  "check b { at mail  when helo is mx.out.example  reject }\n");
	struct life *l = begin();

	l->tx.settled = true;
	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "taken");
	T_EQ_TEXT(l->asked, "");
	T_EQ_STR(notes(&l->tx), "");
	/* the gate is not asked again either */
	T_EQ_STR(at(l, p, STAGE_RCPT, 0), "taken");
	T_EQ_TEXT(l->asked, "");
	clean();
}

static void
the_gate_comes_first(void)
{
	struct policy *p = rules(RELAY "check a { when rcpt.domain is foreign.example  reject }\n"
				       "check b { when rcpt is v@foreign.example  reject }\n");
	struct life   *l = begin();

	add_rcpt(l, "v@foreign.example");
	T_EQ_STR(at(l, p, STAGE_RCPT, 0),
	    "reject 550 5.7.1 by relay: relaying to this address is not allowed");
	T_EQ_STR(notes(&l->tx), "also b @0");
	clean();
}

static void
a_stage_without_checks(void)
{
	struct policy *p = rules(RELAY "check a { when helo is x  reject }\n");

	T_CHECK(policy_has(p, STAGE_MAIL));
	T_CHECK(!policy_has(p, STAGE_CONNECT) && !policy_has(p, STAGE_MESSAGE));
	T_CHECK(!policy_edits(p));
	p = rules(RELAY "check a { at message  when helo is x  quarantine to q@ours.example }\n");
	T_CHECK(policy_edits(p));
	clean();
}

/* ---- unknown, warn ---- */

static void
unknown(void)
{
	struct policy *p = rules(RELAY
	    "check a { when not helo is x  reject }\n"
	    "check b { when not helo is x  on unknown tempfail 451 4.4.3 \"no %{helo} now\"  reject }\n");
	struct life   *l = begin();

	l->canned.unknown = (uint64_t)1 << CANNED_HELO;
	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "tempfail 451 4.4.3 by b: no  now");
	T_EQ_STR(notes(&l->tx), "unknown a, fired b");
	T_EQ_TEXT(l->asked, "helo");
	clean();
}

static void
a_dry_run(void)
{
	struct policy *p = rules(RELAY
	    "check a warn { when client in out  tag x  delay 3s  log \"seen\"  add-header \"X\" \"y\"  reject 550 5.7.1 \"a\" }\n"
	    "check b warn { when size is absent and helo is x  reject }\n"
	    "check c { when tag.x  reject }\n");
	struct life   *l = begin();

	T_EQ_STR(at(l, p, STAGE_CONNECT, 0), "taken");
	T_EQ_STR(notes(&l->session), "warn a");
	policy_begin(p, &l->session, &l->tx);
	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "taken");
	T_EQ_STR(at(l, p, STAGE_CONNECT, 0), "taken");
	T_EQ_NUM(l->session.delay, 0);
	T_EQ_STR(edits(&l->early), "");
	clean();
}

/* ---- effects ---- */

static void
effects_in_order(void)
{
	struct policy *p = rules(RELAY
	    "check a { at mail  when client in out  tag x  log \"helo %{helo}, 100%%\"  delay 50s  delay 5s\n"
	    "  delete-header \"X-Out\"  add-header \"X-Out\" \"yes %{client}\" }\n"
	    "check b { at mail  when tag.x  delay 20s  skip c }\n"
	    "check c { at mail  when tag.x  reject }\n"
	    "check d { at mail  when not tag.x  reject }\n");
	struct life   *l = begin();

	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "taken");
	T_EQ_STR(notes(&l->tx), "tag a: x, log a: helo mx.out.example, 100%");
	T_EQ_NUM(l->tx.delay, DELAY_MAX);
	T_EQ_STR(edits(&l->edits), "-X-Out|+X-Out: yes 198.51.100.9");
	T_EQ_TEXT(l->edits.v[0].by, "a");
	clean();
}

static void
what_a_session_leaves_to_its_transactions(void)
{
	struct policy *p = rules(
	    RELAY "check a { when client in out  tag x  skip c  add-header \"A\" \"%{client}\" }\n"
		  "check b { at helo  when client in out  tag y  skip d  add-header \"B\" \"b\" }\n"
		  "check c { at mail  when tag.x  reject }\n"
		  "check d { at mail  when tag.y  reject }\n"
		  "check e { at mail  when tag.x and tag.y  reject 550 5.7.1 \"e\" }\n");
	struct life *l = begin();

	T_EQ_STR(at(l, p, STAGE_CONNECT, 0), "taken");
	T_EQ_STR(at(l, p, STAGE_HELO, 0), "taken");
	policy_begin(p, &l->session, &l->tx);
	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "reject 550 5.7.1 by e: e");
	T_EQ_STR(edits(&l->edits), "+A: 198.51.100.9|+B: b");
	/* HELO again: what b did goes */
	policy_again(p, STAGE_HELO, &l->session);
	T_EQ_STR(edits(&l->early), "+A: 198.51.100.9");
	l->tx = (struct policy_case){ .a = arena, .facts = &l->of_tx, .env = &l->env };
	policy_begin(p, &l->session, &l->tx);
	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "taken");
	/* and comes back with the next one */
	T_EQ_STR(at(l, p, STAGE_HELO, 0), "taken");
	T_EQ_STR(edits(&l->early), "+A: 198.51.100.9|+B: b");
	clean();
}

/* ---- recipients ---- */

static void
each_recipient_by_itself(void)
{
	struct policy *p = rules(RELAY
	    "check a { when rcpt.domain is a.ours.example  tag x  skip c  add-header \"T\" \"t\" }\n"
	    "check b { at rcpt  when tag.x  discard }\n"
	    "check c { when rcpt.domain is a.ours.example, b.ours.example  reject }\n"
	    "check d { at message  when any rcpt (tag.x)  reject 550 5.7.1 \"d\" }\n"
	    "check e { at message  when all rcpt (tag.x)  reject 550 5.7.1 \"e\" }\n");
	struct life   *l = begin();

	add_rcpt(l, "u@a.ours.example");
	T_EQ_STR(at(l, p, STAGE_RCPT, 0), "discard 250 2.0.0 by b: ok");
	add_rcpt(l, "u@b.ours.example");
	T_EQ_STR(at(l, p, STAGE_RCPT, 1), "reject 550 5.7.1 by c: refused by local policy");
	T_EQ_STR(notes(&l->tx), "tag a: x @0, fired b @0, fired c @1");
	l->env.rcpt[1].upstream_took = false;
	add_rcpt(l, "u@c.ours.example");
	T_EQ_STR(at(l, p, STAGE_RCPT, 2), "taken");
	T_EQ_STR(edits(&l->edits), "+T: t");
	/* the one that is dropped counts: its client heard 250 */
	l->env.rcpt[0].upstream_took = false;
	T_EQ_STR(at(l, p, STAGE_MESSAGE, 0), "taken");
	l->env.rcpt[0].dropped = true;
	T_EQ_STR(at(l, p, STAGE_MESSAGE, 0), "reject 550 5.7.1 by d: d");
	T_EQ_STR(notes(&l->tx), "fired d");
	clean();
}

static void
fields_for_recipients(void)
{
	struct policy *p = rules(RELAY
	    "check a { when rcpt in { @ours.example, @a.ours.example }  add-header \"T\" \"%{rcpt.domain}\" }\n"
	    "check b { when rcpt is bad@a.ours.example  reject }\n");
	struct life   *l = begin();

	add_rcpt(l, "x@ours.example");
	add_rcpt(l, "y@ours.example");
	add_rcpt(l, "bad@a.ours.example");
	for (unsigned i = 0; i < 3; i++)
		at(l, p, STAGE_RCPT, i);
	T_EQ_STR(edits(&l->edits), "+T: ours.example");
	clean();
}

/* The same is what is so in all of it: check, name (of any case) and value, and what is done. */
static void
once_is_enough_of_the_same(void)
{
	static const char field[] =
	    "{ when rcpt in { @ours.example }  add-header \"T\" \"v\"  add-header \"U\" \"v\"\n"
	    " add-header \"t\" \"v\"  add-header \"T\" \"V\"  delete-header \"T\"  add-header \"U\" \"\"  delete-header \"U\" }\n";
	struct policy *p = rules(
	    arena_printf(arena, "%scheck a %scheck b %s", RELAY, field, field).p);
	struct life *l = begin();

	add_rcpt(l, "x@ours.example");
	at(l, p, STAGE_RCPT, 0);
	T_EQ_STR(edits(&l->edits), "+T: v|+U: v|+T: V|-T|+U: |-U|+T: v|+U: v|+T: V|-T|+U: |-U");
	add_rcpt(l, "y@ours.example");
	at(l, p, STAGE_RCPT, 1);
	T_EQ_NUM(l->edits.n, 12);
	clean();
}

/* What goes out is what would be done recipient by recipient, of those who were taken. */
static void
fields_of_those_who_are_taken(void)
{
	static const struct {
		const char *checks, *taken,
		    *want; /* taken: of recipients a, b, c: yes, no, dropped */
	} rows[] = {
		{ "check k { when rcpt.local is a  add-header \"T\" \"%{rcpt.local}\" }", "nyy",
		    "" },
		{ "check k { when rcpt.local is a  add-header \"T\" \"%{rcpt.local}\" }", "dyy",
		    "+T: a" },
		{ "check k { at rcpt  when client in out  add-header \"T\" \"%{rcpt.local}\" }",
		    "yny", "+T: a|+T: c" },
		{ "check k { at rcpt  when client in out  add-header \"T\" \"x\" }", "nny",
		    "+T: x" },
		{ "check k { at rcpt  when client in out  add-header \"T\" \"x\" }", "nnn", "" },
		{ "check m { at mail  when client in out  add-header \"T\" \"x\" }", "nnn",
		    "+T: x" },
		{ "check k { when rcpt.local in { a, b }  delete-header \"To\"  add-header \"To\" \"%{rcpt.local}\" }",
		    "yyy", "+To: a|-To|+To: b" },
		{ "check k { when rcpt.local in { a, b }  delete-header \"To\"  add-header \"To\" \"%{rcpt.local}\" }",
		    "yny", "-To|+To: a" },
		{ "check k { when rcpt.local in { a, b }  delete-header \"To\"  add-header \"To\" \"x\" }",
		    "yyy", "-To|+To: x" },
		{ "check k { when rcpt.local in { a, b }  delete-header \"To\"  add-header \"To\" \"1%{rcpt.local}\" }\n"
		  "check l { when rcpt.local in { a, b }  delete-header \"to\"  add-header \"to\" \"2%{rcpt.local}\" }",
		    "yyy", "+To: 1a|+to: 2a|-To|+To: 1b|-to|+to: 2b" },
		{ "check k { when rcpt.domain in ours  add-header \"T\" \"x\" }\n"
		  "check l { when rcpt.local is b  delete-header \"T\" }",
		    "yyn", "+T: x|-T" },
		{ "check k { when rcpt.domain in ours  add-header \"T\" \"x\" }\n"
		  "check l { when rcpt.local is b  delete-header \"T\" }",
		    "yyy", "-T|+T: x" },
		{ "check m { at mail  when client in out  add-header \"T\" \"m\"  add-header \"U\" \"m\" }\n"
		  "check k { when rcpt.local is b  delete-header \"T\" }",
		    "yyy", "+T: m|+U: m|-T" },
	};

	for (unsigned n = 0; n < T_COUNT(rows); n++) {
		struct policy *p = rules(arena_printf(arena, "%s%s\n", RELAY, rows[n].checks).p);
		struct life   *l = begin();

		at(l, p, STAGE_MAIL, 0);
		for (unsigned i = 0; i < 3; i++) {
			add_rcpt(l, arena_printf(arena, "%c@ours.example", 'a' + i).p);
			at(l, p, STAGE_RCPT, i);
			l->env.rcpt[i].upstream_took = rows[n].taken[i] == 'y';
			l->env.rcpt[i].dropped = rows[n].taken[i] == 'd';
		}
		edits_settle(&l->edits, &l->env);
		T_EQ_STR(edits(&l->edits), rows[n].want);
		/* and once for all */
		l->env.n_rcpt = 0;
		edits_settle(&l->edits, &l->env);
		T_EQ_STR(edits(&l->edits), rows[n].want);
		clean();
	}
}

static void
skipped_by_recipients(void)
{
	struct policy *p = rules(RELAY "check a { when rcpt.domain is ours.example  skip m }\n"
				       "check m { at message  when client in out  reject }\n");
	struct life   *l = begin();

	add_rcpt(l, "u@ours.example");
	add_rcpt(l, "u@a.ours.example");
	l->env.rcpt[1].upstream_took = false;
	at(l, p, STAGE_RCPT, 0);
	at(l, p, STAGE_RCPT, 1);
	T_EQ_STR(at(l, p, STAGE_MESSAGE, 0), "taken");
	l->env.rcpt[1].upstream_took = true;
	T_EQ_STR(at(l, p, STAGE_MESSAGE, 0), "reject 550 5.7.1 by m: refused by local policy");
	clean();
}

/* ---- arguments ---- */

static void
arguments(void)
{
	struct policy *p = rules(
	    RELAY "check a { when dnsbl(\"a.example\")  tag a }\n"
		  "check b { when dnsbl(\"b.example\") = {127.0.0.2-127.0.0.11}  tag b }\n"
		  "check c { when dnsbl(\"b.example\") = {127.0.0.3}  tag c }\n"
		  "check d { when rhsbl(\"r.example\", helo)  tag d }\n"
		  "check e { when not sender.domain resolves  tag e }\n"
		  "check f { when mx(sender.domain)  tag f }\n");
	struct life *l = begin();

	l->yes = "b.example|r.example mx.out.example";
	at(l, p, STAGE_CONNECT, 0);
	T_EQ_STR(notes(&l->session), "tag b: b");
	at(l, p, STAGE_MAIL, 0);
	T_EQ_STR(notes(&l->tx), "tag d: d, tag e: e");
	T_EQ_TEXT(l->asked,
	    "dnsbl(a.example) dnsbl(b.example) helo rhsbl(r.example mx.out.example) "
	    "sender.domain resolves(out.example) mx(out.example)");
	clean();
}

/* No name in the place of a name: <> and literals are fine, what is absent is not there. */
static void
arguments_that_are_none(void)
{
	struct policy *p = rules(
	    RELAY "check a { when sender.domain resolves  tag a }\n"
		  "check b { when mx(sender.domain)  tag b }\n"
		  "check c { when helo resolves  tag c }\n"
		  "check d { when not helo resolves  tag d }\n"
		  "check e { when rhsbl(\"r.example\", sender.domain)  tag e }\n");
	struct life *l = begin();

	l->canned.v[CANNED_SENDER_DOMAIN].text = strv(NULL, 0);
	l->canned.v[CANNED_HELO].text = strv(NULL, 0);
	at(l, p, STAGE_MAIL, 0);
	T_EQ_STR(notes(&l->tx), "tag a: a, tag b: b, tag d: d");
	T_EQ_TEXT(l->asked, "sender.domain helo");
	l = begin();
	l->canned.v[CANNED_SENDER_DOMAIN].text = SV("[IPv6:2001:db8::1]");
	l->canned.v[CANNED_HELO].text = SV("[192.0.2.1]");
	/* the filter knows what to say of literals */
	l->yes = "[IPv6:2001:db8::1]|[192.0.2.1]";
	at(l, p, STAGE_MAIL, 0);
	T_EQ_STR(notes(&l->tx), "tag a: a, tag b: b, tag c: c");
	/* an argument that is unknown */
	l = begin();
	l->canned.unknown = (uint64_t)1 << CANNED_SENDER_DOMAIN;
	at(l, p, STAGE_MAIL, 0);
	T_EQ_STR(notes(&l->tx), "unknown a, unknown b, tag d: d, unknown e");
	clean();
}

/* ---- score ---- */

struct score_row {
	const char *when, *yes, *failing, *want, *asked;
};

#define LISTS "dnsbl(a.example) dnsbl(b.example) dnswl(w.example)"

static void
scores(void)
{
	static const struct score_row rows[] = {
		{ "score >= 5", "a.example|b.example", "", "yes", LISTS },
		{ "score >= 5", "a.example|b.example|w.example", "", "no", LISTS },
		{ "score >= 5", "", "", "no", "dnsbl(a.example)" },
		{ "score > 2", "b.example", "a.example", "unknown", LISTS },
		{ "score >= 5", "a.example|b.example", "w.example", "unknown", LISTS },
		{ "score < 0", "w.example", "b.example", "unknown", LISTS },
		{ "score < 1", "w.example", "b.example", "yes", LISTS },
		{ "score > 9", "a.example", "b.example", "no", "" },
		{ "score > -9", "", "a.example|b.example|w.example", "yes", "" },
		{ "score = 0", "", "a.example|b.example|w.example", "unknown", LISTS },
		{ "score = 7", "", "a.example|b.example|w.example", "no", "" },
		{ "score = 3", "a.example", "", "yes", LISTS },
		{ "score != 3", "a.example", "", "no", LISTS },
		{ "score in { 3, 4 }", "a.example", "", "yes", LISTS },
		{ "score not in { 3, 4 }", "a.example", "", "no", LISTS },
		{ "score in { 0, 3 }", "", "a.example", "unknown", LISTS },
	};

	T_TABLE(struct score_row, row, rows)
	{
		struct life   *l = begin();
		struct policy *p = rules(arena_printf(arena,
		    RELAY
		    "check z warn { at message  when dnsbl(\"a.example\", 3) or dnsbl(\"b.example\", 2) or dnswl(\"w.example\", -2)  reject }\n"
		    "check s { at mail  when %s  tag yes }\n"
		    "check t { at mail  when not (%s)  tag no }\n",
		    row->when, row->when)
					     .p);

		t_row = row->when;
		l->yes = row->yes;
		l->failing = row->failing;
		at(l, p, STAGE_MAIL, 0);
		T_EQ_STR(notes(&l->tx),
		    row->want[0] == 'y'     ? "tag s: yes" :
			row->want[0] == 'n' ? "tag t: no" :
					      "unknown s, unknown t");
		T_EQ_TEXT(l->asked, row->asked);
	}
	clean();
}

/* ---- texts ---- */

struct text_row {
	const char *name;
	struct strv helo;
	const char *reply, *field;
};

#define FIFTY "01234567890123456789012345678901234567890123456789"

static void
texts(void)
{
	static const struct text_row rows[] = {
		{ "plain", { "mx", 2 }, "no <mx>", "a <mx> b" },
		{ "controls", { "a\r\nb\0c\td\x7f", 9 }, "no <a?\?b?c d?>", "a <a  b c d > b" },
		{ "8-bit", { "\xc3\xa4", 2 }, "no <?\?>", "=?utf-8?B?YSA8w6Q+IGI=?=" },
		{ "no UTF-8", { "\xff=", 2 }, "no <?=>", "a <?=> b" },
		{ "encoded already", { "=?x?=", 5 }, "no <=?x?=>", "=?utf-8?B?YSA8PT94Pz0+IGI=?=" },
		{ "absent", { NULL, 0 }, "no <>", "a <> b" },
		{ "long", { FIFTY FIFTY FIFTY FIFTY "xyz", 203 },
		    "no <" FIFTY FIFTY FIFTY    FIFTY ">",
		    "a\r\n <" FIFTY FIFTY FIFTY FIFTY ">\r\n b" },
		{ "cut inside a character", { &FIFTY FIFTY FIFTY FIFTY "\xc3\xa4"[1], 201 },
		    "no <"
		    "1234567890123456789012345678901234567890123456789" FIFTY FIFTY FIFTY ">",
		    "a\r\n <"
		    "1234567890123456789012345678901234567890123456789" FIFTY FIFTY FIFTY
		    ">\r\n b" },
	};

	T_TABLE(struct text_row, row, rows)
	{
		struct policy *p = rules(RELAY
		    "check a { when client in out and not helo is x  add-header \"F\" \"a <%{helo}> b\"  reject 550 5.7.1 \"no <%{helo}>\" }\n");
		struct life   *l = begin();

		t_row = row->name;
		l->canned.v[CANNED_HELO].text = row->helo;
		T_EQ_STR(at(l, p, STAGE_MAIL, 0),
		    arena_printf(arena, "reject 550 5.7.1 by a: %s", row->reply).p);
		T_EQ_STR(edits(&l->edits), arena_printf(arena, "+F: %s", row->field).p);
	}
	clean();
}

/* RFC 2047 2: no encoded word above 75 octets, no line of a field above 78; characters whole. */
static void
a_long_field_is_folded(void)
{
	struct policy *p = rules(RELAY
	    "check a { at mail  when client in out  add-header \"F\" \"%{helo} %{helo} %{helo}\" }\n");
	struct life   *l = begin();
	char           helo[200];
	struct strv    v, line;

	for (unsigned i = 0; i < sizeof(helo); i += 2)
		memcpy(helo + i, "\xc3\xa4", 2);
	l->canned.v[CANNED_HELO].text = strv(helo, sizeof(helo));
	at(l, p, STAGE_MAIL, 0);
	if (!T_EQ_NUM(l->edits.n, 1))
		return;
	for (v = l->edits.v[0].value; v.p != NULL;) {
		line = strv_trim(strv_cut(&v, '\n'));
		line.n -= line.p[line.n - 1] == '\r';
		T_CHECKF(line.n <= 75 && strv_starts(line, SV("=?utf-8?B?")) &&
			strv_ends(line, SV("?=")),
		    "not a word: %.*s", (int)line.n, line.p);
	}
	clean();
}

/* RFC 5322 2.1.1, 3.2.2: no line of nothing but blanks, and none too long, whatever a stranger says; words stay whole. */
static void
a_field_of_blanks_is_folded(void)
{
	struct policy *p = rules(
	    RELAY "check a { at mail  when client in out\n"
		  "  add-header \"F\" \"a%{helo}%{helo}%{helo}%{helo}bc\" }\n");
	struct life *l = begin();
	char         helo[200];
	struct strv  v, line;
	unsigned     lines = 0;

	memset(helo, ' ', sizeof(helo));
	l->canned.v[CANNED_HELO].text = strv(helo, sizeof(helo));
	at(l, p, STAGE_MAIL, 0);
	if (!T_EQ_NUM(l->edits.n, 1))
		return;
	for (v = l->edits.v[0].value; v.p != NULL; lines++) {
		line = strv_cut(&v, '\n');
		line.n -= line.n > 0 && line.p[line.n - 1] == '\r';
		T_CHECKF(line.n <= 78, "%zu octets", line.n);
		T_EQ_TEXT(strv_trim(line), lines == 0 ? "a" : "bc");
	}
	T_EQ_NUM(lines, 2);
	clean();
}

/* ---- what is told ---- */

static void
explains(void)
{
	struct policy *p = rules(RELAY
	    "check a { at mail  when client in out and helo is mx.out.example  reject 550 5.7.1 \"a\" }\n"
	    "check b { when size is absent  tag x  reject 550 5.7.1 \"b\" }\n"
	    "check c { at mail  when tag.x  reject }\n"
	    "check d warn { when sender is a@out.example  reject }\n");
	struct life   *l = begin();

	l->tx.mode = POLICY_EXPLAIN;
	l->tx.look = look;
	l->tx.look_arg = l;
	T_EQ_STR(at(l, p, STAGE_MAIL, 0), "reject 550 5.7.1 by a: a");
	T_EQ_TEXT(l->looked, "a=yes![client helo] b=yes[size] c=no[] d=yes[sender] ");
	T_EQ_STR(notes(&l->tx), "fired a, also b");
	/* in a live session nothing is asked behind it */
	l = begin();
	l->tx.look = look;
	l->tx.look_arg = l;
	at(l, p, STAGE_MAIL, 0);
	T_EQ_TEXT(l->looked, "a=yes![client helo] b=unasked[] c=no[] d=unasked[] ");
	clean();
}

static void
notes_have_a_ceiling(void)
{
	struct policy *p = rules(RELAY "check a { at rcpt  when client in out  log \"x\" }\n");
	struct life   *l = begin();
	unsigned       n = 0;

	for (unsigned i = 0; i < NOTES_MAX + 50; i++) {
		add_rcpt(l, "u@ours.example");
		at(l, p, STAGE_RCPT, i);
		for (const struct note *x = l->tx.notes.first; x != NULL; x = x->next)
			n++;
		l->tx.notes.first = l->tx.notes.last = NULL;
	}
	T_EQ_NUM(n, NOTES_MAX);
	clean();
}

static void
cancelled(void)
{
	struct policy *p = rules(RELAY "check a { when not helo is x  tag t  reject }\n");
	struct life   *l = begin();
	struct verdict v = { .kind = VERDICT_REJECT };

	l->canned.cancel = true;
	T_EQ_NUM(policy_eval(p, STAGE_MAIL, 0, &l->tx, &v), WAIT_CANCELLED);
	T_EQ_NUM(v.kind, VERDICT_NONE);
	T_EQ_STR(notes(&l->tx), "");
	clean();
}

static void
patterns(void)
{
	struct policy *p = rules(
	    RELAY "patterns odd { \"^mx[.]\", \"x$\" }\n"
		  "check a { when helo matches \"^mx\"  tag a }\n"
		  "check b { when helo matches odd  tag b }\n"
		  "check c { when sender not matches \"@out[.]example$\"  tag c }\n"
		  "check d { when helo matches \"(a+)+$\"  tag d }\n");
	struct life *l = begin();
	char         helo[400];

	at(l, p, STAGE_MAIL, 0);
	T_EQ_STR(notes(&l->tx), "tag a: a, tag b: b");
	/* a limit is reached: neither yes nor no */
	l = begin();
	memset(helo, 'a', sizeof(helo));
	helo[sizeof(helo) - 1] = '!';
	l->canned.v[CANNED_HELO].text = strv(helo, sizeof(helo));
	at(l, p, STAGE_MAIL, 0);
	T_EQ_STR(notes(&l->tx), "unknown d");
	clean();
}

static void
what_is_wanted_early(void)
{
	struct policy *p = rules(
	    RELAY "check a { when dnsbl(\"a.example\") or dnsbl(\"b.example\")  tag x }\n"
		  "check b { at mail  when not sender.domain resolves  tag y }\n");
	struct life *l = begin();
	unsigned     first, n;

	n = policy_wants(p, STAGE_CONNECT, &first);
	if (!T_EQ_NUM(n, 1))
		return;
	T_CHECK(policy_wanted(p, first, 0, &l->session));
	T_EQ_NUM(policy_want(p, first, 0, &l->session), WAIT_OK);
	T_CHECK(!policy_wanted(p, first, 0, &l->session));
	T_EQ_TEXT(l->asked, "dnsbl(a.example)");
	n = policy_wants(p, STAGE_MAIL, &first);
	if (!T_EQ_NUM(n, 1))
		return;
	T_EQ_NUM(policy_want(p, first, 0, &l->tx), WAIT_OK);
	T_EQ_TEXT(l->asked, "dnsbl(a.example) sender.domain resolves(out.example)");
	at(l, p, STAGE_MAIL, 0);
	T_EQ_TEXT(l->asked, "dnsbl(a.example) sender.domain resolves(out.example)");
	clean();
}

/* Who has no gate does not look up what it alone would ask; what a check asks as well is looked up. */
static void
what_the_gate_wants_is_for_those_who_have_one(void)
{
	static const char gate[] = "relay { allow when dnsbl(\"a.example\") }\n";
	struct policy    *p = rules(gate);
	struct life      *l = begin();
	unsigned          first;

	if (!T_EQ_NUM(policy_wants(p, STAGE_CONNECT, &first), 1))
		return;
	T_CHECK(policy_wanted(p, first, 0, &l->session));
	l->session.no_gate = true;
	T_CHECK(!policy_wanted(p, first, 0, &l->session));
	clean();
	p = rules("relay { allow when dnsbl(\"a.example\") }\n"
		  "check a { at data when dnsbl(\"a.example\")  tag x }\n");
	l = begin();
	l->session.no_gate = true;
	if (!T_EQ_NUM(policy_wants(p, STAGE_CONNECT, &first), 1))
		return;
	T_CHECK(policy_wanted(p, first, 0, &l->session));
	clean();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	T_RUN(the_first_verdict_holds);
	T_RUN(a_verdict_from_before);
	T_RUN(the_gate_comes_first);
	T_RUN(a_stage_without_checks);
	T_RUN(unknown);
	T_RUN(a_dry_run);
	T_RUN(effects_in_order);
	T_RUN(what_a_session_leaves_to_its_transactions);
	T_RUN(each_recipient_by_itself);
	T_RUN(fields_for_recipients);
	T_RUN(once_is_enough_of_the_same);
	T_RUN(fields_of_those_who_are_taken);
	T_RUN(skipped_by_recipients);
	T_RUN(arguments);
	T_RUN(arguments_that_are_none);
	T_RUN(scores);
	if (HAVE_PCRE2)
		T_RUN(patterns);
	T_RUN(texts);
	T_RUN(a_long_field_is_folded);
	T_RUN(a_field_of_blanks_is_folded);
	T_RUN(explains);
	T_RUN(notes_have_a_ceiling);
	T_RUN(cancelled);
	T_RUN(what_is_wanted_early);
	T_RUN(what_the_gate_wants_is_for_those_who_have_one);
	arena_free(arena);
	return t_end();
}
