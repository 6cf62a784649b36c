/*
 * xtext -- a value of any octets as a parameter of DSN, AUTH=, XCLIENT or XFORWARD has it: "+" and two digits
 * for what would end the value or is not printable.  Declared in parse.h.
 *
 * Not for what the value means.  The invariant: what xtext_print wrote xtext_valid takes, and xtext_parse makes
 * the same octets of it.
 *
 *     xtext   = *( xchar / hexchar )                               RFC 3461 4
 *     xchar   = %d33-42 / %d44-60 / %d62-126                       all that is printable but "+" and "="
 *     hexchar = "+" 2( %x30-39 / %x41-46 )
 */
#include "proxy/smtp/parse.h"

#include "proxy/base/arena.h"

static bool
is_xchar(char c) /* RFC 3461 4 */
{
	return c > ' ' && c < 0x7f && c != '+' && c != '=';
}

static bool
is_hex(char c)
{
	return ascii_is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

bool
xtext_valid(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if (is_xchar(v.p[i]))
			continue;
		/* The RFC has capitals alone; small ones are as clear. */
		if (v.p[i] != '+' || v.n - i < 3 || !is_hex(v.p[i + 1]) || !is_hex(v.p[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

static char
hex_value(char c)
{
	return ascii_is_digit(c) ? (char)(c - '0') : (char)(ascii_lower(c) - 'a' + 10);
}

/* Of what xtext_valid took. */
struct strv
xtext_parse(struct arena *a, struct strv v)
{
	char  *p = arena_bytes(a, v.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		p[n] = v.p[i];
		if (v.p[i] == '+' && v.n - i > 2) {
			p[n] = (char)(hex_value(v.p[i + 1]) << 4 | hex_value(v.p[i + 2]));
			i += 2;
		}
		n++;
	}
	return strv(p, n);
}

/* Capital digits, as the RFC has them. */
bool
xtext_print(struct buf *out, struct strv v)
{
	static const char hex[] = "0123456789ABCDEF";
	bool              good = true;

	for (size_t i = 0; i < v.n; i++) {
		unsigned char c = (unsigned char)v.p[i];
		char          x[3] = { '+', hex[c >> 4], hex[c & 15] };

		good &= is_xchar((char)c) ? buf_addc(out, (char)c) : buf_add(out, strv(x, 3));
	}
	return good;
}
