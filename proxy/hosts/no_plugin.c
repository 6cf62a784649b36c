/*
 * no_plugin -- stands for filters/plugin*.c in programs that link libmilter: they run no plugin, and the smfi_* of our
 * own would take the place of libmilter's.
 */
#include "filters/milter_end.h"

const struct milter_end_kind milter_plugin_end = { NULL, NULL, NULL, NULL };

struct plugin *
plugin_load(struct arena *a, const struct milter_conf *m, struct strv *why)
{
	(void)a;
	(void)m;
	*why = SV("this program runs no plugins");
	return NULL;
}
