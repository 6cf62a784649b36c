/*
 * estate -- what stands behind and in front of the proxy in a seeded world: the servers, how they are
 * told who the client is, and the configuration that says so.
 */
#ifndef TESTS_SIM_ESTATE_H
#define TESTS_SIM_ESTATE_H

#include "tests/sim/mailer.h"
#include "tests/sim/rogue.h"

#define ESTATE_SERVERS 4

enum estate_identity { BY_NOTHING, BY_XCLIENT, BY_XFORWARD, BY_PROXY };

struct estate_server {
	struct mailer *m;
	bool           second;          /* of the pool that the route gives to second.example */
	bool           flaps;
	uint64_t       turns_at;        /* ms of the clock; SIM_NEVER: stays as it is */
};

struct estate {
	struct sim          *sim;
	struct estate_server server[ESTATE_SERVERS];
	unsigned             n;
	bool                 maildir, lmtp, routed, tls;
	enum estate_identity identity;
	bool                 auth;              /* offered to clients by some server */
	enum crowd_front     front;             /* how clients say who they are */
	bool                 crowded;           /* few places: who waits for the DNS lends */
	bool                 few;               /* clients have few addresses and names between them */
	bool                 login;             /* clients may be introduced with a user's name */
	unsigned             shy, picky;        /* per cent of XCLIENT, of RCPT that servers refuse */
	unsigned             trouble;           /* per mille of moments at which a server misbehaves */
};

/* Draws all of it and makes the servers. config: statements are added. */
void estate_open(struct estate *e, struct sim *s, struct buf *config);
/* Servers that flap: what is due at this moment; the next such moment, or SIM_NEVER. */
uint64_t estate_act(struct estate *e);
/* All servers are up again, and stay so. */
void estate_calm(struct estate *e);
void estate_free(struct estate *e);     /* after its world */

/* What a message that was taken must have seen on its connection. NULL, or what is wrong: in text. */
const char *estate_wrong(const struct estate *e, const struct estate_server *sv,
    const struct up_message *m, const struct letter *l, char text[200]);
/* A connection on which a client was named serves one session.  NULL, or what is wrong: in text. */
const char *estate_shared(const struct estate *e, const struct estate_server *sv, char text[200]);
/* Did some server say 235 for that user? */
bool estate_knows(const struct estate *e, const char *user);

#endif
