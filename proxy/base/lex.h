/*
 * lex -- tokens of the configuration language.  Pure: text in, tokens out.
 *
 * WORD: a run without blanks { } ( ) , ; ".   STRING: "..." on one line, \" and \\ undone, or """..."""
 * over several, as they are but for a first empty one and CR before LF.  The two do not touch.  Text is
 * UTF-8 without controls; CRLF is a newline, a byte order mark at the start is skipped.
 * '#' begins a comment where a token may begin.  EOS: newline or ';' outside of { }, and the end of file;
 * inside { } they are white space, and a newline behind "," is, too.
 */
#ifndef PROXY_BASE_LEX_H
#define PROXY_BASE_LEX_H

#include "proxy/base/diag.h"

enum token_kind { TOKEN_EOS, TOKEN_WORD, TOKEN_STRING, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_LPAREN, TOKEN_RPAREN,
	TOKEN_COMMA, TOKEN_END };

struct token {
	enum token_kind kind;
	struct strv     text;           /* WORD: in the source; STRING: undone, in the arena */
	struct pos      pos;
	bool            fresh;          /* a newline (not behind a comma) or ';' stands in front of it, inside { } too */
};

#define LEX_TOKENS_MAX 2000000          /* of one source; what follows is an error, once */

/* All tokens of one source, the last is TOKEN_END; *n of them. Faults go to d; the result is still usable. */
struct token *lex(struct arena *a, const struct source *src, struct diags *d, unsigned *n);

#endif
