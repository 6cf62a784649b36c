/*
 * both -- two descriptions: which one holds?
 */
#include "tests/unit/plugin/hook.h"

struct smfiDesc smfilter = { .xxfi_name = "both", .xxfi_version = SMFI_VERSION };

int
plugin_init(void)
{
	return smfi_register(smfilter);
}
