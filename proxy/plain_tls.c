/*
 * plain_tls -- the statement `tls`, and the TLS contexts of listeners and servers.
 *
 * Every listener shows every certificate; servers that are spoken to in the same way share a context.
 */
#include <sys/stat.h>

#include "proxy/base/arena.h"
#include "proxy/base/hash.h"
#include "proxy/base/tls_names.h"
#include "proxy/plain.h"

#define PEM_MAX (1u << 20) /* octets of a certificate chain or a key */
#define CA_MAX  (8u << 20) /* of all the CAs of a system */
#define SOON    14         /* days before its end in which a certificate is warned of */
#define DAY     86400
#define NAMES   8 /* of a certificate that `check` shows */
#define TLS_1_2 0x0303
#define TLS_1_3 0x0304

/* ---- the statement --------------------------------------------------------------------------- */

static void
tls_minimum(struct values *r, struct load *l)
{
	static const char *const words[] = { "1.2", "1.3", NULL };
	int                      i = values_take_one_of(r, words, "a version of TLS");

	if (l->tls_minimum != 0)
		values_error(r, NULL, NULL, "`tls minimum' stands here twice");
	l->tls_minimum = i == 1 ? TLS_1_3 : TLS_1_2;
}

static void
tls_client_ca(struct values *r, struct load *l)
{
	const struct conf_value *v = values_take_text(r, "a file");

	if (l->client_ca != NULL)
		values_error(r, NULL, "a file may hold several of them",
		    "`tls client-ca' stands here twice");
	else
		l->client_ca = v;
}

static void
tls_key(struct values *r, const struct conf_value *at, void *obj)
{
	(void)at;
	((struct certificate_said *)obj)->key = values_take_text(r, "a file");
}

static void
tls_server_name(struct values *r, const struct conf_value *at, void *obj)
{
	const struct conf_value *v = plain_take_host(r, HOST_OR_WILDCARD);
	struct addr              addr;

	(void)at;
	((struct certificate_said *)obj)->server_name = v;
	if (v != NULL && addr_parse(v->text, &addr))
		values_error(r, v,
		    "a name, such as mx.example.com: who asks for none is shown the first certificate",
		    "%s is an address: no client asks for one (RFC 6066 3)",
		    diag_quote(r->a, v->text));
}

static void
tls_certificate(struct values *r, struct load *l)
{
	static const struct option options[] = {
		{ "key", tls_key, 0 },
		{ "server-name", tls_server_name, 0 },
		{ NULL, NULL, 0 },
	};
	struct certificate_said *c;
	unsigned                 errors = r->d->errors;

	l->certificate = arena_grow(l->a, l->certificate, &l->max_certificate, l->n_certificate + 1,
	    sizeof(*l->certificate));
	c = &l->certificate[l->n_certificate++];
	*c = (struct certificate_said){ .chain = values_take_text(r, "a file") };
	values_options(r, options, c);
	if (c->chain != NULL && c->key == NULL && r->d->errors == errors)
		values_error(
		    r, NULL, "tls certificate \"FILE\" key \"FILE\"", "the key is missing");
}

void
plain_tls(struct values *r, struct load *l)
{
	if (values_is(r, "minimum"))
		tls_minimum(r, l);
	else if (values_is(r, "client-ca"))
		tls_client_ca(r, l);
	else if (values_is(r, "certificate"))
		tls_certificate(r, l);
	else {
		values_error(r, values_peek(r),
		    "tls certificate \"FILE\" key \"FILE\", tls minimum 1.2, or tls client-ca \"FILE\"",
		    "`certificate', `minimum' or `client-ca' is expected here");
		r->i = r->st->n;
	}
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Whoever reads the key can be us.  The file may not be there in a world of tests: nothing is said then. */
static void
warn_of_readers(struct load *l, const struct conf_value *v)
{
	const char *path = plain_path(l->a, v);
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0)
		diag_add(l->d, DIAG_WARNING, v->pos, arena_printf(l->a, "chmod o= %s", path),
		    "everybody on this machine can read the key %s", path);
}

struct strv
plain_hint_file(enum file_rc rc, struct strv said)
{
	if (rc == FILE_DENIED)
		return SV("whoever starts postern must be allowed to read it");
	if (rc == FILE_ABSENT && !strv_starts(said, SV("/")))
		return SV("a name without / in front is looked for beside the file that names it");
	if (rc == FILE_TOO_BIG)
		return SV("is it the right file?");
	if (rc == FILE_NO_DESCRIPTOR)
		return SV("whoever starts postern must be allowed more open files (ulimit -n)");
	return strv(NULL, 0);
}

static struct strv
read_pem(struct load *l, const struct conf_value *v, size_t max, const char *what)
{
	struct strv  out = { NULL, 0 };
	const char  *path = plain_path(l->a, v);
	enum file_rc rc = l->w->read_file(l->w, l->a, path, max, &out);

	if (rc == FILE_OK)
		return out;
	diag_add(l->d, DIAG_ERROR, v->pos, plain_hint_file(rc, v->text),
	    "cannot read the %s %s: %s", what, path, file_rc_name(rc));
	return strv(NULL, 0);
}

static void
fault(struct load *l, const struct conf_value *v, struct strv why)
{
	diag_add(l->d, DIAG_ERROR, v->pos,
	    SV("PEM is due: a certificate, those that signed it behind it; a key without a pass phrase"),
	    "%s: %.*s", plain_path(l->a, v), (int)why.n, why.p == NULL ? "" : why.p);
}

/* ---- certificates ---------------------------------------------------------------------------- */

/* "in 3 days" */
static struct strv
time_left(struct arena *a, uint64_t s)
{
	unsigned days = (unsigned)(s / DAY);

	if (days == 0)
		return SV("within a day");
	return arena_printf(a, "in %u day%s", days, days == 1 ? "" : "s");
}

static void
warn_of_end(struct load *l, const struct conf_value *v, uint64_t ends)
{
	uint64_t    now = l->w->wall(l->w) / 1000000;
	struct strv day = day_print(l->a, ends), left;
	const char *path = plain_path(l->a, v);

	if (ends <= now) {
		diag_add(l->d, DIAG_WARNING, v->pos,
		    SV("clients that verify refuse it; a reload takes a new one"),
		    "the certificate %s has expired: it ended on %.*s", path, (int)day.n, day.p);
		return;
	}
	if (ends - now >= SOON * DAY)
		return;
	left = time_left(l->a, ends - now);
	diag_add(l->d, DIAG_WARNING, v->pos, SV("a reload takes a new one"),
	    "the certificate %s expires %.*s, on %.*s", path, (int)left.n, left.p, (int)day.n,
	    day.p);
}

/* By itself, so that its fault and its end are its own. False: said why it cannot be used. */
static bool
look_at(struct load *l, const struct certificate_said *said, const struct tls_certificate *pem,
    struct certificate *out)
{
	struct strv         why = { NULL, 0 };
	unsigned            which;
	struct tls_context *x = tls_context_server(
	    l->a, &(struct tls_server){ pem, 1, TLS_1_2, SV("look"), { NULL, 0 } }, &which, &why);

	if (x == NULL) {
		fault(l, said->chain, why);
		return false;
	}
	out->ends = tls_context_expires(x);
	out->names = tls_names_print(l->a, x, NAMES);
	tls_context_free(x);
	warn_of_end(l, said->chain, out->ends);
	return true;
}

static bool
read_certificate(struct load *l, const struct certificate_said *said, struct tls_certificate *pem,
    struct certificate *out)
{
	if (said->chain == NULL || said->key == NULL)
		return false;
	out->path = plain_path(l->a, said->chain);
	pem->chain = read_pem(l, said->chain, PEM_MAX, "certificate");
	pem->key = read_pem(l, said->key, PEM_MAX, "key");
	if (said->server_name != NULL)
		pem->server_name = said->server_name->text;
	warn_of_readers(l, said->key);
	return pem->chain.p != NULL && pem->key.p != NULL && look_at(l, said, pem, out);
}

/* ---- listeners ------------------------------------------------------------------------------- */

/* Tickets of one listener are worth nothing at another: each has an id of its own, at most 32 octets. */
static struct strv
context_id(struct arena *a, const struct listener *l)
{
	char                         text[ENDPOINT_TEXT];
	static const struct hash_key none;
	uint64_t                     h = hash_sip(&none, endpoint_print(&l->at, text));

	return arena_printf(a, "postern %016llx", (unsigned long long)h);
}

/* False: said what is wrong, which would be wrong at every other listener, too. */
static bool
listener_context(struct load *l, struct listener *one, struct tls_server *conf)
{
	struct strv why = { NULL, 0 };
	unsigned    which = 0;

	if (one->no_starttls && !one->tls)
		return true;
	conf->id = context_id(l->a, one);
	one->context = tls_context_server(l->a, conf, &which, &why);
	if (one->context != NULL)
		return true;
	fault(l, which < l->n_certificate ? l->certificate[which].chain : l->client_ca, why);
	return false;
}

/* An old one above its successor, say: clients would be shown the old one until its end and behind it. */
static void
warn_of_unseen(struct load *l, const struct tls_context *x)
{
	for (unsigned i = 0; i < l->n_certificate; i++)
		if (!tls_names_show(x, i))
			diag_add(l->d, DIAG_WARNING, l->certificate[i].chain->pos,
			    SV("leave it out, put it in front, or give it a server-name of its own"),
			    "the certificate %s is never shown: it has no name of its own",
			    l->s->certificate[i].path);
}

static void
server_contexts(struct load *l)
{
	struct tls_certificate   *pem = arena_array(l->a, l->n_certificate, sizeof(*pem));
	struct tls_server         conf = { .certificate = pem,
			.n_certificate = l->n_certificate,
			.minimum = l->tls_minimum == 0 ? TLS_1_2 : l->tls_minimum };
	const struct tls_context *x = NULL; /* the first: all have the same certificates */
	bool                      good = true;

	l->s->certificate = arena_array(l->a, l->n_certificate, sizeof(*l->s->certificate));
	l->s->n_certificate = l->n_certificate;
	for (unsigned i = 0; i < l->n_certificate; i++)
		good &= read_certificate(l, &l->certificate[i], &pem[i], &l->s->certificate[i]);
	if (l->client_ca != NULL) {
		conf.client_ca = read_pem(l, l->client_ca, CA_MAX, "CA");
		good &= conf.client_ca.p != NULL;
		l->s->client_ca = true;
	}
	for (unsigned i = 0; good && i < l->s->n_listener; i++) {
		good = listener_context(l, &l->s->listener[i], &conf);
		if (x == NULL && l->s->listener[i].context != NULL)
			warn_of_unseen(l, x = l->s->listener[i].context);
	}
}

static void
no_certificate(struct load *l)
{
	for (unsigned i = 0; i < l->s->n_listener; i++)
		if (l->s->listener[i].tls || l->s->listener[i].require_tls)
			diag_add(l->d, DIAG_ERROR, l->listen[i].pos,
			    SV("tls certificate \"FILE\" key \"FILE\""),
			    "TLS here needs a certificate, and none is named");
	if (l->client_ca != NULL)
		diag_add(l->d, DIAG_ERROR, l->client_ca->pos,
		    SV("tls certificate \"FILE\" key \"FILE\""),
		    "clients are asked for a certificate only where we have one, and none is named");
}

/* ---- servers --------------------------------------------------------------------------------- */

/* The context that u's server can share, or a new one without its context. */
static struct tls_use_of *
use_of(struct load *l, bool verify, const char *ca)
{
	struct settings   *s = l->s;
	struct tls_use_of *v = s->client;

	for (unsigned i = 0; i < s->n_client; i++)
		if (v[i].verify == verify &&
		    (ca == NULL ? v[i].ca == NULL : v[i].ca != NULL && strcmp(v[i].ca, ca) == 0))
			return &v[i];
	v[s->n_client] = (struct tls_use_of){ verify, ca, NULL };
	return &v[s->n_client++];
}

static struct tls_context *
client_context(struct load *l, const struct upstream_said *u)
{
	bool               verify = u->sv.tls == TLS_USE_VERIFY;
	const char        *ca = verify && u->ca != NULL ? plain_path(l->a, u->ca) : NULL;
	struct tls_use_of *use = use_of(l, verify, ca);
	struct tls_client  conf = { verify, { NULL, 0 },
                l->tls_minimum == 0 ? TLS_1_2 : l->tls_minimum };
	struct strv        why = { NULL, 0 };

	if (use->context != NULL)
		return use->context;
	if (ca != NULL) {
		conf.ca = read_pem(l, u->ca, CA_MAX, "CA");
		if (conf.ca.p == NULL)
			return NULL;
	}
	use->context = tls_context_client(l->a, &conf, &why);
	if (use->context == NULL && ca != NULL)
		fault(l, u->ca, why);
	else if (use->context == NULL)
		diag_add(l->d, DIAG_ERROR, u->tls->pos,
		    SV("`ca \"FILE\"' names who signs; `tls may' verifies nobody"),
		    "TLS cannot be used: %.*s", (int)why.n, why.p == NULL ? "" : why.p);
	return use->context;
}

void
plain_contexts(struct load *l)
{
	if (l->n_certificate == 0)
		no_certificate(l);
	else
		server_contexts(l);
	l->s->client = arena_array(l->a, l->n_upstream, sizeof(*l->s->client));
	for (unsigned i = 0; i < l->n_upstream; i++)
		if (l->upstream[i].sv.tls != TLS_USE_OFF)
			l->upstream[i].sv.context = client_context(l, &l->upstream[i]);
}
