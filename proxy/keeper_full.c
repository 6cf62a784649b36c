/*
 * keeper_full -- a plugin's process that comes near the limit of its memory: when another one follows, and what is said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/base/world.h"
#include "proxy/keeper_host.h"

#define WAIT_MS  10000
#define WAIT_MAX 600000
#define GROWN_MS 60000 /* who was not full for so long leaks: another one is better */

uint64_t
full_wait(uint64_t last, uint64_t lived)
{
	if (last == 0 || lived >= GROWN_MS)
		return WAIT_MS;
	return last * 2 > WAIT_MAX ? WAIT_MAX : last * 2;
}

/* Octets of address space; 0: nobody can tell. */
static unsigned long
size_of(pid_t pid)
{
	char  path[64], size[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	(void)!fgets(size, sizeof(size), f);
	fclose(f);
	return strtoul(size, NULL, 10) * (unsigned long)sysconf(_SC_PAGESIZE);
}

/*
 * Whether that is a leak nobody knows: its sessions go on, and new ones have another process.  The limit of another
 * user's process is not everybody's to ask.
 */
static void
say(const struct host *h, struct world *w, const char *what)
{
	struct rlimit r = { 0 };
	char          why[192], most[32] = "";

	if (prlimit(h->pid, RLIMIT_AS, NULL, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
		snprintf(most, sizeof(most), ", of %lu at most", (unsigned long)(r.rlim_cur >> 20));
	snprintf(why, sizeof(why), "the plugin takes %lu MiB of memory%s%s", size_of(h->pid) >> 20,
	    most, what);
	host_say(h, w, "warning", "why", why);
}

void
full_hear(struct host *h, struct world *w)
{
	uint64_t now = w->now(w), lived = now - h->started;
	bool     first = h->full_wait == 0 || lived >= GROWN_MS;

	h->full = true;
	h->full_wait = full_wait(h->full_wait, lived);
	h->full_at = h->started + h->full_wait;
	if (first)
		h->low = false;
	if (first || lived >= h->full_wait)
		say(h, w, ": new sessions have a new process");
	else if (!h->low) {
		h->low = true;
		say(h, w, ", soon after each start: its limit is too low for it");
	}
}

uint64_t
full_next(const struct host *h, const struct host *old)
{
	return h->full && h->pid != 0 && old->pid == 0 ? h->full_at : UINT64_MAX;
}

void
full_ended(struct host *h, uint64_t now, bool none)
{
	if (none || (!h->full && now - h->started >= GROWN_MS))
		h->full_wait = 0;
}
