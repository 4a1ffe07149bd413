/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Policies raised for real in a sandbox, and shots given to their programs by BPF_PROG_TEST_RUN. The
 * reason is read off the counters. No packet leaves, or could.
 *
 * A test run has a socket of its own making: of this process's namespace and cgroup, and of family
 * INET or INET6 if the Ethernet header says so, else of none; it offloads nothing and has no VLAN
 * tag, asks nobody anything, and nobody waits for what arrives.
 */
#ifndef TESTS_RAISED_H
#define TESTS_RAISED_H

#include <stdbool.h>

#include "err.h"
#include "fence.h"
#include "kernel/sandbox.h"
#include "maps.h"
#include "vectors/scene.h"

enum {
	RAISED_HEADER = 14,  /* of Ethernet; stands before each packet in a test run */
	RAISED_BYTES = 1600, /* room for a packet behind it */
};

/* Planes that a test run knows. */
#define RAISED_PLANES 3
extern const enum tf_plane raised_planes[RAISED_PLANES];

/* A policy, in the kernel. */
struct raised {
	const char *name;
	const struct policy *policy;
	struct fence *fence;
	int program[TF_PLANES];
	counter_table seen;         /* counters after the last run */
	struct scene_memory memory; /* what the native side remembers */
};

/* One for each policy, in their order; their names and policies are borrowed. */
int raised_all(const struct sandbox *box, const struct scene_policies *policies,
	       struct raised **ret, struct err *e);
void raised_free(struct raised *list, size_t count);

/* The shot as a test run makes it: the owner, no checksum to be written, headers said to lie behind
 * an Ethernet header and nowhere; to whom the first bytes say, even where they are no Ethernet's. */
void raised_make_expressible(struct scene_shot *s);

/* What a test run is given. Returns its bytes. */
__u32 raised_input(const struct scene_shot *s, __u8 to[RAISED_BYTES]);

/* 1: the verdict is there; 0: the kernel refuses so short a frame; else -errno. */
int raised_run(const struct raised *f, const struct scene_shot *s, enum tf_verdict *ret);

/* The counters are as they are. */
int raised_recount(struct raised *f);

/* The reason whose counter went up by one since the last run, most likely the guess. -ERANGE: more
 * than one counter has changed, or none. */
int raised_reason(struct raised *f, enum tf_plane plane, enum tf_reason guess,
		  enum tf_reason *ret);

/* Both sides forget the first fragments. */
int raised_forget(struct raised *f);

#endif
