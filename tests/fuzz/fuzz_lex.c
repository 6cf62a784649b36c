/*
 * The lexer alone, any octets.  Tokens lie in the text, in its order, and the last of them is the end; a word holds
 * nothing that ends one, a string is text without controls but newline and tab; there is an error for all that was
 * passed over, and what has none, written anew, one blank between two tokens, is the same tokens.
 */
#include "proxy/base/arena.h"
#include "proxy/base/lex.h"
#include "tests/fuzz/fuzz.h"

static struct source
source_of(struct strv text)
{
	return (struct source){ .name = SV("x.conf"), .text = text };
}

static void
check_word(struct strv text, struct strv word)
{
	FUZZ_CHECK(word.n > 0 && word.p >= text.p && word.p + word.n <= text.p + text.n);
	FUZZ_CHECK(word.p[0] != '#');
	for (size_t i = 0; i < word.n; i++)
		FUZZ_CHECK((unsigned char)word.p[i] > ' ' && word.p[i] != 0x7f &&
		    strchr("{}(),;\"", word.p[i]) == NULL);
}

static void
check_string(struct strv s)
{
	for (size_t i = 0; i < s.n; i++)
		FUZZ_CHECK(((unsigned char)s.p[i] >= ' ' && s.p[i] != 0x7f) || s.p[i] == '\n' ||
		    s.p[i] == '\t');
}

static void
check_tokens(struct strv text, const struct token *v, unsigned n)
{
	struct pos last = { .line = 1 };

	FUZZ_CHECK(n > 0 && v[n - 1].kind == TOKEN_END);
	for (unsigned i = 0; i < n; i++) {
		const struct pos *at = &v[i].pos;

		FUZZ_CHECK(v[i].kind != TOKEN_END || i == n - 1);
		FUZZ_CHECK(at->line > last.line || (at->line == last.line && at->col >= last.col));
		FUZZ_CHECK(at->col > 0 && at->col <= text.n + 1);
		last = *at;
		if (v[i].kind == TOKEN_WORD)
			check_word(text, v[i].text);
		if (v[i].kind == TOKEN_STRING)
			check_string(v[i].text);
	}
}

/* ---- and back ---- */

/* False: no way to write it that is worth it. */
static bool
write_string(struct fuzz_text *out, struct strv s)
{
	if (memchr(s.p, '\n', s.n) != NULL)
		return false;
	fuzz_put(out, SV("\""));
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			fuzz_put(out, SV("\\"));
		fuzz_put(out, strv(s.p + i, 1));
	}
	fuzz_put(out, SV("\" "));
	return true;
}

static bool
write_token(struct fuzz_text *out, const struct token *t)
{
	static const char marks[] = { [TOKEN_EOS] = ';',
		[TOKEN_OPEN] = '{',
		[TOKEN_CLOSE] = '}',
		[TOKEN_LPAREN] = '(',
		[TOKEN_RPAREN] = ')',
		[TOKEN_COMMA] = ',',
		[TOKEN_END] = ' ' };

	if (t->kind == TOKEN_STRING)
		return write_string(out, t->text);
	fuzz_put(out, t->kind == TOKEN_WORD ? t->text : strv(&marks[t->kind], 1));
	fuzz_put(out, SV(" "));
	return true;
}

static void
check_again(struct arena *a, const struct token *v, unsigned n)
{
	struct fuzz_text    out = { 0 };
	struct diags        d = { .a = a };
	struct source       src;
	const struct token *w;
	unsigned            again;
	bool                can = true;

	/* A byte order mark is one at the very beginning alone. */
	fuzz_put(&out, SV(" "));
	for (unsigned i = 0; i < n && can; i++)
		can = write_token(&out, &v[i]);
	if (can) {
		src = source_of(fuzz_view(&out));
		w = lex(a, &src, &d, &again);
		FUZZ_CHECK(d.n == 0 && again == n);
		for (unsigned i = 0; i < n; i++)
			FUZZ_CHECK(v[i].kind == w[i].kind &&
			    (v[i].kind == TOKEN_EOS || strv_eq(v[i].text, w[i].text)));
	}
	free(out.p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   text = strv((const char *)data, n);
	struct diags  d = { .a = a };
	struct source src = source_of(text);
	unsigned      tokens;
	struct token *v = lex(a, &src, &d, &tokens);

	check_tokens(text, v, tokens);
	FUZZ_CHECK(d.errors > 0 || diag_utf8(text) == n);
	if (d.n == 0)
		check_again(a, v, tokens);
	arena_free(a);
	return 0;
}
