/*
 * dkim_own -- what the files of the DKIM filter share; nobody else includes it.
 *
 * A signature is judged by what stands in its field (dkim_sig.c) and in its key's record (dkim_key.c); what is left
 * then is canonical forms and hashes, and that is libopendkim's, and a public key, which is OpenSSL's (dkim_lib.c).
 * So the library is handed only signatures that we have understood, and it never sees a key nor asks the DNS.
 */
#ifndef FILTERS_DKIM_OWN_H
#define FILTERS_DKIM_OWN_H

#include "filters/auth.h"
#include "proxy/base/crypt.h"
#include "proxy/mail/canon.h"
#include "proxy/mail/fact.h"
#include "proxy/mail/message.h"

/* As the words of the fact dkim. */
enum dkim_result { DKIM_NONE, DKIM_PASS, DKIM_FAIL, DKIM_POLICY, DKIM_NEUTRAL, DKIM_TEMPERROR, DKIM_PERMERROR };

enum {
	DKIM_SIG_OCTETS = 16384,        /* of one DKIM-Signature; a longer one is not looked at */
	DKIM_NAMES_MAX = 200,           /* h= of one */
	DKIM_NAMES_OCTETS = 4000,       /* of it: libopendkim has room for 4096 */
	DKIM_FIELDS_MAX = 500,          /* of the header that signatures name; more are too many */
	DKIM_CLOCK_DRIFT = 300          /* s that the signer's clock may be ahead */
};

struct dkim_sig {
	const struct header *field;
	/* Of its tags; absent where they are not good. d= and s= in lower case. */
	struct strv     domain, selector, algorithm, identity;
	struct strv     names;          /* h=, not unfolded */
	char            b[9];           /* the first 8 of b= */
	struct strv     signature;      /* octets of b= */
	struct strv     body_hash;      /* octets of bh=: CRYPT_SHA256 */
	enum crypt_kind kind;
	enum canon_form body_form;
	bool            has_length;     /* l= */
	uint64_t        length;
	struct strv     key_name;       /* SELECTOR._domainkey.DOMAIN */
	struct strv     key;            /* octets of its p=, within bounds; absent: none yet */
	bool            testing;        /* t=y in the key */
	bool            partial;        /* it passes, and l= left out a part of the body */
	bool            settled;        /* result is the last word */
	enum dkim_result result;
	struct strv     reason;         /* absent: none */
	struct canon_body count;        /* where there is an l=: octets of the whole body in canonical form */
	uint64_t        body_octets;
};

/* ---- dkim_sig.c: the field ---- */

bool dkim_is_signature(const struct header *h);
/* Reads h into *s, in a. now: seconds since 1970; 0: not known, then t= and x= are not looked at. */
void dkim_sig_read(struct arena *a, const struct header *h, uint64_t now, struct dkim_sig *s);
void dkim_settle(struct dkim_sig *s, enum dkim_result result, struct strv reason);
/* "pass example.org sel rsa-sha256", and why where it does not pass. In a. */
struct strv dkim_sig_text(struct arena *a, const struct dkim_sig *s);
/* The same as resinfo of RFC 8601 2.2. In a. */
struct strv dkim_sig_resinfo(struct arena *a, const struct dkim_sig *s);

/* ---- dkim_key.c: the record ---- */

/*
 * dkim_key_read -- what the key's TXT records mean for a signature
 *
 *   records   n of them; none: the name has no such record
 *   minimum   bits of RSA that the configuration wants, at least MINIMUM_KEY_DEFAULT
 *
 * Sets s->key, or settles it.
 */
void dkim_key_read(struct arena *a, struct dkim_sig *s, const struct strv *records, unsigned n, unsigned minimum);

/* ---- dkim_facts.c: what all signatures of a message come to ---- */

extern const struct fact_def dkim_facts[];      /* the last is { 0 } */

/* Makes f, one of dkim_facts but without its source, known, from the signatures v of n, each of which has its result. */
void dkim_facts_fill(struct fact *f, const struct dkim_sig *v, unsigned n);

/* ---- dkim_fields.c: what of a header is handed over ---- */

struct dkim_fields;                     /* of one message */

/* Those that the signatures v of n sign in the header of m; who signs too much is settled. In a, and views into v. */
struct dkim_fields *dkim_fields_of(struct arena *a, const struct message *m, struct dkim_sig *v, unsigned n);
bool dkim_fields_want(const struct dkim_fields *f, const struct header *h);
/* Which of v stands there; NULL: none that is not settled. */
struct dkim_sig *dkim_fields_signature(const struct dkim_fields *f, const struct header *h);

/* ---- dkim_lib.c: libopendkim ---- */

struct dkim_lib;                        /* one a worker */
struct dkim_check;                      /* one a message with signatures that are not settled */

/* a owns it. NULL: it cannot be made. */
struct dkim_lib *dkim_lib_new(struct arena *a);
/*
 * dkim_check_begin -- the signatures v of n that are not settled, over the header of m, as it was received
 *
 * NULL: nothing is left to check; each signature is settled.  Else until dkim_check_end, at the latest as long as a.
 */
struct dkim_check *dkim_check_begin(struct arena *a, struct dkim_lib *lib, const struct message *m, struct dkim_sig *v,
    unsigned n);
void dkim_check_body(struct dkim_check *c, struct strv text);
/* The body has ended and each signature that is not settled has its key: settles all of them. Gives the memory back. */
void dkim_check_end(struct dkim_check *c);

#endif
