/*
 * explain -- what explain.c and explain_checks.c share: a line that is put together and told.
 */
#ifndef POLICY_EXPLAIN_H
#define POLICY_EXPLAIN_H

#include "policy/rules.h"
#include "proxy/base/buf.h"

#define LINE_OCTETS 4000

struct teller {
	const struct policy *p;
	struct arena        *a;
	struct buf           b;         /* the line so far */
	void (*emit)(struct strv line, void *arg);
	void *arg;
};

void explain_line(struct teller *t);            /* tells it, and begins the next */
void explain_checks(struct teller *t);          /* nothing where there are none */

#endif
