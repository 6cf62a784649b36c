/*
 * arc_world -- what the filters arc and seal stand in: keys that are published, a clock, a log.
 */
#ifndef TESTS_UNIT_ARC_WORLD_H
#define TESTS_UNIT_ARC_WORLD_H

#include "filters/arc_own.h"
#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "proxy/mail/tags.h"
#include "tests/unit/t.h"
#include "tests/unit/test_keys.h"

#define ARC_WALL 1700000000u            /* seconds: now */

struct arc_record {
	char name[128];
	struct strv text;               /* absent: its look-up fails */
};

struct arc_outcome {
	const char *word;               /* of the fact arc; NULL: unknown */
	struct strv result, sealer, sealed;     /* sealer "?": unknown; sealed: the message as it is sent on */
	int64_t oldest;
	bool oldest_unknown;
	unsigned asked, started, edits; /* keys; edits of seal */
	enum filter_rc seal_rc;
};

static struct {
	struct arena *a, *conf;         /* a: of one transaction */
	struct loop *loop;
	struct fiber_pool *pool;
	struct client client;
	struct auth_conf auth;
	struct sign_rule rule;
	struct sign_key key;
	struct arc_record record[64];
	unsigned n_record;
	uint64_t now, dns_takes;        /* ms */
	size_t cut;                     /* octets of a piece of body */
	const struct edit *edit;        /* what somebody else wants, before the seal */
	unsigned n_edit;
	bool holds;
	char log[1000];
	void *seat[2];                  /* of arc, seal */
	struct facts facts;
	struct mail mail;
	struct strv message;
	struct arc_outcome out;
} st;

static uint64_t
st_now(struct world *w)
{
	(void)w;
	return st.now;
}

static uint64_t
st_wall(struct world *w)
{
	(void)w;
	return (uint64_t)ARC_WALL * 1000000;
}

static void
st_log(struct world *w, struct strv line)
{
	(void)w;
	snprintf(st.log, sizeof(st.log), "%.*s", (int)line.n, line.p);
}

static struct world st_world = { .now = st_now, .wall = st_wall, .log = st_log };

/* The TXT record of a name; text NULL: asking fails. What is not published does not exist. */
static void
publish(const char *name, struct strv text)
{
	struct arc_record *r = NULL;

	for (unsigned i = 0; i < st.n_record; i++)
		if (strcmp(st.record[i].name, name) == 0)
			r = &st.record[i];
	if (r == NULL)
		r = &st.record[st.n_record++];
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->text = text.p != NULL ? arena_dup(st.conf, text) : text;
}

static const struct crypt_key *
stand_key(const char *pem)
{
	const char *why = NULL;
	const struct crypt_key *k = crypt_key_read(st.conf, strv_z(pem), &why);

	T_CHECKF(k != NULL, "%s", why);
	return k;
}

static struct strv
key_record(const char *pem)
{
	const struct crypt_key *k = stand_key(pem);
	struct strv p = tags_to_base64(st.conf, crypt_key_public(st.conf, k));

	return arena_printf(st.conf, "v=DKIM1; k=%s; p=%.*s",
	    crypt_key_kind(k) == CRYPT_RSA ? "rsa" : "ed25519", (int)p.n, p.p);
}

/* Seals are made with that key for that domain from now on. */
static void
seal_with(const char *pem, const char *domain, const char *selector)
{
	st.key = (struct sign_key){ .domain = strv_z(domain), .exact = true, .key = stand_key(pem) };
	st.rule = (struct sign_rule){ .selector = strv_z(selector), .key = &st.key, .n_key = 1 };
	st.auth.seal = &st.rule;
	st.auth.n_seal = 1;
}

static void
stand_setup(void)
{
	memset(&st, 0, sizeof(st));
	st.now = 1000;
	st.holds = true;
	st.a = arena_new(65536, 0);
	st.conf = arena_new(4096, 0);
	st.loop = loop_new(&st_world);
	st.pool = fiber_pool_new(st.loop, 65536, 4, 2);
	st.auth = (struct auth_conf)AUTH_CONF_DEFAULT;
	st.auth.id = SV("mx.test");
	addr_parse(SV("192.0.2.1"), &st.client.addr.addr);
	publish("s._domainkey.one.example", key_record(KEY_RSA_1024));
	publish("t._domainkey.two.example", key_record(KEY_RSA_2048));
	publish("e._domainkey.ed.example", key_record(KEY_ED25519));
	seal_with(KEY_RSA_1024, "one.example", "s");
}

static void
stand_teardown(void)
{
	fiber_pool_free(st.pool);
	loop_free(st.loop);
	arena_free(st.a);
	arena_free(st.conf);
}

#endif
