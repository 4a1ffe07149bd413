// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence prepare: the mounts that hold fences, made where this runs, the directory of last good
 * addresses, and no more. For units: what a sandboxed command mounts vanishes with its sandbox, and
 * it cannot make what it may write to, so this runs outside of it, first. Opens and changes no fence;
 * says nothing when all is there.
 */
#include "command.h"
#include "hosts.h"
#include "pin.h"

int cmd_prepare(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct pins pins;
	int r = pins_init(&pins, o->bpffs, o->run_dir, "-", e);

	(void)argc, (void)argv;
	/* A disk that cannot be written is no reason to have no fence. Who has something to keep there
	 * will say so. */
	hosts_make_dir(o->state_dir);
	return r ? r : pins_prepare(&pins, e);
}
