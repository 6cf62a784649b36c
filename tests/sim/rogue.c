/*
 * rogue -- see rogue.h.  One actor; what it wants to send is a queue of octets that leaves in
 * random pieces, what it expects a queue of replies.
 *
 * Invariant: every command sent has exactly one entry in `owed`, taken away by exactly one reply.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "tests/sim/letter.h"

#define OWED_MAX 512
#define PATIENCE (40 * 60000u) /* ms without any answer, then we go */

enum kind { K_GREETING, K_HELLO, K_MAIL, K_RCPT, K_DATA, K_CHUNK, K_END, K_OTHER, K_QUIT };

enum tx_at { TX_NONE, TX_MAIL, TX_RCPT, TX_DATA, TX_WAIT_354, TX_TEXT, TX_CHUNKS, TX_OVER };

struct owed {
	enum kind kind;
	unsigned  rcpt;
};

struct rogue {
	struct actor   actor; /* first */
	struct wire    wire;
	struct crowd  *crowd;
	unsigned       no;
	uint64_t       begins;
	bool           connected, gone, quitting, half;
	bool           lockstep, chunking, esmtp, wants_chunks, heard_354, refused;
	size_t         piece; /* octets of a piece, about; 0: all */
	struct buf     todo;  /* octets to be sent */
	size_t         todo_at;
	uint64_t       sent, ends_at; /* octets; after so many we go, whatever is going on */
	struct owed    owed[OWED_MAX];
	unsigned       owed_from, owed_n;
	unsigned       letters, n_letters;
	struct letter *l; /* the one in hand */
	enum tx_at     at;
	unsigned       rcpt;
	size_t         chunk_at;
	bool           last_sent;
	uint64_t       silent_since;
	uint64_t       pause_until;
};

static struct sim *
sim_of(const struct rogue *r)
{
	return r->crowd->sim;
}

static bool
rude(const struct rogue *r)
{
	return sim_chance(sim_of(r), r->crowd->rudeness);
}

__attribute__((format(printf, 2, 3))) static void
fault(struct rogue *r, const char *fmt, ...)
{
	char    text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_printf(&r->crowd->faults, "%s: %s\n", r->actor.name, text);
	sim_note(sim_of(r), r->actor.name, "! %s", text);
}

/* ---- sending ---- */

__attribute__((format(printf, 3, 4))) static void
command(struct rogue *r, enum kind kind, const char *fmt, ...)
{
	char    text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->owed_n == OWED_MAX)
		abort();
	r->owed[(r->owed_from + r->owed_n++) % OWED_MAX] = (struct owed){ kind, r->rcpt };
	sim_note(sim_of(r), r->actor.name, "> %s", text);
	buf_printf(&r->todo, "%s\r\n", text);
}

static bool
all_sent(const struct rogue *r)
{
	return r->todo.n == r->todo_at && wire_idle(&r->wire);
}

static void
leave(struct rogue *r, bool reset)
{
	sim_note(sim_of(r), r->actor.name, reset ? "resets" : "closes");
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
		leave(r, sim_chance(sim_of(r), 60));
		return true;
	}
	if (r->piece > 0) {
		size_t some = 1 + sim_below(sim_of(r), r->piece);

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
	if (sim_chance(sim_of(r), 2))
		r->pause_until = sim_of(r)->clock + sim_below(sim_of(r), rude(r) ? 200000 : 800);
	return true;
}

/* ---- letters ---- */

static void
begin_letter(struct rogue *r)
{
	struct letter *l = mem_alloc(sizeof(*l));
	struct sim    *s = sim_of(r);

	l->client = r->no;
	l->no = r->letters++;
	buf_init(&l->wire, WIRE_MAX);
	buf_init(&l->text, WIRE_MAX);
	r->wants_chunks = r->chunking && sim_chance(s, 50);
	letter_write(l, s, r->crowd->largest, !r->wants_chunks);
	l->n_rcpt = 1 + (unsigned)(sim_chance(s, 30) ? sim_below(s, LETTER_RCPTS) : 0);
	l->next = r->crowd->letters;
	r->crowd->letters = l;
	r->l = l;
	r->at = TX_MAIL;
	r->rcpt = 0;
	r->chunk_at = 0;
	r->heard_354 = r->refused = r->last_sent = false;
}

static void
send_mail(struct rogue *r)
{
	struct letter *l = r->l;
	char           size[32] = "";

	if (r->esmtp && sim_chance(sim_of(r), 30))
		snprintf(size, sizeof(size), " SIZE=%zu", l->wire.n);
	command(r, K_MAIL, "MAIL FROM:<s%u-t%u@sender.example>%s", l->client, l->no, size);
	r->at = TX_RCPT;
}

static void
send_rcpt(struct rogue *r)
{
	bool foreign = sim_chance(sim_of(r), 8);

	command(
	    r, K_RCPT, "RCPT TO:<r%u@%s>", r->rcpt, foreign ? "foreign.example" : "ours.example");
	if (++r->rcpt == r->l->n_rcpt)
		r->at = TX_DATA;
}

static void
send_text(struct rogue *r)
{
	struct letter *l = r->l;

	sim_note(sim_of(r), r->actor.name, "> [text %zu]", l->wire.n);
	buf_add(&r->todo, buf_view(&l->wire));
	buf_add(&r->todo, SV(".\r\n"));
	r->owed[(r->owed_from + r->owed_n++) % OWED_MAX] = (struct owed){ K_END, 0 };
	r->last_sent = true;
	r->at = TX_OVER;
}

static void
send_chunk(struct rogue *r)
{
	struct letter *l = r->l;
	struct sim    *s = sim_of(r);
	size_t         left = l->wire.n - r->chunk_at;
	size_t         n = sim_chance(s, 40) ? left : sim_below(s, left + 1);
	bool           last = n == left && !sim_chance(s, 10);

	if (r->owed_n > OWED_MAX - 8)
		return;
	command(r, last ? K_END : K_CHUNK, "BDAT %zu%s", n, last ? " LAST" : "");
	buf_add(&r->todo, strv(l->wire.p == NULL ? "" : l->wire.p + r->chunk_at, n));
	r->chunk_at += n;
	if (last) {
		r->last_sent = true;
		r->at = TX_OVER;
	}
}

/* ---- what is done next ---- */

static void
say_hello(struct rogue *r)
{
	r->esmtp = !sim_chance(sim_of(r), 10);
	r->chunking = false;
	command(r, K_HELLO, "%s client%u.example", r->esmtp ? "EHLO" : "HELO", r->no);
}

static void
say_junk(struct rogue *r)
{
	static const char *const junk[] = { "NOOP", "RSET", "VRFY somebody", "HELP", "FOO bar",
		"EXPN all", "MAIL FROM:nobody", "RCPT TO:<>", "DATA now", "NOOP \xc3\xa4", "BDAT x",
		"" };
	unsigned                 k = (unsigned)sim_below(sim_of(r), sizeof(junk) / sizeof(junk[0]));

	if (k == 9) {
		command(r, K_OTHER, "NOOP %0500u", 0u);
		return;
	}
	command(r, K_OTHER, "%s", junk[k]);
}

static void
say_quit(struct rogue *r)
{
	r->quitting = true;
	if (rude(r)) {
		r->ends_at = r->sent;
		leave(r, sim_chance(sim_of(r), 50));
		return;
	}
	command(r, K_QUIT, "QUIT");
}

/* MAIL, RCPT ... was refused before the text went out: what to do about it. */
static bool
give_up_letter(struct rogue *r)
{
	if (r->owed_n > 0 || !r->refused)
		return false;
	command(r, K_OTHER, "RSET");
	r->at = TX_NONE;
	r->l = NULL;
	return true;
}

static bool
next_of_letter(struct rogue *r)
{
	if (r->lockstep && r->owed_n > 0)
		return false;
	if (r->at < TX_TEXT && r->lockstep && give_up_letter(r))
		return true;
	switch (r->at) {
	case TX_MAIL:
		send_mail(r);
		return true;
	case TX_RCPT:
		send_rcpt(r);
		return true;
	case TX_DATA:
		if (r->wants_chunks) {
			r->at = TX_CHUNKS;
			return true;
		}
		command(r, K_DATA, "DATA");
		r->at = TX_WAIT_354;
		return true;
	case TX_WAIT_354:
		if (r->owed_n > 0)
			return false;
		if (r->heard_354)
			send_text(r);
		else
			r->at = TX_OVER;
		return true;
	case TX_CHUNKS:
		/* Not the whole letter at once into our own memory: the wire first. */
		if (r->todo.n - r->todo_at > 100000 || r->owed_n > OWED_MAX - 8)
			return false;
		if (r->refused && r->owed_n == 0)
			r->at = TX_OVER;
		else
			send_chunk(r);
		return true;
	default:
		return false;
	}
}

static bool
next(struct rogue *r)
{
	struct sim *s = sim_of(r);

	if (r->gone || r->quitting || r->half)
		return false;
	if (r->at == TX_OVER) {
		if (r->owed_n > 0)
			return false;
		if (r->refused && r->l != NULL && !r->last_sent)
			command(r, K_OTHER, "RSET");
		else if (r->refused && r->wants_chunks)
			command(r, K_OTHER, "RSET");
		r->at = TX_NONE;
		r->l = NULL;
		return true;
	}
	if (r->at != TX_NONE)
		return next_of_letter(r);
	if (r->owed_n > 0)
		return false;
	if (sim_chance(s, 3) || rude(r)) {
		say_junk(r);
		return true;
	}
	if (r->letters < r->n_letters)
		begin_letter(r);
	else
		say_quit(r);
	return true;
}

/* ---- replies ---- */

static void
heard_end(struct rogue *r, unsigned code)
{
	struct letter *l = r->l;

	if (l == NULL)
		return;
	l->code = code;
	if (code == 250)
		l->fate = LETTER_ACCEPTED;
	else if (code >= 400) {
		l->fate = LETTER_REFUSED;
		r->refused = true;
	} else
		fault(r, "%u at the end of a message", code);
}

static void
heard_hello(struct rogue *r, unsigned code, struct strv text)
{
	if (code != 250) {
		r->quitting = true;
		command(r, K_QUIT, "QUIT");
		return;
	}
	r->chunking = sim_match(SV("*CHUNKING*"), text);
	r->lockstep = !sim_match(SV("*PIPELINING*"), text) || sim_chance(sim_of(r), 40);
}

static void
heard(struct rogue *r, unsigned code, struct strv text)
{
	struct owed o = { K_OTHER, 0 };

	sim_note_octets(sim_of(r), r->actor.name, "<", text);
	r->silent_since = sim_of(r)->clock;
	if (r->owed_n > 0) {
		o = r->owed[r->owed_from];
		r->owed_from = (r->owed_from + 1) % OWED_MAX;
		r->owed_n--;
	} else if (code != 421)
		fault(r, "a reply that nothing owes: %.*s", (int)text.n, text.p);
	switch (o.kind) {
	case K_GREETING:
		if (code == 220)
			say_hello(r);
		break;
	case K_HELLO:
		heard_hello(r, code, text);
		break;
	case K_MAIL:
		r->refused |= code != 250;
		break;
	case K_RCPT:
		if (r->l != NULL) {
			r->l->took[o.rcpt] = code == 250;
			r->l->told[o.rcpt] = true;
		}
		break;
	case K_DATA:
		r->heard_354 = code == 354;
		r->refused |= code != 354;
		break;
	case K_CHUNK:
		r->refused |= code != 250;
		break;
	case K_END:
		heard_end(r, code);
		break;
	default:
		break;
	}
	if ((code == 354) != (o.kind == K_DATA && r->heard_354))
		fault(r, "354 out of place");
}

static void
check_line(struct rogue *r, struct strv line)
{
	bool good = line.n >= 4 && line.n <= 510 && line.p[0] >= '2' && line.p[0] <= '5' &&
	    ascii_is_digit(line.p[1]) && ascii_is_digit(line.p[2]) &&
	    (line.p[3] == ' ' || line.p[3] == '-');

	for (size_t i = 0; i < line.n; i++)
		good &= (unsigned char)line.p[i] >= 0x20 || line.p[i] == '\t';
	if (!good)
		fault(r, "a reply line of %zu octets that is none: %.60s", line.n, line.p);
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
		heard(r, (unsigned)code, strv_first(all, at));
	}
	return true;
}

/* ---- the actor ---- */

static void
connect_now(struct rogue *r)
{
	struct endpoint from = { .port = (uint16_t)(1024 + r->no) };
	char            text[32];
	int             peer = -1;

	snprintf(text, sizeof(text), "198.51.100.%u", 1 + r->no % 200);
	addr_parse(strv_z(text), &from.addr);
	r->connected = true;
	r->actor.fd = house_connect(r->crowd->house, (struct strv){ 0 }, &from, &peer);
	if (r->actor.fd < 0) {
		r->gone = true;
		return;
	}
	wire_init(&r->wire, &r->actor, peer);
	r->owed[0] = (struct owed){ K_GREETING, 0 };
	r->owed_n = 1;
	r->silent_since = sim_of(r)->clock;
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
		if (rude(r) && sim_chance(sim_of(r), 50))
			leave(r, sim_chance(sim_of(r), 50));
		else if (rude(r) && sim_chance(sim_of(r), 30)) {
			r->half = true;
			wire_halfclose(&r->wire);
		}
	}
}

static bool
impatient(struct rogue *r)
{
	if (sim_of(r)->clock < r->silent_since + PATIENCE)
		return false;
	sim_note(sim_of(r), r->actor.name, "has waited long enough");
	leave(r, false);
	return true;
}

static void
set_wake(struct rogue *r)
{
	r->actor.wake = r->silent_since + PATIENCE;
	if (r->pause_until > sim_of(r)->clock && r->pause_until < r->actor.wake)
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
		if (sim_of(r)->clock < r->begins) {
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
		sim_note(sim_of(r), a->name, r->wire.eof ? "sees the end" : "sees a reset");
		leave(r, false);
		did = true;
	}
	if (!r->gone && r->pause_until <= sim_of(r)->clock) {
		while (next(r))
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
	r->n_letters = (unsigned)sim_below(s, 7);
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
