/*
 * mailer_reply -- what a well-behaved server says to a command, and does.
 *
 * Invariant: a message enters the list at the moment its reply is decided, before an octet of the
 * reply is written, as a real server commits before it answers.
 */
#include <stdlib.h>

#include "tests/sim/mailer_own.h"

/* ---- the transaction ---- */

void
mailer_message_free(struct up_message *m)
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

void
mailer_forget(struct up_conn *c)
{
	mailer_message_free(c->m);
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
	m->order = mailer_order();
	*c->up->message_end = m;
	c->up->message_end = &m->next;
	c->up->n_message++;
	sim_note(c->up->sim, c->actor.name, "= took a message of %zu octets", m->text.n);
}

/* ---- replies ---- */

static unsigned
count_replies(struct strv octets)
{
	unsigned n = 0;

	while (octets.n > 0) {
		struct strv line = strv_cut(&octets, '\n');

		n += line.n < 4 || line.p[3] != '-';
	}
	return n;
}

void
mailer_say(struct up_conn *c, struct strv octets)
{
	struct mailer *u = c->up;
	bool in_text = c->state == UP_DATA || (c->state == UP_BDAT && c->chunk != UINT64_MAX);

	/* Who is given a reply too many takes it for that of its next command: the fault is ours. */
	c->too_many |= count_replies(octets) > 1;
	if (!mailer_offered(c, "PIPELINING") && !in_text && !c->too_many &&
	    wire_unread(&c->wire).n > 0)
		mailer_fault(c, "a command ahead of a reply, without PIPELINING");
	sim_note_octets(u->sim, c->actor.name, ">", octets);
	wire_add(&c->wire, octets);
}

/* Keywords as they are told now: STARTTLS only once. */
static struct strv
keywords(const struct up_conn *c)
{
	const struct mailer *u = c->up;

	return strv_z(c->secret && u->offers_in_tls != NULL ? u->offers_in_tls : u->offers);
}

void
mailer_say_hello(struct up_conn *c)
{
	struct strv all = strv_z(c->offers), word;
	struct strv part[64];
	struct buf  b;
	unsigned    n = 0;

	buf_init(&b, 65536);
	while (n < 64 && (word = strv_word(&all)).n > 0)
		part[n++] = word;
	buf_printf(&b, "250%cup.test\r\n", n > 0 ? '-' : ' ');
	for (unsigned i = 0; i < n; i++) {
		size_t at = b.n;

		buf_printf(&b, "250%c%.*s\r\n", i + 1 < n ? '-' : ' ', (int)part[i].n, part[i].p);
		for (at += 4; at < b.n; at++)
			if (b.p[at] == '=' || b.p[at] == ',')
				b.p[at] = ' ';
	}
	mailer_say(c, buf_view(&b));
	buf_fini(&b);
}

/* NULL: the list of what is offered. */
static const char *
hello(struct up_conn *c, struct strv verb, bool refused)
{
	bool        lmtp = strv_ieq(verb, SV("LHLO"));
	struct strv all = keywords(c), word;
	struct buf  b;

	if (lmtp != c->up->lmtp) {
		mailer_fault(c, lmtp ? "LHLO to an SMTP server" : "EHLO or HELO to an LMTP server");
		return "500 5.5.1 Error: the other greeting is wanted\r\n";
	}
	if (strv_ieq(verb, SV("EHLO")) && c->up->helo_only)
		return "502 5.5.1 Error: command not implemented\r\n";
	if (refused)
		return NULL;
	mailer_forget(c);
	c->helo = true;
	free(c->offers);
	buf_init(&b, 65536);
	while (!strv_ieq(verb, SV("HELO")) && (word = strv_word(&all)).n > 0)
		if (!c->secret || !strv_ieq(word, SV("STARTTLS")))
			buf_printf(&b, "%.*s ", (int)word.n, word.p);
	c->offers = strndup(b.p == NULL ? "" : b.p, b.n);
	buf_fini(&b);
	return NULL;
}

static const char *
starttls(struct up_conn *c, bool refused)
{
	if (!mailer_offered(c, "STARTTLS"))
		mailer_fault(c, "STARTTLS, and it was not offered");
	if (c->m != NULL)
		mailer_fault(c, "STARTTLS inside a transaction");
	if (wire_unread(&c->wire).n > 0)
		mailer_fault(c, "octets behind STARTTLS");
	if (!refused) {
		c->shake_next = true;
		c->helo = false;
	}
	return "220 2.0.0 Ready to start TLS\r\n";
}

/* Is each attribute of the line in the EHLO line KEYWORD=A,B,C? postfix.org/XFORWARD_README */
static bool
all_listed(const struct up_conn *c, const char *keyword, struct strv line)
{
	struct strv all = strv_z(c->offers == NULL ? "" : c->offers), offer, word;
	char        list[300] = "", want[80];

	while ((offer = strv_word(&all)).n > 0)
		if (strv_istarts(offer, strv_z(keyword)) && offer.n < 250)
			snprintf(list, sizeof(list), "%.*s,", (int)(offer.n - strlen(keyword) - 1),
			    offer.p + strlen(keyword) + 1);
	(void)strv_word(&line);
	while ((word = strv_word(&line)).n > 0) {
		size_t n = strv_chr(word, '=');
		bool   there = false;

		for (const char *p = list; *p != '\0'; p = strchr(p, ',') + 1) {
			snprintf(want, sizeof(want), "%.*s,", (int)(n < 70 ? n : 70), word.p);
			there |= strncasecmp(p, want, n + 1) == 0;
		}
		if (n == word.n || !there)
			return false;
	}
	return true;
}

static const char *
xforward(struct up_conn *c, struct strv line)
{
	if (c->m != NULL) {
		mailer_fault(c, "XFORWARD inside a transaction");
		return "503 5.5.1 Error: MAIL transaction in progress\r\n";
	}
	if (line.n > 510)
		mailer_fault(c, "XFORWARD of more than 512 octets");
	if (!all_listed(c, "XFORWARD", line)) {
		mailer_fault(c, "XFORWARD with an attribute that was not listed");
		return "501 5.5.4 Error: bad attribute\r\n";
	}
	return "250 2.0.0 Ok\r\n";
}

static const char *
xclient(struct up_conn *c, struct strv line, bool refused)
{
	if (c->state != UP_IDLE)
		return "503 5.5.1 Error: MAIL transaction in progress\r\n";
	if (c->xclient_done)
		return "550 5.7.0 Error: insufficient authorization\r\n";
	if (line.n > 510)
		mailer_fault(c, "XCLIENT of more than 512 octets");
	if (!all_listed(c, "XCLIENT", line))
		mailer_fault(c, "XCLIENT with an attribute that was not listed");
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
		{ "* ENVID=*", "DSN" }, { "* AUTH=*", "AUTH" } };

	if (!c->helo)
		return "503 5.5.1 Error: send HELO/EHLO first\r\n";
	if (c->state != UP_IDLE)
		return "503 5.5.1 Error: nested MAIL command\r\n";
	if (c->up->auth_required && !c->auth.done)
		return "530 5.7.0 Authentication required\r\n";
	for (unsigned i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++)
		if (sim_match(strv_z(extensions[i][0]), line) &&
		    !mailer_offered(c, extensions[i][1]))
			mailer_fault(c, "MAIL with a parameter that was not offered");
	if (!refused)
		take_mail(c, line);
	c->used = true;
	return "250 2.1.0 Ok\r\n";
}

static const char *
rcpt(struct up_conn *c, struct strv line, bool refused)
{
	if (c->m == NULL)
		return "503 5.5.1 Error: need MAIL command\r\n";
	if ((sim_match(SV("* NOTIFY=*"), line) || sim_match(SV("* ORCPT=*"), line)) &&
	    !mailer_offered(c, "DSN"))
		mailer_fault(c, "RCPT with a parameter that was not offered");
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
		mailer_fault(c, "text ahead of 354");
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
	if (!mailer_offered(c, "CHUNKING"))
		mailer_fault(c, "BDAT, and CHUNKING was not offered");
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

/* RFC 2033 4.2: a reply for each recipient that was taken. */
static const char *
queued(struct up_conn *c)
{
	static const char once[] = "250 2.0.0 Ok: queued\r\n";
	size_t            at = 0;

	if (!c->up->lmtp)
		return once;
	for (unsigned i = 0; c->m != NULL && i < c->m->n_rcpt; i++)
		if (at + sizeof(once) <= sizeof(c->reply))
			at += (size_t)snprintf(c->reply + at, sizeof(once), "%s", once);
	return c->reply;
}

const char *
mailer_due(struct up_conn *c, const struct up_moment *m, bool refused)
{
	struct strv v = m->verb;

	if (m->stage == UP_GREETING)
		return c->up->lmtp ? "220 up.test LMTP\r\n" : "220 up.test ESMTP\r\n";
	if ((m->stage == UP_CHUNK || m->stage == UP_DOT) && c->chunk_said)
		return "";
	if (m->stage == UP_CHUNK)
		return c->chunk_bad ? "503 5.5.1 Error: need RCPT command\r\n" : "250 2.0.0 Ok\r\n";
	if (m->stage == UP_DOT)
		return c->chunk_bad ? "503 5.5.1 Error: need RCPT command\r\n" : queued(c);
	if (m->stage == UP_AUTH)
		return mailer_auth_line(c, m->line);
	if (strv_ieq(v, SV("EHLO")) || strv_ieq(v, SV("HELO")) || strv_ieq(v, SV("LHLO")))
		return hello(c, v, refused);
	if (strv_ieq(v, SV("STARTTLS")))
		return starttls(c, refused);
	if (strv_ieq(v, SV("AUTH")))
		return mailer_auth(c, m->line);
	if (strv_ieq(v, SV("XFORWARD")) && mailer_offered(c, "XFORWARD"))
		return xforward(c, m->line);
	if (strv_ieq(v, SV("XCLIENT")) && mailer_offered(c, "XCLIENT"))
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
		mailer_forget(c);
	else if (strv_ieq(v, SV("PROXY")))
		mailer_fault(c, "a PROXY header that nobody asked for");
	else if (strv_ieq(v, SV("QUIT"))) {
		c->closing = true;
		return "221 2.0.0 Bye\r\n";
	} else if (!strv_ieq(v, SV("NOOP")))
		return "502 5.5.2 Error: command not recognized\r\n";
	return "250 2.0.0 Ok\r\n";
}

void
mailer_end_of_message(struct up_conn *c, bool taken)
{
	if (c->m != NULL)
		mailer_event(c, "[text %zu]", c->m->text.n);
	if (taken && c->m != NULL && !c->chunk_bad && !c->chunk_said)
		commit(c);
	mailer_forget(c);
}
