/*
 * plugin -- see the header.
 */
#include "filters/milter.h"
