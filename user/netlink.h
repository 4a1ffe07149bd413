/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One transport for netlink in all its families, over libmnl: a request, its answers, its errors.
 * A dump that the kernel says was interrupted (NLM_F_DUMP_INTR) is thrown away and asked again:
 * half a list of endpoints would cut a working tunnel.
 */
#ifndef TUNFENCE_NETLINK_H
#define TUNFENCE_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

/* Called for each message of the answer. 0, or a negative errno that ends the exchange. */
typedef int (*netlink_cb)(const struct nlmsghdr *message, void *data);

/* Called before a dump is asked (again): forget what was collected so far. */
typedef void (*netlink_reset_cb)(void *data);

/* Sends request on a new socket of bus (NETLINK_ROUTE, NETLINK_GENERIC) and hands every answer to
 * cb. reset may be NULL. sensitive: wipe the receive buffer before returning, as it held keys.
 * -errno of the kernel's answer; -EINTR if a dump was interrupted eight times in a row;
 * -ETIMEDOUT after five seconds of silence; -EPROTO for an answer that makes no sense. */
int netlink_exchange(int bus, struct nlmsghdr *request, bool sensitive, netlink_cb cb,
		     netlink_reset_cb reset, void *data);

/* A socket on which the kernel tells of changes, of the groups (RTMGRP_*) of bus. Never blocks.
 * A descriptor or -errno. */
int netlink_listen(int bus, unsigned int groups);

/* Hands every message that has arrived to cb, which must return 0. -ENOBUFS, after the rest was
 * handed on: something was missed, and everything may have changed. */
int netlink_hear(int fd, netlink_cb cb, void *data);

/* The number of a generic netlink family, loading its module if the kernel can; -ENOENT. */
int netlink_family(const char *name);

/* What the payload of one attribute must look like. */
struct netlink_rule {
	__u16 type;
	__u16 min, max; /* bytes, without the attribute's header */
};

/* Looks for the attributes that rules name, in message behind a family header of header bytes, or
 * in the payload of a nested attribute. found[i] is the one of rules[i], or NULL. Others are
 * skipped. -EPROTO if any attribute overruns, or one that is looked for is there twice or of a
 * length its rule forbids. */
int netlink_attributes(const struct nlmsghdr *message, size_t header,
		       const struct netlink_rule *rules, size_t rule_count,
		       const struct nlattr **found);
int netlink_nested(const struct nlattr *nest, const struct netlink_rule *rules, size_t rule_count,
		   const struct nlattr **found);

/* Calls cb for each attribute in the payload of nest. What cb returns if not 0; -EPROTO if one
 * overruns. */
typedef int (*netlink_attribute_cb)(const struct nlattr *attribute, void *data);
int netlink_each(const struct nlattr *nest, netlink_attribute_cb cb, void *data);

/* The text of an attribute as a name: up to its NUL, or to its end. Cut to 15 characters, as the
 * program in the kernel reads names. -EPROTO if it is empty. */
int netlink_name(const struct nlattr *attribute, struct tf_name *ret);

/* For tests and fuzzing: the messages of one datagram, whoever asked for them. What cb returns if not
 * 0; -EPROTO if one overruns. */
int netlink_messages(const void *datagram, size_t len, netlink_cb cb, void *data);

/* For tests and fuzzing: one received datagram, all its messages. 1: the answer is complete;
 * 0: there is more to come; -EINTR: the dump was interrupted; or another negative errno. */
int netlink_walk(const void *datagram, size_t len, __u32 sequence, __u32 port, netlink_cb cb,
		 void *data);

#endif
