/*
 * idn -- U-labels into A-labels, for comparing alone: what goes to the server stays as the client wrote it.
 *
 * Strict (IDNA2008 without the mappings of UTS 46): a name that is only made to look like one of
 * ours is not ours.
 */
#include "proxy/base/idn.h"

#include "config.h"

#if HAVE_IDN2

#include <idn2.h>

/* v in lower case, with a NUL behind it; false: it is too long, or holds one. */
static bool
copy_lower(struct strv v, char z[IDN_OCTETS])
{
	if (v.n >= IDN_OCTETS || memchr(v.p, '\0', v.n) != NULL)
		return false;
	for (size_t i = 0; i < v.n; i++)
		z[i] = ascii_lower(v.p[i]);
	z[v.n] = '\0';
	return true;
}

/* Apart, so that the usual way through idn_domain needs no room for it. */
static __attribute__((noinline)) struct strv
to_ascii(struct strv v, char buf[IDN_OCTETS])
{
	size_t         dot = strv_starts(v, SV(".")), n;
	struct strv    name;
	unsigned char *ascii = NULL;
	char           z[IDN_OCTETS];

	name = strv_from(v, dot);
	if (strv_chr(name, '.') == name.n || !copy_lower(name, z) ||
	    idn2_lookup_u8((const unsigned char *)z, &ascii, IDN2_NO_TR46) != IDN2_OK)
		return v;
	n = strlen((const char *)ascii);
	if (n + dot < IDN_OCTETS) {
		buf[0] = '.';
		memcpy(buf + dot, ascii, n);
		v = strv(buf, n + dot);
	}
	idn2_free(ascii);
	return v;
}

struct strv
idn_domain(struct strv v, char buf[IDN_OCTETS])
{
	/* also none at all: the null sender's */
	return strv_is_ascii(v) ? v : to_ascii(v, buf);
}

#else

struct strv
idn_domain(struct strv v, char buf[IDN_OCTETS])
{
	(void)buf;
	return v;
}

#endif
