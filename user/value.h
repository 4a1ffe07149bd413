/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One value of a configuration, text -> struct, judged by itself: what it may be, never how it
 * goes with the rest of the file. Errors name the text, not the file; the caller knows the line.
 */
#ifndef TUNFENCE_VALUE_H
#define TUNFENCE_VALUE_H

#include "config.h"
#include "err.h"

#define VALUE_BLANKS " \t" /* between the words of a value */
#define VALUE_INSIDE_LEN (TF_NAME_LEN + 1) /* 15 characters, '*' and NUL */

/* Constants of struct prefix. V6 gives the first two bytes and the last. */
#define VALUE_V4(a, b, c, d, n)                                                                    \
	{                                                                                          \
		.addr = { .byte = { [10] = 0xff, [11] = 0xff, a, b, c, d } },                      \
		.bits = TF_V4_MAPPED_PREFIX + (n)                                                  \
	}
#define VALUE_V6(first, second, last, n)                                                           \
	{                                                                                          \
		.addr = { .byte = { first, second, [15] = (last) } }, .bits = (n)                  \
	}

/* The ranges LAN= may open, and does open for LAN=yes. */
extern const struct prefix value_lan_ranges[];
extern const size_t value_lan_range_count;

int value_yes_no(const char *text, bool *ret, struct err *e);

/* A name the kernel would give an interface (dev_valid_name() of net/core/dev.c), other than lo. */
int value_interface(const char *text, struct tf_name *ret, struct err *e);
int value_kind(const char *text, struct tf_name *ret, struct err *e);

/* Decimal or 0x hexadecimal; 0 is accepted, as wg(8) means "off" by it. */
int value_mark(const char *text, __u32 *ret, struct err *e);

/* A path below the cgroup2 hierarchy's root, or absolute. Checked, not changed. */
int value_cgroup(const char *text, struct err *e);

/* The name of a service, scope or slice of systemd: what has a cgroup. */
int value_unit(const char *text, struct err *e);

/* A user's name or number. Whether there is such a user is not asked. */
int value_user(const char *text, struct err *e);

/* HOST:PORT, [IPv6]:PORT. ret->line is left 0. */
int value_endpoint(const char *text, __u8 protocol, struct config_endpoint *ret, struct err *e);
bool value_endpoint_equal(const struct config_endpoint *a, const struct config_endpoint *b);

/* ADDRESS, IPv4:PORT, [IPv6]:PORT; the port is 53 if none is said. A literal address of one host. */
int value_name_server(const char *text, struct tf_addr *ret, __u16 *ret_port, struct err *e);

/* An interface name, or the beginning of one and '*'. */
int value_inside(const char *text, struct tf_inside_key *ret, struct err *e);
const char *value_inside_format(const struct tf_inside_key *inside, char buf[VALUE_INSIDE_LEN]);
bool value_inside_matches(const struct tf_inside_key *inside, const struct tf_name *name);

/* A prefix. A word without '.' and ':' was not meant as one: the error says what else it may be. */
int value_prefix(const char *word, const char *or_what, struct prefix *ret, struct err *e);

/* A prefix within value_lan_ranges. */
int value_lan(const char *text, struct prefix *ret, struct err *e);

/* [udp|tcp|icmp|any] PREFIX [port N|N-M] [uplink NAME]. ret->line is left 0. */
int value_destination(const char *text, struct config_destination *ret, struct err *e);
/* A total order over everything but the line. 0: the same rule. */
int value_destination_compare(const struct config_destination *a,
			      const struct config_destination *b);

#endif
