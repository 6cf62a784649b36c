/*
 * maildir -- a file of a Maildir: written to tmp/, made durable, renamed into new/.
 *
 * What blocks runs on the work thread.  A Maildir's lines end with LF: canonical text has no other LF or CR,
 * so nothing is lost.  Invariant: FILE_OK means that the message is on disk under its final name.
 */
#include "proxy/smtp/maildir.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/work.h"

#define WRITE_AT_ONCE (64 * 1024)
#define NAME_LONGEST  200

static const char *const below[] = { "", "/tmp", "/new", "/cur" };

static enum file_rc
write_all(int fd, struct strv v)
{
	while (v.n > 0) {
		ssize_t n = write(fd, v.p, v.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? FILE_FULL :
										      FILE_FAULT;
		v = strv_from(v, (size_t)n);
	}
	return FILE_OK;
}

/* CRLF becomes LF; *cr carries a CR at the end of one piece to the next. */
static void
add_unix(struct buf *out, struct strv text, bool *cr)
{
	while (text.n > 0) {
		size_t      n = strv_chr(text, '\r');
		struct strv line = strv_first(text, n);

		if (*cr && text.p[0] != '\n')
			buf_addc(out, '\r');
		*cr = n < text.n;
		buf_add(out, line);
		text = strv_from(text, n < text.n ? n + 1 : n);
	}
}

static enum file_rc
write_unix(int fd, struct strv text, struct buf *out, bool *cr)
{
	enum file_rc rc = FILE_OK;

	while (rc == FILE_OK && text.n > 0) {
		struct strv part = strv_first(
		    text, text.n < WRITE_AT_ONCE ? text.n : WRITE_AT_ONCE);

		buf_clear(out);
		add_unix(out, part, cr);
		rc = write_all(fd, buf_view(out));
		text = strv_from(text, part.n);
	}
	return rc;
}

static enum file_rc
write_message(struct delivery *d, int fd)
{
	struct buf   out;
	bool         cr = false;
	uint64_t     at = 0;
	enum file_rc rc;

	buf_init(&out, 2 * WRITE_AT_ONCE);
	rc = write_unix(fd, d->fields, &out, &cr);
	if (rc == FILE_OK)
		rc = write_unix(fd, d->head, &out, &cr);
	while (rc == FILE_OK && d->body != NULL) {
		struct strv t = spool_read(d->body, at, d->scratch, BUFPOOL_SIZE);

		if (t.p == NULL)
			rc = FILE_FAULT;
		if (t.n == 0)
			break;
		rc = write_unix(fd, t, &out, &cr);
		at += t.n;
	}
	buf_fini(&out);
	return rc;
}

static enum file_rc
make_maildir(const struct delivery *d)
{
	enum file_rc rc = FILE_OK;

	for (unsigned i = 0; i < 4 && rc == FILE_OK; i++)
		rc = d->world->make_dir(d->world, d->dir[i]);
	return rc;
}

uint64_t
maildir_octets(struct strv name)
{
	static const char mark[] = ",W=";
	size_t            slash = strv_rchr(name, '/');
	uint64_t          n = 0;

	for (size_t i = slash < name.n ? slash : 0; i + 3 < name.n; i++) {
		if (memcmp(name.p + i, mark, 3) != 0)
			continue;
		for (i += 3; i < name.n && ascii_is_digit(name.p[i]) && n < UINT64_MAX / 16; i++)
			n = 10 * n + (uint64_t)(name.p[i] - '0');
		return n;
	}
	return 0;
}

/* What each process adds at the same moment is not seen: so many messages more may fit. */
static bool
has_room(const struct delivery *d)
{
	static const char *const in[] = { "/new/*", "/cur/*" };
	struct arena            *a;
	uint64_t                 sum = d->octets;

	if (d->max == 0)
		return true;
	a = arena_new(4096, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct strv *name;
		unsigned     n;

		(void)d->world->glob(
		    d->world, a, arena_printf(a, "%s%s", d->dir[0], in[i]).p, &name, &n);
		while (n > 0)
			sum += maildir_octets(name[--n]);
	}
	arena_free(a);
	return sum <= d->max;
}

/* On the work thread. */
static void
deliver(void *arg)
{
	struct delivery *d = arg;
	int              fd;

	d->rc = make_maildir(d);
	if (d->rc == FILE_OK && !has_room(d))
		d->rc = FILE_FULL;
	if (d->rc != FILE_OK)
		return;
	fd = d->world->create(d->world, d->tmp, &d->rc);
	if (fd < 0)
		return;
	d->rc = write_message(d, fd);
	if (d->rc == FILE_OK)
		d->rc = d->world->commit(d->world, fd, d->tmp, d->to);
	if (d->rc != FILE_OK)
		d->world->unlink(d->world, d->tmp);
	close(fd);
}

void
maildir_name_clean(char *name)
{
	for (char *p = name; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
}

const char *
maildir_name(struct session *s)
{
	struct world *w = s->smtp->world;
	struct strv   host = s->smtp->conf->hostname;
	uint64_t      wall = w->wall(w), r;
	char          name[NAME_LONGEST];

	w->random(w, &r, sizeof r);
	snprintf(name, sizeof name, "%llu.M%06lluR%016llx.%.*s",
	    (unsigned long long)(wall / 1000000), (unsigned long long)(wall % 1000000),
	    (unsigned long long)r, (int)(host.n < 64 ? host.n : 64), host.p);
	maildir_name_clean(name);
	return arena_z(session_tx(s)->a, strv_z(name));
}

struct delivery *
maildir_prepare(struct session *s, const char *dir, const char *name)
{
	struct arena    *a = session_tx(s)->a;
	struct delivery *d = arena_alloc(a, sizeof *d);

	d->world = s->smtp->world;
	for (unsigned i = 0; i < 4; i++)
		d->dir[i] = arena_printf(a, "%s%s", dir, below[i]).p;
	d->tmp = arena_printf(a, "%s/tmp/%s", dir, name).p;
	d->to = arena_printf(a, "%s/new/%s", dir, name).p;
	return d;
}

MAY_YIELD enum file_rc
maildir_deliver(struct session *s, struct delivery *d)
{
	d->scratch = bufpool_take(s->smtp->bufs);
	work_run(s->smtp->loop, deliver, d);
	bufpool_give(s->smtp->bufs, d->scratch);
	return d->rc;
}

/* A name with a dot in front is no message: cr.yp.to/proto/maildir.html, "How does an MUA read mail?". */
enum file_rc
maildir_try_file(struct arena *a, struct world *w, const char *dir, uint64_t chance)
{
	enum file_rc rc;
	const char  *path;
	int          fd;

	path = arena_printf(a, "%s/.postern-try.%016llx", dir, (unsigned long long)chance).p;
	fd = w->create(w, path, &rc);
	if (fd < 0)
		return rc;
	close(fd);
	w->unlink(w, path);
	return FILE_OK;
}

enum file_rc
maildir_try(struct arena *a, struct world *w, const char *dir, uint64_t chance, const char **where)
{
	enum file_rc rc = FILE_OK;

	for (unsigned i = 0; i < 4 && rc == FILE_OK; i++) {
		*where = arena_printf(a, "%s%s", dir, below[i]).p;
		rc = w->make_dir(w, *where);
	}
	for (unsigned i = 1; i < 3 && rc == FILE_OK; i++) {
		*where = arena_printf(a, "%s%s", dir, below[i]).p;
		rc = maildir_try_file(a, w, *where, chance);
	}
	return rc;
}
