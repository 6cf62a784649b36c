/*
 * callbacks_say -- the loop's answer to a call, said with smfi_*: a reply of our own, edits, what libmilter returns.
 *
 * The invariant: a message of which an edit was refused does not go on.
 */
#include "proxy/hosts/callbacks_own.h"

#include "proxy/base/arena.h"

#define REPLY_LINES 32 /* that libmilter takes; and octets of a line */
#define REPLY_LINE  900

/* RFC 5321 4.2: lines; libmilter reads % as printf would (smfi_setreply), so each is doubled. */
static void
cut_reply(const char *text, char *room, char **line)
{
	unsigned n = 0;
	size_t   at = 0;

	line[n] = room;
	for (; *text != '\0'; text++) {
		if (*text == '\n' && n + 1 < REPLY_LINES) {
			*room++ = '\0';
			line[++n] = room;
			at = 0;
			continue;
		}
		if (at + 2 > REPLY_LINE || *text == '\n')
			continue;
		*room++ = *text;
		at++;
		if (*text == '%') {
			*room++ = '%';
			at++;
		}
	}
	*room = '\0';
	for (unsigned i = 0; i <= n; i++)
		if (*line[i] == '\0')
			line[i] = (char *)"-";
}

static void
set_reply(SMFICTX *ctx, const struct visit_answer *a)
{
	const char *text = a->text.p + a->reply;
	char       *l[REPLY_LINES] = { NULL }, *room = mem_alloc(2 * strlen(text) + 2);
	char        code[4] = { (char)('0' + a->code / 100), (char)('0' + a->code / 10 % 10),
		       (char)('0' + a->code % 10), '\0' };

	cut_reply(text, room, l);
	/* A NULL ends the list. */
	(void)smfi_setmlreply(ctx, code, a->enh[0] != '\0' ? a->enh : NULL, l[0], l[1], l[2], l[3],
	    l[4], l[5], l[6], l[7], l[8], l[9], l[10], l[11], l[12], l[13], l[14], l[15], l[16],
	    l[17], l[18], l[19], l[20], l[21], l[22], l[23], l[24], l[25], l[26], l[27], l[28],
	    l[29], l[30], l[31], NULL);
	mem_free(room);
}

static bool
do_edit(SMFICTX *ctx, const struct visit_answer *a, const struct visit_edit *e)
{
	char *name = a->text.p + e->name, *value = a->text.p + e->value;

	switch (e->op) {
	case VISIT_CHANGE:
		return smfi_chgheader(ctx, name, e->at, e->gone ? NULL : value) == MI_SUCCESS;
	case VISIT_INSERT:
		return smfi_insheader(ctx, e->at, name, value) == MI_SUCCESS;
	case VISIT_ADD:
		return smfi_addheader(ctx, name, value) == MI_SUCCESS;
	case VISIT_DELETE_RCPT:
		return smfi_delrcpt(ctx, value) == MI_SUCCESS;
	case VISIT_ADD_RCPT:
		return smfi_addrcpt(ctx, value) == MI_SUCCESS;
	case VISIT_QUARANTINE:
		return smfi_quarantine(ctx, value) == MI_SUCCESS;
	}
	return false;
}

/* A value with its own blank, or one that the mail server puts in. */
static bool
do_edits(SMFICTX *ctx, bool leadspc, struct visit_answer *a)
{
	for (unsigned i = 0; i < a->n_edit; i++) {
		struct visit_edit *e = &a->edit[i];

		if (!leadspc && e->op <= VISIT_ADD && a->text.p[e->value] == ' ')
			e->value++;
		if (!do_edit(ctx, a, e))
			return false;
	}
	return true;
}

/* What edits did before one failed the mail server forgets with the message. */
sfsistat
callbacks_say(SMFICTX *ctx, bool leadspc, struct visit_answer *a)
{
	static const sfsistat said[] = {
		[VISIT_GO_ON] = SMFIS_CONTINUE,
		[VISIT_TEMPFAIL] = SMFIS_TEMPFAIL,
		[VISIT_REJECT] = SMFIS_REJECT,
		[VISIT_DISCARD] = SMFIS_DISCARD,
	};
	sfsistat rc = said[a->say];

	if (a->code != 0)
		set_reply(ctx, a);
	if (rc == SMFIS_CONTINUE && !do_edits(ctx, leadspc, a))
		rc = SMFIS_TEMPFAIL;
	return rc;
}
