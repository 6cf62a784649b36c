/*
 * parse -- files of the configuration into statements, and includes; what stands behind a keyword
 * is read elsewhere (parse.h says where).
 *
 * All mistakes of all files are reported.  What is bounded: the octets and tokens of a file, the
 * number of files, how deep they include each other, how deep expressions nest.
 */
#include "policy/parse.h"

#include "policy/hints.h"
#include "policy/lists.h"
#include "policy/policy.h"
#include "proxy/base/arena.h"

#define FILE_OCTETS  (16u << 20) /* of one file */
#define ALL_OCTETS   (64u << 20) /* of all */
#define FILES_MAX    1000
#define INCLUDE_DEEP 10

struct files {
	struct world *w;
	unsigned      n;
	size_t        octets;
};

struct block *
parse_add(struct parser *p, enum block_kind kind, const struct token *head)
{
	struct conf_tree *t = p->conf->tree;

	t->block = arena_grow(p->a, t->block, &t->max, t->n + 1, sizeof(*t->block));
	t->block[t->n] = (struct block){ .kind = kind, .pos = head->pos };
	return &t->block[t->n++];
}

/* ---- includes ---- */

static void parse_file(struct parser *from, struct pos at, const char *path);

static bool
has_wildcard(struct strv v)
{
	return strv_chr(v, '*') < v.n || strv_chr(v, '?') < v.n || strv_chr(v, '[') < v.n;
}

/*
 * A pattern that finds nothing is no mistake (conf.d may be empty), a file that is not there is.
 */
static void
include(struct parser *p, struct lit pattern)
{
	const char  *path = lists_path(p->a, &pattern.pos, pattern.text);
	struct strv *found = NULL;
	unsigned     n = 0;

	if (!has_wildcard(pattern.text)) {
		parse_file(p, pattern.pos, path);
		return;
	}
	if (p->files->w->glob(p->files->w, p->a, path, &found, &n) != FILE_OK)
		return;
	for (unsigned i = 0; i < n && p->files->n <= FILES_MAX; i++)
		parse_file(p, pattern.pos, arena_z(p->a, found[i]));
}

static void
parse_include(struct parser *p)
{
	struct lit pattern;

	if (!parse_string(p, "the file to include", &pattern)) {
		parse_skip_statement(p);
		return;
	}
	if (!parse_at_end(p)) {
		parse_expected(p, "the end of the statement");
		parse_skip_statement(p);
	}
	include(p, pattern);
}

/* The name without "./" and "folder/../": by its text alone, the disk is not asked. */
static struct strv
plain_name(struct arena *a, struct strv name)
{
	char  *out = arena_bytes(a, name.n + 1);
	size_t n = 0, parts = 0, slash;

	while (name.p != NULL) {
		bool        first = n == 0;
		struct strv part = strv_cut(&name, '/');

		if (strv_eq(part, SV(".")) || (part.n == 0 && !first))
			continue;
		if (strv_eq(part, SV("..")) && parts > 0) {
			slash = strv_rchr(strv(out, n - 1), '/');
			n = slash < n - 1 ? slash + 1 : 0;
			parts--;
			continue;
		}
		parts += part.n > 0 && !strv_eq(part, SV(".."));
		memcpy(out + n, part.p, part.n);
		n += part.n;
		out[n++] = '/';
	}
	return strv(out, n);
}

/* Is the file among those that are being read?  Links are caught by the depth. */
static bool
is_cycle(struct arena *a, const struct source *src, struct strv name)
{
	for (name = plain_name(a, name); src != NULL; src = src->includer) {
		if (strv_eq(plain_name(a, src->name), name))
			return true;
	}
	return false;
}

static unsigned
depth_of(const struct source *src)
{
	unsigned n = 0;

	for (; src != NULL; src = src->includer)
		n++;
	return n;
}

/* May one more file be read? */
static bool
may_read(struct parser *from, struct pos at, const char *path)
{
	struct files *f = from->files;

	if (is_cycle(from->a, at.src, strv_z(path)))
		diag_add(from->d, DIAG_ERROR, at, SV("each file is read once: leave this out"),
		    "%s includes itself", diag_quote(from->a, strv_z(path)));
	else if (depth_of(at.src) >= INCLUDE_DEEP)
		diag_add(from->d, DIAG_ERROR, at,
		    SV("one pattern includes many: include \"conf.d/*.conf\""),
		    "files include each other more than %d deep", INCLUDE_DEEP);
	else if (++f->n <= FILES_MAX)
		return true;
	else if (f->n == FILES_MAX + 1)
		diag_add(from->d, DIAG_ERROR, at, SV("put several into one"), "more than %d files",
		    FILES_MAX);
	return false;
}

/* ---- one file ---- */

static struct strv
nearest_statement(struct parser *p, struct strv v)
{
	struct strv near = hint_meant(p->a, v, statement_words());

	return near.p == NULL ? SV("postern.conf(5) has all statements") : near;
}

static void
unknown_statement(struct parser *p, const struct token *t)
{
	if (t->kind == TOKEN_WORD)
		diag_add(p->d, DIAG_ERROR, t->pos, nearest_statement(p, t->text),
		    "there is no statement %s", diag_quote(p->a, t->text));
	else if (t->kind == TOKEN_CLOSE)
		diag_add(p->d, DIAG_ERROR, t->pos,
		    SV("leave it out, or look above for a `{' that is missing"),
		    "there is no `{' that this closes");
	else
		diag_add(p->d, DIAG_ERROR, t->pos, parse_hint(p, "a statement"),
		    "expected a statement, found %s",
		    t->kind == TOKEN_STRING ? "a string" : diag_quote(p->a, t->text));
	/* What may follow "}" on its line is a statement of its own. */
	if (t->kind != TOKEN_CLOSE) {
		p->at--;
		parse_skip_statement(p);
	}
}

/* What stands behind the keyword. */
static void
parse_rest(struct parser *p, enum statement_kind kind, const struct token *head)
{
	switch (kind) {
	case STATEMENT_PLAIN:
		parse_plain(p, head);
		break;
	case STATEMENT_CLASS:
		parse_class(p, head);
		break;
	case STATEMENT_INCLUDE:
		parse_include(p);
		break;
	case STATEMENT_NAMED:
		parse_named(p, head, false);
		break;
	case STATEMENT_MEMORY:
		parse_named(p, head, true);
		break;
	case STATEMENT_LIST:
		parse_list(p, head);
		break;
	case STATEMENT_RELAY:
		parse_relay(p, head);
		break;
	case STATEMENT_CHECK:
		parse_check(p, head);
		break;
	case STATEMENT_RATE:
		parse_rate(p, head);
		break;
	case STATEMENT_MILTER:
		parse_milter(p, head);
		break;
	case STATEMENT_TEST:
		parse_test(p, head);
		break;
	}
}

static void
parse_statement(struct parser *p)
{
	const struct token     *head = parse_take(p);
	const struct statement *s = head->kind == TOKEN_WORD ? statement_find(head->text) : NULL;

	p->keyword = head->text;
	if (s == NULL)
		unknown_statement(p, head);
	else
		parse_rest(p, s->kind, head);
}

/* file = { plain EOS | block | EOS } */
static void
parse_source(struct parser *p)
{
	unsigned n;

	p->t = lex(p->a, p->src, p->d, &n);
	for (;;) {
		while (parse_peek(p)->kind == TOKEN_EOS)
			parse_take(p);
		if (parse_peek(p)->kind == TOKEN_END)
			return;
		p->start = p->at;
		p->depth = 0;
		p->nest = 0;
		parse_statement(p);
	}
}

static void
parse_file(struct parser *from, struct pos at, const char *path)
{
	struct source *src = arena_alloc(from->a, sizeof(*src));
	struct parser  p = {
		 .a = from->a, .d = from->d, .conf = from->conf, .files = from->files, .src = src
	};
	struct files *f = from->files;
	enum file_rc  rc;

	if (!may_read(from, at, path))
		return;
	src->name = strv_z(path);
	src->includer = at.src;
	rc = f->w->read_file(f->w, from->a, path, FILE_OCTETS, &src->text);
	f->octets += src->text.n;
	if (rc != FILE_OK) {
		diag_add(from->d, DIAG_ERROR, at,
		    at.src == NULL ? hint_main_file(rc) : hint_file(rc, src->name),
		    "cannot read %s: %s", diag_quote(from->a, src->name), file_rc_name(rc));
		src->text = strv("", 0);
	} else if (f->octets > ALL_OCTETS) {
		diag_add(from->d, DIAG_ERROR, at, SV("put long lists into files of their own"),
		    "all files together have more than %u MiB", ALL_OCTETS >> 20);
		return;
	}
	if (from->conf->source == NULL)
		from->conf->source = src;
	parse_source(&p);
}

struct conf *
conf_parse(struct arena *a, struct world *w, const char *path, struct diags *d)
{
	struct conf  *c = arena_alloc(a, sizeof(*c));
	struct files  files = { .w = w };
	struct parser p = { .a = a, .d = d, .conf = c, .files = &files };

	c->tree = arena_alloc(a, sizeof(*c->tree));
	parse_file(&p, (struct pos){ 0 }, arena_z(a, strv_z(path)));
	return c;
}
