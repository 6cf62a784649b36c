/* Our DKIM signatures: whose, over what, and that they verify; and when there is none. */
#include "config.h"

#include <time.h>

#include "proxy/mail/view.h"
#include "tests/unit/dkim_keys.h"
#include "tests/unit/dkim_stand.h"

static struct arena *a; /* of a test */

/* ---- rules, made by hand ---- */

static struct sign_key
key(const char *domain, bool exact, bool below, enum crypt_kind kind)
{
	return (struct sign_key){ .domain = strv_z(domain),
		.exact = exact,
		.below = below,
		.file = SV("test.pem"),
		.key = keys_read(a, kind) };
}

static struct sign_rule
rule(unsigned number, const char *selector, struct sign_key *keys, unsigned n)
{
	return (struct sign_rule){ .number = number,
		.selector = strv_z(selector),
		.key = keys,
		.n_key = n,
		.where = SV("postern.conf:1") };
}

static void
open_all(void)
{
	static struct sign_key  rsa[3], ed[1];
	static struct sign_rule rules[2];

	a = arena_new(65536, 0);
	stand_open();
	stand.wall = (uint64_t)time(NULL);
	/* Sorted by domain. */
	rsa[0] = key("exact.example", true, false, CRYPT_RSA);
	rsa[1] = key("example.org", true, true, CRYPT_RSA);
	rsa[2] = key("under.example", false, true, CRYPT_RSA);
	ed[0] = key("example.org", true, false, CRYPT_ED25519);
	rules[0] = rule(0, "rsa", rsa, 3);
	rules[1] = rule(1, "ed", ed, 1);
	stand.auth.sign = rules;
	stand.auth.n_sign = 2;
	stand_begin();
	T_CHECK(stand_record(
	    "rsa._domainkey.example.org", "TXT", keys_record(a, CRYPT_RSA, "v=DKIM1; ")));
	T_CHECK(stand_record("ed._domainkey.example.org", "TXT",
	    keys_record(a, CRYPT_ED25519, "v=DKIM1; k=ed25519; ")));
	T_CHECK(stand_record(
	    "rsa._domainkey.under.example", "TXT", keys_record(a, CRYPT_RSA, "v=DKIM1; ")));
	T_CHECK(stand_record(
	    "rsa._domainkey.exact.example", "TXT", keys_record(a, CRYPT_RSA, "v=DKIM1; ")));
}

static void
close_all(void)
{
	stand_close();
	arena_free(a);
}

/* ---- one message ---- */

struct signing {
	struct strv text, add; /* add: a field "Name: value" that an edit before puts on top */
	bool        holds[2];
	struct strv out; /* the message as it goes on, in a */
	unsigned    signatures;
	struct beside {
		bool          wanted, cancels, over;
		unsigned      turns; /* while it is signed */
		struct fiber *signer;
	} beside;
};

/* Another session of the worker. */
static void
beside_fiber(void *arg)
{
	struct beside *b = arg;

	while (!b->over) {
		b->turns++;
		if (b->cancels)
			fiber_cancel(b->signer);
		if (fiber_yield() == WAIT_CANCELLED)
			break;
	}
}

static void
begin_beside(struct beside *b)
{
	b->signer = fiber_self();
	if (b->wanted)
		T_CHECK(fiber_start(stand.pool, "beside", beside_fiber, b) != NULL);
}

static void
render(struct signing *s, struct transaction *tx)
{
	struct view        v = { &tx->msg, &tx->edits, tx->edits.n };
	unsigned           n;
	struct view_field *f = view_fields(stand.tx, &v, &n);
	struct spool      *body = view_body(&v);
	struct strv        piece;

	s->out = SV("");
	for (unsigned i = 0; i < n; i++) {
		s->out = arena_concat(a, s->out, f[i].raw);
		s->signatures += strv_ieq(f[i].name, SV("DKIM-Signature"));
	}
	s->out = arena_concat(a, s->out, SV("\r\n"));
	for (uint64_t at = 0; (piece = spool_read(body, at, NULL, 0)).n > 0; at += piece.n)
		s->out = arena_concat(a, s->out, piece);
}

static void
sign_fiber(void *arg)
{
	struct signing     *s = arg;
	struct hearing     *h = judge_open(stand.judge, stand.session, &stand.client);
	struct transaction *tx = stand_message(h, s->text, 1000);
	void               *shared, *seat;
	struct filter_use   use = { .auth = &stand.auth };
	struct view         v = { &tx->msg, &tx->edits, 0 };
	struct findings     found = { .facts = &tx->facts, .edits = &tx->edits, .holds = s->holds };
	const char         *why = "";

	shared = sign_filter.make(stand.conf, &use);
	seat = sign_filter.open(stand.session, shared, &stand.client);
	sign_filter.begin(seat, stand.tx);
	if (s->add.n > 0) {
		struct strv value = s->add, name = strv_cut(&value, ':');
		struct edit e = {
			.op = EDIT_INSERT_HEADER, .name = name, .value = strv_trim(value)
		};

		T_CHECK(edits_add(stand.tx, &tx->edits, &e, &why));
		v.upto = 1;
	}
	begin_beside(&s->beside);
	T_EQ_NUM(sign_filter.at(seat, STAGE_SEAL, &tx->mail, &v, &found),
	    s->beside.cancels ? FILTER_CANCELLED : FILTER_OK);
	s->beside.over = true;
	(void)fiber_join();
	sign_filter.end(seat);
	render(s, tx);
	stand_message_end(h);
	judge_close(h);
}

static struct signing
sign(struct strv text, const char *add, bool rsa, bool ed)
{
	struct signing s = { .text = text, .add = strv_z(add), .holds = { rsa, ed } };

	stand_call(sign_fiber, &s);
	return s;
}

struct checking {
	struct strv text, signatures;
};

static void
check_fiber(void *arg)
{
	struct checking    *c = arg;
	struct hearing     *h = judge_open(stand.judge, stand.session, &stand.client);
	struct transaction *tx = stand_message(h, c->text, 777);

	c->signatures = arena_dup(a, stand_fact(tx, "dkim.signatures"));
	stand_message_end(h);
	judge_close(h);
}

/* What libopendkim says of it; without the library nothing is to be compared. */
static void
verifies(struct strv text, const char *want)
{
	struct checking c = { .text = text };

	if (!HAVE_OPENDKIM)
		return;
	stand_call(check_fiber, &c);
	T_EQ_TEXT(c.signatures, want);
}

#define HEAD \
	"From: Joe <joe@example.org>\r\nTo: a@b.example\r\nSubject: a\r\n  folded  one\r\nDate: x\r\n"
#define BOTH "pass example.org rsa rsa-sha256, pass example.org ed ed25519-sha256"

static struct strv
message(const char *head, struct strv body)
{
	return arena_concat(a, arena_printf(a, "%s\r\n", head), body);
}

/* ---- it verifies ---- */

static const char *const bodies[] = { "", "Hello\r\n", "Hello", "\r\n", "Hello\r\n\r\n\r\n",
	"\r\n\r\n", "a\r\n \r\n\t \r\n", "  a  b\t \r\n\t x \r\n",
	"h\xc3\xa9llo \xff\r\n\xa0 x\r\n", ".\r\n..\r\n", "a\x01\x0b\x0c z\r\n", " \t " };

static void
signs_awkward_bodies(void)
{
	struct strv    line;
	struct signing s;
	char          *p;

	open_all();
	for (size_t i = 0; i < 4 * T_COUNT(bodies); i++) {
		const char *body = bodies[i / 4];
		const char *forms[] = { "c=simple/simple;", "c=simple/relaxed;",
			"c=relaxed/simple;", "c=relaxed/relaxed;" };

		t_row = body;
		stand.auth.sign_header = i & 2 ? CANON_RELAXED : CANON_SIMPLE;
		stand.auth.sign_body = i & 1 ? CANON_RELAXED : CANON_SIMPLE;
		s = sign(message(HEAD, strv_z(body)), NULL, true, true);
		T_EQ_NUM(s.signatures, 2);
		T_CHECK(memmem(s.out.p, s.out.n, forms[i % 4], strlen(forms[i % 4])) != NULL);
		verifies(s.out, BOTH);
	}
	t_row = "a line of 100000, in many pieces";
	p = arena_bytes(a, 100002);
	memset(p, 'x', 100000);
	memcpy(p + 100000, "\r\n", 2);
	line = strv(p, 100002);
	s = sign(message(HEAD, line), NULL, true, true);
	verifies(s.out, BOTH);
	t_row = NULL;
	close_all();
}

static void
signs_awkward_headers(void)
{
	static const char *const heads[] = {
		"From: joe@example.org\r\n",
		"from : joe@example.org\r\nSUBJECT:\r\n",
		"From: joe@example.org\r\nTo: a\r\nTo: b\r\nTo: c\r\nReceived: x\r\nReceived: y\r\n",
		"From: J\xc3\xb6 <joe@example.org>\r\nSubject: \xff\r\n",
		"From:\r\n \"a,b\" <joe@example.org>,\r\n joe2@EXAMPLE.org\r\n",
		"From: joe@example.org\r\nDKIM-Signature: v=1; nonsense\r\nDKIM-Signature: x\r\n",
		"From: joe@example.org\r\nList-Id: <x>\r\nList-Unsubscribe: <y>\r\nList-Unsubscribe-Post: z\r\nSender: s\r\n",
	};

	open_all();
	stand.auth.signatures = 2;
	for (size_t i = 0; i < T_COUNT(heads); i++) {
		t_row = heads[i];
		verifies(sign(message(heads[i], SV("x\r\n")), NULL, true, true).out, BOTH);
	}
	t_row = NULL;
	close_all();
}

/* Each of these fields added to, changed in, or taken from a signed message. */
static void
covers_what_readers_see(void)
{
	static const char *const names[] = { "From", "To", "Cc", "Subject", "Date", "Message-ID",
		"Reply-To", "References", "In-Reply-To", "MIME-Version", "Content-Type",
		"Content-Transfer-Encoding" };
	struct strv              signed_one;

	open_all();
	signed_one = sign(message(HEAD "Message-ID: <1@b>\r\n", SV("x\r\n")), NULL, true, true).out;
	verifies(signed_one, BOTH);
	for (size_t i = 0; i < T_COUNT(names); i++) {
		t_row = names[i];
		verifies(arena_concat(a, arena_printf(a, "%s: y\r\n", names[i]), signed_one),
		    "fail example.org rsa rsa-sha256 the signature does not match, "
		    "fail example.org ed ed25519-sha256 the signature does not match");
	}
	t_row = NULL;
	/* What others may add on the way. */
	verifies(arena_concat(a,
		     SV("Received: z\r\nList-Id: y\r\nX-Other: y\r\nAuthentication-Results: z\r\n"),
		     signed_one),
	    BOTH);
	close_all();
}

/* RFC 6409 8.2, 8.3: a mail server behind us adds what is missing, Sendmail behind all its milters. */
static void
lets_servers_complete(void)
{
	struct strv out;

	open_all();
	out =
	    sign(message("From: joe@example.org\r\nTo: b\r\n", SV("x\r\n")), NULL, true, true).out;
	verifies(arena_concat(a, SV("Date: now\r\nMessage-Id: <1@b>\r\n"), out), BOTH);
	close_all();
}

/* What the policy added is there already; our own results are not signed. */
static void
signs_what_is_sent(void)
{
	struct signing s;

	open_all();
	s = sign(message("From: joe@example.org\r\n", SV("x\r\n")), "Reply-To: new@example.org",
	    true, false);
	verifies(s.out, "pass example.org rsa rsa-sha256");
	T_CHECK(memmem(s.out.p, s.out.n, "Reply-To:Reply-To", 17) != NULL);
	s = sign(message("From: joe@example.org\r\n", SV("x\r\n")),
	    "Authentication-Results: mx; none", true, false);
	T_CHECK(memmem(s.out.p, s.out.n, "h=From:From:Reply-To:Subject:", 29) != NULL);
	T_CHECK(memmem(s.out.p, s.out.n, "Authentication-Results:From", 27) == NULL);
	close_all();
}

static void
writes_good_lines(void)
{
	struct strv out;

	open_all();
	out = sign(message(HEAD, SV("x\r\n")), NULL, true, true).out;
	while (out.p != NULL && out.n > 0) {
		struct strv line = strv_cut(&out, '\n');

		T_CHECKF(line.n <= 79, "a line of %zu octets: %.*s", line.n, (int)line.n, line.p);
	}
	close_all();
}

/* A large body is hashed in pieces: between them the others have their turn, or the session's end is heard of. */
static void
lets_others_run(void)
{
	enum { BODY = 1 << 20, PIECE = 16384 };
	char          *body;
	struct signing s = { .holds = { true, true }, .beside.wanted = true };

	open_all();
	body = arena_bytes(a, BODY);
	for (size_t i = 0; i < BODY; i++)
		body[i] = "0123456789abcde\n"[i % 16];
	s.text = message("From: joe@example.org\r\n", strv(body, BODY));
	stand_call(sign_fiber, &s);
	T_EQ_NUM(s.signatures, 2);
	T_CHECKF(s.beside.turns >= BODY / PIECE, "%u turns", s.beside.turns);
	s.signatures = 0;
	s.beside = (struct beside){ .wanted = true, .cancels = true };
	stand_call(sign_fiber, &s);
	T_EQ_NUM(s.signatures, 0);
	T_EQ_NUM(s.beside.turns, 1);
	close_all();
}

/* ---- who signs ---- */

static const struct {
	const char *head, *want; /* the domain that signs, "": nobody */
	bool        rsa, ed;
	unsigned    n;
} rows[] = {
	{ "From: joe@example.org\r\n", "d=example.org;", true, true, 2 },
	{ "From: joe@example.org\r\n", "s=rsa;", true, false, 1 },
	{ "From: joe@example.org\r\n", "s=ed;", false, true, 1 },
	{ "From: joe@example.org\r\n", "", false, false, 0 },
	{ "From: joe@EXAMPLE.ORG\r\n", "d=example.org;", true, true, 2 },
	/* only the RSA rule is for what is below */
	{ "From: joe@a.b.example.org\r\n", "d=example.org;", true, true, 1 },
	{ "From: joe@exact.example\r\n", "d=exact.example;", true, true, 1 },
	{ "From: joe@sub.exact.example\r\n", "", true, true, 0 },
	{ "From: joe@under.example\r\n", "", true, true, 0 },
	{ "From: joe@x.under.example\r\n", "d=under.example;", true, true, 1 },
	{ "From: joe@notexample.org\r\n", "", true, true, 0 },
	{ "From: joe@org\r\n", "", true, true, 0 },
	/* not exactly one From, or it is not one domain's */
	{ "To: joe@example.org\r\n", "", true, true, 0 },
	{ "From: joe@example.org\r\nFrom: joe@example.org\r\n", "", true, true, 0 },
	{ "From: joe@example.org, eve@evil.example\r\n", "", true, true, 0 },
	{ "From: eve@evil.example, joe@example.org\r\n", "", true, true, 0 },
	{ "From: joe@example.org, jane@example.org\r\n", "d=example.org;", true, true, 2 },
	{ "From:\r\n", "", true, true, 0 },
	{ "From: joe\r\n", "", true, true, 0 },
	{ "From: joe@[192.0.2.1]\r\n", "", true, true, 0 },
	{ "Sender: joe@example.org\r\nFrom: eve@evil.example\r\n", "", true, true, 0 },
};

static void
signs_for_the_domain_of_from(void)
{
	open_all();
	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct signing s = sign(
		    message(rows[i].head, SV("x\r\n")), NULL, rows[i].rsa, rows[i].ed);

		t_row = rows[i].head;
		T_EQ_NUM(s.signatures, rows[i].n);
		T_CHECKF(memmem(s.out.p, s.out.n, rows[i].want, strlen(rows[i].want)) != NULL,
		    "%.*s", (int)s.out.n, s.out.p);
	}
	t_row = NULL;
	close_all();
}

/* What cannot be signed goes on, and the log says so. */
static void
goes_on_unsigned(void)
{
	struct strv    head = SV("From: joe@example.org\r\n");
	struct signing s;

	open_all();
	for (unsigned i = 0; i < 120; i++)
		head = arena_concat(a, head, SV("To: x\r\n"));
	s = sign(message(arena_z(a, head), SV("x\r\n")), NULL, true, false);
	T_EQ_NUM(s.signatures, 0);
	T_CHECKF(strstr(stand.log,
		     "unsigned domain=example.org selector=rsa at=postern.conf:1 "
		     "reason=\"too many fields to sign\"") != NULL,
	    "%s", stand.log);
	close_all();
}

static void
costs_nothing_without_a_rule(void)
{
	struct arena     *conf = arena_new(4096, 0);
	struct auth_conf  auth = AUTH_CONF_DEFAULT;
	struct filter_use use = { .auth = &auth };

	T_CHECK(sign_filter.make(conf, &use) == NULL);
	arena_free(conf);
}

int
main(void)
{
	T_RUN(signs_awkward_bodies);
	T_RUN(signs_awkward_headers);
	T_RUN(covers_what_readers_see);
	T_RUN(lets_servers_complete);
	T_RUN(signs_what_is_sent);
	T_RUN(writes_good_lines);
	T_RUN(lets_others_run);
	T_RUN(signs_for_the_domain_of_from);
	T_RUN(goes_on_unsigned);
	T_RUN(costs_nothing_without_a_rule);
	return t_end();
}
