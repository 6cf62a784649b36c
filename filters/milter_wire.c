/*
 * milter_wire -- the tables of the milter protocol, and the pieces that its packets consist of.
 *
 * Which words there are, how they are written, and which answer is one to which command: what milter_unpack.c (what a
 * milter sends) and milter_pack.c (the other direction) both go by, and whoever has a word to show or to judge.  Not
 * for sequence (milter_talk.c).  The invariant: nothing is read beyond the packet.
 */
#include "filters/milter_wire.h"

#define BIT(k) (1u << MILTER_ANS_##k)

/* clang-format off */
static const struct { char octet; const char *name; } commands[] = {
#define X(name, octet) [MILTER_CMD_##name] = { octet, #name },
	MILTER_COMMANDS(X)
#undef X
};

static const struct { char octet; const char *name; bool final, edits; } answers[] = {
#define X(name, octet, final, edit) [MILTER_ANS_##name] = { octet, #name, final, edit },
	MILTER_ANSWERS(X)
#undef X
};
/* clang-format on */

/*
 * What libmilter's documents allow a callback to return.  SKIP: xxfi_body alone; DISCARD: not before MAIL, and
 * nothing that was unknown can be accepted or swallowed; edits: from xxfi_eom.  PROGRESS: from any, as libmilter has it.
 */
#define SESSION \
	(BIT(CONTINUE) | BIT(REJECT) | BIT(TEMPFAIL) | BIT(REPLYCODE) | BIT(CONN_FAIL) | \
	    BIT(SHUTDOWN) | BIT(PROGRESS))
#define MESSAGE (SESSION | BIT(ACCEPT) | BIT(DISCARD))
#define EDITS \
	(BIT(ADD_RCPT) | BIT(ADD_RCPT_PAR) | BIT(DELETE_RCPT) | BIT(CHANGE_FROM) | \
	    BIT(ADD_HEADER) | BIT(INSERT_HEADER) | BIT(CHANGE_HEADER) | BIT(REPLACE_BODY) | \
	    BIT(QUARANTINE))

static const uint32_t legal[MILTER_CMD_MAX] = {
	[MILTER_CMD_CONNECT] = SESSION | BIT(ACCEPT),
	[MILTER_CMD_HELO] = SESSION | BIT(ACCEPT),
	[MILTER_CMD_MAIL] = MESSAGE,
	[MILTER_CMD_RCPT] = MESSAGE,
	[MILTER_CMD_DATA] = MESSAGE,
	[MILTER_CMD_HEADER] = MESSAGE,
	[MILTER_CMD_EOH] = MESSAGE,
	[MILTER_CMD_BODY] = MESSAGE | BIT(SKIP),
	[MILTER_CMD_EOM] = MESSAGE | EDITS,
	[MILTER_CMD_UNKNOWN] = SESSION,
};

const char *
milter_command_name(enum milter_command c)
{
	return c < MILTER_CMD_MAX ? commands[c].name : "?";
}

const char *
milter_answer_name(enum milter_answer_kind k)
{
	return k < MILTER_ANS_MAX ? answers[k].name : "?";
}

char
milter_command_octet(enum milter_command c)
{
	return commands[c].octet;
}

char
milter_answer_octet(enum milter_answer_kind k)
{
	return answers[k].octet;
}

enum milter_command
milter_command_of(char octet)
{
	unsigned c = 0;

	while (c < MILTER_CMD_MAX && commands[c].octet != octet)
		c++;
	return c;
}

enum milter_answer_kind
milter_answer_of(char octet)
{
	unsigned k = 0;

	while (k < MILTER_ANS_MAX && answers[k].octet != octet)
		k++;
	return k;
}

bool
milter_answer_final(enum milter_answer_kind k)
{
	return k < MILTER_ANS_MAX && answers[k].final;
}

bool
milter_answer_edits(enum milter_answer_kind k)
{
	return k < MILTER_ANS_MAX && answers[k].edits;
}

bool
milter_answer_legal(enum milter_answer_kind k, enum milter_command to)
{
	return k < MILTER_ANS_MAX && to < MILTER_CMD_MAX && (legal[to] & 1u << k) != 0;
}

size_t
milter_chunk(uint32_t protocol)
{
	if (protocol & MILTER_MDS_1M)
		return 1024 * 1024 - 1;
	return protocol & MILTER_MDS_256K ? 256 * 1024 - 1 : MILTER_CHUNK;
}

/* --- pieces of a packet ----------------------------------------------------------------------- */

enum milter_frame
milter_frame(struct strv in, size_t max, struct strv *packet, size_t *need, const char **why)
{
	struct strv left = in;
	uint32_t    n;

	*need = 4;
	if (!milter_take32(&left, &n))
		return MILTER_FRAME_MORE;
	if (n == 0 || n > max) {
		*why = n == 0 ? "a packet without a command" : "a packet that is too long";
		return MILTER_FRAME_BAD;
	}
	*need = 4 + (size_t)n;
	if (left.n < n)
		return MILTER_FRAME_MORE;
	*packet = strv_first(left, n);
	return MILTER_FRAME_OK;
}

bool
milter_take32(struct strv *v, uint32_t *out)
{
	const uint8_t *p = (const uint8_t *)v->p;

	if (v->n < 4)
		return false;
	*out = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	*v = strv_from(*v, 4);
	return true;
}

bool
milter_take_z(struct strv *v, struct strv *out)
{
	size_t n = strv_chr(*v, '\0');

	if (n >= v->n)
		return false;
	*out = strv_first(*v, n);
	*v = strv_from(*v, n + 1);
	return true;
}
