/*
 * spf_record -- an SPF record as its terms: pure, without memory of its own.  RFC 7208 4.5, 4.6, 5, 6, 12.
 *
 * A record comes from a stranger: any octets, up to the 64 KB of a TXT record.  spf_record_parse looks at all of it
 * once; the terms are then taken one by one, so that no record, however long, needs more than its own octets.
 */
#ifndef FILTERS_SPF_RECORD_H
#define FILTERS_SPF_RECORD_H

#include "proxy/base/addr.h"

/* What check_host says, RFC 7208 2.6; in the order of the words of the fact `spf'. */
enum spf_says {
	SPF_SAYS_NONE, SPF_SAYS_NEUTRAL, SPF_SAYS_PASS, SPF_SAYS_FAIL, SPF_SAYS_SOFTFAIL, SPF_SAYS_TEMPERROR,
	SPF_SAYS_PERMERROR
};

const char *spf_says_name(enum spf_says says);  /* "none", ... static */

enum spf_kind {
	SPF_TERM_ALL, SPF_TERM_INCLUDE, SPF_TERM_A, SPF_TERM_MX, SPF_TERM_PTR, SPF_TERM_IP4, SPF_TERM_IP6, SPF_TERM_EXISTS,
	SPF_TERM_REDIRECT, SPF_TERM_EXP, SPF_TERM_OTHER         /* modifiers; OTHER: unknown, to be passed over */
};

struct spf_term {                       /* views of the record */
	enum spf_kind kind;
	enum spf_says says;             /* of a mechanism: what it says where it matches */
	struct strv   text;             /* all of it, as it stands there: printable ASCII */
	struct strv   domain;           /* its domain-spec, macros in it; absent: none was given */
	struct addr   net;              /* ip4, ip6; of ip6 it is always ADDR_IP6 */
	uint8_t       bits4, bits6;     /* prefix lengths; of ip4 and ip6 the one of its family */
};

struct spf_record {                     /* views of what was parsed */
	struct strv terms;              /* for spf_term_next */
	struct strv redirect, exp;      /* domain-specs; absent: there is none */
};

/* Is that text of a TXT record an SPF record, good or bad?  RFC 7208 4.5. */
bool spf_is_record(struct strv text);
/*
 * spf_record_parse -- the whole of a record, for which spf_is_record is true
 *
 * False: it has a mistake somewhere (RFC 7208 4.6: permerror, whatever stands before it); *why is static text and
 * *at the term, of any octets.
 */
bool spf_record_parse(struct strv text, struct spf_record *out, const char **why, struct strv *at);
/* The next term of a record that was parsed; *terms moves behind it.  False: there is none. */
bool spf_term_next(struct strv *terms, struct spf_term *out);

#endif
