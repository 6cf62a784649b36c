/*
 * rogue_talk -- what a rogue says next, and what it makes of the answer: hello, letters, junk.
 *
 * It knows no octets and no time.  Invariant: a letter's fate is what was heard, never what was hoped.
 */
#include "tests/sim/rogue_own.h"

/* ---- letters ---- */

/* Who authenticated keeps his connection, and what was said there, whatever name he says later. */
static void
sign_letter(const struct rogue *r, struct letter *l)
{
	const struct who *w = &r->who;

	l->port = w->port;
	l->to_port = w->to_port;
	l->authenticated = r->authenticated;
	l->told_esmtp = r->authenticated ? r->auth_esmtp : r->esmtp;
	memcpy(l->address, w->address, sizeof(w->address));
	memcpy(l->to, w->to, sizeof(w->to));
	memcpy(l->login, w->login, sizeof(w->login));
	memcpy(l->helo, r->helo, sizeof(r->helo));
	memcpy(l->told_helo, r->authenticated ? r->auth_helo : r->helo, sizeof(r->helo));
}

static void
begin_letter(struct rogue *r)
{
	struct letter *l = mem_alloc(sizeof(*l));
	struct sim    *s = rogue_sim(r);

	l->client = r->no;
	l->no = r->letters++;
	buf_init(&l->wire, WIRE_MAX);
	buf_init(&l->text, WIRE_MAX);
	r->wants_chunks = r->chunking && sim_chance(s, 50);
	l->domain = letter_domain_draw(s);
	letter_write(l, s, r->crowd->largest, !r->wants_chunks);
	l->n_rcpt = 1 + (unsigned)(sim_chance(s, 30) ? sim_below(s, LETTER_RCPTS) : 0);
	l->next = r->crowd->letters;
	r->crowd->letters = l;
	sign_letter(r, l);
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

	if (r->esmtp && sim_chance(rogue_sim(r), 30))
		snprintf(size, sizeof(size), " SIZE=%zu", l->wire.n);
	rogue_command(r, K_MAIL, "MAIL FROM:<s%u-t%u@%s.example>%s", l->client, l->no,
	    letter_domain_word(l->domain), size);
	r->at = TX_RCPT;
}

static void
send_rcpt(struct rogue *r)
{
	struct sim *s = rogue_sim(r);
	bool        foreign = sim_chance(s, 8);
	/* A letter's recipients are mostly all here or all there. */
	bool second = r->crowd->second && (r->l->no % 3 == 0) != sim_chance(s, 10);

	r->l->second[r->rcpt] = second;
	rogue_command(r, K_RCPT, "RCPT TO:<r%u@%s>", r->rcpt,
	    foreign    ? "foreign.example" :
		second ? "second.example" :
			 "ours.example");
	if (++r->rcpt == r->l->n_rcpt)
		r->at = TX_DATA;
}

static void
send_text(struct rogue *r)
{
	struct letter *l = r->l;

	sim_note(rogue_sim(r), r->actor.name, "> [text %zu]", l->wire.n);
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
	struct sim    *s = rogue_sim(r);
	size_t         left = l->wire.n - r->chunk_at;
	size_t         n = sim_chance(s, 40) ? left : sim_below(s, left + 1);
	bool           last = n == left && !sim_chance(s, 10);

	if (r->owed_n > OWED_MAX - 8)
		return;
	rogue_command(r, last ? K_END : K_CHUNK, "BDAT %zu%s", n, last ? " LAST" : "");
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
	const struct crowd *c = r->crowd;
	struct sim         *s = rogue_sim(r);
	unsigned            n = c->names == 0 ? r->no : c->first + (unsigned)sim_below(s, c->names);

	r->esmtp = !sim_chance(s, c->names == 0 ? 10 : 25);
	r->chunking = false;
	snprintf(r->helo, sizeof(r->helo), "client%u.example", n);
	rogue_command(r, K_HELLO, "%s %s", r->esmtp ? "EHLO" : "HELO", r->helo);
}

/* Another one stands behind us.  HELO and PROTO hold until he says his own. */
static void
say_xclient(struct rogue *r)
{
	struct sim *s = rogue_sim(r);
	struct who *w = &r->next;
	char        more[100] = "";

	*w = r->who;
	w->login[0] = '\0';
	w->port = 9000 + r->no + 1000 * r->introductions++;
	snprintf(w->address, sizeof(w->address), "203.0.113.%u", 1 + rogue_place(r));
	if (sim_chance(s, 20)) {
		snprintf(w->to, sizeof(w->to), "10.0.0.2");
		w->to_port = 587;
		snprintf(more, sizeof(more), " DESTADDR=%s DESTPORT=%u", w->to, w->to_port);
	} else if (sim_chance(s, 20))
		snprintf(more, sizeof(more), " HELO=before.example PROTO=SMTP");
	if (r->crowd->login && sim_chance(s, 50))
		snprintf(w->login, sizeof(w->login), "login-%u", 1 + (unsigned)sim_below(s, 2));
	rogue_command(r, K_XCLIENT, "XCLIENT ADDR=%s PORT=%u%s%s%s", w->address, w->port, more,
	    w->login[0] == '\0' ? "" : " LOGIN=", w->login);
}

/* At first mostly; where few clients share a world, in the middle, too. */
static bool
has_another(const struct rogue *r)
{
	if (r->crowd->front != FRONT_XCLIENT || !r->hello_said)
		return false;
	if (r->introductions > 0)
		return r->crowd->addresses > 0 && r->introductions < 5 &&
		    sim_chance(rogue_sim(r), 10);
	return r->letters == 0 && sim_chance(rogue_sim(r), 50);
}

static void
say_junk(struct rogue *r)
{
	static const char *const junk[] = { "NOOP", "RSET", "VRFY somebody", "HELP", "FOO bar",
		"EXPN all", "MAIL FROM:nobody", "RCPT TO:<>", "DATA now", "NOOP \xc3\xa4", "BDAT x",
		"" };
	unsigned k = (unsigned)sim_below(rogue_sim(r), sizeof(junk) / sizeof(junk[0]));

	if (k == 9) {
		rogue_command(r, K_OTHER, "NOOP %0500u", 0u);
		return;
	}
	rogue_command(r, K_OTHER, "%s", junk[k]);
}

static void
say_quit(struct rogue *r)
{
	r->quitting = true;
	if (rogue_rude(r)) {
		r->ends_at = r->sent;
		rogue_leave(r, sim_chance(rogue_sim(r), 50));
		return;
	}
	rogue_command(r, K_QUIT, "QUIT");
}

/* MAIL, RCPT ... was refused before the text went out: what to do about it. */
static bool
give_up_letter(struct rogue *r)
{
	if (r->owed_n > 0 || !r->refused)
		return false;
	rogue_command(r, K_OTHER, "RSET");
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
		rogue_command(r, K_DATA, "DATA");
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

bool
rogue_next(struct rogue *r)
{
	struct sim *s = rogue_sim(r);

	if (r->gone || r->quitting || r->half)
		return false;
	if (r->at == TX_OVER) {
		if (r->owed_n > 0)
			return false;
		if (r->refused && r->l != NULL && !r->last_sent)
			rogue_command(r, K_OTHER, "RSET");
		else if (r->refused && r->wants_chunks)
			rogue_command(r, K_OTHER, "RSET");
		r->at = TX_NONE;
		r->l = NULL;
		return true;
	}
	if (r->at != TX_NONE)
		return next_of_letter(r);
	if (r->owed_n > 0)
		return false;
	if (sim_chance(s, 3) || rogue_rude(r)) {
		say_junk(r);
		return true;
	}
	if (has_another(r)) {
		say_xclient(r);
		return true;
	}
	if (r->hello_said && r->crowd->names > 0 && sim_chance(s, 8)) {
		say_hello(r);
		return true;
	}
	if (r->mechanisms != 0 && sim_chance(s, 40) && rogue_auth_begin(r))
		return true;
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
		rogue_fault(r, "%u at the end of a message", code);
}

static void
heard_hello(struct rogue *r, unsigned code, struct strv text)
{
	if (code != 250) {
		r->quitting = true;
		rogue_command(r, K_QUIT, "QUIT");
		return;
	}
	r->hello_said = true;
	rogue_auth_offered(r, text);
	r->chunking = sim_match(SV("*CHUNKING*"), text);
	r->lockstep = !sim_match(SV("*PIPELINING*"), text) || sim_chance(rogue_sim(r), 40);
}

/* 220: who we are is new, and so is all the rest. */
static void
heard_xclient(struct rogue *r, unsigned code)
{
	if (code != 220)
		return;
	r->who = r->next;
	r->authenticated = false;
	r->auth_tries = 0;
	r->mechanisms = 0;
	say_hello(r);
}

void
rogue_heard(struct rogue *r, unsigned code, struct strv text)
{
	struct owed o = { K_OTHER, 0 };

	sim_note_octets(rogue_sim(r), r->actor.name, "<", text);
	r->silent_since = rogue_sim(r)->clock;
	if (r->owed_n > 0) {
		o = r->owed[r->owed_from];
		r->owed_from = (r->owed_from + 1) % OWED_MAX;
		r->owed_n--;
	} else if (code != 421)
		rogue_fault(r, "a reply that nothing owes: %.*s", (int)text.n, text.p);
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
	case K_AUTH:
		rogue_auth_heard(r, code);
		break;
	case K_XCLIENT:
		heard_xclient(r, code);
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
		rogue_fault(r, "354 out of place");
}
