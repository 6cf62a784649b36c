/*
 * milter_edits -- what a milter wants changed, as edits.
 *
 * A milter counts fields as it was shown them; edits count what those before them have left (view.c).  So the list of
 * fields is kept here as the edits make it, with which of them were shown.  The invariant: what is no line, no address
 * or no canonical text is never staged.
 *
 * Each edit walks that list, and nobody else is served meanwhile: so names are numbers in it, equal ones the same.
 */
#include <stdlib.h>

#include "filters/milter.h"
#include "proxy/base/arena.h"

#define BODY_MORE   ((uint64_t)64 << 20) /* octets that a new body may be longer than the old one */
#define HEADER_MORE ((uint64_t)1 << 20)  /* octets of all fields that one milter adds or changes */
#define GATHER      4096                 /* octets of a new body that are put away at once */

enum { NAMELESS, UNKNOWN_NAME, FIRST_NAME }; /* UNKNOWN_NAME: none that was shown has it */

struct field {
	uint32_t name;
	bool     shown, gone;
};

struct milter_edits {
	struct arena *a;
	struct view   v;
	bool          exact;
	unsigned     *above;
	struct field *f; /* NULL: not wanted yet */
	unsigned      n, max;
	struct strv *
	    name; /* of those that were shown: each once, in order; its place, from FIRST_NAME, is its number */
	unsigned      n_name;
	unsigned      asked;  /* changes that were asked for, those that change nothing, too */
	uint64_t      fields; /* octets of their names and values */
	struct spool *body;   /* NULL: it stays */
	char         *piece;  /* what is not put away yet */
	size_t        n_piece;
	uint64_t      room; /* octets that it may still take */
	bool          cr;   /* a CR was its last octet */
	bool          open; /* it does not end with a line */
};

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

struct milter_edits *
milter_edits_begin(struct arena *a, const struct view *v, bool exact, unsigned *above)
{
	struct milter_edits *m = arena_alloc(a, sizeof(*m));

	m->a = a;
	m->v = *v;
	m->exact = exact;
	m->above = above;
	return m;
}

/* ---- fields ---- */

static int
compare(struct strv a, struct strv b)
{
	if (a.n != b.n)
		return a.n < b.n ? -1 : 1;
	for (size_t i = 0; i < a.n; i++) {
		int d = ascii_lower(a.p[i]) - ascii_lower(b.p[i]);

		if (d != 0)
			return d;
	}
	return 0;
}

static int
by_name(const void *a, const void *b)
{
	return compare(*(const struct strv *)a, *(const struct strv *)b);
}

static uint32_t
number_of(const struct milter_edits *m, struct strv name)
{
	const struct strv *at =
	    m->n_name == 0 ? NULL : bsearch(&name, m->name, m->n_name, sizeof(name), by_name);

	if (name.n == 0)
		return NAMELESS;
	return at == NULL ? UNKNOWN_NAME : FIRST_NAME + (uint32_t)(at - m->name);
}

static void
take_names(struct milter_edits *m, const struct view_field *f)
{
	unsigned n = 0;

	m->name = arena_array(m->a, m->n + 1, sizeof(*m->name));
	for (unsigned i = 0; i < m->n; i++)
		m->name[i] = f[i].name;
	qsort(m->name, m->n, sizeof(*m->name), by_name);
	for (unsigned i = 0; i < m->n; i++)
		if (n == 0 || compare(m->name[n - 1], m->name[i]) != 0)
			m->name[n++] = m->name[i];
	m->n_name = n;
}

static void
take_fields(struct milter_edits *m)
{
	struct view_field *f;

	if (m->f != NULL)
		return;
	f = view_fields(m->a, &m->v, &m->n);
	take_names(m, f);
	m->f = arena_grow(m->a, NULL, &m->max, m->n + 1, sizeof(*m->f));
	for (unsigned i = 0; i < m->n; i++)
		m->f[i] = (struct field){ .name = number_of(m, f[i].name), .shown = true };
}

static void
insert(struct milter_edits *m, unsigned at, struct strv name)
{
	m->f = arena_grow(m->a, m->f, &m->max, m->n + 1, sizeof(*m->f));
	memmove(&m->f[at + 1], &m->f[at], (m->n - at) * sizeof(m->f[0]));
	m->f[at] = (struct field){ .name = number_of(m, name) };
	m->n++;
}

/* Where in the list stands what is the at-th of those that are there; as view.c, not in front of an mbox line. */
static unsigned
place_of(const struct milter_edits *m, unsigned at)
{
	unsigned i = 0;

	for (; i < m->n; i++) {
		if (m->f[i].gone || m->f[i].name == NAMELESS)
			continue;
		if (at-- == 0)
			break;
	}
	return i;
}

/* The place as edits count it: all fields that are there, one without a name, too. */
static unsigned
count_to(const struct milter_edits *m, unsigned place)
{
	unsigned at = 0;

	for (unsigned i = 0; i < place; i++)
		at += !m->f[i].gone;
	return at;
}

/*
 * libmilter, smfi_insheader: places count the MTA's own Received, which comes in front of the message when it is sent.
 * What belongs above it stands directly below it then.
 */
static void
insert_field(struct milter_edits *m, struct edit *e, uint32_t at)
{
	unsigned place;

	take_fields(m);
	if (at <= *m->above)
		++*m->above;
	else
		at--;
	place = place_of(m, at);
	e->op = EDIT_INSERT_HEADER;
	e->at = count_to(m, place);
	insert(m, place, e->name);
}

/* The nth field of that name that was shown, or m->n; at: how many are there of that name, up to it. */
static unsigned
find(const struct milter_edits *m, struct strv name, uint32_t nth, unsigned *at)
{
	uint32_t number = number_of(m, name);
	unsigned i = 0;

	*at = 0;
	for (; i < m->n; i++) {
		const struct field *f = &m->f[i];

		if (f->name != number)
			continue;
		*at += !f->gone;
		if (f->shown && --nth == 0)
			break;
	}
	return i;
}

static void
add_field(struct milter_edits *m, struct edit *e)
{
	take_fields(m);
	e->op = EDIT_ADD_HEADER;
	insert(m, m->n, e->name);
}

/* False: there is nothing to do. */
static bool
change_field(struct milter_edits *m, struct edit *e, uint32_t nth)
{
	unsigned at, count;

	take_fields(m);
	at = find(m, e->name, nth, &count);
	if (at == m->n || m->f[at].gone) {
		if (e->value.n == 0)
			return false;
		add_field(m, e);
		return true;
	}
	e->op = e->value.n == 0 ? EDIT_DELETE_HEADER : EDIT_CHANGE_HEADER;
	e->at = count;
	m->f[at].gone = e->value.n == 0;
	return true;
}

/* Lines of a value are divided by LF. */
static struct strv
with_crlf(struct arena *a, struct strv v)
{
	size_t n = 0;
	char  *p;

	if (v.n == 0 || memchr(v.p, '\n', v.n) == NULL)
		return v;
	p = arena_bytes(a, 2 * v.n);
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
	struct edit add = { .name = answer->name, .exact = m->exact, .by = by };

	m->fields += answer->name.n + answer->value.n;
	if (m->fields > HEADER_MORE)
		return no(why, "header fields that are too long together");
	add.value = with_crlf(m->a, answer->value);
	if (answer->kind == MILTER_ANS_ADD_HEADER)
		add_field(m, &add);
	else if (answer->kind == MILTER_ANS_INSERT_HEADER)
		insert_field(m, &add, answer->at);
	else if (!change_field(m, &add, answer->at > 0 ? answer->at : 1))
		return true;
	return edits_add(m->a, e, &add, why);
}

/* ---- the envelope ---- */

/* Sendmail, too, refuses what it counts itself: SIZE and BODY are of the text as it is sent. */
static bool
params_good(struct strv params, const char **why)
{
	while (params.n > 0) {
		struct strv word = strv_word(&params), name = strv_first(word, strv_chr(word, '='));

		for (size_t i = 0; i < word.n; i++)
			if (word.p[i] <= ' ' || word.p[i] >= 0x7f)
				return no(why, "parameters that are none");
		if (word.n > 0 && name.n == 0)
			return no(why, "a parameter without a name");
		if (strv_ieq(name, SV("SIZE")) || strv_ieq(name, SV("BODY")))
			return no(why, "a parameter that is not for a milter to say");
	}
	return true;
}

static bool
add_address(struct milter_edits *m, struct edits *e, const struct milter_answer *answer,
    struct strv by, const char **why)
{
	struct edit add = {
		.value = strv_trim(answer->address), .params = answer->params, .by = by
	};

	add.op = answer->kind == MILTER_ANS_DELETE_RCPT ? EDIT_DELETE_RCPT :
	    answer->kind == MILTER_ANS_CHANGE_FROM      ? EDIT_CHANGE_FROM :
							  EDIT_ADD_RCPT;
	if (add.value.n > MILTER_ADDRESS_MAX)
		return no(why, "an address that is too long");
	if (!params_good(add.params, why))
		return false;
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

/*
 * A run of lines at a time: an LF alone ends a line as in what clients send; a CR alone and a NUL may not be in a
 * text (RFC 5321 2.3.8), and a server behind could take them for anything.
 */
static bool
add_lines(struct milter_edits *m, struct strv v, const char **why)
{
	size_t from = 0;

	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if ((m->cr && c != '\n') || c == '\0')
			return no(why, "a stray CR or NUL in a new body");
		if (c == '\n' && !m->cr) {
			if (!put(m, strv(v.p + from, i - from), why) || !put(m, SV("\r"), why))
				return false;
			from = i;
		}
		m->cr = c == '\r';
		m->open = c != '\n';
	}
	return put(m, strv_from(v, from), why);
}

bool
milter_edits_add(struct milter_edits *m, struct edits *e, const struct milter_answer *answer,
    struct strv by, const char **why)
{
	if (answer->kind != MILTER_ANS_REPLACE_BODY && ++m->asked > EDITS_MAX)
		return no(why, "too many edits");
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

bool
milter_edits_end(struct milter_edits *m, struct edits *e, struct strv by, const char **why)
{
	struct edit add = { .op = EDIT_REPLACE_BODY, .by = by, .body = m->body };

	if (m->body == NULL)
		return true;
	if (m->cr)
		return no(why, "a stray CR in a new body");
	if ((m->open && !put(m, SV("\r\n"), why)) || !put_piece(m, why))
		return false;
	return edits_add(m->a, e, &add, why);
}
