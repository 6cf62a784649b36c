/*
 * keycheck -- see keycheck.h.  A record that is missing, stale or mistyped makes every signature worse than none,
 * and nobody behind us tells: so it is asked for here, as a verifier would ask.
 */
#include "proxy/keycheck.h"

#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/base/loop.h"
#include "proxy/mail/tags.h"

#define STACK    65536
#define ASKERS   20   /* side by side */
#define SLACK_MS 5000 /* behind what the questions may take together */

/* ---- one record ------------------------------------------------------------------------------ */

static const char *
type_name(const struct crypt_key *key)
{
	return crypt_key_kind(key) == CRYPT_ED25519 ? "ed25519" : "rsa";
}

static struct strv
public_fault(struct arena *a, const struct crypt_key *key, struct strv p)
{
	struct strv ours = crypt_key_public(a, key), theirs;

	if (p.p == NULL)
		return SV("it has no p=");
	if (p.n == 0)
		return SV("the key is revoked: p= is empty");
	theirs = tags_base64(a, p);
	if (theirs.p == NULL)
		return SV("its p= is not base64");
	if (strv_eq(theirs, ours))
		return strv(NULL, 0);
	/* RFC 6376 3.6.1 speaks of RSAPublicKey; what all publish and read is SubjectPublicKeyInfo around it. */
	if (theirs.n > CRYPT_SHA256 && strv_ends(ours, theirs))
		return SV("its p= is an RSAPublicKey, which most verifiers cannot read");
	return SV("it is of another key");
}

/* What makes a verifier pass the record over, or its result not count: RFC 6376 3.6.1. */
static struct strv
tags_fault(struct arena *a, const struct crypt_key *key, const struct tags *t)
{
	struct strv v = tags_get(t, "v"), k = tags_get(t, "k"), h = tags_get(t, "h");
	struct strv s = tags_get(t, "s"), fault;
	const char *type = type_name(key);

	if (v.p != NULL && (!strv_eq(v, SV("DKIM1")) || !strv_eq(t->v[0].name, SV("v"))))
		return SV("it is no key record: v=DKIM1 must stand first");
	fault = public_fault(a, key, tags_get(t, "p"));
	if (k.p == NULL)
		k = SV("rsa");
	/* An empty p= says all; of another key its type is the smaller trouble. */
	if (!strv_eq(k, strv_z(type)) && (fault.p == NULL || tags_get(t, "p").n > 0))
		return arena_printf(
		    a, "it says k=%.*s, the key is %s", (int)(k.n < 40 ? k.n : 40), k.p, type);
	if (fault.p != NULL)
		return fault;
	if (h.p != NULL && !tags_lists(h, SV("sha256")))
		return SV("its h= forbids sha256");
	if (s.p != NULL && !tags_lists(s, SV("email")) && !tags_lists(s, SV("*")))
		return SV("its s= is not for mail");
	if (tags_lists(tags_get(t, "t"), SV("y")))
		return SV(
		    "it says t=y: verifiers take the signatures for tests, as if there were none");
	return strv(NULL, 0);
}

struct strv
keycheck_fault(
    struct arena *a, const struct crypt_key *key, enum dns_rc rc, const struct dns_answer *txt)
{
	struct tags t;

	if (rc == DNS_NXDOMAIN || rc == DNS_NODATA)
		return SV("there is no record");
	if (rc != DNS_OK)
		return arena_printf(a, "it cannot be had: %s", dns_rc_name(rc));
	/* RFC 6376 3.6.2.2: then the result is undefined. */
	if (txt->n > 1)
		return arena_printf(
		    a, "there are %u records, of which a verifier takes any", txt->n);
	if (tags_parse(txt->v[0].text, &t) != TAGS_OK || t.n == 0)
		return SV("it is no list of tags");
	return tags_fault(a, key, &t);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct ask {
	const struct sign_rule *rule;
	const struct sign_key  *key;
	struct strv             name, fault;
	bool                    answered; /* by a record, or that there is none */
};

struct round {
	struct arena *a;
	struct ask   *ask;
	unsigned      n, next, live;
};

MAY_YIELD static void
ask_on(void *arg)
{
	struct round *r = arg;

	while (r->next < r->n) {
		struct ask       *x = &r->ask[r->next++];
		struct dns_answer txt = { 0 };
		enum dns_rc       rc = dns_ask(r->a, x->name, DNS_TXT, 0, &txt);

		if (rc == DNS_CANCELLED)
			break;
		x->fault = keycheck_fault(r->a, x->key->key, rc, &txt);
		x->answered = rc == DNS_OK || rc == DNS_NXDOMAIN || rc == DNS_NODATA;
	}
	r->live--;
}

static void
add_rules(struct round *r, const struct sign_rule *rule, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < rule[i].n_key; k++) {
			struct ask *x = &r->ask[r->n++];

			x->rule = &rule[i];
			x->key = &rule[i].key[k];
			x->name = arena_printf(r->a, "%.*s._domainkey.%.*s",
			    (int)rule[i].selector.n, rule[i].selector.p, (int)x->key->domain.n,
			    x->key->domain.p);
		}
	}
}

static size_t
count(const struct sign_rule *rule, unsigned n)
{
	size_t all = 0;

	for (unsigned i = 0; i < n; i++)
		all += rule[i].n_key;
	return all;
}

static void
no_more(void *arg)
{
	(void)arg;
}

static void
ask_all(struct round *r, struct loop *loop)
{
	struct fiber_pool *fibers = fiber_pool_new(loop, STACK, ASKERS, 4);
	struct timer       guard = { .fn = no_more };
	unsigned           n = 0;

	timer_start(
	    loop, &guard, loop_now(loop) + (uint64_t)(r->n / ASKERS + 1) * DNS_TIME + SLACK_MS);
	while (n < ASKERS && n < r->n) {
		r->live++;
		if (fiber_start(fibers, "keys", ask_on, r) == NULL) {
			r->live--;
			break;
		}
		n++;
	}
	while (r->live > 0 && guard.pos != 0)
		(void)loop_round(loop, true);
	timer_stop(loop, &guard);
	while (fiber_pool_live(fibers) > 0 && loop_round(loop, false))
		continue;
	if (fiber_pool_live(fibers) == 0)
		fiber_pool_free(fibers);
}

static void
tell(struct round *r, const struct ask *x, void (*emit)(struct strv line, void *arg), void *arg)
{
	const char *how = x->answered ? "does not agree with" : "was not compared with";
	struct strv fault = x->fault;

	if (!x->answered && fault.p == NULL)
		fault = SV("it cannot be had: no answer in time");
	if (fault.p == NULL)
		emit(arena_printf(
			 r->a, "record %.*s agrees with the key", (int)x->name.n, x->name.p),
		    arg);
	else
		emit(arena_printf(r->a, "record %.*s %s the key %.*s of %.*s: %.*s", (int)x->name.n,
			 x->name.p, how, (int)x->key->file.n, x->key->file.p, (int)x->rule->where.n,
			 x->rule->where.p, (int)fault.n, fault.p),
		    arg);
}

unsigned
keycheck_run(const struct settings *s, struct loop *loop, void (*emit)(struct strv line, void *arg),
    void *arg)
{
	const struct auth_conf *c = &s->auth;
	struct arena           *a = arena_new(16384, 0);
	struct round            r = { .a = a };
	unsigned                faults = 0;

	r.ask = arena_array(
	    a, count(c->sign, c->n_sign) + count(c->seal, c->n_seal), sizeof(*r.ask));
	add_rules(&r, c->sign, c->n_sign);
	add_rules(&r, c->seal, c->n_seal);
	ask_all(&r, loop);
	for (unsigned i = 0; i < r.n; i++) {
		tell(&r, &r.ask[i], emit, arg);
		faults += !r.ask[i].answered || r.ask[i].fault.p != NULL;
	}
	if (r.n == 0)
		emit(SV("there is no `sign' or `seal', and so no record to ask for"), arg);
	arena_free(a);
	return faults;
}
