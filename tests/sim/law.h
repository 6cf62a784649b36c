/*
 * law -- the policy of a seeded world: checks drawn by chance, a DNS to ask, and what they must come to for a letter.
 *
 * The answer is worked out here, from what the letter is, and not by the code under test.
 */
#ifndef TESTS_SIM_LAW_H
#define TESTS_SIM_LAW_H

#include "proxy/mail/stage.h"
#include "proxy/mail/verdict.h"
#include "tests/sim/law_auth.h"
#include "tests/sim/rogue.h"

#define LAW_CHECKS 7
#define LAW_KEPT   "/mail/kept"                 /* the folder of `quarantine` */
#define LAW_TO     "keep@elsewhere.example"   /* the address of `quarantine to` */

enum law_about {
	ABOUT_CLIENT,
	ABOUT_LISTED,
	ABOUT_HELO,
	ABOUT_RESOLVES,
	ABOUT_SENDER,
	ABOUT_RCPT,
	ABOUT_SUBJECT,
	ABOUT_BOOM,
	ABOUT_SPF,
	ABOUT_DMARC,
	ABOUT_DKIM
};

struct law_check {
	enum law_about    about;
	unsigned          from, to;     /* of numbers: of the client, the recipient */
	enum law_word     word;         /* of SPF, DMARC, DKIM */
	enum stage        at;
	enum verdict_kind then, unknown;
	bool              away;         /* quarantine: to LAW_TO */
	bool              warn, adds, deletes;
	int               tag;          /* and only if that check has fired; -1: in any case */
};

struct law {
	struct sim      *sim;
	unsigned         n;
	struct law_check check[LAW_CHECKS];
	bool             at_stage;      /* reject-at stage */
	struct law_auth  auth;
};

struct law_says {                       /* check: its number, -1: nothing is said */
	int               check;
	enum verdict_kind kind;
	bool              away;
};

/* Draws checks and DNS; config: statements are added. */
void law_open(struct law *w, struct sim *s, struct buf *config);
/* What was decided before the recipients; of recipient i; behind them. */
struct law_says law_before(const struct law *w, const struct letter *l);
struct law_says law_rcpt(const struct law *w, const struct letter *l, unsigned i);
struct law_says law_behind(const struct law *w, const struct letter *l);
/*
 * The text that must arrive: `text' is what did; added: fields of somebody else were taken out of it.
 * NULL, or what is wrong with it: static text.
 */
const char *law_text_wrong(const struct law *w, const struct letter *l, struct strv text, bool added);

#endif
