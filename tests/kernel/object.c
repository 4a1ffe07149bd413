// SPDX-License-Identifier: GPL-2.0
/* One BPF object by itself: see object.h. */
#include "kernel/object.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util.h"

static struct bpf_map *map_of(const struct bpf_object *o, enum map map)
{
	return bpf_object__find_map_by_name(o, map == MAP_RODATA ? ".rodata" : map_name(map));
}

/* How many entries a map needs to hold the policy; 0: as it is. */
static size_t entries(const struct policy *p, enum map map)
{
	switch (map) {
	case MAP_ENDPOINTS:
		return p->endpoint_count + 1;
	case MAP_LIVE:
		return TF_MAX_ENDPOINTS;
	case MAP_PREFIXES:
	case MAP_NETWORKS:
		return p->prefix_count + 1;
	case MAP_SERVICES:
		return p->service_count + 1;
	case MAP_UPLINKS:
		return p->uplink_count + 1;
	case MAP_INSIDE:
		return p->inside_count + 1;
	case MAP_INBOUND:
		return p->inbound_count + 1;
	case MAP_BLOCKED:
		return TF_MAX_BLOCKED;
	case MAP_RODATA:
	case MAP_LIVE_HASHES:
	case MAP_RECENT:
	case MAP_FRAGMENTS:
	case MAP_COUNTERS:
	case MAP_TUNNELS:
	case MAP_QUESTION:
	case MAP_OWNERS:
	case MAP_CLEARED:
	case MAP_LISTENERS:
	case MAP_LEASES:
	case MAP_COUNT:
		break;
	}
	return 0;
}

int object_load(struct bpf_object *o, const volatile struct tf_policy *rodata,
		const struct policy *p, struct maps *ret, struct err *e)
{
	struct maps m;
	enum map map;
	int r;

	for (map = 0; map < MAP_COUNT; map++) {
		struct bpf_map *handle = map_of(o, map);

		if (!handle)
			return err_set(e, -ENOENT, "the object has no map '%s'", map_name(map));
		if (entries(p, map))
			bpf_map__set_max_entries(handle, (__u32)entries(p, map));
	}
	memcpy((void *)rodata, &p->rodata, sizeof(p->rodata));
	r = bpf_object__load(o);
	if (r)
		return err_set(e, r, "the kernel refuses the object: %s", strerror(-r));
	for (map = 0; map < MAP_COUNT; map++)
		m.fd[map] = bpf_map__fd(map_of(o, map));
	r = maps_label_counters(m.fd[MAP_COUNTERS], e);
	if (!r)
		r = maps_fill(&m, p, e);
	if (!r)
		r = maps_freeze(&m, e);
	if (!r)
		*ret = m;
	return r;
}

__u64 object_count(const struct maps *m, enum tf_plane plane, enum tf_reason reason)
{
	counter_table table;

	if (maps_read_counters(m->fd[MAP_COUNTERS], table, NULL))
		return 0;
	return table[plane][reason].packets;
}

bool run_ip(const char *words)
{
	char *arguments[32] = { "ip" }, *rest = NULL, *word;
	_cleanup_free_ char *copy = strdup(words);
	size_t count = 1;
	int status = -1;
	pid_t child;

	for (word = copy ? strtok_r(copy, " ", &rest) : NULL;
	     word && count < ARRAY_SIZE(arguments) - 1; word = strtok_r(NULL, " ", &rest))
		arguments[count++] = word;
	child = fork();
	if (child == 0) {
		execvp("ip", arguments);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status)
		fprintf(stderr, "failed: ip %s\n", words);
	return status == 0;
}
