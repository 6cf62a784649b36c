/*
 * authres_forged -- does a field Authentication-Results bear our id?  RFC 8601 5.
 *
 * Who reads the field behind us may read it less strictly than RFC 8601 2.2, or wrongly.  So the id is read in
 * each of those ways, from octets of names alone (quotes and backslashes are left out), and what any of them
 * makes ours is ours.  What names somebody else in all of them is let alone: others' results are not ours to
 * remove.
 *
 *     payload = [CFWS] id [CFWS version] ( ";" ... )        id = token / quoted-string
 */
#include "proxy/base/idn.h"
#include "proxy/mail/authres.h"

#define ID_MOST     300 /* octets of an id: a domain is 255 at most */
#define TRIES_MOST  8   /* conversions to A-labels for one field */
#define PIECES_MOST 32  /* of one id, with comments or blanks between them */

/* How a reader takes comments: one inside the other; with quoted pairs. RFC 5322 3.2.2 says both. */
enum { NESTED = 1, PAIRS = 2, STRICT = NESTED | PAIRS };

enum gap {
	GAP_NONE,
	GAP_TIGHT /* comments alone */,
	GAP_WIDE,
	GAP_JUNK /* no id can stand behind it */,
	GAP_END
};

struct name {
	char   p[ID_MOST];
	size_t n;
};

struct ours {
	struct name text; /* in lower case, A-labels where there are such */
	bool        odd;  /* it holds octets that no name has: they mean nothing then */
	unsigned    tries;
};

struct reading {
	struct strv rest;
	unsigned    how;
	struct name id; /* so far */
};

static struct strv
view(const struct name *x)
{
	return strv(x->p, x->n);
}

static bool
is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

static bool
of_name(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_' || c == '.' ||
	    is_high(c);
}

/* ---- is it ours? ---- */

static struct strv
without_dots(struct strv v)
{
	while (v.n > 0 && v.p[0] == '.')
		v = strv_from(v, 1);
	while (v.n > 0 && v.p[v.n - 1] == '.')
		v = strv_first(v, v.n - 1);
	return v;
}

static bool
has_high(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (is_high(v.p[i]))
			return true;
	return false;
}

/* It may be read as any label: what no IDNA makes sense of, and A-labels of what is ASCII. */
static bool
is_wild(struct strv label)
{
	return has_high(label) || (strv_starts(label, SV("xn--")) && strv_ends(label, SV("-")));
}

/* Where libidn2 is missing ours may be of U-labels still. */
static bool
labels_agree(struct strv label, struct strv our)
{
	return strv_eq(label, our) || is_wild(label) ||
	    (has_high(our) && strv_starts(label, SV("xn--")));
}

static bool
may_be(struct strv id, struct strv our)
{
	while (id.p != NULL && our.p != NULL)
		if (!labels_agree(strv_cut(&id, '.'), strv_cut(&our, '.')))
			return false;
	return id.p == NULL && our.p == NULL;
}

/* A reader may leave out octets that it does not understand. */
static bool
is_but_for_garbage(struct strv id, struct strv our)
{
	struct name left = { .n = 0 };

	for (size_t i = 0; i < id.n; i++)
		if (!is_high(id.p[i]))
			left.p[left.n++] = id.p[i];
	return strv_eq(without_dots(view(&left)), our);
}

static bool
is_ours(const struct name *x, struct ours *us)
{
	struct strv id = without_dots(view(x)), our = view(&us->text), ascii;
	char        buf[IDN_OCTETS];

	if (strv_eq(id, our))
		return true;
	if (!may_be(id, our) && !(has_high(id) && is_but_for_garbage(id, our)))
		return false;
	/* Who needs many is up to no good, and they cost time. */
	if (++us->tries > TRIES_MOST)
		return true;
	ascii = idn_domain(id, buf);
	/* A name in good order is that name and no other. */
	return ascii.p != buf || strv_eq(ascii, our);
}

/* ---- reading ---- */

/* Ideographic full stops are dots to IDNA2003 and UTS 46; three octets each. */
static bool
is_dot_of_three(struct strv v)
{
	return strv_starts(v, SV("\xe3\x80\x82")) || strv_starts(v, SV("\xef\xbc\x8e")) ||
	    strv_starts(v, SV("\xef\xbd\xa1"));
}

/* A comment's octets; all that is left where it has no end. */
static size_t
comment(struct strv v, unsigned how)
{
	unsigned depth = 0;

	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\\' && (how & PAIRS))
			i++;
		else if (v.p[i] == '(')
			depth = how & NESTED ? depth + 1 : 1;
		else if (v.p[i] == ')' && --depth == 0)
			return i + 1;
	}
	return v.n;
}

static enum gap
gap_of(struct strv v)
{
	char c = v.p[0];

	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return GAP_WIDE;
	/* What begins with =? somebody might decode. RFC 2047 5 */
	if (strv_starts(v, SV("=?")))
		return GAP_JUNK;
	return c == '"' || c == '\\' || (unsigned char)c < ' ' || c == 0x7f ? GAP_TIGHT : GAP_WIDE;
}

/* Skips what is no name; first: nothing was read yet, and but for CFWS nothing should stand here. */
static enum gap
skip(struct reading *r, bool first)
{
	enum gap gap = GAP_NONE;

	while (r->rest.n > 0 && !of_name(r->rest.p[0])) {
		char     c = r->rest.p[0];
		enum gap one = gap_of(r->rest);
		size_t   n = 1;

		if (c == ';')
			return GAP_END;
		if (c == '(') {
			one = GAP_TIGHT;
			n = comment(r->rest, r->how);
		} else if (one == GAP_WIDE && first && strchr(" \t\r\n", c) == NULL) {
			one = GAP_JUNK;
		}
		gap = one > gap ? one : gap;
		r->rest = strv_from(r->rest, n);
	}
	return r->rest.n == 0 ? GAP_END : gap;
}

/* The next octets of a name. False: they are too many for one. */
static bool
take(struct reading *r)
{
	while (r->rest.n > 0 && of_name(r->rest.p[0])) {
		bool dot = is_dot_of_three(r->rest);

		if (r->id.n == sizeof(r->id.p))
			return false;
		r->id.p[r->id.n++] = dot ? '.' : ascii_lower(r->rest.p[0]);
		r->rest = strv_from(r->rest, dot ? 3 : 1);
	}
	return true;
}

/* RFC 5322 4.4: blanks and comments may stand around the dots of a domain. */
static bool
goes_on(const struct reading *r, enum gap gap, const struct ours *us)
{
	return gap == GAP_TIGHT || us->odd || r->id.p[r->id.n - 1] == '.' || r->rest.p[0] == '.' ||
	    is_dot_of_three(r->rest);
}

static bool
reads_as_ours(struct strv value, unsigned how, struct ours *us)
{
	struct reading r = { .rest = value, .how = how };
	enum gap       gap = skip(&r, true);

	if (gap == GAP_JUNK || gap == GAP_END)
		return how == STRICT;
	for (unsigned i = 0; i < PIECES_MOST; i++) {
		if (!take(&r) || is_ours(&r.id, us))
			return true;
		gap = skip(&r, false);
		if (gap == GAP_JUNK)
			return true;
		if (gap == GAP_END || !goes_on(&r, gap, us))
			return false;
	}
	return true;
}

/* False: no field can bear it. */
static bool
know_ours(struct strv id, struct ours *us)
{
	struct strv ascii;
	char        buf[IDN_OCTETS];

	us->odd = false;
	us->tries = 0;
	us->text.n = 0;
	id = without_dots(id);
	for (size_t i = 0; i < id.n; i++) {
		if (us->text.n == sizeof(us->text.p))
			return false;
		if (of_name(id.p[i]))
			us->text.p[us->text.n++] = ascii_lower(id.p[i]);
		else
			us->odd = true;
	}
	ascii = idn_domain(view(&us->text), buf);
	if (ascii.p == buf) {
		memcpy(us->text.p, buf, ascii.n);
		us->text.n = ascii.n;
	}
	return us->text.n > 0;
}

bool
authres_forges(struct strv raw, struct strv id)
{
	size_t      colon = strv_chr(raw, ':');
	struct strv value = strv_from(raw, colon < raw.n ? colon + 1 : colon);
	struct ours us;

	if (!know_ours(id, &us))
		return false;
	if (reads_as_ours(value, STRICT, &us))
		return true;
	/* Without comments all of them read alike. */
	if (strv_chr(value, '(') == value.n)
		return false;
	return reads_as_ours(value, 0, &us) || reads_as_ours(value, NESTED, &us) ||
	    reads_as_ours(value, PAIRS, &us);
}
