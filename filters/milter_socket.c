/*
 * milter_socket -- see the header.
 */
#include "filters/milter.h"
