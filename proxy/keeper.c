/*
 * keeper -- see keeper.h.
 */
#include "proxy/keeper.h"
