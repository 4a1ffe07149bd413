// SPDX-License-Identifier: GPL-2.0
/* Packets near the vectors: see mutate.h. Knows packets only as far as their lengths. */
#include "vectors/mutate.h"

#include <string.h>

#include "util.h"

enum { ETHERNET_HEADER = 14 };

__u64 mutate_seed(__u64 seed)
{
	return seed * 2 + 1; /* never 0, which xorshift does not leave */
}

/* xorshift64* */
__u32 mutate_below(__u64 *random, __u32 limit)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return (__u32)((*random * 0x2545f4914f6cdd1dULL) >> 32) % limit;
}

/* Bytes that mean something somewhere in a header. */
static const __u8 telling[] = {
	0, 1, 2, 4, 5, 6, 7, 8, 17, 20, 22, 40, 41, 43, 44, 45, 46, 50, 51, 53, 58, 59, 60, 0x4f,
	0x60, 0x61, 0x80, 0x81, 0x86, 0x88, 0xdd, 0x8e, 0xff, 131, 133, 135, 137, 139, 140, 253,
};

static void change_byte(__u64 *random, struct mutated *m)
{
	__u32 reach = m->length < 100 || mutate_below(random, 8) == 0 ? m->length : 100, at;

	if (!m->length)
		return;
	at = mutate_below(random, reach);
	if (mutate_below(random, 2))
		m->bytes[at] = telling[mutate_below(random, ARRAY_SIZE(telling))];
	else
		m->bytes[at] ^= (__u8)(1U << mutate_below(random, 8));
}

static void extend(__u64 *random, struct mutated *m)
{
	__u32 more = mutate_below(random, 80);

	for (; more && m->length < MUTATE_MAX_BYTES; more--)
		m->bytes[m->length++] = (__u8)mutate_below(random, 256);
}

/* What lies behind some offset becomes the other's bytes from an offset near it. */
static void splice(__u64 *random, struct mutated *m, const __u8 *other, __u32 other_length)
{
	__u32 at, from, bytes;

	if (!m->length || !other_length)
		return;
	at = mutate_below(random, m->length);
	from = mutate_below(random, 2) && at < other_length ? at :
							      mutate_below(random, other_length);
	bytes = other_length - from;
	if (bytes > MUTATE_MAX_BYTES - at)
		bytes = MUTATE_MAX_BYTES - at;
	memcpy(m->bytes + at, other + from, bytes);
	m->length = at + bytes;
}

/* A few more options or extension headers: eight bytes behind the fixed header. */
static void insert(__u64 *random, struct mutated *m, __u32 l3)
{
	static const __u8 extensions[] = { 0, 43, 44, 51, 60, 135 };
	bool six = m->bytes[l3] >> 4 == 6;
	__u32 at = l3 + (six ? 40 : 20);
	__u8 *ip = m->bytes + l3, *to = m->bytes + at;
	__u32 i;

	if (at > m->length || m->length + 8 > MUTATE_MAX_BYTES || (!six && (ip[0] & 15) > 13))
		return;
	memmove(to + 8, to, m->length - at);
	m->length += 8;
	for (i = 0; i < 8; i++)
		to[i] = mutate_below(random, 2) ? 0 : telling[mutate_below(random, 16)];
	if (!six) {
		ip[0] = (__u8)(ip[0] + 2);
		return;
	}
	to[0] = ip[6];
	to[1] = mutate_below(random, 4) ? 0 : (__u8)mutate_below(random, 4);
	ip[6] = extensions[mutate_below(random, ARRAY_SIZE(extensions))];
}

static void put16(__u8 *to, __u32 value)
{
	to[0] = (__u8)(value >> 8);
	to[1] = (__u8)value;
}

/* The IP header's length, and UDP's if it lies directly behind, agree with what is there. */
static void repair(struct mutated *m, __u32 l3)
{
	__u8 *ip = m->bytes + l3;
	__u32 left = m->length - l3, header = 0, protocol = 0;

	if (left >= 20 && ip[0] >> 4 == 4) {
		put16(ip + 2, left);
		header = (ip[0] & 15) * 4U;
		protocol = ip[9];
	} else if (left >= 40 && ip[0] >> 4 == 6) {
		put16(ip + 4, left - 40);
		header = 40;
		protocol = ip[6];
	}
	if (protocol == 17 && left >= header + 8)
		put16(ip + header + 4, left - header);
}

void mutate(__u64 *random, const __u8 *frame, __u32 length, const __u8 *other, __u32 other_length,
	    bool ethernet, struct mutated *ret)
{
	__u32 l3 = ethernet ? ETHERNET_HEADER : 0, changes = mutate_below(random, 4);

	memset(ret, 0, sizeof(*ret));
	ret->length = length < MUTATE_MAX_BYTES ? length : MUTATE_MAX_BYTES;
	if (ret->length)
		memcpy(ret->bytes, frame, ret->length);
	switch (mutate_below(random, 8)) {
	case 0:
		ret->length = mutate_below(random, ret->length + 1);
		break;
	case 1:
		extend(random, ret);
		break;
	case 2:
		splice(random, ret, other, other_length);
		break;
	case 3:
	case 4:
		insert(random, ret, l3);
		break;
	default: /* bytes only */
		break;
	}
	while (changes--)
		change_byte(random, ret);
	if (ret->length > l3 && mutate_below(random, 4))
		repair(ret, l3);
}
