/*
 * plugind_check -- what --check tells: which callbacks a filter has, and what it may do to a message.
 *
 * The invariant: both are what it registered, in libmilter's words and order, so that scripts can compare them.
 */
#include <stdio.h>

#include "proxy/hosts/plugind_own.h"

static void
say_callbacks(const struct smfiDesc *d)
{
	const struct {
		const char *name;
		bool        there;
	} row[] = {
		{ "negotiate", d->xxfi_negotiate != NULL },
		{ "connect", d->xxfi_connect != NULL },
		{ "helo", d->xxfi_helo != NULL },
		{ "envfrom", d->xxfi_envfrom != NULL },
		{ "envrcpt", d->xxfi_envrcpt != NULL },
		{ "data", d->xxfi_data != NULL },
		{ "header", d->xxfi_header != NULL },
		{ "eoh", d->xxfi_eoh != NULL },
		{ "body", d->xxfi_body != NULL },
		{ "eom", d->xxfi_eom != NULL },
		{ "abort", d->xxfi_abort != NULL },
		{ "close", d->xxfi_close != NULL },
		{ "unknown", d->xxfi_unknown != NULL },
	};

	fputs("callbacks:", stdout);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if (row[i].there)
			printf(" %s", row[i].name);
	putchar('\n');
}

static void
say_actions(unsigned long flags)
{
	static const struct {
		const char   *name;
		unsigned long flag;
	} row[] = {
		{ "addheader", SMFIF_ADDHDRS },
		{ "chgheader", SMFIF_CHGHDRS },
		{ "replacebody", SMFIF_CHGBODY },
		{ "addrcpt", SMFIF_ADDRCPT },
		{ "addrcpt_par", SMFIF_ADDRCPT_PAR },
		{ "delrcpt", SMFIF_DELRCPT },
		{ "chgfrom", SMFIF_CHGFROM },
		{ "quarantine", SMFIF_QUARANTINE },
		{ "setsymlist", SMFIF_SETSYMLIST },
	};

	fputs("actions:", stdout);
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		if ((flags & row[i].flag) != 0)
			printf(" %s", row[i].name);
	putchar('\n');
}

int
plugind_describe(const struct smfiDesc *d)
{
	printf("name: %s\n", d->xxfi_name == NULL ? "" : d->xxfi_name);
	say_callbacks(d);
	say_actions(d->xxfi_flags);
	return fflush(stdout) == 0 ? EXIT_GOOD : EXIT_FAULT;
}
