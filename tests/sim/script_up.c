/*
 * script_up -- the lines of an `upstream` section: what a server offers, and its rules.
 *
 * Pure.  Invariant: sections that name the same server make one.
 */
#include "tests/sim/script_own.h"

static void
action(struct parser *p, struct rule *r, struct strv v)
{
	struct strv       whole = strv_trim(v), rest = whole, word = strv_word(&rest);
	struct up_answer *a = &r->answer;

	rest = strv_trim(rest);
	if (strv_eq(word, SV("say"))) {
		a->says = true;
		a->say = rest.n > 0 && rest.p[0] == '"' ? script_octets(p, rest) :
							  arena_concat(p->s->a, rest, SV("\r\n"));
	} else if (strv_eq(word, SV("delay")))
		a->delay = script_duration(p, rest);
	else if (strv_eq(word, SV("deaf")))
		a->deaf = script_duration(p, rest);
	else if (strv_eq(word, SV("drop")))
		a->drop = true;
	else if (strv_eq(word, SV("reset")))
		a->reset = true;
	else if (strv_eq(word, SV("stall")))
		a->stall = true;
	else if (strv_eq(word, SV("commit")))
		a->commit = true;
	else if (strv_eq(word, SV("refuse")))
		a->refuse = true;
	else if (strv_eq(word, SV("again")))
		a->again = true;
	else if (strv_eq(word, SV("black-hole")))
		a->black_hole = true;
	else if (!strv_eq(word, SV("ok")))
		script_bad(p, "no such action of an upstream");
}

static void
stage_of(struct rule *r, struct strv word)
{
	static const struct {
		const char   *word;
		enum up_stage stage;
	} stages[] = {
		{ "connect", UP_CONNECT },
		{ "greeting", UP_GREETING },
		{ "AUTH-LINE", UP_AUTH },
		{ "TLS", UP_TLS },
		{ "TEXT", UP_TEXT },
		{ "CHUNK", UP_CHUNK },
		{ "DOT", UP_DOT },
	};

	r->stage = UP_COMMAND;
	if (!strv_eq(word, SV("*")))
		r->verb = word;
	for (unsigned i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (strv_eq(word, strv_z(stages[i].word)))
			r->stage = stages[i].stage;
}

static void
rule_line(struct parser *p, struct strv v, bool once)
{
	struct up_script *u = &p->s->up[p->up];
	struct rule      *r;

	u->rule = arena_grow(p->s->a, u->rule, &u->max_rule, u->n_rule + 1, sizeof(*u->rule));
	r = &u->rule[u->n_rule++];
	*r = (struct rule){ .line = p->line, .first = 1, .last = once ? 1 : UINT64_MAX };
	stage_of(r, strv_word(&v));
	for (;;) {
		struct strv rest, word;

		v = strv_trim(v);
		if (v.n > 0 && v.p[0] == '"') {
			r->pattern = script_quoted(p, &v);
			continue;
		}
		rest = v;
		word = strv_word(&rest);
		if (strv_eq(word, SV("from")))
			r->first = script_number(p, strv_word(&rest));
		else if (strv_eq(word, SV("to")))
			r->last = script_number(p, strv_word(&rest));
		else if (strv_eq(word, SV("at")))
			r->at = script_number(p, strv_word(&rest));
		else
			break;
		v = rest;
	}
	while (v.p != NULL)
		action(p, r, script_cut(&v, ';'));
}

static struct up_script *
find_up(struct script *s, struct strv name)
{
	for (unsigned i = 0; i < s->n_up; i++)
		if (strv_eq(s->up[i].name, name))
			return &s->up[i];
	return NULL;
}

/* [NAME] [ADDRESS]: "up" at 127.0.0.1:2525; the next one, without an address, at 2526. */
void
script_up_begin(struct parser *p, struct strv v)
{
	struct script    *s = p->s;
	struct strv       name = strv_word(&v), where = strv_word(&v);
	struct up_script *u;
	const char       *why;

	if (where.n == 0 && strv_chr(name, ':') < name.n) {
		where = name;
		name.n = 0;
	}
	if (name.n == 0)
		name = SV("up");
	u = find_up(s, name);
	if (u == NULL) {
		s->up = arena_grow(s->a, s->up, &s->max_up, s->n_up + 1, sizeof(*s->up));
		u = &s->up[s->n_up++];
		*u = (struct up_script){ .line = p->line, .name = name };
		addr_parse(SV("127.0.0.1"), &u->at.addr);
		u->at.port = (uint16_t)(2524 + s->n_up);
	}
	p->up = (unsigned)(u - s->up);
	if (where.n > 0 && !endpoint_parse(s->a, where, &u->at, &why))
		script_bad(p, why);
}

static void
certificate(struct parser *p, struct up_script *u, struct strv v)
{
	static const char *const kinds[] = { "good", "expired", "wrong-name", "self-signed" };

	for (unsigned i = 0; i < 4; i++)
		if (strv_eq(v, strv_z(kinds[i]))) {
			u->certificate = (enum cert_kind)i;
			return;
		}
	script_bad(p, "a certificate is good, expired, wrong-name or self-signed");
}

/* Words that stand alone. */
static bool
flag(struct up_script *u, struct strv v)
{
	const struct {
		const char *word;
		bool       *flag;
	} flags[] = {
		{ "helo-only", &u->helo_only },
		{ "lax", &u->lax },
		{ "lmtp", &u->lmtp },
		{ "proxy-protocol", &u->proxy },
		{ "auth-required", &u->auth_required },
		{ "tls-1.2", &u->tls12 },
	};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (strv_eq(strv_trim(v), strv_z(flags[i].word))) {
			*flags[i].flag = true;
			return true;
		}
	return false;
}

void
script_up_line(struct parser *p, struct strv v)
{
	struct strv       rest = v, word = strv_word(&rest);
	struct up_script *u = &p->s->up[p->up];

	rest = strv_trim(rest);
	if (strv_eq(word, SV("offers")))
		u->offers = strv_eq(rest, SV("none")) ? SV("") : rest;
	else if (strv_eq(word, SV("offers-in-tls")))
		u->offers_in_tls = strv_eq(rest, SV("none")) ? SV("") : rest;
	else if (strv_eq(word, SV("certificate")))
		certificate(p, u, rest);
	else if (strv_eq(word, SV("cut")))
		u->cut = script_number(p, rest);
	else if (strv_eq(word, SV("on")) || strv_eq(word, SV("once")))
		rule_line(p, rest, strv_eq(word, SV("once")));
	else if (!flag(u, v))
		script_bad(p, "no such word in an upstream");
}
