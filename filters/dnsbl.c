/*
 * dnsbl -- lists in the DNS: of addresses, good and bad, of domains; and their texts.
 *
 * RFC 5782: an entry is an A record of 127.0.0.0/8, whatever the family of the address that is asked for.
 * Not being listed is known; a list that does not answer, or refuses to, is unknown; one that is set aside
 * (dnslist.h) lists nothing.
 */
#include "filters/dnslist.h"
#include "filters/filters.h"
#include "filters/lookup.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

enum { DNSBL, DNSWL, RHSBL, DNSBL_TEXT, DNSBL_TEXT_OF, RHSBL_TEXT_OF };

enum {
	ADDRS_MAX = 32, /* of one answer that are kept */
	TEXT_OCTETS = 200
};

/* clang-format off */
static const struct fact_def facts[] = {
	{ .own = DNSBL, .name = "dnsbl", .type = FACT_ADDRS, .first = STAGE_CONNECT, .per_session = true, .args = "sn",
	    .cost = COST_DNS,
	    .about = "what a list of bad addresses answers for the client's; absent: it is not listed" },
	{ .own = DNSWL, .name = "dnswl", .type = FACT_ADDRS, .first = STAGE_CONNECT, .per_session = true, .args = "sn",
	    .cost = COST_DNS,
	    .about = "what a list of good addresses answers for the client's; absent: it is not listed" },
	{ .own = RHSBL, .name = "rhsbl", .type = FACT_ADDRS, .first = STAGE_CONNECT, .args = "sfn", .cost = COST_DNS,
	    .about = "what a list of domains answers for a name; absent: it is not listed" },
	{ .own = DNSBL_TEXT, .name = "dnsbl.text", .type = FACT_TEXT, .first = STAGE_CONNECT, .per_session = true,
	    .cost = COST_DNS,
	    .about = "text of the list of bad addresses or domains that answered; absent: none did, or it has no text" },
	{ .own = DNSBL_TEXT_OF, .name = "dnsbl.text.of", .inner = true, .type = FACT_TEXT, .first = STAGE_CONNECT,
	    .per_session = true, .args = "s", .cost = COST_DNS,
	    .about = "the text that a list has for the client's address" },
	{ .own = RHSBL_TEXT_OF, .name = "rhsbl.text.of", .inner = true, .type = FACT_TEXT, .first = STAGE_CONNECT,
	    .args = "sf", .cost = COST_DNS,
	    .about = "the text that a list has for a name" },
	{ 0 }
};
/* clang-format on */

/* The questions that were answered last, of the session and of the transaction. */
enum { LATEST_SESSION, LATEST_MAIL, LATEST_MAX };

struct seat {
	struct arena    *a;
	struct dnslists *lists;
	char        *latest[LATEST_MAX]; /* DNS_NAME_MAX octets, made at the first; empty: none */
	bool         in_mail, mail_last; /* in a transaction; which of the two answered later */
	struct fact *text;               /* dnsbl.text, of the session; NULL: nobody has asked */
};

static void *
dnsbl_make(struct arena *conf, const struct filter_use *use)
{
	(void)use;
	return dnslists_make(conf);
}

static void *
dnsbl_open(struct arena *a, void *shared, const struct client *c)
{
	struct seat *s = arena_alloc(a, sizeof(*s));

	(void)c;
	s->a = a;
	s->lists = shared;
	return s;
}

/* ---- texts ---- */

/* Whoever asked for the latest text heard of another list: it is asked for again. */
static void
forget_text(struct seat *s)
{
	if (s->text != NULL && (s->text->state == FACT_KNOWN || s->text->state == FACT_UNKNOWN))
		s->text->state = FACT_UNASKED;
}

/* A name is of the transaction: in the next one it is asked for anew, or it is another one. */
static void
remember(struct seat *s, const struct fact_def *def, struct strv question)
{
	unsigned which = def->own == RHSBL && s->in_mail ? LATEST_MAIL : LATEST_SESSION;
	char     name[DNS_NAME_MAX];

	if (!dns_name(question, name))
		return;
	if (s->latest[which] == NULL)
		s->latest[which] = arena_bytes(s->a, DNS_NAME_MAX);
	memcpy(s->latest[which], name, sizeof(name));
	s->mail_last = which == LATEST_MAIL;
	forget_text(s);
}

static void
dnsbl_begin(void *self, struct arena *transaction)
{
	struct seat *s = self;

	(void)transaction;
	s->in_mail = true;
}

static void
dnsbl_end(void *self)
{
	struct seat *s = self;

	s->in_mail = s->mail_last = false;
	if (s->latest[LATEST_MAIL] == NULL || s->latest[LATEST_MAIL][0] == '\0')
		return;
	s->latest[LATEST_MAIL][0] = '\0';
	forget_text(s);
}

/* Where the list that answered last has its text; absent: none did. */
static struct strv
latest(const struct seat *s, struct arena *a)
{
	const char *p = s->latest[s->mail_last ? LATEST_MAIL : LATEST_SESSION];

	return p == NULL || p[0] == '\0' ? strv(NULL, 0) : arena_dup(a, strv_z(p));
}

/* A stranger's text for replies and logs. */
static struct strv
clean(struct arena *a, struct strv text)
{
	size_t n = text.n < TEXT_OCTETS ? text.n : TEXT_OCTETS;
	char  *p = arena_bytes(a, n + 1);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		p[i] = (char)(c >= 0x80 ? '?' : c < ' ' || c == 0x7f ? ' ' : c);
	}
	return strv(p, n);
}

/* ---- lists ---- */

struct look {
	struct seat      *s;
	struct fact      *f;
	enum dnslist_kind kind;
	struct strv       zone, question;
	struct dnslist   *list; /* NULL: nothing is known of it */
	uint64_t          until;
};

static bool
is_dead(const struct look *l)
{
	const char *why = l->list != NULL ? dnslist_dead(l->list) : NULL;

	if (why == NULL)
		return false;
	lookup_say(l->f, SV("the list is set aside, as "));
	l->f->source = arena_concat(l->f->a, l->f->source, strv_z(why));
	return true;
}

static void
keep_addrs(struct fact *f, const struct dns_answer *answer)
{
	unsigned     n = answer->n < ADDRS_MAX ? answer->n : ADDRS_MAX;
	struct addr *v = arena_array(f->a, n, sizeof(*v));

	for (unsigned i = 0; i < n; i++)
		v[i] = answer->v[i].addr;
	f->v.addrs.v = v;
	f->v.addrs.n = n;
}

/* It says that the name is listed, and may be a list that says so of all. */
MAY_YIELD static enum filter_rc
listed(struct look *l, const struct dns_answer *answer)
{
	if (l->list != NULL && dnslist_await(l->list, l->until) == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	if (is_dead(l))
		return FILTER_OK;
	keep_addrs(l->f, answer);
	if (l->f->def->own != DNSWL)
		remember(l->s, l->f->def, l->question);
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
ask_list(struct look *l, struct arena *a)
{
	struct dns_answer answer = { 0 };
	enum dns_rc       rc;
	enum dnslist_says says;

	if (l->zone.n == 0) {
		l->f->source = SV("no list");
		return FILTER_BUG;
	}
	l->until = loop_now(fiber_loop()) + DNS_TIME;
	l->list = dnslist_find(l->s->lists, l->kind, l->zone);
	if (is_dead(l))
		return FILTER_OK;
	rc = dns_ask(a, l->question, DNS_A, 0, &answer);
	lookup_told(l->f, DNS_A, l->question, rc, &answer);
	says = dnslist_means(rc, &answer);
	if (l->list != NULL && rc == DNS_OK)
		dnslist_heard(l->list, says);
	switch (says) {
	case DNSLIST_NOT:
		return FILTER_OK;
	case DNSLIST_LISTED:
		return listed(l, &answer);
	case DNSLIST_BROKEN:
		return is_dead(l) ? FILTER_OK : FILTER_BUG;
	case DNSLIST_REFUSES:
		lookup_say(l->f, SV("the list refuses to answer"));
		return FILTER_TEMP;
	case DNSLIST_UNKNOWN:
		break;
	}
	return lookup_rc(rc);
}

/* Of the client. False: there is nothing to ask for. */
static bool
question_of_client(struct look *l, struct arena *a, const struct addr *client)
{
	if (client->family != ADDR_IP4 && client->family != ADDR_IP6) {
		l->f->source = SV("the client has no address");
		return false;
	}
	l->kind = client->family == ADDR_IP4 ? DNSLIST_IP4 : DNSLIST_IP6;
	l->zone = l->f->arg;
	l->question = dns_reverse(a, client, l->zone);
	return true;
}

/* "zone name". A literal, or an address, is no name. */
static bool
question_of_name(struct look *l, struct arena *a)
{
	struct strv name = l->f->arg;
	struct addr literal;

	l->kind = DNSLIST_NAMES;
	l->zone = strv_cut(&name, ' ');
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0 || name.p[0] == '[' || addr_parse(name, &literal)) {
		l->f->source = SV("no name");
		return false;
	}
	l->question = arena_concat(a, arena_concat(a, name, SV(".")), l->zone);
	return true;
}

/* What the fact is about; absent: nothing, as its source says. */
static struct strv
question_of(struct seat *s, struct fact *f, struct arena *a, const struct client *c)
{
	struct look l = { .s = s, .f = f };
	bool        is_name = f->def->own == RHSBL_TEXT_OF;

	if (f->def->own == DNSBL_TEXT) {
		l.question = latest(s, a);
		if (l.question.p == NULL)
			f->source = SV("no list answered");
		return l.question;
	}
	if (is_name ? question_of_name(&l, a) : question_of_client(&l, a, &c->addr.addr))
		return l.question;
	return strv(NULL, 0);
}

MAY_YIELD static enum filter_rc
ask_text(struct seat *s, struct fact *f, const struct client *c)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer txt = { 0 };
	struct strv       question;
	enum dns_rc       rc = DNS_OK;

	f->v.text = strv(NULL, 0);
	f->source = strv(NULL, 0);
	if (f->def->own == DNSBL_TEXT)
		s->text = f;
	question = question_of(s, f, a, c);
	if (question.p != NULL) {
		rc = dns_ask(a, question, DNS_TXT, 0, &txt);
		lookup_told(f, DNS_TXT, question, rc, &txt);
		if (rc == DNS_OK && txt.n > 0)
			f->v.text = clean(f->a, txt.v[0].text);
	}
	arena_free(a);
	return lookup_rc(rc);
}

MAY_YIELD static enum filter_rc
ask_one(struct seat *s, struct fact *f, const struct client *c)
{
	struct look    l = { .s = s, .f = f };
	struct arena  *a = arena_new(1024, 0);
	enum filter_rc rc = FILTER_OK;

	f->source = strv(NULL, 0);
	f->v.addrs.v = NULL;
	f->v.addrs.n = 0;
	if (f->def->own == RHSBL ? question_of_name(&l, a) :
				   question_of_client(&l, a, &c->addr.addr))
		rc = ask_list(&l, a);
	arena_free(a);
	return rc;
}

MAY_YIELD static enum filter_rc
dnsbl_ask(void *self, struct fact *f, const struct mail *m)
{
	bool           text = f->def->own >= DNSBL_TEXT;
	enum filter_rc rc = text ? ask_text(self, f, m->client) : ask_one(self, f, m->client);

	if (rc == FILTER_OK)
		f->state = FACT_KNOWN;
	return rc;
}

const struct filter dnsbl_filter = {
	.name = "dnsbl",
	.facts = facts,
	.make = dnsbl_make,
	.open = dnsbl_open,
	.begin = dnsbl_begin,
	.end = dnsbl_end,
	.ask = dnsbl_ask,
};
