/*
 * t_edit_envelope -- what milters ask of an envelope, and what stands in it then.
 */
#include "proxy/smtp/edit_envelope.h"

#include "proxy/base/arena.h"
#include "proxy/smtp/parse.h"
#include "tests/unit/t.h"

#define DSN  EHLO_DSN
#define UTF8 EHLO_SMTPUTF8
#define ALL  (EHLO_DSN | EHLO_SMTPUTF8 | EHLO_SIZE | EHLO_8BITMIME)

/* An edit a line: "+<rcpt> params", "-<rcpt>", "=<sender> params"; of milter m, or of whom stands in front of ':'. */
static const struct row {
	const char *name, *from, *to; /* to: recipients that were taken; "!" in front: refused */
	uint32_t    caps;
	const char *edits;
	enum edited_kind kind;
	const char      *left; /* commands of what is wanted then; of BAD: why */
	const char      *by;
} rows[] = {
	{ "nothing", "<s@x>", "<a@x>", ALL, "", EDITED_SAME, "<s@x>;<a@x>", "" },
	{ "one is added", "<s@x>", "<a@x>", ALL, "+<b@x>", EDITED_ADDED, "<s@x>;<a@x>;<b@x>", "m" },
	{ "who is there is not added again", "<s@x>", "<a@x>", ALL, "+<a@X>", EDITED_SAME,
	    "<s@x>;<a@x>", "m" },
	{ "twice the same", "<s@x>", "<a@x>", ALL, "+<b@x>\n+<b@x>", EDITED_ADDED,
	    "<s@x>;<a@x>;<b@x>", "m" },
	{ "local parts are as they are", "<s@x>", "<a@x>", ALL, "+<A@x>", EDITED_ADDED,
	    "<s@x>;<a@x>;<A@x>", "m" },
	{ "quotes that say nothing", "<s@x>", "<a@x>", ALL, "+<\"a\"@x>", EDITED_SAME,
	    "<s@x>;<a@x>", "m" },
	{ "one is deleted", "<s@x>", "<a@x> <b@x>", ALL, "-<a@x>", EDITED_ANEW, "<s@x>;<b@x>",
	    "m" },
	{ "one that was never there", "<s@x>", "<a@x>", ALL, "-<b@x>", EDITED_SAME, "<s@x>;<a@x>",
	    "m" },
	{ "said twice, deleted twice", "<s@x>", "<a@x> <b@x> <a@x>", ALL, "-<a@x>", EDITED_ANEW,
	    "<s@x>;<b@x>", "m" },
	{ "one that was refused", "<s@x>", "<a@x> !<b@x>", ALL, "-<b@x>", EDITED_SAME,
	    "<s@x>;<a@x>", "m" },
	{ "one that was refused is added", "<s@x>", "<a@x> !<b@x>", ALL, "+<b@x>", EDITED_ADDED,
	    "<s@x>;<a@x>;<b@x>", "m" },
	{ "one takes another's place", "<s@x>", "<a@x>", ALL, "-<a@x>\n+<b@x>", EDITED_ANEW,
	    "<s@x>;<b@x>", "m" },
	{ "added, and deleted again", "<s@x>", "<a@x>", ALL, "+<b@x>\n-<b@x>", EDITED_SAME,
	    "<s@x>;<a@x>", "m" },
	{ "deleted, and added again", "<s@x>", "<a@x>", ALL, "-<a@x>\n+<a@x> NOTIFY=NEVER",
	    EDITED_ANEW, "<s@x>;<a@x> NOTIFY=NEVER", "m" },
	{ "all are deleted", "<s@x>", "<a@x> <b@x>", ALL, "-<a@x>\nn:-<b@x>", EDITED_NOBODY,
	    "<s@x>", "n" },
	{ "another sender", "<s@x>", "<a@x>", ALL, "=<t@y>", EDITED_ANEW, "<t@y>;<a@x>", "m" },
	{ "nobody as the sender", "<s@x>", "<a@x>", ALL, "=<>", EDITED_ANEW, "<>;<a@x>", "m" },
	{ "somebody for nobody", "<>", "<a@x>", ALL, "=<t@y>", EDITED_ANEW, "<t@y>;<a@x>", "m" },
	{ "the same sender", "<s@x>", "<a@x>", ALL, "=<s@X>", EDITED_SAME, "<s@x>;<a@x>", "m" },
	{ "the last one's sender", "<s@x>", "<a@x>", ALL, "=<t@y>\nn:=<u@y>", EDITED_ANEW,
	    "<u@y>;<a@x>", "n" },
	{ "what the client said of the message stays", "<s@x> SIZE=100 BODY=8BITMIME RET=FULL",
	    "<a@x>", ALL, "=<t@y> RET=HDRS ENVID=e1", EDITED_ANEW,
	    "<t@y> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=e1;<a@x>", "m" },
	{ "the sender's parameters alone", "<s@x>", "<a@x>", ALL, "=<s@x> ENVID=e1", EDITED_ANEW,
	    "<s@x> ENVID=e1;<a@x>", "m" },
	{ "parameters of a recipient", "<s@x>", "<a@x>", ALL,
	    "+<b@x> NOTIFY=NEVER ORCPT=rfc822;c@x", EDITED_ADDED,
	    "<s@x>;<a@x>;<b@x> NOTIFY=NEVER ORCPT=rfc822;c@x", "m" },
	{ "a server without DSN hears none", "<s@x>", "<a@x>", 0,
	    "+<b@x> NOTIFY=NEVER\n=<t@y> RET=FULL", EDITED_ANEW, "<t@y>;<a@x>;<b@x>", "m" },
	{ "SIZE is the message's", "<s@x>", "<a@x>", ALL, "=<t@y> SIZE=1", EDITED_BAD,
	    "parameter is not offered", "m" },
	{ "BODY is the message's", "<s@x>", "<a@x>", ALL, "=<t@y> BODY=7BIT", EDITED_BAD,
	    "parameter is not offered", "m" },
	{ "AUTH is the client's", "<s@x>", "<a@x>", ALL | EHLO_AUTH, "=<t@y> AUTH=<>", EDITED_BAD,
	    "parameter is not offered", "m" },
	{ "malformed", "<s@x>", "<a@x>", ALL, "+<b@x> NOTIFY=SOMETIMES", EDITED_BAD,
	    "malformed NOTIFY", "m" },
	{ "malformed, to a server that would not hear it", "<s@x>", "<a@x>", 0,
	    "+<b@x> NOTIFY=SOMETIMES", EDITED_BAD, "malformed NOTIFY", "m" },
	{ "a recipient has no RET", "<s@x>", "<a@x>", ALL, "+<b@x> RET=FULL", EDITED_BAD,
	    "parameter is not offered", "m" },
	{ "a command behind the parameters", "<s@x>", "<a@x>", ALL, "+<b@x> > NOTIFY=NEVER",
	    EDITED_BAD, "malformed parameter", "m" },
	{ "8-bit needs SMTPUTF8", "<s@x>", "<a@x>", UTF8, "+<\xc3\xbc@x>", EDITED_ANEW,
	    "<s@x> SMTPUTF8;<a@x>;<\xc3\xbc@x>", "m" },
	{ "8-bit where it was asked for", "<s@x> SMTPUTF8", "<a@x>", UTF8, "+<\xc3\xbc@x>",
	    EDITED_ADDED, "<s@x> SMTPUTF8;<a@x>;<\xc3\xbc@x>", "m" },
	{ "8-bit to a server without", "<s@x>", "<a@x>", DSN, "=<\xc3\xbc@x>", EDITED_BAD,
	    "the mail server does not offer SMTPUTF8", "m" },
	{ "SMTPUTF8 by word", "<s@x>", "<a@x>", UTF8, "=<t@x> SMTPUTF8", EDITED_ANEW,
	    "<t@x> SMTPUTF8;<a@x>", "m" },
	{ "edits of others", "<s@x>", "<a@x>", ALL, "#\n+<b@x>", EDITED_ADDED, "<s@x>;<a@x>;<b@x>",
	    "m" },
};

static struct arena *a;

/* Paths and parameters as a client would say them. */
static void
make_envelope(struct envelope *e, const struct row *r)
{
	struct strv  to = strv_z(r->to), w;
	struct fault f;

	*e = (struct envelope){ 0 };
	T_CHECK(parse_mail(a, arena_concat(a, SV("FROM:"), strv_z(r->from)), UINT32_MAX, &e->from,
	    &e->params, &f));
	while ((w = strv_word(&to)).n > 0) {
		struct rcpt rcpt = { .upstream_took = w.p[0] != '!' };

		w = strv_from(w, w.p[0] == '!');
		T_CHECK(parse_rcpt(a, arena_concat(a, SV("TO:"), w), UINT32_MAX, false, &rcpt.to,
		    &rcpt.params, &rcpt.n_params, &f));
		*envelope_add(a, e) = rcpt;
	}
}

static void
add_edit(struct edits *edits, struct strv line)
{
	struct strv rest = line, by = SV("milter m");
	struct edit x = {
		.op = EDIT_ADD_HEADER, .name = SV("N"), .value = SV("v"), .by = SV("tagger")
	};
	const char *why = "";

	if (line.p[1] == ':') {
		by = arena_printf(a, "plugin %c", line.p[0]);
		rest = strv_from(line, 2);
	}
	if (rest.p[0] != '#') {
		x = (struct edit){ .by = by,
			.op = rest.p[0] == '+' ? EDIT_ADD_RCPT :
			    rest.p[0] == '-'   ? EDIT_DELETE_RCPT :
						 EDIT_CHANGE_FROM };
		rest = strv_from(rest, 2);
		x.value = strv_cut(&rest, '>');
		x.params = rest.n > 0 ? strv_from(rest, 1) : (struct strv){ NULL, 0 };
		x.value = x.value.n == 0 ? SV("<>") : x.value;
	}
	T_CHECK(edits_add(a, edits, &x, &why));
}

static struct edits
make_edits(const char *text)
{
	struct edits edits = { 0 };
	struct strv  rest = strv_z(text);

	while (rest.n > 0)
		add_edit(&edits, strv_cut(&rest, '\n'));
	return edits;
}

/* "MAIL FROM:<s@x>;..." without the verbs: what would be said. */
static struct strv
left(struct envelope *e)
{
	struct buf  b;
	struct strv all;

	buf_init(&b, 4096);
	print_mail(&b, &e->from, &e->params, UINT32_MAX);
	b.n -= 2;
	buf_drop(&b, strlen("MAIL FROM:"));
	envelope_take_wanted(e);
	for (unsigned i = 0; i < e->n_rcpt; i++) {
		size_t at = b.n + 1;

		if (!e->rcpt[i].upstream_took)
			continue;
		buf_addc(&b, ';');
		print_rcpt(&b, &e->rcpt[i].to, e->rcpt[i].params, e->rcpt[i].n_params, UINT32_MAX);
		memmove(b.p + at, b.p + at + strlen("RCPT TO:"), b.n - at - strlen("RCPT TO:"));
		b.n -= 2 + strlen("RCPT TO:");
	}
	all = arena_dup(a, buf_view(&b));
	buf_fini(&b);
	return all;
}

static void
one(const struct row *r)
{
	struct envelope e;
	struct edits    edits = make_edits(r->edits);
	struct edited   ed;

	make_envelope(&e, r);
	ed = envelope_edit(a, &e, &edits, r->caps, false);
	T_EQ_NUM(ed.kind, r->kind);
	T_EQ_TEXT(ed.by, r->by);
	if (ed.kind == EDITED_BAD)
		T_EQ_STR(ed.why, r->left);
	else
		T_EQ_TEXT(left(&e), r->left);
	T_EQ_NUM(envelope_edits(&edits), r->by[0] != '\0');
	if (e.was != NULL)
		T_CHECK(ed.kind == EDITED_BAD || !strv_eq(e.was->text, e.from.text));
	else
		T_CHECK(strv_starts(strv_z(r->from + 1), e.from.text));
}

static void
rows_of_edits(void)
{
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		a = arena_new(4096, 0);
		one(&rows[i]);
		arena_free(a);
	}
	t_row = NULL;
}

/* What is kept in a folder has somebody to go to when it is released. */
static void
what_is_kept_keeps_its_recipients(void)
{
	static const struct row r = { .from = "<s@x>", .to = "<a@x> !<b@x> <c@x>" };
	struct envelope         e;
	struct edits            edits;

	a = arena_new(4096, 0);
	edits = make_edits("+<d@x>\n-<a@x>\n-<d@x>\n-<c@x>");
	make_envelope(&e, &r);
	T_EQ_NUM(envelope_edit(a, &e, &edits, ALL, true).kind, EDITED_ANEW);
	T_EQ_TEXT(left(&e), "<s@x>;<a@x>;<c@x>");
	make_envelope(&e, &r);
	edits = make_edits("-<a@x>");
	T_EQ_NUM(envelope_edit(a, &e, &edits, ALL, true).kind, EDITED_ANEW);
	T_EQ_TEXT(left(&e), "<s@x>;<c@x>");
	arena_free(a);
}

static void
who_signs_as_a_milter(void)
{
	T_EQ_TEXT(edit_milter(SV("milter bcc")), "bcc");
	T_EQ_TEXT(edit_milter(SV("plugin bcc")), "bcc");
	T_CHECK(edit_milter(SV("milter")).p == NULL || edit_milter(SV("milter")).n == 0);
	T_CHECK(edit_milter(SV("tagger")).p == NULL);
	T_CHECK(edit_milter(strv(NULL, 0)).p == NULL);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(rows_of_edits);
	T_RUN(what_is_kept_keeps_its_recipients);
	T_RUN(who_signs_as_a_milter);
	return t_end();
}
