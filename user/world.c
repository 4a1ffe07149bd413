// SPDX-License-Identifier: GPL-2.0
/*
 * What exists now: see world.h. Looks, asks and resolves; never changes anything.
 * What cannot be found out about a tunnel is a warning, not an error: the fence goes up without it
 * and is the stricter for it. What the fence itself stands on (namespace, interfaces, cgroup) is
 * an error.
 */
#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "slice.h"
#include "units.h"
#include "util.h"

#define NETNS_PATH "/proc/self/ns/net"

static const struct tf_name kind_kernel = { .text = "wireguard" };
static const struct tf_name kind_user = { .text = "tun" };

static void warnings_free(struct world *w)
{
	for (size_t i = 0; i < w->warning_count; i++)
		free(w->warnings[i]);
	free(w->warnings);
}

void world_free(struct world *w)
{
	if (!w)
		return;

	for (size_t i = 0; i < w->tunnel_count; i++) {
		wireguard_device_free(&w->tunnels[i].device);
		free(w->tunnels[i].resolved);
	}
	free(w->tunnels);
	free(w->names);
	hosts_free(&w->last);
	warnings_free(w);
	links_free(&w->links);
	cgroups_free(&w->groups);
	cgroups_free(&w->exempt);
	free(w);
}

static int no_memory(struct err *e)
{
	return err_set(e, -ENOMEM, "out of memory");
}

static int note(struct world *w, struct err *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int note(struct world *w, struct err *e, const char *format, ...)
{
	char text[sizeof(((struct err *)0)->text)];
	char **more;
	va_list args;

	more = reallocarray(w->warnings, w->warning_count + 1, sizeof(*more));
	if (!more)
		return no_memory(e);
	w->warnings = more;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	w->warnings[w->warning_count] = strdup(text);
	if (!w->warnings[w->warning_count])
		return no_memory(e);

	w->warning_count++;
	return 0;
}

int world_netns(__u32 *ret, struct err *e)
{
	struct stat st;

	if (stat(NETNS_PATH, &st) < 0)
		return err_set(e, -errno, "cannot tell the network namespace from '%s': %s; mount "
			       "proc on /proc", NETNS_PATH, strerror(errno));
	if (st.st_ino > UINT32_MAX)
		return err_set(e, -EOVERFLOW, "'%s' has no namespace's inode number; mount proc on "
			       "/proc", NETNS_PATH);

	*ret = (__u32)st.st_ino;
	return 0;
}

/* Any kind can carry a tunnel of any protocol, if the user says so. WireGuard has but two: a
 * bridge, bond or VLAN named by mistake leads out of the machine and must not become the hole.
 * Hardware, which has no kind, passes here so that compile() can refuse it by name. */
static bool may_be_tunnel(const struct config_tunnel *c, const struct link *live)
{
	return c->any_protocol || !live->kind.text[0] || tf_name_equal(&live->kind, &kind_kernel) ||
	       tf_name_equal(&live->kind, &kind_user);
}

void world_choose_kind(const struct config_tunnel *c, const struct link *live,
		       bool (*in_kernel)(void), struct tf_name *ret_kind, bool *ret_mismatch)
{
	if (c->kind.text[0])
		*ret_kind = c->kind;
	else if (live && may_be_tunnel(c, live))
		*ret_kind = live->kind;
	else
		*ret_kind = !c->any_protocol && in_kernel() ? kind_kernel : kind_user;

	*ret_mismatch = live && !tf_name_equal(&live->kind, ret_kind);
}

static int warn_mismatch(struct world *w, const struct config_tunnel *c, const struct link *live,
			 const struct tf_name *kind, struct err *e)
{
	const char *found = live->kind.text[0] ? live->kind.text : "hardware";

	return note(w, e, "interface '%s' is of kind '%s', not '%s': it is not the tunnel and nothing "
		    "leaves by it; remove it, or set Kind= in [Tunnel]", c->interface.text, found,
		    kind->text);
}

/* A device that does not answer leaves the configured endpoints, which is the stricter policy. */
static int ask_device(struct world *w, const struct config_tunnel *c,
		      const struct world_options *o, struct world_tunnel *t, struct err *e)
{
	struct err said = { 0 };
	int r;

	r = wireguard_read(c->interface.text, t->kind.text, o->socket_dir, w->netns, &t->device,
			   &said);
	t->answered = r == 0;
	if (r == 0 || r == -ENODEV)
		return 0;

	return note(w, e, "tunnel '%s' did not tell its endpoints, only the configured ones count: %s",
		    c->interface.text, said.text);
}

/* The names of all tunnels' endpoints, each once. */
static int collect_names(struct world *w, const struct config *c, struct err *e)
{
	size_t most = 0;

	for (size_t i = 0; i < c->tunnel_count; i++)
		most += c->tunnels[i].endpoint_count;
	w->names = calloc(most + 1, sizeof(*w->names));
	if (!w->names)
		return no_memory(e);

	for (size_t i = 0; i < c->tunnel_count; i++) {
		for (size_t j = 0; j < c->tunnels[i].endpoint_count; j++) {
			const struct config_endpoint *from = &c->tunnels[i].endpoints[j];

			if (!from->literal && !resolve_find(w->names, w->name_count, from->host))
				strcpy(w->names[w->name_count++].host, from->host);
		}
	}
	return 0;
}

static int warn_of_name(struct world *w, const struct resolve_name *n, struct err *e)
{
	char age[HOSTS_AGE_LEN];

	if (n->source == RESOLVE_LAST_GOOD)
		return note(w, e, "endpoint '%s' did not resolve (%s); it stands on its last good "
			    "addresses, of %s, until 'tunfence sync' resolves it", n->host, n->why,
			    hosts_age(w->last.when, age));
	if (n->source == RESOLVE_NOTHING)
		return note(w, e, "endpoint '%s' did not resolve (%s); nothing leaves for it until "
			    "'tunfence sync' resolves it", n->host, n->why);
	return 0;
}

/* Fresh ones, and why there was none. */
static void take_answers(struct world *w, const struct world *before)
{
	for (size_t i = 0; i < w->name_count; i++) {
		const struct resolve_name *n = resolve_find(before->names, before->name_count,
							    w->names[i].host);

		if (n && resolve_is_fresh(n))
			w->names[i] = *n;
		else if (n)
			memcpy(w->names[i].why, n->why, sizeof(n->why));
	}
}

/* Whoever does not resolve now is where it was last. */
static int read_names(struct world *w, const struct config *c, const struct world_options *o,
		      struct err *e)
{
	struct err said = { 0 };
	int r;

	if (o->asked) {
		w->names = TAKE_PTR(o->asked->names);
		w->name_count = o->asked->name_count;
		w->last = o->asked->last;
		o->asked->last = (struct hosts){ 0 };
		return 0;
	}
	r = collect_names(w, c, e);
	if (r < 0 || !w->name_count)
		return r;
	if (o->state_dir && hosts_read(o->state_dir, c->name, &w->last, &said) < 0)
		r = note(w, e, "%s", said.text);
	if (r < 0)
		return r;

	if (o->before)
		take_answers(w, o->before);
	if (o->server && o->server->port)
		resolve_by_server(w->names, w->name_count, o->server);
	if (!o->before)
		resolve_by_libc(w->names, w->name_count);
	hosts_lend(&w->last, w->names, w->name_count);
	for (size_t i = 0; !r && i < w->name_count; i++)
		r = warn_of_name(w, &w->names[i], e);
	return r;
}

/* What the endpoint's name resolved to. */
static int add_resolved(const struct world *w, const struct config_endpoint *c,
			struct world_tunnel *t, struct err *e)
{
	const struct resolve_name *n = resolve_find(w->names, w->name_count, c->host);
	struct world_endpoint *more;

	if (!n || !n->count)
		return 0;
	more = reallocarray(t->resolved, t->resolved_count + n->count, sizeof(*more));
	if (!more)
		return no_memory(e);

	t->resolved = more;
	for (size_t i = 0; i < n->count; i++)
		t->resolved[t->resolved_count++] = (struct world_endpoint){
			.protocol = c->protocol,
			.port = tf_htons(c->port),
			.addr = n->addrs[i],
		};
	return 0;
}

/* The tunnel's endpoints given by name, and a word if it has none of any sort. */
static int read_endpoints(struct world *w, const struct config_tunnel *c,
			  const struct world_options *o, struct world_tunnel *t, struct err *e)
{
	bool said = false;
	int r;

	for (size_t i = 0; i < c->endpoint_count; i++) {
		if (c->endpoints[i].literal) {
			said = true;
			continue;
		}
		said |= o->asked != NULL; /* what became of it was said when it was asked for */
		r = add_resolved(w, &c->endpoints[i], t, e);
		if (r < 0)
			return r;
	}

	if (said || t->resolved_count || t->device.endpoint_count)
		return 0;
	return note(w, e, "tunnel '%s' has no endpoint: nothing can leave until it has one; set "
		    "Endpoint= in [Tunnel], or set the peer's and run 'tunfence sync'",
		    c->interface.text);
}

static int read_tunnel(struct world *w, const struct config_tunnel *c,
		       const struct world_options *o, struct world_tunnel *t, struct err *e)
{
	const struct link *live = links_find(&w->links, c->interface.text);
	int r = 0;

	t->ifindex = live ? live->ifindex : 0;
	world_choose_kind(c, live, wireguard_in_kernel, &t->kind, &t->kind_mismatch);

	if (live && t->kind_mismatch)
		r = warn_mismatch(w, c, live, &t->kind, e);
	else if (live && !c->any_protocol)
		r = ask_device(w, c, o, t, e);
	if (r < 0)
		return r;

	return read_endpoints(w, c, o, t, e);
}

static int read_tunnels(struct world *w, const struct config *c, const struct world_options *o,
			struct err *e)
{
	int r;

	if (!c->tunnel_count)
		return 0;

	w->tunnels = calloc(c->tunnel_count, sizeof(*w->tunnels));
	if (!w->tunnels)
		return no_memory(e);

	w->tunnel_count = c->tunnel_count;
	for (size_t i = 0; i < c->tunnel_count; i++) {
		r = read_tunnel(w, &c->tunnels[i], o, &w->tunnels[i], e);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Ancestors are compared at the group's level, so that must be known. */
static int check_level(const struct config *c, struct cgroup found, struct cgroup *ret, struct err *e)
{
	if (found.level != CGROUP_LEVEL_UNKNOWN) {
		*ret = found;
		return 0;
	}
	cgroup_close(&found);
	return err_set(e, -EXDEV,
		       "cgroup '%s' is seen from inside a container, where its depth cannot "
		       "be told; raise fence '%s' outside",
		       found.path, c->name);
}

static int open_group(const struct config *c, const struct config_group *g, const char *outside,
		      struct cgroup *ret, struct err *e)
{
	struct cgroup found;
	int r;

	if (g->unit)
		r = cgroup_open_unit(g->unit, outside, &found, e);
	else /* /system.slice is how systemd writes it */
		r = cgroup_open(g->cgroup + strspn(g->cgroup, "/"), &found, e);
	return r < 0 ? r : check_level(c, found, ret, e);
}

static int open_own_slice(const struct config *c, const struct world_options *o, enum slice slice,
			  struct cgroup *ret, struct err *e)
{
	char path[PATH_MAX];
	struct cgroup found = { .fd = -1 };
	int r = slice_path(c->name, slice, o->cgroup, path, e);

	if (!r)
		r = cgroup_open(path, &found, e);
	return r ? r : check_level(c, found, ret, e);
}

/* One more that was asked for. A service that is started in the fence's own slice, which is the first,
 * may still be elsewhere, and may end there at any time. */
static int add_group(struct world *w, const struct config *c, const struct config_group *g,
		     const struct world_options *o, struct err *e)
{
	struct cgroup *found = &w->groups.list[w->groups.count];
	bool fleeting = g->unit && unit_is_service(g->unit) && units_have_slice(c, o->cgroup);
	int r = open_group(c, g, fleeting ? w->groups.list[0].path : NULL, found, e);

	if (fleeting && r == -ENOENT)
		return 0;
	if (r)
		return r;
	found->fleeting = fleeting;
	w->groups.count++;
	return 0;
}

/* The group, other than itself, that number i lies in. Of two that are the same, the first. */
static const struct cgroup *find_cover(const struct cgroups *g, size_t i)
{
	for (size_t j = 0; j < g->count; j++) {
		bool same = g->list[i].id == g->list[j].id;

		if (i != j && (!same || j < i) && cgroup_is_within(&g->list[i], &g->list[j]))
			return &g->list[j];
	}
	return NULL;
}

/* What is in another group is fenced, or exempt, with it: a program there would do everything
 * twice. */
static int drop_covered(struct world *w, struct cgroups *g, struct err *e)
{
	for (size_t i = 0; i < g->count;) {
		const struct cgroup *cover = find_cover(g, i);
		int r;

		if (!cover) {
			i++;
			continue;
		}
		r = note(w, e, "'%s' is in '%s', which is %s as a whole; remove it from the "
			 "configuration", g->list[i].path, cover->path,
			 g == &w->groups ? "fenced" : "exempt");
		if (r < 0)
			return r;
		cgroup_close(&g->list[i]);
		g->count--;
		memmove(&g->list[i], &g->list[i + 1], (g->count - i) * sizeof(*g->list));
	}
	return 0;
}

static int read_groups(struct world *w, const struct config *c, const struct world_options *o,
		       struct err *e)
{
	struct cgroups *g = &w->groups;
	int r = 0;

	g->list = calloc(c->group_count + 1, sizeof(*g->list));
	if (!g->list)
		return no_memory(e);
	if (c->scope == TF_SCOPE_SYSTEM) {
		r = cgroup_open(o->cgroup, &g->list[0], e);
		g->count = r == 0;
		return r;
	}
	if (!c->group_count || units_have_slice(c, o->cgroup)) {
		r = open_own_slice(c, o, SLICE_FENCED, &g->list[0], e);
		g->count = r == 0;
	}
	for (size_t i = 0; !r && i < c->group_count; i++)
		r = add_group(w, c, &c->groups[i], o, e);
	return r ? r : drop_covered(w, g, e);
}

/* A program that does not run now is no danger, it is only not exempt. A service will be started in
 * the slice, which is the first. */
static int add_exempt(struct world *w, const struct config *c, const struct config_group *said,
		      const struct world_options *o, struct err *e)
{
	bool bound = said->unit && unit_is_service(said->unit) && units_are_bound(o->cgroup);
	struct cgroups *x = &w->exempt;
	struct err missing = { 0 };
	int r = open_group(c, said, bound ? x->list[0].path : NULL, &x->list[x->count], &missing);

	if (r == 0) /* whoever is in it may end at any time */
		x->list[x->count++].fleeting = true;
	if (r == -ENOENT && bound)
		return 0;
	if (r == -ENOENT)
		return note(w, e, "'%s' is not exempt, since it has no cgroup now; run 'tunfence up %s' "
			    "when it runs, or have it run in the slice for exempt programs",
			    said->unit ? said->unit : said->cgroup, c->name);
	if (r)
		*e = missing;
	return r;
}

/* Nothing would be left to judge. */
static int check_exempt(const struct world *w, struct err *e)
{
	for (size_t i = 0; i < w->exempt.count; i++) {
		for (size_t j = 0; j < w->groups.count; j++) {
			const struct cgroup *exempt = &w->exempt.list[i];

			if (cgroup_is_within(&w->groups.list[j], exempt))
				return err_set(e, -EINVAL,
					       "'%s' is to be exempt, but holds '%s', which is to be "
					       "fenced; name groups inside that",
					       exempt->path, w->groups.list[j].path);
		}
	}
	return 0;
}

static int read_exempt(struct world *w, const struct config *c, const struct world_options *o,
		       struct err *e)
{
	struct cgroups *x = &w->exempt;
	int r;

	if (!c->exempt.any)
		return 0;
	x->list = calloc(c->exempt.group_count + 1, sizeof(*x->list));
	if (!x->list)
		return no_memory(e);
	r = open_own_slice(c, o, SLICE_EXEMPT, &x->list[0], e);
	x->count = r == 0;
	for (size_t i = 0; !r && i < c->exempt.group_count; i++)
		r = add_exempt(w, c, &c->exempt.groups[i], o, e);
	if (!r)
		r = drop_covered(w, x, e);
	return r ? r : check_exempt(w, e);
}

int world_ask(const struct config *c, const struct world_options *o, struct world **ret,
	      struct err *e)
{
	_cleanup_world_ struct world *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return no_memory(e);

	r = read_names(w, c, o, e);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(w);
	return 0;
}

int world_read(const struct config *c, const struct world_options *o, struct world **ret,
	       struct err *e)
{
	_cleanup_world_ struct world *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return no_memory(e);

	r = world_netns(&w->netns, e);
	if (!r)
		r = read_groups(w, c, o, e);
	if (!r)
		r = read_exempt(w, c, o, e);
	if (!r)
		r = links_read(&w->links, e);
	if (!r)
		r = read_names(w, c, o, e);
	if (!r)
		r = read_tunnels(w, c, o, e);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(w);
	return 0;
}
