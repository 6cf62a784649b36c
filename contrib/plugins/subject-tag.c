/*
 * subject-tag -- writes a word in front of the Subject.
 *
 *	plugin outside {
 *	    load "/usr/local/lib/postern/subject-tag.so"
 *	    args { "[outside]" }
 *	}
 *
 * The smallest filter that changes a message.  It hears the header, keeps the first Subject, and at
 * the end of the message (the only place where changes may be made) replaces it.
 *
 * What a filter must remember between two callbacks belongs to one session, for several are under way
 * at once: it hangs on the context (smfi_setpriv), never on a global variable.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libmilter/mfapi.h>

/* Set once, before the first callback, and only read from then on: that may be global. */
static const char *tag = "[outside]";

/* What is known of the message at hand. */
struct message {
	char *subject; /* NULL: it has none */
};

/* Where args come from: the configuration, or the command line of the stand-alone program. */
int
plugin_args(int argc, char **argv)
{
	if (argc > 2) {
		fprintf(stderr, "%s: one word is enough\n", argv[0]);
		return 1; /* refuses to be loaded */
	}
	if (argc == 2)
		tag = argv[1]; /* argv lives as long as we do */
	return 0;
}

static void
forget(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);

	if (m == NULL)
		return;
	free(m->subject);
	free(m);
	smfi_setpriv(ctx, NULL);
}

/* MAIL FROM: a message begins. */
static sfsistat
envfrom(SMFICTX *ctx, char **argv)
{
	(void)argv;
	forget(ctx); /* what an earlier one may have left */
	if (smfi_setpriv(ctx, calloc(1, sizeof(struct message))) != MI_SUCCESS ||
	    smfi_getpriv(ctx) == NULL)
		return SMFIS_TEMPFAIL;
	return SMFIS_CONTINUE;
}

static sfsistat
header(SMFICTX *ctx, char *name, char *value)
{
	struct message *m = smfi_getpriv(ctx);

	if (strcasecmp(name, "Subject") != 0 || m->subject != NULL)
		return SMFIS_CONTINUE;
	m->subject = strdup(value); /* value is gone when we return */
	return m->subject == NULL ? SMFIS_TEMPFAIL : SMFIS_CONTINUE;
}

static sfsistat
eom(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);
	const char     *old = m->subject == NULL ? "" : m->subject;
	size_t          room = strlen(tag) + strlen(old) + 2;
	char *new;
	int rc;

	if (strstr(old, tag) != NULL) /* an answer to one that we have tagged */
		return SMFIS_CONTINUE;
	new = malloc(room);
	if (new == NULL)
		return SMFIS_TEMPFAIL;
	snprintf(new, room, "%s%s%s", tag, *old == '\0' ? "" : " ", old);
	if (m->subject == NULL)
		rc = smfi_addheader(ctx, "Subject", new);
	else
		rc = smfi_chgheader(ctx, "Subject", 1, new); /* the first of that name */
	free(new);
	return rc == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

/* The connection is over: whatever happened before, this one is called last. */
static sfsistat
end(SMFICTX *ctx)
{
	forget(ctx);
	return SMFIS_CONTINUE;
}

struct smfiDesc smfilter = {
	.xxfi_name = "subject-tag",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS, /* what eom() is going to do */
	.xxfi_envfrom = envfrom,
	.xxfi_header = header,
	.xxfi_eom = eom,
	.xxfi_close = end,
};
