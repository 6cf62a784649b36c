/*
 * path -- envelope addresses: taken apart, and put together again in one canonical form.
 *
 * What goes upstream, into logs and before rules is never the octets that came but `text`, made anew
 * here: no source route, quotes only where they are needed, no dot behind the domain.  Comments,
 * blanks outside quotes and backslashes outside quotes are faults.  The invariant, which the fuzzer
 * holds: `text` parses to the same path again.
 *
 *     path       = "<" [ at-domain *( "," at-domain ) ":" ] mailbox ">"        RFC 5321 4.1.2
 *     mailbox    = ( dots / quoted ) [ "@" ( domain / "[" literal "]" ) ]
 *     dots       = 1*( atext / "." )         more than the RFC's: a..b and a. are in use; we quote them
 *     quoted     = DQUOTE *( %d32-33 / %d35-91 / %d93-126 / "\" %d32-126 ) DQUOTE
 */
#include "proxy/mail/path_own.h"

#include "proxy/base/arena.h"

#define LOCAL_MAX 64  /* RFC 5321 4.5.3.1.1 */
#define PATH_MAX_ 256 /* 4.5.3.1.3, angle brackets included */

/* Over one path, and what was found on the way. */
struct walk {
	const char  *p, *end;
	bool         may_utf8, utf8, routed;
	enum path_rc rc; /* of the first fault */
	const char  *why;
	size_t       n_local;
	struct strv  domain; /* absent: none */
	struct addr  literal;
	char         local[LOCAL_MAX];
};

static bool
fault(struct walk *w, enum path_rc rc, const char *why)
{
	w->rc = rc;
	w->why = why;
	return false;
}

/* Is c next? Then it is behind us. */
static bool
take(struct walk *w, char c)
{
	if (w->p == w->end || *w->p != c)
		return false;
	w->p++;
	return true;
}

/* RFC 5322 3.2.3 */
static bool
is_atext(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) ||
	    (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* Takes one sequence of UTF-8 from the walk into the local part. */
static bool
take_utf8(struct walk *w, size_t *n)
{
	if (!w->may_utf8)
		return fault(w, PATH_NON_ASCII, "address is not ASCII");
	*n = utf8_one(strv(w->p, (size_t)(w->end - w->p)));
	if (*n == 0)
		return fault(w, PATH_SYNTAX, "address is not well-formed UTF-8");
	w->utf8 = true;
	return true;
}

/* Adds n octets at w->p to the local part and moves behind them. */
static bool
put(struct walk *w, size_t n)
{
	if (w->n_local + n > LOCAL_MAX)
		return fault(w, PATH_TOO_LONG, "local part is longer than 64 octets");
	memcpy(w->local + w->n_local, w->p, n);
	w->n_local += n;
	w->p += n;
	return true;
}

/* Behind the first quote. */
static bool
take_quoted(struct walk *w)
{
	while (w->p < w->end && *w->p != '"') {
		bool   escaped = *w->p == '\\';
		size_t n = 1;

		if (escaped && ++w->p == w->end)
			break;
		if ((unsigned char)*w->p >= 0x80) {
			if (escaped)
				return fault(w, PATH_SYNTAX, "backslash before a non-ASCII octet");
			if (!take_utf8(w, &n))
				return false;
		} else if (*w->p < 0x20 || *w->p == 0x7f)
			return fault(w, PATH_SYNTAX, "control character in the address");
		if (!put(w, n))
			return false;
	}
	return take(w, '"') || fault(w, PATH_SYNTAX, "quote is not closed");
}

/* How many octets from here on are atext or dots. */
static size_t
run_of_atext(const struct walk *w)
{
	const char *p = w->p;

	while (p < w->end && (*p == '.' || is_atext(*p)))
		p++;
	return (size_t)(p - w->p);
}

static bool
take_dots(struct walk *w)
{
	while (w->p < w->end) {
		size_t n = run_of_atext(w);

		if (n == 0 && (unsigned char)*w->p < 0x80)
			break;
		if ((n == 0 && !take_utf8(w, &n)) || !put(w, n))
			return false;
	}
	return w->n_local > 0 || fault(w, PATH_SYNTAX, "local part is missing");
}

static bool
take_literal(struct walk *w)
{
	struct strv v = strv(w->p, (size_t)(w->end - w->p));
	size_t      n = strv_chr(v, ']');

	if (n == v.n || !addr_parse_literal(strv(v.p + 1, n - 1), &w->literal))
		return fault(w, PATH_SYNTAX, "malformed address literal");
	w->domain = strv_first(v, n + 1);
	w->p += n + 1;
	return true;
}

static bool
take_domain(struct walk *w, struct strv *out)
{
	const char *from = w->p;
	bool        eight = false;

	for (; w->p < w->end; w->p++) {
		char c = *w->p;

		if ((unsigned char)c >= 0x80)
			eight = true;
		else if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_' &&
		    c != '.')
			break;
	}
	*out = strv(from, (size_t)(w->p - from));
	if (out->n > 0 && out->p[out->n - 1] == '.')
		out->n--;
	if (eight && !w->may_utf8)
		return fault(w, PATH_NON_ASCII, "address is not ASCII");
	if (out->n > DOMAIN_MAX)
		return fault(w, PATH_TOO_LONG, "domain is longer than 255 octets");
	if (!domain_valid(*out, false, w->may_utf8))
		return fault(w, PATH_SYNTAX, "malformed domain");
	w->utf8 |= eight;
	return true;
}

/* A source route is understood and dropped: RFC 5321 3.6.1, appendix C. */
static bool
take_route(struct walk *w)
{
	struct strv dropped;
	bool        utf8 = w->utf8;

	do {
		if (!take(w, '@'))
			return fault(w, PATH_SYNTAX, "malformed source route");
		if (!take_domain(w, &dropped))
			return false;
	} while (take(w, ','));
	if (!take(w, ':'))
		return fault(w, PATH_SYNTAX, "malformed source route");
	w->utf8 = utf8;
	w->routed = true;
	return true;
}

static bool
take_mailbox(struct walk *w, unsigned flags)
{
	if (w->p < w->end && *w->p == '@' && !take_route(w))
		return false;
	if (take(w, '"') ? !take_quoted(w) : !take_dots(w))
		return false;
	if (take(w, '@')) {
		if (w->p < w->end && *w->p == '[')
			return take_literal(w);
		return take_domain(w, &w->domain);
	}
	if (!(flags & PATH_MAY_BE_BARE) || w->routed || w->n_local == 0)
		return fault(w, PATH_SYNTAX, "domain is missing");
	return true;
}

static bool
needs_quotes(struct strv local)
{
	if (local.n == 0 || local.p[0] == '.' || local.p[local.n - 1] == '.')
		return true;
	for (size_t i = 0; i < local.n; i++) {
		char c = local.p[i];

		if (c == '.' ? local.p[i - 1] == '.' : (unsigned char)c < 0x80 && !is_atext(c))
			return true;
	}
	return false;
}

static size_t
print_local(struct strv local, char *out)
{
	size_t n = 0;

	if (!needs_quotes(local)) {
		memcpy(out, local.p, local.n);
		return local.n;
	}
	out[n++] = '"';
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			out[n++] = '\\';
		out[n++] = local.p[i];
	}
	out[n++] = '"';
	return n;
}

/* Puts what was found together; false: the whole is too long. */
static bool
finish(struct arena *a, struct walk *w, struct path *out)
{
	struct strv local = strv(w->local, w->n_local);
	char        quoted[2 * LOCAL_MAX + 2];
	size_t      n = print_local(local, quoted), whole = n;
	char       *p;

	if (w->domain.p != NULL)
		whole += 1 + w->domain.n;
	if (whole + 2 > PATH_MAX_)
		return fault(w, PATH_TOO_LONG, "path is longer than 256 octets");
	p = arena_bytes(a, whole);
	memcpy(p, quoted, n);
	*out = (struct path){ .literal = w->literal, .utf8 = w->utf8, .routed = w->routed };
	out->text = strv(p, whole);
	out->local = n == local.n ? strv(p, n) : arena_dup(a, local);
	if (w->domain.p == NULL) {
		out->kind = strv_ieq(local, SV("postmaster")) ? PATH_POSTMASTER : PATH_LOCAL;
		return true;
	}
	p[n] = '@';
	memcpy(p + n + 1, w->domain.p, w->domain.n);
	out->domain = strv(p + n + 1, w->domain.n);
	out->kind = PATH_MAILBOX;
	return true;
}

bool
path_routes(const struct path *p)
{
	if (p->local.n > 0 && (p->local.p[0] == '.' || p->local.p[0] == '/'))
		return true;
	for (size_t i = 0; i < p->local.n; i++)
		if (memchr("@%!|", p->local.p[i], 4) != NULL)
			return true;
	return false;
}

struct strv
path_text(const struct path *p)
{
	return p->kind == PATH_NULL ? SV("") : p->text;
}

enum path_rc
path_parse(struct arena *a, struct strv *v, unsigned flags, struct path *out, const char **why)
{
	struct walk w = { .p = v->p, .end = v->p + v->n, .may_utf8 = flags & PATH_MAY_BE_UTF8 };
	bool        good;

	if (v->n == 0 || *w.p != '<')
		good = fault(&w, PATH_SYNTAX, "address is not in <>");
	else if (++w.p < w.end && *w.p == '>') {
		*out = (struct path){ .kind = PATH_NULL, .text = SV(""), .local = SV("") };
		good = flags & PATH_MAY_BE_NULL || fault(&w, PATH_SYNTAX, "address is empty");
	} else
		good = take_mailbox(&w, flags);
	if (good && (w.p == w.end || *w.p != '>'))
		good = fault(&w, PATH_SYNTAX, "malformed address");
	if (good && w.p[-1] != '<')
		good = finish(a, &w, out);
	*why = w.why;
	if (good)
		*v = strv(w.p + 1, (size_t)(w.end - w.p - 1));
	return good ? PATH_OK : w.rc;
}

enum path_rc
path_parse_plain(struct arena *a, struct strv v, struct path *out, const char **why)
{
	struct walk w = { .p = v.p, .end = v.p + v.n, .may_utf8 = true };

	if (v.n > 0 && v.p[0] == '<') {
		unsigned     all = PATH_MAY_BE_NULL | PATH_MAY_BE_BARE | PATH_MAY_BE_UTF8;
		enum path_rc rc = path_parse(a, &v, all, out, why);

		if (rc == PATH_OK && v.n > 0) {
			*why = "something follows the address";
			rc = PATH_SYNTAX;
		}
		return rc;
	}
	if (take_mailbox(&w, PATH_MAY_BE_BARE) &&
	    (w.p == w.end || fault(&w, PATH_SYNTAX, "malformed address")) && finish(a, &w, out))
		return PATH_OK;
	*why = w.why;
	return w.rc;
}
