/*
 * sockets -- the listening sockets of all places, kept over reloads; and the message to systemd.
 *
 * The invariant: a socket is only closed when its address is no longer in the configuration.
 */
#include "proxy/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/base/arena.h"

#define BACKLOG 4096 /* the system may have a lower ceiling: net.core.somaxconn */

static bool
same(const struct endpoint *x, const struct endpoint *y)
{
	return x->port == y->port && addr_eq(&x->addr, &y->addr);
}

static bool
is_wildcard(const struct addr *a)
{
	static const struct addr none;

	return memcmp(a->b, none.b, sizeof(a->b)) == 0;
}

static bool
set(int fd, int level, int option)
{
	int one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one)) == 0;
}

/* A bound socket, or -1 with errno. `shared`: a member of the address' group, else only to see whether it is free. */
static int
bound(const struct endpoint *at, bool shared)
{
	struct sockaddr_storage ss;
	unsigned                len = endpoint_to_sockaddr(at, &ss);
	int                     family = at->addr.family == ADDR_IP6 ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), saved;

	if (fd < 0)
		return -1;
	/* Accepted sockets inherit TCP_NODELAY, so that it costs no system call for each of them. */
	if (set(fd, SOL_SOCKET, SO_REUSEADDR) && (!shared || set(fd, SOL_SOCKET, SO_REUSEPORT)) &&
	    (family != AF_INET6 || set(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
	    set(fd, IPPROTO_TCP, TCP_NODELAY) && bind(fd, (struct sockaddr *)&ss, len) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * In a group anyone of the same user may bind beside us: a second Postern by mistake would silently
 * take half of the clients.  So each new address is first bound alone.  0, or errno.
 */
static int
probe(const struct sockets *s, const struct endpoint *at)
{
	int fd = bound(at, false);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	/* 0.0.0.0:25 and 127.0.0.1:25 stand in each other's way here, and yet both may be ours. */
	for (unsigned i = 0; errno == EADDRINUSE && i < s->n; i++)
		if (s->at[i].port == at->port && s->at[i].addr.family == at->addr.family &&
		    (is_wildcard(&s->at[i].addr) || is_wildcard(&at->addr)))
			return 0;
	return errno;
}

static const char *
bind_hint(int error)
{
	switch (error) {
	case EADDRINUSE:
		return "another program listens there";
	case EACCES:
		return "ports below 1024 are for root";
	case EADDRNOTAVAIL:
		return "no interface of this machine has that address";
	default:
		return strerror(error);
	}
}

static int
kept(const struct sockets *s, const struct endpoint *at, unsigned place)
{
	for (unsigned i = 0; place < s->places && i < s->n; i++)
		if (same(&s->at[i], at))
			return s->fd[i * s->places + place];
	return -1;
}

/*
 * 0 or errno.  One more place of an address that is served does not listen yet: it would have a share of the clients
 * while the worker for it is still being born.  Who adopts it listens (acceptor.c).
 */
static int
open_place(const struct sockets *old, struct sockets *new, unsigned i, unsigned place)
{
	int *fd = &new->fd[i * new->places + place];

	*fd = kept(old, &new->at[i], place);
	if (*fd >= 0)
		return 0;
	*fd = bound(&new->at[i], true);
	if (*fd >= 0 && (kept(old, &new->at[i], 0) >= 0 || listen(*fd, BACKLOG) == 0))
		return 0;
	return errno;
}

static bool
has(const struct sockets *s, int fd)
{
	for (unsigned i = 0; i < s->n * s->places; i++)
		if (s->fd[i] == fd)
			return true;
	return false;
}

/* Closes what is in s and not in stays, and forgets s. */
static void
close_but(struct sockets *s, const struct sockets *stays)
{
	for (unsigned i = 0; i < s->n * s->places; i++)
		if (s->fd[i] >= 0 && !has(stays, s->fd[i]))
			close(s->fd[i]);
	mem_free(s->at);
	mem_free(s->fd);
	*s = (struct sockets){ 0 };
}

static int
open_all(const struct sockets *old, struct sockets *new, unsigned *failed)
{
	int error = 0;

	/* All are looked at before any is opened: see probe(). */
	for (*failed = 0; *failed < new->n; ++*failed)
		if (kept(old, &new->at[*failed], 0) < 0 &&
		    (error = probe(old, &new->at[*failed])) != 0)
			return error;
	for (*failed = 0; *failed < new->n; ++*failed)
		for (unsigned place = 0; place < new->places; place++)
			if ((error = open_place(old, new, *failed, place)) != 0)
				return error;
	return 0;
}

void
sockets_listen(int fd)
{
	(void)listen(fd, BACKLOG);
}

bool
sockets_open(struct sockets *s, const struct endpoint *at, unsigned n, unsigned places,
    struct arena *a, unsigned *failed, struct strv *why)
{
	struct sockets new = { .n = n, .places = places > s->places ? places : s->places };
	unsigned i;
	int      error;

	new.at = mem_array(n, sizeof(*new.at));
	new.fd = mem_array((size_t)n * new.places, sizeof(*new.fd));
	for (i = 0; i < n; i++)
		new.at[i] = at[i];
	for (i = 0; i < n * new.places; i++)
		new.fd[i] = -1;
	error = open_all(s, &new, failed);
	if (error != 0) {
		*why = arena_dup(a, strv_z(bind_hint(error)));
		close_but(&new, s);
		return false;
	}
	close_but(s, &new);
	*s = new;
	return true;
}

void
sockets_close(struct sockets *s)
{
	static const struct sockets none;

	close_but(s, &none);
}

/* sd_notify(3): a datagram to a unix socket; "@" at the start of its name is that of the abstract ones. */
void
notify_send(const char *text)
{
	const char        *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t             n = path == NULL ? 0 : strlen(path);
	int                fd;

	if (n < 2 || n >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, n);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Nobody there is not our fault, and nothing that we could mend. */
	(void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	close(fd);
}
