/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Netlink messages made by hand, right or wrong, and tests that need a network namespace of their
 * own: run in a child, so that this process keeps its own.
 */
#ifndef TESTS_NETLINK_MESSAGE_H
#define TESTS_NETLINK_MESSAGE_H

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "netlink.h"

enum { MESSAGE_SIZE = 4096, MESSAGE_SEQUENCE = 7, MESSAGE_PORT = 4711 };

struct message {
	_Alignas(struct nlmsghdr) char bytes[MESSAGE_SIZE];
	struct nlmsghdr *nlh;
};

static inline void message_begin(struct message *m, __u16 type, const void *header, size_t len)
{
	memset(m->bytes, 0, sizeof(m->bytes));
	m->nlh = mnl_nlmsg_put_header(m->bytes);
	m->nlh->nlmsg_type = type;
	m->nlh->nlmsg_flags = NLM_F_MULTI;
	m->nlh->nlmsg_seq = MESSAGE_SEQUENCE;
	m->nlh->nlmsg_pid = MESSAGE_PORT;
	memcpy(mnl_nlmsg_put_extra_header(m->nlh, len), header, len);
}

/* The same in memory of exactly its length, so that the address sanitizer sees every overrun. */
static inline struct nlmsghdr *message_cut(const struct message *m, size_t len)
{
	struct nlmsghdr *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, m->bytes, len);
	copy->nlmsg_len = (__u32)len;
	return copy;
}

enum { CHILD_CANNOT = 77 };

/* As root, or as anybody where user namespaces are allowed. */
static inline int new_netns(void)
{
	return !unshare(CLONE_NEWNET) || !unshare(CLONE_NEWUSER | CLONE_NEWNET);
}

/* Runs test, which returns 0 if all is well. */
static inline void in_new_netns(int (*test)(void))
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child)
		_exit(!new_netns() ? CHILD_CANNOT : test() ? 1 : 0);

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_CANNOT) {
		print_message("cannot make a network namespace: run as root\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* In such a child: names the condition that does not hold. */
#define CHILD_CHECK(condition)                                                                     \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			print_error("%s:%d: %s\n", __FILE__, __LINE__, #condition);                \
			return -1;                                                                 \
		}                                                                                  \
	} while (0)

#endif
