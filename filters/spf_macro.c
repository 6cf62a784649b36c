/*
 * spf_macro -- see spf_macro.h
 *
 * A few octets of a record can stand for many (a thousand times %{s}), so what is made is bounded as it is made: of a
 * name only its end counts (RFC 7208 7.3), of an explanation only its beginning.
 */
#include "filters/spf_macro.h"

#include "proxy/base/arena.h"

enum { ROOM = 1024, PARTS_MAX = 127 };

/* ---- syntax ---- */

struct macro { /* between %{ and } */
	char        letter;
	unsigned    parts; /* 0: all of them */
	bool        reverse;
	struct strv delimiters;
};

static bool
is_alnum(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c);
}

static bool
is_delimiter(char c)
{
	return c != '\0' && strchr(".-+,/_=", c) != NULL;
}

/*
 * *v stands behind "%{".
 *
 *   macro-expand = "%{" macro-letter transformers *delimiter "}"
 *   transformers = *DIGIT [ "r" ]
 *
 * RFC 7208 7.3: the digits are not 0; more parts than there are is all of them.
 */
static bool
scan_macro(struct strv *v, bool explains, struct macro *out)
{
	size_t i = 1, n = v->n;

	*out = (struct macro){ 0 };
	if (n == 0 || v->p[0] == '\0' ||
	    strchr(explains ? "slodiphcrtv" : "slodiphv", ascii_lower(v->p[0])) == NULL)
		return false;
	out->letter = v->p[0];
	for (; i < n && ascii_is_digit(v->p[i]); i++)
		if (out->parts <= PARTS_MAX)
			out->parts = out->parts * 10 + (unsigned)(v->p[i] - '0');
	if (i > 1 && out->parts == 0)
		return false;
	if (i < n && ascii_lower(v->p[i]) == 'r') {
		out->reverse = true;
		i++;
	}
	out->delimiters.p = v->p + i;
	while (i < n && is_delimiter(v->p[i]))
		i++;
	out->delimiters.n = (size_t)(v->p + i - out->delimiters.p);
	if (i == n || v->p[i] != '}')
		return false;
	*v = strv_from(*v, i + 1);
	return true;
}

/* What stands next in a macro-string. */
enum piece { PIECE_END, PIECE_OCTET, PIECE_MACRO, PIECE_WRONG };

/* c: an octet that is meant; "%-" is three (the caller's). */
static enum piece
next_piece(struct strv *v, bool explains, char *c, struct macro *m)
{
	if (v->n == 0)
		return PIECE_END;
	*c = v->p[0];
	if (*c != '%') {
		*v = strv_from(*v, 1);
		return (*c > ' ' && *c < 0x7f) || (explains && *c == ' ') ? PIECE_OCTET :
									    PIECE_WRONG;
	}
	if (v->n == 1)
		return PIECE_WRONG;
	*c = v->p[1];
	*v = strv_from(*v, 2);
	switch (*c) {
	case '{':
		return scan_macro(v, explains, m) ? PIECE_MACRO : PIECE_WRONG;
	case '_':
		*c = ' ';
		return PIECE_OCTET;
	case '%':
	case '-':
		return PIECE_OCTET;
	default:
		return PIECE_WRONG;
	}
}

bool
spf_macro_valid(struct strv spec, bool explains)
{
	struct macro m;
	enum piece   piece;
	char         c;

	while ((piece = next_piece(&spec, explains, &c, &m)) != PIECE_END)
		if (piece == PIECE_WRONG)
			return false;
	return true;
}

/*
 *   toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
 */
static bool
is_top_label(struct strv v)
{
	bool other = false;

	for (size_t i = 0; i < v.n; i++) {
		if (!is_alnum(v.p[i]) && v.p[i] != '-')
			return false;
		other = other || !ascii_is_digit(v.p[i]);
	}
	return other && is_alnum(v.p[0]) && is_alnum(v.p[v.n - 1]);
}

/* Does it end in a macro?  It is valid. */
static bool
ends_in_macro(struct strv v)
{
	struct macro m;
	enum piece   piece, last = PIECE_END;
	char         c;
	bool         literal = false;

	while (v.n > 0) {
		literal = v.p[0] != '%';
		piece = next_piece(&v, false, &c, &m);
		if (piece == PIECE_WRONG)
			return false;
		last = piece;
	}
	return last != PIECE_END && !literal;
}

/*
 *   domain-spec = macro-string domain-end
 *   domain-end  = ( "." toplabel [ "." ] ) / macro-expand
 */
bool
spf_domain_valid(struct strv spec)
{
	struct strv v = spec;
	size_t      dot;

	if (spec.n == 0 || !spf_macro_valid(spec, false))
		return false;
	if (ends_in_macro(spec))
		return true;
	if (v.p[v.n - 1] == '.')
		v.n--;
	dot = strv_rchr(v, '.');
	return dot < v.n && is_top_label(strv_from(v, dot + 1));
}

bool
spf_macro_wants_p(struct strv spec)
{
	struct macro m = { 0 };
	enum piece   piece;
	char         c;

	while ((piece = next_piece(&spec, true, &c, &m)) != PIECE_END && piece != PIECE_WRONG)
		if (piece == PIECE_MACRO && ascii_lower(m.letter) == 'p')
			return true;
	return false;
}

/* ---- what comes out ---- */

struct sink {
	char  *p; /* ROOM octets */
	size_t n;
	bool   tail; /* where there is no room the oldest go; else the newest */
};

static void
put(struct sink *s, char c)
{
	if (s->n == ROOM) {
		if (!s->tail)
			return;
		memmove(s->p, s->p + ROOM / 2, ROOM - ROOM / 2);
		s->n = ROOM - ROOM / 2;
	}
	s->p[s->n++] = c;
}

/* An upper-case letter asks for URL escapes: all but the unreserved octets of RFC 3986 2.3. */
static void
put_value(struct sink *s, struct strv v, bool escape)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (!escape || is_alnum((char)c) || (c != '\0' && strchr("-._~", c) != NULL)) {
			put(s, (char)c);
			continue;
		}
		put(s, '%');
		put(s, hex[c >> 4]);
		put(s, hex[c & 15]);
	}
}

/* RFC 7208 7.3: of IPv6 the nibbles, with dots between them. */
static struct strv
print_ip(struct arena *a, const struct addr *ip)
{
	static const char hex[] = "0123456789ABCDEF";
	char             *p;

	if (ip->family != ADDR_IP6)
		return arena_printf(a, "%u.%u.%u.%u", ip->b[0], ip->b[1], ip->b[2], ip->b[3]);
	p = arena_bytes(a, 64);
	for (unsigned i = 0; i < 16; i++) {
		p[4 * i] = hex[ip->b[i] >> 4];
		p[4 * i + 2] = hex[ip->b[i] & 15];
		p[4 * i + 1] = p[4 * i + 3] = '.';
	}
	return strv(p, 63);
}

static struct strv
value_of(struct arena *a, const struct spf_macros *m, char letter)
{
	char text[ADDR_TEXT];

	switch (ascii_lower(letter)) {
	case 's':
		return arena_concat(a, arena_concat(a, m->local, SV("@")), m->sender);
	case 'l':
		return m->local;
	case 'o':
		return m->sender;
	case 'd':
		return m->domain;
	case 'i':
		return print_ip(a, &m->ip);
	case 'p':
		return m->validated;
	case 'h':
		return m->helo;
	case 'c':
		return arena_dup(a, addr_print(&m->ip, text));
	case 'r':
		return m->receiver;
	case 't':
		return arena_printf(a, "%llu", (unsigned long long)m->seconds);
	case 'v':
		return m->ip.family == ADDR_IP6 ? SV("ip6") : SV("in-addr");
	default:
		return SV("");
	}
}

static bool
is_among(char c, struct strv delimiters)
{
	return strv_chr(delimiters, c) < delimiters.n;
}

/* The parts of a value: split, turned round, the right-hand ones, joined by dots. */
static void
put_parts(struct sink *s, struct strv v, const struct macro *m)
{
	struct strv delimiters = m->delimiters.n > 0 ? m->delimiters : SV(".");
	bool        escape = m->letter < 'a';
	size_t      n = 1, from, at = 0;

	for (size_t i = 0; i < v.n; i++)
		n += is_among(v.p[i], delimiters);
	from = m->parts > 0 && m->parts < n ? n - m->parts : 0;
	if (!m->reverse) {
		for (size_t k = 0; k < n; k++) {
			size_t end = at;

			while (end < v.n && !is_among(v.p[end], delimiters))
				end++;
			if (k > from)
				put(s, '.');
			if (k >= from)
				put_value(s, strv(v.p + at, end - at), escape);
			at = end + 1;
		}
		return;
	}
	/* Reversed, the right-hand parts are the first of the value. */
	for (size_t k = 0, end = v.n; k < n; k++) {
		at = end;
		while (at > 0 && !is_among(v.p[at - 1], delimiters))
			at--;
		if (k > from)
			put(s, '.');
		if (k >= from)
			put_value(s, strv(v.p + at, end - at), escape);
		end = at > 0 ? at - 1 : 0;
	}
}

static struct strv
expand(struct arena *a, const struct spf_macros *m, struct strv spec, bool explains)
{
	struct sink   s = { .p = arena_bytes(a, ROOM), .tail = !explains };
	struct arena *few = arena_new(1024, 0);
	struct macro  one;
	enum piece    piece;
	bool          percent;
	char          c;

	for (;;) {
		percent = spec.n > 0 && spec.p[0] == '%';
		piece = next_piece(&spec, explains, &c, &one);
		if (piece == PIECE_END || piece == PIECE_WRONG)
			break;
		if (piece == PIECE_MACRO) {
			put_parts(&s, value_of(few, m, one.letter), &one);
			arena_reset(few);
		} else if (percent && c == '-')
			put_value(&s, SV(" "), true);
		else
			put(&s, c);
	}
	arena_free(few);
	return strv(s.p, s.n);
}

struct strv
spf_name_escape(struct arena *a, struct strv v)
{
	char  *p = arena_bytes(a, 4 * v.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c >= 0x80)
			return SV("");
		if (c > ' ' && c < 0x7f && c != '\\') {
			p[n++] = (char)c;
			continue;
		}
		p[n++] = '\\';
		p[n++] = (char)('0' + c / 100);
		p[n++] = (char)('0' + c / 10 % 10);
		p[n++] = (char)('0' + c % 10);
	}
	return strv(p, n);
}

struct strv
spf_macro_name(struct arena *a, const struct spf_macros *m, struct strv spec)
{
	struct strv v = expand(a, m, spec, false);

	if (v.n > 0 && v.p[v.n - 1] == '.')
		v.n--;
	while (v.n > SPF_NAME_MAX) {
		size_t dot = strv_chr(v, '.');

		if (dot == v.n)
			return SV("");
		v = strv_from(v, dot + 1);
	}
	return spf_name_escape(a, v);
}

struct strv
spf_macro_text(struct arena *a, const struct spf_macros *m, struct strv spec)
{
	struct strv v = expand(a, m, spec, true);
	size_t      n = v.n < SPF_EXPLANATION_MAX ? v.n : SPF_EXPLANATION_MAX;
	char       *p = arena_bytes(a, n + 1);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		p[i] = (char)(c >= 0x80 ? '?' : c < ' ' || c == 0x7f ? ' ' : c);
	}
	return strv(p, n);
}
