/*
 * mailer -- the mail server behind the proxy, played: a strict and well-behaved SMTP server, which
 * asks `decide` at each moment whether it shall misbehave, and keeps what it took.
 *
 * It notes as a `fault` whatever its client must not do: bare CR, bare LF or NUL in text, commands
 * ahead of replies where PIPELINING was not offered, extensions that were not offered.
 */
#ifndef TESTS_SIM_MAILER_H
#define TESTS_SIM_MAILER_H

#include "tests/sim/certs.h"
#include "tests/sim/wire.h"

enum up_stage {
	UP_CONNECT,                     /* before a descriptor exists */
	UP_GREETING, UP_COMMAND,
	UP_AUTH,                        /* a line of an exchange that AUTH began */
	UP_TLS,                         /* 220 to STARTTLS is out, the handshake comes */
	UP_TEXT,                        /* octets of a message have come; asked often */
	UP_CHUNK,                       /* a chunk that is not the last is complete */
	UP_DOT                          /* the message is complete */
};

struct up_moment {
	enum up_stage  stage;
	struct strv    verb, line;      /* of UP_COMMAND; upper case as sent */
	uint64_t       octets;          /* of text so far: UP_TEXT */
	unsigned       conn;            /* which connection, from 1 */
};

struct up_answer {                      /* all zero: behave */
	bool        refuse, black_hole, again;  /* UP_CONNECT */
	uint64_t    delay;              /* ms before anything else */
	bool        says;               /* say `say` and not what is due; 2xx and 3xx are meant */
	struct strv say;                /* raw octets; copied */
	bool        commit;             /* UP_DOT: keep the message whatever is said */
	bool        stall, drop, reset; /* after that */
	uint64_t    deaf;               /* ms without reading */
};

struct up_message {                     /* what was taken */
	unsigned           conn;
	char              *from;        /* the MAIL command as it came */
	char             **rcpt;        /* accepted RCPT commands as they came */
	unsigned           n_rcpt;
	struct buf         text;        /* canonical, dots undone */
	bool               bdat;
	bool               replied;     /* the 2xx was written whole */
	uint64_t           at;          /* ms of the clock */
	uint64_t           order;       /* among all messages and events of all servers */
	struct up_message *next;
};

struct up_event {
	unsigned conn;
	uint64_t order;
	char    *text;                  /* a command, or "[connect]", "[text N]", "[end]" ... */
};

enum mailer_mode {
	MAILER_UP,
	MAILER_DOWN,                    /* refuses connections; those that were there are dropped */
	MAILER_SILENT                   /* takes them and says nothing more; up again, it goes on */
};

struct mailer {
	struct sim        *sim;
	char               name[16];
	char              *offers;      /* keywords, blanks between; SIZE=1000, XCLIENT=NAME,ADDR */
	char              *offers_in_tls;       /* NULL: the same */
	bool               helo_only, lax;      /* lax: no faults are noted */
	bool               lmtp;
	bool               proxy;       /* a PROXY header comes first */
	bool               auth_required;       /* MAIL: 530 without */
	enum cert_kind     certificate;
	bool               tls12;       /* no more than TLS 1.2 */
	void              *tls;         /* SSL_CTX, once it was needed */
	enum mailer_mode   mode;
	bool             (*decide)(void *arg, const struct up_moment *, struct up_answer *);
	void              *arg;
	unsigned           conns, live;
	size_t             cut;         /* of replies */
	uint64_t           patience;    /* ms without a command, then it closes; 0: for ever */
	bool               says_why;    /* with 421 */
	struct up_event   *event;
	unsigned           n_event, max_event;
	struct up_message *message, **message_end;
	unsigned           n_message;
	struct buf         faults;      /* a line each */
};

struct mailer *mailer_new(struct sim *s, const char *name, const struct endpoint *at);
void mailer_turn(struct mailer *u, enum mailer_mode mode);
/* A connection as the world makes it: a descriptor, or -1 with *why. */
int mailer_dial(void *mailer, const char **why);
void mailer_offer(struct mailer *u, struct strv keywords);
bool mailer_offers(const struct mailer *u, const char *keyword);
void mailer_offer_in_tls(struct mailer *u, struct strv keywords);
void mailer_free(struct mailer *u);         /* after its world */

#endif
