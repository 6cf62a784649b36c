/*
 * flood -- clients of whom many connections are refused at their start: the log has the first few, and how many more.
 *
 * One a worker.  A client is what a limit counts: an address, or an IPv6 /64.  What is counted elsewhere stays exact: this
 * is for the log alone.
 */
#ifndef PROXY_SMTP_FLOOD_H
#define PROXY_SMTP_FLOOD_H

#include "proxy/base/addr.h"

#define FLOOD_CLIENTS 16                /* of so many at once; connections of others are told as they come */
#define FLOOD_TOLD    5                 /* connections of one client within FLOOD_MS, each in lines of its own */
#define FLOOD_MS      5000

struct flood;
struct loop;

/* Lines go to the world of l, as the worker `worker'. */
struct flood *flood_new(struct loop *l, unsigned worker);
/* What is counted is told, and no timer runs any more. NULL does no harm. */
void flood_free(struct flood *f);
/* Has so much been told of that client that one more refusal would only be counted? f may be NULL: no. */
bool flood_is(const struct flood *f, uint64_t client);
/*
 * A connection was refused at its start
 *
 *   client  a hash: under what it is counted
 *   addr    its address, for the log
 *   by      which rule or limit; copied, and cut where it is long
 *
 * False: it is only counted, and is in the one line that comes when the client's time is over.  f may be NULL: true.
 */
bool flood_tells(struct flood *f, uint64_t client, const struct addr *addr, struct strv by);

#endif
