/*
 * canned -- a world for tests of configurations: files from a table or from the disk, nothing else;
 * and a small table of facts with answers of the test's own.
 */
#ifndef TESTS_POLICY_CANNED_H
#define TESTS_POLICY_CANNED_H

#include <fnmatch.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/policy.h"
#include "proxy/base/arena.h"
#include "proxy/base/hash.h"
#include "proxy/mail/path.h"

#define CANNED_UNUSED __attribute__((unused))

/* ---- files ---- */

struct canned_file {
	const char *path;
	const char *z;                  /* its text, or NULL: text */
	struct strv text;
};

struct canned_files {
	const struct canned_file *v;    /* sorted by path, as a glob gives them */
	unsigned                  n;
	bool                      disk; /* what is not in the table is looked for there */
	unsigned                  reads;
};

CANNED_UNUSED static enum file_rc
canned_read_disk(struct arena *a, const char *path, size_t max, struct strv *out)
{
	FILE *f = fopen(path, "rb");
	long  n;
	char *p;

	*out = strv("", 0);
	if (f == NULL)
		return FILE_ABSENT;
	if (fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0 || (size_t)n > max || fseek(f, 0, SEEK_SET) != 0) {
		fclose(f);
		return FILE_TOO_BIG;
	}
	p = arena_bytes(a, (size_t)n + 1);
	*out = strv(p, fread(p, 1, (size_t)n, f));
	fclose(f);
	return FILE_OK;
}

CANNED_UNUSED static enum file_rc
canned_read(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	struct canned_files *f = w->ctx;

	f->reads++;
	for (unsigned i = 0; i < f->n; i++) {
		if (strcmp(f->v[i].path, path) == 0) {
			*out = f->v[i].z != NULL ? strv_z(f->v[i].z) : f->v[i].text;
			return out->n > max ? FILE_TOO_BIG : FILE_OK;
		}
	}
	return f->disk ? canned_read_disk(a, path, max, out) : FILE_ABSENT;
}

CANNED_UNUSED static enum file_rc
canned_glob(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	struct canned_files *f = w->ctx;
	unsigned             max = 0;
	glob_t               g;

	*n = 0;
	*out = NULL;
	for (unsigned i = 0; i < f->n; i++) {
		if (fnmatch(pattern, f->v[i].path, FNM_PATHNAME) != 0)
			continue;
		*out = arena_grow(a, *out, &max, *n + 1, sizeof(**out));
		(*out)[(*n)++] = strv_z(f->v[i].path);
	}
	if (!f->disk || glob(pattern, 0, NULL, &g) != 0)
		return FILE_OK;
	for (size_t i = 0; i < g.gl_pathc; i++) {
		*out = arena_grow(a, *out, &max, *n + 1, sizeof(**out));
		(*out)[(*n)++] = arena_dup(a, strv_z(g.gl_pathv[i]));
	}
	globfree(&g);
	return FILE_OK;
}

CANNED_UNUSED static struct world
canned_world(struct canned_files *f)
{
	return (struct world){ .read_file = canned_read, .glob = canned_glob, .ctx = f };
}

/* ---- facts ---- */

enum canned_fact { CANNED_CLIENT, CANNED_CLIENT_IP, CANNED_PORT, CANNED_LISTENER, CANNED_TLS, CANNED_HELO, CANNED_USER,
	CANNED_AUTHENTICATED, CANNED_SENDER, CANNED_SENDER_LOCAL, CANNED_SENDER_DOMAIN, CANNED_SIZE,
	CANNED_RCPT, CANNED_RCPT_LOCAL, CANNED_RCPT_DOMAIN, CANNED_COUNT, CANNED_MESSAGE_SIZE, CANNED_SPF,
	CANNED_DNSBL, CANNED_RECEIVED, CANNED_LISTED, CANNED_WHITE, CANNED_RHSBL, CANNED_LIST_TEXT, CANNED_RESOLVES,
	CANNED_RESOLVES_HOST, CANNED_MX, CANNED_HEADER, CANNED_FROM_DOMAIN, CANNED_N };

static const char *const canned_spf[] = { "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror", NULL };

/* clang-format off */
CANNED_UNUSED static const struct fact_def canned_facts[CANNED_N + 1] = {
	[CANNED_CLIENT]        = { .name = "client", .type = FACT_ADDR, .first = STAGE_CONNECT, .per_session = true },
	[CANNED_CLIENT_IP]     = { .name = "client.ip", .type = FACT_ADDR, .first = STAGE_CONNECT, .per_session = true },
	[CANNED_PORT]          = { .name = "client.port", .type = FACT_NUMBER, .first = STAGE_CONNECT, .per_session = true },
	[CANNED_LISTENER]      = { .name = "listener", .type = FACT_TEXT, .first = STAGE_CONNECT, .per_session = true },
	[CANNED_TLS]           = { .name = "tls.version", .type = FACT_TEXT, .first = STAGE_MAIL },
	[CANNED_HELO]          = { .name = "helo", .type = FACT_TEXT, .first = STAGE_MAIL },
	[CANNED_USER]          = { .name = "auth.user", .type = FACT_TEXT, .address = true, .first = STAGE_MAIL },
	[CANNED_AUTHENTICATED] = { .name = "authenticated", .type = FACT_BOOL, .first = STAGE_MAIL },
	[CANNED_SENDER]        = { .name = "sender", .type = FACT_PATH, .first = STAGE_MAIL },
	[CANNED_SENDER_LOCAL]  = { .name = "sender.local", .type = FACT_TEXT, .first = STAGE_MAIL },
	[CANNED_SENDER_DOMAIN] = { .name = "sender.domain", .type = FACT_TEXT, .first = STAGE_MAIL },
	[CANNED_SIZE]          = { .name = "size", .type = FACT_NUMBER, .first = STAGE_MAIL },
	[CANNED_RCPT]          = { .name = "rcpt", .type = FACT_PATH, .first = STAGE_RCPT, .per_rcpt = true },
	[CANNED_RCPT_LOCAL]    = { .name = "rcpt.local", .type = FACT_TEXT, .first = STAGE_RCPT, .per_rcpt = true },
	[CANNED_RCPT_DOMAIN]   = { .name = "rcpt.domain", .type = FACT_TEXT, .first = STAGE_RCPT, .per_rcpt = true },
	[CANNED_COUNT]         = { .name = "rcpt.count", .type = FACT_NUMBER, .first = STAGE_DATA },
	[CANNED_MESSAGE_SIZE]  = { .name = "message.size", .type = FACT_NUMBER, .first = STAGE_MESSAGE },
	[CANNED_SPF]           = { .name = "spf", .type = FACT_WORD, .first = STAGE_MAIL, .words = canned_spf },
	[CANNED_DNSBL]         = { .name = "asn", .type = FACT_ADDRS, .first = STAGE_CONNECT },
	[CANNED_RECEIVED]      = { .name = "dkim.domains", .type = FACT_TEXTS, .first = STAGE_RCPT },
	[CANNED_LISTED]        = { .name = "dnsbl", .type = FACT_ADDRS, .first = STAGE_CONNECT, .per_session = true,
	    .args = "sn", .cost = COST_DNS },
	[CANNED_WHITE]         = { .name = "dnswl", .type = FACT_ADDRS, .first = STAGE_CONNECT, .per_session = true,
	    .args = "sn", .cost = COST_DNS },
	[CANNED_RHSBL]         = { .name = "rhsbl", .type = FACT_ADDRS, .first = STAGE_CONNECT, .args = "sfn",
	    .cost = COST_DNS },
	[CANNED_LIST_TEXT]     = { .name = "dnsbl.text", .type = FACT_TEXT, .first = STAGE_CONNECT,
	    .per_session = true, .cost = COST_DNS },
	[CANNED_RESOLVES]      = { .name = "resolves", .inner = true, .type = FACT_BOOL, .first = STAGE_CONNECT,
	    .args = "f", .cost = COST_DNS },
	[CANNED_RESOLVES_HOST] = { .name = "resolves.host", .inner = true, .type = FACT_BOOL, .first = STAGE_CONNECT,
	    .args = "f", .cost = COST_DNS },
	[CANNED_MX]            = { .name = "mx", .type = FACT_BOOL, .first = STAGE_CONNECT, .args = "f",
	    .cost = COST_DNS },
	[CANNED_HEADER]        = { .name = "header", .type = FACT_TEXTS, .first = STAGE_MESSAGE, .args = "s",
	    .cost = COST_TEXT },
	[CANNED_FROM_DOMAIN]   = { .name = "from.domain", .type = FACT_TEXT, .first = STAGE_MESSAGE,
	    .cost = COST_TEXT },
};
/* clang-format on */

/* What a test says of a session; unknown: a bit for each fact that cannot be found out. */
struct canned {
	union fact_value v[CANNED_N];
	uint64_t         unknown;
	bool             cancel;
	unsigned         asks;
};

CANNED_UNUSED static enum wait_rc
canned_ask(void *ctx, struct fact *f)
{
	struct canned *c = ctx;

	c->asks++;
	if (c->cancel)
		return WAIT_CANCELLED;
	f->state = c->unknown >> f->number & 1 ? FACT_UNKNOWN : FACT_KNOWN;
	f->v = c->v[f->number];
	return WAIT_OK;
}

/* The names of listeners that policies of tests may use. */
static const struct strv canned_listeners[] = { { "mx", 2 }, { "submission", 10 } };
static const struct strv canned_pools[] = { { "default", 7 }, { "students", 8 } };
static const struct policy_names canned_names = { canned_listeners, 2, canned_pools, 2, NULL };

static const struct hash_key canned_key = { 0x0123456789abcdef, 0xfedcba9876543210 };

CANNED_UNUSED static struct policy *
canned_load(struct arena *a, struct world *w, const struct conf *c, struct diags *d)
{
	return policy_load(a, w, c, canned_facts, CANNED_N, &canned_names, &canned_key, d);
}

#endif
