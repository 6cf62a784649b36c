/*
 * script -- parses a scenario.  Pure: text in, a struct script out; see player.c for the format.
 *
 * Invariant: after the first mistake `bad` stays and nothing more is understood.
 */
#include <stdlib.h>

#include "tests/sim/script_own.h"

void
script_bad(struct parser *p, const char *why)
{
	if (p->s->bad == NULL) {
		p->s->bad = why;
		p->s->bad_line = p->line;
	}
}

/* ---- words and numbers ---- */

uint64_t
script_number(struct parser *p, struct strv v)
{
	uint64_t unit = 1, n = 0;

	if (v.n > 0 && (v.p[v.n - 1] == 'K' || v.p[v.n - 1] == 'M')) {
		unit = v.p[v.n - 1] == 'K' ? 1024 : 1048576;
		v.n--;
	}
	if (!strv_number(v, UINT64_MAX / unit, &n))
		script_bad(p, "a number is wanted");
	return n * unit;
}

uint64_t
script_duration(struct parser *p, struct strv v)
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
		script_bad(p, "a duration is wanted, such as 10s, 5m or 250ms");
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
	script_bad(p, "an escape is one of \\r \\n \\t \\0 \\\\ \\\" \\xNN");
	return 0;
}

struct strv
script_quoted(struct parser *p, struct strv *v)
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
		script_bad(p, "a quote is not closed");
	*v = strv_trim(strv_from(*v, i < v->n ? i + 1 : v->n));
	return strv(o, n);
}

struct strv
script_octets(struct parser *p, struct strv v)
{
	struct strv out = { "", 0 };
	struct buf  b;

	buf_init(&b, 256u << 20);
	v = strv_trim(v);
	while (v.n > 0 && p->s->bad == NULL) {
		struct strv part = script_quoted(p, &v);
		uint64_t    times = 1;

		if (part.p == NULL)
			script_bad(p, "octets are written \"...\"");
		if (v.n > 0 && v.p[0] == '*') {
			v = strv_from(v, 1);
			times = script_number(p, strv_word(&v));
			v = strv_trim(v);
		}
		while (times-- > 0 && part.n > 0)
			if (!buf_add(&b, part)) {
				script_bad(p, "too many octets");
				break;
			}
	}
	out = arena_dup(p->s->a, buf_view(&b));
	buf_fini(&b);
	return out;
}

struct strv
script_cut(struct strv *v, char at)
{
	struct strv all = *v;
	bool        in = false;

	for (size_t i = 0; i < v->n; i++) {
		if (in && v->p[i] == '\\')
			i++;
		else if (v->p[i] == '"')
			in = !in;
		else if (v->p[i] == at && !in) {
			*v = strv_from(all, i + 1);
			return strv_first(all, i);
		}
	}
	*v = (struct strv){ 0 };
	return all;
}

/* ---- sections ---- */

static void
section_end(struct parser *p)
{
	struct strv text = arena_dup(p->s->a, buf_view(&p->text));

	if (p->in == IN_CONFIG && p->other)
		p->s->other[p->s->n_other - 1].text = text;
	else if (p->in == IN_CONFIG)
		p->s->config = text;
	if (p->in == IN_FILE)
		p->s->file[p->s->n_file - 1].text = text;
	if (p->in == IN_CLIENT && p->repeat > 0)
		script_bad(p, "repeat without end");
	buf_clear(&p->text);
}

/* The configuration, or one for a reload, by its name. */
static void
config_begin(struct parser *p, struct strv name)
{
	struct script *s = p->s;

	p->in = IN_CONFIG;
	p->other = name.n > 0;
	if (!p->other)
		return;
	s->other = arena_grow(s->a, s->other, &s->max_other, s->n_other + 1, sizeof(*s->other));
	s->other[s->n_other++] = (struct script_file){ .path = name };
}

static void
section_begin(struct parser *p, struct strv v)
{
	struct script *s = p->s;
	struct strv    word = strv_word(&v);

	section_end(p);
	p->in = IN_NONE;
	if (strv_eq(word, SV("config")))
		config_begin(p, strv_word(&v));
	else if (strv_eq(word, SV("file"))) {
		p->in = IN_FILE;
		s->file = arena_grow(s->a, s->file, &s->max_file, s->n_file + 1, sizeof(*s->file));
		s->file[s->n_file++] = (struct script_file){ .path = strv_word(&v) };
	} else if (strv_eq(word, SV("client"))) {
		p->in = IN_CLIENT;
		script_client_begin(p, v);
	} else if (strv_eq(word, SV("upstream"))) {
		p->in = IN_UPSTREAM;
		script_up_begin(p, v);
	} else if (strv_eq(word, SV("milter"))) {
		p->in = IN_MILTER;
		script_milter_begin(p, v);
	} else if (strv_eq(word, SV("dns")))
		p->in = IN_DNS;
	else if (strv_eq(word, SV("expect")))
		p->in = IN_EXPECT;
	else if (strv_eq(word, SV("sndbuf")))
		s->sndbuf = script_number(p, strv_word(&v));
	else
		script_bad(p,
		    "a section is config, file, client, upstream, milter, dns, expect or sndbuf");
}

static void
inner_line(struct parser *p, struct strv v)
{
	switch (p->in) {
	case IN_NONE:
		script_bad(p, "this line is in no section");
		break;
	case IN_CONFIG:
	case IN_FILE:
		buf_add(&p->text, v);
		buf_addc(&p->text, '\n');
		break;
	case IN_CLIENT:
		script_client_line(p, v);
		break;
	case IN_UPSTREAM:
		script_up_line(p, v);
		break;
	case IN_MILTER:
		script_milter_line(p, v);
		break;
	case IN_DNS:
		script_dns_line(p, v);
		break;
	case IN_EXPECT:
		script_expect_line(p, v);
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
	if (s->n_up == 0)
		script_up_begin(&p, (struct strv){ NULL, 0 });
	buf_fini(&p.text);
	if (s->n_client == 0)
		script_bad(&p, "no client");
	return s;
}
