/*
 * hook -- callbacks that hand everything over to the test that loads the object: smfi_test is t_plugin's.
 */
#ifndef TESTS_UNIT_PLUGIN_HOOK_H
#define TESTS_UNIT_PLUGIN_HOOK_H

#include <stdbool.h>
#include <stddef.h>

#include <libmilter/mfapi.h>

/* Exported to plugins by its name (filters/plugin.exports).  What it returns the callback returns. */
int smfi_test(const char *which, SMFICTX *ctx, const void *a, const void *b, size_t n);

#endif
