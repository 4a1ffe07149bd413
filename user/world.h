/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What exists now, gathered once for one run of a command: interfaces, the live state of each
 * tunnel of a configuration, resolved endpoint names, the namespace, the cgroup.
 * All I/O that a policy depends on is here; compile.c only computes.
 */
#ifndef TUNFENCE_WORLD_H
#define TUNFENCE_WORLD_H

#include "cgroup.h"
#include "config.h"
#include "hosts.h"
#include "link.h"
#include "resolve.h"
#include "wireguard.h"

struct world_endpoint {
	__u8 protocol;
	__be16 port;
	struct tf_addr addr;
};

/* One for each config_tunnel, in the same order. */
struct world_tunnel {
	int ifindex;         /* 0: there is no such interface now */
	struct tf_name kind; /* the configured; else the live device's; else what would be made */
	bool kind_mismatch;  /* the live device is not of that kind, so it is not the tunnel */
	bool answered;       /* the device told its endpoints: device is filled */
	struct wireguard_device device;
	struct world_endpoint *resolved; /* of the endpoints given by name */
	size_t resolved_count;
};

struct world {
	__u32 netns; /* inode of /proc/self/ns/net */
	struct links links;
	struct world_tunnel *tunnels;
	size_t tunnel_count;
	struct resolve_name *names; /* of endpoints, each once */
	size_t name_count;
	struct hosts last; /* their last good addresses, as they were found */
	struct cgroups groups; /* of the scope, none inside another */
	struct cgroups exempt; /* the fence's own slice for them first, then those that are there now;
				* none inside another, and none holds a group of the scope */
	char **warnings; /* sentences for the user: names that did not resolve, ... */
	size_t warning_count;
};

struct world_options {
	const char *cgroup;     /* --cgroup: instead of the root group (system scope only) */
	const char *socket_dir; /* of user-space WireGuard; normally /var/run/wireguard */
	const char *state_dir;  /* of last good addresses; NULL: there are none */
	const struct resolve_server *server; /* to ask first; NULL, or port 0: there is none */
	const struct world *before; /* its answers count, and only the server is asked for the rest */
	struct world *asked;    /* its names are taken, and none is resolved; NULL: resolve them */
};

void world_free(struct world *w);
static inline void world_cleanup(struct world **w)
{
	world_free(*w);
}
#define _cleanup_world_ _cleanup_(world_cleanup)

int world_read(const struct config *c, const struct world_options *o, struct world **ret,
	       struct err *e);

/* The names alone, resolved: what takes its time, and needs nothing else of the world. */
int world_ask(const struct config *c, const struct world_options *o, struct world **ret,
	      struct err *e);

int world_netns(__u32 *ret, struct err *e);

/* For tests: the kind a tunnel is judged by, and whether live (NULL: none) is of another one.
 * in_kernel: the kernel can make WireGuard devices; only asked if it matters. */
void world_choose_kind(const struct config_tunnel *c, const struct link *live,
		       bool (*in_kernel)(void), struct tf_name *ret_kind, bool *ret_mismatch);

#endif
