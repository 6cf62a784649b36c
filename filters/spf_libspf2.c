/*
 * spf_libspf2 -- see spf_libspf2.h
 *
 * What the library of Debian 12 does by itself is not fit for strangers: an include starts its count of look-ups anew,
 * an exp= can smash its stack, a missing answer makes it abort.  So it sees records of ours alone, printed anew from
 * the terms that our parser took, without modifiers but redirect; and every question comes through `look_up' here and
 * the guard (spf_guard.c), which counts, and ends a check by answering nothing more.  The invariant: whatever the
 * library then concludes, what the guard said stands above it.
 */
#include "config.h"
#include "filters/spf_libspf2.h"

#if HAVE_SPF2

/* clang-format off */
#include <assert.h>
#include <netinet/in.h>
#include <spf2/spf.h>
/* clang-format on */

#include "filters/spf_guard.h"
#include "proxy/base/arena.h"

enum { PART_MAX = 255 }; /* octets of a local part or a HELO */

bool
spf_libspf2_here(void)
{
	return true;
}

/* ---- answers; the library frees them ---- */

static SPF_dns_rr_t *
answer(SPF_dns_server_t *dns, const char *domain, ns_type type, SPF_dns_stat_t what)
{
	SPF_dns_rr_t *rr = SPF_dns_rr_new_init(dns, domain, type, 0, what);

	assert(rr != NULL); /* there is no memory left */
	return rr;
}

static void
add_octets(SPF_dns_rr_t *rr, const void *p, size_t n)
{
	int           i = rr->num_rr;
	SPF_errcode_t rc = SPF_dns_rr_buf_realloc(rr, i, n + 1);

	assert(rc == SPF_E_SUCCESS);
	(void)rc;
	memcpy(rr->rr[i], p, n);
	((char *)rr->rr[i])[n] = '\0';
	rr->num_rr = i + 1;
}

static void
add_record(SPF_dns_rr_t *rr, const struct dns_record *r)
{
	if (r->addr.family == ADDR_IP4)
		add_octets(rr, r->addr.b, 4);
	else if (r->addr.family == ADDR_IP6)
		add_octets(rr, r->addr.b, 16);
	else
		add_octets(rr, r->text.p, r->text.n);
}

static SPF_dns_stat_t
meaning(enum dns_rc rc)
{
	switch (rc) {
	case DNS_OK:
		return NETDB_SUCCESS;
	case DNS_NXDOMAIN:
		return HOST_NOT_FOUND;
	case DNS_NODATA:
		return NO_DATA;
	case DNS_CANCELLED:
	case DNS_TEMP:
	case DNS_BAD:
		break;
	}
	return TRY_AGAIN;
}

/* Parks.  Never NULL. */
MAY_YIELD static SPF_dns_rr_t *
look_up(SPF_dns_server_t *dns, const char *domain, ns_type type, int should_cache)
{
	struct arena     *a = arena_new(1024, 0);
	struct dns_answer found = { 0 };
	enum dns_rc       rc = spf_guard_ask(dns->hook, a, strv_z(domain), (uint16_t)type, &found);
	SPF_dns_rr_t     *rr = answer(dns, domain, type, meaning(rc));

	(void)should_cache;
	for (unsigned i = 0; rc == DNS_OK && i < found.n; i++)
		add_record(rr, &found.v[i]);
	arena_free(a);
	if (rr->num_rr == 0 && rr->herrno == NETDB_SUCCESS)
		rr->herrno = NO_DATA;
	return rr;
}

/* ---- a check ---- */

/* RFC 8616 4 is not for a library that knows 8 bits as negative numbers. */
static bool
is_plain(struct strv v)
{
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < ' ' || v.p[i] >= 0x7f)
			return false;
	return v.n <= PART_MAX;
}

static void
quiet(const char *file, int line, const char *message)
{
	(void)file, (void)line, (void)message;
}

/* An INVALID result is what a query that failed leaves behind; its return code says why. */
static enum spf_says
says_of(SPF_errcode_t rc, SPF_response_t *response)
{
	static const enum spf_says says[] = { [SPF_RESULT_NEUTRAL] = SPF_SAYS_NEUTRAL,
		[SPF_RESULT_PASS] = SPF_SAYS_PASS,
		[SPF_RESULT_FAIL] = SPF_SAYS_FAIL,
		[SPF_RESULT_SOFTFAIL] = SPF_SAYS_SOFTFAIL,
		[SPF_RESULT_NONE] = SPF_SAYS_NONE,
		[SPF_RESULT_TEMPERROR] = SPF_SAYS_TEMPERROR,
		[SPF_RESULT_PERMERROR] = SPF_SAYS_PERMERROR };
	SPF_result_t result = response != NULL ? SPF_response_result(response) : SPF_RESULT_INVALID;

	if (result > SPF_RESULT_INVALID && result <= SPF_RESULT_PERMERROR)
		return says[result];
	if (rc == SPF_E_NOT_SPF)
		return SPF_SAYS_NONE;
	return rc == SPF_E_DNS_ERROR || rc == SPF_E_NO_MEMORY ? SPF_SAYS_TEMPERROR :
								SPF_SAYS_PERMERROR;
}

static bool
set_request(SPF_request_t *q, struct arena *a, const struct spf_identity *id, struct strv domain)
{
	struct in_addr  four;
	struct in6_addr six;
	struct strv     local = id->local.n > 0 ? id->local : SV("postmaster");
	struct strv     from = arena_concat(a, arena_concat(a, local, SV("@")), domain);
	bool            set;

	memcpy(&four, id->ip.b, sizeof(four));
	memcpy(&six, id->ip.b, sizeof(six));
	set = id->ip.family == ADDR_IP4 ? SPF_request_set_ipv4(q, four) == SPF_E_SUCCESS :
					  SPF_request_set_ipv6(q, six) == SPF_E_SUCCESS;
	return set &&
	    SPF_request_set_helo_dom(q, arena_z(a, id->helo.n > 0 ? id->helo : domain)) ==
	    SPF_E_SUCCESS &&
	    SPF_request_set_env_from(q, arena_z(a, from)) == 0;
}

/* Its default explanation has macros in it; ours has none. */
MAY_YIELD static void
query(
    struct spf_guard *g, SPF_dns_server_t *dns, const struct spf_identity *id, struct spf_said *out)
{
	SPF_server_t   *server = SPF_server_new_dns(dns, 0);
	SPF_request_t  *q = server != NULL ? SPF_request_new(server) : NULL;
	SPF_response_t *response = NULL, *set = NULL;
	SPF_errcode_t   rc = SPF_E_NO_MEMORY;

	if (q != NULL && SPF_server_set_explanation(server, "refused", &set) == SPF_E_SUCCESS &&
	    set_request(q, g->a, id, out->domain))
		rc = SPF_request_query_mailfrom(q, &response);
	out->says = says_of(rc, response);
	out->by = arena_printf(g->a, "libspf2: %s",
	    rc == SPF_E_SUCCESS && response != NULL ? SPF_strreason(SPF_response_reason(response)) :
						      SPF_strerror(rc));
	if (set != NULL)
		SPF_response_free(set);
	if (response != NULL)
		SPF_response_free(response);
	if (q != NULL)
		SPF_request_free(q);
	if (server != NULL)
		SPF_server_free(server);
}

static bool
can_ask(struct arena *a, const struct spf_identity *id, struct strv *domain)
{
	bool ip = id->ip.family == ADDR_IP4 || id->ip.family == ADDR_IP6;

	/* Loopback always passes there. */
	return ip && !addr_is_loopback(&id->ip) && is_plain(id->local) && is_plain(id->helo) &&
	    spf_domain(a, id->domain, domain);
}

enum spf_second
spf_libspf2_check(struct arena *a, const struct spf_identity *id, struct spf_said *out)
{
	struct spf_guard g;
	SPF_dns_server_t dns = { .lookup = look_up, .name = "postern", .hook = &g };
	struct strv      domain;

	*out = (struct spf_said){ 0 };
	if (!can_ask(a, id, &domain))
		return SPF_SECOND_NOT;
	out->domain = domain;
	/* They would write to stderr. */
	SPF_warning_handler = SPF_info_handler = SPF_debug_handler = quiet;
	spf_guard_begin(&g);
	query(&g, &dns, id, out);
	/* It had a record and could not read it (it refuses /0): that is no result. */
	if (out->says == SPF_SAYS_NONE && g.shown > 0)
		g.declined = true;
	if (g.settled) {
		out->says = g.says;
		out->by = arena_printf(g.a, "libspf2, guarded: %s", g.why);
	}
	out->by = arena_dup(a, out->by);
	out->terms = g.terms;
	out->voids = g.voids;
	out->questions = g.questions;
	spf_guard_end(&g);
	if (g.cancelled)
		return SPF_SECOND_CANCELLED;
	return g.declined ? SPF_SECOND_NOT : SPF_SECOND_SAID;
}

#else

bool
spf_libspf2_here(void)
{
	return false;
}

enum spf_second
spf_libspf2_check(struct arena *a, const struct spf_identity *id, struct spf_said *out)
{
	(void)a, (void)id, (void)out;
	return SPF_SECOND_NOT;
}

#endif
