/*
 * load -- what the files of policy_load share while a configuration becomes rules.
 *
 * Functions that give NULL or false have reported, or know that somebody else did.
 */
#ifndef POLICY_LOAD_H
#define POLICY_LOAD_H

#include "policy/rules.h"

struct named;

/* Ceilings of one policy: what a person writes is far below them. */
#define CHECKS_MAX  4096
#define TAGS_MAX    1024
#define WEIGHED_MAX 64
#define EFFECTS_MAX 64          /* of one check */
#define PIECES_MAX  64          /* of one text */

struct score_use {              /* where `score' is asked */
	struct pos pos;
	enum stage at;          /* STAGE_MAX: of a check whose stage is inferred */
};

struct loader {
	struct arena      *a;
	struct world      *w;
	struct diags      *d;
	const struct conf *c;
	struct policy     *p;
	const struct policy_names *names;
	/*
	 * Inside a block that is itself not in this build: names are held against what there is, but
	 * "not in this build" is not said again of its parts.
	 */
	bool               quiet;
	struct named      *rules;       /* names.c's: checks, rates, milters and plugins */
	unsigned           n_rules;
	bool                tags;       /* inside a check: tags may be asked */
	const struct expr  *when;       /* of the check at hand; NULL: what is read is no check */
	bool                advice;     /* milter() can be asked: of the first `heard' of them */
	unsigned            heard;
	bool               *tag_used;   /* by number */
	struct pos         *tag_pos;    /* where it is first set */
	struct score_use   *score;
	unsigned            n_score, max_score, max_weighed;
};

/* ---- names.c ---- */

/* Duplicate names of lists, maps and memories, and of checks, rates, milters and plugins. */
void names_check(struct loader *l);
bool names_has_memory(const struct loader *l, struct strv name);
const struct conf_list *names_map(const struct loader *l, struct strv name);
/* What `by` or `skip` means: a check, rate, milter or plugin; NULL: reported. `by` may be relay, limits, upstream. */
const struct block *names_rule(struct loader *l, const struct lit *name, bool by);
/* "`what' is not in this build", unless something was said of this place already. */
void not_in_build(struct loader *l, struct pos at, struct strv what);
/* Where octet `offset' of a word or string stands in its source; a """text""": where it begins. */
struct pos lit_place(const struct lit *x, size_t offset, size_t len);

/* ---- facts.c ---- */

enum fact_known { FACT_HERE, FACT_OTHER_BUILD, FACT_NONE };

/* What is known of the fact's name; reports all but HERE (OTHER_BUILD not where quiet). *number on HERE. */
enum fact_known facts_find(struct loader *l, const struct fact_ref *f, unsigned *number);
/* The same without a look at what stands in ( ). */
enum fact_known facts_name(struct loader *l, const struct fact_ref *f, unsigned *number);
/* Is the fact known at that stage (STAGE_MAX: at any)? Reports where it is not. */
bool facts_at(struct loader *l, const struct fact_ref *f, unsigned number, enum stage at);
/* Is that the name of a fact, of this build or another? */
bool facts_has(const struct loader *l, struct strv name);
/* The number of a fact of this build by a name that policy knows, or -1. */
int facts_number(const struct policy *p, const char *name);

/* ---- asks.c, asks_args.c ---- */

/*
 * What f asks, at that stage (STAGE_MAX: any); *def: its type and name, NULL where the fact is not of this build.
 * False: reported.
 */
bool asks_find(struct loader *l, const struct fact_ref *f, enum stage at, struct asked *out, const struct fact_def **def);
/* f resolves. */
bool asks_resolves(struct loader *l, const struct fact_ref *f, enum stage at, struct pos op, struct asked *out);
/* mx(sender.domain), sender.domain resolves: yes for <>. */
bool asks_null_is_yes(const struct loader *l, const struct asked *ask);
bool asks_same(const struct asked *a, const struct asked *b);
bool asks_header_name(struct strv v);
extern const char asks_header_form[];   /* what would be one */

/* ---- lists.c; patterns: lists_patterns.c ---- */

#define WANT(kind) (1u << LIST_##kind)

/* Reads all lists of the configuration. */
void lists_load(struct loader *l);
/* The list of that name if it is one of `want` (a set of WANT); `taker` says who wants it: "`from'". */
struct list *lists_find(struct loader *l, const struct lit *name, unsigned want, const char *taker);
/* Sets of the items of { }; each lives in the policy's sets. Mistakes are reported item by item. */
struct netset *lists_networks(struct loader *l, const struct lits *items);
struct nameset *lists_domains(struct loader *l, const struct lits *items);
/* Items with "@" and "<>" go to *addresses, others to *domains; NULL: there are none of that kind. */
void lists_names(struct loader *l, const struct lits *items, const struct nameset **domains,
    const struct nameset **addresses);
/* The pattern, or NULL: reported, with a mark where it fails. */
const struct pattern *lists_pattern(struct loader *l, const struct lit *x);
/* Was it built with PCRE2? Says that `what' is not in this build where it was not. */
bool lists_have_patterns(struct loader *l, struct pos at, const char *what);
struct netset  *sets_net(struct sets *s);
struct nameset *sets_name(struct sets *s, const struct hash_key *key);
struct maptable *sets_map(struct sets *s, const struct hash_key *key);
void sets_free(struct sets *s);

/* ---- maps.c ---- */

/* The map of that name; its values must be what `want` (of enum map_want) says. NULL: reported. */
struct list *maps_find(struct loader *l, const struct lit *name, unsigned want);
/* M(fact), asked at that stage (STAGE_MAX: any). False: reported. */
bool maps_call(struct loader *l, const struct fact_ref *call, unsigned want, enum stage at, struct map_call *out);
/* Reads all maps: after everybody has said what their values must be. */
void maps_load(struct loader *l);

/* ---- finals.c ---- */

/* A verdict that is said at that stage (STAGE_MAX: any). out NULL: it is only looked at. */
void finals_load(struct loader *l, const struct conf_final *f, enum stage at, struct say *out);

enum text_use { TEXT_REPLY, TEXT_LOG, TEXT_HEADER };

/*
 * A text with placeholders, %{fact} and %%, that is filled in at that stage.  `before': octets that stand in front of
 * it.  False: reported.
 */
bool texts_load(struct loader *l, const struct lit *text, enum text_use use, size_t before, enum stage at,
    struct text *out);

/* ---- effects.c ---- */

/* The effects of a check whose stage is known; p->edits is set where they change a header at message. */
void effects_load(struct loader *l, struct check *c);

/* ---- stages.c, stages_look.c ---- */

/* Where each check is decided (p->check[].at, per_rcpt), and the tags' stages. */
void stages_infer(struct loader *l);
/* The first stage at which what is asked is known for good; *per_rcpt: it differs from recipient to recipient. */
enum stage stages_of(const struct policy *p, const struct asked *ask, bool *per_rcpt);
/* The same of a whole expression. */
enum stage stages_rule(const struct policy *p, const struct rule *r, bool *per_rcpt);
/* What is asked at message behind all checks: facts of recipients stand under `any rcpt', `all rcpt'. */
void stages_behind(struct loader *l, const struct expr *e, const struct rule *r);

/* ---- wants.c ---- */

/* What costs nothing is moved to the front of what is asked; and what is sure to be asked. */
void wants_find(struct loader *l);

/* ---- seals.c ---- */

bool seals_is(const struct conf_plain *x);              /* `sign' or `seal' */
/* Their conditions; seals_look once the stages of tags are known. */
void seals_load(struct loader *l);
void seals_look(struct loader *l);
/* A `sign' for everybody, where everybody may come in. */
void seals_warn(struct loader *l);
/* When all is compiled: what may be asked at all (policy_asks). */
void seals_asked(struct policy *p);

/* ---- zones.c: of checks that are compiled ---- */
void zones_bind(struct policy *p);

/* ---- milters.c: their names and numbers; their blocks; when all stages are known, those of their conditions ---- */

void milters_begin(struct loader *l);
void milters_load(struct loader *l);
void milters_look(struct loader *l);
int milters_number(const struct policy *p, struct strv name);   /* -1: none is called that */
bool milters_ask(struct loader *l, const struct fact_ref *f, struct strv *name);        /* milter(NAME). False: reported */
bool milters_asked(const struct policy *p, const struct rule *r);       /* does it ask milter()? */

/* ---- rules.c ---- */

/* The names of all checks and tags; then, when all else is compiled, the checks. False: reported, there are too many. */
bool rules_begin(struct loader *l);
void rules_load(struct loader *l);
int rules_number(const struct policy *p, struct strv name);     /* of the check of that name; -1: none */

/* ---- compile.c, gate.c ---- */

struct rule *compile_expr(struct loader *l, const struct expr *e, enum stage at);       /* NULL: reported */
void gate_load(struct loader *l);

/* ---- routes.c ---- */

/* One statement of each. */
void routes_map(struct loader *l, const struct conf_plain *x);
void routes_class(struct loader *l, const struct conf_plain *x);

#endif
