/*
 * statements -- the table of all statements of the language.
 *
 * A statement that this build does not have is still parsed whole; check.c says "not in this
 * build".
 */
#include "policy/statements.h"

#include "config.h"

#if HAVE_MILTER
#define PLUGINS true
#else
#define PLUGINS false
#endif

/* clang-format off */
#define STATEMENTS(X) \
	X("hostname",     PLAIN,   true,  "hostname NAME") \
	X("listen",       PLAIN,   true,  "listen ADDR:PORT [tls] [no-starttls] [require-tls] [require-auth] " \
		"[auth-without-tls] [proxy-protocol from LIST] [xclient from LIST [xclient-login]] " \
		"[pool NAME] [name WORD]") \
	X("upstream",     PLAIN,   true,  "upstream [lmtp] ADDR:PORT|\"unix:/PATH\" [pool NAME] [weight N] [backup] " \
		"[xclient|xforward|proxy-protocol [v1|v2]] [tls off|may|require|verify] [server-name HOST] " \
		"[ca \"FILE\"] [timeout DURATION] [connections N] [auth-connections N] [eager] " \
		"[no-chunking] [no-streaming], or upstream maildir \"DIR\" [pool NAME]") \
	X("route",        PLAIN,   true,  "route MAP") \
	X("transaction-class", CLASS, true,  "transaction-class EXPR") \
	X("tls",          PLAIN,   true,  "tls certificate \"FILE\" key \"FILE\" [server-name HOST], or tls client-ca \"FILE\", " \
		"or tls minimum 1.2|1.3") \
	X("resolver",     PLAIN,   true,  "resolver system, or resolver ADDR:PORT ...") \
	X("authenticate", PLAIN,   true,  "authenticate spf, dkim, dmarc, arc [as AUTHSERV-ID] [trust LIST]") \
	X("spf",          NAMED,   true,  "spf { engine own|libspf2  cross-check libspf2|own }") \
	X("dkim",         NAMED,   true,  "dkim { signatures N  minimum-key BITS  canonicalization relaxed/relaxed }") \
	X("sign",         PLAIN,   true,  "sign LIST selector NAME key \"FILE\" [when EXPR]") \
	X("seal",         PLAIN,   true,  "seal DOMAIN selector NAME key \"FILE\" [when EXPR]") \
	X("networks",     LIST,    true,  "networks NAME { ADDRESS, CIDR, RANGE ... }, or networks NAME file \"FILE\"") \
	X("domains",      LIST,    true,  "domains NAME { DOMAIN, .DOMAIN ... }, or domains NAME file \"FILE\"") \
	X("addresses",    LIST,    true,  "addresses NAME { USER@DOMAIN, @DOMAIN, <> ... }, or addresses NAME file \"FILE\"") \
	X("patterns",     LIST,    true,  "patterns NAME { \"PATTERN\" ... }, or patterns NAME file \"FILE\"") \
	X("map",          LIST,    true,  "map NAME { KEY VALUE, VALUE ... }, or map NAME file \"FILE\"") \
	X("limits",       NAMED,   true,  "limits { WORD VALUE ... }") \
	X("line-endings", PLAIN,   true,  "line-endings normalize|reject [for LIST]") \
	X("reject-at",    PLAIN,   true,  "reject-at rcpt|stage") \
	X("decide-within", PLAIN,  true,  "decide-within DURATION") \
	X("greylist",     NAMED,   false, "greylist { delay DURATION  window DURATION  remember DURATION }") \
	X("memory",       MEMORY,  false, "memory NAME { for DURATION  max N }") \
	X("geoip",        PLAIN,   false, "geoip \"FILE\"") \
	X("policyd",      PLAIN,   false, "policyd NAME \"SOCKET\"") \
	X("clamd",        PLAIN,   false, "clamd \"SOCKET\"") \
	X("rspamd",       PLAIN,   false, "rspamd \"SOCKET\"") \
	X("quarantine",   PLAIN,   true,  "quarantine \"DIR\" [max SIZE]") \
	X("state",        PLAIN,   false, "state lmdb \"DIR\", or state redis \"inet:HOST:PORT\"") \
	X("log",          PLAIN,   true,  "log stderr|syslog|file \"FILE\" [json]") \
	X("metrics",      PLAIN,   true,  "metrics ADDR:PORT [public]") \
	X("control",      PLAIN,   false, "control \"SOCKET\"") \
	X("user",         PLAIN,   true,  "user NAME") \
	X("workers",      PLAIN,   true,  "workers N") \
	X("spool",        PLAIN,   true,  "spool \"DIR\" [memory SIZE]") \
	X("drain",        PLAIN,   true,  "drain DURATION") \
	X("received",     PLAIN,   true,  "received on|off") \
	X("include",      INCLUDE, true,  "include \"GLOB\"") \
	X("relay",        RELAY,   true,  "relay { allow from LIST  allow authenticated over tls  allow to LIST ... }") \
	X("check",        CHECK,   true,  "check NAME [warn] { [at STAGE] when EXPR [on unknown VERDICT] EFFECT ... VERDICT }") \
	X("rate",         RATE,    false, "rate NAME [warn] { count WHAT per KEY [when EXPR] limit N in DURATION ... VERDICT }") \
	X("milter",       MILTER,  true,  "milter NAME [warn] { socket \"SOCKET\" [timeout DURATION] [when EXPR] [on failure WORD] }") \
	X("plugin",       MILTER,  PLUGINS, "plugin NAME [warn] { load \"FILE\" [isolated] [args { ... }] [timeout DURATION] " \
		"[when EXPR] [on failure WORD] }") \
	X("test",         TEST,    true,  "test \"WHAT IT SHOWS\" { client ADDRESS ... expect CODE }")

static const struct statement statements[] = {
#define X(word, kind, here, form) { word, STATEMENT_##kind, here, form },
	STATEMENTS(X)
#undef X
};

static const char *const words[] = {
#define X(word, kind, here, form) word,
	STATEMENTS(X)
#undef X
	NULL
};
/* clang-format on */

const struct statement *
statement_find(struct strv word)
{
	for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		if (strv_eq(word, strv_z(statements[i].word)))
			return &statements[i];
	}
	return NULL;
}

const char *const *
statement_words(void)
{
	return words;
}
