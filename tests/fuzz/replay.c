/*
 * replay -- a main() for fuzz targets without libFuzzer: feeds the files, and the files of the folders,
 * that it is given. Each runs in a process of its own, so that one that crashes is counted and named
 * and the others still run.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

static unsigned passed, failed;

static uint8_t *
slurp(const char *path, size_t *n)
{
	FILE       *f = fopen(path, "rb");
	uint8_t    *p = NULL;
	struct stat st;

	if (f == NULL || fstat(fileno(f), &st) < 0 ||
	    (p = malloc((size_t)st.st_size + 1)) == NULL ||
	    fread(p, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		perror(path);
		exit(2);
	}
	fclose(f);
	*n = (size_t)st.st_size;
	/* exactly its size, so that a sanitizer sees the first octet too many */
	return realloc(p, *n > 0 ? *n : 1);
}

static void
run(const char *path)
{
	int   status = -1;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		size_t   n;
		uint8_t *p = slurp(path, &n);

		LLVMFuzzerTestOneInput(p, n);
		free(p);
		exit(0);
	}
	if (child > 0)
		waitpid(child, &status, 0);
	if (status == 0) {
		passed++;
		return;
	}
	failed++;
	printf("failed: %s\n", path);
}

static void
run_all(const char *path)
{
	struct dirent **names;
	int             n = scandir(path, &names, NULL, alphasort);

	if (n < 0) {
		run(path);
		return;
	}
	for (int i = 0; i < n; i++) {
		char file[2000];

		if (names[i]->d_name[0] != '.') {
			snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
			run(file);
		}
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		run_all(argv[i]);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, passed + failed == 0);
	return failed > 0;
}
