/*
 * t_advised -- what a policy makes of milters: who is told, and what becomes of what they say.
 */
#include "tests/policy/stranger.h"

enum { MILTER = CANNED_N, N_FACTS };

static const char *const words[] = { "continue", "accept", "reject", "tempfail", "discard",
	"quarantine", "disconnect", NULL };

static const struct fact_def milter_fact = { .name = "milter",
	.type = FACT_WORD,
	.first = STAGE_CONNECT,
	.settled = STAGE_MESSAGE,
	.words = words,
	.args = "s",
	.cost = COST_TEXT };

static struct fact_def facts[N_FACTS];
static struct policy  *policy;

/* ---- a session as far as the policy sees it ---- */

#define MILTERS 4

struct life {
	struct canned      canned;
	struct facts       of_session, of_tx;
	struct edits       edits;
	struct envelope    env;
	struct policy_case session, tx;
	const char        *says[MILTERS]; /* "m0": a word, "?": unknown; NULL: absent */
	struct advice      advice[MILTERS];
	unsigned           asked; /* how often a fact was */
};

static enum wait_rc
life_ask(void *ctx, struct fact *f)
{
	struct life *l = ctx;
	unsigned     i = f->arg.n == 2 ? (unsigned)(f->arg.p[1] - '0') : MILTERS;

	l->asked++;
	if (f->number == MILTER) {
		f->state = FACT_KNOWN;
		f->v.word = FACT_WORD_ABSENT;
		if (i >= MILTERS || l->says[i] == NULL)
			return WAIT_OK;
		if (l->says[i][0] == '?')
			f->state = FACT_UNKNOWN;
		for (unsigned k = 0; words[k] != NULL; k++)
			if (strcmp(words[k], l->says[i]) == 0)
				f->v.word = k;
		return WAIT_OK;
	}
	if (f->def->per_rcpt && f->def->type == FACT_PATH && f->rcpt < l->env.n_rcpt) {
		f->state = FACT_KNOWN;
		f->v.path = &l->env.rcpt[f->rcpt].to;
		return WAIT_OK;
	}
	return canned_ask(&l->canned, f);
}

#define RELAY \
	"networks out { 198.51.100.0/24 }\n" \
	"relay { allow to { ours.example } }\n"
#define M(n, more) "milter m" #n " { socket \"unix:/m\" " more " }\n"

static struct life *
begin(const char *text)
{
	struct canned_file  file = { "p.conf", text, { NULL, 0 } };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = arena };
	struct life        *l = arena_alloc(arena, sizeof(*l));

	memcpy(facts, canned_facts, sizeof(canned_facts[0]) * CANNED_N);
	facts[MILTER] = milter_fact;
	policy = policy_load(arena, &w, conf_parse(arena, &w, "p.conf", &d), facts, N_FACTS,
	    &canned_names, &canned_key, &d);
	if (!T_CHECKF(policy != NULL, "the policy does not load")) {
		diag_print(&d, false, show, NULL);
		exit(1);
	}
	l->canned = stranger("u@ours.example");
	l->of_session = (struct facts){ .a = arena, .ask = life_ask, .ctx = l };
	l->of_tx = l->of_session;
	l->of_tx.outer = &l->of_session;
	l->session = (struct policy_case){ .a = arena, .facts = &l->of_session };
	l->tx = (struct policy_case){
		.a = arena, .facts = &l->of_tx, .edits = &l->edits, .env = &l->env
	};
	return l;
}

static void
end(void)
{
	policy_free(policy);
	policy = NULL;
	arena_reset(arena);
}

static void
add_rcpt(struct life *l, const char *to, bool taken)
{
	struct rcpt *r = envelope_add(arena, &l->env);
	const char  *why = "";

	T_CHECK(path_parse_plain(arena, strv_z(to), &r->to, &why) == PATH_OK);
	r->upstream_took = taken;
}

static void
says(struct life *l, unsigned i, enum verdict_kind kind)
{
	l->advice[i] = (struct advice){ .asked = true, .say = { .kind = kind } };
}

static void
fails(struct life *l, unsigned i)
{
	l->advice[i] = (struct advice){ .asked = true, .failed = true };
}

static struct policy_case *
case_at(struct life *l, enum stage at)
{
	return at < STAGE_MAIL ? &l->session : &l->tx;
}

static const char *
print(const struct verdict *v)
{
	if (!verdict_final(v))
		return "none";
	return arena_printf(arena, "%s %u %s by %.*s", verdict_word(v->kind), verdict_code(v),
	    verdict_enh(v), (int)v->by.n, v->by.p)
	    .p;
}

/* What the milters' turn at a stage comes to. */
static const char *
advised(struct life *l, enum stage at, unsigned rcpt)
{
	struct verdict v;

	T_EQ_NUM(
	    policy_advised(policy, at, rcpt, case_at(l, at), l->advice, policy_milters(policy), &v),
	    WAIT_OK);
	return print(&v);
}

/* What the checks in front of them say. */
static const char *
checked(struct life *l, enum stage at, unsigned rcpt)
{
	struct verdict v;

	T_EQ_NUM(policy_eval(policy, at, rcpt, case_at(l, at), &v), WAIT_OK);
	return print(&v);
}

static const char *
hears(struct life *l, unsigned i, enum stage at)
{
	static const char *const all[] = { "no", "not yet", "yes", "cancelled" };

	return all[policy_hears(policy, i, at, case_at(l, at))];
}

/* "fired a, warn b?, also m!": of what is unknown, and of a milter that failed, with a mark; they are taken. */
static const char *
notes(struct policy_case *c)
{
	static const char *const kinds[] = { "fired", "warn", "also", "unknown", "log", "tag" };
	struct strv              all = SV("");

	for (const struct note *n = c->notes.first; n != NULL; n = n->next) {
		all = arena_printf(arena, "%.*s%s%s %.*s%s", (int)all.n, all.p,
		    all.n > 0 ? ", " : "", kinds[n->kind], (int)n->check.n, n->check.p,
		    n->unknown    ? "?" :
			n->failed ? "!" :
				    "");
		if (n->rcpt != NOTE_NO_RCPT)
			all = arena_printf(arena, "%.*s @%u", (int)all.n, all.p, n->rcpt);
	}
	c->notes.first = c->notes.last = NULL;
	return all.n > 0 ? all.p : "";
}

/* ---- who is told ---- */

static void
who_has_no_condition_is_told_at_once(void)
{
	struct life *l = begin(RELAY M(0, ""));

	T_EQ_STR(hears(l, 0, STAGE_CONNECT), "yes");
	T_EQ_STR(hears(l, 0, STAGE_MESSAGE), "yes");
	T_EQ_STR(hears(l, 0, STAGE_UNKNOWN), "yes");
	T_EQ_NUM(l->asked, 0);
	end();
}

static void
a_condition_is_awaited(void)
{
	struct life *l = begin(RELAY M(0, "when client in out") M(1, "when not client in out") M(2,
	    "when sender.domain is out.example and client in out") M(3, "when message.size < 10M"));

	l->canned.v[CANNED_MESSAGE_SIZE].number = 1000;
	T_EQ_STR(hears(l, 0, STAGE_CONNECT), "yes");
	T_EQ_STR(hears(l, 1, STAGE_CONNECT), "no");
	T_EQ_STR(hears(l, 2, STAGE_CONNECT), "not yet");
	T_EQ_STR(hears(l, 2, STAGE_HELO), "not yet");
	T_EQ_STR(hears(l, 2, STAGE_MAIL), "yes");
	T_EQ_STR(hears(l, 3, STAGE_DATA), "not yet");
	T_EQ_STR(hears(l, 3, STAGE_MESSAGE), "yes");
	end();
}

/* Outside of a transaction nothing of one is asked, though the stage stands behind all others in its enum. */
static void
a_command_that_is_not_known(void)
{
	struct life *l = begin(RELAY M(0, "when sender is not null") M(1, "when rcpt.count > 1"));

	T_EQ_NUM(policy_hears(policy, 0, STAGE_UNKNOWN, &l->session), HEARS_NOT_YET);
	T_EQ_NUM(l->asked, 0);
	T_EQ_NUM(policy_hears(policy, 0, STAGE_UNKNOWN, &l->tx), HEARS_YES);
	T_EQ_NUM(policy_hears(policy, 1, STAGE_UNKNOWN, &l->tx), HEARS_NOT_YET);
	end();
}

static void
what_is_not_known_is_told(void)
{
	struct life *l = begin(RELAY M(0, "when not helo is x") M(1, "when helo is x and size is 1")
		M(2, "when helo is x or size is absent"));

	l->canned.unknown = (uint64_t)1 << CANNED_HELO;
	T_EQ_STR(hears(l, 0, STAGE_MAIL), "yes");
	/* unknown and no is no */
	T_EQ_STR(hears(l, 1, STAGE_MAIL), "no");
	T_EQ_STR(hears(l, 2, STAGE_MAIL), "yes");
	end();
}

static void
a_client_that_goes(void)
{
	struct life *l = begin(RELAY M(0, "when helo is x"));

	l->canned.cancel = true;
	T_EQ_STR(hears(l, 0, STAGE_MAIL), "cancelled");
	end();
}

static void
recipients_together(void)
{
	struct life *l = begin(RELAY M(0, "when any rcpt (rcpt is a@ours.example)")
		M(1, "when all rcpt (rcpt is a@ours.example)"));

	add_rcpt(l, "a@ours.example", true);
	add_rcpt(l, "b@ours.example", false);
	T_EQ_STR(hears(l, 0, STAGE_RCPT), "not yet");
	T_EQ_STR(hears(l, 0, STAGE_DATA), "yes");
	/* b was refused */
	T_EQ_STR(hears(l, 1, STAGE_DATA), "yes");
	add_rcpt(l, "c@ours.example", true);
	T_EQ_STR(hears(l, 1, STAGE_DATA), "no");
	end();
}

static void
what_one_above_has_said(void)
{
	struct life *l = begin(RELAY M(0, "") M(1, "when milter(m0) is continue, accept"));

	T_EQ_STR(hears(l, 1, STAGE_DATA), "not yet");
	l->says[0] = "reject";
	T_EQ_STR(hears(l, 1, STAGE_MESSAGE), "no");
	end();
	l = begin(RELAY M(0, "") M(1, "when milter(m0) is continue, accept"));
	l->says[0] = "accept";
	T_EQ_STR(hears(l, 1, STAGE_MESSAGE), "yes");
	end();
}

/* ---- who need not be told ---- */

/* What is certain to be obeyed before those behind have spoken: what policy_advised makes of it, or nothing. */
static void
what_is_certain_to_be_obeyed(void)
{
	static const struct row {
		const char       *rest; /* of the configuration */
		enum stage        at;
		enum verdict_kind says;
		const char       *want; /* "!": it has failed */
	} rows[] = {
		{ M(0, ""), STAGE_MESSAGE, VERDICT_REJECT, "reject 550 5.7.1 by m0" },
		{ M(0, ""), STAGE_MESSAGE, VERDICT_DISCARD, "discard 250 2.0.0 by m0" },
		{ M(0, ""), STAGE_CONNECT, VERDICT_TEMPFAIL, "tempfail 451 4.7.1 by m0" },
		{ M(0, ""), STAGE_MESSAGE, VERDICT_NONE, "none" },
		{ M(0, ""), STAGE_MESSAGE, VERDICT_QUARANTINE, "none" },
		{ M(0, ""), STAGE_MESSAGE, VERDICT_MAX, "tempfail 451 4.7.1 by m0" },
		{ M(0, ""), STAGE_CONNECT, VERDICT_MAX, "none" },
		{ M(0, "on failure accept"), STAGE_MESSAGE, VERDICT_MAX, "none" },
		{ M(0, "on failure quarantine"), STAGE_MESSAGE, VERDICT_MAX, "none" },
		{ "milter m0 warn { socket \"unix:/m\" }\n", STAGE_MESSAGE, VERDICT_REJECT,
		    "none" },
		{ M(0, "") "check c { when milter(m0) is accept reject }\n", STAGE_MESSAGE,
		    VERDICT_REJECT, "none" },
		{ M(0, "") "check c { when milter(m0) is accept reject }\n", STAGE_DATA,
		    VERDICT_REJECT, "reject 550 5.7.1 by m0" },
		{ M(0, "") "check c { at connect when client in out skip m0 }\n", STAGE_MESSAGE,
		    VERDICT_REJECT, "none" },
	};

	T_TABLE(struct row, r, rows)
	{
		struct life   *l = begin(arena_z(arena, arena_printf(arena, RELAY "%s", r->rest)));
		struct verdict v;

		t_row = r->rest;
		says(l, 0, r->says);
		if (r->says == VERDICT_MAX)
			fails(l, 0);
		(void)checked(l, STAGE_CONNECT, 0);
		policy_begin(policy, &l->session, &l->tx);
		v = policy_obeyed(policy, 0, r->at, 0, case_at(l, r->at), &l->advice[0]);
		T_EQ_STR(print(&v), r->want);
		T_EQ_NUM(v.kind != VERDICT_NONE, verdict_final(&v));
		end();
	}
	t_row = NULL;
}

/* ---- as the milters say ---- */

static void
the_first_that_is_final_holds(void)
{
	struct life *l = begin(RELAY M(0, "") M(1, "") M(2, ""));

	says(l, 0, VERDICT_NONE);
	T_EQ_STR(advised(l, STAGE_MAIL, 0), "none");
	says(l, 1, VERDICT_TEMPFAIL);
	says(l, 2, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_MAIL, 0), "tempfail 451 4.7.1 by m1");
	T_EQ_STR(notes(&l->tx), "fired m1, also m2");
	/* it took no part */
	l->advice[1].asked = false;
	T_EQ_STR(advised(l, STAGE_MAIL, 0), "reject 550 5.7.1 by m2");
	end();
}

static void
its_own_words(void)
{
	struct life   *l = begin(RELAY M(0, ""));
	struct verdict v;

	says(l, 0, VERDICT_REJECT);
	l->advice[0].say.code = 554;
	memcpy(l->advice[0].say.enh, "5.6.1", 6);
	l->advice[0].say.text = SV("one\ntwo");
	T_EQ_NUM(policy_advised(policy, STAGE_MESSAGE, 0, &l->tx, l->advice, 1, &v), WAIT_OK);
	T_EQ_STR(print(&v), "reject 554 5.6.1 by m0");
	T_EQ_TEXT(v.text, "one\ntwo");
	end();
}

static void
a_quarantine_waits_for_the_message(void)
{
	struct life *l = begin(RELAY M(0, "") M(1, "on failure quarantine"));

	says(l, 0, VERDICT_QUARANTINE);
	fails(l, 1);
	T_EQ_STR(advised(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(advised(l, STAGE_DATA, 0), "none");
	T_EQ_STR(notes(&l->tx), "");
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "quarantine 250 2.0.0 by m0");
	says(l, 0, VERDICT_NONE);
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "quarantine 250 2.0.0 by m1");
	end();
}

/* libmilter gives no such answer before MAIL: who does is not obeyed. */
static void
a_discard_before_mail_is_none(void)
{
	struct life *l = begin(RELAY M(0, ""));

	says(l, 0, VERDICT_DISCARD);
	T_EQ_STR(advised(l, STAGE_HELO, 0), "none");
	T_EQ_STR(advised(l, STAGE_MAIL, 0), "discard 250 2.0.0 by m0");
	end();
}

static void
on_failure(void)
{
	static const struct row {
		const char *says, *want;
	} rows[] = {
		{ "", "tempfail 451 4.7.1 by m0" },
		{ "on failure tempfail", "tempfail 451 4.7.1 by m0" },
		{ "on failure reject", "reject 550 5.7.1 by m0" },
		{ "on failure accept", "none" },
		{ "on failure disconnect", "disconnect 421 4.7.0 by m0" },
	};

	T_TABLE(struct row, r, rows)
	{
		struct strv text = arena_printf(
		    arena, RELAY "milter m0 { socket \"unix:/m\" %s }\n", r->says);
		struct life *l = begin(arena_z(arena, text));

		t_row = r->says;
		fails(l, 0);
		/* what it said before it failed does not count */
		l->advice[0].say.kind = VERDICT_REJECT;
		T_EQ_STR(advised(l, STAGE_MAIL, 0), r->want);
		T_EQ_STR(notes(&l->tx), strcmp(r->want, "none") == 0 ? "" : "fired m0!");
		T_EQ_STR(advised(l, STAGE_MESSAGE, 0), r->want);
		/* the next message asks it anew: nothing is settled for the session */
		T_EQ_STR(advised(l, STAGE_CONNECT, 0), "none");
		T_EQ_STR(advised(l, STAGE_HELO, 0), "none");
		end();
	}
}

/* ---- warn ---- */

static void
who_only_warns(void)
{
	struct life *l = begin(RELAY "milter m0 warn { socket \"unix:/m\" }\n" M(1, ""));

	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_MAIL, 0), "none");
	T_EQ_STR(notes(&l->tx), "warn m0");
	/* that is told once */
	T_EQ_STR(advised(l, STAGE_DATA, 0), "none");
	T_EQ_STR(notes(&l->tx), "");
	says(l, 1, VERDICT_TEMPFAIL);
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "tempfail 451 4.7.1 by m1");
	end();
}

static void
who_warns_of_recipients(void)
{
	struct life *l = begin(RELAY "milter m0 warn { socket \"unix:/m\" }\n");

	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(advised(l, STAGE_RCPT, 1), "none");
	T_EQ_STR(notes(&l->tx), "warn m0 @0, warn m0 @1");
	fails(l, 0);
	T_EQ_STR(advised(l, STAGE_RCPT, 2), "none");
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "none");
	T_EQ_STR(notes(&l->tx), "warn m0! @2");
	end();
}

/* ---- checks that ask ---- */

static void
checks_that_ask_come_behind(void)
{
	struct life *l = begin(RELAY
	    "check asks { when milter(m0) is reject  reject 550 5.7.9 \"a\" }\n"
	    "check plain { at message  when client in out  tag seen }\n"
	    "check sets { when milter(m0) is tempfail and tag.seen  tag bad }\n"
	    "check behind { when tag.bad and client in out  reject 550 5.7.7 \"b\" }\n" M(0, ""));

	T_CHECK(policy_has(policy, STAGE_MESSAGE) && policy_has_advised(policy, STAGE_MESSAGE));
	T_CHECK(!policy_has_advised(policy, STAGE_MAIL) && !policy_has_advised(policy, STAGE_DATA));
	l->says[0] = "reject";
	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(checked(l, STAGE_MESSAGE, 0), "none");
	T_EQ_STR(notes(&l->tx), "tag plain");
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "reject 550 5.7.9 by asks");
	T_EQ_STR(notes(&l->tx), "fired asks, also m0");
	end();
}

/* A check that asks for a tag of one that asks a milter stands behind the milters as well. */
static void
tags_carry_it_on(void)
{
	struct life *l = begin(RELAY
	    "check plain { at message  when client in out  log \"once\" }\n"
	    "check sets { when milter(m0) is tempfail  tag bad }\n"
	    "check behind { when tag.bad and client in out  reject 550 5.7.7 \"b\" }\n" M(0, ""));

	l->says[0] = "tempfail";
	T_EQ_STR(checked(l, STAGE_MESSAGE, 0), "none");
	T_EQ_STR(notes(&l->tx), "log plain");
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "reject 550 5.7.7 by behind");
	T_EQ_STR(notes(&l->tx), "tag sets, fired behind");
	end();
}

static void
absent_and_unknown(void)
{
	static const char text[] = RELAY
	    "check absent { when milter(m0) is absent  log \"absent\" }\n"
	    "check not-reject { when milter(m0) is not reject  log \"not\" }\n"
	    "check open { when not milter(m0) is reject  on unknown tempfail 451 4.7.5 \"?\" }\n"
	    "check either { when milter(m0) is reject or client in out  reject }\n" M(0, "");
	struct life *l = begin(text);

	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "reject 550 5.7.1 by either");
	T_EQ_STR(notes(&l->tx), "log absent, log not-reject, fired either");
	end();
	l = begin(text);
	l->says[0] = "?";
	fails(l, 0);
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "tempfail 451 4.7.5 by open");
	T_EQ_STR(notes(&l->tx), "unknown absent, unknown not-reject, fired open?, also m0!");
	end();
}

static void
a_check_at_an_earlier_stage(void)
{
	struct life *l = begin(RELAY
	    "check early { at rcpt  when milter(m0) is reject and not rcpt is a@ours.example\n"
	    "  skip m0  add-header \"X\" \"y\" }\n"
	    "check plain { when rcpt is b@ours.example  add-header \"P\" \"p\" }\n" M(0, ""));

	add_rcpt(l, "a@ours.example", true);
	add_rcpt(l, "b@ours.example", true);
	l->says[0] = "reject";
	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(checked(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(advised(l, STAGE_RCPT, 0), "reject 550 5.7.1 by m0");
	T_EQ_STR(checked(l, STAGE_RCPT, 1), "none");
	T_EQ_STR(advised(l, STAGE_RCPT, 1), "none");
	T_EQ_NUM(l->edits.n, 2);
	/* of one recipient: the other one wants it heard */
	T_EQ_STR(hears(l, 0, STAGE_DATA), "yes");
	l->env.rcpt[0].upstream_took = false;
	T_EQ_STR(hears(l, 0, STAGE_DATA), "no");
	T_EQ_STR(advised(l, STAGE_DATA, 0), "none");
	end();
}

/* Another recipient may come that wants it heard. */
static void
the_first_recipient_skips(void)
{
	struct life *l = begin(
	    RELAY "check abuse { when rcpt is a@ours.example  skip m0 }\n" M(0, ""));

	add_rcpt(l, "a@ours.example", true);
	T_EQ_STR(checked(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(hears(l, 0, STAGE_RCPT), "yes");
	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(hears(l, 0, STAGE_DATA), "no");
	end();
}

/* It asks nothing of the recipient but what the milter says of it. */
static void
a_check_at_rcpt_is_of_one(void)
{
	struct life *l = begin(
	    RELAY "check early { at rcpt  when milter(m0) is reject  skip m0 }\n" M(0, ""));

	add_rcpt(l, "a@ours.example", true);
	add_rcpt(l, "b@ours.example", true);
	l->says[0] = "reject";
	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(hears(l, 0, STAGE_DATA), "yes");
	T_EQ_STR(advised(l, STAGE_RCPT, 1), "none");
	T_EQ_STR(hears(l, 0, STAGE_DATA), "no");
	end();
}

/* What the checks had added for a recipient goes where a milter refuses it. */
static void
a_refused_recipient_leaves_nothing(void)
{
	struct life *l = begin(RELAY
	    "check plain { when rcpt.local is absent or client in out  add-header \"P\" \"%{rcpt}\" }\n" M(
		0, ""));

	add_rcpt(l, "a@ours.example", true);
	add_rcpt(l, "b@ours.example", true);
	T_EQ_STR(checked(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(advised(l, STAGE_RCPT, 0), "none");
	T_EQ_STR(checked(l, STAGE_RCPT, 1), "none");
	T_EQ_NUM(l->edits.n, 2);
	says(l, 0, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_RCPT, 1), "reject 550 5.7.1 by m0");
	T_EQ_NUM(l->edits.n, 1);
	end();
}

/* ---- skip ---- */

static void
a_check_skips_a_milter(void)
{
	struct life *l = begin(
	    RELAY "check trusted { when client in out  skip m1 }\n" M(0, "") M(1, ""));

	T_EQ_STR(hears(l, 1, STAGE_CONNECT), "yes");
	T_EQ_STR(checked(l, STAGE_CONNECT, 0), "none");
	T_EQ_STR(hears(l, 0, STAGE_CONNECT), "yes");
	T_EQ_STR(hears(l, 1, STAGE_CONNECT), "no");
	policy_begin(policy, &l->session, &l->tx);
	T_EQ_STR(hears(l, 1, STAGE_MESSAGE), "no");
	says(l, 1, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_MAIL, 0), "none");
	fails(l, 1);
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "none");
	end();
}

static void
a_skip_of_helo_goes_with_it(void)
{
	struct life *l = begin(
	    RELAY "check at-helo { at helo  when client in out  skip m0 }\n" M(0, ""));

	T_EQ_STR(checked(l, STAGE_HELO, 0), "none");
	T_EQ_STR(hears(l, 0, STAGE_HELO), "no");
	policy_again(policy, STAGE_HELO, &l->session);
	T_EQ_STR(hears(l, 0, STAGE_HELO), "yes");
	end();
}

static void
what_it_says_is_not_obeyed(void)
{
	struct life *l = begin(
	    RELAY "check ours { when milter(m0) is reject and client in out  skip m0, m2 }\n"
		  "check skipped { when client in out  skip asks }\n"
		  "check asks { when milter(m1) is reject  reject 550 5.7.2 \"x\" }\n" M(0, "")
		      M(1, "") M(2, ""));

	T_EQ_STR(checked(l, STAGE_CONNECT, 0), "none");
	policy_begin(policy, &l->session, &l->tx);
	l->says[0] = l->says[1] = l->says[2] = "reject";
	says(l, 0, VERDICT_REJECT);
	says(l, 1, VERDICT_TEMPFAIL);
	says(l, 2, VERDICT_REJECT);
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "tempfail 451 4.7.1 by m1");
	T_EQ_STR(notes(&l->tx), "fired m1");
	end();
}

/* ---- what is settled ---- */

static void
behind_a_verdict_nothing_is_asked(void)
{
	struct life *l = begin(
	    RELAY "check asks { when milter(m0) is reject  reject 550 5.7.2 \"x\" }\n" M(0, ""));

	says(l, 0, VERDICT_REJECT);
	l->tx.settled = true;
	T_EQ_STR(advised(l, STAGE_MESSAGE, 0), "none");
	T_EQ_STR(notes(&l->tx), "");
	T_EQ_NUM(l->asked, 0);
	end();
}

static void
cancelled_in_a_check(void)
{
	struct life *l = begin(
	    RELAY "check asks { when milter(m0) is absent and helo is x  reject }\n" M(0, ""));
	struct verdict v;

	l->canned.cancel = true;
	says(l, 0, VERDICT_REJECT);
	T_EQ_NUM(
	    policy_advised(policy, STAGE_MESSAGE, 0, &l->tx, l->advice, 1, &v), WAIT_CANCELLED);
	T_CHECK(!verdict_final(&v));
	end();
}

/* ---- what is written ---- */

static void
what_a_block_says(void)
{
	const struct policy_milter *m;

	(void)begin(RELAY "milter a { socket \"inet:1@127.0.0.1\" timeout 90s on failure reject }\n"
			  "check c { when size is 1 reject }\n"
			  "milter b warn { socket \"unix:/b\" when helo is x }\n");
	T_EQ_NUM(policy_milters(policy), 2);
	m = policy_milter(policy, 0);
	T_EQ_TEXT(m->name, "a");
	T_EQ_TEXT(m->socket, "inet:1@127.0.0.1");
	T_EQ_NUM(m->timeout, 90000);
	T_EQ_NUM(m->on_failure, FAILURE_REJECT);
	T_CHECK(!m->plugin && !m->warn && !m->conditional && m->load.p == NULL);
	m = policy_milter(policy, 1);
	T_EQ_TEXT(m->name, "b");
	T_EQ_NUM(m->timeout, 0);
	T_EQ_NUM(m->on_failure, FAILURE_TEMPFAIL);
	T_CHECK(m->warn && m->conditional);
	T_EQ_NUM(m->pos.line, 5);
	/* A message that a milter is shown is there whole. */
	T_CHECK(policy_edits(policy));
	T_CHECK(policy_asks(policy, CANNED_HELO) && !policy_asks(policy, MILTER));
	end();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	T_RUN(who_has_no_condition_is_told_at_once);
	T_RUN(a_condition_is_awaited);
	T_RUN(a_command_that_is_not_known);
	T_RUN(what_is_not_known_is_told);
	T_RUN(a_client_that_goes);
	T_RUN(recipients_together);
	T_RUN(what_one_above_has_said);
	T_RUN(what_is_certain_to_be_obeyed);
	T_RUN(the_first_that_is_final_holds);
	T_RUN(its_own_words);
	T_RUN(a_quarantine_waits_for_the_message);
	T_RUN(a_discard_before_mail_is_none);
	T_RUN(on_failure);
	T_RUN(who_only_warns);
	T_RUN(who_warns_of_recipients);
	T_RUN(checks_that_ask_come_behind);
	T_RUN(tags_carry_it_on);
	T_RUN(absent_and_unknown);
	T_RUN(a_check_at_an_earlier_stage);
	T_RUN(the_first_recipient_skips);
	T_RUN(a_check_at_rcpt_is_of_one);
	T_RUN(a_refused_recipient_leaves_nothing);
	T_RUN(a_check_skips_a_milter);
	T_RUN(a_skip_of_helo_goes_with_it);
	T_RUN(what_it_says_is_not_obeyed);
	T_RUN(behind_a_verdict_nothing_is_asked);
	T_RUN(cancelled_in_a_check);
	T_RUN(what_a_block_says);
	arena_free(arena);
	return t_end();
}
