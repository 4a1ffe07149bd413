// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence prepare: the mounts that hold fences, made where this runs, and no more. For units: what
 * a sandboxed command mounts vanishes with its sandbox, so this runs outside of it, first. Opens and
 * changes no fence; says nothing when all is there.
 */
#include "command.h"
#include "pin.h"

int cmd_prepare(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct pins pins;
	int r = pins_init(&pins, o->bpffs, o->run_dir, "-", e);

	(void)argc, (void)argv;
	return r ? r : pins_prepare(&pins, e);
}
