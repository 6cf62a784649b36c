/*
 * milter_dial -- where a milter listens, as it is written, and a connection to there.
 *
 * Apart from what is said on that connection (milter_socket.c): a place is read when a configuration is, and before
 * somebody has picked up, other things can go wrong than behind it.  The invariant: no name is looked up.
 */
#include "filters/milter_socket_own.h"
#include "proxy/base/arena.h"

/* --- where it is ------------------------------------------------------------------------------ */

/* Libmilter's words, and what localhost is behind them: each is of one family, so no name need be looked up. */
static const struct {
	const char *scheme, *localhost;
} schemes[] = {
	{ "unix:", NULL },
	{ "local:", NULL },
	{ "inet:", "127.0.0.1" },
	{ "inet6:", "[::1]" },
};

/* HOST:PORT or PORT@HOST with the address of localhost in place of its name. */
static struct strv
with_address(struct arena *a, struct strv v, struct strv address)
{
	size_t      at = strv_chr(v, '@'), colon = strv_rchr(v, ':');
	bool        libmilter = at < v.n;
	struct strv host = libmilter ? strv_from(v, at + 1) : strv_first(v, colon);

	if (!strv_ieq(host, SV("localhost")))
		return v;
	if (libmilter)
		return arena_concat(a, strv_first(v, at + 1), address);
	return arena_concat(a, address, strv_from(v, colon));
}

/* Behind the word in front it is written as any other place is, once localhost has an address. */
bool
milter_socket_parse(struct arena *a, struct strv text, struct endpoint *out, const char **why)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		struct strv scheme = strv_z(schemes[i].scheme), rest;

		if (!strv_starts(text, scheme))
			continue;
		rest = strv_from(text, scheme.n);
		if (schemes[i].localhost != NULL)
			rest = with_address(a, rest, strv_z(schemes[i].localhost));
		return endpoint_parse(a, arena_concat(a, scheme, rest), out, why);
	}
	*why = NULL;
	return false;
}

/* --- a connection ----------------------------------------------------------------------------- */

/*
 * Whoever cannot be reached is AWAY, never GONE: who is gone may be told once more on another connection
 * (milter_fail.c), who is away has failed, and is tried again with the next transaction.
 */
MAY_YIELD enum milter_rc
milter_socket_dial(struct conn *io, const struct endpoint *at, uint64_t until, const char **why)
{
	/* Nobody is called back: this fiber waits. */
	if (!conn_dial(io, fiber_loop(), at, NULL, NULL, why))
		return MILTER_AWAY;
	switch (conn_connected(io, until)) {
	case WAIT_OK:
		return MILTER_OK;
	case WAIT_TIMEOUT:
		*why = "no connection in time";
		return MILTER_LATE;
	case WAIT_CLOSED:
		*why = "the connection was refused";
		return MILTER_AWAY;
	default:
		*why = "cancelled";
		return MILTER_CANCELLED;
	}
}
