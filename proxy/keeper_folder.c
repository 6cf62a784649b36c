/*
 * keeper_folder -- see keeper_folder.h.
 *
 * Everybody may write where these folders lie.  The invariant: nothing is removed but what was opened as a folder of
 * our user's, and is locked by us.
 */
#include "proxy/keeper_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/arena.h"

#define FRESH_MS 60000 /* another master may just be about to hold it */
#define SEEN_MAX 10000 /* names in a folder that are looked at */
#define BASE_MAX 80    /* octets of TMPDIR: a socket's path has 107 */

void
folder_as(const char *user)
{
	struct passwd *pw = user != NULL && geteuid() == 0 ? getpwnam(user) : NULL;

	if (pw == NULL)
		return;
	setfsgid(pw->pw_gid);
	setfsuid(pw->pw_uid);
}

void
folder_as_ourselves(void)
{
	setfsuid(geteuid());
	setfsgid(getegid());
}

/* Who we are to the file system: the user of the plugins, behind folder_as. */
static uid_t
our_user(void)
{
	return (uid_t)setfsuid((uid_t)-1);
}

/* The descriptor that holds it, to be closed by whom it is not for, too; -1: that cannot be had. */
static int
hold(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Hosts name their sockets by a number. */
static bool
is_socket(int folder, const char *name)
{
	struct stat st;

	return name[strspn(name, "0123456789")] == '\0' &&
	    fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode);
}

/* Closes fd. */
static void
empty(int fd)
{
	DIR           *d = fdopendir(fd);
	struct dirent *e;
	unsigned       n = 0;

	if (d == NULL) {
		close(fd);
		return;
	}
	while (n++ < SEEN_MAX && (e = readdir(d)) != NULL)
		if (is_socket(fd, e->d_name))
			(void)unlinkat(fd, e->d_name, 0);
	closedir(d);
}

static bool
is_left_behind(int fd, uint64_t wall)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == our_user() && (st.st_mode & 0777) == 0700 &&
	    (uint64_t)st.st_mtim.tv_sec * 1000 + FRESH_MS < wall / 1000 &&
	    flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void
sweep_one(int base, const char *name, uint64_t wall)
{
	int fd = openat(base, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!is_left_behind(fd, wall)) {
		close(fd);
		return;
	}
	empty(fd);
	/* Where it holds anything else it stays. */
	(void)unlinkat(base, name, AT_REMOVEDIR);
}

/*
 * In base, with the rights that we have on files now: those of our own user that nobody holds and that were made a
 * while ago (wall: world->wall) go, with the sockets in them.  No link is followed, and what is no socket stays.
 */
static void
sweep(const char *base, uint64_t wall)
{
	DIR           *d = opendir(base);
	struct dirent *e;
	unsigned       n = 0;

	if (d == NULL)
		return;
	while (n++ < SEEN_MAX && (e = readdir(d)) != NULL)
		if (strncmp(e->d_name, FOLDER_NAME, strlen(FOLDER_NAME)) == 0)
			sweep_one(dirfd(d), e->d_name, wall);
	closedir(d);
}

int
folder_make(struct arena *a, const char *user, uint64_t wall, const char **folder,
    struct arena *said, const char **why)
{
	const char *base = getenv("TMPDIR");
	char       *path;
	int         held = -1;

	if (base == NULL || base[0] != '/')
		base = "/tmp";
	if (strlen(base) > BASE_MAX) {
		*why = "the path in TMPDIR is longer than a socket may have";
		return -1;
	}
	path = arena_z(a, arena_printf(a, "%s/" FOLDER_NAME "XXXXXX", base));
	folder_as(user);
	sweep(base, wall);
	*folder = mkdtemp(path);
	if (*folder != NULL)
		held = hold(path);
	*why = arena_printf(said, "no folder can be made in %s: %s", base, strerror(errno)).p;
	if (*folder != NULL && held < 0)
		(void)rmdir(path);
	folder_as_ourselves();
	return held;
}
