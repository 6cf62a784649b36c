/*
 * checks -- what a scenario's `expect` says about the upstream, the messages that were taken and
 * the log, held against what happened.
 *
 * Messages are those that the upstream took, or else the files that a Maildir was given, in order.
 */
#include "tests/sim/player.h"

#define MESSAGES_MAX 64

struct checking {
	struct play       *p;
	unsigned           event;               /* the next that `upstream` looks at */
	struct up_message  files[MESSAGES_MAX]; /* a Maildir's, as messages */
	struct up_message *m;                   /* the message in hand */
	unsigned           rcpt;
	bool               compared; /* its text: by `|` lines so far up to `at` */
	size_t             at;
};

static struct strv
event_text(const struct checking *k, unsigned i)
{
	return strv_z(k->p->up->event[i].text);
}

/* ---- the upstream's events ---- */

static void
check_upstream(struct checking *k, const struct check *c, bool next)
{
	struct mailer *u = k->p->up;

	for (unsigned i = k->event; i < u->n_event; i++) {
		if (sim_match(c->text, event_text(k, i))) {
			k->event = i + 1;
			return;
		}
		if (next) {
			play_fail(k->p, c->line, "upstream: want \"%.*s\", then came \"%s\"",
			    (int)c->text.n, c->text.p, u->event[i].text);
			return;
		}
	}
	play_fail(
	    k->p, c->line, "upstream: nothing (more) matches \"%.*s\"", (int)c->text.n, c->text.p);
}

static unsigned
count_events(const struct checking *k, struct strv pattern)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->p->up->n_event; i++)
		n += sim_match(pattern, event_text(k, i));
	return n;
}

/* ---- the log ---- */

static unsigned
count_log(const struct checking *k, struct strv pattern)
{
	struct strv all = buf_view(&k->p->sim->log);
	struct strv wide = arena_printf(k->p->script->a, "*%.*s*", (int)pattern.n, pattern.p);
	unsigned    n = 0;

	while (all.p != NULL)
		n += sim_match(wide, strv_cut(&all, '\n'));
	return n;
}

/* ---- messages ---- */

static unsigned
collect_files(struct checking *k)
{
	unsigned n = 0, back = 0;

	for (struct sim_file *f = k->p->sim->files; f != NULL; f = f->next)
		n += f->made;
	for (struct sim_file *f = k->p->sim->files; f != NULL; f = f->next) {
		if (!f->made || ++back > MESSAGES_MAX || n - back >= MESSAGES_MAX)
			continue;
		k->files[n - back].text = f->text;
		k->files[n - back].from = f->path;
	}
	return n;
}

static void
find_message(struct checking *k, const struct check *c)
{
	struct up_message *m = k->p->up->message;
	unsigned           files = collect_files(k);

	for (uint64_t i = 1; i < c->n && m != NULL; i++)
		m = m->next;
	if (k->p->up->message == NULL && c->n >= 1 && c->n <= files && files <= MESSAGES_MAX)
		m = &k->files[c->n - 1];
	if (m == NULL)
		play_fail(k->p, c->line, "there is no message %llu", (unsigned long long)c->n);
	k->m = m;
	k->rcpt = 0;
	k->at = 0;
	k->compared = false;
}

/* Both texts from a little before where they begin to differ. */
static size_t
show_difference(struct checking *k, struct strv have, struct strv want)
{
	size_t n = 0, from;

	while (n < have.n && n < want.n && have.p[n] == want.p[n])
		n++;
	from = n < 20 ? 0 : n - 20;
	have = strv_from(have, from);
	want = strv_from(want, from);
	sim_note_octets(
	    k->p->sim, "message", "has: ", strv_first(have, have.n > 100 ? 100 : have.n));
	sim_note_octets(
	    k->p->sim, "message", "want:", strv_first(want, want.n > 100 ? 100 : want.n));
	return n;
}

static void
check_text(struct checking *k, const struct check *c)
{
	struct strv have = strv_from(buf_view(&k->m->text), k->at);
	size_t      n;

	k->compared = true;
	if (strv_starts(have, c->text)) {
		k->at += c->text.n;
		return;
	}
	n = show_difference(k, have, c->text);
	play_fail(k->p, c->line, "the message's text differs at octet %zu", k->at + n);
}

/* When `|` lines were there they are the whole text. */
static void
end_text(struct checking *k, unsigned line)
{
	if (k->m != NULL && k->compared && k->at != k->m->text.n)
		play_fail(k->p, line, "the message has %zu octets more", k->m->text.n - k->at);
	k->compared = false;
}

static bool
has_line(const struct up_message *m, struct strv pattern)
{
	struct strv all = buf_view(&m->text);

	while (all.p != NULL) {
		struct strv line = strv_cut(&all, '\n');

		if (strv_ends(line, SV("\r")))
			line.n--;
		if (sim_match(pattern, line))
			return true;
	}
	return false;
}

static bool
message_is_so(struct checking *k, const struct check *c)
{
	struct up_message *m = k->m;

	switch (c->op) {
	case CHECK_FROM:
		return sim_match(c->text, strv_z(m->from));
	case CHECK_RCPT:
		return k->rcpt < m->n_rcpt && sim_match(c->text, strv_z(m->rcpt[k->rcpt++]));
	case CHECK_RCPTS:
		return m->n_rcpt == c->n;
	case CHECK_HAS:
		return has_line(m, c->text);
	case CHECK_LACKS:
		return !has_line(m, c->text);
	case CHECK_OCTETS:
		return m->text.n == c->n;
	case CHECK_VIA:
		return strv_eq(c->text, m->bdat ? SV("BDAT") : SV("DATA"));
	default:
		return false;
	}
}

static void
check_message(struct checking *k, const struct check *c)
{
	struct up_message *m = k->m;

	if (m == NULL) {
		play_fail(k->p, c->line, "of which message? say `message N' first");
		return;
	}
	if (c->op == CHECK_TEXT)
		check_text(k, c);
	else if (!message_is_so(k, c))
		play_fail(k->p, c->line, "message: not so (%s, %u recipients, %zu octets, by %s)",
		    m->from, m->n_rcpt, m->text.n, m->bdat ? "BDAT" : "DATA");
}

static void
check_count(
    struct checking *k, const struct check *c, const char *what, uint64_t have, uint64_t want)
{
	if (have != want)
		play_fail(k->p, c->line, "%s: there are %llu, want %llu", what,
		    (unsigned long long)have, (unsigned long long)want);
}

static void
check_one(struct checking *k, const struct check *c)
{
	struct mailer *u = k->p->up;

	switch (c->op) {
	case CHECK_UPSTREAM:
		check_upstream(k, c, false);
		break;
	case CHECK_NEXT:
		check_upstream(k, c, true);
		break;
	case CHECK_NO_UPSTREAM:
		check_count(k, c, "such commands", count_events(k, c->text), 0);
		break;
	case CHECK_TIMES:
		check_count(k, c, "such commands", count_events(k, c->text), c->n);
		break;
	case CHECK_CONNECTIONS:
		check_count(k, c, "connections", u->conns, c->n);
		break;
	case CHECK_LOG:
		if (count_log(k, c->text) == 0)
			play_fail(
			    k->p, c->line, "no log line has \"%.*s\"", (int)c->text.n, c->text.p);
		break;
	case CHECK_NO_LOG:
		check_count(k, c, "such log lines", count_log(k, c->text), 0);
		break;
	case CHECK_LOG_TIMES:
		check_count(k, c, "such log lines", count_log(k, c->text), c->n);
		break;
	case CHECK_MESSAGES:
		check_count(
		    k, c, "messages", u->n_message > 0 ? u->n_message : collect_files(k), c->n);
		break;
	case CHECK_MESSAGE:
		find_message(k, c);
		break;
	default:
		check_message(k, c);
		break;
	}
}

void
play_check(struct play *p)
{
	struct checking *k = mem_alloc(sizeof(*k));

	k->p = p;
	for (unsigned i = 0; i < p->script->n_check && !p->failed; i++) {
		const struct check *c = &p->script->check[i];

		if (c->op != CHECK_TEXT)
			end_text(k, c->line);
		check_one(k, c);
	}
	if (!p->failed && p->script->n_check > 0)
		end_text(k, p->script->check[p->script->n_check - 1].line);
	if (!p->failed && p->up->faults.n > 0)
		play_fail(p, 0, "the upstream saw what it must not see: %.*s",
		    (int)p->up->faults.n - 1, p->up->faults.p);
	mem_free(k);
}
