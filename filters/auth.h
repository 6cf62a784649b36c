/*
 * auth -- what a configuration says of who a sender is: `authenticate', `spf', `dkim', `sign', `seal'.
 *
 * proxy/plain_sender.c fills it in, filters read it (filter.h, struct filter_use).  All of it is read-only and
 * lives as long as the configuration; keys are read before fork, so a worker never opens a key file.
 */
#ifndef FILTERS_AUTH_H
#define FILTERS_AUTH_H

#include "proxy/base/hash.h"
#include "proxy/base/strv.h"
#include "proxy/mail/canon.h"

struct crypt_key;                       /* proxy/base/crypt.h */

/* What `authenticate' names: checked for every message, told in one Authentication-Results field. */
enum auth_method { AUTH_SPF = 1, AUTH_DKIM = 2, AUTH_DMARC = 4, AUTH_ARC = 8 };

enum spf_engine { SPF_NONE, SPF_OWN, SPF_LIBSPF2 };

#define SIGNATURES_DEFAULT  5           /* `dkim { signatures }': so many of one message are looked at; at most */
#define SIGNATURES_MAX      20
#define MINIMUM_KEY_DEFAULT 1024        /* bits, of RSA. RFC 8301 3.2: never below */
#define SIGN_RULES_MAX      32          /* `sign' and `seal' together */

/* The key of one domain: d= is `domain', for it and, where it is `below', for what is below it. */
struct sign_key {
	struct strv             domain;         /* A-labels, lower case, without a leading dot */
	bool                    exact, below;   /* ours.example; .ours.example */
	struct strv             file;           /* as it was read, for check and the log */
	struct strv             pem;            /* what stands in it, with a NUL behind */
	const struct crypt_key *key;
};

/* One `sign' or `seal' statement. */
struct sign_rule {
	unsigned         number;        /* of its condition: findings.holds[number] (policy_seals) */
	struct strv      selector;      /* A-labels */
	struct sign_key *key;           /* sign: of each domain of its list, sorted by domain; seal: one */
	unsigned         n_key;
	struct strv      where;         /* "FILE:LINE", for the log */
};

struct auth_conf {
	unsigned          methods;              /* AUTH_... of `authenticate'; 0: no such statement */
	struct strv       id;                   /* authserv-id as it is written into fields; default: hostname */
	enum spf_engine   engine, cross;        /* cross: SPF_NONE, or what is asked beside the engine and compared */
	unsigned          signatures, minimum_key;
	enum canon_form   sign_header, sign_body;       /* c= of our signatures */
	struct sign_rule *sign, *seal;          /* in file order */
	unsigned          n_sign, n_seal;
};

/* What holds where nothing is said. */
#define AUTH_CONF_DEFAULT \
	{ .engine = SPF_OWN, .signatures = SIGNATURES_DEFAULT, .minimum_key = MINIMUM_KEY_DEFAULT, \
	  .sign_header = CANON_RELAXED, .sign_body = CANON_RELAXED }

#endif
