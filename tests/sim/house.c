/*
 * house -- see house.h: configuration to a running struct smtp, and its end, nothing left over.
 *
 * It plays nobody.  Invariant: after house_close nothing of the proxy is alive in the world.
 */
#include "proxy/base/counters.h"
#include "proxy/judge.h"
#include "proxy/smtp/session.h"
#include "tests/sim/house.h"
#include "tests/sim/wire.h"

#define END_WITHIN (4 * 3600000u) /* of the clock, for what is left when clients are gone */

/* Does a line of text begin with that word, or with `no' and that word (it asks for no default)? */
static bool
states(struct strv text, struct strv word)
{
	while (text.p != NULL) {
		struct strv line = strv_cut(&text, '\n'), first = strv_word(&line);

		if (strv_eq(first, word) ||
		    (strv_eq(first, SV("no")) && strv_eq(strv_word(&line), word)))
			return true;
	}
	return false;
}

static void
add_given(struct buf *b, struct strv text)
{
	while (text.p != NULL) {
		struct strv line = strv_cut(&text, '\n'), rest = line;

		if (!strv_eq(strv_word(&rest), SV("no")))
			buf_printf(b, "%.*s\n", (int)line.n, line.p == NULL ? "" : line.p);
	}
}

static void
write_config(struct sim *s, struct strv given)
{
	static const struct {
		const char *word, *text;
	} defaults[] = {
		{ "hostname", "hostname mx.test" },
		{ "listen", "listen 127.0.0.1:25" },
		{ "upstream", "upstream " HOUSE_UPSTREAM },
		{ "networks", "networks trusted { 127.0.0.0/8, 10.0.0.0/8 }" },
		{ "domains", "domains ours { ours.example, .ours.example }" },
		{ "relay", "relay {\n allow from trusted\n allow to ours\n}" },
	};
	struct strv certificate, key;
	struct buf  b;

	buf_init(&b, 1 << 20);
	for (unsigned i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (!states(given, strv_z(defaults[i].word)))
			buf_printf(&b, "%s\n", defaults[i].text);
	add_given(&b, given);
	sim_write_file(s, "postern.conf", buf_view(&b));
	buf_fini(&b);
	wire_certificate(&certificate, &key);
	sim_write_file(s, "/tls.crt", certificate);
	sim_write_file(s, "/tls.key", key);
	s->world.make_dir(&s->world, "/mail");
}

static void
tell(struct strv line, void *arg)
{
	sim_note(arg, "check", "%.*s", (int)line.n, line.p);
}

bool
house_open(struct house *h, struct sim *s, struct strv config)
{
	struct diags d = { 0 };

	*h = (struct house){ .sim = s, .a = arena_new(4096, 0) };
	d.a = h->a;
	write_config(s, config);
	h->settings = settings_load(h->a, &s->world, "postern.conf", &d);
	diag_print(&d, false, tell, s);
	if (d.errors > 0)
		return false;
	h->conf = settings_split(h->settings, h->a, 1);
	if (h->conf->judge == NULL)
		h->conf->judge = judge_new(h->a, h->settings->policy);
	h->counters = counters_new(1);
	h->smtp = smtp_new(h->conf, &s->world, s->loop, h->counters, 0);
	return h->smtp != NULL;
}

int
house_connect(struct house *h, struct strv listener, const struct endpoint *from, int *peer_fd)
{
	const struct listener *l = NULL;
	int                    fd[2];

	for (unsigned i = 0; i < h->settings->n_listener && l == NULL; i++)
		if (listener.p == NULL || strv_eq(h->settings->listener[i].name, listener))
			l = &h->settings->listener[i];
	if (l == NULL || h->draining || !sim_pair(h->sim, fd))
		return -1;
	*peer_fd = fd[0];
	session_open(h->smtp, l, fd[0], from, &l->at);
	return fd[1];
}

static void
drained(void *arg)
{
	((struct house *)arg)->drained = true;
}

void
house_drain(struct house *h)
{
	if (!h->draining)
		smtp_drain(h->smtp, drained, h);
	h->draining = true;
}

static bool
nobody_left(void *arg)
{
	return smtp_sessions(((struct house *)arg)->smtp) == 0;
}

static bool
all_drained(void *arg)
{
	return ((struct house *)arg)->drained;
}

static bool
never(void *arg)
{
	(void)arg;
	return false;
}

/* Sessions are over and the drain is done: what should be back where it came from? */
static const char *
leftovers(const struct house *h)
{
	if (h->smtp->sessions != NULL)
		return "a session is listed";
	if (fiber_pool_live(h->smtp->fibers) > 0)
		return "a fiber is alive";
	if (spool_pool_used(h->smtp->spools) > 0)
		return "spooled octets are left";
	return NULL;
}

const char *
house_close(struct house *h)
{
	struct sim *s = h->sim;
	const char *left = NULL;

	if (h->smtp != NULL) {
		if (sim_run(s, nobody_left, h, s->clock + END_WITHIN) != SIM_FINISHED)
			left = "a session does not end";
		house_drain(h);
		if (left == NULL &&
		    sim_run(s, all_drained, h, s->clock + END_WITHIN) != SIM_FINISHED)
			left = "smtp_drain is never done";
		if (left == NULL)
			left = leftovers(h);
		if (left != NULL)
			return left; /* it cannot be freed */
		smtp_free(h->smtp);
		if (sim_run(s, never, NULL, s->clock) == SIM_RESTLESS)
			left = "the loop never rests";
		if (left == NULL && loop_next_timer(s->loop) != UINT64_MAX)
			left = "a timer is left";
		if (left == NULL && counters_sum(h->counters, COUNTER_SESSIONS_OPEN) != 0)
			left = "sessions_open is not 0";
		if (left == NULL && counters_sum(h->counters, COUNTER_UPSTREAM_OPEN) != 0)
			left = "upstream_open is not 0";
	}
	if (h->settings != NULL)
		settings_free(h->settings);
	if (h->counters != NULL)
		counters_free(h->counters);
	arena_free(h->a);
	return left;
}
