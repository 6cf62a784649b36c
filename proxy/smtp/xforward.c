/*
 * xforward -- telling a Postfix, for its log alone, who the client is.  postfix.org/XFORWARD_README.
 *
 * The attributes hold for one transaction, so they are said before each MAIL and a connection that had them
 * serves anybody afterwards.  The first command of a transaction takes back what the one before it said.
 */
#include "proxy/smtp/hop_smtp.h"

#include "proxy/smtp/sessionlog.h"

/* After decoding the server takes no blanks, controls or octets above ASCII. */
static struct strv
visible(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~')
			return (struct strv){ NULL, 0 };
	return v;
}

/* One attribute more, on a line of its own where the last one has no room. */
static unsigned
add(struct buf *out, size_t *begin, struct strv attribute)
{
	bool first = out->n == *begin, fits = out->n - *begin + attribute.n <= XCLIENT_LINE;

	if (!first && !fits) {
		buf_add(out, SV("\r\n"));
		*begin = out->n;
	}
	if (first || !fits)
		buf_add(out, SV("XFORWARD"));
	buf_add(out, attribute);
	return first || !fits ? 1 : 0;
}

unsigned
xforward_print(struct buf *out, const struct client *c, uint32_t listed, struct strv id)
{
	char        address[XCLIENT_ADDRESS], port[STRV_NUMBER];
	struct strv absent = { NULL, 0 };
	/* clang-format off */
	const struct {
		uint32_t    which;
		const char *name;
		struct strv value;
	} all[] = {
		{ XCLIENT_NAME,    "NAME",   absent },
		{ XCLIENT_ADDR,    "ADDR",   xclient_address(&c->addr.addr, address) },
		{ XCLIENT_PORT,    "PORT",   c->addr.port > 0 ? strv_print_number(c->addr.port, port) : absent },
		{ XCLIENT_PROTO,   "PROTO",  c->esmtp ? SV("ESMTP") : SV("SMTP") },
		{ XCLIENT_HELO,    "HELO",   visible(c->helo) },
		{ XFORWARD_IDENT,  "IDENT",  id },
		{ XFORWARD_SOURCE, "SOURCE", SV("REMOTE") },
	};
	/* clang-format on */
	size_t     begin = out->n;
	unsigned   lines = 0;
	struct buf one;

	buf_init(&one, 2048);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!(listed & all[i].which))
			continue;
		buf_clear(&one);
		xclient_attribute(&one, all[i].name, all[i].value);
		lines += add(out, &begin, buf_view(&one));
	}
	buf_fini(&one);
	if (lines > 0)
		buf_add(out, SV("\r\n"));
	return lines;
}

void
xforward_queue(struct session *s)
{
	struct upstream *up = s->relay.up;
	unsigned         lines;

	if (up->sv->conf->identity != IDENTITY_XFORWARD || up->no_xforward)
		return;
	lines = xforward_print(&up->cmds, &s->client, up->ehlo.xforward, session_id(s));
	for (unsigned i = 0; i < lines; i++)
		hop_owe(up, OWED_XFORWARD, 0, NULL);
	if (lines > 0)
		return;
	up->no_xforward = true;
	session_log_event(s, "xforward-not-offered", "the server offers no XFORWARD to us");
}

/* Nothing but its log depends on it, so the mail goes on without. */
void
xforward_answered(struct session *s, const struct reply *r)
{
	struct upstream *up = s->relay.up;

	if (reply_is_ok(r) || up->no_xforward)
		return;
	up->no_xforward = true;
	up->errors++;
	session_log_event(s, "xforward-refused", arena_z(session_tx(s)->a, r->text));
}
