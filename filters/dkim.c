/*
 * dkim -- who signed it, and does the signature hold?  RFC 6376, 8301, 8463.
 *
 * When the header is there the first `dkim { signatures }' DKIM-Signature fields are read and the look-ups of their
 * keys begin; the body goes through the hashes as it comes; who asks first waits for the keys and finishes.  The
 * message is looked at as it was received, hidden fields included, for that is what was signed.
 *
 * A signature by a key under test (t=y) is told and counts for nothing: such a message is to be treated as an
 * unsigned one, whether it passes or not (RFC 6376 3.6.1).
 */
#include "config.h"
#include "filters/dkim_own.h"
#include "filters/filters.h"
#include "filters/registry.h"

#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

#if HAVE_OPENDKIM

struct shared {
	struct arena           *conf;
	const struct auth_conf *auth;
	const struct fact_def  *defs;
	unsigned                txt;
	struct dkim_lib        *lib; /* made at the first signature, so in the worker */
	bool                    tried;
};

struct look { /* at one message */
	struct dkim_sig   *v;
	unsigned           n, of; /* n of them are looked at */
	struct dkim_check *check; /* NULL: nothing is left to check */
	bool               done;
};

struct seat {
	struct shared *shared;
	struct arena  *a;    /* the transaction's */
	struct look   *look; /* NULL: its header has not been heard */
};

/* ---- a session ------------------------------------------------------------------------------- */

/* DMARC is built upon the domains that pass. */
static bool
is_meant(const struct filter_use *use, const struct fact_def *defs, unsigned n)
{
	if (use->auth->methods & (AUTH_DKIM | AUTH_DMARC))
		return true;
	for (unsigned i = 0; i < n && use->asked != NULL; i++)
		if (use->asked[i] &&
		    (strncmp(defs[i].name, "dkim", 4) == 0 ||
			strncmp(defs[i].name, "dmarc", 5) == 0))
			return true;
	return false;
}

static void *
dkim_make(struct arena *conf, const struct filter_use *use)
{
	unsigned               n;
	const struct fact_def *defs = registry_facts(&n);
	struct shared         *s;

	if (!is_meant(use, defs, n))
		return NULL;
	s = arena_alloc(conf, sizeof(*s));
	s->conf = conf;
	s->auth = use->auth;
	s->defs = defs;
	s->txt = registry_number("txt");
	return s;
}

static void *
dkim_open(struct arena *session, void *shared, const struct client *client)
{
	struct seat *s = arena_alloc(session, sizeof(*s));

	(void)client;
	s->shared = shared;
	return s;
}

static void
dkim_begin(void *self, struct arena *transaction)
{
	struct seat *s = self;

	s->a = transaction;
	s->look = NULL;
}

/* What the library has is on the transaction's arena. */
static void
dkim_end(void *self)
{
	struct seat *s = self;

	s->a = NULL;
	s->look = NULL;
}

/* ---- the header and the body ----------------------------------------------------------------- */

static struct dkim_lib *
lib_of(struct shared *s)
{
	if (!s->tried)
		s->lib = dkim_lib_new(s->conf);
	s->tried = true;
	return s->lib;
}

static uint64_t
seconds_now(void)
{
	struct world *w = fiber_self() != NULL ? loop_world(fiber_loop()) : NULL;

	return w != NULL ? w->wall(w) / 1000000 : 0;
}

static void
choose(struct seat *s, const struct message *m)
{
	struct look *k = s->look;
	unsigned     most = s->shared->auth->signatures;
	uint64_t     now = seconds_now();

	most = most < SIGNATURES_MAX ? most : SIGNATURES_MAX;
	for (unsigned i = 0; i < m->n_h; i++) {
		if (!dkim_is_signature(&m->h[i]) || k->of++ >= most)
			continue;
		if (k->v == NULL)
			k->v = arena_array(s->a, most, sizeof(*k->v));
		dkim_sig_read(s->a, &m->h[i], now, &k->v[k->n++]);
	}
}

/* What is not looked at is told, once a message. */
static void
tell_of_the_rest(struct seat *s, const struct mail *m)
{
	struct log_line *l;

	if (s->look->of == s->look->n || fiber_self() == NULL)
		return;
	l = arena_alloc(s->a, sizeof(*l));
	log_begin(l, loop_world(fiber_loop()), strv_z(m->id), "dkim-signatures");
	log_number(l, "all", s->look->of);
	log_number(l, "checked", s->look->n);
	log_end(l);
}

static enum filter_rc
dkim_at(void *self, enum stage at, const struct mail *m, const struct view *view,
    struct findings *found)
{
	struct seat *s = self;
	struct look *k;

	(void)at, (void)view;
	if (s->a == NULL || m->msg == NULL)
		return FILTER_OK;
	k = s->look = arena_alloc(s->a, sizeof(*k));
	choose(s, m->msg);
	if (k->n == 0)
		return FILTER_OK;
	tell_of_the_rest(s, m);
	k->check = dkim_check_begin(s->a, lib_of(s->shared), m->msg, k->v, k->n);
	for (unsigned i = 0; i < k->n; i++)
		if (!k->v[i].settled)
			found->start(found, s->shared->txt, k->v[i].key_name);
	return FILTER_OK;
}

static enum filter_rc
dkim_body_(void *self, struct strv text)
{
	struct seat *s = self;

	if (s->look != NULL && s->look->check != NULL)
		dkim_check_body(s->look->check, text);
	return FILTER_OK;
}

/* ---- the result ------------------------------------------------------------------------------ */

/* RFC 6376 6.1.2: what the DNS does not answer now may be asked again later. */
static void
read_key(struct seat *s, struct dkim_sig *sig, const struct fact *f)
{
	if (f->state != FACT_KNOWN)
		dkim_settle(sig, DKIM_TEMPERROR, SV("the key cannot be had now"));
	else
		dkim_key_read(s->a, sig, f->v.texts.v, f->v.texts.n, s->shared->auth->minimum_key);
}

static void
discount_test(struct arena *a, struct dkim_sig *s)
{
	if (!s->testing)
		return;
	s->reason = s->result == DKIM_PASS ?
	    SV("a test key; it matches") :
	    arena_printf(a, "a test key; %.*s", (int)s->reason.n, s->reason.p);
	s->result = DKIM_NEUTRAL;
	s->partial = false;
}

/* Those that could not be judged: the field has a word for each, the operator one line. */
static void
tell_of_errors(struct seat *s, const struct mail *m)
{
	const struct dkim_sig *first = NULL;
	struct log_line       *l;
	unsigned               n = 0;

	for (unsigned i = 0; i < s->look->n; i++) {
		const struct dkim_sig *sig = &s->look->v[i];

		if (sig->result == DKIM_PASS || sig->result == DKIM_FAIL || sig->testing)
			continue;
		first = first != NULL ? first : sig;
		n++;
	}
	if (first == NULL || fiber_self() == NULL)
		return;
	l = arena_alloc(s->a, sizeof(*l));
	log_begin(l, loop_world(fiber_loop()), strv_z(m->id), "dkim-error");
	log_number(l, "signatures", n);
	log_strv(l, "first", dkim_sig_text(s->a, first));
	log_end(l);
}

/* Several fibers may wait here for the keys; the first that has them all finishes. */
MAY_YIELD static enum filter_rc
finish(struct seat *s, const struct mail *m)
{
	struct look *k = s->look;
	struct fact *keys[SIGNATURES_MAX];

	for (unsigned i = 0; i < k->n && !k->done; i++)
		if (!k->v[i].settled &&
		    fact_get(m->facts, s->shared->defs, s->shared->txt, 0, k->v[i].key_name,
			&keys[i]) != WAIT_OK)
			return FILTER_CANCELLED;
	if (!k->done && k->check != NULL && fiber_heavy() == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	if (k->done)
		return FILTER_OK;
	k->done = true;
	for (unsigned i = 0; i < k->n; i++)
		if (!k->v[i].settled)
			read_key(s, &k->v[i], keys[i]);
	if (k->check != NULL)
		dkim_check_end(k->check);
	k->check = NULL;
	for (unsigned i = 0; i < k->n; i++)
		discount_test(s->a, &k->v[i]);
	tell_of_errors(s, m);
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
dkim_ask(void *self, struct fact *f, const struct mail *m)
{
	struct seat   *s = self;
	enum filter_rc rc;

	f->source = SV("DKIM");
	if (s->look == NULL)
		return FILTER_TEMP;
	rc = finish(s, m);
	if (rc != FILTER_OK)
		return rc;
	f->source = arena_printf(f->a, "DKIM, %u of %u signatures", s->look->n, s->look->of);
	dkim_facts_fill(f, s->look->v, s->look->n);
	return FILTER_OK;
}

const struct filter dkim_filter = {
	.name = "dkim",
	.facts = dkim_facts,
	.does = DOES_BODY | DOES_ORIGINAL,
	.stages = AT(HEADERS),
	.make = dkim_make,
	.open = dkim_open,
	.begin = dkim_begin,
	.end = dkim_end,
	.at = dkim_at,
	.ask = dkim_ask,
	.body = dkim_body_,
};

#else

static void *
dkim_make(struct arena *conf, const struct filter_use *use)
{
	(void)conf, (void)use;
	return NULL;
}

const struct filter dkim_filter = {
	.name = "dkim",
	.facts = dkim_facts,
	.make = dkim_make,
};

#endif
