/*
 * estate -- see estate.h: draws the servers of a seeded world, and holds what they saw against what
 * clients are.
 *
 * Invariant: whatever is drawn here is a function of the seed alone.
 */
#include <limits.h>
#include <stdlib.h>

#include "tests/sim/estate.h"
#include "tests/sim/moods.h"

#define ARRAY_N(a) (sizeof(a) / sizeof((a)[0]))

/* ---- what servers offer ---- */

static bool
decide(void *arg, const struct up_moment *m, struct up_answer *a)
{
	static const char *const no[] = { "450 4.2.0 later\r\n", "550 5.1.1 no\r\n" };
	struct estate           *e = arg;
	bool                     xclient = strv_ieq(m->verb, SV("XCLIENT"));
	unsigned refusals = xclient ? e->shy : strv_ieq(m->verb, SV("RCPT")) ? e->picky : 0;

	if (m->stage == UP_COMMAND && refusals > 0 && sim_chance(e->sim, refusals)) {
		a->says = true;
		a->say = xclient ? SV("550 5.7.0 insufficient authorization\r\n") :
				   strv_z(no[sim_below(e->sim, ARRAY_N(no))]);
		return true;
	}
	return moods_decide(e->sim, e->trouble, m, a);
}

static void
offer(struct estate *e, struct mailer *m)
{
	static const char *const usual[] = {
		"PIPELINING SIZE=0 8BITMIME ENHANCEDSTATUSCODES DSN SMTPUTF8 CHUNKING",
		"PIPELINING SIZE=0 8BITMIME DSN SMTPUTF8 CHUNKING",
		"PIPELINING SIZE=0 8BITMIME ENHANCEDSTATUSCODES DSN", "SIZE=200000 8BITMIME",
		"CHUNKING", ""
	};
	static const char *const identity[] = { "", "", "XFORWARD=NAME,ADDR,PORT,PROTO,HELO,SOURCE",
		"" };
	static const char *const xclient[] = { "XCLIENT=NAME,ADDR,PORT,PROTO,HELO,LOGIN",
		"XCLIENT=NAME,ADDR,PORT,PROTO,HELO,LOGIN",
		"XCLIENT=NAME,ADDR,PORT,PROTO,HELO,LOGIN,DESTADDR,DESTPORT", "XCLIENT=NAME,ADDR" };
	static const char *const auth[] = { "AUTH=PLAIN,LOGIN,CRAM-MD5", "AUTH=PLAIN",
		"AUTH=LOGIN,CRAM-MD5", "" };
	struct sim              *s = e->sim;
	struct buf               b;
	bool                     forgets = sim_chance(s, 10);

	buf_init(&b, 1024);
	buf_printf(&b, "%s %s %s %s", usual[sim_below(s, ARRAY_N(usual))],
	    forgets                       ? "" :
		e->identity == BY_XCLIENT ? xclient[sim_below(s, ARRAY_N(xclient))] :
					    identity[e->identity],
	    e->auth ? auth[sim_below(s, ARRAY_N(auth))] : "", e->tls ? "STARTTLS" : "");
	mailer_offer(m, buf_view(&b));
	buf_fini(&b);
}

static void
serve(struct estate *e, unsigned i)
{
	struct estate_server *sv = &e->server[i];
	struct endpoint       at = { .port = (uint16_t)(2525 + i) };
	struct sim           *s = e->sim;
	char                  name[16];

	addr_parse(SV("127.0.0.1"), &at.addr);
	snprintf(name, sizeof(name), e->n == 1 ? "up" : "up%u", i + 1);
	sv->m = mailer_new(s, name, &at);
	sv->m->decide = decide;
	sv->m->arg = e;
	sv->m->cut = sim_chance(s, 20) ? 1 + sim_below(s, 10) : 0;
	sv->m->lmtp = e->lmtp;
	sv->m->proxy = e->identity == BY_PROXY;
	offer(e, sv->m);
	if (e->few && sim_chance(s, 30)) {
		sv->m->patience = 1000 + sim_below(s, 5000);
		sv->m->says_why = sim_chance(s, 50);
	}
	sv->flaps = sim_chance(s, e->n > 1 ? 30 : 8);
	sv->turns_at = sv->flaps ? s->clock + sim_below(s, 60000) : SIM_NEVER;
}

/* ---- the configuration ---- */

static void
say_server(struct estate *e, struct buf *config, unsigned i)
{
	static const char *const identity[] = { "", " xclient", " xforward", " proxy-protocol" };
	static const char *const tls[] = { " tls may", " tls require", " tls verify ca \"/ca.crt\"",
		"" };
	struct sim              *s = e->sim;

	buf_printf(config, "upstream %s127.0.0.1:%u connections %u", e->lmtp ? "lmtp " : "",
	    2525 + i,
	    e->crowded ? 1 + (unsigned)sim_below(s, 3) :
			 2 + (unsigned)sim_below(s, e->n > 1 ? 12 : 40));
	buf_printf(config, "%s", identity[e->identity]);
	if (e->identity == BY_PROXY && sim_chance(s, 40))
		buf_printf(config, " v1");
	if (e->tls)
		buf_printf(config, "%s", tls[sim_below(s, ARRAY_N(tls))]);
	if (sim_chance(s, 20))
		buf_printf(config, " no-chunking");
	if (sim_chance(s, 10) && !e->lmtp)
		buf_printf(config, " eager");
	if (e->server[i].second)
		buf_printf(config, " pool second");
	if (e->n > 1 && sim_chance(s, 50))
		buf_printf(config, " weight %u", 1 + (unsigned)sim_below(s, 9));
	if (i > 0 && !e->routed && sim_chance(s, 20))
		buf_printf(config, " backup");
	buf_addc(config, '\n');
}

static void
say_front(struct estate *e, struct buf *config)
{
	static const char *const front[] = { "", " proxy-protocol from { 198.51.100.0/24 }",
		" xclient from { 198.51.100.0/24 }" };
	struct sim              *s = e->sim;

	buf_printf(config, "listen 127.0.0.1:25%s%s%s\n", e->auth ? " auth-without-tls" : "",
	    front[e->front], e->login ? " xclient-login" : "");
	buf_printf(config, "limits {\n message-size %s\n header-size 64K\n errors 30\n%s}\n",
	    sim_chance(s, 20) ? "100K" : "25M",
	    e->few && sim_chance(s, 70) ? " auth-failures 250\n" : "");
	if (sim_chance(s, 40))
		buf_printf(
		    config, "spool \"/spool\" memory %uK\n", 16 + (unsigned)sim_below(s, 200));
	if (e->routed)
		buf_printf(config,
		    "map pools { second.example second }\nroute pools\n"
		    "domains ours { ours.example, second.example }\n");
}

void
estate_open(struct estate *e, struct sim *s, struct buf *config)
{
	unsigned kind = (unsigned)sim_below(s, 20), identity = (unsigned)sim_below(s, 20);

	*e = (struct estate){ .sim = s };
	e->maildir = kind < 2;
	e->lmtp = kind == 2 || kind == 3;
	e->n = e->maildir || sim_chance(s, 50) ? 1 : 2 + (unsigned)sim_below(s, ESTATE_SERVERS - 1);
	e->routed = e->n > 1 && sim_chance(s, 30);
	e->tls = !e->maildir && sim_chance(s, 5);
	e->identity = e->lmtp || e->maildir ? BY_NOTHING :
	    identity < 5                    ? BY_XCLIENT :
	    identity < 8                    ? BY_XFORWARD :
	    identity < 10                   ? BY_PROXY :
					      BY_NOTHING;
	e->few = !e->maildir && !e->lmtp && sim_chance(s, 40);
	if (e->few && sim_chance(s, 75))
		e->identity = BY_XCLIENT;
	e->shy = e->few && sim_chance(s, 20) ? 1 + (unsigned)sim_below(s, 15) : 0;
	e->picky = e->few && sim_chance(s, 50) ? 5 + (unsigned)sim_below(s, 40) : 0;
	e->auth = !e->maildir && !e->lmtp && sim_chance(s, 35);
	e->front = sim_chance(s, e->few ? 50 : 75) ? FRONT_PLAIN :
	    sim_chance(s, 50)                      ? FRONT_PROXY :
						     FRONT_XCLIENT;
	e->login = e->front == FRONT_XCLIENT && sim_chance(s, 75);
	e->crowded = sim_chance(s, e->few ? 60 : 35);
	e->trouble = sim_chance(s, 30) ? 0 : (unsigned)sim_below(s, 80);
	for (unsigned i = 0; i < e->n; i++) {
		e->server[i].second = e->routed && i + 1 > e->n / 2;
		serve(e, i);
		if (!e->maildir)
			say_server(e, config, i);
	}
	if (e->maildir)
		buf_add(config, SV("upstream maildir \"/mail/box\"\n"));
	say_front(e, config);
}

/* ---- servers that flap ---- */

uint64_t
estate_act(struct estate *e)
{
	uint64_t next = SIM_NEVER;

	for (unsigned i = 0; i < e->n; i++) {
		struct estate_server *sv = &e->server[i];
		enum mailer_mode      mode = MAILER_UP;

		if (e->sim->clock >= sv->turns_at) {
			if (sv->m->mode == MAILER_UP)
				mode = sim_chance(e->sim, 75) ? MAILER_DOWN : MAILER_SILENT;
			mailer_turn(sv->m, mode);
			sv->turns_at = e->sim->clock + 1 + sim_below(e->sim, 90000);
		}
		if (sv->turns_at < next)
			next = sv->turns_at;
	}
	return next;
}

void
estate_calm(struct estate *e)
{
	e->shy = e->picky = 0;
	for (unsigned i = 0; i < e->n; i++) {
		e->server[i].turns_at = SIM_NEVER;
		e->server[i].m->patience = 0;
		if (e->server[i].m->mode != MAILER_UP)
			mailer_turn(e->server[i].m, MAILER_UP);
	}
}

void
estate_free(struct estate *e)
{
	for (unsigned i = 0; i < e->n; i++)
		mailer_free(e->server[i].m);
}

/* ---- what a connection was told ---- */

enum {
	SAID_ADDR,
	SAID_HELO,
	SAID_PROTO,
	SAID_LOGIN,
	SAID_PORT,
	SAID_DESTADDR,
	SAID_DESTPORT,
	SAID
};

static const char *const attributes[SAID] = { "ADDR", "HELO", "PROTO", "LOGIN", "PORT", "DESTADDR",
	"DESTPORT" };

struct told {                   /* when MAIL came */
	const char *address;    /* the event that named the client last; NULL: none */
	const char *user;       /* who is authenticated; NULL: nobody */
	const char *hello;      /* the name in the last EHLO or HELO; NULL: none */
	struct strv said[SAID]; /* by XCLIENT, last; absent: never */
};

static void
read_xclient(struct told *t, struct strv line)
{
	struct strv word;

	(void)strv_word(&line);
	while ((word = strv_word(&line)).n > 0) {
		struct strv value = word, name = strv_cut(&value, '=');

		for (unsigned i = 0; i < SAID; i++)
			if (strv_eq(name, strv_z(attributes[i])))
				t->said[i] = value;
	}
}

/* What was said on the message's connection before its MAIL. */
static struct told
before(const struct estate *e, const struct mailer *u, const struct up_message *m)
{
	struct told t = { 0 };
	struct told at_mail = t;

	for (unsigned i = 0; i < u->n_event && u->event[i].order < m->order; i++) {
		const char *text = u->event[i].text;
		struct strv v = strv_z(text);

		if (u->event[i].conn != m->conn)
			continue;
		if (sim_match(SV("XCLIENT* ADDR=*"), v) || sim_match(SV("XFORWARD* ADDR=*"), v) ||
		    sim_match(SV("[proxy *"), v))
			t.address = text;
		if (strv_starts(v, SV("XCLIENT ")))
			read_xclient(&t, v);
		if (strv_starts(v, SV("EHLO ")) || strv_starts(v, SV("HELO ")))
			t.hello = text + 5;
		if (strv_starts(v, SV("[auth ok ")))
			t.user = text + 9;
		if (strcmp(text, m->from) == 0)
			at_mail = t;
		/* XFORWARD holds for one transaction. */
		if ((strv_starts(v, SV("MAIL ")) || strv_eq(v, SV("RSET"))) &&
		    e->identity == BY_XFORWARD)
			t.address = NULL;
	}
	return at_mail;
}

static bool
names(const struct estate *e, const struct told *t, const struct letter *l)
{
	char want[80], have[600];

	/* A server that refuses XFORWARD gets the mail without: it is for its log alone. */
	if (t->address == NULL)
		return e->identity == BY_NOTHING || e->identity == BY_XFORWARD;
	if (e->identity == BY_PROXY)
		snprintf(want, sizeof(want), "[proxy TCP4 %s:%u *", l->address, l->port);
	else
		snprintf(want, sizeof(want), "* ADDR=%s *", l->address);
	snprintf(have, sizeof(have), "%s ", t->address);
	return sim_match(strv_z(want), strv_z(have));
}

/* Is the attribute among those of its XCLIENT? */
static bool
takes(const struct mailer *u, const char *attribute)
{
	struct strv all = strv_z(u->offers), word;

	while ((word = strv_word(&all)).n > 0) {
		struct strv list = word;

		if (!strv_eq(strv_cut(&list, '='), SV("XCLIENT")))
			continue;
		while (list.p != NULL)
			if (strv_eq(strv_cut(&list, ','), strv_z(attribute)))
				return true;
	}
	return false;
}

/* What XCLIENT must have said of the client of a letter. */
static void
should_say(const struct letter *l, unsigned i, char want[40])
{
	const struct {
		const char *text;
		unsigned    number;
	} said[SAID] = { { l->address, 0 }, { l->told_helo, 0 },
		{ l->told_esmtp ? "ESMTP" : "SMTP", 0 }, { l->login, 0 }, { "", l->port },
		{ l->to, 0 }, { "", l->to_port } };

	if (said[i].number > 0)
		snprintf(want, 40, "%u", said[i].number);
	else
		snprintf(want, 40, "%s", said[i].text[0] != '\0' ? said[i].text : "[UNAVAILABLE]");
}

/* All that the server was told by XCLIENT, and by the EHLO behind it, is true of the letter's client. */
static bool
misnames(
    const struct estate_server *sv, const struct told *t, const struct letter *l, char text[200])
{
	char want[40];

	for (unsigned i = 0; i < SAID; i++) {
		should_say(l, i, want);
		if (!takes(sv->m, attributes[i]) || strv_eq(t->said[i], strv_z(want)))
			continue;
		snprintf(text, 200, "is of %s=%s, the server was told %.*s", attributes[i], want,
		    (int)t->said[i].n, t->said[i].p == NULL ? "" : t->said[i].p);
		return true;
	}
	if (t->hello != NULL && strcmp(t->hello, l->told_helo) == 0)
		return false;
	snprintf(text, 200, "is of %s, the server was greeted by %s", l->told_helo,
	    t->hello == NULL ? "nobody" : t->hello);
	return true;
}

/* Who is authenticated is bound to a server of the listener's pool, and is not routed. */
static bool
right_pool(const struct estate *e, const struct estate_server *sv, const struct up_message *m,
    const struct letter *l)
{
	for (unsigned i = 0; e->routed && i < m->n_rcpt; i++) {
		bool second = sim_match(SV("*@second.example>*"), strv_z(m->rcpt[i]));

		/* `quarantine to': it goes where the others would have gone. */
		if (sim_match(SV("*@elsewhere.example>*"), strv_z(m->rcpt[i])))
			continue;
		if ((second && !l->authenticated) != sv->second)
			return false;
	}
	return true;
}

const char *
estate_wrong(const struct estate *e, const struct estate_server *sv, const struct up_message *m,
    const struct letter *l, char text[200])
{
	struct told t = before(e, sv->m, m);
	char        user[32];

	if (e->maildir)
		return NULL;
	snprintf(user, sizeof(user), "user-s%u]", l->client);
	if (!names(e, &t, l))
		snprintf(text, 200, "is of %s, the server was told %s", l->address,
		    t.address == NULL ? "nothing" : t.address);
	else if (e->identity == BY_XCLIENT && misnames(sv, &t, l, text))
		return text;
	else if (l->authenticated != (t.user != NULL) ||
	    (t.user != NULL && strcmp(t.user, user) != 0))
		snprintf(text, 200, "is %s, the server authenticated %s",
		    l->authenticated ? "authenticated" : "anonymous",
		    t.user == NULL ? "nobody" : t.user);
	else if (!right_pool(e, sv, m, l))
		snprintf(text, 200, "went to the wrong pool");
	else if (e->lmtp && m->n_rcpt != 1)
		snprintf(text, 200, "has %u recipients by LMTP", m->n_rcpt);
	else
		return NULL;
	return text;
}

/* ---- a connection and its sessions ---- */

#define NOBODY UINT_MAX

/* The session of which a command MAIL is: letters have it in their sender (rogue.h). */
static unsigned
session_of(const char *text)
{
	const char *at = strncmp(text, "MAIL ", 5) == 0 ? strstr(text, "<s") : NULL;

	return at == NULL ? NOBODY : (unsigned)strtoul(at + 2, NULL, 10);
}

const char *
estate_shared(const struct estate *e, const struct estate_server *sv, char text[200])
{
	const struct mailer *u = sv->m;
	bool                 named = e->identity == BY_XCLIENT || e->identity == BY_PROXY;
	unsigned            *session = mem_alloc((u->conns + 1) * sizeof(*session));
	bool                 wrong = false;

	for (unsigned i = 0; i <= u->conns; i++)
		session[i] = NOBODY;
	for (unsigned i = 0; i < u->n_event && named && !wrong; i++) {
		unsigned *last = &session[u->event[i].conn];
		unsigned  n = session_of(u->event[i].text);

		wrong = n != NOBODY && *last != NOBODY && *last != n;
		if (wrong)
			snprintf(text, 200, "connection %u serves s%u and then s%u",
			    u->event[i].conn, *last, n);
		if (n != NOBODY)
			*last = n;
	}
	mem_free(session);
	return wrong ? text : NULL;
}

bool
estate_knows(const struct estate *e, const char *user)
{
	char want[64];

	snprintf(want, sizeof(want), "[auth ok %s]", user);
	for (unsigned i = 0; i < e->n; i++)
		for (unsigned k = 0; k < e->server[i].m->n_event; k++)
			if (strcmp(e->server[i].m->event[k].text, want) == 0)
				return true;
	return false;
}
