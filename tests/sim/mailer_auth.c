/*
 * mailer_auth -- the server's side of AUTH (RFC 4954), played: password "secret", a user that begins with "user".
 *
 * PLAIN, LOGIN, XOAUTH2 and OAUTHBEARER are checked.  CRAM-MD5 and SCRAM have a fixed challenge, and
 * any well-formed response is good.  Invariant: every exchange ends with 235, 501 or 535.
 */
#include <openssl/evp.h>

#include "tests/sim/mailer_own.h"

#define LINE_MAX_AUTH 12288 /* RFC 4954 4 */

static const char bad_base64[] = "501 5.5.2 Error: cannot decode response\r\n";
static const char failed[] = "535 5.7.8 Error: authentication failed\r\n";

static const char *
ends(struct up_conn *c, bool good)
{
	c->auth.open = false;
	c->auth.done = good;
	mailer_event(c, "[auth %s %s]", good ? "ok" : "failed", c->auth.user);
	return good ? "235 2.7.0 Authentication successful\r\n" : failed;
}

/* The text of a challenge. */
static const char *
challenge(struct up_conn *c, const char *text)
{
	unsigned char code[400] = "";

	EVP_EncodeBlock(code, (const unsigned char *)text, (int)strlen(text));
	snprintf(c->reply, sizeof(c->reply), "334 %s\r\n", (const char *)code);
	return c->reply;
}

/* -1: not base64. "=" stands for an empty initial response. */
static int
decode(struct strv in, char out[9300])
{
	int n;

	if (in.n == 0 || strv_eq(in, SV("=")))
		return 0;
	if (in.n % 4 != 0 || in.n > LINE_MAX_AUTH)
		return -1;
	n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)in.p, (int)in.n);
	if (n < 0)
		return -1;
	return n - (in.p[in.n - 1] == '=') - (in.p[in.n - 2] == '=');
}

static void
name(struct up_conn *c, struct strv user)
{
	snprintf(c->auth.user, sizeof(c->auth.user), "%.*s", (int)user.n, user.p);
}

/* ---- mechanisms: what is said to response number auth.step ---- */

static const char *
plain(struct up_conn *c, struct strv v)
{
	size_t      a = strv_chr(v, '\0');
	struct strv rest = strv_from(v, a < v.n ? a + 1 : a);
	size_t      b = strv_chr(rest, '\0');

	name(c, strv_first(rest, b));
	return ends(c,
	    strv_starts(strv_first(rest, b), SV("user")) &&
		strv_eq(strv_from(rest, b < rest.n ? b + 1 : b), SV("secret")));
}

static const char *
login(struct up_conn *c, struct strv v)
{
	if (c->auth.step == 0) {
		name(c, v);
		return challenge(c, "Password:");
	}
	return ends(c, strv_starts(strv_z(c->auth.user), SV("user")) && strv_eq(v, SV("secret")));
}

static const char *
cram(struct up_conn *c, struct strv v)
{
	size_t n = strv_rchr(v, ' ');
	bool   good = n > 0 && n < v.n && v.n - n - 1 == 32;

	name(c, strv_first(v, n < v.n ? n : 0));
	return ends(c, good);
}

/* RFC 5802 5: n,,n=user,r=nonce; then c=biws,r=...,p=...; then nothing, to the server's signature. */
static const char *
scram(struct up_conn *c, struct strv v)
{
	struct strv at;

	switch (c->auth.step) {
	case 0:
		if (!sim_match(SV("?*,*,n=*,r=*"), v) && !sim_match(SV("n,*,n=*,r=*"), v) &&
		    !sim_match(SV("y,*,n=*,r=*"), v))
			return ends(c, false);
		at = v;
		while (at.n > 3 && memcmp(at.p, ",n=", 3) != 0)
			at = strv_from(at, 1);
		at = strv_from(at, 3);
		name(c, strv_first(at, strv_chr(at, ',')));
		return challenge(c, "r=clientnonceservernonce,s=QSXCR+Q6sek8bf92,i=4096");
	case 1:
		c->auth.good = sim_match(SV("c=*,r=*,p=*"), v);
		return c->auth.good ? challenge(c, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") :
				      ends(c, false);
	default:
		return ends(c, c->auth.good && v.n == 0);
	}
}

static const char *
bearer(struct up_conn *c, struct strv v)
{
	struct strv at = v;

	if (c->auth.step > 0)
		return ends(c, false);
	while (at.n > 2 && memcmp(at.p, "a=", 2) != 0 && memcmp(at.p, "r=", 2) != 0)
		at = strv_from(at, 1);
	at = strv_from(at, 2);
	name(c, strv_first(at, strv_chr(at, strv_chr(at, ',') < strv_chr(at, 1) ? ',' : 1)));
	if (sim_match(SV("*auth=Bearer secret\1*"), v))
		return ends(c, true);
	return challenge(c, "{\"status\":\"invalid_token\"}");
}

static const struct mechanism {
	const char *word, *first; /* first: what is said to AUTH without a response */
	const char *(*heard)(struct up_conn *, struct strv);
	bool server_first;
} mechanisms[] = {
	{ "PLAIN", "", plain, false },
	{ "LOGIN", "Username:", login, false },
	{ "CRAM-MD5", "<1896.697170952@up.test>", cram, true },
	{ "SCRAM-SHA-1", "", scram, false },
	{ "SCRAM-SHA-256", "", scram, false },
	{ "XOAUTH2", "", bearer, false },
	{ "OAUTHBEARER", "", bearer, false },
};

static const struct mechanism *
find(struct strv word)
{
	for (unsigned i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (strv_ieq(word, strv_z(mechanisms[i].word)))
			return &mechanisms[i];
	return NULL;
}

static const char *
response(struct up_conn *c, struct strv line)
{
	static char             text[9300];
	int                     n = decode(line, text);
	const char             *reply;
	const struct mechanism *m = find(strv_z(c->auth.mechanism));

	if (n < 0 || m == NULL) {
		c->auth.open = false;
		return n < 0 ? bad_base64 : failed;
	}
	reply = m->heard(c, strv(text, (size_t)n));
	c->auth.step++;
	return reply;
}

/* ---- the command and its lines ---- */

/* Is the word in the EHLO line AUTH=A,B,C? */
static bool
is_offered(const struct up_conn *c, struct strv word)
{
	struct strv all = strv_z(c->offers == NULL ? "" : c->offers), offer;

	while ((offer = strv_word(&all)).n > 0) {
		struct strv list = strv_from(offer, 5);

		if (!strv_istarts(offer, SV("AUTH=")))
			continue;
		while (list.p != NULL && list.n > 0)
			if (strv_ieq(strv_cut(&list, ','), word))
				return true;
	}
	return false;
}

static void
check_moment(struct up_conn *c, struct strv word)
{
	if (c->m != NULL)
		mailer_fault(c, "AUTH inside a transaction");
	if (c->auth.done)
		mailer_fault(c, "AUTH, and somebody is authenticated");
	if (c->used)
		mailer_fault(c, "AUTH on a connection that has served a transaction");
	if (!is_offered(c, word))
		mailer_fault(c, "AUTH with a mechanism that was not offered");
	if (wire_unread(&c->wire).n > 0)
		mailer_fault(c, "octets behind AUTH");
}

/* Begins an exchange; NULL: the mechanism is not known here. */
static const struct mechanism *
begin(struct up_conn *c, struct strv line, struct strv *initial)
{
	struct strv             rest = line, word;
	const struct mechanism *m;

	(void)strv_word(&rest);
	word = strv_word(&rest);
	*initial = strv_trim(rest);
	m = find(word);
	check_moment(c, word);
	if (c->m == NULL && !c->auth.done && c->helo) {
		c->auth = (struct up_auth){ .open = true };
		snprintf(c->auth.mechanism, sizeof(c->auth.mechanism), "%.*s", (int)word.n, word.p);
	}
	return m;
}

const char *
mailer_auth(struct up_conn *c, struct strv line)
{
	struct strv             initial;
	const struct mechanism *m = begin(c, line, &initial);

	if (!c->auth.open)
		return "503 5.5.1 Error: bad sequence of commands\r\n";
	if (m == NULL) {
		c->auth.open = false;
		return "504 5.5.4 Error: unrecognized authentication type\r\n";
	}
	if (initial.n == 0)
		return challenge(c, m->first);
	if (m->server_first) {
		mailer_fault(c, "an initial response where the server speaks first");
		return ends(c, false);
	}
	return response(c, initial);
}

const char *
mailer_auth_line(struct up_conn *c, struct strv line)
{
	if (line.n > LINE_MAX_AUTH)
		mailer_fault(c, "a line of AUTH of more than 12288 octets");
	if (strv_eq(line, SV("*"))) {
		c->auth.open = false;
		mailer_event(c, "[auth cancelled]");
		return "501 5.7.0 Authentication aborted\r\n";
	}
	return response(c, line);
}

void
mailer_auth_said(struct up_conn *c, const struct up_moment *m, struct strv say)
{
	struct strv initial = { "", 1 };
	bool        good = strv_starts(say, SV("235"));

	if (m->stage == UP_COMMAND)
		begin(c, m->line, &initial);
	c->auth.step += initial.n > 0;
	c->auth.open = strv_starts(say, SV("334"));
	c->auth.done |= good;
	if (!c->auth.open)
		mailer_event(c, "[auth %s by rule]", good ? "ok" : "failed");
}
