/*
 * dmarc_record -- see dmarc_record.h
 *
 * Whoever owns a name writes what he likes there: the record is read in one pass, and a mistake in one
 * tag costs that tag alone (RFC 9989 4.8), but for p, sp and np, whose mistakes void the whole (4.10.1).
 */
#include "filters/dmarc_record.h"

#include "proxy/mail/tags.h"

enum { P, SP, NP, PSD, T, ADKIM, ASPF, RUA, TAGS };

static const char *const tag_names[TAGS] = { "p", "sp", "np", "psd", "t", "adkim", "aspf", "rua" };

struct stated {
	struct strv value[TAGS];
	unsigned    times[TAGS];
};

const char *
dmarc_asks_word(enum dmarc_asks asks)
{
	static const char *const words[] = { "absent", "none", "quarantine", "reject" };

	return words[asks];
}

/* Names and words are those of an ABNF, whose case does not count (RFC 5234 2.3). */
static void
note_tag(struct stated *s, const struct tag_value *t)
{
	for (unsigned i = 0; i < TAGS; i++) {
		if (!strv_ieq(t->name, strv_z(tag_names[i])))
			continue;
		s->value[i] = s->times[i]++ == 0 ? t->value : (struct strv){ 0 };
		return;
	}
}

static bool
is(const struct stated *s, unsigned tag, const char *word)
{
	return s->value[tag].p != NULL && strv_ieq(s->value[tag], strv_z(word));
}

/* ABSENT: it is none of the three. */
static enum dmarc_asks
asks_of(const struct stated *s, unsigned tag)
{
	for (enum dmarc_asks a = DMARC_ASKS_NONE; a <= DMARC_ASKS_REJECT; a++)
		if (is(s, tag, dmarc_asks_word(a)))
			return a;
	return DMARC_ASKS_ABSENT;
}

static bool
is_uri_octet(char c)
{
	return ascii_is_alpha(c) || ascii_is_digit(c) ||
	    (c != '\0' && strchr("-._~:/?#[]@$&'()*+;=%", c) != NULL);
}

/* RFC 3986 3; RFC 9989 4.8: "!10m" behind it is an old way of limiting reports, and ignored. */
static bool
is_uri(struct strv v)
{
	size_t colon = strv_chr(v, ':'), end = strv_chr(v, '!');

	if (colon == 0 || colon + 1 >= end || !ascii_is_alpha(v.p[0]))
		return false;
	for (size_t i = 0; i < colon; i++)
		if (!ascii_is_alpha(v.p[i]) && !ascii_is_digit(v.p[i]) &&
		    memchr("+-.", v.p[i], 3) == NULL)
			return false;
	for (size_t i = colon; i < end; i++)
		if (!is_uri_octet(v.p[i]))
			return false;
	return !strv_ieq(strv_first(v, colon), SV("mailto")) ||
	    strv_chr(strv_first(v, end), '@') < end;
}

static bool
has_uri(struct strv list)
{
	while (list.p != NULL)
		if (is_uri(strv_trim(strv_cut(&list, ','))))
			return true;
	return false;
}

/*
 * RFC 9989 4.10.1: without a valid p, or with an sp or np that is not, it is as p=none where reports are
 * wanted, and else as if no DMARC were there.
 */
static void
read_asks(const struct stated *s, struct dmarc_record *out)
{
	out->p = asks_of(s, P);
	out->sp = asks_of(s, SP);
	out->np = asks_of(s, NP);
	if (out->p != DMARC_ASKS_ABSENT && (s->times[SP] > 0) == (out->sp != DMARC_ASKS_ABSENT) &&
	    (s->times[NP] > 0) == (out->np != DMARC_ASKS_ABSENT))
		return;
	out->p = DMARC_ASKS_NONE;
	out->sp = out->np = DMARC_ASKS_ABSENT;
	out->mute = !has_uri(s->value[RUA]);
}

bool
dmarc_record_parse(struct strv text, struct dmarc_record *out)
{
	struct stated    s = { 0 };
	struct tag_value t;

	*out = (struct dmarc_record){ 0 };
	/* 4.7: v comes first, and its value's case counts. */
	if (text.n == 0 || !tags_next(&text, &t) || !strv_ieq(t.name, SV("v")) ||
	    !strv_eq(t.value, SV("DMARC1")))
		return false;
	while (text.p != NULL)
		if (tags_next(&text, &t))
			note_tag(&s, &t);
	read_asks(&s, out);
	out->psd = is(&s, PSD, "y") ? DMARC_PSD_Y : is(&s, PSD, "n") ? DMARC_PSD_N : DMARC_PSD_U;
	out->test = is(&s, T, "y");
	out->strict_dkim = is(&s, ADKIM, "s");
	out->strict_spf = is(&s, ASPF, "s");
	return true;
}

bool
dmarc_record_find(const struct strv *texts, unsigned n, struct dmarc_record *out)
{
	struct dmarc_record r;
	unsigned            found = 0;

	*out = (struct dmarc_record){ 0 };
	for (unsigned i = 0; i < n; i++) {
		if (!dmarc_record_parse(texts[i], &r))
			continue;
		found++;
		*out = r;
	}
	return found == 1;
}

enum dmarc_asks
dmarc_record_asks(const struct dmarc_record *r, bool below, bool exists)
{
	enum dmarc_asks asks = r->p;

	if (r->mute)
		return DMARC_ASKS_ABSENT;
	if (below && !exists && r->np != DMARC_ASKS_ABSENT)
		asks = r->np;
	else if (below && r->sp != DMARC_ASKS_ABSENT)
		asks = r->sp;
	/* 4.7, t: one level below what is stated. */
	return r->test && asks > DMARC_ASKS_NONE ? asks - 1 : asks;
}
