/*
 * plugind_own -- what the plugind*.c share; nobody else includes it.
 */
#ifndef PROXY_HOSTS_PLUGIND_OWN_H
#define PROXY_HOSTS_PLUGIND_OWN_H

#include <stdbool.h>
#include <stdint.h>

#include <libmilter/mfapi.h>

#define THREAD_SIZE (1ul << 20)         /* of a thread's stack */

enum { EXIT_GOOD = 0, EXIT_FAULT = 1, EXIT_USAGE = 2, EXIT_HANGS = 3, EXIT_FULL = 4 };

/* What the command line gives; of a process that serves it stays until the end. */
struct given {
	const char *name, *socket;
	int         channel, listening; /* -1: none */
	bool        check;
	const char *file;
	char      **args;               /* plugin_args(): the name, what the configuration says, NULL */
};

/* A thread that ends this process with its channel, or when callbacks hang: plugind_watch.c.  False: no thread. */
bool plugind_watch(struct given *g);

/* The plugin, loaded and registered: plugind_load.c.  NULL: it was said why. */
const struct smfiDesc *plugind_load(const struct given *g);

/* Called when libmilter has opened its socket, whether that is the master's: see room_begin. */
void plugind_serves(const struct given *g, bool masters);

/* To standard output: plugind_check.c.  The exit status. */
int plugind_describe(const struct smfiDesc *d);

/*
 * The address space of this process, looked at from room_begin on, when the plugin is loaded: plugind_room.c.  little:
 * seven eighths of what was free then are taken; none: all but a 32nd.  Any thread may call them, again and again.  serves:
 * the socket that others serve as well, -1 none.
 */
enum room { ROOM_ENOUGH, ROOM_LITTLE, ROOM_NONE };

void room_begin(int serves, void (*little)(void), void (*none)(void));
void room_look(void);
enum room room_of(uint64_t size, uint64_t at_first, uint64_t most);
/*
 * It is little, and so many sessions are open that it comes back with them: others had better wait.  Not
 * later: malloc takes 64 MiB at a time.
 */
bool room_is_crowded(uint64_t size, uint64_t at_first, uint64_t most, unsigned sessions);
/* No session is accepted any more, another process does; and how many are open, by the path of the socket. */
void room_hold(void);
bool room_held(void);
unsigned room_sessions(const char *socket_path);

/*
 * Threads that libmilter may have at once: plugind_turns.c.  Half of what was free when the plugin was loaded is for their
 * stacks, stack octets each, the other half for what they take in it.  refused: no thread can be made, for now.
 */
void turns_begin(uint64_t loaded, void (*refused)(void));
unsigned turns_most(uint64_t loaded, uint64_t most, uint64_t stack);
/* To those who wait for one and may have it by now. */
void turns_give(void);

#endif
