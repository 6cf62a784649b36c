/*
 * release_files -- the quarantine's files: which there are, in which order, and what is in one.
 *
 * For the list and for sending alike.  Nothing is opened, locked or changed here: who holds a file is release.c's.
 */
#include "proxy/release_own.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/arena.h"

struct strv
release_fault(struct arena *a, const char *path)
{
	return arena_printf(a, "%s: %s", path, strerror(errno));
}

/* At most `most' octets of it; n of the view is what is there.  False: errno. */
bool
release_read(struct arena *a, int fd, size_t most, struct strv *out)
{
	char   *p = arena_bytes(a, most);
	size_t  n = 0;
	ssize_t got = 1;

	while (n < most && got > 0) {
		got = pread(fd, p + n, most - n, (off_t)n);
		if (got < 0 && errno == EINTR)
			got = 1;
		else if (got > 0)
			n += (size_t)got;
	}
	*out = strv(p, n);
	return got >= 0;
}

/* When it was kept: a name begins with the second (maildir.c). */
static uint64_t
second_of(struct strv path)
{
	size_t      slash = strv_rchr(path, '/');
	struct strv name = slash < path.n ? strv_from(path, slash + 1) : path;
	uint64_t    n = 0;

	(void)strv_number(strv_first(name, strv_chr(name, '.')), UINT64_MAX, &n);
	return n;
}

static int
by_age(const void *a, const void *b)
{
	const struct strv *x = a, *y = b;
	uint64_t           one = second_of(*x), other = second_of(*y);

	return one != other ? (one < other ? -1 : 1) : strv_cmp(*x, *y);
}

/* Those of new/ and cur/ whose name fits, oldest first. */
unsigned
release_find(
    const struct settings *s, struct world *w, struct arena *a, struct strv id, struct strv **out)
{
	struct strv *one[2];
	unsigned     n[2], all = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct strv pattern = arena_printf(a, "%s/%s/*.%.*s.*,W=*", s->smtp.quarantine,
		    i == 0 ? "new" : "cur", (int)id.n, id.p);

		(void)w->glob(w, a, pattern.p, &one[i], &n[i]);
	}
	*out = arena_array(a, n[0] + n[1], sizeof(**out));
	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < n[i]; k++)
			(*out)[all++] = one[i][k];
	if (all > 1)
		qsort(*out, all, sizeof(**out), by_age);
	return all;
}
