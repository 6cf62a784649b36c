/*
 * milter_sim -- see milter_sim.h.  One actor for each connection; the milter itself is only shared state.
 *
 * Here is when something is done; what a packet says is milter_told.c's.
 * Invariant: while a plan is under way nothing is read out of what has come.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/mailer_own.h"
#include "tests/sim/milter_own.h"

#define PACKET_MAX (1024u * 1024 + 1024) /* behind the length, of what an MTA may send */

/* ---- packets ---- */

void
sim_milter_pack_u32(struct buf *out, uint32_t n)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_addc(out, (char)(n >> shift & 0xff));
}

void
sim_milter_pack(struct buf *out, char letter, struct strv data)
{
	sim_milter_pack_u32(out, (uint32_t)data.n + 1);
	buf_addc(out, letter);
	buf_add(out, data);
}

/* ---- notes ---- */

static void
event(struct milter_conn *c, struct strv text)
{
	struct sim_milter *m = c->m;

	if (m->n_event == m->max_event) {
		m->max_event = m->max_event == 0 ? 64 : m->max_event * 2;
		m->event = mem_resize(m->event, m->max_event * sizeof(*m->event));
	}
	m->event[m->n_event++] =
	    (struct up_event){ c->no, mailer_order(), strndup(text.p, text.n) };
}

static void
happened(struct milter_conn *c, const char *what)
{
	event(c, strv_z(what));
	sim_note(c->m->sim, c->actor.name, "%s", what);
}

void
milter_fault(struct milter_conn *c, const char *what)
{
	if (c->m->lax || c->odd)
		return;
	buf_printf(&c->m->faults, "connection %u: %s (%.60s)\n", c->no, what,
	    c->line.n > 0 ? c->line.p : "");
	sim_note(c->m->sim, c->actor.name, "! %s", what);
}

/* ---- deeds ---- */

static void
add(struct milter_plan *p, struct milter_deed d)
{
	p->deed[p->n++] = d;
}

/* The answer to an offer: ours, cut to what was offered. */
static void
agree(struct milter_conn *c, struct buf *out)
{
	struct sim_milter *m = c->m;
	struct strv        data = buf_view(&c->octets);
	uint32_t           offered[3] = { 0 };
	struct buf         b;

	for (size_t i = 0; i < 12 && data.n == 12; i++)
		offered[i / 4] = offered[i / 4] << 8 | (unsigned char)data.p[i];
	c->protocol = m->protocol == MILTER_OFFERED ? offered[2] : m->protocol & offered[2];
	if (m->version == 2)
		c->protocol &= 0x7f;
	buf_init(&b, 65536);
	c->version = m->version > 0 ? m->version : offered[0] > 6 ? 6 : offered[0];
	sim_milter_pack_u32(&b, c->version);
	sim_milter_pack_u32(
	    &b, m->actions == MILTER_OFFERED ? offered[1] : m->actions & offered[1]);
	sim_milter_pack_u32(&b, c->protocol);
	buf_add(&b, buf_view(&m->symlist));
	sim_milter_pack(out, 'O', buf_view(&b));
	buf_fini(&b);
}

/* What is done if nobody decides otherwise; octets go to c->octets. */
static void
behave(struct milter_conn *c, struct milter_plan *p)
{
	struct buf answer;

	if (!milter_wants(c))
		return;
	buf_init(&answer, 65536);
	if (c->command == 'O')
		agree(c, &answer);
	else
		sim_milter_pack(&answer, 'c', SV(""));
	buf_clear(&c->octets);
	buf_add(&c->octets, buf_view(&answer));
	buf_fini(&answer);
	add(p,
	    (struct milter_deed){
		.op = DEED_SAY,
		.letter = c->command == 'O' ? 'O' : 'c',
		.octets = buf_view(&c->octets),
	    });
}

/* The plan's octets are copied: a view into c->octets would move. */
static void
adopt(struct milter_conn *c, const struct milter_plan *p)
{
	struct buf all;

	buf_init(&all, WIRE_MAX);
	for (unsigned i = 0; i < p->n; i++) {
		c->deed[i] = p->deed[i];
		c->deed[i].n = p->deed[i].op == DEED_SAY ? p->deed[i].octets.n : p->deed[i].n;
		if (p->deed[i].op == DEED_SAY && !buf_add(&all, p->deed[i].octets))
			abort();
	}
	buf_fini(&c->octets);
	c->octets = all;
	c->n_deed = p->n;
	c->at_deed = 0;
	c->busy = true;
	c->until = 0;
}

/* Only ABORT and QUIT may overtake an answer. */
static void
look_ahead(struct milter_conn *c)
{
	struct strv v = wire_unread(&c->wire);

	if (v.n >= 5 && milter_wants(c) && strchr("AQK", v.p[4]) == NULL)
		milter_fault(c, "a command ahead of the answer to the one before");
}

static void
say(struct milter_conn *c, const struct milter_deed *d)
{
	struct strv v = strv_first(buf_view(&c->octets), d->n);

	sim_note_octets(c->m->sim, c->actor.name, ">", v);
	look_ahead(c);
	if (d->letter == 0)
		c->odd = true;
	else
		milter_answered(c, d->letter);
	wire_add(&c->wire, v);
	buf_drop(&c->octets, d->n);
}

/* False: it wants time. */
static bool
perform(struct milter_conn *c, const struct milter_deed *d)
{
	switch (d->op) {
	case DEED_SAY:
		say(c, d);
		break;
	case DEED_WAIT:
		if (c->until == 0)
			c->until = c->m->sim->clock + d->n;
		if (c->until > c->m->sim->clock)
			return false;
		c->until = 0;
		break;
	case DEED_CLOSE:
		c->closing = true;
		break;
	case DEED_RESET:
		happened(c, "[we reset]");
		wire_reset(&c->wire);
		break;
	case DEED_DEAF:
		c->actor.deaf = true;
		c->hung = true;
		break;
	case DEED_HANG:
		c->hung = true;
		break;
	case DEED_CUT:
		c->wire.cut = d->n;
		break;
	case DEED_REFUSE:
	case DEED_AGAIN:
	case DEED_BLACK_HOLE:
		break;
	}
	return true;
}

/* True: something was done. */
static bool
go_on(struct milter_conn *c)
{
	bool did = false;

	while (c->busy && c->actor.fd >= 0 && !c->closing && !c->hung) {
		if (c->at_deed == c->n_deed) {
			c->busy = false;
			return true;
		}
		/* What is said before a wait leaves before it. */
		if (!perform(c, &c->deed[c->at_deed])) {
			c->actor.wake = c->until;
			return did;
		}
		c->at_deed++;
		did = true;
	}
	c->busy = false;
	return did;
}

/* ---- what comes ---- */

static void
ask(struct milter_conn *c, struct strv verb)
{
	struct milter_plan   p = { .n = 0 };
	struct milter_moment m = { verb, buf_view(&c->line), c->no };

	if (c->m->decide == NULL || !c->m->decide(c->m->arg, &m, &p))
		behave(c, &p);
	adopt(c, &p);
}

/* A whole packet of the MTA. */
static void
told(struct milter_conn *c, struct strv packet)
{
	struct strv verb;

	buf_clear(&c->line);
	verb = milter_read(c, packet);
	buf_addc(&c->line, '\0');
	c->line.n--;
	event(c, buf_view(&c->line));
	sim_note_octets(c->m->sim, c->actor.name, "<", buf_view(&c->line));
	milter_order(c, packet.p[0]);
	if (packet.p[0] == 'O') {
		buf_clear(&c->octets);
		buf_add(&c->octets, strv_from(packet, 1));
	}
	if (packet.p[0] == 'Q')
		c->quit = true;
	ask(c, verb);
}

static bool
step(struct milter_conn *c)
{
	struct strv v = wire_unread(&c->wire);
	size_t      n = 0;

	if (v.n < 4)
		return false;
	for (unsigned i = 0; i < 4; i++)
		n = n << 8 | (unsigned char)v.p[i];
	if (n == 0 || n > PACKET_MAX) {
		milter_fault(c, "a packet of a length that none has");
		c->closing = true;
		return true;
	}
	if (v.n - 4 < n)
		return false;
	wire_take(&c->wire, 4 + n);
	told(c, strv(v.p + 4, n));
	if (c->n_deed > 0)
		look_ahead(c);
	return true;
}

/* ---- the actor ---- */

static void
ends(struct milter_conn *c, const char *how)
{
	happened(c, how);
	wire_close(&c->wire);
	c->actor.over = true;
}

static bool
milter_act(struct actor *a, bool settled)
{
	struct milter_conn *c = (struct milter_conn *)a;
	bool                did;

	if (settled || a->over)
		return false;
	did = wire_pump(&c->wire);
	if (c->m->mode == MAILER_SILENT && a->fd >= 0 && !c->wire.eof && !c->wire.lost)
		return did;
	while (a->fd >= 0 && !c->closing && !c->hung && (c->busy ? go_on(c) : step(c)))
		did = true;
	if (a->fd < 0)
		a->over = true;
	else if (c->wire.lost)
		ends(c, "[lost]");
	else if (c->closing && wire_idle(&c->wire))
		ends(c, "[we close]");
	else if (c->wire.eof && (!c->busy || c->hung))
		ends(c, "[end]");
	return did || a->over;
}

static void
milter_free(struct actor *a)
{
	struct milter_conn *c = (struct milter_conn *)a;

	wire_fini(&c->wire);
	buf_fini(&c->line);
	buf_fini(&c->octets);
	mem_free(c);
}

/* A connection that is never made: the descriptor does not become writable. */
static void
fill(int fd)
{
	static const char zeros[4096];

	while (write(fd, zeros, sizeof(zeros)) > 0)
		;
}

static enum milter_deed_op
dial_deed(struct sim_milter *m)
{
	struct milter_moment moment = { SV("DIAL"), SV("DIAL"), m->conns + 1 };
	struct milter_plan   p = { .n = 0 };

	if (m->mode == MAILER_DOWN)
		return DEED_REFUSE;
	if (m->decide == NULL || !m->decide(m->arg, &moment, &p) || p.n == 0)
		return DEED_SAY;
	return p.deed[0].op;
}

static int
milter_dial(void *arg, const char **why)
{
	struct sim_milter  *m = arg;
	enum milter_deed_op op = dial_deed(m);
	struct milter_conn *c;
	char                name[24];
	int                 fd[2];

	if (op == DEED_AGAIN) {
		*why = "its queue of connections is full";
		return WORLD_AGAIN;
	}
	m->conns++;
	if (op == DEED_REFUSE || !sim_pair(m->sim, fd)) {
		*why = "connection refused";
		return -1;
	}
	c = mem_alloc(sizeof(*c));
	c->m = m;
	c->no = m->conns;
	c->actor = (struct actor){
		.fd = fd[1], .act = milter_act, .free = milter_free, .wake = SIM_NEVER
	};
	wire_init(&c->wire, &c->actor, fd[0]);
	c->wire.cut = m->cut;
	buf_init(&c->line, 4u << 20);
	buf_init(&c->octets, WIRE_MAX);
	snprintf(name, sizeof(name), "%s.%u", m->name, c->no);
	sim_actor(m->sim, &c->actor, name);
	event(c, SV("[connect]"));
	if (op == DEED_BLACK_HOLE) {
		fill(fd[0]);
		c->actor.deaf = c->hung = true;
	} else if (op == DEED_CLOSE)
		c->closing = true;
	else if (op == DEED_HANG)
		c->hung = true;
	return fd[0];
}

struct sim_milter *
sim_milter_new(struct sim *s, const char *name, const struct endpoint *at)
{
	struct sim_milter *m = mem_alloc(sizeof(*m));

	m->sim = s;
	m->actions = MILTER_OFFERED;
	snprintf(m->name, sizeof(m->name), "%s", name);
	buf_init(&m->faults, 1 << 20);
	buf_init(&m->symlist, 65536);
	sim_place(s, at, milter_dial, m);
	return m;
}

void
sim_milter_turn(struct sim_milter *m, enum mailer_mode mode)
{
	static const char *const names[] = { "up", "down", "silent" };

	m->mode = mode;
	sim_note(m->sim, m->name, "is %s", names[mode]);
	for (struct actor *a = m->sim->actors; a != NULL; a = a->next) {
		struct milter_conn *c = (struct milter_conn *)a;

		if (a->act != milter_act || c->m != m || a->over)
			continue;
		a->again = true;
		if (mode == MAILER_DOWN && a->fd >= 0)
			ends(c, "[we close]");
	}
}

void
sim_milter_free(struct sim_milter *m)
{
	for (unsigned i = 0; i < m->n_event; i++)
		free(m->event[i].text);
	mem_free(m->event);
	buf_fini(&m->faults);
	buf_fini(&m->symlist);
	mem_free(m);
}
