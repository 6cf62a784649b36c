/*
 * try_end -- an end (milter_end.h) in front of another one: all that passes is told, and passes.
 */
#include "contrib/try.h"
#include "proxy/base/arena.h"

struct shown {
	struct milter_end  end;
	struct milter_end *inner;
};

static struct milter_end *
inner_of(const struct milter_end *e)
{
	return ((const struct shown *)(const void *)e)->inner;
}

/* The fault of the inner one is the outer one's. */
static enum milter_rc
told(struct milter_end *e, enum milter_rc rc)
{
	const struct milter_end *inner = inner_of(e);

	e->why = inner->why;
	e->bytes = inner->bytes;
	if (rc != MILTER_OK)
		try_say(TRY_RED, "  %s ! %s: %s%s%s", try_show(e->conf->name), milter_rc_name(rc),
		    inner->why != NULL ? inner->why : "", inner->bytes.n > 0 ? ": " : "",
		    try_show(inner->bytes));
	return rc;
}

MAY_YIELD static enum milter_rc
shown_open(struct arena *a, const struct milter_conf *c, const struct milter_offer *ours,
    struct milter_offer *theirs, uint64_t until, struct milter_end **out, struct strv *why)
{
	const struct milter_end_kind *kind = c->home == HOME_INSIDE ? &milter_plugin_end :
								      &milter_socket_end;
	struct shown                 *s = arena_alloc(a, sizeof(*s));
	enum milter_rc                rc = kind->open(a, c, ours, theirs, until, &s->inner, why);

	s->end = (struct milter_end){ .kind = &try_end, .conf = c };
	if (rc != MILTER_OK) {
		try_say(TRY_RED, "  %s ! %s: %s", try_show(c->name), milter_rc_name(rc),
		    try_show(*why));
		*out = NULL;
		return rc;
	}
	try_say_offer(c, theirs);
	*out = &s->end;
	return rc;
}

MAY_YIELD static enum milter_rc
shown_tell(struct milter_end *e, const struct milter_event *ev, const struct milter_macros *m,
    bool answered, uint64_t until)
{
	struct milter_end *inner = inner_of(e);

	try_say_event(e->conf, ev, m, answered);
	return told(e, inner->kind->tell(inner, ev, m, answered, until));
}

MAY_YIELD static enum milter_rc
shown_answer(struct milter_end *e, struct milter_answer *out, uint64_t until)
{
	struct milter_end *inner = inner_of(e);
	enum milter_rc     rc = told(e, inner->kind->answer(inner, out, until));

	if (rc == MILTER_OK)
		try_say_answer(e->conf, out);
	return rc;
}

static void
shown_close(struct milter_end *e, bool polite)
{
	struct milter_end *inner = inner_of(e);

	try_say(TRY_CYAN, "  %s > %s", try_show(e->conf->name), polite ? "QUIT" : "(closed)");
	inner->kind->close(inner, polite);
}

const struct milter_end_kind try_end = {
	.open = shown_open, .tell = shown_tell, .answer = shown_answer, .close = shown_close
};
