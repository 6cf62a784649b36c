/*
 * milter_wire -- see the header.
 */
#include "filters/milter.h"
