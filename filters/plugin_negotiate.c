/*
 * plugin_negotiate -- what a plugin and we agree on, once a session, before it hears of anything.
 *
 * As libmilter has it (libmilter/engine.c of Sendmail 8.17): from what its description says, and by xxfi_negotiate if
 * it has that.  What comes out is what a daemon would have answered.
 */
#include "config.h"

#if HAVE_MILTER
#include "filters/plugin_own.h"

/* What it does not want to hear, by what it has no callback for. */
static unsigned long
unwanted(const struct plugin_end *e)
{
	static const struct {
		enum plugin_callback which;
		unsigned long        flag;
	} v[] = {
		{ PLUGIN_connect, SMFIP_NOCONNECT },
		{ PLUGIN_helo, SMFIP_NOHELO },
		{ PLUGIN_envfrom, SMFIP_NOMAIL },
		{ PLUGIN_envrcpt, SMFIP_NORCPT },
		{ PLUGIN_data, SMFIP_NODATA },
		{ PLUGIN_header, SMFIP_NOHDRS },
		{ PLUGIN_eoh, SMFIP_NOEOH },
		{ PLUGIN_body, SMFIP_NOBODY },
		{ PLUGIN_unknown, SMFIP_NOUNKNOWN },
	};
	unsigned long flags = 0;

	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		if (!plugin_has(e, v[i].which))
			flags |= v[i].flag;
	return flags;
}

#define NO_REPLY \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA | \
	    SMFIP_NR_UNKN | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY)

/* xxfi_negotiate is offered NO_REPLY in any case: plugin.c can pretend. */
static bool
ask_it(struct plugin_end *e, const struct milter_offer *ours, unsigned long offered)
{
	unsigned long      offer[4] = { ours->actions, offered | NO_REPLY };
	unsigned long      wants[4] = { ours->actions, e->protocol | (offered & SMFIP_SKIP) };
	struct plugin_call c = { .offer = offer, .wants = wants };

	switch (plugin_call(e, PLUGIN_negotiate, &c)) {
	case SMFIS_ALL_OPTS:
		e->ctx.actions = ours->actions;
		e->protocol |= offered & SMFIP_SKIP;
		return true;
	case SMFIS_CONTINUE:
		e->ctx.actions = wants[0];
		e->protocol = wants[1];
		return true;
	default:
		plugin_break_off(e, "its xxfi_negotiate refuses", PLUGIN_negotiate, c.rc);
		return false;
	}
}

/* Chunks above 64 KiB are for those who were compiled to know of them. */
static unsigned long
large_chunks(const struct plugin_end *e, unsigned long offered)
{
	if (e->plugin->desc.xxfi_version < 0x01000002)
		return 0;
	return (offered & SMFIP_MDS_1M) != 0 ? SMFIP_MDS_1M : offered & SMFIP_MDS_256K;
}

bool
plugin_negotiate(struct plugin_end *e, const struct milter_offer *ours, struct milter_offer *theirs)
{
	unsigned long large = large_chunks(e, ours->protocol), to_us;
	unsigned long offered = (ours->protocol & ~(unsigned long)SMFI_INTERNAL) | large;

	e->ctx.actions = e->plugin->desc.xxfi_flags;
	e->protocol = unwanted(e);
	if (plugin_has(e, PLUGIN_negotiate) && !ask_it(e, ours, offered))
		return false;
	e->protocol &= ~(unsigned long)SMFI_INTERNAL;
	/* what we were not offered and can do without */
	to_us = e->protocol & ~(~offered & (NO_REPLY | SMFIP_NODATA | SMFIP_NOUNKNOWN));
	*theirs = (struct milter_offer){
		.version = ours->version < SMFI_PROT_VERSION ? ours->version : SMFI_PROT_VERSION,
		.actions = (uint32_t)e->ctx.actions,
		.protocol = (uint32_t)(to_us | large)
	};
	for (unsigned i = 0; i < MILTER_PLACES; i++)
		theirs->macros[i] = strv_z(e->ctx.symlist[i]);
	if ((e->ctx.actions & ~(unsigned long)ours->actions) != 0)
		e->broken = "it wants to do what is not offered";
	else if ((to_us & ~offered) != 0)
		e->broken = "it wants a protocol that is not offered";
	return e->broken == NULL;
}

#endif
