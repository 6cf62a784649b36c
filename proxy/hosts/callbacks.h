/*
 * callbacks -- what libmilter calls, in its threads: everything is copied and handed over a bridge, and what comes back
 * is said with smfi_*.
 */
#ifndef PROXY_HOSTS_CALLBACKS_H
#define PROXY_HOSTS_CALLBACKS_H

#include "proxy/hosts/visit.h"

struct callbacks_conf {                 /* read-only once smfi_main runs */
	struct bridge *bridge;
	struct visits *visits;
	bool           wants_data, wants_body;  /* else those steps are not asked for */
	size_t         header_max;      /* octets of a message's header that are kept */
	uint64_t       end_ms;          /* longest wait for the answer to the end of a message */
};

/* Tells libmilter of them; before smfi_main it may be told anew. False: it refuses. */
bool callbacks_register(const struct callbacks_conf *c);

#endif
