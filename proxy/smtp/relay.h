/*
 * relay -- one transaction on its way to the next hop.
 *
 * relay_rcpt queues and may take a connection; relay_settle waits for every reply owed; relay_text takes
 * the message as it comes; relay_finish commits.  The kinds of hop are behind struct hop.
 */
#ifndef PROXY_SMTP_RELAY_H
#define PROXY_SMTP_RELAY_H

#include "proxy/base/fiber.h"
#include "proxy/mail/reply.h"
#include "proxy/smtp/dots.h"

struct session;
struct slot;
struct strv;
struct upstream;
struct hop;
struct verdict;

enum mail_state { MAIL_NONE, MAIL_HELD, MAIL_SENT, MAIL_OK, MAIL_REFUSED };
enum way { WAY_HELD, WAY_DATA, WAY_BDAT };      /* how the text goes: after its end, or streamed */
enum outcome { OUTCOME_NONE, OUTCOME_TAKEN, OUTCOME_REFUSED, OUTCOME_FAILED, OUTCOME_UNKNOWN, OUTCOME_DISCARDED,
	OUTCOME_QUARANTINED };

struct relay {
	const struct hop *hop;          /* pool's */
	struct pool      *pool;         /* where this transaction goes: the listener's, until a route says otherwise */
	uint64_t          avoid;        /* servers of it that failed in this transaction */
	uint64_t          ticket;       /* of the connection that was lent: who lends keeps its place in the order */
	struct strv       class;        /* transaction-class of the first recipient; absent: none yet. Transaction's arena */
	bool              routed;       /* a recipient has settled pool and class */
	struct upstream  *up;           /* NULL: none taken; between transactions only one that is named is kept */
	enum mail_state   mail;
	struct reply      refusal;      /* of MAIL, or what a broken transaction hears; text in the transaction's arena */
	bool              broken;       /* the upstream failed: `refusal` is the answer to the rest */
	bool              committed;    /* octets that may make the hop take the message have been sent */
	bool              streaming;    /* text went out before its end */
	bool              replayed;     /* once was enough */
	bool              lent;         /* `up' is gone, to another session: all is said again (lend.h) */
	bool              answered;     /* the client has heard an answer of the server: no other server is asked */
	bool              begun;        /* the first octets of a streamed text are out */
	bool              told;         /* the client heard the refusal as the answer to MAIL: no transaction is open */
	struct strv       front;        /* the head of a streamed message that goes with its first chunk */
	unsigned          chunks;       /* BDAT chunks whose reply has not come */
	enum way          way;
	struct dots_out   dots;
	enum outcome      outcome;
};

/* A kind of next hop.  A function that may be NULL says so. */
struct hop {
	const char *name;
	/* MAIL at once: fills `slot` now or at settle.  NULL: holding it is always fine. */
	MAY_YIELD void (*mail)(struct session *, struct slot *slot);
	/* Recipient i: fills `slot` now or at settle. */
	MAY_YIELD void (*rcpt)(struct session *, unsigned i, struct slot *slot);
	MAY_YIELD void (*settle)(struct session *);
	/* The next piece of canonical body text; the first call begins with what the spool holds.
	 * False: broken, relay.refusal says why.  NULL: never streams. */
	MAY_YIELD bool (*stream)(struct session *, struct strv text);
	/* All of the message is there: sends (the rest of) it, commits; *out answers the client and is valid
	 * until end.  Sets relay.outcome. */
	MAY_YIELD void (*finish)(struct session *, struct reply *out);
	/*
	 * Recipient i instead of all that were taken: said on the same connection, behind RSET, MAIL.  Sets its
	 * upstream_took; false: the hop would not, or is lost.  NULL: nothing was said of recipients yet.
	 */
	MAY_YIELD bool (*redirect)(struct session *, unsigned i);
	/*
	 * The envelope is another than what was said (edit_envelope.h).  anew: not only by recipients that were added.
	 * False: broken.  NULL: as redirect.
	 */
	MAY_YIELD bool (*envelope)(struct session *, bool anew);
	/* The transaction is over, however: what was taken goes back.  Never parks. */
	void (*end)(struct session *);
	void (*close)(struct session *);        /* the session is over */
};

extern const struct hop hop_smtp, hop_lmtp, hop_maildir;

void relay_begin(struct session *s);            /* a transaction begins: MAIL is held */
MAY_YIELD void relay_mail(struct session *s);   /* answers MAIL: 250 of ours, or sent at once */
/* Recipient i hears the transaction's refusal, and the log has both. */
void relay_refuse_rcpt(struct session *s, unsigned i, struct slot *slot);
MAY_YIELD void relay_rcpt(struct session *s, unsigned i);
/* Every reply owed has come, or what stands for it. */
MAY_YIELD void relay_settle(struct session *s);
/* Canonical body text: spooled or streamed.  What goes wrong becomes the text's fault. */
MAY_YIELD void relay_text(struct session *s, struct strv text);
/* Adds to the message's spool; false: no space or a fault, logged, and the transaction is broken. */
bool relay_spool(struct session *s, struct strv text);
MAY_YIELD void relay_finish(struct session *s, struct reply *out);
/* `quarantine to': the message goes to that address alone.  False: it cannot, *out says so. */
MAY_YIELD bool relay_redirect(struct session *s, struct strv to, struct reply *out);
/*
 * What milters want of the envelope (edits of it in the transaction's edits) is carried out, where *v is NONE or
 * QUARANTINE.  All recipients deleted: *v becomes DISCARD.  False: it cannot be, *out says so, and it is logged.
 */
MAY_YIELD bool relay_envelope(struct session *s, struct verdict *v, struct reply *out);
/* `quarantine': the message into the Maildir of the configuration; relay.outcome and *out as of finish.  hop_quarantine.c */
MAY_YIELD void relay_quarantine(struct session *s, struct reply *out);
/* The hop hears nothing more of this transaction. */
void relay_give_up(struct session *s);
/* A look just before the octets that commit; true: the session is cut, the hop is to give up. */
bool relay_client_left(struct session *s);
void relay_end(struct session *s);
void relay_close(struct session *s);
/* The rest of the transaction hears this; text is copied. The first one holds. */
void relay_break(struct session *s, uint16_t code, const char *enh, struct strv text);
/* Fields of ours in front of the message (Received), in the transaction's arena; empty: none. */
struct strv relay_fields(struct session *s);

#endif
