/*
 * script_own -- between the files that parse a scenario: script.c (words, sections), script_client.c,
 * script_up.c (servers), script_milter.c, script_dns.c and script_expect.c.
 */
#ifndef TESTS_SIM_SCRIPT_OWN_H
#define TESTS_SIM_SCRIPT_OWN_H

#include "tests/sim/script.h"

enum section { IN_NONE, IN_CONFIG, IN_FILE, IN_CLIENT, IN_UPSTREAM, IN_MILTER, IN_DNS, IN_EXPECT };

struct parser {
	struct script        *s;
	unsigned              line;
	enum section          in;
	bool                  other;            /* a named configuration is under way */
	struct buf            text;             /* config or file under way */
	struct client_script *c;
	unsigned              up;               /* the server under way: index of script.up */
	unsigned              repeat_from;      /* first step of `repeat` */
	uint64_t              repeat;           /* 0: none open */
};

/* The first mistake stays; why is static. */
void script_bad(struct parser *p, const char *why);
uint64_t script_number(struct parser *p, struct strv v);        /* 10K, 2M */
uint64_t script_duration(struct parser *p, struct strv v);      /* ms of 10s, 5m, 1h, 250ms */
/* "octets" at the start of *v; absent: it does not begin with a quote. */
struct strv script_quoted(struct parser *p, struct strv *v);
/* "octets" * 100 "more" */
struct strv script_octets(struct parser *p, struct strv v);

/* Cuts *v at the first `at' outside of quotes; behind the last part it is absent. */
struct strv script_cut(struct strv *v, char at);

void script_client_begin(struct parser *p, struct strv v);
void script_client_line(struct parser *p, struct strv v);
void script_up_begin(struct parser *p, struct strv v);
void script_up_line(struct parser *p, struct strv v);
void script_milter_begin(struct parser *p, struct strv v);
void script_milter_line(struct parser *p, struct strv v);
void script_dns_line(struct parser *p, struct strv v);
struct script_dns script_dns_record(struct parser *p, struct strv v);
void script_expect_line(struct parser *p, struct strv v);

#endif
