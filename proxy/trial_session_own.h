/*
 * trial_session_own -- what trial_session.c, trial_envelope.c and trial_text.c share, and nobody else.  All of it is
 * trial_session.c's.
 */
#ifndef PROXY_TRIAL_SESSION_OWN_H
#define PROXY_TRIAL_SESSION_OWN_H

#include "proxy/trial_session.h"

struct trial_session {
	const struct trial_house *t;
	struct arena             *a, *tx_a;
	const struct listener    *listener;
	struct client             client;
	struct hearing           *hearing;
	unsigned                  n_tx, errors;
	struct trial_answer       refused; /* MAIL, or what came before it; code 0: nothing */
	struct trial_answer       no_rcpt; /* the last recipient of the transaction that was refused */
	struct verdict            drop; /* `discard' at mail or before: the rest is for nobody */
	bool                      over;
	struct strv               pool, class; /* of the recipients taken so far */
	bool                      routed;
	bool                      quiet;
	struct fiber             *waits;
};

/* An answer of syntax or limits; text is static. */
void trial_limit(struct trial_session *s, struct trial_answer *out, enum stage at, uint16_t code, const char *enh,
    const char *text);
void trial_say(struct trial_session *s, struct trial_answer *out, enum stage at, uint16_t code, const char *enh,
    struct strv text, struct strv by);
void trial_say_verdict(struct trial_session *s, struct trial_answer *out, enum stage at, const struct verdict *v);
/* The judge at a stage: false where it was cancelled; out->code is 0 where nothing is said. */
MAY_YIELD bool trial_stage(struct trial_session *s, enum stage at, struct trial_answer *out);
/* The session is over, or the transaction was refused: then what was said stands for all that follows. */
bool trial_stands(struct trial_session *s, struct trial_answer *out);
bool trial_not_let_in(const struct trial_session *s);
/* Was that a refusal?  Then it stands for all that follows, see trial_stands. */
bool trial_refused(struct trial_session *s, const struct trial_answer *out);
/* From now on the fiber has command_ms: before the judge is asked otherwise than by trial_stage. */
void trial_budget(const struct trial_session *s);
void trial_end_transaction(struct trial_session *s);
const struct limits *trial_limits(const struct trial_session *s);

#endif
