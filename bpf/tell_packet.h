/* SPDX-License-Identifier: GPL-2.0 */
/*
 * tell_one() for planes that have a packet, whatever their context is. By itself, since the verifier
 * would go through it once more for each listener. capture() is of whoever includes this.
 */
#ifndef TUNFENCE_TELL_PACKET_H
#define TUNFENCE_TELL_PACKET_H

#include <tunfence/seam.h>

#include "tell.h"

static __always_inline void capture(void *context, struct tf_event *event);

TF_PART __u32 tell_slot(tf_ctx *ctx, __u32 slot, const struct tf_blocked_key *key,
			const struct tf_blocked *entry, __u32 bytes)
{
	if (key && entry)
		tell_one(ctx, capture, slot, key, entry, bytes);
	return 0;
}

static __always_inline void tell_packet(void *ctx, __u32 slot, const struct tf_blocked_key *key,
					const struct tf_blocked *entry, __u32 bytes)
{
	tell_slot(ctx, slot, key, entry, bytes);
}

#endif
