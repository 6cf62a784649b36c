/*
 * visit -- one SMTP session of another mail server as it asks us about it: the loop's side of postern-milter.
 *
 * Libmilter's threads fill in a struct visit_call and hand it over a bridge; here it becomes what the judge takes, and
 * what the judge says becomes an answer in plain octets.  Nothing here knows libmilter.
 */
#ifndef PROXY_HOSTS_VISIT_H
#define PROXY_HOSTS_VISIT_H

#include <sys/socket.h>

#include "proxy/base/buf.h"
#include "proxy/hosts/bridge.h"
#include "proxy/settings.h"

struct visit;
struct visits;                          /* all of one loop */

/* What is asked.  ABORT: the transaction is over; CLOSE: the session is, and no other call of it follows. */
enum visit_ask { VISIT_CONNECT, VISIT_HELO, VISIT_MAIL, VISIT_RCPT, VISIT_DATA, VISIT_HEADER, VISIT_BODY, VISIT_END,
	VISIT_ABORT, VISIT_CLOSE };

/* What the mail server tells beside: its macros. Absent: it did not. */
#define VISIT_WORDS(X) \
	X(QUEUE,     "i") \
	X(VERSION,   "v") \
	X(LISTENER,  "{daemon_name}") \
	X(LOCAL,     "{if_addr}") \
	X(LOCAL_TOO, "{daemon_addr}") \
	X(PORT,      "{daemon_port}") \
	X(TLS,       "{tls_version}") \
	X(CIPHER,    "{cipher}") \
	X(BITS,      "{cipher_bits}") \
	X(SUBJECT,   "{cert_subject}") \
	X(VERIFIED,  "{verify}") \
	X(USER,      "{auth_authen}") \
	X(MECHANISM, "{auth_type}") \
	X(AUTHOR,    "{auth_author}")

enum visit_word {
#define X(name, macro) WORD_##name,
	VISIT_WORDS(X)
#undef X
	WORD_MAX
};

/* What is to be done to the message, in this order. */
enum visit_op { VISIT_CHANGE /* a header field: `at' of its name, from 1 */, VISIT_INSERT /* at */,
	VISIT_ADD, VISIT_DELETE_RCPT, VISIT_ADD_RCPT, VISIT_QUARANTINE };

struct visit_edit {                     /* texts: offsets in visit_answer.text, each with a NUL behind */
	enum visit_op op;
	int           at;
	size_t        name, value;      /* of a field; of others the value is the address or the reason */
	bool          gone;             /* CHANGE: delete */
};

enum visit_say { VISIT_GO_ON, VISIT_TEMPFAIL, VISIT_REJECT, VISIT_DISCARD };

struct visit_answer {
	enum visit_say     say;
	unsigned           code;        /* 0: no reply of ours, the mail server has one */
	char               enh[10];     /* "": none */
	size_t             reply;       /* TEMPFAIL, REJECT: lines split by \n, printable ASCII */
	struct buf         text;        /* all texts; [0] is NUL */
	struct visit_edit *edit;        /* at the end of a message that goes on; mem_array */
	unsigned           n_edit, max_edit;
};

struct visit_call {
	struct bridge_call  call;
	struct visits      *all;
	struct visit       *visit;      /* CONNECT: set by the answer */
	enum visit_ask      ask;
	bool                leadspc;    /* HEADER: values carry what follows the colon, else one blank is meant */
	struct sockaddr_storage from;   /* CONNECT: ss_family AF_UNSPEC: not known */
	/*
	 * HELO: the name; MAIL, RCPT: the address; BODY: octets; HEADER: name NUL value NUL ...; views into octets
	 * behind this struct
	 */
	struct strv         text;
	struct strv         params;     /* MAIL, RCPT: "SIZE=1 BODY=7BIT" */
	struct strv         word[WORD_MAX];
	bool                too_much;   /* HEADER: more than was kept */
	struct visit_answer answer;
};

/* THREAD: for which `room' octets of views can be copied by visit_call_keep. */
struct visit_call *visit_call_new(struct visits *all, struct visit *v, enum visit_ask ask, size_t room);
/* THREAD: a copy of n octets at p, with a NUL behind (of room, too). p NULL: absent. */
struct strv visit_call_keep(struct visit_call *c, const char *p, size_t n);
/* THREAD: of a call that is the caller's. */
void visit_call_free(struct visit_call *c);

/* In the loop's thread; for as long as the process lives. */
struct visits *visits_new(struct bridge *b, struct world *w, struct loop *l, const struct settings *s);
unsigned visits_open(const struct visits *all);

#endif
