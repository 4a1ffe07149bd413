/* SPDX-License-Identifier: GPL-2.0 */
/* Addresses, prefixes and port numbers as text. No name resolution, no I/O. */
#ifndef TUNFENCE_ADDR_H
#define TUNFENCE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include <tunfence/types.h>

#include "err.h"

#define ADDR_TEXT_LEN 64 /* enough for an address, a prefix, or [address]:port */

/* An address with the number of its leading bits that count, in v4-mapped terms (96 + n).
 * An IPv6 prefix never contains an IPv4 address, not even ::/0, though all the bits it looks at
 * are equal: who puts ::/0 into a longest-prefix map must keep ::ffff:0:0/96 out of it. */
struct prefix {
	struct tf_addr addr;
	unsigned int bits;
};

/* A literal IPv4 or IPv6 address (IPv4 becomes v4-mapped; a v4-mapped IPv6 literal is refused,
 * -EINVAL). No host names, no scope ids. */
int addr_parse(const char *text, struct tf_addr *ret, struct err *e);

/* "192.0.2.1", "2001:db8::1". Returns buf. */
const char *addr_format(const struct tf_addr *addr, char buf[ADDR_TEXT_LEN]);

/* "192.0.2.1:51820", "[2001:db8::1]:51820". port in network byte order. Returns buf. */
const char *addr_port_format(const struct tf_addr *addr, __be16 port, char buf[ADDR_TEXT_LEN]);

/* "192.0.2.0/24", or an address alone, which is a /32 or /128. Host bits must be zero; the error
 * then names the prefix that was probably meant. Of the IPv6 prefixes around the v4-mapped range
 * only ::/0 is accepted. */
int prefix_parse(const char *text, struct prefix *ret, struct err *e);
const char *prefix_format(const struct prefix *prefix, char buf[ADDR_TEXT_LEN]);
bool prefix_is_v4(const struct prefix *prefix);

bool prefix_contains(const struct prefix *outer, const struct tf_addr *addr);
bool prefix_covers(const struct prefix *outer, const struct prefix *inner);

/* From a socket address of AF_INET or AF_INET6; port in network byte order, ret_port may be NULL.
 * -EAFNOSUPPORT for any other family. */
int addr_from_sockaddr(const struct sockaddr *sa, struct tf_addr *ret, __be16 *ret_port);

/* Decimal digits only, the whole text, no leading zero, min <= value <= max. -EINVAL, -ERANGE. */
int parse_u32(const char *text, __u32 min, __u32 max, __u32 *ret);

/* "8000" or "8000-8100", 1 to 65535, host byte order. */
int port_range_parse(const char *text, __u16 *ret_from, __u16 *ret_to, struct err *e);

#endif
