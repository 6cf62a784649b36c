/*
 * message -- the text of a message as it arrives: header fields apart, the rest in a spool.
 *
 * Fed with canonical CRLF text (no bare CR, LF, NUL; dots undone) in any cut.  The header ends at the
 * empty line, or in front of the first line that is neither a field nor a continuation (that line is
 * body then, and there is no empty line: `no_gap`).  First lines "From ", with any ">" in front, are
 * what mbox files have between messages: they are kept apart, and no field.  So every field has a name,
 * and since edits have one, too (edit_check), nobody who walks over fields need ask.  Octet for octet
 * nothing is lost: mbox lines + fields + gap + body is what came, but for hidden fields.
 */
#ifndef PROXY_MAIL_MESSAGE_H
#define PROXY_MAIL_MESSAGE_H

#include "proxy/base/spool.h"
#include "proxy/base/strv.h"

struct arena;

struct header {
	struct strv raw;                /* the field with its folding and its last CRLF, in the arena */
	uint16_t    name_n;             /* octets of the name */
	bool        hidden;             /* not seen by filters, not sent on: X-Postern-* of strangers, forged A-R */
};

enum message_rc { MESSAGE_OK, MESSAGE_HEADER_TOO_BIG, MESSAGE_FULL, MESSAGE_FAULT };

struct message {
	struct arena  *a;
	struct header *h;               /* their views are good when headers_done is set */
	unsigned       n_h, max_h;
	struct strv    mbox;            /* first lines "From ", whole, in the arena. Good when headers_done is set */
	struct spool  *body;            /* what follows the gap; NULL: nothing yet, or streamed away */
	uint64_t       octets;          /* canonical text taken, header and gap included */
	uint64_t       header_octets;   /* of mbox lines and fields, hidden ones included */
	bool           headers_done, no_gap, complete;
	bool           broken;          /* no_gap, and lines follow: readers differ about them, so one is put there (render) */
	bool           keep_ours;       /* nothing is hidden: what comes was ours already. Set after begin */
	struct strv    authserv;        /* our authserv-id: Authentication-Results that bear it are hidden. Set after begin */
	bool           too_big;         /* message_feed said so and will again */
	unsigned       received;        /* fields Received: and Delivered-To: seen: hops */
	uint32_t       header_max;      /* ceiling of header_octets */
	/* while the header is coming */
	unsigned       n_mbox;          /* lines of mbox */
	char          *part;            /* all of it so far, in the arena; octets in it and room for */
	size_t         part_n, part_room;
	size_t         line, seen;      /* where the unfinished line begins; up to where an LF was looked for */
};

#define MESSAGE_FIELDS_MAX 8192         /* more are MESSAGE_HEADER_TOO_BIG */
#define MESSAGE_MBOX_MAX   16           /* one more is a line that is no field */

/* header_max: octets of the header that are taken; more is MESSAGE_HEADER_TOO_BIG. body: owned by the caller. */
void message_begin(struct message *m, struct arena *a, struct spool *body, uint32_t header_max);
/*
 * Takes canonical text.  While headers are coming it keeps them; what is body is returned in *body
 * (a view into `text` or the arena; empty: none) and NOT yet spooled: the caller spools or streams it.
 * Behind MESSAGE_HEADER_TOO_BIG text is only counted, so the rest may be read to its end.
 */
enum message_rc message_feed(struct message *m, struct strv text, struct strv *body);
/* The end of the text: an unfinished header line is ended with CRLF. *body as above: a last line that was no field. */
enum message_rc message_end(struct message *m, struct strv *body);
/* The name of a field, a view into raw. */
struct strv header_name(const struct header *h);
struct strv header_value(const struct header *h);       /* behind the colon, not unfolded, without the last CRLF */
/* How many are hidden: nobody but us may write them, and a stranger did. */
unsigned message_hidden(const struct message *m);
/* The n-th visible field of that name (from 0), or NULL. */
const struct header *message_find(const struct message *m, struct strv name, unsigned n);

#endif
