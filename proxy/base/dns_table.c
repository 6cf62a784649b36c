/*
 * dns_table.c -- a made-up DNS that answers as a resolver would: aliases followed, wildcards (RFC 4592), names
 * that hold nothing but have names below them (RFC 8020).
 *
 * A list in the order of what was stated; it is for tests, with some dozens of lines.
 */
#include "proxy/base/dns_table.h"

#include "proxy/base/arena.h"
#include "proxy/base/dns_wire.h"

enum {
	TTL = 300,
	TEXT_MAX = 60000 /* of a TXT: it must fit into a packet with its lengths */
};

enum kind { KIND_RECORD, KIND_SERVFAIL, KIND_TIMEOUT };

struct entry {
	struct strv       name;
	enum kind         kind;
	uint16_t          type;
	struct dns_record record;
	struct entry     *next;
};

struct dns_table {
	struct arena *a;
	struct entry *first, **last;
};

struct dns_table *
dns_table_new(struct arena *a)
{
	struct dns_table *t = arena_alloc(a, sizeof(*t));

	t->a = a;
	dns_table_clear(t);
	return t;
}

void
dns_table_clear(struct dns_table *t)
{
	t->first = NULL;
	t->last = &t->first;
}

/* ---- what is stated ---- */

static bool
read_name(struct arena *a, struct strv v, struct strv *out, const char **why)
{
	char name[DNS_NAME_MAX];

	if (!dns_name(v, name)) {
		*why = "not a name of the DNS";
		return false;
	}
	*out = arena_dup(a, strv_z(name));
	return true;
}

static bool
read_addr(struct entry *e, struct strv v, const char **why)
{
	bool v4 = e->type == DNS_A;

	if (addr_parse(v, &e->record.addr) && e->record.addr.family == (v4 ? ADDR_IP4 : ADDR_IP6))
		return true;
	*why = v4 ? "not an IPv4 address" : "not an IPv6 address";
	return false;
}

static bool
read_mx(struct dns_table *t, struct entry *e, struct strv v, const char **why)
{
	uint64_t preference;

	if (!strv_number(strv_word(&v), UINT16_MAX, &preference)) {
		*why = "MX is a preference and a name, such as \"10 mx.example.net\"";
		return false;
	}
	e->record.preference = (uint16_t)preference;
	return read_name(t->a, strv_trim(v), &e->record.text, why);
}

static bool
read_value(struct dns_table *t, struct entry *e, struct strv v, const char **why)
{
	if (v.n > TEXT_MAX) {
		*why = "more than 60000 octets";
		return false;
	}
	switch (e->type) {
	case DNS_A:
	case DNS_AAAA:
		return read_addr(e, v, why);
	case DNS_MX:
		return read_mx(t, e, v, why);
	case DNS_TXT:
		e->record.text = arena_dup(t->a, v);
		return true;
	default:
		return read_name(t->a, v, &e->record.text, why);
	}
}

static bool
read_type(struct entry *e, struct strv v)
{
	if (strv_ieq(v, SV("SERVFAIL")))
		e->kind = KIND_SERVFAIL;
	else if (strv_ieq(v, SV("TIMEOUT")))
		e->kind = KIND_TIMEOUT;
	else
		return dns_type_find(v, &e->type) && e->type != DNS_SOA;
	return true;
}

bool
dns_table_add(
    struct dns_table *t, struct strv name, struct strv type, struct strv value, const char **why)
{
	struct entry e = { 0 }, *kept;

	if (!read_type(&e, type)) {
		*why = "not A, AAAA, MX, TXT, PTR, NS, CNAME, SERVFAIL or TIMEOUT";
		return false;
	}
	if (!read_name(t->a, name, &e.name, why))
		return false;
	if (e.kind == KIND_RECORD && !read_value(t, &e, value, why))
		return false;
	kept = arena_alloc(t->a, sizeof(*kept));
	*kept = e;
	*t->last = kept;
	t->last = &kept->next;
	return true;
}

void
dns_table_drop(struct dns_table *t, struct strv name)
{
	char z[DNS_NAME_MAX];

	if (!dns_name(name, z))
		return;
	t->last = &t->first;
	while (*t->last != NULL) {
		if (strv_eq((*t->last)->name, strv_z(z)))
			*t->last = (*t->last)->next;
		else
			t->last = &(*t->last)->next;
	}
}

/* ---- what is answered ---- */

static bool
is_below(struct strv name, struct strv above)
{
	return above.n == 0 ||
	    (name.n > above.n && strv_ends(name, above) && name.p[name.n - above.n - 1] == '.');
}

/* RFC 8020: also a name that has nothing itself, but a name below it. */
static bool
exists(const struct dns_table *t, struct strv name)
{
	for (const struct entry *e = t->first; e != NULL; e = e->next)
		if (strv_eq(e->name, name) || is_below(e->name, name))
			return true;
	return false;
}

static struct strv
parent(struct strv name)
{
	size_t dot = strv_chr(name, '.');

	return dot == name.n ? SV("") : strv_from(name, dot + 1);
}

/*
 * Whose records answer for the name: its own; else those of the wildcard below the closest name above it that
 * exists (RFC 4592 3.3.1).  Absent: nobody's, there is no such name.
 */
static struct strv
source_of(const struct dns_table *t, struct arena *a, struct strv name)
{
	struct strv above = name, star;

	if (exists(t, name))
		return name;
	do
		above = parent(above);
	while (above.n > 0 && !exists(t, above));
	star = above.n == 0 ? SV("*") : arena_concat(a, SV("*."), above);
	return exists(t, star) ? star : (struct strv){ NULL, 0 };
}

/* The first entry for a name from e on: of that type, or one that fails. NULL: none. */
static const struct entry *
find(const struct entry *e, struct strv name, uint16_t type)
{
	for (; e != NULL; e = e->next)
		if (strv_eq(e->name, name) && (e->kind != KIND_RECORD || e->type == type))
			return e;
	return NULL;
}

/* Adds what there is at one name; *alias: the CNAME to follow, or absent. */
static enum dns_rc
answer_at(const struct dns_table *t, struct dns_packer *b, struct strv name, uint16_t type,
    struct strv *alias, bool *timeout)
{
	struct strv         from = source_of(t, b->a, name);
	const char         *owner = arena_z(b->a, name);
	const struct entry *e = from.p == NULL ? NULL : find(t->first, from, type);
	const struct entry *to;

	*alias = strv(NULL, 0);
	if (from.p == NULL)
		return DNS_NXDOMAIN;
	if (e == NULL) {
		if ((to = find(t->first, from, DNS_CNAME)) == NULL)
			return DNS_NODATA;
		*alias = to->record.text;
		dns_pack_add(b, owner, DNS_CNAME, TTL, &to->record);
		return DNS_OK;
	}
	for (; e != NULL; e = find(e->next, from, type)) {
		*timeout |= e->kind == KIND_TIMEOUT;
		if (e->kind != KIND_RECORD)
			return DNS_TEMP;
		dns_pack_add(b, owner, type, TTL, &e->record);
	}
	return DNS_OK;
}

struct strv
dns_table_answer(
    struct dns_table *t, struct arena *a, const char *name, uint16_t type, bool *timeout)
{
	struct dns_packer b;
	struct strv       at = strv_z(name);
	enum dns_rc       rc;

	*timeout = false;
	dns_pack_begin(&b, a, name, type);
	for (unsigned i = 0; i <= DNS_CHAIN; i++) {
		rc = answer_at(t, &b, at, type, &at, timeout);
		if (at.p == NULL)
			return *timeout ? strv(NULL, 0) : dns_pack_end(&b, rc);
	}
	return dns_pack_end(&b, DNS_TEMP);
}
