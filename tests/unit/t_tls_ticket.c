/*
 * t_tls_ticket -- what resumes a session and what does not: the listener, the name, the clock, and the
 * process that gave the ticket.
 */
#include <sys/wait.h>

#include "tests/unit/tls_pair.h"

static const uint64_t hours = (uint64_t)3600 * 1000000;

static const int         both[] = { TLS1_2_VERSION, TLS1_3_VERSION };
static const char *const both_names[] = { "TLSv1.2", "TLSv1.3" };

/* The clock at the second hour of a period, so many periods after the tests' beginning; it never goes back. */
static void
next_periods(unsigned n)
{
	wall_us = wall_us / (4 * hours) * (4 * hours) + n * 4 * hours + hours;
}

static void
ticket_is_bound_to_its_listener(void)
{
	struct tls_context *one = context(0x0303, "listener one"),
			   *two = context(0x0303, "listener two");

	for (unsigned i = 0; i < 2; i++) {
		SSL_SESSION *s = ticket_of(one, both[i]);

		t_row = both_names[i];
		T_CHECK(is_taken(one, both[i], s));
		T_CHECK(!is_taken(two, both[i], s));
		T_CHECK(is_taken(one, both[i], s));
		SSL_SESSION_free(s);
	}
	tls_context_free(one);
	tls_context_free(two);
}

/* Another context with the same id, as after a reload: the ticket is good, the name decides again. */
static void
ticket_outlives_its_context(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct tls_context *x = context(0x0303, "one");
		SSL_SESSION        *s = ticket_of(x, both[i]);

		t_row = both_names[i];
		tls_context_free(x);
		x = context(0x0303, "one");
		T_CHECK(is_taken(x, both[i], s));
		SSL_SESSION_free(s);
		tls_context_free(x);
	}
}

/* RFC 6066 3: with a different name, or without one, it is a full handshake. */
static void
ticket_is_bound_to_its_name(void)
{
	static const struct {
		const char *first, *then;
		bool        taken;
	} names[] = {
		{ "mx.example", "mx.example", true },
		{ "mx.example", "MX.Example", true },
		{ "mx.example", "other.example", false },
		{ "mx.example", "nx.example", false },
		{ "mx.example", NULL, false },
		{ NULL, "mx.example", false },
		{ NULL, NULL, true },
		{ "nobody.example", "anybody.example", false },
	};
	struct tls_context *x = context(0x0303, "one");
	SSL_SESSION        *s;

	for (unsigned i = 0; i < 2 * T_COUNT(names); i++) {
		const int version = both[i % 2];

		t_row = names[i / 2].then;
		wants.name = names[i / 2].first;
		s = ticket_of(x, version);
		wants.name = names[i / 2].then;
		T_EQ_NUM(is_taken(x, version, s), names[i / 2].taken);
		SSL_SESSION_free(s);
	}
	wants.name = "mx.example";
	tls_context_free(x);
}

/* Keys change every four hours, and the last one is still known. */
static void
ticket_key_goes_out_of_use(void)
{
	struct tls_context *x = context(0x0303, "one");

	for (unsigned i = 0; i < 2; i++) {
		SSL_SESSION *s;

		t_row = both_names[i];
		next_periods(1);
		s = ticket_of(x, both[i]);
		next_periods(1);
		T_CHECK(is_taken(x, both[i], s));
		next_periods(1);
		T_CHECK(!is_taken(x, both[i], s));
		SSL_SESSION_free(s);
	}
	tls_context_free(x);
}

/* The ticket of a period that is over is worth nothing for good, also to a clock that is set back. */
static void
wiped_key_does_not_come_back(void)
{
	struct tls_context *x = context(0x0303, "one");

	for (unsigned i = 0; i < 2; i++) {
		uint64_t     then;
		SSL_SESSION *s;

		t_row = both_names[i];
		next_periods(1);
		then = wall_us;
		s = ticket_of(x, both[i]);
		next_periods(2);
		tls_tickets_turn(&fake);
		wall_us = then;
		T_CHECK(!is_taken(x, both[i], s));
		wall_us = then + 8 * hours;
		SSL_SESSION_free(s);
	}
	tls_context_free(x);
}

/* Within a period of the border tickets go on; further back there are none, and each handshake is full. */
static void
clock_that_goes_back(void)
{
	struct tls_context *x = context(0x0303, "one");

	for (unsigned i = 0; i < 2; i++) {
		SSL_SESSION *s;
		uint64_t     latest;

		t_row = both_names[i];
		next_periods(3);
		latest = wall_us;
		s = ticket_of(x, both[i]);
		wall_us = latest - 4 * hours;
		T_CHECK(is_taken(x, both[i], s));
		wall_us = latest - 8 * hours;
		T_CHECK(!is_taken(x, both[i], s));
		setup(x, both[i], 65536);
		T_CHECK(shake() && server.up);
		T_CHECK(conn_queue_v(&server.c, SV("220 x\r\n")));
		carry();
		T_EQ_STRV(client_read((char[16]){ 0 }, 16), SV("220 x\r\n"));
		T_CHECK(!SSL_SESSION_has_ticket(SSL_get0_session(client.ssl)));
		teardown();
		wall_us = 0;
		T_CHECK(!is_taken(x, both[i], s));
		wall_us = latest;
		T_CHECK(is_taken(x, both[i], s));
		SSL_SESSION_free(s);
	}
	tls_context_free(x);
}

/* No end of time, and no endless loop on the way to it. */
static void
clock_far_ahead(void)
{
	const uint64_t      saved = wall_us;
	struct tls_context *x = context(0x0303, "one");
	SSL_SESSION        *s;

	wall_us = UINT64_MAX;
	s = ticket_of(x, TLS1_3_VERSION);
	T_CHECK(is_taken(x, TLS1_3_VERSION, s));
	SSL_SESSION_free(s);
	tls_context_free(x);
	tls_tickets_forget();
	wall_us = saved;
	x = context(0x0303, "one");
	s = ticket_of(x, TLS1_3_VERSION);
	T_CHECK(is_taken(x, TLS1_3_VERSION, s));
	SSL_SESSION_free(s);
	tls_context_free(x);
}

/* fn in a process of its own; whether it said yes. */
static bool
elsewhere(bool (*fn)(struct tls_context *, SSL_SESSION *), struct tls_context *x, SSL_SESSION *s)
{
	int   status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(fn(x, s) ? 0 : 1);
	T_CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status) == 0;
}

static bool
taken_now(struct tls_context *x, SSL_SESSION *s)
{
	return is_taken(x, TLS1_3_VERSION, s);
}

static bool
taken_by_a_new_context(struct tls_context *x, SSL_SESSION *s)
{
	struct tls_context *new = context(0x0303, "one");
	bool taken = is_taken(new, TLS1_3_VERSION, s);

	(void)x;
	tls_context_free(new);
	return taken;
}

/*
 * A worker is forked and its chain stays at that period; the master goes on and forks another one, which
 * has a chain of a later period, and a third that sees no handshake for a while.  All take one ticket.
 */
static void
all_workers_come_to_the_same_key(void)
{
	struct tls_context *x;
	SSL_SESSION        *s;
	int                 up[2], status;
	pid_t               old;

	tls_tickets_forget();
	x = context(0x0303, "one");
	T_CHECK(pipe(up) == 0);
	fflush(stdout);
	old = fork();
	if (old == 0) {
		const uint64_t later = wall_us / (4 * hours) * (4 * hours) + 3 * 4 * hours + hours;
		unsigned char  der[8192], *p = der;
		int            n;

		wall_us += 4 * hours; /* it has seen a period in between, the master has not */
		tls_tickets_turn(&fake);
		wall_us = later;
		s = ticket_of(x, TLS1_3_VERSION);
		n = i2d_SSL_SESSION(s, &p);
		SSL_SESSION_free(s);
		_exit(write(up[1], der, (size_t)n) == n ? 0 : 1);
	}
	close(up[1]);
	next_periods(3);
	tls_tickets_turn(&fake);
	{
		static unsigned char der[8192];
		const unsigned char *p = der;
		ssize_t              n = 0, one;

		while ((one = read(up[0], der + n, sizeof(der) - (size_t)n)) > 0)
			n += one;
		s = d2i_SSL_SESSION(NULL, &p, n);
	}
	T_CHECK(waitpid(old, &status, 0) == old && status == 0);
	T_CHECK(s != NULL);
	T_CHECK(taken_now(x, s));
	T_CHECK(elsewhere(taken_now, x, s));
	T_CHECK(elsewhere(taken_by_a_new_context, x, s));
	next_periods(1);
	T_CHECK(elsewhere(taken_now, x, s));
	next_periods(1);
	T_CHECK(!elsewhere(taken_now, x, s));
	SSL_SESSION_free(s);
	tls_context_free(x);
	close(up[0]);
}

static void
another_process_has_other_keys(void)
{
	struct tls_context *x = context(0x0303, "one");
	SSL_SESSION        *s = ticket_of(x, TLS1_3_VERSION);

	T_CHECK(is_taken(x, TLS1_3_VERSION, s));
	tls_tickets_forget();
	T_CHECK(!is_taken(x, TLS1_3_VERSION, s));
	tls_context_free(x);
	x = context(0x0303, "one");
	T_CHECK(!is_taken(x, TLS1_3_VERSION, s));
	SSL_SESSION_free(s);
	tls_context_free(x);
}

/* RFC 8446 4.2.10: a client that sends data with its hello: we skip it, and it comes again or is lost. */
static void
early_data_is_not_taken(void)
{
	struct tls_context *x = context(0x0303, "one");
	SSL_SESSION        *s = ticket_of(x, TLS1_3_VERSION);
	size_t              n;

	T_CHECK(SSL_SESSION_set_max_early_data(s, 1000) == 1);
	setup(x, TLS1_3_VERSION, 65536);
	T_CHECK(SSL_set_session(client.ssl, s) == 1);
	T_EQ_NUM(SSL_write_early_data(client.ssl, "MAIL FROM:<>\r\n", 14, &n), 1);
	T_CHECK(shake() && server.up);
	T_EQ_NUM(SSL_get_early_data_status(client.ssl), SSL_EARLY_DATA_REJECTED);
	T_EQ_NUM(SSL_session_reused(client.ssl), 1);
	client_send("NOOP\r\n");
	T_EQ_STRV(strv(server.text, server.n), SV("NOOP\r\n"));
	teardown();
	SSL_SESSION_free(s);
	tls_context_free(x);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	make_pem(&ours, EVP_EC_gen("P-256"), "mx.example");
	T_RUN(ticket_is_bound_to_its_listener);
	T_RUN(ticket_outlives_its_context);
	T_RUN(ticket_is_bound_to_its_name);
	T_RUN(ticket_key_goes_out_of_use);
	T_RUN(wiped_key_does_not_come_back);
	T_RUN(clock_that_goes_back);
	T_RUN(clock_far_ahead);
	T_RUN(all_workers_come_to_the_same_key);
	T_RUN(another_process_has_other_keys);
	T_RUN(early_data_is_not_taken);
	free_pem(&ours);
	return t_end();
}
