/*
 * finals -- verdicts and texts held against what a reply may be: codes, octets, placeholders.
 *
 * What passes here can always be said: RFC 5321 4.2.1 (codes), 4.5.3.1.5 (512 octets), RFC 3463 2
 * (the class of the enhanced code is the first digit of the other).
 */
#include "policy/load.h"
#include "policy/words.h"
#include "proxy/base/arena.h"

#define REPLY_OCTETS   512 /* with CRLF */
#define FOREIGN_OCTETS 200 /* of a placeholder, cut there when it is filled in */
#define ADDR_OCTETS    45

static char
class_of(enum verdict_kind kind)
{
	return kind == VERDICT_REJECT ? '5' : '4';
}

static void
check_codes(struct loader *l, const struct conf_final *f)
{
	const char *word = verdict_word(f->kind);
	char class = class_of(f->kind);

	if (f->code.text.p == NULL)
		return;
	if (f->kind == VERDICT_DISCONNECT && !strv_eq(f->code.text, SV("421")))
		diag_add(l->d, DIAG_ERROR, f->code.pos,
		    SV("RFC 5321 has 421 alone for a server that hangs up"),
		    "disconnect takes 421, not %s", diag_quote(l->a, f->code.text));
	else if (f->code.text.p[0] != class)
		diag_add(l->d, DIAG_ERROR, f->code.pos,
		    f->code.text.p[0] == '4'     ? SV("did you mean `tempfail'?") :
			f->code.text.p[0] == '5' ? SV("did you mean `reject'?") :
						   strv(NULL, 0),
		    "%s takes a code of %cxx, not %s", word, class, diag_quote(l->a, f->code.text));
	else if (f->code.text.p[1] > '5')
		diag_add(l->d, DIAG_ERROR, f->code.pos, strv(NULL, 0),
		    "%s is no reply code: its second digit is 0 to 5",
		    diag_quote(l->a, f->code.text));
	if (f->xcode.text.p != NULL && f->xcode.text.p[0] != f->code.text.p[0])
		diag_add(l->d, DIAG_ERROR, f->xcode.pos,
		    diag_did_you_mean(l->a,
			arena_printf(l->a, "%c%.*s", f->code.text.p[0], (int)f->xcode.text.n - 1,
			    f->xcode.text.p + 1)),
		    "the classes of %.3s and %.*s differ", f->code.text.p, (int)f->xcode.text.n,
		    f->xcode.text.p);
}

/* "dnsbl.text" of %{dnsbl.text}: octets at its longest; -1: reported. */
static int
placeholder(struct loader *l, const struct lit *text, struct strv name)
{
	struct fact_ref f = { .name = { .text = name, .pos = text->pos } };
	bool            quiet = l->quiet;
	enum fact_known known;
	unsigned        number;

	if (!word_is_fact(name)) {
		diag_add(l->d, DIAG_ERROR, text->pos,
		    SV("%{fact} is replaced, %% is a percent sign"),
		    "%s is no fact for a placeholder", diag_quote(l->a, name));
		return -1;
	}
	known = facts_find(l, &f, &number);
	l->quiet = quiet;
	if (known == FACT_NONE)
		return -1;
	return known == FACT_HERE && l->p->facts[number].type == FACT_ADDR ? ADDR_OCTETS :
									     FOREIGN_OCTETS;
}

void
finals_text(struct loader *l, const struct lit *text, size_t codes)
{
	struct strv v = text->text;
	size_t      octets = codes;
	int         n;

	for (size_t i = 0; i < v.n; i++, octets++) {
		if ((unsigned char)v.p[i] > 126 || (unsigned char)v.p[i] < 32) {
			diag_add(l->d, DIAG_ERROR, text->pos, strv(NULL, 0),
			    "a reply is one line of ASCII without controls");
			return;
		}
		if (v.p[i] != '%')
			continue;
		if (i + 1 < v.n && v.p[i + 1] == '%') {
			i++;
			continue;
		}
		n = -1;
		if (i + 1 < v.n && v.p[i + 1] == '{') {
			struct strv name = strv_from(v, i + 2);

			name = strv_first(name, strv_chr(name, '}'));
			n = placeholder(l, text, name);
			i += name.n + 2;
		} else {
			diag_add(l->d, DIAG_ERROR, text->pos,
			    SV("%{fact} is replaced, %% is a percent sign"),
			    "a `%%' stands alone in the text");
		}
		if (n < 0)
			return;
		octets += (size_t)n;
	}
	if (octets > REPLY_OCTETS - 2)
		diag_add(l->d, DIAG_ERROR, text->pos, strv(NULL, 0),
		    "the reply may have %zu octets, at most %d are allowed", octets,
		    REPLY_OCTETS - 2);
}

void
finals_check(struct loader *l, const struct conf_final *f)
{
	const char *why = NULL;
	struct path to;

	if (!f->given)
		return;
	check_codes(l, f);
	/* "550 5.7.1 " at its longest: where codes are left out the table's are as long. */
	if (f->text.text.p != NULL)
		finals_text(l, &f->text, 4 + (f->xcode.text.p == NULL ? 5 : f->xcode.text.n) + 1);
	if (f->to.text.p != NULL &&
	    (path_parse_plain(l->a, f->to.text, &to, &why) != PATH_OK || to.kind != PATH_MAILBOX))
		diag_add(l->d, DIAG_ERROR, f->to.pos, strv(NULL, 0), "%s is no address%s%s",
		    diag_quote(l->a, f->to.text), why == NULL ? "" : ": ", why == NULL ? "" : why);
}
