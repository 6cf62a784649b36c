/*
 * quarantine: the fields at the head of a kept message.  What was printed parses to the same; nothing else parses.
 */
#include "proxy/smtp/quarantine.h"

#include "proxy/base/arena.h"
#include "proxy/smtp/maildir.h"
#include "tests/unit/t.h"

static struct strv one_rcpt[] = { { "<u@ours.example>", 16 } };
static struct strv three_rcpts[] = { { "<u@ours.example>", 16 },
	{ "<v@ours.example> NOTIFY=NEVER", 29 }, { "<w@ours.example>", 16 } };

static struct quarantined
sample(bool full)
{
	struct quarantined q = {
		.id = SV("abcdefgh.12"),
		.check = SV("spam"),
		.time = SV("2026-11-22T04:59:35Z"),
		.client = SV("[2001:db8::1]:25"),
		.listener = SV("submission"),
		.sender = SV("<>"),
		.rcpt = one_rcpt,
		.n_rcpt = 1,
		.octets = 4711,
	};

	if (!full)
		return q;
	q.reason = SV("looks like: a virus");
	q.helo = SV("mx.example");
	q.esmtp = true;
	q.tls = SV("TLSv1.3");
	q.user = SV("a user with blanks");
	q.sender = SV("<a@b.example> SIZE=12 BODY=8BITMIME");
	q.rcpt = three_rcpts;
	q.n_rcpt = 3;
	return q;
}

static void
same(const struct quarantined *x, const struct quarantined *y)
{
	T_CHECK(strv_eq(x->id, y->id) && strv_eq(x->check, y->check) && strv_eq(x->time, y->time));
	T_CHECK(strv_eq(x->reason, y->reason));
	T_CHECK(strv_eq(x->client, y->client) && strv_eq(x->listener, y->listener));
	T_CHECK(strv_eq(x->helo, y->helo) && x->esmtp == y->esmtp && strv_eq(x->tls, y->tls));
	T_CHECK(strv_eq(x->user, y->user) && strv_eq(x->sender, y->sender));
	T_CHECK(x->n_rcpt == y->n_rcpt && x->octets == y->octets);
	for (unsigned i = 0; i < x->n_rcpt && i < y->n_rcpt; i++)
		T_CHECK(strv_eq(x->rcpt[i], y->rcpt[i]));
}

/* As it is, with the line ends of a Maildir, and cut at every octet: never taken for whole. */
static void
there_and_back(void)
{
	for (int full = 0; full < 2; full++) {
		struct arena      *a = arena_new(4096, 0);
		struct quarantined q = sample(full), back;
		struct strv        text = quarantine_print(a, &q), lf;
		size_t             used = 0, n = 0;
		const char        *why = NULL;
		char              *p = arena_bytes(a, text.n);

		T_CHECK(quarantine_parse(
		    a, arena_concat(a, text, SV("X-Postern-Octets: 1\r\nx")), &back, &used, &why));
		T_CHECK(used == text.n);
		same(&q, &back);
		for (size_t i = 0; i < text.n; i++)
			if (text.p[i] != '\r')
				p[n++] = text.p[i];
		lf = strv(p, n);
		T_CHECK(quarantine_parse(a, lf, &back, &used, &why) && used == lf.n);
		same(&q, &back);
		for (size_t i = 0; i + 6 < lf.n; i++)
			T_CHECK(!quarantine_parse(a, strv_first(lf, i), &back, &used, &why));
		arena_free(a);
	}
}

/* A name cannot end its line: nobody writes a recipient into the file. */
static void
no_line_is_smuggled(void)
{
	struct arena      *a = arena_new(4096, 0);
	struct quarantined q = sample(true), back;
	size_t             used;
	const char        *why;

	q.helo = SV("x\r\nX-Postern-Recipient: <evil@x.example>\n\0y");
	T_CHECK(quarantine_parse(a, quarantine_print(a, &q), &back, &used, &why));
	T_CHECK(back.n_rcpt == 3);
	T_CHECK(strv_eq(back.helo, SV("x??X-Postern-Recipient: <evil@x.example>??y")));
	arena_free(a);
}

/* A user without a name (a token said who it was) is still one: absent would be nobody. */
static void
user_without_a_name(void)
{
	struct arena      *a = arena_new(4096, 0);
	struct quarantined q = sample(true), back;
	size_t             used;
	const char        *why;

	q.user = SV("");
	T_CHECK(quarantine_parse(a, quarantine_print(a, &q), &back, &used, &why));
	T_CHECK(back.user.p != NULL);
	same(&q, &back);
	q.user = (struct strv){ NULL, 0 };
	T_CHECK(quarantine_parse(a, quarantine_print(a, &q), &back, &used, &why));
	T_CHECK(back.user.p == NULL);
	q.check = SV("");
	T_CHECK(!quarantine_parse(a, quarantine_print(a, &q), &back, &used, &why));
	arena_free(a);
}

/* What could not be read again is not written. */
static void
as_many_recipients_as_are_read(void)
{
	struct arena      *a = arena_new(4096, 0);
	struct quarantined q = sample(false), back;
	size_t             used;
	const char        *why;

	q.rcpt = arena_array(a, QUARANTINE_RCPTS + 1, sizeof *q.rcpt);
	for (q.n_rcpt = 0; q.n_rcpt < QUARANTINE_RCPTS; q.n_rcpt++)
		q.rcpt[q.n_rcpt] = one_rcpt[0];
	T_CHECK(quarantine_parse(a, quarantine_print(a, &q), &back, &used, &why));
	T_CHECK(back.n_rcpt == QUARANTINE_RCPTS);
	q.rcpt[q.n_rcpt++] = one_rcpt[0];
	T_CHECK(quarantine_print(a, &q).p == NULL);
	arena_free(a);
}

static void
refuses(void)
{
	static const char *const rows[] = {
		"",
		"Subject: x\n\n",
		"X-Postern-Quarantine: a.1\nX-Postern-Time: t\n",
		"X-Postern-Quarantine: a.1\nX-Postern-Check: c\nX-Postern-Time: t\nX-Postern-Client: c\n"
		"X-Postern-Listener: l\nX-Postern-Sender: <>\nX-Postern-Octets: 1\n",
		"X-Postern-Quarantine: a.1\nX-Postern-Check: c\nX-Postern-Time: t\nX-Postern-Client: c\n"
		"X-Postern-Listener: l\nX-Postern-Sender: <>\nX-Postern-Recipient: <u@d>\nX-Postern-Octets: x\n",
		"X-Postern-Quarantine: a.1\nX-Postern-Check: c\nX-Postern-Time: t\nX-Postern-Client: c\n"
		"X-Postern-Listener: l\nX-Postern-Sender: <>\nX-Postern-Recipient: <u@d>\nSubject: x\n"
		"X-Postern-Octets: 1\n",
	};
	struct arena      *a = arena_new(4096, 0);
	struct quarantined q;
	size_t             used;
	const char        *why;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		t_row = rows[i];
		T_CHECK(!quarantine_parse(a, strv_z(rows[i]), &q, &used, &why));
	}
	t_row = NULL;
	arena_free(a);
}

static void
names(void)
{
	T_CHECK(quarantine_id_good(SV("n7av2srr.1")) && quarantine_id_good(SV("0.9999")));
	T_CHECK(!quarantine_id_good(SV("")) && !quarantine_id_good(SV("*")));
	T_CHECK(!quarantine_id_good(SV("a/b")) && !quarantine_id_good(SV("A.1")));
	T_CHECK(!quarantine_id_good(SV("abcdefghijklmnop")));
	T_CHECK(maildir_octets(SV("/m,W=7/new/1.a.1.mx,W=120")) == 120);
	T_CHECK(maildir_octets(SV("1.a.1.mx,S=5,W=120:2,S")) == 120);
	T_CHECK(maildir_octets(SV("/m,W=7/new/1.a.1.mx")) == 0 && maildir_octets(SV("")) == 0);
	T_CHECK(maildir_octets(SV("x,W=")) == 0);
}

int
main(void)
{
	T_RUN(there_and_back);
	T_RUN(no_line_is_smuggled);
	T_RUN(user_without_a_name);
	T_RUN(as_many_recipients_as_are_read);
	T_RUN(refuses);
	T_RUN(names);
	return t_end();
}
