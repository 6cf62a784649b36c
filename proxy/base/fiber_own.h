/*
 * fiber_own -- how those that change stacks (fiber.c, fiber_stack.c) tell AddressSanitizer and valgrind of it.
 */
#ifndef PROXY_BASE_FIBER_OWN_H
#define PROXY_BASE_FIBER_OWN_H

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef VALGRIND_STACK_REGISTER
#define VALGRIND_STACK_REGISTER(from, to) ((void)(from), (void)(to), 0u)
#define VALGRIND_STACK_DEREGISTER(id)     ((void)(id))
#endif

#include "proxy/base/asan.h"

#if UNDER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define NOT_SANITIZED __attribute__((no_sanitize_address))
#else
#define __sanitizer_start_switch_fiber(fake, p, n)  ((void)(fake), (void)(p), (void)(n))
#define __sanitizer_finish_switch_fiber(fake, p, n) ((void)(fake), (void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n)           ((void)(p), (void)(n))
#define NOT_SANITIZED
#endif

#endif
