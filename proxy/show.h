/*
 * show -- what was understood of the plain statements, for `postern check`.
 */
#ifndef PROXY_SHOW_H
#define PROXY_SHOW_H

#include "proxy/settings.h"

/* Line by line, without newlines. postern(8) says what is in it. */
void show_settings(const struct settings *s, struct arena *a, void (*emit)(struct strv line, void *arg), void *arg);

#endif
