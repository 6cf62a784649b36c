/*
 * nameset -- a set of names: domains ("a.example", ".a.example" for every sub-domain) or mail addresses
 * ("user@d", "@d", "<>").  Open addressing with a keyed hash, since strangers choose what is looked up;
 * built once, then only read.
 */
#ifndef PROXY_BASE_NAMESET_H
#define PROXY_BASE_NAMESET_H

#include "proxy/base/hash.h"
#include "proxy/base/strv.h"

struct nameset;

struct nameset *nameset_new(const struct hash_key *key);
/* Copies v folded to lower case. Adding twice is harmless. */
void nameset_add(struct nameset *s, struct strv v);
bool nameset_has(const struct nameset *s, struct strv v);       /* exactly this name, ASCII case folded */
/* The name itself, or ".parent" of it for any parent: "x.a.example" is found by ".a.example", not by "a.example". */
bool nameset_has_domain(const struct nameset *s, struct strv domain);
/*
 * "local@domain" whole, then "@domain"; where the local part holds '+', also without what follows it.
 * An empty domain: the local part alone ("postmaster"), and "<>" where both are empty.
 */
bool nameset_has_address(const struct nameset *s, struct strv local, struct strv domain);
size_t nameset_count(const struct nameset *s);
/* i-th member in the order of adding, i < nameset_count. */
struct strv nameset_at(const struct nameset *s, size_t i);
void nameset_free(struct nameset *s);

#endif
