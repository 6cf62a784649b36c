/*
 * script_milter -- the lines of a `milter` section: what it negotiates, and its rules.
 *
 * Pure.  Invariant: a rule's octets are made here once, by sim_milter_pack, and live in the script's arena.
 */
#include "tests/sim/script_own.h"

/* ---- words of a negotiation: mfdef.h's SMFIF_* and SMFIP_* ---- */

struct bit {
	const char *word;
	uint32_t    bit;
};

static const struct bit actions[] = {
	{ "none", 0 },
	{ "add-headers", 0x1 },
	{ "change-body", 0x2 },
	{ "add-rcpts", 0x4 },
	{ "delete-rcpts", 0x8 },
	{ "change-headers", 0x10 },
	{ "quarantine", 0x20 },
	{ "change-from", 0x40 },
	{ "add-rcpts-par", 0x80 },
	{ "set-symlist", 0x100 },
	{ NULL, 0 },
};

static const struct bit protocol[] = {
	{ "no-connect", 0x1 },
	{ "no-helo", 0x2 },
	{ "no-mail", 0x4 },
	{ "no-rcpt", 0x8 },
	{ "no-body", 0x10 },
	{ "no-headers", 0x20 },
	{ "no-eoh", 0x40 },
	{ "nr-header", 0x80 },
	{ "no-unknown", 0x100 },
	{ "no-data", 0x200 },
	{ "skip", 0x400 },
	{ "rcpt-rej", 0x800 },
	{ "nr-connect", 0x1000 },
	{ "nr-helo", 0x2000 },
	{ "nr-mail", 0x4000 },
	{ "nr-rcpt", 0x8000 },
	{ "nr-data", 0x10000 },
	{ "nr-unknown", 0x20000 },
	{ "nr-eoh", 0x40000 },
	{ "nr-body", 0x80000 },
	{ "leading-space", 0x100000 },
	{ "256k", 0x10000000 },
	{ "1m", 0x20000000 },
	{ NULL, 0 },
};

static uint32_t
bits(struct parser *p, const struct bit *table, struct strv v)
{
	uint32_t    all = 0;
	struct strv word;

	while ((word = strv_word(&v)).n > 0) {
		const struct bit *b = table;

		while (b->word != NULL && !strv_eq(word, strv_z(b->word)))
			b++;
		if (b->word == NULL)
			script_bad(p, "no such word of a milter's negotiation");
		all |= b->bit;
	}
	return all;
}

/* PLACE NAMES: mfapi.h's SMFIM_*, a number and the names with a NUL. */
static void
symlist(struct parser *p, struct milter_script *m, struct strv v)
{
	static const char *const places[] = { "connect", "helo", "mail", "rcpt", "data", "eom",
		"eoh" };
	struct strv              place = strv_word(&v);
	struct buf               b;
	uint32_t                 n = 0;

	while (n < 7 && !strv_eq(place, strv_z(places[n])))
		n++;
	if (n == 7)
		script_bad(p,
		    "symlist PLACE NAMES; a place is connect, helo, mail, rcpt, data, "
		    "eom or eoh");
	buf_init(&b, 65536);
	buf_add(&b, m->symlist);
	sim_milter_pack_u32(&b, n);
	buf_add(&b, strv_trim(v));
	buf_addc(&b, '\0');
	m->symlist = arena_dup(p->s->a, buf_view(&b));
	buf_fini(&b);
}

/* ---- what it says ---- */

static const struct answer_word {
	const char *word;
	char        letter;
	const char
	    *args; /* t: "text"; n: a number; o: "text" that may lack; b: octets, as they are */
} answers[] = {
	{ "continue", 'c', "" },
	{ "accept", 'a', "" },
	{ "reject", 'r', "" },
	{ "tempfail", 't', "" },
	{ "discard", 'd', "" },
	{ "skip", 's', "" },
	{ "conn-fail", 'f', "" },
	{ "shutdown", '4', "" },
	{ "progress", 'p', "" },
	{ "reply", 'y', "t" },
	{ "quarantine", 'q', "t" },
	{ "add-header", 'h', "tt" },
	{ "insert-header", 'i', "ntt" },
	{ "change-header", 'm', "ntt" },
	{ "add-rcpt", '+', "t" },
	{ "add-rcpt-par", '2', "to" },
	{ "delete-rcpt", '-', "t" },
	{ "change-from", 'e', "to" },
	{ "replace-body", 'b', "b" },
};

/* The text of one argument; the last may be octets of many pieces. */
static struct strv
text_arg(struct parser *p, struct strv *v, bool last)
{
	struct strv out;

	if (last) {
		out = script_octets(p, *v);
		*v = strv_from(*v, v->n);
		return out;
	}
	out = script_quoted(p, v);
	if (out.p == NULL)
		script_bad(p, "a text is written \"...\"");
	return out;
}

static struct milter_deed
said(struct parser *p, char letter, struct strv octets)
{
	struct milter_deed d = { .op = DEED_SAY, .letter = letter };

	d.octets = arena_dup(p->s->a, octets);
	return d;
}

static struct milter_deed
answer(struct parser *p, const struct answer_word *w, struct strv v)
{
	struct milter_deed d;
	struct buf         data, all;

	buf_init(&data, WIRE_MAX);
	buf_init(&all, WIRE_MAX);
	for (const char *a = w->args; *a != '\0'; a++) {
		v = strv_trim(v);
		if (*a == 'n')
			sim_milter_pack_u32(&data, (uint32_t)script_number(p, strv_word(&v)));
		else if (*a != 'o' || v.n > 0) {
			buf_add(&data, text_arg(p, &v, a[1] == '\0'));
			if (*a != 'b')
				buf_addc(&data, '\0');
		}
	}
	if (strv_trim(v).n > 0)
		script_bad(p, "too many words for that answer");
	sim_milter_pack(&all, w->letter, buf_view(&data));
	d = said(p, w->letter, buf_view(&all));
	buf_fini(&data);
	buf_fini(&all);
	return d;
}

/* A packet of any letter and any data, its length right. */
static struct milter_deed
packet(struct parser *p, struct strv v)
{
	struct strv        data = script_octets(p, v);
	struct milter_deed d;
	struct buf         all;

	buf_init(&all, WIRE_MAX);
	sim_milter_pack_u32(&all, (uint32_t)data.n);
	buf_add(&all, data);
	d = said(p, 0, buf_view(&all));
	buf_fini(&all);
	return d;
}

static bool
other_deed(struct parser *p, struct strv word, struct strv v, struct milter_deed *d)
{
	static const struct {
		const char         *word;
		enum milter_deed_op op;
		char                arg;
	} words[] = {
		{ "delay", DEED_WAIT, 'd' },
		{ "close", DEED_CLOSE, 0 },
		{ "reset", DEED_RESET, 0 },
		{ "hang", DEED_HANG, 0 },
		{ "deaf", DEED_DEAF, 0 },
		{ "refuse", DEED_REFUSE, 0 },
		{ "again", DEED_AGAIN, 0 },
		{ "black-hole", DEED_BLACK_HOLE, 0 },
		{ "cut", DEED_CUT, 'n' },
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strv_eq(word, strv_z(words[i].word)))
			continue;
		*d = (struct milter_deed){ .op = words[i].op };
		if (words[i].arg == 'd')
			d->n = script_duration(p, strv_word(&v));
		else if (words[i].arg == 'n')
			d->n = script_number(p, strv_word(&v));
		if (strv_trim(v).n > 0)
			script_bad(p, "too many words for that deed");
		return true;
	}
	return false;
}

static struct milter_deed
deed(struct parser *p, struct strv v)
{
	struct strv        rest = strv_trim(v), word = strv_word(&rest);
	struct milter_deed d = { .op = DEED_WAIT };

	for (unsigned i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strv_eq(word, strv_z(answers[i].word)))
			return answer(p, &answers[i], rest);
	if (strv_eq(word, SV(">>")))
		return said(p, 0, script_octets(p, rest));
	if (strv_eq(word, SV("packet")))
		return packet(p, rest);
	if (!other_deed(p, word, rest, &d))
		script_bad(p, "no such deed of a milter");
	return d;
}

static void
deeds(struct parser *p, struct milter_on *r, struct strv v)
{
	if (strv_eq(strv_trim(v), SV("nothing")))
		return;
	while (v.p != NULL) {
		if (r->plan->n == MILTER_DEEDS) {
			script_bad(p, "too many deeds at one moment");
			return;
		}
		r->plan->deed[r->plan->n++] = deed(p, script_cut(&v, ';'));
	}
}

/* ---- lines ---- */

static void
verb_of(struct parser *p, struct milter_on *r, struct strv word)
{
	static const char *const verbs[] = { "DIAL", "OFFER", "MACROS", "CONNECT", "HELO", "MAIL",
		"RCPT", "DATA", "HEADER", "EOH", "BODY", "EOM", "UNKNOWN", "ABORT", "QUIT" };

	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strv_ieq(word, strv_z(verbs[i]))) {
			r->verb = strv_z(verbs[i]);
			return;
		}
	script_bad(p,
	    "a milter's rule is for dial, offer, macros, connect, helo, mail, rcpt, data, "
	    "header, eoh, body, eom, unknown, abort or quit");
}

/* STAGE ["PATTERN"] [from N] [to N] [conn N] DEED [; DEED]... */
static void
rule_line(struct parser *p, struct milter_script *m, struct strv v, bool once)
{
	struct milter_on *r;

	m->rule = arena_grow(p->s->a, m->rule, &m->max_rule, m->n_rule + 1, sizeof(*m->rule));
	r = &m->rule[m->n_rule++];
	*r = (struct milter_on){ .first = 1, .last = once ? 1 : UINT64_MAX };
	r->plan = arena_alloc(p->s->a, sizeof(*r->plan));
	verb_of(p, r, strv_word(&v));
	for (;;) {
		struct strv rest, word;

		v = strv_trim(v);
		if (v.n > 0 && v.p[0] == '"') {
			r->pattern = script_quoted(p, &v);
			continue;
		}
		rest = v;
		word = strv_word(&rest);
		if (strv_eq(word, SV("from")))
			r->first = script_number(p, strv_word(&rest));
		else if (strv_eq(word, SV("to")))
			r->last = script_number(p, strv_word(&rest));
		else if (strv_eq(word, SV("conn")))
			r->conn = (unsigned)script_number(p, strv_word(&rest));
		else
			break;
		v = rest;
	}
	deeds(p, r, v);
}

/* [NAME] [ADDRESS]: "m" at 127.0.0.1:8890; the next one, without an address, at 8891. */
void
script_milter_begin(struct parser *p, struct strv v)
{
	struct script        *s = p->s;
	struct strv           name = strv_word(&v), where = strv_word(&v);
	struct milter_script *m;
	const char           *why;

	if (where.n == 0 && strv_chr(name, ':') < name.n) {
		where = name;
		name.n = 0;
	}
	s->milter = arena_grow(
	    s->a, s->milter, &s->max_milter, s->n_milter + 1, sizeof(*s->milter));
	m = &s->milter[s->n_milter++];
	*m = (struct milter_script){ .name = name.n > 0 ? name : SV("m"),
		.actions = MILTER_OFFERED };
	addr_parse(SV("127.0.0.1"), &m->at.addr);
	m->at.port = (uint16_t)(8889 + s->n_milter);
	if (where.n > 0 && !endpoint_parse(s->a, where, &m->at, &why))
		script_bad(p, why);
}

void
script_milter_line(struct parser *p, struct strv v)
{
	struct strv           rest = v, word = strv_word(&rest);
	struct milter_script *m = &p->s->milter[p->s->n_milter - 1];

	rest = strv_trim(rest);
	if (strv_eq(word, SV("version")))
		m->version = (uint32_t)script_number(p, rest);
	else if (strv_eq(word, SV("actions")))
		m->actions = bits(p, actions, rest);
	else if (strv_eq(word, SV("protocol")))
		m->protocol = bits(p, protocol, rest);
	else if (strv_eq(word, SV("symlist")))
		symlist(p, m, rest);
	else if (strv_eq(word, SV("cut")))
		m->cut = script_number(p, rest);
	else if (strv_eq(strv_trim(v), SV("lax")))
		m->lax = true;
	else if (strv_eq(word, SV("on")) || strv_eq(word, SV("once")))
		rule_line(p, m, rest, strv_eq(word, SV("once")));
	else
		script_bad(p, "no such word in a milter");
}
