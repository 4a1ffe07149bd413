// SPDX-License-Identifier: GPL-2.0
/* The fences as numbers: see metrics.h. Asks what status and blocked ask, and no more. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "blocked.h"
#include "metrics.h"
#include "pin.h"
#include "reason.h"
#include "view.h"

/* ---- one fence ---- */

/* A time that is not known is left out. */
static void add_times(struct metrics *m, const struct view *v)
{
	const char *fence = v->fence->name;

	if (!v->has_state)
		return;
	metrics_add(m, METRIC_RAISED, (unsigned long long)v->state.since, { "fence", fence });
	metrics_add(m, METRIC_LOOKED, (unsigned long long)v->state.looked, { "fence", fence });
	if (v->state.tunnel_count)
		metrics_add(m, METRIC_RESOLVED, (unsigned long long)v->last.when,
			    { "fence", fence });
}

static void add_fence(struct metrics *m, const struct view *v)
{
	const struct tf_policy *p = &v->policy->rodata;
	const char *fence = v->fence->name;

	metrics_add(m, METRIC_UP, 1, { "fence", fence });
	metrics_add(m, METRIC_WHOLE, v->safe, { "fence", fence });
	metrics_add(m, METRIC_INFO, 1, { "fence", fence },
		    { "mode", p->mode == TF_MODE_OBSERVE ? "observe" : "enforce" },
		    { "scope", p->scope == TF_SCOPE_CGROUP ? "cgroup" : "system" });
	metrics_add(m, METRIC_PROBLEMS, v->problem_count, { "fence", fence });
}

/* Those of devices. */
static void add_interface(struct metrics *m, const struct view *v, const struct view_interface *in)
{
	size_t i;

	for (i = 0; in->role == ROLE_UPLINK && i < HOOK_COUNT; i++) {
		if (hooks[i].kind != KIND_DEVICE ||
		    !policy_has_hook(&v->policy->rodata, (enum hook)i) ||
		    in->standing[i] == STANDING_ABSENT)
			continue;
		metrics_add(m, METRIC_HOOK, standing_is_good(in->standing[i]),
			    { "fence", v->fence->name }, { "plane", plane_name(hooks[i].plane) },
			    { "hook", hooks[i].label }, { "interface", in->link->name.text });
	}
}

/* Whether it is for this fence to have the hook, and to be seen from here. */
static bool has_hook(const struct view *v, enum hook hook)
{
	if (!policy_has_hook(&v->policy->rodata, hook) || v->standing[hook] == STANDING_ABSENT)
		return false;
	switch (hooks[hook].kind) {
	case KIND_CGROUP:
		return true;
	case KIND_EXEMPT:
		return v->marks != 0;
	case KIND_NETFILTER:
		return v->here;
	case KIND_DEVICE:
	case KIND_DISPATCHER:
		break;
	}
	return false;
}

static void add_hooks(struct metrics *m, const struct view *v)
{
	size_t i;

	for (i = 0; i < HOOK_COUNT; i++) {
		if (has_hook(v, (enum hook)i))
			metrics_add(m, METRIC_HOOK, standing_is_good(v->standing[i]),
				    { "fence", v->fence->name },
				    { "plane", plane_name(hooks[i].plane) },
				    { "hook", hooks[i].label });
	}
	for (i = 0; i < v->interface_count; i++)
		add_interface(m, v, &v->interfaces[i]);
}

/* Only how many: which they are, and how many a fence may have, is no label's. */
static unsigned long long count_endpoints(const struct policy_endpoint *list, size_t count,
					  __u32 tunnel)
{
	unsigned long long found = 0;
	size_t i;

	for (i = 0; i < count; i++)
		found += list[i].value.tunnels >> tunnel & 1 &&
			 list[i].key.protocol != IPPROTO_ICMPV6;
	return found;
}

/* Of a device that has told nothing there is no handshake. */
static void add_tunnels(struct metrics *m, const struct view *v)
{
	const struct policy *p = v->policy;
	const char *fence = v->fence->name;
	__u32 i;

	for (i = 0; i < p->rodata.tunnel_count && i < TF_MAX_TUNNELS; i++) {
		const struct tf_tunnel *t = &p->rodata.tunnels[i];

		metrics_add(m, METRIC_TUNNEL, view_tunnel_is_up(v, i), { "fence", fence },
			    { "tunnel", t->name.text });
		metrics_add(m, METRIC_ENDPOINTS,
			    count_endpoints(p->endpoints, p->endpoint_count, i), { "fence", fence },
			    { "tunnel", t->name.text }, { "source", "policy" });
		metrics_add(m, METRIC_ENDPOINTS, count_endpoints(p->live, p->live_count, i),
			    { "fence", fence }, { "tunnel", t->name.text }, { "source", "live" });
		if (v->handshake[i] >= 0)
			metrics_add(m, METRIC_HANDSHAKE, (unsigned long long)v->handshake[i],
				    { "fence", fence }, { "tunnel", t->name.text });
	}
}

/* Also those that are zero: of a series that comes with its first packet nobody sees that one. */
static void add_counters(struct metrics *m, const struct view *v)
{
	__u32 i, j;

	for (i = 0; i < TF_PLANES; i++) {
		for (j = 0; j < TF_REASON_COUNT; j++) {
			const struct counter_total *c = &v->counters[i][j];
			const char *fence = v->fence->name, *plane = plane_name((enum tf_plane)i),
				   *reason = reason_name((enum tf_reason)j),
				   *verdict = verdict_name(tf_reason_verdict((enum tf_reason)j));

			metrics_add(m, METRIC_PACKETS, c->packets, { "fence", fence },
				    { "plane", plane }, { "verdict", verdict },
				    { "reason", reason });
			metrics_add(m, METRIC_BYTES, c->bytes, { "fence", fence },
				    { "plane", plane }, { "verdict", verdict },
				    { "reason", reason });
		}
	}
}

/* Who sent what is for people. What cannot be read is left out: nothing is not what it says. */
static void add_blocked(struct metrics *m, const struct view *v)
{
	const struct maps *maps = &v->fence->maps;
	const char *fence = v->fence->name;
	_cleanup_blocked_ struct blocked b = {};
	struct counter_total round;

	if (!maps_read_round(maps->fd[MAP_COUNTERS], &round, NULL))
		metrics_add(m, METRIC_DISAGREE, round.packets, { "fence", fence });
	if (blocked_read(maps, &b, NULL))
		return;
	metrics_add(m, METRIC_ENTRIES, b.count, { "fence", fence });
	metrics_add(m, METRIC_ROOM, b.room, { "fence", fence });
	metrics_add(m, METRIC_MISSED, b.missed.packets, { "fence", fence });
}

static void add_lost(struct metrics *m, const struct view *v)
{
	struct counter_total lost;

	if (maps_read_lost(v->fence->maps.fd[MAP_COUNTERS], &lost, NULL) == 0)
		metrics_add(m, METRIC_LOST, lost.packets, { "fence", v->fence->name });
}

/* ---- all of them ---- */

struct gathering {
	const struct metrics_source *from;
	struct metrics *m;
	size_t seen;
	bool fenced; /* every one so far does what it should */
	struct err *e;
};

static int gather_one(const char *name, void *data)
{
	struct gathering *g = data;
	const struct metrics_source *from = g->from;
	_cleanup_fence_ struct fence *f = NULL;
	_cleanup_view_ struct view *v = NULL;
	struct pins pins;
	int r = pins_init(&pins, from->bpffs, from->run_dir, name, g->e);

	if (r)
		return r;
	r = fence_open(&pins, name, &f, NULL);
	if (!r)
		r = view_read(f, from->run_dir, from->state_dir, &v, NULL);
	g->seen++;
	g->fenced = g->fenced && !r && v->safe;
	if (r) {
		metrics_add(g->m, METRIC_UP, 0, { "fence", name });
		metrics_add(g->m, METRIC_WHOLE, 0, { "fence", name });
		return 0;
	}
	view_ask_tunnels(v, from->socket_dir);
	add_fence(g->m, v);
	add_times(g->m, v);
	add_hooks(g->m, v);
	add_tunnels(g->m, v);
	add_counters(g->m, v);
	add_blocked(g->m, v);
	add_lost(g->m, v);
	return 0;
}

static int gather(struct gathering *g, const char *name)
{
	struct pins pins;
	int r = pins_init(&pins, g->from->bpffs, g->from->run_dir, "-", g->e);

	if (!r)
		r = pins_enter(&pins, g->e);
	if (r)
		return r;
	if (name)
		return gather_one(name, g);
	r = pin_each_fence(&pins, gather_one, g);
	if (r == -EACCES || r == -EPERM)
		return err_set(g->e, r, "'%s' cannot be read: %s; are you root?", pins.own_root,
			       strerror(-r));
	return r;
}

int metrics_gather(const struct metrics_source *from, const char *name, struct metrics *m,
		   bool *ret_fenced, struct err *e)
{
	struct gathering g = { .from = from, .m = m, .fenced = true, .e = e };
	int r = gather(&g, name);
	const bool fenced = !r && g.seen && g.fenced;

	metrics_add(m, METRIC_BUILD, 1, { "version", TUNFENCE_VERSION });
	metrics_add(m, METRIC_FENCED, fenced);
	if (m->incomplete)
		return err_set(e, -ENOMEM, "out of memory");
	if (r)
		return r;
	*ret_fenced = fenced;
	return 0;
}
