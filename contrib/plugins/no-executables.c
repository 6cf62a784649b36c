/*
 * no-executables -- refuses messages with files that a click would run.
 *
 *	plugin no-executables {
 *	    load "/usr/local/lib/postern/no-executables.so"
 *	    args { exe com scr bat cmd }
 *	}
 *
 * Judged by the names of files alone, wherever in the message they stand: mime.c finds them.  What cannot be
 * read in one way only is refused as well, and the reply says why, so that an honest sender can do
 * something about it.  Archives are not opened.
 *
 * The message is read while it comes, in pieces of any size, and refused as soon as something is found.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libmilter/mfapi.h>

#include "mime.h"

#define NAME_SHOW 80 /* octets of a file's name in a reply */

static char *const defaults[] = { "ade", "adp", "bat", "chm", "cmd", "com", "cpl", "exe", "hta",
	"ins", "isp", "jar", "js", "jse", "lib", "lnk", "mde", "msc", "msi", "msp", "mst", "pif",
	"ps1", "scr", "sct", "shb", "sys", "vb", "vbe", "vbs", "vxd", "wsc", "wsf", "wsh" };

static char *const *extensions = defaults;
static size_t       n_extensions = sizeof(defaults) / sizeof(defaults[0]);

int
plugin_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '.')
			argv[i]++; /* ".exe" is meant as "exe" */
		if (argv[i][0] == '\0' || strchr(argv[i], '.') != NULL) {
			fprintf(stderr, "%s: no extension of a file's name: \"%s\"\n", argv[0],
			    argv[i]);
			return 1;
		}
	}
	if (argc > 1) {
		extensions = argv + 1;
		n_extensions = (size_t)argc - 1;
	}
	return 0;
}

/* ---- a message ---- */

struct message {
	struct mime *mime;
	char         found[NAME_SHOW]; /* the first name that is refused; "": none so far */
};

static bool
is_refused(const char *name)
{
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < n_extensions; i++)
		if (strcasecmp(dot + 1, extensions[i]) == 0)
			return true;
	return false;
}

/* name as it may stand in a reply: its end, which counts, in printable ASCII; '%' is written twice. */
static void
show(const char *name, char *out)
{
	size_t n = strlen(name), to = 0;

	for (name += n > NAME_SHOW / 2 ? n - NAME_SHOW / 2 : 0; *name != '\0' && to + 3 < NAME_SHOW;
	     name++) {
		out[to++] = *name >= ' ' && *name < 0x7f ? *name : '?';
		if (*name == '%')
			out[to++] = '%';
	}
	out[to] = '\0';
}

static void
look_at_name(void *arg, const char *name)
{
	struct message *m = arg;

	if (m->found[0] == '\0' && is_refused(name))
		show(name, m->found);
}

static void
forget(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);

	if (m == NULL)
		return;
	mime_free(m->mime);
	free(m);
	smfi_setpriv(ctx, NULL);
}

/* What is to be answered, by what was found up to now. */
static sfsistat
judge(SMFICTX *ctx, const struct message *m)
{
	char text[NAME_SHOW + 60];

	if (m->found[0] != '\0') {
		snprintf(
		    text, sizeof(text), "a file such as \"%s\" is not accepted here", m->found);
		smfi_setreply(ctx, "550", "5.7.1", text);
	} else if (mime_fault(m->mime) != NULL) {
		snprintf(text, sizeof(text), "unreadable MIME: %s", mime_fault(m->mime));
		smfi_setreply(ctx, "550", "5.6.0", text);
	} else
		return SMFIS_CONTINUE;
	return SMFIS_REJECT;
}

/* ---- callbacks ---- */

static sfsistat
envfrom(SMFICTX *ctx, char **argv)
{
	struct message *m;

	(void)argv;
	forget(ctx); /* of a message before */
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return SMFIS_TEMPFAIL;
	smfi_setpriv(ctx, m);
	m->mime = mime_new(look_at_name, m);
	return m->mime == NULL ? SMFIS_TEMPFAIL : SMFIS_CONTINUE;
}

static sfsistat
header(SMFICTX *ctx, char *name, char *value)
{
	struct message *m = smfi_getpriv(ctx);

	mime_header(m->mime, name, value);
	return SMFIS_CONTINUE; /* all of the header first: the reply is the same for each order */
}

static sfsistat
eoh(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);

	mime_end_of_header(m->mime);
	return judge(ctx, m);
}

static sfsistat
body(SMFICTX *ctx, unsigned char *p, size_t n)
{
	struct message *m = smfi_getpriv(ctx);

	mime_body(m->mime, p, n);
	return judge(ctx, m);
}

static sfsistat
eom(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);

	mime_end(m->mime);
	return judge(ctx, m);
}

/* RSET, a lost client, a refusal by another: nothing of the message is needed any more. */
static sfsistat
aborted(SMFICTX *ctx)
{
	forget(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat
end_of_session(SMFICTX *ctx)
{
	forget(ctx);
	return SMFIS_CONTINUE;
}

struct smfiDesc smfilter = {
	.xxfi_name = "no-executables",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_NONE,
	.xxfi_envfrom = envfrom,
	.xxfi_header = header,
	.xxfi_eoh = eoh,
	.xxfi_body = body,
	.xxfi_eom = eom,
	.xxfi_abort = aborted,
	.xxfi_close = end_of_session,
};
