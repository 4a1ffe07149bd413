// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence gate: passes once a fence stands, for the unit that the network waits for. Puts in place
 * what is missing, as sync does: an interface may have come a moment ago. A fence that only observes
 * passes: whoever wants it does not want to lose the network. Prints nothing unless it fails, and
 * then what to do.
 */
#include <errno.h>
#include <stdio.h>

#include "command.h"
#include "config.h"
#include "pin.h"
#include "view.h"

#define TRIES 3

/* All that is not well in one sentence. */
static int name_problems(const struct view *v, struct err *e)
{
	char text[sizeof(e->text)] = "";
	size_t i, length = 0;

	for (i = 0; i < v->problem_count && length < sizeof(text); i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
					   i ? "; " : "", v->problems[i]);
	return err_set(e, -EAGAIN, "%s", text[0] ? text : "out of memory");
}

/* -EAGAIN: it is there, but not all of it. */
static int look(const struct pins *pins, const struct options *o, const char *name, struct err *e)
{
	_cleanup_fence_ struct fence *f = NULL;
	_cleanup_view_ struct view *v = NULL;
	int r = fence_open(pins, name, &f, e);

	if (!r)
		r = view_read(f, o->run_dir, o->state_dir, &v, e);
	if (r)
		return r;
	return v->safe || v->policy->rodata.mode == TF_MODE_OBSERVE ? 0 : name_problems(v, e);
}

static void say_what_to_do(const char *name)
{
	fprintf(stderr,
		"tunfence: the network is kept down, since fence '%s' does not stand.\n"
		"  why:         journalctl -b -u tunfence@%s    (and: systemctl status tunfence@%s)\n"
		"  try again:   systemctl start default.target\n"
		"  go without:  systemctl disable tunfence@%s && systemctl start default.target\n",
		name, name, name, name);
}

int cmd_gate(const struct options *o, int argc, char *argv[], struct err *e)
{
	struct err ignored = {};
	struct pins pins;
	int tries, r;

	(void)argc;
	r = config_check_name(argv[0], e);
	if (!r)
		r = pins_init(&pins, o->bpffs, o->run_dir, argv[0], e);
	if (!r)
		r = pins_enter(&pins, e);
	if (r)
		return r;
	r = look(&pins, o, argv[0], e);
	for (tries = 1; r == -EAGAIN && tries < TRIES; tries++) {
		cmd_sync(o, 1, argv, &ignored);
		r = look(&pins, o, argv[0], e);
	}
	if (r)
		say_what_to_do(argv[0]);
	return r;
}
