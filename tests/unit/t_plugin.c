/*
 * t_plugin -- filters that live in this process: loading, what callbacks get and return, smfi_*.
 */
#include "config.h"

#if HAVE_MILTER
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tests/unit/plugin_stand.h"

static const char *
said(struct buf *b)
{
	buf_addc(b, '\0');
	b->n--;
	return b->p;
}

/* ---- loading ---- */

static const char *const two_args[] = { "one", "two words", NULL };

static const struct load_case {
	const char        *file;
	const char *const *args;
	const char        *why; /* a part of it; NULL: it loads */
} loads[] = {
	{ "tests/unit/plugin/hook", NULL, NULL },
	{ "tests/unit/plugin/hook", two_args, NULL },
	{ "tests/unit/plugin/init", NULL, NULL },
	{ "tests/unit/plugin/init", two_args, "it takes no args" },
	{ "tests/unit/plugin/absent", NULL, "cannot open shared object file" },
	{ "tests/unit/plugin/none", NULL, "exports neither `struct smfiDesc smfilter' nor" },
	{ "tests/unit/plugin/both", NULL, "exports both" },
	{ "tests/unit/plugin/version", NULL, "made for another libmilter, version 0x2000000" },
	{ "tests/unit/plugin/silent", NULL, "did not register a filter" },
	{ "tests/unit/plugin/fails", NULL, "plugin_init() returned 7" },
	{ "tests/unit/plugin/lacks", NULL, "smfi_no_such_function" },
	{ "tests/unit/plugin/inside", NULL, "a libmilter of its own inside" },
};

static void
loads_or_says_why_not(void)
{
	T_TABLE(struct load_case, c, loads)
	{
		t_row = c->file;
		configure(c->file, c->args);
		for (unsigned again = 0; again < 2; again++) { /* also from what is kept */
			bool good = open_end();

			T_CHECKF(good == (c->why == NULL), "open: %.*s", (int)why.n, why.p);
			if (!good && c->why != NULL) {
				T_EQ_NUM(open_rc, MILTER_REFUSED);
				T_CHECKF(memmem(why.p, why.n, c->why, strlen(c->why)) != NULL,
				    "why: %.*s", (int)why.n, why.p);
			}
			close_end();
		}
		plugin_unload_all();
	}
}

/* dlopen() would look for both among the libraries of the system. */
static void
a_name_without_a_slash_is_here(void)
{
	char        was[PATH_MAX];
	struct strv reason;

	T_CHECK(getcwd(was, sizeof(was)) != NULL);
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(chdir(arena_printf(
		    arena, "%.*s", (int)(strlen(conf.file) - strlen("hook.so")), conf.file)
			  .p) == 0);
	conf.file = "hook.so";
	T_CHECK(plugin_load(arena, &conf, &reason) != NULL);
	plugin_unload_all();
	conf.file = "libm.so.6";
	T_CHECK(plugin_load(arena, &conf, &reason) == NULL);
	T_CHECKF(strv_starts(reason, SV("./libm.so.6: cannot open")), "why: %.*s", (int)reason.n,
	    reason.p);
	plugin_unload_all();
	T_CHECK(chdir(was) == 0);
}

static int
refuse_args(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)ctx;
	(void)b;
	if (strcmp(which, "args") != 0)
		return SMFIS_CONTINUE;
	T_EQ_NUM(n, 3);
	T_CHECK(((char *const *)a)[3] == NULL);
	return 5;
}

static void
args_are_handed_over(void)
{
	configure("tests/unit/plugin/hook", two_args);
	T_CHECK(open_end());
	T_EQ_STR(said(&story), "args(p one two words) negotiate() ");
	close_end();
	plugin_unload_all();
	play = refuse_args;
	buf_clear(&story);
	T_CHECK(!open_end());
	T_EQ_TEXT(why, "plugin_args() returned 5: it refuses its args");
	T_CHECK(!open_end()); /* and is not asked once more */
	T_EQ_STR(said(&story), "args(p one two words) ");
}

static void
one_object_is_one_plugin(void)
{
	struct milter_conf other;
	struct strv        reason;

	configure("tests/unit/plugin/hook", NULL);
	other = conf;
	other.name = SV("q");
	T_CHECK(plugin_load(arena, &conf, &reason) != NULL);
	T_CHECK(plugin_load(arena, &other, &reason) == NULL);
	T_EQ_TEXT(reason, "plugin p has this object already: give each a copy of its own");
	T_CHECK(plugin_load(arena, &conf, &reason) != NULL);
}

/* ---- negotiation ---- */

static const struct negotiate_case {
	const char   *name;
	int           returns;
	unsigned long actions, steps;   /* what it wants */
	uint32_t      offered;          /* protocol; actions are all */
	const char   *why;              /* NULL: agreed */
	uint32_t      got_actions, got; /* what comes of it */
} negotiations[] = {
	{ "all options", SMFIS_ALL_OPTS, 0, 0, 0x1fffff, NULL, 0x1ff, SMFIP_SKIP },
	{ "all options, no SKIP offered", SMFIS_ALL_OPTS, 0, 0, 0x37f, NULL, 0x1ff, 0 },
	{ "its own", SMFIS_CONTINUE, SMFIF_ADDHDRS, SMFIP_NOBODY | SMFIP_NR_HDR, 0x1fffff, NULL,
	    SMFIF_ADDHDRS, SMFIP_NOBODY | SMFIP_NR_HDR },
	{ "a missing NR is made up for", SMFIS_CONTINUE, 0, SMFIP_NR_HDR, 0x37f, NULL, 0, 0 },
	{ "DATA and UNKNOWN it can do without", SMFIS_CONTINUE, 0, SMFIP_NODATA | SMFIP_NOUNKNOWN,
	    0x7f, NULL, 0, 0 },
	{ "an action that is not there", SMFIS_CONTINUE, 0x200, 0, 0x1fffff,
	    "it wants to do what is not offered", 0, 0 },
	{ "a step that is not there", SMFIS_CONTINUE, 0, SMFIP_HDR_LEADSPC, 0x37f,
	    "it wants a protocol that is not offered", 0, 0 },
	{ "it refuses", SMFIS_REJECT, 0, 0, 0x1fffff, "its xxfi_negotiate refuses", 0, 0 },
	{ "large chunks are not for one of that age", SMFIS_CONTINUE, 0, SMFIP_MDS_1M, 0x301fffff,
	    NULL, 0, 0 },
};

static const struct negotiate_case *negotiating;

static int
negotiate_so(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	const unsigned long *offered = a;
	unsigned long       *wants = (unsigned long *)(uintptr_t)b;

	(void)ctx;
	(void)n;
	if (strcmp(which, "negotiate") != 0)
		return SMFIS_CONTINUE;
	T_EQ_NUM(offered[0], 0x1ff);
	T_EQ_NUM(offered[1] & 0xff080, 0xff080 & ~0x700); /* NR flags: all, in any case */
	T_EQ_NUM(wants[0], 0x1ff);
	T_EQ_NUM(wants[1], negotiating->offered & SMFIP_SKIP);
	wants[0] = negotiating->actions;
	wants[1] = negotiating->steps;
	return negotiating->returns;
}

static void
negotiates(void)
{
	play = negotiate_so;
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct negotiate_case, c, negotiations)
	{
		t_row = c->name;
		negotiating = c;
		offer.protocol = c->offered;
		buf_clear(&story);
		if (open_end()) {
			T_CHECK(c->why == NULL);
			T_EQ_NUM(agreed.version, 6);
			T_EQ_NUM(agreed.actions, c->got_actions);
			T_EQ_NUM(agreed.protocol, c->got);
		} else {
			T_EQ_TEXT(why, c->why);
			T_EQ_NUM(open_rc, MILTER_REFUSED);
			T_CHECK(strstr(said(&story), "close()") != NULL);
		}
		close_end();
	}
	offer.protocol = 0x1fffff;
}

/* Without xxfi_negotiate: flags as registered, no step without a callback. */
static void
negotiates_by_its_description(void)
{
	configure("tests/unit/plugin/init", NULL);
	offer.version = 4;
	T_CHECK(open_end());
	T_EQ_NUM(agreed.version, 4);
	T_EQ_NUM(agreed.actions, SMFIF_ADDHDRS);
	T_EQ_NUM(agreed.protocol,
	    SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOMAIL | SMFIP_NORCPT | SMFIP_NODATA |
		SMFIP_NOEOH | SMFIP_NOBODY | SMFIP_NOUNKNOWN);
	close_end();
	offer.version = 6;
	offer.actions = 0;
	T_CHECK(!open_end());
	T_EQ_TEXT(why, "it wants to do what is not offered");
	offer.actions = 0x1ff;
}

static int
set_lists(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)a;
	(void)b;
	(void)n;
	if (strcmp(which, "negotiate") != 0)
		return SMFIS_CONTINUE;
	T_EQ_NUM(smfi_setsymlist(ctx, SMFIM_HELO, (char *)"j {x}"), MI_SUCCESS);
	T_EQ_NUM(smfi_setsymlist(ctx, SMFIM_HELO, (char *)"i"), MI_FAILURE); /* once */
	T_EQ_NUM(smfi_setsymlist(ctx, SMFIM_EOM, (char *)""), MI_FAILURE);
	T_EQ_NUM(smfi_setsymlist(ctx, SMFIM_EOM, NULL), MI_FAILURE);
	T_EQ_NUM(smfi_setsymlist(ctx, 7, (char *)"i"), MI_FAILURE);
	T_EQ_NUM(smfi_setsymlist(ctx, -1, (char *)"i"), MI_FAILURE);
	return SMFIS_ALL_OPTS;
}

static void
macro_lists_are_asked_for(void)
{
	play = set_lists;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	T_EQ_TEXT(agreed.macros[MILTER_AT_HELO], "j {x}");
	T_CHECK(agreed.macros[MILTER_AT_EOM].p == NULL);
	close_end();
}

/* ---- what callbacks get ---- */

static char peer_seen[INET6_ADDRSTRLEN + 64];

static int
see_peer(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	const struct sockaddr_in  *in = b;
	const struct sockaddr_in6 *in6 = b;
	const struct sockaddr_un  *un = b;
	char                       text[INET6_ADDRSTRLEN] = "-";

	(void)ctx;
	(void)a;
	(void)n;
	if (strcmp(which, "connect") != 0)
		return SMFIS_CONTINUE;
	snprintf(peer_seen, sizeof(peer_seen), "unknown");
	if (b != NULL && in->sin_family == AF_INET)
		snprintf(peer_seen, sizeof(peer_seen), "4 %s %u",
		    inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text)), ntohs(in->sin_port));
	else if (b != NULL && in->sin_family == AF_INET6)
		snprintf(peer_seen, sizeof(peer_seen), "6 %s %u",
		    inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text)),
		    ntohs(in6->sin6_port));
	else if (b != NULL)
		snprintf(peer_seen, sizeof(peer_seen), "unix %.40s", un->sun_path);
	return SMFIS_CONTINUE;
}

static const struct peer_case {
	char        family;
	const char *value;
	uint16_t    port;
	const char *seen;
} peers[] = {
	{ '4', "192.0.2.9", 1025, "4 192.0.2.9 1025" },
	{ '6', "2001:db8::9", 25, "6 2001:db8::9 25" },
	{ '6', "IPv6:2001:db8::9", 25, "6 2001:db8::9 25" },
	{ 'L', "/run/x.sock", 0, "unix /run/x.sock" },
	{ 'U', NULL, 0, "unknown" },
	{ '4', "not an address", 25, "unknown" },
};

static void
connect_gets_the_peer(void)
{
	play = see_peer;
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct peer_case, c, peers)
	{
		struct milter_event e = event(MILTER_CMD_CONNECT, "c.example", c->value);

		t_row = c->value;
		e.family = c->family;
		e.port = c->port;
		T_CHECK(open_end());
		T_EQ_STR(tell(&e), "CONTINUE");
		T_EQ_STR(peer_seen, c->seen);
		close_end();
	}
	T_CHECK(strstr(said(&story), "connect(c.example)") != NULL);
}

static void
callbacks_get_what_was_told(void)
{
	static const struct strv args[] = { { "SIZE=10xx", 7 }, { "BODY=8BITMIME", 13 } };
	char                     body[] = "line\r\n\0more";
	struct milter_event      v[] = {
		     event(MILTER_CMD_HELO, "h.example", NULL),
		     event(MILTER_CMD_MAIL, "<a@b.example>", NULL),
		     event(MILTER_CMD_RCPT, "<u@c.example>", NULL),
		     event(MILTER_CMD_UNKNOWN, "FOO bar", NULL),
		     event(MILTER_CMD_DATA, NULL, NULL),
		     event(MILTER_CMD_HEADER, "To", "x,\n\ty"),
		     event(MILTER_CMD_HEADER, "Empty", ""),
		     event(MILTER_CMD_EOH, NULL, NULL),
		     event(MILTER_CMD_BODY, NULL, NULL),
		     event(MILTER_CMD_EOM, "last", NULL),
	};

	v[1].arg = args;
	v[1].n_arg = 2;
	v[8].text = strv(body, sizeof(body) - 1);
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	buf_clear(&story);
	for (unsigned i = 0; i < T_COUNT(v); i++)
		T_EQ_STR(tell(&v[i]), "CONTINUE");
	close_end();
	T_EQ_STR(said(&story),
	    "helo(h.example) envfrom(<a@b.example> SIZE=10 BODY=8BITMIME) "
	    "envrcpt(<u@c.example>) unknown(FOO bar) data() header(To:x,\n\ty) "
	    "header(Empty:) eoh() body(line\r\n) body(last) eom() close() ");
	T_CHECK(memcmp(body, "line\r\n\0more", sizeof(body)) == 0); /* hook writes into its copy */
}

/* ---- what they return ---- */

static int
reply_first(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)a;
	(void)b;
	(void)n;
	if (strcmp(which, "envfrom") == 0)
		T_EQ_NUM(smfi_setreply(ctx, (char *)"550", (char *)"5.7.1", (char *)"100%% no"),
		    MI_SUCCESS);
	return strcmp(which, scene_of) == 0 ? scene_returns : SMFIS_CONTINUE;
}

static const struct answer_case {
	char        letter;
	const char *callback;
	int         returns;
	bool        reply; /* a 550 was set, in xxfi_envfrom */
	const char *answer;
} answers[] = {
	{ 'M', "envfrom", SMFIS_CONTINUE, false, "CONTINUE" },
	{ 'M', "envfrom", SMFIS_ACCEPT, false, "ACCEPT" },
	{ 'M', "envfrom", SMFIS_REJECT, false, "REJECT" },
	{ 'M', "envfrom", SMFIS_REJECT, true, "REPLYCODE" },
	{ 'M', "envfrom", SMFIS_TEMPFAIL, false, "TEMPFAIL" },
	{ 'M', "envfrom", SMFIS_TEMPFAIL, true, "TEMPFAIL" }, /* not of its class */
	{ 'R', "envrcpt", SMFIS_REJECT, true, "REPLYCODE" },  /* a reply waits */
	{ 'R', "envrcpt", SMFIS_DISCARD, false, "DISCARD" },
	{ 'B', "body", SMFIS_SKIP, false, "SKIP" },
	{ 'E', "eom", SMFIS_DISCARD, false, "DISCARD" },
	{ 'M', "envfrom", SMFIS_NOREPLY, false, "(its callback returned no answer)" },
	{ 'M', "envfrom", 5, false, "(its callback returned no answer)" },
	{ 'M', "envfrom", SMFIS_ALL_OPTS, false, "(its callback returned no answer)" },
	{ 'M', "envfrom", MI_FAILURE, false, "(its callback returned no answer)" },
	{ 'E', "eom", 1 << 30, false, "(its callback returned no answer)" },
};

static void
returns_become_answers(void)
{
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct answer_case, c, answers)
	{
		t_row = c->answer;
		scene_of = c->callback;
		scene_returns = c->returns;
		play = c->reply ? reply_first : NULL;
		T_CHECK(open_end());
		if (c->letter != 'M')
			T_EQ_STR(tell_letter('M'), "CONTINUE");
		T_EQ_STR(tell_letter(c->letter), c->answer);
		if (c->answer[0] == '(')
			T_CHECKF(strv_starts(end->bytes, SV("xxfi_")), "bytes: %.*s",
			    (int)end->bytes.n, end->bytes.p);
		close_end();
	}
}

static void
a_reply_says_what_was_set(void)
{
	struct milter_event  e = event(MILTER_CMD_MAIL, "<a@b.example>", NULL);
	struct milter_answer out;

	scene_of = "envfrom";
	scene_returns = SMFIS_REJECT;
	play = reply_first;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	T_EQ_NUM(end->kind->tell(end, &e, NULL, true, 0), MILTER_OK);
	T_EQ_NUM(end->kind->answer(end, &out, 0), MILTER_OK);
	T_EQ_NUM(out.kind, MILTER_ANS_REPLYCODE);
	T_EQ_NUM(out.code, 550);
	T_EQ_STR(out.enh, "5.7.1");
	T_EQ_TEXT(out.text, "100% no");
	T_EQ_NUM(end->kind->answer(end, &out, 0), MILTER_GARBAGE); /* there is one */
	close_end();
}

/* ---- no-reply flags ---- */

static int
mute(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)ctx;
	(void)a;
	(void)n;
	if (strcmp(which, "negotiate") == 0)
		((unsigned long *)(uintptr_t)b)[1] = SMFIP_NR_HDR;
	return strcmp(which, "header") == 0 ? scene_returns : SMFIS_CONTINUE;
}

static const struct mute_case {
	int            returns;
	bool           offered, answered;
	enum milter_rc rc;
	const char    *answer;
} mutes[] = {
	{ SMFIS_NOREPLY, true, false, MILTER_OK, NULL },
	{ SMFIS_CONTINUE, true, false, MILTER_OK, NULL },
	{ SMFIS_REJECT, true, false, MILTER_GARBAGE, NULL },
	{ SMFIS_ACCEPT, true, false, MILTER_GARBAGE, NULL },
	{ SMFIS_NOREPLY, false, true, MILTER_OK, "CONTINUE" },
	{ SMFIS_REJECT, false, true, MILTER_OK, "(it answers where it said that it would not)" },
};

static void
who_is_mute_stays_so(void)
{
	struct milter_event e = event(MILTER_CMD_HEADER, "To", "x");

	play = mute;
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct mute_case, c, mutes)
	{
		offer.protocol = c->offered ? 0x1fffff : 0x37f;
		scene_returns = c->returns;
		T_CHECK(open_end());
		T_EQ_NUM(agreed.protocol, c->offered ? SMFIP_NR_HDR : 0);
		if (c->answered)
			T_EQ_STR(tell(&e), c->answer);
		else
			T_EQ_NUM(end->kind->tell(end, &e, NULL, false, 0), c->rc);
		close_end();
	}
	offer.protocol = 0x1fffff;
}

/* ---- abort and close ---- */

static const struct life_case {
	const char *told;    /* letters; '.' closes */
	const char *returns; /* "envfrom 3": what that callback returns */
	const char *end;     /* of the story: abort() and close() alone */
} lives[] = {
	{ ".", "", "close() " }, { "CH.", "", "close() " }, { "CHM.", "", "abort() close() " },
	{ "CHMA.", "", "abort() close() " }, { "CHMAA.", "", "abort() close() " },
	{ "CHMRTLNBA.", "", "abort() close() " }, { "CHMRTLNB.", "", "abort() close() " },
	{ "CHMRTLNBE.", "", "close() " }, { "CHMRTLNBEA.", "", "close() " },
	{ "CHMRTLNBEMR.", "", "abort() close() " },
	{ "CHMA.", "envfrom 3", "close() " },          /* ACCEPT: over for it */
	{ "CHMA.", "envfrom 1", "close() " },          /* REJECT */
	{ "CHMRA.", "envrcpt 1", "abort() close() " }, /* of that recipient */
	{ "CHMRA.", "envrcpt 3", "close() " }, { "CHMRA.", "envrcpt 2", "abort() close() " },
	{ "CHMUA.", "unknown 1", "abort() close() " }, { "CHMRBA.", "body 4", "close() " },
	{ "CHMRBA.", "body 8", "abort() close() " }, /* SKIP */
};

static int
life(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)ctx;
	(void)a;
	(void)b;
	(void)n;
	if (strcmp(which, "abort") != 0 && strcmp(which, "close") != 0)
		buf_clear(&story);
	return strcmp(which, scene_of) == 0 ? scene_returns : SMFIS_CONTINUE;
}

static void
abort_and_close_come_when_they_must(void)
{
	char callback[16];

	play = life;
	configure("tests/unit/plugin/hook", NULL);
	T_TABLE(struct life_case, c, lives)
	{
		scene_of = callback;
		callback[0] = '\0';
		(void)sscanf(c->returns, "%15s %d", callback, &scene_returns);
		T_CHECK(open_end());
		t_row = c->told;
		for (const char *p = c->told; *p != '.'; p++)
			tell_letter(*p);
		close_end();
		T_EQ_STR(said(&story), c->end);
	}
}

/* Who does not hear MAIL cannot know whether there is a message: it is told of each ABORT. */
static void
abort_comes_to_who_hears_no_mail(void)
{
	configure("tests/unit/plugin/init", NULL);
	T_CHECK(open_end());
	tell_letter('A');
	T_EQ_STR(said(&story), "abort() ");
	close_end();
	T_EQ_STR(said(&story), "abort() ");
}

/* ---- private data, time, stack ---- */

static int
keep_private(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)a;
	(void)b;
	(void)n;
	if (strcmp(which, "envfrom") == 0)
		T_EQ_NUM(smfi_setpriv(ctx, &story), MI_SUCCESS);
	if (strcmp(which, "eom") == 0)
		T_CHECK(smfi_getpriv(ctx) == &story);
	return SMFIS_CONTINUE;
}

static void
private_data_stay_and_are_missed(void)
{
	play = keep_private;
	configure("tests/unit/plugin/hook", NULL);
	T_EQ_NUM(smfi_setpriv(NULL, &story), MI_FAILURE);
	T_CHECK(smfi_getpriv(NULL) == NULL);
	for (unsigned i = 0; i < 2; i++) {
		T_CHECK(open_end());
		tell_letter('M');
		tell_letter('E');
		close_end();
	}
	T_EQ_STR(said(&logged),
	    "worker plugin-private-data name=p: xxfi_close leaves private data behind "
	    "(smfi_setpriv NULL)\n"); /* once */
}

static int
take_time(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	(void)ctx;
	(void)a;
	(void)b;
	(void)n;
	clock_ms += strcmp(which, "eom") == 0 ? 51 : 50;
	return SMFIS_CONTINUE;
}

static void
what_is_slow_is_logged(void)
{
	play = take_time;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	tell_letter('M');
	tell_letter('E');
	close_end();
	T_EQ_STR(said(&logged), "worker plugin-slow name=p callback=xxfi_eom ms=51\n");
}

static int
use_much(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n)
{
	volatile char room[200000];

	(void)which;
	(void)ctx;
	(void)a;
	(void)b;
	(void)n;
	for (size_t i = 0; i < sizeof(room); i += 1024)
		room[i] = 1;
	return room[1024] - 1;
}

static void
callbacks_have_a_large_stack(void)
{
	play = use_much;
	configure("tests/unit/plugin/hook", NULL);
	T_CHECK(open_end());
	T_EQ_STR(tell_letter('M'), "CONTINUE");
	close_end();
}

int
main(int argc, char **argv)
{
	static void (*const tests[])(void) = { loads_or_says_why_not,
		a_name_without_a_slash_is_here, args_are_handed_over, one_object_is_one_plugin,
		negotiates, negotiates_by_its_description, macro_lists_are_asked_for,
		connect_gets_the_peer, callbacks_get_what_was_told, returns_become_answers,
		a_reply_says_what_was_set, who_is_mute_stays_so,
		abort_and_close_come_when_they_must, abort_comes_to_who_hears_no_mail,
		private_data_stay_and_are_missed, what_is_slow_is_logged,
		callbacks_have_a_large_stack };

	t_begin(argc, argv);
	for (unsigned i = 0; i < T_COUNT(tests); i++)
		in_a_fiber(tests[i]);
	return t_end();
}

#else

#include "filters/milter_end.h"
#include "proxy/base/arena.h"
#include "tests/unit/t.h"

int
main(void)
{
	struct arena      *a = arena_new(1024, 0);
	struct milter_conf m = { .name = SV("p"), .file = "x.so" };
	struct strv        why;

	T_CHECK(plugin_load(a, &m, &why) == NULL);
	T_EQ_TEXT(why, "not in this build (--without-libmilter)");
	arena_free(a);
	return t_end();
}

#endif
