/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The life of a fence: load, fill, freeze, attach, pin, swap, remove.
 *
 * Everything up to the first swap touches nothing live. Each step after it leaves the old fence or
 * a stricter one: hooks are swapped one by one, and between two swaps a packet must satisfy both
 * policies. The caller holds the lock.
 */
#ifndef TUNFENCE_LOADER_H
#define TUNFENCE_LOADER_H

#include "cgroup.h"
#include "compile.h"
#include "err.h"
#include "fence.h"
#include "link.h"
#include "pin.h"

/* Raises the fence name, or replaces the one there is, whatever version raised that one. Cgroups
 * that the policy names no more are let go when all it names are fenced, and not before. Those that
 * were removed stay in the policy, behind those it names, as long as there are sockets of them;
 * -E2BIG: there are too many.
 * groups, exempt: the policy's, in its order.
 * links: the interfaces of the namespace; those that the policy calls uplinks get the planes of
 * devices. *ret_replaced: whether there was one. */
int loader_up(const struct pins *pins, const char *name, const struct policy *policy,
	      const struct cgroups *groups, const struct cgroups *exempt,
	      const struct links *links, bool *ret_replaced, struct err *e);

/* Puts the fence's planes where they are missing, such as on uplinks that came, and the right
 * program where it is another policy's. groups, exempt: of the policy's, those that could be found; hooks of
 * others are left as they are. *ret_raised: how many hooks were put right. */
int loader_heal(const struct fence *f, const struct policy *policy, const struct cgroups *groups,
		const struct cgroups *exempt, const struct links *links, int *ret_raised,
		struct err *e);

/* Opens the fence: the only way. -ENOENT: there is none. */
int loader_down(const struct pins *pins, const char *name, const struct links *links,
		struct err *e);

#endif
