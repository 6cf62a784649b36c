/*
 * The milter protocol.  The first octet says what the rest is: `o' an answer to our offer, `e' a packet of an MTA, else
 * packets of a milter as they come from a socket.  Nothing is read beyond a packet; a text that comes out holds no CR
 * and no NUL, an LF only where one may be; and what was understood, packed and unpacked again is the same.
 */
#include "filters/milter_wire.h"
#include "tests/fuzz/fuzz.h"

/* Exactly its size, so that a sanitizer sees one octet too many. */
static char *
copy(struct strv v)
{
	char *p = malloc(v.n > 0 ? v.n : 1);

	if (p == NULL)
		abort();
	memcpy(p, v.p, v.n);
	return p;
}

static bool
has(struct strv v, char c)
{
	return strv_chr(v, c) < v.n;
}

/* --- answers ---------------------------------------------------------------------------------- */

static void
check_reply(const struct milter_answer *a)
{
	struct strv v = a->text;

	FUZZ_CHECK(a->code >= 400 && a->code <= 599);
	FUZZ_CHECK(memchr(a->enh, '\0', sizeof a->enh) != NULL);
	FUZZ_CHECK(a->enh[0] == '\0' || a->enh[0] - '0' == a->code / 100);
	FUZZ_CHECK(v.p != NULL && !has(v, '\r') && !has(v, '\0'));
	for (unsigned lines = 0; v.p != NULL; lines++) {
		FUZZ_CHECK(lines < MILTER_LINES_MAX);
		FUZZ_CHECK(strv_cut(&v, '\n').n <= MILTER_TEXT_MAX);
	}
}

static void
check_field(const struct milter_answer *a)
{
	struct strv v = a->value;

	FUZZ_CHECK(a->name.n > 0 && a->at <= INT32_MAX);
	FUZZ_CHECK(a->kind != MILTER_ANS_CHANGE_HEADER || a->at > 0);
	for (size_t i = 0; i < a->name.n; i++)
		FUZZ_CHECK(a->name.p[i] > ' ' && a->name.p[i] < 0x7f && a->name.p[i] != ':');
	FUZZ_CHECK(v.p != NULL && !has(v, '\r') && !has(v, '\0'));
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] == '\n')
			FUZZ_CHECK(i + 1 < v.n && (v.p[i + 1] == ' ' || v.p[i + 1] == '\t'));
}

static void
check_clean(struct strv v, size_t max)
{
	FUZZ_CHECK(v.n <= max);
	for (size_t i = 0; i < v.n; i++)
		FUZZ_CHECK((uint8_t)v.p[i] >= ' ' && v.p[i] != 0x7f);
}

static void
check_answer(const struct milter_answer *a)
{
	if (a->kind == MILTER_ANS_REPLYCODE)
		check_reply(a);
	else if (a->name.p != NULL)
		check_field(a);
	else
		check_clean(a->text, MILTER_TEXT_MAX);
	check_clean(a->address, MILTER_ADDRESS_MAX);
	check_clean(a->params, MILTER_ADDRESS_MAX);
	FUZZ_CHECK((a->address.p != NULL) ==
	    (a->kind == MILTER_ANS_ADD_RCPT || a->kind == MILTER_ANS_ADD_RCPT_PAR ||
		a->kind == MILTER_ANS_DELETE_RCPT || a->kind == MILTER_ANS_CHANGE_FROM));
	FUZZ_CHECK(milter_answer_legal(a->kind, MILTER_CMD_EOM) || a->kind == MILTER_ANS_SKIP);
}

static void
same(const struct milter_answer *a, const struct milter_answer *b)
{
	FUZZ_CHECK(a->kind == b->kind && a->code == b->code && a->at == b->at);
	FUZZ_CHECK(strcmp(a->enh, b->enh) == 0);
	FUZZ_CHECK(strv_eq(a->name, b->name) && strv_eq(a->value, b->value));
	FUZZ_CHECK(strv_eq(a->address, b->address) && strv_eq(a->params, b->params));
	FUZZ_CHECK(strv_eq(a->body, b->body) && strv_eq(a->text, b->text));
}

/* A text that begins like an enhanced code has lost it to the code: packed, it would be one again. */
static bool
can_repeat(const struct milter_answer *a)
{
	struct strv v = a->text;

	while (a->kind == MILTER_ANS_REPLYCODE && v.p != NULL) {
		struct strv line = strv_cut(&v, '\n');

		if (line.n > 0 && a->enh[0] == '\0' && strchr("245", line.p[0]) != NULL)
			return false;
	}
	return true;
}

static void
one_answer(struct strv packet)
{
	char                *p = copy(packet), *scratch = malloc(packet.n);
	struct milter_answer a, b;
	struct buf           out;
	const char          *why = NULL;

	buf_init(&out, 2 * packet.n + 1000);
	if (!milter_unpack(strv(p, packet.n), scratch, &a, &why)) {
		FUZZ_CHECK(why != NULL);
	} else {
		check_answer(&a);
		FUZZ_CHECK(milter_pack_answer(&out, &a));
		FUZZ_CHECK(milter_unpack(strv(p, packet.n), p, &b, &why));
		free(scratch);
		scratch = copy(strv_from(buf_view(&out), 4));
		/* a's texts were in the scratch; b, which was unpacked over the packet itself, must be the same. */
		FUZZ_CHECK(milter_unpack(strv(scratch, out.n - 4), scratch, &a, &why));
		if (can_repeat(&b))
			same(&a, &b);
	}
	buf_fini(&out);
	free(scratch);
	free(p);
}

static void
answers(struct strv v)
{
	enum milter_frame rc = MILTER_FRAME_OK;

	while (rc == MILTER_FRAME_OK) {
		char       *p = copy(v);
		struct strv packet = { 0 };
		const char *why = NULL;
		size_t      need = 0;

		rc = milter_frame(strv(p, v.n), MILTER_PACKET_MAX, &packet, &need, &why);
		if (rc == MILTER_FRAME_OK) {
			FUZZ_CHECK(need == 4 + packet.n && need <= v.n && packet.n > 0);
			one_answer(packet);
			v = strv_from(v, need);
		} else if (rc == MILTER_FRAME_MORE) {
			FUZZ_CHECK(need > v.n && need <= 4 + MILTER_PACKET_MAX);
		} else
			FUZZ_CHECK(why != NULL);
		free(p);
	}
}

/* --- the other packets ------------------------------------------------------------------------ */

static void
offer(struct strv v)
{
	static const struct milter_offer ours = { 6, 0x1ff, 0x301fffff, { { 0 } } };
	struct milter_offer              o, again;
	char                            *p = copy(v);
	const char                      *why = NULL;
	struct buf                       out;

	if (!milter_unpack_offer(strv(p, v.n), &ours, &o, &why)) {
		FUZZ_CHECK(why != NULL);
		free(p);
		return;
	}
	FUZZ_CHECK(o.version >= MILTER_VERSION_MIN && o.version <= MILTER_VERSION_MAX);
	FUZZ_CHECK((o.actions & ~ours.actions) == 0 && (o.protocol & ~ours.protocol) == 0);
	FUZZ_CHECK(o.version >= 4 || (o.protocol & MILTER_NO_DATA));
	buf_init(&out, 2 * v.n + 100);
	FUZZ_CHECK(milter_pack_offer(&out, &o));
	FUZZ_CHECK(milter_unpack_offer(strv_from(buf_view(&out), 4), &ours, &again, &why));
	FUZZ_CHECK(again.version == o.version && again.actions == o.actions);
	FUZZ_CHECK(again.protocol == o.protocol);
	for (unsigned i = 0; i < MILTER_PLACES; i++) {
		check_clean(o.macros[i], v.n);
		FUZZ_CHECK(strv_eq(o.macros[i], again.macros[i]));
		FUZZ_CHECK((o.macros[i].p == NULL) == (again.macros[i].p == NULL));
	}
	buf_fini(&out);
	free(p);
}

static void
event(struct strv v)
{
	char               *p = copy(v);
	struct strv         arg[16];
	struct milter_event e;
	struct milter_macro m[8];
	const char         *why = NULL;
	struct buf          out;

	buf_init(&out, 2 * v.n + 100);
	if (!milter_unpack_event(strv(p, v.n), &e, arg, 16, &why)) {
		FUZZ_CHECK(why != NULL);
	} else if (e.cmd == MILTER_CMD_MACRO) {
		FUZZ_CHECK(e.n_arg % 2 == 0 && e.n_arg <= 16 && e.text.n == 1);
		for (unsigned i = 0; i < e.n_arg / 2; i++)
			m[i] = (struct milter_macro){ arg[2 * i], arg[2 * i + 1] };
		if (milter_command_of(e.text.p[0]) != MILTER_CMD_MAX) {
			FUZZ_CHECK(milter_pack_macros(
			    &out, milter_command_of(e.text.p[0]), m, e.n_arg / 2));
			FUZZ_CHECK(strv_eq(strv_from(buf_view(&out), 4), v));
		}
	} else if (e.cmd != MILTER_CMD_OPTNEG) {
		FUZZ_CHECK(milter_pack(&out, &e));
		FUZZ_CHECK(strv_eq(strv_from(buf_view(&out), 4), v));
	}
	buf_fini(&out);
	free(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct strv v = strv((const char *)data, n);

	if (n == 0)
		return 0;
	if (data[0] == 'o')
		offer(strv_from(v, 1));
	else if (data[0] == 'e')
		event(strv_from(v, 1));
	else
		answers(strv_from(v, 1));
	return 0;
}
