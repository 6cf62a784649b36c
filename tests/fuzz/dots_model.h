/*
 * dots_model -- what proxy/smtp/dots has to do, octet by octet and without thought for speed: the rules
 * said a second time, for fuzz_dots and fuzz_bdat to hold the real one against.
 */
#ifndef TESTS_FUZZ_DOTS_MODEL_H
#define TESTS_FUZZ_DOTS_MODEL_H

#include "proxy/smtp/dots.h"
#include "tests/fuzz/fuzz.h"

/* Octets of in up to the end of the message, its mark included, or in.n and *ended false. */
static inline size_t
model_end(struct strv in, bool stuffed, bool *ended)
{
	*ended = false;
	for (size_t i = 0; stuffed && i + 3 <= in.n; i++)
		if (memcmp(in.p + i, ".\r\n", 3) == 0 && (i == 0 || (i >= 2 && memcmp(in.p + i - 2, "\r\n", 2) == 0))) {
			*ended = true;
			return i + 3;
		}
	return in.n;
}

/* The text in `in`, which is whole and without the end mark. */
static inline void
model_decode(struct strv in, bool stuffed, struct fuzz_text *out)
{
	bool start = true;      /* of a line, behind the sender's own CRLF */

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i], next = i + 1 < in.n ? in.p[i + 1] : 'x';

		if (c == '.' && start && stuffed && next != '\n') {
			start = false;  /* the sender's doubling; but a dot alone in front of a bare LF is a line */
			continue;
		}
		start = false;
		if (c == '\r' && next == '\n') {
			fuzz_put(out, SV("\r\n"));
			start = true;
			i++;
		} else if (c == '\n')
			fuzz_put(out, SV("\r\n"));
		else if (c == '\r')
			fuzz_put(out, SV(" "));
		else if (c != '\0')
			fuzz_put(out, strv(&c, 1));
	}
}

static inline bool
model_canonical(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\0' || (v.p[i] == '\n' && (i == 0 || v.p[i - 1] != '\r')) ||
		    (v.p[i] == '\r' && (i + 1 == v.n || v.p[i + 1] != '\n')))
			return false;
	return true;
}

/* Takes one piece. True: the end mark came, *piece is what follows it. */
static inline bool
fuzz_decode(struct dots_in *d, struct strv *piece, struct fuzz_text *out)
{
	enum dots_rc rc;
	struct strv text;

	while ((rc = dots_decode(d, piece, &text)) == DOTS_PIECE) {
		FUZZ_CHECK(text.n > 0);
		fuzz_put(out, text);
	}
	FUZZ_CHECK(rc == DOTS_END || piece->n == 0);
	return rc == DOTS_END;
}

/* Decodes all of `in`, in cuts of at most `most` octets; octets taken. */
static inline size_t
fuzz_decode_all(struct strv in, bool stuffed, size_t most, struct fuzz_text *out, bool *ended)
{
	struct fuzz_cuts cuts = fuzz_cuts(in);
	size_t all = in.n;
	struct dots_in d;

	*ended = false;
	dots_in_begin(&d, stuffed);
	d.count_lines = most % 2;
	while (in.n > 0 && !*ended) {
		struct strv piece;
		char *copy = fuzz_cut(&cuts, &in, most, &piece);

		*ended = fuzz_decode(&d, &piece, out);
		free(copy);
		if (*ended)
			return all - in.n - piece.n;
	}
	if (!stuffed)
		fuzz_put(out, dots_finish(&d));
	return all;
}

/* Encodes in cuts; the end mark included. */
static inline void
fuzz_encode_all(struct strv in, size_t most, struct fuzz_text *out)
{
	struct fuzz_cuts cuts = fuzz_cuts(in);
	struct dots_out d;
	struct iovec v[5];

	dots_out_begin(&d);
	while (in.n > 0) {
		struct strv piece;
		char *copy = fuzz_cut(&cuts, &in, most, &piece);

		while (piece.n > 0) {
			size_t taken;
			unsigned n = dots_encode(&d, piece, v, 2 + (unsigned)(most % 4), &taken);

			for (unsigned i = 0; i < n; i++)
				fuzz_put(out, strv(v[i].iov_base, v[i].iov_len));
			FUZZ_CHECK(n > 0 || taken > 0);
			piece = strv_from(piece, taken);
		}
		free(copy);
	}
	fuzz_put(out, dots_end(&d));
}

/* Canonical text goes on as one message that holds it; one that lacks the last CRLF gets it. */
static inline void
fuzz_check_goes_on(struct strv text, size_t most)
{
	struct fuzz_text wire = { 0 }, back = { 0 };
	bool ended;

	fuzz_encode_all(text, most, &wire);
	FUZZ_CHECK(model_canonical(fuzz_view(&wire)));
	FUZZ_CHECK(model_end(fuzz_view(&wire), true, &ended) == wire.n && ended);
	FUZZ_CHECK(fuzz_decode_all(fuzz_view(&wire), true, most, &back, &ended) == wire.n && ended);
	FUZZ_CHECK(back.n == text.n || back.n == text.n + 2);
	FUZZ_CHECK(strv_eq(strv_first(fuzz_view(&back), text.n), text));
	free(wire.p);
	free(back.p);
}

#endif
