/*
 * lookup -- answers of the DNS as facts tell of them.
 *
 * A source is for explain and the log: it names each question that was asked, in order, and is cut where
 * a stranger's names would make it long.
 */
#include "filters/lookup.h"

#include "proxy/base/arena.h"

enum { TOLD_RECORDS = 4, TOLD_TEXT = 100, SOURCE_OCTETS = 1000 };

enum filter_rc
lookup_rc(enum dns_rc rc)
{
	switch (rc) {
	case DNS_OK:
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		return FILTER_OK;
	case DNS_BAD:
		return FILTER_BUG;
	case DNS_CANCELLED:
		return FILTER_CANCELLED;
	case DNS_TEMP:
		break;
	}
	return FILTER_TEMP;
}

static struct strv
record_text(struct arena *a, const struct dns_record *r)
{
	char text[ADDR_TEXT];

	if (r->addr.family != ADDR_NONE)
		return arena_dup(a, addr_print(&r->addr, text));
	if (r->text.n == 0)
		return SV(".");
	return strv_first(r->text, r->text.n < TOLD_TEXT ? r->text.n : TOLD_TEXT);
}

void
lookup_say(struct fact *f, struct strv words)
{
	if (f->source.n + words.n + 2 > SOURCE_OCTETS)
		return;
	f->source = f->source.n == 0 ?
	    arena_dup(f->a, words) :
	    arena_concat(f->a, arena_concat(f->a, f->source, SV("; ")), words);
}

void
lookup_told(struct fact *f, uint16_t type, struct strv name, enum dns_rc rc,
    const struct dns_answer *answer)
{
	struct arena *a = arena_new(1024, 0);
	struct strv   all = arena_printf(a, "%s %.*s %s", dns_type_name(type), (int)name.n, name.p,
            rc == DNS_OK ? "" : dns_rc_name(rc));

	for (unsigned i = 0; rc == DNS_OK && i < answer->n && i <= TOLD_RECORDS; i++) {
		all = arena_concat(a, all, i == 0 ? SV("") : SV(", "));
		all = arena_concat(
		    a, all, i < TOLD_RECORDS ? record_text(a, &answer->v[i]) : SV("..."));
	}
	lookup_say(f, all);
	arena_free(a);
}
