/*
 * seeded_calm -- see seeded_calm.h: one actor, a table of what it says, each behind the answer to the one before.
 *
 * Invariant: nothing about it is drawn, and its letter is what no server has a reason to refuse.
 */
#include "tests/sim/seeded_calm.h"

#include "tests/sim/letter.h"

#define HELO "calm.example"
#define TEXT "From: Somebody <x@good.example>\r\nSubject: calm\r\n\r\nIt is over.\r\n"

enum { GREETING, HELLO, MAIL, RCPT, DATA, END, QUIT, STEPS };

static const struct {
	const char *says;
	unsigned    wants;
} steps[STEPS] = { [GREETING] = { "", 220 },
	[HELLO] = { "EHLO " HELO, 250 },
	[MAIL] = { "MAIL FROM:", 250 },
	[RCPT] = { "RCPT TO:<r0@ours.example>", 250 },
	[DATA] = { "DATA", 354 },
	[END] = { TEXT ".", 250 },
	[QUIT] = { "QUIT", 221 } };

struct guest {
	struct actor actor; /* first */
	struct wire  wire;
	struct calm *calm;
	unsigned     step;
	uint64_t     since; /* when the last thing was said; before, when it comes */
};

static struct letter *
new_letter(struct crowd *c, const struct endpoint *from)
{
	struct letter *l = mem_alloc(sizeof(*l));

	l->client = c->clients;
	l->domain = l->author = l->key = DOMAIN_GOOD;
	l->header = true;
	l->n_rcpt = 1;
	l->port = from->port;
	l->to_port = 25;
	l->told_esmtp = true;
	snprintf(l->to, sizeof(l->to), "127.0.0.1");
	snprintf(l->helo, sizeof(l->helo), HELO);
	snprintf(l->told_helo, sizeof(l->told_helo), HELO);
	buf_init(&l->wire, WIRE_MAX);
	buf_init(&l->text, WIRE_MAX);
	buf_add(&l->text, SV(TEXT));
	buf_add(&l->wire, SV(TEXT));
	l->next = c->letters;
	c->letters = l;
	return l;
}

static void
leave(struct guest *g, const char *wrong)
{
	struct calm *k = g->calm;

	k->wrong = wrong;
	k->over = g->actor.over = true;
	sim_note(g->actor.sim, g->actor.name, "%s", wrong == NULL ? "is served" : wrong);
}

static void
say(struct guest *g, unsigned step)
{
	struct calm *k = g->calm;
	char         from[40] = "";

	g->step = step;
	g->since = g->actor.sim->clock;
	k->step = steps[step].says;
	k->code = 0;
	if (step == MAIL)
		snprintf(from, sizeof(from), "<s%u-t0@good.example>", k->letter->client);
	sim_note(g->actor.sim, g->actor.name, "> %s%s", step == END ? "[text]" : k->step, from);
	wire_add(&g->wire, strv_z(k->step));
	wire_add(&g->wire, strv_z(from));
	wire_add(&g->wire, SV("\r\n"));
	if (step == END)
		k->letter->fate = LETTER_SENT;
}

static void
begin(struct guest *g)
{
	static const char address[] = "198.51.100.250";
	struct crowd     *c = g->calm->crowd;
	struct endpoint   from = { .port = 999 };
	int               peer = -1;

	addr_parse(strv_z(address), &from.addr);
	g->actor.fd = house_connect(c->house, (struct strv){ 0 }, &from, &peer);
	if (g->actor.fd < 0) {
		leave(g, "nobody listens");
		return;
	}
	wire_init(&g->wire, &g->actor, peer);
	g->calm->letter = new_letter(c, &from);
	memcpy(g->calm->letter->address, address, sizeof(address));
	g->calm->step = steps[GREETING].says;
	g->since = g->actor.sim->clock;
	if (c->front == FRONT_PROXY)
		wire_add(&g->wire, SV("PROXY UNKNOWN\r\n"));
}

/* What it means for the letter; the next thing to say. */
static unsigned
heard(struct guest *g, unsigned code)
{
	struct letter *l = g->calm->letter;

	if (g->step == RCPT) {
		l->told[0] = true;
		l->took[0] = code == 250;
	}
	if (g->step == END) {
		l->code = code;
		l->fate = code == 250 ? LETTER_ACCEPTED : LETTER_REFUSED;
	}
	return code == steps[g->step].wants ? g->step + 1 : QUIT;
}

/* One line of an answer; false: there is none. */
static bool
take_line(struct guest *g)
{
	struct calm *k = g->calm;
	struct strv  line;
	uint64_t     code = 0;
	unsigned     next;

	if (!wire_line(&g->wire, &line))
		return false;
	sim_note_octets(g->actor.sim, g->actor.name, "<", line);
	if (line.n > 3 && line.p[3] == '-')
		return true;
	strv_number(strv_first(line, line.n < 3 ? line.n : 3), 999, &code);
	k->code = (unsigned)code;
	k->waited = g->actor.sim->clock - g->since;
	if (g->step == QUIT) {
		leave(g, code == 221 ? NULL : "QUIT is not answered by 221");
		return true;
	}
	next = heard(g, k->code);
	/* 421 is an end, too: whether it was due the letter's fate tells. */
	k->away = code == 421 && !strv_starts(line, SV("421 4.7."));
	if (code == 421)
		leave(g, NULL);
	else
		say(g, next);
	return true;
}

static bool
guest_act(struct actor *a, bool settled)
{
	struct guest *g = (struct guest *)a;
	bool          did = false;

	if (settled || a->over)
		return false;
	if (a->fd < 0 && a->sim->clock < g->since) {
		a->wake = g->since;
		return false;
	}
	if (a->fd < 0) {
		begin(g);
		did = true;
	}
	if (!a->over)
		did |= wire_pump(&g->wire);
	while (!a->over && take_line(g))
		did = true;
	if (!a->over && (g->wire.eof || g->wire.lost))
		leave(g, "the connection ended without an answer");
	else if (!a->over && a->sim->clock > g->since + CALM_ANSWER)
		leave(g, "no answer came");
	a->wake = g->since + CALM_ANSWER + 1;
	return did || a->over;
}

static void
guest_free(struct actor *a)
{
	struct guest *g = (struct guest *)a;

	if (g->wire.actor != NULL)
		wire_fini(&g->wire);
	mem_free(g);
}

bool
calm_over(void *arg)
{
	const struct calm *k = arg;

	return k->over;
}

void
calm_start(struct calm *k, struct crowd *c)
{
	struct guest *g = mem_alloc(sizeof(*g));

	*k = (struct calm){ .crowd = c };
	g->actor =
	    (struct actor){ .fd = -1, .act = guest_act, .free = guest_free, .wake = SIM_NEVER };
	g->calm = k;
	g->since = c->sim->clock + CALM_AFTER;
	sim_actor(c->sim, &g->actor, "calm");
}
