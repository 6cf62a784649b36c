/*
 * rogue -- see rogue.h.  One actor; what it wants to send is a queue of octets that leaves in
 * random pieces, what it expects a queue of replies.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/rogue_own.h"

#define PATIENCE (40 * 60000u) /* ms without any answer, then we go */

struct sim *
rogue_sim(const struct rogue *r)
{
	return r->crowd->sim;
}

bool
rogue_rude(const struct rogue *r)
{
	return sim_chance(rogue_sim(r), r->crowd->rudeness);
}

unsigned
rogue_place(const struct rogue *r)
{
	const struct crowd *c = r->crowd;

	return c->addresses == 0 ? r->no % 200 :
				   c->first + (unsigned)sim_below(c->sim, c->addresses);
}

void
rogue_fault(struct rogue *r, const char *fmt, ...)
{
	char    text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_printf(&r->crowd->faults, "%s: %s\n", r->actor.name, text);
	sim_note(rogue_sim(r), r->actor.name, "! %s", text);
}

/* ---- sending ---- */

void
rogue_command(struct rogue *r, enum kind kind, const char *fmt, ...)
{
	char    text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->owed_n == OWED_MAX)
		abort();
	r->owed[(r->owed_from + r->owed_n++) % OWED_MAX] = (struct owed){ kind, r->rcpt };
	sim_note(rogue_sim(r), r->actor.name, "> %s", text);
	buf_printf(&r->todo, "%s\r\n", text);
}

static bool
all_sent(const struct rogue *r)
{
	return r->todo.n == r->todo_at && wire_idle(&r->wire);
}

void
rogue_leave(struct rogue *r, bool reset)
{
	sim_note(rogue_sim(r), r->actor.name, reset ? "resets" : "closes");
	if (reset)
		wire_reset(&r->wire);
	else
		wire_close(&r->wire);
	r->gone = true;
}

/* Or a large letter takes for ever. */
static size_t
not_too_little(size_t n, size_t left)
{
	if (left > 20000 && n < 2000)
		return 2000;
	return left > 400 && n < 50 ? 50 : n;
}

/* The next piece of what is to be sent leaves, perhaps after a pause. */
static bool
feed(struct rogue *r)
{
	size_t n = r->todo.n - r->todo_at;

	if (n == 0 || !wire_idle(&r->wire))
		return false;
	if (r->sent >= r->ends_at) {
		rogue_leave(r, sim_chance(rogue_sim(r), 60));
		return true;
	}
	if (r->piece > 0) {
		size_t some = 1 + sim_below(rogue_sim(r), r->piece);

		n = some < n ? some : n;
	}
	n = not_too_little(n, r->todo.n - r->todo_at);
	wire_add(&r->wire, strv(r->todo.p + r->todo_at, n));
	r->todo_at += n;
	r->sent += n;
	if (r->todo_at == r->todo.n) {
		buf_clear(&r->todo);
		r->todo_at = 0;
	}
	if (sim_chance(rogue_sim(r), 2))
		r->pause_until = rogue_sim(r)->clock +
		    sim_below(rogue_sim(r), rogue_rude(r) ? 200000 : 800);
	return true;
}

/* ---- replies ---- */

static void
check_line(struct rogue *r, struct strv line)
{
	bool good = line.n >= 4 && line.n <= 510 && line.p[0] >= '2' && line.p[0] <= '5' &&
	    ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]) &&
	    (line.p[3] == ' ' || line.p[3] == '-');

	for (size_t i = 0; i < line.n; i++)
		good &= (unsigned char)line.p[i] >= 0x20 || line.p[i] == '\t';
	if (!good)
		rogue_fault(r, "a reply line of %zu octets that is none: %.60s", line.n, line.p);
}

/* One whole reply from what has come. */
static bool
take_reply(struct rogue *r)
{
	struct strv all = wire_unread(&r->wire);
	size_t      at = 0;

	for (;;) {
		struct strv line = strv_from(all, at);
		size_t      n = strv_chr(line, '\n');

		if (n == line.n)
			return false;
		check_line(r, strv_first(line, n > 0 && line.p[n - 1] == '\r' ? n - 1 : n));
		at += n + 1;
		if (n < 4 || line.p[3] != '-')
			break;
	}
	{
		uint64_t code = 0;

		strv_number(strv_first(all, 3), 999, &code);
		wire_take(&r->wire, at);
		rogue_heard(r, (unsigned)code, strv_first(all, at));
	}
	return true;
}

/* ---- the actor ---- */

static void
say_proxy(struct rogue *r)
{
	struct who *w = &r->who;
	bool        other = sim_chance(rogue_sim(r), 20);
	char        line[110];

	if (sim_chance(rogue_sim(r), 10)) {
		buf_add(&r->todo, SV("PROXY UNKNOWN\r\n"));
		return;
	}
	snprintf(w->address, sizeof(w->address), "203.0.113.%u", 1 + rogue_place(r));
	w->port = 9000 + r->no;
	snprintf(w->to, sizeof(w->to), other ? "10.0.0.2" : "10.0.0.1");
	w->to_port = sim_chance(rogue_sim(r), 20) ? 587 : 25;
	snprintf(line, sizeof(line), "PROXY TCP4 %s %s %u %u\r\n", w->address, w->to, w->port,
	    w->to_port);
	buf_add(&r->todo, strv_z(line));
}

static void
connect_now(struct rogue *r)
{
	struct endpoint from = { .port = (uint16_t)(1024 + r->no) };
	int             peer = -1;

	r->who = (struct who){ .port = from.port, .to = "127.0.0.1", .to_port = 25 };
	snprintf(r->who.address, sizeof(r->who.address), "198.51.100.%u", 1 + rogue_place(r));
	addr_parse(strv_z(r->who.address), &from.addr);
	r->connected = true;
	r->actor.fd = house_connect(r->crowd->house, (struct strv){ 0 }, &from, &peer);
	if (r->actor.fd < 0) {
		r->gone = true;
		return;
	}
	wire_init(&r->wire, &r->actor, peer);
	r->owed[0] = (struct owed){ K_GREETING, 0 };
	r->owed_n = 1;
	r->silent_since = rogue_sim(r)->clock;
	if (r->crowd->front == FRONT_PROXY)
		say_proxy(r);
}

static void
over(struct rogue *r)
{
	r->gone = true;
	r->actor.over = true;
	r->crowd->done++;
}

/* The end mark has left us: from now on the letter may be somewhere. */
static void
note_sent(struct rogue *r)
{
	if (r->l != NULL && r->last_sent && r->l->fate == LETTER_UNSENT && all_sent(r)) {
		r->l->fate = LETTER_SENT;
		if (rogue_rude(r) && sim_chance(rogue_sim(r), 50))
			rogue_leave(r, sim_chance(rogue_sim(r), 50));
		else if (rogue_rude(r) && sim_chance(rogue_sim(r), 30)) {
			r->half = true;
			wire_halfclose(&r->wire);
		}
	}
}

static bool
impatient(struct rogue *r)
{
	if (rogue_sim(r)->clock < r->silent_since + PATIENCE)
		return false;
	sim_note(rogue_sim(r), r->actor.name, "has waited long enough");
	rogue_leave(r, false);
	return true;
}

static void
set_wake(struct rogue *r)
{
	r->actor.wake = r->silent_since + PATIENCE;
	if (r->pause_until > rogue_sim(r)->clock && r->pause_until < r->actor.wake)
		r->actor.wake = r->pause_until;
}

static bool
rogue_act(struct actor *a, bool settled)
{
	struct rogue *r = (struct rogue *)a;
	bool          did = false;

	if (settled || a->over)
		return false;
	if (!r->connected) {
		if (rogue_sim(r)->clock < r->begins) {
			a->wake = r->begins;
			return false;
		}
		connect_now(r);
		did = true;
	}
	if (!r->gone)
		did |= wire_pump(&r->wire);
	while (!r->gone && take_reply(r))
		did = true;
	note_sent(r);
	if (!r->gone && (r->wire.eof || r->wire.lost)) {
		sim_note(rogue_sim(r), a->name, r->wire.eof ? "sees the end" : "sees a reset");
		rogue_leave(r, false);
		did = true;
	}
	if (!r->gone && r->pause_until <= rogue_sim(r)->clock) {
		while (rogue_next(r))
			did = true;
		if (!r->gone && feed(r))
			did = true;
	}
	if (!r->gone && !did)
		did = impatient(r);
	if (r->gone)
		over(r);
	else
		set_wake(r);
	return did || r->gone;
}

static void
rogue_free(struct actor *a)
{
	struct rogue *r = (struct rogue *)a;

	if (r->wire.actor != NULL)
		wire_fini(&r->wire);
	buf_fini(&r->todo);
	mem_free(r);
}

void
rogue_start(struct crowd *c, unsigned no, uint64_t at)
{
	static const size_t pieces[] = { 0, 0, 0, 1, 7, 100, 1500, 1500, 20000 };
	struct rogue       *r = mem_alloc(sizeof(*r));
	struct sim         *s = c->sim;
	char                name[24];

	r->actor =
	    (struct actor){ .fd = -1, .act = rogue_act, .free = rogue_free, .wake = SIM_NEVER };
	r->crowd = c;
	r->no = no;
	r->begins = at;
	r->piece = pieces[sim_below(s, sizeof(pieces) / sizeof(pieces[0]))];
	r->n_letters = (unsigned)sim_below(s, c->addresses > 0 && sim_chance(s, 50) ? 3 : 7);
	r->ends_at = sim_chance(s, c->rudeness) ? sim_below(s, 5000) : UINT64_MAX;
	buf_init(&r->todo, WIRE_MAX);
	snprintf(name, sizeof(name), "s%u", no);
	c->clients++;
	sim_actor(s, &r->actor, name);
}

struct letter *
crowd_find(const struct crowd *c, struct strv mail)
{
	for (struct letter *l = c->letters; l != NULL; l = l->next) {
		char want[64];

		snprintf(want, sizeof(want), "*<s%u-t%u@*", l->client, l->no);
		if (sim_match(strv_z(want), mail))
			return l;
	}
	return NULL;
}

void
crowd_free(struct crowd *c)
{
	while (c->letters != NULL) {
		struct letter *l = c->letters;

		c->letters = l->next;
		buf_fini(&l->wire);
		buf_fini(&l->text);
		mem_free(l);
	}
	buf_fini(&c->faults);
}
