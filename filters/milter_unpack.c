/*
 * milter_unpack -- what a milter sends, from octets to values: its negotiation, and its answers.
 *
 * Apart from the tables (milter_wire.c): here a stranger speaks, who is believed nothing.  Not for what an edit means
 * (milter_edits.c).  The invariants: nothing is read beyond the packet; a text that comes out of here holds no NUL and
 * no CR, an LF only between lines of a reply or before the blank of a folded field.  milter_pack.c is the other
 * direction.
 */
#include "filters/milter_wire.h"

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

static bool
has_controls(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return true;
	return false;
}

/* --- the negotiation -------------------------------------------------------------------------- */

/* What a version knows nothing of is not sent to it: UNKNOWN came with 3, DATA with 4; bits beyond mean nothing. */
static uint32_t
protocol_of_version(uint32_t version, uint32_t protocol)
{
	static const struct {
		uint32_t knows, never;
	} of[] = {
		[2] = { 0x7f, MILTER_NO_UNKNOWN | MILTER_NO_DATA },
		[3] = { 0x1ff, MILTER_NO_DATA },
		[4] = { 0x3ff, 0 },
		[5] = { 0x3ff, 0 },
		[6] = { UINT32_MAX, 0 },
	};

	return (protocol & of[version].knows) | of[version].never;
}

/* u32 place, names NUL; any number of times, the last one of a place counts. */
static bool
take_symlists(struct strv v, struct milter_offer *out, const char **why)
{
	while (v.n > 0) {
		struct strv names;
		uint32_t    place;

		if (!milter_take32(&v, &place) || !milter_take_z(&v, &names))
			return no(why, "a list of macros that is cut off");
		if (place >= MILTER_PLACES)
			return no(why, "a list of macros for no place");
		if (has_controls(names))
			return no(why, "a control character in a list of macros");
		out->macros[place] = names;
	}
	return true;
}

bool
milter_unpack_offer(
    struct strv packet, const struct milter_offer *ours, struct milter_offer *out, const char **why)
{
	struct strv v = packet;
	uint32_t    version;

	memset(out, 0, sizeof *out);
	if (v.n == 0 || v.p[0] != milter_command_octet(MILTER_CMD_OPTNEG))
		return no(why, "no answer to the negotiation");
	v = strv_from(v, 1);
	if (!milter_take32(&v, &version) || !milter_take32(&v, &out->actions) ||
	    !milter_take32(&v, &out->protocol))
		return no(why, "a negotiation that is cut off");
	if (!take_symlists(v, out, why))
		return false;
	out->version = version;
	if (version < MILTER_VERSION_MIN || version > ours->version || version > MILTER_VERSION_MAX)
		return no(why, "a version of the protocol that was not offered");
	if (out->actions & ~ours->actions)
		return no(why, "it wants actions that were not offered");
	if (out->protocol & ~ours->protocol)
		return no(why, "it wants protocol steps that were not offered");
	out->protocol = protocol_of_version(version, out->protocol);
	return true;
}

/* --- REPLYCODE: "550 5.7.1 text", "550-5.7.1 text CRLF 550 5.7.1 text" ------------------------ */

/* Octets of an enhanced code at the start of v (RFC 3463 2), a blank or the end behind it; 0: there is none. */
static size_t
enhanced(struct strv v)
{
	size_t at = 1;

	if (v.n < 5 || (v.p[0] != '2' && v.p[0] != '4' && v.p[0] != '5'))
		return 0;
	for (unsigned part = 0; part < 2; part++) {
		size_t digits = 0;

		if (at >= v.n || v.p[at++] != '.')
			return 0;
		while (digits < 4 && at + digits < v.n && ascii_is_digit(v.p[at + digits]))
			digits++;
		if (digits == 0 || digits > 3)
			return 0;
		at += digits;
	}
	return at == v.n || v.p[at] == ' ' ? at : 0;
}

/* Code and what divides it from the text; a line that is not the last has '-' there, and only such a line. */
static bool
take_code(struct strv *line, bool last, uint16_t *code, const char **why)
{
	const char *p = line->p;

	if (line->n < 3 || (p[0] != '4' && p[0] != '5') || !ascii_is_digit(p[1]) ||
	    !ascii_is_digit(p[2]))
		return no(why, "a reply whose code is not 4xx or 5xx");
	*code = (uint16_t)((p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'));
	if (line->n > 3 ? p[3] != (last ? ' ' : '-') : !last)
		return no(why, "a malformed reply of several lines");
	*line = strv_from(*line, line->n > 3 ? 4 : 3);
	return true;
}

/*
 * libmilter hands texts to the MTA's printf: a filter doubles each %.  Those that do not go by libmilter send single
 * ones, which are left; half of one at the end of a line is neither.
 */
static bool
undouble(struct strv line, char *to, size_t *n, const char **why)
{
	size_t begin = *n;

	for (size_t i = 0; i < line.n; i++) {
		if (line.p[i] == '\r')
			return no(why, "a stray CR in a reply");
		if (line.p[i] == '%' && i + 1 == line.n)
			return no(why, "half a % at the end of a reply");
		if (line.p[i] == '%' && line.p[i + 1] == '%')
			i++;
		to[(*n)++] = line.p[i];
	}
	return *n - begin <= MILTER_TEXT_MAX || no(why, "a line of a reply that is too long");
}

static struct strv
next_line(struct strv *v)
{
	struct strv line = strv_cut(v, '\n');

	if (v->p != NULL && line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* to may be what v is a view of: each line loses three octets before one is written. */
static bool
unpack_reply(struct strv v, char *to, struct milter_answer *out, const char **why)
{
	size_t n = 0;

	/* Without the NUL it says the same. */
	if (v.n > 0 && v.p[v.n - 1] == '\0')
		v.n--;
	if (v.n == 0)
		return no(why, "an empty reply");
	if (strv_chr(v, '\0') < v.n)
		return no(why, "a NUL in a reply");
	for (unsigned lines = 0; v.p != NULL; lines++) {
		struct strv line = next_line(&v);
		uint16_t    code;
		size_t      enh;

		if (lines == MILTER_LINES_MAX)
			return no(why, "a reply of too many lines");
		if (!take_code(&line, v.p == NULL, &code, why))
			return false;
		if (lines > 0 && code != out->code)
			return no(why, "a reply of two codes");
		enh = enhanced(line);
		/* Of another class than the code it is passed over, RFC 2034 4. */
		if (lines == 0 && enh > 0 && line.p[0] - '0' == code / 100)
			memcpy(out->enh, line.p, enh);
		out->code = code;
		line = strv_from(line, enh);
		while (line.n > 0 && line.p[0] == ' ')
			line = strv_from(line, 1);
		if (lines > 0)
			to[n++] = '\n';
		if (!undouble(line, to, &n, why))
			return false;
	}
	out->text = strv(to, n);
	return true;
}

/* --- header fields ---------------------------------------------------------------------------- */

/* RFC 5322 3.6.8 */
static bool
name_good(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] <= ' ' || v.p[i] >= 0x7f || v.p[i] == ':')
			return false;
	return v.n > 0;
}

/* Postfix, too, takes a line end behind a value for the field's own. */
static struct strv
without_end(struct strv v)
{
	if (v.n > 0 && v.p[v.n - 1] == '\n')
		v.n -= v.n > 1 && v.p[v.n - 2] == '\r' ? 2 : 1;
	return v;
}

/* CRLF and LF divide lines, and a blank must follow: else it would be the start of another field. */
static bool
unfold(struct strv v, char *to, struct strv *out, const char **why)
{
	size_t n = 0;

	v = without_end(v);
	*out = v;
	if (strv_chr(v, '\n') == v.n && strv_chr(v, '\r') == v.n)
		return true;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] == '\r' && (i + 1 == v.n || v.p[i + 1] != '\n'))
			return no(why, "a stray CR in a header field");
		if (v.p[i] == '\r')
			continue;
		if (v.p[i] == '\n' && (i + 1 == v.n || (v.p[i + 1] != ' ' && v.p[i + 1] != '\t')))
			return no(why, "a stray LF in a header field");
		to[n++] = v.p[i];
	}
	*out = strv(to, n);
	return true;
}

/* ADD: name, value; INSERT, CHANGE: a number in front. */
static bool
unpack_header(
    struct strv v, struct strv packet, char *scratch, struct milter_answer *out, const char **why)
{
	struct strv value;

	if (out->kind != MILTER_ANS_ADD_HEADER && !milter_take32(&v, &out->at))
		return no(why, "a header field without its place");
	/* libmilter takes an int and refuses what is below 0. */
	if (out->at > INT32_MAX)
		return no(why, "a header field whose place is below 0");
	if (!milter_take_z(&v, &out->name) || !milter_take_z(&v, &value))
		return no(why, "a header field without its NUL");
	if (v.n > 0)
		return no(why, "octets behind a header field");
	if (!name_good(out->name))
		return no(why, "a malformed name of a header field");
	if (out->kind == MILTER_ANS_CHANGE_HEADER && out->at == 0)
		out->at = 1;
	if (!unfold(value, scratch + (value.p - packet.p), &out->value, why))
		return false;
	/* A line end alone is no empty value: that would delete the field. */
	if (out->kind == MILTER_ANS_CHANGE_HEADER && value.n > 0 && out->value.n == 0)
		out->value = SV(" ");
	return true;
}

/* --- the envelope and the rest ---------------------------------------------------------------- */

static bool
unpack_address(struct strv v, struct milter_answer *out, const char **why)
{
	bool params = out->kind == MILTER_ANS_ADD_RCPT_PAR || out->kind == MILTER_ANS_CHANGE_FROM;

	if (!milter_take_z(&v, &out->address))
		return no(why, "an address without its NUL");
	if (params && v.n > 0 && !milter_take_z(&v, &out->params))
		return no(why, "parameters without their NUL");
	if (v.n > 0)
		return no(why, "octets behind an address");
	if (out->address.n == 0)
		return no(why, "an empty address");
	if (out->address.n > MILTER_ADDRESS_MAX || out->params.n > MILTER_ADDRESS_MAX)
		return no(why, "an address that is too long");
	if (has_controls(out->address) || has_controls(out->params))
		return no(why, "a control character in an address");
	if (out->params.n == 0)
		out->params = (struct strv){ 0 };
	return true;
}

static bool
unpack_reason(struct strv v, struct milter_answer *out, const char **why)
{
	if (!milter_take_z(&v, &out->text))
		return no(why, "a reason without its NUL");
	if (v.n > 0)
		return no(why, "octets behind a reason");
	if (out->text.n > MILTER_TEXT_MAX)
		return no(why, "a reason that is too long");
	return !has_controls(out->text) || no(why, "a control character in a reason");
}

bool
milter_unpack(struct strv packet, char *scratch, struct milter_answer *out, const char **why)
{
	struct strv v;

	memset(out, 0, sizeof *out);
	out->kind = packet.n > 0 ? milter_answer_of(packet.p[0]) : MILTER_ANS_MAX;
	if (out->kind == MILTER_ANS_MAX)
		return no(why, "no answer that is known");
	v = strv_from(packet, 1);
	switch (out->kind) {
	case MILTER_ANS_REPLYCODE:
		return unpack_reply(v, scratch, out, why);
	case MILTER_ANS_ADD_RCPT:
	case MILTER_ANS_ADD_RCPT_PAR:
	case MILTER_ANS_DELETE_RCPT:
	case MILTER_ANS_CHANGE_FROM:
		return unpack_address(v, out, why);
	case MILTER_ANS_ADD_HEADER:
	case MILTER_ANS_INSERT_HEADER:
	case MILTER_ANS_CHANGE_HEADER:
		return unpack_header(v, packet, scratch, out, why);
	case MILTER_ANS_QUARANTINE:
		return unpack_reason(v, out, why);
	case MILTER_ANS_REPLACE_BODY:
		out->body = v;
		return true;
	default:
		return v.n == 0 || no(why, "octets behind an answer that has none");
	}
}
