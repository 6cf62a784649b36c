/*
 * keeper_full -- what is said of a plugin's process that comes near the limit of its memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proxy/keeper_host.h"

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
void
full_say(const struct host *h, struct world *w)
{
	struct rlimit r = { 0 };
	char          why[128], most[32] = "";

	if (prlimit(h->pid, RLIMIT_AS, NULL, &r) == 0 && r.rlim_cur != RLIM_INFINITY)
		snprintf(most, sizeof(most), ", of %lu at most", (unsigned long)(r.rlim_cur >> 20));
	snprintf(why, sizeof(why),
	    "the plugin takes %lu MiB of memory%s: new sessions have a new process",
	    size_of(h->pid) >> 20, most);
	host_say(h, w, "warning", "why", why);
}
