/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One hook raised, replaced or lowered in one place, and its pins with it. There is no moment at
 * which a hook that was there is not: it is swapped in one step, or the new one comes first.
 * Which hooks, where and in what order is loader.c's.
 */
#ifndef TUNFENCE_RAISE_H
#define TUNFENCE_RAISE_H

#include "err.h"
#include "link.h"
#include "pin.h"
#include "planes.h"

/* The hook on the cgroup with this id: swapped if a link of ours holds it, else attached. cgroup_fd:
 * -1: it is swapped only. */
int raise_cgroup(const struct pins *pins, enum hook hook, int program_fd, int cgroup_fd,
		 __u64 cgroup_id, struct err *e);

/* Takes the hook off all cgroups but those of the policy, and their pins away. */
int lower_other_cgroups(const struct pins *pins, enum hook hook, const struct tf_policy *policy,
			struct err *e);

/* The hook in the current namespace: a new link, then the one there was goes. */
int raise_netfilter(const struct pins *pins, enum hook hook, int program_fd, struct err *e);

/* The hook on one device, by tcx or by clsact. A device that vanished meanwhile needs none. */
int raise_device(const struct pins *pins, const char *fence, enum hook hook,
		 const struct link *link, int program_fd, struct err *e);

/* Pinned links of a device's hook that are on no device of this namespace: whose device is gone,
 * they go; whose device was moved away, they get the program and stay. */
int raise_strays(const struct pins *pins, enum hook hook, const struct links *links,
		 int program_fd, struct err *e);

/* Takes the hook off one device. Nothing there: done. */
int lower_device(const struct pins *pins, const char *fence, enum hook hook,
		 const struct link *link, struct err *e);

/* Takes every pinned link of the hook off, wherever it is, and its pins away. */
int lower_links(const struct pins *pins, enum hook hook, struct err *e);

#endif
