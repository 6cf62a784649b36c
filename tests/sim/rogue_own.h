/*
 * rogue_own -- between rogue.c (the actor, octets out, replies in), rogue_talk.c (what a rogue says
 * next, and what it makes of the answer) and rogue_auth.c.
 *
 * Invariant: every command sent has exactly one entry in `owed`, taken away by exactly one reply.
 */
#ifndef TESTS_SIM_ROGUE_OWN_H
#define TESTS_SIM_ROGUE_OWN_H

#include "tests/sim/letter.h"

#define OWED_MAX 512

enum kind { K_GREETING, K_HELLO, K_MAIL, K_RCPT, K_DATA, K_CHUNK, K_END, K_AUTH, K_XCLIENT, K_OTHER, K_QUIT };

enum tx_at { TX_NONE, TX_MAIL, TX_RCPT, TX_DATA, TX_WAIT_354, TX_TEXT, TX_CHUNKS, TX_OVER };

struct owed {
	enum kind kind;
	unsigned  rcpt;
};

struct who {                            /* who it says to be, as the server must be told */
	char     address[20], to[20], login[20];
	unsigned port, to_port;
};

struct rogue {
	struct actor   actor; /* first */
	struct wire    wire;
	struct crowd  *crowd;
	unsigned       no;
	uint64_t       begins;
	bool           connected, gone, quitting, half;
	bool           lockstep, chunking, esmtp, wants_chunks, heard_354, refused;
	size_t         piece; /* octets of a piece, about; 0: all */
	struct buf     todo;  /* octets to be sent */
	size_t         todo_at;
	uint64_t       sent, ends_at; /* octets; after so many we go, whatever is going on */
	struct owed    owed[OWED_MAX];
	unsigned       owed_from, owed_n;
	unsigned       letters, n_letters;
	struct letter *l; /* the one in hand */
	enum tx_at     at;
	unsigned       rcpt;
	size_t         chunk_at;
	bool           last_sent;
	struct who     who, next;       /* next: if 220 is heard to XCLIENT */
	unsigned       introductions;   /* XCLIENT was said so often */
	char           helo[32], auth_helo[32]; /* auth_helo: at the time of 235 */
	bool           auth_esmtp;
	bool           hello_said;
	/* AUTH */
	uint32_t       mechanisms;      /* offered; bits of rogue_talk.c's table */
	unsigned       mechanism, auth_step, auth_tries;
	bool           authenticated, honest;
	uint64_t       silent_since;
	uint64_t       pause_until;
};

/* rogue.c */
struct sim *rogue_sim(const struct rogue *r);
bool rogue_rude(const struct rogue *r);         /* something unusual is to be done now */
unsigned rogue_place(const struct rogue *r);    /* the number of an address that it may have, from 0 */
void rogue_fault(struct rogue *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line to be sent, for which a reply of that kind is owed. */
void rogue_command(struct rogue *r, enum kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void rogue_leave(struct rogue *r, bool reset);

/* rogue_talk.c: the next thing, if it is time for one; an answer. */
bool rogue_next(struct rogue *r);
void rogue_heard(struct rogue *r, unsigned code, struct strv text);

/* rogue_auth.c */
void rogue_auth_offered(struct rogue *r, struct strv ehlo);
bool rogue_auth_begin(struct rogue *r);         /* false: nothing is offered, or it was enough */
void rogue_auth_heard(struct rogue *r, unsigned code);

#endif
