/*
 * trial_world -- what a `test` block plays in: no network, no disk, no log, and the same numbers every time.
 *
 * What is not stated in the DNS does not exist, but for the test points of RFC 5782 5: a list that had none
 * would be set aside as dead, and every test of it would have to state them.
 */
#include "proxy/trial_world.h"

#include "proxy/base/arena.h"
#include "proxy/base/loop.h"

static struct trial_world *
trial(struct world *w)
{
	return w->ctx;
}

static uint64_t
trial_now(struct world *w)
{
	return trial(w)->now;
}

static uint64_t
trial_wall(struct world *w)
{
	return trial(w)->wall + trial(w)->now * 1000;
}

/* xorshift64: Marsaglia, 2003. */
static void
trial_random(struct world *w, void *p, size_t n)
{
	unsigned char *b = p;

	for (size_t i = 0; i < n; i++) {
		uint64_t x = trial(w)->seed;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		trial(w)->seed = x;
		b[i] = (unsigned char)(x >> 32);
	}
}

static int
no_connect(struct world *w, const struct endpoint *to, const char **why)
{
	(void)w;
	(void)to;
	*why = "a test has no network";
	return -1;
}

static int
no_spool(struct world *w, const char *dir)
{
	(void)w;
	(void)dir;
	return -1;
}

static void
no_log(struct world *w, struct strv line)
{
	(void)w;
	(void)line;
}

static enum file_rc
no_file(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	(void)w;
	(void)a;
	(void)path;
	(void)max;
	*out = strv("", 0);
	return FILE_ABSENT;
}

static enum file_rc
no_glob(struct world *w, struct arena *a, const char *pattern, struct strv **out, unsigned *n)
{
	(void)w;
	(void)a;
	(void)pattern;
	*out = NULL;
	*n = 0;
	return FILE_ABSENT;
}

static int
no_create(struct world *w, const char *path, enum file_rc *rc)
{
	(void)w;
	(void)path;
	*rc = FILE_DENIED;
	return -1;
}

static enum file_rc
no_dir(struct world *w, const char *path)
{
	(void)w;
	(void)path;
	return FILE_DENIED;
}

static enum file_rc
no_commit(struct world *w, int fd, const char *from, const char *to)
{
	(void)w;
	(void)fd;
	(void)from;
	(void)to;
	return FILE_DENIED;
}

static void
no_unlink(struct world *w, const char *path)
{
	(void)w;
	(void)path;
}

static void
trial_work(struct world *w, void (*fn)(void *arg), void (*done)(void *arg), void *arg)
{
	fn(arg);
	loop_defer(trial(w)->loop, done, arg);
}

/* ---- the DNS ---- */

/* RFC 5782 5: 127.0.0.2, ::FFFF:7F00:2 and TEST are listed in every list that works. */
static bool
is_test_point(const struct trial_world *t, struct strv name)
{
	struct strv six = SV("2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.");

	if (strv_istarts(name, SV("2.0.0.127.")))
		return !strv_iends(name, SV(".in-addr.arpa"));
	if (strv_istarts(name, six))
		return !strv_iends(name, SV(".ip6.arpa"));
	if (!strv_istarts(name, SV("test.")))
		return false;
	for (unsigned i = 0; i < t->n_zone; i++) {
		if (strv_ieq(strv_from(name, 5), t->zone[i]))
			return true;
	}
	return false;
}

static struct strv
listed(struct trial_world *t, const char *name)
{
	struct dns_record r = { .addr = { ADDR_IP4, { 127, 0, 0, 2 } } };
	struct dns_answer one = { &r, 1, 3600 };

	return dns_pack(t->a, name, DNS_A, DNS_OK, &one);
}

static void
trial_dns(struct world *w, struct dns_query *q)
{
	struct trial_world *t = trial(w);
	bool                timeout = false;
	struct strv         packet = dns_table_answer(t->dns, t->a, q->name, q->type, &timeout);
	struct dns_answer   none;

	/* Whose budget runs out cancels it. */
	if (timeout)
		return;
	if (q->type == DNS_A && is_test_point(t, strv_z(q->name)) &&
	    dns_unpack(t->a, packet, q->name, q->type, &none) == DNS_NXDOMAIN)
		packet = listed(t, q->name);
	q->done(q, DNS_OK, packet);
}

static void
trial_dns_cancel(struct world *w, struct dns_query *q)
{
	(void)w;
	(void)q;
}

void
trial_world_init(struct trial_world *t, struct arena *a)
{
	*t = (struct trial_world){
		.w = { trial_now, trial_wall, trial_random, no_connect, no_spool, no_log, no_file,
		    no_glob, no_create, no_dir, no_commit, no_unlink, trial_work, trial_dns,
		    trial_dns_cancel, NULL, t, NULL, NULL },
		.a = a,
		.dns = dns_table_new(a),
		.now = 1000,
		.wall = TRIAL_WALL * 1000000ull - 1000000,
		.seed = 0x9e3779b97f4a7c15u,
	};
}
