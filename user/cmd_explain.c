// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence explain: what the fence says of a packet that is only imagined. The rules are read from
 * the maps of the running fence, the verdict is the kernel's own code compiled natively.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "addr.h"
#include "command.h"
#include "fence.h"
#include "probe.h"
#include "reason.h"
#include "route.h"
#include "world.h"

struct question {
	struct probe probe;
	const char *device; /* NULL: by the route */
	const char *fence;  /* NULL: the only one there is */
	bool has_plane;
	bool has_from;
	char text[160];     /* the packet as asked */
};

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

static int parse_word(struct question *q, const char *word, const char *value, struct err *e)
{
	char *end;

	if (streq(word, "dev")) {
		q->device = value;
	} else if (streq(word, "fence")) {
		q->fence = value;
	} else if (streq(word, "from")) {
		q->has_from = true;
		q->probe.syn = false; /* whoever names the source asks about an answer */
		return parse_address(value, &q->probe.src, &q->probe.sport, e);
	} else if (streq(word, "mark")) {
		q->probe.mark = (__u32)strtoul(value, &end, 0);
		if (!*value || *end)
			return err_set(e, -EINVAL, "'%s' is not a mark; write a number", value);
	} else if (streq(word, "plane")) {
		q->has_plane = true;
		q->probe.plane = streq(value, "wire") ? TF_PLANE_WIRE : TF_PLANE_SOCKET;
		if (!streq(value, "wire") && !streq(value, "socket"))
			return err_set(e, -EINVAL, "'%s' is not a plane; write socket or wire",
				       value);
	} else {
		return err_set(e, -EINVAL,
			       "'%s' is not a word of explain; write from, dev, mark, plane or fence",
			       word);
	}
	return 0;
}

/* 0, an exit code for wrong usage, or a negative errno. */
static int parse(int argc, char *argv[], struct question *q, struct err *e)
{
	int i, r;

	if (parse_protocol(argv[0], &q->probe))
		return command_usage("explain",
				     "'%s' is not a protocol; write udp, tcp, icmp or wireguard",
				     argv[0]);
	r = parse_address(argv[1], &q->probe.dst, &q->probe.dport, e);
	for (i = 2; !r && i < argc; i += 2) {
		if (i + 1 == argc)
			return command_usage("explain", "'%s' needs a value", argv[i]);
		r = parse_word(q, argv[i], argv[i + 1], e);
	}
	if (r)
		return command_usage("explain", "%s", e->text);
	if (q->probe.protocol != IPPROTO_ICMP && !q->probe.dport)
		return command_usage("explain", "'%s' needs a port: ADDRESS:PORT", argv[1]);
	if (!q->has_from && tf_addr_is_v4(&q->probe.dst))
		tf_addr_set_v4(&q->probe.src, "\0\0\0\0");
	snprintf(q->text, sizeof(q->text), "%s %s", argv[0], argv[1]);
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

static int find_device(const struct question *q, const struct links *links, const struct link **ret,
		       struct err *e)
{
	int ifindex, r;

	if (q->device) {
		*ret = links_find(links, q->device);
		return *ret ? 0 : err_set(e, -ENODEV, "there is no interface '%s' here", q->device);
	}
	r = route_find(&q->probe.dst, q->probe.mark, &ifindex, e);
	if (r)
		return r;
	*ret = links_find_index(links, ifindex);
	return *ret ? 0 : err_set(e, -ENODEV, "interface %d vanished; try again", ifindex);
}

/* A WireGuard message is asked about as its own tunnel would send it. */
static void speak_for_tunnel(struct probe *p, const struct policy *policy)
{
	struct tf_endpoint_key key = { .addr = p->dst, .port = p->dport, .protocol = p->protocol };
	struct native n = { .data = policy };
	const struct tf_endpoint *endpoint = policy_tables.endpoint(&n, &key);
	const struct tf_tunnel *t;

	if (!endpoint)
		endpoint = policy_tables.live(&n, &key);
	if (!endpoint || !endpoint->tunnels)
		return;
	t = &policy->rodata.tunnels[__builtin_ctz(endpoint->tunnels) % TF_MAX_TUNNELS];
	if (!p->sport)
		p->sport = t->local_port;
	if (!p->mark)
		p->mark = t->mark;
	if (t->in_kernel)
		p->owner = TF_OWNER_KERNEL;
}

/* The line of the policy that let a packet pass: what a person would look for. */
static void describe_rule(const struct probe *p, const struct policy *policy,
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
		if (prefix.bits >= best.bits && prefix_contains(&prefix, &p->dst))
			best = prefix;
	}
	snprintf(out, room, "%s", prefix_format(&best, text));
}

struct answer {
	enum tf_plane plane;
	struct tf_decision decision;
	char rule[ADDR_TEXT_LEN];
};

static int ask(const struct question *q, const struct fence *f, const struct policy *policy,
	       struct answer answers[TF_PLANES], size_t *ret_count, struct err *e)
{
	struct probe p = q->probe;
	size_t count = 0;
	int plane, r;

	if (p.wireguard)
		speak_for_tunnel(&p, policy);
	for (plane = 0; plane < TF_PLANES; plane++) {
		struct answer *a = &answers[count];

		if (q->has_plane && plane != (int)q->probe.plane)
			continue;
		/* What the kernel itself makes, the socket plane never sees. */
		if (p.owner == TF_OWNER_KERNEL && plane == TF_PLANE_SOCKET && !q->has_plane)
			continue;
		p.plane = (enum tf_plane)plane;
		r = probe_judge(&p, &f->policy, &maps_tables, &f->maps, &a->decision, e);
		if (r)
			return r;
		a->plane = p.plane;
		describe_rule(&p, policy, &a->decision, a->rule, sizeof(a->rule));
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

		printf("  %-6s plane: %s, %s: it %s", plane_name(a->plane),
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
	j = json_pack("{s:i, s:s, s:s, s:s, s:o}", "version", 1, "fence", f->name, "packet", q->text,
		      "device", q->probe.link->name.text, "answers", array);
	json_dumpf(j, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(j);
}

static int explain(const struct options *o, struct question *q, const struct fence *f,
		   const struct links *links, struct err *e)
{
	_cleanup_policy_ struct policy *policy = NULL;
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
