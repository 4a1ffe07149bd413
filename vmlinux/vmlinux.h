/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel types we read, and of each only the fields we read. Offsets are relocated at load
 * (CO-RE) from the BTF of the running kernel, so order and size here mean nothing. What a kernel
 * does not have makes its relocation fail and the program is refused, never misread.
 *
 * Each field was found in the BTF of Linux 5.10, 6.1, 6.12, 6.18 and 7.2 under this name.
 */
#ifndef TUNFENCE_VMLINUX_H
#define TUNFENCE_VMLINUX_H

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/ns_common.h: the inode of /proc/PID/ns/net */
struct ns_common {
	unsigned int inum;
};

/* include/net/net_namespace.h */
struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

/* include/net/rtnetlink.h: NULL in a device that no link kind made, such as hardware */
struct rtnl_link_ops {
	const char *kind;
};

/* include/linux/netdevice.h */
struct net_device {
	char name[16];
	unsigned short type; /* ARPHRD_* */
	possible_net_t nd_net;
	const struct rtnl_link_ops *rtnl_link_ops;
};

/* include/net/sock.h */
struct sock_common {
	possible_net_t skc_net;
};

struct sock {
	struct sock_common __sk_common;
};

/* include/net/dst.h */
struct dst_entry {
	struct net_device *dev;
};

/* include/linux/skbuff.h */
struct sk_buff {
	struct net_device *dev;
	struct sock *sk;
	unsigned long _skb_refdst; /* struct dst_entry *, and a flag in bit 0 */
	unsigned char *head;
	unsigned char *data;
	unsigned short csum_start; /* from head */
	unsigned short csum_offset;
	unsigned short network_header;
	unsigned short transport_header;
	unsigned char ip_summed : 2;
};

#pragma clang attribute pop

#endif
