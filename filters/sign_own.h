/*
 * sign_own -- what the two files of the signing filter share; nobody else includes it.
 */
#ifndef FILTERS_SIGN_OWN_H
#define FILTERS_SIGN_OWN_H

#include "filters/auth.h"
#include "proxy/base/crypt.h"
#include "proxy/mail/filter.h"
#include "proxy/mail/view.h"

/* What all signatures of one message have in common. */
struct sign_text {
	struct strv   hashed;                   /* the fields that are signed, in canonical form, in the order of h= */
	struct strv   names;                    /* h=, folded */
	unsigned char body[CRYPT_SHA256];       /* the hash of the body */
	uint64_t      now;                      /* s */
	enum canon_form header, text;           /* forms of both; by the caller */
};

/* The message as it is to be signed, its fields looked up once. */
struct sign_source {
	const struct view       *view;
	const struct view_field *field;         /* view_fields of it */
	unsigned                 n_field;
};

/*
 * Reads the message once, for all signatures, in the forms that `out' says.  FILTER_OK, FILTER_CANCELLED, or
 * FILTER_BUG: *why.  In a.
 */
MAY_YIELD enum filter_rc sign_read(struct arena *a, const struct sign_source *from, uint64_t now, struct sign_text *out,
    const char **why);
/*
 * The value of a DKIM-Signature field (for edits_add) of d=, s= with that key; absent: the key does not sign.
 * In a.
 */
struct strv sign_make_field(struct arena *a, const struct sign_text *t, struct strv domain, struct strv selector,
    const struct crypt_key *key);

#endif
