/*
 * milter_text -- header, body and end of a message, told when all of it is there.
 *
 * A milter is shown the message as those before it have left it: no field of ours, none that is hidden.  What the
 * milter does not want to hear of is not even looked at, and octets are copied only where the protocol wants them
 * otherwise than the message has them (folded fields).
 */
#include <assert.h>

#include "filters/milter.h"
#include "proxy/base/arena.h"

struct scratch {
	char  *p;
	size_t room;
};

static char *
room_for(struct arena *a, struct scratch *s, size_t n)
{
	if (n > s->room) {
		s->room = n * 2;
		s->p = arena_bytes(a, s->room);
	}
	return s->p;
}

/* libmilter, xxfi_header: lines of a value are divided by LF, and the blank behind the colon is not of it. */
static struct strv
value_of(struct arena *a, struct scratch *s, const struct view_field *f, bool exact)
{
	struct strv v = strv_from(strv_first(f->raw, f->raw.n - 2), f->name.n);
	char       *p;
	size_t      n = 0;

	v = strv_from(v, strv_chr(v, ':') + 1);
	if (!exact && v.n > 0 && v.p[0] == ' ')
		v = strv_from(v, 1);
	if (v.n == 0 || memchr(v.p, '\r', v.n) == NULL)
		return v;
	p = room_for(a, s, v.n);
	while (v.p != NULL) {
		struct strv line = strv_cut(&v, '\r');

		memcpy(p + n, line.p, line.n);
		n += line.n;
	}
	return strv(p, n);
}

/* As fit_macros of milter_talk.c: name and value have one packet, two octets of NUL in it. */
static void
fit_field(struct milter_talk *t, struct milter_event *e)
{
	size_t most = milter_chunk(t->p->wants) - 2, n = e->text.n + e->value.n;

	if (n <= most)
		return;
	e->text.n = e->text.n < most ? e->text.n : most;
	e->value.n = most - e->text.n;
	milter_fail_cut(t, e->cmd, e->text, n, most);
}

MAY_YIELD static enum milter_told
tell_header(struct milter_talk *t, const struct view *v)
{
	struct milter_peer *p = t->p;
	bool                exact = (p->wants & MILTER_LEADING_SPACE) != 0;
	struct scratch      scratch = { 0 };
	struct milter_event e = { .cmd = MILTER_CMD_HEADER };
	enum milter_told    rc = TOLD_ON;
	unsigned            n;
	struct view_field  *f;

	if (p->wants & MILTER_NO_HEADERS)
		return TOLD_ON;
	f = view_fields(t->work, v, &n);
	for (unsigned i = 0; i < n && rc == TOLD_ON; i++) {
		e.text = f[i].name;
		e.value = value_of(t->work, &scratch, &f[i], exact);
		fit_field(t, &e);
		rc = milter_talk_say(t, &e, NULL);
	}
	return rc;
}

/* The next `most' octets: as they lie where they lie in one piece, else gathered.  Absent: they cannot be read. */
static struct strv
chunk_at(
    struct milter_talk *t, struct scratch *s, const struct spool *body, uint64_t at, size_t most)
{
	uint64_t    left = spool_size(body) - at;
	size_t      n = left < most ? (size_t)left : most, have = 0;
	struct strv v;

	if (spool_in_memory(body)) {
		v = spool_read(body, at, NULL, 0);
		if (v.n >= n)
			return strv_first(v, n);
	}
	if (s->room < n)
		room_for(t->work, s, n);
	while (have < n) {
		v = spool_read(body, at + have, s->p + have, n - have);
		if (v.p == NULL || v.n == 0)
			return strv(NULL, 0);
		v.n = v.n < n - have ? v.n : n - have;
		if (v.p != s->p + have)
			memcpy(s->p + have, v.p, v.n);
		have += v.n;
	}
	return strv(s->p, n);
}

MAY_YIELD static enum milter_told
tell_body(struct milter_talk *t, const struct view *v)
{
	const struct spool *body = view_body(v);
	size_t              most = milter_chunk(t->p->wants);
	uint64_t            size = body != NULL ? spool_size(body) : 0;
	struct scratch      scratch = { 0 };
	struct milter_event e = { .cmd = MILTER_CMD_BODY };
	enum milter_told    rc = TOLD_ON;

	if (t->p->wants & MILTER_NO_BODY)
		return TOLD_ON;
	for (uint64_t at = 0; at < size && rc == TOLD_ON; at += e.text.n) {
		if (t->p->skips & 1u << MILTER_CMD_BODY)
			break;
		e.text = chunk_at(t, &scratch, body, at, most);
		if (e.text.p == NULL)
			return milter_fail_text(t);
		rc = milter_talk_say(t, &e, NULL);
	}
	return rc;
}

MAY_YIELD enum milter_told
milter_tell_text(struct milter_talk *t)
{
	static const struct milter_event eoh = { .cmd = MILTER_CMD_EOH },
					 eom = { .cmd = MILTER_CMD_EOM };
	struct milter_ask ask = { .conf = t->shared->conf, .mail = t->m };
	const struct view v = { t->m->msg, t->found->edits, t->found->edits->n };
	enum milter_told  rc = tell_header(t, &v);

	if (rc == TOLD_ON)
		rc = milter_talk_say(t, &eoh, &ask);
	if (rc == TOLD_ON)
		rc = tell_body(t, &v);
	if (rc == TOLD_ON)
		rc = milter_talk_end(t, &eom, &ask, &v);
	return rc;
}
