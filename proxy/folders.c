/*
 * folders -- tries, when a worker begins, whether the folders that take messages can be written to.
 *
 * It only tells: messages hear 451 until somebody has mended the folder, and then no more, without a reload.
 * Nothing stays behind but the folders of a Maildir, which its first message would have made.  A thread of its own
 * does it and ends with it: a disk that hangs holds up nobody's messages, and a process that has one thread again is
 * quicker (world_real.c).
 */
#include "proxy/folders.h"

#include <pwd.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/work.h"
#include "proxy/base/world.h"
#include "proxy/settings.h"
#include "proxy/smtp/maildir.h"

struct folder {
	const char  *statement;
	const char  *dir;
	const char  *which; /* messages need it */
	bool         maildir;
	uint64_t     chance; /* drawn beforehand: chance is the loop's */
	const char  *where;  /* the folder below dir that rc is about */
	enum file_rc rc;
};

struct folders {
	struct arena       *a; /* its own, for it is used by the thread */
	struct world       *world;
	struct loop        *loop;
	struct work_thread *thread;
	struct timer        over;
	const char         *user;
	struct folder      *v;
	unsigned            n;
};

/* The reason why a spool cannot be had is that of any other file there. */
static enum file_rc
try_spool(struct folders *f, const struct folder *d)
{
	int          fd = f->world->spool(f->world, d->dir);
	enum file_rc rc;

	if (fd >= 0) {
		close(fd);
		return FILE_OK;
	}
	rc = maildir_try_file(f->a, f->world, d->dir, d->chance);
	return rc == FILE_OK ? FILE_FAULT : rc;
}

/* On the thread. */
static void
try_all(void *arg)
{
	struct folders *f = arg;

	for (unsigned i = 0; i < f->n; i++) {
		struct folder *d = &f->v[i];

		d->where = d->dir;
		d->rc = d->maildir ? maildir_try(f->a, f->world, d->dir, d->chance, &d->where) :
				     try_spool(f, d);
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
end(void *arg)
{
	struct folders *f = arg;

	work_stop(f->thread);
	arena_free(f->a);
}

static void
tell(void *arg)
{
	struct folders *f = arg;

	for (unsigned i = 0; i < f->n; i++)
		if (f->v[i].rc != FILE_OK)
			warn(f, &f->v[i]);
	/* Not here, where the thread's jobs are counted off. */
	f->over = (struct timer){ .fn = end, .arg = f };
	timer_start(f->loop, &f->over, loop_now(f->loop));
}

static void
add(struct folders *f, struct folder d)
{
	f->world->random(f->world, &d.chance, sizeof d.chance);
	f->v[f->n++] = d;
}

static void
list(struct folders *f, const struct settings *s)
{
	f->v = arena_array(f->a, s->n_server + 2, sizeof *f->v);
	for (unsigned i = 0; i < s->n_server; i++)
		if (s->server[i].kind == HOP_MAILDIR)
			add(f,
			    (struct folder){ .statement = "upstream maildir",
				.dir = s->server[i].dir,
				.which = "messages for it",
				.maildir = true });
	if (s->smtp.quarantine != NULL)
		add(f,
		    (struct folder){ .statement = "quarantine",
			.dir = s->smtp.quarantine,
			.which = "messages to be kept",
			.maildir = true });
	if (s->smtp.spool_dir[0] != '\0')
		add(f,
		    (struct folder){ .statement = "spool",
			.dir = s->smtp.spool_dir,
			.which = "messages that memory does not hold",
			.maildir = false });
}

void
folders_try(const struct settings *s, struct world *w, struct loop *l)
{
	struct arena   *a = arena_new(4096, 0);
	struct folders *f = arena_alloc(a, sizeof *f);
	struct passwd  *pw = s->user == NULL ? NULL : getpwnam(s->user);

	*f = (struct folders){ .a = a, .world = w, .loop = l };
	/* `user' is ignored where no root has started us. */
	if (pw != NULL && pw->pw_uid == geteuid())
		f->user = s->user;
	list(f, s);
	f->thread = f->n > 0 ? work_start(l) : NULL;
	if (f->thread != NULL)
		work_submit(f->thread, try_all, tell, f);
	else
		arena_free(a);
}
