/*
 * milter_edits -- what a milter wants changed, as edits.
 *
 * A milter counts fields as it was shown them; edits count what those before them have left (view.c).  So the list of
 * fields is kept here as the edits make it: those that stood there at first are those that were shown.  The invariant:
 * what is no line, no address or no canonical text is never staged.
 */
#include "filters/milter.h"
#include "proxy/base/arena.h"
#include "proxy/mail/fieldlist.h"

#define BODY_MORE   ((uint64_t)64 << 20) /* octets that a new body may be longer than the old one */
#define HEADER_MORE ((uint64_t)1 << 20)  /* octets of all fields that one milter adds or changes */
#define GATHER      4096                 /* octets of a new body that are put away at once */
#define EDITS_OURS  100 /* kept from milters, for results, signatures and a seal behind them */

struct milter_edits {
	struct arena     *a;
	struct view       v;
	bool              exact;
	struct fieldlist *list; /* NULL: not wanted yet */
	/* How many stand above our own Received now, and did so when it was shown them. */
	unsigned      above, was_above;
	unsigned      asked;  /* changes that were asked for, those that change nothing, too */
	uint64_t      fields; /* octets of their names and values */
	struct spool *body;   /* NULL: it stays */
	char         *piece;  /* what is not put away yet */
	size_t        n_piece;
	uint64_t      room;    /* octets that it may still take */
	bool          cr;      /* a CR was its last octet, which is not put yet */
	bool          open;    /* it does not end with a line */
	struct strv   ignored; /* of the answer at hand: a parameter */
};

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

struct milter_edits *
milter_edits_begin(struct arena *a, const struct view *v, bool exact)
{
	struct milter_edits *m = arena_alloc(a, sizeof(*m));

	m->a = a;
	m->v = *v;
	m->exact = exact;
	return m;
}

/* ---- fields ---- */

static void
take_fields(struct milter_edits *m)
{
	const struct view_field *f;
	struct strv             *name;
	unsigned                 n;

	if (m->list != NULL)
		return;
	f = view_fields(m->a, &m->v, &n);
	name = arena_array(m->a, n, sizeof(*name));
	for (unsigned i = 0; i < n; i++) {
		name[i] = f[i].name;
		if (f[i].above)
			m->was_above = i + 1;
	}
	m->above = m->was_above;
	m->list = fieldlist_new(m->a, name, n, n, true);
}

/*
 * libmilter, smfi_insheader: places count the MTA's own Received, which is put in when the message is sent (render.c):
 * below what belongs above it.
 */
static void
insert_field(struct milter_edits *m, struct edit *e, uint32_t at)
{
	unsigned n;

	take_fields(m);
	n = fieldlist_count(m->list);
	e->above = at <= m->above;
	if (e->above)
		m->above++;
	else
		at--;
	e->op = EDIT_INSERT_HEADER;
	e->at = at < n ? at : n;
	(void)fieldlist_insert(m->list, e->at, e->name);
}

static void
add_field(struct milter_edits *m, struct edit *e)
{
	take_fields(m);
	e->op = EDIT_ADD_HEADER;
	(void)fieldlist_add(m->list, e->name);
}

/* False: there is nothing to do. */
static bool
change_field(struct milter_edits *m, struct edit *e, uint32_t nth, bool deletes)
{
	uint32_t field;

	take_fields(m);
	field = fieldlist_find_old(m->list, e->name, nth);
	if (field == FIELD_NONE || !fieldlist_has(m->list, field)) {
		if (deletes)
			return false;
		add_field(m, e);
		return true;
	}
	e->op = deletes ? EDIT_DELETE_HEADER : EDIT_CHANGE_HEADER;
	e->at = fieldlist_nth(m->list, field);
	if (!deletes)
		return true;
	fieldlist_drop(m->list, field);
	if (field <= m->was_above)
		m->above--;
	return true;
}

/*
 * What stands behind the colon.  Lines of a value are divided by LF; and but for who asked for SMFIP_HDR_LEADSPC the MTA
 * puts a blank in front, whatever the value begins with.
 */
static struct strv
as_it_stands(const struct milter_edits *m, struct strv v)
{
	size_t n = 0;
	char  *p;

	if (m->exact && (v.n == 0 || memchr(v.p, '\n', v.n) == NULL))
		return v;
	p = arena_bytes(m->a, 2 * v.n + 1);
	if (!m->exact)
		p[n++] = ' ';
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\n' && (i == 0 || v.p[i - 1] != '\r'))
			p[n++] = '\r';
		p[n++] = v.p[i];
	}
	return strv(p, n);
}

static bool
add_header(struct milter_edits *m, struct edits *e, const struct milter_answer *answer,
    struct strv by, const char **why)
{
	struct edit add = { .name = answer->name, .exact = true, .by = by };
	bool        deletes = answer->kind == MILTER_ANS_CHANGE_HEADER && answer->value.n == 0;

	m->fields += answer->name.n + answer->value.n;
	if (m->fields > HEADER_MORE)
		return no(why, "header fields that are too long together");
	if (!deletes)
		add.value = as_it_stands(m, answer->value);
	if (answer->kind == MILTER_ANS_ADD_HEADER)
		add_field(m, &add);
	else if (answer->kind == MILTER_ANS_INSERT_HEADER)
		insert_field(m, &add, answer->at);
	else if (!change_field(m, &add, answer->at > 0 ? answer->at : 1, deletes))
		return true;
	return edits_add(m->a, e, &add, why);
}

/* ---- the envelope ---- */

/* SIZE and BODY are of the text as it is sent, AUTH is of the client: what is left is how to tell of the delivery. */
static bool
is_for_milters(struct strv word, enum edit_op op)
{
	static const struct {
		enum edit_op op;
		struct strv  name;
	} may[] = {
		{ EDIT_CHANGE_FROM, { "RET", 3 } },
		{ EDIT_CHANGE_FROM, { "ENVID", 5 } },
		{ EDIT_CHANGE_FROM, { "SMTPUTF8", 8 } },
		{ EDIT_ADD_RCPT, { "NOTIFY", 6 } },
		{ EDIT_ADD_RCPT, { "ORCPT", 5 } },
	};
	struct strv name = strv_first(word, strv_chr(word, '='));

	for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++)
		if (may[i].op == op && strv_ieq(name, may[i].name))
			return true;
	return false;
}

/* As Postfix does it, the others are left out; the first of them is m->ignored. */
static struct strv
params_kept(struct milter_edits *m, struct strv params, enum edit_op op)
{
	struct strv kept = { NULL, 0 };

	while (params.n > 0) {
		struct strv word = strv_word(&params);

		if (word.n == 0)
			continue;
		if (!is_for_milters(word, op))
			m->ignored = m->ignored.n > 0 ? m->ignored : word;
		else if (kept.n == 0)
			kept = word;
		else
			kept = arena_concat(m->a, arena_concat(m->a, kept, SV(" ")), word);
	}
	return kept;
}

static bool
add_address(struct milter_edits *m, struct edits *e, const struct milter_answer *answer,
    struct strv by, const char **why)
{
	struct edit add = { .value = strv_trim(answer->address), .by = by };

	add.op = answer->kind == MILTER_ANS_DELETE_RCPT ? EDIT_DELETE_RCPT :
	    answer->kind == MILTER_ANS_CHANGE_FROM      ? EDIT_CHANGE_FROM :
							  EDIT_ADD_RCPT;
	if (add.value.n > MILTER_ADDRESS_MAX)
		return no(why, "an address that is too long");
	add.params = params_kept(m, answer->params, add.op);
	if (add.value.n > 2 && add.value.p[0] == '<' && add.value.p[add.value.n - 1] == '>')
		add.value = strv(add.value.p + 1, add.value.n - 2);
	if (add.value.n == 0)
		add.value = SV("<>");
	return edits_add(m->a, e, &add, why);
}

/* ---- the body ---- */

static void
give_back(void *arg)
{
	spool_free(arg);
}

static bool
begin_body(struct milter_edits *m, const char **why)
{
	struct spool *old = view_body(&m->v);

	if (m->body != NULL)
		return true;
	if (old == NULL)
		return no(why, "the body is not here any more");
	m->body = spool_like(old);
	m->piece = arena_bytes(m->a, GATHER);
	m->room = spool_size(old) + BODY_MORE;
	arena_defer(m->a, give_back, m->body);
	return true;
}

static bool
put_away(struct milter_edits *m, struct strv v, const char **why)
{
	return v.n == 0 || spool_add(m->body, v) == SPOOL_OK ||
	    no(why, "there is no room for the new body");
}

static bool
put_piece(struct milter_edits *m, const char **why)
{
	struct strv v = strv(m->piece, m->n_piece);

	m->n_piece = 0;
	return put_away(m, v, why);
}

/* Short runs are gathered: each that is put away by itself may be a write to a file. */
static bool
put(struct milter_edits *m, struct strv v, const char **why)
{
	if (v.n == 0)
		return true;
	if (v.n > m->room)
		return no(why, "a body that is too long");
	m->room -= v.n;
	if (v.n > GATHER - m->n_piece && !put_piece(m, why))
		return false;
	if (v.n > GATHER)
		return put_away(m, v, why);
	memcpy(m->piece + m->n_piece, v.p, v.n);
	m->n_piece += v.n;
	return true;
}

/* The CR that ended the piece before: the first half of a line's end, or alone. */
static bool
put_cr(struct milter_edits *m, char next, const char **why)
{
	bool alone = m->cr && next != '\n', cr = m->cr;

	m->cr = cr && !alone;
	return !cr || put(m, alone ? SV(" ") : SV("\r"), why);
}

/*
 * A run of lines at a time, mended as what clients send (line-endings normalize): an LF alone ends a line, a CR alone
 * becomes a blank.  A NUL may not be in a text (RFC 5321 2.3.8), a server behind could take it for anything.
 */
static bool
add_lines(struct milter_edits *m, struct strv v, const char **why)
{
	size_t from = 0;

	if (v.n > 0 && !put_cr(m, v.p[0], why))
		return false;
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];
		bool alone = m->cr && c != '\n';

		if (c == '\0')
			return no(why, "a NUL in a new body");
		if (alone || (c == '\n' && !m->cr)) {
			if (!put(m, strv(v.p + from, i - from - alone), why) ||
			    !put(m, alone ? SV(" ") : SV("\r"), why))
				return false;
			from = i;
		}
		m->cr = c == '\r';
		m->open = c != '\n';
	}
	return put(m, strv_first(strv_from(v, from), v.n - from - (v.n > 0 && m->cr)), why);
}

bool
milter_edits_add(struct milter_edits *m, struct edits *e, const struct milter_answer *answer,
    struct strv by, const char **why)
{
	if (answer->kind != MILTER_ANS_REPLACE_BODY &&
	    (++m->asked > EDITS_MAX || e->n >= EDITS_MAX - EDITS_OURS))
		return no(why, "too many edits");
	m->ignored = strv(NULL, 0);
	switch (answer->kind) {
	case MILTER_ANS_ADD_HEADER:
	case MILTER_ANS_INSERT_HEADER:
	case MILTER_ANS_CHANGE_HEADER:
		return add_header(m, e, answer, by, why);
	case MILTER_ANS_ADD_RCPT:
	case MILTER_ANS_ADD_RCPT_PAR:
	case MILTER_ANS_DELETE_RCPT:
	case MILTER_ANS_CHANGE_FROM:
		return add_address(m, e, answer, by, why);
	case MILTER_ANS_REPLACE_BODY:
		return begin_body(m, why) && add_lines(m, answer->body, why);
	default:
		return no(why, "that changes nothing");
	}
}

struct strv
milter_edits_ignored(const struct milter_edits *m)
{
	return m->ignored;
}

bool
milter_edits_end(struct milter_edits *m, struct edits *e, struct strv by, const char **why)
{
	struct edit add = { .op = EDIT_REPLACE_BODY, .by = by, .body = m->body };

	if (m->body == NULL)
		return true;
	if (m->cr && !put(m, SV(" "), why))
		return false;
	if ((m->open && !put(m, SV("\r\n"), why)) || !put_piece(m, why))
		return false;
	return edits_add(m->a, e, &add, why);
}
