/*
 * try_session -- one SMTP session as Postern would have it, with milters and no policy: what they say holds.
 *
 * The order is smtp's (proxy/smtp, proxy/trial_session.c); the judge asks, so milters are called as they are in the
 * daemon.
 */
#include "contrib/try.h"
#include "filters/auth.h"
#include "filters/registry.h"
#include "proxy/base/arena.h"
#include "proxy/base/loop.h"
#include "proxy/base/spool.h"
#include "proxy/judge.h"
#include "proxy/smtp/dots.h"
#include "proxy/smtp/parse.h"

#define OFFERED \
	(EHLO_PIPELINING | EHLO_SIZE | EHLO_ENHANCED | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_DSN | \
	    EHLO_AUTH)
#define HEADER_MAX (1024 * 1024)

struct run {
	const struct try_task *t;
	struct client          client;
	struct loop           *loop;
	struct judge          *judge;
	struct arena          *a;
	struct spool_pool     *spools;
	struct hearing        *h;
	struct arena          *tx_a;
	enum try_outcome       outcome;
	bool                   over; /* of the session */
};

/* --- what milters say ------------------------------------------------------------------------- */

static enum try_outcome
outcome_of(enum verdict_kind k)
{
	static const enum try_outcome of[VERDICT_MAX] = {
		[VERDICT_DISCARD] = TRY_DISCARD,
		[VERDICT_QUARANTINE] = TRY_QUARANTINE,
		[VERDICT_TEMPFAIL] = TRY_TEMPFAIL,
		[VERDICT_REJECT] = TRY_REJECT,
		[VERDICT_DISCONNECT] = TRY_DISCONNECT,
	};

	return of[k];
}

/* The first in file order that has something to say, or that could not be heard. */
static const struct verdict *
advised(struct run *r)
{
	static const struct verdict failed = { .kind = VERDICT_TEMPFAIL };
	const struct advice        *v = r->h->tx != NULL ? r->h->tx->advice : r->h->advice;

	for (unsigned i = 0; v != NULL && i < r->t->milters.n; i++) {
		if (v[i].failed) {
			try_say(TRY_BOLD, "  %s has failed: what its `on failure' says would hold",
			    try_show(r->t->milters.v[i].name));
			r->outcome = TRY_FAILED;
			return &failed;
		}
		if (verdict_final(&v[i].say)) {
			r->outcome = outcome_of(v[i].say.kind);
			try_say_verdict(try_show(r->t->milters.v[i].name), &v[i].say);
			return &v[i].say;
		}
	}
	return NULL;
}

/* May it go on behind this stage? */
MAY_YIELD static bool
stage(struct run *r, enum stage at)
{
	struct verdict        out;
	const struct verdict *v;

	try_say(TRY_BOLD, "%s", stage_word(at));
	if (judge_stage(r->h, at, &out) != WAIT_OK)
		return false;
	v = advised(r);
	r->over = v != NULL && (at <= STAGE_HELO || v->kind == VERDICT_DISCONNECT);
	return v == NULL;
}

/* --- the envelope ----------------------------------------------------------------------------- */

/* "FROM:<a@b.example> SIZE=1" of "a@b.example SIZE=1" */
static struct strv
as_path(struct arena *a, const char *prefix, const char *said)
{
	struct strv v = strv_z(said), address = strv_word(&v);

	if (address.n > 0 && address.p[0] == '<')
		return arena_printf(a, "%s%s", prefix, said);
	return arena_printf(
	    a, "%s<%.*s>%.*s", prefix, (int)address.n, address.p, (int)v.n, v.p == NULL ? "" : v.p);
}

static bool
fault(struct run *r, const char *said, const struct fault *f)
{
	try_say(TRY_RED, "%s: %u %s %s", try_show(strv_z(said)), f->code, f->enh, f->text);
	r->outcome = TRY_USAGE;
	return false;
}

MAY_YIELD static bool
mail(struct run *r)
{
	struct transaction *tx = r->h->tx;
	struct fault        f = { 0 };

	if (!parse_mail(tx->a, as_path(tx->a, "FROM:", r->t->from), OFFERED, &tx->env.from,
		&tx->env.params, &f))
		return fault(r, r->t->from, &f);
	return stage(r, STAGE_MAIL);
}

/* False: nothing more of this message. */
MAY_YIELD static bool
rcpt(struct run *r, const char *said)
{
	struct transaction   *tx = r->h->tx;
	struct rcpt           got = { 0 };
	struct fault          f = { 0 };
	struct verdict        out;
	const struct verdict *v;

	if (!parse_rcpt(tx->a, as_path(tx->a, "TO:", said), OFFERED, true, &got.to, &got.params,
		&got.n_params, &f))
		return fault(r, said, &f);
	*envelope_add(tx->a, &tx->env) = got;
	try_say(TRY_BOLD, "rcpt");
	if (judge_rcpt(r->h, tx->env.n_rcpt - 1, &out) != WAIT_OK)
		return false;
	v = advised(r);
	if (v == NULL) {
		tx->env.rcpt[tx->env.n_rcpt - 1].upstream_took = true;
		return true;
	}
	tx->env.rcpt[tx->env.n_rcpt - 1].said = *v;
	r->over = v->kind == VERDICT_DISCONNECT;
	return r->outcome == TRY_REJECT || r->outcome == TRY_TEMPFAIL;
}

MAY_YIELD static bool
rcpts(struct run *r)
{
	for (unsigned i = 0; i < r->t->n_rcpt; i++)
		if (!rcpt(r, r->t->rcpt[i]))
			return false;
	return envelope_taken(&r->h->tx->env) > 0;
}

/* --- the text --------------------------------------------------------------------------------- */

static bool
feed(struct run *r, struct strv text)
{
	struct message *m = &r->h->tx->msg;
	struct strv     body = { 0 };

	return message_feed(m, text, &body) == MESSAGE_OK &&
	    (body.n == 0 || spool_add(m->body, body) == SPOOL_OK);
}

static bool
read_text(struct run *r)
{
	struct message *m = &r->h->tx->msg;
	struct strv     text = r->t->text, piece, body = { 0 };
	struct dots_in  dots;
	bool            ok = true;

	message_begin(m, r->tx_a, spool_new(r->spools), HEADER_MAX);
	dots_in_begin(&dots, false);
	while (ok && dots_decode(&dots, &text, &piece) == DOTS_PIECE)
		ok = feed(r, piece);
	piece = dots_finish(&dots);
	ok = ok && (piece.n == 0 || feed(r, piece)) && message_end(m, &body) == MESSAGE_OK &&
	    (body.n == 0 || spool_add(m->body, body) == SPOOL_OK);
	m->complete = ok;
	if (!ok) {
		try_say(TRY_RED, "the header of the message is too big");
		r->outcome = TRY_NOTHING;
	}
	return ok;
}

/* Lines end with LF, as files' do. */
static void
write_lines(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] != '\r')
			putchar(v.p[i]);
}

static void
write_result(struct run *r)
{
	struct transaction *tx = r->h->tx;
	struct view         v = { &tx->msg, &tx->edits, tx->edits.n };
	struct spool       *body = view_body(&v);
	unsigned            n;
	struct view_field  *f = view_fields(tx->a, &v, &n);
	char               *scratch = arena_bytes(tx->a, 65536);
	uint64_t            at = 0;

	for (unsigned i = 0; i < n; i++)
		write_lines(f[i].raw);
	if (!tx->msg.no_gap)
		putchar('\n');
	while (body != NULL && at < spool_size(body)) {
		struct strv piece = spool_read(body, at, scratch, 65536);

		if (piece.n == 0)
			break;
		write_lines(piece);
		at += piece.n;
	}
	fflush(stdout);
}

MAY_YIELD static void
text(struct run *r)
{
	struct transaction *tx = r->h->tx;
	struct verdict      out;

	if (!read_text(r))
		return;
	try_say(TRY_BOLD, "message");
	if (judge_headers(r->h) != WAIT_OK || judge_message(r->h, &out) != WAIT_OK)
		return;
	if (advised(r) != NULL && r->outcome != TRY_QUARANTINE)
		return;
	try_say(TRY_BOLD, "%u change%s", tx->edits.n, tx->edits.n == 1 ? "" : "s");
	for (unsigned i = 0; i < tx->edits.n; i++)
		try_say_edit(&tx->edits.v[i]);
	if (r->t->result)
		write_result(r);
}

/* --- the session ------------------------------------------------------------------------------ */

MAY_YIELD static void
one_message(struct run *r, unsigned number)
{
	struct transaction *tx;

	r->tx_a = arena_new(8192, 0);
	tx = judge_begin(r->h, r->tx_a);
	snprintf(tx->id, sizeof tx->id, "try.%u", number);
	r->outcome = TRY_GOES_ON;
	if (mail(r) && rcpts(r)) {
		/* A recipient that was refused is its own affair. */
		r->outcome = TRY_GOES_ON;
		if (stage(r, STAGE_DATA))
			text(r);
	}
	spool_free(tx->msg.body);
	judge_end(r->h);
	arena_free(r->tx_a);
}

static void
put_name(struct run *r)
{
	unsigned         number = registry_number("client.name");
	union fact_value v = { .text = strv_z(r->t->name) };

	fact_put(&r->h->facts, registry_facts(&(unsigned){ 0 }), number, (struct strv){ 0 },
	    FACT_KNOWN, v);
}

MAY_YIELD static bool
greeted(struct run *r)
{
	struct verdict out = { 0 };

	put_name(r);
	if (!stage(r, STAGE_CONNECT))
		return false;
	r->client.helo = strv_z(r->t->helo);
	r->client.esmtp = true;
	if (!stage(r, STAGE_HELO))
		return false;
	if (r->t->user != NULL) {
		r->client.auth_user = strv_z(r->t->user);
		r->client.auth_mechanism = SV("PLAIN");
	}
	if (r->t->unknown == NULL)
		return true;
	try_say(TRY_BOLD, "unknown");
	if (judge_unknown(r->h, strv_z(r->t->unknown), &out) == WAIT_OK && verdict_final(&out))
		try_say_verdict(try_show(out.by), &out);
	return true;
}

static void
session(void *arg)
{
	struct run *r = arg;

	r->h = judge_open(r->judge, r->a, &r->client);
	if (greeted(r))
		for (unsigned i = 0; i < r->t->messages && !r->over; i++)
			one_message(r, i + 1);
	try_say(TRY_BOLD, "end");
	judge_close(r->h);
	r->h = NULL;
	loop_stop(r->loop);
}

enum try_outcome
try_session(const struct try_task *t, struct world *w)
{
	static const struct auth_conf no_auth = AUTH_CONF_DEFAULT;
	struct judge_conf             conf = { .auth = &no_auth,
			    .milters = &t->milters,
			    .decide_within = 2 * t->timeout * (t->milters.n + 1),
			    .no_gate = true };
	struct run                    r = { .t = t, .client = t->client, .outcome = TRY_NOTHING };
	struct arena                 *keep = arena_new(8192, 0);
	struct fiber_pool            *pool;

	r.loop = loop_new(w);
	pool = fiber_pool_new(r.loop, 65536, 32, 2);
	r.a = arena_new(8192, 0);
	r.spools = spool_pool_new(w, "", 64 * 1024 * 1024, 0);
	r.judge = judge_new(keep, &conf);
	if (fiber_start(pool, "session", session, &r) != NULL && r.h != NULL)
		loop_run(r.loop);
	plugin_unload_all();
	arena_free(r.a);
	arena_free(keep);
	spool_pool_free(r.spools);
	fiber_pool_free(pool);
	loop_free(r.loop);
	return r.outcome;
}
