/*
 * stranger -- a policy from a text, a session with a stranger, and what the policy says to it.
 */
#ifndef TESTS_POLICY_STRANGER_H
#define TESTS_POLICY_STRANGER_H

#include "tests/policy/canned.h"
#include "tests/unit/t.h"

static struct arena *arena;

T_UNUSED static void
show(struct strv line, void *arg)
{
	(void)arg;
	printf("  %.*s\n", (int)line.n, line.p);
}

static struct policy *
load_files(const struct canned_file *v, unsigned n, struct diags *d)
{
	struct canned_files files = { .v = v, .n = n };
	struct world        w = canned_world(&files);
	struct conf        *c = conf_parse(arena, &w, v[0].path, d);

	return canned_load(arena, &w, c, d);
}

/* A policy that must be without mistakes; NULL: it was not, and that is reported. */
T_UNUSED static struct policy *
load(const char *text)
{
	struct canned_file file = { "p.conf", text, { NULL, 0 } };
	struct diags       d = { .a = arena };
	struct policy     *p = load_files(&file, 1, &d);

	if (!T_CHECKF(p != NULL, "the policy does not load"))
		diag_print(&d, false, show, NULL);
	return p;
}

static void
set_path(struct canned *c, unsigned which, const char *text)
{
	struct path *path = arena_alloc(arena, sizeof(*path));
	const char  *why = "";

	T_CHECKF(path_parse_plain(arena, strv_z(text), path, &why) == PATH_OK, "%s: %s", text, why);
	c->v[which].path = path;
	if (which == CANNED_RCPT || path->domain.p == NULL)
		return;
	c->v[CANNED_SENDER_LOCAL].text = path->local;
	c->v[CANNED_SENDER_DOMAIN].text = path->domain;
}

/* A stranger, not authenticated, without TLS, who says helo mx.out.example. */
T_UNUSED static struct canned
stranger(const char *to)
{
	struct canned c = { .unknown = 0 };

	addr_parse(SV("198.51.100.9"), &c.v[CANNED_CLIENT].addr);
	c.v[CANNED_CLIENT_IP] = c.v[CANNED_CLIENT];
	c.v[CANNED_PORT].number = 40000;
	c.v[CANNED_LISTENER].text = SV("mx");
	c.v[CANNED_HELO].text = SV("mx.out.example");
	c.v[CANNED_SIZE].number = FACT_NUMBER_ABSENT;
	c.v[CANNED_SPF].word = 2;
	set_path(&c, CANNED_SENDER, "a@out.example");
	set_path(&c, CANNED_RCPT, to);
	return c;
}

T_UNUSED static struct verdict
ask(const struct policy *p, struct canned *c)
{
	struct facts       f = { .a = arena, .ask = canned_ask, .ctx = c };
	struct policy_case k = { .a = arena, .facts = &f };
	struct verdict     v;

	T_EQ_NUM(policy_eval(p, STAGE_RCPT, 0, &k, &v), WAIT_OK);
	return v;
}

#endif
