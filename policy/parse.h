/*
 * parse -- what the files of the parser share: the tokens of one source, and steps over them.
 *
 * parse          files, includes, the keyword at the head of a statement
 * parse_tools    one token after the other
 * parse_braces   { }, and where to read on after a mistake
 * parse_expr     facts, references to lists, expressions
 * parse_pred     predicates: what an expression asks of one fact
 * parse_plain    plain statements, named blocks of words and values
 * parse_block    lists, maps, the relay gate, milters, tests
 * parse_check    checks, effects, verdicts, keys
 * parse_rate     rates
 *
 * Every parse_ function that gives bool has reported when it gives false, and has taken a token or
 * stands at one that its caller's recovery will take: no input makes it stand still.
 */
#ifndef POLICY_PARSE_H
#define POLICY_PARSE_H

#include "policy/statements.h"
#include "policy/tree.h"
#include "proxy/base/lex.h"

#define PARSE_NEST_MAX 100      /* of ( ) and not in expressions, of arguments in arguments */

struct files;                   /* parse.c's: what all sources of one configuration share */

struct parser {                 /* one source */
	struct arena        *a;
	struct diags        *d;
	struct conf         *conf;
	struct files        *files;
	const struct source *src;
	const struct token  *t;         /* ends with TOKEN_END */
	unsigned             at;        /* the next token */
	unsigned             start;     /* the first of the statement */
	unsigned             depth;     /* of { } */
	unsigned             nest;      /* of expressions */
	unsigned             runaway;   /* the token at which an unclosed block was given up, 0: none */
	struct strv          keyword;   /* of the statement; absent before the first */
};

/* A block being read: where its brace stands, how it is indented. */
struct block_state {
	struct pos open;
	unsigned   first_col;
};

/* ---- parse_tools.c: looking ---- */

const struct token *parse_peek(const struct parser *p);
bool parse_at_end(const struct parser *p);              /* of the statement: EOS where that counts */
bool parse_is(const struct parser *p, const char *word);/* the next token is this WORD */
bool parse_is_kind(const struct parser *p, enum token_kind kind);

/* ---- parse_tools.c: taking ---- */

const struct token *parse_take(struct parser *p);       /* never past TOKEN_END */
bool parse_accept(struct parser *p, const char *word);
bool parse_accept_kind(struct parser *p, enum token_kind kind);
struct lit parse_take_lit(struct parser *p);            /* of a WORD or STRING at hand */
/* Each: the token of that shape into *out; or "expected WHAT, found ...". A WORD of the wrong shape is taken. */
bool parse_word(struct parser *p, const char *what, struct lit *out);
bool parse_string(struct parser *p, const char *what, struct lit *out);
bool parse_value(struct parser *p, const char *what, struct lit *out);
bool parse_shape(struct parser *p, bool (*is)(struct strv), const char *what, struct lit *out);
bool parse_name(struct parser *p, const char *what, struct lit *out);
bool parse_duration(struct parser *p, struct lit *out);
bool parse_keyword(struct parser *p, const char *word); /* this WORD and no other */
void parse_expected(struct parser *p, const char *what);
struct strv parse_hint(struct parser *p, const char *what);    /* how WHAT is written, or else the statement */
bool parse_one_of(struct parser *p, const char *const *words, const char *what, struct lit *out);
/* What stands here is none of the words; nothing is taken. */
void parse_unknown(struct parser *p, const char *const *words, const char *what);

/* ---- parse_braces.c ---- */

/* Takes '{'; false: there is none. */
bool parse_open(struct parser *p, struct block_state *b, const char *of);
/* The same behind a name; where that was none (reported) whatever stands in front of '{' is passed over. */
bool parse_open_named(struct parser *p, struct block_state *b, const char *of, bool named);
/* Is there another item? False: '}' was taken, or the block is given up as never closed (reported). */
bool parse_more(struct parser *p, struct block_state *b);
/* Does a statement begin here, in the first column, though the block is still open? */
bool parse_ran_away(const struct parser *p, const struct block_state *b);
/* After a mistake inside the block: on to the next of its keywords (NULL-terminated), or its end. */
void parse_sync(struct parser *p, const struct block_state *b, const char *const *words);
/* After a mistake outside of { }: to the end of the statement, blocks in it included. */
void parse_skip_statement(struct parser *p);
/* set = "{" [ item { [","] item } ] "}" */
bool parse_set(struct parser *p, struct lits *out);

/* ---- parse_expr.c ---- */

struct expr *parse_expr(struct parser *p);              /* NULL: reported */
bool parse_list_ref(struct parser *p, struct list_ref *out);
bool parse_fact(struct parser *p, struct fact_ref *out);

/* ---- parse_pred.c ---- */

bool parse_pred(struct parser *p, struct pred *x);      /* a fact and what is asked of it */

/* ---- parse_check.c: what rates have, too ---- */

bool parse_at_final(const struct parser *p);            /* does the word of a verdict stand here? */
bool parse_final(struct parser *p, struct conf_final *f);
bool parse_keys(struct parser *p, struct conf_keys *out);       /* one or more, appended */

/* ---- parse_plain.c: from behind the keyword; all but a named block stays out of the tree if it has mistakes ---- */

void parse_plain(struct parser *p, const struct token *head);
void parse_class(struct parser *p, const struct token *head);
void parse_named(struct parser *p, const struct token *head, bool named);       /* named: a name stands before '{' */

/* ---- parse_block.c, parse_check.c, parse_rate.c: one for each kind of block, from behind its keyword ---- */

void parse_list(struct parser *p, const struct token *head);
void parse_relay(struct parser *p, const struct token *head);
void parse_milter(struct parser *p, const struct token *head);
void parse_test(struct parser *p, const struct token *head);
void parse_check(struct parser *p, const struct token *head);
void parse_rate(struct parser *p, const struct token *head);

/* parse.c: the next statement of the tree; it stays where it is until another is added. */
struct block *parse_add(struct parser *p, enum block_kind kind, const struct token *head);

#endif
