/*
 * sockets -- those of the master: what it listens on, and where it says that it is ready.
 *
 * For each place (that a worker serves) and each address there is one socket, all of one address in
 * one SO_REUSEPORT group, so the kernel spreads the clients over the workers.  They are the master's
 * and stay open while workers come and go: a client in a queue is never lost.
 */
#ifndef PROXY_SOCKETS_H
#define PROXY_SOCKETS_H

#include "proxy/base/addr.h"
#include "proxy/base/strv.h"

struct arena;

struct sockets {
	struct endpoint *at;            /* n; heap */
	int             *fd;            /* n * places; heap: fd[i * places + place] */
	unsigned         n, places;
};

/*
 * sockets_open -- makes *s what these n addresses and so many places want
 *
 * Sockets of an address that stays are kept; there are never fewer places than before (a socket with
 * clients in its queue is not closed).  What is new at an address that is kept only listens once a worker has adopted
 * it.  False: nothing has changed, at[*failed] cannot be opened, *why is a text in arena a.
 */
bool sockets_open(struct sockets *s, const struct endpoint *at, unsigned n, unsigned places, struct arena *a,
    unsigned *failed, struct strv *why);
/* A socket of theirs takes clients from now on; it may do so already. */
void sockets_listen(int fd);
void sockets_close(struct sockets *s);

/* Tells systemd, if NOTIFY_SOCKET is set and can be reached: "READY=1". */
void notify_send(const char *text);

#endif
