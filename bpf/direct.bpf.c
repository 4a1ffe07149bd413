// SPDX-License-Identifier: GPL-2.0
/* The programs of tunfence.bpf.c, reading the kernel's structures by plain loads: see kernel.h. */
#define TF_DIRECT
#include "tunfence.bpf.c"
