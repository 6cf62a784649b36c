/*
 * mailer -- see mailer.h.  One actor for each connection; the server itself is only shared state.
 *
 * Here is what comes in, and when an answer is carried out; what is due to a command is mailer_reply.c's.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/smtp/proxyhdr.h"
#include "tests/sim/mailer_own.h"

/* ---- notes ---- */

uint64_t
mailer_order(void)
{
	static uint64_t order;

	return ++order;
}

static void
event(struct up_conn *c, struct strv text)
{
	struct mailer *u = c->up;

	if (u->n_event == u->max_event) {
		u->max_event = u->max_event == 0 ? 64 : u->max_event * 2;
		u->event = mem_resize(u->event, u->max_event * sizeof(*u->event));
	}
	u->event[u->n_event++] =
	    (struct up_event){ c->no, mailer_order(), strndup(text.p, text.n) };
}

void
mailer_event(struct up_conn *c, const char *fmt, ...)
{
	char    text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	event(c, strv_z(text));
	sim_note(c->up->sim, c->actor.name, "< %s", text);
}

void
mailer_fault(struct up_conn *c, const char *what)
{
	if (c->up->lax)
		return;
	buf_printf(&c->up->faults, "connection %u: %s\n", c->no, what);
	sim_note(c->up->sim, c->actor.name, "! %s", what);
}

static bool
has_keyword(const char *offers, const char *keyword)
{
	struct strv all = strv_z(offers), word;
	size_t      n = strlen(keyword);

	while ((word = strv_word(&all)).n > 0)
		if (strv_istarts(word, strv_z(keyword)) && (word.n == n || word.p[n] == '='))
			return true;
	return false;
}

bool
mailer_offers(const struct mailer *u, const char *keyword)
{
	return has_keyword(u->offers, keyword);
}

bool
mailer_offered(const struct up_conn *c, const char *keyword)
{
	return has_keyword(c->offers != NULL ? c->offers : c->up->offers, keyword);
}

/* Carries an answer out, its delay being over. */
static bool
is_auth(const struct up_moment *m)
{
	return m->stage == UP_AUTH || (m->stage == UP_COMMAND && strv_ieq(m->verb, SV("AUTH")));
}

/* The handshake, as a server; what is wrong with it is seen by wire_pump. */
static void
shake_hands(struct up_conn *c)
{
	struct mailer *u = c->up;

	if (u->tls == NULL)
		u->tls = certs_server(u->certificate, u->tls12);
	c->actor.deaf = false;
	c->secret = true;
	if (!wire_tls_accept(&c->wire, u->tls))
		abort();
}

/* What is due at this moment and done, if nothing is said or done instead. */
static const char *
due(struct up_conn *c, bool silent, bool refused)
{
	const struct up_moment *m = &c->moment;

	if (m->stage == UP_TEXT)
		return "";
	if (m->stage == UP_TLS) {
		c->actor.deaf = false;
		if (!silent && !c->answer.says)
			shake_hands(c);
		return "";
	}
	if (is_auth(m) && silent)
		return "";
	if (is_auth(m) && c->answer.says) {
		mailer_auth_said(c, m, c->answer.say);
		return "";
	}
	return mailer_due(c, m, refused);
}

static void
perform(struct up_conn *c)
{
	const struct up_answer *a = &c->answer;
	const struct up_moment *m = &c->moment;
	bool                    silent = !a->says && (a->stall || a->drop || a->reset);
	bool refused = a->says ? a->say.n == 0 || a->say.p[0] > '3' || a->say.p[0] < '2' : silent;
	const char *text = due(c, silent, refused);

	c->waiting = false;
	if (m->stage == UP_COMMAND && c->state == UP_BDAT)
		c->chunk_said = a->says;
	if (m->stage == UP_DOT)
		mailer_end_of_message(c, a->commit || !refused);
	if (a->says) {
		/* Two replies in one segment can be told apart from a late second one. */
		c->wire.cut = 0;
		mailer_say(c, a->say);
	} else if (!silent && text == NULL)
		mailer_say_hello(c);
	else if (!silent && text[0] != '\0')
		mailer_say(c, strv_z(text));
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

/* A copy, which perform() frees; of what is not to be said, none. */
static struct strv
own_say(const struct up_answer *a)
{
	if (!a->says)
		return (struct strv){ NULL, 0 };
	return strv(memcpy(malloc(a->say.n + 1), a->say.p, a->say.n), a->say.n);
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
	a.say = own_say(&a);
	free(c->line);
	c->line = NULL;
	if (m.line.p != NULL) {
		c->line = malloc(m.line.n + 1);
		memcpy(c->line, m.line.p, m.line.n); /* NULs and all */
		c->line[m.line.n] = '\0';
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
	struct up_moment m = { .stage = c->auth.open ? UP_AUTH : UP_COMMAND, .line = line };

	m.verb = strv_word(&rest);
	if (m.verb.n == 0)
		m.verb = strv_first(line, 0);
	sim_note_octets(c->up->sim, c->actor.name, "<", line);
	event(c, line);
	if (memchr(line.p, '\r', line.n) != NULL || memchr(line.p, '\0', line.n) != NULL)
		mailer_fault(c, "a bare CR or NUL in a command");
	if ((strv_ieq(m.verb, SV("EHLO")) || strv_ieq(m.verb, SV("LHLO"))) &&
	    wire_unread(&c->wire).n > 0)
		mailer_fault(c, "commands behind EHLO");
	happens(c, m);
}

/* One whole line of DATA text, with its LF. */
static void
text_line(struct up_conn *c, struct strv v)
{
	if (v.n < 2 || v.p[v.n - 2] != '\r' || memchr(v.p, '\r', v.n - 2) != NULL)
		mailer_fault(c, "a bare CR or LF in text");
	if (memchr(v.p, '\0', v.n) != NULL)
		mailer_fault(c, "a NUL in text");
	if (strv_eq(v, SV(".\r\n"))) {
		happens(c, (struct up_moment){ .stage = UP_DOT });
		return;
	}
	if (v.p[0] == '.') {
		if (v.n < 2 || v.p[1] != '.')
			mailer_fault(c, "a dot that was not doubled");
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
	c->answer.say = own_say(&a);
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
			mailer_fault(c, "a bare LF in a chunk");
	for (p = v.p; (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
		if (p + 1 == end || p[1] != '\n')
			mailer_fault(c, "a bare CR in a chunk");
	if (memchr(v.p, '\0', v.n) != NULL)
		mailer_fault(c, "a NUL in a chunk");
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

/* The PROXY header that comes before everything: haproxy doc/proxy-protocol.txt. True: something happened. */
static bool
proxy_step(struct up_conn *c)
{
	struct strv     v = wire_unread(&c->wire);
	struct proxyhdr h;
	const char     *why = "";
	size_t          used = 0;
	char            src[ENDPOINT_TEXT], dst[ENDPOINT_TEXT];
	int             rc = proxyhdr_parse(v, &h, &used, &why);

	if (rc == 0)
		return false;
	c->proxied = true;
	if (rc < 0) {
		mailer_fault(c, "no PROXY header at the beginning");
		c->closing = true;
		return true;
	}
	if (h.local)
		mailer_event(c, "[proxy local]");
	else
		mailer_event(c, "[proxy TCP%c %s %s]", h.src.addr.family == ADDR_IP4 ? '4' : '6',
		    endpoint_print(&h.src, src).p, endpoint_print(&h.dst, dst).p);
	if (h.ssl)
		mailer_event(c, "[proxy-tls %.*s cn=%.*s sni=%.*s%s]", (int)h.ssl_version.n,
		    h.ssl_version.p, (int)h.ssl_cn.n, h.ssl_cn.p, (int)h.authority.n, h.authority.p,
		    h.ssl_verified ? " verified" : "");
	wire_take(&c->wire, used);
	return true;
}

/* Once the handshake is done: what came of it. */
static void
note_tls(struct up_conn *c)
{
	const char *name;

	if (!c->secret || c->tls_noted || c->wire.shaking)
		return;
	c->tls_noted = true;
	name = wire_tls_sni(&c->wire);
	mailer_event(c, wire_tls_resumed(&c->wire) ? "[tls resumed]" : "[tls]");
	if (name != NULL)
		mailer_event(c, "[sni %s]", name);
}

static bool
step(struct up_conn *c)
{
	struct strv line;

	if (c->up->proxy && !c->proxied)
		return proxy_step(c);
	if (c->shake_next) {
		/* Not an octet of the handshake may be read before it begins. */
		c->actor.deaf = true;
		if (!wire_idle(&c->wire))
			return false;
		c->shake_next = false;
		happens(c, (struct up_moment){ .stage = UP_TLS });
		return true;
	}
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

/* Nothing is asked of it, and it has waited for that long enough. */
static bool
gives_up(struct up_conn *c)
{
	uint64_t until = c->active + c->up->patience;
	bool     idle = c->greeted && c->state == UP_IDLE && !c->waiting && !c->closing &&
	    !c->stalled && !c->auth.open && !c->shake_next && !c->wire.shaking &&
	    wire_idle(&c->wire) && wire_unread(&c->wire).n == 0;

	if (c->up->patience == 0 || !idle)
		return false;
	if (c->up->sim->clock < until) {
		c->actor.wake = until;
		return false;
	}
	mailer_event(c, "[has waited]");
	c->closing = true;
	if (c->up->says_why)
		mailer_say(c, SV("421 4.4.2 up.test Error: timeout exceeded\r\n"));
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
	note_tls(c);
	if (c->up->mode == MAILER_SILENT && a->fd >= 0 && !c->wire.eof && !c->wire.lost)
		return did;
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
	if (did)
		c->active = c->up->sim->clock;
	if (a->fd >= 0 && gives_up(c))
		did = true;
	if (a->fd < 0 || c->wire.lost)
		ends(c, a->fd < 0 ? "[reset]" : c->wire.shaking ? "[tls failed]" : "[lost]");
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

	mailer_message_free(c->m);
	free(c->offers);
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

int
mailer_dial(void *arg, const char **why)
{
	struct mailer   *u = arg;
	struct up_moment m = { .stage = UP_CONNECT, .conn = u->conns + 1 };
	struct up_answer a = { 0 };
	struct up_conn  *c;
	char             name[24];
	int              fd[2];

	if (u->decide != NULL)
		u->decide(u->arg, &m, &a);
	if (a.again) {
		*why = "its queue of connections is full";
		return WORLD_AGAIN;
	}
	if (u->mode == MAILER_DOWN || a.refuse || !sim_pair(u->sim, fd)) {
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
	sim_place(s, at, mailer_dial, u);
	return u;
}

void
mailer_turn(struct mailer *u, enum mailer_mode mode)
{
	static const char *const names[] = { "up", "down", "silent" };

	u->mode = mode;
	sim_note(u->sim, u->name, "is %s", names[mode]);
	for (struct actor *a = u->sim->actors; a != NULL; a = a->next) {
		struct up_conn *c = (struct up_conn *)a;

		if (a->act != up_act || c->up != u || a->over)
			continue;
		a->again = true;
		if (mode == MAILER_DOWN && a->fd >= 0)
			ends(c, "[closed]");
	}
}

void
mailer_offer(struct mailer *u, struct strv keywords)
{
	free(u->offers);
	u->offers = strndup(keywords.p, keywords.n);
}

void
mailer_offer_in_tls(struct mailer *u, struct strv keywords)
{
	free(u->offers_in_tls);
	u->offers_in_tls = strndup(keywords.p, keywords.n);
}

void
mailer_free(struct mailer *u)
{
	while (u->message != NULL) {
		struct up_message *m = u->message;

		u->message = m->next;
		mailer_message_free(m);
	}
	for (unsigned i = 0; i < u->n_event; i++)
		free(u->event[i].text);
	mem_free(u->event);
	free(u->offers);
	free(u->offers_in_tls);
	certs_free(u->tls);
	buf_fini(&u->faults);
	mem_free(u);
}
