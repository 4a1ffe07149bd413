// SPDX-License-Identifier: GPL-2.0
/* The words for what the core decides: see reason.h. */
#include "reason.h"

static const struct {
	const char *name;
	const char *text;
} reasons[] = {
#define X(NAME, word, verdict, said) [TF_REASON_##NAME] = { #word, said },
	TF_REASONS(X)
#undef X
};

static const char *const planes[] = {
#define X(NAME, word, hook) [TF_PLANE_##NAME] = #word,
	TF_PLANE_LIST(X)
#undef X
};

const char *reason_name(enum tf_reason reason)
{
	return reason < TF_REASON_COUNT ? reasons[reason].name : "?";
}

const char *reason_text(enum tf_reason reason)
{
	return reason < TF_REASON_COUNT ? reasons[reason].text : "?";
}

const char *plane_name(enum tf_plane plane)
{
	return plane < TF_PLANES ? planes[plane] : "?";
}

const char *verdict_name(enum tf_verdict verdict)
{
	return verdict == TF_PASS ? "pass" : "drop";
}
