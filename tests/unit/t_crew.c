/*
 * t_crew -- what a worker is born with: no key of tickets that has served its time; and what is said when one dies or hangs.
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/counters.h"
#include "proxy/base/log_room.h"
#include "proxy/crew.h"
#include "tests/unit/tls_pair.h"

static const uint64_t hours = (uint64_t)3600 * 1000000;

static struct {
	struct tls_context *x;
	SSL_SESSION        *s;
	uint64_t            then; /* when it was given */
} ticket;

/* In the new process, in place of the worker's life: can it open the ticket, were the clock what it was? */
static void
newborn(void *arg)
{
	(void)arg;
	wall_us = ticket.then;
	_exit(is_taken(ticket.x, TLS1_2_VERSION, ticket.s) ? 1 : 0);
}

static struct crew *
two_workers(const struct settings *s, const struct sockets *none)
{
	struct crew *c = calloc(1, sizeof(*c));

	c->settings = s;
	c->sockets = none;
	c->workers = 2;
	c->leave = newborn;
	c->log_fd = -1;
	T_CHECK(crew_init(c, &fake));
	return c;
}

static void
newborn_workers_have_no_old_keys(void)
{
	static const struct settings settings = { .drain = 1000 };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&settings, &none);
	unsigned                     young = 0;

	for (unsigned periods = 0; periods < 3; periods += 2) {
		int   status;
		pid_t pid[2];

		wall_us = wall_us / (4 * hours) * (4 * hours) + hours;
		ticket.x = context(0x0303, "one");
		ticket.s = ticket_of(ticket.x, TLS1_2_VERSION);
		ticket.then = wall_us;
		wall_us += periods * 4 * hours;
		crew_want(c);
		for (unsigned i = 0; i < 2; i++)
			pid[i] = c->child[i].pid;
		for (unsigned i = 0; i < 2; i++) {
			T_CHECK(waitpid(pid[i], &status, 0) == pid[i]);
			T_CHECK(WIFEXITED(status));
			young += WEXITSTATUS(status) == 1;
			T_EQ_NUM(WEXITSTATUS(status), periods == 0);
		}
		c->stopping = true;
		for (unsigned i = 0; i < 2; i++)
			T_CHECK(crew_ended(c, pid[i], status));
		c->stopping = false;
		SSL_SESSION_free(ticket.s);
		tls_context_free(ticket.x);
	}
	/* the ticket was good: it is its age that mattered */
	T_EQ_NUM(young, 2);
	crew_fini(c);
	free(c);
}

/* In a newborn's place: it ends at once, with what was laid into its room before it came. */
static void
end_at_once(void *arg)
{
	(void)arg;
	_exit(3);
}

/* A worker goes by the settings it was born with: it has as long as it believes it has. */
static void
a_shorter_drain_is_for_those_to_come(void)
{
	static const struct settings patient = { .drain = 600000 }, hasty = { .drain = 1000 };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&patient, &none);
	int                          status;

	c->leave = end_at_once;
	crew_want(c);
	c->settings = &hasty;
	crew_drain(c);
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = c->child[i].pid;

		T_CHECK(c->child[i].kill_at >= fake.now(&fake) + patient.drain);
		T_CHECK(waitpid(pid, &status, 0) == pid);
		T_CHECK(crew_ended(c, pid, status));
	}
	crew_fini(c);
	free(c);
}

/* In a newborn's place: it hears nobody any more, and lives on. */
static void
close_all(void *arg)
{
	(void)arg;
	for (int fd = 3; fd < 256; fd++)
		close(fd);
	for (;;)
		(void)pause();
}

/* It drains, and its place is somebody else's at once, not when it has ended. */
static void
a_worker_without_a_channel_has_a_successor(void)
{
	static const struct settings settings = { .drain = 600000 };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&settings, &none);
	struct pollfd                p[CREW_MAX * 5 / 2];
	pid_t                        first, second;
	unsigned                     n;

	c->leave = close_all;
	crew_want(c);
	crew_due(c); /* its first look at who hangs */
	first = c->child[0].pid;
	second = c->child[1].pid;
	for (unsigned i = 0; i < 100 && (c->child[0].control >= 0 || c->child[1].control >= 0);
	     i++) {
		n = crew_poll(c, p);
		if (poll(p, n, 100) > 0)
			crew_reports(c, p, n);
	}
	T_EQ_NUM(crew_next(c), fake.now(&fake) + 100);
	/* one of them was about to die: that is told by waitpid, and nothing else */
	kill(second, SIGKILL);
	T_CHECK(waitpid(second, NULL, 0) == second);
	T_CHECK(crew_ended(c, second, 9));
	c->child[0].lost_at = fake.now(&fake);
	crew_due(c);
	T_CHECK(c->child[0].draining);
	T_EQ_NUM(c->child[0].kill_at, fake.now(&fake) + settings.drain + 10000);
	T_EQ_NUM(c->place[0].own, -1);
	T_CHECK(c->place[0].start_at != 0);
	c->stopping = true;
	kill(first, SIGKILL);
	T_CHECK(waitpid(first, NULL, 0) == first);
	T_CHECK(crew_ended(c, first, 9));
	T_CHECK(!crew_alive(c));
	crew_fini(c);
	free(c);
}

static int      no_memory; /* recvmsg() has none, so often was it asked */
static unsigned asked;

ssize_t
recvmsg(int fd, struct msghdr *msg, int flags)
{
	asked++;
	if (no_memory == 0)
		return syscall(SYS_recvmsg, fd, msg, flags);
	errno = ENOMEM;
	return -1;
}

/* One round of the master's wait. */
static void
look(struct crew *c)
{
	struct pollfd p[CREW_MAX * 5 / 2];
	unsigned      n = crew_poll(c, p);

	if (poll(p, n, 0) > 0)
		crew_reports(c, p, n);
}

/* A report for which there is no memory stays: it is asked for again, and not all the time. */
static void
a_shortage_does_not_spin(void)
{
	static const struct settings settings = { .drain = 600000 };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&settings, &none);

	c->leave = close_all;
	crew_want(c);
	crew_due(c);
	(void)poll(NULL, 0, 200);
	no_memory = 1;
	asked = 0;
	for (unsigned i = 0; i < 1000; i++)
		look(c);
	T_EQ_NUM(asked, 2);
	T_EQ_NUM(crew_next(c), fake.now(&fake) + 100);
	no_memory = 0;
	c->child[0].deaf_until = c->child[1].deaf_until = fake.now(&fake);
	look(c);
	T_EQ_NUM(asked, 4);
	T_CHECK(c->child[0].control < 0 && c->child[1].control < 0);
	c->stopping = true;
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = c->child[i].pid;

		kill(pid, SIGKILL);
		T_CHECK(waitpid(pid, NULL, 0) == pid);
		T_CHECK(crew_ended(c, pid, 9));
	}
	crew_fini(c);
	free(c);
}

/* ---- what is said of a death ----------------------------------------------------------------- */

static struct buf said;

static void
note_log(struct world *w, struct strv line)
{
	(void)w;
	T_CHECK(buf_add(&said, line) && buf_add(&said, SV("\n")));
}

static void
note_rest(struct world *w, struct log_room *r)
{
	struct strv held = log_room_held(r);

	(void)w;
	T_CHECK(buf_add(&said, held));
	log_room_clear(r);
}

static void
last_words_come_before_the_death(void)
{
	static const struct settings settings = { .drain = 1000 };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&settings, &none);
	struct strv                  all;
	pid_t                        pid[2];
	int                          status;

	c->leave = end_at_once;
	crew_want(c);
	c->stopping = true;
	log_room_add(counters_log(c->counters, 1), SV("its "), SV("last words"));
	for (unsigned i = 0; i < 2; i++)
		pid[i] = c->child[i].pid;
	buf_clear(&said);
	for (unsigned i = 0; i < 2; i++) {
		T_CHECK(waitpid(pid[i], &status, 0) == pid[i]);
		T_CHECK(crew_ended(c, pid[i], status));
	}
	all = buf_view(&said);
	T_CHECK(strv_starts(strv_cut(&all, '\n'), SV("master worker-death worker=0 ")));
	T_EQ_TEXT(strv_cut(&all, '\n'), "its last words");
	T_CHECK(strv_starts(strv_cut(&all, '\n'), SV("master worker-death worker=1 ")));
	T_EQ_NUM(all.n, 0);
	crew_fini(c);
	free(c);
}

/* What one of them has counted says how many sessions went with it, whatever number that is. */
static const struct loss {
	const char *what;
	int64_t own, other; /* sessions that the dead one has counted, and the one that lives on */
	const char *says;   /* NULL: nothing of sessions */
} losses[] = {
	{ "none", 0, 5, " sessions=0" },
	{ "some", 7, 5, " sessions=7" },
	{ "no number of sessions", -3, 5, NULL },
	{ "nor this", INT64_MAX, 5, NULL },
	{ "nor is the other one's", 7, -9, " sessions=7" },
};

static void
sessions_that_die_with_a_worker(void)
{
	static const struct settings settings = { .drain = 1000 };
	static const struct sockets  none = { .places = 2 };

	T_TABLE(struct loss, r, losses)
	{
		struct crew *c = two_workers(&settings, &none);
		struct strv  all, line;
		int          status;

		t_row = r->what;
		c->leave = end_at_once;
		crew_want(c);
		c->stopping = true;
		counters_add(c->counters, 0, COUNTER_SESSIONS_OPEN, r->own);
		counters_add(c->counters, 1, COUNTER_SESSIONS_OPEN, r->other);
		buf_clear(&said);
		for (unsigned i = 0; i < 2; i++) {
			pid_t pid = c->child[i].pid;

			T_CHECK(waitpid(pid, &status, 0) == pid && crew_ended(c, pid, status));
			T_EQ_NUM(counters_sum(c->counters, COUNTER_SESSIONS_OPEN),
			    i == 0 ? (uint64_t)r->other : 0);
		}
		all = buf_view(&said);
		line = strv_cut(&all, '\n');
		T_CHECK(strv_starts(line, SV("master worker-death worker=0 ")));
		T_CHECKF(r->says != NULL ? strv_ends(line, strv_z(r->says)) :
					   strv_ends(line, SV(" exit=3")),
		    "%.*s", (int)line.n, line.p);
		crew_fini(c);
		free(c);
	}
	t_row = NULL;
}

/* ---- workers that hang ----------------------------------------------------------------------- */

/* One look at a worker each; what it is told by then, and for how long it has been there. */
static const struct hang {
	const char     *what;
	uint64_t        after; /* ms, behind the look before */
	uint32_t        turn, round;
	const char     *in; /* NULL: in no callback */
	bool            ready;
	enum stuck_news news;
	uint64_t        since; /* behind the first look; of what is over for STUCK_BACK */
} hangs[] = {
	{ "it waits for clients", 0, 0, 0, NULL, true, STUCK_NO_NEWS, 0 },
	{ "a callback", 1000, 1, 0, "xxfi_helo", true, STUCK_NO_NEWS, 1000 },
	{ "the same", 4999, 1, 0, "xxfi_helo", true, STUCK_NO_NEWS, 1000 },
	{ "it is too long", 1, 1, 0, "xxfi_helo", true, STUCK_TELL, 1000 },
	{ "which was said", 1000, 1, 0, "xxfi_helo", true, STUCK_NO_NEWS, 1000 },
	{ "not all the time", 58999, 1, 0, "xxfi_helo", true, STUCK_NO_NEWS, 1000 },
	{ "but again", 1, 1, 0, "xxfi_helo", true, STUCK_TELL, 1000 },
	{ "it is back", 1000, 1, 0, NULL, true, STUCK_BACK, 1000 },
	{ "once", 1000, 1, 0, NULL, true, STUCK_NO_NEWS, 0 },
	{ "many of one name", 1000, 2, 0, "xxfi_header", true, STUCK_NO_NEWS, 69000 },
	{ "each another one", 4000, 9, 0, "xxfi_header", true, STUCK_NO_NEWS, 73000 },
	{ "do not hang", 4000, 12, 0, "xxfi_header", true, STUCK_NO_NEWS, 77000 },
	{ "until one does", 5000, 12, 0, "xxfi_header", true, STUCK_TELL, 77000 },
	{ "back, and in the next one", 1000, 13, 0, "xxfi_header", true, STUCK_BACK, 77000 },
	{ "which hangs as well", 5000, 13, 0, "xxfi_header", true, STUCK_TELL, 83000 },
	{ "it is back", 1000, 13, 0, NULL, true, STUCK_BACK, 83000 },
	{ "its successor begins", 1000, 13, 0, NULL, false, STUCK_NO_NEWS, 90000 },
	{ "loads", 4999, 13, 0, NULL, false, STUCK_NO_NEWS, 90000 },
	{ "and loads", 1, 13, 0, NULL, false, STUCK_TELL, 90000 },
	{ "and is ready", 1000, 13, 0, NULL, true, STUCK_BACK, 90000 },
	{ "it waits", 1000, 13, 0, NULL, true, STUCK_NO_NEWS, 0 },
	{ "a round of its loop", 1000, 13, 1, NULL, true, STUCK_NO_NEWS, 98000 },
	{ "others", 4999, 13, 7, NULL, true, STUCK_NO_NEWS, 102999 },
	{ "the last one does not end", 5000, 13, 7, NULL, true, STUCK_TELL, 102999 },
	{ "nor in a minute", 60000, 13, 7, NULL, true, STUCK_TELL, 102999 },
	{ "it ends", 1, 13, 8, NULL, true, STUCK_BACK, 102999 },
	{ "a round", 1000, 13, 9, NULL, true, STUCK_NO_NEWS, 169000 },
	{ "of many callbacks", 4000, 14, 9, "xxfi_eom", true, STUCK_NO_NEWS, 173000 },
	{ "is none that hangs", 4000, 15, 9, "xxfi_eom", true, STUCK_NO_NEWS, 177000 },
	{ "until a callback does", 5000, 15, 9, "xxfi_eom", true, STUCK_TELL, 177000 },
	{ "and we do, behind it", 1000, 15, 9, NULL, true, STUCK_BACK, 177000 },
	{ "it is no callback then", 5000, 15, 9, NULL, true, STUCK_TELL, 183000 },
	{ "it waits", 1000, 15, 0, NULL, true, STUCK_BACK, 183000 },
	{ "one that loads", 1000, 15, 0, "plugin_init", false, STUCK_NO_NEWS, 190000 },
	{ "is named, too", 5000, 15, 0, "plugin_init", false, STUCK_TELL, 190000 },
	{ "it has loaded, and waits", 1000, 15, 0, NULL, true, STUCK_BACK, 190000 },
};

static void
a_callback_that_does_not_return(void)
{
	struct stuck   s = { 0 };
	struct doing   d = { .who = "tag" };
	const uint64_t begun = 5;
	uint64_t       at = begun;

	T_TABLE(struct hang, r, hangs)
	{
		struct stuck was = s;

		t_row = r->what;
		at += r->after;
		d.turn = r->turn;
		d.round = r->round;
		d.busy = r->in != NULL;
		(void)snprintf(d.what, sizeof(d.what), "%s", r->in != NULL ? r->in : "");
		T_EQ_NUM(stuck_look(&s, &d, r->ready, at), r->news);
		if (r->since != 0)
			T_EQ_NUM((r->news == STUCK_BACK ? was : s).since, begun + r->since);
		if (r->news == STUCK_TELL)
			T_EQ_NUM(s.at.busy, r->in != NULL);
		if (r->news == STUCK_TELL && r->in != NULL) {
			T_EQ_TEXT(strv_z(s.at.what), r->in);
			T_EQ_TEXT(strv_z(s.at.who), "tag");
		}
	}
	t_row = NULL;
}

static void
end_both(struct crew *c)
{
	c->stopping = true;
	for (unsigned i = 0; i < 2; i++) {
		pid_t pid = c->child[i].pid;

		kill(pid, SIGKILL);
		T_CHECK(waitpid(pid, NULL, 0) == pid);
		T_CHECK(crew_ended(c, pid, 9));
	}
}

/* The second of two hangs, and the log names it alone. */
static void
the_log_tells_who_hangs(void)
{
	static struct milter_conf    inside = { .home = HOME_INSIDE };
	static const struct settings settings = { .drain = 1000,
		.milters = { .v = &inside, .n = 1 } };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&settings, &none);
	struct doing                *d;
	uint64_t                     began = clock_ms;
	char                         want[200];
	long                         pid;

	c->leave = close_all;
	crew_want(c);
	c->child[0].ready = c->child[1].ready = true;
	pid = c->child[1].pid;
	d = counters_doing(c->counters, 1);
	memset(d->who, 'x', sizeof(d->who)); /* as nobody of ours leaves it */
	memcpy(d->what, "xxfi_eom", 9);
	d->busy = true;
	d->turn = 1;
	buf_clear(&said);
	for (; clock_ms <= began + 6000; clock_ms += 1000) {
		crew_due(c);
		T_EQ_NUM(crew_next(c), clock_ms + 1000);
	}
	(void)snprintf(want, sizeof(want),
	    "master worker-stuck worker=1 pid=%ld plugin=%s callback=xxfi_eom seconds=5\n", pid,
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	T_EQ_TEXT(buf_view(&said), want);
	buf_clear(&said);
	d->busy = false;
	crew_due(c);
	(void)snprintf(want, sizeof(want),
	    "master worker-back worker=1 pid=%ld plugin=%s callback=xxfi_eom seconds=7\n", pid,
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	T_EQ_TEXT(buf_view(&said), want);
	/* a successor is not taken to be where it died */
	d->busy = true;
	end_both(c);
	T_CHECK(!d->busy);
	crew_fini(c);
	free(c);
}

/* Where no plugin lives in a worker it is looked at less often; then our own code is all that can hang. */
static void
our_own_code_hangs(void)
{
	static struct milter_conf    outside[] = { { .home = HOME_DAEMON },
		   { .home = HOME_ISOLATED } };
	static const struct settings settings = { .drain = 1000,
		.milters = { .v = outside, .n = 2 } };
	static const struct sockets  none = { .places = 2 };
	struct crew                 *c = two_workers(&settings, &none);
	uint64_t                     began = clock_ms;
	char                         want[200];

	T_CHECK(crew_next(c) == UINT64_MAX);
	c->leave = close_all;
	crew_want(c);
	c->child[0].ready = c->child[1].ready = true;
	counters_doing(c->counters, 1)->round = 77;
	buf_clear(&said);
	for (; clock_ms <= began + 6000; clock_ms += 1000) {
		crew_due(c);
		T_EQ_NUM(crew_next(c), began + (clock_ms - began >= 5000 ? 10000 : 5000));
	}
	(void)snprintf(want, sizeof(want),
	    "master worker-stuck worker=1 pid=%ld why=\"in our own code\" seconds=5\n",
	    (long)c->child[1].pid);
	T_EQ_TEXT(buf_view(&said), want);
	buf_clear(&said);
	counters_doing(c->counters, 1)->round = 0;
	clock_ms = began + 10000;
	crew_due(c);
	(void)snprintf(want, sizeof(want),
	    "master worker-back worker=1 pid=%ld why=\"in our own code\" seconds=10\n",
	    (long)c->child[1].pid);
	T_EQ_TEXT(buf_view(&said), want);
	end_both(c);
	crew_fini(c);
	free(c);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	buf_init(&said, 65536);
	fake.log = note_log;
	fake.log_rest = note_rest;
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	T_RUN(newborn_workers_have_no_old_keys);
	T_RUN(last_words_come_before_the_death);
	T_RUN(sessions_that_die_with_a_worker);
	T_RUN(a_shorter_drain_is_for_those_to_come);
	T_RUN(a_worker_without_a_channel_has_a_successor);
	T_RUN(a_shortage_does_not_spin);
	T_RUN(a_callback_that_does_not_return);
	T_RUN(the_log_tells_who_hangs);
	T_RUN(our_own_code_hangs);
	buf_fini(&said);
	free_pem(&ours);
	return t_end();
}
