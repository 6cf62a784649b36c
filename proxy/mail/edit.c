/*
 * edit -- staged changes, checked before they are kept.
 *
 * Not for applying them: view does headers and body, the session the envelope.  The invariant: no edit in
 * a list can make a line, a field or a command that it does not say it makes (RFC 5321 2.3.8, 4.1.1.4).
 */
#include "proxy/mail/edit.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/arena.h"
#include "proxy/mail/envelope.h"

#define NAME_LONGEST   998 /* RFC 5322 2.1.1 */
#define VALUE_LONGEST  (64 * 1024)
#define PARAMS_LONGEST 1024

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

bool
edit_name_good(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f || v.p[i] == ':')
			return false;
	return v.n > 0 && v.n <= NAME_LONGEST;
}

/* CRLF stands only before a blank, and neither octet of it alone. */
static bool
value_good(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\0' || v.p[i] == '\n')
			return false;
		if (v.p[i] != '\r')
			continue;
		if (v.n - i < 3 || v.p[i + 1] != '\n' || (v.p[i + 2] != ' ' && v.p[i + 2] != '\t'))
			return false;
		i += 2;
	}
	return true;
}

static bool
printable(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return false;
	return true;
}

static bool
check_header(const struct edit *e, const char **why)
{
	if (!edit_name_good(e->name))
		return no(why, "malformed name of a header field");
	if (e->value.n > VALUE_LONGEST)
		return no(why, "header field is too long");
	if (!value_good(e->value))
		return no(why, "stray CR, LF or NUL in a header field");
	if ((e->op == EDIT_CHANGE_HEADER || e->op == EDIT_DELETE_HEADER) && e->at == 0)
		return no(why, "header fields of a name are counted from 1");
	return true;
}

static bool
check_envelope(const struct edit *e, const char **why)
{
	if (!printable(e->value) || !printable(e->params))
		return no(why, "control character in an address");
	if (e->params.n > PARAMS_LONGEST)
		return no(why, "parameters are too long");
	return true;
}

bool
edit_check(const struct edit *e, const char **why)
{
	switch (e->op) {
	case EDIT_ADD_HEADER:
	case EDIT_INSERT_HEADER:
	case EDIT_CHANGE_HEADER:
	case EDIT_DELETE_HEADER:
	case EDIT_DELETE_ALL:
		return check_header(e, why);
	case EDIT_ADD_RCPT:
	case EDIT_DELETE_RCPT:
	case EDIT_CHANGE_FROM:
		return check_envelope(e, why);
	case EDIT_REPLACE_BODY:
		return e->body != NULL || no(why, "no body to replace it with");
	}
	return no(why, "unknown edit");
}

/* An address must be one, and is kept in its canonical form. */
static bool
settle_address(struct arena *a, struct edit *e, const char **why)
{
	struct path path;

	if (e->op != EDIT_ADD_RCPT && e->op != EDIT_DELETE_RCPT && e->op != EDIT_CHANGE_FROM)
		return true;
	if (path_parse_plain(a, e->value, &path, why) != PATH_OK)
		return false;
	if (path.kind == PATH_NULL && e->op != EDIT_CHANGE_FROM)
		return no(why, "<> is no recipient");
	e->value = path.kind == PATH_NULL ? SV("<>") : path.text;
	return true;
}

static struct strv
keep(struct arena *a, struct strv v)
{
	return v.p == NULL ? v : arena_dup(a, v);
}

bool
edits_add(struct arena *a, struct edits *e, const struct edit *add, const char **why)
{
	struct edit copy = *add;

	if (e->n >= EDITS_MAX)
		return no(why, "too many edits");
	if (!edit_check(add, why) || !settle_address(a, &copy, why))
		return false;
	copy.name = keep(a, copy.name);
	copy.value = keep(a, copy.value);
	copy.params = keep(a, copy.params);
	copy.by = keep(a, copy.by);
	copy.whom = NULL;
	copy.n_whom = copy.max_whom = 0;
	copy.turn = ++e->turns;
	e->v = arena_grow(a, e->v, &e->max, e->n + 1, sizeof(*e->v));
	e->v[e->n++] = copy;
	return true;
}

void
edits_rewind(struct edits *e, unsigned mark)
{
	assert(mark <= e->n);
	e->n = mark;
}

/* ---- edits for recipients ---- */

void
edits_want(struct arena *a, struct edits *e, unsigned i, unsigned rcpt)
{
	struct edit *x = &e->v[i];

	x->whom = arena_grow(a, x->whom, &x->max_whom, x->n_whom + 1, sizeof(*x->whom));
	x->whom[x->n_whom++] = (struct edit_for){ rcpt, ++e->turns };
}

/* The client heard 250 for it. */
static bool
was_taken(const struct envelope *env, unsigned rcpt)
{
	return rcpt < env->n_rcpt && (env->rcpt[rcpt].upstream_took || env->rcpt[rcpt].dropped);
}

/* Those for recipients who were taken stay; the last of them gives it its turn.  False: there are none. */
static bool
keep_taken(struct edit *x, const struct envelope *env)
{
	unsigned n = 0;

	if (x->n_whom == 0)
		return true;
	for (unsigned i = 0; i < x->n_whom; i++) {
		if (was_taken(env, x->whom[i].rcpt))
			x->whom[n++] = x->whom[i];
	}
	x->n_whom = n;
	if (n > 0)
		x->turn = x->whom[n - 1].turn;
	return n > 0;
}

/* When fields of that name were deleted for the last time. */
static unsigned
last_deleted(const struct edits *e, struct strv name)
{
	unsigned last = 0;

	for (unsigned i = 0; i < e->n; i++) {
		const struct edit *x = &e->v[i];

		if (x->op == EDIT_DELETE_ALL && x->turn > last && strv_ieq(x->name, name))
			last = x->turn;
	}
	return last;
}

/* A field stands where it was wanted first behind that: what came before is gone. */
static void
settle_field(const struct edits *e, struct edit *x)
{
	unsigned deleted = x->n_whom > 0 ? last_deleted(e, x->name) : 0;

	if (x->op == EDIT_DELETE_ALL)
		return;
	for (unsigned i = x->n_whom; i-- > 0 && x->whom[i].turn > deleted;)
		x->turn = x->whom[i].turn;
}

static int
by_turn(const void *a, const void *b)
{
	const struct edit *x = a, *y = b;

	return (x->turn > y->turn) - (x->turn < y->turn);
}

void
edits_settle(struct edits *e, const struct envelope *env)
{
	unsigned kept = 0;
	bool     any = false;

	for (unsigned i = 0; i < e->n; i++) {
		any = any || e->v[i].n_whom > 0;
		if (keep_taken(&e->v[i], env))
			e->v[kept++] = e->v[i];
	}
	e->n = kept;
	for (unsigned i = 0; any && i < kept; i++)
		settle_field(e, &e->v[i]);
	if (any && kept > 1)
		qsort(e->v, kept, sizeof(*e->v), by_turn);
	for (unsigned i = 0; i < kept; i++)
		e->v[i].n_whom = 0;
}
