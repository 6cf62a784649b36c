/*
 * mailer -- see mailer.h.  One actor for each connection; the server itself is only shared state.
 *
 * Invariant: a message enters the list at the moment its reply is decided, before an octet of the
 * reply is written, as a real server commits before it answers.
 */
#include <stdlib.h>
#include <unistd.h>

#include "tests/sim/mailer.h"

enum up_state { UP_IDLE, UP_MAILED, UP_RCPTED, UP_DATA, UP_BDAT };

struct up_conn {
	struct actor       actor; /* first */
	struct wire        wire;
	struct mailer     *up;
	unsigned           no;
	enum up_state      state;
	bool               greeted, helo, extended, xclient_done;
	bool               closing, stalled;
	struct up_message *m;     /* the transaction */
	uint64_t           chunk; /* octets of BDAT still to come */
	bool               last, chunk_bad;
	bool               chunk_said; /* the reply to this chunk went out before its octets came */
	uint64_t           text_n;     /* octets of text on the wire so far */
	struct up_message *unreplied;  /* taken, its reply not yet written whole */
	/* what waits for its time */
	bool             waiting;
	uint64_t         until;
	struct up_moment moment;
	struct up_answer answer;
	char            *line; /* moment.line's octets */
};

/* ---- notes ---- */

static void
event(struct up_conn *c, struct strv text)
{
	struct mailer *u = c->up;

	if (u->n_event == u->max_event) {
		u->max_event = u->max_event == 0 ? 64 : u->max_event * 2;
		u->event = mem_resize(u->event, u->max_event * sizeof(*u->event));
	}
	u->event[u->n_event++] = (struct up_event){ c->no, strndup(text.p, text.n) };
}

static void
event_number(struct up_conn *c, const char *word, uint64_t n)
{
	char text[64];

	snprintf(text, sizeof(text), "[%s %llu]", word, (unsigned long long)n);
	event(c, strv_z(text));
	sim_note(c->up->sim, c->actor.name, "< %s", text);
}

static void
fault(struct up_conn *c, const char *what)
{
	if (c->up->lax)
		return;
	buf_printf(&c->up->faults, "connection %u: %s\n", c->no, what);
	sim_note(c->up->sim, c->actor.name, "! %s", what);
}

bool
mailer_offers(const struct mailer *u, const char *keyword)
{
	struct strv all = strv_z(u->offers), word;
	size_t      n = strlen(keyword);

	while ((word = strv_word(&all)).n > 0)
		if (strv_istarts(word, strv_z(keyword)) && (word.n == n || word.p[n] == '='))
			return true;
	return false;
}

/* ---- the transaction ---- */

static void
message_free(struct up_message *m)
{
	if (m == NULL)
		return;
	for (unsigned i = 0; i < m->n_rcpt; i++)
		free(m->rcpt[i]);
	free(m->rcpt);
	free(m->from);
	buf_fini(&m->text);
	mem_free(m);
}

static void
reset(struct up_conn *c)
{
	message_free(c->m);
	c->m = NULL;
	c->state = UP_IDLE;
	c->chunk_bad = false;
}

static void
take_mail(struct up_conn *c, struct strv line)
{
	c->m = mem_alloc(sizeof(*c->m));
	c->m->from = strndup(line.p, line.n);
	c->m->conn = c->no;
	buf_init(&c->m->text, WIRE_MAX);
	c->state = UP_MAILED;
}

static void
take_rcpt(struct up_conn *c, struct strv line)
{
	struct up_message *m = c->m;

	m->rcpt = mem_resize(m->rcpt, (m->n_rcpt + 1) * sizeof(*m->rcpt));
	m->rcpt[m->n_rcpt++] = strndup(line.p, line.n);
	c->state = UP_RCPTED;
}

static void
commit(struct up_conn *c)
{
	struct up_message *m = c->m;

	c->m = NULL;
	c->unreplied = m;
	m->at = c->up->sim->clock;
	*c->up->message_end = m;
	c->up->message_end = &m->next;
	c->up->n_message++;
	sim_note(c->up->sim, c->actor.name, "= took a message of %zu octets", m->text.n);
}

/* ---- replies ---- */

static void
say(struct up_conn *c, struct strv octets)
{
	struct mailer *u = c->up;
	bool in_text = c->state == UP_DATA || (c->state == UP_BDAT && c->chunk != UINT64_MAX);

	if (!mailer_offers(u, "PIPELINING") && !in_text && wire_unread(&c->wire).n > 0)
		fault(c, "a command ahead of a reply, without PIPELINING");
	sim_note_octets(u->sim, c->actor.name, ">", octets);
	wire_add(&c->wire, octets);
}

static void
say_hello(struct up_conn *c)
{
	struct strv all = strv_z(c->up->offers), word;
	struct strv part[64];
	struct buf  b;
	unsigned    n = 0;

	buf_init(&b, 65536);
	while (c->extended && n < 64 && (word = strv_word(&all)).n > 0)
		part[n++] = word;
	buf_printf(&b, "250%cup.test\r\n", n > 0 ? '-' : ' ');
	for (unsigned i = 0; i < n; i++) {
		size_t at = b.n;

		buf_printf(&b, "250%c%.*s\r\n", i + 1 < n ? '-' : ' ', (int)part[i].n, part[i].p);
		for (at += 4; at < b.n; at++)
			if (b.p[at] == '=' || b.p[at] == ',')
				b.p[at] = ' ';
	}
	say(c, buf_view(&b));
	buf_fini(&b);
}

/* What a well-behaved server says to a command, and does, unless `refused`. NULL: nothing yet. */
static const char *
hello(struct up_conn *c, bool extended, bool refused)
{
	if (refused)
		return NULL;
	reset(c);
	c->helo = true;
	c->extended = extended;
	return NULL;
}

static const char *
xclient(struct up_conn *c, struct strv line, bool refused)
{
	if (c->state != UP_IDLE)
		return "503 5.5.1 Error: MAIL transaction in progress\r\n";
	if (c->xclient_done)
		return "550 5.7.0 Error: insufficient authorization\r\n";
	if (line.n > 510)
		fault(c, "XCLIENT of more than 512 octets");
	if (!refused) {
		c->helo = false;
		c->xclient_done = sim_match(SV("* ADDR=*"), line);
	}
	return "220 up.test ESMTP\r\n";
}

static const char *
mail(struct up_conn *c, struct strv line, bool refused)
{
	static const char *const extensions[][2] = { { "* BODY=*", "8BITMIME" },
		{ "* SMTPUTF8*", "SMTPUTF8" }, { "* SIZE=*", "SIZE" }, { "* RET=*", "DSN" },
		{ "* ENVID=*", "DSN" } };

	if (!c->helo)
		return "503 5.5.1 Error: send HELO/EHLO first\r\n";
	if (c->state != UP_IDLE)
		return "503 5.5.1 Error: nested MAIL command\r\n";
	for (unsigned i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (sim_match(strv_z(extensions[i][0]), line) &&
		    !mailer_offers(c->up, extensions[i][1]))
			fault(c, "MAIL with a parameter that was not offered");
	if (!refused)
		take_mail(c, line);
	return "250 2.1.0 Ok\r\n";
}

static const char *
rcpt(struct up_conn *c, struct strv line, bool refused)
{
	if (c->m == NULL)
		return "503 5.5.1 Error: need MAIL command\r\n";
	if ((sim_match(SV("* NOTIFY=*"), line) || sim_match(SV("* ORCPT=*"), line)) &&
	    !mailer_offers(c->up, "DSN"))
		fault(c, "RCPT with a parameter that was not offered");
	if (!refused)
		take_rcpt(c, line);
	return "250 2.1.5 Ok\r\n";
}

static const char *
data(struct up_conn *c, bool refused)
{
	if (c->state != UP_RCPTED) {
		if (c->m != NULL)
			return "554 5.5.1 Error: no valid recipients\r\n";
		return "503 5.5.1 Error: need RCPT command\r\n";
	}
	if (wire_unread(&c->wire).n > 0)
		fault(c, "text ahead of 354");
	if (!refused) {
		c->state = UP_DATA;
		c->text_n = 0;
	}
	return "354 End data with <CR><LF>.<CR><LF>\r\n";
}

static const char *
bdat(struct up_conn *c, struct strv line)
{
	struct strv word;
	uint64_t    n = 0;

	(void)strv_word(&line);
	word = strv_word(&line);
	if (!mailer_offers(c->up, "CHUNKING"))
		fault(c, "BDAT, and CHUNKING was not offered");
	if (!strv_number(word, INT64_MAX, &n))
		return "501 5.5.4 Syntax: BDAT count [LAST]\r\n";
	c->chunk_bad = c->state != UP_RCPTED && c->state != UP_BDAT;
	if (c->state != UP_BDAT)
		c->text_n = 0;
	c->chunk = n;
	c->chunk_said = false;
	c->last = strv_ieq(strv_word(&line), SV("LAST"));
	c->state = UP_BDAT;
	if (c->m != NULL)
		c->m->bdat = true;
	return "";
}

/* The reply that is due, and the change of state if it is not refused: NULL: HELO's, "": none. */
static const char *
due(struct up_conn *c, const struct up_moment *m, bool refused)
{
	struct strv v = m->verb;

	if (m->stage == UP_GREETING)
		return "220 up.test ESMTP\r\n";
	if ((m->stage == UP_CHUNK || m->stage == UP_DOT) && c->chunk_said)
		return "";
	if (m->stage == UP_CHUNK)
		return c->chunk_bad ? "503 5.5.1 Error: need RCPT command\r\n" : "250 2.0.0 Ok\r\n";
	if (m->stage == UP_DOT)
		return c->chunk_bad ? "503 5.5.1 Error: need RCPT command\r\n" :
				      "250 2.0.0 Ok: queued\r\n";
	if (strv_ieq(v, SV("EHLO")) && c->up->helo_only)
		return "502 5.5.1 Error: command not implemented\r\n";
	if (strv_ieq(v, SV("EHLO")) || strv_ieq(v, SV("HELO")))
		return hello(c, strv_ieq(v, SV("EHLO")), refused);
	if (strv_ieq(v, SV("XCLIENT")) && mailer_offers(c->up, "XCLIENT"))
		return xclient(c, m->line, refused);
	if (strv_ieq(v, SV("MAIL")))
		return mail(c, m->line, refused);
	if (strv_ieq(v, SV("RCPT")))
		return rcpt(c, m->line, refused);
	if (strv_ieq(v, SV("DATA")))
		return data(c, refused);
	if (strv_ieq(v, SV("BDAT")))
		return bdat(c, m->line);
	if (strv_ieq(v, SV("RSET")))
		reset(c);
	else if (strv_ieq(v, SV("QUIT"))) {
		c->closing = true;
		return "221 2.0.0 Bye\r\n";
	} else if (!strv_ieq(v, SV("NOOP")))
		return "502 5.5.2 Error: command not recognized\r\n";
	return "250 2.0.0 Ok\r\n";
}

static void
end_of_message(struct up_conn *c, bool taken)
{
	if (c->m != NULL)
		event_number(c, "text", c->m->text.n);
	if (taken && c->m != NULL && !c->chunk_bad && !c->chunk_said)
		commit(c);
	reset(c);
}

/* Carries an answer out, its delay being over. */
static void
perform(struct up_conn *c)
{
	const struct up_answer *a = &c->answer;
	const struct up_moment *m = &c->moment;
	bool                    silent = !a->says && (a->stall || a->drop || a->reset);
	bool refused = a->says ? a->say.n == 0 || a->say.p[0] > '3' || a->say.p[0] < '2' : silent;
	const char *text = m->stage == UP_TEXT ? "" : due(c, m, refused);

	c->waiting = false;
	if (m->stage == UP_COMMAND && c->state == UP_BDAT)
		c->chunk_said = a->says;
	if (m->stage == UP_DOT)
		end_of_message(c, a->commit || !refused);
	if (a->says) {
		/* Two replies in one segment can be told apart from a late second one. */
		c->wire.cut = 0;
		say(c, a->say);
	} else if (!silent && text == NULL)
		say_hello(c);
	else if (!silent && text[0] != '\0')
		say(c, strv_z(text));
	if (a->reset) {
		event(c, SV("[we reset]"));
		wire_reset(&c->wire);
	}
	if (a->drop)
		c->closing = true;
	c->stalled = a->stall;
	free((char *)a->say.p);
	c->answer = (struct up_answer){ 0 };
}

/* Something happened: what shall be done about it, and when? */
static void
happens(struct up_conn *c, struct up_moment m)
{
	struct mailer   *u = c->up;
	struct up_answer a = { 0 };

	m.conn = c->no;
	if (u->decide != NULL)
		u->decide(u->arg, &m, &a);
	if (a.says)
		a.say = strv(memcpy(malloc(a.say.n + 1), a.say.p, a.say.n), a.say.n);
	free(c->line);
	c->line = NULL;
	if (m.line.p != NULL) {
		c->line = strndup(m.line.p, m.line.n);
		m.verb.p = c->line + (m.verb.p - m.line.p);
		m.line.p = c->line;
	}
	c->moment = m;
	c->answer = a;
	if (a.deaf > 0)
		c->actor.deaf = true;
	c->until = u->sim->clock + a.delay + a.deaf;
	c->waiting = true;
}

/* ---- input ---- */

static void
command(struct up_conn *c, struct strv line)
{
	struct strv      rest = line;
	struct up_moment m = { .stage = UP_COMMAND, .line = line };

	m.verb = strv_word(&rest);
	if (m.verb.n == 0)
		m.verb = strv_first(line, 0);
	sim_note_octets(c->up->sim, c->actor.name, "<", line);
	event(c, line);
	if (memchr(line.p, '\r', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL)
		fault(c, "a bare CR or NUL in a command");
	if (strv_ieq(m.verb, SV("EHLO")) && wire_unread(&c->wire).n > 0)
		fault(c, "commands behind EHLO");
	happens(c, m);
}

/* One whole line of DATA text, with its LF. */
static void
text_line(struct up_conn *c, struct strv v)
{
	if (v.n < 2 || v.p[v.n - 2] != '\r' || memchr(v.p, '\r', v.n - 2) != NULL)
		fault(c, "a bare CR or LF in text");
	if (memchr(v.p, '\0', v.n) != NULL)
		fault(c, "a NUL in text");
	if (strv_eq(v, SV(".\r\n"))) {
		happens(c, (struct up_moment){ .stage = UP_DOT });
		return;
	}
	if (v.p[0] == '.') {
		if (v.n < 2 || v.p[1] != '.')
			fault(c, "a dot that was not doubled");
		v = strv_from(v, 1);
	}
	if (!buf_add(&c->m->text, v))
		abort();
}

static bool
asks_about_text(struct up_conn *c, uint64_t octets)
{
	struct up_answer a = { 0 };
	struct up_moment m = { .stage = UP_TEXT, .octets = octets, .conn = c->no };

	if (c->up->decide == NULL || !c->up->decide(c->up->arg, &m, &a))
		return false;
	c->moment = m;
	c->answer = a;
	if (a.says)
		c->answer.say = strv(memcpy(malloc(a.say.n + 1), a.say.p, a.say.n), a.say.n);
	if (a.deaf > 0)
		c->actor.deaf = true;
	c->until = c->up->sim->clock + a.delay + a.deaf;
	c->waiting = true;
	return true;
}

static bool
text_step(struct up_conn *c)
{
	struct strv v = wire_unread(&c->wire);
	size_t      n = strv_chr(v, '\n');

	if (v.n > 0 && asks_about_text(c, c->text_n + v.n))
		return true;
	if (n == v.n)
		return false;
	wire_take(&c->wire, n + 1);
	c->text_n += n + 1;
	text_line(c, strv_first(v, n + 1));
	return true;
}

static void
check_chunks(struct up_conn *c)
{
	struct strv v = buf_view(&c->m->text);
	const char *p = v.p, *end = v.p + v.n;

	for (; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
		if (p == v.p || p[-1] != '\r')
			fault(c, "a bare LF in a chunk");
	for (p = v.p; (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
		if (p + 1 == end || p[1] != '\n')
			fault(c, "a bare CR in a chunk");
	if (memchr(v.p, '\0', v.n) != NULL)
		fault(c, "a NUL in a chunk");
}

static bool
chunk_step(struct up_conn *c)
{
	struct strv v = wire_unread(&c->wire);

	if (v.n > c->chunk)
		v.n = c->chunk;
	if (v.n > 0 && asks_about_text(c, c->text_n + v.n))
		return true;
	if (v.n == 0 && c->chunk > 0)
		return false;
	wire_take(&c->wire, v.n);
	c->text_n += v.n;
	c->chunk -= v.n;
	if (c->m != NULL && !buf_add(&c->m->text, v))
		abort();
	if (c->chunk > 0)
		return true;
	if (c->m != NULL && c->last)
		check_chunks(c);
	c->state = c->m == NULL || c->m->n_rcpt == 0 ? UP_IDLE : UP_RCPTED;
	if (c->state == UP_RCPTED && !c->last)
		c->state = UP_BDAT;
	c->chunk = UINT64_MAX; /* the next is a command */
	happens(c, (struct up_moment){ .stage = c->last ? UP_DOT : UP_CHUNK });
	return true;
}

static bool
step(struct up_conn *c)
{
	struct strv line;

	if (!c->greeted) {
		c->greeted = true;
		happens(c, (struct up_moment){ .stage = UP_GREETING });
		return true;
	}
	if (c->state == UP_DATA)
		return text_step(c);
	if (c->state == UP_BDAT && c->chunk != UINT64_MAX)
		return chunk_step(c);
	if (!wire_line(&c->wire, &line))
		return false;
	command(c, line);
	return true;
}

/* ---- the actor ---- */

static void
ends(struct up_conn *c, const char *how)
{
	event(c, strv_z(how));
	sim_note(c->up->sim, c->actor.name, "%s", how);
	wire_close(&c->wire);
	c->actor.over = true;
	c->up->live--;
}

static bool
time_has_come(struct up_conn *c)
{
	if (c->until > c->up->sim->clock) {
		c->actor.wake = c->until;
		return false;
	}
	if (c->answer.deaf > 0)
		c->actor.deaf = false;
	c->answer.deaf = 0;
	perform(c);
	return true;
}

static bool
up_act(struct actor *a, bool settled)
{
	struct up_conn *c = (struct up_conn *)a;
	bool            did = false;

	if (settled || a->over)
		return false;
	did = wire_pump(&c->wire);
	if (c->unreplied != NULL && wire_idle(&c->wire) && !c->waiting) {
		c->unreplied->replied = !c->wire.lost && !c->stalled;
		c->unreplied = NULL;
	}
	for (;;) {
		if (c->waiting ? !time_has_come(c) : c->closing || c->stalled || !step(c))
			break;
		did = true;
		if (a->fd < 0)
			break;
	}
	if (a->fd < 0 || c->wire.lost)
		ends(c, a->fd < 0 ? "[reset]" : "[lost]");
	else if (c->closing && !c->waiting && wire_idle(&c->wire))
		ends(c, "[closed]");
	else if (c->wire.eof && !c->waiting && wire_idle(&c->wire))
		ends(c, "[end]");
	return did || a->over;
}

static void
up_free(struct actor *a)
{
	struct up_conn *c = (struct up_conn *)a;

	message_free(c->m);
	free(c->line);
	if (c->waiting)
		free((char *)c->answer.say.p);
	wire_fini(&c->wire);
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

static int
dial(void *arg, const char **why)
{
	struct mailer   *u = arg;
	struct up_moment m = { .stage = UP_CONNECT, .conn = u->conns + 1 };
	struct up_answer a = { 0 };
	struct up_conn  *c;
	char             name[24];
	int              fd[2];

	if (u->decide != NULL)
		u->decide(u->arg, &m, &a);
	if (a.refuse || !sim_pair(u->sim, fd)) {
		*why = "connection refused";
		return -1;
	}
	c = mem_alloc(sizeof(*c));
	c->up = u;
	c->no = ++u->conns;
	c->chunk = UINT64_MAX;
	u->live++;
	c->actor = (struct actor){ .fd = fd[1], .act = up_act, .free = up_free, .wake = SIM_NEVER };
	wire_init(&c->wire, &c->actor, fd[0]);
	c->wire.cut = u->cut;
	snprintf(name, sizeof(name), "%s.%u", u->name, c->no);
	sim_actor(u->sim, &c->actor, name);
	event(c, SV("[connect]"));
	if (a.black_hole) {
		fill(fd[0]);
		c->actor.deaf = c->stalled = c->greeted = true;
	}
	return fd[0];
}

struct mailer *
mailer_new(struct sim *s, const char *name, const struct endpoint *at)
{
	struct mailer *u = mem_alloc(sizeof(*u));

	u->sim = s;
	snprintf(u->name, sizeof(u->name), "%s", name);
	u->message_end = &u->message;
	buf_init(&u->faults, 1 << 20);
	mailer_offer(u, SV("PIPELINING SIZE=0 8BITMIME ENHANCEDSTATUSCODES DSN SMTPUTF8 CHUNKING"));
	sim_place(s, at, dial, u);
	return u;
}

void
mailer_offer(struct mailer *u, struct strv keywords)
{
	free(u->offers);
	u->offers = strndup(keywords.p, keywords.n);
}

void
mailer_free(struct mailer *u)
{
	while (u->message != NULL) {
		struct up_message *m = u->message;

		u->message = m->next;
		message_free(m);
	}
	for (unsigned i = 0; i < u->n_event; i++)
		free(u->event[i].text);
	mem_free(u->event);
	free(u->offers);
	buf_fini(&u->faults);
	mem_free(u);
}
