/*
 * t_hangs -- callbacks of an isolated plugin that do not come back: which are counted, how many are too many.
 */
#include "config.h"
#include "tests/unit/t.h"

#if HAVE_MILTER
#include <libmilter/mfapi.h>

static char *made_getsymval(SMFICTX *ctx, char *name);
#define smfi_getsymval made_getsymval
#include "proxy/hosts/culprit.c" /* of postern-plugind alone, which has no library */
#include "proxy/hosts/hangs.c"

static void
how_many_are_too_many(void)
{
	static const struct {
		unsigned old, running;
		bool     want;
	} row[] = {
		{ 0, 0, false },
		{ 0, 100, false },
		{ 1, 1, false }, /* a message that this one cannot digest */
		{ 2, 2, true },
		{ 2, 4, true },
		{ 2, 5, false },
		{ 7, 15, false },
		{ 7, 14, true },
		{ 8, 1000, true },
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		T_CHECKF(
		    hangs_too_many(&(struct hangs){ row[i].running, row[i].old }) == row[i].want,
		    "%u of %u", row[i].old, row[i].running);
}

/* One callback that calls another, as if that ran in another thread meanwhile. */
static struct smfiDesc d;
static bool            says_progress;
static struct hangs    seen;
static char            outer, inner; /* contexts */
static unsigned        blames;       /* seconds: those older are noted; 0: nobody */

static char *
made_getsymval(SMFICTX *ctx, char *name)
{
	(void)name;
	return ctx == (SMFICTX *)(void *)&outer ? (char *)"outer" : (char *)"inner";
}

static sfsistat
at_eom(SMFICTX *ctx)
{
	(void)ctx;
	(void)hangs_look();
	if (says_progress)
		hangs_progress((SMFICTX *)(void *)&outer);
	seen = hangs_look();
	if (blames > 0)
		hangs_blame(blames);
	return SMFIS_DISCARD;
}

static sfsistat
at_helo(SMFICTX *ctx, char *name)
{
	(void)ctx;
	T_EQ_STR(name, "mx");
	(void)hangs_look();
	(void)hangs_look();
	return d.xxfi_eom((SMFICTX *)(void *)&inner);
}

static struct hangs
play(void)
{
	char name[] = "mx";

	T_EQ_NUM(d.xxfi_helo((SMFICTX *)(void *)&outer, name), SMFIS_DISCARD);
	return seen;
}

static void
what_runs_is_counted(void)
{
	struct hangs h;

	d = (struct smfiDesc){ .xxfi_eom = at_eom, .xxfi_helo = at_helo };
	hangs_count(&d);
	T_CHECK(d.xxfi_eom == at_eom); /* no limit, nothing is in the way */
	hangs_limit(2001);
	T_EQ_NUM(hangs_seconds(), 3);
	hangs_count(&d);
	T_CHECK(d.xxfi_eom != at_eom && d.xxfi_close == NULL);
	h = play();
	T_EQ_NUM(h.running, 2);
	T_EQ_NUM(h.old, 1);
	says_progress = true;
	h = play();
	T_EQ_NUM(h.running, 2);
	T_EQ_NUM(h.old, 0);
	h = hangs_look();
	T_EQ_NUM(h.running, 0);
}

/* The outer one has run for four seconds, the inner one for two. */
static void
who_is_to_blame(void)
{
	int fd;

	says_progress = false;
	us = getpid();
	page = blame_new(&fd);
	if (!T_CHECK(page != NULL))
		return;
	blames = 4;
	(void)play();
	T_EQ_NUM(blame_count(page), 0);
	blames = 3;
	(void)play();
	T_EQ_NUM(blame_count(page), 1);
	T_CHECK(blame_holds(page, 0, blame_id("outer", 5)));
	blames = 1;
	(void)play();
	T_EQ_NUM(blame_count(page), 3);
	T_CHECK(blame_holds(page, 1, blame_id("outer", 5)) &&
	    blame_holds(page, 1, blame_id("inner", 5)));
	/* Who has returned runs no more. */
	hangs_blame(0);
	T_EQ_NUM(blame_count(page), 3);
	blame_free(page);
	page = NULL;
	close(fd);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	how_many_are_too_many();
	what_runs_is_counted();
	who_is_to_blame();
	return t_end();
}

#else

int
main(void)
{
	T_SKIP("--without-libmilter");
	return t_end();
}

#endif
