/*
 * milter_wire -- the milter protocol, versions 2 to 6, between octets and values.  Pure: no socket, no clock.
 *
 * Source: libmilter's mfdef.h and mfapi.h (Debian's libmilter-dev 8.17), Sendmail's libmilter documents, and what real
 * milters were seen to send.  A packet is a length of four octets, big-endian, of what follows; a command octet; data.
 * What comes from a milter is a stranger's: nothing is read past the packet, and what an answer says is checked here,
 * so that no answer can hold a stray CR, LF or NUL, a code that is no refusal, or a length beyond its ceiling.
 */
#ifndef FILTERS_MILTER_WIRE_H
#define FILTERS_MILTER_WIRE_H

#include "proxy/base/buf.h"

/* What an MTA says.  name, octet */
#define MILTER_COMMANDS(X) \
	X(OPTNEG, 'O') X(MACRO, 'D') X(CONNECT, 'C') X(HELO, 'H') X(MAIL, 'M') X(RCPT, 'R') X(DATA, 'T') \
	X(HEADER, 'L') X(EOH, 'N') X(BODY, 'B') X(EOM, 'E') X(UNKNOWN, 'U') X(ABORT, 'A') X(QUIT, 'Q') X(QUIT_NC, 'K')

enum milter_command {
#define X(name, octet) MILTER_CMD_##name,
	MILTER_COMMANDS(X)
#undef X
	MILTER_CMD_MAX
};

const char *milter_command_name(enum milter_command c); /* "MAIL", static */
char milter_command_octet(enum milter_command c);
enum milter_command milter_command_of(char octet);      /* MILTER_CMD_MAX: none */

/* What a milter answers.  name, octet, final: nothing more comes to that event; edit: at the end of a message alone */
#define MILTER_ANSWERS(X) \
	X(CONTINUE,   'c', true,  false) X(ACCEPT,      'a', true,  false) X(REJECT,     'r', true,  false) \
	X(TEMPFAIL,   't', true,  false) X(DISCARD,     'd', true,  false) X(REPLYCODE,  'y', true,  false) \
	X(SKIP,       's', true,  false) X(CONN_FAIL,   'f', true,  false) X(SHUTDOWN,   '4', true,  false) \
	X(PROGRESS,   'p', false, false) X(ADD_RCPT,    '+', false, true)  X(ADD_RCPT_PAR, '2', false, true) \
	X(DELETE_RCPT, '-', false, true) X(CHANGE_FROM, 'e', false, true)  X(ADD_HEADER, 'h', false, true) \
	X(INSERT_HEADER, 'i', false, true) X(CHANGE_HEADER, 'm', false, true) X(REPLACE_BODY, 'b', false, true) \
	X(QUARANTINE, 'q', false, true)

enum milter_answer_kind {
#define X(name, octet, final, edit) MILTER_ANS_##name,
	MILTER_ANSWERS(X)
#undef X
	MILTER_ANS_MAX
};

const char *milter_answer_name(enum milter_answer_kind k);      /* "REPLYCODE", static */
char milter_answer_octet(enum milter_answer_kind k);
enum milter_answer_kind milter_answer_of(char octet);           /* MILTER_ANS_MAX: none */
bool milter_answer_final(enum milter_answer_kind k);
bool milter_answer_edits(enum milter_answer_kind k);

/* Protocol bits of a negotiation: mfdef.h's SMFIP_*. */
enum {
	MILTER_NO_CONNECT = 0x1, MILTER_NO_HELO = 0x2, MILTER_NO_MAIL = 0x4, MILTER_NO_RCPT = 0x8,
	MILTER_NO_BODY = 0x10, MILTER_NO_HEADERS = 0x20, MILTER_NO_EOH = 0x40, MILTER_NR_HEADER = 0x80,
	MILTER_NO_UNKNOWN = 0x100, MILTER_NO_DATA = 0x200, MILTER_SKIP = 0x400, MILTER_RCPT_REJ = 0x800,
	MILTER_NR_CONNECT = 0x1000, MILTER_NR_HELO = 0x2000, MILTER_NR_MAIL = 0x4000, MILTER_NR_RCPT = 0x8000,
	MILTER_NR_DATA = 0x10000, MILTER_NR_UNKNOWN = 0x20000, MILTER_NR_EOH = 0x40000, MILTER_NR_BODY = 0x80000,
	MILTER_LEADING_SPACE = 0x100000, MILTER_MDS_256K = 0x10000000, MILTER_MDS_1M = 0x20000000
};

/* Actions: mfapi.h's SMFIF_*. */
enum {
	MILTER_ADD_HEADERS = 0x1, MILTER_CHANGE_BODY = 0x2, MILTER_ADD_RCPTS = 0x4, MILTER_DELETE_RCPTS = 0x8,
	MILTER_CHANGE_HEADERS = 0x10, MILTER_MAY_QUARANTINE = 0x20, MILTER_MAY_CHANGE_FROM = 0x40,
	MILTER_ADD_RCPTS_PAR = 0x80, MILTER_SET_SYMLIST = 0x100
};

/* Places of SETSYMLIST, and of macros: mfapi.h's SMFIM_*.  EOH stands behind EOM there, too. */
enum milter_place { MILTER_AT_CONNECT, MILTER_AT_HELO, MILTER_AT_MAIL, MILTER_AT_RCPT, MILTER_AT_DATA,
	MILTER_AT_EOM, MILTER_AT_EOH, MILTER_PLACES };

#define MILTER_VERSION_MIN 2
#define MILTER_VERSION_MAX 6
#define MILTER_CHUNK       65535        /* octets of a body chunk where nothing else was negotiated */
#define MILTER_PACKET_MAX  (1024 * 1024 + 1024) /* octets of a packet behind its length, in both directions */

size_t milter_chunk(uint32_t protocol);         /* octets of a body chunk, and of any packet's data, by what was agreed */
#define MILTER_TEXT_MAX    980          /* octets of one line of a reply's text, and of a reason (libmilter's ceiling) */
#define MILTER_LINES_MAX   32           /* lines of a reply (libmilter's ceiling) */
#define MILTER_ADDRESS_MAX 1000         /* octets of an address or its parameters in an answer */

/* A negotiation: ours, and what came back. */
struct milter_offer {
	uint32_t    version, actions, protocol;
	struct strv macros[MILTER_PLACES];      /* of SETSYMLIST: names between blanks; absent: the default */
};

/* One thing that is told.  What is not of its command is not looked at. */
struct milter_event {
	enum milter_command cmd;
	struct strv         text;       /* CONNECT: name or "[192.0.2.1]"; HELO; MAIL, RCPT: the address with < >;
	                                 * HEADER: name; UNKNOWN: the line; BODY: a chunk (also with EOM) */
	struct strv         value;      /* HEADER: value, lines divided by LF; CONNECT: address or path */
	char                family;     /* CONNECT: 'U' unknown, 'L' unix, '4', '6' */
	uint16_t            port;       /* CONNECT */
	const struct strv  *arg;        /* MAIL, RCPT: ESMTP arguments, "SIZE=100" */
	unsigned            n_arg;
};

struct milter_macro {
	struct strv name, value;        /* name with its { } if it is longer than a letter */
};

/* One answer.  Texts are views into the packet, or into the scratch that was given. */
struct milter_answer {
	enum milter_answer_kind kind;
	uint16_t    code;               /* REPLYCODE: 400..599 */
	char        enh[10];            /* REPLYCODE: "5.7.1", of the code's class; "": none */
	struct strv text;               /* REPLYCODE: lines divided by LF, % undoubled; QUARANTINE: the reason */
	struct strv name, value;        /* of a header: value with LF only before a blank */
	uint32_t    at;                 /* INSERT_HEADER from 0, CHANGE_HEADER from 1 (0 is told as 1) */
	struct strv address, params;    /* with < > as it came; params absent: none */
	struct strv body;               /* REPLACE_BODY: octets, as they came */
};

/* --- to a milter: appended to out, length in front.  False: it does not fit MILTER_PACKET_MAX; nothing is added. --- */

bool milter_pack_offer(struct buf *out, const struct milter_offer *o);
bool milter_pack_macros(struct buf *out, enum milter_command of, const struct milter_macro *m, unsigned n);
bool milter_pack(struct buf *out, const struct milter_event *e);
/* The head of BODY or EOM alone, for who sends e->text behind it without a copy. */
bool milter_pack_chunk(struct buf *out, const struct milter_event *e);

/* --- from a milter --- */

enum milter_frame { MILTER_FRAME_OK, MILTER_FRAME_MORE, MILTER_FRAME_BAD };

/*
 * The first packet of in: command octet and data, without the length.  MORE: it is not there whole, *need octets are
 * in all.  BAD: a length of 0 or beyond max, *why says so (static).
 */
enum milter_frame milter_frame(struct strv in, size_t max, struct strv *packet, size_t *need, const char **why);
/*
 * False with *why (static): this is no answer to our offer, and out->version is 0; or it asks for more than ours, and
 * out holds what.  A milter of versions 2 to 5 gets NO_UNKNOWN and NO_DATA as it knows no better; bits of a later
 * version are taken off.  Views into the packet.
 */
bool milter_unpack_offer(struct strv packet, const struct milter_offer *ours, struct milter_offer *out,
    const char **why);
/*
 * One answer.  scratch: room for a text that must be changed, at least as large as the packet; it may be the packet.
 * False with *why (static): it is no answer, or says what none may say.
 */
bool milter_unpack(struct strv packet, char *scratch, struct milter_answer *out, const char **why);
/* Is that a legal answer to that command?  (Edits to EOM alone, PROGRESS to all; DISCARD not to CONNECT, HELO, ...) */
bool milter_answer_legal(enum milter_answer_kind k, enum milter_command to);

/*
 * The other side, for tests and a milter that is played: a packet of the MTA; and an answer, packed.
 * MACRO: text is the octet of its command, arg name and value by turns.  OPTNEG: text is the twelve octets.
 */
bool milter_unpack_event(struct strv packet, struct milter_event *out, struct strv *arg, unsigned max_arg,
    const char **why);
bool milter_pack_answer(struct buf *out, const struct milter_answer *a);

/* Pieces of a packet, for milter_unpack.c and milter_pack.c: false, it is not there whole; *v moves on. */
bool milter_take32(struct strv *v, uint32_t *out);
bool milter_take_z(struct strv *v, struct strv *out);

#endif
