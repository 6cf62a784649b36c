/*
 * verdict -- what was decided, and what it is called, coded and said by default.
 *
 * The invariant: the enhanced code that comes from here has the class of the code.  RFC 2034 4.
 */
#include "proxy/mail/verdict.h"

static const struct {
	const char *word;
	uint16_t    code;
	const char *enh;
	unsigned    at;
} verdicts[VERDICT_MAX] = {
#define X(name, word, code, enh, at, does) { word, code, enh, at },
	VERDICTS(X)
#undef X
};

static const char *const sentences[VERDICT_MAX] = {
	[VERDICT_NONE] = "ok",
	[VERDICT_DISCARD] = "ok",
	[VERDICT_QUARANTINE] = "ok",
	[VERDICT_TEMPFAIL] = "not now, try again later",
	[VERDICT_REJECT] = "refused by local policy",
	[VERDICT_DISCONNECT] = "closing the connection",
};

bool
verdict_legal(enum verdict_kind kind, enum stage at)
{
	return verdicts[kind].at & 1u << at;
}

bool
verdict_final(const struct verdict *v)
{
	return v->kind != VERDICT_NONE;
}

const char *
verdict_word(enum verdict_kind kind)
{
	return verdicts[kind].word;
}

bool
verdict_find(struct strv word, enum verdict_kind *out)
{
	for (int i = VERDICT_NONE + 1; i < VERDICT_MAX; i++)
		if (strv_eq(word, strv_z(verdicts[i].word))) {
			*out = (enum verdict_kind)i;
			return true;
		}
	return false;
}

uint16_t
verdict_code(const struct verdict *v)
{
	return v->code != 0 ? v->code : verdicts[v->kind].code;
}

const char *
verdict_enh(const struct verdict *v)
{
	if (v->enh[0] != '\0')
		return v->enh;
	if (v->code == 0 || v->code == verdicts[v->kind].code)
		return verdicts[v->kind].enh;
	return v->code / 100 == 4 ? "4.7.1" : v->code / 100 == 5 ? "5.7.1" : "";
}

struct strv
verdict_text(const struct verdict *v)
{
	return v->text.p != NULL ? v->text : strv_z(sentences[v->kind]);
}
