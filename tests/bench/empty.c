// SPDX-License-Identifier: GPL-2.0
/* Programs that only pass: the least that anybody at these hooks can cost. */
#include "bench.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>

#include "util.h"

enum {
	NETFILTER_TYPE = 32,   /* enum bpf_prog_type as of Linux 6.4 */
	NETFILTER_ATTACH = 45, /* enum bpf_attach_type */
	DROP = 0,
	PASS = 1,
	NEXT = -1, /* TCX_NEXT, TC_ACT_UNSPEC */
};

static const struct {
	enum bpf_prog_type type;
	__u32 attach;
	int passes;
} empty[PROGRAM_COUNT] = {
	[PROGRAM_SOCKET] = { BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, PASS },
	[PROGRAM_WIRE] = { BPF_PROG_TYPE_SCHED_CLS, 0, NEXT },
	[PROGRAM_IN] = { BPF_PROG_TYPE_SCHED_CLS, 0, NEXT },
	[PROGRAM_NS] = { (enum bpf_prog_type)NETFILTER_TYPE, NETFILTER_ATTACH, PASS },
	[PROGRAM_OPT] = { BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT, PASS },
	[PROGRAM_CONN4] = { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, PASS },
	[PROGRAM_CONN6] = { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, PASS },
	[PROGRAM_SEND4] = { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, PASS },
	[PROGRAM_SEND6] = { BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG, PASS },
	[PROGRAM_MARK] = { BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, PASS },
	[PROGRAM_WHO] = { BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, PASS },
	[PROGRAM_DISPATCHER] = { BPF_PROG_TYPE_SCHED_CLS, 0, NEXT },
};

static int load(enum program like, const struct bpf_insn *code, size_t count)
{
	LIBBPF_OPTS(bpf_prog_load_opts, options,
		    .expected_attach_type = (enum bpf_attach_type)empty[like].attach);
	int fd;

	if (!empty[like].type)
		return -ENOTSUP;
	fd = bpf_prog_load(empty[like].type, "empty", "GPL", code, count, &options);
	return fd < 0 ? -errno : fd;
}

int empty_program(enum program like)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = empty[like].passes },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load(like, code, ARRAY_SIZE(code));
}

int dropping_program(__u32 mark)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_1,
		  .off = offsetof(struct __sk_buff, mark) },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = PASS },
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_1, .off = 1,
		  .imm = (__s32)mark },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load(PROGRAM_SOCKET, code, ARRAY_SIZE(code));
}
