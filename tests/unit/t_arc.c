/* Chains of ARC sets: made by our own sealer and by another's, whole, and broken in every way.  RFC 8617. */
#include "config.h"

#include "tests/unit/arc_foreign.h"
#include "tests/unit/arc_rfc.h"
#include "tests/unit/arc_stand.h"

#define HEADER \
	"Received: from a.example by b.example; Mon, 1 Jan 2024 00:00:00 +0000\r\n" \
	"From: A <a@one.example>\r\n" \
	"To: b@two.example\r\n" \
	"Subject: hello\r\n" \
	"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\n" \
	"Message-ID: <1@one.example>\r\n" \
	"MIME-Version: 1.0\r\n" \
	"Content-Type: text/plain\r\n"
#define BODY  "Hello,\r\n\r\n  this is  a\tbody. \r\n\r\n\r\n"
#define PLAIN HEADER "\r\n" BODY

static void
whole_chains(void)
{
	static const unsigned lengths[] = { 1, 2, 3, 7, 50 };

	stand_setup();
	go(SV(PLAIN));
	T_EQ_STR(st.out.word, "none");
	T_EQ_TEXT(st.out.result, "arc=none smtp.remote-ip=192.0.2.1");
	T_CHECK(st.out.sealer.p == NULL && st.out.oldest == FACT_NUMBER_ABSENT);
	T_EQ_NUM(st.out.started, 0);
	for (size_t i = 0; i < T_COUNT(lengths); i++) {
		unsigned    n = lengths[i];
		struct strv message;

		/* Older message signatures beyond the limit are not looked at, so not said to hold. */
		st.auth.signatures = SIGNATURES_DEFAULT;
		message = chain_of(n, SV(PLAIN));
		go(message);
		T_EQ_STR(st.out.word, "pass");
		T_EQ_NUM(st.out.oldest, n <= 6 ? 0 : n - 5);
		T_EQ_TEXT(st.out.sealer,
		    n % 3 == 1     ? "one.example" :
			n % 3 == 2 ? "two.example" :
				     "ed.example");
		T_CHECK(st.out.asked <= 3);
		st.auth.signatures = 50;
		go(message);
		T_EQ_NUM(st.out.oldest, 0);
		T_EQ_TEXT(st.out.result, "arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1");
		/* RFC 8617 4.2.1: 50 is the limit. */
		T_EQ_NUM(st.out.edits, n < 50 ? 3 : 0);
	}
	stand_teardown();
}

/* Bodies in every cut are the same to the sealer and to who verifies. */
static void
bodies_in_cuts(void)
{
	static const char *const bodies[] = { "", "\r\n", "\r\n\r\n", "x", BODY, " \t\r\n\r\n",
		"no end  ", "\xff\xfe 8-bit \r\n" };

	stand_setup();
	for (size_t i = 0; i < T_COUNT(bodies); i++)
		for (size_t cut = 0; cut < 5; cut++) {
			struct strv m = arena_concat(st.conf, SV(HEADER "\r\n"), strv_z(bodies[i]));

			t_row = bodies[i];
			st.cut = cut;
			m = chain_of(2, m);
			st.cut = (cut + 1) % 4;
			go(m);
			T_EQ_STR(st.out.word, "pass");
		}
	t_row = NULL;
	stand_teardown();
}

/* What another implementation sealed, its message signatures relaxed and simple. */
static void
foreign_chains(void)
{
	static const char *const rows[] = { FOREIGN_RELAXED, FOREIGN_SIMPLE, FOREIGN_MIXED };

	stand_setup();
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		go(strv_z(rows[i]));
		T_EQ_TEXT(st.out.result, "arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1");
		/* ... and what we add to it. */
		go(arena_dup(st.conf, st.out.sealed));
		T_EQ_STR(st.out.word, "pass");
	}
	stand_teardown();
}

/* A field whose b= is of that digest. */
static struct strv
signed_field(struct strv field, const unsigned char *digest)
{
	struct strv b = crypt_sign(st.conf, stand_key(KEY_RSA_1024), digest);

	b = tags_to_base64(st.conf, b);
	return arena_printf(st.conf, "%.*s%.*s\r\n", (int)field.n - 2, field.p, (int)b.n, b.p);
}

/* A chain of one set with that h=, made by hand. */
static struct strv
handmade(const char *h)
{
	struct view_field f[] = {
		{ SV(ARC_RESULTS), SV(ARC_RESULTS ": i=1; x; arc=none\r\n"), false },
		{ SV("From"), SV("From: a@one.example\r\n"), false },
		{ SV("Subject"), SV("Subject: x\r\n"), false },
	};
	struct arc_signature s = { .header = CANON_RELAXED, .names = strv_z(h) };
	struct arc_set       set = { .results = f[0].raw };
	unsigned char        digest[CRYPT_SHA256];

	s.raw = arena_printf(st.conf,
	    ARC_MESSAGE ": i=1; a=rsa-sha256; c=relaxed/relaxed; d=one.example; s=s; h=%s;"
			" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=\r\n",
	    h);
	arc_message_digest(f, T_COUNT(f), &s, digest);
	set.message = signed_field(s.raw, digest);
	set.seal = SV(ARC_SEAL ": i=1; a=rsa-sha256; cv=none; d=one.example; s=s; b=\r\n");
	arc_seal_digest(NULL, &set, digest);
	set.seal = signed_field(set.seal, digest);
	return arena_printf(st.conf, "%.*s%.*s%.*s%.*s%.*s\r\n", (int)set.seal.n, set.seal.p,
	    (int)set.message.n, set.message.p, (int)f[0].raw.n, f[0].raw.p, (int)f[1].raw.n,
	    f[1].raw.p, (int)f[2].raw.n, f[2].raw.p);
}

/* Domains are compared in one form, however they are written. RFC 8616 4 */
static void
domains(void)
{
	static const struct {
		const char *d, *sealer;
	} rows[] = { { "One.EXAMPLE", "one.example" },
		{ "m\xc3\xbcnchen.example", "xn--mnchen-3ya.example" } };

	stand_setup();
	publish("s._domainkey.xn--mnchen-3ya.example", key_record(KEY_RSA_1024));
	for (size_t i = 0; i < (HAVE_IDN2 ? T_COUNT(rows) : 1); i++) {
		seal_with(KEY_RSA_1024, rows[i].d, "s");
		go(arena_dup(st.conf, go(SV(PLAIN))->sealed));
		T_EQ_STR(st.out.word, "pass");
		T_EQ_TEXT(st.out.sealer, rows[i].sealer);
	}
	stand_teardown();
}

/* RFC 6376 3.5: a signature is not meant by its own h=; others may be.  White space and case make no difference. */
static void
what_h_names(void)
{
	static const char *const rows[] = { "from", "From : SUBJECT",
		"from:from:from:subject:nothing", "from:\r\n\tsubject \r\n :to",
		"from:arc-message-signature",
		"from:arc-authentication-results:arc-message-signature" };

	stand_setup();
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i];
		go(handmade(rows[i]));
		T_EQ_TEXT(st.out.result, "arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1");
	}
	t_row = NULL;
	stand_teardown();
}

/* ---- broken in one way ---- */

#define FAIL(text) "arc=fail reason=\"" text "\" smtp.remote-ip=192.0.2.1"
#define TEMP       "arc=temperror reason=\"a key cannot be had now\" smtp.remote-ip=192.0.2.1"
#define PASS       "arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1"
#define OLDEST(n)  "arc=pass header.oldest-pass=" #n " smtp.remote-ip=192.0.2.1"

#define AAR "\r\nARC-Authentication-Results: "
#define AMS "\r\nARC-Message-Signature: "
#define AS  "\r\nARC-Seal: "

#define AMS_BROKEN   "ARC-Message-Signature i=3: "
#define AS_BROKEN(n) "ARC-Seal i=" #n ": "
#define UNVERIFIED   "the signature does not verify"

/* clang-format off */
static const struct {
	const char *name;
	unsigned    nth;        /* of a chain of three; the newest set is the first */
	const char *from, *to;
	const char *result;
} broken[] = {
	/* what may be otherwise */
	{ "case of names", 1, AAR, "\r\nArc-authentication-RESULTS: ", PASS },
	{ "case of d=", 2, "d=ed.example;", "d=ed.eXample;", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "white space behind the name", 1, AAR, "\r\nARC-Authentication-Results \t:   ", PASS },
	{ "folding", 1, "c=relaxed/relaxed;\r\n\td=", "c=relaxed/relaxed; \r\n  d=", PASS },
	{ "trace fields above", 1, "Received:", "Received: from c\r\nReceived:", PASS },
	{ "blank lines at the end", 1, "body. \r\n\r\n\r\n", "body.\r\n", PASS },
	/* RFC 8617 5.2, 4: the newest message signature */
	{ "another body", 1, "this", "that", FAIL(AMS_BROKEN "the body has changed") },
	{ "a body that goes on", 1, "body. \r\n", "body. \r\nMore.\r\n", FAIL(AMS_BROKEN "the body has changed") },
	{ "another Subject", 1, "hello", "hallo", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "a second From", 1, "From: A", "From: evil@x.example\r\nFrom: A", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "a second From below", 1, "To: b", "From: evil@x.example\r\nTo: b", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "a To less", 1, "To: b@two.example\r\n", "", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "another h=", 1, "h=from:from:", "h=from:", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "h= without From", 1, "h=from:from:", "h=", FAIL(AMS_BROKEN "h= does not name From") },
	{ "h= with ARC-Seal", 1, "h=from:", "h=arc-seal:from:", FAIL(AMS_BROKEN "h= names ARC-Seal") },
	{ "h= empty", 1, "h=from:", "x=1; y=", FAIL(AMS_BROKEN "x= is no time behind t=") },
	{ "h= with an empty name", 1, "h=from:", "h=from::", FAIL(AMS_BROKEN "an empty name in h=") },
	{ "no h=", 1, "\th=from:", "\ty=from:", FAIL(AMS_BROKEN "h= does not name From") },
	{ "no bh=", 1, "\tbh=", "\tbx=", FAIL(AMS_BROKEN "no digest in bh=") },
	{ "short bh=", 1, "\tbh=", "\tbh=AAAA; bx=", FAIL(AMS_BROKEN "no digest in bh=") },
	{ "bh= no base64", 1, "\tbh=", "\tbh=!", FAIL(AMS_BROKEN "no digest in bh=") },
	{ "b= no base64", 1, "\tb=", "\tb=!", FAIL(AS_BROKEN(3) "no signature in b=") },
	{ "no b= in the message signature", 2, "\tb=", "\tz=", FAIL(AMS_BROKEN "no signature in b=") },
	{ "b= empty", 2, "\tb=", "\tb=; z=", FAIL(AMS_BROKEN "no signature in b=") },
	{ "rsa-sha1", 1, "i=3; a=ed25519-sha256; c=", "i=3; a=rsa-sha1; c=", FAIL(AMS_BROKEN "an algorithm that is not taken") },
	{ "another algorithm", 1, "i=3; a=ed25519-sha256; c=", "i=3; a=rsa-sha256; c=", FAIL(AMS_BROKEN "the key is of another kind") },
	{ "no algorithm", 1, "i=3; a=ed25519-sha256; c=", "i=3; c=", FAIL(AMS_BROKEN "no a=") },
	{ "simple", 1, "c=relaxed/relaxed", "c=simple/relaxed", FAIL(AMS_BROKEN UNVERIFIED) },
	{ "no c=: simple", 1, "c=relaxed/relaxed;", "", FAIL(AMS_BROKEN "the body has changed") },
	{ "nowsp", 1, "c=relaxed/relaxed", "c=nowsp", FAIL(AMS_BROKEN "a canonical form that is not known") },
	{ "l=", 1, "c=relaxed/relaxed;", "c=relaxed/relaxed; l=5;", FAIL(AMS_BROKEN "it covers but a part of the body") },
	{ "l= no number", 1, "c=relaxed/relaxed;", "c=relaxed/relaxed; l=-1;", FAIL(AMS_BROKEN "l= is no number") },
	{ "q=", 1, "c=relaxed/relaxed;", "c=relaxed/relaxed; q=finger;", FAIL(AMS_BROKEN "no q= that is known") },
	{ "t= no number", 2, "t=1700000000", "t=today", FAIL(AMS_BROKEN "t= is no number") },
	{ "x= before t=", 2, "t=1700000000", "t=1700000000; x=1", FAIL(AMS_BROKEN "x= is no time behind t=") },
	{ "expired", 2, "t=1700000000", "t=1; x=1699999999", FAIL(AMS_BROKEN "it has expired") },
	{ "no d=", 2, "\td=ed.example;", "", FAIL(AMS_BROKEN "no d=") },
	{ "no s=", 2, "s=e;", "", FAIL(AMS_BROKEN "no s=") },
	{ "d= no domain", 2, "d=ed.example;", "d=ed..example;", FAIL(AMS_BROKEN "d= and s= name no key") },
	{ "d= a label", 2, "d=ed.example;", "d=example;", FAIL(AMS_BROKEN "d= and s= name no key") },
	{ "another domain's key", 2, "d=ed.example;", "d=other.example;", FAIL(AMS_BROKEN "there is no key") },
	{ "a tag twice", 2, "s=e;", "s=e; s=e;", FAIL(AMS_BROKEN "a tag stands twice") },
	{ "no list of tags", 2, "s=e;", "s=e; nonsense;", FAIL(AMS_BROKEN "it is no list of tags") },
	{ "an empty tag", 2, "s=e;", "s=e;;", FAIL(AMS_BROKEN "it is no list of tags") },
	{ "case of tags", 2, "s=e;", "S=e;", FAIL(AMS_BROKEN "no s=") },
	/* RFC 8617 5.2, 5: older ones only date the change */
	{ "an older one with rsa-sha1", 1, "i=2; a=rsa-sha256; c=", "i=2; a=rsa-sha1; c=", FAIL(AS_BROKEN(3) UNVERIFIED) },
	/* RFC 8617 5.2, 6: seals */
	{ "a seal's h=", 1, "cv=pass;", "cv=pass; h=from;", FAIL(AS_BROKEN(3) "it has h=") },
	{ "an older seal's h=", 2, "cv=pass;", "cv=pass; h=from;", FAIL(AS_BROKEN(2) "it has h=") },
	{ "a seal's rsa-sha1", 1, "i=3; a=ed25519-sha256; t=", "i=3; a=rsa-sha1; t=", FAIL(AS_BROKEN(3) "an algorithm that is not taken") },
	{ "a seal without d=", 1, "d=ed.example;", "", FAIL(AS_BROKEN(3) "no d=") },
	{ "a seal of another's key", 1, "d=ed.example; s=e;", "d=one.example; s=s;", FAIL(AS_BROKEN(3) "the key is of another kind") },
	{ "a seal's t=", 1, "t=1700000000", "t=1700000001", FAIL(AS_BROKEN(3) UNVERIFIED) },
	{ "a seal with a tag that is none", 1, "cv=pass;", "cv=pass; _=1;", FAIL(AS_BROKEN(3) "it is no list of tags") },
	{ "the newest results", 1, "arc=pass", "arc=fail", FAIL(AS_BROKEN(3) UNVERIFIED) },
	{ "the oldest results", 1, "arc=none", "arc=pass", FAIL(AS_BROKEN(3) UNVERIFIED) },
	/* RFC 8617 5.2, 2 and 3: structure */
	{ "cv=fail", 1, "cv=pass", "cv=fail", FAIL("ARC-Seal i=3 says cv=fail") },
	{ "cv=none in the newest", 1, "cv=pass", "cv=none", FAIL("wrong cv= in ARC-Seal i=3") },
	{ "cv=fail in an older one", 2, "cv=pass", "cv=fail", FAIL("wrong cv= in ARC-Seal i=2") },
	{ "cv=pass in the first", 1, "cv=none", "cv=pass", FAIL("wrong cv= in ARC-Seal i=1") },
	{ "cv=PASS", 1, "cv=pass", "cv=PASS", FAIL("wrong cv= in ARC-Seal i=3") },
	{ "no cv=", 1, "cv=pass;", "", FAIL("wrong cv= in ARC-Seal i=3") },
	{ "no results", 2, AAR, "\r\nX-Was: ", FAIL("no ARC-Authentication-Results with i=2") },
	{ "no message signature", 2, AMS, "\r\nX-Was: ", FAIL("no ARC-Message-Signature with i=2") },
	{ "no seal", 1, "ARC-Seal: i=2", "X-Was: i=2", FAIL("no ARC-Seal with i=2") },
	{ "a gap", 1, "ARC-Seal: i=3", "ARC-Seal: i=5", FAIL("no ARC-Seal with i=3") },
	{ "results twice", 1, AAR "i=2", AAR "i=2; x\r\nARC-Authentication-Results: i=2", FAIL("two ARC-Authentication-Results with i=2") },
	{ "two instances alike", 1, "ARC-Message-Signature: i=2", "ARC-Message-Signature: i=3", FAIL("two ARC-Message-Signature with i=3") },
	{ "i=0", 1, "ARC-Seal: i=3", "ARC-Seal: i=0", FAIL("ARC-Seal with no instance") },
	{ "i=51", 1, "ARC-Seal: i=3", "ARC-Seal: i=51", FAIL("ARC-Seal with i= above 50") },
	{ "i=99999999999", 1, "ARC-Seal: i=3", "ARC-Seal: i=99999999999", FAIL("ARC-Seal with i= above 50") },
	{ "i= of hundreds of digits", 1, AMS "i=3", AMS "i=3333333333333333333333333333333333333333333333333333333333333333333333",
	    FAIL("ARC-Message-Signature with i= above 50") },
	{ "i=003", 1, "ARC-Seal: i=3", "ARC-Seal: i=003", FAIL("ARC-Seal with i= above 50") },
	{ "i=03", 1, "ARC-Seal: i=3", "ARC-Seal: i=03", FAIL(AS_BROKEN(3) UNVERIFIED) },
	{ "i=-1", 1, "ARC-Seal: i=3", "ARC-Seal: i=-1", FAIL("ARC-Seal with no instance") },
	{ "i= empty", 1, "ARC-Seal: i=3", "ARC-Seal: i=", FAIL("ARC-Seal with no instance") },
	{ "i=3x", 1, "ARC-Seal: i=3", "ARC-Seal: i=3x", FAIL("ARC-Seal with no instance") },
	{ "no i=", 1, AMS "i=3;", AMS, FAIL("ARC-Message-Signature with no instance") },
	{ "results without i=", 1, AAR "i=3;", AAR, FAIL("ARC-Authentication-Results with no instance") },
	{ "results with i= behind", 1, AAR "i=3; mx.test;", AAR "mx.test; i=3;", FAIL("ARC-Authentication-Results with no instance") },
	{ "results of i= alone", 1, AAR "i=3; mx.test;", AAR "i=3 mx.test;", FAIL("ARC-Authentication-Results with no instance") },
	{ "results, i=0", 1, AAR "i=3;", AAR "i=0;", FAIL("ARC-Authentication-Results with no instance") },
	{ "results with comments", 1, AAR "i=3;", AAR "(a(b\\)) c)i (x)=\r\n (;) 3 (y);", FAIL(AS_BROKEN(3) UNVERIFIED) },
	{ "results, a comment without end", 1, AAR "i=3;", AAR "(i=3;", FAIL("ARC-Authentication-Results with no instance") },
};
/* clang-format on */

static void
broken_chains(void)
{
	struct strv good;

	stand_setup();
	good = chain_of(3, SV(PLAIN));
	for (size_t i = 0; i < T_COUNT(broken); i++) {
		t_row = broken[i].name;
		go(replaced(good, broken[i].nth, broken[i].from, broken[i].to));
		T_EQ_TEXT(st.out.result, broken[i].result);
		T_CHECK((st.out.word[0] == 'p') == (st.out.sealer.p != NULL));
		T_CHECK((st.out.word[0] == 'p') == (st.out.oldest != FACT_NUMBER_ABSENT));
	}
	t_row = NULL;
	stand_teardown();
}

/* A list that changed the message behind the first sealer: the chain holds, the first message signature does not. */
static void
changed_on_the_way(void)
{
	struct strv m;

	stand_setup();
	m = chain_of(2, SV(PLAIN));
	/* Its sealer looks first and signs afterwards: the chain passes, and what is signed is the new Subject. */
	st.edit = &(struct edit){ .op = EDIT_CHANGE_HEADER,
		.at = 1,
		.name = SV("Subject"),
		.value = SV("[list] hello") };
	st.n_edit = 1;
	m = arena_dup(st.conf, go(m)->sealed);
	st.n_edit = 0;
	go(m);
	T_EQ_TEXT(st.out.result, OLDEST(3));
	T_EQ_NUM(st.out.oldest, 3);
	m = arena_dup(st.conf, st.out.sealed);
	go(m);
	T_EQ_TEXT(st.out.result, OLDEST(3));
	stand_teardown();
}

/* ---- keys ---- */

/* clang-format off */
static const struct {
	const char *name, *of, *record; /* NULL: asking fails; "": there is none; %: p= of the right key */
	const char *result;
} keys[] = {
	{ "without v= and k=", "t._domainkey.two.example", "p=%", PASS },
	{ "with all there may be", "t._domainkey.two.example", "v=DKIM1; h=sha1:sha256; k=rsa; n=note; s=email:x; t=y:s; p=%", PASS },
	{ "for all services", "t._domainkey.two.example", "s=*; p=%", PASS },
	{ "no such name", "t._domainkey.two.example", "", FAIL(AMS_BROKEN "there is no key") },
	{ "a fault", "t._domainkey.two.example", NULL, TEMP },
	{ "an older one, a fault", "s._domainkey.one.example", NULL, TEMP },
	{ "an older one, no such name", "s._domainkey.one.example", "", FAIL("ARC-Seal i=2: there is no key") },
	{ "revoked", "t._domainkey.two.example", "v=DKIM1; p=", FAIL(AMS_BROKEN "the key is revoked") },
	{ "another version", "t._domainkey.two.example", "v=DKIM2; p=%", FAIL(AMS_BROKEN "the key's record is of another version") },
	{ "v= not in front", "t._domainkey.two.example", "p=%; v=DKIM1", FAIL(AMS_BROKEN "the key's record is of another version") },
	{ "for sha1", "t._domainkey.two.example", "h=sha1; p=%", FAIL(AMS_BROKEN "the key is not for sha256") },
	{ "for TLS reports", "t._domainkey.two.example", "s=tlsrpt; p=%", FAIL(AMS_BROKEN "the key is not for mail") },
	{ "k= in capitals (RFC 6376 3.6.1: a literal of ABNF)", "t._domainkey.two.example", "k=RSA; p=%", PASS },
	{ "of Ed25519", "t._domainkey.two.example", "k=ed25519; p=%", FAIL(AMS_BROKEN "the key is of another kind") },
	{ "no p=", "t._domainkey.two.example", "v=DKIM1", FAIL(AMS_BROKEN "the key's record has no p=") },
	{ "p= no base64", "t._domainkey.two.example", "p=***", FAIL(AMS_BROKEN "the key's p= is no base64") },
	{ "p= no key", "t._domainkey.two.example", "p=AAAA", FAIL(AMS_BROKEN "the key cannot be used") },
	{ "p= twice", "t._domainkey.two.example", "p=%; p=%", FAIL(AMS_BROKEN "the key's record is no list of tags") },
	{ "text", "t._domainkey.two.example", "hello", FAIL(AMS_BROKEN "the key's record is no list of tags") },
	{ "a short key", "s._domainkey.one.example", "512", FAIL("ARC-Seal i=2: the key is too short") },
	{ "another key", "t._domainkey.two.example", "other", FAIL(AMS_BROKEN UNVERIFIED) },
};
/* clang-format on */

#define P512 \
	"p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMalYQV/I/W/r4vatplz7EaUGQXzp9Y9BMlo+sodACh5qAm0BilnhU+V" \
	"Ge9DACDJz8a+xXFp91U2G5mZ3DENaL8CAwEAAQ=="

static struct strv
record_of(const char *text, const char *pem)
{
	struct strv p = tags_to_base64(st.conf, crypt_key_public(st.conf, stand_key(pem))), out;
	struct strv rest = strv_z(text);

	if (strcmp(text, "512") == 0)
		return SV(P512);
	if (strcmp(text, "other") == 0)
		return key_record(KEY_RSA_1024);
	out = strv_cut(&rest, '%');
	while (rest.p != NULL) {
		out = arena_concat(st.conf, out, p);
		out = arena_concat(st.conf, out, strv_cut(&rest, '%'));
	}
	return out;
}

static void
key_records(void)
{
	struct strv good;

	stand_setup();
	seal_with(KEY_RSA_2048, "two.example", "t");
	good = arena_dup(st.conf, go(SV(PLAIN))->sealed);
	seal_with(KEY_RSA_1024, "one.example", "s");
	good = arena_dup(st.conf, go(good)->sealed);
	seal_with(KEY_RSA_2048, "two.example", "t");
	good = arena_dup(st.conf, go(good)->sealed);
	for (size_t i = 0; i < T_COUNT(keys); i++) {
		const char *r = keys[i].record;
		unsigned    n = st.n_record;

		t_row = keys[i].name;
		if (r == NULL)
			publish(keys[i].of, strv(NULL, 0));
		else if (r[0] == '\0')
			st.n_record = keys[i].of[0] == 't' ? 1 : 0;
		else
			publish(keys[i].of, record_of(r, KEY_RSA_2048));
		if (r != NULL && r[0] == '\0' && keys[i].of[0] != 't')
			publish("t._domainkey.two.example", key_record(KEY_RSA_2048));
		go(good);
		T_EQ_TEXT(st.out.result, keys[i].result);
		T_CHECK((st.out.word[0] == 't') == st.out.oldest_unknown);
		st.n_record = n;
		publish("s._domainkey.one.example", key_record(KEY_RSA_1024));
		publish("t._domainkey.two.example", key_record(KEY_RSA_2048));
	}
	t_row = NULL;
	stand_teardown();
}

/* Keys that come one by one and late: not waited for without end, and that is no failure of the chain. */
static void
slow_keys(void)
{
	struct strv m;

	stand_setup();
	for (unsigned i = 0; i < 40; i++) {
		char name[64];

		snprintf(name, sizeof(name), "s._domainkey.d%u.example", i);
		publish(name, key_record(KEY_RSA_1024));
	}
	m = SV(PLAIN);
	for (unsigned i = 0; i < 40; i++) {
		seal_with(
		    KEY_RSA_1024, arena_z(st.conf, arena_printf(st.conf, "d%u.example", i)), "s");
		m = arena_dup(st.conf, go(m)->sealed);
	}
	go(m);
	T_EQ_STR(st.out.word, "pass");
	T_CHECK(st.out.started <= 16);
	st.dns_takes = 4000;
	go(m);
	T_EQ_TEXT(st.out.result, TEMP);
	/* 30 s, and what is verified in a round, whose time stands still here */
	T_CHECKF(st.out.asked >= 8 && st.out.asked < 8 + LOOP_HEAVY, "%u", st.out.asked);
	T_EQ_TEXT(st.out.sealer, "?");
	stand_teardown();
}

/* ---- headers of no good will ---- */

static struct strv
many(const char *field, unsigned n)
{
	size_t size = strlen(field) + 8;
	char  *p = arena_bytes(st.conf, n * size + sizeof(PLAIN));
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(p + at, size, field, i + 1);
	memcpy(p + at, PLAIN, sizeof(PLAIN) - 1);
	return strv(p, at + sizeof(PLAIN) - 1);
}

static void
floods(void)
{
	static const struct {
		const char *name, *field, *result;
		unsigned    n;
	} rows[] = {
		{ "seals", "ARC-Seal: i=1; cv=none\r\n", FAIL("more than 50 sets"), 8000 },
		{ "results", "ARC-Authentication-Results: i=%u; x\r\n", FAIL("more than 50 sets"),
		    51 },
		{ "50 seals alone", "ARC-Seal: i=%u; cv=pass\r\n",
		    FAIL("no ARC-Authentication-Results with i=1"), 50 },
		{ "one seal", "ARC-Seal: i=1; cv=none\r\n",
		    FAIL("no ARC-Authentication-Results with i=1"), 1 },
		{ "nothing in it", "ARC-Seal:\r\n", FAIL("ARC-Seal with no instance"), 1 },
		{ "not ours", "ARC-Sealed: i=%u\r\n", "arc=none smtp.remote-ip=192.0.2.1", 60 },
		{ "nor is that", "ARC-: i=%u\r\n", "arc=none smtp.remote-ip=192.0.2.1", 60 },
	};

	stand_setup();
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].name;
		go(many(rows[i].field, rows[i].n));
		T_EQ_TEXT(st.out.result, rows[i].result);
		T_EQ_NUM(st.out.asked, 0);
	}
	t_row = NULL;
	stand_teardown();
}

/* h= of thousands of names, tags without end, a field of a megabyte: read once, and refused. */
static void
large_fields(void)
{
	static char h[1000000];
	struct strv good, m;

	stand_setup();
	good = chain_of(1, SV(PLAIN));
	for (size_t i = 0; i + 6 < sizeof(h); i += 5)
		memcpy(h + i, "from:", 5);
	h[5 * 1000] = '\0';
	m = replaced(
	    good, 1, "h=from:from:", arena_z(st.conf, arena_concat(st.conf, SV("h="), strv_z(h))));
	go(m);
	T_EQ_TEXT(st.out.result, FAIL("ARC-Message-Signature i=1: too many names in h="));
	memset(h, 'x', sizeof(h) - 1);
	m = replaced(
	    good, 1, "; cv=none", arena_z(st.conf, arena_concat(st.conf, SV("; y="), strv_z(h))));
	go(m);
	T_EQ_TEXT(st.out.result, FAIL("wrong cv= in ARC-Seal i=1"));
	for (size_t i = 0; i + 2 < sizeof(h); i += 2)
		memcpy(h + i, "; ", 2);
	m = replaced(good, 1,
	    "ARC-Seal: ", arena_z(st.conf, arena_concat(st.conf, SV("ARC-Seal: "), strv_z(h))));
	go(m);
	T_EQ_TEXT(st.out.result, FAIL("ARC-Seal with no instance"));
	stand_teardown();
}

/* ---- the RFC's own ---- */

static void
add_to_digest(void *arg, struct strv piece)
{
	crypt_digest_add(arg, piece);
}

static struct strv
hash_of(enum canon_form form, struct strv body)
{
	unsigned char       *out = arena_alloc(st.conf, CRYPT_SHA256);
	struct crypt_digest *d = crypt_digest_begin(st.conf);
	struct canon_body    c = { .form = form, .out = add_to_digest, .arg = d };

	canon_body_add(&c, body);
	canon_body_end(&c);
	crypt_digest_end(d, out);
	return strv((const char *)out, CRYPT_SHA256);
}

/* What its sets say, and that bh= of each is of the body that stands there. */
static void
rfc_8617_b_sets(void)
{
	static const char *const places[] = { "dk-lists._domainkey.lists.example.org",
		"20120806._domainkey.gmail.example", "clochette._domainkey.clochette.example.org" };
	struct message          *m = arena_alloc(st.conf, sizeof(*m));
	struct edits             none = { 0 };
	struct view              view = { m, &none, 0 };
	struct tags             *tags = arena_alloc(st.conf, sizeof(*tags));
	struct strv              body;
	unsigned                 n;
	const struct view_field *f;
	struct arc_chain        *c;
	const char              *why = NULL;

	message_begin(m, st.conf, NULL, UINT32_MAX / 4);
	T_EQ_NUM(message_feed(m, SV(RFC_8617_B), &body), MESSAGE_OK);
	f = view_fields(st.conf, &view, &n);
	c = arc_chain_read(st.conf, f, n);
	T_CHECKF(c->any && c->why.p == NULL, "%.*s", (int)c->why.n, c->why.p);
	T_EQ_NUM(c->n, 3);
	T_CHECK(!c->ended);
	for (unsigned i = 0; i < c->n; i++) {
		struct arc_signature s;

		T_CHECKF(arc_message_read(st.conf, tags, c->set[i].message, &s, &why), "%s", why);
		T_EQ_TEXT(s.key, places[i]);
		T_EQ_TEXT(s.names, "message-id:date:from:to:subject");
		T_CHECK(s.header == CANON_RELAXED && s.body == CANON_RELAXED);
		T_EQ_NUM(s.b.n, 64);
		T_EQ_STRV(s.hash, hash_of(s.body, body));
		T_CHECKF(arc_seal_read(st.conf, tags, c->set[i].seal, &s, &why), "%s", why);
		T_EQ_TEXT(s.key, places[i]);
		T_EQ_NUM(s.b.n, 64);
	}
}

/*
 * RFC 8617, appendix B.  Its signatures are of 512-bit keys that are published nowhere: that they hold is nothing that
 * anybody could show.  The chain is whole, and what it fails for is want of the key and nothing before that.
 */
static void
rfc_8617_b(void)
{
	stand_setup();
	rfc_8617_b_sets();
	go(SV(RFC_8617_B));
	T_EQ_TEXT(st.out.result, FAIL("ARC-Message-Signature i=3: there is no key"));
	publish("clochette._domainkey.clochette.example.org", strv(NULL, 0));
	go(SV(RFC_8617_B));
	T_EQ_STR(st.out.word, "temperror");
	stand_teardown();
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(whole_chains);
	T_RUN(bodies_in_cuts);
	T_RUN(foreign_chains);
	T_RUN(rfc_8617_b);
	T_RUN(domains);
	T_RUN(what_h_names);
	T_RUN(broken_chains);
	T_RUN(changed_on_the_way);
	T_RUN(key_records);
	T_RUN(slow_keys);
	T_RUN(floods);
	T_RUN(large_fields);
	return t_end();
}
