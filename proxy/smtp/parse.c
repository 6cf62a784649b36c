/*
 * parse -- the arguments of commands, taken apart; MAIL and RCPT written anew.
 *
 * Not for what a command does.  The invariant: whatever print_mail and print_rcpt write was checked
 * here octet by octet, so no parameter of a stranger can hold a blank, CR, LF or NUL, and no parameter
 * of an extension that this session was not offered gets through.
 *
 *     parameters = *( SP keyword [ "=" value ] )                   RFC 5321 4.1.2
 *     keyword    = ( ALPHA / DIGIT ) *( ALPHA / DIGIT / "-" )
 *     value      = 1*( %d33-60 / %d62-126 / UTF-8 above 127 )      RFC 6531 3.3
 */
#include "proxy/smtp/parse.h"

#include "proxy/base/arena.h"

enum { FOR_MAIL = 1, FOR_RCPT = 2 };

/* Where a parameter's checked value goes. */
struct given {
	struct mail_params *mail; /* NULL: RCPT */
	bool                utf8;
	struct fault       *f;
};

static bool
fault(struct fault *f, uint16_t code, const char *enh, const char *text)
{
	*f = (struct fault){ code, enh, text };
	return false;
}

static bool
set_size(struct given *g, struct strv v)
{
	uint64_t n = UINT64_MAX;

	if (v.n == 0 || v.n > 20)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!ascii_is_digit(v.p[i]))
			return false;
	/* RFC 1870 5: 20 digits are legal, though 64 bits may not hold them. */
	strv_number(v, UINT64_MAX, &n);
	g->mail->size = n;
	return true;
}

static bool
set_body(struct given *g, struct strv v)
{
	if (strv_ieq(v, SV("7BIT")))
		g->mail->body = BODY_7BIT;
	else if (strv_ieq(v, SV("8BITMIME")))
		g->mail->body = BODY_8BITMIME;
	/* RFC 3030 3: text that has no lines. */
	else if (strv_ieq(v, SV("BINARYMIME")))
		return fault(g->f, 555, "5.5.4", "BODY=BINARYMIME is not offered");
	else
		return false;
	return true;
}

static bool
set_smtputf8(struct given *g, struct strv v)
{
	g->mail->smtputf8 = true;
	return v.p == NULL;
}

static bool
set_ret(struct given *g, struct strv v) /* RFC 3461 4.3 */
{
	g->mail->ret = v;
	return strv_ieq(v, SV("FULL")) || strv_ieq(v, SV("HDRS"));
}

static bool
set_envid(struct given *g, struct strv v) /* RFC 3461 4.4 */
{
	g->mail->envid = v;
	return v.n > 0 && v.n <= 100 && xtext_valid(v);
}

static bool
set_auth(struct given *g, struct strv v) /* RFC 4954 5 */
{
	(void)g;
	return strv_eq(v, SV("<>")) || (v.n > 0 && v.n <= 500 && xtext_valid(v));
}

static bool
set_notify(struct given *g, struct strv v) /* RFC 3461 4.1: NEVER stands alone */
{
	unsigned n = 0;
	bool     never = false;

	(void)g;
	while (v.p != NULL) {
		struct strv w = strv_cut(&v, ',');

		if (strv_ieq(w, SV("NEVER")))
			never = true;
		else if (!strv_ieq(w, SV("SUCCESS")) && !strv_ieq(w, SV("FAILURE")) &&
		    !strv_ieq(w, SV("DELAY")))
			return false;
		n++;
	}
	return n > 0 && n <= 3 && !(never && n > 1);
}

/* orcpt = addr-type ";" xtext, RFC 3461 4.2; with SMTPUTF8 "utf-8;" and UTF-8 as it is, RFC 6533 3. */
static bool
set_orcpt(struct given *g, struct strv v)
{
	struct strv rest = v, type = strv_cut(&rest, ';');

	if (v.n > 500 || type.n == 0 || rest.n == 0)
		return false;
	for (size_t i = 0; i < type.n; i++)
		if (!ascii_is_alpha(type.p[i]) && !ascii_is_digit(type.p[i]) && type.p[i] != '-')
			return false;
	if (g->utf8 && strv_ieq(type, SV("utf-8")))
		return utf8_valid(rest);
	return xtext_valid(rest);
}

/* clang-format off */
static const struct row {
	const char *name;
	uint32_t    cap;
	unsigned    where;
	bool      (*set)(struct given *, struct strv value);    /* false: malformed; may say more in g->f */
	const char *why;
} rows[] = {
	{ "SIZE",     EHLO_SIZE,     FOR_MAIL, set_size,     "malformed SIZE" },
	{ "BODY",     EHLO_8BITMIME, FOR_MAIL, set_body,     "malformed BODY" },
	{ "SMTPUTF8", EHLO_SMTPUTF8, FOR_MAIL, set_smtputf8, "SMTPUTF8 takes no value" },
	{ "RET",      EHLO_DSN,      FOR_MAIL, set_ret,      "RET is FULL or HDRS" },
	{ "ENVID",    EHLO_DSN,      FOR_MAIL, set_envid,    "malformed ENVID" },
	{ "AUTH",     EHLO_AUTH,     FOR_MAIL, set_auth,     "malformed AUTH" },
	{ "NOTIFY",   EHLO_DSN,      FOR_RCPT, set_notify,   "malformed NOTIFY" },
	{ "ORCPT",    EHLO_DSN,      FOR_RCPT, set_orcpt,    "malformed ORCPT" },
};
/* clang-format on */

/* Each may come once; and the word behind the last of them is looked at before it is refused. */
#define PARAMS_MAX (sizeof(rows) / sizeof(rows[0]) + 1)

static const struct row *
row_find(struct strv name, unsigned where)
{
	for (const struct row *r = rows; r < rows + sizeof(rows) / sizeof(rows[0]); r++)
		if (r->where == where && strv_ieq(name, strv_z(r->name)))
			return r;
	return NULL;
}

/* "keyword" or "keyword=value" by its octets. */
static bool
split(struct strv word, struct param *out)
{
	struct strv value = word, name = strv_cut(&value, '=');

	for (size_t i = 0; i < name.n; i++)
		if (!ascii_is_alpha(name.p[i]) && !ascii_is_digit(name.p[i]) &&
		    (name.p[i] != '-' || i == 0))
			return false;
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] <= ' ' || value.p[i] == 0x7f || value.p[i] == '=')
			return false;
	*out = (struct param){ name, value };
	return name.n > 0 && (value.p == NULL || value.n > 0);
}

static bool
take_param(struct param *v, unsigned n, struct strv word, unsigned where, uint32_t offered,
    struct given *g)
{
	const struct row *r;

	if (!split(word, &v[n]))
		return fault(g->f, 501, "5.5.4", "malformed parameter");
	r = row_find(v[n].name, where);
	if (r == NULL || !(offered & r->cap)) /* RFC 5321 4.1.1.11 */
		return fault(g->f, 555, "5.5.4", "parameter is not offered");
	for (unsigned i = 0; i < n; i++)
		if (strv_ieq(v[i].name, v[n].name))
			return fault(g->f, 501, "5.5.4", "parameter is given twice");
	if (!r->set(g, v[n].value))
		return g->f->code == 0 ? fault(g->f, 501, "5.5.4", r->why) : false;
	return true;
}

/* What follows the path. */
static bool
take_params(struct arena *a, struct strv rest, unsigned where, uint32_t offered, struct given *g,
    struct param **v, unsigned *n)
{
	struct strv word;

	*n = 0;
	*v = NULL;
	if (rest.n == 0)
		return true;
	if (rest.p[0] != ' ' && rest.p[0] != '\t')
		return fault(g->f, 501, "5.5.4", "something follows the address");
	rest = arena_dup(a, rest);
	*v = arena_array(a, PARAMS_MAX, sizeof(**v));
	while ((word = strv_word(&rest)).n > 0) {
		if (!take_param(*v, *n, word, where, offered, g))
			return false;
		++*n;
	}
	return true;
}

static bool
non_ascii(struct fault *f)
{
	return fault(f, 553, "5.6.7", "address is not ASCII and SMTPUTF8 was not asked for");
}

/* "FROM:" or "TO:" and the path behind it. */
static bool
take_path(struct arena *a, struct strv *rest, struct strv word, unsigned flags, struct path *out,
    struct fault *f)
{
	bool        mail = flags & PATH_MAY_BE_NULL;
	const char *why = NULL;

	if (!strv_istarts(*rest, word))
		return fault(f, 501, "5.5.4", mail ? "say MAIL FROM:<a@b>" : "say RCPT TO:<a@b>");
	*rest = strv_trim(strv_from(*rest, word.n));
	switch (path_parse(a, rest, flags, out, &why)) {
	case PATH_OK:
		return true;
	case PATH_NON_ASCII:
		return non_ascii(f);
	default:
		return fault(f, 501, mail ? "5.1.7" : "5.1.3", why);
	}
}

struct strv
parse_verb(struct strv line, struct strv *rest)
{
	size_t n = 0;

	while (n < line.n && line.p[n] != ' ' && line.p[n] != '\t')
		n++;
	*rest = strv_trim(strv_from(line, n));
	return strv_first(line, n < 16 ? n : 16);
}

bool
parse_helo(struct strv rest, struct strv *name, struct fault *f)
{
	if (rest.n == 0)
		return fault(f, 501, "5.5.4", "say your name");
	if (rest.n > 255)
		return fault(f, 501, "5.5.4", "name is too long");
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] <= ' ' || rest.p[i] >= 0x7f)
			return fault(f, 501, "5.5.4", "malformed name");
	/* The root's dot is in no Domain of RFC 5321 4.1.2, and nobody looks for a name with it. */
	if (rest.n > 1 && rest.p[rest.n - 1] == '.')
		rest.n--;
	*name = rest;
	return true;
}

/*
 * Whether SMTPUTF8 was asked for stands behind the path, so the path is first taken as if: a quoted
 * local part may hold the word, and only the true parameter counts.
 */
bool
parse_mail(struct arena *a, struct strv rest, uint32_t offered, struct path *from,
    struct mail_params *out, struct fault *f)
{
	unsigned flags = PATH_MAY_BE_NULL | PATH_MAY_BE_BARE |
	    (offered & EHLO_SMTPUTF8 ? PATH_MAY_BE_UTF8 : 0u);
	struct given g = { .mail = out, .f = f };

	*f = (struct fault){ 0 };
	*out = (struct mail_params){ 0 };
	if (!take_path(a, &rest, SV("FROM:"), flags, from, f) ||
	    !take_params(a, rest, FOR_MAIL, offered, &g, &out->v, &out->n))
		return false;
	return !from->utf8 || out->smtputf8 || non_ascii(f);
}

bool
parse_rcpt(struct arena *a, struct strv rest, uint32_t offered, bool utf8, struct path *to,
    struct param **params, unsigned *n_params, struct fault *f)
{
	unsigned     flags = PATH_MAY_BE_BARE | (utf8 ? PATH_MAY_BE_UTF8 : 0u);
	struct given g = { .utf8 = utf8, .f = f };

	*f = (struct fault){ 0 };
	*params = NULL;
	*n_params = 0;
	return take_path(a, &rest, SV("TO:"), flags, to, f) &&
	    take_params(a, rest, FOR_RCPT, offered, &g, params, n_params);
}

bool
parse_bdat(struct strv rest, uint64_t *size, bool *last, struct fault *f)
{
	struct strv number = strv_word(&rest), word = strv_word(&rest);

	*f = (struct fault){ 0 };
	*last = word.n > 0;
	if (!strv_number(number, INT64_MAX, size))
		return fault(f, 501, "5.5.4", "say BDAT size [LAST]");
	if ((*last && !strv_ieq(word, SV("LAST"))) || strv_trim(rest).n > 0)
		return fault(f, 501, "5.5.4", "say BDAT size [LAST]");
	return true;
}

static void
print_params(struct buf *out, const struct param *p, unsigned n, unsigned where, uint32_t to)
{
	for (unsigned i = 0; i < n; i++) {
		const struct row *r = row_find(p[i].name, where);

		if (r == NULL || !(to & r->cap))
			continue;
		buf_addc(out, ' ');
		buf_add(out, strv_z(r->name));
		if (p[i].value.p != NULL) {
			buf_addc(out, '=');
			buf_add(out, p[i].value);
		}
	}
	buf_add(out, SV("\r\n"));
}

static void
print_path(struct buf *out, struct strv command, const struct path *p)
{
	buf_add(out, command);
	buf_add(out, path_text(p));
	buf_addc(out, '>');
}

void
print_mail(struct buf *out, const struct path *from, const struct mail_params *p, uint32_t to)
{
	print_path(out, SV("MAIL FROM:<"), from);
	print_params(out, p->v, p->n, FOR_MAIL, to);
}

void
print_rcpt(struct buf *out, const struct path *rcpt, const struct param *p, unsigned n, uint32_t to)
{
	print_path(out, SV("RCPT TO:<"), rcpt);
	print_params(out, p, n, FOR_RCPT, to);
}
