/*
 * tags -- see tags.h.  Header fields of strangers and records from the DNS come here: nothing is
 * trusted, nothing repaired but the white space that the grammar allows.
 */
#include "proxy/mail/tags.h"

#include "proxy/base/arena.h"
#include "proxy/base/base64.h"

/* FWS, and where folding stands in a TXT record or was cut: its parts one by one. */
static bool
blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* tag-name = ALPHA *ALNUMPUNC */
static bool
good_name(struct strv v)
{
	if (v.n == 0 || !ascii_is_alpha(v.p[0]))
		return false;
	for (size_t i = 1; i < v.n; i++)
		if (!ascii_is_alpha(v.p[i]) && !ascii_is_digit(v.p[i]) && v.p[i] != '_')
			return false;
	return true;
}

/* tag-value = [ tval *( 1*(WSP / FWS) tval ) ]; what 8-bit octets mean is up to who reads it (RFC 8616 3). */
static bool
good_value(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if ((c < ' ' && !blank(v.p[i])) || c == 0x7f)
			return false;
	}
	return true;
}

bool
tags_next(struct strv *rest, struct tag_value *out)
{
	struct strv spec = strv_trim_folds(strv_cut(rest, ';'));
	size_t      equals = strv_chr(spec, '=');

	*out = (struct tag_value){ 0 };
	if (equals == spec.n)
		return false;
	out->name = strv_trim_folds(strv_first(spec, equals));
	out->value = strv_trim_folds(strv_from(spec, equals + 1));
	if (good_name(out->name) && good_value(out->value))
		return true;
	*out = (struct tag_value){ 0 };
	return false;
}

static bool
has(const struct tags *t, struct strv name)
{
	for (unsigned i = 0; i < t->n; i++)
		if (strv_eq(t->v[i].name, name))
			return true;
	return false;
}

/* tag-list = tag-spec *( ";" tag-spec ) [ ";" ] */
enum tags_rc
tags_parse(struct strv text, struct tags *out)
{
	struct strv rest = strv_trim_folds(text);

	out->n = 0;
	if (rest.n == 0)
		return TAGS_BAD;
	if (rest.p[rest.n - 1] == ';')
		rest.n--;
	do {
		struct tag_value t;

		if (out->n == TAGS_OF_LIST || !tags_next(&rest, &t))
			return TAGS_BAD;
		if (has(out, t.name))
			return TAGS_TWICE;
		out->v[out->n++] = t;
	} while (rest.p != NULL);
	return TAGS_OK;
}

struct strv
tags_get(const struct tags *t, const char *name)
{
	struct strv want = strv_z(name);

	for (unsigned i = 0; i < t->n; i++)
		if (strv_eq(t->v[i].name, want))
			return t->v[i].value;
	return (struct strv){ 0 };
}

bool
tags_word(struct strv *list, struct strv *out)
{
	if (list->p == NULL)
		return false;
	*out = strv_trim_folds(strv_cut(list, ':'));
	return true;
}

bool
tags_lists(struct strv list, struct strv word)
{
	struct strv one;

	while (tags_word(&list, &one))
		if (strv_ieq(one, word))
			return true;
	return false;
}

/* The padding may be left out: base64string of RFC 6376 2.10 has it in brackets. */
struct strv
tags_base64(struct arena *a, struct strv value)
{
	char  *p = arena_bytes(a, value.n + 4);
	size_t n = 0;
	long   octets;

	for (size_t i = 0; i < value.n; i++)
		if (!blank(value.p[i]))
			p[n++] = value.p[i];
	if (n > 0 && p[n - 1] != '=')
		while (n % 4 > 1)
			p[n++] = '=';
	octets = base64_decode(strv(p, n), p, n);
	return octets < 0 ? strv(NULL, 0) : strv(p, (size_t)octets);
}

struct strv
tags_to_base64(struct arena *a, struct strv octets)
{
	char *p = arena_bytes(a, base64_text_room(octets.n));

	return strv(p, base64_write(octets, p));
}

bool
tags_number(struct strv value, uint64_t *out)
{
	return value.n <= STRV_NUMBER && strv_number(value, UINT64_MAX, out);
}
