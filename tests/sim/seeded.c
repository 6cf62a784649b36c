/*
 * seeded -- sessions by chance: random clients before and a random mail server behind the proxy.
 *
 *     seeded [-s SEED] [-n SESSIONS] [-m MODE] [-v]
 *
 *     default: seed 1, 1000 sessions, both modes (house.h: plain, batch); -v: tell the story
 *
 * Sessions run in worlds of 25, each world with a seed and a configuration of its own, in both modes.
 * In each it runs twice: the two stories must be equal octet for octet.  (Not those of the two modes: what leaves
 * later lets others act first.)  Then it is held against the mail server's journal, the quarantine and the law of
 * that world (law.h) that nothing was lost, doubled, changed or falsely acknowledged, and that no rule spoke but the
 * one that had to.  And that it goes on: no client waits in vain, and one that comes when everything works again is
 * served, in time and to its end (seeded_calm.h).
 */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/estate.h"
#include "tests/sim/law.h"
#include "tests/sim/rogue.h"
#include "tests/sim/screen.h"
#include "tests/sim/seeded_calm.h"

#define SESSIONS 25              /* of one world */
#define LONGEST  (24 * 3600000u) /* ms of a world's clock */

struct run {
	uint64_t           seed;
	enum house_mode    mode;
	struct sim        *sim;
	struct house       house;
	struct estate      estate;
	struct law         law;
	struct screen      screen;
	struct up_message *kept; /* in the quarantine */
	struct crowd       crowd;
	struct calm        calm;
	unsigned           complaints;
	bool               quiet; /* the second run says nothing */
};

/* Things that happen to the whole house, at moments of its own. */
struct fate {
	struct actor actor; /* first */
	struct run  *run;
	bool         disk;
	uint64_t     drain_at, abort_at;
};

struct totals {
	unsigned accepted, refused, unknown, unheard, unsent, passed, failed;
	unsigned discarded, kept, away;
	unsigned calm, calm_taken; /* worlds with a last client; its letter had to be taken */
};

__attribute__((format(printf, 2, 3))) static void
complain(struct run *r, const char *fmt, ...)
{
	va_list ap;

	if (r->complaints++ >= 10 || r->quiet)
		return;
	va_start(ap, fmt);
	printf("FAIL seed %llu (%s): ", (unsigned long long)r->seed, house_mode_name[r->mode]);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

/* ---- one world ---- */

static bool
crowd_done(void *arg)
{
	const struct crowd *c = arg;

	return c->done == c->clients;
}

static bool
fate_act(struct actor *a, bool settled)
{
	struct fate *f = (struct fate *)a;
	struct sim  *s = a->sim;
	uint64_t     turns;
	const char  *wrong = house_places(&f->run->house);

	if (settled)
		return false;
	if (wrong != NULL)
		complain(f->run, "%s", wrong);
	/* The last client finds all whole. */
	a->over = crowd_done(&f->run->crowd);
	if (a->over)
		return true;
	if (f->disk) {
		s->disk_full = !s->disk_full && sim_chance(s, 30);
		a->wake = s->clock + 1 + sim_below(s, 20000);
	}
	if (s->clock >= f->drain_at) {
		f->drain_at = SIM_NEVER;
		house_drain(&f->run->house);
	}
	if (s->clock >= f->abort_at) {
		f->abort_at = SIM_NEVER;
		house_drain(&f->run->house);
		house_abort(&f->run->house);
	}
	turns = estate_act(&f->run->estate);
	if (turns < a->wake)
		a->wake = turns;
	if (f->drain_at < a->wake)
		a->wake = f->drain_at;
	if (f->abort_at < a->wake)
		a->wake = f->abort_at;
	return false;
}

static void
fate_free(struct actor *a)
{
	mem_free(a);
}

static void
fate_start(struct run *r)
{
	struct fate *f = mem_alloc(sizeof(*f));
	struct sim  *s = r->sim;

	f->actor =
	    (struct actor){ .fd = -1, .act = fate_act, .free = fate_free, .wake = SIM_NEVER };
	f->run = r;
	f->disk = sim_chance(s, 20);
	f->drain_at = sim_chance(s, 15) ? s->clock + sim_below(s, 120000) : SIM_NEVER;
	f->abort_at = sim_chance(s, 7) ? s->clock + sim_below(s, 120000) : SIM_NEVER;
	sim_actor(s, &f->actor, "fate");
}

/* Their numbers are among those that the law knows (law.c). */
static void
few_clients(struct crowd *c)
{
	static const uint64_t spans[] = { 3000, 10000, 10000, 30000 };
	struct sim           *s = c->sim;

	c->addresses = 1 + (unsigned)sim_below(s, 3);
	c->names = 1 + (unsigned)sim_below(s, 2);
	c->first = (unsigned)sim_below(s, SESSIONS - 3);
	c->span = spans[sim_below(s, sizeof(spans) / sizeof(spans[0]))];
}

static void
furnish(struct run *r, struct buf *config)
{
	static const int buffers[] = { 0, 0, 4608, 20000, 65536 };
	struct sim      *s = r->sim;

	s->shuffle = true;
	s->sndbuf = buffers[sim_below(s, sizeof(buffers) / sizeof(buffers[0]))];
	estate_open(&r->estate, s, config);
	law_open(&r->law, s, config);
	screen_open(&r->screen, s, config);
	r->crowd = (struct crowd){ .sim = s,
		.house = &r->house,
		.rudeness = sim_chance(s, 30) ? 0 : (unsigned)sim_below(s, 12),
		.largest = 600000,
		.second = r->estate.routed,
		.front = r->estate.front,
		.span = 60000,
		.login = r->estate.login };
	if (r->estate.few)
		few_clients(&r->crowd);
	buf_init(&r->crowd.faults, 1 << 20);
}

/* ---- a Maildir as a journal ---- */

static char *
bracketed(struct strv v)
{
	char *z = malloc(v.n + 3);

	snprintf(z, v.n + 3, "<%.*s>", (int)v.n, v.p);
	return z;
}

static void
add_rcpt(struct up_message *m, char *rcpt)
{
	m->rcpt = mem_resize(m->rcpt, (m->n_rcpt + 1) * sizeof(*m->rcpt));
	m->rcpt[m->n_rcpt++] = rcpt;
}

/* What is on disk has plain line ends. */
static void
read_text(struct up_message *m, struct strv all)
{
	buf_init(&m->text, WIRE_MAX);
	while (all.n > 0) {
		buf_add(&m->text, strv_cut(&all, '\n'));
		buf_add(&m->text, SV("\r\n"));
	}
}

/* Return-Path and Delivered-To in front are its own. */
static struct up_message *
read_maildir_file(struct strv all)
{
	struct up_message *m = mem_alloc(sizeof(*m));
	struct strv        line = strv_cut(&all, '\n');

	m->from = strndup(line.p, line.n);
	while (strv_starts(all, SV("Delivered-To: ")))
		add_rcpt(m, bracketed(strv_from(strv_cut(&all, '\n'), 14)));
	read_text(m, all);
	return m;
}

/* Fields of the quarantine, up to X-Postern-Octets, are its own. */
static struct up_message *
read_kept_file(struct strv all)
{
	struct up_message *m = mem_alloc(sizeof(*m));
	struct strv        line;

	do {
		line = strv_cut(&all, '\n');
		if (strv_starts(line, SV("X-Postern-Sender: ")))
			m->from = strndup(line.p, line.n);
		if (strv_starts(line, SV("X-Postern-Recipient: ")))
			add_rcpt(m, strndup(line.p, line.n));
	} while (all.n > 0 && !strv_starts(line, SV("X-Postern-Octets: ")));
	read_text(m, all);
	return m;
}

static void
kept_from_files(struct run *r)
{
	for (struct sim_file *f = r->sim->files; f != NULL; f = f->next)
		if (f->made && strv_starts(strv_z(f->path), SV(LAW_KEPT "/new/"))) {
			struct up_message *m = read_kept_file(buf_view(&f->text));

			m->next = r->kept;
			r->kept = m;
		}
}

static void
kept_free(struct run *r)
{
	while (r->kept != NULL) {
		struct up_message *m = r->kept;

		r->kept = m->next;
		for (unsigned i = 0; i < m->n_rcpt; i++)
			free(m->rcpt[i]);
		mem_free(m->rcpt);
		free(m->from);
		buf_fini(&m->text);
		mem_free(m);
	}
}

static void
journal_from_maildir(struct run *r)
{
	for (struct sim_file *f = r->sim->files; f != NULL; f = f->next)
		if (f->made && strv_starts(strv_z(f->path), SV("/mail/box/"))) {
			struct up_message *m = read_maildir_file(buf_view(&f->text));

			m->next = r->estate.server[0].m->message;
			r->estate.server[0].m->message = m;
		}
}

/* Nothing breaks any more, and one more client comes. */
static void
play_calm(struct run *r)
{
	enum sim_rc rc;

	r->sim->disk_full = false;
	r->estate.trouble = 0;
	estate_calm(&r->estate);
	for (unsigned i = 0; i < r->screen.n; i++)
		r->screen.milter[i].trouble = r->screen.milter[i].refusals = 0;
	if (r->house.now->draining)
		return;
	calm_start(&r->calm, &r->crowd);
	rc = sim_run(r->sim, calm_over, &r->calm, r->sim->clock + LONGEST);
	if (rc != SIM_FINISHED)
		complain(r, "the last client is not done: %s", sim_rc_name(rc));
}

static void
play_world(struct run *r, unsigned sessions, bool verbose)
{
	struct buf  config;
	const char *left;
	enum sim_rc rc;

	r->sim = sim_new(r->seed);
	house_mode(r->sim, r->mode);
	r->sim->echo = verbose ? stdout : NULL;
	buf_init(&config, 65536);
	furnish(r, &config);
	if (!house_open(&r->house, r->sim, buf_view(&config))) {
		printf("%.*s", (int)r->sim->story.n, r->sim->story.p);
		complain(r, "the configuration has mistakes");
		return;
	}
	buf_fini(&config);
	fate_start(r);
	for (unsigned i = 0; i < sessions; i++)
		rogue_start(&r->crowd, i, r->sim->clock + sim_below(r->sim, r->crowd.span));
	rc = sim_run(r->sim, crowd_done, &r->crowd, r->sim->clock + LONGEST);
	if (rc != SIM_FINISHED)
		complain(r, "clients are not done: %s", sim_rc_name(rc));
	play_calm(r);
	left = house_close(&r->house);
	if (left != NULL)
		complain(r, "at the end: %s", left);
	if (r->estate.maildir)
		journal_from_maildir(r);
	kept_from_files(r);
}

/* ---- what must hold ---- */

static bool
log_says(const struct run *r, const struct letter *l, const char *outcome)
{
	struct strv all = buf_view(&r->sim->log);
	char        want[100];

	snprintf(want, sizeof(want), "*outcome=%s *from=s%u-t%u@*", outcome, l->client, l->no);
	while (all.p != NULL)
		if (sim_match(strv_z(want), strv_cut(&all, '\n')))
			return true;
	return false;
}

static bool
has_rcpt(const struct up_message *m, const char *pattern)
{
	bool there = false;

	for (unsigned k = 0; k < m->n_rcpt; k++)
		there |= sim_match(strv_z(pattern), strv_z(m->rcpt[k]));
	return there;
}

static void
check_recipients(struct run *r, const struct letter *l, const struct up_message *m)
{
	for (unsigned i = 0; i < l->n_rcpt; i++) {
		char want[64];
		bool there, drop = law_rcpt(&r->law, l, i).kind == VERDICT_DISCARD;

		snprintf(
		    want, sizeof(want), "*<r%u@%s.example>*", i, l->second[i] ? "second" : "ours");
		there = has_rcpt(m, want);
		/* A milter may take the first away; then its other edits must be there, too (screen). */
		if (i == 0 && !there && screen_drops(&r->screen, l))
			continue;
		if (l->told[i] && there != (l->took[i] && !drop))
			complain(r, "s%u-t%u: recipient %u was told %s, the server has%s",
			    l->client, l->no, i, l->took[i] ? "250" : "no",
			    there ? " it" : " it not");
		if (there && law_rcpt(&r->law, l, i).kind != VERDICT_NONE)
			complain(r, "s%u-t%u: recipient %u is refused by c%d, the server has it",
			    l->client, l->no, i, law_rcpt(&r->law, l, i).check);
	}
}

/* ---- what the law says ---- */

/* Who else was told 250 for the message: with `quarantine to' it is that address alone. */
static void
check_diverted(struct run *r, const struct letter *l, const struct up_message *m)
{
	if (m->n_rcpt != 1 || !has_rcpt(m, "*<" LAW_TO ">*"))
		complain(r, "s%u-t%u: goes elsewhere, the server has it for %s", l->client, l->no,
		    m->n_rcpt > 0 ? m->rcpt[0] : "nobody");
}

/* A message that somebody has: the law wants it there. */
static void
check_place(struct run *r, const struct letter *l, bool kept)
{
	struct law_says before = law_before(&r->law, l), behind = law_behind(&r->law, l);
	bool            keeps = behind.kind == VERDICT_QUARANTINE && !behind.away;
	bool            passes = behind.kind == VERDICT_NONE || behind.away;

	if (before.kind != VERDICT_NONE)
		complain(r, "s%u-t%u: c%d says %s, and somebody has it", l->client, l->no,
		    before.check, verdict_word(before.kind));
	else if (kept ? !keeps && !screen_keeps(&r->screen, l) : !passes)
		complain(r, "s%u-t%u: c%d says %s, and %s has it", l->client, l->no, behind.check,
		    verdict_word(behind.kind), kept ? "the quarantine" : "the server");
}

static bool
check_is_of(const struct run *r, const struct letter *l, int no)
{
	struct law_says before = law_before(&r->law, l);
	bool            is = law_behind(&r->law, l).check == no;

	if (before.kind != VERDICT_NONE)
		return before.check == no;
	for (unsigned i = 0; i < l->n_rcpt; i++)
		is |= law_rcpt(&r->law, l, i).check == no;
	return is;
}

/* Whatever the log says of a letter by the name of a check, the law says that check. */
static void
check_log(struct run *r, const struct letter *l)
{
	struct strv all = buf_view(&r->sim->log);
	char        want[80], by[24];

	while (all.p != NULL) {
		struct strv line = strv_cut(&all, '\n');

		snprintf(want, sizeof(want), "*from=s%u-t%u@*", l->client, l->no);
		for (int i = 0; sim_match(strv_z(want), line) && i < (int)r->law.n; i++) {
			snprintf(by, sizeof(by), "* by=c%d *", i);
			if (sim_match(strv_z(by), line) && !check_is_of(r, l, i))
				complain(r, "s%u-t%u: c%d must not speak: %.*s", l->client, l->no,
				    i, (int)line.n, line.p);
		}
	}
}

/* 250 was heard and no server has it: it is kept, or it was to be thrown away. */
static bool
law_discards(const struct run *r, const struct letter *l)
{
	struct law_says before = law_before(&r->law, l), behind = law_behind(&r->law, l);
	bool            nobody = true, dropped = false;

	if (before.kind != VERDICT_NONE)
		return before.kind == VERDICT_DISCARD;
	/* Where all were discarded at RCPT, what is behind is not asked any more. */
	for (unsigned i = 0; i < l->n_rcpt; i++) {
		bool drop = law_rcpt(&r->law, l, i).kind == VERDICT_DISCARD;

		nobody &= !l->told[i] || !l->took[i] || drop;
		dropped |= l->told[i] && l->took[i] && drop;
	}
	return behind.kind == VERDICT_DISCARD || (nobody && dropped);
}

/* Recipients that a check refuses hear no 250. */
static void
check_told(struct run *r, const struct letter *l)
{
	struct law_says before = law_before(&r->law, l);

	/* What a milter throws away at MAIL is taken from everybody. */
	if (screen_discards(&r->screen, l))
		return;
	for (unsigned i = 0; i < l->n_rcpt; i++) {
		struct law_says says = before.kind != VERDICT_NONE ? before :
								     law_rcpt(&r->law, l, i);

		if (l->told[i] && l->took[i] && says.kind != VERDICT_NONE &&
		    says.kind != VERDICT_DISCARD)
			complain(r, "s%u-t%u: c%d says %s, recipient %u heard 250", l->client,
			    l->no, says.check, verdict_word(says.kind), i);
		if (l->told[i] && l->took[i] && screen_refuses(&r->screen, l, i))
			complain(r, "s%u-t%u: a milter refuses recipient %u, it heard 250",
			    l->client, l->no, i);
	}
}

static unsigned
times_kept(const struct run *r, const struct letter *l)
{
	unsigned n = 0;

	for (struct up_message *m = r->kept; m != NULL; m = m->next)
		n += crowd_find(&r->crowd, strv_z(m->from)) == l;
	return n;
}

/* How often the whole journal has a letter. */
static unsigned
times_taken(const struct run *r, const struct letter *l)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->estate.n; i++)
		for (struct up_message *m = r->estate.server[i].m->message; m != NULL; m = m->next)
			n += crowd_find(&r->crowd, strv_z(m->from)) == l;
	return n;
}

/* What milters made of it and what checks made of it, apart. */
static const char *
text_wrong(const struct run *r, const struct letter *l, const struct up_message *m, bool kept)
{
	struct law_says     behind = law_behind(&r->law, l);
	struct screen_found found = { .m = m,
		.kept = kept,
		.settled = behind.kind != VERDICT_NONE,
		.away = behind.away,
		.took_first = l->told[0] && l->took[0] &&
		    law_rcpt(&r->law, l, 0).kind == VERDICT_NONE };
	struct letter       after = *l;
	struct buf          had;
	const char         *wrong, *more;
	bool                added;

	buf_init(&had, WIRE_MAX);
	buf_init(&after.text, WIRE_MAX);
	buf_add(&had, buf_view(&m->text));
	buf_add(&after.text, buf_view(&l->text));
	wrong = screen_wrong(&r->screen, l, &found, &had, &after.text, &added);
	more = law_text_wrong(&r->law, &after, buf_view(&had), added);
	buf_fini(&had);
	buf_fini(&after.text);
	return wrong != NULL ? wrong : more;
}

static void
check_whole(struct run *r, const struct letter *l, const struct up_message *m, bool kept)
{
	const char *wrong = text_wrong(r, l, m, kept);

	if (wrong != NULL)
		complain(r, "s%u-t%u: %s: %zu octets, sent were %zu", l->client, l->no, wrong,
		    m->text.n, l->text.n);
	if (l->fate == LETTER_UNSENT)
		complain(r, "s%u-t%u: taken before its end was sent", l->client, l->no);
	if (times_taken(r, l) + times_kept(r, l) > 1)
		complain(r, "s%u-t%u: taken twice", l->client, l->no);
}

/* One message of the quarantine. */
static void
check_kept(struct run *r, const struct up_message *m)
{
	struct letter *l = m->from == NULL ? NULL : crowd_find(&r->crowd, strv_z(m->from));

	if (l == NULL) {
		complain(r, "the quarantine has a message that nobody sent: %s",
		    m->from == NULL ? "no sender" : m->from);
		return;
	}
	check_whole(r, l, m, true);
	check_place(r, l, true);
	check_recipients(r, l, m);
	if (l->fate != LETTER_ACCEPTED && !log_says(r, l, "quarantined-unacknowledged"))
		complain(r, "s%u-t%u: kept, the client heard %u and the log does not say why",
		    l->client, l->no, l->code);
}

/* One message of the journal: it is a letter's, whole, sent to its end, once, by whom it says. */
static void
check_entry(struct run *r, const struct estate_server *sv, const struct up_message *m)
{
	struct letter *l = crowd_find(&r->crowd, strv_z(m->from));
	char           text[200];
	const char    *wrong;

	if (l == NULL) {
		complain(r, "the server took a message that nobody sent: %s", m->from);
		return;
	}
	check_whole(r, l, m, false);
	check_place(r, l, false);
	if (law_behind(&r->law, l).away)
		check_diverted(r, l, m);
	else
		check_recipients(r, l, m);
	wrong = estate_wrong(&r->estate, sv, m, l, text);
	if (wrong != NULL)
		complain(r, "s%u-t%u: %s", l->client, l->no, wrong);
	if (l->fate == LETTER_ACCEPTED)
		return;
	if (!log_says(r, l, "unknown") && !log_says(r, l, "accepted-unacknowledged") &&
	    !log_says(r, l, "quarantined-unacknowledged"))
		complain(r, "s%u-t%u: taken, the client heard %u and the log does not say why",
		    l->client, l->no, l->code);
}

/* 250 was heard, and milters have taken away all that there were. */
static bool
left_without(const struct run *r, const struct letter *l)
{
	for (unsigned i = 1; i < l->n_rcpt; i++)
		if (l->told[i] && l->took[i] && law_rcpt(&r->law, l, i).kind == VERDICT_NONE)
			return false;
	return screen_drops(&r->screen, l) && !screen_adds(&r->screen, l);
}

static void
check_letter(struct run *r, const struct letter *l, struct totals *t)
{
	switch (l->fate) {
	case LETTER_UNSENT:
		t->unsent++;
		break;
	case LETTER_SENT:
		t->unheard++;
		break;
	case LETTER_REFUSED:
		t->refused++;
		break;
	case LETTER_ACCEPTED:
		t->accepted++;
		break;
	}
	if (log_says(r, l, "unknown"))
		t->unknown++;
	t->kept += times_kept(r, l);
	t->away += law_behind(&r->law, l).away && times_taken(r, l) > 0;
	check_told(r, l);
	check_log(r, l);
	if (l->fate != LETTER_ACCEPTED || times_taken(r, l) + times_kept(r, l) > 0)
		return;
	t->discarded++;
	if (!(law_discards(r, l) || screen_discards(&r->screen, l) || left_without(r, l)) ||
	    !log_says(r, l, "discarded"))
		complain(r, "s%u-t%u: the client heard 250 and nobody has it", l->client, l->no);
}

static void
check_user(struct run *r, const struct letter *l)
{
	char user[32];

	snprintf(user, sizeof(user), "user-s%u", l->client);
	if (l->authenticated && !estate_knows(&r->estate, user))
		complain(
		    r, "s%u-t%u: the client heard 235, and no server said it", l->client, l->no);
}

/* ---- that it goes on ---- */

/* All servers can be given what the configuration says that they are given. */
static bool
estate_whole(const struct estate *e)
{
	for (unsigned i = 0; i < e->n; i++)
		if (e->identity == BY_XCLIENT && !mailer_offers(e->server[i].m, "XCLIENT"))
			return false;
	return true;
}

/* Nothing in that world is against the letter: no check, and no milter wants of it what LMTP cannot do. */
static bool
is_welcome(const struct run *r, const struct letter *l)
{
	for (unsigned i = 0; i < r->screen.n; i++)
		if (r->estate.lmtp && r->screen.milter[i].bcc)
			return false;
	return law_before(&r->law, l).kind == VERDICT_NONE &&
	    law_rcpt(&r->law, l, 0).kind == VERDICT_NONE &&
	    law_behind(&r->law, l).kind == VERDICT_NONE;
}

static void
check_calm(struct run *r, struct totals *t)
{
	const struct calm *k = &r->calm;

	if (k->crowd == NULL)
		return;
	t->calm++;
	if (k->wrong != NULL)
		complain(r, "the last client, behind `%s': %s", k->step == NULL ? "" : k->step,
		    k->wrong);
	if (k->away && estate_whole(&r->estate))
		complain(r, "the last client is turned away, and every server is up");
	if (k->wrong != NULL || k->away || !is_welcome(r, k->letter) || !estate_whole(&r->estate))
		return;
	if (k->letter->fate != LETTER_ACCEPTED)
		complain(r, "the last client: nothing is against its letter, and it is not taken");
	else
		t->calm_taken++;
}

/* A client has a patience beyond all our limits of time (rogue.c). */
static void
check_patience(struct run *r)
{
	struct strv all = buf_view(&r->sim->story);

	while (all.p != NULL) {
		struct strv line = strv_cut(&all, '\n');

		if (sim_match(SV("* has waited long enough"), line))
			complain(r, "a client waited in vain: %.*s", (int)line.n, line.p);
	}
}

static void
check_servers(struct run *r)
{
	char text[200];

	for (unsigned i = 0; i < r->estate.n; i++) {
		const struct estate_server *sv = &r->estate.server[i];
		const char                 *wrong = estate_shared(&r->estate, sv, text);

		if (wrong != NULL)
			complain(r, "the server %s: %s", sv->m->name, wrong);
		for (struct up_message *m = sv->m->message; m != NULL; m = m->next)
			check_entry(r, sv, m);
		if (sv->m->faults.n > 0)
			complain(r, "the server %s saw: %.*s", sv->m->name,
			    (int)sv->m->faults.n - 1, sv->m->faults.p);
	}
}

static void
check_world(struct run *r, struct totals *t)
{
	check_servers(r);
	for (unsigned i = 0; i < r->screen.n; i++) {
		const struct sim_milter *m = r->screen.milter[i].m;

		if (m->faults.n > 0)
			complain(r, "the milter %s saw: %.*s", m->name, (int)m->faults.n - 1,
			    m->faults.p);
	}
	for (struct up_message *m = r->kept; m != NULL; m = m->next)
		check_kept(r, m);
	for (struct letter *l = r->crowd.letters; l != NULL; l = l->next) {
		check_letter(r, l, t);
		check_user(r, l);
	}
	check_calm(r, t);
	check_patience(r);
	if (r->crowd.faults.n > 0)
		complain(r, "clients saw: %.*s", (int)r->crowd.faults.n - 1, r->crowd.faults.p);
}

static void
check_equal(struct run *a, const struct run *b)
{
	struct strv x = buf_view(&a->sim->story), y = buf_view(&b->sim->story);
	unsigned    line = 0;

	while (x.p != NULL && y.p != NULL) {
		struct strv p = strv_cut(&x, '\n'), q = strv_cut(&y, '\n');

		line++;
		if (strv_eq(p, q))
			continue;
		complain(a, "the second run differs in line %u:\n  %.*s\n  %.*s", line, (int)p.n,
		    p.p, (int)q.n, q.p);
		return;
	}
	if (x.p != y.p && (x.p == NULL || y.p == NULL))
		complain(a, "the second run has another length");
}

static void
raze(struct run *r)
{
	sim_free(r->sim);
	kept_free(r);
	estate_free(&r->estate);
	screen_free(&r->screen);
	crowd_free(&r->crowd);
}

static unsigned
world_twice(uint64_t seed, unsigned sessions, enum house_mode mode, bool verbose, struct totals *t)
{
	struct run first = { .seed = seed, .mode = mode }, second = first;
	unsigned   fds = sim_count_fds();

	second.quiet = true;
	play_world(&first, sessions, verbose);
	if (first.complaints == 0) {
		play_world(&second, sessions, false);
		check_equal(&first, &second);
		check_world(&first, t);
	}
	if (first.complaints > 0) {
		printf("     again: obj/tests/sim/seeded -s %llu -n %u -m %s -v\n",
		    (unsigned long long)seed, sessions, house_mode_name[mode]);
		return first.complaints; /* what is left over is not freed */
	}
	raze(&first);
	raze(&second);
	if (sim_count_fds() > fds)
		complain(&first, "descriptors are left open");
	return first.complaints;
}

static void
all_worlds(uint64_t seed, uint64_t sessions, enum house_mode mode, bool verbose, struct totals *t)
{
	for (uint64_t left = sessions; left > 0; seed++) {
		unsigned n = left < SESSIONS ? (unsigned)left : SESSIONS;

		if (world_twice(seed, n, mode, verbose, t) > 0)
			t->failed += n;
		else
			t->passed += n;
		left -= n;
		fflush(stdout);
	}
}

static void
print_totals(const struct totals *t, enum house_mode mode)
{
	printf("%s: letters: %u accepted, %u refused (%u with unknown outcome), %u without an "
	       "answer, %u not sent\n",
	    house_mode_name[mode], t->accepted, t->refused, t->unknown, t->unheard, t->unsent);
	printf("of those accepted: %u discarded, %u kept, %u sent elsewhere\n", t->discarded,
	    t->kept, t->away);
	printf("of %u clients that came last the letters of %u had to be taken, and were\n",
	    t->calm, t->calm_taken);
}

int
main(int argc, char **argv)
{
	uint64_t           seed = 1, sessions = 1000;
	const char        *only = NULL;
	struct house_modes m;
	unsigned           passed = 0, failed = 0;
	bool               verbose = false;
	int                o;

	signal(SIGPIPE, SIG_IGN);
	while ((o = getopt(argc, argv, "s:n:m:v")) != -1) {
		if (o == 's' || o == 'n')
			strv_number(strv_z(optarg), 1000000000, o == 's' ? &seed : &sessions);
		else if (o == 'm')
			only = optarg;
		else if (o == 'v')
			verbose = true;
		else
			return 2;
	}
	if (!house_modes(&m, only))
		return 2;
	for (enum house_mode mode = 0; mode < HOUSE_MODES; mode++) {
		struct totals t = { 0 };

		if (!m.on[mode])
			continue;
		all_worlds(seed, sessions, mode, verbose, &t);
		print_totals(&t, mode);
		passed += t.passed;
		failed += t.failed;
		/* Else the check that all goes on would look at nothing. */
		if (sessions >= 1000 && t.calm_taken == 0) {
			printf("not one client that came last had a letter that had to be taken\n");
			failed++;
		}
	}
	printf(
	    "%u passed, %u failed, %u skipped\n", passed, failed, m.lacking * (unsigned)sessions);
	return failed > 0 || passed == 0;
}
