// SPDX-License-Identifier: GPL-2.0
/* struct policy <-> maps: see maps.h. */
#include "maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "fault.h"
#include "util.h"

static const struct {
	const char *name;
	bool frozen, carried;
} map_table[] = {
#define X(NAME, text, freeze, carry)                                                               \
	[MAP_##NAME] = { .name = text, .frozen = freeze, .carried = carry },
	MAPS(X)
#undef X
};

const char *map_name(enum map map)
{
	return map_table[map].name;
}

bool map_is_frozen(enum map map)
{
	return map_table[map].frozen;
}

bool map_is_carried(enum map map)
{
	return map_table[map].carried;
}

void maps_init(struct maps *m)
{
	size_t i;

	for (i = 0; i < MAP_COUNT; i++)
		m->fd[i] = -1;
}

void maps_close(struct maps *m)
{
	size_t i;

	for (i = 0; i < MAP_COUNT; i++)
		cleanup_close(&m->fd[i]);
	maps_init(m);
}

static int put(const struct maps *m, enum map map, const void *key, const void *value,
	       struct err *e)
{
	if (bpf_map_update_elem(m->fd[map], key, value, BPF_ANY) == 0)
		return 0;
	return err_set(e, -errno, "map '%s' cannot be written: %s", map_name(map), strerror(errno));
}

/* Writes count entries that lie stride bytes apart, key and value at their offsets. */
static int put_all(const struct maps *m, enum map map, const void *entries, size_t count,
		   size_t stride, size_t value_offset, struct err *e)
{
	const char *entry = entries;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < count; i++, entry += stride)
		r = put(m, map, entry, entry + value_offset, e);
	return r;
}

/* Sets: the value says nothing, being there is all. */
static int put_set(const struct maps *m, enum map map, const void *keys, size_t count,
		   size_t stride, struct err *e)
{
	const char *key = keys;
	const __u32 there = 1;
	size_t i;
	int r = 0;

	for (i = 0; !r && i < count; i++, key += stride)
		r = put(m, map, key, &there, e);
	return r;
}

/* Ones where the prefix's bits are. */
static struct tf_addr mask_of(__u32 bits)
{
	struct tf_addr mask = {};

	memset(mask.byte, 0xff, bits / 8);
	if (bits % 8)
		mask.byte[bits / 8] = (__u8)(0xff00 >> bits % 8);
	return mask;
}

/* What there is to find first, and then where. */
static int put_prefix(const struct maps *m, const struct policy_prefix *p, __u32 number,
		      struct err *e)
{
	const struct tf_network network = { .addr = p->key.addr, .mask = mask_of(p->key.bits),
					    .prefix = p->value };
	int r = put(m, MAP_NETWORKS, &number, &network, e);

	return r ? r : put(m, MAP_PREFIXES, &p->key, &number, e);
}

static int put_prefixes(const struct maps *m, const struct policy *p, struct err *e)
{
	__u32 i;
	int r = 0;

	for (i = 0; !r && i < p->prefix_count; i++)
		r = put_prefix(m, &p->prefixes[i], i, e);
	return r;
}

static int put_services(const struct maps *m, const struct policy *p, struct err *e)
{
	__u32 i;
	int r = 0;

	for (i = 0; !r && i < p->service_count; i++)
		r = put(m, MAP_SERVICES, &i, &p->services[i], e);
	return r;
}

int maps_fill(const struct maps *m, const struct policy *p, struct err *e)
{
	int r = put_all(m, MAP_ENDPOINTS, p->endpoints, p->endpoint_count, sizeof(*p->endpoints),
			offsetof(struct policy_endpoint, value), e);

	if (!r)
		r = put_prefixes(m, p, e);
	if (!r)
		r = put_services(m, p, e);
	if (!r)
		r = put_all(m, MAP_UPLINKS, p->uplinks, p->uplink_count, sizeof(*p->uplinks),
			    offsetof(struct policy_uplink, value), e);
	if (!r)
		r = put_set(m, MAP_INSIDE, p->inside, p->inside_count, sizeof(*p->inside), e);
	if (!r)
		r = put_set(m, MAP_INBOUND, p->inbound, p->inbound_count, sizeof(*p->inbound), e);
	return r ? r : maps_write_live(m, p, e);
}

int maps_freeze(const struct maps *m, struct err *e)
{
	size_t i;

	for (i = 0; i < MAP_COUNT; i++) {
		if (!map_table[i].frozen || i == MAP_RODATA) /* libbpf froze that one */
			continue;
		/* Those that are carried on were frozen before, which is an error; no verdict depends on
		 * them. */
		if (bpf_map_freeze(m->fd[i]) && !map_table[i].carried)
			return err_set(e, -errno, "map '%s' cannot be frozen: %s",
				       map_table[i].name, strerror(errno));
	}
	return 0;
}

int maps_label_counters(int counters_fd, struct err *e)
{
	int cpus = libbpf_num_possible_cpus(), cpu;
	_cleanup_free_ struct tf_counter *values = NULL;
	__u32 key;

	if (cpus < 1)
		return err_set(e, -EINVAL, "the number of CPUs cannot be read");
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return err_set(e, -ENOMEM, "out of memory");
	for (key = 0; key < TF_PLANES * TF_REASON_COUNT; key++) {
		for (cpu = 0; cpu < cpus; cpu++) {
			values[cpu].plane = key / TF_REASON_COUNT;
			values[cpu].reason = key % TF_REASON_COUNT;
		}
		if (bpf_map_update_elem(counters_fd, &key, values, BPF_ANY))
			return err_set(e, -errno, "map 'counters' cannot be written: %s",
				       strerror(errno));
	}
	return 0;
}

/* The next key after the given one, or the first. False at the end. */
static bool next_key(int fd, const void *key, void *next)
{
	return bpf_map_get_next_key(fd, key, next) == 0;
}

/* Deleting while walking may skip entries or start anew: so the stale keys are collected first. */
static int drop_stale(const struct maps *m, const struct policy *p, struct err *e)
{
	_cleanup_free_ struct tf_endpoint_key *stale = calloc(TF_MAX_ENDPOINTS, sizeof(*stale));
	struct tf_endpoint_key key, *last = NULL;
	int fd = m->fd[MAP_LIVE];
	size_t count = 0, i;

	if (!stale)
		return err_set(e, -ENOMEM, "out of memory");
	while (count < TF_MAX_ENDPOINTS && next_key(fd, last, &key)) {
		if (!policy_has_live(p, &key))
			stale[count++] = key;
		last = &key;
	}
	for (i = 0; i < count; i++) {
		if (bpf_map_delete_elem(fd, &stale[i]) && errno != ENOENT)
			return err_set(e, -errno, "map 'live_endpoints' cannot be written: %s",
				       strerror(errno));
		fault_step();
	}
	return 0;
}

/* Of what p says; more: and of what there is besides. */
static int put_hashes(const struct maps *m, const struct policy *p, __u64 more, struct err *e)
{
	struct tf_live live = { .hashes = more };
	const __u32 zero = 0;
	size_t i;

	for (i = 0; i < p->live_count; i++)
		live.hashes |= 1ULL << tf_endpoint_hash(&p->live[i].key);
	return put(m, MAP_LIVE_HASHES, &zero, &live, e);
}

/* A key has its bit as long as it is there. */
static int put_live(const struct maps *m, const struct policy *p, struct err *e)
{
	struct tf_live before;
	const __u32 zero = 0;
	int r;

	if (bpf_map_lookup_elem(m->fd[MAP_LIVE_HASHES], &zero, &before))
		return err_set(e, -errno, "map 'live_hashes' cannot be read: %s", strerror(errno));
	r = put_hashes(m, p, before.hashes, e);
	if (!r)
		r = put_all(m, MAP_LIVE, p->live, p->live_count, sizeof(*p->live),
			    offsetof(struct policy_endpoint, value), e);
	if (!r)
		r = drop_stale(m, p, e);
	return r ? r : put_hashes(m, p, 0, e);
}

int maps_write_live(const struct maps *m, const struct policy *p, struct err *e)
{
	int r = put_live(m, p, e);

	if (!r)
		r = put_all(m, MAP_TUNNELS, p->tunnels, p->tunnel_count, sizeof(*p->tunnels),
			    offsetof(struct policy_tunnel_state, value), e);
	return r;
}

/* NULL: nothing is asked any more. */
static int put_question(const struct tf_question *question, const void *data)
{
	const struct maps *m = data;
	const __u32 zero = 0;
	int r;

	r = question ? bpf_map_update_elem(m->fd[MAP_QUESTION], &zero, question, BPF_ANY) :
		       bpf_map_delete_elem(m->fd[MAP_QUESTION], &zero);
	fault_step();
	return r ? -errno : 0;
}

struct resolve_server maps_server(const struct maps *m, const struct tf_policy *p)
{
	const struct resolve_server server = { .addr = p->resolver, .port = p->resolver_port,
					       .put_question = put_question, .data = m };

	return server;
}

/* The compiler may put constants of its own behind the policy. */
int maps_read_constants(int rodata_fd, struct tf_policy *ret)
{
	struct bpf_map_info info = {};
	__u32 bytes = sizeof(info);
	_cleanup_free_ void *value = NULL;
	const __u32 zero = 0;

	if (bpf_obj_get_info_by_fd(rodata_fd, &info, &bytes))
		return -errno;
	if (info.value_size < sizeof(*ret))
		return -EBADMSG;
	value = malloc(info.value_size);
	if (!value)
		return -ENOMEM;
	if (bpf_map_lookup_elem(rodata_fd, &zero, value))
		return -errno;
	memcpy(ret, value, sizeof(*ret));
	return 0;
}

/* Reads a whole map into a new array of entries. */
static int read_all(const struct maps *m, enum map map, size_t stride, size_t value_offset,
		    size_t limit, void **ret, size_t *ret_count, struct err *e)
{
	size_t room = 16, count = 0;
	_cleanup_free_ char *entries = calloc(room, stride);
	char *last = NULL;

	if (!entries)
		return err_set(e, -ENOMEM, "out of memory");
	for (;;) {
		char *entry = entries + count * stride;

		if (!next_key(m->fd[map], last, entry))
			break;
		if (bpf_map_lookup_elem(m->fd[map], entry, entry + value_offset) || count > limit)
			return err_set(e, -EIO, "map '%s' cannot be read: %s", map_name(map),
				       strerror(errno));
		if (++count == room) {
			char *more = realloc(entries, (room *= 2) * stride);

			if (!more)
				return err_set(e, -ENOMEM, "out of memory");
			entries = more;
		}
		memset(entries + count * stride, 0, stride);
		last = entries + (count - 1) * stride;
	}
	*ret = TAKE_PTR(entries);
	*ret_count = count;
	return 0;
}

#define READ_ALL(m, map, type, limit, list, count, e)                                              \
	read_all(m, map, sizeof(type), offsetof(type, value), limit, (void **)(list), count, e)

/* A key followed by the value of a set. */
struct inside_entry {
	struct tf_inside_key key;
	__u32 value;
};

struct inbound_entry {
	struct tf_inbound_key key;
	__u32 value;
};

static int read_sets(const struct maps *m, struct policy *p, struct err *e)
{
	_cleanup_free_ struct inside_entry *inside = NULL;
	_cleanup_free_ struct inbound_entry *inbound = NULL;
	size_t i, inside_count, inbound_count;
	int r;

	r = READ_ALL(m, MAP_INSIDE, struct inside_entry, TF_MAX_INSIDE, &inside, &inside_count, e);
	if (!r)
		r = READ_ALL(m, MAP_INBOUND, struct inbound_entry, 2 * 65536, &inbound,
			     &inbound_count, e);
	if (r)
		return r;
	p->inside = calloc(inside_count + 1, sizeof(*p->inside));
	p->inbound = calloc(inbound_count + 1, sizeof(*p->inbound));
	if (!p->inside || !p->inbound)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < inside_count; i++)
		p->inside[p->inside_count++] = inside[i].key;
	for (i = 0; i < inbound_count; i++)
		p->inbound[p->inbound_count++] = inbound[i].key;
	return 0;
}

/* A key followed by its number in networks. */
struct prefix_entry {
	struct tf_prefix_key key;
	__u32 value;
};

static int read_prefixes(const struct maps *m, struct policy *p, struct err *e)
{
	_cleanup_free_ struct prefix_entry *list = NULL;
	struct tf_network network;
	size_t i, count;
	int r = READ_ALL(m, MAP_PREFIXES, struct prefix_entry, TF_MAX_PREFIXES, &list, &count, e);

	if (r)
		return r;
	p->prefixes = calloc(count + 1, sizeof(*p->prefixes));
	if (!p->prefixes)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		if (bpf_map_lookup_elem(m->fd[MAP_NETWORKS], &list[i].value, &network))
			return err_set(e, -errno, "map 'networks' cannot be read: %s",
				       strerror(errno));
		p->prefixes[p->prefix_count++] =
			(struct policy_prefix){ .key = list[i].key, .value = network.prefix };
	}
	return 0;
}

static int read_services(const struct maps *m, struct policy *p, struct err *e)
{
	struct tf_service service;
	__u32 i, count = 0;
	size_t j;

	for (j = 0; j < p->prefix_count; j++) {
		__u32 end = p->prefixes[j].value.first + p->prefixes[j].value.count;

		if (end > count)
			count = end;
	}
	if (count > TF_MAX_SERVICES)
		return err_set(e, -EBADMSG, "map 'networks' points outside 'services'");
	p->services = calloc((size_t)count + 1, sizeof(*p->services));
	if (!p->services)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++) {
		if (bpf_map_lookup_elem(m->fd[MAP_SERVICES], &i, &service))
			return err_set(e, -errno, "map 'services' cannot be read: %s",
				       strerror(errno));
		p->services[p->service_count++] = service;
	}
	return 0;
}

static int compare_endpoints(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tf_endpoint_key));
}

static int compare_inbound(const void *a, const void *b)
{
	const struct tf_inbound_key *x = a, *y = b;

	return x->protocol != y->protocol ? x->protocol - y->protocol : x->port - y->port;
}

/* A hash gives its entries in an order that is new each time; people compare outputs. */
static void sort_hashes(struct policy *p)
{
	qsort(p->endpoints, p->endpoint_count, sizeof(*p->endpoints), compare_endpoints);
	qsort(p->live, p->live_count, sizeof(*p->live), compare_endpoints);
	qsort(p->inbound, p->inbound_count, sizeof(*p->inbound), compare_inbound);
}

int maps_read(const struct maps *m, struct policy **ret, struct err *e)
{
	_cleanup_policy_ struct policy *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	r = maps_read_constants(m->fd[MAP_RODATA], &p->rodata);
	if (r)
		return err_set(e, r, "map 'tunfence.rodata' cannot be read: %s", strerror(-r));
	r = READ_ALL(m, MAP_ENDPOINTS, struct policy_endpoint, TF_MAX_ENDPOINTS, &p->endpoints,
		     &p->endpoint_count, e);
	if (!r)
		r = READ_ALL(m, MAP_LIVE, struct policy_endpoint, TF_MAX_ENDPOINTS, &p->live,
			     &p->live_count, e);
	if (!r)
		r = read_prefixes(m, p, e);
	if (!r)
		r = READ_ALL(m, MAP_UPLINKS, struct policy_uplink, TF_MAX_UPLINKS, &p->uplinks,
			     &p->uplink_count, e);
	if (!r)
		r = READ_ALL(m, MAP_TUNNELS, struct policy_tunnel_state, TF_MAX_TUNNELS,
			     &p->tunnels, &p->tunnel_count, e);
	if (!r)
		r = read_sets(m, p, e);
	if (!r)
		r = read_services(m, p, e);
	if (r)
		return r;
	sort_hashes(p);
	*ret = TAKE_PTR(p);
	return 0;
}

/* One counter, summed over all CPUs; values: room for one of each. */
static int read_counter(int counters_fd, __u32 key, int cpus, struct tf_counter *values,
			struct counter_total *ret, struct err *e)
{
	struct counter_total total = {};
	int cpu;

	if (bpf_map_lookup_elem(counters_fd, &key, values))
		return err_set(e, -errno, "map 'counters' cannot be read: %s", strerror(errno));
	for (cpu = 0; cpu < cpus; cpu++) {
		total.packets += values[cpu].packets;
		total.bytes += values[cpu].bytes;
	}
	*ret = total;
	return 0;
}

static int read_counters(int counters_fd, __u32 first, __u32 count, struct counter_total *ret,
			 struct err *e)
{
	int cpus = libbpf_num_possible_cpus(), r = 0;
	_cleanup_free_ struct tf_counter *values = NULL;
	__u32 i;

	values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (!values)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; !r && i < count; i++)
		r = read_counter(counters_fd, first + i, cpus, values, &ret[i], e);
	return r;
}

int maps_read_counters(int counters_fd, counter_table ret, struct err *e)
{
	return read_counters(counters_fd, 0, TF_PLANES * TF_REASON_COUNT, &ret[0][0], e);
}

int maps_read_round(int counters_fd, struct counter_total *ret, struct err *e)
{
	return read_counters(counters_fd, TF_COUNTER_ROUND, 1, ret, e);
}

int maps_read_lost(int counters_fd, struct counter_total *ret, struct err *e)
{
	return read_counters(counters_fd, TF_COUNTER_LOST, 1, ret, e);
}

/* One lookup by system call. */
static bool ask(const struct native *n, enum map map, const void *key, void *value)
{
	const struct maps *m = n->data;

	return bpf_map_lookup_elem(m->fd[map], key, value) == 0;
}

static const struct tf_endpoint *ask_endpoint(struct native *n, const struct tf_endpoint_key *key)
{
	return ask(n, MAP_ENDPOINTS, key, &n->answer) ? &n->answer.endpoint : NULL;
}

static const struct tf_endpoint *ask_live(struct native *n, const struct tf_endpoint_key *key)
{
	return ask(n, MAP_LIVE, key, &n->answer) ? &n->answer.endpoint : NULL;
}

static const struct tf_prefix *ask_prefix(struct native *n, const struct tf_prefix_key *key)
{
	struct tf_network network;
	__u32 number;

	if (!ask(n, MAP_PREFIXES, key, &number) || !ask(n, MAP_NETWORKS, &number, &network))
		return NULL;
	n->answer.prefix = network.prefix;
	return &n->answer.prefix;
}

static const struct tf_service *ask_service(struct native *n, __u32 index)
{
	return ask(n, MAP_SERVICES, &index, &n->answer) ? &n->answer.service : NULL;
}

static const struct tf_uplink *ask_uplink(struct native *n, const struct tf_name *name)
{
	return ask(n, MAP_UPLINKS, name, &n->answer) ? &n->answer.uplink : NULL;
}

static bool ask_inside(struct native *n, const struct tf_inside_key *key)
{
	__u32 there;

	return ask(n, MAP_INSIDE, key, &there);
}

static bool ask_inbound(struct native *n, const struct tf_inbound_key *key)
{
	__u32 there;

	return ask(n, MAP_INBOUND, key, &there);
}

const struct native_tables maps_tables = {
	.endpoint = ask_endpoint,
	.live = ask_live,
	.prefix = ask_prefix,
	.service = ask_service,
	.uplink = ask_uplink,
	.inside = ask_inside,
	.inbound = ask_inbound,
};
