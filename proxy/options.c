/*
 * options -- command lines by table.  What is misspelt is matched to the nearest word of the table.
 */
#include "proxy/options.h"

#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/diag.h"

#define TABLE_MAX 32

struct taking {
	struct arena            *a;
	const struct option_def *table;
	void                    *into;
	bool                     given[TABLE_MAX];
	struct strv              why;
};

static const struct option_def *
find(const struct option_def *table, struct strv word)
{
	for (unsigned i = 0; table[i].word != NULL; i++)
		if (strv_eq(strv_z(table[i].word), word))
			return &table[i];
	return NULL;
}

static bool
unknown(struct taking *t, const char *arg, struct strv word)
{
	const char *words[TABLE_MAX];
	const char *near;
	unsigned    n = 0;

	for (unsigned i = 0; t->table[i].word != NULL; i++)
		if (t->table[i].word[0] != '\0')
			words[n++] = t->table[i].word;
	words[n] = NULL;
	near = diag_nearest(word, words);
	t->why = arena_printf(t->a, "unknown argument: %s%s%s%s", arg,
	    near != NULL ? "; did you mean `" : "", near != NULL ? near : "",
	    near != NULL ? "'?" : "");
	return false;
}

static bool
once(struct taking *t, const struct option_def *o, const char *value)
{
	bool given = false;

	assert(o - t->table < TABLE_MAX);
	/* -c FILE and FILE are one place. */
	for (unsigned i = 0; t->table[i].word != NULL; i++)
		given = given || (t->given[i] && t->table[i].at == o->at);
	if (!given) {
		t->given[o - t->table] = true;
		return true;
	}
	if (!t->given[o - t->table] || o->word[0] == '\0')
		t->why = arena_printf(t->a, "one %s is enough, not also %s", o->value, value);
	else
		t->why = arena_printf(t->a, "%s is given twice", o->word);
	return false;
}

static bool
put(struct taking *t, const struct option_def *o, const char *value)
{
	char                *at = (char *)t->into + o->at;
	struct option_texts *many = (struct option_texts *)(void *)at;

	if (o->kind != OPTION_TEXTS && !once(t, o, value))
		return false;
	if (o->kind == OPTION_FLAG) {
		*(bool *)at = true;
	} else if (o->kind == OPTION_TEXT) {
		memcpy(at, &value, sizeof(value));
	} else if (many->n < OPTIONS_MANY) {
		many->v[many->n++] = value;
	} else {
		t->why = arena_printf(t->a, "%s is given too often", o->word);
		return false;
	}
	return true;
}

/* *i moves on where the value is the next word. */
static bool
take_one(struct taking *t, int argc, char **argv, int *i)
{
	const char *arg = argv[*i];
	bool        option = arg[0] == '-' && arg[1] != '\0';
	struct strv rest = strv_z(arg);
	struct strv word = arg[0] == '-' && arg[1] == '-' ? strv_cut(&rest, '=') : rest;
	const struct option_def *o = find(t->table, option ? word : strv("", 0));
	bool                     joined = option && word.n < strlen(arg);

	if (o == NULL)
		return unknown(t, arg, word);
	if (!option)
		return put(t, o, arg);
	if (o->kind == OPTION_FLAG && !joined)
		return put(t, o, NULL);
	if (o->kind == OPTION_FLAG) {
		t->why = arena_printf(t->a, "%s takes no value", o->word);
		return false;
	}
	if (joined)
		return put(t, o, arg + word.n + 1);
	if (++*i < argc)
		return put(t, o, argv[*i]);
	t->why = arena_printf(t->a, "%s needs %s", o->word, o->value);
	return false;
}

bool
options_take(struct arena *a, int argc, char **argv, const struct option_def *table, void *into,
    struct strv *why)
{
	struct taking t = { .a = a, .table = table, .into = into };

	for (int i = 1; i < argc; i++) {
		if (!take_one(&t, argc, argv, &i)) {
			*why = t.why;
			return false;
		}
	}
	return true;
}
