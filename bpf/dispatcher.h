/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which fences of cgroups the sender of a packet is in, so that none of the others is asked. One
 * dispatcher stands on a device for all of them, and calls the wire program of the first; each that
 * passes calls the next. A packet whose sender is in none costs the same, however many there are.
 *
 * The maps are the machine's, not a fence's (user/dispatcher.c writes them). A call that finds no
 * program, or is one too many (the kernel allows 33), comes back, and its caller drops.
 */
#ifndef TUNFENCE_DISPATCHER_BPF_H
#define TUNFENCE_DISPATCHER_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <tunfence/dispatcher.h>
#include <tunfence/seam.h>

enum {
	WIRE_PASS = -1, /* TCX_NEXT, TC_ACT_UNSPEC: whoever stands behind us is asked too */
	WIRE_DROP = 2,  /* TCX_DROP, TC_ACT_SHOT */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, TF_MAX_MEMBERS);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_RDONLY_PROG);
	__type(key, __u64); /* a cgroup's id */
	__type(value, struct tf_member);
} members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_RDONLY_PROG);
	__type(key, __u32);
	__type(value, __u64); /* bit i: members has a cgroup of level i */
} levels SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, TF_SLOTS);
	__type(key, __u32);
	__type(value, __u32); /* the wire program of the fence that has the slot */
} judges SEC(".maps");

/* How many bits are set below the lowest that is: its number. */
static __always_inline __u32 lowest(__u64 word)
{
	__u64 below = (word & -word) - 1;

	below -= below >> 1 & 0x5555555555555555ULL;
	below = (below & 0x3333333333333333ULL) + (below >> 2 & 0x3333333333333333ULL);
	below = (below + (below >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (__u32)(below * 0x0101010101010101ULL >> 56);
}

/* The lowest slot above this one in a word of a set, or 0. The lowest of all is no fence's. */
static __always_inline __u32 lowest_above(__u64 word, __u32 number, __u32 above)
{
	__u32 first = number * TF_SLOT_BITS;

	if (above >= first + TF_SLOT_BITS)
		return 0;
	if (above >= first)
		word &= ~(((__u64)2 << (above - first)) - 1);
	return word ? first + lowest(word) : 0;
}

/* The first slot above this one among those of the sender's cgroups. 0: it is in no further fence.
 * TF_SLOTS, which cannot be called: it could not be read. */
TF_GLOBAL __u32 next_slot(struct __sk_buff *ctx, __u32 above)
{
	__u64 set0 = 0, set1 = 0, set2 = 0, set3 = 0, used, *all;
	__u32 zero = 0, level, slot;

	if (!ctx->sk)
		return 0;
	all = bpf_map_lookup_elem(&levels, &zero);
	if (!all)
		return TF_SLOTS;
	used = *all;
	for (level = 0; level < TF_SLOT_LEVELS && used >> level; level++) {
		struct tf_member *member;
		__u64 id;

		if (!(used >> level & 1))
			continue;
		id = bpf_skb_ancestor_cgroup_id(ctx, (int)level);
		member = bpf_map_lookup_elem(&members, &id);
		if (!member)
			continue;
		set0 |= member->slots[0];
		set1 |= member->slots[1];
		set2 |= member->slots[2];
		set3 |= member->slots[3];
		asm volatile("" ::: "memory");
		if (member->id != id)
			return TF_SLOTS;
	}
	slot = lowest_above(set0, 0, above);
	if (!slot)
		slot = lowest_above(set1, 1, above);
	if (!slot)
		slot = lowest_above(set2, 2, above);
	return slot ? slot : lowest_above(set3, 3, above);
}

/* What the next fence above this slot says, if there is one. */
static __always_inline int ask_next(struct __sk_buff *ctx, __u32 above)
{
	__u32 slot = next_slot(ctx, above);

	if (!slot)
		return WIRE_PASS;
	bpf_tail_call(ctx, &judges, slot);
	return WIRE_DROP;
}

#endif
