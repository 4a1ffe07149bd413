/* SPDX-License-Identifier: GPL-2.0 */
/* The words for reasons, verdicts and planes, from the core's own list. */
#ifndef TUNFENCE_REASON_H
#define TUNFENCE_REASON_H

#include <tunfence/decide.h>
#include <tunfence/policy.h>

/* "not_allowed": for scripts and JSON. */
const char *reason_name(enum tf_reason reason);

/* "is not allowed outside the tunnel": what a packet does, for people. */
const char *reason_text(enum tf_reason reason);

const char *plane_name(enum tf_plane plane);
const char *verdict_name(enum tf_verdict verdict);

#endif
