/*
 * A whole session: two clients and the mail servers behind the proxy act in the simulated world as
 * the input says.  Whatever they do, everything ends and nothing is left over.  While the server is
 * honest (it may refuse, stall, drop and reset, but its replies are due) no client hears that a
 * message was queued which the server did not take, and the server sees nothing that it must not.
 *
 *     input  = flags [%x7F estate [%x7F milters]] *step
 *     step   = %x80-FF                  the next deed of the server or a milter, see deed()
 *            / %x00-3F 1*64OCTET        octets of the client
 *            / %x40-6F                  a phrase, see phrases[]
 *            / %x70-7F                  see act_of()
 */
#include <signal.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/session_milters.h"
#include "tests/sim/house.h"
#include "tests/sim/mailer.h"
#include "tests/sim/wire.h"

#define CLIENTS    2
#define STEPS_MAX  600
#define OCTETS_MAX (4u << 20) /* that clients send, all in all */
#define LONGEST    (24 * 3600000u)

enum {
	ROGUE = 1,
	SMALL_SPOOL = 2,
	ONE_PLACE = 4,
	POOR = 8,
	XCLIENT = 16,
	EAGER = 32,
	CUTS = 64,
	TIGHT = 128
};

/* estate: what else stands around the proxy; none of it in old inputs */
enum {
	AUTH = 1,
	TWO_SERVERS = 2,
	LMTP = 4,
	XFORWARD = 8,
	PROXY = 16,
	XCLIENT_IN = 32,
	TLS_UP = 64,
	BACKUP = 128
};

struct scene;

struct fuzz_client {
	struct actor  actor; /* first */
	struct wire   wire;
	struct scene *scene;
	bool          connected;
};

struct scene {
	struct sim         *sim;
	struct house        house;
	struct mailer      *up[2];
	unsigned            n_up, estate;
	struct actor        driver;
	struct fuzz_milters milters;
	bool                has_milters;
	struct fuzz_client *client[CLIENTS];
	unsigned            at, steps, queued; /* queued: how often a client heard so */
	size_t              sent;
	struct strv         in;
	uint8_t             deeds[256];
	unsigned            n_deeds, deed;
	unsigned            flags;
	bool                done;
};

static struct scene *playing;

static const char *const phrases[] = {
	"EHLO client.example\r\n",
	"HELO client.example\r\n",
	"MAIL FROM:<a@client.example>\r\n",
	"MAIL FROM:<>\r\n",
	"MAIL FROM:<a@client.example> BODY=8BITMIME SIZE=100\r\n",
	"MAIL FROM:<a@client.example> SMTPUTF8 RET=FULL ENVID=x\r\n",
	"RCPT TO:<u@ours.example>\r\n",
	"RCPT TO:<v@ours.example> NOTIFY=NEVER\r\n",
	"RCPT TO:<w@foreign.example>\r\n",
	"DATA\r\n",
	".\r\n",
	"\r\n.\r\n",
	"\r\n",
	"Subject: x\r\n\r\n",
	"BDAT 0 LAST\r\n",
	"BDAT 10\r\n0123456789",
	"BDAT 10 LAST\r\n01234567\r\n",
	"BDAT 3 LAST\r\n..\r",
	"BDAT 40000\r\n",
	"BDAT 40000 LAST\r\n",
	"BDAT 99999999999\r\n",
	"BDAT x\r\n",
	"RSET\r\n",
	"NOOP\r\n",
	"QUIT\r\n",
	"VRFY x\r\n",
	"STARTTLS\r\n",
	"STARTTLS\r\nNOOP\r\n",
	"\n.\n",
	"\n.\r\n",
	"\r.\r",
	"\r\n.\n",
	"..\r\n",
	"MAIL FROM:<a@client.example>\r\nRCPT TO:<u@ours.example>\r\nDATA\r\n",
	"MAIL FROM:<a@client.example>\r\nRCPT TO:<u@ours.example>\r\nBDAT 8 LAST\r\nx: y\r\nz\n",
	"EHLO client.example\r\nMAIL FROM:<a@client.example>\r\nRCPT TO:<u@ours.example>\r\n",
	"HELP\r\n",
	"\0\r\n",
	"a\nb\r\n",
	"Received: x\r\n",
	"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n",
	"AUTH LOGIN\r\n",
	"dXNlcg==\r\n",
	"c2VjcmV0\r\n",
	"*\r\n",
	"AUTH CRAM-MD5\r\n",
	"XCLIENT ADDR=203.0.113.5 PORT=9 LOGIN=user HELO=x\r\n",
	"MAIL FROM:<a@client.example> AUTH=<>\r\n",
};

/* Honest replies; the rogue has more. */
static const char *const replies[] = {
	"450 4.2.0 later\r\n",
	"550 5.1.1 no\r\n",
	"421 4.3.2 closing\r\n",
	"552 5.3.4 too much\r\n",
	"250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n",
	"354 go\r\n250 2.0.0 Ok: queued\r\n",
	"250-a\r\n550 b\r\n",
	"999\r\n",
	"250",
	"\r\n",
	"120 one\r\n",
	"250 a\r\n421 b\r\n",
};
#define HONEST 4

static uint8_t
next_deed(void *arg)
{
	struct scene *st = arg;

	return st->deed < st->n_deeds ? st->deeds[st->deed++] : 0;
}

/* 0-3 waits: what is due; then refusals, delays and ends. */
static bool
deed(void *arg, const struct up_moment *m, struct up_answer *a)
{
	struct scene *st = arg;
	unsigned      d, n;

	if (m->stage == UP_TEXT && m->octets % 7 != 0)
		return false;
	d = next_deed(st);
	n = d & 15;
	switch (d >> 4) {
	case 1:
		a->says = m->stage != UP_CONNECT && m->stage != UP_TEXT;
		a->say = strv_z(replies[n % HONEST]);
		break;
	case 2:
		a->delay = (uint64_t)n * n * n * 300;
		break;
	case 3:
		a->drop = true;
		a->commit = n & 1;
		break;
	case 4:
		a->reset = true;
		a->commit = n & 1;
		break;
	case 5:
		a->stall = n & 1;
		a->deaf = (n >> 1) * 60000u;
		a->refuse = n > 12;
		a->black_hole = n > 14;
		break;
	case 6:
		a->drop = a->says = m->stage != UP_CONNECT && m->stage != UP_TEXT;
		a->say = strv_z(replies[n % HONEST]);
		a->delay = 1000;
		break;
	case 7:
		if (st->flags & ROGUE) {
			a->says = m->stage != UP_CONNECT;
			a->say = strv_z(replies[n % (sizeof(replies) / sizeof(replies[0]))]);
		}
		break;
	default:
		break;
	}
	/* Asked about the same octets until it says that nothing is to be done. */
	return m->stage != UP_TEXT || a->delay > 0 || a->drop || a->reset || a->stall ||
	    a->deaf > 0 || a->says;
}

static bool
client_acts(struct actor *a, bool settled)
{
	struct fuzz_client *c = (struct fuzz_client *)a;
	bool                did;
	struct strv         line;

	if (settled || !c->connected || a->fd < 0)
		return false;
	did = wire_pump(&c->wire);
	while (wire_line(&c->wire, &line))
		if (strv_eq(line, SV("250 2.0.0 Ok: queued")))
			c->scene->queued++;
	if (c->wire.lost)
		wire_close(&c->wire);
	return did;
}

static void
client_frees(struct actor *a)
{
	struct fuzz_client *c = (struct fuzz_client *)a;

	if (c->connected)
		wire_fini(&c->wire);
	free(c);
}

static void
connects(struct scene *st, unsigned i)
{
	struct fuzz_client *c = st->client[i];
	struct endpoint     from = { .port = 4000 };
	int                 peer = -1;

	if (c->connected)
		return;
	addr_parse(SV("198.51.100.9"), &from.addr);
	c->actor.fd = house_connect(&st->house, (struct strv){ NULL, 0 }, &from, &peer);
	if (c->actor.fd < 0)
		return;
	wire_init(&c->wire, &c->actor, peer);
	c->wire.cut = st->flags & CUTS ? 61 : 0;
	c->connected = true;
}

static void
sends(struct scene *st, const char *p, size_t n)
{
	struct fuzz_client *c = st->client[st->at];

	connects(st, st->at);
	if (c->actor.fd < 0 || c->wire.shut_next || st->sent + n > OCTETS_MAX)
		return;
	st->sent += n;
	wire_add(&c->wire, strv(p, n));
}

static void
sends_much(struct scene *st, const char *line, unsigned times)
{
	while (times-- > 0)
		sends(st, line, strlen(line));
}

/* True: others act before the next step. */
static bool
act_of(struct scene *st, unsigned n)
{
	struct fuzz_client *c = st->client[st->at];

	switch (n) {
	case 0:
		st->at = (st->at + 1) % CLIENTS;
		return false;
	case 1:
		sends_much(
		    st, "a line of text, and some more of it, sixty octets long.....\r\n", 700);
		return false;
	case 2:
		sends_much(st, "..\r\nx\ny\r.\r\n", 300);
		return false;
	case 3:
		sends_much(st, "0123456789", 4000);
		return false;
	case 4:
		st->driver.wake = st->sim->clock + 1000;
		return true;
	case 5:
		st->driver.wake = st->sim->clock + 31000;
		return true;
	case 6:
		st->driver.wake = st->sim->clock + 400000;
		return true;
	case 7:
		if (c->connected && c->actor.fd >= 0)
			wire_halfclose(&c->wire);
		return true;
	case 8:
		if (c->connected)
			wire_reset(&c->wire);
		return true;
	case 9:
		if (c->connected)
			wire_close(&c->wire);
		return true;
	case 10:
		c->actor.deaf = c->connected && !c->wire.eof && !c->wire.lost;
		return true;
	case 11:
		c->actor.deaf = c->wire.eof || c->wire.lost;
		return true;
	case 12:
		if (c->connected && c->actor.fd >= 0 && c->wire.ssl == NULL)
			wire_starttls(&c->wire);
		return true;
	case 13:
		house_drain(&st->house);
		return true;
	case 14:
		st->sim->disk_full = !st->sim->disk_full;
		return false;
	default:
		return true;
	}
}

/* One step. False: others act before the next. */
static bool
step(struct scene *st)
{
	uint8_t t = (uint8_t)st->in.p[0];
	size_t  n;

	st->in = strv_from(st->in, 1);
	if (t >= 0x80)
		return true; /* taken before */
	if (t >= 0x70)
		return !act_of(st, t & 15);
	if (t >= 0x40) {
		const char *p = phrases[(t - 0x40) % (sizeof(phrases) / sizeof(phrases[0]))];

		sends(st, p, p[0] == '\0' ? 3 : strlen(p));
		return true;
	}
	n = (size_t)t + 1 < st->in.n ? (size_t)t + 1 : st->in.n;
	sends(st, st->in.p, n);
	st->in = strv_from(st->in, n);
	return true;
}

static bool
driver_acts(struct actor *a, bool settled)
{
	struct scene *st = playing;
	bool          more = true;

	if (st->done || a->wake != SIM_NEVER || !settled)
		return false;
	while (more && st->in.n > 0 && st->steps++ < STEPS_MAX)
		more = step(st);
	st->done = st->in.n == 0 || st->steps >= STEPS_MAX;
	return true;
}

static void
driver_frees(struct actor *a)
{
	(void)a;
}

static bool
is_done(void *arg)
{
	return ((struct scene *)arg)->done;
}

static void
take_deeds(struct scene *st)
{
	for (size_t i = 0; i < st->in.n && st->n_deeds < sizeof(st->deeds); i++) {
		uint8_t t = (uint8_t)st->in.p[i];

		if (t >= 0x80)
			st->deeds[st->n_deeds++] = t & 0x7f;
		else if (t < 0x40)
			i += t + 1u;
	}
}

static void
offer(struct mailer *m, unsigned flags, unsigned estate)
{
	struct buf b;

	buf_init(&b, 1024);
	if (flags & POOR)
		buf_add(&b, SV("SIZE=1000000"));
	else if (flags & XCLIENT)
		buf_add(&b, SV("PIPELINING 8BITMIME XCLIENT=NAME,ADDR,PROTO,HELO"));
	else
		buf_add(&b, strv_z(m->offers));
	if (estate & AUTH)
		buf_add(&b, SV(" AUTH=PLAIN,LOGIN,CRAM-MD5"));
	if (estate & XFORWARD)
		buf_add(&b, SV(" XFORWARD=NAME,ADDR,PORT,PROTO,HELO"));
	if (estate & TLS_UP)
		buf_add(&b, SV(" STARTTLS"));
	mailer_offer(m, buf_view(&b));
	buf_fini(&b);
}

static void
open_server(struct scene *st, unsigned i)
{
	struct endpoint at = { .port = (uint16_t)(2525 + i) };
	struct mailer  *m;

	addr_parse(SV("127.0.0.1"), &at.addr);
	m = st->up[i] = mailer_new(st->sim, i == 0 ? "up" : "up2", &at);
	m->decide = deed;
	m->arg = st;
	m->lax = st->flags & ROGUE;
	m->cut = st->flags & CUTS ? 5 : 0;
	m->lmtp = st->estate & LMTP;
	m->proxy = !(st->flags & XCLIENT) && !(st->estate & (XFORWARD | LMTP)) &&
	    st->estate & PROXY;
	offer(m, st->flags, st->estate);
}

/* Of identity, one holds: XCLIENT, else XFORWARD, else PROXY; LMTP has none. */
static const char *
identity(const struct scene *st)
{
	if (st->estate & LMTP)
		return "";
	if (st->flags & XCLIENT)
		return " xclient";
	if (st->estate & XFORWARD)
		return " xforward";
	return st->estate & PROXY ? " proxy-protocol" : "";
}

static void
configure(struct scene *st, struct buf *conf)
{
	unsigned f = st->flags, e = st->estate;

	buf_printf(conf, "listen 127.0.0.1:25%s%s\n", e & AUTH ? " auth-without-tls" : "",
	    e & XCLIENT_IN ? " xclient from { 198.51.100.0/24 } xclient-login" : "");
	buf_printf(conf, "tls certificate \"/tls.crt\" key \"/tls.key\"\n");
	for (unsigned i = 0; i < st->n_up; i++)
		buf_printf(conf, "upstream %s127.0.0.1:%u%s%s%s%s%s\n", e & LMTP ? "lmtp " : "",
		    2525 + i, f & ONE_PLACE ? " connections 1" : "", identity(st),
		    f & EAGER && !(e & LMTP) ? " eager" : "", e & TLS_UP ? " tls may" : "",
		    i > 0 && e & BACKUP ? " backup" : "");
	if (f & SMALL_SPOOL)
		buf_printf(conf, "spool \"/spool\" memory 16K\n");
}

static void
open_scene(struct scene *st)
{
	struct buf conf;

	st->sim = sim_new(1);
	st->sim->sndbuf = st->flags & TIGHT ? 8192 : 0;
	st->n_up = st->estate & TWO_SERVERS ? 2 : 1;
	for (unsigned i = 0; i < st->n_up; i++)
		open_server(st, i);
	buf_init(&conf, 4096);
	configure(st, &conf);
	st->milters.rogue = st->flags & ROGUE;
	st->milters.next = next_deed;
	st->milters.arg = st;
	if (st->has_milters)
		milters_open(&st->milters, st->sim, &conf);
	FUZZ_CHECK(house_open(&st->house, st->sim, buf_view(&conf)));
	buf_fini(&conf);
	for (unsigned i = 0; i < CLIENTS; i++) {
		st->client[i] = calloc(1, sizeof(*st->client[i]));
		st->client[i]->scene = st;
		st->client[i]->actor = (struct actor){
			.fd = -1, .act = client_acts, .free = client_frees, .wake = SIM_NEVER
		};
		sim_actor(st->sim, &st->client[i]->actor, i == 0 ? "a" : "b");
	}
	st->driver =
	    (struct actor){ .fd = -1, .act = driver_acts, .free = driver_frees, .wake = SIM_NEVER };
	sim_actor(st->sim, &st->driver, "driver");
}

static void
complain(struct scene *st, const char *what)
{
	fprintf(stderr, "%.*s%s\n", (int)st->sim->story.n, st->sim->story.p, what);
	abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct scene st = { 0 };
	const char  *left;
	enum sim_rc  rc;
	unsigned     taken = 0;

	if (n < 2)
		return 0;
	/* as the master does: sendfile() to a peer that has gone */
	signal(SIGPIPE, SIG_IGN);
	st.flags = data[0];
	st.in = strv((const char *)data + 1, n - 1);
	if (n > 3 && data[1] == 0x7f) {
		st.estate = data[2];
		st.in = strv_from(st.in, 2);
		st.has_milters = n > 5 && data[3] == 0x7f;
	}
	if (st.has_milters) {
		st.milters.kind = data[4];
		st.in = strv_from(st.in, 2);
	}
	take_deeds(&st);
	playing = &st;
	open_scene(&st);
	rc = sim_run(st.sim, is_done, &st, st.sim->clock + LONGEST);
	if (rc != SIM_FINISHED)
		complain(&st, sim_rc_name(rc));
	/* Clients that stay, silent, must be got rid of by the proxy: house_close waits for that. */
	left = house_close(&st.house);
	if (left != NULL)
		complain(&st, left);
	for (unsigned i = 0; i < st.n_up; i++) {
		taken += st.up[i]->n_message;
		if (st.up[i]->faults.n > 0)
			complain(&st, "the server saw what it must not see");
	}
	if (milters_fault(&st.milters) != NULL)
		complain(&st, milters_fault(&st.milters));
	if (!(st.flags & ROGUE) && st.queued > taken)
		complain(&st, "a client heard of a message that was not taken");
	sim_free(st.sim);
	for (unsigned i = 0; i < st.n_up; i++)
		mailer_free(st.up[i]);
	if (st.has_milters)
		milters_free(&st.milters);
	return 0;
}
