/*
 * callbacks -- see the header.  Nothing here decides or understands: it copies.
 *
 * What a session needs in its thread is a struct peer, which libmilter carries for us.  Fields are gathered there and go
 * over in one call, in front of the body or at the end: a field is never answered.  The invariant: for every session
 * that the loop knows there is one VISIT_CLOSE, behind all its other calls.
 */
#include "proxy/hosts/callbacks.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

#include "proxy/base/arena.h"
#include "proxy/hosts/callbacks_own.h"

#define STEP_MS     28000 /* the loop gives up before: visit_step.c */
#define PROGRESS_MS 5000  /* how often we say that we are still there, at the end of a message */

#define ACTIONS \
	(SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_ADDRCPT | SMFIF_DELRCPT | SMFIF_QUARANTINE | \
	    SMFIF_SETSYMLIST)

struct peer {
	struct visit *visit;  /* NULL: the loop does not know of it */
	bool          lost;   /* an answer did not come in time: every other one is 4xx */
	struct buf    header; /* of the message at hand: name NUL value NUL ... */
	bool          headed; /* it has gone over */
	bool          too_much;
	unsigned long steps; /* SMFIP_*, as negotiated */
};

static struct callbacks_conf conf;
/* What the last session agreed on, for one that begins on a connection that is used again (SMFIC_QUIT_NC). */
static atomic_ulong last_steps;

/* ---- calls ----------------------------------------------------------------------------------- */

static struct visit_call *
new_call(struct peer *p, enum visit_ask ask, size_t room)
{
	return visit_call_new(conf.visits, p->visit, ask, room + MACROS_ROOM);
}

static struct strv
keep(struct visit_call *c, const char *z)
{
	return visit_call_keep(c, z, z == NULL ? 0 : strlen(z));
}

/* To the end of a message: "a milter should send this if it takes longer"; a mail server that has gone fails it. */
static bool
still(void *ctx)
{
	return smfi_progress(ctx) == MI_SUCCESS;
}

/* True: c is ours again, with its answer; else it is gone. */
static bool
ask(SMFICTX *ctx, struct peer *p, struct visit_call *c)
{
	struct bridge_patience wait = { .ms = STEP_MS };
	enum bridge_rc         rc;

	if (c->ask == VISIT_END)
		wait = (struct bridge_patience){ conf.end_ms, PROGRESS_MS, still, ctx };
	rc = bridge_ask(conf.bridge, &c->call, &wait);
	if (rc == BRIDGE_DONE)
		return true;
	if (rc == BRIDGE_CLOSED)
		visit_call_free(c);
	p->lost = true;
	return false;
}

static void
tell(struct peer *p, enum visit_ask what)
{
	struct visit_call *c = new_call(p, what, 0);

	if (!bridge_tell(conf.bridge, &c->call))
		visit_call_free(c);
}

static sfsistat
finish(SMFICTX *ctx, struct peer *p, struct visit_call *c)
{
	sfsistat rc = callbacks_say(ctx, (p->steps & SMFIP_HDR_LEADSPC) != 0, &c->answer);

	visit_call_free(c);
	return rc;
}

static sfsistat
ask_and_finish(SMFICTX *ctx, struct peer *p, struct visit_call *c)
{
	return ask(ctx, p, c) ? finish(ctx, p, c) : SMFIS_TEMPFAIL;
}

/*
 * To a step of which no answer is wanted none may be given (libmilter complains of it), and to another one must be; what
 * went wrong is told at the end.
 */
static sfsistat
unanswered(SMFICTX *ctx, unsigned long step)
{
	struct peer *p = smfi_getpriv(ctx);

	return p != NULL && (p->steps & step) ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* NULL: nothing can be asked (any more). */
static struct peer *
peer_of(SMFICTX *ctx)
{
	struct peer *p = smfi_getpriv(ctx);

	return p == NULL || p->lost || p->visit == NULL ? NULL : p;
}

/* ---- the session ----------------------------------------------------------------------------- */

static struct peer *
new_peer(SMFICTX *ctx, unsigned long steps)
{
	struct peer *p = mem_alloc(sizeof(*p));

	p->steps = steps;
	buf_init(&p->header, conf.header_max);
	(void)smfi_setpriv(ctx, p);
	return p;
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
    unsigned long f3, unsigned long *our_actions, unsigned long *our_steps, unsigned long *o2,
    unsigned long *o3)
{
	unsigned long want = SMFIP_NOUNKNOWN | SMFIP_NOEOH | SMFIP_NR_HDR | SMFIP_NR_BODY |
	    SMFIP_HDR_LEADSPC;

	(void)f2;
	(void)f3;
	if (!conf.wants_data)
		want |= SMFIP_NODATA;
	if (!conf.wants_body)
		want |= SMFIP_NOBODY;
	*our_actions = actions & ACTIONS;
	*our_steps = steps & want;
	*o2 = *o3 = 0;
	atomic_store(&last_steps, *our_steps);
	(void)new_peer(ctx, *our_steps);
	if (actions & SMFIF_SETSYMLIST)
		callbacks_ask_macros(ctx);
	return SMFIS_CONTINUE;
}

static void
keep_address(struct visit_call *c, const struct sockaddr *sa)
{
	size_t n = 0;

	if (sa != NULL && sa->sa_family == AF_INET)
		n = sizeof(struct sockaddr_in);
	else if (sa != NULL && sa->sa_family == AF_INET6)
		n = sizeof(struct sockaddr_in6);
	if (n > 0)
		memcpy(&c->from, sa, n);
}

static sfsistat
on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *from)
{
	struct peer       *p = smfi_getpriv(ctx);
	struct visit_call *c;

	(void)host; /* who that address is we ask ourselves */
	if (p == NULL)
		p = new_peer(ctx, atomic_load(&last_steps));
	c = new_call(p, VISIT_CONNECT, 0);
	keep_address(c, from);
	callbacks_keep_macros(ctx, c, 0);
	if (!ask(ctx, p, c))
		return SMFIS_TEMPFAIL;
	p->visit = c->visit;
	return finish(ctx, p, c);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct peer       *p = peer_of(ctx);
	size_t             room = strlen(name) + 1;
	struct visit_call *c;

	if (p == NULL)
		return SMFIS_TEMPFAIL;
	c = new_call(p, VISIT_HELO, room);
	c->text = keep(c, name);
	callbacks_keep_macros(ctx, c, room);
	return ask_and_finish(ctx, p, c);
}

static void
forget_message(struct peer *p)
{
	buf_fini(&p->header);
	p->headed = p->too_much = false;
}

/* MAIL and RCPT: the address, and what stands behind it. */
static sfsistat
ask_path(SMFICTX *ctx, enum visit_ask what, char **argv)
{
	struct peer       *p = peer_of(ctx);
	struct visit_call *c;
	size_t             room = strlen(argv[0]) + 2, at;

	if (p == NULL)
		return SMFIS_TEMPFAIL;
	for (unsigned i = 1; argv[i] != NULL; i++)
		room += strlen(argv[i]) + 2;
	c = new_call(p, what, room);
	c->text = keep(c, argv[0]);
	at = c->call.octets;
	for (unsigned i = 1; argv[i] != NULL; i++) {
		struct strv one = keep(c, argv[i]);

		((char *)one.p)[one.n] = ' ';
	}
	c->params = strv((char *)(c + 1) + at, c->call.octets - at);
	callbacks_keep_macros(ctx, c, room);
	return ask_and_finish(ctx, p, c);
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct peer *p = peer_of(ctx);

	if (p != NULL)
		forget_message(p);
	return ask_path(ctx, VISIT_MAIL, argv);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	return ask_path(ctx, VISIT_RCPT, argv);
}

static sfsistat
on_data(SMFICTX *ctx)
{
	struct peer *p = peer_of(ctx);

	return p == NULL ? SMFIS_TEMPFAIL : ask_and_finish(ctx, p, new_call(p, VISIT_DATA, 0));
}

/* ---- the text -------------------------------------------------------------------------------- */

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct peer *p = peer_of(ctx);

	if (p != NULL && !p->too_much &&
	    (!buf_add(&p->header, strv(name, strlen(name) + 1)) ||
		!buf_add(&p->header, strv(value, strlen(value) + 1))))
		p->too_much = true;
	return unanswered(ctx, SMFIP_NR_HDR);
}

/* False: the session is lost. */
static bool
send_header(SMFICTX *ctx, struct peer *p)
{
	struct visit_call *c;

	if (p->headed)
		return true;
	p->headed = true;
	c = new_call(p, VISIT_HEADER, p->header.n + 1);
	c->text = visit_call_keep(c, buf_view(&p->header).p, p->header.n);
	c->leadspc = (p->steps & SMFIP_HDR_LEADSPC) != 0;
	c->too_much = p->too_much;
	buf_fini(&p->header);
	if (!ask(ctx, p, c))
		return false;
	visit_call_free(c);
	return true;
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *octets, size_t n)
{
	struct peer       *p = peer_of(ctx);
	struct visit_call *c;

	if (p != NULL && send_header(ctx, p)) {
		c = new_call(p, VISIT_BODY, n + 1);
		c->text = visit_call_keep(c, (const char *)octets, n);
		if (ask(ctx, p, c))
			visit_call_free(c);
	}
	return unanswered(ctx, SMFIP_NR_BODY);
}

static sfsistat
on_end(SMFICTX *ctx)
{
	struct peer       *p = peer_of(ctx);
	struct visit_call *c;
	sfsistat           rc;

	if (p == NULL || !send_header(ctx, p))
		return SMFIS_TEMPFAIL;
	c = new_call(p, VISIT_END, 0);
	callbacks_keep_macros(ctx, c, 0);
	rc = ask_and_finish(ctx, p, c);
	forget_message(p);
	return rc;
}

/* Whoever ended the transaction (RSET, HELO, another milter's refusal): ours is over as well. */
static sfsistat
on_abort(SMFICTX *ctx)
{
	struct peer *p = smfi_getpriv(ctx);

	if (p == NULL)
		return SMFIS_CONTINUE;
	forget_message(p);
	if (p->visit != NULL)
		tell(p, VISIT_ABORT);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct peer *p = smfi_getpriv(ctx);

	if (p == NULL)
		return SMFIS_CONTINUE;
	if (p->visit != NULL)
		tell(p, VISIT_CLOSE);
	forget_message(p);
	mem_free(p);
	(void)smfi_setpriv(ctx, NULL);
	return SMFIS_CONTINUE;
}

bool
callbacks_register(const struct callbacks_conf *c)
{
	struct smfiDesc d = {
		.xxfi_name = (char *)"postern-milter",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = ACTIONS,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_data = c->wants_data ? on_data : NULL,
		.xxfi_header = on_header,
		.xxfi_body = c->wants_body ? on_body : NULL,
		.xxfi_eom = on_end,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	conf = *c;
	return smfi_register(d) == MI_SUCCESS;
}
