/*
 * sign_field -- a DKIM-Signature field of ours.  RFC 6376 3.5, 3.7, 5.4; RFC 8463.
 *
 * On our own canonical forms and OpenSSL, with keys that were read at start, where verification is libopendkim's:
 * its release 2.11 loses about 560 octets with each Ed25519 signature that it makes, and reads the key's PEM anew for
 * each signature of either kind.  That it verifies what is made here is what the tests see to.
 *
 * Relaxed/relaxed, since what is signed travels.  The invariant: a field is signed in all its instances, bottom up,
 * and one that may stand but once in a message is named once more than it stands there, so that nobody can add one.
 * Date and Message-ID are the exception where they are absent: a mail server behind us adds them (RFC 6409 8.2, 8.3),
 * Sendmail behind all its milters, and the signature shall hold.
 */
#include "filters/sign_own.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/mail/canon.h"
#include "proxy/mail/tags.h"

enum {
	SIGNED_MAX = 100, /* instances of fields; a message with more is not signed */
	LINE = 74,        /* octets of a line of ours */
	CHUNK = 16384     /* of a body in a file that are read at once */
};

/* RFC 6376 5.4.1, and RFC 8058 4 for List-Unsubscribe; `once': RFC 5322 3.6, RFC 2045 3. */
static const struct signed_name {
	const char *name;
	bool        once;
	bool        added; /* where there is none, by a mail server behind us */
} names[] = {
	{ "From", true, false },
	{ "Reply-To", true, false },
	{ "Subject", true, false },
	{ "Date", true, true },
	{ "To", true, false },
	{ "Cc", true, false },
	{ "Message-ID", true, true },
	{ "In-Reply-To", true, false },
	{ "References", true, false },
	{ "MIME-Version", true, false },
	{ "Content-Type", true, false },
	{ "Content-Transfer-Encoding", true, false },
	{ "Sender", false, false },
	{ "Resent-From", false, false },
	{ "Resent-To", false, false },
	{ "Resent-Cc", false, false },
	{ "Resent-Date", false, false },
	{ "Resent-Message-ID", false, false },
	{ "List-Id", false, false },
	{ "List-Help", false, false },
	{ "List-Subscribe", false, false },
	{ "List-Unsubscribe", false, false },
	{ "List-Unsubscribe-Post", false, false },
	{ "List-Owner", false, false },
	{ "List-Post", false, false },
	{ "List-Archive", false, false },
};

/* ---- what is signed -------------------------------------------------------------------------- */

struct folded { /* text of a field that grows, a new line before it gets too long */
	struct buf *out;
	size_t      line;
};

static void
put(struct folded *f, struct strv piece)
{
	if (f->line + piece.n > LINE && f->line > 1) {
		buf_add(f->out, SV("\r\n\t"));
		f->line = 1;
	}
	buf_add(f->out, piece);
	f->line += piece.n;
}

static void
put_name(struct folded *f, struct arena *a, const char *name)
{
	put(f, arena_printf(a, "%s%s", f->out->n > 0 ? ":" : "", name));
}

static void
free_buf(void *arg)
{
	buf_fini(arg);
}

static struct buf *
new_buf(struct arena *a, size_t max)
{
	struct buf *b = arena_alloc(a, sizeof(*b));

	buf_init(b, max);
	arena_defer(a, free_buf, b);
	return b;
}

struct gathering {
	struct arena   *a;
	enum canon_form form;
	struct folded   names;
	struct buf     *hashed;
	unsigned        n;
};

/* The instances of one name, the lowest first: RFC 6376 5.4.2. */
static void
gather(struct gathering *g, const struct signed_name *s, const struct view_field *v, unsigned n)
{
	unsigned before = g->n;

	for (unsigned i = n; i-- > 0 && g->n <= SIGNED_MAX;) {
		if (!strv_ieq(v[i].name, strv_z(s->name)))
			continue;
		buf_add(g->hashed, canon_field(g->a, g->form, v[i].raw));
		put_name(&g->names, g->a, s->name);
		g->n++;
	}
	if (s->once && (!s->added || g->n > before))
		put_name(&g->names, g->a, s->name);
}

static bool
read_header(
    struct arena *a, const struct sign_source *from, struct sign_text *out, const char **why)
{
	struct gathering g = {
		.a = a, .form = out->header, .names = { .out = new_buf(a, 16384), .line = 3 }
	};

	g.hashed = new_buf(a, (size_t)from->view->msg->header_max + 65536);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		gather(&g, &names[i], from->field, from->n_field);
	*why = g.n > SIGNED_MAX                 ? "too many fields to sign" :
	    g.hashed->full || g.names.out->full ? "the header is too large" :
						  NULL;
	out->names = buf_view(g.names.out);
	out->hashed = buf_view(g.hashed);
	return *why == NULL;
}

static void
digest_piece(void *arg, struct strv piece)
{
	crypt_digest_add(arg, piece);
}

/* From memory, too, it comes in pieces of that size or less: the others have their turn between them. */
MAY_YIELD static enum filter_rc
read_pieces(struct arena *a, struct canon_body *c, const struct spool *body, const char **why)
{
	char       *scratch = arena_bytes(a, CHUNK);
	struct strv piece;

	for (uint64_t at = 0; at < spool_size(body); at += piece.n) {
		piece = spool_read(body, at, scratch, CHUNK);
		if (piece.n == 0) {
			*why = "the text cannot be read";
			return FILTER_BUG;
		}
		canon_body_add(c, piece);
		if (fiber_yield() == WAIT_CANCELLED)
			return FILTER_CANCELLED;
	}
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
read_body(struct arena *a, const struct spool *body, struct sign_text *out, const char **why)
{
	struct crypt_digest *d = crypt_digest_begin(a);
	struct canon_body    c = { .form = out->text, .out = digest_piece, .arg = d };
	enum filter_rc       rc = body != NULL ? read_pieces(a, &c, body, why) : FILTER_OK;

	if (rc != FILTER_OK)
		return rc;
	canon_body_end(&c);
	crypt_digest_end(d, out->body);
	return FILTER_OK;
}

MAY_YIELD enum filter_rc
sign_read(struct arena *a, const struct sign_source *from, uint64_t now, struct sign_text *out,
    const char **why)
{
	out->now = now;
	if (!read_header(a, from, out, why))
		return FILTER_BUG;
	return read_body(a, view_body(from->view), out, why);
}

/* ---- the field ------------------------------------------------------------------------------- */

/* Behind "b=", in lines. */
static struct strv
fold_base64(struct arena *a, struct strv octets)
{
	struct strv text = tags_to_base64(a, octets);
	char       *p = arena_bytes(a, text.n + text.n / (LINE - 4) * 3 + 3);
	size_t      n = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (i > 0 && i % (LINE - 4) == 0) {
			memcpy(p + n, "\r\n\t", 3);
			n += 3;
		}
		p[n++] = text.p[i];
	}
	return strv(p, n);
}

static const char *
form_name(enum canon_form form)
{
	return form == CANON_SIMPLE ? "simple" : "relaxed";
}

struct strv
sign_make_field(struct arena *a, const struct sign_text *t, struct strv domain,
    struct strv selector, const struct crypt_key *key)
{
	struct strv   bh = tags_to_base64(a, strv((const char *)t->body, CRYPT_SHA256)), bare, raw;
	struct strv   signature;
	unsigned char digest[CRYPT_SHA256];
	struct crypt_digest *d = crypt_digest_begin(a);

	bare = arena_printf(a,
	    "v=1; a=%s; c=%s/%s;\r\n\td=%.*s;\r\n\ts=%.*s; t=%llu;\r\n\t"
	    "h=%.*s;\r\n\tbh=%.*s;\r\n\tb=",
	    crypt_key_kind(key) == CRYPT_RSA ? "rsa-sha256" : "ed25519-sha256",
	    form_name(t->header), form_name(t->text), (int)domain.n, domain.p, (int)selector.n,
	    selector.p, (unsigned long long)t->now, (int)t->names.n, t->names.p, (int)bh.n, bh.p);
	raw = arena_concat(a, SV("DKIM-Signature: "), bare);
	crypt_digest_add(d, t->hashed);
	crypt_digest_add(d, canon_signature(a, t->header, raw));
	crypt_digest_end(d, digest);
	signature = crypt_sign(a, key, digest);
	if (signature.n == 0)
		return strv(NULL, 0);
	return arena_concat(a, bare, fold_base64(a, signature));
}
