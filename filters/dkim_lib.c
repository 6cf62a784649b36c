/*
 * dkim_lib -- the part of a verification that is libopendkim's: canonical forms and hashes; and what these prove.
 *
 * Nothing here parks, so no fiber is ever inside the library.  What is handed in is bounded: of the header only fields
 * that dkim_fields.c wants, and no signature to be checked that dkim_sig.c has not understood.
 * The library would hand OpenSSL each key as DER, whose decoders take half of all the time that a message takes it;
 * and of two keys at one name it uses the first.  So as the body has ended we take the hashes, and tell it that it
 * need not go on.  No signature passes that it would have failed, but by a key that it cannot read (a bare RSAPublicKey):
 * what it found wrong stays wrong, and b= and bh= must be what they are in its reading, too, which joins tags whose
 * names differ in case (bh, bH) and has bh= in one form.
 *
 * Three things of libopendkim 2.11 that the code goes around:
 * - Choosing the fields of h= it writes one pointer behind an array where every field it has is named and h= goes on:
 *   so it always has one field more, that no h= can name.
 * - It makes nothing of a message whose From it cannot read, but for DKIM_LIBFLAGS_BADSIGHANDLES.
 * - Its relaxed body must end with CRLF.
 */
#include "config.h"
#include "filters/dkim_own.h"

#include "proxy/base/arena.h"
#include "proxy/mail/tags.h"

#if HAVE_OPENDKIM

#include <stdio.h>

#include <opendkim/dkim.h>

#define UNNAMED "no field:" /* a blank inside a name: h= never has one */

struct dkim_lib {
	DKIM_LIB          *lib;
	struct crypt_kept *kept;
};

struct dkim_check {
	struct arena    *a;
	struct dkim_lib *lib;
	DKIM            *dkim;
	struct dkim_sig *v;
	unsigned         n;
	struct dkim_sig *
	    *fed; /* in the library's order; NULL: it is there to be hashed, not to be checked */
	unsigned n_fed;
	char     last[2]; /* octets of the body */
	bool     any;
	bool     lost; /* the library did not take all of the body */
};

/* The library would have them writable, and writes nothing there. */
static unsigned char *
octets_of(struct strv v)
{
	return (unsigned char *)(uintptr_t)v.p;
}

/* ---- the hashes, and what they prove --------------------------------------------------------- */

/* RFC 8601 2.7.1.  What the library may still find wrong with a field that we found good. */
static void
settle_error(struct dkim_sig *s, int error)
{
	static const struct {
		int              error;
		enum dkim_result result;
		const char      *reason;
	} known[] = {
		{ DKIM_SIGERROR_EXPIRED, DKIM_PERMERROR, "it has expired" },
		{ DKIM_SIGERROR_FUTURE, DKIM_PERMERROR, "it was made in the future" },
		{ DKIM_SIGERROR_TOOLARGE_L, DKIM_PERMERROR, "l= is more than the body" },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].error == error) {
			dkim_settle(s, known[i].result, strv_z(known[i].reason));
			return;
		}
	dkim_settle(s, DKIM_NEUTRAL, strv_z(dkim_sig_geterrorstr(error)));
}

static void
settle_pass(struct dkim_sig *s)
{
	if (s->has_length) {
		canon_body_end(&s->count);
		s->partial = s->body_octets > s->length;
	}
	dkim_settle(
	    s, DKIM_PASS, s->partial ? SV("l= leaves out a part of the body") : strv(NULL, 0));
}

/* The value of a tag as the library has it, without white space; empty: it has none. */
static struct strv
tag_of(DKIM_SIGINFO *info, const char *tag)
{
	const unsigned char *v = dkim_sig_gettagvalue(info, false, octets_of(strv_z(tag)));

	return v != NULL ? strv_z((const char *)v) : SV("");
}

/* As the library compares them: the text of its bh= is the hash in base64, padding and all. */
static bool
is_body(struct arena *a, const struct dkim_sig *s, DKIM_SIGINFO *info, struct strv body)
{
	return strv_eq(s->body_hash, body) && strv_eq(tag_of(info, "bh"), tags_to_base64(a, body));
}

/* RFC 6376 6.1.3: the key first, so that a body that has changed is told of where the signer's own header says so. */
static void
settle_hashes(struct dkim_check *c, struct dkim_sig *s, DKIM_SIGINFO *info,
    const unsigned char *header, struct strv body)
{
	switch (crypt_verify(
	    c->lib->kept, s->kind, s->key, MINIMUM_KEY_DEFAULT, header, s->signature)) {
	case CRYPT_BAD:
		dkim_settle(s, DKIM_PERMERROR, SV("the key is no good"));
		return;
	case CRYPT_WRONG:
		dkim_settle(s, DKIM_FAIL, SV("the signature does not match"));
		return;
	case CRYPT_OK:
		break;
	}
	if (is_body(c->a, s, info, body))
		settle_pass(s);
	else
		dkim_settle(s, DKIM_FAIL, SV("the body has changed"));
}

static void
settle_one(struct dkim_check *c, struct dkim_sig *s, DKIM_SIGINFO *info)
{
	void  *header = NULL, *body = NULL;
	size_t n_header = 0, n_body = 0;
	int    error = dkim_sig_geterror(info);

	if (error != DKIM_SIGERROR_UNKNOWN) /* as each is until its key has been used */
		settle_error(s, error);
	else if (strv_eq(s->signature, tags_base64(c->a, tag_of(info, "b"))) &&
	    dkim_sig_gethashes(info, &header, &n_header, &body, &n_body) == DKIM_STAT_OK &&
	    n_header == CRYPT_SHA256)
		settle_hashes(c, s, info, header, strv(body, n_body));
}

/* The library calls it when the body's hashes are there, before it would look at a key. */
static DKIM_CBSTAT
settle_all(DKIM *dkim, DKIM_SIGINFO **list, int n)
{
	struct dkim_check *c = dkim_get_user_context(dkim);

	for (int i = 0; i < n; i++) {
		if ((unsigned)i < c->n_fed && c->fed[i] != NULL && !c->fed[i]->settled)
			settle_one(c, c->fed[i], list[i]);
		dkim_sig_ignore(list[i]);
	}
	return DKIM_CBSTAT_CONTINUE;
}

/* ---- the library ----------------------------------------------------------------------------- */

/* In place of the DNS, should it ever ask. */
static DKIM_CBSTAT
no_key(DKIM *dkim, DKIM_SIGINFO *info, unsigned char *buf, size_t room)
{
	(void)dkim, (void)info, (void)buf, (void)room;
	return DKIM_CBSTAT_NOTFOUND;
}

static void
close_lib(void *arg)
{
	dkim_close(arg);
}

struct dkim_lib *
dkim_lib_new(struct arena *a)
{
	struct dkim_lib *l = arena_alloc(a, sizeof(*l));
	u_int            flags = DKIM_LIBFLAGS_BADSIGHANDLES | DKIM_LIBFLAGS_DELAYSIGPROC;

	l->lib = dkim_init(NULL, NULL);
	if (l->lib == NULL)
		return NULL;
	arena_defer(a, close_lib, l->lib);
	l->kept = crypt_kept_new(a);
	dkim_dns_set_close(l->lib, NULL);
	if (dkim_options(l->lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags)) !=
		DKIM_STAT_OK ||
	    dkim_set_key_lookup(l->lib, no_key) != DKIM_STAT_OK ||
	    dkim_set_final(l->lib, settle_all) != DKIM_STAT_OK)
		return NULL;
	return l;
}

static void
free_handle(void *arg)
{
	struct dkim_check *c = arg;

	if (c->dkim != NULL)
		dkim_free(c->dkim);
	c->dkim = NULL;
}

/* ---- the header ------------------------------------------------------------------------------ */

static void
settle_rest(struct dkim_check *c, enum dkim_result result, struct strv reason)
{
	for (unsigned i = 0; i < c->n; i++)
		if (!c->v[i].settled)
			dkim_settle(&c->v[i], result, reason);
}

static unsigned
unsettled(const struct dkim_check *c)
{
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++)
		n += !c->v[i].settled;
	return n;
}

/* A field without its last CRLF. */
static bool
feed(struct dkim_check *c, struct strv raw)
{
	raw.n -= strv_ends(raw, SV("\r\n")) ? 2 : 0;
	return dkim_header(c->dkim, octets_of(raw), raw.n) == DKIM_STAT_OK;
}

/* Up to its colon the library takes printable ASCII and blanks, no tab, and counts no signature that has else. */
static bool
is_readable(struct strv raw)
{
	for (size_t i = 0; i < raw.n && raw.p[i] != ':'; i++)
		if (raw.p[i] < ' ' || raw.p[i] > '~')
			return false;
	return true;
}

/* A field that the library will not have: the signature in it, and whoever signs it, cannot be checked. */
static void
pass_over(struct dkim_check *c, struct strv name, struct dkim_sig *in_it)
{
	if (in_it != NULL)
		dkim_settle(in_it, DKIM_NEUTRAL, SV("the field cannot be read"));
	for (unsigned i = 0; i < c->n; i++)
		if (!c->v[i].settled && tags_lists(c->v[i].names, name))
			dkim_settle(&c->v[i], DKIM_NEUTRAL, SV("a signed field cannot be read"));
}

/* False: too many. */
static bool
feed_fields(struct dkim_check *c, const struct message *m, const struct dkim_fields *fields)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_h; i++) {
		const struct header *h = &m->h[i];

		if (!dkim_fields_want(fields, h))
			continue;
		if (++n > DKIM_FIELDS_MAX)
			return false;
		if (!is_readable(h->raw)) {
			pass_over(c, header_name(h), dkim_fields_signature(fields, h));
			continue;
		}
		if (dkim_is_signature(h))
			c->fed[c->n_fed++] = dkim_fields_signature(fields, h);
		/* A signature that is no good, and is signed, is a field as any other. */
		if (!feed(c, h->raw) && !dkim_is_signature(h))
			pass_over(c, header_name(h), NULL);
	}
	return feed(c, SV(UNNAMED));
}

static bool
end_header(struct dkim_check *c)
{
	DKIM_SIGINFO **list = NULL;
	int            n = 0;

	if (dkim_eoh(c->dkim) != DKIM_STAT_OK ||
	    dkim_getsiglist(c->dkim, &list, &n) != DKIM_STAT_OK || (unsigned)n != c->n_fed)
		return false;
	for (int i = 0; i < n; i++)
		if (c->fed[i] == NULL)
			dkim_sig_ignore(list[i]);
	return true;
}

static void
count_octets(void *arg, struct strv piece)
{
	struct dkim_sig *s = arg;

	s->body_octets += piece.n;
}

/* How much of the body l= leaves out is counted beside: the library tells what it hashed. */
static void
count_bodies(struct dkim_check *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		struct dkim_sig *s = &c->v[i];

		if (!s->settled && s->has_length)
			s->count = (struct canon_body){
				.form = s->body_form, .out = count_octets, .arg = s
			};
	}
}

struct dkim_check *
dkim_check_begin(
    struct arena *a, struct dkim_lib *lib, const struct message *m, struct dkim_sig *v, unsigned n)
{
	struct dkim_check        *c = arena_alloc(a, sizeof(*c));
	const struct dkim_fields *fields;
	DKIM_STAT                 stat;

	c->a = a;
	c->lib = lib;
	c->v = v;
	c->n = n;
	if (unsettled(c) == 0)
		return NULL;
	fields = dkim_fields_of(a, m, v, n);
	if (unsettled(c) == 0)
		return NULL;
	c->fed = arena_array(a, SIGNATURES_MAX + n, sizeof(struct dkim_sig *));
	c->dkim = lib != NULL ? dkim_verify(lib->lib, (const unsigned char *)"", NULL, &stat) :
				NULL;
	if (c->dkim != NULL) {
		arena_defer(a, free_handle, c);
		dkim_set_user_context(c->dkim, c);
		if (feed_fields(c, m, fields) && end_header(c)) {
			count_bodies(c);
			return c;
		}
		free_handle(c);
	}
	settle_rest(c, DKIM_POLICY, SV("it is too large to be checked"));
	return NULL;
}

/* ---- the body, and the end ------------------------------------------------------------------- */

/* Hashes of what is left of it would be those of another body. */
static void
feed_body(struct dkim_check *c, struct strv text)
{
	c->lost = dkim_body(c->dkim, octets_of(text), text.n) != DKIM_STAT_OK || c->lost;
}

void
dkim_check_body(struct dkim_check *c, struct strv text)
{
	if (text.n == 0 || c->dkim == NULL)
		return;
	feed_body(c, text);
	for (unsigned i = 0; i < c->n; i++)
		if (c->v[i].count.out != NULL)
			canon_body_add(&c->v[i].count, text);
	c->last[0] = text.n > 1 ? text.p[text.n - 2] : c->last[1];
	c->last[1] = text.p[text.n - 1];
	c->any = true;
}

void
dkim_check_end(struct dkim_check *c)
{
	if (c->any && (c->last[0] != '\r' || c->last[1] != '\n'))
		feed_body(c, SV("\r\n"));
	if (!c->lost && unsettled(c) > 0)
		dkim_eom(c->dkim, NULL);
	settle_rest(c, DKIM_NEUTRAL, SV("it cannot be checked"));
	arena_undefer(c->a, free_handle, c);
	free_handle(c);
}

#endif
