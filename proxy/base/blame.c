/*
 * blame -- see the header.
 *
 * The invariant: nothing that is read from the page is an index before it was cut to the ring, nor a length, nor a
 * pointer.  It never shrinks under a reader (SIGBUS): its size is sealed before anybody else has it.
 */
#include "proxy/base/blame.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

struct blame {
	_Atomic uint32_t   processes, count;
	struct blame_place ring[BLAME_RING];
};

_Static_assert(sizeof(struct blame) <= PAGE, "one page");
_Static_assert(sizeof(struct blame_id) == BLAME_ID + 1, "a NUL behind it");

/* ---- ids ------------------------------------------------------------------------------------- */

struct blame_id
blame_id(const char *text, size_t n)
{
	struct blame_id id = { { 0 } };

	if (n > 0 && n <= BLAME_ID)
		memcpy(id.w, text, n);
	return id;
}

bool
blame_nobody(struct blame_id id)
{
	return (id.w[0] | id.w[1] | id.w[2]) == 0;
}

void
blame_put(struct blame_place *at, struct blame_id id)
{
	for (unsigned i = 0; i < 3; i++)
		atomic_store(&at->w[i], id.w[i]);
}

struct blame_id
blame_get(const struct blame_place *at)
{
	struct blame_id id;

	for (unsigned i = 0; i < 3; i++)
		id.w[i] = atomic_load(&at->w[i]);
	return id;
}

/* ---- the page -------------------------------------------------------------------------------- */

struct blame *
blame_map(int fd)
{
	struct stat st;
	void       *p;

	if (fstat(fd, &st) != 0 || st.st_size != PAGE)
		return NULL;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

struct blame *
blame_new(int *fd)
{
	struct blame *b = NULL;

	*fd = memfd_create("postern-blame", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd >= 0 && ftruncate(*fd, PAGE) == 0 &&
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0)
		b = blame_map(*fd);
	if (b != NULL)
		return b;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return NULL;
}

void
blame_free(struct blame *b)
{
	if (b != NULL)
		(void)munmap(b, PAGE);
}

/* ---- who is to blame ------------------------------------------------------------------------- */

uint32_t
blame_count(const struct blame *b)
{
	return atomic_load(&b->count);
}

void
blame_note(struct blame *b, struct blame_id id)
{
	if (!blame_nobody(id))
		blame_put(&b->ring[atomic_fetch_add(&b->count, 1) % BLAME_RING], id);
}

bool
blame_holds(const struct blame *b, uint32_t since, struct blame_id id)
{
	uint32_t count = blame_count(b), n = count - since;

	if (blame_nobody(id))
		return false;
	for (uint32_t i = 1; i <= n && i <= BLAME_RING; i++) {
		struct blame_id at = blame_get(&b->ring[(count - i) % BLAME_RING]);

		if (memcmp(&at, &id, sizeof(id)) == 0)
			return true;
	}
	return false;
}

void
blame_begin(struct blame *b)
{
	atomic_fetch_add(&b->processes, 1);
}

uint32_t
blame_processes(const struct blame *b)
{
	return atomic_load(&b->processes);
}
