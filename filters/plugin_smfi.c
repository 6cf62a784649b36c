/*
 * plugin_smfi -- the smfi_* functions of libmilter, for filters that live in this process: all but edits.
 *
 * A plugin calls these and those of plugin_edits.c in place of libmilter's (filters/plugin.exports), and they say
 * yes and no where libmilter does (libmilter/smfi.c and main.c of Sendmail 8.17, its documents): a filter cannot
 * tell the homes apart.
 */
#include "config.h"

#if HAVE_MILTER
#include <stdarg.h>

#include "filters/plugin_own.h"
#include "proxy/base/arena.h"

/* For smfi_setreply and smfi_setmlreply: libmilter's ceilings. */
#define REPLY_LINE  980
#define REPLY_LINES 32

/* ---- the library: what has no meaning here succeeds and does nothing --------------------------- */

bool
plugin_version_known(const struct smfiDesc *d)
{
	int v = d->xxfi_version;

	/* Major and minor number must be those of the header; 2 to 4 are filters of the age before. */
	return (v >= 2 && v <= 4) ||
	    (SM_LM_VRS_MAJOR(v) == SM_LM_VRS_MAJOR(SMFI_VERSION) &&
		SM_LM_VRS_MINOR(v) == SM_LM_VRS_MINOR(SMFI_VERSION));
}

int
smfi_register(struct smfiDesc desc)
{
	if (plugin_loading == NULL || !plugin_version_known(&desc))
		return MI_FAILURE;
	plugin_loading->desc = desc;
	return MI_SUCCESS;
}

/* The loop is ours: a plugin has no main. */
int
smfi_main(void)
{
	return MI_FAILURE;
}

int
smfi_opensocket(bool remove_old)
{
	(void)remove_old;
	return MI_SUCCESS;
}

int
smfi_setconn(char *where)
{
	return where == NULL || *where == '\0' ? MI_FAILURE : MI_SUCCESS;
}

int
smfi_setbacklog(int n)
{
	return n <= 0 ? MI_FAILURE : MI_SUCCESS;
}

int
smfi_settimeout(int seconds)
{
	(void)seconds;
	return MI_SUCCESS;
}

int
smfi_setdbg(int level)
{
	(void)level;
	return MI_SUCCESS;
}

int
smfi_stop(void)
{
	return MI_SUCCESS;
}

/* Returns what held before; how large a chunk is, is negotiated. */
size_t
smfi_setmaxdatasize(size_t n)
{
	static size_t size = MILTER_MAX_DATA_SIZE;
	size_t        before = size;

	size = n;
	return before;
}

int smfi_set_max_exec_time(unsigned int seconds); /* behind an #if in mfapi.h */

int
smfi_set_max_exec_time(unsigned int seconds)
{
	(void)seconds;
	return MI_SUCCESS;
}

int
smfi_version(unsigned int *major, unsigned int *minor, unsigned int *patchlevel)
{
	if (major != NULL)
		*major = SM_LM_VRS_MAJOR(SMFI_VERSION);
	if (minor != NULL)
		*minor = SM_LM_VRS_MINOR(SMFI_VERSION);
	if (patchlevel != NULL)
		*patchlevel = SM_LM_VRS_PLVL(SMFI_VERSION);
	return MI_SUCCESS;
}

/* ---- private data, macros ---------------------------------------------------------------------- */

int
smfi_setpriv(SMFICTX *x, void *data)
{
	if (x == NULL)
		return MI_FAILURE;
	x->priv = data;
	return MI_SUCCESS;
}

void *
smfi_getpriv(SMFICTX *x)
{
	return x == NULL ? NULL : x->priv;
}

/* The letter of "i" and "{i}"; 0: a longer name. */
static char
one_letter(const char *name)
{
	size_t n = strlen(name);

	if (n == 1)
		return name[0];
	return n == 3 && name[0] == '{' && name[2] == '}' ? name[1] : '\0';
}

/* The latest place first: there a macro may have a newer value. */
char *
smfi_getsymval(SMFICTX *x, char *name)
{
	char letter;

	if (x == NULL || name == NULL || *name == '\0')
		return NULL;
	letter = one_letter(name);
	for (unsigned place = MILTER_PLACES; place-- > 0;) {
		char *p = x->macros[place].p, *end = p == NULL ? NULL : p + x->macros[place].n;

		while (p != end) {
			char *value = p + strlen(p) + 1;

			if (strcmp(p, name) == 0 || (letter != '\0' && one_letter(p) == letter))
				return value;
			p = value + strlen(value) + 1;
		}
	}
	return NULL;
}

int
smfi_setsymlist(SMFICTX *x, int where, char *macros)
{
	size_t n;

	if (x == NULL || macros == NULL || *macros == '\0')
		return plugin_misuse(x, SMFI_setsymlist, "no macros");
	if (where < SMFIM_FIRST || where > SMFIM_LAST)
		return plugin_misuse(x, SMFI_setsymlist, "no place of macros");
	if (x->symlist[where] != NULL)
		return plugin_misuse(x, SMFI_setsymlist, "the place has its macros already");
	n = strlen(macros) + 1;
	x->symlist[where] = memcpy(mem_alloc(n), macros, n);
	return MI_SUCCESS;
}

/* ---- replies ----------------------------------------------------------------------------------- */

/* "5.7.1": class 2, 4 or 5, then one to three digits twice.  libmilter compares no classes here. */
static bool
is_enhanced(const char *z)
{
	if ((*z != '2' && *z != '4' && *z != '5') || *++z != '.')
		return false;
	for (unsigned part = 0; part < 2; part++) {
		unsigned n = 0;

		while (n < 3 && ascii_is_digit(z[1 + n]))
			n++;
		z += 1 + n;
		if (n == 0 || *z != (part == 0 ? '.' : '\0'))
			return false;
	}
	return true;
}

static bool
are_codes(const char *code, const char *enhanced)
{
	return code != NULL && strlen(code) == 3 && (code[0] == '4' || code[0] == '5') &&
	    ascii_is_digit(code[1]) && ascii_is_digit(code[2]) &&
	    (enhanced == NULL || is_enhanced(enhanced));
}

#define NO_CODE "not a code of 4xx or 5xx, or no enhanced code"
#define NO_LINE "a line longer than 980 octets, or with CR or LF"

static bool
is_line(const char *z)
{
	return strlen(z) <= REPLY_LINE && strpbrk(z, "\r\n") == NULL;
}

int
smfi_setreply(SMFICTX *x, char *code, char *enhanced, char *text)
{
	if (x == NULL || !are_codes(code, enhanced))
		return plugin_misuse(x, SMFI_setreply, NO_CODE);
	if (text != NULL && !is_line(text))
		return plugin_misuse(x, SMFI_setreply, NO_LINE);
	buf_clear(&x->reply);
	buf_printf(&x->reply, "%s %s%s%s", code, enhanced == NULL ? "" : enhanced,
	    enhanced != NULL && text != NULL ? " " : "", text == NULL ? "" : text);
	buf_addc(&x->reply, '\0');
	return x->reply.full ? plugin_misuse(x, SMFI_setreply, PLUGIN_NO_ROOM) : MI_SUCCESS;
}

/* Lines in the form in which they go over the wire: "550-5.7.1 a\r\n550 5.7.1 b". */
int
smfi_setmlreply(SMFICTX *x, const char *code, const char *enhanced, ...)
{
	va_list     ap;
	const char *z;
	unsigned    n = 0, i = 0;

	if (x == NULL || !are_codes(code, enhanced))
		return plugin_misuse(x, SMFI_setmlreply, NO_CODE);
	va_start(ap, enhanced);
	while ((z = va_arg(ap, const char *)) != NULL && n < REPLY_LINES && is_line(z))
		n++;
	va_end(ap);
	if (z != NULL)
		return plugin_misuse(
		    x, SMFI_setmlreply, n == REPLY_LINES ? "more than 32 lines" : NO_LINE);
	if (enhanced == NULL)
		enhanced = code[0] == '4' ? "4.0.0" : "5.0.0";
	buf_clear(&x->reply);
	if (n == 0)
		buf_printf(&x->reply, "%s-%s", code, enhanced); /* as libmilter has it */
	va_start(ap, enhanced);
	for (; i < n; i++)
		buf_printf(&x->reply, "%s%s%c%s %s", i == 0 ? "" : "\r\n", code,
		    i + 1 < n ? '-' : ' ', enhanced, va_arg(ap, const char *));
	va_end(ap);
	buf_addc(&x->reply, '\0');
	return x->reply.full ? plugin_misuse(x, SMFI_setmlreply, PLUGIN_NO_ROOM) : MI_SUCCESS;
}

#endif
