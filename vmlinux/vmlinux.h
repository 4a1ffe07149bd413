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

/* include/linux/types.h */
struct list_head {
	struct list_head *next;
};

/* include/linux/ns_common.h: the inode of /proc/PID/ns/net */
struct ns_common {
	unsigned int inum;
};

/* include/net/net_namespace.h */
struct net {
	struct ns_common ns;
	struct list_head dev_base_head;
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
	int ifindex;
	unsigned int flags;  /* IFF_* */
	unsigned short type; /* ARPHRD_* */
	possible_net_t nd_net;
	const struct rtnl_link_ops *rtnl_link_ops;
	struct list_head dev_list; /* in net.dev_base_head */
	struct in_device *ip_ptr;  /* NULL: has no IPv4 addresses */
	struct inet6_dev *ip6_ptr;
	const unsigned char *dev_addr;
	unsigned long priv_flags : 32; /* IFF_* of enum netdev_priv_flags; a plain int before 6.8 */
};

/* include/linux/types.h */
typedef struct {
	long long counter;
} atomic64_t;

/* include/net/sock.h */
struct sock_common {
	unsigned short skc_family;
	unsigned short skc_num; /* local port, host byte order */
	volatile unsigned char skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct sock *skc_listener; /* of a connection request */
	atomic64_t skc_cookie;     /* what SO_COOKIE says; 0: nobody asked yet */
};

/* include/linux/cgroup-defs.h */
struct sock_cgroup_data {
	struct cgroup *cgroup; /* since 5.15 */
};

/* Until then: the pointer, or with one of its two lowest bits set something else. */
struct sock_cgroup_data___val {
	unsigned long long val;
};

typedef struct {
	unsigned int val;
} kuid_t;

struct sock {
	struct sock_common __sk_common;
	unsigned short sk_type;
	unsigned short sk_protocol;
	unsigned char sk_kern_sock : 1; /* made by the kernel for itself */
	kuid_t sk_uid;
	struct sock_cgroup_data sk_cgrp_data;
	struct bpf_local_storage *sk_bpf_storage; /* NULL: nobody keeps anything of it */
};

/* include/linux/bpf_local_storage.h: what each map keeps of one socket, in a list. */
struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct bpf_local_storage {
	struct hlist_head list;
};

struct bpf_local_storage_data {
	void *smap; /* begins with its struct bpf_map */
	unsigned char data[1];
};

struct bpf_local_storage_elem {
	struct hlist_node snode; /* in bpf_local_storage.list */
	struct bpf_local_storage_data sdata;
};

/* include/linux/kernfs.h */
struct kernfs_node {
	unsigned long long id; /* the inode of the cgroup's directory */
};

struct cgroup {
	int level;
	struct kernfs_node *kn;
	struct cgroup *ancestors[1]; /* by level, the cgroup itself is the last; since 6.1 */
};

/* Until then. */
struct cgroup___ids {
	unsigned long long ancestor_ids[1];
};

struct css_set {
	struct cgroup *dfl_cgrp; /* in the hierarchy of cgroup2 */
};

/* include/linux/cred.h, sched.h */
struct cred {
	kuid_t uid;
};

struct task_struct {
	int tgid;
	struct task_struct *group_leader;
	const struct cred *cred;
	struct css_set *cgroups;
	char comm[16];
};

/* include/linux/inetdevice.h */
struct in_ifaddr {
	struct in_ifaddr *ifa_next;
	unsigned int ifa_local; /* network byte order, as the mask */
	unsigned int ifa_mask;
	unsigned int ifa_broadcast; /* 0: none */
};

struct in_device {
	struct in_ifaddr *ifa_list;
};

/* include/uapi/linux/in6.h */
struct in6_addr {
	struct {
		unsigned char u6_addr8[16];
	} in6_u;
};

/* include/net/if_inet6.h */
struct inet6_dev {
	struct list_head addr_list;
};

struct inet6_ifaddr {
	struct in6_addr addr;
	unsigned int prefix_len;
	struct list_head if_list; /* in inet6_dev.addr_list */
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
	__be16 protocol;
	unsigned char ip_summed : 2;
	unsigned int len, data_len; /* in all; outside head */
	unsigned int mark;
	unsigned int end; /* from head: struct skb_shared_info */
	int skb_iif;      /* device it came in by; 0: made here */
};

struct skb_shared_info {
	unsigned short gso_size;
};

/* include/linux/netfilter.h, include/net/netfilter/nf_bpf_link.h: since 6.4 */
struct nf_hook_state {
	struct net_device *out;
};

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

/* include/linux/filter.h: what struct bpf_sock_addr stands for */
struct bpf_sock_addr_kern {
	struct sock *sk;
};

/* include/linux/net.h */
struct socket {
	struct sock *sk;
};

/* net/packet/internal.h. Until 6.3 a bypass is what xmit points to, since 6.4 a flag; the other of
 * the two is not there, and to be asked for first. */
struct packet_sock {
	struct sock sk;
	void *xmit;
	unsigned long flags; /* bits by enum packet_sock_flags */
};

enum packet_sock_flags {
	PACKET_SOCK_QDISC_BYPASS = 6,
};

#pragma clang attribute pop

#endif
