/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The world the vectors live in: its devices, its policies, and a shot, which is one packet as one
 * plane sees it. Judges shots natively, with a memory of first fragments like the kernel's. Makes
 * nothing; tests/kernel/test_run.c makes the same devices for the kernel.
 */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

#include <stdbool.h>
#include <stddef.h>

#include "compile.h"
#include "err.h"
#include "native.h"
#include "vectors/vector.h"

#define SCENE_KIND "tun" /* of every device but lo */

#define SCENE_ADDRESSES 4

struct scene_device {
	const char *name;
	enum tf_link_header link; /* what its type implies */
	bool ethernet;            /* a tap; else a tun */
	unsigned short type;      /* ARPHRD_* to give it; 0: as it comes */
	bool port;                /* of a bridge */
	const char *own[SCENE_ADDRESSES];
	const char *broadcast[SCENE_ADDRESSES]; /* of own[i]; NULL: none */
};

extern const struct scene_device scene_devices[];
extern const size_t scene_device_count;
extern const __u8 scene_mac[6]; /* of every device that is Ethernet */

const struct scene_device *scene_find_device(const char *name);

/* What a test puts in the place of the policies' namespace and cgroup. */
struct scene_place {
	__u32 netns, other_netns;
	__u64 cgroup_id;
	__u32 cgroup_level;
	__u64 exempt_id; /* of a group below that one, whose programs are exempt where any are */
	__u32 exempt_level;
};

/* The policies of a set of vectors, each compiled once. */
struct scene_policy {
	char name[VECTOR_NAME_LEN];
	struct policy *policy;
};

struct scene_policies {
	struct scene_policy *items;
	size_t count;
};

/* One more, of a file that is anywhere. */
int scene_policies_add(const char *path, const char *name, const struct scene_place *place,
		       struct scene_policies *list, struct err *e);
int scene_policies_read(const struct vectors *v, const struct scene_place *place,
			struct scene_policies *ret, struct err *e);
void scene_policies_free(struct scene_policies *p); /* what it points to, not p itself */
const struct policy *scene_find_policy(const struct scene_policies *p, const char *name);

struct scene_shot {
	enum tf_plane plane;
	const struct scene_device *device;
	__u32 ifindex;
	__u32 mark, gso_size, forwarded;
	enum tf_owner owner;
	struct tf_offload offload; /* as a vector's */
	bool outside, exempt, foreign, shared, tagged;
	enum vector_question question;
	const __u8 *mac; /* the device's; NULL: scene_mac, and none if it is not Ethernet */
	__u8 *frame; /* allocated to exactly this size, so that the sanitizer sees overreads */
	__u32 bytes;
};

/* A vector's, on one of its planes; the ifindex is the device's place in the list. NULL: out of
 * memory, or there is no such device. */
struct scene_shot *scene_shot_new(const struct vector *v, enum tf_plane plane);
/* The same with another frame, which is copied. */
struct scene_shot *scene_shot_with(const struct scene_shot *s, const __u8 *frame, __u32 bytes);
void scene_shot_free(struct scene_shot *s);
static inline void scene_shot_cleanup(struct scene_shot **s)
{
	scene_shot_free(*s);
}
#define _cleanup_shot_ _cleanup_(scene_shot_cleanup)

/* Whom the frame's first bytes say it is to; this host where there is no link header to say. */
enum vector_host scene_host(const struct scene_shot *s);

/* First fragments that passed; nothing is ever forgotten. */
#define SCENE_MEMORY 1024
struct scene_memory {
	struct tf_fragment_key keys[SCENE_MEMORY];
	size_t count;
};

/* The question as it lies in the map at this time, if a socket with this cookie sends the packet. */
struct tf_question scene_question(enum vector_question question, __u64 cookie, __u64 now);

struct tf_decision scene_judge(const struct scene_shot *s, const struct policy *policy,
			       const struct scene_place *place, struct scene_memory *memory);

#endif
