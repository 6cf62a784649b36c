/*
 * count-headers -- the filter that tests/bench/plugin measures in two homes: counts the fields of a header.
 */
#include <stdbool.h>
#include <stdlib.h>

#include <libmilter/mfapi.h>

struct message {
	unsigned fields;
};

static sfsistat
header(SMFICTX *ctx, char *name, char *value)
{
	struct message *m = smfi_getpriv(ctx);

	(void)name;
	(void)value;
	if (m == NULL) {
		m = calloc(1, sizeof(*m));
		if (m == NULL || smfi_setpriv(ctx, m) != MI_SUCCESS)
			return SMFIS_TEMPFAIL;
	}
	m->fields++;
	return SMFIS_CONTINUE;
}

static sfsistat
forget(SMFICTX *ctx)
{
	free(smfi_getpriv(ctx));
	smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

/* What was counted wrongly is refused, so that the measurement would notice. */
static sfsistat
eom(SMFICTX *ctx)
{
	struct message *m = smfi_getpriv(ctx);
	bool            good = m != NULL && m->fields == 20;

	forget(ctx);
	return good ? SMFIS_CONTINUE : SMFIS_REJECT;
}

struct smfiDesc smfilter = {
	.xxfi_name = "count-headers",
	.xxfi_version = SMFI_VERSION,
	.xxfi_header = header,
	.xxfi_eom = eom,
	.xxfi_abort = forget,
	.xxfi_close = forget,
};
