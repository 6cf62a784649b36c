/*
 * moods -- how the mail server of the seeded sessions misbehaves, by chance.
 *
 * Invariant: it never says 250 for a message that it does not keep; whatever else it says or does
 * not say, it may have kept it.
 */
#include "tests/sim/moods.h"

static void
says(struct up_answer *a, const char *z)
{
	a->says = true;
	a->say = strv_z(z);
}

static void
connect_trouble(struct sim *s, struct up_answer *a)
{
	if (sim_chance(s, 70))
		a->refuse = true;
	else
		a->black_hole = true;
}

static void
greeting_trouble(struct sim *s, struct up_answer *a)
{
	switch (sim_below(s, 6)) {
	case 0:
		says(a, "421 4.3.2 too busy\r\n");
		a->drop = true;
		break;
	case 1:
		says(a, "554 5.3.2 go away\r\n");
		break;
	case 2:
		says(a, "SSH-2.0-OpenSSH\r\n");
		break;
	case 3:
		a->stall = true;
		break;
	case 4:
		a->drop = true;
		break;
	default:
		a->delay = sim_below(s, 8000);
		break;
	}
}

static void
command_trouble(struct sim *s, struct up_answer *a)
{
	static const char *const replies[] = { "450 4.2.0 later\r\n", "550 5.1.1 no\r\n",
		"452 4.3.1 no space\r\n", "552 5.2.2 full\r\n",
		"550-5.1.1 no\r\n550 5.1.1 never\r\n", "450 4.2.0 later\r\n", "550 5.1.1 no\r\n",
		"550 no code\r\n",
		/* nonsense from here on */
		"550-no\r\n250 ok\r\n", "150 what\r\n", "999 what\r\n", "\r\n", "hello?\r\n",
		"25\r\n", "\xff\xfe\r\n", "354 go\r\n250 done\r\n",
		"451 4.3.0 a\r\n451 4.3.0 b\r\n" };

	switch (sim_below(s, 10)) {
	case 0:
		says(a, "421 4.3.2 closing\r\n");
		a->drop = true;
		break;
	case 1:
		a->drop = true;
		break;
	case 2:
		a->reset = true;
		break;
	case 3:
		a->stall = sim_chance(s, 30);
		a->delay = sim_below(s, 5000);
		break;
	case 4:
		a->delay = sim_below(s, 400000);
		break;
	default:
		says(a, replies[sim_below(s, sizeof(replies) / sizeof(replies[0]))]);
		break;
	}
}

static void
text_trouble(struct sim *s, struct up_answer *a)
{
	switch (sim_below(s, 6)) {
	case 0:
		a->drop = true;
		break;
	case 1:
		a->reset = true;
		break;
	case 2:
		says(a, "421 4.3.2 closing\r\n");
		a->drop = true;
		break;
	case 3:
		a->stall = true;
		break;
	default:
		a->deaf = sim_below(s, 100000);
		break;
	}
}

static void
end_trouble(struct sim *s, struct up_answer *a)
{
	a->commit = sim_chance(s, 50);
	switch (sim_below(s, 9)) {
	case 0:
		a->drop = true;
		break;
	case 1:
		a->reset = true;
		break;
	case 2:
		a->stall = true;
		break;
	case 3:
		a->delay = sim_below(s, 900000);
		break;
	case 4:
		says(a, "421 4.3.2 closing\r\n");
		a->drop = true;
		a->commit = false;
		break;
	case 5:
		says(a, "250-2.0.0 Ok\r\n550 5.0.0 no\r\n");
		break;
	case 6:
		says(a, "550-5.0.0 no\r\n250 2.0.0 Ok\r\n");
		a->commit = false;
		break;
	case 7:
		says(a, "354 more?\r\n");
		break;
	default:
		says(a, sim_chance(s, 50) ? "550 5.7.1 spam\r\n" : "451 4.7.1 later\r\n");
		a->commit = false;
		break;
	}
}

bool
moods_decide(struct sim *s, unsigned trouble, const struct up_moment *m, struct up_answer *a)
{
	/* Text is asked about again and again. */
	if (sim_below(s, m->stage == UP_TEXT ? 20000 : 1000) >= trouble) {
		if (m->stage == UP_TEXT)
			return false;
		a->delay = sim_chance(s, 15) ? sim_below(s, 300) : 0;
		return true;
	}
	switch (m->stage) {
	case UP_CONNECT:
		connect_trouble(s, a);
		break;
	case UP_GREETING:
		greeting_trouble(s, a);
		break;
	case UP_TEXT:
		text_trouble(s, a);
		break;
	case UP_COMMAND:
	case UP_CHUNK:
	case UP_AUTH:
		command_trouble(s, a);
		break;
	case UP_TLS:
		a->drop = sim_chance(s, 50);
		a->stall = !a->drop;
		break;
	case UP_DOT:
		end_trouble(s, a);
		break;
	}
	return true;
}
