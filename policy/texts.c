/*
 * texts -- the texts of verdicts and effects, their placeholders filled in.
 *
 * Half of what comes here was written by strangers: HELO, a list's TXT, a Subject.  The invariant: whatever
 * a fact holds, a reply stays one line of printable ASCII and a header field one field.
 */
#include "policy/eval.h"

#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/base64.h"

#define HEADER_OCTETS 8000 /* of a value, before it is encoded */
#define FOLD_AT       72   /* RFC 5322 2.1.1: 78, less a short name */
#define HARD_AT       900  /* below 998, where nothing can be folded at a blank */
#define WORD_OCTETS   45   /* 60 in base64: an encoded word has at most 75 (RFC 2047 2) */

struct made {
	char  *p;
	size_t n, room;
};

/* ---- values ---- */

static struct strv
join(struct arena *a, struct map_values v)
{
	struct strv all = SV(""), one;

	for (bool first = true; all.n < TEXTS_FOREIGN && map_values_next(&v, &one); first = false)
		all = first ? one : arena_concat(a, arena_concat(a, all, SV(", ")), one);
	return all;
}

MAY_YIELD static struct strv
print_score(struct eval *e)
{
	struct span s = eval_score(e);

	return s.least < s.most ? SV("") : arena_printf(e->c->a, "%g", s.least);
}

/* The first list that answered, in the order of the `when'; one without a text has none to show. */
MAY_YIELD static struct strv
list_text(struct eval *e, const struct piece *x)
{
	const struct fact *f;

	for (unsigned i = 0; i < x->n_list; i++) {
		if (eval_listed(e, &x->list[i], &f))
			return f == NULL ? SV("") : fact_print(e->c->a, f);
	}
	return SV("");
}

MAY_YIELD static struct strv
value(struct eval *e, const struct piece *x)
{
	const struct asked *what = &x->ask;
	const struct fact  *f;

	if (x->n_list > 0)
		return list_text(e, x);

	if (what->subject == SUBJECT_TAG)
		return eval_tag(e, what->fact) ? SV("yes") : SV("no");
	if (what->subject == SUBJECT_SCORE)
		return print_score(e);
	if (eval_asked(e, what, &f) != ASKED_FACT)
		return SV("");
	return what->subject == SUBJECT_MAP ? join(e->c->a, match_map(what->map, f)) :
					      fact_print(e->c->a, f);
}

/* At most max octets, and no half of a character. */
static struct strv
cut(struct strv v, size_t max)
{
	size_t n = max;

	if (v.n <= max)
		return v;
	while (n > 0 && ((unsigned char)v.p[n] & 0xc0) == 0x80)
		n--;
	return strv_first(v, n);
}

static void
put(struct made *m, struct strv v)
{
	v = cut(v, m->room - m->n);
	if (v.n > 0)
		memcpy(m->p + m->n, v.p, v.n);
	m->n += v.n;
}

MAY_YIELD static struct made
fill_in(struct eval *e, const struct text *t, size_t most)
{
	struct made m = { NULL, 0, 0 };

	for (unsigned i = 0; i < t->n; i++)
		m.room += t->piece[i].plain.p != NULL ? t->piece[i].plain.n : TEXTS_FOREIGN;
	m.room = m.room < most ? m.room : most;
	m.p = arena_bytes(e->c->a, m.room);
	for (unsigned i = 0; i < t->n; i++) {
		const struct piece *x = &t->piece[i];

		put(&m, x->plain.p != NULL ? x->plain : cut(value(e, x), TEXTS_FOREIGN));
	}
	return m;
}

/* ---- replies and log ---- */

MAY_YIELD struct strv
texts_reply(struct eval *e, const struct text *t)
{
	struct made m;

	if (t->n == 0)
		return strv(NULL, 0);
	m = fill_in(e, t, TEXTS_REPLY);
	for (size_t i = 0; i < m.n; i++) {
		if (m.p[i] == '\t')
			m.p[i] = ' ';
		else if (m.p[i] < ' ' || m.p[i] > '~')
			m.p[i] = '?';
	}
	return strv(m.p, m.n);
}

MAY_YIELD struct strv
texts_log(struct eval *e, const struct text *t)
{
	struct made m = fill_in(e, t, TEXTS_LOG);

	return strv(m.p, m.n);
}

/* ---- header fields ---- */

/* Controls, CR and LF among them, become blanks; what is no UTF-8 loses its octets above ASCII. */
static void
clean_header(struct made *m)
{
	bool utf8 = utf8_valid(strv(m->p, m->n));

	for (size_t i = 0; i < m->n; i++) {
		unsigned char c = (unsigned char)m->p[i];

		if (c < ' ' || c == 0x7f)
			m->p[i] = ' ';
		else if (c > 0x7f && !utf8)
			m->p[i] = '?';
	}
}

/* As text it would be read as an encoded word, too. */
static bool
needs_encoding(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if ((unsigned char)v.p[i] > 0x7f ||
		    (v.p[i] == '=' && i + 1 < v.n && v.p[i + 1] == '?'))
			return true;
	}
	return false;
}

static void
put_base64(struct made *m, struct strv v)
{
	char text[WORD_OCTETS / 3 * 4];

	assert(v.n <= WORD_OCTETS);
	put(m, strv(text, base64_write(v, text)));
}

/* RFC 2047 5 (1), 6.2: the fold between two words belongs to neither. */
static struct strv
encode(struct arena *a, struct strv v)
{
	struct made m = { .room = (v.n / (WORD_OCTETS - 3) + 1) * 80 };
	struct strv word;

	m.p = arena_bytes(a, m.room);
	while (v.n > 0) {
		word = cut(v, WORD_OCTETS);
		put(&m, m.n == 0 ? SV("=?utf-8?B?") : SV("\r\n =?utf-8?B?"));
		put_base64(&m, word);
		put(&m, SV("?="));
		v = strv_from(v, word.n);
	}
	return strv(m.p, m.n);
}

/*
 * The next word, with the blanks in front of it; RFC 5322 2.2.3 folds before those.  A line of nothing but blanks may
 * not be made (3.2.2), so a run of more than a line loses the rest.
 */
static struct strv
next_word(struct strv *v)
{
	size_t blanks = 0, n, from;

	while (blanks < v->n && v->p[blanks] == ' ')
		blanks++;
	for (n = blanks; n < v->n && n - blanks < HARD_AT && v->p[n] != ' ';)
		n++;
	from = blanks > FOLD_AT ? blanks - FOLD_AT : 0;
	*v = strv_from(*v, n);
	return strv(v->p - (n - from), n - from);
}

static struct strv
fold(struct arena *a, struct strv v)
{
	struct made m = { .room = v.n * 2 + 3 };
	size_t      line = 0;
	struct strv word;

	m.p = arena_bytes(a, m.room);
	while (v.n > 0) {
		word = next_word(&v);
		if (line > 0 && line + word.n > FOLD_AT) {
			put(&m, word.p[0] == ' ' ? SV("\r\n") : SV("\r\n "));
			line = 0;
		}
		put(&m, word);
		line += word.n;
	}
	return strv(m.p, m.n);
}

MAY_YIELD struct strv
texts_header(struct eval *e, const struct text *t)
{
	struct made m = fill_in(e, t, HEADER_OCTETS);
	struct strv v;

	clean_header(&m);
	v = strv_trim(strv(m.p, m.n));
	return needs_encoding(v) ? encode(e->c->a, v) : fold(e->c->a, v);
}
