/*
 * scenario -- plays the scenario files given, in order.
 *
 *     scenario [-v] [-m MODE] FILE...    -v: tell the whole story; -m: plain or batch alone (house.h)
 *
 * Each is played in both modes.  Prints "ok" or "not ok" for each and ends with "N passed, N failed, N skipped".
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/player.h"

#define FILE_MAX    (4u << 20)
#define FILE_WITHIN 60 /* seconds of the real clock */

static bool
read_whole(const char *path, struct buf *out)
{
	char    part[2048];
	ssize_t n;
	int     fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	while ((n = read(fd, part, sizeof(part))) > 0 && buf_add(out, strv(part, (size_t)n)))
		;
	close(fd);
	return n == 0;
}

/* In a process of its own, so that an abort or an endless loop costs one scenario. */
static bool
play_file(const char *path, enum house_mode mode, bool verbose)
{
	struct buf text;
	int        status = 0;
	pid_t      pid;

	buf_init(&text, FILE_MAX);
	if (!read_whole(path, &text)) {
		printf("%s: cannot be read\n", path);
		return false;
	}
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		bool good;

		alarm(FILE_WITHIN);
		good = play(strv_z(path), buf_view(&text), mode, verbose);
		buf_fini(&text);
		fflush(stdout);
		exit(good ? 0 : 1);
	}
	buf_fini(&text);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return false;
	if (WIFSIGNALED(status))
		printf(
		    "%s (%s): ended by signal %d\n", path, house_mode_name[mode], WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* How many modes it failed in. */
static unsigned
play_modes(const char *path, const struct house_modes *m, bool verbose)
{
	const char *name = strrchr(path, '/');
	unsigned    failed = 0;

	for (enum house_mode mode = 0; mode < HOUSE_MODES; mode++)
		if (m->on[mode] && !play_file(path, mode, verbose)) {
			failed++;
			printf("not ok  %s (%s)\n", path, house_mode_name[mode]);
		}
	if (failed == 0)
		printf("ok      %s\n", name == NULL ? path : name + 1);
	return failed;
}

int
main(int argc, char **argv)
{
	unsigned           files, each, failed = 0;
	const char        *only = NULL;
	bool               verbose = false;
	struct house_modes m;
	int                o;

	signal(SIGPIPE, SIG_IGN);
	while ((o = getopt(argc, argv, "m:v")) != -1)
		switch (o) {
		case 'm':
			only = optarg;
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	if (!house_modes(&m, only))
		return 2;
	files = (unsigned)(argc - optind);
	each = (unsigned)m.on[HOUSE_PLAIN] + m.on[HOUSE_BATCH];
	for (int i = optind; i < argc; i++)
		failed += play_modes(argv[i], &m, verbose);
	printf(
	    "%u passed, %u failed, %u skipped\n", files * each - failed, failed, files * m.lacking);
	return failed > 0 || files == 0;
}
