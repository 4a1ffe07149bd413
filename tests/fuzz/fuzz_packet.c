// SPDX-License-Identifier: GPL-2.0
/*
 * The packet core: one packet or two, on any plane and device, under any of the vectors' policies.
 * A fence that enforces passes nothing but what the reference allows; the same packet is always
 * judged alike; a fence that observes sees what one that enforces would do; less of a packet is no
 * more allowed.
 *
 * Coverage is counted of: include/tunfence/ user/native.c
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "fuzz/packet_input.h"
#include "fuzz/reference.h"
#include "reason.h"
#include "util.h"

static const struct scene_place place = {
	.netns = 4026531999U,
	.other_netns = 4026532333U,
	.cgroup_id = 4711,
	.cgroup_level = 2,
	.exempt_id = 4712,
	.exempt_level = 3,
};

static struct scene_policies policies;
static struct config *configs[32];

/* The scene compiles the policies that vectors name. */
static void read_policies(void)
{
	struct vectors named = {.count = packet_policy_count};
	struct err e = {};

	named.items = calloc(named.count, sizeof(*named.items));
	FUZZ_EXPECT(named.items, "out of memory");
	for (size_t i = 0; i < named.count; i++)
		strcpy(named.items[i].policy, packet_policies[i]);
	FUZZ_EXPECT(scene_policies_read(&named, &place, &policies, &e) == 0, "%s", e.text);
	free(named.items);
}

static void read_configs(void)
{
	struct err e = {};
	char path[256];

	FUZZ_EXPECT(packet_policy_count <= ARRAY_SIZE(configs), "more room for configs");
	for (size_t i = 0; i < packet_policy_count; i++) {
		snprintf(path, sizeof(path), VECTOR_DIRECTORY "/policies/%s.conf",
			 packet_policies[i]);
		FUZZ_EXPECT(
			config_read(path, packet_policies[i], "/nonexistent", &configs[i], &e) == 0,
			"%s", e.text);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	read_policies();
	read_configs();
	return 0;
}

static const struct config *config_of(const char *name)
{
	size_t i = 0;

	while (!streq(packet_policies[i], name))
		i++;
	return configs[i];
}

/* One packet under one policy, in memory of exactly its size, as often as it is asked. */
struct trial {
	const struct scene_shot *shot;
	const struct policy *policy;
	const struct scene_memory *memory; /* before */
};

static struct tf_decision judge(const struct trial *t, const struct policy *policy, __u32 bytes,
				struct scene_memory *memory)
{
	_cleanup_shot_ struct scene_shot *shot = scene_shot_with(t->shot, t->shot->frame, bytes);

	FUZZ_EXPECT(shot, "out of memory");
	memory->count = t->memory->count;
	memcpy(memory->keys, t->memory->keys, t->memory->count * sizeof(memory->keys[0]));
	return scene_judge(shot, policy, &place, memory);
}

static void expect_allowed(const struct trial *t, const struct config *c, struct tf_decision d)
{
	const char *why;

	FUZZ_EXPECT(d.verdict ==
			    (c->mode == TF_MODE_OBSERVE ? TF_PASS : tf_reason_verdict(d.reason)),
		    "%s", reason_name(d.reason));
	if (tf_reason_verdict(d.reason) != TF_PASS)
		return;
	why = reference_objects(t->shot, c, d.reason, t->memory->count > 0);
	FUZZ_EXPECT(!why, "passes as '%s', but %s", reason_name(d.reason), why);
}

/* As it is, and as if it did only watch. */
static void expect_same(const struct trial *t, struct tf_decision d, struct scene_memory *memory)
{
	struct policy watching = *t->policy;
	struct tf_decision again = judge(t, t->policy, t->shot->bytes, memory), watched;

	FUZZ_EXPECT(again.verdict == d.verdict && again.reason == d.reason, "%s, then %s",
		    reason_name(d.reason), reason_name(again.reason));
	watching.rodata.mode = TF_MODE_OBSERVE;
	watched = judge(t, &watching, t->shot->bytes, memory);
	FUZZ_EXPECT(watched.verdict == TF_PASS && watched.reason == d.reason, "%s, but watched %s",
		    reason_name(d.reason), reason_name(watched.reason));
}

/* Of one that has bytes behind its end, or too many to be kept from its sender, what is left
 * without them may pass; and a super-packet's length is no part of it. */
static bool may_pass_cut(const struct trial *t, struct tf_decision d)
{
	return d.reason == TF_REASON_TRAILER || d.reason == TF_REASON_REWRITTEN ||
	       t->shot->gso_size;
}

static void expect_cut(const struct trial *t, struct tf_decision d, __u32 bytes,
		       struct scene_memory *memory)
{
	struct tf_decision cut = judge(t, t->policy, bytes, memory);

	FUZZ_EXPECT(tf_reason_verdict(cut.reason) != TF_PASS ||
			    tf_reason_verdict(d.reason) == TF_PASS || may_pass_cut(t, d),
		    "'%s', but cut off after %u of %u bytes '%s'", reason_name(d.reason), bytes,
		    t->shot->bytes, reason_name(cut.reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct scene_memory memory, after;
	struct packet_input in;
	struct trial t = {.memory = &memory};
	struct tf_decision d;

	if (!packet_input_read(data, size, &in))
		return 0;
	t.shot = &in.shot;
	t.policy = scene_find_policy(&policies, in.policy);
	memory.count = 0;
	if (in.first_bytes) {
		_cleanup_shot_ struct scene_shot *first =
			scene_shot_with(&in.shot, in.first, in.first_bytes);

		FUZZ_EXPECT(first, "out of memory");
		scene_judge(first, t.policy, &place, &memory);
	}
	d = judge(&t, t.policy, in.shot.bytes, &after);
	expect_allowed(&t, config_of(in.policy), d);
	expect_same(&t, d, &after);
	expect_cut(&t, d, in.cut, &after);
	return 0;
}
