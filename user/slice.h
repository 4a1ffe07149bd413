/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cgroup of a fence's own, for one whose configuration names none: the systemd slice
 * tunfence-NAME.slice. Its '-' puts it below tunfence.slice, as systemd does it, also where there is
 * no systemd. 'up' makes it, 'down' removes it when it is empty, and programs are run in it.
 */
#ifndef TUNFENCE_SLICE_H
#define TUNFENCE_SLICE_H

#include <limits.h>
#include <stdbool.h>

#include "err.h"

#define SLICE_PARENT "tunfence.slice"
#define UNIT_NAME_LEN 256 /* UNIT_NAME_MAX of systemd, and what a directory's name may have */

/* A fence's name as a part of a unit's name: "my-vpn@home" -> "my\x2dvpn\x40home". -ENAMETOOLONG if
 * there is then no room for what stands around it. */
int slice_escape(const char *fence, char ret[UNIT_NAME_LEN], struct err *e);

/* "tunfence-NAME.slice" */
int slice_unit(const char *fence, char ret[UNIT_NAME_LEN], struct err *e);

/* base: the group that stands for the machine, absolute; NULL: the hierarchy's root, and what is
 * given is relative to it. */
int slice_path(const char *fence, const char *base, char ret[PATH_MAX], struct err *e);

/* Whether a group's path is the fence's own slice, wherever that is. */
bool slice_is_own(const char *path, const char *fence);

/* Makes its directories, for where no systemd does it. Those that are there will do. */
int slice_make(const char *fence, const char *base, struct err *e);

/* Removes the slice at this absolute path if nothing is in it; what ended runs left goes too. True
 * if it is gone. Never ends a process: the fence must be down, so that no program comes any more. */
bool slice_remove(const char *fence, const char *path);

#endif
