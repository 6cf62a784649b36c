/*
 * A header as a stranger's ARC fields: what is read as a chain has every set once, instances without a gap, cv= as
 * it must be; what else there is has a reason.  Signatures that are read can be hashed, their digests have 32
 * octets, and the text behind the header, taken as a key record, gives a key or a reason.
 */
#include "filters/arc_own.h"
#include "proxy/base/arena.h"
#include "proxy/mail/tags.h"
#include "tests/fuzz/fuzz.h"

static void
check_signature(const struct arc_signature *s, struct strv raw)
{
	FUZZ_CHECK(s->raw.p == raw.p && s->raw.n == raw.n);
	FUZZ_CHECK(s->b.n > 0 && s->domain.n > 0 && s->selector.n > 0);
	FUZZ_CHECK(s->key.n > 0 && s->key.n <= 253);
}

static void
read_set(struct arena *a, struct tags *tags, const struct arc_set *set, const struct view_field *f,
    unsigned n)
{
	struct arc_signature s;
	unsigned char        digest[CRYPT_SHA256];
	const char          *why = NULL;

	FUZZ_CHECK(set->results.n > 0 && set->message.n > 0 && set->seal.n > 0);
	if (arc_message_read(a, tags, set->message, &s, &why)) {
		check_signature(&s, set->message);
		FUZZ_CHECK(s.hash.n == CRYPT_SHA256 && s.names.n >= 4);
		arc_message_digest(f, n, &s, digest);
	} else
		FUZZ_CHECK(why != NULL);
	why = NULL;
	if (arc_seal_read(a, tags, set->seal, &s, &why))
		check_signature(&s, set->seal);
	else
		FUZZ_CHECK(why != NULL);
}

static void
read_chain(struct arena *a, struct tags *tags, const struct view_field *f, unsigned n)
{
	struct arc_chain *c = arc_chain_read(a, f, n);
	unsigned char     digest[ARC_SETS_MAX][CRYPT_SHA256], own[CRYPT_SHA256];
	unsigned          fields = 0;

	for (unsigned i = 0; i < n; i++)
		fields += arc_is_field(f[i].name);
	FUZZ_CHECK(c->any == (fields > 0));
	FUZZ_CHECK(c->highest <= ARC_SETS_MAX + 1);
	FUZZ_CHECK(c->n == 0 ? !c->any || c->why.n > 0 : c->why.p == NULL);
	FUZZ_CHECK(c->n == 0 || (c->n == c->highest && fields == 3 * c->n && !c->ended));
	for (unsigned i = 0; i < c->n; i++)
		read_set(a, tags, &c->set[i], f, n);
	arc_seal_digests(c, digest);
	if (c->n > 0) {
		struct arc_chain before = *c;

		/* The last seal's digest is the one that its sealer made of the sets before. */
		before.n--;
		arc_seal_digest(&before, &c->set[c->n - 1], own);
		FUZZ_CHECK(memcmp(own, digest[c->n - 1], sizeof(own)) == 0);
	}
}

static void
read_key(struct arena *a, struct tags *tags, struct strv record)
{
	static const unsigned char digest[CRYPT_SHA256];
	const char                *why = NULL;
	struct strv                key = arc_key_read(a, tags, record, CRYPT_RSA, &why);

	FUZZ_CHECK(key.p != NULL ? key.n > 0 : why != NULL);
	if (key.p != NULL)
		FUZZ_CHECK(crypt_verify(NULL, CRYPT_RSA, key, 1024, digest, SV("x")) != CRYPT_OK);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena      *a = arena_new(4096, 0);
	struct tags       *tags = arena_alloc(a, sizeof(*tags));
	struct message     m;
	struct strv        body;
	struct view_field *f;

	message_begin(&m, a, NULL, 1000000);
	(void)message_feed(&m, strv((const char *)data, n), &body);
	if (message_end(&m, &body) == MESSAGE_OK) {
		f = arena_array(a, m.n_h, sizeof(*f));
		for (unsigned i = 0; i < m.n_h; i++)
			f[i] =
			    (struct view_field){ .name = header_name(&m.h[i]), .raw = m.h[i].raw };
		read_chain(a, tags, f, m.n_h);
	}
	body = strv((const char *)data, n);
	(void)strv_cut(&body, '\0');
	if (body.p != NULL)
		read_key(a, tags, body);
	arena_free(a);
	return 0;
}
