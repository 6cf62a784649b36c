/*
 * slots -- the order of replies.  Nothing here knows what a reply is about; the invariant is that a
 * printed reply never stands in front of one whose command came earlier.
 */
#include "proxy/smtp/slots.h"

#include <assert.h>

#include "proxy/base/arena.h"
#include "proxy/base/io.h"

#define SLOTS_OUT_MAX (1024 * 1024)
#define SPARE_SLOTS   16
#define SPARE_ROOM    4096

void
slots_init(struct slots *s, struct slots_spare *spare)
{
	memset(s, 0, sizeof *s);
	s->spare = spare;
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
	s->head = s->tail = NULL;
	buf_fini(&s->out);
}

void
slots_spare_fini(struct slots_spare *spare)
{
	slots_free_list(spare->free);
	mem_free(spare->text);
	*spare = (struct slots_spare){ 0 };
}

/* Where replies are printed: memory of an earlier burst, where there is some. */
static struct buf *
out(struct slots *s)
{
	struct slots_spare *spare = s->spare;

	if (s->out.room == 0 && spare->text != NULL) {
		s->out.p = spare->text;
		s->out.room = spare->room;
		spare->text = NULL;
	}
	return &s->out;
}

static void
give_back(struct slots *s)
{
	struct slots_spare *spare = s->spare;

	if (spare->text == NULL && s->out.room <= SPARE_ROOM) {
		spare->text = s->out.p;
		spare->room = s->out.room;
		buf_init(&s->out, SLOTS_OUT_MAX);
	} else
		buf_fini(&s->out);
}

static void
print(struct slots *s, const struct reply *r)
{
	reply_print(out(s), r, s->utf8);
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
	struct slots_spare *spare = s->spare;

	if (slot->heap != NULL || spare->n_free == SPARE_SLOTS) {
		slot_free(slot);
		return;
	}
	slot->next = spare->free;
	spare->free = slot;
	spare->n_free++;
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
	struct slot *slot = s->spare->free;

	if (slot != NULL) {
		s->spare->free = slot->next;
		s->spare->n_free--;
	} else
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
	return out(s);
}

/* A session that waits keeps no printed text. */
static bool
flush(struct slots *s, struct conn *io, bool (*queue)(struct conn *, struct strv))
{
	bool ok = true;

	if (s->out.n > 0)
		ok = !s->out.full && queue(io, buf_view(&s->out));
	if (s->out.room > 0)
		give_back(s);
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
