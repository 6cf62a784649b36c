/*
 * visit_client -- what the mail server tells of its client, in macros: addresses, TLS, who has authenticated.
 *
 * Not for names that the DNS has: filters ask for those as ever.  The invariant: where TLS or AUTH is another than before
 * the judge forgets what it made of the client, and only there: mail servers tell the same with every command.
 */
#include "proxy/hosts/visit_own.h"

/* True: it is another one than before. */
static bool
learn(struct visit *v, struct strv *known, struct strv said)
{
	if (said.n == 0)
		said.p = NULL;
	if (strv_eq(*known, said))
		return false;
	*known = said.p == NULL ? said : arena_dup(v->a, said);
	return true;
}

/*
 * Postfix tells the common name, of a certificate that it has verified, and nothing else; Sendmail the subject of any,
 * and beside it whether that is worth something.
 */
static bool
learn_certificate(struct visit *v, const struct visit_call *c)
{
	struct tls_facts *t = &v->client.tls;
	bool              postfix = strv_starts(c->word[WORD_VERSION], SV("Postfix"));
	bool              good = postfix || strv_eq(c->word[WORD_VERIFIED], SV("OK"));
	struct strv       subject = good ? c->word[WORD_SUBJECT] : strv(NULL, 0);
	bool              news = learn(v, &t->client_cert, subject);

	t->client_cn = postfix ? t->client_cert : strv(NULL, 0);
	return news;
}

void
visit_learn_client(struct visit *v, const struct visit_call *c)
{
	struct tls_facts *t = &v->client.tls;
	uint64_t          bits = 0;
	bool              news = learn(v, &t->version, c->word[WORD_TLS]);

	news |= learn(v, &t->cipher, c->word[WORD_CIPHER]);
	news |= learn_certificate(v, c);
	news |= learn(v, &v->client.auth_user, c->word[WORD_USER]);
	news |= learn(v, &v->client.auth_mechanism, c->word[WORD_MECHANISM]);
	news |= learn(v, &v->client.auth_author, c->word[WORD_AUTHOR]);
	t->on = t->version.n > 0;
	t->bits = strv_number(c->word[WORD_BITS], 65536, &bits) ? (unsigned)bits : 0;
	if (news)
		judge_forget(v->hearing);
}

void
visit_learn_queue(struct visit *v, const struct visit_call *c)
{
	struct strv id = c->word[WORD_QUEUE];

	if (id.n == 0 || id.n >= sizeof(v->queue))
		return;
	memcpy(v->queue, id.p, id.n);
	v->queue[id.n] = '\0';
}

void
visit_learn_addresses(struct visit *v, const struct visit_call *c)
{
	struct strv local = c->word[WORD_LOCAL].n > 0 ? c->word[WORD_LOCAL] :
							c->word[WORD_LOCAL_TOO];
	uint64_t    port = 0;

	/* A client on a unix socket, or none at all (mail that was submitted here), has no address. */
	if (c->from.ss_family == AF_INET || c->from.ss_family == AF_INET6)
		(void)endpoint_from_sockaddr(
		    (const struct sockaddr *)&c->from, sizeof(c->from), &v->client.addr);
	v->client.peer = v->client.addr;
	if (strv_istarts(local, SV("IPv6:")))
		local = strv_from(local, 5);
	(void)addr_parse(local, &v->client.local.addr);
	if (strv_number(c->word[WORD_PORT], 65535, &port))
		v->client.local.port = (uint16_t)port;
	v->client.listener =
	    c->word[WORD_LISTENER].n > 0 ? arena_dup(v->a, c->word[WORD_LISTENER]) : SV("milter");
	/* Which of the two was said no milter is told; hardly anybody says HELO. */
	v->client.esmtp = true;
}

void
visit_learn_helo(struct visit *v, struct strv name)
{
	(void)learn(v, &v->client.helo, name);
}
