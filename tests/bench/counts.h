/* SPDX-License-Identifier: GPL-2.0 */
/* What the kernel has counted in another process's network namespace. */
#ifndef TESTS_BENCH_COUNTS_H
#define TESTS_BENCH_COUNTS_H

#include <sys/types.h>

#include <linux/types.h>

#include "err.h"

struct counts {
	__u64 bytes, packets; /* that came in by the device */
	__u64 datagrams;      /* of UDP, that came for any port */
	__u64 for_nobody;     /* of those, for a port that nobody has */
};

int counts_read(pid_t there, const char *device, struct counts *ret, struct err *e);

#endif
