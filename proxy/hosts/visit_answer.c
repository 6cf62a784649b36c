/*
 * visit_answer -- what the judge left behind, as another mail server is to be told it: a reply, or edits in an order
 * that no edit's index disturbs.
 *
 * How a milter's indices count differs between mail servers once something was inserted or deleted.  So fields go
 * first, from the last to the first; then what stands above all others is put there from the bottom up, always at 0;
 * what stands behind all others is added.  The invariant: no text of ours has CR, LF that is no folding, or NUL.
 */
#include "proxy/hosts/visit_own.h"

/* ---- texts ----------------------------------------------------------------------------------- */

static size_t
put_text(struct visit_answer *out, struct strv v)
{
	size_t at = out->text.n;

	(void)buf_add(&out->text, v);
	(void)buf_addc(&out->text, '\0');
	return at;
}

static struct visit_edit *
add_edit(struct visit_answer *out, enum visit_op op)
{
	struct visit_edit *e;

	if (out->n_edit == out->max_edit) {
		out->max_edit = out->max_edit == 0 ? 8 : 2 * out->max_edit;
		out->edit = mem_resize(out->edit, out->max_edit * sizeof(*out->edit));
	}
	e = &out->edit[out->n_edit++];
	*e = (struct visit_edit){ .op = op };
	return e;
}

static void
add_address(struct visit_answer *out, enum visit_op op, struct strv address)
{
	size_t at = put_text(out, address);

	add_edit(out, op)->value = at;
}

/* RFC 5321 4.2: a reply is printable ASCII; "-" stands where a line is empty, for an empty one would end it. */
void
visit_say_reply(struct visit_answer *out, const struct reply *r, const char *id)
{
	out->code = r->code;
	memcpy(out->enh, r->enh, sizeof(out->enh));
	out->reply = out->text.n;
	for (size_t i = 0; i < r->text.n; i++) {
		char c = r->text.p[i];

		(void)buf_addc(&out->text, c == '\n' || (c >= ' ' && c < 0x7f) ? c : '?');
	}
	(void)buf_printf(&out->text, " (%s)", id);
	(void)buf_addc(&out->text, '\0');
}

/* ---- the header ------------------------------------------------------------------------------ */

/* Fields of the message are one run of octets (message.c): whoever lies in it is one of them. */
static bool
is_original(const struct message *m, const struct view_field *f)
{
	return m->n_h > 0 && f->raw.p >= m->h[0].raw.p && f->raw.p <= m->h[m->n_h - 1].raw.p;
}

/* Which field of its name it is, from 1, as the mail server showed them, hidden ones included. */
static int
nth_of_name(const struct message *m, unsigned k)
{
	int n = 1;

	for (unsigned i = 0; i < k; i++)
		n += strv_ieq(header_name(&m->h[i]), header_name(&m->h[k]));
	return n;
}

static void
say_deletions(struct visit_answer *out, const struct message *m, const bool *kept)
{
	for (unsigned k = m->n_h; k-- > 0;) {
		struct visit_edit *e;
		size_t             name;

		if (kept[k])
			continue;
		name = put_text(out, header_name(&m->h[k]));
		e = add_edit(out, VISIT_CHANGE);
		e->at = nth_of_name(m, k);
		e->name = name;
		e->gone = true;
	}
}

/* What follows the colon, CRLF as LF: so libmilter wants folding. */
static size_t
put_value(struct visit_answer *out, struct strv raw, size_t name_n)
{
	struct strv v = strv_from(strv_first(raw, raw.n - 2), name_n + 1);
	size_t      at = out->text.n;

	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '\r')
			(void)buf_addc(&out->text, v.p[i]);
	(void)buf_addc(&out->text, '\0');
	return at;
}

static void
say_field(struct visit_answer *out, const struct view_field *f, enum visit_op op, int at)
{
	size_t             name = put_text(out, f->name), value = put_value(out, f->raw, f->name.n);
	struct visit_edit *e = add_edit(out, op);

	e->at = at;
	e->name = name;
	e->value = value;
}

/*
 * f[0..n): the header as it shall be.  What is new stands in front of all that stays, between it, or behind; where
 * nothing stays all of it is in front, for the mail server has a Received of its own (RFC 8601 5).
 */
static void
say_additions(
    struct visit_answer *out, const struct message *m, const struct view_field *f, unsigned n)
{
	unsigned top = 0, end = n;

	while (end > 0 && !is_original(m, &f[end - 1]))
		end--;
	if (end == 0)
		end = n;
	while (top < end && !is_original(m, &f[top]))
		top++;
	for (unsigned i = top; i-- > 0;)
		say_field(out, &f[i], VISIT_INSERT, 0);
	for (unsigned i = top; i < end; i++)
		if (!is_original(m, &f[i]))
			say_field(out, &f[i], VISIT_INSERT, (int)i);
	for (unsigned i = end; i < n; i++)
		say_field(out, &f[i], VISIT_ADD, 0);
}

static void
say_header(struct visit *v, struct visit_answer *out)
{
	struct transaction *tx = visit_tx(v);
	struct view         view = { &tx->msg, &tx->edits, tx->edits.n };
	unsigned            n, k = 0;
	struct view_field  *f = view_fields(tx->a, &view, &n);
	bool               *kept = arena_array(tx->a, tx->msg.n_h + (size_t)1, sizeof(*kept));

	for (unsigned i = 0; i < n; i++) {
		if (!is_original(&tx->msg, &f[i]))
			continue;
		while (tx->msg.h[k].raw.p != f[i].raw.p)
			k++;
		kept[k] = true;
	}
	say_deletions(out, &tx->msg, kept);
	say_additions(out, &tx->msg, f, n);
}

/* ---- the envelope ---------------------------------------------------------------------------- */

unsigned
visit_left(const struct visit *v)
{
	return envelope_taken(&visit_tx(v)->env);
}

/* `discard' of one recipient: the mail server has it and shall not deliver to it. */
static void
say_dropped(struct visit *v, struct visit_answer *out, bool all)
{
	const struct envelope *e = &visit_tx(v)->env;

	for (unsigned i = 0; i < e->n_rcpt; i++)
		if (e->rcpt[i].dropped || (all && e->rcpt[i].upstream_took))
			add_address(out, VISIT_DELETE_RCPT, v->rcpt[i]);
}

static void
say_quarantine(struct visit *v, struct visit_answer *out, const struct verdict *said)
{
	struct arena *a = visit_tx(v)->a;

	if (said->to.p != NULL) {
		say_dropped(v, out, true);
		add_address(
		    out, VISIT_ADD_RCPT, arena_printf(a, "<%.*s>", (int)said->to.n, said->to.p));
		return;
	}
	say_dropped(v, out, false);
	add_address(out, VISIT_QUARANTINE,
	    arena_printf(a, "postern: %.*s (%s)", (int)said->by.n, said->by.p, visit_tx(v)->id));
}

/* What no filter of ours does is not done halfway. */
static bool
can_be_said(const struct edits *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->v[i].op == EDIT_REPLACE_BODY || e->v[i].op == EDIT_ADD_RCPT ||
		    e->v[i].op == EDIT_DELETE_RCPT || e->v[i].op == EDIT_CHANGE_FROM)
			return false;
	return true;
}

bool
visit_say_edits(
    struct visit *v, struct visit_answer *out, const struct verdict *said, const char **why)
{
	if (!can_be_said(&visit_tx(v)->edits)) {
		*why = "an edit that is none of the header";
		return false;
	}
	say_header(v, out);
	if (said->kind == VERDICT_QUARANTINE)
		say_quarantine(v, out, said);
	else
		say_dropped(v, out, false);
	*why = "the edits are too long";
	return !out->text.full;
}
