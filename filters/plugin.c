/*
 * plugin -- the milter end of a shared object in this process: tell is a call, answer what it returned.
 *
 * When what is called is as in libmilter/engine.c (Sendmail 8.17): a filter meets the same life in all its
 * homes.  One answer is there when tell returns, behind the edits that were made on the way.
 * The invariant: `staged' holds nothing but whole packets, which milter_unpack reads like a daemon's.
 */
#include "config.h"
#include "filters/milter_end.h"
#include "proxy/base/arena.h"

#if HAVE_MILTER
#include <stddef.h>
#include <stdio.h>

#include "filters/plugin_own.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"

#define STAGED_KEPT 1024 /* octets that a session keeps between two messages */

/* ---- what it answers --------------------------------------------------------------------------- */

bool
plugin_stage(struct smfi_str *x, char octet, const struct strv *part, unsigned n)
{
	uint32_t len = 1;

	for (unsigned i = 0; i < n; i++) {
		if (part[i].n > MILTER_PACKET_MAX)
			return false;
		len += (uint32_t)part[i].n;
	}
	if (len > MILTER_PACKET_MAX || !buf_reserve(&x->staged, sizeof(len) + len))
		return false;
	buf_add(&x->staged, strv((const char *)&len, sizeof(len)));
	buf_addc(&x->staged, octet);
	for (unsigned i = 0; i < n; i++)
		buf_add(&x->staged, part[i]);
	return true;
}

/* A plugin does not look at what they return, as a rule: without a line its author would see nothing. */
int
plugin_misuse(struct smfi_str *x, enum plugin_function f, const char *why)
{
	static const char *const names[] = {
#define X(name) "smfi_" #name,
		PLUGIN_FUNCTIONS(X)
#undef X
	};
	static struct log_line l; /* too large for the stack of a fiber */
	struct plugin_end     *e;

	if (x == NULL || (x->misused & 1u << f) != 0)
		return MI_FAILURE;
	x->misused |= 1u << f;
	e = (struct plugin_end *)(void *)((char *)x - offsetof(struct plugin_end, ctx));
	if (e->world == NULL)
		return MI_FAILURE;
	log_begin(&l, e->world, SV("worker"), "plugin-misuse");
	log_strv(&l, "name", e->end.conf->name);
	log_z(&l, "function", names[f]);
	log_z(&l, "why", why);
	log_end(&l);
	return MI_FAILURE;
}

void
plugin_break_off(struct plugin_end *e, const char *why, enum plugin_callback which, int rc)
{
	int n = snprintf(
	    e->bytes, sizeof(e->bytes), "%s returned %d", plugin_callback_name(which), rc);

	e->broken = why;
	e->end.bytes = strv(
	    e->bytes, (size_t)n < sizeof(e->bytes) ? (size_t)n : sizeof(e->bytes) - 1);
}

/* A reply waits, from one callback to the next, for a refusal of its class. */
static bool
reply_fits(const struct smfi_str *x, int rc)
{
	return x->reply.n > 0 && x->reply.p[0] == (rc == SMFIS_REJECT ? '5' : '4');
}

/* The last answer: as it is, or, where a reply was set, as a packet with that. */
static void
refuse(struct plugin_end *e, int rc)
{
	struct smfi_str *x = &e->ctx;
	struct strv      said = buf_view(&x->reply);

	e->final = rc == SMFIS_REJECT ? MILTER_ANS_REJECT : MILTER_ANS_TEMPFAIL;
	if (!reply_fits(x, rc) || !plugin_stage(x, SMFIR_REPLYCODE, &said, 1))
		return;
	e->final = MILTER_ANS_MAX;
	buf_clear(&x->reply);
}

/*
 * What the callback returned becomes the last answer.  Where the filter said that it does not answer, a
 * verdict that it gives nevertheless must not get lost: it is broken; a mere "go on" is no answer.
 */
static void
finish(struct plugin_end *e, const struct plugin_step *s, int rc, bool answered)
{
	bool silent = (e->protocol & s->no_reply) != 0;

	if (silent && (rc == SMFIS_NOREPLY || rc == SMFIS_CONTINUE || rc == SMFIS_SKIP)) {
		if (!answered)
			return;
		rc = SMFIS_CONTINUE; /* who tells it has no such flag */
	} else if (silent || (!answered && rc != SMFIS_CONTINUE && rc != SMFIS_SKIP)) {
		plugin_break_off(e, "it answers where it said that it would not", s->which, rc);
		return;
	} else if (!answered)
		return;
	switch (rc) {
	case SMFIS_CONTINUE:
		e->final = MILTER_ANS_CONTINUE;
		break;
	case SMFIS_ACCEPT:
		e->final = MILTER_ANS_ACCEPT;
		break;
	case SMFIS_DISCARD:
		e->final = MILTER_ANS_DISCARD;
		break;
	case SMFIS_SKIP:
		e->final = MILTER_ANS_SKIP;
		break;
	case SMFIS_REJECT:
	case SMFIS_TEMPFAIL:
		refuse(e, rc);
		break;
	default:
		plugin_break_off(e, "its callback returned no answer", s->which, rc);
	}
}

/* Is the message over for the filter, so that no xxfi_abort follows? */
static bool
ends_message(const struct plugin_step *s, int rc)
{
	return rc == SMFIS_ACCEPT ||
	    (!s->goes_on && (rc == SMFIS_REJECT || rc == SMFIS_DISCARD || rc == SMFIS_TEMPFAIL));
}

MAY_YIELD static enum milter_rc
plugin_tell(struct milter_end *end, const struct milter_event *ev, const struct milter_macros *m,
    bool answered, uint64_t until)
{
	struct plugin_end        *e = (struct plugin_end *)(void *)end;
	const struct plugin_step *s = &plugin_steps[ev->cmd];
	int                       rc;

	(void)until; /* a callback is not interrupted */
	if (s->tell == NULL)
		return MILTER_OK;
	buf_clear(&e->ctx.staged);
	e->taken = 0;
	e->final = MILTER_ANS_MAX;
	e->broken = NULL;
	plugin_keep_macros(&e->ctx, s->place, m);
	if (s->clears)
		plugin_forget_macros(&e->ctx, s->place + 1);
	if (ev->cmd != MILTER_CMD_UNKNOWN && ev->cmd != MILTER_CMD_ABORT)
		e->in_mail = s->in_mail;
	rc = s->tell(e, s->which, ev);
	if (ev->cmd == MILTER_CMD_ABORT || ends_message(s, rc))
		e->in_mail = false;
	if (ev->cmd != MILTER_CMD_ABORT)
		finish(e, s, rc, answered);
	if (answered || e->broken == NULL)
		return MILTER_OK;
	end->why = e->broken;
	return MILTER_GARBAGE;
}

/* One of no more than its kind; they come for every field, and a whole struct of nothing costs 20 ns. */
static void
mere(struct milter_answer *out, enum milter_answer_kind kind)
{
	const struct strv none = { NULL, 0 };

	out->kind = kind;
	out->code = 0;
	out->at = 0;
	out->enh[0] = '\0';
	out->text = out->name = out->value = none;
	out->address = out->params = out->body = none;
}

MAY_YIELD static enum milter_rc
plugin_answer(struct milter_end *end, struct milter_answer *out, uint64_t until)
{
	struct plugin_end *e = (struct plugin_end *)(void *)end;
	struct buf        *b = &e->ctx.staged;
	struct strv        packet;
	uint32_t           len;

	(void)until;
	if (e->taken >= b->n && e->final != MILTER_ANS_MAX) {
		mere(out, e->final);
		e->final = MILTER_ANS_MAX;
		if (b->room > STAGED_KEPT)
			buf_fini(b);
		return MILTER_OK;
	}
	if (e->taken >= b->n) {
		end->why = e->broken == NULL ? "it was told nothing" : e->broken;
		return MILTER_GARBAGE;
	}
	memcpy(&len, b->p + e->taken, sizeof(len));
	packet = strv(b->p + e->taken + sizeof(len), len);
	e->taken += sizeof(len) + len;
	if (milter_unpack(packet, b->p + (packet.p - b->p), out, &end->why))
		return MILTER_OK;
	end->bytes = strv_first(packet, packet.n < 64 ? packet.n : 64);
	return MILTER_GARBAGE;
}

/* ---- its birth and its end --------------------------------------------------------------------- */

static void
plugin_close(struct milter_end *end, bool polite)
{
	struct plugin_end *e = (struct plugin_end *)(void *)end;

	(void)polite;
	if (e->in_mail)
		plugin_call_end(e, PLUGIN_abort);
	plugin_call_end(e, PLUGIN_close);
	if (e->ctx.priv != NULL && !e->plugin->left_private && e->world != NULL) {
		e->plugin->left_private = true;
		log_event(e->world, SV("worker"), "plugin-private-data",
		    "name=%.*s: xxfi_close leaves private data behind (smfi_setpriv NULL)",
		    (int)end->conf->name.n, end->conf->name.p);
	}
	for (unsigned i = 0; i < MILTER_PLACES; i++) {
		buf_fini(&e->ctx.macros[i]);
		mem_free(e->ctx.symlist[i]);
	}
	buf_fini(&e->ctx.reply);
	buf_fini(&e->ctx.staged);
	mem_free(e);
}

MAY_YIELD static enum milter_rc
plugin_open(struct arena *a, const struct milter_conf *c, const struct milter_offer *ours,
    struct milter_offer *theirs, uint64_t until, struct milter_end **out, struct strv *why)
{
	struct plugin     *p = plugin_load(a, c, why);
	struct plugin_end *e;

	(void)until;
	if (p == NULL)
		return MILTER_REFUSED;
	e = mem_alloc(sizeof(*e));
	e->end.kind = &milter_plugin_end;
	e->end.conf = c;
	e->plugin = p;
	e->loop = fiber_self() == NULL ? NULL : fiber_loop();
	e->world = e->loop == NULL ? NULL : loop_world(e->loop);
	for (unsigned i = 0; i < MILTER_PLACES; i++)
		buf_init(&e->ctx.macros[i], MILTER_PACKET_MAX);
	buf_init(&e->ctx.reply, PLUGIN_REPLY_MAX);
	buf_init(&e->ctx.staged, PLUGIN_STAGED_MAX);
	if (!plugin_negotiate(e, ours, theirs)) {
		*why = strv_z(e->broken); /* static */
		plugin_close(&e->end, false);
		return MILTER_REFUSED;
	}
	*out = &e->end;
	return MILTER_OK;
}

#else

MAY_YIELD static enum milter_rc
plugin_open(struct arena *a, const struct milter_conf *c, const struct milter_offer *ours,
    struct milter_offer *theirs, uint64_t until, struct milter_end **out, struct strv *why)
{
	(void)ours;
	(void)theirs;
	(void)until;
	*out = NULL;
	(void)plugin_load(a, c, why);
	return MILTER_REFUSED;
}

/* Nothing is ever opened: these are not reached. */
MAY_YIELD static enum milter_rc
plugin_tell(struct milter_end *e, const struct milter_event *ev, const struct milter_macros *m,
    bool answered, uint64_t until)
{
	(void)e;
	(void)ev;
	(void)m;
	(void)answered;
	(void)until;
	return MILTER_GONE;
}

MAY_YIELD static enum milter_rc
plugin_answer(struct milter_end *e, struct milter_answer *out, uint64_t until)
{
	(void)e;
	(void)out;
	(void)until;
	return MILTER_GONE;
}

static void
plugin_close(struct milter_end *e, bool polite)
{
	(void)e;
	(void)polite;
}

#endif

const struct milter_end_kind milter_plugin_end = {
	.open = plugin_open, .tell = plugin_tell, .answer = plugin_answer, .close = plugin_close
};
