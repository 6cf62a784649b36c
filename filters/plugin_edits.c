/*
 * plugin_edits -- what a plugin changes in a message: smfi_addheader to smfi_quarantine, and smfi_progress.
 *
 * Edits are made at the end of a message, and of a kind that was asked for.  They are staged as the packets that
 * libmilter would write and are read by the codec that reads those, so that what is refused of a daemon is refused
 * of a plugin.
 */
#include "config.h"

#if HAVE_MILTER
#include "filters/plugin_own.h"

/* NULL: it may. */
static const char *
forbids(const SMFICTX *x, unsigned long action)
{
	if (x == NULL || !x->at_end)
		return "not at the end of a message";
	return (x->actions & action) == action ?
	    NULL :
	    "not asked for, in xxfi_flags or by xxfi_negotiate";
}

/* With its NUL. */
static struct strv
z(const char *text)
{
	return strv(text, strlen(text) + 1);
}

static bool
is_empty(const char *text)
{
	return text == NULL || *text == '\0';
}

static int
stage(SMFICTX *x, enum plugin_function f, char octet, const struct strv *part, unsigned n)
{
	return plugin_stage(x, octet, part, n) ? MI_SUCCESS : plugin_misuse(x, f, PLUGIN_NO_ROOM);
}

struct header {
	enum plugin_function f;
	unsigned long        action;
	char                 octet;
	int                  at;
	const char          *name, *value;
};

static int
stage_header(SMFICTX *x, const struct header *h)
{
	unsigned char number[4] = { (unsigned char)(h->at >> 24), (unsigned char)(h->at >> 16),
		(unsigned char)(h->at >> 8), (unsigned char)h->at };
	struct strv   part[3];
	unsigned      n = 0;

	if (forbids(x, h->action) != NULL)
		return plugin_misuse(x, h->f, forbids(x, h->action));
	if (h->at < 0)
		return plugin_misuse(x, h->f, "a place below 0");
	if (is_empty(h->name))
		return plugin_misuse(x, h->f, "no name of a field");
	if (h->value == NULL)
		return plugin_misuse(x, h->f, "no value of a field");
	if (h->octet != SMFIR_ADDHEADER)
		part[n++] = strv((const char *)number, sizeof(number));
	part[n++] = z(h->name);
	part[n++] = z(h->value);
	return stage(x, h->f, h->octet, part, n);
}

int
smfi_addheader(SMFICTX *x, char *name, char *value)
{
	return stage_header(
	    x, &(struct header){ SMFI_addheader, SMFIF_ADDHDRS, SMFIR_ADDHEADER, 0, name, value });
}

int
smfi_insheader(SMFICTX *x, int at, char *name, char *value)
{
	return stage_header(
	    x, &(struct header){ SMFI_insheader, SMFIF_ADDHDRS, SMFIR_INSHEADER, at, name, value });
}

int
smfi_chgheader(SMFICTX *x, char *name, int at, char *value)
{
	return stage_header(x,
	    &(struct header){ SMFI_chgheader, SMFIF_CHGHDRS, SMFIR_CHGHEADER, at, name,
		value == NULL ? "" : value });
}

struct address {
	enum plugin_function f;
	unsigned long        action;
	char                 octet;
	const char          *address, *args; /* args NULL: none */
};

static int
stage_address(SMFICTX *x, const struct address *a)
{
	struct strv part[2];

	if (forbids(x, a->action) != NULL)
		return plugin_misuse(x, a->f, forbids(x, a->action));
	if (is_empty(a->address))
		return plugin_misuse(x, a->f, "no address");
	part[0] = z(a->address);
	if (a->args != NULL)
		part[1] = z(a->args);
	return stage(x, a->f, a->octet, part, a->args == NULL ? 1 : 2);
}

int
smfi_chgfrom(SMFICTX *x, char *address, char *args)
{
	return stage_address(
	    x, &(struct address){ SMFI_chgfrom, SMFIF_CHGFROM, SMFIR_CHGFROM, address, args });
}

int
smfi_addrcpt(SMFICTX *x, char *address)
{
	return stage_address(
	    x, &(struct address){ SMFI_addrcpt, SMFIF_ADDRCPT, SMFIR_ADDRCPT, address, NULL });
}

int
smfi_addrcpt_par(SMFICTX *x, char *address, char *args)
{
	return stage_address(x,
	    &(struct address){
		SMFI_addrcpt_par, SMFIF_ADDRCPT_PAR, SMFIR_ADDRCPT_PAR, address, args });
}

int
smfi_delrcpt(SMFICTX *x, char *address)
{
	return stage_address(
	    x, &(struct address){ SMFI_delrcpt, SMFIF_DELRCPT, SMFIR_DELRCPT, address, NULL });
}

int
smfi_replacebody(SMFICTX *x, unsigned char *p, int n)
{
	struct strv rest = strv((const char *)p, n < 0 ? 0 : (size_t)n), part;

	if (forbids(x, SMFIF_CHGBODY) != NULL)
		return plugin_misuse(x, SMFI_replacebody, forbids(x, SMFIF_CHGBODY));
	if (n < 0 || (p == NULL && n > 0))
		return plugin_misuse(x, SMFI_replacebody, "no octets");
	do { /* one packet at least: an empty one replaces the body by nothing */
		part = strv_first(rest, rest.n < MILTER_CHUNK ? rest.n : MILTER_CHUNK);
		if (!plugin_stage(x, SMFIR_REPLBODY, &part, 1))
			return plugin_misuse(x, SMFI_replacebody, PLUGIN_NO_ROOM);
		rest = rest.n == part.n ? SV("") : strv_from(rest, part.n);
	} while (rest.n > 0);
	return MI_SUCCESS;
}

int
smfi_quarantine(SMFICTX *x, char *reason)
{
	struct strv part;

	if (forbids(x, SMFIF_QUARANTINE) != NULL)
		return plugin_misuse(x, SMFI_quarantine, forbids(x, SMFIF_QUARANTINE));
	if (is_empty(reason))
		return plugin_misuse(x, SMFI_quarantine, "no reason");
	part = z(reason);
	return stage(x, SMFI_quarantine, SMFIR_QUARANTINE, &part, 1);
}

int
smfi_progress(SMFICTX *x)
{
	return x == NULL ? MI_FAILURE : stage(x, SMFI_progress, SMFIR_PROGRESS, NULL, 0);
}

#endif
