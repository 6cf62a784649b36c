/*
 * limits -- the numbers of `limits { }`; proxy/settings.c fills them in, all with these defaults.
 */
#ifndef PROXY_SMTP_LIMITS_H
#define PROXY_SMTP_LIMITS_H

#include <stdint.h>

/* unit: n a count, b octets (SIZE), s seconds (DURATION, kept in ms) */
/*        field                keyword                default           unit, what it is */
#define LIMITS(X) \
	X(message_size,        "message-size",        25u << 20,        b, "octets of a message, told as SIZE") \
	X(recipients,          "recipients",          1000,             n, "recipients of a message (at least 100)") \
	X(errors,              "errors",              20,               n, "errors of a session, then 421") \
	X(transactions,        "transactions",        1000,             n, "messages of a session, then 421") \
	X(command_timeout,     "command-timeout",     300000,           s, "longest silence of a client") \
	X(data_total,          "data-total",          1800000,          s, "longest time for the text of a message") \
	X(min_data_rate,       "min-data-rate",       500,              n, "octets a second that extend the deadline of text") \
	X(sessions,            "sessions",            10000,            n, "sessions at once, all workers") \
	X(sessions_per_client, "sessions-per-client", 100,              n, "sessions at once of one address (or IPv6 /64)") \
	X(received_hops,       "received-hops",       50,               n, "Received fields of a message, more is a loop") \
	X(header_size,         "header-size",         1u << 20,         b, "octets of a message's header") \
	X(line,                "line",                0,                b, "octets of a text line, 0: any") \
	X(spool_total,         "spool-total",         1u << 30,         b, "octets of all messages in hand, all workers") \
	X(auth_failures,       "auth-failures",       10,               n, "failures of AUTH of one address (or IPv6 /64) in an hour, all workers, then 421") \
	X(auth_delay,          "auth-delay",          1000,             s, "wait before a failure of AUTH is told; each one doubles it, up to 16 times") \
	X(junk,                "junk-commands",       100,              n, "NOOP, RSET, VRFY ... between messages, then errors") \
	X(greeting_wait,       "greeting-wait",       5000,             s, "longest wait for an upstream before the greeting") \
	X(proxy_header_wait,   "proxy-header-wait",   5000,             s, "longest wait for a PROXY header")

struct limits {
#define X(field, word, value, unit, about) uint64_t field;
	LIMITS(X)
#undef X
};

#endif
