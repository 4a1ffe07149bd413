// SPDX-License-Identifier: GPL-2.0
/* What stands on a device for all fences of cgroups: see dispatcher.h. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include <vmlinux.h>

#include "dispatcher.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TF_SLOTS);
	__type(key, __u32);
	__type(value, struct tf_slot);
} slots SEC(".maps");

SEC("tc")
int tunfence_disp(struct __sk_buff *ctx)
{
	return ask_next(ctx, 0);
}

char _license[] SEC("license") = "GPL";
