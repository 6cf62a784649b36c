/*
 * ehlo -- service extensions: what a server said it has, and what a client is offered.
 *
 * Not for the use of an extension: each command's file has that.  The invariant: a keyword that is not
 * in the table of the header never reaches a client, for it could change the grammar under our parser.
 */
#include "proxy/smtp/ehlo.h"

#include "proxy/mail/reply.h"
#include "proxy/smtp/sasl.h"

static const struct {
	const char *word;
	char        how; /* E emulated, U the upstream's, O ours alone, N never offered */
} caps[EHLO_BIT_MAX] = {
#define X(name, word, how, rfc) { word, #how[0] },
	EHLO_CAPS(X)
#undef X
};

/* In the order of enum xclient_attr. */
static const char *const attrs[] = { "NAME", "REVERSE_NAME", "ADDR", "PORT", "PROTO", "HELO",
	"LOGIN", "DESTADDR", "DESTPORT", "IDENT", "SOURCE" };

static uint32_t
parse_attrs(struct strv v)
{
	uint32_t found = 0;

	for (struct strv w = strv_word(&v); w.n > 0; w = strv_word(&v))
		for (unsigned i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
			if (strv_ieq(w, strv_z(attrs[i])))
				found |= 1u << i;
	return found;
}

static void
parse_line(struct strv line, struct ehlo *out)
{
	struct strv word = strv_word(&line);
	uint64_t    size;

	if (strv_istarts(word, SV("AUTH="))) { /* "AUTH=LOGIN": from before RFC 2554, still seen */
		out->auth |= sasl_parse_words(strv_from(word, 5));
		word.n = 4;
	}
	for (unsigned i = 0; i < EHLO_BIT_MAX; i++)
		if (strv_ieq(word, strv_z(caps[i].word)))
			out->caps |= 1u << i;
	if (strv_ieq(word, SV("SIZE"))) {
		/* RFC 1870 4: no value or 0 is no fixed limit; nonsense says no more than that */
		if (strv_number(strv_word(&line), UINT64_MAX, &size))
			out->size = size;
	} else if (strv_ieq(word, SV("AUTH")))
		out->auth |= sasl_parse_words(line);
	else if (strv_ieq(word, SV("XCLIENT")))
		out->xclient |= parse_attrs(line);
	else if (strv_ieq(word, SV("XFORWARD")))
		out->xforward |= parse_attrs(line);
}

void
ehlo_parse(struct strv text, struct ehlo *out)
{
	*out = (struct ehlo){ 0 };
	strv_cut(&text, '\n');
	while (text.p != NULL)
		parse_line(strv_cut(&text, '\n'), out);
}

/* Of two limits where 0 is none. */
static uint64_t
smaller(uint64_t a, uint64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

struct ehlo
ehlo_intersect(const struct ehlo *a, const struct ehlo *b)
{
	return (struct ehlo){
		.caps = a->caps & b->caps,
		.size = smaller(a->size, b->size),
		.xclient = a->xclient & b->xclient,
		.xforward = a->xforward & b->xforward,
		.auth = a->auth & b->auth,
	};
}

struct ehlo
ehlo_offer(const struct ehlo *upstream, const struct ehlo_own *own)
{
	struct ehlo e = { .size = smaller(own->size, upstream->size) };
	uint32_t    ours = 0;

	ours |= own->starttls ? EHLO_STARTTLS : 0;
	ours |= own->auth && upstream->auth != 0 ? EHLO_AUTH : 0;
	ours |= own->xclient != 0 ? EHLO_XCLIENT : 0;
	e.auth = ours & EHLO_AUTH ? upstream->auth : 0;
	e.xclient = own->xclient;
	for (unsigned i = 0; i < EHLO_BIT_MAX; i++)
		if (caps[i].how == 'E' || (caps[i].how == 'U' && upstream->caps & 1u << i) ||
		    (caps[i].how == 'O' && ours & 1u << i))
			e.caps |= 1u << i;
	if (!(e.caps & EHLO_8BITMIME)) /* RFC 6531 3.1 item 8 */
		e.caps &= ~(uint32_t)EHLO_SMTPUTF8;
	return e;
}

static void
add_word(struct buf *text, const char *word)
{
	buf_addc(text, ' ');
	buf_add(text, strv_z(word));
}

static void
add_mechanisms(struct buf *text, uint32_t auth)
{
	for (unsigned m = 0; m < SASL_MAX; m++)
		if (auth & SASL_BIT(m))
			add_word(text, sasl_word(m));
}

static void
add_attrs(struct buf *text, uint32_t xclient)
{
	for (unsigned i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (xclient & 1u << i)
			add_word(text, attrs[i]);
}

static void
add_cap(struct buf *text, unsigned i, const struct ehlo *e)
{
	buf_addc(text, '\n');
	buf_add(text, strv_z(caps[i].word));
	if (1u << i == EHLO_SIZE && e->size > 0) {
		buf_addc(text, ' ');
		buf_add_number(text, e->size);
	} else if (1u << i == EHLO_AUTH) {
		add_mechanisms(text, e->auth);
	} else if (1u << i == EHLO_XCLIENT) {
		add_attrs(text, e->xclient);
	}
}

void
ehlo_print(struct buf *out, struct strv hello, const struct ehlo *e)
{
	struct reply r = { .code = 250 }; /* never an enhanced code here: RFC 2034 4 */
	struct buf   text;

	buf_init(&text, 2048);
	hello = strv_cut(&hello, '\n'); /* a second line of it would be an extension */
	buf_add(&text, strv_first(hello, hello.n < 512 ? hello.n : 512));
	for (unsigned i = 0; i < EHLO_BIT_MAX; i++)
		if (e->caps & 1u << i)
			add_cap(&text, i, e);
	r.text = buf_view(&text);
	reply_print(out, &r, false);
	buf_fini(&text);
}
