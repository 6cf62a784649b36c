/*
 * domain -- what a domain name may be made of: labels.
 *
 * Not for whether it exists, and U-labels stay what they are (base/idn.c makes A-labels).  It stands
 * apart from paths since others ask the same of text that is in none: lists and maps, fields of the
 * header, the names that clients have and those with which they log in.
 *
 *     domain     = label *( "." label )                                        RFC 5321 4.1.2
 *     label      = 1*63( ALPHA / DIGIT / "-" / "_" ) / 1*( those / UTF8-non-ascii )     RFC 6531 3.3
 */
#include "proxy/mail/path_own.h"

#define LABEL_MAX 63

bool
domain_valid(struct strv v, bool fqdn, bool utf8)
{
	unsigned labels = 0;

	if (v.n == 0 || v.n > DOMAIN_MAX)
		return false;
	while (v.p != NULL) {
		struct strv label = strv_cut(&v, '.');
		bool        ascii = true;

		for (size_t i = 0, n; i < label.n; i += n) {
			char c = label.p[i];

			n = (unsigned char)c < 0x80 ? 1 : utf8_one(strv_from(label, i));
			if (n > 1 && utf8)
				ascii = false;
			else if (n != 1 ||
			    (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_'))
				return false;
		}
		/* 63 holds for the A-label of a UTF-8 one; that is the resolver's to see. RFC 5890 4.2 */
		if (label.n == 0 || (ascii && label.n > LABEL_MAX))
			return false;
		labels++;
	}
	return labels > 1 || !fqdn;
}
