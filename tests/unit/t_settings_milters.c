/*
 * t_settings_milters -- `milter', `plugin', `decide-within': sockets, files, timeouts, every mistake, what `check' shows.
 */
#include "config.h"
#include "proxy/judge.h"
#include "proxy/show.h"
#include "tests/unit/settings_world.h"

/* ---- a world with plugins -------------------------------------------------------------------- */

static enum file_rc
read_plugin(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	if (strcmp(path, "/etc/postern/tag.so") == 0 || strcmp(path, "/usr/lib/size.so") == 0) {
		*out = SV("\177ELF, and more than four octets");
		return out->n > max ? FILE_TOO_BIG : FILE_OK;
	}
	if (strcmp(path, "/etc/postern/secret.so") == 0)
		return FILE_DENIED;
	return read_file(w, a, path, max, out);
}

/* ---- sockets --------------------------------------------------------------------------------- */

static void
takes_sockets(void)
{
	static const struct row {
		const char *text, *want;
	} rows[] = {
		{ "unix:/run/clamav/milter.sock", "unix:/run/clamav/milter.sock" },
		{ "local:/run/m", "unix:/run/m" },
		{ "inet:127.0.0.1:8891", "127.0.0.1:8891" },
		{ "inet:localhost:8891", "127.0.0.1:8891" },
		{ "inet:LocalHost:8891", "127.0.0.1:8891" },
		{ "inet:8891@127.0.0.1", "127.0.0.1:8891" },
		{ "inet:8891@localhost", "127.0.0.1:8891" },
		{ "inet:[2001:db8::1]:65535", "[2001:db8::1]:65535" },
		{ "inet6:[::1]:8891", "[::1]:8891" },
		{ "inet6:8891@::1", "[::1]:8891" },
		{ "inet6:8891@[::1]", "[::1]:8891" },
		{ "inet6:8891@localhost", "[::1]:8891" },
		{ "inet6:localhost:8891", "[::1]:8891" },
	};

	T_TABLE(struct row, r, rows)
	{
		char          text[400], at[ENDPOINT_TEXT];
		struct loaded l;

		t_row = r->text;
		snprintf(text, sizeof(text), BASE "milter m { socket \"%s\" }\n", r->text);
		l = load(text);
		if (is_good(&l) && T_EQ_NUM(l.s->milters.n, 1))
			T_EQ_TEXT(endpoint_print(&l.s->milters.v[0].at, at), r->want);
		unload(&l);
	}
}

static void
points_at_sockets(void)
{
	static const struct mistake rows[] = {
		{ "", 19, "`' is no socket: it begins with `unix:' or `inet:'" },
		{ "/run/m", 19, "is no socket: it begins with" },
		{ "127.0.0.1:8891", 19, "is no socket: it begins with" },
		{ "tcp:127.0.0.1:8891", 19, "is no socket: it begins with" },
		{ "unix:", 19, "the path of a unix socket must begin with `/'" },
		{ "unix:run/m", 19, "the path of a unix socket must begin with `/'" },
		{ "unix:/"
		  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		  "xxxxxxxxxxxxxxxxxxxxxxxx",
		    19, "at most 107 octets" },
		{ "inet:8891", 19, "a port must follow the address" },
		{ "inet:", 19, "a port must follow the address" },
		{ "inet:127.0.0.1:0", 19, "the port must be a number from 1 to 65535" },
		{ "inet:127.0.0.1:65536", 19, "the port must be a number" },
		{ "inet:127.0.0.1:milter", 19, "the port must be a number" },
		{ "inet:0@localhost", 19, "the port must be a number" },
		{ "inet:localhost@8891", 19, "the port must be a number" },
		{ "inet:rspamd.example:11332", 19, "the host must be an IP address or localhost" },
		{ "inet:11332@rspamd.example", 19, "the host must be an IP address or localhost" },
		{ "inet:::1:8891", 19, "an IPv6 address must stand in brackets" },
		{ "inet6:[::1]", 19, "a port must follow the address" },
	};

	T_TABLE(struct mistake, m, rows)
	{
		char text[600];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "milter m { socket \"%s\" }\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

static bool
hints(const struct diags *d, const char *hint)
{
	return d->n > 0 && strv_eq(d->v[0].hint, strv_z(hint));
}

static void
says_what_was_meant(void)
{
	struct loaded l = load(BASE "milter m { socket \"/run/m\" }\n");

	T_CHECK(hints(&l.d, "did you mean \"unix:/run/m\"?"));
	unload(&l);
	l = load(BASE "milter m { socket \"127.0.0.1:8891\" }\n");
	T_CHECK(hints(&l.d, "did you mean \"inet:127.0.0.1:8891\"?"));
	unload(&l);
}

/* ---- the rest of a block --------------------------------------------------------------------- */

static void
has_defaults(void)
{
	struct loaded             l = load(BASE "hostname mx.ours.example\n"
							    "milter a { socket \"unix:/a\" }\n"
							    "check c { when helo is x  reject }\n"
							    "milter b { socket \"unix:/b\" timeout 10s }\n"
							    "milter c2 { socket \"unix:/c\" timeout 90s }\n");
	const struct milter_conf *m = l.s->milters.v;

	if (is_good(&l) && T_EQ_NUM(l.s->milters.n, 3)) {
		T_EQ_TEXT(l.s->milters.hostname, "mx.ours.example");
		T_CHECK(!l.s->milters.dry);
		T_EQ_TEXT(m[0].name, "a");
		T_EQ_NUM(m[0].home, HOME_DAEMON);
		T_EQ_NUM(m[0].timeout, MILTER_TIMEOUT);
		T_EQ_NUM(m[0].timeout_short, MILTER_TIMEOUT_SHORT);
		T_EQ_NUM(m[1].number, 1);
		T_EQ_NUM(m[1].timeout, 10000);
		T_EQ_NUM(m[1].timeout_short, 10000);
		T_EQ_NUM(m[2].timeout, 90000);
		T_EQ_NUM(m[2].timeout_short, MILTER_TIMEOUT_SHORT);
		T_EQ_NUM(l.s->decide_within, 0);
	}
	unload(&l);
	l = load(BASE);
	T_EQ_NUM(l.s->milters.n, 0);
	unload(&l);
}

static void
takes_plugins(void)
{
	struct loaded l = load(
	    BASE "plugin tag { load \"tag.so\" isolated args { \"[EXT]\", \"a b\" } }\n"
		 "plugin size warn { load \"/usr/lib/size.so\" on failure accept }\n");
	const struct milter_conf *m = l.s->milters.v;

	if (is_good(&l) && T_EQ_NUM(l.s->milters.n, 2)) {
		T_EQ_NUM(m[0].home, HOME_ISOLATED);
		T_EQ_STR(m[0].file, "/etc/postern/tag.so");
		T_EQ_NUM(m[0].n_args, 2);
		T_EQ_STR(m[0].args[0], "[EXT]");
		T_EQ_STR(m[0].args[1], "a b");
		T_CHECK(m[0].args[2] == NULL);
		T_EQ_NUM(m[1].home, HOME_INSIDE);
		T_EQ_STR(m[1].file, "/usr/lib/size.so");
		T_EQ_NUM(m[1].n_args, 0);
		T_CHECK(m[1].args[0] == NULL);
	}
	unload(&l);
}

static void
points_at_plugins(void)
{
	static const struct mistake rows[] = {
		{ "plugin p { load \"gone.so\" }", 17,
		    "cannot read the plugin `/etc/postern/gone.so': no such file" },
		{ "plugin p { load \"secret.so\" }", 17, "permission denied" },
		{ "plugin p { load \"\" }", 17, "this cannot be a file" },
		{ "plugin a { load \"/usr/lib/size.so\" }  plugin p { load \"/usr/lib/size.so\" }",
		    55, "plugin a has this object already" },
		{ "plugin p { load \"/usr/lib/size.so\" on failure quarantine }", 47,
		    "nothing says where" },
	};

	T_TABLE(struct mistake, m, rows)
	{
		char text[600];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

static void
has_no_plugins(void)
{
	static const struct mistake m = { "", 8, "`plugin' is not in this build" };

	makes_one(BASE "plugin p { load \"gone.so\" }\n", DIAG_ERROR, 4, &m);
}

static void
needs_a_folder(void)
{
	static const struct mistake m = { "", 41, "nothing says where" };
	struct loaded               l;

	makes_one(
	    BASE "milter m { socket \"unix:/m\"  on failure quarantine }\n", DIAG_ERROR, 4, &m);
	l = load(
	    BASE "quarantine \"/q\"\nmilter m { socket \"unix:/m\"  on failure quarantine }\n");
	(void)is_good(&l);
	unload(&l);
}

/* ---- decide-within --------------------------------------------------------------------------- */

static void
decides_in_time(void)
{
	static const struct mistake rows[] = {
		{ "decide-within 0s", 15, "`0s' is too small" },
		{ "decide-within 11m", 15, "`11m' is too large" },
		{ "decide-within", 1, "a time is missing here" },
		{ "decide-within 5", 15, "a time is expected here" },
		{ "decide-within 5s 6s", 18, "nothing more is expected" },
	};
	static const struct mistake late = { "", 37, "no milter is waited for so long" };
	struct loaded               l = load(
			  BASE "decide-within 10m\nmilter m { socket \"unix:/m\" timeout 10m }\n");

	if (is_good(&l)) {
		T_EQ_NUM(l.s->decide_within, 600000);
		T_EQ_NUM(l.d.n, 0);
	}
	unload(&l);
	makes_one(BASE "milter m { socket \"unix:/m\" timeout 121s }\n", DIAG_WARNING, 4, &late);
	T_TABLE(struct mistake, m, rows)
	{
		char text[600];

		t_row = m->text;
		snprintf(text, sizeof(text), BASE "%s\n", m->text);
		makes_one(text, DIAG_ERROR, 4, m);
	}
}

/* ---- what is shown --------------------------------------------------------------------------- */

struct shown {
	char   text[8000];
	size_t n;
};

static void
keep(struct strv line, void *arg)
{
	struct shown *s = arg;

	s->n += (size_t)snprintf(
	    s->text + s->n, sizeof(s->text) - s->n, "%.*s\n", (int)line.n, line.p);
}

static void
shows_them(void)
{
	struct shown  shown = { .n = 0 };
	struct loaded l = load(BASE
	    "decide-within 1m\n"
	    "milter a { socket \"inet:8891@localhost\" timeout 60s on failure accept }\n"
	    "milter b warn { socket \"unix:/b\" timeout 5s when client is 192.0.2.1 on failure disconnect }\n");

	if (is_good(&l)) {
		show_settings(l.s, l.a, keep, &shown);
		T_CHECK(strstr(shown.text,
			    "milter       a at 127.0.0.1:8891, 30s an answer, 1m the last one;"
			    " if it fails: as if it were not there\n") != NULL);
		T_CHECK(strstr(shown.text,
			    "milter       b at unix:/b, 5s an answer, 5s the last one,"
			    " not of every message, only logged; if it fails: 421 and the end\n") !=
		    NULL);
		T_CHECK(strstr(shown.text,
			    "decided      1m behind the end of a message at the latest\n") != NULL);
		T_CHECK(strstr(shown.text, "what a milter wants in quarantine gets 451") != NULL);
	}
	unload(&l);
}

int
main(void)
{
	world.read_file = read_plugin;
	T_RUN(takes_sockets);
	T_RUN(points_at_sockets);
	T_RUN(says_what_was_meant);
	T_RUN(has_defaults);
	if (HAVE_MILTER) {
		T_RUN(takes_plugins);
		T_RUN(points_at_plugins);
	} else {
		T_RUN(has_no_plugins);
	}
	T_RUN(needs_a_folder);
	T_RUN(decides_in_time);
	T_RUN(shows_them);
	return t_end();
}
