/*
 * fuzz_conf -- a configuration from beginning to end: lexer, parser, lists, the gate, printing.
 *
 * The input is the main file; behind a line "%%%%" stands what every other file holds.  What
 * parses without a mistake must print to a text that parses to the same tree; what loads must
 * decide at every stage, and say only what can be said there.
 */
#include "proxy/base/buf.h"
#include "tests/fuzz/sound.h"
#include "tests/policy/canned.h"
#include "tests/policy/same.h"

#define READS 30 /* files that include each other are read so often: enough to see it, soon over */

struct input {
	struct strv main, other;
	unsigned    reads;
};

static enum file_rc
read_input(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	struct input *in = w->ctx;

	(void)a;
	if (++in->reads > READS)
		return FILE_ABSENT;
	*out = strcmp(path, "main.conf") == 0 ? in->main : in->other;
	return out->n > max ? FILE_TOO_BIG : FILE_OK;
}

static enum file_rc
glob_input(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	(void)w, (void)pattern;
	*out = arena_array(a, 2, sizeof(**out));
	(*out)[0] = SV("x.conf");
	(*out)[1] = SV("y.conf");
	*n = 2;
	return FILE_OK;
}

static void
must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

static void
keep(struct strv line, void *arg)
{
	struct buf *b = arg;

	buf_add(b, line);
	buf_addc(b, '\n');
}

/* Nothing of what is shown to people may reach the terminal as a control. */
static void
no_controls(struct strv line, void *arg)
{
	(void)arg;
	must(diag_utf8(line) == line.n, "a diagnostic is not UTF-8");
	for (size_t i = 0; i < line.n; i++)
		must((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f,
		    "a diagnostic holds a control");
}

static void
round_trip(const struct conf *c, struct arena *a)
{
	struct buf   text;
	struct input in = { { NULL, 0 }, { "", 0 }, 0 };
	struct world w = { .read_file = read_input, .glob = glob_input, .ctx = &in };
	struct diags d = { .a = a };
	struct conf *again;

	buf_init(&text, (size_t)1 << 26);
	conf_print(c, a, keep, &text);
	in.main = buf_view(&text);
	again = conf_parse(a, &w, "main.conf", &d);
	must(d.errors == 0, "the canonical text does not parse");
	must(same_conf(c, again), "the canonical text parses to another tree");
	buf_fini(&text);
}

/* A recipient's pool is one that there is, and a class is there exactly where a statement asks for it. */
static void
route(const struct policy *p, unsigned rcpt, struct facts *f, struct arena *a)
{
	struct strv pool, class;
	bool        unknown, known = false;

	must(policy_route(p, rcpt, f, a, &pool, &class, &unknown) == WAIT_OK, "policy_route");
	for (unsigned i = 0; i < canned_names.n_pool; i++)
		known = known || strv_eq(pool, canned_names.pool[i]);
	must(pool.p == NULL || known, "a pool that nobody has");
	must((pool.p == NULL && class.p == NULL && !unknown) || policy_routes(p),
	    "a route without a statement");
}

/* ---- a session, from beginning to end, in which little is known ---- */

struct life {
	const struct policy *p;
	struct canned        known;
	struct facts         of_session, of_tx;
	struct policy_case   session, tx;
	struct envelope      env;
	struct edits         early, edits;
};

static void
hear(const struct policy *p, struct life *l, enum stage at, unsigned rcpt)
{
	struct policy_case *c = at < STAGE_MAIL ? &l->session : &l->tx;
	struct verdict      v;
	unsigned            first, n = policy_wants(p, at, &first);

	for (unsigned i = 0; i < n; i++)
		must(policy_want(p, first + i, rcpt, c) == WAIT_OK, "policy_want");
	must(policy_eval(p, at, rcpt, c, &v) == WAIT_OK, "policy_eval");
	sound(&v, at);
	must(c->delay <= 60000, "a delay without end");
	c->delay = 0;
}

static void
edits_sound(const struct edits *e)
{
	const char *why;

	for (unsigned i = 0; i < e->n; i++)
		must(edit_check(&e->v[i], &why), "an edit that cannot be made");
}

static void
recipients(const struct policy *p, struct life *l, struct arena *a)
{
	static const char *const to[] = { "u@ours.example", "<postmaster>", "x%y@ours.example",
		"<>" };
	const char              *why;

	for (unsigned i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
		struct rcpt *r = envelope_add(a, &l->env);
		struct path *path = arena_alloc(a, sizeof(*path));

		must(path_parse_plain(a, strv_z(to[i]), path, &why) == PATH_OK,
		    "a path of the test");
		r->to = *path;
		l->known.v[CANNED_RCPT].path = l->known.v[CANNED_SENDER].path = path;
		l->known.v[CANNED_RCPT_DOMAIN].text = path->domain;
		hear(p, l, STAGE_RCPT, i);
		route(p, i, &l->of_tx, a);
		l->env.rcpt[i].upstream_took = i % 2 == 0;
	}
}

/* Nothing is asked of which policy_asks says that it never is. */
static enum wait_rc
ask_foreseen(void *ctx, struct fact *f)
{
	struct life *l = ctx;

	must(policy_asks(l->p, f->number), "a fact is asked that nothing asks for");
	return canned_ask(&l->known, f);
}

/* The conditions of `sign' and `seal': an unknown one does not hold. */
static void
seals(const struct policy *p, struct life *l)
{
	bool holds, unknown;

	for (unsigned i = 0; i < policy_seals(p); i++) {
		must(policy_seal(p, i, &l->tx, &holds, &unknown) == WAIT_OK, "policy_seal");
		must(!holds || !unknown, "what is unknown holds");
	}
}

static void
decide(const struct policy *p, struct arena *a, enum policy_mode mode)
{
	struct life l = { .p = p, .known = { .unknown = 1u << CANNED_SPF } };

	l.known.v[CANNED_CLIENT_IP].addr = (struct addr){ ADDR_IP4, { 192, 0, 2, 1 } };
	l.known.v[CANNED_CLIENT] = l.known.v[CANNED_CLIENT_IP];
	l.known.v[CANNED_HELO].text = SV("mx.ours.example");
	l.known.v[CANNED_FROM_DOMAIN].text = SV("a.example\r\nX: y\xff");
	l.known.v[CANNED_SIZE].number = FACT_NUMBER_ABSENT;
	l.of_session = (struct facts){ .a = a, .ask = ask_foreseen, .ctx = &l };
	l.of_tx = (struct facts){ .outer = &l.of_session, .a = a, .ask = ask_foreseen, .ctx = &l };
	l.session = (struct policy_case){ .a = a, .facts = &l.of_session, .mode = mode };
	l.tx = (struct policy_case){
		.a = a, .facts = &l.of_tx, .mode = mode, .env = &l.env, .edits = &l.edits
	};
	for (unsigned at = STAGE_CONNECT; at <= STAGE_AUTH; at++)
		hear(p, &l, (enum stage)at, 0);
	policy_begin(p, &l.session, &l.tx);
	hear(p, &l, STAGE_MAIL, 0);
	recipients(p, &l, a);
	hear(p, &l, STAGE_DATA, 0);
	hear(p, &l, STAGE_MESSAGE, 0);
	seals(p, &l);
	edits_sound(&l.edits);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena  *a = arena_new(4096, 0);
	struct input   in = { strv((const char *)data, size), { "", 0 }, 0 };
	struct world   w = { .read_file = read_input, .glob = glob_input, .ctx = &in };
	struct diags   d = { .a = a };
	struct conf   *c;
	struct policy *p;

	for (size_t i = 0; i + 5 <= size; i++) {
		if (memcmp(data + i, "%%%%\n", 5) == 0) {
			in.main.n = i;
			in.other = strv((const char *)data + i + 5, size - i - 5);
			break;
		}
	}
	c = conf_parse(a, &w, "main.conf", &d);
	if (d.errors == 0)
		round_trip(c, a);
	p = canned_load(a, &w, c, &d);
	must((p == NULL) == (d.errors > 0), "policy_load and its errors disagree");
	diag_print(&d, false, no_controls, NULL);
	if (p != NULL) {
		policy_explain(p, a, no_controls, NULL);
		decide(p, a, POLICY_LIVE);
		decide(p, a, POLICY_EXPLAIN);
	}
	policy_free(p);
	arena_free(a);
	return 0;
}
