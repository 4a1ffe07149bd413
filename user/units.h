/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Units that a fence names, beyond their cgroups of now. A service that is started again has
 * another cgroup, which no policy knows. So systemd is told, by drop-ins below /run, to start it in
 * the fence's own slice, which is fenced in too, and not to stop slices of the fence. Order
 * matters: the drop-ins come before a service's cgroup of now is looked for, and go after the fence
 * is down; those of exempt services come after the policy. So whatever dies in between, no service
 * is started out of the fence that there was.
 */
#ifndef TUNFENCE_UNITS_H
#define TUNFENCE_UNITS_H

#include <stdbool.h>

#include "config.h"
#include "err.h"

#define UNITS_DROP_INS "/run/systemd/system" /* end with the running system, as fences do */

bool unit_is_service(const char *unit);

/* Whether the configuration names one. */
bool units_has_service(const struct config *c);

/* Whether systemd is there to start services in the fence's slices. base: what --cgroup says; NULL:
 * nothing. */
bool units_are_bound(const char *base);

/* Whether it starts those that are to be fenced in the fence's own slice. */
bool units_have_slice(const struct config *c, const char *base);

/* What is said of a fence's units, and how far that has come. */
struct units;

void units_free(struct units *u);
static inline void units_cleanup(struct units **u)
{
	units_free(*u);
}
#define _cleanup_units_ _cleanup_(units_cleanup)

/* Makes the fence's own slices, if it needs them. Where systemd runs: writes the drop-ins of
 * services that are to be fenced and of slices, has systemd read them, looks whether it then does
 * what they say, and starts the slices. Of an exempt service it looks only whether there is one. */
int units_prepare(const struct config *c, const char *base, struct units **ret, struct err *e);

/* When the policy stands: has exempt services started in the slice for them. The policy before may
 * exempt that slice, but not the service. */
int units_exempt(struct units *u, struct err *e);

/* The policy was not raised: what was not said before is taken back. What was said otherwise stays
 * as it is said now: it fences. */
int units_undo(struct units *u, struct err *e);

/* Takes the fence's drop-ins away that c has no use for; NULL: all of them. */
int units_release(const char *fence, const struct config *c, struct err *e);

/* Whether the fence's drop-in for a service that is to be fenced is as it was put. */
bool units_is_moved(const char *fence, const char *unit);

#endif
