/*
 * visit: a mail server's sessions as its milter hears of them: text made whole again, edits told, ends of all kinds.
 */
#include "proxy/hosts/visit_own.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/unit/settings_world.h"

static struct loaded  l;
static struct loop   *loop;
static struct bridge *bridge;
static struct visits *visits;
static char           logged[16384];

static uint64_t
now(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
log_line(struct world *w, struct strv line)
{
	size_t n = strlen(logged);

	(void)w;
	if (n + line.n + 2 < sizeof(logged))
		(void)snprintf(logged + n, sizeof(logged) - n, "%.*s\n", (int)line.n, line.p);
}

static void
set_up(const char *conf)
{
	world.now = now;
	world.log = log_line;
	logged[0] = '\0';
	l = (struct loaded){ .a = arena_new(4096, 0) };
	l.d.a = l.a;
	files[0].text = conf;
	l.s = settings_load_milter(l.a, &world, MAIN_FILE, &l.d);
	T_CHECK(is_good(&l));
	loop = loop_new(&world);
	bridge = bridge_new(1 << 20);
	visits = visits_new(bridge, &world, loop, l.s);
	T_CHECK(bridge_start(bridge, loop));
}

static void
rounds(void)
{
	while (loop_round(loop, false))
		;
}

static void
take_down(void)
{
	rounds();
	T_EQ_NUM(visits_open(visits), 0);
	timer_stop(loop, &visits->again);
	bridge_free(bridge);
	spool_pool_free(visits->spools);
	fiber_pool_free(visits->fibers);
	mem_free(visits);
	loop_free(loop);
	unload(&l);
}

/* ---- calls ---- */

struct asked {
	struct visit_call *c;
	uint64_t           ms;
	enum bridge_rc     rc;
	atomic_bool        over;
};

static void *
asker(void *arg)
{
	struct asked          *a = arg;
	struct bridge_patience p = { .ms = a->ms };

	a->rc = bridge_ask(bridge, &a->c->call, &p);
	atomic_store(&a->over, true);
	return NULL;
}

static enum bridge_rc
ask_for(struct visit_call *c, uint64_t ms)
{
	struct asked a = { .c = c, .ms = ms };
	pthread_t    t;

	T_EQ_NUM(pthread_create(&t, NULL, asker, &a), 0);
	while (!atomic_load(&a.over))
		if (!loop_round(loop, false))
			sched_yield();
	pthread_join(t, NULL);
	return a.rc;
}

/* The answer is the caller's; visit_call_free. */
static struct visit_call *
ask(struct visit *v, enum visit_ask what, struct strv text, const char *params)
{
	struct visit_call *c = visit_call_new(visits, v, what, text.n + strlen(params) + 2);

	c->text = visit_call_keep(c, text.p, text.n);
	c->params = visit_call_keep(c, params, strlen(params));
	c->leadspc = true;
	T_EQ_NUM(ask_for(c, 20000), BRIDGE_DONE);
	return c;
}

static enum visit_say
said(struct visit *v, enum visit_ask what, struct strv text, const char *params)
{
	struct visit_call *c = ask(v, what, text, params);
	enum visit_say     say = c->answer.say;

	visit_call_free(c);
	return say;
}

static void
tell(struct visit *v, enum visit_ask what)
{
	T_CHECK(bridge_tell(bridge, &visit_call_new(visits, v, what, 0)->call));
	rounds();
}

static struct visit *
connected(void)
{
	struct visit_call *c = ask(NULL, VISIT_CONNECT, SV(""), "");
	struct visit      *v = c->visit;

	visit_call_free(c);
	T_CHECK(v != NULL);
	return v;
}

static void
envelope(struct visit *v)
{
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<a@client.example>"), ""), VISIT_GO_ON);
	T_EQ_NUM(said(v, VISIT_RCPT, SV("<u@ours.example>"), ""), VISIT_GO_ON);
}

/* ---- edits ---- */

/* "Name: value|Name: value" as libmilter shows them. */
static struct strv
shown(const char *fields, char *room)
{
	size_t n = 0;
	bool   name = true;

	for (const char *p = fields; *p != '\0'; p++) {
		bool end = (name && *p == ':') || *p == '|';

		room[n++] = end ? '\0' : *p;
		name = end ? *p == '|' : name;
	}
	room[n++] = '\0';
	return strv(room, n);
}

static const char *
told(const struct visit_answer *a, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < a->n_edit; i++) {
		const struct visit_edit *e = &a->edit[i];
		const char              *value = a->text.p + e->value;

		n += (size_t)snprintf(out + n, room - n, "%c %d %s%s%s|", "CIADRQ"[e->op], e -> at,
		    a -> text.p + e->name, e->gone ? " gone" : ":", e->gone ? "" : value);
	}
	return out;
}

struct edited {
	const char *conf, *fields, *told;
};

#define AR "Authentication-Results: mx.ours.example; none"

static const struct edited edited[] = {
	{ "", "From: a|Subject: x", "" },
	{ "", "", "" },
	/* Forged ones, whichever of their name they are, from the back. */
	{ "",
	    AR
	    "|From: a|authentication-results: else.example; none|AUTHENTICATION-RESULTS: mx.ours.example; spf=pass",
	    "C 3 AUTHENTICATION-RESULTS gone|C 1 Authentication-Results gone|" },
	{ "", "X-Postern-Tag: a|X-Postern-Tag: b",
	    "C 2 X-Postern-Tag gone|C 1 X-Postern-Tag gone|" },
	/* Ours above all others, told from the bottom up. */
	{ "check c { when not sender is null  add-header \"X-A\" \"1\" add-header \"X-B\" \"2\" }\n",
	    "From: a|Subject: x", "I 0 X-A: 1|I 0 X-B: 2|" },
	/* What goes goes first. */
	{ "check c { when not sender is null  delete-header \"X-A\" add-header \"X-A\" \"new\" }\n",
	    "X-A: 1|From: a|x-a: 2", "C 2 x-a gone|C 1 X-A gone|I 0 X-A: new|" },
	/* Where no field stays ours are above what the mail server has. */
	{ "check c { when not sender is null  delete-header \"X-A\" add-header \"X-B\" \"1\" }\n",
	    "X-A: 1", "C 1 X-A gone|I 0 X-B: 1|" },
	{ "check c { when not sender is null  add-header \"X-A\" \"1\" add-header \"X-B\" \"2\" }\n",
	    "", "I 0 X-A: 1|I 0 X-B: 2|" },
	{ "check c { when not sender is null  quarantine to q@ours.example }\n", "From: a",
	    "R 0 :<q@ours.example>|" },
};

static void
edits(void)
{
	T_TABLE(struct edited, r, edited)
	{
		char               conf[512], room[512], out[512];
		struct visit      *v;
		struct visit_call *c;
		char              *at;

		(void)snprintf(conf, sizeof(conf), "hostname mx.ours.example\n%s", r->conf);
		set_up(conf);
		v = connected();
		envelope(v);
		if (r->fields[0] != '\0')
			T_EQ_NUM(said(v, VISIT_HEADER, shown(r->fields, room), ""), VISIT_GO_ON);
		c = ask(v, VISIT_END, SV(""), "");
		T_EQ_NUM(c->answer.say, VISIT_GO_ON);
		told(&c->answer, out, sizeof(out));
		/* The recipient that goes with a quarantine. */
		at = strstr(out, "D 0");
		at = at == NULL ? strstr(out, "R 0") != NULL ? strstr(out, "R 0") : out :
				  strchr(at, '|') + 1;
		T_EQ_STR(at, r->told);
		visit_call_free(c);
		T_CHECK(visit_tx(v) == NULL);
		tell(v, VISIT_CLOSE);
		take_down();
	}
}

/* ---- the text ---- */

struct field {
	const char *name, *value, *raw; /* raw NULL: it is not taken */
};

static const struct field fields[] = {
	{ "Subject", " x", "Subject: x\r\n" },
	{ "Subject", "x", "Subject:x\r\n" },
	{ "Subject", "", "Subject:\r\n" },
	{ "Subject", "  a\n\tb\n  c \t", "Subject:  a\r\n\tb\r\n  c \t\r\n" },
	{ "Subject", " a\r\n b", "Subject: a\r\n b\r\n" },
	/* What would begin a line of its own. */
	{ "Subject", " a\nBcc: b", "Subject: a Bcc: b\r\n" },
	{ "Subject", " a\n", "Subject: a \r\n" },
	{ "Subject", " a\rb", "Subject: a b\r\n" },
	{ "Subject", " a\n\nb", "Subject: a  b\r\n" },
	{ "", " a", NULL },
	{ "two words", " a", NULL },
	{ "a:b", " a", NULL },
	{ "a\xe4", " a", NULL },
};

static void
header(void)
{
	set_up("");
	T_TABLE(struct field, r, fields)
	{
		char          room[256];
		struct visit *v = connected();
		size_t        n = (size_t)snprintf(
			   room, sizeof(room), "%s%c%s%cLast%c x%c", r->name, 0, r->value, 0, 0, 0);

		envelope(v);
		(void)said(v, VISIT_HEADER, strv(room, n), "");
		T_EQ_NUM(visit_tx(v)->msg.n_h, r->raw != NULL ? 2 : 1);
		if (r->raw != NULL)
			T_EQ_TEXT(visit_tx(v)->msg.h[0].raw, r->raw);
		T_EQ_TEXT(visit_tx(v)->msg.h[visit_tx(v)->msg.n_h - 1].raw, "Last: x\r\n");
		T_CHECK(visit_tx(v)->msg.headers_done);
		tell(v, VISIT_CLOSE);
	}
	take_down();
}

struct body {
	const char *in, *out;
};

static const struct body bodies[] = {
	{ "", "" },
	{ "a\r\nb\r\n", "a\r\nb\r\n" },
	{ "a", "a" },
	{ "a\nb\r", "a\r\nb " },
	{ "\r\r\n\n", " \r\n\r\n" },
	{ "\r\n.\r\n", "\r\n.\r\n" },
	{ "a\rb\r\n", "a b\r\n" },
};

/* Whole, and cut at every octet. */
static void
body(void)
{
	set_up("");
	T_TABLE(struct body, r, bodies)
	for (size_t cut = 0; cut <= strlen(r->in); cut++) {
		struct visit *v = connected();
		struct strv   in = strv_z(r->in);
		char          scratch[64];

		envelope(v);
		(void)said(v, VISIT_HEADER, strv("A\0 b\0", 5), "");
		(void)said(v, VISIT_BODY, strv_first(in, cut), "");
		(void)said(v, VISIT_BODY, strv_from(in, cut), "");
		visit_text_end(v);
		T_EQ_TEXT(spool_read(visit_tx(v)->msg.body, 0, scratch, sizeof(scratch)), r->out);
		tell(v, VISIT_CLOSE);
	}
	take_down();
}

static void
limits(void)
{
	static char   big[40000];
	struct visit *v;

	set_up("limits { message-size 64K header-size 4K recipients 100 }\n");
	v = connected();
	memset(big, 'a', sizeof(big));
	envelope(v);
	memcpy(big, "X\0", 2);
	big[sizeof(big) - 1] = '\0';
	(void)said(v, VISIT_HEADER, strv(big, sizeof(big)), "");
	T_EQ_NUM(said(v, VISIT_END, SV(""), ""), VISIT_REJECT);
	T_CHECK(strstr(logged, "message header is too big") != NULL);
	envelope(v);
	(void)said(v, VISIT_HEADER, strv("A\0 b\0", 5), "");
	memset(big, 'a', sizeof(big));
	(void)said(v, VISIT_BODY, strv(big, sizeof(big)), "");
	(void)said(v, VISIT_BODY, strv(big, sizeof(big)), "");
	T_EQ_NUM(said(v, VISIT_END, SV(""), ""), VISIT_REJECT);
	T_CHECK(strstr(logged, "message size exceeds fixed limit") != NULL);
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<>"), ""), VISIT_GO_ON);
	for (unsigned i = 0; i < 100; i++)
		T_EQ_NUM(said(v, VISIT_RCPT, SV("<u@ours.example>"), ""), VISIT_GO_ON);
	T_EQ_NUM(said(v, VISIT_RCPT, SV("<u@ours.example>"), ""), VISIT_TEMPFAIL);
	tell(v, VISIT_CLOSE);
	take_down();
}

/* ---- envelopes ---- */

static void
parameters(void)
{
	struct visit             *v;
	const struct mail_params *m;

	set_up("");
	v = connected();
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<\"a b\"@x.example>"),
		     "SIZE=1234 body=8bitmime SMTPUTF8 RET=HDRS ENVID=q HOLDFOR=9 BY=1;R"),
	    VISIT_GO_ON);
	m = &visit_tx(v)->env.params;
	T_EQ_TEXT(visit_tx(v)->env.from.local, "a b");
	T_CHECK(m->size == 1234 && m->body == BODY_8BITMIME && m->smtputf8 && m->n == 7);
	T_EQ_TEXT(m->ret, "HDRS");
	T_EQ_TEXT(m->envid, "q");
	T_EQ_NUM(said(v, VISIT_MAIL, SV("bare@x.example"), ""), VISIT_GO_ON);
	T_EQ_TEXT(visit_tx(v)->env.from.text, "bare@x.example");
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<>"), ""), VISIT_GO_ON);
	T_EQ_NUM(visit_tx(v)->env.from.kind, PATH_NULL);
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<a@@b>"), ""), VISIT_REJECT);
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<>"), ""), VISIT_GO_ON);
	T_EQ_NUM(said(v, VISIT_RCPT, SV("<>"), ""), VISIT_REJECT);
	T_EQ_NUM(said(v, VISIT_RCPT, SV("postmaster"), ""), VISIT_GO_ON);
	tell(v, VISIT_CLOSE);
	take_down();
}

static struct visit_call *
connect_with(enum visit_word word, const char *value)
{
	struct visit_call *c = visit_call_new(visits, NULL, VISIT_CONNECT, 200);

	c->word[WORD_TLS] = visit_call_keep(c, "TLSv1.3", 7);
	c->word[WORD_SUBJECT] = visit_call_keep(c, "client", 6);
	c->word[word] = visit_call_keep(c, value, strlen(value));
	T_EQ_NUM(ask_for(c, 20000), BRIDGE_DONE);
	return c;
}

/* Who is named is one that was taken. */
static void
recipients(void)
{
	struct visit *v;

	set_up("check no { when rcpt is no@ours.example  reject }\n");
	v = connected();
	T_EQ_NUM(said(v, VISIT_MAIL, SV("<a@client.example>"), ""), VISIT_GO_ON);
	T_EQ_NUM(said(v, VISIT_RCPT, SV("<no@ours.example>"), ""), VISIT_REJECT);
	T_EQ_NUM(said(v, VISIT_RCPT, SV("<u@ours.example>"), ""), VISIT_GO_ON);
	T_EQ_NUM(said(v, VISIT_END, SV(""), ""), VISIT_GO_ON);
	T_CHECK(strstr(logged, " from=a@client.example to=u@ours.example rcpts=1 ") != NULL);
	tell(v, VISIT_CLOSE);
	take_down();
}

/* A certificate that nobody has verified is none. */
static void
certificates(void)
{
	static const struct {
		enum visit_word word;
		const char     *value;
		bool            good, cn;
	} rows[] = { { WORD_VERSION, "Postfix 3.7.11", true, true },
		{ WORD_VERSION, "8.17.1", false, false }, { WORD_VERIFIED, "OK", true, false },
		{ WORD_VERIFIED, "NO", false, false }, { WORD_QUEUE, "Q", false, false } };

	set_up("");
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct visit_call *c = connect_with(rows[i].word, rows[i].value);
		struct visit      *v = c->visit;

		T_CHECK(v->client.tls.on);
		T_EQ_TEXT(v->client.tls.client_cert, rows[i].good ? "client" : "");
		T_CHECK((v->client.tls.client_cn.p != NULL) == rows[i].cn);
		visit_call_free(c);
		tell(v, VISIT_CLOSE);
	}
	take_down();
}

/* ---- ends ---- */

/* Nobody heard that there is such a session. */
static void
left_at_connect(void)
{
	struct visit_call *c;

	set_up("reject-at stage\ncheck slow { when not client.ip is 192.0.2.1  delay 1s }\n");
	c = visit_call_new(visits, NULL, VISIT_CONNECT, 0);
	T_EQ_NUM(ask_for(c, 5), BRIDGE_LATE);
	for (unsigned i = 0; i < 2000 && visits_open(visits) > 0; i++)
		(void)loop_round(loop, true);
	take_down();
}

/* Its thread has left, and then closes: the fiber that still waits does not go on waiting. */
static void
left_in_the_middle(void)
{
	struct visit      *v;
	struct visit_call *c;
	uint64_t           begun;

	set_up("check slow { when sender is a@slow.example  delay 20s }\n");
	v = connected();
	c = visit_call_new(visits, v, VISIT_MAIL, 40);
	c->text = visit_call_keep(c, "<a@slow.example>", 16);
	begun = now(NULL);
	T_EQ_NUM(ask_for(c, 20), BRIDGE_LATE);
	tell(v, VISIT_ABORT);
	tell(v, VISIT_CLOSE);
	take_down();
	T_CHECK(now(NULL) - begun < 5000);
}

static void
too_many(void)
{
	struct visit      *v[2];
	struct visit_call *c;

	set_up("limits { sessions 2 }\n");
	v[0] = connected();
	v[1] = connected();
	c = ask(NULL, VISIT_CONNECT, SV(""), "");
	T_CHECK(c->answer.say == VISIT_TEMPFAIL && c->visit == NULL);
	visit_call_free(c);
	tell(v[0], VISIT_CLOSE);
	v[0] = connected();
	tell(v[0], VISIT_CLOSE);
	tell(v[1], VISIT_CLOSE);
	take_down();
}

/* Text without an envelope, an end without text, all in a row: an answer to each, and nothing else. */
static void
out_of_order(void)
{
	static const enum visit_ask odd[] = { VISIT_BODY, VISIT_HEADER, VISIT_DATA, VISIT_RCPT,
		VISIT_END, VISIT_MAIL, VISIT_BODY, VISIT_HEADER, VISIT_HEADER, VISIT_MAIL,
		VISIT_END, VISIT_END, VISIT_HELO };
	struct visit               *v;

	set_up("");
	v = connected();
	for (size_t i = 0; i < T_COUNT(odd); i++)
		(void)said(v, odd[i], SV("<a@b.example>"), "");
	tell(v, VISIT_ABORT);
	tell(v, VISIT_ABORT);
	tell(v, VISIT_CLOSE);
	take_down();
}

/* Replies are printable, and name the line in the log. */
static void
replies(void)
{
	struct visit      *v;
	struct visit_call *c;
	char               want[64];

	set_up("check c { when not helo is \"\"  tempfail 450 4.7.1 \"hello %{helo}\" }\n");
	v = connected();
	(void)said(v, VISIT_HELO,
	    SV("a\xe4"
	       "b\r\n"),
	    "");
	(void)said(v, VISIT_MAIL, SV("<>"), "");
	c = ask(v, VISIT_RCPT, SV("<u@ours.example>"), "");
	(void)snprintf(want, sizeof(want), "(%s.1)", v->id);
	T_CHECK(c->answer.say == VISIT_TEMPFAIL && c->answer.code == 450);
	T_EQ_STR(c->answer.enh, "4.7.1");
	for (const char *p = c->answer.text.p + c->answer.reply; *p != '\0'; p++)
		T_CHECK(*p >= ' ' && *p < 0x7f);
	T_CHECK(strstr(c->answer.text.p + c->answer.reply, want) != NULL);
	T_CHECK(strstr(logged, v->id) != NULL);
	visit_call_free(c);
	tell(v, VISIT_CLOSE);
	take_down();
}

/* A proxy's file serves as it is: neither its certificates nor its plugins are looked for. */
static void
passed_over(void)
{
	set_up("listen 127.0.0.1:25 name door\nlisten 127.0.0.1:465 tls\nupstream 127.0.0.1:10025\n"
	       "tls certificate \"/nothing.crt\" key \"/nothing.key\"\nworkers 2\n"
	       "relay { allow to { ours.example } }\nmilter m { socket \"unix:/nothing\" }\n"
	       "check c { when listener is door and helo is x  quarantine }\n");
	T_EQ_TEXT(l.s->passed_over, "listen, upstream, tls, workers, milter, relay");
	T_EQ_NUM(count_level(&l.d, DIAG_NOTE), 1);
	take_down();
	set_up("");
	T_CHECK(l.s->passed_over.n == 0 && l.d.n == 0);
	take_down();
}

int
main(void)
{
	T_RUN(passed_over);
	T_RUN(edits);
	T_RUN(header);
	T_RUN(body);
	T_RUN(limits);
	T_RUN(parameters);
	T_RUN(recipients);
	T_RUN(certificates);
	T_RUN(left_at_connect);
	T_RUN(left_in_the_middle);
	T_RUN(too_many);
	T_RUN(out_of_order);
	T_RUN(replies);
	return t_end();
}
