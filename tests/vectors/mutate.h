/* SPDX-License-Identifier: GPL-2.0 */
/* Packets near the vectors: changed, cut, extended, spliced, and mostly with lengths put right
 * again, so that they get past the first checks. The same seed gives the same packets. */
#ifndef TESTS_MUTATE_H
#define TESTS_MUTATE_H

#include <stdbool.h>

#include <tunfence/types.h>

#define MUTATE_MAX_BYTES 1500

struct mutated {
	__u8 bytes[MUTATE_MAX_BYTES];
	__u32 length;
};

__u64 mutate_seed(__u64 seed);
__u32 mutate_below(__u64 *random, __u32 limit); /* 0 to limit - 1 */

/* ethernet: the frame has a link header. other: what may be spliced in. */
void mutate(__u64 *random, const __u8 *frame, __u32 length, const __u8 *other, __u32 other_length,
	    bool ethernet, struct mutated *ret);

#endif
