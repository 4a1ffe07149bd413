// SPDX-License-Identifier: GPL-2.0
/* The packet target's input: see packet_input.h. */
#include "fuzz/packet_input.h"

#include <string.h>

#include "util.h"

const char *const packet_policies[] = {
	"bootstrap",	"bootstrap6", "cgroup",	      "dhcp",	  "exempt", "exempt-group",
	"exempt-names", "home",	      "kernel",	      "lan-some", "live",   "mixed",
	"observe",	"openvpn",    "plain-kernel", "port53",	  "rules",  "served",
	"sixteen",	"strict",     "two",	      "apart",
};
const size_t packet_policy_count = ARRAY_SIZE(packet_policies);

/* Not the guard plane: it judges calls. */
static const enum tf_plane planes[] = {TF_PLANE_SOCKET, TF_PLANE_WIRE, TF_PLANE_NAMESPACE,
				       TF_PLANE_INGRESS};

enum {
	OWNERS = TF_OWNER_ELSEWHERE + 1,
	QUESTIONS = VECTOR_FAR + 1,
	CAME_BY = 7, /* the ifindex of what is forwarded */
};

static __u32 get16(const __u8 from[2])
{
	return from[0] | (__u32)from[1] << 8;
}

static void put16(__u8 to[2], __u32 value)
{
	to[0] = (__u8)value;
	to[1] = (__u8)(value >> 8);
}

/* A place that is not the true one, or that one. */
static __u32 place(__u8 chosen)
{
	return chosen ? chosen - 1U : VECTOR_TRUE;
}

static void read_head(const struct packet_head *h, struct scene_shot *s)
{
	__u8 device = (__u8)(h->device % scene_device_count);

	*s = (struct scene_shot){
		.plane = planes[h->plane % ARRAY_SIZE(planes)],
		.device = &scene_devices[device],
		.ifindex = device + 1U,
		.mark = get16(h->mark) | get16(h->mark + 2) << 16,
		.gso_size = get16(h->gso_size),
		.forwarded = h->flags & PACKET_FORWARDED ? CAME_BY : 0,
		.owner = (enum tf_owner)(h->owner % OWNERS),
		.offload =
			{
				.checksum = h->flags & PACKET_CHECKSUM,
				.checksum_at = get16(h->checksum_at),
				.network = place(h->network),
				.transport = place(h->transport),
				.ethertype = VECTOR_TRUE,
			},
		.outside = h->flags & PACKET_OUTSIDE,
		.exempt = h->flags & PACKET_EXEMPT,
		.foreign = h->flags & PACKET_FOREIGN,
		.shared = h->flags & PACKET_SHARED,
		.tagged = h->flags & PACKET_TAGGED,
		.question = (enum vector_question)(h->question % QUESTIONS),
	};
}

bool packet_input_read(const __u8 *data, size_t size, struct packet_input *ret)
{
	struct packet_head h;
	__u32 bytes;

	if (size < sizeof(h))
		return false;
	memcpy(&h, data, sizeof(h));
	bytes = (__u32)(size - sizeof(h));
	read_head(&h, &ret->shot);
	ret->policy = packet_policies[h.policy % packet_policy_count];
	ret->first = data + sizeof(h);
	ret->first_bytes = get16(h.first) % (bytes + 1);
	ret->shot.frame = (__u8 *)data + sizeof(h) + ret->first_bytes; /* read only */
	ret->shot.bytes = bytes - ret->first_bytes;
	ret->cut = get16(h.cut) % (ret->shot.bytes + 1);
	return true;
}

static __u8 number_of(const char *const *names, size_t count, const char *name)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (streq(names[i], name))
			break;
	}
	return (__u8)i;
}

static __u8 plane_number(enum tf_plane plane)
{
	__u8 i = 0;

	while (planes[i] != plane)
		i++;
	return i;
}

static void write_head(const struct vector *v, const struct scene_shot *s, struct packet_head *h)
{
	*h = (struct packet_head){
		.policy = number_of(packet_policies, packet_policy_count, v->policy),
		.plane = plane_number(s->plane),
		.device = (__u8)(s->device - scene_devices),
		.owner = (__u8)s->owner,
		.question = (__u8)s->question,
		.network = (__u8)(s->offload.network + 1),
		.transport = (__u8)(s->offload.transport + 1),
	};
	h->flags =
		(__u8)((s->forwarded ? PACKET_FORWARDED : 0) | (s->outside ? PACKET_OUTSIDE : 0) |
		       (s->exempt ? PACKET_EXEMPT : 0) | (s->foreign ? PACKET_FOREIGN : 0) |
		       (s->shared ? PACKET_SHARED : 0) | (s->tagged ? PACKET_TAGGED : 0) |
		       (s->offload.checksum ? PACKET_CHECKSUM : 0));
	put16(h->mark, s->mark);
	put16(h->mark + 2, s->mark >> 16);
	put16(h->gso_size, s->gso_size);
	put16(h->checksum_at, s->offload.checksum_at);
	put16(h->cut, s->bytes / 2);
}

size_t packet_input_write(const struct vectors *all, const struct vector *v, enum tf_plane plane,
			  __u8 *to, size_t room)
{
	_cleanup_shot_ struct scene_shot *shot = scene_shot_new(v, plane), *before = NULL;
	struct packet_head h;
	__u32 first = 0;

	if (v->after[0])
		before = scene_shot_new(vectors_find(all, v->after), plane);
	if (before)
		first = before->bytes;
	if (!shot || sizeof(h) + first + shot->bytes > room)
		return 0;
	write_head(v, shot, &h);
	if (h.policy == packet_policy_count)
		return 0;
	put16(h.first, first);
	memcpy(to, &h, sizeof(h));
	if (first)
		memcpy(to + sizeof(h), before->frame, first);
	if (shot->bytes)
		memcpy(to + sizeof(h) + first, shot->frame, shot->bytes);
	return sizeof(h) + first + shot->bytes;
}
