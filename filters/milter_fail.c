/*
 * milter_fail -- what becomes of a milter that fails, and of an innocent one whose process has died under it.
 *
 * The invariants: whoever fails loses its connection at once, and is tried again with the next transaction.  Of an
 * isolated plugin whose process is gone those are told once more, to the next process, whose own callback did not end
 * it, and no more than AGAIN_MAX times a message: nobody knows what a crash has to do with them that notes no id.
 */
#include "filters/milter.h"
#include "proxy/base/arena.h"
#include "proxy/base/blame.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"

#define AGAIN_MAX 2

/* A line of its own, since no fiber has room for one; NULL: in the loop, where nobody fails. */
static struct log_line *
begin_line(const struct milter_talk *t, const char *what)
{
	struct log_line *l;

	if (fiber_self() == NULL)
		return NULL;
	l = mem_alloc(sizeof(*l));
	log_begin(
	    l, loop_world(fiber_loop()), strv_z(t->m->id != NULL ? t->m->id : t->m->session), what);
	log_strv(l, "name", t->p->conf->name);
	return l;
}

static void
end_line(struct log_line *l)
{
	log_end(l);
	mem_free(l);
}

/* It is told of in the log, and heard no more until the next transaction. */
static enum milter_told
failed(
    struct milter_talk *t, const char *told, const char *what, struct strv why, struct strv bytes)
{
	struct log_line *l = begin_line(t, "milter-failed");
	char             at[ENDPOINT_TEXT];

	if (l != NULL) {
		log_z(l, "stage", stage_word(t->at));
		log_z(l, "command", told);
		log_z(l, "what", what);
		log_strv(l, "why", why);
		if (t->p->conf->home == HOME_DAEMON && t->p->conf->at.addr.family != ADDR_NONE)
			log_strv(l, "socket", endpoint_print(&t->p->conf->at, at));
		log_strv(l, "bytes", bytes);
		end_line(l);
	}
	milter_talk_close(t->p, false);
	t->p->failed = true;
	return TOLD_FAILED;
}

/* ---- a process that died under it ---- */

static bool
is_noted(const struct milter_peer *p, const char *id)
{
	const struct blame *b = p->conf->blame;

	return b != NULL && id != NULL && blame_holds(b, p->blamed, blame_id(id, strlen(id)));
}

/* Its own callback was it, of this transaction or session. */
static bool
is_culprit(const struct milter_talk *t)
{
	return is_noted(t->p, t->m->id) || is_noted(t->p, t->m->session);
}

static enum milter_told
again(struct milter_talk *t, enum milter_command told, struct strv why)
{
	struct milter_peer *p = t->p;
	struct log_line    *l = begin_line(t, "milter-again");

	if (l != NULL) {
		log_z(l, "stage", stage_word(t->at));
		log_z(l, "command", milter_command_name(told));
		log_strv(l, "why", why);
		end_line(l);
	}
	p->again++;
	t->lost = true;
	t->lost_process = p->process;
	milter_talk_close(p, false);
	return TOLD_GONE;
}

/*
 * A process that lives and closes its connections is one that fails (a callback has returned what it may not).  What
 * was read before the connection was made is at most too old: then it is told once more than needed.
 */
enum milter_told
milter_fail_same(struct milter_talk *t)
{
	const struct blame *b = t->p->conf->blame;

	if (!t->lost || b == NULL || blame_processes(b) != t->lost_process)
		return TOLD_ON;
	return failed(t, milter_command_name(MILTER_CMD_OPTNEG), milter_rc_name(MILTER_GONE),
	    SV("the connection was closed by a process that lives"), strv(NULL, 0));
}

/* ---- reasons ---- */

enum milter_told
milter_fail(struct milter_talk *t, enum milter_command told, enum milter_rc rc, struct strv why)
{
	struct milter_peer *p = t->p;
	struct strv         bytes = { NULL, 0 };

	if (rc == MILTER_CANCELLED) {
		milter_talk_close(p, false);
		return TOLD_CANCELLED;
	}
	if (why.p == NULL && p->end != NULL) {
		why = strv_z(p->end->why);
		bytes = p->end->bytes;
	}
	if (rc == MILTER_GONE && !is_culprit(t)) {
		/* One that was restarted, or that does not wait for ever, has heard nothing of this. */
		if (p->quiet) {
			milter_talk_close(p, false);
			return TOLD_GONE;
		}
		if (p->conf->blame != NULL && p->again < AGAIN_MAX)
			return again(t, told, why);
	}
	return failed(t, milter_command_name(told), milter_rc_name(rc), why, bytes);
}

void
milter_fail_cut(
    struct milter_talk *t, enum milter_command told, struct strv what, size_t n, size_t most)
{
	struct log_line *l = t->p->cut ? NULL : begin_line(t, "milter-cut");

	if (l == NULL)
		return;
	t->p->cut = true;
	log_z(l, "command", milter_command_name(told));
	log_strv(l, "what", strv_first(what, what.n < 64 ? what.n : 64));
	log_number(l, "octets", n);
	log_number(l, "told", most);
	end_line(l);
}

void
milter_fail_param(struct milter_talk *t, enum milter_answer_kind said, struct strv param)
{
	struct log_line *l = t->p->misused ? NULL : begin_line(t, "milter-misuse");

	if (l == NULL)
		return;
	t->p->misused = true;
	log_z(l, "command", milter_command_name(MILTER_CMD_EOM));
	log_z(l, "what", milter_answer_name(said));
	log_z(l, "why", "no parameter for a milter to say");
	log_strv(l, "parameter", strv_first(param, param.n < 64 ? param.n : 64));
	end_line(l);
}

enum milter_told
milter_fail_text(struct milter_talk *t)
{
	return failed(t, milter_command_name(MILTER_CMD_BODY), "fault",
	    SV("the text of the message cannot be read"), strv(NULL, 0));
}

enum milter_told
milter_fail_answer(struct milter_talk *t, enum milter_command told,
    const struct milter_answer *answer, const char *why)
{
	return failed(t, milter_command_name(told), milter_answer_name(answer->kind), strv_z(why),
	    t->p->end->bytes);
}
