/*
 * plugin_call -- callbacks of a plugin: which one a command of the MTA comes to, and what it is handed.
 *
 * They run on a large stack of their own, to their end, while the worker waits.  What one gets is a copy with
 * a NUL behind it, which it may write into and which is good until it returns.
 */
#include "config.h"

#if HAVE_MILTER
#include <sys/un.h>

#include "filters/plugin_own.h"
#include "proxy/base/arena.h"
#include "proxy/base/doing.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/base/world.h"

/* What callbacks are given copies in; for all sessions, as no callback outlives its call. */
static struct buf text = { .max = 2 * (size_t)MILTER_PACKET_MAX };

#define X(name, args) \
	static void run_##name(void *arg) \
	{ \
		struct plugin_call       *c = arg; \
		c->rc = c->d->xxfi_##name args; \
	} \
	static bool has_##name(const struct smfiDesc *d) \
	{ \
		return d->xxfi_##name != NULL; \
	}
PLUGIN_CALLBACKS(X)
#undef X

static const struct {
	const char *name;
	void (*run)(void *);
	bool (*has)(const struct smfiDesc *);
} callbacks[] = {
#define X(name, args) { "xxfi_" #name, run_##name, has_##name },
	PLUGIN_CALLBACKS(X)
#undef X
};

/* A filter of an old libmilter has a shorter struct: what lies behind is not looked at. */
unsigned
plugin_callbacks_of(const struct smfiDesc *d)
{
	static const int least[] = {
		[PLUGIN_negotiate] = 5, [PLUGIN_data] = 4, [PLUGIN_unknown] = 3, [PLUGIN_close] = 0
	};
	unsigned bits = 0;

	for (unsigned i = 0; i < sizeof(callbacks) / sizeof(callbacks[0]); i++)
		if (d->xxfi_version >= least[i] && callbacks[i].has(d))
			bits |= 1u << i;
	return bits;
}

bool
plugin_has(const struct plugin_end *e, enum plugin_callback which)
{
	return (e->plugin->callbacks & 1u << which) != 0;
}

const char *
plugin_callback_name(enum plugin_callback which)
{
	return callbacks[which].name;
}

/* Cheaply: it is asked twice for every callback. */
static uint64_t
now(const struct plugin_end *e)
{
	struct world *w = e->world;

	if (w == NULL)
		return 0;
	return w->about_now != NULL ? w->about_now(w) : w->now(w);
}

static void
say_slow(const struct plugin_end *e, enum plugin_callback which, uint64_t ms)
{
	static struct log_line l; /* too large for the stack of a fiber */

	log_begin(&l, e->world, SV("worker"), "plugin-slow");
	log_strv(&l, "name", e->end.conf->name);
	log_z(&l, "callback", plugin_callback_name(which));
	log_number(&l, "ms", ms);
	log_end(&l);
}

/*
 * The whole worker waits for it: hence the log line.  Callbacks of one session come in a row, and when the
 * last one ended is when this one began, as long as it is the same round of the loop: that saves a
 * look at the clock for each field.
 */
int
plugin_call(struct plugin_end *e, enum plugin_callback which, struct plugin_call *c)
{
	uint64_t round = e->loop == NULL ? 0 : loop_now(e->loop), began = e->ended;

	if (round != e->round || began == 0)
		began = now(e);
	/* It may not come back, and what others are answered in this round is theirs whatever becomes of us. */
	if (e->loop != NULL)
		loop_send(e->loop);
	c->x = &e->ctx;
	c->d = &e->plugin->desc;
	doing_begin(e->plugin->conf->name, callbacks[which].name);
	fiber_stack_call(e->plugin->stack, callbacks[which].run, c);
	doing_end();
	e->ended = now(e);
	e->round = round;
	if (e->ended - began > PLUGIN_SLOW)
		say_slow(e, which, e->ended - began);
	return c->rc;
}

/* SMFIS_CONTINUE where the plugin has no such callback. */
static int
call_if_there(struct plugin_end *e, enum plugin_callback which, struct plugin_call *c)
{
	return plugin_has(e, which) ? plugin_call(e, which, c) : SMFIS_CONTINUE;
}

void
plugin_call_end(struct plugin_end *e, enum plugin_callback which)
{
	struct plugin_call c = { .rc = 0 };

	(void)call_if_there(e, which, &c);
}

/* ---- macros ------------------------------------------------------------------------------------ */

void
plugin_forget_macros(struct smfi_str *x, int from)
{
	for (int i = from; i < MILTER_PLACES; i++)
		buf_clear(&x->macros[i]);
}

/* As the codec has it (milter_pack.c): one NUL within would shift all that follows, and smfi_getsymval leave the buffer. */
static struct strv
up_to_nul(struct strv v)
{
	return strv_first(v, strv_chr(v, '\0'));
}

void
plugin_keep_macros(struct smfi_str *x, int place, const struct milter_macros *m)
{
	struct buf *b;

	if (place < 0 || m == NULL || m->n == 0)
		return;
	b = &x->macros[place];
	buf_clear(b);
	for (unsigned i = 0; i < m->n; i++) {
		struct strv name = up_to_nul(m->v[i].name), value = up_to_nul(m->v[i].value);

		if (!buf_reserve(b, name.n + value.n + 2))
			return;
		buf_add(b, name);
		buf_addc(b, '\0');
		buf_add(b, value);
		buf_addc(b, '\0');
	}
}

/* ---- what a callback is told ------------------------------------------------------------------- */

/* v with a NUL behind it, at the end of `text', which has room for it. */
static char *
copy(struct strv v)
{
	char *at = text.p + text.n;

	if (v.n > 0)
		memcpy(at, v.p, v.n);
	at[v.n] = '\0';
	text.n += v.n + 1;
	return at;
}

static bool
room(size_t n)
{
	buf_clear(&text);
	return buf_reserve(&text, n);
}

/* Here alone nothing is set that is not used: it comes for every field of every message. */
static int
tell_text(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev)
{
	struct plugin_call c;

	if (!plugin_has(e, which) || !room(ev->text.n + ev->value.n + 2))
		return SMFIS_CONTINUE;
	c.a = copy(ev->text);
	c.b = copy(ev->value);
	return plugin_call(e, which, &c);
}

static int
tell_argv(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev)
{
	struct plugin_call c = { .n = 0 };
	size_t pointers = (ev->n_arg + 2) * sizeof(*c.argv), n = pointers + ev->text.n + 1;

	for (unsigned i = 0; i < ev->n_arg; i++)
		n += ev->arg[i].n + 1;
	if (!plugin_has(e, which) || !room(n))
		return SMFIS_CONTINUE;
	c.argv = (char **)(void *)text.p; /* as malloc gives it */
	text.n = pointers;
	c.argv[0] = copy(ev->text);
	for (unsigned i = 0; i < ev->n_arg; i++)
		c.argv[i + 1] = copy(ev->arg[i]);
	c.argv[ev->n_arg + 1] = NULL;
	return plugin_call(e, which, &c);
}

/* False: there is nothing to say but "unknown". */
static bool
peer_of(const struct milter_event *ev, struct sockaddr_storage *out)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)out;
	struct endpoint     at = { .port = ev->port };
	struct strv         v = ev->value;

	*out = (struct sockaddr_storage){ .ss_family = AF_UNIX };
	if (ev->family == SMFIA_UNIX) {
		memcpy(un->sun_path, v.p,
		    v.n < sizeof(un->sun_path) - 1 ? v.n : sizeof(un->sun_path) - 1);
		return true;
	}
	if (strv_istarts(v, SV("IPv6:")))
		v = strv_from(v, 5);
	return (ev->family == SMFIA_INET || ev->family == SMFIA_INET6) && addr_parse(v, &at.addr) &&
	    endpoint_to_sockaddr(&at, out) > 0;
}

static int
tell_connect(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev)
{
	struct sockaddr_storage peer;
	struct plugin_call      c = { .n = 0 };

	if (!plugin_has(e, which) || !room(ev->text.n + 1))
		return SMFIS_CONTINUE;
	c.a = copy(ev->text);
	c.peer = peer_of(ev, &peer) ? (struct sockaddr *)(void *)&peer : NULL;
	return plugin_call(e, which, &c);
}

static int
tell_body(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev)
{
	struct plugin_call c = { .n = ev->text.n };

	if (!plugin_has(e, which) || !room(ev->text.n + 1))
		return SMFIS_CONTINUE;
	c.body = (unsigned char *)copy(ev->text); /* the plugin may write into it */
	return plugin_call(e, which, &c);
}

/* What came along is a last chunk; edits may be made in its callback, too. */
static int
tell_eom(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev)
{
	struct plugin_call c = { .n = 0 };
	int                rc = SMFIS_CONTINUE;

	e->ctx.at_end = true;
	if (ev->text.n > 0)
		rc = tell_body(e, PLUGIN_body, ev);
	if (rc == SMFIS_CONTINUE || rc == SMFIS_SKIP)
		rc = call_if_there(e, which, &c);
	e->ctx.at_end = false;
	return rc;
}

/*
 * libmilter's table of states lets an ABORT through in a message, and at any time where the filter does
 * not hear MAIL and so cannot know.
 */
static int
tell_abort(struct plugin_end *e, enum plugin_callback which, const struct milter_event *ev)
{
	(void)ev;
	if (e->in_mail || (e->protocol & SMFIP_NOMAIL) != 0)
		plugin_call_end(e, which);
	return SMFIS_CONTINUE;
}

const struct plugin_step plugin_steps[MILTER_CMD_MAX] = {
	/* clang-format off */
	[MILTER_CMD_CONNECT] = { tell_connect, PLUGIN_connect, MILTER_AT_CONNECT, true,  false, false, SMFIP_NR_CONN },
	[MILTER_CMD_HELO]    = { tell_text,    PLUGIN_helo,    MILTER_AT_HELO,    true,  false, false, SMFIP_NR_HELO },
	[MILTER_CMD_MAIL]    = { tell_argv,    PLUGIN_envfrom, MILTER_AT_MAIL,    true,  true,  false, SMFIP_NR_MAIL },
	[MILTER_CMD_RCPT]    = { tell_argv,    PLUGIN_envrcpt, MILTER_AT_RCPT,    true,  true,  true,  SMFIP_NR_RCPT },
	[MILTER_CMD_DATA]    = { tell_text,    PLUGIN_data,    MILTER_AT_DATA,    false, true,  false, SMFIP_NR_DATA },
	[MILTER_CMD_HEADER]  = { tell_text,    PLUGIN_header,  -1,                false, true,  false, SMFIP_NR_HDR },
	[MILTER_CMD_EOH]     = { tell_text,    PLUGIN_eoh,     MILTER_AT_EOH,     false, true,  false, SMFIP_NR_EOH },
	[MILTER_CMD_BODY]    = { tell_body,    PLUGIN_body,    -1,                false, true,  false, SMFIP_NR_BODY },
	[MILTER_CMD_EOM]     = { tell_eom,     PLUGIN_eom,     MILTER_AT_EOM,     false, false, false, 0 },
	[MILTER_CMD_UNKNOWN] = { tell_text,    PLUGIN_unknown, -1,                false, false, true,  SMFIP_NR_UNKN },
	[MILTER_CMD_ABORT]   = { tell_abort,   PLUGIN_abort,   -1,                false, false, false, 0 },
	/* clang-format on */
};

#endif
