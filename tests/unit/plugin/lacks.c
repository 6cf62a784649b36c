/*
 * lacks -- calls what no libmilter has.
 */
#include "tests/unit/plugin/hook.h"

int smfi_no_such_function(SMFICTX *ctx);

static sfsistat
lacks_eom(SMFICTX *ctx)
{
	return smfi_no_such_function(ctx);
}

struct smfiDesc smfilter = {
	.xxfi_name = "lacks", .xxfi_version = SMFI_VERSION, .xxfi_eom = lacks_eom
};
