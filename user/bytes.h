/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbers in packets made by hand: network byte order, any alignment, and the checksum of RFC 1071.
 * Shares nothing with the fence's own parser, whose mistakes such packets are there to find.
 */
#ifndef TUNFENCE_BYTES_H
#define TUNFENCE_BYTES_H

#include <linux/types.h>
#include <stddef.h>

static inline void put16(__u8 *to, __u32 value)
{
	to[0] = (__u8)(value >> 8 & 0xff);
	to[1] = (__u8)(value & 0xff);
}

static inline void put32(__u8 *to, __u32 value)
{
	put16(to, value >> 16);
	put16(to + 2, value);
}

static inline __u32 get16(const __u8 *from)
{
	return (__u32)from[0] << 8 | from[1];
}

/* The one's complement sum, not yet folded nor inverted; so_far: that of what came before. */
static inline __u32 sum16(const __u8 *from, size_t count, __u32 so_far)
{
	size_t i;

	for (i = 0; i + 1 < count; i += 2)
		so_far += get16(from + i);
	if (count & 1)
		so_far += (__u32)from[count - 1] << 8;
	return so_far;
}

/* The checksum of such a sum. */
static inline __u32 fold16(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

#endif
