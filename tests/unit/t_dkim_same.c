/*
 * t_dkim_same -- our DKIM verdicts beside libopendkim's own, on the same octets.
 *
 * Of libopendkim we use canonical forms and hashes; keys and signatures we read ourselves.  Here it does all of it,
 * as its own manual has it, and each signature of some thousand letters, true or changed in one place, must come out
 * the same: passes, passes but for the body, or does not.  Never do we pass what it does not.
 * What both are spared, for libopendkim 2.11 has no verdict there: a body without its last CRLF in relaxed form gets
 * it, and there is a last field that no h= names (dkim_lib.c says why).
 */
#include "config.h"

#include <time.h>

#include "tests/unit/dkim_forge.h"
#include "tests/unit/dkim_stand.h"

#if HAVE_OPENDKIM

#include <opendkim/dkim.h>

#if HAVE_VALGRIND
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#define DOMAIN "example.org"
#define MADE   1600000000 /* t= of our `sign' */

enum { LETTERS = 500, LETTERS_SLOWLY = 60, SIGNATURES = SIGNATURES_MAX };

enum said { PASS, BODY, NOT }; /* BODY: the key and the header hold, and the body has changed */
static const char *const said_names[] = { "pass", "body", "not" };

static struct draw   d;
static struct arena *keep; /* keys */
static DKIM_LIB     *lib;

/* ---- keys ---- */

static struct key {
	const char             *selector, *file;
	enum crypt_kind         kind;
	const struct crypt_key *key;
	struct strv             record, now; /* as made; as the DNS has it */
	unsigned                count[4][3]; /* form, said */
} keys[] = { { .selector = "one", .file = "rfc6376-c.pem", .kind = CRYPT_RSA },
	{ .selector = "two", .file = "rsa2048.pem", .kind = CRYPT_RSA },
	{ .selector = "ed", .file = "rfc8463-a1.pem", .kind = CRYPT_ED25519 } };

static const char *const forms[] = { "simple/simple", "simple/relaxed", "relaxed/simple",
	"relaxed/relaxed" };

static void
publish(struct key *k, struct strv record)
{
	char name[100];

	if (strv_eq(record, k->now))
		return;
	snprintf(name, sizeof(name), "%s._domainkey." DOMAIN, k->selector);
	dns_table_drop(stand.dns, strv_z(name));
	k->now = strv_z(arena_z(stand.conf, record));
	T_CHECK(stand_record(name, "TXT", k->now.p));
}

static void
read_keys(void)
{
	const char *why;

	for (struct key *k = keys; k < keys + T_COUNT(keys); k++) {
		struct strv p;

		k->key = crypt_key_read(keep, keys_file(keep, k->file), &why);
		p = tags_to_base64(keep, crypt_key_public(keep, k->key));
		k->record = arena_printf(keep, "v=DKIM1; k=%s; p=%.*s",
		    k->kind == CRYPT_RSA ? "rsa" : "ed25519", (int)p.n, p.p);
		publish(k, k->record);
	}
}

/* ---- what libopendkim says ---- */

struct answer {
	unsigned    n;
	enum said   v[SIGNATURES];
	struct strv text[SIGNATURES]; /* in words */
};

static DKIM_CBSTAT
give_key(DKIM *dkim, DKIM_SIGINFO *info, unsigned char *buf, size_t room)
{
	(void)dkim;
	for (struct key *k = keys; k < keys + T_COUNT(keys); k++)
		if (strv_ieq(strv_z((char *)dkim_sig_getselector(info)), strv_z(k->selector)) &&
		    strv_ieq(strv_z((char *)dkim_sig_getdomain(info)), SV(DOMAIN))) {
			snprintf((char *)buf, room, "%s", k->now.p);
			return DKIM_CBSTAT_CONTINUE;
		}
	return DKIM_CBSTAT_NOTFOUND;
}

static unsigned char *
octets_of(struct strv v)
{
	return (unsigned char *)(uintptr_t)v.p;
}

static void
feed_letter(DKIM *dkim, const struct letter *l)
{
	for (unsigned i = 0; i < l->n; i++)
		dkim_header(dkim, octets_of(l->field[i]), l->field[i].n - 2);
	dkim_header(dkim, octets_of(SV("no field:")), 9);
	dkim_eoh(dkim);
	if (l->body.n > 0)
		dkim_body(dkim, octets_of(l->body), l->body.n);
	if (l->body.n > 0 && !strv_ends(l->body, SV("\r\n")))
		dkim_body(dkim, octets_of(SV("\r\n")), 2);
	dkim_eom(dkim, NULL);
}

static enum said
said_of(DKIM *dkim, DKIM_SIGINFO *info)
{
	dkim_sig_process(dkim, info);
	if (!(dkim_sig_getflags(info) & DKIM_SIGFLAG_PASSED))
		return NOT;
	return dkim_sig_getbh(info) == DKIM_SIGBH_MATCH ? PASS :
	    dkim_sig_getbh(info) == DKIM_SIGBH_MISMATCH ? BODY :
							  NOT;
}

static void
ask_libopendkim(const struct letter *l, struct answer *out)
{
	DKIM_STAT      stat;
	DKIM          *dkim = dkim_verify(lib, (const unsigned char *)"same", NULL, &stat);
	DKIM_SIGINFO **list = NULL;
	int            n = 0;

	memset(out, 0, sizeof(*out));
	feed_letter(dkim, l);
	dkim_getsiglist(dkim, &list, &n);
	for (int i = 0; i < n && i < SIGNATURES; i++) {
		out->v[out->n] = said_of(dkim, list[i]);
		out->text[out->n++] = arena_dup(
		    d.a, strv_z(dkim_sig_geterrorstr(dkim_sig_geterror(list[i]))));
	}
	dkim_free(dkim);
}

/* ---- what we say ---- */

struct check {
	struct strv    text;
	size_t         piece;
	struct answer *out;
};

static struct strv
whole(const struct letter *l)
{
	return arena_concat(d.a, arena_concat(d.a, letter_header(&d, l), SV("\r\n")), l->body);
}

static void
check_fiber(void *arg)
{
	struct check          *c = arg;
	struct hearing        *h = judge_open(stand.judge, stand.session, &stand.client);
	struct transaction    *tx = stand_message(h, c->text, c->piece);
	unsigned               n;
	const struct fact_def *defs = registry_facts(&n);
	struct fact           *f;

	if (fact_get(&tx->facts, defs, registry_number("dkim.signatures"), 0, strv(NULL, 0), &f) !=
	    WAIT_OK)
		abort();
	for (unsigned i = 0; i < f->v.texts.n && i < SIGNATURES; i++) {
		struct strv t = c->out->text[i] = arena_dup(d.a, f->v.texts.v[i]);

		c->out->v[c->out->n++] = strv_starts(t, SV("pass ")) ? PASS :
		    strv_ends(t, SV(" the body has changed"))        ? BODY :
								       NOT;
	}
	stand_message_end(h);
	judge_close(h);
}

static void
ask_us(const struct letter *l, struct answer *out)
{
	struct strv  text = whole(l);
	struct check c = { text, below(&d, 3) == 0 ? 1 + below(&d, 80) : text.n, out };

	memset(out, 0, sizeof(*out));
	stand_call(check_fiber, &c);
	arena_reset(stand.session);
}

/* ---- signing ---- */

struct own_signing {
	const struct letter *letter;
	struct auth_conf     auth;
	struct strv          field;
};

/* As a session does it behind all that changes a message. */
static void
sign_fiber(void *arg)
{
	static const bool   holds[1] = { true };
	struct own_signing *o = arg;
	struct hearing     *h = judge_open(stand.judge, stand.session, &stand.client);
	struct strv         text = whole(o->letter);
	struct transaction *tx = stand_message(h, text, text.n);
	struct filter_use   use = { .auth = &o->auth };
	void *seat = sign_filter.open(stand.session, sign_filter.make(d.a, &use), &stand.client);
	struct view     v = { &tx->msg, &tx->edits, 0 };
	struct findings found = { .facts = &tx->facts, .edits = &tx->edits, .holds = holds };

	sign_filter.begin(seat, stand.tx);
	sign_filter.at(seat, STAGE_SEAL, &tx->mail, &v, &found);
	sign_filter.end(seat);
	if (T_EQ_NUM(tx->edits.n, 1))
		o->field = arena_printf(d.a, "DKIM-Signature: %.*s\r\n",
		    (int)tx->edits.v[0].value.n, tx->edits.v[0].value.p);
	stand_message_end(h);
	judge_close(h);
}

static struct strv
sign_as_we_do(const struct letter *l, const struct key *k, size_t form)
{
	struct sign_key    key = { .domain = SV(DOMAIN), .exact = true, .key = k->key };
	struct sign_rule   rule = { .selector = strv_z(k->selector), .key = &key, .n_key = 1 };
	struct own_signing o = { l, AUTH_CONF_DEFAULT, SV("") };
	uint64_t           now = stand.wall;

	o.auth.sign = &rule;
	o.auth.n_sign = 1;
	o.auth.sign_header = form / 2 ? CANON_RELAXED : CANON_SIMPLE;
	o.auth.sign_body = form % 2 ? CANON_RELAXED : CANON_SIMPLE;
	stand.wall = MADE;
	stand_call(sign_fiber, &o);
	stand.wall = now;
	arena_reset(stand.session);
	return o.field;
}

static struct strv
sign_as_others_do(const struct letter *l, const struct key *k, size_t form)
{
	struct tags *t = arena_alloc(d.a, sizeof(*t));
	const char  *tags = draw_tags(&d, k->kind, k->selector, forms[form], l->body.n);
	uint64_t     length = UINT64_MAX;

	tags_parse(strv_z(tags), t);
	if (tags_get(t, "l").p != NULL)
		tags_number(tags_get(t, "l"), &length);
	if (below(&d, 8) == 0)
		tags = draw_hash(&d, tags,
		    keys_body_hash(d.a, form % 2 ? CANON_RELAXED : CANON_SIMPLE, l->body, length));
	return keys_sign_with(d.a, k->key, tags, letter_header(&d, l), l->body);
}

/* By our `sign', or in any shape that there is. */
static void
sign_letter(struct letter *l, const struct key *k)
{
	size_t form = below(&d, T_COUNT(forms));

	letter_put(
	    l, 0, below(&d, 3) == 0 ? sign_as_we_do(l, k, form) : sign_as_others_do(l, k, form));
}

/* ---- comparing ---- */

static struct change {
	const char *name;
	void (*fn)(struct draw *, struct letter *);
	unsigned count[3]; /* said */
} changes[] = {
	{ "nothing", NULL, { 0 } },
	{ "an octet of a field", change_octet, { 0 } },
	{ "a bit of a field", change_bit, { 0 } },
	{ "the case of a name", change_case, { 0 } },
	{ "a blank in a field", change_blank, { 0 } },
	{ "a field folded", change_fold, { 0 } },
	{ "two fields exchanged", change_order, { 0 } },
	{ "a field twice", change_doubled, { 0 } },
	{ "a field removed", change_removed, { 0 } },
	{ "a field added", change_added, { 0 } },
	{ "an octet of the body", change_body_octet, { 0 } },
	{ "a blank in the body", change_body_blank, { 0 } },
	{ "more at the body's end", change_body_end, { 0 } },
	{ "the body cut", change_body_cut, { 0 } },
	{ "b=", change_b, { 0 } },
	{ "bh=", change_bh, { 0 } },
	{ "h=", change_h, { 0 } },
	{ "another tag", change_any_tag, { 0 } },
	{ "p=", change_key, { 0 } },
	{ "p= in its place", change_key_in_place, { 0 } },
	{ "the key's record", change_record, { 0 } },
};

/* Where we say no and libopendkim, by that change (NULL: by any), does not. */
static const struct {
	const char *change, *reason;
} stricter[] = {
	/* it is not read before it is compared, and bH= may stand for it: RFC 6376 3.2, 3.5 */
	{ NULL, "bh= is no hash" },
	{ "b=", "b= is no base64" }, /* it ends at the first "=", whatever follows */
	/* names of tags that are none, and tags twice: RFC 6376 3.2 */
	{ "the key's record", "the key's record is no good" },
	/* an Ed25519 key without k=: RFC 6376 3.6.1 has it that it is RSA */
	{ "the key's record", "the key is of another type" },
};

static bool
is_stricter(const struct change *ch, struct strv text)
{
	for (size_t i = 0; i < T_COUNT(stricter); i++)
		if ((stricter[i].change == NULL || strcmp(stricter[i].change, ch->name) == 0) &&
		    strv_ends(text, strv_z(stricter[i].reason)))
			return true;
	return false;
}

/* One signature's; the letter is shown once. */
static bool
is_same(const struct change *ch, const struct answer *ours, const struct answer *theirs, unsigned i)
{
	struct strv o = ours->text[i], t = theirs->text[i];
	bool        stricter_there = ours->v[i] == NOT && is_stricter(ch, o);

	return T_CHECKF(ours->v[i] == theirs->v[i] || stricter_there,
	    "signature %u: %s (%.*s), where libopendkim says %s (%.*s)", i, said_names[ours->v[i]],
	    (int)o.n, o.p, said_names[theirs->v[i]], (int)t.n, t.p);
}

static void
show(const struct letter *l)
{
	enum { ROOM = 65536 };
	char *out = arena_bytes(d.a, ROOM);

	printf("%s\n", t_show(whole(l), out, ROOM));
	for (size_t i = 0; i < T_COUNT(keys); i++)
		printf("%s: %s\n", keys[i].selector, keys[i].now.p);
}

static void
count(struct change *ch, struct strv field, enum said said)
{
	struct tags *t = arena_alloc(d.a, sizeof(*t));

	ch->count[said]++;
	if (tags_parse(strv_from(field, strv_chr(field, ':') + 1), t) != TAGS_OK)
		return;
	for (size_t i = 0; i < T_COUNT(keys); i++)
		for (size_t f = 0; f < T_COUNT(forms); f++)
			keys[i].count[f][said] += strv_eq(
						      tags_get(t, "s"), strv_z(keys[i].selector)) &&
			    strv_eq(tags_get(t, "c"), strv_z(forms[f]));
}

static void
compare(struct change *ch, const struct letter *l)
{
	struct answer ours, theirs;
	unsigned      n = 0;
	bool          same;

	t_row = ch->name;
	ask_us(l, &ours);
	ask_libopendkim(l, &theirs);
	same = T_EQ_NUM(ours.n, theirs.n);
	for (unsigned i = 0; i < l->n && n < ours.n && n < theirs.n; i++) {
		if (!is_signature(l->field[i]))
			continue;
		same = is_same(ch, &ours, &theirs, n) && same;
		count(ch, l->field[i], theirs.v[n++]);
	}
	if (!same)
		show(l);
}

/* A letter, signed, and then each change to it. */
static void
play_letter(void)
{
	struct letter l;
	struct key   *k = NULL;
	size_t        signatures = 1 + below(&d, 3);

	draw_letter(&d, &l);
	for (size_t i = 0; i < signatures; i++) {
		k = &keys[below(&d, T_COUNT(keys))];
		sign_letter(&l, k);
	}
	l.record = k->record;
	for (struct change *ch = changes; ch < changes + T_COUNT(changes); ch++) {
		struct letter other = l;

		if (ch->fn != NULL)
			ch->fn(&d, &other);
		letter_keep_fields(&other);
		publish(k, other.record);
		compare(ch, &other);
	}
	publish(k, k->record);
	arena_reset(d.a);
}

/* Each change leaves many signatures whole and breaks many more than are broken without it. */
static void
check_counts(unsigned letters)
{
	const struct change *none = &changes[0];

	for (const struct change *ch = changes; ch < changes + T_COUNT(changes); ch++) {
		bool     body = strstr(ch->name, "body") != NULL;
		unsigned broken = ch->count[BODY] + ch->count[NOT];

		t_row = ch->name;
		T_CHECKF(ch->count[PASS] >= letters / 3, "%u pass", ch->count[PASS]);
		T_CHECKF(broken >= (ch == none ? 0 : none->count[NOT]) + letters / 10,
		    "%u do not pass", broken);
		T_CHECKF(!body || ch->count[BODY] >= letters / 2, "the body of %u has changed",
		    ch->count[BODY]);
	}
	for (size_t i = 0; i < T_COUNT(keys); i++)
		for (size_t f = 0; f < T_COUNT(forms); f++) {
			const unsigned *c = keys[i].count[f];

			t_row = forms[f];
			T_CHECKF(c[PASS] >= letters / 2 && c[BODY] >= letters / 10 &&
				c[NOT] >= letters / 2,
			    "%s: %u, %u, %u", keys[i].selector, c[PASS], c[BODY], c[NOT]);
		}
	t_row = NULL;
}

static void
open_all(void)
{
	u_int flags = DKIM_LIBFLAGS_BADSIGHANDLES; /* a verdict also where From cannot be read */

	keep = arena_new(65536, 0);
	d = (struct draw){ arena_new(1u << 20, 0), 6376 };
	lib = dkim_init(NULL, NULL);
	dkim_options(lib, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof(flags));
	dkim_set_key_lookup(lib, give_key);
	stand_open();
	stand.wall = (uint64_t)time(NULL); /* libopendkim's clock */
	stand.auth.signatures = SIGNATURES;
	stand_begin();
	read_keys();
}

static void
says_what_libopendkim_says(void)
{
	unsigned letters = RUNNING_ON_VALGRIND ? LETTERS_SLOWLY : LETTERS;

	open_all();
	for (unsigned i = 0; i < letters; i++)
		play_letter();
	t_row = NULL;
	if (letters == LETTERS)
		check_counts(letters);
	stand_close();
	dkim_close(lib);
	arena_free(d.a);
	arena_free(keep);
}

int
main(void)
{
	T_RUN(says_what_libopendkim_says);
	return t_end();
}

#else

int
main(void)
{
	T_SKIP("built without libopendkim");
	return t_end();
}

#endif
