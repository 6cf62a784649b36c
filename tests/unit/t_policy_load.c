/*
 * t_policy_load -- files of a configuration: includes, lists, what settings get of it.
 */
#include "policy/words.h"
#include "proxy/base/buf.h"
#include "proxy/base/netset.h"
#include "tests/policy/stranger.h"

static struct strv
errors_of(const struct diags *d)
{
	struct strv all = strv("", 0);

	for (unsigned i = 0; i < d->n; i++)
		all = arena_concat(arena, all,
		    arena_printf(arena, "%.*s:%u: %.*s\n",
			d->v[i].pos.src == NULL ? 0 : (int)d->v[i].pos.src->name.n,
			d->v[i].pos.src == NULL ? "" : d->v[i].pos.src->name.p, d->v[i].pos.line,
			(int)d->v[i].text.n, d->v[i].text.p));
	return all;
}

static void
includes(void)
{
	static const struct canned_file files[] = {
		{ "etc/p.conf",
		    "include \"conf.d/*.conf\"\nhostname a.example\ninclude \"more/x.conf\"\n",
		    { NULL, 0 } },
		{ "etc/conf.d/1.conf", "workers 1\n", { NULL, 0 } },
		{ "etc/conf.d/2.conf", "workers 2", { NULL, 0 } },
		{ "etc/more/x.conf", "domains d file \"list\"\nrelay { allow to d }\n",
		    { NULL, 0 } },
		{ "etc/more/list", "a.example\n", { NULL, 0 } },
	};
	struct diags             d = { .a = arena };
	struct canned_files      f = { .v = files, .n = 5 };
	struct world             w = canned_world(&f);
	struct conf             *c = conf_parse(arena, &w, "etc/p.conf", &d);
	struct policy           *p = canned_load(arena, &w, c, &d);
	static const char *const want[] = { "workers", "workers", "hostname" };

	T_EQ_TEXT(errors_of(&d), "");
	T_EQ_NUM(c->n_plain, 3);
	for (unsigned i = 0; i < 3 && i < c->n_plain; i++)
		T_EQ_TEXT(c->plain[i].keyword, want[i]);
	T_EQ_TEXT(c->source->name, "etc/p.conf");
	T_CHECK(p != NULL);
	policy_free(p);
}

static void
includes_that_never_end(void)
{
	static const struct canned_file itself[] = { { "p.conf", "include \"p.conf\"\n",
	    { NULL, 0 } } };
	static const struct canned_file two[] = { { "a", "include \"b\"\n", { NULL, 0 } },
		{ "b", "include \"a\"\n", { NULL, 0 } } };
	static const struct canned_file wide[] = {
		{ "0.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } },
		{ "1.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } },
		{ "2.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } },
		{ "3.conf", "include \"?.conf\"\ninclude \"?.conf\"\n", { NULL, 0 } }
	};
	struct diags        d = { .a = arena };
	struct canned_files f = { .v = wide, .n = 4 };
	struct world        w = canned_world(&f);

	load_files(itself, 1, &d);
	T_EQ_TEXT(errors_of(&d), "p.conf:1: `p.conf' includes itself\n");
	d = (struct diags){ .a = arena };
	load_files(two, 2, &d);
	T_EQ_TEXT(errors_of(&d), "b:1: `a' includes itself\n");
	d = (struct diags){ .a = arena };
	conf_parse(arena, &w, "0.conf", &d);
	T_CHECK(d.errors > 0);
	T_CHECK(f.reads <= 1001);
}

static enum file_rc
read_deeper(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	(void)w, (void)max;
	*out = arena_printf(a, "include \"%sx\"\n", path);
	return FILE_OK;
}

static enum file_rc
read_nothing(struct world *w, struct arena *a, const char *path, size_t max, struct strv *out)
{
	(void)w, (void)a, (void)path, (void)max, (void)out;
	return FILE_NO_DESCRIPTOR;
}

static void
no_descriptor_has_its_hint(void)
{
	struct world w = { .read_file = read_nothing };
	struct diags d = { .a = arena };

	conf_parse(arena, &w, "p.conf", &d);
	T_EQ_TEXT(errors_of(&d), ":0: cannot read `p.conf': no descriptor is free\n");
	T_EQ_TEXT(
	    d.v[0].hint, "whoever starts postern must be allowed more open files (ulimit -n)");
}

static void
includes_too_deep(void)
{
	struct world w = { .read_file = read_deeper };
	struct diags d = { .a = arena };

	conf_parse(arena, &w, "p", &d);
	T_EQ_TEXT(errors_of(&d), "pxxxxxxxxx:1: files include each other more than 10 deep\n");
}

static void
files_that_cannot_be_read(void)
{
	static const struct canned_file files[] = { { "p.conf",
	    "include \"none\"\ninclude \"n*ne\"\nnetworks n file \"gone\"\n"
	    "relay { allow from n }\n",
	    { NULL, 0 } } };
	struct diags                    d = { .a = arena };

	T_CHECK(load_files(files, 1, &d) == NULL);
	T_EQ_TEXT(errors_of(&d),
	    "p.conf:1: cannot read `none': no such file or directory\n"
	    "p.conf:3: cannot read `gone': no such file or directory\n");
	d = (struct diags){ .a = arena };
	T_CHECK(load_files(&(struct canned_file){ "q.conf", NULL, { NULL, 0 } }, 1, &d) != NULL);
	d = (struct diags){ .a = arena };
	conf_parse(arena,
	    &(struct world){ .read_file = canned_read, .ctx = &(struct canned_files){ 0 } },
	    "absent.conf", &d);
	T_EQ_TEXT(errors_of(&d), ":0: cannot read `absent.conf': no such file or directory\n");
}

#define LIST "\xef\xbb\xbf# ours\n\n  a.example\t# one\r\n.b.example\nbad_?\n\tx y\nc.example"

static void
list_files(void)
{
	static const struct canned_file files[] = {
		{ "etc/p.conf", "domains d file \"lists/d\"\nrelay { allow to d }\n", { NULL, 0 } },
		{ "etc/lists/d", LIST, { NULL, 0 } },
	};
	struct diags d = { .a = arena };

	T_CHECK(load_files(files, 2, &d) == NULL);
	T_EQ_TEXT(errors_of(&d),
	    "etc/lists/d:5: `bad_?' is no domain\netc/lists/d:6: `x y' is no domain\n");
	T_EQ_NUM(d.v[1].pos.col, 2);
	T_EQ_NUM(d.v[1].pos.len, 3);
}

/* What a long list leaves behind is the list, not its text. */
static void
long_list(void)
{
	struct buf         b;
	struct canned_file files[2] = {
		{ "p.conf", "addresses d file \"l\"\nrelay { allow to d }\n", { NULL, 0 } },
		{ "l", NULL, { NULL, 0 } }
	};
	struct diags   d = { .a = arena };
	struct policy *p;
	struct canned  c;
	struct verdict v;
	size_t         used;

	buf_init(&b, 1 << 26);
	for (unsigned i = 0; i < 100000; i++)
		buf_printf(&b, "user%u@d%u.example\n", i, i % 1000);
	files[1].text = buf_view(&b);
	used = arena_used(arena);
	p = load_files(files, 2, &d);
	T_CHECK(arena_used(arena) - used < 100000);
	buf_fini(&b);
	if (!T_CHECK(p != NULL))
		return;
	c = stranger("user99999@d999.example");
	v = ask(p, &c);
	T_EQ_NUM(v.kind, VERDICT_NONE);
	set_path(&c, CANNED_RCPT, "user99999@d998.example");
	v = ask(p, &c);
	T_EQ_NUM(v.kind, VERDICT_REJECT);
	policy_free(p);
}

/* ---- what settings ask for ---- */

static void
plain_values(void)
{
	static const struct canned_file file = { "p.conf",
		"limits { recipients 5 \"x\" 25M }\nlisten [::]:25 tls, { a, \"b\" }\n",
		{ NULL, 0 } };
	struct diags                    d = { .a = arena };
	struct canned_files             f = { .v = &file, .n = 1 };
	struct world                    w = canned_world(&f);
	struct conf                    *c = conf_parse(arena, &w, "p.conf", &d);
	const struct conf_plain        *x = c->plain;

	T_EQ_NUM(d.errors, 1); /* "x" is no word */
	T_EQ_NUM(c->n_plain, 2);
	T_CHECK(x[0].block && x[0].n == 2);
	T_EQ_TEXT(x[0].v[0].text, "recipients");
	T_EQ_TEXT(x[0].v[1].text, "5");
	T_CHECK(!x[1].block && x[1].n == 4);
	T_CHECK(x[1].v[0].kind == CONF_WORD && x[1].v[2].kind == CONF_COMMA &&
	    x[1].v[3].kind == CONF_SET);
	T_EQ_NUM(x[1].v[3].n_item, 2);
	T_CHECK(x[1].v[3].item[1].kind == CONF_STRING);
	T_EQ_NUM(x[1].pos.line, 2);
	T_EQ_NUM(x[1].v[1].pos.col, 16);
}

static void
networks_of_plain_statements(void)
{
	struct policy *p = load(
	    "networks lb { 10.0.0.0/8 }\ndomains d { a.example }\nrelay { allow from lb allow to d }\n");
	struct diags      d = { .a = arena };
	struct conf_value items[2] = { { .kind = CONF_WORD, .text = SV("192.0.2.1") },
		{ .kind = CONF_WORD, .text = SV("::1") } };
	struct conf_value name = { .kind = CONF_WORD, .text = SV("lb") },
			  set = { .kind = CONF_SET, .item = items, .n_item = 2 };
	struct addr          a;
	const struct netset *nets = policy_networks(p, &name, &d);

	addr_parse(SV("10.1.2.3"), &a);
	T_CHECK(nets != NULL && netset_has(nets, &a));
	nets = policy_networks(p, &set, &d);
	T_CHECK(nets != NULL && !netset_has(nets, &a));
	addr_parse(SV("::1"), &a);
	T_CHECK(nets != NULL && netset_has(nets, &a));
	T_EQ_NUM(d.errors, 0);
	name.text = SV("lbb");
	T_CHECK(policy_networks(p, &name, &d) == NULL);
	name.text = SV("d");
	T_CHECK(policy_networks(p, &name, &d) == NULL);
	items[0].text = SV("x.example");
	T_CHECK(policy_networks(p, &set, &d) == NULL);
	name.kind = CONF_STRING;
	T_CHECK(policy_networks(p, &name, &d) == NULL);
	T_EQ_TEXT(errors_of(&d),
	    ":0: no list is called `lbb'\n:0: `d' is a list of domains, this statement takes one of networks\n"
	    ":0: `x.example' is no network: not an IP address\n:0: expected the name of a list or { ... }\n");
	policy_free(p);
}

/* A list that only a plain statement names is used. */
static void
unused_lists(void)
{
	struct canned_file file = { "p.conf",
		"networks lb { 10.0.0.0/8 }\nnetworks idle { }\n"
		"listen 0.0.0.0:25 proxy-protocol from lb\n",
		{ NULL, 0 } };
	struct diags       d = { .a = arena };
	struct policy     *p = load_files(&file, 1, &d);

	T_CHECK(p != NULL);
	T_EQ_TEXT(errors_of(&d), "p.conf:2: nothing uses the list `idle'\n");
	T_EQ_NUM(d.v[0].level, DIAG_WARNING);
	policy_free(p);
}

/* Without the facts that a condition stands on it is not in this build. */
static void
facts_that_are_missing(void)
{
	struct canned_file  file = { "p.conf",
		 "relay { allow authenticated allow from { ::1 } allow on mx }\n", { NULL, 0 } };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = arena };
	struct conf        *c = conf_parse(arena, &w, "p.conf", &d);

	T_CHECK(policy_load(arena, &w, c, &canned_facts[CANNED_RCPT], 1, &canned_names, &canned_key,
		    &d) == NULL);
	T_EQ_TEXT(errors_of(&d),
	    "p.conf:1: `authenticated' is not in this build\np.conf:1: `from' is not in this build\n"
	    "p.conf:1: `on' is not in this build\n");
}

/* What was said of a place is not said again. */
static void
not_in_build_is_said_once(void)
{
	struct canned_file  file = { "p.conf", "clamd \"unix:/x\"\n", { NULL, 0 } };
	struct canned_files files = { .v = &file, .n = 1 };
	struct world        w = canned_world(&files);
	struct diags        d = { .a = arena };
	struct conf        *c = conf_parse(arena, &w, "p.conf", &d);

	diag_add(&d, DIAG_ERROR, c->plain[0].pos, strv(NULL, 0), "told");
	T_CHECK(canned_load(arena, &w, c, &d) == NULL);
	T_EQ_TEXT(errors_of(&d), "p.conf:1: told\n");
}

/* ---- shapes of words ---- */

static void
shapes(void)
{
	static const char *const names[] = { "a", "A1", "a-b_c", "allow" };
	static const char *const no_names[] = { "", "1a", "-a", "a.b", "a/b", "when", "and", "or",
		"not", "\xc3\xbc" };
	uint64_t                 n;
	double                   x;

	for (unsigned i = 0; i < T_COUNT(names); i++)
		T_CHECKF(word_is_name(strv_z(names[i])), "%s", names[i]);
	for (unsigned i = 0; i < T_COUNT(no_names); i++)
		T_CHECKF(!word_is_name(strv_z(no_names[i])), "%s", no_names[i]);
	T_CHECK(
	    word_is_fact(SV("client.ip")) && word_is_fact(SV("x.not")) && !word_is_fact(SV("not")));
	T_CHECK(!word_is_fact(SV("a.")) && !word_is_fact(SV(".a")) && !word_is_fact(SV("a..b")) &&
	    !word_is_fact(SV("")));
	T_CHECK(word_is_prefix(SV("client/32")) && word_is_prefix(SV("client.ip/64")));
	T_CHECK(!word_is_prefix(SV("client/")) && !word_is_prefix(SV("/32")) &&
	    !word_is_prefix(SV("client/x")));
	T_CHECK(word_is_code(SV("550")) && !word_is_code(SV("55")) && !word_is_code(SV("5500")) &&
	    !word_is_code(SV("5.0")));
	T_CHECK(word_is_xcode(SV("5.7.1")) && word_is_xcode(SV("5.7.123")) &&
	    !word_is_xcode(SV("5.7")));
	T_CHECK(!word_is_xcode(SV("5.7.1.1")) && !word_is_xcode(SV("55.7.1")) &&
	    !word_is_xcode(SV("5..1")) && !word_is_xcode(SV("5.7.1234")));
	T_CHECK(word_is_type(SV("AAAA")) && !word_is_type(SV("a")) && !word_is_type(SV("")));
	T_CHECK(word_number(SV("-1.5"), &x) && x == -1.5);
	T_CHECK(word_number(SV("8"), &x) && x == 8);
	T_CHECK(word_number(SV("0.25"), &x) && x == 0.25);
	T_CHECK(!word_number(SV("-"), &x) && !word_number(SV("1."), &x) &&
	    !word_number(SV(".5"), &x) && !word_number(SV("1.2.3"), &x));
	T_CHECK(!word_number(SV(""), &x) && !word_number(SV("1e5"), &x) &&
	    !word_number(SV("1234567890123456"), &x));
	T_CHECK(word_size(SV("25M"), &n) && n == 26214400);
	T_CHECK(word_size(SV("7"), &n) && n == 7);
	T_CHECK(!word_size(SV("M"), &n) && !word_size(SV("1m"), &n) &&
	    !word_size(SV("9999999999999G"), &n) && !word_size(SV(""), &n));
	T_CHECK(word_duration(SV("2d"), &n) && n == 172800);
	T_CHECK(word_duration(SV("0s"), &n) && n == 0);
	T_CHECK(!word_duration(SV("5"), &n) && !word_duration(SV("m"), &n) &&
	    !word_duration(SV("5M"), &n) && !word_duration(SV(""), &n));
}

int
main(int argc, char **argv)
{
	t_begin(argc, argv);
	arena = arena_new(65536, 0);
	T_RUN(includes);
	T_RUN(includes_that_never_end);
	T_RUN(includes_too_deep);
	T_RUN(no_descriptor_has_its_hint);
	T_RUN(files_that_cannot_be_read);
	T_RUN(list_files);
	T_RUN(long_list);
	T_RUN(plain_values);
	T_RUN(networks_of_plain_statements);
	T_RUN(unused_lists);
	T_RUN(facts_that_are_missing);
	T_RUN(not_in_build_is_said_once);
	T_RUN(shapes);
	arena_free(arena);
	return t_end();
}
