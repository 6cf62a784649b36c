/*
 * hook -- every callback of libmilter, and plugin_args.
 */
#include "tests/unit/plugin/hook.h"

static sfsistat
hook_connect(SMFICTX *ctx, char *name, struct sockaddr *peer)
{
	return smfi_test("connect", ctx, name, peer, 0);
}

static sfsistat
hook_helo(SMFICTX *ctx, char *name)
{
	return smfi_test("helo", ctx, name, NULL, 0);
}

static sfsistat
hook_envfrom(SMFICTX *ctx, char **argv)
{
	return smfi_test("envfrom", ctx, argv, NULL, 0);
}

static sfsistat
hook_envrcpt(SMFICTX *ctx, char **argv)
{
	return smfi_test("envrcpt", ctx, argv, NULL, 0);
}

static sfsistat
hook_data(SMFICTX *ctx)
{
	return smfi_test("data", ctx, NULL, NULL, 0);
}

static sfsistat
hook_header(SMFICTX *ctx, char *name, char *value)
{
	return smfi_test("header", ctx, name, value, 0);
}

static sfsistat
hook_eoh(SMFICTX *ctx)
{
	return smfi_test("eoh", ctx, NULL, NULL, 0);
}

static sfsistat
hook_body(SMFICTX *ctx, unsigned char *p, size_t n)
{
	int rc = smfi_test("body", ctx, p, NULL, n);

	for (size_t i = 0; i < n; i++) /* a plugin may: it is its own copy */
		p[i] = '#';
	return rc;
}

static sfsistat
hook_eom(SMFICTX *ctx)
{
	return smfi_test("eom", ctx, NULL, NULL, 0);
}

static sfsistat
hook_abort(SMFICTX *ctx)
{
	return smfi_test("abort", ctx, NULL, NULL, 0);
}

static sfsistat
hook_close(SMFICTX *ctx)
{
	return smfi_test("close", ctx, NULL, NULL, 0);
}

static sfsistat
hook_unknown(SMFICTX *ctx, const char *line)
{
	return smfi_test("unknown", ctx, line, NULL, 0);
}

static sfsistat
hook_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
    unsigned long f3, unsigned long *want_actions, unsigned long *want_steps,
    unsigned long *want_f2, unsigned long *want_f3)
{
	unsigned long offer[4] = { actions, steps, f2, f3 };
	unsigned long wants[2] = { *want_actions, *want_steps };
	int           rc = smfi_test("negotiate", ctx, offer, wants, 0);

	*want_actions = wants[0];
	*want_steps = wants[1];
	*want_f2 = *want_f3 = 0;
	return rc;
}

int
plugin_args(int argc, char **argv)
{
	return smfi_test("args", NULL, argv, NULL, (size_t)argc);
}

struct smfiDesc smfilter = {
	.xxfi_name = "hook",
	.xxfi_version = SMFI_VERSION,
	.xxfi_connect = hook_connect,
	.xxfi_helo = hook_helo,
	.xxfi_envfrom = hook_envfrom,
	.xxfi_envrcpt = hook_envrcpt,
	.xxfi_data = hook_data,
	.xxfi_header = hook_header,
	.xxfi_eoh = hook_eoh,
	.xxfi_body = hook_body,
	.xxfi_eom = hook_eom,
	.xxfi_abort = hook_abort,
	.xxfi_close = hook_close,
	.xxfi_unknown = hook_unknown,
	.xxfi_negotiate = hook_negotiate,
};
