/*
 * xclient -- telling a Postfix who the client is.  postfix.org/XCLIENT_README.
 *
 * After ADDR= the server judges the new address' right to say XCLIENT, and a command without LOGIN, PROTO
 * or HELO takes these back: so ADDR, PROTO, LOGIN and HELO stand in the last command, the rest in the one
 * before it where both do not fit one line.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/sessionlog.h"

#define XCLIENT_VALUE 255

/* What cannot be said in the room that the server has for it is not known to it. */
void
xclient_attribute(struct buf *out, const char *name, struct strv value)
{
	struct buf v;

	buf_init(&v, 4 * XCLIENT_VALUE);
	if (value.p != NULL)
		xtext_print(&v, value);
	if (v.n == 0 || v.n > XCLIENT_VALUE || v.full)
		buf_printf(out, " %s=[UNAVAILABLE]", name);
	else
		buf_printf(out, " %s=%.*s", name, (int)v.n, v.p);
	buf_fini(&v);
}

static void
attribute(struct buf *out, uint32_t known, uint32_t which, const char *name, struct strv value)
{
	if (known & which)
		xclient_attribute(out, name, value);
}

struct strv
xclient_address(const struct addr *a, char text[XCLIENT_ADDRESS])
{
	char        plain[ADDR_TEXT];
	struct strv ip = addr_print(a, plain);
	size_t      at = 0;

	if (a->family != ADDR_IP4 && a->family != ADDR_IP6)
		return (struct strv){ NULL, 0 };
	if (a->family == ADDR_IP6) {
		memcpy(text, "IPV6:", 5);
		at = 5;
	}
	memcpy(text + at, ip.p, ip.n);
	return strv(text, at + ip.n);
}

static struct strv
port(uint16_t n, struct buf *b)
{
	buf_clear(b);
	buf_add_number(b, n);
	return buf_view(b);
}

/* What may stand in an earlier command. */
static void
print_first(struct buf *out, const struct client *c, uint32_t known)
{
	char       text[XCLIENT_ADDRESS];
	struct buf n;

	buf_init(&n, 16);
	attribute(out, known, XCLIENT_NAME, "NAME", (struct strv){ NULL, 0 });
	attribute(out, known, XCLIENT_REVERSE_NAME, "REVERSE_NAME", (struct strv){ NULL, 0 });
	attribute(out, known, XCLIENT_PORT, "PORT", port(c->addr.port, &n));
	attribute(out, known, XCLIENT_DESTADDR, "DESTADDR", xclient_address(&c->local.addr, text));
	attribute(out, known, XCLIENT_DESTPORT, "DESTPORT", port(c->local.port, &n));
	buf_fini(&n);
}

static void
print_last(struct buf *out, const struct client *c, uint32_t known, struct strv user)
{
	char text[XCLIENT_ADDRESS];

	attribute(out, known, XCLIENT_ADDR, "ADDR", xclient_address(&c->addr.addr, text));
	attribute(out, known, XCLIENT_PROTO, "PROTO", c->esmtp ? SV("ESMTP") : SV("SMTP"));
	attribute(out, known, XCLIENT_LOGIN, "LOGIN", user);
	attribute(out, known, XCLIENT_HELO, "HELO", c->helo);
}

void
xclient_print(struct buf *out, const struct client *c, uint32_t known, struct strv user)
{
	struct buf first, last;

	buf_init(&first, 4096);
	buf_init(&last, 4096);
	print_first(&first, c, known);
	print_last(&last, c, known, user);
	buf_add(out, SV("XCLIENT"));
	buf_add(out, buf_view(&first));
	if (first.n > 0 && last.n > 0 && 7 + first.n + last.n > XCLIENT_LINE)
		buf_add(out, SV("\r\nXCLIENT"));
	buf_add(out, buf_view(&last));
	buf_add(out, SV("\r\n"));
	buf_fini(&first);
	buf_fini(&last);
}

/* Each line and its 220. */
static enum up_rc
say_lines(struct upstream *up, struct strv lines, struct reply *r)
{
	enum up_rc rc = UP_OK;

	while (rc == UP_OK && lines.n > 0) {
		size_t n = strv_chr(lines, '\n') + 1;

		rc = upstream_ask(up, strv_first(lines, n), r);
		lines = strv_from(lines, n);
	}
	return rc;
}

enum up_rc
xclient_say(struct session *s, struct upstream *up, struct reply *unwelcome)
{
	struct buf   lines;
	struct reply r = { 0 };
	enum up_rc   rc;

	if (!(up->ehlo.xclient & XCLIENT_ADDR)) {
		session_log_event_of(s, "xclient-not-offered", up->sv->conf->name,
		    "the server offers no XCLIENT ADDR to us");
		return UP_REFUSED;
	}
	up->named = true;
	buf_init(&lines, 4096);
	xclient_print(&lines, &s->client, up->ehlo.xclient, s->client.auth_user);
	rc = say_lines(up, buf_view(&lines), &r);
	buf_fini(&lines);
	if (rc == UP_REFUSED)
		session_log_event_of(
		    s, "xclient-refused", up->sv->conf->name, arena_z(hop_arena(s), r.text));
	if (rc == UP_OK) {
		rc = upstream_ehlo(up, s->client.helo, &r);
		if (rc == UP_REFUSED)
			*unwelcome = r;
	}
	up->heard = false;
	if (rc == UP_OK)
		pool_learn(up);
	return rc;
}
