/*
 * milter_macros_own -- what the two files of a milter's macros share: which there are.  Nobody else includes it.
 */
#ifndef FILTERS_MILTER_MACROS_OWN_H
#define FILTERS_MILTER_MACROS_OWN_H

#include "filters/milter.h"

/* name, function: what it is called, without braces. */
#define MILTER_MACROS(X) \
	X(OWN_MESSAGE, "postern_id") \
	X(OWN_SESSION, "postern_id") \
	X(j, "j") \
	X(CLIENT, "_") \
	X(DAEMON_NAME, "daemon_name") \
	X(DAEMON_ADDR, "daemon_addr") \
	X(DAEMON_PORT, "daemon_port") \
	X(IF_NAME, "if_name") \
	X(IF_ADDR, "if_addr") \
	X(v, "v") \
	X(CLIENT_ADDR, "client_addr") \
	X(CLIENT_NAME, "client_name") \
	X(CLIENT_PORT, "client_port") \
	X(CLIENT_PTR, "client_ptr") \
	X(CLIENT_RESOLVE, "client_resolve") \
	X(TLS_VERSION, "tls_version") \
	X(CIPHER, "cipher") \
	X(CIPHER_BITS, "cipher_bits") \
	X(CERT_SUBJECT, "cert_subject") \
	X(CERT_ISSUER, "cert_issuer") \
	X(TLS_SNI, "tls_sni") \
	X(s, "s") \
	X(i, "i") \
	X(AUTH_TYPE, "auth_type") \
	X(AUTH_AUTHEN, "auth_authen") \
	X(AUTH_AUTHOR, "auth_author") \
	X(MAIL_MAILER, "mail_mailer") \
	X(MAIL_HOST, "mail_host") \
	X(MAIL_ADDR, "mail_addr") \
	X(RCPT_MAILER, "rcpt_mailer") \
	X(RCPT_HOST, "rcpt_host") \
	X(RCPT_ADDR, "rcpt_addr") \
	X(MSG_ID, "msg_id") \
	X(AUTHRES_SPF, "authres_spf") \
	X(AUTHRES_DKIM, "authres_dkim") \
	X(AUTHRES_DMARC, "authres_dmarc") \
	X(AUTHRES_ARC, "authres_arc")

enum macro {
#define X(name, word) M_##name,
	MILTER_MACROS(X)
#undef X
	    M_MAX
};

/*
 * milter_values.c: what that one is worth just then, in a or a view of what lives as long as the transaction; absent:
 * it has no value.  A NUL may be in it.  May park, for facts; not OK: cancelled.
 */
MAY_YIELD enum wait_rc milter_macro_value(struct arena *a, const struct milter_ask *ask, enum macro which,
    struct strv *out);

#endif
