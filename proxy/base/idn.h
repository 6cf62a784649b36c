/*
 * idn -- domains as they are compared: a name with U-labels and the same in A-labels are one (RFC 5890 2.3.2).
 */
#ifndef PROXY_BASE_IDN_H
#define PROXY_BASE_IDN_H

#include "proxy/base/strv.h"

#define IDN_OCTETS 256

/*
 * A domain name that holds U-labels in A-labels and lower case, in buf.  Any other text as it is: in ASCII,
 * without a dot inside, not of U-labels (RFC 5891 5.4: nothing is mapped but ASCII letters to lower case), or
 * built without libidn2.  A dot in front (".parent") stays.
 */
struct strv idn_domain(struct strv v, char buf[IDN_OCTETS]);

#endif
