// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence explain: what the fence says of a packet that is only imagined, one that leaves or, with
 * "in", one that arrives. The rules are read from the maps of the running fence, the verdict is the
 * kernel's own code compiled natively.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "addr.h"
#include "cgroup.h"
#include "command.h"
#include "fence.h"
#include "json_text.h"
#include "probe.h"
#include "reason.h"
#include "route.h"
#include "world.h"

struct question {
	struct probe probe;
	const char *device; /* NULL: by the route */
	const char *fence;  /* NULL: the only one there is */
	const char *cgroup; /* whose program's it is; NULL: of a program that the fence holds */
	bool arrives;
	bool has_plane;
	bool has_here;      /* this machine's end was given an address */
	char text[160];     /* the packet as asked */
};

static struct tf_addr *remote_of(struct question *q)
{
	return q->arrives ? &q->probe.src : &q->probe.dst;
}

static __u16 *remote_port_of(struct question *q)
{
	return q->arrives ? &q->probe.sport : &q->probe.dport;
}

static struct tf_addr *here_of(struct question *q)
{
	return q->arrives ? &q->probe.dst : &q->probe.src;
}

static __u16 *here_port_of(struct question *q)
{
	return q->arrives ? &q->probe.dport : &q->probe.sport;
}

/* "ADDRESS", "ADDRESS:PORT", "[ADDRESS]:PORT" */
static int parse_address(const char *text, struct tf_addr *addr, __u16 *port, struct err *e)
{
	char copy[ADDR_TEXT_LEN], *host = copy, *colon;
	__u32 number;

	if (strlen(text) >= sizeof(copy))
		return err_set(e, -EINVAL, "'%s' is not an address", text);
	strcpy(copy, text);
	colon = strrchr(copy, ':');
	if (copy[0] == '[') {
		char *end = strchr(copy, ']');

		if (!end || (end[1] && end + 1 != colon))
			return err_set(e, -EINVAL, "'%s' is not an address; write [ADDRESS]:PORT",
				       text);
		host = copy + 1;
		*end = '\0';
		colon = end[1] ? colon : NULL;
	} else if (colon && strchr(copy, ':') != colon) {
		colon = NULL; /* a bare IPv6 address */
	}
	if (colon) {
		if (parse_u32(colon + 1, 1, 65535, &number))
			return err_set(e, -EINVAL, "'%s' is not a port; write 1 to 65535",
				       colon + 1);
		*colon = '\0';
		*port = (__u16)number;
	}
	return addr_parse(host, addr, e);
}

static int parse_protocol(const char *text, struct probe *p)
{
	p->syn = true;
	if (streq(text, "udp"))
		p->protocol = IPPROTO_UDP;
	else if (streq(text, "tcp"))
		p->protocol = IPPROTO_TCP;
	else if (streq(text, "icmp"))
		p->protocol = IPPROTO_ICMP;
	else if (streq(text, "wireguard"))
		p->protocol = IPPROTO_UDP, p->wireguard = true;
	else
		return -EINVAL;
	return 0;
}

/* This machine's end: an address and a port, or ":PORT". */
static int parse_here(struct question *q, const char *value, struct err *e)
{
	__u32 port;

	if (value[0] != ':') {
		q->has_here = true;
		return parse_address(value, here_of(q), here_port_of(q), e);
	}
	if (parse_u32(value + 1, 1, 65535, &port))
		return err_set(e, -EINVAL, "'%s' is not a port; write 1 to 65535", value + 1);
	*here_port_of(q) = (__u16)port;
	return 0;
}

static int parse_plane(struct question *q, const char *value, struct err *e)
{
	int plane;

	for (plane = 0; plane < TF_PLANES; plane++) {
		if (streq(value, plane_name((enum tf_plane)plane)))
			break;
	}
	if (q->arrives ? plane != TF_PLANE_INGRESS :
			 plane >= TF_PLANES || plane == TF_PLANE_INGRESS || plane == TF_PLANE_GUARD)
		return err_set(e, -EINVAL, "'%s' is not a plane it could meet; write %s", value,
			       q->arrives ? "ingress" : "socket, wire or namespace");
	q->has_plane = true;
	q->probe.plane = (enum tf_plane)plane;
	return 0;
}

static int parse_word(struct question *q, const char *word, const char *value, struct err *e)
{
	char *end;

	if (streq(word, "dev")) {
		q->device = value;
	} else if (streq(word, "fence")) {
		q->fence = value;
	} else if (streq(word, "cgroup")) {
		q->cgroup = value;
	} else if (streq(word, q->arrives ? "to" : "from")) {
		/* Whoever names the source of what leaves asks about an answer. */
		q->probe.syn = q->probe.syn && q->arrives;
		return parse_here(q, value, e);
	} else if (streq(word, "mark") && !q->arrives) {
		q->probe.mark = (__u32)strtoul(value, &end, 0);
		if (!*value || *end)
			return err_set(e, -EINVAL, "'%s' is not a mark; write a number", value);
	} else if (streq(word, "plane")) {
		return parse_plane(q, value, e);
	} else {
		return err_set(e, -EINVAL, "'%s' is not a word of explain%s; write %s", word,
			       q->arrives ? " in" : "",
			       q->arrives ? "to, dev, plane, fence or cgroup" :
					    "from, dev, mark, plane, fence or cgroup");
	}
	return 0;
}

/* What a packet cannot do without. */
static int check_ports(struct question *q, const char *remote, struct err *e)
{
	if (q->probe.protocol == IPPROTO_ICMP)
		return 0;
	if ((!q->arrives || q->probe.wireguard) && !*remote_port_of(q))
		return err_set(e, -EINVAL, "'%s' needs a port: ADDRESS:PORT", remote);
	/* Of a tunnel we may know our own. */
	if (q->arrives && !q->probe.wireguard && !*here_port_of(q))
		return err_set(e, -EINVAL, "what arrives needs a port of this machine: to :PORT");
	return 0;
}

static void keep_text(struct question *q, int argc, char *argv[])
{
	size_t used = 0;
	int i;

	for (i = 0; i < argc && used < sizeof(q->text); i++)
		used += (size_t)snprintf(q->text + used, sizeof(q->text) - used, "%s%s",
					 i ? " " : "", argv[i]);
}

/* 0, an exit code for wrong usage, or a negative errno. */
static int parse(int argc, char *argv[], struct question *q, struct err *e)
{
	int i, r, first = streq(argv[0], "in");

	q->arrives = first;
	if (first + 2 > argc)
		return command_usage("explain", "'in' needs a protocol and where it comes from");
	if (parse_protocol(argv[first], &q->probe))
		return command_usage("explain",
				     "'%s' is not a protocol; write udp, tcp, icmp or wireguard",
				     argv[first]);
	r = parse_address(argv[first + 1], remote_of(q), remote_port_of(q), e);
	if (q->arrives && q->probe.sport) /* who names the sender's port asks about an answer */
		q->probe.syn = false;
	for (i = first + 2; !r && i < argc; i += 2) {
		if (i + 1 == argc)
			return command_usage("explain", "'%s' needs a value", argv[i]);
		r = parse_word(q, argv[i], argv[i + 1], e);
	}
	if (!r)
		r = check_ports(q, argv[first + 1], e);
	if (r)
		return command_usage("explain", "%s", e->text);
	if (!q->has_here && tf_addr_is_v4(remote_of(q)))
		tf_addr_set_v4(here_of(q), "\0\0\0\0");
	keep_text(q, first + 2, argv);
	return 0;
}

struct only_fence {
	char name[64];
	size_t count;
};

static int note_fence(const char *name, void *data)
{
	struct only_fence *only = data;

	snprintf(only->name, sizeof(only->name), "%s", name);
	only->count++;
	return 0;
}

static int open_fence(const struct options *o, const char *name, struct fence **ret, struct err *e)
{
	struct only_fence only = {};
	struct pins pins;
	int r = pins_init(&pins, o->bpffs, o->run_dir, name ? name : "-", e);

	if (!r)
		r = pins_enter(&pins, e);
	if (r)
		return r;
	if (!name) {
		r = pin_each_fence(&pins, note_fence, &only);
		if (r)
			return err_set(e, r, "the fences in '%s' cannot be listed: %s",
				       pins.own_root, strerror(-r));
		if (only.count == 0)
			return err_set(e, -ENOENT, "no fence is up; raise one with 'tunfence up'");
		if (only.count > 1)
			return err_set(e, -EINVAL, "several fences are up; say which with 'fence NAME'");
		name = only.name;
		r = pins_init(&pins, o->bpffs, o->run_dir, name, e);
		if (r)
			return r;
	}
	return fence_open(&pins, name, ret, e);
}

static int find_device(struct question *q, const struct links *links, const struct link **ret,
		       struct err *e)
{
	int ifindex, r;

	if (q->device) {
		*ret = links_find(links, q->device);
		return *ret ? 0 : err_set(e, -ENODEV, "there is no interface '%s' here", q->device);
	}
	r = route_find(remote_of(q), q->probe.mark, &ifindex, e);
	if (r)
		return r;
	*ret = links_find_index(links, ifindex);
	return *ret ? 0 : err_set(e, -ENODEV, "interface %d vanished; try again", ifindex);
}

static bool is_in_any(const struct cgroup *c, const struct tf_group *groups, __u32 count)
{
	__u32 i;

	for (i = 0; i < count; i++) {
		const struct cgroup there = { .id = groups[i].id, .level = groups[i].level };

		if (cgroup_is_within(c, &there))
			return true;
	}
	return false;
}

static int find_program(struct question *q, const struct tf_policy *policy, struct err *e)
{
	struct cgroup c = { .fd = -1 };
	int r = q->cgroup ? cgroup_open(q->cgroup, &c, e) : 0;

	if (r || !q->cgroup)
		return r;
	q->probe.outside = policy->scope == TF_SCOPE_CGROUP &&
			   !is_in_any(&c, policy->groups, policy->group_count);
	q->probe.exempt = is_in_any(&c, policy->exempt, policy->exempt_count);
	cgroup_close(&c);
	return 0;
}

/* What the device knows of addresses; and the first that the other end would have sent to. */
static int find_addresses(struct question *q, const struct links *links,
			  struct native_address **ret, struct err *e)
{
	struct native_address *list = calloc(links->addr_count + 1, sizeof(*list));
	struct probe *p = &q->probe;
	size_t i, count = 0;

	if (!list)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < links->addr_count; i++) {
		const struct tf_addr *addr = &links->addrs[i].addr;

		if (links->addrs[i].ifindex != p->link->ifindex)
			continue;
		list[count++] = (struct native_address){ .addr = *addr, .whose = TF_WHOSE_OWN };
		if (q->arrives && !q->has_here && tf_addr_is_v4(addr) == tf_addr_is_v4(&p->src) &&
		    tf_is_link_local(addr) == tf_is_link_local(&p->src)) {
			q->has_here = true;
			p->dst = *addr;
		}
	}
	p->addresses = *ret = list;
	p->address_count = count;
	if (q->arrives && !q->has_here)
		return err_set(e, -EADDRNOTAVAIL,
			       "'%s' has no address that such a packet could come to; say one with "
			       "'to ADDRESS'",
			       p->link->name.text);
	return 0;
}

/* A WireGuard message is asked about as its own tunnel would send it, or its other end. */
static void speak_for_tunnel(struct question *q, const struct policy *policy)
{
	struct probe *p = &q->probe;
	struct tf_endpoint_key key = { .addr = *remote_of(q), .port = *remote_port_of(q),
				       .protocol = p->protocol };
	struct native n = { .data = policy };
	const struct tf_endpoint *endpoint = policy_tables.endpoint(&n, &key);
	const struct tf_tunnel *t;

	if (!endpoint)
		endpoint = policy_tables.live(&n, &key);
	if (!endpoint || !endpoint->tunnels)
		return;
	t = &policy->rodata.tunnels[__builtin_ctz(endpoint->tunnels) % TF_MAX_TUNNELS];
	if (!*here_port_of(q))
		*here_port_of(q) = t->local_port;
	if (!p->mark)
		p->mark = t->mark;
	if (t->in_kernel)
		p->owner = TF_OWNER_KERNEL;
}

/* The line of the policy that let a packet pass: what a person would look for. */
static void describe_rule(const struct tf_addr *remote, const struct policy *policy,
			  const struct tf_decision *d, char *out, size_t room)
{
	struct prefix prefix, best = {};
	char text[ADDR_TEXT_LEN];
	size_t i;

	out[0] = '\0';
	if (d->reason != TF_REASON_DESTINATION && d->reason != TF_REASON_LAN)
		return;
	for (i = 0; i < policy->prefix_count; i++) {
		prefix = (struct prefix){ .addr = policy->prefixes[i].key.addr,
					  .bits = policy->prefixes[i].key.bits };
		if (prefix.bits >= best.bits && prefix_contains(&prefix, remote))
			best = prefix;
	}
	snprintf(out, room, "%s", prefix_format(&best, text));
}

struct answer {
	enum tf_plane plane;
	struct tf_decision decision;
	char rule[ADDR_TEXT_LEN];
};

/* Whether such a packet meets the plane at all. */
static bool is_met(const struct question *q, const struct fence *f, enum tf_plane plane)
{
	_cleanup_close_ int fd = -1;

	if (q->has_plane)
		return plane == q->probe.plane;
	switch (plane) {
	case TF_PLANE_SOCKET: /* never sees what the kernel itself makes, or what others send */
		return !q->arrives && q->probe.owner != TF_OWNER_KERNEL && !q->probe.outside;
	case TF_PLANE_WIRE:
		return !q->arrives;
	case TF_PLANE_NAMESPACE: /* not every kernel has it */
		fd = pin_open(&f->pins, "progs", "ns");
		return !q->arrives && fd >= 0;
	case TF_PLANE_INGRESS:
		return q->arrives;
	case TF_PLANE_GUARD:
	case TF_PLANES:
		break;
	}
	return false;
}

static int ask(struct question *q, const struct fence *f, const struct policy *policy,
	       struct answer answers[TF_PLANES], size_t *ret_count, struct err *e)
{
	size_t count = 0;
	int plane, r;

	if (q->probe.wireguard)
		speak_for_tunnel(q, policy);
	for (plane = 0; plane < TF_PLANES; plane++) {
		struct answer *a = &answers[count];
		struct probe p = q->probe;

		if (!is_met(q, f, (enum tf_plane)plane))
			continue;
		p.plane = a->plane = (enum tf_plane)plane;
		r = probe_judge(&p, &f->policy, &maps_tables, &f->maps, &a->decision, e);
		if (r)
			return r;
		describe_rule(remote_of(q), policy, &a->decision, a->rule, sizeof(a->rule));
		count++;
	}
	*ret_count = count;
	return 0;
}

static void print_text(const struct question *q, const struct fence *f, const struct answer *answers,
		       size_t count)
{
	size_t i;

	printf("%s by %s, fence '%s'\n", q->text, q->probe.link->name.text, f->name);
	for (i = 0; i < count; i++) {
		const struct answer *a = &answers[i];

		printf("  %-9s plane: %s, %s: it %s", plane_name(a->plane),
		       a->decision.verdict == TF_PASS ? "PASS" : "DROP",
		       reason_name(a->decision.reason), reason_text(a->decision.reason));
		if (a->rule[0])
			printf(" (%s)", a->rule);
		if (f->policy.mode == TF_MODE_OBSERVE &&
		    tf_reason_verdict(a->decision.reason) == TF_DROP)
			fputs(" (passes only because the fence observes)", stdout);
		putchar('\n');
	}
}

static void print_json(const struct question *q, const struct fence *f, const struct answer *answers,
		       size_t count)
{
	json_t *array = json_array(), *j;
	size_t i;

	for (i = 0; i < count; i++) {
		const struct answer *a = &answers[i];

		json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:s}", "plane",
						       plane_name(a->plane), "verdict",
						       verdict_name(a->decision.verdict), "reason",
						       reason_name(a->decision.reason), "text",
						       reason_text(a->decision.reason), "rule",
						       a->rule));
	}
	j = json_pack("{s:i, s:s, s:o, s:o, s:o}", "version", 1, "fence", f->name, "packet",
		      json_text(q->text), "device", json_text(q->probe.link->name.text), "answers",
		      array);
	json_dumpf(j, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(j);
}

static int explain(const struct options *o, struct question *q, const struct fence *f,
		   const struct links *links, struct err *e)
{
	_cleanup_policy_ struct policy *policy = NULL;
	_cleanup_free_ struct native_address *addresses = NULL;
	struct answer answers[TF_PLANES];
	size_t count;
	__u32 netns;
	int r = world_netns(&netns, e);

	if (!r && netns != f->policy.netns)
		r = err_set(e, -EXDEV, "fence '%s' belongs to another network namespace; ask there",
			    f->name);
	if (!r)
		r = find_device(q, links, &q->probe.link, e);
	if (!r)
		r = find_addresses(q, links, &addresses, e);
	if (!r)
		r = find_program(q, &f->policy, e);
	if (!r)
		r = maps_read(&f->maps, &policy, e);
	if (!r)
		r = ask(q, f, policy, answers, &count, e);
	if (r)
		return r;
	if (o->json)
		print_json(q, f, answers, count);
	else
		print_text(q, f, answers, count);
	return EXIT_DONE;
}

int cmd_explain(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_fence_ struct fence *f = NULL;
	struct question q = {};
	struct links links = {};
	int r = parse(argc, argv, &q, e);

	if (r)
		return r;
	r = open_fence(o, q.fence, &f, e);
	if (!r)
		r = links_read(&links, e);
	if (!r)
		r = explain(o, &q, f, &links, e);
	links_free(&links);
	return r;
}
