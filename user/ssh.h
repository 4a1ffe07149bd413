/* SPDX-License-Identifier: GPL-2.0 */
/* The SSH session the caller sits in, and whether a policy would cut it. */
#ifndef TUNFENCE_SSH_H
#define TUNFENCE_SSH_H

#include <stdbool.h>

#include "compile.h"
#include "err.h"
#include "link.h"

struct ssh_session {
	struct tf_addr client, server;
	__u16 client_port, server_port; /* host byte order */
};

/* SSH_CONNECTION of this process or of the nearest ancestor that has one: sudo removes it from its
 * own. False: there is none. */
bool ssh_find(struct ssh_session *ret);

/* The text of SSH_CONNECTION: client address and port, server address and port. */
bool ssh_parse(const char *text, struct ssh_session *ret);

/* -EBUSY with what would keep it, if the policy drops the answers of this session. */
int ssh_check(const struct ssh_session *s, const struct policy *p, const struct links *links,
	      struct err *e);

#endif
