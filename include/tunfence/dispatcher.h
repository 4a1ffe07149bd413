/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the dispatcher of cgroup fences knows: which cgroup is in which of them. A fence has a slot:
 * a number that is its bit in a set of fences.
 */
#ifndef TUNFENCE_DISPATCHER_H
#define TUNFENCE_DISPATCHER_H

#include <tunfence/policy.h>

/* Raised when the layout or meaning of these maps changes: then another dispatcher is made beside the
 * one there is. Who raises it must know how to take a fence out of the earlier one. */
#define TF_DISPATCHER_ABI 1

enum {
	TF_SLOTS = 256, /* 0 is nobody's */
	TF_SLOT_BITS = 64,
	TF_SLOT_WORDS = TF_SLOTS / TF_SLOT_BITS,
	TF_SLOT_LEVELS = 64, /* depths of cgroups below the root that it can tell apart */
	TF_MAX_MEMBERS = TF_SLOTS * TF_GROUP_ROOM,
};

/* members: hash, by the cgroup's id. Missing: it is in no fence. */
struct tf_member {
	__u64 slots[TF_SLOT_WORDS]; /* the set of its fences */
	__u64 id;                   /* the key once more: an element may be reused while it is read */
	__u32 level;                /* its depth below the root */
	__u32 zero;
};

/* slots: array, by slot: whose it is, from before a fence has a judge until nothing is left of it.
 * Empty: the slot is free. */
struct tf_slot {
	char fence[64]; /* NUL-terminated */
};

_Static_assert(sizeof(struct tf_member) == 32 + 8 + 4 + 4, "padding");

#endif
