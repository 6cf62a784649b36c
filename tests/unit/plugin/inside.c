/*
 * inside -- as one that was linked with libmilter.a: it has smfi_* functions of its own.
 */
#include "tests/unit/plugin/hook.h"

int
smfi_addheader(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return MI_SUCCESS;
}

struct smfiDesc smfilter = { .xxfi_name = "inside", .xxfi_version = SMFI_VERSION };
