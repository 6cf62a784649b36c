/*
 * envelope -- facts of what a client said before the message: HELO, user, sender, recipients.
 *
 * All of them are facts of a transaction, since HELO and AUTH may come again between two; they are
 * first known at MAIL (RFC 5321 4.1.4 lets a client say EHLO anew).  How many recipients there are is
 * known when no more can come, at DATA.
 */
#include "filters/filters.h"

enum {
	HELO,
	AUTH_USER,
	AUTH_AUTHOR,
	AUTH_MECHANISM,
	AUTHENTICATED,
	SENDER,
	SENDER_LOCAL,
	SENDER_DOMAIN,
	SIZE,
	RCPT,
	RCPT_LOCAL,
	RCPT_DOMAIN,
	RCPT_COUNT
};

/* clang-format off */
static const struct fact_def facts[] = {
	{ .own = HELO, .name = "helo", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "name given with HELO or EHLO" },
	{ .own = AUTH_USER, .name = "auth.user", .type = FACT_TEXT, .address = true, .first = STAGE_MAIL,
	    .about = "user that authenticated; absent: nobody" },
	{ .own = AUTH_AUTHOR, .name = "auth.author", .type = FACT_TEXT, .address = true, .first = STAGE_MAIL,
	    .about = "identity that the user asked to act as; absent: its own" },
	{ .own = AUTH_MECHANISM, .name = "auth.mechanism", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "how the user authenticated, such as PLAIN; XCLIENT where a trusted peer said so" },
	{ .own = AUTHENTICATED, .name = "authenticated", .type = FACT_BOOL, .first = STAGE_MAIL,
	    .about = "whether a user authenticated" },
	{ .own = SENDER, .name = "sender", .type = FACT_PATH, .first = STAGE_MAIL,
	    .about = "address of MAIL FROM" },
	{ .own = SENDER_LOCAL, .name = "sender.local", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "its local part, quotes undone; absent for <>" },
	{ .own = SENDER_DOMAIN, .name = "sender.domain", .type = FACT_TEXT, .first = STAGE_MAIL,
	    .about = "its domain; absent for <> and without one" },
	{ .own = SIZE, .name = "size", .type = FACT_NUMBER, .first = STAGE_MAIL,
	    .about = "octets that MAIL declared with SIZE=; absent if it did not" },
	{ .own = RCPT, .name = "rcpt", .type = FACT_PATH, .first = STAGE_RCPT, .per_rcpt = true,
	    .about = "address of RCPT TO" },
	{ .own = RCPT_LOCAL, .name = "rcpt.local", .type = FACT_TEXT, .first = STAGE_RCPT, .per_rcpt = true,
	    .about = "its local part, quotes undone" },
	{ .own = RCPT_DOMAIN, .name = "rcpt.domain", .type = FACT_TEXT, .first = STAGE_RCPT, .per_rcpt = true,
	    .about = "its domain; absent without one" },
	{ .own = RCPT_COUNT, .name = "rcpt.count", .type = FACT_NUMBER, .first = STAGE_DATA,
	    .about = "recipients that were accepted" },
	{ 0 }
};
/* clang-format on */

static void *
envelope_open(struct arena *a, void *shared, const struct client *c)
{
	static char seat; /* it keeps nothing: all it tells is in struct mail */

	(void)a, (void)shared, (void)c;
	return &seat;
}

/* The local part of a path with one; "<>" has none. */
static struct strv
local_of(const struct path *p)
{
	return p->kind == PATH_NULL ? strv(NULL, 0) : p->local;
}

static int64_t
size_of(const struct mail_params *p)
{
	if (p->size == 0)
		return FACT_NUMBER_ABSENT;
	return p->size > INT64_MAX ? INT64_MAX : (int64_t)p->size;
}

static bool
ask_client(struct fact *f, const struct client *c)
{
	switch (f->def->own) {
	case HELO:
		f->v.text = c->helo;
		f->source = c->esmtp ? SV("EHLO") : SV("HELO");
		return true;
	case AUTH_USER:
		f->v.text = c->auth_user;
		f->source = SV("AUTH");
		return true;
	case AUTH_AUTHOR:
		f->v.text = c->auth_author;
		f->source = SV("AUTH");
		return true;
	case AUTH_MECHANISM:
		f->v.text = c->auth_mechanism;
		f->source = SV("AUTH");
		return true;
	case AUTHENTICATED:
		f->v.yes = c->auth_user.p != NULL;
		f->source = SV("AUTH");
		return true;
	default:
		return false;
	}
}

static bool
ask_mail(struct fact *f, const struct envelope *e)
{
	f->source = SV("MAIL");
	switch (f->def->own) {
	case SENDER:
		f->v.path = &e->from;
		return true;
	case SENDER_LOCAL:
		f->v.text = local_of(&e->from);
		return true;
	case SENDER_DOMAIN:
		f->v.text = e->from.domain;
		return true;
	case SIZE:
		f->v.number = size_of(&e->params);
		return true;
	case RCPT_COUNT:
		f->v.number = envelope_taken(e) + envelope_dropped(e);
		f->source = SV("RCPT");
		return true;
	default:
		return false;
	}
}

/*
 * e->rcpt may move when a recipient is added, but what it moved from stays in the transaction's arena
 * and a path does not change: the pointer is good for as long as the fact.
 */
static bool
ask_rcpt(struct fact *f, const struct envelope *e)
{
	const struct path *to;

	if (f->rcpt >= e->n_rcpt)
		return false;
	to = &e->rcpt[f->rcpt].to;
	f->source = SV("RCPT");
	switch (f->def->own) {
	case RCPT:
		f->v.path = to;
		return true;
	case RCPT_LOCAL:
		f->v.text = local_of(to);
		return true;
	case RCPT_DOMAIN:
		f->v.text = to->domain;
		return true;
	default:
		return false;
	}
}

static enum filter_rc
envelope_ask(void *self, struct fact *f, const struct mail *m)
{
	(void)self;
	if (!ask_client(f, m->client) &&
	    (m->env == NULL || !(f->def->per_rcpt ? ask_rcpt(f, m->env) : ask_mail(f, m->env))))
		return FILTER_BUG;
	f->state = FACT_KNOWN;
	return FILTER_OK;
}

const struct filter envelope_filter = {
	.name = "envelope",
	.facts = facts,
	.open = envelope_open,
	.ask = envelope_ask,
};
