/*
 * dkim_keys -- the keys of the RFCs' examples, files beside the tests, and signatures of any shape made with them.
 */
#ifndef TESTS_UNIT_DKIM_KEYS_H
#define TESTS_UNIT_DKIM_KEYS_H

#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/mail/canon.h"
#include "proxy/mail/tags.h"
#include "tests/unit/t.h"

/* tests/unit/dkim/NAME, whole. */
T_UNUSED static struct strv
keys_file(struct arena *a, const char *name)
{
	const char *src = getenv("SRCDIR");
	char        path[1024], *p = arena_bytes(a, 65536);
	FILE       *f;
	size_t      n;

	snprintf(path, sizeof(path), "%s/tests/unit/dkim/%s", src != NULL ? src : ".", name);
	f = fopen(path, "rb");
	if (f == NULL) {
		printf("cannot open %s: set SRCDIR\n", path);
		exit(1);
	}
	n = fread(p, 1, 65536, f);
	fclose(f);
	return strv(p, n);
}

T_UNUSED static const struct crypt_key *
keys_read(struct arena *a, enum crypt_kind kind)
{
	const char             *why;
	const struct crypt_key *k = crypt_key_read(
	    a, keys_file(a, kind == CRYPT_RSA ? "rfc6376-c.pem" : "rfc8463-a1.pem"), &why);

	if (k == NULL)
		abort();
	return k;
}

/* The record of such a key, FRONT in front of its p=: "v=DKIM1; k=rsa; ". */
T_UNUSED static const char *
keys_record(struct arena *a, enum crypt_kind kind, const char *front)
{
	struct strv p = tags_to_base64(a, crypt_key_public(a, keys_read(a, kind)));

	return arena_z(a, arena_printf(a, "%sp=%.*s", front, (int)p.n, p.p));
}

/* ---- signatures ---- */

struct keys_limited {
	struct crypt_digest *digest;
	uint64_t             left; /* of l= */
};

static inline void
keys_digest(void *arg, struct strv piece)
{
	struct keys_limited *l = arg;

	if (piece.n > l->left)
		piece.n = (size_t)l->left;
	l->left -= piece.n;
	crypt_digest_add(l->digest, piece);
}

static inline struct strv
keys_body_hash(struct arena *a, enum canon_form form, struct strv body, uint64_t length)
{
	struct keys_limited  l = { crypt_digest_begin(a), length };
	struct crypt_digest *d = l.digest;
	struct canon_body    c = { .form = form, .out = keys_digest, .arg = &l };
	unsigned char        hash[CRYPT_SHA256];

	canon_body_add(&c, body);
	canon_body_end(&c);
	crypt_digest_end(d, hash);
	return tags_to_base64(a, strv((const char *)hash, sizeof(hash)));
}

static inline struct strv
keys_trim(struct strv v)
{
	while (v.n > 0 && (unsigned char)v.p[0] <= ' ')
		v = strv_from(v, 1);
	while (v.n > 0 && (unsigned char)v.p[v.n - 1] <= ' ')
		v.n--;
	return v;
}

/* The n-th field of that name from below, n from 0; empty: there is none. */
static inline struct strv
keys_field(struct strv header, struct strv name, unsigned n)
{
	struct strv found[64];
	unsigned    k = 0;

	while (header.n > 0 && k < 64) {
		size_t end = 0;

		do
			end += strv_chr(strv_from(header, end), '\n') + 1;
		while (end < header.n && (header.p[end] == ' ' || header.p[end] == '\t'));
		found[k] = strv_first(header, end);
		header = strv_from(header, end);
		if (strv_ieq(strv_trim(strv_first(found[k], strv_chr(found[k], ':'))), name))
			k++;
	}
	return n < k ? found[k - 1 - n] : SV("");
}

/*
 * A DKIM-Signature field over header and body.  tags: with an h=, and without b=, nor bh= if it is to be true, which
 * stand behind it here; c= says the forms, l= how much.
 */
T_UNUSED static struct strv
keys_sign_with(struct arena *a, const struct crypt_key *key, const char *tags, struct strv header, struct strv body)
{
	struct tags         *t = arena_alloc(a, sizeof(*t));
	struct crypt_digest *d = crypt_digest_begin(a);
	enum canon_form      head = CANON_SIMPLE, form = CANON_SIMPLE;
	struct strv          names, name, bh, raw, b, before[64];
	unsigned char        hash[CRYPT_SHA256];
	unsigned             n = 0;
	uint64_t             length = UINT64_MAX;

	tags_parse(strv_z(tags), t);
	canon_parse(tags_get(t, "c"), &head, &form);
	if (!tags_number(tags_get(t, "l"), &length))
		length = UINT64_MAX;
	bh = keys_body_hash(a, form, body, length);
	raw = tags_get(t, "bh").p != NULL ? arena_printf(a, "DKIM-Signature: %s;\r\n b=", tags) :
					    arena_printf(a, "DKIM-Signature: %s; bh=%.*s;\r\n b=", tags, (int)bh.n, bh.p);
	names = tags_get(t, "h");
	while (names.p != NULL && n < 64) {
		unsigned same = 0;

		name = keys_trim(strv_cut(&names, ':'));
		for (unsigned i = 0; i < n; i++)
			same += strv_ieq(before[i], name);
		before[n++] = name;
		name = keys_field(header, name, same);
		if (name.n > 0)
			crypt_digest_add(d, canon_field(a, head, name));
	}
	crypt_digest_add(d, canon_signature(a, head, raw));
	crypt_digest_end(d, hash);
	b = tags_to_base64(a, crypt_sign(a, key, hash));
	return arena_printf(a, "%.*s%.*s\r\n", (int)raw.n, raw.p, (int)b.n, b.p);
}

/* The same with the key of the RFCs' examples. */
T_UNUSED static struct strv
keys_sign(struct arena *a, enum crypt_kind kind, const char *tags, struct strv header, struct strv body)
{
	return keys_sign_with(a, keys_read(a, kind), tags, header, body);
}

#endif
