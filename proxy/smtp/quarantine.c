/*
 * quarantine -- the head of a quarantined message: written once, read again by whoever releases it.
 *
 * Invariant: what was printed parses to the same, whatever strangers put into names and addresses: no value
 * holds a line end, so none can pass for another field.
 */
#include "proxy/smtp/quarantine.h"

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"

static struct strv *
one(struct quarantined *q, unsigned i)
{
	struct strv *const at[] = { &q->id, &q->check, &q->reason, &q->time, &q->client,
		&q->listener, NULL, &q->tls, &q->user, &q->sender };

	return at[i];
}

/* clang-format off */
enum { HELO = 6, USER = 8, RCPT = 10, OCTETS = 11, N_FIELDS = 12 };
static const struct field {
	const char *name;
	bool        needed;
} fields[N_FIELDS] = {
	{ "X-Postern-Quarantine: ", true },
	{ "X-Postern-Check: ",      true },
	{ "X-Postern-Reason: ",     false },
	{ "X-Postern-Time: ",       true },
	{ "X-Postern-Client: ",     true },
	{ "X-Postern-Listener: ",   true },
	{ "X-Postern-Helo: ",       false },
	{ "X-Postern-TLS: ",        false },
	{ "X-Postern-User: ",       false },
	{ "X-Postern-Sender: ",     true },
	{ "X-Postern-Recipient: ",  true },
	{ "X-Postern-Octets: ",     true },
};
/* clang-format on */

static void
add(struct buf *out, unsigned i, struct strv v)
{
	buf_add(out, strv_z(fields[i].name));
	for (size_t k = 0; k < v.n; k++)
		buf_addc(out, (unsigned char)v.p[k] < ' ' || v.p[k] == 0x7f ? '?' : v.p[k]);
	buf_add(out, SV("\r\n"));
}

struct strv
quarantine_print(struct arena *a, const struct quarantined *given)
{
	struct quarantined q = *given;
	struct buf         out;
	struct strv        all;

	buf_init(&out, QUARANTINE_HEAD);
	for (unsigned i = 0; i < RCPT; i++)
		if (i == HELO && q.helo.p != NULL)
			add(&out, i, arena_concat(a, q.esmtp ? SV("EHLO ") : SV("HELO "), q.helo));
		else if (i != HELO && one(&q, i)->p != NULL)
			add(&out, i, *one(&q, i));
	for (unsigned i = 0; i < q.n_rcpt; i++)
		add(&out, RCPT, q.rcpt[i]);
	add(&out, OCTETS, arena_printf(a, "%llu", (unsigned long long)q.octets));
	/* What could not be read again is not kept. */
	all = out.full || q.n_rcpt > QUARANTINE_RCPTS ? (struct strv){ NULL, 0 } :
							arena_dup(a, buf_view(&out));
	buf_fini(&out);
	return all;
}

static bool
no(const char **why, const char *text)
{
	*why = text;
	return false;
}

/* Which field the line is, from `first' on; N_FIELDS: none. */
static unsigned
find(struct strv line, unsigned first)
{
	unsigned i = first;

	while (i < N_FIELDS && !strv_starts(line, strv_z(fields[i].name)))
		i++;
	return i;
}

static bool
take(struct arena *a, struct quarantined *q, unsigned i, struct strv value, unsigned *max)
{
	if (i == HELO) {
		q->esmtp = strv_starts(value, SV("EHLO "));
		q->helo = strv_from(value, value.n < 5 ? value.n : 5);
		return value.n > 5;
	}
	if (i == OCTETS)
		return strv_number(value, UINT64_MAX / 2, &q->octets);
	if (i != RCPT) {
		*one(q, i) = value;
		/* A token alone said who it was (sasl.c): a user without a name. */
		return value.n > 0 || i == USER;
	}
	q->rcpt = arena_grow(a, q->rcpt, max, q->n_rcpt + 1, sizeof *q->rcpt);
	q->rcpt[q->n_rcpt++] = value;
	return q->n_rcpt <= QUARANTINE_RCPTS;
}

static struct strv
line_of(struct strv *rest)
{
	struct strv line = strv_cut(rest, '\n');

	return line.n > 0 && line.p[line.n - 1] == '\r' ? strv_first(line, line.n - 1) : line;
}

/* From one field to the next none that is needed may be missing. */
static bool
in_order(unsigned from, unsigned to)
{
	while (from < to && !fields[from].needed)
		from++;
	return from == to;
}

bool
quarantine_parse(
    struct arena *a, struct strv text, struct quarantined *q, size_t *used, const char **why)
{
	struct strv rest = text;
	unsigned    at = 0, max = 0;

	*q = (struct quarantined){ 0 };
	while (at <= OCTETS) {
		struct strv line = line_of(&rest);
		unsigned    i = find(line, at == OCTETS ? RCPT : at);
		bool        again = i == RCPT && at == OCTETS;

		if (i == N_FIELDS || (!again && !in_order(at, i)))
			return no(why, "it does not begin with the fields that Postern writes");
		if (!take(a, q, i, strv_from(line, strlen(fields[i].name)), &max))
			return no(why, fields[i].name);
		at = i + 1;
	}
	*used = rest.p == NULL ? text.n : text.n - rest.n;
	return true;
}

bool
quarantine_id_good(struct strv id)
{
	for (size_t i = 0; i < id.n; i++)
		if (!ascii_is_digit(id.p[i]) && id.p[i] != '.' &&
		    !(id.p[i] >= 'a' && id.p[i] <= 'z'))
			return false;
	return id.n > 0 && id.n <= QUARANTINE_ID;
}
