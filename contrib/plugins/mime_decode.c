/*
 * mime_decode -- names that are written in another way than they read: in encoded words (RFC 2047), in hex (RFC 2231).
 *
 * The invariant: decoding makes nothing longer.
 */
#include "mime_own.h"

#include <string.h>
#include <strings.h>

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t
mime_decode_hex(const char *p, size_t n, char mark, char *out)
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
void
mime_charset(const char **fault, const char *name, size_t n)
{
	if (n >= 5 && strncasecmp(name, "utf-7", 5) == 0)
		mime_give_up(fault, "a file name in UTF-7");
}

/* "=?charset?B?text?=" at p: the octets behind it, and what it says in out; NULL: it is none. */
static const char *
encoded_word(const char **fault, const char *p, char *out, size_t *n)
{
	const char *charset = p + 2, *kind, *text, *end;

	if (p[0] != '=' || p[1] != '?' || (kind = strchr(charset, '?')) == NULL ||
	    kind[1] == '\0' || kind[2] != '?' || (end = strstr(kind + 3, "?=")) == NULL)
		return NULL;
	mime_charset(fault, charset, (size_t)(kind - charset));
	text = kind + 3;
	if (kind[1] == 'B' || kind[1] == 'b')
		*n = decode_base64(text, (size_t)(end - text), out);
	else if (kind[1] == 'Q' || kind[1] == 'q')
		*n = mime_decode_hex(text, (size_t)(end - text), '=', out);
	else
		return NULL;
	return end + 2;
}

/* Blanks between two encoded words are not there (RFC 2047 6.2). */
size_t
mime_decode_words(const char **fault, const char *p, char *out)
{
	size_t      to = 0, word, gap_from = 0;
	bool        after_word = false;
	const char *next;

	while (*p != '\0') {
		next = encoded_word(fault, p, out + (after_word ? gap_from : to), &word);
		if (next != NULL) {
			to = (after_word ? gap_from : to) + word;
			gap_from = to;
			after_word = true;
			p = next;
			continue;
		}
		after_word = after_word && mime_is_blank(*p);
		out[to++] = *p++;
	}
	return to;
}
