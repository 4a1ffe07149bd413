/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The name that a DNS query asks for, as far as the programs need it: a number that tells one name
 * from another, and its bytes as they are. Whether they make sense is for whoever prints them.
 */
#ifndef TUNFENCE_QUESTION_H
#define TUNFENCE_QUESTION_H

#include <linux/bpf.h>

#include <tunfence/facts.h>

#include "blocked.h"
#include "kernel.h"

enum {
	DNS_HEADER = 12,
	DNS_ANSWER = 0x80, /* of the third byte */
	QUESTION_WORDS = TF_QUESTION_BYTES / 8,
};

/* What is asked with, at ports where questions have the format of RFC 1035. */
struct question {
	__u8 before[4]; /* so that the name begins a word */
	__u8 header[DNS_HEADER];
	__u64 name[QUESTION_WORDS];
};

static __always_inline __u64 drop_of(const struct tf_packet *p, enum tf_reason reason)
{
	struct drop drop = {
		.port = p->dport,
		.sport = p->sport,
		.l4_offset = (__u16)p->l4_offset,
		.protocol = p->protocol,
		.reason = (__u8)reason,
	};

	return drop.packed;
}

static __always_inline _Bool may_be_question(const struct drop *drop)
{
	return drop->protocol == TF_PROTO_UDP &&
	       (drop->port == TF_PORT_DNS || drop->port == TF_PORT_MDNS ||
		drop->port == TF_PORT_LLMNR);
}

static __always_inline __u32 name_offset(const struct drop *drop)
{
	return drop->l4_offset + TF_UDP_HEADER + DNS_HEADER;
}

/* A number for the name, the same however its letters are written; 0: it is no question, or cannot
 * be read. */
TF_GLOBAL __u32 question_of(tf_ctx *ctx, __u64 packed, __u32 bytes)
{
	const struct drop drop = { .packed = packed };
	__u32 at = drop.l4_offset + TF_UDP_HEADER, have, i;
	__u64 live = ~0ULL, hash = 0;
	struct question q = {};

	if (!may_be_question(&drop) || at >= bytes)
		return 0;
	have = tf_load_upto(ctx, at, q.header, sizeof(q) - sizeof(q.before), bytes - at);
	if (have <= DNS_HEADER || q.header[2] & DNS_ANSWER || !tf_get16(q.header + 4))
		return 0;
#pragma clang loop unroll(disable)
	for (i = 0; i < QUESTION_WORDS && live; i++) {
		hash = (hash ^ (until_zero(q.name[i], &live) | 0x2020202020202020ULL)) *
		       0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 29;
	}
	return (__u32)(hash >> 32) | 1;
}

/* Into an entry that has no name yet. */
static __always_inline void keep_question(tf_ctx *ctx, struct tf_blocked *entry,
					  const struct drop *drop, __u32 bytes)
{
	__u32 at = name_offset(drop);

	if (entry->question[0] || at >= bytes)
		return;
	tf_load_upto(ctx, at, entry->question, sizeof(entry->question), bytes - at);
}

#endif
