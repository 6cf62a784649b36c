/*
 * scan.c -- one vector pass over message text for all that is not plain.
 *
 * Not for deciding what to do about it: intake and dots do that.  The invariant: not one octet
 * outside the view is read, so the last step of a pass overlaps the one before it instead.
 *
 * The trick: with x the octets from i on and y those from i - 1 on, "LF without CR before it"
 * and "CR without LF behind it" are one exclusive or, (x == LF) ^ (y == CR).  A bit set at p
 * then blames p, or p - 1 where a CR stands there; nothing in front of it can be at fault, or
 * the step before would have said so.
 */
#include <assert.h>
#include <stdatomic.h>

#include "proxy/base/scan.h"

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define SCAN_X86 1
#include <immintrin.h>
#endif

/* Does c with `before` in front need thought, whatever follows? A CR is blamed by what follows. */
static bool
needs_thought(char c, char before, bool dots)
{
	return c == '\0' || (c == '\n' && before != '\r') || (c == '.' && dots && before == '\n');
}

/*
 * From octet i on (0 < i <= v.n), one at a time. Also what a vector step calls that found a
 * bit: the first octet at fault is at i - 1 or behind.
 */
static size_t
text_by_octet(struct strv v, size_t i, bool dots)
{
	for (; i < v.n; i++) {
		if (v.p[i - 1] == '\r' && v.p[i] != '\n')
			return i - 1;
		if (needs_thought(v.p[i], v.p[i - 1], dots))
			return i;
	}
	return v.p[v.n - 1] == '\r' ? v.n - 1 : v.n;
}

/* ---- plain ---- */

/* Octets looked at ahead of an octet at fault: a stranger may send nothing but such octets. */
enum { WINDOW = 512 };

static size_t
line_plain(struct strv v)
{
	v = strv_first(v, strv_chr(v, '\n'));
	v = strv_first(v, strv_chr(v, '\r'));
	return strv_chr(v, '\0');
}

/* From one CR, LF or NUL to the next. */
static size_t
text_plain(struct strv v, char before, bool dots)
{
	size_t at = 0;

	while (at < v.n) {
		size_t ahead = v.n - at < WINDOW ? v.n - at : WINDOW;
		size_t n = line_plain(strv(v.p + at, ahead));

		if (needs_thought(v.p[at], at == 0 ? before : v.p[at - 1], dots))
			return at;
		at += n;
		if (n == ahead)
			continue;
		if (v.p[at] == '\r' && at + 1 < v.n && v.p[at + 1] == '\n')
			at += 2;
		else if (v.p[at] == '\n' && at == 0)
			at++; /* needs_thought saw the CR before it */
		else
			return at;
	}
	return v.n;
}

#ifdef SCAN_X86
/* ---- SSE2: what every x86-64 has ---- */

static size_t
line_by_octet(struct strv v, size_t i)
{
	while (i < v.n && v.p[i] != '\r' && v.p[i] != '\n' && v.p[i] != '\0')
		i++;
	return i;
}

static inline __m128i
text_bits16(const char *p, __m128i dot)
{
	__m128i x = _mm_loadu_si128((const void *)p), y = _mm_loadu_si128((const void *)(p - 1));
	__m128i lf = _mm_set1_epi8('\n');
	__m128i ends = _mm_xor_si128(_mm_cmpeq_epi8(x, lf), _mm_cmpeq_epi8(y, _mm_set1_epi8('\r')));
	__m128i dots = _mm_and_si128(_mm_cmpeq_epi8(x, dot), _mm_cmpeq_epi8(y, lf));

	return _mm_or_si128(_mm_or_si128(ends, dots), _mm_cmpeq_epi8(x, _mm_setzero_si128()));
}

static inline __m128i
line_bits16(const char *p)
{
	__m128i x = _mm_loadu_si128((const void *)p);
	__m128i ends = _mm_or_si128(
	    _mm_cmpeq_epi8(x, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(x, _mm_set1_epi8('\r')));

	return _mm_or_si128(ends, _mm_cmpeq_epi8(x, _mm_setzero_si128()));
}

/* Without dots the place of '.' is taken by NUL, which is at fault anyway. */
static size_t
text_sse2(struct strv v, size_t i, bool dots)
{
	__m128i  dot = _mm_set1_epi8(dots ? '.' : '\0');
	unsigned bits;

	if (v.n < 17)
		return text_by_octet(v, i, dots);
	if (v.n - i < 16)
		i = v.n - 16;
	for (;; i = v.n - i < 32 ? v.n - 16 : i + 16) {
		bits = (unsigned)_mm_movemask_epi8(text_bits16(v.p + i, dot));
		if (bits != 0)
			return text_by_octet(v, i + (unsigned)__builtin_ctz(bits), dots);
		if (v.n - i == 16)
			return text_by_octet(v, v.n, dots);
	}
}

static size_t
line_sse2(struct strv v)
{
	size_t   i = 0;
	unsigned bits;

	if (v.n < 16)
		return line_by_octet(v, 0);
	for (;; i = v.n - i < 32 ? v.n - 16 : i + 16) {
		bits = (unsigned)_mm_movemask_epi8(line_bits16(v.p + i));
		if (bits != 0)
			return i + (unsigned)__builtin_ctz(bits);
		if (v.n - i == 16)
			return v.n;
	}
}

/* ---- AVX2 ---- */

__attribute__((target("avx2"))) static inline __m256i
text_bits32(const char *p, __m256i dot)
{
	__m256i x = _mm256_loadu_si256((const void *)p);
	__m256i y = _mm256_loadu_si256((const void *)(p - 1));
	__m256i lf = _mm256_set1_epi8('\n');
	__m256i ends = _mm256_xor_si256(
	    _mm256_cmpeq_epi8(x, lf), _mm256_cmpeq_epi8(y, _mm256_set1_epi8('\r')));
	__m256i dots = _mm256_and_si256(_mm256_cmpeq_epi8(x, dot), _mm256_cmpeq_epi8(y, lf));

	return _mm256_or_si256(
	    _mm256_or_si256(ends, dots), _mm256_cmpeq_epi8(x, _mm256_setzero_si256()));
}

/* Two vectors a step where they find nothing; what is left goes the way of SSE2. */
__attribute__((target("avx2"))) static size_t
text_avx2(struct strv v, size_t i, bool dots)
{
	__m256i dot = _mm256_set1_epi8(dots ? '.' : '\0');

	for (; v.n - i >= 64; i += 64) {
		__m256i one = text_bits32(v.p + i, dot), two = text_bits32(v.p + i + 32, dot);
		__m256i any = _mm256_or_si256(one, two);

		if (!_mm256_testz_si256(any, any)) {
			uint64_t bits = (uint32_t)_mm256_movemask_epi8(one) |
			    (uint64_t)(uint32_t)_mm256_movemask_epi8(two) << 32;

			return text_by_octet(v, i + (unsigned)__builtin_ctzll(bits), dots);
		}
	}
	return text_sse2(v, i, dots);
}

/* Asked once; two threads that ask at once get the same answer. */
static enum scan_way
best_way(void)
{
	static _Atomic int best = -1;
	int                way = atomic_load_explicit(&best, memory_order_relaxed);

	if (way < 0) {
		way = __builtin_cpu_supports("avx2") ? SCAN_AVX2 : SCAN_SSE2;
		atomic_store_explicit(&best, way, memory_order_relaxed);
	}
	return (enum scan_way)way;
}

static size_t
text_vector(enum scan_way way, struct strv v, bool dots)
{
	return way == SCAN_AVX2 ? text_avx2(v, 1, dots) : text_sse2(v, 1, dots);
}

#else

static enum scan_way
best_way(void)
{
	return SCAN_PLAIN;
}

static size_t
line_sse2(struct strv v)
{
	return line_plain(v);
}

static size_t
text_vector(enum scan_way way, struct strv v, bool dots)
{
	(void)way;
	return text_by_octet(v, 1, dots);
}

#endif

/* ---- the face ---- */

static size_t
text_by(enum scan_way way, struct strv v, char before, bool dots)
{
	if (v.n == 0)
		return 0;
	if (way == SCAN_PLAIN)
		return text_plain(v, before, dots);
	return needs_thought(v.p[0], before, dots) ? 0 : text_vector(way, v, dots);
}

static size_t
line_by(enum scan_way way, struct strv v)
{
	return way == SCAN_PLAIN ? line_plain(v) : line_sse2(v);
}

size_t
scan_text(struct strv v, char before, bool dots)
{
	return text_by(best_way(), v, before, dots);
}

size_t
scan_line(struct strv v)
{
	return line_by(best_way(), v);
}

bool
scan_has(enum scan_way way)
{
	return way <= best_way();
}

size_t
scan_text_with(enum scan_way way, struct strv v, char before, bool dots)
{
	assert(scan_has(way));
	return text_by(way, v, before, dots);
}

size_t
scan_line_with(enum scan_way way, struct strv v)
{
	assert(scan_has(way));
	return line_by(way, v);
}
