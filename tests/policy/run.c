/*
 * run -- all policies below good/ and bad/ of a folder, each against what must come out.
 *
 * good/NAME.conf with NAME.out: no error; warnings, what policy_explain tells, and the canonical
 * text, which must parse to the same text again.  bad/NAME.conf with NAME.err: the diagnostics,
 * every octet. With -u as the second argument the expectations are written anew: read the
 * difference before you keep it.
 */
#include <unistd.h>

#include "config.h"
#include "filters/registry.h"
#include "policy/patterns.h"
#include "proxy/base/buf.h"
#include "tests/policy/canned.h"

static unsigned passed, failed, skipped;

static void
keep(struct strv line, void *arg)
{
	struct buf *b = arg;

	buf_add(b, line);
	buf_addc(b, '\n');
}

/* The canonical text of what was parsed of `text`. */
static void
print_again(struct strv text, struct buf *out, struct diags *d)
{
	struct canned_file  file = { "again.conf", NULL, text };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);

	conf_print(conf_parse(d->a, &w, "again.conf", d), d->a, keep, out);
}

static bool
round_trip(const struct conf *c, struct arena *a, struct buf *out)
{
	struct diags d = { .a = a };
	struct buf   one, two;
	bool         same;

	buf_init(&one, 1 << 24);
	buf_init(&two, 1 << 24);
	conf_print(c, a, keep, &one);
	print_again(buf_view(&one), &two, &d);
	same = d.errors == 0 && strv_eq(buf_view(&one), buf_view(&two));
	buf_add(out, buf_view(&one));
	if (!same) {
		buf_add(out, SV("--- printed again it differs:\n"));
		buf_add(out, buf_view(&two));
		diag_print(&d, false, keep, out);
	}
	buf_fini(&one);
	buf_fini(&two);
	return same;
}

/* The facts of this build, and of those types that no filter of it has the canned ones. */
static struct policy *
load(struct arena *a, struct world *w, const struct conf *c, struct diags *d)
{
	unsigned               n;
	const struct fact_def *facts = registry_facts(&n);
	struct fact_def       *all = arena_array(a, n + CANNED_N + 1, sizeof(*all));

	memcpy(all, facts, n * sizeof(*all));
	for (unsigned i = 0; i < CANNED_N; i++) {
		if (fact_find(all, n, strv_z(canned_facts[i].name)) < 0)
			all[n++] = canned_facts[i];
	}
	return policy_load(a, w, c, all, n, &canned_names, &canned_key, d);
}

/*
 * Everything that there is to say of one configuration, into out; whether it is as good or bad
 * as its folder.
 */
static bool
judge(const char *path, bool good, struct buf *out)
{
	struct arena       *a = arena_new(4096, 0);
	struct diags        d = { .a = a };
	struct canned_files files = { .disk = true };
	struct world        w = canned_world(&files);
	struct conf        *c = conf_parse(a, &w, path, &d);
	struct policy      *p = load(a, &w, c, &d);
	bool                ok = (d.errors == 0) == good && (p != NULL) == good;

	diag_print(&d, false, keep, out);
	if (p != NULL) {
		buf_add(out, SV("--- understood\n"));
		policy_explain(p, a, keep, out);
		buf_add(out, SV("--- canonical\n"));
		ok = round_trip(c, a, out) && ok;
	}
	policy_free(p);
	arena_free(a);
	return ok;
}

static void
write_file(const char *path, struct strv text)
{
	FILE *f = fopen(path, "wb");

	if (f == NULL || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0)
		printf("cannot write %s\n", path);
}

/* A block that only builds with libmilter have; or the file says itself what it needs. */
static bool
lacks_library(struct arena *a, const char *path)
{
	struct strv text = { NULL, 0 }, line;

	(void)canned_read_disk(a, path, 1 << 24, &text);
	while (text.p != NULL) {
		line = strv_cut(&text, '\n');
		if ((!HAVE_MILTER && strv_starts(line, SV("plugin "))) ||
		    (!HAVE_OPENDKIM && strv_eq(line, SV("# needs opendkim"))))
			return true;
	}
	return false;
}

static void
one(const char *path, bool good, bool update)
{
	struct arena *a = arena_new(4096, 0);
	struct strv   want, name = strv_z(path);
	const char   *expected;
	struct buf    out;
	bool          ok;

	/* What PCRE2 says is said with PCRE2 alone. */
	if ((!patterns_here() &&
		(strstr(path, "pattern") != NULL || strstr(path, "matches") != NULL)) ||
	    lacks_library(a, path)) {
		skipped++;
		arena_free(a);
		return;
	}
	name.n -= 5;
	expected = arena_z(a, arena_concat(a, name, good ? SV(".out") : SV(".err")));
	buf_init(&out, 1 << 24);
	ok = judge(path, good, &out);
	if (update)
		write_file(expected, buf_view(&out));
	if (canned_read_disk(a, expected, 1 << 24, &want) == FILE_OK && ok &&
	    strv_eq(want, buf_view(&out))) {
		passed++;
	} else {
		failed++;
		printf("FAIL %s: %s; what came out:\n%.*s", path,
		    ok       ? "not what is expected" :
			good ? "it is not good" :
			       "it is not bad",
		    (int)out.n, out.p == NULL ? "" : out.p);
	}
	buf_fini(&out);
	arena_free(a);
}

static void
all(const char *pattern, bool good, bool update)
{
	glob_t g;

	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		one(g.gl_pathv[i], good, update);
	globfree(&g);
}

int
main(int argc, char **argv)
{
	bool update = argc > 2 && strcmp(argv[2], "-u") == 0;

	if (argc < 2 || chdir(argv[1]) != 0) {
		fprintf(stderr, "usage: run FOLDER [-u]\n");
		return 2;
	}
	all("good/*.conf", true, update);
	all("bad/*.conf", false, update);
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed > 0 || passed == 0;
}
