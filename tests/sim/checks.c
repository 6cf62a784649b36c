/*
 * checks -- what a scenario's `expect` says about the upstream, the messages that were taken and
 * the log, held against what happened.
 *
 * Messages are those that the servers took, or else the files that a Maildir was given, in order.
 */
#include <stdlib.h>

#include "tests/sim/dns_sim.h"
#include "tests/sim/player.h"

#define MESSAGES_MAX 64

struct checking {
	struct play        *p;
	struct mailer      *only;   /* of which server; NULL: all of them, in order of time */
	struct sim_milter  *milter; /* or of this milter */
	struct up_event   **event;  /* theirs */
	unsigned            n_event, at_event; /* the next that `upstream` looks at */
	struct up_message **taken;
	unsigned            n_taken;
	struct up_message   files[MESSAGES_MAX]; /* a Maildir's, as messages */
	struct up_message  *m;                   /* the message in hand */
	unsigned            rcpt;
	bool                compared; /* its text: by `|` lines so far up to `at` */
	size_t              at;
};

/* ---- which server ---- */

static int
by_order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int
event_order(const void *a, const void *b)
{
	return by_order(
	    (*(struct up_event *const *)a)->order, (*(struct up_event *const *)b)->order);
}

static int
message_order(const void *a, const void *b)
{
	return by_order(
	    (*(struct up_message *const *)a)->order, (*(struct up_message *const *)b)->order);
}

static void
collect(struct checking *k, struct mailer *u)
{
	struct arena       *a = k->p->script->a;
	struct up_event   **event = arena_alloc(a, (k->n_event + u->n_event + 1) * sizeof(*event));
	struct up_message **taken = arena_alloc(
	    a, (k->n_taken + u->n_message + 1) * sizeof(*taken));

	for (unsigned i = 0; i < k->n_event; i++)
		event[i] = k->event[i];
	for (unsigned i = 0; i < k->n_taken; i++)
		taken[i] = k->taken[i];
	for (unsigned i = 0; i < u->n_event; i++)
		event[k->n_event++] = &u->event[i];
	for (struct up_message *m = u->message; m != NULL; m = m->next)
		taken[k->n_taken++] = m;
	k->event = event;
	k->taken = taken;
}

/* Looks at what `only' saw, from the beginning. */
static void
look_at(struct checking *k, struct mailer *only)
{
	k->only = only;
	k->milter = NULL;
	k->n_event = k->at_event = k->n_taken = 0;
	k->event = NULL;
	k->taken = NULL;
	k->m = NULL;
	for (unsigned i = 0; i < k->p->script->n_up; i++)
		if (only == NULL || only == k->p->up[i])
			collect(k, k->p->up[i]);
	qsort(k->event, k->n_event, sizeof(struct up_event *), event_order);
	qsort(k->taken, k->n_taken, sizeof(struct up_message *), message_order);
}

static void
check_server(struct checking *k, const struct check *c)
{
	struct mailer *only = strv_eq(c->text, SV("*")) ? NULL : play_server(k->p, c->text);

	if (only == NULL && !strv_eq(c->text, SV("*")))
		play_fail(k->p, c->line, "no server has that name");
	look_at(k, only);
}

/* What a milter was told; messages are those of all servers. */
static void
check_milter(struct checking *k, const struct check *c)
{
	struct sim_milter *m = play_milter(k->p, c->text);

	if (m == NULL) {
		play_fail(k->p, c->line, "no milter has that name");
		return;
	}
	look_at(k, NULL);
	k->milter = m;
	k->event = arena_alloc(k->p->script->a, (m->n_event + 1) * sizeof(*k->event));
	for (k->n_event = 0; k->n_event < m->n_event; k->n_event++)
		k->event[k->n_event] = &m->event[k->n_event];
}

static unsigned
count_connections(const struct checking *k)
{
	unsigned n = 0;

	if (k->milter != NULL)
		return k->milter->conns;
	for (unsigned i = 0; i < k->p->script->n_up; i++)
		if (k->only == NULL || k->only == k->p->up[i])
			n += k->p->up[i]->conns;
	return n;
}

/* ---- the upstream's events ---- */

static void
check_upstream(struct checking *k, const struct check *c, bool next)
{
	const char *who = k->milter != NULL ? k->milter->name : "upstream";

	for (unsigned i = k->at_event; i < k->n_event; i++) {
		if (sim_match(c->text, strv_z(k->event[i]->text))) {
			k->at_event = i + 1;
			return;
		}
		if (next) {
			play_fail(k->p, c->line, "%s: want \"%.*s\", then came \"%s\"", who,
			    (int)c->text.n, c->text.p, k->event[i]->text);
			return;
		}
	}
	play_fail(
	    k->p, c->line, "%s: nothing (more) matches \"%.*s\"", who, (int)c->text.n, c->text.p);
}

static unsigned
count_events(const struct checking *k, struct strv pattern)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->n_event; i++)
		n += sim_match(pattern, strv_z(k->event[i]->text));
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
	struct up_message *m = c->n >= 1 && c->n <= k->n_taken ? k->taken[c->n - 1] : NULL;
	unsigned           files = collect_files(k);

	if (k->n_taken == 0 && c->n >= 1 && c->n <= files && files <= MESSAGES_MAX)
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

/* Of servers, then of milters; past them: absent. */
static struct strv
faults_of(const struct play *p, unsigned i, const char **who)
{
	unsigned n_up = p->script->n_up;

	if (i >= n_up + p->script->n_milter)
		return (struct strv){ NULL, 0 };
	*who = i < n_up ? p->up[i]->name : p->milter[i - n_up]->name;
	return buf_view(i < n_up ? &p->up[i]->faults : &p->milter[i - n_up]->faults);
}

static void
check_fault(struct checking *k, const struct check *c)
{
	const char *who;
	struct strv all;

	for (unsigned i = 0; (all = faults_of(k->p, i, &who)).p != NULL; i++)
		while (all.p != NULL)
			if (sim_match(c->text, strv_cut(&all, '\n')))
				return;
	play_fail(k->p, c->line, "no fault matches \"%.*s\"", (int)c->text.n, c->text.p);
}

static void
check_one(struct checking *k, const struct check *c)
{
	switch (c->op) {
	case CHECK_SERVER:
		check_server(k, c);
		break;
	case CHECK_MILTER:
		check_milter(k, c);
		break;
	case CHECK_FAULT:
		check_fault(k, c);
		break;
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
		check_count(k, c, "connections", count_connections(k), c->n);
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
		check_count(k, c, "messages",
		    k->n_taken > 0 || k->only != NULL ? k->n_taken : collect_files(k), c->n);
		break;
	case CHECK_DNS:
		check_count(k, c, "such questions to the DNS",
		    sim_dns_asked(k->p->sim->dns, c->text, c->word), c->n);
		break;
	case CHECK_MESSAGE:
		find_message(k, c);
		break;
	default:
		check_message(k, c);
		break;
	}
}

/* Is a fault one of those that the scenario asks for? */
static bool
is_wanted(const struct play *p, struct strv fault)
{
	for (unsigned i = 0; i < p->script->n_check; i++)
		if (p->script->check[i].op == CHECK_FAULT &&
		    sim_match(p->script->check[i].text, fault))
			return true;
	return false;
}

static void
check_no_faults(struct play *p)
{
	const char *who = "";
	struct strv all;

	for (unsigned i = 0; (all = faults_of(p, i, &who)).p != NULL; i++)
		while (all.p != NULL && !p->failed) {
			struct strv line = strv_cut(&all, '\n');

			if (line.n > 0 && !is_wanted(p, line))
				play_fail(p, 0, "%s saw what it must not see: %.*s", who,
				    (int)line.n, line.p);
		}
}

void
play_check(struct play *p)
{
	struct checking *k = mem_alloc(sizeof(*k));

	k->p = p;
	look_at(k, NULL);
	for (unsigned i = 0; i < p->script->n_check && !p->failed; i++) {
		const struct check *c = &p->script->check[i];

		if (c->op != CHECK_TEXT)
			end_text(k, c->line);
		check_one(k, c);
	}
	if (!p->failed && p->script->n_check > 0)
		end_text(k, p->script->check[p->script->n_check - 1].line);
	if (!p->failed)
		check_no_faults(p);
	mem_free(k);
}
