/*
 * arc_own -- what checking a chain of ARC sets and adding one to it have in common.  RFC 8617.
 *
 * Pure.  Fields are as they came, with their CRLF; views are into them, or in the arena that was given.
 */
#ifndef FILTERS_ARC_OWN_H
#define FILTERS_ARC_OWN_H

#include "proxy/base/crypt.h"
#include "proxy/mail/canon.h"
#include "proxy/mail/view.h"

#define ARC_SETS_MAX    50              /* RFC 8617 4.2.1 */
#define ARC_NAMES_MAX   256             /* names in h= that are looked for in a header */

#define ARC_RESULTS "ARC-Authentication-Results"
#define ARC_MESSAGE "ARC-Message-Signature"
#define ARC_SEAL    "ARC-Seal"

struct tags;

struct arc_set {                        /* of one instance; absent views: it lacks that field */
	struct strv results, message, seal;
};

struct arc_chain {
	bool           any;             /* there are such fields */
	bool           ended;           /* the newest seal says cv=fail: nobody may add to it. RFC 8617 5.1, 5.2 */
	unsigned       highest;         /* instance that was seen; ARC_SETS_MAX + 1: one above the limit */
	struct strv    why;             /* present: it is no valid chain. RFC 8617 5.2, 1 to 3 */
	unsigned       n;               /* sets, if it is valid */
	struct arc_set set[ARC_SETS_MAX];       /* instance 1 is the first */
};

/* In a; any false: no field of that kind. */
struct arc_chain *arc_chain_read(struct arena *a, const struct view_field *f, unsigned n);
/* Of any of the three. */
bool arc_is_field(struct strv name);

struct arc_signature {                  /* of a message or of a seal */
	struct strv     raw;
	enum crypt_kind kind;
	struct strv     domain;         /* in A-labels and lower case */
	struct strv     selector;       /* as it is written */
	struct strv     key;            /* where its record is, likewise */
	struct strv     b;              /* octets */
	uint64_t        expires;        /* x=, seconds; 0: never */
	/* of a message alone */
	enum canon_form header, body;
	struct strv     names, hash;    /* h= as written; octets of bh= */
	uint64_t        length;         /* l=; UINT64_MAX: none */
};

/* False: *why says what is wrong with it. tags: scratch. */
bool arc_message_read(struct arena *a, struct tags *tags, struct strv raw, struct arc_signature *out, const char **why);
bool arc_seal_read(struct arena *a, struct tags *tags, struct strv raw, struct arc_signature *out, const char **why);

/* The octets of a key record's p=, for signatures of that kind. Absent: *why. RFC 6376 3.6.1 */
struct strv arc_key_read(struct arena *a, struct tags *tags, struct strv record, enum crypt_kind kind, const char **why);

/* What a message signature signs: the fields it names, the last of each name first, and itself. RFC 6376 3.7, 5.4.2 */
void arc_message_digest(const struct view_field *f, unsigned n, const struct arc_signature *s,
    unsigned char out[CRYPT_SHA256]);
/* What each seal of a chain signs, n of them. RFC 8617 5.1.1 */
void arc_seal_digests(const struct arc_chain *c, unsigned char (*out)[CRYPT_SHA256]);
/* What a seal that is added signs; before NULL: it says cv=fail and stands alone. RFC 8617 5.1.2 */
void arc_seal_digest(const struct arc_chain *before, const struct arc_set *added, unsigned char out[CRYPT_SHA256]);

#endif
