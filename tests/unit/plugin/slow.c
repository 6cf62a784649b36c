/*
 * slow -- its plugin_init takes two seconds, as one does that reads large files.
 */
#include <unistd.h>

#include "tests/unit/plugin/hook.h"

int
plugin_init(void)
{
	struct smfiDesc d = { .xxfi_name = "slow", .xxfi_version = SMFI_VERSION };

	sleep(2);
	return smfi_register(d);
}
