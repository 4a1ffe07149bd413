/* SPDX-License-Identifier: GPL-2.0 */
/* What a fence's exempt programs have to do with the other fences. Reads only. */
#ifndef TUNFENCE_EXEMPT_H
#define TUNFENCE_EXEMPT_H

#include <tunfence/policy.h>

#include "err.h"
#include "pin.h"

/* -EEXIST: another fence marks its exempt programs with this policy's mark, or has its routing table:
 * then either would change the other's routes. */
int exempt_check_numbers(const struct pins *pins, const struct tf_policy *p, struct err *e);

#endif
