/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose mounts these are. What is mounted in a mount namespace of one's own, as hardened units and
 * 'ip netns exec' have, vanishes with it, and with a bpffs what is pinned there. PID 1's namespace
 * is the machine's. Reads /proc; mounts nothing. What cannot be told is not the machine's.
 */
#ifndef TUNFENCE_MOUNTS_H
#define TUNFENCE_MOUNTS_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "err.h"

/* Whether this process is known to be in PID 1's mount namespace. */
bool mounts_are_the_machines(void);

/* 0: the bpffs that is mounted on path here is mounted on where for PID 1, and so stays. */
int mounts_check_bpffs(const char *path, const char *where, struct err *e);

/* Whether mountinfo has the whole bpffs with this device number mounted on path. */
bool mountinfo_has_bpffs(FILE *stream, const char *path, dev_t device);

#endif
