/*
 * t_plugin_examples -- the filters of contrib/plugins, told of messages as a worker tells them.
 */
#include "config.h"

#if HAVE_MILTER
#include "tests/unit/plugin_stand.h"

/* ---- a message, told ---- */

/* All answers in a row; of a reply and an edit what it says. */
static void
tell_and_print(struct buf *out, const struct milter_event *ev)
{
	struct milter_answer x = { .kind = MILTER_ANS_CONTINUE };

	T_EQ_NUM(end->kind->tell(end, ev, NULL, true, 0), MILTER_OK);
	do {
		if (!T_CHECKF(end->kind->answer(end, &x, 0) == MILTER_OK, "%s", end->why))
			return;
		if (x.kind == MILTER_ANS_CONTINUE)
			continue;
		if (x.kind == MILTER_ANS_REPLYCODE)
			buf_printf(out, "%u %s %.*s\n", x.code, x.enh, (int)x.text.n, x.text.p);
		else
			buf_printf(out, "%s %.*s: %.*s\n", milter_answer_name(x.kind),
			    (int)x.name.n, x.name.p == NULL ? "" : x.name.p, (int)x.value.n,
			    x.value.p == NULL ? "" : x.value.p);
	} while (!milter_answer_final(x.kind));
}

static struct buf heard = { .max = 1 << 20 };

static bool
refused(void)
{
	return heard.n > 0 && (heard.p[0] == '4' || heard.p[0] == '5');
}

static void
tell_header(char *line)
{
	char               *colon = strchr(line, ':');
	struct milter_event e = event(MILTER_CMD_HEADER, NULL, NULL);

	e.text = strv(line, (size_t)(colon - line));
	e.value = strv_z(colon[1] == ' ' ? colon + 2 : colon + 1);
	tell_and_print(&heard, &e);
}

/* Header fields (lines divided by LF; folded ones go on with a blank) until the empty line; where the body begins. */
static char *
tell_headers(char *text)
{
	struct milter_event eoh = event(MILTER_CMD_EOH, NULL, NULL);

	while (*text != '\n' && *text != '\0') {
		char *lf = strchr(text, '\n');

		while (lf != NULL && (lf[1] == ' ' || lf[1] == '\t'))
			lf = strchr(lf + 1, '\n');
		*lf = '\0';
		tell_header(text);
		text = lf + 1;
	}
	if (!refused())
		tell_and_print(&heard, &eoh);
	return *text == '\n' ? text + 1 : text;
}

/* Header and body, the body in pieces of `piece' octets, with CR LF; then the end. */
static void
tell_text(const char *message, size_t piece)
{
	char               *copy = arena_z(arena, strv_z(message)), *body = tell_headers(copy);
	struct milter_event e = event(MILTER_CMD_BODY, NULL, NULL);
	char               *wire = arena_alloc(arena, 2 * strlen(body) + 1);
	size_t              n = 0;

	for (; *body != '\0'; body++) {
		if (*body == '\n')
			wire[n++] = '\r';
		wire[n++] = *body;
	}
	for (size_t at = 0; at < n && !refused(); at += piece) {
		e.text = strv(wire + at, n - at < piece ? n - at : piece);
		tell_and_print(&heard, &e);
	}
	e = event(MILTER_CMD_EOM, "", NULL);
	if (!refused())
		tell_and_print(&heard, &e);
}

static void
tell_path(enum milter_command cmd, const char *address, const char *size)
{
	struct strv         arg = strv_z(size);
	struct milter_event e = event(cmd, address, NULL);

	e.arg = &arg;
	e.n_arg = size == NULL ? 0 : 1;
	tell_and_print(&heard, &e);
}

static const char *
heard_so_far(void)
{
	buf_addc(&heard, '\0');
	heard.n--;
	return heard.p;
}

static bool
begin(const char *file, const char *const *args)
{
	configure(file, args);
	buf_clear(&heard);
	return T_CHECKF(open_end(), "%.*s", (int)why.n, why.p);
}

/* ---- subject-tag ---- */

static const char *const tag_args[] = { "[x]", NULL };

static const struct tag_case {
	const char *message, *heard;
} tags[] = {
	{ "Subject: hello\n\nbody\n", "CHANGE_HEADER Subject: [x] hello\n" },
	{ "subject: a\n b\nSubject: second\n\n", "CHANGE_HEADER Subject: [x] a\n b\n" },
	{ "From: a@b.example\n\nbody\n", "ADD_HEADER Subject: [x]\n" },
	{ "Subject: Re: [x] hello\n\n", "" },
	{ "Subject:\n\n", "CHANGE_HEADER Subject: [x]\n" },
};

static void
subjects_are_tagged(void)
{
	if (!begin("contrib/plugins/subject-tag", tag_args))
		return;
	T_TABLE(struct tag_case, c, tags) /* one session: nothing stays from one to the next */
	{
		t_row = c->message;
		buf_clear(&heard);
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		tell_text(c->message, 1000);
		T_EQ_STR(heard_so_far(), c->heard);
	}
	close_end();
	T_EQ_NUM(logged.n, 0); /* no private data left */
}

static const struct args_case {
	const char *file;
	const char *args[3];
	bool        good;
} args_cases[] = {
	{ "contrib/plugins/subject-tag", { NULL }, true },
	{ "contrib/plugins/subject-tag", { "a", "b" }, false },
	{ "contrib/plugins/recipient-size", { "*=1", "@a.example=20M" }, true },
	{ "contrib/plugins/recipient-size", { "*=" }, false },
	{ "contrib/plugins/recipient-size", { "*" }, false },
	{ "contrib/plugins/recipient-size", { "*=1T" }, false },
	{ "contrib/plugins/recipient-size", { "*=1Mb" }, false },
	{ "contrib/plugins/recipient-size", { "*=-1" }, false },
	{ "contrib/plugins/no-executables", { NULL }, true },
	{ "contrib/plugins/no-executables", { ".exe", "com" }, true },
	{ "contrib/plugins/no-executables", { "tar.gz" }, false },
	{ "contrib/plugins/no-executables", { "" }, false },
};

static void
args_are_checked(void)
{
	int quiet = dup(STDERR_FILENO);

	T_CHECK(freopen("/dev/null", "w", stderr) != NULL);
	T_TABLE(struct args_case, c, args_cases)
	{
		t_row = c->args[0];
		configure(c->file, c->args);
		T_CHECK(open_end() == c->good);
		close_end();
		plugin_unload_all();
	}
	fflush(stderr);
	dup2(quiet, STDERR_FILENO);
	close(quiet);
}

/* ---- recipient-size ---- */

static const char *const size_args[] = { "*=1K", "@small.example=100", "Big@small.example=1M",
	NULL };

static const struct size_case {
	const char *declared; /* "SIZE=..." */
	const char *rcpt[2];
	size_t      body;
	const char *heard;
} sizes[] = {
	{ NULL, { "<u@a.example>" }, 900, "" },
	{ NULL, { "<u@a.example>" }, 1100, "552 5.3.4 u@a.example takes at most 1024 octets\n" },
	{ NULL, { "<u@SMALL.example>" }, 200,
	    "552 5.3.4 u@SMALL.example takes at most 100 octets\n" },
	{ NULL, { "<big@small.example>" }, 2000, "" },
	{ NULL, { "<u@a.example>", "<50%@small.example>" }, 200,
	    "552 5.3.4 50%@small.example takes at most 100 octets\n" },
	{ "SIZE=500", { "<u@a.example>", "<u@small.example>" }, 500,
	    "552 5.3.4 u@small.example takes at most 100 octets\n" },
	{ "SIZE=10", { "<u@small.example>" }, 200,
	    "552 5.3.4 u@small.example takes at most 100 octets\n" },
};

static void
sizes_are_by_recipient(void)
{
	char *body = arena_alloc(arena, 3000);

	T_TABLE(struct size_case, c, sizes)
	{
		if (!begin("contrib/plugins/recipient-size", size_args))
			return;
		t_row = c->heard;
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", c->declared);
		for (unsigned i = 0; i < 2 && c->rcpt[i] != NULL; i++)
			tell_path(MILTER_CMD_RCPT, c->rcpt[i], NULL);
		if (!refused()) {
			memset(body, 'x', c->body);
			body[0] = '\n';
			body[c->body] = '\0';
			tell_text(body, 64);
		}
		T_EQ_STR(heard_so_far(), c->heard);
		close_end();
	}
}

/* Three large ones, and the client is asked to wait; a small one between them changes nothing. */
static void
patience_lasts_for_a_session(void)
{
	if (!begin("contrib/plugins/recipient-size", size_args))
		return;
	for (unsigned i = 0; i < 4; i++) {
		buf_clear(&heard);
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", "SIZE=5000");
		if (refused())
			break;
		tell_path(MILTER_CMD_RCPT, "<u@a.example>", NULL);
		T_CHECK(refused());
		buf_clear(&heard);
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		T_CHECK(refused() == (i == 2));
	}
	T_EQ_STR(heard_so_far(), "450 4.7.0 too many large messages, come back later\n");
	close_end();
	T_CHECK(open_end()); /* another session */
	buf_clear(&heard);
	tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
	T_EQ_STR(heard_so_far(), "");
	close_end();
	T_EQ_NUM(logged.n, 0);
}

/* ---- no-executables ---- */

#define MIXED(b)          "Content-Type: multipart/mixed; boundary=" b "\n\n"
#define NOT(name)         "550 5.7.1 a file such as \"" name "\" is not accepted here\n"
#define ODD(why)          "550 5.6.0 unreadable MIME: " why "\n"
#define FILE(disposition) MIXED("b") "--b\nContent-Disposition: " disposition "\n\nx\n--b--\n"

static const struct mime_case {
	const char *name, *message, *heard;
} mimes[] = {
	{ "plain text", "Subject: x\n\na.exe\n", "" },
	{ "the message itself is the file",
	    "Content-Disposition: attachment; filename=a.exe\n\nx\n", NOT("a.exe") },
	{ "a part", FILE("attachment; filename=a.exe"), NOT("a.exe") },
	{ "a harmless one", FILE("attachment; filename=a.exe.txt"), "" },
	{ "case", FILE("ATTACHMENT; FileName=\"A.ExE\""), NOT("A.ExE") },
	{ "dots at the end", FILE("attachment; filename=\"a.exe. .\""), NOT("a.exe") },
	{ "blanks in a token", FILE("attachment; filename=my file.exe"), NOT("my file.exe") },
	{ "quoted pairs", FILE("attachment; filename=\"a.e\\xe\""), NOT("a.exe") },
	{ "quotes that do not end", FILE("attachment; filename=\"a.exe"), NOT("a.exe") },
	{ "a comment", FILE("attachment (\";) ; filename=x.txt\\\") ; (a(b)c) filename=a.exe"),
	    NOT("a.exe") },
	{ "no comment", FILE("attachment; filename=(a.exe"), NOT("(a.exe") },
	{ "folded", FILE("attachment;\n\tfilename=\n  \"a.exe\""), NOT("a.exe") },
	{ "a semicolon in quotes", FILE("attachment; x=\";\"; filename=a.exe"), NOT("a.exe") },
	{ "twice, one of them bad", FILE("attachment; filename=a.txt; filename=a.exe"),
	    NOT("a.exe") },
	{ "name of Content-Type",
	    MIXED("b") "--b\nContent-Type: image/png; name=a.exe\n\nx\n--b--\n", NOT("a.exe") },
	{ "RFC 2231: a character set", FILE("attachment; filename*=UTF-8'en'%61.%65xe"),
	    NOT("a.exe") },
	{ "RFC 2231: pieces", FILE("attachment; filename*1=.ex; filename*0=a; filename*2=e"),
	    NOT("a.exe") },
	{ "RFC 2231: pieces, encoded",
	    FILE("attachment; filename*0*=utf-8''a%2e; filename*1=ex; filename*2*=%65"),
	    NOT("a.exe") },
	{ "RFC 2231: a plain one beside it",
	    FILE("attachment; filename*=utf-8''a.txt; filename=a.exe"), NOT("a.exe") },
	{ "RFC 2231: a piece twice", FILE("attachment; filename*0=a; filename*0=b.txt"),
	    ODD("a piece of a file name twice") },
	{ "RFC 2047: B", FILE("attachment; filename=\"=?utf-8?B?YS5leGU=?=\""), NOT("a.exe") },
	{ "RFC 2047: Q", FILE("attachment; filename=\"=?ISO-8859-1?q?a=2Eexe?=\""), NOT("a.exe") },
	{ "RFC 2047: two words", FILE("attachment; filename=\"=?utf-8?Q?a.e?=\n =?utf-8?Q?xe?=\""),
	    NOT("a.exe") },
	{ "RFC 2047: none", FILE("attachment; filename=\"=?utf-8?X?a.txt?=\""), "" },
	{ "RFC 2047: cut off", FILE("attachment; filename=\"=?utf-8?Q?a.exe\""),
	    NOT("=?utf-8?Q?a.exe") },
	{ "UTF-16", FILE("attachment; filename*=utf-16be''%00a%00.%00e%00x%00e"), NOT("a.exe") },
	{ "UTF-7", FILE("attachment; filename*=utf-7''a+AC4-exe"), ODD("a file name in UTF-7") },
	{ "a percent sign in the reply", FILE("attachment; filename=\"100%.exe\""),
	    NOT("100%.exe") },
	{ "8-bit in the reply", FILE("attachment; filename=\"\xc3\xa4.exe\""), NOT("??.exe") },
	{ "nested",
	    MIXED("o") "--o\n" MIXED(
		"i") "--i\nContent-Type: text/plain\n\nx\n--i\nContent-Type: a/b; name=a.exe\n\n--i--\n--o--\n",
	    NOT("a.exe") },
	{ "behind a nested one",
	    MIXED("o") "--o\n" MIXED("i") "--i\n\nx\n--o\nContent-Type: a/b; name=a.exe\n\n--o--\n",
	    NOT("a.exe") },
	{ "a boundary that begins another",
	    MIXED("b") "--b\n" MIXED("bb") "--bb\nContent-Type: a/b; name=a.exe\n\n--bb--\n--b--\n",
	    NOT("a.exe") },
	{ "blanks behind a delimiter",
	    MIXED("b") "--b \t\nContent-Type: a/b; name=a.exe\n\n--b--\n", NOT("a.exe") },
	{ "after the last delimiter", MIXED("b") "--b\n\nx\n--b--\nContent-Type: a/b; name=a.exe\n",
	    "" },
	{ "in the text of a part",
	    MIXED("b") "--b\n\nContent-Disposition: attachment; filename=a.exe\n--b--\n", "" },
	{ "a header without an end", MIXED("b") "--b\nContent-Type: a/b; name=a.exe\n--b--\n",
	    NOT("a.exe") },
	{ "a message inside",
	    MIXED("b") "--b\nContent-Type: message/rfc822\n\nSubject: x\n" MIXED(
		"i") "--i\nContent-Type: a/b; name=a.exe\n\n--i--\n--b--\n",
	    NOT("a.exe") },
	{ "a digest",
	    "Content-Type: multipart/digest; boundary=b\n\n--b\n\nContent-Type: a/b; name=a.exe\n\nx\n--b--\n",
	    NOT("a.exe") },
	{ "cut off in a header", MIXED("b") "--b\nContent-Type: a/b; name=a.exe", NOT("a.exe") },
	{ "no boundary", "Content-Type: multipart/mixed\n\nx\n",
	    ODD("a multipart without a boundary") },
	{ "two boundaries", "Content-Type: multipart/mixed; boundary=a; boundary=b\n\nx\n",
	    ODD("a boundary that can be read in two ways") },
	{ "two types", "Content-Type: text/plain\nContent-Type: a/b\n\nx\n",
	    ODD("two fields Content-Type") },
	{ "an encoded multipart", "Content-Transfer-Encoding: BASE64\n" MIXED("b"),
	    ODD("a part that is encoded and has parts") },
	{ "in pieces", "Content-Type: message/partial; id=x; number=1\n\nx\n",
	    ODD("a message in pieces") },
};

static const char *const exe[] = { "exe", NULL };

static void
names_are_found(void)
{
	static const size_t pieces[] = { 1, 7, 100000 };

	T_TABLE(struct mime_case, c, mimes)
	{
		for (unsigned i = 0; i < T_COUNT(pieces); i++) {
			if (!begin("contrib/plugins/no-executables", exe))
				return;
			t_row = c->name;
			tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
			tell_text(c->message, pieces[i]);
			T_EQ_STR(heard_so_far(), c->heard);
			close_end();
		}
	}
	T_EQ_NUM(logged.n, 0);
}

/* Depth, and the length of a field, have a ceiling. */
static void
mime_is_bounded(void)
{
	struct buf b = { .max = 1 << 20 };

	for (unsigned deep = 20; deep <= 21; deep++) {
		buf_clear(&b);
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b0\n\n");
		for (unsigned i = 1; i < deep; i++)
			buf_printf(
			    &b, "--b%u\nContent-Type: multipart/mixed; boundary=b%u\n\n", i - 1, i);
		buf_addc(&b, '\0');
		if (!begin("contrib/plugins/no-executables", exe))
			return;
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		tell_text(b.p, 1000);
		T_EQ_STR(heard_so_far(), deep == 20 ? "" : ODD("multiparts too deep"));
		close_end();
	}
	for (unsigned large = 0; large < 2; large++) {
		buf_clear(&b);
		buf_printf(&b, MIXED("b") "--b\nX-Long: ");
		for (unsigned i = 0; i < (large ? 3300 : 3200); i++)
			buf_printf(&b, "1234567890");
		buf_printf(&b, "\n\n--b--\n");
		buf_addc(&b, '\0');
		if (!begin("contrib/plugins/no-executables", exe))
			return;
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		tell_text(b.p, 1000);
		T_EQ_STR(heard_so_far(), large ? ODD("a header field that is too long") : "");
		close_end();
	}
	buf_fini(&b);
}

/* Whatever comes, it ends, and nothing is read or written where it should not be. */
static void
mime_survives_chance(void)
{
	static const char *const words[] = { "--b", "--b--", "--c", "\n", "\n\n",
		"Content-Type: ", "multipart/mixed; ", "boundary=", "b", "c", "\"", "\\", "(", ")",
		";", "=", "*", "*0*", "*1", "filename", "name",
		"Content-Disposition: ", "message/rfc822", "=?utf-8?B?", "=?a?Q?", "?=", "%41",
		"''", " ", "\t", ":", "a.exe", "=41", "Content-Transfer-Encoding: base64", "\r" };
	uint64_t                 seed = 1;
	struct buf               b = { .max = 1 << 20 };

	if (!begin("contrib/plugins/no-executables", exe))
		return;
	for (unsigned round = 0; round < 3000; round++) {
		struct milter_event e = event(MILTER_CMD_BODY, NULL, NULL);

		buf_clear(&heard);
		buf_clear(&b);
		for (uint64_t n = t_random(&seed) % 60; n > 0; n--)
			buf_add(&b, strv_z(words[t_random(&seed) % T_COUNT(words)]));
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		tell_text(MIXED("b"), 1);
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		tell_text(round % 2 ? MIXED("b") : "Content-Type: message/rfc822\n\n", 1);
		if (refused())
			continue;
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		e.text = buf_view(&b);
		tell_letter('N');
		tell_and_print(&heard, &e);
	}
	/* and behind all that it still sees what it is there to see */
	for (unsigned bad = 0; bad < 2; bad++) {
		buf_clear(&heard);
		tell_path(MILTER_CMD_MAIL, "<a@b.example>", NULL);
		tell_text(bad ? MIXED("b") "--b\nContent-Type: a/b; name=a.exe\n\n--b--\n" :
				MIXED("b") "--b\nContent-Type: a/b; name=a.txt\n\n--b--\n",
		    7);
		T_EQ_STR(heard_so_far(), bad ? NOT("a.exe") : "");
	}
	close_end();
	buf_fini(&b);
}

int
main(int argc, char **argv)
{
	static void (*const tests[])(void) = { subjects_are_tagged, args_are_checked,
		sizes_are_by_recipient, patience_lasts_for_a_session, names_are_found,
		mime_is_bounded, mime_survives_chance };

	t_begin(argc, argv);
	for (unsigned i = 0; i < T_COUNT(tests); i++)
		in_a_fiber(tests[i]);
	return t_end();
}

#else

#include "tests/unit/t.h"

int
main(void)
{
	T_SKIP("built --without-libmilter");
	return t_end();
}

#endif
