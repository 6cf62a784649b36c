/*
 * probe -- a filter that does what it is told: each callback, each answer, each edit, and each fault.
 *
 * One source, two ways of being built: a shared object for `plugin', and with -DALONE a milter of its own on real
 * libmilter.  Orders come by what it is shown:
 *
 *   connect   from 127.0.2.N: the Nth of `answers' (N from 1), the last of which is a crash
 *   helo      a name do-WORD.anything; mail, rcpt: a local part do-WORD, with +anything behind it
 *   data      a sender data-WORD
 *   unknown   a command XDO WORD
 *   later     fields X-Do: STAGE WORD ARGUMENTS, STAGE being header (at once), eoh, body (the first piece) or eom,
 *             carried out in the order in which they stand
 *
 * Arguments: journal=FILE, where a line for each callback of a connection goes when it closes, with what it was told;
 * steps=HEX, what it asks for (SMFIP_...); symlist=STAGE:NAMES; actions=HEX.
 */
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/un.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

int                    plugin_args(int argc, char **argv);
extern struct smfiDesc smfilter;

#define JOURNAL_MAX 65536
#define ORDERS_MAX  64
#define NO_ANSWER   (-1)

struct probe {
	char     journal[JOURNAL_MAX];
	size_t   n;
	unsigned counts[16];
	bool     data_told;
	char     data_word[64];
	char    *order[ORDERS_MAX]; /* "STAGE WORD ..." of this message */
	unsigned n_order;
	size_t   octets;
	bool     body_seen;
};

static pthread_mutex_t at_end = PTHREAD_MUTEX_INITIALIZER; /* each eom wants it */
static const char     *journal_file;
static unsigned long   steps, actions = 0x1ff;
static bool            steps_said;
static const char     *symlist;

enum call { CONNECT, HELO, MAIL, RCPT, DATA, HEADER, EOH, BODY, EOM, ABORT, CLOSE, UNKNOWN };

static const struct call_def {
	const char   *name;
	unsigned long no_reply; /* that step */
} calls[] = {
	[CONNECT] = { "connect", SMFIP_NR_CONN },
	[HELO] = { "helo", SMFIP_NR_HELO },
	[MAIL] = { "mail", SMFIP_NR_MAIL },
	[RCPT] = { "rcpt", SMFIP_NR_RCPT },
	[DATA] = { "data", SMFIP_NR_DATA },
	[HEADER] = { "header", SMFIP_NR_HDR },
	[EOH] = { "eoh", SMFIP_NR_EOH },
	[BODY] = { "body", SMFIP_NR_BODY },
	[EOM] = { "eom", 0 },
	[ABORT] = { "abort", 0 },
	[CLOSE] = { "close", 0 },
	[UNKNOWN] = { "unknown", SMFIP_NR_UNKN },
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

/* ---- the journal ----------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3))) note(struct probe *p, const char *fmt, ...)
{
	va_list ap;
	int     n;

	va_start(ap, fmt);
	n = vsnprintf(p->journal + p->n, JOURNAL_MAX - p->n, fmt, ap);
	va_end(ap);
	if (n > 0 && p->n + (size_t)n < JOURNAL_MAX)
		p->n += (size_t)n;
}

static void
note_text(struct probe *p, const char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= ' ' && *text < 127 && *text != '\\')
			note(p, "%c", *text);
		else
			note(p, "\\x%02x", (unsigned char)*text);
}

/* Macros that are there; what differs from one session to the next is only said to be there. */
static void
note_macros(struct probe *p, SMFICTX *ctx)
{
	static const char *const names[] = { "j", "v", "_", "{daemon_name}", "{daemon_addr}",
		"{if_name}", "{if_addr}", "{client_addr}", "{client_name}", "{client_ptr}",
		"{tls_version}", "{cipher}", "{auth_type}", "{auth_authen}", "{mail_addr}",
		"{mail_host}", "{mail_mailer}", "{rcpt_addr}", "{rcpt_host}", "{rcpt_mailer}",
		"{msg_id}" };
	static const char *const varying[] = { "i", "{client_port}", "{daemon_port}" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = smfi_getsymval(ctx, (char *)names[i]);

		if (v == NULL)
			continue;
		note(p, " %s=", names[i]);
		note_text(p, v);
	}
	for (size_t i = 0; i < sizeof(varying) / sizeof(varying[0]); i++)
		if (smfi_getsymval(ctx, (char *)varying[i]) != NULL)
			note(p, " %s", varying[i]);
}

static void
write_journal(const struct probe *p)
{
	int fd;

	if (journal_file == NULL)
		return;
	fd = open(journal_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0)
		return;
	(void)!write(fd, p->journal, p->n);
	close(fd);
}

/* ---- answers --------------------------------------------------------------------------------- */

static const struct answer {
	const char *word;
	sfsistat    status;
} answers[] = {
	{ "continue", SMFIS_CONTINUE },
	{ "reject", SMFIS_REJECT },
	{ "tempfail", SMFIS_TEMPFAIL },
	{ "accept", SMFIS_ACCEPT },
	{ "discard", SMFIS_DISCARD },
	{ "skip", SMFIS_SKIP },
	{ "reply554", SMFIS_REJECT },
	{ "reply451", SMFIS_TEMPFAIL },
	{ "reply421", SMFIS_TEMPFAIL },
	{ "mlreply550", SMFIS_REJECT },
	{ "crash", SMFIS_CONTINUE },
};

#define N_ANSWERS (sizeof(answers) / sizeof(answers[0]))

static void
set_reply(struct probe *p, SMFICTX *ctx, const char *word)
{
	char        code[4] = "", xcode[8];
	const char *digits = strstr(word, "reply") + 5;
	int         rc;

	if (strlen(digits) < 3)
		return;
	memcpy(code, digits, 3);
	snprintf(xcode, sizeof(xcode), "%c.7.9", code[0]);
	if (word[0] == 'm')
		rc = smfi_setmlreply(
		    ctx, code, xcode, "first line", "100% of the second", "third", NULL);
	else
		rc = smfi_setreply(ctx, code, xcode, (char *)"the probe says 100%% so");
	note(p, " setreply=%d", rc);
}

static void
leak(void)
{
	for (;;) {
		char *more = malloc(16u << 20);

		if (more == NULL)
			abort();
		memset(more, 1, 16u << 20);
	}
}

/* Frames of a page, until there is no more stack. */
static unsigned
overflow(unsigned n)
{
	static volatile unsigned enough = 1u << 30;
	volatile char            page[4096];

	for (size_t i = 0; i < sizeof(page); i += 512)
		page[i] = (char)n;
	return n == enough ? 0 : overflow(n + 1) + (unsigned)page[n % sizeof(page)];
}

/* All ways to take the process along. */
static void
crash(const char *word)
{
	static char *volatile nowhere = (char *)16;

	if (strcmp(word, "crash") == 0)
		raise(SIGSEGV);
	if (strcmp(word, "fault") == 0)
		*nowhere = 1;
	if (strcmp(word, "overflow") == 0)
		(void)overflow(0);
	if (strcmp(word, "abort") == 0)
		abort();
	if (strcmp(word, "exit") == 0)
		exit(7);
}

static void
misbehave(const char *word)
{
	static volatile unsigned long turns;

	crash(word);

	if (strcmp(word, "hang") == 0)
		for (;;)
			pause();
	if (strncmp(word, "fork", 4) == 0 && fork() == 0)
		for (;;)
			pause();
	if (strcmp(word, "forkcrash") == 0)
		abort();
	if (strcmp(word, "deadlock") == 0)
		for (;;)
			pthread_mutex_lock(&at_end);
	if (strcmp(word, "spin") == 0)
		for (;;)
			turns++;
	if (strcmp(word, "leak") == 0)
		leak();
}

/* NO_ANSWER: the word is none. */
static int
answer(struct probe *p, SMFICTX *ctx, const char *word)
{
	misbehave(word);
	for (size_t i = 0; i < N_ANSWERS; i++) {
		if (strcmp(answers[i].word, word) != 0)
			continue;
		if (strstr(word, "reply") != NULL)
			set_reply(p, ctx, word);
		return answers[i].status;
	}
	return NO_ANSWER;
}

/* ---- edits ----------------------------------------------------------------------------------- */

/* The next word of *at, in place; the rest is *at. */
static char *
next_word(char **at)
{
	char *word = *at, *end = strchr(word, ' ');

	if (end == NULL) {
		*at = word + strlen(word);
		return word;
	}
	*end = '\0';
	*at = end + 1;
	return word;
}

/* \n, \r and \t as in C. */
static void
unescape(char *text)
{
	static const char from[] = "nrt", to[] = "\n\r\t";
	char             *out = text;

	for (; *text != '\0'; text++) {
		const char *found = text[0] == '\\' && text[1] != '\0' ? strchr(from, text[1]) :
									 NULL;

		*out++ = found != NULL ? to[found - from] : *text;
		text += found != NULL;
	}
	*out = '\0';
}

/* So many KiB, in pieces of 60000 octets: no piece of the protocol's is that long. */
static int
replace_big(SMFICTX *ctx, unsigned kib)
{
	static char line[] = "a line of a body that a filter has made, sixty octets long\r\n";
	static char text[60000];
	size_t      all = (size_t)kib * 1024;
	int         rc = MI_SUCCESS;

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = line[i % 60];
	while (all > 0 && rc == MI_SUCCESS) {
		size_t n = all < sizeof(text) ? all / 60 * 60 + 60 : sizeof(text);

		rc = smfi_replacebody(ctx, (unsigned char *)text, (int)n);
		all -= n < all ? n : all;
	}
	return rc;
}

static int
counts(struct probe *p, SMFICTX *ctx)
{
	char   text[512];
	size_t n = 0;

	for (size_t i = 0; i < N_CALLS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%u", i > 0 ? " " : "",
		    calls[i].name, p->counts[i]);
	return smfi_addheader(ctx, (char *)"X-Probe", text);
}

static int
edit(struct probe *p, SMFICTX *ctx, const char *word, char *args)
{
	char *first, *second;

	if (strcmp(word, "replacebody") == 0) {
		unescape(args);
		return smfi_replacebody(ctx, (unsigned char *)args, (int)strlen(args));
	}
	first = next_word(&args);
	unescape(args);
	if (strcmp(word, "counts") == 0)
		return counts(p, ctx);
	if (strcmp(word, "progress") == 0)
		return smfi_progress(ctx);
	if (strcmp(word, "wait") == 0)
		return usleep((useconds_t)strtoul(first, NULL, 10) * 1000);
	if (strcmp(word, "addheader") == 0)
		return smfi_addheader(ctx, first, args);
	if (strcmp(word, "addrcpt") == 0)
		return smfi_addrcpt(ctx, first);
	if (strcmp(word, "addrcpt_par") == 0)
		return smfi_addrcpt_par(ctx, first, args);
	if (strcmp(word, "delrcpt") == 0)
		return smfi_delrcpt(ctx, first);
	if (strcmp(word, "chgfrom") == 0)
		return smfi_chgfrom(ctx, first, *args == '\0' ? NULL : args);
	if (strcmp(word, "replacebig") == 0)
		return replace_big(ctx, (unsigned)strtoul(first, NULL, 10));
	if (strcmp(word, "quarantine") == 0)
		return smfi_quarantine(ctx, first);
	second = next_word(&args);
	if (strcmp(word, "insheader") == 0)
		return smfi_insheader(ctx, (int)strtol(first, NULL, 10), second, args);
	if (strcmp(word, "chgheader") == 0)
		return smfi_chgheader(ctx, first, (int)strtol(second, NULL, 10), args);
	return NO_ANSWER;
}

/* ---- carrying out ---------------------------------------------------------------------------- */

static sfsistat
by_default(enum call at)
{
	return (steps & calls[at].no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat
end_call(struct probe *p, enum call at, int status)
{
	note(p, "\n");
	return status == NO_ANSWER ? by_default(at) : status;
}

/* One order; NO_ANSWER, or what is to be answered. */
static int
carry_out(struct probe *p, SMFICTX *ctx, const char *order)
{
	char  text[2048];
	char *at = text, *word;
	int   status;

	snprintf(text, sizeof(text), "%s", order);
	word = next_word(&at);
	status = answer(p, ctx, word);
	if (status != NO_ANSWER)
		return status;
	status = edit(p, ctx, word, at);
	note(p, " %s=%d", word, status);
	return NO_ANSWER;
}

/* All orders for a stage, in their order. */
static int
carry_out_all(struct probe *p, SMFICTX *ctx, enum call at)
{
	size_t n = strlen(calls[at].name);
	int    status = NO_ANSWER;

	for (unsigned i = 0; i < p->n_order && status == NO_ANSWER; i++)
		if (strncmp(p->order[i], calls[at].name, n) == 0 && p->order[i][n] == ' ')
			status = carry_out(p, ctx, p->order[i] + n + 1);
	return status;
}

static struct probe *
begin(SMFICTX *ctx, enum call at)
{
	struct probe *p = smfi_getpriv(ctx);

	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			abort();
		smfi_setpriv(ctx, p);
	}
	p->counts[at]++;
	note(p, "%s", calls[at].name);
	return p;
}

static void
forget_message(struct probe *p)
{
	for (unsigned i = 0; i < p->n_order; i++)
		free(p->order[i]);
	p->n_order = 0;
	p->octets = 0;
	p->body_seen = false;
	p->data_word[0] = '\0';
}

/* What stands behind `key' in <KEYword+...@...>, or a name KEYword.something. */
static bool
word_behind(char *out, size_t max, const char *text, const char *key)
{
	size_t n;

	text += *text == '<';
	if (strncmp(text, key, strlen(key)) != 0)
		return false;
	text += strlen(key);
	n = strcspn(text, "+.@>");
	snprintf(out, max, "%.*s", (int)n, text);
	return true;
}

static void
note_args(struct probe *p, char **argv)
{
	for (; *argv != NULL; argv++) {
		note(p, " ");
		note_text(p, *argv);
	}
}

/* ---- the callbacks --------------------------------------------------------------------------- */

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2, unsigned long f3,
    unsigned long *pf0, unsigned long *pf1, unsigned long *pf2, unsigned long *pf3)
{
	struct probe *p = calloc(1, sizeof(*p));
	char          names[256];
	int           stage = 0;

	(void)f2;
	(void)f3;
	if (p == NULL || smfi_setpriv(ctx, p) != MI_SUCCESS)
		return SMFIS_REJECT;
	/* How large a piece may be is nobody's step. */
	note(p, "negotiate actions=%lx steps=%lx", f0, f1 & 0x1ffffful);
	if (symlist != NULL && sscanf(symlist, "%d:%255[^\n]", &stage, names) == 2)
		note(p, " setsymlist=%d", smfi_setsymlist(ctx, stage, names));
	note(p, "\n");
	if (!steps_said)
		return SMFIS_ALL_OPTS;
	*pf0 = actions & f0;
	*pf1 = steps & f1;
	*pf2 = *pf3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *sa)
{
	struct probe             *p = begin(ctx, CONNECT);
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	char                      text[INET6_ADDRSTRLEN] = "-";
	int                       status = NO_ANSWER;
	uint32_t                  n;

	if (sa != NULL && sa->sa_family == AF_INET) {
		inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		n = ntohl(in->sin_addr.s_addr);
		if (n >> 8 == 0x7f0002 && (n & 0xff) > 0 && (n & 0xff) <= N_ANSWERS)
			status = answer(p, ctx, answers[(n & 0xff) - 1].word);
	}
	note(p, " %s %d %s", name, sa == NULL ? 0 : sa->sa_family, text);
	note_macros(p, ctx);
	return end_call(p, CONNECT, status);
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct probe *p = begin(ctx, HELO);
	char          word[64];
	int           status = NO_ANSWER;

	note(p, " %s", name);
	if (word_behind(word, sizeof(word), name, "do-"))
		status = answer(p, ctx, word);
	note_macros(p, ctx);
	return end_call(p, HELO, status);
}

static sfsistat
on_mail(SMFICTX *ctx, char **argv)
{
	struct probe *p = begin(ctx, MAIL);
	char          word[64];
	int           status = NO_ANSWER;

	forget_message(p);
	note_args(p, argv);
	if (word_behind(word, sizeof(word), argv[0], "do-"))
		status = answer(p, ctx, word);
	(void)word_behind(p->data_word, sizeof(p->data_word), argv[0], "data-");
	note_macros(p, ctx);
	return end_call(p, MAIL, status);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **argv)
{
	struct probe *p = begin(ctx, RCPT);
	char          word[64];
	int           status = NO_ANSWER;

	note_args(p, argv);
	if (word_behind(word, sizeof(word), argv[0], "do-"))
		status = answer(p, ctx, word);
	note_macros(p, ctx);
	return end_call(p, RCPT, status);
}

static sfsistat
on_data(SMFICTX *ctx)
{
	struct probe *p = begin(ctx, DATA);
	int           status = NO_ANSWER;

	if (p->data_word[0] != '\0')
		status = answer(p, ctx, p->data_word);
	note_macros(p, ctx);
	return end_call(p, DATA, status);
}

static sfsistat
on_unknown(SMFICTX *ctx, const char *command)
{
	struct probe *p = begin(ctx, UNKNOWN);
	int           status = NO_ANSWER;

	note(p, " ");
	note_text(p, command);
	if (strncmp(command, "XDO ", 4) == 0)
		status = answer(p, ctx, command + 4);
	note_macros(p, ctx);
	return end_call(p, UNKNOWN, status);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct probe *p = begin(ctx, HEADER);
	const char   *order = value + strspn(value, " ");
	int           status = NO_ANSWER;

	note(p, " ");
	note_text(p, name);
	note(p, ":");
	note_text(p, value);
	if (strcasecmp(name, "X-Do") == 0) {
		if (strncmp(order, "header ", 7) == 0)
			status = carry_out(p, ctx, order + 7);
		else if (p->n_order < ORDERS_MAX)
			p->order[p->n_order++] = strdup(order);
	}
	return end_call(p, HEADER, status);
}

static sfsistat
on_eoh(SMFICTX *ctx)
{
	struct probe *p = begin(ctx, EOH);
	int           status = carry_out_all(p, ctx, EOH);

	note_macros(p, ctx);
	return end_call(p, EOH, status);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *text, size_t n)
{
	struct probe *p = begin(ctx, BODY);
	int           status = NO_ANSWER;
	unsigned      sum = 0;

	for (size_t i = 0; i < n; i++)
		sum = sum * 31 + text[i];
	note(p, " %zu %08x", n, sum);
	if (!p->body_seen)
		status = carry_out_all(p, ctx, BODY);
	p->body_seen = true;
	p->octets += n;
	return end_call(p, BODY, status);
}

static sfsistat
on_eom(SMFICTX *ctx)
{
	struct probe *p = begin(ctx, EOM);
	int           status;

	pthread_mutex_lock(&at_end);
	pthread_mutex_unlock(&at_end);
	note(p, " octets=%zu", p->octets);
	status = carry_out_all(p, ctx, EOM);
	note_macros(p, ctx);
	forget_message(p);
	return end_call(p, EOM, status);
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct probe *p = begin(ctx, ABORT);

	forget_message(p);
	return end_call(p, ABORT, NO_ANSWER);
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct probe *p = smfi_getpriv(ctx);

	if (p == NULL)
		return SMFIS_CONTINUE;
	note(p, "close\n");
	write_journal(p);
	forget_message(p);
	smfi_setpriv(ctx, NULL);
	free(p);
	return SMFIS_CONTINUE;
}

struct smfiDesc smfilter = {
	.xxfi_name = (char *)"probe",
	.xxfi_version = SMFI_VERSION,
	.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_ADDRCPT |
	    SMFIF_ADDRCPT_PAR | SMFIF_DELRCPT | SMFIF_CHGFROM | SMFIF_QUARANTINE | SMFIF_SETSYMLIST,
	.xxfi_connect = on_connect,
	.xxfi_helo = on_helo,
	.xxfi_envfrom = on_mail,
	.xxfi_envrcpt = on_rcpt,
	.xxfi_data = on_data,
	.xxfi_unknown = on_unknown,
	.xxfi_header = on_header,
	.xxfi_eoh = on_eoh,
	.xxfi_body = on_body,
	.xxfi_eom = on_eom,
	.xxfi_abort = on_abort,
	.xxfi_close = on_close,
	.xxfi_negotiate = on_negotiate,
};

static int
take_arg(const char *arg)
{
	if (strncmp(arg, "journal=", 8) == 0)
		journal_file = strdup(arg + 8);
	else if (strncmp(arg, "symlist=", 8) == 0)
		symlist = strdup(arg + 8);
	else if (strncmp(arg, "actions=", 8) == 0)
		smfilter.xxfi_flags = actions = strtoul(arg + 8, NULL, 16);
	else if (strncmp(arg, "steps=", 6) == 0)
		steps = strtoul(arg + 6, NULL, 16);
	else if (strncmp(arg, "late=", 5) == 0)
		sleep((unsigned)strtoul(arg + 5, NULL, 10));
	else if (strncmp(arg, "once=", 5) == 0)
		return open(arg + 5, O_CREAT | O_EXCL | O_CLOEXEC, 0600) < 0 ? -1 : 0;
	else if (strcmp(arg, "crash") == 0)
		abort();
	else if (strcmp(arg, "hang") == 0)
		for (;;)
			pause();
	else
		return -1;
	steps_said = steps_said || arg[0] == 's' || arg[0] == 'a';
	return 0;
}

int
plugin_args(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (take_arg(argv[i]) != 0) {
			fprintf(stderr, "%s: what is `%s'?\n", argv[0], argv[i]);
			return -1;
		}
	return 0;
}

#ifdef ALONE
int
main(int argc, char **argv)
{
	if (argc < 2 || plugin_args(argc - 1, argv + 1) != 0) {
		fputs(
		    "usage: probe SOCKET [journal=FILE] [steps=HEX] [actions=HEX] [symlist=N:NAMES]\n",
		    stderr);
		return 2;
	}
	if (smfi_register(smfilter) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
#endif
