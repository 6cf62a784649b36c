/*
 * trial_steps -- the steps of one `test` block.  For trial.c alone.
 */
#ifndef PROXY_TRIAL_STEPS_H
#define PROXY_TRIAL_STEPS_H

#include "policy/testblocks.h"
#include "proxy/trial_session.h"
#include "proxy/trial_world.h"

/* What the last `expect`s may speak of; a command is played when it is needed, so that the order of steps is free. */
enum trial_command { COMMAND_NONE, COMMAND_CONNECT, COMMAND_HELO, COMMAND_TLS, COMMAND_AUTH, COMMAND_MAIL,
	COMMAND_RCPT, COMMAND_MESSAGE };

struct trial_seen {                     /* a check as it was looked at, kept as text */
	struct strv        check, facts;
	enum stage         at;
	enum look_came     came;
	bool               warn;
	struct trial_seen *before;
};

struct trial {
	const struct test_block *b;
	const struct settings   *s;
	struct arena            *a;     /* of this test */
	struct diags            *d;
	struct trial_world       world;
	struct trial_house       house;
	struct trial_session    *session;       /* NULL: nobody is connected */
	struct arena            *session_a;
	/* what is stated */
	const struct listener   *listener;
	struct addr              client;
	struct strv              helo, user, mail;      /* absent: not stated in this session */
	bool                     tls;
	bool                     said_helo, said_tls, said_user, said_mail;     /* as stated: nothing is pending */
	/* what was heard */
	enum trial_command       command;
	struct strv              command_text;  /* "RCPT TO:<a@b>" */
	bool                     heard; /* answer is that of command */
	struct trial_answer      answer;
	struct trial_seen       *seen;  /* the latest first */
	unsigned                 expects;
	bool                     timed; /* something was played: time goes forward only */
	bool                     ended; /* set when all is over */
};

/* Plays all steps: the function of a fiber, arg is a struct trial.  Mistakes and what was not met go to d. */
MAY_YIELD void trial_play(void *arg);
/* For trial_house.look. */
void trial_saw(void *arg, const struct look *l);

#endif
