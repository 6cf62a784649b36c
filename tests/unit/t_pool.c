/*
 * Which server of a pool: ranks, room, and shares by weight.  Over written-down servers; nothing
 * is opened.
 */
#include "proxy/smtp/pool_own.h"
#include "tests/unit/t.h"

#define SERVERS 4

struct house {
	struct server      conf[SERVERS];
	struct pool_server sv[SERVERS];
	struct pool        p;
};

static void
build(struct house *h, unsigned n, const unsigned *weight)
{
	*h = (struct house){ 0 };
	h->p.sv = h->sv;
	h->p.n = n;
	for (unsigned i = 0; i < n; i++) {
		h->conf[i].weight = weight != NULL ? weight[i] : 1;
		h->conf[i].connections = 100000;
		h->conf[i].auth_connections = 1;
		h->sv[i].conf = &h->conf[i];
		h->sv[i].pool = &h->p;
		h->sv[i].index = i;
		h->sv[i].known = true;
	}
	pool_weigh(&h->p);
}

static struct pool_server *
choose(struct house *h)
{
	static const struct pool_wish any;
	struct pool_errand            e = { .pool = &h->p, .wish = &any };

	return pool_choose(&e);
}

/* --- ranks ------------------------------------------------------------------------------------ */

/*
 * A server: u up, d down, r refuses new connections, l late, t the same and to be tried, n never heard of; upper
 * case: a backup.  With a digit behind it: 0 no room, 1 an idle connection as well, 2 offers the mechanism.
 */
static void
describe(struct house *h, const char *text)
{
	unsigned n = 0;

	build(h, SERVERS, NULL);
	for (; *text != '\0'; text++) {
		struct pool_server *sv = &h->sv[n > 0 ? n - 1 : 0];

		if (*text == '0') {
			h->conf[n - 1].connections = 1;
			sv->n_open = 1;
		} else if (*text == '1') {
			sv->n_idle = sv->n_open = 1;
		} else if (*text == '2') {
			sv->ehlo.auth = 2;
		} else {
			sv = &h->sv[n];
			h->conf[n++].backup = *text < 'a';
			sv->down = (*text | 32) == 'd';
			sv->refusing = (*text | 32) == 'r';
			sv->known = (*text | 32) != 'n';
			sv->silence.trial = (*text | 32) == 't';
			sv->silence.late = (*text | 32) == 'l' || sv->silence.trial;
		}
	}
	h->p.n = n;
}

#define NOBODY 9  /* none is left: the last error is the answer */
#define WAIT   10 /* one is left, and has no room */

static const struct {
	const char *servers;
	uint64_t    tried, avoid;
	uint32_t    auth;
	unsigned    want;
} ranked[] = {
	{ "u", 0, 0, 0, 0 },
	{ "u", 1, 0, 0, NOBODY },
	/* one server alone is asked whatever is known of it */
	{ "d", 0, 0, 0, 0 },
	{ "n", 0, 0, 0, 0 },
	{ "r", 0, 0, 0, 0 },
	{ "u", 0, 1, 0, 0 },
	{ "U", 0, 0, 0, 0 },
	/* the dead are not asked while another lives, be it busy, avoided or tried */
	{ "du", 0, 0, 0, 1 },
	{ "nu", 0, 0, 0, 1 },
	{ "du0", 0, 0, 0, WAIT },
	{ "du", 0, 2, 0, 1 },
	{ "du", 2, 0, 0, NOBODY },
	{ "dd", 1, 0, 0, 1 },
	{ "dd", 3, 0, 0, NOBODY },
	{ "dd", 0, 1, 0, 1 },
	/* backups: only while every other is down, or has failed this very errand */
	{ "Uu", 0, 0, 0, 1 },
	{ "Uu0", 0, 0, 0, WAIT },
	{ "Ud", 0, 0, 0, 0 },
	{ "UDd", 0, 0, 0, 0 },
	{ "Dd", 0, 0, 0, 1 },
	{ "Dd", 2, 0, 0, 0 },
	{ "Uu", 2, 0, 0, 0 },
	{ "Uu", 0, 2, 0, 0 },
	{ "Uu", 0, 3, 0, 1 },
	{ "Ur", 0, 0, 0, 1 },
	{ "Ur", 2, 0, 0, 0 },
	/* one that turns connections away comes after its like, but for one that idles */
	{ "ru", 0, 0, 0, 1 },
	{ "ru0", 0, 0, 0, WAIT },
	{ "r1u0", 0, 0, 0, 0 },
	{ "ru", 2, 0, 0, 0 },
	/* one that is late: after its like and after backups, before those that failed this errand and the dead */
	{ "l", 0, 0, 0, 0 },
	{ "ll", 1, 0, 0, 1 },
	{ "lu", 0, 0, 0, 1 },
	{ "l1u", 0, 0, 0, 1 },
	{ "lu0", 0, 0, 0, WAIT },
	{ "lU", 0, 0, 0, 1 },
	{ "Lr", 0, 0, 0, 1 },
	{ "lr", 0, 0, 0, 1 },
	{ "lL", 0, 0, 0, 0 },
	{ "lu", 2, 0, 0, 0 },
	{ "lu", 0, 2, 0, 0 },
	{ "ld", 0, 0, 0, 0 },
	/* but the one session that tries it */
	{ "tu", 2, 0, 0, 0 },
	{ "tu", 0, 0, 0, 0 },
	{ "tU", 0, 0, 0, 0 },
	{ "t0U", 0, 0, 0, 1 },
	{ "t0u0", 0, 0, 0, WAIT },
	{ "t0", 0, 0, 0, WAIT },
	/* avoided: as long as another is up */
	{ "uu", 0, 1, 0, 1 },
	{ "uu", 0, 2, 0, 0 },
	{ "uu0", 0, 1, 0, WAIT },
	{ "uu", 1, 1, 0, 1 },
	/* mechanisms */
	{ "uu2", 0, 0, 2, 1 },
	{ "uu", 0, 0, 2, NOBODY },
	{ "u2d", 1, 0, 2, NOBODY },
	{ "u2u", 1, 0, 2, NOBODY },
	{ "n", 0, 0, 2, 0 },
	/* room */
	{ "u0u", 0, 0, 0, 1 },
	{ "u0u0", 0, 0, 0, WAIT },
};

static void
ranks(void)
{
	for (size_t i = 0; i < T_COUNT(ranked); i++) {
		struct house        h;
		struct pool_wish    wish = { .avoid = ranked[i].avoid, .auth = ranked[i].auth };
		struct pool_errand  e = { .pool = &h.p, .wish = &wish, .tried = ranked[i].tried };
		struct pool_server *sv;
		bool                left;

		t_row = ranked[i].servers;
		describe(&h, ranked[i].servers);
		left = pool_any_left(&e);
		sv = pool_choose(&e);
		T_EQ_NUM(sv != NULL ? sv->index : left ? WAIT : NOBODY, ranked[i].want);
		/* That it was to be tried is over with the choice. */
		h.sv[0].silence.trial = *ranked[i].servers == 't';
		T_CHECK(sv == NULL || pool_suits(&e, sv, false));
		t_row = NULL;
	}
}

/* One session at a time tries a server that is late. */
static void
one_tries(void)
{
	struct house h;

	describe(&h, "tU");
	T_EQ_NUM(choose(&h)->index, 0);
	T_CHECK(h.sv[0].silence.late && !h.sv[0].silence.trial);
	T_EQ_NUM(choose(&h)->index, 1);
}

/* A connection of it that comes back is as good as any, though it would make no new one. */
static void
one_in_hand(void)
{
	struct house       h;
	struct pool_wish   wish = { 0 };
	struct pool_errand e = { .pool = &h.p, .wish = &wish };

	describe(&h, "ru0");
	T_CHECK(pool_suits(&e, &h.sv[0], true));
	T_CHECK(!pool_suits(&e, &h.sv[0], false));
	describe(&h, "du0");
	T_CHECK(!pool_suits(&e, &h.sv[0], true));
	wish.avoid = 1;
	describe(&h, "uu0");
	T_CHECK(!pool_suits(&e, &h.sv[0], true));
}

/* Bound connections have places of their own. */
static void
room(void)
{
	struct pool_server sv;
	struct house       h;

	build(&h, 1, NULL);
	h.conf[0].connections = 2;
	h.conf[0].auth_connections = 3;
	for (unsigned open = 0; open < 6; open++)
		for (unsigned bound = 0; bound <= open && bound < 4; bound++) {
			sv = h.sv[0];
			sv.n_open = open;
			sv.n_bound = bound;
			T_EQ_NUM(pool_has_room(&sv, false), open - bound < 2);
			T_EQ_NUM(pool_has_room(&sv, true), bound < 3);
		}
	sv = h.sv[0];
	sv.n_open = 2;
	sv.n_idle = 1;
	T_CHECK(pool_has_room(&sv, false));
	T_EQ_NUM(pool_in_use(&sv), 1);
	sv.n_making = 2; /* while one that failed is being taken out */
	T_EQ_NUM(pool_in_use(&sv), 0);
}

/* --- weight ----------------------------------------------------------------------------------- */

static const struct {
	unsigned n, weight[SERVERS], times, want[SERVERS];
} shares[] = {
	{ 1, { 1 }, 10, { 10 } },
	{ 2, { 1, 1 }, 10, { 5, 5 } },
	{ 2, { 1, 3 }, 40, { 10, 30 } },
	{ 2, { 100, 300 }, 40, { 10, 30 } },
	{ 3, { 1, 1, 1 }, 30, { 10, 10, 10 } },
	{ 4, { 5, 3, 2, 10 }, 200, { 50, 30, 20, 100 } },
	{ 2, { 1, 1000 }, 1001, { 1, 1000 } },
	{ 2, { 1000, 999 }, 1999, { 1000, 999 } },
};

/* Clients one after the other (keep 0), or all at the same time. */
static void
share(unsigned keep)
{
	for (size_t i = 0; i < T_COUNT(shares); i++)
		for (unsigned start = 0; start < shares[i].n; start++) {
			struct house h;
			unsigned     got[SERVERS] = { 0 };

			build(&h, shares[i].n, shares[i].weight);
			h.p.start = start;
			for (unsigned k = 0; k < shares[i].times; k++) {
				struct pool_server *sv = choose(&h);

				got[sv->index]++;
				sv->n_open += keep;
			}
			for (unsigned k = 0; k < shares[i].n; k++)
				T_EQ_NUM(got[k], shares[i].want[k]);
		}
}

static void
shares_one_by_one(void)
{
	share(0);
}

static void
shares_at_once(void)
{
	share(1);
}

static void
first_of_equals_is_where_it_starts(void)
{
	for (unsigned start = 0; start < 3; start++) {
		struct house h;

		build(&h, 3, NULL);
		h.p.start = start;
		for (unsigned k = 0; k < 6; k++)
			T_EQ_NUM(choose(&h)->index, (start + k) % 3);
	}
}

/*
 * One that never finishes gets hardly any more than its like: shares of what came before do not
 * outweigh it.
 */
static void
slow_server_gets_less(void)
{
	struct house h;
	unsigned     slow = 0;

	build(&h, 2, NULL);
	for (unsigned i = 0; i < 1000; i++) {
		struct pool_server *sv = choose(&h);

		if (sv->index == 0) {
			sv->n_open++;
			slow++;
		}
	}
	T_CHECK(slow >= 1 && slow <= 3);
}

/* It was away while others worked: it has no claim to what it missed. */
static void
no_claim_after_a_rest(void)
{
	struct house h;
	unsigned     got = 0;

	build(&h, 2, NULL);
	h.sv[0].down = true;
	for (unsigned i = 0; i < 1000; i++)
		T_EQ_NUM(choose(&h)->index, 1);
	h.sv[0].down = false;
	for (unsigned i = 0; i < 20; i++)
		got += choose(&h)->index == 0;
	T_CHECK(got >= 10 && got <= 12);
}

int
main(void)
{
	T_RUN(ranks);
	T_RUN(one_tries);
	T_RUN(one_in_hand);
	T_RUN(room);
	T_RUN(shares_one_by_one);
	T_RUN(shares_at_once);
	T_RUN(first_of_equals_is_where_it_starts);
	T_RUN(slow_server_gets_less);
	T_RUN(no_claim_after_a_rest);
	return t_end();
}
