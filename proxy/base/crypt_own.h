/* crypt_own -- what the files of crypt share; nobody else includes it. */
#ifndef PROXY_BASE_CRYPT_OWN_H
#define PROXY_BASE_CRYPT_OWN_H

#include "proxy/base/crypt.h"

struct evp_pkey_st;     /* OpenSSL's EVP_PKEY, EVP_PKEY_CTX: its headers are for our .c files alone */
struct evp_pkey_ctx_st;

enum { EXPONENT_OCTETS = 4, ED25519_KEY = 32, ED25519_SIGNATURE = 64 };

/*
 * RSASSA-PKCS1-v1_5 with SHA-256 (RFC 6376 3.3), of a digest that is there.  init: EVP_PKEY_sign_init or
 * EVP_PKEY_verify_init.  The caller frees it; it holds the key.  NULL: OpenSSL will not.
 */
struct evp_pkey_ctx_st *crypt_rsa_context(struct evp_pkey_st *key, int (*init)(struct evp_pkey_ctx_st *));

#endif
