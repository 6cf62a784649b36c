/*
 * milter_told -- what a packet of an MTA says, as a line of the journal, and whether it may say that now.
 *
 * The protocol is written down here once more, from libmilter's mfdef.h and engine.c, so that the code under test is not
 * its own witness.  It is stricter than libmilter, which forgives a MAIL without an ABORT before.
 */
#include "tests/sim/milter_own.h"

#define SHOWN 600 /* octets of a text in the journal */

enum { SMFIP_SKIP = 0x400, SMFIP_MDS_256K = 0x10000000, SMFIP_MDS_1M = 0x20000000 };

static const struct command {
	char         letter;
	const char  *verb;
	uint32_t     no, nr; /* bits of the negotiation: not to be sent; no answer comes */
	bool         answer; /* comes, but for nr */
	enum told_at at;     /* of a message: where that is; 0: not of a message */
	bool         must;   /* no later one of the message may come without it */
	bool         again;  /* it may be repeated */
	unsigned     version;
} commands[] = {
	{ 'O', "OFFER", 0, 0, true, 0, false, false, 2 },
	{ 'D', "MACROS", 0, 0, false, 0, false, false, 2 },
	{ 'C', "CONNECT", 0x1, 0x1000, true, 0, false, false, 2 },
	{ 'H', "HELO", 0x2, 0x2000, true, 0, false, false, 2 },
	{ 'M', "MAIL", 0x4, 0x4000, true, TOLD_MAILED, true, false, 2 },
	{ 'R', "RCPT", 0x8, 0x8000, true, TOLD_RCPTS, true, true, 2 },
	{ 'T', "DATA", 0x200, 0x10000, true, TOLD_TEXT, true, false, 4 },
	{ 'L', "HEADER", 0x20, 0x80, true, TOLD_FIELDS, false, true, 2 },
	{ 'N', "EOH", 0x40, 0x40000, true, TOLD_FIELDS_END, true, false, 2 },
	{ 'B', "BODY", 0x10, 0x80000, true, TOLD_CHUNKS, false, true, 2 },
	{ 'E', "EOM", 0, 0, true, TOLD_END, true, false, 2 },
	{ 'U', "UNKNOWN", 0x100, 0x20000, true, 0, false, false, 3 },
	{ 'A', "ABORT", 0, 0, false, 0, false, false, 2 },
	{ 'Q', "QUIT", 0, 0, false, 0, false, false, 2 },
	{ 'K', "QUIT_NC", 0, 0, false, 0, false, false, 6 },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *
find(char letter)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		if (commands[i].letter == letter)
			return &commands[i];
	return NULL;
}

/* ---- what it says ---- */

static void
show(struct buf *out, struct strv v)
{
	for (size_t i = 0; i < v.n && i < SHOWN; i++) {
		unsigned char c = (unsigned char)v.p[i];

		if (c == '\r' || c == '\n')
			buf_printf(out, "\\%c", c == '\r' ? 'r' : 'n');
		else if (c < 0x20 || c > 0x7e || c == '\\')
			buf_printf(out, "\\x%02x", c);
		else
			buf_addc(out, (char)c);
	}
	if (v.n > SHOWN)
		buf_add(out, SV("..."));
}

/* A string with its NUL; without one it is a fault, and all that is left. */
static struct strv
string(struct milter_conn *c, struct strv *v)
{
	size_t      n = strv_chr(*v, '\0');
	struct strv out = strv_first(*v, n);

	if (n == v->n)
		milter_fault(c, "a string without its NUL");
	*v = strv_from(*v, n == v->n ? n : n + 1);
	return out;
}

static uint32_t
number(struct strv *v, unsigned octets)
{
	uint32_t n = 0;

	for (; octets > 0 && v->n > 0; octets--) {
		n = n << 8 | (unsigned char)v->p[0];
		*v = strv_from(*v, 1);
	}
	return n;
}

static void
offer(struct milter_conn *c, struct strv v)
{
	uint32_t version = number(&v, 4), actions = number(&v, 4), protocol = number(&v, 4);

	if (v.n > 0 || version < 2 || version > 6)
		milter_fault(c, "an offer that is none");
	buf_printf(&c->line, " version=%u actions=0x%x protocol=0x%x", version, actions, protocol);
}

static void
macros(struct milter_conn *c, struct strv v)
{
	const struct command *of = v.n > 0 ? find(v.p[0]) : NULL;

	if (of == NULL) {
		milter_fault(c, "macros of no command");
		return;
	}
	buf_printf(&c->line, " %s", of->verb);
	v = strv_from(v, 1);
	while (v.n > 0) {
		struct strv name = string(c, &v);

		if (name.n == 0 || (name.n > 1 && name.p[0] != '{'))
			milter_fault(c, "a macro of no name");
		buf_addc(&c->line, ' ');
		show(&c->line, name);
		buf_addc(&c->line, '=');
		if (v.n == 0)
			milter_fault(c, "a macro without its value");
		else
			show(&c->line, string(c, &v));
	}
}

static void
connected(struct milter_conn *c, struct strv v)
{
	char family;

	buf_addc(&c->line, ' ');
	show(&c->line, string(c, &v));
	family = v.n > 0 ? v.p[0] : '?';
	if (strchr("UL46", family) == NULL) {
		milter_fault(c, "a client of no family");
		return;
	}
	v = strv_from(v, 1);
	buf_printf(&c->line, " %c", family);
	if (family == 'U')
		return;
	buf_printf(&c->line, " %u ", number(&v, 2));
	show(&c->line, string(c, &v));
	if (v.n > 0)
		milter_fault(c, "more behind a client's address");
}

static void
strings(struct milter_conn *c, struct strv v)
{
	do {
		buf_addc(&c->line, ' ');
		show(&c->line, string(c, &v));
	} while (v.n > 0);
}

/* An MTA divides lines by LF alone, and each but the first begins with a blank. */
static void
header(struct milter_conn *c, struct strv v)
{
	struct strv name = string(c, &v), value = string(c, &v);

	if (v.n > 0 || name.n == 0)
		milter_fault(c, "a header that is none");
	if (memchr(value.p, '\r', value.n) != NULL)
		milter_fault(c, "a CR in a header");
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] == '\n' &&
		    (i + 1 == value.n || (value.p[i + 1] != ' ' && value.p[i + 1] != '\t')))
			milter_fault(c, "a bare LF in a header");
	buf_addc(&c->line, ' ');
	show(&c->line, name);
	buf_add(&c->line, SV(": "));
	show(&c->line, value);
}

static void
chunk(struct milter_conn *c, struct strv v)
{
	buf_printf(&c->line, " %zu ", v.n);
	show(&c->line, v);
}

struct strv
milter_read(struct milter_conn *c, struct strv packet)
{
	const struct command *k = find(packet.p[0]);
	struct strv           v = strv_from(packet, 1);
	size_t                most = c->protocol & SMFIP_MDS_1M ? 1048575 :
			   c->protocol & SMFIP_MDS_256K         ? 262143 :
								  65535;

	if (v.n > most)
		milter_fault(c, "a packet larger than was agreed");
	if (k == NULL) {
		buf_printf(&c->line, "NONSENSE %02x", (unsigned char)packet.p[0]);
		milter_fault(c, "a command that there is not");
		return SV("NONSENSE");
	}
	buf_add(&c->line, strv_z(k->verb));
	if (k->letter == 'O')
		offer(c, v);
	else if (k->letter == 'D')
		macros(c, v);
	else if (k->letter == 'C')
		connected(c, v);
	else if (strchr("HMRU", k->letter) != NULL)
		strings(c, v);
	else if (k->letter == 'L')
		header(c, v);
	else if (k->letter == 'B' || (k->letter == 'E' && v.n > 0))
		chunk(c, v);
	else if (v.n > 0)
		milter_fault(c, "octets behind a command that has none");
	return strv_z(k->verb);
}

/* ---- whether it may ---- */

/* Everything of the message that must stand before it was told, unless we did not want it. */
static bool
in_order(const struct milter_conn *c, const struct command *k)
{
	for (unsigned i = 0; i < COMMANDS; i++)
		if (commands[i].must && commands[i].at > c->at && commands[i].at < k->at &&
		    !(c->protocol & commands[i].no) && commands[i].version <= c->version)
			return false;
	return k->again ? k->at >= c->at : k->at > c->at;
}

static void
of_message(struct milter_conn *c, const struct command *k)
{
	if (k->letter == 'M')
		c->enough = c->skips = false;
	if (c->enough)
		milter_fault(c, "more of a message that it has finished with");
	if (!in_order(c, k))
		milter_fault(c, "a command out of order");
	if (k->letter == 'B' && c->skips)
		milter_fault(c, "a chunk behind SKIP");
	c->at = k->at;
}

static void
of_session(struct milter_conn *c, const struct command *k)
{
	switch (k->letter) {
	case 'C':
		if (c->at != TOLD_AGREED)
			milter_fault(c, "CONNECT twice");
		c->at = TOLD_SESSION;
		break;
	case 'H':
		if (c->at > TOLD_SESSION)
			milter_fault(c, "HELO inside a message");
		if (c->at < TOLD_SESSION && !(c->protocol & 0x1))
			milter_fault(c, "HELO before CONNECT");
		c->at = TOLD_SESSION;
		break;
	case 'A':
		c->at = c->at > TOLD_SESSION ? TOLD_SESSION : c->at;
		c->enough = c->skips = false;
		break;
	case 'K':
		c->at = TOLD_AGREED;
		c->enough = c->enough_ever = false;
		break;
	default:
		break;
	}
}

void
milter_order(struct milter_conn *c, char letter)
{
	const struct command *k = find(letter);

	if (c->quit)
		milter_fault(c, "something behind QUIT");
	if (k == NULL || letter == 'D')
		return;
	if ((c->at == TOLD_NEW) != (letter == 'O'))
		milter_fault(c, "no negotiation at the beginning, or another one");
	c->command = letter;
	c->answered = false;
	if (letter == 'O') {
		c->at = TOLD_AGREED;
		return;
	}
	if (c->protocol & k->no)
		milter_fault(c, "what it did not want to hear");
	if (k->version > c->version)
		milter_fault(c, "what this version has not");
	if (c->enough_ever && strchr("QKA", letter) == NULL)
		milter_fault(c, "more of a session that it has finished with");
	if (k->at > 0)
		of_message(c, k);
	else
		of_session(c, k);
}

bool
milter_wants(const struct milter_conn *c)
{
	const struct command *k = find(c->command);

	return k != NULL && k->answer && !(c->protocol & k->nr) && !c->answered;
}

/* What ends more than the one callback, by the command. */
static void
ends_more(struct milter_conn *c, char letter)
{
	switch (c->command) {
	case 'C':
	case 'H':
		c->enough_ever |= strchr("arty4f", letter) != NULL;
		break;
	case 'R':
		c->enough |= strchr("ad", letter) != NULL;
		break;
	case 'M':
	case 'T':
	case 'L':
	case 'N':
	case 'B':
		c->enough |= strchr("artdy", letter) != NULL;
		c->skips |= letter == 's' && c->command == 'B';
		break;
	case 'E':
		c->at = TOLD_SESSION;
		c->enough = c->skips = false;
		break;
	default:
		break;
	}
}

void
milter_answered(struct milter_conn *c, char letter)
{
	if (c->command != 'O' && strchr("cartdys4f", letter) == NULL)
		return;
	/* What was not asked for is nobody's to obey. */
	if (!milter_wants(c)) {
		c->odd = true;
		return;
	}
	c->answered = true;
	if (c->command != 'O')
		ends_more(c, letter);
}
