/*
 * tags -- lists of tags and values: "v=1; a=rsa-sha256; ...".  RFC 6376 3.2; DKIM, ARC, DMARC and key records share it.
 *
 * Pure.  Values are views into the text, folding white space around them cut off; what may be folded inside a
 * value (b=, bh=, h=, p=) is undone by the accessors.
 */
#ifndef PROXY_MAIL_TAGS_H
#define PROXY_MAIL_TAGS_H

#include "proxy/base/strv.h"

struct arena;

#define TAGS_OF_LIST 64                 /* more are TAGS_BAD */

struct tag_value {
	struct strv name, value;
};

struct tags {                           /* 2 KiB: in an arena, not on a fiber's stack */
	struct tag_value v[TAGS_OF_LIST];
	unsigned         n;
};

/* TWICE: a name stands twice (RFC 6376 3.2: then the whole list is invalid). BAD: no list of tags. */
enum tags_rc { TAGS_OK, TAGS_TWICE, TAGS_BAD };

enum tags_rc tags_parse(struct strv text, struct tags *out);
/*
 * The next tag of *rest, which moves behind its ";" (absent at the end); for lists where one bad tag does not spoil
 * the others (DMARC).  False: it is none, *out holds nothing.  `while (rest.p != NULL)` walks all.
 */
bool tags_next(struct strv *rest, struct tag_value *out);
/* Absent view: no such tag. Names are case-sensitive. */
struct strv tags_get(const struct tags *t, const char *name);
/* The next word of a list with colons (h=, q=, s=, t=), white space around it cut off. False: there is none. */
bool tags_word(struct strv *list, struct strv *out);
/* Is that word in the list, in any case? */
bool tags_lists(struct strv list, struct strv word);
/* Base64 with white space in it (b= bh= p=), undone, in a. Absent view: it is no base64. RFC 4648 4 */
struct strv tags_base64(struct arena *a, struct strv value);
/* Octets as base64, no folding. In a. */
struct strv tags_to_base64(struct arena *a, struct strv octets);
/* A whole number without sign, at most 20 digits. RFC 6376 3.5 */
bool tags_number(struct strv value, uint64_t *out);

#endif
