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
#define NUMBER_OCTETS  20
#define LOG_OCTETS     1000
#define FIELD_OCTETS   998

/* ---- codes ---- */

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
	else if (f->kind == VERDICT_TEMPFAIL && strv_eq(f->code.text, SV("421")))
		diag_add(l->d, DIAG_WARNING, f->code.pos, SV("did you mean `disconnect'?"),
		    "421 is the code of a server that hangs up, which tempfail does not");
	else if (f->code.text.p[0] != class)
		diag_add(l->d, DIAG_ERROR, f->code.pos,
		    f->code.text.p[0] == '4'     ? SV("did you mean `tempfail'?") :
			f->code.text.p[0] == '5' ? SV("did you mean `reject'?") :
						   arena_printf(l->a, "such as: %s",
						       class == '4' ? "tempfail 451 4.7.1" :
								      "reject 550 5.7.1"),
		    "%s takes a code of %cxx, not %s", word, class, diag_quote(l->a, f->code.text));
	else if (f->code.text.p[1] > '5')
		diag_add(l->d, DIAG_ERROR, f->code.pos, SV("such as 450, 451, 550 or 554"),
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

/* ---- texts ---- */

static const char percent_hint[] = "%{fact} is replaced, %% is a percent sign";

/* Octets that a value of the fact has at most in a text. */
static size_t
octets_of(const struct fact_def *def)
{
	size_t most = 0;

	switch (def->type) {
	case FACT_BOOL:
		return 3;
	case FACT_NUMBER:
		return NUMBER_OCTETS;
	case FACT_ADDR:
		return ADDR_OCTETS;
	case FACT_WORD:
		for (unsigned i = 0; def->words[i] != NULL; i++)
			most = strlen(def->words[i]) > most ? strlen(def->words[i]) : most;
		return most;
	default:
		return FOREIGN_OCTETS;
	}
}

struct text_state { /* while one text is read */
	struct loader    *l;
	const struct lit *lit;
	enum text_use     use;
	enum stage        at;
	struct text      *out;
	unsigned          max;
	size_t            octets;
};

static bool
add_piece(struct text_state *s, struct piece x)
{
	if (s->out->n == PIECES_MAX) {
		diag_add(s->l->d, DIAG_ERROR, s->lit->pos,
		    SV("each %{fact} is a piece, and the text between two"),
		    "the text has more than %d pieces", PIECES_MAX);
		return false;
	}
	s->out->piece = arena_grow(
	    s->l->a, s->out->piece, &s->max, s->out->n + 1, sizeof(*s->out->piece));
	s->out->piece[s->out->n++] = x;
	return true;
}

static bool
add_plain(struct text_state *s, size_t from, size_t to)
{
	struct strv v = strv(s->lit->text.p + from, to - from);

	s->octets += v.n;
	return v.n == 0 || add_piece(s, (struct piece){ .plain = v });
}

/* A fact of a recipient in a text that is said of all. */
static bool
for_one(struct text_state *s, const struct fact_ref *f, bool per_rcpt)
{
	if (!per_rcpt || s->at == STAGE_MAX || s->at == STAGE_RCPT)
		return true;
	diag_add(s->l->d, DIAG_ERROR, f->name.pos,
	    SV("what is decided at rcpt is said to each; rcpt.count is the same for all"),
	    "%s differs between recipients, at %s the text is one for all",
	    diag_quote(s->l->a, f->name.text), stage_word(s->at));
	return false;
}

/* Of a fact that is not of this build nothing more is known: out.fact is 0 then, and the policy never used. */
static bool
placeholder(struct text_state *s, struct strv name, size_t offset)
{
	struct loader         *l = s->l;
	struct fact_ref        f = { .name = { name, lit_place(s->lit, offset, name.n), false } };
	const struct fact_def *def = NULL;
	struct asked           ask = { .of = -1 };
	unsigned               number;
	bool                   per_rcpt = false;

	if (!word_is_fact(name) || strv_starts(name, SV("tag."))) {
		diag_add(l->d, DIAG_ERROR, f.name.pos, strv_z(percent_hint),
		    "%s is no fact for a placeholder", diag_quote(l->a, name));
		return false;
	}
	if (strv_eq(name, SV("score"))) {
		s->octets += NUMBER_OCTETS;
		return asks_find(l, &f, s->at, &ask, &def) &&
		    add_piece(s, (struct piece){ .ask = ask });
	}
	switch (facts_find(l, &f, &number)) {
	case FACT_NONE:
		return false;
	case FACT_OTHER_BUILD:
		s->octets += FOREIGN_OCTETS;
		return true;
	case FACT_HERE:
		break;
	}
	ask.fact = number;
	s->octets += octets_of(&l->p->facts[number]);
	(void)stages_of(l->p, &ask, &per_rcpt);
	return facts_at(l, &f, number, s->at) && for_one(s, &f, per_rcpt) &&
	    add_piece(s, (struct piece){ .ask = ask });
}

/* From `%' on: %% or %{fact}. The octets taken, 0: reported. */
static size_t
take_percent(struct text_state *s, size_t i)
{
	struct strv v = strv_from(s->lit->text, i), name;

	if (strv_starts(v, SV("%%")))
		return add_plain(s, i, i + 1) ? 2 : 0;
	if (!strv_starts(v, SV("%{"))) {
		diag_add(s->l->d, DIAG_ERROR, lit_place(s->lit, i, 1), strv_z(percent_hint),
		    "a `%%' stands alone in the text");
		return 0;
	}
	name = strv_from(v, 2);
	if (strv_chr(name, '}') == name.n) {
		diag_add(s->l->d, DIAG_ERROR, lit_place(s->lit, i, 2), strv_z(percent_hint),
		    "this `%%{' is never closed");
		return 0;
	}
	name = strv_first(name, strv_chr(name, '}'));
	return placeholder(s, name, i + 2) ? name.n + 3 : 0;
}

static const struct {
	const char *what;
	size_t      octets;
	const char *ascii; /* what would be right */
} uses[] = {
	{ "a reply", REPLY_OCTETS - 2, "domains can be written xn--..." },
	{ "a line of the log", LOG_OCTETS, "domains can be written xn--..." },
	/* RFC 5322 2.1.1: a line has at most 998; RFC 2047 */
	{ "a header field", FIELD_OCTETS,
	    "what is not ASCII is an encoded word there: =?utf-8?Q?caf=C3=A9?=" },
};

static bool
is_plain(struct text_state *s)
{
	struct strv v = s->lit->text;

	for (size_t i = 0; i < v.n; i++) {
		if ((unsigned char)v.p[i] <= 126 && (unsigned char)v.p[i] >= 32)
			continue;
		diag_add(s->l->d, DIAG_ERROR, lit_place(s->lit, i, 0), strv_z(uses[s->use].ascii),
		    "%s is one line of ASCII without controls", uses[s->use].what);
		return false;
	}
	return true;
}

static bool
take_text(struct text_state *s)
{
	struct strv v = s->lit->text;
	size_t      from = 0, i = 0, n;

	while (i < v.n) {
		if (v.p[i] != '%') {
			i++;
			continue;
		}
		n = add_plain(s, from, i) ? take_percent(s, i) : 0;
		if (n == 0)
			return false;
		from = i += n;
	}
	return add_plain(s, from, i);
}

bool
texts_load(struct loader *l, const struct lit *text, enum text_use use, size_t before,
    enum stage at, struct text *out)
{
	struct text       none = { 0 };
	struct text_state s = { .l = l, .lit = text, .use = use, .at = at, .octets = before };

	s.out = out == NULL ? &none : out;
	if (!is_plain(&s) || !take_text(&s))
		return false;
	if (s.octets <= uses[use].octets)
		return true;
	diag_add(l->d, DIAG_ERROR, text->pos,
	    SV("%{fact} counts with what it may have at most, which is 200 for a text"),
	    "%s may have %zu octets here, at most %zu are allowed", uses[use].what, s.octets,
	    uses[use].octets);
	return false;
}

/* ---- verdicts ---- */

static void
load_to(struct loader *l, const struct conf_final *f, struct say *out)
{
	const char *why = NULL;
	struct path to;

	if (f->to.text.p == NULL)
		return;
	out->to = f->to.text;
	if (path_parse_plain(l->a, f->to.text, &to, &why) != PATH_OK || to.kind != PATH_MAILBOX)
		diag_add(l->d, DIAG_ERROR, f->to.pos, SV("such as: quarantine to spam@example.org"),
		    "%s is no address%s%s", diag_quote(l->a, f->to.text), why == NULL ? "" : ": ",
		    why == NULL ? "" : why);
}

void
finals_load(struct loader *l, const struct conf_final *f, enum stage at, struct say *out)
{
	struct say  none = { 0 };
	struct strv x = f->xcode.text;
	uint64_t    code = 0;

	out = out == NULL ? &none : out;
	*out = (struct say){ 0 };
	if (!f->given)
		return;
	out->kind = f->kind;
	check_codes(l, f);
	if (f->code.text.p != NULL && strv_number(f->code.text, 999, &code))
		out->code = (uint16_t)code;
	if (x.p != NULL && x.n < sizeof(out->enh))
		memcpy(out->enh, x.p, x.n);
	/* "550 5.7.1 " at its longest: where codes are left out the table's are as long. */
	if (f->text.text.p != NULL)
		texts_load(
		    l, &f->text, TEXT_REPLY, 4 + (x.p == NULL ? 5 : x.n) + 1, at, &out->text);
	load_to(l, f, out);
}
