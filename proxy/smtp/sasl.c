/*
 * sasl -- the mechanisms that are passed on: their names, and the names in their responses.
 *
 * Not for checking a secret: the server does that.  The invariant: a user's name that leaves here is
 * UTF-8 without controls, so it can stand in a rule, a log line and an XCLIENT.
 */
#include "proxy/smtp/sasl.h"

#include "proxy/base/utf8.h"

static const char *const spelled[SASL_MAX] = {
#define X(name, word, rfc) word,
	SASL_MECHANISMS(X)
#undef X
};

const char *
sasl_word(enum sasl_mechanism m)
{
	return spelled[m];
}

int
sasl_find(struct strv word)
{
	for (int i = 0; i < SASL_MAX; i++)
		if (strv_ieq(word, strv_z(spelled[i])))
			return i;
	return -1;
}

uint32_t
sasl_parse_words(struct strv words)
{
	uint32_t found = 0;

	for (struct strv w = strv_word(&words); w.n > 0; w = strv_word(&words)) {
		int m = sasl_find(w);

		found |= m >= 0 ? SASL_BIT((unsigned)m) : 0;
	}
	return found;
}

/* LOGIN's server speaks first, too, but clients send the name at once and servers take it. */
bool
sasl_server_first(enum sasl_mechanism m)
{
	return m == SASL_CRAM_MD5;
}

/* --- names ------------------------------------------------------------------------------------ */

static bool
good_name(struct strv v)
{
	if (v.n == 0 || v.n > SASL_NAME || !utf8_valid(v))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < ' ' || v.p[i] == 0x7f)
			return false;
	return true;
}

static bool
good_secret(struct strv v)
{
	return v.n > 0 && memchr(v.p, '\0', v.n) == NULL;
}

/* To act as oneself is to ask for nothing. */
static bool
set_author(struct sasl_names *out, struct strv v)
{
	if (v.n == 0 || strv_eq(v, out->user))
		return true;
	out->author = v;
	return good_name(v);
}

/* [authzid] NUL authcid NUL passwd, RFC 4616 2 */
static bool
names_plain(unsigned step, struct strv v, struct sasl_names *out)
{
	struct strv author = strv_cut(&v, '\0');

	out->user = strv_cut(&v, '\0');
	return step == 0 && v.p != NULL && good_name(out->user) && good_secret(v) &&
	    set_author(out, author);
}

/* The name, then the password, each a line of its own. */
static bool
names_login(unsigned step, struct strv v, struct sasl_names *out)
{
	if (step == 0)
		out->user = v;
	return step == 0 ? good_name(v) : step == 1 && good_secret(v);
}

static bool
is_hex_digest(struct strv v)
{
	if (v.n != 32)
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (!ascii_is_digit(v.p[i]) &&
		    !(ascii_lower(v.p[i]) >= 'a' && ascii_lower(v.p[i]) <= 'f'))
			return false;
	return true;
}

/* user SP digest, RFC 2195 2; a name may hold blanks itself */
static bool
names_cram(unsigned step, struct strv v, struct sasl_names *out)
{
	size_t at = strv_rchr(v, ' ');

	if (step != 0 || at == v.n || !is_hex_digest(strv_from(v, at + 1)))
		return false;
	out->user = strv_first(v, at);
	return good_name(out->user);
}

/* saslname = 1*(value-safe-char / "=2C" / "=3D"), RFC 5802 7.  False: another "=", or longer than room. */
static bool
unescape(struct strv v, char room[SASL_NAME], struct strv *out)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++, n++) {
		if (n == SASL_NAME)
			return false;
		room[n] = v.p[i];
		if (v.p[i] != '=')
			continue;
		if (v.n - i < 3 ||
		    !(memcmp(v.p + i, "=2C", 3) == 0 || memcmp(v.p + i, "=3D", 3) == 0))
			return false;
		room[n] = v.p[i + 2] == 'C' ? ',' : '=';
		i += 2;
	}
	*out = strv(room, n);
	return true;
}

/*
 * gs2-header = gs2-cbind-flag "," [ "a=" saslname ] ",", RFC 5802 7, RFC 5801 4.  "p=" is channel
 * binding, and to our TLS, not to the server's; a "y" the server judges by what it offered.
 */
static bool
take_gs2(struct strv *v, char room[SASL_NAME], struct strv *author)
{
	struct strv flag = strv_cut(v, ','), name;

	*author = (struct strv){ NULL, 0 };
	if (v->p == NULL || !(strv_eq(flag, SV("n")) || strv_eq(flag, SV("y"))))
		return false;
	name = strv_cut(v, ',');
	if (v->p == NULL || name.n == 0)
		return v->p != NULL;
	return strv_starts(name, SV("a=")) && unescape(strv_from(name, 2), room, author) &&
	    good_name(*author);
}

/* gs2-header "n=" saslname "," "r=" nonce ["," extensions]; "m=" is for mechanisms to come: refused */
static bool
scram_first(struct strv v, struct sasl_names *out)
{
	struct strv author, name, nonce;

	if (!take_gs2(&v, out->room[1], &author))
		return false;
	name = strv_cut(&v, ',');
	if (v.p == NULL || !strv_starts(name, SV("n=")) ||
	    !unescape(strv_from(name, 2), out->room[0], &out->user))
		return false;
	nonce = strv_cut(&v, ',');
	return good_name(out->user) && strv_starts(nonce, SV("r=")) && nonce.n > 2 &&
	    set_author(out, author);
}

/* Then the proof, and an empty answer to the server's own: RFC 4954 4 has no data with a 235. */
static bool
names_scram(unsigned step, struct strv v, struct sasl_names *out)
{
	if (step == 0)
		return scram_first(v, out);
	return step == 1 ? strv_starts(v, SV("c=")) : step == 2 && v.n == 0;
}

/*
 * "user=" name ^A "auth=Bearer " token ^A ^A, and not a word more: of several users Dovecot believes the last
 * one.  Then anything, as the answer to the server's reasons.
 */
static bool
names_xoauth2(unsigned step, struct strv v, struct sasl_names *out)
{
	struct strv user, token;

	if (step > 0)
		return step == 1;
	user = strv_cut(&v, '\1');
	token = strv_cut(&v, '\1');
	if (!strv_starts(user, SV("user=")) || !strv_istarts(token, SV("auth=")) ||
	    !strv_eq(v, SV("\1")))
		return false;
	out->user = strv_from(user, 5);
	return good_name(out->user);
}

/* Drafts of RFC 7628 had the user among the keys; whose word counts where both are there is the server's guess. */
static bool
has_user(struct strv pairs)
{
	while (pairs.n > 0)
		if (strv_istarts(strv_cut(&pairs, '\1'), SV("user=")))
			return true;
	return false;
}

/* gs2-header ^A *(key "=" value ^A) ^A, RFC 7628 3.1; without a= the token alone says who it is */
static bool
names_oauthbearer(unsigned step, struct strv v, struct sasl_names *out)
{
	if (step > 0)
		return step == 1;
	if (!take_gs2(&v, out->room[0], &out->user) || v.n < 2 || v.p[0] != '\1' ||
	    v.p[v.n - 1] != '\1' || has_user(v))
		return false;
	if (out->user.p == NULL)
		out->user = SV("");
	return true;
}

bool
sasl_names_of(enum sasl_mechanism m, unsigned step, struct strv response, struct sasl_names *out)
{
	static bool (*const names[])(unsigned, struct strv, struct sasl_names *) = {
		[SASL_PLAIN] = names_plain,
		[SASL_LOGIN] = names_login,
		[SASL_CRAM_MD5] = names_cram,
		[SASL_SCRAM_SHA_1] = names_scram,
		[SASL_SCRAM_SHA_256] = names_scram,
		[SASL_XOAUTH2] = names_xoauth2,
		[SASL_OAUTHBEARER] = names_oauthbearer,
	};

	out->user = out->author = (struct strv){ NULL, 0 };
	return names[m](step, response, out);
}
