/*
 * auth -- what SPF and DKIM cost a message: ours beside bare libopendkim, in one program.
 *
 *     make bench-auth        or  SRCDIR=. obj/tests/bench/auth [MESSAGES]
 *
 * The same message of 10 KB, signed with RSA-2048, relaxed/relaxed: dkim_verify() to dkim_free() with the key in
 * memory; and the whole way through the judge with `authenticate spf, dkim', from MAIL to our
 * Authentication-Results, its DNS answers there at once, as from a resolver's cache.  CPU time of this process, the
 * best of some rounds, which alternate.
 */
#include "config.h"

#include <time.h>

#include "tests/unit/dkim_keys.h"
#include "tests/unit/dkim_stand.h"

#if HAVE_OPENDKIM

#include <opendkim/dkim.h>

#define ROUNDS 15
#define OCTETS 10240

static struct arena *a;
static unsigned      messages = 500;
static struct strv   header, body, text, record;
static double        bare, ours;
static bool          spf = true;

/* ---- the message ---- */

static struct strv
lines_of_text(size_t n)
{
	static const char words[] = "the quick brown fox jumps over the lazy dog, and back again; ";
	char             *p = arena_bytes(a, n);

	for (size_t i = 0; i < n; i++)
		p[i] = words[i % (sizeof(words) - 1)];
	for (size_t i = 70; i + 1 < n; i += 72)
		memcpy(p + i, "\r\n", 2);
	memcpy(p + n - 2, "\r\n", 2);
	return strv(p, n);
}

static void
make_message(void)
{
	const char             *why = "";
	const struct crypt_key *k = crypt_key_read(a, keys_file(a, "rsa2048.pem"), &why);
	static struct sign_key  key;
	static struct sign_rule rule;
	struct strv             p = tags_to_base64(a, crypt_key_public(a, k));

	header = SV(
	    "Received: from out.example.org (out.example.org [192.0.2.9])\r\n"
	    "\tby mx.ours.example with ESMTPS id 4QxYz12345; Mon, 6 Nov 2023 10:00:00 +0000\r\n"
	    "Received: from desk.example.org (unknown [10.0.0.5])\r\n"
	    "\tby out.example.org with ESMTPSA id 4QxYz67890; Mon, 6 Nov 2023 09:59:59 +0000\r\n"
	    "From: Jane Doe <jane@example.org>\r\nTo: Joe Public <joe@ours.example>\r\n"
	    "Subject: the minutes of Monday's meeting, and what we are to do about them\r\n"
	    "Date: Mon, 6 Nov 2023 09:59:58 +0000\r\nMessage-ID: <20231106095958.12345@example.org>\r\n"
	    "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: 8bit\r\nX-Mailer: Some Mail 1.0\r\n");
	body = lines_of_text(OCTETS - header.n);
	key = (struct sign_key){ .domain = SV("example.org"), .exact = true, .key = k };
	rule = (struct sign_rule){ .selector = SV("sel"), .key = &key, .n_key = 1 };
	stand.auth.sign = &rule;
	stand.auth.n_sign = 1;
	record = arena_printf(a, "v=DKIM1; k=rsa; p=%.*s", (int)p.n, p.p);
	stand_record("sel._domainkey.example.org", "TXT", arena_z(a, record));
	stand_record("example.org", "TXT", "v=spf1 ip4:192.0.2.0/24 -all");
	stand_record("out.example.org", "TXT", "v=spf1 a -all");
	stand_record("out.example.org", "A", "192.0.2.9");
}

static void
sign_fiber(void *arg)
{
	static const bool holds[1] = { true };
	struct hearing   *h = judge_open(stand.judge, stand.session, &stand.client);
	struct strv       unsigned_one = arena_concat(a, arena_concat(a, header, SV("\r\n")), body);
	struct transaction *tx = stand_message(h, unsigned_one, unsigned_one.n);
	struct filter_use   use = { .auth = &stand.auth };
	void               *seat = sign_filter.open(
			  stand.session, sign_filter.make(stand.conf, &use), &stand.client);
	struct view     v = { &tx->msg, &tx->edits, 0 };
	struct findings found = { .facts = &tx->facts, .edits = &tx->edits, .holds = holds };

	(void)arg;
	sign_filter.begin(seat, stand.tx);
	sign_filter.at(seat, STAGE_SEAL, &tx->mail, &v, &found);
	sign_filter.end(seat);
	header = arena_concat(a,
	    arena_printf(
		a, "DKIM-Signature: %.*s\r\n", (int)tx->edits.v[0].value.n, tx->edits.v[0].value.p),
	    header);
	text = arena_concat(a, arena_concat(a, header, SV("\r\n")), body);
	stand_message_end(h);
	judge_close(h);
	arena_reset(stand.session);
}

/* ---- libopendkim alone ---- */

static DKIM_CBSTAT
give_key(DKIM *dkim, DKIM_SIGINFO *info, unsigned char *buf, size_t room)
{
	(void)dkim, (void)info;
	snprintf((char *)buf, room, "%s", record.p);
	return DKIM_CBSTAT_CONTINUE;
}

static void
verify_bare(DKIM_LIB *lib)
{
	DKIM_STAT   stat;
	DKIM       *d = dkim_verify(lib, (const unsigned char *)"bench", NULL, &stat);
	struct strv rest = header;

	while (rest.n > 0) {
		size_t end = 0;

		do
			end += strv_chr(strv_from(rest, end), '\n') + 1;
		while (end < rest.n && (rest.p[end] == ' ' || rest.p[end] == '\t'));
		dkim_header(d, (unsigned char *)(uintptr_t)rest.p, end - 2);
		rest = strv_from(rest, end);
	}
	dkim_eoh(d);
	dkim_body(d, (unsigned char *)(uintptr_t)body.p, body.n);
	if (dkim_eom(d, NULL) != DKIM_STAT_OK) {
		printf("libopendkim: %s\n", dkim_geterror(d));
		exit(1);
	}
	dkim_free(d);
}

/* ---- ours ---- */

/* A resolver's cache: the packet is there. */
static void
cached_dns(struct world *w, struct dns_query *q)
{
	static struct {
		const char *name;
		uint16_t    type;
		struct strv packet;
	} cache[16];
	bool timeout = false;

	(void)w;
	stand.n_asked++;
	for (unsigned i = 0; i < T_COUNT(cache); i++) {
		if (cache[i].name == NULL) {
			cache[i].name = arena_z(a, strv_z(q->name));
			cache[i].type = q->type;
			cache[i].packet = dns_table_answer(
			    stand.dns, a, q->name, q->type, &timeout);
		}
		if (cache[i].type == q->type && strcmp(cache[i].name, q->name) == 0) {
			q->done(q, DNS_OK, cache[i].packet);
			return;
		}
	}
	abort();
}

static void
must(bool good, struct transaction *tx)
{
	struct strv r = stand_fact(tx, "dkim.signatures"), s = stand_fact(tx, "spf");

	if (good)
		return;
	printf("it does not pass: %.*s; spf=%.*s\n", (int)r.n, r.p, (int)s.n, s.p);
	exit(1);
}

static void
message_fiber(void *arg)
{
	struct hearing     *h = judge_open(stand.judge, stand.session, &stand.client);
	struct transaction *tx = judge_begin(h, stand.tx);
	struct verdict      v;
	struct strv         rest;
	const char         *why;

	(void)arg;
	path_parse_plain(stand.tx, SV("jane@example.org"), &tx->env.from, &why);
	judge_stage(h, STAGE_MAIL, &v);
	path_parse_plain(
	    stand.tx, SV("joe@ours.example"), &envelope_add(stand.tx, &tx->env)->to, &why);
	judge_rcpt(h, 0, &v);
	judge_stage(h, STAGE_DATA, &v);
	message_begin(&tx->msg, stand.tx, NULL, 65536);
	message_feed(&tx->msg, text, &rest);
	judge_headers(h);
	judge_body(h, rest);
	message_end(&tx->msg, &rest);
	tx->msg.complete = true;
	judge_message(h, &v);
	must(strv_eq(stand_fact(tx, "dkim"), SV("pass")) &&
		(!spf || strv_eq(stand_fact(tx, "spf"), SV("pass"))) && tx->edits.n == 1,
	    tx);
	judge_end(h);
	judge_close(h);
}

/* ---- the measure ---- */

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
round_of_both(DKIM_LIB *lib)
{
	double began = now(), took;

	for (unsigned i = 0; i < messages; i++)
		verify_bare(lib);
	took = (now() - began) / messages;
	bare = bare == 0 || took < bare ? took : bare;
	began = now();
	for (unsigned i = 0; i < messages; i++) {
		stand_call(message_fiber, NULL);
		arena_reset(stand.session);
		arena_reset(stand.tx);
	}
	took = (now() - began) / messages;
	ours = ours == 0 || took < ours ? took : ours;
}

int
main(int argc, char **argv)
{
	DKIM_LIB *lib = dkim_init(NULL, NULL);

	if (argc > 1)
		messages = (unsigned)strtoul(argv[1], NULL, 10);
	messages = messages > 0 ? messages : 1;
	a = arena_new(65536, 0);
	stand_open();
	stand.wall = (uint64_t)time(NULL);
	stand_begin();
	make_message();
	stand_call(sign_fiber, NULL);
	stand_world.dns = cached_dns;
	stand.auth.n_sign = 0;
	stand.auth.methods = AUTH_SPF | AUTH_DKIM;
	stand.client.helo = SV("out.example.org");
	stand.client.esmtp = true;
	stand_begin();
	dkim_set_key_lookup(lib, give_key);
	for (unsigned i = 0; i < ROUNDS; i++)
		round_of_both(lib);
	printf(
	    "libopendkim alone: %.1f us a message of %zu octets; SPF, DKIM and Authentication-Results: %.1f us; "
	    "%.2f times as much\n",
	    bare, text.n, ours, ours / bare);
	dkim_close(lib);
	stand_close();
	arena_free(a);
	return 0;
}

#else

int
main(void)
{
	printf("this build is without libopendkim\n");
	return 0;
}

#endif
