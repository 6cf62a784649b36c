/*
 * t_counters -- numbers shared by processes: summed over places, bounded per client.
 */
#include "tests/unit/t.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/counters.h"

static void
sums_places(void)
{
	struct counters *c = counters_new(3);

	counters_add(c, 0, COUNTER_SESSIONS, 5);
	counters_add(c, 2, COUNTER_SESSIONS, 7);
	counters_add(c, 1, COUNTER_SESSIONS_OPEN, 2);
	counters_add(c, 1, COUNTER_SESSIONS_OPEN, -1);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS), 12);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS_OPEN), 1);
	T_EQ_NUM(counters_sum(c, COUNTER_ACCEPTED), 0);
	counters_clear_place(c, 2, COUNTER_SESSIONS);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS), 5);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS_OPEN), 1);
	counters_free(c);
	counters_free(NULL);
}

/* What one place counts up and another down is still the right sum. */
static void
sums_over_negative_columns(void)
{
	struct counters *c = counters_new(2);

	counters_add(c, 0, COUNTER_UPSTREAM_OPEN, 3);
	counters_add(c, 1, COUNTER_UPSTREAM_OPEN, -1);
	T_EQ_NUM(counters_sum(c, COUNTER_UPSTREAM_OPEN), 2);
	counters_free(c);
}

/* A worker that went astray writes where it likes; the head stands a page before the first column. */
static void
scribble(struct counters *c, int octet)
{
	uintptr_t first = (uintptr_t)counters_doing(c, 0);
	pid_t     pid = fork();

	if (pid == 0) {
		memset((char *)(first / 4096 * 4096) - 4096, octet, 64);
		_exit(0);
	}
	T_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
}

static void
survives_a_head_that_is_spoilt(void)
{
	struct counters *c = counters_new(3);

	counters_add(c, 1, COUNTER_SESSIONS, 5);
	scribble(c, 0xff);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS), 5);
	T_EQ_NUM(counters_auth_failures(c, 1, 1), 0);
	T_CHECK(counters_client_enter(c, 2, 1, 1));
	scribble(c, 0);
	counters_clear_place(c, 2, COUNTER_SESSIONS);
	counters_clients_clear(c, 2);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS), 5);
	counters_free(c);
}

/* Servers of another configuration are not those of this one; who died or drains tells of none. */
static void
gauges_are_of_a_generation(void)
{
	struct counters *c = counters_new(4);
	unsigned         places;

	T_EQ_NUM(counters_gauge_sum(c, 1, 0, &places), 0);
	T_EQ_NUM(places, 0);
	counters_gauge(c, 0, 1, 0, 5);
	counters_gauge(c, 2, 1, 0, 7);
	counters_gauge(c, 2, 1, COUNTERS_GAUGES - 1, 3);
	counters_gauge(c, 3, 2, 0, 100);
	T_EQ_NUM(counters_gauge_sum(c, 1, 0, &places), 12);
	T_EQ_NUM(places, 2);
	T_EQ_NUM(counters_gauge_sum(c, 1, COUNTERS_GAUGES - 1, &places), 3);
	T_EQ_NUM(counters_gauge_sum(c, 2, 0, &places), 100);
	T_EQ_NUM(places, 1);
	counters_gauge(c, 0, 1, 0, 4);
	counters_gauges_clear(c, 2);
	T_EQ_NUM(counters_gauge_sum(c, 1, 0, &places), 4);
	T_EQ_NUM(places, 1);
	counters_free(c);
}

static void
keeps_what_the_master_tells(void)
{
	struct counters *c = counters_new(1);

	T_EQ_NUM(counters_master(c, MASTER_LOADED), 0);
	counters_master_set(c, MASTER_LOADED, 1763900000);
	counters_master_set(c, MASTER_DEATHS, 2);
	T_EQ_NUM(counters_master(c, MASTER_LOADED), 1763900000);
	T_EQ_NUM(counters_master(c, MASTER_DEATHS), 2);
	counters_free(c);
}

static void
bounds_clients(void)
{
	struct counters *c = counters_new(2);

	T_CHECK(!counters_client_enter(c, 0, 42, 0));
	T_CHECK(counters_client_enter(c, 0, 42, 3));
	T_CHECK(counters_client_enter(c, 1, 42, 3));
	T_CHECK(counters_client_enter(c, 1, 42, 3));
	T_CHECK(!counters_client_enter(c, 0, 42, 3));
	T_CHECK(!counters_client_enter(c, 1, 42, 3));
	T_CHECK(counters_client_enter(c, 0, 43, 3));
	counters_client_leave(c, 1, 42);
	T_CHECK(counters_client_enter(c, 0, 42, 3));
	T_CHECK(!counters_client_enter(c, 0, 42, 3));
	counters_free(c);
}

/* A worker died: its sessions do not count any more, the others' do; a late leave takes nothing. */
static void
forgets_a_dead_place(void)
{
	struct counters *c = counters_new(2);

	for (unsigned i = 0; i < 5; i++)
		T_CHECK(counters_client_enter(c, 1, 1000 + i, 1));
	T_CHECK(counters_client_enter(c, 0, 1000, 2));
	counters_clients_clear(c, 1);
	T_CHECK(!counters_client_enter(c, 1, 1000, 1));
	for (unsigned i = 1; i < 5; i++)
		T_CHECK(counters_client_enter(c, 1, 1000 + i, 1));
	counters_client_leave(c, 1, 999);
	T_CHECK(counters_client_enter(c, 1, 999, 1));
	T_CHECK(!counters_client_enter(c, 1, 999, 1));
	counters_free(c);
}

/* Failures of AUTH: over all places, of one client, for an hour. */
static void
counts_failures_of_auth(void)
{
	struct counters *c = counters_new(2);
	uint64_t         now = 1000000;

	T_EQ_NUM(counters_auth_failures(c, 42, now), 0);
	T_EQ_NUM(counters_auth_failed(c, 0, 42, now), 1);
	T_EQ_NUM(counters_auth_failed(c, 1, 42, now), 2);
	T_EQ_NUM(counters_auth_failed(c, 1, 42, now + 1200), 3);
	T_EQ_NUM(counters_auth_failures(c, 43, now), 0);
	T_EQ_NUM(counters_auth_failures(c, 42, now + 3000 - 1), 3);
	T_EQ_NUM(counters_auth_failures(c, 42, now + 3600), 1);
	T_EQ_NUM(counters_auth_failures(c, 42, now + 1200 + 3600), 0);
	T_EQ_NUM(counters_auth_failed(c, 0, 42, now + 1200 + 3600), 1);
	/* the worker's end does not undo them */
	counters_clients_clear(c, 0);
	T_EQ_NUM(counters_auth_failures(c, 42, now + 1200 + 3600), 1);
	counters_free(c);
}

/* Second by second: never forgotten before 50 minutes, never remembered after an hour. */
static void
failures_of_auth_last_an_hour(void)
{
	for (uint64_t began = 7200; began < 7200 + 1300; began += 61) {
		struct counters *c = counters_new(1);

		counters_auth_failed(c, 0, 1, began);
		T_EQ_NUM(counters_auth_failures(c, 1, began + 3000), 1);
		T_EQ_NUM(counters_auth_failures(c, 1, began + 3600), 0);
		T_EQ_NUM(counters_auth_failures(c, 1, began + 600 * 300), 0);
		counters_free(c);
	}
}

/* However many, in however short a time, the count stays over every limit that is accepted. */
static void
failures_of_auth_do_not_overflow(void)
{
	struct counters *c = counters_new(1);
	unsigned         n = 0, before;

	for (unsigned i = 0; i < 2000; i++) {
		before = n;
		n = counters_auth_failed(c, 0, 9, 600 + i);
		T_CHECK(n >= before);
	}
	T_CHECK(n > 255);
	T_EQ_NUM(counters_auth_failures(c, 10, 600 + 2000), 0);
	for (unsigned i = 0; i < 1000; i++)
		n = counters_auth_failed(c, 0, 11, 600);
	T_CHECK(n > COUNTERS_AUTH_MAX);
	counters_free(c);
}

/* splitmix64, of which no two numbers give the same */
static uint64_t
key(uint64_t i)
{
	i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
	return i ^ i >> 31;
}

/* Of the keys from..to-1, how many have more than ten failures? */
static unsigned
over(struct counters *c, uint64_t from, uint64_t to)
{
	unsigned n = 0;

	for (uint64_t i = from; i < to; i++)
		n += counters_auth_failures(c, key(i), 0) > 10;
	return n;
}

/* Strangers who fail, however many, lock out nobody who has not; and they do not hide each other. */
static void
a_flood_of_failures_locks_out_no_other(void)
{
	static const unsigned floods[] = { 6000, 65536, 500000 };

	for (unsigned f = 0; f < 3; f++) {
		struct counters *c = counters_new(2);
		unsigned         found, least = floods[f] / 100 * 99;

		/* all at once, round by round, now with this worker, now with that one */
		for (unsigned round = 0; round < 11; round++)
			for (unsigned i = 0; i < floods[f]; i++)
				counters_auth_failed(c, (i + round) % 2, key(i), 0);
		T_EQ_NUM(over(c, 1000000, 1010000), 0);
		found = over(c, 0, floods[f]);
		T_CHECKF(f == 2 || found >= least, "%u of %u are found", found, floods[f]);
		counters_free(c);
	}
}

/* Who has failed often is not made forgotten by many who failed less, nor by those of an hour ago. */
static void
a_flood_does_not_flush_who_failed_more(void)
{
	struct counters *c = counters_new(1);

	for (unsigned i = 0; i < 400000; i++)
		for (unsigned k = 0; k < 3; k++)
			counters_auth_failed(c, 0, key(1000000 + i), 0);
	for (unsigned i = 0; i < 100; i++)
		for (unsigned k = 0; k < 11; k++)
			counters_auth_failed(c, 0, key(i), 4000);
	for (unsigned i = 0; i < 400000; i++)
		for (unsigned k = 0; k < 3; k++)
			counters_auth_failed(c, 0, key(2000000 + i), 4000);
	for (unsigned i = 0; i < 100; i++)
		T_EQ_NUM(counters_auth_failures(c, key(i), 4000), 11);
	counters_free(c);
}

/* One of the processes: enters, counts who is inside with an exact counter, leaves. */
static int
enter_and_leave(struct counters *c, unsigned place, _Atomic int *inside, unsigned rounds, int max)
{
	for (unsigned i = 0; i < rounds; i++) {
		counters_add(c, place, COUNTER_ACCEPTED, 1);
		if (i < 50)
			counters_auth_failed(c, place / 2, 7, 0);
		if (!counters_client_enter(c, place, 7, (unsigned)max))
			continue;
		if (atomic_fetch_add(inside, 1) >= max)
			return 1;
		atomic_fetch_sub(inside, 1);
		counters_client_leave(c, place, 7);
	}
	return 0;
}

/* Four processes at once: no count is lost, and no more than `max` are ever let in together. */
static void
processes_share_it(void)
{
	enum { PLACES = 4, ROUNDS = 50000, MAX = 2 };
	struct counters *c = counters_new(PLACES);
	_Atomic int     *inside = mmap(
		NULL, sizeof(*inside), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[PLACES];

	if (!T_CHECK(inside != MAP_FAILED))
		return;
	for (unsigned place = 0; place < PLACES; place++) {
		pid[place] = fork();
		if (pid[place] == 0) {
			int rc = enter_and_leave(c, place, inside, ROUNDS, MAX);

			counters_free(c);
			_exit(rc);
		}
	}
	for (unsigned place = 0; place < PLACES; place++) {
		int status = -1;

		if (T_CHECK(pid[place] > 0))
			waitpid(pid[place], &status, 0);
		T_EQ_NUM(status, 0);
	}
	T_EQ_NUM(counters_sum(c, COUNTER_ACCEPTED), PLACES * ROUNDS);
	/* two processes each counted in one column, as an old worker and its successor do */
	T_EQ_NUM(counters_auth_failures(c, 7, 0), PLACES * 50);
	T_CHECK(counters_client_enter(c, 0, 7, 1));
	counters_free(c);
	munmap(inside, sizeof(*inside));
}

/* The name in front of a plugin's callback is the master's to read when the worker is no more. */
static void
what_a_dead_worker_did(void)
{
	struct counters  *c = counters_new(3);
	struct doing     *d = counters_doing(c, 2);
	struct doing_said was;
	int               status = 0;
	pid_t             pid = fork();

	if (pid == 0) {
		const struct strv name = SV("a-name-that-is-longer-than-there-is-room-for-it");

		doing_begin(SV("nowhere"), "lost");
		doing_here(counters_doing(c, 2));
		doing_begin(SV("tag"), "xxfi_connect");
		doing_end();
		doing_begin(name, "xxfi_eom");
		_exit(7);
	}
	waitpid(pid, &status, 0);
	T_EQ_NUM(WEXITSTATUS(status), 7);
	T_CHECK(doing_read(d, &was));
	T_EQ_TEXT(strv_z(was.what), "xxfi_eom");
	T_EQ_TEXT(strv_z(was.who), "a-name-that-is-longer-than-there-is");
	T_EQ_NUM(was.turn, 2);
	T_CHECK(!doing_read(counters_doing(c, 1), &was));
	/* its successor in that column has done nothing yet */
	doing_here(d);
	T_CHECK(!doing_read(d, &was));
	doing_begin(SV("tag"), "a-callback-of-another-name");
	T_CHECK(doing_read(d, &was));
	T_EQ_TEXT(strv_z(was.who), "tag");
	T_EQ_TEXT(strv_z(was.what), "a-callback-of-a");
	doing_end();
	T_CHECK(!doing_read(d, &was));
	/* what nobody of ours leaves there */
	memset(d, 'x', sizeof(*d));
	T_CHECK(doing_read(d, &was));
	T_EQ_NUM(strlen(was.who), DOING_WHO - 1);
	T_EQ_NUM(strlen(was.what), DOING_WHAT - 1);
	doing_here(NULL);
	counters_free(c);
}

/* There are columns for many more workers than there are: those cost nothing, to look at either. */
static void
unused_columns_cost_nothing(void)
{
	struct counters *c = counters_new(320);
	struct rusage    before, after;

	counters_add(c, 2, COUNTER_SESSIONS, 1);
	getrusage(RUSAGE_SELF, &before);
	for (unsigned i = 0; i < 4096; i++) {
		counters_auth_failures(c, i * 2, 0);
		T_CHECK(counters_client_enter(c, 1, i * 16, 9));
	}
	counters_clients_clear(c, 300);
	getrusage(RUSAGE_SELF, &after);
	T_CHECKF(after.ru_minflt - before.ru_minflt < 3 * 512, "%ld pages were made",
	    after.ru_minflt - before.ru_minflt);
	/* and the last one counts like any other, once it is used */
	counters_add(c, 319, COUNTER_SESSIONS, 4);
	T_EQ_NUM(counters_sum(c, COUNTER_SESSIONS), 5);
	T_CHECK(counters_client_enter(c, 319, 16, 2));
	T_CHECK(!counters_client_enter(c, 0, 16, 2));
	T_EQ_NUM(counters_auth_failed(c, 318, 16, 0), 1);
	T_EQ_NUM(counters_auth_failures(c, 16, 0), 1);
	counters_free(c);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(sums_places);
	T_RUN(sums_over_negative_columns);
	T_RUN(survives_a_head_that_is_spoilt);
	T_RUN(gauges_are_of_a_generation);
	T_RUN(keeps_what_the_master_tells);
	T_RUN(bounds_clients);
	T_RUN(forgets_a_dead_place);
	T_RUN(counts_failures_of_auth);
	T_RUN(failures_of_auth_last_an_hour);
	T_RUN(failures_of_auth_do_not_overflow);
	T_RUN(a_flood_of_failures_locks_out_no_other);
	T_RUN(a_flood_does_not_flush_who_failed_more);
	T_RUN(processes_share_it);
	T_RUN(unused_columns_cost_nothing);
	T_RUN(what_a_dead_worker_did);
	return t_end();
}
