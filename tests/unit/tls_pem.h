/*
 * tls_pem -- certificates, made here, a server's context of one, and a world with a clock of our own.
 */
#ifndef TESTS_UNIT_TLS_PEM_H
#define TESTS_UNIT_TLS_PEM_H

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "proxy/base/arena.h"
#include "proxy/base/io.h"
#include "proxy/base/loop.h"
#include "proxy/base/tls.h"
#include "proxy/base/world.h"
#include "tests/unit/t.h"

T_UNUSED static uint64_t clock_ms = 1000, wall_us = 1700000000u * (uint64_t)1000000;

T_UNUSED static uint64_t
fake_now(struct world *w)
{
	(void)w;
	return clock_ms;
}

T_UNUSED static uint64_t
fake_wall(struct world *w)
{
	(void)w;
	return wall_us;
}

T_UNUSED static struct world fake = { .now = fake_now, .wall = fake_wall };
T_UNUSED static struct loop       *loop;
T_UNUSED static struct fiber_pool *pool;

T_UNUSED static void
open_loop(void)
{
	loop = loop_new(&fake);
	pool = fiber_pool_new(loop, 65536, 100, 4);
}

T_UNUSED static void
close_loop(void)
{
	loop_round(loop, false);
	T_EQ_NUM(fiber_pool_live(pool), 0);
	fiber_pool_free(pool);
	loop_free(loop);
}

/* ---- certificates ---------------------------------------------------------------------------- */

struct pem {
	char      cert[4096], key[4096], locked[4096];
	X509     *x;
	EVP_PKEY *pkey;
};

struct maker {                          /* all zero: signs itself, no alternative names, no authority */
	const char       *cn, *san, *until, *usage;
	const struct pem *issuer;
	bool              ca;
};

T_UNUSED static struct pem ours, other, rsa;

T_UNUSED static void
to_text(BIO *b, char *out, size_t max)
{
	char *p;
	long  n = BIO_get_mem_data(b, &p);

	T_CHECK(n > 0 && (size_t)n < max);
	memcpy(out, p, (size_t)n);
	out[n] = '\0';
	BIO_free(b);
}

T_UNUSED static void
print_pem(struct pem *m)
{
	BIO *cert = BIO_new(BIO_s_mem()), *key = BIO_new(BIO_s_mem()), *locked = BIO_new(BIO_s_mem());

	T_CHECK(PEM_write_bio_X509(cert, m->x) == 1);
	T_CHECK(PEM_write_bio_PrivateKey(key, m->pkey, NULL, NULL, 0, NULL, NULL) == 1);
	T_CHECK(PEM_write_bio_PrivateKey(locked, m->pkey, EVP_aes_128_cbc(), (const unsigned char *)"x", 1,
		    NULL, NULL) == 1);
	to_text(cert, m->cert, sizeof(m->cert));
	to_text(key, m->key, sizeof(m->key));
	to_text(locked, m->locked, sizeof(m->locked));
}

T_UNUSED static void
add_extension(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = value != NULL ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	T_CHECK(value == NULL || (e != NULL && X509_add_ext(x, e, -1) == 1));
	X509_EXTENSION_free(e);
}

T_UNUSED static void
make_cert(struct pem *m, EVP_PKEY *pkey, const struct maker *how)
{
	X509_NAME *subject;

	m->pkey = pkey;
	m->x = X509_new();
	X509_set_version(m->x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(m->x), 1);
	ASN1_TIME_set_string(X509_getm_notBefore(m->x), "20200203040506Z");
	ASN1_TIME_set_string(X509_getm_notAfter(m->x), how->until != NULL ? how->until : "20390203040506Z");
	X509_set_pubkey(m->x, pkey);
	subject = X509_get_subject_name(m->x);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Tests", -1, -1, 0);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)how->cn, -1, -1, 0);
	X509_set_issuer_name(m->x, how->issuer != NULL ? X509_get_subject_name(how->issuer->x) : subject);
	add_extension(m->x, NID_basic_constraints, how->ca ? "critical,CA:TRUE" : NULL);
	add_extension(m->x, NID_subject_alt_name, how->san);
	add_extension(m->x, NID_ext_key_usage, how->usage);
	T_CHECK(X509_sign(m->x, how->issuer != NULL ? how->issuer->pkey : pkey, EVP_sha256()) > 0);
	print_pem(m);
}

T_UNUSED static void
make_pem(struct pem *m, EVP_PKEY *pkey, const char *name)
{
	make_cert(m, pkey, &(struct maker){ .cn = name });
}

T_UNUSED static void
free_pem(struct pem *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->pkey);
}

/* A server with one certificate. */
T_UNUSED static struct tls_context *
one_certificate(struct arena *a, struct strv chain, struct strv key, int minimum, struct strv id,
    struct strv *why)
{
	struct tls_certificate c = { chain, key, { NULL, 0 } };
	struct tls_server      conf = {
		     .certificate = &c, .n_certificate = 1, .minimum = minimum, .id = id
	};
	unsigned which;

	return tls_context_server(a, &conf, &which, why);
}

T_UNUSED static struct tls_context *
context(int minimum, const char *id)
{
	struct arena       *a = arena_new(1024, 0);
	struct strv         why = { NULL, 0 };
	struct tls_context *x = one_certificate(
	    a, strv_z(ours.cert), strv_z(ours.key), minimum, strv_z(id), &why);

	T_CHECKF(x != NULL, "%.*s", (int)why.n, why.p);
	arena_free(a);
	return x;
}

#endif
