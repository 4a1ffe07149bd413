/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The cgroups of a fence's own: one to hold, for a fence whose configuration names none, the systemd
 * slice tunfence-NAME.slice; and one for exempt programs, tunfence-NAME-exempt.slice. Each '-' puts
 * it a level down, below tunfence.slice, as systemd does it, also where there is no systemd. 'up'
 * makes them, 'down' removes them when they are empty, and programs are run in them.
 */
#ifndef TUNFENCE_SLICE_H
#define TUNFENCE_SLICE_H

#include <limits.h>
#include <stdbool.h>

#include "err.h"

enum slice {
	SLICE_FENCED,
	SLICE_EXEMPT, /* below the other, whether or not the fence holds that */
};

#define SLICE_PARENT "tunfence.slice"
#define UNIT_NAME_LEN 256 /* UNIT_NAME_MAX of systemd, and what a directory's name may have */

/* A fence's name as a part of a unit's name: "my-vpn@home" -> "my\x2dvpn\x40home". -ENAMETOOLONG if
 * there is then no room for what stands around it. */
int slice_escape(const char *fence, char ret[UNIT_NAME_LEN], struct err *e);

/* "tunfence-NAME.slice", "tunfence-NAME-exempt.slice" */
int slice_unit(const char *fence, enum slice slice, char ret[UNIT_NAME_LEN], struct err *e);

/* base: the group that stands for the machine, absolute; NULL: the hierarchy's root, and what is
 * given is relative to it. */
int slice_path(const char *fence, enum slice slice, const char *base, char ret[PATH_MAX],
	       struct err *e);

/* Whether a group's path is that slice of the fence's, wherever that is. */
bool slice_is_own(const char *path, const char *fence, enum slice slice);

/* Makes its directories, for where no systemd does it. Those that are there will do. */
int slice_make(const char *fence, enum slice slice, const char *base, struct err *e);

/* Removes the slice at this absolute path if nothing is in it; what ended runs left goes too, and
 * what it lies in, if that is a slice of ours and empty. True if it is gone. Never ends a process: the
 * fence must be down, so that no program comes any more. */
bool slice_remove(const char *fence, enum slice slice, const char *path);

#endif
