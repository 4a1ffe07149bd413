/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packet target's input: how the hook would describe one packet or two, and their bytes. Every
 * input means something, and what a committed one means never changes: the lists are appended to.
 */
#ifndef TESTS_FUZZ_PACKET_INPUT_H
#define TESTS_FUZZ_PACKET_INPUT_H

#include "vectors/scene.h"

/* Of tests/vectors/policies; append only. */
extern const char *const packet_policies[];
extern const size_t packet_policy_count;

enum packet_flag {
	PACKET_FORWARDED = 1,
	PACKET_OUTSIDE = 2,
	PACKET_EXEMPT = 4,
	PACKET_FOREIGN = 8,
	PACKET_SHARED = 16,
	PACKET_TAGGED = 32,
	PACKET_CHECKSUM = 64,
};

/* Each byte is taken modulo the number of what there is to choose from. Numbers: low byte first. */
struct packet_head {
	__u8 policy, plane, device, owner;
	__u8 flags, question;
	__u8 network, transport; /* 0: the true offset, else one more than it */
	__u8 mark[4];
	__u8 gso_size[2];
	__u8 checksum_at[2];
	__u8 cut[2];   /* how much of the last frame is judged as well */
	__u8 first[2]; /* bytes of the frame that goes before it; mostly 0 */
};

struct packet_input {
	const char *policy;
	struct scene_shot shot; /* of the last frame */
	const __u8 *first;
	__u32 first_bytes, cut;
};

/* false: too short. Frames point into data. */
bool packet_input_read(const __u8 *data, size_t size, struct packet_input *ret);

/* The input that is this vector, on this plane, behind the one that it comes after. Bytes written,
 * or 0: it does not fit into room, or its policy is not in the list. */
size_t packet_input_write(const struct vectors *all, const struct vector *v, enum tf_plane plane,
			  __u8 *to, size_t room);

#endif
