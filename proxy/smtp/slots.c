/*
 * slots -- the order of replies.  Nothing here knows what a reply is about; the invariant is that a
 * printed reply never stands in front of one whose command came earlier.
 */
#include "proxy/smtp/slots.h"

#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/io.h"

#define SLOTS_OUT_MAX (1024 * 1024)
#define SLOTS_KEEP    4

void
slots_init(struct slots *s)
{
	memset(s, 0, sizeof *s);
	buf_init(&s->out, SLOTS_OUT_MAX);
}

static void
slot_free(struct slot *slot)
{
	mem_free(slot->heap);
	mem_free(slot);
}

static void
slots_free_list(struct slot *slot)
{
	while (slot != NULL) {
		struct slot *next = slot->next;

		slot_free(slot);
		slot = next;
	}
}

void
slots_fini(struct slots *s)
{
	slots_free_list(s->head);
	slots_free_list(s->free);
	s->head = s->tail = s->free = NULL;
	buf_fini(&s->out);
}

static void
print(struct slots *s, const struct reply *r)
{
	reply_print(&s->out, r, s->utf8);
	s->printed++;
}

/* A reply that must wait outlives whoever owns its text. */
static void
keep(struct slot *slot, const struct reply *r)
{
	char *to = slot->room;

	if (r->text.n > sizeof slot->room)
		to = slot->heap = mem_alloc(r->text.n);
	if (r->text.n > 0)
		memcpy(to, r->text.p, r->text.n);
	slot->reply = *r;
	slot->reply.text = strv(to, r->text.n);
	slot->filled = true;
}

static void
put_away(struct slots *s, struct slot *slot)
{
	if (slot->heap != NULL) {
		slot_free(slot);
		return;
	}
	slot->next = s->free;
	s->free = slot;
}

static struct slot *
take_head(struct slots *s)
{
	struct slot *slot = s->head;

	s->head = slot->next;
	if (s->head == NULL)
		s->tail = NULL;
	return slot;
}

/* All filled heads are printed. */
static void
print_heads(struct slots *s)
{
	while (s->head != NULL && s->head->filled) {
		struct slot *slot = take_head(s);

		print(s, &slot->reply);
		put_away(s, slot);
	}
}

struct slot *
slots_open(struct slots *s)
{
	struct slot *slot = s->free;

	if (slot != NULL)
		s->free = slot->next;
	else
		slot = mem_alloc(sizeof *slot);
	slot->next = NULL;
	slot->filled = false;
	slot->heap = NULL;
	if (s->tail != NULL)
		s->tail->next = slot;
	else
		s->head = slot;
	s->tail = slot;
	return slot;
}

void
slots_say(struct slots *s, const struct reply *r)
{
	if (s->head == NULL)
		print(s, r);
	else
		keep(slots_open(s), r);
}

void
slots_fill(struct slots *s, struct slot *slot, const struct reply *r)
{
	assert(!slot->filled);
	if (slot != s->head) {
		keep(slot, r);
		return;
	}
	print(s, r);
	put_away(s, take_head(s));
	print_heads(s);
}

struct buf *
slots_print(struct slots *s)
{
	assert(s->head == NULL);
	s->printed++;
	return &s->out;
}

/* A session that waits keeps no more than a few slots and no printed text. */
static bool
flush(struct slots *s, struct conn *io, bool (*queue)(struct conn *, struct strv))
{
	bool ok = true;

	if (s->out.n > 0)
		ok = !s->out.full && queue(io, buf_view(&s->out));
	if (s->out.room > 0)
		buf_fini(&s->out);
	if (s->head == NULL && s->free != NULL) {
		slots_free_list(s->free);
		s->free = NULL;
	}
	return ok;
}

bool
slots_flush(struct slots *s, struct conn *io)
{
	return flush(s, io, conn_queue_v);
}

bool
slots_flush_last(struct slots *s, struct conn *io, bool stays)
{
	return flush(s, io, stays || io->tls != NULL ? conn_queue_last : conn_queue_bye);
}
