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
	struct strv word;
	char        how; /* E emulated, U the upstream's, O ours alone, N never offered */
} caps[EHLO_BIT_MAX] = {
#define X(name, word, how, rfc) { { word, sizeof(word) - 1 }, #how[0] },
	EHLO_CAPS(X)
#undef X
};

/* In the order of enum xclient_attr. */
#define WORD(text) \
	{ \
		text, sizeof(text) - 1 \
	}
static const struct strv attrs[] = { WORD("NAME"), WORD("REVERSE_NAME"), WORD("ADDR"), WORD("PORT"),
	WORD("PROTO"), WORD("HELO"), WORD("LOGIN"), WORD("DESTADDR"), WORD("DESTPORT"),
	WORD("IDENT"), WORD("SOURCE") };
#undef WORD

static uint32_t
parse_attrs(struct strv v)
{
	uint32_t found = 0;

	for (struct strv w = strv_word(&v); w.n > 0; w = strv_word(&v))
		for (unsigned i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
			if (strv_ieq(w, attrs[i]))
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
		if (strv_ieq(word, caps[i].word))
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
add_word(struct buf *text, struct strv word)
{
	buf_addc(text, ' ');
	buf_add(text, word);
}

static void
add_mechanisms(struct buf *text, uint32_t auth)
{
	for (unsigned m = 0; m < SASL_MAX; m++)
		if (auth & SASL_BIT(m))
			add_word(text, strv_z(sasl_word(m)));
}

static void
add_attrs(struct buf *text, uint32_t xclient)
{
	for (unsigned i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (xclient & 1u << i)
			add_word(text, attrs[i]);
}

/* A line of its own.  None is long: the words are ours. */
static void
add_cap(struct buf *out, unsigned i, const struct ehlo *e)
{
	buf_add(out, SV("250 "));
	buf_add(out, caps[i].word);
	if (1u << i == EHLO_SIZE && e->size > 0) {
		buf_addc(out, ' ');
		buf_add_number(out, e->size);
	} else if (1u << i == EHLO_AUTH) {
		add_mechanisms(out, e->auth);
	} else if (1u << i == EHLO_XCLIENT) {
		add_attrs(out, e->xclient);
	}
	buf_add(out, SV("\r\n"));
}

void
ehlo_print(struct buf *out, struct strv hello, const struct ehlo *e)
{
	struct reply first = { .code = 250 }; /* never an enhanced code here: RFC 2034 4 */
	size_t       from = out->n, line = from;

	hello = strv_cut(&hello, '\n'); /* a second line of it would be an extension */
	first.text = strv_first(hello, hello.n < 512 ? hello.n : 512);
	reply_print(out, &first, false);
	for (unsigned i = 0; i < EHLO_BIT_MAX && !out->full; i++) {
		if (!(e->caps & 1u << i))
			continue;
		out->p[line + 3] = '-'; /* another one follows it: RFC 5321 4.2.1 */
		line = out->n;
		add_cap(out, i, e);
	}
	/* Half a reply would make the next one its second half. */
	if (out->full)
		out->n = from;
}
