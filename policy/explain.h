/*
 * explain -- what explain.c and explain_*.c share: a line that is put together and told.
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
/* A line with what the condition asks, in that order, and what it costs. */
void explain_asks(struct teller *t, const struct rule *when);
/* May it come to nothing, because a look-up fails or a search is too long? */
bool explain_can_be_unknown(const struct policy *p, const struct rule *when);

#endif
