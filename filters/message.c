/*
 * message -- facts of the text: its size, its header.
 *
 * What a reader would see is what the policy gets: fields are unfolded and decoded.  Hidden fields
 * are not there.  From may stand twice, and hold several addresses: the first of the first counts, and the
 * source says what else there is.
 */
#include "filters/filters.h"
#include "proxy/base/arena.h"
#include "proxy/mail/decode.h"
#include "proxy/mail/mailboxes.h"

enum {
	FIELDS_MAX = 100,  /* of one name that are decoded */
	TEXTS_MAX = 131072 /* octets of all of them together */
};

enum { MESSAGE_SIZE, HEADER, FROM_ADDRESS, FROM_DOMAIN, RECEIVED };

/* clang-format off */
static const struct fact_def facts[] = {
	{ .own = MESSAGE_SIZE, .name = "message.size", .type = FACT_NUMBER, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "octets of the message as it came" },
	{ .own = HEADER, .name = "header", .type = FACT_TEXTS, .first = STAGE_MESSAGE, .args = "s", .cost = COST_TEXT,
	    .about = "texts of the fields of that name, decoded to UTF-8; absent: there is none" },
	{ .own = FROM_ADDRESS, .name = "from.address", .type = FACT_TEXT, .address = true, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "first address of From, its domain in lower case; absent: there is none" },
	{ .own = FROM_DOMAIN, .name = "from.domain", .type = FACT_TEXT, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "its domain, in lower case" },
	{ .own = RECEIVED, .name = "received", .type = FACT_NUMBER, .first = STAGE_MESSAGE, .cost = COST_TEXT,
	    .about = "fields Received of the message" },
	{ 0 }
};
/* clang-format on */

static unsigned
count_fields(const struct message *m, struct strv name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_h; i++)
		if (!m->h[i].hidden && strv_ieq(header_name(&m->h[i]), name))
			n++;
	return n;
}

static void
ask_header(struct fact *f, const struct message *m)
{
	unsigned     n = count_fields(m, f->arg), at = 0;
	size_t       room = TEXTS_MAX;
	struct strv *v;

	n = n < FIELDS_MAX ? n : FIELDS_MAX;
	v = arena_array(f->a, n, sizeof(*v));
	for (unsigned i = 0; i < m->n_h && at < n; i++) {
		const struct header *h = &m->h[i];

		if (h->hidden || !strv_ieq(header_name(h), f->arg))
			continue;
		v[at] = decode_text(f->a, header_value(h), room);
		room -= v[at++].n;
	}
	f->v.texts.v = v;
	f->v.texts.n = n;
	f->source = n == 1 ? SV("header") : arena_printf(f->a, "header, %u fields", n);
}

static void
ask_from(struct fact *f, const struct message *m)
{
	unsigned             fields = count_fields(m, SV("From"));
	const struct header *h = message_find(m, SV("From"), 0);
	struct mailboxes     all = { 0 };

	if (h != NULL)
		mailboxes_parse(f->a, header_value(h), &all);
	f->v.text = f->def->own == FROM_DOMAIN ? all.first.domain : all.first.text;
	f->source = SV("From");
	if (all.n > 1)
		f->source = arena_printf(f->a, "From, the first of %u addresses", all.n);
	if (fields != 1)
		f->source = arena_printf(
		    f->a, "%.*s, %u fields", (int)f->source.n, f->source.p, fields);
}

static enum filter_rc
message_ask(void *self, struct fact *f, const struct mail *m)
{
	(void)self;
	if (m->msg == NULL || !m->msg->headers_done)
		return FILTER_BUG;
	f->source = SV("message");
	switch (f->def->own) {
	case MESSAGE_SIZE:
		f->v.number = (int64_t)m->msg->octets;
		break;
	case HEADER:
		ask_header(f, m->msg);
		break;
	case FROM_ADDRESS:
	case FROM_DOMAIN:
		ask_from(f, m->msg);
		break;
	default:
		f->v.number = count_fields(m->msg, SV("Received"));
	}
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

const struct filter message_filter = {
	.name = "message",
	.facts = facts,
	.ask = message_ask,
};
