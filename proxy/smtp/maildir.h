/*
 * maildir -- one message as a file of a Maildir, made durable, on the work thread.
 */
#ifndef PROXY_SMTP_MAILDIR_H
#define PROXY_SMTP_MAILDIR_H

#include "proxy/base/world.h"
#include "proxy/smtp/session.h"

struct delivery {                       /* what the work thread gets; the fiber waits for it */
	struct world *world;
	const char   *dir[4];           /* the Maildir and its three folders */
	const char   *tmp, *to;
	struct strv   fields, head;     /* in front of the body, canonical */
	struct spool *body;             /* NULL: none */
	uint64_t      max;              /* octets that the Maildir may hold with this one, by its names' ",W="; 0: any */
	uint64_t      octets;           /* of this one: fields, head and body */
	char         *scratch;
	enum file_rc  rc;
};

/* A name that no other file has: cr.yp.to/proto/maildir.html.  Of the transaction's arena. */
const char *maildir_name(struct session *s);
/* "/" and ":" are no part of a name. */
void maildir_name_clean(char *name);
/* For a file called name in dir; the caller fills in what it consists of. */
struct delivery *maildir_prepare(struct session *s, const char *dir, const char *name);
/*
 * Writes d to tmp/, makes it durable and renames it into new/.  Does not return early: what it says is so.
 * FILE_FULL: no space, or more than max.
 */
MAY_YIELD enum file_rc maildir_deliver(struct session *s, struct delivery *d);
/*
 * maildir_try -- could a message be delivered to the Maildir dir?
 *
 *   a       owns *where: the folder that was tried last, and that rc is about
 *   chance  for a name that nobody else has
 *
 * Makes the folders, as the first message would, and in tmp/ and new/ an empty file that no reader of mail looks
 * at, and removes it.  May block.
 */
enum file_rc maildir_try(struct arena *a, struct world *w, const char *dir, uint64_t chance, const char **where);
/* Such a file in any folder. */
enum file_rc maildir_try_file(struct arena *a, struct world *w, const char *dir, uint64_t chance);
/* The octets that the name of a file says (",W=N", with CRLF, as Maildir++ has it); 0: none. */
uint64_t maildir_octets(struct strv name);

#endif
