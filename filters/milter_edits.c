/*
 * milter_edits -- see the header.
 */
#include "filters/milter.h"
