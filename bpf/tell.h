/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Telling those who listen of a packet that was dropped, as it happens: one event into the ring
 * buffer of each. Comes after the entry of blocked was counted on, and never has a say in the verdict.
 * What finds no room is counted, there and for all, and the entry has it anyway.
 *
 * An event is written where it lies in the ring buffer: there is no room for it on the stack.
 */
#ifndef TUNFENCE_TELL_H
#define TUNFENCE_TELL_H

#include "blocked.h"

static __always_inline struct tf_leases *leases_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&leases, &zero);
}

static __always_inline _Bool is_listening(const struct tf_leases *all, __u64 now)
{
	_Bool any = 0;
	__u32 i;

#pragma clang loop unroll(full)
	for (i = 0; i < TF_MAX_LISTENERS; i++)
		any |= all->slot[i].until > now;
	return any;
}

static __always_inline void lose(__u32 slot, __u32 bytes)
{
	struct tf_leases *all = leases_now();

	if (all && slot < TF_MAX_LISTENERS)
		add(&all->slot[slot].lost, 1);
	count_surely_at(TF_COUNTER_LOST, bytes);
}

/* All but what is in the packet itself. */
static __always_inline void describe(struct tf_event *event, const struct tf_blocked_key *key,
				     const struct tf_blocked *entry, __u32 bytes)
{
	__builtin_memset(event, 0, sizeof(*event));
	event->time = entry->last;
	event->key = *key;
	event->packets = entry->packets;
	event->bytes = entry->bytes;
	event->first = entry->first;
	event->pid = entry->pid;
	event->length = bytes;
	__builtin_memcpy(event->question, entry->question, sizeof(event->question));
}

/* Puts the packet into an event that begins as zeroes. NULL: there is none. */
typedef void capture_fn(void *ctx, struct tf_event *event);

static __always_inline void tell_one(void *ctx, capture_fn *capture, __u32 slot,
				     const struct tf_blocked_key *key,
				     const struct tf_blocked *entry, __u32 bytes)
{
	void *ring = bpf_map_lookup_elem(&listeners, &slot);
	struct tf_event *event = ring ? bpf_ringbuf_reserve(ring, sizeof(*event), 0) : NULL;

	if (!event) {
		lose(slot, bytes);
		return;
	}
	describe(event, key, entry, bytes);
	if (capture)
		capture(ctx, event);
	bpf_ringbuf_submit(event, 0);
}

/* tell_one() by whoever can put the packet into the event. NULL: there is no packet. */
typedef void tell_fn(void *ctx, __u32 slot, const struct tf_blocked_key *key,
		     const struct tf_blocked *entry, __u32 bytes);

/* Of a kind that was told of just now, nobody is told again: a flood is one event a second. */
static __always_inline void tell(void *ctx, tell_fn *tell_with, const struct tf_blocked_key *key,
				 struct tf_blocked *entry, __u32 bytes)
{
	struct tf_leases *all = leases_now();
	__u64 now = entry->last;
	__u32 i;

	if (!all || !is_listening(all, now))
		return;
	if (entry->told && now < entry->told + TF_EVENT_NS)
		return;
	entry->told = now;
#pragma clang loop unroll(disable)
	for (i = 0; i < TF_MAX_LISTENERS; i++) {
		if (all->slot[i].until <= now)
			continue;
		if (tell_with)
			tell_with(ctx, i, key, entry, bytes);
		else
			tell_one(NULL, NULL, i, key, entry, bytes);
	}
}

#endif
