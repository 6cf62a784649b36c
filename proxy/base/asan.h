/*
 * asan -- UNDER_ASAN: is this built with AddressSanitizer, which maps terabytes of shadow and has to be told of stacks?
 */
#ifndef PROXY_BASE_ASAN_H
#define PROXY_BASE_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#endif
