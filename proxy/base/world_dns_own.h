/*
 * world_dns_own -- between those who ask libunbound and what it runs on; nobody else includes it.
 */
#ifndef PROXY_BASE_WORLD_DNS_OWN_H
#define PROXY_BASE_WORLD_DNS_OWN_H

struct loop;
struct ub_event_base;

/*
 * The event base of the one context that a process has, for ub_ctx_create_ub_event: what the library watches and waits
 * for is called from l, never from a fiber.  Nothing to free; valid until the next call, and l outlives the context.
 */
struct ub_event_base *world_dns_events(struct loop *l);

#endif
