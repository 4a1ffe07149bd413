/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A place where fences can be raised for real without anybody else noticing: two network namespaces
 * with the devices of vectors/scene.h, a bpffs and a run directory in a mount namespace of our own,
 * and two child cgroups. Nothing outside is changed; sandbox_remove() takes away the cgroups.
 */
#ifndef TESTS_SANDBOX_H
#define TESTS_SANDBOX_H

#include <stdbool.h>

#include "cgroup.h"
#include "err.h"
#include "vectors/scene.h"

#define SANDBOX_DEVICES 16
#define SANDBOX_OUTSIDE "outside/below" /* deeper than the fenced cgroup: depths are told apart */

struct sandbox {
	char bpffs[64], run[64];
	char cgroup_path[4096]; /* of the parent of the two below */
	char directory[32];
	struct cgroup fenced;   /* the scope of every fence raised here */
	struct cgroup exempt;   /* in it, and of the fences that exempt anybody the last of those */
	int netns[2];           /* home and other, held open */
	int ifindex[2][SANDBOX_DEVICES]; /* in the order of scene_devices */
	struct scene_place place;
};

/* What main() of a test is: inside() runs in a process of its own, whose end takes the namespaces
 * with it; the directories are its parent's. Returns what main() returns. */
int sandbox_main(struct sandbox *s, const char *name, int (*inside)(void));

/* For inside(): makes the rest and sits down in the home namespace, outside the fenced cgroup. There
 * is no way back but to end. */
int sandbox_enter(struct sandbox *s, struct err *e);

/* Where this process is from now on; sockets it makes, test runs of programs included, are too. */
int sandbox_sit(const struct sandbox *s, bool foreign, bool outside, struct err *e);
int sandbox_sit_exempt(const struct sandbox *s, bool foreign, struct err *e);

#endif
