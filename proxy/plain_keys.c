/*
 * plain_keys -- the keys of `sign' and `seal': which file is whose, may it be one, is it one.
 *
 * All of it before fork, so that no worker ever opens a key and a message never waits for a disk.  A key that
 * cannot be used is an error: signing with some of the keys would go unnoticed for months.
 */
#include <stdlib.h>

#include "filters/auth.h"
#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/base/idn.h"
#include "proxy/base/nameset.h"
#include "proxy/plain.h"

#define KEY_OCTETS  65536u /* of one file */
#define KEYS_MAX    10000  /* files, of all statements */
#define NAME_OCTETS 253    /* RFC 1035 2.3.4 */

#define WEAK_RSA 2048 /* RFC 8301 3.2: signers SHOULD use at least so many bits */

struct keys { /* of one statement */
	struct load            *l;
	const struct seal_said *said;
	struct sign_rule       *rule;
	unsigned                n_file;  /* of all statements */
	bool                    by_name; /* %{from.domain} stands in the file's name */
	struct sign_key         one;     /* where it does not: read once, for all */
};

/* ---- the name of the file -------------------------------------------------------------------- */

static const struct strv placeholder = { "%{from.domain}", 14 };

/* Its placeholders filled in.  False: there is another one than that; *by_name: there is one at all. */
static bool
expand(struct arena *a, struct strv v, struct strv domain, struct strv *out, bool *by_name)
{
	struct strv all = SV("");

	*by_name = false;
	while (v.n > 0) {
		size_t      n = strv_chr(v, '%');
		struct strv rest = strv_from(v, n);
		struct strv put = SV("%");

		all = arena_concat(a, all, strv_first(v, n));
		if (rest.n == 0)
			break;
		if (strv_starts(rest, placeholder)) {
			put = domain;
			*by_name = true;
			v = strv_from(rest, placeholder.n);
		} else if (strv_starts(rest, SV("%%"))) {
			v = strv_from(rest, 2);
		} else if (strv_starts(rest, SV("%{"))) {
			return false;
		} else {
			v = strv_from(rest, 1);
		}
		all = arena_concat(a, all, put);
	}
	*out = all;
	return true;
}

static bool
look_at_name(struct keys *k)
{
	const struct conf_value *v = k->said->key;
	struct load             *l = k->l;
	struct strv              unused;

	if (!expand(l->a, v->text, SV("d"), &unused, &k->by_name)) {
		diag_add(l->d, DIAG_ERROR, v->pos, SV("%% is a % that stands for itself"),
		    "only %%{from.domain} can stand in the name of a key's file");
		return false;
	}
	if (k->by_name && k->said->seal) {
		diag_add(l->d, DIAG_ERROR, v->pos, SV("a `seal' has one domain, and so one file"),
		    "%%{from.domain} is for `sign'");
		return false;
	}
	return true;
}

static const char *
path_for(struct keys *k, struct strv domain)
{
	struct conf_value v = *k->said->key;
	bool              by_name;

	(void)expand(k->l->a, v.text, domain, &v.text, &by_name);
	return plain_path(k->l->a, &v);
}

/* ---- one file -------------------------------------------------------------------------------- */

static struct strv
mode_text(struct arena *a, unsigned mode)
{
	char *text = arena_z(a, SV("-rwxrwxrwx"));

	for (unsigned i = 0; i < 9; i++) {
		if ((mode >> (8 - i) & 1) == 0)
			text[i + 1] = '-';
	}
	return strv(text, 10);
}

/* Whoever can read a key is us; whoever can write it decides what we sign with. */
static bool
may_be_key(struct load *l, struct pos at, const char *path)
{
	unsigned    mode = 0;
	struct strv text;

	if (l->w->file_mode == NULL || l->w->file_mode(l->w, path, &mode) != FILE_OK ||
	    (mode & 026) == 0)
		return true; /* what cannot be read is said when it is read */
	text = mode_text(l->a, mode);
	diag_add(l->d, DIAG_ERROR, at, arena_printf(l->a, "chmod g-w,o= %s", path),
	    "%s can %s the key %s: %.*s",
	    mode & 06 ? "everybody on this machine" : "all of its group",
	    mode & 04 ? "read" : "write", path, (int)text.n, text.p);
	return false;
}

static void
cannot_use(struct load *l, struct pos at, const char *path, const char *why)
{
	diag_add(l->d, DIAG_ERROR, at, SV("postern-keygen makes keys"),
	    "the key %s cannot be used: %s", path, why);
}

/* False: said why not. */
static bool
take_key(struct keys *k, struct pos at, const char *path, struct sign_key *out)
{
	struct load *l = k->l;
	const char  *why = "";

	out->key = crypt_key_read(l->a, out->pem, &why);
	if (out->key == NULL) {
		cannot_use(l, at, path, why);
		return false;
	}
	if (crypt_key_kind(out->key) == CRYPT_RSA && crypt_key_bits(out->key) < WEAK_RSA)
		diag_add(l->d, DIAG_WARNING, at, SV("RFC 8301 3.2: 2048 bits, or Ed25519"),
		    "the key %s is weak: RSA of %u bits", path, crypt_key_bits(out->key));
	if (k->said->seal && crypt_key_kind(out->key) == CRYPT_ED25519)
		diag_add(l->d, DIAG_WARNING, at,
		    SV("an RSA key; a chain can have no seal beside it"),
		    "the key %s is Ed25519, which many verifiers of ARC do not know", path);
	return true;
}

static bool
read_key(struct keys *k, const char *path, struct sign_key *out)
{
	struct load *l = k->l;
	struct pos   at = k->said->key->pos;
	struct strv  text = { NULL, 0 };
	enum file_rc rc;

	if (++k->n_file > KEYS_MAX) {
		if (k->n_file == KEYS_MAX + 1)
			diag_add(
			    l->d, DIAG_ERROR, at, strv(NULL, 0), "more than %d keys", KEYS_MAX);
		return false;
	}
	rc = l->w->read_file(l->w, l->a, path, KEY_OCTETS, &text);
	if (rc != FILE_OK) {
		diag_add(l->d, DIAG_ERROR, at, plain_hint_file(rc, k->said->key->text),
		    "cannot read the key %s: %s", path, file_rc_name(rc));
		return false;
	}
	out->file = strv_z(path);
	out->pem = arena_dup(l->a, text);
	return may_be_key(l, at, path) && take_key(k, at, path, out);
}

/* ---- the domains of a rule ------------------------------------------------------------------- */

static bool
is_ascii(struct strv v)
{
	for (size_t i = 0; i < v.n; i++) {
		if ((unsigned char)v.p[i] > 0x7e)
			return false;
	}
	return true;
}

/* d= and the name of the record must be possible. */
static bool
can_sign(struct keys *k, struct strv domain)
{
	struct load *l = k->l;
	size_t       n = k->rule->selector.n + strlen("._domainkey.") + domain.n;
	const char  *why = NULL;

	if (strv_starts(domain, SV("[")))
		why = "an address";
	else if (!is_ascii(domain))
		why = "it has no form in A-labels";
	else if (n > NAME_OCTETS)
		why = "the name of its record is too long";
	if (why == NULL)
		return true;
	diag_add(l->d, DIAG_ERROR, k->said->who->pos, strv(NULL, 0), "nobody can sign for %s: %s",
	    diag_quote(l->a, domain), why);
	return false;
}

static int
by_domain(const void *x, const void *y)
{
	return strv_cmp(((const struct sign_key *)x)->domain, ((const struct sign_key *)y)->domain);
}

/* "d" and ".d" are one entry. */
static void
add_domain(struct keys *k, struct strv item)
{
	struct sign_rule *r = k->rule;
	bool              below = strv_starts(item, SV("."));

	if (below)
		item = strv_from(item, 1);
	if (can_sign(k, item))
		r->key[r->n_key++] =
		    (struct sign_key){ .domain = item, .exact = !below, .below = below };
}

static void
join_same(struct sign_rule *r)
{
	unsigned n = 0;

	qsort(r->key, r->n_key, sizeof(*r->key), by_domain);
	for (unsigned i = 0; i < r->n_key; i++) {
		struct sign_key *last = n > 0 ? &r->key[n - 1] : NULL;

		if (last != NULL && strv_eq(last->domain, r->key[i].domain)) {
			last->exact = last->exact || r->key[i].exact;
			last->below = last->below || r->key[i].below;
		} else {
			r->key[n++] = r->key[i];
		}
	}
	r->n_key = n;
}

static bool
take_domains(struct keys *k)
{
	const struct nameset *names = policy_domains(k->l->s->policy, k->said->who, k->l->d);
	size_t                n = names == NULL ? 0 : nameset_count(names);

	k->rule->key = arena_array(k->l->a, n, sizeof(*k->rule->key));
	for (size_t i = 0; i < n; i++)
		add_domain(k, nameset_at(names, i));
	join_same(k->rule);
	if (names != NULL && n == 0)
		diag_add(k->l->d, DIAG_WARNING, k->said->who->pos, strv(NULL, 0),
		    "the list is empty: nothing will be signed");
	return names != NULL;
}

/* ---- one selector, one key ------------------------------------------------------------------- */

static bool
same_key(const struct sign_key *x, const struct sign_key *y)
{
	return strv_eq(x->file, y->file) || strv_eq(x->pem, y->pem);
}

/* The DNS has room for one key at a name: whose signatures are of another one fail everywhere. */
static void
look_at_both(struct load *l, const struct sign_rule *r, const struct sign_rule *before)
{
	unsigned k = 0;

	if (!strv_eq(r->selector, before->selector))
		return;
	for (unsigned i = 0; i < r->n_key; i++) {
		const struct sign_key *x = &r->key[i], *y;

		while (k < before->n_key && strv_cmp(before->key[k].domain, x->domain) < 0)
			k++;
		y = k < before->n_key ? &before->key[k] : NULL;
		if (y == NULL || !strv_eq(x->domain, y->domain) || same_key(x, y))
			continue;
		diag_add(l->d, DIAG_ERROR, l->seal[r->number].selector->pos,
		    SV("each key needs a selector of its own"),
		    "%.*s has another key with this selector, at %.*s", (int)x->domain.n,
		    x->domain.p, (int)before->where.n, before->where.p);
		return;
	}
}

static void
look_at_selectors(struct load *l)
{
	const struct auth_conf *c = &l->s->auth;
	const struct sign_rule *all[SIGN_RULES_MAX];
	unsigned                n = 0;

	for (unsigned i = 0; i < c->n_sign; i++)
		all[n++] = &c->sign[i];
	for (unsigned i = 0; i < c->n_seal; i++)
		all[n++] = &c->seal[i];
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < n; k++) {
			if (all[k]->number < all[i]->number)
				look_at_both(l, all[i], all[k]);
		}
	}
}

/* ---- rules ----------------------------------------------------------------------------------- */

static struct strv
a_labels(struct arena *a, struct strv v)
{
	char  buf[IDN_OCTETS];
	char *out = arena_z(a, idn_domain(v, buf));

	for (char *p = out; *p != '\0'; p++)
		*p = ascii_lower(*p);
	return strv_z(out);
}

/* One file for all is read once. */
static void
read_keys(struct keys *k)
{
	struct sign_rule *r = k->rule;
	struct sign_key  *one = &k->one;

	if (!k->by_name && (r->n_key == 0 || !read_key(k, path_for(k, SV("")), one)))
		return;
	for (unsigned i = 0; i < r->n_key && k->n_file <= KEYS_MAX; i++) {
		struct sign_key *x = &r->key[i];

		if (k->by_name) {
			(void)read_key(k, path_for(k, x->domain), x);
			continue;
		}
		x->file = one->file;
		x->pem = one->pem;
		x->key = one->key;
	}
}

static void
read_rule(struct keys *k)
{
	struct arena            *a = k->l->a;
	const struct conf_plain *st = k->said->st;

	k->one = (struct sign_key){ 0 };
	k->rule->number = (unsigned)(k->said - k->l->seal);
	k->rule->selector = a_labels(a, k->said->selector->text);
	k->rule->where = arena_printf(
	    a, "%.*s:%u", (int)st->pos.src->name.n, st->pos.src->name.p, st->pos.line);
	if (!look_at_name(k))
		return;
	if (k->said->seal) {
		k->rule->key = arena_array(a, 1, sizeof(*k->rule->key));
		add_domain(k, a_labels(a, k->said->who->text));
	} else if (!take_domains(k)) {
		return;
	}
	read_keys(k);
}

void
plain_keys(struct load *l)
{
	struct auth_conf *auth = &l->s->auth;
	struct keys       k = { .l = l };

	auth->sign = arena_array(l->a, l->n_seal, sizeof(*auth->sign));
	auth->seal = arena_array(l->a, l->n_seal, sizeof(*auth->seal));
	for (unsigned i = 0; i < l->n_seal; i++) {
		k.said = &l->seal[i];
		k.rule = k.said->seal ? &auth->seal[auth->n_seal++] : &auth->sign[auth->n_sign++];
		if (k.said->who != NULL && k.said->selector != NULL && k.said->key != NULL)
			read_rule(&k);
	}
	if (l->d->errors == 0)
		look_at_selectors(l);
}
