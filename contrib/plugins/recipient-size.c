/*
 * recipient-size -- how large a message may be depends on who it is for.
 *
 *	plugin sizes {
 *	    load "/usr/local/lib/postern/recipient-size.so"
 *	    args { "*=20M" "@lists.example.com=200K" "fax@example.com=1M" }
 *	}
 *
 * An address counts more than its domain, a domain more than "*"; where nothing fits there is no limit.
 * A sender who says SIZE= hears the refusal at RCPT, for that recipient alone.  One who does not is
 * measured while the text comes, and the message is refused for all: it is one message, and a filter that
 * delivered it to some and dropped others without a word would lose mail.
 *
 * Two lifetimes meet here, and a filter has to keep them apart.  What is known of a message (its limit,
 * its octets) begins anew with each MAIL.  What is known of the client stays for the session, over
 * all its messages: who has sent too large ones three times is asked to come back later.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libmilter/mfapi.h>

#define LIMITS_MAX   1000 /* args */
#define PATIENCE     3    /* refusals of a session */
#define ADDRESS_SHOW 100  /* octets of an address in a reply */
#define NO_LIMIT     UINT64_MAX

/* ---- the configuration: made once, then only read ---- */

struct limit {
	const char *who; /* "u@example.com", "@example.com" or "*" */
	uint64_t    octets;
};

static struct limit limits[LIMITS_MAX];
static unsigned     n_limits;

/* "200", "200K", "20M", "1G": false where it is nothing of the kind. */
static bool
parse_size(const char *z, uint64_t *out)
{
	static const char units[] = "KMG";
	const char       *unit;
	char             *rest;
	unsigned long     n;

	if (*z < '0' || *z > '9')
		return false;
	n = strtoul(z, &rest, 10);
	if (n > 1000000000)
		return false;
	*out = n;
	if (*rest == '\0')
		return true;
	unit = strchr(units, *rest);
	if (unit == NULL || rest[1] != '\0')
		return false;
	*out <<= 10 * (unit - units + 1);
	return true;
}

int
plugin_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		char *equals = strrchr(argv[i], '=');

		if (n_limits == LIMITS_MAX || equals == NULL ||
		    !parse_size(equals + 1, &limits[n_limits].octets)) {
			fprintf(stderr, "%s: not WHO=SIZE: %s\n", argv[0], argv[i]);
			return 1;
		}
		*equals = '\0'; /* argv is ours: it may be kept, and changed */
		limits[n_limits++].who = argv[i];
	}
	return 0;
}

/* How well `who' fits an address of that domain ("@example.com"; NULL: it has none); 0: not at all. */
static int
rank_of(const char *who, const char *address, const char *domain)
{
	if (strcasecmp(who, address) == 0)
		return 3;
	if (domain != NULL && strcasecmp(who, domain) == 0)
		return 2;
	return strcmp(who, "*") == 0 ? 1 : 0;
}

/* The limit of address (without < >). */
static uint64_t
limit_of(const char *address)
{
	const char *domain = strrchr(address, '@');
	uint64_t    found = NO_LIMIT;
	int         best = 0;

	for (unsigned i = 0; i < n_limits; i++) {
		int rank = rank_of(limits[i].who, address, domain);

		if (rank > best) {
			best = rank;
			found = limits[i].octets;
		}
	}
	return found;
}

/* ---- what is remembered ---- */

struct session {
	unsigned refused; /* messages and recipients, so far */

	struct {                   /* anew with each MAIL */
		uint64_t declared; /* SIZE=; 0: not said */
		uint64_t limit;    /* the smallest of its recipients */
		char     whose[ADDRESS_SHOW];
		uint64_t octets; /* header and body so far */
	} message;
};

/* The session, made when it is first needed; NULL: no memory. */
static struct session *
session_of(SMFICTX *ctx)
{
	struct session *s = smfi_getpriv(ctx);

	if (s == NULL && (s = calloc(1, sizeof(*s))) != NULL)
		smfi_setpriv(ctx, s);
	return s;
}

/* ---- refusing ---- */

/* address as it may stand in a reply: no controls, and '%' doubled, as smfi_setreply demands. */
static void
show(const char *address, char *out, size_t room)
{
	size_t n = 0;

	for (; *address != '\0' && n + 3 < room; address++) {
		out[n++] = *address > ' ' && *address < 0x7f ? *address : '?';
		if (*address == '%')
			out[n++] = '%';
	}
	out[n] = '\0';
}

static sfsistat
refuse(SMFICTX *ctx, struct session *s, const char *address, uint64_t limit)
{
	char who[ADDRESS_SHOW], text[ADDRESS_SHOW + 60];

	s->refused++;
	show(address, who, sizeof(who));
	snprintf(
	    text, sizeof(text), "%s takes at most %llu octets", who, (unsigned long long)limit);
	smfi_setreply(ctx, "552", "5.3.4", text);
	return SMFIS_REJECT;
}

/* ---- callbacks ---- */

/* The value of SIZE= among the arguments of MAIL; 0: it is not there. */
static uint64_t
declared_size(char **argv)
{
	for (unsigned i = 1; argv[0] != NULL && argv[i] != NULL; i++)
		if (strncasecmp(argv[i], "SIZE=", 5) == 0)
			return strtoull(argv[i] + 5, NULL, 10);
	return 0;
}

static sfsistat
envfrom(SMFICTX *ctx, char **argv)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	if (s->refused >= PATIENCE) {
		smfi_setreply(ctx, "450", "4.7.0", "too many large messages, come back later");
		return SMFIS_TEMPFAIL;
	}
	memset(&s->message, 0, sizeof(s->message));
	s->message.declared = declared_size(argv);
	s->message.limit = NO_LIMIT;
	return SMFIS_CONTINUE;
}

/* argv[0] is "<u@example.com>". */
static sfsistat
envrcpt(SMFICTX *ctx, char **argv)
{
	struct session *s = session_of(ctx);
	char           *address = argv[0], *end;
	uint64_t        limit;

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	if (*address == '<')
		address++;
	if ((end = strrchr(address, '>')) != NULL)
		*end = '\0'; /* the callback's own copy */
	limit = limit_of(address);
	if (s->message.declared > limit)
		return refuse(ctx, s, address, limit); /* this recipient; the others go on */
	if (limit < s->message.limit) {
		s->message.limit = limit;
		snprintf(s->message.whose, sizeof(s->message.whose), "%s", address);
	}
	return SMFIS_CONTINUE;
}

/* n octets more; each callback that returns a refusal ends the message. */
static sfsistat
count(SMFICTX *ctx, size_t n)
{
	struct session *s = session_of(ctx);

	if (s == NULL)
		return SMFIS_TEMPFAIL;
	s->message.octets += n;
	if (s->message.octets > s->message.limit)
		return refuse(ctx, s, s->message.whose, s->message.limit);
	return SMFIS_CONTINUE;
}

static sfsistat
header(SMFICTX *ctx, char *name, char *value)
{
	return count(ctx, strlen(name) + strlen(value) + 4); /* ": " and CR LF */
}

static sfsistat
body(SMFICTX *ctx, unsigned char *p, size_t n)
{
	(void)p;
	return count(ctx, n);
}

/* xxfi_abort is not needed: what is left of a message is wiped by the next one's MAIL. */
static sfsistat
end_of_session(SMFICTX *ctx)
{
	free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

struct smfiDesc smfilter = {
	.xxfi_name = "recipient-size",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_NONE, /* it changes nothing */
	.xxfi_envfrom = envfrom,
	.xxfi_envrcpt = envrcpt,
	.xxfi_header = header,
	.xxfi_body = body,
	.xxfi_close = end_of_session,
};
