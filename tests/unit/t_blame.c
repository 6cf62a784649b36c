/*
 * t_blame -- the page that tells whose callback has ended a process: its ring, its size, and what a stranger writes there.
 */
#include "tests/unit/t.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proxy/base/blame.c"

static struct blame_id
id_of(unsigned n)
{
	char text[BLAME_ID + 1];

	return blame_id(text, (size_t)snprintf(text, sizeof(text), "session%u.1", n));
}

static void
ids(void)
{
	static const char long_one[] = "a23456789b23456789c234xy";
	struct blame_id   full = blame_id(long_one, BLAME_ID),
			less = blame_id(long_one, BLAME_ID - 1);

	T_CHECK(blame_nobody(blame_id("", 0)) && blame_nobody(blame_id(NULL, 0)));
	T_CHECK(blame_nobody(blame_id(long_one, BLAME_ID + 1)));
	T_CHECK(!blame_nobody(full) && memcmp(&full, &less, sizeof(full)) != 0);
	T_CHECK(memcmp(&full, long_one, BLAME_ID) == 0 && ((const char *)&full)[BLAME_ID] == '\0');
}

static void
the_last_of_a_ring_are_remembered(void)
{
	int           fd;
	struct blame *b = blame_new(&fd);

	if (!T_CHECK(b != NULL))
		return;
	T_CHECK(!blame_holds(b, 0, id_of(0)));
	blame_note(b, blame_id(NULL, 0));
	T_EQ_NUM(blame_count(b), 0);
	T_CHECK(!blame_holds(b, UINT32_MAX, blame_id(NULL, 0)));
	for (unsigned i = 0; i < BLAME_RING + 3; i++)
		blame_note(b, id_of(i));
	T_EQ_NUM(blame_count(b), BLAME_RING + 3);
	for (unsigned i = 0; i < BLAME_RING + 4; i++)
		T_EQ_NUM(blame_holds(b, 0, id_of(i)), i >= 3 && i < BLAME_RING + 3);
	/* What was noted before is not of this connection. */
	T_CHECK(!blame_holds(b, BLAME_RING + 3, id_of(BLAME_RING + 2)));
	T_CHECK(blame_holds(b, BLAME_RING + 2, id_of(BLAME_RING + 2)));
	T_CHECK(!blame_holds(b, BLAME_RING + 2, id_of(BLAME_RING + 1)));
	/* The count comes round. */
	atomic_store(&b->count, UINT32_MAX);
	blame_note(b, id_of(70));
	blame_note(b, id_of(71));
	T_CHECK(blame_holds(b, UINT32_MAX, id_of(70)) && blame_holds(b, UINT32_MAX, id_of(71)));
	T_CHECK(!blame_holds(b, 0, id_of(70)) && blame_holds(b, 0, id_of(71)));
	blame_free(b);
	close(fd);
}

static void
two_processes_see_one_page(void)
{
	int           fd;
	struct blame *b = blame_new(&fd), *theirs;

	if (!T_CHECK(b != NULL))
		return;
	theirs = blame_map(fd);
	if (!T_CHECK(theirs != NULL && theirs != b))
		return;
	blame_begin(theirs);
	blame_note(theirs, id_of(1));
	T_EQ_NUM(blame_processes(b), 1);
	T_CHECK(blame_holds(b, 0, id_of(1)));
	blame_free(theirs);
	T_CHECK(blame_holds(b, 0, id_of(1)));
	/* Who has the descriptor cannot make it end under a reader. */
	T_CHECK(ftruncate(fd, 0) != 0 && ftruncate(fd, 2 * PAGE) != 0);
	T_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) != 0);
	blame_free(b);
	close(fd);
}

static void
no_page(void)
{
	int fd = memfd_create("small", 0);

	T_CHECK(blame_map(-1) == NULL);
	T_CHECK(blame_map(fd) == NULL);
	blame_free(NULL);
	close(fd);
}

/* A plugin writes there what it likes: that may charge anybody, and is read nowhere else. */
static void
a_page_that_is_scribbled_on(void)
{
	static const unsigned char octets[] = { 0xff, 0x80, 0x7f, 0x01 };
	int                        fd;
	struct blame              *b = blame_new(&fd);

	if (!T_CHECK(b != NULL))
		return;
	for (size_t i = 0; i < T_COUNT(octets); i++) {
		memset((void *)b, octets[i], PAGE);
		T_CHECK(!blame_holds(b, 0, id_of(1)) && !blame_holds(b, 12345, id_of(1)));
		blame_note(b, id_of(1));
		T_CHECK(blame_holds(b, blame_count(b) - 1, id_of(1)));
		blame_begin(b);
	}
	blame_free(b);
	close(fd);
}

int
main(void)
{
	T_RUN(ids);
	T_RUN(the_last_of_a_ring_are_remembered);
	T_RUN(two_processes_see_one_page);
	T_RUN(no_page);
	T_RUN(a_page_that_is_scribbled_on);
	return t_end();
}
