/*
 * Octets of a server: in any cut the same replies and the same end; and any text printed as a reply is
 * lines of one code, which parse to one reply.  What it says is also read as the answer to EHLO.
 */
#include "proxy/mail/reply.h"
#include "proxy/smtp/ehlo.h"
#include "tests/fuzz/fuzz.h"

static void
check_printed(struct strv v, unsigned code)
{
	while (v.n > 0) {
		size_t n = strv_chr(v, '\n');

		FUZZ_CHECK(n < v.n && n + 1 <= REPLY_LINE && n >= 5 && v.p[n - 1] == '\r');
		for (size_t i = 0; i < n - 1; i++)
			FUZZ_CHECK(
			    ((unsigned char)v.p[i] >= ' ' && v.p[i] != 0x7f) || v.p[i] == '\t');
		FUZZ_CHECK(
		    (unsigned)(v.p[0] - '0') == code / 100 && v.p[3] == (n + 1 < v.n ? '-' : ' '));
		v = strv_from(v, n + 1);
	}
}

/* Any text, as any of the replies that we make. */
static void
print(struct strv text, unsigned code, bool utf8)
{
	struct reply        r = { .code = (uint16_t)code, .text = text }, back;
	struct reply_parser p;
	struct strv         v;
	struct buf          b;

	buf_init(&b, 1 << 20);
	reply_fill_enh(&r);
	reply_print(&b, &r, utf8);
	check_printed(buf_view(&b), code);
	v = buf_view(&b);
	reply_parser_init(&p);
	if (!b.full && b.n < REPLY_MAX && strv_chr(text, '\n') == text.n) {
		FUZZ_CHECK(reply_parse(&p, &v, &back) == 1 && v.n == 0);
		FUZZ_CHECK(back.code == code && back.text.n <= text.n + 6);
	}
	reply_parser_fini(&p);
	buf_fini(&b);
}

static void
check_ehlo(struct strv text)
{
	struct ehlo e, offer;
	struct buf  b;

	ehlo_parse(text, &e);
	offer = ehlo_offer(&e, &(struct ehlo_own){ .size = 1000 });
	FUZZ_CHECK(!(offer.caps & (EHLO_AUTH | EHLO_XCLIENT | EHLO_XFORWARD | EHLO_STARTTLS)));
	FUZZ_CHECK(offer.size > 0 && offer.size <= 1000);
	buf_init(&b, 65536);
	ehlo_print(&b, text, &offer);
	check_printed(buf_view(&b), 250);
	buf_fini(&b);
}

/* Takes all of *v, notes each reply in *log: its code and text. False: malformed. */
static bool
take(struct reply_parser *p, struct strv *v, struct fuzz_text *log)
{
	struct reply r;
	int          rc;

	while ((rc = reply_parse(p, v, &r)) == 1) {
		FUZZ_CHECK(r.code >= 200 && r.code <= 559 && r.text.n <= REPLY_MAX && !p->open);
		fuzz_put(log, strv((const char *)&r.code, sizeof(r.code)));
		fuzz_put(log, r.text);
		fuzz_put(log, SV("\r"));
		check_ehlo(r.text);
	}
	FUZZ_CHECK(rc < 0 ? p->why != NULL : v->n == 0);
	return rc == 0;
}

static void
parse(struct strv all, bool cut, struct fuzz_text *log)
{
	struct fuzz_cuts    cuts = fuzz_cuts(all);
	struct reply_parser p;
	bool                good = true;

	reply_parser_init(&p);
	if (!cut)
		good = take(&p, &all, log);
	while (all.n > 0 && good) {
		struct strv piece;
		char       *copy = fuzz_cut(&cuts, &all, 7, &piece);

		good = take(&p, &piece, log);
		free(copy);
	}
	fuzz_put(log, good ? p.open ? SV("open") : SV("closed") : SV("malformed"));
	reply_parser_fini(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned codes[] = { 220, 250, 354, 421, 451, 550, 554, 559 };
	struct strv           all = strv((const char *)data, n);
	struct fuzz_text      whole = { 0 }, cut = { 0 };

	parse(all, false, &whole);
	parse(all, true, &cut);
	FUZZ_CHECK(strv_eq(fuzz_view(&whole), fuzz_view(&cut)));
	if (n > 0)
		print(strv_from(all, 1), codes[data[0] & 7], false);
	free(whole.p);
	free(cut.p);
	return 0;
}
