/*
 * law -- see law.h.  A check is a condition on what a letter or its client is, a stage, effects and a verdict.
 *
 * Invariant: what a check comes to is a function of the letter alone: the DNS always gives a name the same answer,
 * if after a while that is drawn.
 */
#include "tests/sim/law.h"

#include <stdlib.h>

#include "policy/patterns.h"
#include "tests/sim/dns_sim.h"

#define ARRAY_N(a) (sizeof(a) / sizeof((a)[0]))

enum truth { NO, YES, UNKNOWN };

/* ---- what it comes to ---- */

static unsigned
client_of(const struct letter *l)
{
	const char *dot = strrchr(l->address, '.');

	return dot == NULL ? 0 : (unsigned)strtoul(dot + 1, NULL, 10);
}

static bool
within(const struct law_check *c, unsigned n)
{
	return n >= c->from && n <= c->to;
}

/* The list has every third client, and gives no answer for every seventh. */
static enum truth
listed(unsigned client)
{
	return client % 7 == 6 ? UNKNOWN : client % 3 == 0 ? YES : NO;
}

static enum truth
truth_of(const struct law_check *c, const struct letter *l, unsigned rcpt)
{
	char helo[32];

	switch (c->about) {
	case ABOUT_CLIENT:
		return within(c, client_of(l)) ? YES : NO;
	case ABOUT_LISTED:
		return listed(client_of(l));
	case ABOUT_HELO:
		snprintf(helo, sizeof(helo), "client%u.example", c->from);
		return strcmp(l->helo, helo) == 0 ? YES : NO;
	case ABOUT_RESOLVES:
		return l->domain == DOMAIN_GOOD ? NO : l->domain == DOMAIN_GONE ? YES : UNKNOWN;
	case ABOUT_SENDER:
		return l->domain == DOMAIN_GONE ? YES : NO;
	case ABOUT_RCPT:
		return within(c, rcpt) ? YES : NO;
	case ABOUT_SUBJECT:
		return l->odd ? YES : NO;
	case ABOUT_SPF:
		return law_spf(l) == c->word ? YES : NO;
	case ABOUT_DMARC:
		return law_dmarc(l) == c->word ? YES : NO;
	case ABOUT_DKIM:
		return law_dkim(l) == c->word ? YES : NO;
	default:
		return l->boom ? UNKNOWN : NO;
	}
}

/* With `and': the tag is no or yes, and no is no whatever the other is. */
static enum truth
comes_to(const struct law *w, unsigned i, const struct letter *l, unsigned rcpt)
{
	const struct law_check *c = &w->check[i];

	if (c->tag >= 0 && comes_to(w, (unsigned)c->tag, l, rcpt) != YES)
		return NO;
	return truth_of(c, l, rcpt);
}

/* The first final verdict of the stages. */
static struct law_says
first_of(const struct law *w, const struct letter *l, unsigned rcpt, enum stage from, enum stage to)
{
	struct law_says none = { -1, VERDICT_NONE, false };

	for (unsigned at = from; at <= (unsigned)to; at++)
		for (unsigned i = 0; i < w->n; i++) {
			const struct law_check *c = &w->check[i];
			enum truth              t = comes_to(w, i, l, rcpt);
			enum verdict_kind       k = t == YES ? c->then :
				  t == UNKNOWN               ? c->unknown :
							       VERDICT_NONE;

			if ((unsigned)c->at == at && k != VERDICT_NONE && !c->warn)
				return (struct law_says){ (int)i, k, t == YES && c->away };
		}
	return none;
}

struct law_says
law_before(const struct law *w, const struct letter *l)
{
	return first_of(w, l, 0, STAGE_CONNECT, STAGE_MAIL);
}

struct law_says
law_rcpt(const struct law *w, const struct letter *l, unsigned i)
{
	return first_of(w, l, i, STAGE_RCPT, STAGE_RCPT);
}

struct law_says
law_behind(const struct law *w, const struct letter *l)
{
	return first_of(w, l, 0, STAGE_DATA, STAGE_MESSAGE);
}

/* ---- edits ---- */

/* It has fired, and nothing final stands in front of it. */
static bool
has_effect(const struct law *w, unsigned i, const struct letter *l)
{
	int  last = law_behind(w, l).check;
	bool behind = last >= 0 &&
	    (w->check[i].at > w->check[last].at ||
		(w->check[i].at == w->check[last].at && (int)i > last));

	return !behind && comes_to(w, i, l, 0) == YES;
}

/* No field of ours, or one that a check that has fired has added. */
static bool
is_wanted(const struct law *w, const struct letter *l, struct strv line, unsigned *seen)
{
	char want[80];

	for (unsigned i = 0; i < w->n; i++) {
		snprintf(want, sizeof(want), "X-Law-%u: law %s", i, l->address);
		if (!strv_eq(line, strv_z(want)))
			continue;
		if (*seen & 1u << i)
			return false;
		*seen |= 1u << i;
		return w->check[i].adds && has_effect(w, i, l);
	}
	return false;
}

static bool
all_seen(const struct law *w, const struct letter *l, unsigned seen)
{
	for (unsigned i = 0; i < w->n; i++)
		if (w->check[i].adds && has_effect(w, i, l) && !(seen & 1u << i))
			return false;
	return true;
}

static void
should_be(const struct law *w, const struct letter *l, struct buf *out)
{
	struct strv all = buf_view(&l->text);
	bool        cut = false;

	for (unsigned i = 0; i < w->n; i++)
		cut |= w->check[i].deletes && has_effect(w, i, l);
	buf_add(out, strv_first(all, l->old_at));
	buf_add(out, strv_from(all, l->old_at + (cut ? l->old_n : 0)));
}

/* A body that had no header gets an empty line behind the fields. */
static bool
same(struct strv have, struct strv want, bool added)
{
	if (strv_eq(have, want))
		return true;
	return added && strv_starts(have, SV("\r\n")) && strv_eq(strv_from(have, 2), want);
}

const char *
law_text_wrong(const struct law *w, const struct letter *l, struct strv text, bool added)
{
	const char       *wrong = NULL, *more;
	unsigned          seen = 0;
	struct buf        have, want;
	struct law_fields ours;

	law_fields_init(&ours);
	buf_init(&have, WIRE_MAX);
	buf_init(&want, WIRE_MAX);
	while (text.n > 0 && wrong == NULL) {
		size_t      n = strv_chr(text, '\n');
		struct strv line = strv_first(text, n < text.n ? n + 1 : n);

		text = strv_from(text, line.n);
		if (law_fields_take(&ours, line))
			continue;
		if (!strv_starts(line, SV("X-Law-")))
			buf_add(&have, line);
		else if (!is_wanted(w, l, strv_first(line, line.n - 2), &seen))
			wrong = "it has a field that no check has added, or one twice";
	}
	should_be(w, l, &want);
	if (wrong == NULL && !all_seen(w, l, seen))
		wrong = "a field that a check has added is not there";
	added |= seen != 0 || ours.results + ours.signatures + ours.seals > 0;
	if (wrong == NULL && !same(buf_view(&have), buf_view(&want), added))
		wrong = "the text differs";
	more = law_fields_wrong(&w->auth, l, &ours);
	wrong = wrong != NULL ? wrong : more;
	buf_fini(&have);
	buf_fini(&want);
	return wrong;
}

/* ---- drawing it ---- */

static enum stage
earliest(enum law_about about)
{
	switch (about) {
	case ABOUT_CLIENT:
	case ABOUT_LISTED:
		return STAGE_CONNECT;
	case ABOUT_RCPT:
		return STAGE_RCPT;
	case ABOUT_SUBJECT:
	case ABOUT_BOOM:
	case ABOUT_DMARC:
	case ABOUT_DKIM:
		return STAGE_MESSAGE;
	default:
		return STAGE_MAIL;
	}
}

/* Not auth: a client that does not authenticate never comes there. */
static enum stage
draw_stage(struct sim *s, enum law_about about)
{
	static const enum stage later[] = { STAGE_MAIL, STAGE_RCPT, STAGE_DATA, STAGE_MESSAGE,
		STAGE_MESSAGE };
	enum stage              at = earliest(about), other = later[sim_below(s, ARRAY_N(later))];

	if (about == ABOUT_RCPT || other < at || sim_chance(s, 50))
		return at;
	return other;
}

static enum verdict_kind
draw_verdict(struct sim *s, enum stage at)
{
	static const enum verdict_kind kinds[] = { VERDICT_NONE, VERDICT_NONE, VERDICT_REJECT,
		VERDICT_TEMPFAIL, VERDICT_DISCONNECT, VERDICT_DISCARD, VERDICT_QUARANTINE,
		VERDICT_QUARANTINE };
	enum verdict_kind              k = kinds[sim_below(s, ARRAY_N(kinds))];

	if (at == STAGE_MESSAGE && sim_chance(s, 40))
		return VERDICT_QUARANTINE;
	return verdict_legal(k, at) ? k : VERDICT_NONE;
}

/* Tags of a stage before ours; not of one that is asked for each recipient. */
static int
draw_tag(const struct law *w, enum stage at)
{
	unsigned i;

	if (w->n == 0 || at == STAGE_RCPT || !sim_chance(w->sim, 25))
		return -1;
	i = (unsigned)sim_below(w->sim, w->n);
	if (w->check[i].warn || w->check[i].at > at || w->check[i].at == STAGE_RCPT)
		return -1;
	return (int)i;
}

/* What is not in this build cannot be asked for. */
static enum law_about
draw_about(struct sim *s)
{
	enum law_about about = (enum law_about)sim_below(s, ABOUT_DKIM + 1);

	if (!patterns_here() && (about == ABOUT_SUBJECT || about == ABOUT_BOOM))
		return ABOUT_LISTED;
	return !law_has_dkim() && about >= ABOUT_DMARC ? ABOUT_SPF : about;
}

static void
draw_check(struct law *w)
{
	struct sim      *s = w->sim;
	struct law_check c = { .tag = -1 };

	c.about = draw_about(s);
	c.word = (enum law_word)sim_below(s, WORD_TEMPERROR + 1);
	c.from = (unsigned)sim_below(s, c.about == ABOUT_RCPT ? 3 : 25);
	c.to = c.from + (unsigned)sim_below(s, 4);
	c.at = draw_stage(s, c.about);
	c.then = draw_verdict(s, c.at);
	c.unknown = sim_chance(s, 50) ? VERDICT_TEMPFAIL : VERDICT_NONE;
	c.away = c.then == VERDICT_QUARANTINE && sim_chance(s, 50);
	c.warn = sim_chance(s, 10);
	c.tag = draw_tag(w, c.at);
	c.adds = c.at != STAGE_RCPT && !c.warn && sim_chance(s, 40);
	c.deletes = c.at != STAGE_RCPT && !c.warn && sim_chance(s, 20);
	w->check[w->n++] = c;
}

/* ---- saying it ---- */

static void
say_condition(const struct law_check *c, struct buf *out)
{
	switch (c->about) {
	case ABOUT_CLIENT:
		buf_printf(out,
		    "client in { 198.51.100.%u-198.51.100.%u, 203.0.113.%u-203.0.113.%u }", c->from,
		    c->to, c->from, c->to);
		break;
	case ABOUT_LISTED:
		buf_printf(out, "dnsbl(\"bl.example\") = 127.0.0.4");
		break;
	case ABOUT_HELO:
		buf_printf(out, "helo is client%u.example", c->from);
		break;
	case ABOUT_RESOLVES:
		buf_printf(out, "not sender.domain resolves");
		break;
	case ABOUT_SENDER:
		buf_printf(out, "sender.domain is gone.example");
		break;
	case ABOUT_RCPT:
		buf_printf(out, "rcpt.local is r%u", c->from);
		for (unsigned i = c->from + 1; i <= c->to; i++)
			buf_printf(out, ", r%u", i);
		break;
	case ABOUT_SUBJECT:
		buf_printf(out, "header(\"Subject\") matches \"\\bodd\\b\"");
		break;
	case ABOUT_BOOM:
		buf_printf(out, "header(\"X-Boom\") matches \"^(a+)+$\"");
		break;
	case ABOUT_SPF:
		buf_printf(out, "spf is %s", law_word(c->word));
		break;
	case ABOUT_DMARC:
		buf_printf(out, "dmarc is %s", law_word(c->word));
		break;
	case ABOUT_DKIM:
		buf_printf(out, "dkim is %s", law_word(c->word));
		break;
	}
}

static void
say_final(const struct law_check *c, unsigned i, struct buf *out)
{
	buf_printf(out, " %s", verdict_word(c->then));
	if (c->away)
		buf_printf(out, " to " LAW_TO);
	if (c->then == VERDICT_REJECT)
		buf_printf(out, " 554 5.7.%u \"%s no\"", i + 1,
		    c->at < STAGE_MAIL ? "%{client.ip} %%{sender}" : "%{helo} %{sender}");
}

static void
say_check(const struct law *w, unsigned i, struct buf *out)
{
	const struct law_check *c = &w->check[i];
	struct sim             *s = w->sim;

	buf_printf(out, "check c%u%s { at %s when (", i, c->warn ? " warn" : "", stage_word(c->at));
	say_condition(c, out);
	buf_printf(out, ")");
	if (c->tag >= 0)
		buf_printf(out, " and tag.t%d", c->tag);
	if (c->unknown != VERDICT_NONE)
		buf_printf(out, " on unknown %s", verdict_word(c->unknown));
	buf_printf(out, " tag t%u", i);
	if (sim_chance(s, 10))
		buf_printf(out, " delay %us", 1 + (unsigned)sim_below(s, 20));
	if (sim_chance(s, 20))
		buf_printf(out, " log \"%%{client.name} %s\"",
		    c->at < STAGE_MAIL ? "%%{sender}" : "%{sender}");
	if (c->adds)
		buf_printf(out, " add-header \"X-Law-%u\" \"law %%{client.ip}\"", i);
	if (c->deletes)
		buf_printf(out, " delete-header \"X-Old\"");
	if (c->then != VERDICT_NONE)
		say_final(c, i, out);
	buf_printf(out, " }\n");
}

/* ---- the DNS ---- */

static void
record(struct sim *s, const char *name, const char *type, const char *value)
{
	const char *why = "";

	if (!sim_dns_add(s->dns, strv_z(name), strv_z(type), strv_z(value), &why))
		sim_note(s, "law", "%s %s: %s", name, type, why);
}

static void
write_list(struct sim *s)
{
	static const char *const nets[] = { "100.51.198", "113.0.203" };
	char                     name[64];

	record(s, "2.0.0.127.bl.example", "A", "127.0.0.2");
	for (unsigned net = 0; net < ARRAY_N(nets); net++)
		for (unsigned i = 1; i <= 25; i++) {
			enum truth t = listed(i);

			snprintf(name, sizeof(name), "%u.%s.bl.example", i, nets[net]);
			if (t == UNKNOWN)
				record(s, name, i % 2 ? "SERVFAIL" : "TIMEOUT", "");
			else if (t == YES)
				record(s, name, "A", "127.0.0.4");
			else if (i % 5 == 0)
				record(s, name, "A", "127.0.0.9");
		}
}

static void
write_dns(struct sim *s)
{
	static const char *const slow[] = { "good.example", "gone.example", "dim.example" };

	record(s, "good.example", "MX", "10 mx.good.example");
	record(s, "dim.example", "SERVFAIL", "");
	record(s, "mute.example", "TIMEOUT", "");
	write_list(s);
	sim_dns_keep(s->dns, sim_chance(s, 30) ? 1000 : 300000);
	sim_dns_delay(s->dns, (struct strv){ NULL, 0 }, sim_below(s, 3000));
	for (unsigned i = 0; i < ARRAY_N(slow); i++)
		if (sim_chance(s, 20))
			sim_dns_delay(s->dns, strv_z(slow[i]), sim_below(s, 4000));
}

void
law_open(struct law *w, struct sim *s, struct buf *config)
{
	unsigned n = sim_chance(s, 25) ? 0 : 1 + (unsigned)sim_below(s, LAW_CHECKS);

	*w = (struct law){ .sim = s };
	write_dns(s);
	law_auth_open(&w->auth, s, config);
	w->at_stage = sim_chance(s, 30);
	buf_printf(config, "quarantine \"" LAW_KEPT "\"\n");
	if (w->at_stage)
		buf_printf(config, "reject-at stage\n");
	for (unsigned i = 0; i < n; i++) {
		size_t at = config->n;

		draw_check(w);
		say_check(w, i, config);
		sim_note(s, "law", "%.*s", (int)(config->n - at) - 1, config->p + at);
	}
}
