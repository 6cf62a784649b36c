/*
 * mailboxes -- address lists of header fields, as they are met: obsolete forms, comments, groups, routes.
 *
 * A forged From is made of what parsers read differently, so where an address stands in <> that is the
 * one that counts, whatever the words in front of it look like (a name "a@b" in quotes or without is a
 * name), and what cannot be read at all is counted and passed over, not guessed.  Depth is a number, not
 * recursion; every loop moves on.
 *
 *     list      = [ element ] *( "," [ element ] )                     RFC 5322 3.4, 4.4
 *     element   = addr-spec / *word "<" [ route ] addr-spec ">" / *word ":" list ";"
 *     route     = 1*( "," / "@" domain ) ":"
 *     addr-spec = part *( "." part ) "@" ( atom *( "." atom ) / literal )
 *     part      = atom / quoted
 */
#include "proxy/mail/mailboxes.h"

#include "proxy/base/arena.h"
#include "proxy/mail/path.h"

enum { LOCAL_OCTETS = 255, DOMAIN_OCTETS = 255, MAILBOXES_MAX = 10000 };

enum token { TOKEN_END, TOKEN_ATOM, TOKEN_QUOTED, TOKEN_LITERAL, TOKEN_SPECIAL /* c */, TOKEN_BAD };

struct list {
	struct strv left;  /* behind the token */
	enum token  token; /* at hand */
	char        c;     /* SPECIAL */
	struct strv v;     /* ATOM; QUOTED, without its quotes; LITERAL, with its brackets */
	bool        group, doubtful;
	bool        unclosed[2]; /* a quoted string, a literal: none behind it is closed either */
	size_t      n_local, n_domain;
	char        local[LOCAL_OCTETS], domain[DOMAIN_OCTETS];
};

/* ---- tokens ---- */

static bool
has_at(struct strv v)
{
	return strv_chr(v, '@') < v.n;
}

/* Behind the ) or at the end. RFC 5322 3.2.2: comments nest. */
static struct strv
skip_comment(struct list *l, struct strv v)
{
	size_t depth = 1, i = 1;

	for (; i < v.n && depth > 0; i++) {
		if (v.p[i] == '\\' && i + 1 < v.n)
			i++;
		else if (v.p[i] == '(')
			depth++;
		else if (v.p[i] == ')')
			depth--;
	}
	/* It never ends, so there are readers to whom it is none. */
	l->doubtful = l->doubtful || (depth > 0 && has_at(v));
	return strv_from(v, i);
}

static struct strv
skip_cfws(struct list *l, struct strv v)
{
	while (v.n > 0) {
		if (v.p[0] == '(')
			v = skip_comment(l, v);
		else if (v.p[0] == ' ' || v.p[0] == '\t' || v.p[0] == '\r' || v.p[0] == '\n')
			v = strv_from(v, 1);
		else
			break;
	}
	return v;
}

static bool
is_atom(char c)
{
	return (unsigned char)c >= 0x80 ||
	    (c > ' ' && c != 0x7f && memchr("()<>[]:;@\\,.\"", c, 13) == NULL);
}

/* From an opening octet to the closing one, a backslash hides what follows. False: it is not closed. */
static bool
take_until(struct list *l, char close)
{
	size_t i = 1;

	while (i < l->left.n && l->left.p[i] != close)
		i += l->left.p[i] == '\\' ? 2 : 1;
	if (i >= l->left.n)
		return false;
	l->v = strv_first(l->left, i + 1);
	l->left = strv_from(l->left, i + 1);
	return true;
}

/* To the end it is looked once, else a field of nothing but "[" takes seconds. */
static void
take_open(struct list *l, char c)
{
	bool *unclosed = &l->unclosed[c == '['];

	l->token = c == '"' ? TOKEN_QUOTED : TOKEN_LITERAL;
	*unclosed = *unclosed || !take_until(l, c == '"' ? '"' : ']');
	if (*unclosed) {
		l->token = TOKEN_BAD;
		l->v = strv_first(l->left, 1);
		l->left = strv_from(l->left, 1);
	} else if (c == '"')
		l->v = strv(l->v.p + 1, l->v.n - 2);
}

static void
next(struct list *l)
{
	size_t n = 0;

	l->left = skip_cfws(l, l->left);
	if (l->left.n == 0) {
		l->token = TOKEN_END;
		return;
	}
	l->c = l->left.p[0];
	if (l->c == '"' || l->c == '[') {
		take_open(l, l->c);
		return;
	}
	while (n < l->left.n && is_atom(l->left.p[n]))
		n++;
	if (n > 0)
		l->token = TOKEN_ATOM;
	else
		l->token = memchr("<>:;@,.", l->c, 7) != NULL ? TOKEN_SPECIAL : TOKEN_BAD;
	n = n > 0 ? n : 1;
	l->v = strv_first(l->left, n);
	l->left = strv_from(l->left, n);
}

static bool
at(const struct list *l, char c)
{
	return l->token == TOKEN_SPECIAL && l->c == c;
}

static bool
at_end(const struct list *l)
{
	return l->token == TOKEN_END || at(l, ',') || at(l, ';');
}

/* ---- an address ---- */

/* Undoes backslashes of a quoted string and drops its folding. False: too long, or a control. */
static bool
add_local(struct list *l, struct strv v, bool quoted)
{
	for (size_t i = 0; i < v.n; i++) {
		char c = v.p[i];

		if (quoted && (c == '\r' || c == '\n'))
			continue;
		if (quoted && c == '\\' && i + 1 < v.n)
			c = v.p[++i];
		if ((unsigned char)c < ' ' || c == 0x7f || l->n_local == LOCAL_OCTETS)
			return false;
		l->local[l->n_local++] = c;
	}
	return true;
}

static bool
add_domain(struct list *l, struct strv v)
{
	if (v.n > DOMAIN_OCTETS - l->n_domain)
		return false;
	for (size_t i = 0; i < v.n; i++)
		l->domain[l->n_domain++] = ascii_lower(v.p[i]);
	return true;
}

/* Words and dots up to the "@". RFC 5322 4.4: blanks and comments may stand between. */
static bool
take_local(struct list *l)
{
	bool word = false; /* the latest was no dot */
	bool any = false;

	l->n_local = 0;
	for (;; next(l)) {
		bool quoted = l->token == TOKEN_QUOTED;

		if (at(l, '.')) {
			/* More than the RFC's: a..b@ and a.@ are in use. */
			if (!add_local(l, SV("."), false))
				return false;
			word = false;
		} else if ((l->token == TOKEN_ATOM || quoted) && !word) {
			if (!add_local(l, l->v, quoted))
				return false;
			word = true;
		} else
			break;
		any = true;
	}
	return any && at(l, '@');
}

static bool
take_domain(struct list *l)
{
	struct addr literal;
	bool        word = false;

	l->n_domain = 0;
	if (l->token == TOKEN_LITERAL) {
		struct strv in = strv(l->v.p + 1, l->v.n - 2);
		bool        good = add_domain(l, l->v) && addr_parse_literal(in, &literal);

		next(l);
		return good;
	}
	for (;; next(l)) {
		if (at(l, '.') ? !word : l->token != TOKEN_ATOM || word)
			break;
		if (!add_domain(l, l->v))
			return false;
		word = l->token == TOKEN_ATOM;
	}
	if (l->n_domain > 0 && l->domain[l->n_domain - 1] == '.')
		l->n_domain--;
	return domain_valid(strv(l->domain, l->n_domain), false, true);
}

/* RFC 5322 4.4, obs-route: understood and dropped. */
static bool
skip_route(struct list *l)
{
	while (at(l, '@') || at(l, ',')) {
		if (at(l, ',')) {
			next(l);
			continue;
		}
		next(l);
		if (!take_domain(l))
			return false;
	}
	if (!at(l, ':'))
		return false;
	next(l);
	return true;
}

/* At the octet behind "<". A list goes on behind the ">", also where nothing good stood before it. */
static bool
take_angle(struct list *l)
{
	bool good = !(at(l, '@') || at(l, ',')) || skip_route(l);

	good = good && take_local(l);
	if (good) {
		next(l);
		good = take_domain(l) && at(l, '>');
	}
	while (l->token != TOKEN_END && !at(l, '>'))
		next(l);
	next(l);
	return good;
}

/* ---- the list ---- */

static bool
needs_quotes(struct strv local)
{
	if (local.n == 0 || local.p[0] == '.' || local.p[local.n - 1] == '.')
		return true;
	for (size_t i = 0; i < local.n; i++)
		if (local.p[i] == '.' ? local.p[i - 1] == '.' : !is_atom(local.p[i]))
			return true;
	return false;
}

static struct strv
quote(struct arena *a, struct strv local)
{
	char  *p;
	size_t n = 0;

	if (!needs_quotes(local))
		return local;
	p = arena_bytes(a, 2 * local.n + 2);
	p[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			p[n++] = '\\';
		p[n++] = local.p[i];
	}
	p[n++] = '"';
	return strv(p, n);
}

/* False: it is no address after all. */
static bool
keep(struct arena *a, const struct list *l, struct mailboxes *out)
{
	struct strv     local = strv(l->local, l->n_local);
	struct mailbox *m = &out->first;

	if (!utf8_valid(local))
		return false;
	if (out->n++ > 0) {
		out->mixed = out->mixed || !strv_eq(m->domain, strv(l->domain, l->n_domain));
		return true;
	}
	m->local = arena_dup(a, local);
	m->domain = arena_dup(a, strv(l->domain, l->n_domain));
	m->text = arena_concat(a, arena_concat(a, quote(a, m->local), SV("@")), m->domain);
	return true;
}

/* Words of a name, up to what makes it one. */
static void
skip_phrase(struct list *l)
{
	while (!at_end(l) && !at(l, '<') && !at(l, ':'))
		next(l);
}

/* An element that has something; true: an address was there, or there need be none. */
static bool
take_element(struct arena *a, struct list *l, struct mailboxes *out)
{
	bool   spec = take_local(l);
	size_t kept = out->n;

	if (spec) {
		next(l);
		spec = take_domain(l);
	}
	/* Behind an address only "<" makes it a name. */
	if (spec && at_end(l))
		return keep(a, l, out);
	skip_phrase(l);
	if (at(l, ':') && !l->group) {
		l->group = true;
		l->doubtful = l->doubtful || spec;
		next(l);
		return true;
	}
	while (at(l, '<')) {
		bool null;

		next(l);
		null = at(l, '>');
		if (take_angle(l) && !keep(a, l, out))
			return false;
		if (null)
			return at_end(l);
	}
	return out->n > kept && at_end(l);
}

void
mailboxes_parse(struct arena *a, struct strv value, struct mailboxes *out)
{
	struct list l = { .left = strv_first(
			      value, value.n < MAILBOXES_OCTETS ? value.n : MAILBOXES_OCTETS) };

	const char *from;

	*out = (struct mailboxes){ 0 };
	next(&l);
	while (l.token != TOKEN_END && out->n < MAILBOXES_MAX) {
		if (at_end(&l)) {
			if (at(&l, ';'))
				l.group = false;
			next(&l);
			continue;
		}
		from = l.v.p;
		if (take_element(a, &l, out))
			continue;
		out->broken++;
		while (!at_end(&l))
			next(&l);
		l.doubtful = l.doubtful || has_at(strv(from, (size_t)(l.left.p - from)));
	}
	out->doubtful = l.doubtful || l.token != TOKEN_END;
}
