/*
 * t_log -- log lines: what strangers say stays inside its value and inside printable ASCII.
 */
#include "tests/unit/t.h"

#include "proxy/base/log.h"
#include "proxy/base/world.h"

static struct log_line l;
static char            last[LOG_LINE + 1];
static size_t          last_n;

static void
keep(struct world *w, struct strv line)
{
	(void)w;
	T_CHECK(line.n <= LOG_LINE);
	last_n = line.n <= LOG_LINE ? line.n : LOG_LINE;
	memcpy(last, line.p, last_n);
	last[last_n] = '\0';
}

static struct world world = { .log = keep };

static bool
all_printable(void)
{
	for (size_t i = 0; i < last_n; i++)
		if (last[i] < 0x20 || last[i] > 0x7e)
			return false;
	return true;
}

static void
writes_a_line(void)
{
	log_begin(&l, &world, SV("4f2a.1"), "message");
	log_strv(&l, "from", SV("a@b.example"));
	log_number(&l, "size", 0);
	log_number(&l, "octets", UINT64_MAX);
	log_z(&l, "by", "policy line 12");
	log_z(&l, "none", NULL);
	log_strv(&l, "none", strv_z(NULL));
	log_strv(&l, "helo", SV(""));
	log_end(&l);
	T_EQ_STR(last,
	    "4f2a.1 message from=a@b.example size=0 octets=18446744073709551615 "
	    "by=\"policy line 12\" helo=\"\"");
	log_begin(&l, &world, strv_z(NULL), "start");
	log_end(&l);
	T_EQ_STR(last, "start");
}

/* Which octets take a value into quotes, wherever they stand in it. */
static void
quotes_what_is_not_plain(void)
{
	for (unsigned c = 0; c < 256; c++)
		for (unsigned at = 0; at < 19; at++) {
			char value[] = "abcdefghijklmnopqrs";
			bool plain = c > 0x20 && c < 0x7f && c != '"' && c != '\\';

			value[at] = (char)c;
			log_begin(&l, &world, strv_z(NULL), "v");
			log_strv(&l, "k", strv(value, 19));
			log_end(&l);
			T_EQ_NUM(strncmp(last, "v k=\"", 5) != 0, plain);
			T_CHECK(all_printable());
		}
}

static void
escapes_values(void)
{
	/* clang-format off */
	static const struct { const char *value; size_t n; const char *want; } rows[] = {
		{ "<a@b>", 5, "v <a@b>" },
		{ "a=b", 3, "v a=b" },
		{ "a b", 3, "v \"a b\"" },
		{ "a\"b", 3, "v \"a\\\"b\"" },
		{ "a\\x", 3, "v \"a\\\\x\"" },
		{ "a\r\nb", 4, "v \"a\\x0d\\x0ab\"" },
		{ "\0", 1, "v \"\\x00\"" },
		{ "\x1b[31m", 5, "v \"\\x1b[31m\"" },
		{ "\x7f", 1, "v \"\\x7f\"" },
		{ "\xc3\xbc", 2, "v \"\\xc3\\xbc\"" },
		{ "\xff", 1, "v \"\\xff\"" },
		{ "\t", 1, "v \"\\x09\"" },
	};
	/* clang-format on */

	T_TABLE(__typeof__(rows[0]), r, rows)
	{
		t_row = r->want;
		log_begin(&l, &world, SV(""), "v");
		log_strv(&l, "k", strv(r->value, r->n));
		log_end(&l);
		T_CHECK(strncmp(last, "v k=", 4) == 0);
		T_EQ_STR(last + 4, r->want + 2);
	}
}

/* One word as long as may be leaves room for the others. */
static void
long_values_are_cut(void)
{
	static char plain[4000], wild[4000], want[LOG_LINE];

	memset(plain, 'a', sizeof(plain));
	memset(wild, '\n', sizeof(wild));
	log_begin(&l, &world, SV("1"), "x");
	log_strv(&l, "fits", strv(plain, LOG_VALUE));
	log_end(&l);
	snprintf(want, sizeof(want), "1 x fits=%.*s", LOG_VALUE, plain);
	T_EQ_STR(last, want);
	log_begin(&l, &world, SV("1"), "x");
	log_strv(&l, "cut", strv(plain, LOG_VALUE + 1));
	log_number(&l, "more", 1);
	log_end(&l);
	snprintf(want, sizeof(want), "1 x cut=\"%.*s\"... more=1", LOG_VALUE, plain);
	T_EQ_STR(last, want);
	log_begin(&l, &world, SV("1"), "x");
	log_strv(&l, "a", strv(wild, sizeof(wild)));
	log_strv(&l, "b", strv(wild, sizeof(wild)));
	log_strv(&l, "c", strv(wild, sizeof(wild)));
	log_z(&l, "verdict", "reject");
	log_end(&l);
	T_CHECK(last_n > 3 * LOG_VALUE && all_printable());
	T_EQ_STR(last + last_n - 15, " verdict=reject");
}

/* Whatever comes, a line keeps its limit, and one that was cut says so at its end. */
static void
lines_keep_their_limit(void)
{
	uint64_t seed = 5;
	unsigned cuts = 0, whole = 0;

	for (unsigned round = 0; round < 3000; round++) {
		static char value[700];
		size_t      sum = 0;

		log_begin(&l, &world, SV("id"), "what");
		for (unsigned k = t_random(&seed) % 9; k > 0; k--) {
			size_t n = t_random(&seed) % (sizeof(value) + 1);
			bool   wild = t_random(&seed) % 4 == 0;

			for (size_t i = 0; i < n; i++)
				value[i] = wild ? (char)t_random(&seed) : 'a';
			log_strv(&l, "key", strv(value, n));
			if (t_random(&seed) % 2 == 0)
				log_number(&l, "number", t_random(&seed));
			sum += n;
		}
		log_end(&l);
		T_CHECK(all_printable());
		T_CHECK(strncmp(last, "id what", 7) == 0);
		T_CHECK(sum < LOG_LINE || last_n > LOG_LINE / 2);
		if (l.cut) {
			T_EQ_STR(last + last_n - 3, "...");
			T_CHECK(last_n > LOG_LINE - 60);
			cuts++;
		} else
			whole++;
	}
	T_CHECK(cuts > 100 && whole > 100);
}

/* The room that is left at the end of a line, octet by octet. */
static void
cut_at_every_octet(void)
{
	static char filler[LOG_LINE];

	memset(filler, 'f', sizeof(filler));
	for (size_t left = 0; left <= 40; left++)
		for (unsigned kind = 0; kind < 4; kind++) {
			log_begin(&l, &world, strv(filler, LOG_LINE - left), "");
			if (kind == 0)
				log_strv(&l, "k", SV("plain"));
			else if (kind == 1)
				log_strv(&l, "k", SV("two\nlines"));
			else if (kind == 2)
				log_strv(&l, "k", SV(""));
			else
				log_number(&l, "k", 1234567);
			log_strv(&l, "z", SV(" "));
			log_end(&l);
			T_CHECK(all_printable());
			if (l.cut)
				T_EQ_STR(last + last_n - 3, "...");
			else
				T_EQ_STR(last + last_n - 6, " z=\" \"");
			T_CHECK(l.cut || left >= 12);
			T_CHECK(!l.cut || left < 40);
		}
}

static void
events(void)
{
	static char big[3000];

	log_event(&world, SV("7"), "tls", "peer %d: %s", 3, "bad\r\nthing \"x\" \\");
	T_EQ_STR(last, "7 tls peer 3: bad\\x0d\\x0athing \"x\" \\");
	log_event(&world, strv_z(NULL), "ready", "%s", "listening");
	T_EQ_STR(last, "ready listening");
	memset(big, 'b', sizeof(big) - 1);
	log_event(&world, SV("7"), "big", "%s", big);
	T_EQ_STR(last + last_n - 4, "b...");
	T_CHECK(last_n > 900);
	memset(big, '\n', sizeof(big) - 1);
	log_event(&world, SV("7"), "big", "%s", big);
	T_CHECK(last_n > LOG_LINE - 10 && all_printable());
	T_EQ_STR(last + last_n - 7, "\\x0a...");
}

static void
escapes_for_people(void)
{
	char buf[16];

	T_EQ_TEXT(log_escape(SV("a b\"\\"), buf, sizeof(buf)), "a b\"\\");
	T_EQ_TEXT(log_escape(SV("\x1b[0m"), buf, sizeof(buf)), "\\x1b[0m");
	T_EQ_TEXT(log_escape(SV("abc\n"), buf, 7), "abc\\x0a");
	T_EQ_TEXT(log_escape(SV("abc\n"), buf, 6), "abc");
	T_EQ_TEXT(log_escape(SV("\n"), buf, 0), "");
	T_EQ_TEXT(log_escape(SV(""), buf, sizeof(buf)), "");
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	T_RUN(writes_a_line);
	T_RUN(quotes_what_is_not_plain);
	T_RUN(escapes_values);
	T_RUN(long_values_are_cut);
	T_RUN(lines_keep_their_limit);
	T_RUN(cut_at_every_octet);
	T_RUN(events);
	T_RUN(escapes_for_people);
	return t_end();
}
