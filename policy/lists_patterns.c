/*
 * lists_patterns -- patterns as they are written, alone or in a list: what is wrong with each is shown
 * where it stands.
 *
 * Apart from lists.c because a pattern is no name: it is compiled, not put into a set, and a line of a
 * file is one whole.  Not for searching: patterns.c.
 */
#include "policy/hints.h"
#include "policy/items.h"
#include "policy/lists_own.h"
#include "policy/patterns.h"
#include "proxy/base/arena.h"

bool
lists_have_patterns(struct loader *l, struct pos at, const char *what)
{
	if (patterns_here())
		return true;
	if (!l->quiet)
		diag_add(l->d, DIAG_ERROR, at, hint_instead(strv_z(what)),
		    "`%s' is not in this build (PCRE2)", what);
	return false;
}

const struct pattern *
lists_pattern(struct loader *l, const struct lit *x)
{
	struct strv     why = { NULL, 0 };
	size_t          offset = 0;
	struct pattern *made = NULL;

	if (x->text.n == 0) {
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("an empty text is found by \"^$\"; `is absent' asks whether there is none"),
		    "an empty pattern is found in every text");
	} else if (x->text.n > PATTERN_OCTETS) {
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("a list holds several: patterns NAME { \"PATTERN\" ... }"),
		    "the pattern has %zu octets, at most %d are allowed", x->text.n,
		    PATTERN_OCTETS);
	} else {
		made = pattern_new(l->p->a, x->text, &why, &offset);
		if (made == NULL)
			diag_add(l->d, DIAG_ERROR, lit_place(x, offset, 0),
			    SV("pcre2pattern(3) has the syntax; \\ takes what follows for itself"),
			    "the pattern is wrong here: %.*s", (int)why.n, why.p);
	}
	return made;
}

static void
keep_pattern(struct loader *l, struct list *to, const struct lit *x)
{
	const struct pattern *one = lists_pattern(l, x);

	if (to->n_pattern == PATTERNS_MAX)
		diag_add(l->d, DIAG_ERROR, x->pos,
		    SV("lists of domains and of addresses take a million names, and are faster"),
		    "more than %d patterns in one list", PATTERNS_MAX);
	if (one == NULL || to->n_pattern > PATTERNS_MAX)
		return;
	to->pattern = arena_grow(
	    l->p->a, to->pattern, &to->max_pattern, to->n_pattern + 1, sizeof(struct pattern *));
	to->pattern[to->n_pattern++] = one;
}

/* A line of a file of patterns is a pattern whole: # and quotes are its own but in front. */
static void
pattern_line(struct loader *l, void *arg, struct strv line, struct pos at)
{
	struct list *to = arg;
	struct lit   x = { strv_trim(line), at, false };

	while (x.text.n > 0 && x.text.p[x.text.n - 1] == '\r')
		x.text = strv_trim(strv_first(x.text, x.text.n - 1));
	if (x.text.n == 0 || x.text.p[0] == '#')
		return;
	x.pos.col = (unsigned)(x.text.p - line.p) + 1;
	x.pos.len = (unsigned)x.text.n;
	to->items++;
	keep_pattern(l, to, &x);
}

void
lists_load_patterns(struct loader *l, struct list *to)
{
	const struct conf_list *c = to->conf;

	if (!lists_have_patterns(l, c->name.pos, "patterns"))
		return;
	for (unsigned i = 0; c->store == STORE_SET && i < c->item.n; i++) {
		const struct lit *x = &c->item.v[i];

		to->items++;
		keep_pattern(l, to, x);
	}
	if (c->store == STORE_FILE && c->where.text.p != NULL)
		items_file(l, c, pattern_line, to);
	else if (c->store != STORE_SET && c->where.text.p != NULL)
		diag_add(l->d, DIAG_ERROR, c->where.pos, SV("such as: patterns NAME file \"FILE\""),
		    "patterns come from { ... } or a file");
}
