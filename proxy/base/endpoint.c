/*
 * endpoint.c -- where to listen and whom to call: text, and the kernel's form, and back.
 *
 * An address with a port, or the path of a unix socket.  It stands apart from addr.c since it alone
 * knows ports, libmilter's ways of writing them, and sockaddrs; addresses alone and ranges of them
 * have neither.  The invariant: no text that is printed here is longer than ENDPOINT_TEXT, whatever
 * the path.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proxy/base/addr.h"
#include "proxy/base/arena.h"

/* ---- text ---- */

static bool
parse_port(struct strv v, struct endpoint *out, const char **why)
{
	uint64_t port;

	if (!strv_number(v, 65535, &port) || port == 0) {
		*why = "the port must be a number from 1 to 65535";
		return false;
	}
	out->port = (uint16_t)port;
	return true;
}

static bool
parse_host(struct strv v, struct endpoint *out, const char **why)
{
	bool bracketed = v.n >= 2 && v.p[0] == '[' && v.p[v.n - 1] == ']';

	if (bracketed)
		v = strv(v.p + 1, v.n - 2);
	/* Brackets hold IPv6 alone. */
	if (!addr_parse(v, &out->addr) || (bracketed && strv_chr(v, ':') == v.n)) {
		*why = "the host must be an IP address, IPv6 in brackets";
		return false;
	}
	return true;
}

static bool
parse_path(struct arena *a, struct strv v, struct endpoint *out, const char **why)
{
	if (v.n == 0 || v.p[0] != '/')
		*why = "the path of a unix socket must begin with `/'";
	else if (strv_chr(v, '\0') < v.n)
		*why = "the path of a unix socket must not hold a NUL";
	else if (v.n >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		*why = "the path of a unix socket may have at most 107 octets";
	else {
		out->addr = (struct addr){ .family = ADDR_UNIX };
		out->path = arena_z(a, v);
		return true;
	}
	return false;
}

static bool
parse_host_port(struct strv v, struct endpoint *out, const char **why)
{
	size_t      colon = strv_rchr(v, ':');
	struct strv host = strv_first(v, colon);

	if (colon == v.n || (v.p[0] == '[' && v.p[v.n - 1] == ']')) {
		*why = "a port must follow the address: `ADDR:PORT'";
		return false;
	}
	/* In 2001:db8::1:25 nobody can tell the port. */
	if (strv_chr(host, ':') < host.n && host.p[0] != '[') {
		*why = "an IPv6 address must stand in brackets: `[ADDR]:PORT'";
		return false;
	}
	return parse_host(host, out, why) && parse_port(strv_from(v, colon + 1), out, why);
}

bool
endpoint_parse(struct arena *a, struct strv v, struct endpoint *out, const char **why)
{
	struct endpoint e = { .path = NULL };
	bool            inet = strv_starts(v, SV("inet:")), inet6 = strv_starts(v, SV("inet6:"));
	bool            good;
	size_t          at;

	if (strv_starts(v, SV("unix:")))
		good = parse_path(a, strv_from(v, 5), &e, why);
	else if (strv_starts(v, SV("local:")))
		good = parse_path(a, strv_from(v, 6), &e, why);
	else {
		if (inet || inet6)
			v = strv_from(v, inet ? 5 : 6);
		at = strv_chr(v, '@');
		if ((inet || inet6) && at < v.n)
			good = parse_port(strv_first(v, at), &e, why) &&
			    parse_host(strv_from(v, at + 1), &e, why);
		else
			good = parse_host_port(v, &e, why);
	}
	if (good)
		*out = e;
	return good;
}

bool
endpoint_is_milters(struct strv v)
{
	return strv_starts(v, SV("inet:")) || strv_starts(v, SV("inet6:")) ||
	    strv_starts(v, SV("local:"));
}

static char *
put_text(char *p, struct strv v)
{
	if (v.n > 0)
		memcpy(p, v.p, v.n);
	return p + v.n;
}

static char *
put_number(char *p, unsigned number)
{
	char digits[STRV_NUMBER];

	return put_text(p, strv_print_number(number, digits));
}

struct strv
endpoint_print(const struct endpoint *e, char buf[ENDPOINT_TEXT])
{
	struct strv path = strv_z(e->path);
	char       *p = buf;

	if (e->addr.family == ADDR_UNIX) {
		p = put_text(p, SV("unix:"));
		p = put_text(
		    p, strv_first(path, path.n < ENDPOINT_TEXT - 6 ? path.n : ENDPOINT_TEXT - 6));
	} else {
		if (e->addr.family == ADDR_IP6)
			*p++ = '[';
		p += addr_print(&e->addr, p).n;
		if (e->addr.family == ADDR_IP6)
			*p++ = ']';
		*p++ = ':';
		p = put_number(p, e->port);
	}
	*p = '\0';
	return strv(buf, (size_t)(p - buf));
}

/* ---- the kernel's form ---- */

bool
endpoint_from_sockaddr(const struct sockaddr *sa, unsigned len, struct endpoint *out)
{
	struct sockaddr_in  in;
	struct sockaddr_in6 in6;

	*out = (struct endpoint){ .path = NULL };
	if (len < sizeof(sa->sa_family))
		return false;
	if (sa->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, sa, sizeof(in));
		addr_set_ip4(&out->addr, &in.sin_addr);
		out->port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		addr_set_ip6(&out->addr, &in6.sin6_addr);
		out->port = ntohs(in6.sin6_port);
	} else if (sa->sa_family == AF_UNIX) {
		out->addr.family = ADDR_UNIX;
		out->path = "";
	} else
		return false;
	return true;
}

static unsigned
to_sockaddr_un(const char *path, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)out;
	size_t              n = path == NULL ? 0 : strlen(path);

	if (n == 0 || n >= sizeof(un->sun_path))
		return 0;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, n + 1);
	return (unsigned)(offsetof(struct sockaddr_un, sun_path) + n + 1);
}

unsigned
endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
	struct sockaddr_in  *in = (struct sockaddr_in *)out;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

	memset(out, 0, sizeof(*out));
	switch (e->addr.family) {
	case ADDR_IP4:
		in->sin_family = AF_INET;
		in->sin_port = htons(e->port);
		memcpy(&in->sin_addr, e->addr.b, 4);
		return sizeof(*in);
	case ADDR_IP6:
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(e->port);
		memcpy(&in6->sin6_addr, e->addr.b, 16);
		return sizeof(*in6);
	case ADDR_UNIX:
		return to_sockaddr_un(e->path, out);
	default:
		return 0;
	}
}
