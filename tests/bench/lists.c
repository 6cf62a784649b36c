/*
 * lists -- a list of a million networks or domains: how long it takes to load, what it keeps, how long a
 * look-up takes once it is warm.
 *
 *     make bench-lists        or  obj/tests/bench/lists networks|domains [MEMBERS]
 *
 * Files are made in $TMPDIR; nothing else is touched.  Look-ups are of names that are there and of such that
 * are not, half of each, in an order that no prefetcher knows.
 */
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "policy/load.h"
#include "tests/policy/canned.h"

#define LOOKS       2000000
#define NAME_OCTETS 48

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t
mix(uint32_t x)
{
	x = (x ^ x >> 16) * 0x45d9f3b;
	x = (x ^ x >> 16) * 0x45d9f3b;
	return x ^ x >> 16;
}

/* Member i of a list; i from 2^31 on are not in it. */
static int
name_of(char *out, uint32_t i)
{
	return snprintf(
	    out, NAME_OCTETS, "%shost%u.%x.example", i & 1 ? "" : ".", i, mix(i) & 0xffff);
}

static struct addr
addr_of(uint32_t i)
{
	uint32_t    v = mix(i) & 0xffffff00;
	struct addr a = { .family = ADDR_IP4 };

	a.b[0] = (uint8_t)(v >> 24);
	a.b[1] = (uint8_t)(v >> 16);
	a.b[2] = (uint8_t)(v >> 8);
	return a;
}

static void
write_list(const char *path, bool nets, uint32_t n)
{
	FILE *f = fopen(path, "wb");
	char  text[ADDR_TEXT + NAME_OCTETS];

	if (f == NULL)
		exit(2);
	for (uint32_t i = 0; i < n; i++) {
		struct addr a = addr_of(i);

		if (nets)
			fprintf(f, "%s/24\n", addr_print(&a, text).p);
		else
			fprintf(f, "%.*s\n", name_of(text, i), text);
	}
	fclose(f);
}

static struct policy *
load(const char *conf, struct arena *a, struct diags *d)
{
	struct canned_files files = { .disk = true };
	struct world        w = canned_world(&files);

	return canned_load(a, &w, conf_parse(a, &w, conf, d), d);
}

static unsigned
look_nets(const struct netset *s, uint32_t n)
{
	unsigned found = 0;

	for (uint32_t i = 0; i < LOOKS; i++) {
		struct addr a = addr_of(i & 1 ? mix(i) % n : mix(i) | 0x80000000);

		found += netset_has(s, &a);
	}
	return found;
}

static unsigned
look_names(const struct nameset *s, char (*name)[NAME_OCTETS], const int *len)
{
	unsigned found = 0;

	for (uint32_t i = 0; i < LOOKS; i++)
		found += nameset_has_domain(s, strv(name[i & 0xfffff], (size_t)len[i & 0xfffff]));
	return found;
}

static void
look(const struct list *x, uint32_t n)
{
	char(*name)[NAME_OCTETS] = malloc(sizeof(*name) << 20);
	int     *len = malloc(sizeof(*len) << 20);
	double   begin;
	unsigned found;

	for (uint32_t i = 0; i < 1u << 20; i++)
		len[i] = name_of(name[i], i & 1 ? mix(i) % n : mix(i) | 0x80000000);
	begin = seconds();
	found = x->nets != NULL ? look_nets(x->nets, n) : look_names(x->names, name, len);
	printf("  a look-up: %.0f ns (%u of %u found)\n", (seconds() - begin) / LOOKS * 1e9, found,
	    LOOKS);
	free(name);
	free(len);
}

static void
measure(const char *word, uint32_t n)
{
	const char    *tmp = getenv("TMPDIR") == NULL ? "/tmp" : getenv("TMPDIR");
	char           list[512], conf[512];
	struct arena  *a = arena_new(65536, 0);
	struct diags   d = { .a = a };
	struct rusage  before, after;
	struct policy *p;
	double         begin;
	FILE          *f;

	snprintf(list, sizeof(list), "%s/bench-lists-%d.list", tmp, (int)getpid());
	snprintf(conf, sizeof(conf), "%s/bench-lists-%d.conf", tmp, (int)getpid());
	write_list(list, word[0] == 'n', n);
	f = fopen(conf, "wb");
	if (f == NULL)
		exit(2);
	fprintf(f, "%s big file \"%s\"\n", word, list);
	fclose(f);
	getrusage(RUSAGE_SELF, &before);
	begin = seconds();
	p = load(conf, a, &d);
	getrusage(RUSAGE_SELF, &after);
	if (p == NULL)
		exit(1);
	printf("%s: %u of them\n  loading: %.2f s, at its most %ld MB more than before\n", word, n,
	    seconds() - begin, (after.ru_maxrss - before.ru_maxrss) / 1024);
	look(&p->list[0], n);
	policy_free(p);
	arena_free(a);
	unlink(list);
	unlink(conf);
}

int
main(int argc, char **argv)
{
	uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000000;

	if (argc < 2 || n == 0 ||
	    (strcmp(argv[1], "networks") != 0 && strcmp(argv[1], "domains") != 0)) {
		fprintf(stderr, "usage: lists networks|domains [MEMBERS]\n");
		return 2;
	}
	measure(argv[1], n);
	return 0;
}
