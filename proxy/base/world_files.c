/*
 * world_files.c -- the disk of the world that is the machine.
 *
 * Whatever is asked for, a name from a configuration may turn out to be a pipe, a folder or a device: that
 * is a value.  Nothing here waits but read_file, glob, and commit, which is called on the work thread.
 * The invariant: a file made here is closed on exec and can be read by its owner alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/world.h"
#include "proxy/base/world_files.h"

enum {
	PATH_ROOM = 1024,  /* of a spool directory; a fiber's stack is small */
	SILENT_MS = 10000, /* of a pipe that is read */
};

const char *
file_rc_name(enum file_rc rc)
{
	static const char *const names[] = {
		[FILE_OK] = "ok",
		[FILE_ABSENT] = "no such file or directory",
		[FILE_DENIED] = "permission denied",
		[FILE_READ_ONLY] = "read-only file system",
		[FILE_FULL] = "no space left",
		[FILE_TOO_BIG] = "too big",
		[FILE_FOLDER] = "it is a directory",
		[FILE_NO_FOLDER] = "it is not a directory",
		[FILE_SOCKET] = "it is a socket, or no device",
		[FILE_SILENT] = "it is a pipe, and nothing came from it in 10 seconds",
		[FILE_NO_DESCRIPTOR] = "no descriptor is free",
		[FILE_INTERRUPTED] = "interrupted",
		[FILE_FAULT] = "input/output fault",
	};

	return names[rc];
}

static enum file_rc
file_rc(int error)
{
	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return FILE_ABSENT;
	case EACCES:
	case EPERM:
		return FILE_DENIED;
	case EROFS:
		return FILE_READ_ONLY;
	case EISDIR:
		return FILE_FOLDER;
	case ENXIO:
		return FILE_SOCKET;
	case EMFILE:
	case ENFILE:
		return FILE_NO_DESCRIPTOR;
	case EINTR:
		return FILE_INTERRUPTED;
	case ENOSPC:
	case EDQUOT:
		return FILE_FULL;
	case EFBIG:
		return FILE_TOO_BIG;
	default:
		return FILE_FAULT;
	}
}

static int
spool_unlinked(const char *dir)
{
	char path[PATH_ROOM];
	int  n = snprintf(path, sizeof(path), "%s/postern.XXXXXX", dir), fd;

	if (n < 0 || (size_t)n >= sizeof(path) || (fd = mkostemp(path, O_CLOEXEC)) < 0)
		return -1;
	(void)unlink(path);
	return fd;
}

static int
files_spool(struct world *w, const char *dir)
{
	int fd;

	(void)w;
	if (dir == NULL || dir[0] == '\0')
		dir = access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp";
	fd = open(dir, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	return fd >= 0 ? fd : spool_unlinked(dir);
}

/* What there is, once there is something.  A pipe has an end only when somebody has written to it, or begun to. */
static ssize_t
read_some(int fd, char *p, size_t n, bool pipe)
{
	struct pollfd is = { .fd = fd, .events = POLLIN };
	int           come = poll(&is, 1, pipe ? SILENT_MS : -1);

	if (come == 0)
		errno = ETIME;
	return come > 0 ? read(fd, p, n) : -1;
}

/* Reads to the end whatever it is, a pipe as well: fstat's size is only where to begin. */
static enum file_rc
read_all(struct arena *a, int fd, const struct stat *st, size_t max, struct strv *out)
{
	size_t  room = st->st_size > 4096 ? (size_t)st->st_size : 4096, n = 0;
	char   *p, *bigger;
	ssize_t r;

	room = room < max ? room : max;
	p = arena_bytes(a, room + 1);
	while ((r = read_some(fd, p + n, room + 1 - n, S_ISFIFO(st->st_mode))) != 0) {
		if (r < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (r < 0 && errno == ETIME)
			return FILE_SILENT;
		if (r < 0)
			return file_rc(errno);
		if ((n += (size_t)r) <= room)
			continue;
		if (n > max)
			return FILE_TOO_BIG;
		room = room > max / 2 ? max : 2 * room;
		bigger = arena_bytes(a, room + 1);
		memcpy(bigger, p, n);
		p = bigger;
	}
	*out = strv(p, n);
	return FILE_OK;
}

static enum file_rc
read_opened(struct arena *a, int fd, size_t max, struct strv *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return FILE_FAULT;
	if (S_ISDIR(st.st_mode))
		return FILE_FOLDER;
	if (S_ISREG(st.st_mode) && (uintmax_t)st.st_size > max)
		return FILE_TOO_BIG;
	return read_all(a, fd, &st, max, out);
}

/* Without O_NONBLOCK, to open a pipe waits for who writes to it. */
static enum file_rc
files_read_file(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	int          fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	enum file_rc rc;

	(void)w;
	if (fd < 0)
		return file_rc(errno);
	rc = read_opened(a, fd, max, out);
	close(fd);
	return rc;
}

static enum file_rc
files_mode(struct world *w, const char *path, unsigned *mode)
{
	struct stat st;

	(void)w;
	if (stat(path, &st) < 0)
		return file_rc(errno);
	*mode = st.st_mode & 0777;
	return FILE_OK;
}

static enum file_rc
files_glob(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	glob_t g = { 0 };
	int    rc = glob(pattern, GLOB_ERR, NULL, &g);

	(void)w;
	*out = NULL;
	*n = 0;
	if (rc == 0) {
		*n = (unsigned)g.gl_pathc;
		*out = arena_array(a, *n, sizeof(**out));
		for (unsigned i = 0; i < *n; i++)
			(*out)[i] = arena_dup(a, strv_z(g.gl_pathv[i]));
	}
	globfree(&g);
	return rc == 0 ? FILE_OK : rc == GLOB_NOMATCH ? FILE_ABSENT : FILE_FAULT;
}

static int
files_create(struct world *w, const char *path, enum file_rc *rc)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	(void)w;
	*rc = fd < 0 ? file_rc(errno) : FILE_OK;
	return fd;
}

static enum file_rc
files_make_dir(struct world *w, const char *path)
{
	struct stat st;

	(void)w;
	if (mkdir(path, 0700) == 0)
		return FILE_OK;
	if (errno == EEXIST)
		return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? FILE_OK : FILE_NO_FOLDER;
	return file_rc(errno);
}

/* A name that is taken stays as it is. */
static int
rename_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(from, to) != 0)
		return -1;
	(void)unlink(from);
	return 0;
}

static int
sync_dir_of(const char *path)
{
	size_t n = strlen(path);
	char  *copy = mem_alloc(n + 1);
	int    fd, rc;

	memcpy(copy, path, n);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mem_free(copy);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

static enum file_rc
files_commit(struct world *w, int fd, const char *from, const char *to)
{
	int error;

	(void)w;
	if (fsync(fd) != 0 || rename_new(from, to) != 0)
		return file_rc(errno);
	if (sync_dir_of(to) == 0)
		return FILE_OK;
	error = errno;
	(void)unlink(to);
	return file_rc(error);
}

static void
files_unlink(struct world *w, const char *path)
{
	(void)w;
	(void)unlink(path);
}

void
world_files_into(struct world *w)
{
	w->spool = files_spool;
	w->read_file = files_read_file;
	w->file_mode = files_mode;
	w->glob = files_glob;
	w->create = files_create;
	w->make_dir = files_make_dir;
	w->commit = files_commit;
	w->unlink = files_unlink;
}
