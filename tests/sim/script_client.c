/*
 * script_client -- the lines of a `client` section as steps.
 *
 * Pure.  What a step does is client.c's.
 */
#include "tests/sim/script_own.h"

#define REPEAT_MAX 200000

static struct step *
step(struct parser *p, enum step_op op)
{
	struct client_script *c = p->c;
	struct step          *s;

	c->step = arena_grow(p->s->a, c->step, &c->max, c->n + 1, sizeof(*c->step));
	s = &c->step[c->n++];
	*s = (struct step){ .op = op, .line = p->line };
	return s;
}

void
script_client_begin(struct parser *p, struct strv v)
{
	struct script *s = p->s;
	struct strv    word;

	s->client = arena_grow(
	    s->a, s->client, &s->max_client, s->n_client + 1, sizeof(*s->client));
	p->c = &s->client[s->n_client++];
	*p->c =
	    (struct client_script){ .line = p->line, .from.port = (uint16_t)(40000 + s->n_client) };
	p->c->name = arena_printf(s->a, "c%u", s->n_client);
	addr_parse(SV("198.51.100.9"), &p->c->from.addr);
	while ((word = strv_word(&v)).n > 0) {
		if (strv_eq(word, SV("to")))
			p->c->to = strv_word(&v);
		else if (!addr_parse(word, &p->c->from.addr))
			p->c->name = word;
	}
}

static struct strv
with_index(struct parser *p, struct strv v, uint64_t i)
{
	struct strv out = { "", 0 };
	size_t      n;

	if (v.n == 0 || memmem(v.p, v.n, "%i", 2) == NULL)
		return v;
	while ((n = strv_chr(v, '%')) < v.n) {
		bool index = n + 1 < v.n && v.p[n + 1] == 'i';

		out = arena_concat(p->s->a, out, strv_first(v, index ? n : n + 1));
		if (index)
			out = arena_concat(
			    p->s->a, out, arena_printf(p->s->a, "%llu", (unsigned long long)i));
		v = strv_from(v, index ? n + 2 : n + 1);
	}
	return arena_concat(p->s->a, out, v);
}

static void
repeat_end(struct parser *p)
{
	unsigned from = p->repeat_from, n = p->c->n - from;

	for (uint64_t i = 2; i <= p->repeat; i++)
		for (unsigned k = 0; k < n; k++) {
			struct step s = p->c->step[from + k];

			s.text = with_index(p, s.text, i);
			*step(p, s.op) = s;
		}
	for (unsigned k = 0; k < n; k++)
		p->c->step[from + k].text = with_index(p, p->c->step[from + k].text, 1);
	p->repeat = 0;
}

static void
expect_line(struct parser *p, struct strv v)
{
	uint64_t code;

	if (v.n == 6 && strv_ends(v, SV("...")) && strv_number(strv_first(v, 3), 999, &code))
		step(p, STEP_REPLY)->a = code;
	else
		step(p, STEP_LINE)->text = v;
}

/* NAME down|up|silent, NAME offers WORDS */
static void
server_step(struct parser *p, struct strv rest)
{
	static const char *const modes[] = { "up", "down", "silent" };
	struct step             *s = step(p, STEP_SERVER);
	struct strv              mode;

	s->text = strv_word(&rest);
	mode = strv_word(&rest);
	if (strv_eq(mode, SV("offers"))) {
		s->op = STEP_OFFERS;
		s->more = strv_trim(rest);
		if (strv_eq(s->more, SV("none")))
			s->more = SV("");
		return;
	}
	for (unsigned i = 0; i < 3; i++)
		if (strv_eq(mode, strv_z(modes[i]))) {
			s->a = i;
			return;
		}
	script_bad(p, "server NAME up, down, silent or offers WORDS");
}

/* [sni NAME] [cert|stranger-cert] [resume] [1.0|1.1|1.2|1.3] [fails] */
static void
starttls_step(struct parser *p, struct strv rest)
{
	static const char *const versions[] = { "1.0", "1.1", "1.2", "1.3" };
	struct step             *s = step(p, STEP_STARTTLS);
	struct strv              word;

	while ((word = strv_word(&rest)).n > 0) {
		bool known = true;

		if (strv_eq(word, SV("sni")))
			s->text = strv_word(&rest);
		else if (strv_eq(word, SV("cert")))
			s->a |= WIRE_CERT_KNOWN;
		else if (strv_eq(word, SV("stranger-cert")))
			s->a |= WIRE_CERT_STRANGER;
		else if (strv_eq(word, SV("resume")))
			s->b |= TLS_RESUMES;
		else if (strv_eq(word, SV("fails")))
			s->b |= TLS_FAILS;
		else
			known = false;
		for (unsigned i = 0; !known && i < 4; i++)
			if (strv_eq(word, strv_z(versions[i]))) {
				s->a |= (uint64_t)(0x0301 + i) << 8;
				known = true;
			}
		if (!known)
			script_bad(
			    p, "starttls [sni NAME] [cert|stranger-cert] [resume] [1.2] [fails]");
	}
}

static uint16_t
word_port(struct strv word)
{
	uint64_t n = 0;

	strv_number(word, 65535, &n);
	return (uint16_t)n;
}

static void
add_address(struct buf *b, const struct endpoint *e)
{
	buf_add(b, strv((const char *)e->addr.b, e->addr.family == ADDR_IP4 ? 4 : 16));
}

static void
add_port(struct buf *b, uint16_t n)
{
	buf_addc(b, (char)(n >> 8));
	buf_addc(b, (char)n);
}

/* haproxy doc/proxy-protocol.txt 2.1, 2.2; written here, not by the code under test. */
static void
proxy_octets(struct buf *b, bool v2, const struct endpoint *src, const struct endpoint *dst)
{
	char   from[ADDR_TEXT], to[ADDR_TEXT];
	bool   v4 = src->addr.family == ADDR_IP4, local = src->addr.family == ADDR_NONE;
	size_t n = local ? 0 : v4 ? 12 : 36;

	if (!v2) {
		if (local)
			buf_printf(b, "PROXY UNKNOWN\r\n");
		else
			buf_printf(b, "PROXY TCP%c %s %s %u %u\r\n", v4 ? '4' : '6',
			    addr_print(&src->addr, from).p, addr_print(&dst->addr, to).p, src->port,
			    dst->port);
		return;
	}
	buf_add(b, SV("\r\n\r\n\0\r\nQUIT\n"));
	buf_addc(b, local ? 0x20 : 0x21);
	buf_addc(b, local ? 0 : v4 ? 0x11 : 0x21);
	add_port(b, (uint16_t)n);
	if (local)
		return;
	add_address(b, src);
	add_address(b, dst);
	add_port(b, src->port);
	add_port(b, dst->port);
}

/* v1|v2 SRC SPORT DST DPORT, or v1|v2 local: a header of the PROXY protocol is sent. */
static void
proxy_step(struct parser *p, struct strv rest)
{
	struct strv     version = strv_word(&rest), a = strv_word(&rest);
	struct endpoint src = { 0 }, dst = { 0 };
	struct buf      b;

	if (!strv_eq(a, SV("local"))) {
		src.port = word_port(strv_word(&rest));
		if (!addr_parse(a, &src.addr) || !addr_parse(strv_word(&rest), &dst.addr) ||
		    src.addr.family != dst.addr.family)
			script_bad(p, "proxy v1|v2 ADDRESS PORT ADDRESS PORT, or local");
		dst.port = word_port(strv_word(&rest));
	}
	if (!strv_eq(version, SV("v1")) && !strv_eq(version, SV("v2")))
		script_bad(p, "proxy v1 or v2");
	buf_init(&b, 256);
	proxy_octets(&b, strv_eq(version, SV("v2")), &src, &dst);
	step(p, STEP_SEND)->text = arena_dup(p->s->a, buf_view(&b));
	buf_fini(&b);
}

/* NAME, or NAME and octets: what is done to files, and a reload. */
static void
write_step(struct parser *p, struct strv rest)
{
	struct step *s = step(p, STEP_WRITE);

	s->text = strv_word(&rest);
	s->more = script_octets(p, rest);
}

static void
copy_step(struct parser *p, struct strv rest)
{
	struct step *s = step(p, STEP_COPY);

	s->text = strv_word(&rest);
	s->more = strv_word(&rest);
	if (s->more.n == 0)
		script_bad(p, "copy FROM TO");
}

static void
reload_step(struct parser *p, struct strv rest)
{
	struct step *s = step(p, STEP_RELOAD);
	struct strv  word;

	while ((word = strv_word(&rest)).n > 0) {
		if (strv_eq(word, SV("fails")))
			s->a = 1;
		else
			s->text = word;
	}
}

/* What a name has from now on. */
static void
dns_step(struct parser *p, struct strv rest)
{
	struct script_dns d = script_dns_record(p, rest);
	struct step      *s = step(p, STEP_DNS);

	s->text = d.name;
	s->word = d.type;
	s->more = d.value;
}

/* Words of a client that take at most one duration, number or name. */
static bool
client_word(struct parser *p, struct strv word, struct strv rest)
{
	static const struct {
		const char  *word;
		enum step_op op;
		char         arg;
	} words[] = {
		{ "closed", STEP_CLOSED, 0 },
		{ "nothing", STEP_NOTHING, 'D' },
		{ "ignore", STEP_IGNORE, 0 },
		{ "wait", STEP_WAIT, 'd' },
		{ "within", STEP_WITHIN, 'd' },
		{ "elapsed", STEP_ELAPSED, '2' },
		{ "close", STEP_CLOSE, 0 },
		{ "halfclose", STEP_HALFCLOSE, 0 },
		{ "reset", STEP_RESET, 0 },
		{ "cut", STEP_CUT, 'n' },
		{ "deaf", STEP_DEAF, 0 },
		{ "listen", STEP_LISTEN, 0 },
		{ "flush", STEP_FLUSH, 0 },
		{ "renegotiate", STEP_RENEGOTIATE, 0 },
		{ "tls-info", STEP_TLS_INFO, 't' },
		{ "remove", STEP_REMOVE, 'w' },
		{ "signal", STEP_SIGNAL, 'w' },
		{ "await", STEP_AWAIT, 'w' },
		{ "drain", STEP_DRAIN, 0 },
		{ "abort", STEP_ABORT, 0 },
		{ "disk-full", STEP_DISK_FULL, 0 },
		{ "disk-free", STEP_DISK_FREE, 0 },
		{ "disk-unreadable", STEP_DISK_UNREADABLE, 0 },
		{ "no-fibers", STEP_NO_FIBERS, 0 },
		{ "fibers", STEP_FIBERS, 0 },
	};

	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		struct step *s;

		if (!strv_eq(word, strv_z(words[i].word)))
			continue;
		s = step(p, words[i].op);
		if (words[i].arg == 'd' || words[i].arg == '2' ||
		    (words[i].arg == 'D' && rest.n > 0))
			s->a = script_duration(p, strv_word(&rest));
		if (words[i].arg == '2')
			s->b = script_duration(p, strv_word(&rest));
		if (words[i].arg == 'n')
			s->a = script_number(p, strv_word(&rest));
		if (words[i].arg == 'w')
			s->text = strv_word(&rest);
		if (words[i].arg == 't') {
			s->text = strv_trim(rest);
			return true;
		}
		if (strv_trim(rest).n > 0)
			script_bad(p, "too many words");
		return true;
	}
	return false;
}

/* Words that take more. */
static bool
client_phrase(struct parser *p, struct strv word, struct strv rest)
{
	static const struct {
		const char *word;
		void (*parse)(struct parser *, struct strv);
	} phrases[] = {
		{ "server", server_step },
		{ "milter", server_step },
		{ "starttls", starttls_step },
		{ "proxy", proxy_step },
		{ "write", write_step },
		{ "copy", copy_step },
		{ "reload", reload_step },
		{ "dns", dns_step },
	};

	for (unsigned i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (strv_eq(word, strv_z(phrases[i].word))) {
			phrases[i].parse(p, rest);
			return true;
		}
	return false;
}

void
script_client_line(struct parser *p, struct strv v)
{
	struct strv rest = v, word = strv_word(&rest);
	struct strv arg = rest.n > 0 ? strv_from(rest, 1) : strv("", 0);

	if (strv_eq(word, SV(">")))
		step(p, STEP_SEND)->text = arena_concat(p->s->a, arg, SV("\r\n"));
	else if (strv_eq(word, SV(">>")))
		step(p, STEP_SEND)->text = script_octets(p, arg);
	else if (strv_eq(word, SV("<")))
		expect_line(p, arg);
	else if (strv_eq(word, SV("repeat"))) {
		p->repeat = script_number(p, strv_word(&rest));
		p->repeat_from = p->c->n;
		if (p->repeat < 1 || p->repeat > REPEAT_MAX)
			script_bad(p, "repeat what?");
	} else if (strv_eq(word, SV("end")) && p->repeat > 0)
		repeat_end(p);
	else if (!client_phrase(p, word, strv_trim(rest)) && !client_word(p, word, strv_trim(rest)))
		script_bad(p, "no such word in a client");
}
