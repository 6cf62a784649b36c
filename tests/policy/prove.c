/*
 * prove -- the proofs of policy_prove on whole policies, with all facts of the build.
 *
 * prove/relay/NAME.conf: each is an open relay, and is found as one: an error, or a warning where the
 * file says "# warns" (local parts that route).  prove/sound/NAME.conf: nothing is said of relaying.
 * The session of each finding is played as the `test' that it is.
 *
 * prove/told/NAME.conf with NAME.out: what is told of it, and what was understood. With -u as the second
 * argument the expectations are written anew: read the difference before you keep it.
 */
#include <unistd.h>

#include "filters/registry.h"
#include "policy/tree.h"
#include "proxy/base/buf.h"
#include "proxy/trial.h"
#include "tests/policy/canned.h"

static unsigned passed, failed;

static void
show(struct strv line, void *arg)
{
	(void)arg;
	printf("  %.*s\n", (int)line.n, line.p);
}

static bool
has(struct strv v, const char *what)
{
	size_t n = strlen(what);

	for (size_t i = 0; i + n <= v.n; i++) {
		if (memcmp(v.p + i, what, n) == 0)
			return true;
	}
	return false;
}

static bool
is_about_relaying(const struct diag *d)
{
	return has(d->text, "open relay");
}

/* From the word `test' on it is a block of the language, with nothing wrong in it. */
static bool
is_a_test(struct arena *a, struct strv hint)
{
	size_t              at = 0;
	struct canned_file  file = { "hint.conf", NULL, { NULL, 0 } };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = a };
	struct conf        *c;

	while (at < hint.n && !strv_starts(strv_from(hint, at), SV("test \"")))
		at++;
	if (at == hint.n)
		return false;
	file.text = strv_from(hint, at);
	c = conf_parse(a, &w, "hint.conf", &d);
	return d.errors == 0 && c->tree->n == 1 && c->tree->block[0].kind == BLOCK_TEST;
}

/* The listeners that the file has, by name or address. */
static struct policy_names
names_of(struct arena *a, const struct conf *c)
{
	struct strv        *v = arena_array(a, c->n_plain + 1, sizeof(*v));
	struct policy_names names = { v, 0, canned_pools, 2, NULL };

	for (unsigned i = 0; i < c->n_plain; i++) {
		const struct conf_plain *x = &c->plain[i];

		if (!strv_eq(x->keyword, SV("listen")) || x->n == 0)
			continue;
		v[names.n_listener] = x->v[0].text;
		for (unsigned k = 1; k + 1 < x->n; k++) {
			if (!strv_eq(x->v[k].text, SV("name")))
				continue;
			v[names.n_listener] = x->v[k + 1].text;
			break;
		}
		names.n_listener++;
	}
	return names;
}

static struct settings *
settings_of(struct arena *a, struct conf *c, struct policy *p, const struct policy_names *names)
{
	struct settings *s = arena_alloc(a, sizeof(*s));

	s->conf = c;
	s->policy = p;
	s->listener = arena_array(a, names->n_listener + 1, sizeof(*s->listener));
	s->n_listener = names->n_listener > 0 ? names->n_listener : 1;
	s->listener[0].name = SV("0.0.0.0:25");
	for (unsigned i = 0; i < names->n_listener; i++)
		s->listener[i].name = names->listener[i];
	s->smtp.hostname = SV("mx.ours.example");
#define X(field, word, value, unit, about) s->smtp.limits.field = value;
	LIMITS(X)
#undef X
	return s;
}

/* The test, with what it would rather not hear, is played through the judge, and is passed. */
static bool
is_confirmed(struct arena *a, const char *path, struct strv text, struct strv hint)
{
	struct canned_file     file = { path, NULL, { NULL, 0 } };
	struct canned_files    files = { .v = &file, .n = 1, .disk = true };
	struct world           w = canned_world(&files);
	struct diags           d = { .a = a };
	size_t                 at = 0, end = hint.n;
	unsigned               n, played = 0;
	const struct fact_def *facts = registry_facts(&n);
	struct policy_names    names;
	struct policy         *p;
	struct conf           *c;

	while (at < hint.n && !strv_starts(strv_from(hint, at), SV("test \"")))
		at++;
	while (end > at && !strv_starts(strv_from(hint, end), SV("expect ")))
		end--;
	file.text = arena_printf(
	    a, "%.*s\n%.*sexpect 250 }\n", (int)text.n, text.p, (int)(end - at), hint.p + at);
	c = conf_parse(a, &w, path, &d);
	names = names_of(a, c);
	p = policy_load(a, &w, c, facts, n, &names, &canned_key, &d);
	if (p != NULL && d.errors == 0)
		played = trial_run_all(settings_of(a, c, p, &names), world_real(2), &d, NULL, NULL);
	if (played != 1 || d.errors > 0)
		diag_print(&d, false, show, NULL);
	policy_free(p);
	return played == 1 && d.errors == 0;
}

/* What is found in one file: nothing, a warning or an error; -1: it does not load. */
static int
find(struct arena *a, const char *path, struct diags *d, bool *warns)
{
	struct canned_files    files = { .disk = true };
	struct world           w = canned_world(&files);
	struct conf           *c = conf_parse(a, &w, path, d);
	struct policy_names    names = names_of(a, c);
	unsigned               n;
	const struct fact_def *facts = registry_facts(&n);
	struct policy         *p = policy_load(a, &w, c, facts, n, &names, &canned_key, d);
	int                    found = 0;

	*warns = c->source != NULL && has(c->source->text, "# warns");
	if (p == NULL)
		return -1;
	policy_prove(p, a, d);
	for (unsigned i = 0; i < d->n; i++) {
		if (!is_about_relaying(&d->v[i]))
			continue;
		found = d->v[i].level == DIAG_ERROR ? 2 : found > 1 ? found : 1;
		if (!is_a_test(a, d->v[i].hint) ||
		    (!has(d->v[i].hint, "no test can say") &&
			!is_confirmed(a, path, c->source->text, d->v[i].hint))) {
			printf("%s: the hint is no test, or not what happens\n", path);
			found = -1;
		}
	}
	policy_free(p);
	return found;
}

static void
one(const char *path, bool relay)
{
	struct arena *a = arena_new(4096, 0);
	struct diags  d = { .a = a };
	bool          warns;
	int           found = find(a, path, &d, &warns), want;

	want = !relay ? 0 : warns ? 1 : 2;
	if (found == want) {
		passed++;
	} else {
		failed++;
		printf("FAIL %s: %s\n", path,
		    found < 0 ? "it does not load" :
			relay ? "the open relay is not found" :
				"it is no open relay");
		diag_print(&d, false, show, NULL);
	}
	arena_free(a);
}

static void
all(const char *pattern, bool relay)
{
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		one(g.gl_pathv[i], relay);
	globfree(&g);
}

/* ---- what is told ---- */

static void
keep(struct strv line, void *arg)
{
	struct buf *b = arg;

	buf_add(b, line);
	buf_addc(b, '\n');
}

static bool
tell(struct arena *a, const char *path, struct buf *out)
{
	struct canned_files    files = { .disk = true };
	struct world           w = canned_world(&files);
	struct diags           d = { .a = a };
	struct conf           *c = conf_parse(a, &w, path, &d);
	struct policy_names    names = names_of(a, c);
	unsigned               n;
	const struct fact_def *facts = registry_facts(&n);
	struct policy         *p = policy_load(a, &w, c, facts, n, &names, &canned_key, &d);

	if (p != NULL)
		policy_prove(p, a, &d);
	diag_print(&d, false, keep, out);
	if (p != NULL) {
		buf_add(out, SV("--- understood\n"));
		policy_explain(p, a, keep, out);
	}
	policy_free(p);
	return p != NULL;
}

static void
write_file(const char *path, struct strv text)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0)
		printf("cannot write %s\n", path);
}

static void
one_told(const char *path, bool update)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   name = strv_z(path), want;
	const char   *expected;
	struct buf    out;
	bool          ok;

	name.n -= 5;
	expected = arena_z(a, arena_concat(a, name, SV(".out")));
	buf_init(&out, 1 << 24);
	ok = tell(a, path, &out);
	if (update)
		write_file(expected, buf_view(&out));
	ok = ok && canned_read_disk(a, expected, 1 << 24, &want) == FILE_OK &&
	    strv_eq(want, buf_view(&out));
	passed += ok;
	failed += !ok;
	if (!ok)
		printf(
		    "FAIL %s: what came out:\n%.*s", path, (int)out.n, out.p == NULL ? "" : out.p);
	buf_fini(&out);
	arena_free(a);
}

static void
all_told(const char *pattern, bool update)
{
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		one_told(g.gl_pathv[i], update);
	globfree(&g);
}

int
main(int argc, char **argv)
{
	if (argc < 2 || chdir(argv[1]) != 0) {
		fprintf(stderr, "usage: prove FOLDER [-u]\n");
		return 2;
	}
	all("prove/relay/*.conf", true);
	all("prove/sound/*.conf", false);
	all_told("prove/told/*.conf", argc > 2 && strcmp(argv[2], "-u") == 0);
	printf("%u passed, %u failed, 0 skipped\n", passed, failed);
	return failed > 0 || passed == 0;
}
