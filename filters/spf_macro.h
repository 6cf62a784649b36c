/*
 * spf_macro -- macros of SPF records and explanations: their syntax and what they stand for.  Pure.  RFC 7208 7.
 */
#ifndef FILTERS_SPF_MACRO_H
#define FILTERS_SPF_MACRO_H

#include "proxy/base/addr.h"

struct arena;

struct spf_macros {                     /* what the letters stand for */
	struct addr ip;                 /* i c v */
	struct strv local;              /* l: of the sender, "postmaster" where there is none */
	struct strv sender;             /* o: the sender's domain, in A-labels; s is local@sender */
	struct strv domain;             /* d: the current one */
	struct strv helo;               /* h */
	struct strv validated;          /* p: a name of the client, "unknown" */
	struct strv receiver;           /* r: who we are */
	uint64_t    seconds;            /* t: since 1970 */
};

#define SPF_NAME_MAX        253         /* octets of a name that is asked for: what is longer loses labels on its left */
#define SPF_EXPLANATION_MAX 200         /* octets of an explanation */

/* macro-string; `explains': also of an explanation, with blanks and the letters c r t. */
bool spf_macro_valid(struct strv spec, bool explains);
/* domain-spec: a macro-string that ends in a macro or in a dot and a top label. */
bool spf_domain_valid(struct strv spec);
/* Is %{p} in it?  Then `validated' is wanted. */
bool spf_macro_wants_p(struct strv spec);
/*
 * The name that a domain-spec stands for, without a last dot, cut to SPF_NAME_MAX; octets that no name is written with
 * are \DDD.  Empty, or with octets above 0x7f: there is no such name (RFC 8616 4).  In a.
 */
struct strv spf_macro_name(struct arena *a, const struct spf_macros *m, struct strv spec);
/* A name with octets that no name is written with as \DDD (RFC 1035 5.1); octets above 0x7f: empty. In a. */
struct strv spf_name_escape(struct arena *a, struct strv v);
/* An explanation: ASCII without controls, at most SPF_EXPLANATION_MAX octets. spec is valid. In a. */
struct strv spf_macro_text(struct arena *a, const struct spf_macros *m, struct strv spec);

#endif
