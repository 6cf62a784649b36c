/*
 * fuzz_settings -- the plain statements of a configuration: what they say, all mistakes, and how it is shown.
 *
 * The input is the main file; behind a line "%%%%" stands what every other file holds, so that it may be a key.
 */
#include <stdio.h>
#include <stdlib.h>

#include "filters/auth.h"
#include "proxy/base/arena.h"
#include "proxy/base/crypt.h"
#include "proxy/settings.h"
#include "proxy/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define READS 30

struct input {
	struct strv main, other;
	unsigned    reads, mode;
};

static void
must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "%s\n", what);
		abort();
	}
}

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
	(void)w, (void)a, (void)pattern;
	*out = NULL;
	*n = 0;
	return FILE_ABSENT;
}

static enum file_rc
mode_input(struct world *w, const char *path, unsigned *mode)
{
	(void)path;
	*mode = ((struct input *)w->ctx)->mode;
	return FILE_OK;
}

static void
random_input(struct world *w, void *p, size_t n)
{
	(void)w;
	memset(p, 7, n);
}

static uint64_t
wall_input(struct world *w)
{
	(void)w;
	return 1800000000ull * 1000000;
}

static void
no_controls(struct strv line, void *arg)
{
	(void)arg;
	must(diag_utf8(line) == line.n, "a line is not UTF-8");
	for (size_t i = 0; i < line.n; i++)
		must((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f,
		    "a line holds a control");
}

/* What filters rely on. */
static void
rules_sound(const struct settings *s, const struct sign_rule *rule, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct sign_rule *r = &rule[i];

		must(r->number < policy_seals(s->policy), "a condition that is not there");
		must(r->selector.n > 0 && r->selector.n < 201, "a selector that is none");
		for (unsigned k = 0; k < r->n_key; k++) {
			const struct sign_key *x = &r->key[k];

			must(x->key != NULL && x->pem.p != NULL, "a rule without its key");
			must(x->exact || x->below, "a domain that matches nothing");
			must(x->domain.n > 0 && x->domain.p[0] != '.',
			    "a domain with a dot in front");
			must(memchr(x->domain.p, '/', x->domain.n) == NULL,
			    "a domain that is a path");
			must(k == 0 || strv_cmp(r->key[k - 1].domain, x->domain) < 0,
			    "domains without order");
		}
	}
}

static void
auth_sound(const struct settings *s)
{
	const struct auth_conf *c = &s->auth;

	must(c->id.n > 0, "no authserv-id");
	must(c->methods <= (AUTH_SPF | AUTH_DKIM | AUTH_DMARC | AUTH_ARC), "a method that is none");
	must(c->engine != SPF_NONE && c->engine != c->cross, "an engine by itself");
	must(c->signatures >= 1 && c->signatures <= SIGNATURES_MAX, "too many signatures");
	must(c->minimum_key >= MINIMUM_KEY_DEFAULT && c->minimum_key <= CRYPT_RSA_MAX,
	    "no key will do");
	must(c->n_sign + c->n_seal == policy_seals(s->policy), "rules and conditions differ");
	must(c->n_sign + c->n_seal <= SIGN_RULES_MAX, "too many rules");
	rules_sound(s, c->sign, c->n_sign);
	rules_sound(s, c->seal, c->n_seal);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena    *a = arena_new(4096, 0);
	struct input     in = { strv((const char *)data, size), { "", 0 }, 0, 0600 };
	struct world     w = { .read_file = read_input,
		    .glob = glob_input,
		    .file_mode = mode_input,
		    .random = random_input,
		    .wall = wall_input,
		    .ctx = &in };
	struct diags     d = { .a = a };
	struct settings *s;

	for (size_t i = 0; i + 5 <= size; i++) {
		if (memcmp(data + i, "%%%%\n", 5) == 0) {
			in.main.n = i;
			in.other = strv((const char *)data + i + 5, size - i - 5);
			break;
		}
	}
	in.mode = size % 4 == 3 ? 0644 : 0600;
	s = settings_load(a, &w, "main.conf", &d);
	diag_print(&d, false, no_controls, NULL);
	if (d.errors == 0) {
		auth_sound(s);
		show_settings(s, a, no_controls, NULL);
	}
	settings_free(s);
	arena_free(a);
	return 0;
}
