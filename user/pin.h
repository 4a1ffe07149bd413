/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a fence lives in the file system, and the lock around it.
 *
 *   BPFFS/tunfence/NAME/{progs,maps}   for people and tools; nothing of it can be written, and
 *                                      removing or unmounting it opens nothing
 *   RUN/bpf/NAME/{links,progs,arrays}  a bpffs of our own, which holds the fence
 *   ~dispatcher-ABI-NETNS in both      what cgroup fences of a namespace share (dispatcher.h)
 *   BPFFS/tunfence-held                the same file system once more: at shutdown everything is
 *                                      unmounted but what is below /sys, while packets still leave
 *   RUN/NAME.json                      state.c's
 *   RUN/lock                           held by whoever changes a fence
 *
 * Who opens a pinned link can take it off its hook, and the kernel asks for no capability. So both
 * are covered: an empty read-only file system is mounted over RUN and over BPFFS/tunfence-held. To work below it a mount namespace
 * of one's own is entered, in which the cover is taken off: that needs CAP_SYS_ADMIN. Whatever is
 * mounted for the machine is mounted before.
 *
 * A pin is replaced by pinning beside it and renaming over it, so there is never none. The file
 * system allows no '.' in names.
 */
#ifndef TUNFENCE_PIN_H
#define TUNFENCE_PIN_H

#include <limits.h>
#include <stdbool.h>

#include "err.h"

#define PIN_DISPATCHER "~dispatcher-" /* no fence's name: that has no '~' */

struct pins {
	char shown[PATH_MAX];   /* BPFFS/tunfence/NAME */
	char own[PATH_MAX];     /* RUN/bpf/NAME */
	char shown_root[PATH_MAX]; /* BPFFS/tunfence */
	char own_root[PATH_MAX];   /* RUN/bpf */
	char run[PATH_MAX];     /* RUN */
	char held[PATH_MAX];    /* BPFFS/tunfence-held */
};

/* Only computes the paths. */
int pins_init(struct pins *p, const char *bpffs, const char *run, const char *name, struct err *e);

/* Those of another fence in the same places. */
int pins_of_another(const struct pins *p, const char *name, struct pins *ret);

/* Covers RUN if it is not, and there is a bpffs of ours. */
int pins_cover(const struct pins *p, struct err *e);

/* Gets below the cover, for the rest of this process. Before that nothing below RUN can be seen. */
int pins_enter(const struct pins *p, struct err *e);

/* Whether there was a cover when this process got below it. */
bool pins_are_covered(void);

/* Makes RUN and mounts the bpffs of our own where it is missing, and covers RUN. -ENODEV: BPFFS is
 * none. */
int pins_prepare(const struct pins *p, struct err *e);

/* The same, and gets below the cover. */
int pins_make_roots(const struct pins *p, struct err *e);

/* Gets below the cover, where somebody else prepared: mounts nothing. For a mount namespace that
 * ends with this process: fails unless both bpffs are the machine's and so outlive it. */
int pins_find_roots(const struct pins *p, struct err *e);

/* For root alone. One that is there will do. */
int pins_make_dir(const char *path, struct err *e);

/* Makes the fence's directories. */
int pins_make(const struct pins *p, struct err *e);

/* Removes all pins and directories of the fence. Links are not detached. */
int pins_remove(const struct pins *p, struct err *e);

/* Removes pins that a killed run left on their way to their place. */
int pins_sweep(const struct pins *p, struct err *e);

/* Waits up to 10 s for the lock. Returns a descriptor that holds it. */
int pins_lock(const struct pins *p, struct err *e);

/* Earlier versions pinned links where they are shown too, or there alone: moves them to our own
 * place. The caller holds the lock. */
int pins_adopt(const struct pins *p, struct err *e);

/* Whether there is something to adopt. */
bool pins_are_shown(const struct pins *p);

/* kind: "links", "progs", "maps" or "arrays" (of programs). Pins fd wherever that kind goes. */
int pin_put(const struct pins *p, const char *kind, const char *name, int fd, struct err *e);

/* From our own place: what is shown is never believed. A descriptor; -ENOENT: nothing is there;
 * -EBADMSG: what is there is no link or no program, as kind asks. */
int pin_open(const struct pins *p, const char *kind, const char *name);

/* Wherever it is. Nothing there: done. */
int pin_drop(const struct pins *p, const char *kind, const char *name, struct err *e);

/* Every name below kind in our own place. Stops at the first non-zero return. */
typedef int (*pin_cb)(const char *name, void *data);
int pin_each(const struct pins *p, const char *kind, pin_cb cb, void *data);

/* Every fence that has a directory in either place. */
int pin_each_fence(const struct pins *p, pin_cb cb, void *data);

/* Every directory in our own place whose name begins with PIN_DISPATCHER. */
int pin_each_dispatcher(const struct pins *p, pin_cb cb, void *data);

#endif
