/*
 * values -- what a plain statement of the configuration consists of, taken one by one.
 *
 * It knows words, units and options, not what any statement means: that is settings.c.  Nothing is
 * taken silently: every value is either handed out or named in a diagnostic.
 */
#include "proxy/values.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/base/arena.h"
#include "proxy/base/civil.h"

struct suffix {
	char     c;
	uint64_t times;
};

static const struct suffix sizes[] = { { 'G', 1u << 30 }, { 'M', 1u << 20 }, { 'K', 1u << 10 },
	{ 0, 1 } };
static const char *const   kinds[] = { "a number", "a size", "a time" };
static const struct suffix times[] = { { 'd', 86400000 }, { 'h', 3600000 }, { 'm', 60000 },
	{ 's', 1000 }, { 0, 0 } };

void
values_error(struct values *r, const struct conf_value *v, const char *hint, const char *fmt, ...)
{
	char    text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	diag_add(r->d, DIAG_ERROR, v == NULL ? r->st->pos : v->pos,
	    hint == NULL ? policy_form(r->a, r->st->keyword) : strv_z(hint), "%s", text);
}

const struct conf_value *
values_peek(const struct values *r)
{
	return r->i < r->st->n ? &r->st->v[r->i] : NULL;
}

const char *
values_line(struct arena *a, struct pos first, struct pos here)
{
	struct strv file = first.src == NULL ? SV("") : first.src->name;

	if (first.src == here.src)
		return arena_z(a, arena_printf(a, "line %u", first.line));
	return arena_z(a, arena_printf(a, "line %u of %.*s", first.line, (int)file.n, file.p));
}

bool
values_is(struct values *r, const char *word)
{
	const struct conf_value *v = values_peek(r);

	if (v == NULL || v->kind != CONF_WORD || !strv_eq(v->text, strv_z(word)))
		return false;
	r->i++;
	return true;
}

const struct conf_value *
values_take(struct values *r, const char *what)
{
	const struct conf_value *v = values_peek(r);

	if (v == NULL) {
		values_error(
		    r, r->i > 0 ? &r->st->v[r->i - 1] : NULL, NULL, "%s is missing here", what);
		return NULL;
	}
	r->i++;
	return v;
}

const struct conf_value *
values_take_word(struct values *r, const char *what)
{
	const struct conf_value *v = values_take(r, what);

	if (v == NULL || v->kind == CONF_WORD)
		return v;
	values_error(
	    r, v, v->kind == CONF_STRING ? "without quotes" : NULL, "%s is expected here", what);
	return NULL;
}

const struct conf_value *
values_take_text(struct values *r, const char *what)
{
	const struct conf_value *v = values_take(r, what);

	if (v == NULL || v->kind == CONF_STRING || v->kind == CONF_WORD)
		return v;
	values_error(r, v, NULL, "%s is expected here", what);
	return NULL;
}

/* `it' is none of these: which was meant, or which there are. */
static const char *
hint_words(struct arena *a, struct strv it, const char *const *words)
{
	const char *near = diag_nearest(it, words);
	struct strv all = SV("it is one of:");

	if (near != NULL)
		return arena_z(a, diag_did_you_mean(a, strv_z(near)));
	for (unsigned i = 0; words[i] != NULL; i++)
		all = arena_printf(a, "%.*s %s", (int)all.n, all.p, words[i]);
	return arena_z(a, all);
}

int
values_take_one_of(struct values *r, const char *const *words, const char *what)
{
	const struct conf_value *v = values_take_word(r, what);

	if (v == NULL)
		return -1;
	for (int i = 0; words[i] != NULL; i++)
		if (strv_eq(v->text, strv_z(words[i])))
			return i;
	values_error(r, v, hint_words(r->a, v->text, words), "%s is not %s",
	    diag_quote(r->a, v->text), what);
	return -1;
}

/* The row of v's last octet, if that is a letter; else the last row, which is for none. */
static const struct suffix *
suffix_of(enum unit unit, struct strv v, struct strv *digits)
{
	const struct suffix *s = unit == UNIT_SIZE ? sizes : times;

	*digits = v;
	if (unit == UNIT_COUNT)
		return NULL;
	for (; s->c != 0; s++)
		if (v.n > 0 && v.p[v.n - 1] == s->c) {
			digits->n--;
			break;
		}
	return s;
}

bool
unit_parse(struct strv v, enum unit unit, uint64_t *out, const char **why)
{
	static const char *const form[] = { "such as 100", "such as 25M (K, M or G, of 1024)",
		"such as 5m (s, m, h or d)" };
	struct strv              digits;
	const struct suffix     *s = suffix_of(unit, v, &digits);
	uint64_t                 times_what = s == NULL ? 1 : s->times, n;

	*why = form[unit];
	/* A time without its unit has no meaning: its row says 0. */
	if (!strv_number(digits, UINT64_MAX, &n) || times_what == 0 || n > UINT64_MAX / times_what)
		return false;
	*out = n * times_what;
	return true;
}

struct strv
unit_print(struct arena *a, enum unit unit, uint64_t n)
{
	const struct suffix *s = unit == UNIT_SIZE ? sizes : times;

	if (unit == UNIT_TIME && (n == 0 || n % 1000 != 0))
		return arena_printf(a, "%" PRIu64 "ms", n);
	if (unit == UNIT_COUNT || n == 0)
		return arena_printf(a, "%" PRIu64, n);
	while (s->c != 0 && n % s->times != 0)
		s++;
	return s->c == 0 ? arena_printf(a, "%" PRIu64, n) :
			   arena_printf(a, "%" PRIu64 "%c", n / s->times, s->c);
}

struct strv
day_print(struct arena *a, uint64_t seconds)
{
	struct civil c = civil_of(seconds / 86400);

	return arena_printf(a, "%04u-%02u-%02u", (unsigned)c.year, c.month, c.day);
}

bool
values_number(struct values *r, const struct conf_value *v, enum unit unit, uint64_t min,
    uint64_t max, uint64_t *out)
{
	const char *why = NULL;
	uint64_t    n;

	if (v == NULL)
		return false;
	if (v->kind != CONF_WORD || !unit_parse(v->text, unit, &n, &why)) {
		values_error(r, v, why, "%s is expected here", kinds[unit]);
		return false;
	}
	if (n < min || n > max) {
		struct strv lo = unit_print(r->a, unit, min), hi = unit_print(r->a, unit, max);

		values_error(r, v,
		    arena_z(r->a,
			arena_printf(r->a, "it is %.*s to %.*s", (int)lo.n, lo.p, (int)hi.n, hi.p)),
		    "%s is too %s", diag_quote(r->a, v->text), n < min ? "small" : "large");
		return false;
	}
	*out = n;
	return true;
}

bool
values_take_number(struct values *r, enum unit unit, uint64_t min, uint64_t max, uint64_t *out)
{
	return values_number(r, values_take(r, kinds[unit]), unit, min, max, out);
}

/* What is said of a value that no row of the table knows. */
static void
unknown_option(struct values *r, const struct conf_value *v, const struct option *table)
{
	const char *words[33];
	unsigned    n = 0;

	if (v->kind != CONF_WORD) {
		values_error(r, v, NULL, "an option of %s is expected here",
		    diag_quote(r->a, r->st->keyword));
		return;
	}
	for (; n < 32 && table[n].word != NULL; n++)
		words[n] = table[n].word;
	words[n] = NULL;
	values_error(r, v, hint_words(r->a, v->text, words), "%s is not an option of %s",
	    diag_quote(r->a, v->text), diag_quote(r->a, r->st->keyword));
}

/* The row of that option; the last one, without a word, where there is none. */
static unsigned
find_option(const struct option *table, const struct conf_value *v)
{
	unsigned k = 0;

	while (table[k].word != NULL &&
	    (v->kind != CONF_WORD || !strv_eq(v->text, strv_z(table[k].word))))
		k++;
	assert(k < 32);
	return k;
}

void
values_options(struct values *r, const struct option *table, void *obj)
{
	uint32_t seen = 0;

	while (r->i < r->st->n) {
		const struct conf_value *v = &r->st->v[r->i++];
		unsigned                 k = find_option(table, v);

		if (table[k].word == NULL) {
			unknown_option(r, v, table);
			/* What follows is likely to be its value: one mistake, said once. */
			while (r->i < r->st->n &&
			    table[find_option(table, &r->st->v[r->i])].word == NULL)
				r->i++;
			continue;
		}
		if (seen >> k & 1)
			values_error(
			    r, v, "once is enough", "`%s' stands here twice", table[k].word);
		seen |= 1u << k;
		if (table[k].take != NULL) {
			table[k].take(r, v, obj);
			continue;
		}
		values_error(r, v, "leave it out: the others of this statement do not need it",
		    "`%s' is not in this build", table[k].word);
		r->i += r->st->n - r->i < table[k].skip ? r->st->n - r->i : table[k].skip;
	}
}

void
values_end(struct values *r)
{
	const struct conf_value *v = values_peek(r);

	if (v != NULL)
		values_error(r, v, "a statement ends with its line or with `;'",
		    "nothing more is expected here");
	r->i = r->st->n;
}
