/*
 * rogue_auth -- a rogue's side of AUTH: honest, with a bad password, cancelled, or no base64 at all.
 *
 * Its user is "user-sN", N being its number, so that what it sends can be told from others'.
 */
#include <openssl/evp.h>

#include "tests/sim/estate.h"
#include "tests/sim/rogue_own.h"

#define TRIES_MAX 3

static const char *const words[] = { "PLAIN", "LOGIN", "CRAM-MD5" };
enum { PLAIN, LOGIN, CRAM, MECHANISMS };

void
rogue_auth_offered(struct rogue *r, struct strv ehlo)
{
	r->mechanisms = 0;
	while (ehlo.p != NULL) {
		struct strv line = strv_cut(&ehlo, '\n');
		char        want[32];

		if (!sim_match(SV("250?AUTH*"), line) && !sim_match(SV("250-AUTH *"), line) &&
		    !sim_match(SV("250 AUTH *"), line))
			continue;
		for (unsigned i = 0; i < MECHANISMS; i++) {
			snprintf(want, sizeof(want), "* %s*", words[i]);
			if (sim_match(strv_z(want), line))
				r->mechanisms |= 1u << i;
		}
	}
}

/* The secret is right, or it is not. */
static const char *
password(const struct rogue *r)
{
	return r->honest ? "secret" : "guess";
}

/* The text of response number auth_step, and its length: there are NULs in it. */
static size_t
response(const struct rogue *r, char text[120])
{
	int n = 0;

	switch (r->mechanism) {
	case PLAIN:
		n = snprintf(text, 120, "%cuser-s%u%c%s", 0, r->no, 0, password(r));
		break;
	case LOGIN:
		n = r->auth_step == 0 ? snprintf(text, 120, "user-s%u", r->no) :
					snprintf(text, 120, "%s", password(r));
		break;
	default:
		n = snprintf(text, 120, "user-s%u %s", r->no,
		    r->honest ? "b913a602c7eda7a495b4e6e7334d3890" : "b913a602");
		break;
	}
	return (size_t)n;
}

static const char *
coded(const struct rogue *r, unsigned char code[200])
{
	char   text[120];
	size_t n = response(r, text);

	EVP_EncodeBlock(code, (const unsigned char *)text, (int)n);
	return (const char *)code;
}

bool
rogue_auth_begin(struct rogue *r)
{
	struct sim   *s = rogue_sim(r);
	unsigned char code[200];

	if (r->mechanisms == 0 || r->authenticated || r->auth_tries >= TRIES_MAX)
		return false;
	do
		r->mechanism = (unsigned)sim_below(s, MECHANISMS);
	while (!(r->mechanisms & 1u << r->mechanism));
	r->honest = sim_chance(s, 75);
	r->auth_step = 0;
	r->auth_tries++;
	if (r->mechanism != CRAM && sim_chance(s, 50)) {
		rogue_command(r, K_AUTH, "AUTH %s %s", words[r->mechanism], coded(r, code));
		r->auth_step = 1;
	} else
		rogue_command(r, K_AUTH, "AUTH %s", words[r->mechanism]);
	return true;
}

static void
respond(struct rogue *r)
{
	struct sim   *s = rogue_sim(r);
	unsigned char code[200];

	if (rogue_rude(r)) {
		rogue_command(r, K_AUTH, "%s", sim_chance(s, 50) ? "*" : "no base64!");
		return;
	}
	rogue_command(r, K_AUTH, "%s", coded(r, code));
	r->auth_step++;
}

void
rogue_auth_heard(struct rogue *r, unsigned code)
{
	if (code == 334)
		respond(r);
	else if (code == 235) {
		r->authenticated = true;
		memcpy(r->auth_helo, r->helo, sizeof(r->helo));
		r->auth_esmtp = r->esmtp;
		if (!r->honest)
			rogue_fault(r, "235 to a bad password");
	} else if (code < 400)
		rogue_fault(r, "%u in an exchange", code);
}
