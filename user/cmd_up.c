// SPDX-License-Identifier: GPL-2.0
/* tunfence up: find the configuration, compile it, raise the fence, say what was done. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "compile.h"
#include "exempt.h"
#include "loader.h"
#include "mounts.h"
#include "names.h"
#include "pin.h"
#include "route_exempt.h"
#include "sockets.h"
#include "ssh.h"
#include "state.h"
#include "units.h"
#include "view.h"
#include "world.h"

#define MANY 8 /* entries of a list before the rest is only counted */

enum {
	DHCP_CLIENT = 68,
	DHCP6_CLIENT = 546,
	MDNS = 5353,
	LLMNR = 5355,
};

/* Only where there is nothing may something else be taken instead: a link that leads nowhere or a
 * directory that cannot be read now is an error, not another policy. */
static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || errno != ENOENT;
}

/* "/etc/x/wg0.conf" -> "wg0" */
static int name_of_file(const char *path, char ret[64], struct err *e)
{
	const char *base = strrchr(path, '/') + 1;
	size_t length = strlen(base);

	if (length > 5 && streq(base + length - 5, ".conf"))
		length -= 5;
	if (length >= 64)
		return err_set(e, -EINVAL, "'%s' is too long a name for a fence", base);
	memcpy(ret, base, length);
	ret[length] = '\0';
	return 0;
}

/* A WireGuard interface that exists now. */
static int read_live(const struct options *o, const char *name, struct config **ret, struct err *e)
{
	struct wireguard_device device = {};
	struct links links = {};
	const struct link *link;
	__u32 netns = 0;
	int r = links_read(&links, e);

	if (!r)
		r = world_netns(&netns, e);
	if (r) {
		links_free(&links);
		return r;
	}
	link = links_find(&links, name);
	r = link ? wireguard_read(name, link->kind.text, o->socket_dir, netns, &device, NULL) :
		   -ENODEV;
	links_free(&links);
	wireguard_device_free(&device);
	if (r)
		return err_set(e, -ENOENT,
			       "there is nothing to make fence '%s' from: no '%s/%s.conf', no "
			       "'%s/%s.conf', and no WireGuard interface '%s'; write the first one (see "
			       "README), or give the path of a configuration",
			       name, o->config_dir, name, o->wireguard_dir, name, name);
	return config_from_interface(name, ret, e);
}

static int read_config(const struct options *o, const char *what, struct config **ret,
		       struct err *e)
{
	char path[PATH_MAX], name[64];
	int r;

	if (strchr(what, '/')) {
		r = name_of_file(what, name, e);
		return r ? r : config_read(what, name, o->wireguard_dir, ret, e);
	}
	r = config_check_name(what, e);
	if (r)
		return r;
	snprintf(path, sizeof(path), "%s/%s.conf", o->config_dir, what);
	if (is_there(path))
		return config_read(path, what, o->wireguard_dir, ret, e);
	snprintf(path, sizeof(path), "%s/%s.conf", o->wireguard_dir, what);
	if (is_there(path))
		return config_from_wireguard(path, what, ret, e);
	return read_live(o, what, ret, e);
}

/* Bridges, and the ports of containers and virtual machines: by kind, or by the names that the
 * usual managers give. */
static bool leads_to_guests(const struct link *link)
{
	static const char *const prefixes[] = { "docker", "br-",    "virbr", "lxc",  "lxd",
						"incus",  "podman", "cni",   "veth", "vnet" };
	size_t i;

	if (streq(link->kind.text, "bridge"))
		return true;
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		if (strncmp(link->name.text, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* Nobody thinks of these until they fall silent: named with the line that would keep them. */
static void warn_of_cut_guests(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->interface_count; i++) {
		const struct view_interface *in = &v->interfaces[i];

		if (in->role == ROLE_UPLINK && !in->link->master && leads_to_guests(in->link))
			printf("  note       %s counts as an uplink: containers or guests behind it are "
			       "cut off; to reach them, add 'Inside=%s' to [Allow]\n",
			       in->link->name.text, in->link->name.text);
	}
}

static void note_planes(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->interface_count; i++) {
		if (v->interfaces[i].standing[HOOK_WIRE] != STANDING_CLSACT)
			continue;
		printf("  note       %s: 'tc qdisc del ... clsact' would take the wire and ingress planes "
		       "off a device; the socket plane holds regardless\n",
		       hook_has_tcx() ? "tcx is full on a device, which has a filter instead" :
					"this kernel has no tcx (Linux 6.6)");
		return;
	}
}

/* Only a program in the kernel's security module could still refuse what these send. */
static void warn_of_bypass(const struct view *v, const char *cgroup)
{
	struct socket_holders holders;
	struct err e = {};
	size_t i;

	if (v->standing[HOOK_LSM] == STANDING_LINK)
		return;
	if (sockets_find_bypass(cgroup, &holders, &e)) {
		printf("  warning    %s; one that was told so before the fence came may send past the "
		       "wire plane\n", e.text);
		return;
	}
	for (i = 0; i < holders.count && i < MANY; i++) {
		const struct socket_holder *h = &holders.list[i];

		printf("  warning    %s (pid %d) holds %s from before the fence and may send past the "
		       "wire plane; end it or start it anew\n",
		       h->name, h->pid,
		       h->xdp ? "an AF_XDP socket" : "an AF_PACKET socket that bypasses it");
	}
	if (holders.count > MANY)
		printf("  warning    and %zu more such processes\n", holders.count - MANY);
}

/* A socket is judged by the cgroup of its maker: what was passed in (socket activation, SCM_RIGHTS) or
 * brought along by a process that was moved, is not the fence's. */
static void warn_of_strangers(const struct policy *p, const char *cgroup)
{
	struct socket_holders holders;
	struct err e = {};
	size_t i;

	if (p->rodata.scope == TF_SCOPE_SYSTEM)
		return;
	if (sockets_find_strangers(cgroup, &p->rodata, &holders, &e)) {
		printf("  warning    %s; one that was made outside '%s' and passed in is not fenced\n",
		       e.text, cgroup);
		return;
	}
	for (i = 0; i < holders.count && i < MANY; i++)
		printf("  warning    %s (pid %d) holds a socket that was made outside '%s', and is not "
		       "fenced: start it anew in there, without what passes sockets to it\n",
		       holders.list[i].name, holders.list[i].pid, cgroup);
	if (holders.count > MANY)
		printf("  warning    and %zu more such processes\n", holders.count - MANY);
}

static bool lies_in_system(const struct view *v)
{
	size_t i;

	for (i = 0; i < v->around.count; i++) {
		if (v->around.list[i].scope == TF_SCOPE_SYSTEM)
			return true;
	}
	return false;
}

/* Who asks for a program's names sends for it, and no packet tells for whom. */
static void warn_of_names(const struct view *v)
{
	struct names_proxy proxy;

	if (v->policy->rodata.scope == TF_SCOPE_SYSTEM || lies_in_system(v) ||
	    !names_find_proxy(&proxy))
		return;
	printf("  warning    names are asked for by '%s' (%s), for every program and not fenced: which "
	       "names the fenced ones look up may leave outside the tunnel; have it ask a name server "
	       "behind the tunnel, or fence the system, too\n",
	       proxy.who, proxy.where);
}

/* Ports that are said to be open, and those on which only plumbing or the tunnel arrives. */
static bool is_expected(const struct policy *p, __u8 protocol, __u16 port)
{
	size_t i;

	for (i = 0; i < p->inbound_count; i++) {
		if (p->inbound[i].protocol == protocol && p->inbound[i].port == port)
			return true;
	}
	for (i = 0; protocol == IPPROTO_UDP && i < p->rodata.tunnel_count; i++) {
		if (p->rodata.tunnels[i].local_port == port)
			return true;
	}
	return protocol == IPPROTO_UDP &&
	       (port == DHCP_CLIENT || port == DHCP6_CLIENT || port == MDNS || port == LLMNR);
}

/* Says which ports of a protocol are cut off; returns how many. */
static size_t print_cut_ports(const struct policy *p, __u8 protocol, const char *name,
			      const char *before)
{
	struct socket_ports ports;
	size_t i, shown = 0;

	if (sockets_find_open(protocol, &ports, NULL))
		return 0;
	for (i = 0; i < ports.count && i < SOCKETS_MAX_LISTED; i++) {
		if (is_expected(p, protocol, ports.list[i]))
			continue;
		if (shown++ == 0)
			printf("%s%s", before, name);
		if (shown <= MANY)
			printf(" %u", ports.list[i]);
	}
	if (shown > MANY)
		printf(" and %zu more", shown - MANY);
	return shown;
}

/* Their answers come in by an uplink, while the way back to whoever sent them is the tunnel's. */
static void warn_of_strict_filter(const struct view *v)
{
	size_t i;

	for (i = 0; v->policy->rodata.exempt_count && i < v->interface_count; i++) {
		const struct view_interface *in = &v->interfaces[i];

		if (in->role == ROLE_UPLINK && route_is_strict(in->link->name.text))
			printf("  warning    what exempt programs are answered by %s may be thrown away "
			       "(rp_filter=1); run 'sysctl net.ipv4.conf.%s.rp_filter=2'\n",
			       in->link->name.text, in->link->name.text);
	}
}

static void note_cut_services(const struct policy *p)
{
	static const char begin[] = "  note       from outside the tunnel nobody reaches ";
	size_t tcp;

	if (!p->rodata.ingress)
		return;
	tcp = print_cut_ports(p, IPPROTO_TCP, "tcp", begin);
	if (tcp + print_cut_ports(p, IPPROTO_UDP, "udp", tcp ? ", " : begin))
		puts(" any more; to open a port, add 'InboundTCP=' or 'InboundUDP=' to [Allow]");
}

static int report(const struct pins *pins, const struct options *o, const struct config *c,
		  const struct world *w, bool replaced, struct err *e)
{
	_cleanup_fence_ struct fence *f = NULL;
	_cleanup_view_ struct view *v = NULL;
	size_t i;
	int r = fence_open(pins, c->name, &f, e);

	if (!r)
		r = view_read(f, o->run_dir, o->state_dir, &v, e);
	if (r)
		return r;
	printf("fence '%s' %s, from %s\n", c->name, replaced ? "replaced" : "raised",
	       c->path ? c->path : c->origin);
	view_look_closer(v, o->socket_dir);
	view_print(v, false, stdout);
	warn_of_cut_guests(v);
	note_planes(v);
	warn_of_strict_filter(v);
	note_cut_services(v->policy);
	warn_of_names(v);
	for (i = 0; i < w->groups.count; i++) {
		warn_of_bypass(v, w->groups.list[i].path);
		warn_of_strangers(v->policy, w->groups.list[i].path);
	}
	for (i = 0; i < w->warning_count; i++)
		printf("  warning    %s\n", w->warnings[i]);
	return 0;
}

/* What is pinned where the fence goes and is none of ours, or another version's: said before it is
 * replaced. */
static void name_what_is_there(const struct pins *pins, const char *name)
{
	_cleanup_fence_ struct fence *f = NULL;
	struct err e = {};
	int r = fence_open(pins, name, &f, &e);

	if (r && r != -ENOENT)
		printf("replacing: %s\n", e.text);
}

/* In a mount namespace of one's own, which 'ip netns exec' makes and hardened units have, only what
 * is mounted for the machine already will do: the rest vanishes with it, and the fence too. Whoever
 * says where the run directory is, as a test or a container manager does, knows. */
static int reach_pins(const struct options *o, const struct pins *pins, struct err *e)
{
	int r;

	if (mounts_are_the_machines() || o->force || !streq(o->run_dir, DEFAULT_RUN_DIR))
		return pins_make_roots(pins, e);
	r = pins_find_roots(pins, e);
	if (!r)
		return 0;
	return err_prefix(e,
			  "this runs in a mount namespace of its own, and the fence would end with it; run "
			  "'tunfence prepare' outside of it first (for a unit tunfence-prepare.service "
			  "does); to enter only a network namespace use 'nsenter "
			  "--net=/run/netns/NAME', not 'ip netns exec'; or say --force");
}

/* An interface may have come since they were looked for, and found no fence that sync would have put
 * on it. From here on sync does, when it gets the lock. */
static int raise_on_late_comers(const struct pins *pins, const char *name, const struct policy *p,
				const struct world *w, struct err *e)
{
	_cleanup_fence_ struct fence *f = NULL;
	struct links links = {};
	int raised, r = fence_open(pins, name, &f, e);

	if (!r)
		r = links_read(&links, e);
	if (!r)
		r = loader_heal(f, p, &w->groups, &w->exempt, &links, &raised, e);
	links_free(&links);
	return r;
}

/* A fence that stands and has the same bootstrap name server lets us ask it. NULL: there is none. */
static struct fence *open_helper(const struct pins *pins, const struct config *c)
{
	struct fence *f;
	__u32 netns;

	if (!c->bootstrap_port || fence_open(pins, c->name, &f, NULL))
		return NULL;
	if (world_netns(&netns, NULL) == 0 && f->policy.netns == netns &&
	    f->policy.resolver_port == c->bootstrap_port &&
	    tf_addr_equal(&f->policy.resolver, &c->bootstrap))
		return f;
	fence_free(f);
	return NULL;
}

static bool has_unresolved(const struct world *w)
{
	size_t i;

	for (i = 0; i < w->name_count; i++) {
		if (!resolve_is_fresh(&w->names[i]))
			return true;
	}
	return false;
}

/* What exists now, with the help of the fence that is there, if it is one. */
static int read_world(const struct pins *pins, const struct config *c,
		      const struct world_options *with, struct world **ret, bool *ret_helped,
		      struct err *e)
{
	_cleanup_fence_ struct fence *f = open_helper(pins, c);
	struct world_options options = *with;
	struct resolve_server server;

	*ret_helped = f != NULL;
	if (f) {
		server = maps_server(&f->maps, &f->policy);
		options.server = &server;
	}
	return world_read(c, &options, ret, e);
}

/* The fence is up: what did not resolve is asked for through it. As by sync, only where outer packets
 * may go changes. */
static int ask_through(const struct pins *pins, const struct config *c,
		       const struct world_options *with, struct world **w, struct err *e)
{
	_cleanup_fence_ struct fence *f = open_helper(pins, c);
	_cleanup_policy_ struct policy *live = NULL;
	struct world_options options = *with;
	struct resolve_server server;
	struct world *after;
	int r;

	if (!f)
		return 0;
	server = maps_server(&f->maps, &f->policy);
	options.server = &server;
	options.before = *w;
	r = world_read(c, &options, &after, e);
	if (r)
		return r;
	world_free(*w);
	*w = after;
	r = compile_live(c, after, &live, e);
	return r ? r : maps_write_live(&f->maps, live, e);
}

static void keep(const struct options *o, const struct config *c, const struct world *w)
{
	struct err e = {};

	if (state_write(o->run_dir, c, &w->groups, &w->exempt, &e))
		printf("  warning    %s\n", e.text);
	if (hosts_write(o->state_dir, c->name, w->names, w->name_count, &w->last, &e))
		printf("  warning    %s\n", e.text);
	if (hosts_publish(o->run_dir, c->name, w->names, w->name_count, &e))
		printf("  warning    %s\n", e.text);
}

/* Without a way past the tunnel exempt programs use the tunnel: the fence stands. */
static void lay_way(const struct tf_policy *p)
{
	struct route_told told = {};
	struct links links = {};
	struct err e = {};
	int r = links_read(&links, &e);

	if (!r)
		r = route_exempt_make(p, &links, &told, &e);
	links_free(&links);
	if (r)
		printf("  warning    %s\n", e.text);
	if (told.refused)
		printf("  warning    %u route%s could not be copied for exempt programs: %s\n",
		       told.refused, told.refused == 1 ? "" : "s", told.why);
	if (told.behind)
		puts("  warning    other routing rules leave no room in front of them ('ip rule'), and "
		     "may lead exempt programs elsewhere; give them priorities above 3");
}

/* What is to be raised, and where. Of what is live only units know of it by then. */
struct plan {
	const struct options *o;
	struct world_options options;
	struct pins pins;
	struct config *config;
	struct policy *policy;
	struct world *world;
	struct units *units;
	bool helped; /* names were asked for through the fence that there is */
};

static void plan_free(struct plan *up)
{
	units_free(up->units);
	world_free(up->world);
	policy_free(up->policy);
	config_free(up->config);
}

/* Whether it may be raised. The last step takes from users what the policy does not give them. */
static int check_plan(const struct plan *up, struct err *e)
{
	const struct tf_policy *p = &up->policy->rodata;
	struct ssh_session session;
	int r = 0;

	if (!up->o->force && p->mode == TF_MODE_ENFORCE && p->scope == TF_SCOPE_SYSTEM &&
	    ssh_find(&session))
		r = ssh_check(&session, up->policy, &up->world->links, e);
	if (!r)
		r = exempt_check_numbers(&up->pins, p, e);
	if (r)
		return r;
	name_what_is_there(&up->pins, up->config->name);
	return state_narrow(up->o->run_dir, up->config, e);
}

static void take_back_units(const struct plan *up)
{
	struct err e = {};

	if (units_undo(up->units, &e))
		printf("  warning    %s\n", e.text);
}

static int make_plan(struct plan *up, struct err *e)
{
	const struct config *c = up->config;
	int r = units_prepare(c, up->o->cgroup, &up->units, e);

	if (r)
		return r;
	r = read_world(&up->pins, c, &up->options, &up->world, &up->helped, e);
	if (!r)
		r = compile(c, up->world, &up->policy, e);
	if (!r)
		r = check_plan(up, e);
	if (r)
		take_back_units(up);
	return r;
}

/* What is half raised is stricter than what was there, and units stay as it needs them. */
static int raise_plan(struct plan *up, bool *ret_replaced, struct err *e)
{
	const char *name = up->config->name;
	const struct world *w = up->world;
	_cleanup_fence_ struct fence *f = NULL;
	int r = loader_up(&up->pins, name, up->policy, &w->groups, &w->exempt, &w->links,
			  ret_replaced, e);

	if (!r)
		r = raise_on_late_comers(&up->pins, name, up->policy, w, e);
	if (r && fence_peek(&up->pins, name, &f, NULL) == -ENOENT)
		take_back_units(up);
	return r;
}

/* The policy stands: the rest is what else it takes to be of use. */
static void finish(struct plan *up)
{
	const struct config *c = up->config;
	struct err e = {};

	lay_way(&up->policy->rodata);
	if (units_exempt(up->units, &e))
		printf("  warning    what is to be exempt is fenced when it is started again: %s\n",
		       e.text);
	if (units_release(c->name, c, &e))
		printf("  warning    %s\n", e.text);
	if (!up->helped && has_unresolved(up->world) &&
	    ask_through(&up->pins, c, &up->options, &up->world, &e))
		printf("  warning    %s\n", e.text);
	keep(up->o, c, up->world);
}

int cmd_up(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_(plan_free) struct plan up = {
		.o = o,
		.options = { .cgroup = o->cgroup, .socket_dir = o->socket_dir,
			     .state_dir = o->state_dir },
	};
	_cleanup_close_ int lock = -1;
	bool replaced;
	int r;

	(void)argc;
	r = read_config(o, argv[0], &up.config, e);
	if (!r)
		r = pins_init(&up.pins, o->bpffs, o->run_dir, up.config->name, e);
	if (!r)
		r = reach_pins(o, &up.pins, e);
	if (r)
		return r;
	lock = pins_lock(&up.pins, e);
	if (lock < 0)
		return lock;
	r = make_plan(&up, e);
	if (!r)
		r = raise_plan(&up, &replaced, e);
	if (r)
		return r;
	finish(&up);
	return report(&up.pins, o, up.config, up.world, replaced, e);
}
