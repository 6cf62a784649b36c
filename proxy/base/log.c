/*
 * log.c -- log lines: built in a struct on the stack, without allocation and without stdio.
 *
 * Not for where lines go: that is the world's.  The invariants: a line holds printable ASCII alone
 * (what strangers say cannot forge a line or reach a terminal), and room for the closing mark is
 * kept from the start, so that a cut line ends in a whole escape and says that it was cut.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/base/log.h"
#include "proxy/base/world.h"

static const char cut_mark[] = "...";

enum { MARK = sizeof(cut_mark) - 1, USABLE = LOG_LINE - MARK - 1 }; /* 1: a closing quote */

static bool
is_printable(char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* May it stand in a value without quotes? */
static bool
is_plain(char c)
{
	return is_printable(c) && c != ' ' && c != '"' && c != '\\';
}

static bool
is_plain8(uint64_t w)
{
	return ascii_printable8(w) && !ascii_has8(w, ' ') && !ascii_has8(w, '"') &&
	    !ascii_has8(w, '\\');
}

/* Eight at a time, the last eight perhaps once more. */
static bool
all_plain(struct strv v)
{
	size_t i = 0;

	if (v.n >= 8) {
		while (v.n - i > 8 && is_plain8(strv_load8(v.p + i)))
			i += 8;
		return v.n - i <= 8 && is_plain8(strv_load8(v.p + v.n - 8));
	}
	if (v.n >= 4)
		return is_plain8(strv_load4to8(v));
	while (i < v.n && is_plain(v.p[i]))
		i++;
	return i == v.n;
}

/* Writes c as \xNN, always four octets. */
static void
put_hex(char *p, char c)
{
	static const char digits[] = "0123456789abcdef";

	p[0] = '\\';
	p[1] = 'x';
	p[2] = digits[(unsigned char)c >> 4];
	p[3] = digits[(unsigned char)c & 15];
}

/* The closing quote of a value may stand one octet behind USABLE. */
static size_t
room(const struct log_line *l)
{
	return l->cut || l->n >= USABLE ? 0 : USABLE - l->n;
}

static bool
put(struct log_line *l, struct strv v)
{
	if (v.n > room(l)) {
		l->cut = true;
		return false;
	}
	memcpy(l->p + l->n, v.p, v.n);
	l->n += (unsigned)v.n;
	return true;
}

/* ` key=`, whole or not at all. */
static bool
put_key(struct log_line *l, struct strv key)
{
	char *p = l->p + l->n;

	if (key.n + 2 > room(l)) {
		l->cut = true;
		return false;
	}
	p[0] = ' ';
	memcpy(p + 1, key.p, key.n);
	p[key.n + 1] = '=';
	l->n += (unsigned)key.n + 2;
	return true;
}

/* Escapes v into at most n octets at p; how many octets of v went in, *n_out written. */
static size_t
escape(struct strv v, bool quoted, char *p, size_t n, size_t *n_out)
{
	size_t i, o = 0;

	for (i = 0; i < v.n; i++) {
		char c = v.p[i];

		if (!is_printable(c)) {
			if (n - o < 4)
				break;
			put_hex(p + o, c);
			o += 4;
		} else if (quoted && (c == '"' || c == '\\')) {
			if (n - o < 2)
				break;
			p[o++] = '\\';
			p[o++] = c;
		} else {
			if (n - o < 1)
				break;
			p[o++] = c;
		}
	}
	*n_out = o;
	return i;
}

/* A cut value is always quoted, so that its "..." is not taken for its text. */
static void
put_quoted(struct log_line *l, struct strv v)
{
	size_t left = room(l), taken, n;

	if (left < 1) {
		l->cut = true;
		return;
	}
	l->p[l->n++] = '"';
	left = left - 1 < LOG_VALUE ? left - 1 : LOG_VALUE;
	taken = escape(v, true, l->p + l->n, left, &n);
	l->n += (unsigned)n;
	l->p[l->n++] = '"';
	if (taken < v.n)
		put(l, strv_z(cut_mark));
}

void
log_begin(struct log_line *l, struct world *w, struct strv id, const char *what)
{
	l->world = w;
	l->n = 0;
	l->cut = false;
	if (id.n > 0 && put(l, id))
		put(l, SV(" "));
	put(l, strv_z(what));
}

void
log_key_strv(struct log_line *l, struct strv key, struct strv v)
{
	if (v.p == NULL || !put_key(l, key))
		return;
	if (v.n > 0 && v.n <= LOG_VALUE && v.n <= room(l) && all_plain(v))
		put(l, v);
	else
		put_quoted(l, v);
}

void
log_key_number(struct log_line *l, struct strv key, uint64_t v)
{
	char digits[STRV_NUMBER];

	if (put_key(l, key))
		put(l, strv_print_number(v, digits));
}

void
log_end(struct log_line *l)
{
	if (l->cut) {
		memcpy(l->p + l->n, cut_mark, MARK);
		l->n += MARK;
	}
	l->world->log(l->world, strv(l->p, l->n));
}

void
log_event(struct world *w, struct strv id, const char *what, const char *fmt, ...)
{
	struct log_line l;
	char            text[1000];
	size_t          used, n;
	va_list         ap;
	int             len;

	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	assert(len >= 0);
	used = (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1;
	log_begin(&l, w, id, what);
	put(&l, SV(" "));
	l.cut |= escape(strv(text, used), false, l.p + l.n, room(&l), &n) < (size_t)len;
	l.n += (unsigned)n;
	log_end(&l);
}

struct strv
log_escape(struct strv v, char *buf, size_t n)
{
	size_t written;

	escape(v, false, buf, n, &written);
	return strv(buf, written);
}

void
log_new_id(struct world *w, char *id, size_t n)
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint64_t          r;

	w->random(w, &r, sizeof r);
	for (size_t i = 0; i + 1 < n; i++, r >>= 5)
		id[i] = digits[r & 31];
	id[n - 1] = '\0';
}
