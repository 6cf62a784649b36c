/*
 * release -- `postern release': lists the quarantine, and sends messages of it on by the hops of the configuration.
 *
 * A file is locked while it is sent, so that two of us do not send it twice, and removed only when a hop said
 * 250 for all of its recipients.
 */
#include "proxy/release_own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/base/arena.h"
#include "proxy/base/counters.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/drop.h"
#include "proxy/smtp/resend.h"

#define SAID_MAX  (1024 * 1024)
#define HEAD_READ (64 * 1024)

/* ---- the list -------------------------------------------------------------------------------- */

/* Strangers' words on somebody's terminal: as the log has them. */
static struct strv
escaped(struct arena *a, struct strv v)
{
	size_t room = v.n * 4 + 1; /* \xNN */

	return log_escape(v, arena_bytes(a, room), room);
}

static struct strv
recipients(struct arena *a, const struct quarantined *q)
{
	struct strv first = q->rcpt[0], address = strv_first(first, strv_chr(first, ' '));

	if (q->n_rcpt == 1)
		return address;
	return arena_printf(a, "%.*s and %u more", (int)address.n, address.p, q->n_rcpt - 1);
}

static struct strv
line_of(struct arena *a, const char *path)
{
	int                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct quarantined q;
	struct strv        text, to, from;
	const char        *why = "";
	size_t             used;
	bool               ok;

	if (fd < 0)
		return release_fault(a, path);
	ok = release_read(a, fd, HEAD_READ, &text);
	if (ok && !quarantine_parse(a, text, &q, &used, &why) && text.n == HEAD_READ)
		ok = release_read(a, fd, QUARANTINE_HEAD, &text);
	close(fd);
	if (!ok)
		return release_fault(a, path);
	if (!quarantine_parse(a, text, &q, &used, &why))
		return arena_printf(a, "%s: %s", path, why);
	to = recipients(a, &q);
	from = strv_first(q.sender, strv_chr(q.sender, ' '));
	return arena_printf(a, "%-15.*s %.*s %10llu  %.*s  %.*s -> %.*s", (int)q.id.n, q.id.p,
	    (int)q.time.n, q.time.p, (unsigned long long)q.octets, (int)q.check.n, q.check.p,
	    (int)from.n, from.p, (int)to.n, to.p);
}

int
release_list(const struct settings *s, struct arena *a, void (*emit)(struct strv line, void *arg),
    void *arg, struct strv *why)
{
	struct world *w = world_real(-1);
	struct strv  *path;
	unsigned      n;

	if (access(s->smtp.quarantine, R_OK | X_OK) < 0 && errno != ENOENT) {
		*why = release_fault(a, s->smtp.quarantine);
		return -1;
	}
	n = release_find(s, w, a, SV("*"), &path);
	for (unsigned i = 0; i < n; i++) {
		struct arena *each = arena_new(4096, 0);

		emit(escaped(each, line_of(each, arena_z(a, path[i]))), arg);
		arena_free(each);
	}
	return (int)n;
}

/* ---- sending --------------------------------------------------------------------------------- */

struct release {
	const struct settings *s;
	struct world          *w;
	struct loop           *loop;
	struct smtp           *smtp;
	struct release_log    *log; /* NULL: there is none */
	const char *const     *id;
	unsigned               n, at, failed;
	void (*emit)(struct strv line, void *arg);
	void *arg;
	/* the one at hand */
	struct arena      *a;
	const char        *path;
	int                fd, other; /* the file, locked; our end of the client's socket */
	struct quarantined q;
	struct resend      resend;
};

static void
tell(struct release *r, struct strv text)
{
	struct strv rest = text;

	while (rest.n > 0) {
		struct strv line = strv_cut(&rest, '\n');

		if (line.n > 0 && line.p[line.n - 1] == '\r')
			line = strv_first(line, line.n - 1);
		line = arena_printf(r->a, "%s: %.*s", r->id[r->at], (int)line.n, line.p);
		r->emit(escaped(r->a, line), r->arg);
	}
}

/* A line's LF becomes CRLF; what was written as canonical text is so again. */
static struct strv
canonical(struct arena *a, struct strv text)
{
	char  *p, *to;
	size_t lines = 0;

	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	p = to = arena_bytes(a, text.n + lines);
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '\n')
			*to++ = '\r';
		*to++ = text.p[i];
	}
	return strv(p, (size_t)(to - p));
}

static const struct listener *
listener_of(const struct settings *s, struct strv name)
{
	for (unsigned i = 0; i < s->n_listener; i++)
		if (strv_eq(s->listener[i].name, name))
			return &s->listener[i];
	return &s->listener[0];
}

static bool
no(struct release *r, struct strv why)
{
	tell(r, why);
	return false;
}

/* Opened and locked, and still there under its name. */
static bool
open_file(struct release *r)
{
	struct stat now, named;

	r->fd = open(r->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return no(r, release_fault(r->a, r->path));
	if (flock(r->fd, LOCK_EX | LOCK_NB) < 0)
		return no(r, SV("it is being released already"));
	if (fstat(r->fd, &now) < 0 || stat(r->path, &named) < 0 || now.st_ino != named.st_ino)
		return no(r, SV("it was released just now"));
	return true;
}

static bool
read_file(struct release *r)
{
	struct stat st;
	struct strv all;
	size_t      used;
	const char *why = "";

	if (fstat(r->fd, &st) < 0)
		return no(r, release_fault(r->a, r->path));
	/* All of it is held, twice; where size_t has 32 bits, a file may have more than that can count. */
	if ((uint64_t)st.st_size > SIZE_MAX / 4)
		return no(r, SV("it is larger than a program on this machine can hold"));
	if (!release_read(r->a, r->fd, (size_t)st.st_size, &all))
		return no(r, release_fault(r->a, r->path));
	if (!quarantine_parse(r->a, all, &r->q, &used, &why))
		return no(r, arena_printf(r->a, "%s: %s", r->path, why));
	/* A host's name in that of the file is no ID. */
	if (!strv_eq(r->q.id, strv_z(r->id[r->at])))
		return no(r, SV("there is no such message in the quarantine"));
	r->resend.text = canonical(r->a, strv_from(all, used));
	if (r->resend.text.n != r->q.octets)
		return no(r, SV("the message is not as long as it was: the file was changed"));
	return true;
}

/* The one file of that id. */
static bool
find_one(struct release *r)
{
	struct strv  id = strv_z(r->id[r->at]);
	struct strv *path;
	unsigned     n;

	if (!quarantine_id_good(id))
		return no(r, SV("this is no ID of the quarantine"));
	if (access(r->s->smtp.quarantine, R_OK | X_OK) < 0 && errno != ENOENT)
		return no(r, release_fault(r->a, r->s->smtp.quarantine));
	n = release_find(r->s, r->w, r->a, id, &path);
	if (n == 0)
		return no(r, SV("there is no such message in the quarantine"));
	if (n > 1)
		return no(r, SV("several messages have this ID"));
	r->path = arena_z(r->a, path[0]);
	return true;
}

static void next(void *arg);

static void
close_one(struct release *r)
{
	buf_fini(&r->resend.said);
	if (r->fd >= 0)
		close(r->fd);
	if (r->other >= 0)
		close(r->other);
	arena_free(r->a);
	r->a = NULL;
	r->at++;
}

static void
sent(void *arg)
{
	struct release *r = arg;
	const char     *why = NULL;

	tell(r, buf_view(&r->resend.said));
	if (!r->resend.taken)
		r->failed++;
	else if (unlink(r->path) < 0)
		why = strerror(errno);
	if (why != NULL)
		tell(r, arena_printf(r->a, "sent, but it is still there: %s", why));
	release_log_line(r->log, r->a, &r->q, r->resend.taken, buf_view(&r->resend.said), why);
	close_one(r);
	next(r);
}

static bool
send_one(struct release *r)
{
	int fd[2];

	if (!find_one(r) || !open_file(r) || !read_file(r))
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) < 0)
		return no(r, release_fault(r->a, "socket"));
	r->other = fd[1];
	r->resend.q = &r->q;
	r->resend.listener = listener_of(r->s, r->q.listener);
	r->resend.done = sent;
	r->resend.arg = r;
	session_resend(r->smtp, &r->resend, fd[0]);
	return true;
}

static void
over(void *arg)
{
	loop_stop(((struct release *)arg)->loop);
}

/* One after the other; when there is none left the pool's connections end. */
static void
next(void *arg)
{
	struct release *r = arg;

	while (r->at < r->n) {
		r->a = arena_new(4096, 0);
		r->fd = r->other = -1;
		r->resend = (struct resend){ 0 };
		buf_init(&r->resend.said, SAID_MAX);
		if (send_one(r))
			return;
		r->failed++;
		close_one(r);
	}
	smtp_drain(r->smtp, over, r);
}

static void
play(struct release *r, const struct smtp_conf *conf, struct counters *counters)
{
	r->smtp = smtp_new(conf, r->w, r->loop, counters, 0);
	if (r->smtp == NULL) {
		r->emit(SV("no memory for the pools"), r->arg);
		return;
	}
	r->failed = 0;
	loop_defer(r->loop, next, r);
	loop_run(r->loop);
	smtp_free(r->smtp);
}

/* r->failed is all of them until the first is at hand. */
static void
send_all(struct release *r, struct arena *a)
{
	struct counters *counters = counters_new(1);
	const char      *why = "no memory";

	/* Files of a Maildir are its user's; and a server that hangs up is no end of ours. */
	ignore_signals();
	if (counters == NULL || !drop_privileges(r->s->user, &why)) {
		r->emit(strv_z(why), r->arg);
		return;
	}
	r->loop = loop_new(r->w);
	if (r->loop == NULL) {
		r->emit(SV("no event loop"), r->arg);
		return;
	}
	world_real_start(r->w, r->loop);
	(void)world_real_dns(r->w, &r->s->resolver, &why);
	play(r, settings_split(r->s, a, 1), counters);
	world_real_stop(r->w);
	loop_free(r->loop);
	counters_free(counters);
}

unsigned
release_send(const struct settings *s, struct world *w, struct arena *a, const char *const *id,
    unsigned n, void (*emit)(struct strv line, void *arg), void *arg)
{
	struct release r = {
		.s = s, .w = w, .id = id, .n = n, .failed = n, .emit = emit, .arg = arg
	};
	struct strv why;

	r.log = release_log_open(a, w, s, &why);
	if (r.log == NULL)
		emit(why, arg);
	send_all(&r, a);
	release_log_close(r.log);
	return r.failed;
}
