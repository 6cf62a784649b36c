/*
 * hints -- "what would be right", the last line of a diagnostic: forms, examples, the words there are.
 *
 * Tables by what was said, so that each thing is explained in one place and the same everywhere.  A
 * hint shows how it is written; why it is wrong is the message's.
 */
#include "policy/hints.h"

#include "policy/policy.h"
#include "policy/statements.h"
#include "proxy/base/arena.h"

#define NAMED_MOST 8 /* names of one hint */

struct row {
	const char *what, *hint;
};

static struct strv
find(const struct row *table, size_t n, struct strv what)
{
	for (size_t i = 0; i < n; i++) {
		if (strv_eq(what, strv_z(table[i].what)))
			return strv_z(table[i].hint);
	}
	return strv(NULL, 0);
}

/* ---- forms ---- */

#define FACTS "such as client.ip, helo, sender.domain or rcpt; postern-policy(5) has all"

static const struct row due[] = {
	{ "a fact", FACTS },
	{ "a value", "such as absent, 550, example.org or \"a text\"" },
	{ "a number", "such as 100" },
	{ "a name", "a name is a letter, then letters, digits, - and _" },
	{ "a stage", "one of connect, helo, auth, mail, rcpt, data and message" },
	{ "a list or { ... }",
	    "the name of a list without quotes, or its items: { 192.0.2.0/24 }, { example.org }" },
	{ "an item of the set", "such as: { 192.0.2.0/24, 2001:db8::/32 } or { example.org }" },
	{ "a key", "a map is written: map NAME { KEY VALUE, VALUE ... }" },
	{ "a value for the key", "a map is written: map NAME { KEY VALUE, VALUE ... }" },
	{ "a word or a string", "such as: example.org, 5m or \"/a/file\"" },
	{ "a duration such as 30s, 5m, 2h or 7d", "a whole number and one of s, m, h and d" },
	{ "a reply code such as 550", "such as: reject 550 5.7.1 \"not from you\"" },
	{ "a reply code such as 550 in front of the enhanced one",
	    "such as: reject 550 5.7.1 \"not from you\"" },
	{ "an enhanced code such as 5.7.1", "such as: reject 550 5.7.1 \"not from you\"" },
	{ "reject, tempfail, disconnect, discard or quarantine",
	    "such as: tempfail 451 4.4.3 \"try again later\"" },
	{ "an address such as spam@example.org", "such as: quarantine to spam@example.org" },
	{ "an effect, a verdict or `}'",
	    "such as: tag NAME, skip NAME, log \"TEXT\" or reject 550" },
	{ "from, to, authenticated, on or when",
	    "such as: allow from NETWORKS, or allow to DOMAINS" },
	{ "allow or routing-characters",
	    "such as: relay { allow from NETWORKS  allow authenticated over tls  allow to DOMAINS }" },
	{ "the name of a listener", "as in: listen 0.0.0.0:587 name submission" },
	{ "the name of a check behind `by'", "such as: expect 550 5.7.1 by NAME" },
	{ "a step of the test",
	    "one of dns, client, listener, tls, helo, auth, mail, rcpt, message, time and expect" },
	{ "what the test shows", "such as: test \"an outsider cannot relay\" { ... }" },
	{ "a domain name", "such as: dns example.org A 192.0.2.1" },
	{ "a type such as A, MX or TXT, SERVFAIL or TIMEOUT",
	    "such as: dns example.org A 192.0.2.1" },
	{ "the value of the record", "such as: dns example.org MX \"10 mx.example.org\"" },
	{ "a reply code such as 250 or 550", "such as: expect 550 5.7.1 by relay" },
	{ "the value of the field", "such as: add-header \"X-Seen\" \"%{client.ip}\"" },
	{ "the name of a header field", "such as: delete-header \"X-Seen\"" },
	{ "the text", "such as: log \"%{client.ip} was here\"" },
	{ "the name of a list of patterns", "such as: helo matches \"^dyn-\", or matches NAME" },
	{ "`,' or `)'", "such as: rhsbl(\"dbl.example.org\", sender.domain)" },
	{ "`and', `or' or `)'", "each ( waits for its ); questions are joined by `and' or `or'" },
	{ "`in' or `matches' behind `not'",
	    "such as: client not in NETWORKS; in front of the fact `not' goes with any question" },
	{ "`,' and the length for IPv6, such as client/32,client/64", "two lengths are one key" },
	{ "the length for IPv6, such as client/64",
	    "two lengths are one key: client/32,client/64" },
	{ "connections, messages, recipients or bytes",
	    "such as: count recipients per client/32,client/64" },
	{ "`per'", "such as: count recipients per client/32,client/64" },
	{ "count, when, limit or a verdict",
	    "a rate has one count, perhaps a when, limits, and a verdict at its end" },
	{ "tempfail, accept, reject, quarantine or disconnect", "such as: on failure tempfail" },
	{ "`failure'", "such as: on failure tempfail" },
	{ "`unknown'", "such as: on unknown tempfail 451 4.4.3 \"try again later\"" },
	{ "`tls'", "such as: allow authenticated over tls" },
	{ "`allow'", "it is written: routing-characters allow" },
	{ "`in'", "such as: limit 100 in 1m, or remember client/32,client/64 in NAME" },
	{ "the file to include", "such as: include \"conf.d/*.conf\"" },
	{ "the end of the statement", "the next statement begins a line, or stands behind `;'" },
	{ "a statement",
	    "a statement begins with a word such as listen, upstream, relay or check" },
};

struct strv
hint_due(const char *what)
{
	return find(due, sizeof(due) / sizeof(due[0]), strv_z(what));
}

struct strv
policy_form(struct arena *a, struct strv statement)
{
	const struct statement *s = statement_find(statement);

	return s == NULL ? strv(NULL, 0) : arena_printf(a, "%s is written: %s", s->word, s->form);
}

/* ---- what this build does not have ---- */

#define BEHIND  "the mail server behind can ask it, as it did before"
#define BY_FILE "what comes nearest is a list of networks from a file: client in NAME"
#define RELOADED \
	"here lists and maps come from { ... } or file \"FILE\", which is read again at each reload"
#define NO_MEMORY "nothing is remembered between sessions; what comes nearest is a list from a file"

static const struct row instead[] = {
	{ "rate",
	    "what comes nearest: sessions-per-client in limits, and `delay' in a check, which slows down" },
	{ "plugin",
	    "it was built without libmilter; as a program of its own a filter can be a `milter'" },
	{ "greylist",
	    "what comes nearest: a check that says tempfail to who is on a list, such as dnsbl(\"ZONE\")" },
	{ "memory", NO_MEMORY },
	{ "remember", "what comes nearest is `log', from which a list can be made" },
	{ "state", NO_MEMORY },
	{ "geoip", BY_FILE },
	{ "country", BY_FILE },
	{ "asn", BY_FILE },
	{ "policyd", BEHIND " (Postfix: check_policy_service)" },
	{ "clamd", BEHIND },
	{ "rspamd", BEHIND },
	{ "rspamd.score", BEHIND "; `score' is the sum of the weights of DNS lists" },
	{ "rspamd.action", BEHIND },
	{ "control", "signals do that here: see postern(8)" },
	{ "json", "the log's lines are words and NAME=VALUE, which programs can read as well" },
	{ "lmdb", RELOADED },
	{ "redis", RELOADED },
	{ "map", "what comes nearest is `M(fact)' in the `when' of a check" },
	{ "matches", "it was built without PCRE2: `in { ... }' and lists of `domains' need none" },
	{ "patterns", "it was built without PCRE2: `in { ... }' and lists of `domains' need none" },
};

struct strv
hint_instead(struct strv what)
{
	struct strv hint = find(instead, sizeof(instead) / sizeof(instead[0]), what);

	if (hint.p == NULL && strv_starts(what, SV("tag.")))
		return SV("tags are known to checks alone");
	return hint.p == NULL ? SV("postern-policy(5) and postern.conf(5) have what there is") :
				hint;
}

/* Words of the language that no build has yet. */
static const char *const nowhere[] = { "rate", "greylist", "memory", "remember", "state", "geoip",
	"policyd", "clamd", "rspamd", "control" };

struct strv
hint_meant(struct arena *a, struct strv v, const char *const *words)
{
	const char *near = diag_nearest(v, words);

	for (size_t i = 0; near != NULL && i < sizeof(nowhere) / sizeof(nowhere[0]); i++) {
		if (strcmp(near, nowhere[i]) == 0)
			return strv(NULL, 0);
	}
	return near == NULL ? strv(NULL, 0) : diag_did_you_mean(a, strv_z(near));
}

/* ---- facts ---- */

/* The name of the fact stands behind each of the two. */
static const struct {
	const char *first, *second, *end;
} asks[] = {
	[FACT_BOOL] = { "it stands alone: ", ", or not ", "" },
	[FACT_NUMBER] = { "such as: ", " > 10, or ", " in { 1, 2 }" },
	[FACT_TEXT] = { "such as: ", " is absent, ", " in { \"a text\" }, or matches \"PATTERN\"" },
	[FACT_ADDR] = { "such as: ", " in { 192.0.2.0/24 }, or ", " is absent" },
	[FACT_PATH] = { "such as: ", " in { user@example.org, example.org }, or ", " is null" },
	[FACT_ADDRS] = { "such as: ", ", or ", " = { 127.0.0.2 }" },
	[FACT_TEXTS] = { "such as: ", " in { \"a text\" }, or ", " is absent" },
};

/* "is one, two": of those that a word may be. */
static struct strv
ask_word(struct arena *a, struct strv name, const struct fact_def *def)
{
	struct strv all = arena_printf(a, "such as: %.*s is", (int)name.n, name.p);

	for (unsigned i = 0; i < 2 && def->words[i] != NULL; i++)
		all = arena_printf(
		    a, "%.*s%s %s", (int)all.n, all.p, i > 0 ? "," : "", def->words[i]);
	return all;
}

/* What stands in its ( ); NULL: it is written without.  A map has no name here. */
static const char *
args_of(const struct fact_def *def)
{
	if (def->name[0] == '\0')
		return "FACT";
	if (def->args == NULL)
		return NULL;
	if (strcmp(def->name, "milter") == 0)
		return "NAME";
	if (def->args[0] == 'f')
		return "FACT";
	return def->args[1] == 'f' ? "\"NAME\", FACT" : "\"NAME\"";
}

struct strv
hint_ask(struct arena *a, struct strv name, const struct fact_def *def)
{
	const char *args = args_of(def);

	if (name.n > 60)
		name.n = 60;
	if (args != NULL)
		name = arena_printf(a, "%.*s(%s)", (int)name.n, name.p, args);
	if (def->type == FACT_WORD)
		return ask_word(a, name, def);
	return arena_printf(a, "%s%.*s%s%.*s%s", asks[def->type].first, (int)name.n, name.p,
	    asks[def->type].second, (int)name.n, name.p, asks[def->type].end);
}

/* ---- names ---- */

/* "there are `a', `b', `c'": as many as a line takes. */
static struct strv
there_are(struct arena *a, const struct strv *words, unsigned n)
{
	struct strv all = n == 1 ? SV("there is") : SV("there are");

	for (unsigned i = 0; i < n && i < NAMED_MOST; i++)
		all = arena_printf(
		    a, "%.*s%s %s", (int)all.n, all.p, i > 0 ? "," : "", diag_quote(a, words[i]));
	if (n <= NAMED_MOST)
		return all;
	return arena_printf(a, "%.*s and %u more", (int)all.n, all.p, n - NAMED_MOST);
}

struct strv
hint_words(struct arena *a, struct strv v, const struct strv *words, unsigned n, const char *none)
{
	struct strv near = diag_nearest_v(v, words, n);

	if (near.p != NULL)
		return diag_did_you_mean(a, near);
	return n == 0 ? strv_z(none) : there_are(a, words, n);
}

struct strv
policy_listener_meant(struct arena *a, struct strv v, const struct strv *names, unsigned n)
{
	return hint_words(a, v, names, n, "as in: listen 0.0.0.0:587 name submission");
}

struct strv
hint_words_z(struct arena *a, struct strv v, const char *const *words)
{
	struct strv *all;
	unsigned     n = 0;

	while (words[n] != NULL)
		n++;
	all = arena_array(a, n, sizeof(*all));
	for (unsigned i = 0; i < n; i++)
		all[i] = strv_z(words[i]);
	return hint_words(a, v, all, n, NULL);
}

struct strv
hint_item(struct arena *a, struct strv v)
{
	if (strv_chr(v, '.') == v.n && strv_chr(v, ':') == v.n)
		return strv(NULL, 0);
	v = diag_escape(a, v);
	return arena_printf(a, "an item stands in braces: { %.*s }", (int)v.n, v.p);
}

/* ---- files ---- */

struct strv
hint_file(enum file_rc rc, struct strv name)
{
	bool relative = !strv_starts(name, SV("/"));

	switch (rc) {
	case FILE_ABSENT:
		return relative ?
		    SV("a name without / in front is looked for beside the file that names it") :
		    SV("make the file, which may be empty, or correct its name");
	case FILE_DENIED:
		return SV("whoever starts postern must be allowed to read it");
	case FILE_TOO_BIG:
		return SV("files have a ceiling: split it into several");
	case FILE_SILENT:
		return SV("whoever writes to it must do so while it is read");
	case FILE_FOLDER:
		return SV("name a file that lies in it");
	case FILE_NO_DESCRIPTOR:
		return SV("whoever starts postern must be allowed more open files (ulimit -n)");
	default:
		return SV("it must be a file that can be read, not a directory");
	}
}

struct strv
hint_main_file(enum file_rc rc)
{
	return rc == FILE_ABSENT ? SV("name another; contrib/postern.conf is one to begin with") :
				   hint_file(rc, SV("/"));
}
