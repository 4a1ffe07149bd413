// SPDX-License-Identifier: GPL-2.0
/* A configuration's policy, in a world that is made up: see policy.h. */
#include "measure/policy.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "util.h"
#include "world.h"

int policy_of_config(const char *path, struct policy **ret, struct err *e)
{
	_cleanup_world_ struct world *w = calloc(1, sizeof(*w));
	_cleanup_config_ struct config *c = NULL;
	struct stat netns = {};
	size_t i;
	int r = config_read(path, "measure", "/nonexistent", &c, e);

	if (r)
		return r;
	if (w) {
		w->tunnels = calloc(c->tunnel_count, sizeof(*w->tunnels));
		w->groups.list = calloc(1, sizeof(*w->groups.list));
	}
	if (!w || !w->tunnels || !w->groups.list || stat("/proc/self/ns/net", &netns))
		return err_set(e, -errno, "the world cannot be made up: %s", strerror(errno));
	w->netns = (__u32)netns.st_ino;
	w->groups.list[0].fd = -1;
	w->groups.count = 1;
	w->tunnel_count = c->tunnel_count;
	for (i = 0; i < c->tunnel_count; i++) {
		w->tunnels[i].kind = c->tunnels[i].kind;
		if (!w->tunnels[i].kind.text[0])
			w->tunnels[i].kind = (struct tf_name){ "wireguard" };
	}
	r = compile(c, w, ret, e);
	if (!r)
		(*ret)->rodata.ingress = (*ret)->rodata.scope == TF_SCOPE_SYSTEM;
	return r;
}
