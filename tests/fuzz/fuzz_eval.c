/*
 * The evaluator, told any facts.  Lines "FACT VALUE" up to a line "%%", then a policy.  The VALUE "?" is unknown, "-"
 * absent; of a list the values stand one blank apart; "of" in front of a number is that recipient's, "of 1 rcpt x@y".
 * What it says can be said there, in one clean line and by somebody; the three ways to ask agree on it; nothing is
 * asked of which policy_asks says that it never is.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/sound.h"
#include "tests/policy/canned.h"

enum { RCPTS = 3, VALUES_MAX = 8 };

struct told {
	union fact_value v;
	bool             unknown;
};

struct life {
	const struct policy *p;
	struct told          told[CANNED_N][RCPTS];
	struct facts         of_session, of_tx;
	struct policy_case   session, tx;
	struct envelope      env;
	struct edits         early, edits;
};

/* ---- what is told ---- */

static union fact_value
absent(enum fact_type type)
{
	union fact_value v = { 0 };

	if (type == FACT_NUMBER)
		v.number = FACT_NUMBER_ABSENT;
	if (type == FACT_WORD)
		v.word = FACT_WORD_ABSENT;
	return v;
}

static unsigned
word_of(const struct fact_def *def, struct strv text)
{
	for (unsigned i = 0; def->words[i] != NULL; i++)
		if (strv_eq(text, strv_z(def->words[i])))
			return i;
	return FACT_WORD_ABSENT;
}

static const struct path *
path_of(struct arena *a, struct strv text)
{
	struct path *path = arena_alloc(a, sizeof(*path));
	const char  *why;

	return path_parse_plain(a, text, path, &why) == PATH_OK ? path : NULL;
}

static union fact_value
list_of(struct arena *a, enum fact_type type, struct strv text)
{
	union fact_value v = { 0 };
	struct strv     *texts = arena_array(a, VALUES_MAX, sizeof(*texts));
	struct addr     *addrs = arena_array(a, VALUES_MAX, sizeof(*addrs));
	unsigned         n = 0;

	while (text.n > 0 && n < VALUES_MAX) {
		struct strv one = strv_cut(&text, ' ');

		if (type == FACT_TEXTS)
			texts[n++] = one;
		else if (addr_parse(one, &addrs[n]))
			n++;
	}
	if (type == FACT_TEXTS) {
		v.texts.v = texts;
		v.texts.n = n;
	} else {
		v.addrs.v = addrs;
		v.addrs.n = n;
	}
	return v;
}

static int64_t
number_of(struct strv text)
{
	int64_t n = 0;

	for (size_t i = 0; i < text.n && i < 18; i++)
		n = ascii_is_digit(text.p[i]) ? n * 10 + (text.p[i] - '0') : -n;
	return n;
}

static union fact_value
value_of(struct arena *a, const struct fact_def *def, struct strv text)
{
	union fact_value v = absent(def->type);

	if (strv_eq(text, SV("-")))
		return v;
	switch (def->type) {
	case FACT_BOOL:
		v.yes = strv_eq(text, SV("yes"));
		break;
	case FACT_NUMBER:
		v.number = number_of(text);
		break;
	case FACT_TEXT:
		v.text = text;
		break;
	case FACT_ADDR:
		(void)addr_parse(text, &v.addr);
		break;
	case FACT_PATH:
		v.path = path_of(a, text);
		break;
	case FACT_WORD:
		v.word = word_of(def, text);
		break;
	case FACT_ADDRS:
	case FACT_TEXTS:
		return list_of(a, def->type, text);
	}
	return v;
}

/* "of N " in front of it. */
static bool
whose(struct strv *line, unsigned *rcpt)
{
	struct strv rest = *line, n;

	if (!strv_starts(rest, SV("of ")))
		return false;
	rest = strv_from(rest, 3);
	n = strv_cut(&rest, ' ');
	if (n.n != 1 || n.p[0] < '0' || n.p[0] >= '0' + RCPTS)
		return false;
	*rcpt = (unsigned)(n.p[0] - '0');
	*line = rest.p != NULL ? rest : SV("");
	return true;
}

static void
hear_line(struct arena *a, struct life *l, struct strv line)
{
	unsigned    rcpt = 0;
	bool        one = whose(&line, &rcpt);
	struct strv name = strv_cut(&line, ' ');
	int         i = fact_find(canned_facts, CANNED_N, name);
	struct told t;

	if (i < 0)
		return;
	if (line.p == NULL)
		line = SV("");
	t.unknown = strv_eq(line, SV("?"));
	t.v = value_of(a, &canned_facts[i], line);
	for (unsigned k = one ? rcpt : 0; k < (one ? rcpt + 1 : RCPTS); k++)
		l->told[i][k] = t;
}

static void
hear_lines(struct arena *a, struct life *l, struct strv text)
{
	for (unsigned i = 0; i < CANNED_N; i++)
		for (unsigned k = 0; k < RCPTS; k++)
			l->told[i][k].v = absent(canned_facts[i].type);
	while (text.n > 0)
		hear_line(a, l, strv_cut(&text, '\n'));
}

/* ---- a session ---- */

static enum wait_rc
ask(void *ctx, struct fact *f)
{
	struct life       *l = ctx;
	const struct told *t = &l->told[f->number][f->def->per_rcpt ? f->rcpt : 0];

	FUZZ_CHECK(policy_asks(l->p, f->number));
	FUZZ_CHECK(!f->def->per_rcpt || f->rcpt < RCPTS);
	f->state = t->unknown ? FACT_UNKNOWN : FACT_KNOWN;
	f->v = t->v;
	return WAIT_OK;
}

enum { HEARINGS = STAGE_MESSAGE + RCPTS };

static void
hear(struct life *l, enum stage at, unsigned rcpt, struct verdict *out)
{
	struct policy_case *c = at < STAGE_MAIL ? &l->session : &l->tx;
	unsigned            first, n = policy_wants(l->p, at, &first);

	for (unsigned i = 0; i < n; i++)
		FUZZ_CHECK(policy_want(l->p, first + i, rcpt, c) == WAIT_OK);
	FUZZ_CHECK(policy_eval(l->p, at, rcpt, c, out) == WAIT_OK);
	sound(out, at);
	FUZZ_CHECK(c->delay <= 60000);
	c->delay = 0;
}

static void
recipients(struct arena *a, struct life *l, struct verdict *out)
{
	for (unsigned i = 0; i < RCPTS; i++) {
		const struct path *path = l->told[CANNED_RCPT][i].v.path;
		struct rcpt       *r = envelope_add(a, &l->env);

		r->to = *(path != NULL ? path : path_of(a, SV("u@ours.example")));
		hear(l, STAGE_RCPT, i, &out[i]);
		r->upstream_took = out[i].kind == VERDICT_NONE;
	}
}

/* The whole session: what was said at each stage, and to each recipient. */
static void
live(struct arena *a, const struct policy *p, struct life *l, enum policy_mode mode,
    struct verdict out[HEARINGS])
{
	struct verdict *at = out;
	const char     *why;

	l->p = p;
	l->early = l->edits = (struct edits){ 0 };
	l->env = (struct envelope){ 0 };
	l->of_session = (struct facts){ .a = a, .ask = ask, .ctx = l };
	l->of_tx = (struct facts){ .outer = &l->of_session, .a = a, .ask = ask, .ctx = l };
	l->session = (struct policy_case){
		.a = a, .facts = &l->of_session, .mode = mode, .edits = &l->early
	};
	l->tx = (struct policy_case){
		.a = a, .facts = &l->of_tx, .mode = mode, .env = &l->env, .edits = &l->edits
	};
	for (unsigned i = STAGE_CONNECT; i <= STAGE_AUTH; i++)
		hear(l, (enum stage)i, 0, at++);
	policy_begin(p, &l->session, &l->tx);
	hear(l, STAGE_MAIL, 0, at++);
	recipients(a, l, at);
	at += RCPTS;
	hear(l, STAGE_DATA, 0, at++);
	hear(l, STAGE_MESSAGE, 0, at++);
	FUZZ_CHECK(at <= out + HEARINGS);
	for (unsigned i = 0; i < l->edits.n; i++)
		FUZZ_CHECK(edit_check(&l->edits.v[i], &why));
}

static bool
same_verdict(const struct verdict *x, const struct verdict *y)
{
	return x->kind == y->kind && strv_eq(x->by, y->by) &&
	    strv_eq(verdict_text(x), verdict_text(y));
}

static void
decide(struct arena *a, const struct policy *p, struct life *l)
{
	struct verdict *out[3];

	for (unsigned mode = POLICY_LIVE; mode <= POLICY_EXPLAIN; mode++) {
		out[mode] = arena_array(a, HEARINGS, sizeof(*out[mode]));
		live(a, p, l, (enum policy_mode)mode, out[mode]);
	}
	for (unsigned i = 0; i < HEARINGS; i++)
		FUZZ_CHECK(
		    same_verdict(&out[0][i], &out[1][i]) && same_verdict(&out[0][i], &out[2][i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena       *a = arena_new(4096, 0);
	struct strv         text = strv((const char *)data, n), told = SV("");
	struct canned_file  file = { .path = "main.conf" };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = a };
	struct life        *l = arena_alloc(a, sizeof(*l));
	const char         *end = n >= 4 ? memmem(data, n, "\n%%\n", 4) : NULL;
	struct policy      *p;

	if (end != NULL) {
		told = strv_first(text, (size_t)(end - text.p));
		text = strv_from(text, told.n + 4);
	}
	file.text = text;
	p = canned_load(a, &w, conf_parse(a, &w, "main.conf", &d), &d);
	if (p != NULL) {
		hear_lines(a, l, told);
		decide(a, p, l);
	}
	policy_free(p);
	arena_free(a);
	return 0;
}
