/*
 * t_auth_limits -- auth-failures in `limits': each value that is accepted is one that a client can go beyond.
 */
#include "proxy/base/counters.h"
#include "tests/unit/settings_world.h"

static const struct mistake mistakes[] = {
	{ "limits { auth-failures 0 }", 24, "`0' is too small" },
	{ "limits { auth-failures 251 }", 24, "`251' is too large" },
	{ "limits { auth-failures 1000000 }", 24, "`1000000' is too large" },
};

static void
bounds_what_is_counted(void)
{
	T_TABLE(struct mistake, m, mistakes)
	{
		char text[256];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

/* A thousand failures in a minute are more than any of them. */
static void
the_largest_is_gone_beyond(void)
{
	struct loaded    l = load(BASE "limits { auth-failures 250 }\n");
	struct counters *c = counters_new(1);
	unsigned         n = 0;

	if (is_good(&l)) {
		for (unsigned i = 0; i < 1000; i++)
			n = counters_auth_failed(c, 0, 1, 60 + i / 20);
		T_CHECK(n > l.s->smtp.limits.auth_failures);
	}
	counters_free(c);
	unload(&l);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(bounds_what_is_counted);
	T_RUN(the_largest_is_gone_beyond);
	return t_end();
}
