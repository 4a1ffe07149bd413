/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixed-width types, byte order and the few words the core needs from its compiler.
 *
 * Everything under include/tunfence is compiled unchanged for the kernel (clang -target bpf) and
 * natively (unit tests, explain, fuzzers, provers). It uses no libc and does no I/O.
 * Fields of type __be16/__be32 hold network byte order; all others are in host order.
 */
#ifndef TUNFENCE_TYPES_H
#define TUNFENCE_TYPES_H

#include <linux/types.h>

#ifdef __CHECKER__
#define TF_FORCE __attribute__((force))
#else
#define TF_FORCE
#endif

#define TF_INLINE static inline __attribute__((always_inline))

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define tf_ntohs(x) __builtin_bswap16((TF_FORCE __u16)(x))
#define tf_ntohl(x) __builtin_bswap32((TF_FORCE __u32)(x))
#define tf_htons(x) ((TF_FORCE __be16)__builtin_bswap16(x))
#define tf_htonl(x) ((TF_FORCE __be32)__builtin_bswap32(x))
#define tf_le64(x) (x)
#else
#define tf_ntohs(x) ((TF_FORCE __u16)(x))
#define tf_ntohl(x) ((TF_FORCE __u32)(x))
#define tf_htons(x) ((TF_FORCE __be16)(x))
#define tf_htonl(x) ((TF_FORCE __be32)(x))
#define tf_le64(x) __builtin_bswap64(x) /* bytes that lie in memory, the first one lowest */
#endif

/* IFNAMSIZ of include/uapi/linux/if.h, and the longest rtnl_link_ops kind we compare. */
#define TF_NAME_LEN 16

/* An interface name or link kind: NUL-padded to 16 bytes, compared as two words. */
struct tf_name {
	char text[TF_NAME_LEN];
} __attribute__((aligned(8)));

TF_INLINE _Bool tf_name_equal(const struct tf_name *a, const struct tf_name *b)
{
	__u64 x[2], y[2];

	__builtin_memcpy(x, a, sizeof(x));
	__builtin_memcpy(y, b, sizeof(y));
	return x[0] == y[0] && x[1] == y[1];
}

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). Network byte order. */
struct tf_addr {
	__u8 byte[16];
} __attribute__((aligned(4)));

#define TF_V4_MAPPED_PREFIX 96 /* bits before the IPv4 address in a v4-mapped one */

/* Word 0 to 3 of an address. */
TF_INLINE __be32 tf_addr_word(const struct tf_addr *a, int i)
{
	__be32 word;

	__builtin_memcpy(&word, a->byte + 4 * i, 4);
	return word;
}

TF_INLINE _Bool tf_addr_is_v4(const struct tf_addr *a)
{
	return !tf_addr_word(a, 0) && !tf_addr_word(a, 1) &&
	       tf_addr_word(a, 2) == tf_htonl(0xffff);
}

TF_INLINE _Bool tf_addr_equal(const struct tf_addr *a, const struct tf_addr *b)
{
	return tf_addr_word(a, 0) == tf_addr_word(b, 0) && tf_addr_word(a, 1) == tf_addr_word(b, 1) &&
	       tf_addr_word(a, 2) == tf_addr_word(b, 2) && tf_addr_word(a, 3) == tf_addr_word(b, 3);
}

/* ipv4: four bytes in network order. */
TF_INLINE void tf_addr_set_v4(struct tf_addr *a, const void *ipv4)
{
	const __be32 mapped = tf_htonl(0xffff);

	__builtin_memset(a->byte, 0, 8);
	__builtin_memcpy(a->byte + 8, &mapped, sizeof(mapped));
	__builtin_memcpy(a->byte + 12, ipv4, 4);
}

#endif
