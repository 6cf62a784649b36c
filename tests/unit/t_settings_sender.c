/*
 * t_settings_sender -- `authenticate', `spf', `dkim', `sign', `seal': what they say, whose key is read, every mistake.
 */
#include "config.h"
#include "filters/auth.h"
#include "proxy/base/crypt.h"
#include "proxy/base/netset.h"
#include "tests/unit/settings_world.h"
#include "tests/unit/test_keys.h"

/* ---- a world with keys ----------------------------------------------------------------------- */

static const struct key_file {
	const char *path, *text;
	unsigned    mode;
} keys[] = {
	{ "/etc/postern/rsa.pem", KEY_RSA_2048, 0600 },
	{ "/etc/postern/group.pem", KEY_RSA_2048, 0640 },
	{ "/etc/postern/ed.pem", KEY_ED25519, 0400 },
	{ "/etc/postern/weak.pem", KEY_RSA_1024, 0600 },
	{ "/etc/postern/world.pem", KEY_RSA_2048, 0644 },
	{ "/etc/postern/written.pem", KEY_RSA_2048, 0660 },
	{ "/etc/postern/other.pem", KEY_RSA_2048, 0602 },
	{ "/etc/postern/text.pem", "no key\n", 0600 },
	{ "/etc/postern/empty.key", "", 0600 },
	{ "/etc/postern/small.pem", KEY_RSA_512, 0600 },
	{ "/etc/postern/locked.pem", KEY_ENCRYPTED, 0600 },
	{ "/etc/postern/keys/ours.example.pem", KEY_RSA_2048, 0600 },
	{ "/etc/postern/keys/xn--mnchen-3ya.example.pem", KEY_ED25519, 0600 },
	{ "/etc/postern/100%.pem", KEY_ED25519, 0600 },
	{ "/etc/postern/50%/x.pem", KEY_ED25519, 0600 },
};

static unsigned reads;

static const struct key_file *
key_file(const char *path)
{
	for (size_t i = 0; i < T_COUNT(keys); i++)
		if (strcmp(keys[i].path, path) == 0)
			return &keys[i];
	return NULL;
}

static enum file_rc
read_key(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	const struct key_file *f = key_file(path);

	if (f == NULL)
		return read_file(w, a, path, max, out);
	reads++;
	*out = strv_z(f->text);
	return out->n > max ? FILE_TOO_BIG : FILE_OK;
}

static enum file_rc
key_mode(struct world *w, const char *path, unsigned *mode)
{
	const struct key_file *f = key_file(path);

	(void)w;
	if (f == NULL)
		return FILE_ABSENT;
	*mode = f->mode;
	return FILE_OK;
}

static void
begin(void)
{
	world.read_file = read_key;
	world.file_mode = key_mode;
	reads = 0;
}

/* ---- what is said ---------------------------------------------------------------------------- */

static void
has_defaults(void)
{
	struct loaded l = load("hostname mx.ours.example\n" BASE);

	if (is_good(&l)) {
		T_EQ_NUM(l.s->auth.methods, 0);
		T_EQ_TEXT(l.s->auth.id, "mx.ours.example");
		/* fields of that id are hidden whether anything is authenticated or not */
		T_EQ_TEXT(l.s->smtp.authserv, "mx.ours.example");
		T_CHECK(l.s->smtp.authserv_trust == NULL);
		T_EQ_NUM(l.s->auth.engine, SPF_OWN);
		T_EQ_NUM(l.s->auth.cross, SPF_NONE);
		T_EQ_NUM(l.s->auth.signatures, 5);
		T_EQ_NUM(l.s->auth.minimum_key, 1024);
		T_EQ_NUM(l.s->auth.n_sign + l.s->auth.n_seal, 0);
	}
	unload(&l);
}

#if HAVE_SPF2
#define ENGINES "spf { cross-check own engine libspf2 }\n"
#else
#define ENGINES "spf { engine own }\n"
#endif

static void
takes_what_is_said(void)
{
	struct loaded l = load(
	    BASE "authenticate spf, dmarc,\n\tarc as id.ours.example trust near\n"
		 "hostname mx.ours.example\nnetworks near { 192.0.2.0/24 }\n" ENGINES
		 "dkim { minimum-key 2048 signatures 20 canonicalization simple/relaxed }\n");
	struct addr near, far;

	T_CHECK(addr_parse(SV("192.0.2.9"), &near) && addr_parse(SV("192.0.3.9"), &far));
	if (is_good(&l)) {
		T_EQ_NUM(l.s->auth.methods, AUTH_SPF | AUTH_DMARC | AUTH_ARC);
		T_EQ_TEXT(l.s->auth.id, "id.ours.example");
		T_EQ_TEXT(l.s->smtp.authserv, "id.ours.example");
		T_CHECK(netset_has(l.s->smtp.authserv_trust, &near));
		T_CHECK(!netset_has(l.s->smtp.authserv_trust, &far));
		T_EQ_NUM(l.s->auth.engine, HAVE_SPF2 ? SPF_LIBSPF2 : SPF_OWN);
		T_EQ_NUM(l.s->auth.cross, HAVE_SPF2 ? SPF_OWN : SPF_NONE);
		T_EQ_NUM(l.s->auth.signatures, 20);
		T_EQ_NUM(l.s->auth.minimum_key, 2048);
		T_EQ_NUM(l.s->auth.sign_header, CANON_SIMPLE);
		T_EQ_NUM(l.s->auth.sign_body, CANON_RELAXED);
	}
	unload(&l);
}

/* One bit each, in the order of the enum; the id is the hostname, wherever that stands. */
static void
takes_each_method(void)
{
	static const struct row {
		const char *text;
		unsigned    methods;
	} rows[] = {
		{ "authenticate spf", AUTH_SPF },
		{ "authenticate dkim", AUTH_DKIM },
		{ "authenticate dmarc", AUTH_DMARC },
		{ "authenticate arc", AUTH_ARC },
		{ "authenticate arc, dmarc, dkim, spf",
		    AUTH_SPF | AUTH_DKIM | AUTH_DMARC | AUTH_ARC },
	};

	T_TABLE(struct row, r, rows)
	{
		char          text[300];
		struct loaded l;

		t_row = r->text;
		snprintf(text, sizeof(text), BASE "%s\nhostname mx.ours.example\n", r->text);
		l = load(text);
		if (is_good(&l)) {
			T_EQ_NUM(l.s->auth.methods, r->methods);
			T_EQ_TEXT(l.s->auth.id, "mx.ours.example");
		}
		unload(&l);
	}
}

static void
is_key(const struct sign_key *k, const char *domain, bool exact, bool below, const char *file)
{
	T_EQ_TEXT(k->domain, domain);
	T_EQ_NUM(k->exact, exact);
	T_EQ_NUM(k->below, below);
	T_EQ_TEXT(k->file, file);
	T_CHECK(k->key != NULL);
	T_EQ_NUM(k->pem.p == NULL ? 1 : k->pem.p[k->pem.n], '\0');
}

/* "d" and ".d" are one entry, U-labels are A-labels, the entries are sorted; each has the file of its name. */
static void
a_key_for_each_domain(void)
{
	struct loaded           l;
	const struct sign_rule *r;

	reads = 0;
	l = load(BASE "domains ours { .OURS.example, m\xc3\xbcnchen.example, ours.example }\n"
		      "sign ours selector S1.M\xc3\xbcnchen key \"keys/%{from.domain}.pem\"\n");
	if (is_good(&l) && T_EQ_NUM(l.s->auth.n_sign, 1) && T_EQ_NUM(l.s->auth.sign[0].n_key, 2)) {
		r = &l.s->auth.sign[0];
		T_EQ_TEXT(r->selector, "s1.xn--mnchen-3ya");
		T_EQ_TEXT(r->where, MAIN_FILE ":5");
		is_key(
		    &r->key[0], "ours.example", true, true, "/etc/postern/keys/ours.example.pem");
		is_key(&r->key[1], "xn--mnchen-3ya.example", true, false,
		    "/etc/postern/keys/xn--mnchen-3ya.example.pem");
		T_EQ_NUM(crypt_key_kind(r->key[0].key), CRYPT_RSA);
		T_EQ_NUM(crypt_key_kind(r->key[1].key), CRYPT_ED25519);
		T_EQ_NUM(reads, 2);
	}
	unload(&l);
}

/* Without the domain in its name the file is read once. */
static void
one_key_for_all(void)
{
	struct loaded l;

	reads = 0;
	l = load(BASE
	    "sign { c.example, .b.example, a.example, b.example, .c.example } selector s key \"/etc/postern/ed.pem\"\n");
	if (is_good(&l) && T_EQ_NUM(l.s->auth.sign[0].n_key, 3)) {
		is_key(&l.s->auth.sign[0].key[0], "a.example", true, false, "/etc/postern/ed.pem");
		is_key(&l.s->auth.sign[0].key[1], "b.example", true, true, "/etc/postern/ed.pem");
		is_key(&l.s->auth.sign[0].key[2], "c.example", true, true, "/etc/postern/ed.pem");
		T_CHECK(l.s->auth.sign[0].key[0].key == l.s->auth.sign[0].key[2].key);
		T_EQ_NUM(reads, 1);
	}
	unload(&l);
}

/* Conditions are numbered over both statements, in the order of the file, includes and all. */
static void
numbers_are_those_of_the_policy(void)
{
	struct loaded l = load(
	    BASE "seal ours.example selector a1 key \"rsa.pem\" when client in { 192.0.2.1 }\n"
		 "sign { a.example } selector s1 key \"rsa.pem\"\n"
		 "seal Ours.Example selector a2 key \"ed.pem\"\n"
		 "sign { a.example } selector s2 key \"ed.pem\" when sender is null\n");

	if (is_good(&l) && T_EQ_NUM(l.s->auth.n_sign, 2) && T_EQ_NUM(l.s->auth.n_seal, 2)) {
		T_EQ_NUM(policy_seals(l.s->policy), 4);
		T_EQ_NUM(l.s->auth.seal[0].number, 0);
		T_EQ_NUM(l.s->auth.sign[0].number, 1);
		T_EQ_NUM(l.s->auth.seal[1].number, 2);
		T_EQ_NUM(l.s->auth.sign[1].number, 3);
		T_EQ_NUM(l.s->auth.seal[0].n_key, 1);
		is_key(
		    &l.s->auth.seal[1].key[0], "ours.example", true, false, "/etc/postern/ed.pem");
	}
	unload(&l);
}

/* What stands in ( ) of a file's name; a key that its group can read is its owner's affair. */
static void
names_of_files(void)
{
	static const struct row {
		const char *name, *file;
	} rows[] = {
		{ "100%%.pem", "/etc/postern/100%.pem" },
		{ "50%/x.pem", "/etc/postern/50%/x.pem" },
		{ "group.pem", "/etc/postern/group.pem" },
	};

	T_TABLE(struct row, r, rows)
	{
		char          text[300];
		struct loaded l;

		t_row = r->name;
		snprintf(
		    text, sizeof(text), BASE "sign { a.example } selector s key \"%s\"\n", r->name);
		l = load(text);
		if (is_good(&l))
			T_EQ_TEXT(l.s->auth.sign[0].key[0].file, r->file);
		unload(&l);
	}
}

/* ---- mistakes -------------------------------------------------------------------------------- */

#define LISTS "networks nets { ::1 }; domains ours { ours.example, .ours.example }\n"

/* Every row: one statement in line 5 behind a good base, exactly one mistake. */
static const struct mistake mistakes[] = {
	{ "authenticate", 1, "a method is missing here" },
	{ "authenticate spf,;", 17, "a method is missing here" },
	{ "authenticate smtp", 14, "`smtp' is not a method" },
	{ "authenticate \"spf\"", 14, "a method is expected here" },
	{ "authenticate spf, spf", 19, "`spf' stands here twice" },
	{ "authenticate spf dkim", 18, "a comma is missing in front of `dkim'" },
	{ "authenticate spf; authenticate dkim", 19, "a second `authenticate'" },
	{ "authenticate spf; authenticate spf", 19, "a second `authenticate'" },
	{ "authenticate spf only", 18, "`only' is not an option of `authenticate'" },
	{ "authenticate spf as", 18, "an authserv-id is missing here" },
	{ "authenticate spf as \"a b\"", 21, "`a b' cannot be an authserv-id" },
	{ "authenticate spf as \"a;b\"", 21, "`a;b' cannot be an authserv-id" },
	{ "authenticate spf as \"\"", 21, "`' cannot be an authserv-id" },
	{ "authenticate spf as a as b", 23, "`as' stands here twice" },
	{ "authenticate spf trust", 18, "a list of networks is missing here" },
	{ "authenticate spf trust ours", 24, "`ours' is a list of domains" },
	{ "authenticate spf trust net", 24, "no list is called `net'" },
	{ "authenticate spf trust \"nets\"", 24, "a list of networks is expected here" },
	{ "authenticate spf trust { mx.example }", 26, "`mx.example' is no network" },
	{ "authenticate spf when helo is fqdn", 23, "`authenticate' takes no `when'" },
	{ "spf { engines own }", 7, "`engines' is not a word of `spf'" },
	{ "spf { engine mine }", 14, "`mine' is not an engine" },
	{ "spf { engine }", 7, "`engine' has no value" },
	{ "spf { engine own engine own }", 18, "`engine' stands here twice" },
	{ "spf { cross-check own }", 1, "an engine cannot be checked by itself" },
#if HAVE_SPF2
	{ "spf { engine libspf2 cross-check libspf2 }", 1,
	    "an engine cannot be checked by itself" },
#else
	{ "spf { engine libspf2 }", 14, "`libspf2' is not in this build" },
	{ "spf { cross-check libspf2 }", 19, "`libspf2' is not in this build" },
#endif
	{ "spf { }; spf { }", 10, "a second `spf'" },
	{ "dkim { signatures 0 }", 19, "`0' is too small" },
	{ "dkim { signatures 21 }", 19, "`21' is too large" },
	{ "dkim { minimum-key 1023 }", 20, "`1023' is too small" },
	{ "dkim { minimum-key 4097 }", 20, "`4097' is too large" },
	{ "dkim { minimum-key 2K }", 20, "a number is expected here" },
	{ "dkim { canonicalization loose }", 25, "`loose' is no canonicalization" },
	{ "dkim { canonicalization relaxed }", 25, "`relaxed' is no canonicalization" },
	{ "dkim { keys 5 }", 8, "`keys' is not a word of `dkim'" },
	{ "sign", 1, "a list of domains is missing here" },
	{ "sign \"ours\" selector s key \"rsa.pem\"", 6, "a list of domains is expected here" },
	{ "sign our selector s key \"rsa.pem\"", 6, "no list is called `our'" },
	{ "sign nets selector s key \"rsa.pem\"", 6, "`nets' is a list of networks" },
	{ "sign { a@b.example } selector s key \"rsa.pem\"", 8, "`a@b.example' is no domain" },
	{ "sign { [192.0.2.1] } selector s key \"rsa.pem\"", 6,
	    "nobody can sign for `[192.0.2.1]'" },
	{ "sign ours selector s", 1, "the key is missing" },
	{ "sign ours key \"rsa.pem\"", 1, "the selector is missing" },
	{ "sign ours selector -s key \"rsa.pem\"", 20, "`-s' cannot be a selector" },
	{ "sign ours selector s- key \"rsa.pem\"", 20, "`s-' cannot be a selector" },
	{ "sign ours selector s. key \"rsa.pem\"", 20, "`s.' cannot be a selector" },
	{ "sign ours selector .s key \"rsa.pem\"", 20, "`.s' cannot be a selector" },
	{ "sign ours selector s..t key \"rsa.pem\"", 20, "`s..t' cannot be a selector" },
	{ "sign ours selector \"s t\" key \"rsa.pem\"", 20, "`s t' cannot be a selector" },
	{ "sign ours selector s._DomainKey key \"rsa.pem\"", 20,
	    "`_domainkey' is added to the selector" },
	{ "seal ours.example selector _domainkey key \"rsa.pem\"", 28,
	    "`_domainkey' is added to the selector" },
	{ "sign ours selector s key \"rsa.pem\" if client in nets", 36,
	    "`if' is not an option of `sign'" },
	{ "sign ours selector s file \"rsa.pem\" key \"rsa.pem\"", 22,
	    "`file' is not an option of `sign'" },
	{ "sign ours selector s key \"\"", 26, "this cannot be a file" },
	{ "sign ours selector s selector t key \"rsa.pem\"", 22, "`selector' stands here twice" },
	{ "sign ours selector s key \"rsa.pem\" domain", 36,
	    "`domain' is not an option of `sign'" },
	{ "sign ours selector s key \"none.pem\"", 26,
	    "cannot read the key /etc/postern/none.pem: no such file" },
	{ "sign ours selector s key \"%{from.address}.pem\"", 26, "only %{from.domain} can stand" },
	{ "sign ours selector s key \"%{from.domain\"", 26, "only %{from.domain} can stand" },
	{ "sign ours selector s key \"world.pem\"", 26,
	    "can read the key /etc/postern/world.pem: -rw-r--r--" },
	{ "sign ours selector s key \"written.pem\"", 26,
	    "all of its group can write the key /etc/postern/written.pem: -rw-rw----" },
	{ "sign ours selector s key \"other.pem\"", 26,
	    "everybody on this machine can write the key /etc/postern/other.pem: -rw-----w-" },
	{ "sign ours selector s key \"text.pem\"", 26,
	    "the key /etc/postern/text.pem cannot be used" },
	{ "sign ours selector s key \"empty.key\"", 26,
	    "the key /etc/postern/empty.key cannot be used" },
	{ "sign ours selector s key \"small.pem\"", 26,
	    "the key /etc/postern/small.pem cannot be used: RSA of 512 bits" },
	{ "sign ours selector s key \"locked.pem\"", 26,
	    "the key /etc/postern/locked.pem cannot be used: encrypted" },
	{ "sign ours selector s key \"mx.key\"", 26, "the key /etc/postern/mx.key cannot be used" },
	{ "sign { a.example, ours.example } selector s key \"keys/%{from.domain}.pem\"", 49,
	    "cannot read the key /etc/postern/keys/a.example.pem" },
	{ "sign ours selector s key \"rsa.pem\" when rcpt in { a@b.example }", 41,
	    "`rcpt' differs between recipients" },
	{ "sign ours selector s key \"rsa.pem\" when tag.none", 41,
	    "no check sets the tag `none'" },
	{ "sign ours selector s key \"rsa.pem\" when frm.domain is absent", 41,
	    "there is no fact `frm.domain'" },
	{ "sign ours selector s key \"rsa.pem\"; sign { ours.example } selector s key \"ed.pem\"",
	    68, "ours.example has another key with this selector, at " MAIN_FILE ":5" },
	{ "sign ours selector S key \"rsa.pem\"; seal ours.example selector s key \"ed.pem\"", 64,
	    "ours.example has another key with this selector" },
	{ "seal", 1, "a domain is missing here" },
	{ "seal ours selector s key \"rsa.pem\"", 6, "`ours' is no domain" },
	{ "seal .ours.example selector s key \"rsa.pem\"", 6, "`.ours.example' is no domain" },
	{ "seal ours.example selector s", 1, "the key is missing" },
	{ "seal ours.example key \"rsa.pem\"", 1, "the selector is missing" },
	{ "seal ours.example selector s key \"%{from.domain}.pem\"", 34,
	    "%{from.domain} is for `sign'" },
	{ "seal { ours.example } selector s key \"rsa.pem\"", 6, "a domain is expected here" },
};

static void
points_at_mistakes(void)
{
	T_TABLE(struct mistake, m, mistakes)
	{
		char text[500];

		t_row = m->text;
		snprintf(text, sizeof(text),
		    BASE LISTS
		    "%s\ncheck u { when client in nets or sender.domain in ours log \"x\" }\n",
		    m->text);
		makes_one(text, DIAG_ERROR, 5, m);
	}
}

static void
warns(void)
{
	static const struct mistake rows[] = {
		{ "sign { a.example } selector s key \"weak.pem\" when client in { ::1 }", 35,
		    "the key /etc/postern/weak.pem is weak: RSA of 1024 bits" },
		{ "sign { } selector s key \"rsa.pem\" when authenticated", 6,
		    "the list is empty: nothing will be signed" },
		{ "seal a.example selector s key \"ed.pem\"", 31,
		    "the key /etc/postern/ed.pem is Ed25519, which many verifiers of ARC do not know" },
		{ "authenticate spf trust { 0.0.0.0/0 }", 24,
		    "the whole Internet is trusted here" },
		{ "sign { a.example } selector s key \"rsa.pem\"", 1,
		    "this signs what strangers send in our name as well" },
	};

	T_TABLE(struct mistake, m, rows)
	{
		char text[400];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_WARNING, 4, m);
	}
}

/* No stranger comes in, so what is to be signed is ours. */
static void
no_strangers(void)
{
	static const char *const gates[] = { "allow from { 10.0.0.0/8 }",
		"allow authenticated over tls", "allow from { 10.0.0.0/8 } to { b.example }", "" };

	for (size_t i = 0; i < T_COUNT(gates); i++) {
		char          text[400];
		struct loaded l;

		t_row = gates[i];
		snprintf(text, sizeof(text),
		    "listen 127.0.0.1:25\nupstream 127.0.0.1:10025\nrelay { %s }\n"
		    "sign { a.example } selector s key \"rsa.pem\"\n",
		    gates[i]);
		l = load(text);
		T_CHECK(is_good(&l) && !has_level(&l.d, DIAG_WARNING, 4, 1, "strangers"));
		unload(&l);
	}
	t_row = NULL;
}

/* A mistake in a check hides none in a list, a key or a listener. */
static void
shows_all_mistakes(void)
{
	static const char *const want[] = { "`psas'", "`nobody'", "no list is called `ours2'",
		"no private key" };
	struct loaded            l = load(BASE "listen 127.0.0.1:26 proxy-protocol from nobody\n"
							  "check c { when spf is psas  reject }\n"
							  "sign ours2 selector s key \"rsa.pem\"\n"
							  "seal ours.example selector s key \"text.pem\"\n");

	T_EQ_NUM(l.d.errors, T_COUNT(want));
	for (size_t i = 0; i < T_COUNT(want); i++) {
		bool there = false;

		for (unsigned k = 0; k < l.d.n; k++)
			there = there ||
			    memmem(l.d.v[k].text.p, l.d.v[k].text.n, want[i], strlen(want[i])) !=
				NULL;
		T_CHECKF(there, "%s", want[i]);
	}
	unload(&l);
}

static void
too_many_rules(void)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   text = SV(BASE);
	struct loaded l;

	for (unsigned i = 0; i < SIGN_RULES_MAX; i++)
		text = arena_concat(a, text, SV("sign { a.example } selector s key \"rsa.pem\"\n"));
	l = load(arena_z(a, text));
	T_EQ_NUM(l.d.errors, 0);
	unload(&l);
	text = arena_concat(a, text, SV("seal a.example selector s key \"rsa.pem\"\n"));
	l = load(arena_z(a, text));
	T_CHECK(has_diag(&l.d, 4 + SIGN_RULES_MAX, 1, "more than 32 `sign' and `seal' together"));
	T_EQ_NUM(l.d.errors, 1);
	unload(&l);
	arena_free(a);
}

/* The domain is no path: what a list cannot hold cannot lead out of the folder. */
static void
domains_do_not_climb(void)
{
	static const struct mistake rows[] = {
		{ "sign { ../../etc/x } selector s key \"%{from.domain}.pem\"", 8, "is no domain" },
		{ "sign { a/b.example } selector s key \"%{from.domain}.pem\"", 8, "is no domain" },
	};

	T_TABLE(struct mistake, m, rows)
	{
		char text[400];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

int
main(void)
{
	begin();
	T_RUN(has_defaults);
	if (HAVE_OPENDKIM)
		T_RUN(takes_what_is_said);
	if (HAVE_OPENDKIM)
		T_RUN(takes_each_method);
	if (HAVE_IDN2)
		T_RUN(a_key_for_each_domain);
	T_RUN(one_key_for_all);
	T_RUN(numbers_are_those_of_the_policy);
	T_RUN(names_of_files);
	if (HAVE_OPENDKIM)
		T_RUN(points_at_mistakes);
	T_RUN(warns);
	T_RUN(no_strangers);
	T_RUN(shows_all_mistakes);
	T_RUN(too_many_rules);
	T_RUN(domains_do_not_climb);
	return t_end();
}
