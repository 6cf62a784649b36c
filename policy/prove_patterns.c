/*
 * prove_patterns -- a text that a regular expression finds, made from the expression itself.
 *
 * Not for all of PCRE2: what is made is a guess, and whoever takes it asks the pattern whether it is
 * found.  Look-arounds and back references are left out, of alternatives the n-th is taken.
 */
#include "policy/prove.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

#define DEPTH_MAX  20
#define REPEAT_MAX 20
#define OCTETS_MAX 240 /* of what is made: a name is not longer */

struct maker {
	struct strv v;
	size_t      at;
	unsigned    branch, depth; /* which alternative */
	struct buf *out;
};

static bool
more(const struct maker *m)
{
	return m->at < m->v.n;
}

static char
class_octet(char c)
{
	switch (c) {
	case 'd':
		return '1';
	case 's':
		return ' ';
	case 'W':
		return '-';
	default:
		return 'a'; /* \w, \S, \D, \h ... */
	}
}

/* Behind the backslash. */
static void
make_escape(struct maker *m)
{
	char c = more(m) ? m->v.p[m->at++] : '\\';

	if (c != '\0' && strchr("AzZbBGKQE", c) != NULL)
		return;
	buf_addc(m->out, ascii_is_alpha(c) ? class_octet(c) : c);
}

/* "[:digit:]", "\\d" or one octet, in front of what follows. */
static size_t
member_octets(struct strv v)
{
	if (v.p[0] == '\\' && v.n > 1)
		return 2;
	if (!strv_starts(v, SV("[:")))
		return 1;
	for (size_t n = 2; n + 1 < v.n && (ascii_is_alpha(v.p[n]) || v.p[n] == ':'); n++) {
		if (v.p[n] == ':')
			return v.p[n + 1] == ']' ? n + 2 : 1;
	}
	return 1;
}

/* One of "[:digit:]" and its like. */
static char
named_octet(struct strv v)
{
	static const struct {
		const char *name;
		char        octet;
	} names[] = { { "[:digit:]", '1' }, { "[:space:]", ' ' }, { "[:blank:]", ' ' },
		{ "[:upper:]", 'A' }, { "[:punct:]", '-' } };

	if (member_octets(v) == 1)
		return v.p[0];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strv_starts(v, strv_z(names[i].name)))
			return names[i].octet;
	}
	return 'a'; /* alpha, alnum, lower, word, xdigit ... */
}

/* Behind the bracket: the first member, or what is hardly one where it is turned round. */
static void
make_set(struct maker *m)
{
	static const char likely[] = "ax1-_.%";
	size_t            from = m->at, n;
	bool              not_in = more(m) && m->v.p[m->at] == '^';
	struct strv       set;
	char              c;

	m->at += not_in;
	from = m->at;
	m->at += more(m) && m->v.p[m->at] == ']';
	while (more(m) && m->v.p[m->at] != ']')
		m->at += member_octets(strv_from(m->v, m->at));
	set = strv(m->v.p + from, m->at - from);
	m->at += more(m);
	if (!not_in) {
		c = set.n == 0 ? 'a' : set.p[0] == '\\' && set.n > 1 ? set.p[1] : set.p[0];
		if (strv_starts(set, SV("[:")))
			c = named_octet(set);
		if (set.n > 1 && set.p[0] == '\\' && ascii_is_alpha(c))
			c = class_octet(c);
		buf_addc(m->out, c);
		return;
	}
	for (n = 0; likely[n + 1] != '\0' && strv_chr(set, likely[n]) < set.n; n++)
		;
	buf_addc(m->out, likely[n]);
}

static void make_branches(struct maker *m);

/* Behind the parenthesis: (?: ), (?i), (?<name> ); looking around makes nothing. */
static void
make_group(struct maker *m)
{
	size_t kept = m->out->n;
	bool   around = false;

	if (more(m) && m->v.p[m->at] == '?') {
		m->at++;
		around = more(m) &&
		    (m->v.p[m->at] == '=' || m->v.p[m->at] == '!' ||
			(m->v.p[m->at] == '<' && m->at + 1 < m->v.n &&
			    (m->v.p[m->at + 1] == '=' || m->v.p[m->at + 1] == '!')));
		while (more(m) && strchr(":>=!)", m->v.p[m->at]) == NULL)
			m->at++;
		m->at += more(m) && m->v.p[m->at] != ')';
	}
	if (m->depth++ < DEPTH_MAX)
		make_branches(m);
	m->depth--;
	m->at += more(m); /* the other parenthesis */
	if (around)
		m->out->n = kept;
}

/* What was made since `from' as often as the quantifier wants. */
static void
repeat(struct maker *m, size_t from)
{
	size_t   n = m->out->n - from;
	unsigned times = 1;

	if (more(m) && strchr("*+?", m->v.p[m->at]) != NULL) {
		m->at++;
	} else if (more(m) && m->v.p[m->at] == '{') {
		times = 0;
		for (m->at++; more(m) && ascii_is_digit(m->v.p[m->at]); m->at++)
			times = times * 10 + (unsigned)(m->v.p[m->at] - '0');
		while (more(m) && m->v.p[m->at++] != '}')
			;
		times = times > REPEAT_MAX ? REPEAT_MAX : times;
	} else {
		return;
	}
	if (more(m) && (m->v.p[m->at] == '?' || m->v.p[m->at] == '+'))
		m->at++;
	m->out->n = times == 0 ? from : m->out->n;
	for (unsigned i = 1; i < times && buf_reserve(m->out, n); i++) {
		memcpy(m->out->p + m->out->n, m->out->p + from, n);
		m->out->n += n;
	}
}

static void
make_one(struct maker *m)
{
	size_t from = m->out->n;
	char   c = m->v.p[m->at++];

	if (c == '\\')
		make_escape(m);
	else if (c == '[')
		make_set(m);
	else if (c == '(')
		make_group(m);
	else if (c == '.')
		buf_addc(m->out, 'a');
	else if (c != '^' && c != '$')
		buf_addc(m->out, c);
	repeat(m, from);
}

/* Up to the end or the parenthesis that closes: of what | divides one branch stays. */
static void
make_branches(struct maker *m)
{
	size_t   from = m->out->n, kept_n = 0;
	unsigned n = 0;
	char     kept[OCTETS_MAX];

	for (;;) {
		while (more(m) && m->v.p[m->at] != '|' && m->v.p[m->at] != ')')
			make_one(m);
		if (n++ <= m->branch) {
			kept_n = m->out->n - from < sizeof(kept) ? m->out->n - from : sizeof(kept);
			if (kept_n > 0)
				memcpy(kept, m->out->p + from, kept_n);
		}
		m->out->n = from;
		if (!more(m) || m->v.p[m->at] == ')')
			break;
		m->at++;
	}
	buf_add(m->out, strv(kept, kept_n));
}

struct strv
pattern_sample(struct arena *a, struct strv pattern, unsigned branch)
{
	struct buf   b;
	struct maker m = { .v = pattern, .branch = branch, .out = &b };
	struct strv  made;

	buf_init(&b, OCTETS_MAX);
	make_branches(&m);
	made = arena_dup(a, buf_view(&b));
	buf_fini(&b);
	return made;
}
