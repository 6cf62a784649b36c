/*
 * arc_stand -- the filters arc and seal on a stand: a message, and what they make of it.
 */
#ifndef TESTS_UNIT_ARC_STAND_H
#define TESTS_UNIT_ARC_STAND_H

#include "tests/unit/arc_world.h"

/* The one inversion, as the judge has it: a fact is asked of its filter; TXT records are ours. */
MAY_YIELD static enum wait_rc
st_ask(void *ctx, struct fact *f)
{
	const struct filter *owner = registry_filters[registry_owner(f->number)];
	enum filter_rc rc = FILTER_TEMP;

	(void)ctx;
	f->state = FACT_RUNNING;
	if (owner == &arc_filter)
		rc = owner->ask(st.seat[0], f, &st.mail);
	else if (owner == &txt_filter) {
		struct strv *v = arena_alloc(f->a, sizeof(*v));

		st.out.asked++;
		st.now += st.dns_takes;
		T_CHECK(fiber_yield() == WAIT_OK);
		rc = FILTER_OK;
		for (unsigned i = 0; i < st.n_record; i++)
			if (strv_eq(f->arg, strv_z(st.record[i].name))) {
				*v = st.record[i].text;
				f->v.texts.v = v;
				f->v.texts.n = 1;
				rc = v->p != NULL ? FILTER_OK : FILTER_TEMP;
			}
	}
	f->state = rc == FILTER_OK ? FACT_KNOWN : FACT_UNKNOWN;
	return rc == FILTER_CANCELLED ? WAIT_CANCELLED : WAIT_OK;
}

static void
st_start(const struct findings *found, unsigned number, struct strv arg)
{
	(void)found, (void)number, (void)arg;
	st.out.started++;
}

MAY_YIELD static struct fact *
st_fact(const char *name)
{
	unsigned n;
	const struct fact_def *defs = registry_facts(&n);
	struct fact *f = NULL;

	T_CHECK(fact_get(&st.facts, defs, registry_number(name), 0, strv(NULL, 0), &f) == WAIT_OK);
	return f;
}

MAY_YIELD static void
st_facts(void)
{
	struct fact *f = st_fact("arc");

	st.out.word = f->state == FACT_KNOWN ? f->def->words[f->v.word] : NULL;
	T_CHECK(f->source.n > 0);
	f = st_fact("arc.result");
	if (T_CHECK(f->state == FACT_KNOWN && f->v.texts.n == 1))
		st.out.result = f->v.texts.v[0];
	f = st_fact("arc.sealer");
	st.out.sealer = f->state == FACT_KNOWN ? f->v.text : SV("?");
	f = st_fact("arc.oldest-pass");
	st.out.oldest_unknown = f->state != FACT_KNOWN;
	st.out.oldest = f->v.number;
}

/* The message as the view has it, from here to the next hop. */
static struct strv
st_render(const struct view *v, struct strv body)
{
	unsigned n;
	struct view_field *f = view_fields(st.a, v, &n);
	size_t size = 2 + body.n, at = 0;
	char *p;

	for (unsigned i = 0; i < n; i++)
		size += f[i].raw.n;
	p = arena_bytes(st.a, size);
	for (unsigned i = 0; i < n; i++) {
		memcpy(p + at, f[i].raw.p, f[i].raw.n);
		at += f[i].raw.n;
	}
	memcpy(p + at, "\r\n", 2);
	if (body.n > 0)
		memcpy(p + at + 2, body.p, body.n);
	return strv(p, size);
}

MAY_YIELD static void
st_body(struct strv body)
{
	while (body.n > 0) {
		struct strv piece = strv_first(body, st.cut > 0 && st.cut < body.n ? st.cut : body.n);

		arc_filter.body(st.seat[0], piece);
		seal_filter.body(st.seat[1], piece);
		body = strv_from(body, piece.n);
	}
}

MAY_YIELD static void
st_walk(void *arg)
{
	struct message *m = arena_alloc(st.a, sizeof(*m));
	struct edits *edits = arena_alloc(st.a, sizeof(*edits));
	struct view view = { m, edits, 0 };
	struct findings found = { .facts = &st.facts, .edits = edits, .holds = &st.holds, .start = st_start };
	struct strv body;
	const char *why;

	(void)arg;
	message_begin(m, st.a, NULL, UINT32_MAX / 4);
	T_EQ_NUM(message_feed(m, st.message, &body), MESSAGE_OK);
	T_CHECK(m->headers_done);
	st.mail = (struct mail){ .client = &st.client, .msg = m, .facts = &st.facts };
	arc_filter.at(st.seat[0], STAGE_HEADERS, &st.mail, &view, &found);
	seal_filter.at(st.seat[1], STAGE_HEADERS, &st.mail, &view, &found);
	st_body(body);
	st_facts();
	for (unsigned i = 0; i < st.n_edit; i++)
		T_CHECKF(edits_add(st.a, edits, &st.edit[i], &why), "%s", why);
	view.upto = edits->n;
	st.out.seal_rc = seal_filter.at(st.seat[1], STAGE_SEAL, &st.mail, &view, &found);
	st.out.edits = edits->n - view.upto;
	view.upto = edits->n;
	st.out.sealed = st_render(&view, body);
}

/* One message goes through: the outcome is good until the next. */
static const struct arc_outcome *
go(struct strv message)
{
	static const bool asked[128];
	struct filter_use use = { .auth = &st.auth, .asked = asked };
	struct strv text = arena_dup(st.conf, message);

	arena_reset(st.a);
	st.message = text;
	st.log[0] = '\0';
	st.out = (struct arc_outcome){ 0 };
	st.facts = (struct facts){ .a = st.a, .ask = st_ask };
	st.seat[0] = arc_filter.open(st.a, arc_filter.make(st.a, &use), &st.client);
	st.seat[1] = seal_filter.open(st.a, seal_filter.make(st.a, &use), &st.client);
	arc_filter.begin(st.seat[0], st.a);
	seal_filter.begin(st.seat[1], st.a);
	T_CHECK(fiber_start(st.pool, "arc", st_walk, NULL) != NULL);
	while (fiber_pool_live(st.pool) > 0)
		T_CHECK(loop_round(st.loop, false));
	arc_filter.end(st.seat[0]);
	seal_filter.end(st.seat[1]);
	return &st.out;
}

/* The message behind so many sealers: one.example, two.example and ed.example in turn. */
T_UNUSED static struct strv
chain_of(unsigned n, struct strv message)
{
	for (unsigned i = 0; i < n; i++) {
		if (i % 3 == 0)
			seal_with(KEY_RSA_1024, "one.example", "s");
		else if (i % 3 == 1)
			seal_with(KEY_RSA_2048, "two.example", "t");
		else
			seal_with(KEY_ED25519, "ed.example", "e");
		message = arena_dup(st.conf, go(message)->sealed);
		T_CHECKF(st.out.edits == 3, "set %u: not sealed: %s", i + 1, st.log);
	}
	return message;
}

/* The nth (from 1) `from' in text becomes `to'. */
T_UNUSED static struct strv
replaced(struct strv text, unsigned nth, const char *from, const char *to)
{
	size_t n = strlen(from);
	const char *at = text.p;
	struct strv head;

	for (;; at++) {
		at = memmem(at, (size_t)(text.p + text.n - at), from, n);
		if (at == NULL) {
			T_CHECKF(false, "\"%s\" does not stand %u times in it", from, nth);
			return text;
		}
		if (--nth == 0)
			break;
	}
	head = arena_concat(st.conf, strv_first(text, (size_t)(at - text.p)), strv_z(to));
	return arena_concat(st.conf, head, strv_from(text, (size_t)(at - text.p) + n));
}

#endif
