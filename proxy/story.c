/*
 * story -- `explain`: plays one session through the judge (trial_session) and says of each check what it saw.
 *
 * The DNS is real, all else is not: nothing is sent, written, counted or delayed.  What is told comes from the
 * judge alone, so that it cannot differ from what the daemon would do.
 */
#include "proxy/story.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/spool.h"
#include "proxy/trial_look.h"
#include "proxy/trial_session.h"

#define FIBERS       200
#define FIBER_STACK  65536
#define COMMAND_MS   60000
#define STORY_MS     300000 /* of all of it */
#define SPOOL_MEMORY (1u << 30)

enum colour { PLAIN, BOLD, RED, GREEN, YELLOW, DIM };

struct telling {
	const struct story *x;
	struct trial_house  house;
	struct arena       *a;
	struct world       *w;
	bool                colour;
	void (*emit)(struct strv line, void *arg);
	void               *arg;
	struct timer        until;
	struct fiber       *fiber;
	uint64_t            since; /* when the last check was told: what a look has taken */
	unsigned            looks; /* at the command in hand */
	bool                held;  /* one of them has the last word, but not yet */
	struct trial_answer last;
	bool                done, late;
};

/* ---- lines ---- */

static void
line(struct telling *t, struct strv text)
{
	t->emit(text, t->arg);
}

static struct strv
painted(struct telling *t, enum colour c, struct strv text)
{
	static const char *const marks[] = { "", "\033[1m", "\033[31m", "\033[32m", "\033[33m",
		"\033[2m" };

	if (!t->colour || c == PLAIN)
		return text;
	return arena_printf(t->a, "%s%.*s\033[0m", marks[c], (int)text.n, text.p);
}

/* Foreign text without its quotes, controls escaped. */
static struct strv
safe(struct telling *t, struct strv v)
{
	struct strv q = strv_z(diag_quote(t->a, v));

	return q.n >= 2 ? strv(q.p + 1, q.n - 2) : q;
}

static void
heading(struct telling *t, const char *word, struct strv value, const char *after)
{
	struct strv v = safe(t, value);

	t->looks = 0;
	t->held = false;
	t->since = t->w->now(t->w);
	line(t, painted(t, BOLD, arena_printf(t->a, "%s%.*s%s", word, (int)v.n, v.p, after)));
}

static struct strv
print_reply(struct telling *t, uint16_t code, struct strv enh, struct strv text)
{
	text = safe(t, text);
	return arena_printf(t->a, "%u%s%.*s%s%.*s", code, enh.n > 0 ? " " : "", (int)enh.n, enh.p,
	    text.n > 0 ? " " : "", (int)text.n, text.p);
}

static struct strv
print_verdict(struct telling *t, const struct verdict *v)
{
	struct strv reply, to = v->to;

	if (v->kind == VERDICT_DISCARD)
		return SV("250, and it is dropped");
	if (v->kind == VERDICT_QUARANTINE)
		return to.n == 0 ? SV("250, and it is kept in quarantine") :
				   arena_printf(t->a, "250, and it goes to %.*s", (int)to.n, to.p);
	reply = print_reply(t, verdict_code(v), strv_z(verdict_enh(v)), verdict_text(v));
	return v->kind == VERDICT_DISCONNECT ?
	    arena_concat(t->a, reply, SV(", and the connection is closed")) :
	    reply;
}

/* ---- a check ---- */

/* What became of it, in words; *c is how it is shown. */
static const char *
came(const struct look *l, enum colour *c)
{
	bool says = verdict_final(&l->said);

	*c = DIM;
	switch (l->came) {
	case LOOK_NO:
		return "does not fire";
	case LOOK_SKIPPED:
		return "is skipped";
	case LOOK_UNASKED:
		return "is not asked any more";
	default:
		break;
	}
	*c = says && l->holds ? RED : YELLOW;
	if (l->came == LOOK_UNKNOWN && !says)
		return "cannot be decided, which is logged";
	if (l->warn)
		return l->came == LOOK_UNKNOWN ? "cannot be decided, and would only warn:" :
		    says                       ? "would fire, but only warns:" :
						 "would fire, but only warns";
	if (!says)
		return l->behind ? "would have fired, too" : "fires";
	if (!l->holds)
		return l->came == LOOK_UNKNOWN ? "cannot be decided, and would say, too:" :
						 "would have fired, too:";
	return l->came == LOOK_UNKNOWN ? "cannot be decided, and says:" : "fires:";
}

static void
tell_facts(struct telling *t, const struct look *l)
{
	for (unsigned i = 0; i < l->n_fact; i++) {
		struct strv f = look_fact(t->a, l->fact[i], true);

		line(t, arena_printf(t->a, "        %.*s", (int)f.n, f.p));
	}
}

static void
saw(void *arg, const struct look *l)
{
	struct telling *t = arg;
	uint64_t        now = t->w->now(t->w), took = now - t->since;
	enum colour     c;
	const char     *what = came(l, &c);
	struct strv     said = verdict_final(&l->said) ? print_verdict(t, &l->said) : strv("", 0);
	struct strv     text = arena_printf(
		t->a, "%s%s%.*s", what, said.n > 0 ? " " : "", (int)said.n, said.p);

	t->since = now;
	t->looks++;
	t->held = t->held || (l->holds && verdict_final(&l->said));
	text = painted(t, c, text);
	line(t,
	    arena_printf(t->a, "    check %.*s %.*s%s", (int)l->check.n, l->check.p, (int)text.n,
		text.p,
		took > 0 ?
		    arena_z(t->a, arena_printf(t->a, "  [%llu ms]", (unsigned long long)took)) :
		    ""));
	tell_facts(t, l);
}

/* ---- what is added ---- */

static struct strv
field_line(struct telling *t, struct strv *value)
{
	return diag_escape(t->a, strv_trim_folds(strv_cut(value, '\n')));
}

/* Of a signature its first line: the rest is for machines. */
static void
adds(void *arg, struct strv name, struct strv value)
{
	struct telling *t = arg;
	bool            all = strv_ieq(name, SV("Authentication-Results"));
	struct strv     first = field_line(t, &value);

	line(t,
	    arena_printf(t->a, "    adds %.*s: %.*s%s", (int)name.n, name.p, (int)first.n, first.p,
		value.p != NULL && !all ? " ..." : ""));
	while (all && value.p != NULL) {
		struct strv next = field_line(t, &value);

		line(t, arena_printf(t->a, "        %.*s", (int)next.n, next.p));
	}
}

/* ---- commands ---- */

static const char *
whose(const struct trial_answer *x)
{
	if (strv_eq(x->by, SV("relay")))
		return "the relay gate says so";
	if (strv_eq(x->by, SV("limits")))
		return "by syntax or limits";
	if (strv_eq(x->by, SV("upstream")))
		return "if the server agrees";
	return NULL;
}

/* The name in HELO or EHLO was refused: what follows hears nothing of that, but what it lacks (command.c). */
static void
out_of_order(const struct story *x, struct trial_answer *out, bool mail)
{
	bool tls = x->listener->require_tls && !x->listener->tls;
	bool auth = mail && x->listener->require_auth;

	if (!out->earlier || out->closed)
		return;
	out->code = tls || auth ? 530 : 503;
	memcpy(out->enh, tls || auth ? "5.7.0" : "5.5.1", sizeof("5.x.x"));
	out->text = tls ? SV("must issue a STARTTLS command first") :
	    auth        ? SV("authentication required") :
			  SV("send HELO or EHLO first");
	out->by = SV("limits");
}

/* What the client hears; false: the session cannot go on. */
static bool
heard(struct telling *t, const struct trial_answer *x)
{
	const char *who = whose(x);
	struct strv reply = print_reply(t, x->code, strv_z(x->enh), x->text);
	struct strv by = x->by;

	if (x->code == 0)
		return false;
	t->last = *x;
	reply = painted(t, x->code >= 400 ? RED : GREEN, reply);
	line(t,
	    arena_printf(t->a, "    the client hears %.*s%s%s%s%.*s%s", (int)reply.n, reply.p,
		who != NULL || by.n > 0 ? " (" : "", who != NULL ? who : "",
		who == NULL && by.n > 0 ? "check " : "", who == NULL ? (int)by.n : 0, by.p,
		who != NULL || by.n > 0 ? ")" : ""));
	if (t->held && x->code < 400 && !x->dropped && !x->kept)
		line(t, SV("    the verdict is held, and told to each recipient"));
	return !x->closed;
}

MAY_YIELD static bool
enter(struct telling *t, struct trial_session *s)
{
	const struct story *x = t->x;
	struct trial_answer got;
	char                ip[ADDR_TEXT];
	struct strv         client = addr_print(&x->client, ip);
	struct strv         helo = x->helo.p != NULL ? x->helo : SV("client.example");

	client = arena_printf(t->a, "%.*s connects to %.*s", (int)client.n, client.p,
	    (int)x->listener->name.n, x->listener->name.p);
	heading(t, "", client, "");
	trial_greet(s, &got);
	if (!heard(t, &got))
		return false;
	heading(t, "EHLO ", helo, "");
	trial_helo(s, helo, &got);
	if (!heard(t, &got))
		return false;
	if (x->tls && !x->listener->tls) {
		heading(t, "STARTTLS, and EHLO ", helo, " once more");
		trial_tls(s, &got);
		if (!heard(t, &got))
			return false;
	}
	if (x->auth.p == NULL)
		return true;
	heading(t, "AUTH of ", x->auth, "");
	trial_auth(s, x->auth, &got);
	out_of_order(x, &got, false);
	return heard(t, &got);
}

MAY_YIELD static void
tell_message(struct telling *t, struct trial_session *s)
{
	const struct story *x = t->x;
	struct trial_answer got;

	if (!trial_has_recipient(s)) {
		bool forced = trial_force(s);

		line(t, strv("", 0));
		line(t,
		    forced ?
			SV("No recipient is left, so no message comes.  If it came all the same:") :
			SV("No recipient is left, so no message comes."));
		if (!forced)
			return;
	}
	heading(t, x->message.p != NULL ? "The message" : "A short message, as none was given",
	    strv("", 0), "");
	trial_message(s, x->message.p != NULL ? x->message : trial_minimal(s, t->a), &got);
	(void)heard(t, &got);
}

MAY_YIELD static void
envelope(struct telling *t, struct trial_session *s)
{
	const struct story *x = t->x;
	struct trial_answer got;
	struct strv         mail = x->mail.p != NULL ? x->mail : SV("a@client.example");
	bool                bare = mail.n == 0 || mail.p[0] != '<';

	heading(t, bare ? "MAIL FROM:<" : "MAIL FROM:", mail, bare ? ">" : "");
	trial_mail(s, mail, &got);
	out_of_order(x, &got, true);
	if (!heard(t, &got) || got.code >= 400)
		return;
	for (unsigned i = 0; i < x->n_rcpt; i++) {
		bare = x->rcpt[i].n == 0 || x->rcpt[i].p[0] != '<';
		heading(t, bare ? "RCPT TO:<" : "RCPT TO:", x->rcpt[i], bare ? ">" : "");
		trial_rcpt(s, x->rcpt[i], &got);
		if (!heard(t, &got))
			return;
	}
	tell_message(t, s);
}

MAY_YIELD static void
play(void *arg)
{
	struct telling       *t = arg;
	struct arena         *a = arena_new(4096, 0);
	struct trial_session *s = trial_open(&t->house, a, t->x->listener, &t->x->client);

	t->fiber = fiber_self();
	if (enter(t, s))
		envelope(t, s);
	trial_close(s);
	arena_free(a);
	t->done = true;
	loop_stop(t->house.loop);
}

static void
too_late(void *arg)
{
	struct telling *t = arg;

	t->late = true;
	if (!t->done)
		fiber_cancel(t->fiber);
}

bool
story_tell(const struct settings *s, struct world *w, const struct story *x, bool colour,
    void (*emit)(struct strv line, void *arg), void *arg, const char **why)
{
	static const struct milters_conf dry = { .dry = true };
	struct arena                    *a = arena_new(16384, 0);
	struct telling t = { .x = x, .a = a, .w = w, .colour = colour, .emit = emit, .arg = arg };
	struct loop   *loop = loop_new(w);
	struct fiber_pool *fibers;
	const char        *no_dns = "";

	*why = "no descriptor is free";
	if (loop == NULL) {
		arena_free(a);
		return false;
	}
	world_real_start(w, loop);
	if (!world_real_dns(w, &s->resolver, &no_dns))
		emit(arena_printf(a, "(the DNS cannot be asked: %s)", no_dns), arg);
	if (policy_milters(s->policy) > 0)
		emit(
		    SV("(milters and plugins hear nothing of this: what they say is absent)"), arg);
	fibers = fiber_pool_new(loop, FIBER_STACK, FIBERS, 4);
	t.house = (struct trial_house){ s,
		judge_new(
		    a, &(struct judge_conf){ s->policy, &s->auth, &dry, s->decide_within, false }),
		loop, spool_pool_new(w, "", SPOOL_MEMORY, 0), COMMAND_MS, true, saw, &t, adds };
	t.until = (struct timer){ .fn = too_late, .arg = &t };
	timer_start(loop, &t.until, w->now(w) + STORY_MS);
	if (fiber_start(fibers, "explain", play, &t) != NULL && !t.done)
		loop_run(loop);
	timer_stop(loop, &t.until);
	for (unsigned i = 0; i < 1000 && fiber_pool_live(fibers) > 0; i++)
		(void)loop_round(loop, false);
	*why = t.late ? "it took longer than five minutes" : "no memory";
	spool_pool_free(t.house.spools);
	if (fiber_pool_live(fibers) == 0)
		fiber_pool_free(fibers);
	/* What the judge has asked of the DNS for itself is taken back as its arena goes. */
	arena_free(a);
	world_real_stop(w);
	return t.done && !t.late;
}
