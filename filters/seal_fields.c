/*
 * seal_fields -- the three fields of an ARC set of ours: what each says, and what it signs.  RFC 8617 4.1, 5.1.
 *
 * One after the other, for the seal signs the other two.  Whether there is to be a set, and which instance and cv= it
 * has, is settled by then (seal.c); nothing here looks at the message as it came, but at the view alone.
 */
#include "filters/authres.h"
#include "filters/seal_own.h"
#include "proxy/base/arena.h"
#include "proxy/mail/authres.h"
#include "proxy/mail/tags.h"

enum {
	SAME_MAX = 20,    /* fields of one name that are signed */
	NAMES_ROOM = 4096 /* of h= */
};

/* What a reader sees or a program acts on. RFC 6376 5.4.1; RFC 8617 4.1.2 wants DKIM-Signature. */
static const char *const signed_names[] = { "from", "reply-to", "to", "cc", "subject", "date",
	"message-id", "in-reply-to", "references", "mime-version", "content-type",
	"content-transfer-encoding", "dkim-signature" };

static struct strv
field_of(struct arena *a, const char *name, struct strv value)
{
	return arena_printf(a, "%s: %.*s\r\n", name, (int)value.n, value.p);
}

static struct strv
algorithm(const struct sealing *s)
{
	return crypt_key_kind(s->rule->key->key) == CRYPT_RSA ? SV("rsa-sha256") :
								SV("ed25519-sha256");
}

/* Base64 in lines of 64. */
static struct strv
fold64(struct arena *a, struct strv text)
{
	char  *p = arena_bytes(a, text.n + text.n / 64 * 4 + 4);
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (i > 0 && i % 64 == 0) {
			memcpy(p + n, "\r\n\t ", 4);
			n += 4;
		}
		p[n++] = text.p[i];
	}
	return strv(p, n);
}

struct names {
	char   p[NAMES_ROOM];
	size_t n, line;
};

static void
add_name(struct names *h, const char *name)
{
	size_t n = strlen(name);

	if (h->n + n + 5 > NAMES_ROOM)
		return;
	if (h->n > 0) {
		h->p[h->n++] = ':';
		h->line++;
	}
	if (h->line + n > 64) {
		memcpy(h->p + h->n, "\r\n\t ", 4);
		h->n += 4;
		h->line = 0;
	}
	memcpy(h->p + h->n, name, n);
	h->n += n;
	h->line += n;
}

/* Each name as often as there are such fields; From once more, so that none can be added. RFC 6376 8.15 */
static struct strv
names_of(const struct sealing *s)
{
	struct names *h = arena_alloc(s->a, sizeof(*h));

	for (unsigned k = 0; k < sizeof(signed_names) / sizeof(signed_names[0]); k++) {
		unsigned n = k == 0 ? 1 : 0;

		for (unsigned i = 0; i < s->n_field; i++)
			n += strv_ieq(s->field[i].name, strv_z(signed_names[k]));
		for (n = n < SAME_MAX ? n : SAME_MAX; n > 0; n--)
			add_name(h, signed_names[k]);
	}
	return strv(h->p, h->n);
}

/* The field with its b= empty becomes the one with the signature. False: signing failed. */
static bool
sign(const struct sealing *s, struct strv *field, const unsigned char digest[CRYPT_SHA256])
{
	struct strv b = crypt_sign(s->a, s->rule->key->key, digest);

	if (b.n == 0)
		return false;
	b = fold64(s->a, tags_to_base64(s->a, b));
	*field = arena_concat(s->a, strv_first(*field, field->n - 2), b);
	*field = arena_concat(s->a, *field, SV("\r\n"));
	return true;
}

/* RFC 8617 4.1.1 */
MAY_YIELD enum filter_rc
seal_make_results(struct sealing *s, struct facts *facts)
{
	const struct strv *resinfo;
	unsigned           n;
	struct strv        all, id = authres_id(s->a, s->auth->id);

	if (authres_collect(facts, s->auth->methods | AUTH_ARC, &resinfo, &n) != FILTER_OK)
		return FILTER_CANCELLED;
	all = authres_field(
	    s->a, arena_printf(s->a, "i=%u; %.*s", s->i, (int)id.n, id.p), resinfo, n);
	s->set.results = field_of(s->a, ARC_RESULTS, all);
	return FILTER_OK;
}

/* RFC 8617 4.1.2 */
bool
seal_make_message(struct sealing *s)
{
	struct arc_signature sig = { .header = CANON_RELAXED, .names = names_of(s) };
	struct strv          a = algorithm(s), d = s->rule->key->domain, sel = s->rule->selector;
	unsigned char        digest[CRYPT_SHA256];

	s->set.message = field_of(s->a, ARC_MESSAGE,
	    arena_printf(s->a,
		"i=%u; a=%.*s; c=relaxed/relaxed;\r\n\td=%.*s; s=%.*s; t=%llu;\r\n\th=%.*s;\r\n"
		"\tbh=%.*s;\r\n\tb=",
		s->i, (int)a.n, a.p, (int)d.n, d.p, (int)sel.n, sel.p, (unsigned long long)s->now,
		(int)sig.names.n, sig.names.p, (int)s->body_hash.n, s->body_hash.p));
	sig.raw = s->set.message;
	arc_message_digest(s->field, s->n_field, &sig, digest);
	return sign(s, &s->set.message, digest);
}

/* RFC 8617 4.1.3, 5.1.1, 5.1.2 */
bool
seal_make_seal(struct sealing *s)
{
	struct strv   a = algorithm(s), d = s->rule->key->domain, sel = s->rule->selector;
	unsigned char digest[CRYPT_SHA256];

	s->set.seal = field_of(s->a, ARC_SEAL,
	    arena_printf(s->a, "i=%u; a=%.*s; t=%llu; cv=%s;\r\n\td=%.*s; s=%.*s;\r\n\tb=", s->i,
		(int)a.n, a.p, (unsigned long long)s->now, s->cv, (int)d.n, d.p, (int)sel.n,
		sel.p));
	arc_seal_digest(s->alone ? NULL : s->chain, &s->set, digest);
	return sign(s, &s->set.seal, digest);
}
