/*
 * sessionlog_edits -- what milters changed, in a message's line: "NAME:WORD,WORD;NAME:WORD".
 */
#include "proxy/base/log.h"
#include "proxy/smtp/edit_envelope.h"
#include "proxy/smtp/sessionlog.h"

#define CHANGES_MAX 480 /* octets */

static unsigned
change_of(enum edit_op op)
{
	switch (op) {
	case EDIT_REPLACE_BODY:
		return 1;
	case EDIT_ADD_RCPT:
		return 2;
	case EDIT_DELETE_RCPT:
		return 3;
	case EDIT_CHANGE_FROM:
		return 4;
	default:
		return 0;
	}
}

/* Those of one milter stand together, as they were made; each word once. */
void
session_log_edits(struct log_line *l, struct arena *a, const struct edits *edits)
{
	static const char *const words[] = { "header", "body", "rcpt+", "rcpt-", "from" };
	struct strv              last = { NULL, 0 };
	struct buf               text;
	unsigned                 seen = 0;

	buf_init(&text, CHANGES_MAX);
	for (unsigned i = 0; i < edits->n; i++) {
		struct strv by = edit_milter(edits->v[i].by);
		unsigned    word = change_of(edits->v[i].op);
		bool        first = by.p != NULL && (last.p == NULL || !strv_eq(by, last));

		if (by.p == NULL || (!first && (seen & 1u << word)))
			continue;
		if (first && last.p != NULL)
			buf_addc(&text, ';');
		if (first)
			buf_add(&text, by);
		buf_addc(&text, first ? ':' : ',');
		buf_add(&text, strv_z(words[word]));
		seen = (first ? 0 : seen) | 1u << word;
		last = by;
	}
	if (last.p != NULL)
		log_strv(l, "edits", arena_dup(a, buf_view(&text)));
	buf_fini(&text);
}
