/*
 * lex -- tokens of the configuration language.
 *
 * One pass over one source.  Any octets may come; what is no text is an error, skipped, and never
 * part of a token.  Whatever comes, each step of the loop moves on by an octet at least.
 */
#include "proxy/base/lex.h"

#include "proxy/base/arena.h"

struct lexer {
	struct arena        *a;
	const struct source *src;
	struct diags        *d;
	struct strv          text;
	size_t               at, line_at; /* line_at: where the line begins */
	unsigned             line;
	unsigned             depth; /* of { } */
	bool                 fresh; /* of the next token */
	struct token        *v;
	unsigned             n, max;
};

static struct pos
pos_of(const struct lexer *l, size_t at, size_t len)
{
	return (struct pos){ l->src, l->line, (unsigned)(at - l->line_at) + 1, (unsigned)len };
}

static void
push(struct lexer *l, enum token_kind kind, struct strv text, struct pos pos)
{
	l->v = arena_grow(l->a, l->v, &l->max, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = (struct token){ kind, text, pos, l->fresh };
	l->fresh = false;
}

static bool
last_is(const struct lexer *l, enum token_kind kind)
{
	return l->n > 0 && l->v[l->n - 1].kind == kind;
}

/* A newline or ';': outside of { } one EOS for a whole run of them. */
static void
separator(struct lexer *l, char c)
{
	if (c == '\n' && last_is(l, TOKEN_COMMA))
		return;
	if (l->depth == 0 && l->n > 0 && !last_is(l, TOKEN_EOS))
		push(l, TOKEN_EOS, strv("", 0), pos_of(l, l->at, 0));
	l->fresh = true;
}

static void
newline(struct lexer *l)
{
	separator(l, '\n');
	l->at++;
	l->line++;
	l->line_at = l->at;
}

static bool
is_control(char c)
{
	return ((unsigned char)c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

/* Is there a CR here that belongs to a CRLF? */
static bool
at_crlf(const struct lexer *l, size_t at)
{
	return l->text.p[at] == '\r' && at + 1 < l->text.n && l->text.p[at + 1] == '\n';
}

static void
control(struct lexer *l, size_t at)
{
	unsigned char c = (unsigned char)l->text.p[at];

	if (c == '\r')
		diag_add(l->d, DIAG_ERROR, pos_of(l, at, 1), SV("a line ends with LF or CRLF"),
		    "a carriage return stands alone");
	else
		diag_add(l->d, DIAG_ERROR, pos_of(l, at, 1),
		    SV("leave it out: only tab and line ends are of use"),
		    "a control character (0x%02x) has no place here", c);
}

static void
touching(struct lexer *l, size_t at)
{
	diag_add(l->d, DIAG_ERROR, pos_of(l, at, 1), SV("put a blank between them"),
	    "a word and a string touch");
}

static bool
ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '{' || c == '}' || c == '(' || c == ')' ||
	    c == ',' || c == ';' || c == '"' || is_control(c);
}

static void
word(struct lexer *l)
{
	size_t from = l->at;

	while (l->at < l->text.n && !ends_word(l->text.p[l->at]))
		l->at++;
	push(l, TOKEN_WORD, strv(l->text.p + from, l->at - from), pos_of(l, from, l->at - from));
	if (l->at < l->text.n && l->text.p[l->at] == '"')
		touching(l, l->at);
}

/* Behind a string only what cannot be part of a word may follow. */
static void
string_end(struct lexer *l)
{
	if (l->at < l->text.n && l->text.p[l->at] == '"')
		diag_add(l->d, DIAG_ERROR, pos_of(l, l->at, 1),
		    SV("write \\\" for a quote inside a string"), "two strings touch");
	else if (l->at < l->text.n && !ends_word(l->text.p[l->at]) && l->text.p[l->at] != '#')
		touching(l, l->at);
}

/* "..." on one line: \" is ", \\ is \, any other \ stands for itself. */
static void
string(struct lexer *l)
{
	size_t from = l->at++, n = 0;
	char  *out;
	size_t end = l->at;

	while (end < l->text.n && l->text.p[end] != '"' && l->text.p[end] != '\n')
		end += l->text.p[end] == '\\' && end + 1 < l->text.n && l->text.p[end + 1] != '\n' ?
		    2 :
		    1;
	out = arena_bytes(l->a, end - l->at + 1);
	for (; l->at < end; l->at++) {
		char c = l->text.p[l->at];

		if (c == '\\' && l->at + 1 < end &&
		    (l->text.p[l->at + 1] == '"' || l->text.p[l->at + 1] == '\\'))
			c = l->text.p[++l->at];
		if (!is_control(c))
			out[n++] = c;
		else if (!at_crlf(l, l->at))
			control(l, l->at);
	}
	if (l->at < l->text.n && l->text.p[l->at] == '"') {
		l->at++;
		push(l, TOKEN_STRING, strv(out, n), pos_of(l, from, l->at - from));
		string_end(l);
		return;
	}
	diag_add(l->d, DIAG_ERROR, pos_of(l, from, l->at - from),
	    SV("text over several lines stands between \"\"\" and \"\"\""),
	    "the string does not end on its line");
	push(l, TOKEN_STRING, strv(out, n), pos_of(l, from, l->at - from));
}

static bool
at_three(const struct lexer *l, size_t at)
{
	return l->text.n - at >= 3 && memcmp(l->text.p + at, "\"\"\"", 3) == 0;
}

/*
 * The text of """...""" from l->at to the next """, lines as they are, into out; gives its
 * octets.
 */
static size_t
long_text(struct lexer *l, char *out)
{
	size_t n = 0;

	for (; l->at < l->text.n && !at_three(l, l->at); l->at++) {
		char c = l->text.p[l->at];

		if (!is_control(c))
			out[n++] = c;
		else if (!at_crlf(l, l->at))
			control(l, l->at);
		if (c == '\n') {
			l->line++;
			l->line_at = l->at + 1;
		}
	}
	return n;
}

static void
long_string(struct lexer *l)
{
	struct pos pos = pos_of(l, l->at, 3);
	size_t     end, n;
	char      *out;

	l->at += 3;
	for (end = l->at; end < l->text.n && !at_three(l, end);)
		end++;
	out = arena_bytes(l->a, end - l->at + 1);
	n = long_text(l, out);
	push(l, TOKEN_STRING, n > 0 && out[0] == '\n' ? strv(out + 1, n - 1) : strv(out, n), pos);
	if (l->at >= l->text.n) {
		diag_add(l->d, DIAG_ERROR, pos, SV("it ends with another \"\"\""),
		    "the text is never closed");
		return;
	}
	l->at += 3;
	string_end(l);
}

static void
bracket(struct lexer *l, enum token_kind kind)
{
	if (kind == TOKEN_OPEN)
		l->depth++;
	else if (kind == TOKEN_CLOSE && l->depth > 0)
		l->depth--;
	push(l, kind, strv(l->text.p + l->at, 1), pos_of(l, l->at, 1));
	l->at++;
}

static void
comment(struct lexer *l)
{
	while (l->at < l->text.n && l->text.p[l->at] != '\n')
		l->at++;
}

static void
quoted(struct lexer *l)
{
	if (at_three(l, l->at))
		long_string(l);
	else
		string(l);
}

/* A word, or an octet that may not stand in a file; of CR LF the CR is passed over. */
static void
other(struct lexer *l)
{
	if (!is_control(l->text.p[l->at])) {
		word(l);
		return;
	}
	if (!at_crlf(l, l->at))
		control(l, l->at);
	l->at++;
}

static void
next(struct lexer *l)
{
	switch (l->text.p[l->at]) {
	case ' ':
	case '\t':
		l->at++;
		break;
	case '\n':
		newline(l);
		break;
	case ';':
		separator(l, ';');
		l->at++;
		break;
	case '#':
		comment(l);
		break;
	case '{':
		bracket(l, TOKEN_OPEN);
		break;
	case '}':
		bracket(l, TOKEN_CLOSE);
		break;
	case '(':
		bracket(l, TOKEN_LPAREN);
		break;
	case ')':
		bracket(l, TOKEN_RPAREN);
		break;
	case ',':
		bracket(l, TOKEN_COMMA);
		break;
	case '"':
		quoted(l);
		break;
	default:
		other(l);
	}
}

/* Names and texts go to logs and peers: a file in another encoding is told so, once. */
static void
check_utf8(struct lexer *l)
{
	size_t at = diag_utf8(l->text);

	if (at == l->text.n)
		return;
	for (size_t i = 0; i < at; i++) {
		if (l->text.p[i] == '\n') {
			l->line++;
			l->line_at = i + 1;
		}
	}
	diag_add(l->d, DIAG_ERROR, pos_of(l, at, 1), SV("save the file as UTF-8"),
	    "the file is not UTF-8 here (0x%02x)", (unsigned char)l->text.p[at]);
	l->line = 1;
	l->line_at = 0;
}

struct token *
lex(struct arena *a, const struct source *src, struct diags *d, unsigned *n)
{
	struct lexer l = { .a = a, .src = src, .d = d, .text = src->text, .line = 1 };

	check_utf8(&l);
	if (strv_starts(l.text, SV("\xef\xbb\xbf")))
		l.at = l.line_at = 3;
	while (l.at < l.text.n && l.n < LEX_TOKENS_MAX)
		next(&l);
	if (l.at < l.text.n)
		diag_add(d, DIAG_ERROR, pos_of(&l, l.at, 0),
		    SV("put long lists into files of their own"),
		    "the file has more than %u tokens", LEX_TOKENS_MAX);
	push(&l, TOKEN_END, strv("", 0), pos_of(&l, l.at, 0));
	*n = l.n;
	return l.v;
}
