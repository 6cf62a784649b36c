/* Our ARC sets: what they say and sign, where there is none, and that what is changed later shows.  RFC 8617 5.1. */
#include "proxy/base/spool.h"
#include "tests/unit/arc_stand.h"

#define HEADER \
	"Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n" \
	"DKIM-Signature: v=1; d=one.example; b=\r\n" \
	"DKIM-Signature: v=1; d=two.example; b=\r\n" \
	"From: A <a@one.example>\r\n" \
	"Subject: hello\r\n"
#define PLAIN HEADER "\r\nbody\r\n"

static bool
has(struct strv text, const char *what)
{
	return memmem(text.p, text.n, what, strlen(what)) != NULL;
}

#define HAS(text, what) \
	T_CHECKF(has(text, what), "no \"%s\" in %.*s", what, (int)(text).n, (text).p)
#define LACKS(text, what) \
	T_CHECKF(!has(text, what), "\"%s\" in %.*s", what, (int)(text).n, (text).p)

/* RFC 8617 4.1 and 5.1, 4: three fields on top, the seal first. */
static void
what_is_added(void)
{
	static const char *const order[] = { "ARC-Seal: i=1; a=rsa-sha256; t=1700000000; cv=none;",
		"\r\nARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed;",
		("\r\nARC-Authentication-Results: i=1; mx.test;\r\n\tspf=temperror;\r\n\tarc=none "
		 "smtp.remote-ip=192.0.2.1\r\nReceived: ") };
	const char              *at;

	stand_setup();
	st.auth.methods = AUTH_SPF;
	go(SV(PLAIN));
	T_EQ_NUM(st.out.edits, 3);
	at = st.out.sealed.p;
	for (size_t i = 0; i < T_COUNT(order); i++) {
		const char *found = memmem(at, (size_t)(st.out.sealed.p + st.out.sealed.n - at),
		    order[i], strlen(order[i]));

		if (!T_CHECKF(found != NULL && (i > 0 || found == at), "no \"%s\" there", order[i]))
			break;
		at = found;
	}
	HAS(st.out.sealed, "\r\n\th=from:from:subject:dkim-signature:dkim-signature;\r\n");
	HAS(st.out.sealed, "\r\n\td=one.example; s=s; t=1700000000;\r\n");
	T_CHECK(strv_ends(st.out.sealed, SV(PLAIN)));
	T_EQ_STR(st.log, "");
	stand_teardown();
}

/* Edits that others made are sealed, too. */
static void
edits_are_sealed(void)
{
	const struct edit edits[] = {
		{ .op = EDIT_INSERT_HEADER,
		    .at = 0,
		    .name = SV("DKIM-Signature"),
		    .value = SV("v=1; d=ours.example") },
		{ .op = EDIT_CHANGE_HEADER,
		    .at = 1,
		    .name = SV("Subject"),
		    .value = SV("\r\n folded\r\n\t twice") },
		{ .op = EDIT_DELETE_HEADER, .at = 1, .name = SV("From") },
		{ .op = EDIT_ADD_HEADER, .name = SV("From"), .value = SV("b@two.example") },
		{ .op = EDIT_INSERT_HEADER,
		    .at = 0,
		    .name = SV("Authentication-Results"),
		    .value = SV("mx.test; none") },
	};
	struct strv sealed;

	stand_setup();
	st.edit = edits;
	st.n_edit = T_COUNT(edits);
	sealed = arena_dup(st.conf, go(SV(PLAIN))->sealed);
	st.n_edit = 0;
	HAS(sealed, "h=from:from:subject:dkim-signature:dkim-signature:dkim-signature;");
	HAS(sealed, "ARC-Seal");
	go(sealed);
	T_EQ_STR(st.out.word, "pass");
	/* Authentication-Results and Received may come and go. RFC 8617 4.1.2 */
	go(replaced(replaced(sealed, 1, "\r\nAuthentication-Results: mx.test; none\r\n", "\r\n"), 1,
	    "\r\nReceived", "\r\nX-R"));
	T_EQ_STR(st.out.word, "pass");
	stand_teardown();
}

/* A body in place of the one that came is the one that is sealed. */
static void
another_body(void)
{
	struct strv sealed;

	stand_setup();
	{
		struct spool_pool *pool = spool_pool_new(&st_world, "", 65536, 0);
		struct spool      *body = spool_new(pool);
		struct edit        e = { .op = EDIT_REPLACE_BODY, .body = body };

		T_EQ_NUM(spool_add(body, SV("another  body \r\n\r\n")), SPOOL_OK);
		st.edit = &e;
		st.n_edit = 1;
		sealed = arena_dup(st.conf, go(SV(PLAIN))->sealed);
		st.n_edit = 0;
		spool_free(body);
		spool_pool_free(pool);
	}
	HAS(sealed, "ARC-Seal: i=1;");
	go(sealed);
	T_EQ_STR(st.out.word, "fail");
	go(replaced(sealed, 1, "\r\nbody\r\n", "\r\nanother body\r\n"));
	T_EQ_STR(st.out.word, "pass");
	stand_teardown();
}

/* RFC 8617 5.1.2: of a chain that is broken our seal signs nothing but our own set; then it has ended. */
static void
broken_chain(void)
{
	struct crypt_digest *d;
	unsigned char        digest[CRYPT_SHA256];
	struct view_field   *f;
	struct strv          m, sealed;
	struct tags         *tags;
	struct arc_signature s;
	const char          *why = NULL;
	struct message       msg;
	struct strv          body, key;

	stand_setup();
	m = replaced(chain_of(2, SV(PLAIN)), 1, "hello", "hallo");
	seal_with(KEY_RSA_1024, "one.example", "s");
	sealed = arena_dup(st.conf, go(m)->sealed);
	HAS(sealed, "ARC-Seal: i=3; a=rsa-sha256; t=1700000000; cv=fail;");
	HAS(sealed, "reason=\"ARC-Message-Signature i=2:");
	message_begin(&msg, st.conf, NULL, 1000000);
	message_feed(&msg, sealed, &body);
	f = arena_array(st.conf, msg.n_h, sizeof(*f));
	tags = arena_alloc(st.conf, sizeof(*tags));
	d = crypt_digest_begin(st.conf);
	T_EQ_TEXT(header_name(&msg.h[2]), "ARC-Authentication-Results");
	T_EQ_TEXT(header_name(&msg.h[1]), "ARC-Message-Signature");
	crypt_digest_add(d, canon_field(st.conf, CANON_RELAXED, msg.h[2].raw));
	crypt_digest_add(d, canon_field(st.conf, CANON_RELAXED, msg.h[1].raw));
	crypt_digest_add(d, canon_signature(st.conf, CANON_RELAXED, msg.h[0].raw));
	crypt_digest_end(d, digest);
	T_CHECKF(arc_seal_read(st.conf, tags, msg.h[0].raw, &s, &why), "%s", why);
	key = arc_key_read(st.conf, tags, key_record(KEY_RSA_1024), CRYPT_RSA, &why);
	T_CHECK(crypt_verify(NULL, CRYPT_RSA, key, 1024, digest, s.b) == CRYPT_OK);
	go(sealed);
	T_EQ_TEXT(st.out.result,
	    "arc=fail reason=\"ARC-Seal i=3 says cv=fail\" smtp.remote-ip=192.0.2.1");
	T_EQ_NUM(st.out.asked, 0);
	T_EQ_NUM(st.out.edits, 0);
	HAS(strv_z(st.log), "its ARC chain has ended");
	stand_teardown();
}

/* The instance of a chain that is none: one above the highest that can be read. */
static void
instances(void)
{
	static const struct {
		const char *field, *want; /* NULL: no seal, why */
		const char *why;
	} rows[] = {
		{ "ARC-Seal: i=1; cv=none\r\n",
		    "ARC-Seal: i=2; a=rsa-sha256; t=1700000000; cv=fail;", NULL },
		{ "ARC-Seal: i=49; cv=none\r\n",
		    "ARC-Seal: i=50; a=rsa-sha256; t=1700000000; cv=fail;", NULL },
		{ "ARC-Seal: i=x; cv=none\r\n",
		    "ARC-Seal: i=1; a=rsa-sha256; t=1700000000; cv=fail;", NULL },
		{ "ARC-Seal: i=50; cv=pass\r\n", NULL, "it has as many ARC sets as may be" },
		{ "ARC-Seal: i=51; cv=pass\r\n", NULL, "it has as many ARC sets as may be" },
		{ "ARC-Seal: i=99999999999999999999999; cv=pass\r\n", NULL,
		    "it has as many ARC sets as may be" },
		{ "ARC-Seal: i=7; cv=fail\r\n", NULL, "its ARC chain has ended" },
	};

	stand_setup();
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].field;
		go(arena_concat(st.conf, strv_z(rows[i].field), SV(PLAIN)));
		T_EQ_STR(st.out.word, "fail");
		if (rows[i].want != NULL)
			HAS(st.out.sealed, rows[i].want);
		else
			HAS(strv_z(st.log), rows[i].why);
		T_EQ_NUM(st.out.edits, rows[i].want != NULL ? 3 : 0);
		T_EQ_NUM(st.out.seal_rc, FILTER_OK);
	}
	t_row = NULL;
	stand_teardown();
}

/* No seal: where none is meant, where a key cannot be had, where somebody changed the chain. */
static void
no_seal(void)
{
	const struct edit deletes = { .op = EDIT_DELETE_HEADER, .at = 1, .name = SV("arc-seal") };
	const struct edit adds = {
		.op = EDIT_ADD_HEADER, .name = SV("ARC-Seal"), .value = SV("i=3; cv=pass")
	};
	const struct edit        changes = { .op = EDIT_CHANGE_HEADER,
		       .at = 1,
		       .name = SV("ARC-Message-Signature"),
		       .value = SV("i=2; x=") };
	const struct edit *const edits[] = { &deletes, &adds, &changes };
	struct strv              m;

	stand_setup();
	st.holds = false;
	go(SV(PLAIN));
	T_EQ_NUM(st.out.edits, 0);
	T_EQ_STR(st.log, "");
	st.holds = true;
	m = chain_of(2, SV(PLAIN));
	st.n_edit = 1;
	for (size_t i = 0; i < T_COUNT(edits); i++) {
		st.edit = edits[i];
		go(m);
		T_EQ_STR(st.out.word, "pass");
		T_EQ_NUM(st.out.edits, 0);
		HAS(strv_z(st.log), "its ARC fields were changed here");
	}
	st.n_edit = 0;
	publish("s._domainkey.one.example", strv(NULL, 0));
	go(m);
	T_EQ_STR(st.out.word, "temperror");
	T_EQ_NUM(st.out.edits, 0);
	HAS(strv_z(st.log), "its ARC chain cannot be verified now");
	stand_teardown();
}

/* Thousands of fields that would be signed: so many are, and it holds; no From at all. */
static void
odd_messages(void)
{
	struct strv many = SV(""), m;

	stand_setup();
	for (unsigned i = 0; i < 300; i++)
		many = arena_concat(
		    st.conf, many, SV("DKIM-Signature: v=1\r\nTo: x@two.example\r\n"));
	m = chain_of(1, arena_concat(st.conf, many, SV(PLAIN)));
	go(m);
	T_EQ_STR(st.out.word, "pass");
	go(chain_of(1, SV("\r\nno header\r\n")));
	T_EQ_STR(st.out.word, "pass");
	m = chain_of(1, SV("From x@y Mon Jan  1 00:00:00 2024\r\n" PLAIN));
	T_CHECK(strv_starts(m, SV("ARC-Seal: i=1;"))); /* an mbox line is no field */
	go(m);
	T_EQ_STR(st.out.word, "pass");
	stand_teardown();
}

/* Only the first `seal' that is meant seals. */
static void
one_of_two(void)
{
	struct sign_rule rules[2];
	struct sign_key  keys[2];

	stand_setup();
	seal_with(KEY_RSA_2048, "two.example", "t");
	rules[1] = st.rule;
	keys[1] = st.key;
	seal_with(KEY_ED25519, "ed.example", "e");
	rules[0] = st.rule;
	keys[0] = st.key;
	rules[0].key = &keys[0];
	rules[1].key = &keys[1];
	rules[0].number = 1; /* its condition does not hold: there is but one in the stand */
	st.auth.seal = &rules[1];
	st.auth.n_seal = 1;
	go(SV(PLAIN));
	HAS(st.out.sealed, "d=two.example");
	rules[0].number = 0;
	st.auth.seal = rules;
	st.auth.n_seal = 2;
	go(SV(PLAIN));
	HAS(st.out.sealed, "i=1; a=ed25519-sha256");
	LACKS(st.out.sealed, "d=two.example; s=t");
	T_EQ_NUM(st.out.edits, 3);
	stand_teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(what_is_added);
	T_RUN(edits_are_sealed);
	T_RUN(another_body);
	T_RUN(broken_chain);
	T_RUN(instances);
	T_RUN(no_seal);
	T_RUN(odd_messages);
	T_RUN(one_of_two);
	return t_end();
}
