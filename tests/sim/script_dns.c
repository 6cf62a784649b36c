/*
 * script_dns -- the lines of a `dns` section, and of the step of that name.
 *
 * Pure.  Whether a value is one is the table's to say (proxy/base/dns_table.h), when it is played.
 */
#include "tests/sim/script_own.h"

/* NAME TYPE [VALUE] */
struct script_dns
script_dns_record(struct parser *p, struct strv v)
{
	struct script_dns d = { .op = SCRIPT_DNS_RECORD, .line = p->line };
	struct strv       quoted;

	d.name = strv_word(&v);
	d.type = strv_word(&v);
	v = strv_trim(v);
	quoted = script_quoted(p, &v);
	d.value = quoted.p != NULL ? quoted : v;
	if (d.type.n == 0 || (quoted.p != NULL && v.n > 0))
		script_bad(p, "NAME TYPE VALUE, NAME SERVFAIL or NAME TIMEOUT");
	return d;
}

/* delay 500ms [NAME], keep 10s */
static struct script_dns
duration_line(struct parser *p, enum script_dns_op op, struct strv v)
{
	struct script_dns d = { .op = op, .line = p->line };

	d.ms = script_duration(p, strv_word(&v));
	d.name = strv_word(&v);
	if (strv_word(&v).n > 0 || (op == SCRIPT_DNS_KEEP && d.name.n > 0))
		script_bad(p, "too many words");
	return d;
}

void
script_dns_line(struct parser *p, struct strv v)
{
	struct script    *s = p->s;
	struct strv       rest = v, word = strv_word(&rest);
	struct script_dns d;

	if (strv_eq(word, SV("delay")))
		d = duration_line(p, SCRIPT_DNS_DELAY, rest);
	else if (strv_eq(word, SV("keep")))
		d = duration_line(p, SCRIPT_DNS_KEEP, rest);
	else
		d = script_dns_record(p, v);
	s->dns = arena_grow(s->a, s->dns, &s->max_dns, s->n_dns + 1, sizeof(*s->dns));
	s->dns[s->n_dns++] = d;
}
