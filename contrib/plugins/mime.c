/*
 * mime -- see the header.
 *
 * The body is taken apart line by line.  A line that is a delimiter of any open multipart ends whatever is
 * inside of that one.  Otherwise a line belongs to the header of a part, where it is gathered into
 * a field, or to its content, which is of no interest here.
 */
#include "mime.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mime_own.h"

#define DEPTH_MAX    20    /* multiparts in multiparts */
#define BOUNDARY_MAX 250   /* octets; RFC 2046 5.1.1 has 70 */
#define FIELD_MAX    32768 /* octets of a header field, and of a line that is looked at */

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
	mime_give_up(&m->fault, why);
}

/* ---- names ------------------------------------------------------------------------------------- */

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

/* Every name that `name' gives: plain ones as they are and decoded, as readers differ. */
static void
say_names(struct mime *m, const char *name, const struct mime_param *v, unsigned n)
{
	char *out = m->scratch[1];

	for (unsigned i = 0; i < n; i++) {
		if (v[i].section >= 0 || strcasecmp(v[i].name, name) != 0)
			continue;
		if (v[i].encoded)
			say(m, out, mime_param_value(&m->fault, &v[i], out));
		else
			say(m, out, mime_decode_words(&m->fault, v[i].value, out));
	}
	say(m, out, mime_join_params(&m->fault, name, v, n, out));
}

/* ---- header fields ----------------------------------------------------------------------------- */

static void
read_boundary(struct mime *m, const struct mime_param *v, unsigned n)
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
read_type(struct mime *m, char *value, const struct mime_param *v, unsigned n)
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
read_disposition(struct mime *m, char *value, const struct mime_param *v, unsigned n)
{
	(void)value;
	(void)v;
	(void)n;
	if (m->part.has_disposition)
		give_up(m, "two fields Content-Disposition");
	m->part.has_disposition = true;
}

static void
read_encoding(struct mime *m, char *value, const struct mime_param *v, unsigned n)
{
	(void)v;
	(void)n;
	value += strspn(value, " \t\r\n");
	m->part.encoded = strncasecmp(value, "base64", 6) == 0 ||
	    strncasecmp(value, "quoted-printable", 16) == 0;
}

static const struct field {
	const char *name, *file; /* the parameter that names a file */
	void (*read)(struct mime *m, char *value, const struct mime_param *v, unsigned n);
} fields[] = {
	{ "Content-Type", "name", read_type },
	{ "Content-Disposition", "filename", read_disposition },
	{ "Content-Transfer-Encoding", "", read_encoding },
};

/* Names are looked for twice: not every reader knows that a field may have comments. */
static void
read_field(struct mime *m, const struct field *f, const char *value, size_t n)
{
	struct mime_param v[MIME_PARAMS_MAX];
	unsigned          params;

	memcpy(m->scratch[0], value, n + 1);
	params = mime_parse_params(&m->fault, m->scratch[0], v);
	say_names(m, f->file, v, params);
	memcpy(m->scratch[0], value, n + 1);
	mime_drop_comments(m->scratch[0]);
	params = mime_parse_params(&m->fault, m->scratch[0], v);
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
	for (n = (size_t)(colon - m->field); n > 0 && mime_is_blank(m->field[n - 1]);)
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
	if (!mime_is_blank(m->line[0]))
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
