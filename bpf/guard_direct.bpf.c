// SPDX-License-Identifier: GPL-2.0
/* The programs of guard.bpf.c, reading the kernel's structures by plain loads: see kernel.h. */
#define TF_DIRECT
#include "guard.bpf.c"
