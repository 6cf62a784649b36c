/*
 * testblocks -- the `test` blocks of a configuration as they are written, for who plays them (proxy/trial.c).
 */
#ifndef POLICY_TESTBLOCKS_H
#define POLICY_TESTBLOCKS_H

#include "policy/policy.h"

#define TEST_ARGS 3                     /* dns NAME TYPE VALUE */

struct test_block_step {
	struct strv       word;         /* client listener helo auth mail rcpt message time tls dns expect */
	struct pos        pos;          /* of that word */
	struct conf_value arg[TEST_ARGS];       /* expect: CODE and perhaps XCODE; tls: none */
	unsigned          n;
	struct conf_value by;           /* expect ... by NAME; else its text is absent */
};

struct test_block {
	struct strv             name;   /* what it shows */
	struct pos              pos;    /* of the name */
	struct test_block_step *step;
	unsigned                n;
};

/* All of them in file order; *n of them.  In a; texts are the configuration's. */
struct test_block *testblocks_list(const struct conf *c, struct arena *a, unsigned *n);
/*
 * The strings that some call of one of these facts has as its first argument, anywhere in checks and in the gate:
 * the zones of rhsbl("zone", X).  Each may come more than once.  In a.
 */
struct strv *testblocks_zones(const struct conf *c, struct arena *a, struct strv fact, unsigned *n);

#endif
