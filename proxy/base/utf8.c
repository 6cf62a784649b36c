/*
 * utf8 -- see utf8.h.
 *
 * Not for what a character means: controls are well-formed, too.
 *
 *     UTF8-2 = %xC2-DF UTF8-tail                                               RFC 3629 section 4
 *     UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *              %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 *     UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) / %xF4 %x80-8F 2( UTF8-tail )
 */
#include "proxy/base/utf8.h"

unsigned
utf8_one(struct strv v)
{
	const unsigned char *p = (const unsigned char *)v.p;
	unsigned char        low = 0x80, high = 0xbf;
	unsigned             n;

	if (v.n == 0 || p[0] < 0x80)
		return v.n != 0;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (v.n < n)
		return 0;
	/* Nothing longer than it need be, no surrogates, nothing above U+10FFFF. */
	if (p[0] == 0xe0 || p[0] == 0xf0)
		low = p[0] == 0xe0 ? 0xa0 : 0x90;
	else if (p[0] == 0xed || p[0] == 0xf4)
		high = p[0] == 0xed ? 0x9f : 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (unsigned i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
utf8_valid(struct strv v)
{
	while (v.n > 0) {
		unsigned n = utf8_one(v);

		if (n == 0)
			return false;
		v = strv_from(v, n);
	}
	return true;
}
