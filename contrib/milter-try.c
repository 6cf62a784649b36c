/*
 * milter-try -- runs milters or plugins over a message file, and prints every step, answer and change.
 *
 * For authors of filters: the session is made up from options, the milters are called as Postern calls them.
 * doc/milter-try.1 is its manual.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "contrib/try.h"
#include "proxy/base/arena.h"
#include "proxy/base/world.h"

#define TEXT_MAX (256 * 1024 * 1024)
#define ARGS_MAX 32

static const char usage[] =
    "usage: milter-try [option ...] --socket SOCKET | --plugin FILE [--arg ARG ...] ... [MESSAGE]\n"
    "  -s, --socket SOCKET     a milter: unix:/PATH, inet:PORT@HOST, ADDRESS:PORT\n"
    "  -p, --plugin FILE       a plugin, loaded into this process\n"
    "  -a, --arg ARG           an argument of the plugin before it; again for more\n"
    "  -c, --client ADDRESS    who connects: 192.0.2.1 if not said\n"
    "  -n, --name NAME         the client's confirmed name; none if not said\n"
    "  -H, --helo NAME         client.example if not said\n"
    "  -f, --from 'ADDRESS [PARAMETER ...]'   sender@client.example if not said\n"
    "  -r, --rcpt 'ADDRESS [PARAMETER ...]'   again for more; rcpt@mx.example if not said\n"
    "  -u, --auth USER         the client has authenticated as USER\n"
    "  -t, --tls               the session is under TLS\n"
    "  -U, --unknown LINE      a command that is not known, behind HELO\n"
    "  -j, --hostname NAME     macro j: mx.example if not said\n"
    "  -N, --messages N        the message N times in the one session\n"
    "  -T, --timeout SECONDS   of each answer: 30 if not said\n"
    "  -m, --message           the message that comes of it goes to standard output, all else to\n"
    "                          standard error\n"
    "  -q, --quiet             the exit status alone\n"
    "  -h, --help\n"
    "MESSAGE is a file, or - (also if not said) for standard input.\n"
    "Exit status: 0 it goes on; 10 rejected, 11 tempfailed, 12 discarded, 13 quarantined, 14 the session\n"
    "is ended; 3 a milter failed; 1 the message cannot be read; 2 wrong usage.\n";

static const struct option options[] = {
	{ "socket", required_argument, NULL, 's' },
	{ "plugin", required_argument, NULL, 'p' },
	{ "arg", required_argument, NULL, 'a' },
	{ "client", required_argument, NULL, 'c' },
	{ "name", required_argument, NULL, 'n' },
	{ "helo", required_argument, NULL, 'H' },
	{ "from", required_argument, NULL, 'f' },
	{ "rcpt", required_argument, NULL, 'r' },
	{ "auth", required_argument, NULL, 'u' },
	{ "tls", no_argument, NULL, 't' },
	{ "unknown", required_argument, NULL, 'U' },
	{ "hostname", required_argument, NULL, 'j' },
	{ "messages", required_argument, NULL, 'N' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "message", no_argument, NULL, 'm' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct line { /* the command line, as far as it was read */
	struct try_task task;
	struct arena   *a;
	const char    **args; /* of the plugin at hand */
	bool            quiet, help;
};

static bool
wrong(const char *what, const char *why)
{
	fprintf(stderr, "milter-try: %s: %s\n", what, why);
	return false;
}

/* --- options ---------------------------------------------------------------------------------- */

static struct milter_conf *
add_milter(struct line *l)
{
	struct milters_conf *all = &l->task.milters;
	struct milter_conf  *m;

	if (all->n == MILTERS_MAX)
		return NULL;
	m = &all->v[all->n];
	m->number = all->n++;
	m->kind = &try_end;
	m->name = arena_printf(l->a, "%u", all->n);
	return m;
}

static struct strv
name_of_file(const char *path)
{
	struct strv v = strv_z(path);
	size_t      slash = strv_rchr(v, '/');

	v = slash < v.n ? strv_from(v, slash + 1) : v;
	return strv_ends(v, SV(".so")) && v.n > 3 ? strv_first(v, v.n - 3) : v;
}

static bool
add_socket(struct line *l, const char *said)
{
	struct milter_conf *m = add_milter(l);
	const char         *why;

	if (m == NULL)
		return wrong(said, "too many milters");
	m->home = HOME_DAEMON;
	m->name = name_of_file(said);
	l->args = NULL;
	if (milter_socket_parse(l->a, strv_z(said), &m->at, &why))
		return true;
	if (why == NULL && endpoint_parse(l->a, strv_z(said), &m->at, &why))
		return true;
	return wrong(said, why);
}

static bool
add_plugin(struct line *l, const char *said)
{
	struct milter_conf *m = add_milter(l);

	if (m == NULL)
		return wrong(said, "too many milters");
	m->home = HOME_INSIDE;
	/* Not looked for where the system keeps its libraries. */
	m->file = strchr(said, '/') != NULL ? said : arena_printf(l->a, "./%s", said).p;
	m->name = name_of_file(said);
	l->args = arena_array(l->a, ARGS_MAX + 1, sizeof(*l->args));
	m->args = l->args;
	return true;
}

static bool
add_arg(struct line *l, const char *said)
{
	struct milter_conf *m;

	if (l->args == NULL)
		return wrong(said, "an argument of no plugin");
	m = &l->task.milters.v[l->task.milters.n - 1];
	if (m->n_args == ARGS_MAX)
		return wrong(said, "too many arguments");
	l->args[m->n_args++] = said;
	return true;
}

static bool
take_client(struct line *l, const char *said)
{
	l->task.client.addr.port = 49152;
	return addr_parse(strv_z(said), &l->task.client.addr.addr) || wrong(said, "not an address");
}

static bool
take_number(const char *said, uint64_t max, uint64_t *out)
{
	return (strv_number(strv_z(said), max, out) && *out > 0) ||
	    wrong(said, "not such a number");
}

static bool
take_rcpt(struct line *l, const char *said)
{
	if (l->task.n_rcpt == TRY_RCPTS)
		return wrong(said, "too many recipients");
	l->task.rcpt[l->task.n_rcpt++] = said;
	return true;
}

static void
take_tls(struct line *l)
{
	l->task.client.tls = (struct tls_facts){ .on = true,
		.version = SV("TLSv1.3"),
		.cipher = SV("TLS_AES_256_GCM_SHA384"),
		.bits = 256 };
}

/* What is kept as it was said. */
static const char **
place_of(struct try_task *t, int option)
{
	switch (option) {
	case 'n':
		return &t->name;
	case 'H':
		return &t->helo;
	case 'f':
		return &t->from;
	case 'u':
		return &t->user;
	case 'U':
		return &t->unknown;
	default:
		return NULL;
	}
}

static bool
take(struct line *l, int option, const char *said)
{
	uint64_t n = 1;

	switch (option) {
	case 's':
		return add_socket(l, said);
	case 'p':
		return add_plugin(l, said);
	case 'a':
		return add_arg(l, said);
	case 'c':
		return take_client(l, said);
	case 'r':
		return take_rcpt(l, said);
	case 't':
		take_tls(l);
		return true;
	case 'j':
		l->task.milters.hostname = strv_z(said);
		return true;
	case 'N':
		if (!take_number(said, 1000000, &n))
			return false;
		l->task.messages = (unsigned)n;
		return true;
	case 'T':
		if (!take_number(said, 86400, &n))
			return false;
		l->task.timeout = n * 1000;
		return true;
	case 'm':
		l->task.result = true;
		return true;
	case 'q':
		l->quiet = true;
		return true;
	case 'h':
		l->help = true;
		return true;
	default:
		return false;
	}
}

static bool
read_line(struct line *l, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(
		    argc, argv, "s:p:a:c:n:H:f:r:u:tU:j:N:T:mqh", options, NULL)) != -1) {
		const char **place = place_of(&l->task, option);

		if (place != NULL)
			*place = optarg;
		else if (!take(l, option, optarg))
			return false;
	}
	if (l->help)
		return true;
	if (l->task.milters.n == 0)
		return wrong("nothing to try", "--socket or --plugin must be said");
	if (argc - optind > 1)
		return wrong(argv[optind + 1], "one message is enough");
	if (l->task.n_rcpt == 0)
		(void)take_rcpt(l, "rcpt@mx.example");
	for (unsigned i = 0; i < l->task.milters.n; i++)
		l->task.milters.v[i].timeout = l->task.milters.v[i].timeout_short = l->task.timeout;
	return true;
}

/* --- the rest --------------------------------------------------------------------------------- */

static bool
read_stdin(struct line *l)
{
	struct buf *b = arena_alloc(l->a, sizeof(*b));
	ssize_t     got = 1;

	buf_init(b, TEXT_MAX);
	while (got != 0) {
		if (!buf_reserve(b, 65536))
			return wrong("the message", "too large");
		got = read(STDIN_FILENO, b->p + b->n, 65536);
		if (got < 0 && errno != EINTR)
			return wrong("standard input", strerror(errno));
		b->n += got > 0 ? (size_t)got : 0;
	}
	l->task.text = buf_view(b);
	return true;
}

static bool
read_message(struct line *l, struct world *w, const char *file)
{
	enum file_rc rc;

	if (file == NULL || strcmp(file, "-") == 0)
		return read_stdin(l);
	rc = w->read_file(w, l->a, file, TEXT_MAX, &l->task.text);
	return rc == FILE_OK || wrong(file, file_rc_name(rc));
}

/* What the parts of Postern log, as milter-failed. */
static void
say_log(struct world *w, struct strv line)
{
	(void)w;
	try_say(TRY_RED, "  log: %s", try_show(line));
}

int
main(int argc, char **argv)
{
	static struct milter_conf milters[MILTERS_MAX];
	struct line   l = { .task = { .milters = { .v = milters, .hostname = SV("mx.example") },
				.helo = "client.example",
				.from = "sender@client.example",
				.messages = 1,
				.timeout = 30000 } };
	struct world *w = world_real(-1);
	FILE         *to;
	int           rc = TRY_USAGE;

	(void)signal(SIGPIPE, SIG_IGN);
	l.a = arena_new(65536, 0);
	(void)take_client(&l, "192.0.2.1");
	l.task.client.local.addr = (struct addr){ .family = ADDR_IP4, .b = { 127, 0, 0, 1 } };
	l.task.client.local.port = 25;
	l.task.client.listener = SV("milter-try");
	if (!read_line(&l, argc, argv)) {
		fputs("milter-try --help says more\n", stderr);
	} else if (l.help) {
		fputs(usage, stdout);
		rc = TRY_GOES_ON;
	} else if (!read_message(&l, w, argv[optind])) {
		rc = TRY_NOTHING;
	} else {
		to = l.task.result ? stderr : stdout;
		try_story_begin(to, isatty(fileno(to)) && getenv("NO_COLOR") == NULL, l.quiet);
		w->log = say_log;
		l.task.client.peer = l.task.client.addr;
		rc = (int)try_session(&l.task, w);
	}
	world_real_stop(w);
	arena_free(l.a);
	return rc;
}
