/*
 * keycheck -- `check --dns': do the keys that we sign with and the records that others verify with agree?
 */
#ifndef PROXY_KEYCHECK_H
#define PROXY_KEYCHECK_H

#include "proxy/base/dns.h"
#include "proxy/settings.h"

struct crypt_key;
struct loop;

/*
 * What is wrong with the answer to the question for a key's TXT record, in words; absent: it is that of the key, and
 * verifiers will take it.  In a, or static.  Pure.
 */
struct strv keycheck_fault(struct arena *a, const struct crypt_key *key, enum dns_rc rc, const struct dns_answer *txt);

/*
 * keycheck_run -- asks for the record of every key of `sign' and `seal', and tells one line for each name
 *
 *   w   the loop's; its DNS must be there
 *
 * Some side by side, all in bounded time.  How many do not agree, or could not be had.
 */
unsigned keycheck_run(const struct settings *s, struct loop *loop, void (*emit)(struct strv line, void *arg),
    void *arg);

#endif
