// SPDX-License-Identifier: GPL-2.0
/* The maps by themselves: there before the objects whose programs share them, which then need not wait
 * for each other. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "maps.h"

char _license[] SEC("license") = "GPL";
