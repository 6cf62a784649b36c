/*
 * callbacks_macros -- the mail server's macros: which we ask for, more than those of its defaults or fewer, and what of
 * them goes with a call.
 *
 * The invariant: what VISIT_WORDS names (visit.h) is asked for at the first step that can tell it.
 */
#include "proxy/hosts/callbacks_own.h"

#include <libmilter/mfdef.h>

/* TLS once more: who says no EHLO behind STARTTLS is heard of here. */
#define MAIL_MACROS \
	"i {auth_type} {auth_authen} {auth_author} {tls_version} {cipher} {cipher_bits} {cert_subject} {verify}"

void
callbacks_ask_macros(SMFICTX *ctx)
{
	static const char *const lists[] = {
		[SMFIM_CONNECT] = "v {daemon_name} {if_addr} {daemon_addr} {daemon_port}",
		[SMFIM_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {verify}",
		[SMFIM_ENVFROM] = MAIL_MACROS,
		[SMFIM_ENVRCPT] = "i",
		[SMFIM_EOM] = "i",
	};

	for (int i = 0; i <= SMFIM_EOM; i++)
		if (lists[i] != NULL)
			(void)smfi_setsymlist(ctx, i, (char *)lists[i]);
}

void
callbacks_keep_macros(SMFICTX *ctx, struct visit_call *c, size_t room)
{
#define X(name, macro) macro,
	static const char *const names[] = { VISIT_WORDS(X) };
#undef X

	for (unsigned i = 0; i < WORD_MAX; i++) {
		const char *value = smfi_getsymval(ctx, (char *)names[i]);

		if (value != NULL && c->call.octets + strlen(value) + 1 <= room + MACROS_ROOM)
			c->word[i] = visit_call_keep(c, value, strlen(value));
	}
}
