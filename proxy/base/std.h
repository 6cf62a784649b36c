/*
 * std -- descriptors 0 to 2, which a program may be started without.
 */
#ifndef PROXY_BASE_STD_H
#define PROXY_BASE_STD_H

#include <stdbool.h>

/*
 * First of all in main(): whichever of the three is not there becomes /dev/null, or the next socket would get its
 * number, and what is printed would go there.  Who writes to a standard output that was not there is still told that
 * this fails.  False: there is no /dev/null.
 */
bool std_open(void);

#endif
