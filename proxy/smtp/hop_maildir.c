/*
 * hop_maildir -- the message into a Maildir: the embedded default of a first run.
 *
 * Written to tmp/, made durable, renamed into new/; only then the client hears 250 (RFC 5321 4.2.5).  What
 * blocks runs on the work thread.  A Maildir's lines end with LF: canonical text has no other LF or CR, so
 * nothing is lost.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "proxy/base/work.h"
#include "proxy/smtp/render.h"
#include "proxy/smtp/sessionlog.h"

#define WRITE_AT_ONCE (64 * 1024)

struct delivery { /* what the work thread gets; the fiber waits for it */
	struct world *world;
	char          name[128];
	const char   *dir[4]; /* the Maildir and its three folders */
	const char   *tmp, *to;
	struct strv   fields; /* Return-Path, Delivered-To, with LF */
	struct strv   head;
	struct spool *body;
	char         *scratch;
	enum file_rc  rc;
};

static enum file_rc
write_all(int fd, struct strv v)
{
	while (v.n > 0) {
		ssize_t n = write(fd, v.p, v.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == ENOSPC || errno == EDQUOT ? FILE_FULL : FILE_FAULT;
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
	enum file_rc rc = write_all(fd, d->fields);

	buf_init(&out, 2 * WRITE_AT_ONCE);
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

/* On the work thread. */
static void
deliver(void *arg)
{
	struct delivery *d = arg;
	int              fd;

	d->rc = make_maildir(d);
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

/* cr.yp.to/proto/maildir.html: time, something unique, host. */
static void
make_name(struct session *s, char *name, size_t n)
{
	struct world *w = s->smtp->world;
	struct strv   host = s->smtp->conf->hostname;
	uint64_t      wall = w->wall(w), r;

	w->random(w, &r, sizeof r);
	snprintf(name, n, "%llu.M%06lluR%016llx.%.*s", (unsigned long long)(wall / 1000000),
	    (unsigned long long)(wall % 1000000), (unsigned long long)r,
	    (int)(host.n < 64 ? host.n : 64), host.p);
	for (char *p = name; *p != '\0'; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
}

static void
make_paths(struct session *s, struct delivery *d)
{
	static const char *const below[] = { "", "/tmp", "/new", "/cur" };
	struct arena            *a = session_tx(s)->a;
	const char              *dir = pool_conf(s->relay.pool)->server->dir;

	make_name(s, d->name, sizeof d->name);
	for (unsigned i = 0; i < 4; i++)
		d->dir[i] = arena_printf(a, "%s%s", dir, below[i]).p;
	d->tmp = arena_printf(a, "%s/tmp/%s", dir, d->name).p;
	d->to = arena_printf(a, "%s/new/%s", dir, d->name).p;
}

/* RFC 5321 4.4: final delivery notes the reverse-path. */
static struct strv
delivery_fields(struct session *s)
{
	struct transaction *tx = session_tx(s);
	struct strv         from = path_text(&tx->env.from);
	struct strv         out = arena_printf(tx->a, "Return-Path: <%.*s>\n", (int)from.n, from.p);

	for (unsigned i = 0; i < tx->env.n_rcpt; i++) {
		struct strv to = path_text(&tx->env.rcpt[i].to);

		if (tx->env.rcpt[i].upstream_took)
			out = arena_concat(tx->a, out,
			    arena_printf(tx->a, "Delivered-To: %.*s\n", (int)to.n, to.p));
	}
	return out;
}

static void
maildir_rcpt(struct session *s, unsigned i, struct slot *slot)
{
	struct reply r = { 250, "2.1.5", SV("Ok") };

	session_tx(s)->env.rcpt[i].upstream_took = true;
	s->relay.mail = MAIL_OK;
	slots_fill(&s->replies, slot, &r);
}

static void
answer(struct session *s, const struct delivery *d, struct reply *out)
{
	struct arena *a = session_tx(s)->a;

	if (d->rc == FILE_OK) {
		s->relay.outcome = OUTCOME_TAKEN;
		*out =
		    (struct reply){ 250, "2.0.0", arena_printf(a, "Ok: delivered as %s", d->name) };
		return;
	}
	s->relay.outcome = OUTCOME_FAILED;
	session_log_event(
	    s, "maildir-failed", arena_printf(a, "%s: %s", d->tmp, file_rc_name(d->rc)).p);
	*out = (struct reply){ 452, "4.3.1", SV("no space for the message now") };
	if (d->rc != FILE_FULL)
		*out = (struct reply){ 451, "4.3.0", SV("could not deliver the message now") };
}

static void
maildir_finish(struct session *s, struct reply *out)
{
	struct transaction *tx = session_tx(s);
	struct view         v = { &tx->msg, &tx->edits, tx->edits.n };
	struct delivery    *d = arena_alloc(tx->a, sizeof *d);
	struct render       r;

	if (relay_client_left(s)) {
		*out = (struct reply){ 451, "4.3.0", SV("cancelled") };
		return;
	}
	render_begin(&r, tx->a, &v, relay_fields(s));
	d->world = s->smtp->world;
	make_paths(s, d);
	d->fields = delivery_fields(s);
	d->head = r.head;
	d->body = r.body;
	d->scratch = bufpool_take(s->smtp->bufs);
	s->relay.committed = true;
	work_run(s->smtp->loop, deliver, d);
	bufpool_give(s->smtp->bufs, d->scratch);
	answer(s, d, out);
}

const struct hop hop_maildir = {
	.name = "maildir",
	.rcpt = maildir_rcpt,
	.finish = maildir_finish,
};
