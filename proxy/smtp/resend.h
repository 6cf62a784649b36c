/*
 * resend -- a quarantined message goes on: past checks and filters, not past the relay gate.
 */
#ifndef PROXY_SMTP_RESEND_H
#define PROXY_SMTP_RESEND_H

#include "proxy/base/buf.h"
#include "proxy/smtp/quarantine.h"
#include "proxy/smtp/smtp.h"

struct resend {
	const struct listener    *listener;     /* the one that q->listener names, or one in its stead */
	const struct quarantined *q;
	struct strv               text;         /* canonical; these three outlive `done' */
	void                    (*done)(void *arg);     /* from the loop, once */
	void                     *arg;
	bool                      taken;        /* the hop said 250 */
	bool                      without_dsn;  /* its parameters of DSN were left out */
	struct buf                said;         /* the caller's: lines for people, with LF */
};

/*
 * Sends it by the pool's hop, in the name of the client that it came from; all of its recipients, or none.  fd: one
 * end of a socket whose other end stays open, in the place of a client; it is taken over.
 */
void session_resend(struct smtp *m, struct resend *r, int fd);

#endif
