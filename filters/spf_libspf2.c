/*
 * spf_libspf2 -- see spf_libspf2.h
 *
 * What the library of Debian 12 does by itself is not fit for strangers: an include starts its count of look-ups anew,
 * an exp= can smash its stack, a missing answer makes it abort.  So it sees records of ours alone, printed anew from
 * the terms that our parser took, without modifiers but redirect; and every question comes through `look_up' here,
 * which counts, and ends a check by answering nothing more.  The invariant: whatever the library then concludes, what
 * the guard said stands above it.
 */
#include "config.h"
#include "filters/spf_libspf2.h"

#if HAVE_SPF2

/* clang-format off */
#include <assert.h>
#include <netinet/in.h>
#include <spf2/spf.h>
/* clang-format on */

#include "filters/spf_macro.h"
#include "proxy/base/arena.h"
#include "proxy/base/dns.h"
#include "proxy/base/loop.h"

enum {
	RECORD_MAX = 2000, /* octets of a record; longer ones it is not shown */
	PART_MAX = 255,    /* of a local part or a HELO */
	QUESTIONS_MAX = 1 + SPF_TERMS * (1 + SPF_NAMES) + 1 + SPF_NAMES,
	TYPE_SPF = 99
};

struct run {
	struct arena *a, *names; /* names: where those of the latest MX or PTR lie */
	uint64_t      until;
	unsigned      records, shown, terms, voids, questions;
	struct strv   name[SPF_NAMES]; /* of the latest MX or PTR: their addresses are no terms */
	unsigned      n_names;
	bool          cancelled, declined; /* declined: not a check for the library */
	bool          settled;             /* `says' and `why' stand above the library's */
	enum spf_says says;
	const char   *why;
};

bool
spf_libspf2_here(void)
{
	return true;
}

/* From here on no question of this check is asked. */
static void
settle(struct run *r, enum spf_says says, const char *why)
{
	if (r->settled)
		return;
	r->settled = true;
	r->says = says;
	r->why = why;
}

static bool
is_over(const struct run *r)
{
	return r->settled || r->cancelled || r->declined;
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

/* ---- the guard ---- */

/* A record that our parser takes, its mechanisms and redirect printed anew. Absent: it ends the check. */
static struct strv
print_record(struct run *r, struct strv text)
{
	struct spf_record record;
	struct spf_term   t;
	struct strv       at, out = SV("v=spf1");
	const char       *why;

	if (!spf_record_parse(text, &record, &why, &at)) {
		settle(r, SPF_SAYS_PERMERROR, why);
		return strv(NULL, 0);
	}
	if (text.n > RECORD_MAX) {
		r->declined = true;
		return strv(NULL, 0);
	}
	while (spf_term_next(&record.terms, &t)) {
		if (t.kind == SPF_TERM_EXP || t.kind == SPF_TERM_OTHER)
			continue;
		out = arena_concat(r->a, arena_concat(r->a, out, SV(" ")), t.text);
	}
	return out;
}

static void
add_spf_records(struct run *r, SPF_dns_rr_t *rr, const struct dns_answer *txt)
{
	for (unsigned i = 0; i < txt->n && !is_over(r); i++) {
		struct strv text;

		if (!spf_is_record(txt->v[i].text))
			continue;
		text = print_record(r, txt->v[i].text);
		if (text.p == NULL)
			return;
		add_octets(rr, text.p, text.n);
		r->shown++;
	}
}

/* Is it the address of an MX, or of a name of the client?  Such a question belongs to a term that was counted. */
static bool
is_part(const struct run *r, struct strv name, ns_type type)
{
	for (unsigned i = 0; (type == ns_t_a || type == ns_t_aaaa) && i < r->n_names; i++)
		if (strv_ieq(r->name[i], name))
			return true;
	return false;
}

/* The first TXT is the domain's own. */
static bool
is_term(const struct run *r, struct strv name, ns_type type)
{
	return type == ns_t_txt ? r->records > 0 : !is_part(r, name, type);
}

static void
keep_names(struct run *r, const struct dns_answer *found)
{
	arena_reset(r->names);
	r->n_names = 0;
	for (unsigned i = 0; i < found->n && i < SPF_NAMES; i++)
		r->name[r->n_names++] = arena_dup(r->names, found->v[i].text);
}

static bool
may_ask(struct run *r, bool term)
{
	if (is_over(r))
		return false;
	if (loop_now(fiber_loop()) >= r->until)
		settle(r, SPF_SAYS_TEMPERROR, "time is over");
	else if (term && r->terms++ == SPF_TERMS)
		settle(r, SPF_SAYS_PERMERROR, "more than 10 terms that look up");
	else if (r->questions++ == QUESTIONS_MAX)
		settle(r, SPF_SAYS_PERMERROR, "more questions than 10 terms can have");
	return !r->settled;
}

static SPF_dns_stat_t
meaning(struct run *r, enum dns_rc rc, bool counts)
{
	switch (rc) {
	case DNS_OK:
		return NETDB_SUCCESS;
	case DNS_NXDOMAIN:
	case DNS_NODATA:
		if (counts && r->voids++ == SPF_VOIDS)
			settle(r, SPF_SAYS_PERMERROR, "more than 2 look-ups that find nothing");
		return rc == DNS_NXDOMAIN ? HOST_NOT_FOUND : NO_DATA;
	case DNS_CANCELLED:
		r->cancelled = true;
		return TRY_AGAIN;
	case DNS_TEMP:
	case DNS_BAD:
		break;
	}
	return TRY_AGAIN;
}

MAY_YIELD static enum dns_rc
ask(struct run *r, struct arena *a, struct strv name, ns_type type, struct dns_answer *out)
{
	uint64_t left = r->until - loop_now(fiber_loop());

	return dns_ask(
	    a, spf_name_escape(a, name), (uint16_t)type, left < DNS_TIME ? (unsigned)left : 0, out);
}

static void
take(struct run *r, SPF_dns_rr_t *rr, ns_type type, const struct dns_answer *found)
{
	bool     names = type == ns_t_mx || type == ns_t_ptr;
	unsigned n = names && found->n > SPF_NAMES ? SPF_NAMES : found->n;

	if (names)
		keep_names(r, found);
	if (type == ns_t_mx && found->n > SPF_NAMES)
		settle(r, SPF_SAYS_PERMERROR, "more than 10 names of an mx");
	if (type == ns_t_txt)
		add_spf_records(r, rr, found);
	for (unsigned i = 0; type != ns_t_txt && i < n; i++)
		add_record(rr, &found->v[i]);
}

/* Parks.  Never NULL. */
MAY_YIELD static SPF_dns_rr_t *
look_up(SPF_dns_server_t *dns, const char *domain, ns_type type, int should_cache)
{
	struct run       *r = dns->hook;
	struct strv       name = strv_z(domain);
	struct dns_answer found = { 0 };
	struct arena     *a;
	SPF_dns_rr_t     *rr;
	SPF_dns_stat_t    what;
	bool              term;

	(void)should_cache;
	/* RFC 7208 3.1: there is no such type any more. */
	if ((int)type == TYPE_SPF)
		return answer(dns, domain, type, is_over(r) ? HOST_NOT_FOUND : NO_DATA);
	term = is_term(r, name, type);
	if (!may_ask(r, term))
		return answer(dns, domain, type, HOST_NOT_FOUND);
	r->records += type == ns_t_txt;
	a = arena_new(1024, 0);
	what = meaning(r, ask(r, a, name, type, &found), term && type != ns_t_txt);
	rr = answer(dns, domain, type, what);
	if (what == NETDB_SUCCESS)
		take(r, rr, type, &found);
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
query(struct run *r, SPF_dns_server_t *dns, const struct spf_identity *id, struct spf_said *out)
{
	SPF_server_t   *server = SPF_server_new_dns(dns, 0);
	SPF_request_t  *q = server != NULL ? SPF_request_new(server) : NULL;
	SPF_response_t *response = NULL, *set = NULL;
	SPF_errcode_t   rc = SPF_E_NO_MEMORY;

	if (q != NULL && SPF_server_set_explanation(server, "refused", &set) == SPF_E_SUCCESS &&
	    set_request(q, r->a, id, out->domain))
		rc = SPF_request_query_mailfrom(q, &response);
	out->says = says_of(rc, response);
	out->by = arena_printf(r->a, "libspf2: %s",
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

static void
begin(struct run *r)
{
	uint64_t deadline = fiber_self()->deadline;

	/* They would write to stderr. */
	SPF_warning_handler = SPF_info_handler = SPF_debug_handler = quiet;
	r->a = arena_new(4096, 0);
	r->names = arena_new(1024, 0);
	r->until = loop_now(fiber_loop()) + SPF_TIME;
	if (deadline != 0 && deadline < r->until)
		r->until = deadline;
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
	struct run       r = { 0 };
	SPF_dns_server_t dns = { .lookup = look_up, .name = "postern", .hook = &r };
	struct strv      domain;

	*out = (struct spf_said){ 0 };
	if (!can_ask(a, id, &domain))
		return SPF_SECOND_NOT;
	out->domain = domain;
	begin(&r);
	query(&r, &dns, id, out);
	/* It had a record and could not read it (it refuses /0): that is no result. */
	if (out->says == SPF_SAYS_NONE && r.shown > 0)
		r.declined = true;
	if (r.settled) {
		out->says = r.says;
		out->by = arena_printf(r.a, "libspf2, guarded: %s", r.why);
	}
	out->by = arena_dup(a, out->by);
	out->terms = r.terms;
	out->voids = r.voids;
	out->questions = r.questions;
	arena_free(r.names);
	arena_free(r.a);
	if (r.cancelled)
		return SPF_SECOND_CANCELLED;
	return r.declined ? SPF_SECOND_NOT : SPF_SECOND_SAID;
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
