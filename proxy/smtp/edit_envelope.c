/*
 * edit_envelope -- see edit_envelope.h.
 *
 * Invariant: no address and no parameter gets into an envelope here that parse.c would not have taken from a client,
 * so what print_mail and print_rcpt write of it is one well-formed command.
 */
#include "proxy/smtp/edit_envelope.h"

#include "proxy/base/arena.h"
#include "proxy/base/hash.h"
#include "proxy/smtp/parse.h"

struct work {
	struct arena    *a;
	struct envelope *e;
	uint64_t        *hash; /* by recipient: of its address, without case */
	unsigned         max_hash;
	uint32_t         caps;
	bool             anew;
	struct edited    out;
};

/* What a milter may say, whatever the server has of it. */
#define PARAMS_OF_A_MILTER (EHLO_DSN | EHLO_SMTPUTF8)

static bool
bad(struct work *w, const char *why)
{
	w->out.why = why;
	return false;
}

struct strv
edit_milter(struct strv by)
{
	struct strv rest = by, word = strv_cut(&rest, ' ');

	return strv_eq(word, SV("milter")) || strv_eq(word, SV("plugin")) ?
	    rest :
	    (struct strv){ NULL, 0 };
}

static bool
of_envelope(const struct edit *x)
{
	return x->op == EDIT_ADD_RCPT || x->op == EDIT_DELETE_RCPT || x->op == EDIT_CHANGE_FROM;
}

bool
envelope_edits(const struct edits *edits)
{
	for (unsigned i = 0; i < edits->n; i++)
		if (of_envelope(&edits->v[i]))
			return true;
	return false;
}

static bool
is_wanted(const struct rcpt *r)
{
	return r->upstream_took || (r->added && !r->deleted);
}

unsigned
envelope_wanted(const struct envelope *e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < e->n_rcpt; i++)
		n += is_wanted(&e->rcpt[i]);
	return n;
}

void
envelope_take_wanted(struct envelope *e)
{
	for (unsigned i = 0; i < e->n_rcpt; i++)
		e->rcpt[i].upstream_took = is_wanted(&e->rcpt[i]);
}

/* RFC 5321 2.4: local parts are compared as they are. */
static bool
same_path(const struct path *a, const struct path *b)
{
	return a->kind == b->kind && (a->kind == PATH_POSTMASTER || strv_eq(a->local, b->local)) &&
	    strv_ieq(a->domain, b->domain);
}

/* Each edit looks at all recipients: most of them are told apart by one word. */
static void
learn_rcpt(struct work *w, unsigned i)
{
	w->hash = arena_grow(w->a, w->hash, &w->max_hash, i + 1, sizeof(*w->hash));
	w->hash[i] = hash_name(w->e->rcpt[i].to.text);
}

/* The next recipient that is wanted, from `from' on, or n_rcpt. */
static unsigned
find_rcpt(const struct work *w, unsigned from, const struct path *to)
{
	uint64_t hash = hash_name(to->text);

	for (; from < w->e->n_rcpt; from++)
		if (w->hash[from] == hash && is_wanted(&w->e->rcpt[from]) &&
		    same_path(&w->e->rcpt[from].to, to))
			break;
	return from;
}

/* ---- parameters ---- */

static void
set_param(struct work *w, struct param p)
{
	struct mail_params *m = &w->e->params;
	struct param       *v = arena_array(w->a, m->n + 1, sizeof(*v));
	unsigned            n = 0;

	for (unsigned i = 0; i < m->n; i++)
		if (!strv_ieq(m->v[i].name, p.name))
			v[n++] = m->v[i];
	v[n++] = p;
	m->v = v;
	m->n = n;
	m->smtputf8 = m->smtputf8 || strv_ieq(p.name, SV("SMTPUTF8"));
	if (strv_ieq(p.name, SV("RET")))
		m->ret = p.value;
	if (strv_ieq(p.name, SV("ENVID")))
		m->envid = p.value;
}

/* RFC 6531 3.4: a server that has it is told, and no other gets the message. */
static bool
need_utf8(struct work *w)
{
	if (w->e->params.smtputf8)
		return true;
	if (!(w->caps & EHLO_SMTPUTF8))
		return bad(w, "the mail server does not offer SMTPUTF8");
	set_param(w, (struct param){ .name = SV("SMTPUTF8") });
	w->anew = true;
	return true;
}

/* The rest of the client's parameters stays: they are the message's. */
static bool
from_params(struct work *w, struct strv params)
{
	struct mail_params p;
	struct path        none;
	struct fault       f;

	if (params.n == 0)
		return true;
	if (!parse_mail(w->a, arena_concat(w->a, SV("FROM:<> "), params), PARAMS_OF_A_MILTER, &none,
		&p, &f))
		return bad(w, f.text);
	for (unsigned i = 0; i < p.n; i++) {
		if (strv_ieq(p.v[i].name, SV("SMTPUTF8"))) {
			if (!need_utf8(w))
				return false;
		} else if (w->caps & EHLO_DSN) {
			set_param(w, p.v[i]);
		}
	}
	return true;
}

static bool
rcpt_params(struct work *w, struct strv params, struct rcpt *r)
{
	struct path  none;
	struct fault f;

	if (params.n == 0)
		return true;
	if (!parse_rcpt(w->a, arena_concat(w->a, SV("TO:<postmaster> "), params),
		PARAMS_OF_A_MILTER, w->e->params.smtputf8, &none, &r->params, &r->n_params, &f))
		return bad(w, f.text);
	if (!(w->caps & EHLO_DSN))
		r->n_params = 0;
	return true;
}

/* ---- edits ---- */

static bool
change_from(struct work *w, const struct edit *x, const struct path *to)
{
	struct envelope *e = w->e;
	struct path     *was;

	if (!same_path(to, &e->from)) {
		if (e->was == NULL) {
			e->was = was = arena_alloc(w->a, sizeof(*was));
			*was = e->from;
		}
		e->from = *to;
	} else if (x->params.n == 0) {
		return true;
	}
	w->anew = true;
	return (!to->utf8 || need_utf8(w)) && from_params(w, x->params);
}

static bool
add_rcpt(struct work *w, const struct edit *x, const struct path *to)
{
	struct rcpt r = { .to = *to, .added = true };

	if (find_rcpt(w, 0, to) < w->e->n_rcpt)
		return true;
	if (!rcpt_params(w, x->params, &r) || (to->utf8 && !need_utf8(w)))
		return false;
	*envelope_add(w->a, w->e) = r;
	learn_rcpt(w, w->e->n_rcpt - 1);
	return true;
}

static bool
delete_rcpt(struct work *w, const struct edit *x, const struct path *to)
{
	unsigned i = 0;

	(void)x;
	for (; (i = find_rcpt(w, i, to)) < w->e->n_rcpt; i++) {
		struct rcpt *r = &w->e->rcpt[i];

		w->anew = w->anew || r->upstream_took;
		r->upstream_took = false;
		r->deleted = true;
	}
	return true;
}

static bool
carry_out(struct work *w, const struct edit *x)
{
	struct path path;
	const char *why = "";

	w->out.by = edit_milter(x->by).p != NULL ? edit_milter(x->by) : x->by;
	w->out.what = x->params.n == 0 ? x->value :
					 arena_printf(w->a, "%.*s %.*s", (int)x->value.n,
					     x->value.p, (int)x->params.n, x->params.p);
	if (path_parse_plain(w->a, x->value, &path, &why) != PATH_OK)
		return bad(w, why);
	if (x->op == EDIT_CHANGE_FROM)
		return change_from(w, x, &path);
	return x->op == EDIT_ADD_RCPT ? add_rcpt(w, x, &path) : delete_rcpt(w, x, &path);
}

static void
put_back(struct envelope *e)
{
	for (unsigned i = 0; i < e->n_rcpt; i++) {
		struct rcpt *r = &e->rcpt[i];

		r->upstream_took = r->upstream_took || (r->deleted && !r->added);
		r->deleted = r->deleted && r->added;
	}
}

static enum edited_kind
kind_of(const struct work *w, unsigned taken)
{
	unsigned wanted = envelope_wanted(w->e);

	if (wanted == 0)
		return EDITED_NOBODY;
	if (w->anew)
		return EDITED_ANEW;
	return wanted > taken ? EDITED_ADDED : EDITED_SAME;
}

struct edited
envelope_edit(
    struct arena *a, struct envelope *e, const struct edits *edits, uint32_t caps, bool keep)
{
	struct work w = { .a = a, .e = e, .caps = caps };
	unsigned    taken = envelope_taken(e);
	bool        ok = true;

	for (unsigned i = 0; i < e->n_rcpt; i++)
		learn_rcpt(&w, i);
	for (unsigned i = 0; i < edits->n && ok; i++)
		if (of_envelope(&edits->v[i]))
			ok = carry_out(&w, &edits->v[i]);
	if (ok && keep && envelope_wanted(e) == 0)
		put_back(e);
	w.out.kind = ok ? kind_of(&w, taken) : EDITED_BAD;
	return w.out;
}
