/*
 * t_crew -- what a worker is born with: no key of tickets that has served its time; and what is said when one dies.
 */
#include <sys/wait.h>

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
	T_RUN(a_shorter_drain_is_for_those_to_come);
	buf_fini(&said);
	free_pem(&ours);
	return t_end();
}
