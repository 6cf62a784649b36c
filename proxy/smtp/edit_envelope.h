/*
 * edit_envelope -- what milters want of the envelope, carried out in the envelope.  Pure: the hop hears of it later.
 */
#ifndef PROXY_SMTP_EDIT_ENVELOPE_H
#define PROXY_SMTP_EDIT_ENVELOPE_H

#include "proxy/mail/edit.h"
#include "proxy/mail/envelope.h"
#include "proxy/smtp/ehlo.h"

/*
 * SAME: nothing is another than what the hop has heard.  ADDED: recipients came, and nothing else; they are not yet
 * upstream_took.  ANEW: the sender is another, or a recipient that was taken is not wanted any more.  NOBODY: nobody is
 * left.  BAD: something that cannot be said to a server; the envelope is half done.
 */
enum edited_kind { EDITED_SAME, EDITED_ADDED, EDITED_ANEW, EDITED_NOBODY, EDITED_BAD };

struct edited {
	enum edited_kind kind;
	struct strv      by;            /* who did it; of several the last.  Without its "milter " */
	struct strv      what;          /* BAD: the address with its parameters */
	const char      *why;           /* BAD: static */
};

/*
 * envelope_edit -- all edits of the envelope that are in `edits', in their order
 *
 *   caps   of EHLO, of the servers that may get it: DSN parameters of a milter are dropped where they have no DSN
 *   keep   who would be left without a recipient keeps all that there were
 *
 * A milter may say NOTIFY and ORCPT of a recipient, RET and ENVID of a sender, SMTPUTF8; what else is BAD, SIZE and
 * BODY, too (as in Sendmail: they are the message's, not the sender's).  A recipient that is there already is not
 * added once more; who is not there is not deleted.  Octets of a local part are compared as they are, domains without
 * regard to case.  All in a.
 */
struct edited envelope_edit(struct arena *a, struct envelope *e, const struct edits *edits, uint32_t caps, bool keep);
/* Are there any edits for it? */
bool envelope_edits(const struct edits *edits);
/* Recipients that are wanted: upstream_took, or added and not deleted. */
unsigned envelope_wanted(const struct envelope *e);
/* All that are wanted count as taken, for who asks for them again or asks nobody. */
void envelope_take_wanted(struct envelope *e);
/* "bcc" of "milter bcc", which is how filters that advise sign their edits; absent: another's edit. */
struct strv edit_milter(struct strv by);

#endif
