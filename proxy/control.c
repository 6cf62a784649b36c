/*
 * control -- orders and reports between master and worker.
 *
 * A worker has read strangers' octets: what it reports is checked like a stranger's.  A packet that is
 * not exactly a message is CONTROL_BAD, and descriptors that nobody asked for are closed.
 */
#include "proxy/control.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The message: "Po", version 1, kind, place in network order, two octets of zero. */
static const char head[3] = { 'P', 'o', 1 };

void
control_pack(const struct control_msg *m, char out[CONTROL_SIZE])
{
	memcpy(out, head, sizeof(head));
	out[3] = (char)m->kind;
	out[4] = (char)(m->place >> 8 & 0xff);
	out[5] = (char)(m->place & 0xff);
	out[6] = out[7] = 0;
}

bool
control_unpack(struct strv in, struct control_msg *out)
{
	const unsigned char *p = (const unsigned char *)in.p;

	if (in.n != CONTROL_SIZE || memcmp(p, head, sizeof(head)) != 0 || p[6] != 0 || p[7] != 0)
		return false;
	if (p[3] <= CONTROL_NONE || p[3] >= CONTROL_MAX)
		return false;
	out->kind = (enum control_kind)p[3];
	out->place = (unsigned)p[4] << 8 | p[5];
	return true;
}

bool
control_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0;
}

/* Room for one descriptor, aligned as the kernel wants it. */
union passing {
	struct cmsghdr head;
	char           room[CMSG_SPACE(sizeof(int))];
};

bool
control_send(int fd, const struct control_msg *m, int pass)
{
	char          octets[CONTROL_SIZE];
	union passing p;
	struct iovec  iov = { octets, sizeof(octets) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t       n;

	control_pack(m, octets);
	if (pass >= 0) {
		memset(&p, 0, sizeof(p));
		p.head.cmsg_level = SOL_SOCKET;
		p.head.cmsg_type = SCM_RIGHTS;
		p.head.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&p.head), &pass, sizeof(int));
		msg.msg_control = &p;
		msg.msg_controllen = sizeof(p.room);
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(octets);
}

/* The descriptor that came along, or -1. The kernel gives no more of them than it was told there is room for. */
static int
passed_fd(struct msghdr *msg)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(msg);
	int             fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	return fd;
}

/* After a shortage the message is still there. */
static enum control_rc
not_now(int error)
{
	if (error == EAGAIN)
		return CONTROL_AGAIN;
	return error == ENOMEM || error == ENOBUFS ? CONTROL_SHORT : CONTROL_FAULT;
}

enum control_rc
control_recv(int fd, struct control_msg *m, int *passed)
{
	char          octets[CONTROL_SIZE + 1]; /* one more: a longer packet must not look right */
	union passing p;
	struct iovec  iov = { octets, sizeof(octets) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &p };
	ssize_t       n;

	/* Not the whole room: what CMSG_SPACE adds to align it is that of a second one. */
	msg.msg_controllen = CMSG_LEN(sizeof(int));
	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return not_now(errno);
	*passed = passed_fd(&msg);
	if (n > 0 && control_unpack(strv(octets, (size_t)n), m))
		return CONTROL_OK;
	if (*passed >= 0)
		close(*passed);
	*passed = -1;
	return n == 0 ? CONTROL_EOF : CONTROL_BAD;
}
