/*
 * milter_macros -- see the header.
 */
#include "filters/milter.h"
