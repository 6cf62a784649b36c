/*
 * settings_world.h -- a world of files for the tables of settings: loads a text as the main file.
 */
#ifndef TESTS_UNIT_SETTINGS_WORLD_H
#define TESTS_UNIT_SETTINGS_WORLD_H

#include "proxy/base/arena.h"
#include "proxy/settings.h"
#include "tests/unit/t.h"

#define MAIN_FILE "/etc/postern/postern.conf"

/* For mx.example.com, its own CA; from 2026-11-21 to 2126-10-28 22:19:55. */
static const char certificate[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBijCCAS+gAwIBAgIUfu0x9O9nQmO/jsMorThX8yJ14FcwCgYIKoZIzj0EAwIw\n"
    "GTEXMBUGA1UEAwwObXguZXhhbXBsZS5jb20wIBcNMjYxMTIxMjIxOTU1WhgPMjEy\n"
    "NjEwMjgyMjE5NTVaMBkxFzAVBgNVBAMMDm14LmV4YW1wbGUuY29tMFkwEwYHKoZI\n"
    "zj0CAQYIKoZIzj0DAQcDQgAENjTifuys+Fth8fAlORUZFGd0pFaIaPHHVB/GgsjI\n"
    "CCVELk+wJLfqyNHAy/E+x9onAoL2WCPCvk38HohKywHAJqNTMFEwHQYDVR0OBBYE\n"
    "FJOpV4xAWHMBuYcKK6jGvCDN7bkwMB8GA1UdIwQYMBaAFJOpV4xAWHMBuYcKK6jG\n"
    "vCDN7bkwMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAL/e36XG\n"
    "ALMjFEmf4PxXG1mKtpWlQFWVQAiDm3wgZwQwAiEA7ZKcHXMSeAJh/VJ5wSewvnwP\n"
    "chyl0mCb+BeMt1CY4N4=\n"
    "-----END CERTIFICATE-----\n";

static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
			  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgQkqeCuFOiEPhltP7\n"
			  "MhZOqHnptJr8rye5fPmXUpas7SuhRANCAAQ2NOJ+7Kz4W2Hx8CU5FRkUZ3SkVoho\n"
			  "8cdUH8aCyMgIJUQuT7Akt+rI0cDL8T7H2icCgvZYI8K+TfweiErLAcAm\n"
			  "-----END PRIVATE KEY-----\n";

static struct file {
	const char *path, *text;
} files[] = {
	{ MAIN_FILE, NULL },
	{ "/etc/postern/mx.crt", certificate },
	{ "/etc/postern/mx.key", key },
	{ "/etc/postern/ca.pem", certificate },
	{ "/etc/postern/empty.pem", "" },
	{ "/etc/postern/more/up.conf", "upstream 127.0.0.1:26 pool x\n" },
	{ "/etc/postern/more/spool.conf",
	    "spool \"here\" memory 1M\nlog file \"/var/log/p.log\"\n" },
};

/* ---- the world ---- */

static enum file_rc
read_file(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	(void)w;
	for (size_t i = 0; i < T_COUNT(files); i++)
		if (files[i].text != NULL && strcmp(files[i].path, path) == 0) {
			if (strlen(files[i].text) > max)
				return FILE_TOO_BIG;
			*out = arena_dup(a, strv_z(files[i].text));
			return FILE_OK;
		}
	return FILE_ABSENT;
}

static enum file_rc
glob_file(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	(void)w;
	*n = 0;
	*out = arena_array(a, 1, sizeof(**out));
	for (size_t i = 0; i < T_COUNT(files); i++)
		if (strcmp(files[i].path, pattern) == 0)
			(*out)[(*n)++] = arena_dup(a, strv_z(pattern));
	return FILE_OK;
}

static void
no_random(struct world *w, void *p, size_t n)
{
	(void)w;
	memset(p, 42, n);
}

#define ENDS 4948899595ull /* the certificate, in seconds since 1970 */

static uint64_t wall_us = 1800000000ull * 1000000; /* 2027-01-15 */

static uint64_t
wall(struct world *w)
{
	(void)w;
	return wall_us;
}

static struct world world = { .wall = wall, .random = no_random, .read_file = read_file, .glob = glob_file };

struct loaded {
	struct arena    *a;
	struct diags     d;
	struct settings *s;
};

static struct loaded
load(const char *text)
{
	struct loaded l = { .a = arena_new(4096, 0) };

	files[0].text = text;
	l.d.a = l.a;
	l.s = settings_load(l.a, &world, MAIN_FILE, &l.d);
	return l;
}

T_UNUSED static void
unload(struct loaded *l)
{
	settings_free(l->s);
	arena_free(l->a);
}

static void
show(struct strv line, void *arg)
{
	(void)arg;
	printf("    %.*s\n", (int)line.n, line.p);
}

T_UNUSED static bool
is_good(const struct loaded *l)
{
	if (T_EQ_NUM(l->d.errors, 0))
		return true;
	diag_print(&l->d, false, show, NULL);
	return false;
}

#define BASE "listen 127.0.0.1:25\nupstream 127.0.0.1:10025\nrelay { allow to { ours.example } }\n"

/* A diagnostic of that level at that place whose text holds `text`. */
T_UNUSED static bool
has_level(const struct diags *d, enum diag_level level, unsigned line, unsigned col, const char *text)
{
	for (unsigned i = 0; i < d->n; i++)
		if (d->v[i].level == level && d->v[i].pos.line == line && d->v[i].pos.col == col &&
		    memmem(d->v[i].text.p, d->v[i].text.n, text, strlen(text)) != NULL)
			return true;
	return false;
}

T_UNUSED static bool
has_diag(const struct diags *d, unsigned line, unsigned col, const char *text)
{
	return has_level(d, DIAG_ERROR, line, col, text);
}

T_UNUSED static unsigned
count_level(const struct diags *d, enum diag_level level)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->n; i++)
		n += d->v[i].level == level;
	return n;
}

/* One statement in its place of a text, and the one mistake (or warning) that it makes. */
struct mistake {
	const char *text;
	unsigned    col;
	const char *said;
};

/* `text` makes exactly one error, or one warning and no error, at line:col. */
T_UNUSED static void
makes_one(const char *text, enum diag_level level, unsigned line, const struct mistake *m)
{
	struct loaded l = load(text);

	if (!T_CHECKF(has_level(&l.d, level, line, m->col, m->said), "not said at %u:%u: %s", line,
		m->col, m->said) ||
	    !T_EQ_NUM(l.d.errors, level == DIAG_ERROR) ||
	    !T_EQ_NUM(count_level(&l.d, level), 1))
		diag_print(&l.d, false, show, NULL);
	unload(&l);
}

#endif
