/*
 * keeper_said -- see keeper_said.h.
 *
 * The writing end does not block either: who is not listened to loses what it says, and never waits for us.
 */
#include "proxy/keeper_said.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/world.h"

void
said_init(struct said *s, int fd)
{
	*s = (struct said){ .fd = fd };
}

static void
end_line(struct said *s, struct world *w, struct strv name)
{
	struct log_line l;

	if (s->n_line == 0)
		return;
	if (s->lines++ < SAID_LINES) {
		log_begin(&l, w, SV("master"), "plugin-says");
		log_strv(&l, "name", name);
		log_strv(&l, "text", strv(s->line, s->n_line));
		log_end(&l);
	}
	memcpy(s->last, s->line, s->n_line);
	s->n_last = s->n_line;
	s->n_line = 0;
}

static void
close_end(struct said *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int
said_poll(const struct said *s)
{
	return s->lines < SAID_LINES ? s->fd : -1;
}

void
said_take(struct said *s, struct world *w, struct strv name)
{
	char    text[2048];
	ssize_t n = read(s->fd, text, sizeof(text));

	if (s->again_at == 0)
		s->again_at = w->now(w) + SAID_MS;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		close_end(s);
	for (ssize_t i = 0; i < n; i++)
		if (text[i] == '\n')
			end_line(s, w, name);
		else if (s->n_line < SAID_LINE)
			s->line[s->n_line++] = text[i];
}

/* A child of the plugin may still hold the writing end: so not until it is closed. */
void
said_end(struct said *s, struct world *w, struct strv name)
{
	for (int i = 0; i < SAID_LINES && s->fd >= 0; i++) {
		struct pollfd p = { s->fd, POLLIN, 0 };

		if (poll(&p, 1, 0) <= 0)
			break;
		said_take(s, w, name);
	}
	end_line(s, w, name);
	close_end(s);
}

uint64_t
said_next(const struct said *s)
{
	return s->lines >= SAID_LINES ? s->again_at : 0;
}

void
said_due(struct said *s, struct world *w, struct strv name)
{
	struct log_line l;

	if (s->again_at == 0 || s->again_at > w->now(w))
		return;
	if (s->lines >= SAID_LINES) {
		log_begin(&l, w, SV("master"), "plugin-says");
		log_strv(&l, "name", name);
		log_z(&l, "why", "it says too much: some of it was not heard");
		log_end(&l);
	}
	s->lines = 0;
	s->again_at = 0;
}
