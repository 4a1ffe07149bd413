/* SPDX-License-Identifier: GPL-2.0 */
/* Which interface the kernel would send by now. Asks; changes nothing. */
#ifndef TUNFENCE_ROUTE_H
#define TUNFENCE_ROUTE_H

#include <tunfence/types.h>

#include "err.h"

/* The ifindex that a packet to dst with this mark would leave by (RTM_GETROUTE).
 * -ENETUNREACH and the like: there is no route. */
int route_find(const struct tf_addr *dst, __u32 mark, int *ret_ifindex, struct err *e);

#endif
