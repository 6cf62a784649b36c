/*
 * t_spool -- message text in memory and in a file: all of it, in order, counted, within its limits.
 */
#include "tests/unit/t.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/spool.h"
#include "proxy/base/world.h"

enum { CHUNK = 16 * 1024 };

static unsigned    files; /* how many were asked for */
static const char *dir_asked;
static int         give_fd; /* what the next one is: 0 a file, -1 none, else that descriptor */

static int
new_file(struct world *w, const char *dir)
{
	char path[] = "/tmp/t_spool.XXXXXX";
	int  fd;

	(void)w;
	files++;
	dir_asked = dir;
	if (give_fd != 0)
		return give_fd;
	fd = mkstemp(path);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static struct world world = { .spool = new_file };

/* The octet at place i of any text here. */
static char
octet(uint64_t i)
{
	return (char)(i * 31 + i / 251);
}

static char big[1 << 20];

static struct strv
text(uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		big[i] = octet(at + i);
	return strv(big, n);
}

/* Reads from `at` to the end and compares each octet. */
static bool
holds(const struct spool *s, uint64_t at)
{
	static char scratch[5000];

	for (struct strv v; at < spool_size(s); at += v.n) {
		v = spool_read(s, at, scratch, sizeof(scratch));
		if (v.p == NULL || v.n == 0)
			return false;
		for (size_t i = 0; i < v.n; i++)
			if (v.p[i] != octet(at + i))
				return false;
	}
	return spool_read(s, at, scratch, sizeof(scratch)).n == 0 &&
	    spool_read(s, at, scratch, sizeof(scratch)).p != NULL;
}

static bool
pieces_hold(const struct spool *s)
{
	struct iovec v[64];
	unsigned     n = spool_pieces(s, v, 64);
	uint64_t     at = 0;

	for (unsigned k = 0; k < n; k++)
		for (size_t i = 0; i < v[k].iov_len; i++, at++)
			if (((char *)v[k].iov_base)[i] != octet(at))
				return false;
	return at == spool_size(s) && n == spool_n_pieces(s);
}

static void
stays_in_memory(void)
{
	struct spool_pool *p = spool_pool_new(&world, "", 64 * 1024, 0);
	struct spool      *s = spool_new(p);
	struct iovec       v[2];
	char               scratch[1];

	files = 0;
	T_EQ_NUM(spool_read(s, 0, scratch, 1).n, 0);
	T_CHECK(pieces_hold(s));
	while (spool_size(s) < 64 * 1024) {
		T_CHECK(!spool_would_spill(s, 1024));
		T_EQ_NUM(spool_add(s, text(spool_size(s), 1024)), SPOOL_OK);
	}
	T_EQ_NUM(spool_add(s, SV("")), SPOOL_OK);
	T_CHECK(spool_in_memory(s) && spool_fd(s) == -1);
	T_EQ_NUM(spool_n_pieces(s), 4);
	T_EQ_NUM(spool_pieces(s, v, 2), 2);
	T_EQ_NUM(v[1].iov_len, CHUNK);
	T_CHECK(
	    pieces_hold(s) && holds(s, 0) && holds(s, 16383) && holds(s, 16384) && holds(s, 65535));
	T_CHECK(spool_would_spill(s, 1) && !spool_would_spill(s, 0));
	T_EQ_NUM(spool_pool_used(p), 64 * 1024);
	T_EQ_NUM(files, 0);
	spool_free(s);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
	spool_free(NULL);
}

static void
spills_to_a_file(void)
{
	struct spool_pool *p = spool_pool_new(&world, "/some/dir", 40000, 0);
	struct spool      *s = spool_new(p);
	struct stat        st;
	struct iovec       v[1];

	files = 0;
	T_EQ_NUM(spool_add(s, text(0, 40000)), SPOOL_OK);
	T_CHECK(spool_in_memory(s));
	T_EQ_NUM(spool_pool_used(p), 3 * CHUNK);
	T_EQ_NUM(spool_add(s, text(40000, 1)), SPOOL_OK);
	T_CHECK(!spool_in_memory(s) && spool_fd(s) >= 0);
	T_EQ_NUM(spool_pool_used(p), 40001);
	T_CHECK(spool_would_spill(s, 0));
	T_EQ_STR(dir_asked, "/some/dir");
	T_EQ_NUM(spool_add(s, text(40001, 500000)), SPOOL_OK);
	T_EQ_NUM(files, 1);
	T_EQ_NUM(spool_pieces(s, v, 1), 0);
	T_EQ_NUM(spool_n_pieces(s), 0);
	T_CHECK(fstat(spool_fd(s), &st) == 0 && st.st_size == 540001);
	T_CHECK(holds(s, 0) && holds(s, 39999) && holds(s, 540000) && holds(s, 540001));
	T_EQ_NUM(spool_pool_used(p), 540001);
	spool_free(s);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
}

/*
 * A first piece above the limit goes straight to the file; with no memory at all every piece
 * does.
 */
static void
spills_at_once(void)
{
	static const uint64_t memory[] = { 0, 1, 99 };

	T_TABLE(uint64_t, m, memory)
	{
		struct spool_pool *p = spool_pool_new(&world, "", *m, 0);
		struct spool      *s = spool_new(p);

		T_EQ_NUM(spool_add(s, text(0, 100)), SPOOL_OK);
		T_CHECK(!spool_in_memory(s));
		T_CHECK(holds(s, 0));
		spool_free(s);
		spool_pool_free(p);
	}
}

/* Many spools at once, pieces of all sizes, some freed and some cleared on the way. */
static void
many_at_random(void)
{
	enum { N = 40 };
	struct spool_pool *p = spool_pool_new(&world, "", 50000, 0);
	struct spool      *s[N] = { NULL };
	uint64_t           seed = 7;
	unsigned           spilled = 0;

	for (unsigned round = 0; round < 4000; round++) {
		unsigned i = (unsigned)(t_random(&seed) % N);
		unsigned dice = (unsigned)(t_random(&seed) % 20);
		size_t   n = t_random(&seed) % (dice == 0 ? 60000 : 3000);

		if (s[i] == NULL)
			s[i] = spool_new(p);
		T_EQ_NUM(spool_add(s[i], text(spool_size(s[i]), n)), SPOOL_OK);
		T_EQ_NUM(spool_in_memory(s[i]), spool_size(s[i]) <= 50000);
		spilled += !spool_in_memory(s[i]);
		if (dice < 3)
			T_CHECK(holds(s[i], t_random(&seed) % (spool_size(s[i]) + 1)));
		if (dice == 1)
			spool_clear(s[i]);
		if (dice == 2) {
			spool_free(s[i]);
			s[i] = NULL;
		}
	}
	for (unsigned i = 0; i < N; i++) {
		T_CHECK(s[i] == NULL || holds(s[i], 0));
		spool_free(s[i]);
	}
	T_CHECK(spilled > 50);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
}

static void
total_is_kept(void)
{
	struct spool_pool *p = spool_pool_new(&world, "", 32 * 1024, 100000);
	struct spool      *a = spool_new(p), *b = spool_new(p), *c = spool_new(p);

	T_EQ_NUM(spool_add(a, text(0, 60000)), SPOOL_OK); /* in a file: to the octet */
	T_EQ_NUM(spool_add(b, text(0, 1)), SPOOL_OK);     /* in memory: by the chunk */
	T_EQ_NUM(spool_pool_used(p), 60000 + CHUNK);
	T_EQ_NUM(spool_add(c, text(0, 1)), SPOOL_OK);
	T_EQ_NUM(spool_add(b, text(1, CHUNK)), SPOOL_FULL);
	T_EQ_NUM(spool_size(b), 1);
	T_EQ_NUM(spool_add(b, text(1, 1)), SPOOL_FULL); /* spoilt */
	T_EQ_NUM(spool_add(b, SV("")), SPOOL_FULL);
	T_EQ_NUM(spool_add(c, text(1, 100)), SPOOL_OK); /* the others are not */
	T_EQ_NUM(spool_add(a, text(60000, 100000 - 60000 - 2 * CHUNK)), SPOOL_OK);
	T_EQ_NUM(spool_pool_used(p), 100000);
	T_EQ_NUM(spool_add(a, text(0, 1)), SPOOL_FULL);
	spool_clear(b);
	T_EQ_NUM(spool_pool_used(p), 100000 - CHUNK);
	T_EQ_NUM(spool_add(b, text(0, 1)), SPOOL_OK);
	T_CHECK(holds(b, 0));
	spool_free(a);
	spool_free(b);
	spool_free(c);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
}

static void
faults_of_the_file(void)
{
	struct spool_pool *p = spool_pool_new(&world, "", 100, 0);
	struct spool      *s = spool_new(p);

	give_fd = -1; /* none to be had */
	T_EQ_NUM(spool_add(s, text(0, 100)), SPOOL_OK);
	T_EQ_NUM(spool_add(s, text(100, 1)), SPOOL_FAULT);
	T_EQ_NUM(spool_add(s, text(100, 1)), SPOOL_FAULT);
	T_EQ_NUM(spool_size(s), 100);
	T_EQ_NUM(spool_pool_used(p), CHUNK);
	spool_free(s);
	T_EQ_NUM(spool_pool_used(p), 0);

	s = spool_new(p);
	give_fd = open("/dev/full", O_RDWR); /* no space left on it */
	if (give_fd >= 0)
		T_EQ_NUM(spool_add(s, text(0, 101)), SPOOL_FULL);
	else
		T_SKIP("/dev/full");
	spool_free(s);

	s = spool_new(p);
	give_fd = open("/dev/null", O_RDONLY); /* cannot be written */
	T_EQ_NUM(spool_add(s, text(0, 101)), SPOOL_FAULT);
	give_fd = 0;
	spool_clear(s);
	T_EQ_NUM(spool_add(s, text(0, 101)), SPOOL_OK);
	T_CHECK(holds(s, 0));
	spool_free(s);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
}

/* Somebody cut the file behind our back: a fault, not the end of the text. */
static void
a_short_file_is_a_fault(void)
{
	struct spool_pool *p = spool_pool_new(&world, "", 10, 0);
	struct spool      *s = spool_new(p);
	char               scratch[100];

	T_EQ_NUM(spool_add(s, text(0, 1000)), SPOOL_OK);
	T_CHECK(ftruncate(spool_fd(s), 500) == 0);
	T_EQ_NUM(spool_read(s, 450, scratch, 100).n, 50);
	T_CHECK(spool_read(s, 500, scratch, 100).p == NULL);
	T_CHECK(spool_read(s, 1000, scratch, 100).p != NULL);
	spool_free(s);
	spool_pool_free(p);
}

static void
limit_files(rlim_t octets, struct rlimit *old)
{
	struct rlimit low;

	signal(SIGXFSZ, SIG_IGN);
	T_CHECK(getrlimit(RLIMIT_FSIZE, old) == 0);
	low = *old;
	low.rlim_cur = octets;
	T_CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
}

/* A short write, then an error, while memory goes to the file: what is in memory stays whole. */
static void
no_space_to_spill(void)
{
	struct spool_pool *p = spool_pool_new(&world, "", 100000, 0);
	struct spool      *s = spool_new(p);
	struct rlimit      old;

	T_EQ_NUM(spool_add(s, text(0, 100000)), SPOOL_OK);
	limit_files(70000, &old);
	T_EQ_NUM(spool_add(s, text(100000, 10)), SPOOL_FULL);
	T_CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	T_CHECK(spool_in_memory(s) && holds(s, 0));
	spool_free(s);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
}

/* The same while adding to the file: what got in of the piece that failed is not shown. */
static void
no_space_to_append(void)
{
	struct spool_pool *p = spool_pool_new(&world, "", 0, 0);
	struct spool      *s = spool_new(p);
	struct rlimit      old;
	char               scratch[600];

	T_EQ_NUM(spool_add(s, text(0, 1000)), SPOOL_OK);
	limit_files(1500, &old);
	T_EQ_NUM(spool_add(s, text(1000, 1000)), SPOOL_FULL);
	T_CHECK(setrlimit(RLIMIT_FSIZE, &old) == 0);
	T_EQ_NUM(spool_size(s), 1000);
	T_EQ_NUM(spool_read(s, 900, scratch, sizeof(scratch)).n, 100);
	T_CHECK(holds(s, 0));
	spool_free(s);
	T_EQ_NUM(spool_pool_used(p), 0);
	spool_pool_free(p);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(stays_in_memory);
	T_RUN(spills_to_a_file);
	T_RUN(spills_at_once);
	T_RUN(many_at_random);
	T_RUN(total_is_kept);
	T_RUN(faults_of_the_file);
	T_RUN(a_short_file_is_a_fault);
	T_RUN(no_space_to_spill);
	T_RUN(no_space_to_append);
	return t_end();
}
