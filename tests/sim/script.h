/*
 * script -- a scenario's text as data.  The format is described at the head of player.c and in
 * tests/scenario/README.
 */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "proxy/base/arena.h"
#include "proxy/base/strv.h"
#include "tests/sim/mailer.h"

enum step_op {
	STEP_SEND,                      /* octets */
	STEP_LINE,                      /* one reply line that matches */
	STEP_REPLY,                     /* a whole reply of that code */
	STEP_CLOSED, STEP_NOTHING, STEP_IGNORE,
	STEP_WAIT, STEP_WITHIN, STEP_ELAPSED,
	STEP_CLOSE, STEP_HALFCLOSE, STEP_RESET, STEP_CUT, STEP_DEAF, STEP_LISTEN, STEP_FLUSH,
	STEP_STARTTLS,
	STEP_SIGNAL, STEP_AWAIT,
	STEP_DRAIN, STEP_ABORT, STEP_DISK_FULL, STEP_DISK_FREE
};

struct step {
	enum step_op op;
	unsigned     line;              /* in the file */
	struct strv  text;
	uint64_t     a, b;
};

struct client_script {
	struct strv     name;
	struct endpoint from;
	struct strv     to;             /* a listener's name; absent: the first */
	struct step    *step;
	unsigned        n, max;
	unsigned        line;
};

struct rule {                           /* one `on` line of an upstream */
	unsigned         line;
	enum up_stage    stage;
	struct strv      verb, pattern; /* absent: any */
	uint64_t         first, last;   /* of the matching moments, from 1 */
	uint64_t         at;            /* octets of text */
	struct up_answer answer;
	uint64_t         seen;
};

enum check_op {
	CHECK_UPSTREAM, CHECK_NEXT, CHECK_NO_UPSTREAM, CHECK_TIMES, CHECK_CONNECTIONS,
	CHECK_LOG, CHECK_NO_LOG, CHECK_LOG_TIMES,
	CHECK_MESSAGES, CHECK_MESSAGE,
	CHECK_FROM, CHECK_RCPT, CHECK_RCPTS, CHECK_TEXT, CHECK_HAS, CHECK_LACKS, CHECK_OCTETS,
	CHECK_VIA
};

struct check {
	enum check_op op;
	unsigned      line;
	struct strv   text;
	uint64_t      n;
};

struct script_file { struct strv path, text; };

struct script {
	struct arena         *a;
	struct strv           path, title;
	struct strv           config;
	struct script_file   *file;
	unsigned              n_file, max_file;
	struct client_script *client;
	unsigned              n_client, max_client;
	struct strv           offers;           /* absent: the server's own */
	bool                  helo_only, lax;
	uint64_t              up_cut, sndbuf;
	struct rule          *rule;
	unsigned              n_rule, max_rule;
	struct check         *check;
	unsigned              n_check, max_check;
	/* the first mistake */
	unsigned              bad_line;
	const char           *bad;              /* NULL: none */
};

/* Everything lives in a. Look at ->bad. */
struct script *script_parse(struct arena *a, struct strv path, struct strv text);

#endif
