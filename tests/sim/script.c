/*
 * script -- parses a scenario.  Pure: text in, a struct script out; see player.c for the format.
 *
 * Invariant: after the first mistake `bad` stays and nothing more is understood.
 */
#include <stdlib.h>

#include "tests/sim/script.h"

enum section { IN_NONE, IN_CONFIG, IN_FILE, IN_CLIENT, IN_UPSTREAM, IN_EXPECT };

#define REPEAT_MAX 200000

struct parser {
	struct script        *s;
	unsigned              line;
	enum section          in;
	struct buf            text; /* config or file under way */
	struct client_script *c;
	unsigned              repeat_from; /* first step of `repeat` */
	uint64_t              repeat;      /* 0: none open */
};

static void
bad(struct parser *p, const char *why)
{
	if (p->s->bad == NULL) {
		p->s->bad = why;
		p->s->bad_line = p->line;
	}
}

/* ---- words and numbers ---- */

static uint64_t
number(struct parser *p, struct strv v)
{
	uint64_t unit = 1, n = 0;

	if (v.n > 0 && (v.p[v.n - 1] == 'K' || v.p[v.n - 1] == 'M')) {
		unit = v.p[v.n - 1] == 'K' ? 1024 : 1048576;
		v.n--;
	}
	if (!strv_number(v, UINT64_MAX / unit, &n))
		bad(p, "a number is wanted");
	return n * unit;
}

/* 10s, 5m, 1h, 250ms */
static uint64_t
duration(struct parser *p, struct strv v)
{
	uint64_t unit, n = 0;

	if (strv_ends(v, SV("ms"))) {
		unit = 1;
		v.n -= 2;
	} else if (v.n > 0) {
		char c = v.p[--v.n];

		unit = c == 's' ? 1000 : c == 'm' ? 60000 : c == 'h' ? 3600000 : 0;
	} else
		unit = 0;
	if (unit == 0 || !strv_number(v, UINT64_MAX / unit, &n))
		bad(p, "a duration is wanted, such as 10s, 5m or 250ms");
	return n * unit;
}

static int
hex(char c)
{
	if (ascii_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape behind a backslash: how many octets of v were taken. */
static size_t
escape(struct parser *p, struct strv v, char *out)
{
	static const char from[] = "rnt0\\\"", to[] = "\r\n\t\0\\\"";
	const char       *at = v.n > 0 ? memchr(from, v.p[0], sizeof(from) - 1) : NULL;

	if (at != NULL) {
		*out = to[at - from];
		return 1;
	}
	if (v.n >= 3 && v.p[0] == 'x' && hex(v.p[1]) >= 0 && hex(v.p[2]) >= 0) {
		*out = (char)(hex(v.p[1]) * 16 + hex(v.p[2]));
		return 3;
	}
	bad(p, "an escape is one of \\r \\n \\t \\0 \\\\ \\\" \\xNN");
	return 0;
}

/* "octets" at the start of *v; absent: it does not begin with a quote. */
static struct strv
quoted(struct parser *p, struct strv *v)
{
	struct strv out = { 0 };
	size_t      n = 0, i = 1;
	char       *o;

	if (v->n == 0 || v->p[0] != '"')
		return out;
	o = arena_bytes(p->s->a, v->n);
	for (; i < v->n && v->p[i] != '"'; i++) {
		if (v->p[i] == '\\')
			i += escape(p, strv_from(*v, i + 1), &o[n++]);
		else
			o[n++] = v->p[i];
	}
	if (i >= v->n)
		bad(p, "a quote is not closed");
	*v = strv_trim(strv_from(*v, i < v->n ? i + 1 : v->n));
	return strv(o, n);
}

/* "octets" * 100 "more" */
static struct strv
octets(struct parser *p, struct strv v)
{
	struct strv out = { "", 0 };
	struct buf  b;

	buf_init(&b, 256u << 20);
	v = strv_trim(v);
	while (v.n > 0 && p->s->bad == NULL) {
		struct strv part = quoted(p, &v);
		uint64_t    times = 1;

		if (part.p == NULL)
			bad(p, "octets are written \"...\"");
		if (v.n > 0 && v.p[0] == '*') {
			v = strv_from(v, 1);
			times = number(p, strv_word(&v));
			v = strv_trim(v);
		}
		while (times-- > 0 && part.n > 0)
			if (!buf_add(&b, part)) {
				bad(p, "too many octets");
				break;
			}
	}
	out = arena_dup(p->s->a, buf_view(&b));
	buf_fini(&b);
	return out;
}

/* ---- client ---- */

static struct step *
step(struct parser *p, enum step_op op)
{
	struct client_script *c = p->c;
	struct step          *s;

	c->step = arena_grow(p->s->a, c->step, &c->max, c->n + 1, sizeof(*c->step));
	s = &c->step[c->n++];
	*s = (struct step){ .op = op, .line = p->line };
	return s;
}

static void
client_begin(struct parser *p, struct strv v)
{
	struct script *s = p->s;
	struct strv    word;

	s->client = arena_grow(
	    s->a, s->client, &s->max_client, s->n_client + 1, sizeof(*s->client));
	p->c = &s->client[s->n_client++];
	*p->c =
	    (struct client_script){ .line = p->line, .from.port = (uint16_t)(40000 + s->n_client) };
	p->c->name = arena_printf(s->a, "c%u", s->n_client);
	addr_parse(SV("198.51.100.9"), &p->c->from.addr);
	while ((word = strv_word(&v)).n > 0) {
		if (strv_eq(word, SV("to")))
			p->c->to = strv_word(&v);
		else if (!addr_parse(word, &p->c->from.addr))
			p->c->name = word;
	}
}

static struct strv
with_index(struct parser *p, struct strv v, uint64_t i)
{
	struct strv out = { "", 0 };
	size_t      n;

	if (v.n == 0 || memmem(v.p, v.n, "%i", 2) == NULL)
		return v;
	while ((n = strv_chr(v, '%')) < v.n) {
		bool index = n + 1 < v.n && v.p[n + 1] == 'i';

		out = arena_concat(p->s->a, out, strv_first(v, index ? n : n + 1));
		if (index)
			out = arena_concat(
			    p->s->a, out, arena_printf(p->s->a, "%llu", (unsigned long long)i));
		v = strv_from(v, index ? n + 2 : n + 1);
	}
	return arena_concat(p->s->a, out, v);
}

static void
repeat_end(struct parser *p)
{
	unsigned from = p->repeat_from, n = p->c->n - from;

	for (uint64_t i = 2; i <= p->repeat; i++)
		for (unsigned k = 0; k < n; k++) {
			struct step s = p->c->step[from + k];

			s.text = with_index(p, s.text, i);
			*step(p, s.op) = s;
		}
	for (unsigned k = 0; k < n; k++)
		p->c->step[from + k].text = with_index(p, p->c->step[from + k].text, 1);
	p->repeat = 0;
}

static void
expect_line(struct parser *p, struct strv v)
{
	uint64_t code;

	if (v.n == 6 && strv_ends(v, SV("...")) && strv_number(strv_first(v, 3), 999, &code))
		step(p, STEP_REPLY)->a = code;
	else
		step(p, STEP_LINE)->text = v;
}

/* Words of a client that take at most one duration, number or name. */
static bool
client_word(struct parser *p, struct strv word, struct strv rest)
{
	static const struct {
		const char  *word;
		enum step_op op;
		char         arg;
	} words[] = {
		{ "closed", STEP_CLOSED, 0 },
		{ "nothing", STEP_NOTHING, 'D' },
		{ "ignore", STEP_IGNORE, 0 },
		{ "wait", STEP_WAIT, 'd' },
		{ "within", STEP_WITHIN, 'd' },
		{ "elapsed", STEP_ELAPSED, '2' },
		{ "close", STEP_CLOSE, 0 },
		{ "halfclose", STEP_HALFCLOSE, 0 },
		{ "reset", STEP_RESET, 0 },
		{ "cut", STEP_CUT, 'n' },
		{ "deaf", STEP_DEAF, 0 },
		{ "listen", STEP_LISTEN, 0 },
		{ "flush", STEP_FLUSH, 0 },
		{ "starttls", STEP_STARTTLS, 0 },
		{ "signal", STEP_SIGNAL, 'w' },
		{ "await", STEP_AWAIT, 'w' },
		{ "drain", STEP_DRAIN, 0 },
		{ "abort", STEP_ABORT, 0 },
		{ "disk-full", STEP_DISK_FULL, 0 },
		{ "disk-free", STEP_DISK_FREE, 0 },
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct step *s;

		if (!strv_eq(word, strv_z(words[i].word)))
			continue;
		s = step(p, words[i].op);
		if (words[i].arg == 'd' || words[i].arg == '2' ||
		    (words[i].arg == 'D' && rest.n > 0))
			s->a = duration(p, strv_word(&rest));
		if (words[i].arg == '2')
			s->b = duration(p, strv_word(&rest));
		if (words[i].arg == 'n')
			s->a = number(p, strv_word(&rest));
		if (words[i].arg == 'w')
			s->text = strv_word(&rest);
		if (strv_trim(rest).n > 0)
			bad(p, "too many words");
		return true;
	}
	return false;
}

static void
client_line(struct parser *p, struct strv v)
{
	struct strv rest = v, word = strv_word(&rest);
	struct strv arg = rest.n > 0 ? strv_from(rest, 1) : strv("", 0);

	if (strv_eq(word, SV(">")))
		step(p, STEP_SEND)->text = arena_concat(p->s->a, arg, SV("\r\n"));
	else if (strv_eq(word, SV(">>")))
		step(p, STEP_SEND)->text = octets(p, arg);
	else if (strv_eq(word, SV("<")))
		expect_line(p, arg);
	else if (strv_eq(word, SV("repeat"))) {
		p->repeat = number(p, strv_word(&rest));
		p->repeat_from = p->c->n;
		if (p->repeat < 1 || p->repeat > REPEAT_MAX)
			bad(p, "repeat what?");
	} else if (strv_eq(word, SV("end")) && p->repeat > 0)
		repeat_end(p);
	else if (!client_word(p, word, strv_trim(rest)))
		bad(p, "no such word in a client");
}

/* ---- upstream ---- */

static void
action(struct parser *p, struct rule *r, struct strv v)
{
	struct strv       whole = strv_trim(v), rest = whole, word = strv_word(&rest);
	struct up_answer *a = &r->answer;

	rest = strv_trim(rest);
	if (strv_eq(word, SV("say"))) {
		a->says = true;
		a->say = rest.n > 0 && rest.p[0] == '"' ? octets(p, rest) :
							  arena_concat(p->s->a, rest, SV("\r\n"));
	} else if (strv_eq(word, SV("delay")))
		a->delay = duration(p, rest);
	else if (strv_eq(word, SV("deaf")))
		a->deaf = duration(p, rest);
	else if (strv_eq(word, SV("drop")))
		a->drop = true;
	else if (strv_eq(word, SV("reset")))
		a->reset = true;
	else if (strv_eq(word, SV("stall")))
		a->stall = true;
	else if (strv_eq(word, SV("commit")))
		a->commit = true;
	else if (strv_eq(word, SV("refuse")))
		a->refuse = true;
	else if (strv_eq(word, SV("black-hole")))
		a->black_hole = true;
	else if (!strv_eq(word, SV("ok")))
		bad(p, "no such action of an upstream");
}

/* Cuts at the first ';' outside of quotes. */
static struct strv
cut_action(struct strv *v)
{
	bool in = false;

	for (size_t i = 0; i < v->n; i++) {
		if (v->p[i] == '"' && (i == 0 || v->p[i - 1] != '\\'))
			in = !in;
		if (v->p[i] == ';' && !in) {
			struct strv out = strv_first(*v, i);

			*v = strv_from(*v, i + 1);
			return out;
		}
	}
	struct strv all = *v;
	*v = (struct strv){ 0 };
	return all;
}

static void
stage_of(struct rule *r, struct strv word)
{
	static const struct {
		const char   *word;
		enum up_stage stage;
	} stages[] = {
		{ "connect", UP_CONNECT },
		{ "greeting", UP_GREETING },
		{ "TEXT", UP_TEXT },
		{ "CHUNK", UP_CHUNK },
		{ "DOT", UP_DOT },
	};

	r->stage = UP_COMMAND;
	if (!strv_eq(word, SV("*")))
		r->verb = word;
	for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (strv_eq(word, strv_z(stages[i].word)))
			r->stage = stages[i].stage;
}

static void
rule_line(struct parser *p, struct strv v, bool once)
{
	struct script *s = p->s;
	struct rule   *r;

	s->rule = arena_grow(s->a, s->rule, &s->max_rule, s->n_rule + 1, sizeof(*s->rule));
	r = &s->rule[s->n_rule++];
	*r = (struct rule){ .line = p->line, .first = 1, .last = once ? 1 : UINT64_MAX };
	stage_of(r, strv_word(&v));
	for (;;) {
		struct strv rest, word;

		v = strv_trim(v);
		if (v.n > 0 && v.p[0] == '"') {
			r->pattern = quoted(p, &v);
			continue;
		}
		rest = v;
		word = strv_word(&rest);
		if (strv_eq(word, SV("from")))
			r->first = number(p, strv_word(&rest));
		else if (strv_eq(word, SV("to")))
			r->last = number(p, strv_word(&rest));
		else if (strv_eq(word, SV("at")))
			r->at = number(p, strv_word(&rest));
		else
			break;
		v = rest;
	}
	while (v.p != NULL)
		action(p, r, cut_action(&v));
}

static void
upstream_line(struct parser *p, struct strv v)
{
	struct strv rest = v, word = strv_word(&rest);

	rest = strv_trim(rest);
	if (strv_eq(word, SV("offers")))
		p->s->offers = strv_eq(rest, SV("none")) ? SV("") : rest;
	else if (strv_eq(word, SV("helo-only")))
		p->s->helo_only = true;
	else if (strv_eq(word, SV("lax")))
		p->s->lax = true;
	else if (strv_eq(word, SV("cut")))
		p->s->up_cut = number(p, rest);
	else if (strv_eq(word, SV("on")) || strv_eq(word, SV("once")))
		rule_line(p, rest, strv_eq(word, SV("once")));
	else
		bad(p, "no such word in an upstream");
}

/* ---- expect ---- */

static void
expect_check(struct parser *p, struct strv v)
{
	static const struct {
		const char   *word;
		enum check_op op;
		char          arg;
	} words[] = {
		{ "upstream", CHECK_UPSTREAM, 't' },
		{ "next", CHECK_NEXT, 't' },
		{ "no-upstream", CHECK_NO_UPSTREAM, 't' },
		{ "times", CHECK_TIMES, 'b' },
		{ "connections", CHECK_CONNECTIONS, 'n' },
		{ "log", CHECK_LOG, 't' },
		{ "no-log", CHECK_NO_LOG, 't' },
		{ "log-times", CHECK_LOG_TIMES, 'b' },
		{ "messages", CHECK_MESSAGES, 'n' },
		{ "message", CHECK_MESSAGE, 'n' },
		{ "from", CHECK_FROM, 't' },
		{ "rcpt", CHECK_RCPT, 't' },
		{ "rcpts", CHECK_RCPTS, 'n' },
		{ "|", CHECK_TEXT, 'l' },
		{ ">>", CHECK_TEXT, 'o' },
		{ "has", CHECK_HAS, 't' },
		{ "lacks", CHECK_LACKS, 't' },
		{ "octets", CHECK_OCTETS, 'n' },
		{ "via", CHECK_VIA, 't' },
	};
	struct strv    rest = v, word = strv_word(&rest);
	struct script *s = p->s;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct check *c;
		char          arg = words[i].arg;

		if (!strv_eq(word, strv_z(words[i].word)))
			continue;
		s->check = arena_grow(s->a, s->check, &s->max_check, s->n_check + 1, sizeof(*c));
		c = &s->check[s->n_check++];
		*c = (struct check){ .op = words[i].op, .line = p->line };
		if (arg == 'n' || arg == 'b')
			c->n = number(p, strv_word(&rest));
		if (arg == 't' || arg == 'b')
			c->text = strv_trim(rest);
		if (arg == 'o')
			c->text = octets(p, rest);
		if (arg == 'l')
			c->text = arena_concat(
			    s->a, rest.n > 0 ? strv_from(rest, 1) : rest, SV("\r\n"));
		return;
	}
	bad(p, "no such expectation");
}

/* ---- sections ---- */

static void
section_end(struct parser *p)
{
	struct strv text = arena_dup(p->s->a, buf_view(&p->text));

	if (p->in == IN_CONFIG)
		p->s->config = text;
	if (p->in == IN_FILE)
		p->s->file[p->s->n_file - 1].text = text;
	if (p->in == IN_CLIENT && p->repeat > 0)
		bad(p, "repeat without end");
	buf_clear(&p->text);
}

static void
section_begin(struct parser *p, struct strv v)
{
	struct script *s = p->s;
	struct strv    word = strv_word(&v);

	section_end(p);
	p->in = IN_NONE;
	if (strv_eq(word, SV("config")))
		p->in = IN_CONFIG;
	else if (strv_eq(word, SV("file"))) {
		p->in = IN_FILE;
		s->file = arena_grow(s->a, s->file, &s->max_file, s->n_file + 1, sizeof(*s->file));
		s->file[s->n_file++] = (struct script_file){ .path = strv_word(&v) };
	} else if (strv_eq(word, SV("client"))) {
		p->in = IN_CLIENT;
		client_begin(p, v);
	} else if (strv_eq(word, SV("upstream")))
		p->in = IN_UPSTREAM;
	else if (strv_eq(word, SV("expect")))
		p->in = IN_EXPECT;
	else if (strv_eq(word, SV("sndbuf")))
		s->sndbuf = number(p, strv_word(&v));
	else
		bad(p, "a section is config, file, client, upstream, expect or sndbuf");
}

static void
inner_line(struct parser *p, struct strv v)
{
	switch (p->in) {
	case IN_NONE:
		bad(p, "this line is in no section");
		break;
	case IN_CONFIG:
	case IN_FILE:
		buf_add(&p->text, v);
		buf_addc(&p->text, '\n');
		break;
	case IN_CLIENT:
		client_line(p, v);
		break;
	case IN_UPSTREAM:
		upstream_line(p, v);
		break;
	case IN_EXPECT:
		expect_check(p, v);
		break;
	}
}

/* Without the blanks in front; those at the end count. */
static struct strv
unindent(struct strv v)
{
	while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
		v = strv_from(v, 1);
	return v;
}

struct script *
script_parse(struct arena *a, struct strv path, struct strv text)
{
	struct script *s = arena_alloc(a, sizeof(*s));
	struct parser  p = { .s = s };

	s->a = a;
	s->path = path;
	buf_init(&p.text, 1 << 20);
	while (text.p != NULL && s->bad == NULL) {
		struct strv line = strv_cut(&text, '\n'), v = unindent(line);

		p.line++;
		if (v.n > 0 && v.p[0] == '#') {
			if (s->title.p == NULL)
				s->title = strv_trim(strv_from(v, 1));
		} else if (v.n == 0)
			continue;
		else if (v.p == line.p)
			section_begin(&p, v);
		else
			inner_line(&p, v);
	}
	section_end(&p);
	buf_fini(&p.text);
	if (s->n_client == 0)
		bad(&p, "no client");
	return s;
}
