/*
 * plain_take -- what plain statements consist of that is more than a word: paths, addresses, names, lists.
 *
 * As in values.c: each takes the next value or says what is wrong with it.
 */
#include "proxy/base/arena.h"
#include "proxy/plain.h"

#define HOSTNAME_N 255 /* RFC 5321 4.5.3.1.2 */

/* ---- addresses and paths ------------------------------------------------------------------------ */

const char *
plain_path(struct arena *a, const struct conf_value *v)
{
	struct strv file = v->pos.src == NULL ? SV("") : v->pos.src->name;
	size_t      slash = strv_rchr(file, '/');

	if (slash == file.n || (v->text.n > 0 && v->text.p[0] == '/'))
		return arena_z(a, v->text);
	return arena_z(a, arena_concat(a, strv_first(file, slash + 1), v->text));
}

const char *
plain_take_path(struct values *r, const char *what)
{
	const struct conf_value *v = values_take_text(r, what);

	if (v == NULL)
		return NULL;
	if (v->text.n == 0 || v->text.n > 4000 || memchr(v->text.p, '\0', v->text.n) != NULL) {
		values_error(r, v, NULL, "this cannot be %s", what);
		return NULL;
	}
	return plain_path(r->a, v);
}

bool
plain_is_milters(struct values *r, const struct conf_value *v, const struct endpoint *e)
{
	char text[ENDPOINT_TEXT];

	if (!endpoint_is_milters(v->text))
		return false;
	values_error(r, v, arena_z(r->a, diag_did_you_mean(r->a, endpoint_print(e, text))),
	    "%s is written as for a milter", diag_quote(r->a, v->text));
	return true;
}

bool
plain_take_endpoint(
    struct values *r, bool or_unix, struct endpoint *out, const struct conf_value **at)
{
	const struct conf_value *v = or_unix ? values_take_text(r, "ADDR:PORT") :
					       values_take_word(r, "ADDR:PORT");
	const char              *why = NULL;

	*at = v;
	if (v == NULL)
		return false;
	if (!endpoint_parse(r->a, v->text, out, &why) ||
	    (!or_unix && out->addr.family == ADDR_UNIX)) {
		values_error(r, v,
		    or_unix ? "such as 192.0.2.1:25, [2001:db8::1]:25 or \"unix:/run/server\"" :
			      "such as 192.0.2.1:25, 0.0.0.0:25 for any address, [::1]:25 for IPv6",
		    "%s is not ADDR:PORT%s%s", diag_quote(r->a, v->text), why == NULL ? "" : ": ",
		    why == NULL ? "" : why);
		return false;
	}
	if (out->addr.family != ADDR_UNIX && out->port == 0) {
		values_error(r, v, NULL, "port 0 is not a port");
		return false;
	}
	return !plain_is_milters(r, v, out);
}

/* ---- names ------------------------------------------------------------------------------------ */

/* A name goes into greetings, headers and SNI as it is: letters, digits, dots, hyphens (RFC 5321 4.1.2). */
static bool
is_host(struct strv v)
{
	bool good = v.n > 0 && v.n <= HOSTNAME_N;

	for (size_t i = 0; good && i < v.n; i++) {
		char c = v.p[i];

		good = ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' || c == '-';
	}
	return good;
}

const struct conf_value *
plain_take_host(struct values *r, enum host_form form)
{
	const struct conf_value *v = values_take_word(r, "a name");
	struct addr              addr;

	if (v == NULL || is_host(v->text) ||
	    (form == HOST_OR_ADDRESS && addr_parse(v->text, &addr)) ||
	    (form == HOST_OR_WILDCARD && strv_starts(v->text, SV("*.")) &&
		is_host(strv_from(v->text, 2))))
		return v;
	values_error(r, v, "such as mx.example.com", "%s is not the name of a host",
	    diag_quote(r->a, v->text));
	return NULL;
}

const struct conf_value *
plain_take_name(struct values *r, const char *what)
{
	const struct conf_value *v = values_take_word(r, what);
	bool                     good = v != NULL && v->text.n > 0 && ascii_is_alpha(v->text.p[0]);

	if (v == NULL)
		return NULL;
	for (size_t i = 1; good && i < v->text.n; i++) {
		char c = v->text.p[i];

		good = ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '_';
	}
	if (good)
		return v;
	values_error(r, v, "a letter, then letters, digits, - and _", "%s is not %s",
	    diag_quote(r->a, v->text), what);
	return NULL;
}

const struct conf_value *
plain_take_list(struct values *r)
{
	const struct conf_value *v = values_take(r, "a list of networks");

	if (v != NULL && v->kind != CONF_SET && v->kind != CONF_WORD) {
		values_error(r, v, "such as { 192.0.2.0/24 }, or the name of a networks list",
		    "a list of networks is expected here");
		return NULL;
	}
	return v;
}
