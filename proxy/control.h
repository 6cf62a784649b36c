/*
 * control -- what master and worker say to each other over a socketpair.
 *
 * One packet a message (SOCK_SEQPACKET), of one size, so nothing is ever cut or joined.  The master
 * orders, the worker reports; the end of either is EOF for the other.  Neither side ever waits here.
 */
#ifndef PROXY_CONTROL_H
#define PROXY_CONTROL_H

#include "proxy/base/strv.h"

/*        name      who says it */
#define CONTROLS(X) \
	X(ADOPT,  "order: accept at the sockets of a place") \
	X(LEAVE,  "order: no longer accept at those of a place") \
	X(DRAIN,  "order: accept nothing more, finish what is in hand, end") \
	X(ABORT,  "order: end now") \
	X(LOG,    "order: the log goes to the descriptor that comes with this") \
	X(READY,  "report: the loop runs") \
	X(LOGLESS, "report: no descriptor came with the order of the log")

enum control_kind {
	CONTROL_NONE,
#define X(name, about) CONTROL_##name,
	CONTROLS(X)
#undef X
	CONTROL_MAX
};

struct control_msg {
	enum control_kind kind;
	unsigned          place;        /* of ADOPT and LEAVE: 0..65535 */
};

#define CONTROL_SIZE 8

/* Pure. */
void control_pack(const struct control_msg *m, char out[CONTROL_SIZE]);
bool control_unpack(struct strv in, struct control_msg *out);           /* false: not a message */

/* Both ends, non-blocking, closed on exec: [0] the master's, [1] the worker's. */
bool control_pair(int fd[2]);
/* pass: a descriptor to go with it, -1 none. False: the other side has gone or takes nothing. */
bool control_send(int fd, const struct control_msg *m, int pass);

#define CONTROL_PAUSE_MS 100    /* behind CONTROL_SHORT: who asks again at once spins, for the socket stays ready */

/* SHORT: no memory for what is there, and stays there.  FAULT: it cannot be read, and errno says why. */
enum control_rc { CONTROL_OK, CONTROL_AGAIN, CONTROL_SHORT, CONTROL_EOF, CONTROL_BAD, CONTROL_FAULT };
/* The next message; *passed is -1 or a descriptor that the caller now owns (CONTROL_OK only). */
enum control_rc control_recv(int fd, struct control_msg *m, int *passed);

#endif
