/*
 * mime_own -- what the mime*.c share; nobody else includes it.  fault: as of mime_fault, the first one stays.
 */
#ifndef MIME_OWN_H
#define MIME_OWN_H

#include <stdbool.h>
#include <stddef.h>

#define MIME_PARAMS_MAX 64      /* parameters of a field; pieces of a name among them */

struct mime_param {
	const char *name, *value;       /* in the field, which is cut to pieces */
	int         section;            /* of "name*2*": 2; -1: it is whole */
	bool        encoded;            /* '*' at the end: charset'language'%41%42 */
};

static inline void
mime_give_up(const char **fault, const char *why)
{
	if (*fault == NULL)
		*fault = why;
}

static inline bool
mime_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Parameters of a field: mime_params.c.  Takes comments, "(...)", out of it. */
void mime_drop_comments(char *z);
/* Those of z, which is changed; what stands in front of them is left there.  Returns how many. */
unsigned mime_parse_params(const char **fault, char *z, struct mime_param v[MIME_PARAMS_MAX]);
/* The octets of a value, or of one piece of it, decoded where it is encoded; out: room for as many as it has. */
size_t mime_param_value(const char **fault, const struct mime_param *p, char *out);
/* name*0, name*1 ... in one, up to the first that is not there; out: room for the field.  Returns the length. */
size_t mime_join_params(const char **fault, const char *name, const struct mime_param *v, unsigned n, char *out);

/*
 * Decoding: mime_decode.c.  Returns the length of what is in out, which is at most as long as what it was.
 * Octets written as MARK and two digits: '%' of RFC 2231, '=' of RFC 2047's Q.
 */
size_t mime_decode_hex(const char *p, size_t n, char mark, char *out);
/* The encoded words in p become what they say, the rest stays. */
size_t mime_decode_words(const char **fault, const char *p, char *out);
/* One that hides what a name says is a fault. */
void mime_charset(const char **fault, const char *name, size_t n);

#endif
