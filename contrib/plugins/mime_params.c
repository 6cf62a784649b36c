/*
 * mime_params -- the parameters of a header field: TYPE; NAME=VALUE; NAME*0*=VALUE ... (RFC 2045 5.1, RFC 2231).
 *
 * The invariant: a field is cut to pieces where it stands, so names and values are NUL-terminated, do not overlap, and
 * together are no longer than the field was.
 */
#include "mime_own.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* But not out of quoted strings, which begin behind a '='. */
void
mime_drop_comments(char *z)
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
			before = mime_is_blank(*z) ? before : *z;
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

	while (mime_is_blank(*from))
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
		while (to > from && mime_is_blank(to[-1]))
			to--;
	}
	*p = *in == '\0' ? in : in + 1;
	*to = '\0';
	return from;
}

/* "name*2*" becomes its three parts. */
static bool
split_name(char *z, struct mime_param *out)
{
	char *star = strchr(z, '*'), *digits;

	*out = (struct mime_param){ .name = z, .section = -1 };
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
	return out->section < MIME_PARAMS_MAX && (*digits == '\0' || strcmp(digits, "*") == 0);
}

unsigned
mime_parse_params(const char **fault, char *z, struct mime_param v[MIME_PARAMS_MAX])
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
		while (end > name && mime_is_blank(end[-1]))
			end--;
		*end = '\0';
		if (!has_value)
			continue; /* "; ;" */
		if (n == MIME_PARAMS_MAX) {
			mime_give_up(fault, "a header field of too many parts");
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
behind_charset(const char **fault, const char *value)
{
	const char *quote = strchr(value, '\''),
		   *second = quote == NULL ? NULL : strchr(quote + 1, '\'');

	if (second == NULL)
		return value;
	mime_charset(fault, value, (size_t)(quote - value));
	return second + 1;
}

size_t
mime_param_value(const char **fault, const struct mime_param *p, char *out)
{
	const char *value = p->value;

	if (!p->encoded) {
		memcpy(out, value, strlen(value));
		return strlen(value);
	}
	if (p->section <= 0)
		value = behind_charset(fault, value);
	return mime_decode_hex(value, strlen(value), '%', out);
}

/* Decoding makes nothing longer. */
size_t
mime_join_params(
    const char **fault, const char *name, const struct mime_param *v, unsigned n, char *out)
{
	size_t to = 0;

	for (int section = 0; section < MIME_PARAMS_MAX; section++) {
		const struct mime_param *piece = NULL;

		for (unsigned i = 0; i < n; i++) {
			if (v[i].section != section || strcasecmp(v[i].name, name) != 0)
				continue;
			if (piece != NULL)
				mime_give_up(fault, "a piece of a file name twice");
			piece = &v[i];
		}
		if (piece == NULL)
			break;
		to += mime_param_value(fault, piece, out + to);
	}
	return to;
}
