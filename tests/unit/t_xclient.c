/*
 * xclient and xforward: the command lines.  Postfix's XCLIENT_README: what a later command lacks is taken back, and
 * after ADDR no other command is allowed, so ADDR PROTO LOGIN HELO stand in the last one.
 */
#include "proxy/smtp/hop_smtp.h"
#include "tests/unit/t.h"

#define POSTFIX 511u /* all nine attributes */

static struct client
client(const char *ip, const char *helo, bool esmtp)
{
	struct client c = { .helo = strv_z(helo), .esmtp = esmtp };

	T_CHECK(addr_parse(strv_z(ip), &c.addr.addr));
	T_CHECK(addr_parse(SV("127.0.0.1"), &c.local.addr));
	c.addr.port = 4711;
	c.local.port = 25;
	return c;
}

static void
prints(void)
{
	static const struct {
		const char *ip, *helo, *user;
		bool        esmtp;
		uint32_t    known;
		const char *want;
	} rows[] = {
		{ "192.0.2.1", "me.example", NULL, true, XCLIENT_ADDR,
		    "XCLIENT ADDR=192.0.2.1\r\n" },
		{ "2001:db8::1", "me", NULL, true, XCLIENT_ADDR | XCLIENT_PROTO,
		    "XCLIENT ADDR=IPV6:2001:db8::1 PROTO=ESMTP\r\n" },
		{ "192.0.2.1", "me", NULL, false,
		    XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PROTO | XCLIENT_HELO,
		    "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PROTO=SMTP HELO=me\r\n" },
		/* xtext, RFC 3461 4 */
		{ "192.0.2.1", "a+b=c", "u@d", true, XCLIENT_ADDR | XCLIENT_LOGIN | XCLIENT_HELO,
		    "XCLIENT ADDR=192.0.2.1 LOGIN=u@d HELO=a+2Bb+3Dc\r\n" },
		{ "192.0.2.1", "me", NULL, true, POSTFIX,
		    "XCLIENT NAME=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE] PORT=4711 DESTADDR=127.0.0.1"
		    " DESTPORT=25 ADDR=192.0.2.1 PROTO=ESMTP LOGIN=[UNAVAILABLE] HELO=me\r\n" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct client c = client(rows[i].ip, rows[i].helo, rows[i].esmtp);
		struct buf    out;

		t_row = rows[i].want;
		buf_init(&out, 8192);
		xclient_print(&out, &c, rows[i].known, strv_z(rows[i].user));
		T_EQ_TEXT(buf_view(&out), rows[i].want);
		buf_fini(&out);
	}
}

static bool
holds(struct strv line, const char *word)
{
	return memmem(line.p, line.n, word, strlen(word)) != NULL;
}

/* R17: the one with ADDR is last and has LOGIN, PROTO and HELO with it; no line is beyond 512 octets. */
static void
splits_in_two(void)
{
	char helo[256], user[256];

	memset(helo, 'h', sizeof helo);
	memset(user, 'u', sizeof user);
	for (size_t n = 1; n <= 250; n++) {
		struct client c = client("2001:db8::1", "x", true);
		struct buf    out;
		struct strv   rest, line;

		c.helo = strv(helo, n);
		buf_init(&out, 8192);
		xclient_print(&out, &c, POSTFIX, strv(user, n / 2 + 1));
		rest = buf_view(&out);
		line = strv_first(rest, strv_chr(rest, '\n') + 1);
		T_CHECK(line.n <= 512);
		rest = strv_from(rest, line.n);
		if (rest.n > 0) {
			T_CHECK(!holds(line, " ADDR=") && !holds(line, "LOGIN=") &&
			    holds(line, "PORT=4711"));
			T_CHECK(strv_chr(rest, '\n') + 1 == rest.n);
			line = rest;
		}
		T_CHECK(holds(line, " ADDR=IPV6:2001:db8::1 PROTO=ESMTP LOGIN=u"));
		T_CHECK(holds(line, " HELO=h") && line.n <= 512);
		buf_fini(&out);
	}
}

/* A value that is longer than a server takes is not known to it, rather than cut. */
static void
long_values(void)
{
	char          helo[300];
	struct client c = client("192.0.2.1", "x", true);
	struct buf    out;

	memset(helo, 'h', sizeof helo);
	c.helo = strv(helo, 256);
	buf_init(&out, 8192);
	xclient_print(&out, &c, XCLIENT_ADDR | XCLIENT_HELO, (struct strv){ NULL, 0 });
	T_EQ_TEXT(buf_view(&out), "XCLIENT ADDR=192.0.2.1 HELO=[UNAVAILABLE]\r\n");
	buf_fini(&out);
}

/* XFORWARD_README: the attributes that the server listed, and no others. */
static void
forwards(void)
{
	static const struct {
		const char *ip, *helo, *id;
		bool        esmtp;
		uint32_t    listed;
		const char *want;
	} rows[] = {
		{ "192.0.2.1", "me.example", "abc.1", true, 0, "" },
		{ "192.0.2.1", "me.example", "abc.1", true, XCLIENT_ADDR,
		    "XFORWARD ADDR=192.0.2.1\r\n" },
		{ "2001:db8::1", "me+you", "abc.1", true,
		    XCLIENT_NAME | XCLIENT_ADDR | XCLIENT_PORT | XCLIENT_PROTO | XCLIENT_HELO |
			XFORWARD_SOURCE,
		    "XFORWARD NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::1 PORT=4711 PROTO=ESMTP"
		    " HELO=me+2Byou SOURCE=REMOTE\r\n" },
		{ "192.0.2.1", "b\xc3\xbc.example", "abc.1", false,
		    XCLIENT_PROTO | XCLIENT_HELO | XFORWARD_IDENT,
		    "XFORWARD PROTO=SMTP HELO=[UNAVAILABLE] IDENT=abc.1\r\n" },
		{ "192.0.2.1", "a b", "abc.1", true,
		    XCLIENT_HELO | XCLIENT_LOGIN | XCLIENT_DESTADDR,
		    "XFORWARD HELO=[UNAVAILABLE]\r\n" },
		{ "192.0.2.1", NULL, "abc.1", true, XCLIENT_HELO,
		    "XFORWARD HELO=[UNAVAILABLE]\r\n" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct client c = client(rows[i].ip, rows[i].helo, rows[i].esmtp);
		struct buf    out;

		t_row = rows[i].want;
		buf_init(&out, 8192);
		T_EQ_NUM(xforward_print(&out, &c, rows[i].listed, strv_z(rows[i].id)),
		    rows[i].want[0] != '\0');
		T_EQ_TEXT(buf_view(&out), rows[i].want);
		buf_fini(&out);
	}
}

/* Behind what is in the buffer; as many lines as it takes, none above 512, each attribute once and whole. */
static void
forwards_in_lines(void)
{
	char     helo[256], id[256];
	unsigned most = 0;

	memset(helo, 'h', sizeof helo);
	memset(id, 'i', sizeof id);
	for (size_t n = 1; n <= 255; n++) {
		struct client c = client("2001:db8::1", "x", true);
		struct buf    out;
		struct strv   rest;
		unsigned      lines = 0, said;

		c.helo = strv(helo, n);
		buf_init(&out, 8192);
		buf_add(&out, SV("RSET\r\n"));
		said = xforward_print(&out, &c, 2047, strv(id, n));
		for (rest = strv_from(buf_view(&out), 6); rest.n > 0; lines++) {
			size_t len = strv_chr(rest, '\n') + 1;

			T_CHECK(strv_starts(rest, SV("XFORWARD ")));
			T_CHECK(len <= 512 && rest.p[len - 2] == '\r');
			rest = strv_from(rest, len);
		}
		T_EQ_NUM(lines, said);
		most = lines > most ? lines : most;
		T_CHECK(holds(buf_view(&out), " HELO=h") && holds(buf_view(&out), " IDENT=i") &&
		    holds(buf_view(&out), " SOURCE=REMOTE\r\n"));
		T_EQ_NUM(memmem(out.p, out.n, "DESTADDR", 8) != NULL, 0);
		buf_fini(&out);
	}
	T_EQ_NUM(most, 2);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(prints);
	T_RUN(splits_in_two);
	T_RUN(long_values);
	T_RUN(forwards);
	T_RUN(forwards_in_lines);
	return t_end();
}
