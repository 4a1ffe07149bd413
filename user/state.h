/* SPDX-License-Identifier: GPL-2.0 */
/*
 * RUN/NAME.json: what a fence was raised from and the kernel does not know: endpoint names, paths.
 * Losing it costs that names are not resolved again and that nobody is let into a slice; no verdict
 * depends on it.
 */
#ifndef TUNFENCE_STATE_H
#define TUNFENCE_STATE_H

#include <limits.h>
#include <stdbool.h>

#include "cgroup.h"
#include "config.h"
#include "err.h"

struct state {
	char config[PATH_MAX]; /* empty: derived from a live interface */
	char **groups;         /* absolute paths of the scope's cgroups, in the policy's order */
	size_t group_count;
	char **units; /* services that systemd starts in the fence's own slice, which is a group then */
	size_t unit_count;
	char **exempt;         /* of the exempt ones', likewise */
	size_t exempt_count;
	char **users;          /* names or numbers of who may start exempt programs, besides root */
	size_t user_count;
	long long since;       /* seconds since 1970 */
	long long looked; /* when up or sync last looked where the endpoints are: the file's time */
	/* The names: one config_tunnel for each tunnel that has any, with those endpoints alone. */
	struct config_tunnel *tunnels;
	size_t tunnel_count;
};

void state_free(struct state *s); /* what it points to, not s itself */

/* Whether the group at path is that of one of the units, but for their slice. What comes after it is
 * in there. */
bool state_is_fleeting(const struct state *s, const char *path);

/* Replaces the file in one step. */
int state_write(const char *run_dir, const struct config *c, const struct cgroups *groups,
		const struct cgroups *exempt, struct err *e);

/* Before a new policy: takes out the users that the configuration does not name, or they might
 * start exempt programs under it until the file is written again. One that cannot be changed goes. */
int state_narrow(const char *run_dir, const struct config *c, struct err *e);

int state_read(const char *run_dir, const char *name, struct state *ret, struct err *e);

/* Notes that sync has looked. Where that fails, what the fence knows looks older than it is. */
void state_touch(const char *run_dir, const char *name);
void state_remove(const char *run_dir, const char *name);

#endif
