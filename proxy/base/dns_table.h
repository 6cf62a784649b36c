/*
 * dns_table -- a made-up DNS: what `test' blocks of a policy state, and the resolver of the simulated world.
 *
 * What is not stated is NXDOMAIN; a name with records of other types is NODATA, and so is a name above one that
 * is stated (an empty non-terminal, RFC 8020).  CNAMEs are followed, at most 16.
 */
#ifndef PROXY_BASE_DNS_TABLE_H
#define PROXY_BASE_DNS_TABLE_H

#include "proxy/base/dns.h"

struct dns_table;

struct dns_table *dns_table_new(struct arena *a);       /* all of it lives in a */
/*
 * One record, written as in a master file: type "A" "AAAA" "MX" "TXT" "PTR" "NS" "CNAME", value "192.0.2.1",
 * "10 mx.example.net", "the text" (any octets).  Type "SERVFAIL" or "TIMEOUT" without a value: that is the answer to
 * every question for the name.  A name may be *.example.org (RFC 4592).  False: *why says what is wrong.
 */
bool dns_table_add(struct dns_table *t, struct strv name, struct strv type, struct strv value, const char **why);
void dns_table_drop(struct dns_table *t, struct strv name);      /* forgets what was stated of that very name */
void dns_table_clear(struct dns_table *t);
/* The packet that answers; *timeout: nobody answers, and there is none. In a. */
struct strv dns_table_answer(struct dns_table *t, struct arena *a, const char *name, uint16_t type, bool *timeout);

#endif
