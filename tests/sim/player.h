/*
 * player -- plays one scenario: builds its world, lets the actors act, checks what was expected.
 */
#ifndef TESTS_SIM_PLAYER_H
#define TESTS_SIM_PLAYER_H

#include "tests/sim/house.h"
#include "tests/sim/script.h"

struct play {
	struct sim      *sim;
	struct house     house;
	struct mailer  **up;            /* one for each of script->up */
	struct sim_milter **milter;     /* one for each of script->milter */
	struct script   *script;
	void            *session;       /* of TLS, that some client may resume; NULL: none */
	struct strv     *signals;
	unsigned         n_signals, max_signals;
	unsigned         playing;       /* clients that are not done */
	bool             failed;
};

/* Says what is wrong, with the scenario's line; the first is the one that matters. */
void play_fail(struct play *p, unsigned line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void play_signal(struct play *p, struct strv name);
/* NULL: there is none of that name. */
struct mailer *play_server(const struct play *p, struct strv name);
struct sim_milter *play_milter(const struct play *p, struct strv name);
bool play_signalled(const struct play *p, struct strv name);

/* client.c: one actor that follows its script. */
void client_start(struct play *p, const struct client_script *c);

/* checks.c: what stands in `expect`. */
void play_check(struct play *p);

/* Plays the file's text; true: all is as expected. Else, or if `verbose`, the story is printed. */
bool play(struct strv path, struct strv text, enum house_mode mode, bool verbose);

#endif
