/*
 * metrics_http -- as much of HTTP/1.1 as it takes to be asked for a page.  Pure.
 *
 * The header is read to its end and not looked at: nothing in it changes the answer, which always ends the connection
 * (RFC 9112 9.6), so neither a body nor a second request is ever read.
 */
#include "proxy/metrics.h"

static const struct {
	const char *status, *text;
} answers[] = {
	[METRICS_PAGE] = { "200 OK", NULL },
	[METRICS_ELSEWHERE] = { "404 Not Found", "what there is is /metrics\n" },
	[METRICS_METHOD] = { "405 Method Not Allowed\r\nAllow: GET, HEAD", "this is for GET\n" },
	[METRICS_LONG] = { "431 Request Header Fields Too Large", "this is too long\n" },
	[METRICS_LARGE] = { "500 Internal Server Error", "the page is too large\n" },
	[METRICS_BAD] = { "400 Bad Request", "this is not HTTP/1.1\n" },
};

/* RFC 9112 2.2: a bare LF may end a line. */
static bool
is_whole(struct strv in)
{
	for (size_t i = 0; i + 1 < in.n; i++)
		if (in.p[i] == '\n' &&
		    (in.p[i + 1] == '\n' ||
			(i + 2 < in.n && in.p[i + 1] == '\r' && in.p[i + 2] == '\n')))
			return true;
	return false;
}

/* The request line (RFC 9112 3), without its end: method, one space, target, one space, version. */
static enum metrics_ask
ask_of(struct strv line, bool *head)
{
	struct strv method = strv_cut(&line, ' '), target = strv_cut(&line, ' ');
	struct strv path = strv_cut(&target, '?');

	if (method.n == 0 || path.n == 0 || line.n != 8 || !strv_starts(line, SV("HTTP/1.")))
		return METRICS_BAD;
	*head = strv_eq(method, SV("HEAD"));
	if (!*head && !strv_eq(method, SV("GET")))
		return METRICS_METHOD;
	return strv_eq(path, SV("/metrics")) ? METRICS_PAGE : METRICS_ELSEWHERE;
}

enum metrics_ask
metrics_ask(struct strv in, bool *head)
{
	struct strv line;

	*head = false;
	if (!is_whole(in))
		return in.n >= METRICS_REQUEST ? METRICS_LONG : METRICS_MORE;
	line = strv_cut(&in, '\n');
	if (strv_ends(line, SV("\r")))
		line.n--;
	return ask_of(line, head);
}

void
metrics_answer(struct buf *out, enum metrics_ask ask, bool head, struct strv page)
{
	struct strv body = answers[ask].text == NULL ? page : strv_z(answers[ask].text);

	buf_printf(out,
	    "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
	    "Content-Length: %zu\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
	    answers[ask].status, body.n);
	if (!head)
		buf_add(out, body);
}
