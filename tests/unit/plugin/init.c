/*
 * init -- registers itself (plugin_init), and wants header fields, the end and RSET alone.
 */
#include "tests/unit/plugin/hook.h"

static sfsistat
init_header(SMFICTX *ctx, char *name, char *value)
{
	return smfi_test("header", ctx, name, value, 0);
}

static sfsistat
init_eom(SMFICTX *ctx)
{
	return smfi_test("eom", ctx, NULL, NULL, 0);
}

static sfsistat
init_abort(SMFICTX *ctx)
{
	return smfi_test("abort", ctx, NULL, NULL, 0);
}

int
plugin_init(void)
{
	struct smfiDesc d = { .xxfi_name = "init",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS,
		.xxfi_header = init_header,
		.xxfi_eom = init_eom,
		.xxfi_abort = init_abort };

	return smfi_register(d);
}
