/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Times. The kernel's programs count from the boot on, through suspend and whatever is done to the
 * clock; people read a clock. One is turned into the other by what both say now.
 */
#ifndef TUNFENCE_WHEN_H
#define TUNFENCE_WHEN_H

#include <time.h>

#include <tunfence/types.h>

#include "err.h"

struct now {
	__u64 boot;     /* ns since boot, time asleep included */
	long long wall; /* ns since 1970 */
};

struct now now_read(void);
long long now_real(const struct now *now); /* s since 1970 */

/* Seconds since 1970 of a moment since boot: the same whenever it is asked, unless the clock is set. */
long long when_real(const struct now *now, __u64 boot);

/* The same in ns. */
__u64 when_real_ns(__u64 boot);

/* "12:01:33" if that was today, else "21 Nov", of the local time. Returns buf. */
#define WHEN_TEXT_LEN 32
const char *when_short(const struct now *now, __u64 boot, char buf[WHEN_TEXT_LEN]);
const char *when_long(const struct now *now, __u64 boot, char buf[WHEN_TEXT_LEN]);

/* "3 days", "1 second". A time that is yet to come, since a clock was set back, is "0 seconds". */
const char *when_long_ago(long long seconds, char buf[WHEN_TEXT_LEN]);

/* "10min" (s, min, h, d: so long ago), "today", "13:30[:00]" (the last time it was that),
 * "2026-11-22[ 13:30[:00]]". ret: ns since boot, 0 for what was before. */
int when_parse(const char *text, const struct now *now, __u64 *ret, struct err *e);

#endif
