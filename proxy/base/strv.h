/*
 * strv -- a view of some octets: pointer and length, by value, never NUL-dependent.
 *
 * A view owns nothing.  It may not outlive the buffer or arena that the comment beside it names.
 * p == NULL is "absent"; n == 0 with p != NULL is "empty".  SV("lit") makes one of a literal.
 */
#ifndef PROXY_BASE_STRV_H
#define PROXY_BASE_STRV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct strv {
	const char *p;
	size_t      n;
};

#define SV(lit) ((struct strv){ "" lit, sizeof(lit) - 1 })

static inline struct strv
strv(const char *p, size_t n)
{
	return (struct strv){ p, n };
}

/* A view of a NUL-terminated string; NULL gives the absent view. */
static inline struct strv
strv_z(const char *z)
{
	return (struct strv){ z, z == NULL ? 0 : strlen(z) };
}

/* The part from octet `from` to the end; from <= v.n. */
static inline struct strv
strv_from(struct strv v, size_t from)
{
	return (struct strv){ v.p + from, v.n - from };
}

static inline struct strv
strv_first(struct strv v, size_t n)
{
	return (struct strv){ v.p, n };
}

static inline bool
strv_eq(struct strv a, struct strv b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII case folded, independent of the locale. */
static inline char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline bool
ascii_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
ascii_is_alpha(char c)
{
	return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z';
}

/* The same for eight octets at once; those above 0x7f stay as they are. */
static inline uint64_t
ascii_lower8(uint64_t w)
{
	uint64_t low = w & 0x7f7f7f7f7f7f7f7fu;
	/* The top bit of each octet: at least 'A', above 'Z', and not above 0x7f itself. */
	uint64_t from_a = low + 0x3f3f3f3f3f3f3f3fu;
	uint64_t above_z = low + 0x2525252525252525u;

	return w | (from_a & ~above_z & ~w & 0x8080808080808080u) >> 2;
}

/* Eight octets at once: all of them are printable ASCII, 0x20 to 0x7e. */
static inline bool
ascii_printable8(uint64_t w)
{
	/* A top bit: an octet is too low, too high, or stands above one that is (borrow, carry). */
	return ((w | (w - 0x2020202020202020u) | (w + 0x0101010101010101u)) &
	    0x8080808080808080u) == 0;
}

/* One of them is c. */
static inline bool
ascii_has8(uint64_t w, char c)
{
	uint64_t x = w ^ (uint8_t)c * 0x0101010101010101u; /* now: is one of them 0? */

	return ((x - 0x0101010101010101u) & ~x & 0x8080808080808080u) != 0;
}

static inline uint64_t
strv_load8(const char *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Four to eight octets in one word, in some order, those in the middle perhaps twice. */
static inline uint64_t
strv_load4to8(struct strv v)
{
	uint32_t first, last;

	memcpy(&first, v.p, sizeof(first));
	memcpy(&last, v.p + v.n - sizeof(last), sizeof(last));
	return (uint64_t)last << 32 | first;
}

bool strv_is_ascii(struct strv v);                      /* no octet above 127 */
bool strv_ieq_same(struct strv a, struct strv b);       /* of one length: equal but for ASCII case */

static inline bool
strv_ieq(struct strv a, struct strv b)
{
	return a.n == b.n && strv_ieq_same(a, b);
}

int  strv_cmp(struct strv a, struct strv b);            /* as memcmp, the shorter first */
bool strv_starts(struct strv v, struct strv prefix);
bool strv_istarts(struct strv v, struct strv prefix);
bool strv_ends(struct strv v, struct strv suffix);
bool strv_iends(struct strv v, struct strv suffix);
/* Offset of the first c, or v.n where there is none. */
size_t strv_chr(struct strv v, char c);
size_t strv_rchr(struct strv v, char c);                /* of the last c, or v.n */
struct strv strv_trim(struct strv v);                   /* without SP and HT at both ends */
struct strv strv_trim_folds(struct strv v);             /* without SP, HT, CR and LF there */
/*
 * Cuts *v at the first c: returns what stands before it and leaves in *v what follows; where
 * there is no c returns all and leaves *v absent (p NULL), so `while (v.p != NULL)` walks all fields.
 */
struct strv strv_cut(struct strv *v, char c);
/* Next run of octets that are neither SP nor HT; *v moves behind it. Empty at the end. */
struct strv strv_word(struct strv *v);
/*
 * A decimal number without sign, at most `max`: true and *out set, or false (empty, not all digits,
 * larger).  Nothing is skipped before or after it.
 */
bool strv_number(struct strv v, uint64_t max, uint64_t *out);

#define STRV_NUMBER 20                  /* room for any uint64_t in decimal; no NUL */
/* v in decimal, at the end of buf; the view of it. */
struct strv strv_print_number(uint64_t v, char buf[STRV_NUMBER]);

#endif
