// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence gate: passes once fences stand, for the unit that the network waits for. Puts in place
 * what is missing, as sync does: an interface may have come a moment ago. One that only observes
 * passes: whoever wants it does not want to lose the network. Prints nothing unless it fails, and
 * then what to do.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "config.h"
#include "pin.h"
#include "view.h"

#define TRIES 3

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
	return v->safe || v->policy->rodata.mode == TF_MODE_OBSERVE ? 0 : view_problems(v, e);
}

static void say_what_to_do(const char *name, const struct err *e)
{
	fprintf(stderr,
		"tunfence: the network is kept down, since fence '%s' does not stand: %s\n"
		"  why:         journalctl -b -u tunfence@%s    (and: systemctl status tunfence@%s)\n"
		"  try again:   start the network: systemctl start NetworkManager, or networking, or\n"
		"               systemd-networkd\n"
		"  go without:  systemctl disable tunfence@%s, and then the same\n",
		name, e->text, name, name, name);
}

/* Whether fence name stands, and what is in the way if not. */
static int stands(const struct options *o, char *name, struct err *e)
{
	char *argument[] = { name, NULL };
	struct err ignored = {};
	struct pins pins;
	int tries, r;

	r = pins_init(&pins, o->bpffs, o->run_dir, name, e);
	if (!r)
		r = pins_enter(&pins, e);
	if (r)
		return r;
	r = look(&pins, o, name, e);
	for (tries = 1; r == -EAGAIN && tries < TRIES; tries++) {
		cmd_sync(o, 1, argument, &ignored);
		r = look(&pins, o, name, e);
	}
	return r;
}

/* masked: its unit is. 0, EXIT_FAILED when it has been said, or -errno. */
static int wait_for(const struct options *o, char *name, bool masked, struct err *e)
{
	struct err why = {};
	int r = config_check_name(name, e);

	if (r)
		return r;
	r = stands(o, name, &why);
	if (!r)
		return EXIT_DONE;
	if (masked)
		err_set(&why, r, "its unit is masked; first: systemctl unmask tunfence@%s", name);
	say_what_to_do(name, &why);
	return EXIT_FAILED;
}

/* "tunfence@NAME.service" -> "NAME" */
static bool name_of_unit(const char *unit, char ret[NAME_MAX + 1])
{
	const size_t before = strlen("tunfence@"), after = strlen(".service");
	size_t length = strlen(unit);

	if (length <= before + after || length > NAME_MAX ||
	    strncmp(unit, "tunfence@", before) != 0 || !streq(unit + length - after, ".service"))
		return false;
	memcpy(ret, unit + before, length - before - after);
	ret[length - before - after] = '\0';
	return true;
}

/* 'systemctl mask' leaves a link to nothing, beside the directory of links that 'enable' made. */
static bool is_masked(int directory, const char *unit)
{
	char path[NAME_MAX + sizeof("../")], target[sizeof("/dev/null") + 1];
	ssize_t length;

	snprintf(path, sizeof(path), "../%s", unit);
	length = readlinkat(directory, path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return streq(target, "/dev/null");
}

/* Every fence whose unit has a link there. No directory: none has. */
static int wait_for_enabled(const struct options *o, const char *directory, struct err *e)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	char name[NAME_MAX + 1];
	int r, worst = EXIT_DONE;
	struct dirent *d;

	if (!dir && errno == ENOENT)
		return EXIT_DONE;
	if (!dir)
		return err_set(e, -errno, "'%s' cannot be read: %s", directory, strerror(errno));
	while (errno = 0, (d = readdir(dir))) {
		if (!name_of_unit(d->d_name, name))
			continue;
		r = wait_for(o, name, is_masked(dirfd(dir), d->d_name), e);
		if (r < 0)
			return r;
		if (r)
			worst = r;
	}
	return errno ? err_set(e, -errno, "'%s' cannot be read: %s", directory, strerror(errno)) :
		       worst;
}

int cmd_gate(const struct options *o, int argc, char *argv[], struct err *e)
{
	int i, r, worst = EXIT_DONE;

	for (i = 0; i < argc; i++) {
		r = strchr(argv[i], '/') ? wait_for_enabled(o, argv[i], e) :
					   wait_for(o, argv[i], false, e);
		if (r < 0)
			return r;
		if (r)
			worst = r;
	}
	return worst;
}
