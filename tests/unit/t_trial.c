/*
 * t_trial -- `test` blocks: those that pass, and those that must not, each with every octet of what is said.
 *
 * The tests of a row stand in front of the configuration that they are about, so that places are easy to read.
 */
#include "proxy/trial.h"

#include <time.h>

#include "config.h"
#include "policy/patterns.h"
#include "proxy/base/buf.h"
#include "proxy/trial_time.h"
#include "tests/unit/settings_world.h"

static uint64_t
now(struct world *w)
{
	struct timespec t;

	(void)w;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 + 1;
}

static void
keep(struct strv line, void *arg)
{
	buf_add(arg, line);
	buf_addc(arg, '\n');
}

/* clang-format off */
#define SERVER \
	"hostname mx.ours.example\n" \
	"listen 127.0.0.1:25\n" \
	"listen 127.0.0.1:465 tls name submission require-auth\n" \
	"listen 127.0.0.1:587 name may require-tls\n" \
	"tls certificate \"/etc/postern/mx.crt\" key \"/etc/postern/mx.key\"\n" \
	"upstream 127.0.0.1:10025\n" \
	"quarantine \"/var/q\"\n"
#define GATE \
	"networks mynets { 192.0.2.0/24, 2001:db8::/32 }\n" \
	"relay { allow from mynets\n allow authenticated over tls\n allow to { ours.example } }\n"

/* What most rows are about. */
#define OFFICE OFFICE_OF("")
#define OFFICE_OF(more) SERVER GATE \
	"limits { recipients 100 message-size 64K header-size 4K received-hops 10 line 200 transactions 10 " more "}\n" \
	"check sender-domain { when not sender.domain resolves\n" \
	"  on unknown tempfail 451 4.4.3 \"cannot resolve %{sender.domain} now\"\n" \
	"  reject 550 5.1.8 \"%{sender.domain} does not exist\" }\n" \
	"check helo-fqdn warn { when helo is not fqdn  reject 550 5.5.2 \"say your full name\" }\n" \
	"check trap { when rcpt in { trap@ours.example }  discard }\n" \
	"check lottery { when header(\"Subject\") matches \"lottery\"  reject 550 5.7.1 \"no lottery\" }\n" \
	"check keep { when header(\"Subject\") matches \"look\"  quarantine }\n" \
	"check elsewhere { when header(\"Subject\") matches \"send\"  quarantine to abuse@ours.example }\n" \
	"check many { when message.size > 20000  tempfail 452 4.3.1 }\n"
#define EXISTS "dns example.net A 192.0.2.1 dns client.example MX \"10 mx.client.example\" "

/* An office that looks who really sent it. */
#define AUTHENTIC SERVER \
	"authenticate spf, dkim, dmarc, arc\n" \
	"networks mynets { 127.0.0.0/8, 192.0.2.0/24, 2001:db8::/32 }\n" \
	"networks spf_exempt { 198.51.100.64/26 }\n" \
	"domains ours { ours.example, .ours.example }\n" \
	"relay { allow from mynets\n allow authenticated over tls\n allow to ours }\n" \
	"check listed { when dnsbl(\"zen.spamhaus.org\") = {127.0.0.2-127.0.0.11} and not client in mynets\n" \
	"  reject 550 5.7.1 \"%{client.ip} is listed, see %{dnsbl.text}\" }\n" \
	"check sender-domain { when not sender.domain resolves\n" \
	"  on unknown tempfail 451 4.4.3 \"cannot resolve %{sender.domain} now\"\n" \
	"  reject 550 5.1.8 \"%{sender.domain} does not exist\" }\n" \
	"check spf-fail { when spf is fail and dmarc.policy is absent and not client in spf_exempt\n" \
	"  reject 550 5.7.23 \"SPF says %{client.ip} may not send for %{sender.domain}\" }\n" \
	"check helo-fqdn warn { when helo is not fqdn reject 550 5.5.2 \"say your full name\" }\n"

/* relaxed/simple over From, Subject and the body "Hello,", "", "this is  signed. "; its key is 00 01 .. 1f. */
#define SIGNED \
	"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/simple; d=example.net; s=ed; h=from:subject;\n" \
	" bh=iz3uaRyKYQtNxEPBH3cecBMXy43fygJiLbJjVqGlePE=;\n" \
	" b=Td6BnyB52f52bMWOMIK5+Lx9A1ssA3Ab1k3rnhe2vo9fIhLrPdwYkOganIph3KiYe3AFKVc1OODwPkhOSw9iBw==\n"

struct row {
	const char *what, *tests, *conf;
	unsigned    passed;
	const char *said;
};

static const struct row rows[] = {
	/* ---- what passes ---- */
	{ "no test", "", OFFICE, 0, "" },
	{ "an outsider cannot relay",
	  "test \"t\" { " EXISTS "client 198.51.100.9 helo mx.example.net mail a@example.net\n"
	  "  rcpt victim@foreign.example expect 550 5.7.1 by relay\n"
	  "  message \"Subject: x\" expect 550 5.7.1 by relay }\n", OFFICE, 1, "" },
	{ "a listed network may", "test \"t\" { " EXISTS "client 192.0.2.7 rcpt u@foreign.example expect 250 2.1.5 by upstream\n"
	  "  client 2001:db8::7 rcpt u@foreign.example expect 250 message \"a: b\" expect 250 2.0.0 by upstream }\n", OFFICE, 1, "" },
	{ "each command can be asked for", "test \"t\" { " EXISTS "client 192.0.2.7 expect 220 helo x expect 250 mail a@example.net expect 250 2.1.0\n"
	  "  rcpt u@ours.example expect 250 message \"x: y\" expect 250 expect 250 2.0.0 by upstream }\n", OFFICE, 1, "" },
	{ "what is held is told at rcpt", "test \"t\" { client 198.51.100.9 mail a@no.example expect 250\n"
	  "  rcpt u@ours.example expect 550 5.1.8 by sender-domain message \"x: y\" expect 550 5.1.8 by sender-domain }\n", OFFICE, 1, "" },
	{ "in place of a greeting there is 554 or 421", "test \"t\" { client 203.0.113.1 expect 554 5.7.1 by never mail a@b.example expect 554 by never }\n"
	  "test \"u\" { client 203.0.113.2 expect 421 4.7.5 by later rcpt u@ours.example expect 421 by later }\n",
	  "reject-at stage\n" SERVER GATE "check never { when client in { 203.0.113.1 } reject 550 5.7.1 }\n"
	  "check later { when client in { 203.0.113.2 } tempfail 450 4.7.5 }\n", 2, "" },
	{ "reject-at stage says it at once", "test \"t\" { client 198.51.100.9 mail a@no.example expect 550 5.1.8 by sender-domain\n"
	  "  rcpt u@ours.example expect 550 by sender-domain message \"x: y\" expect 550 by sender-domain\n"
	  "  dns yes.example A 192.0.2.1 mail a@yes.example expect 250 rcpt u@ours.example expect 250 }\n",
	  "reject-at stage\n" OFFICE, 1, "" },
	{ "a HELO that was refused is in the way of mail", "test \"t\" { helo bad.example expect 550 by bad mail a@b.example expect 550 by bad\n"
	  "  rcpt u@ours.example expect 550 by bad helo good.example expect 550 rcpt u@ours.example expect 550 5.7.1 by bad }\n",
	  "reject-at stage\n" SERVER GATE "check bad { at helo when client.ip in { 203.0.113.1 } and not early-talker reject }\n", 1, "" },
	{ "the DNS that is stated", "test \"t\" { dns no.example SERVFAIL mail a@no.example rcpt u@ours.example expect 451 4.4.3 by sender-domain\n"
	  "  dns slow.example TIMEOUT mail a@slow.example rcpt u@ours.example expect 451 4.4.3 by sender-domain\n"
	  "  dns null.example MX \"0 .\" mail a@null.example rcpt u@ours.example expect 550 5.1.8 by sender-domain\n"
	  "  mail <> rcpt u@ours.example expect 250 }\n", OFFICE, 1, "" },
	{ "a mail server of a domain, and what is stated later", "test \"t\" { mail a@late.example rcpt u@ours.example expect 550 by sender-domain\n"
	  "  dns late.example MX \"5 mx.late.example\" mail a@late.example rcpt u@ours.example expect 250 }\n", OFFICE, 1, "" },
	{ "discard for one and for all", "test \"t\" { " EXISTS "rcpt trap@ours.example expect 250 2.1.5 by trap message \"x: y\" expect 250 2.0.0 by trap\n"
	  "  rcpt u@ours.example rcpt trap@ours.example message \"x: y\" expect 250 by upstream }\n", OFFICE, 1, "" },
	{ "a message, header and body", "test \"t\" { " EXISTS "rcpt u@ours.example message \"Subject: the lottery\" expect 550 5.7.1 by lottery\n"
	  "rcpt u@ours.example message \"\"\"\nX: y\nSubject: =?utf-8?q?lo?=\n =?utf-8?q?ttery?=\n\nbody\n\"\"\" expect 550 by lottery\n"
	  "rcpt u@ours.example message \"\"\"\nX: y\n\nSubject: lottery\n\"\"\" expect 250 by upstream\n"
	  "rcpt u@ours.example message \"Subject: look here\" expect 250 2.0.0 by keep\n"
	  "rcpt u@ours.example message \"Subject: send it\" expect 250 2.0.0 by elsewhere }\n", OFFICE, 1, "" },
	{ "forged results are not there", "test \"t\" { client 192.0.2.7 rcpt u@ours.example\n"
	  "  message \"authentication-results: (x) MX.ours.example 2; dkim=pass\" expect 250 by upstream\n"
	  "  mail a@b.example rcpt u@ours.example message \"Authentication-Results: mx.other.example; dkim=pass\" expect 550 by seen\n"
	  "  client 203.0.113.1 rcpt u@ours.example message \"Authentication-Results: mx.ours.example; dkim=pass\" expect 550 by seen }\n",
	  "authenticate spf trust { 203.0.113.1 }\n" SERVER GATE
	  "check seen { when header(\"Authentication-Results\") matches \"pass\"  reject }\n", 1, "" },
	{ "who is let in by AUTH and TLS", "test \"t\" { " EXISTS "listener submission client 198.51.100.9 mail a@example.net expect 530 5.7.0 by limits\n"
	  "  auth alice expect 235 mail a@example.net expect 250 rcpt u@foreign.example expect 250\n"
	  "  listener may mail a@example.net expect 530 by limits tls mail a@example.net rcpt u@foreign.example expect 550 by relay\n"
	  "  auth alice rcpt u@foreign.example expect 250 }\n", OFFICE, 1, "" },
	{ "a user without TLS", "test \"t\" { auth alice rcpt u@foreign.example expect 550 by relay tls rcpt u@foreign.example expect 250 }\n",
	  SERVER GATE, 1, "" },
	{ "syntax", "test \"t\" { " EXISTS "mail \"a b@example.net\" expect 501 by limits rcpt u@ours.example expect 501\n"
	  "  mail a@example.net rcpt \"<u@ours.example\" expect 501 5.1.3 by limits rcpt u@ours.example expect 250 }\n", OFFICE, 1, "" },
	{ "sizes", "test \"t\" { " EXISTS "mail \"<a@example.net> SIZE=70000\" expect 552 5.3.4 by limits\n"
	  "  mail \"<a@example.net> SIZE=60000\" expect 250 rcpt u@ours.example expect 250 }\n", OFFICE, 1, "" },
	{ "a loop, and a long line", "test \"t\" { " EXISTS "rcpt u@ours.example message \"\"\"\nReceived: 1\nReceived: 2\nReceived: 3\nReceived: 4\n"
	  "Received: 5\nReceived: 6\nReceived: 7\nReceived: 8\nReceived: 9\nReceived: 10\nReceived: 11\n\"\"\" expect 554 5.4.6 by limits\n"
	  "rcpt u@ours.example message \"\"\"\nX: 12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901"
	  "2345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890\n\"\"\"\n"
	  "expect 554 5.6.0 by limits }\n", OFFICE, 1, "" },
	{ "too many transactions", "test \"t\" { " EXISTS "mail a@example.net mail a@example.net mail a@example.net rcpt u@ours.example expect 250 }\n", OFFICE, 1, "" },
	{ "too many errors end it: refusals, bad syntax, and what was in the way", "test \"t\" { " EXISTS "rcpt a@no.example expect 550 by relay\n"
	  "  rcpt \"<u@ours.example\" expect 501 rcpt u@ours.example expect 421 4.7.0 by limits message \"x: y\" expect 421 by limits\n"
	  "  client 192.0.2.1 rcpt u@ours.example expect 250 }\n"
	  "test \"u\" { mail a@no.example rcpt u@ours.example expect 550 by sender-domain rcpt u@ours.example expect 550\n"
	  "  rcpt u@ours.example expect 421 4.7.0 by limits }\n",
	  OFFICE_OF("errors 2 "), 2, "" },
	{ "a message that is taken forgives, one that is dropped does not", "test \"t\" { " EXISTS "mail a@example.net rcpt a@no.example expect 550\n"
	  "  rcpt u@ours.example message \"x: y\" expect 250 mail a@example.net rcpt a@no.example expect 550\n"
	  "  rcpt trap@ours.example message \"x: y\" expect 250 by trap mail a@example.net rcpt a@no.example expect 550 mail a@example.net expect 421 by limits }\n",
	  OFFICE_OF("errors 2 "), 1, "" },
	{ "disconnect ends it", "test \"t\" { rcpt u@ours.example expect 421 4.7.0 by out rcpt v@ours.example expect 421 message \"x: y\" expect 421 by out\n"
	  "  client 192.0.2.1 rcpt u@ours.example expect 250 }\n",
	  SERVER GATE "check out { at rcpt when client in { 203.0.113.1 } disconnect }\n", 1, "" },
	{ "classes", "test \"t\" { rcpt u@ours.example expect 250 rcpt v@ours.example expect 452 4.5.3 by limits rcpt u@ours.example expect 250 }\n",
	  SERVER GATE "transaction-class rcpt.local\n", 1, "" },
	{ "letters beyond ASCII", "test \"t\" { mail \xc3\xbc@b.example expect 250 rcpt \xc3\xb6@ours.example expect 250 }\n", SERVER GATE, 1, "" },
	{ "time", "test \"t\" { " EXISTS "time 2020-02-29T23:59:59Z rcpt u@ours.example expect 250 time +5m rcpt u@ours.example expect 250\n"
	  "  time 2020-03-01T00:04:59Z expect 250 }\n", OFFICE, 1, "" },
	{ "tags and skip", "test \"t\" { client 192.0.2.9 rcpt u@ours.example expect 250 client 198.51.100.1 rcpt u@ours.example expect 550 by two\n"
	  "  client 198.51.100.2 rcpt u@ours.example expect 550 by three }\n",
	  SERVER GATE "check one { when client in mynets skip two }\ncheck two { when client.ip in { 192.0.2.9, 198.51.100.1 } reject }\n"
	  "check t { when client in { 198.51.100.2 } tag odd }\ncheck three { when tag.odd and sender is not null reject }\n", 1, "" },

	/* ---- who really sent it ---- */
	{ "an office that authenticates", /* as the manual has it */
	  "test \"an outsider cannot relay\" {\n"
	  "    dns example.net A 192.0.2.1\n"
	  "    client 198.51.100.9  helo mx.example.net  mail a@example.net\n"
	  "    rcpt victim@foreign.example  expect 550 5.7.1 by relay\n"
	  "}\n"
	  "test \"a listed network may send for others\" {\n"
	  "    dns example.net A 192.0.2.1  dns example.net TXT \"v=spf1 -all\"\n"
	  "    client 198.51.100.70  helo mx.example.net  mail a@example.net\n"
	  "    rcpt u@ours.example  expect 250\n"
	  "    message \"Subject: x\"  expect 250\n"
	  "}\n"
	  "test \"nobody else\" {\n"
	  "    dns example.net A 192.0.2.1  dns example.net TXT \"v=spf1 -all\"\n"
	  "    client 198.51.100.9  helo mx.example.net  mail a@example.net\n"
	  "    rcpt u@ours.example  expect 250\n"
	  "    message \"Subject: x\"  expect 550 5.7.23 by spf-fail\n"
	  "}\n", AUTHENTIC, 3, "" },
	{ "SPF, and what else DMARC finds, decide together",
	  "test \"they have a policy, so it is DMARC's affair\" {\n"
	  "    dns example.net A 192.0.2.1  dns example.net TXT \"v=spf1 -all\"  dns _dmarc.example.net TXT \"v=DMARC1; p=none\"\n"
	  "    client 198.51.100.9  mail a@example.net  rcpt u@ours.example  message \"From: a@example.net\"  expect 250 by upstream\n"
	  "}\n"
	  "test \"their DNS is down\" {\n"
	  "    dns example.net A 192.0.2.1  dns example.net TXT \"v=spf1 -all\"  dns _dmarc.example.net SERVFAIL\n"
	  "    client 198.51.100.9  mail a@example.net  rcpt u@ours.example  message \"From: a@example.net\"  expect 250 by upstream\n"
	  "}\n", AUTHENTIC, 2, "" },
#if HAVE_OPENDKIM
	{ "a signature is verified as any",
	  "test \"t\" {\n"
	  "    dns ed._domainkey.example.net TXT \"v=DKIM1; k=ed25519; p=A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\"\n"
	  "    rcpt u@ours.example\n"
	  "    message \"\"\"\n" SIGNED "From: Anna <anna@example.net>\nTo: u@ours.example\nSubject: signed\n"
	  "\nHello,\n\nthis is  signed. \n\n\n\"\"\" expect 550 5.7.1 by good\n"
	  "    rcpt u@ours.example\n"
	  "    message \"\"\"\n" SIGNED "From: Anna <anna@example.net>\nTo: u@ours.example\nSubject: signed\n"
	  "\nHello,\n\nthis is not signed. \n\"\"\" expect 550 5.7.1 by bad\n"
	  "    rcpt u@ours.example\n"
	  "    message \"\"\"\n" SIGNED "From: Anna <anna@example.org>\nSubject: signed\n"
	  "\nHello,\n\nthis is  signed. \n\"\"\" expect 550 5.7.1 by bad\n"
	  "}\n"
	  "test \"the key is not to be had\" {\n"
	  "    dns ed._domainkey.example.net SERVFAIL\n"
	  "    rcpt u@ours.example\n"
	  "    message \"\"\"\n" SIGNED "From: Anna <anna@example.net>\nSubject: signed\n"
	  "\nHello,\n\nthis is  signed. \n\"\"\" expect 451 by later\n"
	  "}\n"
	  "test \"nobody signed it\" { rcpt u@ours.example message \"Subject: signed\" expect 250 by upstream }\n",
	  SERVER GATE "check good { when dkim is pass and dkim.domains in { example.net } reject }\n"
	  "check bad { when dkim is fail reject }\ncheck later { when dkim is temperror tempfail 451 4.7.5 }\n", 3, "" },
#endif

	{ "STARTTLS is heard of", "test \"t\" { tls expect 220 2.0.0 }\ntest \"u\" { listener may tls expect 220 helo x expect 250 tls mail a@b.example expect 250 }\n",
	  SERVER GATE, 2, "" },

	/* ---- what must not ---- */
	{ "STARTTLS that is taken", "test \"t\" {\n\ttls expect 554\n}\n", SERVER GATE, 0,
	  "/etc/postern/postern.conf:2:6: error: the test `t' fails: expected 554, but STARTTLS hears 220 2.0.0\n"
	  "            tls expect 554\n"
	  "                ^~~~~~~~~~\n"
	  "the client hears: `ready to start TLS'\n" },
	{ "STARTTLS of who is not let in", "test \"t\" {\n\ttls expect 220\n}\n", SERVER "reject-at stage\n" GATE
	  "check second { at helo when client in { 203.0.113.1 } reject 550 5.7.1 }\n", 0,
	  "/etc/postern/postern.conf:2:6: error: the test `t' fails: expected 220, but STARTTLS stands behind an earlier 550 5.7.1 by second\n"
	  "            tls expect 220\n"
	  "                ^~~~~~~~~~\n"
	  "check second fired at helo: client is 203.0.113.1 (connection)\n" },
	{ "a listener that is like no other", "test \"t\" {\n\tlistener nope expect 220\n}\n", SERVER GATE, 0,
	  "/etc/postern/postern.conf:2:11: error: no listener is called `nope'\n"
	  "            listener nope expect 220\n"
	  "                     ^~~~\n"
	  "there are `127.0.0.1:25', `submission', `may'\n" },
	{ "the gate says no", "test \"u\" {\n\tclient 198.51.100.9\n\trcpt v@foreign.example expect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:3:25: error: the test `u' fails: expected 250, but RCPT TO:<v@foreign.example> hears 550 5.1.8 by sender-domain\n"
	  "            rcpt v@foreign.example expect 250\n"
	  "                                   ^~~~~~~~~~\n"
	  "check sender-domain fired at mail: sender.domain is `client.example' (MAIL), client.example resolves: no (MX client.example no such name; A client.example no such name)\n" },
	{ "nobody says no", "test \"u\" { " EXISTS "\n\tclient 198.51.100.9 rcpt u@ours.example expect 550 5.7.1 by relay\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:42: error: the test `u' fails: expected 550 5.7.1 by relay, but RCPT TO:<u@ours.example> hears 250 2.1.5 by upstream\n"
	  "            client 198.51.100.9 rcpt u@ours.example expect 550 5.7.1 by relay\n"
	  "                                                    ^~~~~~~~~~~~~~~~~~~~~~~~~\n"
	  "no check refused it, and the server takes everything in a test\n" },
	{ "another check", "test \"u\" {\n\tmail a@no.example rcpt u@ours.example expect 550 5.7.1 by lottery\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:40: error: the test `u' fails: expected 550 5.7.1 by lottery, but RCPT TO:<u@ours.example> hears 550 5.1.8 by sender-domain\n"
	  "            mail a@no.example rcpt u@ours.example expect 550 5.7.1 by lottery\n"
	  "                                                  ^~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
	  "check sender-domain fired at mail: sender.domain is `no.example' (MAIL), no.example resolves: no (MX no.example no such name; A no.example no such name)\n"
	  "/etc/postern/postern.conf:2:60: note: check lottery was not looked at before that\n"
	  "            mail a@no.example rcpt u@ours.example expect 550 5.7.1 by lottery\n"
	  "                                                                      ^~~~~~~\n" },
	{ "a check that only warns", "test \"u\" { " EXISTS "\n\thelo x rcpt u@ours.example expect 550 5.5.2 by helo-fqdn\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:29: error: the test `u' fails: expected 550 5.5.2 by helo-fqdn, but RCPT TO:<u@ours.example> hears 250 2.1.5 by upstream\n"
	  "            helo x rcpt u@ours.example expect 550 5.5.2 by helo-fqdn\n"
	  "                                       ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n"
	  "no check refused it, and the server takes everything in a test\n"
	  "/etc/postern/postern.conf:2:49: note: check helo-fqdn fired at mail (warn): helo is `x' (EHLO)\n"
	  "            helo x rcpt u@ours.example expect 550 5.5.2 by helo-fqdn\n"
	  "                                                           ^~~~~~~~~\n" },
	{ "a check that did not fire", "test \"u\" { " EXISTS "\n\trcpt u@ours.example message \"Subject: hello\" expect 550 by lottery\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:47: error: the test `u' fails: expected 550 by lottery, but the message hears 250 2.0.0 by upstream\n"
	  "            rcpt u@ours.example message \"Subject: hello\" expect 550 by lottery\n"
	  "                                                         ^~~~~~~~~~~~~~~~~~~~~\n"
	  "no check refused it, and the server takes everything in a test\n"
	  "/etc/postern/postern.conf:2:61: note: check lottery did not fire at message: header(\"Subject\") is `hello' (header)\n"
	  "            rcpt u@ours.example message \"Subject: hello\" expect 550 by lottery\n"
	  "                                                                       ^~~~~~~\n" },
	{ "another code", "test \"u\" { mail a@no.example\n\trcpt u@ours.example expect 550 5.1.1\n\texpect 451\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:22: error: the test `u' fails: expected 550 5.1.1, but RCPT TO:<u@ours.example> hears 550 5.1.8 by sender-domain\n"
	  "            rcpt u@ours.example expect 550 5.1.1\n"
	  "                                ^~~~~~~~~~~~~~~~\n"
	  "check sender-domain fired at mail: sender.domain is `no.example' (MAIL), no.example resolves: no (MX no.example no such name; A no.example no such name)\n"
	  "/etc/postern/postern.conf:3:2: error: the test `u' fails: expected 451, but RCPT TO:<u@ours.example> hears 550 5.1.8 by sender-domain\n"
	  "            expect 451\n"
	  "            ^~~~~~~~~~\n"
	  "check sender-domain fired at mail: sender.domain is `no.example' (MAIL), no.example resolves: no (MX no.example no such name; A no.example no such name)\n" },
	{ "no command before it", "test \"u\" {\n\texpect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:2: error: `expect' speaks of the command before it, and there is none\n"
	  "            expect 250\n"
	  "            ^~~~~~\n"
	  "such as: rcpt a@b.example expect 550\n" },
	{ "nothing expected", "test \"u\" { client 192.0.2.1 }\n", OFFICE, 1,
	  "/etc/postern/postern.conf:1:6: warning: the test `u' expects nothing\n"
	  "    test \"u\" { client 192.0.2.1 }\n"
	  "         ^~~\n"
	  "such as: rcpt a@b.example expect 550\n" },
	{ "no address", "test \"u\" {\n\tclient mx.example.net rcpt u@ours.example expect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:9: error: `mx.example.net' is not an IP address\n"
	  "            client mx.example.net rcpt u@ours.example expect 250\n"
	  "                   ^~~~~~~~~~~~~~\n"
	  "such as 198.51.100.9\n" },
	{ "no such listener", "test \"u\" {\n\tlistener submision expect 220\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:11: error: no listener is called `submision'\n"
	  "            listener submision expect 220\n"
	  "                     ^~~~~~~~~\n"
	  "did you mean `submission'?\n" },
	{ "a type that is none", "test \"u\" {\n\tdns x.example FOO y rcpt u@ours.example expect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:16: error: `FOO': not A, AAAA, MX, TXT, PTR, NS, CNAME, SERVFAIL or TIMEOUT\n"
	  "            dns x.example FOO y rcpt u@ours.example expect 250\n"
	  "                          ^~~\n" },
	{ "a name that is none", "test \"u\" {\n\tdns x..example A y rcpt u@ours.example expect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:6: error: `x..example': not a name of the DNS\n"
	  "            dns x..example A y rcpt u@ours.example expect 250\n"
	  "                ^~~~~~~~~~\n" },
	{ "no such record", "test \"u\" {\n\tdns x.example A 2001:db8::1 rcpt u@ours.example expect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:18: error: `2001:db8::1': not an IPv4 address\n"
	  "            dns x.example A 2001:db8::1 rcpt u@ours.example expect 250\n"
	  "                            ^~~~~~~~~~~\n" },
	{ "no moment", "test \"u\" {\n\ttime yesterday rcpt u@ours.example expect 250\n}\n", OFFICE, 0,
	  "/etc/postern/postern.conf:2:7: error: `yesterday': is no moment\n"
	  "            time yesterday rcpt u@ours.example expect 250\n"
	  "                 ^~~~~~~~~\n"
	  "such as 2026-11-22T12:00:00Z, or +5m\n" },
	{ "time does not go back", "test \"u\" { rcpt u@ours.example\n\ttime 2020-01-01T00:00:00Z expect 250\n}\n", SERVER GATE, 0,
	  "/etc/postern/postern.conf:2:7: error: `2020-01-01T00:00:00Z': lies before what was played already\n"
	  "            time 2020-01-01T00:00:00Z expect 250\n"
	  "                 ^~~~~~~~~~~~~~~~~~~~\n" },
	{ "each failing expect is told", "test \"one\" { rcpt u@ours.example expect 550\n expect 551\n}\ntest \"two\" { rcpt u@ours.example expect 250 }\n"
	  "test \"three\" { rcpt u@ours.example expect 552 }\n", SERVER GATE, 1,
	  "/etc/postern/postern.conf:1:34: error: the test `one' fails: expected 550, but RCPT TO:<u@ours.example> hears 250 2.1.5 by upstream\n"
	  "    test \"one\" { rcpt u@ours.example expect 550\n"
	  "                                     ^~~~~~~~~~\n"
	  "no check refused it, and the server takes everything in a test\n"
	  "/etc/postern/postern.conf:2:2: error: the test `one' fails: expected 551, but RCPT TO:<u@ours.example> hears 250 2.1.5 by upstream\n"
	  "     expect 551\n"
	  "     ^~~~~~~~~~\n"
	  "no check refused it, and the server takes everything in a test\n"
	  "/etc/postern/postern.conf:5:36: error: the test `three' fails: expected 552, but RCPT TO:<u@ours.example> hears 250 2.1.5 by upstream\n"
	  "    test \"three\" { rcpt u@ours.example expect 552 }\n"
	  "                                       ^~~~~~~~~~\n"
	  "no check refused it, and the server takes everything in a test\n" },
};
/* clang-format on */

static void
plays(void)
{
	struct buf said;

	buf_init(&said, 1 << 20);
	T_TABLE(struct row, r, rows)
	{
		struct arena *a = arena_new(4096, 0);
		struct loaded l = load(arena_z(a, arena_printf(a, "%s%s", r->tests, r->conf)));

		t_row = r->what;
		buf_clear(&said);
		if (is_good(&l))
			T_EQ_NUM(trial_run_all(l.s, &world, &l.d, NULL, NULL), r->passed);
		diag_print(&l.d, false, keep, &said);
		T_EQ_STRV(buf_view(&said), strv_z(r->said));
		unload(&l);
		arena_free(a);
	}
	t_row = NULL;
	buf_fini(&said);
}

/* ---- time ---- */

static void
moments(void)
{
	static const struct moment {
		const char *text;
		bool        good;
		uint64_t    want; /* us */
	} rows2[] = {
		{ "1970-01-01T00:00:00Z", true, 0 },
		{ "2026-01-01T00:00:00Z", true, 1767225600000000 },
		{ "2026-01-01t00:00:00z", true, 1767225600000000 },
		{ "2026-01-01T01:00:00+01:00", true, 1767225600000000 },
		{ "2025-12-31T19:00:00-05:00", true, 1767225600000000 },
		{ "2026-01-01T00:00:00.25Z", true, 1767225600250000 },
		{ "2026-01-01T00:00:00.1234567891Z", true, 1767225600123456 },
		{ "2024-02-29T12:00:00Z", true, 1709208000000000 },
		{ "2023-02-29T12:00:00Z", false, 0 },
		{ "2026-13-01T00:00:00Z", false, 0 },
		{ "2026-00-01T00:00:00Z", false, 0 },
		{ "2026-04-31T00:00:00Z", false, 0 },
		{ "2026-01-01T24:00:00Z", false, 0 },
		{ "2026-01-01T00:60:00Z", false, 0 },
		{ "2026-01-01T00:00:00", false, 0 },
		{ "2026-01-01", false, 0 },
		{ "2026-01-01T00:00:00Zx", false, 0 },
		{ "2026-01-01T00:00:00+0100", false, 0 },
		{ "1969-12-31T23:59:59Z", false, 0 },
		{ "1970-01-01T00:00:00+01:00", false, 0 },
		{ "", false, 0 },
	};

	T_TABLE(struct moment, r, rows2)
	{
		struct strv v = strv_z(r->text);
		uint64_t    us = 0;

		t_row = r->text;
		T_EQ_NUM(trial_time_moment(v, &us), r->good);
		if (r->good)
			T_EQ_NUM(us, r->want);
		/* Cut at every octet it is none, but for a fraction's last digits. */
		for (size_t i = 0; i < 20 && i < v.n; i++)
			T_EQ_NUM(trial_time_moment(strv_first(v, i), &us), false);
	}
	t_row = NULL;
}

int
main(void)
{
	world.now = now;
	T_RUN(moments);
	/* Its policy searches subjects. */
	if (patterns_here())
		T_RUN(plays);
	else
		T_SKIP("no PCRE2 in this build");
	return t_end();
}
