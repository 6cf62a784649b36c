/*
 * verdict -- what was decided: one closed type, legal or not at a stage.
 */
#ifndef PROXY_MAIL_VERDICT_H
#define PROXY_MAIL_VERDICT_H

#include "proxy/mail/stage.h"

#define VERDICT_AT_ANY (AT(CONNECT) | AT(HELO) | AT(AUTH) | AT(MAIL) | AT(RCPT) | AT(DATA) | AT(MESSAGE))
#define VERDICT_AT_TX  (AT(MAIL) | AT(RCPT) | AT(DATA) | AT(MESSAGE))

/*   name         word          code  enhanced  legal at       what it does */
#define VERDICTS(X) \
	X(NONE,       "continue",     0, "",      VERDICT_AT_ANY, "no opinion") \
	X(DISCARD,    "discard",    250, "2.0.0", VERDICT_AT_TX,  "say yes and drop it") \
	X(QUARANTINE, "quarantine", 250, "2.0.0", AT(MESSAGE),    "keep it on disk, or send it to an address") \
	X(TEMPFAIL,   "tempfail",   451, "4.7.1", VERDICT_AT_ANY, "not now") \
	X(REJECT,     "reject",     550, "5.7.1", VERDICT_AT_ANY, "no") \
	X(DISCONNECT, "disconnect", 421, "4.7.0", VERDICT_AT_ANY, "421 and close")

enum verdict_kind {
#define X(name, word, code, enh, at, does) VERDICT_##name,
	VERDICTS(X)
#undef X
	VERDICT_MAX
};

struct verdict {                        /* all zero: no opinion */
	enum verdict_kind kind;
	uint16_t          code;         /* 400..599, 421; 0: the code of the table */
	char              enh[10];      /* "5.7.1"; "": the one of the table */
	struct strv       text;         /* one reply text, lines split by \n; borrowed from the hearing's or
	                                 * transaction's arena or the policy; absent: a standard sentence */
	struct strv       by;           /* who: "relay", "limits", a check's name; the same owner */
	struct strv       to;           /* quarantine: the address; else absent */
};

bool verdict_legal(enum verdict_kind kind, enum stage at);
bool verdict_final(const struct verdict *v);                    /* kind != NONE */
const char *verdict_word(enum verdict_kind kind);
bool verdict_find(struct strv word, enum verdict_kind *out);    /* "continue" is no policy word: not found */
uint16_t verdict_code(const struct verdict *v);                 /* code, or the table's */
const char *verdict_enh(const struct verdict *v);               /* enh, or the table's; for a code given without enh:
                                                                 * "x.7.1" of the code's class */
/* v->text, or the standard sentence of the kind. */
struct strv verdict_text(const struct verdict *v);

#endif
