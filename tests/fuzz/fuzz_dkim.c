/*
 * DKIM: a key record, a line "--", and a header with signatures of any kind, over a small body.  All that is found
 * is told in values that can stand in a field; no signature passes by a key that is out of bounds; what our own code
 * takes for a signature and a key libopendkim survives.
 */
#include "config.h"

#include "filters/dkim_own.h"
#include "proxy/base/arena.h"
#include "tests/fuzz/fuzz.h"

#define HOUR 1700000000u

static void
check_texts(struct arena *a, const struct dkim_sig *s)
{
	struct strv texts[] = { dkim_sig_text(a, s), dkim_sig_resinfo(a, s) };

	FUZZ_CHECK(s->settled && s->result != DKIM_NONE);
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < texts[i].n; k++)
			FUZZ_CHECK((unsigned char)texts[i].p[k] >= ' ' && texts[i].p[k] != 0x7f);
	FUZZ_CHECK(strlen(s->b) <= 8);
	FUZZ_CHECK(
	    s->result != DKIM_PASS || (s->domain.n > 0 && s->selector.n > 0 && s->key.n > 0));
}

static void
check_key(const struct dkim_sig *s)
{
	if (s->settled)
		return;
	FUZZ_CHECK(crypt_public_fits(s->kind, s->key, MINIMUM_KEY_DEFAULT));
}

static void
take_header(struct arena *a, struct strv head, struct message *m)
{
	struct strv body;

	message_begin(m, a, NULL, 1u << 20);
	message_feed(m, head, &body);
	message_end(m, &body);
}

#if HAVE_OPENDKIM
static void
judge(struct arena *a, const struct message *m, struct dkim_sig *v, unsigned n, struct strv record,
    struct strv body)
{
	static struct arena    *keep;
	static struct dkim_lib *lib;
	struct dkim_check      *c;

	if (lib == NULL) {
		keep = arena_new(1024, 0);
		lib = dkim_lib_new(keep);
	}
	c = dkim_check_begin(a, lib, m, v, n);
	for (struct fuzz_cuts cuts = fuzz_cuts(body); body.n > 0;) {
		struct strv piece;
		char       *p = fuzz_cut(&cuts, &body, 9, &piece);

		if (c != NULL)
			dkim_check_body(c, piece);
		free(p);
	}
	for (unsigned i = 0; i < n; i++)
		if (!v[i].settled) {
			dkim_key_read(a, &v[i], &record, 1, MINIMUM_KEY_DEFAULT);
			check_key(&v[i]);
		}
	if (c != NULL)
		dkim_check_end(c);
	for (unsigned i = 0; i < n; i++)
		check_texts(a, &v[i]);
}
#else
static void
judge(struct arena *a, const struct message *m, struct dkim_sig *v, unsigned n, struct strv record,
    struct strv body)
{
	(void)m, (void)body;
	for (unsigned i = 0; i < n; i++) {
		if (!v[i].settled)
			dkim_key_read(a, &v[i], &record, 1, MINIMUM_KEY_DEFAULT);
		check_key(&v[i]);
		if (v[i].settled)
			check_texts(a, &v[i]);
	}
}
#endif

/* As a session hands it on: no bare CR or LF, no NUL. */
static struct strv
canonical(struct arena *a, struct strv in)
{
	char  *p = arena_bytes(a, in.n * 2 + 2);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] == '\n')
			p[n++] = '\r';
		if (in.p[i] != '\r' && in.p[i] != '\0')
			p[n++] = in.p[i];
	}
	return strv(p, n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena   *a = arena_new(65536, 0);
	struct strv     in = strv((const char *)data, n), record, text;
	const char     *cut = memmem(in.p, in.n, "\n--\n", 4);
	struct message  m;
	struct dkim_sig v[5];
	unsigned        sigs = 0;

	record = cut != NULL ? strv_first(in, (size_t)(cut - in.p)) : in;
	text = cut != NULL ? canonical(a, strv_from(in, record.n + 4)) : SV("");
	take_header(a, text, &m);
	for (unsigned i = 0; i < m.n_h && sigs < 5; i++)
		if (dkim_is_signature(&m.h[i]))
			dkim_sig_read(a, &m.h[i], HOUR, &v[sigs++]);
	judge(a, &m, v, sigs, record, SV("Hello \t\r\n\r\n x\r\n\r\n"));
	arena_free(a);
	return 0;
}
