// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence sync: follow the world. Uplinks that came, planes that somebody took off, endpoints that
 * roamed or were resolved anew, peers that are no longer where their name leads. Only adds what the
 * tunnels of the running policy use now; rules stay as they are. Run by udev for each interface that
 * comes, so it mounts and makes nothing but the cover that somebody took off, and says nothing where
 * there is no fence. With --follow it goes on doing so, and says what changed.
 *
 * The lock is held to open and heal, and again to write; never while somebody is asked for a name.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "compile.h"
#include "follow.h"
#include "loader.h"
#include "peers.h"
#include "pin.h"
#include "route_exempt.h"
#include "state.h"
#include "world.h"

/* One fence as it was when the lock was held first. */
struct subject {
	struct fence *fence;
	struct state state;
	struct policy *running;
	struct config *config; /* what can be told of it: config_of() */
	int raised;            /* hooks */
};

struct sync {
	const struct options *o;
	const char *name; /* NULL: every fence of this network namespace */
	bool heal, ask;   /* put hooks right; resolve names */
	struct follow_report *report; /* NULL: not following */
	struct subject *subjects;
	size_t count;
	struct err *e;
	bool failed;
};

static void subject_free(struct subject *s)
{
	fence_free(s->fence);
	state_free(&s->state);
	policy_free(s->running);
	config_free(s->config);
}

static void sync_free(struct sync *s)
{
	size_t i;

	for (i = 0; i < s->count; i++)
		subject_free(&s->subjects[i]);
	free(s->subjects);
}
#define _cleanup_sync_ _cleanup_(sync_free)

static void warn(struct sync *s, const char *fence, const char *text)
{
	if (s->report)
		follow_complain(s->report, "%s: warning: %s", fence, text);
	else
		printf("%s: warning: %s\n", fence, text);
}

/* What is wrong with one fence keeps none of the others waiting. */
static void fail(struct sync *s, const struct err *e)
{
	s->failed = true;
	if (s->report)
		follow_complain(s->report, "%s", e->text);
	else
		command_failed(e);
}

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

/* ---- with the lock: what there is, and what it lacks ---- */

/* The groups that are still where they were: a path may lead to another by now. */
static int find_groups(char *const *paths, size_t count, struct cgroups *ret, struct err *e)
{
	struct cgroups groups = { .list = calloc(count + 1, sizeof(*groups.list)) };
	size_t i;

	if (!groups.list)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++)
		groups.count += cgroup_open(paths[i], &groups.list[groups.count], NULL) == 0;
	*ret = groups;
	return 0;
}

/* Puts every plane where it is missing. */
static int heal(const struct fence *f, const struct policy *running, const struct state *s,
		int *ret_raised, struct err *e)
{
	struct cgroups groups = {}, exempt = {};
	struct links links = {};
	int r = links_read(&links, e);

	if (!r)
		r = find_groups(s->groups, s->group_count, &groups, e);
	if (!r)
		r = find_groups(s->exempt, s->exempt_count, &exempt, e);
	if (!r)
		r = loader_heal(f, running, &groups, &exempt, &links, ret_raised, e);
	cgroups_free(&groups);
	cgroups_free(&exempt);
	links_free(&links);
	return r;
}

/* The way of exempt programs. What is wrong with it holds up nothing else: they use the tunnel. */
static void lay_way(struct sync *s, const struct fence *f)
{
	struct route_told told = {};
	struct links links = {};
	struct err warning = {};
	int r = links_read(&links, &warning);

	if (!r)
		r = route_exempt_make(&f->policy, &links, &told, &warning);
	links_free(&links);
	if (r)
		warn(s, f->name, warning.text);
	if (!s->report)
		return;
	s->report->routed++;
	if (told.changed)
		printf("%s: %u route%s or rules of exempt programs changed\n", f->name,
		       told.changed, told.changed == 1 ? "" : "s");
}

/* One that is gone is said, and holds up nothing that can be done for the others. */
static void check_groups(struct sync *s, const struct subject *subject)
{
	const struct fence *f = subject->fence;
	__u32 i;

	for (i = 0; i < fence_group_count(f) && i < subject->state.group_count; i++) {
		struct err gone = {};

		if (fence_check_group(f, i, subject->state.groups[i], &gone) &&
		    (!state_is_fleeting(&subject->state, subject->state.groups[i]) ||
		     access(subject->state.groups[i], F_OK) == 0))
			fail(s, &gone);
	}
}

static int read_subject(struct sync *s, struct subject *subject, struct err *e)
{
	const struct fence *f = subject->fence;
	struct err warning = {};
	int r;

	if (state_read(s->o->run_dir, f->name, &subject->state, &warning))
		warn(s, f->name, warning.text);
	r = maps_read(&f->maps, &subject->running, e);
	if (!r && s->heal)
		r = heal(f, subject->running, &subject->state, &subject->raised, e);
	if (!r && s->heal && f->policy.exempt_count)
		lay_way(s, f);
	if (!r)
		check_groups(s, subject);
	if (!r)
		r = config_of(f, subject->running, &subject->state, &subject->config, e);
	if (!r && s->report && subject->raised)
		printf("%s: %d hook%s put in place\n", f->name, subject->raised,
		       subject->raised == 1 ? "" : "s");
	return r;
}

/* A fence of another network namespace is passed over, unless it was asked for. */
static int open_fence(const struct sync *s, const char *name, struct fence **ret, struct err *e)
{
	_cleanup_fence_ struct fence *f = NULL;
	struct pins pins;
	__u32 netns;
	int r = pins_init(&pins, s->o->bpffs, s->o->run_dir, name, e);

	if (!r)
		r = fence_open(&pins, name, &f, e);
	if (!r)
		r = world_netns(&netns, e);
	if (r)
		return r;
	if (f->policy.netns == netns)
		*ret = TAKE_PTR(f);
	else if (s->name)
		return err_set(e, -EXDEV,
			       "fence '%s' belongs to another network namespace; run sync there",
			       name);
	return 0;
}

static int take_up(const char *name, void *data)
{
	struct sync *s = data;
	struct subject *more = reallocarray(s->subjects, s->count + 1, sizeof(*more));
	struct subject subject = {};
	struct err e = {};
	int r;

	if (!more)
		return err_set(s->e, -ENOMEM, "out of memory");
	s->subjects = more;
	r = open_fence(s, name, &subject.fence, &e);
	if (!r && subject.fence)
		r = read_subject(s, &subject, &e);
	if (r)
		fail(s, &e);
	if (!r && subject.fence)
		s->subjects[s->count++] = subject;
	else
		subject_free(&subject);
	return 0;
}

/* ---- without it: what the world is like now ---- */

/* Names are asked for first: the answer of a device must not be old when it is written down. */
static int look(const struct sync *s, const struct subject *subject, struct world **ret,
		struct world **ret_asked, struct err *e)
{
	const struct resolve_server server = maps_server(&subject->fence->maps,
							 &subject->fence->policy);
	struct world_options options = { .cgroup = s->o->cgroup, .socket_dir = s->o->socket_dir,
					 .state_dir = s->o->state_dir, .server = &server };
	const struct config nothing = {};
	_cleanup_world_ struct world *w = NULL, *asked = NULL;
	int r = world_ask(s->ask ? subject->config : &nothing, &options, &asked, e);
	__u32 i;

	options.asked = asked;
	if (!r)
		r = world_read(subject->config, &options, &w, e);
	for (i = 0; !r && i < w->tunnel_count; i++) {
		if (keep_unresolved(&subject->config->tunnels[i], i, subject->running,
				    &w->tunnels[i]))
			r = err_set(e, -ENOMEM, "out of memory");
	}
	if (r)
		return r;
	*ret = TAKE_PTR(w);
	*ret_asked = TAKE_PTR(asked);
	return 0;
}

/* ---- with the lock again: writing it down ---- */

/* Whoever replaced the fence meanwhile knew the world better; its maps are others. */
static bool is_current(const struct fence *f)
{
	struct hook_link now;

	return hook_link_info(f->socket_link, &now) == 0 && now.program_id == f->socket.program_id;
}

/* Those in a that are not in b. */
static void print_endpoints(const char *fence, const struct policy *a, const struct policy *b,
			    const char *what)
{
	char text[ADDR_TEXT_LEN];
	size_t i;

	for (i = 0; i < a->live_count; i++) {
		const struct tf_endpoint_key *key = &a->live[i].key;

		if (key->port && !policy_has_live(b, key))
			printf("%s: endpoint %s %s\n", fence,
			       addr_port_format(&key->addr, tf_htons(key->port), text), what);
	}
}

/* One known to be allowed may be the peer's new place. That a peer cannot be told is no error of the
 * fence's. */
static int move_peers(struct sync *s, const struct subject *subject, const struct world *w,
		      const struct policy *live, struct err *e)
{
	_cleanup_free_ struct peers_move *moves = NULL;
	char key[KEY_TEXT_LEN], place[ADDR_TEXT_LEN];
	size_t i, count;

	if (peers_find_moved(subject->config, w, live, time(NULL), &moves, &count))
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		const struct peers_move *m = &moves[i];
		const struct tf_name *name = &subject->config->tunnels[m->tunnel].interface;
		struct err warning = {};

		if (wireguard_set_endpoint(name->text, w->tunnels[m->tunnel].kind.text,
					   s->o->socket_dir, w->netns, &m->peer, &warning))
			warn(s, subject->fence->name, warning.text);
		else
			printf("%s: peer %s of %s now at %s (%s)\n", subject->fence->name,
			       key_format(&m->peer.key, key), name->text,
			       addr_port_format(&m->peer.endpoint.addr, m->peer.endpoint.port, place),
			       m->host);
	}
	return 0;
}

static int write_down(struct sync *s, const struct subject *subject, const struct world *w,
		      const struct policy *live, struct err *e)
{
	const struct fence *f = subject->fence;
	_cleanup_close_ int lock = pins_lock(&f->pins, e);
	struct err warning = {};
	int r;

	if (lock < 0)
		return lock;
	if (!is_current(f))
		return 0;
	r = maps_write_live(&f->maps, live, e);
	if (r)
		return r;
	state_touch(s->o->run_dir, f->name);
	if (s->report) {
		print_endpoints(f->name, live, subject->running, "allowed");
		print_endpoints(f->name, subject->running, live, "no longer allowed");
	}
	if (!s->ask)
		return 0;
	if (hosts_write(s->o->state_dir, f->name, w->names, w->name_count, &w->last, &warning))
		warn(s, f->name, warning.text);
	if (hosts_publish(s->o->run_dir, f->name, w->names, w->name_count, &warning))
		warn(s, f->name, warning.text);
	return move_peers(s, subject, w, live, e);
}

/* Names without an address to go to, and peers that are not heard of. */
static void count_wants(struct sync *s, const struct subject *subject, const struct world *w)
{
	size_t i, j;

	for (i = 0; i < w->tunnel_count; i++) {
		const struct config_tunnel *t = &subject->config->tunnels[i];
		unsigned int names = 0;

		for (j = 0; j < t->endpoint_count; j++)
			names += !t->endpoints[j].literal;
		s->report->names += names;
		s->report->wanting += !s->ask && names && !w->tunnels[i].resolved_count;
	}
	for (i = 0; i < w->name_count; i++)
		s->report->wanting += !resolve_is_fresh(&w->names[i]);
	s->report->wanting += (unsigned int)peers_count_lost(subject->config, w, time(NULL));
}

static size_t count_addresses(const struct policy *p)
{
	size_t i, count = 0;

	for (i = 0; i < p->live_count; i++)
		count += p->live[i].key.port != 0;
	return count;
}

static int settle(struct sync *s, const struct subject *subject, struct err *e)
{
	_cleanup_world_ struct world *w = NULL, *asked = NULL;
	_cleanup_policy_ struct policy *live = NULL;
	const char *name = subject->fence->name;
	size_t i;
	int r = look(s, subject, &w, &asked, e);

	if (!r)
		r = compile_live(subject->config, w, &live, e);
	if (!r)
		r = write_down(s, subject, w, live, e);
	if (r)
		return r;
	if (s->report)
		count_wants(s, subject, w);
	else
		printf("%s: %zu live endpoint%s; %d hook%s put in place\n", name,
		       count_addresses(live), count_addresses(live) == 1 ? "" : "s",
		       subject->raised, subject->raised == 1 ? "" : "s");
	for (i = 0; i < asked->warning_count; i++)
		warn(s, name, asked->warnings[i]);
	for (i = 0; i < w->warning_count; i++)
		warn(s, name, w->warnings[i]);
	return 0;
}

/* ---- the command ---- */

static int found_one(const char *name, void *data)
{
	(void)name, (void)data;
	return 1;
}

/* Whether there is a fence of this name, or any. */
static bool is_there(const struct pins *pins, const char *name)
{
	if (!name)
		return pin_each_fence(pins, found_one, NULL) != 0;
	return access(pins->own, F_OK) == 0 || access(pins->shown, F_OK) == 0;
}

static int take_up_all(struct sync *s, const struct pins *pins)
{
	_cleanup_close_ int lock = pins_lock(pins, s->e);

	if (lock < 0)
		return lock;
	return s->name ? take_up(s->name, s) : pin_each_fence(pins, take_up, s);
}

/* Every hook of every fence first: what follows may take its time. */
static int sync_all(struct sync *s)
{
	struct pins pins;
	size_t i;
	int r = pins_init(&pins, s->o->bpffs, s->o->run_dir, s->name ? s->name : "-", s->e);

	if (!r)
		r = pins_cover(&pins, s->e);
	if (!r)
		r = pins_enter(&pins, s->e);
	if (r)
		return r;
	if (!is_there(&pins, s->name))
		return !s->name || s->report ? 0 : err_set(s->e, -ENOENT, "there is no fence '%s'",
							   s->name);
	r = take_up_all(s, &pins);
	for (i = 0; !r && i < s->count; i++) {
		struct err e = {};

		if (settle(s, &s->subjects[i], &e))
			fail(s, &e);
	}
	return r;
}

static void pass(enum follow_job job, struct follow_report *report, const void *data)
{
	struct err e = {};
	_cleanup_sync_ struct sync s = *(const struct sync *)data;

	s.report = report;
	s.e = &e;
	s.heal = job == FOLLOW_FACTS;
	s.ask = job == FOLLOW_NAMES;
	if (sync_all(&s))
		fail(&s, &e);
}

static void complain(const char *line)
{
	fprintf(stderr, "tunfence: %s\n", line);
}

int cmd_sync(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_sync_ struct sync s = { .o = o, .name = argc ? argv[0] : NULL, .heal = true,
					 .ask = true, .e = e };
	const struct follow_calls calls = { .pass = pass, .complain = complain, .data = &s };
	int r = argc ? config_check_name(argv[0], e) : 0;

	if (r)
		return r;
	if (o->follow)
		return follow_run(&calls, e);
	r = sync_all(&s);
	return r ? r : s.failed ? EXIT_FAILED : EXIT_DONE;
}
