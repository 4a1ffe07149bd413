/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test hook: die right after the Nth step that changed something outside this process, so that
 * tests can look at the wire in every state a crash could leave. Only in builds made with
 * TUNFENCE_TEST_HOOKS; otherwise every call is nothing.
 *
 * TUNFENCE_FAULT=N     SIGKILL after the Nth step, counting from 1
 * TUNFENCE_FAULT=share-port  ask the bootstrap name server from a port that others may have too
 * TUNFENCE_FAULT=few-blocked  make room for few entries of blocked
 * TUNFENCE_FAULT=no-direct  take this kernel for one whose structures are not to be read by plain loads
 * TUNFENCE_FAULT=many-processors  take this machine for one that has a processor for each object
 * TUNFENCE_FAULT=refused-netfilter  take this kernel for one that has netfilter programs and refuses ours
 * TUNFENCE_FAULT=no-tcx,no-netfilter,no-lsm  take this kernel for one without these, or some of them
 */
#ifndef TUNFENCE_FAULT_H
#define TUNFENCE_FAULT_H

#include <stdbool.h>

#ifdef TUNFENCE_TEST_HOOKS
void fault_step(void);
bool fault_is(const char *name);
#else
static inline void fault_step(void)
{
}

static inline bool fault_is(const char *name)
{
	(void)name;
	return false;
}
#endif

#endif
