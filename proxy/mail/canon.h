/*
 * canon -- canonical forms of header and body for signatures.  RFC 6376 3.4.
 *
 * Pure.  Text is canonical already as message.h means it: CRLF alone ends a line.  The body may come in any cut.
 */
#ifndef PROXY_MAIL_CANON_H
#define PROXY_MAIL_CANON_H

#include "proxy/base/strv.h"

struct arena;

enum canon_form { CANON_SIMPLE, CANON_RELAXED };

/* "relaxed/simple", "relaxed" (then the body is simple), "" or absent (both are). False: no such. RFC 6376 3.5 c= */
bool canon_parse(struct strv c, enum canon_form *header, enum canon_form *body);

/* One field with its CRLF, in that form, with its CRLF; in a (or raw itself). RFC 6376 3.4.1, 3.4.2 */
struct strv canon_field(struct arena *a, enum canon_form form, struct strv raw);
/*
 * The same of a signature's own field with the value of its b= taken out and without its last CRLF, as it is hashed
 * last. RFC 6376 3.7.
 */
struct strv canon_signature(struct arena *a, enum canon_form form, struct strv raw);

struct canon_body {             /* all zero but form and out: at the beginning */
	enum canon_form form;
	void          (*out)(void *arg, struct strv piece);     /* canonical octets, in any cut */
	void           *arg;
	uint64_t        lines;          /* empty ones held back */
	bool            blank, cr, any; /* white space held back; a CR at the cut; a line that was not empty */
};

void canon_body_add(struct canon_body *c, struct strv text);
/* The end; a last line without CRLF gets one. RFC 6376 3.4.3: an empty simple body is one CRLF; 3.4.4: relaxed none. */
void canon_body_end(struct canon_body *c);

#endif
