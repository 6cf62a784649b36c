/*
 * letter -- makes the text of a random message, as it goes over the wire and as it must arrive.
 *
 * Invariant: `text` is what a mail server behind the proxy must have, worked out here and not by
 * the code under test.
 */
#include "tests/sim/letter.h"

/* Text with octets that may not be passed on, and what becomes of it. */
#define RAW(lit) \
	{ \
		lit, sizeof(lit) - 1 \
	}
static const struct {
	struct strv raw;
	const char *canonical;
} odd[] = {
	{ RAW("bare\nLF\r\n"), "bare\r\nLF\r\n" },
	{ RAW("bare\rCR\r\n"), "bare CR\r\n" },
	{ RAW("a\0NUL\r\n"), "aNUL\r\n" },
	{ RAW("x\n.\ny\r\n"), "x\r\n.\r\ny\r\n" },
	{ RAW("x\n.\r\nMAIL FROM:<smuggled@evil.example>\r\n"),
	    "x\r\n.\r\nMAIL FROM:<smuggled@evil.example>\r\n" },
	{ RAW("x\r.\ry\r\n"), "x . y\r\n" },
	{ RAW("x\n..two\r\n"), "x\r\n..two\r\n" },
};

static void
both(struct letter *l, const char *text)
{
	buf_add(&l->wire, strv_z(text));
	buf_add(&l->text, strv_z(text));
}

static void
line(struct letter *l, struct sim *s, bool stuffed)
{
	static const char letters[] =
	    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ.0123456789";
	size_t n = sim_chance(s, 3) ? sim_below(s, 4000) : sim_below(s, 78);
	bool   dot = sim_chance(s, 4);

	if (dot && stuffed)
		buf_addc(&l->wire, '.');
	for (size_t i = 0; i < n; i++) {
		char c = dot && i == 0 ? '.' : letters[sim_below(s, sizeof(letters) - 2 + (i > 0))];

		/* A dot is never first on a line but on purpose. */
		if (i == 0 && !dot && c == '.')
			c = 'x';
		buf_addc(&l->wire, c);
		buf_addc(&l->text, c);
	}
	if (dot && n == 0) {
		buf_addc(&l->wire, '.');
		buf_addc(&l->text, '.');
	}
	both(l, "\r\n");
}

static void
fill_fast(struct letter *l, struct sim *s, uint64_t octets)
{
	static const char row[] =
	    "0123456789 the same line again and again, to make a large message\r\n";

	while (l->text.n < octets)
		both(l, row + sim_below(s, 10));
}

/* What is no header gets an empty line in front, what is of an mbox file becomes a field: nobody differs about them. */
static void
differs(struct letter *l, const char *raw, const char *front)
{
	buf_add(&l->wire, strv_z(raw));
	buf_add(&l->text, strv_z(front));
	buf_add(&l->text, strv_z(raw));
}

/* A text that is no message: no header, or nothing at all. */
static bool
strange(struct letter *l, struct sim *s)
{
	switch (sim_below(s, 40)) {
	case 0:
		return true;
	case 1:
		differs(l, "no header at all\r\n", "\r\n");
		return true;
	case 2:
		both(l, "\r\n");
		return true;
	case 3:
		differs(l, "From somebody Mon Jan 01 00:00:00 2026\r\nSubject: mbox\r\n\r\nx\r\n",
		    "X-Mailbox-Line: ");
		return true;
	default:
		return false;
	}
}

static uint64_t
size_of(struct sim *s, uint64_t largest)
{
	if (sim_chance(s, 80))
		return sim_below(s, 3000);
	if (sim_chance(s, 70))
		return sim_below(s, largest / 8 + 1);
	return sim_below(s, largest);
}

/* As it is read: with the word of the tests or without. */
static const struct {
	const char *raw;
	bool        odd;
} subjects[] = {
	{ "a letter", false },
	{ "a letter", false },
	{ "an odd letter", true },
	{ "=?utf-8?B?b2Rk?=", true },
	{ "=?iso-8859-1?q?an_=6Fdd_one?=", true },
	{ "folded,\r\n but odd", true },
	{ "=?utf-8?B?b2Rk", false },
	{ "%{sender} \x80\xff\xc3 =?x-none?q?=FF?= oddly", false },
};

const char *
letter_domain_word(enum letter_domain d)
{
	static const char *const words[] = { "good", "gone", "dim", "mute" };

	return words[d];
}

/* Mostly good: who waits for what never answers waits long. */
enum letter_domain
letter_domain_draw(struct sim *s)
{
	return sim_chance(s, 70) ? DOMAIN_GOOD : (enum letter_domain)sim_below(s, DOMAIN_MUTE + 1);
}

/* A signature of somebody, as it came: over another text. */
static void
signature(struct letter *l, struct sim *s)
{
	l->signature = true;
	do
		l->key = letter_domain_draw(s);
	while (l->key == DOMAIN_GONE);
	buf_printf(&l->wire,
	    "DKIM-Signature: v=1; a=rsa-sha256; d=sig.example; s=%s; h=from;\r\n"
	    " bh=aCrM7Yte6hSQiCMAQorrSx8PEh4zJElMi08gUlTnZIk=;\r\n"
	    " b=fRs+TC69dvnvkzSX93HepW2Woh07KsQHYAEt1tnYg7/7S4DoG1oFUE8zJfGDIrLp9PsXm\r\n"
	    "  npHoVW2VnMp5k0H5u2ZeaJdL8o8phljcZ4WSbkAWyjKg6mebPs4tf3JoxdKme0U+bFWZeLH\r\n"
	    "  bT17DFhKkICY/B9NsYGaJtGiMXZpnHg=\r\n",
	    letter_domain_word(l->key));
}

static void
author(struct letter *l, struct sim *s)
{
	l->header = true;
	l->author = sim_chance(s, 70) ? l->domain : letter_domain_draw(s);
	buf_printf(&l->wire, "From: Somebody <x@%s.example>\r\n", letter_domain_word(l->author));
}

static void
header(struct letter *l, struct sim *s)
{
	unsigned k = (unsigned)sim_below(s, sizeof(subjects) / sizeof(subjects[0]));

	buf_printf(
	    &l->wire, "X-Letter: s%u-t%u\r\nSubject: %s\r\n", l->client, l->no, subjects[k].raw);
	l->odd = subjects[k].odd;
	if (sim_chance(s, 25))
		signature(l, s);
	author(l, s);
	l->boom = sim_chance(s, 15);
	if (l->boom)
		buf_add(
		    &l->wire, SV("X-Boom: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\r\n"));
	if (sim_chance(s, 30)) {
		l->old_at = l->wire.n;
		buf_add(&l->wire, SV("x-oLD : one\r\n\tmore\r\n"));
		l->old_n = l->wire.n - l->old_at;
	}
	buf_add(&l->wire, SV("To: somebody\r\n\r\n"));
}

void
letter_write(struct letter *l, struct sim *s, uint64_t largest, bool stuffed)
{
	uint64_t size = size_of(s, largest);
	bool     odds = sim_chance(s, 8);

	if (strange(l, s))
		return;
	header(l, s);
	buf_add(&l->text, buf_view(&l->wire));
	for (unsigned i = 0; i < 200 && l->text.n < size; i++) {
		line(l, s, stuffed);
		if (odds && sim_chance(s, 30)) {
			unsigned k = (unsigned)sim_below(s, sizeof(odd) / sizeof(odd[0]));

			buf_add(&l->wire, odd[k].raw);
			buf_add(&l->text, strv_z(odd[k].canonical));
		}
	}
	fill_fast(l, s, size);
	/* A chunk need not end with a line end: one is added. */
	if (!stuffed && sim_chance(s, 10)) {
		buf_add(&l->wire, SV("no end"));
		buf_add(&l->text, SV("no end\r\n"));
	}
}
