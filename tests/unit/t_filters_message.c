/*
 * t_filters_message -- facts of the text: size, fields, From, hops; hidden fields, several, none, too many.
 */
#include "filters/registry.h"

#include "proxy/base/arena.h"
#include "tests/unit/t.h"

static struct arena  *a;
static struct message message;
static struct client  client;
static struct mail    mail = { .client = &client, .msg = &message };
static struct strv    source;

static void
take(struct strv text)
{
	struct strv body;

	message_begin(&message, a, NULL, 1000000);
	T_EQ_NUM(message_feed(&message, text, &body), MESSAGE_OK);
	T_EQ_NUM(message_end(&message, &body), MESSAGE_OK);
}

/* "-" where it is absent, "!" where the filter would not say. */
static struct strv
value(const char *name, const char *arg)
{
	unsigned               n;
	const struct fact_def *d = registry_facts(&n);
	int                    at = fact_find(d, n, strv_z(name));
	const struct filter   *owner = registry_filters[registry_owner((unsigned)at)];
	struct fact f = { .def = &d[at], .number = (unsigned)at, .arg = strv_z(arg), .a = a };

	if (owner->ask(NULL, &f, &mail) != FILTER_OK)
		return SV("!");
	T_EQ_NUM(f.state, FACT_KNOWN);
	source = f.source;
	return fact_absent(&f) ? SV("-") : fact_print(a, &f);
}

static void
tells_of_a_message(void)
{
	static const char text[] = "Received: from a\r\n"
				   "From: \"x@y\" <Joe@Good.Example>\r\n"
				   "X-Postern-Secret: 1\r\n"
				   "received: from b\r\n"
				   "Delivered-To: c\r\n"
				   "Subject: =?utf-8?q?gr=c3=bc?=\r\n =?utf-8?q?n?=\r\n"
				   "X-Empty:\r\n"
				   "\r\n"
				   "Subject: body\r\n";

	take(strv_z(text));
	T_EQ_NUM(strtol(arena_z(a, value("message.size", NULL)), NULL, 10), sizeof(text) - 1);
	T_EQ_TEXT(value("received", NULL), "2");
	T_EQ_TEXT(value("header", "Subject"), "gr\xc3\xbcn");
	T_EQ_TEXT(source, "header");
	T_EQ_TEXT(value("header", "sUBJECT"), "gr\xc3\xbcn");
	T_EQ_TEXT(value("header", "Received"), "from a, from b");
	T_EQ_TEXT(source, "header, 2 fields");
	T_EQ_TEXT(value("header", "X-Empty"), "");
	T_EQ_TEXT(value("header", "X-Other"), "-");
	T_EQ_TEXT(value("header", "Subj"), "-");
	T_EQ_TEXT(value("header", "Subject:"), "-");
	T_EQ_TEXT(value("header", ""), "-");
	T_EQ_TEXT(value("header", "X-Postern-Secret"), "-"); /* hidden */
	T_EQ_TEXT(value("from.address", NULL), "Joe@good.example");
	T_EQ_TEXT(value("from.domain", NULL), "good.example");
	T_EQ_TEXT(source, "From");
}

static void
tells_of_from(void)
{
	static const struct {
		const char *text, *address, *domain, *source;
	} rows[] = {
		{ "\r\n", "-", "-", "From, 0 fields" },
		{ "Subject: x\r\n\r\n", "-", "-", "From, 0 fields" },
		{ "X: y\r\n\r\nFrom: a@b.example\r\n", "-", "-", "From, 0 fields" },
		{ "From:\r\n\r\n", "-", "-", "From" },
		{ "From: joe\r\n\r\n", "-", "-", "From" },
		{ "From: joe\r\nFrom: a@b.example\r\n\r\n", "-", "-", "From, 2 fields" },
		{ "From: a@b.example\r\nFROM : c@d.example\r\n\r\n", "a@b.example", "b.example",
		    "From, 2 fields" },
		{ "From: a@b.example, c@d.example\r\n\r\n", "a@b.example", "b.example",
		    "From, the first of 2 addresses" },
		{ "From: a@b.example, c@d.example\r\nFrom: e@f.example\r\n\r\n", "a@b.example",
		    "b.example", "From, the first of 2 addresses, 2 fields" },
		{ "From: a@[192.0.2.1]\r\n\r\n", "a@[192.0.2.1]", "[192.0.2.1]", "From" },
		{ "From me Mon Nov 22\r\nFrom: a@b.example\r\n\r\n", "a@b.example", "b.example",
		    "From" },
	};

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		t_row = rows[i].text;
		take(strv_z(rows[i].text));
		T_EQ_TEXT(value("from.address", NULL), rows[i].address);
		T_EQ_TEXT(value("from.domain", NULL), rows[i].domain);
		T_EQ_TEXT(source, rows[i].source);
	}
}

/* Of two of one name one may be forged, and hidden. */
static void
passes_over_hidden_fields(void)
{
	take(SV("A-R: ours\r\nA-R: theirs\r\nFrom: a@b.example\r\n\r\n"));
	message.h[0].hidden = true;
	T_EQ_TEXT(value("header", "A-R"), "theirs");
	T_EQ_TEXT(source, "header");
	message.h[2].hidden = true;
	T_EQ_TEXT(value("from.address", NULL), "-");
}

/* Before the header is there nothing is said. */
static void
says_nothing_too_early(void)
{
	struct mail none = mail;
	struct strv body;

	message_begin(&message, a, NULL, 1000);
	T_EQ_NUM(message_feed(&message, SV("From: a@b.example\r\n"), &body), MESSAGE_OK);
	T_EQ_TEXT(value("from.domain", NULL), "!");
	T_EQ_TEXT(value("message.size", NULL), "!");
	mail.msg = NULL;
	T_EQ_TEXT(value("header", "From"), "!");
	mail = none;
}

/* Many fields, and large ones: so many are decoded, and so much. */
static void
is_bounded(void)
{
	struct strv all = SV("");
	char        line[1000];
	struct strv v;

	memset(line, '\xff', sizeof(line));
	memcpy(line, "X:", 2);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	for (unsigned i = 0; i < 150; i++)
		all = arena_concat(a, all, strv(line, sizeof(line)));
	take(arena_concat(a, all, SV("\r\n")));
	v = value("header", "X");
	T_CHECKF(v.n > 100000 && v.n <= 131072 + 2 * 100, "%zu octets", v.n);
	T_EQ_TEXT(source, "header, 100 fields");
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	a = arena_new(4096, 0);
	T_RUN(tells_of_a_message);
	T_RUN(tells_of_from);
	T_RUN(passes_over_hidden_fields);
	T_RUN(says_nothing_too_early);
	T_RUN(is_bounded);
	arena_free(a);
	return t_end();
}
