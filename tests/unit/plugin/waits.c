/*
 * waits -- its xxfi_helo does not return while a file is there: the one that args name.
 */
#include <unistd.h>

#include "tests/unit/plugin/hook.h"

static const char *file = "";

static sfsistat
helo(SMFICTX *ctx, char *name)
{
	(void)ctx;
	(void)name;
	while (access(file, F_OK) == 0)
		usleep(50000);
	return SMFIS_CONTINUE;
}

int
plugin_args(int argc, char **argv)
{
	if (argc == 2)
		file = argv[1];
	return argc == 2 ? 0 : 1;
}

int
plugin_init(void)
{
	struct smfiDesc d = {
		.xxfi_name = "waits", .xxfi_version = SMFI_VERSION, .xxfi_helo = helo
	};

	return smfi_register(d);
}
