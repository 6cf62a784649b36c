/*
 * milter_macros -- the macros of a milter: names of Sendmail's that filters ask for.
 *
 * Which are sent where is Sendmail's and Postfix's default tables together; what of them we know nothing of is left
 * out.  A set is a word of bits, so that nothing is parsed or searched while a message is told; what each of them is
 * worth just then is milter_values.c's.  The invariant: a value holds no NUL, which would end it early in a packet.
 */
#include "filters/auth.h"
#include "filters/milter_macros_own.h"
#include "proxy/base/arena.h"

static const struct strv names[M_MAX] = {
/* As they are sent: with braces where they are longer than a letter. */
#define X(name, word) \
	[M_##name] = { sizeof(word) == 2 ? word : "{" word "}", \
		sizeof(word) == 2 ? 1 : sizeof(word) + 1 },
	MILTER_MACROS(X)
#undef X
};

#define BIT(name) ((uint64_t)1 << M_##name)
#define RESULTS   (BIT(AUTHRES_SPF) | BIT(AUTHRES_DKIM) | BIT(AUTHRES_DMARC) | BIT(AUTHRES_ARC))

/* Sendmail's confMILTER_MACROS_* and Postfix's milter_*_macros. */
static const uint64_t defaults[MILTER_PLACES] = {
	[MILTER_AT_CONNECT] = BIT(j) | BIT(CLIENT) | BIT(DAEMON_NAME) | BIT(DAEMON_ADDR) |
	    BIT(IF_NAME) | BIT(IF_ADDR) | BIT(v),
	[MILTER_AT_HELO] = BIT(TLS_VERSION) | BIT(CIPHER) | BIT(CIPHER_BITS) | BIT(CERT_SUBJECT) |
	    BIT(CERT_ISSUER),
	[MILTER_AT_MAIL] = BIT(i) | BIT(AUTH_TYPE) | BIT(AUTH_AUTHEN) | BIT(AUTH_AUTHOR) |
	    BIT(MAIL_MAILER) | BIT(MAIL_HOST) | BIT(MAIL_ADDR),
	[MILTER_AT_RCPT] = BIT(i) | BIT(RCPT_MAILER) | BIT(RCPT_HOST) | BIT(RCPT_ADDR),
	[MILTER_AT_DATA] = BIT(i),
	[MILTER_AT_EOH] = BIT(i) | RESULTS,
	[MILTER_AT_EOM] = BIT(i) | BIT(MSG_ID) | RESULTS,
};

/* Not sent unless that method of `authenticate' is on. */
static const struct {
	enum macro macro;
	unsigned   method;
} results[] = {
	{ M_AUTHRES_SPF, AUTH_SPF },
	{ M_AUTHRES_DKIM, AUTH_DKIM },
	{ M_AUTHRES_DMARC, AUTH_DMARC },
	{ M_AUTHRES_ARC, AUTH_ARC },
};

enum { N_RESULTS = sizeof(results) / sizeof(results[0]) };

/* Where both are told at once the first counts (libmilter, smfi_getsymval): the message's. */
uint64_t
milter_macros_own(enum milter_place at)
{
	return at == MILTER_AT_CONNECT ? BIT(OWN_SESSION) :
	    at == MILTER_AT_MAIL       ? BIT(OWN_MESSAGE) :
					 0;
}

/* Nobody asks for what is ours. */
static uint64_t
find_name(struct strv word)
{
	if (word.n > 2 && word.p[0] == '{' && word.p[word.n - 1] == '}')
		word = strv(word.p + 1, word.n - 2);
	for (unsigned i = M_OWN_SESSION + 1; i < M_MAX; i++) {
		struct strv name = names[i];

		if (name.n > 1)
			name = strv(name.p + 1, name.n - 2);
		if (strv_eq(name, word))
			return (uint64_t)1 << i;
	}
	return 0;
}

uint64_t
milter_macros_set(enum milter_place at, struct strv wanted, unsigned methods)
{
	uint64_t set = wanted.p == NULL ? defaults[at] : 0;

	while (wanted.n > 0) {
		struct strv word = strv_word(&wanted);

		set |= find_name(word);
	}
	for (unsigned i = 0; i < N_RESULTS; i++)
		if (!(methods & results[i].method))
			set &= ~((uint64_t)1 << results[i].macro);
	return set;
}

/* ---- a set, with its values ---- */

MAY_YIELD enum wait_rc
milter_macros(
    struct arena *a, const struct milter_ask *ask, uint64_t set, struct milter_macros *out)
{
	struct milter_macro *v;
	unsigned             n = 0;

	*out = (struct milter_macros){ 0 };
	if (set == 0)
		return WAIT_OK;
	v = arena_alloc(a, (unsigned)__builtin_popcountll(set) * sizeof(*v));
	for (; set != 0; set &= set - 1) {
		unsigned     which = (unsigned)__builtin_ctzll(set);
		struct strv  value = { NULL, 0 };
		enum wait_rc rc = milter_macro_value(a, ask, which, &value);

		if (rc != WAIT_OK)
			return rc;
		if (value.p == NULL)
			continue;
		v[n++] =
		    (struct milter_macro){ names[which], strv_first(value, strv_chr(value, '\0')) };
	}
	*out = (struct milter_macros){ v, n };
	return WAIT_OK;
}
