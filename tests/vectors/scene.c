// SPDX-License-Identifier: GPL-2.0
/* Devices, policies and shots of the vectors: see scene.h. */
#include "vectors/scene.h"

#include <errno.h>
#include <linux/if_arp.h>
#include <stdlib.h>
#include <string.h>

#include <tunfence/arrive.h>

#include "addr.h"
#include "config.h"
#include "util.h"

/* lo is the first in every namespace, as its ifindex says. */
const struct scene_device scene_devices[] = {
	{ .name = "lo", .link = TF_LINK_UNKNOWN },
	{ .name = "eth0", .link = TF_LINK_ETHERNET, .ethernet = true,
	  .own = { "10.0.0.2", "192.168.1.2", "2001:db8:a::2", "fe80::2" },
	  .broadcast = { "10.0.0.255", "192.168.255.255" } },
	{ .name = "eth1", .link = TF_LINK_ETHERNET, .ethernet = true, .own = { "10.0.1.2" } },
	{ .name = "lan0", .link = TF_LINK_ETHERNET, .ethernet = true },
	{ .name = "lan01", .link = TF_LINK_ETHERNET, .ethernet = true },
	{ .name = "br-lan0", .link = TF_LINK_ETHERNET, .ethernet = true },
	{ .name = "wg0", .link = TF_LINK_NONE, .own = { "10.64.0.2", "2001:db8:64::2" } },
	{ .name = "wg1", .link = TF_LINK_NONE },
	{ .name = "raw0", .link = TF_LINK_NONE, .own = { "10.0.2.2", "fe80::2" } },
	{ .name = "odd0", .link = TF_LINK_UNKNOWN, .type = ARPHRD_IPGRE },
	{ .name = "port0", .link = TF_LINK_ETHERNET, .ethernet = true, .port = true },
};
const __u8 scene_mac[6] = { 2, 0, 0, 0, 0, 1 };
const size_t scene_device_count = ARRAY_SIZE(scene_devices);

const struct scene_device *scene_find_device(const char *name)
{
	size_t i;

	for (i = 0; i < scene_device_count; i++) {
		if (streq(scene_devices[i].name, name))
			return &scene_devices[i];
	}
	return NULL;
}

/* When a packet is judged, and by which number its socket is known. */
#define SCENE_NOW (1000 * 1000000000ULL)
#define SCENE_COOKIE 4711

/* What every name resolves to. */
static const char *const resolved[] = { "198.51.100.99", "2001:db8:99::1" };

static int resolve(const struct config_tunnel *c, struct world_tunnel *t, struct err *e)
{
	size_t i, j;

	t->resolved = calloc(c->endpoint_count * ARRAY_SIZE(resolved) + 1, sizeof(*t->resolved));
	if (!t->resolved)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < c->endpoint_count; i++) {
		for (j = 0; !c->endpoints[i].literal && j < ARRAY_SIZE(resolved); j++) {
			struct world_endpoint *to = &t->resolved[t->resolved_count++];

			to->protocol = c->endpoints[i].protocol;
			to->port = tf_htons(c->endpoints[i].port);
			if (addr_parse(resolved[j], &to->addr, e))
				return e->code;
		}
	}
	return 0;
}

static struct tf_name name_of(const char *text)
{
	struct tf_name name = {};

	memcpy(name.text, text, strnlen(text, sizeof(name.text)));
	return name;
}

/* So many groups, of which the last is there; the others hold nobody. */
static int imagine_groups(size_t count, __u64 id, __u32 level, struct cgroups *groups, struct err *e)
{
	size_t i;

	groups->list = calloc(count, sizeof(*groups->list));
	if (!groups->list)
		return err_set(e, -ENOMEM, "out of memory");
	groups->count = count;
	for (i = 0; i < count; i++)
		groups->list[i] = (struct cgroup){ .fd = -1, .id = ~0ULL - i,
						   .level = (__u32)i + 1 };
	groups->list[count - 1].id = id;
	groups->list[count - 1].level = level;
	return 0;
}

/* Where there may be several there are as many as there may be. */
static int imagine_all_groups(const struct config *c, const struct scene_place *place,
			      struct world *w, struct err *e)
{
	int r = imagine_groups(c->scope == TF_SCOPE_CGROUP ? TF_MAX_GROUPS : 1, place->cgroup_id,
			       place->cgroup_level, &w->groups, e);

	if (!r && c->exempt.any)
		r = imagine_groups(TF_MAX_EXEMPT, place->exempt_id, place->exempt_level, &w->exempt,
				   e);
	return r;
}

static int compile_in(const struct config *c, const struct scene_place *place, struct policy **ret,
		      struct err *e)
{
	_cleanup_world_ struct world *w = calloc(1, sizeof(*w));
	size_t i;
	int r = 0;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->netns = place->netns;
	r = imagine_all_groups(c, place, w, e);
	if (r)
		return r;
	w->tunnels = calloc(c->tunnel_count, sizeof(*w->tunnels));
	if (!w->tunnels)
		return err_set(e, -ENOMEM, "out of memory");
	w->tunnel_count = c->tunnel_count;
	for (i = 0; !r && i < c->tunnel_count; i++) {
		w->tunnels[i].kind = c->tunnels[i].kind;
		r = resolve(&c->tunnels[i], &w->tunnels[i], e);
	}
	return r ? r : compile(c, w, ret, e);
}

static int read_policy(const char *path, const char *name, const struct scene_place *place,
		       struct policy **ret, struct err *e)
{
	_cleanup_config_ struct config *c = NULL;
	int r = config_read(path, name, "/nonexistent", &c, e);

	return r ? r : compile_in(c, place, ret, e);
}

int scene_policies_add(const char *path, const char *name, const struct scene_place *place,
		       struct scene_policies *list, struct err *e)
{
	struct scene_policy *more = reallocarray(list->items, list->count + 1, sizeof(*more));
	struct scene_policy item = {};
	int r;

	if (!more)
		return err_set(e, -ENOMEM, "out of memory");
	list->items = more;
	snprintf(item.name, sizeof(item.name), "%s", name);
	r = read_policy(path, item.name, place, &item.policy, e);
	if (!r)
		list->items[list->count++] = item;
	return r;
}

const struct policy *scene_find_policy(const struct scene_policies *p, const char *name)
{
	size_t i;

	for (i = 0; i < p->count; i++) {
		if (streq(p->items[i].name, name))
			return p->items[i].policy;
	}
	return NULL;
}

int scene_policies_read(const struct vectors *v, const struct scene_place *place,
			struct scene_policies *ret, struct err *e)
{
	struct scene_policies list = {};
	char path[256];
	size_t i;
	int r = 0;

	for (i = 0; !r && i < v->count; i++) {
		const char *name = v->items[i].policy;

		snprintf(path, sizeof(path), VECTOR_DIRECTORY "/policies/%s.conf", name);
		if (!scene_find_policy(&list, name))
			r = scene_policies_add(path, name, place, &list, e);
	}
	if (r)
		scene_policies_free(&list);
	else
		*ret = list;
	return r;
}

void scene_policies_free(struct scene_policies *p)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		policy_free(p->items[i].policy);
	free(p->items);
	*p = (struct scene_policies){};
}

struct scene_shot *scene_shot_with(const struct scene_shot *s, const __u8 *frame, __u32 bytes)
{
	struct scene_shot *copy = malloc(sizeof(*copy));
	__u8 *exact = malloc(bytes);

	if (!copy || (bytes && !exact)) {
		free(copy);
		free(exact);
		return NULL;
	}
	*copy = *s;
	copy->frame = exact;
	copy->bytes = bytes;
	if (bytes)
		memcpy(exact, frame, bytes);
	return copy;
}

void scene_shot_free(struct scene_shot *s)
{
	if (!s)
		return;
	free(s->frame);
	free(s);
}

static const __u8 receivers[][6] = {
	[VECTOR_THIS_HOST] = { 2, 0, 0, 0, 0, 1 },
	[VECTOR_OTHER_HOST] = { 2, 0, 0, 0, 0, 3 },
	[VECTOR_MANY_HOSTS] = { 0x01, 0x80, 0xc2, 0, 0, 0x0e },
};

struct scene_shot *scene_shot_new(const struct vector *v, enum tf_plane plane)
{
	const struct scene_device *device = scene_find_device(v->device);
	struct scene_shot s = {
		.plane = plane,
		.device = device,
		.ifindex = (__u32)(device - scene_devices) + 1,
		.mark = v->mark,
		.gso_size = v->gso_size,
		.forwarded = v->forwarded,
		.owner = v->owner,
		.offload = v->offload,
		.shared = v->shared,
		.outside = v->outside,
		.exempt = v->exempt,
		.foreign = v->foreign,
		.tagged = v->tagged,
		.question = v->question,
	};
	__u8 ethernet[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00 };
	_cleanup_free_ __u8 *framed = malloc(sizeof(ethernet) + v->length);

	if (!device || !framed)
		return NULL;
	if (tf_begins_with_ip(plane) || !device->ethernet || v->framed)
		return scene_shot_with(&s, v->bytes, v->length);
	if (v->length && v->bytes[0] >> 4 == 6) {
		ethernet[12] = 0x86;
		ethernet[13] = 0xdd;
	}
	if (plane == TF_PLANE_INGRESS)
		memcpy(ethernet, receivers[v->host], sizeof(receivers[0]));
	memcpy(framed, ethernet, sizeof(ethernet));
	memcpy(framed + sizeof(ethernet), v->bytes, v->length);
	return scene_shot_with(&s, framed, (__u32)sizeof(ethernet) + v->length);
}

enum vector_host scene_host(const struct scene_shot *s)
{
	const __u8 *mac = s->mac ? s->mac : scene_mac;

	if ((!s->device->ethernet && !s->mac) || s->bytes < 6 || memcmp(s->frame, mac, 6) == 0)
		return VECTOR_THIS_HOST;
	return s->frame[0] & 1 ? VECTOR_MANY_HOSTS : VECTOR_OTHER_HOST;
}

static bool is_relayed(const struct scene_shot *s)
{
	enum vector_host host = scene_host(s);

	if (s->tagged)
		return true;
	if (s->plane == TF_PLANE_INGRESS && host != VECTOR_THIS_HOST)
		return host == VECTOR_OTHER_HOST;
	return s->device->port;
}

static void add_address(const char *text, enum tf_whose whose, struct native_address *list,
			size_t *count)
{
	struct native_address *to = &list[*count];

	*to = (struct native_address){ .whose = whose };
	if (text && addr_parse(text, &to->addr, NULL) == 0)
		*count += 1;
}

/* Room for SCENE_ADDRESSES of each kind. */
static size_t list_addresses(const struct scene_device *d, struct native_address *list)
{
	size_t i, count = 0;

	for (i = 0; i < SCENE_ADDRESSES; i++) {
		add_address(d->own[i], TF_WHOSE_OWN, list, &count);
		add_address(d->broadcast[i], TF_WHOSE_BROADCAST, list, &count);
	}
	return count;
}

/* Where the headers are, for the offload of who tells the truth about them. */
static void find_headers(struct native *n, const struct tf_meta *meta)
{
	enum tf_link_header link = (enum tf_link_header)n->device.link_header;
	struct tf_packet p = {};

	if (tf_begins_with_ip(meta->plane))
		link = TF_LINK_NONE;
	tf_parse_frame(n, link, meta->bytes, meta->gso_size != 0, &p);
	if (n->offload.network == VECTOR_TRUE)
		n->offload.network = p.l3_offset;
	if (n->offload.transport == VECTOR_TRUE)
		n->offload.transport = p.l4_offset;
	if (n->offload.ethertype == VECTOR_TRUE)
		n->offload.ethertype = tf_outermost(n, p.l3_offset);
}

/* Whether it is an IP fragment at all, and under which name it would be remembered. */
static bool fragment_key(struct native *n, const struct tf_meta *meta, struct tf_fragment_key *ret)
{
	struct tf_meta copy = *meta;
	struct tf_packet packet = {};
	enum tf_parse parse;

	copy.device = n->device;
	copy.owner = tf_load_owner(n);
	parse = meta->plane == TF_PLANE_INGRESS ? tf_parse_arrived(n, &copy, &packet) :
						  tf_parse(n, &copy, &packet);
	if (parse != TF_PARSE_IP || packet.fragment == TF_FRAGMENT_NONE)
		return false;
	*ret = tf_fragment_key_of(meta, &packet);
	return true;
}

static bool knows(const struct scene_memory *m, const struct tf_fragment_key *key)
{
	size_t i;

	for (i = 0; i < m->count; i++) {
		if (memcmp(&m->keys[i], key, sizeof(*key)) == 0)
			return true;
	}
	return false;
}

struct tf_question scene_question(enum vector_question question, __u64 cookie, __u64 now)
{
	struct tf_question q = { .cookie = cookie, .until = now + TF_QUESTION_NS / 2,
				 .local_port = VECTOR_ASKS_FROM };

	if (question == VECTOR_NO_QUESTION)
		return (struct tf_question){};
	if (question == VECTOR_OTHER)
		q.cookie++;
	if (question == VECTOR_OVER)
		q.until = now;
	if (question == VECTOR_FAR)
		q.until = now + 360 * TF_QUESTION_NS;
	return q;
}

struct tf_decision scene_judge(const struct scene_shot *s, const struct policy *policy,
			       const struct scene_place *place, struct scene_memory *memory)
{
	struct tf_meta meta = {
		.plane = s->plane,
		.bytes = s->bytes,
		.mark = s->mark,
		.gso_size = s->gso_size,
		.ifindex = s->ifindex,
		.forwarded = s->forwarded,
	};
	struct native_address addresses[2 * SCENE_ADDRESSES];
	struct native n = {
		.frame = s->frame,
		.bytes = s->bytes,
		.device = {
			.name = name_of(s->device->name),
			.netns = s->foreign ? place->other_netns : place->netns,
			.link_header = s->device->link,
		},
		.kind = name_of(SCENE_KIND),
		.owner = s->owner,
		.offload = s->offload,
		.shared = s->shared,
		.in_cgroup = !s->outside,
		.exempt = s->exempt,
		.now = SCENE_NOW,
		.cookie = SCENE_COOKIE,
		.question = scene_question(s->question, SCENE_COOKIE, SCENE_NOW),
		.addresses = addresses,
		.address_count = list_addresses(s->device, addresses),
		.mac = { 2, 0, 0, 0, 0, 1 },
		.relayed = is_relayed(s),
		.tables = &policy_tables,
		.data = policy,
	};
	struct tf_fragment_key key = {};
	struct tf_decision d;
	bool fragment;

	find_headers(&n, &meta);
	fragment = fragment_key(&n, &meta, &key);
	n.fragment_passed = fragment && knows(memory, &key);
	key.exempt = 1;
	n.exempt_passed = fragment && knows(memory, &key);
	d = native_judge(&n, &policy->rodata, &meta);
	key.exempt = n.remembered_exempt;
	if (n.remembered && !knows(memory, &key) && memory->count < SCENE_MEMORY)
		memory->keys[memory->count++] = key;
	return d;
}
