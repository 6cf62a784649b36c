/*
 * session_count -- numbers for who watches: they follow the log line by line, and nothing decides by them.
 */
#include "proxy/smtp/session_count.h"

static void
count(struct session *s, enum counter k, uint64_t by)
{
	counters_add(s->smtp->counters, s->smtp->place, k, (int64_t)by);
}

static enum counter
outcome_of(const struct session *s, const struct reply *r)
{
	const struct transaction *tx = session_tx(s);

	switch (s->relay.outcome) {
	case OUTCOME_TAKEN:
		/* Into quarantine, by a server of its own. */
		return envelope_taken(&tx->env) > 0 && tx->verdict.kind == VERDICT_QUARANTINE ?
		    COUNTER_QUARANTINED :
		    COUNTER_ACCEPTED;
	case OUTCOME_QUARANTINED:
		return COUNTER_QUARANTINED;
	case OUTCOME_UNKNOWN:
		return COUNTER_UNKNOWN;
	case OUTCOME_DISCARDED:
		return COUNTER_DISCARDED;
	default:
		return r->code / 100 == 4 ? COUNTER_DEFERRED : COUNTER_REFUSED;
	}
}

static enum counter
bucket_of(uint64_t ms)
{
	static const struct {
		uint64_t     most;
		enum counter k;
	} ends[] = { { 100, COUNTER_MS_100 }, { 1000, COUNTER_MS_1000 },
		{ 10000, COUNTER_MS_10000 }, { 60000, COUNTER_MS_60000 } };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ms <= ends[i].most)
			return ends[i].k;
	return COUNTER_MS_MORE;
}

enum counter
session_count_message(struct session *s, const struct reply *r, uint64_t ms)
{
	enum counter outcome = outcome_of(s, r);

	count(s, outcome, 1);
	count(s, COUNTER_OCTETS_IN, session_tx(s)->msg.octets);
	count(s, bucket_of(ms), 1);
	count(s, COUNTER_MS_SUM, ms);
	return outcome;
}

void
session_count_refusal(struct session *s, const struct reply *r, bool theirs)
{
	if (r->code < 500)
		count(s, theirs ? COUNTER_UPSTREAM_4XX : COUNTER_OURS_4XX, 1);
	else
		count(s, theirs ? COUNTER_UPSTREAM_5XX : COUNTER_OURS_5XX, 1);
}
