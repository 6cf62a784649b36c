/*
 * scan -- find what is not plain in message text, in one vector pass.
 *
 * AVX2 where the machine has it (chosen at run time), SSE2, else plain C with memchr; all agree, a
 * test holds them against each other.
 */
#ifndef PROXY_BASE_SCAN_H
#define PROXY_BASE_SCAN_H

#include "proxy/base/strv.h"

/*
 * scan_text -- offset of the first octet that needs thought, or v.n
 *
 *   before   the octet in front of v; '\n' at the start of text
 *   dots     whether a '.' directly behind an LF (that ended a line with CRLF) needs thought
 *
 * Needs thought: NUL; LF whose predecessor is not CR; CR whose successor is not LF (a CR as the last
 * octet of v counts: what follows is not known); with `dots` a '.' whose predecessor is LF.
 */
size_t scan_text(struct strv v, char before, bool dots);

/* Offset of the first CR or LF or NUL, or v.n. For command lines. */
size_t scan_line(struct strv v);

/* The ways of doing it; for the test that holds them against each other and for measuring. */
enum scan_way { SCAN_PLAIN, SCAN_SSE2, SCAN_AVX2 };

bool   scan_has(enum scan_way way);             /* built in, and this machine can */
size_t scan_text_with(enum scan_way way, struct strv v, char before, bool dots);
size_t scan_line_with(enum scan_way way, struct strv v);

#endif
