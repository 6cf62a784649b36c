/*
 * note -- what a check did, as the log has it: the same words for our sessions and for a mail server's.
 */
#include "proxy/mail/note.h"

#include "proxy/base/log.h"

void
note_tell(struct log_line *l, const struct note *n)
{
	static const char *const came[] = {
		[NOTE_FIRED] = "fired",
		[NOTE_WARN] = "warn",
		[NOTE_ALSO] = "also",
		[NOTE_UNKNOWN] = "unknown",
		[NOTE_LOG] = "log",
		[NOTE_TAG] = "tag",
	};

	log_strv(l, "check", n->check);
	log_z(l, "stage", stage_word(n->at));
	log_z(l, "came", came[n->kind]);
	if (n->unknown || n->failed)
		log_z(l, "when", n->failed ? "failed" : "unknown");
	if (verdict_final(&n->verdict))
		log_z(l, "verdict", verdict_word(n->verdict.kind));
}

/* Why a dry run, or a milter that was overridden, said so: no line of a refusal will have that. */
static void
tell_unheard(struct log_line *l, const struct verdict *v)
{
	if (v->kind == VERDICT_QUARANTINE) {
		log_strv(l, "reason", v->text);
		return;
	}
	if (v->code != 0)
		log_number(l, "code", v->code);
	log_strv(l, "reply", v->text);
}

void
note_tell_more(struct log_line *l, const struct note *n)
{
	if (n->kind == NOTE_WARN || n->kind == NOTE_ALSO)
		tell_unheard(l, &n->verdict);
	if (n->kind == NOTE_LOG)
		log_strv(l, "text", n->text);
	log_strv(l, "unknown", n->lacks);
}
