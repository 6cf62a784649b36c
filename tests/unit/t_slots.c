/* slots: whatever the order in which replies become known, they are printed in the order of the commands. */
#include "proxy/smtp/slots.h"
#include "tests/unit/t.h"

static struct slots_spare spare;

static struct reply
numbered(uint16_t code, const char *text)
{
	return (struct reply){ code, "2.0.0", strv_z(text) };
}

static void
prints_at_once_when_nothing_is_owed(void)
{
	struct slots s;
	struct reply r = numbered(250, "one");

	slots_init(&s, &spare);
	slots_say(&s, &r);
	T_EQ_TEXT(buf_view(&s.out), "250 2.0.0 one\r\n");
	T_CHECK(!slots_owed(&s));
	T_EQ_NUM(s.printed, 1);
	slots_fini(&s);
}

/* A local refusal behind an upstream reply that has not come must wait for it. */
static void
holds_back_what_is_behind(void)
{
	struct slots s;
	struct slot *first, *third;
	struct reply one = numbered(250, "one"), two = numbered(251, "two"),
		     three = numbered(252, "three");

	slots_init(&s, &spare);
	first = slots_open(&s);
	slots_say(&s, &two);
	third = slots_open(&s);
	T_EQ_NUM(s.out.n, 0);
	slots_fill(&s, third, &three);
	T_EQ_NUM(s.out.n, 0);
	T_CHECK(slots_owed(&s));
	slots_fill(&s, first, &one);
	T_EQ_TEXT(buf_view(&s.out), "250 2.0.0 one\r\n251 2.0.0 two\r\n252 2.0.0 three\r\n");
	T_CHECK(!slots_owed(&s));
	slots_fini(&s);
}

/* What waits has a copy of its text, also of one that is too long for the slot's own room. */
static void
keeps_the_text(void)
{
	static const size_t sizes[] = { 0, 1, SLOT_INLINE - 1, SLOT_INLINE, SLOT_INLINE + 1, 400 };

	for (size_t i = 0; i < T_COUNT(sizes); i++) {
		char         text[500];
		struct slots s;
		struct slot *first;
		struct reply r = { 550, "", strv(text, sizes[i]) }, one = numbered(250, "one");

		memset(text, 'x', sizeof text);
		slots_init(&s, &spare);
		first = slots_open(&s);
		slots_say(&s, &r);
		memset(text, 'y', sizeof text);
		slots_fill(&s, first, &one);
		T_EQ_NUM(s.out.n, 15 + 6 + sizes[i]);
		T_CHECK(memchr(s.out.p, 'y', s.out.n) == NULL);
		slots_fini(&s);
	}
}

/* Every order in which four replies can become known. */
static void
any_order(void)
{
	for (unsigned p = 0; p < 256; p++) {
		unsigned     order[4] = { p & 3, p >> 2 & 3, p >> 4 & 3, p >> 6 & 3 }, seen = 0;
		struct slots s;
		struct slot *slot[4];

		for (unsigned i = 0; i < 4; i++)
			seen |= 1u << order[i];
		if (seen != 15)
			continue;
		slots_init(&s, &spare);
		for (unsigned i = 0; i < 4; i++)
			slot[i] = slots_open(&s);
		for (unsigned i = 0; i < 4; i++) {
			char         text[2] = { (char)('a' + order[i]), '\0' };
			struct reply r = numbered(250, text);

			slots_fill(&s, slot[order[i]], &r);
		}
		T_EQ_TEXT(buf_view(&s.out),
		    "250 2.0.0 a\r\n250 2.0.0 b\r\n250 2.0.0 c\r\n250 2.0.0 d\r\n");
		slots_fini(&s);
	}
}

/* What one session gives back another takes, and no burst leaves more than a few behind. */
static void
gives_back_slots(void)
{
	struct slots s;
	struct slot *slot[40];
	struct reply r = numbered(250, "ok");

	slots_spare_fini(&spare);
	for (unsigned turn = 0; turn < 2; turn++) {
		slots_init(&s, &spare);
		for (unsigned i = 0; i < T_COUNT(slot); i++)
			slot[i] = slots_open(&s);
		T_EQ_NUM(spare.n_free, 0);
		for (unsigned i = 0; i < T_COUNT(slot); i++)
			slots_fill(&s, slot[i], &r);
		T_CHECK(spare.n_free > 0 && spare.n_free < T_COUNT(slot));
		slots_fini(&s);
	}
	slots_spare_fini(&spare);
	T_CHECK(spare.free == NULL && spare.n_free == 0);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(prints_at_once_when_nothing_is_owed);
	T_RUN(holds_back_what_is_behind);
	T_RUN(keeps_the_text);
	T_RUN(any_order);
	T_RUN(gives_back_slots);
	slots_spare_fini(&spare);
	return t_end();
}
