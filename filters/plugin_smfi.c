/*
 * plugin_smfi -- see the header.
 */
#include "filters/milter.h"
