/*
 * mime -- see the header.
 *
 * The body is taken apart line by line.  A line that is a delimiter of any open multipart ends whatever is
 * inside of that one.  Otherwise a line belongs to the header of a part, where it is gathered into
 * a field, or to its content, which is of no interest here.
 */
#include "mime.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX    20    /* multiparts in multiparts */
#define BOUNDARY_MAX 250   /* octets; RFC 2046 5.1.1 has 70 */
#define FIELD_MAX    32768 /* octets of a header field, and of a line that is looked at */
#define PARAMS_MAX   64    /* parameters of a field; pieces of a name among them */

struct part { /* what its header says */
	bool has_type, has_disposition;
	bool multipart, digest, message, encoded;
	char boundary[BOUNDARY_MAX + 1]; /* "": none */
};

struct level { /* an open multipart */
	bool
	    digest; /* its parts are messages where they do not say what they are (RFC 2046 5.1.5) */
	char boundary[BOUNDARY_MAX + 1];
};

struct mime {
	void (*found)(void *arg, const char *name);
	void       *arg;
	const char *fault;

	bool         in_header;
	struct part  part;
	unsigned     depth;
	struct level level[DEPTH_MAX]; /* outermost first */

	size_t n_line, n_field;
	char   line[FIELD_MAX + 1];
	char   field[FIELD_MAX + 1]; /* the header field at hand: lines in a row */
	char   scratch[2][FIELD_MAX + 1];
};

static void
give_up(struct mime *m, const char *why)
{
	if (m->fault == NULL)
		m->fault = why;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- decoding ---------------------------------------------------------------------------------- */

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Octets written as MARK and two digits: '%' of RFC 2231, '=' of RFC 2047's Q.  Returns the length. */
static size_t
decode_hex(const char *p, size_t n, char mark, char *out)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == mark && i + 2 < n && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
			out[to++] = (char)(hex(p[i + 1]) << 4 | hex(p[i + 2]));
			i += 2;
		} else
			out[to++] = mark == '=' && p[i] == '_' ? ' ' : p[i];
	}
	return to;
}

/* What is no base64 is passed over, as readers do. */
static size_t
decode_base64(const char *p, size_t n, char *out)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned long bits = 0;
	unsigned      have = 0;
	size_t        to = 0;

	for (size_t i = 0; i < n && p[i] != '='; i++) {
		const char *digit = p[i] == '\0' ? NULL : strchr(digits, p[i]);

		if (digit == NULL)
			continue;
		bits = (bits << 6 | (unsigned long)(digit - digits)) & 0xffffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[to++] = (char)(bits >> have);
		}
	}
	return to;
}

/* In UTF-7 a dot may be written in a way that no other character set has. */
static void
check_charset(struct mime *m, const char *p, size_t n)
{
	if (n >= 5 && strncasecmp(p, "utf-7", 5) == 0)
		give_up(m, "a file name in UTF-7");
}

/* "=?charset?B?text?=" at p: the octets behind it, and what it says in out; NULL: it is none. */
static const char *
encoded_word(struct mime *m, const char *p, char *out, size_t *n)
{
	const char *charset = p + 2, *kind, *text, *end;

	if (p[0] != '=' || p[1] != '?' || (kind = strchr(charset, '?')) == NULL ||
	    kind[1] == '\0' || kind[2] != '?' || (end = strstr(kind + 3, "?=")) == NULL)
		return NULL;
	check_charset(m, charset, (size_t)(kind - charset));
	text = kind + 3;
	if (kind[1] == 'B' || kind[1] == 'b')
		*n = decode_base64(text, (size_t)(end - text), out);
	else if (kind[1] == 'Q' || kind[1] == 'q')
		*n = decode_hex(text, (size_t)(end - text), '=', out);
	else
		return NULL;
	return end + 2;
}

/* Blanks between two encoded words are not there (RFC 2047 6.2). */
static size_t
decode_words(struct mime *m, const char *p, char *out)
{
	size_t      to = 0, word, gap_from = 0;
	bool        after_word = false;
	const char *next;

	while (*p != '\0') {
		next = encoded_word(m, p, out + (after_word ? gap_from : to), &word);
		if (next != NULL) {
			to = (after_word ? gap_from : to) + word;
			gap_from = to;
			after_word = true;
			p = next;
			continue;
		}
		after_word = after_word && is_blank(*p);
		out[to++] = *p++;
	}
	return to;
}

/*
 * Says name: without controls and NULs (which in UTF-16 stand between the letters), and without the
 * dots and blanks at its end that Windows takes off.
 */
static void
say(struct mime *m, char *name, size_t n)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] >= ' ' && name[i] != 0x7f)
			name[to++] = name[i];
	while (to > 0 && (name[to - 1] == '.' || name[to - 1] == ' '))
		to--;
	name[to] = '\0';
	if (to > 0)
		m->found(m->arg, name);
}

/* ---- parameters: TYPE; NAME=VALUE; NAME*0*=VALUE ... ------------------------------------------- */

struct param {
	const char *name, *value; /* in the field, which is cut to pieces */
	int         section;      /* of "name*2*": 2; -1: it is whole */
	bool        encoded;      /* '*' at the end: charset'language'%41%42 */
	bool        done;
};

/* Takes comments, "(...)", out of a field, but not out of quoted strings, which begin behind a '='. */
static void
drop_comments(char *z)
{
	char    *to = z, before = '\0';
	unsigned deep = 0;
	bool     quoted = false;

	for (; *z != '\0'; z++) {
		bool escape = *z == '\\' && z[1] != '\0' && (quoted || deep > 0);

		if (*z == '"' && (quoted || before == '='))
			quoted = !quoted;
		if (*z == '(' && !quoted)
			deep++;
		if (deep == 0) {
			before = is_blank(*z) ? before : *z;
			*to++ = *z;
			if (escape)
				*to++ = z[1];
		} else if (*z == ')')
			deep--;
		if (escape)
			z++;
	}
	*to = '\0';
}

/* A value at *p, quoted or up to the next ';': unquoted in place, ended by NUL; *p moves behind the ';'. */
static char *
cut_value(char **p)
{
	char *from = *p, *in, *to;

	while (is_blank(*from))
		from++;
	if (*from == '"') {
		for (in = to = ++from; *in != '\0' && *in != '"'; in++) {
			if (*in == '\\' && in[1] != '\0')
				in++;
			*to++ = *in;
		}
		in = *in == '\0' ? in : in + 1;
		in += strcspn(in, ";");
	} else {
		in = to = from + strcspn(from, ";");
		while (to > from && is_blank(to[-1]))
			to--;
	}
	*p = *in == '\0' ? in : in + 1;
	*to = '\0';
	return from;
}

/* "name*2*" becomes its three parts. */
static bool
split_name(char *z, struct param *out)
{
	char *star = strchr(z, '*'), *digits;

	*out = (struct param){ .name = z, .section = -1 };
	if (star == NULL)
		return true;
	*star = '\0';
	digits = star + 1;
	if (*digits >= '0' && *digits <= '9')
		out->section = (int)strtol(digits, &digits, 10);
	else {
		out->encoded = true;
		return *digits == '\0'; /* "name*" */
	}
	out->encoded = *digits == '*';
	return out->section < PARAMS_MAX && (*digits == '\0' || strcmp(digits, "*") == 0);
}

/* The parameters of a field, which is changed; what stands in front of them is left at z. */
static unsigned
parse_params(struct mime *m, char *z, struct param v[PARAMS_MAX])
{
	unsigned n = 0;
	char    *p = z + strcspn(z, ";");

	if (*p == ';')
		*p++ = '\0';
	while (*p != '\0') {
		char *name = p + strspn(p, " \t\r\n"), *equals = name + strcspn(name, "=;"),
		     *end = equals;
		bool has_value = *equals == '=';

		p = *equals == '\0' ? equals : equals + 1;
		while (end > name && is_blank(end[-1]))
			end--;
		*end = '\0';
		if (!has_value)
			continue; /* "; ;" */
		if (n == PARAMS_MAX) {
			give_up(m, "a header field of too many parts");
			return n;
		}
		if (split_name(name, &v[n])) {
			v[n].value = cut_value(&p);
			n++;
		} else
			(void)cut_value(&p);
	}
	return n;
}

/* Behind charset'language' of an encoded value, or of the first piece of one. */
static const char *
behind_charset(struct mime *m, const char *value)
{
	const char *quote = strchr(value, '\''),
		   *second = quote == NULL ? NULL : strchr(quote + 1, '\'');

	if (second == NULL)
		return value;
	check_charset(m, value, (size_t)(quote - value));
	return second + 1;
}

static size_t
add_piece(struct mime *m, const struct param *p, char *out)
{
	const char *value = p->value;

	if (!p->encoded) {
		memcpy(out, value, strlen(value));
		return strlen(value);
	}
	if (p->section <= 0)
		value = behind_charset(m, value);
	return decode_hex(value, strlen(value), '%', out);
}

/* name*0, name*1 ...: in one; out has room for the field, and decoding makes nothing longer. */
static size_t
join_pieces(struct mime *m, const char *name, const struct param *v, unsigned n, char *out)
{
	size_t to = 0;

	for (int section = 0; section < PARAMS_MAX; section++) {
		const struct param *piece = NULL;

		for (unsigned i = 0; i < n; i++) {
			if (v[i].section != section || strcasecmp(v[i].name, name) != 0)
				continue;
			if (piece != NULL)
				give_up(m, "a piece of a file name twice");
			piece = &v[i];
		}
		if (piece == NULL)
			break;
		to += add_piece(m, piece, out + to);
	}
	return to;
}

/* Every name that `name' gives: plain ones as they are and decoded, as readers differ. */
static void
say_names(struct mime *m, const char *name, const struct param *v, unsigned n)
{
	char *out = m->scratch[1];

	for (unsigned i = 0; i < n; i++) {
		if (v[i].section >= 0 || strcasecmp(v[i].name, name) != 0)
			continue;
		if (v[i].encoded)
			say(m, out, add_piece(m, &v[i], out));
		else
			say(m, out, decode_words(m, v[i].value, out));
	}
	say(m, out, join_pieces(m, name, v, n, out));
}

/* ---- header fields ----------------------------------------------------------------------------- */

static void
read_boundary(struct mime *m, const struct param *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcasecmp(v[i].name, "boundary") != 0)
			continue;
		if (m->part.boundary[0] != '\0' || v[i].section >= 0 || v[i].encoded)
			give_up(m, "a boundary that can be read in two ways");
		else if (v[i].value[0] == '\0' || strlen(v[i].value) > BOUNDARY_MAX)
			give_up(m, "a boundary that is empty or too long");
		else
			memcpy(m->part.boundary, v[i].value, strlen(v[i].value) + 1);
	}
}

static void
read_type(struct mime *m, char *value, const struct param *v, unsigned n)
{
	const char *type = value + strspn(value, " \t\r\n");

	if (m->part.has_type)
		give_up(m, "two fields Content-Type");
	m->part.has_type = true;
	m->part.multipart = strncasecmp(type, "multipart/", 10) == 0;
	m->part.digest = strncasecmp(type, "multipart/digest", 16) == 0;
	m->part.message = strncasecmp(type, "message/rfc822", 14) == 0 ||
	    strncasecmp(type, "message/global", 14) == 0 ||
	    strncasecmp(type, "message/news", 12) == 0;
	if (strncasecmp(type, "message/partial", 15) == 0)
		give_up(m, "a message in pieces");
	if (m->part.multipart)
		read_boundary(m, v, n);
}

static void
read_disposition(struct mime *m, char *value, const struct param *v, unsigned n)
{
	(void)value;
	(void)v;
	(void)n;
	if (m->part.has_disposition)
		give_up(m, "two fields Content-Disposition");
	m->part.has_disposition = true;
}

static void
read_encoding(struct mime *m, char *value, const struct param *v, unsigned n)
{
	(void)v;
	(void)n;
	value += strspn(value, " \t\r\n");
	m->part.encoded = strncasecmp(value, "base64", 6) == 0 ||
	    strncasecmp(value, "quoted-printable", 16) == 0;
}

static const struct field {
	const char *name, *file; /* the parameter that names a file */
	void (*read)(struct mime *m, char *value, const struct param *v, unsigned n);
} fields[] = {
	{ "Content-Type", "name", read_type },
	{ "Content-Disposition", "filename", read_disposition },
	{ "Content-Transfer-Encoding", "", read_encoding },
};

/* Names are looked for twice: not every reader knows that a field may have comments. */
static void
read_field(struct mime *m, const struct field *f, const char *value, size_t n)
{
	struct param v[PARAMS_MAX];
	unsigned     params;

	memcpy(m->scratch[0], value, n + 1);
	params = parse_params(m, m->scratch[0], v);
	say_names(m, f->file, v, params);
	memcpy(m->scratch[0], value, n + 1);
	drop_comments(m->scratch[0]);
	params = parse_params(m, m->scratch[0], v);
	say_names(m, f->file, v, params);
	f->read(m, m->scratch[0], v, params);
}

void
mime_header(struct mime *m, const char *name, const char *value)
{
	size_t n = strlen(value);

	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]) && m->fault == NULL; i++) {
		if (strcasecmp(name, fields[i].name) != 0)
			continue;
		if (n > FIELD_MAX)
			give_up(m, "a header field that is too long");
		else
			read_field(m, &fields[i], value, n);
	}
}

/* The field that was gathered is whole. */
static void
end_field(struct mime *m)
{
	char  *colon;
	size_t n;

	m->field[m->n_field] = '\0';
	colon = strchr(m->field, ':');
	m->n_field = 0;
	if (colon == NULL)
		return;
	for (n = (size_t)(colon - m->field); n > 0 && is_blank(m->field[n - 1]);)
		n--;
	m->field[n] = '\0';
	mime_header(m, m->field, colon + 1);
}

static void
open_multipart(struct mime *m, const struct part *p)
{
	struct level *l = &m->level[m->depth];

	if (p->boundary[0] == '\0')
		give_up(m, "a multipart without a boundary");
	else if (m->depth == DEPTH_MAX)
		give_up(m, "multiparts too deep");
	else {
		l->digest = p->digest;
		memcpy(l->boundary, p->boundary, sizeof(p->boundary));
		m->depth++;
	}
}

void
mime_end_of_header(struct mime *m)
{
	struct part p = m->part;

	if (!p.has_type && m->depth > 0 && m->level[m->depth - 1].digest)
		p.message = true;
	m->in_header = p.message; /* a message has a header of its own */
	m->part = (struct part){ .has_type = false };
	if ((p.multipart || p.message) && p.encoded)
		give_up(m, "a part that is encoded and has parts");
	else if (p.multipart)
		open_multipart(m, &p);
}

/* ---- lines of the body ------------------------------------------------------------------------- */

static bool
is_delimiter(const char *line, const char *boundary, bool *last)
{
	size_t n = strlen(boundary);

	if (strncmp(line, "--", 2) != 0 || strncmp(line + 2, boundary, n) != 0)
		return false;
	line += 2 + n;
	*last = strncmp(line, "--", 2) == 0;
	line += *last ? 2 : 0;
	return line[strspn(line, " \t")] == '\0';
}

/* Is the line a delimiter?  Then what it ends is over, and a part begins unless it was the last. */
static bool
take_delimiter(struct mime *m)
{
	bool last;

	if (m->line[0] != '-')
		return false;
	for (unsigned i = m->depth; i-- > 0;) {
		if (!is_delimiter(m->line, m->level[i].boundary, &last))
			continue;
		if (m->in_header)
			end_field(m); /* a header without an empty line behind it */
		m->part = (struct part){ .has_type = false };
		m->depth = last ? i : i + 1;
		m->in_header = !last;
		return true;
	}
	return false;
}

static void
take_header_line(struct mime *m)
{
	if (m->n_line == 0) {
		end_field(m);
		mime_end_of_header(m);
		return;
	}
	if (!is_blank(m->line[0]))
		end_field(m);
	if (m->n_field + m->n_line > FIELD_MAX) {
		give_up(m, "a header field that is too long");
		return;
	}
	memcpy(m->field + m->n_field, m->line, m->n_line);
	m->n_field += m->n_line;
}

/* m->line is whole, without its line end. */
static void
take_line(struct mime *m)
{
	if (m->n_line > 0 && m->line[m->n_line - 1] == '\r')
		m->n_line--;
	m->line[m->n_line] = '\0';
	if (!take_delimiter(m) && m->in_header)
		take_header_line(m);
	m->n_line = 0;
}

/* What does not fit a line is left out: in content it does not matter, in a header it is a fault. */
static void
gather(struct mime *m, const unsigned char *p, size_t n)
{
	size_t room = FIELD_MAX - m->n_line;

	if (n > room && m->in_header)
		give_up(m, "a header field that is too long");
	n = n < room ? n : room;
	memcpy(m->line + m->n_line, p, n);
	m->n_line += n;
}

void
mime_body(struct mime *m, const unsigned char *p, size_t n)
{
	while (n > 0 && m->fault == NULL) {
		const unsigned char *lf = memchr(p, '\n', n);
		size_t               here = lf == NULL ? n : (size_t)(lf - p);

		gather(m, p, here);
		if (lf == NULL)
			return;
		take_line(m);
		p += here + 1;
		n -= here + 1;
	}
}

void
mime_end(struct mime *m)
{
	if (m->fault != NULL)
		return;
	if (m->n_line > 0)
		take_line(m);
	if (m->in_header)
		end_field(m);
}

/* ---- */

struct mime *
mime_new(void (*found)(void *arg, const char *name), void *arg)
{
	struct mime *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->found = found;
	m->arg = arg;
	return m;
}

void
mime_free(struct mime *m)
{
	free(m);
}

const char *
mime_fault(const struct mime *m)
{
	return m->fault;
}
