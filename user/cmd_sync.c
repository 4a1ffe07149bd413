// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence sync: follow the world. Uplinks that came, planes that somebody took off, endpoints that
 * roamed or were resolved anew. Only adds what the tunnels of the running policy use now; rules
 * stay as they are. Run by udev for each interface that comes, so it mounts and makes nothing but
 * the cover that somebody took off, and says nothing where there is no fence.
 */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "compile.h"
#include "loader.h"
#include "pin.h"
#include "state.h"
#include "world.h"

struct sync {
	const struct options *o;
	struct err *e;
	bool named; /* by the caller: then what cannot be done is an error, not passed over */
};

/* The names that belong to a tunnel move from the state to the configuration. */
static void take_names(struct state *s, struct config_tunnel *t)
{
	size_t i;

	for (i = 0; i < s->tunnel_count; i++) {
		if (!tf_name_equal(&s->tunnels[i].interface, &t->interface))
			continue;
		t->endpoints = TAKE_PTR(s->tunnels[i].endpoints);
		t->endpoint_count = s->tunnels[i].endpoint_count;
		s->tunnels[i].endpoint_count = 0;
		return;
	}
}

/* The literal endpoints that the running policy has for a tunnel. */
static int take_literals(const struct policy *p, __u32 number, struct config_tunnel *t)
{
	struct config_endpoint *more;
	size_t i;

	more = realloc(t->endpoints, (t->endpoint_count + p->endpoint_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	t->endpoints = more;
	for (i = 0; i < p->endpoint_count; i++) {
		const struct tf_endpoint_key *key = &p->endpoints[i].key;

		if (!(p->endpoints[i].value.tunnels >> number & 1) || !key->port)
			continue;
		more[t->endpoint_count++] = (struct config_endpoint){
			.protocol = key->protocol,
			.port = key->port,
			.literal = true,
			.addr = key->addr,
		};
	}
	return 0;
}

/* The running policy as far as the world is asked about it: its tunnels in their order, with their
 * endpoints and the names they were given. */
static int config_of(const struct fence *f, const struct policy *p, struct state *s,
		     struct config **ret, struct err *e)
{
	_cleanup_config_ struct config *c = calloc(1, sizeof(*c));
	__u32 i;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->tunnels = calloc(TF_MAX_TUNNELS, sizeof(*c->tunnels));
	if (!c->tunnels)
		return err_set(e, -ENOMEM, "out of memory");
	snprintf(c->name, sizeof(c->name), "%s", f->name);
	for (i = 0; i < f->policy.tunnel_count && i < TF_MAX_TUNNELS; i++) {
		struct config_tunnel *t = &c->tunnels[c->tunnel_count++];

		t->interface = f->policy.tunnels[i].name;
		t->kind = f->policy.tunnels[i].kind;
		t->any_protocol = !f->policy.tunnels[i].wireguard;
		take_names(s, t);
		if (take_literals(p, i, t))
			return err_set(e, -ENOMEM, "out of memory");
	}
	*ret = TAKE_PTR(c);
	return 0;
}

static size_t count_addresses(const struct policy *p)
{
	size_t i, count = 0;

	for (i = 0; i < p->live_count; i++)
		count += p->live[i].key.port != 0;
	return count;
}

/* A name that does not resolve now, as when only the tunnel leads to the resolver, keeps the
 * addresses it had: they were allowed until now and still would be had sync not run. */
static int keep_unresolved(const struct config_tunnel *c, __u32 number, const struct policy *running,
			   struct world_tunnel *t)
{
	struct world_endpoint *more;
	size_t i, j, resolved = t->resolved_count;

	for (i = 0; i < c->endpoint_count; i++) {
		const struct config_endpoint *name = &c->endpoints[i];
		bool found = name->literal;

		for (j = 0; !found && j < resolved; j++)
			found = t->resolved[j].protocol == name->protocol &&
				t->resolved[j].port == tf_htons(name->port);
		for (j = 0; !found && j < running->live_count; j++) {
			const struct tf_endpoint_key *key = &running->live[j].key;

			if (!(running->live[j].value.tunnels >> number & 1) ||
			    key->protocol != name->protocol || key->port != name->port)
				continue;
			more = realloc(t->resolved, (t->resolved_count + 1) * sizeof(*more));
			if (!more)
				return -ENOMEM;
			t->resolved = more;
			t->resolved[t->resolved_count++] = (struct world_endpoint){
				.protocol = key->protocol,
				.port = tf_htons(key->port),
				.addr = key->addr,
			};
		}
	}
	return 0;
}

/* Where the tunnels' outer packets go now. */
static int refresh(const struct fence *f, const struct options *o, const struct policy *running,
		   struct state *s, struct world **ret_world, struct policy **ret, struct err *e)
{
	const struct resolve_server server = maps_server(&f->maps, &f->policy);
	const struct world_options options = { .cgroup = o->cgroup, .socket_dir = o->socket_dir,
					       .state_dir = o->state_dir, .server = &server };
	_cleanup_policy_ struct policy *live = NULL;
	_cleanup_config_ struct config *c = NULL;
	_cleanup_world_ struct world *w = NULL;
	int r = config_of(f, running, s, &c, e);
	__u32 i;

	if (!r)
		r = world_read(c, &options, &w, e);
	for (i = 0; !r && i < c->tunnel_count; i++) {
		if (keep_unresolved(&c->tunnels[i], i, running, &w->tunnels[i]))
			r = err_set(e, -ENOMEM, "out of memory");
	}
	if (!r)
		r = compile_live(c, w, &live, e);
	if (!r)
		r = maps_write_live(&f->maps, live, e);
	if (r)
		return r;
	*ret_world = TAKE_PTR(w);
	*ret = TAKE_PTR(live);
	return 0;
}

/* Puts every plane where it is missing. Before anything is resolved: that may take its time. */
static int heal(const struct fence *f, const struct policy *running, const struct state *s,
		int *ret_raised, struct err *e)
{
	struct cgroup cgroup = { .fd = -1 };
	struct links links = {};
	int r = links_read(&links, e);

	/* Whether it is the right one was checked. Without a state it is not known which it was. */
	if (!r && s->cgroup[0])
		r = cgroup_open(s->cgroup, &cgroup, e);
	if (!r)
		r = loader_heal(f, running, cgroup.fd, &links, ret_raised, e);
	cgroup_close(&cgroup);
	links_free(&links);
	return r;
}

static int follow(const struct fence *f, const struct options *o, struct state *s, struct err *e)
{
	_cleanup_policy_ struct policy *running = NULL, *live = NULL;
	_cleanup_world_ struct world *w = NULL;
	struct err warning = {};
	int raised = 0, r;
	size_t i;

	r = maps_read(&f->maps, &running, e);
	if (!r)
		r = heal(f, running, s, &raised, e);
	if (!r)
		r = refresh(f, o, running, s, &w, &live, e);
	if (r)
		return r;
	printf("%s: %zu live endpoint%s; %d hook%s put in place\n", f->name, count_addresses(live),
	       count_addresses(live) == 1 ? "" : "s", raised, raised == 1 ? "" : "s");
	for (i = 0; i < w->warning_count; i++)
		printf("%s: warning: %s\n", f->name, w->warnings[i]);
	if (hosts_write(o->state_dir, f->name, w->names, w->name_count, &w->last, &warning))
		printf("%s: warning: %s\n", f->name, warning.text);
	return 0;
}

static int sync_fence(const struct fence *f, const struct options *o, struct err *e)
{
	struct err warning = {};
	struct state s = {};
	int r = 0;

	if (state_read(o->run_dir, f->name, &s, &warning))
		printf("%s: warning: %s\n", f->name, warning.text);
	else
		r = fence_check_cgroup(f, s.cgroup, e);
	if (!r)
		r = follow(f, o, &s, e);
	state_free(&s);
	return r;
}

static int sync_one(const char *name, void *data)
{
	struct sync *s = data;
	_cleanup_fence_ struct fence *f = NULL;
	struct pins pins;
	__u32 netns;
	int r = pins_init(&pins, s->o->bpffs, s->o->run_dir, name, s->e);

	if (!r)
		r = fence_open(&pins, name, &f, s->e);
	if (!r)
		r = world_netns(&netns, s->e);
	if (r)
		return r;
	if (f->policy.netns != netns)
		return !s->named ? 0 :
				   err_set(s->e, -EXDEV,
					   "fence '%s' belongs to another network namespace; run sync "
					   "there",
					   name);
	return sync_fence(f, s->o, s->e);
}

static int found_one(const char *name, void *data)
{
	(void)name, (void)data;
	return 1;
}

int cmd_sync(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct sync s = { .o = o, .e = e, .named = argc > 0 };
	const char *name = argc ? argv[0] : "-";
	_cleanup_close_ int lock = -1;
	struct pins pins;
	int r = argc ? config_check_name(name, e) : 0;

	if (!r)
		r = pins_init(&pins, o->bpffs, o->run_dir, name, e);
	if (!r)
		r = pins_cover(&pins, e);
	if (!r)
		r = pins_enter(&pins, e);
	if (r)
		return r;
	if (pin_each_fence(&pins, found_one, NULL) == 0)
		return !argc ? 0 : err_set(e, -ENOENT, "there is no fence '%s'", name);
	lock = pins_lock(&pins, e);
	if (lock < 0)
		return lock;
	r = argc ? sync_one(name, &s) : pin_each_fence(&pins, sync_one, &s);
	return r;
}
