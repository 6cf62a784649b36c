/*
 * client -- a scripted client: one actor that takes its steps one after the other.
 *
 * It connects with its first step that is not a wait.  Invariant: a step that waits has set `wake`,
 * or is woken by octets or by `settled`; each expectation has a limit of simulated time.
 */
#include "tests/sim/dns_sim.h"
#include "tests/sim/player.h"

#define LIMIT_DEFAULT 30000u

struct client_actor {
	struct actor                actor; /* first */
	struct wire                 wire;
	struct play                *play;
	const struct client_script *script;
	unsigned                    at;
	bool                        connected, ended, entered, ignore, done;
	uint64_t                    limit; /* of the step in hand */
	uint64_t                    within;
	uint64_t                    last_sent;
};

static const struct step *
step_of(const struct client_actor *c)
{
	return c->at < c->script->n ? &c->script->step[c->at] : NULL;
}

static void
fail(struct client_actor *c, const char *what, struct strv want)
{
	const struct step *s = step_of(c);
	struct strv        have = wire_unread(&c->wire);
	bool               gone = c->wire.eof || c->wire.lost;

	sim_note_octets(c->play->sim, c->actor.name, "unread:", have);
	play_fail(c->play, s == NULL ? c->script->line : s->line, "%s: %s%s%.*s%s%s", c->actor.name,
	    what, want.p == NULL ? "" : " \"", (int)want.n, want.p == NULL ? "" : want.p,
	    want.p == NULL ? "" : "\"", gone ? "; the connection is closed" : "");
}

/* Past the proxy, to the server itself. */
static void
dial_server(struct client_actor *c, int *peer_fd)
{
	struct mailer *u = play_server(c->play, strv_from(c->script->to, 1));
	const char    *why;

	if (u != NULL)
		c->actor.fd = mailer_dial(u, &why);
	*peer_fd = -1;
}

static bool
connect_now(struct client_actor *c)
{
	int peer_fd = -1;

	c->connected = true;
	sim_note(c->play->sim, c->actor.name, "connects");
	if (strv_starts(c->script->to, SV("@")))
		dial_server(c, &peer_fd);
	else
		c->actor.fd = house_connect(
		    &c->play->house, c->script->to, &c->script->from, &peer_fd);
	if (c->actor.fd < 0) {
		fail(c, "no listener of that name", c->script->to);
		return false;
	}
	c->wire.peer_fd = peer_fd;
	wire_init(&c->wire, &c->actor, peer_fd);
	c->last_sent = c->play->sim->clock;
	return true;
}

/* What is done to others, not said to the proxy. */
static bool
changes_the_world(enum step_op op)
{
	return op == STEP_SERVER || op == STEP_OFFERS || op == STEP_WRITE || op == STEP_REMOVE ||
	    op == STEP_COPY || op == STEP_RELOAD || op == STEP_DNS;
}

static bool
changes_the_disk(enum step_op op)
{
	return op == STEP_DISK_FULL || op == STEP_DISK_FREE || op == STEP_DISK_UNREADABLE;
}

static bool
waits_before_connecting(const struct step *s)
{
	return s->op == STEP_WAIT || s->op == STEP_AWAIT || s->op == STEP_WITHIN ||
	    changes_the_disk(s->op) || changes_the_world(s->op);
}

/* ---- steps: true: it is done ---- */

/* Octets of the reply of that code at the front of v; 0: not yet whole, SIZE_MAX: another. */
static size_t
whole_reply(struct strv v, uint64_t code)
{
	char   want[4];
	size_t at = 0;

	snprintf(want, sizeof(want), "%03u", (unsigned)code);
	for (;;) {
		struct strv line = strv_from(v, at);
		size_t      n = strv_chr(line, '\n');

		if (n == line.n)
			return 0;
		if (n < 3 || memcmp(line.p, want, 3) != 0)
			return SIZE_MAX;
		at += n + 1;
		if (line.p[3] != '-')
			return at;
	}
}

static bool
expect_reply(struct client_actor *c, const struct step *s)
{
	struct strv v = wire_unread(&c->wire);
	size_t      n = whole_reply(v, s->a);
	char        want[16];

	if (n == 0)
		return false;
	if (n == SIZE_MAX) {
		snprintf(want, sizeof(want), "%u", (unsigned)s->a);
		fail(c, "want a reply", strv_z(want));
		return false;
	}
	sim_note_octets(c->play->sim, c->actor.name, "<", strv_first(v, n));
	wire_take(&c->wire, n);
	return true;
}

static bool
expect_line(struct client_actor *c, const struct step *s)
{
	struct strv line, before = wire_unread(&c->wire);

	if (!wire_line(&c->wire, &line))
		return false;
	if (before.n < 2 || before.p[line.n] != '\r') {
		fail(c, "a reply line does not end with CRLF", line);
		return false;
	}
	sim_note_octets(c->play->sim, c->actor.name, "<", line);
	if (!sim_match(s->text, line)) {
		fail(c, "want", s->text);
		return false;
	}
	return true;
}

static bool
expect_nothing(struct client_actor *c, const struct step *s, bool settled)
{
	if (wire_unread(&c->wire).n > 0 || c->wire.eof || c->wire.lost) {
		fail(c, "want nothing", (struct strv){ 0 });
		return false;
	}
	return s->a > 0 ? c->play->sim->clock >= c->limit : settled;
}

static bool
expect_closed(struct client_actor *c)
{
	if (wire_unread(&c->wire).n > 0 && !c->ignore) {
		fail(c, "want the end", (struct strv){ 0 });
		return false;
	}
	if (!c->wire.eof && !c->wire.lost)
		return false;
	c->ended = true;
	return true;
}

static bool
check_elapsed(struct client_actor *c, const struct step *s)
{
	uint64_t ms = c->play->sim->clock - c->last_sent;
	char     text[40];

	if (ms >= s->a && ms <= s->b)
		return true;
	snprintf(text, sizeof(text), "%llu ms", (unsigned long long)ms);
	fail(c, "elapsed since we sent:", strv_z(text));
	return false;
}

static bool
begin_tls(struct client_actor *c, const struct step *s)
{
	struct wire_tls o = { .cert = (enum wire_cert)(s->a & 0xff), .version = (int)(s->a >> 8) };

	o.sni = s->text.p == NULL ? NULL : arena_z(c->play->script->a, s->text);
	o.resume = s->b & TLS_RESUMES ? &c->play->session : NULL;
	o.keep = &c->play->session;
	return c->wire.ssl == NULL && wire_tls_connect(&c->wire, &o);
}

static bool
tls_step(struct client_actor *c, const struct step *s, bool entering)
{
	bool fails = s->b & TLS_FAILS;

	if (entering && !begin_tls(c, s))
		fail(c, "cannot start TLS", (struct strv){ 0 });
	if (c->wire.lost && !fails)
		fail(c, "TLS failed", (struct strv){ 0 });
	if (c->wire.lost && fails) {
		wire_close(&c->wire);
		c->ended = true;
		return true;
	}
	if (c->wire.shaking)
		return false;
	if (fails)
		fail(c, "TLS was to fail", (struct strv){ 0 });
	sim_note(c->play->sim, c->actor.name, "is in %s", wire_tls_version(&c->wire));
	return true;
}

/* RFC 5246 7.4.1.1: the server may refuse; OpenSSL's client takes that for the end of it all. */
static bool
renegotiate(struct client_actor *c, bool entering)
{
	if (entering && !wire_renegotiate(&c->wire))
		fail(c, "no renegotiation in this version of TLS", (struct strv){ 0 });
	if (!c->wire.lost && c->wire.shaking)
		return false;
	if (!c->wire.lost)
		fail(c, "renegotiation was not refused", (struct strv){ 0 });
	sim_note(c->play->sim, c->actor.name, "may not renegotiate");
	wire_close(&c->wire);
	c->ended = true;
	return true;
}

static bool
tls_info(struct client_actor *c, const struct step *s)
{
	char cn[100], text[160];

	wire_tls_peer(&c->wire, cn, sizeof(cn));
	snprintf(text, sizeof(text), "%s cn=%s%s", wire_tls_version(&c->wire), cn,
	    wire_tls_resumed(&c->wire) ? " resumed" : "");
	sim_note(c->play->sim, c->actor.name, "has %s", text);
	if (!sim_match(s->text, strv_z(text)))
		fail(c, "want of TLS", s->text);
	return true;
}

static bool
end_connection(struct client_actor *c, const struct step *s)
{
	c->ended = true;
	if (s->op == STEP_RESET)
		wire_reset(&c->wire);
	else
		wire_close(&c->wire);
	sim_note(c->play->sim, c->actor.name, s->op == STEP_RESET ? "resets" : "closes");
	return true;
}

static bool
send_octets(struct client_actor *c, struct strv v)
{
	struct strv rest = v;

	while (rest.n > 0 && v.n < 4000) {
		size_t n = strv_chr(rest, '\n');

		n = n < rest.n ? n + 1 : n;
		sim_note_octets(c->play->sim, c->actor.name, ">", strv_first(rest, n));
		rest = strv_from(rest, n);
	}
	if (rest.n > 0)
		sim_note_octets(c->play->sim, c->actor.name, ">", rest);
	wire_add(&c->wire, v);
	c->last_sent = c->play->sim->clock;
	return true;
}

/* ---- what is done to others ---- */

static void
turn_server(struct client_actor *c, const struct step *s)
{
	struct mailer     *u = play_server(c->play, s->text);
	struct sim_milter *m = play_milter(c->play, s->text);

	if (u == NULL && m == NULL)
		fail(c, "no server and no milter of that name", s->text);
	else if (u == NULL)
		sim_milter_turn(m, (enum mailer_mode)s->a);
	else if (s->op == STEP_OFFERS)
		mailer_offer(u, s->more);
	else
		mailer_turn(u, (enum mailer_mode)s->a);
}

static void
change_file(struct client_actor *c, const struct step *s)
{
	struct sim      *sim = c->play->sim;
	struct arena    *a = c->play->script->a;
	struct sim_file *from;

	switch (s->op) {
	case STEP_WRITE:
		sim_write_file(sim, arena_z(a, s->text), s->more);
		break;
	case STEP_REMOVE:
		sim->world.unlink(&sim->world, arena_z(a, s->text));
		break;
	default:
		from = sim_find_file(sim, s->text);
		if (from == NULL)
			fail(c, "no such file", s->text);
		else
			sim_write_file(
			    sim, arena_z(a, s->more), arena_dup(a, buf_view(&from->text)));
		break;
	}
}

static void
reload(struct client_actor *c, const struct step *s)
{
	struct script *script = c->play->script;
	struct strv    config = { NULL, 0 };

	for (unsigned i = 0; i < script->n_other; i++)
		if (strv_eq(script->other[i].path, s->text))
			config = script->other[i].text;
	if (s->text.p != NULL && config.p == NULL)
		fail(c, "no configuration of that name", s->text);
	else if (house_reload(&c->play->house, config) == (s->a > 0))
		fail(c, s->a > 0 ? "the reload was to fail" : "the reload failed", s->text);
}

static void
change_dns(struct client_actor *c, const struct step *s)
{
	const char *why = "";

	if (!sim_dns_change(c->play->sim->dns, s->text, s->word, s->more, &why))
		fail(c, why, s->text);
}

static bool
change_world(struct client_actor *c, const struct step *s)
{
	if (s->op == STEP_RELOAD)
		reload(c, s);
	else if (s->op == STEP_DNS)
		change_dns(c, s);
	else if (s->op == STEP_SERVER || s->op == STEP_OFFERS)
		turn_server(c, s);
	else
		change_file(c, s);
	return true;
}

/* Those that need nothing but to be done. */
static bool
act_of_will(struct client_actor *c, const struct step *s)
{
	struct play *p = c->play;

	switch (s->op) {
	case STEP_IGNORE:
		c->ignore = true;
		break;
	case STEP_WITHIN:
		c->within = s->a;
		break;
	case STEP_CUT:
		c->wire.cut = s->a;
		break;
	case STEP_DEAF:
		c->actor.deaf = true;
		break;
	case STEP_LISTEN:
		c->actor.deaf = false;
		c->actor.again = true;
		break;
	case STEP_SIGNAL:
		play_signal(p, s->text);
		break;
	case STEP_DRAIN:
		house_drain(&p->house);
		break;
	case STEP_ABORT:
		house_abort(&p->house);
		break;
	case STEP_DISK_FULL:
		p->sim->disk_full = true;
		break;
	case STEP_DISK_FREE:
		p->sim->disk_full = p->sim->disk_unreadable = false;
		break;
	case STEP_DISK_UNREADABLE:
		p->sim->disk_unreadable = true;
		break;
	case STEP_NO_FIBERS:
	case STEP_FIBERS:
		house_starve(&p->house, s->op == STEP_NO_FIBERS);
		break;
	case STEP_HALFCLOSE:
		wire_halfclose(&c->wire);
		break;
	default:
		break;
	}
	return true;
}

static bool
step_done(struct client_actor *c, const struct step *s, bool entering, bool settled)
{
	switch (s->op) {
	case STEP_SEND:
		return send_octets(c, s->text);
	case STEP_LINE:
		return expect_line(c, s);
	case STEP_REPLY:
		return expect_reply(c, s);
	case STEP_CLOSED:
		return expect_closed(c);
	case STEP_NOTHING:
		return expect_nothing(c, s, settled);
	case STEP_WAIT:
		return c->play->sim->clock >= c->limit;
	case STEP_ELAPSED:
		return check_elapsed(c, s);
	case STEP_CLOSE:
	case STEP_RESET:
		return end_connection(c, s);
	case STEP_FLUSH:
		return wire_idle(&c->wire) && settled;
	case STEP_STARTTLS:
		return tls_step(c, s, entering);
	case STEP_TLS_INFO:
		return tls_info(c, s);
	case STEP_RENEGOTIATE:
		return renegotiate(c, entering);
	case STEP_AWAIT:
		return play_signalled(c->play, s->text);
	default:
		return changes_the_world(s->op) ? change_world(c, s) : act_of_will(c, s);
	}
}

/* Not before what was sent has left, if it can. */
static bool
needs_quiet(enum step_op op)
{
	switch (op) {
	case STEP_CLOSE:
	case STEP_RESET:
	case STEP_CUT:
	case STEP_SIGNAL:
	case STEP_DRAIN:
	case STEP_ABORT:
	case STEP_NO_FIBERS:
	case STEP_FIBERS:
		return true;
	default:
		return changes_the_disk(op) || changes_the_world(op);
	}
}

/* A step for which time is no fault: it passes, or it may take any. */
static bool
is_patient(const struct step *s)
{
	return s->op == STEP_WAIT || s->op == STEP_AWAIT || (s->op == STEP_NOTHING && s->a > 0);
}

static void
enter(struct client_actor *c, const struct step *s)
{
	bool own = s->op == STEP_WAIT || (s->op == STEP_NOTHING && s->a > 0);

	c->limit = c->play->sim->clock + (own ? s->a : c->within);
	c->entered = true;
}

static bool
take_steps(struct client_actor *c, bool settled)
{
	const struct step *s;
	bool               did = false;

	while ((s = step_of(c)) != NULL && !c->play->failed) {
		bool entering = !c->entered;

		if (!c->connected && !waits_before_connecting(s) && !connect_now(c))
			return did;
		if (entering)
			enter(c, s);
		if (c->connected && needs_quiet(s->op) && !wire_idle(&c->wire) && !settled)
			return did;
		if (!step_done(c, s, entering, settled)) {
			if (!is_patient(s) && c->play->sim->clock >= c->limit && !c->play->failed)
				fail(c, "waited in vain for", s->text);
			c->actor.wake = s->op == STEP_AWAIT ? SIM_NEVER : c->limit;
			return did;
		}
		c->at++;
		c->entered = false;
		did = true;
	}
	return did;
}

/* The script is over: nothing more may come. */
static bool
finish(struct client_actor *c, bool settled)
{
	bool open = c->actor.fd >= 0 && !c->ended;

	if (open && !c->ignore && wire_unread(&c->wire).n > 0) {
		fail(c, "want nothing more", (struct strv){ 0 });
		return true;
	}
	if (open && (!settled || !wire_idle(&c->wire)))
		return false;
	if (c->actor.fd >= 0)
		wire_close(&c->wire);
	c->done = true;
	c->actor.over = true;
	c->play->playing--;
	return true;
}

static bool
client_act(struct actor *a, bool settled)
{
	struct client_actor *c = (struct client_actor *)a;
	bool                 did = false;

	if (c->done || c->play->failed)
		return false;
	if (a->fd >= 0)
		did = wire_pump(&c->wire);
	did |= take_steps(c, settled);
	if (step_of(c) == NULL && !c->play->failed)
		did |= finish(c, settled);
	return did;
}

static void
client_free(struct actor *a)
{
	struct client_actor *c = (struct client_actor *)a;

	if (c->connected)
		wire_fini(&c->wire);
	mem_free(c);
}

void
client_start(struct play *p, const struct client_script *script)
{
	struct client_actor *c = mem_alloc(sizeof(*c));
	char                 name[24];

	c->actor =
	    (struct actor){ .fd = -1, .act = client_act, .free = client_free, .wake = SIM_NEVER };
	c->play = p;
	c->script = script;
	c->within = LIMIT_DEFAULT;
	snprintf(name, sizeof(name), "%.*s", (int)script->name.n, script->name.p);
	p->playing++;
	sim_actor(p->sim, &c->actor, name);
}
