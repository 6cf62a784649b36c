/*
 * t_dmarc -- DMARC by RFC 9989: what a record says, the walk up the tree, and what follows for a message.
 *
 * SPF and DKIM are stated, the DNS is made up.
 */
#include "config.h"
#include "filters/auth.h"
#include "filters/dmarc_record.h"
#include "filters/dmarc_tree.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/dns_table.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

/* ---- records ---- */

/* "p=reject sp=none psd=y t adkim aspf"; "mute", "-". */
static const char *
record(struct strv text)
{
	static char         out[200];
	static const char  *psd[] = { "", " psd=y", " psd=n" };
	struct dmarc_record r;

	if (!dmarc_record_parse(text, &r))
		return "-";
	snprintf(out, sizeof(out), "p=%s%s%s%s%s%s%s%s%s", dmarc_asks_word(r.p),
	    r.sp == DMARC_ASKS_ABSENT ? "" : " sp=",
	    r.sp == DMARC_ASKS_ABSENT ? "" : dmarc_asks_word(r.sp),
	    r.np == DMARC_ASKS_ABSENT ? "" : " np=",
	    r.np == DMARC_ASKS_ABSENT ? "" : dmarc_asks_word(r.np), psd[r.psd], r.test ? " t" : "",
	    r.strict_dkim ? " adkim" : "", r.strict_spf ? " aspf" : "");
	return r.mute ? "mute" : out;
}

static void
reads_records(void)
{
	/* clang-format off */
	static const struct {
		const char *text, *want;
	} rows[] = {
		/* RFC 9989 B.2 */
		{ "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", "p=none" },
		{ "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com; ruf=mailto:auth-reports@example.com", "p=none" },
		{ "v=DMARC1; p=quarantine; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net; t=y",
		    "p=quarantine t" },
		{ "v=DMARC1; p=reject; rua=mailto:dmarc-feedback@example.com,mailto:tld-test@thirdparty.example.net", "p=reject" },
		{ "v=DMARC1; p=reject; aspf=r;\n  rua=mailto:dmarc-feedback@example.com", "p=reject" },
		{ "v=DMARC1;p=reject;sp=quarantine;np=none;psd=n;t=n;adkim=s;aspf=s;fo=1:d:s;ruf=mailto:a@b.example",
		    "p=reject sp=quarantine np=none psd=n adkim aspf" },
		{ "v=DMARC1; p=none; psd=y", "p=none psd=y" }, { "v=DMARC1; p=none; psd=u", "p=none" },
		/* which text is a record: v comes first, and its value is DMARC1 (4.7) */
		{ "", "-" }, { "v=DMARC1p=none", "-" }, { "v=dmarc1; p=none", "-" }, { "v=DMARC2; p=none", "-" },
		{ "v=DMARC1 p=none", "-" }, { "p=none; v=DMARC1", "-" }, { "v=spf1 -all", "-" }, { ";v=DMARC1; p=none", "-" },
		{ "V = DMARC1 ; p = none", "p=none" }, { " v=DMARC1;p=none ;", "p=none" }, { "v=DMARC1;;;p=reject;;", "p=reject" },
		/* words are those of an ABNF: case does not count */
		{ "v=DMARC1; P=Reject; PSD=Y; T=Y; ADKIM=S", "p=reject psd=y t adkim" },
		/* unknown and removed tags are not looked at, the broken ones cost themselves alone (4.8) */
		{ "v=DMARC1; p=reject; pct=0; rf=x; ri=-1; zz=1", "p=reject" },
		{ "v=DMARC1; =; what; 1=2; p=reject; adkim=x; aspf=; psd=q; t=maybe; \x01=1; fo=\xff", "p=reject" },
		{ "v=DMARC1; p=reject; adkim=s; adkim=s", "p=reject" },         /* twice: as if not there */
		/* without a valid p, or with an sp or np that is not: none where reports are wanted (4.10.1) */
		{ "v=DMARC1", "mute" }, { "v=DMARC1;", "mute" }, { "v=DMARC1; p=", "mute" }, { "v=DMARC1; p=discard", "mute" },
		{ "v=DMARC1; p=reject; p=none", "mute" }, { "v=DMARC1; p=reject; sp=x", "mute" }, { "v=DMARC1; p=reject; np=", "mute" },
		{ "v=DMARC1; rua=mailto:a@b.example", "p=none" }, { "v=DMARC1; p=x; sp=reject; rua=mailto:a@b.example", "p=none" },
		{ "v=DMARC1; p=reject; np=x; rua=mailto:a@b.example", "p=none" },
		{ "v=DMARC1; rua=https://b.example/in", "p=none" }, { "v=DMARC1; rua=x, mailto:a@b.example!10m", "p=none" },
		{ "v=DMARC1; rua=", "mute" }, { "v=DMARC1; rua=a@b.example", "mute" }, { "v=DMARC1; rua=mailto:", "mute" },
		{ "v=DMARC1; rua=mailto:nobody", "mute" }, { "v=DMARC1; rua=:a@b", "mute" }, { "v=DMARC1; rua=1x:a@b", "mute" },
		{ "v=DMARC1; rua=mailto:!a@b", "mute" }, { "v=DMARC1; rua=mailto:a b@c", "mute" }, { "v=DMARC1; rua=m\xc3\xbc:a@b", "mute" },
		{ "v=DMARC1; p=x; psd=n", "mute" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].text;
		T_EQ_STR(record(strv_z(rows[i].text)), rows[i].want);
	}
	t_row = NULL;
	T_EQ_STR(record(SV("v=DMARC1\0; p=none")), "-");
	T_EQ_STR(record(SV("v=DMARC1; p=reject; x=\0; sp=none")), "p=reject sp=none");
	T_EQ_STR(record((struct strv){ 0 }), "-");
}

static void
takes_one_record_of_a_name(void)
{
	struct strv v[] = { SV("v=spf1 -all"), SV("v=DMARC1; p=reject"), SV(""), SV("v=DMARC1"),
		SV("v=DMARC1; p=none") };
	struct dmarc_record r;

	T_CHECK(!dmarc_record_find(NULL, 0, &r));
	T_CHECK(!dmarc_record_find(v, 1, &r));
	T_CHECK(dmarc_record_find(v, 3, &r) && r.p == DMARC_ASKS_REJECT);
	T_CHECK(!dmarc_record_find(v, 4, &r));
	T_CHECK(!dmarc_record_find(v, 5, &r));
}

static void
applies_sp_np_and_t(void)
{
	/* clang-format off */
	static const struct {
		const char *text, *own, *below, *missing;
	} rows[] = {
		{ "v=DMARC1; p=reject", "reject", "reject", "reject" },
		{ "v=DMARC1; p=reject; sp=none", "reject", "none", "none" },
		{ "v=DMARC1; p=none; np=reject", "none", "none", "reject" },
		{ "v=DMARC1; p=none; sp=quarantine; np=reject", "none", "quarantine", "reject" },
		{ "v=DMARC1; p=reject; t=y", "quarantine", "quarantine", "quarantine" },
		{ "v=DMARC1; p=quarantine; sp=reject; np=none; t=y", "none", "quarantine", "none" },
		{ "v=DMARC1; p=none; t=y", "none", "none", "none" },
		{ "v=DMARC1; p=x; sp=reject; rua=mailto:a@b.example", "none", "none", "none" },
		{ "v=DMARC1; p=x", "absent", "absent", "absent" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct dmarc_record r;

		t_row = rows[i].text;
		T_CHECK(dmarc_record_parse(strv_z(rows[i].text), &r));
		T_EQ_STR(dmarc_asks_word(dmarc_record_asks(&r, false, true)), rows[i].own);
		T_EQ_STR(dmarc_asks_word(dmarc_record_asks(&r, true, true)), rows[i].below);
		T_EQ_STR(dmarc_asks_word(dmarc_record_asks(&r, true, false)), rows[i].missing);
	}
}

/* ---- the walk ---- */

static void
looks_at_eight_names(void)
{
	/* clang-format off */
	static const struct {
		const char *domain, *names;
	} rows[] = {
		{ "com", "com" }, { "example.com", "example.com com" },
		{ "a.mail.example.com", "a.mail.example.com mail.example.com example.com com" },
		{ "a.b.c.d.e.f.g", "a.b.c.d.e.f.g b.c.d.e.f.g c.d.e.f.g d.e.f.g e.f.g f.g g" },
		{ "a.b.c.d.e.f.g.h", "a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h" },
		{ "x.a.b.c.d.e.f.g.h", "x.a.b.c.d.e.f.g.h b.c.d.e.f.g.h c.d.e.f.g.h d.e.f.g.h e.f.g.h f.g.h g.h h" },
		{ "a.b.c.d.e.f.g.h.i.j.mail.example.com",               /* 4.10 */
		    "a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com "
		    "j.mail.example.com mail.example.com example.com com" },
		{ "mail.a.b.c.d.e.f.g.example.com",                     /* 5.1.8 */
		    "mail.a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com e.f.g.example.com f.g.example.com "
		    "g.example.com example.com com" },
		{ "", "" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct dmarc_walk w;
		char              got[400] = "";

		t_row = rows[i].domain;
		dmarc_walk_of(strv_z(rows[i].domain), &w);
		for (unsigned j = 0; j < w.n; j++)
			snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.*s",
			    j > 0 ? " " : "", (int)w.name[j].n, w.name[j].p);
		T_EQ_STR(got, rows[i].names);
		T_CHECK(w.n <= DMARC_QUERIES);
	}
}

/* Nodes by a letter each: - no record, u y n, ? nothing known. */
static struct dmarc_tree
tree_of(const char *domain, const char *nodes)
{
	static const char letters[] = "-uyn?";
	struct dmarc_tree t = { .node = { 0 } };

	dmarc_walk_of(strv_z(domain), &t.walk);
	T_CHECKF(strlen(nodes) == t.walk.n, "%s has %u names", domain, t.walk.n);
	for (unsigned i = 0; i < t.walk.n; i++)
		t.node[i] = (uint8_t)(strchr(letters, nodes[i]) - letters);
	return t;
}

static void
finds_organization_and_policy(void)
{
	/* clang-format off */
	static const struct {
		const char *domain, *nodes, *org;
		int         policy;
	} rows[] = {
		/* 4.10.2: the examples of its end */
		{ "a.mail.example.com", "-uu-", "example.com", 2 }, { "a.mail.example.com", "-nu-", "mail.example.com", 1 },
		{ "a.mail.example.com", "---y", "example.com", 3 },
		/* its rules one by one */
		{ "example.com", "--", "example.com", DMARC_NOWHERE },          /* nothing: where it began */
		{ "a.example.com", "---", "a.example.com", DMARC_NOWHERE },
		{ "example.com", "u-", "example.com", 0 }, { "a.example.com", "uu-", "example.com", 0 },
		{ "a.example.com", "-u-", "example.com", 1 }, { "a.example.com", "-uu", "com", 2 },
		{ "a.example.com", "nu-", "a.example.com", 0 },                 /* 1: psd=n, and the walk ends */
		{ "a.b.example.com", "-nuy", "b.example.com", 1 },
		{ "a.example.com", "-uy", "example.com", 1 },                   /* 2: one below psd=y */
		{ "a.b.example.com", "-u-y", "example.com", 3 },                /* its record, not the one of b */
		{ "a.example.com", "u-y", "example.com", 0 },                   /* but its own comes first */
		{ "a.example.com", "-yu", "a.example.com", 1 },                 /* nothing above a psd=y is looked at */
		{ "example.com", "yu", "example.com", 0 },                      /* 2 not where it began; 3 then */
		{ "com", "y", "com", 0 }, { "com", "u", "com", 0 }, { "com", "-", "com", DMARC_NOWHERE },
		/* one below a psd=y, though the walk jumped over that name */
		{ "x.y.a.b.c.d.e.f.g", "-y------", "y.a.b.c.d.e.f.g", 1 },
		{ "x.y.a.b.c.d.e.f.g", "--y-----", "a.b.c.d.e.f.g", 2 },
		/* B.4.1, B.4.2, B.4.3 */
		{ "signing.example.com", "uu-", "example.com", 0 },
		{ "a.b.c.d.e.f.g.h.i.j.k.example.com", "------u-", "example.com", 6 },
		{ "giant.bank.example", "uy-", "giant.bank.example", 0 },
		{ "mail.giant.bank.example", "-uy-", "giant.bank.example", 1 },
		{ "mail.mega.bank.example", "--y-", "mega.bank.example", 2 },
		/* faults: its own record is enough; behind the end they do not matter */
		{ "a.example.com", "?u-", NULL, DMARC_NOT_KNOWN }, { "a.example.com", "-?-", NULL, DMARC_NOT_KNOWN },
		{ "a.example.com", "-u?", NULL, DMARC_NOT_KNOWN }, { "a.example.com", "u??", NULL, 0 },
		{ "a.example.com", "-n?", "example.com", 1 }, { "a.example.com", "-y?", "a.example.com", 1 },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct dmarc_tree t = tree_of(rows[i].domain, rows[i].nodes);
		char              row[100];

		snprintf(row, sizeof(row), "%s %s", rows[i].domain, rows[i].nodes);
		t_row = row;
		T_EQ_NUM(dmarc_tree_policy(&t), rows[i].policy);
		if (rows[i].org != NULL)
			T_EQ_TEXT(dmarc_tree_org(&t), rows[i].org);
	}
}

static void
compares_organizations(void)
{
	/* clang-format off */
	static const struct {
		const char *a, *a_nodes, *b, *b_nodes;
		enum dmarc_is want;
	} rows[] = {
		{ "example.com", "u-", "mail.example.com", "-u-", DMARC_IS },
		{ "example.com", "--", "mail.example.com", "---", DMARC_IS_NOT },
		{ "a.example.com", "-u-", "b.example.com", "-u-", DMARC_IS },
		{ "a.example.com", "nu-", "b.example.com", "-u-", DMARC_IS_NOT },
		{ "example.com", "u-", "example.net", "u-", DMARC_IS_NOT },
		{ "example.com", "uu", "other.com", "-u", DMARC_IS },           /* what a public suffix without psd=y does */
		{ "example.com", "uy", "other.com", "-y", DMARC_IS_NOT },
		/* whatever stands at com, it is the same for both */
		{ "example.com", "u?", "mail.example.com", "-u?", DMARC_IS },
		{ "example.com", "u?", "other.com", "-?", DMARC_MAY_BE },
		{ "example.com", "u-", "mail.example.com", "?u-", DMARC_MAY_BE }, /* psd=n there would part them */
		{ "example.com", "n-", "mail.example.com", "-n?", DMARC_IS },
		{ "example.com", "u?", "other.net", "u?", DMARC_IS_NOT },
		{ "example.com", "??", "example.com", "??", DMARC_IS },
		{ "a.b.c.d.e", "?????", "x.b.c.d.e", "?????", DMARC_MAY_BE },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct dmarc_tree a = tree_of(rows[i].a, rows[i].a_nodes);
		struct dmarc_tree b = tree_of(rows[i].b, rows[i].b_nodes);
		char              row[100];

		snprintf(row, sizeof(row), "%s %s, %s %s", rows[i].a, rows[i].a_nodes, rows[i].b,
		    rows[i].b_nodes);
		t_row = row;
		T_EQ_NUM(dmarc_tree_same(&a, &b), rows[i].want);
		T_EQ_NUM(dmarc_tree_same(&b, &a), rows[i].want);
		/* What is not near is not the same. */
		if (rows[i].want != DMARC_IS_NOT)
			T_CHECK(dmarc_tree_near(&a, strv_z(rows[i].b)));
	}
}

static void
knows_who_cannot_be_near(void)
{
	struct dmarc_tree t = tree_of("a.example.com", "-u-"), g = tree_of("a.example.com", "-?-");

	T_CHECK(
	    dmarc_tree_near(&t, SV("example.com")) && dmarc_tree_near(&t, SV("x.y.example.com")));
	T_CHECK(!dmarc_tree_near(&t, SV("other.com")) && !dmarc_tree_near(&t, SV("xexample.com")));
	T_CHECK(!dmarc_tree_near(&t, SV("com")) && !dmarc_tree_near(&t, SV("")));
	T_CHECK(dmarc_tree_near(&g, SV("other.com")) && dmarc_tree_near(&g, SV("com")));
	T_CHECK(!dmarc_tree_near(&g, SV("other.net")));
}

/* ---- a message ---- */

static struct stand {
	struct arena      *a, *conf;
	struct loop       *loop;
	struct fiber_pool *pool;
	struct dns_table  *dns;
	struct facts       facts;
	struct message     msg;
	struct mail        mail;
	void              *seat;
	const char        *spf,
	    *dkim; /* "pass example.com"; "pass a.example; temperror b.example"; "?" unknown */
	unsigned questions, started, spf_asked, dkim_asked;
	char     names[2000]; /* what was asked of the DNS */
} s;

static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return 1000;
}

static void
fake_log(struct world *w, struct strv line)
{
	(void)w, (void)line;
}

static void
fake_dns(struct world *w, struct dns_query *q)
{
	struct arena *a = arena_new(1024, 0);
	bool          timeout = false;
	struct strv   packet = dns_table_answer(s.dns, a, q->name, q->type, &timeout);
	size_t        n = strlen(s.names);

	(void)w;
	s.questions++;
	snprintf(s.names + n, sizeof(s.names) - n, "%s ", q->name);
	q->done(q, timeout ? DNS_TEMP : DNS_OK, packet);
	arena_free(a);
}

static void
fake_dns_cancel(struct world *w, struct dns_query *q)
{
	(void)w, (void)q;
	T_CHECK(!"nothing is in flight");
}

static struct world fake = { .now = fake_now,
	.wall = fake_now,
	.log = fake_log,
	.dns = fake_dns,
	.dns_cancel = fake_dns_cancel };

static void
state_dns(const char *text)
{
	struct strv v = strv_z(text);

	while (v.p != NULL && v.n > 0) {
		struct strv one = strv_trim(strv_cut(&v, '|')), name = strv_word(&one),
			    type = strv_word(&one);
		const char *why = "";

		if (name.n > 0 && !dns_table_add(s.dns, name, type, strv_trim(one), &why))
			T_CHECKF(false, "%s: %s", text, why);
	}
}

static bool
is_fact(const struct fact *f, const char *name)
{
	return strcmp(f->def->name, name) == 0;
}

/* "pass example.com": the word. */
static void
state_spf(struct fact *f)
{
	struct strv v = strv_z(s.spf), word = strv_word(&v);

	for (f->v.word = 0; f->def->words[f->v.word] != NULL; f->v.word++)
		if (strv_eq(word, strv_z(f->def->words[f->v.word])))
			return;
	T_CHECKF(false, "no word: %s", s.spf);
}

static void
state_dkim(struct fact *f, bool domains)
{
	struct strv *texts = arena_array(s.a, 30, sizeof(*texts)), v = strv_z(s.dkim);

	f->v.texts.v = texts;
	f->v.texts.n = 0;
	while (v.p != NULL && v.n > 0) {
		struct strv one = strv_trim(strv_cut(&v, ';')), rest = one, word = strv_word(&rest);

		if (!domains)
			texts[f->v.texts.n++] = one;
		else if (strv_eq(word, SV("pass")))
			texts[f->v.texts.n++] = strv_trim(rest);
	}
}

/* In place of the judge. */
static enum wait_rc
answer_fact(void *ctx, struct fact *f)
{
	const struct filter *owner = registry_filters[registry_owner(f->number)];
	bool                 good = true;

	(void)ctx;
	f->state = FACT_RUNNING;
	s.spf_asked += is_fact(f, "spf");
	s.dkim_asked += is_fact(f, "dkim.domains");
	if (is_fact(f, "spf")) {
		good = s.spf[0] != '?';
		if (good)
			state_spf(f);
	} else if (is_fact(f, "spf.domain")) {
		f->v.text = strv_z(strchr(s.spf, ' ') == NULL ? NULL : strchr(s.spf, ' ') + 1);
	} else if (strncmp(f->def->name, "dkim", 4) == 0) {
		good = s.dkim[0] != '?';
		if (good)
			state_dkim(f, is_fact(f, "dkim.domains"));
	} else {
		good = owner->ask(owner == &dmarc_filter ? s.seat : NULL, f, &s.mail) == FILTER_OK;
	}
	f->state = good ? FACT_KNOWN : FACT_UNKNOWN;
	return WAIT_OK;
}

static void
count_start(const struct findings *found, unsigned number, struct strv arg)
{
	(void)found;
	T_EQ_NUM(number, registry_number("txt"));
	T_CHECK(strv_starts(arg, SV("_dmarc.")));
	s.started++;
}

/* header: the fields, each with its CRLF. */
static void
setup(const char *dns, const char *header, const char *spf, const char *dkim, unsigned methods)
{
	struct auth_conf  auth = AUTH_CONF_DEFAULT;
	unsigned          n;
	bool             *asked;
	struct filter_use use = { .auth = &auth };
	struct findings   found = { .start = count_start };
	struct strv       body;

	(void)registry_facts(&n);
	memset(&s, 0, sizeof(s));
	s.a = arena_new(4096, 0);
	s.conf = arena_new(4096, 0);
	s.loop = loop_new(&fake);
	s.pool = fiber_pool_new(s.loop, 65536, 10, 4);
	s.dns = dns_table_new(s.conf);
	state_dns(dns);
	s.spf = spf;
	s.dkim = dkim;
	auth.methods = methods;
	asked = arena_array(s.conf, n, sizeof(*asked));
	asked[registry_number("dmarc")] = true;
	use.asked = asked;
	s.facts = (struct facts){ .a = s.a, .ask = answer_fact };
	message_begin(&s.msg, s.a, NULL, 100000);
	T_EQ_NUM(message_feed(&s.msg, strv_z(header), &body), MESSAGE_OK);
	T_EQ_NUM(message_feed(&s.msg, SV("\r\n"), &body), MESSAGE_OK);
	s.mail = (struct mail){ .msg = &s.msg, .facts = &s.facts };
	s.seat = dmarc_filter.open(s.conf, dmarc_filter.make(s.conf, &use), NULL);
	dmarc_filter.begin(s.seat, s.a);
	T_EQ_NUM(dmarc_filter.at(s.seat, STAGE_HEADERS, &s.mail, NULL, &found), FILTER_OK);
}

static void
teardown(void)
{
	fiber_pool_free(s.pool);
	loop_free(s.loop);
	arena_free(s.a);
	arena_free(s.conf);
}

static struct asked {
	const char  *name;
	struct fact *f;
} asked;

static void
ask_fiber(void *arg)
{
	unsigned               n;
	const struct fact_def *defs = registry_facts(&n);

	(void)arg;
	T_EQ_NUM(
	    fact_get(&s.facts, defs, registry_number(asked.name), 0, (struct strv){ 0 }, &asked.f),
	    WAIT_OK);
}

/* The value; "-" absent, "?" unknown. */
static const char *
ask(const char *name)
{
	asked = (struct asked){ .name = name };
	T_CHECK(fiber_start(s.pool, "ask", ask_fiber, NULL) != NULL);
	while (asked.f == NULL && loop_round(s.loop, false))
		;
	if (!T_CHECK(asked.f != NULL))
		return "!";
	if (asked.f->state != FACT_KNOWN)
		return "?";
	return fact_absent(asked.f) ? "-" : arena_z(s.a, fact_print(s.a, asked.f));
}

/* "dmarc policy domain alignment" */
static const char *
all_of(void)
{
	static char out[300];

	snprintf(out, sizeof(out), "%s", ask("dmarc"));
	snprintf(out + strlen(out), sizeof(out) - strlen(out), " %s", ask("dmarc.policy"));
	snprintf(out + strlen(out), sizeof(out) - strlen(out), " %s", ask("dmarc.domain"));
	snprintf(out + strlen(out), sizeof(out) - strlen(out), " %s", ask("dmarc.alignment"));
	return out;
}

#define D       "_dmarc.example.com TXT v=DMARC1; "
#define FROM(d) "From: A <a@" d ">\r\n"
#define NOTHING "none absent - none"
#define BANK \
	"_dmarc.bank.example TXT v=DMARC1; p=quarantine; np=reject; psd=y | giant.bank.example A 192.0.2.1 | " \
	"_dmarc.giant.bank.example TXT v=DMARC1; p=reject"

struct row {
	const char *dns, *header, *spf, *dkim, *want;
};

static void
play(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char row[300];

		snprintf(row, sizeof(row), "%s %s %s %s", rows[i].dns, rows[i].header, rows[i].spf,
		    rows[i].dkim);
		t_row = row;
		setup(rows[i].dns, rows[i].header, rows[i].spf, rows[i].dkim, 0);
		T_EQ_STR(all_of(), rows[i].want);
		teardown();
	}
}

static void
follows_the_examples(void)
{
	/* clang-format off */
	static const struct row rows[] = {
		/* B.1.1 */
		{ D "p=reject", FROM("example.com"), "pass example.com", "", "pass reject example.com spf" },
		{ D "p=reject", FROM("example.com"), "pass child.example.com", "", "pass reject example.com spf" },
		{ D "p=reject", FROM("child.example.com"), "pass example.net", "", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "neutral example.com", "", "fail reject example.com none" },
		/* B.1.2 */
		{ D "p=reject", FROM("example.com"), "none", "pass example.com", "pass reject example.com dkim" },
		{ D "p=reject", FROM("child.example.com"), "none", "pass example.com", "pass reject example.com dkim" },
		{ D "p=reject", FROM("child.example.com"), "none", "pass example.net", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "none", "fail example.com", "fail reject example.com none" },
		/* B.3.1 */
		{ D "p=reject; aspf=r; rua=mailto:dmarc-feedback@example.com", FROM("example.com"), "pass mail.example.com",
		    "pass example.com", "pass reject example.com both" },
		/* B.4.1, B.4.2, B.4.3 */
		{ D "p=none | _dmarc.signing.example.com TXT v=DMARC1; p=none", FROM("example.com"), "pass example.com",
		    "pass signing.example.com", "pass none example.com both" },
		{ D "p=none | _dmarc.signing.example.com TXT v=DMARC1; p=none", FROM("a.b.c.d.e.f.g.h.i.j.k.example.com"),
		    "pass example.com", "pass signing.example.com", "pass none example.com both" },
		{ BANK, FROM("giant.bank.example"), "pass mail.giant.bank.example", "pass mail.mega.bank.example",
		    "pass reject giant.bank.example spf" },
		/* 4.4, table 1 */
		{ D "p=none", FROM("news.example.com"), "pass foo.example.com", "", "pass none example.com spf" },
		{ D "p=none; aspf=s", FROM("news.example.com"), "pass news.example.com", "", "pass none example.com spf" },
		{ D "p=none", FROM("news.example.com"), "pass foo.example.net", "", "fail none example.com none" },
		/* 11.8: psd=n below keeps the neighbour out */
		{ D "p=reject | _dmarc.mail.example.com TXT v=DMARC1; p=none; psd=n", FROM("evil.example.com"),
		    "pass mail.example.com", "", "fail reject example.com none" },
	};
	/* clang-format on */

	play(rows, T_COUNT(rows));
}

static void
applies_the_right_policy(void)
{
	/* clang-format off */
	static const struct row rows[] = {
		{ "", FROM("example.com"), "pass example.com", "pass example.com", NOTHING },
		{ D "p=none", FROM("example.com"), "fail example.com", "", "fail none example.com none" },
		{ D "p=quarantine", FROM("example.com"), "fail example.com", "", "fail quarantine example.com none" },
		{ D "p=reject; t=y", FROM("example.com"), "fail example.com", "", "fail quarantine example.com none" },
		/* sp and np: a.example.com exists as soon as it has anything */
		{ D "p=reject; sp=none | a.example.com MX 10 x.example", FROM("a.example.com"), "none", "", "fail none example.com none" },
		{ D "p=none; sp=none; np=reject | a.example.com MX 10 x.example", FROM("a.example.com"), "none", "",
		    "fail none example.com none" },
		{ D "p=none; sp=none; np=reject", FROM("a.example.com"), "none", "", "fail reject example.com none" },
		{ D "p=none; np=quarantine; t=y", FROM("a.example.com"), "none", "", "fail none example.com none" },
		{ D "p=none; np=reject | x.a.example.com A 192.0.2.1", FROM("a.example.com"), "none", "", "fail none example.com none" },
		{ D "p=none; np=reject", FROM("example.com"), "none", "", "fail none example.com none" },
		{ D "p=none; np=reject | a.example.com SERVFAIL", FROM("a.example.com"), "none", "", "fail ? example.com none" },
		{ D "p=reject; np=reject | a.example.com SERVFAIL", FROM("a.example.com"), "none", "", "fail reject example.com none" },
		/* at a public suffix */
		{ BANK, FROM("mega.bank.example"), "none", "", "fail reject bank.example none" },
		{ BANK " | mega.bank.example A 192.0.2.1", FROM("mega.bank.example"), "none", "", "fail quarantine bank.example none" },
		{ BANK, FROM("bank.example"), "pass bank.example", "", "pass quarantine bank.example spf" },
		/* strict */
		{ D "p=none; adkim=s; aspf=s", FROM("example.com"), "pass m.example.com", "pass m.example.com", "fail none example.com none" },
		{ D "p=none; adkim=s", FROM("example.com"), "pass m.example.com", "pass m.example.com", "pass none example.com spf" },
		{ D "p=none; aspf=s", FROM("example.com"), "pass m.example.com", "pass m.example.com", "pass none example.com dkim" },
		/* several signatures, any of which will do */
		{ D "p=none", FROM("example.com"), "none", "pass x.net; fail example.com; pass example.com", "pass none example.com dkim" },
		/* records that say nothing, or are none */
		{ D "p=x", FROM("example.com"), "pass example.com", "", NOTHING },
		{ D "p=x; rua=mailto:a@example.com", FROM("example.com"), "fail example.com", "", "fail none example.com none" },
		{ D "p=none | " D "p=reject", FROM("example.com"), "pass example.com", "", NOTHING },
		{ D "p=reject | _dmarc.example.com TXT hello", FROM("example.com"), "none", "", "fail reject example.com none" },
		{ "_dmarc.example.com TXT v=spf1 -all", FROM("example.com"), "none", "", NOTHING },
		{ "example.com TXT v=DMARC1; p=reject", FROM("example.com"), "none", "", NOTHING },
		{ "_dmarc.example.com CNAME r.example.net | r.example.net TXT v=DMARC1; p=reject", FROM("example.com"), "none", "",
		    "fail reject example.com none" },
	};
	/* clang-format on */

	play(rows, T_COUNT(rows));
}

static void
finds_the_author(void)
{
	/* clang-format off */
	static const struct row rows[] = {
		{ D "p=reject", "Subject: x\r\n", "pass example.com", "", NOTHING },
		{ D "p=reject", "From:\r\n", "pass example.com", "", NOTHING },
		{ D "p=reject", "From: MAILER-DAEMON\r\n", "pass example.com", "", NOTHING },
		{ D "p=reject", "From: a@[192.0.2.1]\r\n", "pass example.com", "", NOTHING },
		{ D "p=reject", "From: undisclosed:;\r\n", "pass example.com", "", NOTHING },
		{ D "p=reject", "fRoM : \"x@other.example\" (y)\r\n <a@EXAMPLE.com.>\r\n", "none", "", "fail reject example.com none" },
		{ D "p=reject", "From: us: a@example.com, B <b@example.com>;\r\n", "none", "", "fail reject example.com none" },
		{ D "p=reject", "From: Joe, Q <a@example.com>\r\n", "none", "", "fail reject example.com none" },
#if HAVE_IDN2
		{ "_dmarc.xn--bcher-kva.example TXT v=DMARC1; p=reject", FROM("b\xc3\xbc" "cher.example"), "pass xn--bcher-kva.example", "",
		    "pass reject xn--bcher-kva.example spf" },
		{ "_dmarc.xn--bcher-kva.example TXT v=DMARC1; p=reject", FROM("xn--bcher-kva.example"), "pass b\xc3\xbc" "cher.example", "",
		    "pass reject xn--bcher-kva.example spf" },
#endif
		{ D "p=reject", FROM("example.com"), "pass EXAMPLE.Com.", "", "pass reject example.com spf" },
		/* 4.4, 5.3.1: several fields, several domains */
		{ D "p=reject", FROM("example.com") FROM("example.com"), "pass example.com", "", "permerror absent - none" },
		{ D "p=reject", FROM("example.com") "From:\r\n", "pass example.com", "", "permerror absent - none" },
		{ D "p=reject", "From: a@example.com, b@evil.example\r\n", "pass example.com", "", "permerror absent - none" },
		{ D "p=reject", "From: g: b@evil.example;, <a@example.com>\r\n", "pass example.com", "", "permerror absent - none" },
		/* what is no address to us might be one to whoever shows it */
		{ D "p=reject", "From: a@example.com x, <b@evil.example>\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: <b@evil.example> a@example.com\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: a@example.com x\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: <a@example.com\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: a@example.com\\, b@evil.example\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: a@example.com: b@evil.example;\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: (x <a@example.com>\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: b@evil.example (x, <a@example.com>\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: \xfc@example.com\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: a@example.com\xfc\r\n", "pass evil.example", "", "permerror absent - none" },
		{ D "p=reject", "From: a@exa..mple.com\r\n", "pass evil.example", "", "permerror absent - none" },
#if HAVE_IDN2
		/* no domain to IDNA 2008, and another one to whoever maps full width, or leaves out what has no width */
		{ D "p=reject", FROM("\xef\xbd\x85xample.com"), "none", "", "permerror absent - none" },
		{ D "p=reject", FROM("exam\xe2\x80\xaeple.com"), "none", "", "permerror absent - none" },
#endif
		/* names with an address in them are names */
		{ D "p=reject", "From: a@evil.example <a@example.com>\r\n", "none", "", "fail reject example.com none" },
		{ D "p=reject", "From: \"a@evil.example, x\" <a@example.com> (b@c.example)\r\n", "none", "", "fail reject example.com none" },
	};
	/* clang-format on */

	play(rows, T_COUNT(rows));
}

static void
keeps_faults_apart(void)
{
	/* clang-format off */
	static const struct row rows[] = {
		{ "_dmarc.example.com SERVFAIL", FROM("example.com"), "pass example.com", "", "temperror ? ? ?" },
		{ "_dmarc.example.com TIMEOUT", FROM("example.com"), "fail example.com", "", "temperror ? ? ?" },
		{ "_dmarc.com SERVFAIL", FROM("example.com"), "fail example.com", "", "temperror ? ? ?" },
		{ D "p=reject | _dmarc.a.example.com SERVFAIL", FROM("a.example.com"), "pass a.example.com", "", "temperror ? ? ?" },
		/* those that cannot change the answer */
		{ D "p=reject | _dmarc.com SERVFAIL", FROM("example.com"), "fail example.com", "", "fail reject example.com none" },
		{ D "p=reject | _dmarc.com SERVFAIL", FROM("example.com"), "pass mail.example.com", "", "pass reject example.com spf" },
		{ D "p=reject; psd=n | _dmarc.com SERVFAIL", FROM("a.example.com"), "none", "", "fail reject example.com none" },
		{ D "p=reject | _dmarc.other.com SERVFAIL", FROM("example.com"), "pass other.com", "", "fail reject example.com none" },
		/* and those that can */
		{ D "p=reject | _dmarc.com SERVFAIL", FROM("example.com"), "pass other.com", "", "temperror reject example.com ?" },
		{ D "p=reject | _dmarc.m.example.com SERVFAIL", FROM("example.com"), "pass m.example.com", "", "temperror reject example.com ?" },
		/* SPF and DKIM that are not settled, of domains that align and that do not */
		{ D "p=reject", FROM("example.com"), "temperror example.com", "", "temperror reject example.com ?" },
		{ D "p=reject", FROM("example.com"), "? example.com", "", "temperror reject example.com ?" },
		{ D "p=reject", FROM("example.com"), "temperror example.net", "", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "? example.net", "", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "permerror example.com", "", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "none", "temperror example.com sel", "temperror reject example.com ?" },
		{ D "p=reject", FROM("example.com"), "none", "temperror example.net sel", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "none", "permerror example.com sel", "fail reject example.com none" },
		{ D "p=reject", FROM("example.com"), "none", "?", "temperror reject example.com ?" },
		/* one pass is a pass */
		{ D "p=reject", FROM("example.com"), "temperror example.com", "pass example.com", "pass reject example.com ?" },
		{ D "p=reject", FROM("example.com"), "pass example.com", "?", "pass reject example.com ?" },
		{ D "p=reject", FROM("example.com"), "none", "temperror example.com; pass example.com", "pass reject example.com dkim" },
	};
	/* clang-format on */

	play(rows, T_COUNT(rows));
}

static void
tells_its_result(void)
{
	/* clang-format off */
	static const struct row rows[] = {
		{ D "p=reject", FROM("example.com"), "fail example.com", "",
		    "dmarc=fail (p=reject) header.from=example.com policy.dmarc=reject" },
		{ D "p=reject", FROM("example.com"), "pass example.com", "", "dmarc=pass (p=reject) header.from=example.com" },
		{ D "p=reject; sp=quarantine; np=none; t=y | a.example.com A 192.0.2.1", FROM("a.example.com"), "none", "",
		    "dmarc=fail (p=reject sp=quarantine np=none t=y) header.from=a.example.com policy.dmarc=none" },
		{ "", FROM("example.com"), "pass example.com", "", "dmarc=none header.from=example.com" },
		{ "_dmarc.com SERVFAIL", FROM("example.com"), "none", "", "dmarc=temperror header.from=example.com" },
		{ D "p=none; np=reject | a.example.com SERVFAIL", FROM("a.example.com"), "none", "",
		    "dmarc=fail (p=none np=reject) header.from=a.example.com" },
		{ "", "Subject: x\r\n", "none", "", "dmarc=none (no From)" },
		{ "", FROM("a.example") FROM("b.example"), "none", "", "dmarc=permerror (several From)" },
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].want;
		setup(rows[i].dns, rows[i].header, rows[i].spf, rows[i].dkim, AUTH_DMARC);
		T_EQ_STR(ask("dmarc.result"), rows[i].want);
		teardown();
	}
}

static void
asks_no_more_than_it_needs(void)
{
	setup("", FROM("example.com"), "pass example.com", "pass example.com", 0);
	T_EQ_NUM(s.started, 0); /* not named by `authenticate': nothing before it is asked */
	T_EQ_STR(ask("dmarc"), "none");
	T_EQ_STR(s.names, "_dmarc.example.com _dmarc.com ");
	T_EQ_NUM(s.spf_asked + s.dkim_asked, 0);
	T_EQ_NUM(s.started, 2);
	teardown();

	setup(
	    D "p=reject", FROM("example.com"), "pass example.com", "pass example.com", AUTH_DMARC);
	T_EQ_NUM(s.started, 2); /* at the header's end */
	T_EQ_NUM(s.questions, 0);
	T_EQ_STR(ask("dmarc.policy"), "reject");
	T_EQ_NUM(s.spf_asked + s.dkim_asked, 0);
	T_EQ_STR(ask("dmarc"), "pass");
	T_EQ_NUM(s.spf_asked, 1);
	T_EQ_NUM(s.dkim_asked, 0); /* SPF settled it */
	T_EQ_STR(s.names, "_dmarc.example.com ");
	teardown();

	/* Who cannot align is not walked for, and his SPF not asked. */
	setup(D "p=reject", FROM("example.com"), "pass a.b.example.net",
	    "pass c.d.other.com; pass x.com", 0);
	T_EQ_STR(ask("dmarc"), "fail");
	T_EQ_STR(s.names, "_dmarc.example.com _dmarc.com ");
	T_EQ_NUM(s.spf_asked, 0);
	teardown();

	setup(D "p=reject", FROM("example.com"), "pass a.b.example.net", "", 0);
	T_EQ_STR(ask("dmarc"), "fail");
	T_EQ_STR(s.names, "_dmarc.example.com ");
	teardown();

	/* Eight of a long name, and none of them twice. */
	setup("", FROM("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p"), "none", "", 0);
	T_EQ_STR(ask("dmarc"), "none");
	T_EQ_STR(ask("dmarc.policy"), "absent");
	T_EQ_NUM(s.questions, 8);
	teardown();
}

static void
is_not_there_where_nobody_asks(void)
{
	struct auth_conf  auth = AUTH_CONF_DEFAULT;
	unsigned          n;
	struct arena     *a = arena_new(4096, 0);
	bool             *none;
	struct filter_use use = { .auth = &auth };

	(void)registry_facts(&n);
	use.asked = none = arena_array(a, n, sizeof(*none));
	T_CHECK(dmarc_filter.make(a, &use) == NULL);
	auth.methods = AUTH_SPF | AUTH_DKIM | AUTH_ARC;
	T_CHECK(dmarc_filter.make(a, &use) == NULL);
	auth.methods = AUTH_DMARC;
	T_CHECK(dmarc_filter.make(a, &use) != NULL);
	auth.methods = 0;
	none[registry_number("dmarc.alignment")] = true;
	T_CHECK(dmarc_filter.make(a, &use) != NULL);
	arena_free(a);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(reads_records);
	T_RUN(takes_one_record_of_a_name);
	T_RUN(applies_sp_np_and_t);
	T_RUN(looks_at_eight_names);
	T_RUN(finds_organization_and_policy);
	T_RUN(compares_organizations);
	T_RUN(knows_who_cannot_be_near);
	T_RUN(follows_the_examples);
	T_RUN(applies_the_right_policy);
	T_RUN(finds_the_author);
	T_RUN(keeps_faults_apart);
	T_RUN(tells_its_result);
	T_RUN(asks_no_more_than_it_needs);
	T_RUN(is_not_there_where_nobody_asks);
	return t_end();
}
