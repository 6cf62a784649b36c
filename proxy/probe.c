/*
 * probe -- a short conversation with each server: MAIL and RCPT for a domain of nobody's, then RSET.
 *
 * A server behind a proxy trusts the proxy's address more often than not, and then relays whatever comes from it.
 * That is no mistake, but the postmaster has to know what stands in between.  So it is asked as Postern itself, and
 * once more as the client from outside that a session would tell it of.
 */
#include "proxy/probe.h"

#include "proxy/base/arena.h"
#include "proxy/base/io.h"
#include "proxy/mail/reply.h"
#include "proxy/smtp/ehlo.h"
#include "proxy/smtp/proxyhdr.h"

#define REPLY_MS  10000
#define STACK     65536
#define LINES     6
#define IN        2048
#define OUTSIDER  "192.0.2.1" /* RFC 5737: nobody's */
#define RECIPIENT "probe@foreign.example"
#define WORDS_MAX 200 /* octets of a server's words that are shown */

enum relays { RELAYS_UNKNOWN, RELAYS_NO, RELAYS_YES };

struct probe {
	const struct settings *s;
	const struct server   *sv;
	struct arena          *a;
	struct loop           *loop;
	struct conn            c;
	struct reply_parser    parser;
	char                  *in; /* IN octets */
	struct strv            left;
	uint64_t               until;
	struct strv            words;   /* of the last reply, for people */
	bool                   xclient; /* its EHLO has it */
	bool                   over;
	struct strv            line[LINES];
	unsigned               n;
	enum relays            relays;
};

static void
tell(struct probe *p, struct strv text)
{
	if (p->n < LINES)
		p->line[p->n++] = text;
}

static struct strv
words_of(struct probe *p, const struct reply *r)
{
	struct strv rest = r->text, first = strv_cut(&rest, '\n');

	if (first.n > WORDS_MAX)
		first.n = WORDS_MAX;
	return arena_printf(p->a, "%u %s", r->code, diag_quote(p->a, first));
}

/* The next reply, or false: p->words says what is the matter. */
MAY_YIELD static bool
hear(struct probe *p, struct reply *r)
{
	uint64_t deadline = loop_now(p->loop) + REPLY_MS;
	size_t   got;
	int      rc;

	deadline = deadline < p->until ? deadline : p->until;
	while ((rc = reply_parse(&p->parser, &p->left, r)) == 0) {
		enum io_rc io = conn_recv(&p->c, p->in, IN, &got);

		if (io == IO_AGAIN && conn_wait(&p->c, deadline) == WAIT_OK)
			continue;
		if (io != IO_OK) {
			p->words = io == IO_AGAIN ? SV("it does not answer in time") :
						    SV("it closed the connection");
			return false;
		}
		p->left = strv(p->in, got);
	}
	p->words = rc > 0 ? words_of(p, r) : SV("it talks nonsense");
	return rc > 0;
}

/* The code of its answer; 0: there is none, p->words says why. */
MAY_YIELD static unsigned
ask(struct probe *p, const char *command)
{
	struct reply r;
	struct ehlo  e;

	if (command != NULL && !conn_queue_v(&p->c, strv_z(command))) {
		p->words = SV("it closed the connection");
		return 0;
	}
	if (!hear(p, &r))
		return 0;
	if (r.code == 250 && command != NULL && strv_starts(strv_z(command), SV("EHLO "))) {
		ehlo_parse(r.text, &e);
		p->xclient = (e.caps & EHLO_XCLIENT) && (e.xclient & XCLIENT_ADDR);
	}
	return r.code;
}

static const char *
say(struct probe *p, const char *word, struct strv value, const char *end)
{
	return arena_z(p->a, arena_printf(p->a, "%s%.*s%s\r\n", word, (int)value.n, value.p, end));
}

/* EHLO, MAIL, RCPT, RSET; p->words is what decided. */
MAY_YIELD static enum relays
converse(struct probe *p)
{
	struct strv us = p->s->smtp.hostname, words;
	const char *from = say(p, "MAIL FROM:<probe@", us, ">");
	enum relays relays;
	unsigned    code;

	if (ask(p, say(p, "EHLO ", us, "")) / 100 != 2 || ask(p, from) / 100 != 2)
		return RELAYS_UNKNOWN;
	code = ask(p, "RCPT TO:<" RECIPIENT ">\r\n");
	relays = code / 100 == 2 ? RELAYS_YES : code / 100 == 5 ? RELAYS_NO : RELAYS_UNKNOWN;
	words = p->words;
	if (code != 0)
		(void)ask(p, "RSET\r\n");
	p->words = words;
	return relays;
}

static struct strv
concat(struct probe *p, const char *text, struct strv words)
{
	return arena_printf(p->a, "%s%.*s", text, (int)words.n, words.p);
}

MAY_YIELD static void
as_ourselves(struct probe *p)
{
	p->relays = converse(p);
	if (p->relays == RELAYS_UNKNOWN) {
		tell(p, concat(p, "does not say whether it would relay for us: ", p->words));
	} else if (p->relays == RELAYS_NO) {
		tell(p, concat(p, "does not relay for us: ", p->words));
		tell(p, SV("  what the relay gate let through by mistake it would refuse"));
	} else {
		tell(p, concat(p, "would relay for us: ", p->words));
		tell(p,
		    SV("  it trusts our address, so what Postern lets through goes out to "
		       "anybody:"));
		tell(p, SV("  the relay gate of this file alone stands in between"));
	}
}

/* postfix.org/XCLIENT_README: 220, and the session is as new, for that client. */
MAY_YIELD static void
as_outsider(struct probe *p)
{
	if (!p->xclient) {
		tell(p,
		    SV("  it does not offer us XCLIENT, so it would not be told who the "
		       "client is"));
		return;
	}
	if (ask(p, "XCLIENT NAME=[UNAVAILABLE] ADDR=" OUTSIDER "\r\n") / 100 != 2) {
		tell(p, concat(p, "  XCLIENT: ", p->words));
		return;
	}
	p->relays = converse(p);
	if (p->relays == RELAYS_YES)
		tell(p,
		    concat(p,
			"  told by XCLIENT of a client from outside (" OUTSIDER
			") it would relay, too: ",
			p->words));
	else
		tell(p,
		    concat(p,
			p->relays == RELAYS_NO ?
			    "  told by XCLIENT of a client from outside (" OUTSIDER
			    ") it does not relay: " :
			    "  told by XCLIENT of a client from outside (" OUTSIDER
			    ") it does not say: ",
			p->words));
}

/* Who sends PROXY headers is taken for nobody else: the only question is the one for the outsider. */
MAY_YIELD static void
proxied(struct probe *p)
{
	p->relays = converse(p);
	tell(p,
	    concat(p,
		p->relays == RELAYS_YES ? "would relay for a client from outside (" OUTSIDER
					  "), told by a PROXY header: " :
		    p->relays == RELAYS_NO ? "does not relay for a client from outside (" OUTSIDER
					     "), told by a PROXY header: " :
					     "does not say whether it would relay: ",
		p->words));
	if (p->relays == RELAYS_YES)
		tell(p, SV("  the relay gate of this file alone stands in between"));
}

static bool
send_header(struct probe *p)
{
	struct proxyhdr h = { .dst = p->sv->at };
	struct buf      b;
	bool            ok;

	(void)addr_parse(SV(OUTSIDER), &h.src.addr);
	h.src.port = 49152;
	if (h.dst.addr.family != ADDR_IP4)
		(void)addr_parse(SV("192.0.2.2"), &h.dst.addr);
	buf_init(&b, PROXYHDR_MAX);
	proxyhdr_print(&b, p->sv->identity == IDENTITY_PROXY1 ? 1 : 2, &h);
	ok = conn_queue_v(&p->c, buf_view(&b));
	buf_fini(&b);
	return ok;
}

MAY_YIELD static void
conversation(struct probe *p)
{
	bool header = p->sv->identity == IDENTITY_PROXY1 || p->sv->identity == IDENTITY_PROXY2;

	if (conn_connected(&p->c, p->until) != WAIT_OK) {
		tell(p, SV("cannot be asked: no connection"));
		return;
	}
	if ((header && !send_header(p)) || ask(p, NULL) / 100 != 2) {
		tell(p, concat(p, "cannot be asked: ", p->words));
		return;
	}
	if (header)
		proxied(p);
	else
		as_ourselves(p);
	if (p->sv->identity == IDENTITY_XCLIENT && p->relays == RELAYS_YES)
		as_outsider(p);
	(void)conn_queue_bye(&p->c, SV("QUIT\r\n"));
}

MAY_YIELD static void
run(void *arg)
{
	struct probe *p = arg;
	const char   *why = "";

	p->until = loop_now(p->loop) + PROBE_MS;
	p->in = arena_alloc(p->a, IN);
	reply_parser_init(&p->parser);
	if (!conn_dial(&p->c, p->loop, &p->sv->at, NULL, NULL, &why)) {
		tell(p, concat(p, "cannot be asked: ", strv_z(why)));
	} else {
		conversation(p);
		conn_close(&p->c);
	}
	reply_parser_fini(&p->parser);
	p->over = true;
}

static bool
all_over(const struct probe *p, unsigned n)
{
	while (n > 0 && p[n - 1].over)
		n--;
	return n == 0;
}

static void
no_more(void *arg)
{
	(void)arg;
}

/* Side by side: a server that does not answer delays nobody. */
static void
run_all(struct probe *p, unsigned n, struct loop *loop)
{
	struct fiber_pool *fibers = fiber_pool_new(loop, STACK, n + 1, 4);
	struct timer       guard = { .fn = no_more };

	timer_start(loop, &guard, loop_now(loop) + PROBE_MS + REPLY_MS);

	for (unsigned i = 0; i < n; i++) {
		p[i].over = p[i].sv->kind != HOP_SMTP;
		if (p[i].over)
			tell(&p[i], SV("is not asked: it delivers, and relays nothing"));
		else if (fiber_start(fibers, "probe", run, &p[i]) == NULL)
			p[i].over = true;
	}
	while (!all_over(p, n) && guard.pos != 0)
		(void)loop_round(loop, true);
	timer_stop(loop, &guard);
	while (fiber_pool_live(fibers) > 0 && loop_round(loop, false))
		continue;
	if (fiber_pool_live(fibers) == 0)
		fiber_pool_free(fibers);
}

unsigned
probe_upstreams(const struct settings *s, struct loop *loop,
    void (*emit)(struct strv line, void *arg), void   *arg)
{
	struct arena *a = arena_new(4096, 0);
	struct probe *p = arena_array(a, s->n_server, sizeof(*p));
	unsigned      would = 0;

	for (unsigned i = 0; i < s->n_server; i++)
		p[i] = (struct probe){ .s = s, .sv = &s->server[i], .a = a, .loop = loop };
	run_all(p, s->n_server, loop);
	for (unsigned i = 0; i < s->n_server; i++) {
		would += p[i].relays == RELAYS_YES;
		for (unsigned k = 0; k < p[i].n; k++)
			emit(arena_printf(a, "%s%.*s%s%.*s", k == 0 ? "upstream " : "  ",
				 k == 0 ? (int)p[i].sv->name.n : 0, p[i].sv->name.p,
				 k == 0 ? " " : "", (int)p[i].line[k].n, p[i].line[k].p),
			    arg);
	}
	arena_free(a);
	return would;
}
