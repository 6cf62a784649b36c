/*
 * plain_limits -- the block `limits { }`: the table of smtp/limits.h read from the configuration, with bounds.
 *
 * Bounds are there so that no number makes a daemon that RFC 5321 forbids or that nobody can have meant.
 */
#include "proxy/plain.h"

#include "proxy/base/counters.h"

struct limit {
	const char *word;
	size_t      at;   /* offset in struct limits */
	char        unit; /* n, b or s */
};

static const struct limit limits[] = {
#define X(field, word, value, unit, about) { word, offsetof(struct limits, field), (#unit)[0] },
	LIMITS(X)
#undef X
};

/* Where the unit's own bounds (1.., and up to what can be meant) are too wide or too narrow. */
static const struct bounds {
	const char *word;
	uint64_t    min, max;
} bounds[] = {
	{ "message-size", 65536, 1ull << 40 }, /* RFC 5321 4.5.3.1.7: at least 64K */
	{ "recipients", 100, 1000000 },        /* RFC 5321 4.5.3.1.8 */
	{ "sessions", 1, 1000000 }, { "sessions-per-client", 1, 1000000 },
	{ "received-hops", 10, 1000 }, { "header-size", 4096, 1ull << 30 },
	{ "line", 0, 1ull << 30 }, { "min-data-rate", 0, 1000000000 },
	{ "spool-total", 1u << 20, 1ull << 50 },
	{ "greeting-wait", 1000, 300000 }, /* RFC 5321 4.5.3.2.1: clients wait 5 m */
	{ "proxy-header-wait", 1000, 300000 }, { "auth-failures", 1, COUNTERS_AUTH_MAX },
	{ "auth-delay", 0, 30000 }, /* 16 times that a client waits for its answer, at most */
};

static void
limit_bounds(const struct limit *l, uint64_t *min, uint64_t *max)
{
	*min = l->unit == 's' ? 1000 : 1;
	*max = l->unit == 's' ? TIME_MAX : l->unit == 'b' ? 1ull << 40 : 1000000;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		if (strcmp(bounds[i].word, l->word) == 0) {
			*min = bounds[i].min;
			*max = bounds[i].max;
		}
}

static const struct limit *
limit_find(struct values *r, const struct conf_value *v)
{
	const size_t n = sizeof(limits) / sizeof(limits[0]);
	const char  *words[sizeof(limits) / sizeof(limits[0]) + 1], *near;

	for (size_t i = 0; i < n; i++) {
		words[i] = limits[i].word;
		if (strv_eq(v->text, strv_z(words[i])))
			return &limits[i];
	}
	words[n] = NULL;
	near = diag_nearest(v->text, words);
	diag_add(r->d, DIAG_ERROR, v->pos,
	    near == NULL ? SV("postern.conf(5) lists them") : diag_did_you_mean(r->a, strv_z(near)),
	    "no limit is called %s", diag_quote(r->a, v->text));
	return NULL;
}

void
plain_limits(struct values *r, struct limits *out)
{
	bool seen[sizeof(limits) / sizeof(limits[0])] = { false };

	while (values_peek(r) != NULL) {
		const struct conf_value *name = values_take_word(r, "the name of a limit"), *v;
		const struct limit      *one = name == NULL ? NULL : limit_find(r, name);
		enum unit                unit;
		uint64_t                 min, max;

		if (name == NULL)
			continue;
		v = values_take(r, "its value");
		if (one == NULL || v == NULL)
			continue;
		if (seen[one - limits])
			values_error(r, name, NULL, "`%s' stands here twice", one->word);
		seen[one - limits] = true;
		unit = one->unit == 's' ? UNIT_TIME : one->unit == 'b' ? UNIT_SIZE : UNIT_COUNT;
		limit_bounds(one, &min, &max);
		values_number(r, v, unit, min, max, (uint64_t *)(void *)((char *)out + one->at));
	}
}
