/*
 * milter_pack -- what an MTA sends, from values to octets; and for tests and milters that are played the other side:
 * an MTA's packets read, answers written.
 *
 * The invariant: a string on the wire ends at its NUL, so no octet of a text is one, and nothing can be said in
 * the name of the field behind it.
 */
#include "filters/milter_wire.h"

/* --- pieces ----------------------------------------------------------------------------------- */

/* A packet that is being written: where it begins, and whether the buffer was full before. */
struct packet {
	struct buf *out;
	size_t      begin;
	bool        full;
};

static struct packet
begin(struct buf *out, char octet)
{
	struct packet p = { out, out->n, out->full };

	out->full = false;
	buf_add(out, strv("\0\0\0\0", 4));
	buf_addc(out, octet);
	return p;
}

static void
put_length(const struct packet *p, size_t n)
{
	for (unsigned i = 0; i < 4; i++)
		p->out->p[p->begin + i] = (char)(n >> (24 - 8 * i));
}

/* The length in front; or as if nothing had been added. */
static bool
finish(const struct packet *p)
{
	size_t n = p->out->n - p->begin;
	bool   ok = !p->out->full && n - 4 <= MILTER_PACKET_MAX;

	p->out->full = p->full;
	if (!ok) {
		p->out->n = p->begin;
		return false;
	}
	put_length(p, n - 4);
	return true;
}

static void
add32(struct buf *out, uint32_t v)
{
	char p[4] = { (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v };

	buf_add(out, strv(p, 4));
}

static void
add_z(struct buf *out, struct strv v)
{
	while (v.n > 0) {
		size_t n = strv_chr(v, '\0');

		buf_add(out, strv_first(v, n));
		v = strv_from(v, n);
		if (v.n == 0)
			break;
		buf_addc(out, '?');
		v = strv_from(v, 1);
	}
	buf_addc(out, '\0');
}

/* --- to a milter ------------------------------------------------------------------------------ */

bool
milter_pack_offer(struct buf *out, const struct milter_offer *o)
{
	struct packet p = begin(out, milter_command_octet(MILTER_CMD_OPTNEG));

	add32(out, o->version);
	add32(out, o->actions);
	add32(out, o->protocol);
	for (uint32_t i = 0; i < MILTER_PLACES; i++) {
		if (o->macros[i].p == NULL)
			continue;
		add32(out, i);
		add_z(out, o->macros[i]);
	}
	return finish(&p);
}

bool
milter_pack_macros(
    struct buf *out, enum milter_command of, const struct milter_macro *m, unsigned n)
{
	struct packet p = begin(out, milter_command_octet(MILTER_CMD_MACRO));

	buf_addc(out, milter_command_octet(of));
	for (unsigned i = 0; i < n; i++) {
		add_z(out, m[i].name);
		add_z(out, m[i].value);
	}
	return finish(&p);
}

static void
add_connect(struct buf *out, const struct milter_event *e)
{
	add_z(out, e->text);
	buf_addc(out, e->family);
	if (e->family == 'U')
		return;
	buf_addc(out, (char)(e->port >> 8));
	buf_addc(out, (char)e->port);
	add_z(out, e->value);
}

bool
milter_pack(struct buf *out, const struct milter_event *e)
{
	struct packet p = begin(out, milter_command_octet(e->cmd));

	switch (e->cmd) {
	case MILTER_CMD_CONNECT:
		add_connect(out, e);
		break;
	case MILTER_CMD_HEADER:
		add_z(out, e->text);
		add_z(out, e->value);
		break;
	case MILTER_CMD_MAIL:
	case MILTER_CMD_RCPT:
		add_z(out, e->text);
		for (unsigned i = 0; i < e->n_arg; i++)
			add_z(out, e->arg[i]);
		break;
	case MILTER_CMD_HELO:
	case MILTER_CMD_UNKNOWN:
		add_z(out, e->text);
		break;
	case MILTER_CMD_BODY:
	case MILTER_CMD_EOM:
		buf_add(out, e->text);
		break;
	default:
		break;
	}
	return finish(&p);
}

bool
milter_pack_chunk(struct buf *out, const struct milter_event *e)
{
	struct packet p;

	if (e->text.n >= MILTER_PACKET_MAX)
		return false;
	p = begin(out, milter_command_octet(e->cmd));
	if (!finish(&p))
		return false;
	put_length(&p, 1 + e->text.n);
	return true;
}

/* --- the other side: what an MTA sent --------------------------------------------------------- */

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

static bool
take_connect(struct strv v, struct milter_event *out, const char **why)
{
	if (!milter_take_z(&v, &out->text) || v.n == 0)
		return no(why, "CONNECT is cut off");
	out->family = v.p[0];
	if (strv_chr(SV("UL46"), out->family) == 4)
		return no(why, "CONNECT of no family");
	v = strv_from(v, 1);
	if (out->family == 'U')
		return v.n == 0 || no(why, "octets behind CONNECT");
	if (v.n < 2)
		return no(why, "CONNECT is cut off");
	out->port = (uint16_t)((uint8_t)v.p[0] << 8 | (uint8_t)v.p[1]);
	v = strv_from(v, 2);
	if (!milter_take_z(&v, &out->value))
		return no(why, "CONNECT is cut off");
	return v.n == 0 || no(why, "octets behind CONNECT");
}

/* Strings to the end of the packet. */
static bool
take_args(struct strv v, struct milter_event *out, struct strv *arg, unsigned max, const char **why)
{
	out->arg = arg;
	while (v.n > 0) {
		if (out->n_arg == max)
			return no(why, "too many strings");
		if (!milter_take_z(&v, &arg[out->n_arg++]))
			return no(why, "a string without its NUL");
	}
	return true;
}

bool
milter_unpack_event(struct strv packet, struct milter_event *out, struct strv *arg,
    unsigned max_arg, const char **why)
{
	struct strv v;

	memset(out, 0, sizeof *out);
	out->cmd = packet.n > 0 ? milter_command_of(packet.p[0]) : MILTER_CMD_MAX;
	if (out->cmd == MILTER_CMD_MAX)
		return no(why, "no command that is known");
	v = strv_from(packet, 1);
	switch (out->cmd) {
	case MILTER_CMD_CONNECT:
		return take_connect(v, out, why);
	case MILTER_CMD_HEADER:
		if (!milter_take_z(&v, &out->text) || !milter_take_z(&v, &out->value))
			return no(why, "a header field without its NUL");
		return v.n == 0 || no(why, "octets behind a header field");
	case MILTER_CMD_MAIL:
	case MILTER_CMD_RCPT:
		if (!milter_take_z(&v, &out->text))
			return no(why, "an address without its NUL");
		return take_args(v, out, arg, max_arg, why);
	case MILTER_CMD_MACRO:
		if (v.n == 0)
			return no(why, "macros of no command");
		out->text = strv_first(v, 1);
		return take_args(strv_from(v, 1), out, arg, max_arg, why) &&
		    (out->n_arg % 2 == 0 || no(why, "a macro without its value"));
	case MILTER_CMD_HELO:
	case MILTER_CMD_UNKNOWN:
		if (!milter_take_z(&v, &out->text))
			return no(why, "a string without its NUL");
		return v.n == 0 || no(why, "octets behind a string");
	case MILTER_CMD_BODY:
	case MILTER_CMD_EOM:
	case MILTER_CMD_OPTNEG:
		out->text = v;
		return true;
	default:
		return v.n == 0 || no(why, "octets behind a command that has none");
	}
}

/* --- answers, as a milter writes them --------------------------------------------------------- */

static void
add_reply(struct buf *out, const struct milter_answer *a)
{
	struct strv v = a->text.p == NULL ? SV("") : a->text;

	while (v.p != NULL) {
		struct strv line = strv_cut(&v, '\n');

		buf_printf(out, "%u%c", a->code, v.p == NULL ? ' ' : '-');
		if (a->enh[0] != '\0')
			buf_printf(out, "%s%s", a->enh, line.n > 0 ? " " : "");
		for (size_t i = 0; i < line.n; i++) {
			buf_addc(out, line.p[i]);
			if (line.p[i] == '%')
				buf_addc(out, '%');
		}
		if (v.p != NULL)
			buf_add(out, SV("\r\n"));
	}
	buf_addc(out, '\0');
}

static void
add_address(struct buf *out, const struct milter_answer *a)
{
	add_z(out, a->address);
	if (a->kind != MILTER_ANS_ADD_RCPT && a->kind != MILTER_ANS_DELETE_RCPT &&
	    a->params.p != NULL)
		add_z(out, a->params);
}

bool
milter_pack_answer(struct buf *out, const struct milter_answer *a)
{
	struct packet p = begin(out, milter_answer_octet(a->kind));

	switch (a->kind) {
	case MILTER_ANS_REPLYCODE:
		add_reply(out, a);
		break;
	case MILTER_ANS_ADD_RCPT:
	case MILTER_ANS_ADD_RCPT_PAR:
	case MILTER_ANS_DELETE_RCPT:
	case MILTER_ANS_CHANGE_FROM:
		add_address(out, a);
		break;
	case MILTER_ANS_INSERT_HEADER:
	case MILTER_ANS_CHANGE_HEADER:
		add32(out, a->at);
		add_z(out, a->name);
		add_z(out, a->value);
		break;
	case MILTER_ANS_ADD_HEADER:
		add_z(out, a->name);
		add_z(out, a->value);
		break;
	case MILTER_ANS_QUARANTINE:
		add_z(out, a->text);
		break;
	case MILTER_ANS_REPLACE_BODY:
		buf_add(out, a->body);
		break;
	default:
		break;
	}
	return finish(&p);
}
