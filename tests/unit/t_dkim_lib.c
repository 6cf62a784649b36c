/* The library's part of a verification, key in hand: what libopendkim would have failed does not pass. */
#include "config.h"

#include "filters/dkim_own.h"
#include "tests/unit/dkim_keys.h"

#if HAVE_OPENDKIM

#define BODY "Hello\r\n"
#define FROM "From: joe@example.org\r\n"

static struct arena *a;

/* A signature of FROM and BODY; "$" is the body's hash in base64, "-" the same without its padding. */
static struct strv
signature(const char *tags)
{
	struct strv bh = keys_body_hash(a, CANON_SIMPLE, SV(BODY), UINT64_MAX);
	struct strv raw = SV("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=rsa; h=from; ");
	struct crypt_digest *d = crypt_digest_begin(a);
	unsigned char        digest[CRYPT_SHA256];

	for (; *tags != '\0'; tags++)
		raw = arena_concat(a, raw,
		    *tags == '$'     ? bh :
			*tags == '-' ? strv_first(bh, strv_chr(bh, '=')) :
				       strv(tags, 1));
	raw = arena_concat(a, raw, SV(" b="));
	crypt_digest_add(d, canon_field(a, CANON_SIMPLE, SV(FROM)));
	crypt_digest_add(d, canon_signature(a, CANON_SIMPLE, raw));
	crypt_digest_end(d, digest);
	return arena_concat(
	    a, raw, tags_to_base64(a, crypt_sign(a, keys_read(a, CRYPT_RSA), digest)));
}

static struct strv
check(struct dkim_lib *lib, struct strv field, struct strv body)
{
	struct strv        header = arena_concat(a, field, SV("\r\n" FROM "\r\n")), rest;
	struct message     m;
	struct dkim_sig    s;
	struct dkim_check *c;

	message_begin(&m, a, NULL, 1u << 20);
	message_feed(&m, header, &rest);
	dkim_sig_read(a, &m.h[0], 0, &s);
	c = dkim_check_begin(a, lib, &m, &s, 1);
	if (c != NULL) {
		dkim_check_body(c, body);
		s.key = crypt_key_public(a, keys_read(a, CRYPT_RSA));
		dkim_check_end(c);
	}
	return dkim_sig_text(a, &s);
}

/* It compares bh= as a text, and takes bH= for the same tag: names are compared without case behind their first octet. */
static void
takes_no_other_reading(void)
{
	static const struct {
		const char *tags, *body, *want;
	} rows[] = {
		{ "bh=$;", BODY, "pass" },
		{ "bh=\r\n\t$\r\n\t;", BODY, "pass" },
		{ "Bh=x; bh=$; B=x;", BODY, "pass" },
		{ "bh=$;", "hello\r\n", "fail the body has changed" },
		{ "bh=-;", BODY, "fail the body has changed" },
		{ "bh=$; bH=x;", BODY, "fail the body has changed" },
	};
	struct dkim_lib *lib = dkim_lib_new(a);

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv want = strv_z(rows[i].want), word = strv_word(&want);

		t_row = rows[i].tags;
		want = arena_concat(
		    a, arena_concat(a, word, SV(" example.org rsa rsa-sha256")), want);
		T_EQ_STRV(check(lib, signature(rows[i].tags), strv_z(rows[i].body)), want);
	}
	t_row = NULL;
}

int
main(void)
{
	a = arena_new(65536, 0);
	T_RUN(takes_no_other_reading);
	arena_free(a);
	return t_end();
}

#else

int
main(void)
{
	T_SKIP("built without libopendkim");
	return t_end();
}

#endif
