/*
 * std -- descriptors 0 to 2 are there, whoever has started us.
 *
 * The invariant: behind std_open nothing that is opened gets one of these numbers.
 */
#include "proxy/base/std.h"

#include <fcntl.h>
#include <unistd.h>

bool
std_open(void)
{
	static const int how[] = {
		[STDIN_FILENO] = O_RDONLY,
		[STDOUT_FILENO] = O_RDONLY, /* what is written fails as before */
		[STDERR_FILENO] = O_WRONLY,
	};

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		/* Those below it are there, so the lowest that is free is this one. */
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", how[fd]) != fd)
			return false;
	return true;
}
