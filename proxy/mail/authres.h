/*
 * authres -- the field Authentication-Results: whose it is, and one of our own.  RFC 8601.
 *
 * Pure.  Filters put their results as `resinfo' texts: "spf=pass smtp.mailfrom=a@example.org".
 */
#ifndef PROXY_MAIL_AUTHRES_H
#define PROXY_MAIL_AUTHRES_H

#include "proxy/base/strv.h"

struct arena;

/*
 * authres_forges -- does this field claim to be of `id'?
 *
 *   raw   a whole field as it came, name, folding and last CRLF included
 *   id    our authserv-id, in any case, A-labels or U-labels
 *
 * Comments, folding, quoted strings, versions and A-labels or U-labels make no difference (RFC 8601 2.2, 5); nor does
 * what follows the id.  A field whose id cannot be read is ours if anybody could read it so: when in doubt, true.
 */
bool authres_forges(struct strv raw, struct strv id);

/*
 * Octets of a field of ours: more than the longest results of 20 signatures (dkim { signatures }) and of all other
 * methods take.  Results that do not fit are left out.
 */
#define AUTHRES_FIELD_MAX 32768

/* A value behind `=', quoted where it must be, cut at 400 octets; controls and what is no UTF-8 become "?". In a. */
struct strv authres_value(struct arena *a, struct strv text);
/* Words for a comment or a reason: no ( ) \ " or controls, at most 100 octets. In a. */
struct strv authres_words(struct arena *a, struct strv text);

/*
 * authres_field -- the value of our field, folded at its results, for edits_add (no last CRLF)
 *
 *   id   as authres_id gives it ("i=1; ID" in ARC)
 *
 * n 0: "ID; none".  Lines are of 78 octets where blanks outside of quotes allow; what has none for 900 is left out.
 */
struct strv authres_field(struct arena *a, struct strv id, const struct strv *resinfo, unsigned n);
/* ID as a value: a domain as it is, what is no token quoted. RFC 8601 2.2 authserv-id. */
struct strv authres_id(struct arena *a, struct strv id);

#endif
