/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A configuration's policy for this process's network namespace, whatever there is in it: to load
 * programs that are attached nowhere.
 */
#ifndef TESTS_MEASURE_POLICY_H
#define TESTS_MEASURE_POLICY_H

#include "compile.h"
#include "err.h"

/* Every tunnel is of the kind that is configured, or of the kernel's own. */
int policy_of_config(const char *path, struct policy **ret, struct err *e);

#endif
