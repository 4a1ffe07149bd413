// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses, prefixes and ports as text: see addr.h. Never resolves a name, never does I/O.
 * What has two readings (a v4-mapped literal, 010, host bits in a prefix) is refused, because one
 * of the two would allow what nobody meant.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

#define ADDR_BITS 128

static const struct tf_addr v4_mapped = { .byte = { [10] = 0xff, [11] = 0xff } };

static bool bits_equal(const struct tf_addr *a, const struct tf_addr *b, unsigned int bits)
{
	unsigned int whole = bits / 8;
	unsigned int rest = bits % 8;

	if (memcmp(a->byte, b->byte, whole) != 0)
		return false;
	return !rest || (a->byte[whole] ^ b->byte[whole]) >> (8 - rest) == 0;
}

static void addr_mask(struct tf_addr *addr, unsigned int bits)
{
	for (unsigned int i = bits; i < ADDR_BITS; i++)
		addr->byte[i / 8] &= (__u8) ~(0x80 >> i % 8);
}

static int addr_parse_v6(const char *text, struct tf_addr *ret, struct err *e)
{
	struct tf_addr addr;
	char v4[INET_ADDRSTRLEN];

	if (strchr(text, '%'))
		return err_set(e, -EINVAL, "'%s' has a scope id; write the address without '%%...'",
			       text);
	if (inet_pton(AF_INET6, text, addr.byte) != 1)
		return err_set(e, -EINVAL, "'%s' is not an IPv6 address", text);
	if (tf_addr_is_v4(&addr))
		return err_set(e, -EINVAL, "'%s' is an IPv4 address in IPv6 dress; write '%s'",
			       text, inet_ntop(AF_INET, addr.byte + 12, v4, sizeof(v4)));

	*ret = addr;
	return 0;
}

int addr_parse(const char *text, struct tf_addr *ret, struct err *e)
{
	struct tf_addr addr = v4_mapped;

	if (strchr(text, ':'))
		return addr_parse_v6(text, ret, e);
	if (inet_pton(AF_INET, text, addr.byte + 12) != 1)
		return err_set(e, -EINVAL, "'%s' is not an IPv4 or IPv6 address", text);

	*ret = addr;
	return 0;
}

const char *addr_format(const struct tf_addr *addr, char buf[ADDR_TEXT_LEN])
{
	if (tf_addr_is_v4(addr))
		inet_ntop(AF_INET, addr->byte + 12, buf, ADDR_TEXT_LEN);
	else
		inet_ntop(AF_INET6, addr->byte, buf, ADDR_TEXT_LEN);
	return buf;
}

const char *addr_port_format(const struct tf_addr *addr, __be16 port, char buf[ADDR_TEXT_LEN])
{
	char text[INET6_ADDRSTRLEN];

	if (tf_addr_is_v4(addr)) {
		inet_ntop(AF_INET, addr->byte + 12, text, sizeof(text));
		snprintf(buf, ADDR_TEXT_LEN, "%s:%u", text, (unsigned int)tf_ntohs(port));
	} else {
		inet_ntop(AF_INET6, addr->byte, text, sizeof(text));
		snprintf(buf, ADDR_TEXT_LEN, "[%s]:%u", text, (unsigned int)tf_ntohs(port));
	}
	return buf;
}

/* The address and the length of a prefix, without a look at whether they fit together. */
static int prefix_split(const char *text, struct prefix *ret, struct err *e)
{
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	char addr[INET6_ADDRSTRLEN];
	struct prefix prefix;
	__u32 most, bits;
	int r;

	if (length >= sizeof(addr))
		return err_set(e, -EINVAL, "'%s' is not a prefix; write ADDRESS/LENGTH", text);
	memcpy(addr, text, length);
	addr[length] = '\0';

	r = addr_parse(addr, &prefix.addr, e);
	if (r < 0)
		return r;

	most = tf_addr_is_v4(&prefix.addr) ? 32 : ADDR_BITS;
	bits = most;
	if (slash && parse_u32(slash + 1, 0, most, &bits) < 0)
		return err_set(e, -EINVAL,
			       "'%s' has a bad prefix length; write 0 to %u after the '/'", text,
			       most);

	prefix.bits = ADDR_BITS - most + bits;
	*ret = prefix;
	return 0;
}

int prefix_parse(const char *text, struct prefix *ret, struct err *e)
{
	struct prefix written, prefix;
	char buf[ADDR_TEXT_LEN];
	int r;

	r = prefix_split(text, &written, e);
	if (r < 0)
		return r;

	prefix = written;
	addr_mask(&prefix.addr, prefix.bits);
	if (!bits_equal(&prefix.addr, &written.addr, ADDR_BITS))
		return err_set(e, -EINVAL, "'%s' has bits set after its length; did you mean '%s'?",
			       text, prefix_format(&prefix, buf));

	if (!prefix_is_v4(&prefix) && prefix.bits &&
	    bits_equal(&prefix.addr, &v4_mapped, prefix.bits))
		return err_set(
			e, -EINVAL,
			"'%s' would cover IPv4 addresses too; write '::/0' or a longer prefix",
			text);

	*ret = prefix;
	return 0;
}

const char *prefix_format(const struct prefix *prefix, char buf[ADDR_TEXT_LEN])
{
	char addr[ADDR_TEXT_LEN];
	unsigned int bits = prefix->bits;

	if (prefix_is_v4(prefix))
		bits -= TF_V4_MAPPED_PREFIX;
	snprintf(buf, ADDR_TEXT_LEN, "%.*s/%u", INET6_ADDRSTRLEN, addr_format(&prefix->addr, addr),
		 bits);
	return buf;
}

bool prefix_is_v4(const struct prefix *prefix)
{
	return prefix->bits >= TF_V4_MAPPED_PREFIX && tf_addr_is_v4(&prefix->addr);
}

bool prefix_contains(const struct prefix *outer, const struct tf_addr *addr)
{
	if (prefix_is_v4(outer) != tf_addr_is_v4(addr))
		return false;
	return bits_equal(&outer->addr, addr, outer->bits);
}

bool prefix_covers(const struct prefix *outer, const struct prefix *inner)
{
	return outer->bits <= inner->bits && prefix_contains(outer, &inner->addr);
}

int addr_from_sockaddr(const struct sockaddr *sa, struct tf_addr *ret, __be16 *ret_port)
{
	struct tf_addr addr = v4_mapped;
	struct sockaddr_in6 in6;
	struct sockaddr_in in;
	__be16 port;

	switch (sa->sa_family) {
	case AF_INET:
		memcpy(&in, sa, sizeof(in));
		memcpy(addr.byte + 12, &in.sin_addr, sizeof(in.sin_addr));
		port = (TF_FORCE __be16)in.sin_port;
		break;
	case AF_INET6:
		memcpy(&in6, sa, sizeof(in6));
		memcpy(addr.byte, &in6.sin6_addr, sizeof(in6.sin6_addr));
		port = (TF_FORCE __be16)in6.sin6_port;
		break;
	default:
		return -EAFNOSUPPORT;
	}

	*ret = addr;
	if (ret_port)
		*ret_port = port;
	return 0;
}

int parse_u32(const char *text, __u32 min, __u32 max, __u32 *ret)
{
	unsigned long long value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (const char *c = text; *c; c++)
		if (*c < '0' || *c > '9')
			return -EINVAL;

	for (const char *c = text; *c; c++) {
		value = value * 10 + (unsigned long long)(*c - '0');
		if (value > max)
			return -ERANGE;
	}
	if (value < min)
		return -ERANGE;

	*ret = (__u32)value;
	return 0;
}

int port_range_parse(const char *text, __u16 *ret_from, __u16 *ret_to, struct err *e)
{
	const char *dash = strchr(text, '-');
	char first[sizeof("65535")];
	size_t length = dash ? (size_t)(dash - text) : strlen(text);
	__u32 from = 0, to = 0;
	bool good = length < sizeof(first);

	if (good) {
		memcpy(first, text, length);
		first[length] = '\0';
		good = parse_u32(first, 1, 65535, &from) == 0;
		to = from;
	}
	if (good && dash)
		good = parse_u32(dash + 1, 1, 65535, &to) == 0;
	if (!good)
		return err_set(
			e, -EINVAL,
			"'%s' is not a port or a range of ports; write 1 to 65535, or FROM-TO",
			text);
	if (from > to)
		return err_set(e, -EINVAL, "'%s' is a range of no ports; did you mean '%u-%u'?",
			       text, to, from);

	*ret_from = (__u16)from;
	*ret_to = (__u16)to;
	return 0;
}
