/*
 * script_expect -- the lines of an `expect` section, a table of words.
 *
 * Pure.  What each asks for is checks.c's.
 */
#include "tests/sim/script_own.h"

/* NAME TYPE asked N [times] */
static void
dns_check(struct parser *p, struct check *c, struct strv rest)
{
	c->text = strv_word(&rest);
	c->word = strv_word(&rest);
	if (!strv_eq(strv_word(&rest), SV("asked")))
		script_bad(p, "dns NAME TYPE asked N times");
	c->n = script_number(p, strv_word(&rest));
}

void
script_expect_line(struct parser *p, struct strv v)
{
	static const struct {
		const char   *word;
		enum check_op op;
		char          arg;
	} words[] = {
		{ "server", CHECK_SERVER, 't' },
		{ "milter", CHECK_MILTER, 't' },
		{ "fault", CHECK_FAULT, 't' },
		{ "upstream", CHECK_UPSTREAM, 't' },
		{ "told", CHECK_UPSTREAM, 't' },
		{ "next", CHECK_NEXT, 't' },
		{ "no-upstream", CHECK_NO_UPSTREAM, 't' },
		{ "not-told", CHECK_NO_UPSTREAM, 't' },
		{ "times", CHECK_TIMES, 'b' },
		{ "connections", CHECK_CONNECTIONS, 'n' },
		{ "log", CHECK_LOG, 't' },
		{ "no-log", CHECK_NO_LOG, 't' },
		{ "log-times", CHECK_LOG_TIMES, 'b' },
		{ "messages", CHECK_MESSAGES, 'n' },
		{ "message", CHECK_MESSAGE, 'n' },
		{ "from", CHECK_FROM, 't' },
		{ "rcpt", CHECK_RCPT, 't' },
		{ "rcpts", CHECK_RCPTS, 'n' },
		{ "|", CHECK_TEXT, 'l' },
		{ ">>", CHECK_TEXT, 'o' },
		{ "has", CHECK_HAS, 't' },
		{ "lacks", CHECK_LACKS, 't' },
		{ "octets", CHECK_OCTETS, 'n' },
		{ "via", CHECK_VIA, 't' },
		{ "dns", CHECK_DNS, 'd' },
	};
	struct strv    rest = v, word = strv_word(&rest);
	struct script *s = p->s;

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct check *c;
		char          arg = words[i].arg;

		if (!strv_eq(word, strv_z(words[i].word)))
			continue;
		s->check = arena_grow(s->a, s->check, &s->max_check, s->n_check + 1, sizeof(*c));
		c = &s->check[s->n_check++];
		*c = (struct check){ .op = words[i].op, .line = p->line };
		if (arg == 'n' || arg == 'b')
			c->n = script_number(p, strv_word(&rest));
		if (arg == 't' || arg == 'b')
			c->text = strv_trim(rest);
		if (arg == 'd')
			dns_check(p, c, rest);
		if (arg == 'o')
			c->text = script_octets(p, rest);
		if (arg == 'l')
			c->text = arena_concat(
			    s->a, rest.n > 0 ? strv_from(rest, 1) : rest, SV("\r\n"));
		return;
	}
	script_bad(p, "no such expectation");
}
