/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was dropped, by who sent it where: one entry of the map blocked for each kind, counted on. Runs
 * when the verdict is reached and never has a say in it; what does not fit is only in the counters.
 *
 * The functions that look at a packet are checked by themselves and take what they need as scalars:
 * their stack begins where the one of whoever judged is no longer needed.
 */
#ifndef TUNFENCE_BLOCKED_H
#define TUNFENCE_BLOCKED_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <tunfence/decide.h>

#include "maps.h"
#include "who.h"

/* What is known of a packet without asking its context, as a scalar. */
struct drop {
	union {
		__u64 packed;
		struct {
			__u16 port, sport; /* of the other end and of the socket; 0: has none */
			__u16 l4_offset;
			__u8 protocol;
			__u8 reason;
		};
	};
};

_Static_assert(sizeof(struct drop) == 8, "a scalar");

/* Whether the packet is dropped, or would be if the fence did more than watch. */
static __always_inline _Bool is_drop(struct tf_decision decision)
{
	return decision.verdict == TF_DROP ||
	       (the_policy()->mode == TF_MODE_OBSERVE &&
		tf_reason_verdict(decision.reason) == TF_DROP);
}

/* Adding a constant 0 becomes an instruction that older kernels do not know. */
static __always_inline void add(__u64 *to, __u32 what)
{
	if (what)
		__sync_fetch_and_add(to, what);
}

/* Counters are one for each processor, but a program may be interrupted in the middle by itself. */
static __always_inline void count_surely_at(__u32 key, __u32 bytes)
{
	struct tf_counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		return;
	add(&counter->packets, 1);
	add(&counter->bytes, bytes);
}

static __always_inline void count_drop(enum tf_plane plane, enum tf_reason reason, __u32 bytes)
{
	count_surely_at(plane * TF_REASON_COUNT + reason, bytes);
}

static __always_inline void set_who(struct tf_blocked_key *key, const struct tf_who *who)
{
	key->sender = TF_SENDER_PROGRAM;
	key->uid = who->uid;
	__builtin_memcpy(key->comm, who->comm, sizeof(key->comm));
}

/* NULL: no room, or it was pushed out at once. */
static __always_inline struct tf_blocked *make_entry(const struct tf_blocked_key *key)
{
	bpf_map_update_elem(&blocked, key, (const void *)&blank, BPF_NOEXIST);
	return bpf_map_lookup_elem(&blocked, key);
}

/* The clock is asked once a tick: in a flood it would cost more than all else that is counted. */
static __always_inline void set_time(struct tf_blocked *entry)
{
	__u32 tick = (__u32)bpf_jiffies64();

	if (!entry->last || entry->tick != tick)
		entry->last = bpf_ktime_get_boot_ns();
	entry->tick = tick;
	if (!entry->first)
		entry->first = entry->last;
}

static __always_inline struct tf_blocked *count_blocked(const struct tf_blocked_key *key,
							__u32 pid, __u32 bytes)
{
	struct tf_blocked *entry = bpf_map_lookup_elem(&blocked, key);

	if (!entry)
		entry = make_entry(key);
	if (!entry)
		return NULL;
	add(&entry->packets, 1);
	add(&entry->bytes, bytes);
	set_time(entry);
	entry->pid = pid;
	return entry;
}

#endif
