/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The programs of a fence and the hooks they are attached to, as data: whoever raises, lowers or
 * shows a fence walks these tables. Order is that of raising; lowering goes backwards, so that the
 * socket plane is the first to come and the last to go. Knows nothing of descriptors or policies.
 */
#ifndef TUNFENCE_PLANES_H
#define TUNFENCE_PLANES_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <tunfence/policy.h>

#include "hook.h"

/* X(NAME, pin below progs/, name in the kernel, whether a kernel, or a fence, may be without) */
#define PROGRAMS(X)                                                                                \
	X(SOCKET, "socket", "tunfence_socket", false)                                              \
	X(WIRE, "wire", "tunfence_wire", false)                                                    \
	X(IN, "in", "tunfence_in", false)                                                          \
	X(NS, "ns", "tunfence_ns", true)                                                           \
	X(OPT, "guard-opt", "tunfence_opt", false)                                                 \
	X(CONN4, "guard-conn4", "tunfence_conn4", false)                                           \
	X(CONN6, "guard-conn6", "tunfence_conn6", false)                                           \
	X(SEND4, "guard-send4", "tunfence_send4", false)                                           \
	X(SEND6, "guard-send6", "tunfence_send6", false)                                           \
	X(LSM, "guard-lsm", "tunfence_lsm", true)                                                  \
	X(MARK, "mark", "tunfence_mark", true)                                                     \
	X(WHO, "who", "tunfence_who", true)                                                        \
	X(DISPATCHER, "dispatcher", "tunfence_disp", true)

enum program {
#define X(NAME, pin, name, optional) PROGRAM_##NAME,
	PROGRAMS(X)
#undef X
	PROGRAM_COUNT,
};

struct program_row {
	const char *pin;
	const char *name;
	bool optional;
};
extern const struct program_row programs[PROGRAM_COUNT];

/* Where a hook is. */
enum hook_kind {
	KIND_CGROUP,    /* on the scope's cgroups; place: enum bpf_attach_type */
	KIND_EXEMPT,    /* on the exempt ones; likewise */
	KIND_DEVICE,    /* on every uplink, tcx or clsact; place: direction */
	KIND_NETFILTER, /* in the network namespace; place: address family */
	KIND_DISPATCHER, /* on devices, for all fences of cgroups: none is one's own (dispatcher.h) */
};

/* X(NAME, pin below links/, what people call it, plane, program, kind, place,
 *   whether something can leave or come in when it is missing)
 * Hooks of devices and namespaces are pinned as PIN-..., since there may be several. */
#define HOOKS(X)                                                                                   \
	X(SOCKET, "socket", "socket", SOCKET, SOCKET, CGROUP, BPF_CGROUP_INET_EGRESS, true)        \
	X(WIRE, "wire", "wire", WIRE, WIRE, DEVICE, AT_TCX_EGRESS, true)                             \
	X(NS4, "ns4", "IPv4", NAMESPACE, NS, NETFILTER, AT_IPV4, true)                           \
	X(NS6, "ns6", "IPv6", NAMESPACE, NS, NETFILTER, AT_IPV6, true)                           \
	X(IN, "in", "ingress", INGRESS, IN, DEVICE, AT_TCX_INGRESS, true)                            \
	X(OPT, "guard-opt", "setsockopt", GUARD, OPT, CGROUP, BPF_CGROUP_SETSOCKOPT, true)         \
	X(LSM, "guard-lsm", "LSM", GUARD, LSM, CGROUP, AT_LSM_CGROUP, true)                      \
	X(CONN4, "guard-conn4", "connect4", GUARD, CONN4, CGROUP, BPF_CGROUP_INET4_CONNECT, false) \
	X(CONN6, "guard-conn6", "connect6", GUARD, CONN6, CGROUP, BPF_CGROUP_INET6_CONNECT, false) \
	X(SEND4, "guard-send4", "sendmsg4", GUARD, SEND4, CGROUP, BPF_CGROUP_UDP4_SENDMSG, false)  \
	X(SEND6, "guard-send6", "sendmsg6", GUARD, SEND6, CGROUP, BPF_CGROUP_UDP6_SENDMSG, false)  \
	X(MARK, "mark", "mark", GUARD, MARK, EXEMPT, BPF_CGROUP_INET_SOCK_CREATE, false)           \
	X(WHO, "who", "sock_create", GUARD, WHO, CGROUP, BPF_CGROUP_INET_SOCK_CREATE, false)       \
	X(DISPATCHER, "dispatcher", "wire", WIRE, DISPATCHER, DISPATCHER, AT_TCX_EGRESS, true)

enum hook {
#define X(NAME, pin, label, plane, program, kind, place, opens) HOOK_##NAME,
	HOOKS(X)
#undef X
	HOOK_COUNT,
};

struct hook_row {
	const char *pin;
	const char *label;
	enum tf_plane plane;
	enum program program;
	enum hook_kind kind;
	__u32 place;
	bool opens;
};
extern const struct hook_row hooks[HOOK_COUNT];

static inline bool hook_is_of_cgroups(enum hook hook)
{
	return hooks[hook].kind == KIND_CGROUP || hooks[hook].kind == KIND_EXEMPT;
}

/* The program with this name in the kernel. PROGRAM_COUNT: none of ours. */
enum program program_find(const char *name);

/* The hook that a program serves at a place. HOOK_COUNT: none. */
enum hook hook_find(enum program program, __u32 place);

#endif
