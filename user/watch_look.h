/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which fences are up now, seen by somebody who goes on for long: below the cover looks a process of
 * its own each time, which hands over what it found and is gone. So the one that goes on never is in
 * a mount namespace of its own, where it would hold what others want to unmount.
 */
#ifndef TUNFENCE_WATCH_LOOK_H
#define TUNFENCE_WATCH_LOOK_H

#include "err.h"
#include "maps.h"

struct look_place {
	const char *bpffs, *run_dir;
	const char *name; /* of the fence that is looked for; NULL: every one */
};

/* A fence that is up; or code and text: why one that seems to be cannot be read. */
struct sighting {
	char name[64];
	__u32 netns; /* inode of the network namespace it belongs to */
	enum tf_mode mode;
	int code; /* negative errno; 0: it can */
	char text[512];
};

/* m has MAP_BLOCKED, MAP_LISTENERS and MAP_LEASES, closed after the call if they are still there;
 * nothing of a fence that cannot be read. Not 0 ends the look. */
typedef int (*look_cb)(const struct sighting *s, struct maps *m, void *data);
int watch_look(const struct look_place *place, look_cb cb, void *data, struct err *e);

/* A number that changes when a fence comes, goes or is replaced, as far as can be seen from above the
 * cover, by anybody who may: worth a look, and no more. */
__u64 watch_look_sign(const char *bpffs);

#endif
