/*
 * law_auth -- see law_auth.h.
 *
 * Invariant: as in law.c, what a letter comes to is worked out from what it is, and not by the code under test.
 */
#include "config.h"
#include "tests/sim/law_auth.h"

#include <stdlib.h>

#include "tests/sim/dns_sim.h"

#define ARRAY_N(a) (sizeof(a) / sizeof((a)[0]))
#define PASSES     8 /* clients below it may send for good.example */

enum { BY_SPF = 1, BY_DKIM = 2, BY_DMARC = 4, BY_ARC = 8, BY_ALL = 15 };

bool
law_has_dkim(void)
{
	return HAVE_OPENDKIM;
}

/* ---- what it comes to ---- */

const char *
law_word(enum law_word w)
{
	static const char *const words[] = { "none", "pass", "fail", "temperror" };

	return words[w];
}

enum law_word
law_spf(const struct letter *l)
{
	const char *dot = strrchr(l->address, '.');
	unsigned    client = dot == NULL ? 0 : (unsigned)strtoul(dot + 1, NULL, 10);

	if (l->domain == DOMAIN_GOOD)
		return client < PASSES ? WORD_PASS : WORD_FAIL;
	return l->domain == DOMAIN_GONE ? WORD_NONE : WORD_TEMPERROR;
}

/* No signature holds: it is what the letter has, and the key is there or cannot be had. */
enum law_word
law_dkim(const struct letter *l)
{
	if (!l->signature)
		return WORD_NONE;
	return l->key == DOMAIN_GOOD ? WORD_FAIL : WORD_TEMPERROR;
}

/* Signatures are of a domain that aligns with nothing, so a fault there counts for nothing. */
enum law_word
law_dmarc(const struct letter *l)
{
	if (!l->header || l->author == DOMAIN_GONE)
		return WORD_NONE;
	if (l->author != DOMAIN_GOOD)
		return WORD_TEMPERROR;
	return l->domain == DOMAIN_GOOD && law_spf(l) == WORD_PASS ? WORD_PASS : WORD_FAIL;
}

/* ---- fields of ours ---- */

void
law_fields_init(struct law_fields *f)
{
	*f = (struct law_fields){ 0 };
	buf_init(&f->said, 65536);
}

bool
law_fields_take(struct law_fields *f, struct strv line)
{
	bool results = strv_starts(line, SV("Authentication-Results: mx.test;"));
	bool more = f->inside && (line.p[0] == ' ' || line.p[0] == '\t');

	if (!more) {
		bool sign = strv_starts(line, SV("DKIM-Signature: v=1; a=ed25519-sha256;"));
		bool seal = strv_starts(line, SV("ARC-Seal: i=1;"));

		f->results += results;
		f->signatures += sign;
		f->seals += seal;
		f->inside = results || sign || seal ||
		    strv_starts(line, SV("ARC-Message-Signature: i=1;")) ||
		    strv_starts(line, SV("ARC-Authentication-Results: i=1;"));
	}
	f->telling = results || (more && f->telling);
	if (f->telling)
		buf_add(&f->said, line);
	return f->inside;
}

static bool
says(const struct law_fields *f, const char *method, enum law_word word)
{
	char want[60];

	snprintf(want, sizeof(want), "*%s=%s*", method, law_word(word));
	return sim_match(strv_z(want), buf_view(&f->said));
}

static const char *
wrong(const struct law_auth *w, const struct letter *l, const struct law_fields *f)
{
	if (f->results != (w->methods != 0))
		return "Authentication-Results: not one field of ours where one is due, or one too many";
	if (f->signatures != (w->signs && l->header && l->author == DOMAIN_GOOD))
		return "it is not signed, or signed where it should not be";
	if (f->seals != w->seals)
		return "it is not sealed, or sealed where it should not be";
	if ((w->methods & BY_SPF) && !says(f, "spf", law_spf(l)))
		return "the results say something else of SPF";
	if ((w->methods & BY_DKIM) && !says(f, "dkim", law_dkim(l)))
		return "the results say something else of DKIM";
	if ((w->methods & BY_DMARC) && !says(f, "dmarc", law_dmarc(l)))
		return "the results say something else of DMARC";
	if ((w->methods & BY_ARC) && !says(f, "arc", WORD_NONE))
		return "the results say something else of ARC";
	return NULL;
}

const char *
law_fields_wrong(const struct law_auth *w, const struct letter *l, struct law_fields *f)
{
	const char *why = wrong(w, l, f);

	buf_fini(&f->said);
	return why;
}

/* ---- drawing it ---- */

static void
write_records(struct sim *s)
{
	static const struct {
		const char *name, *type, *value;
	} records[] = {
		{ "good.example", "TXT", "v=spf1 ip4:198.51.100.0/29 ip4:203.0.113.0/29 -all" },
		{ "_dmarc.good.example", "TXT", "v=DMARC1; p=none" },
		{ "_dmarc.dim.example", "SERVFAIL", "" },
		{ "_dmarc.mute.example", "TIMEOUT", "" },
		{ "good._domainkey.sig.example", "TXT",
		    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDiCQazgy7cJRKrGcPP+"
		    "QGfW8QUROscw5cmH7BYEdh+HVNuYJJab/mez1quV4pTNmg8rbTYu/LaQc1YxXedtPmcdEDwNDncyDcH"
		    "TbMpulag76opnAvoLN3adUhzDonYsYwue55oyi8aQIBdO+QY5yXFf1U4DqWRed/5acoqesHjJwIDAQA"
		    "B" },
		{ "dim._domainkey.sig.example", "SERVFAIL", "" },
		{ "mute._domainkey.sig.example", "TIMEOUT", "" },
	};
	const char *why = "";

	for (unsigned i = 0; i < ARRAY_N(records); i++)
		if (!sim_dns_add(s->dns, strv_z(records[i].name), strv_z(records[i].type),
			strv_z(records[i].value), &why))
			sim_note(s, "law", "%s: %s", records[i].name, why);
}

static void
draw_delays(struct sim *s)
{
	static const char *const slow[] = { "_dmarc.good.example", "good._domainkey.sig.example",
		"_dmarc.example", "_dmarc.sig.example" };

	for (unsigned i = 0; i < ARRAY_N(slow); i++)
		if (sim_chance(s, 30))
			sim_dns_delay(s->dns, strv_z(slow[i]), sim_below(s, 4000));
}

static void
say_methods(const struct law_auth *w, struct buf *config)
{
	static const char *const words[] = { "spf", "dkim", "dmarc", "arc" };
	const char              *between = "authenticate ";

	for (unsigned i = 0; i < ARRAY_N(words); i++) {
		if (!(w->methods & 1u << i))
			continue;
		buf_printf(config, "%s%s", between, words[i]);
		between = ", ";
	}
	if (w->methods != 0)
		buf_addc(config, '\n');
}

void
law_auth_open(struct law_auth *w, struct sim *s, struct buf *config)
{
	static const char key[] =
	    "-----BEGIN PRIVATE KEY-----\n"
	    "MC4CAQAwBQYDK2VwBCIEIHIOoG06kjTk8BdWBtyT/5OsMVI5p/d1LVZNRXxFhqYg\n"
	    "-----END PRIVATE KEY-----\n";
	size_t at = config->n;

	*w = (struct law_auth){ 0 };
	write_records(s);
	draw_delays(s);
	if (sim_chance(s, 50))
		w->methods = (unsigned)sim_below(s, BY_ALL + 1);
	if (!law_has_dkim())
		w->methods &= BY_SPF | BY_ARC;
	w->signs = sim_chance(s, 25);
	w->seals = sim_chance(s, 20);
	sim_write_file(s, "/k/good.example.pem", strv_z(key));
	say_methods(w, config);
	if (w->signs)
		buf_add(
		    config, SV("sign { good.example } selector k key \"/k/%{from.domain}.pem\"\n"));
	if (w->seals)
		buf_add(config, SV("seal ours.example selector e key \"/k/good.example.pem\"\n"));
	sim_note(s, "law", "%.*s", (int)(config->n - at), config->p + at);
}
