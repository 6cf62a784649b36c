/*
 * t_unknown -- what Kleene's logic promises of a fact that is unknown, over random policies and facts:
 *
 *   of a `when'       what it says with the fact unknown it says with either value, or it says unknown
 *   of a policy       it decides as it does with either value, if each check that came out unknown is struck out, or,
 *                     where it has `on unknown', says that to all: tags, `skip' and dry runs included
 *   of one without `on unknown', tags and `skip'
 *                     a verdict that is given is given with either value, too, or one of a check above that came out
 *                     unknown; so what is refused with the fact unknown is let pass with neither value
 *
 * More is not true.  That a policy's verdict is always one that some value gives is not: of "a: x", "b: not x" and
 * "c: yes" it is c with x unknown, and with neither value; and `on unknown' is there to say what no value does.
 */
#include "tests/unit/chance_policy.h"

/* What stands with a fact unknown stands with it no and with it yes. */
static void
unknown_decides_nothing(void)
{
	enum truth value[VALUES], with, no, yes;
	unsigned   decided = 0;

	for (unsigned n = 0; n < 20000; n++) {
		const struct policy *p;
		unsigned             u;

		seed = n;
		p = draw_policy(1, false);
		draw_values(value);
		u = below(VALUES);
		value[u] = TRUTH_UNKNOWN;
		with = truth_of(p, value, 0);
		value[u] = TRUTH_NO;
		no = truth_of(p, value, 0);
		value[u] = TRUTH_YES;
		yes = truth_of(p, value, 0);
		T_CHECKF(with == TRUTH_UNKNOWN || (with == no && with == yes),
		    "seed %u: %d with the fact unknown, %d and %d with its values", n, with, no,
		    yes);
		decided += with != TRUTH_UNKNOWN;
		arena_reset(arena);
	}
	T_CHECK(decided > 5000 && decided < 19000);
}

static bool
is_noted(const struct policy_case *c, enum note_kind kind, struct strv check)
{
	for (const struct note *n = c->notes.first; n != NULL; n = n->next) {
		if (n->kind == kind && strv_eq(n->check, check))
			return true;
	}
	return false;
}

/*
 * Of a whole policy: the verdict with a fact unknown is the one of either value, but where a check that
 * was noted as unknown has one of its own for that value, and is above.
 */
static void
unknown_gives_no_verdict_of_its_own(void)
{
	enum truth         value[VALUES];
	struct policy_case c, d;
	struct verdict     with, v;
	struct life        l;
	unsigned           same = 0, here, neither = 0, refused = 0;

	for (unsigned n = 0; n < 10000; n++) {
		const struct policy *p;
		unsigned             u;

		seed = n;
		p = draw_policy(CHECKS, false);
		draw_values(value);
		u = below(VALUES);
		value[u] = TRUTH_UNKNOWN;
		live(&l, value);
		evaluate(p, &l, &c, &with);
		here = 0;
		for (unsigned x = 0; x < 2; x++) {
			value[u] = x == 0 ? TRUTH_NO : TRUTH_YES;
			live(&l, value);
			evaluate(p, &l, &d, &v);
			here += strv_eq(v.by, with.by);
			T_CHECKF(with.kind == VERDICT_NONE || v.kind != VERDICT_NONE,
			    "seed %u: by \"%.*s\", but it passes with fact %u known", n,
			    (int)with.by.n, with.by.p, u);
			T_CHECKF(strv_eq(v.by, with.by) || is_noted(&c, NOTE_UNKNOWN, v.by),
			    "seed %u: by \"%.*s\", but \"%.*s\" with fact %u known", n,
			    (int)with.by.n, with.by.p, (int)v.by.n, v.by.p, u);
		}
		same += here;
		neither += here == 0;
		refused += with.kind != VERDICT_NONE;
		arena_reset(arena);
	}
	T_CHECK(same > 10000 && refused > 1000);
	/* it may be the verdict of neither value: the head of this file */
	T_CHECK(neither > 0);
}

/* ---- whole policies, of two stages ---- */

struct course { /* of a policy over both stages */
	struct verdict     v;
	struct policy_case c;
	bool               unknown[CHECKS];
};

static void
see(void *arg, const struct look *k)
{
	struct course *o = arg;

	if (k->came == LOOK_UNKNOWN && !verdict_final(&o->v))
		o->unknown[k->check.p[0] - names[0][0]] = true;
}

static void
take_course(const struct policy *p, const enum truth *value, struct course *o)
{
	static const enum stage stages[] = { STAGE_MAIL, STAGE_MESSAGE };
	struct life             l;

	live(&l, value);
	*o = (struct course){ .c = { .a = arena, .facts = &l.facts, .env = &l.env } };
	o->c.look = see;
	o->c.look_arg = o;
	for (unsigned i = 0; i < 2 && !verdict_final(&o->v); i++)
		T_EQ_NUM(policy_eval(p, stages[i], 0, &o->c, &o->v), WAIT_OK);
}

/* The checks that came out unknown do nothing, or say to all what they say of the unknown. */
static struct policy *
struck_out(const struct policy *p, const bool *unknown)
{
	struct policy *q = arena_alloc(arena, sizeof(*q));

	*q = *p;
	q->by_stage = NULL;
	q->check = arena_array(arena, p->n_check, sizeof(*q->check));
	for (unsigned i = 0; i < p->n_check; i++) {
		q->check[i] = p->check[i];
		if (!unknown[i])
			continue;
		q->check[i].final = p->check[i].on_unknown;
		/* of nothing `and' is yes, and `or' is no */
		q->check[i].when = rule_of(
		    q->check[i].final.kind != VERDICT_NONE ? EXPR_AND : EXPR_OR, 0);
		q->check[i].n_effect = 0;
	}
	return q;
}

/* What was done: verdicts, dry runs and tags, in order; not what else would have fired, or was unknown. */
static const char *
deeds(const struct course *o)
{
	struct strv all = story(&o->c);
	char       *p = arena_bytes(arena, all.n + 1);
	size_t      n = 0;

	for (size_t i = 0; i < all.n; i += 2) {
		if (all.p[i] == 'A' || all.p[i] == 'U')
			continue;
		p[n++] = all.p[i];
		p[n++] = all.p[i + 1];
	}
	p[n] = '\0';
	return p;
}

static void
unknown_is_as_if_struck_out(void)
{
	enum truth    value[VALUES];
	struct course with, without;
	unsigned      struck = 0, done = 0, told = 0;
	char          row[48];

	for (unsigned n = 0; n < 20000; n++) {
		struct policy *p, *q;
		unsigned       u;

		seed = n;
		p = draw_policy(CHECKS, true);
		for (unsigned i = 0; i < CHECKS / 2; i++)
			p->check[i].at = STAGE_MAIL;
		p->stages |= AT(MAIL);
		draw_values(value);
		u = below(VALUES);
		value[u] = TRUTH_UNKNOWN;
		take_course(p, value, &with);
		q = struck_out(p, with.unknown);
		for (unsigned x = 0; x < 2; x++) {
			value[u] = x == 0 ? TRUTH_NO : TRUTH_YES;
			snprintf(row, sizeof(row), "seed %u, fact %u is %u", n, u, x);
			t_row = row;
			take_course(q, value, &without);
			T_EQ_NUM(without.v.kind, with.v.kind);
			T_EQ_TEXT(without.v.by, arena_z(arena, with.v.by));
			T_EQ_STR(deeds(&without), deeds(&with));
		}
		for (unsigned i = 0; i < CHECKS; i++)
			struck += with.unknown[i];
		done += deeds(&with)[0] != '\0';
		told += with.v.kind != VERDICT_NONE && with.unknown[with.v.by.p[0] - names[0][0]];
		arena_reset(arena);
	}
	t_row = NULL;
	T_CHECKF(struck > 10000 && done > 10000 && told > 1000, "%u %u %u", struck, done, told);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	make_defs();
	T_RUN(unknown_decides_nothing);
	T_RUN(unknown_gives_no_verdict_of_its_own);
	T_RUN(unknown_is_as_if_struck_out);
	arena_free(arena);
	return t_end();
}
