/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One BPF object by itself, with a policy in maps of its own, as the loader would fill them. For
 * tests of one plane alone: nothing is pinned, and what the test does not attach is not attached.
 */
#ifndef TESTS_OBJECT_H
#define TESTS_OBJECT_H

#include <stdbool.h>

#include "compile.h"
#include "err.h"
#include "maps.h"

struct bpf_object;

/* o: opened, not yet loaded. rodata: its skeleton's. The maps' descriptors remain o's. */
int object_load(struct bpf_object *o, const volatile struct tf_policy *rodata,
		const struct policy *p, struct maps *ret, struct err *e);

/* Packets counted on a plane for a reason. */
__u64 object_count(const struct maps *m, enum tf_plane plane, enum tf_reason reason);

/* Runs ip(8) with these words, in this process's namespace. */
bool run_ip(const char *words);

#endif
