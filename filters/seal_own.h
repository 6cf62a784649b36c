/*
 * seal_own -- what the two files of the sealing filter share: seal.c settles what is to be sealed, seal_fields.c makes
 * the fields.  Nobody else includes it.
 */
#ifndef FILTERS_SEAL_OWN_H
#define FILTERS_SEAL_OWN_H

#include "filters/arc_own.h"
#include "filters/auth.h"
#include "filters/registry.h"

struct sealing {                                /* of one message, in a */
	struct arena           *a;
	const struct auth_conf *auth;
	const struct sign_rule *rule;
	struct view_field      *field;
	unsigned                n_field;
	struct arc_chain       *chain;          /* of the view */
	const char             *cv;
	bool                    alone;          /* the seal signs our set and no other */
	unsigned                i;
	uint64_t                now;            /* seconds */
	struct strv             body_hash;
	struct arc_set          set;            /* ours, as fields */
	const char             *why;            /* there is no seal */
};

/* ---- seal_fields.c: each into s->set, as a whole field with its CRLF; in this order ---- */

/* What our other filters found; asks them, and may park. CANCELLED: the fiber was. RFC 8617 4.1.1 */
MAY_YIELD enum filter_rc seal_make_results(struct sealing *s, struct facts *facts);
/* False, for both: signing failed. RFC 8617 4.1.2; and 4.1.3, 5.1.1, 5.1.2 */
bool seal_make_message(struct sealing *s);
bool seal_make_seal(struct sealing *s);

#endif
