/*
 * screen -- see screen.h.
 *
 * Invariant: a note says less than it could where anything irregular went before on that connection, so that every
 * complaint is one about the proxy.
 */
#include "tests/sim/screen.h"

#include <stdlib.h>

#include "policy/patterns.h"

#define SLOW_MOST     8000 /* ms of one answer, below every timeout of a milter */
#define SCREEN_CLIENT "client3.example"

/* ---- notes ---- */

static struct screen_conn *
conn_of(struct screen_milter *x, unsigned no)
{
	if (no >= x->n_conn) {
		unsigned n = no * 2 + 16;

		x->conn = mem_resize(x->conn, n * sizeof(*x->conn));
		memset(x->conn + x->n_conn, 0, (n - x->n_conn) * sizeof(*x->conn));
		x->n_conn = n;
	}
	return &x->conn[no];
}

static unsigned
number_behind(struct strv line, const char *mark)
{
	const char *at = memmem(line.p, line.n, mark, strlen(mark));

	return at == NULL ? 0 : (unsigned)strtoul(at + strlen(mark), NULL, 10);
}

/* MAIL <s7-t2@good.example> ... */
static void
begin(struct screen_milter *x, struct screen_conn *c, struct strv line)
{
	struct screen_note *n = mem_alloc(sizeof(*n));

	n->client = number_behind(line, "<s");
	n->no = number_behind(line, "-t");
	n->broken = c->broken;
	n->next = x->notes;
	x->notes = n;
	c->note = n;
}

static const struct screen_note *
note_of(const struct screen_milter *x, const struct letter *l)
{
	for (const struct screen_note *n = x->notes; n != NULL; n = n->next)
		if (n->client == l->client && n->no == l->no)
			return n;
	return NULL;
}

static void
breaks(struct screen_conn *c)
{
	c->broken = true;
	if (c->note != NULL)
		c->note->broken = true;
}

/* ---- plans ---- */

static void
deed(struct milter_plan *p, enum milter_deed_op op, uint64_t n)
{
	if (p->n < MILTER_DEEDS)
		p->deed[p->n++] = (struct milter_deed){ .op = op, .n = n };
}

/* Octets that x->said has from `from' on.  They do not move: it has room for all of a plan. */
static void
say(struct screen_milter *x, struct milter_plan *p, char letter, size_t from)
{
	p->deed[p->n++] = (struct milter_deed){
		.op = DEED_SAY, .letter = letter, .octets = strv_from(buf_view(&x->said), from)
	};
}

static void
answer(struct screen_milter *x, struct milter_plan *p, char letter, struct strv data)
{
	size_t from = x->said.n;

	sim_milter_pack(&x->said, letter, data);
	say(x, p, letter, from);
}

static void
raw(struct screen_milter *x, struct milter_plan *p, struct strv octets)
{
	size_t from = x->said.n;

	buf_add(&x->said, octets);
	say(x, p, 0, from);
}

static void
field(struct screen_milter *x, struct milter_plan *p, const char *what, bool top)
{
	struct buf b;

	buf_init(&b, 256);
	if (top)
		sim_milter_pack_u32(&b, 0);
	buf_printf(&b, "X-Mill-%u%s", x->no, what);
	buf_addc(&b, '\0');
	buf_printf(&b, "%u", x->no);
	buf_addc(&b, '\0');
	answer(x, p, top ? 'i' : 'h', buf_view(&b));
	buf_fini(&b);
}

static void
wrote(const struct screen_milter *x, struct buf *out)
{
	buf_printf(out, "what milter %u wrote\r\n.\r\nin several pieces\r\n", x->no);
}

/* One new body, cut anywhere. */
static void
body(struct screen_milter *x, struct milter_plan *p)
{
	struct buf b;
	size_t     cut;

	buf_init(&b, 256);
	wrote(x, &b);
	cut = sim_below(x->screen->sim, b.n);
	answer(x, p, 'b', strv_first(buf_view(&b), cut));
	if (sim_chance(x->screen->sim, 50))
		answer(x, p, 'p', SV(""));
	answer(x, p, 'b', strv_from(buf_view(&b), cut));
	buf_fini(&b);
}

/* Where it adds one, that one: no server's pool has the domain. */
static const char *
bcc_of(const struct screen_milter *x, char text[40])
{
	snprintf(text, 40, "<k%u@elsewhere.example>", x->no);
	return text;
}

static void
strings(struct screen_milter *x, struct milter_plan *p, char letter, const char *a, const char *b)
{
	struct buf out;

	buf_init(&out, 256);
	buf_add(&out, strv(a, strlen(a) + 1));
	if (b != NULL)
		buf_add(&out, strv(b, strlen(b) + 1));
	answer(x, p, letter, buf_view(&out));
	buf_fini(&out);
}

/* The local part stays: by it the letter is found again. */
static void
envelope(struct screen_milter *x, const struct screen_note *n, struct milter_plan *p)
{
	struct sim *s = x->screen->sim;
	char        text[64];

	if (x->from && n != NULL) {
		snprintf(text, sizeof(text), "<s%u-t%u@mill%u.example>", n->client, n->no, x->no);
		strings(x, p, 'e', text, sim_chance(s, 30) ? "RET=HDRS" : NULL);
	}
	if (x->drops) {
		strings(x, p, '-', "<r0@ours.example>", NULL);
		strings(x, p, '-', "<r0@second.example>", NULL);
	}
	if (x->bcc && sim_chance(s, 30))
		strings(x, p, '2', bcc_of(x, text), "NOTIFY=NEVER");
	else if (x->bcc)
		strings(x, p, '+', bcc_of(x, text), NULL);
}

static void
edits(struct screen_milter *x, const struct screen_note *n, struct milter_plan *p)
{
	bool first = sim_chance(x->screen->sim, 50);

	if (first)
		envelope(x, n, p);
	if (x->adds)
		field(x, p, "", false);
	if (x->tops)
		field(x, p, "-Top", true);
	if (x->body)
		body(x, p);
	if (!first)
		envelope(x, n, p);
}

/* ---- what goes wrong ---- */

#define RAW(lit) \
	{ \
		lit, sizeof(lit) - 1 \
	}
static const struct strv garbage[] = {
	RAW("\0\0\0\0"),
	RAW("\xff\xff\xff\xff y"),
	RAW("\0\0\0\1?"),
	RAW("\0\0\0\5y250"),
	RAW("\0\0\0\3y55"),
	RAW("\0\0\0\24y550 a\r\n250 forged\0"),
	RAW("\0\0\0\1h"),
	RAW("\0\0\0\5m\0\0\0\1"),
	RAW("\0\0\0\1O"),
	RAW("220 mail.example ESMTP\r\n"),
};

/* Then it has failed, whatever comes: unless an answer nobody waited for may stand for the one that is lacking. */
static void
dies(struct screen_conn *c)
{
	if (c->note != NULL && !c->spoke)
		c->note->dead = true;
}

static void
goes_wrong(struct screen_milter *x, struct screen_conn *c, struct milter_plan *p, uint32_t bit,
    bool at_end)
{
	struct sim *s = x->screen->sim;
	unsigned    what = (unsigned)sim_below(s, 8);

	if (at_end && sim_chance(s, 60))
		edits(x, c->note, p);
	/* An edit where no answer is wanted may be read as one at the end: nobody can tell. */
	switch (what == 5 && (x->m->protocol & bit) ? 6 : what) {
	case 0:
		dies(c);
		deed(p, DEED_CLOSE, 0);
		break;
	case 1:
		dies(c);
		deed(p, DEED_RESET, 0);
		break;
	case 2:
		dies(c);
		deed(p, sim_chance(s, 70) ? DEED_HANG : DEED_DEAF, 0);
		break;
	case 3:
		c->spoke |= (x->m->protocol & bit) != 0;
		deed(p, DEED_WAIT, sim_below(s, 100000));
		answer(x, p, 'c', SV(""));
		break;
	case 4:
		c->spoke = true;
		answer(x, p, 'c', SV(""));
		answer(x, p, "crad"[sim_below(s, 4)], SV(""));
		break;
	case 5:
		answer(x, p, "ds4fqbp"[sim_below(s, 7)], SV(""));
		break;
	default:
		dies(c);
		raw(x, p, garbage[sim_below(s, sizeof(garbage) / sizeof(garbage[0]))]);
		if (sim_chance(s, 50))
			deed(p, DEED_CLOSE, 0);
		break;
	}
}

static bool
of_message(struct strv verb)
{
	return !strv_eq(verb, SV("OFFER")) && !strv_eq(verb, SV("CONNECT")) &&
	    !strv_eq(verb, SV("HELO")) && !strv_eq(verb, SV("UNKNOWN"));
}

/* Something else than `continue', of its own will. */
static void
refuses(struct screen_milter *x, struct screen_conn *c, struct milter_plan *p,
    const struct milter_moment *m)
{
	struct sim *s = x->screen->sim;
	bool        rcpt = strv_eq(m->verb, SV("RCPT"));
	unsigned    k = (unsigned)sim_below(s, 10);

	if (k == 0) {
		c->note->discarded = true;
		answer(x, p, 'd', SV(""));
		return;
	}
	if (rcpt)
		c->note->rcpts_refused |= 1u << number_behind(m->line, "<r");
	else
		c->note->refused = true;
	if (k < 4)
		answer(x, p, 'r', SV(""));
	else if (k < 6)
		answer(x, p, 't', SV(""));
	else if (k < 8)
		answer(x, p, 'y', SV("550-5.7.1 100%% no\r\n550 5.7.1 at all\0"));
	else
		answer(x, p, 'y', SV("450 4.7.1 later\0"));
}

/* By the command: 0x0 where an answer is wanted whatever was agreed, UINT32_MAX where never. */
static uint32_t
no_reply_bit(struct strv verb)
{
	static const struct {
		const char *verb;
		uint32_t    bit;
	} bits[] = {
		{ "CONNECT", 0x1000 },
		{ "HELO", 0x2000 },
		{ "MAIL", 0x4000 },
		{ "RCPT", 0x8000 },
		{ "DATA", 0x10000 },
		{ "HEADER", 0x80 },
		{ "EOH", 0x40000 },
		{ "BODY", 0x80000 },
		{ "UNKNOWN", 0x20000 },
		{ "OFFER", 0 },
		{ "EOM", 0 },
	};

	for (unsigned i = 0; i < sizeof(bits) / sizeof(bits[0]); i++)
		if (strv_eq(verb, strv_z(bits[i].verb)))
			return bits[i].bit;
	return UINT32_MAX;
}

static bool
dialled(struct screen_milter *x, struct milter_plan *p)
{
	static const enum milter_deed_op ops[] = { DEED_REFUSE, DEED_REFUSE, DEED_BLACK_HOLE,
		DEED_CLOSE, DEED_HANG };
	struct sim                      *s = x->screen->sim;

	if (sim_below(s, 1000) >= x->trouble)
		return false;
	deed(p, ops[sim_below(s, 5)], 0);
	return true;
}

/* Nothing is wrong: edits at the end, and now and then a refusal. */
static void
goes_right(struct screen_milter *x, struct screen_conn *c, struct milter_plan *p,
    const struct milter_moment *m)
{
	struct sim *s = x->screen->sim;
	bool        end = strv_eq(m->verb, SV("EOM")), plain = end && sim_chance(s, 10);

	if (sim_chance(s, 5))
		deed(p, DEED_WAIT, sim_below(s, SLOW_MOST));
	if (end && !plain)
		edits(x, c->note, p);
	if (of_message(m->verb) && c->note != NULL && sim_below(s, 1000) < x->refusals) {
		refuses(x, c, p, m);
		return;
	}
	if (end && x->keeps && sim_chance(s, 30)) {
		c->note->wanted = true;
		strings(x, p, 'q', "looks odd", NULL);
	}
	if (end && plain)
		c->note->plain = true;
	else if (end)
		c->note->edited = true;
	answer(x, p, 'c', SV(""));
}

static bool
decide(void *arg, const struct milter_moment *m, struct milter_plan *p)
{
	struct screen_milter *x = arg;
	struct screen_conn   *c = conn_of(x, m->conn);
	uint32_t              bit = no_reply_bit(m->verb);
	bool                  trouble = sim_below(x->screen->sim, 1000) < x->trouble;

	buf_clear(&x->said);
	if (strv_eq(m->verb, SV("DIAL")))
		return dialled(x, p);
	if (strv_eq(m->verb, SV("MAIL")))
		begin(x, c, m->line);
	if (bit == UINT32_MAX && (!trouble || !strv_eq(m->verb, SV("ABORT"))))
		return false;
	if (trouble) {
		breaks(c);
		goes_wrong(x, c, p, bit, strv_eq(m->verb, SV("EOM")));
	} else if (strv_eq(m->verb, SV("OFFER")) || (x->m->protocol & bit))
		return false;
	else
		goes_right(x, c, p, m);
	/* What it does behind the end is nothing that a letter hears of. */
	if (strv_eq(m->verb, SV("EOM")) || strv_eq(m->verb, SV("ABORT")))
		c->note = NULL;
	return true;
}

/* ---- what must have come of it ---- */

static bool
is_for(const struct screen_milter *x, const struct letter *l)
{
	switch (x->when) {
	case SCREEN_HELO:
		return strcmp(l->helo, SCREEN_CLIENT) == 0;
	case SCREEN_SUBJECT:
		return l->odd;
	default:
		return true;
	}
}

/* Takes one of its fields out of `had': how often it was there. */
static unsigned
take_field(const struct screen_milter *x, const char *what, struct buf *had)
{
	struct buf  rest;
	struct strv all = buf_view(had);
	unsigned    n = 0;
	char        name[32];

	snprintf(name, sizeof(name), "X-Mill-%u%s:", x->no, what);
	buf_init(&rest, WIRE_MAX);
	while (all.n > 0) {
		size_t      end = strv_chr(all, '\n');
		struct strv line = strv_first(all, end < all.n ? end + 1 : end);

		if (strv_starts(line, strv_z(name)))
			n++;
		else
			buf_add(&rest, line);
		all = strv_from(all, line.n);
	}
	buf_fini(had);
	*had = rest;
	return n;
}

static bool
has_body(const struct screen_milter *x, const struct buf *had)
{
	struct buf b;
	bool       is;

	buf_init(&b, 256);
	wrote(x, &b);
	is = strv_ends(buf_view(had), buf_view(&b));
	buf_fini(&b);
	return is;
}

/*
 * What a letter is with another body.  Where the header ends is plain if it has From, or that of mbox files, which may be
 * taken for text; what else there is has no header.
 */
static void
new_body(
    const struct screen_milter *x, const struct letter *l, const struct buf *had, struct buf *want)
{
	struct strv was = buf_view(&l->text);
	const char *end = memmem(was.p, was.n, "\r\n\r\n", 4);
	bool        mbox = !l->header && memmem(had->p, had->n, "Subject: mbox", 13) != NULL;

	buf_clear(want);
	if (end != NULL && (l->header || mbox))
		buf_add(want, strv(was.p, (size_t)(end - was.p) + 4));
	wrote(x, want);
}

/* Nothing of it is there.  May that be? */
static const char *
untouched(const struct screen_milter *x, const struct screen_note *n, bool kept, bool settled)
{
	bool may_fail = x->warn || x->failure == FAILURE_IS_ACCEPT || kept;

	if (n != NULL && n->edited && !n->broken)
		return "a milter has edited it, and it came as it was";
	if (settled || may_fail || (n != NULL && n->plain))
		return NULL;
	if (n == NULL && x->when != SCREEN_SUBJECT)
		return "a milter that must hear of it has not";
	if (n != NULL && (n->dead || !n->broken))
		return "a milter that must be heard of it was not";
	return NULL;
}

/* What of its edits is there and what is not; of some that cannot be told. */
struct edit_marks {
	unsigned there, missing;
};

enum seen { SEEN_NOT, SEEN_IS, SEEN_UNCLEAR };

static void
mark(struct edit_marks *m, bool does, enum seen s)
{
	m->there += s == SEEN_IS && does;
	m->missing += s == SEEN_NOT && does;
}

/* A field that it never adds must not be there, nor one twice. */
static void
mark_field(struct edit_marks *m, const struct screen_milter *x, const char *what, bool does,
    struct buf *had)
{
	unsigned n = take_field(x, what, had);

	m->there += n;
	m->missing += n != does ? 1 : 0;
}

static unsigned
times_for(const struct up_message *m, const char *rcpt)
{
	char     pattern[64];
	unsigned n = 0;

	snprintf(pattern, sizeof(pattern), "*%s*", rcpt);
	for (unsigned i = 0; i < m->n_rcpt; i++)
		n += sim_match(strv_z(pattern), strv_z(m->rcpt[i]));
	return n;
}

/* Of several senders the last holds. */
static enum seen
sender(const struct screen_milter *x, const struct screen_found *f)
{
	const struct screen *w = x->screen;
	char                 pattern[64];

	snprintf(pattern, sizeof(pattern), "*@mill%u.example>*", x->no);
	if (sim_match(strv_z(pattern), strv_z(f->m->from)))
		return SEEN_IS;
	for (unsigned i = x->no + 1; i < w->n; i++) {
		snprintf(pattern, sizeof(pattern), "*@mill%u.example>*", i);
		if (sim_match(strv_z(pattern), strv_z(f->m->from)))
			return SEEN_UNCLEAR;
	}
	return SEEN_NOT;
}

/* What another one takes away as well is nobody's mark; who is kept without a recipient keeps all. */
static enum seen
dropped(const struct screen_milter *x, const struct letter *l, const struct screen_found *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < x->screen->n; i++)
		n += x->screen->milter[i].drops;
	if (f->away || f->kept)
		return SEEN_UNCLEAR;
	if (times_for(f->m, l->second[0] ? "<r0@second.example>" : "<r0@ours.example>") > 0)
		return SEEN_NOT;
	return f->took_first && n == 1 ? SEEN_IS : SEEN_UNCLEAR;
}

static void
mark_envelope(struct edit_marks *m, const struct screen_milter *x, const struct letter *l,
    const struct screen_found *f)
{
	char     text[40];
	unsigned n = times_for(f->m, bcc_of(x, text));

	mark(m, x->from, sender(x, f));
	mark(m, x->drops, dropped(x, l, f));
	if (f->away)
		return;
	m->there += n;
	m->missing += n != x->bcc ? 1 : 0;
}

static const char *
one_wrong(const struct screen_milter *x, const struct letter *l, const struct edit_marks *m,
    const struct screen_found *f)
{
	const struct screen_note *n = note_of(x, l);

	if (n != NULL && !is_for(x, l))
		return "a milter was told of what is not for it";
	if (!is_for(x, l))
		return m->there > 0 ? "a milter has edited what is not for it" : NULL;
	/* Kept: one before has failed, and that was the last word. */
	if (n != NULL && !n->broken && !x->warn && !f->kept && (n->refused || n->discarded))
		return "a milter has refused it";
	if (n != NULL && n->wanted && !n->broken && !x->warn && !f->kept)
		return "a milter wants it kept, and a server has it";
	if (m->there == 0)
		return m->missing > 0 ? untouched(x, n, f->kept, f->settled) : NULL;
	if (m->missing > 0)
		return "it is half edited";
	if (n == NULL || n->dead || n->plain)
		return "it has edits of a milter that has failed, or made none";
	return NULL;
}

const char *
screen_wrong(const struct screen *w, const struct letter *l, const struct screen_found *f,
    struct buf *had, struct buf *want, bool *added)
{
	const char *wrong = NULL;
	bool        body = false;

	*added = false;
	/* The body is of the last that wrote one; of those before, that cannot be seen any more. */
	for (unsigned i = w->n; i-- > 0;) {
		const struct screen_milter *x = &w->milter[i];
		bool                        here = x->body && !body && has_body(x, had);
		struct edit_marks           m = { 0 };
		const char                 *why;

		mark_field(&m, x, "", x->adds, had);
		mark_field(&m, x, "-Top", x->tops, had);
		mark(&m, x->body, here ? SEEN_IS : body ? SEEN_UNCLEAR : SEEN_NOT);
		*added |= m.there > 0;
		mark_envelope(&m, x, l, f);
		why = one_wrong(x, l, &m, f);
		wrong = wrong != NULL ? wrong : why;
		if (here)
			new_body(x, l, had, want);
		body |= here;
	}
	return wrong;
}

bool
screen_drops(const struct screen *w, const struct letter *l)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct screen_note *n = note_of(&w->milter[i], l);

		if (w->milter[i].drops && n != NULL && (n->edited || n->broken))
			return true;
	}
	return false;
}

bool
screen_adds(const struct screen *w, const struct letter *l)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct screen_note *n = note_of(&w->milter[i], l);

		if (w->milter[i].bcc && n != NULL && n->edited && !n->broken)
			return true;
	}
	return false;
}

bool
screen_refuses(const struct screen *w, const struct letter *l, unsigned rcpt)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct screen_note *n = note_of(&w->milter[i], l);

		/* Who hears of it with the text cannot refuse a recipient that has its 250. */
		if (n != NULL && !n->broken && !w->milter[i].warn &&
		    w->milter[i].when != SCREEN_SUBJECT && (n->rcpts_refused >> rcpt & 1))
			return true;
	}
	return false;
}

bool
screen_discards(const struct screen *w, const struct letter *l)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct screen_note *n = note_of(&w->milter[i], l);

		if (n != NULL && (n->discarded || n->broken) && !w->milter[i].warn)
			return true;
	}
	return false;
}

bool
screen_keeps(const struct screen *w, const struct letter *l)
{
	for (unsigned i = 0; i < w->n; i++) {
		const struct screen_note *n = note_of(&w->milter[i], l);

		if (w->milter[i].warn)
			continue;
		if (n != NULL && n->wanted)
			return true;
		if (w->milter[i].failure == FAILURE_IS_QUARANTINE && (n == NULL || n->broken))
			return true;
	}
	return false;
}

/* ---- drawing them ---- */

static const char *
say_when(const struct screen_milter *x, char text[60])
{
	switch (x->when) {
	case SCREEN_HELO:
		snprintf(text, 60, " when helo is " SCREEN_CLIENT);
		break;
	case SCREEN_SUBJECT:
		snprintf(text, 60, " when header(\"Subject\") matches \"\\bodd\\b\"");
		break;
	default:
		text[0] = '\0';
		break;
	}
	return text;
}

static enum screen_when
draw_when(struct sim *s)
{
	if (sim_chance(s, 70))
		return SCREEN_ALL;
	return patterns_here() && sim_chance(s, 60) ? SCREEN_SUBJECT : SCREEN_HELO;
}

static void
draw(struct screen *w, struct buf *config)
{
	static const char *const words[] = { "tempfail", "accept", "reject", "quarantine",
		"disconnect" };
	/* NR of headers and texts; all NR; blanks are its own */
	static const uint32_t protocols[] = { 0, 0, 0xc0480, 0xff480, 0x100000, 0x10000400 };
	struct sim           *s = w->sim;
	struct screen_milter *x = &w->milter[w->n];
	struct endpoint       at = { .port = (uint16_t)(8890 + w->n) };
	char                  name[8], when[60];
	size_t                from;

	*x = (struct screen_milter){ .screen = w, .no = w->n++ };
	addr_parse(SV("127.0.0.1"), &at.addr);
	snprintf(name, sizeof(name), "k%u", x->no);
	x->m = sim_milter_new(s, name, &at);
	x->m->decide = decide;
	x->m->arg = x;
	x->m->protocol = protocols[sim_below(s, sizeof(protocols) / sizeof(protocols[0]))];
	x->m->cut = sim_chance(s, 20) ? 1 + sim_below(s, 40) : 0;
	x->failure = (enum screen_failure)sim_below(s, FAILURE_IS_DISCONNECT + 1);
	x->when = draw_when(s);
	x->warn = sim_chance(s, 10);
	x->adds = sim_chance(s, 70);
	x->tops = sim_chance(s, 50);
	x->body = sim_chance(s, 30);
	x->keeps = sim_chance(s, 15);
	x->from = sim_chance(s, 25);
	x->bcc = sim_chance(s, 25);
	x->drops = sim_chance(s, 25);
	x->trouble = sim_chance(s, 40) ? 0 : 1 + (unsigned)sim_below(s, 40);
	x->refusals = sim_chance(s, 40) ? 0 : (unsigned)sim_below(s, 30);
	buf_init(&x->said, 65536);
	buf_reserve(&x->said, 65535);
	from = config->n;
	buf_printf(config,
	    "milter %s%s { socket \"inet:127.0.0.1:%u\" timeout %us on failure %s%s }\n", name,
	    x->warn ? " warn" : "", at.port, 20 + (unsigned)sim_below(s, 100), words[x->failure],
	    say_when(x, when));
	sim_note(s, name, "%.*s", (int)(config->n - from) - 1, config->p + from);
}

void
screen_open(struct screen *w, struct sim *s, struct buf *config)
{
	unsigned n = sim_chance(s, 55) ? 0 : 1 + (unsigned)sim_below(s, SCREEN_MILTERS);

	*w = (struct screen){ .sim = s };
	while (w->n < n)
		draw(w, config);
}

void
screen_free(struct screen *w)
{
	for (unsigned i = 0; i < w->n; i++) {
		struct screen_milter *x = &w->milter[i];

		while (x->notes != NULL) {
			struct screen_note *n = x->notes;

			x->notes = n->next;
			mem_free(n);
		}
		mem_free(x->conn);
		buf_fini(&x->said);
		sim_milter_free(x->m);
	}
}
