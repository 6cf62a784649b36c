/* The milter protocol: each command and answer there and back, cut anywhere, and what no milter may say. */
#include "filters/milter_wire.h"

#include "tests/unit/t.h"

/* A copy of exactly its size, so that a sanitizer sees the first octet that is read too far. */
static struct strv
exactly(struct strv v)
{
	char *p = malloc(v.n > 0 ? v.n : 1);

	memcpy(p, v.p, v.n);
	return strv(p, v.n);
}

static void
forget(struct strv v)
{
	free((void *)(uintptr_t)v.p);
}

/* --- names ------------------------------------------------------------------------------------ */

static void
names_and_octets(void)
{
	T_EQ_STR(milter_command_name(MILTER_CMD_MAIL), "MAIL");
	T_EQ_STR(milter_command_name(MILTER_CMD_QUIT_NC), "QUIT_NC");
	T_EQ_STR(milter_command_name(MILTER_CMD_MAX), "?");
	T_EQ_STR(milter_answer_name(MILTER_ANS_REPLYCODE), "REPLYCODE");
	T_EQ_STR(milter_answer_name(MILTER_ANS_MAX), "?");
	for (unsigned c = 0; c < MILTER_CMD_MAX; c++)
		T_EQ_NUM(milter_command_of(milter_command_octet(c)), c);
	T_EQ_NUM(milter_command_of('?'), MILTER_CMD_MAX);
	T_EQ_NUM(milter_command_octet(MILTER_CMD_EOM), 'E');
	T_EQ_NUM(milter_answer_octet(MILTER_ANS_SHUTDOWN), '4');
	T_CHECK(milter_answer_final(MILTER_ANS_SKIP) && !milter_answer_edits(MILTER_ANS_SKIP));
	T_CHECK(
	    !milter_answer_final(MILTER_ANS_PROGRESS) && !milter_answer_edits(MILTER_ANS_PROGRESS));
	T_CHECK(!milter_answer_final(MILTER_ANS_QUARANTINE) &&
	    milter_answer_edits(MILTER_ANS_QUARANTINE));
	T_EQ_NUM(milter_chunk(0), 65535);
	T_EQ_NUM(milter_chunk(MILTER_MDS_256K), 262143);
	T_EQ_NUM(milter_chunk(MILTER_MDS_1M | MILTER_MDS_256K), 1048575);
}

/* A letter a command in the order of MILTER_COMMANDS (OMCHMRTLNBEUAQK): may this answer come to it? */
static void
legal_answers(void)
{
	/* clang-format off */
	static const struct { enum milter_answer_kind kind; const char *to; } rows[] = {
		{ MILTER_ANS_CONTINUE,      "CHMRTLNBEU" }, { MILTER_ANS_ACCEPT,        "CHMRTLNBE" },
		{ MILTER_ANS_REJECT,        "CHMRTLNBEU" }, { MILTER_ANS_TEMPFAIL,      "CHMRTLNBEU" },
		{ MILTER_ANS_DISCARD,       "MRTLNBE" },    { MILTER_ANS_REPLYCODE,     "CHMRTLNBEU" },
		{ MILTER_ANS_SKIP,          "B" },          { MILTER_ANS_CONN_FAIL,     "CHMRTLNBEU" },
		{ MILTER_ANS_SHUTDOWN,      "CHMRTLNBEU" }, { MILTER_ANS_PROGRESS,      "CHMRTLNBEU" },
		{ MILTER_ANS_ADD_RCPT,      "E" },          { MILTER_ANS_ADD_RCPT_PAR,  "E" },
		{ MILTER_ANS_DELETE_RCPT,   "E" },          { MILTER_ANS_CHANGE_FROM,   "E" },
		{ MILTER_ANS_ADD_HEADER,    "E" },          { MILTER_ANS_INSERT_HEADER, "E" },
		{ MILTER_ANS_CHANGE_HEADER, "E" },          { MILTER_ANS_REPLACE_BODY,  "E" },
		{ MILTER_ANS_QUARANTINE,    "E" },
	};
	/* clang-format on */

	T_EQ_NUM(T_COUNT(rows), MILTER_ANS_MAX);
	for (size_t i = 0; i < T_COUNT(rows); i++)
		for (unsigned c = 0; c < MILTER_CMD_MAX; c++) {
			t_row = milter_answer_name(rows[i].kind);
			T_CHECKF(milter_answer_legal(rows[i].kind, c) ==
				(strchr(rows[i].to, milter_command_octet(c)) != NULL),
			    "to %s", milter_command_name(c));
		}
	T_CHECK(!milter_answer_legal(MILTER_ANS_MAX, MILTER_CMD_EOM));
	T_CHECK(!milter_answer_legal(MILTER_ANS_CONTINUE, MILTER_CMD_MAX));
}

/* --- to a milter ------------------------------------------------------------------------------ */

static const struct strv args[] = { SV("SIZE=100"), SV("BODY=8BITMIME") };

/* clang-format off */
static const struct packed {
	struct milter_event e;
	struct strv         packet;     /* with its length */
} packed[] = {
	{ { MILTER_CMD_CONNECT, SV("mx.example"), SV("192.0.2.1"), '4', 2525, NULL, 0 },
	    SV("\0\0\0\x19" "Cmx.example\0" "4\x09\xdd" "192.0.2.1\0") },
	{ { MILTER_CMD_CONNECT, SV("[2001:db8::1]"), SV("2001:db8::1"), '6', 25, NULL, 0 },
	    SV("\0\0\0\x1e" "C[2001:db8::1]\0" "6\0\x19" "2001:db8::1\0") },
	{ { MILTER_CMD_CONNECT, SV("localhost"), SV("/run/s"), 'L', 0, NULL, 0 },
	    SV("\0\0\0\x15" "Clocalhost\0" "L\0\0" "/run/s\0") },
	{ { MILTER_CMD_CONNECT, SV("localhost"), SV("not looked at"), 'U', 9, NULL, 0 },
	    SV("\0\0\0\x0c" "Clocalhost\0" "U") },
	{ { MILTER_CMD_HELO, SV("client.example"), { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x10Hclient.example\0") },
	{ { MILTER_CMD_MAIL, SV("<a@b.example>"), { 0 }, 0, 0, args, 2 },
	    SV("\0\0\0\x26M<a@b.example>\0SIZE=100\0BODY=8BITMIME\0") },
	{ { MILTER_CMD_MAIL, SV("<>"), { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x04M<>\0") },
	{ { MILTER_CMD_RCPT, SV("<c@d.example>"), { 0 }, 0, 0, args, 1 },
	    SV("\0\0\0\x18R<c@d.example>\0SIZE=100\0") },
	{ { MILTER_CMD_DATA, SV("x"), SV("y"), 0, 0, args, 2 }, SV("\0\0\0\x01T") },
	{ { MILTER_CMD_HEADER, SV("Subject"), SV("a\n b"), 0, 0, NULL, 0 }, SV("\0\0\0\x0eLSubject\0a\n b\0") },
	{ { MILTER_CMD_HEADER, SV("X"), SV(""), 0, 0, NULL, 0 }, SV("\0\0\0\x04LX\0\0") },
	{ { MILTER_CMD_EOH, { 0 }, { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x01N") },
	{ { MILTER_CMD_BODY, SV("a\0b\r\n"), { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x06" "Ba\0b\r\n") },
	{ { MILTER_CMD_EOM, { 0 }, { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x01" "E") },
	{ { MILTER_CMD_EOM, SV("last"), { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x05" "Elast") },
	{ { MILTER_CMD_UNKNOWN, SV("HELP me"), { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x09UHELP me\0") },
	{ { MILTER_CMD_ABORT, { 0 }, { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x01" "A") },
	{ { MILTER_CMD_QUIT, { 0 }, { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x01Q") },
	{ { MILTER_CMD_QUIT_NC, { 0 }, { 0 }, 0, 0, NULL, 0 }, SV("\0\0\0\x01K") },
};
/* clang-format on */

static void
same_event(const struct milter_event *have, const struct milter_event *want)
{
	bool connect = want->cmd == MILTER_CMD_CONNECT && want->family != 'U';

	T_EQ_NUM(have->cmd, want->cmd);
	if (want->cmd == MILTER_CMD_DATA)
		return;
	T_EQ_STRV(have->text, want->text);
	if (connect || want->cmd == MILTER_CMD_HEADER)
		T_EQ_STRV(have->value, want->value);
	if (want->cmd == MILTER_CMD_CONNECT)
		T_EQ_NUM(have->family, want->family);
	if (connect)
		T_EQ_NUM(have->port, want->port);
	T_EQ_NUM(have->n_arg, want->n_arg);
	for (unsigned i = 0; i < have->n_arg && i < want->n_arg; i++)
		T_EQ_STRV(have->arg[i], want->arg[i]);
}

static void
packs_events(void)
{
	T_TABLE(struct packed, row, packed)
	{
		struct buf          out;
		struct strv         arg[4], packet;
		struct milter_event e;
		const char         *why;

		t_row = milter_command_name(row->e.cmd);
		buf_init(&out, 1000);
		T_CHECK(milter_pack(&out, &row->e));
		T_EQ_STRV(buf_view(&out), row->packet);
		packet = exactly(strv_from(row->packet, 4));
		if (T_CHECK(milter_unpack_event(packet, &e, arg, 4, &why)))
			same_event(&e, &row->e);
		forget(packet);
		buf_fini(&out);
	}
}

/* What is cut off is no event; what has a shorter meaning has exactly that. */
static void
events_cut_anywhere(void)
{
	T_TABLE(struct packed, row, packed)
	{
		struct strv whole = strv_from(row->packet, 4);

		for (size_t n = 0; n < whole.n; n++) {
			struct strv         cut = exactly(strv_first(whole, n)), arg[4];
			struct milter_event e;
			const char         *why = NULL;
			bool                ok = milter_unpack_event(cut, &e, arg, 4, &why);
			bool body = row->e.cmd == MILTER_CMD_BODY || row->e.cmd == MILTER_CMD_EOM;

			t_row = milter_command_name(row->e.cmd);
			if (body && n > 0)
				T_CHECK(ok && e.text.n == n - 1);
			else if (ok)
				T_CHECK(cut.p[n - 1] == '\0' && e.n_arg < row->e.n_arg);
			else
				T_CHECK(why != NULL);
			forget(cut);
		}
	}
}

static void
events_that_are_none(void)
{
	/* clang-format off */
	static const struct strv rows[] = {
		SV(""), SV("?"), SV("C"), SV("Chost\0"), SV("Chost\0X"), SV("Chost\0" "4"), SV("Chost\0" "4\0"),
		SV("Chost\0" "4\0\x19" "192.0.2.1"), SV("Chost\0Ux"), SV("Chost\0" "4\0\x19" "192.0.2.1\0x"),
		SV("Hx"), SV("Hx\0y\0"), SV("M"), SV("M<>"), SV("M<>\0SIZE"), SV("LSubject\0x"), SV("Lx\0y\0z"),
		SV("Nx"), SV("Ax"), SV("Qx"), SV("D"), SV("DMi\0"), SV("DMi\0x"), SV("M<>\0a\0b\0c\0d\0e\0"),
	};
	/* clang-format on */

	for (size_t i = 0; i < T_COUNT(rows); i++) {
		struct strv         packet = exactly(rows[i]), arg[4];
		struct milter_event e;
		const char         *why = NULL;

		t_row = rows[i].p;
		T_CHECK(!milter_unpack_event(packet, &e, arg, 4, &why) && why != NULL);
		forget(packet);
	}
}

static void
packs_macros(void)
{
	static const struct milter_macro m[] = { { SV("i"), SV("4711") },
		{ SV("{mail_addr}"), SV("") } };
	struct strv                      arg[4];
	struct milter_event              e;
	const char                      *why;
	struct buf                       out;

	buf_init(&out, 100);
	T_CHECK(milter_pack_macros(&out, MILTER_CMD_MAIL, m, 2));
	T_EQ_STRV(buf_view(&out),
	    SV("\0\0\0\x16"
	       "DMi\0"
	       "4711\0{mail_addr}\0\0"));
	T_CHECK(milter_unpack_event(strv_from(buf_view(&out), 4), &e, arg, 4, &why));
	T_EQ_NUM(e.cmd, MILTER_CMD_MACRO);
	T_EQ_STRV(e.text, SV("M"));
	T_EQ_NUM(e.n_arg, 4);
	T_EQ_STRV(e.arg[2], SV("{mail_addr}"));
	T_EQ_STRV(e.arg[3], SV(""));
	buf_clear(&out);
	T_CHECK(milter_pack_macros(&out, MILTER_CMD_EOM, NULL, 0));
	T_EQ_STRV(buf_view(&out),
	    SV("\0\0\0\x02"
	       "DE"));
	buf_fini(&out);
}

/* A NUL would end the string for the milter, and what follows would be another one. */
static void
no_nul_inside_a_string(void)
{
	struct milter_event e = {
		.cmd = MILTER_CMD_HEADER, .text = SV("X\0"), .value = SV("\0a\0\0b")
	};
	struct buf out;

	buf_init(&out, 100);
	T_CHECK(milter_pack(&out, &e));
	T_EQ_STRV(buf_view(&out), SV("\0\0\0\x0aLX?\0?a??b\0"));
	buf_fini(&out);
}

/* What does not fit leaves the buffer as it was. */
static void
packs_whole_or_not_at_all(void)
{
	static const struct milter_macro m = { SV("i"), SV("4711") };
	static const struct milter_offer o = { 6, 1, 2, { SV("a b") } };
	struct strv         big = strv(calloc(1, MILTER_PACKET_MAX), MILTER_PACKET_MAX);
	struct milter_event e = { .cmd = MILTER_CMD_BODY, .text = big };
	struct buf          out;

	T_TABLE(struct packed, row, packed)
	for (size_t max = 6; max < 6 + row->packet.n + 2; max++) {
		t_row = milter_command_name(row->e.cmd);
		buf_init(&out, max);
		buf_add(&out, SV("before"));
		T_EQ_NUM(milter_pack(&out, &row->e), max >= 6 + row->packet.n);
		T_CHECK(strv_starts(buf_view(&out), SV("before")) && !out.full);
		T_EQ_NUM(out.n, max >= 6 + row->packet.n ? 6 + row->packet.n : 6);
		buf_fini(&out);
	}
	buf_init(&out, 8);
	T_CHECK(!milter_pack_macros(&out, MILTER_CMD_MAIL, &m, 1) && out.n == 0);
	T_CHECK(!milter_pack_offer(&out, &o) && out.n == 0);
	buf_fini(&out);
	buf_init(&out, 3 * MILTER_PACKET_MAX);
	T_CHECK(!milter_pack(&out, &e) && out.n == 0);
	T_CHECK(!milter_pack_chunk(&out, &e) && out.n == 0);
	e.text.n--;
	T_CHECK(milter_pack(&out, &e));
	T_EQ_NUM(out.n, 4 + MILTER_PACKET_MAX);
	buf_clear(&out);
	T_CHECK(milter_pack_chunk(&out, &e));
	T_EQ_STRV(buf_view(&out),
	    SV("\0\x10\x04\0"
	       "B"));
	buf_fini(&out);
	forget(big);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void
frames(void)
{
	struct strv in = SV("\0\0\0\x03yab\0\0\0\x01"
			    "c"),
		    packet;
	const char *why = NULL;
	size_t      need;

	for (size_t n = 0; n < 7; n++) {
		struct strv cut = exactly(strv_first(in, n));

		T_EQ_NUM(milter_frame(cut, 100, &packet, &need, &why), MILTER_FRAME_MORE);
		T_EQ_NUM(need, n < 4 ? 4 : 7);
		forget(cut);
	}
	T_EQ_NUM(milter_frame(in, 100, &packet, &need, &why), MILTER_FRAME_OK);
	T_EQ_STRV(packet, SV("yab"));
	T_EQ_NUM(need, 7);
	T_EQ_NUM(milter_frame(strv_from(in, 7), 100, &packet, &need, &why), MILTER_FRAME_OK);
	T_EQ_STRV(packet, SV("c"));
	T_EQ_NUM(milter_frame(in, 3, &packet, &need, &why), MILTER_FRAME_OK);
	T_CHECK(why == NULL);
	T_EQ_NUM(milter_frame(in, 2, &packet, &need, &why), MILTER_FRAME_BAD);
	T_EQ_STR(why, "a packet that is too long");
	T_EQ_NUM(milter_frame(SV("\0\0\0\0c"), 100, &packet, &need, &why), MILTER_FRAME_BAD);
	T_EQ_STR(why, "a packet without a command");
	T_EQ_NUM(milter_frame(SV("\xff\xff\xff\xff"), MILTER_PACKET_MAX, &packet, &need, &why),
	    MILTER_FRAME_BAD);
}

/* --- the negotiation -------------------------------------------------------------------------- */

static const struct milter_offer all = { 6, 0x1ff, 0x301fffff, { { 0 } } };

/* clang-format off */
static const struct offered {
	const char *name;
	struct strv packet;
	uint32_t    version, actions, protocol; /* what is understood; version 0: no offer at all */
	const char *why;                        /* NULL: agreed */
} offered[] = {
	{ "opendkim", SV("O\0\0\0\6\0\0\1\x11\0\x10\7\2"), 6, 0x111, 0x100702, NULL },
	{ "all of it", SV("O\0\0\0\6\0\0\1\xff\x30\x1f\xff\xff"), 6, 0x1ff, 0x301fffff, NULL },
	{ "version 2", SV("O\0\0\0\2\0\0\0\x3f\0\0\0\x7f"), 2, 0x3f, 0x37f, NULL },
	{ "version 2, later bits", SV("O\0\0\0\2\0\0\0\0\0\x0f\xff\x80"), 2, 0, 0x300, NULL },
	{ "version 3", SV("O\0\0\0\3\0\0\0\0\0\0\1\x80"), 3, 0, 0x380, NULL },
	{ "version 4", SV("O\0\0\0\4\0\0\0\0\0\0\6\0"), 4, 0, 0x200, NULL },
	{ "version 5", SV("O\0\0\0\5\0\0\0\0\0\0\0\0"), 5, 0, 0, NULL },
	{ "version 1", SV("O\0\0\0\1\0\0\0\0\0\0\0\0"), 1, 0, 0, "a version of the protocol that was not offered" },
	{ "version 7", SV("O\0\0\0\7\0\0\0\0\0\0\0\0"), 7, 0, 0, "a version of the protocol that was not offered" },
	{ "other actions", SV("O\0\0\0\6\0\0\2\0\0\0\0\0"), 6, 0x200, 0, "it wants actions that were not offered" },
	{ "other steps", SV("O\0\0\0\6\0\0\0\0\0\x20\0\0"), 6, 0, 0x200000, "it wants protocol steps that were not offered" },
	{ "nothing", SV(""), 0, 0, 0, "no answer to the negotiation" },
	{ "CONTINUE", SV("c"), 0, 0, 0, "no answer to the negotiation" },
	{ "only a letter", SV("O"), 0, 0, 0, "a negotiation that is cut off" },
	{ "eleven octets", SV("O\0\0\0\6\0\0\0\0\0\0\0"), 0, 0, 0, "a negotiation that is cut off" },
	{ "half a number behind", SV("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0"), 0, 0, 0, "a list of macros that is cut off" },
	{ "a list without NUL", SV("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1i j"), 0, 0, 0, "a list of macros that is cut off" },
	{ "a list for place 7", SV("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\7i\0"), 0, 0, 0, "a list of macros for no place" },
	{ "a list for place 2^31", SV("O\0\0\0\6\0\0\0\0\0\0\0\0\x80\0\0\0i\0"), 0, 0, 0, "a list of macros for no place" },
	{ "LF in a list", SV("O\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\1i\nj\0"), 0, 0, 0, "a control character in a list of macros" },
};
/* clang-format on */

static void
understands_offers(void)
{
	T_TABLE(struct offered, row, offered)
	{
		struct strv         packet = exactly(row->packet);
		struct milter_offer out;
		const char         *why = NULL;

		t_row = row->name;
		T_EQ_NUM(milter_unpack_offer(packet, &all, &out, &why), row->why == NULL);
		T_EQ_STR(why, row->why);
		T_EQ_NUM(out.version, row->version);
		if (row->version != 0) {
			T_EQ_NUM(out.actions, row->actions);
			T_EQ_NUM(out.protocol, row->protocol);
		}
		forget(packet);
	}
}

static void
takes_lists_of_macros(void)
{
	struct milter_offer o = { 6, 0x100, 0,
		{ [MILTER_AT_HELO] = SV("j"), [MILTER_AT_EOH] = SV("") } },
			    out;
	struct buf  b;
	const char *why;
	struct strv packet;

	buf_init(&b, 200);
	T_CHECK(milter_pack_offer(&b, &o));
	packet = exactly(strv_from(buf_view(&b), 4));
	T_CHECK(milter_unpack_offer(packet, &all, &out, &why));
	T_EQ_STRV(out.macros[MILTER_AT_HELO], SV("j"));
	T_CHECK(out.macros[MILTER_AT_EOH].p != NULL && out.macros[MILTER_AT_EOH].n == 0);
	T_CHECK(out.macros[MILTER_AT_CONNECT].p == NULL && out.macros[MILTER_AT_EOM].p == NULL);
	for (size_t n = 0; n < packet.n; n++) {
		struct strv cut = exactly(strv_first(packet, n));

		/* Behind the numbers, and behind the first list, it is whole. */
		T_EQ_NUM(milter_unpack_offer(cut, &all, &out, &why), n == 13 || n == 13 + 6);
		forget(cut);
	}
	forget(packet);
	buf_fini(&b);
}

/* --- answers ---------------------------------------------------------------------------------- */

/* clang-format off */
static const struct answered {
	struct strv          packet;
	struct milter_answer a;
} answered[] = {
	{ SV("c"), { .kind = MILTER_ANS_CONTINUE } }, { SV("a"), { .kind = MILTER_ANS_ACCEPT } },
	{ SV("r"), { .kind = MILTER_ANS_REJECT } },   { SV("t"), { .kind = MILTER_ANS_TEMPFAIL } },
	{ SV("d"), { .kind = MILTER_ANS_DISCARD } },  { SV("s"), { .kind = MILTER_ANS_SKIP } },
	{ SV("f"), { .kind = MILTER_ANS_CONN_FAIL } }, { SV("4"), { .kind = MILTER_ANS_SHUTDOWN } },
	{ SV("p"), { .kind = MILTER_ANS_PROGRESS } },
	{ SV("y550 5.7.1 no\0"), { MILTER_ANS_REPLYCODE, 550, "5.7.1", .text = SV("no") } },
	{ SV("y421 4.3.2 50%% off %% all\0"), { MILTER_ANS_REPLYCODE, 421, "4.3.2", .text = SV("50% off % all") } },
	{ SV("y550-5.7.1 a\r\n550-5.7.1 b\r\n550 5.7.1 c\0"), { MILTER_ANS_REPLYCODE, 550, "5.7.1", .text = SV("a\nb\nc") } },
	{ SV("y550 no code\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("no code") } },
	{ SV("+<a@b.example>\0"), { MILTER_ANS_ADD_RCPT, .address = SV("<a@b.example>") } },
	{ SV("2<a@b.example>\0NOTIFY=NEVER\0"), { MILTER_ANS_ADD_RCPT_PAR, .address = SV("<a@b.example>"), .params = SV("NOTIFY=NEVER") } },
	{ SV("2<a@b.example>\0"), { MILTER_ANS_ADD_RCPT_PAR, .address = SV("<a@b.example>") } },
	{ SV("-a@b.example\0"), { MILTER_ANS_DELETE_RCPT, .address = SV("a@b.example") } },
	{ SV("e<>\0"), { MILTER_ANS_CHANGE_FROM, .address = SV("<>") } },
	{ SV("e<x@y.example>\0RET=HDRS\0"), { MILTER_ANS_CHANGE_FROM, .address = SV("<x@y.example>"), .params = SV("RET=HDRS") } },
	{ SV("hX-Spam\0yes\n\tvery\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X-Spam"), .value = SV("yes\n\tvery") } },
	{ SV("hX\0\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X"), .value = SV("") } },
	{ SV("i\0\0\0\0X\0 y\0"), { MILTER_ANS_INSERT_HEADER, .at = 0, .name = SV("X"), .value = SV(" y") } },
	{ SV("i\0\1\0\2X\0y\0"), { MILTER_ANS_INSERT_HEADER, .at = 65538, .name = SV("X"), .value = SV("y") } },
	{ SV("m\0\0\0\1Subject\0z\0"), { MILTER_ANS_CHANGE_HEADER, .at = 1, .name = SV("Subject"), .value = SV("z") } },
	{ SV("m\x7f\xff\xff\xffSubject\0\0"), { MILTER_ANS_CHANGE_HEADER, .at = 0x7fffffff, .name = SV("Subject"), .value = SV("") } },
	{ SV("b\0\r\rx\n"), { MILTER_ANS_REPLACE_BODY, .body = SV("\0\r\rx\n") } },
	{ SV("b"), { MILTER_ANS_REPLACE_BODY, .body = SV("") } },
	{ SV("qa virus\0"), { MILTER_ANS_QUARANTINE, .text = SV("a virus") } },
};

/* Others that mean the same. */
static const struct answered tolerated[] = {
	{ SV("y550 5.7.1 no"), { MILTER_ANS_REPLYCODE, 550, "5.7.1", .text = SV("no") } },      /* without its NUL */
	{ SV("y550-5.7.1 a\n550 5.7.1 b\0"), { MILTER_ANS_REPLYCODE, 550, "5.7.1", .text = SV("a\nb") } },
	{ SV("y550-a\r\n550\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("a\n") } },
	{ SV("y550-\r\n550 b\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("\nb") } },
	{ SV("y550\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("") } },
	{ SV("y550 \0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("") } },
	{ SV("y550  x\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("x") } },
	{ SV("y451 4.7.1\0"), { MILTER_ANS_REPLYCODE, 451, "4.7.1", .text = SV("") } },
	{ SV("y550 4.7.1 other class\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("other class") } },
	{ SV("y450 2.0.0 other class\0"), { MILTER_ANS_REPLYCODE, 450, "", .text = SV("other class") } },
	{ SV("y550 5.777.123 x\0"), { MILTER_ANS_REPLYCODE, 550, "5.777.123", .text = SV("x") } },
	{ SV("y550 5.7777.1 x\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("5.7777.1 x") } },
	{ SV("y550 5.7.1no\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("5.7.1no") } },
	{ SV("y550 5.7 no\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("5.7 no") } },
	{ SV("y550 100% sure %s %% %%%d\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("100% sure %s % %%d") } },
	{ SV("y550 8 bit \xc3\xbc\t\0"), { MILTER_ANS_REPLYCODE, 550, "", .text = SV("8 bit \xc3\xbc\t") } },
	{ SV("m\0\0\0\0X\0y\0"), { MILTER_ANS_CHANGE_HEADER, .at = 1, .name = SV("X"), .value = SV("y") } },
	{ SV("hX\0a\r\n b\n\tc\r\n\td\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X"), .value = SV("a\n b\n\tc\n\td") } },
	{ SV("hX\0a\n\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X"), .value = SV("a") } },
	{ SV("hX\0a\r\n b\r\n\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X"), .value = SV("a\n b") } },
	{ SV("hX\0\n\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X"), .value = SV("") } },
	/* An empty value would delete it. */
	{ SV("m\0\0\0\1X\0\n\0"), { MILTER_ANS_CHANGE_HEADER, .at = 1, .name = SV("X"), .value = SV(" ") } },
	{ SV("hX\0\r\n b\0"), { MILTER_ANS_ADD_HEADER, .name = SV("X"), .value = SV("\n b") } },
	{ SV("2<a@b.example>\0\0"), { MILTER_ANS_ADD_RCPT_PAR, .address = SV("<a@b.example>") } },
	{ SV("q\0"), { MILTER_ANS_QUARANTINE, .text = SV("") } },
};
/* clang-format on */

static void
same_answer(const struct milter_answer *have, const struct milter_answer *want)
{
	T_EQ_NUM(have->kind, want->kind);
	T_EQ_NUM(have->code, want->code);
	T_EQ_STR(have->enh, want->enh);
	T_EQ_STRV(have->text, want->text);
	T_EQ_STRV(have->name, want->name);
	T_EQ_STRV(have->value, want->value);
	T_EQ_NUM(have->at, want->at);
	T_EQ_STRV(have->address, want->address);
	T_EQ_STRV(have->params, want->params);
	T_CHECK((have->params.p == NULL) == (want->params.n == 0));
	T_EQ_STRV(have->body, want->body);
}

/* Into a scratch of its own, and over the packet itself. */
static void
unpack_twice(struct strv packet, const struct milter_answer *want)
{
	char                *scratch = malloc(packet.n);
	struct milter_answer a;
	const char          *why = "";

	if (T_CHECKF(milter_unpack(packet, scratch, &a, &why), "%s", why))
		same_answer(&a, want);
	if (T_CHECK(milter_unpack(packet, (char *)(uintptr_t)packet.p, &a, &why)))
		same_answer(&a, want);
	free(scratch);
}

static void
unpacks_answers(void)
{
	T_TABLE(struct answered, row, answered)
	{
		struct strv packet = exactly(row->packet);
		struct buf  out;

		t_row = milter_answer_name(row->a.kind);
		unpack_twice(packet, &row->a);
		buf_init(&out, 1000);
		T_CHECK(milter_pack_answer(&out, &row->a));
		T_EQ_STRV(strv_from(buf_view(&out), 4), row->packet);
		forget(packet);
		buf_fini(&out);
	}
	T_TABLE(struct answered, row, tolerated)
	{
		struct strv packet = exactly(row->packet);

		t_row = row->packet.p;
		unpack_twice(packet, &row->a);
		forget(packet);
	}
}

/* An answer that is cut off is none, or says what stands there and no more. */
static void
answers_cut_anywhere(void)
{
	T_TABLE(struct answered, row, answered)
	for (size_t n = 0; n < row->packet.n; n++) {
		struct strv          cut = exactly(strv_first(row->packet, n));
		struct milter_answer a;
		const char          *why = NULL;
		bool                 ok = milter_unpack(cut, (char *)(uintptr_t)cut.p, &a, &why);
		bool                 par = n > 1 && cut.p[n - 1] == '\0' && a.params.p == NULL;

		t_row = milter_answer_name(row->a.kind);
		if (!ok)
			T_CHECK(why != NULL);
		else
			T_CHECKF(
			    row->packet.p[0] == 'y' || row->packet.p[0] == 'b' || par, "at %zu", n);
		forget(cut);
	}
}

/* Octet by octet as they come from a socket, several in a row: each is there when its last octet is, not before. */
static void
answers_byte_by_byte(void)
{
	struct buf in;
	size_t     begin = 0, at = 0, n = 0;

	buf_init(&in, 10000);
	T_TABLE(struct answered, row, answered)
	milter_pack_answer(&in, &row->a);
	while (at < in.n) {
		struct strv       seen = exactly(strv(in.p + begin, ++at - begin)), packet;
		size_t            need;
		const char       *why;
		enum milter_frame rc = milter_frame(seen, MILTER_PACKET_MAX, &packet, &need, &why);

		T_EQ_NUM(
		    rc, seen.n == 4 + answered[n].packet.n ? MILTER_FRAME_OK : MILTER_FRAME_MORE);
		if (rc == MILTER_FRAME_OK) {
			T_EQ_STRV(packet, answered[n].packet);
			unpack_twice(packet, &answered[n++].a);
			begin = at;
		}
		forget(seen);
	}
	T_EQ_NUM(n, T_COUNT(answered));
	buf_fini(&in);
}

/* clang-format off */
static const struct refused {
	struct strv packet;
	const char *why;
} refused[] = {
	{ SV(""), "no answer that is known" },
	{ SV("\0"), "no answer that is known" },
	{ SV("C"), "no answer that is known" },
	{ SV("l\0\0\0\1i\0"), "no answer that is known" },
	{ SV("HTTP/1.1 400 Bad Request\r\n"), "no answer that is known" },
	{ SV("cx"), "octets behind an answer that has none" },
	{ SV("a\0"), "octets behind an answer that has none" },
	/* replies */
	{ SV("y"), "an empty reply" },
	{ SV("y\0"), "an empty reply" },
	{ SV("y\0\0"), "a NUL in a reply" },
	{ SV("y55\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y250 ok\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y354 go\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y650 x\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y5x0 x\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("ysorry\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y 550 x\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y5500 x\0"), "a malformed reply of several lines" },
	{ SV("y550\tx\0"), "a malformed reply of several lines" },
	{ SV("y550-only one\0"), "a malformed reply of several lines" },
	{ SV("y550 a\r\n550 b\0"), "a malformed reply of several lines" },
	{ SV("y550\r\n550 b\0"), "a malformed reply of several lines" },
	{ SV("y550-a\r\n550-b\0"), "a malformed reply of several lines" },
	{ SV("y550-a\r\n250 ok\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y550 5.7.1 no\r\n250 2.0.0 ok\0"), "a malformed reply of several lines" },
	{ SV("y550-a\r\n451 b\0"), "a reply of two codes" },
	{ SV("y550-a\r\nb\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y550-a\r\n\0"), "a reply whose code is not 4xx or 5xx" },
	{ SV("y550 a\r\n\0"), "a malformed reply of several lines" },
	{ SV("y550 a\rb\0"), "a stray CR in a reply" },
	{ SV("y550 a\r\0"), "a stray CR in a reply" },
	{ SV("y550-a\r\r\n550 b\0"), "a stray CR in a reply" },
	{ SV("y550 a\0b\0"), "a NUL in a reply" },
	{ SV("y550 a\0b"), "a NUL in a reply" },
	{ SV("y550 100%\0"), "half a % at the end of a reply" },
	{ SV("y550 100%"), "half a % at the end of a reply" },
	{ SV("y550 %%%\0"), "half a % at the end of a reply" },
	{ SV("y550 %\0"), "half a % at the end of a reply" },
	{ SV("y550-%\r\n550 b\0"), "half a % at the end of a reply" },
	/* header fields */
	{ SV("h"), "a header field without its NUL" },
	{ SV("hX"), "a header field without its NUL" },
	{ SV("hX\0"), "a header field without its NUL" },
	{ SV("hX\0y"), "a header field without its NUL" },
	{ SV("hX\0y\0z"), "octets behind a header field" },
	{ SV("hX\0y\0\0"), "octets behind a header field" },
	{ SV("h\0y\0"), "a malformed name of a header field" },
	{ SV("hX Y\0y\0"), "a malformed name of a header field" },
	{ SV("hX:\0y\0"), "a malformed name of a header field" },
	{ SV("hX\r\nBcc\0y\0"), "a malformed name of a header field" },
	{ SV("hX\xc3\xbc\0y\0"), "a malformed name of a header field" },
	{ SV("hX\0a\r\nBcc: x\0"), "a stray LF in a header field" },
	{ SV("hX\0a\nBcc: x\0"), "a stray LF in a header field" },
	{ SV("hX\0a\n\n\0"), "a stray LF in a header field" },
	{ SV("hX\0a\r\r\n\0"), "a stray CR in a header field" },
	{ SV("hX\0a\r\0"), "a stray CR in a header field" },
	{ SV("hX\0a\n\n b\0"), "a stray LF in a header field" },
	{ SV("hX\0a\r\n\r\nbody\0"), "a stray LF in a header field" },
	{ SV("hX\0a\rb\0"), "a stray CR in a header field" },
	{ SV("hX\0a\r\0"), "a stray CR in a header field" },
	{ SV("hX\0a\r b\0"), "a stray CR in a header field" },
	{ SV("hX\0a\r\r\n b\0"), "a stray CR in a header field" },
	{ SV("i\0\0\0"), "a header field without its place" },
	{ SV("m"), "a header field without its place" },
	{ SV("i\0\0\0\0"), "a header field without its NUL" },
	{ SV("m\x80\0\0\0X\0y\0"), "a header field whose place is below 0" },
	{ SV("i\xff\xff\xff\xffX\0y\0"), "a header field whose place is below 0" },
	/* the envelope */
	{ SV("+"), "an address without its NUL" },
	{ SV("+a@b.example"), "an address without its NUL" },
	{ SV("+\0"), "an empty address" },
	{ SV("e\0"), "an empty address" },
	{ SV("+a@b.example\0x"), "octets behind an address" },
	{ SV("+a@b.example\0SIZE=1\0"), "octets behind an address" },
	{ SV("-a@b.example\0x"), "octets behind an address" },
	{ SV("2a@b.example\0SIZE=1"), "parameters without their NUL" },
	{ SV("2a@b.example\0SIZE=1\0x"), "octets behind an address" },
	{ SV("+a@b.example\r\nDATA\0"), "a control character in an address" },
	{ SV("2a@b.example\0X=1\r\nDATA\0"), "a control character in an address" },
	{ SV("e<a@b.example\x7f>\0"), "a control character in an address" },
	/* the rest */
	{ SV("qreason"), "a reason without its NUL" },
	{ SV("qreason\0x"), "octets behind a reason" },
	{ SV("qrea\r\nson\0"), "a control character in a reason" },
};
/* clang-format on */

static void
refuses(void)
{
	T_TABLE(struct refused, row, refused)
	{
		struct strv          packet = exactly(row->packet);
		char                *scratch = malloc(packet.n + 1);
		struct milter_answer a;
		const char          *why = NULL;

		t_row = row->packet.p;
		T_CHECK(!milter_unpack(packet, scratch, &a, &why));
		T_EQ_STR(why, row->why);
		free(scratch);
		forget(packet);
	}
}

/* --- ceilings --------------------------------------------------------------------------------- */

static bool
unpacks(struct buf *b, struct milter_answer *a, const char **why)
{
	*why = "";
	return milter_unpack(buf_view(b), b->p, a, why);
}

static void
fill(struct buf *b, char c, size_t n)
{
	while (n-- > 0)
		buf_addc(b, c);
}

static void
ceilings(void)
{
	struct milter_answer a;
	const char          *why;
	struct buf           b;

	buf_init(&b, 300000);
	for (unsigned over = 0; over < 2; over++) {
		buf_clear(&b);
		buf_add(&b, SV("y550 5.7.1 "));
		fill(&b, 'x', MILTER_TEXT_MAX + over);
		T_EQ_NUM(unpacks(&b, &a, &why), !over);
		T_EQ_STR(why, over ? "a line of a reply that is too long" : "");
		buf_clear(&b);
		buf_addc(&b, 'y');
		for (unsigned i = 1; i < MILTER_LINES_MAX + over; i++)
			buf_add(&b, SV("550-x\r\n"));
		buf_add(&b, SV("550 x"));
		T_EQ_NUM(unpacks(&b, &a, &why), !over);
		T_EQ_STR(why, over ? "a reply of too many lines" : "");
		buf_clear(&b);
		buf_addc(&b, '+');
		fill(&b, 'x', over ? 100000 : MILTER_ADDRESS_MAX);
		buf_addc(&b, '\0');
		T_EQ_NUM(unpacks(&b, &a, &why), !over);
		T_EQ_STR(why, over ? "an address that is too long" : "");
		buf_clear(&b);
		buf_add(&b, SV("2x\0"));
		fill(&b, 'x', MILTER_ADDRESS_MAX + over);
		buf_addc(&b, '\0');
		T_EQ_NUM(unpacks(&b, &a, &why), !over);
		buf_clear(&b);
		buf_addc(&b, 'q');
		fill(&b, 'x', MILTER_TEXT_MAX + over);
		buf_addc(&b, '\0');
		T_EQ_NUM(unpacks(&b, &a, &why), !over);
		T_EQ_STR(why, over ? "a reason that is too long" : "");
	}
	/* Doubled, the same line is twice as long on the wire. */
	buf_clear(&b);
	buf_add(&b, SV("y550 "));
	fill(&b, '%', 2 * MILTER_TEXT_MAX);
	T_CHECK(unpacks(&b, &a, &why) && a.text.n == MILTER_TEXT_MAX);
	buf_fini(&b);
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(names_and_octets);
	T_RUN(legal_answers);
	T_RUN(packs_events);
	T_RUN(events_cut_anywhere);
	T_RUN(events_that_are_none);
	T_RUN(packs_macros);
	T_RUN(no_nul_inside_a_string);
	T_RUN(packs_whole_or_not_at_all);
	T_RUN(frames);
	T_RUN(understands_offers);
	T_RUN(takes_lists_of_macros);
	T_RUN(unpacks_answers);
	T_RUN(answers_cut_anywhere);
	T_RUN(answers_byte_by_byte);
	T_RUN(refuses);
	T_RUN(ceilings);
	return t_end();
}
