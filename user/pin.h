/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a fence lives in the file system, and the lock around it.
 *
 *   BPFFS/tunfence/NAME/{links,progs,maps}   for people and tools
 *   RUN/bpf/NAME/{links,progs}               a bpffs of our own: removing or unmounting the first
 *                                            one opens nothing
 *   RUN/lock                                 held by whoever changes a fence
 *
 * A pin is replaced by pinning beside it and renaming over it, so there is never none. The file
 * system allows no '.' in names.
 */
#ifndef TUNFENCE_PIN_H
#define TUNFENCE_PIN_H

#include <limits.h>
#include <stdbool.h>

#include "err.h"

struct pins {
	char shown[PATH_MAX];   /* BPFFS/tunfence/NAME */
	char own[PATH_MAX];     /* RUN/bpf/NAME */
	char shown_root[PATH_MAX]; /* BPFFS/tunfence */
	char own_root[PATH_MAX];   /* RUN/bpf */
	char run[PATH_MAX];     /* RUN */
};

/* Only computes the paths. */
int pins_init(struct pins *p, const char *bpffs, const char *run, const char *name, struct err *e);

/* Makes RUN and mounts the bpffs of our own where it is missing. -ENODEV: BPFFS is none. */
int pins_make_roots(const struct pins *p, struct err *e);

/* Makes the fence's directories. */
int pins_make(const struct pins *p, struct err *e);

/* Removes all pins and directories of the fence. Links are not detached. */
int pins_remove(const struct pins *p, struct err *e);

/* Removes pins that a killed run left on their way to their place. */
int pins_sweep(const struct pins *p, struct err *e);

/* Waits up to 10 s for the lock. Returns a descriptor that holds it. */
int pins_lock(const struct pins *p, struct err *e);

/* kind: "links", "progs" or "maps". Pins fd in both places (maps: only where it is shown). */
int pin_put(const struct pins *p, const char *kind, const char *name, int fd, struct err *e);

/* The two places of a pin, the trusted one first: whoever looks for something of ours tries both,
 * since either may have been removed or taken by something else. */
enum pin_home {
	PIN_OWN = 0,
	PIN_SHOWN,
	PIN_HOMES,
};

/* A descriptor; -ENOENT: nothing is there; -EBADMSG: what is there is no link, no program or no
 * map, as kind asks. */
int pin_open(const struct pins *p, enum pin_home home, const char *kind, const char *name);
const char *pin_home_path(const struct pins *p, enum pin_home home);

int pin_drop(const struct pins *p, const char *kind, const char *name, struct err *e);

/* Every name below kind in either place, each once. Stops at the first non-zero return. */
typedef int (*pin_cb)(const char *name, void *data);
int pin_each(const struct pins *p, const char *kind, pin_cb cb, void *data);

/* Every fence that has a directory in either place. */
int pin_each_fence(const struct pins *p, pin_cb cb, void *data);

#endif
