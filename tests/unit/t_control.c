/*
 * t_control -- orders and reports: packed, unpacked, sent with and without a descriptor, and what is no message.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proxy/control.h"
#include "tests/unit/t.h"

static int fault; /* of the next recvmsg(); 0: none */

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	if (fault == 0)
		return syscall(SYS_recvmsg, fd, msg, flags);
	errno = fault;
	fault = 0;
	return -1;
}

static void
packs_and_unpacks(void)
{
	static const unsigned places[] = { 0, 1, 255, 256, 4660, 65535 };

	for (enum control_kind k = CONTROL_NONE + 1; k < CONTROL_MAX; k++)
		for (size_t i = 0; i < T_COUNT(places); i++) {
			struct control_msg in = { k, places[i] }, out = { CONTROL_NONE, 0 };
			char               octets[CONTROL_SIZE];

			control_pack(&in, octets);
			T_CHECK(control_unpack(strv(octets, sizeof(octets)), &out));
			T_EQ_NUM(out.kind, k);
			T_EQ_NUM(out.place, places[i]);
		}
}

static void
has_one_form(void)
{
	char octets[CONTROL_SIZE];

	/* A worker of the new program may talk to a master of the old one for a moment: so the octets are fixed. */
	control_pack(&(struct control_msg){ CONTROL_LEAVE, 0x1234 }, octets);
	T_EQ_STRV(strv(octets, sizeof(octets)), SV("Po\x01\x02\x12\x34\0\0"));
}

static void
refuses_what_is_no_message(void)
{
	struct control_msg m = { CONTROL_ADOPT, 7 }, out;
	char               octets[CONTROL_SIZE + 1] = { 0 };

	control_pack(&m, octets);
	for (size_t n = 0; n <= sizeof(octets); n++)
		if (n != CONTROL_SIZE)
			T_CHECKF(
			    !control_unpack(strv(octets, n), &out), "%zu octets are a message", n);
	for (size_t i = 0; i < CONTROL_SIZE; i++) {
		char was = octets[i];

		if (i == 4 || i == 5)
			continue; /* the place may be any */
		octets[i] = (char)0x7f;
		T_CHECKF(!control_unpack(strv(octets, CONTROL_SIZE), &out),
		    "octet %zu may be anything", i);
		octets[i] = was;
	}
	octets[3] = CONTROL_MAX;
	T_CHECK(!control_unpack(strv(octets, CONTROL_SIZE), &out));
	octets[3] = CONTROL_NONE;
	T_CHECK(!control_unpack(strv(octets, CONTROL_SIZE), &out));
}

static void
names_its_kinds(void)
{
}

static void
goes_over_a_pair(void)
{
	struct control_msg m;
	int                fd[2], passed;

	if (!T_CHECK(control_pair(fd)))
		return;
	T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_AGAIN);
	T_CHECK(control_send(fd[0], &(struct control_msg){ CONTROL_ADOPT, 3 }, -1));
	T_CHECK(control_send(fd[0], &(struct control_msg){ CONTROL_DRAIN, 0 }, -1));
	T_CHECK(control_send(fd[1], &(struct control_msg){ CONTROL_READY, 0 }, -1));
	T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_OK);
	T_EQ_NUM(m.kind, CONTROL_ADOPT);
	T_EQ_NUM(m.place, 3);
	T_EQ_NUM(passed, -1);
	T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_OK);
	T_EQ_NUM(m.kind, CONTROL_DRAIN);
	T_EQ_NUM(control_recv(fd[0], &m, &passed), CONTROL_OK);
	T_EQ_NUM(m.kind, CONTROL_READY);
	/* What was sent before the end is still heard. */
	T_CHECK(control_send(fd[0], &(struct control_msg){ CONTROL_LEAVE, 9 }, -1));
	close(fd[0]);
	T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_OK);
	T_EQ_NUM(m.place, 9);
	T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_EOF);
	T_CHECK(!control_send(fd[1], &(struct control_msg){ CONTROL_READY, 0 }, -1));
	close(fd[1]);
}

static bool
same_file(int x, int y)
{
	struct stat sx, sy;

	return fstat(x, &sx) == 0 && fstat(y, &sy) == 0 && sx.st_dev == sy.st_dev &&
	    sx.st_ino == sy.st_ino;
}

static void
carries_a_descriptor(void)
{
	struct control_msg m;
	int                fd[2], passed = -1, pipes[2];

	if (!T_CHECK(control_pair(fd)) || !T_CHECK(pipe(pipes) == 0))
		return;
	T_CHECK(control_send(fd[0], &(struct control_msg){ CONTROL_LOG, 0 }, pipes[1]));
	T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_OK);
	T_EQ_NUM(m.kind, CONTROL_LOG);
	T_CHECK(passed >= 0 && passed != pipes[1] && same_file(passed, pipes[1]));
	T_CHECK((fcntl(passed, F_GETFD) & FD_CLOEXEC) != 0);
	close(passed);
	close(pipes[0]);
	close(pipes[1]);
	close(fd[0]);
	close(fd[1]);
}

static void
tells_nonsense_from_the_end(void)
{
	struct control_msg m;
	int                fd[2], passed;

	if (!T_CHECK(control_pair(fd)))
		return;
	T_CHECK(send(fd[1], "hello", 5, 0) == 5);
	T_EQ_NUM(control_recv(fd[0], &m, &passed), CONTROL_BAD);
	T_CHECK(send(fd[1], "Po\x01\x06\0\0\0\0x", 9, 0) == 9);
	T_EQ_NUM(control_recv(fd[0], &m, &passed), CONTROL_BAD);
	T_EQ_NUM(passed, -1);
	close(fd[0]);
	close(fd[1]);
}

/* Of those that a test may have. */
static unsigned
count_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* A worker that is not ours any more sends several: room for one is room for two, where 64 bits are a word. */
static void
keeps_no_second_descriptor(void)
{
	char               octets[CONTROL_SIZE];
	struct control_msg m = { CONTROL_READY, 0 };
	struct iovec       iov = { octets, sizeof(octets) };
	union {
		struct cmsghdr head;
		char           room[CMSG_SPACE(3 * sizeof(int))];
	} c = { .head = { CMSG_LEN(3 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)
	};
	int      fd[2], passed, three[3] = { 0, 1, 2 };
	unsigned before;

	if (!T_CHECK(control_pair(fd)))
		return;
	memcpy(CMSG_DATA(&c.head), three, sizeof(three));
	control_pack(&m, octets);
	before = count_fds();
	T_CHECK(sendmsg(fd[1], &msg, 0) == CONTROL_SIZE);
	T_EQ_NUM(control_recv(fd[0], &m, &passed), CONTROL_OK);
	if (passed >= 0)
		close(passed);
	T_EQ_NUM(count_fds(), before);
	octets[0] = 'x';
	T_CHECK(sendmsg(fd[1], &msg, 0) == CONTROL_SIZE);
	T_EQ_NUM(control_recv(fd[0], &m, &passed), CONTROL_BAD);
	T_EQ_NUM(count_fds(), before);
	close(fd[0]);
	close(fd[1]);
}

/* Who hears AGAIN asks when the socket is ready, which it is: a shortage is another thing. */
static void
tells_a_shortage(void)
{
	static const struct {
		int             error;
		enum control_rc rc;
	} table[] = { { ENOMEM, CONTROL_SHORT }, { ENOBUFS, CONTROL_SHORT },
		{ EAGAIN, CONTROL_AGAIN }, { ECONNRESET, CONTROL_FAULT }, { EINTR, CONTROL_OK } };
	struct control_msg m;
	int                fd[2], passed;

	if (!T_CHECK(control_pair(fd)))
		return;
	for (size_t i = 0; i < T_COUNT(table); i++) {
		T_CHECK(control_send(fd[0], &(struct control_msg){ CONTROL_ADOPT, 3 }, -1));
		fault = table[i].error;
		T_EQ_NUM(control_recv(fd[1], &m, &passed), table[i].rc);
		if (table[i].rc != CONTROL_OK)
			T_EQ_NUM(control_recv(fd[1], &m, &passed), CONTROL_OK);
	}
	close(fd[0]);
	close(fd[1]);
}

/* A worker that reads nothing must not stop its master. */
static void
never_waits(void)
{
	int      fd[2];
	unsigned n = 0;

	if (!T_CHECK(control_pair(fd)))
		return;
	while (n < 1000000 && control_send(fd[0], &(struct control_msg){ CONTROL_LEAVE, 1 }, -1))
		n++;
	T_CHECKF(n > 0 && n < 1000000, "%u orders in the queue", n);
	close(fd[0]);
	close(fd[1]);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(packs_and_unpacks);
	T_RUN(has_one_form);
	T_RUN(refuses_what_is_no_message);
	T_RUN(names_its_kinds);
	T_RUN(goes_over_a_pair);
	T_RUN(carries_a_descriptor);
	T_RUN(keeps_no_second_descriptor);
	T_RUN(tells_nonsense_from_the_end);
	T_RUN(tells_a_shortage);
	T_RUN(never_waits);
	return t_end();
}
