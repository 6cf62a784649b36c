/*
 * eval -- what the files that evaluate a policy share: eval.c (expressions), eval_score.c,
 * eval_gate.c, checks.c, checks_effects.c, texts.c.
 */
#ifndef POLICY_EVAL_H
#define POLICY_EVAL_H

#include "policy/match.h"

#define EVAL_SEEN 80

struct eval {                           /* one walk */
	const struct policy *p;
	struct facts        *facts;
	struct policy_case  *c;         /* NULL: for routes, which have no checks */
	unsigned             rcpt;      /* the recipient at hand */
	bool                 of_rcpt;   /* there is one: at rcpt, and inside any rcpt ( ), all rcpt ( ) */
	bool                 cancelled; /* sticky: everything is unknown from there on */
	bool                 routed;    /* the gate's: a `to' would have matched but for routing characters */
	bool                 peek;      /* nothing is asked: what nobody asked for yet is unknown */
	bool                 cheap;     /* with peek: but what costs nothing and is known at `upto' is asked */
	enum stage           upto;
	bool                 missed;    /* peek met such a fact */
	uint64_t             steps;     /* of all patterns of this walk: patterns.h */
	bool                 noting;    /* facts that are read are kept in `read' */
	const struct fact  **read;      /* in c->a, each once */
	unsigned             n_read, max_read;
	const struct fact   *seen[EVAL_SEEN];   /* by number, those that are of no recipient and take no argument */
};

/* The fact if it is known, or NULL. */
MAY_YIELD const struct fact *eval_known(struct eval *e, unsigned number);

/*
 * eval_asked -- the fact that an asked thing of subject FACT or MAP (then the key) speaks of
 *
 * ASKED_FACT: *f is known.  ASKED_NOTHING: its argument is absent; ASKED_NULL: its argument is <>.
 */
enum asked_rc { ASKED_FACT, ASKED_UNKNOWN, ASKED_NOTHING, ASKED_NULL };
MAY_YIELD enum asked_rc eval_asked(struct eval *e, const struct asked *what, const struct fact **f);

/*
 * Did that list answer, as far as anybody has asked it?  *text: its text, a fact of that number; NULL: unknown.  Of a
 * question of recipients, where none is at hand, the first that is listed.
 */
MAY_YIELD bool eval_listed(struct eval *e, const struct list_asked *x, const struct fact **text);
/* Has a check set that tag, for the recipient at hand or for all? */
bool eval_tag(const struct eval *e, unsigned tag);

MAY_YIELD enum truth eval_rule(struct eval *e, const struct rule *r);

static inline enum truth
eval_truth(bool yes)
{
	return yes ? TRUTH_YES : TRUTH_NO;
}

static inline enum truth
eval_negate(enum truth t, bool negated)
{
	return negated ? (enum truth)(TRUTH_YES - t) : t;
}

/* The client heard 250 for it: the hop took it, or we dropped it. */
static inline bool
eval_taken(const struct rcpt *r)
{
	return r->upstream_took || r->dropped;
}

/* --- eval_score.c ---------------------------------------------------------------------------------- */

/* Between what and what the sum of the weights is, with whoever was not asked or is unknown. */
struct span { double least, most; };
MAY_YIELD struct span eval_score(struct eval *e);
/* A predicate on the score: lists are asked until the others cannot change the answer. */
MAY_YIELD enum truth eval_score_pred(struct eval *e, const struct rule *r);

/* --- checks.c -------------------------------------------------------------------------------------- */

struct walk {                           /* of the checks of one stage */
	struct eval     e;
	enum stage      at;
	bool            settled;        /* a verdict holds */
	struct verdict *out;
};

struct walk checks_begin(const struct policy *p, enum stage at, unsigned rcpt, struct policy_case *c, struct verdict *out);
/* In file order: those that ask what milters say, or the others. */
MAY_YIELD void checks_walk(struct walk *w, bool advised);
enum wait_rc checks_end(struct walk *w);
/* Has a check skipped it, by its bit?  Of the recipient at hand, or of all that were taken. */
bool checks_skipped(const struct policy_case *c, unsigned bit, bool of_rcpt, unsigned rcpt);
void checks_set(struct arena *a, uint64_t **v, unsigned bit, unsigned bits);

/* checks.c: what is told of a check, or of what is like one, in c->a; NULL: too much was told already. */
struct note *eval_note(struct policy_case *c, enum note_kind kind, enum stage at, unsigned rcpt, struct strv name);

/* The same of the check at hand, and of the recipient where there is one. */
struct note *checks_note(struct walk *w, enum note_kind kind, const struct check *k);

/* checks_effects.c: one effect of a check that fires, left in e.c: a mark, a field, a delay, a note for the log. */
MAY_YIELD void checks_carry_out(struct walk *w, const struct check *k, const struct effect *x);

/* eval_gate.c: NONE, or the gate's refusal of the recipient at hand. */
MAY_YIELD void eval_gate(struct eval *e, struct verdict *out);

/* Bits by number; a mark that was never set needs no memory. */
static inline bool
bit_is(const uint64_t *v, unsigned n)
{
	return v != NULL && (v[n / 64] >> n % 64 & 1) != 0;
}

/* --- texts.c ------------------------------------------------------------------------------------- */

#define TEXTS_FOREIGN 200                /* octets of one placeholder's value, cut where a character ends */
#define TEXTS_REPLY   490                /* octets of a reply's text: with code, enhanced code and CRLF below 512 */
#define TEXTS_LOG     1000

/*
 * A text with its placeholders filled in, in e->c->a.  What cannot be had leaves nothing in its place.
 *   reply   one line of printable ASCII; '?' for every other octet; n 0: absent
 *   log     octets as they are, at most TEXTS_LOG
 *   header  the value of a header field: RFC 2047 where it is not all ASCII, folded (RFC 5322 2.2.3)
 */
MAY_YIELD struct strv texts_reply(struct eval *e, const struct text *t);
MAY_YIELD struct strv texts_log(struct eval *e, const struct text *t);
MAY_YIELD struct strv texts_header(struct eval *e, const struct text *t);

#endif
