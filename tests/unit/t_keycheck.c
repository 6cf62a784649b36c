/*
 * t_keycheck -- `check --dns': does a published record say what our key is?  And the walk over all keys.
 */
#include "proxy/keycheck.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/crypt.h"
#include "proxy/mail/tags.h"
#include "tests/unit/dns_stand.h"
#include "tests/unit/settings_world.h"
#include "tests/unit/test_keys.h"

static const struct crypt_key *
key_of(struct arena *a, const char *pem)
{
	const char             *why = "";
	const struct crypt_key *k = crypt_key_read(a, strv_z(pem), &why);

	T_CHECKF(k != NULL, "%s", why);
	return k;
}

/* The p= of a key: all of it, or from an octet on. */
static struct strv
public_of(struct arena *a, const struct crypt_key *k, size_t from)
{
	return tags_to_base64(a, strv_from(crypt_key_public(a, k), from));
}

/* @ in a record is the p= of our key, ! that of another one, & the inner part of ours (RSAPublicKey). */
static struct strv
written(
    struct arena *a, const char *text, const struct crypt_key *ours, const struct crypt_key *other)
{
	struct strv out = SV("");

	for (const char *p = text; *p != '\0'; p++) {
		struct strv put = *p == '@' ? public_of(a, ours, 0) :
		    *p == '!'               ? public_of(a, other, 0) :
		    *p == '&'               ? public_of(a, ours, 24) :
					      strv(p, 1);

		out = arena_concat(a, out, put);
	}
	return out;
}

struct row {
	const char *record;
	const char *said; /* NULL: it agrees */
};

static void
compare_all(const char *pem, const char *other, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct arena           *a = arena_new(4096, 0);
		const struct crypt_key *k = key_of(a, pem);
		struct dns_record txt = { .text = written(a, rows[i].record, k, key_of(a, other)) };
		struct dns_answer one = { &txt, 1, 60 };
		struct strv       said = keycheck_fault(a, k, DNS_OK, &one);

		t_row = rows[i].record;
		T_EQ_TEXT(
		    said.p == NULL ? SV("-") : said, rows[i].said == NULL ? "-" : rows[i].said);
		arena_free(a);
	}
}

static void
compares_rsa(void)
{
	static const struct row rows[] = {
		{ "v=DKIM1; k=rsa; p=@", NULL },
		{ "p=@", NULL },
		{ "v=DKIM1;p=@;", NULL },
		{ "v=DKIM1; t=s; s=email; h=sha256; n=a note; p=@", NULL },
		{ "v=DKIM1; s=other:*; h=sha1:sha256; p=@", NULL },
		{ "v=DKIM1; s= other : email ; p=@", NULL },
		{ "v=DKIM1; p=!", "it is of another key" },
		{ "v=DKIM1; p=", "the key is revoked: p= is empty" },
		{ "v=DKIM1; k=ed25519; p=", "the key is revoked: p= is empty" },
		{ "v=DKIM1; k=rsa", "it has no p=" },
		{ "v=DKIM1; p=a*b", "its p= is not base64" },
		{ "v=DKIM1; p=AAAA", "it is of another key" },
		{ "v=DKIM1; p=&", "its p= is an RSAPublicKey, which most verifiers cannot read" },
		{ "v=DKIM1; k=ed25519; p=@", "it says k=ed25519, the key is rsa" },
		{ "v=DKIM1; k=ed25519; p=!", "it says k=ed25519, the key is rsa" },
		{ "v=DKIM1; k=; p=@", "it says k=, the key is rsa" },
		{ "v=DKIM1; t=y; p=@",
		    "it says t=y: verifiers take the signatures for tests, as if there were none" },
		{ "v=DKIM1; t=s:y; p=@",
		    "it says t=y: verifiers take the signatures for tests, as if there were none" },
		{ "v=DKIM1; h=sha1; p=@", "its h= forbids sha256" },
		{ "v=DKIM1; s=other; p=@", "its s= is not for mail" },
		{ "p=@; v=DKIM1", "it is no key record: v=DKIM1 must stand first" },
		{ "v=DKIM2; p=@", "it is no key record: v=DKIM1 must stand first" },
		{ "v=spf1 -all", "it is no key record: v=DKIM1 must stand first" },
		{ "v=DKIM1; p=@; p=@", "it is no list of tags" },
		{ "some words", "it is no list of tags" },
		{ "", "it is no list of tags" },
	};

	compare_all(KEY_RSA_2048, KEY_RSA_1024, rows, T_COUNT(rows));
}

static void
compares_ed25519(void)
{
	static const struct row rows[] = {
		{ "v=DKIM1; k=ed25519; p=@", NULL },
		{ "v=DKIM1; p=@", "it says k=rsa, the key is ed25519" },
		{ "v=DKIM1; k=ed25519; p=!", "it is of another key" },
		{ "v=DKIM1; k=Ed25519; p=@", "it says k=Ed25519, the key is ed25519" },
	};

	compare_all(KEY_ED25519, KEY_RSA_1024, rows, T_COUNT(rows));
}

static void
compares_answers(void)
{
	static const struct {
		enum dns_rc rc;
		const char *said;
	} rows[] = {
		{ DNS_NXDOMAIN, "there is no record" },
		{ DNS_NODATA, "there is no record" },
		{ DNS_TEMP, "it cannot be had: " },
		{ DNS_BAD, "it cannot be had: " },
	};
	struct arena           *a = arena_new(4096, 0);
	const struct crypt_key *k = key_of(a, KEY_ED25519);
	struct dns_record       two[2];
	struct dns_answer       txt = { two, 2, 60 };

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv said = keycheck_fault(a, k, rows[i].rc, &(struct dns_answer){ 0 });

		t_row = dns_rc_name(rows[i].rc);
		T_CHECK(strv_starts(said, strv_z(rows[i].said)));
	}
	t_row = NULL;
	two[0].text = two[1].text = written(a, "v=DKIM1; k=ed25519; p=@", k, k);
	T_EQ_TEXT(keycheck_fault(a, k, DNS_OK, &txt),
	    "there are 2 records, of which a verifier takes any");
	arena_free(a);
}

/* ---- all keys of a configuration ------------------------------------------------------------- */

static enum file_rc
read_key(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	if (strcmp(path, "/etc/postern/rsa.pem") == 0)
		*out = SV(KEY_RSA_2048);
	else if (strcmp(path, "/etc/postern/ed.pem") == 0)
		*out = SV(KEY_ED25519);
	else
		return read_file(w, a, path, max, out);
	return FILE_OK;
}

static void
keep(struct strv line, void *arg)
{
	buf_add(arg, line);
	buf_addc(arg, '\n');
}

static void
state(struct arena *a, const char *name, struct strv text)
{
	struct strv line = arena_printf(a, "%s TXT ", name);

	stand_zone(arena_z(a, arena_concat(a, line, text)));
}

static void
asks_for_all(void)
{
	struct buf    out;
	struct loaded l;

	stand_begin();
	world.read_file = read_key;
	l = load(BASE "sign { a.example, b.example, down.example } selector s1 key \"rsa.pem\"\n"
		      "sign { .a.example } selector s2 key \"ed.pem\"\n"
		      "seal ours.example selector seal key \"rsa.pem\"\n");
	buf_init(&out, 65536);
	if (is_good(&l)) {
		const struct crypt_key *rsa = key_of(l.a, KEY_RSA_2048),
				       *ed = key_of(l.a, KEY_ED25519);

		state(l.a, "s1._domainkey.a.example", written(l.a, "v=DKIM1; p=@", rsa, ed));
		state(l.a, "s2._domainkey.a.example",
		    written(l.a, "v=DKIM1; k=ed25519; p=@", ed, rsa));
		state(l.a, "seal._domainkey.ours.example",
		    written(l.a, "v=DKIM1; k=ed25519; p=!", rsa, ed));
		stand_zone("s1._domainkey.down.example SERVFAIL");
		T_EQ_NUM(keycheck_run(l.s, stand.loop, keep, &out), 3);
		T_EQ_TEXT(buf_view(&out),
		    "record s1._domainkey.a.example agrees with the key\n"
		    "record s1._domainkey.b.example does not agree with the key /etc/postern/rsa.pem of " MAIN_FILE
		    ":4: there is no record\n"
		    "record s1._domainkey.down.example was not compared with the key /etc/postern/rsa.pem of " MAIN_FILE
		    ":4: it cannot be had: no answer\n"
		    "record s2._domainkey.a.example agrees with the key\n"
		    "record seal._domainkey.ours.example does not agree with the key /etc/postern/rsa.pem of " MAIN_FILE
		    ":6: it says k=ed25519, the key is rsa\n");
		T_EQ_NUM(stand.asked, 5);
	}
	buf_fini(&out);
	unload(&l);
	stand_end();
}

/* More names than are asked for at once. */
static void
asks_for_many(void)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   text = SV(BASE "sign {");
	struct buf    out;
	struct loaded l;

	stand_begin();
	for (unsigned i = 0; i < 200; i++)
		text = arena_concat(a, text, arena_printf(a, " d%u.example", i));
	text = arena_concat(a, text, SV(" } selector s key \"ed.pem\"\n"));
	l = load(arena_z(a, text));
	buf_init(&out, 65536);
	if (is_good(&l)) {
		T_EQ_NUM(keycheck_run(l.s, stand.loop, keep, &out), 200);
		T_EQ_NUM(stand.asked, 200);
	}
	buf_fini(&out);
	unload(&l);
	arena_free(a);
	stand_end();
}

static void
asks_for_none(void)
{
	struct buf    out;
	struct loaded l = load(BASE);

	stand_begin();
	buf_init(&out, 65536);
	T_EQ_NUM(keycheck_run(l.s, stand.loop, keep, &out), 0);
	T_EQ_TEXT(buf_view(&out), "there is no `sign' or `seal', and so no record to ask for\n");
	buf_fini(&out);
	unload(&l);
	stand_end();
}

int
main(void)
{
	T_RUN(compares_rsa);
	T_RUN(compares_ed25519);
	T_RUN(compares_answers);
	T_RUN(asks_for_all);
	T_RUN(asks_for_many);
	T_RUN(asks_for_none);
	return t_end();
}
