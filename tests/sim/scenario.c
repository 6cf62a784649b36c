/*
 * scenario -- plays the scenario files given, in order.
 *
 *     scenario [-v] FILE...          -v: tell the whole story
 *
 * Prints "ok" or "not ok" for each and ends with "N passed, N failed, N skipped".
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
play_file(const char *path, bool verbose)
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
		good = play(strv_z(path), buf_view(&text), verbose);
		buf_fini(&text);
		fflush(stdout);
		exit(good ? 0 : 1);
	}
	buf_fini(&text);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return false;
	if (WIFSIGNALED(status))
		printf("%s: ended by signal %d\n", path, WTERMSIG(status));
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int
main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;
	bool     verbose = false;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i < argc; i++) {
		const char *name = strrchr(argv[i], '/');

		if (strcmp(argv[i], "-v") == 0) {
			verbose = true;
			continue;
		}
		if (play_file(argv[i], verbose)) {
			passed++;
			printf("ok      %s\n", name == NULL ? argv[i] : name + 1);
		} else {
			failed++;
			printf("not ok  %s\n", argv[i]);
		}
	}
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed > 0 || passed == 0;
}
