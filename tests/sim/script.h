/*
 * script -- a scenario's text as data.  The format is described at the head of player.c and in
 * tests/scenario/README.
 */
#ifndef TESTS_SIM_SCRIPT_H
#define TESTS_SIM_SCRIPT_H

#include "proxy/base/arena.h"
#include "proxy/base/strv.h"
#include "tests/sim/milter_sim.h"

enum step_op {
	STEP_SEND,                      /* octets */
	STEP_LINE,                      /* one reply line that matches */
	STEP_REPLY,                     /* a whole reply of that code */
	STEP_CLOSED, STEP_NOTHING, STEP_IGNORE,
	STEP_WAIT, STEP_WITHIN, STEP_ELAPSED,
	STEP_CLOSE, STEP_HALFCLOSE, STEP_RESET, STEP_CUT, STEP_DEAF, STEP_LISTEN, STEP_FLUSH,
	STEP_STARTTLS,
	STEP_SIGNAL, STEP_AWAIT,
	STEP_DRAIN, STEP_ABORT, STEP_DISK_FULL, STEP_DISK_FREE, STEP_DISK_UNREADABLE,
	STEP_NO_FIBERS, STEP_FIBERS,
	STEP_SERVER,                    /* text: its name; a: enum mailer_mode */
	STEP_OFFERS,                    /* text: its name; more: what it offers from now on */
	STEP_TLS_INFO, STEP_RENEGOTIATE,
	STEP_WRITE, STEP_REMOVE,        /* text: the path; more: the text */
	STEP_COPY,                      /* text, more: from, to */
	STEP_DNS,                       /* text, word, more: name, type, value from now on */
	STEP_RELOAD                     /* text: a name of `other', absent: as it is; a: it is to fail */
};

enum { TLS_RESUMES = 1, TLS_FAILS = 2 };        /* of STEP_STARTTLS, in b; a: enum wire_cert | version << 8; text: SNI */

struct step {
	enum step_op op;
	unsigned     line;              /* in the file */
	struct strv  text, more, word;
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

struct up_script {                      /* one server; sections of the same name are one */
	struct strv     name;
	struct endpoint at;
	unsigned        line;
	struct strv     offers;         /* absent: the server's own */
	struct strv     offers_in_tls;  /* absent: the same */
	bool            helo_only, lax, lmtp, proxy, auth_required, tls12;
	enum cert_kind  certificate;
	uint64_t        cut;
	struct rule    *rule;
	unsigned        n_rule, max_rule;
};

struct milter_on {                    /* one `on` line of a milter */
	struct strv         verb, pattern;      /* absent: any */
	uint64_t            first, last;        /* of the matching moments, from 1 */
	unsigned            conn;               /* of that connection alone; 0: any */
	struct milter_plan *plan;
	uint64_t            seen;
};

struct milter_script {
	struct strv         name;
	struct endpoint     at;
	uint32_t            version, actions, protocol; /* as struct sim_milter has them */
	struct strv         symlist;
	uint64_t            cut;
	bool                lax;
	struct milter_on *rule;
	unsigned            n_rule, max_rule;
};

enum check_op {
	CHECK_SERVER, CHECK_MILTER, CHECK_FAULT,
	CHECK_UPSTREAM, CHECK_NEXT, CHECK_NO_UPSTREAM, CHECK_TIMES, CHECK_CONNECTIONS,
	CHECK_LOG, CHECK_NO_LOG, CHECK_LOG_TIMES,
	CHECK_MESSAGES, CHECK_MESSAGE,
	CHECK_FROM, CHECK_RCPT, CHECK_RCPTS, CHECK_TEXT, CHECK_HAS, CHECK_LACKS, CHECK_OCTETS,
	CHECK_VIA,
	CHECK_DNS                       /* text: name; word: type; n: how often it was asked for */
};

struct check {
	enum check_op op;
	unsigned      line;
	struct strv   text, word;
	uint64_t      n;
};

struct script_file { struct strv path, text; };

enum script_dns_op { SCRIPT_DNS_RECORD, SCRIPT_DNS_DELAY, SCRIPT_DNS_KEEP };

struct script_dns {                     /* one line of `dns` */
	enum script_dns_op op;
	unsigned           line;
	struct strv        name, type, value;
	uint64_t           ms;
};

struct script {
	struct arena         *a;
	struct strv           path, title;
	struct strv           config;
	struct script_file   *other;            /* `config NAME': for reload. path: the name */
	unsigned              n_other, max_other;
	struct script_file   *file;
	unsigned              n_file, max_file;
	struct client_script *client;
	unsigned              n_client, max_client;
	struct up_script     *up;               /* at least one */
	unsigned              n_up, max_up;
	struct milter_script *milter;
	unsigned              n_milter, max_milter;
	struct script_dns    *dns;
	unsigned              n_dns, max_dns;
	uint64_t              sndbuf;
	struct check         *check;
	unsigned              n_check, max_check;
	/* the first mistake */
	unsigned              bad_line;
	const char           *bad;              /* NULL: none */
};

/* Everything lives in a. Look at ->bad. */
struct script *script_parse(struct arena *a, struct strv path, struct strv text);

#endif
