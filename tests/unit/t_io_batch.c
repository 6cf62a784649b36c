/*
 * t_io_batch -- what a round holds back and sends in one call: when it goes, who has no room, what is not held, the
 * beginning and the end, children.
 */
#include <sys/resource.h>
#include <sys/wait.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "config.h"
#include "proxy/base/tls.h"
#include "tests/unit/io_peers.h"

/* ---- when it goes ---------------------------------------------------------------------------- */

static void
held_until_the_round_ends(void)
{
	static const unsigned many[] = { 1, 2, 7, 128 };

	T_TABLE(unsigned, n, many)
	{
		open_lines(*n, false);
		for (unsigned i = 0; i < *n; i++) {
			T_CHECK(queue(&lines[i], 5));
			T_CHECK(send_by_fiber(&lines[i], 4)->rc == WAIT_OK);
			T_CHECK(queue(&lines[i], 3));
			T_EQ_NUM(conn_unsent(&lines[i].c), 12);
			T_CHECK(peer_hears_nothing(&lines[i]));
		}
		pass(1);
		for (unsigned i = 0; i < *n; i++) {
			T_EQ_NUM(peer_read(&lines[i], 100), 12);
			T_CHECK(memcmp(lines[i].got, text, 12) == 0);
			T_EQ_NUM(conn_unsent(&lines[i].c), 0);
			T_EQ_NUM(lines[i].told, 0);
		}
		close_lines(*n);
	}
}

/* Who finds no place sends at once; a place that is given back may be somebody's in the next round. */
static void
more_than_the_batch_has_places_for(void)
{
	unsigned held = 0;

	open_lines(LINES, false);
	for (unsigned r = 0; r < 3; r++) {
		held = 0;
		for (unsigned i = 0; i < LINES; i++) {
			struct line *l = &lines[(i + 100 * r) % LINES];

			T_CHECK(queue(l, 5) && queue(l, 6));
			held += conn_unsent(&l->c) > 0;
			T_EQ_NUM(peer_read(l, 100), conn_unsent(&l->c) > 0 ? 0 : 11);
		}
		T_EQ_NUM(held, 128);
		pass(1);
		for (unsigned i = 0; i < LINES; i++) {
			(void)peer_read(&lines[i], 100);
			T_EQ_NUM(lines[i].n, 11 * (r + 1));
			T_CHECK(memcmp(lines[i].got, text, lines[i].n) == 0);
		}
	}
	close_lines(LINES);
}

static void
what_is_large_goes_at_once_behind_what_is_held(void)
{
	struct line *l = &lines[0];

	open_lines(2, false);
	T_CHECK(queue(&lines[1], 5));
	T_CHECK(queue(l, 5) && queue(l, 16384 - 5));
	T_EQ_NUM(conn_unsent(&l->c), 16384);
	T_CHECK(queue(l, 1)); /* the first 16 KiB make room for it */
	T_EQ_NUM(conn_unsent(&l->c), 1);
	T_EQ_NUM(peer_read(l, 100000), 16384);
	T_CHECK(queue(l, 16385));
	T_EQ_NUM(conn_unsent(&l->c), 0);
	T_EQ_NUM(peer_has(l, l->given), l->given);
	T_CHECK(queue(l, 5));
	T_CHECK(send_by_fiber(l, 50000)->over);
	T_EQ_NUM(peer_has(l, l->given), l->given);
	T_CHECK(memcmp(l->got, text, l->given) == 0);
	T_CHECK(peer_hears_nothing(&lines[1]));
	T_CHECK(queue(l, 0) && conn_unsent(&l->c) == 0);
	peer_has_all(&lines[1]);
	close_lines(2);
}

/* Of a secret there is no copy. */
static void
secret_goes_at_once_behind_what_is_held(void)
{
	struct line *l = &lines[0];

	open_lines(2, false);
	T_CHECK(queue(l, 5) && queue(&lines[1], 5));
	T_CHECK(conn_queue_secret(&l->c, next(l, 8)));
	T_CHECK(conn_unsent(&l->c) == 0 && l->c.out.p == NULL);
	T_EQ_NUM(peer_read(l, 100), 13);
	T_CHECK(queue(l, 5));
	T_EQ_NUM(conn_unsent(&l->c), 5);
	peer_has_all(l);
	peer_has_all(&lines[1]);
	close_lines(2);
}

/* Who waits until all is out, or for what comes behind it, holds nothing back. */
static void
drain_does_not_wait_for_the_round(void)
{
	struct line *l = &lines[0];

	open_lines(2, false);
	T_CHECK(queue(l, 5) && queue(&lines[1], 5));
	T_CHECK(job(l, job_drain)->over);
	T_EQ_NUM(peer_read(l, 100), 5);
	T_CHECK(queue(l, 5) && send_file_by_fiber(l, 1000)->over && queue(l, 6));
	T_EQ_NUM(peer_read(l, 2000), 1005);
	conn_flush(&l->c);
	T_EQ_NUM(peer_read(l, 100), 6);
	conn_flush(&l->c);
	T_CHECK(peer_hears_nothing(&lines[1]));
	peer_has_all(&lines[1]);
	close_lines(2);
}

static void
loop_send_sends_in_the_middle_of_a_round(void)
{
	for (unsigned n = 1; n <= 3; n += 2) {
		open_lines(n, false);
		for (unsigned r = 0; r < 3; r++) {
			for (unsigned i = 0; i < n; i++)
				T_CHECK(queue(&lines[i], 5));
			loop_send(loop);
			for (unsigned i = 0; i < n; i++)
				T_EQ_NUM(peer_read(&lines[i], 100), 5);
			loop_send(loop);
		}
		close_lines(n);
	}
}

static unsigned worked;

/* Before it computes, its peer has heard what it was told. */
static void
answer_and_work(void *arg)
{
	struct line *l = arg;

	T_CHECK(queue(l, 5));
	T_EQ_NUM(fiber_heavy(), WAIT_OK);
	worked++;
	T_EQ_NUM(peer_read(l, 100), 5);
	T_EQ_NUM(conn_unsent(&lines[0].c), 0);
}

static void
answer(void *arg)
{
	T_CHECK(queue(arg, 7));
}

static void
heavy_work_comes_behind_what_is_held(void)
{
	open_lines(2 * LOOP_HEAVY, false);
	worked = 0;
	for (unsigned i = 0; i < 2 * LOOP_HEAVY; i++)
		fiber_start(pool, "w", answer_and_work, &lines[i]);
	T_EQ_NUM(worked, LOOP_HEAVY);
	pass(1);
	loop_defer(loop, answer, &lines[0]); /* in the round in which the others have their turn */
	pass(2);
	T_EQ_NUM(worked, 2 * LOOP_HEAVY);
	close_lines(2 * LOOP_HEAVY);
}

static void
last_words_go_at_once(void)
{
	open_lines(2, true);
	T_CHECK(queue(&lines[0], 5) && queue(&lines[1], 5));
	T_CHECK(conn_queue_last(&lines[0].c, next(&lines[0], 6)));
	T_CHECK(!queue(&lines[0], 1) && !lines[0].c.fault);
	T_EQ_NUM(peer_has(&lines[0], 11), 11);
	T_CHECK(peer_ends(&lines[0]));
	T_EQ_NUM(write(lines[0].peer, "still", 5), 5);
	T_CHECK(conn_queue_bye(&lines[1].c, next(&lines[1], 6)));
	conn_close(&lines[1].c);
	T_EQ_NUM(peer_has(&lines[1], 11), 11);
	T_CHECK(peer_ends(&lines[1]));
	T_CHECK(memcmp(lines[0].got, text, 11) == 0 && memcmp(lines[1].got, text, 11) == 0);
	close_lines(2);
}

/* Behind what is held our side ends, and the peer may still speak. */
static void
shutdown_waits_for_what_is_held(void)
{
	char   b[8];
	size_t got;

	for (unsigned n = 1; n <= 2; n++) {
		open_lines(n, true);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(queue(&lines[i], 5));
			conn_shutdown(&lines[i].c);
			T_CHECK(!queue(&lines[i], 1) && peer_hears_nothing(&lines[i]));
			lines[i].given = 5;
		}
		pass(1);
		for (unsigned i = 0; i < n; i++) {
			T_EQ_NUM(peer_has(&lines[i], 5), 5);
			T_CHECK(peer_ends(&lines[i]));
			T_EQ_NUM(write(lines[i].peer, "still", 5), 5);
			pass(1);
			T_EQ_NUM(conn_recv(&lines[i].c, b, sizeof(b), &got), IO_OK);
			T_EQ_STRV(strv(b, got), SV("still"));
		}
		close_lines(n);
	}
}

/* ---- peers that do not read ------------------------------------------------------------------ */

/* The first has no room, the others have: what is queued at all times stays in order, and room is told of once. */
static void
what_does_not_fit_follows_in_order(void)
{
	for (unsigned n = 1; n <= 6; n++) {
		bool         tcp = n % 2 == 0;
		struct line *l = &lines[0];

		open_lines(n, tcp);
		small_buffers(l, tcp);
		for (unsigned r = 0; r < 20 || !l->c.want_write; r++) {
			for (unsigned i = 0; i < n; i++)
				T_CHECK(
				    queue(&lines[i], i == 0 ? 15000 : 10) && queue(&lines[i], 99));
			pass(1);
		}
		T_CHECK(l->c.want_write && conn_unsent(&l->c) > 0 && l->told == 0);
		T_CHECK(queue(l, 16384) && queue(l, 20000) && queue(l, 1));
		for (unsigned i = 1; i < n; i++)
			peer_has_all(&lines[i]);
		peer_has_all(l);
		T_CHECK(!l->c.want_write && conn_unsent(&l->c) == 0);
		T_CHECKF(l->told == 1, "%u lines: told %u times", n, l->told);
		T_CHECK(queue(l, 5));
		T_EQ_NUM(conn_unsent(&l->c), 5); /* held again */
		peer_has_all(l);
		close_lines(n);
	}
}

static void
ends_wait_for_room(void)
{
	for (unsigned n = 1; n <= 2; n++) {
		open_lines(n, false);
		for (unsigned i = 0; i < n; i++) {
			small_buffers(&lines[i], false);
			for (unsigned k = 0; k < 4; k++)
				T_CHECK(queue(&lines[i], 15000));
			T_CHECK(queue(&lines[i], 7000));
			conn_shutdown(&lines[i].c);
		}
		pass(1);
		for (unsigned i = 0; i < n; i++) {
			T_CHECK(lines[i].c.want_write);
			peer_has_all(&lines[i]);
			T_CHECK(peer_ends(&lines[i]));
		}
		close_lines(n);
	}
}

static void
fibers_wait_for_room(void)
{
	struct line *l = &lines[0];
	struct job  *drain, *send, *file;

	open_lines(2, false);
	small_buffers(l, false);
	T_CHECK(queue(l, 15000) && queue(&lines[1], 5));
	drain = job(l, job_drain);
	T_CHECK(!drain->over);
	pass(2);
	T_CHECK(!drain->over && l->c.want_write);
	peer_has_all(l);
	T_CHECK(drain->over && drain->rc == WAIT_OK && l->told == 0);
	T_CHECK(queue(l, 16000));
	pass(1);
	send = send_by_fiber(l, 5000); /* which would be held if there were room */
	T_CHECK(!send->over);
	peer_has_all(l);
	T_CHECK(send->over && send->rc == WAIT_OK);
	T_CHECK(queue(l, 300));
	file = send_file_by_fiber(l, 300000);
	T_CHECK(!file->over);
	peer_has_all(l);
	T_CHECK(file->over && file->rc == WAIT_OK);
	close_lines(2);
}

/* ---- what is not held ------------------------------------------------------------------------ */

static void
connection_that_is_being_made_is_sent_to_when_it_is_made(void)
{
	struct sockaddr_in sa;
	int                listens = listener(&sa);
	struct line       *l = &lines[2];
	const char        *why = "";

	open_lines(2, false);
	*l = (struct line){ .peer = -1 };
	dial_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	T_CHECK(connect(dial_fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 || errno == EINPROGRESS);
	T_CHECK(conn_dial(&l->c, loop, &(struct endpoint){ 0 }, line_event, l, &why));
	T_CHECK(queue(l, 5) && queue(&lines[0], 5) && queue(&lines[1], 5));
	loop_send(loop);
	T_EQ_NUM(conn_unsent(&l->c), 5);
	T_CHECK(l->c.connecting);
	T_CHECK(queue(l, 6));
	pass(1);
	T_CHECK(!l->c.connecting && conn_unsent(&l->c) == 0);
	l->peer = accept(listens, NULL, NULL);
	T_EQ_NUM(peer_has(l, 11), 11);
	T_CHECK(queue(l, 7));
	T_EQ_NUM(conn_unsent(&l->c), 7);
	peer_has_all(l);
	close(listens);
	close_lines(3);
}

static SSL *
tls_peer(int fd)
{
	SSL_CTX  *x = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509     *cert = X509_new();
	SSL      *ssl;

	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, key);
	T_CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
	T_CHECK(SSL_CTX_use_certificate(x, cert) == 1 && SSL_CTX_use_PrivateKey(x, key) == 1);
	ssl = SSL_new(x);
	SSL_set_fd(ssl, fd);
	SSL_set_accept_state(ssl);
	X509_free(cert);
	EVP_PKEY_free(key);
	SSL_CTX_free(x);
	return ssl;
}

/* What was held goes in front of the handshake, in plain text; behind it nothing is held. */
static void
tls_is_not_held(void)
{
	struct arena       *a = arena_new(1024, 0);
	struct strv         why;
	struct tls_context *x = tls_context_client(
	    a, &(struct tls_client){ .minimum = 0x0303 }, &why);
	struct line *l = &lines[0];
	const char  *what;
	enum io_rc   rc = IO_AGAIN;
	char         b[16];
	SSL         *ssl;

	open_lines(2, false);
	T_CHECK(queue(&lines[1], 5) && queue(l, 10));
	T_CHECK(tls_connect(&l->c, x, SV("mx.example"), NULL));
	T_EQ_NUM(peer_read(l, 10), 10);
	T_CHECK(peer_hears_nothing(l));
	ssl = tls_peer(l->peer);
	for (unsigned i = 0; i < 20 && (rc == IO_AGAIN || !SSL_is_init_finished(ssl)); i++) {
		rc = rc == IO_AGAIN ? tls_handshake(&l->c, &what) : rc;
		(void)SSL_do_handshake(ssl);
		pass(1);
	}
	T_EQ_NUM(rc, IO_OK);
	T_CHECK(queue(&lines[1], 5) && queue(l, 4));
	T_EQ_NUM(SSL_read(ssl, b, sizeof(b)), 4);
	T_CHECK(memcmp(b, text + 10, 4) == 0);
	T_CHECK(send_by_fiber(l, 6)->rc == WAIT_OK);
	T_EQ_NUM(SSL_read(ssl, b, sizeof(b)), 6);
	peer_has_all(&lines[1]);
	SSL_free(ssl);
	close_lines(2);
	tls_context_free(x);
	arena_free(a);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static void
stop_sends_what_is_held(void)
{
	for (unsigned n = 1; n <= 3; n++) {
		open_lines(n, false);
		for (unsigned i = 0; i < n; i++)
			T_CHECK(queue(&lines[i], 5));
		io_batch_stop(loop);
		for (unsigned i = 0; i < n; i++) {
			T_EQ_NUM(peer_read(&lines[i], 10), 5);
			T_CHECK(queue(&lines[i], 6)); /* at once, from here on */
			T_EQ_NUM(peer_read(&lines[i], 10), 6);
		}
		io_batch_stop(loop);
		loop_send(loop);
		close_lines(n);
	}
}

/* Two loops one after the other, and one that starts again. */
static void
may_be_started_again(void)
{
	struct loop *first;
	const char  *why = "";

	open_lines(2, false);
	first = loop;
	T_CHECK(queue(&lines[0], 5));
	io_batch_stop(loop);
	T_CHECK(io_batch_start(loop, &why));
	T_CHECK(queue(&lines[0], 5) && queue(&lines[1], 5));
	T_EQ_NUM(conn_unsent(&lines[1].c), 5);
	peer_has_all(&lines[0]);
	peer_has_all(&lines[1]);
	io_batch_stop(loop);
	loop = loop_new(&fake);
	T_CHECK(io_batch_start(loop, &why));
	line_open(&lines[2], false);
	line_open(&lines[3], false);
	T_CHECK(queue(&lines[2], 5) && queue(&lines[3], 5));
	T_EQ_NUM(peer_read(&lines[2], 10), 0);
	peer_has_all(&lines[2]);
	peer_has_all(&lines[3]);
	line_close(&lines[2]);
	line_close(&lines[3]);
	io_batch_stop(loop);
	loop_free(loop);
	loop = first;
	close_lines(2);
}

static void
without_a_ring_nothing_is_held(void)
{
	struct rlimit was, none;
	const char   *why = "";

	batched = false;
	open_lines(2, false);
	T_CHECK(getrlimit(RLIMIT_NOFILE, &was) == 0);
	none = (struct rlimit){ 0, was.rlim_max };
	T_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	T_CHECK(!io_batch_start(loop, &why));
	T_CHECK(setrlimit(RLIMIT_NOFILE, &was) == 0);
	T_CHECK(HAVE_URING ? why != NULL && *why != '\0' : why == NULL);
	T_CHECK(queue(&lines[0], 5));
	T_CHECK(send_by_fiber(&lines[1], 5)->rc == WAIT_OK);
	T_EQ_NUM(peer_read(&lines[0], 10), 5);
	T_EQ_NUM(peer_read(&lines[1], 10), 5);
	T_CHECK(conn_unsent(&lines[0].c) == 0);
	loop_send(loop);
	io_batch_stop(loop);
	close_lines(2);
	batched = ring;
}

/* The descriptor of the loop's ring, as the process has it. */
static int
ring_fd(void)
{
	char name[32], to[64];

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		n = readlink(name, to, sizeof(to));
		if (n > 0 && strv_eq(strv(to, (size_t)n), SV("anon_inode:[io_uring]")))
			return fd;
	}
	return -1;
}

/* Behind its back the kernel takes nothing any more: all goes out all the same, and from there on at once. */
static void
ring_that_fails_loses_nothing(void)
{
	int nothing, fd;

	open_lines(5, false);
	for (unsigned i = 0; i < 4; i++)
		T_CHECK(queue(&lines[i], 5));
	small_buffers(&lines[0], false);
	T_CHECK(queue(&lines[0], 16000));
	peer_goes(&lines[3], false);
	nothing = open("/dev/null", O_RDWR);
	fd = ring_fd();
	if (!T_CHECK(fd >= 0 && dup2(nothing, fd) == fd))
		return;
	close(nothing);
	pass(2);
	T_CHECK(lines[3].c.fault && lines[3].told > 0);
	for (unsigned i = 0; i < 3; i++)
		peer_has_all(&lines[i]);
	for (unsigned i = 0; i < 5; i++)
		T_CHECK(i == 3 || queue(&lines[i], 6));
	T_EQ_NUM(peer_read(&lines[2], 10), 6);
	T_EQ_NUM(peer_read(&lines[4], 10), 6);
	close_lines(5);
}

/* ---- children -------------------------------------------------------------------------------- */

static void
child_ends(void)
{
}

static void
child_closes_all(void)
{
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

static void
child_runs_another(void)
{
	char *argv[] = { (char *)(uintptr_t) "true", NULL };

	execv("/bin/true", argv);
}

/* It dies of that: the ring is not in its memory. */
static void
child_sends(void)
{
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	(void)signal(SIGSEGV, SIG_DFL);
	(void)dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
	loop_send(loop);
}

static void
children_do_no_harm(void)
{
	void (*const does[])(
	    void) = { child_ends, child_closes_all, child_runs_another, child_sends };

	for (unsigned how = 0; how < T_COUNT(does); how++) {
		pid_t pid;
		int   status;

		open_lines(3, true);
		for (unsigned i = 0; i < 3; i++)
			T_CHECK(queue(&lines[i], 5));
		fflush(stdout);
		pid = fork();
		if (pid == 0) {
			does[how]();
			_exit(0);
		}
		T_EQ_NUM(waitpid(pid, &status, 0), pid);
		for (unsigned i = 0; i < 3; i++)
			T_CHECK(peer_hears_nothing(&lines[i]));
		for (unsigned r = 0; r < 3; r++)
			for (unsigned i = 0; i < 3; i++)
				T_CHECK(queue(&lines[i], 6) && (i < 2 || (pass(1), true)));
		for (unsigned i = 0; i < 3; i++) {
			peer_has_all(&lines[i]);
			T_CHECK(peer_hears_nothing(&lines[i]));
		}
		T_EQ_NUM(lines[0].told + lines[1].told + lines[2].told, 0);
		close_lines(3);
	}
}

/* ---- what crosses what is held --------------------------------------------------------------- */

static void
reads_the_other_and_answers(struct line *l)
{
	char   octets[100];
	size_t got;

	l->then = NULL;
	T_EQ_NUM(conn_recv(&l->other->c, octets, sizeof(octets), &got), IO_OK);
	T_EQ_NUM(got, 10);
	T_CHECK(queue(l->other, 4));
}

static void
answers_for_the_other(struct line *l)
{
	l->then = NULL;
	T_CHECK(queue(l->other, 4));
}

/* In one round the first is told of, deals with the other one, and then the other one is told of. */
static void
one_behind_the_other(void (*then)(struct line *), bool crossed)
{
	struct line *a = &lines[0], *b = &lines[1];

	open_lines(2, true);
	T_EQ_NUM(send(b->peer, "12345", 5, 0), 5);
	pass(1);
	T_CHECK(b->told == 1 && b->c.readable);
	a->then = then;
	a->other = b;
	T_EQ_NUM(send(a->peer, "x", 1, 0), 1);
	T_EQ_NUM(send(b->peer, "67890", 5, 0), 5);
	pass(1);
	T_CHECK(a->told == 1 && b->told == 2);
	T_CHECK(b->c.crossed == crossed);
	T_EQ_NUM(peer_read(b, 100), 4);
	close_lines(2);
}

/* An event that was due tells of octets that have been read meanwhile: those came before. */
static void
octets_that_were_read_cross_nothing(void)
{
	one_behind_the_other(reads_the_other_and_answers, false);
	one_behind_the_other(answers_for_the_other, true);
}

static void
with_a_ring(void)
{
	T_RUN(octets_that_were_read_cross_nothing);
	T_RUN(held_until_the_round_ends);
	T_RUN(more_than_the_batch_has_places_for);
	T_RUN(what_is_large_goes_at_once_behind_what_is_held);
	T_RUN(secret_goes_at_once_behind_what_is_held);
	T_RUN(drain_does_not_wait_for_the_round);
	T_RUN(loop_send_sends_in_the_middle_of_a_round);
	T_RUN(heavy_work_comes_behind_what_is_held);
	T_RUN(last_words_go_at_once);
	T_RUN(shutdown_waits_for_what_is_held);
	T_RUN(what_does_not_fit_follows_in_order);
	T_RUN(ends_wait_for_room);
	T_RUN(fibers_wait_for_room);
	T_RUN(connection_that_is_being_made_is_sent_to_when_it_is_made);
	T_RUN(tls_is_not_held);
	T_RUN(stop_sends_what_is_held);
	T_RUN(may_be_started_again);
	T_RUN(ring_that_fails_loses_nothing);
	T_RUN(children_do_no_harm);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	begin_table();
	T_RUN(without_a_ring_nothing_is_held);
	batched = ring;
	if (ring)
		with_a_ring();
	else
		T_SKIP("io_uring is not to be had here");
	return end_table();
}
