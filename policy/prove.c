/*
 * prove -- what can be proved of a policy before it decides about a single message.
 *
 * All of it is offline and bounded: each proof has a number of questions that it may ask, and says so
 * where they did not do.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"

#define CHUNK 65536

void
policy_prove(const struct policy *p, struct arena *a, struct diags *d)
{
	struct prover x = { .p = p, .keep = a, .d = d };

	x.a = arena_new(CHUNK, 0);
	x.inner = arena_new(CHUNK, 0);
	x.scratch = arena_new(CHUNK, 0);
	prove_relay(&x);
	arena_reset(x.a);
	prove_accept(&x);
	arena_reset(x.a);
	prove_checks(&x);
	arena_free(x.scratch);
	arena_free(x.inner);
	arena_free(x.a);
}
