/*
 * spf -- may this client send for that domain?  RFC 7208.
 *
 * Two identities are checked: MAIL FROM (of <> it is postmaster@HELO) and HELO (RFC 7208 2.3, 2.4).  Every outcome is a
 * result that is known, temperror too; a fact here is unknown only where the check was cut off.  An explanation
 * is looked up when somebody asks for it, never before.
 */
#include "filters/auth.h"
#include "filters/filters.h"
#include "filters/registry.h"
#include "filters/spf_libspf2.h"
#include "proxy/base/arena.h"
#include "proxy/base/log.h"
#include "proxy/base/loop.h"
#include "proxy/mail/authres.h"

enum { SPF, SPF_HELO, SPF_DOMAIN, SPF_EXPLANATION, SPF_RESULT };

/* clang-format off */
static const char *const results[] = { "none", "neutral", "pass", "fail", "softfail", "temperror", "permerror", NULL };
static const struct fact_def facts[] = {
	{ .own = SPF, .name = "spf", .type = FACT_WORD, .first = STAGE_MAIL, .cost = COST_DNS,
	    .words = results,
	    .about = "what the record of the sender's domain says of the client (of <>: postmaster@HELO)" },
	{ .own = SPF_HELO, .name = "spf.helo", .type = FACT_WORD, .first = STAGE_MAIL, .cost = COST_DNS,
	    .words = results,
	    .about = "what the record of the HELO name says of the client" },
	{ .own = SPF_DOMAIN, .name = "spf.domain", .type = FACT_TEXT, .first = STAGE_MAIL, .cost = COST_MEMORY,
	    .about = "domain that spf is about" },
	{ .own = SPF_EXPLANATION, .name = "spf.explanation", .type = FACT_TEXT, .first = STAGE_MAIL, .cost = COST_DNS,
	    .about = "what that domain says of a fail, ASCII, at most 200 octets; absent: it says nothing" },
	{ .own = SPF_RESULT, .name = "spf.result", .inner = true, .type = FACT_TEXTS, .first = STAGE_MAIL, .cost = COST_DNS,
	    .about = "both as resinfo of Authentication-Results" },
	{ 0 }
};
/* clang-format on */

struct shared {
	const struct auth_conf *auth;
	const struct fact_def  *defs;
	unsigned                spf, helo; /* numbers of the facts */
	bool                    starts, starts_helo;
};

/* What was found, for the explanation. */
struct found {
	struct spf_said mail_from, helo;
};

struct seat {
	const struct shared *shared;
	struct found *found; /* of this transaction, in its arena; NULL: nothing was asked yet */
};

/* ---- taking part ---- */

/* May the policy ask for NAME, or a fact below it? */
static bool
asks(const struct filter_use *use, struct strv name)
{
	unsigned               n;
	const struct fact_def *defs = registry_facts(&n);

	for (unsigned i = 0; use->asked != NULL && i < n; i++) {
		struct strv fact = strv_z(defs[i].name);

		if (use->asked[i] && strv_starts(fact, name) &&
		    (fact.n == name.n || fact.p[name.n] == '.'))
			return true;
	}
	return false;
}

static void *
spf_make(struct arena *conf, const struct filter_use *use)
{
	unsigned       methods = use->auth->methods, n;
	bool           dmarc = (methods & AUTH_DMARC) || asks(use, SV("dmarc"));
	struct shared *s;

	if (!dmarc && !(methods & AUTH_SPF) && !asks(use, SV("spf")))
		return NULL;
	s = arena_alloc(conf, sizeof(*s));
	s->auth = use->auth;
	s->defs = registry_facts(&n);
	s->spf = registry_number("spf");
	s->helo = registry_number("spf.helo");
	/* A policy that asks by itself starts what it is sure to ask. */
	s->starts = dmarc || (methods & AUTH_SPF);
	s->starts_helo = methods & AUTH_SPF;
	return s;
}

static void *
spf_open(struct arena *a, void *shared, const struct client *c)
{
	struct seat *s = arena_alloc(a, sizeof(*s));

	(void)c;
	s->shared = shared;
	return s;
}

static void
spf_end(void *self)
{
	struct seat *s = self;

	s->found = NULL;
}

MAY_YIELD static enum filter_rc
spf_at(
    void *self, enum stage at, const struct mail *m, const struct view *v, struct findings *found)
{
	const struct shared *s = ((struct seat *)self)->shared;

	(void)at, (void)m, (void)v;
	if (s->starts)
		found->start(found, s->spf, strv(NULL, 0));
	if (s->starts_helo)
		found->start(found, s->helo, strv(NULL, 0));
	return FILTER_OK;
}

/* ---- one check ---- */

static bool
is_null(const struct mail *m)
{
	return m->env->from.kind == PATH_NULL;
}

static struct spf_identity
identity_of(const struct shared *s, const struct mail *m, bool helo)
{
	struct spf_identity id = {
		.ip = m->client->addr.addr, .helo = m->client->helo, .receiver = s->auth->id
	};

	if (helo)
		id.domain = m->client->helo;
	else {
		id.local = m->env->from.local;
		id.domain = m->env->from.domain;
	}
	return id;
}

static void
begin_log(struct log_line *line, const char *what, const struct mail *m,
    const struct spf_identity *id, const struct spf_said *said)
{
	char text[ADDR_TEXT];

	log_begin(line, loop_world(fiber_loop()), strv_z(m->id), what);
	log_strv(line, "client", addr_print(&id->ip, text));
	log_strv(line, "domain", id->domain);
	log_z(line, "spf", spf_says_name(said->says));
	log_strv(line, "by", said->by);
}

static void
log_difference(const struct mail *m, const struct spf_identity *id, const struct spf_said *said,
    const struct spf_said *other)
{
	struct log_line line;

	begin_log(&line, "spf-differs", m, id, said);
	log_z(&line, "cross-check", spf_says_name(other->says));
	log_strv(&line, "cross-by", other->by);
	log_end(&line);
}

/* What is broken there, or cannot be had: the policy sees a word, the operator the reason. */
static void
log_error(const struct mail *m, const struct spf_identity *id, const struct spf_said *said)
{
	struct log_line line;

	if (said->says != SPF_SAYS_PERMERROR && said->says != SPF_SAYS_TEMPERROR)
		return;
	begin_log(&line, "spf-error", m, id, said);
	log_end(&line);
}

/* What libspf2 cannot be asked our own engine says.  False: cancelled. */
MAY_YIELD static bool
ask_engine(
    enum spf_engine engine, struct arena *a, const struct spf_identity *id, struct spf_said *out)
{
	enum spf_second rc = SPF_SECOND_NOT;

	if (engine == SPF_LIBSPF2)
		rc = spf_libspf2_check(a, id, out);
	return rc == SPF_SECOND_NOT ? spf_check(a, id, out) : rc == SPF_SECOND_SAID;
}

/* The other engine is asked for the log alone. A fault of the DNS may have met one of them only. */
MAY_YIELD static bool
cross_check(const struct shared *s, struct fact *f, const struct mail *m,
    const struct spf_identity *id, const struct spf_said *said)
{
	struct spf_said other;

	if (s->auth->cross == SPF_NONE || s->auth->cross == s->auth->engine)
		return true;
	if (!ask_engine(s->auth->cross, f->a, id, &other))
		return false;
	if (other.says == said->says || other.says == SPF_SAYS_TEMPERROR ||
	    said->says == SPF_SAYS_TEMPERROR)
		return true;
	f->source = arena_printf(f->a, "%.*s; cross-check: %s, %.*s", (int)f->source.n, f->source.p,
	    spf_says_name(other.says), (int)other.by.n, other.by.p);
	log_difference(m, id, said, &other);
	return true;
}

/* Where what is found of this transaction lies. */
static struct spf_said *
found_of(struct seat *s, struct arena *a, bool helo)
{
	if (s->found == NULL)
		s->found = arena_alloc(a, sizeof(*s->found));
	return helo ? &s->found->helo : &s->found->mail_from;
}

MAY_YIELD static enum filter_rc
ask_identity(struct seat *s, struct fact *f, const struct mail *m, bool helo)
{
	struct spf_identity id = identity_of(s->shared, m, helo);
	struct spf_said     said;

	if (!ask_engine(s->shared->auth->engine, f->a, &id, &said))
		return FILTER_CANCELLED;
	f->v.word = said.says;
	f->source = said.by;
	*found_of(s, f->a, helo) = said;
	log_error(m, &id, &said);
	return cross_check(s->shared, f, m, &id, &said) ? FILTER_OK : FILTER_CANCELLED;
}

/* ---- facts that build on others ---- */

MAY_YIELD static enum filter_rc
get(const struct shared *s, const struct mail *m, unsigned number, struct fact **out)
{
	if (fact_get(m->facts, s->defs, number, 0, strv(NULL, 0), out) == WAIT_CANCELLED)
		return FILTER_CANCELLED;
	return (*out)->state == FACT_KNOWN ? FILTER_OK : FILTER_TEMP;
}

/* Of <> it is the same question, asked once. */
MAY_YIELD static enum filter_rc
ask_spf(struct seat *s, struct fact *f, const struct mail *m)
{
	struct fact   *helo;
	enum filter_rc rc;

	if (!is_null(m))
		return ask_identity(s, f, m, false);
	rc = get(s->shared, m, s->shared->helo, &helo);
	if (rc == FILTER_OK) {
		f->v.word = helo->v.word;
		f->source = helo->source;
	}
	return rc;
}

static enum filter_rc
ask_domain(struct fact *f, const struct mail *m)
{
	struct strv domain = is_null(m) ? m->client->helo : m->env->from.domain;

	f->v.text = strv(NULL, 0);
	f->source = is_null(m) ? SV("HELO") : SV("MAIL FROM");
	(void)spf_domain(f->a, domain, &f->v.text);
	return FILTER_OK;
}

MAY_YIELD static enum filter_rc
ask_explanation(struct seat *s, struct fact *f, const struct mail *m)
{
	struct spf_identity id = identity_of(s->shared, m, is_null(m));
	struct fact        *spf;
	struct spf_said     said;
	enum filter_rc      rc = get(s->shared, m, s->shared->spf, &spf);

	f->v.text = strv(NULL, 0);
	if (rc != FILTER_OK)
		return rc;
	f->source = SV("spf is not fail");
	if (spf->v.word != SPF_SAYS_FAIL)
		return FILTER_OK;
	said = *found_of(s, f->a, is_null(m));
	/* libspf2 is shown no exp=, so that what there is our own engine finds. */
	if (s->shared->auth->engine == SPF_LIBSPF2 && said.exp.p == NULL &&
	    !spf_check(f->a, &id, &said))
		return FILTER_CANCELLED;
	if (!spf_explain(f->a, &id, &said, &f->v.text))
		return FILTER_CANCELLED;
	f->source = said.exp.p == NULL ? SV("the record has no exp=") :
					 arena_printf(f->a, "exp=%.*s of %.*s", (int)said.exp.n,
					     said.exp.p, (int)said.exp_domain.n, said.exp_domain.p);
	return FILTER_OK;
}

/* RFC 8601 2.7.2: the property is the identity that was looked at (2.3). */
static struct strv
resinfo(struct arena *a, const struct fact *f, const char *property, struct strv value)
{
	value = authres_value(a, value);
	return arena_printf(
	    a, "spf=%s smtp.%s=%.*s", results[f->v.word], property, (int)value.n, value.p);
}

/* Without HELO there is nothing to tell of it; of neither identity that is absent, hence "spf=none" (RFC 7208 2.6.1). */
MAY_YIELD static enum filter_rc
ask_result(struct seat *s, struct fact *f, const struct mail *m)
{
	struct strv   *v = arena_array(f->a, 2, sizeof(*v));
	unsigned       n = 0;
	struct fact   *one;
	enum filter_rc rc = FILTER_OK;

	f->source = SV("spf, spf.helo");
	f->v.texts.v = v;
	f->v.texts.n = 0;
	if (!is_null(m)) {
		rc = get(s->shared, m, s->shared->spf, &one);
		if (rc == FILTER_OK)
			v[n++] = resinfo(f->a, one, "mailfrom", path_text(&m->env->from));
	}
	if (rc == FILTER_OK && m->client->helo.n > 0) {
		rc = get(s->shared, m, s->shared->helo, &one);
		if (rc == FILTER_OK)
			v[n++] = resinfo(f->a, one, "helo", m->client->helo);
	}
	f->v.texts.n = n;
	return rc;
}

MAY_YIELD static enum filter_rc
spf_ask(void *self, struct fact *f, const struct mail *m)
{
	struct seat   *s = self;
	enum filter_rc rc = FILTER_BUG;

	if (m->env == NULL)
		return FILTER_BUG;
	switch (f->def->own) {
	case SPF:
		rc = ask_spf(s, f, m);
		break;
	case SPF_HELO:
		rc = ask_identity(s, f, m, true);
		break;
	case SPF_DOMAIN:
		rc = ask_domain(f, m);
		break;
	case SPF_EXPLANATION:
		rc = ask_explanation(s, f, m);
		break;
	case SPF_RESULT:
		rc = ask_result(s, f, m);
		break;
	default:
		break;
	}
	if (rc == FILTER_OK)
		f->state = FACT_KNOWN;
	return rc;
}

const struct filter spf_filter = {
	.name = "spf",
	.facts = facts,
	.stages = AT(MAIL),
	.make = spf_make,
	.open = spf_open,
	.end = spf_end,
	.at = spf_at,
	.ask = spf_ask,
};
