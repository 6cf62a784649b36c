/*
 * rogue -- clients that act by chance: mostly legal, sometimes slow, rude or gone; and the letters
 * they send, each with a sender of its own, so that a message can be found again behind the proxy.
 */
#ifndef TESTS_SIM_ROGUE_H
#define TESTS_SIM_ROGUE_H

#include "tests/sim/house.h"
#include "tests/sim/wire.h"

#define LETTER_RCPTS 6

enum letter_fate {
	LETTER_UNSENT,                  /* its end was never sent */
	LETTER_SENT,                    /* sent whole; no answer was heard */
	LETTER_ACCEPTED,                /* 250 was heard */
	LETTER_REFUSED                  /* 4xx or 5xx was heard */
};

/* What the DNS says of a sender's domain: it has a server, is not there, fails, never answers. */
enum letter_domain { DOMAIN_GOOD, DOMAIN_GONE, DOMAIN_DIM, DOMAIN_MUTE };

struct letter {
	unsigned         client, no;    /* MAIL FROM:<s<client>-t<no>@DOMAIN> */
	enum letter_domain domain;
	enum letter_domain author, key; /* of From; of its signature, what the DNS says of the key */
	bool             header, signature;             /* it has From; a signature, which does not hold */
	bool             odd, boom;     /* its Subject has that word; a field that regular expressions fall for */
	size_t           old_at, old_n; /* a field X-Old of the text, with its end; 0: none */
	struct buf       wire, text;    /* as sent (dots doubled, odd octets), and canonical */
	unsigned         n_rcpt;
	char             address[20];   /* whose it is, as the server must be told */
	unsigned         port;
	char             to[20];        /* the address that its client came to */
	unsigned         to_port;
	char             login[20];     /* the user whom XCLIENT named to us; "": none */
	char             helo[32];      /* at its MAIL */
	char             told_helo[32]; /* that, or the one at AUTH: its connection was named before */
	bool             told_esmtp;
	bool             authenticated; /* 235 was heard before */
	bool             second[LETTER_RCPTS];          /* it is at second.example */
	bool             took[LETTER_RCPTS];            /* 250 was heard for it */
	bool             told[LETTER_RCPTS];            /* any answer was */
	enum letter_fate fate;
	unsigned         code;
	struct letter   *next;
};

enum crowd_front { FRONT_PLAIN, FRONT_PROXY, FRONT_XCLIENT };

struct crowd {                          /* what the clients of one world share */
	struct sim      *sim;
	struct house    *house;
	struct letter   *letters;
	unsigned         clients, done;
	unsigned         rudeness;      /* per cent of moments at which something unusual is done */
	uint64_t         largest;       /* octets of a letter, about */
	bool             second;        /* some recipients are at second.example, which has servers of its own */
	enum crowd_front front;         /* how clients say who they are */
	unsigned         addresses, names;      /* so many are all that the clients have; 0: each its own */
	unsigned         first;         /* the lowest of their numbers */
	uint64_t         span;          /* ms within which clients come */
	bool             login;         /* XCLIENT may name a user */
	struct buf       faults;        /* what no client should ever see, a line each */
};

/* Client number no begins at `at` (ms of the clock). */
void rogue_start(struct crowd *c, unsigned no, uint64_t at);
struct letter *crowd_find(const struct crowd *c, struct strv mail_command);
void crowd_free(struct crowd *c);

#endif
