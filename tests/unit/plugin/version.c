/*
 * version -- made for a libmilter that is not yet there.
 */
#include "tests/unit/plugin/hook.h"

struct smfiDesc smfilter = { .xxfi_name = "version", .xxfi_version = 0x02000000 };
