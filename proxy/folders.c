/*
 * folders -- tries, when a worker begins, whether the folders that take messages can be written to.
 *
 * It only tells: messages hear 451 until somebody has mended the folder, and then no more, without a reload.  A
 * disk that hangs holds up the work thread alone.  Nothing stays behind but the folders of a Maildir, which its
 * first message would have made.
 */
#include "proxy/folders.h"

#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/world.h"
#include "proxy/settings.h"
#include "proxy/smtp/maildir.h"

struct folder {
	const char  *statement;
	const char  *dir;
	const char  *which; /* messages need it */
	bool         maildir;
	const char  *where; /* the folder below dir that rc is about */
	enum file_rc rc;
};

struct folders {
	struct arena  *a; /* its own, for it is used by the work thread */
	struct world  *world;
	const char    *user;
	struct folder *v;
	unsigned       n;
};

/* The reason why a spool cannot be had is that of any other file there. */
static enum file_rc
try_spool(struct folders *f, const char *dir)
{
	int          fd = f->world->spool(f->world, dir);
	enum file_rc rc;

	if (fd >= 0) {
		close(fd);
		return FILE_OK;
	}
	rc = maildir_try_file(f->a, f->world, dir);
	return rc == FILE_OK ? FILE_FAULT : rc;
}

/* On the work thread. */
static void
try_all(void *arg)
{
	struct folders *f = arg;

	for (unsigned i = 0; i < f->n; i++) {
		struct folder *d = &f->v[i];

		d->where = d->dir;
		d->rc = d->maildir ? maildir_try(f->a, f->world, d->dir, &d->where) :
				     try_spool(f, d->dir);
	}
}

static void
warn(const struct folders *f, const struct folder *d)
{
	struct log_line l;

	log_begin(&l, f->world, SV("worker"), "warning");
	log_z(&l, "folder", d->where);
	log_z(&l, "statement", d->statement);
	if (f->user != NULL)
		log_z(&l, "user", f->user);
	else
		log_number(&l, "uid", (uint64_t)geteuid());
	log_z(&l, "failed", file_rc_name(d->rc));
	log_strv(&l, "why",
	    arena_printf(f->a, "%s hear %u until it can be written to", d->which,
		d->maildir && d->rc == FILE_FULL ? 452 : 451));
	log_end(&l);
}

static void
tell(void *arg)
{
	struct folders *f = arg;

	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i].rc != FILE_OK)
			warn(f, &f->v[i]);
	arena_free(f->a);
}

void
folders_try(const struct settings *s, struct world *w)
{
	struct arena   *a = arena_new(4096, 0);
	struct folders *f = arena_alloc(a, sizeof *f);

	*f = (struct folders){ .a = a, .world = w, .user = s->user };
	f->v = arena_array(a, s->n_server + 2, sizeof *f->v);
	for (unsigned i = 0; i < s->n_server; i++)
		if (s->server[i].kind == HOP_MAILDIR)
			f->v[f->n++] = (struct folder){ .statement = "upstream maildir",
				.dir = s->server[i].dir,
				.which = "messages for it",
				.maildir = true };
	if (s->smtp.quarantine != NULL)
		f->v[f->n++] = (struct folder){ .statement = "quarantine",
			.dir = s->smtp.quarantine,
			.which = "messages to be kept",
			.maildir = true };
	if (s->smtp.spool_dir[0] != '\0')
		f->v[f->n++] = (struct folder){ .statement = "spool",
			.dir = s->smtp.spool_dir,
			.which = "messages that memory does not hold",
			.maildir = false };
	w->work(w, try_all, tell, f);
}
