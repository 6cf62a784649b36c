/*
 * t_log_room -- what a room of the log tells whoever survives its writer: at each instant, whatever it holds.
 */
#include "config.h"

#include "tests/unit/t.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/base/log_room.h"

#if HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define AT_1000 "2023-11-14T22:13:21.000Z "

/* ---- at each instant ------------------------------------------------------------------------- */

enum { FAR_ROOM = 3000, LINE_N = 8 };

struct play { /* shared with the process that is stepped through */
	struct log_room room;
	unsigned        added; /* lines that were handed over */
	unsigned        far_n;
	char            far[FAR_ROOM]; /* what was written: the other side */
};

static void
play_add(struct play *p)
{
	char line[LINE_N] = "line000";

	line[LINE_N - 1] = (char)('a' + p->added);
	T_CHECK(log_room_fits(&p->room, LINE_N + 1));
	log_room_add(&p->room, SV(""), strv(line, LINE_N));
	p->added++;
}

/* A write of n octets of what is held, as the kernel does it: whole or not at all, for all we see. */
static void
play_write(struct play *p, size_t n)
{
	struct strv held = log_room_held(&p->room);

	if (n > held.n)
		n = held.n;
	log_room_writing(&p->room);
	memcpy(p->far + p->far_n, held.p, n);
	p->far_n += (unsigned)n;
	log_room_written(&p->room, n);
}

static void
play(struct play *p)
{
	for (unsigned i = 0; i < 3; i++)
		play_add(p);
	play_write(p, 2 * (LINE_N + 1) + 5);
	play_add(p);
	play_write(p, 2);
	play_write(p, 100);
	play_add(p);
	play_write(p, 0);
	play_write(p, 100);
	/* and once more where the end of the room is near: what is held must move */
	p->room.text[LOG_ROOM_TEXT - 21] = '\n';
	p->room.held = (uint64_t)(LOG_ROOM_TEXT - 20) << 32 | (LOG_ROOM_TEXT - 20);
	play_add(p);
	play_add(p);
	play_write(p, 3);
	play_add(p);
	play_write(p, LINE_N + 1);
	play_add(p);
	play_write(p, 100);
}

/* A line of the whole story: one that was said, or what is left of one, marked. */
static bool
is_told(struct strv line, unsigned *seen)
{
	if (strv_ends(line, SV("...")))
		return line.n <= LINE_N + 3;
	if (line.n != LINE_N || !strv_starts(line, SV("line000")))
		return false;
	*seen |= 1u << (line.p[LINE_N - 1] - 'a');
	return true;
}

/* Were the writer dead now: is each of its lines there, and none cut in two without a mark? */
static bool
story_holds(struct play *p)
{
	static struct log_rest rest;
	static char            b[FAR_ROOM * 2];
	struct strv            v, line;
	size_t                 n = p->far_n;
	unsigned               seen = 0;

	memcpy(b, p->far, n);
	log_rest_begin(&rest, &p->room);
	while (log_rest_next(&rest, &v)) {
		memcpy(b + n, v.p, v.n);
		n += v.n;
		b[n++] = '\n';
	}
	if (rest.unknown || rest.damaged > 0 || (n > 0 && b[n - 1] != '\n'))
		return false;
	for (v = strv(b, n); v.n > 0;) {
		line = strv_cut(&v, '\n');
		if (!is_told(line, &seen))
			return false;
	}
	return (seen & ((1u << p->added) - 1)) == (1u << p->added) - 1;
}

/* The writer is run one instruction at a time, and might have been killed behind each of them. */
static void
no_instant_loses_a_line(void)
{
	struct play *p = mmap(
	    NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned steps = 0, bad = 0;
	int      status;
	pid_t    pid;

	if (RUNNING_ON_VALGRIND) {
		T_SKIP("a step would be one of valgrind's own");
		munmap(p, sizeof(*p));
		return;
	}
	pid = fork();
	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		(void)raise(SIGSTOP);
		t_failed = 0;
		play(p);
		_exit(t_failed != 0);
	}
	for (; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); steps++) {
		bad += !story_holds(p);
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
			break;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		T_SKIP("no process may be traced here");
	} else {
		T_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		T_EQ_NUM(p->added, 9);
		T_EQ_NUM(p->far_n, 9 * (LINE_N + 1));
		T_CHECKF(steps > 1000, "%u steps", steps);
		T_EQ_NUM(bad, 0);
	}
	munmap(p, sizeof(*p));
}

/* ---- whatever the room holds ----------------------------------------------------------------- */

struct ruin {
	const char *name;
	uint64_t    from, to;
	const char *text; /* laid at from, if that is in the room */
	const char *want; /* line by line, and what is said of the damage */
};

#define NO_ROOM (LOG_ROOM_TEXT + 1)

static const struct ruin ruins[] = {
	{ "empty", 0, 0, "", "" },
	{ "one line", 0, 4, "abc\n", "abc|" },
	{ "from behind to", 9, 4, "abc\n", "unknown" },
	{ "to behind the room", 0, NO_ROOM, "abc\n", "unknown" },
	{ "both behind the room", NO_ROOM, NO_ROOM + 9, "", "unknown" },
	{ "all ones", UINT32_MAX, UINT32_MAX, "", "unknown" },
	{ "no newline at the end", 0, 7, "abc\ndef", "abc|def...|" },
	{ "controls", 0, 12, "a\033[1mb\nde\tf\n", "a[1mb...|def...|2" },
	{ "eighth bits", 0, 6,
	    "a\xc3\xa9\x80"
	    "b\n",
	    "ab...|3" },
	{ "a carriage return", 0, 5, "abc\r\n", "abc...|1" },
	{ "nothing but damage", 0, 3, "\001\002\n", "...|2" },
	{ "the room's last octets", LOG_ROOM_TEXT - 3, LOG_ROOM_TEXT, "ab\n", "ab|" },
};

/* What is left of it, as text. */
static const char *
rest_of(struct log_room *r)
{
	static struct log_rest rest;
	static char            b[LOG_ROOM * 2];
	struct strv            v;
	size_t                 n = 0;

	log_rest_begin(&rest, r);
	while (log_rest_next(&rest, &v))
		n += (size_t)snprintf(b + n, sizeof(b) - n, "%.*s|", (int)v.n, v.p);
	b[n] = '\0';
	if (rest.unknown)
		snprintf(b + n, sizeof(b) - n, "unknown");
	else if (rest.damaged > 0)
		snprintf(b + n, sizeof(b) - n, "%u", (unsigned)rest.damaged);
	return b;
}

static void
ruined_room_is_bounded(void)
{
	struct log_room *r = calloc(1, sizeof(*r));

	T_TABLE(struct ruin, row, ruins)
	{
		t_row = row->name;
		memset(r, 0, sizeof(*r));
		r->held = row->from << 32 | row->to;
		if (row->from + strlen(row->text) <= LOG_ROOM_TEXT)
			memcpy(r->text + row->from, row->text, strlen(row->text));
		if (row->from > 0 && row->from < LOG_ROOM_TEXT)
			r->text[row->from - 1] = '\n';
		T_EQ_STR(rest_of(r), row->want);
	}
	free(r);
}

/* All of it one line that was half told: its beginning, and how much more there was. */
static void
endless_line_is_cut(void)
{
	struct log_room *r = calloc(1, sizeof(*r));
	const char      *got;
	char             said[32];

	memset(r->text, 'x', sizeof(r->text));
	r->held = (uint64_t)(LOG_ROOM_TEXT - 3) << 32 | LOG_ROOM_TEXT;
	got = rest_of(r);
	snprintf(said, sizeof(said), "x...|%u", LOG_ROOM_TEXT - LOG_ROOM_LINE);
	T_CHECK(strv_starts(strv_z(got), SV("...|xxxx")));
	T_CHECK(strv_ends(strv_z(got), strv_z(said)));
	T_EQ_NUM(strlen(got), 4 + LOG_ROOM_LINE + strlen(said) - 1);
	free(r);
}

/* What would have to be copied over itself stays where it is: for an instant it would be neither here nor there. */
static void
room_moves_no_line_over_itself(void)
{
	struct log_room *r = calloc(1, sizeof(*r));
	char             line[1024];
	unsigned         left;

	memset(line, 'z', sizeof(line));
	while (log_room_fits(r, sizeof(line) + 1))
		log_room_add(r, SV(""), strv(line, sizeof(line)));
	for (left = (unsigned)(log_room_held(r).n / 1025); !log_room_fits(r, 1025) && left > 0;
	     left--)
		log_room_written(r, 1025);
	T_EQ_NUM(left, LOG_ROOM_TEXT / 1025 / 2);
	T_EQ_NUM(log_room_held(r).n, left * 1025);
	T_CHECK(log_room_held(r).p == r->text && r->text[1024] == '\n');
	free(r);
}

/* A full room of lines of the greatest length passes unharmed. */
static void
full_room_is_told_as_it_is(void)
{
	struct log_room *r = calloc(1, sizeof(*r));
	char             line[LOG_LINE];
	struct log_rest *rest = malloc(sizeof(*rest));
	struct strv      v;
	unsigned         said = 0, told = 0;

	memset(line, 'y', sizeof(line));
	for (; log_room_fits(r, LOG_ROOM_LINE + 1); said++)
		log_room_add(r, SV(AT_1000), strv(line, sizeof(line)));
	T_EQ_NUM(said, LOG_ROOM_TEXT / (LOG_ROOM_LINE + 1));
	log_rest_begin(rest, r);
	for (; log_rest_next(rest, &v); told++)
		T_CHECK(v.n == LOG_ROOM_LINE && v.p[v.n - 1] == 'y');
	T_EQ_NUM(told, said);
	T_EQ_NUM(rest->damaged, 0);
	free(rest);
	free(r);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(no_instant_loses_a_line);
	T_RUN(ruined_room_is_bounded);
	T_RUN(endless_line_is_cut);
	T_RUN(room_moves_no_line_over_itself);
	T_RUN(full_room_is_told_as_it_is);
	return t_end();
}
