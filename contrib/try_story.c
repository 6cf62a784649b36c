/*
 * try_story -- what milter-try prints.
 *
 * Names, texts and values come from a message or a milter: nothing of them reaches the terminal but what can be
 * printed.
 */
#include "contrib/try.h"

#include <stdarg.h>

#include "proxy/mail/path.h"

#define SHOW_MAX 400 /* octets of one text that are shown */

static struct {
	FILE *to;
	bool  colour, quiet;
} story;

void
try_story_begin(FILE *to, bool colour, bool quiet)
{
	story.to = to;
	story.colour = colour;
	story.quiet = quiet;
}

void
try_say(enum try_colour c, const char *fmt, ...)
{
	static const char *const on[] = { "", "\033[1m", "\033[2m", "\033[32m", "\033[33m",
		"\033[31m", "\033[36m" };
	bool                     coloured = story.colour && c != TRY_PLAIN;
	va_list                  ap;

	if (story.quiet)
		return;
	if (coloured)
		fputs(on[c], story.to);
	va_start(ap, fmt);
	vfprintf(story.to, fmt, ap);
	va_end(ap);
	if (coloured)
		fputs("\033[0m", story.to);
	fputs("\n", story.to);
	fflush(story.to);
}

const char *
try_show(struct strv v)
{
	static char     ring[4][4 * SHOW_MAX + 40];
	static unsigned next;
	char           *out = ring[next++ % 4];
	bool            utf8 = utf8_valid(v);
	size_t          n = 0;

	for (size_t i = 0; i < v.n && i < SHOW_MAX; i++) {
		unsigned char c = (unsigned char)v.p[i];

		/* C1 controls are C2 80 to C2 9F. */
		if ((c >= ' ' && c < 0x7f && c != '\\') || (utf8 && c > 0xc2) ||
		    (utf8 && c > 0x7f && (i == 0 || (unsigned char)v.p[i - 1] != 0xc2) && c < 0xc0))
			out[n++] = (char)c;
		else if (c == '\n' || c == '\t' || c == '\r' || c == '\\')
			n += (size_t)snprintf(out + n, 3, "\\%c",
			    c == '\n'     ? 'n' :
				c == '\t' ? 't' :
				c == '\r' ? 'r' :
					    '\\');
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02x", c);
	}
	if (v.n > SHOW_MAX)
		n += (size_t)snprintf(out + n, 40, "... (%zu octets)", v.n);
	out[n] = '\0';
	return out;
}

/* --- the negotiation -------------------------------------------------------------------------- */

struct bit {
	uint32_t    bit;
	const char *name;
};

/* clang-format off */
static const struct bit actions[] = {
	{ MILTER_ADD_HEADERS, "add-headers" },      { MILTER_CHANGE_BODY, "change-body" },
	{ MILTER_ADD_RCPTS, "add-rcpts" },          { MILTER_DELETE_RCPTS, "delete-rcpts" },
	{ MILTER_CHANGE_HEADERS, "change-headers" }, { MILTER_MAY_QUARANTINE, "quarantine" },
	{ MILTER_MAY_CHANGE_FROM, "change-from" },  { MILTER_ADD_RCPTS_PAR, "add-rcpts-par" },
	{ MILTER_SET_SYMLIST, "set-symlist" },      { 0, NULL },
};
static const struct bit steps[] = {
	{ MILTER_NO_CONNECT, "no-connect" }, { MILTER_NO_HELO, "no-helo" },       { MILTER_NO_MAIL, "no-mail" },
	{ MILTER_NO_RCPT, "no-rcpt" },       { MILTER_NO_BODY, "no-body" },       { MILTER_NO_HEADERS, "no-headers" },
	{ MILTER_NO_EOH, "no-eoh" },         { MILTER_NO_UNKNOWN, "no-unknown" }, { MILTER_NO_DATA, "no-data" },
	{ MILTER_NR_CONNECT, "nr-connect" }, { MILTER_NR_HELO, "nr-helo" },       { MILTER_NR_MAIL, "nr-mail" },
	{ MILTER_NR_RCPT, "nr-rcpt" },       { MILTER_NR_DATA, "nr-data" },       { MILTER_NR_UNKNOWN, "nr-unknown" },
	{ MILTER_NR_HEADER, "nr-header" },   { MILTER_NR_EOH, "nr-eoh" },         { MILTER_NR_BODY, "nr-body" },
	{ MILTER_SKIP, "skip" },             { MILTER_RCPT_REJ, "rcpt-rej" },
	{ MILTER_LEADING_SPACE, "leading-space" }, { MILTER_MDS_256K, "256k" },   { MILTER_MDS_1M, "1m" },
	{ 0, NULL },
};
/* clang-format on */

static void
say_bits(const char *what, const struct bit *table, uint32_t v)
{
	char   text[400] = "";
	size_t n = 0;

	for (; table->name != NULL; table++)
		if (v & table->bit)
			n += (size_t)snprintf(text + n, sizeof text - n, " %s", table->name);
	try_say(TRY_DIM, "    %s:%s", what, n > 0 ? text : " none");
}

void
try_say_offer(const struct milter_conf *m, const struct milter_offer *theirs)
{
	static const char *const places[MILTER_PLACES] = { "connect", "helo", "mail", "rcpt",
		"data", "eom", "eoh" };

	try_say(TRY_PLAIN, "  %s: version %u", try_show(m->name), theirs->version);
	say_bits("actions", actions, theirs->actions);
	say_bits("steps", steps, theirs->protocol);
	for (unsigned i = 0; i < MILTER_PLACES; i++)
		if (theirs->macros[i].p != NULL)
			try_say(TRY_DIM, "    macros at %s: %s", places[i],
			    try_show(theirs->macros[i]));
}

/* --- what it is told -------------------------------------------------------------------------- */

static void
say_macros(const struct milter_macros *macros)
{
	for (unsigned i = 0; macros != NULL && i < macros->n; i++)
		try_say(TRY_DIM, "    %s = %s", try_show(macros->v[i].name),
		    try_show(macros->v[i].value));
}

static void
say_envelope(const char *who, const struct milter_event *e, const char *silent)
{
	char   text[1000] = "";
	size_t n = 0;

	for (unsigned i = 0; i < e->n_arg && n < sizeof text - 420; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, " %.400s", try_show(e->arg[i]));
	try_say(TRY_CYAN, "  %s > %s %s%s%s", who, milter_command_name(e->cmd), try_show(e->text),
	    text, silent);
}

void
try_say_event(const struct milter_conf *m, const struct milter_event *e,
    const struct milter_macros *macros, bool answered)
{
	const char *silent = answered ? "" : "  (answers nothing)", *who = try_show(m->name);
	const char *what = milter_command_name(e->cmd);

	say_macros(macros);
	/* Macros have taken the place of the name. */
	who = try_show(m->name);
	switch (e->cmd) {
	case MILTER_CMD_CONNECT:
		try_say(TRY_CYAN, "  %s > CONNECT %s %c %s %u%s", who, try_show(e->text), e->family,
		    try_show(e->value), e->port, silent);
		break;
	case MILTER_CMD_HEADER:
		try_say(TRY_CYAN, "  %s > HEADER %s: %s%s", who, try_show(e->text),
		    try_show(e->value), silent);
		break;
	case MILTER_CMD_MAIL:
	case MILTER_CMD_RCPT:
		say_envelope(who, e, silent);
		break;
	case MILTER_CMD_BODY:
	case MILTER_CMD_EOM:
		try_say(TRY_CYAN,
		    e->cmd == MILTER_CMD_BODY || e->text.n > 0 ? "  %s > %s %zu octets%s" :
								 "  %s > %s",
		    who, what, e->text.n, silent);
		break;
	default:
		try_say(TRY_CYAN, "  %s > %s%s%s%s", who, what, e->text.n > 0 ? " " : "",
		    try_show(e->text), e->cmd == MILTER_CMD_ABORT ? "" : silent);
	}
}

/* --- what it answers -------------------------------------------------------------------------- */

static enum try_colour
colour_of(enum milter_answer_kind k)
{
	switch (k) {
	case MILTER_ANS_CONTINUE:
	case MILTER_ANS_ACCEPT:
	case MILTER_ANS_SKIP:
	case MILTER_ANS_PROGRESS:
		return TRY_GREEN;
	default:
		return milter_answer_final(k) ? TRY_RED : TRY_YELLOW;
	}
}

void
try_say_answer(const struct milter_conf *m, const struct milter_answer *a)
{
	enum try_colour c = colour_of(a->kind);
	const char     *who = try_show(m->name), *what = milter_answer_name(a->kind);

	switch (a->kind) {
	case MILTER_ANS_REPLYCODE:
		try_say(c, "  %s < %s %u%s%s %s", who, what, a->code, a->enh[0] != '\0' ? " " : "",
		    a->enh, try_show(a->text));
		break;
	case MILTER_ANS_QUARANTINE:
		try_say(c, "  %s < %s %s", who, what, try_show(a->text));
		break;
	case MILTER_ANS_ADD_HEADER:
		try_say(c, "  %s < %s %s: %s", who, what, try_show(a->name), try_show(a->value));
		break;
	case MILTER_ANS_INSERT_HEADER:
	case MILTER_ANS_CHANGE_HEADER:
		try_say(c, "  %s < %s %u %s: %s", who, what, a->at, try_show(a->name),
		    try_show(a->value));
		break;
	case MILTER_ANS_REPLACE_BODY:
		try_say(c, "  %s < %s %zu octets", who, what, a->body.n);
		break;
	default:
		try_say(c, "  %s < %s%s%s%s%s", who, what, a->address.n > 0 ? " " : "",
		    try_show(a->address), a->params.n > 0 ? " " : "", try_show(a->params));
	}
}

/* --- what comes of it ------------------------------------------------------------------------- */

void
try_say_edit(const struct edit *e)
{
	/* clang-format off */
	static const char *const ops[] = {
		[EDIT_ADD_HEADER] = "adds the field", [EDIT_INSERT_HEADER] = "inserts the field",
		[EDIT_CHANGE_HEADER] = "changes the field", [EDIT_DELETE_HEADER] = "deletes the field",
		[EDIT_REPLACE_BODY] = "replaces the body", [EDIT_DELETE_ALL] = "deletes all fields",
		[EDIT_ADD_RCPT] = "adds the recipient", [EDIT_DELETE_RCPT] = "deletes the recipient",
		[EDIT_CHANGE_FROM] = "changes the sender to",
	};
	/* clang-format on */
	const char *by = try_show(e->by);
	const char *colon = e->value.n == 0 ? "" : e->exact ? ":" : ": ";

	switch (e->op) {
	case EDIT_REPLACE_BODY:
		try_say(TRY_YELLOW, "  %s %s", by, ops[e->op]);
		break;
	case EDIT_ADD_RCPT:
	case EDIT_DELETE_RCPT:
	case EDIT_CHANGE_FROM:
		try_say(TRY_YELLOW, "  %s %s %s%s%s", by, ops[e->op], try_show(e->value),
		    e->params.n > 0 ? " " : "", try_show(e->params));
		break;
	case EDIT_INSERT_HEADER:
	case EDIT_CHANGE_HEADER:
	case EDIT_DELETE_HEADER:
		try_say(TRY_YELLOW, "  %s %s %s (%s %u)%s%s", by, ops[e->op], try_show(e->name),
		    e->op == EDIT_INSERT_HEADER ? "place" : "number", e->at, colon,
		    try_show(e->value));
		break;
	default:
		try_say(TRY_YELLOW, "  %s %s %s%s%s", by, ops[e->op], try_show(e->name), colon,
		    try_show(e->value));
	}
}

void
try_say_verdict(const char *who, const struct verdict *v)
{
	struct strv left = verdict_text(v);
	bool        good = v->kind == VERDICT_DISCARD || v->kind == VERDICT_QUARANTINE;

	while (left.p != NULL) {
		struct strv line = strv_cut(&left, '\n');

		try_say(good ? TRY_GREEN : TRY_RED, "  client < %u%c%s %s", verdict_code(v),
		    left.p == NULL ? ' ' : '-', verdict_enh(v), good ? "Ok" : try_show(line));
		if (good)
			break;
	}
	try_say(TRY_BOLD, "  %s: %s", who, verdict_word(v->kind));
}
