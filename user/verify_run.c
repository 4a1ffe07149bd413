// SPDX-License-Identifier: GPL-2.0
/*
 * The verdict on one vector: fired without the fence, then with it. What does not leak without is
 * never held, what cannot be judged is never passed.
 */
#define _GNU_SOURCE /* strerrorname_np */

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "verify_world.h"

const struct verify_group verify_groups[] = {
#define X(name, text) { &vectors_##name, text },
	VERIFY_GROUPS(X)
#undef X
};
const size_t verify_group_count = ARRAY_SIZE(verify_groups);

bool verify_is_chosen(const char *only, const struct vector_group *g, const struct vector *v)
{
	size_t length;

	if (!only)
		return true;
	for (; *only; only += length + (only[length] == ',')) {
		_cleanup_free_ char *pattern = NULL;

		length = strcspn(only, ",");
		pattern = strndup(only, length);
		if (!pattern)
			return false;
		if (fnmatch(pattern, v->name, 0) == 0 || fnmatch(pattern, g->name, 0) == 0)
			return true;
	}
	return false;
}

static const char *name_of(int error)
{
	const char *name = strerrorname_np(-error);

	return name ? name : "an unknown error";
}

/* A module, a protocol or a tool that a machine may do without. */
static bool is_lack(int error)
{
	switch (error) {
	case -EOPNOTSUPP:
	case -EPROTONOSUPPORT:
	case -ESOCKTNOSUPPORT:
	case -EAFNOSUPPORT:
	case -ENOPROTOOPT:
	case -ENOENT:
	case -ENOSYS:
		return true;
	default:
		return false;
	}
}

/* Refused while it got ready: only by the fence, whose word that is. Anything else that fails only
 * under the fence is no proof of anything. */
static bool is_refusal(int error)
{
	return error == -EPERM || error == -EACCES;
}

/* Without the fence: whether the vector is one on this machine. */
static bool leaks_unfenced(struct verify_run *run, const struct vector *v, struct verify_result *r)
{
	r->verdict = VERIFY_FAILED;
	if (verify_fire(run, v, false, &r->open, &r->why))
		return false;
	r->verdict = VERIFY_NOT_TESTED;
	if (is_lack(r->open.prepared))
		err_set(&r->why, 0, "not on this machine");
	else if (is_refusal(r->open.prepared))
		err_set(&r->why, 0, "refused unfenced, too: the machine's own fence?");
	else if (r->open.prepared)
		err_set(&r->why, 0, "cannot get ready: %s", name_of(r->open.prepared));
	else if (!r->open.frames)
		err_set(&r->why, 0, "does not leak here");
	return r->open.frames;
}

static void judge_fenced(const struct verify_run *run, const struct vector *v,
			 struct verify_result *r)
{
	bool needs_lsm = v->flags & VERIFY_NEEDS_LSM && !run->has_lsm && !run->script;
	int prepared = r->fenced.prepared;

	if (r->fenced.frames && needs_lsm) {
		r->verdict = VERIFY_NOT_TESTED;
		err_set(&r->why, 0, "needs BPF LSM, leaks");
	} else if (r->fenced.frames) {
		r->verdict = VERIFY_LEAKED;
	} else if (prepared && (v->flags & VERIFY_BEFORE || !is_refusal(prepared))) {
		err_set(&r->why, prepared, "only with the fence it cannot get ready: %s",
			name_of(prepared));
	} else {
		r->verdict = VERIFY_HELD;
	}
}

void verify_vector(struct verify_run *run, const struct vector_group *g, const struct vector *v,
		   struct verify_result *ret)
{
	*ret = (struct verify_result){ .group = g, .vector = v };
	if (!leaks_unfenced(run, v, ret))
		return;
	ret->has_fenced = true;
	ret->verdict = VERIFY_FAILED;
	if (!verify_fire(run, v, true, &ret->fenced, &ret->why))
		judge_fenced(run, v, ret);
}
